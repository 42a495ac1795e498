/* scheduler.h - the real world's threads: each runs actors from its own queue
 * and steals whole actors when it has none, then parks.
 * The actor just messaged goes next on the same thread, where no thief sees
 * it; it is offered to others when another is messaged after it or a second
 * batch arrives for it. So two actors that take turns never leave their cache,
 * and a pipeline spreads. One that stays (env_stay()) is made ready on the
 * thread that ran it last; thieves take it only where they would park else.
 * While an actor holds up its thread, what waits there goes to the others, and
 * one spare thread serves beside them. */
#ifndef CORE_SCHEDULER_H
#define CORE_SCHEDULER_H

#include "core/err.h"

struct actor;
struct env;
struct node;
struct scheduler;

/* What others do on each of its threads, as it begins and before it ends. The
 * spare one, which begins when it is first needed, has the number behind the
 * last. */
struct thread_hooks {
    void (*begin)(void *context, unsigned thread);
    void (*end)(void *context, unsigned thread);
    void *context;
};

/* No thread runs yet. `hooks` is copied and may be NULL. NULL: out of memory.
 */
struct scheduler *scheduler_new(struct node *node, unsigned threads,
                                const struct thread_hooks *hooks);
/* ERR_LIMIT: the system gives no more threads; none runs. */
err scheduler_start(struct scheduler *scheduler);
/* Ends the threads after the activations they are in. */
void scheduler_stop(struct scheduler *scheduler);
void scheduler_free(struct scheduler *scheduler);

/* For struct world: see there. */
void scheduler_ready(struct scheduler *scheduler, struct env *env,
                     struct actor *actor);
void scheduler_pressed(struct env *env, struct actor *actor);
void scheduler_held_up(struct env *env);

#endif
