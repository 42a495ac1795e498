/* attack_spec.c - scripts that want all time, all memory or the engine itself:
 * what they get, and that their neighbours don't feel it. */
#include "lua/vm.h"
#include "spec/spec.h"
#include "spec/vm_guest.h"
#include <stdio.h>
#include <time.h>

static const char *const good_bad_good[] = {"good", "bad", "good"};

/* The script's `attack` runs as the second of three tuples. The neighbours
 * must run, within the budget and some. `error`: what the attacker is told,
 * NULL when the attack is merely of no effect. */
static void attack_in(const struct vm_config *config, const char *attack,
                      const char *error)
{
    char source[4096];
    snprintf(source, sizeof source,
             "local function attack()\n%s\nend\n"
             "return function(s)\n"
             "  if s == 'bad' then attack() end\n"
             "  emit(1)\n"
             "end\n",
             attack);
    struct guest g;
    guest_init(&g, config, source);
    int rounds = config->counting ? 2 : 1; /* what it leaves is harmless */
    while (rounds-- > 0) {
        clock_t began = clock(); /* CPU time: the machine may be busy */
        run_batch(&g, good_bad_good, 3);
        long took_ms = (long)((clock() - began) / (CLOCKS_PER_SEC / 1000));
        if (took_ms > 1500)
            spec_fail(__FILE__, __LINE__, "took %ld ms", took_ms);
        if (error) {
            CHECK_EQ(g.batch.failed, 1);
            CHECK_EQ(g.batch.last_failed, 1);
            CHECK_HAS(g.batch.error, error);
        } else if (g.batch.failed) {
            spec_fail(__FILE__, __LINE__, "%s", g.batch.error);
        }
        CHECK_EQ(g.batch.emits, error ? 2 : 3);
    }
    guest_fini(&g);
}

static const char BUDGET[] = "over its budget";

static void attack(const char *code, const char *error)
{
    struct vm_config real = real_config(), counting = counting_config();
    bool over_budget = error && strcmp(error, BUDGET) == 0;
    if (!over_budget) real.budget_ns = 1000 * (uint64_t)MS; /* ends by itself */
    attack_in(&real, code, error);
    attack_in(&counting, code, error);
}

