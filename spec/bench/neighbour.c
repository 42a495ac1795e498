/* neighbour.c - what a bolt that won't let go costs its neighbours.
 *   bench-neighbour N [THREADS]
 * runs neighbour.lua: a bolt whose every call attacks (20 attacks in turn, with
 * a budget of 50 ms) beside a chain of a spout, a Lua bolt and a sink, through
 * which N tuples go at 500 a second. Prints `neighbour N cpu_ns wall_ns check
 * p50_ms … p99_ms … max_ms … attacks …`: wall is the 99th percentile of the
 * time from when a tuple was due until it arrived, cpu that of the whole
 * process for a tuple. The answer is right when all have arrived once and in
 * order, and each attack was tried. */
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
#include <time.h>

enum { N_MAX = 1000000, ATTACKS = 20, PERIOD_NS = 2000000, PATIENCE_S = 300 };

/* One run of it, as one process has. */
static struct {
    unsigned n;
    int64_t began_ns;  /* the spout's */
    unsigned sent;     /* the spout's */
    int64_t *taken_ns; /* owned; the sink's, main's when all have come */
    unsigned count;    /* of it */
    bool wrong;        /* out of order */
    sem_t done;
} run;

static err nothing_make(struct component_context *c, void *self)
{
    return OK;
}

static void nothing_free(struct component_context *c, void *self)
{
}

/* ---- the neighbours' ends ---- */

/* All that are due. When one was late, what it carries says so. */
static enum step ticks_next(struct component_context *c, void *self)
{
    int64_t now_ns = real_now_ns(NULL);
    if (run.began_ns == 0) run.began_ns = now_ns;
    while (run.sent < run.n) {
        int64_t due_ns = run.began_ns + (int64_t)run.sent * PERIOD_NS;
        if (due_ns > now_ns) {
            c->sleep_ns = due_ns - now_ns;
            return STEP_IDLE;
        }
        uint8_t tuple[VALUE_SCALAR_MAX];
        uint8_t *end = value_put_int(tuple, due_ns);
        if (!executor_root(c, run.sent) ||
            !emitter_put(c->emitter, 0, tuple, (uint32_t)(end - tuple)))
            return STEP_CRASH;
        executor_rooted(c);
        run.sent++;
    }
    return STEP_END;
}

static enum step ticks_replay(struct component_context *c, void *self,
                              uint64_t token)
{
    return STEP_CRASH; /* none of them fails */
}

static const struct component_class ticks_class = {
    .name = "ticks",
    .state_bytes = 1,
    .make = nothing_make,
    .free = nothing_free,
    .next = ticks_next,
    .replay = ticks_replay,
};

static enum step clock_execute(struct component_context *c, void *self,
                               struct input *input)
{
    const uint8_t *at;
    while ((at = input_next(c, input)) != NULL) {
        struct value due;
        at = value_get(at, &due);
        int64_t expected_ns = run.began_ns + (int64_t)run.count * PERIOD_NS;
        if (due.as.integer != expected_ns) run.wrong = true;
        run.taken_ns[run.count++] = real_now_ns(NULL) - due.as.integer;
        input_done(c, input, at);
    }
    if (run.count == run.n) sem_post(&run.done);
    return STEP_DONE;
}

static const struct component_class clock_class = {
    .name = "clock",
    .state_bytes = 1,
    .make = nothing_make,
    .free = nothing_free,
    .execute = clock_execute,
};

/* ---- the run ---- */

static void ended(void *context, const struct topology_end *end)
{
    run.wrong = true; /* the attacks never end */
    sem_post(&run.done);
}

static double cpu_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec) * 1e9 +
           ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) * 1e3;
}

/* Where the attacks come from: its number in the plan. */
static unsigned place_natives(struct plan *plan)
{
    unsigned attack = 0;
    for (unsigned i = 0; i < plan->count; i++) {
        struct component_plan *c = &plan->components[i];
        if (strcmp(c->name, "ticks") == 0) c->class = &ticks_class;
        if (strcmp(c->name, "clock") == 0) c->class = &clock_class;
        if (strcmp(c->name, "attack") == 0) attack = i;
    }
    return attack;
}

static bool wait_for_all(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    return sem_timedwait(&run.done, &until) == 0;
}

/* Slow machines try fewer attacks in that time: wait for the rest. */
static uint64_t attacks_tried(struct metrics *metrics, metric_id failed)
{
    struct timespec rest = {0, 10000000};
    for (int i = 0; i < 3000 && metric_read(metrics, failed) < ATTACKS; i++)
        nanosleep(&rest, NULL);
    return metric_read(metrics, failed);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The smallest that is not below a share of all, in hundredths. */
static int64_t percentile(unsigned share)
{
    return run.taken_ns[((uint64_t)run.n * share + 99) / 100 - 1];
}

static void print_result(bool right, double cpu, uint64_t attacks)
{
    qsort(run.taken_ns, run.n, sizeof *run.taken_ns, by_size);
    printf("neighbour %u %.0f %lld %s p50_ms %.3f p99_ms %.2f max_ms %.2f "
           "attacks %llu\n",
           run.n, cpu / run.n, (long long)percentile(99),
           right ? "ok" : "WRONG", (double)percentile(50) / 1e6,
           (double)percentile(99) / 1e6, (double)percentile(100) / 1e6,
           (unsigned long long)attacks);
}

int main(int argc, char **argv)
{
    run.n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    unsigned threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    if (run.n == 0 || run.n > N_MAX || threads == 0) {
        fputs("usage: bench-neighbour N [THREADS], N at most 1000000\n",
              stderr);
        return 2;
    }
    struct lua_runtime *runtime;
    struct definition *d;
    char *errors = NULL;
    sem_init(&run.done, 0, 0);
    run.taken_ns = mem_zero(run.n, sizeof *run.taken_ns);
    if (run.taken_ns == NULL || lua_runtime_new(&runtime, threads) != OK ||
        definition_load("spec/bench/neighbour.lua", NULL, 0, runtime, &d,
                        &errors) != OK) {
        fprintf(stderr, "%s\n", errors ? errors : "out of memory");
        return 1;
    }
    unsigned attack = place_natives(&d->plan);
    struct thread_hooks hooks = lua_runtime_hooks(runtime);
    struct real *real = real_new(threads, 1, NULL, &hooks);
    struct env *env = real ? node_outside(real_node(real)) : NULL;
    struct topology_config config = {
        .plan = &d->plan, .ackers = threads, .ended = ended};
    struct topology *topology;
    if (env == NULL || topology_start(env, &config, &topology) != OK) return 1;
    double cpu = cpu_ns();
    if (real_start(real) != OK) return 1;
    bool came = wait_for_all();
    cpu = cpu_ns() - cpu;
    uint64_t attacks =
        attacks_tried(node_metrics(real_node(real)),
                      topology_metrics(topology, attack)->failed);
    real_stop(real);
    bool right = came && !run.wrong && attacks >= ATTACKS;
    print_result(right, cpu, attacks);
    node_outside_free(env);
    real_free(real);
    topology_free(topology);
    definition_free(d);
    lua_runtime_free(runtime);
    mem_free(run.taken_ns);
    return right ? 0 : 1;
}
