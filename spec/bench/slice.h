/* slice.h - word count over numbered lines that proves what became of each:
 * what bench-endurance and bench-reload run. Part of a program of one file,
 * hence a header with code.
 *   lines (native, never ends) → split (Lua, 2) → count (Lua, 2) → audit
 * An id names a word: number of the line << 16 | try << 8 | place. The audit
 * keeps the places it has had of each line and try: none missing is nothing
 * lost, and a place that comes twice in one try is a copy that no replay
 * explains. A line's record is kept until WINDOW more lines have begun. */
#ifndef SPEC_BENCH_SLICE_H
#define SPEC_BENCH_SLICE_H

#include "actors/stream/topology.h"
#include "core/alloc.h"
#include "core/atomic.h"
#include "core/log.h"
#include "core/metric.h"
#include "core/real.h"
#include "core/value.h"
#include "lua/component.h"
#include "lua/definition.h"
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WINDOW = 1 << 18,       /* lines whose record is kept; a power of two */
    AHEAD_MAX = WINDOW / 2, /* from the oldest unsettled line to the newest */
    AGAIN_MAX = 1 << 19,    /* second and further tries in the window */
    WORDS_MAX = 64,         /* in a line: places are bits */
    LINE_MAX_BYTES = 1024,
    SETTLED = 255, /* instead of a line's try */
    SHOWN = 10,    /* lost lines that are shown one by one */
    RELOAD_MAX_S = 30,
};
static const uint32_t NONE = UINT32_MAX;
static const int64_t S_NS = 1000000000;

/* ---- the book ---- */

struct line {
    const char *text; /* of the book */
    uint16_t bytes;
    uint8_t words;
};

struct book {
    char *text;         /* owned */
    struct line *lines; /* owned: those that have words */
    uint32_t count;
};

/* ---- what is known of the lines ---- */

/* The spout's side: its thread only, but for the atomics. */
struct lines {
    uint8_t *tries; /* owned, by number: of the last one, or SETTLED */
    uint64_t next;  /* number of the next line */
    uint64_t base;  /* all lines before it are settled */
    uint64_t failed_itself, failed_otherwise, replayed;
    uint64_t timeouts; /* of failed_otherwise */
    uint64_t wrong;    /* failed or passed against the hash */
    _Atomic bool stop;
    _Atomic bool disturbed; /* kills are about to begin */
    /* Lines before it were settled before the first kill. */
    _Atomic uint64_t clean_below;
};

/* A try of a line, from the second on. */
struct again {
    uint64_t places;
    uint32_t next; /* of the same line, or free */
    uint32_t try;
};
struct record {
    uint64_t places; /* of the first try */
    uint32_t again;  /* NONE: there was no other */
    uint32_t unused;
};

/* The sink's side: its thread only, main's after the end. */
struct audit {
    struct record *records; /* owned, by number */
    struct again *agains;   /* owned */
    uint32_t free_again;
    uint64_t base, end; /* numbers of records that are kept */
    uint64_t words, counted;
    uint64_t lost;    /* lines of which a word never came */
    uint64_t copies;  /* tries of a line that came beside another */
    uint64_t doubled; /* words that came twice, explained by no replay */
    bool overflown;   /* more tries than are kept: nothing is proven any more */
};

struct slice {
    struct book book;
    struct lines lines;
    struct audit audit;
    uint64_t seed;
    unsigned percent; /* of the lines fail */
    char sets[2][64];
    uint64_t log_lines;

    struct log *log;
    struct lua_runtime *runtime;
    struct definition *definition;
    struct real *real;
    struct topology *topology;
    struct env *env; /* main's */
    sem_t ended, reloaded;
    struct topology_end how;
    int64_t reloaded_ns;
    bool reload_taken;
    bool stuck; /* a reload hasn't ended: no other can be told from it */
};

/* struct code's done() is given no context; one slice a process. */
static struct slice *the_slice;

