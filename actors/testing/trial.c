#include "actors/testing/trial.h"
#include "actors/connectors/connector.h"
#include "actors/stream/executor.h"
#include "actors/stream/topology.h"
#include "actors/testing/mock.h"
#include "actors/testing/tap.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/sim.h"
#include "core/store_memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    STEPS_MAX = 5000000, /* of one call */
    LOG_BYTES_MAX = 64 << 10,
    WHY_BYTES = 1024,
};
#define DAY_NS   (INT64_C(24) * 3600 * 1000000000)
#define DRAIN_NS (INT64_C(10) * 1000000000)
/* Reads every stream, last in the plan; no user may call a component so. */
#define WATCH_NAME "__test"

/* A component of the plan, but for the watch. */
struct part {
    struct mock *mock;       /* owned; NULL: it is none */
    struct tap *tap;         /* owned; NULL: a spout */
    struct capture *emitted; /* owned, by stream */
    struct capture received; /* of a sink */
};

struct trial {
    struct sim *sim;       /* owned */
    struct sim_node *node; /* the world's */
    struct log *log;       /* owned */
    struct plan plan;      /* a copy, borrowing from the original */
    unsigned count;        /* components without the watch */
    struct part *parts;    /* owned */
    struct tap *watch;     /* owned */
    struct topology *topology;
    struct store_memory *memory; /* owned; NULL: no component keeps state */
    struct store *store;         /* owned */
    struct capture_limit limit;
    struct trial_fate *fates; /* owned */
    uint64_t fate_count, fate_room;
    bool ended, failed;
    struct topology_end end;
    struct buffer said; /* the log's lines */
    uint64_t ended_ms;  /* the log's clock when the world is gone */
    char why[WHY_BYTES];
    char last_error[WHY_BYTES - 128];
};

__attribute__((format(printf, 2, 3))) static err fails(struct trial *t,
                                                       const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(t->why, sizeof t->why, format, args);
    va_end(args);
    t->failed = true;
    return ERR_CRASHED;
}

/* ---- the log ---- */

static uint64_t wall_ms(void *context)
{
    const struct trial *t = context;
    return t->sim ? (uint64_t)(sim_wall(t->sim) / 1000000) : t->ended_ms;
}

static void take_line(void *context, enum log_level level, const char *line,
                      size_t bytes)
{
    struct trial *t = context;
    if (level == LOG_ERROR) {
        const char *text = memchr(line, ' ', bytes); /* behind the time */
        text = text ? text + 1 : line;
        size_t length = strcspn(text, "\n");
        if (length > (size_t)(line + bytes - text))
            length = (size_t)(line + bytes - text);
        snprintf(t->last_error, sizeof t->last_error, "%.*s", (int)length,
                 text);
    }
    if (t->said.used + bytes > LOG_BYTES_MAX) return;
    if (buffer_reserve(&t->said, bytes + 1) != OK) return; /* is said as far */
    buffer_append(&t->said, line, bytes);
    t->said.data[t->said.used] = '\0';
}

static struct log *open_log(struct trial *t)
{
    struct log_config config = {
        .format = LOG_TEXT,
        .level = LOG_INFO,
        .now_ms = wall_ms,
        .clock_context = t,
        .sink = take_line,
        .sink_context = t,
    };
    return log_new(&config);
}

/* ---- the plan's copy ---- */

/* Of a direct stream its readers tell: the watch has no task that the sender
 * could name. */
static bool is_watched(const struct component_plan *c, unsigned stream)
{
    return c->kind != COMPONENT_SINK && !c->streams[stream].direct;
}

static unsigned count_watched(const struct plan *plan)
{
    unsigned count = 0;
    for (unsigned i = 0; i < plan->count; i++)
        for (unsigned s = 0; s < plan->components[i].stream_count; s++)
            count += is_watched(&plan->components[i], s);
    return count;
}

/* The component that reads every stream: what it takes was really emitted,
 * none of it was taken back. Its parts are the trial's. */
