/* pattern_spec.c - the pattern functions do what Lua's own do, in bounded time
 * and without leaving anything behind. */
#include "core/random.h"
#include "core/short.h"
#include "lua/byteset.h"
#include "lua/pattern.h"
#include "lua/vm.h"
#include "spec/spec.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The Lua side of the stories. `string` is Lua's own, `ours` the engine's. */
static const char prelude[] =
    "local stock = string\n"
    "local NAMES = {'find', 'match', 'gmatch', 'gsub'}\n"
    "local function show(r)\n"
    "  local out = {}\n"
    "  for i = 1, r.n do\n"
    "    out[i] = type(r[i]) == 'string' and stock.format('%q', r[i])\n"
    "      or tostring(r[i])\n"
    "  end\n"
    "  return table.concat(out, ', ')\n"
    "end\n"
    "local function equal(a, b)\n"
    "  if a.n ~= b.n then return false end\n"
    "  for i = 1, a.n do\n"
    "    if a[i] ~= b[i] or math.type(a[i]) ~= math.type(b[i]) then\n"
    "      return false\n"
    "    end\n"
    "  end\n"
    "  return true\n"
    "end\n"
    /* All that an iterator gives, and what it gives after its end. */
    "local function drain(lib, s, p, init)\n"
    "  local out, n = {}, 0\n"
    "  for a, b, c in lib.gmatch(s, p, init) do\n"
    "    out[n + 1], out[n + 2], out[n + 3] = a, b, c\n"
    "    n = n + 3\n"
    "  end\n"
    "  return table.unpack(out, 1, n)\n"
    "end\n"
    "local function run(lib, name, ...)\n"
    "  if name == 'gmatch' then return pcall(drain, lib, ...) end\n"
    "  return pcall(lib[name], ...)\n"
    "end\n"
    /* nil, or what differs; second: the call was over our step limit. */
    "function differ(name, ...)\n"
    "  local b = table.pack(run(ours, name, ...))\n"
    "  if b[1] == false and stock.find(b[2], 'steps; make', 1, true) then\n"
    "    return nil, true\n"
    "  end\n"
    "  local a = table.pack(run(stock, name, ...))\n"
    "  if equal(a, b) then return nil end\n"
    "  return name .. '(' .. show(table.pack(...)) .. ') gave ' .. show(b)\n"
    "    .. ', not ' .. show(a)\n"
    "end\n"
    "function agree(...)\n"
    "  local text = differ(...)\n"
    "  if text then error(text, 0) end\n"
    "end\n"
    /* The outcome of a piece of Lua that calls `s`, with either library. */
    "function both(code)\n"
    "  local function with(lib)\n"
    "    local env = setmetatable({s = lib}, {__index = _G})\n"
    "    return table.pack(pcall(load(code, '=case', 't', env)))\n"
    "  end\n"
    "  local a, b = with(stock), with(ours)\n"
    "  if not equal(a, b) then\n"
    "    error(code .. ' gave ' .. show(b) .. ', not ' .. show(a), 0)\n"
    "  end\n"
    "  return show(b)\n"
    "end\n"
    "function fails(code, text)\n"
    "  local shown = both(code)\n"
    "  if not stock.find(shown, text, 1, true) then\n"
    "    error(code .. ' gave ' .. shown .. ', not ' .. text, 0)\n"
    "  end\n"
    "end\n"
    "function over_limit(name, ...)\n"
    "  local ok, text = run(ours, name, ...)\n"
    "  assert(not ok and stock.find(text, 'pattern takes more than 1000000 '\n"
    "    .. 'steps; make it simpler or anchor it', 1, true), tostring(text))\n"
    "end\n"
    "function random_from(seed)\n"
    "  local x = seed * 0x9e3779b97f4a7c15 | 1\n"
    "  return function(n)\n"
    "    x = x ~ (x << 13); x = x ~ (x >> 7); x = x ~ (x << 17)\n"
    "    return (x >> 11) % n + 1\n"
    "  end\n"
    "end\n";

