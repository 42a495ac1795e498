/* Batches as bytes: what is written is read again, and what nobody vouches
 * for is refused before anything is taken. */
#include "actors/stream/acker.h"
#include "actors/stream/batch.h"
#include "actors/stream/executor.h"
#include "core/alloc.h"
#include "core/random.h"
#include "core/value.h"
#include "spec/fault.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"

enum { HEADER = 44, ANCHOR = 20, ARITY_MAX = 4 };
/* Where the header's fields stand. */
enum {
    AT_MARKER = 12,
    AT_COUNT = 24,
    AT_USED = 28,
    AT_ANCHORS = 32,
    AT_COMBINED = 36,
    AT_TUPLES = HEADER + 21 /* the first anchor's, behind 5 bytes */
};

static uint8_t *put_value(struct rng *rng, uint8_t *at, int depth)
{
    static const char text[] = "the cow jumps over the moon, and back again";
    switch (rng_below(rng, depth > 3 ? 5 : 7)) {
    case 0: return value_put_nil(at);
    case 1: return value_put_bool(at, rng_below(rng, 2));
    case 2:
        return value_put_int(at,
                             (int64_t)(rng_next(rng) >> rng_below(rng, 64)));
    case 3: return value_put_float(at, (double)rng_below(rng, 1000) / 8);
    case 4:
        return value_put_bytes(at, text, (uint32_t)rng_below(rng, sizeof text));
    case 5: {
        uint32_t n = (uint32_t)rng_below(rng, 4);
        at = value_put_array_head(at, n);
        while (n-- > 0)
            at = put_value(rng, at, depth + 1);
        return at;
    }
    default: {
        uint32_t n = (uint32_t)rng_below(rng, 3);
        at = value_put_map_head(at, n);
        for (uint32_t i = 0; i < n; i++) {
            at = value_put_int(at, i);
            at = put_value(rng, at, depth + 1);
        }
        return at;
    }
    }
}

/* Runs of tuples that add up to the batch's; now and then an untracked one. */
static void put_anchors(struct rng *rng, struct batch *b)
{
    uint32_t left = b->count;
    while (left > 0) {
        uint32_t tuples = 1 + (uint32_t)rng_below(rng, left);
        bool tracked = rng_below(rng, 5) > 0;
        *batch_anchor(b, b->anchors++) = (struct anchor){
            .root = tracked ? root_of((uint32_t)rng_below(rng, 9),
                                      rng_below(rng, 1 << 20))
                            : 0,
            .edge = tracked ? rng_next(rng) | 1 : 0,
            .tuples = tuples,
        };
        left -= tuples;
    }
}

static struct msg *any_batch(struct env *env, struct rng *rng, unsigned *arity)
{
    *arity = (unsigned)rng_below(rng, ARITY_MAX + 1);
    uint32_t count = (uint32_t)rng_below(rng, 12);
    struct msg *m = batch_new(env, 64 * 1024);
    CHECK(m != NULL);
    struct batch *b = batch_of(m);
    b->epoch = (uint32_t)rng_next(rng);
    b->schema = (uint32_t)rng_below(rng, 5);
    b->task = (uint32_t)rng_below(rng, 100);
    b->number = rng_next(rng);
    b->count = count;
    uint8_t *at = b->data;
    for (uint32_t i = 0; i < count * *arity; i++)
        at = put_value(rng, at, 0);
    b->used = (uint32_t)(at - b->data);
    if (rng_below(rng, 3) > 0) put_anchors(rng, b);
    if (count == 0) b->marker = (uint32_t)rng_below(rng, BATCH_DRY + 1);
    return m;
}

static void check_same(struct batch *a, struct batch *b)
{
    CHECK_EQ(b->epoch, a->epoch);
    CHECK_EQ(b->schema, a->schema);
    CHECK_EQ(b->task, a->task);
    CHECK_EQ(b->marker, a->marker);
    CHECK_EQ(b->number, a->number);
    CHECK_EQ(b->count, a->count);
    CHECK_EQ(b->used, a->used);
    CHECK_EQ(b->anchors, a->anchors);
    CHECK_EQ(b->combined, a->combined);
    CHECK(memcmp(b->data, a->data, a->used) == 0);
    CHECK(b->used + b->anchors * sizeof(struct anchor) <= b->room);
    for (uint32_t i = 0; i < a->anchors; i++) {
        CHECK_EQ(batch_anchor(b, i)->root, batch_anchor(a, i)->root);
        CHECK_EQ(batch_anchor(b, i)->edge, batch_anchor(a, i)->edge);
        CHECK_EQ(batch_anchor(b, i)->tuples, batch_anchor(a, i)->tuples);
    }
}

/* Refused, with nothing made. The bytes are an own block, so that a look
 * behind their end is seen. */
