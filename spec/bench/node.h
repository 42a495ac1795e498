/* node.h - a definition on a node of its own, with real threads: what the
 * programs bench-lines, bench-steady and bench-slow run. Part of programs of
 * one file, hence a header with code. */
#ifndef SPEC_BENCH_NODE_H
#define SPEC_BENCH_NODE_H

#include "actors/stream/topology.h"
#include "core/metric.h"
#include "core/real.h"
#include "lua/component.h"
#include "lua/definition.h"
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct bench_node {
    struct lua_runtime *runtime;
    struct definition *definition;
    struct real *real;
    struct env *env; /* main's */
    struct topology *topology;
    sem_t ended;
    struct topology_end how; /* when it has */
};

static void bench_ended(void *context, const struct topology_end *end)
{
    struct bench_node *b = context;
    b->how = *end;
    sem_post(&b->ended);
}

/* The definition, its graph only: classes may be replaced. False: it has said
 * why. */
static inline bool bench_load(struct bench_node *b, const char *path,
                              const char *const *sets, unsigned set_count,
                              unsigned threads)
{
    char *errors = NULL;
    *b = (struct bench_node){.runtime = NULL};
    sem_init(&b->ended, 0, 0);
    if (lua_runtime_new(&b->runtime, threads) == OK &&
        definition_load(path, sets, set_count, b->runtime, &b->definition,
                        &errors) == OK)
        return true;
    fprintf(stderr, "%s\n", errors ? errors : "out of memory");
    return false;
}

static inline struct component_plan *bench_component(struct bench_node *b,
                                                     const char *name)
{
    struct plan *plan = &b->definition->plan;
    for (unsigned i = 0; i < plan->count; i++)
        if (strcmp(plan->components[i].name, name) == 0)
            return &plan->components[i];
    fprintf(stderr, "there is no component '%s'\n", name);
    abort();
}

static inline bool bench_start(struct bench_node *b, unsigned threads)
{
    struct thread_hooks hooks = lua_runtime_hooks(b->runtime);
    b->real = real_new(threads, 1, NULL, &hooks);
    b->env = b->real ? node_outside(real_node(b->real)) : NULL;
    struct topology_config config = {.plan = &b->definition->plan,
                                     .ackers = threads,
                                     .ended = bench_ended,
                                     .context = b};
    return b->env && topology_start(b->env, &config, &b->topology) == OK &&
           real_start(b->real) == OK;
}

static inline void bench_wait(sem_t *what)
{
    while (sem_wait(what) != 0)
        continue;
}

/* Of a component, when the threads have stopped. */
static inline uint64_t bench_count(struct bench_node *b, const char *name,
                                   size_t offset)
{
    unsigned i =
        (unsigned)(bench_component(b, name) - b->definition->plan.components);
    const char *ids = (const char *)topology_metrics(b->topology, i);
    metric_id id;
    memcpy(&id, ids + offset, sizeof id);
    return metric_read(node_metrics(real_node(b->real)), id);
}
#define BENCH_COUNT(b, name, what)                                             \
    bench_count(b, name, offsetof(struct component_metrics, what))

/* After real_stop(). */
static inline void bench_free(struct bench_node *b)
{
    node_outside_free(b->env);
    real_free(b->real);
    topology_free(b->topology);
    definition_free(b->definition);
    lua_runtime_free(b->runtime);
    sem_destroy(&b->ended);
}

/* ---- classes that stand in for others ---- */

static inline err bench_make(struct component_context *c, void *self)
{
    return OK;
}

static inline void bench_end(struct component_context *c, void *self)
{
}

/* ---- what it costs ---- */

static inline double bench_cpu_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec) * 1e9 +
           ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) * 1e3;
}

/* What is resident now. */
static inline double bench_resident(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    if (file) fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* The most that was resident so far. */
static inline double bench_resident_max(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss * 1024;
}

#endif