static void open_all(lua_State *L)
{
    luaL_openlibs(L);
    lua_newtable(L);
    pattern_open(L);
    lua_setglobal(L, "ours");
}

static void check_lua(lua_State *L, int status)
{
    if (status == LUA_OK) return;
    char text[512];
    snprintf(text, sizeof text, "%s", lua_tostring(L, -1));
    lua_close(L);
    spec_fail(__FILE__, __LINE__, "%s", text);
}

/* An allocator that fails, and counts what is out. */
struct heap {
    size_t bytes;
    size_t calls, fail_from, fail_to; /* calls of this range get NULL */
};

static void *heap_alloc(void *ud, void *block, size_t old_bytes, size_t bytes)
{
    struct heap *h = ud;
    if (block == NULL) old_bytes = 0;
    if (bytes == 0) {
        free(block);
        h->bytes -= old_bytes;
        return NULL;
    }
    if (bytes > old_bytes) {
        h->calls++;
        if (h->calls >= h->fail_from && h->calls < h->fail_to) return NULL;
    }
    void *moved = realloc(block, bytes + SHORT_SLACK);
    if (moved != NULL) h->bytes += bytes - old_bytes;
    return moved;
}

static lua_State *state_new(void)
{
    static struct heap never_fails = {.fail_from = SIZE_MAX};
    lua_State *L = lua_newstate(heap_alloc, &never_fails);
    CHECK(L != NULL);
    memset(lua_getextraspace(L), 0, LUA_EXTRASPACE);
    open_all(L);
    check_lua(L, luaL_dostring(L, prelude));
    return L;
}

/* Runs `code` in a new state; an error there fails the story. */
static void tell(const char *code)
{
    lua_State *L = state_new();
    lua_pushinteger(L, (lua_Integer)spec_seed);
    lua_setglobal(L, "seed");
    check_lua(L, luaL_dostring(L, code));
    lua_close(L);
}

SPEC(pattern, finds_what_stock_lua_finds)
{
    tell(
        "for _, p in ipairs{'', 'b', 'lo w', '^h', '^', '$', '^$', 'd$', '.',\n"
        "    '.-', '.*', '.+', 'l+', 'l*o', 'l-o', 'x?h', 'hx?e', '%a+', "
        "'%A',\n"
        "    '[a-f]', '[^a-f]+', '[]]', '[^]]', '[]-a]', '[a-]', '[-a]',\n"
        "    '[a-%%]', '[%a_]+', '[%]]', '[^%s]+', '(l)(l)', '(l)%1', "
        "'()ll()',\n"
        "    '((.)(.))', '%f[%w]%w+', '%f[%W]', '%f[%z]', '%b()', '%b[]x', "
        "'%(',\n"
        "    '%$', 'a$b', '^^', '*', '+a', '?', '-', '**', '(()())', "
        "'((l)l)',\n"
        "    ')', ']', 'w%a*', 'o.-o', '(.-)%s(.*)', '%d*', '%x+', '%q', "
        "'%Q',\n"
        "    '\\0', '[\\0-\\31]', '%z', '%Z+', '.\\0', '[^\\0]*', '%bxx', "
        "'ll?l?',\n"
        "    '()%1', 'a()%1', '(()b)%2', '(l+)%1', '(%a+)o%1',\n"
        "    '(a+)b%1', '(.+)=%1', 'l-l?$', '[l-o]-o?$', 'l-%f[%z]', "
        "'[lo]-%f[%W]', 'X-X?b', 'a.-b?$',\n"
        "    'l*l?$', 'd*d', '%f[%z].*', '%w+%f[%W]', '(h?)(e?)%1%2', "
        "'(a*(.)%w(%s*))', '[%%]', '[+-%%]x]', '[a-%%]]'}\n"
        "do\n"
        "  for _, s in ipairs{'', 'hello world', 'hello\\0world', "
        "'(a(b)c)[x]x',\n"
        "      'aXXb', ']', '-', '^', '$a$b', 'THE (quick) fox', 'xab=ab', "
        "'aaba', 'aaa', '%%', "
        "'\\0\\0',\n"
        "      ' 12ab ', 'll', '*+?-', 'b%]x] QaqQ'} do\n"
        "    for init = -3, 7 do\n"
        "      agree('find', s, p, init) agree('match', s, p, init)\n"
        "      agree('gmatch', s, p, init)\n"
        "      agree('find', s, p, init, true)\n"
        "      agree('gsub', s, p, '<%0>', init)\n"
        "    end\n"
        "    agree('gsub', s, p, '') agree('gsub', s, p, 'x')\n"
        "    agree('gsub', s, p, '%1.%1') agree('gsub', s, p, '%2')\n"
        "    agree('gsub', s, p, {l = 'L', hello = 1, o = false, [1] = "
        "'one'})\n"
        "    agree('gsub', s, p, function(a, b) return b or a end)\n"
        "    agree('gsub', s, p, function(a) return a == 'l' and 'L' end)\n"
        "    agree('gsub', s, p, function() end)\n"
        "  end\n"
        "end");
}

