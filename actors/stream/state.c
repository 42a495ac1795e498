/* state.c - three layers over the store: what has changed since the last
 * checkpoint; what that one is writing, which nobody changes; and what was read
 * or written before, which may go any time. */
#include "actors/stream/state.h"
#include "actors/stream/layer.h"
#include "core/alloc.h"
#include "core/atomic.h"
#include "core/value.h"
#include <string.h>

enum {
    PREFIX_MAX = 256,
    CLEAN_MAX = 16 << 20,  /* bytes read or written before */
    THAW_MOVED_MAX = 4096, /* entries moved in one turn */
    HASH_SEED = 0x5eed,
};

/* What a call has changed, newest last: the entry as it was. */
struct before {
    struct entry *entry;
    size_t at;      /* of the value's bytes in `undo_bytes` */
    uint32_t saved; /* so many, from the first */
    uint32_t value_bytes;
    enum has has;
};

/* Held by the state and by who writes it. */
struct frozen {
    struct store_part part; /* as the store takes it */
    struct ref ref;
    struct layer layer;
    size_t prefix_bytes;
    uint8_t prefix[PREFIX_MAX];
};

struct state {
    struct store *store;
    struct store_view *view; /* of this turn */
    struct layer changed, clean;
    struct frozen *frozen; /* NULL: nothing is */
    uint64_t call;
    struct before *undo; /* owned */
    size_t undo_count, undo_room;
    struct buffer undo_bytes;
    size_t prefix_bytes;
    uint8_t prefix[PREFIX_MAX];
};

/* ---- life ---- */

/* A walk over what is frozen, for who writes it. */
struct saying {
    store_put_fn *put;
    void *to;
    size_t prefix_bytes;
    uint8_t key[STORE_KEY_MAX];
};

static err say_entry(void *context, const struct entry *e)
{
    struct saying *s = context;
    if (e->has == HAS_NOTHING) return OK;
    memcpy(s->key + s->prefix_bytes, e->key, e->key_bytes);
    return s->put(s->to, bytes_of(s->key, s->prefix_bytes + e->key_bytes),
                  entry_value(e));
}

static err say_frozen(struct store_part *part, store_put_fn *put, void *to)
{
    const struct frozen *f = (const struct frozen *)part;
    struct saying s = {put, to, f->prefix_bytes, {0}};
    memcpy(s.key, f->prefix, f->prefix_bytes);
    return layer_each(&f->layer, say_entry, &s);
}

static void free_frozen(struct env *env, struct ref *ref)
{
    struct frozen *f =
        (struct frozen *)((uint8_t *)ref - offsetof(struct frozen, ref));
    layer_fini(&f->layer);
    mem_free(f);
}

static void drop_part(struct store_part *part)
{
    ref_drop(NULL, &((struct frozen *)part)->ref);
}

struct state *state_new(struct store *store, struct bytes prefix)
{
    if (prefix.count > PREFIX_MAX) return NULL;
    struct state *s = mem_zero(1, sizeof *s);
    if (s == NULL) return NULL;
    s->store = store;
    s->call = 1;
    s->prefix_bytes = prefix.count;
    memcpy(s->prefix, prefix.at, prefix.count);
    return s;
}

void state_free(struct state *s)
{
    if (s == NULL) return;
    state_rest(s);
    layer_fini(&s->changed);
    layer_fini(&s->clean);
    if (s->frozen) ref_drop(NULL, &s->frozen->ref);
    mem_free(s->undo);
    buffer_fini(&s->undo_bytes);
    mem_free(s);
}

size_t state_key_max(const struct state *s)
{
    return STORE_KEY_MAX - s->prefix_bytes;
}

void state_rest(struct state *s)
{
    store_unview(s->view);
    s->view = NULL;
}

/* ---- reading ---- */

static uint64_t hash_of(struct bytes key)
{
    return value_hash_bytes(key.at, key.count, HASH_SEED);
}

static err open_view(struct state *s)
{
    return s->view ? OK : store_view(s->store, &s->view);
}

