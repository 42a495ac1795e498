/* history_spec.c - a window holds exactly what was counted in the time that it
 * says it covers. */
#include "cli/history.h"
#include "core/metric.h"
#include "core/random.h"
#include "spec/spec.h"
#include <stdlib.h>

#define SECOND INT64_C(1000000000)
enum { COMPONENTS = 2, LOG_MAX = 10000 };

/* Counts, and when each was counted. */
struct world {
    struct figures figures[COMPONENTS];
    struct histogram_view latency[COMPONENTS];
    struct history *history;
    int64_t now_ns;
    struct {
        int64_t at_ns;
        uint64_t n;
    } log[LOG_MAX];
    unsigned logged;
};

static void give_figures(void *context, unsigned component, struct figures *out)
{
    const struct world *w = context;
    *out = w->figures[component];
}

static void give_latency(void *context, unsigned component,
                         struct histogram_view *out)
{
    const struct world *w = context;
    *out = w->latency[component];
}

static uint64_t give_limit(void *context, unsigned component)
{
    return 70 + component;
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    struct history_source source = {COMPONENTS, give_figures, give_latency,
                                    give_limit, w};
    w->now_ns = 77 * SECOND;
    w->history = history_new(&source, w->now_ns);
    CHECK(w->history != NULL);
    return w;
}

static void world_free(struct world *w)
{
    history_free(w->history);
    free(w);
}

static void count(struct world *w, unsigned component, uint64_t n)
{
    w->figures[component].n[FIGURE_OUT] += n;
    if (component != 0 || w->logged == LOG_MAX) return;
    w->log[w->logged].at_ns = w->now_ns;
    w->log[w->logged++].n = n;
}

static void record(struct world *w, unsigned component, uint64_t ns, uint64_t n)
{
    w->latency[component].buckets[histogram_bucket(ns)] += n;
    w->latency[component].count += n;
    if (ns > w->latency[component].max) w->latency[component].max = ns;
    if (w->latency[component].min == 0) w->latency[component].min = ns;
}

static struct history_window window(const struct world *w, enum window which,
                                    unsigned component)
{
    struct history_window out;
    history_window(w->history, which, component, w->now_ns, &out);
    return out;
}

SPEC(history, windows_have_names)
{
    enum window w;
    for (int i = 0; i < WINDOWS; i++) {
        CHECK_EQ(window_named(window_name((enum window)i), &w), OK);
        CHECK_EQ(w, i);
    }
    CHECK_EQ(window_named("2m", &w), ERR_NOTFOUND);
    CHECK_EQ(window_named("", &w), ERR_NOTFOUND);
}

SPEC(history, a_young_run_s_windows_are_all_of_it)
{
    struct world *w = world_new();
    w->now_ns += 2 * SECOND + SECOND / 2;
    count(w, 0, 41);
    for (int i = 0; i < WINDOWS; i++) {
        struct history_window got = window(w, (enum window)i, 0);
        CHECK_EQ(got.figures.n[FIGURE_OUT], 41);
        CHECK_EQ(got.seconds * 10, 25);
        CHECK(got.p50_ms == -1 && got.p99_ms == -1);
        CHECK_EQ(got.pending_limit, 70);
        CHECK_EQ(window(w, (enum window)i, 1).figures.n[FIGURE_OUT], 0);
    }
    world_free(w);
}

/* What was counted in the last `seconds`, the beginning excluded. */
static uint64_t counted_in(const struct world *w, double seconds)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < w->logged; i++)
        if ((double)(w->now_ns - w->log[i].at_ns) < seconds * 1e9 - 0.5)
            sum += w->log[i].n;
    return sum;
}

static void check_windows(const struct world *w, int64_t age_ns)
{
    static const double lengths[] = {10, 60, 600, 3600};
    /* A second's, ten seconds' or a minute's notes, and a timer that is late
     * by a little. */
    static const double more[] = {1.3, 1.3, 11, 62};
    for (int i = 0; i < WINDOW_ALL; i++) {
        struct history_window got = window(w, (enum window)i, 0);
        CHECK_EQ(got.figures.n[FIGURE_OUT], counted_in(w, got.seconds));
        double least = lengths[i];
        if (least > (double)age_ns / 1e9) least = (double)age_ns / 1e9;
        if (got.seconds < least - 1e-6 || got.seconds > lengths[i] + more[i])
            spec_fail(__FILE__, __LINE__, "%s covers %.3f s at %.3f s",
                      window_name((enum window)i), got.seconds,
                      (double)age_ns / 1e9);
    }
    CHECK_EQ(window(w, WINDOW_ALL, 0).figures.n[FIGURE_OUT],
             w->figures[0].n[FIGURE_OUT]);
}

