/* slow.c - what a sink a hundred times slower than its spout costs, in memory
 * and to others.
 *   bench-slow N [acked]
 * runs slow.lua on 2 threads: first a spout and a sink alone for 2 s, as fast
 * as they go; then the same beside a stream of N tuples of the same kind, whose
 * sink sleeps a hundred times as long for each of its tuples as the other one
 * takes for one of its. Prints `slow N cpu_ns wall_ns check bytes … grown_mb …
 * pace_ns … kept …`: by how much the resident memory has grown from the start
 * of the slow stream on, the sleep a tuple, and what share of its rate alone
 * the other stream kept. The answer is right when every tuple of both streams
 * has come once and in order (and was acked, where that is asked for). */
#define _GNU_SOURCE
#include "core/atomic.h"
#include "core/value.h"
#include "spec/bench/node.h"
#include <time.h>

enum { THREADS = 2, SLOWER = 100, ALONE_S = 2, TUPLES_A_CALL = 256 };

/* A stream: its spout's number of the next tuple, its sink's; one thread each,
 * main's when the threads have stopped. */
struct flow {
    uint64_t total; /* UINT64_MAX: until it is to stop */
    _Atomic bool stop;
    uint64_t sent;
    _Atomic uint64_t taken;
    bool wrong;
    sem_t *through; /* posted when all were taken; NULL: nobody waits */
};

static struct {
    struct flow quick, slow;
    int64_t pace_ns; /* of the slow sink, a tuple */
    sem_t through;
} run;

static struct flow *flow_of(struct component_context *c)
{
    const char *name = c->component->name;
    bool slow = strcmp(name, "numbers") == 0 || strcmp(name, "sleeper") == 0;
    return slow ? &run.slow : &run.quick;
}

/* ---- the spout of both ---- */

static enum step numbers_next(struct component_context *c, void *self)
{
    struct flow *f = flow_of(c);
    bool tracked = executor_tracks(c);
    unsigned now = 0;
    if (at_load(&f->stop, RELAXED)) return STEP_END;
    for (; now < TUPLES_A_CALL && f->sent < f->total && !executor_full(c);
         now++) {
        uint8_t tuple[VALUE_SCALAR_MAX];
        uint8_t *end = value_put_int(tuple, (int64_t)f->sent);
        if (tracked && !executor_root(c, f->sent)) return STEP_CRASH;
        if (!emitter_put(c->emitter, 0, tuple, (uint32_t)(end - tuple)))
            return STEP_CRASH;
        if (tracked)
            executor_rooted(c);
        else
            executor_emitted(c);
        f->sent++;
    }
    env_charge(c->env, now / 4);
    return f->sent == f->total ? STEP_END : STEP_AGAIN;
}

static enum step numbers_replay(struct component_context *c, void *self,
                                uint64_t token)
{
    return STEP_CRASH; /* none of them fails */
}

static const struct component_class numbers_class = {
    .name = "numbers",
    .state_bytes = 1,
    .make = bench_make,
    .free = bench_end,
    .next = numbers_next,
    .replay = numbers_replay,
};

/* ---- the sinks ---- */

static void take(struct component_context *c, struct input *input)
{
    struct flow *f = flow_of(c);
    uint64_t taken = at_load(&f->taken, RELAXED);
    const uint8_t *at;
    while ((at = input_next(c, input)) != NULL) {
        struct value n;
        at = value_get(at, &n);
        f->wrong |= (uint64_t)n.as.integer != taken++;
        input_done(c, input, at);
    }
    at_store(&f->taken, taken, RELEASE);
    if (taken == f->total && f->through) sem_post(f->through);
}

static enum step taker_execute(struct component_context *c, void *self,
                               struct input *input)
{
    take(c, input);
    return STEP_DONE;
}

static const struct component_class taker_class = {
    .name = "taker",
    .state_bytes = 1,
    .make = bench_make,
    .free = bench_end,
    .execute = taker_execute,
};

/* As one that writes each batch to something slow. */
struct sleeper {
    struct input *input; /* of the suspended call */
};

static enum step sleeper_execute(struct component_context *c, void *self,
                                 struct input *input)
{
    struct sleeper *s = self;
    s->input = input;
    c->sleep_ns = (int64_t)input->left * run.pace_ns;
    return STEP_SLEEP;
}

