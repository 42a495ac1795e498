/* state.h - what a task keeps from checkpoint to checkpoint: a map from keys to
 * values, byte strings both, that may be larger than memory. Changes lie in
 * memory until a checkpoint takes them (state_freeze()) and its transaction has
 * written them (state_thaw()); what isn't in memory is read from the store.
 * What a call changes is taken back when it fails.
 * Of one task: one thread at a time; what is frozen is read by the one that
 * commits meanwhile. */
#ifndef ACTORS_STREAM_STATE_H
#define ACTORS_STREAM_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/store.h"

struct state;

/* Keys that begin with this byte are the engine's own. A key of sort_key.h, as
 * users' are, never does: they are behind all of those. */
enum { STATE_OWN = 0xf0 };

/* `prefix` (copied) begins the keys of all its records in the store, which is
 * borrowed. NULL: out of memory, or the prefix has more than 256 bytes. */
struct state *state_new(struct store *store, struct bytes prefix);
/* A commit that reads what is frozen goes on. NULL is fine. */
void state_free(struct state *state);
/* A key may have so many bytes. */
size_t state_key_max(const struct state *state);

/* *value is borrowed until the next call with this state; at NULL: there is no
 * such key. ERR_NOMEM; ERR_IO: the store can't be read. */
err state_get(struct state *state, struct bytes key, struct bytes *value);
/* Copies. value.at NULL removes the key. Errors as above: nothing changed. */
err state_put(struct state *state, struct bytes key, struct bytes value);

/* Removes a key that was put since the last checkpoint took the changes: the
 * next one needn't say that it is gone. ERR_NOMEM: nothing changed. */
err state_forget(struct state *state, struct bytes key);

/* A value to be changed where it lies. */
struct state_value {
    uint8_t *at;  /* with the room that was asked for */
    size_t count; /* bytes of the value; there may be none: see `is` */
    bool is;      /* there is a value */
    void *entry;
};
/* The value of `key` and room for `room` bytes in its place, for the caller to
 * write; then state_changed() before anything else is done with the state. */
err state_change(struct state *state, struct bytes key, size_t room,
                 struct state_value *out);
/* The same, with room for `more` behind it, for who changes the first `head`
 * bytes at most and adds to it: what it costs doesn't grow with the value. */
err state_append(struct state *state, struct bytes key, size_t head,
                 size_t more, struct state_value *out);
void state_changed(struct state *state, const struct state_value *value,
                   size_t count);

/* Appends to `out` the keys behind `from` (or at it, if `at` is set) that begin
 * with `prefix`, in order, `most` at most: each a uint32_t length and its
 * bytes. *count: how many. */
err state_keys(struct state *state, struct bytes prefix, struct bytes from,
               bool at, unsigned most, struct buffer *out, unsigned *count);

/* The call is over: its changes stay, or are taken back. */
void state_keep(struct state *state);
void state_undo(struct state *state);
/* The turn is over: nothing of the store is held. */
void state_rest(struct state *state);

/* Bytes of memory that changes take which no checkpoint has taken. */
size_t state_changed_bytes(const struct state *state);
/* A checkpoint takes the changes, between two calls, none being frozen. *part
 * is NULL where there are none; its drop() is owed when it is written.
 * ERR_NOMEM: nothing is taken. */
err state_freeze(struct state *state, struct store_part **part);
/* What was frozen is in the store, or its task has ended and reads no more. A
 * part that isn't dropped yet stays as it is. */
void state_thaw(struct state *state);

#endif
