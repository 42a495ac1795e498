/* Windows that lie in a state are the same windows: two sets are told the same
 * tuples and clocks, and one of them is made anew of its rows all the time. */
#include "actors/stream/state.h"
#include "actors/stream/windows.h"
#include "core/random.h"
#include "core/store_memory.h"
#include "core/value.h"
#include "spec/fault.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

struct twins {
    struct rng rng;
    struct windows_config config;
    struct windows *plain, *kept;
    struct store_memory *memory;
    struct store *store;
    struct state *state;
    uint64_t number; /* of the last tuple */
    int64_t time_us, now_us;
    uint64_t fired, again, early, late, expired;
};

static void no_roots(void *context, struct window_event *event,
                     enum window_fate fate)
{
    spec_fail(__FILE__, __LINE__, "a tuple without roots was settled");
}

static struct windows *windows_made(const struct twins *t, struct state *state)
{
    struct windows_config c = t->config;
    c.state = state;
    c.settle = no_roots;
    c.memory_bytes = 64 << 20;
    struct windows *w = windows_new(&c);
    CHECK(w != NULL);
    return w;
}

static struct state *state_made(const struct twins *t)
{
    struct state *state = state_new(t->store, bytes_of("s.t.", 4));
    CHECK(state != NULL);
    return state;
}

static void twins_begin(struct twins *t)
{
    t->memory = store_memory_new();
    struct store_backend backend = store_memory_backend(t->memory);
    t->store = store_new(&backend);
    t->state = state_made(t);
    t->plain = windows_made(t, NULL);
    t->kept = windows_made(t, t->state);
}

static void twins_end(struct twins *t)
{
    windows_free(t->plain);
    windows_free(t->kept);
    state_free(t->state);
    store_free(t->store);
    store_memory_free(t->memory);
}

/* As a checkpoint does. */
static void save(struct twins *t, struct buffer *out)
{
    struct store_part *part;
    out->used = 0;
    CHECK_EQ(windows_save(t->kept, out), OK);
    state_rest(t->state);
    CHECK_EQ(state_freeze(t->state, &part), OK);
    if (part == NULL) return;
    struct store_write *write = store_write_new(t->store);
    write->parts = part;
    CHECK_EQ(store_commit(write), OK);
    store_write_drop(NULL, write);
    part->drop(part);
    state_thaw(t->state);
}

static unsigned rows(struct twins *t)
{
    static const uint8_t prefix[] = {STATE_OWN};
    struct buffer keys = {0};
    unsigned count;
    CHECK_EQ(state_keys(t->state, bytes_of(prefix, 1), bytes_of(prefix, 1),
                        true, 1000000, &keys, &count),
             OK);
    buffer_fini(&keys);
    state_rest(t->state);
    return count;
}

static void begin_again(struct twins *t)
{
    struct buffer saved = {0};
    save(t, &saved);
    if (rng_below(&t->rng, 4)) {
        windows_free(t->kept);
        state_free(t->state);
        t->state = state_made(t);
        t->kept = windows_made(t, t->state);
        CHECK_EQ(windows_load(t->kept, bytes_of(saved.data, saved.used)), OK);
        t->again++;
    }
    buffer_fini(&saved);
}

static int64_t number_of(struct windows *w, const struct window_event *event)
{
    const uint8_t *at;
    struct value v;
    CHECK_EQ(windows_values(w, event, &at), OK);
    value_get(at, &v);
    return v.as.integer;
}

static void check_same(struct twins *t, struct window_event **a,
                       struct window_event **b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(a[i]->id, b[i]->id);
        CHECK_EQ(a[i]->at_us, b[i]->at_us);
        CHECK_EQ(a[i]->source, b[i]->source);
        CHECK_EQ(a[i]->state, b[i]->state);
        CHECK_EQ(number_of(t->plain, a[i]), number_of(t->kept, b[i]));
    }
}

static void fire(struct twins *t)
{
    struct windows_view a, b;
    while (windows_next(t->plain, &a)) {
        CHECK(windows_next(t->kept, &b));
        CHECK_EQ(a.count, b.count);
        CHECK_EQ(a.expired_count, b.expired_count);
        CHECK_EQ(a.start_us, b.start_us);
        CHECK_EQ(a.stop_us, b.stop_us);
        CHECK_EQ(a.early, b.early);
        CHECK_EQ(a.late, b.late);
        check_same(t, a.tuples, b.tuples, a.count);
        check_same(t, a.expired, b.expired, a.expired_count);
        t->fired++;
        t->early += a.early;
        t->late += a.late;
        t->expired += a.expired_count;
        windows_fired(t->plain);
        windows_fired(t->kept);
    }
    CHECK(!windows_next(t->kept, &b));
}

static void add(struct twins *t)
{
    static const char *const keys[] = {"a", "b", "c"};
    uint8_t value[VALUE_SCALAR_MAX], key[16];
    const char *by = keys[rng_below(&t->rng, 3)];
    struct window_event *event;
    value_put_bytes(key, by, 1);
    t->time_us += (int64_t)rng_below(&t->rng, 6);
    struct windows_tuple tuple = {
        .at_us = t->config.timed ? t->time_us - (int64_t)rng_below(&t->rng, 30)
                                 : t->now_us,
        .source = (unsigned)rng_below(&t->rng, t->config.sources),
        .values = value,
        .bytes = (uint32_t)(value_put_int(value, (int64_t)++t->number) - value),
        .key = t->config.gap_us ? key : NULL,
    };
    bool late = windows_is_late(t->plain, &tuple);
    CHECK_EQ(windows_is_late(t->kept, &tuple), late);
    if (late) return;
    CHECK_EQ(windows_add(t->plain, &tuple, &event), OK);
    CHECK_EQ(windows_add(t->kept, &tuple, &event), OK);
}

