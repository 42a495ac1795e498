/* self.emit: what it refuses, and that a refusal leaves nothing behind. */
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>

SPEC(emit, refused_under_pcall_reaches_no_route)
{
    static const char text[] =
        "return topology 'two' {\n"
        "  spout 'numbers' { list { {1}, {2}, {3}, {4} }, fields = {'n'} },\n"
        "  bolt 'keys' { from = shuffle 'numbers', fields = {'a', 'b'},\n"
        "    execute = function(self, n)\n"
        "      local key = n\n"
        "      if n % 2 == 0 then key = 0/0 end\n"
        "      local ok = pcall(self.emit, n, key)\n"
        "      assert(ok == (n % 2 == 1))\n"
        "      local ok = pcall(self.emit, {n}, key)\n"
        "      assert(ok == (n % 2 == 1))\n"
        "    end },\n"
        "  bolt 'one' { from = shuffle 'keys', fields = {'a'},\n"
        "    execute = function(self, a, b) self.emit(a) end },\n"
        "  bolt 'two' { from = fields('keys', 'b'), fields = {'a'}, tasks = "
        "2,\n"
        "    execute = function(self, a, b) self.emit(a) end },\n"
        "  sink 'out' { from = { global 'one', global 'two' }, null {} },\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 8);
        CHECK_EQ(stream_has(s, "1"), 2);
        CHECK_EQ(stream_has(s, "[3]"), 2);
        CHECK_EQ(stream_totals(s, "numbers").failed, 0);
        stream_free(s);
        sim_free(sim);
    }
}

static void check_lines(const char *text, unsigned count, const char *line)
{
    struct sim *sim = sim_new(spec_seed);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), count);
    if (count > 0) CHECK_TEXT(stream_line(s, 0), line);
    stream_free(s);
    sim_free(sim);
}

/* 120 MB of ids in all, where a task may keep 64. */
SPEC(emit, of_an_id_that_is_refused_leaves_the_id_nowhere)
{
    check_lines(
        "return topology 't' {\n"
        "  spout 's' { fields = {'n'}, budget = '60s', next = function(self)\n"
        "    for i = 1, 3000 do\n"
        "      local id = ('x'):rep(40000) .. i\n"
        "      assert(not pcall(self.emit_id, id, i % 2 == 0 and 1 or print))\n"
        "    end\n"
        "    self.emit_id('last', 'sent')\n"
        "    return false end,\n"
        "    ack = function(self, id) assert(id == 'last') end },\n"
        "  sink 'out' { from = custom('s', function(values, tasks)\n"
        "    if values[1] == 1 then error 'refused' end\n"
        "    return { tasks[1] } end), null {} } }\n",
        1, "sent");
}

SPEC(emit, of_a_generator_ends_at_once_when_its_count_is_0)
{
    check_lines("return topology 't' {\n"
                "  spout 's' { generator { count = 0 }, fields = {'n'} },\n"
                "  sink 'out' { from = shuffle 's', null {} } }\n",
                0, "");
}

SPEC(emit, asks_no_metamethod_of_a_component)
{
    check_lines("local function hang() while true do end end\n"
                "local function odd(t) return setmetatable(t,\n"
                "  { __index = hang }) end\n"
                "return topology 't' {\n"
                "  spout 's' { list { {1} }, fields = {'n'} },\n"
                "  bolt 'b' (odd { from = shuffle 's', fields = {'n'},\n"
                "    execute = function(self, n) self.emit(n) end }),\n"
                "  sink 'out' { from = shuffle 'b', null {} } }\n",
                1, "1");
}

SPEC(emit, says_of_a_tuple_which_task_it_is_from)
{
    check_lines("return topology 't' {\n"
                "  spout 's' { list { {1} }, fields = {'n'} },\n"
                "  bolt 'a' { from = shuffle 's', fields = {'task', 'place'},\n"
                "    tasks = 3, prepare = function(self, c) self.c = c end,\n"
                "    execute = function(self, n)\n"
                "      self.emit(self.c.task, self.c.index) end },\n"
                "  bolt 'b' { from = shuffle 'a', fields = {'same'},\n"
                "    execute = function(self, task, place)\n"
                "      local t = self.tuple\n"
                "      assert(t.task == task and t.index == place)\n"
                "      self.emit(t.component) end },\n"
                "  sink 'out' { from = shuffle 'b', null {} } }\n",
                1, "a");
}

/* Each nests 40 tables of two: 2^40 numbers, of which 16 MB are looked at. */
SPEC(emit, of_tables_that_hold_one_another_is_charged)
{
    struct sim *sim = sim_new(spec_seed);
    struct stream *s = stream_start(
        sim, sim_node(sim, 1),
        "return topology 't' {\n"
        "  spout 's' { list { {1} }, fields = {'n'}, retries = 0 },\n"
        "  bolt 'b' { from = shuffle 's', fields = {'t'}, budget = '10ms',\n"
        "    execute = function(self, n)\n"
        "      local t = {1} for i = 1, 40 do t = {t, t} end\n"
        "      pcall(self.emit, t) end },\n"
        "  sink 'out' { from = shuffle 'b', null {} } }\n");
    CHECK_EQ(stream_run(s)->gave_up, 1);
    CHECK_EQ(stream_count(s), 0);
    stream_free(s);
    sim_free(sim);
}

/* The first call is dropped in the coroutine, the second finds it ended. */
static void check_dropped(const char *how, const char *line)
{
    char text[1024];
    snprintf(text, sizeof text,
             "return topology 't' {\n"
             "  spout 's' { list { {1}, {2} }, fields = {'n'}, retries = 0 },\n"
             "  bolt 'b' { from = shuffle 's', fields = {'was'},\n"
             "    budget = '10ms', execute = function(self, n)\n"
             "      self.co = self.co or coroutine.create(function(outer)\n"
             "        %s end)\n"
             "      if n == 2 then\n"
             "        self.emit(coroutine.status(self.co)) return end\n"
             "      coroutine.resume(self.co) end },\n"
             "  sink 'out' { from = shuffle 'b', null {} } }\n",
             how);
    check_lines(text, 1, line);
}

SPEC(emit, of_a_call_after_a_dropped_one_finds_its_coroutines_ended)
{
    check_dropped("while true do end", "dead");
    check_dropped("coroutine.wrap(function() while true do end end)()", "dead");
    check_dropped("coroutine.yield()", "suspended");
}
