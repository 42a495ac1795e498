/* stdin.c - the source `stdin {}`: the lines of the standard input.
 *
 * Brings the field "line", or with `format = "json"` what `file` brings then.
 * The input ends with its last byte (Ctrl-D on a
 * terminal); a last line without an end counts. Only the first task reads. A
 * line that fails comes again: lines are kept until they are settled, at most
 * as many as may be pending. What was read and not settled when the process
 * dies is lost: an input can't be wound back. */
#include "actors/connectors/connector.h"
#include "actors/connectors/reader.h"
#include <string.h>

enum { FORMAT }; /* places of the options */

static err make(struct component_context *context, void *self)
{
    const char *format = connector_option(context, FORMAT)->text;
    const struct reader_plan plan = {
        .json = format && strcmp(format, "json") == 0,
    };
    return reader_make(context, self, &plan);
}

static const struct component_class source = {
    .name = "stdin",
    .state_bytes = sizeof(struct reader),
    .stays = true,
    .change = connector_change,
    .make = make,
    .free = reader_free,
    .open = reader_open,
    .next = reader_next,
    .replay = reader_replay,
    .release = reader_release,
    .job_done = reader_job_done,
};

static const struct option options[] = {
    [FORMAT] = {.name = "format",
                .type = OPTION_CHOICE,
                .choices = "text json",
                .doc = "of the lines; text if not given"},
};

static const struct record_format records[] = {
    {.format = "json", .whole = "record"},
    {0},
};

const struct connector connector_stdin = {
    .name = "stdin",
    .doc = "the lines of the standard input",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .source = &source,
    .field = "line",
    .records = records,
};
