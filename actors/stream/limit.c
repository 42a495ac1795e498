#include "actors/stream/limit.h"

enum {
    RATE_ROUNDS = 4,    /* that one best rate is of */
    PROBE_ROUNDS = 32,  /* between probes, at least */
    PROBE_PART = 4,     /* of the limit, in a probe */
    STALL_FACTOR = 4,   /* at which the limit goes up */
    STALL_PATIENCE = 4, /* mean latencies */
    TIMEOUT_PART = 8,   /* of the message timeout: the most patience */
};
static const uint64_t HARMLESS_NS = 10000000; /* of mean latency */
static const int64_t RATE_LEAST_NS = 1000000; /* a rate is of so long */
static const int64_t PROBE_EVERY_NS = 10000000000;
static const int64_t PATIENCE_LEAST_NS = 100000000;

void limit_init(struct limit *l, bool adapts, uint64_t most, int64_t timeout_ns,
                int64_t now_ns)
{
    uint64_t least = most < LIMIT_LEAST ? most : LIMIT_LEAST;
    *l = (struct limit){
        .now = adapts ? least : most,
        .most = most,
        .floor = least,
        .least = least,
        .adapts = adapts,
        .patience_most_ns = timeout_ns / TIMEOUT_PART + 1,
        .began_ns = now_ns,
        .turn = 1,
        .probe_at_ns = now_ns + PROBE_EVERY_NS,
    };
    l->patience_ns = PATIENCE_LEAST_NS < l->patience_most_ns
                         ? PATIENCE_LEAST_NS
                         : l->patience_most_ns;
}

void limit_hold(struct limit *l, uint64_t least)
{
    if (!l->adapts) return;
    l->least = least < l->most ? least : l->most;
    l->now = l->floor = l->least;
}

static uint64_t within(const struct limit *l, double wanted)
{
    if (wanted >= (double)l->most) return l->most;
    return wanted > (double)l->floor ? (uint64_t)wanted : l->floor;
}

static void note_patience(struct limit *l, uint64_t mean_ns)
{
    int64_t patience_ns = STALL_PATIENCE * (int64_t)mean_ns;
    if (patience_ns < PATIENCE_LEAST_NS) patience_ns = PATIENCE_LEAST_NS;
    if (patience_ns > l->patience_most_ns) patience_ns = l->patience_most_ns;
    l->patience_ns = patience_ns;
}

static void note_rate(struct limit *l, double rate)
{
    if (l->rounds == RATE_ROUNDS) {
        l->rate[1] = l->rate[0];
        l->rate[0] = 0;
        l->rounds = 0;
    }
    l->rounds++;
    if (rate > l->rate[0]) l->rate[0] = rate;
}

/* The base is renewed where nothing can wait less. */
static void note_base(struct limit *l, uint64_t mean_ns)
{
    if (l->base_ns == 0 || mean_ns < l->base_ns || l->now <= l->floor)
        l->base_ns = mean_ns;
}

/* By the law, but at most twice what it was. */
static void set(struct limit *l, uint64_t mean_ns)
{
    double rate = l->rate[0] > l->rate[1] ? l->rate[0] : l->rate[1];
    double twice = 2.0 * (double)l->now;
    uint64_t base_ns = l->base_ns > HARMLESS_NS ? l->base_ns : HARMLESS_NS;
    double wanted = 2.0 * rate * (double)base_ns;
    if (mean_ns <= HARMLESS_NS || wanted > twice) wanted = twice;
    l->now = within(l, wanted);
}

/* The new base belongs to new rates. */
static void begin_probe(struct limit *l, double rate)
{
    l->rate[0] = rate;
    l->rate[1] = 0;
    l->rounds = 1;
    l->state = LIMIT_DRAIN;
    l->before_probe = l->now;
    if (l->floor > l->least)
        l->floor = l->floor / 2 > l->least ? l->floor / 2 : l->least;
    l->now = within(l, (double)l->now / PROBE_PART);
}

static void end_probe(struct limit *l, uint64_t mean_ns, int64_t now_ns)
{
    int64_t every_ns = PROBE_ROUNDS * (now_ns - l->began_ns);
    if (every_ns < PROBE_EVERY_NS) every_ns = PROBE_EVERY_NS;
    l->state = LIMIT_STEADY;
    l->probe_at_ns = now_ns + every_ns;
    l->base_ns = mean_ns;
    l->now = l->before_probe;
}

/* A round is over, and the limit was reached in it. */
static void decide(struct limit *l, uint64_t mean_ns, int64_t now_ns)
{
    int64_t round_ns = now_ns - l->began_ns;
    double rate =
        round_ns >= RATE_LEAST_NS ? (double)l->turned / (double)round_ns : 0;
    note_rate(l, rate);
    switch (l->state) {
    case LIMIT_DRAIN: l->state = LIMIT_MEASURE; return;
    case LIMIT_MEASURE: end_probe(l, mean_ns, now_ns); break;
    case LIMIT_STEADY: note_base(l, mean_ns); break;
    }
    set(l, mean_ns);
    bool stale = l->base_ns > HARMLESS_NS || l->floor > l->least;
    if (now_ns >= l->probe_at_ns && stale) begin_probe(l, rate);
}

void limit_adapt(struct limit *l, uint64_t before, uint64_t pending,
                 int64_t now_ns)
{
    if (!l->adapts) return;
    if (before >= l->now) l->filled = true;
    if (l->turned < l->turn) return;
    uint64_t mean_ns = l->took_ns / l->turned;
    /* So short a round says nothing of a rate. */
    if (mean_ns > HARMLESS_NS && now_ns - l->began_ns < RATE_LEAST_NS) return;
    note_patience(l, mean_ns);
    if (l->filled) decide(l, mean_ns, now_ns);
    l->filled = false;
    l->began_ns = now_ns;
    l->turn = pending + 1;
    l->acked += l->turned;
    l->turned = l->took_ns = 0;
}

void limit_stalled(struct limit *l)
{
    l->now = within(l, (double)l->now * STALL_FACTOR);
    l->floor = l->now;
    l->patience_ns *= 2;
    if (l->patience_ns > l->patience_most_ns)
        l->patience_ns = l->patience_most_ns;
}