static err add_watch(struct trial *t, struct component_plan *watch)
{
    unsigned streams = count_watched(&t->plan), next = 0;
    struct input_plan *inputs =
        arena_zero(t->plan.arena, (streams + 1) * sizeof *inputs);
    struct tap_config config = {
        .inner = connector_named("null")->sink,
        .taken = mem_zero(streams + 1, sizeof(struct capture *)),
        .limit = &t->limit,
    };
    if (inputs == NULL || config.taken == NULL) {
        mem_free(config.taken);
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < t->count; i++) {
        const struct component_plan *c = &t->plan.components[i];
        for (unsigned s = 0; s < c->stream_count; s++) {
            if (!is_watched(c, s)) continue;
            config.taken[next] = &t->parts[i].emitted[s];
            inputs[next++] = (struct input_plan){
                .component = i, .stream = s, .grouping = GROUPING_GLOBAL};
        }
    }
    t->watch = tap_new(&config);
    if (t->watch == NULL) return ERR_NOMEM;
    *watch = (struct component_plan){
        .name = WATCH_NAME,
        .kind = COMPONENT_SINK,
        .class = tap_class(t->watch),
        .inputs = inputs,
        .input_count = streams,
        .tasks = 1,
    };
    return OK;
}

static bool is_sink_of(const struct component_class *class)
{
    const struct connector *c;
    for (unsigned i = 0; (c = connector_at(i)) != NULL; i++)
        if (c->sink == class) return true;
    return false;
}

/* NULL: it reads nothing that is outside. */
static const char *outside(const struct component_class *class)
{
    const struct connector *c;
    for (unsigned i = 0; (c = connector_at(i)) != NULL; i++)
        if (c->source == class && strcmp(c->name, "list") != 0) return c->name;
    return NULL;
}

static err add_tap(struct trial *t, struct component_plan *c, struct part *p)
{
    bool is_sink = c->kind == COMPONENT_SINK;
    struct tap_config config = {
        .inner = is_sink && is_sink_of(c->class) ? connector_named("null")->sink
                                                 : c->class,
        .arrived = mem_zero(c->input_count, sizeof(struct capture *)),
        .taken = mem_zero(c->input_count, sizeof(struct capture *)),
        .limit = &t->limit,
    };
    if (config.arrived == NULL || config.taken == NULL) {
        mem_free(config.arrived);
        mem_free(config.taken);
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < c->input_count; i++) {
        const struct input_plan *from = &c->inputs[i];
        const struct component_plan *source =
            &t->plan.components[from->component];
        if (source->streams[from->stream].direct)
            config.arrived[i] =
                &t->parts[from->component].emitted[from->stream];
        if (is_sink) config.taken[i] = &p->received;
    }
    p->tap = tap_new(&config);
    if (p->tap == NULL) return ERR_NOMEM;
    c->class = tap_class(p->tap);
    return OK;
}

/* plan_number() writes to them. */
static err copy_inputs(struct trial *t, struct component_plan *c)
{
    size_t bytes = c->input_count * sizeof *c->inputs;
    struct input_plan *inputs = arena_zero(t->plan.arena, bytes + 1);
    if (inputs == NULL) return ERR_NOMEM;
    if (bytes > 0) memcpy(inputs, c->inputs, bytes);
    c->inputs = inputs;
    return OK;
}

static err copy_plan(struct trial *t, const struct plan *plan)
{
    struct arena *arena = arena_new();
    t->plan = *plan;
    t->plan.arena = arena;
    if (arena == NULL) return ERR_NOMEM;
    t->count = plan->count;
    struct component_plan *components =
        arena_zero(arena, (plan->count + 1) * sizeof *components);
    t->parts = mem_zero(plan->count, sizeof *t->parts);
    if (components == NULL || t->parts == NULL) return ERR_NOMEM;
    memcpy(components, plan->components, plan->count * sizeof *components);
    t->plan.components = components;
    for (unsigned i = 0; i < plan->count; i++) {
        struct part *p = &t->parts[i];
        err e = copy_inputs(t, &components[i]);
        if (e != OK) return e;
        p->emitted =
            mem_zero(components[i].stream_count + 1, sizeof *p->emitted);
        if (p->emitted == NULL) return ERR_NOMEM;
    }
    for (unsigned i = 0; i < plan->count; i++) {
        if (components[i].kind == COMPONENT_SPOUT) continue;
        err e = add_tap(t, &components[i], &t->parts[i]);
        if (e != OK) return e;
    }
    err e = add_watch(t, &components[plan->count]);
    if (e != OK) return e;
    t->plan.count++;
    plan_number(&t->plan);
    return OK;
}

/* ---- life ---- */

struct trial *trial_new(const struct plan *plan, uint64_t seed)
{
    struct trial *t = mem_zero(1, sizeof *t);
    if (t == NULL) return NULL;
    err e = copy_plan(t, plan);
    if (e == OK) t->sim = sim_new(seed);
    if (t->sim) t->log = open_log(t);
    if (t->log) {
        sim_set_log(t->sim, t->log);
        t->node = sim_node(t->sim, 1);
    }
    if (t->node) return t;
    trial_free(t);
    return NULL;
}

