/* order.h - pairs and next in the order of the keys; the simulated world's
 * tostring and string.format.
 * Lua's hash seed and the addresses of objects differ in each process. What may
 * not depend on them walks tables in the order of their keys (numbers, strings
 * by bytes, booleans, then objects by their rank in the VM's heap): all that
 * runs in the simulated world, and definitions while they are loaded. In
 * the simulated world an object shows its rank where its address would stand.
 */
#ifndef LUA_ORDER_H
#define LUA_ORDER_H

#include <lua.h>

/* Sets pairs and next in the table at the top: stock Lua's, but in order while
 * vm_is_ordered(). [-0, +0, m] */
void order_open(lua_State *L);
/* Sets tostring in the table at `base`, format in the one at `strings`. The
 * VM's heap must not be plain. [-0, +0, m] */
void order_open_text(lua_State *L, int base, int strings);

/* Pushes what pairs gives for the table at `index` in order, with the value at
 * `shown` in its place: the script gets hold of that. [-0, +3, m] */
int order_pairs(lua_State *L, int index, int shown);

/* As luaL_tolstring, without addresses. [-0, +1, e] */
const char *order_text(lua_State *L, int index, size_t *bytes);

#endif
