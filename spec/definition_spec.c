/* Definition files: what is wrong is said with its place and its remedy, all
 * of it at once; what is right becomes the plan it describes. */
#include "actors/connectors/connector.h"
#include "core/alloc.h"
#include "lua/component.h"
#include "lua/definition.h"
#include "spec/definition.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

static struct definition *right(const char *text)
{
    struct definition *d = NULL;
    char *errors = NULL;
    err e = definition_parse("t.lua", text, strlen(text), NULL, 0, NULL, &d,
                             &errors);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", errors);
    CHECK(errors == NULL);
    return d;
}

/* ---- what is no topology ---- */

SPEC(definition, tells_when_a_file_makes_no_topology)
{
    const char *none = "t.lua:1: the file returns no topology; end it with "
                       "return topology \"name\" { … }";
    definition_check_errors("local x = 1", none);
    definition_check_errors("return 5", none);
    definition_check_errors("return spout \"s\" {}", none);
    definition_check_errors("return { kind = \"topology\" }", none);
    definition_check_errors(
        "return { kind = \"topology\", name = 5, body = {}, line = 1 "
        "}",
        none);
    definition_check_errors("return topology \"t\"", none);
    definition_check_errors(
        "\n\nreturn topology \"t\" {}",
        "t.lua:3: the topology has no spout; add spout \"name\" { … "
        "}");
    definition_check_errors(
        "return topology \"a/b\" { spout \"s\" { stdin {} } }",
        "t.lua:1: 'a/b' is no name for a topology; leave out / . : "
        "and \\");
    definition_check_errors(
        "return topology \"\" { spout \"s\" { stdin {} } }",
        "t.lua:1: '' is no name for a topology; leave out / . : and "
        "\\");
}

SPEC(definition, tells_where_a_file_fails_while_it_runs)
{
    definition_check_errors("\nerror(\"so it is\")", "t.lua:2: so it is");
    definition_check_errors("error(\"so it is\", 0)", "so it is");
    definition_check_errors("error(\"\", 0)",
                            "t.lua: the file raised an error without a "
                            "text; give it one");
    definition_check_errors("local x =",
                            "t.lua:1: unexpected symbol near <eof>");
    definition_check_errors("local x = {\n1\n2 }",
                            "t.lua:3: '}' expected (to close '{' at line 1) "
                            "near '2'; a comma may be missing before it");
    definition_check_errors("local x = { 1",
                            "t.lua:1: '}' expected near <eof>");
    definition_check_errors(
        "x = 1", "t.lua:1: global 'x' is assigned; declare it local");
    definition_check_errors(
        "\nspout(5)", "t.lua:2: spout has no name; write spout \"name\" { … }");
    definition_check_errors(
        "return topology \"t\" { bolt \"b\" (5) }",
        "t.lua:1: bolt \"b\" is followed by number; write bolt \"b\" "
        "{ … }");
    definition_check_errors(
        "shuffle(\"a\", \"k\")",
        "t.lua:1: shuffle takes no keys; write shuffle \"a\" or "
        "fields(\"a\", …)");
    definition_check_errors(
        "array(log)",
        "t.lua:1: this table is the engine's or protected; give array "
        "a table of your own");
    definition_check_errors(
        "array(string)",
        "t.lua:1: this table is the engine's or protected; give array "
        "a table of your own");
    definition_check_errors(
        "array(_ENV)",
        "t.lua:1: this table is the engine's or protected; give array "
        "a table of your own");
    definition_check_errors("array(setmetatable(array(array {}), nil))",
                            "t.lua:1: cannot change a protected metatable");
    definition_check_errors("sleep(1)",
                            "t.lua:1: sleep() at the top level would differ "
                            "between tasks; call it inside a function");
}

