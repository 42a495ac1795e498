/* program.h - a Lua pattern, compiled: items that follow each other without
 * alternatives. So which captures are open at an item is known beforehand, and
 * a capture needs no undoing: the walk that succeeds was the last to write it.
 * Stock Lua finds a pattern's mistakes only when it gets there, and so does
 * this: a mistake is an item that raises. */
#ifndef LUA_PROGRAM_H
#define LUA_PROGRAM_H

#include "lua/byteset.h"
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CAPTURES_MAX = 32,
    DEPTH_MAX = 200, /* stock's MAXCCALLS: "pattern too complex" */
    PROGRAM_SCRATCH_BYTES = 2048,
};

enum op {
    OP_END,
    OP_BYTE,     /* one given byte */
    OP_TEXT,     /* several */
    OP_SET,      /* one byte of a set */
    OP_SPAN,     /* as many as there are, at least `min`; never taken back */
    OP_OPTION,   /* one byte of a set if it is there; never taken back */
    OP_GREEDY,   /* as many as there are, then fewer, at least `min` */
    OP_LAZY,     /* none, then more */
    OP_MAYBE,    /* one, then none */
    OP_OPEN,     /* "(", capture number `arg` */
    OP_CLOSE,    /* ")" */
    OP_POSITION, /* "()" */
    OP_BACK,     /* "%1": what capture `arg` holds */
    OP_BALANCE,  /* "%bxy": x is `arg`, y is `arg2` */
    OP_FRONTIER, /* "%f[set]" */
    OP_DOLLAR,   /* "$": the subject's end */
    OP_MISTAKE,  /* raises mistake `arg` */
};

enum mistake {
    MISTAKE_ENDS_WITH_ESCAPE,
    MISTAKE_NO_BRACKET,
    MISTAKE_NO_FRONTIER_SET,
    MISTAKE_NO_BALANCE,
    MISTAKE_CAPTURES,
    MISTAKE_CLOSE,
    MISTAKE_BACK,
};

struct item {
    uint8_t op;
    uint8_t arg;
    uint8_t arg2;
    uint8_t min;        /* SPAN, GREEDY */
    bool follow_at_end; /* the rest of the pattern may match "" */
    const struct set *set;
    union {
        /* GREEDY, LAZY: what the rest of the pattern can begin with; NULL if
         * that is anything. */
        const struct set *follow;
        struct {
            char *at; /* in the program */
            size_t bytes;
        } text;
    } u;
};

enum program_kind {
    PROGRAM_ITEMS, /* any */
    PROGRAM_RUN,   /* "%a+" or "(%a+)": one item, a SPAN of at least one */
    PROGRAM_TEXT,  /* a text of bytes */
};

/* A compiled pattern: one block. */
struct program {
    uint8_t kind;
    uint8_t captures;
    bool anchored;
    bool start_at_end; /* it may match "" at the subject's end */
    bool skips_run;    /* failed at s, it fails in all of s's run of `run` */
    size_t bytes;
    const struct set *start; /* its first byte; NULL if that is anything, or
                              * if it is anchored */
    const struct set *run;   /* of a leading SPAN */
    struct item *items;
};

/* The compiled pattern: in `scratch` (may be NULL) if it has
 * PROGRAM_SCRATCH_BYTES at most, else in a userdata that is pushed.
 * [-0, +(0|1), m] */
const struct program *program_compile(lua_State *L, const char *pattern,
                                      size_t bytes, bool anchored,
                                      void *scratch);

#endif
