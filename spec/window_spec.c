/* Which tuples are in which window, told as scripts: tuples, clocks and what
 * fires. `1@603` is tuple 1 with its time, `4` one that comes now, `w631` sets
 * the watermark, `t60` the clock, `early` asks for what is there, `fail` lets
 * the next firing fail, `close` says that nothing new comes. The numbers are
 * microseconds here, what is asked of them are Storm's milliseconds. */
#include "actors/stream/windows_state.h"
#include "core/random.h"
#include "core/value.h"
#include "spec/fault.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

struct told {
    struct windows *w;
    char fired[65536], acked[65536], failed[65536], late[256];
    bool fails; /* the next one */
};

static void append(char *text, size_t room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t room, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(text + used, room - used, format, args);
    va_end(args);
    CHECK(more >= 0 && used + (size_t)more < room);
}

/* A tuple's value is its number, its one root as well. */
static int number_of(struct told *t, struct window_event *event)
{
    const uint8_t *at;
    struct value v;
    CHECK_EQ(windows_values(t->w, event, &at), OK);
    value_get(at, &v);
    return (int)v.as.integer;
}

static void settled(void *context, struct window_event *event,
                    enum window_fate fate)
{
    struct told *t = context;
    CHECK_EQ(event->root_count, 1);
    CHECK_EQ(window_roots(event)->root, (uint64_t)number_of(t, event) + 1);
    if (fate == WINDOW_ACK)
        append(t->acked, sizeof t->acked, "%d ", number_of(t, event));
    else
        append(t->failed, sizeof t->failed, "%d ", number_of(t, event));
}

static struct told *told_new(const struct windows_config *config)
{
    struct told *t = calloc(1, sizeof *t);
    struct windows_config c = *config;
    if (c.sources == 0) c.sources = 1;
    if (c.memory_bytes == 0) c.memory_bytes = 64 << 20;
    c.settle = settled;
    c.context = t;
    t->w = windows_new(&c);
    CHECK(t->w != NULL);
    return t;
}

static void told_free(struct told *t)
{
    windows_free(t->w);
    free(t);
}

static void list(struct told *t, const char *name, struct window_event **events,
                 uint32_t count, bool all)
{
    char *to = t->fired;
    const char *gap = "";
    append(to, sizeof t->fired, "%s[", name);
    for (uint32_t i = 0; i < count; i++) {
        if (!all && events[i]->state != EVENT_NEW) continue;
        append(to, sizeof t->fired, "%s%d", gap, number_of(t, events[i]));
        gap = " ";
    }
    append(to, sizeof t->fired, "]");
}

static void fire(struct told *t)
{
    struct windows_view view;
    while (windows_next(t->w, &view)) {
        append(t->fired, sizeof t->fired, "%s", t->fired[0] ? " | " : "");
        if (view.early) append(t->fired, sizeof t->fired, "early ");
        if (view.late) append(t->fired, sizeof t->fired, "late ");
        list(t, "", view.tuples, view.count, true);
        list(t, " new", view.tuples, view.count, false);
        list(t, " exp", view.expired, view.expired_count, true);
        if (t->fails)
            windows_failed(t->w);
        else
            windows_fired(t->w);
        t->fails = false;
    }
}

static err add(struct told *t, int number, int64_t at_us, unsigned source,
               const char *key)
{
    uint8_t value[VALUE_SCALAR_MAX], key_value[32];
    struct window_event *event;
    if (key) value_put_bytes(key_value, key, (uint32_t)strlen(key));
    struct windows_tuple tuple = {
        .at_us = at_us,
        .source = source,
        .values = value,
        .bytes = (uint32_t)(value_put_int(value, number) - value),
        .roots = 1,
        .key = key ? key_value : NULL,
    };
    if (windows_is_late(t->w, &tuple)) {
        append(t->late, sizeof t->late, "%d ", number);
        return OK;
    }
    err e = windows_add(t->w, &tuple, &event);
    if (e != OK) return e;
    *window_roots(event) = (struct list_root){.root = (uint64_t)number + 1};
    if (!t->w->config.timed && !t->w->config.every_us) fire(t);
    return OK;
}