SPEC(definition, ends_what_runs_for_ever_or_eats_the_memory)
{
    char *errors = definition_errors("\nwhile true do end");
    CHECK_HAS(errors, "t.lua:2: the call was over its budget of");
    mem_free(errors);
    errors =
        definition_errors("local t = { 1 } for i = 1, 40 do t = { t, t } end\n"
                          "while true do pcall(json.encode, t) end");
    CHECK_HAS(errors, "t.lua:2: the call was over its budget of");
    mem_free(errors);
    definition_check_errors(
        "local t = {} for i = 1, 1e9 do t[i] = (\"x\"):rep(1e5) .. i "
        "end",
        "t.lua: not enough memory; loading may use 64 MB");
}

/* ---- several at once ---- */

SPEC(definition, tells_all_faults_at_once_in_the_order_of_lines)
{
    definition_check_errors(
        "return topology \"t\" {\n"
        "  sink \"out\" { from = shuffle \"b\", stdout { format = "
        "\"xml\" } },\n"
        "  bolt \"b\" { from = shuffle \"nmus\", tasks = -1,\n"
        "    "
        "execute = function() end, feilds = { \"x\" } },\n"
        "  timeout = \"x\",\n"
        "  spout \"nums\" { list {{1}}, fields = { \"n\" } },\n"
        "}",
        "t.lua:1: timeout of the topology is 'x'; give a duration "
        "like \"5s\" or \"100ms\"\n"
        "t.lua:2: format of stdout is 'xml'; give one of text, json, "
        "csv\n"
        "t.lua:3: 'feilds' is no option of a bolt; did you mean "
        "'fields'?\n"
        "t.lua:3: bolt 'b' reads 'nmus', which is no component; did "
        "you mean 'nums'?\n"
        "t.lua:3: tasks of bolt 'b' is -1; give a whole number from "
        "1 to 1000");
}

SPEC(definition, says_the_same_of_the_same_text)
{
    /* Tables are walked in an order that differs from run to run. */
    const char *text = "return topology \"t\" { spout \"s\" { stdin {}, aa = 1,"
                       " bb = 1, cc = 1, dd = 1, ee = 1, ff = 1, gg = 1 } }";
    char *first = definition_errors(text);
    for (int i = 0; i < 10; i++)
        definition_check_errors(text, first);
    mem_free(first);
}

SPEC(definition, tells_of_many_faults_the_first_and_how_many_more)
{
    definition_check_errors(
        "return topology \"t\" { nil, spout \"s\" { stdin {} } }",
        "t.lua:1: entry 1 of the topology is nil; is it spelled "
        "right?\n"
        "t.lua:1: the topology has no spout; add spout \"name\" { … "
        "}");
    char *errors = definition_errors(
        "local t = { stdin {} } for i = 1, 300 do t[\"k\" .. i] = 1 end\n"
        "return topology \"t\" { spout \"s\" (t) }");
    unsigned lines = 1;
    for (const char *at = errors; *at; at++)
        lines += *at == '\n';
    CHECK_EQ(lines, 51);
    CHECK_HAS(errors, "t.lua: there are 250 more errors; mend these first");
    mem_free(errors);
}

SPEC(definition, shows_long_and_strange_names_on_one_short_line)
{
    char *errors = definition_errors(
        "return topology \"t\" { [(\"ä\\n\"):rep(1000)] = 1,\n"
        "spout \"s\" { stdin {} } }");
    CHECK(strlen(errors) < 200);
    CHECK(strchr(errors, '\n') == NULL);
    CHECK_HAS(errors, "t.lua:1: 'ä?ä?");
    CHECK_HAS(errors, "…' is no option of a topology");
    mem_free(errors);
}

/* Tables that answer by metamethods are what they hold, and no more. */
SPEC(definition, asks_no_metamethod_for_what_a_table_holds)
{
    definition_check_errors(
        "local all = { __index = function(t, k) return k end,\n"
        "  __len = function() return 3 end,\n"
        "  __pairs = function() error(\"asked\") end }\n"
        "return topology \"t\" {\n"
        "  spout \"s\" (setmetatable({ list(setmetatable({{1}}, all)),"
        "\n    fields = setmetatable({ \"x\" }, all) }, all)),\n"
        "  sink \"o\" { from = setmetatable({ shuffle \"s\" }, all) },"
        "\n}",
        "t.lua:7: sink 'o' has no execute; add execute = "
        "function(self, …) … end, or a connector");
}

