#include "actors/stream/layer.h"
#include "core/alloc.h"
#include "core/value.h"
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES = 64 * 1024,
    SLOTS_FIRST = 16,
    VALUE_ROOM_MIN = 16, /* a number is changed where it lies */
};

struct chunk {
    struct chunk *next;
    size_t used, room;
    uint8_t bytes[];
};

/* ---- life ---- */

void layer_drop_index(struct layer *l)
{
    mem_free(l->index);
    l->bytes -= l->index_room * sizeof *l->index;
    l->index = NULL;
    l->index_count = l->index_room = 0;
    l->indexed = NULL;
}

void layer_fini(struct layer *l)
{
    while (l->chunks) {
        struct chunk *c = l->chunks;
        l->chunks = c->next;
        mem_free(c);
    }
    for (int i = 0; i < LAYER_PARTS; i++)
        mem_free(l->parts[i].slots);
    mem_free(l->index);
    *l = (struct layer){0};
}

/* Memory that goes with the layer; NULL: there is none. */
static void *take_room(struct layer *l, size_t bytes)
{
    bytes = (bytes + 7) & ~(size_t)7;
    struct chunk *c = l->chunks;
    if (c == NULL || c->room - c->used < bytes) {
        size_t room = bytes > CHUNK_BYTES / 4 ? bytes : CHUNK_BYTES;
        struct chunk *fresh = mem_alloc(sizeof *fresh + room);
        if (fresh == NULL) return NULL;
        *fresh = (struct chunk){.room = room};
        l->bytes += sizeof *fresh + room;
        /* A large block goes behind one that is still filled. */
        struct chunk **place = c && room != CHUNK_BYTES ? &c->next : &l->chunks;
        fresh->next = *place;
        *place = fresh;
        c = fresh;
    }
    void *at = c->bytes + c->used;
    c->used += bytes;
    return at;
}

/* ---- the table ---- */

/* By bits that its slots don't go by. */
static size_t part_of(uint64_t hash)
{
    return hash >> 58;
}
_Static_assert(LAYER_PARTS == 1 << 6, "part_of() goes by six bits");

static struct entry **slot_of(const struct layer_part *p, struct bytes key,
                              uint64_t hash)
{
    size_t mask = p->room - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct entry *e = p->slots[i];
        if (e == NULL || (e->hash == hash && e->key_bytes == key.count &&
                          memcmp(e->key, key.at, key.count) == 0))
            return &p->slots[i];
    }
}

struct entry *layer_find(const struct layer *l, struct bytes key, uint64_t hash)
{
    const struct layer_part *p = &l->parts[part_of(hash)];
    return p->count ? *slot_of(p, key, hash) : NULL;
}

static err grow(struct layer *l, struct layer_part *p)
{
    struct layer_part wide = *p;
    wide.room = p->room ? p->room * 2 : SLOTS_FIRST;
    wide.slots = mem_zero(wide.room, sizeof *wide.slots);
    if (wide.slots == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < p->room; i++) {
        struct entry *e = p->slots[i];
        if (e) *slot_of(&wide, entry_key(e), e->hash) = e;
    }
    l->bytes += (wide.room - p->room) * sizeof *p->slots;
    mem_free(p->slots);
    *p = wide;
    return OK;
}

struct entry *layer_entry(struct layer *l, struct bytes key, uint64_t hash)
{
    struct layer_part *p = &l->parts[part_of(hash)];
    if (p->count * UINT64_C(4) >= p->room * UINT64_C(3) && grow(l, p) != OK)
        return NULL;
    struct entry **slot = slot_of(p, key, hash), *e = *slot;
    if (e) return e;
    e = take_room(l, sizeof *e + key.count);
    if (e == NULL) return NULL;
    *e = (struct entry){
        .hash = hash, .older = l->newest, .key_bytes = (uint32_t)key.count};
    memcpy(e->key, key.at, key.count);
    l->newest = *slot = e;
    p->count++;
    l->count++;
    return e;
}

err layer_each(const struct layer *l,
               err (*each)(void *context, const struct entry *entry),
               void *context)
{
    for (const struct entry *e = l->newest; e; e = e->older) {
        err error = each(context, e);
        if (error != OK) return error;
    }
    return OK;
}

/* ---- the index ---- */

/* Orders as the first eight bytes do; of shorter keys zeroes follow. */
static uint64_t head_of(struct bytes key)
{
    uint8_t first[8] = {0};
    memcpy(first, key.at, key.count < 8 ? key.count : 8);
    return value_load64(first);
}

static int in_order(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    if (x->head != y->head) return x->head < y->head ? -1 : 1;
    return bytes_order(entry_key(x->entry), entry_key(y->entry));
}

static err reserve(struct layer *l, size_t count)
{
    size_t room = l->index_room ? l->index_room : 64;
    while (room < count)
        room *= 2;
    if (room == l->index_room) return OK;
    struct ordered *wide = mem_resize(l->index, room * sizeof *wide);
    if (wide == NULL) return ERR_NOMEM;
    l->bytes += (room - l->index_room) * sizeof *wide;
    l->index = wide;
    l->index_room = room;
    return OK;
}

/* Both are in order, and the index has room for all; from behind, so that
 * nothing is moved twice. */
static void merge(struct layer *l, const struct ordered *added, size_t count)
{
    size_t left = l->index_count, to = left + count;
    while (count > 0) {
        bool old =
            left > 0 && in_order(&l->index[left - 1], &added[count - 1]) > 0;
        l->index[--to] = old ? l->index[--left] : added[--count];
    }
}

/* What has been made since is sorted by itself. */
static err refresh(struct layer *l)
{
    size_t count = 0, all = l->count;
    for (const struct entry *e = l->newest; e != l->indexed; e = e->older)
        count++;
    if (count == 0) return OK;
    struct ordered *added = mem_alloc(count * sizeof *added);
    if (added == NULL || reserve(l, all) != OK) {
        mem_free(added);
        return ERR_NOMEM;
    }
    size_t i = 0;
    for (struct entry *e = l->newest; e != l->indexed; e = e->older)
        added[i++] = (struct ordered){head_of(entry_key(e)), e};
    qsort(added, count, sizeof *added, in_order);
    merge(l, added, count);
    mem_free(added);
    l->index_count = all;
    l->indexed = l->newest;
    return OK;
}

err layer_seek(struct layer *l, struct bytes from, size_t *at)
{
    err e = refresh(l);
    if (e != OK) return e;
    size_t low = 0, high = l->index_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bytes_order(entry_key(l->index[middle].entry), from) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return OK;
}

/* ---- values ---- */

err entry_reserve(struct layer *l, struct entry *e, size_t room)
{
    if (room <= e->value_room) return OK;
    if (room < VALUE_ROOM_MIN) room = VALUE_ROOM_MIN;
    if (room > UINT32_MAX / 2) return ERR_NOMEM;
    if (e->value_room) room += room / 2;
    uint8_t *value = take_room(l, room);
    if (value == NULL) return ERR_NOMEM;
    if (e->value_bytes) memcpy(value, e->value, e->value_bytes);
    e->value = value;
    e->value_room = (uint32_t)room;
    return OK;
}

err entry_set(struct layer *l, struct entry *e, struct bytes value)
{
    if (value.at == NULL) {
        e->has = HAS_NONE;
        e->value_bytes = 0;
        return OK;
    }
    err error = entry_reserve(l, e, value.count);
    if (error != OK) return error;
    if (value.count) memcpy(e->value, value.at, value.count);
    e->value_bytes = (uint32_t)value.count;
    e->has = HAS_VALUE;
    return OK;
}
