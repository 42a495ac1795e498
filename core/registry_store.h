/* registry_store.h - a registry in a store: one process's, with any number of
 * sessions, or that of all nodes of a simulated world. It lies beside the
 * store's other records:
 *   r 0                    how far the revisions are
 *   r DEPTH KEY            an entry; so those directly below one stand together
 *   r 255 SESSION KEY      an ephemeral one of that session (8 bytes, big-end.)
 * A session's number begins with the revision at which the registry was opened
 * (its boot); so who opens it knows which ephemeral keys are of an earlier one,
 * and deletes them. An entry begins with the version of its layout. */
#ifndef CORE_REGISTRY_STORE_H
#define CORE_REGISTRY_STORE_H

#include "core/registry.h"

struct registry_store;

/* A session is never SUSPECT here, and gone only when it was expired or another
 * has opened the registry: it lives in the process that has the store. What is
 * read is always current. A node has room for about four sessions: each takes a
 * view of it (node_outside()). ERR_UNKNOWN: the disk failed in a commit.
 * Opens it, on a thread that may block; the store is borrowed until
 * registry_store_free(). One that was opened before on the same store has lost
 * it then: its sessions hear that they are gone when they write. Errors are the
 * store's; ERR_FORMAT: its records are damaged, or a newer engine's. `why`: a
 * sentence. */
err registry_store_open(struct store *store, struct registry_store **out,
                        char why[STORE_WHY_BYTES]);
/* All sessions are closed. NULL is fine. */
void registry_store_free(struct registry_store *rs);
struct registry registry_store_calls(struct registry_store *rs);

/* The session is gone, as one of a node that wasn't heard of for too long.
 * False: there is none of that number. Any thread. */
bool registry_store_expire(struct registry_store *rs, uint64_t session);
/* For the simulated world: asked of each transaction that was done; true: its
 * answer is lost on the way, and the session is told ERR_UNKNOWN. NULL: none
 * is. While no request is under way. */
void registry_store_set_fault(struct registry_store *rs,
                              bool (*lost)(void *context), void *context);

/* ---- for who looks at a store ---- */

/* Is this one of its records? OK: then *key is its key, as text, and the entry
 * what it says; borrowed as `value` is. ERR_DONE: it is another record of the
 * registry's, and sound. ERR_NOTFOUND: it is none of its. ERR_FORMAT: it is
 * damaged, or a newer engine's. */
err registry_store_entry(struct bytes record, struct bytes value,
                         struct registry_entry *entry,
                         char key[REGISTRY_KEY_MAX + 1]);
/* Where its records begin: for store_seek(). */
struct bytes registry_store_begin(void);

#endif
