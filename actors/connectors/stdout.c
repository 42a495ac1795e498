/* stdout.c - the sink `stdout { format = "text" | "json" | "csv" }`: a line for
 * each tuple on the standard output, text if nothing is said (see format.h).
 *
 * When nobody reads it any more (`engine run … | head`) the run ends as a drain
 * and exits with 0. Several tasks write whole lines, in any order. */
#include "actors/connectors/connector.h"
#include "actors/connectors/writer.h"

enum { FORMAT }; /* places of the options */

static err make(struct component_context *context, void *self)
{
    const struct writer_plan plan = {
        .append = true,
        .format = connector_option(context, FORMAT)->text,
    };
    return writer_make(context, self, &plan);
}

static const struct component_class sink = {
    .name = "stdout",
    .state_bytes = sizeof(struct writer),
    .change = connector_change,
    .make = make,
    .free = writer_free,
    .open = writer_open,
    .execute = writer_execute,
    .settle = writer_settle,
    .finish = writer_finish,
    .resume = writer_settle,
    .job_done = writer_job_done,
};

static const struct option options[] = {
    [FORMAT] = {.name = "format",
                .type = OPTION_CHOICE,
                .choices = "text json csv",
                .doc = "of the lines; text if not given"},
};

const struct connector connector_stdout = {
    .name = "stdout",
    .doc = "a line for each tuple on the standard output",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .sink = &sink,
};
