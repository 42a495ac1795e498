/* tap.h - stands before a bolt's or sink's class: fails tuples when a test says
 * so, and remembers what came. One thread: it runs in simulated worlds. */
#ifndef ACTORS_TESTING_TAP_H
#define ACTORS_TESTING_TAP_H

#include "actors/stream/component.h"
#include "actors/testing/capture.h"

struct tap;

/* In front of `inner`, which runs as ever. `captures`: one for each of the
 * component's inputs, owned by the tap; NULL: it remembers nothing. NULL: out
 * of memory; nothing was taken. Owned. */
struct tap *tap_new(const struct component_class *inner,
                    struct capture **captures, struct capture_limit *limit);
void tap_free(struct tap *tap);
/* For component_plan.class, with the inner's config. Borrowed. */
const struct component_class *tap_class(const struct tap *tap);

/* The next `count` tuples fail with this reason (copied) before the component
 * sees them; they aren't remembered. Replaces what was said before.
 * ERR_NOMEM. */
err tap_fail_next(struct tap *tap, uint64_t count, const char *reason);

#endif
