/* msg.c - envelopes by size class, recycled per thread.
 * A thread that sends more than it receives would starve its pool and bloat
 * another's: pools trade magazines through the node's depot. */
#include "core/msg.h"
#include "core/alloc.h"
#include "core/ref.h"
#include "core/runtime.h"

static const uint16_t class_bytes[MSG_CLASSES] = {64,  96,   160,  288,
                                                  544, 1056, 4096, 8192};
/* Envelopes that change hands at once, and how many of these the depot keeps:
 * about 64 KB, and 1 MB in all for the largest. */
static const uint16_t magazine[MSG_CLASSES] = {64, 64, 64, 64, 64, 64, 16, 8};
enum { DEPOT_MAX = 16, FROM_HEAP = MSG_CLASSES };

struct msg_depot {
    pthread_mutex_t lock;
    struct msg *magazines[MSG_CLASSES]; /* linked by the first one's edge */
    uint32_t count[MSG_CLASSES];
};

struct msg_depot *msg_depot_new(void)
{
    struct msg_depot *depot = mem_zero(1, sizeof *depot);
    if (depot) pthread_mutex_init(&depot->lock, NULL);
    return depot;
}

static void free_list(struct msg *m)
{
    while (m) {
        struct msg *next = m->next;
        mem_free(m);
        m = next;
    }
}

/* Magazines hang together by `to`, which a free envelope doesn't need. */
static struct msg *magazine_next(const struct msg *m)
{
    return (struct msg *)(uintptr_t)m->to;
}

void msg_depot_free(struct msg_depot *depot)
{
    if (depot == NULL) return;
    for (int c = 0; c < MSG_CLASSES; c++) {
        struct msg *full = depot->magazines[c];
        while (full) {
            struct msg *next = magazine_next(full);
            free_list(full);
            full = next;
        }
    }
    pthread_mutex_destroy(&depot->lock);
    mem_free(depot);
}

void msg_pool_fini(struct msg_pool *pool)
{
    for (int c = 0; c < MSG_CLASSES; c++) {
        free_list(pool->free[c]);
        pool->free[c] = NULL;
        pool->count[c] = 0;
    }
}

/* One magazine from the depot, else one new envelope; NULL: no memory. */
__attribute__((noinline)) static struct msg *refill(struct env *env, unsigned c)
{
    struct msg_depot *depot = env->node->depot;
    pthread_mutex_lock(&depot->lock);
    struct msg *m = depot->magazines[c];
    if (m) {
        depot->magazines[c] = magazine_next(m);
        depot->count[c]--;
    }
    pthread_mutex_unlock(&depot->lock);
    if (m) {
        env->pool.free[c] = m->next;
        env->pool.count[c] = magazine[c] - 1u;
        return m;
    }
    m = mem_alloc(class_bytes[c]);
    if (m) m->size_class = (uint8_t)c;
    return m;
}

/* The pool is over two magazines: one goes to the depot. */
__attribute__((noinline)) static void hand_over(struct env *env, unsigned c)
{
    struct msg_pool *pool = &env->pool;
    struct msg *first = pool->free[c], *last = first;
    for (unsigned i = 1; i < magazine[c]; i++)
        last = last->next;
    pool->free[c] = last->next;
    pool->count[c] -= magazine[c];
    last->next = NULL;

    struct msg_depot *depot = env->node->depot;
    pthread_mutex_lock(&depot->lock);
    bool room = depot->count[c] < DEPOT_MAX;
    if (room) {
        first->to = (uintptr_t)depot->magazines[c];
        depot->magazines[c] = first;
        depot->count[c]++;
    }
    pthread_mutex_unlock(&depot->lock);
    if (!room) free_list(first);
}

__attribute__((noinline)) static struct msg *from_heap(size_t whole)
{
    struct msg *m = mem_alloc(whole);
    if (m) m->size_class = FROM_HEAP;
    return m;
}

static inline unsigned class_of(size_t whole)
{
    enum { STEP = 32 };
    static const uint8_t small[] = {0, 0, 0, 1, 2, 2, 3, 3, 3, 3};
    size_t steps = (whole + STEP - 1) / STEP;
    if (steps < sizeof small) return small[steps];
    unsigned c = 4;
    while (whole > class_bytes[c])
        c++;
    return c;
}

static struct msg *from_pool(struct env *env, size_t whole)
{
    unsigned c = class_of(whole);
    struct msg *m = env->pool.free[c];
    if (m == NULL) return refill(env, c);
    env->pool.free[c] = m->next;
    env->pool.count[c]--;
    return m;
}

struct msg *msg_new(struct env *env, uint16_t kind, uint32_t bytes)
{
    size_t whole = sizeof(struct msg) + bytes;
    struct msg *m =
        bytes > MSG_BYTES_MAX ? from_heap(whole) : from_pool(env, whole);
    if (m == NULL) return NULL;
    m->from = 0; /* it is traced, whoever fills it in or doesn't */
    m->edge = NULL;
    m->bytes = bytes;
    m->kind = kind;
    m->flags = 0;
    return m;
}

void msg_free(struct env *env, struct msg *m)
{
    uint8_t flags = m->flags; /* what it refers to may be what it is in */
    if (flags & MSG_REF) ref_drop(env, msg_ref(m));
    if (flags & MSG_EMBEDDED) return;
    unsigned c = m->size_class;
    if (c == FROM_HEAP) {
        mem_free(m);
        return;
    }
    m->next = env->pool.free[c];
    env->pool.free[c] = m;
    if (++env->pool.count[c] >= 2u * magazine[c]) hand_over(env, c);
}
