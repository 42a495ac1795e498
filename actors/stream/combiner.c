#include "actors/stream/combiner.h"
#include "core/alloc.h"

enum {
    KEYS_MOST = 2048, /* of one port */
    KEYS_ALL = 4096,  /* of all ports, as long as each has KEYS_LEAST */
    KEYS_LEAST = 64,
    COUNT_BYTES = 5, /* of a row's count: always a MSGPACK_UINT32 */
};

#define LONG_KEY ((uint64_t)1 << 63) /* no short string has such a `high` */

struct combiner *combiner_new(uint32_t ports)
{
    uint32_t room = KEYS_MOST;
    while (room > KEYS_LEAST && room > KEYS_ALL / ports)
        room /= 2;
    struct combiner *c = mem_lines(1, sizeof *c);
    if (c == NULL) return NULL;
    c->room = room;
    c->keys = mem_lines(room, sizeof *c->keys);
    c->slots = mem_lines(2 * (size_t)room, sizeof *c->slots);
    if (c->keys && c->slots) return c;
    combiner_free(c);
    return NULL;
}

void combiner_free(struct combiner *c)
{
    if (c == NULL) return;
    mem_free(c->keys);
    mem_free(c->slots);
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

/* Behind the key that stands at the end of the batch: its count. Gives the row
 * to a key of the table, if there is room for one. */
static void add_count(struct emitter *e, struct port *port, uint8_t *at,
                      struct combiner_key key, uint32_t slot)
{
    struct combiner *c = port->combiner;
    struct batch *b = batch_of(port->open);
    key.row = b->used;
    *at = MSGPACK_UINT32;
    value_store32(at + 1, 1);
    b->used = (uint32_t)(at + COUNT_BYTES - b->data);
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
                      struct short_string key, uint32_t slot)
{
    uint8_t *at = port_reserve(e, port, 1 + sizeof key + COUNT_BYTES);
    if (at == NULL) return false;
    uint32_t length = (uint32_t)(key.high >> 56);
    *at = (uint8_t)(MSGPACK_FIXSTR | length);
    short_write(at + 1, key);
    add_count(e, port, at + 1 + length,
              (struct combiner_key){.low = key.low, .high = key.high}, slot);
    return true;
}

static bool add_long(struct emitter *e, struct port *port, const uint8_t *key,
                     uint32_t bytes, uint64_t hash)
{
    struct combiner *c = port->combiner;
    if (!combiner_has_root(e, c) && !combiner_begin(e, port)) return false;
    uint32_t mask = 2 * c->room - 1, slot = (uint32_t)hash & mask;
    for (; c->slots[slot] != 0; slot = (slot + 1) & mask) {
        struct combiner_key *k = &c->keys[c->slots[slot] - 1];
        if (k->low == hash && k->high & LONG_KEY &&
            value_equal(batch_of(port->open)->data + k->row, key))
            return combiner_count(e, k);
    }
    uint8_t *at = port_reserve(e, port, bytes + COUNT_BYTES);
    if (at == NULL) return false;
    memcpy(at, key, bytes);
    add_count(e, port, at + bytes,
              (struct combiner_key){.low = hash, .high = LONG_KEY | bytes},
              slot);
    return true;
}

bool combiner_add(struct emitter *e, struct port *port, const uint8_t *key,
                  uint32_t bytes, uint64_t hash)
{
    struct value v;
    value_get(key, &v);
    if (v.type != VALUE_BYTES || v.count > SHORT_MAX)
        return add_long(e, port, key, bytes, hash);
    return combiner_add_short(e, port, short_copy(v.as.bytes, v.count), hash);
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
    for (uint32_t i = 0; i < c->count; i++)
        if (c->keys[i].call == (uint32_t)e->call)
            c->keys[i].count = c->keys[i].before;
}
