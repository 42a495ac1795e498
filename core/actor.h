/* actor.h - what an actor is: private state and a few functions.
 * The scheduler calls them one at a time per actor, so actor code takes no
 * locks, starts no threads, and knows no clock but env_now().
 * Sources: Erlang/OTP (links, monitors, exits), Pony (scheduling by the push
 * that finds a mailbox empty), Akka (control lane). */
#ifndef CORE_ACTOR_H
#define CORE_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/msg.h"

struct env; /* opaque: the running actor's view of its node */

/* One kind of actor: a constant that outlives every actor made from it. */
struct actor_kind {
    const char *name;   /* label in logs and metrics: "acker" */
    size_t state_bytes; /* the runtime zeroes them before init() */
    bool traps_exits;   /* a linked actor's end is told, not shared */

    /* `args` is borrowed. On an error init() has undone its own work and
     * terminate() won't run. */
    err (*init)(struct env *env, void *self, const void *args);
    /* The message is borrowed until it returns. OK goes on, ERR_DONE ends the
     * actor well, anything else is a crash: terminate() runs, links and
     * monitors are told, the supervisor decides. */
    err (*receive)(struct env *env, void *self, const struct msg *m);
    /* The activation ends (the mailbox is empty or the budget is spent): send
     * what was gathered. May be NULL. Its error counts as receive()'s. */
    err (*settle)(struct env *env, void *self);
    /* Free what self owns. It may send; it may not fail. May be NULL. */
    void (*terminate)(struct env *env, void *self, err why);
};

/* Kinds that every actor may be sent by the runtime. Own kinds start at
 * KIND_OWN. */
enum system_kind {
    MSG_STOP = 1, /* asked to end; answer ERR_DONE now or later */
    MSG_DOWN,     /* struct down: a monitored actor has ended */
    MSG_EXIT,     /* struct down: a linked actor has ended (traps_exits) */
    MSG_TIMER,    /* struct timer_due: a deadline of deadline.h has come */
    MSG_AGAIN,    /* env_again() was called in an earlier activation */
    KIND_OWN = 0x100,
};

struct actor_group; /* group.h */

struct down {
    actor_id who;
    err why;      /* ERR_DONE: it ended well; ERR_NOTFOUND: was not alive */
    uint64_t ref; /* what actor_monitor() gave; 0 for a link */
};

/* Starts an actor; init() runs on some scheduler thread, before any message
 * that is sent to *id. Copies `args` (at most MSG_BYTES_MAX - 32). ERR_NOMEM,
 * ERR_LIMIT: nothing was started. An init() that fails is seen as a DOWN. */
err actor_spawn(struct env *env, const struct actor_kind *kind,
                const void *args, uint32_t args_bytes, actor_id *id);
/* The same, in a group (borrowed until the node's threads have stopped; NULL:
 * none), and be told of its end as by actor_monitor(): both or neither. */
err actor_spawn_monitored(struct env *env, struct actor_group *group,
                          const struct actor_kind *kind, const void *args,
                          uint32_t args_bytes, actor_id *id, uint64_t *ref);
/* In a group, without being told. */
err actor_spawn_grouped(struct env *env, struct actor_group *group,
                        const struct actor_kind *kind, const void *args,
                        uint32_t args_bytes, actor_id *id);

/* Copies `bytes` of body into the control lane of `to`. ERR_FULL: its mailbox
 * is at its bound (10,000 messages, or 64 MB) and nothing was sent; the caller
 * drops, waits or crashes, knowingly. A dead `to` gives OK: death could always
 * win the race. Never blocks. */
err actor_send(struct env *env, actor_id to, uint16_t kind, const void *body,
               uint32_t bytes);

/* As above for an envelope of msg_new() or an embedded one (flags says so);
 * the runtime owns it from here in every case. Never refused: for slots that
 * are bounded by their holder (timers, credit, replies of one's own). */
void actor_post(struct env *env, actor_id to, struct msg *m);

/* Be told (MSG_DOWN) when `who` ends; once. *ref tells several apart. */
err actor_monitor(struct env *env, actor_id who, uint64_t *ref);
/* A DOWN that is already under way may still arrive: compare refs. */
void actor_demonitor(struct env *env, actor_id who, uint64_t ref);
/* Share fate, both ways: when one crashes the other ends with its reason,
 * unless its kind traps exits; a good end (ERR_DONE) kills nobody. */
err actor_link(struct env *env, actor_id other);
/* Ends it from outside with this reason, at its next message boundary. */
err actor_kill(struct env *env, actor_id who, err why);
/* In two steps, for who must be able to when there is no memory: actor_post()
 * the order, or msg_free() it. NULL: out of memory. Owned. */
struct msg *actor_kill_order(struct env *env, err why);

/* ---- the running actor's view ---- */

actor_id env_self(const struct env *env);
/* Monotonic ns: read once in an activation, when first asked for. */
int64_t env_now(struct env *env);
/* Another sequence on each thread. */
uint64_t env_random(struct env *env);
struct node *env_node(const struct env *env);
/* Number of the scheduler thread, from 0: for per-thread cells. */
unsigned env_thread(const struct env *env);
/* Work done counts against the activation's budget, beside one per message.
 * From 65,535 on the next one has to wait for those of all others. */
void env_charge(struct env *env, uint32_t reductions);
/* True when the budget is spent: a loop of one's own should return. */
bool env_spent(const struct env *env);
/* Calls receive() with MSG_AGAIN in a later activation, behind the data that
 * has come. Not while an edge of the actor's is out of credit; but whether it
 * holds its data or not. */
void env_again(struct env *env);
/* Small messages that receive() sends to one actor in a row leave together, at
 * its end at the latest. Before long work: those sent so far leave now. */
void env_flush(struct env *env);
/* The running actor can't return for long: other threads take over what waits
 * for its thread until it does. Call it where the actor could send, too. */
void env_held_up(struct env *env);
/* The running actor's turns touch much memory: from now on it is made ready on
 * the thread that ran it last. Another takes it only rather than sleep. */
void env_stay(struct env *env);
/* Take no data messages (control always) until resumed; counts nestings. */
void env_hold_data(struct env *env);
void env_resume_data(struct env *env);
/* The data message in hand stays with the actor, which owes msg_done(). */
void msg_keep(struct env *env);
/* Returns its credit to the producer and frees it. */
void msg_done(struct env *env, struct msg *m);

#endif
