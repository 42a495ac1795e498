/* ttl.h - values of a state that are gone after a while. The row of one is
 * TTL_MARK, when it is gone (ns since 1970, 8 bytes, big-endian) and the value:
 * so it says so itself, whoever reads it. Another row of each tells in the
 * order of these times which may be removed: STATE_OWN 't' TIME KEY. From its
 * time on a value is none; its rows are removed some at a time by later writes.
 * Source: Flink's state TTL, RocksDB's. Thread: the state's. */
#ifndef ACTORS_STREAM_TTL_H
#define ACTORS_STREAM_TTL_H

#include "actors/stream/state.h"
#include "core/buffer.h"

enum {
    TTL_MARK = 0xc1, /* no value begins so */
    TTL_HEAD = 9,
    TTL_KEY = 10, /* bytes of the other row's key before the value's */
};

/* The value in a row (at NULL: none); *gone_ns: INT64_MAX is never. */
struct bytes ttl_value(struct bytes row, int64_t *gone_ns);
/* Writes the value, or removes the key (at NULL). ERR_NOMEM, ERR_IO as of
 * state.h: the call is to be undone. `scratch` is used. */
err ttl_put(struct state *state, struct bytes key, struct bytes value,
            int64_t gone_ns, struct buffer *scratch);
/* Removes some of those that are gone, more than were put since. */
err ttl_sweep(struct state *state, int64_t now_ns, struct buffer *scratch);

enum { TTL_SWEEP_EVERY = 64 /* puts */ };

#endif
