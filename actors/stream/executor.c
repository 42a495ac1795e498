/* executor.c - runs one task: takes batches, calls the class, keeps the acks,
 * aligns markers, replays what failed, and ends when its inputs have.
 * A class's call may be suspended (its Lua slice is over, it sleeps): then the
 * executor takes no data and puts off every message but the few that end or
 * resume it. */
#include "actors/stream/executor.h"
#include "actors/stream/acker.h"
#include "actors/stream/pending.h"
#include "core/alloc.h"
#include "core/deadline.h"
#include "core/job.h"
#include "core/log.h"
#include "core/node.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum call {
    CALL_NONE,
    CALL_OPEN,
    CALL_EXECUTE,
    CALL_NEXT,
    CALL_REPLAY,
    CALL_NOTIFY,
    CALL_FINISH,
    CALL_TICK,
    CALL_SWITCH,
    CALL_SETTLE,
    CALL_JOB
};

enum timer {
    TIMER_SLEEP = 1,
    TIMER_IDLE,
    TIMER_REPLAY,
    TIMER_CHECK,
    TIMER_TICK
};

struct executor {
    struct component_context context;
    const struct component_class *class;
    void *self; /* owned */
    struct task *task;
    struct topology *topology;
    struct emitter emitter;
    const struct component_metrics *metrics;
    struct metric_cells *cells;

    bool opened, going, finished, ended;
    enum call suspended;
    struct msg *later_first, *later_last; /* put off while suspended */

    struct input input;
    struct msg *hand;                   /* the batch of `input` */
    struct msg *last_word;              /* TOPOLOGY_ENDED; NULL once said */
    struct msg *acks_first, *acks_last; /* ACKER_ACK, filling; the last */
    bool gathering;  /* settle() is owed or not through: acks wait for it */
    bool releasing;  /* release_held() is running */
    uint64_t marker; /* that is being passed on; 0: none */
    uint64_t loaded_version; /* of the newest code in the class */

    /* Spouts. */
    struct pending pending;
    struct msg *inits; /* ACKER_INIT, filling */
    uint64_t root_token;
    uint32_t root_tries;
    uint64_t marker_wanted; /* to be put in when no call is suspended */
    bool source_ended, closing, idle;
    bool notices; /* notify() is owed */
    deadline_id sleep_timer, idle_timer, replay_timer, check_timer, tick_timer;
    int64_t replay_timer_ns;

    uint64_t executed, acked, failed, replayed, gave_up, errors;
};

enum { RETRY_FIRST_MS = 100, RETRY_MAX_MS = 30000, DRAIN_MS = 10000 };

static err after(struct executor *x, enum call call, enum step step);
static err switch_code(struct executor *x, uint64_t version);

static struct executor *executor_of(struct component_context *context)
{
    return context->executor;
}

static bool is_spout(const struct executor *x)
{
    return x->task->component->kind == COMPONENT_SPOUT;
}

static struct log *log_of(struct executor *x)
{
    return node_log(env_node(x->context.env));
}

/* Every activation has its own view of the node. */
static void enter(struct executor *x, struct env *env)
{
    x->context.env = x->emitter.env = env;
}

/* ---- acks ---- */

static struct msg *updates_new(struct executor *x, uint16_t kind)
{
    struct msg *m = msg_new(x->context.env, kind, MSG_BYTES_MAX);
    if (m) ((struct acker_updates *)msg_body(m))->count = 0;
    return m;
}

static void acks_send(struct executor *x)
{
    while (x->acks_first) {
        struct msg *m = x->acks_first;
        x->acks_first = m->next;
        struct acker_updates *u = msg_body(m);
        uint32_t spout = root_task(u->list[0].root);
        actor_post(x->context.env, topology_acker(x->topology, spout), m);
    }
    x->acks_last = NULL;
}

/* Gathers one update. Those of one message go to one acker. */
static void ack(struct executor *x, uint64_t root, uint64_t edges)
{
    struct acker_updates *u = x->acks_last ? msg_body(x->acks_last) : NULL;
    if (u && (u->count == UPDATES_MAX ||
              root_task(u->list[0].root) != root_task(root)))
        u = NULL;
    if (u == NULL) {
        struct msg *m = updates_new(x, ACKER_ACK);
        if (m == NULL) { /* the root's time will run out, and it comes again */
            x->errors++;
            return;
        }
        m->next = NULL;
        if (x->acks_last)
            x->acks_last->next = m;
        else
            x->acks_first = m;
        x->acks_last = m;
        u = msg_body(m);
    }
    u->list[u->count++] = (struct acker_update){root, edges};
}