/* ---- the book ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static unsigned count_words(const char *text, size_t bytes)
{
    unsigned words = 0;
    for (size_t i = 0; i < bytes; i++)
        words += is_letter(text[i]) && (i == 0 || !is_letter(text[i - 1]));
    return words;
}

static bool book_read(struct book *b, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    b->text = mem_alloc(size + 1);
    size_t room = size / 2 + 1;
    b->lines = mem_zero(room, sizeof *b->lines);
    bool good = b->text && b->lines && fread(b->text, 1, size, file) == size;
    fclose(file);
    for (size_t at = 0; good && at < size;) {
        const char *end = memchr(b->text + at, '\n', size - at);
        size_t bytes = end ? (size_t)(end - b->text) - at : size - at;
        unsigned words = count_words(b->text + at, bytes);
        good = words <= WORDS_MAX && bytes <= LINE_MAX_BYTES;
        if (words > 0)
            b->lines[b->count++] =
                (struct line){b->text + at, (uint16_t)bytes, (uint8_t)words};
        at += bytes + 1;
    }
    return good && b->count > 0;
}

static const struct line *book_line(const struct book *b, uint64_t number)
{
    return &b->lines[number % b->count];
}

/* The same as in endurance.lua. */
static bool fails(const struct slice *s, uint64_t id)
{
    uint64_t hash = (s->seed << 40 ^ id >> 8) * 0x9E3779B97F4A7C15u;
    hash = (hash ^ hash >> 29) * 0xBF58476D1CE4E5B9u;
    return (hash >> 33) % 100 < s->percent;
}

static uint64_t id_of(uint64_t number, unsigned try)
{
    return number << 16 | (uint64_t)try << 8;
}

/* ---- the spout ---- */

static struct slice *slice_of(struct component_context *c)
{
    union { /* a config is the class's own: here it is the slice */
        const void *config;
        struct slice *slice;
    } u = {c->component->config};
    return u.slice;
}

static err nothing_make(struct component_context *c, void *self)
{
    return OK;
}

static void nothing_free(struct component_context *c, void *self)
{
}

static bool emit_line(struct component_context *c, struct slice *s,
                      uint64_t number, unsigned try)
{
    uint8_t tuple[LINE_MAX_BYTES + VALUE_SCALAR_MAX + VALUE_HEAD_MAX];
    const struct line *line = book_line(&s->book, number);
    uint8_t *end = value_put_int(tuple, (int64_t)id_of(number, try));
    end = value_put_bytes(end, line->text, line->bytes);
    if (!executor_root(c, number) ||
        !emitter_put(c->emitter, 0, tuple, (uint32_t)(end - tuple)))
        return false;
    executor_rooted(c);
    env_charge(c->env, 1);
    return true;
}

static enum step lines_next(struct component_context *c, void *self)
{
    struct slice *s = slice_of(c);
    struct lines *l = &s->lines;
    if (at_load(&l->disturbed, ACQUIRE) &&
        at_load(&l->clean_below, RELAXED) == UINT64_MAX)
        at_store(&l->clean_below, l->base, RELEASE);
    if (at_load(&l->stop, ACQUIRE)) return STEP_END;
    while (!executor_full(c) && !env_spent(c->env)) {
        if (l->next - l->base >= AHEAD_MAX) {
            c->sleep_ns = 1000000;
            return STEP_IDLE;
        }
        l->tries[l->next & (WINDOW - 1)] = 0;
        if (!emit_line(c, s, l->next++, 0)) return STEP_CRASH;
    }
    return STEP_AGAIN;
}

static enum step lines_replay(struct component_context *c, void *self,
                              uint64_t number)
{
    struct slice *s = slice_of(c);
    struct lines *l = &s->lines;
    uint8_t *try = &l->tries[number & (WINDOW - 1)];
    if (*try + 1 >= SETTLED) return STEP_CRASH;
    l->replayed++;
    return emit_line(c, s, number, ++*try) ? STEP_DONE : STEP_CRASH;
}

/* By its reason: split's own, or the kill of a task. */
static enum verdict lines_fail(struct component_context *c, void *self,
                               uint64_t number, const char *reason)
{
    struct slice *s = slice_of(c);
    struct lines *l = &s->lines;
    unsigned try = l->tries[number & (WINDOW - 1)], said_try;
    unsigned long long said;
    if (sscanf(reason, "line %llu fails at try %u", &said, &said_try) == 2) {
        l->failed_itself++;
        if (said != number || said_try != try || !fails(s, id_of(number, try)))
            l->wrong++;
    } else {
        l->failed_otherwise++;
        l->timeouts += strncmp(reason, "timeout", 7) == 0;
        if (at_load(&l->clean_below, RELAXED) == UINT64_MAX) l->wrong++;
    }
    return VERDICT_REPLAY;
}

/* The line is settled: its last try had to pass, and as long as nobody is
 * killed those before it had to fail. */