static void tell_one(struct told *t, const char *word)
{
    int number, read = 0;
    long long at;
    char key[8] = "";
    if (sscanf(word, "w%lld", &at) == 1) {
        t->w->watermark_us = at;
        if (t->w->config.kind == WINDOW_SESSION) session_advance(t->w);
        fire(t);
    } else if (sscanf(word, "t%lld", &at) == 1) {
        windows_advance(t->w, at);
        fire(t);
    } else if (strcmp(word, "early") == 0) {
        windows_hurry(t->w);
        fire(t);
    } else if (strcmp(word, "close") == 0) {
        windows_close(t->w);
        fire(t);
    } else if (strcmp(word, "fail") == 0) {
        t->fails = true;
    } else if (sscanf(word, "%d@%lld%7s", &number, &at, key) >= 2) {
        CHECK_EQ(add(t, number, at, 0, key[0] ? key : NULL), OK);
    } else if (sscanf(word, "%d%n", &number, &read) == 1 && !word[read]) {
        int64_t now_us = t->w->now_us == INT64_MIN ? 1 : t->w->now_us;
        CHECK_EQ(add(t, number, now_us, 0, NULL), OK);
    } else {
        spec_fail(__FILE__, __LINE__, "what is '%s'?", word);
    }
}

static void tell(struct told *t, const char *script)
{
    char text[2048];
    snprintf(text, sizeof text, "%s", script);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        tell_one(t, word);
}

static void check(const struct windows_config *config, const char *script,
                  const char *fired)
{
    struct told *t = told_new(config);
    tell(t, script);
    CHECK_TEXT(t->fired, fired);
    told_free(t);
}

static struct windows_config counts(uint32_t length, uint32_t every)
{
    return (struct windows_config){.length_count = length,
                                   .every_count = every};
}

static struct windows_config times(int64_t length_us, int64_t every_us)
{
    return (struct windows_config){
        .length_us = length_us, .every_us = every_us, .timed = true};
}

/* ---- by count ---- */

SPEC(window, slides_by_count)
{
    struct windows_config c = counts(5, 2);
    check(&c, "1 2 3 4 5 6 7 8",
          "[1 2] new[1 2] exp[] | [1 2 3 4] new[3 4] exp[] | "
          "[2 3 4 5 6] new[5 6] exp[1] | [4 5 6 7 8] new[7 8] exp[2 3]");
}

SPEC(window, tumbles_by_count)
{
    struct windows_config c = counts(3, 3);
    check(&c, "1 2 3 4 5 6",
          "[1 2 3] new[1 2 3] exp[] | [4 5 6] new[4 5 6] exp[1 2 3]");
}

SPEC(window, slides_with_each_tuple)
{
    struct windows_config c = counts(2, 1);
    check(&c, "1 2 3",
          "[1] new[1] exp[] | [1 2] new[2] exp[] | [2 3] new[3] exp[1]");
}

SPEC(window, that_is_not_full_closes_at_the_end)
{
    struct windows_config c = counts(3, 3);
    check(&c, "1 2 3 4 close",
          "[1 2 3] new[1 2 3] exp[] | [4] new[4] exp[1 2 3]");
    check(&c, "1 2 3 close", "[1 2 3] new[1 2 3] exp[]");
    c = counts(5, 2);
    check(&c, "1 2 3 close", "[1 2] new[1 2] exp[] | [1 2 3] new[3] exp[]");
}

/* A tuple is acked when its last window has fired, which is before it is shown
 * as expired. */
SPEC(window, acks_a_tuple_when_no_window_can_have_it)
{
    struct windows_config c = counts(3, 3);
    struct told *t = told_new(&c);
    tell(t, "1 2");
    CHECK_TEXT(t->acked, "");
    CHECK_EQ(windows_held(t->w), 2);
    tell(t, "3 4");
    CHECK_TEXT(t->acked, "1 2 3 ");
    CHECK_EQ(windows_held(t->w), 1);
    told_free(t);
    c = counts(5, 2);
    t = told_new(&c);
    tell(t, "1 2 3 4 5 6");
    CHECK_TEXT(t->acked, "1 2 3 ");
    tell(t, "close");
    CHECK_TEXT(t->acked, "1 2 3 4 5 6 ");
    told_free(t);
}