static void root_fail(struct env *env, struct topology *topology, uint64_t root,
                      uint32_t task, const char *reason)
{
    struct acker_fail body = {.root = root, .task = task};
    size_t length = strlen(reason);
    if (length >= REASON_BYTES) length = REASON_BYTES - 1;
    memcpy(body.reason, reason, length);
    uint32_t bytes =
        (uint32_t)(offsetof(struct acker_fail, reason) + length + 1);
    struct msg *m = msg_new(env, ACKER_FAIL, bytes);
    if (m == NULL) return; /* its time will run out */
    memcpy(msg_body(m), &body, bytes);
    actor_post(env, topology_acker(topology, root_task(root)), m);
}

/* The anchor of the run that ends, then the next run's. */
void input_run(struct component_context *context, struct input *input)
{
    struct executor *x = executor_of(context);
    if (input->root != 0) ack(x, input->root, input->edges);
    input->root = 0;
    if (input->anchor < input->batch->anchors) {
        struct anchor *a = batch_anchor(input->batch, input->anchor++);
        input->root = a->root;
        input->edges = a->edge;
        input->run_left = a->tuples;
    } else {
        input->run_left = input->left; /* untracked; or all are through */
    }
    context->emitter->root = input->root;
}

void executor_fail(struct component_context *context, struct input *input,
                   const uint8_t *end, const char *reason)
{
    struct executor *x = executor_of(context);
    input->at = end;
    emitter_undo(&x->emitter);
    if (x->class->undo) x->class->undo(context, x->self);
    x->errors++;
    /* The first line for the eye, the whole with its traceback below it. */
    size_t first = strcspn(reason, "\n");
    log_text(log_of(x), x->task->component->name, (int)x->task->index, LOG_WARN,
             0, reason, first, reason[first] ? reason + first + 1 : NULL);
    if (input->root != 0)
        root_fail(context->env, x->topology, input->root, x->task->number,
                  reason);
    /* No ack for this run: should the news of the failure be lost, the root
     * must run out of time. */
    input->root = 0;
}

/* ---- spouts: roots ---- */

bool executor_tracks(const struct component_context *context)
{
    return context->plan->guarantee != AT_MOST_ONCE;
}

bool executor_full(const struct component_context *context)
{
    const struct executor *x = context->executor;
    /* Nor may one stuck root make the rings of pending.c and acker.c grow. */
    return x->pending.count >= context->plan->pending_max ||
           x->pending.next - x->pending.base >= ROOTS_SPAN_MAX;
}

bool executor_root(struct component_context *context, uint64_t token)
{
    struct executor *x = executor_of(context);
    uint64_t sequence;
    executor_unroot(context);
    if (x->inits == NULL) {
        x->inits = updates_new(x, ACKER_INIT);
        if (x->inits == NULL) return false;
    }
    if (pending_add(&x->pending, token, x->root_tries, &sequence) != OK)
        return false;
    x->emitter.root = root_of(x->task->number, sequence);
    return true;
}

void executor_unroot(struct component_context *context)
{
    struct executor *x = executor_of(context);
    if (!is_spout(x) || x->emitter.root == 0) return;
    emitter_undo(&x->emitter);
    pending_undo(&x->pending);
    x->emitter.root = 0;
}

static void inits_send(struct executor *x)
{
    if (x->inits == NULL) return;
    struct acker_updates *u = msg_body(x->inits);
    if (u->count == 0) return;
    actor_post(x->context.env, topology_acker(x->topology, x->task->number),
               x->inits);
    x->inits = NULL;
}

void executor_rooted(struct component_context *context)
{
    struct executor *x = executor_of(context);
    struct acker_updates *u = msg_body(x->inits);
    u->list[u->count++] =
        (struct acker_update){x->emitter.root, x->emitter.edges};
    x->emitter.root = 0;
    emitter_keep(&x->emitter);
    if (u->count == UPDATES_MAX) inits_send(x);
}

void executor_emitted(struct component_context *context)
{
    emitter_keep(context->emitter);
}

static int64_t retry_wait_ns(uint32_t tries)
{
    int64_t wait_ms = RETRY_FIRST_MS;
    while (tries-- > 0 && wait_ms < RETRY_MAX_MS)
        wait_ms *= 2;
    if (wait_ms > RETRY_MAX_MS) wait_ms = RETRY_MAX_MS;
    return wait_ms * 1000000;
}

static err set_timer(struct executor *x, deadline_id *timer, int64_t at_ns,
                     enum timer cookie)
{
    deadline_cancel(x->context.env, timer);
    return deadline_set(x->context.env, at_ns, cookie, timer);
}

static err arm_replay(struct executor *x)
{
    const struct replay *first = pending_due(&x->pending);
    if (first == NULL) return OK;
    if (x->replay_timer != 0 && x->replay_timer_ns <= first->due_ns) return OK;
    x->replay_timer_ns = first->due_ns;
    return set_timer(x, &x->replay_timer, first->due_ns, TIMER_REPLAY);
}

static err arm_check(struct executor *x)
{
    if (x->pending.count == 0 || x->check_timer != 0) return OK;
    int64_t at_ns = env_now(x->context.env) + x->context.plan->timeout_ns;
    return set_timer(x, &x->check_timer, at_ns, TIMER_CHECK);
}

