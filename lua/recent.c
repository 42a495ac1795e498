#include "lua/recent.h"

enum {
    CALLS_FIRST = 64,        /* of recent_begin(), before there is a table */
    KEYS = RECENT_SLOTS + 1, /* where the table keeps the struct recent */
};

/* Of the registry: its address. Under it is the number of calls so far, later
 * the table. */
static const char recent_entry;

struct recent *recent_begin(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &recent_entry);
    if (lua_istable(L, -1)) {
        lua_rawgeti(L, -1, KEYS);
        struct recent *recent = lua_touserdata(L, -1);
        lua_pop(L, 1);
        return recent;
    }
    lua_Integer calls = lua_tointeger(L, -1) + 1;
    lua_pop(L, 1);
    if (calls <= CALLS_FIRST) {
        lua_pushinteger(L, calls);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &recent_entry);
        lua_pushnil(L);
        return NULL;
    }
    lua_createtable(L, KEYS, 0);
    struct recent *recent = lua_newuserdatauv(L, sizeof *recent, 0);
    memset(recent, 0, sizeof *recent);
    lua_rawseti(L, -2, KEYS);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &recent_entry);
    return recent;
}