/* The i-th window has the last `length` of (i + 1) * every tuples. */
SPEC(window, by_count_has_what_it_should_in_all_proportions)
{
    static const uint32_t all[][2] = {{5, 10},    {1, 1},     {10, 5},
                                      {100, 10},  {100, 100}, {200, 100},
                                      {500, 100}, {3, 7},     {7, 3}};
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        struct windows_config c = counts(all[k][0], all[k][1]);
        struct told *t = told_new(&c);
        unsigned fired = 0;
        for (unsigned n = 0; n < 1000; n++) {
            struct window_event *event;
            uint8_t value[VALUE_SCALAR_MAX];
            struct windows_tuple tuple = {
                .at_us = n,
                .values = value,
                .bytes = (uint32_t)(value_put_int(value, n) - value),
                .roots = 1};
            CHECK_EQ(windows_add(t->w, &tuple, &event), OK);
            *window_roots(event) = (struct list_root){.root = n + 1};
            t->acked[0] = 0;
            struct windows_view view;
            if (!windows_next(t->w, &view)) continue;
            fired++;
            unsigned end = fired * c.every_count;
            unsigned begin = end > c.length_count ? end - c.length_count : 0;
            CHECK_EQ(n + 1, end);
            CHECK_EQ(view.count, end - begin);
            for (unsigned i = 0; i < view.count; i++)
                CHECK_EQ(number_of(t, view.tuples[i]), begin + i);
            windows_fired(t->w);
        }
        CHECK_EQ(fired, 1000 / c.every_count);
        t->acked[0] = t->failed[0] = 0;
        /* What is held is what the next one may have. */
        CHECK(windows_held(t->w) <= c.length_count + c.every_count);
        windows_close(t->w);
        struct windows_view view;
        while (windows_next(t->w, &view))
            windows_fired(t->w);
        CHECK_EQ(windows_held(t->w), 0);
        t->acked[0] = 0;
        told_free(t);
    }
}

/* ---- by event time ---- */

SPEC(window, slides_by_event_time_and_leaves_out_empty_windows)
{
    struct windows_config c = times(20, 10);
    check(&c,
          "1@603 2@605 3@607 w609 4@618 5@626 6@636 w631 "
          "7@825 8@826 9@827 10@839 w834",
          "[1 2 3] new[1 2 3] exp[] | [1 2 3 4] new[4] exp[] | "
          "[4 5] new[5] exp[1 2 3] | [5 6] new[6] exp[4] | "
          "[6] new[] exp[5] | [7 8 9] new[7 8 9] exp[]");
}

SPEC(window, of_a_time_slides_by_count)
{
    struct windows_config c = {
        .length_us = 20, .every_count = 3, .timed = true};
    check(&c,
          "1@603 2@605 3@607 4@618 5@625 6@626 7@629 8@636 w631 "
          "9@665 10@666 11@667 12@669 13@679 w674",
          "[1 2 3] new[1 2 3] exp[] | [3 4 5 6] new[4 5 6] exp[1 2] | "
          "[9] new[9] exp[3 4 5 6] | [9 10 11 12] new[10 11 12] exp[]");
}

SPEC(window, by_count_goes_by_event_time)
{
    struct windows_config c = counts(2, 2);
    c.timed = true;
    check(&c, "1@10 2@10 3@11 4@12 5@12 6@12 7@12 8@13 9@14 10@15 w20",
          "[1 2] new[1 2] exp[] | [3 4] new[3 4] exp[1 2] | "
          "[5 6] new[5 6] exp[3 4] | [7 8] new[7 8] exp[5 6] | "
          "[9 10] new[9 10] exp[7 8]");
    /* Those that come out of order are counted in order. */
    check(&c, "1@30 2@10 3@20 4@40 w35 w50",
          "[2 3] new[2 3] exp[] | [1 4] new[1 4] exp[2 3]");
}

SPEC(window, of_a_count_slides_by_time)
{
    struct windows_config c = {
        .length_count = 3, .every_us = 10, .timed = true};
    check(&c, "1@1 2@2 3@12 4@13 5@14 w15 w25 w1000 6@5000 w5001 w5011",
          "[1 2] new[1 2] exp[] | [3 4 5] new[3 4 5] exp[1 2] | "
          "[4 5 6] new[6] exp[3]");
}

SPEC(window, keeps_the_order_of_arrival)
{
    struct windows_config c = times(20, 10);
    check(&c, "1@603 2@605 3@607 4@618 5@626 6@632 7@629 8@636 w631",
          "[1 2 3] new[1 2 3] exp[] | [1 2 3 4] new[4] exp[] | "
          "[4 5 7] new[5 7] exp[1 2 3]");
}

