/* vm_guest.h - what the specs of the guest machine share: a VM with a small
 * vocabulary. The batch loop here is the shape in which lua/component.c runs an
 * executor's batches. */
#ifndef SPEC_VM_GUEST_H
#define SPEC_VM_GUEST_H

#include "lua/ref.h"
#include "lua/sandbox.h"
#include "lua/vm.h"
#include "spec/sanitized.h"
#include "spec/spec.h"
#include <lauxlib.h>
#include <stdio.h>

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

static inline void note_failure(struct batch *b, const char *why)
{
    b->failed++;
    b->last_failed = b->next - 1;
    snprintf(b->error, sizeof b->error, "%s", why);
}

/* Calls execute for each tuple that is left; also its own continuation. */
static inline int each_tuple(lua_State *L, int status, lua_KContext ctx)
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

static inline int begin_tuples(lua_State *L)
{
    return each_tuple(L, LUA_OK, (lua_KContext)lua_touserdata(L, 1));
}

/* The one protected call around the batch, and its continuation: after a
 * tuple's error it goes on at the next. The stack: ctx, handler. */
static inline int guard(lua_State *L, int status, lua_KContext ctx)
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

static inline int batch_body(lua_State *L)
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
};

static inline int emit(lua_State *L)
{
    struct guest *g = vm_host(L);
    if (g->batch.emits < EMITS_MAX)
        g->batch.emitted[g->batch.emits] = luaL_checkinteger(L, 1);
    g->batch.emits++;
    return 0;
}

static inline int go_to_sleep(lua_State *L)
{
    return vm_sleep(L, (uint64_t)luaL_checkinteger(L, 1));
}

/* Compiles the source, runs it, keeps the function it returns. */
static inline int define(lua_State *L)
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

static inline void print_nowhere(void *host, const char *text, size_t bytes)
{
}

static inline struct vm_config real_config(void)
{
    return (struct vm_config){
        .heap_plain = PLAIN,
        .budget_ns = 20 * MS,
        .memory_bytes = 32 << 20,
    };
}

static inline struct vm_config counting_config(void)
{
    return (struct vm_config){
        .counting = true,
        .slice_steps = 20000,
        .budget_steps = 200000,
        .memory_bytes = 32 << 20,
        .seed = 7,
    };
}

static inline void guest_init(struct guest *g, const struct vm_config *config,
                              const char *source)
{
    *g = (struct guest){.source = source};
    struct vm_config c = *config;
    c.host = g;
    c.print = print_nowhere;
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

static inline void guest_fini(struct guest *g)
{
    vref_drop(&g->batch.execute);
    vm_free(g->vm);
    if (g->sits) watchdog_leave(g->sits);
    watchdog_free(g->watchdog);
}

/* Runs the tuples to their end, whatever happens on the way. */
static inline void run_batch(struct guest *g, const char *const *tuples,
                             int count)
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

#endif
