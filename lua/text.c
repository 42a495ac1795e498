#include "lua/text.h"
#include "lua/vm.h"
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

enum {
    BYTES_PER_STEP = 64, /* what memcpy does in the time of a step */
    STRIDE = 16,         /* bytes that the compiler makes one vector of */
};

static int rep(lua_State *L)
{
    size_t bytes, between_bytes;
    const char *text = luaL_checklstring(L, 1, &bytes);
    lua_Integer n = luaL_checkinteger(L, 2);
    const char *between = luaL_optlstring(L, 3, "", &between_bytes);
    size_t unit = bytes + between_bytes;
    if (n <= 0 || unit == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((lua_Unsigned)n > (LUA_MAXINTEGER - unit) / unit)
        return luaL_error(L, "resulting string too large");
    size_t total = unit * (size_t)n - between_bytes;
    vm_charge(L, total / BYTES_PER_STEP);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, total);
    memcpy(out, text, bytes);
    size_t done = bytes;
    if (total > bytes) {
        memcpy(out + bytes, between, between_bytes);
        done = unit;
    }
    while (done < total) { /* whole units so far: double them */
        size_t more = done < total - done ? done : total - done;
        memcpy(out + done, out, more);
        done += more;
    }
    luaL_pushresultsize(&b, total);
    return 1;
}

/* Letters from `first` on, 26 of them, change case. */
static inline void change(uint8_t *text, size_t bytes, uint8_t first)
{
    for (size_t i = 0; i < bytes; i++)
        text[i] ^= (uint8_t)(((uint8_t)(text[i] - first) < 26) << 5);
}

static void change_case(char *to, const char *from, size_t bytes, uint8_t first)
{
    uint8_t block[STRIDE];
    for (; bytes >= STRIDE; bytes -= STRIDE, from += STRIDE, to += STRIDE) {
        memcpy(block, from, STRIDE);
        change(block, STRIDE, first);
        memcpy(to, block, STRIDE);
    }
    memcpy(block, from, bytes);
    change(block, bytes, first);
    memcpy(to, block, bytes);
}

static int changed(lua_State *L, uint8_t first)
{
    size_t bytes;
    const char *text = luaL_checklstring(L, 1, &bytes);
    vm_charge(L, bytes / BYTES_PER_STEP);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, bytes);
    change_case(out, text, bytes, first);
    luaL_pushresultsize(&b, bytes);
    return 1;
}

static int lower(lua_State *L)
{
    return changed(L, 'A');
}

static int upper(lua_State *L)
{
    return changed(L, 'a');
}

/* Where a place counted from the end (-1) is from the beginning; 0 or less:
 * before it. */
static inline lua_Integer place_of(lua_Integer place, size_t bytes)
{
    return place < 0 ? place + (lua_Integer)bytes + 1 : place;
}

static int byte(lua_State *L)
{
    size_t bytes;
    const uint8_t *text = (const uint8_t *)luaL_checklstring(L, 1, &bytes);
    lua_Integer given = luaL_optinteger(L, 2, 1);
    lua_Integer first = place_of(given, bytes);
    lua_Integer last = place_of(luaL_optinteger(L, 3, given), bytes);
    if (first < 1) first = 1;
    if (last > (lua_Integer)bytes) last = (lua_Integer)bytes;
    if (first > last) return 0;
    if (last - first >= INT_MAX) return luaL_error(L, "string slice too long");
    int count = (int)(last - first) + 1;
    if (count >= BYTES_PER_STEP) vm_charge(L, (size_t)count);
    luaL_checkstack(L, count, "string slice too long");
    for (int i = 0; i < count; i++)
        lua_pushinteger(L, text[first - 1 + i]);
    return count;
}

void text_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"rep", rep},     {"byte", byte}, {"lower", lower},
        {"upper", upper}, {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
