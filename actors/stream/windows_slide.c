/* windows_slide.c - sliding windows: which are due, what is in them, and what
 * no window can have any more. */
#include "actors/stream/windows_state.h"
#include "core/alloc.h"
#include <stdlib.h>
#include <string.h>

/* ---- times ---- */

/* The first multiple of `step` that isn't before. */
static int64_t ceil_to(int64_t at_us, int64_t step)
{
    int64_t rest = at_us % step;
    if (rest == 0) return at_us;
    return rest > 0 ? at_us - rest + step : at_us - rest;
}

static int compare_times(const void *a, const void *b)
{
    const struct window_event *const *x = a, *const *y = b;
    if ((*x)->at_us != (*y)->at_us) return (*x)->at_us < (*y)->at_us ? -1 : 1;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* The place of the first event after that time. What is behind [head, sorted)
 * isn't looked at. */
static uint32_t after(const struct windows *w, int64_t at_us)
{
    uint32_t lo = w->head, hi = w->sorted;
    while (lo < hi) {
        uint32_t middle = lo + (hi - lo) / 2;
        if (w->order[middle]->at_us > at_us)
            hi = middle;
        else
            lo = middle + 1;
    }
    return lo;
}

/* Puts what came out of order in its place, all at once. */
static void sort(struct windows *w)
{
    uint32_t tail = w->count - w->sorted;
    if (tail == 0) return;
    memcpy(w->scratch, w->order + w->sorted, tail * sizeof *w->order);
    qsort(w->scratch, tail, sizeof *w->order, compare_times);
    uint32_t from = w->sorted, to = w->count;
    while (tail > 0) {
        struct window_event *last = w->scratch[tail - 1];
        if (from > w->head && compare_times(&w->order[from - 1], &last) > 0) {
            w->order[--to] = w->order[--from];
            continue;
        }
        w->order[--to] = last;
        tail--;
    }
    w->sorted = w->count;
}

/* ---- what comes ---- */

static bool waits_for(const struct windows *w, const struct reopened *r,
                      int64_t at_us)
{
    return at_us >= r->low_us && at_us <= r->end_us && w->now_us <= r->until_us;
}

bool slide_reopens(const struct windows *w, int64_t at_us)
{
    for (unsigned i = 0; i < w->reopened_count; i++)
        if (waits_for(w, &w->reopened[i], at_us)) return true;
    return false;
}

/* Does it still have room for one that came so late? What is allowed comes
 * into all that have it, what failed only into those that wait for it. */
static bool takes_again(const struct windows *w, int64_t at_us, int64_t end_us)
{
    if (!w->config.timed || w->watermark_us == INT64_MIN ||
        at_us >= w->watermark_us - w->config.allowed_us)
        return true;
    for (unsigned i = 0; i < w->reopened_count; i++)
        if (w->reopened[i].end_us == end_us &&
            waits_for(w, &w->reopened[i], at_us))
            return true;
    return false;
}

err slide_again(struct windows *w, int64_t end_us)
{
    uint32_t at = 0;
    while (at < w->again_count && w->again[at] < end_us)
        at++;
    if (at < w->again_count && w->again[at] == end_us) return OK;
    if (w->again_count == w->again_room) {
        uint32_t room = w->again_room ? 2 * w->again_room : 16;
        void *block = w->again;
        err e = windows_resize(w, &block, w->again_room * sizeof *w->again,
                               room * sizeof *w->again);
        if (e != OK) return e;
        w->again = block;
        w->again_room = room;
    }
    memmove(w->again + at + 1, w->again + at,
            (w->again_count - at) * sizeof *w->again);
    w->again[at] = end_us;
    w->again_count++;
    return OK;
}

/* Windows that have fired and are to have it, too. An error takes nothing back:
 * one that fires again without it has lost nothing. */
err slide_reserve(struct windows *w, struct window_event *event)
{
    const struct windows_config *c = &w->config;
    if (!w->has_end || event->at_us > w->last_end_us) return OK;
    int64_t end_us = ceil_to(event->at_us, c->every_us);
    for (; end_us <= w->last_end_us; end_us += c->every_us) {
        if (c->length_us && end_us - c->length_us >= event->at_us) break;
        if (!takes_again(w, event->at_us, end_us)) continue;
        err e = slide_again(w, end_us);
        if (e != OK) return e;
        if (!c->length_us) break;
    }
    return OK;
}

/* The place of the first that a window which fires once more may have. */
static uint32_t kept_from(const struct windows *w)
{
    const struct windows_config *c = &w->config;
    if (!c->timed || !c->length_us || !c->every_us) return w->count;
    int64_t end_us = INT64_MAX;
    if (c->allowed_us && w->watermark_us != INT64_MIN)
        end_us = w->watermark_us - c->allowed_us;
    for (unsigned i = 0; i < w->reopened_count; i++)
        if (w->reopened[i].end_us < end_us) end_us = w->reopened[i].end_us;
    if (w->again_count > 0 && w->again[0] < end_us) end_us = w->again[0];
    return end_us == INT64_MAX ? w->count : after(w, end_us - c->length_us);
}

/* Of no use to any window: shown as expired by the next firing if it was in
 * one. */
static void drop_first(struct windows *w)
{
    struct window_event *event = w->order[w->head++];
    if (event->state != EVENT_IN) {
        windows_drop(w, event, WINDOW_ACK);
        return;
    }
    event->left = true;
    tuple_note(w, event);
    w->left[w->left_count++] = event;
}

/* Those whose windows have all fired are settled. They stay while one of these
 * may fire once more. */
static void release(struct windows *w, uint32_t before)
{
    uint32_t kept = kept_from(w);
    for (uint32_t i = w->head; i < before; i++)
        windows_settle(w, w->order[i], WINDOW_ACK);
    while (w->head < before && w->head < kept)
        drop_first(w);
    if (w->passed < w->head) w->passed = w->head;
}

void slide_take(struct windows *w, struct window_event *event)
{
    const struct windows_config *c = &w->config;
    /* By count nothing comes before what was counted. */
    if (!c->every_us && event->at_us < w->passed_us)
        event->at_us = w->passed_us;
    bool in_order =
        w->sorted == w->count &&
        (w->count == w->head || w->order[w->count - 1]->at_us <= event->at_us);
    w->order[w->count++] = event;
    if (in_order) w->sorted = w->count;
    /* The last n: what is before them need not wait for the end. */
    if (!c->timed && c->every_us && c->length_count &&
        w->count - w->head > c->length_count)
        release(w, w->count - c->length_count);
}

/* ---- what is due ---- */

static void hold_hand(struct windows *w, enum hand hand, int64_t end_us,
                      uint32_t lo, uint32_t hi, struct windows_view *view)
{
    const struct windows_config *c = &w->config;
    w->in_hand = hand;
    w->end_us = end_us;
    w->lo = lo;
    w->hi = hi;
    w->hand_count = hi - lo;
    memcpy(w->hand, w->order + lo, w->hand_count * sizeof *w->hand);
    view->start_us = w->order[lo]->at_us;
    view->stop_us = w->order[hi - 1]->at_us;
    if (c->length_us && c->every_us) {
        view->start_us = end_us - c->length_us;
        view->stop_us = end_us;
    }
    windows_sort_hand(w);
}

/* Those that were in the window before and aren't in this one. */
static void expire(struct windows *w, struct windows_view *view)
{
    for (uint32_t i = w->head; i < w->lo; i++) {
        if (w->order[i]->state != EVENT_IN) continue;
        w->order[i]->state = EVENT_OUT;
        tuple_note(w, w->order[i]);
        w->left[w->left_count++] = w->order[i];
    }
    view->expired = w->left;
    view->expired_count = w->left_count;
}

static void forget_left(struct windows *w)
{
    for (uint32_t i = 0; i < w->left_count; i++)
        if (w->left[i]->left) windows_drop(w, w->left[i], WINDOW_ACK);
    w->left_count = 0;
}

static uint32_t last_of(const struct windows *w, uint32_t hi)
{
    uint32_t count = hi - w->head;
    return count > w->config.length_count ? hi - w->config.length_count
                                          : w->head;
}

/* The next end by time that isn't before any event that no window had. */
static int64_t next_end_us(const struct windows *w)
{
    int64_t every_us = w->config.every_us;
    int64_t end_us = ceil_to(w->order[w->head]->at_us, every_us);
    if (w->has_end && end_us <= w->last_end_us)
        end_us = w->last_end_us + every_us;
    return end_us;
}

/* The window that is next by time, which has tuples; false: there is none. */
static bool find_by_time(const struct windows *w, int64_t *end, uint32_t *lo,
                         uint32_t *hi)
{
    const struct windows_config *c = &w->config;
    if (w->head == w->count) return false;
    int64_t end_us = next_end_us(w);
    for (;;) {
        *lo = w->has_end ? after(w, w->last_end_us) : w->head;
        if (c->length_us) *lo = after(w, end_us - c->length_us);
        if (*lo == w->count) return false;
        /* Empty ones are left out; a tuple may lie between two. */
        if (w->order[*lo]->at_us <= end_us) break;
        end_us = ceil_to(w->order[*lo]->at_us, c->every_us);
    }
    *end = end_us;
    *hi = after(w, end_us);
    if (!c->length_us) *lo = last_of(w, *hi);
    return true;
}

static bool next_by_time(struct windows *w, struct windows_view *view)
{
    int64_t end_us;
    uint32_t lo, hi;
    if (!find_by_time(w, &end_us, &lo, &hi)) {
        if (w->config.length_us) release(w, w->count);
        return false;
    }
    if (!w->closing && w->watermark_us <= end_us) return false;
    /* Between the two an empty one was left out: all begins anew. */
    if (w->config.length_us && w->has_end &&
        end_us != w->last_end_us + w->config.every_us)
        forget_left(w);
    hold_hand(w, HAND_NEXT, end_us, lo, hi, view);
    expire(w, view);
    return true;
}

static uint32_t lo_by_count(const struct windows *w, uint32_t hi)
{
    const struct windows_config *c = &w->config;
    if (c->length_count) return last_of(w, hi);
    return after(w, w->order[hi - 1]->at_us - c->length_us);
}

/* How far tuples can be counted: nothing comes before these any more. */
static uint32_t counted(const struct windows *w)
{
    if (!w->config.timed || w->closing) return w->count;
    return w->watermark_us == INT64_MIN ? w->head
                                        : after(w, w->watermark_us - 1);
}

static bool next_by_count(struct windows *w, struct windows_view *view)
{
    uint32_t all = counted(w), every = w->config.every_count;
    uint32_t fresh = all > w->passed ? all - w->passed : 0;
    if (fresh == 0 || (fresh < every && !w->closing)) return false;
    uint32_t hi = fresh < every ? all : w->passed + every;
    hold_hand(w, HAND_NEXT, w->order[hi - 1]->at_us, lo_by_count(w, hi), hi,
              view);
    expire(w, view);
    return true;
}

static bool has_new(const struct windows *w, uint32_t lo, uint32_t hi)
{
    for (uint32_t i = lo; i < hi; i++)
        if (w->order[i]->state == EVENT_NEW) return true;
    return false;
}

static bool next_again(struct windows *w, struct windows_view *view)
{
    const struct windows_config *c = &w->config;
    while (w->again_count > 0) {
        int64_t end_us = w->again[0];
        uint32_t hi = after(w, end_us);
        uint32_t lo =
            c->length_us ? after(w, end_us - c->length_us) : last_of(w, hi);
        w->again_count--;
        memmove(w->again, w->again + 1, w->again_count * sizeof *w->again);
        if (lo == hi) continue;
        hold_hand(w, HAND_LATE, end_us, lo, hi, view);
        return true;
    }
    return false;
}

/* The window that is open, as it is. */
static bool next_early(struct windows *w, struct windows_view *view)
{
    int64_t end_us;
    uint32_t lo, hi;
    w->hurry = false;
    if (w->config.every_us) {
        if (!find_by_time(w, &end_us, &lo, &hi) || !has_new(w, lo, hi))
            return false;
    } else {
        hi = w->count;
        if (hi <= w->passed) return false;
        end_us = w->order[hi - 1]->at_us;
        lo = lo_by_count(w, hi);
    }
    hold_hand(w, HAND_EARLY, end_us, lo, hi, view);
    return true;
}

bool slide_next(struct windows *w, struct windows_view *view)
{
    sort(w);
    if (next_again(w, view)) return true;
    bool due =
        w->config.every_us ? next_by_time(w, view) : next_by_count(w, view);
    return due || (w->hurry && next_early(w, view));
}

int64_t slide_alarm_us(const struct windows *w)
{
    int64_t end_us;
    uint32_t lo, hi;
    if (!w->config.every_us || !find_by_time(w, &end_us, &lo, &hi))
        return INT64_MAX;
    return end_us;
}

/* ---- what has fired ---- */

/* What was new in a window that failed fails; the rest closes up. */
static void drop_new(struct windows *w)
{
    uint32_t to = w->lo;
    for (uint32_t i = w->lo; i < w->count; i++) {
        if (i < w->hi && w->order[i]->state == EVENT_NEW) {
            windows_drop(w, w->order[i], WINDOW_FAIL);
            continue;
        }
        w->order[to++] = w->order[i];
    }
    w->hi -= w->count - to;
    w->count = w->sorted = to;
}

static void reopened_remove(struct windows *w, int64_t end_us)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < w->reopened_count; i++) {
        struct reopened r = w->reopened[i];
        if (r.end_us == end_us || r.until_us < w->now_us) continue;
        w->reopened[kept++] = r;
    }
    w->reopened_count = kept;
}