static void release(struct executor *x, uint64_t token)
{
    if (x->class->release) x->class->release(&x->context, x->self, token);
}

static void roots_acked(struct executor *x, const struct acker_settled *in)
{
    struct pending_entry entry;
    for (uint32_t i = 0; i < in->count; i++) {
        if (!pending_take(&x->pending, in->sequences[i], &entry)) continue;
        x->acked++;
        if (x->class->ack) {
            x->class->ack(&x->context, x->self, entry.token);
            x->notices = x->class->notify != NULL;
        }
        release(x, entry.token);
    }
}

static void say_gave_up(struct executor *x, uint32_t tries, const char *reason)
{
    executor_log(&x->context, LOG_ERROR,
                 "a tuple failed for good after %u tries: %.*s", tries + 1,
                 (int)strcspn(reason, "\n"), reason);
}

static err root_failed(struct executor *x, const struct acker_fail *in)
{
    struct pending_entry entry;
    if (!pending_take(&x->pending, root_sequence(in->root), &entry)) return OK;
    const char *reason = in->task == UINT32_MAX
                             ? "timeout: no progress within the message timeout"
                             : in->reason;
    x->failed++;
    enum verdict verdict = VERDICT_REPLAY;
    if (x->class->fail)
        verdict = x->class->fail(&x->context, x->self, entry.token, reason);
    if (verdict == VERDICT_MINE) {
        x->source_ended = false; /* it may have put it back */
        x->notices = true;
        release(x, entry.token);
        return OK;
    }
    int retries = x->context.component->retries;
    if (verdict == VERDICT_FINAL ||
        (retries >= 0 && entry.tries >= (uint32_t)retries)) {
        x->gave_up++;
        say_gave_up(x, entry.tries, reason);
        release(x, entry.token);
        return OK;
    }
    int64_t due_ns = env_now(x->context.env) + retry_wait_ns(entry.tries);
    err e = pending_replay(&x->pending, entry.token, entry.tries + 1, due_ns);
    return e == OK ? arm_replay(x) : e;
}

struct lost_roots {
    struct executor *x;
    const char *reason;
    err e;
};

static void lose_pending(void *context, uint64_t sequence)
{
    struct lost_roots *lost = context;
    struct acker_fail in = {.root = root_of(lost->x->task->number, sequence)};
    strcpy(in.reason, lost->reason);
    err e = root_failed(lost->x, &in);
    if (e != OK) lost->e = e;
}

/* The acker is a new one: it knows none of the roots that were pending. */
static err acker_renewed(struct executor *x)
{
    struct lost_roots lost = {x, "the acker crashed", OK};
    pending_each(&x->pending, lose_pending, &lost);
    struct acker_open open = {x->task->number, x->pending.next};
    err e =
        actor_send(x->context.env, topology_acker(x->topology, x->task->number),
                   ACKER_OPEN, &open, sizeof open);
    return lost.e != OK ? lost.e : e;
}

/* ---- ends ---- */

static err tell_topology(struct executor *x, uint16_t kind, const void *body,
                         uint32_t bytes)
{
    return actor_send(x->context.env, topology_actor(x->topology), kind, body,
                      bytes);
}

/* With the envelope that was made for it. */
static void say_ended(struct executor *x)
{
    struct msg *m = x->last_word;
    x->last_word = NULL;
    actor_post(x->context.env, topology_actor(x->topology), m);
}

static err end(struct executor *x)
{
    err e = emitter_mark(&x->emitter, BATCH_END, 0);
    if (e != OK) return e;
    x->ended = x->task->ended = true;
    say_ended(x);
    return OK;
}

static bool inputs_ended(struct executor *x)
{
    for (unsigned i = 0; i < x->task->input_count; i++) {
        struct channel *c = x->task->inputs[i];
        if (!at_load(&c->ended, SEQ_CST) || c->held_first) return false;
    }
    return true;
}

/* ---- spouts: the source's turn ---- */

static bool can_emit(struct executor *x)
{
    return x->suspended == CALL_NONE && x->opened && x->going && !x->ended;
}

static enum step replay_due(struct executor *x, bool *any)
{
    const struct replay *first = pending_due(&x->pending);
    *any = first && first->due_ns <= env_now(x->context.env);
    if (!*any) return STEP_DONE;
    x->root_tries = first->tries;
    uint64_t token = first->token;
    enum step step = x->class->replay(&x->context, x->self, token);
    x->root_tries = 0;
    if (step == STEP_DONE || step == STEP_AGAIN) {
        pending_pop(&x->pending);
        x->replayed++;
    }
    if (step == STEP_END) {
        x->gave_up++;
        say_gave_up(x, first->tries, x->context.error);
        pending_pop(&x->pending);
        release(x, token);
    }
    return step;
}

