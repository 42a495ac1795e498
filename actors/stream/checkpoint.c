/* checkpoint.c - takes checkpoints, in the topology's actor: spouts put a
 * barrier into their streams, every task gives its part when the barrier has
 * come on all its inputs, all parts go into one transaction, and its commit is
 * the decision. One is in hand at a time. A task that has ended has given its
 * last part: it belongs to the next checkpoint.
 * Where a component keeps state, a crash takes all tasks back to the newest
 * checkpoint. Its records are either written or read back, never both: see
 * enum phase. */
#include "actors/stream/checkpoint.h"
#include "actors/stream/state.h"
#include "actors/stream/topology_state.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/node.h"
#include "core/value.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    MS = 1000 * 1000,
    AGAIN_NS = 10 * MS, /* until it can begin, or there is memory */
    RETRY_FIRST_NS = 100 * MS,
};
#define INTERVAL_NS     (INT64_C(1000) * MS)
#define INTERVAL_MIN_NS (INT64_C(100) * MS)
#define INTERVAL_MAX_NS (INT64_C(60000) * MS)
#define RETRY_MAX_NS    (INT64_C(5000) * MS)
#define STOP_WAIT_NS    (INT64_C(2000) * MS)
enum { REFUSED_BYTES = 2 * PATH_MAX };

/* ---- parts ---- */

static void free_part(struct env *env, struct ref *ref)
{
    struct checkpoint_part *p = (struct checkpoint_part *)(void *)ref;
    if (p->state) p->state->drop(p->state);
    if (p->rows) p->rows->drop(p->rows);
    buffer_fini(&p->position);
    buffer_fini(&p->names);
    buffer_fini(&p->backlog);
    mem_free(p);
}

struct checkpoint_part *checkpoint_part_new(uint32_t task, uint64_t mark)
{
    struct checkpoint_part *p = mem_zero(1, sizeof *p);
    if (p == NULL) return NULL;
    ref_init(&p->ref, free_part);
    p->task = task;
    p->mark = mark;
    return p;
}

static void drop_parts(struct env *env, struct checkpoint_part *p)
{
    while (p) {
        struct checkpoint_part *next = p->next;
        ref_drop(env, &p->ref);
        p = next;
    }
}

static void written(struct store_write *write)
{
    drop_parts(NULL, write->holder);
}

/* ---- going back ---- */

/* Until the task has put it on its way again it counts as one batch. */
static err restore_backlog(struct topology *t, struct store_view *view,
                           struct task *task)
{
    struct bytes backlog;
    if (!task->heads) return OK;
    err e = ledger_read_backlog(view, t->config.plan, task->component,
                                task->index, &backlog);
    bool has = e == OK && backlog.count > 0;
    if (has && !task->backlogged)
        at_add(&task->loop->pending, LOOP_BATCH, SEQ_CST);
    if (!has && task->backlogged)
        at_sub(&task->loop->pending, LOOP_BATCH, SEQ_CST);
    task->backlogged = has;
    return e;
}

static err restore_task(struct topology *t, struct store_view *view,
                        struct task *task)
{
    struct ledger_task was;
    err e = ledger_read_task(view, t->config.plan, task->component, task->index,
                             &was);
    task->ended = e == OK && was.ended;
    task->back = true;
    return e == OK ? restore_backlog(t, view, task) : e;
}

/* Its marks are behind the checkpoint, and it has ended if its task has. */
static void restore_channel(struct topology *t, struct channel *c)
{
    bool ended = t->tasks[c->from].ended;
    bool had_ended = at_swap(&c->ended, ended, SEQ_CST);
    if (c->into && had_ended && !ended)
        at_add(&c->into->pending, LOOP_WAY, SEQ_CST);
    if (c->into && !had_ended && ended)
        at_sub(&c->into->pending, LOOP_WAY, SEQ_CST);
    at_store(&c->marker, 0, SEQ_CST);
    at_store(&c->dry, false, SEQ_CST);
    c->came = 0;
}

