#define _GNU_SOURCE /* ucontext */
#include "spec/explore/explore.h"
#include "core/alloc.h"
#include "core/atomic.h"
#include "core/random.h"
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum {
    STACK_BYTES = 128 * 1024,
    BATCH = 100, /* runs that share a world, and so a seed */
    POINTS_MAX = 20000000,
    SET_BITS = 20, /* room for a million schedules */
};

struct fiber {
    jmp_buf at;
    ucontext_t start;
    void *stack; /* owned; NULL: never used */
    explore_body *body;
    void *context;
    explore_ready *ready; /* NULL: it can run */
    void *ready_context;
    uint64_t until; /* pauses until so many points have passed */
    bool live;
};

/* explore_point() has no argument, so this is the program's one global. */
static struct explorer {
    struct rng rng;
    struct fiber fibers[EXPLORE_FIBERS];
    jmp_buf home;
    int current;   /* the fiber running; -1: none */
    bool choosing; /* conditions are looked at: nobody else may run */
    uint64_t coin; /* a point switches when these bits of a draw are 0 */
    uint64_t points, schedule; /* of this run; the second is a hash */
    const struct explore_story *story;
    uint64_t seed;
    unsigned run;
    uint64_t *seen; /* owned: a hash set of schedules */
    uint64_t explored, distinct, all_points;
} x = {.current = -1};

void explore_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: not %s (ENGINE_SEED=%llu %s, run %u of it)\n", file,
            line, what, (unsigned long long)x.seed, x.story->name, x.run);
    exit(1);
}

uint64_t explore_random(uint64_t below)
{
    return rng_below(&x.rng, below);
}

/* ---- fibers ---- */

static void enter(struct fiber *fiber)
{
    _longjmp(fiber->at, 1);
}

static void go_to(int next)
{
    int from = x.current;
    if (next == from) return;
    x.schedule = (x.schedule ^ x.points << 4 ^ (uint64_t)next) *
                 UINT64_C(0x9E3779B97F4A7C15);
    x.schedule ^= x.schedule >> 29;
    x.current = next;
    if (_setjmp(x.fibers[from].at) == 0) enter(&x.fibers[next]);
}

static bool can_run(const struct fiber *fiber, bool pausing)
{
    if (!fiber->live || (fiber->until > x.points) != pausing) return false;
    return fiber->ready == NULL || fiber->ready(fiber->ready_context);
}

/* One of those that can run, all alike; else one that pauses; -1: none. */
static int choose(void)
{
    int able[EXPLORE_FIBERS], count = 0;
    x.choosing = true;
    for (int pausing = 0; pausing < 2 && count == 0; pausing++)
        for (int i = 0; i < EXPLORE_FIBERS; i++)
            if (can_run(&x.fibers[i], pausing)) able[count++] = i;
    x.choosing = false;
    return count == 0 ? -1 : able[rng_below(&x.rng, (uint64_t)count)];
}

void explore_point(void)
{
    if (x.current < 0 || x.choosing) return;
    if (++x.points > POINTS_MAX)
        explore_fail(__FILE__, __LINE__, "ended after 20 million points");
    if ((rng_next(&x.rng) & x.coin) == 0) go_to(choose());
}

void explore_wait(explore_ready *ready, void *context)
{
    struct fiber *me = &x.fibers[x.current];
    me->ready = ready;
    me->ready_context = context;
    int next = choose();
    if (next < 0)
        explore_fail(__FILE__, __LINE__, "able to go on: all threads wait");
    go_to(next);
    me->ready = NULL;
}

void explore_pause(uint64_t points)
{
    struct fiber *me = &x.fibers[x.current];
    me->until = x.points + points;
    go_to(choose()); /* there is one: me */
    me->until = 0;
}

/* The running fiber has ended: on to another, or home after the last. */
static void go_on(void)
{
    bool last = true;
    for (int i = 0; i < EXPLORE_FIBERS; i++)
        last &= !x.fibers[i].live;
    if (last) _longjmp(x.home, 1);
    int next = choose();
    if (next < 0)
        explore_fail(__FILE__, __LINE__, "able to go on: all threads wait");
    x.current = next;
    enter(&x.fibers[next]);
}

/* A fiber's stack is entered once; then it takes one body after the other, so
 * that a run costs no system call. */
static void live(void)
{
    for (;;) {
        struct fiber *me = &x.fibers[x.current];
        me->body(me->context);
        me->live = false;
        if (_setjmp(me->at) == 0) go_on();
    }
}

static void first_entry(int number)
{
    struct fiber *fiber = &x.fibers[number];
    if (_setjmp(fiber->at) == 0) _longjmp(x.home, 1);
    live();
}

/* Gets the fiber's stack to where enter() can jump. */
static void prepare(int number)
{
    struct fiber *fiber = &x.fibers[number];
    if (fiber->stack) return;
    fiber->stack = mem_alloc(STACK_BYTES);
    if (fiber->stack == NULL) abort();
    getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp = fiber->stack;
    fiber->start.uc_stack.ss_size = STACK_BYTES;
    fiber->start.uc_link = NULL;
    makecontext(&fiber->start, (void (*)(void))first_entry, 1, number);
    if (_setjmp(x.home) == 0) setcontext(&fiber->start);
}

static void prepare_all(void)
{
    for (int i = 0; i < EXPLORE_FIBERS; i++)
        prepare(i);
}

