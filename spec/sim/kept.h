/* kept.h - a world whose only node keeps its store, and is begun anew each time
 * it is killed: for specs of what survives. */
#ifndef SPEC_SIM_KEPT_H
#define SPEC_SIM_KEPT_H

#include "core/sim.h"
#include "core/store_memory.h"

enum { KEPT_LINES = 400, KEPT_MS = 1000 * 1000 };

struct kept {
    struct store_memory *memory;
    struct store *store;
    struct sim *sim;
    uint64_t refusals; /* commits that failed */
    unsigned fault;    /* of 100 commits so many do */
    unsigned counts[KEPT_LINES];
};

/* A world of the spec's seed, with checkpoints every 5 ms. */
void kept_begin(struct kept *k);
void kept_end(struct kept *k);
/* The file lines.txt of the node: in each line its number, from 0, as %0*d. */
void kept_put_lines(struct kept *k);
/* What kept_put_lines() has put there is the standard input, too, from its
 * beginning; NULL: the process has its own back. */
void kept_use_stdin(struct kept *k);
/* Goes on for a while. */
void kept_steps(struct kept *k, uint64_t most);

#endif
