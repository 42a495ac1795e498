/* bench.c - engine bench: how fast topologies are on this machine. Each run is
 * a process of its own, as a user would start it, and those of the cases take
 * turns: what slows the machine for a while slows all of them. */
#include "cli/bench.h"
#include "cli/report.h"
#include "cli/running.h"
#include "core/alloc.h"
#include "core/units.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RUNS_DEFAULT = 5, /* of an input that ends */
    RUNS_ENDLESS = 3, /* of one that --for ends */
    THREADS_LISTED = 16,
};

struct bench {
    struct sets sets;
    bool set_known[SETS_MAX]; /* some file has such a param */
    unsigned threads[THREADS_LISTED];
    unsigned threads_count;
    const char *limit; /* as it was given: the run reads it */
    unsigned runs;     /* 0: the default */
    unsigned warm_up;
    bool keep_output, json;
    struct bench_case *cases; /* owned */
    unsigned count;
    unsigned done; /* runs, warm-up and all */
    int code;
    int signals;  /* a signalfd */
    bool stopped; /* one has come */
};

/* ---- options ---- */

enum { SET, THREADS, FOR, RUNS, WARM_UP, KEEP_OUTPUT, JSON };

static const struct verb_option option_table[] = {
    [SET] = {"set", "NAME=VALUE", "give a param of the definition its value"},
    [THREADS] = {"threads", "N,N",
                 "scheduler threads; each of a list is measured (default: the "
                 "cores)"},
    [FOR] = {"for", "TIME",
             "a run ends with its input, or is drained then "
             "(10s)"},
    [RUNS] = {"runs", "N",
              "measured runs of each (5; 3 if the input doesn't end by "
              "itself)"},
    [WARM_UP] = {"warm-up", "N", "runs of each before, not counted (1)"},
    [KEEP_OUTPUT] = {"keep-output", NULL,
                     "stdout gets what the topology writes there, stderr the "
                     "table"},
    [JSON] = {"json", NULL, "one object instead of the table"},
    {NULL, NULL, NULL},
};

static bool take_count(const char *option, const char *value, long least,
                       unsigned *n)
{
    char *end;
    long count = strtol(value, &end, 10);
    if (*value >= '0' && *value <= '9' && *end == '\0' && count >= least &&
        count <= BENCH_RUNS_MAX) {
        *n = (unsigned)count;
        return true;
    }
    verb_say("--%s is '%s'; give a number from %ld to %d", option, value, least,
             BENCH_RUNS_MAX);
    return false;
}

static bool take_limit(struct bench *b, const char *value)
{
    int64_t ns;
    b->limit = value;
    if (units_duration(value, &ns) && ns > 0) return true;
    verb_say("--for is '%s'; give a time like 10s or 500ms", value);
    return false;
}

static bool take_threads(struct bench *b, const char *value)
{
    char one[16];
    for (const char *at = value;; at++) {
        size_t bytes = strcspn(at, ",");
        if (b->threads_count == THREADS_LISTED) {
            verb_say("--threads lists more than %d numbers", THREADS_LISTED);
            return false;
        }
        snprintf(one, sizeof one, "%.*s", (int)(bytes < 15 ? bytes : 15), at);
        if (!threads_take(&b->threads[b->threads_count++], one)) return false;
        at += bytes;
        if (*at == '\0') return true;
    }
}

static bool take_option(void *context, unsigned option, const char *value)
{
    struct bench *b = context;
    switch (option) {
    case SET: return sets_take(&b->sets, value);
    case THREADS: return take_threads(b, value);
    case FOR: return take_limit(b, value);
    case RUNS: return take_count("runs", value, 1, &b->runs);
    case WARM_UP: return take_count("warm-up", value, 0, &b->warm_up);
    case KEEP_OUTPUT: b->keep_output = true; return true;
    default: b->json = true; return true;
    }
}

/* ---- what is measured ---- */

static unsigned runs_of(const struct bench *b)
{
    return b->runs ? b->runs : RUNS_DEFAULT;
}

static bool is_file(int fd)
{
    struct stat s;
    return fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
}