/* Nothing falls between what is late and what has fired. */
SPEC(window, fires_when_nothing_can_come_to_it_any_more)
{
    struct windows_config c = times(10, 10);
    struct told *t = told_new(&c);
    tell(t, "1@5 w10");
    CHECK_TEXT(t->fired, "");
    tell(t, "2@10 w11");
    CHECK_TEXT(t->fired, "[1 2] new[1 2] exp[]");
    tell(t, "3@10 4@11");
    CHECK_TEXT(t->late, "3 ");
    told_free(t);
}

/* At the end of time a window ends once a microsecond: they aren't looked at
 * one by one. */
SPEC(window, jumps_over_any_number_of_empty_windows)
{
    struct windows_config c = times(2, 1);
    check(&c, "1@1 2@900000000000000000 w900000000000000001",
          "[1] new[1] exp[] | [1] new[] exp[] | [2] new[2] exp[]");
    c = (struct windows_config){
        .length_count = 2, .every_us = 1, .timed = true};
    check(&c, "1@1 2@900000000000000000 w900000000000000001",
          "[1] new[1] exp[] | [1 2] new[2] exp[]");
    c = times(10, 10);
    check(&c, "1@-25 2@-20 3@-19 4@0 w1",
          "[1 2] new[1 2] exp[] | [3] new[3] exp[1 2] | "
          "[4] new[4] exp[3]");
}

/* A tuple between two windows is in none, and acked. */
SPEC(window, may_slide_further_than_it_is_long)
{
    struct windows_config c = times(2, 10);
    struct told *t = told_new(&c);
    tell(t, "1@5 2@9 3@10 4@15 5@25 w30");
    CHECK_TEXT(t->fired, "[2 3] new[2 3] exp[]");
    tell(t, "6@39 w60");
    CHECK_TEXT(t->fired, "[2 3] new[2 3] exp[] | [6] new[6] exp[]");
    CHECK_TEXT(t->acked, "1 2 3 4 5 6 ");
    told_free(t);
}

/* Window i has the tuples of (end - length, end], its ends are multiples. */
SPEC(window, by_time_has_what_it_should_in_all_proportions)
{
    static const int64_t all[][2] = {{1, 1}, {5, 2}, {2, 5}, {20, 5}, {20, 10}};
    enum { TUPLES = 300, S = 1000000 };
    FOR_SEEDS(20)
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        struct rng rng = {spec_seed};
        struct windows_config c = times(all[k][0] * S, all[k][1] * S);
        c.lag_us = 3 * S;
        struct told *t = told_new(&c);
        int64_t at[TUPLES], time_us = 0, last_end = 0;
        unsigned windows = 0, shown[TUPLES] = {0};
        for (int n = 0; n <= TUPLES; n++) {
            if (n < TUPLES) {
                time_us += (int64_t)rng_below(&rng, S);
                at[n] = time_us - (int64_t)rng_below(&rng, 3 * S);
                CHECK_EQ(add(t, n, at[n], 0, NULL), OK);
                if (rng_below(&rng, 8)) continue;
                windows_advance(t->w, n);
            } else {
                windows_close(t->w);
            }
            struct windows_view view;
            for (; windows_next(t->w, &view); windows_fired(t->w)) {
                CHECK_EQ(view.stop_us % c.every_us, 0);
                CHECK_EQ(view.start_us, view.stop_us - c.length_us);
                CHECK(windows == 0 || view.stop_us > last_end);
                last_end = view.stop_us;
                windows++;
                unsigned found = 0;
                for (int i = 0; i < TUPLES && i <= n; i++)
                    if (at[i] > view.start_us && at[i] <= view.stop_us)
                        CHECK_EQ(number_of(t, view.tuples[found++]), i);
                CHECK_EQ(found, view.count);
                for (unsigned i = 0; i < found; i++)
                    shown[number_of(t, view.tuples[i])]++;
                t->acked[0] = 0;
            }
        }
        CHECK(windows >= 5);
        CHECK_TEXT(t->late, "");
        for (int i = 0; i < TUPLES; i++) {
            int64_t first =
                at[i] + (c.every_us - at[i] % c.every_us) % c.every_us;
            unsigned due = 0;
            for (; first - c.length_us < at[i]; first += c.every_us)
                due++;
            CHECK_EQ(shown[i], due);
        }
        CHECK_EQ(windows_held(t->w), 0);
        told_free(t);
    }
}

