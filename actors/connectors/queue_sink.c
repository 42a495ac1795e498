/* queue_sink.c - writes to a queue: gathers records in blocks, which the next
 * checkpoint puts into the store with all else that it decides. */
#include "actors/connectors/queue_ends.h"
#include "actors/stream/rows.h"
#include "core/log.h"
#include "core/value.h"
#include <stdio.h>
#include <string.h>

enum {
    BLOCK_BYTES = 32 << 10,
    SOON_BYTES = 8 << 20,  /* gathered: then a checkpoint comes soon */
    WAIT_BYTES = 64 << 20, /* and so much stops the spouts until it is there */
    LOOK_NS = 20 * 1000 * 1000, /* is there room again? */
};

err queue_sink_make(struct component_context *context, void *self)
{
    struct queue_sink *q = self;
    struct store_view *view;
    struct queue_key key;
    struct bytes value;
    q->queue = queue_name(context);
    err e = queue_lane_of(context, &q->lane);
    /* A number is the last thing in a key, and a block's is the longest one. */
    if (e == OK) e = queue_block_key(q->queue, &q->lane, 0, &key);
    if (e == OK) e = queue_writer_key(q->queue, &q->lane, &key);
    if (e == ERR_LIMIT) {
        strcpy(context->error, "the names of the queue, the topology and this "
                               "component are too long together; shorten them");
        return ERR_HOPELESS;
    }
    if (e == OK) e = store_view(executor_store(context), &view);
    if (e != OK) return e;
    e = store_get(view, queue_bytes(&key), &value);
    q->known = e == OK;
    if (q->known) e = queue_writer_get(value, &q->stood);
    store_unview(view);
    if (e == ERR_FORMAT) {
        snprintf(context->error, sizeof context->error,
                 "queue '%s' was written by a newer engine, or is damaged; use "
                 "that one, or another queue",
                 q->queue);
        return ERR_HOPELESS;
    }
    q->now.next = q->block_first = q->stood.next;
    return e == ERR_NOTFOUND ? OK : e;
}

void queue_sink_free(struct component_context *context, void *self)
{
    struct queue_sink *q = self;
    buffer_fini(&q->block);
    rows_free(q->rows);
}

/* The block is full, or a checkpoint takes it. */
static err seal(struct queue_sink *q)
{
    struct queue_key key;
    uint8_t head[QUEUE_VALUE_MAX];
    if (q->count == 0) return OK;
    if (q->rows == NULL) q->rows = rows_new();
    if (q->rows == NULL) return ERR_NOMEM;
    size_t bytes = queue_block_put(q->count, head);
    err e = queue_block_key(q->queue, &q->lane, q->block_first, &key);
    /* Room for the head was left at the block's beginning. */
    uint8_t *begin = q->block.data + QUEUE_VALUE_MAX - bytes;
    memcpy(begin, head, bytes);
    if (e == OK)
        e = rows_put(q->rows, queue_bytes(&key),
                     bytes_of(begin, q->block.used - QUEUE_VALUE_MAX + bytes));
    if (e != OK) return e;
    q->block_first = q->now.next;
    q->count = 0;
    q->block.used = 0;
    return OK;
}

/* Without memory nothing of it is there. */
static err append(struct queue_sink *q, unsigned arity, const uint8_t *values,
                  size_t bytes)
{
    size_t room = QUEUE_VALUE_MAX + VALUE_SCALAR_MAX + bytes;
    if (q->block.used >= BLOCK_BYTES) {
        err e = seal(q);
        if (e != OK) return e;
    }
    if (buffer_reserve(&q->block, room) != OK) return ERR_NOMEM;
    if (q->count == 0) q->block.used = QUEUE_VALUE_MAX;
    uint8_t *at = value_put_int(q->block.data + q->block.used, arity);
    memcpy(at, values, bytes);
    q->block.used = (size_t)(at + bytes - q->block.data);
    q->count++;
    q->now.next++;
    return OK;
}

