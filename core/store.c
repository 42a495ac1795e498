/* store.c - writes wait in a list; who finds nobody at work takes all that
 * wait into one transaction. So there is one writer at a time, whichever of the
 * threads for blocking work it is. */
#include "core/store.h"
#include "core/alloc.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct store {
    struct store_backend backend;
    pthread_mutex_t lock;
    pthread_cond_t committed;
    bool writing;
    struct store_write *first, *last; /* they wait */
};

/* Changes lie in a write as a head and the bytes of key and value. */
enum change { CHANGE_PUT, CHANGE_REMOVE, CHANGE_EXPECT, CHANGE_EXPECT_NONE };

struct change_head {
    uint32_t change, key_bytes;
    uint64_t value_bytes;
};

int bytes_order(struct bytes a, struct bytes b)
{
    size_t both = a.count < b.count ? a.count : b.count;
    int order = both ? memcmp(a.at, b.at, both) : 0;
    return order ? order : (a.count > b.count) - (a.count < b.count);
}

struct store *store_new(const struct store_backend *backend)
{
    struct store *store = mem_zero(1, sizeof *store);
    if (store == NULL) {
        backend->close(backend->context);
        return NULL;
    }
    store->backend = *backend;
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->committed, NULL);
    return store;
}

void store_free(struct store *store)
{
    if (store == NULL) return;
    store->backend.close(store->backend.context);
    pthread_mutex_destroy(&store->lock);
    pthread_cond_destroy(&store->committed);
    mem_free(store);
}

/* ---- reading ---- */

err store_view(struct store *store, struct store_view **out)
{
    return store->backend.view(store->backend.context, out);
}

void store_unview(struct store_view *view)
{
    if (view) view->backend->unview(view);
}

err store_get(struct store_view *view, struct bytes key, struct bytes *value)
{
    return view->backend->view_find(view, key, value);
}

err store_seek(struct store_view *view, struct bytes from, struct bytes *key,
               struct bytes *value)
{
    return view->backend->view_seek(view, from, key, value);
}

err store_next(struct store_view *view, struct bytes *key, struct bytes *value)
{
    return view->backend->view_next(view, key, value);
}

/* ---- a write ---- */

static void free_write(struct env *env, struct ref *ref)
{
    struct store_write *write = (struct store_write *)ref;
    if (write->drop) write->drop(write);
    buffer_fini(&write->changes);
    mem_free(write);
}

static void work(struct node *node, struct job *job)
{
    store_commit((struct store_write *)job);
}

struct store_write *store_write_new(struct store *store)
{
    struct store_write *write = mem_zero(1, sizeof *write);
    if (write == NULL) return NULL;
    ref_init(&write->job.ref, free_write);
    write->job.work = work;
    write->store = store;
    return write;
}

void store_write_drop(struct env *env, struct store_write *write)
{
    if (write) ref_drop(env, &write->job.ref);
}

static err add_change(struct store_write *write, enum change change,
                      struct bytes key, struct bytes value)
{
    if (key.count == 0 || key.count > STORE_KEY_MAX) return ERR_LIMIT;
    struct change_head head = {(uint32_t)change, (uint32_t)key.count,
                               value.count};
    struct buffer *b = &write->changes;
    if (buffer_reserve(b, sizeof head + key.count + value.count) != OK)
        return ERR_NOMEM;
    buffer_append(b, &head, sizeof head);
    buffer_append(b, key.at, key.count);
    return buffer_append(b, value.at, value.count);
}

err store_put(struct store_write *write, struct bytes key, struct bytes value)
{
    return add_change(write, CHANGE_PUT, key, value);
}

err store_remove(struct store_write *write, struct bytes key)
{
    return add_change(write, CHANGE_REMOVE, key, bytes_of(NULL, 0));
}

err store_expect(struct store_write *write, struct bytes key,
                 struct bytes value)
{
    return add_change(write, value.at ? CHANGE_EXPECT : CHANGE_EXPECT_NONE, key,
                      value);
}

/* The change at `at` of the buffer; returns where the next one is. */
static size_t read_change(const struct buffer *b, size_t at,
                          enum change *change, struct bytes *key,
                          struct bytes *value)
{
    struct change_head head;
    memcpy(&head, b->data + at, sizeof head);
    at += sizeof head;
    *change = (enum change)head.change;
    *key = bytes_of(b->data + at, head.key_bytes);
    at += head.key_bytes;
    *value = bytes_of(b->data + at, head.value_bytes);
    return at + head.value_bytes;
}

