/* limit.h - how many roots of a spout task may be pending when the user hasn't
 * said it: as many as the topology needs to be busy, and not many more, since
 * what is pending beyond that only waits.
 *
 * By Little's law `rate` roots a second that each take `latency` need
 * rate * latency pending. So, a round being the time in which as many roots are
 * acked as were pending at its beginning:
 *   limit = 2 * rate * max(base, 10 ms)
 * `rate` is the best of the last 4 to 8 rounds, `base` the least mean latency
 * that a round had: that of a topology where hardly anything waits. Twice, so
 * that it can be seen whether more pays: where it does, the rate rises with the
 * limit, which rises again; where it doesn't, the limit stays. Latency below
 * 20 ms isn't worth throughput: until a round's mean is 10 ms it doubles.
 *   The base gets old: every 10 s (but at least 32 rounds) the limit is a
 * quarter for two rounds, the first drains what waits, the second measures.
 * Rounds in which the source didn't use up the limit don't change it.
 *   A bolt may hold more tuples than the limit before it settles one (a window
 * of 5,000). So when nothing at all is settled for a while (100 ms at first, or
 * four times the mean latency) the limit goes up fourfold, and may not fall
 * below that for the time of some probes.
 * Source of the ideas: TCP Vegas (Brakmo, Peterson, 1995) and Netflix'
 * concurrency-limits for a limit by the least latency, BBR (Cardwell et al.,
 * 2016) for rate times latency and for the probes. All of it by env_now(), so
 * it replays in the simulated world. Used by one executor, on its thread. */
#ifndef ACTORS_STREAM_LIMIT_H
#define ACTORS_STREAM_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { LIMIT_LEAST = 16 };

enum limit_state {
    LIMIT_STEADY,
    LIMIT_DRAIN,   /* a probe: what waits goes */
    LIMIT_MEASURE, /* a probe: what comes now hardly waits */
};

struct limit {
    uint64_t now; /* so many roots may be pending */
    uint64_t most;
    uint64_t floor;      /* it doesn't fall below */
    uint64_t least;      /* nor does the floor */
    bool adapts;         /* else it is what the user said, always */
    bool filled;         /* it was reached in this round */
    int64_t patience_ns; /* without an ack until it is a stall */
    int64_t patience_most_ns;
    uint64_t acked; /* ever */

    /* The round in hand. */
    int64_t began_ns;
    uint64_t turn, turned; /* acks that make it; so far */
    uint64_t took_ns;      /* latencies of these, summed */

    double rate[2];   /* best of the last rounds, and of those before, per ns */
    unsigned rounds;  /* in the first */
    uint64_t base_ns; /* 0: not known */
    enum limit_state state;
    uint64_t before_probe;
    int64_t probe_at_ns;
};

/* It adapts up to `most`, or is that. Stalls are noticed well before the
 * message timeout. */
void limit_init(struct limit *limit, bool adapts, uint64_t most,
                int64_t timeout_ns, int64_t now_ns);

/* Bolts hold tuples for long whatever the limit is, as windows do: one that
 * adapts begins with so many, and has at least these. */
void limit_hold(struct limit *limit, uint64_t least);

/* So many roots took so long until they were acked. */
static inline void limit_acked(struct limit *limit, int64_t took_ns,
                               uint64_t roots)
{
    limit->turned += roots;
    limit->took_ns += (uint64_t)took_ns * roots;
}

/* So many have been acked since it began. */
static inline uint64_t limit_progress(const struct limit *limit)
{
    return limit->acked + limit->turned;
}

/* After some limit_acked(): there were and are so many pending. */
void limit_adapt(struct limit *limit, uint64_t before, uint64_t pending,
                 int64_t now_ns);

/* Nothing was acked for patience_ns though it is reached. */
void limit_stalled(struct limit *limit);

#endif
