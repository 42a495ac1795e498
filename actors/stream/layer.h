/* layer.h - keys and values in memory, one of the layers of a task's state
 * (state.c): found by a hash table, walked in the order of the keys by an index
 * that is made when somebody walks. Entries are never taken out; all of them go
 * with the layer.
 * The table is in parts that grow by themselves, so that no call pays for more
 * than a part of it.
 * One thread at a time; layer_each() also beside who only reads. */
#ifndef ACTORS_STREAM_LAYER_H
#define ACTORS_STREAM_LAYER_H

#include "core/store.h"

enum has {
    HAS_NOTHING, /* look in the layers below */
    HAS_VALUE,
    HAS_NONE, /* the key was removed */
};

struct entry {
    uint64_t hash;
    uint64_t call;       /* the last that changed it; state.c's */
    struct entry *older; /* made before it */
    uint8_t *value;
    uint32_t key_bytes, value_bytes, value_room;
    enum has has;
    uint8_t key[];
};

enum { LAYER_PARTS = 64 };

struct layer_part {
    struct entry **slots; /* owned; a power of two of them, or none */
    uint32_t room, count;
};

/* An entry by the first bytes of its key. */
struct ordered {
    uint64_t head;
    struct entry *entry;
};

struct layer {
    struct layer_part parts[LAYER_PARTS];
    size_t count;         /* entries */
    size_t bytes;         /* of memory */
    struct chunk *chunks; /* owned: what the entries lie in */
    struct entry *newest;
    /* In the order of the keys, all up to `indexed`. */
    struct ordered *index; /* owned */
    size_t index_count, index_room;
    struct entry *indexed;
};

/* Of zeroes one is made. */
void layer_fini(struct layer *layer);
/* Nobody walks any more. */
void layer_drop_index(struct layer *layer);

/* NULL: there is none. */
struct entry *layer_find(const struct layer *layer, struct bytes key,
                         uint64_t hash);
/* The entry of `key`, made with HAS_NOTHING if it is missing; NULL: out of
 * memory. */
struct entry *layer_entry(struct layer *layer, struct bytes key, uint64_t hash);
/* Calls until one isn't OK; in no order. */
err layer_each(const struct layer *layer,
               err (*each)(void *context, const struct entry *entry),
               void *context);
/* Brings the index up to date; then *at is the place in it of the first entry
 * whose key is `from` or behind it. ERR_NOMEM. */
err layer_seek(struct layer *layer, struct bytes from, size_t *at);

/* Room for a value of so many bytes; those it has stay. ERR_NOMEM. */
err entry_reserve(struct layer *layer, struct entry *entry, size_t room);
/* Copies; at NULL: the key is removed. ERR_NOMEM. */
err entry_set(struct layer *layer, struct entry *entry, struct bytes value);

static inline struct bytes entry_key(const struct entry *e)
{
    return bytes_of(e->key, e->key_bytes);
}
/* at NULL: it has none. */
static inline struct bytes entry_value(const struct entry *e)
{
    if (e->has != HAS_VALUE) return bytes_of(NULL, 0);
    return bytes_of(e->value ? e->value : e->key, e->value_bytes);
}

#endif
