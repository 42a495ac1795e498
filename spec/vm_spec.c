/* The guest machine: slices, budgets, errors, memory, replays. The batch loop
 * here is the shape in which lua/component.c runs an executor's batches. */
#include "lua/ref.h"
#include "lua/sandbox.h"
#include "lua/vm.h"
#include "spec/spec.h"
#include <lauxlib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifdef SANITIZED
enum { PLAIN = true };
#else
enum { PLAIN = false };
#endif

enum { MS = 1000000, EMITS_MAX = 64 };

/* --- the batch loop --- */

struct batch {
    struct vref execute;
    const char *const *tuples;
    int count;
    int next; /* the tuple in hand is next - 1 */
    int failed;
    int last_failed; /* which */
    char error[4096];
    int slices; /* how often the run was suspended */
    int dropped;
    int64_t emitted[EMITS_MAX];
    int emits;
};

static void note_failure(struct batch *b, const char *why)
{
    b->failed++;
    b->last_failed = b->next - 1;
    snprintf(b->error, sizeof b->error, "%s", why);
}

/* Calls execute for each tuple that is left; also its own continuation. */
static int each_tuple(lua_State *L, int status, lua_KContext ctx)
{
    struct batch *b = (struct batch *)ctx;
    while (b->next < b->count) {
        vm_next_tuple(L);
        vref_push(L, &b->execute);
        lua_pushstring(L, b->tuples[b->next++]);
        lua_callk(L, 1, 0, ctx, each_tuple);
    }
    return 0;
}

static int begin_tuples(lua_State *L)
{
    return each_tuple(L, LUA_OK, (lua_KContext)lua_touserdata(L, 1));
}

/* The one protected call around the batch, and its continuation: after a
 * tuple's error it goes on at the next. The stack: ctx, handler. */
static int guard(lua_State *L, int status, lua_KContext ctx)
{
    struct batch *b = (struct batch *)ctx;
    for (;;) {
        if (status != LUA_OK && status != LUA_YIELD)
            note_failure(b, lua_tostring(L, -1));
        else if (b->next >= b->count)
            return 0;
        lua_settop(L, 2);
        lua_pushcfunction(L, begin_tuples);
        lua_pushlightuserdata(L, b);
        status = lua_pcallk(L, 1, 0, 2, ctx, guard);
    }
}

static int batch_body(lua_State *L)
{
    vm_handler(L);
    return guard(L, LUA_OK, (lua_KContext)lua_touserdata(L, 1));
}

/* --- a guest: a VM with the vocabulary emit(n) and sleep(ns) --- */

struct guest {
    struct vm *vm;
    struct watchdog *watchdog;
    struct watchdog_seat seat, *sits; /* NULL: unwatched or counting */
    struct batch batch;
    const char *source;
    char printed[256];
};

static int emit(lua_State *L)
{
    struct guest *g = vm_host(L);
    if (g->batch.emits < EMITS_MAX)
        g->batch.emitted[g->batch.emits] = luaL_checkinteger(L, 1);
    g->batch.emits++;
    return 0;
}

static int go_to_sleep(lua_State *L)
{
    return vm_sleep(L, (uint64_t)luaL_checkinteger(L, 1));
}

/* Compiles the source, runs it, keeps the function it returns. */
static int define(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    lua_newtable(L);
    lua_pushcfunction(L, emit);
    lua_setfield(L, -2, "emit");
    lua_pushcfunction(L, go_to_sleep);
    lua_setfield(L, -2, "sleep");
    sandbox_env(L);
    sandbox_load(L, g->source, strlen(g->source), "@story.lua");
    lua_call(L, 0, 1);
    vref_take(L, &g->batch.execute);
    return 0;
}

static void keep_print(void *host, const char *text, size_t bytes)
{
    struct guest *g = host;
    snprintf(g->printed, sizeof g->printed, "%.*s", (int)bytes, text);
}

static struct vm_config real_config(void)
{
    return (struct vm_config){
        .heap_plain = PLAIN,
        .budget_ns = 20 * MS,
        .memory_bytes = 32 << 20,
    };
}

static struct vm_config counting_config(void)
{
    return (struct vm_config){
        .counting = true,
        .slice_steps = 20000,
        .budget_steps = 200000,
        .memory_bytes = 32 << 20,
        .seed = 7,
    };
}

