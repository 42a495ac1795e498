/* Counting on the sender's side, against a model: what arrives adds up to what
 * was kept, key by key; what was taken back has left no trace; each root has an
 * edge in every batch that a part of it is in. */
#include "actors/stream/combiner.h"
#include "actors/stream/component.h"
#include "actors/stream/executor.h"
#include "core/alloc.h"
#include "spec/fault.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PORTS_MAX = 70, ROOTS = 8, KEYS = 3000, KEY_BYTES = 64, TASK = 3 };

struct station {
    struct sim *sim;
    struct sim_node *node;
    struct emitter emitter;
    struct rng rng;
    actor_id producer, consumers[PORTS_MAX];
    struct edge edges[PORTS_MAX];
    unsigned ports, keys;
    struct input_plan input;
    struct stream_plan stream;
    struct component_plan component;
    /* Tuples, or the sum of their numbers; mine: of the call in hand. */
    uint64_t kept[KEYS], mine[KEYS];
    uint64_t kept_plain, mine_plain;
    uint64_t edges_kept[ROOTS];
};

static err attach_consumer(struct env *env, void *context)
{
    edge_attach_consumer(env, context);
    return OK;
}

static err attach_producer(struct env *env, void *context)
{
    struct station *s = context;
    for (unsigned i = 0; i < s->ports; i++)
        edge_attach_producer(env, &s->edges[i]);
    return OK;
}

/* Its stream has a number and, second, the key. */
static struct station *station_new(uint64_t seed, unsigned ports, unsigned keys,
                                   bool reduces)
{
    static const struct component_class class = {.reduces = true};
    struct station *s = mem_zero(1, sizeof *s);
    CHECK(s != NULL);
    s->sim = sim_new(seed);
    s->rng.state = seed;
    s->node = sim_node(s->sim, 1);
    s->ports = ports;
    s->keys = keys;
    s->producer = sim_probe(s->node);
    struct edge *edges[PORTS_MAX];
    for (unsigned i = 0; i < ports; i++) {
        edges[i] = &s->edges[i];
        edge_init(edges[i], EDGE_WINDOW_BYTES);
        s->consumers[i] = sim_probe(s->node);
        sim_do(s->sim, s->consumers[i], attach_consumer, edges[i]);
    }
    sim_run(s->sim);
    sim_do(s->sim, s->producer, attach_producer, s);
    sim_run(s->sim);
    s->input = (struct input_plan){.grouping = GROUPING_FIELDS,
                                   .key_count = 1,
                                   .keys = {1},
                                   .combines = true,
                                   .reduces = reduces,
                                   .combine_key = 1};
    s->stream = (struct stream_plan){.name = "default", .arity = 2};
    s->component = (struct component_plan){
        .class = &class, .streams = &s->stream, .stream_count = 1};
    CHECK_EQ(emitter_init(&s->emitter, &s->component, TASK, seed), OK);
    s->emitter.env = sim_env(s->node);
    CHECK_EQ(emitter_route(&s->emitter, 0, &s->input, edges, ports), OK);
    return s;
}

static void station_free(struct station *s)
{
    s->emitter.env = sim_env(s->node);
    emitter_fini(&s->emitter);
    sim_free(s->sim);
    mem_free(s);
}

static void run_deed(struct station *s, sim_deed *deed)
{
    sim_do(s->sim, s->producer, deed, s);
    sim_run(s->sim);
}

/* ---- keys: some short, some long, some numbers in two forms ---- */

static uint8_t *put_key(struct rng *rng, uint8_t *at, unsigned n)
{
    char text[KEY_BYTES];
    int length;
    switch (n % 4) {
    case 0:
        length = snprintf(text, sizeof text, "k%u", n);
        return value_put_bytes(at, text, (uint32_t)length);
    case 1:
        length = snprintf(text, sizeof text, "a key that is long: %u", n);
        return value_put_bytes(at, text, (uint32_t)length);
    case 2:
        return rng_below(rng, 2) ? value_put_int(at, n)
                                 : value_put_float(at, n);
    default: at = value_put_array_head(at, 1); return value_put_int(at, n);
    }
}

static unsigned key_number(const uint8_t *at)
{
    struct value v;
    const uint8_t *inside = value_get(at, &v);
    if (v.type == VALUE_INT) return (unsigned)v.as.integer;
    if (v.type == VALUE_FLOAT) return (unsigned)v.as.number;
    if (v.type == VALUE_ARRAY) return key_number(inside);
    char text[KEY_BYTES] = {0};
    CHECK(v.type == VALUE_BYTES && v.count < sizeof text);
    memcpy(text, v.as.bytes, v.count);
    return (unsigned)strtoul(text + strcspn(text, "0123456789"), NULL, 10);
}

