#define _GNU_SOURCE
#include "cli/running.h"
#include "actors/stream/component.h"
#include "cli/advice.h"
#include "cli/host.h"
#include "cli/report.h"
#include "cli/statistics.h"
#include "cli/watch.h"
#include "core/alloc.h"
#include "core/door.h"
#include "core/real.h"
#include "lua/component.h"
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

const char *running_name(const struct running *r)
{
    return r->definition->plan.name;
}

bool running_reads_stdin(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->count; i++)
        if (strcmp(plan->components[i].class->name, "stdin") == 0) return true;
    return false;
}

/* ---- what a person is told ---- */

/* "engine: " before it, and the topology's name where there are several: a log
 * in JSON has that as a member. Any thread. */
__attribute__((format(printf, 4, 5))) static void say(const struct running *r,
                                                      enum log_level level,
                                                      const char *before,
                                                      const char *format, ...)
{
    const struct host *host = r->host;
    bool several = host->count > 1 && r->definition;
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (host->options.json_log && r->log) {
        char line[sizeof text + 16];
        int bytes = snprintf(line, sizeof line, "%s%s", before, text);
        log_text(r->log, HOST_NAME, -1, level, 0, line, (size_t)bytes, NULL);
    } else {
        host_tell(host, level, "%s%s%s%s", before,
                  several ? running_name(r) : "", several ? ": " : "", text);
    }
}
#define TELL(r, ...)     say(r, LOG_INFO, "", __VA_ARGS__)
#define COMPLAIN(r, ...) say(r, LOG_ERROR, "engine: ", __VA_ARGS__)

/* Files' places begin with their paths: no name before these. */
static void tell_advice(void *context, const struct advice *advice)
{
    const struct running *r = context;
    host_tell(r->host, LOG_WARN, "%s:%d: warning: %s", r->definition->plan.file,
              advice->component->line, advice->text);
}

static void tell_refused(const struct running *r, const char *why)
{
    say(r, LOG_ERROR, "", "reload refused: %s%s", why,
        r->host->options.json_log ? "; the old code goes on"
                                  : "\n  the old code goes on");
}

/* ---- from other threads ---- */

static void on_ended(void *context, const struct topology_end *end)
{
    struct running *r = context;
    pthread_mutex_lock(&r->host->lock);
    r->end = *end;
    r->ended = true;
    pthread_cond_signal(&r->host->wake);
    pthread_mutex_unlock(&r->host->lock);
}

static void on_change(void *context)
{
    struct running *r = context;
    pthread_mutex_lock(&r->host->lock);
    r->changed = true;
    pthread_cond_signal(&r->host->wake);
    pthread_mutex_unlock(&r->host->lock);
}

void running_drain(struct running *r)
{
    uint64_t one = 1;
    ssize_t wrote = write(r->told, &one, sizeof one);
    (void)wrote; /* it can't be full: the second signal ends the process */
}

/* All below on its I/O thread. */

static bool drain(struct env *env, struct running *r, int64_t limit_ns)
{
    r->control.draining = true;
    return actor_send(env, r->root, TOPOLOGY_DRAIN, &limit_ns,
                      sizeof limit_ns) == OK;
}

static void on_told(struct env *env, int fd, void *context)
{
    struct running *r = context;
    uint64_t times;
    if (read(fd, &times, sizeof times) == (ssize_t)sizeof times)
        drain(env, r, r->host->options.drain_ns);
}

static bool on_asked_to_drain(struct env *env, void *context, int64_t limit_ns)
{
    struct running *r = context;
    if (!r->host->options.quiet) TELL(r, "draining: asked at the door");
    return drain(env, r, limit_ns);
}

static bool on_asked_to_activate(struct env *env, void *context, bool active)
{
    const struct running *r = context;
    if (!r->host->options.quiet)
        TELL(r, "%sactivated: asked at the door", active ? "" : "de");
    return actor_send(env, r->root,
                      active ? TOPOLOGY_ACTIVATE : TOPOLOGY_DEACTIVATE, NULL,
                      0) == OK;
}

static void on_time_over(struct env *env, void *context)
{
    struct running *r = context;
    if (!r->host->options.quiet) TELL(r, "draining: --for is over");
    drain(env, r, r->host->options.drain_ns);
}

static void on_second(struct env *env, void *context)
{
    struct running *r = context;
    int64_t now_ns = real_now_ns(NULL);
    history_note(r->history, now_ns);
    levels_look(r->levels, now_ns);
}

/* ---- its definition ---- */

static err load(const struct running *r, const char *path,
                struct definition **out, struct bundle **tried, char **errors)
{
    const struct sets *sets = &r->host->options.sets;
    return definition_load_some(path, sets->list, sets->count, r->known,
                                r->runtime, out, tried, errors);
}

