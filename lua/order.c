#include "lua/order.h"
#include "lua/frozen.h"
#include "lua/tables.h"
#include "lua/vm.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

enum { CHARGE_EVERY = 256 };

static uint64_t rank_of(lua_State *L, int index)
{
    return heap_rank(vm_heap(vm_of(L)), lua_topointer(L, index));
}

/* --- text --- */

static void push_object(lua_State *L, int index)
{
    char rank[24];
    snprintf(rank, sizeof rank, "0x%08llx",
             (unsigned long long)rank_of(L, index));
    const char *kind = luaL_typename(L, index);
    int named = luaL_getmetafield(L, index, "__name");
    if (named == LUA_TSTRING) kind = lua_tostring(L, -1);
    lua_pushfstring(L, "%s: %s", kind, rank);
    if (named != LUA_TNIL) lua_remove(L, -2);
}

static bool shows_address(lua_State *L, int index)
{
    if (lua_type(L, index) <= LUA_TSTRING &&
        lua_type(L, index) != LUA_TLIGHTUSERDATA)
        return false;
    if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL) return true;
    lua_pop(L, 1);
    return false;
}

const char *order_text(lua_State *L, int index, size_t *bytes)
{
    index = lua_absindex(L, index);
    if (!shows_address(L, index)) return luaL_tolstring(L, index, bytes);
    push_object(L, index);
    return lua_tolstring(L, -1, bytes);
}

static int tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    order_text(L, 1, NULL);
    return 1;
}

/* Makes the arguments of %s and %p text and every %p an %s, then does what the
 * stock function does, which is the upvalue and has none itself. */
static int format(lua_State *L)
{
    size_t bytes;
    const char *given = luaL_checklstring(L, 1, &bytes);
    int arg = 1, last = lua_gettop(L);
    luaL_checkstack(L, 4, NULL);
    char *text = lua_newuserdatauv(L, bytes + 1, 0);
    memcpy(text, given, bytes + 1);
    for (size_t i = 0; i + 1 < bytes; i++) {
        if (text[i] != '%') continue;
        i++;
        if (text[i] == '%') continue;
        i += strspn(text + i, "-+ #0123456789.");
        if (++arg > last) break; /* the stock function says so */
        if (text[i] != 's' && text[i] != 'p') continue;
        if (text[i] == 's')
            order_text(L, arg, NULL);
        else if (lua_type(L, arg) >= LUA_TTABLE)
            push_object(L, arg);
        else
            lua_pushliteral(L, "(null)");
        text[i] = 's';
        lua_replace(L, arg);
    }
    lua_pushlstring(L, text, bytes);
    lua_replace(L, 1);
    lua_settop(L, last);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* --- walking --- */

static int class_of(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TNUMBER: return 0;
    case LUA_TSTRING: return 1;
    case LUA_TBOOLEAN: return 2;
    default: return 3;
    }
}

static bool string_less(lua_State *L, int b, int a)
{
    size_t nb, na;
    const char *sb = lua_tolstring(L, b, &nb);
    const char *sa = lua_tolstring(L, a, &na);
    int c = memcmp(sb, sa, nb < na ? nb : na);
    return c != 0 ? c < 0 : nb < na;
}

static bool object_less(lua_State *L, int b, int a)
{
    uint64_t rb = rank_of(L, b), ra = rank_of(L, a);
    if (rb != ra) return rb < ra;
    /* Functions of the binary: their distances are the same in each run. */
    return (uintptr_t)lua_topointer(L, b) < (uintptr_t)lua_topointer(L, a);
}

static bool key_less(lua_State *L, int b, int a)
{
    int cb = class_of(L, b), ca = class_of(L, a);
    if (cb != ca) return cb < ca;
    switch (cb) {
    case 0: return lua_compare(L, b, a, LUA_OPLT);
    case 1: return string_less(L, b, a);
    case 2: return !lua_toboolean(L, b) && lua_toboolean(L, a);
    default: return object_less(L, b, a);
    }
}

/* Pushes the array of the keys of the table at `index`, in order. */
static void push_keys(lua_State *L, int index)
{
    lua_Integer n = 0;
    lua_newtable(L);
    int keys = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, index);) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_rawseti(L, keys, ++n);
        if (n % CHARGE_EVERY == 0) vm_charge(L, CHARGE_EVERY);
    }
    tables_sort(L, n, key_less);
}

/* The iterator of pairs. Upvalues: the table, its keys, where we are. A key
 * whose value has become nil is passed over. */
static int walk_on(lua_State *L)
{
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(3));
    while (lua_rawgeti(L, lua_upvalueindex(2), ++at) != LUA_TNIL) {
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
            lua_pushinteger(L, at);
            lua_replace(L, lua_upvalueindex(3));
            return 2;
        }
        lua_pop(L, 2);
    }
    return 1;
}

static int walked(lua_State *L, int status, lua_KContext ctx)
{
    return 3;
}

int order_pairs(lua_State *L, int index, int shown)
{
    index = lua_absindex(L, index);
    shown = lua_absindex(L, shown);
    lua_pushvalue(L, index);
    push_keys(L, index);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, walk_on, 3);
    lua_pushvalue(L, shown);
    lua_pushnil(L);
    return 3;
}

/* The least key above the given one, by looking at all of them. */
static int least_above(lua_State *L)
{
    lua_pushnil(L); /* 3: the best so far */
    lua_Integer n = 0;
    for (lua_pushnil(L); lua_next(L, 1);) {
        lua_pop(L, 1);
        bool above = lua_isnil(L, 2) || key_less(L, 2, 4);
        if (above && (lua_isnil(L, 3) || key_less(L, 4, 3))) lua_copy(L, 4, 3);
        if (++n % CHARGE_EVERY == 0) vm_charge(L, CHARGE_EVERY);
    }
    lua_settop(L, 3);
    if (lua_isnil(L, 3)) return 1;
    lua_pushvalue(L, 3);
    lua_rawget(L, 1);
    return 2;
}

static int next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (frozen_real(L, 1)) lua_replace(L, 1);
    if (vm_is_ordered(L)) return least_above(L);
    if (lua_next(L, 1)) return 2;
    lua_pushnil(L);
    return 1;
}

static int pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_callk(L, 1, 3, 0, walked);
        return 3;
    }
    if (vm_is_ordered(L)) {
        luaL_checktype(L, 1, LUA_TTABLE);
        return order_pairs(L, 1, 1);
    }
    lua_pushcfunction(L, next);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

void order_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"pairs", pairs}, {"next", next}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

void order_open_text(lua_State *L, int base, int strings)
{
    lua_pushcfunction(L, tostring);
    lua_setfield(L, base, "tostring");
    lua_getfield(L, strings, "format");
    lua_pushcclosure(L, format, 1);
    lua_setfield(L, strings, "format");
}