static enum step sleeper_resume(struct component_context *c, void *self)
{
    struct sleeper *s = self;
    take(c, s->input);
    return STEP_DONE;
}

static const struct component_class sleeper_class = {
    .name = "sleeper",
    .state_bytes = sizeof(struct sleeper),
    .make = bench_make,
    .free = bench_end,
    .execute = sleeper_execute,
    .resume = sleeper_resume,
};

/* ---- the runs ---- */

static bool begin(struct bench_node *node, bool slow, bool acked)
{
    const char *sets[] = {slow ? "slow=1" : "slow=0",
                          acked ? "acked=1" : "acked=0"};
    if (!bench_load(node, "spec/bench/slow.lua", sets, 2, THREADS))
        return false;
    bench_component(node, "quick")->class = &numbers_class;
    bench_component(node, "taker")->class = &taker_class;
    if (slow) {
        bench_component(node, "numbers")->class = &numbers_class;
        bench_component(node, "sleeper")->class = &sleeper_class;
    }
    run.quick = (struct flow){.total = UINT64_MAX};
    return bench_start(node, THREADS);
}

/* The quick stream's tuples a second while `through` isn't posted, for
 * `limit_s` at most (0: as long as it takes); *most is the largest resident
 * memory seen. */
static double watch(sem_t *through, int64_t limit_s, double *most)
{
    int64_t began_ns = real_now_ns(NULL), now_ns = began_ns;
    uint64_t before = at_load(&run.quick.taken, ACQUIRE);
    struct timespec rest = {0, 20000000};
    while (sem_trywait(through) != 0) {
        nanosleep(&rest, NULL);
        double bytes = bench_resident();
        if (bytes > *most) *most = bytes;
        now_ns = real_now_ns(NULL);
        if (limit_s > 0 && now_ns - began_ns >= limit_s * 1000000000) break;
    }
    uint64_t taken = at_load(&run.quick.taken, ACQUIRE) - before;
    return (double)taken * 1e9 / (double)(now_ns - began_ns);
}

/* Ends the quick stream, and so the topology. */
static bool finish(struct bench_node *node, bool acked)
{
    at_store(&run.quick.stop, true, RELEASE);
    bench_wait(&node->ended);
    real_stop(node->real);
    const struct flow *q = &run.quick;
    return node->how.why == OK && !q->wrong && q->taken == q->sent &&
           (!acked || BENCH_COUNT(node, "quick", acked) == q->sent);
}

/* Of the quick stream alone: its rate, or 0 when it was wrong. */
static double measure_alone(bool acked)
{
    struct bench_node node;
    double most = 0;
    sem_t never;
    if (!begin(&node, false, acked)) return 0;
    sem_init(&never, 0, 0);
    double rate = watch(&never, ALONE_S, &most);
    bool right = finish(&node, acked);
    bench_free(&node);
    return right ? rate : 0;
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    bool acked = argc > 2 && strcmp(argv[2], "acked") == 0;
    if (n == 0 || (argc > 2 && !acked)) {
        fputs("usage: bench-slow N [acked]\n", stderr);
        return 2;
    }
    sem_init(&run.through, 0, 0);
    double alone = measure_alone(acked);
    if (alone <= 0) return 1;
    run.pace_ns = (int64_t)(SLOWER * 1e9 / alone);
    run.slow = (struct flow){.total = n, .through = &run.through};

    struct bench_node node;
    double cpu = bench_cpu_ns(), at_first = bench_resident(), most = at_first;
    int64_t wall = real_now_ns(NULL);
    if (!begin(&node, true, acked)) return 1;
    double beside = watch(&run.through, 0, &most);
    wall = real_now_ns(NULL) - wall;
    cpu = bench_cpu_ns() - cpu;
    bool right = finish(&node, acked) && !run.slow.wrong &&
                 run.slow.taken == n && run.slow.sent == n &&
                 (!acked || BENCH_COUNT(&node, "numbers", acked) == n);
    printf("slow %llu %.1f %.1f %s bytes %.0f grown_mb %.2f pace_ns %lld kept "
           "%.3f\n",
           (unsigned long long)n, cpu / (double)n, (double)wall / (double)n,
           right ? "ok" : "WRONG", most, (most - at_first) / 1e6,
           (long long)run.pace_ns, beside / alone);
    bench_free(&node);
    return right ? 0 : 1;
}
