/* windows_session.c - sessions: what comes within a gap of each other, for each
 * key. Two that a late tuple brings together become one.
 * Source: Apache Flink, MergingWindowSet, for what merging means. */
#include "actors/stream/windows_state.h"
#include "core/alloc.h"
#include "core/value.h"
#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

static struct session_key **bucket_of(const struct windows *w, uint64_t hash)
{
    return &w->buckets[hash & (w->bucket_count - 1)];
}

static struct session_key *key_find(const struct windows *w, const uint8_t *key,
                                    uint64_t hash)
{
    if (w->bucket_count == 0) return NULL;
    struct session_key *k = *bucket_of(w, hash);
    for (; k; k = k->next)
        if (k->hash == hash && (!key || value_equal(k->value, key))) return k;
    return NULL;
}

static err grow_buckets(struct windows *w)
{
    uint32_t count = w->bucket_count ? 2 * w->bucket_count : 64;
    void *block = NULL;
    err e = windows_resize(w, &block, 0, count * sizeof *w->buckets);
    if (e != OK) return e;
    struct session_key **old = w->buckets;
    uint32_t old_count = w->bucket_count;
    w->buckets = block;
    w->bucket_count = count;
    memset(block, 0, count * sizeof *w->buckets);
    for (uint32_t i = 0; i < old_count; i++)
        while (old[i]) {
            struct session_key *k = old[i];
            old[i] = k->next;
            k->next = *bucket_of(w, k->hash);
            *bucket_of(w, k->hash) = k;
        }
    w->bytes -= old_count * sizeof *old;
    mem_free(old);
    return OK;
}

static struct session_key *key_add(struct windows *w, const uint8_t *key,
                                   uint64_t hash, err *why)
{
    *why = w->key_count == w->bucket_count ? grow_buckets(w) : OK;
    if (*why != OK) return NULL;
    uint32_t bytes = key ? (uint32_t)(value_skip(key) - key) : 0;
    void *block = NULL;
    *why = windows_resize(w, &block, 0, sizeof(struct session_key) + bytes);
    if (*why != OK) return NULL;
    struct session_key *k = block;
    *k = (struct session_key){
        .next = *bucket_of(w, hash), .hash = hash, .bytes = bytes};
    if (bytes) memcpy(k->value, key, bytes);
    *bucket_of(w, hash) = k;
    w->key_count++;
    return k;
}

static void key_remove(struct windows *w, struct session_key *key)
{
    struct session_key **at = bucket_of(w, key->hash);
    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    w->key_count--;
    w->bytes -= sizeof *key + key->bytes;
    mem_free(key);
}

/* ---- sessions ---- */

static bool reaches(const struct windows *w, const struct session *s,
                    int64_t at_us)
{
    return at_us >= s->first_us - w->config.gap_us &&
           at_us <= s->last_us + w->config.gap_us;
}

static void session_remove(struct windows *w, struct session *s)
{
    struct session **at = &s->key->newest;
    while (*at != s)
        at = &(*at)->older;
    *at = s->older;
    if (s->key->newest == NULL) key_remove(w, s->key);
    w->session_count--;
    w->bytes -= sizeof *s;
    mem_free(s);
}

static void session_drop(struct windows *w, struct session *s,
                         enum window_fate fate)
{
    while (s->first) {
        struct window_event *event = s->first;
        s->first = event->next;
        windows_drop(w, event, fate);
    }
    session_remove(w, s);
}

bool session_reopens(const struct windows *w, const struct windows_tuple *t)
{
    uint64_t hash = t->key ? value_hash(t->key, 0) : 0;
    const struct session_key *key = key_find(w, t->key, hash);
    const struct session *s = key ? key->newest : NULL;
    for (; s; s = s->older)
        if (s->reopened_us && w->now_us <= s->reopened_us &&
            reaches(w, s, t->at_us))
            return true;
    return false;
}

static err reserve_due(struct windows *w)
{
    if (w->session_count < w->due_room) return OK;
    uint32_t room = w->due_room ? 2 * w->due_room : 64;
    void *block = w->due;
    err e = windows_resize(w, &block, w->due_room * sizeof *w->due,
                           room * sizeof *w->due);
    if (e != OK) return e;
    w->due = block;
    w->due_room = room;
    return OK;
}

