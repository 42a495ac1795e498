/* What scripts can reach, and that what they reach behaves as Lua's own. */
#include "lua/sandbox.h"
#include "lua/vm.h"
#include "spec/sanitized.h"
#include "spec/spec.h"
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

struct script {
    const char *source;
    char result[8192];
    char printed[256];
    int words; /* of the vocabulary; taken away when the chunk has run */
};

static int vocabulary_word(lua_State *L)
{
    lua_pushliteral(L, "a word");
    return 1;
}

/* Runs the source; its first result becomes text. Afterwards the function that
 * it may return second is called, without the vocabulary. */
static int run_source(lua_State *L)
{
    struct script *s = lua_touserdata(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_pushcfunction(L, vocabulary_word);
    lua_setfield(L, -2, "word");
    sandbox_env(L);
    sandbox_load(L, s->source, strlen(s->source), "@script.lua");
    lua_call(L, 0, 2);
    lua_pushnil(L);
    lua_setfield(L, 2, "word");
    if (lua_isfunction(L, -1)) {
        lua_call(L, 0, 1);
        lua_replace(L, -2);
    } else {
        lua_pop(L, 1);
    }
    snprintf(s->result, sizeof s->result, "%s", luaL_tolstring(L, -1, NULL));
    return 0;
}

static void keep_print(void *host, const char *text, size_t bytes)
{
    struct script *s = host;
    snprintf(s->printed, sizeof s->printed, "%.*s", (int)bytes, text);
}

static int64_t noon(void *host)
{
    return 1000000000 * (int64_t)1000000000 + 999999999; /* 2001-09-09 */
}

static int require_nothing(lua_State *L)
{
    return luaL_error(L, "no module '%s'", luaL_checkstring(L, 1));
}

static void run_script(struct script *s, bool counting)
{
    struct vm_config c = {
        .heap_plain = PLAIN,
        .counting = counting,
        .host = s,
        .print = keep_print,
        .wall_ns = noon,
        .require = require_nothing,
        .seed = spec_seed,
    };
    struct vm *vm;
    CHECK_EQ(vm_new(&vm, &c), OK);
    enum vm_outcome o = vm_run(vm, NULL, run_source, s);
    while (o == VM_YIELDED)
        o = vm_resume(vm, NULL);
    if (o == VM_FAILED)
        snprintf(s->result, sizeof s->result, "%s", vm_error(vm));
    vm_free(vm);
}

static void gives(const char *source, const char *result)
{
    for (int counting = 0; counting < 2; counting++) {
        struct script s = {.source = source};
        run_script(&s, counting);
        CHECK_TEXT(s.result, result);
    }
}

static void fails(const char *source, const char *part)
{
    for (int counting = 0; counting < 2; counting++) {
        struct script s = {.source = source};
        run_script(&s, counting);
        CHECK_HAS(s.result, part);
    }
}

/* The same source gives the same text in a stock Lua. */
static void as_in_lua(const char *source)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    char stock[8192];
    if (luaL_loadbuffer(L, source, strlen(source), "@script.lua") == LUA_OK)
        lua_pcall(L, 0, 1, 0);
    snprintf(stock, sizeof stock, "%s", luaL_tolstring(L, -1, NULL));
    lua_close(L);
    gives(source, stock);
}

SPEC(sandbox, has_the_names_of_the_base_set_and_no_others)
{
    gives("local names = {} for name in pairs { 'assert', 'error',\n"
          "  'getmetatable', 'ipairs', 'load', 'next', 'pairs', 'pcall',\n"
          "  'print', 'rawequal', 'rawlen', 'require', 'select',\n"
          "  'setmetatable', 'tonumber', 'tostring', 'type', 'xpcall',\n"
          "  'collectgarbage', '_VERSION', 'string', 'table', 'math', 'utf8',\n"
          "  'coroutine', 'os' } do end\n"
          "for _, name in ipairs { 'assert', 'error', 'getmetatable', 'ipairs',"
          "  'load', 'next', 'pairs', 'pcall', 'print', 'rawequal', 'rawlen',\n"
          "  'require', 'select', 'setmetatable', 'tonumber', 'tostring',\n"
          "  'type', 'xpcall', 'collectgarbage', '_VERSION', 'string',\n"
          "  'table', 'math', 'utf8', 'coroutine', 'os' } do\n"
          "  assert(_ENV[name] ~= nil, name) end\n"
          "for _, name in ipairs { 'dofile', 'loadfile', 'rawget', 'rawset',\n"
          "  'io', 'debug', 'package', '_G', 'warn' } do\n"
          "  assert(_ENV[name] == nil, name) end\n"
          "local kept = {} for k in pairs(os) do kept[#kept + 1] = k end\n"
          "table.sort(kept) return table.concat(kept, ' ')",
          "clock date difftime time");
    gives("return string.dump", "nil");
}

