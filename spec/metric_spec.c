/* metric_spec.c - sums are exact, percentiles are within their bound. */
#include "core/alloc.h"
#include "core/metric.h"
#include "core/random.h"
#include "spec/spec.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static metric_id reg(struct metrics *m, enum metric_kind kind, const char *name,
                     const char *labels)
{
    metric_id id = UINT32_MAX;
    CHECK_EQ(metric_register(m, kind, name, labels, &id), OK);
    return id;
}

/* ---- names ---- */

SPEC(metric, same_name_and_labels_are_the_same_metric)
{
    struct metrics *m = metrics_new(2);
    metric_id a = reg(m, METRIC_COUNTER, "in_total", "task=\"1\"");
    metric_id b = reg(m, METRIC_COUNTER, "in_total", "task=\"2\"");
    metric_id c = reg(m, METRIC_COUNTER, "in_total", "");
    metric_id d = reg(m, METRIC_COUNTER, "out_total", "task=\"1\"");
    CHECK(a != b && a != c && a != d && b != c && b != d && c != d);
    CHECK_EQ(reg(m, METRIC_COUNTER, "in_total", "task=\"1\""), a);
    CHECK_EQ(reg(m, METRIC_COUNTER, "in_total", ""), c);
    metric_add(metrics_cells(m, 0), a, 5);
    metric_add(metrics_cells(m, 1), a, 7);
    metric_add(metrics_cells(m, 1), b, 1);
    CHECK_EQ(metric_read(m, a), 12);
    CHECK_EQ(metric_read(m, b), 1);
    CHECK_EQ(metric_read(m, c), 0);
    metrics_free(m);
}

SPEC(metric, a_name_has_one_kind)
{
    struct metrics *m = metrics_new(1);
    metric_id id = 77;
    metric_id a = reg(m, METRIC_COUNTER, "x", "");
    CHECK_EQ(metric_register(m, METRIC_GAUGE, "x", "", &id), ERR_CONFIG);
    CHECK_EQ(metric_register(m, METRIC_HISTOGRAM, "x", "a=\"1\"", &id),
             ERR_CONFIG);
    CHECK_EQ(id, 77);
    CHECK_EQ(reg(m, METRIC_COUNTER, "x", ""), a);
    metrics_free(m);
}

SPEC(metric, a_wrong_name_or_label_is_refused)
{
    static const char *const names[] = {"",  "1a",  "a-b", "a b",  "a{}",
                                        "ä", "a\n", "a\"", "in.x", "-"};
    static const char *const labels[] = {"a",
                                         "a=",
                                         "a=1",
                                         "=\"1\"",
                                         "a=\"1",
                                         "a=\"1\",",
                                         ",a=\"1\"",
                                         "a=\"1\"b=\"2\"",
                                         "a=\"1\" ",
                                         "1a=\"1\"",
                                         "a:b=\"1\"",
                                         "a=\"1\",a=\"2\"",
                                         "a=\"\\x\"",
                                         "a=\"\n\"",
                                         "a=\"\xff\"",
                                         "a=\"\\\"",
                                         "a=\"\\",
                                         "a=\"1\"}",
                                         "a =\"1\"",
                                         "a=\"1\",,b=\"2\"",
                                         "a=\"\xe2\"",
                                         "a=\"1\"\n",
                                         "a=\"\xed\xa0\x80\""};
    static const char *const good[] = {"a=\"\"",
                                       "a=\"1\",b=\"2\"",
                                       "_a1=\"\\\\\\\"\\n\"",
                                       "a=\"ä, {漢}=\"",
                                       "aa=\"1\",a=\"1\",aaa=\"1\"",
                                       "quantile=\"1\""};
    struct metrics *m = metrics_new(1);
    metric_id id;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_EQ(metric_register(m, METRIC_COUNTER, names[i], "", &id),
                 ERR_CONFIG);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        CHECK_EQ(metric_register(m, METRIC_COUNTER, "x", labels[i], &id),
                 ERR_CONFIG);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        reg(m, METRIC_COUNTER, "a:b_C9", good[i]);
    CHECK_EQ(metric_register(m, METRIC_HISTOGRAM, "h", "quantile=\"1\"", &id),
             ERR_CONFIG);
    metrics_free(m);
}

