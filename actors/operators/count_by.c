/* count_by.c - the operator `count_by "word"`: how often each value of a field
 * has come. Senders may have counted first (combiner.h). Emits all keys, in the
 * order in which they came first, at the end and at every tick.
 * The counts outlive an actor that crashes. Where the component keeps state,
 * what has changed is written to it when a checkpoint comes. */
#include "actors/operators/operator.h"
#include "core/alloc.h"
#include "core/atomic.h"
#include "core/buffer.h"
#include <string.h>

enum {
    KEYS_FIRST = 256,
    AHEAD = 16,           /* rows that are looked for at once */
    CHANGED_MAX = 1 << 16 /* keys: then a checkpoint comes soon */
};

/* No short string has such a `high`. */
#define LONG_KEY ((uint64_t)1 << 63)

/* A short string as it is; of another key its hash, and LONG_KEY with where its
 * bytes are in `longs`. */
struct counted {
    uint64_t low, high;
    uint64_t count;
};

struct counts {
    struct counted *keys; /* owned; in the order of arrival */
    uint32_t *slots;      /* owned: number of the key, from 1 on; 0: free */
    uint32_t count, room; /* of keys; twice as many slots */
    struct buffer longs;  /* encoded keys */
    struct buffer row;    /* scratch */
    uint32_t next;        /* to be emitted */
    bool durable;
    /* What has changed since the last checkpoint, if it is: owned. */
    uint32_t *changed; /* numbers, with room for all */
    uint32_t changed_count;
    uint8_t *is_changed; /* by number */
};

/* ---- the table ---- */

/* A key as it is looked for. */
struct key {
    uint64_t low, high, hash;
    const uint8_t *bytes; /* encoded */
    uint32_t byte_count;
};

static inline struct key short_key(struct short_string text, const uint8_t *at)
{
    return (struct key){.low = text.low,
                        .high = text.high,
                        .hash = short_hash(text, 0),
                        .bytes = at};
}

static struct key any_key(const uint8_t *at, const uint8_t *end)
{
    struct value v;
    value_get(at, &v);
    if (v.type == VALUE_BYTES && v.count <= SHORT_MAX)
        return short_key(short_copy(v.as.bytes, v.count), at);
    uint64_t hash = value_hash(at, 0);
    return (struct key){.low = hash,
                        .high = LONG_KEY,
                        .hash = hash,
                        .bytes = at,
                        .byte_count = (uint32_t)(end - at)};
}

static uint64_t hash_of(const struct counted *k)
{
    if (k->high & LONG_KEY) return k->low;
    return short_hash((struct short_string){k->low, k->high}, 0);
}

static inline bool is_same(const struct counts *c, const struct counted *k,
                           const struct key *key)
{
    if (k->low != key->low) return false;
    if (!(key->high & LONG_KEY)) return k->high == key->high;
    return k->high & LONG_KEY &&
           value_equal(c->longs.data + (k->high & ~LONG_KEY), key->bytes);
}

/* Its slot, or the free one where it belongs. */
static inline uint32_t find(const struct counts *c, const struct key *key)
{
    uint32_t mask = 2 * c->room - 1;
    uint32_t slot = (uint32_t)key->hash & mask;
    while (c->slots[slot] != 0 &&
           !is_same(c, &c->keys[c->slots[slot] - 1], key))
        slot = (slot + 1) & mask;
    return slot;
}

static size_t table_bytes(uint64_t room)
{
    return room * (sizeof(struct counted) + 2 * sizeof(uint32_t));
}

static void fill_slots(struct counts *c)
{
    uint32_t mask = 2 * c->room - 1;
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t slot = (uint32_t)hash_of(&c->keys[i]) & mask;
        while (c->slots[slot] != 0)
            slot = (slot + 1) & mask;
        c->slots[slot] = i + 1;
    }
}

/* Beside the keys. */
static err grow_changed(struct counts *c, uint64_t room)
{
    uint32_t *changed = mem_resize(c->changed, room * sizeof *changed);
    if (changed == NULL) return ERR_NOMEM;
    c->changed = changed;
    uint8_t *is = mem_resize(c->is_changed, room);
    if (is == NULL) return ERR_NOMEM;
    memset(is + c->room, 0, room - c->room);
    c->is_changed = is;
    return OK;
}

/* Room for so many keys more. ERR_NOMEM: nothing has changed. */
static err grow(struct counts *c, uint64_t more)
{
    uint64_t room = c->room ? c->room : KEYS_FIRST;
    while (room < c->count + more)
        room *= 2;
    if (room > UINT32_MAX / 2) return ERR_NOMEM;
    if (c->durable && grow_changed(c, room) != OK) return ERR_NOMEM;
    uint32_t *slots = mem_zero(2 * room, sizeof *slots);
    if (slots == NULL) return ERR_NOMEM;
    struct counted *keys = mem_resize(c->keys, room * sizeof *keys);
    if (keys == NULL) {
        mem_free(slots);
        return ERR_NOMEM;
    }
    mem_free(c->slots);
    c->keys = keys;
    c->slots = slots;
    c->room = (uint32_t)room;
    fill_slots(c);
    return OK;
}