/* ---- suggestions ---- */

static void check_suggestion(const char *written, const char *meant)
{
    char text[256], part[64];
    snprintf(text, sizeof text,
             "return topology \"t\" { spout \"s\" { next = print, %s = 1 } }",
             written);
    snprintf(part, sizeof part,
             meant ? "did you mean '%s'?" : "there are:", meant);
    char *errors = definition_errors(text);
    CHECK_HAS(errors, part);
    mem_free(errors);
}

/* Lua keeps names in an order that is another each time. */
SPEC(definition, suggests_the_same_of_two_names_that_are_as_near)
{
    for (int i = 0; i < 20; i++) {
        char *errors = definition_errors("ooooetmetatable()"); /* get…, set… */
        CHECK_HAS(errors, "did you mean 'getmetatable'?");
        mem_free(errors);
    }
}

SPEC(definition, suggests_the_nearest_name_if_one_is_near)
{
    check_suggestion("retires", "retries");
    check_suggestion("retry", NULL);
    check_suggestion("Tasks", "tasks");
    check_suggestion("taks", "tasks");
    check_suggestion("opne", "open"); /* neighbours swapped: one change */
    check_suggestion("poen", "open");
    check_suggestion("onep", NULL);
    check_suggestion("feild", NULL); /* two changes of five letters */
}

/* ---- what is right ---- */

SPEC(definition, becomes_the_plan_it_describes)
{
    struct definition *d = right(
        "return topology \"words\" {\n"
        "  guarantee = \"at-most-once\", timeout = \"1.5s\", max_pending = 7,\n"
        "  sink \"out\" { from = { global \"count:late\", shuffle \"lines\" "
        "},\n"
        "    null {}, tasks = 3 },\n"
        "  bolt \"count\" { from = fields(\"lines\", \"b\", \"a\"),\n"
        "    streams = { late = { \"z\" }, default = { \"x\", \"y\" } },\n"
        "    execute = function() end, tick = function() end,\n"
        "    every = \"100ms\", tasks = 2, memory = \"8MB\", budget = 2 },\n"
        "  spout \"lines\" { list {{ 1, \"two\" }, { 3 }},\n"
        "    fields = { \"a\", \"b\" }, retries = \"forever\" },\n"
        "}");
    const struct plan *p = &d->plan;
    CHECK_TEXT(p->name, "words");
    CHECK_TEXT(p->file, "t.lua");
    CHECK_EQ(p->guarantee, AT_MOST_ONCE);
    CHECK_EQ(p->timeout_ns, 1500000000);
    CHECK_EQ(p->pending_max, 7);
    CHECK_EQ(p->count, 3);
    CHECK_EQ(p->tasks, 6);

    const struct component_plan *out = &p->components[0];
    CHECK_TEXT(out->name, "out");
    CHECK_EQ(out->kind, COMPONENT_SINK);
    CHECK(out->class == connector_named("null")->sink);
    CHECK_EQ(out->first_task, 0);
    CHECK_EQ(out->tasks, 3);
    CHECK_EQ(out->retries, 5);
    CHECK_EQ(out->input_count, 2);
    CHECK_EQ(out->inputs[0].component, 1);
    CHECK_EQ(out->inputs[0].stream, 1);
    CHECK_EQ(out->inputs[0].grouping, GROUPING_GLOBAL);
    CHECK_EQ(out->inputs[1].component, 2);
    CHECK_EQ(out->inputs[1].grouping, GROUPING_SHUFFLE);

    const struct component_plan *count = &p->components[1];
    CHECK_EQ(count->kind, COMPONENT_BOLT);
    CHECK(count->class == &lua_class);
    CHECK_EQ(count->first_task, 3);
    CHECK_EQ(count->every_ns, 100000000);
    CHECK_EQ(count->stream_count, 2);
    CHECK_TEXT(count->streams[0].name, "default"); /* always the first */
    CHECK_EQ(count->streams[0].arity, 2);
    CHECK_TEXT(count->streams[0].fields[1], "y");
    CHECK_TEXT(count->streams[1].name, "late");
    CHECK_EQ(count->inputs[0].grouping, GROUPING_FIELDS);
    CHECK_EQ(count->inputs[0].key_count, 2);
    CHECK_EQ(count->inputs[0].keys[0], 1);
    CHECK_EQ(count->inputs[0].keys[1], 0);
    const struct lua_config *guest = count->config;
    CHECK_EQ(guest->memory_bytes, 8 << 20);
    CHECK_EQ(guest->budget_ns, 2000000000);

    const struct component_plan *lines = &p->components[2];
    CHECK_EQ(lines->kind, COMPONENT_SPOUT);
    CHECK_EQ(lines->retries, -1);
    CHECK_EQ(lines->first_task, 5);
    const struct connector_config *config = lines->config;
    const struct option_value *rows = NULL;
    for (unsigned i = 0; i < config->connector->option_count; i++)
        if (config->connector->options[i].type == OPTION_ROWS)
            rows = &config->values[i];
    CHECK(rows != NULL);
    CHECK_EQ(rows->rows, 2);
    CHECK_EQ(rows->arity, 2);
    CHECK_EQ(rows->size, 7);
    CHECK(memcmp(rows->bytes, "\x01\xa3two\x03\xc0", 7) == 0);
    definition_free(d);
}

