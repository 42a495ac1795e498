/* tap.h - stands before a bolt's or sink's class: fails tuples when a test says
 * so, and remembers what came. One thread: it runs in simulated worlds. */
#ifndef ACTORS_TESTING_TAP_H
#define ACTORS_TESTING_TAP_H

#include "actors/stream/component.h"
#include "actors/testing/capture.h"

struct tap;

/* Lists of captures, one for each of the component's inputs; the lists are the
 * tap's from tap_new() on, the captures stay the caller's. NULL, as a list or
 * in it: nothing is remembered. */
struct tap_config {
    const struct component_class *inner; /* runs behind the tap, as ever */
    struct capture **arrived;            /* all that came */
    struct capture *
        *taken; /* what reached the component: not what was failed */
    struct capture_limit *limit;
};

/* NULL: out of memory; the lists are freed, too. Owned. */
struct tap *tap_new(const struct tap_config *config);
void tap_free(struct tap *tap);
/* For component_plan.class, with the inner's config. Borrowed. */
const struct component_class *tap_class(const struct tap *tap);

/* The next `count` tuples fail with this reason (copied) before the component
 * sees them. Replaces what was said before. ERR_NOMEM. */
err tap_fail_next(struct tap *tap, uint64_t count, const char *reason);

#endif
