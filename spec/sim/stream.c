#include "spec/sim/stream.h"
#include "actors/connectors/format.h"
#include "actors/stream/executor.h"
#include "core/atomic.h"
#include "core/log.h"
#include "core/real.h"
#include "lua/component.h"
#include "lua/definition.h"
#include "spec/spec.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COMPONENTS_MAX = 32, PATIENCE_MS = 120000, REST_MS = 20 };

struct line {
    char *text; /* owned */
    int64_t at_ns;
};

enum { EXECUTORS_MAX = 8 };

struct stream {
    struct sim *sim; /* NULL: real threads */
    struct sim_node *node;
    struct real *real;           /* owned */
    struct lua_runtime *runtime; /* owned; of real threads */
    struct env *env;             /* of the story, from outside the node */
    struct definition *definition;
    struct topology *topology;
    pthread_mutex_t lock; /* of the lines */
    struct line *lines;   /* owned */
    unsigned count, room;
    _Atomic unsigned fed[COMPONENTS_MAX]; /* how far: by component */
    _Atomic bool ended;
    struct topology_end end;
    unsigned taken, refused;
    char why[512];
    struct definition *others[64]; /* owned: of the reloads */
    unsigned other_count;
    struct stream_stuck stuck;
    unsigned stuck_batches, stuck_tuples;
    _Atomic unsigned in_turn[EXECUTORS_MAX], most_in_turn;
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
    pthread_mutex_lock(&s->lock);
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->lines = realloc(s->lines, s->room * sizeof *s->lines);
    }
    s->lines[s->count++] = (struct line){
        strdup(text), s->sim ? sim_now(s->sim) : real_now_ns(NULL)};
    pthread_mutex_unlock(&s->lock);
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

/* ---- the spout that is fed ---- */

struct feeder {
    unsigned sent;
};

static enum step feeder_next(struct component_context *c, void *self)
{
    struct feeder *f = self;
    struct stream *s = stream_of(c->plan);
    unsigned component = (unsigned)(c->component - c->plan->components);
    while (f->sent < at_load(&s->fed[component], SEQ_CST)) {
        uint8_t tuple[VALUE_SCALAR_MAX];
        uint8_t *end = value_put_int(tuple, ++f->sent);
        CHECK(executor_root(c, f->sent));
        CHECK(emitter_put(c->emitter, 0, tuple, (uint32_t)(end - tuple)));
        executor_rooted(c);
    }
    c->sleep_ns = 0; /* stream_feed() wakes it */
    return STEP_IDLE;
}

static void feeder_ack(struct component_context *c, void *self, uint64_t token)
{
    char line[128];
    snprintf(line, sizeof line, "%s acked %u", c->component->name,
             (unsigned)token);
    remember(stream_of(c->plan), line);
}

static enum verdict feeder_fail(struct component_context *c, void *self,
                                uint64_t token, const char *reason)
{
    char line[512];
    snprintf(line, sizeof line, "%s failed %u %s", c->component->name,
             (unsigned)token, reason);
    remember(stream_of(c->plan), line);
    return VERDICT_FINAL;
}

