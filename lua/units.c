#include "lua/units.h"
#include "core/units.h"
#include <lauxlib.h>
#include <string.h>

static int64_t value_at(lua_State *L, int index,
                        bool (*of_text)(const char *, int64_t *),
                        bool (*of_number)(double, int64_t *))
{
    int64_t value;
    size_t bytes;
    if (lua_type(L, index) == LUA_TNUMBER)
        return of_number(lua_tonumber(L, index), &value) ? value : -1;
    if (lua_type(L, index) != LUA_TSTRING) return -1;
    const char *text = lua_tolstring(L, index, &bytes);
    return strlen(text) == bytes && of_text(text, &value) ? value : -1;
}

static int push(lua_State *L, int64_t value)
{
    if (value < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, value);
    return 1;
}

int64_t units_duration_at(lua_State *L, int index)
{
    return value_at(L, index, units_duration, units_seconds);
}

int units_of_duration(lua_State *L)
{
    luaL_checkany(L, 1);
    return push(L, units_duration_at(L, 1));
}

int units_of_size(lua_State *L)
{
    luaL_checkany(L, 1);
    return push(L, value_at(L, 1, units_size, units_bytes));
}
