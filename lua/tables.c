#include "lua/tables.h"
#include "lua/vm.h"
#include <lauxlib.h>
#include <limits.h>
#include <stdint.h>

enum { CHARGE_EVERY = 256 };

/* One more step of a loop in C. */
static inline void step(lua_State *L, uint32_t *steps)
{
    if (++*steps % CHARGE_EVERY == 0) vm_charge(L, CHARGE_EVERY);
}

/* Argument 1 must be a table, or have metamethods that let it act as one. */
static void check_table(lua_State *L, int arg)
{
    if (lua_istable(L, arg)) return;
    if (luaL_getmetafield(L, arg, "__index") == LUA_TNIL)
        luaL_checktype(L, arg, LUA_TTABLE);
    lua_pop(L, 1);
}

static lua_Integer length(lua_State *L)
{
    check_table(L, 1);
    return luaL_len(L, 1);
}

static int insert(lua_State *L)
{
    uint32_t steps = 0;
    lua_Integer end = (lua_Integer)((lua_Unsigned)length(L) + 1);
    lua_Integer at = end;
    int given = lua_gettop(L);
    if (given == 3) {
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, (lua_Unsigned)at - 1 < (lua_Unsigned)end, 2,
                      "position out of bounds");
        for (lua_Integer i = end; i > at; i--) {
            lua_geti(L, 1, i - 1);
            lua_seti(L, 1, i);
            step(L, &steps);
        }
    } else if (given != 2) {
        return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_seti(L, 1, at);
    return 0;
}

static int take_out(lua_State *L)
{
    uint32_t steps = 0;
    lua_Integer n = length(L);
    lua_Integer at = luaL_optinteger(L, 2, n);
    if (at != n)
        luaL_argcheck(L, (lua_Unsigned)at - 1 <= (lua_Unsigned)n, 2,
                      "position out of bounds");
    lua_geti(L, 1, at);
    for (; at < n; at++) {
        lua_geti(L, 1, at + 1);
        lua_seti(L, 1, at);
        step(L, &steps);
    }
    lua_pushnil(L);
    lua_seti(L, 1, at);
    return 1;
}

