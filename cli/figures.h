/* figures.h - what a component has done: its counts and its latency. */
#ifndef CLI_FIGURES_H
#define CLI_FIGURES_H

#include "actors/stream/topology.h"

struct node;

#define FIGURE_LIST(X)                                                         \
    X(FIGURE_IN, "in")             /* tuples received */                       \
    X(FIGURE_OUT, "out")           /* emitted */                               \
    X(FIGURE_ACKED, "acked")       /* a spout's, to the end of their trees */  \
    X(FIGURE_FAILED, "failed")     /* likewise */                              \
    X(FIGURE_REPLAYED, "replayed") /* emitted once more */                     \
    X(FIGURE_GAVE_UP, "gave_up")   /* failed for good */                       \
    X(FIGURE_ERRORS, "errors")     /* calls that failed */

#define X(figure, name) figure,
enum figure { FIGURE_LIST(X) FIGURES };
#undef X

struct figures {
    uint64_t n[FIGURES];
};

const char *figure_name(enum figure figure);
/* All that the component has counted so far. Any thread. */
void figures_read(const struct topology *topology, unsigned component,
                  struct node *node, struct figures *out);

#endif