/* ---- watermarks ---- */

static int64_t watermark(struct told *t)
{
    windows_advance(t->w, 1);
    return windows_watermark_us(t->w);
}

SPEC(window, has_a_watermark_of_the_newest_less_its_lag)
{
    struct windows_config c = times(20, 10);
    c.lag_us = 5;
    struct told *t = told_new(&c);
    CHECK_EQ(watermark(t), INT64_MIN);
    tell(t, "1@100 2@110");
    CHECK_EQ(watermark(t), 105);
    tell(t, "3@105 4@106 5@115 6@104");
    CHECK_TEXT(t->late, "6 ");
    CHECK_EQ(watermark(t), 110);
    told_free(t);
}

SPEC(window, has_a_watermark_of_its_slowest_source)
{
    struct windows_config c = times(20, 10);
    c.lag_us = 5;
    c.sources = 2;
    struct told *t = told_new(&c);
    add(t, 1, 100, 0, NULL);
    add(t, 2, 110, 0, NULL);
    CHECK_EQ(watermark(t), INT64_MIN);
    add(t, 3, 95, 1, NULL);
    add(t, 4, 98, 1, NULL);
    CHECK_EQ(watermark(t), 93);
    windows_end_source(t->w, 1); /* it is waited for no more */
    CHECK_EQ(watermark(t), 105);
    windows_end_source(t->w, 0);
    CHECK_EQ(watermark(t), 105);
    told_free(t);
}

/* ---- by arrival ---- */

SPEC(window, slides_by_the_clock)
{
    struct windows_config c = {.length_us = 100, .every_us = 60};
    struct told *t = told_new(&c);
    tell(t, "t0 1 2 3 t60");
    CHECK_TEXT(t->fired, "[1 2 3] new[1 2 3] exp[]");
    CHECK_TEXT(t->acked, "1 2 3 ");
    CHECK_EQ(windows_alarm_us(t->w), INT64_MAX); /* acked, shown no more */
    told_free(t);
    t = told_new(&c);
    tell(t, "t30 1 2 3 t60");
    CHECK_TEXT(t->fired, "[1 2 3] new[1 2 3] exp[]");
    CHECK_TEXT(t->acked, "");
    CHECK_EQ(windows_alarm_us(t->w), 120);
    tell(t, "t120 t180 t240");
    CHECK_TEXT(t->fired, "[1 2 3] new[1 2 3] exp[] | [1 2 3] new[] exp[]");
    CHECK_TEXT(t->acked, "1 2 3 ");
    CHECK_EQ(windows_alarm_us(t->w), INT64_MAX);
    told_free(t);
}

/* What comes at the moment at which a window ends is the next one's. */
SPEC(window, takes_what_comes_with_its_end_into_the_next)
{
    struct windows_config c = {.length_us = 10, .every_us = 10};
    check(&c, "t5 1 t10 2 t20", "[1] new[1] exp[] | [2] new[2] exp[1]");
}

/* With a count of five no more than five wait for the clock. */
SPEC(window, acks_what_has_gone_before_it_fires)
{
    struct windows_config c = {.length_count = 5, .every_us = 1000};
    struct told *t = told_new(&c);
    for (int i = 1; i <= 100; i++)
        CHECK_EQ(add(t, i, 1, 0, NULL), OK);
    CHECK_EQ(windows_held(t->w), 5);
    CHECK(strncmp(t->acked, "1 2 3 ", 6) == 0);
    CHECK_HAS(t->acked, " 94 95 ");
    tell(t, "t1000");
    CHECK_TEXT(t->fired, "[96 97 98 99 100] new[96 97 98 99 100] exp[]");
    told_free(t);
}

/* ---- early and late ---- */

SPEC(window, fires_early_with_what_is_there)
{
    struct windows_config c = times(10, 10);
    check(&c, "1@1 early early 2@2 early w11 3@12 early",
          "early [1] new[1] exp[] | early [1 2] new[1 2] exp[] | "
          "[1 2] new[1 2] exp[] | early [3] new[3] exp[]");
    c = counts(3, 3);
    check(&c, "1 2 early 3 early",
          "early [1 2] new[1 2] exp[] | [1 2 3] new[1 2 3] exp[]");
}