/* In its place among those of the key, the newest first. */
static struct session *session_add(struct windows *w, struct session_key *key,
                                   int64_t at_us, err *why)
{
    void *block = NULL;
    *why = reserve_due(w);
    if (*why == OK) *why = windows_resize(w, &block, 0, sizeof(struct session));
    if (*why != OK) return NULL;
    struct session *s = block;
    *s = (struct session){
        .key = key, .first_us = at_us, .last_us = at_us, .id = w->ids + 1};
    struct session **at = &key->newest;
    while (*at && (*at)->first_us > at_us)
        at = &(*at)->older;
    s->older = *at;
    *at = s;
    w->session_count++;
    return s;
}

struct session *session_find(struct windows *w, const struct windows_tuple *t,
                             err *why)
{
    uint64_t hash = t->key ? value_hash(t->key, 0) : 0;
    struct session_key *key = key_find(w, t->key, hash);
    if (key == NULL) key = key_add(w, t->key, hash, why);
    if (key == NULL) return NULL;
    for (struct session *s = key->newest; s; s = s->older) {
        if (reaches(w, s, t->at_us)) return s;
        if (s->last_us < t->at_us) break;
    }
    struct session *s = session_add(w, key, t->at_us, why);
    if (s == NULL && key->newest == NULL) key_remove(w, key);
    return s;
}

/* `other` goes into s. */
static void merge(struct windows *w, struct session *s, struct session *other)
{
    if (other->first) {
        if (s->last)
            s->last->next = other->first;
        else
            s->first = other->first;
        s->last = other->last;
    }
    other->first = NULL;
    s->count += other->count;
    s->fresh += other->fresh;
    s->fired |= other->fired;
    s->hurried &= other->hurried;
    if (other->id < s->id) s->id = other->id;
    if (other->first_us < s->first_us) s->first_us = other->first_us;
    if (other->last_us > s->last_us) s->last_us = other->last_us;
    if (other->reopened_us > s->reopened_us)
        s->reopened_us = other->reopened_us;
    session_remove(w, other);
}

/* It may have come to reach its neighbours. */
static void merge_neighbours(struct windows *w, struct session *s)
{
    while (s->older && reaches(w, s, s->older->last_us))
        merge(w, s, s->older);
    struct session *newer = NULL, *k = s->key->newest;
    for (; k != s; k = k->older)
        newer = k;
    if (newer && reaches(w, s, newer->first_us)) merge(w, s, newer);
}

void session_take(struct windows *w, struct session *s,
                  struct window_event *event)
{
    if (s->last)
        s->last->next = event;
    else
        s->first = event;
    s->last = event;
    s->count++;
    s->fresh++;
    s->hurried = false;
    if (event->at_us < s->first_us) s->first_us = event->at_us;
    if (event->at_us > s->last_us) s->last_us = event->at_us;
    merge_neighbours(w, s);
    int64_t end_us = s->last_us + w->config.gap_us;
    if (end_us < w->alarm_us) w->alarm_us = end_us;
}

/* ---- what is due ---- */

static bool is_over(const struct windows *w, const struct session *s)
{
    return w->closing || w->watermark_us > s->last_us + w->config.gap_us;
}

/* It has fired, and nothing may come to it any more. */
static bool is_done(const struct windows *w, const struct session *s)
{
    if (s->fresh > 0 || !is_over(w, s)) return false;
    if (s->reopened_us && w->now_us <= s->reopened_us) return false;
    return w->closing || w->config.allowed_us == 0 ||
           w->watermark_us - w->config.allowed_us >
               s->last_us + w->config.gap_us;
}

