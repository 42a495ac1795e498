#include "actors/stream/batch.h"
#include "actors/stream/executor.h"
#include "core/value.h"
#include <string.h>

enum { HEADER_BYTES = 44, ANCHOR_BYTES = 20 };

struct msg *batch_new(struct env *env, uint32_t room)
{
    room = (room + 7) / 8 * 8;
    struct msg *m =
        msg_new(env, EXECUTOR_BATCH,
                (uint32_t)sizeof(struct batch) + room + SHORT_SLACK);
    if (m) *batch_of(m) = (struct batch){.room = room};
    return m;
}

static uint8_t *put32(uint8_t *at, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        *at++ = (uint8_t)(n >> 8 * i);
    return at;
}

static uint8_t *put64(uint8_t *at, uint64_t n)
{
    for (int i = 0; i < 8; i++)
        *at++ = (uint8_t)(n >> 8 * i);
    return at;
}

static uint32_t get32(const uint8_t **at)
{
    uint32_t n = 0;
    for (int i = 0; i < 4; i++)
        n |= (uint32_t) * (*at)++ << 8 * i;
    return n;
}

static uint64_t get64(const uint8_t **at)
{
    uint64_t low = get32(at);
    return low | (uint64_t)get32(at) << 32;
}

err batch_encode(const struct batch *b, struct buffer *out)
{
    size_t bytes = HEADER_BYTES + b->used + (size_t)b->anchors * ANCHOR_BYTES;
    err e = buffer_reserve(out, bytes);
    if (e != OK) return e;
    uint8_t *at = out->data + out->used;
    at = put32(at, b->epoch);
    at = put32(at, b->schema);
    at = put32(at, b->task);
    at = put32(at, b->marker);
    at = put64(at, b->number);
    at = put32(at, b->count);
    at = put32(at, b->used);
    at = put32(at, b->anchors);
    at = put64(at, b->combined);
    memcpy(at, b->data, b->used);
    at += b->used;
    const struct anchor *end =
        (const struct anchor *)(const void *)(b->data + b->room);
    for (uint32_t i = 0; i < b->anchors; i++) {
        const struct anchor *a = end - 1 - i;
        at = put64(at, a->root);
        at = put64(at, a->edge);
        at = put32(at, a->tuples);
    }
    out->used += bytes;
    return OK;
}

/* `count` tuples of `arity` whole values in exactly [at, end). */
static err check_values(const uint8_t *at, const uint8_t *end, uint32_t count,
                        unsigned arity)
{
    for (uint64_t left = (uint64_t)count * arity; left > 0; left--) {
        if (at == end) return ERR_TRUNCATED;
        err e = value_check(at, end, &at);
        if (e != OK) return e;
    }
    return at == end ? OK : ERR_FORMAT;
}

/* The rows of a combined batch: keys, each with a number, or else with a count
 * from 1 on; these add up. */
static err check_rows(const uint8_t *at, const struct batch *head, bool reduces)
{
    uint64_t tuples = 0;
    for (uint32_t i = 0; i < head->count; i++) {
        struct value n;
        if (!value_is_key(at)) return ERR_FORMAT;
        at = value_get(value_skip(at), &n);
        if (reduces && (n.type == VALUE_INT || n.type == VALUE_FLOAT)) continue;
        if (reduces || n.type != VALUE_INT || n.as.integer < 1 ||
            n.as.integer > UINT32_MAX)
            return ERR_FORMAT;
        tuples += (uint64_t)n.as.integer;
    }
    if (reduces) return head->combined < head->count ? ERR_FORMAT : OK;
    return tuples == head->combined ? OK : ERR_FORMAT;
}

static err read_anchors(const uint8_t *at, struct batch *b)
{
    uint64_t tuples = 0;
    for (uint32_t i = 0; i < b->anchors; i++) {
        struct anchor *a = batch_anchor(b, i);
        *a = (struct anchor){0};
        a->root = get64(&at);
        a->edge = get64(&at);
        a->tuples = get32(&at);
        tuples += a->tuples;
        /* What joins is tracked, and joins something. In a combined batch all
         * belong to the whole. */
        if (b->combined > 0 && (a->tuples > 0 || a->root == 0))
            return ERR_FORMAT;
        bool joins = a->tuples == 0 && b->combined == 0;
        if (joins && (a->root == 0 || i + 1 == b->anchors)) return ERR_FORMAT;
        if (a->root == 0 && i > 0 && batch_anchor(b, i - 1)->tuples == 0)
            return ERR_FORMAT;
        /* Without an edge a root would seem processed too early. */
        if ((a->root == 0) != (a->edge == 0)) return ERR_FORMAT;
    }
    if (b->anchors == 0 || b->combined > 0) return OK;
    return tuples == b->count ? OK : ERR_FORMAT;
}

err batch_decode(struct env *env, const uint8_t *bytes, size_t count,
                 unsigned arity, bool reduces, struct msg **out)
{
    if (count < HEADER_BYTES) return ERR_TRUNCATED;
    const uint8_t *at = bytes;
    struct batch head = {0};
    head.epoch = get32(&at);
    head.schema = get32(&at);
    head.task = get32(&at);
    head.marker = get32(&at);
    head.number = get64(&at);
    head.count = get32(&at);
    head.used = get32(&at);
    head.anchors = get32(&at);
    head.combined = get64(&at);
    if (head.marker > BATCH_DRY) return ERR_FORMAT;
    if (head.combined && head.count == 0) return ERR_FORMAT;
    /* Tuples without fields take no bytes: their count is bounded as well. */
    if (head.used > BATCH_MAX_BYTES || head.count > BATCH_MAX_BYTES)
        return ERR_BIG;
    uint64_t whole = HEADER_BYTES + (uint64_t)head.used +
                     (uint64_t)head.anchors * ANCHOR_BYTES;
    if (whole > count) return ERR_TRUNCATED;
    if (whole < count || (head.anchors > 0 && head.count == 0))
        return ERR_FORMAT;
    if (head.marker != BATCH_DATA && head.count != 0) return ERR_FORMAT;
    err e =
        check_values(at, at + head.used, head.count, head.combined ? 2 : arity);
    if (e == OK && head.combined) e = check_rows(at, &head, reduces);
    if (e != OK) return e;

    struct msg *m = batch_new(
        env, head.used + head.anchors * (uint32_t)sizeof(struct anchor));
    if (m == NULL) return ERR_NOMEM;
    struct batch *b = batch_of(m);
    head.room = b->room;
    *b = head;
    memcpy(b->data, at, head.used);
    e = read_anchors(at + head.used, b);
    if (e != OK) {
        msg_free(env, m);
        return e;
    }
    *out = m;
    return OK;
}
