#include "spec/sim/stream.h"
#include "actors/connectors/format.h"
#include "core/log.h"
#include "lua/component.h"
#include "lua/definition.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

struct line {
    char *text; /* owned */
    int64_t at_ns;
};

struct stream {
    struct sim *sim;
    struct sim_node *node;
    struct definition *definition;
    struct topology *topology;
    struct line *lines; /* owned */
    unsigned count, room;
    bool ended;
    struct topology_end end;
    unsigned taken, refused;
    char why[512];
    struct definition *others[64]; /* owned: of the reloads */
    unsigned other_count;
    struct stream_stuck stuck;
    unsigned stuck_batches, stuck_tuples;
    int64_t lost_ns;
};

/* The class functions find their stream by the plan: specs run in one thread.
 */
static struct stream *streams[8];

static struct stream *stream_of(const struct plan *plan)
{
    for (int i = 0; i < 8; i++)
        if (streams[i] && &streams[i]->definition->plan == plan)
            return streams[i];
    spec_fail(__FILE__, __LINE__, "no stream runs this plan");
}

/* ---- the sink that remembers ---- */

static err remember_make(struct component_context *c, void *self)
{
    return OK;
}

static void remember_free(struct component_context *c, void *self)
{
}

static void remember(struct stream *s, const char *text)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->lines = realloc(s->lines, s->room * sizeof *s->lines);
    }
    s->lines[s->count++] = (struct line){strdup(text), sim_now(s->sim)};
}

static enum step remember_execute(struct component_context *c, void *self,
                                  struct input *input)
{
    struct stream *s = stream_of(c->plan);
    const struct input_plan *from = &c->component->inputs[input->source];
    unsigned arity =
        c->plan->components[from->component].streams[from->stream].arity;
    const char *names[64];
    for (unsigned i = 0; i < arity; i++)
        names[i] = "v";
    const uint8_t *at;
    while ((at = input_next(c, input)) != NULL) {
        const uint8_t *end = at;
        for (unsigned i = 0; i < arity; i++)
            end = value_skip(end);
        struct format format = {.kind = FORMAT_TEXT};
        struct buffer text = {0};
        uint64_t replaced = 0;
        CHECK_EQ(format_tuple(&format, names, arity, at, &text, &replaced), OK);
        text.data[text.used - 1] = '\0';
        remember(s, (const char *)text.data);
        buffer_fini(&text);
        input_done(c, input, end);
    }
    return STEP_DONE;
}

static const struct component_class remember_class = {
    .name = "remember",
    .state_bytes = 1,
    .make = remember_make,
    .free = remember_free,
    .execute = remember_execute,
};

/* ---- the identity that fails some ---- */

static enum step flaky_execute(struct component_context *c, void *self,
                               struct input *input)
{
    struct stream *s = stream_of(c->plan);
    const uint8_t *at;
    unsigned arity = c->component->streams[0].arity;
    while ((at = input_next(c, input)) != NULL) {
        const uint8_t *end = at;
        for (unsigned i = 0; i < arity; i++)
            end = value_skip(end);
        CHECK(emitter_put(c->emitter, 0, at, (uint32_t)(end - at)));
        if (sim_random(s->sim, 10) == 0)
            executor_fail(c, input, end, "flaky: by the seed");
        else
            input_done(c, input, end);
    }
    return STEP_DONE;
}

static const struct component_class flaky_class = {
    .name = "flaky",
    .state_bytes = 1,
    .make = remember_make,
    .free = remember_free,
    .execute = flaky_execute,
};

/* ---- the identity that gets stuck ---- */

struct stuck {
    struct input *input; /* of the suspended call */
};

static enum step stuck_execute(struct component_context *c, void *self,
                               struct input *input)
{
    struct stuck *stuck = self;
    struct stream *s = stream_of(c->plan);
    stuck->input = input;
    c->sleep_ns = s->stuck.pace_ns;
    if (++s->stuck_batches == s->stuck.stall_batch)
        c->sleep_ns += s->stuck.stall_ns;
    return STEP_SLEEP;
}

