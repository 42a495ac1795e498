#include "actors/stream/letters.h"
#include "actors/stream/topology.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include <string.h>

struct letters {
    /* Its one route has one port, whose batch is never kept, so never sent. */
    struct emitter catcher;
    struct edge edge;
    struct emitter *real; /* borrowed; NULL: it isn't replaced */
    struct buffer tuple;  /* scratch */
};

static const struct input_plan nobody = {.grouping = GROUPING_GLOBAL};

static uint8_t *put_place(uint8_t *at, const uint8_t *values, unsigned place)
{
    if (values == NULL) return value_put_nil(at);
    values = value_skip_many(values, place);
    size_t bytes = (size_t)(value_skip(values) - values);
    memcpy(at, values, bytes);
    return at + bytes;
}

/* ---- by who failed them ---- */

int letters_stream(const struct plan *plan, const struct component_plan *c)
{
    if (plan->guarantee != EXACTLY_ONCE || c->kind != COMPONENT_BOLT) return -1;
    for (unsigned i = 0; i < c->stream_count; i++)
        if (strcmp(c->streams[i].name, "failed") == 0) return (int)i;
    return -1;
}

static uint8_t *put_text(uint8_t *at, const char *text, size_t count)
{
    return value_put_bytes(at, text, (uint32_t)count);
}

static uint8_t *put_field(uint8_t *at, const char *name,
                          const struct component_context *context,
                          const struct stream_plan *from, const uint8_t *values,
                          const char *reason)
{
    const char *component = context->component->name;
    for (unsigned i = 0; i < from->arity; i++)
        if (strcmp(name, from->fields[i]) == 0) return put_place(at, values, i);
    if (strcmp(name, "reason") == 0)
        return put_text(at, reason, strcspn(reason, "\n"));
    if (strcmp(name, "component") == 0)
        return put_text(at, component, strlen(component));
    if (strcmp(name, "task") == 0) return value_put_int(at, context->index);
    return value_put_nil(at);
}

bool letters_put_own(struct component_context *context, unsigned source,
                     const uint8_t *values, const char *reason)
{
    const struct stream_plan *from = input_stream(context, source);
    int stream = letters_stream(context->plan, context->component);
    if (stream < 0) return true;
    const struct stream_plan *to = &context->component->streams[stream];
    struct buffer tuple = {0};
    /* Each field stands there once at most. */
    size_t most = (size_t)(value_skip_many(values, from->arity) - values) +
                  strlen(reason) + strlen(context->component->name) +
                  to->arity * (size_t)VALUE_SCALAR_MAX +
                  2 * (size_t)VALUE_HEAD_MAX + SHORT_SLACK;
    if (buffer_reserve(&tuple, most) != OK) return false;
    uint8_t *at = tuple.data;
    for (unsigned i = 0; i < to->arity; i++)
        at = put_field(at, to->fields[i], context, from, values, reason);
    bool put = emitter_put(context->emitter, (unsigned)stream, tuple.data,
                           (uint32_t)(at - tuple.data));
    buffer_fini(&tuple);
    return put;
}

/* ---- by spouts ---- */

struct letter *letter_new(uint64_t token, uint32_t task, const char *reason)
{
    size_t bytes = strcspn(reason, "\n");
    struct letter *letter = mem_alloc(sizeof *letter + bytes);
    if (letter == NULL) return NULL;
    letter->token = token;
    letter->task = task;
    letter->reason_bytes = (uint32_t)bytes;
    memcpy(letter->reason, reason, bytes);
    return letter;
}

struct letters *letters_new(struct component_context *context)
{
    struct letters *l = mem_zero(1, sizeof *l);
    if (l == NULL) return NULL;
    struct edge *edge = &l->edge;
    edge_init(edge, EDGE_WINDOW_BYTES);
    err e = emitter_init(&l->catcher, context->component, context->task, 0);
    l->catcher.env = context->env;
    if (e == OK) e = emitter_route(&l->catcher, 0, &nobody, &edge, 1);
    if (e == OK) return l;
    letters_free(l, context->env);
    return NULL;
}

static void forget(void *context, uint64_t root)
{
}

void letters_free(struct letters *l, struct env *env)
{
    if (l == NULL) return;
    l->catcher.env = env;
    emitter_drop(&l->catcher, forget, NULL);
    emitter_fini(&l->catcher);
    buffer_fini(&l->tuple);
    mem_free(l);
}

void letters_catch(struct letters *l, struct component_context *context)
{
    l->catcher.env = context->env;
    emitter_undo(&l->catcher); /* what was caught the time before */
    l->real = context->emitter;
    context->emitter = &l->catcher;
}

bool letters_catching(const struct letters *l)
{
    return l->real != NULL;
}

void letters_let_go(struct letters *l, struct component_context *context)
{
    context->emitter = l->real;
    l->real = NULL;
}

/* The values of the tuple; NULL: none was caught. */
static const uint8_t *caught(const struct letters *l, size_t *bytes)
{
    const struct msg *open = l->catcher.streams[0].routes[0].ports[0].open;
    *bytes = 0;
    if (open == NULL || batch_of(open)->count == 0) return NULL;
    *bytes = batch_of(open)->used;
    return batch_of(open)->data;
}

static uint8_t *put_value(uint8_t *at, unsigned value, const uint8_t *values,
                          const struct letter *letter, const struct task *where)
{
    switch (value) {
    case FAILED_REASON:
        return value_put_bytes(at, letter->reason, letter->reason_bytes);
    case FAILED_COMPONENT:
        if (where == NULL) return value_put_nil(at);
        return value_put_bytes(at, where->component->name,
                               (uint32_t)strlen(where->component->name));
    case FAILED_TASK:
        return where ? value_put_int(at, where->index) : value_put_nil(at);
    default: return put_place(at, values, value);
    }
}

bool letters_put(struct letters *l, struct component_context *context,
                 struct topology *topology, const struct letter *letter)
{
    const struct component_plan *c = context->component;
    unsigned arity = c->streams[c->failed_stream].arity;
    const struct task *where = letter->task == UINT32_MAX
                                   ? NULL
                                   : topology_task(topology, letter->task);
    size_t bytes;
    const uint8_t *values = caught(l, &bytes);
    /* Each field stands there once at most. */
    size_t most = bytes + letter->reason_bytes + VALUE_HEAD_MAX +
                  arity * (size_t)VALUE_SCALAR_MAX + SHORT_SLACK;
    if (where) most += strlen(where->component->name) + VALUE_HEAD_MAX;
    l->tuple.used = 0;
    if (buffer_reserve(&l->tuple, most) != OK) return false;
    uint8_t *at = l->tuple.data;
    for (unsigned i = 0; i < arity; i++)
        at = put_value(at, c->failed_values[i], values, letter, where);
    return emitter_put(context->emitter, c->failed_stream, l->tuple.data,
                       (uint32_t)(at - l->tuple.data));
}