SPEC(sandbox, refuses_a_global_write_with_its_place)
{
    fails("local a = 1\ncounter = 2",
          "script.lua:2: global 'counter' is assigned; declare it local");
    fails("print = nil", "global 'print' is assigned");
    fails("_ENV.x = 1", "global 'x' is assigned");
    fails("function f() end", "global 'f' is assigned");
    fails("load('y = 1')()", "global 'y' is assigned");
    gives("local _ENV = {} x = 1 return x", "1");
    fails("setmetatable(_ENV, {})", "protected metatable");
    gives("return getmetatable(_ENV)", "false");
}

SPEC(sandbox, vocabulary_is_there_while_loading_only)
{
    gives("return word()", "a word");
    gives("return 1, function() return tostring(word) end", "nil");
    gives("return load('return word')()", "nil"); /* load has the base only */
    gives("return load('return w', 'x', 't', { w = 3 })()", "3");
}

SPEC(sandbox, libraries_are_read_only)
{
    fails("string.x = 1", "script.lua:1: string.x is read-only");
    fails("string.rep = nil", "string.rep is read-only");
    fails("table.insert(table, 1)", "table.1 is read-only");
    fails("table.sort(math, nil) math[{}] = 1", "is read-only");
    fails("setmetatable(os, {})", "protected metatable");
    gives("return next(string)", "nil");
    gives("local n = 0 for k, v in pairs(string) do\n"
          "  assert(string[k] == v) n = n + 1 end return n > 12",
          "true");
    /* What pairs hands out must not be the real table. */
    gives("local f, t = pairs(string) pcall(function() t.rep = 1 end)\n"
          "return type(string.rep) .. type(('').rep)",
          "functionfunction");
}

/* Libraries are opened by their first use, of whichever kind that is. */
SPEC(sandbox, a_library_is_whole_at_its_first_use)
{
    static const char *const names[] = {"table", "math", "utf8", "coroutine",
                                        "os"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char source[512], said[64];
        snprintf(source, sizeof source,
                 "local n = 0 for k, v in pairs(%s) do\n"
                 "  assert(%s[k] == v and type(k) == 'string') n = n + 1 end\n"
                 "return n > 3",
                 names[i], names[i]);
        gives(source, "true");
        snprintf(source, sizeof source, "%s.x = 1", names[i]);
        snprintf(said, sizeof said, "%s.x is read-only", names[i]);
        fails(source, said);
        snprintf(source, sizeof source,
                 "local t = setmetatable({}, {__index = %s})\n"
                 "for k, v in pairs(%s) do assert(t[k] == v) end\n"
                 "return tostring(%s.nothing) .. tostring(t.nothing)",
                 names[i], names[i], names[i]);
        gives(source, "nilnil");
        snprintf(source, sizeof source,
                 "local t = setmetatable({}, {__index = %s})\n"
                 "assert(t.nothing == nil)\n"
                 "return tostring(getmetatable(%s)) .. tostring(next(%s))",
                 names[i], names[i], names[i]);
        gives(source, "falsenil");
    }
    as_in_lua("return math.floor(2.5) .. table.concat { 1, 2 }");
    as_in_lua("return select(2, pcall(math.floor))");
    as_in_lua("return select(2, pcall(utf8.char, 'x'))");
}

static int64_t later(void *host)
{
    struct script *s = host;
    return 1000000000 * (int64_t)++s->words; /* a second a look */
}

SPEC(sandbox, the_clock_runs_from_the_birth_of_the_vm)
{
    struct script s = {.source = "os.time() os.time() return os.clock()"};
    struct vm_config c = {.heap_plain = PLAIN, .host = &s, .wall_ns = later};
    struct vm *vm;
    CHECK_EQ(vm_new(&vm, &c), OK);
    CHECK_EQ(vm_run(vm, NULL, run_source, &s), VM_DONE);
    CHECK_TEXT(s.result, "3.0");
    vm_free(vm);
}

