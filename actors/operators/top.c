/* top.c - the operator `top(10, "count")`: the tuples whose field is largest,
 * in value_order(); of equal ones those that came first. Emits them, the
 * largest first, at the end and at every tick.
 * They outlive an actor that crashes. Where the component keeps state, all are
 * written to it when a checkpoint comes and one is new. */
#include "actors/operators/operator.h"
#include "core/alloc.h"
#include <stdlib.h>
#include <string.h>

struct kept {
    uint8_t *tuple; /* owned */
    uint32_t bytes;
    uint32_t field;  /* where the field is in it */
    uint64_t number; /* of arrival */
};

struct top {
    struct kept *heap; /* owned: the least of them is the first */
    uint64_t count, room, most;
    uint64_t arrivals;
    size_t bytes;  /* of the tuples */
    uint64_t left; /* to be emitted: those before it */
    bool changed;  /* since the last checkpoint */
};

static void end(struct component_context *context, void *self)
{
    struct top *t = self;
    for (uint64_t i = 0; i < t->count; i++)
        mem_free(t->heap[i].tuple);
    mem_free(t->heap);
}

/* ---- the heap ---- */

/* Negative: a goes before b does. */
static int order(const struct kept *a, const struct kept *b)
{
    int by_field = value_order(a->tuple + a->field, b->tuple + b->field);
    if (by_field != 0) return by_field;
    return (a->number < b->number) - (a->number > b->number);
}

static void swap(struct kept *a, struct kept *b)
{
    struct kept was = *a;
    *a = *b;
    *b = was;
}

static void sift_up(struct top *t, uint64_t i)
{
    for (; i > 0; i = (i - 1) / 2) {
        if (order(&t->heap[(i - 1) / 2], &t->heap[i]) < 0) return;
        swap(&t->heap[(i - 1) / 2], &t->heap[i]);
    }
}

static void sift_down(struct top *t, uint64_t i)
{
    for (;;) {
        uint64_t least = i, child = 2 * i + 1;
        for (uint64_t c = child; c < child + 2 && c < t->count; c++)
            if (order(&t->heap[c], &t->heap[least]) < 0) least = c;
        if (least == i) return;
        swap(&t->heap[i], &t->heap[least]);
        i = least;
    }
}

static err grow(struct top *t)
{
    uint64_t room = t->room ? 2 * t->room : 16;
    if (room > t->most) room = t->most;
    struct kept *heap = mem_resize(t->heap, room * sizeof *heap);
    if (heap == NULL) return ERR_NOMEM;
    t->heap = heap;
    t->room = room;
    return OK;
}

/* ---- what comes ---- */

/* Another one goes for it, or none does. ERR_NOMEM: nothing has changed. */
static err take(struct component_context *context, struct top *t,
                const uint8_t *at, const uint8_t *field, const uint8_t *stop)
{
    bool full = t->count == t->most;
    struct kept *least = t->heap;
    if (full && value_order(field, least->tuple + least->field) <= 0) return OK;
    uint32_t bytes = (uint32_t)(stop - at);
    size_t all = t->bytes + bytes - (full ? least->bytes : 0);
    if (all + (t->count + 1) * sizeof *least > operator_memory_bytes(context))
        return ERR_NOMEM;
    if (!full && t->count == t->room && grow(t) != OK) return ERR_NOMEM;
    uint8_t *tuple = mem_alloc(bytes);
    if (tuple == NULL) return ERR_NOMEM;
    memcpy(tuple, at, bytes);
    struct kept one = {tuple, bytes, (uint32_t)(field - at), t->arrivals++};
    t->bytes = all;
    t->changed = true;
    if (full) {
        mem_free(least->tuple);
        *least = one;
        sift_down(t, 0);
    } else {
        t->heap[t->count++] = one;
        sift_up(t, t->count - 1);
    }
    return OK;
}

