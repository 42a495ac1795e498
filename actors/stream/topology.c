/* topology.c - starts the tasks of a plan under supervisors, and knows when all
 * has ended.
 * Children of the supervisor: first the ackers, then a task each. */
#include "actors/stream/acker.h"
#include "actors/stream/executor.h"
#include "actors/stream/faults.h"
#include "actors/stream/topology_state.h"
#include "actors/stream/turns.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/node.h"
#include <stdio.h>
#include <string.h>

/* ---- the table ---- */

const struct plan *topology_plan(const struct topology *t)
{
    return t->config.plan;
}

struct task *topology_task(struct topology *t, uint32_t task)
{
    return &t->tasks[task];
}

actor_id topology_task_id(struct topology *t, uint32_t task)
{
    return at_load(&t->tasks[task].id, ACQUIRE);
}

struct store *topology_store(const struct topology *t)
{
    return t->config.store;
}

uint32_t topology_epoch(const struct topology *t)
{
    return at_load(&t->epoch, SEQ_CST);
}

void topology_stall(struct topology *t)
{
    at_store(&t->stalled, true, SEQ_CST);
}

int64_t topology_drain_ns(const struct topology *t)
{
    return t->config.drain_ns;
}

unsigned topology_ackers(const struct topology *t)
{
    return t->config.ackers;
}

actor_id topology_acker(struct topology *t, uint32_t spout_task)
{
    return at_load(&t->ackers[spout_task % t->config.ackers], ACQUIRE);
}

const struct component_metrics *topology_metrics(const struct topology *t,
                                                 unsigned component)
{
    return &t->metrics[component];
}

uint64_t topology_pending_limit(const struct topology *t, unsigned component,
                                struct metrics *metrics)
{
    const struct component_plan *c = &t->config.plan->components[component];
    uint64_t limit = 0;
    for (unsigned i = 0; c->kind == COMPONENT_SPOUT && i < c->tasks; i++)
        limit +=
            (uint64_t)metric_gauge(metrics, t->tasks[c->first_task + i].limit);
    return limit;
}

struct code *topology_code(struct topology *t)
{
    pthread_mutex_lock(&t->code_lock);
    struct code *code = t->code;
    if (code) ref_take(&code->ref);
    pthread_mutex_unlock(&t->code_lock);
    return code;
}

struct faults *topology_faults(struct topology *t)
{
    return t->faults;
}

actor_id topology_actor(const struct topology *t)
{
    return t->actor;
}

int64_t topology_clock_ns(const struct topology *t, int64_t now_ns)
{
    int64_t stood_ns = at_load(&t->stood_ns, RELAXED);
    return stood_ns < 0 ? ~stood_ns : now_ns - stood_ns;
}

bool topology_is_active(const struct topology *t)
{
    return at_load(&t->active, SEQ_CST);
}

bool topology_is_stalled(const struct topology *t)
{
    return at_load(&t->stalled, RELAXED);
}

bool topology_is_gated(const struct topology *t)
{
    for (unsigned i = 0; i < t->config.plan->loops; i++)
        if (loop_is_gated(&t->loops[i])) return true;
    return at_load(&t->gates, RELAXED) > 0 || topology_is_stalled(t);
}

void topology_close_gate(struct topology *t, bool closed)
{
    if (closed)
        at_add(&t->gates, 1, RELAXED);
    else
        at_sub(&t->gates, 1, RELAXED);
}

bool channel_end(struct channel *c)
{
    return !at_swap(&c->ended, true, SEQ_CST) && c->into != NULL;
}

bool topology_aligns(const struct topology *t)
{
    return at_load(&t->stood_ns, RELAXED) < 0;
}

void root_stop_clock(struct topology *t, int64_t now_ns)
{
    at_store(&t->stood_ns, ~topology_clock_ns(t, now_ns), RELAXED);
}

void root_start_clock(struct topology *t, int64_t now_ns)
{
    if (topology_aligns(t))
        at_store(&t->stood_ns, now_ns - topology_clock_ns(t, now_ns), RELAXED);
}

err topology_outputs(struct topology *t, uint32_t from, unsigned component,
                     unsigned input, struct edge **edges, unsigned room)
{
    const struct component_plan *to = &t->config.plan->components[component];
    unsigned found = 0;
    if (to->tasks > room) return ERR_LIMIT;
    for (unsigned i = 0; i < to->tasks; i++) {
        struct task *task = &t->tasks[to->first_task + i];
        for (unsigned k = 0; k < task->input_count; k++) {
            struct channel *c = task->inputs[k];
            if (c->from == from && c->input == input) edges[found++] = &c->edge;
        }
    }
    return found == to->tasks ? OK : ERR_NOTFOUND;
}

