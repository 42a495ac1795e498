/* requests.c - any line at a run's door. The answer is one line of sound JSON
 * that says "ok" or why not. Build and run: ./build.sh fuzz */
#include "cli/requests.h"
#include "core/log.h"
#include "core/metric.h"
#include "core/node.h"
#include "lua/definition.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a run where nothing runs ---- */

static int64_t no_time(void *context)
{
    return 1;
}

static uint64_t no_wall_time(void *context)
{
    return 1;
}

static void not_ready(void *context, struct env *env, struct actor *actor)
{
}

static void no_alarm(void *context, struct node *node, int64_t at_ns)
{
}

static void no_end(void *context, const struct topology_end *end)
{
}

static void no_sink(void *context, enum log_level level, const char *line,
                    size_t bytes)
{
}

static bool drain(struct env *env, void *context, int64_t limit_ns)
{
    assert(limit_ns >= 0);
    return true;
}

static bool activate(struct env *env, void *context, bool active)
{
    return true;
}

static const struct world still = {
    .now_ns = no_time,
    .wall_ns = no_time,
    .ready = not_ready,
    .alarm = no_alarm,
};

/* A fuzz program has one run, for as long as it lives. */
static struct run {
    struct node *node;
    struct env *env;
    struct definition *definition;
    struct topology *topology;
    struct log *log;
    struct control control;
} run;

static void give_figures(void *context, unsigned component, struct figures *out)
{
    figures_read(run.topology, component, run.node, out);
}

static void give_latency(void *context, unsigned component,
                         struct histogram_view *out)
{
    metric_view(node_metrics(run.node),
                topology_metrics(run.topology, component)->latency, out);
}

static const char text[] = "return topology 'asked' {\n"
                           "  spout 'in' { list { {1} }, fields = {'n'} },\n"
                           "  sink 'out' { from = shuffle 'in', null {} },\n"
                           "}\n";

/* An actor that was born and never ran is found by no search for leaks. */
static void end(void)
{
    history_free(run.control.history);
    levels_free(run.control.levels);
    node_outside_free(run.env);
    node_free(run.node);
    topology_free(run.topology);
    definition_free(run.definition);
    log_free(run.log);
}

static void start(void)
{
    char *errors;
    struct node_config config = {.threads = 1, .world = &still};
    run.node = node_new(&config);
    assert(run.node != NULL);
    run.env = node_outside(run.node);
    err e = definition_parse("t.lua", text, sizeof text - 1, NULL, 0, NULL,
                             &run.definition, &errors);
    assert(e == OK);
    struct topology_config topology = {
        .plan = &run.definition->plan, .ackers = 1, .ended = no_end};
    e = topology_start(run.env, &topology, &run.topology);
    assert(e == OK);
    struct history_source source = {
        .components = 2, .figures = give_figures, .latency = give_latency};
    struct log_config log = {
        .level = LOG_INFO, .now_ms = no_wall_time, .sink = no_sink};
    run.log = log_new(&log);
    run.control = (struct control){
        .id = "abcdefg",
        .plan = &run.definition->plan,
        .topology = run.topology,
        .world = &still,
        .history = history_new(&source, 0),
        .levels = levels_new(&run.definition->plan, run.log, LOG_INFO),
        .threads = 1,
        .drain = drain,
        .activate = activate};
    levels_apply(run.control.levels);
    atexit(end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct buffer answer, line;
    if (run.node == NULL) start();
    answer.used = line.used = 0;
    if (buffer_append(&line, data, size) != OK) return 0;
    if (buffer_append(&line, "", 1) != OK) return 0; /* as a door gives it */
    err e = requests_answer(run.env, &run.control, (const char *)line.data,
                            size, &answer);
    assert(e == OK);
    assert(memchr(answer.data, '\n', answer.used) == NULL);
    json_t *json = json_loadb((const char *)answer.data, answer.used,
                              JSON_REJECT_DUPLICATES, NULL);
    const json_t *ok = json_object_get(json, "ok");
    assert(json_is_boolean(ok));
    assert(json_is_true(ok) || json_is_string(json_object_get(json, "error")));
    json_decref(json);
    return 0;
}
