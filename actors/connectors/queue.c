#include "actors/connectors/queue.h"
#include "core/value.h"
#include <stdio.h>
#include <string.h>

enum { VERSION = 1 };

/* ---- keys ---- */

static err add(struct queue_key *key, const void *bytes, size_t count)
{
    if (count > sizeof key->at - key->count) return ERR_LIMIT;
    memcpy(key->at + key->count, bytes, count);
    key->count += count;
    return OK;
}

static err add_lane(struct queue_key *key, err e, const struct queue_lane *lane)
{
    return e == OK ? add(key, lane->at, lane->count) : e;
}

err queue_lane_of(const struct component_context *context,
                  struct queue_lane *out)
{
    size_t topology = strlen(context->plan->name) + 1;
    size_t component = strlen(context->component->name) + 1;
    if (topology + component + 4 > sizeof out->at) return ERR_LIMIT;
    memcpy(out->at, context->plan->name, topology);
    memcpy(out->at + topology, context->component->name, component);
    out->count = topology + component;
    value_store32(out->at + out->count, context->index);
    out->count += 4;
    return OK;
}

err queue_prefix(const char *queue, enum queue_kind kind, struct queue_key *out)
{
    char letter = (char)kind;
    out->count = 0;
    err e = add(out, "q", 1);
    if (e == OK) e = add(out, queue, strlen(queue) + 1);
    return e == OK ? add(out, &letter, 1) : e;
}

err queue_writer_key(const char *queue, const struct queue_lane *lane,
                     struct queue_key *out)
{
    return add_lane(out, queue_prefix(queue, QUEUE_WRITER, out), lane);
}

err queue_block_key(const char *queue, const struct queue_lane *lane,
                    uint64_t number, struct queue_key *out)
{
    uint8_t bytes[8];
    value_store64(bytes, number);
    err e = add_lane(out, queue_prefix(queue, QUEUE_BLOCK, out), lane);
    return e == OK ? add(out, bytes, sizeof bytes) : e;
}

err queue_group_key(const char *queue, const char *group,
                    const struct queue_lane *lane, struct queue_key *out)
{
    err e = queue_prefix(queue, QUEUE_GROUP, out);
    if (e == OK) e = add(out, group, strlen(group) + 1);
    return add_lane(out, e, lane);
}

bool queue_key_rest(struct bytes key, const struct queue_key *prefix,
                    struct bytes *rest)
{
    if (key.count < prefix->count ||
        memcmp(key.at, prefix->at, prefix->count) != 0)
        return false;
    *rest = bytes_of((const uint8_t *)key.at + prefix->count,
                     key.count - prefix->count);
    return true;
}

bool queue_lane_get(struct bytes rest, struct queue_lane *out)
{
    if (rest.count > sizeof out->at) return false;
    memcpy(out->at, rest.at, rest.count);
    out->count = rest.count;
    const uint8_t *end = out->at + out->count;
    const uint8_t *name = memchr(out->at, 0, out->count);
    const uint8_t *index =
        name ? memchr(name + 1, 0, (size_t)(end - name - 1)) : NULL;
    return index && end - index == 5;
}

const char *queue_lane_topology(const struct queue_lane *lane)
{
    return (const char *)lane->at;
}

const char *queue_lane_component(const struct queue_lane *lane)
{
    const char *topology = queue_lane_topology(lane);
    return topology + strlen(topology) + 1;
}

unsigned queue_lane_index(const struct queue_lane *lane)
{
    return value_load32(lane->at + lane->count - 4);
}

/* ---- values ---- */

static size_t put_ints(const int64_t *list, int count, uint8_t *out)
{
    uint8_t *at = out;
    for (int i = 0; i < count; i++)
        at = value_put_int(at, list[i]);
    return (size_t)(at - out);
}