static void guest_init(struct guest *g, const struct vm_config *config,
                       const char *source)
{
    *g = (struct guest){.source = source};
    struct vm_config c = *config;
    c.host = g;
    c.print = keep_print;
    CHECK_EQ(vm_new(&g->vm, &c), OK);
    if (!c.counting) {
        CHECK_EQ(watchdog_new(&g->watchdog, 2 * MS), OK);
        watchdog_sit(g->watchdog, &g->seat);
        g->sits = &g->seat;
    }
    /* Unwatched: on a busy machine compiling might take the budget. */
    enum vm_outcome o = vm_run(g->vm, NULL, define, g);
    if (o != VM_DONE) spec_fail(__FILE__, __LINE__, "%s", vm_error(g->vm));
}

static void guest_fini(struct guest *g)
{
    vref_drop(&g->batch.execute);
    vm_free(g->vm);
    if (g->sits) watchdog_leave(g->sits);
    watchdog_free(g->watchdog);
}

/* Runs the tuples to their end, whatever happens on the way. */
static void run_batch(struct guest *g, const char *const *tuples, int count)
{
    struct batch *b = &g->batch;
    b->tuples = tuples;
    b->count = count;
    b->next = b->failed = b->emits = b->slices = b->dropped = 0;
    enum vm_outcome o = vm_run(g->vm, g->sits, batch_body, b);
    while (o != VM_DONE) {
        switch (o) {
        case VM_YIELDED:
        case VM_SLEEPING:
            b->slices++;
            o = vm_resume(g->vm, g->sits);
            break;
        case VM_DROPPED:
            b->dropped++;
            note_failure(b, vm_error(g->vm));
            o = vm_run(g->vm, g->sits, batch_body, b);
            break;
        default: spec_fail(__FILE__, __LINE__, "%s", vm_error(g->vm));
        }
    }
}

/* --- attacks --- */

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

/* --- honest work --- */

SPEC(vm, an_honest_long_computation_survives_its_slices)
{
    static const char *const one[] = {"x"};
    const char *source = "return function() local n = 0\n"
                         "  for i = 1, 2000000 do n = n + i % 7 end\n"
                         "  emit(n) end";
    struct vm_config real = real_config(), counting = counting_config();
    real.budget_ns = 5000 * (uint64_t)MS;
    counting.budget_steps = 100000000;
    struct vm_config *worlds[] = {&real, &counting};
    for (int i = 0; i < 2; i++) {
        struct guest g;
        guest_init(&g, worlds[i], source);
        run_batch(&g, one, 1);
        CHECK_EQ(g.batch.failed, 0);
        CHECK_EQ(g.batch.emitted[0], 5999997);
        CHECK(g.batch.slices > 2);
        guest_fini(&g);
    }
}

SPEC(vm, slices_pass_through_coroutines_and_keep_their_values)
{
    static const char *const one[] = {"x"};
    struct vm_config c = counting_config();
    c.slice_steps = 1000;
    c.budget_steps = 100000000;
    struct guest g;
    guest_init(&g, &c,
               "local function count(n) return coroutine.wrap(function()\n"
               "  for i = 1, n do\n"
               "    for j = 1, 300 do end\n"
               "    if i % 2 == 0 then coroutine.yield(i) end end end) end\n"
               "return function() local sum = 0\n"
               "  local outer = coroutine.create(function(a, b)\n"
               "    local ok, e = pcall(function()\n"
               "      for i in count(100) do sum = sum + i end\n"
               "      error('end') end)\n"
               "    assert(not ok and e:find 'end')\n"
               "    return sum, a, b, coroutine.yield('mid') end)\n"
               "  local ok, mid = coroutine.resume(outer, 1, 2)\n"
               "  assert(ok and mid == 'mid')\n"
               "  local ok, s, a, b, c = coroutine.resume(outer, 3)\n"
               "  assert(a == 1 and b == 2 and c == 3)\n"
               "  assert(coroutine.status(outer) == 'dead')\n"
               "  emit(s) end");
    run_batch(&g, one, 1);
    if (g.batch.failed) spec_fail(__FILE__, __LINE__, "%s", g.batch.error);
    CHECK_EQ(g.batch.emitted[0], 2550);
    CHECK(g.batch.slices > 20);
    guest_fini(&g);
}