static void lines_release(struct component_context *c, void *self,
                          uint64_t number)
{
    struct slice *s = slice_of(c);
    struct lines *l = &s->lines;
    uint8_t *try = &l->tries[number & (WINDOW - 1)];
    if (*try == SETTLED || fails(s, id_of(number, *try))) l->wrong++;
    if (at_load(&l->clean_below, RELAXED) == UINT64_MAX)
        for (unsigned i = 0; i < *try; i++)
            if (!fails(s, id_of(number, i))) l->wrong++;
    *try = SETTLED;
    while (l->base < l->next && l->tries[l->base & (WINDOW - 1)] == SETTLED)
        l->base++;
}

static const struct component_class lines_class = {
    .name = "lines",
    .state_bytes = 1,
    .make = nothing_make,
    .free = nothing_free,
    .next = lines_next,
    .fail = lines_fail,
    .replay = lines_replay,
    .release = lines_release,
};

/* ---- the audit ---- */

static void give_again(struct audit *a, uint32_t i)
{
    a->agains[i].next = a->free_again;
    a->free_again = i;
}

/* Nothing more is expected of the oldest line that is kept. */
static void judge_oldest(struct slice *s)
{
    struct audit *a = &s->audit;
    uint64_t number = a->base++;
    struct record *r = &a->records[number & (WINDOW - 1)];
    unsigned words = book_line(&s->book, number)->words;
    uint64_t all = UINT64_MAX >> (WORDS_MAX - words), had = r->places;
    unsigned tries = r->places != 0;
    while (r->again != NONE) {
        uint32_t i = r->again;
        r->again = a->agains[i].next;
        had |= a->agains[i].places;
        tries++;
        give_again(a, i);
    }
    if (had != all && a->lost++ < SHOWN)
        fprintf(stderr, "line %llu: words %llx came of %llx, in %u tries\n",
                (unsigned long long)number, (unsigned long long)had,
                (unsigned long long)all, tries);
    if (tries > 1) {
        a->copies += tries - 1;
        /* Only kills make copies: a failed try is taken back. */
        if (number < at_load(&s->lines.clean_below, ACQUIRE)) a->doubled++;
    }
    *r = (struct record){.again = NONE};
}

static uint64_t *places_of(struct audit *a, uint64_t number, unsigned try)
{
    struct record *r = &a->records[number & (WINDOW - 1)];
    if (try == 0) return &r->places;
    for (uint32_t i = r->again; i != NONE; i = a->agains[i].next)
        if (a->agains[i].try == try) return &a->agains[i].places;
    uint32_t i = a->free_again;
    if (i == NONE) return NULL;
    a->free_again = a->agains[i].next;
    a->agains[i] = (struct again){.next = r->again, .try = try};
    r->again = i;
    return &a->agains[i].places;
}

static void take_word(struct slice *s, uint64_t id)
{
    struct audit *a = &s->audit;
    uint64_t number = id >> 16, place = (uint64_t)1 << (id & (WORDS_MAX - 1));
    a->words++;
    if (number < a->base) { /* later than any replay could be */
        a->doubled++;
        return;
    }
    if (number >= a->end) a->end = number + 1;
    while (a->end - a->base > WINDOW)
        judge_oldest(s);
    uint64_t *places = places_of(a, number, id >> 8 & 255);
    if (places == NULL) {
        a->overflown = true;
        return;
    }
    if (*places & place) a->doubled++;
    *places |= place;
}

static enum step audit_execute(struct component_context *c, void *self,
                               struct input *input)
{
    struct slice *s = slice_of(c);
    const uint8_t *at;
    while ((at = input_next(c, input)) != NULL) {
        struct value id;
        at = value_get(at, &id);
        if (id.as.integer < 0)
            s->audit.counted += (uint64_t)(-1 - id.as.integer);
        else
            take_word(s, (uint64_t)id.as.integer);
        input_done(c, input, at);
    }
    return STEP_DONE;
}

static const struct component_class audit_class = {
    .name = "audit",
    .state_bytes = 1,
    .make = nothing_make,
    .free = nothing_free,
    .execute = audit_execute,
};

/* ---- the run ---- */

static void slice_ended(void *context, const struct topology_end *end)
{
    struct slice *s = context;
    s->how = *end;
    sem_post(&s->ended);
}

static uint64_t wall_ms(void *unused)
{
    return (uint64_t)(real_wall_ns(NULL) / 1000000);
}

