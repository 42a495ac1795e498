/* requests_spec.c - what a run answers, asked of a topology in the simulated
 * world. */
#include "actors/stream/faults.h"
#include "cli/requests.h"
#include "core/log.h"
#include "core/metric.h"
#include "lua/definition.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"
#include <stdlib.h>

struct asked {
    struct sim *sim;
    struct sim_node *node;
    struct definition *definition;
    struct topology *topology;
    struct log *log;
    struct control control;
    struct buffer answer;
    json_t *json; /* of the last answer */
    bool ended;
    int activated;      /* what it was told; -1: nothing */
    int64_t drained_ns; /* the limit it was told; -1: it wasn't */
};

static const char text[] =
    "return topology 'asked' {\n"
    "  spout 'in' { list { {1}, {2}, {3} }, fields = {'n'}, retries = 1 },\n"
    "  bolt 'bad' { from = shuffle 'in', fields = {'n'},\n"
    "    execute = function(self, n)\n"
    "      if n == 2 then error('two is bad') end\n"
    "      self.emit(n)\n"
    "    end },\n"
    "  sink 'out' { from = shuffle 'bad', null {} },\n"
    "}\n";

static void on_ended(void *context, const struct topology_end *end)
{
    struct asked *a = context;
    a->ended = true;
}

static void give_figures(void *context, unsigned component, struct figures *out)
{
    struct asked *a = context;
    figures_read(a->topology, component, sim_engine(a->node), out);
}

static void give_latency(void *context, unsigned component,
                         struct histogram_view *out)
{
    struct asked *a = context;
    metric_view(node_metrics(sim_engine(a->node)),
                topology_metrics(a->topology, component)->latency, out);
}

static bool on_drain(struct env *env, void *context, int64_t limit_ns)
{
    struct asked *a = context;
    a->drained_ns = limit_ns;
    return true;
}

static bool on_activate(struct env *env, void *context, bool active)
{
    struct asked *a = context;
    a->activated = active ? 1 : 0;
    return true;
}

static uint64_t no_time(void *context)
{
    return 0;
}

static void no_sink(void *context, enum log_level level, const char *line,
                    size_t bytes)
{
}

static struct asked *asked_new(void)
{
    struct asked *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    char *errors;
    a->sim = sim_new(spec_seed);
    a->node = sim_node(a->sim, 1);
    a->drained_ns = -1;
    a->activated = -1;
    CHECK_EQ(definition_parse("t.lua", text, sizeof text - 1, NULL, 0, NULL,
                              &a->definition, &errors),
             OK);
    struct topology_config config = {.plan = &a->definition->plan,
                                     .ackers = 1,
                                     .ended = on_ended,
                                     .context = a};
    CHECK_EQ(topology_start(sim_env(a->node), &config, &a->topology), OK);
    struct log_config log = {
        .level = LOG_INFO, .now_ms = no_time, .sink = no_sink};
    a->log = log_new(&log);
    struct history_source source = {.components = 3,
                                    .figures = give_figures,
                                    .latency = give_latency,
                                    .context = a};
    a->control = (struct control){
        .id = "abcdefg",
        .plan = &a->definition->plan,
        .topology = a->topology,
        .world = node_world(sim_engine(a->node)),
        .history = history_new(&source, sim_now(a->sim)),
        .levels = levels_new(&a->definition->plan, a->log, LOG_INFO),
        .threads = 2,
        .began_ns = sim_now(a->sim),
        .drain_ns = 10000000000,
        .drain = on_drain,
        .activate = on_activate,
        .context = a};
    CHECK(a->control.history != NULL && a->control.levels != NULL);
    levels_apply(a->control.levels);
    return a;
}

static void asked_free(struct asked *a)
{
    json_decref(a->json);
    buffer_fini(&a->answer);
    history_free(a->control.history);
    levels_free(a->control.levels);
    sim_kill_node(a->node);
    topology_free(a->topology);
    definition_free(a->definition);
    sim_free(a->sim);
    log_free(a->log);
    free(a);
}

/* Borrowed until the next one. */
static const json_t *ask(struct asked *a, const char *line)
{
    a->answer.used = 0;
    CHECK_EQ(requests_answer(sim_env(a->node), &a->control, line, strlen(line),
                             &a->answer),
             OK);
    json_decref(a->json);
    a->json = json_loadb((char *)a->answer.data, a->answer.used,
                         JSON_REJECT_DUPLICATES, NULL);
    CHECK(json_is_object(a->json));
    CHECK(json_is_boolean(json_object_get(a->json, "ok")));
    return a->json;
}