/* ---- building ---- */

/* A spout's tuples take their time until they are acked, others' until the
 * call that they are executed by is through. */
static err register_latency(struct component_metrics *m,
                            enum component_kind kind, struct metrics *metrics,
                            const char *labels)
{
    return metric_register(metrics, METRIC_HISTOGRAM,
                           kind == COMPONENT_SPOUT
                               ? "engine_complete_latency_seconds"
                               : "engine_execute_latency_seconds",
                           labels, &m->latency);
}

/* Of each of a spout's tasks its own. */
static err register_limits(struct topology *t, struct metrics *metrics,
                           const struct component_plan *c, const char *labels)
{
    for (unsigned i = 0; i < c->tasks; i++) {
        char all[600], number[16];
        snprintf(all, sizeof all, "%s", labels);
        snprintf(number, sizeof number, "%u", i);
        metric_label(all, sizeof all, "task", number);
        err e = metric_register(metrics, METRIC_GAUGE, "engine_pending_limit",
                                all, &t->tasks[c->first_task + i].limit);
        if (e != OK) return e;
    }
    return OK;
}

static err register_metrics(struct topology *t, struct metrics *metrics)
{
    const struct plan *plan = t->config.plan;
    for (unsigned c = 0; c < plan->count; c++) {
        struct component_metrics *m = &t->metrics[c];
        char labels[512] = "";
        metric_label(labels, sizeof labels, "topology", plan->name);
        metric_label(labels, sizeof labels, "component",
                     plan->components[c].name);
        struct {
            const char *name;
            metric_id *id;
        } all[] = {
            {"engine_tuples_executed_total", &m->executed},
            {"engine_tuples_emitted_total", &m->emitted},
            {"engine_tuples_acked_total", &m->acked},
            {"engine_tuples_failed_total", &m->failed},
            {"engine_tuples_replayed_total", &m->replayed},
            {"engine_tuples_gave_up_total", &m->gave_up},
            {"engine_errors_total", &m->errors},
            {"engine_input_left_out_total", &m->left_out},
        };
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
            err e = metric_register(metrics, METRIC_COUNTER, all[i].name,
                                    labels, all[i].id);
            if (e != OK) return e;
        }
        err e = register_latency(m, plan->components[c].kind, metrics, labels);
        if (e == OK && plan->components[c].kind == COMPONENT_SPOUT)
            e = register_limits(t, metrics, &plan->components[c], labels);
        if (e != OK) return e;
    }
    return OK;
}

static void fill_children(struct topology *t)
{
    unsigned ackers = t->config.ackers, tasks = t->config.plan->tasks;
    for (unsigned i = 0; i < ackers; i++)
        t->children[i] = (struct child_spec){.kind = &acker_kind,
                                             .args = &t->self,
                                             .args_bytes = sizeof t->self,
                                             .restart = CHILD_PERMANENT};
    for (unsigned i = 0; i < tasks; i++) {
        t->child_args[i] = &t->tasks[i];
        t->children[ackers + i] =
            (struct child_spec){.kind = &executor_kind,
                                .args = &t->child_args[i],
                                .args_bytes = sizeof t->child_args[i],
                                .restart = CHILD_TRANSIENT,
                                .group = t->turns[i]};
    }
}

/* ---- the actor ---- */

/* Every task has an actor; nobody emits before everybody can be reached. */
static err go_all(struct env *env, struct topology *t)
{
    unsigned tasks = t->config.plan->tasks;
    for (unsigned i = 0; i < tasks; i++)
        if (topology_task_id(t, i) == 0) return OK;
    for (unsigned i = 0; i < tasks; i++) {
        err e = actor_send(env, topology_task_id(t, i), EXECUTOR_GO, NULL, 0);
        if (e != OK) return e;
    }
    t->going = true;
    return OK;
}

static err acker_started(struct env *env, struct topology *t, unsigned acker,
                         actor_id id, unsigned restarts)
{
    at_store(&t->ackers[acker], id, RELEASE);
    if (restarts == 0) return OK;
    for (unsigned i = 0; i < t->config.plan->tasks; i++) {
        if (t->tasks[i].component->kind != COMPONENT_SPOUT ||
            i % t->config.ackers != acker)
            continue;
        err e =
            actor_send(env, topology_task_id(t, i), EXECUTOR_ACKER, NULL, 0);
        if (e != OK) return e;
    }
    return OK;
}

