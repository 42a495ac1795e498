#include "actors/stream/combiner.h"
#include "core/alloc.h"

enum {
    KEYS_ALL = 8192, /* of all ports, as long as each has KEYS_LEAST */
    KEYS_LEAST = 64,
    COUNT_BYTES = 5, /* of a row's count: always a MSGPACK_UINT32 */
    NUMBER_BYTES = 9,
};

#define LONG_KEY ((uint64_t)1 << 63) /* no short string has such a `high` */

struct combiner *combiner_new(uint32_t ports, bool reduces)
{
    uint32_t room = KEYS_ALL;
    while (room > KEYS_LEAST && room > KEYS_ALL / ports)
        room /= 2;
    struct combiner *c = mem_lines(1, sizeof *c);
    if (c == NULL) return NULL;
    c->room = room;
    c->keys = mem_lines(room, sizeof *c->keys);
    c->slots = mem_lines(2 * (size_t)room, sizeof *c->slots);
    if (reduces) c->numbers_before = mem_lines(room, sizeof *c->numbers_before);
    if (c->keys && c->slots && (c->numbers_before || !reduces)) return c;
    combiner_free(c);
    return NULL;
}

void combiner_free(struct combiner *c)
{
    if (c == NULL) return;
    mem_free(c->keys);
    mem_free(c->slots);
    mem_free(c->numbers_before);
    mem_free(c);
}

static uint32_t key_bytes(const struct combiner_key *k)
{
    return k->high & LONG_KEY ? (uint32_t)k->high
                              : 1 + (uint32_t)(k->high >> 56);
}

static uint64_t key_hash(const struct combiner_key *k)
{
    if (k->high & LONG_KEY) return k->low;
    return short_hash((struct short_string){k->low, k->high}, 0);
}

/* ---- one tuple ---- */

bool combiner_refuse(struct emitter *e)
{
    e->failed = true;
    return false;
}

/* The first tuple of this call, or of another root: an anchor for it. */
bool combiner_begin(struct emitter *e, struct port *port)
{
    struct combiner *c = port->combiner;
    if (port_reserve(e, port, 0) == NULL) return false;
    struct batch *b = batch_of(port->open);
    if (e->root != 0 &&
        (b->anchors == 0 || batch_anchor(b, b->anchors - 1)->root != e->root))
        port_anchor_root(e, b, 0);
    c->root = e->root;
    if (c->call == e->call) return true;
    c->call = e->call;
    c->alone_before = c->alone;
    return true;
}

static uint8_t *put_number(uint8_t *at, struct combiner_number n)
{
    *at = n.is_float ? MSGPACK_FLOAT64 : MSGPACK_INT64;
    value_store64(at + 1, n.bits);
    return at + NUMBER_BYTES;
}

static uint8_t *number_at(const struct port *port, const struct combiner_key *k)
{
    return batch_of(port->open)->data + k->row + key_bytes(k);
}

struct combiner_number combiner_number(const struct port *port,
                                       const struct combiner_key *k)
{
    const uint8_t *at = number_at(port, k);
    return (struct combiner_number){.bits = value_load64(at + 1),
                                    .is_float = *at == MSGPACK_FLOAT64};
}

/* Behind the key that stands at the end of the batch: its count, or number.
 * Gives the row to a key of the table, if there is room for one. */
static void add_count(struct emitter *e, struct port *port, uint8_t *at,
                      struct combiner_key key, uint32_t slot,
                      const struct combiner_number *first)
{
    struct combiner *c = port->combiner;
    struct batch *b = batch_of(port->open);
    key.row = b->used;
    if (first) {
        at = put_number(at, *first);
    } else {
        *at = MSGPACK_UINT32;
        value_store32(at + 1, 1);
        at += COUNT_BYTES;
    }
    b->used = (uint32_t)(at - b->data);
    b->count++;
    if (c->count == c->room) {
        c->alone++;
        return;
    }
    key.count = 1;
    key.call = (uint32_t)e->call;
    c->keys[c->count++] = key;
    c->slots[slot] = (uint16_t)c->count;
}

bool combiner_add_row(struct emitter *e, struct port *port,
                      struct short_string key, uint32_t slot,
                      const struct combiner_number *first)
{
    uint8_t *at = port_reserve(e, port, 1 + sizeof key + NUMBER_BYTES);
    if (at == NULL) return false;
    uint32_t length = (uint32_t)(key.high >> 56);
    *at = (uint8_t)(MSGPACK_FIXSTR | length);
    short_write(at + 1, key);
    add_count(e, port, at + 1 + length,
              (struct combiner_key){.low = key.low, .high = key.high}, slot,
              first);
    return true;
}