SPEC(pattern, classes_are_those_of_the_c_locale)
{
    tell("local all = {}\n"
         "for c = 0, 255 do all[c + 1] = string.char(c) end\n"
         "local s = table.concat(all)\n"
         "for _, letter in ipairs(all) do\n"
         "  if letter ~= 'b' and letter ~= 'f' then\n"
         "    agree('gsub', s, '%' .. letter, '<%0>')\n"
         "  end\n"
         "  agree('gsub', s, '[%' .. letter .. 'x]+', '<%0>')\n"
         "  agree('gsub', s, '[^%' .. letter .. '].', '<%0>')\n"
         "  agree('gsub', s, '[a-' .. letter .. ']', '<%0>')\n"
         "  agree('gsub', s, letter, '<%0>')\n"
         "  agree('gsub', s, letter .. '*', '<%0>')\n"
         "  agree('find', s, letter)\n"
         "end");
}

SPEC(pattern, mistakes_are_told_in_lua_s_words)
{
    tell(
        "fails([[return s.find('a', '%')]], \"malformed pattern (ends with\"\n"
        "  .. \" '%')\")\n"
        "fails([[return s.find('a', '[')]], \"(missing ']')\")\n"
        "fails([[return s.find('a', '[]')]], \"(missing ']')\")\n"
        "fails([[return s.find('a', '[^')]], \"(missing ']')\")\n"
        "fails([[return s.find('a', '[^]')]], \"(missing ']')\")\n"
        "fails([[return s.find('a', '[a%')]], \"(missing ']')\")\n"
        "fails([[return s.find('a', '[a%]')]], \"(missing ']')\")\n"
        "fails([[return s.find('a', '%f')]], \"missing '[' after '%f' in\")\n"
        "fails([[return s.find('a', '%fa')]], \"missing '[' after '%f' in\")\n"
        "fails([[return s.find('a', '%f[a')]], \"(missing ']')\")\n"
        "fails([[return s.find('a', '%b')]], \"(missing arguments to '%b')\")\n"
        "fails([[return s.find('a', '%bx')]], \"missing arguments to '%b'\")\n"
        "fails([[return s.find('a', '(a')]], 'unfinished capture')\n"
        "fails([[return s.match('a', '(')]], 'unfinished capture')\n"
        "fails([[return s.gsub('a', '(a', '%1')]], 'unfinished capture')\n"
        "fails([[return s.match('a', ')')]], 'invalid pattern capture')\n"
        "fails([[return s.find('a', 'a)')]], 'true, nil')\n"
        "fails([[return s.find('a', '.)')]], 'invalid pattern capture')\n"
        "fails([[return s.find('a', '()a)')]], 'invalid pattern capture')\n"
        "fails([[return s.find('a', '%1')]], 'invalid capture index %1')\n"
        "fails([[return s.find('a', '(%1)')]], 'invalid capture index %1')\n"
        "fails([[return s.find('a', '%0')]], 'invalid capture index %0')\n"
        "fails([[return s.find('a', '(a)%9')]], 'invalid capture index %9')\n"
        "fails([[return s.find('a', ('()'):rep(33))]], 'too many captures')\n"
        "fails([[return s.find('a', ('()'):rep(32))]], 'true')\n"
        "fails([[return s.find('a', ('(a?'):rep(33))]], 'too many captures')\n"
        "fails([[return s.gsub('a', 'a', '%2')]], 'invalid capture index %2')\n"
        "fails([[return s.gsub('a', 'a', '%')]], \"invalid use of '%' in "
        "rep\")\n"
        "fails([[return s.gsub('a', 'a', 'x%y')]], \"invalid use of '%'\")\n"
        "fails([[return s.gsub('a', 'a', {a = {}})]],\n"
        "  'invalid replacement value (a table)')\n"
        "fails([[return s.gsub('a', 'a', function() return print end)]],\n"
        "  'invalid replacement value (a function)')\n"
        "fails([[return s.gsub('a', 'a', {a = true})]],\n"
        "  'invalid replacement value (a boolean)')\n"
        "fails([[return s.gsub('a', 'a')]], 'string/function/table expected')\n"
        "fails([[return s.gsub('a', 'a', true)]], 'string/function/table')\n"
        "fails([[return s.gsub('a', 'a', 'x', 'y')]], 'number expected')\n"
        "fails([[return s.find()]], 'string expected, got no value')\n"
        "fails([[return s.find('a', {})]], 'string expected, got table')\n"
        "fails([[return s.find('a', 'a', 'x')]], 'number expected')\n"
        "fails([[return s.match('a', 'a', 1.5)]], 'no integer represent')\n"
        "fails([[return s.gmatch('a')]], 'string expected, got no value')\n"
        "fails([[for a in s.gmatch('a', '%') do end]], 'ends with')\n"
        "fails([[s.gsub('a', 'a', function() error('mine') end)]], 'mine')\n");
}

