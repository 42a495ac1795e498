/* deadline.h - timers of actors: a message at an exact time.
 * MSG_TIMER with struct timer_due arrives in the control lane, not before
 * `at_ns` and within one activation of it. Equal deadlines come in the order
 * in which they were set (libuv's start_id). */
#ifndef CORE_DEADLINE_H
#define CORE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct env;
struct node;

typedef uint64_t deadline_id; /* 0: none */

struct timer_due {
    deadline_id id;
    uint64_t cookie; /* the setter's own */
    int64_t at_ns;
};

/* Tells the running actor `cookie` at `at_ns` (env_now()'s clock).
 * ERR_NOMEM: nothing was set. */
err deadline_set(struct env *env, int64_t at_ns, uint64_t cookie,
                 deadline_id *id);
/* After it returns the message doesn't arrive, even when its time had come.
 * Zero and ids that have come are fine. Only the actor that set it. */
void deadline_cancel(struct env *env, deadline_id *id);

/* ---- for the runtime ---- */

struct deadlines;
struct deadlines *deadlines_new(void);
void deadlines_free(struct deadlines *all);
/* Posts what is due at `now_ns` and tells the world of the next one. */
void deadlines_due(struct env *env, int64_t now_ns);
/* The message of a deadline has reached its actor, or nobody: copies what it
 * says to *due (may be NULL) and frees the entry, the message with it. False:
 * it was cancelled meanwhile. */
struct msg;
bool deadline_arrived(struct deadlines *all, struct msg *m,
                      struct timer_due *due);

#endif