/* Runs as the supervisor, which starts the child once more when those who must
 * know of it can't be told. */
static err child_started(struct env *env, void *context, unsigned child,
                         actor_id id, unsigned restarts)
{
    struct topology *t = context;
    if (child < t->config.ackers)
        return acker_started(env, t, child, id, restarts);
    struct task *task = &t->tasks[child - t->config.ackers];
    at_store(&task->id, id, SEQ_CST);
    for (unsigned i = 0; i < task->input_count; i++)
        at_store(&task->inputs[i]->edge.consumer, id, RELEASE);
    err e =
        t->going ? actor_send(env, id, EXECUTOR_GO, NULL, 0) : go_all(env, t);
    if (e != OK) return e;
    return actor_send(env, t->actor, TOPOLOGY_STARTED, &task->number,
                      sizeof task->number);
}

static err tell(struct env *env, struct root *r, uint32_t task, enum owed what)
{
    static const uint16_t kinds[] = {
        [OWED_LOAD] = EXECUTOR_LOAD,       [OWED_DROP] = EXECUTOR_DROP,
        [OWED_SWITCH] = EXECUTOR_SWITCH,   [OWED_BARRIER] = EXECUTOR_SWITCH,
        [OWED_DECIDED] = EXECUTOR_DECIDED, [OWED_CLOSE] = EXECUTOR_CLOSE,
        [OWED_ACTIVE] = EXECUTOR_ACTIVE,   [OWED_LOOK] = EXECUTOR_LOOK};
    actor_id id = topology_task_id(r->topology, task);
    if (id == 0) return OK; /* is told when it has started */
    /* Of two that undo each other, the later counts. */
    if (what == OWED_LOAD) r->owed[task] &= (uint8_t)~OWED_DROP;
    if (what == OWED_DROP) r->owed[task] &= (uint8_t)~OWED_LOAD;
    struct msg *m = msg_new(env, kinds[what], sizeof(uint64_t));
    if (m == NULL) {
        r->owed[task] |= (uint8_t)what;
        if (r->owed_timer != 0) return OK;
        return deadline_set(env, env_now(env) + OWED_WAIT_NS, TIMER_OWED,
                            &r->owed_timer);
    }
    if (what == OWED_LOAD) {
        ref_take(&r->loading->ref);
        memcpy(msg_body(m), &r->loading, sizeof r->loading);
        m->flags = MSG_REF;
    } else if (what == OWED_SWITCH) {
        memcpy(msg_body(m), &r->loading->version, sizeof(uint64_t));
    } else if (what == OWED_BARRIER) {
        memcpy(msg_body(m), &r->checkpoints.mark, sizeof(uint64_t));
    }
    m->from = env_self(env);
    r->owed[task] &= (uint8_t)~what;
    actor_post(env, id, m);
    return OK;
}

/* A barrier of before would reach who begins at the newest checkpoint: what it
 * gives to one that is forgotten would be lost. So it goes to nobody while
 * tasks go back, and they don't go back while it goes. */
err root_tell(struct env *env, struct root *r, uint32_t task, enum owed what)
{
    int idle = PHASE_IDLE;
    if (what != OWED_BARRIER) return tell(env, r, task, what);
    if (!at_cas(&r->topology->phase, &idle, PHASE_TELLING, SEQ_CST)) return OK;
    err e = tell(env, r, task, what);
    at_store(&r->topology->phase, PHASE_IDLE, SEQ_CST);
    return e;
}

/* Where all that leads into a loop has ended, no barrier comes from outside. */
bool root_is_source(const struct root *r, uint32_t task, enum owed what)
{
    const struct task *t = &r->topology->tasks[task];
    return t->component->kind == COMPONENT_SPOUT ||
           (what == OWED_BARRIER && t->heads);
}

err root_tell_tasks(struct env *env, struct root *r, enum owed what,
                    bool sources_only)
{
    for (unsigned i = 0; i < r->topology->config.plan->tasks; i++) {
        if (sources_only && !root_is_source(r, i, what)) continue;
        err e = root_tell(env, r, i, what);
        if (e != OK) return e;
    }
    return OK;
}

