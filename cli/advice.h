/* advice.h - what in a sound definition will hurt when it runs. */
#ifndef CLI_ADVICE_H
#define CLI_ADVICE_H

#include "actors/stream/plan.h"

struct advice {
    const struct component_plan *component; /* borrowed */
    char text[512]; /* a sentence; what to do is in it */
};

/* Calls back for each piece, in the order of the components; gives their
 * number. */
unsigned advice_give(const struct plan *plan, unsigned threads,
                     void (*take)(void *context, const struct advice *advice),
                     void *context);

#endif
