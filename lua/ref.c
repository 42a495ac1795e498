#include "lua/ref.h"
#include "lua/vm.h"
#include <lauxlib.h>

void vref_take(lua_State *L, struct vref *r)
{
    int slot = luaL_ref(L, LUA_REGISTRYINDEX); /* may raise: r is untouched */
    vm_count_refs(L, 1);
    vref_drop(r);
    /* Coroutines die before the VM does. */
    *r = (struct vref){.L = vm_main(vm_of(L)), .slot = slot};
}

void vref_push(lua_State *L, const struct vref *r)
{
    if (r->L)
        lua_rawgeti(L, LUA_REGISTRYINDEX, r->slot);
    else
        lua_pushnil(L);
}

void vref_drop(struct vref *r)
{
    if (r->L == NULL) return;
    vm_count_refs(r->L, -1);
    luaL_unref(r->L, LUA_REGISTRYINDEX, r->slot);
    *r = (struct vref){.L = NULL};
}
