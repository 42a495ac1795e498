/* nearest.h - which of some names was meant by one that nobody knows. */
#ifndef CORE_NEAREST_H
#define CORE_NEAREST_H

enum { NEAREST_BYTES = 64 }; /* longer names are near none */

struct nearest {
    const char *name;             /* what was written */
    char best[NEAREST_BYTES + 1]; /* the nearest so far; "": none is near */
    unsigned least;
};

/* At most a third of the letters may differ, or one. `name` is borrowed. Of
 * several that are as near the first in the alphabet is taken: they may come in
 * any order. */
void nearest_begin(struct nearest *n, const char *name);
void nearest_try(struct nearest *n, const char *candidate);

#endif
