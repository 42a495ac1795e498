/* json.h - the library `json` of scripts, and what it shares with the views.
 *   json.encode(v)   the text of any value that may travel in a tuple
 *   json.decode(s)   the value (objects and arrays become tables, null
 *                    `null`), or nil and why not; a view may be given, too */
#ifndef LUA_JSON_H
#define LUA_JSON_H

#include "core/buffer.h"
#include <lua.h>
#include <stdint.h>

/* Of a VM, which owns it and frees it at its end. */
struct json_desk {
    struct buffer text;    /* JSON being written */
    struct buffer values;  /* MessagePack on its way */
    struct buffer scratch; /* of json_decode() */
    uint64_t replaced;     /* what JSON could not say: see core/json_write.h */
};

/* Borrowed; made when it is first asked for. [-0, +0, m] */
struct json_desk *json_desk(lua_State *L);

/* What JSON could not say in this VM so far. [-0, +0, -] */
uint64_t json_replaced(lua_State *L);

/* Appends the value at `index` to desk->text. Raises what value_encode() does,
 * and where it is above VALUE_BYTES_MAX; then desk->text is empty.
 * [-0, +0, v] */
void json_write(lua_State *L, struct json_desk *desk, int index);

/* Sets `json` in the table at the top. [-0, +0, m] */
void json_open(lua_State *L);

#endif