static enum step stuck_resume(struct component_context *c, void *self)
{
    struct stuck *stuck = self;
    struct stream *s = stream_of(c->plan);
    const uint8_t *at;
    unsigned arity = c->component->streams[0].arity;
    while ((at = input_next(c, stuck->input)) != NULL) {
        const uint8_t *end = at;
        for (unsigned i = 0; i < arity; i++)
            end = value_skip(end);
        if (++s->stuck_tuples == s->stuck.lose_tuple) {
            s->lost_ns = sim_now(s->sim);
            stuck->input->root = 0;
        } else {
            CHECK(emitter_put(c->emitter, 0, at, (uint32_t)(end - at)));
        }
        input_done(c, stuck->input, end);
    }
    return STEP_DONE;
}

static const struct component_class stuck_class = {
    .name = "stuck",
    .state_bytes = sizeof(struct stuck),
    .make = remember_make,
    .free = remember_free,
    .execute = stuck_execute,
    .resume = stuck_resume,
};

void stream_set_stuck(struct stream *s, const struct stream_stuck *stuck)
{
    s->stuck = *stuck;
}

int64_t stream_lost_ns(const struct stream *s)
{
    return s->lost_ns;
}

/* ---- life ---- */

static struct definition *load(const char *text)
{
    struct definition *d = NULL;
    char *errors = NULL;
    err e = definition_parse("story.lua", text, strlen(text), NULL, 0, NULL, &d,
                             &errors);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", errors);
    for (unsigned i = 0; i < d->plan.count; i++) {
        struct component_plan *c = &d->plan.components[i];
        if (strcmp(c->name, "out") == 0) c->class = &remember_class;
        if (strncmp(c->name, "flaky", 5) == 0) c->class = &flaky_class;
        if (strncmp(c->name, "stuck", 5) == 0) c->class = &stuck_class;
    }
    return d;
}

static void on_ended(void *context, const struct topology_end *end)
{
    struct stream *s = context;
    s->end = *end;
    s->ended = true;
}

static int64_t loop_bytes;

void stream_limit_loops(int64_t bytes)
{
    loop_bytes = bytes;
}

struct stream *stream_start(struct sim *sim, struct sim_node *node,
                            const char *text)
{
    struct stream *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->sim = sim;
    s->node = node;
    s->definition = load(text);
    int slot = 0;
    while (slot < 7 && streams[slot])
        slot++;
    streams[slot] = s;
    struct topology_config config = {
        .plan = &s->definition->plan,
        .ackers = 1 + (unsigned)sim_random(sim, 2),
        .restarts = 1000,
        .loop_bytes = loop_bytes,
        .ended = on_ended,
        .context = s,
    };
    CHECK_EQ(topology_start(sim_env(node), &config, &s->topology), OK);
    return s;
}

void stream_free(struct stream *s)
{
    sim_kill_node(s->node);
    topology_free(s->topology);
    definition_free(s->definition);
    for (unsigned i = 0; i < s->other_count; i++)
        definition_free(s->others[i]);
    for (unsigned i = 0; i < s->count; i++)
        free(s->lines[i].text);
    free(s->lines);
    for (int i = 0; i < 8; i++)
        if (streams[i] == s) streams[i] = NULL;
    free(s);
}

bool stream_ended(const struct stream *s)
{
    return s->ended;
}

const struct topology_end *stream_run(struct stream *s)
{
    uint64_t steps = 0;
    while (!s->ended && sim_step(s->sim, INT64_MAX))
        if (++steps > 20000000)
            spec_fail(__FILE__, __LINE__, "the topology doesn't end");
    if (!s->ended) spec_fail(__FILE__, __LINE__, "all is quiet, but no end");
    return &s->end;
}

void stream_drain(struct stream *s, int64_t limit_ns)
{
    CHECK_EQ(actor_send(sim_env(s->node), topology_actor(s->topology),
                        TOPOLOGY_DRAIN, &limit_ns, sizeof limit_ns),
             OK);
}

void stream_activate(struct stream *s, bool active)
{
    CHECK_EQ(actor_send(sim_env(s->node), topology_actor(s->topology),
                        active ? TOPOLOGY_ACTIVATE : TOPOLOGY_DEACTIVATE, NULL,
                        0),
             OK);
}

