/* coroutine.h - the coroutine library for scripts: as Lua's own, but the
 * engine's suspensions (slice, sleep) pass through user coroutines up to the
 * host, the watchdog knows which one runs, at most 256 live in a VM, and the
 * executor's own coroutine is out of reach. */
#ifndef LUA_COROUTINE_H
#define LUA_COROUTINE_H

#include <lua.h>

enum { COROUTINES_MAX = 256 };

/* Pushes the library's table. [-0, +1, m] */
void coroutine_open(lua_State *L);

#endif