static err tell_of_end(struct env *env, struct root *r, const struct loop *loop)
{
    err e = OK;
    for (unsigned i = 0; e == OK && i < r->topology->config.plan->tasks; i++)
        if (r->topology->tasks[i].loop == loop) e = tell(env, r, i, OWED_LOOK);
    return e;
}

/* Not while tasks go back, which may open ways into it again. */
err root_look_at_loops(struct env *env, struct root *r)
{
    struct topology *t = r->topology;
    int phase = PHASE_IDLE;
    err e = OK;
    bool idle = at_cas(&t->phase, &phase, PHASE_TELLING, SEQ_CST);
    if (!idle && phase == PHASE_REWINDING) return OK; /* TOPOLOGY_REWOUND */
    for (unsigned i = 0; e == OK && i < t->config.plan->loops; i++)
        if (loop_end(&t->loops[i])) e = tell_of_end(env, r, &t->loops[i]);
    if (idle) at_store(&t->phase, PHASE_IDLE, SEQ_CST);
    return e;
}

/* Is it still to be told? */
static bool is_wanted(const struct root *r, enum owed what)
{
    switch (what) {
    case OWED_LOAD: return r->loading && !r->switching;
    case OWED_SWITCH: return r->loading && r->switching;
    case OWED_BARRIER: return checkpoint_aligns(r);
    default: return true;
    }
}

static err pay_what_is_owed(struct env *env, struct root *r)
{
    r->owed_timer = 0;
    for (unsigned i = 0; i < r->topology->config.plan->tasks; i++)
        for (int what = OWED_LOAD; what <= OWED_LOOK; what *= 2) {
            if (!(r->owed[i] & what)) continue;
            r->owed[i] &= (uint8_t)~what;
            if (!is_wanted(r, (enum owed)what)) continue;
            err e = root_tell(env, r, i, (enum owed)what);
            if (e != OK) return e;
        }
    return OK;
}

static void end_supervisor(struct env *env, struct root *r)
{
    if (r->end_order) actor_post(env, r->supervisor, r->end_order);
    r->end_order = NULL;
}

static void count_unsettled(struct root *r)
{
    struct topology *t = r->topology;
    for (unsigned i = 0; i < t->config.plan->tasks; i++)
        r->end.unsettled += at_load(&t->tasks[i].unsettled, RELAXED);
}

/* root_terminate() tells when all is down. */
err root_finish(struct env *env, struct root *r, err why)
{
    if (r->over) return OK;
    r->over = true;
    r->end.why = why;
    deadline_cancel(env, &r->drain_timer);
    count_unsettled(r);
    if (actor_send(env, r->supervisor, MSG_STOP, NULL, 0) != OK)
        end_supervisor(env, r);
    return OK;
}

static err drain(struct env *env, struct root *r, int64_t limit_ns)
{
    int64_t at_ns = env_now(env) + limit_ns;
    if (r->over || (r->draining && at_ns >= r->drain_ns)) return OK;
    deadline_cancel(env, &r->drain_timer);
    r->drain_ns = at_ns;
    r->draining = true;
    if (!r->begun) { /* nothing runs that could end by itself */
        r->over = true;
        r->end.why = ERR_STOPPED;
        return ERR_DONE;
    }
    err e = deadline_set(env, at_ns, TIMER_DRAIN, &r->drain_timer);
    if (e != OK) return e;
    if (r->topology->config.store) return checkpoint_stop(env, r);
    return root_tell_tasks(env, r, OWED_CLOSE, true);
}

/* A task's new actor has the newest code that was taken; what was under way
 * for the old one is told again. */
static err started(struct env *env, struct root *r, uint32_t task)
{
    err e = OK;
    if (r->draining && r->topology->config.store == NULL &&
        r->topology->tasks[task].component->kind == COMPONENT_SPOUT)
        e = root_tell(env, r, task, OWED_CLOSE);
    if (e == OK) e = checkpoint_task_started(env, r, task);
    if (e != OK || r->loading == NULL) return e;
    return root_tell(env, r, task, r->switching ? OWED_SWITCH : OWED_LOAD);
}

/* ---- its messages ---- */

static void root_fini(struct env *env, struct root *r)
{
    if (r->end_order) msg_free(env, r->end_order);
    mem_free(r->answered);
    mem_free(r->has_ended);
    mem_free(r->owed);
    checkpoint_fini(env, r);
}

