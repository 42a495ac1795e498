/* combiner.h - counts on the sender's side: of the tuples that go to a task
 * which only counts how often each value of a field comes (input_plan.combines)
 * a port gathers one row a key, (key, how many), in its open batch. Where the
 * reader reduces the numbers that come with each key (input_plan.reduces), a
 * row is (key, number), and the writer makes one number of two.
 *
 * What holds for other ports holds for these. What one call added is taken
 * back with it: rows by the port's marks, counts by those of their keys. Each
 * root in hand gets one edge id for the batch, so acks stay exact; but a row
 * is of several roots, so the anchors belong to the batch as a whole, and its
 * reader takes all of it or fails all of it. A key that is none (nil, NaN)
 * must fail its own tuple only: such a tuple travels as it is, by
 * route_plain(). So does a value that is no number.
 *
 * All memory for keys is there from the beginning, the batch's is reserved by
 * the call that needs it: sending can't fail. When there is no more room for
 * keys a tuple gets a row of its own. */
#ifndef ACTORS_STREAM_COMBINER_H
#define ACTORS_STREAM_COMBINER_H

#include "actors/stream/emitter.h"

enum {
    COMBINER_SEAL_BYTES = 240 << 10
}; /* a batch is sent when it costs this */

/* A short string as it is; of other keys the hash, and COMBINER_LONG with the
 * bytes of the encoded key. */
struct combiner_key {
    uint64_t low, high;
    uint32_t row;    /* where its row begins in the batch */
    uint32_t count;  /* tuples */
    uint32_t before; /* … of the calls before `call` */
    uint32_t call;   /* that added to it last; its number's lower half */
};

/* In a row it stands as MSGPACK_INT64 or MSGPACK_FLOAT64 and 8 bytes. */
struct combiner_number {
    uint64_t bits; /* of an int64_t, or a double */
    bool is_float;
};

struct combiner {
    uint64_t call; /* in which the root below has its anchor */
    uint64_t root;
    uint32_t count; /* of keys */
    uint32_t room;  /* for keys; a power of two, with twice as many slots */
    uint32_t alone, alone_before; /* tuples with rows of their own; before … */
    struct combiner_key *keys;    /* owned */
    uint16_t *slots; /* owned: number of the key, from 1 on; 0: free */
    /* Owned: of each key, before `call`; NULL: rows hold counts. */
    struct combiner_number *numbers_before;
};

/* For a sender with so many ports; `reduces`: of numbers. NULL: out of memory.
 * Owned. */
struct combiner *combiner_new(uint32_t ports, bool reduces);
void combiner_free(struct combiner *c);

/* ---- for the emitter ---- */

/* The open batch is about to leave: its rows get their counts. */
void combiner_seal(struct combiner *c, struct batch *b);
/* Takes back what the call in hand added; the port's marks are still to be
 * applied. `b` is its open batch. */
void combiner_undo(struct combiner *c, const struct emitter *e,
                   const struct port *port);

/* ---- for writers that count: one tuple more of this key; `hash` is
 * value_hash_key()'s. False: refused, see emitter.failed. ---- */

/* The key is an encoded value that may be one (value_is_key()). */
bool combiner_add(struct emitter *e, struct port *port, const uint8_t *key,
                  uint32_t bytes, uint64_t hash);

bool combiner_begin(struct emitter *e, struct port *port);
bool combiner_add_row(struct emitter *e, struct port *port,
                      struct short_string key, uint32_t slot,
                      const struct combiner_number *first);
bool combiner_refuse(struct emitter *e);

static inline bool combiner_count(struct emitter *e, struct combiner_key *k)
{
    if (k->call != (uint32_t)e->call) {
        k->call = (uint32_t)e->call;
        k->before = k->count;
    }
    if (k->count == UINT32_MAX) return combiner_refuse(e);
    k->count++;
    return true;
}

/* Has the root in hand its anchor? Lists of roots are not told apart. */
static inline bool combiner_has_root(const struct emitter *e,
                                     const struct combiner *c)
{
    return c->call == e->call && c->root == e->root && e->root != ROOT_LIST;
}

/* NULL: it has no row; one would belong to *slot. */
static inline struct combiner_key *combiner_find_short(const struct combiner *c,
                                                       struct short_string key,
                                                       uint64_t hash,
                                                       uint32_t *slot)
{
    uint32_t mask = 2 * c->room - 1;
    for (*slot = (uint32_t)hash & mask;; *slot = (*slot + 1) & mask) {
        uint32_t number = c->slots[*slot];
        if (number == 0) return NULL;
        struct combiner_key *k = &c->keys[number - 1];
        if (k->low == key.low && k->high == key.high) return k;
    }
}

static inline bool combiner_add_short(struct emitter *e, struct port *port,
                                      struct short_string key, uint64_t hash)
{
    struct combiner *c = port->combiner;
    uint32_t slot;
    if (!combiner_has_root(e, c) && !combiner_begin(e, port)) return false;
    struct combiner_key *k = combiner_find_short(c, key, hash, &slot);
    if (k == NULL) return combiner_add_row(e, port, key, slot, NULL);
    return combiner_count(e, k);
}

/* ---- for writers that reduce ---- */

/* Has the key a number already? Then `k` is its entry; else the number that is
 * given becomes its first. False: refused. */
bool combiner_add_number(struct emitter *e, struct port *port,
                         const uint8_t *key, uint32_t bytes, uint64_t hash,
                         struct combiner_number first, struct combiner_key **k);
/* What the key's number is so far. */
struct combiner_number combiner_number(const struct port *port,
                                       const struct combiner_key *k);
/* This instead, for one tuple more. False: refused. */
bool combiner_set_number(struct emitter *e, struct port *port,
                         struct combiner_key *k, struct combiner_number number);

#endif
