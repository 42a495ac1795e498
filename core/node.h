/* node.h - one member of the cluster: actors, threads, clock, in a value.
 * A process has one; a spec runs five. Nothing of the engine is global. */
#ifndef CORE_NODE_H
#define CORE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/msg.h"

struct env;
struct actor;
struct node;
struct log;
struct metrics;
struct disk;
struct net;
struct job;

/* What a node is given: by real.h, or by sim.h. All functions may be called
 * from any thread of the node. */
struct world {
    int64_t (*now_ns)(void *context);  /* monotonic; CLOCK_BOOTTIME */
    int64_t (*wall_ns)(void *context); /* since 1970; to show, not to compute */
    /* An actor became runnable: exactly one later actor_turn() is owed. */
    void (*ready)(void *context, struct env *env, struct actor *actor);
    /* The earliest deadline is at_ns now: node_alarm() is owed at that time.
     * Called under a lock: it may not call back. */
    void (*alarm)(void *context, struct node *node, int64_t at_ns);
    /* A data message came for an actor that already waits to run: its work
     * piles up, another thread might take it. May be NULL. */
    void (*pressed)(void *context, struct env *env, struct actor *actor);
    /* The actor that runs in this view won't return soon. May be NULL. */
    void (*held_up)(void *context, struct env *env);
    /* A job is to run outside the actors' threads, then job_finish(). */
    void (*work)(void *context, struct node *node, struct job *job);
    /* Every delivery, if not NULL. */
    void (*trace)(void *context, struct node *node, const struct msg *m);
    const struct disk *disk;
    const struct net *net;
    void *context;
    bool counting; /* budgets count instructions, so that a run replays */
};

struct node_config {
    uint16_t number;           /* of this node in its cluster */
    unsigned threads;          /* scheduler threads, without the spare one */
    uint64_t seed;             /* of every generator of the node */
    const struct world *world; /* borrowed until node_free() */
    struct log *log;           /* borrowed */
};

/* NULL: out of memory. No thread runs yet. */
struct node *node_new(const struct node_config *config);
/* No thread of the node may run any more. Actors that live are ended first
 * (terminate() with ERR_KILLED). */
void node_free(struct node *node);

struct log *node_log(struct node *node);
struct metrics *node_metrics(struct node *node);
const struct world *node_world(struct node *node);
/* Actors that live (or are being born). Any thread. */
uint32_t node_alive(struct node *node);
uint64_t node_seed(struct node *node);

/* A view for a thread that isn't a scheduler's (I/O, main): actor_send() and
 * actor_spawn() work with it, the running actor's functions don't. One thread
 * at a time. NULL: out of memory, or 8 are there already. */
struct env *node_outside(struct node *node);
void node_outside_free(struct env *env);

/* Posts every deadline that has come; world.alarm is told of the next one. */
void node_alarm(struct env *env);

#endif
