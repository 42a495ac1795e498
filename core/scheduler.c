#include "core/scheduler.h"
#include "core/alloc.h"
#include "core/runqueue.h"
#include "core/runtime.h"
#include <semaphore.h>

enum {
    THREADS_MAX = 64,    /* one bit each in `idle` */
    STREAK_MAX = 16,     /* turns by way of `next` while others wait */
    OVERFLOW_EVERY = 61, /* turns after which the overflow goes first */
    SPINS = 200,         /* looks around before parking, some microseconds */
};

struct worker {
    struct env env;
    struct scheduler *scheduler;
    struct runqueue queue;
    struct actor *next; /* just messaged by the running one; not for thieves */
    uint32_t turns;
    uint32_t streak;
    unsigned index;
    sem_t park;
    pthread_t thread;
};

/* Actors that no thread's own queue holds. */
struct crowd {
    struct actor *first, *last;
    _Atomic uint32_t count;
};

struct scheduler {
    struct node *node;
    struct thread_hooks hooks;
    unsigned count;
    _Atomic uint64_t idle;      /* a bit per parked thread */
    _Atomic uint32_t searching; /* threads that look for work */
    _Atomic bool stopping;
    pthread_mutex_t lock;  /* of the two below */
    struct crowd overflow; /* did not fit in a thread's queue */
    struct crowd called;   /* scheduled from outside: I/O, jobs, main */
    struct worker *workers[THREADS_MAX];
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

struct scheduler *scheduler_new(struct node *node, unsigned threads,
                                const struct thread_hooks *hooks)
{
    struct scheduler *s = mem_zero(1, sizeof *s);
    if (s == NULL) return NULL;
    if (hooks) s->hooks = *hooks;
    s->node = node;
    pthread_mutex_init(&s->lock, NULL);
    for (; s->count < threads && s->count < THREADS_MAX; s->count++) {
        struct worker *w = mem_zero(1, sizeof *w);
        if (w == NULL) {
            scheduler_free(s);
            return NULL;
        }
        w->scheduler = s;
        w->index = s->count;
        sem_init(&w->park, 0, 0);
        env_init(&w->env, node, w->index);
        w->env.worker = w;
        w->env.solo = threads == 1;
        s->workers[s->count] = w;
    }
    return s;
}

void scheduler_free(struct scheduler *s)
{
    if (s == NULL) return;
    for (unsigned i = 0; i < s->count; i++) {
        env_fini(&s->workers[i]->env);
        sem_destroy(&s->workers[i]->park);
        mem_free(s->workers[i]);
    }
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* ---- waking ---- */

/* Work lies where others may take it: get one thread up, unless one is
 * looking already. The fence pairs with the one in park(). */
static void wake_one(struct scheduler *s, bool outside)
{
    if (s->count == 1 && !outside) return; /* we are the one */
    atomic_thread_fence(SEQ_CST);
    uint64_t idle = at_load(&s->idle, RELAXED);
    if (idle == 0 || at_load(&s->searching, RELAXED) > 0) return;
    do {
        unsigned index = (unsigned)__builtin_ctzll(idle);
        uint64_t bit = (uint64_t)1 << index, rest = idle & ~bit;
        if (at_cas(&s->idle, &idle, rest, ACQ_REL)) {
            sem_post(&s->workers[index]->park);
            return;
        }
    } while (idle != 0);
}

/* With a solo thread an actor may wait in both crowds at once. */
static struct actor **next_in(struct scheduler *s, const struct crowd *crowd,
                              struct actor *actor)
{
    return crowd == &s->called ? &actor->called_next : &actor->run_next;
}

static void crowd_push(struct scheduler *s, struct crowd *crowd,
                       struct actor *actor)
{
    pthread_mutex_lock(&s->lock);
    *next_in(s, crowd, actor) = NULL;
    if (crowd->first)
        *next_in(s, crowd, crowd->last) = actor;
    else
        crowd->first = actor;
    crowd->last = actor;
    at_add(&crowd->count, 1, RELAXED);
    pthread_mutex_unlock(&s->lock);
}

static struct actor *crowd_pop(struct scheduler *s, struct crowd *crowd)
{
    if (at_load(&crowd->count, RELAXED) == 0) return NULL;
    pthread_mutex_lock(&s->lock);
    struct actor *actor = crowd->first;
    if (actor) {
        crowd->first = *next_in(s, crowd, actor);
        at_sub(&crowd->count, 1, RELAXED);
    }
    pthread_mutex_unlock(&s->lock);
    return actor;
}

static struct actor *crowds_pop(struct scheduler *s)
{
    struct actor *actor = crowd_pop(s, &s->overflow);
    if (actor) return actor;
    while ((actor = crowd_pop(s, &s->called)) != NULL)
        if (s->count > 1 || actor_claim(actor)) break;
    return actor;
}

static void push(struct worker *w, struct actor *actor)
{
    struct scheduler *s = w->scheduler;
    if (!runqueue_push(&w->queue, actor)) crowd_push(s, &s->overflow, actor);
    wake_one(s, false);
}

void scheduler_ready(struct scheduler *s, struct env *env, struct actor *actor)
{
    struct worker *w = env->worker;
    if (w == NULL) {
        crowd_push(s, &s->called, actor);
        wake_one(s, true);
        return;
    }
    struct actor *old = w->next;
    w->next = actor;
    if (old) push(w, old);
}

void scheduler_pressed(struct env *env, struct actor *actor)
{
    struct worker *w = env->worker;
    if (w == NULL || w->next != actor) return;
    w->next = NULL;
    push(w, actor);
}

/* ---- finding work ---- */

static struct actor *take_next(struct worker *w)
{
    struct actor *actor = w->next;
    w->next = NULL;
    return actor;
}

static struct actor *own_work(struct worker *w)
{
    struct actor *actor = NULL;
    if (w->turns++ % OVERFLOW_EVERY == 0) actor = crowds_pop(w->scheduler);
    if (actor) return actor;
    if (w->next && w->streak++ < STREAK_MAX) return take_next(w);
    w->streak = 0;
    actor = runqueue_pop(&w->queue);
    if (actor == NULL) actor = take_next(w);
    if (actor == NULL) actor = crowds_pop(w->scheduler);
    return actor;
}

static struct actor *steal(struct worker *w)
{
    struct scheduler *s = w->scheduler;
    struct actor *actor = NULL;
    for (unsigned i = 1; i < s->count && actor == NULL; i++) {
        struct worker *victim = s->workers[(w->index + i) % s->count];
        actor = runqueue_steal(&w->queue, &victim->queue);
    }
    return actor;
}

static bool work_somewhere(struct scheduler *s)
{
    if (at_load(&s->overflow.count, RELAXED) > 0) return true;
    if (at_load(&s->called.count, RELAXED) > 0) return true;
    for (unsigned i = 0; i < s->count; i++)
        if (runqueue_count(&s->workers[i]->queue) > 0) return true;
    return false;
}

static struct actor *search(struct worker *w)
{
    struct scheduler *s = w->scheduler;
    struct actor *actor = NULL;
    at_add(&s->searching, 1, SEQ_CST);
    for (unsigned look = 0; look < SPINS && actor == NULL; look++) {
        if (at_load(&s->stopping, RELAXED)) break;
        actor = crowds_pop(s);
        if (actor == NULL) actor = steal(w);
        if (actor == NULL) relax();
    }
    /* The last to stop looking makes sure that nothing was left behind. */
    if (at_sub(&s->searching, 1, SEQ_CST) == 1 && actor && work_somewhere(s))
        wake_one(s, false);
    return actor;
}

static void park(struct worker *w)
{
    struct scheduler *s = w->scheduler;
    uint64_t bit = (uint64_t)1 << w->index;
    at_or(&s->idle, bit, SEQ_CST);
    atomic_thread_fence(SEQ_CST);
    if (work_somewhere(s) || at_load(&s->stopping, RELAXED)) {
        uint64_t idle = at_load(&s->idle, RELAXED);
        while (idle & bit)
            if (at_cas(&s->idle, &idle, idle & ~bit, ACQ_REL)) return;
        /* Somebody is waking us: take the post. */
    }
    while (sem_wait(&w->park) != 0)
        continue; /* EINTR */
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct scheduler *s = w->scheduler;
    if (s->hooks.begin) s->hooks.begin(s->hooks.context, w->index);
    while (!at_load(&s->stopping, RELAXED)) {
        struct actor *actor = own_work(w);
        if (actor == NULL) actor = search(w);
        if (actor == NULL) {
            park(w);
            continue;
        }
        bool more = actor_turn(&w->env, actor);
        if (more) push(w, actor);
    }
    if (s->hooks.end) s->hooks.end(s->hooks.context, w->index);
    return NULL;
}

err scheduler_start(struct scheduler *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct worker *w = s->workers[i];
        if (pthread_create(&w->thread, NULL, work, w) != 0) {
            unsigned whole = s->count;
            s->count = i; /* join those that run */
            scheduler_stop(s);
            s->count = whole;
            return ERR_LIMIT;
        }
    }
    return OK;
}

void scheduler_stop(struct scheduler *s)
{
    at_store(&s->stopping, true, SEQ_CST);
    for (unsigned i = 0; i < s->count; i++)
        sem_post(&s->workers[i]->park);
    for (unsigned i = 0; i < s->count; i++)
        pthread_join(s->workers[i]->thread, NULL);
}