SPEC(window, fires_again_with_what_comes_late)
{
    struct windows_config c = times(20, 10);
    c.allowed_us = 30;
    struct told *t = told_new(&c);
    tell(t, "1@1 2@15 w31");
    CHECK_TEXT(t->fired, "[1] new[1] exp[] | [1 2] new[2] exp[] | "
                         "[2] new[] exp[1]");
    t->fired[0] = 0;
    tell(t, "3@5 4@0 w32");
    CHECK_TEXT(t->late, "4 ");
    CHECK_TEXT(t->fired, "late [1 3] new[3] exp[] | late [1 2 3] new[] exp[]");
    told_free(t);
}

SPEC(window, that_failed_takes_its_tuples_again)
{
    struct windows_config c = times(20, 10);
    struct told *t = told_new(&c);
    tell(t, "1@1 w11 2@11 3@12 fail w21");
    CHECK_TEXT(t->fired, "[1] new[1] exp[] | [1 2 3] new[2 3] exp[]");
    CHECK_TEXT(t->failed, "2 3 ");
    CHECK_TEXT(t->acked, "1 ");
    t->fired[0] = 0;
    tell(t, "w31 2@11 3@12 4@5 w32"); /* 4 isn't what failed */
    CHECK_TEXT(t->late, "4 ");
    CHECK_TEXT(t->fired, "late [1 2 3] new[2 3] exp[] | [2 3] new[] exp[1]");
    CHECK_TEXT(t->acked, "1 2 3 ");
    tell(t, "5@11"); /* now it is whole */
    CHECK_TEXT(t->late, "4 5 ");
    told_free(t);
    /* Not for ever. */
    t = told_new(&c);
    tell(t, "1@1 fail w11 w50");
    windows_advance(t->w, 120000000);
    t->w->watermark_us = 50;
    tell(t, "2@1");
    CHECK_TEXT(t->late, "2 ");
    told_free(t);
}

SPEC(window, by_count_that_failed_counts_its_tuples_again)
{
    struct windows_config c = counts(2, 2);
    check(&c, "1 fail 2 3 1 4 2",
          "[1 2] new[1 2] exp[] | [3 1] new[3 1] exp[] | "
          "[4 2] new[4 2] exp[3 1]");
    c.timed = true;
    check(&c, "1@1 2@2 fail w5 1@1 2@2 w6",
          "[1 2] new[1 2] exp[] | [1 2] new[1 2] exp[]");
}

/* ---- sessions ---- */

static struct windows_config sessions(int64_t gap_us)
{
    return (struct windows_config){
        .kind = WINDOW_SESSION, .gap_us = gap_us, .timed = true};
}

SPEC(window, of_a_session_ends_after_a_gap)
{
    struct windows_config c = sessions(10);
    check(&c, "1@1 2@8 3@30 w18 w19 w50",
          "[1 2] new[1 2] exp[] | [3] new[3] exp[]");
    check(&c, "1@1 2@30 close", "[1] new[1] exp[] | [2] new[2] exp[]");
    c.timed = false;
    check(&c, "t1 1 t8 2 t17 t20 3 t40",
          "[1 2] new[1 2] exp[] | [3] new[3] exp[]");
}

SPEC(window, of_a_session_is_of_one_key)
{
    struct windows_config c = sessions(10);
    check(&c, "1@1a 2@2b 3@9a 4@20b w100",
          "[2] new[2] exp[] | [1 3] new[1 3] exp[] | [4] new[4] exp[]");
}

SPEC(window, of_two_sessions_that_meet_becomes_one)
{
    struct windows_config c = sessions(10);
    check(&c, "1@1 2@20 3@11 w31", "[1 2 3] new[1 2 3] exp[]");
    check(&c, "1@1a 2@20a 3@11b 4@11a w23 w31",
          "[3] new[3] exp[] | [1 2 4] new[1 2 4] exp[]");
    /* Also with one that has fired. */
    c.allowed_us = 20;
    check(&c, "1@1 w12 2@21 3@11 w40",
          "[1] new[1] exp[] | late [1 2 3] new[2 3] exp[]");
}

SPEC(window, of_a_session_that_failed_takes_its_tuples_again)
{
    struct windows_config c = sessions(10);
    struct told *t = told_new(&c);
    tell(t, "1@1 2@2 fail w30 1@1 3@25 w31");
    CHECK_TEXT(t->late, "3 ");
    CHECK_TEXT(t->failed, "1 2 ");
    CHECK_TEXT(t->fired, "[1 2] new[1 2] exp[] | [1] new[1] exp[]");
    told_free(t);
}

