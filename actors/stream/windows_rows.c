/* windows_rows.c - windows that are kept in a state: each tuple is two rows of
 * it, what a window has to know of it, and its values, which are read when one
 * fires. All else is a few numbers, which are saved with each checkpoint.
 *   STATE_OWN 'e' ID   time, size, source, what has become of it, and its key
 *   STATE_OWN 'v' ID   its values
 * What a tuple has been through in memory may have come to no row, where there
 * was no memory for that: then nothing is saved any more (windows.lost), and
 * the owner begins anew with what was. */
#include "actors/stream/state.h"
#include "actors/stream/windows_state.h"
#include "core/value.h"
#include <string.h>

enum {
    SAVED_VERSION = 1,
    KEY_BYTES = 10,
    HEAD_BYTES = 15,
    LOADED_KEYS = 1024, /* fetched at once */
    FLAG_STATE = 3,
    FLAG_LEFT = 4,
    FLAG_EARLY = 8,
};

enum row { ROW_EVENT = 'e', ROW_VALUES = 'v' };

struct row_key {
    uint8_t at[KEY_BYTES];
};

static struct row_key key_of(enum row row, uint64_t id)
{
    struct row_key key = {{STATE_OWN, (uint8_t)row}};
    value_store64(key.at + 2, id);
    return key;
}

static struct bytes key_bytes(const struct row_key *key)
{
    return bytes_of(key->at, sizeof key->at);
}

/* ---- one tuple ---- */

static void put_head(uint8_t *at, const struct window_event *event)
{
    value_store64(at, (uint64_t)event->at_us);
    value_store32(at + 8, event->bytes);
    at[12] = (uint8_t)(event->source >> 8);
    at[13] = (uint8_t)event->source;
    at[14] = (uint8_t)(event->state | (event->left ? FLAG_LEFT : 0) |
                       (event->early ? FLAG_EARLY : 0));
}

/* False: no row of this binary's. */
static bool get_head(const uint8_t *at, struct window_event *event)
{
    event->at_us = (int64_t)value_load64(at);
    event->bytes = value_load32(at + 8);
    event->source = value_load16(at + 12);
    event->state = at[14] & FLAG_STATE;
    event->left = at[14] & FLAG_LEFT;
    event->early = at[14] & FLAG_EARLY;
    return event->state <= EVENT_OUT && at[14] < 2 * FLAG_EARLY;
}

static err put_event(struct windows *w, const struct windows_tuple *t)
{
    struct row_key key = key_of(ROW_EVENT, w->ids + 1);
    struct window_event event = {
        .at_us = t->at_us, .bytes = t->bytes, .source = (uint16_t)t->source};
    size_t key_count = t->key ? (size_t)(value_skip(t->key) - t->key) : 0;
    w->row.used = 0;
    if (buffer_reserve(&w->row, HEAD_BYTES + key_count) != OK) return ERR_NOMEM;
    put_head(w->row.data, &event);
    w->row.used = HEAD_BYTES;
    buffer_append(&w->row, t->key, key_count); /* there is room */
    return state_put(w->config.state, key_bytes(&key),
                     bytes_of(w->row.data, w->row.used));
}

err tuple_put(struct windows *w, const struct windows_tuple *t)
{
    if (w->config.state == NULL) return OK;
    struct row_key key = key_of(ROW_VALUES, w->ids + 1);
    err e = put_event(w, t);
    if (e != OK) return e;
    return state_put(w->config.state, key_bytes(&key),
                     bytes_of(t->bytes ? t->values : key.at, t->bytes));
}

void tuple_note(struct windows *w, const struct window_event *event)
{
    if (w->config.state == NULL) return;
    struct row_key key = key_of(ROW_EVENT, event->id);
    struct state_value row;
    err e = state_change(w->config.state, key_bytes(&key), HEAD_BYTES, &row);
    if (e == OK && (!row.is || row.count < HEAD_BYTES)) e = ERR_FORMAT;
    if (e != OK) {
        w->lost = e;
        return;
    }
    put_head(row.at, event);
    state_changed(w->config.state, &row, row.count);
}

static void drop(struct windows *w, enum row row, uint64_t id)
{
    struct row_key key = key_of(row, id);
    err e = id < w->unsaved
                ? state_put(w->config.state, key_bytes(&key), bytes_of(NULL, 0))
                : state_forget(w->config.state, key_bytes(&key));
    if (e != OK) w->lost = e;
}

void tuple_drop(struct windows *w, const struct window_event *event)
{
    if (w->config.state == NULL) return;
    drop(w, ROW_EVENT, event->id);
    drop(w, ROW_VALUES, event->id);
}

void tuples_keep(struct windows *w)
{
    if (w->config.state) state_keep(w->config.state);
}

void tuples_undo(struct windows *w)
{
    if (w->config.state) state_undo(w->config.state);
}

err windows_values(struct windows *w, const struct window_event *event,
                   const uint8_t **values)
{
    if (w->config.state == NULL) {
        const struct list_root *roots = (const void *)(event + 1);
        *values = (const uint8_t *)(roots + event->root_room);
        return OK;
    }
    struct row_key key = key_of(ROW_VALUES, event->id);
    struct bytes row;
    err e = state_get(w->config.state, key_bytes(&key), &row);
    if (e == OK && (row.at == NULL || row.count != event->bytes))
        e = ERR_FORMAT;
    if (e == OK) *values = row.at;
    return e;
}

/* ---- what is saved beside the rows ---- */

static void put(struct buffer *out, int64_t n)
{
    out->used = (size_t)(value_put_int(out->data + out->used, n) - out->data);
}