static enum step execute(struct component_context *context, void *self,
                         struct input *input)
{
    unsigned place = operator_config(context)->places[input->source];
    unsigned arity = input_stream(context, input->source)->arity;
    const uint8_t *at;
    while ((at = input_next(context, input)) != NULL) {
        const uint8_t *field = value_skip_many(at, place);
        const uint8_t *stop = value_skip_many(field, arity - place);
        if (!value_is_key(field))
            operator_fail_value(
                context, input, field, stop,
                "which has no place in an order; emit a number");
        else if (take(context, self, at, field, stop) != OK)
            operator_fail_memory(context, input, stop);
        else
            input_done(context, input, stop);
    }
    return STEP_DONE;
}

/* ---- what it says ---- */

static int compare(const void *a, const void *b)
{
    return order(a, b);
}

static enum step emit_rest(struct component_context *context, void *self)
{
    struct top *t = self;
    for (; t->left > 0; t->left--) {
        const struct kept *one = &t->heap[t->left - 1];
        if (env_spent(context->env)) return STEP_YIELD;
        if (!operator_emit(context, one->tuple, one->bytes)) return STEP_CRASH;
    }
    return STEP_DONE;
}

/* In order it is a heap, too. */
static enum step emit_all(struct component_context *context, void *self)
{
    struct top *t = self;
    if (t->count > 1) qsort(t->heap, t->count, sizeof *t->heap, compare);
    t->left = t->count;
    return emit_rest(context, self);
}

/* ---- state ---- */

/* As they arrived, so that equal ones stand as they did: where the field is,
 * and the tuple. */
static err keep(struct component_context *context, void *self,
                struct store_part **out)
{
    struct top *t = self;
    struct buffer row = {0};
    err e = OK;
    if (!t->changed) return OK;
    if (t->count > 1) qsort(t->heap, t->count, sizeof *t->heap, compare);
    for (uint64_t i = 0; e == OK && i < t->count; i++) {
        const struct kept *one = &t->heap[i];
        size_t room = VALUE_SCALAR_MAX + VALUE_HEAD_MAX + one->bytes + 16;
        row.used = 0;
        e = buffer_reserve(&row, room);
        if (e != OK || row.data == NULL) break;
        uint8_t *at = value_put_array_head(row.data, 2);
        at = value_put_int(at, one->field);
        at = value_put_bytes(at, (char *)one->tuple, one->bytes);
        e = operator_put_row(context, t->count - 1 - i, row.data,
                             (size_t)(at - row.data));
    }
    buffer_fini(&row);
    t->changed = e != OK;
    return e;
}

static err take_row(struct component_context *context, void *self,
                    const uint8_t *values, const uint8_t *end)
{
    struct value pair, field, tuple;
    const uint8_t *stop;
    if (value_check(values, end, &stop) != OK) return ERR_FORMAT;
    const uint8_t *at = value_head(values, &pair);
    if (pair.type != VALUE_ARRAY || pair.count != 2) return ERR_FORMAT;
    at = value_get(at, &field);
    value_get(at, &tuple);
    if (field.type != VALUE_INT || tuple.type != VALUE_BYTES ||
        field.as.integer < 0 || field.as.integer >= tuple.count)
        return ERR_FORMAT;
    const uint8_t *bytes = (const uint8_t *)tuple.as.bytes;
    return take(context, self, bytes, bytes + field.as.integer,
                bytes + tuple.count);
}

static err make(struct component_context *context, void *self)
{
    struct top *t = self;
    t->most = (uint64_t)operator_config(context)->count;
    if (context->state == NULL) return OK;
    err e = operator_each_row(context, t, take_row);
    t->changed = false;
    if (e != OK) end(context, t);
    return e;
}

static const struct component_class class = {
    .name = "top",
    .state_bytes = sizeof(struct top),
    .stays = true,
    .change = operator_change,
    .make = make,
    .free = end,
    .execute = execute,
    .finish = emit_all,
    .tick = emit_all,
    .resume = emit_rest,
    .keep = keep,
};

const struct operator_kind operator_top = {.name = "top", .class = &class};