static err end_if_over(struct executor *x)
{
    if (!x->source_ended && !x->closing) return OK;
    if (x->pending.count > 0 || x->pending.replay_count > 0) return OK;
    return x->ended ? OK : end(x);
}

/* Puts the marker in the streams: what was emitted before it met old code. */
static err put_marker(struct executor *x)
{
    if (x->marker_wanted == 0 || x->suspended != CALL_NONE) return OK;
    uint64_t version = x->marker_wanted;
    x->marker_wanted = 0;
    return version > x->task->passed ? switch_code(x, version) : OK;
}

static err pump(struct executor *x)
{
    struct env *env = x->context.env;
    if (!can_emit(x)) return OK;
    while (!env_spent(env) && x->suspended == CALL_NONE) {
        if (x->notices) {
            x->notices = false;
            err e =
                after(x, CALL_NOTIFY, x->class->notify(&x->context, x->self));
            if (e != OK) return e;
            continue;
        }
        bool any;
        enum step step = replay_due(x, &any);
        if (any) {
            if (step == STEP_IDLE) return OK; /* job_done() will wake us */
            err e = after(x, CALL_REPLAY, step);
            if (e != OK) return e;
            continue;
        }
        if (x->source_ended || x->closing || executor_full(&x->context)) {
            err e = arm_replay(x);
            return e != OK ? e : end_if_over(x);
        }
        err e = after(x, CALL_NEXT, x->class->next(&x->context, x->self));
        if (e != OK || x->idle) return e;
    }
    if (x->suspended == CALL_NONE) env_again(env);
    return OK;
}

void executor_wake(struct component_context *context)
{
    struct executor *x = executor_of(context);
    x->idle = false;
    env_again(context->env);
}

/* ---- bolts: batches and markers ---- */

static void hold(struct channel *c, struct msg *m)
{
    m->next = NULL;
    if (c->held_first)
        c->held_last->next = m;
    else
        c->held_first = m;
    c->held_last = m;
}

static err begin_batch(struct executor *x, struct msg *m)
{
    struct batch *b = batch_of(m);
    struct channel *c = m->edge->context;
    x->hand = m;
    x->executed += b->count;
    x->input = (struct input){
        .batch = b, .at = b->data, .left = b->count, .source = c->input};
    env_charge(x->context.env, b->count);
    return after(x, CALL_EXECUTE,
                 x->class->execute(&x->context, x->self, &x->input));
}

static err finish_if_over(struct executor *x)
{
    if (is_spout(x) || x->finished || x->suspended != CALL_NONE || x->hand ||
        !inputs_ended(x))
        return OK;
    x->finished = true;
    if (x->class->finish == NULL) return after(x, CALL_FINISH, STEP_DONE);
    return after(x, CALL_FINISH, x->class->finish(&x->context, x->self));
}

/* A channel whose marker has come gives nothing until all have theirs. */
static bool waits(struct executor *x, struct channel *c)
{
    return at_load(&c->marker, ACQUIRE) > x->task->passed;
}

static err switch_code(struct executor *x, uint64_t version)
{
    x->marker = version;
    if (x->class->switch_code && x->loaded_version == version)
        return after(x, CALL_SWITCH,
                     x->class->switch_code(&x->context, x->self));
    return after(x, CALL_SWITCH, STEP_DONE);
}

/* The marker has come on every channel that still flows: switch, pass it on. */
static err switch_if_aligned(struct executor *x)
{
    uint64_t newest = 0;
    if (x->suspended != CALL_NONE || x->marker != 0) return OK;
    for (unsigned i = 0; i < x->task->input_count; i++) {
        uint64_t marker = at_load(&x->task->inputs[i]->marker, SEQ_CST);
        if (marker > newest) newest = marker;
    }
    if (newest <= x->task->passed) return OK;
    for (unsigned i = 0; i < x->task->input_count; i++) {
        struct channel *c = x->task->inputs[i];
        if (at_load(&c->marker, ACQUIRE) < newest &&
            !at_load(&c->ended, ACQUIRE))
            return OK;
    }
    return switch_code(x, newest);
}

static err run_batch(struct executor *x, struct msg *m);

/* What waited behind the marker, in order; stops when a call suspends. */
static err release_held(struct executor *x)
{
    if (x->releasing) return OK; /* the loop below is who called */
    x->releasing = true;
    err e = OK;
    for (unsigned i = 0; i < x->task->input_count; i++) {
        struct channel *c = x->task->inputs[i];
        while (e == OK && c->held_first && !waits(x, c) &&
               x->suspended == CALL_NONE) {
            struct msg *m = c->held_first;
            c->held_first = m->next;
            e = run_batch(x, m);
        }
    }
    x->releasing = false;
    return e == OK ? finish_if_over(x) : e;
}

static err say_switched(struct executor *x, uint64_t version)
{
    struct load_answer answer = {.task = x->task->number, .version = version};
    return tell_topology(x, TOPOLOGY_SWITCHED, &answer,
                         offsetof(struct load_answer, error));
}

