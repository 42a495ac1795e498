/* executor_state.h - the state of a task's actor and how its sides call each
 * other: executor.c has what all tasks do, marks.c what markers do, settle.c
 * what becomes of tuples, source.c a spout's roots, replays, turns and end,
 * letters.c what it does with what failed for good, parts.c what it gives to
 * checkpoints, tally.c what is counted, backlog.c what goes round a loop
 * meanwhile. For these only. */
#ifndef ACTORS_STREAM_EXECUTOR_STATE_H
#define ACTORS_STREAM_EXECUTOR_STATE_H

#include "actors/stream/acker.h"
#include "actors/stream/executor.h"
#include "actors/stream/letters.h"
#include "actors/stream/limit.h"
#include "actors/stream/pending.h"
#include "core/deadline.h"

enum call {
    CALL_NONE,
    CALL_OPEN,
    CALL_EXECUTE,
    CALL_RETRY, /* of execute, later */
    CALL_NEXT,
    CALL_REPLAY,
    CALL_NOTIFY,
    CALL_ACTIVATE,
    CALL_DRY,
    CALL_FINISH,
    CALL_TICK,
    CALL_PREPARE,
    CALL_SWITCH,
    CALL_SETTLE,
    CALL_JOB
};

enum timer {
    TIMER_SLEEP = 1,
    TIMER_IDLE,
    TIMER_REPLAY,
    TIMER_CHECK,
    TIMER_TICK,
    TIMER_STALL
};

struct executor {
    struct component_context context;
    const struct component_class *class;
    void *self; /* owned; by the task where the class's state stays */
    struct task *task;
    struct topology *topology;
    struct emitter emitter;
    const struct component_metrics *metrics;

    bool opened, going, finished, ended;
    enum call suspended;
    bool yielded;                         /* ... until the next MSG_AGAIN */
    struct msg *later_first, *later_last; /* put off while suspended */

    int64_t began_ns; /* the call of execute in hand; if it is timed */
    uint32_t weight;  /* for how many such calls it stands; 0: not timed */
    unsigned small;   /* small batches since the last that was timed */
    struct input input;
    struct root_list roots;             /* of input, when it has several */
    struct msg *hand;                   /* the batch of `input` */
    struct msg *last_word;              /* TOPOLOGY_ENDED; NULL once said */
    struct msg *acks_first, *acks_last; /* ACKER_ACK, filling; the last */
    unsigned turns; /* since what is combined has left last */
    bool gathering; /* settle() is owed or not through: acks wait for it */
    bool releasing; /* release_held() is running */
    bool crashing;  /* a tuple failed where that ends the task */
    /* Retries in place: */
    const uint8_t *tried; /* the tuple of the batch in hand; NULL: none */
    unsigned tries;
    bool again;              /* it is to be tried again */
    uint32_t again_left;     /* it and the tuples behind it */
    uint64_t marker;         /* that is being passed on; 0: none */
    uint64_t loop_left;      /* its loop is told of it when all has left */
    uint64_t loaded_version; /* of the newest code in the class */
    struct checkpoint_part *waiting; /* owned, a loop's head: for a barrier that
                                      * comes round; NULL: none */
    uint64_t told;                   /* likewise: the newest barrier */
    bool closes_gate;                /* see executor_close_gate() */
    int asked; /* for a checkpoint: 1, 2: one that the spouts wait for */

    /* Spouts. */
    struct pending pending; /* the task's, while this actor lives */
    struct msg *inits;      /* ACKER_INIT, filling */
    bool holds_back;        /* task_holds_back() */
    uint32_t root_tries;
    struct letters *letters; /* owned; NULL: no stream takes what failed */
    bool replaying; /* a call of replay() is not through, maybe suspended */
    uint64_t marker_wanted; /* to be put in when no call is suspended */
    bool source_ended, closing, idle;
    bool active;             /* as the class was told */
    bool drained;            /* drain() was called */
    bool notices;            /* notify() is owed */
    struct limit limit;      /* of pending.count */
    uint64_t limit_shown;    /* by the task's gauge */
    uint64_t stall_progress; /* the limit's, when stall_timer was set */
    deadline_id sleep_timer, idle_timer, replay_timer, check_timer, tick_timer;
    deadline_id stall_timer;
    int64_t replay_timer_ns;
    int64_t parked_ns; /* since when there is no credit; 0: there is */
    bool told_parked;  /* a check said so */
    bool told_full;    /* pending.count is at its limit and nothing moves */

    uint64_t executed, acked, failed, replayed, gave_up, errors, left_out;
};

static inline struct executor *executor_of(struct component_context *context)
{
    return context->executor;
}

static inline bool is_spout(const struct executor *x)
{
    return x->task->component->kind == COMPONENT_SPOUT;
}

/* ---- executor.c ---- */