err checkpoint_restore(struct topology *t, struct ledger_checkpoint *newest)
{
    struct store_view *view;
    char why[STORE_WHY_BYTES];
    *newest = (struct ledger_checkpoint){0};
    if (t->config.store == NULL) return OK;
    err e = store_view(t->config.store, &view);
    if (e != OK) return e;
    e = ledger_read(view, t->config.plan, newest, why);
    for (unsigned i = 0; e == OK && i < t->config.plan->tasks; i++)
        e = restore_task(t, view, &t->tasks[i]);
    store_unview(view);
    for (unsigned i = 0; i < t->channel_count; i++)
        restore_channel(t, &t->channels[i]);
    for (unsigned i = 0; i < t->config.plan->loops; i++)
        at_store(&t->loops[i].over, false, SEQ_CST);
    return e;
}

static void forget_run(struct task *task)
{
    at_store(&task->unsettled, 0, RELAXED);
    if (!task_holds_back(task)) topology_free_state(task);
    task->passed = 0;
    task->dry = false;
}

/* No child lives: nobody else writes to the tasks and channels. */
bool checkpoint_rewind(struct env *env, void *topology)
{
    struct topology *t = topology;
    if (!t->begun) return t->begun = true;
    int idle = PHASE_IDLE;
    if (!at_cas(&t->phase, &idle, PHASE_REWINDING, SEQ_CST)) return false;
    struct ledger_checkpoint newest;
    /* The dead may still be losing what was on its way to them. */
    at_add(&t->epoch, 1, SEQ_CST);
    for (unsigned i = 0; i < t->config.plan->tasks; i++)
        forget_run(&t->tasks[i]);
    t->going = false;
    err e = checkpoint_restore(t, &newest);
    if (e == OK) e = actor_send(env, t->actor, TOPOLOGY_REWOUND, NULL, 0);
    if (e == OK) return true;
    at_store(&t->phase, PHASE_IDLE, SEQ_CST);
    return false;
}

/* ---- one checkpoint ---- */

bool checkpoint_aligns(const struct root *r)
{
    return r->checkpoints.mark != 0;
}

/* One aligns, is written, or its files get their names. */
static bool in_hand(const struct checkpoints *c)
{
    return c->mark || c->write || c->retry || c->revealing;
}

/* Without memory for a timer it comes at once. */
static void set_timer(struct env *env, struct root *r, int64_t after_ns)
{
    deadline_cancel(env, &r->checkpoints.timer);
    if (deadline_set(env, env_now(env) + after_ns, TIMER_CHECKPOINT,
                     &r->checkpoints.timer) != OK)
        env_again(env);
}

/* Where the task stands, if that isn't where it stood. */
static err put_task(struct store_write *w, struct root *r,
                    const struct checkpoint_part *p)
{
    const struct task *task = topology_task(r->topology, p->task);
    struct ledger_task row = {.ended = p->mark == 0};
    const void *at = p->position.data ? (void *)p->position.data : "";
    if (p->has_position) row.position = bytes_of(at, p->position.used);
    uint64_t *stood = &r->checkpoints.stood[p->task];
    uint64_t stands = value_hash_bytes(at, p->position.used, row.ended + 1);
    if (stands == *stood) return OK;
    *stood = stands;
    if (!row.ended && !p->has_position) return OK;
    return ledger_put_task(w, r->topology->config.plan, task->component,
                           task->index, &row);
}

/* What was there before is removed, if there may be something. */
static err put_backlog(struct store_write *w, struct root *r,
                       const struct checkpoint_part *p)
{
    const struct task *task = topology_task(r->topology, p->task);
    bool *was = &r->checkpoints.backlogged[p->task];
    if (!task->heads || (!*was && p->backlog.used == 0)) return OK;
    *was = p->backlog.used > 0;
    return ledger_put_backlog(w, r->topology->config.plan, task->component,
                              task->index,
                              bytes_of(p->backlog.data, p->backlog.used));
}

