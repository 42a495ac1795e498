/* msg.c - envelopes by size class, recycled per thread.
 * A thread that sends more than it receives would starve its pool and bloat
 * another's: pools trade magazines through the node's depot. */
#include "core/msg.h"
#include "core/alloc.h"
#include "core/ref.h"
#include "core/runtime.h"
#include <string.h>

static const uint16_t class_bytes[MSG_CLASSES] = {64,  128,  192,  320,
                                                  576, 1088, 4096, 32768};
/* Envelopes that change hands at once, and how many of these the depot keeps:
 * about 64 KB, and 2 MB in all for the largest. */
static const uint8_t magazine[MSG_CLASSES] = {64, 64, 64, 64, 64, 64, 16, 4};
enum {
    DEPOT_MAX = 16,
    FROM_HEAP = MSG_CLASSES,
    IN_LINES_BYTES = 128, /* up to this they begin with a line of the cache: it
                           * tells for a few words; the heap loses some space */
    FETCHED = 6, /* envelopes on their way from another processor's cache */
};

struct msg_depot {
    pthread_mutex_t lock;
    uint32_t count[MSG_CLASSES];
    struct msg *magazines[MSG_CLASSES][DEPOT_MAX][MSG_MAGAZINE];
};

struct msg_depot *msg_depot_new(void)
{
    struct msg_depot *depot = mem_zero(1, sizeof *depot);
    if (depot) pthread_mutex_init(&depot->lock, NULL);
    return depot;
}

static void free_all(struct msg **envelopes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        mem_free(envelopes[i]);
}

void msg_depot_free(struct msg_depot *depot)
{
    if (depot == NULL) return;
    for (int c = 0; c < MSG_CLASSES; c++)
        for (uint32_t i = 0; i < depot->count[c]; i++)
            free_all(depot->magazines[c][i], magazine[c]);
    pthread_mutex_destroy(&depot->lock);
    mem_free(depot);
}

void msg_pool_fini(struct msg_pool *pool)
{
    for (int c = 0; c < MSG_CLASSES; c++) {
        free_all(pool->free[c], pool->count[c]);
        pool->count[c] = 0;
    }
}

/* The pool is empty: one magazine from the depot, if it has one. */
static void refill(struct env *env, unsigned c)
{
    struct msg_pool *pool = &env->pool;
    struct msg_depot *depot = env->node->depot;
    pthread_mutex_lock(&depot->lock);
    if (depot->count[c] > 0) {
        pool->count[c] = magazine[c];
        memcpy(pool->free[c], depot->magazines[c][--depot->count[c]],
               magazine[c] * sizeof *pool->free[c]);
    }
    pthread_mutex_unlock(&depot->lock);
    for (uint32_t i = 1; i < FETCHED && i <= pool->count[c]; i++)
        will_write(pool->free[c][pool->count[c] - i]);
}

/* The pool holds two magazines: the newer one goes to the depot. So few
 * envelopes go round and round, and stay in a cache. */
__attribute__((noinline)) static void hand_over(struct env *env, unsigned c)
{
    struct msg **newer = env->pool.free[c] + magazine[c];
    struct msg_depot *depot = env->node->depot;
    pthread_mutex_lock(&depot->lock);
    bool room = depot->count[c] < DEPOT_MAX;
    if (room)
        memcpy(depot->magazines[c][depot->count[c]++], newer,
               magazine[c] * sizeof *newer);
    pthread_mutex_unlock(&depot->lock);
    if (!room) free_all(newer, magazine[c]);
    env->pool.count[c] = magazine[c];
}

__attribute__((noinline)) static struct msg *from_heap(size_t whole)
{
    struct msg *m = mem_alloc(whole);
    if (m) m->size_class = FROM_HEAP;
    return m;
}

static inline unsigned class_of(size_t whole)
{
    static const uint8_t small[] = {0, 0, 1, 2, 3, 3, 4, 4, 4, 4};
    size_t lines = (whole + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES;
    if (lines < sizeof small) return small[lines];
    unsigned c = 5;
    while (whole > class_bytes[c])
        c++;
    return c;
}

static inline struct msg *take(struct msg_pool *pool, unsigned c)
{
    uint32_t left = --pool->count[c];
    if (left >= FETCHED) will_write(pool->free[c][left - FETCHED]);
    return pool->free[c][left];
}

__attribute__((noinline)) static struct msg *take_or_make(struct env *env,
                                                          unsigned c)
{
    refill(env, c);
    if (env->pool.count[c] > 0) return take(&env->pool, c);
    size_t bytes = class_bytes[c];
    struct msg *m = bytes <= IN_LINES_BYTES
                        ? mem_aligned(CACHE_LINE_BYTES, bytes)
                        : mem_alloc(bytes);
    if (m) m->size_class = (uint8_t)c;
    return m;
}

static struct msg *from_pool(struct env *env, size_t whole)
{
    unsigned c = class_of(whole);
    if (env->pool.count[c] == 0) return take_or_make(env, c);
    return take(&env->pool, c);
}

struct msg *msg_new(struct env *env, uint16_t kind, uint32_t bytes)
{
    size_t whole = sizeof(struct msg) + bytes;
    struct msg *m =
        bytes > MSG_BYTES_MAX ? from_heap(whole) : from_pool(env, whole);
    if (m == NULL) return NULL;
    m->from = 0; /* it is traced, whoever fills it in or doesn't */
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
    env->pool.free[c][env->pool.count[c]] = m;
    if (++env->pool.count[c] == 2u * magazine[c]) hand_over(env, c);
}
