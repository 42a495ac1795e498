/* acker_tree.h - what specs of the acker share: a plan whose tasks do nothing,
 * and roots with all that is said of them. */
#ifndef SPEC_ACKER_TREE_H
#define SPEC_ACKER_TREE_H

#include "actors/stream/plan.h"
#include "core/random.h"

/* Of one spout. */
enum { TASKS = 4 };
struct idle_plan {
    struct stream_plan stream;
    struct component_plan component;
    struct plan plan;
};
void idle_plan_init(struct idle_plan *idle);

struct saying {
    uint16_t kind; /* of enum acker_kind */
    uint64_t root, edges;
};

struct tree {
    uint64_t root, xor;
    bool init, failed, acked; /* in the model */
    bool complete;            /* no saying of it is left out */
};

/* All that is said of one root, TREE_SAYINGS at most: edges appear in two
 * sayings each. How many they are. */
enum { TREE_SAYINGS = 12 };
unsigned tree_grow(struct rng *rng, struct tree *tree, struct saying *out);
void sayings_shuffle(struct rng *rng, struct saying *list, unsigned count);

#endif
