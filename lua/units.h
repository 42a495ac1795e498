/* units.h - core/units.h for values of Lua: a number (of seconds, of bytes) or
 * a text with a unit. */
#ifndef LUA_UNITS_H
#define LUA_UNITS_H

#include <lua.h>
#include <stdint.h>

/* What is not said otherwise in an error: "give a duration like …". */
#define UNITS_DURATION "a duration like \"5s\" or \"100ms\""

/* Nanoseconds; -1: it is none. [-0, +0, -] */
int64_t units_duration_at(lua_State *L, int index);

/* duration(v), size(v): nanoseconds and bytes, or nil. */
int units_of_duration(lua_State *L);
int units_of_size(lua_State *L);

#endif
