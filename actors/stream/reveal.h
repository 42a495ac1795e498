/* reveal.h - files that appear when a checkpoint is decided. A sink writes each
 * under a name that readers pass by, and the checkpoint says which become what:
 * they are renamed after its decision, before the next one, and once more by
 * a process that finds the decision in the store: a file that is gone from its
 * old name has been renamed.
 * Source: the pending and finished files of Flink's file sink. */
#ifndef ACTORS_STREAM_REVEAL_H
#define ACTORS_STREAM_REVEAL_H

#include "actors/stream/plan.h"
#include "core/buffer.h"
#include "core/disk.h"
#include "core/job.h"
#include "core/store.h"

struct reveal {
    struct job job; /* first: answered to who starts it */
    struct buffer names;
    size_t done; /* of `names` */
    int error;   /* errno of the last try; 0: all have their names */
};

/* Names them all; blocks. `error` says how it went. */
void reveal_run(struct reveal *r, const struct disk *disk);

/* One reference, the caller's. NULL: out of memory. */
struct reveal *reveal_new(void);
/* Appends to `names`, which hold old and new name, each ended by 0, for each
 * file. ERR_LIMIT: the text is not that. */
err reveal_add(struct reveal *r, struct bytes names);
/* What the topology's newest checkpoint names, one reference; NULL: nothing.
 * ERR_NOMEM, ERR_FORMAT and the store's errors. */
err reveal_read(struct store *store, const struct plan *plan,
                struct reveal **out);
/* The file that it failed at, as it was called and is to be. */
const char *reveal_from(const struct reveal *r);
const char *reveal_to(const struct reveal *r);

#endif
