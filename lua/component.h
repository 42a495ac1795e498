/* component.h - the class of all spouts, bolts and sinks written in Lua: one
 * VM per executor, entered once per batch. */
#ifndef LUA_COMPONENT_H
#define LUA_COMPONENT_H

#include "actors/stream/component.h"
#include "lua/bundle.h"
#include "lua/runtime.h"

struct window_plan;

/* component_plan.config of lua_class. */
struct lua_config {
    struct bundle *bundle;       /* borrowed from the plan's maker */
    const char *component;       /* name */
    struct lua_runtime *runtime; /* NULL: the simulated world */
    size_t memory_bytes;         /* 0: the default */
    int64_t budget_ns;           /* 0: the default */
    /* A bolt with `map(fn)`, `reduce_by("k", "v", fn)` or their like: which
     * (NULL: none), and the fields that are its arguments. */
    const char *operator_name;
    const char *const *arguments;
    unsigned argument_count;
    const struct window_plan *window; /* see windowed.h; NULL: none */
    /* A spout with `generator { … }`. */
    bool generates;
    int64_t rate;  /* tuples a second; 0: as fast as it goes */
    int64_t count; /* of tuples in all its tasks; -1: no end */
};

extern const struct component_class lua_class;

/* struct code's text: the bundle (a reference, dropped with the code). */
struct code *lua_code_new(struct bundle *bundle,
                          void (*done)(struct code *code, bool taken,
                                       const char *error));

#endif