int running_load(struct running *r, const char *path)
{
    const struct host *host = r->host;
    char *errors = NULL;
    bool several = host->count > 1;
    if (several) r->known = mem_zero(SETS_MAX, sizeof *r->known);
    if ((several && r->known == NULL) ||
        lua_runtime_new(&r->runtime, host->options.threads) != OK) {
        verb_say("can't start: out of memory or threads; give it fewer "
                 "--threads, or more of what ulimit -a shows");
        return EXIT_FAILED;
    }
    host_mind_signals(false);
    err e = load(r, path, &r->definition, NULL, &errors);
    host_mind_signals(true);
    if (e != OK) {
        host_tell_lines(host, errors ? errors : err_text(e));
        mem_free(errors);
        return verb_load_code(e);
    }
    r->log = host_log(host, several ? running_name(r) : NULL);
    if (r->log) return EXIT_WELL;
    verb_say("can't start: out of memory");
    return EXIT_FAILED;
}

/* ---- reload ---- */

static void on_reloaded(struct code *code, bool taken, const char *error)
{
    const struct running *r = code->context;
    if (taken)
        TELL(r, "reload: the new code runs");
    else
        tell_refused(r, error);
}

/* On its way to all tasks; on_reloaded() says how that went. */
static void send_code(struct running *r, struct bundle *bundle)
{
    struct code *code = lua_code_new(bundle, on_reloaded);
    struct msg *m = code ? msg_new(r->env, TOPOLOGY_RELOAD, sizeof code) : NULL;
    if (m == NULL) {
        tell_refused(r, "out of memory");
        if (code) ref_drop(r->env, &code->ref);
        return;
    }
    code->context = r;
    memcpy(msg_body(m), &code, sizeof code);
    m->flags = MSG_REF;
    m->from = 0;
    actor_post(r->env, r->root, m);
}

void running_reload(struct running *r)
{
    struct definition *next;
    struct bundle *tried;
    char *errors, why[256];
    watch_settle(r->watch);
    err e = load(r, r->definition->plan.file, &next, &tried, &errors);
    if (tried && e == OK) watch_files(r->watch, tried);
    if (tried && e != OK) watch_more(r->watch, tried);
    if (tried) ref_drop(NULL, &tried->ref);
    if (e != OK) {
        tell_refused(r, errors ? errors : err_text(e));
        mem_free(errors);
        return;
    }
    if (definition_same_graph(r->definition, next, why, sizeof why)) {
        send_code(r, next->bundle);
    } else {
        char sentence[2048];
        snprintf(sentence, sizeof sentence,
                 "%s: %s; start engine anew for that", next->plan.file, why);
        tell_refused(r, sentence);
    }
    definition_free(next); /* the code has a reference to its bundle */
}

/* ---- counts ---- */

static void read_figures(void *context, unsigned component, struct figures *out)
{
    const struct running *r = context;
    figures_read(r->topology, component, real_node(r->real), out);
}

static void read_latency(void *context, unsigned component,
                         struct histogram_view *out)
{
    const struct running *r = context;
    metric_view(node_metrics(real_node(r->real)),
                topology_metrics(r->topology, component)->latency, out);
}

static uint64_t read_pending_limit(void *context, unsigned component)
{
    const struct running *r = context;
    return topology_pending_limit(r->topology, component,
                                  node_metrics(real_node(r->real)));
}

static err open_history(struct running *r)
{
    struct history_source source = {.components = r->definition->plan.count,
                                    .figures = read_figures,
                                    .latency = read_latency,
                                    .pending_limit = read_pending_limit,
                                    .context = r};
    r->history = history_new(&source, r->began_ns);
    return r->history ? OK : ERR_NOMEM;
}

void running_report(struct running *r, char *text)
{
    report_part(r->report, &r->definition->plan, r->topology,
                real_node(r->real), r->host->count > 1, text);
}

/* ---- the door ---- */

/* A run without a door does its work all the same. */
static void make_place(struct running *r)
{
    char why[512];
    if (place_make(&r->place, &r->door_fd, why, sizeof why) == OK) return;
    r->door_fd = -1;
    if (!r->host->options.quiet)
        say(r, LOG_WARN, "engine: ",
            "this run has no door for engine ps, stats and stop: %s", why);
}

