/* stdin.c - the source `stdin {}`: the lines of the standard input.
 *
 * Brings the field "line". The input ends with its last byte (Ctrl-D on a
 * terminal); a last line without an end counts. Only the first task reads. A
 * line that fails comes again: lines are kept until they are settled, at most
 * as many as may be pending. What was read and not settled when the process
 * dies is lost: an input can't be wound back. */
#include "actors/connectors/connector.h"
#include "actors/connectors/reader.h"

static err make(struct component_context *context, void *self)
{
    const struct reader_plan plan = {.count = 0};
    return reader_make(context, self, &plan);
}

static const struct component_class source = {
    .name = "stdin",
    .state_bytes = sizeof(struct reader),
    .stays = true,
    .make = make,
    .free = reader_free,
    .open = reader_open,
    .next = reader_next,
    .replay = reader_replay,
    .release = reader_release,
    .job_done = reader_job_done,
};

const struct connector connector_stdin = {
    .name = "stdin",
    .doc = "the lines of the standard input",
    .source = &source,
    .field = "line",
};
