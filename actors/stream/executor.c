/* executor.c - runs one task: takes batches, calls the class, and ends when its
 * inputs have. What becomes of tuples is in settle.c, a spout's roots, replays
 * and turns in source.c, what a marker does in marks.c.
 * A class's call may be suspended (its Lua slice is over, it sleeps): then the
 * executor takes no data and puts off every message but the few that end or
 * resume it. */
#include "actors/stream/executor_state.h"
#include "actors/stream/state.h"
#include "core/alloc.h"
#include "core/job.h"
#include "core/log.h"
#include "core/node.h"
#include <stdio.h>
#include <string.h>

enum {
    COMBINE_TURNS = 32,      /* after so many what is combined leaves */
    TICK_LATER_NS = 5000000, /* what was set by executor_tick_at() waits */
};

/* Every activation has its own view of the node. */
static void enter(struct executor *x, struct env *env)
{
    x->context.env = x->emitter.env = env;
}

err executor_set_timer(struct executor *x, deadline_id *timer, int64_t at_ns,
                       enum timer cookie)
{
    deadline_cancel(x->context.env, timer);
    return deadline_set(x->context.env, at_ns, cookie, timer);
}

/* ---- ends ---- */

err executor_tell_topology(struct executor *x, uint16_t kind, const void *body,
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

err executor_end(struct executor *x)
{
    err e = backlog_look(x);
    if (e == OK) e = parts_give(x, 0);
    if (e == OK) e = emitter_mark(&x->emitter, BATCH_END, 0);
    if (e != OK) return e;
    x->ended = x->task->ended = true;
    say_ended(x);
    return OK;
}

err executor_dry(struct executor *x)
{
    err e = emitter_mark(&x->emitter, BATCH_DRY, 0);
    if (e == OK) x->task->dry = true;
    return e;
}

static bool channel_is_dry(struct channel *c)
{
    return c->back || at_load(&c->dry, ACQUIRE) || at_load(&c->ended, ACQUIRE);
}

bool executor_input_is_dry(const struct component_context *context,
                           unsigned source)
{
    const struct task *task = context->executor->task;
    for (unsigned i = 0; i < task->input_count; i++) {
        struct channel *c = task->inputs[i];
        if (c->input == source && !channel_is_dry(c)) return false;
    }
    return true;
}

/* What comes round ends nothing: a loop has ended when no way into it is open
 * and nothing is on its way in it. */
static bool inputs_ended(struct executor *x)
{
    if (x->task->loop && !loop_is_over(x->task->loop)) return false;
    for (unsigned i = 0; i < x->task->input_count; i++) {
        struct channel *c = x->task->inputs[i];
        if (c->back) continue;
        if (!at_load(&c->ended, SEQ_CST) || c->held_first) return false;
    }
    return true;
}

/* ---- bolts: batches and markers ---- */

void channel_hold(struct channel *c, struct msg *m)
{
    m->next = NULL;
    if (c->held_first)
        c->held_last->next = m;
    else
        c->held_first = m;
    c->held_last = m;
}

/* A batch is through, or lost. */
static void note_left(struct executor *x, struct msg *m)
{
    struct channel *c = m->by->context;
    if (c->back) loop_took(c->loop, batch_memory_bytes(batch_of(m)));
    if (c->loop) x->loop_left += LOOP_BATCH;
}

/* What was made of it is on its way. */
static void tell_loop(struct executor *x)
{
    uint64_t through = x->loop_left;
    x->loop_left = 0;
    if (through) loop_leave(x->context.env, x->task->loop, through);
}

/* A tick of another task may have emitted it when the loop was already over. */
static err drop_late(struct executor *x, struct msg *m)
{
    executor_fault(&x->context, LOSS_NONE,
                   "tuples came round when the loop had ended; they are "
                   "dropped: emit into it from execute only");
    note_left(x, m);
    settle_lose_batch(x, m);
    return OK;
}

static err begin_batch(struct executor *x, struct msg *m)
{
    struct batch *b = batch_of(m);
    struct channel *c = m->by->context;
    x->hand = m;
    x->tried = NULL;
    x->executed += batch_tuples(b);
    x->input = (struct input){
        .batch = b, .at = b->data, .left = b->count, .source = c->input};
    tally_begin(x, b->count);
    env_charge(x->context.env, b->count);
    return executor_after(x, CALL_EXECUTE,
                          x->class->execute(&x->context, x->self, &x->input));
}

static err finish_if_over(struct executor *x)
{
    if (is_spout(x) || x->finished || x->suspended != CALL_NONE || x->hand ||
        !inputs_ended(x))
        return OK;
    x->finished = true;
    if (x->class->finish == NULL)
        return executor_after(x, CALL_FINISH, STEP_DONE);
    return executor_after(x, CALL_FINISH,
                          x->class->finish(&x->context, x->self));
}

/* Before finish(), and only where not all has ended yet. */
static err dry_if_all_are(struct executor *x)
{
    if (!x->context.plan->windows || is_spout(x) || x->task->dry ||
        x->finished || x->suspended != CALL_NONE || x->hand || inputs_ended(x))
        return OK;
    for (unsigned i = 0; i < x->task->input_count; i++)
        if (!channel_is_dry(x->task->inputs[i])) return OK;
    if (x->class->dry == NULL) return executor_after(x, CALL_DRY, STEP_DONE);
    return executor_after(x, CALL_DRY, x->class->dry(&x->context, x->self));
}

/* A channel whose marker has come gives nothing until all have theirs. */
static bool waits(struct executor *x, struct channel *c)
{
    return at_load(&c->marker, ACQUIRE) > x->task->passed;
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

/* A marker has come: is it the last that was missing? Before everybody can be
 * reached nobody ends. */
static err look(struct executor *x)
{
    if (!x->going) return OK;
    err e = marks_align(x);
    if (e == OK) e = backlog_look(x);
    if (e == OK) e = dry_if_all_are(x);
    return e == OK ? finish_if_over(x) : e;
}

/* The executor owns m, whose turn it is. */
static err run_batch(struct executor *x, struct msg *m)
{
    struct channel *c = m->by->context;
    struct batch *b = batch_of(m);
    switch (b->marker) {
    case BATCH_DATA:
        return c->back && x->finished ? drop_late(x, m) : begin_batch(x, m);
    case BATCH_END:
        if (channel_end(c)) x->loop_left += LOOP_WAY;
        msg_done(x->context.env, m);
        return look(x);
    case BATCH_MARK:
        at_store(&c->marker, b->number, RELEASE);
        msg_done(x->context.env, m);
        return look(x);
    case BATCH_DRY:
        at_store(&c->dry, true, RELEASE);
        msg_done(x->context.env, m);
        return look(x);
    default: msg_done(x->context.env, m); return ERR_BADMSG;
    }
}

/* One that has just come: behind those that wait on its channel. */
static err take_batch(struct executor *x, struct msg *m)
{
    struct channel *c = m->by->context;
    if (c->back && x->task->heads) {
        err e = backlog_came(x, c, batch_of(m));
        if (e != OK) {
            if (batch_of(m)->marker == BATCH_DATA) note_left(x, m);
            settle_lose_batch(x, m);
            return e;
        }
    }
    if (!waits(x, c) && c->held_first == NULL) return run_batch(x, m);
    channel_hold(c, m);
    return OK;
}

/* ---- steps ---- */

/* When the others have had their turns and all readers have room. */
static void go_on_later(struct executor *x)
{
    x->yielded = true;
    env_charge(x->context.env, UINT16_MAX);
    env_again(x->context.env);
}

static err suspend(struct executor *x, enum call call, enum step step)
{
    struct env *env = x->context.env;
    if (x->suspended == CALL_NONE) env_hold_data(env);
    x->suspended = call;
    if (step == STEP_IDLE) return OK; /* job_done() goes on */
    if (step == STEP_SLEEP)
        return executor_set_timer(x, &x->sleep_timer,
                                  env_now(env) + x->context.sleep_ns,
                                  TIMER_SLEEP);
    go_on_later(x);
    return OK;
}

static err put_off_no_more(struct executor *x);

/* The tuple that failed, and those behind it. */
static err retry_later(struct executor *x)
{
    x->again = false;
    x->input.left = x->input.run_left = x->again_left;
    x->context.sleep_ns = settle_wait_ns(x->tries);
    return suspend(x, CALL_RETRY,
                   x->context.sleep_ns ? STEP_SLEEP : STEP_YIELD);
}

/* Of these two calls the answer is a job's. */
static bool awaits_job(enum call call)
{
    return call == CALL_SETTLE || call == CALL_PREPARE;
}

/* Everybody can be reached. What was restored waits, as spouts do, for the
 * first checkpoint. */
static err go(struct executor *x)
{
    if (is_spout(x) || !x->opened || !x->going) return OK;
    err e = topology_is_stalled(x->topology) ? OK : release_held(x);
    return e == OK ? look(x) : e;
}

static err opened(struct executor *x)
{
    x->opened = true;
    if (x->context.component->every_ns > 0) {
        err e = executor_set_timer(x, &x->tick_timer,
                                   env_now(x->context.env) +
                                       x->context.component->every_ns,
                                   TIMER_TICK);
        if (e != OK) return e;
    }
    if (is_spout(x)) env_again(x->context.env);
    return go(x);
}

/* With the call's name where that is not plain: what fails a tuple may read the
 * same. */
static void tell_crash(struct executor *x, enum call call)
{
    static const char *const names[CALL_JOB + 1] = {
        [CALL_FINISH] = "finish: ", [CALL_TICK] = "tick: "};
    char text[sizeof x->context.error + 16];
    snprintf(text, sizeof text, "%s%s", names[call] ? names[call] : "",
             x->context.error);
    tally_fault(x, 0, text);
    size_t first = strcspn(text, "\n");
    log_text(node_log(env_node(x->context.env)), x->task->component->name,
             (int)x->task->index, LOG_ERROR, 0, text, first,
             text[first] ? text + first + 1 : NULL);
}

/* Where it counts against the tuple it isn't one more restart. */
static err crash_of(const struct executor *x)
{
    bool exact = x->context.plan->guarantee == EXACTLY_ONCE;
    return exact ? ERR_CRASHED : ERR_POISONED;
}

err executor_after(struct executor *x, enum call call, enum step step)
{
    if (step == STEP_YIELD || step == STEP_SLEEP ||
        (step == STEP_IDLE && awaits_job(call)))
        return suspend(x, call, step);
    if (step == STEP_CRASH || step == STEP_HOPELESS) {
        executor_unroot(&x->context);
        emitter_undo(&x->emitter);
        tell_crash(x, call);
        return step == STEP_CRASH ? ERR_CRASHED : ERR_HOPELESS;
    }
    if (x->suspended != CALL_NONE) {
        x->suspended = CALL_NONE;
        env_resume_data(x->context.env);
        if (is_spout(x)) env_again(x->context.env);
    }
    executor_unroot(&x->context);
    if (x->crashing) return crash_of(x);
    err e = OK;
    switch (call) {
    case CALL_OPEN: e = opened(x); break;
    case CALL_EXECUTE:
        if (x->again) return retry_later(x);
        if (x->input.root != 0) input_run(&x->context, &x->input);
        x->emitter.root = 0;
        tally_end(x, x->input.batch->count);
        note_left(x, x->hand);
        msg_done(x->context.env, x->hand);
        x->hand = NULL;
        x->gathering = x->class->settle != NULL;
        e = release_held(x);
        break;
    case CALL_NEXT: e = source_after_next(x, step); break;
    case CALL_REPLAY: e = source_after_replay(x, step); break;
    case CALL_ACTIVATE:
    case CALL_NOTIFY: env_again(x->context.env); break;
    case CALL_DRY:
        emitter_keep(&x->emitter);
        e = executor_dry(x);
        if (e == OK) e = release_held(x);
        break;
    case CALL_FINISH:
        emitter_keep(&x->emitter);
        x->gathering = x->class->settle != NULL;
        if (!x->gathering) e = executor_end(x);
        break;
    case CALL_TICK: emitter_keep(&x->emitter); break;
    case CALL_PREPARE: e = marks_prepared(x); break;
    case CALL_SWITCH:
        e = marks_pass_on(x);
        if (e == OK) e = release_held(x);
        break;
    case CALL_SETTLE:
        x->gathering = false;
        e = x->finished && !x->ended ? executor_end(x) : put_off_no_more(x);
        break;
    case CALL_JOB:
    case CALL_RETRY:
    case CALL_NONE: break;
    }
    return e;
}

static err resume(struct executor *x)
{
    enum call call = x->suspended;
    if (call == CALL_NONE) return OK;
    bool retry = call == CALL_RETRY;
    enum step step = retry ? x->class->execute(&x->context, x->self, &x->input)
                           : x->class->resume(&x->context, x->self);
    err e = executor_after(x, retry ? CALL_EXECUTE : call, step);
    if (e != OK || x->suspended != CALL_NONE) return e;
    e = put_off_no_more(x);
    if (e == OK && is_spout(x)) e = source_put_marker(x);
    return e;
}

/* ---- messages ---- */

/* Those that the task was too late for are left out, not made up for. */
static int64_t next_tick_ns(int64_t at_ns, int64_t every_ns, int64_t now_ns)
{
    int64_t missed = now_ns > at_ns ? (now_ns - at_ns) / every_ns : 0;
    return at_ns + (missed + 1) * every_ns;
}

static err timer(struct executor *x, const struct timer_due *due)
{
    switch (due->cookie) {
    case TIMER_SLEEP:
        x->sleep_timer = 0;
        if (!emitter_parked(&x->emitter)) return resume(x);
        go_on_later(x);
        return OK;
    case TIMER_TICK: {
        if (x->finished) return OK; /* it has emitted its last */
        bool can = x->suspended == CALL_NONE && x->class->tick != NULL &&
                   x->going && !emitter_parked(&x->emitter);
        int64_t now_ns = env_now(x->context.env);
        int64_t every_ns = x->context.component->every_ns;
        x->tick_timer = 0;
        err e = OK; /* one that can't run now is left out, or put off */
        if (every_ns > 0)
            e = executor_set_timer(x, &x->tick_timer,
                                   next_tick_ns(due->at_ns, every_ns, now_ns),
                                   TIMER_TICK);
        else if (!can)
            e = executor_tick_at(&x->context, now_ns + TICK_LATER_NS);
        if (e != OK || !can) return e;
        return executor_after(x, CALL_TICK,
                              x->class->tick(&x->context, x->self));
    }
    default: return source_timer(x, (enum timer)due->cookie);
    }
}

/* A message that touches the class: not while one of its calls is suspended.
 */
static err receive_now(struct executor *x, const struct msg *m)
{
    switch (m->kind) {
    case EXECUTOR_JOB: {
        struct job *job = *(struct job **)msg_body(m);
        x->idle = false;
        if (is_spout(x)) env_again(x->context.env);
        enum step step = x->class->job_done(&x->context, x->self, job);
        enum call call = x->suspended;
        if (!awaits_job(call)) return executor_after(x, CALL_JOB, step);
        err e = executor_after(x, call, step);
        return e == OK ? put_off_no_more(x) : e;
    }
    case EXECUTOR_LOAD: return marks_load(x, m);
    case EXECUTOR_DROP:
        if (x->class->drop_code) x->class->drop_code(&x->context, x->self);
        return OK;
    case EXECUTOR_SWITCH: {
        err e = marks_wanted(x, *(uint64_t *)msg_body(m));
        return e == OK && !is_spout(x) ? look(x) : e;
    }
    case EXECUTOR_LOOK: return look(x);
    case EXECUTOR_DECIDED:
        if (x->context.state) state_thaw(x->context.state);
        source_decided(x);
        return x->task->heads ? go(x) : OK;
    case EXECUTOR_GO:
        x->going = true;
        env_again(x->context.env);
        return go(x);
    default: return is_spout(x) ? source_receive(x, m) : ERR_BADMSG;
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
    case MSG_AGAIN:
        if (x->yielded) {
            x->yielded = false;
            return resume(x);
        }
        return is_spout(x) && !x->idle ? source_pump(x) : OK;
    case MSG_TIMER: return timer(x, msg_body(m));
    case MSG_STOP: return ERR_DONE;
    default: break;
    }
    bool now = x->suspended == CALL_NONE ||
               (awaits_job(x->suspended) && m->kind == EXECUTOR_JOB);
    return now ? receive_now(x, m) : put_off(x, m);
}

/* The more tuples a batch combines the fewer rows there are. While the task is
 * busy, which a spent budget shows, it stays open for some activations: if no
 * data came the next one would spend nothing. */
static void flush(struct executor *x)
{
    struct env *env = x->context.env;
    if (is_spout(x) || !env_spent(env) || x->turns == COMBINE_TURNS ||
        emitter_parked(&x->emitter) || !emitter_flush_plain(&x->emitter)) {
        x->turns = 0;
        emitter_flush(&x->emitter);
        tell_loop(x);
        return;
    }
    x->turns++;
    env_again(env);
}

static err executor_settle(struct env *env, void *self)
{
    struct executor *x = self;
    enter(x, env);
    err e = OK;
    if (x->gathering && x->suspended == CALL_NONE && x->hand == NULL) {
        e = executor_after(x, CALL_SETTLE,
                           x->class->settle(&x->context, x->self));
    }
    /* What a spout has emitted stays, even while its call sleeps. */
    bool between = x->suspended == CALL_NONE || is_spout(x);
    if (x->context.state) parts_rest(x);
    if (between) flush(x);
    if (!x->gathering) settle_send(x);
    if (between) tally_count(x);
    return e == OK && is_spout(x) ? source_settle(x) : e;
}

/* ---- life ---- */

static err add_route(struct env *env, struct executor *x, unsigned component,
                     unsigned input)
{
    struct edge *edges[COMPONENT_TASKS_MAX];
    const struct component_plan *to = &x->context.plan->components[component];
    const struct input_plan *in = &to->inputs[input];
    err e = topology_outputs(x->topology, x->task->number, component, input,
                             edges, COMPONENT_TASKS_MAX);
    if (e == OK)
        e = emitter_route(&x->emitter, in->stream, in, edges, to->tasks);
    if (e != OK) return e;
    if (to->loop && to->loop == x->task->component->loop)
        emitter_in_loop(&x->emitter, in->stream, x->task->loop);
    for (unsigned i = 0; i < to->tasks; i++)
        edge_attach_producer(env, edges[i]);
    return OK;
}

static err connect(struct env *env, struct executor *x)
{
    const struct plan *plan = x->context.plan;
    unsigned mine = (unsigned)(x->context.component - plan->components);
    for (unsigned c = 0; c < plan->count; c++)
        for (unsigned i = 0; i < plan->components[c].input_count; i++) {
            if (plan->components[c].inputs[i].component != mine) continue;
            err e = add_route(env, x, c, i);
            if (e != OK) return e;
        }
    for (unsigned i = 0; i < x->task->input_count; i++)
        edge_attach_consumer(env, &x->task->inputs[i]->edge);
    return OK;
}

/* With the newest code, or as the actor before left it. */
static err make_class(struct env *env, struct executor *x)
{
    if (x->task->state) {
        x->self = x->task->state;
        return OK;
    }
    x->self = mem_lines(1, x->class->state_bytes);
    if (x->self == NULL) return ERR_NOMEM;
    struct code *code = topology_code(x->topology);
    x->context.code = code;
    err e = x->class->make(&x->context, x->self);
    x->context.code = NULL;
    if (code) x->loaded_version = code->version;
    if (code) ref_drop(env, &code->ref);
    if (e == OK) {
        e = parts_restore(x);
        if (e != OK) x->class->free(&x->context, x->self);
    }
    if (e == OK && x->class->stays) x->task->state = x->self;
    if (e == OK) return OK;
    mem_free(x->self);
    return e;
}

/* The class and what the end needs. */
static err prepare(struct env *env, struct executor *x)
{
    uint32_t task = x->task->number;
    err e;
    x->ended = x->finished = x->task->ended;
    x->last_word = msg_new(env, TOPOLOGY_ENDED, sizeof task);
    if (x->last_word == NULL) return ERR_NOMEM;
    memcpy(msg_body(x->last_word), &task, sizeof task);
    x->last_word->from = env_self(env);
    if (x->class->heavy) env_stay(env);
    e = parts_begin(x);
    return e == OK ? make_class(env, x) : e;
}

static enum step open_class(struct executor *x)
{
    return x->class->open ? x->class->open(&x->context, x->self) : STEP_DONE;
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
        .begun = &task->begun,
        .left = &task->left,
        .env = env,
        .emitter = &x->emitter,
    };
    x->metrics = topology_metrics(
        x->topology, (unsigned)(task->component - x->context.plan->components));
    x->pending = task->pending;
    err e = emitter_init(&x->emitter, task->component, task->number,
                         env_random(env));
    if (e != OK) return e;
    x->emitter.epoch = topology_epoch(x->topology);
    x->emitter.barriers_come_round = x->context.plan->guarantee == EXACTLY_ONCE;
    enter(x, env);
    e = connect(env, x);
    if (e == OK) e = prepare(env, x);
    if (e != OK) {
        const char *why = x->context.error[0] ? x->context.error : err_text(e);
        executor_log(&x->context, LOG_ERROR, "%s", why);
        tally_fault(x, 0, why);
        if (x->last_word) msg_free(env, x->last_word);
        state_free(x->context.state);
        emitter_fini(&x->emitter);
        return e;
    }
    e = is_spout(x) ? source_begin(x) : backlog_restore(x);
    if (e == OK) e = executor_after(x, CALL_OPEN, open_class(x));
    if (e != OK) /* after make(), the end is terminate()'s */
        executor_kind.terminate(env, x, e);
    else
        task->back = false;
    return e;
}

static void executor_terminate(struct env *env, void *self, err why)
{
    struct executor *x = self;
    enter(x, env);
    emitter_undo(&x->emitter); /* of a call that doesn't come back */
    tally_count(x);
    if (x->hand) {
        note_left(x, x->hand);
        settle_lose_batch(x, x->hand);
    }
    for (unsigned i = 0; i < x->task->input_count; i++) {
        struct channel *c = x->task->inputs[i];
        while (c->held_first) {
            struct msg *m = c->held_first;
            c->held_first = m->next;
            struct batch *b = batch_of(m);
            if (b->marker == BATCH_DATA) note_left(x, m);
            if (b->marker == BATCH_END && channel_end(c))
                x->loop_left += LOOP_WAY;
            if (b->marker == BATCH_MARK)
                at_store(&c->marker, b->number, RELEASE);
            if (b->marker == BATCH_DRY) at_store(&c->dry, true, RELEASE);
            settle_lose_batch(x, m);
        }
    }
    settle_lose(x);
    emitter_drop(&x->emitter, settle_lose_root, x);
    tell_loop(x);
    while (x->later_first) {
        struct msg *m = x->later_first;
        x->later_first = m->next;
        msg_free(env, m);
    }
    if (x->last_word) msg_free(env, x->last_word);
    backlog_drop(x);
    if (x->closes_gate) topology_close_gate(x->topology, false);
    roots_fini(&x->roots);
    deadline_id *timers[] = {&x->sleep_timer, &x->idle_timer, &x->replay_timer,
                             &x->check_timer, &x->tick_timer, &x->stall_timer};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++)
        deadline_cancel(env, timers[i]);
    source_leave(x);
    if (!x->class->stays) {
        env_flush(env); /* it may call the component's cleanup() */
        x->class->free(&x->context, x->self);
        mem_free(x->self);
    }
    state_free(x->context.state);
    emitter_fini(&x->emitter);
}

