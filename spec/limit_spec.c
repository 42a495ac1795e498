/* How many roots may be pending: the law against a model of a queue, and
 * topologies that are slow or fast in the simulated world. */
#include "actors/stream/limit.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>

enum { MS = 1000000, S = 1000 * MS };

static void done(struct sim *sim, struct stream *s)
{
    stream_free(s);
    sim_free(sim);
}

/* ---- a bolt that settles one tuple each millisecond ---- */

#define SERVICE(keys, count)                                                   \
    "return topology 't' { " keys "\n"                                         \
    "  spout 's' { generator { count = " count " }, fields = {'n'} },\n"       \
    "  bolt 'slow' { from = global 's', acking = 'manual', every = '1ms',\n"   \
    "    fields = {'most'},\n"                                                 \
    "    prepare = function(self)\n"                                           \
    "      self.first, self.next, self.most, self.held = 1, 1, 0, {} end,\n"   \
    "    execute = function(self, n)\n"                                        \
    "      self.held[self.next] = self.hold()\n"                               \
    "      self.next = self.next + 1\n"                                        \
    "      self.most = math.max(self.most, self.next - self.first) end,\n"     \
    "    tick = function(self)\n"                                              \
    "      if self.first == self.next then return end\n"                       \
    "      self.held[self.first]:ack()\n"                                      \
    "      self.held[self.first] = nil\n"                                      \
    "      self.first = self.first + 1 end,\n"                                 \
    "    finish = function(self) self.emit(self.most) end },\n"                \
    "  sink 'out' { from = shuffle 'slow', null {} } }\n"

SPEC(limit, stays_low_where_a_bolt_is_slow)
{
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s =
            stream_start(sim, sim_node(sim, 1), SERVICE("", "30000"));
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK_EQ(end->gave_up, 0);
        /* Nothing is lost: it was never idle. */
        CHECK(sim_now(sim) < SIM_START_NS + 30100 * (int64_t)MS);
        CHECK(stream_limit(s, "s") < 100);
        CHECK(stream_latency_ns(s, "s", 99) < 100 * MS);
        done(sim, s);
    }
}

SPEC(limit, that_is_given_is_kept_exactly)
{
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1),
                                        SERVICE("max_pending = 777,", "3000"));
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_limit(s, "s"), 777);
        CHECK_EQ(stream_has(s, "777"), 1);
        done(sim, s);
    }
}

/* ---- bolts that need many ---- */

/* It works 20 ms on each batch, and the source writes 128 a batch at most: two
 * such batches keep it busy. */
SPEC(limit, grows_to_what_a_bolt_needs)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 's' { generator { count = 20000 }, fields = {'n'} },\n"
        "  bolt 'stuck' { from = global 's', fields = {'n'},\n"
        "    execute = function() end },\n"
        "  sink 'out' { from = shuffle 'stuck', null {} } }\n";
    FOR_SEEDS(3)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        stream_set_stuck(s, &(struct stream_stuck){.pace_ns = 20 * MS});
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK(stream_limit(s, "s") >= 250 && stream_limit(s, "s") <= 1024);
        /* The best is 3.2 s; with batches of 16 it would have been 25 s. */
        CHECK(sim_now(sim) < SIM_START_NS + 3500 * (int64_t)MS);
        done(sim, s);
    }
}

/* 10,000 are held until all of them are there. */
SPEC(limit, gives_way_to_a_bolt_that_holds_many)
{
    const char *text =
        "return topology 't' { timeout = '10s',\n"
        "  spout 's' { generator { count = 30000 }, fields = {'n'} },\n"
        "  bolt 'window' { from = global 's', acking = 'manual',\n"
        "    fields = {'n'},\n"
        "    prepare = function(self) self.held = {} end,\n"
        "    execute = function(self, n)\n"
        "      self.held[#self.held + 1] = self.hold()\n"
        "      if #self.held < 10000 then return end\n"
        "      for _, h in ipairs(self.held) do h:ack() end\n"
        "      self.held = {} self.emit(n) end },\n"
        "  sink 'out' { from = shuffle 'window', null {} } }\n";
    FOR_SEEDS(3)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK_EQ(stream_totals(s, "s").failed, 0);
        CHECK_EQ(stream_count(s), 3);
        CHECK(sim_now(sim) < SIM_START_NS + 8 * (int64_t)S);
        done(sim, s);
    }
}