/* ---- calls ---- */

/* A number of this key: added to the one in its row. */
static void put_number(struct station *s, const uint8_t *key, uint32_t bytes,
                       uint64_t n)
{
    struct emitter *e = &s->emitter;
    uint64_t hash = value_hash(key, 0);
    struct port *port = route_port(e, e->streams[0].routes, hash);
    struct combiner_number number = {.bits = n};
    struct combiner_key *k;
    CHECK(combiner_add_number(e, port, key, bytes, hash, number, &k));
    if (k == NULL) return;
    number.bits += combiner_number(port, k).bits;
    CHECK(combiner_set_number(e, port, k, number));
}

static void put(struct station *s)
{
    uint8_t values[2 * KEY_BYTES];
    uint8_t *at = value_put_int(values, 7);
    if (rng_below(&s->rng, 50) == 0) { /* no key: it must travel as it is */
        at = rng_below(&s->rng, 2) ? value_put_nil(at)
                                   : value_put_float(at, (double)NAN);
        s->mine_plain++;
    } else {
        /* The first ones come most often, as words do. */
        uint64_t most = 1 + rng_below(&s->rng, s->keys);
        unsigned n = (unsigned)rng_below(&s->rng, most);
        const uint8_t *key = at;
        uint64_t number = s->input.reduces ? 1 + rng_below(&s->rng, 9) : 1;
        at = put_key(&s->rng, at, n);
        s->mine[n] += number;
        if (s->input.reduces) {
            put_number(s, key, (uint32_t)(at - key), number);
            return;
        }
    }
    if (s->input.reduces) { /* by hand: emitter_put() only counts */
        struct port *port =
            route_plain(&s->emitter, s->emitter.streams[0].routes, 0);
        uint8_t *to = port_reserve(&s->emitter, port, sizeof values);
        CHECK(to != NULL);
        memcpy(to, values, (size_t)(at - values));
        port_commit(&s->emitter, port, to + (at - values));
        return;
    }
    CHECK(emitter_put(&s->emitter, 0, values, (uint32_t)(at - values)));
}

/* The root in hand has a share in every batch that it has touched. */
static void check_anchored(const struct emitter *e)
{
    for (const struct port *p = e->touched; p; p = p->next_touched) {
        struct batch *b = batch_of(p->open);
        if (e->root == 0 || p->combiner == NULL) continue;
        CHECK(b->anchors > 0);
        CHECK_EQ(batch_anchor(b, b->anchors - 1)->root, e->root);
    }
}

static void end_call(struct station *s, bool keeps, unsigned puts)
{
    struct emitter *e = &s->emitter;
    for (unsigned i = 0; i < s->keys; i++) {
        if (keeps) s->kept[i] += s->mine[i];
        s->mine[i] = 0;
    }
    if (keeps) s->kept_plain += s->mine_plain;
    s->mine_plain = 0;
    if (!keeps) {
        emitter_undo(e);
        return;
    }
    check_anchored(e);
    if (e->root) {
        if (puts == 0) CHECK_EQ(e->edges, 0);
        s->edges_kept[e->root - 1] ^= e->edges;
    }
    emitter_keep(e);
}

static err make_calls(struct env *env, void *context)
{
    struct station *s = context;
    s->emitter.env = env;
    for (unsigned calls = (unsigned)rng_below(&s->rng, 60); calls > 0;
         calls--) {
        if (rng_below(&s->rng, 3) == 0)
            s->emitter.root = rng_below(&s->rng, ROOTS + 1);
        unsigned puts = (unsigned)rng_below(
            &s->rng, rng_below(&s->rng, 20) == 0 ? 5000 : 12);
        for (unsigned i = 0; i < puts; i++)
            put(s);
        end_call(s, rng_below(&s->rng, 3) > 0, puts);
        if (rng_below(&s->rng, 20) == 0) emitter_flush_plain(&s->emitter);
        if (rng_below(&s->rng, 20) == 0) emitter_flush(&s->emitter);
    }
    return OK;
}

static err flush(struct env *env, void *context)
{
    struct station *s = context;
    s->emitter.env = env;
    emitter_flush(&s->emitter);
    CHECK(s->emitter.open_ports == NULL);
    return OK;
}

/* ---- what has arrived ---- */

struct arrived {
    uint64_t tuples[KEYS], plain;
    uint64_t edges[ROOTS];
};

