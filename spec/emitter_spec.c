/* The outgoing side of a task, against a model: what arrives at each consumer
 * is what was kept, in order, anchored to its roots; what was taken back has
 * left no trace. Producer and consumers are probes of the simulated world. */
#include "actors/stream/emitter.h"
#include "actors/stream/executor.h"
#include "core/alloc.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"

enum { ROUTES = 4, PORTS_MAX = 5, PORTS = ROUTES * PORTS_MAX, TASK = 6 };
enum { ROOTS = 8 };

/* What a port should hand over: tuples, each with its root before it. */
struct expected {
    struct buffer bytes;
    unsigned count;
};

struct station {
    struct sim *sim;
    struct sim_node *node;
    struct emitter emitter;
    struct rng rng;
    actor_id producer, consumers[PORTS];
    struct edge *edges; /* PORTS of them */
    struct input_plan inputs[ROUTES];
    unsigned ports[ROUTES];
    unsigned routes;
    struct stream_plan streams[2];
    struct component_plan component;

    struct expected kept[PORTS], mine[PORTS]; /* mine: of the call in hand */
    uint64_t edges_kept[ROOTS]; /* XOR that calls reported for each root */
    uint64_t emitted;
};

static unsigned place(const struct station *s, const struct port *port)
{
    for (unsigned i = 0; i < PORTS; i++)
        if (&s->edges[i] == port->edge) return i;
    spec_fail(__FILE__, __LINE__, "a port without an edge");
}

static err attach_consumer(struct env *env, void *context)
{
    edge_attach_consumer(env, context);
    return OK;
}

static err attach_producer(struct env *env, void *context)
{
    struct station *s = context;
    for (unsigned i = 0; i < PORTS; i++)
        edge_attach_producer(env, &s->edges[i]);
    return OK;
}

/* Stream 0 with a word and a number has three readers, stream 1 has one. */
static struct station *station_new(uint64_t seed, unsigned routes)
{
    struct station *s = mem_zero(1, sizeof *s);
    CHECK(s != NULL);
    s->sim = sim_new(seed);
    s->rng.state = seed;
    s->node = sim_node(s->sim, 1);
    s->edges = mem_zero(PORTS, sizeof *s->edges);
    s->producer = sim_probe(s->node);
    for (unsigned i = 0; i < PORTS; i++) {
        edge_init(&s->edges[i], EDGE_WINDOW_BYTES);
        s->consumers[i] = sim_probe(s->node);
        sim_do(s->sim, s->consumers[i], attach_consumer, &s->edges[i]);
    }
    sim_run(s->sim);
    sim_do(s->sim, s->producer, attach_producer, s);
    sim_run(s->sim);

    s->streams[0] = (struct stream_plan){.name = "default", .arity = 2};
    s->streams[1] = (struct stream_plan){.name = "errors", .arity = 2};
    s->component =
        (struct component_plan){.streams = s->streams, .stream_count = 2};
    CHECK_EQ(emitter_init(&s->emitter, &s->component, TASK, seed), OK);
    s->emitter.env = sim_env(s->node);
    static const enum grouping groupings[ROUTES] = {
        GROUPING_FIELDS, GROUPING_SHUFFLE, GROUPING_GLOBAL, GROUPING_SHUFFLE};
    s->routes = routes;
    for (unsigned r = 0; r < routes; r++) {
        s->inputs[r] = (struct input_plan){
            .grouping = groupings[r],
            .key_count = groupings[r] == GROUPING_FIELDS,
        };
        s->ports[r] = 1 + (unsigned)rng_below(&s->rng, PORTS_MAX);
        struct edge *edges[PORTS_MAX];
        for (unsigned i = 0; i < s->ports[r]; i++)
            edges[i] = &s->edges[r * PORTS_MAX + i];
        CHECK_EQ(emitter_route(&s->emitter, r == 3, &s->inputs[r], edges,
                               s->ports[r]),
                 OK);
    }
    return s;
}

static void station_free(struct station *s)
{
    s->emitter.env = sim_env(s->node);
    emitter_fini(&s->emitter);
    sim_free(s->sim);
    for (unsigned i = 0; i < PORTS; i++) {
        buffer_fini(&s->kept[i].bytes);
        buffer_fini(&s->mine[i].bytes);
    }
    mem_free(s->edges);
    mem_free(s);
}