SPEC(pattern, a_mistake_that_is_not_reached_is_none)
{
    tell("fails([[return s.find('x', 'a%')]], 'true, nil')\n"
         "fails([[return s.find('x', 'a+[')]], 'true, nil')\n"
         "fails([[return s.match('x', '(a')]], 'true, nil')\n"
         "fails([[return s.match('x', 'a-a)')]], 'true, nil')\n"
         "fails([[return s.gsub('xyz', 'a%1', '')]], 'true, \"xyz\", 0')\n"
         "fails([[return s.gsub('xyz', 'a', '%9')]], 'true, \"xyz\", 0')\n"
         "fails([[return s.gsub('xyz', '(y', '-')]], 'true, \"x-z\", 1')\n"
         "fails([[return s.gsub('xyz', 'y', true, 0)]], 'string/function')\n"
         "fails([[return s.gsub('xyz', '%', '', 0)]], 'true, \"xyz\", 0')\n"
         "fails([[return s.find('x', '%', 3)]], 'true, nil')\n"
         "fails([[return s.gmatch('x', '%') ~= nil]], 'true, true')");
}

SPEC(pattern, numbers_and_methods_work_as_with_lua_s_own)
{
    tell("both [[return s.find(1234, 23)]]\n"
         "both [[return s.match(12.5, '%d+')]]\n"
         "both [[return s.gsub(1213, 1, 7)]]\n"
         "both [[return s.gsub(1213, 9, 7)]]\n"
         "both [[return s.gsub('abc', '%w', '%0%0', '2')]]\n"
         "both [[return s.gsub('abc', '%w', 'x', -1)]]\n"
         "both [[return s.gsub('abc', 'b', setmetatable({}, {__index =\n"
         "  function(_, k) return k .. k end}))]]\n"
         "both [[return s.gsub('a b', '()%a', {'one', [3] = 3})]]\n"
         "both [[return s.gsub('hello', '', '-')]]\n"
         "both [[return s.gsub('abc', '%w', '%%%0')]]\n"
         "both [[return s.gsub('a\\0b', '%z', '%0\\0%0')]]\n"
         "both [[return s.gsub('abc', 'b', '\\0%0')]]\n"
         "both [[return s.find('', '', 2)]]\n"
         "both [[return s.find('a', '', math.mininteger)]]\n"
         "both [[return s.find('a', '', math.maxinteger)]]\n"
         "both [[return s.find('a.b', '.', 2, true)]]\n"
         "both [[return s.find('a.b', '.', 2, 0)]]\n"
         "both [[return s.find('a.b', '.', 2, false)]]\n"
         "both [[local it = s.gmatch('ab', '.') return it(), it(), it(), "
         "it()]]\n"
         "both [[return select('#', s.gmatch('', 'x')())]]\n"
         "both [[return s.gsub(('x'):rep(5000), 'x', 'yy')]]");
}