static void note_anchors(struct batch *b, struct arrived *a)
{
    for (uint32_t i = 0; i < b->anchors; i++) {
        const struct anchor *anchor = batch_anchor(b, i);
        CHECK_EQ(anchor->root == 0, anchor->edge == 0);
        CHECK_EQ(anchor->tuples == 0, b->combined > 0);
        if (anchor->root) a->edges[anchor->root - 1] ^= anchor->edge;
    }
}

static void note_batch(struct batch *b, bool reduces, struct arrived *a)
{
    const uint8_t *at = b->data;
    uint64_t combined = 0;
    CHECK(b->count > 0);
    note_anchors(b, a);
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->combined == 0) {
            at = value_skip(at);
            CHECK(!value_is_key(at));
            a->plain++;
            at = value_skip(at);
            continue;
        }
        struct value times;
        unsigned n = key_number(at);
        at = value_get(value_skip(at), &times);
        CHECK(n < KEYS && times.type == VALUE_INT && times.as.integer > 0);
        a->tuples[n] += (uint64_t)times.as.integer;
        combined += (uint64_t)times.as.integer;
    }
    CHECK_EQ(at - b->data, b->used);
    if (reduces && b->combined) CHECK(b->combined >= b->count);
    if (!reduces) CHECK_EQ(combined, b->combined);
}

/* Its bytes come back as the same batch. */
static void check_codec(struct env *env, struct batch *b, bool reduces)
{
    struct buffer bytes = {0}, again = {0};
    struct msg *m = NULL;
    CHECK_EQ(batch_encode(b, &bytes), OK);
    CHECK_EQ(batch_decode(env, bytes.data, bytes.used, 2, reduces, &m), OK);
    CHECK_EQ(batch_of(m)->combined, b->combined);
    CHECK_EQ(batch_encode(batch_of(m), &again), OK);
    CHECK_EQ(bytes.used, again.used);
    CHECK(memcmp(bytes.data, again.data, bytes.used) == 0);
    msg_free(env, m);
    buffer_fini(&bytes);
    buffer_fini(&again);
}

static void check_arrived(struct station *s)
{
    static struct arrived a;
    a = (struct arrived){0};
    for (unsigned i = 0; i < s->ports; i++)
        for (unsigned k = 0;
             k < sim_got(s->sim, s->consumers[i], EXECUTOR_BATCH); k++) {
            struct batch *b =
                sim_seen(s->sim, s->consumers[i], EXECUTOR_BATCH, k)->body;
            note_batch(b, s->input.reduces, &a);
            if (k == 0) check_codec(sim_env(s->node), b, s->input.reduces);
        }
    for (unsigned i = 0; i < s->keys; i++)
        CHECK_EQ(a.tuples[i], s->kept[i]);
    CHECK_EQ(a.plain, s->kept_plain);
    for (unsigned i = 0; i < ROOTS; i++)
        CHECK_EQ(a.edges[i], s->edges_kept[i]);
}

SPEC(combiner, brings_what_was_kept_and_nothing_of_what_was_undone)
{
    static const unsigned ports[] = {1, 3, PORTS_MAX};
    static const unsigned keys[] = {5, 300, KEYS};
    FOR_SEEDS(20)
    for (unsigned i = 0; i < 18; i++) {
        struct station *s =
            station_new(spec_seed, ports[i % 3], keys[i / 3 % 3], i >= 9);
        for (int k = 0; k < 6; k++)
            run_deed(s, make_calls);
        run_deed(s, flush);
        check_arrived(s);
        station_free(s);
    }
}

/* ---- fewer rows than tuples ---- */

static err put_few_keys(struct env *env, void *context)
{
    struct station *s = context;
    s->emitter.env = env;
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t values[2 * KEY_BYTES];
        s->emitter.root = 1 + i % 4;
        uint8_t *at = put_key(&s->rng, value_put_int(values, 7), i % 10);
        CHECK(emitter_put(&s->emitter, 0, values, (uint32_t)(at - values)));
        emitter_keep(&s->emitter);
        CHECK(emitter_flush_plain(&s->emitter));
    }
    return OK;
}

SPEC(combiner, sends_one_row_for_all_tuples_of_a_key)
{
    struct station *s = station_new(1, 1, 10, false);
    run_deed(s, put_few_keys);
    run_deed(s, flush);
    CHECK_EQ(sim_got(s->sim, s->consumers[0], EXECUTOR_BATCH), 1);
    const struct batch *b =
        sim_seen(s->sim, s->consumers[0], EXECUTOR_BATCH, 0)->body;
    CHECK_EQ(b->count, 10);
    CHECK_EQ(b->combined, 1000);
    CHECK_EQ(batch_tuples(b), 1000);
    station_free(s);
}

