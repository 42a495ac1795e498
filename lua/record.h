/* record.h - JSON bytes of a tuple as scripts see them: a view.
 *
 * `record.level` decodes that field and no other; an object or array inside is
 * a view, too. A null is `null`, what isn't there is nil. `#list`, `list[i]`,
 * ipairs and pairs work; pairs goes in the order of the text, a key that
 * stands there twice comes twice (reading gives the last). The object of the
 * tuple itself can be changed: a value keeps its place, a new key goes to the
 * end, nil removes; every other byte stays. What is assigned is written down
 * then: a table that changes later doesn't change the record. tostring() gives
 * the text; views are equal when their texts are.
 *
 * The bytes are copied once, into Lua's memory; a view of a part keeps the
 * whole alive. */
#ifndef LUA_RECORD_H
#define LUA_RECORD_H

#include "core/json.h"
#include <lua.h>

/* Pushes a view of a copy of `text` (trusted: an object or array as in
 * core/value.h). [-0, +1, m] */
void record_push(lua_State *L, struct json text);

/* Is the value at `index` a view? Then *text is what it shows, borrowed until
 * Lua runs on. [-0, +0, -] */
bool record_text(lua_State *L, int index, struct json *text);

#endif