SPEC(pattern, too_complex_comes_at_the_same_depth)
{
    tell("for n = 199, 201 do\n"
         "  for _, item in ipairs{'a?', 'a*', 'a-', 'b*', '[ab]?'} do\n"
         "    for _, s in ipairs{('a'):rep(n), ('a'):rep(n + 1), 'aa', ''} do\n"
         "      agree('find', s, item:rep(n))\n"
         "      agree('find', s, item:rep(n - 2) .. '()()')\n"
         "      agree('find', s, '(' .. item:rep(n - 2) .. ')')\n"
         "    end\n"
         "  end\n"
         "  agree('find', ('a'):rep(300), ('a?b?'):rep(n))\n"
         "  agree('find', ('ab'):rep(n), ('a+b+'):rep(n // 2))\n"
         "  agree('find', ('ab'):rep(n), ('a+b+'):rep(n // 2) .. '()')\n"
         "end\n"
         "fails([[return s.find(('a'):rep(300), ('a?'):rep(300))]],\n"
         "  'pattern too complex')");
}

static const char random_story[] =
    "local pieces = {'a', 'b', 'a', 'b', '.', '%a', '%d', '%w', '%A', '%s', "
    "'a*',\n"
    "  'a+', 'a-', 'a?', '.*', '.-', '.+', '[ab]', '[^a]', '[a-b]', '[^a-]', "
    "'[',\n"
    "  ']', '(', ')', '(', ')', '()', '(.)', '%1', '%2', '%b()', '%bab', "
    "'%f[a]',\n"
    "  '%f[%z]', '%f[^b]', '^', '$', '*', '+', '-', '?', '%', '%%', '%.', "
    "'\\0',\n"
    "  '[%a]', '[]a]', '%z', '1', 'ab', 'ba', '(a*)', '(a+)', '(%w+)', '%1', "
    "'(.-)', '[b-%a]', '%f'}\n"
    "local letters = {'a', 'b', 'a', 'b', 'a', '(', ')', '1', ' ', '\\0', '%', "
    "']'}\n"
    "local templates = {'', 'x', '<%0>', '%1%1', '%2', '%%', '[%1|%2]', '%', "
    "'%9'}\n"
    "local random = random_from(seed)\n"
    "local function build(from, most)\n"
    "  local out = {}\n"
    "  for i = 1, random(most) - 1 do out[i] = from[random(#from)] end\n"
    "  return table.concat(out)\n"
    "end\n"
    "local over = 0\n"
    "local function try(...)\n"
    "  local text, limited = differ(...)\n"
    "  if text then error(text, 0) end\n"
    "  if limited then over = over + 1 end\n"
    "end\n"
    "for i = 1, rounds do\n"
    "  local p = build(pieces, 9)\n"
    "  if random(8) == 1 then p = '^' .. p end\n"
    "  for _ = 1, 3 do\n"
    "    local s, init = build(letters, 14), random(9) - 4\n"
    "    try('find', s, p, init)\n"
    "    try('match', s, p, init)\n"
    "    try('gmatch', s, p, init)\n"
    "    try('gsub', s, p, templates[random(#templates)], random(20) - 1)\n"
    "    try('gsub', s, p, {a = 'A', b = false, ab = 7, [1] = '@'})\n"
    "    try('gsub', s, p, function(a, b) return b or a == 'a' and 'x' end)\n"
    "  end\n"
    "end\n"
    "return over";

