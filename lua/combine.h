/* combine.h - what `combine` of reduce_by does at both ends: a sender reduces
 * the numbers that come with a key by the reader's function, which its own VM
 * runs; the reader takes all of such a batch, or nothing. See combiner.h. */
#ifndef LUA_COMBINE_H
#define LUA_COMBINE_H

#include "lua/guest.h"

/* ---- the sender ---- */

/* Finds the functions of those who reduce the guest's streams in an edition's
 * record; they take the place of those before. [-0, +0, v] */
void combine_adopt(lua_State *L, struct guest *g, const struct vref *record);
void combine_fini(struct guest *g);

/* Can a tuple with this key and value be combined? */
bool combine_takes(lua_State *L, int key, int value);
/* The number at `value` goes to the key's row in the port. False: refused, see
 * emitter.failed. Raises what the function raises; the call in hand fails then,
 * though it be caught, since other routes may have the tuple. [-0, +0, v] */
bool combine_put(lua_State *L, struct guest *g, const struct route *route,
                 struct port *port, const uint8_t *key, uint32_t bytes,
                 uint64_t hash, int value);
bool combine_put_short(lua_State *L, struct guest *g, const struct route *route,
                       struct port *port, struct short_string key,
                       uint64_t hash, int value);

/* ---- the reader ---- */

/* Takes the combined batch in hand, g->input. */
enum step combine_execute(struct guest *g);
enum step combine_outcome(struct guest *g, enum vm_outcome outcome);

#endif