err windows_save(struct windows *w, struct buffer *out)
{
    size_t numbers = 10 + 2 * (size_t)w->config.sources + w->again_count;
    if (w->lost != OK) return w->lost;
    if (buffer_reserve(out, numbers * VALUE_SCALAR_MAX) != OK) return ERR_NOMEM;
    put(out, SAVED_VERSION);
    put(out, (int64_t)w->ids);
    put(out, w->watermark_us);
    put(out, w->fresh);
    put(out, w->has_end);
    put(out, w->last_end_us);
    put(out, w->passed > w->head ? w->passed - w->head : 0);
    put(out, w->passed_us);
    put(out, w->config.sources);
    for (unsigned i = 0; i < w->config.sources; i++) {
        put(out, w->clocks[i].seen);
        put(out, w->clocks[i].newest_us);
    }
    put(out, w->again_count);
    for (uint32_t i = 0; i < w->again_count; i++)
        put(out, w->again[i]);
    w->unsaved = w->ids + 1;
    return OK;
}

struct saved {
    const uint8_t *at, *end;
    bool bad;
};

static int64_t get(struct saved *s)
{
    struct value v = {.type = VALUE_NIL};
    const uint8_t *next;
    if (!s->bad && value_check(s->at, s->end, &next) == OK) {
        value_get(s->at, &v);
        s->at = next;
    }
    if (v.type == VALUE_INT) return v.as.integer;
    s->bad = true;
    return 0;
}

static err load_numbers(struct windows *w, struct saved *s, uint64_t *ids,
                        int64_t *passed)
{
    if (get(s) != SAVED_VERSION) return ERR_FORMAT;
    *ids = (uint64_t)get(s);
    w->watermark_us = get(s);
    w->fresh = get(s) != 0;
    w->has_end = get(s) != 0;
    w->last_end_us = get(s);
    *passed = get(s);
    w->passed_us = get(s);
    if (get(s) != w->config.sources || s->bad) return ERR_FORMAT;
    for (unsigned i = 0; i < w->config.sources; i++) {
        w->clocks[i].seen = get(s) != 0;
        w->clocks[i].newest_us = get(s);
    }
    if (!w->config.timed && w->watermark_us != INT64_MIN)
        w->now_us = w->watermark_us - 1;
    int64_t again = get(s);
    err e = OK;
    for (int64_t i = 0; e == OK && !s->bad && i < again; i++)
        e = slide_again(w, get(s));
    return s->bad ? ERR_FORMAT : e;
}

/* ---- all tuples ---- */

bool windows_row_is_sound(struct bytes key, struct bytes row)
{
    struct window_event event;
    const uint8_t *at = row.at, *next = at + HEAD_BYTES;
    if (key.count != KEY_BYTES || ((const uint8_t *)key.at)[1] != ROW_EVENT)
        return true;
    if (row.count < HEAD_BYTES || !get_head(at, &event)) return false;
    return row.count == HEAD_BYTES ||
           (value_check(next, at + row.count, &next) == OK &&
            next == at + row.count);
}

static err load_event(struct windows *w, struct bytes key, uint64_t ids)
{
    struct window_event saved = {.id =
                                     value_load64((const uint8_t *)key.at + 2)},
                        *event;
    struct bytes row;
    err e = state_get(w->config.state, key, &row);
    if (e != OK) return e;
    const uint8_t *at = row.at;
    if (at == NULL || row.count < HEAD_BYTES || !get_head(at, &saved) ||
        saved.source >= w->config.sources || saved.id > ids)
        return ERR_FORMAT;
    e = windows_load_event(w, &saved, &event);
    if (e != OK || saved.left) return e;
    if (w->config.kind == WINDOW_SESSION)
        return session_load(w, event,
                            row.count > HEAD_BYTES ? at + HEAD_BYTES : NULL);
    slide_load(w, event);
    return OK;
}

/* In order of their ids; the last of them becomes *last. */
static err load_some(struct windows *w, const struct buffer *keys,
                     unsigned count, uint64_t ids, struct row_key *last)
{
    const uint8_t *at = keys->data;
    for (unsigned i = 0; i < count; i++) {
        uint32_t bytes;
        memcpy(&bytes, at, sizeof bytes);
        at += sizeof bytes;
        if (bytes != KEY_BYTES) return ERR_FORMAT;
        memcpy(last->at, at, KEY_BYTES);
        at += KEY_BYTES;
        err e = load_event(w, key_bytes(last), ids);
        if (e != OK) return e;
    }
    return OK;
}

static err load_all(struct windows *w, uint64_t ids)
{
    static const uint8_t prefix[] = {STATE_OWN, ROW_EVENT};
    struct row_key last = key_of(ROW_EVENT, 0);
    struct buffer keys = {0};
    unsigned count = LOADED_KEYS;
    err e = OK;
    while (e == OK && count == LOADED_KEYS) {
        keys.used = 0;
        e = state_keys(w->config.state, bytes_of(prefix, sizeof prefix),
                       key_bytes(&last), false, LOADED_KEYS, &keys, &count);
        if (e == OK) e = load_some(w, &keys, count, ids, &last);
    }
    buffer_fini(&keys);
    return e;
}

err windows_load(struct windows *w, struct bytes saved)
{
    struct saved s = {saved.at, (const uint8_t *)saved.at + saved.count, false};
    uint64_t ids = 0;
    int64_t passed = 0;
    err e = load_numbers(w, &s, &ids, &passed);
    if (e == OK) e = load_all(w, ids);
    state_rest(w->config.state);
    if (e != OK) return e;
    w->ids = ids;
    w->unsaved = ids + 1;
    if (w->config.kind == WINDOW_SESSION)
        session_loaded(w);
    else
        slide_loaded(w, passed < 0 ? 0 : (uint32_t)passed);
    return OK;
}