static err open_door(struct running *r)
{
    const struct run_options *o = &r->host->options;
    if (r->door_fd < 0) return OK;
    r->control = (struct control){
        .id = r->place.id,
        .plan = &r->definition->plan,
        .topology = r->topology,
        .world = node_world(real_node(r->real)),
        .history = r->history,
        .levels = r->levels,
        .threads = o->threads,
        .began_ns = r->began_ns,
        .watching = o->watch,
        .drain_ns = o->drain_ns,
        .drain = on_asked_to_drain,
        .activate = on_asked_to_activate,
        .context = r,
    };
    char address[32];
    snprintf(address, sizeof address, "fd:%d", r->door_fd);
    struct door_config config = {.address = address,
                                 .answer = requests_answer,
                                 .context = &r->control,
                                 .too_many = REQUESTS_TOO_MANY,
                                 .too_long = REQUESTS_TOO_LONG};
    r->door_fd = -1;
    return door_open(node_world(real_node(r->real))->net, &config, &r->door);
}

/* ---- its beginning ---- */

static struct log *json_log(const struct running *r)
{
    return r->host->options.json_log ? r->log : NULL;
}

/* What components say is held back by level while they run. What the run says
 * of itself, before, meanwhile and at its end, never is. */
static void set_levels(const struct running *r)
{
    levels_apply(r->levels);
    log_set_level(r->log, HOST_NAME, LOG_INFO);
}

int running_make_levels(struct running *r)
{
    r->levels =
        levels_new(&r->definition->plan, r->log, r->host->options.level);
    r->report = report_new();
    if (r->levels && r->report) return EXIT_WELL;
    COMPLAIN(r, "can't start: out of memory");
    return EXIT_FAILED;
}

int running_read_data(struct running *r)
{
    struct host *host = r->host;
    int code = data_read(&host->data, &host->options, &r->definition->plan,
                         &r->checkpoint);
    r->finished = code == EXIT_WELL && r->checkpoint.ended;
    if (r->finished)
        code = data_reveal(&host->data, &host->options, &r->definition->plan);
    if (r->finished && code == EXIT_WELL)
        TELL(r,
             "%s has ended: checkpoint %llu in %s is its last; --fresh begins "
             "anew",
             running_name(r), (unsigned long long)r->checkpoint.number,
             host->options.data);
    return code;
}

void running_prepare(struct running *r)
{
    const struct run_options *o = &r->host->options;
    const struct plan *plan = &r->definition->plan;
    make_place(r);
    if (o->quiet) return;
    struct report_head head = {.plan = plan,
                               .threads = o->threads,
                               .watching = o->watch,
                               .id = r->place.id,
                               .survives = data_survives(&r->host->data),
                               .checkpoint = r->checkpoint.number};
    report_start(&head, json_log(r));
    advice_give(plan, o->threads, tell_advice, r);
}

static err watch_it(struct running *r)
{
    if (!r->host->options.watch) return OK;
    r->watch = watch_new(r->definition->bundle, on_change, r);
    return r->watch ? watch_start(r->watch, real_loop(r->real)) : ERR_NOMEM;
}

static err watch_signals(struct running *r)
{
    struct loop *loop = real_loop(r->real);
    r->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->told < 0) return ERR_LIMIT;
    err e = loop_watch(loop, r->told, on_told, r);
    return e == OK ? host_watch_signals(r->host, loop) : e;
}

static err set_timers(struct running *r)
{
    struct loop *loop = real_loop(r->real);
    int64_t for_ns = r->host->options.for_ns;
    err e = loop_timer(loop, 1000000000, true, on_second, r);
    if (e != OK || for_ns == 0) return e;
    return loop_timer(loop, for_ns, false, on_time_over, r);
}

static err start_topology(struct running *r)
{
    struct topology_config config = {.plan = &r->definition->plan,
                                     .store = r->host->data.store,
                                     .ackers = r->host->options.threads,
                                     .drain_ns = r->host->options.drain_ns,
                                     .ended = on_ended,
                                     .context = r};
    r->env = node_outside(real_node(r->real));
    if (r->env == NULL) return ERR_NOMEM;
    err e = topology_start(r->env, &config, &r->topology);
    if (e == OK) r->root = topology_actor(r->topology);
    return e;
}

static int started(struct running *r, err e)
{
    if (e == OK) return EXIT_WELL;
    COMPLAIN(r,
             "can't start: %s; give it fewer --threads, or more of what "
             "ulimit -a shows",
             err_text(e));
    return EXIT_FAILED;
}

int running_set_up(struct running *r)
{
    struct thread_hooks hooks = lua_runtime_hooks(r->runtime);
    set_levels(r);
    r->began_ns = real_now_ns(NULL);
    r->real = real_new(r->host->options.threads, (uint64_t)real_wall_ns(NULL),
                       r->log, &hooks);
    err e = r->real ? OK : ERR_NOMEM;
    if (e == OK) e = watch_signals(r);
    if (e == OK) e = watch_it(r);
    if (e == OK) e = start_topology(r);
    if (e == OK) e = open_history(r);
    if (e == OK) e = set_timers(r);
    if (e == OK) e = open_door(r);
    return started(r, e);
}