static const json_t *asks_well(struct asked *a, const char *line)
{
    const json_t *json = ask(a, line);
    if (!json_is_true(json_object_get(json, "ok")))
        spec_fail(__FILE__, __LINE__, "%s: %s", line,
                  json_string_value(json_object_get(json, "error")));
    return json;
}

static long long number(const json_t *json, const char *name)
{
    const json_t *n = json_object_get(json, name);
    if (!json_is_number(n)) spec_fail(__FILE__, __LINE__, "no %s", name);
    return (long long)json_number_value(n);
}

static const char *string(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

static void run_to_end(struct asked *a)
{
    while (!a->ended && sim_step(a->sim, INT64_MAX))
        continue;
    CHECK(a->ended);
}

SPEC(requests, what_is_wrong_is_said_with_what_is_near)
{
    static const char *const wrong[][2] = {
        {"", "it is no JSON"},
        {"nonsense", "it is no JSON"},
        {"{\"verb\":\"status\"", "it is no JSON"},
        {"{\"verb\":\"status\"} x", "it is no JSON"},
        {"{\"verb\":\"status\",\"verb\":\"stop\"}", "it is no JSON"},
        {"{\"verb\":\"st\xff\"}", "it is no JSON"},
        {"[]", "a request is an object"},
        {"3", "a request is an object"},
        {"null", "a request is an object"},
        {"{}", "the request has no \"verb\""},
        {"{\"verb\":3}", "the request has no \"verb\""},
        {"{\"verb\":\"sttus\"}", "did you mean 'status'?"},
        {"{\"verb\":\"nothing like it\"}", "\"help\" lists them"},
        {"{\"verb\":\"statistics\",\"ovr\":\"10s\"}", "did you mean 'over'?"},
        {"{\"verb\":\"status\",\"over\":\"10s\"}",
         "'over' is no argument of status"},
        {"{\"verb\":\"statistics\",\"over\":10}", "give a text"},
        {"{\"verb\":\"statistics\",\"over\":\"2m\"}",
         "there is no window '2m'"},
        {"{\"verb\":\"errors\",\"last\":-1}", "give a whole number"},
        {"{\"verb\":\"errors\",\"last\":1.5}", "give a whole number"},
        {"{\"verb\":\"drain\",\"limit\":\"soon\"}", "give seconds"},
        {"{\"verb\":\"drain\",\"limit\":-1}", "give seconds"},
        {"{\"verb\":\"drain\",\"limit\":null}", "give seconds"},
        {"{\"verb\":\"drain\",\"limit\":1e300}", "give seconds"},
        {"{\"verb\":\"log\",\"component\":\"bad\"}",
         "log needs a component and a level"},
        {"{\"verb\":\"log\",\"for\":3}", "log needs a component and a level"},
        {"{\"verb\":\"log\",\"component\":\"bod\",\"level\":\"warn\"}",
         "t.lua has no component 'bod'; did you mean 'bad'?"},
        {"{\"verb\":\"log\",\"component\":\"bad\",\"level\":\"loud\"}",
         "there is no level 'loud'"},
        {"{\"verb\":\"log\",\"component\":\"bad\",\"level\":\"warn\","
         "\"for\":0}",
         "leave it out for good"},
        {"{\"verb\":\"log\",\"levels\":[]}", "give a list of one or more"},
        {"{\"verb\":\"log\",\"levels\":[7]}", "a level is an object like"},
        {"{\"verb\":\"log\",\"levels\":[{\"level\":\"warn\"}]}",
         "log needs a component and a level"},
        {"{\"verb\":\"log\",\"levels\":[{\"component\":\"bad\","
         "\"level\":\"warn\",\"fro\":3}]}",
         "'fro' is nothing of a level; give component, level, for"},
        {"{\"verb\":\"log\",\"levels\":[{\"component\":\"bad\","
         "\"level\":\"warn\",\"for\":\"3 weeks\"}]}",
         "'for' of log is wrong; give seconds"},
        {"{\"verb\":\"log\",\"level\":\"warn\",\"levels\":[{\"component\":"
         "\"bad\",\"level\":\"warn\"}]}",
         "log takes levels, or a component and its level"},
    };
    struct asked *a = asked_new();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const json_t *json = ask(a, wrong[i][0]);
        CHECK(json_is_false(json_object_get(json, "ok")));
        CHECK_HAS(string(json, "error"), wrong[i][1]);
    }
    CHECK_EQ(a->drained_ns, -1);
    asked_free(a);
}

