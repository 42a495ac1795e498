/* run.c - engine run: one topology in this process, until its input
 * ends or it is told to end. Data goes to stdout, everything for
 * people to stderr. */
#define _GNU_SOURCE /* signalfd */
#include "cli/advice.h"
#include "cli/levels.h"
#include "cli/place.h"
#include "cli/report.h"
#include "cli/requests.h"
#include "cli/run_options.h"
#include "cli/statistics.h"
#include "cli/watch.h"
#include "core/alloc.h"
#include "core/door.h"
#include "core/nearest.h"
#include "core/real.h"
#include "lua/component.h"
#include "lua/definition.h"
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* The run's own lines in a JSON log. No component can be called that, so that
 * --log-level, which is about components, doesn't silence them. */
#define OWN_NAME "__engine"

/* What main waits for; told by other threads. */
struct run {
    struct run_options options;
    bool live;                     /* a line is drawn on the terminal */
    struct definition *definition; /* that runs */
    struct log *log;
    struct levels *levels; /* the I/O thread's while it runs */
    struct lua_runtime *runtime;
    struct real *real;
    struct topology *topology;
    actor_id root; /* its actor; written before any thread starts */
    struct watch *watch;
    struct env *env; /* main's view */
    struct place place;
    int door_fd; /* -1: the door has it, or there is none */
    struct door *door;
    struct history *history; /* the I/O thread's while it runs, */
    struct control control;  /* as is what it is asked */
    int64_t began_ns;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ended, changed;
    unsigned signals; /* the I/O thread's, as is the time of the last */
    int64_t signal_ns;
    uint32_t last_signal;
    struct topology_end end;
};

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
        fprintf(stderr, "%s%s\n", run->live ? REPORT_ERASE : "", text);
}

/* --log-level NAME=…: the names are known when the definition is. */
static bool take_levels(struct run *run)
{
    const struct run_options *o = &run->options;
    for (unsigned i = 0; i < o->level_count; i++) {
        const struct argument_level *l = &o->levels[i];
        struct nearest near;
        if (levels_knows(run->levels, l->component, &near)) {
            levels_set(run->levels, l->component, l->level, 0, 0);
            continue;
        }
        bool any = near.best[0] != '\0';
        tell(run, LOG_ERROR,
             "engine: --log-level %s=…: %s has no component of that "
             "name%s%s%s",
             l->component, run->definition->plan.file,
             any ? "; did you mean '" : "", near.best,
             any ? "'?" : "; give one of its spouts, bolts or sinks");
        return false;
    }
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

static void tell_advice(void *context, const struct advice *advice)
{
    const struct run *run = context;
    tell(run, LOG_WARN, "%s:%d: warning: %s", run->definition->plan.file,
         advice->component->line, advice->text);
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

/* All below on the I/O thread. */

static bool drain(struct env *env, void *context, int64_t limit_ns)
{
    struct run *run = context;
    run->control.draining = true;
    return actor_send(env, run->root, TOPOLOGY_DRAIN, &limit_ns,
                      sizeof limit_ns) == OK;
}

static bool on_asked_to_drain(struct env *env, void *context, int64_t limit_ns)
{
    const struct run *run = context;
    if (!run->options.quiet) tell(run, LOG_INFO, "draining: asked at the door");
    return drain(env, context, limit_ns);
}

static bool on_asked_to_activate(struct env *env, void *context, bool active)
{
    const struct run *run = context;
    if (!run->options.quiet)
        tell(run, LOG_INFO, "%sactivated: asked at the door",
             active ? "" : "de");
    return actor_send(env, run->root,
                      active ? TOPOLOGY_ACTIVATE : TOPOLOGY_DEACTIVATE, NULL,
                      0) == OK;
}

static void on_time_over(struct env *env, void *context)
{
    struct run *run = context;
    if (!run->options.quiet) tell(run, LOG_INFO, "draining: --for is over");
    drain(env, run, run->options.drain_ns);
}

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
        if (++run->signals > 1) {
            place_remove(&run->place);
            _exit(EXIT_FAILED);
        }
        if (!run->options.quiet)
            tell(run, LOG_INFO, "draining; once more to end at once");
        drain(env, run, run->options.drain_ns);
    }
}

