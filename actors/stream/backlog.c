/* backlog.c - what goes round a loop when a barrier comes, under exactly-once:
 * the loop's head, where a way leads back to, gives what it is when the barrier
 * has come on its other inputs, and passes it on; what comes by the ways back
 * before the barrier has come round is of before it, so that belongs to the
 * head's part, and comes again to who goes back to that checkpoint. Nothing
 * stands meanwhile.
 * Source: Carbone et al. 2015, part 4.3 (cyclic dataflows). */
#include "actors/stream/batch.h"
#include "actors/stream/checkpoint.h"
#include "actors/stream/executor_state.h"
#include "actors/stream/ledger.h"
#include "core/node.h"
#include <stdio.h>
#include <string.h>

/* A backlog is batches, each behind the names of the component and stream it is
 * of, the number of its sender among the component's tasks, and its length. */
enum { NUMBERS_BYTES = 8 };

static const struct stream_plan *stream_of(const struct executor *x,
                                           const struct channel *c)
{
    const struct input_plan *in = &x->context.component->inputs[c->input];
    return &x->context.plan->components[in->component].streams[in->stream];
}

static err append(struct buffer *to, const struct task *from,
                  const struct stream_plan *stream, const struct batch *b)
{
    const char *name = from->component->name;
    uint8_t numbers[NUMBERS_BYTES] = {0};
    err e = buffer_append(to, name, strlen(name) + 1);
    if (e == OK) e = buffer_append(to, stream->name, strlen(stream->name) + 1);
    size_t at = to->used;
    if (e == OK) e = buffer_append(to, numbers, sizeof numbers);
    if (e == OK) e = batch_encode(b, to);
    if (e != OK) return e;
    value_store32(to->data + at, from->index);
    value_store32(to->data + at + 4, (uint32_t)(to->used - at - NUMBERS_BYTES));
    return OK;
}

/* It counts as what waits, so that a loop which multiplies what goes round is
 * full before memory is. */
static err note(struct executor *x, const struct channel *c,
                const struct batch *b)
{
    struct buffer *to = &x->waiting->backlog;
    size_t before = to->used;
    err e = append(to, topology_task(x->topology, c->from), stream_of(x, c), b);
    at_add(&x->task->loop->waiting_bytes, (int64_t)(to->used - before),
           RELAXED);
    return e;
}

static struct checkpoint_part *take(struct executor *x)
{
    struct checkpoint_part *part = x->waiting;
    x->waiting = NULL;
    if (part)
        at_sub(&x->task->loop->waiting_bytes, (int64_t)part->backlog.used,
               RELAXED);
    return part;
}

/* Has all come that is of before the barrier? */
static bool is_whole(const struct executor *x, uint64_t mark)
{
    const struct task *task = x->task;
    if (loop_is_over(task->loop)) return true;
    for (unsigned i = 0; i < task->input_count; i++)
        if (task->inputs[i]->back && task->inputs[i]->came < mark) return false;
    return true;
}

/* What waits is of before the barrier where that hasn't come. */
static err note_held(struct executor *x, const struct channel *c)
{
    err e = OK;
    if (!c->back || c->came >= x->waiting->mark) return OK;
    for (struct msg *m = c->held_first; e == OK && m; m = m->next)
        if (batch_of(m)->marker == BATCH_DATA) e = note(x, c, batch_of(m));
    return e;
}

err backlog_begin(struct executor *x, struct checkpoint_part *part, bool *kept)
{
    err e = OK;
    if (!x->task->heads || part->mark == 0 || is_whole(x, part->mark))
        return OK;
    x->waiting = part;
    for (unsigned i = 0; e == OK && i < x->task->input_count; i++)
        e = note_held(x, x->task->inputs[i]);
    *kept = e == OK;
    if (e != OK) take(x);
    return e;
}

err backlog_came(struct executor *x, struct channel *c, struct batch *b)
{
    if (b->marker == BATCH_MARK) c->came = b->number;
    if (b->marker != BATCH_DATA || x->waiting == NULL ||
        c->came >= x->waiting->mark)
        return OK;
    return note(x, c, b);
}