/* self.emit(…) must find a stream to say that it has other fields. */
SPEC(definition, gives_everyone_a_default_stream_that_nobody_reads_unasked)
{
    struct definition *d =
        right("return topology \"t\" { spout \"s\" { next = print,\n"
              "  streams = { errors = { \"why\" } } },\n"
              "sink \"o\" { from = shuffle \"s:errors\", null {} } }");
    const struct component_plan *s = &d->plan.components[0];
    CHECK_EQ(s->stream_count, 2);
    CHECK_TEXT(s->streams[0].name, "default");
    CHECK_EQ(s->streams[0].arity, 0);
    CHECK_EQ(d->plan.components[1].inputs[0].stream, 1);
    CHECK_TEXT(d->plan.components[1].streams[0].name, "default");
    definition_free(d);
    definition_check_errors(
        "return topology \"t\" { spout \"s\" { next = print,\n"
        "  streams = { errors = { \"why\" } } },\n"
        "sink \"o\" { from = shuffle \"s\", null {} } }",
        "t.lua:3: spout 's' has no stream 'default'; there are: "
        "errors");
}

/* ---- parameters ---- */

static err with_sets(const char *text, const char *const *sets, unsigned count,
                     char **errors, struct definition **d)
{
    *d = NULL;
    return definition_parse("t.lua", text, strlen(text), sets, count, NULL, d,
                            errors);
}

#define REST                                                                   \
    " spout \"s\" { stdin {} }, sink \"o\" { from = shuffle \"s\", "           \
    "null {} } }"

