/* stdin.c - the source `stdin {}`: the lines of the standard input.
 *
 * Brings the field "line", or with `format = "json"` or `"csv"` what `file`
 * brings then: of CSV the columns that the spout's `fields` name, found in the
 * first line when it comes, or, with `header = false`, all by position. A
 * header without one of them ends the run at once: nothing that comes could be
 * a tuple, and who writes into the pipe is told by its end. The input ends with
 * its last byte (Ctrl-D on a terminal); a last line without an end counts. Only
 * the first task reads. A line that fails comes again: lines are kept until
 * they are settled, at most as many as may be pending. What was read and not
 * settled when the process dies is lost: an input can't be wound back. */
#include "actors/connectors/connector.h"
#include "actors/connectors/reader.h"
#include <stdio.h>
#include <string.h>

enum { FORMAT, HEADER }; /* places of the options */

static bool is(const struct option_value *format, const char *name)
{
    return format->text && strcmp(format->text, name) == 0;
}

static err make(struct component_context *context, void *self)
{
    const struct option_value *format = connector_option(context, FORMAT);
    const struct option_value *header = connector_option(context, HEADER);
    const struct reader_plan plan = {
        .json = is(format, "json"),
        .csv = is(format, "csv"),
        .header = !header->set || header->flag,
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
                .choices = "text json csv",
                .doc = "of the lines; text if not given"},
    [HEADER] = {.name = "header",
                .type = OPTION_FLAG,
                .doc = "of csv: the first line names the columns; true if not "
                       "given"},
};

static bool check(const struct option_value *values, bool as_sink, char *why,
                  size_t why_bytes)
{
    if (!values[HEADER].set || is(&values[FORMAT], "csv")) return true;
    snprintf(why, why_bytes,
             "header is an option of format = \"csv\"; add that");
    return false;
}

static const struct record_format records[] = {
    {.format = "json", .whole = "record"},
    {.format = "csv"},
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
    .check = check,
};
