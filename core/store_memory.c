/* store_memory.c - a skip list (Pugh 1990), and a journal of what the running
 * transaction has replaced. Views and the transaction exclude each other. */
#include "core/store_memory.h"
#include "core/alloc.h"
#include "core/value.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { LEVELS = 24 }; /* a quarter of each is in the next: 2^48 records */

struct record {
    struct bytes key, value; /* both owned, one block each */
    unsigned levels;
    struct record *next[];
};

/* What a change of the transaction has replaced. */
struct replaced {
    struct record *record;
    struct bytes value; /* owned; at NULL: the record is new */
    bool out;           /* it was taken out of the list */
    struct replaced *before;
};

struct store_memory {
    pthread_rwlock_t lock;
    struct record *head[LEVELS];
    size_t count;
    uint64_t draws;
    struct replaced *journal;
    err (*fault)(void *context);
    void *fault_context;
};

struct memory_view {
    struct store_view view;
    struct store_memory *memory;
    const struct record *at; /* the record shown last */
};

struct store_memory *store_memory_new(void)
{
    struct store_memory *m = mem_zero(1, sizeof *m);
    if (m) pthread_rwlock_init(&m->lock, NULL);
    return m;
}

static void free_record(struct record *r)
{
    mem_free((void *)(uintptr_t)r->key.at);
    mem_free((void *)(uintptr_t)r->value.at);
    mem_free(r);
}

void store_memory_free(struct store_memory *m)
{
    if (m == NULL) return;
    while (m->head[0]) {
        struct record *r = m->head[0];
        m->head[0] = r->next[0];
        free_record(r);
    }
    pthread_rwlock_destroy(&m->lock);
    mem_free(m);
}

void store_memory_set_fault(struct store_memory *m, err (*fault)(void *),
                            void *context)
{
    m->fault = fault;
    m->fault_context = context;
}

size_t store_memory_count(const struct store_memory *m)
{
    return m->count;
}

/* ---- the list ---- */

/* On each level the link that leads to the first record at or behind `key`. */
static struct record *seek(const struct store_memory *m, struct bytes key,
                           struct record ***links)
{
    struct record **from = ((struct store_memory *)(uintptr_t)m)->head;
    for (int level = LEVELS - 1; level >= 0; level--) {
        while (from[level] && bytes_order(from[level]->key, key) < 0)
            from = from[level]->next;
        if (links) links[level] = &from[level];
    }
    return from[0];
}

static struct record *find(const struct store_memory *m, struct bytes key)
{
    struct record *r = seek(m, key, NULL);
    return r && bytes_order(r->key, key) == 0 ? r : NULL;
}

static unsigned draw_levels(struct store_memory *m)
{
    uint64_t draw = value_hash_mix(++m->draws);
    unsigned levels = 1;
    for (; levels < LEVELS && (draw & 3) == 0; draw >>= 2)
        levels++;
    return levels;
}

static void link_in(struct store_memory *m, struct record *r)
{
    struct record **links[LEVELS];
    seek(m, r->key, links);
    for (unsigned i = 0; i < r->levels; i++) {
        r->next[i] = *links[i];
        *links[i] = r;
    }
    m->count++;
}

static void take_out(struct store_memory *m, struct record *r)
{
    struct record **links[LEVELS];
    seek(m, r->key, links);
    for (unsigned i = 0; i < r->levels; i++)
        *links[i] = r->next[i];
    m->count--;
}

/* Also of no bytes: it is not NULL then. */
static err copy(struct bytes from, struct bytes *out)
{
    char *block = mem_alloc(from.count + 1);
    if (block == NULL) return ERR_NOMEM;
    if (from.count) memcpy(block, from.at, from.count);
    *out = bytes_of(block, from.count);
    return OK;
}

static err insert(struct store_memory *m, struct bytes key, struct bytes value,
                  struct record **out)
{
    unsigned levels = draw_levels(m);
    struct record *r =
        mem_zero(1, sizeof *r + levels * sizeof(struct record *));
    if (r == NULL) return ERR_NOMEM;
    r->levels = levels;
    if (copy(key, &r->key) != OK || copy(value, &r->value) != OK) {
        free_record(r);
        return ERR_NOMEM;
    }
    link_in(m, r);
    *out = r;
    return OK;
}

/* ---- the transaction ---- */

static err begin(void *context, char why[STORE_WHY_BYTES])
{
    struct store_memory *m = context;
    pthread_rwlock_wrlock(&m->lock);
    return OK;
}

