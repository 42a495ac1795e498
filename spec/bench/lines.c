/* lines.c - Storm's FileReadWordCount on real threads.
 *   bench-lines N FILE [THREADS]
 * runs lines.lua over N lines, acked: those of FILE, kept in memory and begun
 * again at its end. Prints `lines N cpu_ns wall_ns check bytes … words …`,
 * costs a line; bytes is the most that was resident, words how many there were.
 * The answer is right when all lines were acked and each word was counted as
 * often as it occurs: the sum of the words' hashes, so often, must be that of
 * the lines. Source of the shape: Apache Storm, examples/storm-perf. */
#define _GNU_SOURCE
#include "core/alloc.h"
#include "core/value.h"
#include "spec/bench/node.h"

enum { LINE_MAX_BYTES = 4096 };

/* One run of it, as one process has. */
static struct {
    uint64_t n;
    char *text;               /* owned */
    const char **lines;       /* owned; each ends where the next one begins */
    uint64_t count;           /* of them */
    uint64_t sent;            /* the spout's */
    uint64_t words, hashes;   /* of the lines sent; the spout's */
    uint64_t counted, summed; /* the audit's */
} run;

/* ---- the file ---- */

static bool read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    run.text = mem_alloc(size + 1);
    bool good = run.text && fread(run.text, 1, size, file) == size;
    fclose(file);
    if (!good || size == 0) return false;
    run.text[size++] = '\n';
    for (size_t i = 0; i < size; i++)
        run.count += run.text[i] == '\n';
    run.lines = mem_zero(run.count + 1, sizeof *run.lines);
    if (run.lines == NULL) return false;
    const char *at = run.text;
    for (uint64_t i = 0; i <= run.count; i++) {
        run.lines[i] = at;
        if (i < run.count) at = strchr(at, '\n') + 1;
        if (at - run.lines[i] > LINE_MAX_BYTES) return false;
    }
    return true;
}

static uint64_t word_hash(const char *word, size_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)word[i]) * 0x100000001b3u;
    return hash;
}

/* As Lua's %s does in the C locale. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What the file's first `count` lines have in them. */
static void know_lines(uint64_t count, uint64_t *words, uint64_t *hashes)
{
    const char *end = run.lines[count];
    for (const char *at = run.text; at < end;) {
        const char *word = at;
        while (at < end && !is_space(*at))
            at++;
        if (at > word) {
            ++*words;
            *hashes += word_hash(word, (size_t)(at - word));
        }
        at++;
    }
}

static void know_all(void)
{
    uint64_t words = 0, hashes = 0;
    know_lines(run.count, &words, &hashes);
    run.words = words * (run.n / run.count);
    run.hashes = hashes * (run.n / run.count);
    know_lines(run.n % run.count, &run.words, &run.hashes);
}

/* ---- the ends ---- */

static bool emit_line(struct component_context *c)
{
    uint8_t tuple[VALUE_HEAD_MAX + LINE_MAX_BYTES];
    uint64_t i = run.sent % run.count;
    size_t bytes = (size_t)(run.lines[i + 1] - run.lines[i]) - 1;
    uint8_t *end = value_put_bytes(tuple, run.lines[i], (uint32_t)bytes);
    if (!executor_root(c, run.sent) ||
        !emitter_put(c->emitter, 0, tuple, (uint32_t)(end - tuple)))
        return false;
    executor_rooted(c);
    run.sent++;
    return true;
}

static enum step lines_next(struct component_context *c, void *self)
{
    while (run.sent < run.n && !executor_full(c) && !env_spent(c->env)) {
        if (!emit_line(c)) return STEP_CRASH;
        env_charge(c->env, 1);
    }
    return run.sent == run.n ? STEP_END : STEP_AGAIN;
}

static enum step lines_replay(struct component_context *c, void *self,
                              uint64_t token)
{
    return STEP_CRASH; /* none of them fails */
}

static const struct component_class lines_class = {
    .name = "lines",
    .state_bytes = 1,
    .make = bench_make,
    .free = bench_end,
    .next = lines_next,
    .replay = lines_replay,
};

static enum step audit_execute(struct component_context *c, void *self,
                               struct input *input)
{
    const uint8_t *at;
    while ((at = input_next(c, input)) != NULL) {
        struct value word, n;
        at = value_get(value_get(at, &word), &n);
        run.counted += (uint64_t)n.as.integer;
        run.summed +=
            word_hash(word.as.bytes, word.count) * (uint64_t)n.as.integer;
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

int main(int argc, char **argv)
{
    run.n = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
    unsigned threads = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 2;
    if (run.n == 0 || threads == 0) {
        fputs("usage: bench-lines N FILE [THREADS]\n", stderr);
        return 2;
    }
    struct bench_node node;
    if (!read_file(argv[2])) {
        fprintf(stderr, "%s can't be read; try ./build.sh data\n", argv[2]);
        return 1;
    }
    know_all();
    if (!bench_load(&node, "spec/bench/lines.lua", NULL, 0, threads)) return 1;
    bench_component(&node, "lines")->class = &lines_class;
    bench_component(&node, "audit")->class = &audit_class;
    double cpu = bench_cpu_ns();
    int64_t wall = real_now_ns(NULL);
    if (!bench_start(&node, threads)) return 1;
    bench_wait(&node.ended);
    wall = real_now_ns(NULL) - wall;
    cpu = bench_cpu_ns() - cpu;
    real_stop(node.real);
    bool right = node.how.why == OK &&
                 BENCH_COUNT(&node, "lines", acked) == run.n &&
                 run.counted == run.words && run.summed == run.hashes;
    printf("lines %llu %.1f %.1f %s bytes %.0f words %llu\n",
           (unsigned long long)run.n, cpu / (double)run.n,
           (double)wall / (double)run.n, right ? "ok" : "WRONG",
           bench_resident_max(), (unsigned long long)run.words);
    bench_free(&node);
    mem_free(run.lines);
    mem_free(run.text);
    return right ? 0 : 1;
}
