/* undecided.h - tokens of a source that can't go back: they are settled, and no
 * checkpoint has decided that. When all tasks go back to one these come again,
 * since what they did to state is taken back; so the source keeps them until it
 * is decided. The queue is in the order in which they were settled. One thread
 * at a time: the task's.
 * Source: what Kafka Streams and Flink leave to their sources, which rewind. */
#ifndef ACTORS_STREAM_UNDECIDED_H
#define ACTORS_STREAM_UNDECIDED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct undecided {
    struct undecided_token *ring; /* owned */
    uint64_t room, first, next;   /* room: a power of two; first to next */
    uint64_t snapshots;           /* the source was asked for so many */
};

/* All zeroes is an empty one. */
void undecided_fini(struct undecided *u);
static inline uint64_t undecided_count(const struct undecided *u)
{
    return u->next - u->first;
}
/* Room for so many in all. ERR_NOMEM. */
err undecided_reserve(struct undecided *u, uint64_t count);
/* It was settled; there is room. */
void undecided_add(struct undecided *u, uint64_t token);
/* A snapshot is taken: what was settled before it waits for that one. */
static inline void undecided_snapshot(struct undecided *u)
{
    u->snapshots++;
}
/* The next one that was settled before the newest snapshot, which is decided:
 * it is taken out. False: there are no more. */
bool undecided_take(struct undecided *u, uint64_t *token);
/* The next one, whatever was decided. */
bool undecided_take_any(struct undecided *u, uint64_t *token);

#endif
