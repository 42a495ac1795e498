/* state.h - self.state of a component with state = "durable": a table to the
 * script, in which names are fields and which has a few methods; what it holds
 * is the task's state (actors/stream/state.h).
 * What one call writes to it counts when the call is right, and is taken back
 * when it fails. */
#ifndef LUA_STATE_H
#define LUA_STATE_H

#include "lua/guest.h"

/* Sets `state` in the table at the top, self. [-0, +0, m] */
void state_add(lua_State *L, struct guest *g);

#endif