SPEC(sandbox, clock_print_require_and_seed_are_the_hosts)
{
    gives("return os.time()", "1000000000");
    gives("return os.date('!%Y-%m-%d %H:%M:%S')", "2001-09-09 01:46:40");
    gives("return os.date('!%Y', 0)", "1970");
    gives("return os.date('!*t').hour", "1");
    gives("return os.clock()", "0.0");
    gives("return os.time { year = 2001, month = 1, day = 2 } > 9e8", "true");
    fails("require 'x'", "no module 'x'");
    struct script s = {.source = "print(1, 'a', nil, 2.5)"};
    run_script(&s, true);
    CHECK_TEXT(s.printed, "1\ta\tnil\t2.5");
    struct script a = {.source = "return math.random(1 << 60)"}, b = a, c = a;
    c.source = "math.random() math.randomseed() return math.random(1 << 60)";
    run_script(&a, false);
    run_script(&b, true);
    run_script(&c, false);
    CHECK_TEXT(a.result, b.result);
    CHECK_TEXT(a.result, c.result);
    spec_seed++;
    run_script(&b, false);
    CHECK(strcmp(a.result, b.result) != 0);
    as_in_lua("math.randomseed(42) return math.random(1 << 60)");
}

SPEC(sandbox, xpcall_gives_what_luas_gives)
{
    as_in_lua("return select('#', xpcall(function(...) return ... end,\n"
              "  print, 1, nil, 3))");
    as_in_lua("local ok, e = xpcall(function() error('x', 0) end,\n"
              "  function(m) return m .. '!' end) return tostring(ok) .. e");
    as_in_lua("return tostring(xpcall(error, function() error 'again' end))");
    gives("local co = coroutine.wrap(function()\n"
          "  local ok, e = xpcall(function(a) coroutine.yield(a)\n"
          "    error('y', 0) end, function(m) coroutine.yield(m)\n"
          "    return m .. '!' end, 'x')\n"
          "  return tostring(ok) .. e end)\n"
          "return co() .. co() .. co()",
          "xyfalsey!");
}

SPEC(sandbox, coroutines_behave_as_luas)
{
    static const char *const stories[] = {
        "local co = coroutine.create(function(a) local b = coroutine.yield(a)\n"
        "  error(b, 0) end)\n"
        "local r = {coroutine.status(co)}\n"
        "for i = 1, 3 do local ok, v = coroutine.resume(co, i)\n"
        "  r[#r + 1] = tostring(ok) .. tostring(v) .. coroutine.status(co) "
        "end\n"
        "return table.concat(r, ' ')",
        "local f = coroutine.wrap(function() error('e') end)\n"
        "local ok, e = pcall(f) return e",
        "local f = coroutine.wrap(function() end) f() local ok, e = pcall(f)\n"
        "return e",
        "local log = ''\n"
        "local co = coroutine.create(function()\n"
        "  local x <close> = setmetatable({}, {__close = function(_, e)\n"
        "    log = log .. tostring(e) end}) coroutine.yield() end)\n"
        "coroutine.resume(co) local ok, e = coroutine.close(co)\n"
        "return log .. tostring(ok) .. tostring(e) .. coroutine.status(co)",
        "local co = coroutine.create(function()\n"
        "  local x <close> = setmetatable({}, {__close = function(_, e)\n"
        "    error('c', 0) end}) error('b', 0) end)\n"
        "local ok, e = coroutine.resume(co)\n"
        "local ok2, e2 = coroutine.close(co)\n"
        "return e .. tostring(ok2) .. tostring(e2)",
        "local f = coroutine.wrap(function()\n"
        "  local x <close> = setmetatable({}, {__close = function(_, e)\n"
        "    error(e .. 'c', 0) end}) error('b', 0) end)\n"
        "return select(2, pcall(f))",
        "local co co = coroutine.create(function()\n"
        "  return coroutine.resume(co) end)\n"
        "local _, ok, e = coroutine.resume(co) return tostring(ok) .. e",
        "return tostring(coroutine.isyieldable()) .. tostring(\n"
        "  coroutine.wrap(function() return coroutine.isyieldable() end)())",
        "local t = {} for w in coroutine.wrap(function() for i = 1, 5 do\n"
        "  coroutine.yield(i) end end) do t[#t + 1] = w end\n"
        "return table.concat(t, ',')",
        "return select('#', coroutine.resume(coroutine.create(\n"
        "  function(...) return ... end), nil, nil))",
    };
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++)
        as_in_lua(stories[i]);
    gives("for i = 1, 2000 do coroutine.wrap(function()\n"
          "  coroutine.yield() end)() end return 'collected'",
          "collected");
}