SPEC(metric, labels_are_escaped_and_fit_or_are_left_alone)
{
    char labels[64] = "";
    CHECK_EQ(metric_label(labels, sizeof labels, "a", "x\\y\"z\n"), OK);
    CHECK_TEXT(labels, "a=\"x\\\\y\\\"z\\n\"");
    CHECK_EQ(metric_label(labels, sizeof labels, "b", "ä\xff"), OK);
    CHECK_TEXT(labels, "a=\"x\\\\y\\\"z\\n\",b=\"ä\uFFFD\"");
    for (size_t room = 1; room < sizeof labels; room++) {
        memset(labels, '#', sizeof labels);
        labels[0] = '\0';
        err e = metric_label(labels, room, "abc", "1\n34");
        CHECK_EQ(e, room > strlen("abc=\"1\\n34\"") ? OK : ERR_LIMIT);
        CHECK_TEXT(labels, e == OK ? "abc=\"1\\n34\"" : "");
        for (size_t i = room; i < sizeof labels; i++)
            CHECK(labels[i] == '#');
    }
}

SPEC(metric, any_value_makes_a_label_that_can_be_registered)
{
    struct metrics *m = metrics_new(1);
    FOR_SEEDS(200)
    {
        struct rng chance = {spec_seed};
        char value[40], labels[200] = "task=\"1\"";
        size_t n = rng_below(&chance, sizeof value);
        for (size_t i = 0; i < n; i++)
            value[i] = rng_below(&chance, 3)
                           ? (char)(1 + rng_below(&chance, 255))
                           : "\\\"\n\xc3"[rng_below(&chance, 4)];
        value[n] = '\0';
        CHECK_EQ(metric_label(labels, sizeof labels, "value", value), OK);
        reg(m, METRIC_COUNTER, "x", labels);
    }
    metrics_free(m);
}

struct names {
    const char *last;
    unsigned changes, metrics;
};

static err count_names(void *context, const struct metric_info *info)
{
    struct names *n = context;
    if (n->last != info->name) n->changes++;
    n->last = info->name;
    n->metrics++;
    return OK;
}

SPEC(metric, many_are_told_apart_up_to_a_limit)
{
    struct names names = {NULL, 0, 0};
    struct metrics *m = metrics_new(1);
    char labels[32];
    metric_id id;
    for (int i = 0; i < METRIC_GAUGES_MAX; i++) {
        snprintf(labels, sizeof labels, "task=\"%d\"", i);
        metric_set(m, reg(m, METRIC_GAUGE, "load", labels), i);
    }
    CHECK_EQ(metric_register(m, METRIC_GAUGE, "load", "", &id), ERR_LIMIT);
    CHECK_EQ(metric_register(m, METRIC_GAUGE, "more", "", &id), ERR_LIMIT);
    reg(m, METRIC_COUNTER, "more", ""); /* the name was not taken */
    CHECK_EQ(metric_register(m, METRIC_COUNTER, "load", "", &id), ERR_CONFIG);
    CHECK_EQ(metrics_each(m, count_names, &names), OK);
    CHECK_EQ(names.changes, 2); /* one block for each name */
    CHECK_EQ(names.metrics, METRIC_GAUGES_MAX + 1);
    for (int i = 0; i < METRIC_GAUGES_MAX; i += 97) {
        snprintf(labels, sizeof labels, "task=\"%d\"", i);
        CHECK(metric_gauge(m, reg(m, METRIC_GAUGE, "load", labels)) == i);
    }
    metrics_free(m);
}

SPEC(metric, a_gauge_is_what_was_set_last)
{
    struct metrics *m = metrics_new(3);
    metric_id id = reg(m, METRIC_GAUGE, "busy_ratio", "");
    CHECK(metric_gauge(m, id) == 0);
    metric_set(m, id, 0.25);
    metric_set(m, id, -1.5);
    CHECK(metric_gauge(m, id) == -1.5);
    metrics_free(m);
}

/* ---- histograms ---- */