void explore_fiber(explore_body *body, void *context)
{
    for (int i = 0; i < EXPLORE_FIBERS; i++) {
        struct fiber *fiber = &x.fibers[i];
        if (fiber->live) continue;
        fiber->body = body;
        fiber->context = context;
        fiber->ready = NULL;
        fiber->until = 0;
        fiber->live = true;
        return;
    }
    explore_fail(__FILE__, __LINE__, "room for one more fiber");
}

void explore_all(void)
{
    if (_setjmp(x.home) == 0) {
        x.current = choose();
        enter(&x.fibers[x.current]);
    }
    x.current = -1;
}

/* ---- stand-ins, put in place by --wrap ---- */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_sem_wait(sem_t *semaphore);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *context);
int __wrap_pthread_join(pthread_t thread, void **result);

static bool mutex_is_free(void *mutex)
{
    if (pthread_mutex_trylock(mutex) != 0) return false;
    pthread_mutex_unlock(mutex);
    return true;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (x.current < 0) return __real_pthread_mutex_lock(mutex);
    explore_point();
    while (pthread_mutex_trylock(mutex) != 0)
        explore_wait(mutex_is_free, mutex);
    return 0;
}

static bool is_posted(void *semaphore)
{
    int value = 0;
    sem_getvalue(semaphore, &value);
    return value > 0;
}

int __wrap_sem_wait(sem_t *semaphore)
{
    explore_point();
    while (sem_trywait(semaphore) != 0)
        explore_wait(is_posted, semaphore);
    return 0;
}

/* A thread is the number of its fiber; it may not outlive the run. */
struct start {
    void *(*body)(void *);
    void *context;
};

static void begin_thread(void *arg)
{
    struct start start = *(struct start *)arg;
    mem_free(arg);
    start.body(start.context);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *context)
{
    struct start *start = mem_alloc(sizeof *start);
    if (start == NULL) abort();
    *start = (struct start){body, context};
    int number = 0;
    while (number < EXPLORE_FIBERS && x.fibers[number].live)
        number++;
    explore_fiber(begin_thread, start);
    *thread = (pthread_t)number;
    return 0;
}

static bool has_ended(void *fiber)
{
    return !((struct fiber *)fiber)->live;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    if (x.fibers[thread].live) explore_wait(has_ended, &x.fibers[thread]);
    return 0;
}

/* ---- runs ---- */

static void remember_schedule(void)
{
    uint64_t mask = ((uint64_t)1 << SET_BITS) - 1;
    uint64_t key = x.schedule ? x.schedule : 1;
    x.explored++;
    x.all_points += x.points;
    if (x.distinct > mask / 4 * 3) return; /* the set is full enough */
    uint64_t at = key & mask;
    while (x.seen[at] != 0 && x.seen[at] != key)
        at = (at + 1) & mask;
    if (x.seen[at] == key) return;
    x.seen[at] = key;
    x.distinct++;
}

static void batch(const struct explore_story *story, uint64_t seed,
                  unsigned runs)
{
    x.story = story;
    x.seed = seed;
    x.rng.state = seed * UINT64_C(0xD1342543DE82EF95);
    void *world = story->make ? story->make() : NULL;
    for (x.run = 0; x.run < runs; x.run++) {
        /* Every point, every second, fourth … thirty-second one. */
        x.coin = ((uint64_t)1 << rng_below(&x.rng, 6)) - 1;
        x.points = 0;
        x.schedule = (uint64_t)(uintptr_t)story->name[0];
        story->run(world);
        remember_schedule();
    }
    if (story->drop) story->drop(world);
}

static void explore(const struct explore_story *story)
{
    const char *only = getenv("ENGINE_SEED"), *factor = NULL;
    uint64_t explored = x.explored, distinct = x.distinct;
    uint64_t points = x.all_points;
    if (only && *only) {
        batch(story, strtoull(only, NULL, 10), BATCH);
    } else {
        factor = getenv("ENGINE_SEEDS_FACTOR");
        uint64_t batches = story->runs / BATCH;
        if (factor && *factor) batches *= strtoull(factor, NULL, 10);
        for (uint64_t seed = 1; seed <= batches; seed++)
            batch(story, seed, BATCH);
    }
    printf("%-14s %8llu interleavings, %llu distinct, %llu points each\n",
           story->name, (unsigned long long)(x.explored - explored),
           (unsigned long long)(x.distinct - distinct),
           (unsigned long long)((x.all_points - points) /
                                (x.explored - explored)));
}

int main(int argc, char **argv)
{
    static const struct explore_story *const stories[] = {
        &explore_mailbox,     &explore_runqueue,      &explore_edge,
        &explore_edge_deaths, &explore_solo,          &explore_sharing,
        &explore_group,       &explore_group_sharing, &explore_scheduler,
        &explore_crowd,       &explore_held_up,
    };
    const char *wanted = argc > 1 ? argv[1] : "";
    x.seen = mem_zero((size_t)1 << SET_BITS, sizeof *x.seen);
    if (x.seen == NULL) abort();
    prepare_all();
    unsigned passed = 0; /* a story that fails ends the program */
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        if (!strstr(stories[i]->name, wanted)) continue;
        explore(stories[i]);
        passed++;
    }
    printf("explored %llu interleavings, %llu distinct\n",
           (unsigned long long)x.explored, (unsigned long long)x.distinct);
    printf("%u passed, 0 failed\n", passed);
    for (int i = 0; i < EXPLORE_FIBERS; i++)
        mem_free(x.fibers[i].stack);
    mem_free(x.seen);
    return x.explored > 0 ? 0 : 2;
}
