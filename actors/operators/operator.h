/* operator.h - what stands in a bolt's table instead of a function and runs
 * without Lua: `words "line"`, `count_by "word"`, `top(10, "count")`. To write
 * a new one: one file like words.c, an `extern` and a line in operator.c, and
 * a line in lua/engine/plan.lua, which says what its arguments are. */
#ifndef ACTORS_OPERATORS_OPERATOR_H
#define ACTORS_OPERATORS_OPERATOR_H

#include "actors/stream/component.h"

struct operator_kind {
    const char *name;
    const struct component_class *class;
};

/* component_plan.config of its class; lives as long as the plan. */
struct operator_config {
    const struct operator_kind *kind;
    const char *field;      /* of the input, which it works on */
    const unsigned *places; /* of that field, by the component's inputs */
    int64_t count;          /* of tuples that top keeps */
    size_t memory_bytes;    /* what a task may keep; 0: OPERATOR_MEMORY_BYTES */
};

enum { OPERATOR_MEMORY_BYTES = 64 << 20 };

/* NULL: there is none of that name that runs without Lua. */
const struct operator_kind *operator_named(const char *name);

/* ---- for their classes ---- */

/* change(): "operator", its name when it is an argument, "memory". */
const char *operator_change(const void *now, const void *next);

static inline const struct operator_config *
operator_config(const struct component_context *context)
{
    return context->component->config;
}

size_t operator_memory_bytes(const struct component_context *context);
/* The tuple in hand fails: the operator can do nothing with this value of its
 * field, for the reason and with the advice given ("not a string; …"). */
void operator_fail_value(struct component_context *context, struct input *input,
                         const uint8_t *value, const uint8_t *end,
                         const char *why);
/* It fails for lack of memory. */
void operator_fail_memory(struct component_context *context,
                          struct input *input, const uint8_t *end);
/* One tuple of a tick or of finish(). False: context->error says why, the task
 * can't go on. */
bool operator_emit(struct component_context *context, const uint8_t *values,
                   uint32_t bytes);
/* ---- for those that gather, where they keep state ---- */

/* A row of the component's state: under a number, encoded values; for keep().
 * ERR_NOMEM, and what the store says. */
err operator_put_row(struct component_context *context, uint64_t number,
                     const uint8_t *values, size_t bytes);
/* Calls with each row, in the order of their numbers, until one isn't OK; for
 * make(). ERR_FORMAT: a row is damaged. */
err operator_each_row(struct component_context *context, void *self,
                      err (*each)(struct component_context *context, void *self,
                                  const uint8_t *values, const uint8_t *end));

/* What operator_fail_memory() says: `text` has room for OPERATOR_WHY_BYTES. */
enum { OPERATOR_WHY_BYTES = 256 };
void operator_memory_text(const struct component_context *context, char *text);

#endif