static err after_switch(struct executor *x)
{
    err e = emitter_mark(&x->emitter, BATCH_RELOAD, x->marker);
    if (e != OK) return e; /* the task's next actor does it over */
    x->task->passed = x->marker;
    x->marker = 0;
    e = say_switched(x, x->task->passed);
    return e == OK ? release_held(x) : e;
}

/* A marker has come: is it the last that was missing? */
static err look(struct executor *x)
{
    err e = switch_if_aligned(x);
    return e == OK ? finish_if_over(x) : e;
}

/* The executor owns m, whose turn it is. */
static err run_batch(struct executor *x, struct msg *m)
{
    struct channel *c = m->edge->context;
    struct batch *b = batch_of(m);
    switch (b->marker) {
    case BATCH_DATA: return begin_batch(x, m);
    case BATCH_END:
        at_store(&c->ended, true, RELEASE);
        msg_done(x->context.env, m);
        return look(x);
    case BATCH_RELOAD:
        at_store(&c->marker, b->number, RELEASE);
        msg_done(x->context.env, m);
        return look(x);
    default: msg_done(x->context.env, m); return ERR_BADMSG;
    }
}

/* One that has just come: behind those that wait on its channel. */
static err take_batch(struct executor *x, struct msg *m)
{
    struct channel *c = m->edge->context;
    if (!waits(x, c) && c->held_first == NULL) return run_batch(x, m);
    hold(c, m);
    return OK;
}

/* ---- steps ---- */

static err suspend(struct executor *x, enum call call, enum step step)
{
    struct env *env = x->context.env;
    if (x->suspended == CALL_NONE) env_hold_data(env);
    x->suspended = call;
    if (step == STEP_SLEEP)
        return set_timer(x, &x->sleep_timer, env_now(env) + x->context.sleep_ns,
                         TIMER_SLEEP);
    env_charge(env, UINT16_MAX); /* others first */
    return actor_send(env, env_self(env), EXECUTOR_RESUME, NULL, 0);
}

static err put_off_no_more(struct executor *x);

static err opened(struct executor *x)
{
    x->opened = true;
    if (x->context.component->every_ns > 0) {
        err e =
            set_timer(x, &x->tick_timer,
                      env_now(x->context.env) + x->context.component->every_ns,
                      TIMER_TICK);
        if (e != OK) return e;
    }
    if (is_spout(x)) env_again(x->context.env);
    return is_spout(x) ? OK : look(x);
}

/* A call has come back, at first or after having been suspended. */
static err after(struct executor *x, enum call call, enum step step)
{
    if (step == STEP_YIELD || step == STEP_SLEEP) return suspend(x, call, step);
    if (step == STEP_CRASH || step == STEP_HOPELESS) {
        emitter_undo(&x->emitter);
        size_t first = strcspn(x->context.error, "\n");
        log_text(log_of(x), x->task->component->name, (int)x->task->index,
                 LOG_ERROR, 0, x->context.error, first,
                 x->context.error[first] ? x->context.error + first + 1 : NULL);
        return step == STEP_CRASH ? ERR_CRASHED : ERR_HOPELESS;
    }
    if (x->suspended != CALL_NONE) {
        x->suspended = CALL_NONE;
        env_resume_data(x->context.env);
    }
    executor_unroot(&x->context);
    err e = OK;
    switch (call) {
    case CALL_OPEN: e = opened(x); break;
    case CALL_EXECUTE:
        if (x->input.root != 0) input_run(&x->context, &x->input);
        x->emitter.root = 0;
        msg_done(x->context.env, x->hand);
        x->hand = NULL;
        x->gathering = x->class->settle != NULL;
        e = release_held(x);
        break;
    case CALL_NEXT:
        x->idle = step == STEP_IDLE || step == STEP_END;
        if (step == STEP_END) {
            x->source_ended = true;
            e = end_if_over(x);
        } else if (step == STEP_IDLE && x->context.sleep_ns > 0) {
            e = set_timer(x, &x->idle_timer,
                          env_now(x->context.env) + x->context.sleep_ns,
                          TIMER_IDLE);
        } else if (step != STEP_IDLE) {
            env_again(x->context.env);
        }
        break;
    case CALL_REPLAY:
    case CALL_NOTIFY: env_again(x->context.env); break;
    case CALL_FINISH:
        emitter_keep(&x->emitter);
        x->gathering = x->class->settle != NULL;
        if (!x->gathering) e = end(x);
        break;
    case CALL_TICK: emitter_keep(&x->emitter); break;
    case CALL_SWITCH: e = after_switch(x); break;
    case CALL_SETTLE:
        x->gathering = false;
        e = x->finished && !x->ended ? end(x) : put_off_no_more(x);
        break;
    case CALL_JOB:
    case CALL_NONE: break;
    }
    return e;
}

