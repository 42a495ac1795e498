#include "actors/stream/ttl.h"
#include "core/value.h"
#include <string.h>

enum { SWEEP_MOST = 2 * TTL_SWEEP_EVERY, ROW = 't' };

struct ttl_key {
    size_t count;
    uint8_t at[TTL_KEY + STORE_KEY_MAX];
};

struct bytes ttl_value(struct bytes row, int64_t *gone_ns)
{
    const uint8_t *at = row.at;
    *gone_ns = INT64_MAX;
    if (at == NULL || row.count < TTL_HEAD || at[0] != TTL_MARK) return row;
    *gone_ns = (int64_t)value_load64(at + 1);
    return bytes_of(at + TTL_HEAD, row.count - TTL_HEAD);
}

static struct bytes time_key(struct ttl_key *out, struct bytes key,
                             int64_t gone_ns)
{
    out->at[0] = STATE_OWN;
    out->at[1] = ROW;
    value_store64(out->at + 2, (uint64_t)gone_ns);
    memcpy(out->at + TTL_KEY, key.at, key.count);
    out->count = TTL_KEY + key.count;
    return bytes_of(out->at, out->count);
}

static err forget_time(struct state *state, struct bytes key)
{
    int64_t gone_ns;
    struct bytes row;
    struct ttl_key old;
    err e = state_get(state, key, &row);
    if (e != OK) return e;
    ttl_value(row, &gone_ns);
    if (gone_ns == INT64_MAX) return OK;
    return state_put(state, time_key(&old, key, gone_ns), bytes_of(NULL, 0));
}

err ttl_put(struct state *state, struct bytes key, struct bytes value,
            int64_t gone_ns, struct buffer *scratch)
{
    static const uint8_t nothing = MSGPACK_NIL;
    struct ttl_key time;
    err e = forget_time(state, key);
    if (e != OK || value.at == NULL)
        return e == OK ? state_put(state, key, value) : e;
    scratch->used = 0;
    if (buffer_reserve(scratch, TTL_HEAD + value.count) != OK) return ERR_NOMEM;
    scratch->data[0] = TTL_MARK;
    value_store64(scratch->data + 1, (uint64_t)gone_ns);
    memcpy(scratch->data + TTL_HEAD, value.at, value.count);
    e = state_put(state, key, bytes_of(scratch->data, TTL_HEAD + value.count));
    if (e != OK) return e;
    return state_put(state, time_key(&time, key, gone_ns),
                     bytes_of(&nothing, 1));
}

/* The row of a time, and the key's if it is still of that time. */
static err remove_one(struct state *state, struct bytes row)
{
    int64_t gone_ns,
        said_ns = (int64_t)value_load64((const uint8_t *)row.at + 2);
    struct bytes value,
        key = bytes_of((const uint8_t *)row.at + TTL_KEY, row.count - TTL_KEY);
    err e = state_get(state, key, &value);
    if (e != OK) return e;
    ttl_value(value, &gone_ns);
    if (gone_ns == said_ns) e = state_put(state, key, bytes_of(NULL, 0));
    return e == OK ? state_put(state, row, bytes_of(NULL, 0)) : e;
}

err ttl_sweep(struct state *state, int64_t now_ns, struct buffer *scratch)
{
    static const uint8_t prefix[] = {STATE_OWN, ROW};
    unsigned count;
    scratch->used = 0;
    err e = state_keys(state, bytes_of(prefix, sizeof prefix),
                       bytes_of(prefix, sizeof prefix), true, SWEEP_MOST,
                       scratch, &count);
    const uint8_t *at = scratch->data;
    for (unsigned i = 0; e == OK && i < count; i++) {
        uint32_t bytes;
        memcpy(&bytes, at, sizeof bytes);
        struct bytes row = bytes_of(at + sizeof bytes, bytes);
        at += sizeof bytes + bytes;
        if (bytes < TTL_KEY ||
            (int64_t)value_load64((const uint8_t *)row.at + 2) > now_ns)
            return OK;
        e = remove_one(state, row);
    }
    return e;
}