/* From the store, and remembered if there is memory for it. */
static err read_below(struct state *s, struct bytes key, uint64_t hash,
                      struct bytes *value)
{
    uint8_t whole[STORE_KEY_MAX];
    err e = open_view(s);
    if (e != OK) return e;
    memcpy(whole, s->prefix, s->prefix_bytes);
    memcpy(whole + s->prefix_bytes, key.at, key.count);
    e = store_get(s->view, bytes_of(whole, s->prefix_bytes + key.count), value);
    if (e == ERR_NOTFOUND)
        *value = bytes_of(NULL, 0);
    else if (e != OK)
        return e;
    if (s->clean.bytes > CLEAN_MAX) layer_fini(&s->clean);
    struct entry *entry = layer_entry(&s->clean, key, hash);
    if (entry && entry_set(&s->clean, entry, *value) != OK)
        entry->has = HAS_NOTHING;
    return OK;
}

/* Below what has changed since the last checkpoint. */
static err read_before(struct state *s, struct bytes key, uint64_t hash,
                       struct bytes *value)
{
    const struct layer *const layers[] = {s->frozen ? &s->frozen->layer : NULL,
                                          &s->clean};
    for (int i = 0; i < 2; i++) {
        const struct entry *e =
            layers[i] ? layer_find(layers[i], key, hash) : NULL;
        if (e == NULL || e->has == HAS_NOTHING) continue;
        *value = entry_value(e);
        return OK;
    }
    return read_below(s, key, hash, value);
}

err state_get(struct state *s, struct bytes key, struct bytes *value)
{
    uint64_t hash = hash_of(key);
    const struct entry *e = layer_find(&s->changed, key, hash);
    if (e == NULL || e->has == HAS_NOTHING)
        return read_before(s, key, hash, value);
    *value = entry_value(e);
    return OK;
}

/* ---- changing ---- */

/* How the entry is, with that much of its value. */
static err note(struct state *s, struct entry *e, uint32_t saved)
{
    if (s->undo_count == s->undo_room) {
        size_t room = s->undo_room ? s->undo_room * 2 : 16;
        struct before *wide = mem_resize(s->undo, room * sizeof *wide);
        if (wide == NULL) return ERR_NOMEM;
        s->undo = wide;
        s->undo_room = room;
    }
    struct before b = {e, s->undo_bytes.used, saved, e->value_bytes, e->has};
    if (buffer_append(&s->undo_bytes, e->value, saved) != OK) return ERR_NOMEM;
    s->undo[s->undo_count++] = b;
    return OK;
}

/* Before the call in hand changes it. */
static err note_before(struct state *s, struct entry *e)
{
    if (e->call == s->call) return OK;
    err error = note(s, e, e->value_bytes);
    if (error == OK) e->call = s->call;
    return error;
}

/* Before it changes these bytes at most, and adds others. What was noted last
 * is still enough if it was this. */
static err note_head(struct state *s, struct entry *e, size_t head)
{
    if (e->call == s->call) return OK;
    if (s->undo_count > 0 && s->undo[s->undo_count - 1].entry == e) return OK;
    return note(s, e, head < e->value_bytes ? (uint32_t)head : e->value_bytes);
}

/* What is below it, if it says nothing itself; and room. */
static err bring(struct state *s, struct entry *e, struct bytes key,
                 uint64_t hash, size_t room, struct state_value *out)
{
    struct bytes below = bytes_of(NULL, 0);
    err error = OK;
    if (e->has == HAS_NOTHING) error = read_before(s, key, hash, &below);
    if (error == OK && below.at) error = entry_set(&s->changed, e, below);
    if (error == OK) error = entry_reserve(&s->changed, e, room);
    *out = (struct state_value){.at = e->value,
                                .count = e->value_bytes,
                                .is = e->has == HAS_VALUE,
                                .entry = e};
    return error;
}

err state_append(struct state *s, struct bytes key, size_t head, size_t more,
                 struct state_value *out)
{
    uint64_t hash = hash_of(key);
    struct entry *e = layer_entry(&s->changed, key, hash);
    if (e == NULL || note_head(s, e, head) != OK) return ERR_NOMEM;
    err error = bring(s, e, key, hash, 0, out);
    return error == OK ? bring(s, e, key, hash, out->count + more, out) : error;
}

