/* queue.h - the durable queue's rows in the store. A queue has a lane for each
 * task that writes to it; in a lane records are in order and numbered from 0.
 *   q QUEUE 0 b LANE NUMBER     a block of records from this one on
 *   q QUEUE 0 w LANE            how far it is written, and whether its end is
 *   q QUEUE 0 g GROUP 0 LANE    how far a group of readers is, and whose it is
 * LANE is TOPOLOGY 0 COMPONENT 0 INDEX; numbers are 8 bytes, the index is 4,
 * big-endian.
 * Source: Kafka's partitions, offsets and consumer groups; here a task's rows
 * and positions go into the checkpoint's own transaction. */
#ifndef ACTORS_CONNECTORS_QUEUE_H
#define ACTORS_CONNECTORS_QUEUE_H

#include "actors/stream/component.h"
#include "core/store.h"

enum { QUEUE_KEY_MAX = STORE_KEY_MAX, QUEUE_LANE_MAX = 160 };

enum queue_kind {
    QUEUE_BLOCK = 'b',
    QUEUE_WRITER = 'w',
    QUEUE_GROUP = 'g',
};

struct queue_lane {
    size_t count;
    uint8_t at[QUEUE_LANE_MAX];
};

static inline struct bytes queue_lane_bytes(const struct queue_lane *lane)
{
    return bytes_of(lane->at, lane->count);
}

struct queue_key {
    size_t count;
    uint8_t at[QUEUE_KEY_MAX];
};

static inline struct bytes queue_bytes(const struct queue_key *key)
{
    return bytes_of(key->at, key->count);
}

/* ERR_LIMIT: the names are too long together. */
err queue_lane_of(const struct component_context *context,
                  struct queue_lane *out);
/* What all keys of the kind begin with. ERR_LIMIT, as below. */
err queue_prefix(const char *queue, enum queue_kind kind,
                 struct queue_key *out);
err queue_writer_key(const char *queue, const struct queue_lane *lane,
                     struct queue_key *out);
err queue_block_key(const char *queue, const struct queue_lane *lane,
                    uint64_t number, struct queue_key *out);
err queue_group_key(const char *queue, const char *group,
                    const struct queue_lane *lane, struct queue_key *out);

/* Does the key begin so? Then *rest is what is behind it. */
bool queue_key_rest(struct bytes key, const struct queue_key *prefix,
                    struct bytes *rest);
/* The lane that is all of `rest`; false: it is none. */
bool queue_lane_get(struct bytes rest, struct queue_lane *out);
/* "TOPOLOGY" and "COMPONENT" of it. */
const char *queue_lane_topology(const struct queue_lane *lane);
const char *queue_lane_component(const struct queue_lane *lane);
unsigned queue_lane_index(const struct queue_lane *lane);

/* ---- values ---- */

struct queue_writer {
    uint64_t next; /* number of the record that comes next */
    bool ended;    /* its task has, none comes */
};

struct queue_place {
    uint64_t block; /* number of its first record */
    uint32_t taken; /* records of it */
};

enum { QUEUE_VALUE_MAX = 64, QUEUE_PLACE_MAX = 64 + QUEUE_LANE_MAX };

/* Bytes written to `out`. */
size_t queue_writer_put(const struct queue_writer *writer,
                        uint8_t out[QUEUE_VALUE_MAX]);
/* ERR_FORMAT: damaged, or a newer engine's. */
err queue_writer_get(struct bytes value, struct queue_writer *out);
/* The owner is the topology whose spout reads it; borrowed as the value is. */
size_t queue_place_put(const struct queue_place *place, const char *owner,
                       uint8_t out[QUEUE_PLACE_MAX]);
err queue_place_get(struct bytes value, struct queue_place *out,
                    struct bytes *owner);

/* A block: how many records; each its number of values, and they. `head` has
 * room for QUEUE_VALUE_MAX; the records stand behind what is put there. */
size_t queue_block_put(uint32_t count, uint8_t head[QUEUE_VALUE_MAX]);
/* Checks all of it: then its records can be walked without. */
err queue_block_get(struct bytes value, uint32_t *count, const uint8_t **at);
/* Sets *values and *arity to the record's, gives where the next one is. */
const uint8_t *queue_record(const uint8_t *at, const uint8_t **values,
                            unsigned *arity);

/* Is the row as one of a queue should be? ERR_NOTFOUND: it is none; ERR_FORMAT:
 * it is damaged. */
err queue_check(struct bytes key, struct bytes value);
/* The name of the first queue behind this one ("": of all). ERR_NOTFOUND:
 * none is. Borrowed from the view. */
err queue_next(struct store_view *view, struct bytes queue, struct bytes *out);

/* ---- --fresh ---- */

/* Groups that belong to the topology begin anew; the records stay. Blocks. */
err queue_forget(struct store *store, const char *topology,
                 char why[STORE_WHY_BYTES]);

#endif