SPEC(metric, a_bucket_holds_its_value_and_is_narrow)
{
    CHECK(sizeof(struct metric_histogram) <= 16 * 1024);
    for (uint64_t v = 0; v < 64; v++)
        CHECK_EQ(histogram_bucket(v), v);
    unsigned before = 63;
    for (int power = 6; power < 62; power++) {
        uint64_t step = (UINT64_C(1) << power) / 32;
        for (uint64_t i = 0; i < 32; i++) {
            uint64_t low = (32 + i) * step;
            CHECK_EQ(histogram_bucket(low), before + 1);
            CHECK_EQ(histogram_bucket(low + step - 1), before + 1);
            before++;
        }
    }
    CHECK_EQ(before, HISTOGRAM_BUCKETS - 1);
    CHECK_EQ(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

SPEC(metric, nothing_recorded_is_zero)
{
    struct metrics *m = metrics_new(2);
    metric_id id = reg(m, METRIC_HISTOGRAM, "h", "");
    struct histogram_view view;
    metric_view(m, id, &view);
    CHECK_EQ(view.count + view.sum + view.min + view.max, 0);
    CHECK_EQ(histogram_percentile(&view, 50), 0);
    CHECK_EQ(histogram_percentile(&view, 100), 0);
    CHECK(histogram_mean(&view) == 0);
    metrics_free(m);
}

SPEC(metric, the_ends_of_the_range_are_kept)
{
    struct metrics *m = metrics_new(2);
    metric_id id = reg(m, METRIC_HISTOGRAM, "h", "");
    struct histogram_view view;
    metric_record(metrics_cells(m, 1), id, UINT64_MAX);
    metric_view(m, id, &view);
    CHECK_EQ(view.min, UINT64_MAX);
    metric_record(metrics_cells(m, 0), id, 0);
    metric_view(m, id, &view);
    CHECK_EQ(view.count, 2);
    CHECK_EQ(view.min, 0);
    CHECK_EQ(view.max, UINT64_MAX);
    CHECK_EQ(view.sum, UINT64_MAX);
    CHECK_EQ(histogram_percentile(&view, 50), 0);
    CHECK_EQ(histogram_percentile(&view, 100), UINT64_MAX);
    CHECK_EQ(metric_read(m, id), 2);
    metrics_free(m);
}

SPEC(metric, histograms_of_all_threads_lie_apart)
{
    enum { SOME = 3 * METRIC_SLAB + 1 };
    struct metrics *m = metrics_new(3);
    metric_id ids[SOME];
    struct histogram_view view;
    for (unsigned i = 0; i < SOME; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "task=\"%u\"", i);
        ids[i] = reg(m, METRIC_HISTOGRAM, "h", labels);
        for (unsigned t = 0; t < 3; t++) {
            metric_record(metrics_cells(m, t), ids[i], 0);
            metric_record(metrics_cells(m, t), ids[i], UINT64_MAX - i);
        }
    }
    for (unsigned i = 0; i < SOME; i++) {
        metric_view(m, ids[i], &view);
        CHECK_EQ(view.count, 6);
        CHECK_EQ(view.min, 0);
        CHECK_EQ(view.max, UINT64_MAX - i);
        CHECK_EQ(view.buckets[0], 3);
        CHECK_EQ(view.buckets[HISTOGRAM_BUCKETS - 1], 3);
    }
    metrics_free(m);
}

enum { VALUES = 2000, SHAPES = 5 };

static uint64_t draw(struct rng *chance, unsigned shape)
{
    double u = (double)(rng_next(chance) >> 11) / 9007199254740992.0;
    switch (shape) {
    case 0: return rng_below(chance, 100);
    case 1: return rng_below(chance, 1000000000);
    case 2: return (uint64_t)(-log(1 - u) * 250000);    /* exponential */
    case 3: return (uint64_t)(pow(1 - u, -1.5) * 1000); /* a long tail */
    default: return rng_next(chance) >> (2 + rng_below(chance, 62));
    }
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Against the exact answer: the value of that rank in sorted order. */
static void check_percentiles(const struct histogram_view *view,
                              uint64_t *values, size_t n)
{
    static const double percents[] = {0.01, 1,  5,  25,   50,
                                      75,   90, 99, 99.9, 99.99};
    qsort(values, n, sizeof *values, compare);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        size_t rank = (size_t)ceil(percents[i] / 100 * (double)n);
        uint64_t exact = values[rank > 0 ? rank - 1 : 0];
        uint64_t got = histogram_percentile(view, percents[i]);
        uint64_t off = got > exact ? got - exact : exact - got;
        if (off > exact / 64)
            spec_fail(__FILE__, __LINE__, "p%g is %llu, not %llu", percents[i],
                      (unsigned long long)got, (unsigned long long)exact);
    }
}

static void check_view(const struct histogram_view *view, uint64_t *values,
                       size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    check_percentiles(view, values, n); /* sorts them */
    CHECK_EQ(view->count, n);
    CHECK_EQ(view->sum, sum);
    CHECK_EQ(view->min, values[0]);
    CHECK_EQ(view->max, values[n - 1]);
    CHECK_EQ(histogram_percentile(view, 0), values[0]);
    CHECK_EQ(histogram_percentile(view, 100), values[n - 1]);
    CHECK(histogram_mean(view) == (double)sum / (double)n);
}

SPEC(metric, percentiles_are_within_a_64th_of_the_exact_ones)
{
    struct histogram_view view;
    uint64_t values[VALUES];
    FOR_SEEDS(40)
    {
        struct rng chance = {spec_seed};
        struct metrics *m = metrics_new(3);
        metric_id id = reg(m, METRIC_HISTOGRAM, "h", "");
        unsigned shape = (unsigned)(spec_seed % SHAPES);
        size_t n = 1 + rng_below(&chance, VALUES);
        for (size_t i = 0; i < n; i++) {
            values[i] = draw(&chance, shape);
            metric_record(metrics_cells(m, (unsigned)(i % 3)), id, values[i]);
        }
        metric_view(m, id, &view);
        check_view(&view, values, n);
        CHECK_EQ(metric_percentile(m, id, 90), histogram_percentile(&view, 90));
        metrics_free(m);
    }
}

SPEC(metric, the_difference_of_two_views_is_what_came_between)
{
    struct histogram_view earlier, later;
    uint64_t values[VALUES];
    FOR_SEEDS(40)
    {
        struct rng chance = {spec_seed};
        struct metrics *m = metrics_new(1);
        struct metric_cells *mine = metrics_cells(m, 0);
        metric_id id = reg(m, METRIC_HISTOGRAM, "h", "");
        size_t before = rng_below(&chance, VALUES);
        size_t n = 1 + rng_below(&chance, VALUES);
        uint64_t sum = 0;
        for (size_t i = 0; i < before; i++)
            metric_record(mine, id, draw(&chance, 4));
        metric_view(m, id, &earlier);
        for (size_t i = 0; i < n; i++) {
            values[i] = draw(&chance, (unsigned)(spec_seed % SHAPES));
            metric_record(mine, id, values[i]);
            sum += values[i];
        }
        metric_view(m, id, &later);
        histogram_minus(&later, &earlier);
        check_percentiles(&later, values, n);
        CHECK_EQ(later.count, n);
        CHECK_EQ(later.sum, sum);
        CHECK(later.min <= values[0] &&
              later.min >= values[0] - values[0] / 32);
        CHECK(later.max >= values[n - 1]);
        CHECK(later.max <= values[n - 1] + values[n - 1] / 32);
        metrics_free(m);
    }
}

SPEC(metric, a_window_in_which_nothing_came_is_empty)
{
    struct metrics *m = metrics_new(1);
    metric_id id = reg(m, METRIC_HISTOGRAM, "h", "");
    struct histogram_view earlier, later;
    metric_record(metrics_cells(m, 0), id, 1000);
    metric_view(m, id, &earlier);
    later = earlier;
    histogram_minus(&later, &earlier);
    CHECK_EQ(later.count + later.sum + later.min + later.max, 0);
    CHECK_EQ(histogram_percentile(&later, 99), 0);
    metrics_free(m);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 20000, GROWN = 3 * METRIC_CHUNK };

/* What a story's threads share; ids appear while they run. */
struct crowd {
    struct metrics *m;
    metric_id total, latency;
    metric_id grown[GROWN];
    atomic_uint grown_count;
    unsigned grow_to; /* threads count at least until then */
    atomic_uint running;
};

struct counter {
    struct crowd *crowd;
    unsigned number;
    unsigned rounds;
    uint64_t added[GROWN];
    pthread_t thread;
};

static void *count(void *context)
{
    struct counter *me = context;
    struct crowd *c = me->crowd;
    struct metric_cells *mine = metrics_cells(c->m, me->number);
    struct rng chance = {me->number};
    for (unsigned i = 0, grown = 0; i < ROUNDS || grown < c->grow_to; i++) {
        metric_add(mine, c->total, 3);
        metric_record(mine, c->latency, i % 1000 + me->number);
        me->rounds++;
        grown = at_load(&c->grown_count, ACQUIRE);
        if (grown == 0) continue;
        unsigned which = (unsigned)rng_below(&chance, grown);
        if (i % 4) which = grown - 1;
        metric_add(mine, c->grown[which], i);
        me->added[which] += i;
    }
    at_sub(&c->running, 1, ACQ_REL);
    return NULL;
}

static struct crowd *crowd_start(struct counter *counters, unsigned grow_to)
{
    struct crowd *c = mem_zero(1, sizeof *c);
    CHECK(c != NULL);
    c->m = metrics_new(THREADS);
    c->grow_to = grow_to;
    c->total = reg(c->m, METRIC_COUNTER, "total", "");
    c->latency = reg(c->m, METRIC_HISTOGRAM, "latency", "");
    at_store(&c->running, THREADS, RELAXED);
    for (unsigned i = 0; i < THREADS; i++) {
        counters[i].crowd = c;
        counters[i].number = i;
        CHECK_EQ(pthread_create(&counters[i].thread, NULL, count, &counters[i]),
                 0);
    }
    return c;
}

static void crowd_join(struct counter *counters)
{
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(counters[i].thread, NULL);
}

static void crowd_free(struct crowd *c, struct counter *counters)
{
    metrics_free(c->m);
    mem_free(c);
    mem_free(counters);
}

static struct counter *counters_new(void)
{
    struct counter *counters = mem_zero(THREADS, sizeof *counters);
    CHECK(counters != NULL);
    return counters;
}

SPEC(metric, sums_of_several_threads_are_exact)
{
    struct counter *counters = counters_new();
    struct crowd *c = crowd_start(counters, 0);
    struct histogram_view view;
    uint64_t sum = 0;
    crowd_join(counters);
    for (unsigned i = 0; i < ROUNDS; i++)
        for (unsigned t = 0; t < THREADS; t++)
            sum += i % 1000 + t;
    CHECK_EQ(metric_read(c->m, c->total), 3 * THREADS * ROUNDS);
    metric_view(c->m, c->latency, &view);
    CHECK_EQ(view.count, THREADS * ROUNDS);
    CHECK_EQ(view.sum, sum);
    CHECK_EQ(view.min, 0);
    CHECK_EQ(view.max, 999 + THREADS - 1);
    crowd_free(c, counters);
}

SPEC(metric, a_reader_never_sees_less_than_before)
{
    struct counter *counters = counters_new();
    struct crowd *c = crowd_start(counters, 0);
    struct histogram_view views[2];
    uint64_t total = 0;
    metric_view(c->m, c->latency, &views[0]);
    for (unsigned i = 1; at_load(&c->running, ACQUIRE) > 0; i++) {
        struct histogram_view *now = &views[i % 2], *before = &views[!(i % 2)];
        uint64_t seen = metric_read(c->m, c->total);
        CHECK(seen >= total && seen <= 3 * THREADS * ROUNDS);
        total = seen;
        metric_view(c->m, c->latency, now);
        CHECK(now->min <= now->max && now->max < 1000 + THREADS + 32);
        uint64_t p = histogram_percentile(now, 50);
        CHECK(p >= now->min && p <= now->max);
        struct histogram_view window = *now;
        histogram_minus(&window, before); /* asserts that none has shrunk */
        CHECK_EQ(window.count, now->count - before->count);
    }
    crowd_join(counters);
    CHECK_EQ(metric_read(c->m, c->total), 3 * THREADS * ROUNDS);
    crowd_free(c, counters);
}

static uint64_t added_by_all(const struct counter *counters, unsigned which)
{
    uint64_t sum = 0;
    for (unsigned t = 0; t < THREADS; t++)
        sum += counters[t].added[which];
    return sum;
}

static err count_visit(void *context, const struct metric_info *info)
{
    unsigned *seen = context;
    CHECK(info->name != NULL && info->labels != NULL);
    (*seen)++;
    return OK;
}

SPEC(metric, cells_grow_while_threads_count)
{
    struct counter *counters = counters_new();
    struct crowd *c = crowd_start(counters, GROWN);
    for (unsigned i = 0; i < GROWN; i++) {
        char labels[32];
        unsigned seen = 0;
        snprintf(labels, sizeof labels, "task=\"%u\"", i);
        c->grown[i] = reg(c->m, METRIC_COUNTER, i % 2 ? "odd" : "even", labels);
        at_store(&c->grown_count, i + 1, RELEASE);
        if (i % 64) continue;
        reg(c->m, METRIC_HISTOGRAM, "h", labels);
        metrics_each(c->m, count_visit, &seen);
        CHECK_EQ(seen, 2 + i + 1 + i / 64 + 1);
    }
    crowd_join(counters);
    uint64_t rounds = 0;
    for (unsigned t = 0; t < THREADS; t++)
        rounds += counters[t].rounds;
    for (unsigned i = 0; i < GROWN; i++)
        CHECK_EQ(metric_read(c->m, c->grown[i]), added_by_all(counters, i));
    CHECK_EQ(metric_read(c->m, c->total), 3 * rounds);
    crowd_free(c, counters);
}

static void *register_all(void *context)
{
    struct counter *me = context;
    struct metrics *m = me->crowd->m;
    for (unsigned i = 0; i < GROWN; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "task=\"%u\"",
                 (i * 7 + me->number * 100) % GROWN);
        metric_id id = reg(m, METRIC_COUNTER, "shared", labels);
        metric_add(metrics_cells(m, me->number), id, 1);
    }
    return NULL;
}

