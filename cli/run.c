/* run.c - engine run: one topology in this process, until its input ends or a
 * signal drains it. Data goes to stdout, everything for people to stderr. */
#define _GNU_SOURCE /* signalfd, pipe2 */
#include "actors/stream/topology.h"
#include "cli/report.h"
#include "cli/verb.h"
#include "cli/watch.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/nearest.h"
#include "core/real.h"
#include "lua/component.h"
#include "lua/definition.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { SETS_MAX = 64, LEVELS_MAX = 16, THREADS_MAX = 64 };

/* The environment's default of --drain: an image knows when it is killed. */
#define DRAIN_VARIABLE "ENGINE_DRAIN"
/* The run's own lines in a JSON log. No component can be called that, so that
 * --log-level, which is about components, doesn't silence them. */
#define OWN_NAME "__engine"

struct options {
    const char *sets[SETS_MAX];
    unsigned set_count;
    unsigned threads;
    int64_t drain_ns;
    bool watch, quiet, json_log;
    enum log_level level;
    struct {
        char component[LOG_COMPONENT_BYTES];
        enum log_level level;
    } levels[LEVELS_MAX]; /* of single components */
    unsigned level_count;
};

/* What main waits for; told by other threads. */
struct run {
    struct options options;
    struct definition *definition; /* that runs */
    struct definition *newest;     /* of the last reload that was sent */
    struct log *log;
    struct lua_runtime *runtime;
    struct real *real;
    struct topology *topology;
    actor_id root; /* its actor; written before any thread starts */
    struct watch *watch;
    struct env *env; /* main's view */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ended, changed;
    unsigned signals; /* the I/O thread's, as is the time of the last */
    int64_t signal_ns;
    uint32_t last_signal;
    struct topology_end end;
};

/* ---- options ---- */

enum { SET, THREADS, WATCH, DRAIN, QUIET, LOG_FORMAT, LOG_LEVEL };

static const struct verb_option option_table[] = {
    [SET] = {"set", "NAME=VALUE", "give a param of the definition its value"},
    [THREADS] = {"threads", "N", "scheduler threads (default: the cores)"},
    [WATCH] = {"watch", NULL, "take over new code when a file is saved"},
    [DRAIN] =
        {"drain", "TIME",
         "for what is under way when told to end (default: " DRAIN_VARIABLE
         ", or 10s)"},
    [QUIET] = {"quiet", NULL, "no start lines and no table at the end"},
    [LOG_FORMAT] = {"log-format", "FORMAT", "text or json (default: text)"},
    [LOG_LEVEL] = {"log-level", "[NAME=]LEVEL",
                   "trace debug info warn error off; of one component"},
    {NULL, NULL, NULL},
};

static bool parse_duration(const char *text, int64_t *ns)
{
    char *unit;
    errno = 0;
    double n = strtod(text, &unit);
    if (unit == text || errno || !(n >= 0)) return false;
    double scale = !*unit || !strcmp(unit, "s") ? 1e9
                   : !strcmp(unit, "ms")        ? 1e6
                   : !strcmp(unit, "m")         ? 60e9
                   : !strcmp(unit, "h")         ? 3600e9
                                                : -1;
    if (scale < 0 || n * scale > 9e17) return false;
    *ns = (int64_t)(n * scale);
    return true;
}

static bool take_level(struct options *o, const char *value)
{
    const char *equals = strchr(value, '=');
    enum log_level level;
    if (equals == value ||
        log_level_named(equals ? equals + 1 : value, &level) != OK) {
        verb_say("--log-level is '%s'; give trace, debug, info, warn, error or "
                 "off, or NAME=LEVEL for one component",
                 value);
        return false;
    }
    if (equals == NULL) {
        o->level = level;
        return true;
    }
    if (o->level_count == LEVELS_MAX) {
        verb_say("--log-level NAME=LEVEL is given more than %d times",
                 LEVELS_MAX);
        return false;
    }
    unsigned i = o->level_count++;
    o->levels[i].level = level;
    snprintf(o->levels[i].component, sizeof o->levels[i].component, "%.*s",
             (int)(equals - value), value);
    return true;
}

static bool take_drain(struct options *o, const char *name, const char *value)
{
    if (parse_duration(value, &o->drain_ns)) return true;
    verb_say("%s is '%s'; give a time like 10s or 500ms", name, value);
    return false;
}

static bool default_drain(struct options *o)
{
    if (o->drain_ns >= 0) return true;
    const char *value = getenv(DRAIN_VARIABLE);
    return take_drain(o, DRAIN_VARIABLE, value && *value ? value : "10s");
}

