/* vm_spec.c - the guest machine: slices, budgets, errors, memory, replays. The
 * batch loop is in vm_guest.h; those who mean harm are in attack_spec.c. */
#include "lua/ref.h"
#include "lua/vm.h"
#include "spec/spec.h"
#include "spec/vm_guest.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <time.h>

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
    static const char *const three[] = {"a", "b", "c"};
    struct vm_config c = counting_config();
    struct guest g;
    guest_init(&g, &c, "return function() emit(1) end");
    CHECK_EQ(vm_run(g.vm, NULL, raise_table, NULL), VM_FAILED);
    CHECK_HAS(vm_error(g.vm), "(error object is a table value)");
    CHECK_EQ(vm_run(g.vm, NULL, close_raises, NULL), VM_FAILED);
    CHECK_HAS(vm_error(g.vm), "in close");
    run_batch(&g, three, 3);
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