/* `rounds` random patterns, 18 calls each, with the story's seed. */
static void tell_random(lua_State *L, lua_Integer rounds)
{
    lua_pushinteger(L, (lua_Integer)spec_seed);
    lua_setglobal(L, "seed");
    lua_pushinteger(L, rounds);
    lua_setglobal(L, "rounds");
    check_lua(L, luaL_dostring(L, random_story));
    lua_settop(L, 0);
}

SPEC(pattern, random_patterns_agree_with_stock_lua)
{
    lua_State *L = state_new();
    FOR_SEEDS(20) tell_random(L, 100);
    lua_close(L);
}

SPEC(pattern, runs_of_one_set_are_stock_lua_s_whatever_their_length)
{
    tell("local sets = {'%a+', '%w+', '[^,]+', '%s+', '.+', '[aeiou]+', "
         "'(%d+)', '[%w_]+', '%S+', '[a-cx-z0-9_]+', '[\\0-\\31]+', 'a+'}\n"
         "for n = 0, 200 do\n"
         "  local random, t = random_from(seed * 1000 + n), {}\n"
         "  while #t < n do\n"
         "    local c = random(6) == 1 and ', ' or random(9) == 1 and '\\0'\n"
         "      or string.char(random(256) - 1)\n"
         "    for _ = 1, random(n // 20 + 5) do t[#t + 1] = c end\n"
         "    t[#t + 1] = string.char(96 + random(26))\n"
         "  end\n"
         "  local s = table.concat(t)\n"
         "  for _, p in ipairs(sets) do\n"
         "    agree('gmatch', s, p)\n"
         "    agree('gmatch', s, p, random(#s + 1))\n"
         "  end\n"
         "end");
}

SPEC(pattern, an_iterator_that_ended_stays_so)
{
    tell("local it = ours.gmatch(('x'):rep(64), '%a+')\n"
         "assert(it() == ('x'):rep(64))\n"
         "for i = 1, 100 do assert(it() == nil) end");
}

SPEC(byteset, members_of_a_block_are_those_of_the_set)
{
    static uint8_t table[SET_TABLE_BYTES];
    struct rng r = {spec_seed};
    FOR_SEEDS(300)
    {
        struct byteset bytes = byteset_nothing;
        char text[SET_BLOCK + 40];
        unsigned ranges = (unsigned)rng_below(&r, 7);
        for (unsigned i = 0; i < ranges; i++) {
            unsigned low = (unsigned)rng_below(&r, 256);
            unsigned width = (unsigned)rng_below(&r, 40);
            for (unsigned c = low; c <= low + width && c < 256; c++)
                byteset_put(&bytes, (uint8_t)c);
        }
        if (rng_below(&r, 3) == 0) byteset_invert(&bytes);
        struct set x;
        memset(table, 0, sizeof table);
        set_make(&x, &bytes, table, 4);
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)rng_below(&r, 256);
        const char *s = text + rng_below(&r, 20);
        const char *end = s + rng_below(&r, SET_BLOCK + 20);
        uint64_t members = set_members(&x, s, end);
        for (int i = 0; i < SET_BLOCK; i++)
            CHECK_EQ(members >> i & 1,
                     s + i < end && byteset_in(&bytes, (uint8_t)s[i]));
    }
}

SPEC(pattern, hostile_patterns_end_soon)
{
    tell("local a = ('a'):rep(600)\n"
         "over_limit('find', ('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))\n"
         "over_limit('find', a:sub(1, 200), '.-.-.-.-b')\n"
         "over_limit('match', a, '(.-)(.-)(.-)b')\n"
         "over_limit('gmatch', a, '.*.*.*.*b')\n"
         "over_limit('gsub', a, '.-.-.-b', '')\n"
         "over_limit('find', ('('):rep(100000), '%b()')\n"
         "over_limit('find', ('a'):rep(100000), '(a*)%1b')\n"
         "over_limit('find', ('a'):rep(200000), ('a'):rep(100000) .. '.b')\n"
         "local ok, text = pcall(function()\n"
         "  ours.find(a, '.-.-.-b')\n"
         "end)\n"
         "assert(text:match '^%[string .*%]:%d+: pattern takes', text)");
}

