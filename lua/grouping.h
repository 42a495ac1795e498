/* grouping.h - custom("component", function(values, tasks, state) … end): the
 * subscriber's function, called by the sender in its own VM, says which tasks
 * get a tuple. `values` are the tuple's, `tasks` the numbers of the
 * subscriber's tasks, `state` a table of the sender's task that stays. */
#ifndef LUA_GROUPING_H
#define LUA_GROUPING_H

#include "lua/guest.h"

/* Finds the functions that subscribers of the guest's streams gave in an
 * edition's record; they take the place of those before. [-0, +0, v] */
void custom_adopt(lua_State *L, struct guest *g, const struct vref *record);
void custom_fini(struct guest *g);

/* Calls those of one stream for the tuple of `count` values at `first`: a list
 * of checked choices for each is pushed, in the order of the routes. Raises
 * what they raise, and where a choice is none. [-0, +n, e] */
void custom_choose(lua_State *L, struct guest *g, unsigned stream, int first,
                   int count);
/* The port of the n-th choice in the list at `index`; false: there are no more.
 */
bool custom_pick(lua_State *L, int index, int n, uint32_t *port);

#endif