/* Failures are many: they are logged as in a real run, and shown to nobody. */
static void take_log_line(void *context, enum log_level level, const char *line,
                          size_t bytes)
{
    struct slice *s = context;
    s->log_lines++;
    if (level >= LOG_ERROR) fwrite(line, 1, bytes, stderr);
}

static bool make_tables(struct slice *s)
{
    struct audit *a = &s->audit;
    s->lines.tries = mem_alloc(WINDOW);
    a->records = mem_alloc(WINDOW * sizeof *a->records);
    a->agains = mem_alloc(AGAIN_MAX * sizeof *a->agains);
    if (s->lines.tries == NULL || a->records == NULL || a->agains == NULL)
        return false;
    memset(s->lines.tries, SETTLED, WINDOW);
    for (uint32_t i = 0; i < WINDOW; i++)
        a->records[i] = (struct record){.again = NONE};
    a->free_again = NONE;
    for (uint32_t i = AGAIN_MAX; i-- > 0;)
        give_again(a, i);
    atomic_init(&s->lines.clean_below, UINT64_MAX);
    return true;
}

/* What make_tables() takes: resident from the start, so that it can be left
 * out of what the engine holds. */
static inline size_t slice_tables_bytes(void)
{
    return (size_t)WINDOW * (1 + sizeof(struct record)) +
           (size_t)AGAIN_MAX * sizeof(struct again);
}

static err load_definition(struct slice *s, struct definition **out)
{
    const char *sets[] = {s->sets[0], s->sets[1]};
    char *errors = NULL;
    err e = definition_load("spec/bench/endurance.lua", sets, 2, s->runtime,
                            out, &errors);
    if (e != OK) fprintf(stderr, "%s\n", errors ? errors : err_text(e));
    mem_free(errors);
    return e;
}

/* Spout and sink are the ones of this file. */
static void place_natives(struct slice *s, struct plan *plan)
{
    for (unsigned i = 0; i < plan->count; i++) {
        struct component_plan *c = &plan->components[i];
        if (c->kind == COMPONENT_BOLT) continue;
        c->class = c->kind == COMPONENT_SPOUT ? &lines_class : &audit_class;
        c->config = s;
    }
}

static const struct component_plan *slice_component(const struct slice *s,
                                                    const char *name)
{
    const struct plan *plan = &s->definition->plan;
    for (unsigned i = 0; i < plan->count; i++)
        if (strcmp(plan->components[i].name, name) == 0)
            return &plan->components[i];
    return NULL;
}

static const struct component_metrics *spouts_metrics(const struct slice *s)
{
    return topology_metrics(s->topology,
                            (unsigned)(slice_component(s, "lines") -
                                       s->definition->plan.components));
}

static uint64_t metric_of(const struct slice *s, metric_id id)
{
    return metric_read(node_metrics(real_node(s->real)), id);
}

/* What is measured begins when the first lines are through. */
static bool wait_until_it_flows(const struct slice *s)
{
    struct timespec rest = {0, S_NS / 100};
    for (int i = 0; i < 3000; i++) {
        if (metric_of(s, spouts_metrics(s)->acked) > 0) return true;
        nanosleep(&rest, NULL);
    }
    fputs("no line has come through in 30 s\n", stderr);
    return false;
}

/* Starts it on two threads. False: something is missing, said on stderr. */
static bool slice_start(struct slice *s, uint64_t seed, unsigned percent,
                        unsigned restarts)
{
    the_slice = s;
    s->seed = seed & 0xFFFF;
    s->percent = percent;
    snprintf(s->sets[0], sizeof s->sets[0], "seed=%llu",
             (unsigned long long)s->seed);
    snprintf(s->sets[1], sizeof s->sets[1], "fails=%u", percent);
    sem_init(&s->ended, 0, 0);
    sem_init(&s->reloaded, 0, 0);
    if (!book_read(&s->book, "build/data/kjv.txt")) {
        fputs("build/data/kjv.txt can't be read; try ./build.sh data\n",
              stderr);
        return false;
    }
    struct log_config log = {.level = LOG_INFO,
                             .now_ms = wall_ms,
                             .sink = take_log_line,
                             .sink_context = s};
    s->log = log_new(&log);
    if (s->log == NULL || !make_tables(s) ||
        lua_runtime_new(&s->runtime, 2) != OK ||
        load_definition(s, &s->definition) != OK)
        return false;
    place_natives(s, &s->definition->plan);
    struct thread_hooks hooks = lua_runtime_hooks(s->runtime);
    s->real = real_new(2, seed, s->log, &hooks);
    s->env = s->real ? node_outside(real_node(s->real)) : NULL;
    struct topology_config config = {.plan = &s->definition->plan,
                                     .ackers = 2,
                                     .restarts = restarts,
                                     .backoff_max_ns = S_NS / 10,
                                     .ended = slice_ended,
                                     .context = s};
    return s->env && topology_start(s->env, &config, &s->topology) == OK &&
           real_start(s->real) == OK && wait_until_it_flows(s);
}

