/* metric.h - counters, gauges and histograms of a node.
 * What is counted often is counted in the counting thread's own cells: one
 * plain add, no locked instruction, no line of the cache shared. A reader sums
 * the cells of all threads whenever it likes. All memory is taken when a
 * metric is registered; counting never allocates and never fails.
 * Times are recorded in nanoseconds; a metric whose name ends in `_seconds` or
 * `_seconds_total` is shown in seconds. Metrics live as long as the registry.
 *   counter    8 bytes a thread, in chunks of METRIC_CHUNK
 *   gauge      8 bytes, in chunks of METRIC_CHUNK
 *   histogram  14,872 bytes a thread, in slabs of METRIC_SLAB. A slab is asked
 *              for zeroed and is large, so the kernel commits the pages of it
 *              that are recorded in, one to four a thread; where malloc clears
 *              recycled memory instead, all of it. Register one per component
 *              rather than per task. */
#ifndef CORE_METRIC_H
#define CORE_METRIC_H

#include "core/atomic.h"
#include "core/err.h"
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Names a metric on the hot path: kind and number in one integer. */
typedef uint32_t metric_id;

enum {
    METRIC_CHUNK = 256, /* cells that are allocated at a time */
    METRIC_CHUNKS = 256,
    METRIC_COUNTERS_MAX = METRIC_CHUNK * METRIC_CHUNKS,
    METRIC_GAUGES_MAX = METRIC_COUNTERS_MAX,
    METRIC_SLAB = 8, /* histograms that are allocated at a time */
    METRIC_HISTOGRAMS_MAX = 4096,
    METRIC_KIND_SHIFT = 24, /* the id's kind stands above its number */

