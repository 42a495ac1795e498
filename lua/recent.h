/* recent.h - the short strings that a VM was given of late, found again without
 * Lua's string table. Words, names and numbers as text come again and again;
 * Lua's own lookup hashes each and waits for two lines of memory, this table
 * fits in a processor's cache. One slot per hash: a newcomer replaces.
 * A VM has it from the moment it is seen to stream (64 KB). */
#ifndef LUA_RECENT_H
#define LUA_RECENT_H

#include "core/short.h"
#include <lua.h>

enum { RECENT_BITS = 11, RECENT_SLOTS = 1 << RECENT_BITS };

struct recent {
    struct short_string keys[RECENT_SLOTS]; /* zero: the slot is free */
};

/* Pushes the VM's table of strings, nil if it has none yet. Call it once per
 * batch or iterator: after some dozens of calls the table is made. Returns what
 * recent_push() needs, NULL with nil. The table keeps it. [-0, +1, m] */
struct recent *recent_begin(lua_State *L);

/* lua_pushlstring(), by way of the table at `strings` that recent_begin() has
 * pushed. SHORT_SLACK bytes behind the string may be read; three slots of the
 * stack are free. [-0, +1, m] */
static inline void recent_push(lua_State *L, struct recent *recent, int strings,
                               const char *bytes, size_t count)
{
    if (recent == NULL || count - 1 >= SHORT_MAX) { /* also the empty one */
        lua_pushlstring(L, bytes, count);
        return;
    }
    struct short_string key = short_read(bytes, count);
    uint64_t mixed =
        (key.low ^ key.high * 0x9E3779B97F4A7C15u) * 0xFF51AFD7ED558CCDu;
    uint32_t slot = (uint32_t)(mixed >> (64 - RECENT_BITS));
    struct short_string *known = &recent->keys[slot];
    if (known->low == key.low && known->high == key.high) {
        lua_rawgeti(L, strings, (lua_Integer)slot + 1);
        return;
    }
    lua_pushlstring(L, bytes, count);
    lua_pushvalue(L, -1);
    lua_rawseti(L, strings, (lua_Integer)slot + 1);
    *known = key;
}

#endif
