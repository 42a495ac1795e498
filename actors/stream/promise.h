/* promise.h - what a topology promises: how often a tuple that a spout brings
 * has its effect, by each way from a spout to a sink, and why. What can't be
 * kept is refused before anything runs.
 * Source: the table of Scribengin's data sets and of what Flink calls
 * end-to-end guarantees; nothing else prints it by path. */
#ifndef ACTORS_STREAM_PROMISE_H
#define ACTORS_STREAM_PROMISE_H

#include "actors/stream/plan.h"
#include "core/buffer.h"
#include "core/err.h"

struct promise {
    const struct component_plan *from, *to; /* a spout, and a sink */
    enum guarantee guarantee;
    const char *why; /* half a sentence, static */
};

/* Appends a line "file:line: what; what to do\n" to `faults` for each thing
 * that keeps the plan from its guarantee. ERR_NOMEM. Any thread. */
err promise_check(const struct plan *plan, struct buffer *faults);

/* The i-th of all ways from a spout to a sink; false: there is none. Of a plan
 * that was checked. Any thread. */
bool promise_at(const struct plan *plan, unsigned i, struct promise *out);
/* Is there another reason for some than for others? */
bool promise_differs(const struct plan *plan);

#endif
