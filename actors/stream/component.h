/* component.h - what an executor runs: the class of a spout, bolt or sink.
 * Native sources, sinks and operators are classes; all Lua components share
 * one (lua/component.c). The executor keeps order, credit, acking, replay and
 * ends; a class only computes. Its functions run on the executor's thread. */
#ifndef ACTORS_STREAM_COMPONENT_H
#define ACTORS_STREAM_COMPONENT_H

#include "actors/stream/batch.h"
#include "actors/stream/emitter.h"
#include "core/actor.h"
#include "core/store.h"

struct executor;
struct job;
struct state;

#define TOKEN_NONE UINT64_MAX

/* How a class's function went. */
enum step {
    STEP_DONE,     /* it is through */
    STEP_AGAIN,    /* next: there is more, call soon */
    STEP_IDLE,     /* next: nothing now; call when something came, or later */
    STEP_END,      /* next: the input has ended */
    STEP_YIELD,    /* suspended: its slice is over; call resume() soon */
    STEP_SLEEP,    /* suspended: call resume() after context.sleep_ns */
    STEP_CRASH,    /* the task can't go on: context.error says why */
    STEP_HOPELESS, /* nor could a new one: the run ends */
};

/* What becomes of a failed tuple. */
enum verdict {
    VERDICT_REPLAY, /* the executor calls replay(), up to `retries` times */
    VERDICT_MINE,   /* the class decides itself (a Lua spout's fail()) */
    VERDICT_FINAL,  /* it can't be emitted again: it has failed for good */
};

/* A task as its class sees it; lives as long as its executor. */
struct component_context {
    struct executor *executor;
    const struct plan *plan;
    const struct component_plan *component;
    unsigned task;   /* number in the plan */
    unsigned index;  /* among the component's tasks */
    unsigned starts; /* of this task before: above 0 its actor crashed */
    bool *begun;     /* the task's; the class sets it, its next actor sees it */
    struct ref **left;       /* likewise: a reference that it leaves; or NULL */
    const void *code;        /* during make(): the newest; NULL: as planned */
    struct state *state;     /* of a component that keeps one; or NULL */
    struct env *env;         /* of the running activation */
    struct emitter *emitter; /* where it emits */
    int64_t sleep_ns;
    char error[2048]; /* of STEP_CRASH and executor_fail(): with traceback */
};

/* Tuples to be executed: a cursor over one batch. Of a combined one (batch.h),
 * which only inputs that combine bring, it stays at its beginning: the class
 * takes the batch and says input_batch_done() or executor_fail_batch(), and
 * emits nothing. */
struct input {
    struct batch *batch;     /* borrowed */
    const uint8_t *at;       /* values of the tuple in hand or next */
    uint32_t left;           /* tuples not begun */
    uint32_t run_left;       /* of the anchor's tuples, not begun */
    uint32_t anchor;         /* number of the next one */
    uint64_t root;           /* of the run; 0: untracked; or ROOT_LIST */
    uint64_t edges;          /* XOR gathered for the root in this batch */
    struct root_list *roots; /* ROOT_LIST: these */
    unsigned source;         /* which of the component's inputs it came by */
};

struct component_class {
    const char *name;
    size_t state_bytes; /* zeroed before make() */
    /* The state outlives an actor that crashes: the task's next one goes on
     * with it, without make(), from open(); what was pending fails and is
     * replayed. Jobs of the actor before tell nobody that they are done. */
    bool stays;
    bool heavy;     /* turns touch much memory: env_stay() */
    bool rewinds;   /* a source, and */
    bool transacts; /* a sink: see plan.h; but for what config asks of it: the
                     * option's name, borrowed; NULL: nothing does */
    const char *(*untransacted)(const void *config);
    /* Likewise: it is one that needs checkpoints. NULL: none does. */
    bool (*checkpointed)(const void *config);
    bool reduces; /* it combines for readers that reduce (input_plan) */

    /* What differs between two configs of a component that a running task
     * doesn't take over: an option's name, borrowed. NULL: nothing does. A
     * class without options needs none. */
    const char *(*change)(const void *now, const void *next);

    /* Reads config, takes memory. On an error: context->error says why, and
     * free() won't run. Of a state that stays free() runs when the topology is
     * freed: env is NULL then, and the executor is none. */
    err (*make)(struct component_context *context, void *self);
    void (*free)(struct component_context *context, void *self);
    /* The task starts (prepare, open). May suspend. */
    enum step (*open)(struct component_context *context, void *self);

    /* Bolts and sinks: take tuples with input_next() until it gives NULL,
     * each followed by input_done() or executor_fail(). May suspend. */
    enum step (*execute)(struct component_context *context, void *self,
                         struct input *input);
    /* The batch was executed and nothing waits: write what is gathered.
     * STEP_IDLE: job_done() or resume() will say how it went, acks wait for
     * it. May sleep. NULL: nothing to do. */
    enum step (*settle)(struct component_context *context, void *self);
    /* All inputs have ended; may emit. NULL: nothing to do. May suspend. */
    enum step (*finish)(struct component_context *context, void *self);
    enum step (*tick)(struct component_context *context, void *self);
    /* Nothing new is to come by any input, though what failed may come again:
     * what only waits for more is to be done with, since the sources end when
     * all tuples are settled. In topologies that have windows; once. May emit,
     * may suspend. NULL: nothing waits. */
    enum step (*dry)(struct component_context *context, void *self);
    /* Goes on with what was suspended. Required where anything suspends. */
    enum step (*resume)(struct component_context *context, void *self);