SPEC(metric, threads_that_register_the_same_get_the_same)
{
    struct counter *counters = counters_new();
    struct crowd *c = mem_zero(1, sizeof *c);
    CHECK(c != NULL);
    c->m = metrics_new(THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        counters[i] = (struct counter){.crowd = c, .number = i};
        CHECK_EQ(pthread_create(&counters[i].thread, NULL, register_all,
                                &counters[i]),
                 0);
    }
    crowd_join(counters);
    for (unsigned i = 0; i < GROWN; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "task=\"%u\"", i);
        CHECK_EQ(metric_read(c->m, reg(c->m, METRIC_COUNTER, "shared", labels)),
                 THREADS);
    }
    crowd_free(c, counters);
}

/* ---- all of them ---- */

struct page {
    size_t used, most; /* from `most` on writing fails */
    char text[1 << 16];
};

static err page_write(void *context, const char *bytes, size_t n)
{
    struct page *p = context;
    if (p->used + n > p->most) return ERR_IO;
    memcpy(p->text + p->used, bytes, n);
    p->used += n;
    p->text[p->used] = '\0';
    return OK;
}

static struct page *page_new(void)
{
    struct page *p = mem_zero(1, sizeof *p);
    CHECK(p != NULL);
    p->most = sizeof p->text - 1;
    return p;
}

