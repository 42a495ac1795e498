/* msg.h - the envelope: what moves between actors in one process.
 * A message is taken from the sending thread's pool and goes back to the pool
 * of the thread that received it; pools even out through the node's depot. */
#ifndef CORE_MSG_H
#define CORE_MSG_H

#include <stdint.h>

#include "core/err.h"

struct env;
struct edge;
struct ref;

typedef uint64_t actor_id; /* node:16 slot:24 generation:24; 0 is nobody */

enum msg_flag {
    MSG_EMBEDDED = 1, /* memory belongs to its holder, never to a pool */
    MSG_REF = 2,      /* the body begins with a struct ref *, which it owns */
    MSG_LARGE = 4,    /* its bytes count in the receiver's mailbox */
};

struct msg {
    struct msg *next; /* the mailbox's */
    actor_id to;
    actor_id from;
    struct edge *edge;   /* data lane: by which edge; NULL: control lane */
    uint32_t cost_bytes; /* of the edge's credit */
    uint32_t bytes;      /* of the body, which follows the envelope */
    uint16_t kind;       /* one of the receiver's own kinds, see its header */
    uint8_t flags;       /* enum msg_flag */
    uint8_t size_class;
};

enum { MSG_BYTES_MAX = 8192 - (int)sizeof(struct msg) };

static inline void *msg_body(const struct msg *m)
{
    union { /* the body is the receiver's to change */
        const struct msg *m;
        struct msg *writable;
    } u = {m};
    return u.writable + 1;
}

/* The reference that a MSG_REF message carries. */
static inline struct ref *msg_ref(const struct msg *m)
{
    return *(struct ref **)msg_body(m);
}

/* An envelope with room for `bytes` of body, whose content is undefined; more
 * than MSG_BYTES_MAX comes straight from the heap. NULL: out of memory. Owned
 * until it is sent. */
struct msg *msg_new(struct env *env, uint16_t kind, uint32_t bytes);

/* Gives the envelope back, after dropping the reference it carries. Embedded
 * ones keep their memory. */
void msg_free(struct env *env, struct msg *m);

/* Per thread: free envelopes by size class. */
enum { MSG_CLASSES = 8 };
struct msg_pool {
    struct msg *free[MSG_CLASSES];
    uint32_t count[MSG_CLASSES];
};

/* The node's exchange of full magazines between threads. */
struct msg_depot;
struct msg_depot *msg_depot_new(void);
void msg_depot_free(struct msg_depot *depot);
/* Frees what the pool still holds; nothing may use it afterwards. */
void msg_pool_fini(struct msg_pool *pool);

#endif
