/* advice_spec.c - what will hurt is said of the component that it is about. */
#include "cli/advice.h"
#include "core/alloc.h"
#include "lua/definition.h"
#include "spec/spec.h"
#include <stdio.h>

struct page {
    char text[4096];
    size_t used;
};

static void take(void *context, const struct advice *advice)
{
    struct page *p = context;
    p->used +=
        (size_t)snprintf(p->text + p->used, sizeof p->text - p->used,
                         "%d: %s\n", advice->component->line, advice->text);
}

/* How many pieces of advice the definition gets; they are on the page. */
static unsigned advise(const char *text, unsigned threads, struct page *page)
{
    struct definition *d;
    char *errors;
    *page = (struct page){.used = 0};
    err e = definition_parse("t.lua", text, strlen(text), NULL, 0, NULL, &d,
                             &errors);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", errors);
    unsigned count = advice_give(&d->plan, threads, take, page);
    definition_free(d);
    return count;
}

SPEC(advice, a_good_definition_gets_none)
{
    struct page page;
    CHECK_EQ(advise("return topology 't' {\n"
                    "  spout 'in' { list { {1} }, fields = {'n'} },\n"
                    "  bolt 'a' { from = fields('in', 'n'), tasks = 2, every = "
                    "'1ms', tick = function() end, fields = {'n'}, execute = "
                    "function() end },\n"
                    "  bolt 'end' { from = shuffle 'a', execute = function() "
                    "end },\n"
                    "}",
                    1, &page),
             0);
    CHECK_TEXT(page.text, "");
}

SPEC(advice, a_stream_that_nobody_reads_is_said)
{
    struct page page;
    CHECK_EQ(advise("return topology 't' {\n"
                    "  spout 'in' { list { {1} }, fields = {'n'} },\n"
                    "  bolt 'a' { from = shuffle 'in',\n"
                    "    streams = { default = {'n'}, bad = {'why'} },\n"
                    "    execute = function() end },\n"
                    "  sink 'out' { from = shuffle 'a', null {} },\n"
                    "}",
                    2, &page),
             1);
    CHECK_HAS(page.text, "3: nobody reads stream 'bad' of bolt 'a'");
    CHECK_HAS(page.text, "shuffle \"a:bad\"");
}

SPEC(advice, a_reader_of_what_has_no_fields_is_said)
{
    struct page page;
    CHECK_EQ(advise("return topology 't' {\n"
                    "  spout 'in' { list { {1} }, fields = {'n'} },\n"
                    "  bolt 'a' { from = shuffle 'in',\n"
                    "    execute = function() end },\n"
                    "  sink 'out' { from = shuffle 'a', null {} },\n"
                    "}",
                    2, &page),
             1);
    CHECK_HAS(page.text, "5: sink 'out' reads 'a', which names no fields");
}

SPEC(advice, a_grouping_without_effect_is_said)
{
    struct page page;
    CHECK_EQ(
        advise("return topology 't' {\n"
               "  spout 'in' { list { {1} }, fields = {'n'} },\n"
               "  bolt 'one' { from = fields('in', 'n'),\n"
               "    execute = function() end },\n"
               "  sink 'many' { from = global 'in', tasks = 3, null {} },\n"
               "}",
               2, &page),
        2);
    CHECK_HAS(page.text, "3: bolt 'one' reads 'in' by fields and has one task");
    CHECK_HAS(page.text, "5: sink 'many' has 3 tasks and reads 'in' by global");
}

SPEC(advice, tasks_and_ticks_out_of_proportion_are_said)
{
    struct page page;
    static const char text[] =
        "return topology 't' {\n"
        "  spout 'in' { list { {1} }, fields = {'n'} },\n"
        "  sink 'out' { from = shuffle 'in', tasks = 9, every = '500us',\n"
        "    execute = function() end, tick = function() end },\n"
        "}";
    CHECK_EQ(advise(text, 2, &page), 2);
    CHECK_HAS(page.text, "3: sink 'out' has 9 tasks on 2 threads");
    CHECK_HAS(page.text, "3: sink 'out' ticks every 500 us");
    CHECK_EQ(advise(text, 3, &page), 1);
}