SPEC(attack, endless_loop)
{
    attack("while true do end", BUDGET);
}
SPEC(attack, endless_goto)
{
    attack("::again:: goto again", BUDGET);
}
SPEC(attack, endless_loop_in_pcall)
{
    attack("while true do pcall(function() while true do end end) end", BUDGET);
}
SPEC(attack, recursion_of_pcalls)
{
    attack("local function f() pcall(f) pcall(f) end f()", BUDGET);
}
SPEC(attack, twenty_nested_coroutines)
{
    attack("local function nest(n)\n"
           "  if n == 0 then while true do end end\n"
           "  while true do coroutine.wrap(nest)(n - 1) end\n"
           "end nest(20)",
           BUDGET);
}
SPEC(attack, coroutines_that_catch_all)
{
    attack(
        "while true do\n"
        "  local co = coroutine.create(function()\n"
        "    while true do pcall(function() while true do end end) end end)\n"
        "  coroutine.resume(co) coroutine.close(co)\n"
        "end",
        BUDGET);
}
SPEC(attack, ever_new_coroutines)
{
    attack("while true do coroutine.wrap(function() end)() end", BUDGET);
}
SPEC(attack, ever_new_suspended_coroutines)
{
    attack("while true do coroutine.wrap(coroutine.yield)() end", BUDGET);
}
SPEC(attack, holds_too_many_coroutines)
{
    struct vm_config c = counting_config();
    attack_in(&c,
              "local t = {} for i = 1, 1000 do\n"
              "  t[i] = coroutine.wrap(coroutine.yield) t[i]() end",
              "more than 256 coroutines");
}
SPEC(attack, comparator)
{
    attack("table.sort({3, 2, 1}, function() while true do end end)", BUDGET);
}
SPEC(attack, comparator_that_catches_all)
{
    attack("while true do table.sort({3, 2, 1}, function()\n"
           "  pcall(function() while true do end end) return false end) end",
           BUDGET);
}
SPEC(attack, coroutine_in_a_comparator)
{
    attack("pcall(table.sort, {3, 2, 1}, function()\n"
           "  while true do coroutine.wrap(function()\n"
           "    while true do pcall(function() while true do end end) end\n"
           "  end)() end end)\n"
           "while true do end",
           BUDGET);
}
SPEC(attack, gsub_callback)
{
    attack("string.gsub('aaa', 'a', function() while true do end end)", BUDGET);
}
SPEC(attack, metamethods)
{
    attack("local m = {} m.__add = function() while true do end end\n"
           "return setmetatable({}, m) + 1",
           BUDGET);
    attack("local m = {} m.__lt = function() while true do end end\n"
           "local a, b = setmetatable({}, m), setmetatable({}, m)\n"
           "table.sort({a, b, a})",
           BUDGET);
    attack("tostring(setmetatable({}, {__tostring = function()\n"
           "  while true do end end}))",
           BUDGET);
}
SPEC(attack, tail_calls)
{
    attack("local function f() return f() end f()", BUDGET);
}
SPEC(attack, close_at_a_blocks_end)
{
    attack("do local x <close> = setmetatable({}, {__close = function()\n"
           "  while true do end end}) end",
           BUDGET);
}
SPEC(attack, close_when_the_call_is_dropped)
{
    attack("local function endless() while true do end end\n"
           "local function nested() pcall(endless)\n"
           "  while true do coroutine.wrap(endless)() end end\n"
           "local x <close> = setmetatable({}, {__close = endless})\n"
           "local y <close> = setmetatable({}, {__close = nested})\n"
           "while true do end",
           BUDGET);
}
SPEC(attack, close_of_a_coroutine)
{
    attack("local co = coroutine.create(function()\n"
           "  local x <close> = setmetatable({}, {__close = function()\n"
           "    while true do end end})\n"
           "  coroutine.yield() end)\n"
           "coroutine.resume(co) coroutine.close(co)",
           BUDGET);
}
SPEC(attack, close_of_a_coroutine_that_died_over_budget)
{
    attack("local loop = function() while true do end end\n"
           "local co = coroutine.create(function()\n"
           "  local x <close> = setmetatable({}, {__close = loop})\n"
           "  table.sort({3, 2, 1}, loop) end)\n"
           "pcall(coroutine.resume, co)\n"
           "pcall(coroutine.close, co)\n"
           "while true do end",
           BUDGET);
}
SPEC(attack, nested_close_of_coroutines)
{
    attack("local function nest(n)\n"
           "  local co = coroutine.create(function()\n"
           "    local x <close> = setmetatable({}, {__close = function()\n"
           "      nest(n + 1) end})\n"
           "    coroutine.yield() end)\n"
           "  coroutine.resume(co) assert(coroutine.close(co))\n"
           "end nest(1)",
           "coroutine.close is nested too deep");
}
SPEC(attack, finalizer)
{
    attack("setmetatable({}, {__gc = function() while true do end end})",
           "__gc is not available");
    attack("local m = {} local t = setmetatable({}, m)\n"
           "m.__gc = function() while true do end end\n"
           "t = nil for i = 1, 1000 do t = {} end",
           NULL);
}
SPEC(attack, handler_of_xpcall)
{
    attack("xpcall(error, function() while true do end end)", BUDGET);
}
SPEC(attack, text_of_an_error)
{
    struct vm_config real = real_config(), counting = counting_config();
    const char *code = "error(setmetatable({}, {__tostring = function()\n"
                       "  while true do end end}))";
    attack_in(&real, code, "error object is a table value");
    attack_in(&counting, code, "error object is a table value");
}
SPEC(attack, rep)
{
    attack("assert((''):rep(1 << 40) == '')", NULL);
    attack("('x'):rep(1 << 40)", "not enough memory");
    attack("('x'):rep(1 << 62, 'yyyy')", "too large");
}
SPEC(attack, doubling_a_string)
{
    attack("local s = 'x' while true do s = s .. s end", ""); /* time, memory */
}
SPEC(attack, growing_a_table)
{
    struct vm_config c = real_config();
    c.memory_bytes = 4 << 20;
    attack_in(&c, "local t = {} for i = 1, 1e12 do t[i] = i end",
              "not enough memory");
}
SPEC(attack, library_loops)
{
    attack("table.move({}, 1, 2e8, 1, {})", BUDGET);
    attack("local t = setmetatable({}, {__len = function() return 1 << 50 end})"
           "table.insert(t, 1, 1)",
           BUDGET);
    attack("local t = setmetatable({}, {__len = function() return 1 << 50 end})"
           "table.remove(t, 1)",
           BUDGET);
    attack("table.concat(setmetatable({}, {__index = rawlen}), '', 1, 1 << 50)",
           BUDGET);
    attack("table.unpack({}, 1, 1e7)", "too many results to unpack");
    attack("string.format('%99999999d', 1)", "invalid");
}
/* One call of these is a few instructions of Lua's, and thousands of steps. */
SPEC(attack, many_arguments_results_and_bytes)
{
    static const char *const calls[] = {
        "table.unpack({}, 1, 9e3)",
        "table.pack(...)",
        "select(2, ...)",
        "string.char(...)",
        "utf8.char(...)",
        "math.max(...)",
        "math.min(...)",
        "text:byte(1, 9e3)",
        "text:reverse()",
        "text:lower()",
        "text:upper()",
        "utf8.codepoint(text, 1, 9e3)",
        "utf8.len(text)",
        "utf8.offset(text, 9e4)",
    };
    struct vm_config c = counting_config();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        char code[512];
        snprintf(code, sizeof code,
                 "local text = ('x'):rep(1e5)\n"
                 "local function run(...)\n"
                 "  for i = 1, 1000 do local x = %s end\n"
                 "end\n"
                 "run(text:byte(1, 9e3))",
                 calls[i]);
        attack_in(&c, code, BUDGET);
    }
}
SPEC(attack, sort_without_comparator)
{
    struct vm_config c = counting_config();
    attack_in(&c,
              "local t = {} for i = 1, 30000 do t[i] = i * 7919 % 30011 end\n"
              "table.sort(t)",
              BUDGET);
}
SPEC(attack, pattern)
{
    attack("('a'):rep(28):find(('a?'):rep(28) .. ('a'):rep(28))", "");
}
SPEC(attack, binary_chunks)
{
    attack("local f, why = load('\\27Lua') assert(not f and why:find 'binary')",
           NULL);
    attack("assert(string.dump == nil)", NULL);
    attack("assert(not load('return 1', 'x', 'b'))", NULL);
}
SPEC(attack, endless_reader_of_load)
{
    attack("local s = (' '):rep(3e5) assert(not load(function() return s end))",
           NULL);
    attack("load(function() return ' ' end)", BUDGET);
    attack("load(function() while true do end end)", BUDGET);
}
SPEC(attack, a_million_braces)
{
    attack("local f, why = load('return ' .. ('{'):rep(1e6))\n"
           "assert(not f) error(why)",
           "C stack overflow");
    attack("local f, why = load((' '):rep(2e6)) assert(not f) error(why)",
           "larger than 1 MB");
}
SPEC(attack, string_metatable)
{
    attack("assert(getmetatable('') == false)", NULL);
    attack("getmetatable('').__index.upper = nil", "index a boolean");
    attack("setmetatable('', {})", "table expected");
}
SPEC(attack, collector)
{
    attack("collectgarbage('stop')", "collectgarbage can only");
}
SPEC(attack, endless_recursion)
{
    attack("local function f() return 1 + f() end f()", "");
}
SPEC(attack, executors_own_coroutine)
{
    attack("coroutine.yield()", "outside a coroutine");
    attack("local me = coroutine.running()\n"
           "coroutine.wrap(function() coroutine.close(me) end)()",
           "cannot close a normal coroutine");
    attack("local me = coroutine.running()\n"
           "coroutine.wrap(function()\n"
           "  error(select(2, coroutine.resume(me))) end)()",
           "cannot resume non-suspended");
}
