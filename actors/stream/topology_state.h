/* topology_state.h - a topology and its actor, as the files that make them up
 * share them: topology.c starts and ends, channels.c lays the ways between
 * tasks, reload.c carries new code, checkpoint.c takes checkpoints. For these
 * only. */
#ifndef ACTORS_STREAM_TOPOLOGY_STATE_H
#define ACTORS_STREAM_TOPOLOGY_STATE_H

#include "actors/stream/checkpoint.h"
#include "actors/stream/ledger.h"
#include "actors/stream/reveal.h"
#include "actors/stream/topology.h"
#include "core/deadline.h"
#include "core/supervisor.h"
#include <pthread.h>

enum timer { TIMER_DRAIN = 1, TIMER_OWED, TIMER_CHECKPOINT };

/* What a task is to be told as soon as there is memory for it. */
enum owed {
    OWED_LOAD = 1,
    OWED_DROP = 2,
    OWED_SWITCH = 4,
    OWED_CLOSE = 8,
    OWED_ACTIVE = 16,
    OWED_BARRIER = 32,
    OWED_DECIDED = 64,
    OWED_LOOK = 128,
};
enum { OWED_WAIT_NS = 10 * 1000 * 1000 };

/* Who has the store's records of the topology. */
enum phase {
    PHASE_IDLE,
    PHASE_TELLING,    /* of a barrier, or of the end of a loop */
    PHASE_COMMITTING, /* a checkpoint is being written */
    PHASE_REWINDING,  /* its tasks go back to what is written */
};

struct topology {
    struct topology_config config;
    actor_id actor;
    struct task *tasks;           /* owned, plan->tasks of them */
    struct channel *channels;     /* owned */
    struct channel **input_lists; /* owned: what tasks' inputs point into */
    unsigned channel_count;
    struct loop *loops;                /* owned, plan->loops of them */
    struct component_metrics *metrics; /* owned, by component */
    struct faults *faults;             /* owned */
    struct actor_group **turns;        /* owned, by task; see turns.h */
    struct child_spec *children;       /* owned */
    struct task **child_args;          /* owned: what specs of tasks point to */
    bool going; /* every task has been started once; the supervisor's */
    bool begun; /* children were started; the supervisor's */
    _Atomic bool active;
    _Atomic bool stalled;   /* a checkpoint is written before anything moves */
    _Atomic unsigned gates; /* closed by so many tasks */
    _Atomic int phase;
    _Atomic uint32_t epoch;   /* how often all tasks have gone back */
    struct topology *self;    /* what specs of ackers point to */
    _Atomic actor_id *ackers; /* owned */
    pthread_mutex_t code_lock;
    struct code *code; /* taken by all tasks; a reference; under the lock */
    /* How long the clock of the message timeout has stood; while it stands,
     * what it shows, as ~ns. One word: any thread reads it at any time. */
    _Atomic int64_t stood_ns;
};

/* Checkpoints: see checkpoint.c. */
struct checkpoints {
    struct ledger_checkpoint newest; /* in the store */
    struct ledger_checkpoint next;   /* that is being written */
    uint64_t *stood;  /* owned, by task: a hash of its position in the store */
    bool *backlogged; /* owned, by task: the store may have a backlog */
    uint64_t mark;    /* of the barrier that aligns; 0: none */
    bool *answered;   /* owned, by task */
    unsigned answers;
    struct checkpoint_part *parts; /* references: of the one in hand */
    struct checkpoint_part *last;  /* and of tasks that have ended */
    struct store_write *write;     /* a reference; NULL: none is made */
    struct reveal *reveal; /* likewise: what is done when it is decided */
    bool named;            /* the store has names of files */
    bool revealing;        /* it was decided, and they are not done */
    bool retry;            /* the write failed, or there was no memory for it */
    bool told;             /* that it can't be written */
    bool soon;             /* the next one comes as soon as it can */
    int64_t began_ns, interval_ns, retry_ns;
    deadline_id timer;
    bool stopping; /* the run ends with a checkpoint ... */
    bool final;    /* ... which is the one in hand, unless */
    bool busy;     /* tuples were under way in it, and there is time */
    int64_t stop_ns;
};