SPEC(vm, many_short_tuples_do_not_share_one_budget)
{
    enum { TUPLES = 60 };
    const char *tuples[TUPLES];
    for (int i = 0; i < TUPLES; i++)
        tuples[i] = "x";
    struct vm_config real = real_config(), counting = counting_config();
    real.budget_ns = 60 * MS;
    const char *source = "return function() for i = 1, 150000 do end emit(1) "
                         "end";
    struct vm_config *worlds[] = {&real, &counting};
    for (int i = 0; i < 2; i++) {
        struct guest g;
        guest_init(&g, worlds[i], source);
        run_batch(&g, tuples, TUPLES);
        if (g.batch.failed) spec_fail(__FILE__, __LINE__, "%s", g.batch.error);
        CHECK_EQ(g.batch.emits, TUPLES);
        guest_fini(&g);
    }
}

SPEC(vm, an_error_fails_its_tuple_alone_and_says_where)
{
    static const char *const five[] = {"a", "bad", "b", "nil", "c"};
    struct vm_config c = counting_config();
    struct guest g;
    guest_init(&g, &c,
               "local function deep(s)\n"
               "  local x = s == 'bad' and nil + 1\n"
               "end\n"
               "return function(s)\n"
               "  if s == 'nil' then error() end\n"
               "  deep(s) emit(1)\n"
               "end");
    run_batch(&g, five, 2);
    CHECK_EQ(g.batch.failed, 1);
    CHECK_HAS(g.batch.error, "story.lua:2: attempt to perform arithmetic on a "
                             "nil value");
    CHECK_HAS(g.batch.error, "\n\tstory.lua:2: in upvalue 'deep'\n");
    CHECK_HAS(g.batch.error, "in function <story.lua:4>");
    CHECK(strstr(g.batch.error, "[C]") == NULL); /* the engine's frames */
    run_batch(&g, five, 5);
    CHECK_EQ(g.batch.failed, 2);
    CHECK_EQ(g.batch.last_failed, 3);
    CHECK_HAS(g.batch.error, "(error object is a nil value)");
    CHECK_EQ(g.batch.emits, 3);
    guest_fini(&g);
}

/* A call over its budget is told the line where it stood, wherever in the line
 * before the instruction began. */
SPEC(vm, a_dropped_call_names_the_line_where_it_stood)
{
    static const char *const one[] = {"x"};
    struct vm_config real = real_config(), counting = counting_config();
    struct vm_config *worlds[] = {&real, &counting};
    static const struct {
        const char *source, *place, *frame;
    } stories[] = {
        {"return function()\n"
         "  emit(1)\n"
         "  while true do end\n"
         "end",
         "story.lua:3: the call was over",
         "\n\tstory.lua:3: in function <story.lua:1>"},
        {"return function()\n"
         "  emit(1)\n"
         "  for i = 1, math.huge do\n"
         "  end\n"
         "end",
         "story.lua:3: the call was over", "story.lua:3: in function"},
        {"local function deep()\n"
         "  emit(1)\n"
         "  ::again:: goto again\n"
         "end\n"
         "return function()\n"
         "  deep()\n"
         "end",
         "story.lua:3: the call was over", "story.lua:6: in function"},
        {"return function()\n"
         "  coroutine.wrap(function()\n"
         "    emit(1)\n"
         "    while true do end\n"
         "  end)()\n"
         "end",
         "story.lua:4: the call was over", "story.lua:2: in function"},
    };
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++)
        for (int world = 0; world < 2; world++) {
            struct guest g;
            guest_init(&g, worlds[world], stories[i].source);
            run_batch(&g, one, 1);
            CHECK_EQ(g.batch.dropped, 1);
            CHECK(strstr(g.batch.error, stories[i].place) == g.batch.error);
            CHECK_HAS(g.batch.error, stories[i].frame);
            guest_fini(&g);
        }
}

static int raise_table(lua_State *L)
{
    lua_newtable(L);
    return lua_error(L);
}

static int close_raises(lua_State *L)
{
    luaL_dostring(L, "local x <close> = setmetatable({}, {__close = function()"
                     " error('in close') end}) error('first')");
    return lua_error(L);
}

SPEC(vm, a_body_that_fails_leaves_the_vm_usable)
{
    struct vm_config c = counting_config();
    struct guest g;
    guest_init(&g, &c, "return function() emit(1) end");
    CHECK_EQ(vm_run(g.vm, NULL, raise_table, NULL), VM_FAILED);
    CHECK_HAS(vm_error(g.vm), "(error object is a table value)");
    CHECK_EQ(vm_run(g.vm, NULL, close_raises, NULL), VM_FAILED);
    CHECK_HAS(vm_error(g.vm), "in close");
    run_batch(&g, good_bad_good, 3);
    CHECK_EQ(g.batch.emits, 3);
    guest_fini(&g);
}