static int compare_sessions(const void *a, const void *b)
{
    const struct session *const *x = a, *const *y = b;
    if ((*x)->last_us != (*y)->last_us)
        return (*x)->last_us < (*y)->last_us ? -1 : 1;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* All that are over, or have something new; those that are done with go. */
static void gather(struct windows *w, bool early)
{
    w->due_count = w->due_next = 0;
    w->due_early = early;
    if (!early) w->alarm_us = INT64_MAX;
    for (uint32_t i = 0; i < w->bucket_count; i++)
        for (struct session_key *key = w->buckets[i], *next; key; key = next) {
            next = key->next;
            for (struct session *s = key->newest, *older; s; s = older) {
                older = s->older;
                int64_t end_us = s->last_us + w->config.gap_us;
                if (is_done(w, s)) {
                    session_drop(w, s, WINDOW_ACK);
                    continue;
                }
                if (s->fresh > 0 && (early ? !s->hurried : is_over(w, s)))
                    w->due[w->due_count++] = s;
                else if (s->fresh > 0 && end_us < w->alarm_us)
                    w->alarm_us = end_us;
            }
        }
    if (w->due_count > 1)
        qsort(w->due, w->due_count, sizeof *w->due, compare_sessions);
}

void session_advance(struct windows *w)
{
    if (!w->closing && !w->config.timed && w->watermark_us <= w->alarm_us)
        return;
    gather(w, false);
}

void session_hurry(struct windows *w)
{
    if (w->due_next == w->due_count) gather(w, true);
}

bool session_next(struct windows *w, struct windows_view *view)
{
    if (w->due_next == w->due_count) return false;
    struct session *s = w->due[w->due_next++];
    w->session = s;
    w->hand_count = 0;
    for (struct window_event *event = s->first; event; event = event->next)
        w->hand[w->hand_count++] = event;
    windows_sort_hand(w);
    view->start_us = s->first_us;
    view->stop_us = s->last_us;
    w->in_hand = w->due_early ? HAND_EARLY : s->fired ? HAND_LATE : HAND_NEXT;
    return true;
}

/* ---- what has fired ---- */

static void fail_new(struct windows *w, struct session *s)
{
    struct window_event *event = s->first, *next;
    s->first = s->last = NULL;
    for (; event; event = next) {
        next = event->next;
        event->next = NULL;
        if (event->state == EVENT_NEW) {
            windows_drop(w, event, WINDOW_FAIL);
            s->count--;
            continue;
        }
        if (s->last)
            s->last->next = event;
        else
            s->first = event;
        s->last = event;
    }
    s->fresh = 0;
}

static void hurried(struct windows *w, struct session *s)
{
    s->hurried = true;
    for (struct window_event *e = s->first; e; e = e->next) {
        if (e->early) continue;
        e->early = true;
        tuple_note(w, e);
    }
}

void session_over(struct windows *w, bool failed)
{
    struct session *s = w->session;
    if (failed) {
        fail_new(w, s);
        s->reopened_us = w->config.timed ? w->now_us + FAILED_US : 0;
    } else if (w->in_hand == HAND_EARLY) {
        hurried(w, s);
        return;
    } else {
        for (struct window_event *e = s->first; e; e = e->next) {
            if (e->state == EVENT_NEW) {
                e->state = EVENT_IN;
                tuple_note(w, e);
            }
            windows_settle(w, e, WINDOW_ACK);
        }
        s->fresh = 0;
        s->fired = true;
        s->reopened_us = 0;
    }
    if (is_done(w, s)) session_drop(w, s, WINDOW_ACK);
}

/* ---- what was saved ---- */

err session_load(struct windows *w, struct window_event *event,
                 const uint8_t *key)
{
    struct windows_tuple t = {.at_us = event->at_us, .key = key};
    err e = OK;
    uint64_t last = w->ids;
    w->ids = event->id - 1; /* a new session has its id */
    struct session *s = session_find(w, &t, &e);
    w->ids = last;
    if (s == NULL) return e;
    session_take(w, s, event);
    if (event->state == EVENT_NEW) return OK;
    s->fresh--;
    s->fired = true;
    return OK;
}

static bool has_fired_early(const struct session *s)
{
    for (const struct window_event *e = s->first; e; e = e->next)
        if (!e->early) return false;
    return true;
}

void session_loaded(struct windows *w)
{
    for (uint32_t i = 0; i < w->bucket_count; i++)
        for (struct session_key *key = w->buckets[i]; key; key = key->next)
            for (struct session *s = key->newest; s; s = s->older)
                s->hurried = has_fired_early(s);
}

/* ---- all ---- */

void session_each(struct windows *w,
                  void (*visit)(void *context, struct window_event *event),
                  void *context)
{
    for (uint32_t i = 0; i < w->bucket_count; i++)
        for (struct session_key *key = w->buckets[i]; key; key = key->next)
            for (struct session *s = key->newest; s; s = s->older)
                for (struct window_event *e = s->first; e; e = e->next)
                    if (e->root_count > 0) visit(context, e);
}

void session_free_all(struct windows *w)
{
    for (uint32_t i = 0; i < w->bucket_count; i++)
        while (w->buckets[i])
            session_drop(w, w->buckets[i]->newest, WINDOW_FAIL);
    mem_free(w->buckets);
    mem_free(w->due);
}