/* ---- committing ---- */

static bool is_so(struct bytes seen, enum change change, struct bytes expected)
{
    if (change == CHANGE_EXPECT_NONE) return seen.at == NULL;
    return seen.at != NULL && bytes_order(seen, expected) == 0;
}

/* Is all as the write expects it? */
static err check(struct store_write *w)
{
    const struct store_backend *b = &w->store->backend;
    enum change change;
    struct bytes key, value, seen;
    for (size_t at = 0; at < w->changes.used;) {
        at = read_change(&w->changes, at, &change, &key, &value);
        if (change < CHANGE_EXPECT) continue;
        err e = b->find(b->context, key, &seen, w->why);
        if (e != OK) return e;
        if (is_so(seen, change, value)) continue;
        snprintf(w->why, sizeof w->why, "%s", err_text(ERR_CONFLICT));
        return ERR_CONFLICT;
    }
    return OK;
}

static err put_part(void *to, struct bytes key, struct bytes value)
{
    struct store_write *w = to;
    const struct store_backend *b = &w->store->backend;
    return b->put(b->context, key, value, w->why);
}

static err apply(struct store_write *w)
{
    enum change change;
    struct bytes key, value;
    err e = OK;
    for (size_t at = 0; e == OK && at < w->changes.used;) {
        at = read_change(&w->changes, at, &change, &key, &value);
        if (change == CHANGE_REMOVE) value = bytes_of(NULL, 0);
        if (change < CHANGE_EXPECT) e = put_part(w, key, value);
    }
    for (struct store_part *p = w->parts; e == OK && p; p = p->next)
        e = p->each(p, put_part, w);
    return e;
}

/* A write that isn't as it expects is left out; any other error ends all. */
static err apply_all(struct store_write *group, struct store_write **failed)
{
    for (struct store_write *w = group; w; w = w->next) {
        *failed = w;
        w->outcome = check(w);
        if (w->outcome == ERR_CONFLICT) continue;
        if (w->outcome == OK) w->outcome = apply(w);
        if (w->outcome != OK) return w->outcome;
    }
    *failed = NULL;
    return OK;
}

/* One transaction; begun anew when there was no room for it. */
static err commit_once(struct store *store, struct store_write *group,
                       char why[STORE_WHY_BYTES])
{
    const struct store_backend *b = &store->backend;
    for (;;) {
        struct store_write *failed;
        err e = b->begin(b->context, why);
        if (e != OK) return e;
        e = apply_all(group, &failed);
        if (e == OK) {
            e = b->commit(b->context, why);
        } else {
            memcpy(why, failed->why, STORE_WHY_BYTES);
            b->abort(b->context);
        }
        if (e != ERR_FULL) return e;
        e = b->grow(b->context, why);
        if (e != OK) return e;
    }
}

/* What can't be done together is tried one by one: an error is its own write's
 * then. */
static void commit_group(struct store *store, struct store_write *group)
{
    char why[STORE_WHY_BYTES] = "";
    if (commit_once(store, group, why) == OK) return;
    while (group) {
        struct store_write *w = group;
        group = w->next;
        w->next = NULL;
        err e = commit_once(store, w, why);
        if (e != OK) {
            w->outcome = e;
            memcpy(w->why, why, sizeof w->why);
        }
        w->next = group;
    }
}

/* The lock is held, and is again when it returns. */
static void commit_waiting(struct store *store)
{
    struct store_write *group = store->first;
    store->first = store->last = NULL;
    store->writing = true;
    pthread_mutex_unlock(&store->lock);
    commit_group(store, group);
    pthread_mutex_lock(&store->lock);
    while (group) {
        struct store_write *w = group;
        group = w->next;
        w->next = NULL;
        w->done = true;
    }
    store->writing = false;
    pthread_cond_broadcast(&store->committed);
}

err store_commit(struct store_write *write)
{
    struct store *store = write->store;
    write->next = NULL;
    write->done = false;
    pthread_mutex_lock(&store->lock);
    if (store->first)
        store->last->next = write;
    else
        store->first = write;
    store->last = write;
    while (!write->done) {
        if (store->writing)
            pthread_cond_wait(&store->committed, &store->lock);
        else
            commit_waiting(store);
    }
    err e = write->outcome;
    pthread_mutex_unlock(&store->lock);
    return e;
}

void store_start(struct env *env, struct store_write *write, uint16_t kind)
{
    job_start(env, &write->job, kind);
}