SPEC(vm, sleep_suspends_the_whole_vm)
{
    static const char *const one[] = {"x"};
    struct vm_config c = counting_config();
    struct guest g;
    guest_init(&g, &c,
               "return function()\n"
               "  local co = coroutine.wrap(function() sleep(5) emit(2)\n"
               "    coroutine.yield() end)\n"
               "  pcall(co) sleep(7) emit(3)\n"
               "  local ok, why = pcall(table.sort, {2, 1}, function()\n"
               "    sleep(1) end)\n"
               "  assert(not ok and why:find 'inside a comparator')\n"
               "end");
    struct batch *b = &g.batch;
    b->tuples = one;
    b->count = 1;
    CHECK_EQ(vm_run(g.vm, NULL, batch_body, b), VM_SLEEPING);
    CHECK_EQ(vm_sleep_ns(g.vm), 5);
    CHECK(vm_is_suspended(g.vm));
    CHECK_EQ(vm_resume(g.vm, NULL), VM_SLEEPING);
    CHECK_EQ(vm_sleep_ns(g.vm), 7);
    CHECK_EQ(b->emits, 1);
    CHECK_EQ(vm_resume(g.vm, NULL), VM_DONE);
    CHECK_EQ(b->emits, 2);
    CHECK_EQ(b->failed, 0);
    guest_fini(&g);
}

SPEC(vm, sleeping_does_not_spend_the_budget)
{
    static const char *const one[] = {"x"};
    struct vm_config c = real_config();
    struct guest g;
    guest_init(&g, &c, "return function() sleep(1) sleep(1) emit(1) end");
    struct batch *b = &g.batch;
    b->tuples = one;
    b->count = 1;
    CHECK_EQ(vm_run(g.vm, g.sits, batch_body, b), VM_SLEEPING);
    struct timespec t = {.tv_nsec = 30 * MS};
    nanosleep(&t, NULL);
    CHECK_EQ(vm_resume(g.vm, g.sits), VM_SLEEPING);
    CHECK_EQ(vm_resume(g.vm, g.sits), VM_DONE);
    CHECK_EQ(b->emits, 1);
    guest_fini(&g);
}

SPEC(vm, an_abandoned_run_closes_what_it_held)
{
    static const char *const one[] = {"x"};
    struct vm_config c = counting_config();
    struct guest g;
    guest_init(&g, &c,
               "return function() local x <close> = setmetatable({}, {\n"
               "  __close = function() emit(9) while true do end end})\n"
               "  sleep(1) emit(1) end");
    g.batch.tuples = one;
    g.batch.count = 1;
    CHECK_EQ(vm_run(g.vm, NULL, batch_body, &g.batch), VM_SLEEPING);
    vm_abandon(g.vm, NULL);
    CHECK(!vm_is_suspended(g.vm));
    CHECK_EQ(g.batch.emits, 1);
    CHECK_EQ(g.batch.emitted[0], 9);
    run_batch(&g, one, 0);
    guest_fini(&g);
}

SPEC(vm, a_suspended_vm_can_be_freed)
{
    static const char *const one[] = {"x"};
    struct vm_config c = counting_config();
    struct guest g;
    guest_init(&g, &c, "return function() coroutine.wrap(sleep)(1) end");
    g.batch.tuples = one;
    g.batch.count = 1;
    CHECK_EQ(vm_run(g.vm, NULL, batch_body, &g.batch), VM_SLEEPING);
    guest_fini(&g);
}

/* --- memory --- */

SPEC(vm, any_allocation_may_fail_while_it_opens)
{
    for (uint64_t n = 1; n < 2000; n += n < 40 ? 1 : 37) {
        struct vm_config c = counting_config();
        struct vm *vm = NULL;
        c.memory_bytes = n * 512;
        err e = vm_new(&vm, &c);
        CHECK(e == OK || e == ERR_NOMEM);
        if (e == OK)
            vm_free(vm);
        else
            CHECK(n < 400);
    }
}