err state_change(struct state *s, struct bytes key, size_t room,
                 struct state_value *out)
{
    uint64_t hash = hash_of(key);
    struct entry *e = layer_entry(&s->changed, key, hash);
    if (e == NULL || note_before(s, e) != OK) return ERR_NOMEM;
    return bring(s, e, key, hash, room, out);
}

void state_changed(struct state *s, const struct state_value *value,
                   size_t count)
{
    struct entry *e = value->entry;
    e->value_bytes = (uint32_t)count;
    e->has = HAS_VALUE;
}

err state_put(struct state *s, struct bytes key, struct bytes value)
{
    struct entry *e = layer_entry(&s->changed, key, hash_of(key));
    if (e == NULL || note_before(s, e) != OK) return ERR_NOMEM;
    return entry_set(&s->changed, e, value);
}

err state_forget(struct state *s, struct bytes key)
{
    struct entry *e = layer_find(&s->changed, key, hash_of(key));
    if (e == NULL) return OK;
    if (note_before(s, e) != OK) return ERR_NOMEM;
    e->has = HAS_NOTHING;
    e->value_bytes = 0;
    return OK;
}

void state_keep(struct state *s)
{
    s->undo_count = 0;
    s->undo_bytes.used = 0;
    s->call++;
}

/* The room of a value never shrinks, so what it had goes back into it. */
void state_undo(struct state *s)
{
    while (s->undo_count > 0) {
        const struct before *b = &s->undo[--s->undo_count];
        struct entry *e = b->entry;
        if (b->saved) memcpy(e->value, s->undo_bytes.data + b->at, b->saved);
        e->value_bytes = b->value_bytes;
        e->has = b->has;
    }
    state_keep(s);
}

/* ---- walking ---- */

static bool begins_with(struct bytes key, struct bytes prefix)
{
    return key.count >= prefix.count &&
           (prefix.count == 0 || memcmp(key.at, prefix.at, prefix.count) == 0);
}

/* Where a walk is in a layer. */
struct cursor {
    struct layer *layer; /* NULL: there is none */
    size_t at;
};

/* What the layer says next of a key; NULL: nothing. */
static const struct entry *cursor_entry(struct cursor *c)
{
    while (c->layer && c->at < c->layer->index_count) {
        const struct entry *e = c->layer->index[c->at].entry;
        if (e->has != HAS_NOTHING) return e;
        c->at++;
    }
    return NULL;
}

static err put_key(struct buffer *out, struct bytes key)
{
    uint32_t count = (uint32_t)key.count;
    if (buffer_reserve(out, sizeof count + key.count) != OK) return ERR_NOMEM;
    buffer_append(out, &count, sizeof count);
    return buffer_append(out, key.at, key.count);
}

/* The store's walk at its next key of this state; at NULL: there is none. */
static err next_stored(struct state *s, struct bytes from, bool first,
                       struct bytes *key)
{
    struct bytes value;
    err e = first ? store_seek(s->view, from, key, &value)
                  : store_next(s->view, key, &value);
    bool ours =
        e == OK && begins_with(*key, bytes_of(s->prefix, s->prefix_bytes));
    *key = ours ? bytes_of((const uint8_t *)key->at + s->prefix_bytes,
                           key->count - s->prefix_bytes)
                : bytes_of(NULL, 0);
    return e == ERR_NOTFOUND ? OK : e;
}

struct walk {
    struct state *state;
    struct cursor layers[2]; /* the upper one first */
    struct bytes stored;     /* the store's next key; at NULL: none is left */
};

/* To the first key that is `from` or behind it. */
static err begin_walk(struct walk *w, struct bytes from)
{
    struct state *s = w->state;
    uint8_t whole[STORE_KEY_MAX];
    struct layer *const layers[] = {&s->changed,
                                    s->frozen ? &s->frozen->layer : NULL};
    err e = open_view(s);
    for (int i = 0; e == OK && i < 2; i++) {
        w->layers[i].layer = layers[i];
        if (layers[i]) e = layer_seek(layers[i], from, &w->layers[i].at);
    }
    if (e != OK) return e;
    memcpy(whole, s->prefix, s->prefix_bytes);
    if (from.count) memcpy(whole + s->prefix_bytes, from.at, from.count);
    return next_stored(s, bytes_of(whole, s->prefix_bytes + from.count), true,
                       &w->stored);
}

