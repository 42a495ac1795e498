#include "actors/stream/windows_state.h"
#include "core/alloc.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct windows *windows_new(const struct windows_config *config)
{
    struct windows *w = mem_zero(1, sizeof *w);
    if (w == NULL) return NULL;
    w->config = *config;
    w->clocks = mem_zero(config->sources, sizeof *w->clocks);
    if (w->clocks == NULL) {
        mem_free(w);
        return NULL;
    }
    w->now_us = w->watermark_us = w->passed_us = INT64_MIN;
    w->unsaved = 1;
    w->alarm_us = INT64_MAX;
    return w;
}

/* ---- memory ---- */

err windows_resize(struct windows *w, void **block, size_t now, size_t then)
{
    if (w->bytes + then - now > w->config.memory_bytes) return ERR_LIMIT;
    void *more = mem_resize(*block, then);
    if (more == NULL) return ERR_NOMEM;
    *block = more;
    w->bytes += then - now;
    return OK;
}

static void segment_free(struct windows *w, struct window_segment *s)
{
    w->bytes -= sizeof *s + s->room;
    mem_free(s);
}

/* Room for one event in a segment of its kind. */
static err segment_reserve(struct windows *w, size_t bytes)
{
    struct window_segment *s = w->segment;
    if (s && bytes <= s->room - s->used) return OK;
    size_t room = w->config.memory_bytes / SEGMENTS_LEAST;
    if (room > SEGMENT_BYTES) room = SEGMENT_BYTES;
    if (room < bytes) room = bytes;
    void *block = NULL;
    err e = windows_resize(w, &block, 0, sizeof *s + room);
    if (e != OK) return e;
    if (s && s->live == 0) segment_free(w, s);
    w->segment = block;
    *w->segment = (struct window_segment){.room = room, .first_id = w->ids + 1};
    return OK;
}

static void event_free(struct windows *w, struct window_event *event)
{
    struct window_segment *s = event->segment;
    w->events--;
    if (--s->live > 0) return;
    if (s == w->segment)
        s->used = 0;
    else
        segment_free(w, s);
}

void windows_drop(struct windows *w, struct window_event *event,
                  enum window_fate fate)
{
    windows_settle(w, event, fate);
    tuple_drop(w, event);
    event_free(w, event);
}

/* What has gone from the front makes room at the end. */
static void arrays_move(struct windows *w)
{
    uint32_t head = w->head;
    memmove(w->order, w->order + head, (w->count - head) * sizeof *w->order);
    w->count -= head;
    w->sorted -= head;
    w->passed -= head;
    w->head = 0;
}

/* The arrays of pointers, which have room for all events: so nothing but
 * windows_add() can fail. */
static err arrays_reserve(struct windows *w)
{
    if (w->events < w->room && w->count < w->room) return OK;
    if (w->events < w->room && w->head > w->room / 4) {
        arrays_move(w);
        return OK;
    }
    size_t room = w->room ? 2 * (size_t)w->room : 64;
    void *block = NULL;
    err e = windows_resize(w, &block, 0, 4 * room * sizeof *w->order);
    if (e != OK) return e;
    struct window_event **order = block;
    if (w->room) {
        memcpy(order, w->order, w->count * sizeof *order);
        memcpy(order + 2 * room, w->left, w->left_count * sizeof *order);
        w->bytes -= 4 * (size_t)w->room * sizeof *order;
    }
    mem_free(w->order);
    w->order = order;
    w->hand = order + room;
    w->left = order + 2 * room;
    w->scratch = order + 3 * room;
    w->room = (uint32_t)room;
    return OK;
}

/* ---- tuples ---- */

bool windows_is_late(const struct windows *w, const struct windows_tuple *t)
{
    if (!w->config.timed || w->watermark_us == INT64_MIN ||
        t->at_us >= w->watermark_us - w->config.allowed_us)
        return false;
    return w->config.kind == WINDOW_SESSION ? !session_reopens(w, t)
                                            : !slide_reopens(w, t->at_us);
}

static uint8_t *values_of(struct window_event *event)
{
    return (uint8_t *)(window_roots(event) + event->root_room);
}