SPEC(metric, text_for_prometheus)
{
    struct metrics *m = metrics_new(2);
    struct metric_cells *mine = metrics_cells(m, 1);
    struct page *p = page_new();
    metric_id in = reg(m, METRIC_COUNTER, "in_total", "task=\"1\"");
    metric_id h = reg(m, METRIC_HISTOGRAM, "run_seconds", "task=\"1\"");
    metric_id busy = reg(m, METRIC_GAUGE, "busy_ratio", "");
    reg(m, METRIC_COUNTER, "in_total", "task=\"2\""); /* beside the first */
    metric_id wait = reg(m, METRIC_COUNTER, "wait_seconds_total", "");
    reg(m, METRIC_HISTOGRAM, "size_bytes", "");
    metric_add(mine, in, 9007199254740993u);
    metric_add(mine, wait, 1500000001);
    metric_set(m, busy, 0.1);
    for (int i = 0; i < 3; i++)
        metric_record(mine, h, 2000000000);
    CHECK_EQ(metrics_text(m, page_write, p), OK);
    CHECK_TEXT(p->text,
               "# TYPE in_total counter\n"
               "in_total{task=\"1\"} 9007199254740993\n"
               "in_total{task=\"2\"} 0\n"
               "# TYPE run_seconds summary\n"
               "run_seconds{task=\"1\",quantile=\"0.5\"} 2.000000000\n"
               "run_seconds{task=\"1\",quantile=\"0.9\"} 2.000000000\n"
               "run_seconds{task=\"1\",quantile=\"0.99\"} 2.000000000\n"
               "run_seconds{task=\"1\",quantile=\"0.999\"} 2.000000000\n"
               "run_seconds_sum{task=\"1\"} 6.000000000\n"
               "run_seconds_count{task=\"1\"} 3\n"
               "# TYPE busy_ratio gauge\n"
               "busy_ratio 0.1\n"
               "# TYPE wait_seconds_total counter\n"
               "wait_seconds_total 1.500000001\n"
               "# TYPE size_bytes summary\n"
               "size_bytes{quantile=\"0.5\"} NaN\n"
               "size_bytes{quantile=\"0.9\"} NaN\n"
               "size_bytes{quantile=\"0.99\"} NaN\n"
               "size_bytes{quantile=\"0.999\"} NaN\n"
               "size_bytes_sum 0\n"
               "size_bytes_count 0\n");
    metrics_free(m);
    mem_free(p);
}

