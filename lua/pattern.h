/* pattern.h - string.find, match, gmatch and gsub with a bound on their work.
 * The language and the error texts are Lua 5.4's (manual 6.4.1), with the
 * classes of the C locale whatever the process's locale is. What differs:
 * a pattern is compiled once and kept, and a call ends with the error `pattern
 * takes more than 1000000 steps; make it simpler or anchor it` where the stock
 * functions would go on for hours.
 *
 * A step is a choice that the matcher takes back: an item of the pattern given
 * another length. The walk itself is cheaper: 16 items tried make a step, and
 * so do 128 bytes run over by one item. So a call whose work grows with the
 * length of its subject has room for many megabytes. */
#ifndef LUA_PATTERN_H
#define LUA_PATTERN_H

#include <lua.h>

/* For one call of find, match or gsub, and for one result of gmatch. The limit
 * is looked at every 4096 steps, never too early. */
enum { PATTERN_STEPS_MAX = 1000000 };

/* Sets find, match, gmatch and gsub in the table at the top of the stack.
 * [-0, +0, e]
 * The four share a cache of compiled patterns (64 of them, each of at most
 * 8 KB), owned by Lua and freed with the state. Their steps are charged to the
 * running call (vm_charge), also those of calls that end by an error. All
 * memory is Lua's: an error leaves nothing behind. For the thread that runs
 * the state; coroutines of a state may share them. The state's allocator lets
 * SHORT_SLACK bytes be read behind a block, as lua/heap.h does. */
void pattern_open(lua_State *L);

#endif