static size_t event_bytes(const struct windows *w,
                          const struct windows_tuple *t)
{
    size_t bytes = sizeof(struct window_event);
    if (w->config.state == NULL)
        bytes += t->roots * sizeof(struct list_root) + t->bytes;
    return (bytes + 7) & ~(size_t)7;
}

static struct window_event *
event_new(struct windows *w, const struct windows_tuple *t, size_t bytes)
{
    struct window_segment *s = w->segment;
    struct window_event *event =
        (struct window_event *)(void *)(s->data + s->used);
    *event = (struct window_event){
        .id = ++w->ids,
        .at_us = t->at_us,
        .segment = s,
        .bytes = t->bytes,
        .root_count = t->roots,
        .root_room = t->roots,
        .source = (uint16_t)t->source,
    };
    s->used += bytes;
    s->live++;
    w->events++;
    if (t->roots > 0) w->held++;
    if (w->config.state == NULL && t->values)
        memcpy(values_of(event), t->values, t->bytes);
    return event;
}

static void note_time(struct windows *w, const struct windows_tuple *t)
{
    struct source_clock *clock = &w->clocks[t->source];
    if (!clock->seen || t->at_us > clock->newest_us)
        clock->newest_us = t->at_us;
    clock->seen = true;
}

/* Where tuples bring no time, what a window has already seen the end of isn't
 * theirs any more. */
static int64_t arrival_us(const struct windows *w, int64_t at_us)
{
    if (w->config.timed || at_us >= w->watermark_us) return at_us;
    return w->watermark_us;
}

static err reserve(struct windows *w, size_t bytes)
{
    err e = arrays_reserve(w);
    return e == OK ? segment_reserve(w, bytes) : e;
}

static err add(struct windows *w, const struct windows_tuple *t,
               struct window_event **out)
{
    size_t bytes = event_bytes(w, t);
    err e = reserve(w, bytes);
    if (e != OK) return e;
    if (w->config.kind == WINDOW_SESSION) {
        struct session *session = session_find(w, t, &e);
        if (session == NULL) return e;
        *out = event_new(w, t, bytes);
        session_take(w, session, *out);
        return OK;
    }
    e = slide_reserve(w, &(struct window_event){.at_us = t->at_us});
    if (e != OK) return e;
    *out = event_new(w, t, bytes);
    slide_take(w, *out);
    return OK;
}

err windows_add(struct windows *w, const struct windows_tuple *given,
                struct window_event **out)
{
    assert(w->in_hand == HAND_NONE);
    assert(w->config.state == NULL || given->roots == 0);
    struct windows_tuple t = *given;
    t.at_us = arrival_us(w, t.at_us);
    err e = tuple_put(w, &t);
    if (e == OK) e = add(w, &t, out);
    if (e != OK) {
        tuples_undo(w);
        return e;
    }
    if ((*out)->at_us != t.at_us) tuple_note(w, *out);
    tuples_keep(w);
    if (w->config.timed) note_time(w, &t);
    w->fresh = true;
    return OK;
}

err windows_load_event(struct windows *w, const struct window_event *saved,
                       struct window_event **out)
{
    struct windows_tuple t = {
        .at_us = saved->at_us, .source = saved->source, .bytes = saved->bytes};
    size_t bytes = event_bytes(w, &t);
    err e = reserve(w, bytes);
    if (e != OK) return e;
    w->ids = saved->id - 1;
    *out = event_new(w, &t, bytes);
    (*out)->state = saved->state;
    (*out)->left = saved->left;
    (*out)->early = saved->early;
    if (saved->left) w->left[w->left_count++] = *out;
    return OK;
}