static int move(lua_State *L)
{
    lua_Integer first = luaL_checkinteger(L, 2);
    lua_Integer last = luaL_checkinteger(L, 3);
    lua_Integer to = luaL_checkinteger(L, 4);
    int target = lua_isnoneornil(L, 5) ? 1 : 5;
    check_table(L, 1);
    check_table(L, target);
    lua_settop(L, 5);
    uint32_t steps = 0;
    if (last >= first) {
        luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3,
                      "too many elements to move");
        lua_Integer n = last - first + 1;
        luaL_argcheck(L, to <= LUA_MAXINTEGER - n + 1, 4,
                      "destination wrap around");
        /* Upwards within one table the last goes first, lest it be lost. */
        bool backwards = to > first && to <= last &&
                         (target == 1 || lua_compare(L, 1, 5, LUA_OPEQ));
        for (lua_Integer i = 0; i < n; i++) {
            lua_Integer k = backwards ? n - 1 - i : i;
            lua_geti(L, 1, first + k);
            lua_seti(L, target, to + k);
            step(L, &steps);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

static void add_element(lua_State *L, luaL_Buffer *b, lua_Integer i)
{
    if (lua_geti(L, 1, i) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "invalid value (%s) at index %I in table for 'concat'",
                   luaL_typename(L, -1), (LUAI_UACINT)i);
    luaL_addvalue(b);
}

static int concat(lua_State *L)
{
    size_t between_bytes;
    lua_Integer n = length(L);
    const char *between = luaL_optlstring(L, 2, "", &between_bytes);
    lua_Integer i = luaL_optinteger(L, 3, 1);
    lua_Integer last = luaL_optinteger(L, 4, n);
    uint32_t steps = 0;
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (; i < last; i++) {
        add_element(L, &b, i);
        luaL_addlstring(&b, between, between_bytes);
        step(L, &steps);
    }
    if (i == last) add_element(L, &b, i);
    luaL_pushresult(&b);
    return 1;
}

/* --- sort: merges runs of doubling width between two hidden tables. --- */

struct merge {
    int from, to;    /* stack indices of the two tables */
    int left, right; /* of the heads of the two runs */
    tables_less *less;
    uint32_t steps;
};

/* Merges from[a..mid) and from[mid..end) into to[a..end). */
static void merge_runs(lua_State *L, struct merge *m, lua_Integer a,
                       lua_Integer mid, lua_Integer end)
{
    lua_Integer l = a, r = mid, out = a;
    /* In order already? Then nothing is compared one by one. */
    lua_rawgeti(L, m->from, mid - 1);
    lua_copy(L, -1, m->left);
    lua_rawgeti(L, m->from, mid);
    lua_copy(L, -1, m->right);
    lua_pop(L, 2);
    bool ordered = !m->less(L, m->right, m->left);
    lua_rawgeti(L, m->from, l);
    lua_replace(L, m->left);
    while (!ordered && l < mid && r < end) {
        bool right_first = m->less(L, m->right, m->left);
        int head = right_first ? m->right : m->left;
        lua_pushvalue(L, head);
        lua_rawseti(L, m->to, out++);
        lua_Integer next = right_first ? ++r : ++l;
        if (next < (right_first ? end : mid)) {
            lua_rawgeti(L, m->from, next);
            lua_replace(L, head);
        }
        step(L, &m->steps);
    }
    for (; l < mid; l++, step(L, &m->steps)) {
        lua_rawgeti(L, m->from, l);
        lua_rawseti(L, m->to, out++);
    }
    for (; r < end; r++, step(L, &m->steps)) {
        lua_rawgeti(L, m->from, r);
        lua_rawseti(L, m->to, out++);
    }
}

static lua_Integer least(lua_Integer a, lua_Integer b)
{
    return a < b ? a : b;
}

void tables_sort(lua_State *L, lua_Integer n, tables_less *less)
{
    int array = lua_gettop(L);
    luaL_checkstack(L, 10, NULL);
    lua_createtable(L, (int)n, 0);
    lua_pushnil(L);
    lua_pushnil(L);
    struct merge m = {
        .from = array,
        .to = array + 1,
        .left = array + 2,
        .right = array + 3,
        .less = less,
    };
    for (lua_Integer width = 1; width < n; width *= 2) {
        for (lua_Integer a = 1; a <= n; a += 2 * width) {
            lua_Integer mid = least(a + width, n + 1);
            lua_Integer end = least(a + 2 * width, n + 1);
            if (mid < end) {
                merge_runs(L, &m, a, mid, end);
                continue;
            }
            for (lua_Integer i = a; i < end;
                 i++) { /* a run without a partner */
                lua_rawgeti(L, m.from, i);
                lua_rawseti(L, m.to, i);
            }
        }
        int swapped = m.from;
        m.from = m.to;
        m.to = swapped;
    }
    if (m.from != array) lua_copy(L, m.from, array);
    lua_settop(L, array);
}

static bool less_by_operator(lua_State *L, int b, int a)
{
    return lua_compare(L, b, a, LUA_OPLT);
}

/* The comparator is argument 2 of sort. */
static bool less_by_function(lua_State *L, int b, int a)
{
    lua_pushvalue(L, 2);
    lua_pushvalue(L, b);
    lua_pushvalue(L, a);
    lua_call(L, 2, 1);
    bool less = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return less;
}

static int sort(lua_State *L)
{
    uint32_t steps = 0;
    lua_Integer n = length(L);
    if (n < 2) return 0;
    luaL_argcheck(L, n < INT_MAX, 1, "array too big");
    bool has_function = !lua_isnoneornil(L, 2);
    if (has_function) luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_createtable(L, 0, 0);
    for (lua_Integer i = 1; i <= n; i++, step(L, &steps)) {
        lua_geti(L, 1, i);
        lua_rawseti(L, 3, i);
    }
    tables_sort(L, n, has_function ? less_by_function : less_by_operator);
    for (lua_Integer i = 1; i <= n; i++, step(L, &steps)) {
        lua_rawgeti(L, 3, i);
        lua_seti(L, 1, i);
    }
    return 0;
}

void tables_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"insert", insert}, {"remove", take_out}, {"move", move},
        {"concat", concat}, {"sort", sort},       {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