/* The integers that a value begins with; *at is behind them. */
static err get_ints(const uint8_t **at, const uint8_t *end, int64_t *list,
                    int count)
{
    for (int i = 0; i < count; i++) {
        const uint8_t *next;
        struct value v;
        if (value_check(*at, end, &next) != OK) return ERR_FORMAT;
        value_get(*at, &v);
        if (v.type != VALUE_INT || v.as.integer < 0) return ERR_FORMAT;
        list[i] = v.as.integer;
        *at = next;
    }
    return list[0] == VERSION ? OK : ERR_FORMAT;
}

size_t queue_writer_put(const struct queue_writer *writer,
                        uint8_t out[QUEUE_VALUE_MAX])
{
    int64_t list[] = {VERSION, (int64_t)writer->next, writer->ended};
    return put_ints(list, 3, out);
}

err queue_writer_get(struct bytes value, struct queue_writer *out)
{
    int64_t list[3];
    const uint8_t *at = value.at, *end = at + value.count;
    err e = get_ints(&at, end, list, 3);
    if (e != OK || at != end) return ERR_FORMAT;
    *out = (struct queue_writer){(uint64_t)list[1], list[2] != 0};
    return OK;
}

size_t queue_place_put(const struct queue_place *place, const char *owner,
                       uint8_t out[QUEUE_PLACE_MAX])
{
    int64_t list[] = {VERSION, (int64_t)place->block, place->taken};
    size_t ints = put_ints(list, 3, out), count = strlen(owner);
    if (count > QUEUE_LANE_MAX) count = QUEUE_LANE_MAX;
    uint8_t *end = value_put_bytes(out + ints, owner, (uint32_t)count);
    return (size_t)(end - out);
}

err queue_place_get(struct bytes value, struct queue_place *out,
                    struct bytes *owner)
{
    int64_t list[3];
    const uint8_t *at = value.at, *end = at + value.count, *next;
    struct value name;
    err e = get_ints(&at, end, list, 3);
    if (e != OK || list[2] > UINT32_MAX) return ERR_FORMAT;
    if (value_check(at, end, &next) != OK) return ERR_FORMAT;
    value_get(at, &name);
    if (name.type != VALUE_BYTES || next != end) return ERR_FORMAT;
    *owner = bytes_of(name.as.bytes, name.count);
    *out = (struct queue_place){(uint64_t)list[1], (uint32_t)list[2]};
    return OK;
}

size_t queue_block_put(uint32_t count, uint8_t head[QUEUE_VALUE_MAX])
{
    int64_t list[] = {VERSION, count};
    return put_ints(list, 2, head);
}

static err check_record(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *begin = *at;
    struct value arity;
    if (value_check(begin, end, at) != OK) return ERR_FORMAT;
    value_get(begin, &arity);
    if (arity.type != VALUE_INT || arity.as.integer < 0 ||
        arity.as.integer > FIELDS_MAX)
        return ERR_FORMAT;
    for (int64_t i = 0; i < arity.as.integer; i++)
        if (value_check(*at, end, at) != OK) return ERR_FORMAT;
    return OK;
}

err queue_block_get(struct bytes value, uint32_t *count, const uint8_t **at)
{
    int64_t list[2];
    const uint8_t *next = value.at, *end = next + value.count;
    err e = get_ints(&next, end, list, 2);
    if (e != OK || list[1] > UINT32_MAX) return ERR_FORMAT;
    *count = (uint32_t)list[1];
    *at = next;
    for (uint32_t i = 0; i < *count; i++)
        if (check_record(&next, end) != OK) return ERR_FORMAT;
    return next == end ? OK : ERR_FORMAT;
}

const uint8_t *queue_record(const uint8_t *at, const uint8_t **values,
                            unsigned *arity)
{
    struct value v;
    *values = value_head(at, &v);
    *arity = (unsigned)v.as.integer;
    return value_skip_many(*values, *arity);
}

/* ---- all there is ---- */

