/* order.h - the simulated world's pairs, next, tostring and string.format.
 * Lua's hash seed and the addresses of objects differ in each process, so there
 * nothing may depend on them: tables are walked in the order of their keys
 * (numbers, strings by bytes, booleans, then objects by their rank in the
 * VM's heap), and an object shows its rank where its address would stand. */
#ifndef LUA_ORDER_H
#define LUA_ORDER_H

#include <lua.h>

/* Sets pairs, next and tostring in the table at `base`, format in the one at
 * `strings`. The VM's heap must not be plain. [-0, +0, m] */
void order_open(lua_State *L, int base, int strings);

/* As luaL_tolstring, without addresses. [-0, +1, e] */
const char *order_text(lua_State *L, int index, size_t *bytes);

#endif