err backlog_look(struct executor *x)
{
    if (x->waiting == NULL || !is_whole(x, x->waiting->mark)) return OK;
    return parts_send(x, take(x));
}

void backlog_drop(struct executor *x)
{
    struct checkpoint_part *part = take(x);
    if (part) ref_drop(x->context.env, &part->ref);
}

/* ---- going back ---- */

/* Of a component that has fewer tasks now, any other. NULL: the definition has
 * no such way back any more. */
static struct channel *channel_of(const struct executor *x,
                                  const char *component, const char *stream,
                                  uint32_t index)
{
    struct channel *any = NULL;
    for (unsigned i = 0; i < x->task->input_count; i++) {
        struct channel *c = x->task->inputs[i];
        const struct task *from = topology_task(x->topology, c->from);
        if (!c->back || strcmp(from->component->name, component) != 0 ||
            strcmp(stream_of(x, c)->name, stream) != 0)
            continue;
        any = c;
        if (from->index == index) return c;
    }
    return any;
}

static err restore_batch(struct executor *x, struct channel *c,
                         struct bytes bytes)
{
    struct msg *m; /* nothing is combined on a way back */
    err e = batch_decode(x->context.env, bytes.at, bytes.count,
                         stream_of(x, c)->arity, false, &m);
    if (e != OK) return e;
    struct batch *b = batch_of(m);
    b->epoch = x->emitter.epoch;
    m->by = &c->edge;
    m->flags |= MSG_DATA;
    m->cost_bytes = 0;
    loop_enter(c->loop, batch_memory_bytes(b));
    channel_hold(c, m);
    return OK;
}

static err refuse(struct executor *x, const char *why)
{
    snprintf(x->context.error, sizeof x->context.error,
             "what was on its way back to it can't be put there: %s; begin "
             "anew with --fresh",
             why);
    return ERR_HOPELESS;
}

/* The text that ends there is behind; NULL: it is cut off. */
static const char *take_text(struct bytes *from)
{
    const char *text = from->at;
    const char *end = from->count ? memchr(text, '\0', from->count) : NULL;
    if (end == NULL) return NULL;
    *from = bytes_of(end + 1, from->count - (size_t)(end + 1 - text));
    return text;
}

/* The first batch of the rest. */
static err restore_next(struct executor *x, struct bytes *rest)
{
    static const char damaged[] = "its record is damaged, or its fields have "
                                  "changed";
    const char *component = take_text(rest);
    const char *stream = take_text(rest);
    if (stream == NULL || rest->count < NUMBERS_BYTES)
        return refuse(x, damaged);
    const uint8_t *at = rest->at;
    uint32_t count = value_load32(at + 4);
    struct channel *c = channel_of(x, component, stream, value_load32(at));
    if (c == NULL) return refuse(x, "its way back is gone");
    if (count > rest->count - NUMBERS_BYTES) return refuse(x, damaged);
    err e = restore_batch(x, c, bytes_of(at + NUMBERS_BYTES, count));
    if (e != OK) return e == ERR_NOMEM ? e : refuse(x, damaged);
    *rest = bytes_of(at + NUMBERS_BYTES + count,
                     rest->count - NUMBERS_BYTES - count);
    return OK;
}

err backlog_restore(struct executor *x)
{
    struct store *store = topology_store(x->topology);
    struct task *task = x->task;
    struct store_view *view;
    struct bytes backlog;
    if (!task->back || !task->backlogged) return OK;
    err e = store_view(store, &view);
    if (e != OK) return e;
    e = ledger_read_backlog(view, x->context.plan, task->component, task->index,
                            &backlog);
    while (e == OK && backlog.count > 0)
        e = restore_next(x, &backlog);
    store_unview(view);
    if (e != OK) return e;
    x->loop_left += LOOP_BATCH;
    task->backlogged = false;
    return OK;
}