static void fail_every_allocation(const struct vm_config *c, uint64_t failures)
{
    static const char *const tuples[] = {"a", "bad", "co", "text", "b"};
    const char *source =
        "return function(s)\n"
        "  local t = {s, {s .. 'x'}}\n"
        "  if s == 'bad' then error {s} end\n"
        "  if s == 'co' then\n"
        "    local co = coroutine.wrap(function(a)\n"
        "      local x <close> = setmetatable({}, {__close = function()\n"
        "        t[1] = s:rep(100) end})\n"
        "      coroutine.yield(a) error(s .. 'y') end)\n"
        "    co(1) pcall(co) end\n"
        "  if s == 'text' then\n"
        "    t[3] = s:rep(50):gsub('t', '%0%0'):upper()\n"
        "    table.sort(t, function(a, b) return tostring(a) < tostring(b)\n"
        "    end) end\n"
        "  for i = 1, 2000 do t[i] = i end\n"
        "  emit(1)\n"
        "end";
    struct guest g;
    guest_init(&g, c, source);
    for (uint64_t n = 1;; n++) {
        struct batch *b = &g.batch;
        b->tuples = tuples;
        b->count = 5;
        b->next = b->failed = b->emits = 0;
        heap_fail(vm_heap(g.vm), n, failures);
        enum vm_outcome o = vm_run(g.vm, g.sits, batch_body, b);
        while (o == VM_YIELDED)
            o = vm_resume(g.vm, g.sits);
        CHECK(o == VM_DONE || o == VM_FAILED);
        bool all_passed = o == VM_DONE && b->failed == 1 && b->emits == 4;
        heap_fail(vm_heap(g.vm), 0, 0);
        if (o == VM_FAILED) CHECK_HAS(vm_error(g.vm), "memory");
        if (all_passed && n > 150) break;
        CHECK(n < 5000);
    }
    run_batch(&g, tuples, 5); /* nothing is broken */
    CHECK_EQ(g.batch.emits, 4);
    guest_fini(&g);
}

SPEC(vm, any_allocation_may_fail_while_it_runs)
{
    struct vm_config c = counting_config();
    c.budget_steps = 10000000;
    fail_every_allocation(&c, 1);
    fail_every_allocation(&c, 2);
    fail_every_allocation(&c, 3);
}

SPEC(vm, refs_hold_values_and_are_counted)
{
    struct vm_config c = counting_config();
    struct vm *vm;
    CHECK_EQ(vm_new(&vm, &c), OK);
    lua_State *L = vm_main(vm);
    struct vref a = {0}, b = {0};
    vref_push(L, &a);
    CHECK(lua_isnil(L, -1));
    lua_pop(L, 1);
    lua_pushinteger(L, 4);
    vref_take(L, &a);
    lua_pushinteger(L, 5);
    vref_take(L, &b);
    lua_pushinteger(L, 6);
    vref_take(L, &a); /* drops the 4 */
    vref_push(L, &a);
    vref_push(L, &b);
    CHECK_EQ(lua_tointeger(L, -2), 6);
    CHECK_EQ(lua_tointeger(L, -1), 5);
    lua_settop(L, 0);
    vref_drop(&a);
    vref_drop(&a);
    vref_drop(&b);
    vm_free(vm);
}

/* --- replays --- */

struct trace {
    uint64_t hash;
    uint64_t steps;
    int slices;
};

static void run_traced(struct trace *t, bool churn)
{
    static const char *const tuples[] = {"a", "b", "loop", "c"};
    struct vm_config c = counting_config();
    c.slice_steps = 3000;
    c.seed = spec_seed;
    void *noise = churn ? malloc((size_t)spec_seed * 1000) : NULL;
    struct guest g;
    guest_init(
        &g, &c,
        "local seen, h = {}, 17\n"
        "local function mix(v) h = (h * 31 + v) & 0xffffffff end\n"
        "return function(s)\n"
        "  if s == 'loop' then while true do mix(1) end end\n"
        "  for i = 1, 50 do seen[s .. math.random(1000)] = i\n"
        "    seen[math.random(100)] = i seen[{}] = i\n"
        "    seen[i * 0.5] = i end\n"
        "  for k, v in pairs(seen) do mix(v) mix(#tostring(k))\n"
        "    for c in tostring(k):gmatch '.' do mix(c:byte()) end end\n"
        "  local k = next(seen) while k do mix(seen[k])\n"
        "    k = next(seen, k) if math.random(20) == 1 then k = nil end\n"
        "  end\n"
        "  for c in string.format('%p %s', seen, mix):gmatch '.' do\n"
        "    mix(c:byte()) end\n"
        "  emit(h) end");
    run_batch(&g, tuples, 4);
    CHECK_EQ(g.batch.failed, 1);
    CHECK_EQ(g.batch.dropped, 1);
    *t = (struct trace){14695981039346656037u, vm_steps(g.vm), g.batch.slices};
    for (int i = 0; i < g.batch.emits && i < EMITS_MAX; i++)
        t->hash = (t->hash ^ (uint64_t)g.batch.emitted[i]) * 1099511628211u;
    guest_fini(&g);
    free(noise);
}

