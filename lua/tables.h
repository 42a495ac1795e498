/* tables.h - the functions of the table library that loop in C, charging the
 * call's budget as they go: insert, remove, move, concat, sort. They do what
 * Lua's do. sort differs in three ways: it is stable, it never takes more than
 * n log n comparisons, and a comparator that fails leaves the table as it was.
 */
#ifndef LUA_TABLES_H
#define LUA_TABLES_H

#include <lua.h>
#include <stdbool.h>

/* Sets them in the table at the top of the stack. [-0, +0, m] */
void tables_open(lua_State *L);

/* Is the value at index b less than the one at a? May raise. */
typedef bool tables_less(lua_State *L, int b, int a);

/* Sorts the raw elements 1..n of the table at the top of the stack, stably.
 * `less` may use a few stack slots above those it is given. [-0, +0, e] */
void tables_sort(lua_State *L, lua_Integer n, tables_less *less);

#endif