SPEC(metric, a_gauge_is_written_so_that_it_reads_back)
{
    struct metrics *m = metrics_new(1);
    struct page *p = page_new();
    metric_id id = reg(m, METRIC_GAUGE, "g", "");
    double values[] = {0, -0.5, 1e300, 1.0 / 3, 5e-324, 123456789012345678.0};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        p->used = 0;
        metric_set(m, id, values[i]);
        CHECK_EQ(metrics_text(m, page_write, p), OK);
        CHECK(strtod(strstr(p->text, "\ng ") + 3, NULL) == values[i]);
    }
    p->used = 0;
    metric_set(m, id, -INFINITY);
    CHECK_EQ(metrics_text(m, page_write, p), OK);
    CHECK_HAS(p->text, "\ng -Inf\n");
    p->used = 0;
    metric_set(m, id, NAN);
    CHECK_EQ(metrics_text(m, page_write, p), OK);
    CHECK_HAS(p->text, "\ng NaN\n");
    metrics_free(m);
    mem_free(p);
}

SPEC(metric, a_long_text_comes_in_pieces_and_ends_at_an_error)
{
    struct metrics *m = metrics_new(1);
    struct page *p = page_new();
    char labels[6000] = "";
    for (int i = 0; i < 300; i++) {
        char number[16];
        labels[0] = '\0';
        snprintf(number, sizeof number, "%d", i);
        CHECK_EQ(metric_label(labels, sizeof labels, "task", number), OK);
        reg(m, METRIC_COUNTER, "x_total", labels);
    }
    memset(labels, 'v', sizeof labels); /* longer than the text's buffer */
    memcpy(labels, "a=\"", 3);
    memcpy(labels + sizeof labels - 2, "\"", 2);
    reg(m, METRIC_COUNTER, "x_total", labels);
    reg(m, METRIC_COUNTER, "y_total", "");
    CHECK_EQ(metrics_text(m, page_write, p), OK);
    for (int i = 0; i < 300; i++) {
        char line[64];
        snprintf(line, sizeof line, "\nx_total{task=\"%d\"} 0\n", i);
        CHECK_HAS(p->text, line);
    }
    CHECK_HAS(p->text, labels);
    CHECK_HAS(p->text, "vvv\"} 0\n# TYPE y_total counter\ny_total 0\n");
    size_t whole = p->used;
    for (size_t most = 0; most < whole; most += 500) {
        p->used = 0;
        p->most = most;
        CHECK_EQ(metrics_text(m, page_write, p), ERR_IO);
    }
    metrics_free(m);
    mem_free(p);
}