static err resume(struct executor *x)
{
    enum call call = x->suspended;
    if (call == CALL_NONE) return OK;
    enum step step = x->class->resume(&x->context, x->self);
    if (call == CALL_SETTLE && step == STEP_IDLE) return OK; /* job_done() */
    err e = after(x, call, step);
    if (e != OK || x->suspended != CALL_NONE) return e;
    e = put_off_no_more(x);
    if (e == OK && is_spout(x)) e = put_marker(x);
    return e;
}

/* ---- messages ---- */

static err timer(struct executor *x, const struct timer_due *due)
{
    switch (due->cookie) {
    case TIMER_SLEEP: x->sleep_timer = 0; return resume(x);
    case TIMER_IDLE:
        x->idle_timer = 0;
        x->idle = false;
        env_again(x->context.env);
        return OK;
    case TIMER_REPLAY:
        x->replay_timer = 0;
        x->idle = false;
        env_again(x->context.env);
        return OK;
    case TIMER_CHECK: {
        x->check_timer = 0;
        struct acker_check check = {x->task->number,
                                    x->context.plan->timeout_ns};
        inits_send(x);
        return actor_send(x->context.env,
                          topology_acker(x->topology, x->task->number),
                          ACKER_CHECK, &check, sizeof check);
    }
    case TIMER_TICK: {
        err e =
            set_timer(x, &x->tick_timer,
                      due->at_ns + x->context.component->every_ns, TIMER_TICK);
        if (e != OK || x->suspended != CALL_NONE || x->class->tick == NULL)
            return e; /* one that can't run now is left out */
        return after(x, CALL_TICK, x->class->tick(&x->context, x->self));
    }
    default: return ERR_BADMSG;
    }
}

static err checked(struct executor *x, int64_t next_ns)
{
    if (next_ns == INT64_MAX) return arm_check(x);
    return set_timer(x, &x->check_timer, next_ns, TIMER_CHECK);
}

static err load(struct executor *x, const struct msg *m)
{
    const struct code *code = *(struct code **)msg_body(m);
    struct load_answer answer = {
        .task = x->task->number, .version = code->version, .ok = true};
    if (x->class->load_code) {
        err e = x->class->load_code(&x->context, x->self, code);
        answer.ok = e == OK;
        if (e != OK)
            snprintf(answer.error, sizeof answer.error, "%.*s",
                     (int)sizeof answer.error - 1, x->context.error);
    }
    if (answer.ok) x->loaded_version = code->version;
    return tell_topology(x, TOPOLOGY_LOADED, &answer, sizeof answer);
}

/* A new actor may be told what the one before it has done; that one's word of
 * it may have been lost. Bolts switch when the marker comes. */
static err switch_wanted(struct executor *x, uint64_t version)
{
    if (version <= x->task->passed) return say_switched(x, version);
    if (!is_spout(x)) return OK;
    x->marker_wanted = version;
    return put_marker(x);
}

/* A message that touches the class: not while one of its calls is suspended.
 */
static err receive_now(struct executor *x, const struct msg *m)
{
    switch (m->kind) {
    case EXECUTOR_ACKED:
        roots_acked(x, msg_body(m));
        x->idle = false;
        env_again(x->context.env);
        return OK;
    case EXECUTOR_FAILED: {
        err e = root_failed(x, msg_body(m));
        env_again(x->context.env);
        x->idle = false;
        return e;
    }
    case EXECUTOR_CHECKED: return checked(x, *(int64_t *)msg_body(m));
    case EXECUTOR_ACKER:
        x->idle = false; /* there may be notices, or nothing left to wait for */
        env_again(x->context.env);
        return acker_renewed(x);
    case EXECUTOR_JOB: {
        struct job *job = *(struct job **)msg_body(m);
        x->idle = false;
        if (is_spout(x)) env_again(x->context.env);
        enum step step = x->class->job_done(&x->context, x->self, job);
        if (x->suspended == CALL_SETTLE)
            return step == STEP_IDLE ? OK : after(x, CALL_SETTLE, step);
        return after(x, CALL_JOB, step);
    }
    case EXECUTOR_LOAD: return load(x, m);
    case EXECUTOR_DROP:
        if (x->class->drop_code) x->class->drop_code(&x->context, x->self);
        return OK;
    case EXECUTOR_SWITCH: return switch_wanted(x, *(uint64_t *)msg_body(m));
    case EXECUTOR_CLOSE:
        x->closing = true;
        x->idle = false;
        env_again(x->context.env);
        return OK;
    case EXECUTOR_LOOK: return look(x);
    case EXECUTOR_GO:
        x->going = true;
        env_again(x->context.env);
        return is_spout(x) || !x->opened ? OK : look(x);
    default: return ERR_BADMSG;
    }
}