static err refusal(struct env *env, const uint8_t *bytes, size_t count,
                   unsigned arity)
{
    uint8_t *own = mem_alloc(count);
    struct msg *m = NULL;
    CHECK(own != NULL);
    if (count > 0) memcpy(own, bytes, count);
    err e = batch_decode(env, own, count, arity, false, &m);
    CHECK((e == OK) == (m != NULL));
    if (m) msg_free(env, m);
    mem_free(own);
    return e;
}

static void set32(uint8_t *bytes, unsigned at, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        bytes[at + i] = (uint8_t)(n >> 8 * i);
}

SPEC(batch, comes_back_from_its_bytes_as_it_was)
{
    struct sim *sim = sim_new(1);
    struct env *env = sim_env(sim_node(sim, 1));
    FOR_SEEDS(300)
    {
        struct rng rng = {spec_seed};
        unsigned arity;
        struct msg *m = any_batch(env, &rng, &arity), *again = NULL;
        struct buffer out = {0};
        CHECK_EQ(buffer_append(&out, "before", 6), OK);
        CHECK_EQ(batch_encode(batch_of(m), &out), OK);
        CHECK(memcmp(out.data, "before", 6) == 0);
        CHECK_EQ(out.used - 6,
                 HEADER + batch_of(m)->used + ANCHOR * batch_of(m)->anchors);
        CHECK_EQ(
            batch_decode(env, out.data + 6, out.used - 6, arity, false, &again),
            OK);
        CHECK_EQ(again->kind, EXECUTOR_BATCH);
        check_same(batch_of(m), batch_of(again));
        msg_free(env, m);
        msg_free(env, again);
        buffer_fini(&out);
    }
    sim_free(sim);
}

SPEC(batch, is_refused_when_bytes_are_missing_or_too_many)
{
    struct sim *sim = sim_new(1);
    struct env *env = sim_env(sim_node(sim, 1));
    FOR_SEEDS(40)
    {
        struct rng rng = {spec_seed};
        unsigned arity;
        struct msg *m = any_batch(env, &rng, &arity);
        struct buffer out = {0};
        CHECK_EQ(batch_encode(batch_of(m), &out), OK);
        for (size_t i = 0; i < out.used; i++)
            CHECK_EQ(refusal(env, out.data, i, arity), ERR_TRUNCATED);
        CHECK_EQ(buffer_append(&out, "", 1), OK);
        CHECK_EQ(refusal(env, out.data, out.used, arity), ERR_FORMAT);
        msg_free(env, m);
        buffer_fini(&out);
    }
    sim_free(sim);
}

/* Two tuples of one field, `the` and 7, under one root each. */
static size_t two_tuples(uint8_t *bytes)
{
    static const uint8_t values[] = {0xa3, 't', 'h', 'e', 7};
    memset(bytes, 0, HEADER);
    set32(bytes, AT_COUNT, 2);
    set32(bytes, AT_USED, sizeof values);
    set32(bytes, AT_ANCHORS, 2);
    memcpy(bytes + HEADER, values, sizeof values);
    uint8_t *anchor = bytes + HEADER + sizeof values;
    memset(anchor, 0, 2 * ANCHOR);
    for (int i = 0; i < 2; i++, anchor += ANCHOR) {
        anchor[5] = 1;                 /* root: the first task's … */
        anchor[0] = (uint8_t)(10 + i); /* … of this sequence */
        anchor[8] = (uint8_t)(77 + i); /* edge */
        anchor[16] = 1;                /* tuples */
    }
    return (size_t)(anchor - bytes);
}

SPEC(batch, is_refused_when_a_count_lies)
{
    struct sim *sim = sim_new(1);
    struct env *env = sim_env(sim_node(sim, 1));
    static const struct {
        unsigned at;
        uint32_t n;
        err e;
    } lies[] = {
        {AT_MARKER, BATCH_END, ERR_FORMAT}, /* a marker has no tuples */
        {AT_MARKER, BATCH_MARK + 1, ERR_FORMAT},
        {AT_COUNT, 1, ERR_FORMAT},
        {AT_COUNT, 3, ERR_TRUNCATED},
        {AT_COUNT, UINT32_MAX, ERR_BIG},
        {AT_USED, 4, ERR_FORMAT},
        {AT_USED, 6, ERR_TRUNCATED},
        {AT_USED, BATCH_MAX_BYTES + 1, ERR_BIG},
        {AT_USED, UINT32_MAX, ERR_BIG},
        {AT_ANCHORS, 1, ERR_FORMAT},
        {AT_ANCHORS, 3, ERR_TRUNCATED},
        {AT_ANCHORS, UINT32_MAX, ERR_TRUNCATED},
        {AT_COMBINED, 2, ERR_TRUNCATED},
        /* The first anchor: its root, its edge, its tuples. */
        {AT_TUPLES, 0, ERR_FORMAT},
        {AT_TUPLES, 2, ERR_FORMAT},
        {AT_TUPLES, UINT32_MAX, ERR_FORMAT},
        {AT_TUPLES - 8, 0, ERR_FORMAT}, /* a root without an edge */
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        uint8_t bytes[HEADER + 5 + 2 * ANCHOR];
        size_t count = two_tuples(bytes);
        CHECK_EQ(count, sizeof bytes);
        CHECK_EQ(refusal(env, bytes, count, 1), OK);
        set32(bytes, lies[i].at, lies[i].n);
        err e = refusal(env, bytes, count, 1);
        if (e != lies[i].e)
            spec_fail(__FILE__, __LINE__, "lie %zu gives: %s", i, err_text(e));
    }
    sim_free(sim);
}