void trial_free(struct trial *t)
{
    if (t == NULL) return;
    if (t->sim) t->ended_ms = wall_ms(t);
    sim_free(t->sim);
    t->sim = NULL;
    topology_free(t->topology);
    store_free(t->store);
    store_memory_free(t->memory);
    log_free(t->log);
    for (unsigned i = 0; t->parts && i < t->count; i++) {
        struct part *p = &t->parts[i];
        for (unsigned s = 0;
             p->emitted && s < t->plan.components[i].stream_count; s++)
            capture_fini(&p->emitted[s]);
        mem_free(p->emitted);
        capture_fini(&p->received);
        mock_free(p->mock);
        tap_free(p->tap);
    }
    tap_free(t->watch);
    mem_free(t->parts);
    for (uint64_t i = 0; i < t->fate_count; i++)
        mem_free(t->fates[i].reason);
    mem_free(t->fates);
    buffer_fini(&t->said);
    arena_free(t->plan.arena);
    mem_free(t);
}

/* ---- what the spouts emit ---- */

static void on_settled(void *context, struct mock *mock, uint64_t row,
                       const char *reason)
{
    struct trial *t = context;
    if (t->fate_count == t->fate_room) {
        uint64_t room = t->fate_room ? 2 * t->fate_room : 64;
        struct trial_fate *fates = mem_resize(t->fates, room * sizeof *fates);
        if (fates == NULL) {
            t->limit.no_memory = true;
            return;
        }
        t->fates = fates;
        t->fate_room = room;
    }
    char *copy = reason ? mem_text(reason, strlen(reason)) : NULL;
    if (reason && copy == NULL) t->limit.no_memory = true;
    if (reason && copy == NULL) return;
    t->fates[t->fate_count++] = (struct trial_fate){
        .spout = mock_config_of(mock)->component,
        .row = row,
        .at_ns = trial_elapsed_ns(t),
        .reason = copy,
    };
}

err trial_mock(struct trial *t, unsigned spout, bool feeder)
{
    const struct mock_config config = {.component = spout,
                                       .feeder = feeder,
                                       .settled = on_settled,
                                       .context = t};
    struct mock *mock = mock_new(&config);
    if (mock == NULL) return ERR_NOMEM;
    t->parts[spout].mock = mock;
    t->plan.components[spout].class = mock_class(mock);
    return OK;
}

bool trial_is_mocked(const struct trial *t, unsigned spout)
{
    return t->parts[spout].mock != NULL;
}

bool trial_is_feeder(const struct trial *t, unsigned spout)
{
    const struct mock *mock = t->parts[spout].mock;
    return mock && mock_config_of(mock)->feeder;
}

err trial_feed(struct trial *t, unsigned spout, unsigned stream,
               const uint8_t *values, size_t bytes, uint64_t *row)
{
    struct mock *mock = t->parts[spout].mock;
    const struct component_plan *c = &t->plan.components[spout];
    *row = mock_rows(mock);
    err e = mock_add(mock, stream, values, bytes);
    if (e != OK || t->topology == NULL || t->ended) return e;
    uint32_t task = c->first_task + (uint32_t)(*row % c->tasks);
    actor_id id = topology_task_id(t->topology, task);
    if (id == 0) return OK; /* it looks when it starts */
    return actor_send(sim_env(t->node), id, EXECUTOR_WAKE, NULL, 0);
}

/* ---- the run ---- */

static void on_ended(void *context, const struct topology_end *end)
{
    struct trial *t = context;
    t->end = *end;
    t->ended = true;
}

static err make_store(struct trial *t)
{
    t->memory = store_memory_new();
    if (t->memory == NULL) return ERR_NOMEM;
    struct store_backend backend = store_memory_backend(t->memory);
    t->store = store_new(&backend);
    return t->store ? OK : ERR_NOMEM;
}

err trial_start(struct trial *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        const struct component_plan *c = &t->plan.components[i];
        const char *name = outside(c->class);
        if (c->kind != COMPONENT_SPOUT || name == NULL) continue;
        fails(t,
              "spout '%s' would read what is outside of the test (%s); give "
              "its tuples: %s = { { … }, … }",
              c->name, name, c->name);
        return ERR_CONFIG;
    }
    err e = plan_is_durable(&t->plan) ? make_store(t) : OK;
    if (e != OK) return fails(t, "the topology can't start: %s", err_text(e));
    struct topology_config config = {
        .plan = &t->plan,
        .store = t->store,
        .ackers = 1 + (unsigned)sim_random(t->sim, 2),
        .drain_ns = DRAIN_NS,
        .ended = on_ended,
        .context = t,
    };
    e = topology_start(sim_env(t->node), &config, &t->topology);
    if (e != OK) fails(t, "the topology can't start: %s", err_text(e));
    return e;
}