/* Copies a message that must wait for a suspended call to come back. */
static err put_off(struct executor *x, const struct msg *m)
{
    struct msg *copy = msg_new(x->context.env, m->kind, m->bytes);
    if (copy == NULL) return ERR_NOMEM;
    if (m->bytes) memcpy(msg_body(copy), msg_body(m), m->bytes);
    copy->flags = m->flags & MSG_REF;
    copy->from = m->from;
    if (copy->flags & MSG_REF) ref_take(msg_ref(copy));
    copy->next = NULL;
    if (x->later_first)
        x->later_last->next = copy;
    else
        x->later_first = copy;
    x->later_last = copy;
    return OK;
}

static err put_off_no_more(struct executor *x)
{
    while (x->later_first && x->suspended == CALL_NONE) {
        struct msg *m = x->later_first;
        x->later_first = m->next;
        err e = receive_now(x, m);
        msg_free(x->context.env, m);
        if (e != OK) return e;
    }
    return OK;
}

static err executor_receive(struct env *env, void *self, const struct msg *m)
{
    struct executor *x = self;
    enter(x, env);
    switch (m->kind) {
    case EXECUTOR_BATCH: {
        union {
            const struct msg *borrowed;
            struct msg *kept;
        } u = {m};
        msg_keep(env);
        return take_batch(x, u.kept);
    }
    case MSG_AGAIN: return is_spout(x) && !x->idle ? pump(x) : OK;
    case MSG_TIMER: return timer(x, msg_body(m));
    case EXECUTOR_RESUME: return resume(x);
    case MSG_STOP: return ERR_DONE;
    default: break;
    }
    bool now = x->suspended == CALL_NONE ||
               (x->suspended == CALL_SETTLE && m->kind == EXECUTOR_JOB);
    return now ? receive_now(x, m) : put_off(x, m);
}

static void count(struct executor *x)
{
    const struct component_metrics *ids = x->metrics;
    struct {
        metric_id id;
        uint64_t *n;
    } all[] = {
        {ids->executed, &x->executed},      {ids->acked, &x->acked},
        {ids->failed, &x->failed},          {ids->replayed, &x->replayed},
        {ids->gave_up, &x->gave_up},        {ids->errors, &x->errors},
        {ids->emitted, &x->emitter.emitted}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (*all[i].n == 0) continue;
        metric_add(x->cells, all[i].id, *all[i].n);
        *all[i].n = 0;
    }
    x->emitter.emitted_kept = 0;
}

static err executor_settle(struct env *env, void *self)
{
    struct executor *x = self;
    enter(x, env);
    x->cells = metrics_cells(node_metrics(env_node(env)), env_thread(env));
    err e = OK;
    if (x->gathering && x->suspended == CALL_NONE && x->hand == NULL) {
        enum step step = x->class->settle(&x->context, x->self);
        if (step != STEP_IDLE) {
            e = after(x, CALL_SETTLE, step);
        } else { /* job_done() will say that all is written */
            x->suspended = CALL_SETTLE;
            env_hold_data(env);
        }
    }
    /* What a spout has emitted stays, even while its call sleeps. */
    bool between = x->suspended == CALL_NONE || is_spout(x);
    if (between) emitter_flush(&x->emitter);
    inits_send(x);
    if (!x->gathering) acks_send(x);
    if (e == OK && is_spout(x)) e = arm_check(x);
    if (between) count(x);
    at_store(&x->task->unsettled, x->pending.count + x->pending.replay_count,
             RELAXED);
    return e;
}

/* ---- life ---- */

static err connect(struct env *env, struct executor *x)
{
    const struct plan *plan = x->context.plan;
    unsigned mine = (unsigned)(x->context.component - plan->components);
    for (unsigned c = 0; c < plan->count; c++) {
        const struct component_plan *to = &plan->components[c];
        for (unsigned i = 0; i < to->input_count; i++) {
            if (to->inputs[i].component != mine) continue;
            struct edge *edges[MSG_BYTES_MAX / 8];
            err e = topology_outputs(x->topology, x->task->number, c, i, edges);
            if (e == OK)
                e = emitter_route(&x->emitter, to->inputs[i].stream,
                                  &to->inputs[i], edges, to->tasks);
            if (e != OK) return e;
            for (unsigned k = 0; k < to->tasks; k++)
                edge_attach_producer(env, edges[k]);
        }
    }
    for (unsigned i = 0; i < x->task->input_count; i++)
        edge_attach_consumer(env, &x->task->inputs[i]->edge);
    return OK;
}

/* The class, with the newest code; what the end needs; the acker's rows. */
static err prepare(struct env *env, struct executor *x)
{
    uint32_t task = x->task->number;
    x->ended = x->finished = x->task->ended;
    x->self = mem_zero(1, x->class->state_bytes);
    x->last_word = msg_new(env, TOPOLOGY_ENDED, sizeof task);
    if (x->self == NULL || x->last_word == NULL) return ERR_NOMEM;
    memcpy(msg_body(x->last_word), &task, sizeof task);
    x->last_word->from = env_self(env);
    if (is_spout(x)) {
        struct acker_open open = {task, x->pending.next};
        err e = actor_send(env, topology_acker(x->topology, task), ACKER_OPEN,
                           &open, sizeof open);
        if (e != OK) return e;
    }
    struct code *code = topology_code(x->topology);
    x->context.code = code;
    err e = x->class->make(&x->context, x->self);
    x->context.code = NULL;
    if (code) x->loaded_version = code->version;
    if (code) ref_drop(env, &code->ref);
    return e;
}

