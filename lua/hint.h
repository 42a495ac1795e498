/* hint.h - what a name that Lua found nil may have meant. */
#ifndef LUA_HINT_H
#define LUA_HINT_H

#include <lua.h>

/* To the text of an error at the top of the stack, `… (field 'emmit')`, it adds
 * `; did you mean 'emit'?` where a name that is known here is near, or that no
 * global is. [-1, +1, m] */
void hint_add(lua_State *L);

/* What the table at the top has can be read like globals, too. [-0, +0, m] */
void hint_globals(lua_State *L);

/* The functions of the table at the top are the host's, called `name`: also
 * where an argument is wrong. [-0, +0, m] */
void hint_names(lua_State *L, const char *name);

/* nearest(name, names): the nearest of an array of names, or nil. */
int hint_nearest(lua_State *L);

#endif
