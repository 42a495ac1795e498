/* held.h - acking = "manual": self.hold() keeps the tuple in hand open beyond
 * its call, for a join say, until :ack() or :fail(reason) of what it gives.
 * What one call does to held tuples counts when the call is right, and is
 * taken back when it fails. One that Lua lets go of unsettled fails. */
#ifndef LUA_HELD_H
#define LUA_HELD_H

#include "lua/guest.h"

/* hold, emit_from and emit_from_to, set in the table at the top. [-0, +0, m] */
void held_add_methods(lua_State *L);
/* The call was right: what it did to held tuples is done. */
void held_keep(struct guest *g);
/* It failed: that is taken back; what it had held has failed with it. */
void held_undo(struct guest *g);
/* Does the call in hand hold its tuple? */
bool held_in_call(const struct guest *g);
/* Before the VM is freed. */
void held_fini(struct guest *g);

#endif
