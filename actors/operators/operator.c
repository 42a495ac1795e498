#include "actors/operators/operator.h"
#include "actors/stream/plan.h"
#include "actors/stream/state.h"
#include "core/err.h"
#include "core/sort_key.h"
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

/* ---- state ---- */

enum { ROWS_AT_ONCE = 256 };

err operator_put_row(struct component_context *context, uint64_t number,
                     const uint8_t *values, size_t bytes)
{
    uint8_t key[SORT_KEY_HEAD_MAX];
    struct value n = value_of_int((int64_t)number);
    size_t count = (size_t)(sort_key_put(key, &n) - key);
    err e = state_put(context->state, bytes_of(key, count),
                      bytes_of(values, bytes));
    state_keep(context->state); /* no call is under way that might fail */
    return e;
}

typedef err each_row(struct component_context *context, void *self,
                     const uint8_t *values, const uint8_t *end);

/* Those whose keys are in the list. */
static err take_rows(struct component_context *context, void *self,
                     each_row *each, const struct buffer *keys,
                     struct buffer *last)
{
    err e = OK;
    for (size_t at = 0; e == OK && at < keys->used;) {
        uint32_t count;
        struct bytes value;
        memcpy(&count, keys->data + at, sizeof count);
        struct bytes key = bytes_of(keys->data + at + sizeof count, count);
        at += sizeof count + count;
        e = state_get(context->state, key, &value);
        if (e == OK && value.at)
            e = each(context, self, value.at,
                     (const uint8_t *)value.at + value.count);
        last->used = 0;
        if (e == OK) e = buffer_append(last, key.at, key.count);
    }
    return e;
}

err operator_each_row(struct component_context *context, void *self,
                      each_row *each)
{
    struct buffer keys = {0}, last = {0};
    unsigned found = ROWS_AT_ONCE;
    err e = OK;
    while (e == OK && found == ROWS_AT_ONCE) {
        keys.used = 0;
        e = state_keys(context->state, bytes_of("", 0),
                       bytes_of(last.data ? (char *)last.data : "", last.used),
                       last.used == 0, ROWS_AT_ONCE, &keys, &found);
        if (e == OK) e = take_rows(context, self, each, &keys, &last);
    }
    buffer_fini(&keys);
    buffer_fini(&last);
    state_rest(context->state);
    return e;
}