int running_start(struct running *r)
{
    err e = real_start(r->real);
    r->threads = e == OK;
    return started(r, e);
}

/* ---- its end ---- */

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static int exit_code(const struct running *r)
{
    const struct topology_end *end = &r->end;
    bool well = end->why == OK || end->why == ERR_STOPPED;
    if (end->why == ERR_CRASHED)
        COMPLAIN(r, "a component kept crashing; the run has ended");
    else if (!well)
        COMPLAIN(r, "the run has failed: %s", err_text(end->why));
    if (end->unsettled > 0)
        COMPLAIN(r, "%llu tuple%s still under way at the end%s",
                 (unsigned long long)end->unsettled,
                 end->unsettled == 1 ? " was" : "s were",
                 end->why == ERR_STOPPED ? " of the drain" : "");
    if (end->gave_up > 0)
        COMPLAIN(r, "%llu tuple%s failed for good",
                 (unsigned long long)end->gave_up, plural(end->gave_up));
    if (end->left_out > 0)
        COMPLAIN(r, "%llu part%s of the input %s left out; the log says why",
                 (unsigned long long)end->left_out, plural(end->left_out),
                 end->left_out == 1 ? "was" : "were");
    return well && !end->unsettled && !end->gave_up && !end->left_out
               ? EXIT_WELL
               : EXIT_FAILED;
}

/* Takes the reference to the statistics. */
static void print_object(const struct running *r, json_t *statistics, int code)
{
    const struct plan *plan = &r->definition->plan;
    const struct topology_end *end = &r->end;
    json_t *json = json_pack(
        "{s:s, s:o, s:o, s:s, s:i, s:I, s:I}", "run", r->place.id, "topology",
        json_text(plan->name), "file", json_text(plan->file), "ended",
        end->why == OK            ? "by itself"
        : end->why == ERR_STOPPED ? "drained"
                                  : "failed",
        "exit", code, "unsettled", (json_int_t)end->unsettled, "gave_up",
        (json_int_t)end->gave_up);
    if (json && statistics) json_object_update(json, statistics);
    if (!json_line(json, stderr))
        COMPLAIN(r, "there is no memory for the statistics");
    json_decref(json);
    json_decref(statistics);
}

/* The end, whatever the log's levels are; gives the exit code. */
static int tell_end(const struct running *r)
{
    const struct run_options *o = &r->host->options;
    json_t *statistics = statistics_json(&r->definition->plan, r->history,
                                         WINDOW_ALL, real_now_ns(NULL));
    levels_lift(r->levels);
    if (r->host->live) report_erase();
    if (!o->quiet && !o->json)
        report_end(statistics, r->host->count > 1 ? running_name(r) : NULL,
                   json_log(r));
    int code = exit_code(r);
    if (o->json)
        print_object(r, statistics, code);
    else
        json_decref(statistics);
    set_levels(r);
    return code;
}

/* Nobody is answered any more. */
static void shut_door(struct running *r)
{
    door_close(r->door);
    r->door = NULL;
}

/* Nobody finds it any more. */
static void leave(struct running *r)
{
    shut_door(r);
    if (r->door_fd >= 0) close(r->door_fd);
    r->door_fd = -1;
    pthread_mutex_lock(&r->host->lock);
    place_remove(&r->place);
    pthread_mutex_unlock(&r->host->lock);
}

/* Others may go on for long: what takes memory is freed now. */
static void dismantle(struct running *r)
{
    leave(r);
    history_free(r->history);
    node_outside_free(r->env);
    real_free(r->real);
    topology_free(r->topology);
    watch_free(r->watch);
    mem_free(r->report);
    levels_free(r->levels);
    lua_runtime_free(r->runtime);
    log_free(r->log); /* says what it held back, with the topology's name */
    r->history = NULL;
    r->env = NULL;
    r->real = NULL;
    r->topology = NULL;
    r->watch = NULL;
    r->report = NULL;
    r->levels = NULL;
    r->runtime = NULL;
    r->log = NULL;
}

void running_finish(struct running *r)
{
    running_abandon(r);
    shut_door(r); /* the report may wait for who reads it */
    r->code = tell_end(r);
    r->finished = true;
    dismantle(r);
}

/* ---- life ---- */

void running_init(struct running *r, struct host *host)
{
    *r = (struct running){.host = host, .door_fd = -1, .told = -1};
}

void running_abandon(struct running *r)
{
    if (r->threads) real_stop(r->real);
    r->threads = false;
}

void running_fini(struct running *r)
{
    dismantle(r);
    if (r->told >= 0) close(r->told);
    definition_free(r->definition);
    mem_free(r->known);
}