static bool take_option(void *context, unsigned option, const char *value)
{
    struct options *o = context;
    char *end;
    long threads;
    switch (option) {
    case SET:
        if (o->set_count == SETS_MAX) {
            verb_say("--set is given more than %d times", SETS_MAX);
            return false;
        }
        o->sets[o->set_count++] = value;
        return true;
    case THREADS:
        threads = strtol(value, &end, 10);
        o->threads = (unsigned)threads;
        if (*end == '\0' && threads >= 1 && threads <= THREADS_MAX) return true;
        verb_say("--threads is '%s'; give a number from 1 to %d", value,
                 THREADS_MAX);
        return false;
    case WATCH: o->watch = true; return true;
    case DRAIN: return take_drain(o, "--drain", value);
    case QUIET: o->quiet = true; return true;
    case LOG_FORMAT:
        o->json_log = strcmp(value, "json") == 0;
        if (o->json_log || strcmp(value, "text") == 0) return true;
        verb_say("--log-format is '%s'; give text or json", value);
        return false;
    case LOG_LEVEL: return take_level(o, value);
    default: return false;
    }
}

/* ---- what a person is told ---- */

/* One line to stderr, by the log where a program reads it. Any thread. */
__attribute__((format(printf, 3, 4))) static void
tell(const struct run *run, enum log_level level, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (run->options.json_log)
        log_text(run->log, OWN_NAME, -1, level, 0, text, strlen(text), NULL);
    else
        fprintf(stderr, "%s\n", text);
}

static bool is_level_name(struct nearest *near, const char *known)
{
    nearest_try(near, known);
    return strncmp(known, near->name, LOG_COMPONENT_BYTES - 1) == 0;
}

/* --log-level NAME=…: the names are known when the definition is. */
static bool check_level_name(const struct run *run, const char *name)
{
    static const char *const parts[] = {"acker", "executor", "supervisor",
                                        "topology"}; /* they log, too */
    const struct plan *plan = &run->definition->plan;
    struct nearest near;
    nearest_begin(&near, name);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (is_level_name(&near, parts[i])) return true;
    for (unsigned i = 0; i < plan->count; i++)
        if (is_level_name(&near, plan->components[i].name)) return true;
    bool any = near.best[0] != '\0';
    tell(run, LOG_ERROR,
         "engine: --log-level %s=…: %s has no component of that name%s%s%s",
         name, plan->file, any ? "; did you mean '" : "", near.best,
         any ? "'?" : "; give one of its spouts, bolts or sinks");
    return false;
}

static bool check_levels(const struct run *run)
{
    for (unsigned i = 0; i < run->options.level_count; i++)
        if (!check_level_name(run, run->options.levels[i].component))
            return false;
    return true;
}

/* The faults of a definition stand in a line each. */
static void tell_lines(const struct run *run, const char *lines)
{
    while (*lines) {
        size_t bytes = strcspn(lines, "\n");
        tell(run, LOG_ERROR, "%.*s", (int)bytes, lines);
        lines += bytes + (lines[bytes] == '\n');
    }
}

static void tell_refused(const struct run *run, const char *why)
{
    tell(run, LOG_ERROR, "reload refused: %s%s", why,
         run->options.json_log ? "; the old code goes on"
                               : "\n  the old code goes on");
}

/* ---- from other threads ---- */

static void on_ended(void *context, const struct topology_end *end)
{
    struct run *run = context;
    pthread_mutex_lock(&run->lock);
    run->end = *end;
    run->ended = true;
    pthread_cond_signal(&run->wake);
    pthread_mutex_unlock(&run->lock);
}

static void on_change(void *context)
{
    struct run *run = context;
    pthread_mutex_lock(&run->lock);
    run->changed = true;
    pthread_cond_signal(&run->wake);
    pthread_mutex_unlock(&run->lock);
}

/* On the I/O thread. */
static void on_signal(struct env *env, int fd, void *context)
{
    struct run *run = context;
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        /* timeout(1) and the like signal a process and then its group. */
        int64_t now_ns = real_now_ns(NULL);
        bool echo = info.ssi_signo == run->last_signal &&
                    now_ns - run->signal_ns < 100000000;
        run->last_signal = info.ssi_signo;
        run->signal_ns = now_ns;
        if (echo) continue;
        if (++run->signals > 1) _exit(EXIT_FAILED);
        if (!run->options.quiet)
            tell(run, LOG_INFO, "draining; once more to end at once");
        actor_send(env, run->root, TOPOLOGY_DRAIN, &run->options.drain_ns,
                   sizeof run->options.drain_ns);
    }
}

/* ---- reload ---- */

static void on_reloaded(struct code *code, bool taken, const char *error)
{
    const struct run *run = code->context;
    if (taken)
        tell(run, LOG_INFO, "reload: the new code runs");
    else
        tell_refused(run, error);
}