/* So many keys more, whose bytes are so many: there is memory for them, within
 * the task's limit. */
static err reserve(struct component_context *context, struct counts *c,
                   uint64_t keys, size_t bytes)
{
    uint64_t room = c->room;
    while (room < c->count + keys)
        room *= 2;
    if (table_bytes(room) + c->longs.used + bytes >
        operator_memory_bytes(context))
        return ERR_NOMEM;
    if (room > c->room && grow(c, keys) != OK) return ERR_NOMEM;
    return buffer_reserve(&c->longs, bytes);
}

static void note_change(struct counts *c, uint32_t number)
{
    if (c->is_changed[number]) return;
    c->is_changed[number] = 1;
    c->changed[c->changed_count++] = number;
}

/* There is room for it. */
static inline void add(struct counts *c, const struct key *key, uint64_t times)
{
    uint32_t slot = find(c, key), number = c->slots[slot];
    if (c->durable) note_change(c, number ? number - 1 : c->count);
    if (number != 0) {
        c->keys[number - 1].count += times;
        return;
    }
    struct counted *k = &c->keys[c->count++];
    *k = (struct counted){key->low, key->high, times};
    if (key->high & LONG_KEY) {
        k->high |= c->longs.used;
        memcpy(c->longs.data + c->longs.used, key->bytes, key->byte_count);
        c->longs.used += key->byte_count;
    }
    c->slots[slot] = c->count;
}

static bool is_new(const struct counts *c, const struct key *key)
{
    return c->slots[find(c, key)] == 0;
}

/* ---- what comes ---- */

/* A key and its count, as a checkpoint saw them. */
static err take_row(struct component_context *context, void *self,
                    const uint8_t *values, const uint8_t *end)
{
    struct counts *c = self;
    const uint8_t *field, *behind, *stop;
    struct value pair, n;
    if (value_check(values, end, &stop) != OK) return ERR_FORMAT;
    field = value_head(values, &pair);
    if (pair.type != VALUE_ARRAY || pair.count != 2 || !value_is_key(field))
        return ERR_FORMAT;
    behind = value_skip(field);
    value_get(behind, &n);
    if (n.type != VALUE_INT) return ERR_FORMAT;
    struct key key = any_key(field, behind);
    if (reserve(context, c, 1, key.byte_count) != OK) return ERR_NOMEM;
    add(c, &key, (uint64_t)n.as.integer);
    return OK;
}

static void forget_changes(struct counts *c)
{
    while (c->changed_count > 0)
        c->is_changed[c->changed[--c->changed_count]] = 0;
}

static void end(struct component_context *context, void *self);

static err make(struct component_context *context, void *self)
{
    struct counts *c = self;
    c->durable = context->state != NULL;
    err e = grow(c, KEYS_FIRST);
    if (e == OK && c->durable) e = operator_each_row(context, c, take_row);
    if (e != OK)
        end(context, c);
    else if (c->durable)
        forget_changes(c);
    return e;
}

static void end(struct component_context *context, void *self)
{
    struct counts *c = self;
    mem_free(c->keys);
    mem_free(c->slots);
    mem_free(c->changed);
    mem_free(c->is_changed);
    buffer_fini(&c->longs);
    buffer_fini(&c->row);
}

static void execute_plain(struct component_context *context, struct counts *c,
                          struct input *input)
{
    unsigned place = operator_config(context)->places[input->source];
    unsigned arity = input_stream(context, input->source)->arity;
    const uint8_t *at;
    while ((at = input_next(context, input)) != NULL) {
        const uint8_t *field = value_skip_many(at, place);
        const uint8_t *behind = value_skip(field);
        const uint8_t *stop = value_skip_many(behind, arity - place - 1);
        if (!value_is_key(field)) {
            operator_fail_value(context, input, field, stop,
                                "which is no key; emit another value");
            continue;
        }
        struct key key = any_key(field, behind);
        if (is_new(c, &key) && reserve(context, c, 1, key.byte_count) != OK) {
            operator_fail_memory(context, input, stop);
            continue;
        }
        add(c, &key, 1);
        input_done(context, input, stop);
    }
}

/* A row of a combined batch; returns the byte behind it. */
static inline const uint8_t *read_row(const uint8_t *at, struct key *key,
                                      uint64_t *times)
{
    const uint8_t *behind;
    if ((*at & 0xf0) == MSGPACK_FIXSTR) { /* up to 15 bytes: short */
        uint32_t length = *at & 15;
        behind = at + 1 + length;
        *key = short_key(short_read((const char *)at + 1, length), at);
    } else {
        behind = value_skip(at);
        *key = any_key(at, behind);
    }
    struct value n;
    behind = value_get(behind, &n);
    *times = (uint64_t)n.as.integer;
    return behind;
}