static err put_names(struct root *r, const struct checkpoint_part *p)
{
    struct checkpoints *c = &r->checkpoints;
    if (p->names.used == 0) return OK;
    if (c->reveal == NULL) c->reveal = reveal_new();
    if (c->reveal == NULL) return ERR_NOMEM;
    return reveal_add(c->reveal, bytes_of(p->names.data, p->names.used));
}

static err put_all_names(struct store_write *w, struct root *r)
{
    const struct checkpoints *c = &r->checkpoints;
    struct bytes names = bytes_of(NULL, 0);
    if (c->reveal)
        names = bytes_of(c->reveal->names.data, c->reveal->names.used);
    if (names.count == 0 && !c->named) return OK;
    return ledger_put_names(w, r->topology->config.plan, names);
}

static void drop_reveal(struct env *env, struct checkpoints *c)
{
    if (c->reveal) ref_drop(env, &c->reveal->job.ref);
    c->reveal = NULL;
    c->revealing = false;
}

static void add_part(struct store_write *w, struct store_part *part)
{
    if (part == NULL) return;
    part->next = w->parts;
    w->parts = part;
}

static err put_parts(struct store_write *w, struct root *r)
{
    err e = OK;
    for (struct checkpoint_part *p = r->checkpoints.parts; e == OK && p;
         p = p->next) {
        e = put_task(w, r, p);
        if (e == OK) e = put_backlog(w, r, p);
        if (e == OK) e = put_names(r, p);
        add_part(w, p->state);
        add_part(w, p->rows);
    }
    return e;
}

/* What the store has isn't known any more: all is written again. */
static void forget_stored(struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    for (unsigned i = 0; i < r->topology->config.plan->tasks; i++) {
        c->stood[i] = 0;
        c->backlogged[i] = true;
    }
}

/* All parts are there, those of ended tasks, too. */
static struct store_write *make_write(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    struct topology *t = r->topology;
    const struct world *world = node_world(env_node(env));
    c->next = (struct ledger_checkpoint){
        .number = c->newest.number + 1,
        .wall_ns = world->wall_ns(world->context),
        .ended = r->ended == t->config.plan->tasks && c->last == NULL,
    };
    struct store_write *w = store_write_new(t->config.store);
    if (w == NULL) return NULL;
    err e = put_parts(w, r);
    bool new = w->parts || w->changes.used || c->next.ended;
    if (e == OK && new) e = put_all_names(w, r);
    if (e == OK && new) e = ledger_put(w, t->config.plan, &c->next);
    if (e == OK) return w;
    forget_stored(r);
    drop_reveal(env, c);
    store_write_drop(env, w);
    return NULL;
}

/* To be told of by TOPOLOGY_STORED. */
static void start_write(struct env *env, struct root *r)
{
    struct store_write *w = r->checkpoints.write;
    ref_take(&w->job.ref); /* the answer's */
    r->checkpoints.retry = false;
    r->checkpoints.began_ns = env_now(env);
    store_start(env, w, TOPOLOGY_STORED);
}

/* To be told of by TOPOLOGY_REVEALED. */
static void start_reveal(struct env *env, struct root *r)
{
    struct job *job = &r->checkpoints.reveal->job;
    ref_take(&job->ref); /* the answer's */
    r->checkpoints.retry = false;
    job_start(env, job, TOPOLOGY_REVEALED);
}

static err nothing_new(struct env *env, struct root *r);

static err commit(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    int idle = PHASE_IDLE;
    if (!at_cas(&r->topology->phase, &idle, PHASE_COMMITTING, SEQ_CST))
        return OK; /* TOPOLOGY_REWOUND comes */
    c->write = make_write(env, r);
    c->retry = c->write == NULL;
    if (c->retry) {
        at_store(&r->topology->phase, PHASE_IDLE, SEQ_CST);
        set_timer(env, r, AGAIN_NS);
        return OK;
    }
    c->write->holder = c->parts;
    c->write->drop = written;
    c->parts = NULL;
    if (c->write->changes.used == 0) return nothing_new(env, r);
    start_write(env, r);
    return OK;
}