SPEC(definition, takes_parameters_from_the_command_line)
{
    static const char text[] =
        "local n = param(\"pending\", 5) param(\"label\", \"x\")\n"
        "local quick = param(\"quick\", false)\n"
        "return topology \"t\" { max_pending = n, timeout = quick and 1 or "
        "9, " REST;
    static const struct {
        const char *set;
        err e;
        const char *said;
    } cases[] = {
        {"pending=12", OK, NULL},
        {"quick=true", OK, NULL},
        {"label=", OK, NULL},
        {"pending=many", ERR_USAGE, "--set pending=many is no number"},
        {"quick=yes", ERR_USAGE, "--set quick=yes is neither true nor false"},
        {"lable=x", ERR_USAGE,
         "--set lable: t.lua has no param of that name; did you mean "
         "'label'?"},
        {"nothing", ERR_USAGE, "--set nothing: write --set name=value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct definition *d;
        char *errors = NULL;
        err e = with_sets(text, &cases[i].set, 1, &errors, &d);
        CHECK_EQ(e, cases[i].e);
        if (cases[i].said) CHECK_HAS(errors, cases[i].said);
        if (i == 0) CHECK_EQ(d->plan.pending_max, 12);
        if (i == 1) CHECK_EQ(d->plan.timeout_ns, 1000000000);
        mem_free(errors);
        definition_free(d);
    }
    struct definition *d;
    char *errors = NULL;
    CHECK_EQ(with_sets("param(\"input\") return topology \"t\" {" REST, NULL, 0,
                       &errors, &d),
             ERR_USAGE);
    CHECK_HAS(errors, "param 'input' has no default; give --set input=…");
    mem_free(errors);
    /* What the file has caught is not why it fails. */
    CHECK_EQ(with_sets("pcall(param, \"input\") error \"boom\"", NULL, 0,
                       &errors, &d),
             ERR_CONFIG);
    CHECK_HAS(errors, "t.lua:1: boom");
    mem_free(errors);
}

/* ---- the digest ---- */

static uint64_t digest_of(const char *text)
{
    struct definition *d = right(text);
    uint64_t digest = d->bundle->digest;
    definition_free(d);
    return digest;
}

SPEC(definition, has_a_digest_that_tells_graphs_apart_and_nothing_else)
{
    const char *text = "return topology \"t\" { spout \"s\" { stdin {} }, "
                       "sink \"o\" { from = shuffle \"s\", null {} } }";
    uint64_t digest = digest_of(text);
    CHECK(digest != 0);
    for (int i = 0; i < 5; i++)
        CHECK(digest_of(text) == digest);
    /* Code, comments and lines are not the graph's. */
    CHECK(digest_of("-- it\nlocal x = 5\nreturn topology \"t\" {\n"
                    "spout \"s\" { stdin {} },\n"
                    "sink \"o\" { from = shuffle \"s\", execute = print } }") ==
          digest);
    static const char *const others[] = {
        "return topology \"u\" { spout \"s\" { stdin {} }, sink \"o\" { from "
        "= shuffle \"s\", null {} } }",
        "return topology \"t\" { spout \"z\" { stdin {} }, sink \"o\" { from "
        "= shuffle \"z\", null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, sink \"o\" { from "
        "= global \"s\", null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, bolt \"o\" { from "
        "= shuffle \"s\", execute = print } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, sink \"o\" { from "
        "= shuffle \"s\", null {} }, sink \"p\" { from = shuffle \"s\", null "
        "{} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, sink \"o\" { from "
        "= { shuffle \"s\", shuffle \"s\" }, null {} } }",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CHECK(digest_of(others[i]) != digest);
}

SPEC(definition, can_be_taken_over_when_its_graph_is_the_same)
{
    const char *text = "return topology \"t\" { spout \"s\" { stdin {} }, "
                       "sink \"o\" { from = shuffle \"s\", null {} } }";
    static const char *const others[] = {
        "return topology \"t\" { spout \"s\" { stdin {}, tasks = 2 }, sink "
        "\"o\" { from = shuffle \"s\", null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {}, fields = { \"l\" } "
        "}, sink \"o\" { from = shuffle \"s\", null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, sink \"o\" { from "
        "= fields(\"s\", \"line\"), null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, sink \"p\" { from "
        "= shuffle \"s\", null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, bolt \"o\" { from "
        "= shuffle \"s\", execute = print } }",
    };
    struct definition *now = right(text), *next = right(text);
    char why[256] = "";
    CHECK(definition_same_graph(now, next, why, sizeof why));
    definition_free(next);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct definition *again = right(others[i]);
        next = right(others[i]);
        CHECK(!definition_same_graph(now, next, why, sizeof why));
        CHECK(strlen(why) > 0);
        CHECK(definition_same_graph(again, next, why, sizeof why));
        definition_free(again);
        definition_free(next);
    }
    definition_free(now);
}

/* More would not fit beside a root's sequence (acker.h). */
SPEC(definition, refuses_more_tasks_than_roots_can_name)
{
    char *errors = definition_errors(
        "local t = { spout 's' { stdin {} } }\n"
        "for i = 1, 66 do t[#t + 1] = sink('o' .. i) { from = shuffle 's',\n"
        "  tasks = 1000, execute = print } end\n"
        "return topology 't'(t)\n");
    CHECK_TEXT(errors, "t.lua:4: the topology has 66001 tasks in all; give it "
                       "65000 at most");
    mem_free(errors);
}

static struct definition *with_option(const char *option)
{
    char text[512];
    snprintf(text, sizeof text,
             "return topology 't' { spout 's' { stdin {} },\n"
             "bolt 'b' { from = shuffle 's', execute = function() end,\n"
             "streams = { s = {'x'} }, %s } }",
             option);
    return right(text);
}

SPEC(definition, names_what_running_tasks_do_not_take_over)
{
    static const char *const changes[][2] = {
        {"on_error = 'drop'", "'on_error' of 'b' has changed"},
        {"acking = 'manual'", "'acking' of 'b' has changed"},
        {"tasks = 4, executors = 2",
         "the streams, inputs or tasks of 'b' have changed"},
        {"budget = '2s'", "'budget' of 'b' has changed"},
        {"streams = { s = { direct = true, 'x' } }",
         "the streams, inputs or tasks of 'b' have changed"},
    };
    char why[256] = "";
    struct definition *now = with_option("");
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct definition *next = with_option(changes[i][0]);
        CHECK(!definition_same_graph(now, next, why, sizeof why));
        CHECK_TEXT(why, changes[i][1]);
        definition_free(next);
    }
    definition_free(now);
}

