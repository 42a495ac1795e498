/* topology.h - a plan that runs: its tasks, channels, ackers and its end.
 * The topology is the table that routes go through (a task's number, not its
 * actor's generation) and the actor that supervises and knows the end. */
#ifndef ACTORS_STREAM_TOPOLOGY_H
#define ACTORS_STREAM_TOPOLOGY_H

#include "actors/stream/batch.h"
#include "actors/stream/loop.h"
#include "actors/stream/pending.h"
#include "actors/stream/plan.h"
#include "actors/stream/undecided.h"
#include "core/actor.h"
#include "core/edge.h"
#include "core/metric.h"
#include "core/ref.h"

struct faults;
struct topology;

/* One way from a task to a task. */
struct channel {
    struct edge edge;
    struct topology *topology;
    uint32_t from, to; /* tasks */
    unsigned input;    /* of the consumer's component */
    struct loop *loop; /* between two of its tasks; NULL: of none */
    struct loop *into; /* leads into it from outside; NULL: into none */
    bool back;
    /* What has come, even if it was lost with a reader that died: */
    _Atomic bool ended;                 /* the end marker */
    _Atomic uint64_t marker;            /* the newest mark */
    _Atomic bool dry;                   /* that nothing new comes */
    uint64_t came;                      /* consumer: by a way back, a barrier */
    struct msg *held_first, *held_last; /* consumer: owned */
};

struct task {
    struct topology *topology;
    const struct component_plan *component;
    unsigned number, index;
    _Atomic actor_id id;
    struct channel **inputs; /* owned array; the channels are the topology's */
    unsigned input_count;
    struct loop *loop; /* that it is in; or NULL */
    bool heads;        /* a loop: see backlog.c */
    /* What outlives the task's actor; written by the one that lives. */
    struct pending pending;     /* of a spout; the actor that lives has it */
    struct undecided undecided; /* of one that holds_back() */
    metric_id limit;  /* of a spout: a gauge, how many may be pending */
    void *state;      /* of a class whose state stays; owned */
    struct ref *left; /* what its class left; a reference, or NULL */
    unsigned starts;
    bool begun; /* its class has done what is done once */
    bool ended; /* all was emitted and told: a new actor has nothing to do */
    bool dry;   /* it was told that nothing new comes, and has told so */
    bool back;  /* all begin where the newest checkpoint saw them, it as well */
    bool backlogged; /* its backlog is in the store, and in its loop's count */
    uint64_t passed; /* newest mark passed on */
    _Atomic uint64_t unsettled; /* a spout's roots, pending or to be replayed */
};

/* It reads what can't be read again, and all tasks may go back: it keeps what
 * is settled until a checkpoint has decided that. */
bool task_holds_back(const struct task *task);

/* What a component has done so far; summed over its tasks. */
struct component_metrics {
    metric_id executed, emitted, acked, failed, replayed, gave_up, errors;
    metric_id left_out; /* parts of a source's input, see executor_fault() */
    /* A histogram. Spouts: from a root's emit to its ack; others: of a call of
     * execute, see tally_begin(). */
    metric_id latency;
};

enum topology_kind {
    TOPOLOGY_ENDED = KIND_OWN, /* executor: uint32_t task */
    TOPOLOGY_STARTED,          /* supervisor: uint32_t task has a new actor */
    /* From outside: end the sources; int64_t limit in ns. Told once more, an
     * earlier end counts. */
    TOPOLOGY_DRAIN,
    TOPOLOGY_RELOAD,   /* from outside: struct code *, with a reference */
    TOPOLOGY_LOADED,   /* executor: struct load_answer */
    TOPOLOGY_SWITCHED, /* executor: struct load_answer without error */
    TOPOLOGY_KILL,     /* from outside: uint32_t task, for campaigns */
    TOPOLOGY_PART,     /* executor: struct checkpoint_part *, a reference */
    TOPOLOGY_SOON,     /* executor: much is gathered for a checkpoint */
    TOPOLOGY_STORED,   /* store: struct store_write * */
    TOPOLOGY_REVEALED, /* struct reveal *: its job is done */
    TOPOLOGY_REWOUND,  /* supervisor: all tasks begin at the checkpoint */
    TOPOLOGY_LOOP,     /* loop: nothing may go round in it any more */
    TOPOLOGY_ACTIVATE, /* from outside: spouts emit; the first one starts all */
    TOPOLOGY_DEACTIVATE, /* from outside: spouts emit nothing new */
};

