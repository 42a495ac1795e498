/* rows.h - what a class gives to a checkpoint beside its state: rows of its own
 * in the store, put and removed with all the rest or not at all. */
#ifndef ACTORS_STREAM_ROWS_H
#define ACTORS_STREAM_ROWS_H

#include "core/store.h"

struct rows {
    struct store_part part; /* first: what the checkpoint gets, and drops */
    struct buffer changes;
};

/* NULL: out of memory. The caller's until a checkpoint has it. */
struct rows *rows_new(void);
/* NULL is fine. */
void rows_free(struct rows *rows);
/* Copy both. ERR_NOMEM. */
err rows_put(struct rows *rows, struct bytes key, struct bytes value);
err rows_remove(struct rows *rows, struct bytes key);

#endif