/* The last parts of tasks that had ended when the barrier came to their
 * readers; those of tasks that gave a part before wait for the next one. */
static void take_last_parts(struct checkpoints *c)
{
    struct checkpoint_part **from = &c->last;
    while (*from) {
        struct checkpoint_part *p = *from;
        bool later = false;
        for (const struct checkpoint_part *q = c->parts; q; q = q->next)
            later |= q->task == p->task;
        if (later) {
            from = &p->next;
            continue;
        }
        *from = p->next;
        p->next = c->parts;
        c->parts = p;
    }
}

static err aligned(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    c->mark = 0;
    take_last_parts(c);
    err e = commit(env, r);
    return e == OK ? reload_switch(env, r) : e;
}

static err answered(struct env *env, struct root *r, uint32_t task)
{
    struct checkpoints *c = &r->checkpoints;
    if (c->mark == 0 || c->answered[task]) return OK;
    c->answered[task] = true;
    if (++c->answers < r->topology->config.plan->tasks) return OK;
    return aligned(env, r);
}

static err begin(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    unsigned tasks = r->topology->config.plan->tasks;
    c->soon = false;
    c->mark = (r->marks += 2) | 1;
    c->final = c->stopping;
    c->busy = false;
    c->answers = 0;
    memset(c->answered, 0, tasks * sizeof *c->answered);
    err e = root_tell_tasks(env, r, OWED_BARRIER, true);
    for (unsigned i = 0; e == OK && i < tasks; i++)
        if (r->has_ended[i]) e = answered(env, r, i);
    return e;
}

/* ---- when ---- */

static bool all_live(const struct root *r)
{
    for (unsigned i = 0; i < r->topology->config.plan->tasks; i++)
        if (topology_task_id(r->topology, i) == 0) return false;
    return true;
}

static bool is_quiet(const struct root *r)
{
    uint64_t unsettled = 0;
    for (unsigned i = 0; i < r->topology->config.plan->tasks; i++)
        unsettled += at_load(&r->topology->tasks[i].unsettled, RELAXED);
    return unsettled == 0;
}

err checkpoint_timer(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    c->timer = 0;
    if (r->over) return OK;
    if (c->revealing && c->retry) start_reveal(env, r);
    if (c->revealing) return OK;
    if (c->write && c->retry) start_write(env, r);
    if (c->write) return OK;
    if (c->retry) return commit(env, r);
    if (c->mark) return OK;
    bool all_ended = r->ended == r->topology->config.plan->tasks;
    bool wait = r->loading || !all_live(r) ||
                (c->stopping && !is_quiet(r) && env_now(env) < c->stop_ns);
    if (!wait || all_ended) return begin(env, r);
    set_timer(env, r, AGAIN_NS);
    return OK;
}

/* A tenth of the time may go into commits, and half of it must not. */
static void adapt(struct checkpoints *c, int64_t took_ns)
{
    if (took_ns * 10 < c->interval_ns && c->interval_ns >= 2 * INTERVAL_MIN_NS)
        c->interval_ns /= 2;
    if (took_ns * 2 > c->interval_ns && c->interval_ns < INTERVAL_MAX_NS)
        c->interval_ns *= 2;
}

/* ---- the answer ---- */

/* What is under way comes again in the next run. */
static err stop(struct env *env, struct root *r)
{
    err e = root_finish(env, r, ERR_STOPPED);
    r->end.unsettled = 0;
    return e;
}

/* The answer in hand holds the write: tasks shall find their layers free. */
static void let_go(struct env *env, struct checkpoints *c)
{
    if (c->write == NULL) return;
    written(c->write);
    c->write->drop = NULL;
    c->write->parts = NULL;
    store_write_drop(env, c->write);
    c->write = NULL;
}