/* The actor's own. */
struct root {
    struct topology *topology;
    actor_id supervisor;   /* 0: it has ended */
    struct msg *end_order; /* owned: ends the supervisor */
    bool begun;            /* it was started: not before the first activation */
    unsigned ended;
    bool *has_ended; /* owned, by task */
    uint8_t *owed;   /* owned, by task: enum owed */
    deadline_id owed_timer;
    bool draining, over;
    struct topology_end end;
    deadline_id drain_timer;
    int64_t drain_ns; /* when it is over */
    struct checkpoints checkpoints;
    /* A reload in hand. */
    struct code *loading; /* a reference */
    uint64_t marks;       /* the newest */
    bool *answered;       /* owned, by task: has loaded, then: has switched */
    unsigned answers;
    bool refused, switching;
    char error[900];
};

/* ---- topology.c ---- */

/* To the actor that is the task now. What there is no memory for is owed. Of a
 * barrier nobody is told while tasks go back: TOPOLOGY_REWOUND comes. */
err root_tell(struct env *env, struct root *r, uint32_t task, enum owed what);
err root_tell_tasks(struct env *env, struct root *r, enum owed what,
                    bool sources_only);
/* Is it where barriers begin: a spout, or a loop's head? */
bool root_is_source(const struct root *r, uint32_t task, enum owed what);
/* Loops that are over. */
err root_look_at_loops(struct env *env, struct root *r);
/* It is decided how it ends. */
err root_finish(struct env *env, struct root *r, err why);
/* The clock of the message timeout stands, and goes on. */
void root_stop_clock(struct topology *t, int64_t now_ns);
void root_start_clock(struct topology *t, int64_t now_ns);

/* ---- channels.c ---- */

unsigned channels_count(const struct plan *plan);
/* Tasks and the channels between them, in t's arrays. */
void channels_lay(struct topology *t);

/* ---- checkpoint.c ---- */

/* What is left of the class's state, for an actor that didn't come. */
void topology_free_state(struct task *task);

/* Where the tasks stood when the newest checkpoint was taken: those that had
 * ended have. ERR_FORMAT and the store's errors. */
err checkpoint_restore(struct topology *t, struct ledger_checkpoint *newest);
/* The supervisor's: may the children start? They go back to the newest
 * checkpoint, if they were there before. */
bool checkpoint_rewind(struct env *env, void *topology);

err checkpoint_init(struct env *env, struct root *r);
void checkpoint_fini(struct env *env, struct root *r);
/* Are tasks waiting for each other's barriers? */
bool checkpoint_aligns(const struct root *r);
/* Its messages, and its timer. */
err checkpoint_part_came(struct env *env, struct root *r, const struct msg *m);
err checkpoint_stored(struct env *env, struct root *r);
err checkpoint_revealed(struct env *env, struct root *r);
err checkpoint_rewound(struct env *env, struct root *r);
err checkpoint_timer(struct env *env, struct root *r);
/* A task has a new actor, or has ended. */
err checkpoint_task_started(struct env *env, struct root *r, uint32_t task);
err checkpoint_task_ended(struct env *env, struct root *r, uint32_t task);
/* No task is left, or the run is to stop at the next checkpoint: after it
 * root_finish() is called. */
err checkpoint_end(struct env *env, struct root *r);
err checkpoint_stop(struct env *env, struct root *r);
void checkpoint_soon(struct env *env, struct root *r);

/* ---- reload.c ---- */

/* TOPOLOGY_RELOAD, TOPOLOGY_LOADED and TOPOLOGY_SWITCHED came. */
err reload_begin(struct env *env, struct root *r, const struct msg *m);
err reload_loaded(struct env *env, struct root *r,
                  const struct load_answer *answer);
err reload_switched(struct env *env, struct root *r,
                    const struct load_answer *answer);
/* If all have loaded it, it goes in band as soon as no checkpoint aligns. */
err reload_switch(struct env *env, struct root *r);
/* The one in hand is over. */
void reload_close(struct env *env, struct root *r, bool taken,
                  const char *error);

#endif
