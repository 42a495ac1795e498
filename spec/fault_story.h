/* fault_story.h - the runs whose allocations and actors fail (fault_spec.c),
 * and what may come of each. */
#ifndef SPEC_FAULT_STORY_H
#define SPEC_FAULT_STORY_H

#include "actors/stream/topology.h"
#include "lua/definition.h"
#include "spec/sim/sim.h"

enum {
    LINES_MAX = 16384, /* a spout that tries at once tries often */
    TASKS_MAX = 16,
    STORIES = 14,
};

struct trial;

struct story {
    const char *name;
    const char *text;  /* the definition; VERSION stands for a number */
    int64_t reload_ns; /* when its next version comes; 0: never */
    void (*check)(struct trial *t);
    uint64_t give_up; /* tuples that fail for good by themselves */
};

struct trial {
    const struct story *story;
    struct sim *sim;
    struct sim_node *node;
    struct definition *definition, *next; /* owned */
    struct topology *topology;            /* owned */
    struct store_memory *memory;          /* owned; NULL: nothing is kept */
    struct store *store;                  /* owned */
    char *lines[LINES_MAX];               /* owned: what came out */
    unsigned count;
    bool ended;
    struct topology_end end;
    bool sent; /* the next version */
    unsigned taken, refused;
    char why[256];
    actor_id ids[TASKS_MAX]; /* of the tasks' actors that live now */
    unsigned restarts[TASKS_MAX];
    unsigned kills; /* of ackers and tasks, some steps apart */
};

/* What "/records" and "/poem" hold: the worlds that stories run in have them.
 */
extern const char record_lines[], poem[];
extern const struct story stories[STORIES];

/* How many tasks' actors were made anew. */
unsigned all_restarts(const struct trial *t);

#endif
