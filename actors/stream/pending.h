/* pending.h - a spout's roots that are not settled yet, and those that wait to
 * be emitted again. Dense: a root's entry is found by its sequence number. */
#ifndef ACTORS_STREAM_PENDING_H
#define ACTORS_STREAM_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct letter; /* see letters.h: one block of memory */

struct pending_entry {
    uint64_t token; /* the source's own: what it needs to emit it again */
    int64_t at_ns;  /* emitted */
    uint32_t tries; /* emitted so often before */
    bool open;
    bool letter; /* the token is one: pending_letter(); owned while open */
};

struct replay {
    uint64_t token;
    uint32_t tries;
    int64_t due_ns;
    uint64_t order; /* equal times: first failed, first again */
    bool letter;    /* as above; owned until it is popped */
};

/* The token of a letter, and back. */
static inline uint64_t pending_letter_token(const struct letter *letter)
{
    return (uint64_t)(uintptr_t)letter;
}
static inline struct letter *pending_letter(uint64_t token)
{
    return (struct letter *)(uintptr_t)token;
}

struct pending {
    struct pending_entry *ring; /* owned; `room` of them, a power of two */
    uint64_t room;
    uint64_t base, next;    /* sequences: all before base are settled */
    uint64_t count;         /* open ones */
    struct replay *replays; /* owned binary heap, earliest due first */
    uint32_t replay_count, replay_room;
    uint64_t replay_orders;
};

void pending_fini(struct pending *p);
/* All are forgotten, replays too; the numbers go on. */
void pending_forget(struct pending *p);
/* A new root; *sequence is its number. ERR_NOMEM. */
err pending_add(struct pending *p, uint64_t token, uint32_t tries,
                int64_t now_ns, uint64_t *sequence);
/* The newest root is a letter: its token is one. When the root is taken the
 * letter is the taker's; what is never taken is freed with the rest. */
void pending_mark_letter(struct pending *p);
/* Takes the newest back: it never was. Its letter stays whose it was. */
void pending_undo(struct pending *p);
/* Settles it. NULL: it isn't pending (any more). What it was is borrowed until
 * the next is added. */
const struct pending_entry *pending_take(struct pending *p, uint64_t sequence);
/* Room for one more replay. ERR_NOMEM. */
err pending_reserve(struct pending *p);
/* The token is to be emitted again at due_ns. Only with room for it. */
void pending_replay(struct pending *p, uint64_t token, uint32_t tries,
                    int64_t due_ns);
/* The same for a letter, which is owned from now on until it is popped. */
void pending_replay_letter(struct pending *p, struct letter *letter,
                           uint32_t tries, int64_t due_ns);
/* The replay that is due first; NULL: none waits. Borrowed. */
const struct replay *pending_due(const struct pending *p);
void pending_pop(struct pending *p);
/* The least token that isn't settled, letters' too; UINT64_MAX: all are. */
uint64_t pending_oldest(const struct pending *p);
/* Calls back for each open one and forgets it (the acker died). */
void pending_each(struct pending *p,
                  void (*fn)(void *context, uint64_t sequence), void *context);

#endif