SPEC(window, of_a_session_fires_early_once_for_each_tuple)
{
    struct windows_config c = sessions(10);
    check(&c, "1@1a 2@2b early 3@3a early early w50",
          "early [1] new[1] exp[] | early [2] new[2] exp[] | "
          "early [1 3] new[1 3] exp[] | [2] new[2] exp[] | "
          "[1 3] new[1 3] exp[]");
}

/* Each tuple is in one session, with all that are near it and no other. */
SPEC(window, of_sessions_parts_any_order_of_tuples_by_their_gaps)
{
    enum { TUPLES = 60, GAP = 5 };
    FOR_SEEDS(200)
    {
        struct rng rng = {spec_seed};
        struct windows_config c = sessions(GAP);
        struct told *t = told_new(&c);
        int64_t at[TUPLES];
        int key[TUPLES];
        for (int i = 0; i < TUPLES; i++) {
            at[i] = (int64_t)rng_below(&rng, 300);
            key[i] = (int)rng_below(&rng, 3);
            CHECK_EQ(
                add(t, i, at[i], 0, ((const char *[]){"a", "b", "c"})[key[i]]),
                OK);
        }
        windows_close(t->w);
        struct windows_view view;
        unsigned seen = 0;
        int64_t stop_us = INT64_MIN;
        for (; windows_next(t->w, &view); windows_fired(t->w)) {
            CHECK(view.stop_us >= stop_us);
            stop_us = view.stop_us;
            int of = key[number_of(t, view.tuples[0])];
            unsigned within = 0;
            for (int i = 0; i < TUPLES; i++) {
                if (key[i] != of) continue;
                bool in = at[i] >= view.start_us && at[i] <= view.stop_us;
                within += in;
                CHECK(in || at[i] < view.start_us - GAP ||
                      at[i] > view.stop_us + GAP);
            }
            CHECK_EQ(within, view.count);
            for (unsigned i = 0; i < view.count; i++) {
                bool near = view.count == 1;
                for (unsigned k = 0; k < view.count; k++)
                    near |= k != i &&
                            llabs(at[number_of(t, view.tuples[i])] -
                                  at[number_of(t, view.tuples[k])]) <= GAP;
                CHECK(near);
            }
            seen += view.count;
        }
        CHECK_EQ(seen, TUPLES);
        CHECK_EQ(windows_held(t->w), 0);
        told_free(t);
    }
}

/* ---- memory ---- */

SPEC(window, refuses_what_its_memory_has_no_room_for)
{
    struct windows_config c = times(1000000, 1000000);
    c.memory_bytes = 256 << 10;
    struct told *t = told_new(&c);
    int held = 0;
    err e;
    while ((e = add(t, held, held + 1, 0, NULL)) == OK)
        held++;
    CHECK_EQ(e, ERR_LIMIT);
    CHECK(held > 1000);
    CHECK(windows_bytes(t->w) <= c.memory_bytes);
    CHECK_EQ(windows_held(t->w), held);
    windows_close(t->w); /* and then there is room again */
    struct windows_view view;
    CHECK(windows_next(t->w, &view));
    CHECK_EQ(view.count, held);
    t->acked[0] = 0;
    windows_failed(t->w);
    CHECK_EQ(add(t, 1, held + 1, 0, NULL), OK);
    told_free(t);
}

/* Tuples come and go without end in a bounded place. */
SPEC(window, keeps_no_more_than_what_it_holds)
{
    static const struct windows_config all[] = {
        {.length_count = 100, .every_count = 30},
        {.length_us = 100, .every_us = 30, .timed = true},
        {.length_us = 100, .every_count = 7},
        {.kind = WINDOW_SESSION, .gap_us = 2, .timed = true},
    };
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        struct told *t = told_new(&all[k]);
        for (int i = 0; i < 50000; i++) {
            CHECK_EQ(add(t, i, i + i / 50 * 5, 0, NULL), OK);
            if (i % 100 == 0) windows_advance(t->w, i);
            struct windows_view view;
            for (; windows_next(t->w, &view); windows_fired(t->w))
                t->acked[0] = 0;
            t->acked[0] = t->fired[0] = 0;
        }
        CHECK(windows_bytes(t->w) < 512 << 10);
        t->acked[0] = t->failed[0] = 0;
        told_free(t);
    }
}
