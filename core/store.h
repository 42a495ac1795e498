/* store.h - what outlives the process: records, byte strings both in key and
 * value, ordered by key (memcmp, a prefix first), changed in transactions.
 * Actors gather a write and start it; it answers by message when it is durable,
 * or nothing of it is there. Writes that are started while one commits share
 * the next commit (group commit, no timer). Reading is done on any thread, in a
 * view of one moment.
 * Behind it is a backend: LMDB (store_lmdb.h) or memory (store_memory.h), which
 * is the simulated world's and that of runs without a folder. */
#ifndef CORE_STORE_H
#define CORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/err.h"
#include "core/job.h"

enum {
    STORE_KEY_MAX = 500, /* bytes of a key; at least 1 */
    STORE_WHY_BYTES = 256,
};

struct bytes {
    const void *at; /* NULL: there is none */
    size_t count;
};

static inline struct bytes bytes_of(const void *at, size_t count)
{
    return (struct bytes){at, count};
}

/* memcmp(), a prefix first. */
int bytes_order(struct bytes a, struct bytes b);

struct store;
struct store_view;

/* What a backend does. `put` and `find` belong to the one transaction that is
 * begun; between begin() and commit() or abort() nobody else begins. Errors
 * leave a sentence in `why`. */
struct store_backend {
    err (*begin)(void *context, char why[STORE_WHY_BYTES]);
    /* value.at NULL: removes the key, which may be missing. ERR_FULL: grow()
     * after abort(), and begin anew. ERR_LIMIT: the key is too long. */
    err (*put)(void *context, struct bytes key, struct bytes value,
               char why[STORE_WHY_BYTES]);
    /* As the transaction has it so far; borrowed until the next put. OK with
     * value->at NULL: there is none. */
    err (*find)(void *context, struct bytes key, struct bytes *value,
                char why[STORE_WHY_BYTES]);
    /* Durable when it returns OK. Otherwise the transaction is over and nothing
     * of it is there: ERR_FULL as above, ERR_NOSPACE: the disk is full, ERR_IO.
     * ERR_CRASHED: what is there isn't known, this process writes no more. */
    err (*commit)(void *context, char why[STORE_WHY_BYTES]);
    void (*abort)(void *context);
    /* Makes room, waits for the views that are open. */
    err (*grow)(void *context, char why[STORE_WHY_BYTES]);

    err (*view)(void *context, struct store_view **out);
    void (*unview)(struct store_view *view);
    err (*view_find)(struct store_view *view, struct bytes key,
                     struct bytes *value);
    /* The first record at or behind `key`; of all if key.count is 0.
     * ERR_NOTFOUND: none is. */
    err (*view_seek)(struct store_view *view, struct bytes key,
                     struct bytes *found, struct bytes *value);
    /* The one behind the last that was sought or shown. */
    err (*view_next)(struct store_view *view, struct bytes *found,
                     struct bytes *value);
    void (*close)(void *context);
    void *context; /* owned */
};

/* A backend's view begins with this. */
struct store_view {
    const struct store_backend *backend;
};

/* Takes the backend over and closes it in store_free(), also where there is no
 * memory (NULL). No write may be under way then. */
struct store *store_new(const struct store_backend *backend);
void store_free(struct store *store);

/* ---- reading: any thread ---- */

/* As of now. Hold it for one turn only: it keeps old pages, and growth waits
 * for it. ERR_NOMEM, ERR_IO, ERR_LIMIT: too many are open. */
err store_view(struct store *store, struct store_view **out);
/* NULL is fine. */
void store_unview(struct store_view *view);
/* *value is borrowed until the view ends. ERR_NOTFOUND. */
err store_get(struct store_view *view, struct bytes key, struct bytes *value);
/* A walk in key order: sets *key and *value to the first record whose key is
 * `from` or behind it, store_next() to the one behind that. ERR_NOTFOUND: there
 * is none. Borrowed likewise. One walk a view. */
err store_seek(struct store_view *view, struct bytes from, struct bytes *key,
               struct bytes *value);
err store_next(struct store_view *view, struct bytes *key, struct bytes *value);

/* ---- writing ---- */

/* Takes a change; value.at NULL removes. */
typedef err store_put_fn(void *to, struct bytes key, struct bytes value);

/* Changes that lie elsewhere than in the write: a task's state. */
struct store_part {
    /* Says all of them, to a commit on another thread; again, if that had to
     * begin anew. What put() returns but OK, it returns. */
    err (*each)(struct store_part *part, store_put_fn *put, void *to);
    /* It is written, or nobody wants it any more. Any thread. */
    void (*drop)(struct store_part *part);
    struct store_part *next;
};

/* One transaction: all of it or nothing. Owned by who made it until it is
 * started; then by the answer. */
struct store_write {
    struct job job; /* first: the answer's body is its pointer */
    struct store *store;
    struct buffer changes;    /* store_put() … */
    struct store_part *parts; /* said after the changes; outlive the answer */
    bool done;                /* under the store's lock */
    struct store_write *next;
    /* Of the answer. OK: it is durable. ERR_CONFLICT: something wasn't as
     * expected. ERR_NOSPACE, ERR_IO, ERR_NOMEM, ERR_LIMIT: `why` says more.
     * ERR_CRASHED, too: no write succeeds any more. */
    err outcome;
    char why[STORE_WHY_BYTES];
    /* For its holder: called when the last reference goes; may be NULL. */
    void (*drop)(struct store_write *write);
    void *holder;
};

/* An empty one, owned; NULL: out of memory. */
struct store_write *store_write_new(struct store *store);
/* It wasn't started, or its answer isn't needed any more. NULL is fine. */
void store_write_drop(struct env *env, struct store_write *write);
/* Copy both. ERR_NOMEM; ERR_LIMIT: the key is longer than STORE_KEY_MAX. */
err store_put(struct store_write *write, struct bytes key, struct bytes value);
err store_remove(struct store_write *write, struct bytes key);
/* The write is only done if the record is so when it is (value.at NULL: isn't
 * there). Said before the changes of that key. */
err store_expect(struct store_write *write, struct bytes key,
                 struct bytes value);
/* The running actor is answered by a message of this kind; see job_start(). */
void store_start(struct env *env, struct store_write *write, uint16_t kind);
/* The same here and now, on a thread that may block; the write stays the
 * caller's. Returns its outcome. */
err store_commit(struct store_write *write);

#endif
