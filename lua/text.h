/* text.h - string.rep, byte, lower and upper: what they do is charged, and the
 * last two take sixteen bytes at a time (in the C locale, as ever). */
#ifndef LUA_TEXT_H
#define LUA_TEXT_H

#include <lua.h>

/* Sets them in the table at the top of the stack. [-0, +0, m] */
void text_open(lua_State *L);

#endif
