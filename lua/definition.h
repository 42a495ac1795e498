/* definition.h - a definition file into a checked plan. */
#ifndef LUA_DEFINITION_H
#define LUA_DEFINITION_H

#include "actors/stream/plan.h"
#include "lua/bundle.h"
#include "lua/runtime.h"

struct definition {
    struct plan plan;      /* its components' configs borrow from the rest */
    struct bundle *bundle; /* a reference */
};

/* Reads the file and its modules, runs it in a VM of its own and checks what
 * it describes. `sets`: `name=value` of --set. `runtime` is given to the
 * executors' configs; NULL in the simulated world. All faults are said at
 * once, a line each, in *errors (heap, the caller's; NULL when OK).
 * ERR_CONFIG: the definition is wrong; ERR_USAGE: the command line is;
 * ERR_IO, ERR_NOTFOUND: the file can't be read; ERR_NOMEM. */
err definition_load(const char *path, const char *const *sets,
                    unsigned set_count, struct lua_runtime *runtime,
                    struct definition **out, char **errors);
/* The same for one of several definitions: a name in `sets` that this one has
 * no param of is no error. known[i] is set when it has sets[i]'s; NULL: all
 * must be params. *tried, also after an error: a reference to the bundle with
 * what was read, the caller's; NULL when there is no memory for one. `tried`
 * may be NULL. */
err definition_load_some(const char *path, const char *const *sets,
                         unsigned set_count, bool *known,
                         struct lua_runtime *runtime, struct definition **out,
                         struct bundle **tried, char **errors);
/* definition_load() for text that is at hand; its modules are read beside
 * `path`. */
err definition_parse(const char *path, const char *text, size_t bytes,
                     const char *const *sets, unsigned set_count,
                     struct lua_runtime *runtime, struct definition **out,
                     char **errors);
void definition_free(struct definition *definition);

/* True when `next` describes the same graph as `now`, so that its code can be
 * taken over while it runs; else `why` says what changed first. */
bool definition_same_graph(const struct definition *now,
                           const struct definition *next, char *why,
                           size_t why_bytes);

#endif