SPEC(history, counts_are_exact_for_the_time_that_is_told)
{
    FOR_SEEDS(5)
    {
        struct world *w = world_new();
        struct rng rng = {spec_seed};
        int64_t began_ns = w->now_ns;
        for (int second = 0; second < 4000; second++) {
            /* Some are counted between two notes, and the timer jitters. */
            w->now_ns += SECOND / 2 + (int64_t)rng_below(&rng, SECOND / 100);
            count(w, 0, rng_below(&rng, 1000));
            count(w, 1, 1);
            check_windows(w, w->now_ns - began_ns);
            w->now_ns += SECOND / 2 + (int64_t)rng_below(&rng, SECOND / 100);
            history_note(w->history, w->now_ns);
            w->now_ns++;
            count(w, 0, rng_below(&rng, 10));
        }
        world_free(w);
    }
}

SPEC(history, a_machine_that_slept_has_a_longer_window)
{
    struct world *w = world_new();
    for (int i = 0; i < 100; i++) {
        w->now_ns += SECOND;
        history_note(w->history, w->now_ns);
    }
    count(w, 0, 5);
    w->now_ns += 3600 * SECOND; /* no note is made while it sleeps */
    struct history_window got = window(w, WINDOW_10S, 0);
    CHECK_EQ(got.figures.n[FIGURE_OUT], 5);
    CHECK_EQ(got.seconds, 3600);
    world_free(w);
}

SPEC(history, latencies_are_those_of_the_window)
{
    struct world *w = world_new();
    for (int i = 0; i < 100; i++) {
        record(w, 0, 5000000, 10); /* 5 ms, and then ... */
        w->now_ns += SECOND;
        history_note(w->history, w->now_ns);
    }
    for (int i = 0; i < 12; i++) {
        record(w, 0, 80000000, 10); /* ... 80 ms */
        w->now_ns += SECOND;
        history_note(w->history, w->now_ns);
    }
    struct history_window lately = window(w, WINDOW_10S, 0);
    CHECK(lately.p50_ms > 78 && lately.p50_ms < 82);
    CHECK(lately.p99_ms > 78 && lately.p99_ms < 82);
    struct history_window all = window(w, WINDOW_ALL, 0);
    CHECK(all.p50_ms > 4.9 && all.p50_ms < 5.1);
    CHECK(all.p99_ms > 78 && all.p99_ms < 82);
    CHECK(all.max_ms >= all.p99_ms && all.max_ms < 83);
    struct history_window minute = window(w, WINDOW_1M, 0);
    CHECK(minute.p50_ms > 4.9 && minute.p50_ms < 5.1);
    CHECK(window(w, WINDOW_10S, 1).p50_ms == -1);
    world_free(w);
}

SPEC(history, an_idle_window_has_no_latency)
{
    struct world *w = world_new();
    record(w, 0, 1000, 3);
    for (int i = 0; i < 30; i++) {
        w->now_ns += SECOND;
        history_note(w->history, w->now_ns);
    }
    CHECK(window(w, WINDOW_10S, 0).p50_ms == -1);
    CHECK(window(w, WINDOW_1M, 0).p50_ms > 0);
    world_free(w);
}

/* Storm's gauge averages three samples; here the samples are the thirds of a
 * minute, what there is not yet is 0, and the average is a third of the count.
 */
SPEC(history, j2_averages_over_the_last_three_parts_of_a_minute)
{
    static const struct {
        unsigned more, average;
    } steps[] = {{0, 0}, {30, 10}, {30, 20}, {30, 30}, {90, 50}, {0, 40}};
    struct world *w = world_new();
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        for (int second = 0; second < 20; second++) {
            if (second == 10) count(w, 0, steps[i].more);
            w->now_ns += SECOND;
            history_note(w->history, w->now_ns);
        }
        struct history_window got = window(w, WINDOW_1M, 0);
        CHECK_EQ(got.figures.n[FIGURE_OUT], 3 * steps[i].average);
        CHECK(got.seconds <= 60);
    }
    world_free(w);
}