/* From the oldest of what is new in it on, which comes again. */
static void reopen(struct windows *w)
{
    struct reopened r = {INT64_MAX, w->end_us, w->now_us + FAILED_US};
    for (uint32_t i = w->lo; i < w->hi; i++)
        if (w->order[i]->state == EVENT_NEW && w->order[i]->at_us < r.low_us)
            r.low_us = w->order[i]->at_us;
    if (w->reopened_count == FAILED_MOST) {
        memmove(w->reopened, w->reopened + 1,
                (FAILED_MOST - 1) * sizeof *w->reopened);
        w->reopened_count--;
    }
    w->reopened[w->reopened_count++] = r;
}

static uint32_t over_before(const struct windows *w)
{
    const struct windows_config *c = &w->config;
    if (c->length_us && c->every_us)
        return after(w, w->last_end_us + c->every_us - c->length_us);
    if (c->length_us) return w->lo;
    uint32_t ahead = c->every_us ? 1 : c->every_count;
    uint32_t needed = c->length_count > ahead ? c->length_count - ahead : 0;
    return w->hi - w->head > needed ? w->hi - needed : w->head;
}

static void mark(struct windows *w)
{
    int64_t still_us = INT64_MIN; /* in the last window are those after it */
    if (w->in_hand == HAND_LATE && w->config.length_us)
        still_us = w->last_end_us - w->config.length_us;
    for (uint32_t i = w->lo; i < w->hi; i++) {
        struct window_event *event = w->order[i];
        if (event->state != EVENT_NEW) continue;
        event->state = event->at_us > still_us ? EVENT_IN : EVENT_OUT;
        tuple_note(w, event);
    }
}

void slide_over(struct windows *w, bool failed)
{
    bool first = w->in_hand == HAND_NEXT;
    if (first) forget_left(w);
    reopened_remove(w, w->end_us);
    if (failed) {
        if (w->config.timed) reopen(w);
        drop_new(w);
    } else if (w->in_hand != HAND_EARLY) {
        mark(w);
    }
    if (!first) return;
    if (w->config.every_us) {
        w->has_end = true;
        w->last_end_us = w->end_us;
    } else {
        w->passed = w->hi;
        w->passed_us = w->end_us;
    }
    release(w, over_before(w));
}

/* ---- what was saved ---- */

void slide_load(struct windows *w, struct window_event *event)
{
    w->order[w->count++] = event;
}

void slide_loaded(struct windows *w, uint32_t passed)
{
    sort(w);
    w->passed = passed < w->count ? passed : w->count;
    if (w->left_count > 1)
        qsort(w->left, w->left_count, sizeof *w->left, compare_times);
}