SPEC(sandbox, table_functions_do_what_luas_do)
{
    static const char *const stories[] = {
        "local t = {1, 2, 3} table.insert(t, 2, 'x') table.insert(t, 'y')\n"
        "return table.concat(t, ',')",
        "local t = {1, 2, 3} local a = table.remove(t, 1)\n"
        "local b = table.remove(t) return a .. b .. #t",
        "return tostring(table.remove({})) .. tostring(table.remove({}, 0))",
        "local t = table.move({1, 2, 3, 4}, 2, 4, 1) return table.concat(t)",
        "local t = table.move({1, 2, 3, 4}, 1, 3, 2) return table.concat(t)",
        "local t = table.move({1, 2, 3}, 1, 3, 3, {9, 9}) return #t",
        "return table.concat({1, 2.5, 'x'}, '-', 2, 3)",
        "return table.concat({}, 'x') .. table.concat({1}, 'x', 2)",
        "return select(2, pcall(table.concat, {1, {}, 3}))",
        "return select(2, pcall(table.insert, {1}, 5, 2))",
        "return select(2, pcall(table.insert, {1}))",
        "return select(2, pcall(table.insert, nil, 1))",
        "return select(2, pcall(table.move, {}, 1, math.maxinteger, 2))",
        "return select(2, pcall(table.sort, {1, 'x', 2}))",
        "local t = {5, 2, 8, 1} table.sort(t, function(a, b) return a > b "
        "end)\n"
        "return table.concat(t, ',')",
        "local p = setmetatable({}, {__index = function(_, i)\n"
        "  return i < 4 and i * i or nil end, __len = function() return 3 end})"
        "return table.concat(p, ' ')",
        "return ('ab'):rep(3) .. ('ab'):rep(3, '-') .. ('x'):rep(0) ..\n"
        "  ('x'):rep(-1) .. ('x'):rep(1, 'sep') .. (''):rep(3, 'ab')",
        "return #('abc'):rep(1001, '..')",
        "return string.format('%5s|%-5s|%d|%q|%%|%x', 'a', 'b', 3, 'q', 255)",
        "return select(2, pcall(string.format, '%d', 'x'))",
        "return select(2, pcall(string.format, '%s'))",
        "return string.format('%s %s', setmetatable({},\n"
        "  {__tostring = function() return 'me' end}), nil)",
    };
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++)
        as_in_lua(stories[i]);
}

SPEC(sandbox, remove_names_the_argument_that_is_wrong)
{
    fails("table.remove({1}, 7)", "#2 to 'remove' (position out of bounds)");
}

SPEC(sandbox, sort_sorts_stably_and_leaves_the_table_on_an_error)
{
    FOR_SEEDS(20)
    {
        gives("for n = 0, 70 do\n"
              "  local t, some = {}, math.random(1, 40)\n"
              "  for i = 1, n do t[i] = {math.random(some), i} end\n"
              "  table.sort(t, function(a, b) return a[1] < b[1] end)\n"
              "  for i = 2, n do local a, b = t[i - 1], t[i]\n"
              "    assert(a[1] < b[1] or a[1] == b[1] and a[2] < b[2]) end\n"
              "  assert(#t == n)\n"
              "end return 'sorted'",
              "sorted");
    }
    gives("local t, n = {3, 1, 2, 5, 4}, 0\n"
          "assert(not pcall(table.sort, t, function(a, b) n = n + 1\n"
          "  if n == 4 then error 'x' end return a < b end))\n"
          "return table.concat(t)",
          "31254");
    /* An inconsistent comparator does no harm. */
    gives("local t = {} for i = 1, 100 do t[i] = i end\n"
          "table.sort(t, function() return true end) return #t",
          "100");
}