static err go_on(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    bool all_ended = r->ended == r->topology->config.plan->tasks;
    let_go(env, c);
    drop_reveal(env, c);
    at_store(&r->topology->phase, PHASE_IDLE, SEQ_CST);
    if (c->newest.ended)
        return root_finish(env, r, r->draining ? ERR_STOPPED : OK);
    if (c->final && !c->busy) return stop(env, r);
    err e = root_tell_tasks(env, r, OWED_DECIDED, false);
    if (e != OK) return e;
    if (all_ended) return begin(env, r);
    set_timer(env, r, c->stopping || c->soon ? 0 : c->interval_ns);
    c->soon = false;
    return OK;
}

/* Tasks have gathered much for it. */
void checkpoint_soon(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    if (r->over || c->soon) return;
    c->soon = true;
    if (!in_hand(c)) set_timer(env, r, 0);
}

static err done(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    if (c->told) {
        log_write(node_log(env_node(env)), "topology", -1, LOG_INFO,
                  "checkpoints are written again, tuples flow");
        root_start_clock(r->topology, env_now(env));
    }
    c->told = false;
    c->retry_ns = RETRY_FIRST_NS;
    at_store(&r->topology->stalled, false, SEQ_CST);
    return go_on(env, r);
}

static err nothing_new(struct env *env, struct root *r)
{
    r->checkpoints.interval_ns = INTERVAL_NS;
    return done(env, r);
}

static err decided(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    c->newest = c->next;
    adapt(c, env_now(env) - c->began_ns);
    c->named = c->revealing = c->reveal != NULL;
    if (!c->revealing) return done(env, r);
    start_reveal(env, r);
    return OK;
}

