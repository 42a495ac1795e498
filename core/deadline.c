/* deadline.c - one binary heap per node under a mutex. Timers are rare beside
 * messages (none per tuple), and one heap keeps equal deadlines in the order
 * in which they were set, whatever thread set them. */
#include "core/deadline.h"
#include "core/alloc.h"
#include "core/runtime.h"
#include <string.h>

struct deadline {
    struct msg msg; /* embedded: is the message when the time has come */
    struct timer_due due;
    actor_id owner;
    uint64_t order;
    uint32_t slot;  /* in `entries` */
    uint32_t place; /* in the heap; NOWHERE once posted */
    bool cancelled;
};

static const uint32_t NOWHERE = UINT32_MAX;

struct deadlines {
    pthread_mutex_t lock;
    struct deadline **heap; /* owned array; earliest first */
    uint32_t count, room;
    struct deadline **entries; /* owned array: by slot; NULL: free */
    uint32_t *free_slots;      /* owned stack */
    uint32_t *generations;     /* owned: of each slot, from 1 */
    uint32_t slots, slots_room, free_count;
    uint64_t orders;
    int64_t told_ns; /* the alarm that the world knows of */
};

struct deadlines *deadlines_new(void)
{
    struct deadlines *all = mem_zero(1, sizeof *all);
    if (all == NULL) return NULL;
    pthread_mutex_init(&all->lock, NULL);
    all->told_ns = INT64_MAX;
    return all;
}

void deadlines_free(struct deadlines *all)
{
    if (all == NULL) return;
    for (uint32_t i = 0; i < all->slots; i++)
        mem_free(all->entries[i]);
    pthread_mutex_destroy(&all->lock);
    mem_free(all->heap);
    mem_free(all->entries);
    mem_free(all->free_slots);
    mem_free(all->generations);
    mem_free(all);
}

static bool before(const struct deadline *a, const struct deadline *b)
{
    if (a->due.at_ns != b->due.at_ns) return a->due.at_ns < b->due.at_ns;
    return a->order < b->order;
}

static void put(struct deadlines *all, uint32_t place, struct deadline *d)
{
    all->heap[place] = d;
    d->place = place;
}

static void sift_up(struct deadlines *all, struct deadline *d)
{
    uint32_t at = d->place;
    while (at > 0 && before(d, all->heap[(at - 1) / 2])) {
        put(all, at, all->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(all, at, d);
}

static void sift_down(struct deadlines *all, struct deadline *d)
{
    uint32_t at = d->place;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= all->count) break;
        if (child + 1 < all->count &&
            before(all->heap[child + 1], all->heap[child]))
            child++;
        if (!before(all->heap[child], d)) break;
        put(all, at, all->heap[child]);
        at = child;
    }
    put(all, at, d);
}

static void heap_remove(struct deadlines *all, struct deadline *d)
{
    struct deadline *last = all->heap[--all->count];
    if (last != d) {
        last->place = d->place;
        put(all, d->place, last);
        sift_up(all, last);
        sift_down(all, last);
    }
    d->place = NOWHERE;
}

/* Room for one more in every array. */
static err reserve(struct deadlines *all)
{
    if (all->count == all->room) {
        uint32_t room = all->room ? all->room * 2 : 16;
        void *heap = mem_resize(all->heap, room * sizeof *all->heap);
        if (heap == NULL) return ERR_NOMEM;
        all->heap = heap;
        all->room = room;
    }
    if (all->free_count > 0 || all->slots < all->slots_room) return OK;
    uint32_t room = all->slots_room ? all->slots_room * 2 : 16;
    void *entries = mem_resize(all->entries, room * sizeof *all->entries);
    if (entries) all->entries = entries;
    void *free_slots =
        mem_resize(all->free_slots, room * sizeof *all->free_slots);
    if (free_slots) all->free_slots = free_slots;
    void *generations =
        mem_resize(all->generations, room * sizeof *all->generations);
    if (generations) all->generations = generations;
    if (!entries || !free_slots || !generations) return ERR_NOMEM;
    all->slots_room = room;
    return OK;
}

static void release(struct deadlines *all, struct deadline *d)
{
    all->entries[d->slot] = NULL;
    all->generations[d->slot]++;
    all->free_slots[all->free_count++] = d->slot;
    mem_free(d);
}

static void set_slot(struct deadlines *all, struct deadline *d)
{
    if (all->free_count > 0) {
        d->slot = all->free_slots[--all->free_count];
    } else {
        d->slot = all->slots++;
        all->generations[d->slot] = 1;
    }
    all->entries[d->slot] = d;
    d->due.id = (uint64_t)all->generations[d->slot] << 32 | d->slot;
}

/* Under the lock, so that two threads' alarms can't change places. */
static void tell(struct node *node, int64_t at_ns)
{
    const struct world *world = node->config.world;
    node->deadlines->told_ns = at_ns;
    if (at_ns != INT64_MAX) world->alarm(world->context, node, at_ns);
}

err deadline_set(struct env *env, int64_t at_ns, uint64_t cookie,
                 deadline_id *id)
{
    struct node *node = env->node;
    struct deadlines *all = node->deadlines;
    struct deadline *d = mem_zero(1, sizeof *d);
    if (d == NULL) return ERR_NOMEM;
    d->msg.kind = MSG_TIMER;
    d->msg.flags = MSG_EMBEDDED;
    d->due.cookie = cookie;
    d->due.at_ns = at_ns;
    d->owner = env->actor->id;

    pthread_mutex_lock(&all->lock);
    err e = reserve(all);
    if (e == OK) {
        d->order = all->orders++;
        set_slot(all, d);
        *id = d->due.id;
        d->place = all->count++;
        sift_up(all, d);
        if (at_ns < all->told_ns) tell(node, at_ns);
    }
    pthread_mutex_unlock(&all->lock);
    if (e != OK) mem_free(d);
    return e;
}

void deadline_cancel(struct env *env, deadline_id *id)
{
    struct deadlines *all = env->node->deadlines;
    uint32_t slot = (uint32_t)*id, generation = (uint32_t)(*id >> 32);
    *id = 0;
    if (generation == 0) return;
    pthread_mutex_lock(&all->lock);
    struct deadline *d = slot < all->slots ? all->entries[slot] : NULL;
    if (d && all->generations[slot] == generation) {
        if (d->place != NOWHERE) {
            heap_remove(all, d);
            release(all, d);
        } else {
            d->cancelled = true; /* is on its way: dropped where it arrives */
        }
    }
    pthread_mutex_unlock(&all->lock);
}

void deadlines_due(struct env *env, int64_t now_ns)
{
    struct deadlines *all = env->node->deadlines;
    pthread_mutex_lock(&all->lock);
    while (all->count > 0 && all->heap[0]->due.at_ns <= now_ns) {
        struct deadline *d = all->heap[0];
        heap_remove(all, d);
        d->msg.from = d->owner;
        actor_post(env, d->owner, &d->msg);
    }
    tell(env->node, all->count > 0 ? all->heap[0]->due.at_ns : INT64_MAX);
    pthread_mutex_unlock(&all->lock);
}

bool deadline_arrived(struct deadlines *all, struct msg *m,
                      struct timer_due *due)
{
    struct deadline *d = container_of(m, struct deadline, msg);
    pthread_mutex_lock(&all->lock);
    bool valid = !d->cancelled;
    if (due) *due = d->due;
    release(all, d);
    pthread_mutex_unlock(&all->lock);
    return valid;
}