/* The ackers and tasks come to life. */
static err begin(struct env *env, struct root *r)
{
    struct topology *t = r->topology;
    struct supervisor_config config = supervisor_defaults();
    config.children = t->children;
    config.count = t->config.ackers + t->config.plan->tasks;
    config.started = child_started;
    config.context = t;
    if (plan_is_durable(t->config.plan)) {
        config.strategy = ONE_FOR_ALL;
        config.may_start = checkpoint_rewind;
    }
    if (t->config.restarts) config.intensity = t->config.restarts;
    if (t->config.backoff_max_ns)
        config.backoff_max_ns = t->config.backoff_max_ns;
    r->begun = true;
    return actor_spawn_monitored(env, NULL, &supervisor_kind, &config,
                                 sizeof config, &r->supervisor, NULL);
}

static err activate(struct env *env, struct root *r, bool active)
{
    if (r->over || r->draining) return OK;
    at_store(&r->topology->active, active, SEQ_CST);
    if (r->begun) return root_tell_tasks(env, r, OWED_ACTIVE, true);
    return active ? begin(env, r) : OK;
}

static err root_init(struct env *env, void *self, const void *args)
{
    struct root *r = self;
    memcpy(&r->topology, args, sizeof r->topology);
    struct topology *t = r->topology;
    unsigned tasks = t->config.plan->tasks;
    r->answered = mem_zero(tasks, sizeof *r->answered);
    r->has_ended = mem_zero(tasks, sizeof *r->has_ended);
    r->owed = mem_zero(tasks, sizeof *r->owed);
    r->end_order = actor_kill_order(env, ERR_STOPPED);
    err e = ERR_NOMEM;
    if (r->answered && r->has_ended && r->owed && r->end_order)
        e = checkpoint_init(env, r);
    if (e == OK && t->active) e = begin(env, r);
    if (e == OK) return OK;
    root_fini(env, r);
    r->end.why = e;
    t->config.ended(t->config.context, &r->end);
    return e;
}

/* A task that has ended may be killed, and end again. */
static err task_ended(struct env *env, struct root *r, uint32_t task)
{
    if (r->has_ended[task]) return OK;
    r->has_ended[task] = true;
    bool all = ++r->ended == r->topology->config.plan->tasks;
    if (r->topology->config.store) {
        err e = checkpoint_task_ended(env, r, task);
        return e == OK && all ? checkpoint_end(env, r) : e;
    }
    return all ? root_finish(env, r, r->draining ? ERR_STOPPED : OK) : OK;
}

static err root_receive(struct env *env, void *self, const struct msg *m)
{
    struct root *r = self;
    struct topology *t = r->topology;
    switch (m->kind) {
    case TOPOLOGY_ENDED: return task_ended(env, r, *(uint32_t *)msg_body(m));
    case TOPOLOGY_DRAIN: return drain(env, r, *(int64_t *)msg_body(m));
    case TOPOLOGY_RELOAD: return reload_begin(env, r, m);
    case TOPOLOGY_LOADED: return reload_loaded(env, r, msg_body(m));
    case TOPOLOGY_SWITCHED: return reload_switched(env, r, msg_body(m));
    case MSG_AGAIN: return checkpoint_timer(env, r);
    case TOPOLOGY_PART: return checkpoint_part_came(env, r, m);
    case TOPOLOGY_STORED: return checkpoint_stored(env, r);
    case TOPOLOGY_REVEALED: return checkpoint_revealed(env, r);
    case TOPOLOGY_SOON: checkpoint_soon(env, r); return OK;
    case TOPOLOGY_REWOUND: return checkpoint_rewound(env, r);
    case TOPOLOGY_LOOP: return root_look_at_loops(env, r);
    case TOPOLOGY_STARTED: return started(env, r, *(uint32_t *)msg_body(m));
    case TOPOLOGY_ACTIVATE: return activate(env, r, true);
    case TOPOLOGY_DEACTIVATE: return activate(env, r, false);
    case TOPOLOGY_KILL: /* a campaign's fault */
        return actor_kill(env, topology_task_id(t, *(uint32_t *)msg_body(m)),
                          ERR_KILLED);
    case MSG_TIMER: {
        const struct timer_due *due = msg_body(m);
        switch ((enum timer)due->cookie) {
        case TIMER_OWED: return pay_what_is_owed(env, r);
        case TIMER_CHECKPOINT: return checkpoint_timer(env, r);
        default: return root_finish(env, r, ERR_STOPPED);
        }
    }
    case MSG_DOWN: /* the supervisor gave up, or was told to stop */
        r->supervisor = 0;
        if (!r->over) {
            const struct down *down = msg_body(m);
            r->over = true;
            r->end.why = down->why == ERR_HOPELESS ? down->why : ERR_CRASHED;
            count_unsettled(r);
        }
        return ERR_DONE;
    default: return ERR_BADMSG;
    }
}

