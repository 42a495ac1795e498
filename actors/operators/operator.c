#include "actors/operators/operator.h"
#include "actors/stream/plan.h"
#include "core/err.h"
#include <stdio.h>
#include <string.h>

extern const struct operator_kind operator_count_by;
extern const struct operator_kind operator_top;
extern const struct operator_kind operator_words;

static const struct operator_kind *const all[] = {
    &operator_count_by,
    &operator_top,
    &operator_words,
};
enum { COUNT = sizeof all / sizeof all[0] };

const struct operator_kind *operator_named(const char *name)
{
    for (unsigned i = 0; i < COUNT; i++)
        if (strcmp(all[i]->name, name) == 0) return all[i];
    return NULL;
}

const char *operator_change(const void *now, const void *next)
{
    const struct operator_config *a = now, *b = next;
    if (a->kind != b->kind) return "operator";
    if (a->count != b->count || strcmp(a->field, b->field) != 0)
        return a->kind->name;
    return a->memory_bytes != b->memory_bytes ? "memory" : NULL;
}

size_t operator_memory_bytes(const struct component_context *context)
{
    size_t bytes = operator_config(context)->memory_bytes;
    return bytes ? bytes : OPERATOR_MEMORY_BYTES;
}

static const char *type_name(const uint8_t *value)
{
    static const char *const names[] = {
        [VALUE_NIL] = "nil",        [VALUE_BOOL] = "a boolean",
        [VALUE_INT] = "an integer", [VALUE_FLOAT] = "a float",
        [VALUE_BYTES] = "a string", [VALUE_ARRAY] = "an array",
        [VALUE_MAP] = "a map",      [VALUE_JSON] = "a JSON text",
    };
    struct value v;
    value_get(value, &v);
    if (v.type == VALUE_FLOAT && v.as.number != v.as.number) return "NaN";
    return names[v.type];
}

void operator_fail_value(struct component_context *context, struct input *input,
                         const uint8_t *value, const uint8_t *end,
                         const char *why)
{
    const struct operator_config *config = operator_config(context);
    char text[512];
    snprintf(text, sizeof text, "%s: field '%.200s' is %s, %s",
             config->kind->name, config->field, type_name(value), why);
    executor_fail(context, input, end, text);
}

void operator_memory_text(const struct component_context *context, char *text)
{
    snprintf(text, OPERATOR_WHY_BYTES,
             "not enough memory; the limit of a task of '%.100s' is %zu MB; "
             "keep less, or give it memory = \"…MB\"",
             context->component->name, operator_memory_bytes(context) >> 20);
}

void operator_fail_memory(struct component_context *context,
                          struct input *input, const uint8_t *end)
{
    char why[OPERATOR_WHY_BYTES];
    operator_memory_text(context, why);
    executor_fail(context, input, end, why);
}

bool operator_emit(struct component_context *context, const uint8_t *values,
                   uint32_t bytes)
{
    env_charge(context->env, 1);
    struct emitter *e = context->emitter;
    if (!emitter_put(e, 0, values, bytes)) {
        if (e->refusal) { /* no tuple is in hand that could fail */
            executor_fault(context, LOSS_NONE, "%s", e->refusal);
            emitter_undo(e);
            return true;
        }
        strcpy(context->error, "out of memory");
        return false;
    }
    executor_emitted(context);
    return true;
}