    /* Spouts: emit some tuples (executor_root() before a tracked one) until
     * env_spent(), executor_full(), or there are none. May suspend. */
    enum step (*next)(struct component_context *context, void *self);
    /* The tuple of this token is through. NULL: not interested. */
    void (*ack)(struct component_context *context, void *self, uint64_t token);
    /* The tuple of this token failed. NULL: VERDICT_REPLAY. */
    enum verdict (*fail)(struct component_context *context, void *self,
                         uint64_t token, const char *reason);
    /* It may emit from now on, or may not; also told before its first next().
     * May suspend. NULL: not interested. */
    enum step (*activate)(struct component_context *context, void *self,
                          bool active);
    /* What ack() and fail() left to be done; may suspend. NULL: nothing. */
    enum step (*notify)(struct component_context *context, void *self);
    /* Emit the tuple of this token once more. STEP_IDLE: it can't be had yet,
     * call again when something came. STEP_END: it can't be had any more,
     * context->error says why; it has failed for good. */
    enum step (*replay)(struct component_context *context, void *self,
                        uint64_t token);
    /* The token is settled for good: forget it. NULL: nothing to forget. */
    void (*release)(struct component_context *context, void *self,
                    uint64_t token);
    /* The topology is drained: next() won't be called again. Emit what only
     * waited for more to come. Once. NULL: nothing waits. */
    enum step (*drain)(struct component_context *context, void *self);
    /* A job that the class started with executor_job() is done. */
    enum step (*job_done)(struct component_context *context, void *self,
                          struct job *job);

    /* New code: load `version` beside the old. On an error the old stays and
     * context->error says why. Then switch_code() at the marker, or
     * drop_code(). NULL: the class has no code. */
    err (*load_code)(struct component_context *context, void *self,
                     const void *code);
    enum step (*switch_code)(struct component_context *context, void *self);
    void (*drop_code)(struct component_context *context, void *self);

    /* A checkpoint's barrier has come: what came before it is to be durable,
     * that it can be said in snapshot() and outlives the process. STEP_IDLE:
     * job_done() or resume() will say how it went. NULL: it is. */
    enum step (*prepare)(struct component_context *context, void *self);
    /* Where a source or sink stands, for a checkpoint: appended to `out`, read
     * back before open(), by a sink only when all have gone back. `oldest`: of
     * a source's tokens that aren't settled the least; from there it goes on
     * then; TOKEN_NONE: all are. NULL: it begins anew. */
    err (*snapshot)(struct component_context *context, void *self,
                    uint64_t oldest, struct buffer *out);
    /* Files that appear with the checkpoint which snapshot() was for: appends
     * their old and new names as reveal.h says. NULL: there are never any. */
    err (*reveal)(struct component_context *context, void *self,
                  struct buffer *out);
    /* ERR_FORMAT: context->error says what is wrong with it. */
    err (*restore)(struct component_context *context, void *self,
                   struct bytes position);
    /* Rows of its own for the checkpoint: see rows.h; it finds those of the
     * newest one in executor_store(). Or it writes to context->state, which the
     * checkpoint takes next. A component with it (keeps, plan.h) is never
     * started anew alone: all go back together. *out stays NULL where there are
     * none. */
    err (*keep)(struct component_context *context, void *self,
                struct store_part **out);
    /* Takes back what the failed call wrote to the state. */
    void (*undo)(struct component_context *context, void *self);
};

/* ---- for bolts ---- */

/* Who sends by one of the component's inputs, and the stream it comes from. */
static inline const struct component_plan *
input_component(const struct component_context *context, unsigned source)
{
    unsigned from = context->component->inputs[source].component;
    return &context->plan->components[from];
}
static inline const struct stream_plan *
input_stream(const struct component_context *context, unsigned source)
{
    unsigned stream = context->component->inputs[source].stream;
    return &input_component(context, source)->streams[stream];
}

void input_run(struct component_context *context, struct input *input);
/* The values of the next tuple, NULL: the batch is through. What is emitted
 * until input_done() is anchored to it. */
static inline const uint8_t *input_next(struct component_context *context,
                                        struct input *input)
{
    if (input->run_left == 0) input_run(context, input);
    if (input->left == 0) return NULL;
    input->left--;
    input->run_left--;
    return input->at;
}

/* The tuple in hand failed: what it emitted is taken back, its root fails with
 * this reason (message and traceback; copied). `end` is behind its values. */
void executor_fail(struct component_context *context, struct input *input,
                   const uint8_t *end, const char *reason);