static err put_record(struct store_memory *m, struct replaced *j,
                      struct bytes key, struct bytes value)
{
    struct record *r = find(m, key);
    if (value.at == NULL) {
        if (r == NULL) return ERR_NOTFOUND;
        take_out(m, r);
        j->out = true;
        j->value = r->value;
        r->value = bytes_of(NULL, 0);
    } else if (r) {
        struct bytes old = r->value;
        err e = copy(value, &r->value);
        if (e != OK) return e;
        j->value = old;
    } else {
        err e = insert(m, key, value, &r);
        if (e != OK) return e;
    }
    j->record = r;
    return OK;
}

static err put(void *context, struct bytes key, struct bytes value,
               char why[STORE_WHY_BYTES])
{
    struct store_memory *m = context;
    struct replaced *j = mem_zero(1, sizeof *j);
    err e = j ? put_record(m, j, key, value) : ERR_NOMEM;
    if (e == OK) {
        j->before = m->journal;
        m->journal = j;
        return OK;
    }
    mem_free(j);
    if (e == ERR_NOTFOUND) return OK; /* it was missing already */
    snprintf(why, STORE_WHY_BYTES, "%s", err_text(e));
    return e;
}

static err find_now(void *context, struct bytes key, struct bytes *value,
                    char why[STORE_WHY_BYTES])
{
    const struct record *r = find(context, key);
    *value = r ? r->value : bytes_of(NULL, 0);
    return OK;
}

/* Newest first, so each key ends with what it had at the beginning. */
static void undo(struct store_memory *m, struct replaced *j)
{
    struct record *r = j->record;
    if (j->value.at == NULL) { /* it was new; nothing newer is of it */
        take_out(m, r);
        free_record(r);
        return;
    }
    if (j->out) link_in(m, r);
    mem_free((void *)(uintptr_t)r->value.at);
    r->value = j->value;
}

static void forget(struct replaced *j)
{
    mem_free((void *)(uintptr_t)j->value.at);
    if (j->out) free_record(j->record);
}

static void end(struct store_memory *m, bool keep)
{
    while (m->journal) {
        struct replaced *j = m->journal;
        m->journal = j->before;
        if (keep)
            forget(j);
        else
            undo(m, j);
        mem_free(j);
    }
    pthread_rwlock_unlock(&m->lock);
}

static void abort_all(void *context)
{
    end(context, false);
}

static err commit(void *context, char why[STORE_WHY_BYTES])
{
    struct store_memory *m = context;
    err e = m->fault ? m->fault(m->fault_context) : OK;
    end(m, e == OK);
    if (e != OK) snprintf(why, STORE_WHY_BYTES, "%s", err_text(e));
    return e;
}

static err grow(void *context, char why[STORE_WHY_BYTES])
{
    return OK; /* asked for by a fault only */
}

/* ---- views ---- */

static const struct store_backend calls;

static err view(void *context, struct store_view **out)
{
    struct memory_view *v = mem_zero(1, sizeof *v);
    if (v == NULL) return ERR_NOMEM;
    v->view.backend = &calls;
    v->memory = context;
    pthread_rwlock_rdlock(&v->memory->lock);
    *out = &v->view;
    return OK;
}

static void unview(struct store_view *view)
{
    struct memory_view *v = (struct memory_view *)view;
    pthread_rwlock_unlock(&v->memory->lock);
    mem_free(v);
}

static err view_find(struct store_view *view, struct bytes key,
                     struct bytes *value)
{
    struct memory_view *v = (struct memory_view *)view;
    const struct record *r = find(v->memory, key);
    if (r == NULL) return ERR_NOTFOUND;
    *value = r->value;
    return OK;
}

static err show(struct memory_view *v, const struct record *r,
                struct bytes *found, struct bytes *value)
{
    v->at = r;
    if (r == NULL) return ERR_NOTFOUND;
    *found = r->key;
    *value = r->value;
    return OK;
}

static err view_seek(struct store_view *view, struct bytes key,
                     struct bytes *found, struct bytes *value)
{
    struct memory_view *v = (struct memory_view *)view;
    return show(v, seek(v->memory, key, NULL), found, value);
}

static err view_next(struct store_view *view, struct bytes *found,
                     struct bytes *value)
{
    struct memory_view *v = (struct memory_view *)view;
    return show(v, v->at ? v->at->next[0] : NULL, found, value);
}

static void close_nothing(void *context)
{
}

static const struct store_backend calls = {
    .begin = begin,
    .put = put,
    .find = find_now,
    .commit = commit,
    .abort = abort_all,
    .grow = grow,
    .view = view,
    .unview = unview,
    .view_find = view_find,
    .view_seek = view_seek,
    .view_next = view_next,
    .close = close_nothing,
};

struct store_backend store_memory_backend(struct store_memory *memory)
{
    struct store_backend backend = calls;
    backend.context = memory;
    return backend;
}