SPEC(definition, spreads_tasks_over_executors)
{
    static const struct {
        const char *option;
        unsigned tasks, executors;
    } cases[] = {
        {"", 1, 1},
        {"tasks = 5", 5, 5},
        {"executors = 3", 3, 3},
        {"tasks = 5, executors = 3", 5, 3},
        {"tasks = 1000, executors = 7", 1000, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct definition *d = with_option(cases[i].option);
        CHECK_EQ(d->plan.components[1].tasks, cases[i].tasks);
        CHECK_EQ(d->plan.components[1].executors, cases[i].executors);
        definition_free(d);
    }
    char why[256] = "";
    struct definition *now = with_option("tasks = 4, executors = 2");
    struct definition *next = with_option("tasks = 4");
    CHECK(!definition_same_graph(now, next, why, sizeof why));
    CHECK_TEXT(why, "'executors' of 'b' has changed");
    definition_free(next);
    definition_free(now);
}

/* Ticks and the life of tasks don't travel as tuples here: who comes from Storm
 * is told what takes the place of its __system. */
SPEC(definition, tells_that_there_is_no_system_stream)
{
    static const char *const froms[] = {"s:__system", "__system",
                                        "__system:__tick"};
    for (size_t i = 0; i < sizeof froms / sizeof froms[0]; i++) {
        char source[512], expected[512];
        snprintf(source, sizeof source,
                 "return topology 't' {\n"
                 "  spout 's' { list { {'a'} }, fields = {'word'} },\n"
                 "  bolt 'b' { from = { fields('s', 'word'), global '%s' },\n"
                 "    execute = function() end } }\n",
                 froms[i]);
        snprintf(expected, sizeof expected,
                 "t.lua:3: bolt 'b' reads '%s', but the engine sends no tuples "
                 "of its own: a bolt ticks with every = \"1s\", and hooks tell "
                 "what tasks do",
                 froms[i]);
        char *errors = definition_errors(source);
        CHECK_TEXT(errors, expected);
        mem_free(errors);
    }
}

/* Each step copies the whole text: instructions alone would last for hours. */
SPEC(definition, that_lets_a_text_grow_is_stopped)
{
    char *errors =
        definition_errors("local s = ''\n"
                          "for i = 1, 1e9 do s = s .. ('x'):rep(100) end\n");
    CHECK_HAS(errors, "t.lua:2: the call was over its budget of");
    mem_free(errors);
}