static void run_deed(struct station *s, sim_deed *deed)
{
    sim_do(s->sim, s->producer, deed, s);
    sim_run(s->sim);
}

/* ---- the model ---- */

static void expect(struct expected *x, uint64_t root, const uint8_t *values,
                   uint32_t bytes)
{
    CHECK_EQ(buffer_append(&x->bytes, &root, sizeof root), OK);
    CHECK_EQ(buffer_append(&x->bytes, values, bytes), OK);
    x->count++;
}

static struct port *port_of(struct station *s, unsigned stream, unsigned route,
                            unsigned i)
{
    return &s->emitter.streams[stream].routes[route].ports[i];
}

/* Which port a tuple went to: the one that has one more. */
static uint32_t counts(struct station *s, unsigned r, unsigned i)
{
    struct port *port = port_of(s, r == 3, r == 3 ? 0 : r, i);
    return port->open ? batch_of(port->open)->count : 0;
}

static void put(struct station *s, unsigned stream, const uint8_t *values,
                uint32_t bytes)
{
    uint32_t before[ROUTES][PORTS_MAX];
    for (unsigned r = 0; r < s->routes; r++)
        for (unsigned i = 0; i < s->ports[r]; i++)
            before[r][i] = counts(s, r, i);
    CHECK(emitter_put(&s->emitter, stream, values, bytes));
    for (unsigned r = 0; r < s->routes; r++) {
        unsigned grown = 0;
        for (unsigned i = 0; i < s->ports[r]; i++) {
            if (counts(s, r, i) == before[r][i]) continue;
            CHECK_EQ(counts(s, r, i), before[r][i] + 1);
            expect(&s->mine[r * PORTS_MAX + i], s->emitter.root, values, bytes);
            grown++;
        }
        CHECK_EQ(grown, (r == 3) == (stream == 1)); /* each reader, one task */
    }
}

static void keep(struct station *s)
{
    for (unsigned i = 0; i < PORTS; i++) {
        struct expected *mine = &s->mine[i];
        CHECK_EQ(buffer_append(&s->kept[i].bytes, mine->bytes.data,
                               mine->bytes.used),
                 OK);
        s->kept[i].count += mine->count;
        mine->bytes.used = mine->count = 0;
    }
    if (s->emitter.root) s->edges_kept[s->emitter.root - 1] ^= s->emitter.edges;
    emitter_keep(&s->emitter);
}

/* ---- what undo has to bring back ---- */

struct snapshot {
    struct buffer bytes[PORTS];
    uint64_t emitted;
};

static void snapshot_take(struct station *s, struct snapshot *shot)
{
    shot->emitted = s->emitter.emitted;
    for (unsigned r = 0; r < s->routes; r++)
        for (unsigned i = 0; i < s->ports[r]; i++) {
            struct port *port = port_of(s, r == 3, r == 3 ? 0 : r, i);
            struct buffer *out = &shot->bytes[place(s, port)];
            out->used = 0;
            /* None open is as good as an open one with nothing in it. */
            if (port->open && batch_of(port->open)->count > 0)
                CHECK_EQ(batch_encode(batch_of(port->open), out), OK);
        }
}

static void check_same(const struct snapshot *a, const struct snapshot *b)
{
    CHECK_EQ(a->emitted, b->emitted);
    for (unsigned i = 0; i < PORTS; i++) {
        CHECK_EQ(a->bytes[i].used, b->bytes[i].used);
        CHECK(a->bytes[i].used == 0 ||
              memcmp(a->bytes[i].data, b->bytes[i].data, a->bytes[i].used) ==
                  0);
    }
}

static void snapshot_fini(struct snapshot *shot)
{
    for (unsigned i = 0; i < PORTS; i++)
        buffer_fini(&shot->bytes[i]);
}

static void undo(struct station *s, struct snapshot *before)
{
    struct snapshot after = {0};
    for (unsigned i = 0; i < PORTS; i++)
        s->mine[i].bytes.used = s->mine[i].count = 0;
    emitter_undo(&s->emitter);
    CHECK_EQ(s->emitter.edges, 0);
    snapshot_take(s, &after);
    check_same(before, &after);
    snapshot_fini(&after);
}

