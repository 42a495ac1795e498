/* crew.h - a node whose scheduler threads are fibers: any of them takes any
 * runnable actor, in an order that the seed chooses. Beside the crew there may
 * be threads from outside, each with a view of its own. */
#ifndef SPEC_EXPLORE_CREW_H
#define SPEC_EXPLORE_CREW_H

#include "core/runtime.h"
#include "spec/explore/explore.h"

enum { CREW_THREADS = 2, CREW_OUTSIDERS = 2, CREW_READY_MAX = 256 };

struct crew {
    struct world world;
    struct node *node;                   /* owned */
    struct env threads[CREW_THREADS];    /* the crew's */
    struct env *outside[CREW_OUTSIDERS]; /* owned */
    unsigned thread_count;
    bool solo; /* each explore_all() begins so */
    struct {
        struct actor *actor;
        bool called; /* from outside: see actor_claim(), actor_called() */
    } ready[CREW_READY_MAX];
    unsigned ready_count;
    unsigned outsiders; /* that haven't ended */
    unsigned active;    /* threads of the crew in a turn */
};

/* One thread makes it a solo node, until crew_share(). */
struct crew *crew_new(unsigned threads);
void crew_free(struct crew *crew);
/* The crew's fibers for the next explore_all(): they end when nothing is left
 * to run and all outsiders have ended. */
void crew_explore(struct crew *crew);
/* In a turn of a solo crew: from here on there are two. Done already: nothing.
 */
void crew_share(struct crew *crew, struct env *env);
/* A fiber from outside must call it as the last thing; crew->outsiders counts
 * it beforehand. */
void crew_left(struct crew *crew);
/* Nothing runs and nothing is about to, but for outsiders. */
bool crew_is_quiet(const struct crew *crew);
/* Outside explore_all(): runs all there is to run. */
void crew_settle(struct crew *crew);

#endif