static const struct component_class feeder_class = {
    .name = "feeder",
    .state_bytes = sizeof(struct feeder),
    .make = remember_make,
    .free = remember_free,
    .next = feeder_next,
    .ack = feeder_ack,
    .fail = feeder_fail,
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

/* ---- the identity that looks who else of its executor runs ---- */

static enum step turns_execute(struct component_context *c, void *self,
                               struct input *input)
{
    struct stream *s = stream_of(c->plan);
    unsigned executor = plan_executor(c->component, c->index);
    CHECK(executor < EXECUTORS_MAX);
    unsigned now = at_add(&s->in_turn[executor], 1, SEQ_CST) + 1;
    unsigned most = at_load(&s->most_in_turn, SEQ_CST);
    while (now > most && !at_cas(&s->most_in_turn, &most, now, SEQ_CST))
        continue;
    const uint8_t *at;
    while ((at = input_next(c, input)) != NULL) {
        const uint8_t *end = value_skip(at);
        CHECK(emitter_put(c->emitter, 0, at, (uint32_t)(end - at)));
        sched_yield(); /* others have their chance */
        input_done(c, input, end);
    }
    at_sub(&s->in_turn[executor], 1, SEQ_CST);
    return STEP_DONE;
}

static const struct component_class turns_class = {
    .name = "turns",
    .state_bytes = 1,
    .make = remember_make,
    .free = remember_free,
    .execute = turns_execute,
};

unsigned stream_most_in_turn(struct stream *s)
{
    return at_load(&s->most_in_turn, SEQ_CST);
}

/* ---- life ---- */

static struct definition *load(const char *text, struct lua_runtime *runtime)
{
    struct definition *d = NULL;
    char *errors = NULL;
    err e = definition_parse("story.lua", text, strlen(text), NULL, 0, runtime,
                             &d, &errors);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", errors);
    CHECK(d->plan.count <= COMPONENTS_MAX);
    for (unsigned i = 0; i < d->plan.count; i++) {
        struct component_plan *c = &d->plan.components[i];
        if (strcmp(c->name, "out") == 0) c->class = &remember_class;
        if (strncmp(c->name, "feed", 4) == 0) c->class = &feeder_class;
        if (strncmp(c->name, "flaky", 5) == 0) c->class = &flaky_class;
        if (strncmp(c->name, "stuck", 5) == 0) c->class = &stuck_class;
        if (strncmp(c->name, "turns", 5) == 0) c->class = &turns_class;
    }
    return d;
}

static void on_ended(void *context, const struct topology_end *end)
{
    struct stream *s = context;
    s->end = *end;
    at_store(&s->ended, true, RELEASE);
}

static struct stream *stream_new(const char *text, struct lua_runtime *runtime)
{
    struct stream *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    pthread_mutex_init(&s->lock, NULL);
    s->runtime = runtime;
    s->definition = load(text, runtime);
    int slot = 0;
    while (slot < 7 && streams[slot])
        slot++;
    streams[slot] = s;
    return s;
}

static struct store *store;
static int64_t checkpoint_ns;

void stream_use_store(struct store *s, int64_t ns)
{
    store = s;
    checkpoint_ns = ns;
}

static int64_t loop_bytes;

void stream_limit_loops(int64_t bytes)
{
    loop_bytes = bytes;
}

static void start(struct stream *s, unsigned ackers)
{
    struct topology_config config = {
        .plan = &s->definition->plan,
        .store = store,
        .checkpoint_ns = checkpoint_ns,
        .ackers = ackers,
        .restarts = 1000,
        .loop_bytes = loop_bytes,
        .ended = on_ended,
        .context = s,
    };
    CHECK_EQ(topology_start(s->env, &config, &s->topology), OK);
}

struct stream *stream_start(struct sim *sim, struct sim_node *node,
                            const char *text)
{
    struct stream *s = stream_new(text, NULL);
    s->sim = sim;
    s->node = node;
    s->env = sim_env(node);
    start(s, 1 + (unsigned)sim_random(sim, 2));
    return s;
}

/* Its threads begin when the topology has been built. */
static struct stream *start_threads(unsigned threads, const char *text)
{
    struct lua_runtime *runtime;
    CHECK_EQ(lua_runtime_new(&runtime, threads), OK);
    struct stream *s = stream_new(text, runtime);
    struct thread_hooks hooks = lua_runtime_hooks(runtime);
    s->real = real_new(threads, spec_seed, NULL, &hooks);
    s->env = s->real ? node_outside(real_node(s->real)) : NULL;
    CHECK(s->env != NULL);
    start(s, threads);
    CHECK_EQ(real_start(s->real), OK);
    return s;
}

void stream_free(struct stream *s)
{
    if (s->real) {
        real_stop(s->real);
        node_outside_free(s->env);
        real_free(s->real);
    } else {
        sim_kill_node(s->node);
    }
    topology_free(s->topology);
    definition_free(s->definition);
    for (unsigned i = 0; i < s->other_count; i++)
        definition_free(s->others[i]);
    lua_runtime_free(s->runtime);
    for (unsigned i = 0; i < s->count; i++)
        free(s->lines[i].text);
    free(s->lines);
    for (int i = 0; i < 8; i++)
        if (streams[i] == s) streams[i] = NULL;
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void stream_tell(const char *text, unsigned seeds, stream_tale *tale)
{
    char whole[8192];
    int bytes = snprintf(whole, sizeof whole, "local REAL = false; %s", text);
    CHECK(bytes < (int)sizeof whole);
    FOR_SEEDS(seeds)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), whole);
        tale(s);
        stream_free(s);
        sim_free(sim);
    }
    snprintf(whole, sizeof whole, "local REAL = true; %s", text);
    for (unsigned threads = 1; threads <= 4; threads *= 2) {
        struct stream *s = start_threads(threads, whole);
        tale(s);
        stream_free(s);
        spec_note_threads(threads);
    }
}

struct sim *stream_sim(const struct stream *s)
{
    return s->sim;
}

static void rest_ms(int64_t ms)
{
    struct timespec rest = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&rest, NULL);
}

void stream_wait(struct stream *s, unsigned waits, const char *file, int line,
                 const char *condition)
{
    if (s->sim && !sim_step(s->sim, INT64_MAX))
        spec_fail(file, line, "all is quiet, and not %s", condition);
    if (waits >= (s->sim ? 20000000 : PATIENCE_MS))
        spec_fail(file, line, "it never comes: %s", condition);
    if (s->sim == NULL) rest_ms(1);
}

