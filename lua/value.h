/* value.h - Lua values into tuples and back.
 * nil, booleans, integers, floats and strings one to one; a table is an array
 * when its keys are 1..n (or `array {}` made it), else a map; `null` stands for
 * nil inside containers, where Lua can't hold one. JSON bytes are a view of
 * them (lua/record.h), and a view is JSON bytes again. */
#ifndef LUA_VALUE_H
#define LUA_VALUE_H

#include <lua.h>
#include <stdint.h>

#include "core/buffer.h"

/* Pushes the value at `at` (trusted); returns the byte behind it. [-0, +1, m]
 */
const uint8_t *value_push_long(lua_State *L, const uint8_t *at);

/* Appends the value at `index` to `out`, which the host owns and which stays
 * whole when this raises. `out->used` is put back first then. Raises: "a
 * function can't travel in a tuple; …", too deep, too large, out of memory.
 * [-0, +0, v] */
void value_encode(lua_State *L, int index, struct buffer *out);

/* Pushes what stands for nil inside containers. [-0, +1, -] */
void value_push_null(lua_State *L);

/* Names for scripts: `null`, `array`; sets them in the table at the top. The
 * marks are the VM's own. [-0, +0, m] */
void value_open(lua_State *L);

/* Pushes one scalar without a call for the common ones. */
#include "core/value.h"
static inline const uint8_t *value_push(lua_State *L, const uint8_t *at)
{
    uint8_t head = *at;
    if ((head & 0xe0) == MSGPACK_FIXSTR) {
        lua_pushlstring(L, (const char *)at + 1, head & 31);
        return at + 1 + (head & 31);
    }
    return value_push_long(L, at);
}

#endif
