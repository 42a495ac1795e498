/* Operators in a definition: what they become, what is said of wrong ones, and
 * which changes a running topology takes. */
#include "core/alloc.h"
#include "lua/component.h"
#include "lua/definition.h"
#include "spec/spec.h"
#include <stdio.h>

/* ---- reloads: what is no function stays ---- */

static struct definition *right(const char *text)
{
    struct definition *d = NULL;
    char *errors = NULL;
    err e = definition_parse("t.lua", text, strlen(text), NULL, 0, NULL, &d,
                             &errors);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", errors);
    return d;
}

static struct definition *with_bolt(const char *body)
{
    char text[512];
    snprintf(text, sizeof text,
             "return topology 't' {\n"
             "  spout 's' { list {{'a', 1}}, fields = {'k', 'n'} },\n"
             "  bolt 'b' { from = fields('s', 'k'), %s },\n"
             "  sink 'out' { from = global 'b', null {} } }",
             body);
    return right(text);
}

SPEC(operator, refuses_a_reload_that_changes_an_argument)
{
    static const struct {
        const char *now, *next, *why;
    } cases[] = {
        {"top(3, 'n')", "top(4, 'n')", "'top' of 'b' has changed"},
        {"top(3, 'n')", "top(3, 'k')", "'top' of 'b' has changed"},
        {"top(3, 'n')", "top(3, 'n'), memory = '1MB'",
         "'memory' of 'b' has changed"},
        {"fields = {'x', 'y'}, count_by 'k'",
         "fields = {'x', 'y'}, count_by 'n'", "'count_by' of 'b' has changed"},
        {"map(function(k, n) return k, n end)", "filter(function() end)",
         "'operator' of 'b' has changed"},
        {"map(function(k, n) return k, n end)",
         "fields = {'k', 'n'}, execute = function() end",
         "'operator' of 'b' has changed"},
        {"fields = {'a', 'b'}, reduce_by('k', 'n', function() end)",
         "fields = {'a', 'b'}, reduce_by('n', 'k', function() end)",
         "'reduce_by' of 'b' has changed"},
        {"top(3, 'n')", "top(3, 'n')", NULL},
        {"map(function() end)", "map(function(k, n) return k, n end)", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct definition *now = with_bolt(cases[i].now),
                          *next = with_bolt(cases[i].next);
        char why[256] = "";
        CHECK_EQ(definition_same_graph(now, next, why, sizeof why),
                 cases[i].why == NULL);
        if (cases[i].why) CHECK_TEXT(why, cases[i].why);
        definition_free(now);
        definition_free(next);
    }
}

/* ---- definitions ---- */

SPEC(operator, becomes_a_part_of_the_plan)
{
    struct definition *d = right(
        "return topology 't' {\n"
        "  sink 'out' { from = global 'best', null {} },\n"
        "  bolt 'best' { from = global 'kept', top(3, 'count') },\n"
        "  bolt 'kept' { from = shuffle 'count',\n"
        "    filter(function(word, n) return n > 1 end) },\n"
        "  bolt 'count' { from = fields('words', 'word'), count_by 'word' },\n"
        "  bolt 'words' { from = shuffle 's', words 'line' },\n"
        "  bolt 'any' { from = shuffle 'words', count_by 'word',\n"
        "    fields = {'w', 'n'} },\n"
        "  spout 's' { stdin {} } }");
    const struct component_plan *best = &d->plan.components[1];
    CHECK_TEXT(best->class->name, "top");
    CHECK_EQ(best->streams[0].arity, 2);
    CHECK_TEXT(best->streams[0].fields[0], "word");
    CHECK_TEXT(best->streams[0].fields[1], "count");
    CHECK(d->plan.components[2].class == &lua_class);
    CHECK_TEXT(d->plan.components[2].streams[0].fields[1], "count");
    CHECK(d->plan.components[3].inputs[0].combines);
    CHECK_EQ(d->plan.components[3].inputs[0].combine_key, 0);
    CHECK(!d->plan.components[5].inputs[0].combines);
    CHECK_TEXT(d->plan.components[5].streams[0].fields[1], "n");
    definition_free(d);
}

static const struct {
    const char *body, *said;
} faults[] = {
    {"bolt 'b' { from = shuffle 's', words 'lin' }",
     "words of bolt 'b' reads the field 'lin', which 's' doesn't bring; did "
     "you mean 'line'?"},
    {"bolt 'b' { from = shuffle 's', count_by(7) }",
     "argument 1 of count_by of bolt 'b' is 7; give a field's name: count_by "
     "\"word\""},
    {"bolt 'b' { from = shuffle 's', words { 'line' } }",
     "argument 1 of words of bolt 'b' is a table; give a field's name: words "
     "\"line\""},
    {"bolt 'b' { from = shuffle 's', words }",
     "the first entry of bolt 'b' is no operator; write one like words "
     "\"line\", or a key"},
    {"bolt 'b' { from = shuffle 's', words() }",
     "words of bolt 'b' has 0 arguments; write words \"line\""},
    {"bolt 'b' { from = shuffle 's', top('n', 3) }",
     "argument 1 of top of bolt 'b' is 'n'; give a whole number from 1 to "
     "1000000: top(10, \"count\")"},
    {"bolt 'b' { from = shuffle 's', top(0, 'n') }",
     "argument 1 of top of bolt 'b' is 0; give a whole number from 1 to "
     "1000000: top(10, \"count\")"},
    {"bolt 'b' { from = shuffle 's', map 'x' }",
     "argument 1 of map of bolt 'b' is 'x'; give a function: "
     "map(function(…) … end)"},
    {"bolt 'b' { from = shuffle 's', reduce_by('n', 'nn', print) }",
     "reduce_by of bolt 'b' reads the field 'nn', which 's' doesn't bring; "
     "did you mean 'n'?"},
    {"bolt 'b' { from = shuffle 's', words 'line', execute = print }",
     "bolt 'b' has both words and execute; an operator does that itself"},
    {"bolt 'b' { from = shuffle 's', top(1, 'n'), tick = print, every = 1 }",
     "bolt 'b' has both top and tick; an operator does that itself"},
    {"bolt 'b' { from = shuffle 's', words 'line', every = '1s' }",
     "bolt 'b' has every, but words emits at once; leave it out"},
    {"bolt 'b' { from = shuffle 's', words 'line', memory = '1MB' }",
     "bolt 'b' has memory, which words has no use for; leave it out"},
    {"bolt 'b' { from = shuffle 's', top(1, 'n'), budget = 1 }",
     "bolt 'b' has budget, which top has no use for; leave it out"},
    {"bolt 'b' { from = shuffle 's', map(print), config = {} }",
     "bolt 'b' has config, which map has no use for; leave it out"},
    {"bolt 'b' { from = shuffle 's', map(print), streams = {} }",
     "bolt 'b' has streams; map emits the default one only, which fields can "
     "name"},
    {"bolt 'b' { from = shuffle 's', words 'line', fields = {'a', 'b'} }",
     "words brings 1 field, bolt 'b' names 2"},
    {"bolt 'b' { from = shuffle 's', count_by 'n', fields = {'a'} }",
     "count_by brings 2 fields, bolt 'b' names 1"},
    {"bolt 'b' { from = shuffle 's', reduce_by('n', 'n', print) }",
     "bolt 'b' would bring two fields called 'n'; name them: fields = { \"…\", "
     "\"…\" }"},
    {"bolt 'b' { from = shuffle 's', filter(print), fields = {'a'} }",
     "filter brings the 2 fields of its input, bolt 'b' names 1"},
    {"bolt 'b' { from = shuffle 's', words 'line', filter(print) }",
     "bolt 'b' has more than one operator; keep one, and give the others bolts "
     "of their own"},
    {"bolt 'b' { from = { shuffle 's', shuffle 'w' }, top(1, 'n') }, "
     "bolt 'w' { from = shuffle 's', words 'line' }",
     "the inputs of bolt 'b' have different fields; top needs the same ones: "
     "give each a bolt of its own"},
    {"bolt 'b' { from = shuffle 's', count_by 'n', combine = print }",
     "bolt 'b' has combine, which is for reduce_by; senders count for count_by "
     "anyway, leave it out"},
    {"bolt 'b' { from = shuffle 's', combine = true, execute = print }",
     "bolt 'b' has combine, which is for reduce_by; leave it out"},
    {"bolt 'm' { from = shuffle 's', map(print) }, "
     "bolt 'b' { from = global 'm', reduce_by('n', 'line', print), "
     "combine = 1 }",
     "combine of bolt 'b' is 1; give a function of two numbers, or true for "
     "reduce_by's own"},
    {"bolt 'b' { from = global 's', reduce_by('n', 'line', print), "
     "combine = true }",
     "combine of bolt 'b' is called by those who send to it, but spout 's' "
     "runs no Lua; put a bolt between them, or leave it out"},
    {"bolt 'm' { from = shuffle 's', map(print) }, "
     "bolt 'b' { from = fields('m', 'line'), reduce_by('n', 'line', print), "
     "combine = true }",
     "combine of bolt 'b' needs what it reads grouped by its key alone; write "
     "fields(\"m\", \"n\") or global \"m\""},
    {"sink 'b' { from = shuffle 's', words 'line' }",
     "words can't stand in sink 'b'; it makes tuples of tuples: give it a bolt "
     "of its own"},
    {"spout 'b' { map(print) }",
     "map can't stand in spout 'b'; it makes tuples of tuples: give it a bolt "
     "of its own"},
};

SPEC(operator, tells_what_is_wrong_with_it)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        char text[1024], wanted[512];
        struct definition *d = NULL;
        char *errors = NULL;
        snprintf(text, sizeof text,
                 "return topology 't' {\n"
                 "spout 's' { list {{'a', 1}}, fields = {'line', 'n'} },\n"
                 "sink 'out' { from = shuffle 's', null {} },\n%s }",
                 faults[i].body);
        snprintf(wanted, sizeof wanted, "t.lua:4: %s", faults[i].said);
        err e = definition_parse("t.lua", text, strlen(text), NULL, 0, NULL, &d,
                                 &errors);
        CHECK_EQ(e, ERR_CONFIG);
        CHECK_TEXT(errors, wanted);
        mem_free(errors);
    }
}