static void root_terminate(struct env *env, void *self, err why)
{
    struct root *r = self;
    if (r->loading) reload_close(env, r, false, "the run has ended");
    if (r->supervisor != 0) end_supervisor(env, r);
    deadline_cancel(env, &r->owed_timer);
    deadline_cancel(env, &r->drain_timer);
    root_fini(env, r);
    struct topology *t = r->topology;
    struct metrics *metrics = node_metrics(env_node(env));
    for (unsigned c = 0; c < t->config.plan->count; c++) {
        r->end.gave_up += metric_read(metrics, t->metrics[c].gave_up);
        r->end.left_out += metric_read(metrics, t->metrics[c].left_out);
    }
    if (!r->over) r->end.why = why;
    if (why != ERR_KILLED) t->config.ended(t->config.context, &r->end);
}

static const struct actor_kind root_kind = {
    .name = "topology",
    .state_bytes = sizeof(struct root),
    .init = root_init,
    .receive = root_receive,
    .terminate = root_terminate,
};

err topology_start(struct env *env, const struct topology_config *config,
                   struct topology **out)
{
    const struct plan *plan = config->plan;
    struct topology *t = mem_zero(1, sizeof *t);
    if (t == NULL) return ERR_NOMEM;
    t->config = *config;
    t->self = t;
    t->active = !plan->inactive;
    t->stalled = plan->guarantee == EXACTLY_ONCE;
    pthread_mutex_init(&t->code_lock, NULL);
    t->channel_count = channels_count(plan);
    t->tasks = mem_zero(plan->tasks, sizeof *t->tasks);
    t->channels = mem_zero(t->channel_count, sizeof *t->channels);
    t->input_lists = mem_zero(t->channel_count, sizeof(struct channel *));
    t->loops = mem_zero(plan->loops + 1, sizeof *t->loops);
    t->metrics = mem_zero(plan->count, sizeof *t->metrics);
    t->ackers = mem_zero(config->ackers, sizeof *t->ackers);
    t->children = mem_zero(config->ackers + plan->tasks, sizeof *t->children);
    t->child_args = mem_zero(plan->tasks, sizeof(struct task *));
    t->turns = turns_new(plan);
    t->faults = faults_new();
    err e = ERR_NOMEM;
    if (t->tasks && t->channels && t->loops && t->input_lists && t->metrics &&
        t->ackers && t->children && t->child_args && t->turns && t->faults) {
        channels_lay(t);
        e = register_metrics(t, node_metrics(env_node(env)));
    }
    if (e == OK) {
        fill_children(t);
        e = actor_spawn(env, &root_kind, &t->self, sizeof t->self, &t->actor);
    }
    if (e != OK) {
        topology_free(t);
        return e;
    }
    *out = t;
    return OK;
}

bool task_holds_back(const struct task *task)
{
    const struct component_plan *c = task->component;
    return c->kind == COMPONENT_SPOUT && c->class->stays &&
           !c->class->rewinds && plan_is_durable(task->topology->config.plan);
}

void topology_free_state(struct task *task)
{
    pending_fini(&task->pending);
    undecided_fini(&task->undecided);
    if (task->state == NULL) return;
    struct component_context context = {
        .plan = task->topology->config.plan,
        .component = task->component,
        .task = task->number,
        .index = task->index,
    };
    task->component->class->free(&context, task->state);
    mem_free(task->state);
    task->state = NULL;
}

static void free_task(struct task *task)
{
    topology_free_state(task);
    if (task->left) ref_drop(NULL, task->left);
}

void topology_free(struct topology *t)
{
    if (t == NULL) return;
    for (unsigned i = 0; t->tasks && i < t->config.plan->tasks; i++)
        if (t->tasks[i].topology) free_task(&t->tasks[i]);
    if (t->code) ref_drop(NULL, &t->code->ref);
    pthread_mutex_destroy(&t->code_lock);
    mem_free(t->tasks);
    mem_free(t->channels);
    mem_free(t->loops);
    mem_free(t->input_lists);
    mem_free(t->metrics);
    mem_free(t->ackers);
    mem_free(t->children);
    turns_free(t->turns, t->config.plan);
    faults_free(t->faults);
    mem_free(t->child_args);
    mem_free(t);
}