SPEC(vm, counting_mode_replays_exactly)
{
    FOR_SEEDS(10)
    {
        struct trace a, b;
        run_traced(&a, false);
        run_traced(&b, true);
        CHECK_EQ(a.steps, b.steps);
        CHECK_EQ(a.slices, b.slices);
        CHECK_EQ(a.hash, b.hash);
        CHECK(a.slices > 5);
    }
}

/* --- threads --- */

struct racer {
    struct watchdog *watchdog;
    int dropped, emits;
};

/* Its own VM under a common watchdog, honest and endless tuples mixed. */
static void *race(void *arg)
{
    static const char *const tuples[] = {"ok", "loop", "ok", "sort", "ok"};
    struct racer *r = arg;
    struct vm_config c = real_config();
    struct guest g = {
        .source = "return function(s)\n"
                  "  local loop = function() while true do end end\n"
                  "  if s == 'loop' then coroutine.wrap(loop)() end\n"
                  "  if s == 'sort' then table.sort({3, 2, 1}, loop) end\n"
                  "  emit(1) end"};
    c.host = &g;
    if (vm_new(&g.vm, &c) != OK) return NULL;
    watchdog_sit(r->watchdog, &g.seat);
    g.sits = &g.seat;
    vm_run(g.vm, g.sits, define, &g);
    for (int i = 0; i < 3; i++) {
        run_batch(&g, tuples, 5);
        r->dropped += g.batch.failed;
        r->emits += g.batch.emits;
    }
    vref_drop(&g.batch.execute);
    vm_free(g.vm);
    watchdog_leave(&g.seat);
    return NULL;
}

SPEC(watchdog, two_threads_each_with_a_vm)
{
    struct racer racers[2] = {{0}};
    struct watchdog *w;
    pthread_t threads[2];
    CHECK_EQ(watchdog_new(&w, 2 * MS), OK);
    for (int i = 0; i < 2; i++) {
        racers[i].watchdog = w;
        CHECK_EQ(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    watchdog_free(w);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(racers[i].dropped, 6);
        CHECK_EQ(racers[i].emits, 9);
    }
}

struct relay {
    struct guest *g;
    enum vm_outcome outcome;
};

/* Resumes once, on a thread of its own. */
static void *resume_elsewhere(void *arg)
{
    struct relay *r = arg;
    struct watchdog_seat seat;
    watchdog_sit(r->g->watchdog, &seat);
    r->outcome = vm_resume(r->g->vm, &seat);
    watchdog_leave(&seat);
    return NULL;
}

SPEC(watchdog, a_vm_goes_on_on_another_thread)
{
    static const char *const one[] = {"x"};
    struct vm_config c = real_config();
    c.budget_ns = 5000 * (uint64_t)MS;
    struct guest g;
    guest_init(&g, &c,
               "return function() local n = 0\n"
               "  coroutine.wrap(function()\n"
               "    for i = 1, 1500000 do n = n + i % 7 end end)()\n"
               "  emit(n) end");
    g.batch.tuples = one;
    g.batch.count = 1;
    struct relay r = {&g, vm_run(g.vm, g.sits, batch_body, &g.batch)};
    int hops = 0;
    for (; r.outcome == VM_YIELDED; hops++) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, resume_elsewhere, &r), 0);
        pthread_join(thread, NULL);
    }
    CHECK_EQ(r.outcome, VM_DONE);
    CHECK(hops > 1);
    CHECK_EQ(g.batch.emitted[0], 4500000);
    guest_fini(&g);
}

SPEC(watchdog, wakes_after_a_long_rest)
{
    static const char *const one[] = {"bad"};
    struct vm_config c = real_config();
    struct guest g;
    guest_init(&g, &c, "return function() while true do end end");
    for (int i = 0; i < 2; i++) {
        struct timespec t = {.tv_nsec = 20 * MS};
        nanosleep(&t, NULL);
        run_batch(&g, one, 1);
        CHECK_EQ(g.batch.dropped, 1);
    }
    guest_fini(&g);
}
