#include "cli/requests.h"
#include "actors/stream/faults.h"
#include "cli/argument.h"
#include "cli/statistics.h"
#include "cli/verb.h"
#include "core/nearest.h"
#include "core/node.h"
#include "core/units.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 4 };

enum argument_type { TEXT, COUNT, DURATION, LIST };

struct request_argument {
    const char *name;
    enum argument_type type;
    const char *help;
};

/* One that is being answered. */
struct asked {
    struct control *control;
    struct env *env;
    json_t *arguments; /* borrowed */
    int64_t now_ns;
    char why[512]; /* it is refused; "": it isn't */
    bool busy;     /* the request is right; the run can't do it now */
};

struct request {
    const char *name;
    const char *help;
    struct request_argument arguments[ARGUMENTS_MAX + 1];
    /* The answer without its "ok". NULL: asked->why says it, or there is no
     * memory. */
    json_t *(*handle)(struct asked *asked);
};

static json_t *refuse(struct asked *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static json_t *refuse(struct asked *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(a->why, sizeof a->why, format, args);
    va_end(args);
    return NULL;
}

/* ---- arguments; their types have been checked ---- */

static const char *text_of(const struct asked *a, const char *name)
{
    return json_string_value(json_object_get(a->arguments, name));
}

static bool duration_of(const json_t *json, int64_t *ns)
{
    if (json_is_string(json))
        return units_duration(json_string_value(json), ns);
    return json_is_number(json) && units_seconds(json_number_value(json), ns);
}

/* False: it isn't given. */
static bool take_duration(const struct asked *a, const char *name, int64_t *ns)
{
    const json_t *json = json_object_get(a->arguments, name);
    return json && duration_of(json, ns);
}

static bool fits(const json_t *json, enum argument_type type)
{
    int64_t ns;
    switch (type) {
    case TEXT: return json_is_string(json);
    case COUNT: return json_is_integer(json) && json_integer_value(json) >= 0;
    case DURATION: return duration_of(json, &ns);
    case LIST: return json_is_array(json) && json_array_size(json) > 0;
    default: return false;
    }
}

static bool check_argument(struct asked *a, const struct request *request,
                           const char *name, const json_t *value)
{
    static const char *const wanted[] = {[TEXT] = "a text",
                                         [COUNT] = "a whole number from 0 on",
                                         [DURATION] =
                                             "seconds, or a time like \"10s\"",
                                         [LIST] = "a list of one or more"};
    struct nearest near;
    nearest_begin(&near, name);
    for (const struct request_argument *g = request->arguments; g->name; g++) {
        if (strcmp(g->name, name) == 0) {
            if (fits(value, g->type)) return true;
            refuse(a, "'%s' of %s is wrong; give %s", name, request->name,
                   wanted[g->type]);
            return false;
        }
        nearest_try(&near, g->name);
    }
    if (near.best[0])
        refuse(a, "'%.64s' is no argument of %s; did you mean '%s'?", name,
               request->name, near.best);
    else
        refuse(a, "'%.64s' is no argument of %s; \"help\" lists them", name,
               request->name);
    return false;
}

static bool check_arguments(struct asked *a, const struct request *request)
{
    const char *name;
    json_t *value;
    json_object_foreach(a->arguments, name, value)
    {
        if (strcmp(name, "verb") != 0 &&
            !check_argument(a, request, name, value))
            return false;
    }
    return true;
}

/* ---- status ---- */

static const char *state_of(const struct control *c)
{
    if (c->draining) return "draining";
    return topology_is_active(c->topology) ? "running" : "inactive";
}

/* What all spouts together gave and settled. */
static json_t *status_totals(const struct asked *a)
{
    const struct control *c = a->control;
    uint64_t acked = 0, failed = 0, gave_up = 0;
    double per_second = 0;
    for (unsigned i = 0; i < c->plan->count; i++) {
        struct history_window all, lately;
        history_window(c->history, WINDOW_ALL, i, a->now_ns, &all);
        history_window(c->history, WINDOW_10S, i, a->now_ns, &lately);
        acked += all.figures.n[FIGURE_ACKED];
        failed += all.figures.n[FIGURE_FAILED];
        gave_up += all.figures.n[FIGURE_GAVE_UP];
        if (lately.seconds > 0)
            per_second += (double)lately.figures.n[FIGURE_OUT] / lately.seconds;
    }
    return json_pack("{s:f, s:I, s:I, s:I}", "per_second", per_second, "acked",
                     (json_int_t)acked, "failed", (json_int_t)failed, "gave_up",
                     (json_int_t)gave_up);
}

static json_t *handle_status(struct asked *a)
{
    const struct control *c = a->control;
    const struct plan *plan = c->plan;
    json_t *totals = status_totals(a);
    json_t *json = json_pack(
        "{s:s, s:o, s:o, s:I, s:s, s:s, s:b, s:f, s:i, s:i, s:i, s:s, s:f}",
        "run", c->id, "topology", json_text(plan->name), "file",
        json_text(plan->file), "pid", (json_int_t)getpid(), "version",
        ENGINE_VERSION, "state", state_of(c), "watching", c->watching, "uptime",
        (double)(a->now_ns - c->began_ns) / 1e9, "threads", (int)c->threads,
        "components", (int)plan->count, "tasks", (int)plan->tasks, "guarantee",
        guarantee_name(plan->guarantee), "drain", (double)c->drain_ns / 1e9);
    if (json == NULL || totals == NULL || json_object_update(json, totals)) {
        json_decref(json);
        json = NULL;
    }
    json_decref(totals);
    return json;
}

/* ---- statistics ---- */

static json_t *handle_statistics(struct asked *a)
{
    const struct control *c = a->control;
    const char *over = text_of(a, "over");
    enum window only = WINDOWS;
    if (over && window_named(over, &only) != OK)
        return refuse(a,
                      "there is no window '%.64s'; give 10s, 1m, 10m, 1h "
                      "or all",
                      over);
    json_t *windows = json_array();
    for (int w = 0; windows && w < WINDOWS; w++) {
        if (over && w != (int)only) continue;
        json_t *one =
            statistics_json(c->plan, c->history, (enum window)w, a->now_ns);
        if (json_array_append_new(windows, one) != 0) {
            json_decref(windows);
            windows = NULL;
        }
    }
    return windows ? json_pack("{s:s, s:o, s:o}", "run", c->id, "topology",
                               json_text(c->plan->name), "windows", windows)
                   : NULL;
}

/* ---- errors ---- */

static json_t *fault_json(const struct fault *f)
{
    return json_pack("{s:o, s:i, s:I, s:I, s:I, s:o}", "component",
                     json_text(f->component), "task", (int)f->index, "first",
                     (json_int_t)f->first_ms, "last", (json_int_t)f->last_ms,
                     "times", (json_int_t)f->times, "text", json_text(f->text));
}

static json_t *handle_errors(struct asked *a)
{
    struct faults *faults = topology_faults(a->control->topology);
    const json_t *last = json_object_get(a->arguments, "last");
    json_int_t most = last ? json_integer_value(last) : FAULTS_KEPT;
    json_t *list = json_array();
    struct fault f;
    for (unsigned i = 0; list && i < most && faults_read(faults, i, &f); i++)
        if (json_array_append_new(list, fault_json(&f)) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list ? json_pack("{s:o}", "errors", list) : NULL;
}

/* ---- log ---- */

static json_t *levels_json(const struct asked *a)
{
    const struct levels *levels = a->control->levels;
    json_t *list = json_array();
    struct level_view v;
    for (unsigned i = 0; list && levels_read(levels, i, a->now_ns, &v); i++) {
        json_t *one = json_pack("{s:s, s:s}", "component", v.component, "level",
                                log_level_name(v.level));
        if (one && v.left_ns > 0)
            json_object_set_new(one, "left",
                                json_real((double)v.left_ns / 1e9));
        if (json_array_append_new(list, one) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list ? json_pack("{s:s, s:o}", "common",
                            log_level_name(levels_common(levels)), "levels",
                            list)
                : NULL;
}

/* What one component is to log from now on. */
struct wish {
    const char *component; /* borrowed */
    enum log_level level;
    int64_t limit_ns; /* 0: for good */
};

/* False: it is refused. */
static bool check_wish(struct asked *a, const struct wish *w)
{
    struct nearest near;
    if (levels_knows(a->control->levels, w->component, &near)) return true;
    refuse(a, "%s has no component '%.64s'%s%s%s", a->control->plan->file,
           w->component, near.best[0] ? "; did you mean '" : "", near.best,
           near.best[0] ? "'?" : "");
    return false;
}

/* The arguments of log, or one of its list. False: it is refused. */
static bool take_wish(struct asked *a, const json_t *of, struct wish *w)
{
    const char *level = json_string_value(json_object_get(of, "level"));
    const json_t *limit = json_object_get(of, "for");
    w->component = json_string_value(json_object_get(of, "component"));
    w->limit_ns = 0;
    if (!w->component || !level)
        refuse(a, "log needs a component and a level, or neither");
    else if (log_level_named(level, &w->level) != OK)
        refuse(a,
               "there is no level '%.64s'; give trace, debug, info, "
               "warn, error or off",
               level);
    else if (limit && !duration_of(limit, &w->limit_ns))
        refuse(a, "'for' of log is wrong; give seconds, or a time like "
                  "\"10s\"");
    else if (limit && w->limit_ns == 0)
        refuse(a, "'for' is 0; leave it out for good");
    else
        return check_wish(a, w);
    return false;
}

static bool grant(const struct asked *a, const struct wish *w)
{
    return levels_set(a->control->levels, w->component, w->level, a->now_ns,
                      w->limit_ns) == OK;
}

/* One of the list of log. False: it is refused. */
static bool check_level(struct asked *a, json_t *one)
{
    struct wish wish;
    const char *name;
    json_t *value;
    if (!json_is_object(one)) {
        refuse(a, "a level is an object like {\"component\":\"split\","
                  "\"level\":\"debug\"}");
        return false;
    }
    json_object_foreach(one, name, value)
    {
        if (strcmp(name, "component") == 0 || strcmp(name, "level") == 0 ||
            strcmp(name, "for") == 0)
            continue;
        refuse(a, "'%.64s' is nothing of a level; give component, level, for",
               name);
        return false;
    }
    return take_wish(a, one, &wish);
}

/* All of them, or none when one is wrong. */
static json_t *set_levels(struct asked *a, const json_t *list)
{
    struct wish wish;
    size_t i;
    json_t *one;
    if (json_object_size(a->arguments) > 2)
        return refuse(a, "log takes levels, or a component and its level");
    json_array_foreach(list, i, one)
    {
        if (!check_level(a, one)) return NULL;
    }
    json_array_foreach(list, i, one)
    {
        if (!take_wish(a, one, &wish) || !grant(a, &wish)) return NULL;
    }
    return levels_json(a);
}

static json_t *handle_log(struct asked *a)
{
    const json_t *list = json_object_get(a->arguments, "levels");
    struct wish wish;
    if (list) return set_levels(a, list);
    if (json_object_size(a->arguments) == 1) return levels_json(a);
    return take_wish(a, a->arguments, &wish) && grant(a, &wish) ? levels_json(a)
                                                                : NULL;
}

/* ---- ends ---- */

static json_t *drain(struct asked *a, int64_t limit_ns)
{
    struct control *c = a->control;
    if (!c->drain(a->env, c->context, limit_ns)) return NULL;
    c->draining = true;
    return json_pack("{s:f}", "limit", (double)limit_ns / 1e9);
}

static json_t *handle_drain(struct asked *a)
{
    int64_t limit_ns = a->control->drain_ns;
    take_duration(a, "limit", &limit_ns);
    return drain(a, limit_ns);
}

static json_t *handle_stop(struct asked *a)
{
    return drain(a, 0);
}

/* ---- activation ---- */

static json_t *activate(struct asked *a, bool active)
{
    struct control *c = a->control;
    a->busy = c->draining;
    if (c->draining)
        return refuse(a, "the run is draining; it can't be %sactivated",
                      active ? "" : "de");
    if (!c->activate(a->env, c->context, active)) return NULL;
    return json_pack("{s:b}", "active", active);
}

static json_t *handle_activate(struct asked *a)
{
    return activate(a, true);
}

static json_t *handle_deactivate(struct asked *a)
{
    return activate(a, false);
}

/* ---- the table ---- */

static json_t *handle_help(struct asked *a);

static const struct request requests[] = {
    {"help", "lists the requests", {{0}}, handle_help},
    {"status",
     "what runs, for how long, and how it goes",
     {{0}},
     handle_status},
    {"statistics",
     "counts, rates and latencies of the components",
     {{"over", TEXT, "10s, 1m, 10m, 1h or all; without it each of them"}},
     handle_statistics},
    {"errors",
     "what went wrong lately, the newest first",
     {{"last", COUNT, "how many"}},
     handle_errors},
    {"log",
     "the level of a component; without arguments those that are set",
     {{"component", TEXT, "its name"},
      {"level", TEXT, "trace, debug, info, warn, error or off"},
      {"for", DURATION, "then it falls back; without it never"},
      {"levels", LIST, "of several: objects of these three"}},
     handle_log},
    {"drain",
     "ends the sources, lets finish what is under way, ends",
     {{"limit", DURATION, "for what is under way; without it the run's own"}},
     handle_drain},
    {"stop", "ends at once", {{0}}, handle_stop},
    {"activate", "spouts emit (again)", {{0}}, handle_activate},
    {"deactivate",
     "spouts emit nothing new; what is under way goes on",
     {{0}},
     handle_deactivate},
};
enum { REQUESTS = sizeof requests / sizeof requests[0] };

static json_t *handle_help(struct asked *a)
{
    json_t *list = json_array();
    for (int i = 0; list && i < REQUESTS; i++) {
        const struct request *r = &requests[i];
        json_t *arguments = json_object();
        for (const struct request_argument *g = r->arguments; g->name; g++)
            json_object_set_new(arguments, g->name, json_string(g->help));
        if (json_array_append_new(
                list, json_pack("{s:s, s:s, s:o}", "verb", r->name, "help",
                                r->help, "arguments", arguments)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list ? json_pack("{s:o}", "requests", list) : NULL;
}

static const struct request *find_request(struct asked *a, const char *name)
{
    struct nearest near;
    nearest_begin(&near, name);
    for (int i = 0; i < REQUESTS; i++) {
        if (strcmp(requests[i].name, name) == 0) return &requests[i];
        nearest_try(&near, requests[i].name);
    }
    if (near.best[0])
        refuse(a, "there is no request '%.64s'; did you mean '%s'?", name,
               near.best);
    else
        refuse(a, "there is no request '%.64s'; \"help\" lists them", name);
    return NULL;
}

static json_t *handle(struct asked *a)
{
    if (!json_is_object(a->arguments))
        return refuse(a, "a request is an object like {\"verb\":\"status\"}");
    const char *name = text_of(a, "verb");
    if (name == NULL)
        return refuse(
            a, "the request has no \"verb\"; give {\"verb\":\"status\"}");
    const struct request *request = find_request(a, name);
    if (request == NULL || !check_arguments(a, request)) return NULL;
    return request->handle(a);
}

static json_t *read_request(struct asked *a, const char *line, size_t bytes)
{
    json_error_t error;
    json_t *json = json_loadb(line, bytes,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json == NULL)
        refuse(a, "it is no JSON: %s, at byte %d", error.text, error.position);
    return json;
}

/* "ok" comes first. */
static json_t *with_ok(json_t *body)
{
    json_t *json = json_pack("{s:b}", "ok", 1);
    if (json && json_object_update(json, body) == 0) {
        json_decref(body);
        return json;
    }
    json_decref(json);
    json_decref(body);
    return NULL;
}

err requests_answer(struct env *env, void *control, const char *line,
                    size_t bytes, struct buffer *answer)
{
    struct control *c = control;
    struct asked a = {.control = c,
                      .env = env,
                      .now_ns = c->world->now_ns(c->world->context)};
    json_t *request = read_request(&a, line, bytes), *json = NULL;
    a.arguments = request;
    if (request) json = handle(&a);
    json_decref(request);
    if (json)
        json = with_ok(json);
    else
        json = json_pack("{s:b, s:o}", "ok", 0, "error",
                         json_text(a.why[0] ? a.why : "out of memory"));
    if (json && a.why[0] && !a.busy &&
        json_is_false(json_object_get(json, "ok")))
        json_object_set_new(json, "usage", json_true());
    size_t before = answer->used;
    err e = json_append(json, answer);
    if (e != OK) answer->used = before;
    json_decref(json);
    return e;
}
