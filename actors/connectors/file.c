/* file.c - the source and the sink `file { path = "data.txt" }`.
 *
 * The source brings each line of the file in the field "line", without its
 * "\n" or "\r\n"; with `format = "json"` (see parse.h) the object in each line
 * in the field "record", or its keys that `fields` names. A line that is no
 * object is logged and counted, the rest goes on, the run fails. A last line
 * without an end counts, one above 16 MB is left out and logged. Several tasks
 * share the file, each line is read by one. A line that fails is read again, as
 * long as the file isn't changed in place. Pipes and devices can be read too,
 * by one task.
 *
 * The sink writes a line for each tuple: `format = "text" | "json" | "csv"`
 * (see format.h). The file is replaced when the run begins; `append = true`
 * continues it, without a second CSV header. Several tasks write a file each:
 * path.0, path.1, … On a full disk it waits and tries again, nothing is lost.
 * Paths are relative to where the engine was started. */
#include "actors/connectors/connector.h"
#include "actors/connectors/reader.h"
#include "actors/connectors/writer.h"
#include <stdio.h>
#include <string.h>

enum { PATH, APPEND, FORMAT }; /* places of the options */

static err source_make(struct component_context *context, void *self)
{
    return reader_make(context, self, connector_option(context, PATH)->text,
                       connector_option(context, FORMAT)->text);
}

static const struct component_class source = {
    .name = "file",
    .state_bytes = sizeof(struct reader),
    .stays = true,
    .make = source_make,
    .free = reader_free,
    .open = reader_open,
    .next = reader_next,
    .replay = reader_replay,
    .release = reader_release,
    .job_done = reader_job_done,
};

static err sink_make(struct component_context *context, void *self)
{
    return writer_make(context, self, connector_option(context, PATH)->text,
                       connector_option(context, APPEND)->flag,
                       connector_option(context, FORMAT)->text);
}

static const struct component_class sink = {
    .name = "file",
    .state_bytes = sizeof(struct writer),
    .make = sink_make,
    .free = writer_free,
    .open = writer_open,
    .execute = writer_execute,
    .settle = writer_settle,
    .finish = writer_finish,
    .resume = writer_settle,
    .job_done = writer_job_done,
};

static const struct option options[] = {
    [PATH] = {.name = "path",
              .type = OPTION_TEXT,
              .required = true,
              .doc = "of the file, relative to where engine was started"},
    [APPEND] = {.name = "append",
                .type = OPTION_FLAG,
                .doc = "as a sink: continue the file instead of replacing it"},
    [FORMAT] = {.name = "format",
                .type = OPTION_CHOICE,
                .choices = "text json csv",
                .doc = "of the lines; text if not given; csv only as a sink"},
};

static bool check(const struct option_value *values, bool as_sink, char *why,
                  size_t why_bytes)
{
    if (values[PATH].text[0] == '\0') {
        snprintf(why, why_bytes, "path is empty: name a file");
        return false;
    }
    if (as_sink) return true;
    if (values[APPEND].set) {
        snprintf(why, why_bytes,
                 "append is an option of file as a sink; as a source it only "
                 "reads: remove it");
        return false;
    }
    if (values[FORMAT].set && strcmp(values[FORMAT].text, "csv") == 0) {
        snprintf(why, why_bytes,
                 "file as a source doesn't read csv; give text or json");
        return false;
    }
    return true;
}

const struct connector connector_file = {
    .name = "file",
    .doc = "the lines of a file, or a file of lines",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .source = &source,
    .sink = &sink,
    .field = "line",
    .check = check,
};