void stream_rest(struct stream *s)
{
    if (s->sim)
        sim_advance(s->sim, 1000000000);
    else
        rest_ms(REST_MS);
}

bool stream_ended(const struct stream *s)
{
    return at_load(&s->ended, ACQUIRE);
}

const struct topology_end *stream_run(struct stream *s)
{
    STREAM_AWAIT(s, stream_ended(s));
    return &s->end;
}

void stream_drain(struct stream *s, int64_t limit_ns)
{
    CHECK_EQ(actor_send(s->env, topology_actor(s->topology), TOPOLOGY_DRAIN,
                        &limit_ns, sizeof limit_ns),
             OK);
}

void stream_activate(struct stream *s, bool active)
{
    CHECK_EQ(actor_send(s->env, topology_actor(s->topology),
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

void stream_feed(struct stream *s, const char *spout, unsigned total)
{
    const struct component_plan *c = component(s, spout);
    at_store(&s->fed[c - s->definition->plan.components], total, SEQ_CST);
    CHECK_EQ(actor_send(s->env, topology_task_id(s->topology, c->first_task),
                        EXECUTOR_WAKE, NULL, 0),
             OK);
}

void stream_kill(struct stream *s, const char *name, unsigned index)
{
    uint32_t task = component(s, name)->first_task + index;
    CHECK_EQ(actor_send(s->env, topology_actor(s->topology), TOPOLOGY_KILL,
                        &task, sizeof task),
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
    struct definition *next = load(text, s->runtime);
    CHECK(s->other_count < 64);
    s->others[s->other_count++] = next;
    struct code *code = lua_code_new(next->bundle, on_reloaded);
    struct msg *m = msg_new(s->env, TOPOLOGY_RELOAD, sizeof code);
    CHECK(code && m);
    memcpy(msg_body(m), &code, sizeof code);
    m->flags = MSG_REF;
    m->from = 0;
    actor_post(s->env, topology_actor(s->topology), m);
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

static pthread_mutex_t *lock_of(const struct stream *s)
{
    union { /* whoever only looks locks it, too */
        const pthread_mutex_t *looks;
        pthread_mutex_t *locks;
    } u = {&s->lock};
    return u.locks;
}

unsigned stream_count(const struct stream *s)
{
    pthread_mutex_lock(lock_of(s));
    unsigned count = s->count;
    pthread_mutex_unlock(lock_of(s));
    return count;
}

static struct line line(const struct stream *s, unsigned i)
{
    CHECK(i < stream_count(s));
    pthread_mutex_lock(lock_of(s));
    struct line found = s->lines[i];
    pthread_mutex_unlock(lock_of(s));
    return found;
}

const char *stream_line(const struct stream *s, unsigned i)
{
    return line(s, i).text;
}

int64_t stream_at_ns(const struct stream *s, unsigned i)
{
    return line(s, i).at_ns;
}

/* Lines that are this, or that begin so. */
static unsigned count_lines(const struct stream *s, const char *text,
                            bool whole)
{
    unsigned n = 0;
    size_t bytes = strlen(text) + whole;
    pthread_mutex_lock(lock_of(s));
    for (unsigned i = 0; i < s->count; i++)
        n += strncmp(s->lines[i].text, text, bytes) == 0;
    pthread_mutex_unlock(lock_of(s));
    return n;
}

unsigned stream_has(const struct stream *s, const char *text)
{
    return count_lines(s, text, true);
}

unsigned stream_said(const struct stream *s, const char *prefix)
{
    return count_lines(s, prefix, false);
}

static struct node *engine_of(const struct stream *s)
{
    return s->real ? real_node(s->real) : sim_engine(s->node);
}

struct stream_totals stream_totals(const struct stream *s, const char *name)
{
    unsigned c =
        (unsigned)(component(s, name) - s->definition->plan.components);
    const struct component_metrics *ids = topology_metrics(s->topology, c);
    struct metrics *m = node_metrics(engine_of(s));
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
    struct metrics *m = node_metrics(engine_of(s));
    return metric_percentile(m, latency_of(s, spout), percent);
}

uint64_t stream_limit(const struct stream *s, const char *spout)
{
    unsigned c =
        (unsigned)(component(s, spout) - s->definition->plan.components);
    return topology_pending_limit(s->topology, c,
                                  node_metrics(sim_engine(s->node)));
}

uint64_t stream_latencies(const struct stream *s, const char *spout)
{
    struct metrics *m = node_metrics(engine_of(s));
    return metric_read(m, latency_of(s, spout));
}