static uint64_t unsettled(const struct trial *t)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < t->plan.tasks; i++)
        count += at_load(&topology_task(t->topology, i)->unsettled, RELAXED);
    return count;
}

/* What must be so whatever was asked for. */
static err check(struct trial *t)
{
    if (sim_failed(t->sim) || t->limit.no_memory)
        return fails(t, "there is no memory for the test");
    if (t->limit.full)
        return fails(t,
                     "the components emitted more than %d MB; let the test "
                     "feed less",
                     CAPTURE_BYTES_MAX >> 20);
    if (!t->ended || t->end.why == OK || t->end.why == ERR_STOPPED) return OK;
    return fails(t, "the run has ended: %s%s%s",
                 t->end.why == ERR_CRASHED ? "a component kept crashing"
                                           : err_text(t->end.why),
                 t->last_error[0] ? ": " : "", t->last_error);
}

/* Things that happen up to a time, or until the run has ended. */
static err go_on(struct trial *t, int64_t until_ns)
{
    if (t->failed) return ERR_CRASHED;
    uint64_t steps = 0;
    while (!t->ended && !t->limit.full && sim_step(t->sim, until_ns))
        if (++steps == STEPS_MAX)
            return fails(t,
                         "the run goes on for ever: %d turns in %.3f s of "
                         "virtual time; is a source without end, or a tick "
                         "too often?",
                         STEPS_MAX, (double)trial_elapsed_ns(t) / 1e9);
    return check(t);
}

err trial_settle(struct trial *t)
{
    return go_on(t, sim_now(t->sim));
}

err trial_advance(struct trial *t, int64_t by_ns)
{
    int64_t until_ns = sim_now(t->sim) + by_ns;
    err e = go_on(t, until_ns);
    if (e == OK) sim_run_until(t->sim, until_ns);
    return e;
}

err trial_finish(struct trial *t)
{
    err e = go_on(t, sim_now(t->sim) + DAY_NS);
    if (e != OK || t->ended) return e;
    return fails(t,
                 "the run has not ended within 24 hours of virtual time: %llu "
                 "tuples are under way; is one never acked, or a source "
                 "without end?",
                 (unsigned long long)unsettled(t));
}

err trial_stop(struct trial *t)
{
    const int64_t limit_ns = DRAIN_NS;
    err e = trial_settle(t);
    if (e != OK || t->ended) return e;
    e = actor_send(sim_env(t->node), topology_actor(t->topology),
                   TOPOLOGY_DRAIN, &limit_ns, sizeof limit_ns);
    return e == OK ? trial_finish(t) : fails(t, "%s", err_text(e));
}

err trial_set_active(struct trial *t, bool active)
{
    uint16_t kind = active ? TOPOLOGY_ACTIVATE : TOPOLOGY_DEACTIVATE;
    return actor_send(sim_env(t->node), topology_actor(t->topology), kind, NULL,
                      0);
}

bool trial_ended(const struct trial *t)
{
    return t->ended;
}

const char *trial_why(const struct trial *t)
{
    return t->why;
}

int64_t trial_wall_ns(const struct trial *t)
{
    return sim_wall(t->sim);
}

int64_t trial_elapsed_ns(const struct trial *t)
{
    return sim_now(t->sim) - SIM_START_NS;
}

uint64_t trial_steps(const struct trial *t)
{
    return sim_steps(t->sim);
}

/* ---- faults ---- */

err trial_fail_next(struct trial *t, unsigned component, uint64_t count,
                    const char *reason)
{
    return tap_fail_next(t->parts[component].tap, count, reason);
}

err trial_crash(struct trial *t, unsigned component, unsigned task)
{
    uint32_t number = t->plan.components[component].first_task + task;
    return actor_send(sim_env(t->node), topology_actor(t->topology),
                      TOPOLOGY_KILL, &number, sizeof number);
}

/* ---- what was seen ---- */

const struct capture *trial_emitted(const struct trial *t, unsigned component,
                                    unsigned stream)
{
    return &t->parts[component].emitted[stream];
}

const struct capture *trial_received(const struct trial *t, unsigned sink)
{
    return &t->parts[sink].received;
}

const struct trial_fate *trial_fate_at(const struct trial *t, uint64_t i)
{
    return i < t->fate_count ? &t->fates[i] : NULL;
}

const char *trial_log(const struct trial *t)
{
    return t->said.data ? (const char *)t->said.data : "";
}