SPEC(sandbox, metatables_work_except_finalizers)
{
    as_in_lua("local t = setmetatable({}, {__index = {a = 1}}) return t.a");
    as_in_lua("return select(2, pcall(setmetatable, {}, 1))");
    as_in_lua("return select(2, pcall(setmetatable, 1, {}))");
    as_in_lua(
        "local t = setmetatable({}, {__metatable = 'm'})\n"
        "return getmetatable(t) .. select(2, pcall(setmetatable, t, {}))");
    as_in_lua("return tostring(getmetatable(setmetatable(setmetatable({}, {}),"
              " nil)))");
    fails("setmetatable({}, {__gc = false})", "__gc is not available here");
}

SPEC(sandbox, load_takes_text_only)
{
    as_in_lua("return load('return 1 + 1')()");
    as_in_lua("local i = 0 return load(function() i = i + 1\n"
              "  return ({'return ', '4', '2'})[i] end)()");
    as_in_lua("return select(2, load('x ='))");
    as_in_lua("return select(2, load('x =', '@name'))");
    as_in_lua("return select(2, pcall(load, function() return {} end)) and 1");
    fails("return select(2, load('\\27Lua'))",
          "attempt to load a binary chunk");
    fails("return select(2, load('1', '=x', 'b'))", "only text chunks");
}

SPEC(sandbox, the_simulated_world_walks_in_key_order_without_addresses)
{
    struct script s = {
        .source = "local t, r = {}, {}\n"
                  "for _, k in ipairs {'b', 3, true, 1.5, 'a', false, -1} do\n"
                  "  t[k] = k end\n"
                  "for k in pairs(t) do r[#r + 1] = tostring(k) end\n"
                  "local k = next(t)\n"
                  "while k ~= nil do r[#r + 1] = tostring(k) t[k] = nil\n"
                  "  k = next(t, k) end\n"
                  "for k, v in pairs(setmetatable({}, {__pairs = function()\n"
                  "  return ipairs {7} end})) do r[#r + 1] = v end\n"
                  "return table.concat(r, ' ')"};
    run_script(&s, true);
    CHECK_TEXT(s.result, "-1 1.5 3 a b false true -1 1.5 3 a b false true 7");
    s.source = "local t = {1, 2, 3, 4, 5, x = 1} local n = 0\n"
               "for k in pairs(t) do t[k] = nil n = n + 1 end\n"
               "return n .. tostring(next(t))";
    run_script(&s, true);
    CHECK_TEXT(s.result, "6nil");
    struct script a = {.source = "local t = {}\n"
                                 "return tostring(t) .. tostring(print) ..\n"
                                 "  string.format('%p %s', t, function() end)"};
    struct script b = a;
    run_script(&a, true);
    void *noise = malloc(100000);
    run_script(&b, true);
    free(noise);
    CHECK_TEXT(a.result, b.result);
    CHECK_HAS(a.result, "table: 0x000");
}

/* Each of what they are told, or their error. */
SPEC(sandbox, byte_and_select_do_as_luas)
{
    as_in_lua(
        "local out = {}\n"
        "local function try(f, ...)\n"
        "  local got = table.pack(pcall(f, ...))\n"
        "  if not got[1] and #out > 9 then got[2] = got[2]:match '#%d' end\n"
        "  for i = 1, got.n do out[#out + 1] = tostring(got[i]) end\n"
        "  out[#out + 1] = ';'\n"
        "end\n"
        "try(string.byte) try(string.byte, {}) try(select)\n"
        "local places = { -9, -5, -4, -1, 0, 1, 2, 4, 5, 9,\n"
        "  math.mininteger, math.maxinteger, '2', 1.5, 'x' }\n"
        "for _, s in ipairs { '', 'abcd', '\\0\\255' } do\n"
        "  try(string.byte, s)\n"
        "  for _, i in ipairs(places) do\n"
        "    try(string.byte, s, i)\n"
        "    for _, j in ipairs(places) do try(string.byte, s, i, j) end\n"
        "  end\n"
        "end\n"
        "for _, i in ipairs(places) do\n"
        "  try(select, i) try(select, i, 'a', nil, 'c', nil)\n"
        "end\n"
        "try(string.byte) try(string.byte, {}) try(select)\n"
        "try(select, '#') try(select, '#', nil, nil) try(select, '##', 1)\n"
        "try(string.byte, ('x'):rep(300), 1, -1)\n"
        "return table.concat(out, ' ')");
}