/* The least key of all; at NULL: none is left. *removed: it isn't there. */
static struct bytes least_key(struct walk *w, bool *removed)
{
    struct bytes key = w->stored;
    *removed = false;
    for (int i = 1; i >= 0; i--) { /* the upper layer's word is the last */
        const struct entry *e = cursor_entry(&w->layers[i]);
        int order = e && key.at ? bytes_order(entry_key(e), key) : -1;
        if (e == NULL || order > 0) continue;
        key = entry_key(e);
        *removed = e->has == HAS_NONE;
    }
    return key;
}

static err pass_key(struct walk *w, struct bytes key)
{
    for (int i = 0; i < 2; i++) {
        const struct entry *e = cursor_entry(&w->layers[i]);
        w->layers[i].at += e && bytes_order(entry_key(e), key) == 0;
    }
    if (w->stored.at == NULL || bytes_order(w->stored, key) != 0) return OK;
    return next_stored(w->state, bytes_of(NULL, 0), false, &w->stored);
}

err state_keys(struct state *s, struct bytes prefix, struct bytes from, bool at,
               unsigned most, struct buffer *out, unsigned *count)
{
    struct walk w = {.state = s};
    bool removed, behind = bytes_order(from, prefix) > 0;
    *count = 0;
    err e = begin_walk(&w, behind ? from : prefix);
    while (e == OK && *count < most) {
        struct bytes key = least_key(&w, &removed);
        if (key.at == NULL || !begins_with(key, prefix)) break;
        bool skip = !at && bytes_order(key, from) == 0;
        if (!removed && !skip) {
            e = put_key(out, key);
            ++*count;
        }
        if (e == OK) e = pass_key(&w, key);
    }
    return e;
}

/* ---- checkpoints ---- */

size_t state_changed_bytes(const struct state *s)
{
    return s->changed.bytes;
}

err state_freeze(struct state *s, struct store_part **part)
{
    *part = NULL;
    if (s->changed.count == 0) return OK;
    struct frozen *f = mem_alloc(sizeof *f);
    if (f == NULL) return ERR_NOMEM;
    *f = (struct frozen){.part = {.each = say_frozen, .drop = drop_part},
                         .layer = s->changed,
                         .prefix_bytes = s->prefix_bytes};
    memcpy(f->prefix, s->prefix, s->prefix_bytes);
    ref_init(&f->ref, free_frozen);
    ref_take(&f->ref);
    s->changed = (struct layer){0};
    s->frozen = f;
    *part = &f->part;
    return OK;
}

static err know_entry(void *context, const struct entry *e)
{
    struct state *s = context;
    if (e->has == HAS_NOTHING) return OK;
    struct entry *known = layer_entry(&s->clean, entry_key(e), e->hash);
    return known ? entry_set(&s->clean, known, entry_value(e)) : ERR_NOMEM;
}

/* What it knew before is as old as the store may show; rather nothing than
 * that. */
static void know(struct state *s, const struct layer *written)
{
    if (layer_each(written, know_entry, s) != OK) layer_fini(&s->clean);
}

void state_thaw(struct state *s)
{
    struct frozen *f = s->frozen;
    state_rest(s); /* a view from before doesn't have it */
    if (f == NULL) return;
    s->frozen = NULL;
    if (f->layer.count <= THAW_MOVED_MAX && s->clean.bytes <= CLEAN_MAX) {
        know(s, &f->layer);
    } else {
        layer_fini(&s->clean);
        /* Who still writes it keeps it: a task may end, or be asked once more
         * after its end, before its checkpoint is decided. */
        if (at_load(&f->ref.count, ACQUIRE) == 1) {
            s->clean = f->layer;
            f->layer = (struct layer){0};
            layer_drop_index(&s->clean);
        }
    }
    ref_drop(NULL, &f->ref);
}