static err executor_init(struct env *env, void *self, const void *args)
{
    struct executor *x = self;
    memcpy(&x->task, args, sizeof x->task);
    struct task *task = x->task;
    x->topology = task->topology;
    x->class = task->component->class;
    x->context = (struct component_context){
        .executor = x,
        .plan = topology_plan(x->topology),
        .component = task->component,
        .task = task->number,
        .index = task->index,
        .starts = task->starts++,
        .env = env,
        .emitter = &x->emitter,
    };
    x->metrics = topology_metrics(
        x->topology, (unsigned)(task->component - x->context.plan->components));
    x->pending.base = x->pending.next = task->next_sequence;
    err e = emitter_init(&x->emitter, task->component, task->number,
                         env_random(env));
    if (e != OK) return e;
    enter(x, env);
    e = connect(env, x);
    if (e == OK) e = prepare(env, x);
    if (e != OK) {
        executor_log(&x->context, LOG_ERROR, "%s",
                     x->context.error[0] ? x->context.error : err_text(e));
        if (x->last_word) msg_free(env, x->last_word);
        mem_free(x->self);
        emitter_fini(&x->emitter);
        return e;
    }
    enum step step =
        x->class->open ? x->class->open(&x->context, x->self) : STEP_DONE;
    e = after(x, CALL_OPEN, step);
    if (e != OK) { /* after make(), the end is terminate()'s */
        executor_kind.terminate(env, x, e);
    }
    return e;
}

static void lose_root(void *context, uint64_t root)
{
    struct executor *x = context;
    root_fail(x->context.env, x->topology, root, x->task->number,
              "the task crashed");
}

static void lose_batch(struct executor *x, struct msg *m)
{
    struct batch *b = batch_of(m);
    for (uint32_t i = 0; i < b->anchors; i++)
        if (batch_anchor(b, i)->root) lose_root(x, batch_anchor(b, i)->root);
    msg_done(x->context.env, m);
}

static void executor_terminate(struct env *env, void *self, err why)
{
    struct executor *x = self;
    enter(x, env);
    if (x->hand) lose_batch(x, x->hand);
    for (unsigned i = 0; i < x->task->input_count; i++) {
        struct channel *c = x->task->inputs[i];
        while (c->held_first) {
            struct msg *m = c->held_first;
            c->held_first = m->next;
            struct batch *b = batch_of(m);
            if (b->marker == BATCH_END) at_store(&c->ended, true, RELEASE);
            if (b->marker == BATCH_RELOAD)
                at_store(&c->marker, b->number, RELEASE);
            lose_batch(x, m);
        }
    }
    while (x->acks_first) { /* processed, but what they emitted is lost */
        struct msg *m = x->acks_first;
        x->acks_first = m->next;
        struct acker_updates *u = msg_body(m);
        for (uint32_t i = 0; i < u->count; i++)
            lose_root(x, u->list[i].root);
        msg_free(env, m);
    }
    emitter_drop(&x->emitter, lose_root, x);
    while (x->later_first) {
        struct msg *m = x->later_first;
        x->later_first = m->next;
        msg_free(env, m);
    }
    if (x->inits) msg_free(env, x->inits);
    if (x->last_word) msg_free(env, x->last_word);
    deadline_id *timers[] = {&x->sleep_timer, &x->idle_timer, &x->replay_timer,
                             &x->check_timer, &x->tick_timer};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++)
        deadline_cancel(env, timers[i]);
    x->task->next_sequence = x->pending.next;
    x->class->free(&x->context, x->self);
    mem_free(x->self);
    pending_fini(&x->pending);
    emitter_fini(&x->emitter);
}

void executor_job(struct component_context *context, struct job *job)
{
    job_start(context->env, job, EXECUTOR_JOB);
}

void executor_drain(struct component_context *context)
{
    int64_t limit_ns = DRAIN_MS * (int64_t)1000000;
    tell_topology(executor_of(context), TOPOLOGY_DRAIN, &limit_ns,
                  sizeof limit_ns);
}

void executor_log(struct component_context *context, int level,
                  const char *format, ...)
{
    struct executor *x = executor_of(context);
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_text(log_of(x), context->component->name, (int)context->index,
             (enum log_level)level, 0, text, strlen(text), NULL);
}

const struct actor_kind executor_kind = {
    .name = "executor",
    .state_bytes = sizeof(struct executor),
    .init = executor_init,
    .receive = executor_receive,
    .settle = executor_settle,
    .terminate = executor_terminate,
};