static const struct component_plan *component(const struct stream *s,
                                              const char *name)
{
    const struct plan *plan = &s->definition->plan;
    for (unsigned i = 0; i < plan->count; i++)
        if (strcmp(plan->components[i].name, name) == 0)
            return &plan->components[i];
    spec_fail(__FILE__, __LINE__, "no component '%s'", name);
}

void stream_kill(struct stream *s, const char *name, unsigned index)
{
    uint32_t task = component(s, name)->first_task + index;
    CHECK_EQ(actor_send(sim_env(s->node), topology_actor(s->topology),
                        TOPOLOGY_KILL, &task, sizeof task),
             OK);
}

static void on_reloaded(struct code *code, bool taken, const char *error)
{
    /* The bundle's place among the streams' others says whose it is. */
    for (int i = 0; i < 8; i++)
        for (unsigned k = 0; streams[i] && k < streams[i]->other_count; k++) {
            struct stream *s = streams[i];
            if (s->others[k]->bundle != code->text) continue;
            if (taken)
                s->taken++;
            else
                s->refused++;
            snprintf(s->why, sizeof s->why, "%s", error ? error : "");
            return;
        }
}

void stream_reload_begin(struct stream *s, const char *text)
{
    struct definition *next = load(text);
    CHECK(s->other_count < 64);
    s->others[s->other_count++] = next;
    struct code *code = lua_code_new(next->bundle, on_reloaded);
    struct msg *m = msg_new(sim_env(s->node), TOPOLOGY_RELOAD, sizeof code);
    CHECK(code && m);
    memcpy(msg_body(m), &code, sizeof code);
    m->flags = MSG_REF;
    m->from = 0;
    actor_post(sim_env(s->node), topology_actor(s->topology), m);
}

bool stream_reload(struct stream *s, const char *text, char *why,
                   size_t why_bytes)
{
    unsigned before = s->taken + s->refused, taken = s->taken;
    stream_reload_begin(s, text);
    while (s->taken + s->refused == before)
        if (!sim_step(s->sim, INT64_MAX))
            spec_fail(__FILE__, __LINE__, "the reload is never answered");
    if (why) snprintf(why, why_bytes, "%s", s->why);
    return s->taken > taken;
}

unsigned stream_taken(const struct stream *s)
{
    return s->taken;
}

unsigned stream_refused(const struct stream *s)
{
    return s->refused;
}

unsigned stream_count(const struct stream *s)
{
    return s->count;
}

const char *stream_line(const struct stream *s, unsigned i)
{
    CHECK(i < s->count);
    return s->lines[i].text;
}

int64_t stream_at_ns(const struct stream *s, unsigned i)
{
    CHECK(i < s->count);
    return s->lines[i].at_ns;
}

unsigned stream_has(const struct stream *s, const char *line)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->count; i++)
        if (strcmp(s->lines[i].text, line) == 0) n++;
    return n;
}

struct stream_totals stream_totals(const struct stream *s, const char *name)
{
    unsigned c =
        (unsigned)(component(s, name) - s->definition->plan.components);
    const struct component_metrics *ids = topology_metrics(s->topology, c);
    struct metrics *m = node_metrics(sim_engine(s->node));
    return (struct stream_totals){
        .executed = metric_read(m, ids->executed),
        .emitted = metric_read(m, ids->emitted),
        .acked = metric_read(m, ids->acked),
        .failed = metric_read(m, ids->failed),
        .replayed = metric_read(m, ids->replayed),
        .gave_up = metric_read(m, ids->gave_up),
        .errors = metric_read(m, ids->errors),
    };
}

static metric_id latency_of(const struct stream *s, const char *spout)
{
    unsigned c =
        (unsigned)(component(s, spout) - s->definition->plan.components);
    return topology_metrics(s->topology, c)->latency;
}

uint64_t stream_latency_ns(const struct stream *s, const char *spout,
                           double percent)
{
    struct metrics *m = node_metrics(sim_engine(s->node));
    return metric_percentile(m, latency_of(s, spout), percent);
}

uint64_t stream_latencies(const struct stream *s, const char *spout)
{
    struct metrics *m = node_metrics(sim_engine(s->node));
    return metric_read(m, latency_of(s, spout));
}