/* On its way to all tasks; on_reloaded() says how that went. */
static void send_code(struct run *run, struct bundle *bundle)
{
    struct code *code = lua_code_new(bundle, on_reloaded);
    struct msg *m =
        code ? msg_new(run->env, TOPOLOGY_RELOAD, sizeof code) : NULL;
    if (m == NULL) {
        tell_refused(run, "out of memory");
        if (code) ref_drop(run->env, &code->ref);
        return;
    }
    code->context = run;
    memcpy(msg_body(m), &code, sizeof code);
    m->flags = MSG_REF;
    m->from = 0;
    actor_post(run->env, run->root, m);
}

static void reload(struct run *run)
{
    struct definition *next;
    char *errors, why[256];
    err e =
        definition_load(run->definition->plan.file, run->options.sets,
                        run->options.set_count, run->runtime, &next, &errors);
    if (e != OK) {
        tell_refused(run, errors ? errors : err_text(e));
        mem_free(errors);
        return;
    }
    watch_files(run->watch, next->bundle);
    if (definition_same_graph(run->definition, next, why, sizeof why)) {
        send_code(run, next->bundle);
    } else {
        char sentence[2048];
        snprintf(sentence, sizeof sentence,
                 "%s: %s; start engine anew for that", next->plan.file, why);
        tell_refused(run, sentence);
    }
    definition_free(next); /* the code has a reference to its bundle */
}

/* ---- the run ---- */

static uint64_t wall_ms(void *unused)
{
    return (uint64_t)(real_wall_ns(NULL) / 1000000);
}

static struct log *open_log(const struct options *o)
{
    struct log_config config = {
        .format = o->json_log ? LOG_JSON : LOG_TEXT,
        .level = LOG_INFO,
        .color = isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL,
        .local_time = true,
        .now_ms = wall_ms,
        .fd = STDERR_FILENO,
    };
    return log_new(&config);
}

/* What components say is held back by level while they run. What the run says
 * of itself, before, meanwhile and at its end, never is. */
static void set_levels(const struct run *run)
{
    const struct options *o = &run->options;
    log_set_level(run->log, NULL, o->level);
    for (unsigned i = 0; i < o->level_count; i++)
        log_set_level(run->log, o->levels[i].component, o->levels[i].level);
    log_set_level(run->log, OWN_NAME, LOG_INFO);
}

static void lift_levels(const struct run *run)
{
    log_set_level(run->log, NULL, LOG_INFO);
    for (unsigned i = 0; i < run->options.level_count; i++)
        log_clear_level(run->log, run->options.levels[i].component);
}

static sigset_t ending_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

/* Signals are read by the I/O thread, whatever thread they hit. A file at the
 * limit of its size is an error of a write. */
static int open_signals(void)
{
    sigset_t set = ending_signals();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGXFSZ, &ignore, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* While nothing runs yet a signal just ends the process: a definition may be
 * a pipe that nobody writes. */
static err load(struct run *run, const char *path, char **errors)
{
    sigset_t set = ending_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    err e = definition_load(path, run->options.sets, run->options.set_count,
                            run->runtime, &run->definition, errors);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return e;
}

static void wait_for_end(struct run *run)
{
    struct report *report =
        run->options.quiet || !isatty(STDERR_FILENO) ? NULL : report_new();
    pthread_mutex_lock(&run->lock);
    while (!run->ended) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        if (!run->changed)
            pthread_cond_timedwait(&run->wake, &run->lock, &until);
        bool changed = run->changed && !run->ended;
        run->changed = false;
        pthread_mutex_unlock(&run->lock);
        if (changed) {
            watch_settle(run->watch);
            reload(run);
        }
        log_flush_repeats(run->log);
        if (report)
            report_line(report, &run->definition->plan, run->topology,
                        real_node(run->real));
        pthread_mutex_lock(&run->lock);
    }
    pthread_mutex_unlock(&run->lock);
    report_free(report);
}

static int exit_code(const struct run *run)
{
    const struct topology_end *end = &run->end;
    bool well = end->why == OK || end->why == ERR_STOPPED;
    if (end->why == ERR_CRASHED)
        tell(run, LOG_ERROR,
             "engine: a component kept crashing; the run has ended");
    else if (!well)
        tell(run, LOG_ERROR, "engine: the run has failed: %s",
             err_text(end->why));
    if (end->unsettled > 0)
        tell(run, LOG_ERROR, "engine: %llu %s still under way at the end%s",
             (unsigned long long)end->unsettled,
             end->unsettled == 1 ? "tuple was" : "tuples were",
             end->why == ERR_STOPPED ? " of the drain" : "");
    if (end->gave_up > 0)
        tell(run, LOG_ERROR, "engine: %llu %s failed for good",
             (unsigned long long)end->gave_up,
             end->gave_up == 1 ? "tuple" : "tuples");
    if (end->left_out > 0)
        tell(run, LOG_ERROR,
             "engine: %llu %s of the input %s left out; the log says why",
             (unsigned long long)end->left_out,
             end->left_out == 1 ? "part" : "parts",
             end->left_out == 1 ? "was" : "were");
    return well && !end->unsettled && !end->gave_up && !end->left_out
               ? EXIT_WELL
               : EXIT_FAILED;
}