/* ---- random calls ---- */

static uint32_t any_tuple(struct rng *rng, uint8_t *values)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    uint32_t length = (uint32_t)rng_below(rng, sizeof letters);
    uint8_t *at = value_put_bytes(values, letters, length);
    /* Now and then a large one, so that batches grow. */
    if (rng_below(rng, 40) == 0) {
        uint32_t large = (uint32_t)rng_below(rng, 12000);
        at = value_put_bytes_head(at, large);
        memset(at, 'x', large);
        at += large;
    } else {
        at = value_put_int(at, (int64_t)rng_below(rng, 1000));
    }
    return (uint32_t)(at - values);
}

static err make_calls(struct env *env, void *context)
{
    struct station *s = context;
    struct snapshot before = {0};
    uint8_t values[12100];
    s->emitter.env = env;
    unsigned calls = 1 + (unsigned)rng_below(&s->rng, 40);
    while (calls-- > 0) {
        /* Several calls under one root follow each other, or none has one. */
        if (rng_below(&s->rng, 3) == 0)
            s->emitter.root = rng_below(&s->rng, ROOTS + 1);
        snapshot_take(s, &before);
        unsigned puts = (unsigned)rng_below(&s->rng, 12);
        for (unsigned i = 0; i < puts; i++) {
            uint32_t bytes = any_tuple(&s->rng, values);
            put(s, s->routes > 3 && rng_below(&s->rng, 4) == 0, values, bytes);
            s->emitted++;
        }
        if (rng_below(&s->rng, 3) > 0) {
            keep(s);
        } else {
            s->emitted -= puts;
            undo(s, &before);
        }
        CHECK_EQ(s->emitter.emitted, s->emitted);
        if (rng_below(&s->rng, 20) == 0) emitter_flush(&s->emitter);
    }
    snapshot_fini(&before);
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

static const uint8_t *after_tuple(const uint8_t *at)
{
    return value_skip(value_skip(at));
}

/* One batch against the model from *at on; gathers the edges it entered. */
static void check_batch(struct batch *b, const struct expected *x, size_t *at,
                        uint64_t *edges)
{
    const uint8_t *values = b->data;
    uint32_t anchor = 0, left = 0;
    uint64_t root = 0, before = UINT64_MAX;
    CHECK_EQ(b->marker, BATCH_DATA);
    CHECK_EQ(b->task, TASK);
    CHECK(b->count > 0);
    for (uint32_t i = 0; i < b->count; i++) {
        if (left == 0 && b->anchors > 0) {
            CHECK(anchor < b->anchors);
            const struct anchor *a = batch_anchor(b, anchor++);
            root = a->root;
            left = a->tuples;
            CHECK(root != before); /* one anchor for one run of tuples */
            CHECK((root == 0) == (a->edge == 0));
            before = root;
            if (root) edges[root - 1] ^= a->edge;
        }
        left -= b->anchors > 0;
        uint32_t bytes = (uint32_t)(after_tuple(values) - values);
        CHECK(*at + sizeof root + bytes <= x->bytes.used);
        uint64_t wanted;
        memcpy(&wanted, x->bytes.data + *at, sizeof wanted);
        CHECK_EQ(root, wanted);
        CHECK(memcmp(x->bytes.data + *at + sizeof root, values, bytes) == 0);
        *at += sizeof root + bytes;
        values += bytes;
    }
    CHECK_EQ(left, 0);
    CHECK_EQ(anchor, b->anchors);
    CHECK_EQ(values - b->data, b->used);
}

SPEC(emitter, hands_over_what_was_kept_and_nothing_of_what_was_undone)
{
    FOR_SEEDS(60)
    {
        struct station *s = station_new(spec_seed, ROUTES);
        uint64_t edges[ROOTS] = {0};
        for (int i = 0; i < 5; i++)
            run_deed(s, make_calls);
        run_deed(s, flush);
        for (unsigned i = 0; i < PORTS; i++) {
            size_t at = 0;
            unsigned batches = sim_got(s->sim, s->consumers[i], EXECUTOR_BATCH);
            for (unsigned k = 0; k < batches; k++) {
                struct batch *b =
                    sim_seen(s->sim, s->consumers[i], EXECUTOR_BATCH, k)->body;
                CHECK_EQ(b->number, k);
                CHECK_EQ(b->schema, i >= 3 * PORTS_MAX);
                check_batch(b, &s->kept[i], &at, edges);
            }
            CHECK_EQ(at, s->kept[i].bytes.used);
        }
        for (unsigned i = 0; i < ROOTS; i++)
            CHECK_EQ(edges[i], s->edges_kept[i]);
        station_free(s);
    }
}

/* ---- sealing ---- */

static void put_word(struct station *s, const char *word, int64_t n)
{
    uint8_t values[300];
    uint8_t *at = value_put_bytes(values, word, (uint32_t)strlen(word));
    at = value_put_int(at, n);
    CHECK(emitter_put(&s->emitter, 0, values, (uint32_t)(at - values)));
}

static err put_one_by_one(struct env *env, void *context)
{
    struct station *s = context;
    s->emitter.env = env;
    for (int i = 0; i < BATCH_SEAL_TUPLES; i++) {
        CHECK_EQ(s->emitter.streams[0].routes[2].ports[0].edge->sent, 0);
        put_word(s, "", i);
        emitter_keep(&s->emitter);
    }
    CHECK_EQ(s->emitter.streams[0].routes[2].ports[0].edge->sent, 1);
    return OK;
}

static err put_much_at_once(struct env *env, void *context)
{
    struct station *s = context;
    s->emitter.env = env;
    for (int i = 0; i < 100000; i++)
        put_word(s, "the cow", i);
    CHECK_EQ(s->emitter.streams[0].routes[2].ports[0].edge->sent, 1);
    emitter_keep(&s->emitter);
    CHECK_EQ(s->emitter.streams[0].routes[2].ports[0].edge->sent, 2);
    return OK;
}

SPEC(emitter, seals_full_batches_between_calls_and_never_within_one)
{
    struct station *s = station_new(1, 3);
    run_deed(s, put_one_by_one);
    run_deed(s, put_much_at_once);
    run_deed(s, flush);
    actor_id first = s->consumers[2 * PORTS_MAX];
    CHECK_EQ(sim_got(s->sim, first, EXECUTOR_BATCH), 2);
    const struct batch *b = sim_seen(s->sim, first, EXECUTOR_BATCH, 1)->body;
    CHECK_EQ(b->count, 100000);
    CHECK_EQ(b->anchors, 0); /* untracked */
    station_free(s);
}

/* ---- the limit of one call ---- */

enum { MEGABYTE = 1 << 20 };

/* How many megabytes one call could emit to all routes before it was refused;
 * then it is undone. */
static unsigned fill(struct station *s, unsigned most)
{
    uint8_t *values = mem_alloc(MEGABYTE + 16);
    CHECK(values != NULL);
    uint8_t *at = value_put_bytes_head(values, MEGABYTE);
    memset(at, 'y', MEGABYTE);
    at = value_put_nil(at + MEGABYTE);
    unsigned n = 0;
    while (n < most &&
           emitter_put(&s->emitter, 0, values, (uint32_t)(at - values)))
        n++;
    mem_free(values);
    return n;
}

static err overfill(struct env *env, void *context)
{
    struct station *s = context;
    struct snapshot before = {0};
    s->emitter.env = env;
    put_word(s, "kept", 1);
    emitter_keep(&s->emitter);
    snapshot_take(s, &before);
    /* It is room that is counted: what doubles may have some to spare. */
    unsigned most = 63 / s->routes;
    unsigned filled = fill(s, 100);
    CHECK(filled <= most && filled >= (s->routes == 1 ? most : most / 2));
    CHECK(s->emitter.failed);
    undo(s, &before);
    CHECK(!s->emitter.failed);
    /* The next call has all its room again. */
    CHECK_EQ(fill(s, 100), filled);
    undo(s, &before);
    put_word(s, "kept", 2);
    emitter_keep(&s->emitter);
    snapshot_fini(&before);
    return OK;
}

SPEC(emitter, refuses_a_call_more_than_64_megabytes_in_all_its_ports)
{
    for (unsigned routes = 1; routes <= 3; routes += 2) {
        struct station *s = station_new(routes, routes);
        run_deed(s, overfill);
        run_deed(s, flush);
        unsigned tuples = 0;
        for (unsigned i = 0; i < PORTS_MAX; i++)
            for (unsigned k = 0;
                 k < sim_got(s->sim, s->consumers[i], EXECUTOR_BATCH); k++) {
                const struct batch *b =
                    sim_seen(s->sim, s->consumers[i], EXECUTOR_BATCH, k)->body;
                tuples += b->count;
            }
        CHECK_EQ(tuples, 2);
        station_free(s);
    }
}

static err refuse_the_first(struct env *env, void *context)
{
    struct station *s = context;
    static const uint8_t nothing[1];
    s->emitter.env = env;
    /* The call goes on without it, and is kept. */
    struct port *port =
        route_port(&s->emitter, &s->emitter.streams[0].routes[0], 0);
    CHECK(port_reserve(&s->emitter, port, BATCH_MAX_BYTES) == NULL);
    CHECK(port->open == NULL && s->emitter.failed);
    emitter_keep(&s->emitter);
    CHECK(!s->emitter.failed);
    CHECK(emitter_put(&s->emitter, 1, nothing, 1)); /* no reader: to nobody */
    emitter_keep(&s->emitter);
    return OK;
}

SPEC(emitter, can_keep_a_call_whose_first_emit_was_refused)
{
    struct station *s = station_new(1, 1);
    run_deed(s, refuse_the_first);
    station_free(s);
}

/* ---- groupings ---- */

static unsigned received(struct station *s, unsigned port)
{
    unsigned n = 0;
    for (unsigned k = 0;
         k < sim_got(s->sim, s->consumers[port], EXECUTOR_BATCH); k++)
        n += ((struct batch *)sim_seen(s->sim, s->consumers[port],
                                       EXECUTOR_BATCH, k)
                  ->body)
                 ->count;
    return n;
}

static err put_evenly(struct env *env, void *context)
{
    struct station *s = context;
    s->emitter.env = env;
    for (int i = 0; i < 60; i++) { /* a multiple of 1 to 5 */
        put_word(s, "word", i);
        emitter_keep(&s->emitter);
    }
    return OK;
}

SPEC(emitter, shuffles_evenly_and_sends_global_to_the_first_task)
{
    FOR_SEEDS(20)
    {
        struct station *s = station_new(spec_seed, 3);
        run_deed(s, put_evenly);
        run_deed(s, flush);
        unsigned shuffled = PORTS_MAX, global = 2 * PORTS_MAX;
        for (unsigned i = 0; i < s->ports[1]; i++)
            CHECK_EQ(received(s, shuffled + i), 60 / s->ports[1]);
        CHECK_EQ(received(s, global), 60);
        for (unsigned i = 1; i < s->ports[2]; i++)
            CHECK_EQ(received(s, global + i), 0);
        station_free(s);
    }
}

/* Which task a sender gives a key to; -1: more than one. */
static int task_of(struct station *s, const uint8_t *values, uint32_t bytes)
{
    int task = -1;
    CHECK(emitter_put(&s->emitter, 0, values, bytes));
    for (unsigned i = 0; i < s->ports[0]; i++) {
        if (counts(s, 0, i) == 0) continue;
        CHECK_EQ(task, -1);
        task = (int)i;
    }
    emitter_undo(&s->emitter);
    return task;
}

struct keys {
    uint8_t bytes[40][64];
    uint32_t used[40];
    int tasks[40];
    unsigned count;
};

static void add_pair(struct keys *k, const uint8_t *key, size_t bytes)
{
    uint8_t *to = k->bytes[k->count];
    memcpy(to, key, bytes);
    uint8_t *end = value_put_int(to + bytes, k->count);
    k->used[k->count++] = (uint32_t)(end - to);
}

/* Keys in pairs that are equal, however they are written. */
static void make_keys(struct keys *k)
{
    uint8_t key[64];
    k->count = 0;
    for (int i = 0; i < 20; i++) {
        if (i < 10) {
            add_pair(k, key, (size_t)(value_put_int(key, i) - key));
            add_pair(k, key, (size_t)(value_put_float(key, i) - key));
        } else {
            uint32_t length = (uint32_t)i;
            add_pair(k, key,
                     (size_t)(value_put_bytes(key, "abcdefghijklmnopqrstuvw",
                                              length) -
                              key));
            key[0] = MSGPACK_BIN8;
            key[1] = (uint8_t)length;
            memcpy(key + 2, "abcdefghijklmnopqrstuvw", length);
            add_pair(k, key, length + 2);
        }
    }
}

struct sender {
    struct station *station;
    struct keys keys;
};

static err place_keys(struct env *env, void *context)
{
    struct sender *sender = context;
    sender->station->emitter.env = env;
    for (unsigned i = 0; i < sender->keys.count; i++)
        sender->keys.tasks[i] = task_of(sender->station, sender->keys.bytes[i],
                                        sender->keys.used[i]);
    return OK;
}

SPEC(emitter, sends_equal_keys_to_one_task_whoever_sends_them)
{
    static struct sender senders[2];
    unsigned used = 0;
    for (int i = 0; i < 2; i++) {
        struct station *s = station_new(5 + 2 * (uint64_t)i, 1);
        struct edge *edges[PORTS_MAX];
        for (unsigned k = 0; k < PORTS_MAX; k++)
            edges[k] = &s->edges[k];
        /* As many tasks for both, and the second has another number. */
        s->emitter.env = sim_env(s->node);
        emitter_fini(&s->emitter);
        CHECK_EQ(emitter_init(&s->emitter, &s->component, 3 + (uint32_t)i,
                              spec_seed + (uint64_t)i),
                 OK);
        s->emitter.env = sim_env(s->node);
        CHECK_EQ(emitter_route(&s->emitter, 0, &s->inputs[0], edges, PORTS_MAX),
                 OK);
        s->ports[0] = PORTS_MAX;
        senders[i].station = s;
        make_keys(&senders[i].keys);
        sim_do(s->sim, s->producer, place_keys, &senders[i]);
        sim_run(s->sim);
    }
    for (unsigned i = 0; i < senders[0].keys.count; i++) {
        CHECK_EQ(senders[0].keys.tasks[i], senders[1].keys.tasks[i]);
        CHECK_EQ(senders[0].keys.tasks[i], senders[0].keys.tasks[i & ~1u]);
        used |= 1u << senders[0].keys.tasks[i];
    }
    CHECK_EQ(used, (1u << PORTS_MAX) - 1); /* every task has some */
    for (int i = 0; i < 2; i++) {
        run_deed(senders[i].station, flush);
        station_free(senders[i].station);
    }
}

/* ---- markers and crashes ---- */

static err mark(struct env *env, void *context)
{
    struct station *s = context;
    s->emitter.env = env;
    s->emitter.epoch = 9;
    put_word(s, "before", 1);
    emitter_keep(&s->emitter);
    CHECK_EQ(emitter_mark(&s->emitter, BATCH_MARK, 33), OK);
    put_word(s, "after", 2);
    emitter_keep(&s->emitter);
    return OK;
}

SPEC(emitter, puts_a_marker_behind_all_that_was_emitted_on_every_port)
{
    struct station *s = station_new(3, 3);
    run_deed(s, mark);
    run_deed(s, flush);
    for (unsigned r = 0; r < 3; r++)
        for (unsigned i = 0; i < s->ports[r]; i++) {
            actor_id id = s->consumers[r * PORTS_MAX + i];
            unsigned n = sim_got(s->sim, id, EXECUTOR_BATCH), markers = 0;
            for (unsigned k = 0; k < n; k++) {
                const struct batch *b =
                    sim_seen(s->sim, id, EXECUTOR_BATCH, k)->body;
                if (b->marker == BATCH_DATA) {
                    /* "before" has 6 letters, "after" 5 */
                    CHECK_EQ(b->data[0] & 31, markers ? 5 : 6);
                    continue;
                }
                CHECK_EQ(b->marker, BATCH_MARK);
                CHECK_EQ(b->number, 33);
                CHECK_EQ(b->epoch, 9);
                CHECK_EQ(b->task, TASK);
                CHECK_EQ(b->count, 0);
                markers++;
            }
            CHECK_EQ(markers, 1);
        }
    station_free(s);
}

struct lost {
    uint64_t roots[64];
    unsigned count;
};

static void lose(void *context, uint64_t root)
{
    struct lost *lost = context;
    CHECK(lost->count < 64);
    lost->roots[lost->count++] = root;
}

static err crash(struct env *env, void *context)
{
    struct station *s = context;
    struct lost lost = {0};
    s->emitter.env = env;
    for (uint64_t root = 0; root < 4; root++) {
        s->emitter.root = root;
        put_word(s, "lost", (int64_t)root);
        put_word(s, "lost", (int64_t)root);
        emitter_keep(&s->emitter);
    }
    emitter_drop(&s->emitter, lose, &lost);
    CHECK_EQ(lost.count, 3); /* each once; 0 is nobody's */
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(lost.roots[i], i + 1);
    CHECK(s->emitter.open_ports == NULL);
    return OK;
}

SPEC(emitter, names_the_roots_of_what_a_crash_drops)
{
    FOR_SEEDS(1)
    {
        struct station *s = station_new(2, 0);
        struct edge *edges[] = {&s->edges[0]};
        s->inputs[0] = (struct input_plan){.grouping = GROUPING_GLOBAL};
        CHECK_EQ(emitter_route(&s->emitter, 0, &s->inputs[0], edges, 1), OK);
        run_deed(s, crash);
        CHECK_EQ(sim_got(s->sim, s->consumers[0], EXECUTOR_BATCH), 0);
        station_free(s);
    }
}

/* ---- many roots ---- */

enum { LIST = 4 };

static struct batch *put_some(struct station *s, unsigned count)
{
    uint8_t values[2 * VALUE_SCALAR_MAX], *end = value_put_int(values, 7);
    end = value_put_int(end, 8);
    for (unsigned i = 0; i < count; i++)
        CHECK(emitter_put(&s->emitter, 0, values, (uint32_t)(end - values)));
    for (unsigned i = 0; i < s->ports[0]; i++)
        if (port_of(s, 0, 0, i)->open)
            return batch_of(port_of(s, 0, 0, i)->open);
    return NULL;
}

static err put_of_one_list(struct env *env, void *context)
{
    struct station *s = context;
    struct emitter *e = &s->emitter;
    struct root_list list = {0};
    e->env = env;
    for (unsigned i = 0; i < LIST; i++)
        CHECK_EQ(roots_append(&list, i + 1, 0), OK);
    e->root = ROOT_LIST;
    e->roots = &list;
    e->one_list = true;
    struct batch *b = put_some(s, 3);
    CHECK_EQ(b->anchors, LIST);
    emitter_undo(e);
    CHECK_EQ(b->anchors + b->count, 0);
    b = put_some(s, 3);
    emitter_keep(e);
    CHECK_EQ(b->anchors, LIST);
    CHECK_EQ(b->count, 3);
    for (unsigned i = 0; i < LIST; i++) {
        CHECK_EQ(batch_anchor(b, i)->root, i + 1);
        CHECK_EQ(batch_anchor(b, i)->tuples, i + 1 == LIST ? 3 : 0);
        CHECK(batch_anchor(b, i)->edge == list.roots[i].edges);
    }
    b = put_some(s, 2); /* another call: edges of its own */
    emitter_keep(e);
    CHECK_EQ(b->anchors, 2 * LIST);
    CHECK_EQ(batch_anchor(b, 2 * LIST - 1)->tuples, 2);
    e->one_list = false; /* each may be of another list */
    b = put_some(s, 2);
    emitter_keep(e);
    CHECK_EQ(b->anchors, 4 * LIST);
    CHECK_EQ(b->count, 7);
    e->root = 0;
    emitter_flush(e);
    roots_fini(&list);
    return OK;
}

SPEC(emitter, writes_a_list_that_all_of_a_call_is_of_once_a_batch)
{
    FOR_SEEDS(20)
    {
        struct station *s = station_new(spec_seed, 1);
        run_deed(s, put_of_one_list);
        station_free(s);
    }
}