/* A call of the class has come back, at first or after it was suspended. */
err executor_after(struct executor *x, enum call call, enum step step);
/* The task has told its readers that nothing new comes. ERR_NOMEM. */
err executor_dry(struct executor *x);
/* The marker of the end is passed on, the topology is told. */
err executor_end(struct executor *x);
/* A message to the topology's actor. ERR_NOMEM. */
err executor_tell_topology(struct executor *x, uint16_t kind, const void *body,
                           uint32_t bytes);
/* It waits on its channel, behind what waits there. */
void channel_hold(struct channel *c, struct msg *m);
/* Sets a timer anew. ERR_NOMEM: it isn't set. */
err executor_set_timer(struct executor *x, deadline_id *timer, int64_t at_ns,
                       enum timer cookie);

/* ---- marks.c ---- */

/* All that came before this mark is through: the class takes the code of that
 * version, or prepares its part of the checkpoint. */
err marks_switch(struct executor *x, uint64_t mark);
/* Which it has prepared. */
err marks_prepared(struct executor *x);
/* If one has come on all inputs that flow, marks_switch(). */
err marks_align(struct executor *x);
/* It is done: readers are told. */
err marks_pass_on(struct executor *x);
/* EXECUTOR_LOAD: the class loads code, the topology is told whether it can. */
err marks_load(struct executor *x, const struct msg *m);
/* The topology wants this mark to begin here. */
err marks_wanted(struct executor *x, uint64_t mark);

/* ---- tally.c ---- */

/* Adds what the activation has counted to the node's metrics. */
void tally_count(struct executor *x);
/* A batch of so many tuples goes into execute, and is through: a part of the
 * time between for each tuple is its latency. */
void tally_begin(struct executor *x, uint32_t tuples);
void tally_end(struct executor *x, uint32_t tuples);
/* Remembers what went wrong, for who asks; kinds as in faults.h. */
void tally_fault(struct executor *x, uint64_t kind, const char *text);

/* ---- parts.c ---- */

/* Where the component keeps state, the task's. ERR_HOPELESS: it can't; the
 * context's error says why. */
err parts_begin(struct executor *x);
/* The class is made: it goes on where the newest checkpoint says. */
err parts_restore(struct executor *x);
/* The activation ends: much that has changed makes the checkpoint come soon. */
void parts_rest(struct executor *x);
/* To the checkpoint of this mark; 0: the task has ended. */
err parts_give(struct executor *x, uint64_t mark);
/* It is whole; takes it. */
err parts_send(struct executor *x, struct checkpoint_part *part);

/* ---- backlog.c ---- */

/* The executor is made: the backlog in the store waits on its channels. */
err backlog_restore(struct executor *x);
/* The task has given what it is itself. True: the part is kept, and goes when
 * the barrier has come round. ERR_NOMEM. */
err backlog_begin(struct executor *x, struct checkpoint_part *part, bool *kept);
/* A batch or marker has come by a way back. ERR_NOMEM. */
err backlog_came(struct executor *x, struct channel *c, struct batch *b);
/* The part goes, if nothing is missing any more. */
err backlog_look(struct executor *x);
/* The actor ends. */
void backlog_drop(struct executor *x);

/* ---- settle.c ---- */

/* An empty message of updates; NULL: out of memory. Owned. */
struct msg *settle_updates(struct executor *x, uint16_t kind);
/* The acks gathered so far leave. */
void settle_send(struct executor *x);
/* The actor ends: what was processed fails, since what it emitted is lost. */
void settle_lose(struct executor *x);
/* How long it waits, after so many times, until what failed is tried again. */
int64_t settle_wait_ns(unsigned tries);
void settle_lose_root(void *executor, uint64_t root);
/* A batch that wasn't processed; it is done with. */
void settle_lose_batch(struct executor *x, struct msg *m);

/* ---- source.c ---- */

/* The class is made: what was pending for the actor before it has failed. */
err source_begin(struct executor *x);
/* A checkpoint is decided. */
void source_decided(struct executor *x);
/* The actor ends: what the task's next one goes on with. */
void source_leave(struct executor *x);
/* The source's turn: emits until the budget is spent or there is nothing. */
err source_pump(struct executor *x);
/* next() has come back; replay(), or drain(). */
err source_after_next(struct executor *x, enum step step);
err source_after_replay(struct executor *x, enum step step);
/* Puts the marker that is wanted in the streams, unless a call is suspended:
 * what was emitted before it met old code. */
err source_put_marker(struct executor *x);
/* A spout's messages and timers; ERR_BADMSG: it is no such. */
err source_receive(struct executor *x, const struct msg *m);
err source_timer(struct executor *x, enum timer timer);
/* The activation ends, all that was emitted has left. */
err source_settle(struct executor *x);

#endif