/* All rows of a combined batch were taken. */
static inline void input_batch_done(struct component_context *context,
                                    struct input *input)
{
    input->left = 0;
    input_run(context, input);
}

/* A combined batch can't be taken, before anything of it was: all that it is
 * of fails with this reason. */
void executor_fail_batch(struct component_context *context, struct input *input,
                         const char *reason);

/* The tuple in hand was processed; `end` is behind its values. It fails when
 * an emit was refused, even if the component took no notice. */
static inline void input_done(struct component_context *context,
                              struct input *input, const uint8_t *end)
{
    if (context->emitter->failed) {
        const char *why = context->emitter->refusal;
        executor_fail(context, input, end,
                      why ? why : "a part of what it emitted was refused");
        return;
    }
    input->at = end;
    const struct emitter *e = context->emitter;
    if (e->emitted == e->emitted_kept) return; /* nothing to keep */
    input->edges ^= e->edges;
    emitter_keep(context->emitter);
}

/* ---- for bolts that settle tuples themselves ---- */

/* How many roots the tuple in hand has. */
static inline uint32_t input_roots(const struct input *input)
{
    if (input->root == 0) return 0;
    return input->root == ROOT_LIST ? input->roots->count : 1;
}

/* The tuple in hand is held: each of its roots, input_roots() many, stays open
 * under an edge id of its own until executor_settle_held() is given it. */
void executor_hold(struct component_context *context, struct input *input,
                   struct list_root *out);
/* The held roots are processed: their edges are acked. */
void executor_settle_held(struct component_context *context,
                          const struct list_root *roots, uint32_t count);
/* They have failed, for a reason (copied). */
void executor_fail_held(struct component_context *context,
                        const struct list_root *roots, uint32_t count,
                        const char *reason);
/* They are worked on: their time begins anew. */
void executor_touch_held(struct component_context *context,
                         const struct list_root *roots, uint32_t count);

/* A call for tuples that are held failed, for a reason (copied): what it
 * emitted is taken back. The class fails the tuples; where on_error is to crash
 * the task, it comes back then with STEP_DONE. */
void executor_undo(struct component_context *context, const char *reason);
/* A call for what lies in the task's state failed, for a reason (copied), so
 * many times in a row, this one counted: what it emitted and wrote is taken
 * back. True: it is to be made again after context->sleep_ns (0: soon). False:
 * it counts as made, for it has failed for good, or on_error says so; where
 * that is to crash the task, the class comes back then with STEP_DONE. */
bool executor_retry(struct component_context *context, unsigned tries,
                    const char *reason);

/* Is nothing new to come by this input? Its sources are exhausted; what failed
 * may come again. */
bool executor_input_is_dry(const struct component_context *context,
                           unsigned source);
/* tick() at this time of env_now() instead of every_ns, once; INT64_MAX: not at
 * all. One that can't run then runs soon after. ERR_NOMEM. */
err executor_tick_at(struct component_context *context, int64_t at_ns);

/* ---- for spouts ---- */

/* The next emitted tuple is tracked under a new root; `token` comes back in
 * ack(), fail() and replay(). Between it and executor_rooted() all emits
 * belong to the root. False: out of memory. */
bool executor_root(struct component_context *context, uint64_t token);
void executor_rooted(struct component_context *context);
/* What belongs to the root couldn't be emitted: there is none. Also done when
 * the next one begins or the call is over; harmless when there is none. */
void executor_unroot(struct component_context *context);
/* An untracked tuple was emitted: seal what is full. */
void executor_emitted(struct component_context *context);
/* Emits one tuple, encoded, under a root of its own if tuples are tracked, and
 * charges the turn. False: out of memory. */
bool executor_emit(struct component_context *context, uint64_t token,
                   unsigned stream, const uint8_t *values, uint32_t bytes);
/* As many roots are pending as may be: emit no more for now. */
bool executor_full(const struct component_context *context);
/* Is anything tracked in this topology? */
bool executor_tracks(const struct component_context *context);

/* ---- for all ---- */

/* Where checkpoints are; NULL: none are taken. */
struct store *executor_store(const struct component_context *context);
/* Much is gathered for the next checkpoint: let it come soon, and the spouts
 * wait for it. */
void executor_checkpoint_soon(struct component_context *context, bool wait);
/* Something outside is full: all spouts of the topology wait until this task
 * says that it has room, or ends. */
void executor_close_gate(struct component_context *context, bool closed);
/* Blocking work; job_done() follows on this executor. See core/job.h. */
void executor_job(struct component_context *context, struct job *job);
/* Call next() again: something came. */
void executor_wake(struct component_context *context);
/* Nobody wants the results any more: the topology is drained. */
void executor_drain(struct component_context *context);
/* A fault of what is outside: an error in the component's metrics, a line in
 * the log (many with the same `format` are counted there). Where something of
 * the input was left out by it, the run that goes on ends with exit 1. */
enum loss { LOSS_NONE, LOSS_INPUT };
void executor_fault(struct component_context *context, enum loss loss,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A line in the log, under the component's name and task. */
void executor_log(struct component_context *context, int level,
                  const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
