/* runtime.h - what the files of core/ share and nobody else sees: the actor's
 * slot, the running thread's view, the node. */
#ifndef CORE_RUNTIME_H
#define CORE_RUNTIME_H

#include <pthread.h>

#include "core/actor.h"
#include "core/mailbox.h"
#include "core/metric.h"
#include "core/node.h"
#include "core/random.h"

/* Runtime messages beside enum system_kind; never seen by an actor. */
enum {
    SYS_SPAWN = 0x80, /* struct birth: fill the slot */
    SYS_MONITOR,      /* struct tie: remember who wants to know */
    SYS_DEMONITOR,    /* uint64_t: the ref */
    SYS_KILL,         /* err */
    SYS_CREDIT,       /* of an edge: its notice */
};

/* Slots are never freed while the node lives, so a push needs no lock: what
 * is addressed to an earlier generation is dropped by the receiver. All but
 * the mailbox and the queue links belongs to the thread that runs the slot. */
struct actor {
    struct mailbox box;
    actor_id id; /* 0 while nobody lives here */
    const struct actor_kind *kind;
    void *self;                /* owned; NULL before init() succeeded */
    struct tie *ties;          /* owned: who is told of its end */
    struct edge *owing;        /* edges with credit to hand back */
    struct actor *run_next;    /* of the run queue that holds it */
    struct actor *called_next; /* of those that were pushed from outside */
    uint16_t holds;            /* takes no data while above 0: its own, */
    uint16_t parks;            /* and these, of edges without credit */
    uint32_t slot;
    uint32_t generation; /* of the next one to live here */
    uint32_t free_next;  /* slot + 1 in the free list; under slots_lock */
    bool again : 1;
    bool queued : 1;  /* with a solo thread: in its queue, or running */
    bool token : 1;   /* with a solo thread: a push from outside scheduled it */
    bool dead : 1;    /* ended in this activation */
    bool vacant : 1;  /* to be given back when idle */
    bool stays : 1;   /* see env_stay() */
    bool grouped : 1; /* takes turns: its group is behind its state */
    uint8_t home;     /* number of the worker that ran it last */
    _Atomic bool twice; /* scheduled twice; see actors_share() */
    /* Of what actor_send() brought and wasn't received yet, large ones only:
     * a count of all bytes would cost each send a locked instruction. */
    _Atomic uint32_t large_bytes;
};
enum { ACTOR_BYTES = 128 }; /* two lines of a cache, which come together */
_Static_assert(sizeof(struct actor) == ACTOR_BYTES, "see there");

struct tie {
    struct msg msg; /* travels to the watched one, comes back as DOWN or EXIT */
    struct down down;
    struct tie *next;
    actor_id watcher;
    bool link;
    /* Of the first of a list: how long it may be, and when to look through it
     * for ties of watchers that have ended. */
    uint32_t length, full;
};

/* Small messages that the running actor has sent to one other in a row: they
 * go into its mailbox together. */
struct outgoing {
    struct actor *to;
    struct msg *newest, *oldest;
    uint32_t count;              /* 0: none */
    struct msg *trail[MSG_LEAD]; /* those sent last, in turn */
};

struct env {
    struct node *node;
    struct actor *actor;   /* running */
    struct worker *worker; /* NULL outside the scheduler's threads */
    struct metric_cells *cells;
    struct msg_pool pool;
    struct rng rng;
    int64_t now_ns; /* 0: not read yet */
    uint32_t spent; /* reductions of this activation */
    unsigned thread;
    bool solo; /* no other thread runs actors: mailboxes need no lock */
    struct outgoing outgoing;
    struct msg *hand;          /* the data message in hand; NULL once kept */
    struct actor_group *group; /* whose turn the activation has; NULL: none's */
};

#define container_of(pointer, type, member)                                    \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

enum {
    BUDGET = 256, /* reductions of one activation */
    OUTSIDE_THREADS = 8,
    SLOT_BITS = 24,
    GENERATION_BITS = 24,
    CHUNK_BITS = 10, /* slots are allocated 1,024 at a time */
    CHUNKS = 1 << (SLOT_BITS - CHUNK_BITS),
};

struct node {
    struct node_config config;
    uint16_t number;
    struct msg_depot *depot;
    struct metrics *metrics;
    struct deadlines *deadlines;
    _Atomic uint32_t outside; /* a bit per outside view */
    _Atomic(struct actor *) chunks[CHUNKS];
    pthread_mutex_t slots_lock; /* guards the next four */
    uint32_t slot_count;
    struct actor *free_first, *free_last; /* FIFO: generations last longer */
    uint64_t tie_refs;
    _Atomic uint32_t alive;
    metric_id spawned, crashed, dropped;
};

static inline uint32_t id_slot(actor_id id)
{
    return (uint32_t)(id >> GENERATION_BITS) & ((1u << SLOT_BITS) - 1);
}

static inline struct actor *actor_at(struct node *node, uint32_t slot)
{
    return at_load(&node->chunks[slot >> CHUNK_BITS], ACQUIRE) +
           (slot & ((1u << CHUNK_BITS) - 1));
}

/* A thread's view: set up, torn down by that thread. */
void env_init(struct env *env, struct node *node, unsigned thread);
void env_fini(struct env *env);

/* Runs one activation of a scheduled actor, or has it wait for the turn of its
 * group, which schedules it. True: schedule it again. The caller owns the actor
 * exclusively until then. */
bool actor_turn(struct env *env, struct actor *actor);

/* Solo: a push from another thread has scheduled the actor. True: it isn't
 * queued yet, run it; false: it is, and will see the message. */
static inline bool actor_claim(struct actor *actor)
{
    actor->token = true;
    if (actor->queued) return false;
    actor->queued = true;
    return true;
}

/* The solo thread won't be the only one any more: from here on all mailboxes
 * are used as with several threads, for good. Called by the solo thread within
 * an activation and outside of any function of core/; whoever runs actors next
 * must be woken after it.
 * An actor may have been scheduled twice, by the solo thread and by a push from
 * outside that is still on its way (see actor_claim()). The one that ends first
 * does away with the other: actor_called(), and the end of its activation. */
void actors_share(struct env *env);

/* A push from outside has scheduled the actor, on a node that isn't solo. True:
 * run it; false: it is scheduled beside that. */
static inline bool actor_called(struct actor *actor)
{
    /* acquire: its last activation may have left the actor to us. */
    return !at_load(&actor->twice, ACQUIRE) ||
           !at_swap(&actor->twice, false, ACQ_REL);
}

/* The actor has something to do: hand it to the world's scheduler. */
void actor_ready(struct env *env, struct actor *actor);

/* At the end of a node, with no thread running: free what actors hold. */
void actor_reap(struct env *env, struct actor *actor);

#endif