static void step(struct twins *t)
{
    uint64_t what = rng_below(&t->rng, 20);
    if (what < 14) {
        add(t);
        if (t->config.every_us == 0 && !t->config.timed) fire(t);
    } else if (what < 16) {
        t->now_us += (int64_t)rng_below(&t->rng, 20);
        windows_advance(t->plain, t->now_us);
        windows_advance(t->kept, t->now_us);
        fire(t);
    } else if (what == 16) {
        windows_hurry(t->plain);
        windows_hurry(t->kept);
        fire(t);
    } else {
        begin_again(t);
    }
    CHECK_EQ(windows_alarm_us(t->plain) == INT64_MAX,
             windows_alarm_us(t->kept) == INT64_MAX);
    CHECK_EQ(windows_watermark_us(t->plain), windows_watermark_us(t->kept));
}

static struct windows_config some_config(struct rng *rng)
{
    struct windows_config c = {.sources = 1 + (unsigned)rng_below(rng, 2)};
    c.timed = rng_below(rng, 2);
    if (c.timed) c.lag_us = (int64_t)rng_below(rng, 40);
    if (rng_below(rng, 3) == 0) {
        c.kind = WINDOW_SESSION;
        c.gap_us = 1 + (int64_t)rng_below(rng, 20);
    } else {
        if (rng_below(rng, 2))
            c.length_us = 1 + (int64_t)rng_below(rng, 60);
        else
            c.length_count = 1 + (uint32_t)rng_below(rng, 20);
        if (rng_below(rng, 2))
            c.every_us = 1 + (int64_t)rng_below(rng, 60);
        else
            c.every_count = 1 + (uint32_t)rng_below(rng, 20);
    }
    if (c.timed && (c.every_us || c.gap_us))
        c.allowed_us = (int64_t)rng_below(rng, 40);
    return c;
}

SPEC(window_rows, are_all_that_windows_need_to_go_on)
{
    uint64_t fired = 0, again = 0, early = 0, late = 0, expired = 0;
    FOR_SEEDS(600)
    {
        struct twins t = {.rng = {spec_seed}, .now_us = 1};
        t.config = some_config(&t.rng);
        twins_begin(&t);
        for (int i = 0; i < 300; i++)
            step(&t);
        windows_close(t.plain);
        windows_close(t.kept);
        fire(&t);
        fired += t.fired;
        again += t.again;
        early += t.early;
        late += t.late;
        expired += t.expired;
        twins_end(&t);
    }
    CHECK_SEEN(fired);
    CHECK_SEEN(again);
    CHECK_SEEN(early);
    CHECK_SEEN(late);
    CHECK_SEEN(expired);
}

/* Two for each tuple that a window may still have, or that is shown as expired
 * by the next; what came and went between two checkpoints leaves nothing. */
SPEC(window_rows, go_when_a_tuple_leaves_its_last_window)
{
    struct twins t = {.rng = {1}, .now_us = 1};
    struct buffer saved = {0};
    t.config = (struct windows_config){
        .length_count = 10, .every_count = 5, .sources = 1};
    twins_begin(&t);
    for (int i = 1; i <= 1000; i++) {
        add(&t);
        fire(&t);
        CHECK(rows(&t) <= 2 * 20);
        if (i % 7 == 0) save(&t, &saved);
    }
    save(&t, &saved);
    CHECK_EQ(rows(&t), 2 * (5 + 5)); /* 5 of the next, 5 that it shows */
    buffer_fini(&saved);
    twins_end(&t);
}

/* Whatever fails, the windows are as they were or say that they aren't. */
SPEC(window_rows, say_so_when_there_was_no_memory_for_one)
{
    uint64_t refused = 0, unsaved = 0;
    FOR_SEEDS(300)
    {
        struct twins t = {.rng = {spec_seed}, .now_us = 1};
        struct buffer saved = {0};
        uint8_t value[VALUE_SCALAR_MAX];
        t.config = (struct windows_config){
            .length_us = 20, .every_us = 10, .sources = 1, .timed = true};
        twins_begin(&t);
        fault_arm(FAULT_HEAP, spec_seed, 3);
        unsigned taken = 0, shown = 0;
        for (int i = 1; i <= 400; i++) {
            struct windows_view view;
            struct window_event *event;
            struct windows_tuple tuple = {
                .at_us = i,
                .values = value,
                .bytes = (uint32_t)(value_put_int(value, i) - value)};
            err e = windows_add(t.kept, &tuple, &event);
            taken += e == OK;
            refused += e != OK;
            windows_advance(t.kept, i);
            while (windows_next(t.kept, &view)) {
                for (uint32_t k = 0; k < view.count; k++)
                    shown += view.tuples[k]->state == EVENT_NEW;
                windows_fired(t.kept);
            }
        }
        fault_disarm();
        unsigned open = taken - shown;
        err e = windows_save(t.kept, &saved);
        unsaved += e != OK;
        CHECK(e == OK || e == ERR_NOMEM);
        /* What is there are the open window and what it shares or expires. */
        if (e == OK) CHECK(rows(&t) >= 2 * open && rows(&t) <= 2 * (open + 30));
        buffer_fini(&saved);
        twins_end(&t);
    }
    CHECK_SEEN(refused);
}
