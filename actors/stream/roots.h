/* roots.h - several roots at once: of a tuple that was made of several, as
 * joins make them. Nearly all tuples have one, which needs no list. */
#ifndef ACTORS_STREAM_ROOTS_H
#define ACTORS_STREAM_ROOTS_H

#include <stdint.h>

#include "core/err.h"

/* In place of a root: those of the list. No spout's task has this number. */
#define ROOT_LIST UINT64_MAX

struct list_root {
    uint64_t root;
    uint64_t edges;   /* XOR of what is to be acked for it */
    uint64_t emitted; /* XOR of the edge ids given to it in this call */
};

struct root_list {
    struct list_root *roots; /* owned */
    uint32_t count, room;
};

void roots_fini(struct root_list *list);
/* Adds a root, or its edges if it is there. ERR_NOMEM: nothing was added. */
err roots_add(struct root_list *list, uint64_t root, uint64_t edges);
/* Adds a root that isn't there. ERR_NOMEM: nothing was added. */
err roots_append(struct root_list *list, uint64_t root, uint64_t edges);
/* The call was right: what it emitted is to be acked, too. */
void roots_keep(struct root_list *list);
/* It failed. */
void roots_undo(struct root_list *list);

#endif