static int compare_ids(const void *a, const void *b)
{
    const struct window_event *const *x = a, *const *y = b;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

void windows_sort_hand(struct windows *w)
{
    for (uint32_t i = 1; i < w->hand_count; i++) {
        if (w->hand[i]->id > w->hand[i - 1]->id) continue;
        qsort(w->hand, w->hand_count, sizeof *w->hand, compare_ids);
        return;
    }
}

/* ---- clocks ---- */

static int64_t watermark_of_sources(const struct windows *w)
{
    int64_t least_us = INT64_MAX;
    for (unsigned i = 0; i < w->config.sources; i++) {
        const struct source_clock *clock = &w->clocks[i];
        if (clock->ended) continue;
        if (!clock->seen) return INT64_MIN;
        if (clock->newest_us < least_us) least_us = clock->newest_us;
    }
    return least_us == INT64_MAX ? INT64_MIN : least_us - w->config.lag_us;
}

void windows_advance(struct windows *w, int64_t now_us)
{
    if (now_us > w->now_us) w->now_us = now_us;
    int64_t to_us = w->config.timed ? watermark_of_sources(w) : w->now_us + 1;
    if (to_us > w->watermark_us) w->watermark_us = to_us;
    if (w->config.kind == WINDOW_SESSION) session_advance(w);
    tuples_keep(w);
}

void windows_end_source(struct windows *w, unsigned source)
{
    w->clocks[source].ended = true;
}

void windows_close(struct windows *w)
{
    w->closing = true;
    if (w->config.kind == WINDOW_SESSION) session_advance(w);
    tuples_keep(w);
}

void windows_hurry(struct windows *w)
{
    w->hurry = w->fresh;
    w->fresh = false;
    if (w->hurry && w->config.kind == WINDOW_SESSION) session_hurry(w);
    tuples_keep(w);
}

int64_t windows_watermark_us(const struct windows *w)
{
    return w->watermark_us;
}

int64_t windows_alarm_us(const struct windows *w)
{
    if (w->config.timed) return INT64_MAX;
    return w->config.kind == WINDOW_SESSION ? w->alarm_us : slide_alarm_us(w);
}

/* ---- firing ---- */

/* At the end even those are settled that only stay for what may come. */
static void all_fired(void *context, struct window_event *event)
{
    windows_settle(context, event, WINDOW_ACK);
}

bool windows_next(struct windows *w, struct windows_view *view)
{
    assert(w->in_hand == HAND_NONE);
    *view = (struct windows_view){0};
    bool due = w->config.kind == WINDOW_SESSION ? session_next(w, view)
                                                : slide_next(w, view);
    tuples_keep(w);
    if (!due) {
        if (w->closing) windows_each(w, all_fired, w);
        w->closing = w->hurry = false;
        return false;
    }
    view->tuples = w->hand;
    view->count = w->hand_count;
    view->early = w->in_hand == HAND_EARLY;
    view->late = w->in_hand == HAND_LATE;
    return true;
}

static void over(struct windows *w, bool failed)
{
    assert(w->in_hand != HAND_NONE);
    if (w->config.kind == WINDOW_SESSION)
        session_over(w, failed);
    else
        slide_over(w, failed);
    tuples_keep(w);
    w->in_hand = HAND_NONE;
    w->hand_count = 0;
}

void windows_fired(struct windows *w)
{
    over(w, false);
}

void windows_failed(struct windows *w)
{
    assert(w->config.state == NULL);
    over(w, true);
}

/* ---- all ---- */

uint64_t windows_held(const struct windows *w)
{
    return w->held;
}

size_t windows_bytes(const struct windows *w)
{
    return w->bytes;
}

void windows_each(struct windows *w,
                  void (*visit)(void *context, struct window_event *event),
                  void *context)
{
    for (uint32_t i = w->head; i < w->count; i++)
        if (w->order[i]->root_count > 0) visit(context, w->order[i]);
    session_each(w, visit, context);
}

void windows_free(struct windows *w)
{
    if (w == NULL) return;
    w->config.state = NULL; /* the rows stay */
    for (uint32_t i = 0; i < w->left_count; i++)
        if (w->left[i]->left) windows_drop(w, w->left[i], WINDOW_FAIL);
    for (uint32_t i = w->head; i < w->count; i++)
        windows_drop(w, w->order[i], WINDOW_FAIL);
    session_free_all(w);
    assert(w->events == 0);
    mem_free(w->segment);
    mem_free(w->order);
    mem_free(w->again);
    mem_free(w->clocks);
    buffer_fini(&w->row);
    mem_free(w);
}