SPEC(pattern, long_subjects_stay_within_the_limit)
{
    tell("local s = ('ab, '):rep(100000)\n"
         "local n = 0\n"
         "for w in ours.gmatch(s, '%a+') do n = n + 1 end\n"
         "assert(n == 100000)\n"
         "assert(select(2, ours.gsub(s, '%s+', ' ')) == 100000)\n"
         "assert(select(2, ours.gsub(s, '.', '')) == 400000)\n"
         "assert(select(2, ours.gsub(s, '', '')) == 400001)\n"
         "assert(#ours.match(s, '^%s*(.-)%s*$') == 399999)\n"
         "assert(ours.find(s, 'x=(%d+)') == nil)\n"
         "assert(ours.find(('a'):rep(1000000), 'a+b') == nil)\n"
         "assert(ours.find(s, ('ab, '):rep(50000) .. 'c', 1, true) == nil)");
}

SPEC(pattern, more_patterns_than_the_cache_holds_stay_right)
{
    tell(
        "local random = random_from(seed)\n"
        "for i = 1, 3000 do\n"
        "  local n = random(300)\n"
        "  assert(ours.match('<' .. n .. '>', '<(' .. n .. ')>') == '' .. n)\n"
        "  assert(ours.find('x' .. n, '^x' .. n .. '$') == 1)\n"
        "  if random(50) == 1 then collectgarbage() end\n"
        "end\n"
        /* A new pattern may stand where a forgotten one stood. */
        "for i = 100, 999 do\n"
        "  local p = 'x' .. i .. '%d?x' .. i % 7\n"
        "  for _ = 1, 3 do assert(ours.find('x' .. i .. 'x' .. i % 7, p)) end\n"
        "  p = nil\n"
        "  if i % 20 == 0 then collectgarbage() end\n"
        "end\n"
        "local long = ('[a-z]?'):rep(150)\n"
        "for i = 1, 20 do\n"
        "  assert(ours.match('hello', long) == 'hello')\n"
        "  assert(ours.find('^a', '^a', 1, true) == 1)\n"
        "  assert(ours.gmatch('^a', '^a')() == '^a')\n"
        "  assert(ours.find('^a', '^a') == nil)\n"
        "end");
}

SPEC(pattern, an_iterator_and_a_gsub_outlive_the_cache)
{
    tell("local function churn()\n"
         "  for i = 1, 300 do ours.find('x', 'x?y*' .. i) end\n"
         "  collectgarbage()\n"
         "end\n"
         "local it = ours.gmatch(('k1=v2 '):rep(5), '(' .. '%a)(%d)')\n"
         "local out = {}\n"
         "for a, b in it do\n"
         "  out[#out + 1] = a .. b\n"
         "  churn()\n"
         "end\n"
         "assert(table.concat(out) == ('k1v2'):rep(5))\n"
         "local s = ours.gsub('a1b2c3', '(%a)(%' .. 'd)', function(a, b)\n"
         "  churn()\n"
         "  return ours.gsub(b .. a, '(.)(.)', '%2%2%1')\n"
         "end)\n"
         "assert(s == 'aa1bb2cc3', s)");
}

