#include "lua/frozen.h"
#include "lua/order.h"
#include "lua/vm.h"
#include <lauxlib.h>

/* Key of the metatable, where the real table is: its address. */
static const char real_key;

bool frozen_real(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index)) return false;
    if (lua_rawgetp(L, -1, &real_key) == LUA_TTABLE) {
        lua_remove(L, -2);
        return true;
    }
    lua_pop(L, 2);
    return false;
}

static int refuse_write(lua_State *L)
{
    return luaL_error(L,
                      "'%s' can't be set in a value of self.state, which is "
                      "read-only; write all of it back (self.state.k = v; "
                      "self.state:get(\"k\") gives a copy to change), or use "
                      "self.state:put(\"k\", field, v)",
                      vm_text(L, 2));
}

static int length(lua_State *L)
{
    frozen_real(L, 1);
    lua_pushinteger(L, luaL_len(L, -1));
    return 1;
}

/* Upvalue: the real table, which the script must not get hold of. */
static int frozen_next(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_next(L, lua_upvalueindex(1))) return 2;
    lua_pushnil(L);
    return 1;
}

static int frozen_pairs(lua_State *L)
{
    lua_settop(L, 1);
    frozen_real(L, 1);
    if (vm_is_ordered(L)) return order_pairs(L, 2, 1);
    lua_pushcclosure(L, frozen_next, 1);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* Those in the table at the top. */
static void freeze_inner(lua_State *L)
{
    int table = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table);) {
        if (!lua_istable(L, -1)) {
            lua_pop(L, 1);
            continue;
        }
        frozen_make(L);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, table); /* its key is there: the walk goes on */
    }
}

void frozen_make(lua_State *L)
{
    if (!lua_istable(L, -1)) return;
    luaL_checkstack(L, 6, "a value is nested too deep");
    freeze_inner(L);
    lua_newtable(L);
    lua_createtable(L, 0, 6);
    lua_pushvalue(L, -3);
    lua_rawsetp(L, -2, &real_key);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_write);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, length);
    lua_setfield(L, -2, "__len");
    lua_pushcfunction(L, frozen_pairs);
    lua_setfield(L, -2, "__pairs");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}