/* Which kind of row of whichever queue; 0: none. */
static int kind_of(struct bytes key, struct bytes *queue)
{
    const uint8_t *at = key.at, *end = at + key.count;
    const uint8_t *zero = memchr(at, 0, key.count);
    if (key.count == 0 || at[0] != 'q' || zero == NULL || zero + 1 == end)
        return 0;
    *queue = bytes_of(at + 1, (size_t)(zero - at - 1));
    return zero[1];
}

err queue_check(struct bytes key, struct bytes value)
{
    struct queue_writer writer;
    struct queue_place place;
    struct bytes queue, owner;
    uint32_t count;
    const uint8_t *at;
    switch (kind_of(key, &queue)) {
    case QUEUE_BLOCK: return queue_block_get(value, &count, &at);
    case QUEUE_WRITER: return queue_writer_get(value, &writer);
    case QUEUE_GROUP: return queue_place_get(value, &place, &owner);
    default: return ERR_NOTFOUND;
    }
}

/* Names have no such characters: all of a queue's keys are before it. */
enum { BEHIND = 1 };

err queue_next(struct store_view *view, struct bytes queue, struct bytes *out)
{
    struct queue_key from = {.count = 1, .at = "q"};
    struct bytes key, value;
    const uint8_t behind = BEHIND;
    err e = add(&from, queue.at, queue.count);
    if (e == OK && queue.count > 0) e = add(&from, &behind, 1);
    if (e == OK) e = store_seek(view, queue_bytes(&from), &key, &value);
    if (e == OK && kind_of(key, out) == 0) e = ERR_NOTFOUND;
    return e;
}

/* ---- --fresh ---- */

enum { FORGET_AT_ONCE = 1000 };

/* Of the group's row: does it belong to the topology's spouts? */
static bool belongs(struct bytes value, const char *topology)
{
    struct queue_place place;
    struct bytes owner;
    return queue_place_get(value, &place, &owner) == OK &&
           bytes_order(owner, bytes_of(topology, strlen(topology))) == 0;
}

static err forget_groups(struct store_view *view, struct bytes queue,
                         struct store_write *write, const char *topology,
                         unsigned *count)
{
    struct queue_key prefix;
    struct bytes key, value, rest;
    char name[QUEUE_KEY_MAX];
    snprintf(name, sizeof name, "%.*s", (int)queue.count,
             (const char *)queue.at);
    err e = queue_prefix(name, QUEUE_GROUP, &prefix);
    err found =
        e == OK ? store_seek(view, queue_bytes(&prefix), &key, &value) : e;
    while (e == OK && found == OK && queue_key_rest(key, &prefix, &rest) &&
           *count < FORGET_AT_ONCE) {
        if (belongs(value, topology)) {
            e = store_remove(write, key);
            ++*count;
        }
        found = store_next(view, &key, &value);
    }
    return e;
}

/* Some of all; *count: so many. */
static err forget_some(struct store *store, struct store_write *write,
                       const char *topology, unsigned *count)
{
    struct store_view *view;
    struct bytes queue = bytes_of("", 0);
    char name[QUEUE_KEY_MAX];
    err e = store_view(store, &view);
    if (e != OK) return e;
    while (e == OK && queue_next(view, queue, &queue) == OK) {
        memcpy(name, queue.at, queue.count); /* a walk moves on from it */
        queue.at = name;
        e = forget_groups(view, queue, write, topology, count);
    }
    store_unview(view);
    return e;
}

err queue_forget(struct store *store, const char *topology,
                 char why[STORE_WHY_BYTES])
{
    unsigned count = FORGET_AT_ONCE;
    err e = OK;
    while (e == OK && count >= FORGET_AT_ONCE) {
        struct store_write *write = store_write_new(store);
        if (write == NULL) return ERR_NOMEM;
        count = 0;
        e = forget_some(store, write, topology, &count);
        if (e == OK && count > 0) e = store_commit(write);
        if (e != OK)
            snprintf(why, STORE_WHY_BYTES, "%s",
                     write->why[0] ? write->why : err_text(e));
        store_write_drop(NULL, write);
    }
    return e;
}
