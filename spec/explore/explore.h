/* explore.h - what one thread can't show: interleavings of threads, chosen by
 * a seed.
 * Built with -DENGINE_EXPLORE, every atomic operation of core/ first calls
 * explore_point(), where another thread may go on. Threads are fibers here,
 * so a schedule is a list of choices and a seed replays it; mutexes,
 * semaphores and pthread_create() are stood in for by the linker's --wrap.
 * What is explored is sequentially consistent: memory orders are the thread
 * sanitizer's part.
 *   explore [STORY]             all stories, or those whose name contains it
 *   ENGINE_SEED=n explore STORY one batch of schedules
 * Source: the randomised schedulers of CHESS and of Burckhardt's PCT, in the
 * simplest form: a coin at every point, of another bias in each run. */
#ifndef SPEC_EXPLORE_EXPLORE_H
#define SPEC_EXPLORE_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXPLORE_FIBERS = 8 };

struct explore_story {
    const char *name;
    unsigned runs;            /* schedules to try */
    void *(*make)(void);      /* for some runs of one seed; may be NULL */
    void (*run)(void *world); /* prepare, explore_all(), check */
    void (*drop)(void *world);
};

/* A fiber of the next explore_all(), or one more of the running one. */
typedef void explore_body(void *context);
void explore_fiber(explore_body *body, void *context);
/* Runs all fibers to their ends, by turns that the seed chooses. */
void explore_all(void);
/* In a fiber: others run until `ready` is true. All waiting: the run fails. */
typedef bool explore_ready(void *context);
void explore_wait(explore_ready *ready, void *context);
/* In a fiber: others run for that many points, or until all wait. Brings two
 * to a place far down their way at the same time. */
void explore_pause(uint64_t points);
/* A draw of the run's seed; below > 0. */
uint64_t explore_random(uint64_t below);
/* Prints the place and how to replay the run; ends the program. */
void explore_fail(const char *file, int line, const char *what)
    __attribute__((noreturn));

#define EXPLORE_CHECK(condition)                                               \
    do {                                                                       \
        if (!(condition)) explore_fail(__FILE__, __LINE__, #condition);        \
    } while (0)

extern const struct explore_story explore_mailbox;
extern const struct explore_story explore_runqueue;
extern const struct explore_story explore_edge;
extern const struct explore_story explore_edge_deaths;
extern const struct explore_story explore_solo;
extern const struct explore_story explore_sharing;
extern const struct explore_story explore_group;
extern const struct explore_story explore_group_sharing;
extern const struct explore_story explore_scheduler;
extern const struct explore_story explore_crowd;
extern const struct explore_story explore_held_up;

#endif