static void on_second(struct env *env, void *context)
{
    struct run *run = context;
    int64_t now_ns = real_now_ns(NULL);
    history_note(run->history, now_ns);
    levels_look(run->levels, now_ns);
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
    const struct sets *sets = &run->options.sets;
    err e = definition_load(run->definition->plan.file, sets->list, sets->count,
                            run->runtime, &next, &errors);
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

/* ---- counts ---- */

static void read_figures(void *context, unsigned component, struct figures *out)
{
    const struct run *run = context;
    figures_read(run->topology, component, real_node(run->real), out);
}

static void read_latency(void *context, unsigned component,
                         struct histogram_view *out)
{
    const struct run *run = context;
    metric_view(node_metrics(real_node(run->real)),
                topology_metrics(run->topology, component)->latency, out);
}

static err open_history(struct run *run)
{
    struct history_source source = {.components = run->definition->plan.count,
                                    .figures = read_figures,
                                    .latency = read_latency,
                                    .context = run};
    run->history = history_new(&source, run->began_ns);
    return run->history ? OK : ERR_NOMEM;
}

/* ---- the door ---- */

/* A run without a door does its work all the same. */
static void make_place(struct run *run)
{
    char why[512];
    if (place_make(&run->place, &run->door_fd, why, sizeof why) == OK) return;
    run->door_fd = -1;
    if (!run->options.quiet)
        tell(run, LOG_WARN,
             "engine: this run has no door for engine ps, stats and stop: %s",
             why);
}

static err open_door(struct run *run)
{
    if (run->door_fd < 0) return OK;
    run->control = (struct control){
        .id = run->place.id,
        .plan = &run->definition->plan,
        .topology = run->topology,
        .world = node_world(real_node(run->real)),
        .history = run->history,
        .levels = run->levels,
        .threads = run->options.threads,
        .began_ns = run->began_ns,
        .watching = run->options.watch,
        .drain_ns = run->options.drain_ns,
        .drain = on_asked_to_drain,
        .activate = on_asked_to_activate,
        .context = run,
    };
    char address[32];
    snprintf(address, sizeof address, "fd:%d", run->door_fd);
    struct door_config config = {.address = address,
                                 .answer = requests_answer,
                                 .context = &run->control,
                                 .too_many = REQUESTS_TOO_MANY,
                                 .too_long = REQUESTS_TOO_LONG};
    run->door_fd = -1;
    return door_open(node_world(real_node(run->real))->net, &config,
                     &run->door);
}

/* ---- the run ---- */

static uint64_t wall_ms(void *unused)
{
    return (uint64_t)(real_wall_ns(NULL) / 1000000);
}

static struct log *open_log(const struct run *run)
{
    struct log_config config = {
        .format = run->options.json_log ? LOG_JSON : LOG_TEXT,
        .level = LOG_INFO,
        .color = isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL,
        .local_time = true,
        .erase = run->live ? REPORT_ERASE : NULL,
        .now_ms = wall_ms,
        .fd = STDERR_FILENO,
    };
    return log_new(&config);
}

/* What components say is held back by level while they run. What the run says
 * of itself, before, meanwhile and at its end, never is. */
static void set_levels(const struct run *run)
{
    levels_apply(run->levels);
    log_set_level(run->log, OWN_NAME, LOG_INFO);
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
    const struct sets *sets = &run->options.sets;
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    err e = definition_load(path, sets->list, sets->count, run->runtime,
                            &run->definition, errors);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return e;
}

static void wait_for_end(struct run *run)
{
    struct report *report = run->live ? report_new() : NULL;
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

static err watch_it(struct run *run)
{
    if (!run->options.watch) return OK;
    run->watch = watch_new(run->definition->bundle, on_change, run);
    return run->watch ? watch_start(run->watch, real_loop(run->real))
                      : ERR_NOMEM;
}

static err set_timers(struct run *run)
{
    struct loop *loop = real_loop(run->real);
    err e = loop_timer(loop, 1000000000, true, on_second, run);
    if (e != OK || run->options.for_ns == 0) return e;
    return loop_timer(loop, run->options.for_ns, false, on_time_over, run);
}

static err start_topology(struct run *run)
{
    struct topology_config config = {.plan = &run->definition->plan,
                                     .ackers = run->options.threads,
                                     .ended = on_ended,
                                     .context = run};
    run->env = node_outside(real_node(run->real));
    if (run->env == NULL) return ERR_NOMEM;
    err e = topology_start(run->env, &config, &run->topology);
    if (e == OK) run->root = topology_actor(run->topology);
    return e;
}

static int start(struct run *run, int signals)
{
    struct thread_hooks hooks = lua_runtime_hooks(run->runtime);
    run->real = real_new(run->options.threads, (uint64_t)real_wall_ns(NULL),
                         run->log, &hooks);
    err e = run->real ? OK : ERR_NOMEM;
    if (e == OK) e = loop_watch(real_loop(run->real), signals, on_signal, run);
    if (e == OK) e = watch_it(run);
    if (e == OK) e = start_topology(run);
    if (e == OK) e = open_history(run);
    if (e == OK) e = set_timers(run);
    if (e == OK) e = open_door(run);
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
    door_close(run->door);
    if (run->door_fd >= 0) close(run->door_fd);
    place_remove(&run->place);
    history_free(run->history);
    node_outside_free(run->env);
    real_free(run->real);
    topology_free(run->topology);
    watch_free(run->watch);
    levels_free(run->levels);
    definition_free(run->definition);
    lua_runtime_free(run->runtime);
    log_free(run->log);
    if (signals >= 0) close(signals);
}

/* ---- its end ---- */

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

/* Takes the reference to the statistics. */
static void print_object(const struct run *run, json_t *statistics, int code)
{
    const struct plan *plan = &run->definition->plan;
    const struct topology_end *end = &run->end;
    json_t *json = json_pack(
        "{s:s, s:o, s:o, s:s, s:i, s:I, s:I}", "run", run->place.id, "topology",
        json_text(plan->name), "file", json_text(plan->file), "ended",
        end->why == OK            ? "by itself"
        : end->why == ERR_STOPPED ? "drained"
                                  : "failed",
        "exit", code, "unsettled", (json_int_t)end->unsettled, "gave_up",
        (json_int_t)end->gave_up);
    if (json && statistics) json_object_update(json, statistics);
    if (!json_line(json, stderr))
        tell(run, LOG_ERROR, "engine: there is no memory for the statistics");
    json_decref(json);
    json_decref(statistics);
}

static struct log *json_log(const struct run *run)
{
    return run->options.json_log ? run->log : NULL;
}

/* The end, whatever the log's levels are; gives the exit code. */
static int report(const struct run *run)
{
    json_t *statistics = statistics_json(&run->definition->plan, run->history,
                                         WINDOW_ALL, real_now_ns(NULL));
    levels_lift(run->levels);
    if (!run->options.quiet && !run->options.json)
        report_end(statistics, json_log(run));
    int code = exit_code(run);
    if (run->options.json)
        print_object(run, statistics, code);
    else
        json_decref(statistics);
    set_levels(run);
    return code;
}

/* Between the definition and its run. */
static int prepare(struct run *run)
{
    const struct plan *plan = &run->definition->plan;
    run->levels = levels_new(plan, run->log, run->options.level);
    if (run->levels == NULL) {
        tell(run, LOG_ERROR, "engine: can't start: out of memory");
        return EXIT_FAILED;
    }
    if (!take_levels(run)) return EXIT_USAGE;
    make_place(run);
    if (run->options.quiet) return EXIT_WELL;
    struct report_head head = {plan, run->options.threads, run->options.watch,
                               run->place.id};
    report_start(&head, json_log(run));
    advice_give(plan, run->options.threads, tell_advice, run);
    return EXIT_WELL;
}

static int go(struct run *run, int signals)
{
    set_levels(run);
    run->began_ns = real_now_ns(NULL);
    int code = start(run, signals);
    if (code != EXIT_WELL) return code;
    wait_for_end(run);
    real_stop(run->real);
    return report(run);
}

static int run_file(struct run *run, const char *path)
{
    char *errors = NULL;
    int signals = open_signals(), code;
    run->log = open_log(run);
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
        code = verb_load_code(e);
    } else {
        code = prepare(run);
        if (code == EXIT_WELL) code = go(run, signals);
    }
    clean_up(run, signals);
    return code;
}

static int run_run(const struct verb *verb, int argc, char **argv)
{
    struct run run = {
        .door_fd = -1,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .wake = PTHREAD_COND_INITIALIZER,
    };
    int code = run_options_parse(verb, &argc, argv, &run.options);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (argc > 2) {
        verb_say("run takes one definition file, not %d: start engine once for "
                 "each",
                 argc - 1);
        return EXIT_USAGE;
    }
    if (argc != 2 || argv[1][0] == '\0') {
        verb_say("run takes one definition file: engine run FILE");
        return EXIT_USAGE;
    }
    run.live = !run.options.quiet && !run.options.json_log && report_is_live();
    return run_file(&run, argv[1]);
}

const struct verb run_verb = {
    .name = "run",
    .arguments = "FILE",
    .help = "run a topology until its input ends, or Ctrl-C",
    .example = "engine run topologies/word_count.lua --set input=book.txt",
    .options = run_options_table,
    .run = run_run,
};