/* Each run reads the definition anew. */
static int check_path(const char *path)
{
    struct stat s;
    if (stat(path, &s) < 0 || S_ISREG(s.st_mode) || S_ISDIR(s.st_mode))
        return EXIT_WELL; /* or the loader says what is wrong */
    verb_say("%s: bench reads it anew for each run; give a regular file", path);
    return EXIT_USAGE;
}

static int check_stdin(const struct bench *b, const char *path)
{
    bool once =
        b->warm_up + runs_of(b) == 1 && b->count == 1 && !isatty(STDIN_FILENO);
    if (once || is_file(STDIN_FILENO)) return EXIT_WELL;
    verb_say("%s reads stdin, and each run would need all of it; give it a "
             "file: engine bench %s < FILE",
             path, path);
    return EXIT_USAGE;
}

/* What is wrong with it is said once and not by each run. Of several files
 * each takes those of --set that it has params for. */
static int check_file(struct bench *b, struct bench_case *c, bool several)
{
    struct definition *d = NULL;
    bool known[SETS_MAX] = {false};
    const struct sets *sets = &b->sets;
    char *errors = NULL;
    int code = check_path(c->path);
    if (code != EXIT_WELL) return code;
    err e = several ? definition_load_some(c->path, sets->list, sets->count,
                                           known, NULL, &d, NULL, &errors)
                    : definition_load(c->path, sets->list, sets->count, NULL,
                                      &d, &errors);
    if (e != OK) fprintf(stderr, "%s\n", errors ? errors : err_text(e));
    c->reads_stdin = e == OK && running_reads_stdin(&d->plan);
    mem_free(errors);
    definition_free(d);
    for (unsigned i = 0; i < sets->count; i++) {
        if (several && !known[i]) continue;
        c->sets.list[c->sets.count++] = sets->list[i];
        b->set_known[i] = true;
    }
    return c->reads_stdin ? check_stdin(b, c->path) : verb_load_code(e);
}

static bool check_sets(const struct bench *b)
{
    for (unsigned i = 0; i < b->sets.count; i++) {
        if (b->set_known[i]) continue;
        verb_say("--set %s: none of the files has a param of that name",
                 b->sets.list[i]);
        return false;
    }
    return true;
}

static int make_cases(struct bench *b, char **paths, unsigned files)
{
    b->count = files * b->threads_count;
    b->cases = mem_zero(b->count, sizeof *b->cases);
    for (unsigned i = 0; b->cases && i < files; i++) {
        struct bench_case first = {.path = paths[i], .runs = runs_of(b)};
        int code = check_file(b, &first, files > 1);
        if (code != EXIT_WELL) return code;
        for (unsigned k = 0; k < b->threads_count; k++) {
            struct bench_case *c = &b->cases[i * b->threads_count + k];
            *c = first;
            c->threads = b->threads[k];
            c->list = mem_zero(runs_of(b), sizeof *c->list);
            if (c->list == NULL) b->code = EXIT_FAILED;
        }
    }
    if (b->cases && b->code == EXIT_WELL) return EXIT_WELL;
    verb_say("out of memory");
    return EXIT_FAILED;
}

static void free_cases(struct bench *b)
{
    for (unsigned i = 0; b->cases && i < b->count; i++) {
        for (unsigned k = 0; k < b->cases[i].count; k++)
            measurement_fini(&b->cases[i].list[k]);
        mem_free(b->cases[i].list);
    }
    mem_free(b->cases);
}

/* ---- measuring ---- */

static void show_progress(const struct bench *b, const struct bench_case *c,
                          bool counted)
{
    if (!report_is_live() || b->keep_output) return;
    char line[1024];
    snprintf(line, sizeof line, "%s, %u thread%s: %s %u", c->path, c->threads,
             c->threads == 1 ? "" : "s", counted ? "run" : "warm-up",
             counted ? c->count + 1 : 1);
    report_draw(line);
}

