#include "cli/history.h"
#include "core/alloc.h"
#include "core/metric.h"
#include <string.h>

#define SECOND INT64_C(1000000000)

enum {
    SPANS = 3,   /* of notes of counts: of seconds, 10 s, minutes */
    NOTES = 62,  /* of a span: 60 intervals, one begun, one to round up */
    SPREADS = 12 /* notes of latencies of a window: likewise for 10 */
};

#define X(window, name) name,
static const char *const names[] = {WINDOW_LIST(X)};
#undef X

static const int64_t lengths_ns[WINDOW_ALL] = {10 * SECOND, 60 * SECOND,
                                               600 * SECOND, 3600 * SECOND};
static const int64_t span_ns[SPANS] = {SECOND, 10 * SECOND, 60 * SECOND};
static const unsigned span_of[WINDOW_ALL] = {0, 0, 1, 2};

/* When notes were made; the newest overwrites the oldest. */
struct times {
    int64_t interval_ns;
    unsigned room, used, newest;
    int64_t at_ns[NOTES];
};

/* The buckets of a histogram that are in use. */
struct spread {
    uint16_t first, count;
    uint16_t room;
    bool known;
    uint64_t *buckets; /* owned */
};

struct history {
    struct history_source source;
    int64_t began_ns;
    struct times times[SPANS];
    struct figures *notes[SPANS]; /* owned, [note][component] */
    struct times spread_times[WINDOW_ALL];
    struct spread *spreads[WINDOW_ALL]; /* owned, [note][component] */
};

const char *window_name(enum window window)
{
    return names[window];
}

err window_named(const char *name, enum window *out)
{
    for (int i = 0; i < WINDOWS; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *out = (enum window)i;
        return OK;
    }
    return ERR_NOTFOUND;
}

/* ---- times ---- */

/* The place of a note that is due now; -1: it isn't yet. A timer that comes a
 * little early is meant. */
static int times_take(struct times *t, int64_t now_ns)
{
    if (t->used > 0 &&
        now_ns - t->at_ns[t->newest] < t->interval_ns - SECOND / 2)
        return -1;
    t->newest = t->used > 0 ? (t->newest + 1) % t->room : 0;
    if (t->used < t->room) t->used++;
    t->at_ns[t->newest] = now_ns;
    return (int)t->newest;
}

/* The newest note from `at_ns` or before, else the oldest there is. */
static unsigned times_find(const struct times *t, int64_t at_ns)
{
    unsigned note = t->newest;
    for (unsigned i = 1; i < t->used && t->at_ns[note] > at_ns; i++)
        note = (note + t->room - 1) % t->room;
    return note;
}

/* ---- latencies ---- */

static void spread_keep(struct spread *s, const struct histogram_view *view)
{
    unsigned first = 0, end = HISTOGRAM_BUCKETS;
    while (first < end && view->buckets[first] == 0)
        first++;
    while (end > first && view->buckets[end - 1] == 0)
        end--;
    unsigned count = end - first;
    s->known = false;
    if (count > s->room) {
        uint64_t *more = mem_resize(s->buckets, count * sizeof *more);
        if (more == NULL) return;
        s->buckets = more;
        s->room = (uint16_t)count;
    }
    s->first = (uint16_t)first;
    s->count = (uint16_t)count;
    s->known = true;
    if (count > 0)
        memcpy(s->buckets, &view->buckets[first], count * sizeof *s->buckets);
}

static void spread_take_from(const struct spread *s,
                             struct histogram_view *view)
{
    struct histogram_view earlier;
    memset(&earlier, 0, sizeof earlier);
    for (unsigned i = 0; i < s->count; i++)
        earlier.buckets[s->first + i] = s->buckets[i];
    histogram_minus(view, &earlier);
}

/* ---- notes ---- */

static void note_counts(struct history *h, int64_t now_ns)
{
    unsigned components = h->source.components;
    for (unsigned i = 0; i < SPANS; i++) {
        int note = times_take(&h->times[i], now_ns);
        if (note < 0) continue;
        for (unsigned c = 0; c < components; c++)
            h->source.figures(h->source.context, c,
                              &h->notes[i][(unsigned)note * components + c]);
    }
}