static void reload_done(struct code *code, bool taken, const char *error)
{
    struct slice *s = the_slice;
    s->reloaded_ns = real_now_ns(NULL);
    s->reload_taken = taken;
    if (!taken) fprintf(stderr, "reload refused: %s\n", error);
    sem_post(&s->reloaded);
}

static bool wait_for(sem_t *sem, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    while (sem_timedwait(sem, &until) != 0)
        if (errno != EINTR) return false;
    return true;
}

/* Reads the definition again and hands it over, as `engine run --watch` does.
 * Gives the time from the request until the last task runs it; negative: it
 * was refused, or that didn't come. */
static int64_t slice_reload(struct slice *s)
{
    struct definition *next;
    char why[256];
    if (s->stuck) return -1;
    if (load_definition(s, &next) != OK) return -1;
    place_natives(s, &next->plan);
    struct code *code = NULL;
    if (definition_same_graph(s->definition, next, why, sizeof why))
        code = lua_code_new(next->bundle, reload_done);
    else
        fprintf(stderr, "%s\n", why);
    definition_free(next);
    struct msg *m = code ? msg_new(s->env, TOPOLOGY_RELOAD, sizeof code) : NULL;
    if (m == NULL) return -1;
    memcpy(msg_body(m), &code, sizeof code);
    m->flags = MSG_REF;
    m->from = 0;
    int64_t sent_ns = real_now_ns(NULL);
    actor_post(s->env, topology_actor(s->topology), m);
    if (!wait_for(&s->reloaded, RELOAD_MAX_S)) {
        fprintf(stderr, "no end of a reload after %d s; no more of them\n",
                RELOAD_MAX_S);
        s->stuck = true;
        return -1;
    }
    return s->reload_taken ? s->reloaded_ns - sent_ns : -1;
}

static bool expect(bool holds, const char *what)
{
    if (!holds) fprintf(stderr, "not so: %s\n", what);
    return holds;
}

/* Lets what is under way come through, ends, and counts. True: all figures
 * agree and nothing was lost or doubled. */
static bool slice_end(struct slice *s)
{
    struct lines *l = &s->lines;
    struct audit *a = &s->audit;
    at_store(&l->stop, true, RELEASE);
    bool ended = wait_for(&s->ended, 60);
    if (!ended) fprintf(stderr, "not ended 60 s after the last line\n");
    real_stop(s->real);
    if (a->end < l->next) a->end = l->next; /* one that never came is lost */
    while (a->base < a->end)
        judge_oldest(s);
    const struct component_metrics *m = spouts_metrics(s);
    bool right = true;
    right &= expect(ended && s->how.why == OK, "the run ended by itself");
    right &= expect(s->how.unsettled == 0 && s->how.gave_up == 0,
                    "every line was settled");
    right &= expect(!a->overflown, "the audit had room for all tries");
    right &= expect(l->base == l->next && metric_of(s, m->acked) == l->next,
                    "every line was acked once");
    right &= expect(l->wrong == 0, "lines failed as the seed says");
    right &= expect(a->lost == 0, "every word came");
    right &= expect(a->doubled == 0, "no try's word came twice");
    right &= expect(a->counted == a->words, "count counted what came");
    right &= expect(a->copies <= l->replayed, "copies are of replays");
    right &= expect(metric_of(s, m->replayed) == l->replayed &&
                        metric_of(s, m->failed) ==
                            l->failed_itself + l->failed_otherwise,
                    "the metrics agree");
    return right;
}

static void slice_free(struct slice *s)
{
    if (s->env) node_outside_free(s->env);
    real_free(s->real);
    topology_free(s->topology);
    if (s->definition) definition_free(s->definition);
    lua_runtime_free(s->runtime);
    log_free(s->log);
    mem_free(s->book.text);
    mem_free(s->book.lines);
    mem_free(s->lines.tries);
    mem_free(s->audit.records);
    mem_free(s->audit.agains);
}

#endif