err executor_tick_at(struct component_context *context, int64_t at_ns)
{
    struct executor *x = executor_of(context);
    deadline_cancel(context->env, &x->tick_timer);
    if (at_ns == INT64_MAX) return OK;
    return executor_set_timer(x, &x->tick_timer, at_ns, TIMER_TICK);
}

struct store *executor_store(const struct component_context *context)
{
    return topology_store(context->executor->topology);
}

void executor_close_gate(struct component_context *context, bool closed)
{
    struct executor *x = executor_of(context);
    if (x->closes_gate != closed) topology_close_gate(x->topology, closed);
    x->closes_gate = closed;
}

void executor_checkpoint_soon(struct component_context *context, bool wait)
{
    struct executor *x = executor_of(context);
    if (x->asked > wait) return;
    if (wait) topology_stall(x->topology);
    if (executor_tell_topology(x, TOPOLOGY_SOON, NULL, 0) == OK)
        x->asked = 1 + wait;
}

void executor_job(struct component_context *context, struct job *job)
{
    job_start(context->env, job, EXECUTOR_JOB);
}

void executor_drain(struct component_context *context)
{
    struct executor *x = executor_of(context);
    int64_t limit_ns = topology_drain_ns(x->topology);
    executor_tell_topology(x, TOPOLOGY_DRAIN, &limit_ns, sizeof limit_ns);
}

const struct actor_kind executor_kind = {
    .name = "executor",
    .state_bytes = sizeof(struct executor),
    .init = executor_init,
    .receive = executor_receive,
    .settle = executor_settle,
    .terminate = executor_terminate,
};
