/* programs.h - the compiled patterns that a machine keeps.
 * Patterns made for a single call are common: one is kept when it comes a
 * second time, so that such don't drive out the others, nor cost an allocation.
 * Some are kept at once: patterns that take turns might never be seen twice. */
#ifndef LUA_PROGRAMS_H
#define LUA_PROGRAMS_H

#include "lua/program.h"

enum {
    PROGRAMS_ROWS = 32,
    PROGRAMS_WAYS = 2,
    PROGRAM_KEPT_BYTES = 8192, /* a larger one is compiled each time */
};

struct cached {
    const char *pattern; /* kept by a user value: the same address, the same
                          * pattern */
    bool anchors;        /* a leading '^' was an anchor */
    const struct program *program; /* kept by a user value */
};

/* In a userdata, an upvalue of all the functions. The user values of
 * entry n are 2n + 1, the pattern, and 2n + 2, its program. */
struct programs {
    int64_t fuel; /* units until the next charge; < 0 never stays */
    struct cached entries[PROGRAMS_ROWS * PROGRAMS_WAYS];
    uint8_t victim[PROGRAMS_ROWS]; /* the way to give up next */
    uint32_t seen[PROGRAMS_ROWS];  /* hash of the last one that was not kept */
    uint32_t misses;
    uint64_t scratch[PROGRAM_SCRATCH_BYTES / sizeof(uint64_t)];
};

/* Where the functions of pattern.c have it. */
enum { PROGRAMS = lua_upvalueindex(1) };

/* Pushes a new one. [-0, +1, m] */
struct programs *programs_new(lua_State *L);

/* The program of the pattern at index 2. It lives until one of the functions is
 * called again. [-0, +(0|1), m] */
const struct program *programs_at_2(lua_State *L, struct programs *cache,
                                    const char *pattern, size_t bytes);
/* The same, and pushes what keeps the program alive. [-0, +1, m] */
const struct program *programs_push(lua_State *L, struct programs *cache,
                                    const char *pattern, size_t bytes,
                                    bool anchors);

#endif