SPEC(requests, a_line_with_a_zero_in_it_is_refused)
{
    static const char line[] = "{\"verb\":\"status\"}\0{\"verb\":\"stop\"}";
    struct asked *a = asked_new();
    CHECK_EQ(requests_answer(sim_env(a->node), &a->control, line,
                             sizeof line - 1, &a->answer),
             OK);
    CHECK(a->answer.used > 10);
    CHECK(memcmp(a->answer.data, "{\"ok\":false", 11) == 0);
    CHECK_EQ(a->drained_ns, -1);
    asked_free(a);
}

SPEC(requests, the_status_is_that_of_the_run)
{
    struct asked *a = asked_new();
    const json_t *json = asks_well(a, "{\"verb\":\"status\"}");
    CHECK_TEXT(string(json, "run"), "abcdefg");
    CHECK_TEXT(string(json, "topology"), "asked");
    CHECK_TEXT(string(json, "state"), "running");
    CHECK_TEXT(string(json, "guarantee"), "at-least-once");
    CHECK_EQ(number(json, "threads"), 2);
    CHECK_EQ(number(json, "components"), 3);
    CHECK_EQ(number(json, "tasks"), 3);
    CHECK_EQ(number(json, "acked"), 0);
    run_to_end(a);
    json = asks_well(a, "{\"verb\":\"status\"}");
    CHECK_EQ(number(json, "acked"), 2);
    CHECK_EQ(number(json, "failed"), 2);
    CHECK_EQ(number(json, "gave_up"), 1);
    asked_free(a);
}

SPEC(requests, statistics_are_of_every_window_or_one)
{
    struct asked *a = asked_new();
    run_to_end(a);
    const json_t *windows =
        json_object_get(asks_well(a, "{\"verb\":\"statistics\"}"), "windows");
    CHECK_EQ(json_array_size(windows), WINDOWS);
    windows = json_object_get(
        asks_well(a, "{\"verb\":\"statistics\",\"over\":\"1m\"}"), "windows");
    CHECK_EQ(json_array_size(windows), 1);
    const json_t *window = json_array_get(windows, 0);
    CHECK_TEXT(string(window, "over"), "1m");
    const json_t *in = json_array_get(json_object_get(window, "components"), 0);
    CHECK_TEXT(string(in, "name"), "in");
    CHECK_TEXT(string(in, "kind"), "spout");
    CHECK_EQ(number(in, "out"), 4);
    CHECK_EQ(number(in, "acked"), 2);
    CHECK_EQ(number(in, "replayed"), 1);
    CHECK(json_is_number(json_object_get(in, "p50_ms")));
    const json_t *bad =
        json_array_get(json_object_get(window, "components"), 1);
    CHECK_EQ(number(bad, "in"), 4);
    CHECK_EQ(number(bad, "errors"), 2);
    asked_free(a);
}

SPEC(requests, errors_tell_where_when_and_what)
{
    struct asked *a = asked_new();
    CHECK_EQ(json_array_size(json_object_get(
                 asks_well(a, "{\"verb\":\"errors\"}"), "errors")),
             0);
    run_to_end(a);
    const json_t *errors =
        json_object_get(asks_well(a, "{\"verb\":\"errors\"}"), "errors");
    CHECK_EQ(json_array_size(errors), 2);
    CHECK_HAS(string(json_array_get(errors, 0), "text"),
              "a tuple failed for good after 2 tries: t.lua:5: two is bad");
    CHECK_TEXT(string(json_array_get(errors, 0), "component"), "in");
    const json_t *bad = json_array_get(errors, 1);
    CHECK_TEXT(string(bad, "component"), "bad");
    CHECK_EQ(number(bad, "task"), 0);
    CHECK_EQ(number(bad, "times"), 2);
    CHECK(number(bad, "last") >= number(bad, "first") + 100);
    CHECK_HAS(string(bad, "text"), "stack traceback");
    errors = json_object_get(asks_well(a, "{\"verb\":\"errors\",\"last\":1}"),
                             "errors");
    CHECK_EQ(json_array_size(errors), 1);
    asked_free(a);
}