static int start(struct run *run, int signals)
{
    struct thread_hooks hooks = lua_runtime_hooks(run->runtime);
    unsigned threads = run->options.threads;
    run->real =
        real_new(threads, (uint64_t)real_wall_ns(NULL), run->log, &hooks);
    err e = run->real ? OK : ERR_NOMEM;
    if (e == OK) e = loop_watch(real_loop(run->real), signals, on_signal, run);
    if (e == OK && run->options.watch) {
        run->watch = watch_new(run->definition->bundle, on_change, run);
        e = run->watch ? watch_start(run->watch, real_loop(run->real))
                       : ERR_NOMEM;
    }
    if (e == OK) run->env = node_outside(real_node(run->real));
    if (e == OK && run->env == NULL) e = ERR_NOMEM;
    struct topology_config config = {.plan = &run->definition->plan,
                                     .ackers = threads,
                                     .ended = on_ended,
                                     .context = run};
    if (e == OK) e = topology_start(run->env, &config, &run->topology);
    if (e == OK) run->root = topology_actor(run->topology);
    if (e == OK) e = real_start(run->real);
    if (e == OK) return EXIT_WELL;
    tell(run, LOG_ERROR,
         "engine: can't start: %s; give it fewer --threads, or more of what "
         "ulimit -a shows",
         err_text(e));
    return EXIT_FAILED;
}

static void clean_up(struct run *run, int signals)
{
    node_outside_free(run->env);
    real_free(run->real);
    topology_free(run->topology);
    watch_free(run->watch);
    definition_free(run->definition);
    lua_runtime_free(run->runtime);
    log_free(run->log);
    if (signals >= 0) close(signals);
}

static struct log *json_log(const struct run *run)
{
    return run->options.json_log ? run->log : NULL;
}

/* The end, whatever the log's levels are; gives the exit code. */
static int report(const struct run *run, int64_t wall_ns)
{
    lift_levels(run);
    if (!run->options.quiet)
        report_end(&run->definition->plan, run->topology, real_node(run->real),
                   wall_ns, json_log(run));
    int code = exit_code(run);
    set_levels(run);
    return code;
}

static int run_file(struct run *run, const char *path)
{
    char *errors = NULL;
    int signals = open_signals();
    run->log = open_log(&run->options);
    if (run->log == NULL ||
        lua_runtime_new(&run->runtime, run->options.threads) != OK) {
        verb_say("can't start: out of memory or threads; give it fewer "
                 "--threads, or more of what ulimit -a shows");
        clean_up(run, signals);
        return EXIT_FAILED;
    }
    err e = load(run, path, &errors);
    if (e != OK) {
        tell_lines(run, errors ? errors : err_text(e));
        mem_free(errors);
        clean_up(run, signals);
        return e == ERR_CONFIG  ? EXIT_DEFINITION
               : e == ERR_NOMEM ? EXIT_FAILED
                                : EXIT_USAGE;
    }
    if (!check_levels(run)) {
        clean_up(run, signals);
        return EXIT_USAGE;
    }
    if (!run->options.quiet)
        report_start(&run->definition->plan, run->options.threads,
                     run->options.watch, json_log(run));
    set_levels(run);
    int64_t began_ns = real_now_ns(NULL);
    int code = start(run, signals);
    if (code == EXIT_WELL) {
        wait_for_end(run);
        real_stop(run->real);
        code = report(run, real_now_ns(NULL) - began_ns);
    }
    clean_up(run, signals);
    return code;
}

static int run_run(const struct verb *verb, int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct run run = {
        .options = {.threads = cores > 0 ? (unsigned)cores : 1,
                    .drain_ns = -1,
                    .level = LOG_INFO},
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .wake = PTHREAD_COND_INITIALIZER,
    };
    if (run.options.threads > THREADS_MAX) run.options.threads = THREADS_MAX;
    int code = verb_parse(verb, &argc, argv, take_option, &run.options);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (!default_drain(&run.options)) return EXIT_USAGE;
    if (argc != 2 || argv[1][0] == '\0') {
        verb_say("run takes one definition file: engine run FILE");
        return EXIT_USAGE;
    }
    return run_file(&run, argv[1]);
}

const struct verb run_verb = {
    .name = "run",
    .arguments = "FILE",
    .help = "run a topology until its input ends, or Ctrl-C",
    .example = "engine run topologies/word_count.lua --set input=book.txt",
    .options = option_table,
    .run = run_run,
};