static void refused(struct env *env, struct root *r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The topology stands until it can be done. */
static void refused(struct env *env, struct root *r, const char *format, ...)
{
    struct checkpoints *c = &r->checkpoints;
    char why[REFUSED_BYTES];
    va_list args;
    at_store(&r->topology->stalled, true, SEQ_CST);
    if (!c->told) root_stop_clock(r->topology, env_now(env));
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (!c->told)
        log_write(node_log(env_node(env)), "topology", -1, LOG_ERROR,
                  "%s; nothing new is emitted until it can", why);
    c->told = c->retry = true;
    set_timer(env, r, c->retry_ns);
    if (c->retry_ns < RETRY_MAX_NS) c->retry_ns *= 2;
}

/* Only another process may find out what the store has. */
static err broken(struct env *env, struct root *r)
{
    log_write(node_log(env_node(env)), "topology", -1, LOG_ERROR, "%s",
              r->checkpoints.write->why);
    return root_finish(env, r, ERR_CRASHED);
}

err checkpoint_stored(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    if (r->over) return OK;
    if (c->write->outcome == OK) return decided(env, r);
    if (c->write->outcome == ERR_CRASHED) return broken(env, r);
    refused(env, r, "a checkpoint can't be written: %s", c->write->why);
    return OK;
}

/* What a process before had decided is done. */
static err begun(struct env *env, struct root *r)
{
    drop_reveal(env, &r->checkpoints);
    at_store(&r->topology->phase, PHASE_IDLE, SEQ_CST);
    set_timer(env, r, 0);
    return OK;
}

err checkpoint_revealed(struct env *env, struct root *r)
{
    const struct reveal *v = r->checkpoints.reveal;
    if (r->over) return OK;
    if (v->error == 0 && r->checkpoints.write) return done(env, r);
    if (v->error == 0) return begun(env, r);
    refused(env, r, "%s can't be renamed to %s: %s", reveal_from(v),
            reveal_to(v), strerror(v->error));
    return OK;
}

/* ---- what happens meanwhile ---- */

err checkpoint_part_came(struct env *env, struct root *r, const struct msg *m)
{
    struct checkpoints *c = &r->checkpoints;
    struct checkpoint_part *p = *(struct checkpoint_part **)msg_body(m);
    struct checkpoint_part **list = p->mark ? &c->parts : &c->last;
    if (p->mark && (p->mark != c->mark || c->answered[p->task])) return OK;
    ref_take(&p->ref);
    p->next = *list;
    *list = p;
    c->busy |= p->busy && env_now(env) < c->stop_ns;
    return p->mark ? answered(env, r, p->task) : OK;
}

err checkpoint_task_started(struct env *env, struct root *r, uint32_t task)
{
    if (r->checkpoints.mark == 0 || !root_is_source(r, task, OWED_BARRIER))
        return OK;
    return root_tell(env, r, task, OWED_BARRIER);
}

err checkpoint_task_ended(struct env *env, struct root *r, uint32_t task)
{
    return answered(env, r, task);
}

err checkpoint_end(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    if (in_hand(c)) return OK; /* go_on() will */
    return begin(env, r);
}

/* The sources emit nothing new; what is under way gets some time. */
err checkpoint_stop(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    c->stopping = true;
    c->stop_ns = env_now(env) + STOP_WAIT_NS;
    at_store(&r->topology->active, false, SEQ_CST);
    err e = root_tell_tasks(env, r, OWED_ACTIVE, true);
    if (e == OK && !in_hand(c)) set_timer(env, r, 0);
    return e;
}

err checkpoint_rewound(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    struct topology *t = r->topology;
    drop_parts(env, c->parts);
    drop_parts(env, c->last);
    c->parts = c->last = NULL;
    c->mark = 0;
    c->retry = c->final = false;
    forget_stored(r);
    r->ended = 0;
    for (unsigned i = 0; i < t->config.plan->tasks; i++)
        r->ended += r->has_ended[i] = t->tasks[i].ended;
    at_store(&t->phase, PHASE_IDLE, SEQ_CST);
    set_timer(env, r, c->interval_ns);
    return root_look_at_loops(env, r);
}

/* ---- life ---- */

/* What sinks have written since it began is known by a checkpoint only: nothing
 * moves before the first one. */
static bool is_exact(const struct topology *t)
{
    return t->config.plan->guarantee == EXACTLY_ONCE;
}

err checkpoint_init(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    struct topology *t = r->topology;
    if (t->config.store == NULL) return OK;
    c->answered = mem_zero(t->config.plan->tasks, sizeof *c->answered);
    c->stood = mem_zero(t->config.plan->tasks, sizeof *c->stood);
    c->backlogged = mem_zero(t->config.plan->tasks, sizeof *c->backlogged);
    if (!c->answered || !c->stood || !c->backlogged) return ERR_NOMEM;
    forget_stored(r);
    c->interval_ns =
        t->config.checkpoint_ns ? t->config.checkpoint_ns : INTERVAL_NS;
    c->retry_ns = RETRY_FIRST_NS;
    err e = checkpoint_restore(t, &c->newest);
    if (e == OK) e = reveal_read(t->config.store, t->config.plan, &c->reveal);
    for (unsigned i = 0; e == OK && i < t->config.plan->tasks; i++)
        r->ended += r->has_ended[i] = t->tasks[i].ended;
    if (e != OK) return e;
    c->named = c->revealing = c->retry = c->reveal != NULL;
    if (c->revealing) at_store(&t->phase, PHASE_COMMITTING, SEQ_CST);
    set_timer(env, r, c->revealing || is_exact(t) ? 0 : c->interval_ns);
    return root_look_at_loops(env, r);
}

void checkpoint_fini(struct env *env, struct root *r)
{
    struct checkpoints *c = &r->checkpoints;
    deadline_cancel(env, &c->timer);
    drop_parts(env, c->parts);
    drop_parts(env, c->last);
    store_write_drop(env, c->write);
    drop_reveal(env, c);
    mem_free(c->answered);
    mem_free(c->stood);
    mem_free(c->backlogged);
}