/* ---- without memory ---- */

static err put_without_memory(struct env *env, void *context)
{
    struct station *s = context;
    uint8_t values[70000];
    uint8_t *at = value_put_int(values, 7);
    s->emitter.env = env;
    s->emitter.root = 1;
    s->mine[0]++;
    uint8_t *end = put_key(&s->rng, at, 0);
    CHECK(emitter_put(&s->emitter, 0, values, (uint32_t)(end - values)));
    end_call(s, true, 1);
    /* Another key, for which the batch must grow. */
    end = value_put_bytes_head(at, 60000);
    memset(end, 'x', 60000);
    s->emitter.root = 2;
    fault_arm(FAULT_HEAP, 1, 10);
    bool put =
        emitter_put(&s->emitter, 0, values, (uint32_t)(end + 60000 - values));
    fault_disarm();
    CHECK(!put && s->emitter.failed);
    end_call(s, false, 0);
    CHECK(!s->emitter.failed);
    return OK;
}

SPEC(combiner, takes_back_a_key_for_which_there_is_no_memory)
{
    struct station *s = station_new(1, 1, 1, false);
    run_deed(s, put_without_memory);
    run_deed(s, flush);
    check_arrived(s);
    station_free(s);
}

SPEC(combiner, is_not_made_without_memory)
{
    for (uint64_t n = 1; n <= 4; n++) {
        fault_arm(FAULT_HEAP, n, 1);
        struct combiner *c = combiner_new(2, true);
        fault_disarm();
        CHECK(c == NULL);
    }
    struct combiner *c = combiner_new(1000, false);
    CHECK(c != NULL && c->room >= 64);
    combiner_free(c);
}

/* ---- bytes that nobody vouches for ---- */

SPEC(combiner, refuses_bytes_that_are_no_combined_batch)
{
    enum { HEADER = 44, COUNT = 24, USED = 28, COMBINED = 36 };
    static const struct {
        uint8_t values[8];
        uint8_t used, count, tuples;
        err counts, numbers;
    } cases[] = {
        {{0xa1, 'k', 3}, 3, 1, 3, OK, OK},
        {{0xa1, 'k', 3}, 3, 1, 2, ERR_FORMAT, OK},    /* another sum */
        {{0xa1, 'k', 0}, 3, 1, 3, ERR_FORMAT, OK},    /* none */
        {{0xa1, 'k', 0xff}, 3, 1, 3, ERR_FORMAT, OK}, /* -1 */
        {{0xa1, 'k', 0xca, 0, 0, 0, 0}, 7, 1, 3, ERR_FORMAT, OK},
        {{0xa1, 'k', 0xc0}, 3, 1, 3, ERR_FORMAT, ERR_FORMAT}, /* nil */
        {{0xc0, 3}, 2, 1, 3, ERR_FORMAT, ERR_FORMAT},         /* no key */
        {{0xa1, 'k'}, 2, 1, 3, ERR_TRUNCATED, ERR_TRUNCATED},
        {{0xa1, 'k', 3}, 3, 0, 3, ERR_FORMAT, ERR_FORMAT}, /* no row */
        {{0xa1, 'k', 3, 0xa1, 'l', 3}, 6, 2, 1, ERR_FORMAT, ERR_FORMAT},
        {{0xa1, 'k', 3, 0xa1, 'l'}, 5, 2, 6, ERR_TRUNCATED, ERR_TRUNCATED},
    };
    struct sim *sim = sim_new(1);
    struct env *env = sim_env(sim_node(sim, 1));
    for (size_t k = 0; k < 2 * sizeof cases / sizeof cases[0]; k++) {
        size_t i = k / 2;
        bool reduces = k % 2;
        uint8_t bytes[HEADER + 8] = {0};
        struct msg *m = NULL;
        bytes[COUNT] = cases[i].count;
        bytes[USED] = cases[i].used;
        bytes[COMBINED] = cases[i].tuples;
        memcpy(bytes + HEADER, cases[i].values, cases[i].used);
        err e = batch_decode(env, bytes, (size_t)HEADER + cases[i].used, 1,
                             reduces, &m);
        if (e != (reduces ? cases[i].numbers : cases[i].counts))
            spec_fail(__FILE__, __LINE__, "case %zu: %s", i, err_text(e));
        if (m) msg_free(env, m);
    }
    sim_free(sim);
}