/* There is memory for all its rows, whatever is new in them. */
static err reserve_rows(struct component_context *context, struct counts *c,
                        const struct batch *b)
{
    const uint8_t *at = b->data;
    uint64_t keys = 0;
    size_t bytes = 0;
    if (c->count + b->count <= c->room &&
        reserve(context, c, b->count, b->used) == OK)
        return OK;
    for (uint32_t i = 0; i < b->count; i++) {
        struct key key;
        uint64_t times;
        at = read_row(at, &key, &times);
        if (!is_new(c, &key)) continue;
        keys++;
        bytes += key.byte_count;
    }
    return reserve(context, c, keys, bytes);
}

/* The next rows, at most AHEAD: a table is larger than a near cache, so that
 * each waits for its slot and then for its key. They do so together. */
static const uint8_t *add_rows(struct counts *c, const uint8_t *at,
                               uint32_t rows)
{
    struct key keys[AHEAD];
    uint64_t times[AHEAD];
    uint32_t mask = 2 * c->room - 1;
    for (uint32_t i = 0; i < rows; i++) {
        at = read_row(at, &keys[i], &times[i]);
        will_write(&c->slots[keys[i].hash & mask]);
    }
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t number = c->slots[keys[i].hash & mask];
        if (number != 0) will_write(&c->keys[number - 1]);
    }
    for (uint32_t i = 0; i < rows; i++)
        add(c, &keys[i], times[i]);
    return at;
}

/* All rows or none. */
static void execute_combined(struct component_context *context,
                             struct counts *c, struct input *input)
{
    char why[OPERATOR_WHY_BYTES];
    if (reserve_rows(context, c, input->batch) != OK) {
        operator_memory_text(context, why);
        executor_fail_batch(context, input, why);
        return;
    }
    const uint8_t *at = input->batch->data;
    uint32_t left = input->batch->count;
    while (left > 0) {
        uint32_t some = left < AHEAD ? left : AHEAD;
        at = add_rows(c, at, some);
        left -= some;
    }
    input_batch_done(context, input);
}

static enum step execute(struct component_context *context, void *self,
                         struct input *input)
{
    if (input->batch->combined)
        execute_combined(context, self, input);
    else
        execute_plain(context, self, input);
    if (((struct counts *)self)->changed_count >= CHANGED_MAX)
        executor_checkpoint_soon(context, false);
    return STEP_DONE;
}

/* ---- what it says ---- */

/* Into c->row, from `room` bytes on: the key and its count. ERR_NOMEM. */
static err write_row(struct counts *c, const struct counted *k, size_t room)
{
    struct short_string text = {k->low, k->high};
    const uint8_t *bytes = NULL;
    uint32_t count = (uint32_t)(k->high >> 56);
    if (k->high & LONG_KEY) {
        bytes = c->longs.data + (k->high & ~LONG_KEY);
        count = (uint32_t)(value_skip(bytes) - bytes);
    }
    c->row.used = 0;
    if (buffer_reserve(&c->row,
                       room + 1 + sizeof text + count + VALUE_SCALAR_MAX) != OK)
        return ERR_NOMEM;
    uint8_t *at = c->row.data + room;
    if (bytes) {
        memcpy(at, bytes, count);
        at += count;
    } else {
        *at = (uint8_t)(MSGPACK_FIXSTR | count);
        short_write(at + 1, text);
        at += 1 + count;
    }
    at = value_put_int(at, (int64_t)k->count);
    c->row.used = (size_t)(at - c->row.data);
    return OK;
}

static bool emit(struct component_context *context, struct counts *c,
                 const struct counted *k)
{
    if (write_row(c, k, 0) == OK)
        return operator_emit(context, c->row.data, (uint32_t)c->row.used);
    strcpy(context->error, "out of memory");
    return false;
}

/* Rows are { key, count } by the order of arrival. */
static err keep(struct component_context *context, void *self,
                struct store_part **out)
{
    struct counts *c = self;
    for (; c->changed_count > 0; c->changed_count--) {
        uint32_t number = c->changed[c->changed_count - 1];
        err e = write_row(c, &c->keys[number], 1);
        if (e != OK) return e;
        value_put_array_head(c->row.data, 2);
        e = operator_put_row(context, number, c->row.data, c->row.used);
        if (e != OK) return e;
        c->is_changed[number] = 0;
    }
    return OK;
}

static enum step emit_rest(struct component_context *context, void *self)
{
    struct counts *c = self;
    for (; c->next < c->count; c->next++) {
        if (env_spent(context->env)) return STEP_YIELD;
        if (!emit(context, c, &c->keys[c->next])) return STEP_CRASH;
    }
    return STEP_DONE;
}

static enum step emit_all(struct component_context *context, void *self)
{
    struct counts *c = self;
    c->next = 0;
    return emit_rest(context, self);
}

static const struct component_class class = {
    .name = "count_by",
    .state_bytes = sizeof(struct counts),
    .stays = true,
    .heavy = true,
    .change = operator_change,
    .make = make,
    .free = end,
    .execute = execute,
    .finish = emit_all,
    .tick = emit_all,
    .resume = emit_rest,
    .keep = keep,
};

const struct operator_kind operator_count_by = {.name = "count_by",
                                                .class = &class};