/* Why a topology has ended. */
struct topology_end {
    err why;            /* OK: by itself; ERR_STOPPED: drained; ERR_CRASHED */
    uint64_t unsettled; /* roots that were left when the drain was over */
    uint64_t gave_up;   /* tuples that failed for good */
    uint64_t left_out;  /* parts of the input that couldn't be read */
};

/* New code on its way to all tasks: made by the loader. */
struct code {
    struct ref ref;
    uint64_t version; /* given by the topology */
    void *text;       /* the loader's own */
    void *context;    /* of done() */
    /* Once, when all tasks run it or it was refused (error: text, borrowed);
     * on the topology's thread. */
    void (*done)(struct code *code, bool taken, const char *error);
};

struct load_answer {
    uint32_t task;
    uint64_t version;
    bool ok;
    char error[900];
};

struct topology_config {
    const struct plan *plan; /* borrowed until the end */
    /* Where checkpoints go, and where it goes on from; borrowed likewise. NULL:
     * there are none, and no component may keep state. */
    struct store *store;
    int64_t checkpoint_ns;  /* between two of them at first; 0: 1 s */
    unsigned ackers;        /* one per scheduler thread */
    unsigned restarts;      /* within 60 s before it gives up; 0: 5 */
    int64_t backoff_max_ns; /* between restarts; 0: 30 s */
    int64_t loop_bytes;     /* on a loop's way back; 0: LOOP_BYTES_MAX */
    int64_t drain_ns;       /* a drain that a component asks for; 0: none */
    /* Once, on a scheduler thread, when all has ended. */
    void (*ended)(void *context, const struct topology_end *end);
    void *context;
};

/* Starts it. The topology is freed by topology_free(), after its node's
 * threads have stopped. ERR_NOMEM, ERR_LIMIT: nothing was started. */
err topology_start(struct env *env, const struct topology_config *config,
                   struct topology **out);
void topology_free(struct topology *topology);
/* What went wrong in it. Any thread. */
struct faults *topology_faults(struct topology *topology);
/* Its actor: for TOPOLOGY_DRAIN and TOPOLOGY_RELOAD. */
actor_id topology_actor(const struct topology *topology);

/* ---- for executors and ackers ---- */

int64_t topology_drain_ns(const struct topology *topology);
/* NULL: there are no checkpoints. */
struct store *topology_store(const struct topology *topology);
/* What its tasks emit carries it; what is of another one means nothing. Any
 * thread. */
uint32_t topology_epoch(const struct topology *topology);
/* No spout emits until the next checkpoint is written. Any thread. */
void topology_stall(struct topology *topology);
const struct plan *topology_plan(const struct topology *topology);
struct task *topology_task(struct topology *topology, uint32_t task);
/* Of the task's actor that lives now. Any thread. */
actor_id topology_task_id(struct topology *topology, uint32_t task);
/* The acker of a root's spout. */
actor_id topology_acker(struct topology *topology, uint32_t spout_task);
unsigned topology_ackers(const struct topology *topology);
const struct component_metrics *
topology_metrics(const struct topology *topology, unsigned component);
/* How many roots the tasks of a component may have pending, all together; 0:
 * it is no spout, or nothing is tracked. Any thread. */
uint64_t topology_pending_limit(const struct topology *topology,
                                unsigned component, struct metrics *metrics);
/* The newest code that all tasks have taken; NULL: as loaded at first. One
 * reference, the caller's. Any thread. */
struct code *topology_code(struct topology *topology);
/* The clock of the message timeout at env_now()'s `now_ns`: it stands still
 * while the tasks wait for a reload's markers. Any thread. */
int64_t topology_clock_ns(const struct topology *topology, int64_t now_ns);
bool topology_aligns(const struct topology *topology);
/* Are spouts to wait, for a loop that is full, a task that has closed the gate,
 * a checkpoint that can't be written, or the first one of a run that is to be
 * exact? Any thread. */
bool topology_is_gated(const struct topology *topology);
/* Closes it, or opens it again: it is open when all who have closed it have.
 * Any thread. */
void topology_close_gate(struct topology *topology, bool closed);
/* ... for one of these checkpoints? Any thread. */
bool topology_is_stalled(const struct topology *topology);
/* The end marker has come by this channel, or was noted when its reader died.
 * True: it is one that its loop must be told of. Any thread. */
bool channel_end(struct channel *channel);
/* Are spouts to emit? Any thread. */
bool topology_is_active(const struct topology *topology);
/* Channels from a task to all tasks of an input's component, in order.
 * ERR_LIMIT: there are more than `room`. */
err topology_outputs(struct topology *topology, uint32_t task,
                     unsigned component, unsigned input, struct edge **edges,
                     unsigned room);

#endif
