/* Recent strings: what is pushed by way of the table is what lua_pushlstring()
 * would have pushed, whatever was there before. */
#include "core/random.h"
#include "lua/recent.h"
#include "lua/vm.h"
#include "spec/spec.h"
#include <stdio.h>

static int no_table_at_first(lua_State *L)
{
    int calls = 0;
    while (recent_begin(L) == NULL) {
        CHECK(lua_isnil(L, -1));
        lua_pop(L, 1);
        CHECK(++calls < 1000);
    }
    CHECK(calls > 10 && lua_istable(L, -1));
    struct recent *first = recent_begin(L);
    CHECK(first != NULL && lua_rawequal(L, -1, -2));
    return 0;
}

static int all_as_pushed(lua_State *L)
{
    struct rng r = {spec_seed};
    struct recent *recent;
    while ((recent = recent_begin(L)) == NULL)
        lua_pop(L, 1);
    int strings = lua_gettop(L);
    char text[64] = {0};
    for (int i = 0; i < 100000; i++) {
        /* Words of few letters come again, numbers hardly ever. */
        size_t n = rng_below(&r, 20);
        for (size_t k = 0; k < n; k++)
            text[k] = (char)("ab\0c"[rng_below(&r, 4)]);
        if (rng_below(&r, 3) == 0)
            n = (size_t)snprintf(text, sizeof text, "%u",
                                 (unsigned)rng_below(&r, 1000000));
        recent_push(L, recent, strings, text, n);
        lua_pushlstring(L, text, n);
        CHECK(lua_rawequal(L, -1, -2));
        lua_pop(L, 2);
        if (i % 10000 == 0) lua_gc(L, LUA_GCCOLLECT);
    }
    return 0;
}

static void in_vm(lua_CFunction story)
{
    struct vm *vm;
    CHECK_EQ(vm_new(&vm, &(struct vm_config){0}), OK);
    CHECK_EQ(vm_protect(vm, story, NULL), OK);
    vm_free(vm);
}

SPEC(recent, a_vm_has_the_table_from_the_moment_it_streams)
{
    in_vm(no_table_at_first);
}

SPEC(recent, pushes_the_string_it_was_given)
{
    FOR_SEEDS(3)
    in_vm(all_as_pushed);
}
