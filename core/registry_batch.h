/* registry_batch.h - what one commit of a registry in a store will hold: it is
 * checked against a view of what is committed, and what depends on something
 * that isn't yet waits for the commit. Under its holder's lock. */
#ifndef CORE_REGISTRY_BATCH_H
#define CORE_REGISTRY_BATCH_H

#include "core/registry_backend.h"

enum { REGISTRY_BATCH_MAX = 256 }; /* each is compared with each */

struct registry_batch {
    struct store *store;
    uint64_t committed; /* the revision */
    /* Told after a commit: the keys that have changed, with a 0 behind each. */
    void (*changed)(void *context, const struct buffer *touched,
                    uint64_t revision);
    void *context;
    /* See registry_store_set_fault(). */
    bool (*lost)(void *context);
    void *lost_context;
    /* What isn't committed yet. */
    struct store_view *view;
    err viewed;                /* anything but OK: there is no view */
    struct store_write *write; /* NULL: nothing yet */
    uint64_t revision;
    struct buffer touched;
    unsigned count, creates; /* keys touched; of which these were made */
    struct registry_request *pending[REGISTRY_BATCH_MAX];
    unsigned pending_count;
};

/* The next boot: the revision of all zeroes but for `store` is taken on, and
 * ephemeral keys are deleted. Errors as of registry_store_open(). */
err registry_batch_open(struct registry_batch *b, char why[STORE_WHY_BYTES]);
void registry_batch_fini(struct registry_batch *b);

void registry_batch_begin(struct registry_batch *b);
/* Adds a transaction of the session, or says its outcome; ERR_DONE: only after
 * registry_batch_flush(). Its outcome is OK until that says otherwise. */
err registry_batch_add(struct registry_batch *b, uint64_t session,
                       struct registry_request *r);
/* Answers a read of what is committed. */
void registry_batch_read(struct registry_batch *b, struct registry_request *r);
/* Deletes the ephemeral keys of a session. ERR_EXPIRED, as below. */
err registry_batch_sweep(struct registry_batch *b, uint64_t session);
/* Commits, unless `e` says that it went wrong; all that was added has its
 * outcome then. ERR_EXPIRED: another registry has the store. */
err registry_batch_flush(struct registry_batch *b, err e);
void registry_batch_end(struct registry_batch *b);

#endif
