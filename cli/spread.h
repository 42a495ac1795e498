/* spread.h - what one figure was in several runs: its middle, and how far the
 * runs were apart. */
#ifndef CLI_SPREAD_H
#define CLI_SPREAD_H

#include <stdbool.h>

struct spread {
    bool known; /* false: no run has the figure */
    double median, least, most;
};

/* Sorts the figures; those that are NaN don't count. Of an even number the
 * median is between the middle two. */
struct spread spread_of(double *figures, unsigned count);

#endif
