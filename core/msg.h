/* msg.h - the envelope: what moves between actors in one process.
 * A message is taken from the sending thread's pool and goes back to the pool
 * of the thread that received it; pools even out through the node's depot. */
#ifndef CORE_MSG_H
#define CORE_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "core/atomic.h"
#include "core/err.h"

struct env;
struct edge;
struct ref;

typedef uint64_t actor_id; /* node:16 slot:24 generation:24; 0 is nobody */

enum msg_flag {
    MSG_EMBEDDED = 1, /* memory belongs to its holder, never to a pool */
    MSG_REF = 2,      /* the body begins with a struct ref *, which it owns */
    MSG_LARGE = 4,    /* its bytes count in the receiver's mailbox */
    MSG_DATA = 8,     /* data lane: it came by an edge, from its producer */
};

/* 40 bytes: with a few words of body it fills one line of a cache. */
struct msg {
    struct msg *next; /* the mailbox's */
    actor_id to;
    union {
        actor_id from;
        struct edge *by; /* MSG_DATA; see msg_edge() */
    };
    uint32_t cost_bytes; /* of the edge's credit */
    uint32_t bytes;      /* of the body, which follows the envelope */
    uint16_t kind;       /* one of the receiver's own kinds, see its header */
    uint8_t flags;       /* enum msg_flag */
    uint8_t size_class;
    int32_t ahead; /* see msg_lead() */
};

enum {
    MSG_BYTES_PAGE = 4096 - (int)sizeof(struct msg), /* of lists, say */
    MSG_BYTES_MAX = 32768 - (int)sizeof(struct msg)
};

static inline void *msg_body(const struct msg *m)
{
    union { /* the body is the receiver's to change */
        const struct msg *m;
        struct msg *writable;
    } u = {m};
    return u.writable + 1;
}

/* By which edge it came; NULL: it is control. */
static inline struct edge *msg_edge(const struct msg *m)
{
    return m->flags & MSG_DATA ? m->by : NULL;
}

/* The reference that a MSG_REF message carries. */
static inline struct ref *msg_ref(const struct msg *m)
{
    return *(struct ref **)msg_body(m);
}

/* A message from another thread lies in that processor's cache, and a list of
 * them shows the next one's place only when one has come. So each message says
 * where the one lies that its reader will come to some messages later; the
 * reader, who is still at `m`, has it fetched. It is a hint: any place will do.
 * The distance is in units of 16 bytes, as the heap aligns. */
enum { MSG_LEAD = 4 };
static inline void msg_lead(struct msg *m, const struct msg *later)
{
    m->ahead = (int32_t)(((intptr_t)later - (intptr_t)m) / 16);
}
static inline void msg_fetch_ahead(const struct msg *m)
{
    will_write(
        (const void *)((uintptr_t)m + (uintptr_t)((intptr_t)m->ahead * 16)));
}

/* An envelope with room for `bytes` of body, whose content is undefined; more
 * than MSG_BYTES_MAX comes straight from the heap. NULL: out of memory. Owned
 * until it is sent. */
struct msg *msg_new(struct env *env, uint16_t kind, uint32_t bytes);

/* Gives the envelope back, after dropping the reference it carries. Embedded
 * ones keep their memory. */
void msg_free(struct env *env, struct msg *m);

/* Per thread: free envelopes by size class, those freed last are taken first.
 * What lies in them is not read: it may still be in another processor's
 * cache. */
enum { MSG_CLASSES = 8, MSG_MAGAZINE = 64 };
struct msg_pool {
    uint32_t count[MSG_CLASSES];
    struct msg *free[MSG_CLASSES][2 * MSG_MAGAZINE];
};

/* The node's exchange of full magazines between threads. */
struct msg_depot;
struct msg_depot *msg_depot_new(void);
void msg_depot_free(struct msg_depot *depot);
/* Frees what the pool still holds; nothing may use it afterwards. */
void msg_pool_fini(struct msg_pool *pool);

#endif
