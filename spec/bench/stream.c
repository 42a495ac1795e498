/* stream.c - Storm's ConstSpout shapes on the engine's executors: real
 * threads, budget, credit and metrics on, one batch at a time through the
 * mailboxes like any other.
 *   bench-stream null|identity|lua-null|lua-identity|lua-chains N
 *                [THREADS [acked]]
 * A native spout emits N tuples of one short string; the answer is right when
 * the last component has counted all of them. Prints `shape N cpu_ns wall_ns
 * check`, a root.
 * Source of the shapes: Apache Storm, examples/storm-perf. */
#define _GNU_SOURCE
#include "actors/stream/topology.h"
#include "core/alloc.h"
#include "core/metric.h"
#include "core/real.h"
#include "lua/component.h"
#include "lua/definition.h"
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static uint64_t total; /* of each spout; set before any thread starts */
static sem_t done;
static struct topology_end how;

/* ---- classes ---- */

struct source {
    uint64_t sent;
    uint8_t tuple[16];
    uint32_t bytes;
};

static err source_make(struct component_context *c, void *self)
{
    struct source *s = self;
    uint8_t *end = value_put_bytes(s->tuple, "some data", 9);
    s->bytes = (uint32_t)(end - s->tuple);
    return OK;
}

static void source_free(struct component_context *c, void *self)
{
}

static enum step source_next(struct component_context *c, void *self)
{
    struct source *s = self;
    bool tracked = executor_tracks(c);
    uint32_t now = 0;
    while (s->sent < total && now < 256 && !executor_full(c)) {
        if (tracked && !executor_root(c, s->sent)) return STEP_CRASH;
        if (!emitter_put(c->emitter, 0, s->tuple, s->bytes)) return STEP_CRASH;
        if (tracked)
            executor_rooted(c);
        else
            executor_emitted(c);
        s->sent++;
        now++;
    }
    env_charge(c->env, now / 4);
    return s->sent == total ? STEP_END : STEP_AGAIN;
}

static enum step source_replay(struct component_context *c, void *self,
                               uint64_t token)
{
    return STEP_CRASH; /* nothing fails here */
}

static const struct component_class source_class = {
    .name = "const",
    .state_bytes = sizeof(struct source),
    .make = source_make,
    .free = source_free,
    .next = source_next,
    .replay = source_replay,
};

static err nothing_make(struct component_context *c, void *self)
{
    return OK;
}

static enum step null_execute(struct component_context *c, void *self,
                              struct input *input)
{
    const uint8_t *at;
    while ((at = input_next(c, input)) != NULL)
        input_done(c, input, value_skip(at));
    return STEP_DONE;
}

static const struct component_class null_class = {
    .name = "null",
    .state_bytes = 1,
    .make = nothing_make,
    .free = source_free,
    .execute = null_execute,
};

static enum step identity_execute(struct component_context *c, void *self,
                                  struct input *input)
{
    const uint8_t *at;
    while ((at = input_next(c, input)) != NULL) {
        const uint8_t *end = value_skip(at);
        if (!emitter_put(c->emitter, 0, at, (uint32_t)(end - at)))
            return STEP_CRASH;
        input_done(c, input, end);
    }
    return STEP_DONE;
}

static const struct component_class identity_class = {
    .name = "identity",
    .state_bytes = 1,
    .make = nothing_make,
    .free = source_free,
    .execute = identity_execute,
};

/* ---- the run ---- */

static void ended(void *context, const struct topology_end *end)
{
    how = *end;
    sem_post(&done);
}

static double cpu_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec) * 1e9 +
           ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) * 1e3;
}

/* The definitions have the graph; the spouts (and what isn't Lua) are native.
 */
static void make_native(struct plan *plan, const char *shape)
{
    bool lua = strncmp(shape, "lua-", 4) == 0;
    for (unsigned i = 0; i < plan->count; i++) {
        struct component_plan *c = &plan->components[i];
        if (c->kind == COMPONENT_SPOUT)
            c->class = &source_class;
        else if (strncmp(c->name, "end", 3) == 0) {
            if (!lua || strstr(shape, "null") == NULL) c->class = &null_class;
        } else if (!lua) {
            c->class = &identity_class;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: bench-stream SHAPE N [THREADS [acked]]\n", stderr);
        return 2;
    }
    const char *shape = argv[1];
    unsigned threads = argc > 3 ? (unsigned)atoi(argv[3]) : 1;
    bool acked = argc > 4 && strcmp(argv[4], "acked") == 0;
    const char *graph = strstr(shape, "chains")     ? "spec/bench/chains.lua"
                        : strstr(shape, "identity") ? "spec/bench/identity.lua"
                                                    : "spec/bench/null.lua";
    struct lua_runtime *runtime;
    struct definition *d;
    char *errors;
    sem_init(&done, 0, 0);
    if (lua_runtime_new(&runtime, threads) != OK ||
        definition_load(graph, NULL, 0, runtime, &d, &errors) != OK)
        return 1;
    d->plan.guarantee = acked ? AT_LEAST_ONCE : AT_MOST_ONCE;
    make_native(&d->plan, shape);
    unsigned spouts = strstr(shape, "chains") ? 2 : 1;
    uint64_t n = strtoull(argv[2], NULL, 10) / spouts * spouts;
    total = n / spouts;

    struct thread_hooks hooks = lua_runtime_hooks(runtime);
    struct real *real = real_new(threads, 1, NULL, &hooks);
    struct env *env = real ? node_outside(real_node(real)) : NULL;
    struct topology_config config = {
        .plan = &d->plan, .ackers = threads, .ended = ended};
    struct topology *topology;
    if (env == NULL || topology_start(env, &config, &topology) != OK) return 1;
    double cpu = cpu_ns();
    int64_t wall = real_now_ns(NULL);
    if (real_start(real) != OK) return 1;
    while (sem_wait(&done) != 0)
        continue;
    wall = real_now_ns(NULL) - wall;
    cpu = cpu_ns() - cpu;
    real_stop(real);

    uint64_t counted = 0, settled = 0;
    struct metrics *metrics = node_metrics(real_node(real));
    for (unsigned i = 0; i < d->plan.count; i++) {
        const struct component_metrics *m = topology_metrics(topology, i);
        if (strncmp(d->plan.components[i].name, "end", 3) == 0)
            counted += metric_read(metrics, m->executed);
        settled += metric_read(metrics, m->acked);
    }
    bool right = how.why == OK && counted == n && settled == (acked ? n : 0);
    printf("%s %llu %.1f %.1f %s\n", shape, (unsigned long long)n,
           cpu / (double)n, (double)wall / (double)n, right ? "ok" : "WRONG");
    node_outside_free(env);
    real_free(real);
    topology_free(topology);
    definition_free(d);
    lua_runtime_free(runtime);
    return right ? 0 : 1;
}