SPEC(requests, a_level_falls_back_when_its_time_is_over)
{
    struct asked *a = asked_new();
    struct levels *levels = a->control.levels;
    int64_t now_ns = sim_now(a->sim);
    CHECK(!log_on(a->log, "bad", LOG_DEBUG));
    asks_well(a, "{\"verb\":\"log\",\"component\":\"bad\",\"level\":\"warn\"}");
    CHECK(!log_on(a->log, "bad", LOG_INFO));
    const json_t *json =
        asks_well(a, "{\"verb\":\"log\",\"component\":\"bad\",\"level\":"
                     "\"debug\",\"for\":10}");
    const json_t *set = json_array_get(json_object_get(json, "levels"), 0);
    CHECK_TEXT(string(set, "level"), "debug");
    CHECK_EQ(number(set, "left"), 10);
    CHECK(log_on(a->log, "bad", LOG_DEBUG));
    CHECK(!log_on(a->log, "in", LOG_DEBUG));
    levels_look(levels, now_ns + 9999999999);
    CHECK(log_on(a->log, "bad", LOG_DEBUG));
    levels_look(levels, now_ns + 10000000000);
    CHECK(!log_on(a->log, "bad", LOG_INFO)); /* what was said for good */
    CHECK(log_on(a->log, "bad", LOG_WARN));
    asks_well(a, "{\"verb\":\"log\",\"component\":\"in\",\"level\":\"off\","
                 "\"for\":\"1m\"}");
    CHECK(!log_on(a->log, "in", LOG_ERROR));
    levels_look(levels, now_ns + 60000000000);
    CHECK(log_on(a->log, "in", LOG_INFO)); /* the common one */
    asks_well(a, "{\"verb\":\"log\"}");
    asked_free(a);
}

SPEC(requests, a_drain_has_the_run_s_limit_or_the_one_that_is_given)
{
    struct asked *a = asked_new();
    CHECK_EQ(number(asks_well(a, "{\"verb\":\"drain\"}"), "limit"), 10);
    CHECK_EQ(a->drained_ns, 10000000000);
    CHECK_TEXT(string(asks_well(a, "{\"verb\":\"status\"}"), "state"),
               "draining");
    asks_well(a, "{\"verb\":\"drain\",\"limit\":\"500ms\"}");
    CHECK_EQ(a->drained_ns, 500000000);
    asks_well(a, "{\"verb\":\"drain\",\"limit\":2.5}");
    CHECK_EQ(a->drained_ns, 2500000000);
    asks_well(a, "{\"verb\":\"stop\"}");
    CHECK_EQ(a->drained_ns, 0);
    asked_free(a);
}

SPEC(requests, help_lists_all_with_their_arguments)
{
    struct asked *a = asked_new();
    const json_t *list =
        json_object_get(asks_well(a, "{\"verb\":\"help\"}"), "requests");
    CHECK(json_array_size(list) >= 7);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        CHECK(string(one, "verb") && string(one, "help"));
        CHECK(json_is_object(json_object_get(one, "arguments")));
    }
    asked_free(a);
}

/* A topology's name and a reason may hold any bytes. */
SPEC(requests, any_bytes_become_sound_json)
{
    struct asked *a = asked_new();
    faults_note(topology_faults(a->topology), "bad", 0, 1, 0,
                "\xff\xfe \"\\ \x01");
    const json_t *errors =
        json_object_get(asks_well(a, "{\"verb\":\"errors\"}"), "errors");
    CHECK_TEXT(string(json_array_get(errors, 0), "text"),
               "\xef\xbf\xbd\xef\xbf\xbd \"\\ \x01");
    asked_free(a);
}

SPEC(requests, a_run_is_activated_unless_it_drains)
{
    struct asked *a = asked_new();
    CHECK(json_is_false(
        json_object_get(asks_well(a, "{\"verb\":\"deactivate\"}"), "active")));
    CHECK_EQ(a->activated, 0);
    asks_well(a, "{\"verb\":\"activate\"}");
    CHECK_EQ(a->activated, 1);
    asks_well(a, "{\"verb\":\"drain\"}");
    const json_t *json = ask(a, "{\"verb\":\"deactivate\"}");
    CHECK_TEXT(string(json, "error"),
               "the run is draining; it can't be deactivated");
    CHECK_EQ(a->activated, 1);
    asked_free(a);
}