/* As combiner_find_short(). */
static struct combiner_key *find_long(const struct port *port,
                                      const uint8_t *key, uint64_t hash,
                                      uint32_t *slot)
{
    const struct combiner *c = port->combiner;
    uint32_t mask = 2 * c->room - 1;
    for (*slot = (uint32_t)hash & mask; c->slots[*slot] != 0;
         *slot = (*slot + 1) & mask) {
        struct combiner_key *k = &c->keys[c->slots[*slot] - 1];
        if (k->low == hash && k->high & LONG_KEY &&
            value_equal(batch_of(port->open)->data + k->row, key))
            return k;
    }
    return NULL;
}

static bool add_long(struct emitter *e, struct port *port, const uint8_t *key,
                     uint32_t bytes, uint64_t hash,
                     const struct combiner_number *first,
                     struct combiner_key **k)
{
    uint32_t slot;
    if (!combiner_has_root(e, port->combiner) && !combiner_begin(e, port))
        return false;
    *k = find_long(port, key, hash, &slot);
    if (*k) return true;
    uint8_t *at = port_reserve(e, port, bytes + NUMBER_BYTES);
    if (at == NULL) return false;
    memcpy(at, key, bytes);
    add_count(e, port, at + bytes,
              (struct combiner_key){.low = hash, .high = LONG_KEY | bytes},
              slot, first);
    return true;
}

/* False: it is another value. */
static bool is_short(const uint8_t *key, struct short_string *text)
{
    struct value v;
    value_get(key, &v);
    if (v.type != VALUE_BYTES || v.count > SHORT_MAX) return false;
    *text = short_copy(v.as.bytes, v.count);
    return true;
}

bool combiner_add(struct emitter *e, struct port *port, const uint8_t *key,
                  uint32_t bytes, uint64_t hash)
{
    struct short_string text;
    struct combiner_key *k;
    if (is_short(key, &text)) return combiner_add_short(e, port, text, hash);
    if (!add_long(e, port, key, bytes, hash, NULL, &k)) return false;
    return k == NULL || combiner_count(e, k);
}

bool combiner_add_number(struct emitter *e, struct port *port,
                         const uint8_t *key, uint32_t bytes, uint64_t hash,
                         struct combiner_number first, struct combiner_key **k)
{
    struct short_string text;
    uint32_t slot;
    if (!is_short(key, &text))
        return add_long(e, port, key, bytes, hash, &first, k);
    if (!combiner_has_root(e, port->combiner) && !combiner_begin(e, port))
        return false;
    *k = combiner_find_short(port->combiner, text, hash, &slot);
    return *k != NULL || combiner_add_row(e, port, text, slot, &first);
}

bool combiner_set_number(struct emitter *e, struct port *port,
                         struct combiner_key *k, struct combiner_number number)
{
    struct combiner *c = port->combiner;
    if (k->call != (uint32_t)e->call)
        c->numbers_before[k - c->keys] = combiner_number(port, k);
    if (!combiner_count(e, k)) return false;
    put_number(number_at(port, k), number);
    return true;
}

/* ---- the batch ---- */

static void forget(struct combiner *c)
{
    memset(c->slots, 0, 2 * (size_t)c->room * sizeof *c->slots);
    c->count = 0;
    c->alone = 0;
}

void combiner_seal(struct combiner *c, struct batch *b)
{
    b->combined = c->alone;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct combiner_key *k = &c->keys[i];
        if (c->numbers_before == NULL)
            value_store32(b->data + k->row + key_bytes(k) + 1, k->count);
        b->combined += k->count;
    }
    forget(c);
}

/* Backwards: then the keys that stood in a key's way are still there. */
static void forget_last(struct combiner *c)
{
    uint32_t mask = 2 * c->room - 1;
    uint32_t slot = (uint32_t)key_hash(&c->keys[c->count - 1]) & mask;
    while (c->slots[slot] != c->count)
        slot = (slot + 1) & mask;
    c->slots[slot] = 0;
    c->count--;
}

void combiner_undo(struct combiner *c, const struct emitter *e,
                   const struct port *port)
{
    if (c->call != e->call) return; /* it was refused before its first row */
    c->alone = c->alone_before;
    while (c->count > 0 && c->keys[c->count - 1].row >= port->mark_used)
        forget_last(c);
    for (uint32_t i = 0; i < c->count; i++) {
        struct combiner_key *k = &c->keys[i];
        if (k->call != (uint32_t)e->call) continue;
        k->count = k->before;
        if (c->numbers_before)
            put_number(number_at(port, k), c->numbers_before[i]);
    }
}
