/* sandbox.h - the environment that scripts see.
 *
 * Names: assert error getmetatable ipairs load (text only) next pairs pcall
 * print rawequal rawlen require select setmetatable tonumber tostring type
 * xpcall collectgarbage("count") _VERSION; string table math utf8 coroutine;
 * os.time date clock difftime by the given clock. The library tables are empty
 * read-only fronts of real ones: writing is an error, and the real ones can't
 * be reached. */
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include <lua.h>

/* Opens it all in a fresh VM; called by vm_new(). The VM's globals table (the
 * environment of chunks that get no other) becomes a read-only one without
 * vocabulary. [-0, +0, m] */
void sandbox_open(lua_State *L);

/* Pops a vocabulary (a table, or nil) and pushes a fresh environment for a
 * chunk: it reads the vocabulary, to which the names above are added (where it
 * has none of its own); a write raises `file:line: global 'x' is assigned;
 * declare it local`. The vocabulary stays the host's: what it removes from it
 * later is gone for the chunk. [-1, +1, m] */
void sandbox_env(lua_State *L);
/* Pushes the table of Lua's own names that every environment has. [-0, +1, -]
 */
void sandbox_base(lua_State *L);

/* Compiles a text chunk with the environment at the top of the stack as its
 * _ENV: pops that and pushes the function, or raises the syntax error. Source
 * beyond 1 MB is refused. `name` as in lua_load: "@file.lua". [-1, +1, v] */
void sandbox_load(lua_State *L, const char *source, size_t bytes,
                  const char *name);

/* Pushes the arguments of the running C function as one text, as print shows
 * them, with `between` in between. [-0, +1, e] */
const char *sandbox_line(lua_State *L, char between, size_t *bytes);

/* Replaces the table at the top of the stack by a read-only front of it; the
 * error of a write says "<name>.<key> is read-only". [-1, +1, m] */
void sandbox_freeze(lua_State *L, const char *name);

#endif
