/* steady.c - how late results are at a fixed rate, and what that costs.
 *   bench-steady N [RATE [THREADS]]
 * runs steady.lua: N sentences at RATE a second (85,000), acked. A sentence's
 * latency is from when it was due, not from when the spout came to emit it,
 * until its spout is told that all its words were counted: a spout that falls
 * behind makes it worse. Prints `steady N cpu_ns wall_ns check bytes …
 * mean_ms … p50_ms … p99_ms … p999_ms … max_ms … cores …`: bytes is the most
 * that was resident. The answer is right when every sentence was acked once and
 * each word's count is that of the sentences.
 * Source of the shape: Apache Storm, examples/storm-loadgen. */
#define _GNU_SOURCE
#include "core/alloc.h"
#include "core/value.h"
#include "spec/bench/node.h"

enum { N_MAX = 100000000, SENTENCES = 5 };

/* One run of it, as one process has. */
static struct {
    unsigned n, rate;
    int64_t began_ns;  /* the spout's first turn: sentence 1 is due then */
    uint32_t *took_us; /* owned; by sentence: 0, or its latency and 1 */
    unsigned acked;    /* all so far, the spout's */
    bool twice;
    uint64_t words, wrong; /* the audit's */
} run;

/* How often each word is in the five sentences: "the" and "seven" are in
 * several. */
static const struct {
    const char *word;
    unsigned in[SENTENCES];
} known[] = {
    {"the", {2, 1, 0, 1, 0}},    {"cow", {1, 0, 0, 0, 0}},
    {"jumped", {1, 0, 0, 0, 0}}, {"over", {1, 0, 0, 0, 0}},
    {"moon", {1, 0, 0, 0, 0}},   {"an", {0, 1, 0, 0, 0}},
    {"apple", {0, 1, 0, 0, 0}},  {"a", {0, 1, 0, 0, 0}},
    {"day", {0, 1, 0, 0, 0}},    {"keeps", {0, 1, 0, 0, 0}},
    {"doctor", {0, 1, 0, 0, 0}}, {"away", {0, 1, 0, 0, 0}},
    {"four", {0, 0, 1, 0, 0}},   {"score", {0, 0, 1, 0, 0}},
    {"and", {0, 0, 1, 1, 0}},    {"seven", {0, 0, 1, 1, 0}},
    {"years", {0, 0, 1, 0, 0}},  {"ago", {0, 0, 1, 0, 0}},
    {"snow", {0, 0, 0, 1, 0}},   {"white", {0, 0, 0, 1, 0}},
    {"dwarfs", {0, 0, 0, 1, 0}}, {"i", {0, 0, 0, 0, 1}},
    {"am", {0, 0, 0, 0, 1}},     {"at", {0, 0, 0, 0, 1}},
    {"two", {0, 0, 0, 0, 1}},    {"with", {0, 0, 0, 0, 1}},
    {"nature", {0, 0, 0, 0, 1}},
};
enum { KNOWN = sizeof known / sizeof known[0] };

/* ---- the spout: the engine's own, watched ---- */

static enum step watched_next(struct component_context *c, void *self)
{
    if (run.began_ns == 0) run.began_ns = env_now(c->env);
    return lua_class.next(c, self);
}

/* A generator's token is the number of its tuple. */
static void watched_ack(struct component_context *c, void *self, uint64_t token)
{
    int64_t due_ns =
        run.began_ns + (int64_t)((double)(token - 1) * 1e9 / run.rate);
    int64_t took_us = (real_now_ns(NULL) - due_ns) / 1000;
    if (took_us < 0) took_us = 0;
    if (took_us >= UINT32_MAX) took_us = UINT32_MAX - 1;
    run.twice |= run.took_us[token - 1] != 0;
    run.took_us[token - 1] = (uint32_t)took_us + 1;
    run.acked++;
    lua_class.ack(c, self, token);
}

/* ---- the audit of what was counted ---- */

static uint64_t expected(const char *word, size_t bytes)
{
    uint64_t n = 0;
    for (unsigned k = 0; k < KNOWN; k++) {
        if (strlen(known[k].word) != bytes ||
            memcmp(known[k].word, word, bytes) != 0)
            continue;
        for (unsigned i = 0; i < SENTENCES; i++)
            n += (run.n / SENTENCES + (i < run.n % SENTENCES)) * known[k].in[i];
    }
    return n;
}

static enum step audit_execute(struct component_context *c, void *self,
                               struct input *input)
{
    const uint8_t *at;
    while ((at = input_next(c, input)) != NULL) {
        struct value word, n;
        at = value_get(value_get(at, &word), &n);
        run.words++;
        run.wrong +=
            expected(word.as.bytes, word.count) != (uint64_t)n.as.integer;
        input_done(c, input, at);
    }
    return STEP_DONE;
}

static const struct component_class audit_class = {
    .name = "audit",
    .state_bytes = 1,
    .make = bench_make,
    .free = bench_end,
    .execute = audit_execute,
};

/* ---- the run ---- */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The smallest that is not below a share of all, in thousandths. */
static double percentile_ms(unsigned share)
{
    return (run.took_us[((uint64_t)run.n * share + 999) / 1000 - 1] - 1) / 1e3;
}

static void print_result(bool right, double cpu, double wall)
{
    double sum = 0;
    for (unsigned i = 0; i < run.n && right; i++)
        sum += run.took_us[i] - 1;
    qsort(run.took_us, run.n, sizeof *run.took_us, by_size);
    printf("steady %u %.1f %.1f %s bytes %.0f mean_ms %.3f p50_ms %.3f p99_ms "
           "%.3f p999_ms %.3f max_ms %.3f cores %.3f\n",
           run.n, cpu / run.n, wall / run.n, right ? "ok" : "WRONG",
           bench_resident_max(), sum / run.n / 1e3,
           right ? percentile_ms(500) : 0, right ? percentile_ms(990) : 0,
           right ? percentile_ms(999) : 0, right ? percentile_ms(1000) : 0,
           cpu / wall);
}

int main(int argc, char **argv)
{
    run.n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    run.rate = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 85000;
    unsigned threads = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 2;
    if (run.n < SENTENCES || run.n > N_MAX || run.rate == 0 || threads == 0) {
        fputs("usage: bench-steady N [RATE [THREADS]], N from 5\n", stderr);
        return 2;
    }
    char rate[32], count[32];
    const char *sets[] = {rate, count};
    snprintf(rate, sizeof rate, "rate=%u", run.rate);
    snprintf(count, sizeof count, "count=%u", run.n);
    run.took_us = mem_zero(run.n, sizeof *run.took_us);
    struct bench_node node;
    if (run.took_us == NULL ||
        !bench_load(&node, "spec/bench/steady.lua", sets, 2, threads))
        return 1;
    struct component_class watched = lua_class;
    watched.next = watched_next;
    watched.ack = watched_ack;
    bench_component(&node, "sentences")->class = &watched;
    bench_component(&node, "audit")->class = &audit_class;
    double cpu = bench_cpu_ns();
    int64_t wall = real_now_ns(NULL);
    if (!bench_start(&node, threads)) return 1;
    bench_wait(&node.ended);
    wall = real_now_ns(NULL) - wall;
    cpu = bench_cpu_ns() - cpu;
    real_stop(node.real);
    bool right = node.how.why == OK && run.acked == run.n && !run.twice &&
                 run.words == KNOWN && run.wrong == 0 &&
                 BENCH_COUNT(&node, "sentences", failed) == 0;
    print_result(right, cpu, (double)wall);
    bench_free(&node);
    mem_free(run.took_us);
    return right ? 0 : 1;
}
