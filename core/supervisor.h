/* supervisor.h - an actor that starts others, and starts them again.
 * Words, strategies and escalation are Erlang/OTP's; new is the backoff: the
 * first restart is at once, the next ones in the period wait 100 ms doubling
 * to 30 s, so that what fails by its surroundings isn't given up at once. */
#ifndef CORE_SUPERVISOR_H
#define CORE_SUPERVISOR_H

#include "core/actor.h"

enum supervisor_strategy {
    ONE_FOR_ONE,  /* only the one that crashed */
    ONE_FOR_ALL,  /* all of them */
    REST_FOR_ONE, /* it and those started after it */
};

enum child_restart {
    CHILD_PERMANENT, /* whenever it ends */
    CHILD_TRANSIENT, /* when it crashed */
    CHILD_TEMPORARY, /* never, not even when the strategy ended it */
};

struct child_spec {
    const struct actor_kind *kind;
    const void *args; /* borrowed while the supervisor lives */
    uint32_t args_bytes;
    enum child_restart restart;
    struct actor_group *group; /* borrowed likewise; NULL: none */
};

struct supervisor_config {
    enum supervisor_strategy strategy;
    unsigned intensity; /* restarts within the period; one more: give up */
    int64_t period_ns;
    int64_t backoff_ns; /* of the second restart in the period; doubles */
    int64_t backoff_max_ns;
    const struct child_spec *children; /* borrowed while it lives */
    unsigned count;
    /* Told of each (re)start, before the child can be heard of; may be NULL.
     * Runs as the supervisor. `restarts`: of this child so far. An error ends
     * the child, which then counts as crashed. */
    err (*started)(struct env *env, void *context, unsigned child, actor_id id,
                   unsigned restarts);
    /* Asked with ONE_FOR_ALL before children are started while none lives, the
     * first time, too. False: asked again soon. May be NULL. */
    bool (*may_start)(struct env *env, void *context);
    void *context; /* borrowed */
};

/* The defaults of the table in docs/architecture.md: 5 in 60 s, 100 ms to
 * 30 s, one for one. The caller sets children and count. */
struct supervisor_config supervisor_defaults(void);

/* args: struct supervisor_config. It ends well when told to MSG_STOP, or when
 * all children have ended for good, after ending its children last to first,
 * each before the next (ERR_STOPPED; a supervisor by MSG_STOP); it crashes
 * (ERR_CRASHED) when it gives up: that is the escalation; ERR_HOPELESS, at
 * once, when a child ends with that. A child that can't
 * be started for want of memory counts as crashed, and is tried again. */
extern const struct actor_kind supervisor_kind;

#endif