static void note_latencies(struct history *h, int64_t now_ns)
{
    unsigned components = h->source.components;
    int notes[WINDOW_ALL];
    bool any = false;
    for (unsigned w = 0; w < WINDOW_ALL; w++) {
        notes[w] = times_take(&h->spread_times[w], now_ns);
        if (notes[w] >= 0) any = true;
    }
    for (unsigned c = 0; any && c < components; c++) {
        struct histogram_view view;
        h->source.latency(h->source.context, c, &view);
        for (unsigned w = 0; w < WINDOW_ALL; w++)
            if (notes[w] >= 0)
                spread_keep(&h->spreads[w][(unsigned)notes[w] * components + c],
                            &view);
    }
}

void history_note(struct history *h, int64_t now_ns)
{
    note_counts(h, now_ns);
    note_latencies(h, now_ns);
}

/* ---- windows ---- */

static void window_counts(const struct history *h, enum window window,
                          unsigned component, int64_t now_ns,
                          struct history_window *out)
{
    const struct times *t = &h->times[span_of[window]];
    unsigned note = times_find(t, now_ns - lengths_ns[window]);
    const struct figures *then =
        &h->notes[span_of[window]][note * h->source.components + component];
    for (int i = 0; i < FIGURES; i++)
        out->figures.n[i] -= then->n[i];
    out->seconds = (double)(now_ns - t->at_ns[note]) / 1e9;
}

static void window_latency(const struct history *h, enum window window,
                           unsigned component, int64_t now_ns,
                           struct history_window *out)
{
    struct histogram_view view;
    h->source.latency(h->source.context, component, &view);
    if (window != WINDOW_ALL) {
        unsigned note =
            times_find(&h->spread_times[window], now_ns - lengths_ns[window]);
        const struct spread *then =
            &h->spreads[window][note * h->source.components + component];
        if (!then->known) return;
        spread_take_from(then, &view);
    }
    if (view.count == 0) return;
    out->p50_ms = (double)histogram_percentile(&view, 50) / 1e6;
    out->p99_ms = (double)histogram_percentile(&view, 99) / 1e6;
    out->max_ms = (double)histogram_percentile(&view, 100) / 1e6;
}

void history_window(const struct history *h, enum window window,
                    unsigned component, int64_t now_ns,
                    struct history_window *out)
{
    *out = (struct history_window){.p50_ms = -1, .p99_ms = -1, .max_ms = -1};
    h->source.figures(h->source.context, component, &out->figures);
    if (h->source.pending_limit)
        out->pending_limit =
            h->source.pending_limit(h->source.context, component);
    if (window == WINDOW_ALL)
        out->seconds = (double)(now_ns - h->began_ns) / 1e9;
    else
        window_counts(h, window, component, now_ns, out);
    window_latency(h, window, component, now_ns, out);
}

/* ---- life ---- */

struct history *history_new(const struct history_source *source, int64_t now_ns)
{
    struct history *h = mem_zero(1, sizeof *h);
    if (h == NULL) return NULL;
    h->source = *source;
    h->began_ns = now_ns;
    bool whole = true;
    for (unsigned i = 0; i < SPANS; i++) {
        h->times[i].interval_ns = span_ns[i];
        h->times[i].room = NOTES;
        h->notes[i] =
            mem_zero((size_t)NOTES * source->components, sizeof **h->notes);
        if (h->notes[i] == NULL) whole = false;
    }
    for (unsigned w = 0; w < WINDOW_ALL; w++) {
        h->spread_times[w].interval_ns = lengths_ns[w] / 10;
        h->spread_times[w].room = SPREADS;
        h->spreads[w] =
            mem_zero((size_t)SPREADS * source->components, sizeof **h->spreads);
        if (h->spreads[w] == NULL) whole = false;
    }
    if (!whole) {
        history_free(h);
        return NULL;
    }
    history_note(h, now_ns);
    return h;
}

void history_free(struct history *h)
{
    if (h == NULL) return;
    for (unsigned i = 0; i < SPANS; i++)
        mem_free(h->notes[i]);
    for (unsigned w = 0; w < WINDOW_ALL; w++) {
        for (unsigned i = 0;
             h->spreads[w] && i < SPREADS * h->source.components; i++)
            mem_free(h->spreads[w][i].buckets);
        mem_free(h->spreads[w]);
    }
    mem_free(h);
}