/* ---- the law itself ---- */

/* Servers that take `service_ns` for each root, one after another of a queue
 * that a source keeps full. */
struct model {
    struct limit limit;
    int64_t now_ns, service_ns;
    unsigned servers;
    uint64_t pending, acked, first;
    int64_t born_ns[1 << 17], free_ns[4096];
};

static void fill(struct model *m)
{
    for (; m->pending < m->limit.now; m->pending++)
        m->born_ns[(m->first + m->pending) % (1 << 17)] = m->now_ns;
}

/* The oldest goes to the server that is free first. */
static void serve(struct model *m, int64_t until_ns)
{
    while (m->now_ns < until_ns) {
        fill(m);
        unsigned i = (unsigned)(m->first % m->servers);
        int64_t born_ns = m->born_ns[m->first % (1 << 17)];
        int64_t begin_ns = m->free_ns[i] > born_ns ? m->free_ns[i] : born_ns;
        m->free_ns[i] = begin_ns + m->service_ns;
        if (m->free_ns[i] > m->now_ns) m->now_ns = m->free_ns[i];
        uint64_t before = m->pending--;
        m->first++;
        m->acked++;
        limit_acked(&m->limit, m->now_ns - born_ns, 1);
        limit_adapt(&m->limit, before, m->pending, m->now_ns);
    }
}

static struct model model_of(unsigned servers, int64_t service_ns)
{
    struct model m = {.servers = servers, .service_ns = service_ns};
    limit_init(&m.limit, true, 16384, 30 * (int64_t)S, 0);
    return m;
}

SPEC(limit, follows_rate_times_latency)
{
    static struct model m;
    static const unsigned servers[] = {1, 8, 100, 1000};
    static const int64_t service_ms[] = {1, 20, 300};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 3; k++) {
            m = model_of(servers[i], service_ms[k] * MS);
            int64_t warm_ns = 40 * service_ms[k] * MS,
                    run_ns = 100 * (int64_t)S;
            serve(&m, warm_ns);
            uint64_t acked = m.acked;
            serve(&m, warm_ns + run_ns);
            double best = servers[i] * ((double)run_ns / (double)m.service_ns);
            CHECK((double)(m.acked - acked) > 0.9 * best);
            uint64_t need =
                servers[i] *
                (service_ms[k] < 10 ? 20 / (uint64_t)service_ms[k] : 1);
            CHECK(m.limit.now <= 4 * need + 2 * LIMIT_LEAST);
        }
}

SPEC(limit, comes_down_when_it_was_wrong)
{
    static struct model m;
    m = model_of(100, 20 * MS);
    serve(&m, 5 * (int64_t)S);
    CHECK(m.limit.now >= 100);
    m.servers = 1; /* all but one fail */
    serve(&m, 400 * (int64_t)S);
    CHECK(m.limit.now <= 4 * LIMIT_LEAST);
    limit_stalled(&m.limit);
    limit_stalled(&m.limit);
    limit_stalled(&m.limit);
    CHECK(m.limit.now >= 1000);
    serve(&m, 4000 * (int64_t)S);
    CHECK(m.limit.now <= 4 * LIMIT_LEAST);
}

SPEC(limit, goes_up_again_when_there_is_need)
{
    static struct model m;
    m = model_of(1, 20 * MS);
    serve(&m, 30 * (int64_t)S);
    CHECK(m.limit.now <= 4 * LIMIT_LEAST);
    m.servers = 1000;
    serve(&m, 60 * (int64_t)S);
    CHECK(m.limit.now >= 1000);
}
