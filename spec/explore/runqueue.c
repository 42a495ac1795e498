/* runqueue.c - one owner pushes and pops, two thieves steal, one from the
 * other too: no actor is lost or run twice, full or empty, also where the
 * counters wrap. */
#include "core/runqueue.h"
#include "core/runtime.h"
#include "spec/explore/explore.h"

enum { QUEUES = 3, ITEMS = RUNQUEUE_SIZE + 40, OPERATIONS = 8 };

struct story {
    struct runqueue queues[QUEUES]; /* the first is the owner's */
    struct actor *items;
    unsigned char taken[ITEMS];
    unsigned pushed;
};

struct thief {
    struct story *story;
    struct runqueue *mine;
    struct runqueue *victims[2];
};

static void take(struct story *s, const struct actor *actor)
{
    EXPLORE_CHECK(actor >= s->items && actor < s->items + ITEMS);
    EXPLORE_CHECK(s->taken[actor - s->items]++ == 0);
}

static void push(struct story *s)
{
    if (s->pushed == ITEMS) return;
    struct actor *actor = &s->items[s->pushed++];
    if (runqueue_push(&s->queues[0], actor)) return;
    take(s, actor); /* the scheduler's overflow has it */
}

static void own(void *context)
{
    struct story *s = context;
    for (int i = 0; i < OPERATIONS; i++) {
        if (explore_random(2)) {
            push(s);
        } else {
            struct actor *actor = runqueue_pop(&s->queues[0]);
            if (actor) take(s, actor);
        }
    }
}

static void steal(void *context)
{
    struct thief *thief = context;
    for (int i = 0; i < 3; i++) {
        struct runqueue *victim = thief->victims[explore_random(2)];
        struct actor *actor = runqueue_steal(thief->mine, victim);
        if (actor) take(thief->story, actor);
        /* Only an empty queue steals: most often it works its loot off. */
        while ((actor = runqueue_pop(thief->mine)) != NULL)
            take(thief->story, actor);
    }
}

static void *make(void)
{
    static struct actor items[ITEMS]; /* addresses only */
    return items;
}

static void run(void *world)
{
    static const uint32_t starts[] = {0, 250, UINT32_MAX - 3, UINT32_MAX - 200};
    static const unsigned fills[] = {0, 1, 2, 5, 250, 256};
    struct story s = {.items = world};
    for (int i = 0; i < QUEUES; i++) {
        uint32_t start = starts[explore_random(4)];
        atomic_store(&s.queues[i].head, start);
        atomic_store(&s.queues[i].tail, start);
    }
    /* Large hauls cost many points: most runs are about few actors. */
    unsigned fill = fills[explore_random(explore_random(16) ? 4 : 6)];
    while (s.pushed < fill)
        push(&s);
    struct thief thieves[2] = {
        {&s, &s.queues[1], {&s.queues[0], &s.queues[2]}},
        {&s, &s.queues[2], {&s.queues[0], &s.queues[1]}},
    };
    explore_fiber(own, &s);
    explore_fiber(steal, &thieves[0]);
    explore_fiber(steal, &thieves[1]);
    explore_all();
    for (int i = 0; i < QUEUES; i++) {
        struct actor *actor;
        while ((actor = runqueue_pop(&s.queues[i])) != NULL)
            take(&s, actor);
        EXPLORE_CHECK(runqueue_count(&s.queues[i]) == 0);
    }
    for (unsigned i = 0; i < s.pushed; i++)
        EXPLORE_CHECK(s.taken[i] == 1);
}

const struct explore_story explore_runqueue = {
    .name = "runqueue", .runs = 100000, .make = make, .run = run};
