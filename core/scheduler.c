#include "core/scheduler.h"
#include "core/alloc.h"
#include "core/runqueue.h"
#include "core/runtime.h"
#include <semaphore.h>

enum {
    WORKERS_MAX = 64,    /* one bit each in `idle` */
    STREAK_MAX = 16,     /* turns by way of `next` while others wait */
    CALLED_EVERY = 2,    /* turns after which those called from outside, */
    HOME_EVERY = 2,      /* those that stay and */
    OVERFLOW_EVERY = 62, /* those of the overflow go first */
    SPINS = 200,         /* looks around before parking, some microseconds */
    HOG = UINT16_MAX,    /* reductions of one turn: all others go first */
};

/* Actors that no thread's own queue holds. */
struct crowd {
    struct actor *first, *last; /* under the scheduler's lock */
    _Atomic uint32_t count;
};

struct worker {
    struct env env;
    struct scheduler *scheduler;
    struct runqueue queue;
    struct actor *next; /* just messaged by the running one; not for thieves */
    struct crowd home;  /* those that stay here; thieves come last of all */
    uint32_t turns;
    uint32_t streak;
    unsigned index;
    bool spare;   /* serves while another thread is held up */
    bool held_up; /* in the running turn */
    sem_t park;
    pthread_t thread;
};

struct scheduler {
    struct node *node;
    struct thread_hooks hooks;
    unsigned count;             /* of threads, the spare one not counted */
    unsigned whole;             /* of workers: with the spare one, if any */
    _Atomic uint32_t held_up;   /* threads whose turn doesn't end */
    _Atomic bool has_spare;     /* the spare thread has been started */
    _Atomic uint64_t idle;      /* a bit per parked thread */
    _Atomic uint32_t searching; /* threads that look for work */
    _Atomic bool stopping;
    pthread_mutex_t lock;  /* of all crowds */
    struct crowd overflow; /* did not fit, or were handed over by a thread */
    struct crowd called;   /* scheduled from outside: I/O, jobs, main */
    struct worker *workers[WORKERS_MAX];
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
    s->count = threads < WORKERS_MAX ? threads : WORKERS_MAX;
    /* Of 64 threads, 63 are left when one is held up. */
    unsigned whole = s->count < WORKERS_MAX ? s->count + 1 : WORKERS_MAX;
    for (; s->whole < whole; s->whole++) {
        struct worker *w = mem_zero(1, sizeof *w);
        if (w == NULL) {
            scheduler_free(s);
            return NULL;
        }
        w->scheduler = s;
        w->index = s->whole;
        w->spare = w->index == s->count;
        sem_init(&w->park, 0, 0);
        env_init(&w->env, node, w->index);
        w->env.worker = w;
        w->env.solo = s->count == 1 && !w->spare;
        s->workers[s->whole] = w;
    }
    return s;
}

void scheduler_free(struct scheduler *s)
{
    if (s == NULL) return;
    for (unsigned i = 0; i < s->whole; i++) {
        env_fini(&s->workers[i]->env);
        sem_destroy(&s->workers[i]->park);
        mem_free(s->workers[i]);
    }
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* ---- waking ---- */

static inline bool serves(struct worker *w)
{
    return !w->spare || at_load(&w->scheduler->held_up, SEQ_CST) > 0;
}

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
        /* It has the highest bit: no other is idle. */
        if (!serves(s->workers[index])) return;
        if (at_cas(&s->idle, &idle, rest, ACQ_REL)) {
            sem_post(&s->workers[index]->park);
            return;
        }
    } while (idle != 0);
}