/* The first anchor's tuple is the second's, too. */
SPEC(batch, takes_tuples_of_several_roots)
{
    struct sim *sim = sim_new(1);
    struct env *env = sim_env(sim_node(sim, 1));
    uint8_t bytes[HEADER + 5 + 2 * ANCHOR];
    size_t count = two_tuples(bytes);
    set32(bytes, AT_TUPLES, 0);
    set32(bytes, AT_TUPLES + ANCHOR, 2);
    struct msg *m;
    CHECK_EQ(batch_decode(env, bytes, count, 1, false, &m), OK);
    CHECK_EQ(batch_anchor(batch_of(m), 0)->tuples, 0);
    CHECK_EQ(batch_anchor(batch_of(m), 1)->tuples, 2);
    msg_free(env, m);
    sim_free(sim);
}

SPEC(batch, is_refused_when_an_anchor_joins_none)
{
    struct sim *sim = sim_new(1);
    struct env *env = sim_env(sim_node(sim, 1));
    uint8_t bytes[HEADER + 5 + 2 * ANCHOR];
    size_t count = two_tuples(bytes);
    set32(bytes, AT_TUPLES, 2); /* their sum is right */
    set32(bytes, AT_TUPLES + ANCHOR, 0);
    CHECK_EQ(refusal(env, bytes, count, 1), ERR_FORMAT);
    sim_free(sim);
}

SPEC(batch, is_refused_as_a_stream_of_other_fields)
{
    struct sim *sim = sim_new(1);
    struct env *env = sim_env(sim_node(sim, 1));
    uint8_t bytes[HEADER + 5 + 2 * ANCHOR];
    size_t count = two_tuples(bytes);
    CHECK_EQ(refusal(env, bytes, count, 0), ERR_FORMAT);
    CHECK_EQ(refusal(env, bytes, count, 1), OK);
    CHECK_EQ(refusal(env, bytes, count, 2), ERR_TRUNCATED);
    /* One tuple of two fields, then. */
    set32(bytes, AT_COUNT, 1);
    set32(bytes, AT_ANCHORS, 1);
    CHECK_EQ(refusal(env, bytes, count - ANCHOR, 2), OK);
    sim_free(sim);
}

SPEC(batch, is_refused_when_a_value_is_none)
{
    struct sim *sim = sim_new(1);
    struct env *env = sim_env(sim_node(sim, 1));
    uint8_t bytes[HEADER + 66] = {0};
    set32(bytes, AT_COUNT, 1);
    set32(bytes, AT_USED, 1);
    bytes[HEADER] = 0xc1;
    CHECK_EQ(refusal(env, bytes, HEADER + 1, 1), ERR_FORMAT);
    bytes[HEADER] = 0xa5;
    CHECK_EQ(refusal(env, bytes, HEADER + 1, 1), ERR_TRUNCATED);
    memset(bytes + HEADER, 0x91, 65);
    bytes[HEADER + 65] = 1;
    set32(bytes, AT_USED, 66);
    CHECK_EQ(refusal(env, bytes, HEADER + 66, 1), ERR_DEEP);
    set32(bytes, AT_USED, 65);
    bytes[HEADER + 64] = 1;
    CHECK_EQ(refusal(env, bytes, HEADER + 65, 1), OK);
    sim_free(sim);
}

SPEC(batch, is_not_made_when_there_is_no_memory)
{
    struct sim *sim = sim_new(1);
    struct env *env = sim_env(sim_node(sim, 1));
    uint8_t bytes[HEADER + 5 + 2 * ANCHOR];
    struct msg *m = NULL;
    struct buffer out = {0};
    size_t count = two_tuples(bytes);
    fault_arm(FAULT_HEAP, 1, 1);
    err decoded = batch_decode(env, bytes, count, 1, false, &m);
    fault_disarm();
    CHECK_EQ(decoded, ERR_NOMEM);
    CHECK(m == NULL);
    CHECK_EQ(batch_decode(env, bytes, count, 1, false, &m), OK);
    fault_arm(FAULT_HEAP, 1, 1);
    err encoded = batch_encode(batch_of(m), &out);
    fault_disarm();
    CHECK_EQ(encoded, ERR_NOMEM);
    CHECK_EQ(out.used, 0);
    msg_free(env, m);
    sim_free(sim);
}
