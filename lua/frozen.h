/* frozen.h - tables that may be read only. What self.state gives is a copy: a
 * change to it would be lost without a word, so that it is refused instead.
 * A frozen table is an empty one with the real one behind its metatable: all
 * that asks the metatable (index, #, ipairs, pairs, next, concat, unpack) reads
 * that, and so do values (lua/value.h); rawlen and rawequal see the empty one.
 */
#ifndef LUA_FROZEN_H
#define LUA_FROZEN_H

#include <lua.h>
#include <stdbool.h>

/* Replaces the table at the top, which nobody else has, by a frozen one, with
 * all tables in it; other values stay. [-1, +1, m] */
void frozen_make(lua_State *L);
/* Pushes the real table of the frozen one at `index`; false: it is none, and
 * nothing is pushed. [-0, +(0|1), -] */
bool frozen_real(lua_State *L, int index);

#endif