/* EXIT_WELL, or the exit code: nothing goes on then. */
static int measure_one(struct bench *b, struct bench_case *c, bool counted)
{
    struct measurement m;
    const struct measure_plan plan = {
        .path = c->path,
        .sets = &c->sets,
        .threads = c->threads,
        .limit = b->limit,
        .signals = b->signals,
        .keep_output = b->keep_output,
        .stdin_again = c->reads_stdin,
        .whole_log = b->done < b->count, /* the first run of each */
    };
    show_progress(b, c, counted);
    int code = measure(&plan, &m, &b->stopped);
    if (code != EXIT_WELL) return code;
    b->done++;
    if (m.code > b->code) b->code = m.code;
    if (!counted && !m.complete && b->runs == 0) c->runs = RUNS_ENDLESS;
    if (counted && !b->stopped)
        c->list[c->count++] = m;
    else
        measurement_fini(&m);
    return b->stopped ? EXIT_FAILED : EXIT_WELL;
}

static int measure_all(struct bench *b)
{
    int code = EXIT_WELL;
    for (unsigned round = 0; round < b->warm_up; round++)
        for (unsigned i = 0; code == EXIT_WELL && i < b->count; i++)
            code = measure_one(b, &b->cases[i], false);
    for (unsigned round = 0; round < runs_of(b); round++)
        for (unsigned i = 0; code == EXIT_WELL && i < b->count; i++)
            if (round < b->cases[i].runs)
                code = measure_one(b, &b->cases[i], true);
    return code;
}

static void say_how(const struct bench *b, FILE *to)
{
    unsigned least = b->cases[0].count, most = least;
    for (unsigned i = 1; i < b->count; i++) {
        unsigned n = b->cases[i].count;
        if (n < least) least = n;
        if (n > most) most = n;
    }
    fprintf(to, "medians of %u", least);
    if (most > least) fprintf(to, " to %u", most);
    fprintf(to, " run%s each\n", most == 1 ? "" : "s");
}

static int report(const struct bench *b)
{
    FILE *to = b->keep_output ? stderr : stdout;
    if (report_is_live() && !b->keep_output) report_erase();
    bool printed = b->json ? bench_print_json(b->cases, b->count, to)
                           : bench_print(b->cases, b->count, to);
    if (printed && !b->json) say_how(b, to);
    if (printed) return EXIT_WELL;
    verb_say("the figures can't be printed");
    return EXIT_FAILED;
}

static bool any_measured(const struct bench *b)
{
    for (unsigned i = 0; i < b->count; i++)
        if (b->cases[i].count > 0) return true;
    return false;
}

static int bench_files(struct bench *b, char **paths, unsigned files)
{
    int code = make_cases(b, paths, files);
    if (code != EXIT_WELL) return code;
    if (!check_sets(b)) return EXIT_USAGE;
    b->signals = measure_signals();
    if (b->signals < 0) {
        verb_say("can't start: %s", strerror(errno));
        return EXIT_FAILED;
    }
    code = measure_all(b);
    close(b->signals);
    if (code == EXIT_WELL || (b->stopped && any_measured(b))) {
        int printed = report(b);
        if (printed > code) code = printed;
    }
    if (b->stopped)
        verb_say("ended by a signal%s",
                 any_measured(b) ? "; the table has the runs before it"
                                 : ", nothing was measured");
    else if (code == EXIT_WELL && b->code != EXIT_WELL)
        verb_say("runs ended with exit code %d; the lines above say why",
                 b->code);
    return code > b->code ? code : b->code;
}

static int run(const struct verb *verb, int argc, char **argv)
{
    struct bench b = {.limit = "10s", .warm_up = 1};
    int code = verb_parse(verb, &argc, argv, take_option, &b);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    bool empty = argc < 2;
    for (int i = 1; i < argc; i++)
        empty |= argv[i][0] == '\0';
    if (empty) {
        verb_say("bench takes definition files: engine bench FILE");
        return EXIT_USAGE;
    }
    if (b.threads_count == 0) b.threads[b.threads_count++] = threads_default();
    code = bench_files(&b, argv + 1, (unsigned)argc - 1);
    free_cases(&b);
    return code;
}

const struct verb bench_verb = {
    .name = "bench",
    .arguments = "FILE…",
    .help = "measure how fast topologies are: tuples, latency, CPU, memory",
    .example = "engine bench topologies/word_count.lua --threads 1,2 --for 5s",
    .options = option_table,
    .run = run,
};
