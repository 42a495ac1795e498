/* self.state: keys and values of all kinds come back as they went, in order,
 * and what a failing call wrote does not. */
#include "core/store_memory.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

/* Runs the body of a bolt's `execute` for 1, 2, … in a topology with a store;
 * what it emits, in order, one line each. */
static char *run(const char *head, const char *execute, unsigned count)
{
    static char out[8192];
    char text[4096];
    snprintf(text, sizeof text,
             "%s\n"
             "return topology 't' {\n"
             "  spout 'in' { generator { count = %u }, fields = {'n'},\n"
             "    retries = 0 },\n"
             "  bolt 'b' { from = global 'in', fields = {'what'},\n"
             "    state = 'durable', execute = function(self, n)\n"
             "      local state = self.state\n%s\n    end },\n"
             "  sink 'out' { from = global 'b', null {} },\n"
             "}\n",
             head, count, execute);
    struct store_memory *memory = store_memory_new();
    struct store_backend backend = store_memory_backend(memory);
    struct store *store = store_new(&backend);
    stream_use_store(store, 1000000);
    struct sim *sim = sim_new(1);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    stream_run(s);
    size_t used = 0;
    out[0] = 0;
    for (unsigned i = 0; i < stream_count(s); i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s",
                                 i ? "|" : "", stream_line(s, i));
    stream_free(s);
    sim_free(sim);
    stream_use_store(NULL, 0);
    store_free(store);
    store_memory_free(memory);
    return out;
}

SPEC(lua_state, gives_back_what_was_written)
{
    CHECK_TEXT(run("",
                   "state.a = 'x' state[1] = 2.5 state[true] = false\n"
                   "state.t = { 1, { k = 'v' } }\n"
                   "self.emit(state.a) self.emit(state[1])\n"
                   "self.emit(state[true]) self.emit(state.t[2].k)\n"
                   "self.emit(state[1.0]) self.emit(state.missing)\n"
                   "state.a = nil self.emit(state.a)",
                   1),
               "x|2.5|false|v|2.5||");
}

SPEC(lua_state, walks_in_the_order_of_keys)
{
    CHECK_TEXT(
        run("",
            "for _, k in ipairs { 'b', 'a', '', 10, 2, -1, -1e300, 0.5,\n"
            "  (1 << 53) + 1, (1 << 53), math.mininteger, true, false,\n"
            "  'ab', math.huge, -math.huge } do state[k] = k end\n"
            "local all = {}\n"
            "for k, v in pairs(state) do\n"
            "  assert(k == v and math.type(k) == math.type(v))\n"
            "  all[#all + 1] = tostring(k)\n"
            "end\n"
            "self.emit(table.concat(all, ' '))",
            1),
        "false true -inf -1e+300 -9223372036854775808 -1 0.5 2 10 "
        "9007199254740992 9007199254740993 inf  a ab b");
}

SPEC(lua_state, walks_over_those_that_begin_so_while_they_change)
{
    CHECK_TEXT(run("",
                   "for i = 1, 1000 do state[('k%04d'):format(i)] = i end\n"
                   "state.j = 1 state.l = 1\n"
                   "local count, sum = 0, 0\n"
                   "for k, v in state:each 'k0' do\n"
                   "  count, sum = count + 1, sum + v\n"
                   "  state[k] = nil\n"
                   "end\n"
                   "self.emit(count .. ' ' .. sum)\n"
                   "local left = 0\n"
                   "for _ in pairs(state) do left = left + 1 end\n"
                   "self.emit(left)",
                   1),
               "999 499500|3");
}

SPEC(lua_state, adds_pushes_and_puts)
{
    CHECK_TEXT(run("",
                   "self.emit(state:add('n'))\n"
                   "self.emit(state:add('n', 41))\n"
                   "self.emit(state:add('n', 0.5))\n"
                   "state:push('l', 'a') state:push('l', 'b')\n"
                   "self.emit(#state.l .. state.l[2])\n"
                   "state:put('t', 'x', 1) state:put('t', 'y', 2)\n"
                   "state:put('t', 'x', nil)\n"
                   "self.emit(tostring(state.t.x) .. state.t.y)\n"
                   "state:set('add', 7) self.emit(state:get('add'))\n"
                   "state:delete('add') self.emit(state:get('add'))",
                   1),
               "1|42|42.5|2b|nil2|7|");
}

/* As its head gets longer, and after calls that failed. */
SPEC(lua_state, pushes_to_long_lists)
{
    CHECK_TEXT(run("",
                   "local before = #(state.l or {})\n"
                   "for i = 1, 33000 do\n"
                   "  state:push('l', before + i)\n"
                   "  if i == 7 then state:push('m', { n, i }) end\n"
                   "end\n"
                   "if n == 3 then error 'three' end\n"
                   "if n < 4 then return end\n"
                   "for i, v in ipairs(state.l) do assert(i == v) end\n"
                   "self.emit(#state.l .. ' ' .. #state.m)\n"
                   "self.emit(state.m[2][1] .. ' ' .. state.m[3][1])\n"
                   "state.l = 'x'\n"
                   "self.emit(tostring(pcall(state.push, state, 'l', 1)))\n"
                   "self.emit(state.l)",
                   4),
               "99000 3|2 4|false|x");
}