static int run_code(lua_State *L)
{
    if (luaL_loadstring(L, lua_touserdata(L, 1)) != LUA_OK) lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

/* Runs `code` as one call with a budget of 300,000 steps. */
static enum vm_outcome run_in_vm(const char *code)
{
    struct vm *vm;
    struct vm_config config = {
        .counting = true,
        .slice_steps = 1000000,
        .budget_steps = 300000,
    };
    char copy[256];
    snprintf(copy, sizeof copy, "%s", code);
    CHECK_EQ(vm_new(&vm, &config), OK);
    enum vm_outcome outcome = vm_run(vm, NULL, run_code, copy);
    vm_free(vm);
    return outcome;
}

SPEC(pattern, steps_are_charged_to_the_running_call)
{
    CHECK_EQ(run_in_vm("local s = ('a'):rep(40)\n"
                       "for i = 1, 100 do string.find(s, '.-.-b') end"),
             VM_DONE);
    /* Each of these is far from the limit of a pattern. */
    CHECK(run_in_vm("local s = ('a'):rep(40)\n"
                    "for i = 1, 1000 do string.find(s, '.-.-b') end") !=
          VM_DONE);
    CHECK(run_in_vm("local s = ('a'):rep(40)\n"
                    "for i = 1, 1000 do string.gsub(s, '.-.-b', '') end") !=
          VM_DONE);
    CHECK(run_in_vm("local s = ('a'):rep(40)\n"
                    "for i = 1, 1000 do string.gmatch(s, '.-.-b')() end") !=
          VM_DONE);
    /* Nor does an error that is caught hide them. */
    CHECK(run_in_vm("local s = ('a'):rep(400) .. 'b'\n"
                    "for i = 1, 1000 do\n"
                    "  assert(not pcall(string.find, s, '.-.?b%'))\n"
                    "end") != VM_DONE);
}

static int call_everything(lua_State *L)
{
    static const char code[] =
        "local function f(w) return #w > 2 and w .. w end\n"
        "for i = 1, 3 do\n"
        "  assert(ours.find('key=99', '(%a+)=(%d+)' .. i) == nil)\n"
        "  assert(ours.match('key=12' .. i, '^(%a+)=()%d+') == 'key')\n"
        "  for a, b in ours.gmatch('a1 b2', '(%a)(%d)') do assert(a and b) "
        "end\n"
        "  assert(#ours.gsub(('word '):rep(600), '%a+', '<%0%%>') == 4800)\n"
        "  assert(ours.gsub('one to', '%a+', f) == 'oneone to')\n"
        "  assert(ours.gsub('a()b', '()', {[2] = 'x'}) == 'ax()b')\n"
        "  assert(not pcall(ours.gsub, ('x'):rep(3000), 'x', '%3'))\n"
        "  assert(not pcall(ours.find, 'x', '[' .. i))\n"
        "end";
    lua_newtable(L);
    pattern_open(L);
    lua_setglobal(L, "ours");
    if (luaL_loadstring(L, code) != LUA_OK) lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

/* Whether it all went well although some allocations failed. */
static bool call_with_failures(struct heap *h, bool once)
{
    h->fail_to = SIZE_MAX;
    size_t from = h->fail_from;
    h->fail_from = SIZE_MAX;
    lua_State *L = lua_newstate(heap_alloc, h);
    CHECK(L != NULL);
    memset(lua_getextraspace(L), 0, LUA_EXTRASPACE);
    luaL_requiref(L, "_G", luaopen_base, 1);
    luaL_requiref(L, "string", luaopen_string, 1);
    lua_settop(L, 0);
    h->calls = 0;
    h->fail_from = from;
    h->fail_to = once ? from + 1 : SIZE_MAX;
    lua_pushcfunction(L, call_everything);
    int status = lua_pcall(L, 0, 0, 0);
    bool reached = h->calls >= from;
    h->fail_from = SIZE_MAX;
    CHECK(status == LUA_OK || reached);
    lua_close(L);
    CHECK_EQ(h->bytes, 0);
    h->fail_from = from;
    return !reached;
}

SPEC(pattern, each_failing_allocation_ends_by_an_error_and_leaks_nothing)
{
    for (int once = 0; once < 2; once++) {
        struct heap h = {.fail_from = 1};
        while (!call_with_failures(&h, once)) {
            h.fail_from++;
            h.calls = 0;
            CHECK(h.fail_from < 5000);
        }
        CHECK(h.fail_from > 50);
    }
}