struct visit {
    struct metrics *m;
    unsigned seen, stop_after;
};

static err visit_and_register(void *context, const struct metric_info *info)
{
    struct visit *v = context;
    metric_id id = reg(v->m, info->kind, info->name, info->labels);
    CHECK_EQ(id, info->id);
    bool seconds = strcmp(info->name, "a_seconds") == 0;
    CHECK(info->unit == (seconds ? 1e-9 : 1));
    reg(v->m, METRIC_GAUGE, "seen", "");
    return ++v->seen == v->stop_after ? ERR_DONE : OK;
}

SPEC(metric, a_visitor_sees_each_may_register_and_may_stop)
{
    struct metrics *m = metrics_new(1);
    struct visit v = {.m = m};
    CHECK_EQ(metrics_each(m, visit_and_register, &v), OK);
    CHECK_EQ(v.seen, 0);
    reg(m, METRIC_HISTOGRAM, "a_seconds", "");
    reg(m, METRIC_COUNTER, "b_total", "x=\"1\"");
    reg(m, METRIC_GAUGE, "c_seconds", ""); /* a gauge is in its own unit */
    CHECK_EQ(metrics_each(m, visit_and_register, &v), OK);
    CHECK_EQ(v.seen, 4); /* with the one it registered itself */
    v.stop_after = 6;
    CHECK_EQ(metrics_each(m, visit_and_register, &v), ERR_DONE);
    CHECK_EQ(v.seen, 6);
    metrics_free(m);
}