/* What `w` was given is best done there. */
static void wake(struct scheduler *s, struct worker *w)
{
    atomic_thread_fence(SEQ_CST);
    uint64_t idle = at_load(&s->idle, RELAXED), bit = (uint64_t)1 << w->index;
    while (idle & bit)
        if (at_cas(&s->idle, &idle, idle & ~bit, ACQ_REL)) {
            sem_post(&w->park);
            return;
        }
    wake_one(s, false);
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

static void crowd_move(struct scheduler *s, struct crowd *to,
                       struct crowd *from)
{
    struct actor *actor;
    while ((actor = crowd_pop(s, from)) != NULL)
        crowd_push(s, to, actor);
}

static struct actor *called_pop(struct worker *w)
{
    struct scheduler *s = w->scheduler;
    struct actor *actor;
    while ((actor = crowd_pop(s, &s->called)) != NULL)
        if (w->env.solo ? actor_claim(actor) : actor_called(actor)) break;
    return actor;
}

static struct actor *crowds_pop(struct worker *w)
{
    struct scheduler *s = w->scheduler;
    struct actor *actor = crowd_pop(s, &s->overflow);
    return actor ? actor : called_pop(w);
}

static void push(struct worker *w, struct actor *actor)
{
    struct scheduler *s = w->scheduler;
    if (actor->stays && !w->env.solo)
        crowd_push(s, &w->home, actor);
    else if (!runqueue_push(&w->queue, actor))
        crowd_push(s, &s->overflow, actor);
    wake_one(s, false);
}

/* What has used up a slice waits until the queue is empty or its turn in the
 * overflow has come: a chain of short turns isn't held up at every hop. */
static void put_last(struct worker *w, struct actor *actor)
{
    struct scheduler *s = w->scheduler;
    crowd_push(s, &s->overflow, actor);
    wake_one(s, false);
}

/* False: it has no home, or is there, or that thread is none to wait for. */
static bool go_home(struct worker *w, struct actor *actor)
{
    struct scheduler *s = w->scheduler;
    if (!actor->stays || actor->home == w->index || actor->home >= s->count ||
        at_load(&s->held_up, SEQ_CST) > 0)
        return false;
    struct worker *home = s->workers[actor->home];
    crowd_push(s, &home->home, actor);
    if (at_load(&s->held_up, SEQ_CST) > 0) /* it may just have handed over */
        crowd_move(s, &s->overflow, &home->home);
    wake(s, home);
    return true;
}

void scheduler_ready(struct scheduler *s, struct env *env, struct actor *actor)
{
    struct worker *w = env->worker;
    if (w == NULL) {
        crowd_push(s, &s->called, actor);
        wake_one(s, true);
        return;
    }
    if (go_home(w, actor)) return;
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

static inline bool is_crowded(struct scheduler *s)
{
    return at_load(&s->called.count, RELAXED) > 0 ||
           at_load(&s->overflow.count, RELAXED) > 0;
}

/* A turn of Lua may take a slice, so those called from outside (a deadline, for
 * one) aren't left to wait for many turns; nor is what was handed over by a
 * thread that is held up. */
static struct actor *crowds_turn(struct worker *w, uint32_t turn)
{
    struct scheduler *s = w->scheduler;
    struct actor *actor = called_pop(w);
    if (actor) return actor;
    if (turn % OVERFLOW_EVERY != 0 && at_load(&s->held_up, RELAXED) == 0)
        return NULL;
    return crowd_pop(s, &s->overflow);
}

static struct actor *own_work(struct worker *w)
{
    uint32_t turn = w->turns++;
    struct actor *actor = NULL;
    if (turn % CALLED_EVERY == 0 && is_crowded(w->scheduler))
        actor = crowds_turn(w, turn);
    if (actor) return actor;
    if (w->next && w->streak++ < STREAK_MAX) return take_next(w);
    w->streak = 0;
    if (turn % HOME_EVERY == 0) actor = crowd_pop(w->scheduler, &w->home);
    if (actor == NULL) actor = runqueue_pop(&w->queue);
    if (actor == NULL) actor = crowd_pop(w->scheduler, &w->home);
    if (actor == NULL) actor = take_next(w);
    if (actor == NULL) actor = crowds_pop(w);
    return actor;
}

static struct actor *steal(struct worker *w)
{
    struct scheduler *s = w->scheduler;
    struct actor *actor = NULL;
    for (unsigned i = 1; i < s->whole && actor == NULL; i++) {
        struct worker *victim = s->workers[(w->index + i) % s->whole];
        actor = runqueue_steal(&w->queue, &victim->queue);
    }
    return actor;
}

/* Its memory is in another processor's cache, so this is the last resort. */
static struct actor *steal_from_home(struct worker *w)
{
    struct scheduler *s = w->scheduler;
    struct actor *actor = NULL;
    for (unsigned i = 0; i < s->whole && actor == NULL; i++)
        actor = crowd_pop(s, &s->workers[(w->index + i) % s->whole]->home);
    return actor;
}

static bool work_somewhere(struct scheduler *s)
{
    if (is_crowded(s)) return true;
    for (unsigned i = 0; i < s->whole; i++)
        if (runqueue_count(&s->workers[i]->queue) > 0 ||
            at_load(&s->workers[i]->home.count, RELAXED) > 0)
            return true;
    return false;
}

static struct actor *search(struct worker *w)
{
    struct scheduler *s = w->scheduler;
    struct actor *actor = NULL;
    at_add(&s->searching, 1, SEQ_CST);
    for (unsigned look = 0; look < SPINS && actor == NULL; look++) {
        if (at_load(&s->stopping, RELAXED)) break;
        actor = crowds_pop(w);
        if (actor == NULL) actor = steal(w);
        if (actor == NULL) actor = crowd_pop(s, &w->home);
        if (actor == NULL) relax();
    }
    if (actor == NULL) actor = steal_from_home(w);
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
    bool work = work_somewhere(s);
    if ((work && serves(w)) || at_load(&s->stopping, RELAXED)) {
        uint64_t idle = at_load(&s->idle, RELAXED);
        while (idle & bit)
            if (at_cas(&s->idle, &idle, idle & ~bit, ACQ_REL)) return;
        /* Somebody is waking us: take the post. */
    } else if (work) { /* the wake-up for it may have been ours */
        wake_one(s, true);
    }
    while (sem_wait(&w->park) != 0)
        continue; /* EINTR */
}

/* All that waits for this thread goes where others take it. */
static void hand_over(struct worker *w)
{
    struct scheduler *s = w->scheduler;
    struct actor *actor = take_next(w);
    if (actor) crowd_push(s, &s->overflow, actor);
    while ((actor = runqueue_pop(&w->queue)) != NULL)
        crowd_push(s, &s->overflow, actor);
    crowd_move(s, &s->overflow, &w->home);
}

static struct actor *find_work(struct worker *w)
{
    if (!serves(w)) {
        hand_over(w);
        return NULL;
    }
    struct actor *actor = own_work(w);
    return actor ? actor : search(w);
}

static void take_turn(struct worker *w, struct actor *actor)
{
    actor->home = (uint8_t)w->index;
    bool more = actor_turn(&w->env, actor);
    if (w->held_up) {
        w->held_up = false;
        at_sub(&w->scheduler->held_up, 1, SEQ_CST);
    }
    if (!more) return;
    if (w->env.spent < HOG)
        push(w, actor);
    else
        put_last(w, actor);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct scheduler *s = w->scheduler;
    if (s->hooks.begin) s->hooks.begin(s->hooks.context, w->index);
    while (!at_load(&s->stopping, RELAXED)) {
        struct actor *actor = find_work(w);
        if (actor)
            take_turn(w, actor);
        else
            park(w);
    }
    if (s->hooks.end) s->hooks.end(s->hooks.context, w->index);
    return NULL;
}

/* When the system gives no thread, whoever is held up next tries again. */
static void start_spare(struct scheduler *s)
{
    if (s->whole == s->count || at_load(&s->has_spare, RELAXED) ||
        at_swap(&s->has_spare, true, SEQ_CST))
        return;
    struct worker *w = s->workers[s->count];
    if (pthread_create(&w->thread, NULL, work, w) != 0)
        at_store(&s->has_spare, false, SEQ_CST);
}

void scheduler_held_up(struct env *env)
{
    struct worker *w = env->worker;
    if (w == NULL) return;
    struct scheduler *s = w->scheduler;
    env_flush(env);
    if (env->solo) actors_share(env);
    if (!w->held_up) {
        w->held_up = true;
        at_add(&s->held_up, 1, SEQ_CST);
    }
    hand_over(w);
    start_spare(s);
    /* There may be nothing to do yet; whoever calls from outside will see that
     * the spare one serves. */
    wake_one(s, true);
}

/* All that run: the first `started`, and the spare one if there is one. */
static void end_threads(struct scheduler *s, unsigned started)
{
    at_store(&s->stopping, true, SEQ_CST);
    for (unsigned i = 0; i < s->whole; i++)
        sem_post(&s->workers[i]->park);
    for (unsigned i = 0; i < started; i++)
        pthread_join(s->workers[i]->thread, NULL);
    /* Only those that have ended by now could start it. */
    if (at_load(&s->has_spare, SEQ_CST))
        pthread_join(s->workers[s->count]->thread, NULL);
}

err scheduler_start(struct scheduler *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct worker *w = s->workers[i];
        if (pthread_create(&w->thread, NULL, work, w) != 0) {
            end_threads(s, i);
            return ERR_LIMIT;
        }
    }
    return OK;
}

void scheduler_stop(struct scheduler *s)
{
    end_threads(s, s->count);
}
