/* stage.h - where one test plays: its machine's host, the topologies it loads
 * and the trials it runs. testing.c runs tests on it, stage.c has the words
 * that load, run and watch. Not for others. */
#ifndef LUA_STAGE_H
#define LUA_STAGE_H

#include "actors/testing/trial.h"
#include "lua/definition.h"
#include "lua/script.h"

/* A definition that tests run: loaded once for all of them. */
struct loaded {
    char *path;
    char *sets; /* `name=value`, a line each, in order */
    struct definition *definition;
    struct loaded *next;
};
void loaded_free(struct loaded *list);

/* What run and run.start began; lives until the test is through. */
struct run {
    struct trial *trial;
    const struct plan *plan;
    struct run *next; /* older */
};

struct stage {
    struct script script; /* first: it is the VM's host */
    struct loaded **all;  /* the spec file's */
    uint64_t seed;
    struct vref tests; /* list of { name, line, run } */
    struct run *runs;  /* owned, newest first */
    unsigned run_count;
    struct buffer scratch; /* of a row */
    char *fault;           /* owned: of a load; borrowed by nobody for long */
};

/* Sets load_topology and feeder in the table at the top. [-0, +0, m] */
void stage_add_words(lua_State *L);
/* Ends all trials; the machine may not run any more. */
void stage_fini(struct stage *stage);

static inline struct stage *stage_of(lua_State *L)
{
    return vm_host(L);
}

#endif