    HISTOGRAM_STEP_BITS = 5, /* 32 buckets for every power of two */
    HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS,
    HISTOGRAM_VALUE_BITS = 62, /* values from 2^62 on are counted below it */
    HISTOGRAM_BUCKETS =
        (HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS
};

/* ---- counting: one thread at a time per struct metric_cells ---- */

struct metric_chunk {
    _Atomic uint64_t cells[METRIC_CHUNK];
};

/* One thread's part of a histogram. All zeroes is an empty one. */
struct metric_histogram {
    _Atomic uint64_t sum;     /* modulo 2^64 */
    _Atomic uint64_t max;     /* exact */
    _Atomic uint64_t not_min; /* exact, inverted: so that 0 means none yet */
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* What one thread counts in: pointers that are set once, when an id is
 * registered, so a running thread needs no lock to find its cell. */
struct metric_cells {
    _Atomic(struct metric_chunk *) counters[METRIC_CHUNKS];
    _Atomic(struct metric_histogram *) histograms[METRIC_HISTOGRAMS_MAX];
};

/* A cell has one writer, so load and store suffice: nothing comes between. */
static inline void metric_bump(_Atomic uint64_t *cell, uint64_t n)
{
    at_store(cell, at_load(cell, RELAXED) + n, RELAXED);
}

/* Adds n to a counter. Only the thread that owns `mine`. */
static inline void metric_add(struct metric_cells *mine, metric_id id,
                              uint64_t n)
{
    assert(id < METRIC_COUNTERS_MAX); /* so it is a counter */
    struct metric_chunk *chunk =
        at_load(&mine->counters[id / METRIC_CHUNK], ACQUIRE);
    metric_bump(&chunk->cells[id % METRIC_CHUNK], n);
}

/* The bucket of a value: below 64 its own, then 32 for each power of two, so a
 * bucket is at most 1/32 of its values wide.
 * Source: Gil Tene's HdrHistogram, the log-linear layout. */
static inline unsigned histogram_bucket(uint64_t value)
{
    const uint64_t most = (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1;
    if (value > most) value = most;
    unsigned power = 63u - (unsigned)__builtin_clzll(value | HISTOGRAM_STEPS);
    unsigned shift = power - HISTOGRAM_STEP_BITS;
    return shift * HISTOGRAM_STEPS + (unsigned)(value >> shift);
}

/* Records `n` equal values in a histogram. Only the thread that owns `mine`. */
static inline void metric_record_many(struct metric_cells *mine, metric_id id,
                                      uint64_t value, uint64_t n)
{
    uint32_t number = id - ((uint32_t)METRIC_HISTOGRAM << METRIC_KIND_SHIFT);
    assert(number < METRIC_HISTOGRAMS_MAX); /* so it is a histogram */
    struct metric_histogram *h = at_load(&mine->histograms[number], ACQUIRE);
    metric_bump(&h->buckets[histogram_bucket(value)], n);
    metric_bump(&h->sum, value * n);
    if (value > at_load(&h->max, RELAXED)) at_store(&h->max, value, RELAXED);
    if (~value > at_load(&h->not_min, RELAXED))
        at_store(&h->not_min, ~value, RELAXED);
}

static inline void metric_record(struct metric_cells *mine, metric_id id,
                                 uint64_t value)
{
    metric_record_many(mine, id, value, 1);
}

/* ---- the registry ---- */

struct metrics;

/* For the threads 0..threads-1. NULL: no memory. Owned by the caller: one
 * metrics_free(). */
struct metrics *metrics_new(unsigned threads);
/* No thread may still count. NULL is fine. */
void metrics_free(struct metrics *m);
/* The cells of one thread; borrowed from m. Any thread may ask. */
struct metric_cells *metrics_cells(struct metrics *m, unsigned thread);

/* Gives the id of the metric of that name and those labels, which are copied;
 * it is made when it is new. `labels` is "" or `component="split",task="1"`,
 * values escaped (metric_label() does that); the order of labels counts.
 * ERR_CONFIG: name or labels are not what Prometheus allows, or the name is
 * already one of another kind. ERR_LIMIT: METRIC_..._MAX are reached.
 * ERR_NOMEM. On an error nothing is registered. Any thread, also while others
 * count and read. */
err metric_register(struct metrics *m, enum metric_kind kind, const char *name,
                    const char *labels, metric_id *id);

/* Appends `name="value"` to the text in labels[0..room), after a comma if it
 * isn't empty: backslash, quote and line feed of the value are escaped, what
 * is not UTF-8 becomes U+FFFD. ERR_LIMIT: no room, and labels is untouched. */
err metric_label(char *labels, size_t room, const char *name,
                 const char *value);

/* Sets a gauge; the last writer wins. Any thread. */
void metric_set(struct metrics *m, metric_id id, double value);

/* ---- reading: any thread, at any time ---- */

/* A counter's sum, or how many values a histogram has recorded, modulo 2^64.
 * A reader never sees less than before. */
uint64_t metric_read(struct metrics *m, metric_id id);
/* What a gauge was set to; 0 before. */
double metric_gauge(struct metrics *m, metric_id id);
/* histogram_percentile() of all that was recorded so far. */
uint64_t metric_percentile(struct metrics *m, metric_id id, double percent);

/* A histogram at one moment: a value to keep and to subtract. 15 KB. */
struct histogram_view {
    uint64_t count;
    uint64_t sum;      /* modulo 2^64: 584 years of nanoseconds */
    uint64_t min, max; /* 0 when nothing was recorded */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};
/* Copies what all threads have recorded. Values recorded meanwhile may be in
 * the count and not yet in the sum, min and max. */
void metric_view(struct metrics *m, metric_id id, struct histogram_view *view);
/* Leaves in `later` what was recorded between two views of one metric; its min
 * and max are then those of its buckets, within 1/32. */
void histogram_minus(struct histogram_view *later,
                     const struct histogram_view *earlier);
/* The value that `percent` (0 to 100) of the recorded values do not exceed,
 * within 1/64 of it (exact below 64); 0 gives the min, 100 the max. 0 when
 * nothing was recorded. */
uint64_t histogram_percentile(const struct histogram_view *view,
                              double percent);
/* 0 when nothing was recorded. */
double histogram_mean(const struct histogram_view *view);

/* ---- all of them ---- */

/* All borrowed from the registry, for as long as it lives. */
struct metric_info {
    metric_id id;
    enum metric_kind kind;
    const char *name;
    const char *labels; /* "" for none */
    double unit;        /* 1e-9 when it is shown in seconds, else 1 */
};
typedef err metric_visit(void *context, const struct metric_info *info);
/* Visits all metrics, those of one name in succession, names and labels in the
 * order of registration. Stops at the first error and returns it. No lock is
 * held: the visitor may register, and metrics registered meanwhile may be
 * missed. Any thread. */
err metrics_each(struct metrics *m, metric_visit *visit, void *context);

/* Takes some bytes of a text; borrowed for the call. An error ends it all. */
typedef err metric_writer(void *context, const char *bytes, size_t n);
/* All metrics in Prometheus' text format 0.0.4, histograms as summaries with
 * quantiles 0.5, 0.9, 0.99 and 0.999 of all time. Returns the writer's error.
 * Any thread. */
err metrics_text(struct metrics *m, metric_writer *write, void *context);

#endif