SPEC(lua_state, has_nothing_of_a_failing_call)
{
    CHECK_TEXT(run("",
                   "self.emit((state:add('n', n)))\n"
                   "state['k' .. n] = n state.last = n\n"
                   "if n == 3 then state.n = nil error('three') end\n"
                   "if n == 4 then\n"
                   "  self.emit(tostring(state.last) .. tostring(state.k3))\n"
                   "end",
                   4),
               "1|3|7|4nil");
}

SPEC(lua_state, says_what_it_can_not_do)
{
    static const struct {
        const char *execute, *says;
    } cases[] = {
        {"state[{}] = 1", "a key of self.state is a string, a number or a "
                          "boolean, not a table"},
        {"state[0/0] = 1", "NaN is no key of self.state"},
        {"state.f = print", "a function can't travel in a tuple"},
        {"state[('x'):rep(600)] = 1",
         "a key of self.state has 600 bytes, and "},
        {"state.add = 1", "self.state.add is a function of the engine's; write "
                          "self.state:set(\"add\""},
        {"state.s = 'x' state:add('s')",
         "self.state:add of a key whose value is a string"},
        {"state:add('n', '1')", "self.state:add(key, n) adds a number, not a "
                                "string"},
        {"state.s = 1 state:push('s', 1)",
         "self.state:push to a key whose value is a number"},
        {"state.s = 1 state:put('s', 'f', 1)",
         "self.state:put into a key whose value is a number"},
        {"state.add('n')", "call it as self.state:name(…), with a colon"},
        {"local n = #state", "self.state has no length"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[512];
        snprintf(body, sizeof body,
                 "local ok, why = pcall(function() %s end)\n"
                 "self.emit(tostring(why))",
                 cases[i].execute);
        CHECK_HAS(run("", body, 1), cases[i].says);
    }
}

SPEC(lua_state, is_a_windows_too)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 'in' { generator { count = 12 }, fields = {'n'} },\n"
        "  bolt 'b' { from = global 'in', fields = {'sum'}, state = "
        "'durable',\n"
        "    window = tumbling { length = '4 tuples' },\n"
        "    execute = function(self, window)\n"
        "      local sum = self.state:add('windows')\n"
        "      if sum == 2 and not self.failed then\n"
        "        self.failed = true\n"
        "        error('once')\n"
        "      end\n"
        "      self.emit(sum)\n"
        "    end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    struct store_memory *memory = store_memory_new();
    struct store_backend backend = store_memory_backend(memory);
    struct store *store = store_new(&backend);
    stream_use_store(store, 1000000);
    struct sim *sim = sim_new(1);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 3);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(atoi(stream_line(s, i)), i + 1);
    stream_free(s);
    sim_free(sim);
    stream_use_store(NULL, 0);
    store_free(store);
    store_memory_free(memory);
}

/* Values in the state are its own: the script's tables are copies. */
SPEC(lua_state, keeps_a_copy)
{
    CHECK_TEXT(run("",
                   "local t = { 1 } state.t = t t[1] = 2\n"
                   "self.emit(state.t[1])\n"
                   "state:get('t')[1] = 3 self.emit(state.t[1])\n"
                   "t = state:get 't' t[1] = 4 state.t = t\n"
                   "self.emit(state.t[1])",
                   1),
               "1|1|4");
}

SPEC(lua_state, gives_tables_that_are_read_as_any)
{
    CHECK_TEXT(run("",
                   "state.t = { 3, 1, { x = 'a', y = array {} }, 'z' }\n"
                   "local t, all = state.t, {}\n"
                   "for i, v in ipairs(t) do all[i] = type(v) end\n"
                   "self.emit(#t .. table.concat(all, ','))\n"
                   "for k, v in pairs(t[3]) do self.emit(k) end\n"
                   "local k, v = next(state.t[3], (next(t[3])))\n"
                   "self.emit(k)\n"
                   "self.emit((select('#', table.unpack(t))))\n"
                   "self.emit(json.encode(t))\n"
                   "state.u = t self.emit(json.encode(state.u))\n"
                   "state:put('u', 1, t[3]) self.emit(state.u[1].x)\n"
                   "for k, v in pairs(state) do\n"
                   "  self.emit((pcall(function() v[1] = 1 end)))\n"
                   "end",
                   1),
               "4number,number,table,string|x|y|y|4|"
               "[3,1,{\"x\":\"a\",\"y\":[]},\"z\"]|"
               "[3,1,{\"x\":\"a\",\"y\":[]},\"z\"]|a|false|false");
}

SPEC(lua_state, refuses_a_change_inside_a_value)
{
    static const char *const changes[] = {
        "state.t.n = 2",
        "state.t.more = 2",
        "state.t.list[1] = 2",
        "table.insert(state.t.list, 2)",
        "table.sort(state.t.list)",
        "for _, v in pairs(state) do v.n = 2 end",
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "state.t = { n = 1, list = { 5, 4 } }\n"
                 "local ok, why = pcall(function() %s end)\n"
                 "local said = why:find 'read.only; write all of it back'\n"
                 "self.emit(tostring(ok) .. (said and ',said,' or why) ..\n"
                 "  state.t.n .. ',' .. state.t.list[1])",
                 changes[i]);
        CHECK_TEXT(run("", text, 1), "false,said,1,5");
    }
}