/* The first record of the lane that is there; if none is, the first that isn't
 * in the store yet. */
static err find_oldest(struct component_context *context, struct queue_sink *q)
{
    struct store_view *view;
    struct queue_key from;
    struct bytes key, value, rest;
    err e = queue_block_key(q->queue, &q->lane, 0, &from);
    if (e == OK) e = store_view(executor_store(context), &view);
    if (e != OK) return e;
    e = store_seek(view, queue_bytes(&from), &key, &value);
    from.count -= sizeof(uint64_t);
    q->oldest = q->stood.next;
    if (e == OK && queue_key_rest(key, &from, &rest) &&
        rest.count == sizeof(uint64_t))
        q->oldest = value_load64(rest.at);
    store_unview(view);
    return e == ERR_NOTFOUND ? OK : e;
}

/* What can't be read is found out by who reads it. */
static bool is_full(struct component_context *context, struct queue_sink *q)
{
    uint64_t limit = queue_limit(context);
    if (q->now.next - q->oldest < limit) return false;
    return find_oldest(context, q) == OK && q->now.next - q->oldest >= limit;
}

static void heed_limit(struct component_context *context, struct queue_sink *q)
{
    if (queue_limit(context) == 0) return;
    bool full = is_full(context, q);
    if (full && !q->told)
        executor_log(context, LOG_WARN,
                     "queue '%s' is full: %llu records of this task wait for "
                     "its readers; the spouts wait until some are read",
                     q->queue, (unsigned long long)(q->now.next - q->oldest));
    q->told |= full;
    int64_t again_ns = full ? env_now(context->env) + LOOK_NS : INT64_MAX;
    /* Without memory for the timer the next batch looks again. */
    if (executor_tick_at(context, again_ns) != OK) full = false;
    executor_close_gate(context, full);
}

enum step queue_sink_tick(struct component_context *context, void *self)
{
    heed_limit(context, self);
    return STEP_DONE;
}

enum step queue_sink_execute(struct component_context *context, void *self,
                             struct input *input)
{
    struct queue_sink *q = self;
    unsigned arity = input_stream(context, input->source)->arity;
    const uint8_t *at;
    while ((at = input_next(context, input)) != NULL) {
        const uint8_t *end = value_skip_many(at, arity);
        if (append(q, arity, at, (size_t)(end - at)) == OK)
            input_done(context, input, end);
        else
            executor_fail(context, input, end,
                          "out of memory: no room for this record until a "
                          "checkpoint has written those before it");
    }
    heed_limit(context, q);
    size_t gathered = q->rows ? q->rows->changes.used : 0;
    if (gathered >= SOON_BYTES)
        executor_checkpoint_soon(context, gathered >= WAIT_BYTES);
    return STEP_DONE;
}

enum step queue_sink_finish(struct component_context *context, void *self)
{
    struct queue_sink *q = self;
    q->now.ended = true;
    return STEP_DONE;
}

err queue_sink_keep(struct component_context *context, void *self,
                    struct store_part **out)
{
    struct queue_sink *q = self;
    struct queue_key key;
    uint8_t row[QUEUE_VALUE_MAX];
    bool same = q->known && q->now.next == q->stood.next &&
                q->now.ended == q->stood.ended;
    if (same) return OK;
    err e = seal(q);
    if (e == OK && q->rows == NULL) q->rows = rows_new();
    if (e == OK && q->rows == NULL) e = ERR_NOMEM;
    if (e == OK) e = queue_writer_key(q->queue, &q->lane, &key);
    if (e == OK)
        e = rows_put(q->rows, queue_bytes(&key),
                     bytes_of(row, queue_writer_put(&q->now, row)));
    if (e != OK) return e;
    *out = &q->rows->part;
    q->rows = NULL;
    q->stood = q->now;
    q->known = true;
    return OK;
}
