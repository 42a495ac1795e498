#include "lua/hint.h"
#include "core/nearest.h"
#include "lua/sandbox.h"
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* Where luaL_argerror() looks for the names of functions, too. Scripts can't
 * get at it. */
static void push_known(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

void hint_names(lua_State *L, const char *name)
{
    push_known(L);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* Of the registry: its address. */
static const char globals_entry;

void hint_globals(lua_State *L)
{
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &globals_entry);
}

/* The keys of the table at the top. One may be a task's own, with millions of
 * them, and nothing ends a loop in C. */
static void try_keys(lua_State *L, struct nearest *near)
{
    enum { KEYS_TRIED = 1000 };
    lua_pushnil(L);
    for (int i = 0; lua_next(L, -2); i++) {
        if (i == KEYS_TRIED) {
            lua_pop(L, 2);
            return;
        }
        if (lua_type(L, -2) == LUA_TSTRING)
            nearest_try(near, lua_tostring(L, -2));
        lua_pop(L, 1);
    }
}

static void try_fields(lua_State *L, struct nearest *near)
{
    push_known(L);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_istable(L, -1)) try_keys(L, near);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void try_globals(lua_State *L, struct nearest *near)
{
    sandbox_base(L);
    try_keys(L, near);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &globals_entry) == LUA_TTABLE)
        try_keys(L, near);
    lua_pop(L, 2);
}

/* Of "… a nil value (global 'strng')". False: it is about something else. */
static bool missing_name(const char *text, char *name, bool *global)
{
    const char *at = strstr(text, "a nil value (");
    if (at == NULL) return false;
    at += strlen("a nil value (");
    *global = strncmp(at, "global '", 8) == 0;
    if (!*global && strncmp(at, "field '", 7) != 0 &&
        strncmp(at, "method '", 8) != 0)
        return false;
    at = strchr(at, '\'') + 1;
    size_t bytes = strcspn(at, "'");
    if (bytes > NEAREST_BYTES || strcmp(at + bytes, "')") != 0) return false;
    memcpy(name, at, bytes);
    name[bytes] = '\0';
    return true;
}

void hint_add(lua_State *L)
{
    char name[NEAREST_BYTES + 1];
    bool global;
    const char *text = lua_tostring(L, -1);
    if (text == NULL || !missing_name(text, name, &global)) return;
    struct nearest near;
    nearest_begin(&near, name);
    if (global)
        try_globals(L, &near);
    else
        try_fields(L, &near);
    /* What is there under that very name was nil somewhere else. */
    bool any = near.best[0] != '\0' && strcmp(near.best, name) != 0;
    if (any)
        lua_pushfstring(L, "%s; did you mean '%s'?", text, near.best);
    else if (global)
        lua_pushfstring(L, "%s; nothing is called that here", text);
    else
        return;
    lua_remove(L, -2);
}

int hint_nearest(lua_State *L)
{
    struct nearest near;
    nearest_begin(&near, luaL_checkstring(L, 1));
    lua_Integer count = luaL_len(L, 2);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        nearest_try(&near, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    if (near.best[0])
        lua_pushstring(L, near.best);
    else
        lua_pushnil(L);
    return 1;
}
