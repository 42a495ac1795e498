/* batch.c - any bytes at batch_decode()'s door, as streams of 0 to 4 fields.
 * What comes through is walked as an executor walks it, and written again to
 * the same bytes. Build and run: ./build.sh fuzz */
#include "actors/stream/batch.h"
#include "core/node.h"
#include "core/value.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARITY_MAX = 4 };

/* ---- a node where nothing runs: messages come from a thread's pool ---- */

static int64_t no_time(void *context)
{
    return 1;
}

static void not_ready(void *context, struct env *env, struct actor *actor)
{
}

static void no_alarm(void *context, struct node *node, int64_t at_ns)
{
}

static const struct world still = {
    .now_ns = no_time,
    .wall_ns = no_time,
    .ready = not_ready,
    .alarm = no_alarm,
};

/* A fuzz program lives as long as its one node. */
static struct env *view(void)
{
    static struct env *env;
    if (env == NULL) {
        struct node_config config = {.threads = 1, .world = &still};
        struct node *node = node_new(&config);
        assert(node != NULL);
        env = node_outside(node);
        assert(env != NULL);
    }
    return env;
}

/* ---- what must hold ---- */

static const uint8_t *skip_tuples(const struct batch *b, const uint8_t *at,
                                  uint32_t tuples, unsigned arity)
{
    const uint8_t *end = b->data + b->used;
    for (uint64_t left = (uint64_t)tuples * arity; left > 0; left--) {
        assert(at < end);
        at = value_skip(at);
        assert(at <= end);
    }
    return at;
}

/* Rows of a key and a count, under anchors that are the whole batch's. */
static void walk_combined(struct batch *b, bool reduces)
{
    const uint8_t *at = b->data;
    uint64_t tuples = 0;
    for (uint32_t i = 0; i < b->anchors; i++) {
        const struct anchor *a = batch_anchor(b, i);
        assert((const uint8_t *)a >= b->data + b->used);
        assert(a->root != 0 && a->edge != 0 && a->tuples == 0);
    }
    for (uint32_t i = 0; i < b->count; i++) {
        struct value n;
        assert(at < b->data + b->used && value_is_key(at));
        at = value_get(value_skip(at), &n);
        assert(n.type == VALUE_INT || (reduces && n.type == VALUE_FLOAT));
        assert(reduces || n.as.integer > 0);
        tuples += (uint64_t)n.as.integer;
    }
    assert(at == b->data + b->used && b->count <= b->combined);
    assert(reduces || tuples == b->combined);
    assert(b->marker == BATCH_DATA);
}

/* By anchors, and to the last byte; the anchors stand behind the values. */
static void walk(struct batch *b, unsigned arity)
{
    const uint8_t *at = b->data;
    uint32_t tuples = 0;
    assert(b->room % 8 == 0);
    assert(b->used + (uint64_t)b->anchors * sizeof(struct anchor) <= b->room);
    assert(b->marker <= BATCH_DRY);
    for (uint32_t i = 0; i < b->anchors; i++) {
        const struct anchor *a = batch_anchor(b, i);
        assert((const uint8_t *)a >= b->data + b->used);
        assert(a->tuples <= b->count - tuples);
        assert((a->root == 0) == (a->edge == 0));
        if (a->tuples == 0) { /* it joins the next, as executors rely on */
            assert(i + 1 < b->anchors && a->root != 0);
            assert(batch_anchor(b, i + 1)->root != 0);
        }
        at = skip_tuples(b, at, a->tuples, arity);
        tuples += a->tuples;
    }
    if (b->anchors == 0) at = skip_tuples(b, at, b->count, arity);
    assert(b->anchors == 0 || tuples == b->count);
    assert(at == b->data + b->used);
    assert(b->marker == BATCH_DATA || b->count == 0);
}

static void check_same(struct batch *a, struct batch *b)
{
    assert(a->epoch == b->epoch && a->schema == b->schema);
    assert(a->task == b->task && a->marker == b->marker);
    assert(a->number == b->number && a->count == b->count);
    assert(a->used == b->used && a->anchors == b->anchors);
    assert(a->combined == b->combined);
    assert(memcmp(a->data, b->data, a->used) == 0);
    for (uint32_t i = 0; i < a->anchors; i++) {
        const struct anchor *x = batch_anchor(a, i), *y = batch_anchor(b, i);
        assert(x->root == y->root && x->edge == y->edge);
        assert(x->tuples == y->tuples);
    }
}

static void check_written_again(struct env *env, struct batch *b,
                                unsigned arity, bool reduces,
                                const uint8_t *data, size_t size)
{
    struct buffer out = {0};
    struct msg *again = NULL;
    assert(batch_encode(b, &out) == OK);
    assert(out.used == size && memcmp(out.data, data, size) == 0);
    assert(batch_decode(env, out.data, out.used, arity, reduces, &again) == OK);
    check_same(b, batch_of(again));
    msg_free(env, again);
    buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct env *env = view();
    for (unsigned i = 0; i < 2 * (ARITY_MAX + 1); i++) {
        unsigned arity = i / 2;
        bool reduces = i % 2;
        struct msg *m = NULL;
        err e = batch_decode(env, data, size, arity, reduces, &m);
        if (e != OK) {
            assert(m == NULL);
            continue;
        }
        struct batch *b = batch_of(m);
        if (b->combined)
            walk_combined(b, reduces);
        else
            walk(b, arity);
        check_written_again(env, b, arity, reduces, data, size);
        /* A byte less is no batch. */
        struct msg *other = NULL;
        assert(batch_decode(env, data, size - 1, arity, reduces, &other) != OK);
        assert(other == NULL);
        msg_free(env, m);
    }
    return 0;
}
