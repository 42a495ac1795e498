#include "core/registry_batch.h"
#include "core/registry_row.h"
#include "core/registry_store.h"
#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

static err find(struct store_view *view, const char *key,
                struct registry_entry *entry)
{
    struct row_key k;
    struct bytes value;
    row_key_entry(key, &k);
    err e = store_get(view, row_key_bytes(&k), &value);
    if (e != OK) return e;
    entry->key = key;
    return row_get_entry(value, entry);
}

static err list_children(struct store_view *view, struct registry_request *r)
{
    struct row_key from;
    struct bytes record, value;
    struct registry_entry entry;
    char key[REGISTRY_KEY_MAX + 1];
    row_key_children(r->key, &from);
    err e = store_seek(view, row_key_bytes(&from), &record, &value);
    while (e == OK && row_key_begins(record, &from)) {
        e = registry_store_entry(record, value, &entry, key);
        if (!r->values) entry.value = bytes_of("", 0);
        if (e == OK) e = registry_request_add(r, &entry);
        if (e == OK) e = store_next(view, &record, &value);
    }
    return e == ERR_NOTFOUND ? OK : e;
}

static void read_now(struct registry_batch *b, struct registry_request *r)
{
    struct registry_entry entry;
    r->revision = b->committed;
    if (r->what == REGISTRY_CHILDREN) {
        r->outcome = list_children(b->view, r);
        return;
    }
    r->outcome = find(b->view, r->key, &entry);
    if (r->outcome == OK) r->outcome = registry_request_add(r, &entry);
}

/* ---- checking ---- */

/* Of an op: how its key stands before the transaction. */
struct stand {
    struct registry_entry entry;
    bool there;
};

static err check_expected(const struct registry_op *op, const struct stand *s)
{
    if (op->expect == REGISTRY_ABSENT) return s->there ? ERR_CONFLICT : OK;
    if (op->expect == REGISTRY_ANY)
        return s->there || op->deed == REGISTRY_PUT ? OK : ERR_NOTFOUND;
    if (!s->there) return ERR_NOTFOUND;
    return s->entry.version == op->expect ? OK : ERR_CONFLICT;
}

static bool is_new(const struct registry_op *op, const struct stand *s)
{
    return op->deed == REGISTRY_PUT && !s->there;
}

/* No key that is above it is ephemeral. */
static err check_above(struct store_view *view, const char *key)
{
    char above[REGISTRY_KEY_MAX + 1];
    struct registry_entry entry;
    snprintf(above, sizeof above, "%s", key);
    for (char *slash; (slash = strrchr(above, '/')) != NULL;) {
        *slash = '\0';
        err e = find(view, above, &entry);
        if (e == OK && entry.owner != 0) return ERR_CONFLICT;
        if (e != OK && e != ERR_NOTFOUND) return e;
    }
    return OK;
}

static err check_nothing_below(struct store_view *view, const char *key)
{
    struct row_key from;
    struct bytes record, value;
    row_key_children(key, &from);
    do {
        err e = store_seek(view, row_key_bytes(&from), &record, &value);
        if (e == OK && row_key_begins(record, &from)) return ERR_CONFLICT;
        if (e != OK && e != ERR_NOTFOUND) return e;
    } while (row_key_deeper(&from));
    return OK;
}

static err count_children(struct store_view *view, const char *key,
                          unsigned *count)
{
    struct row_key from;
    struct bytes record, value;
    row_key_children(key, &from);
    *count = 0;
    err e = store_seek(view, row_key_bytes(&from), &record, &value);
    for (; e == OK && row_key_begins(record, &from); ++*count)
        e = store_next(view, &record, &value);
    return e == ERR_NOTFOUND ? OK : e;
}

static size_t parent_bytes(const char *key)
{
    const char *slash = strrchr(key, '/');
    return slash ? (size_t)(slash - key) : 0;
}

static bool are_siblings(const char *a, const char *b)
{
    size_t bytes = parent_bytes(a);
    return bytes == parent_bytes(b) && memcmp(a, b, bytes) == 0;
}

/* How many there would be below op i's parent with all ops up to it. */
static err count_siblings(struct store_view *view,
                          const struct registry_request *r, unsigned i,
                          const struct stand *stands, unsigned *count)
{
    char above[REGISTRY_KEY_MAX + 1];
    const char *key = r->ops[i].key;
    snprintf(above, sizeof above, "%.*s", (int)parent_bytes(key), key);
    err e = count_children(view, above, count);
    for (unsigned k = 0; k <= i; k++) {
        if (!are_siblings(r->ops[k].key, key)) continue;
        *count += is_new(&r->ops[k], &stands[k]);
        *count -= r->ops[k].deed == REGISTRY_DELETE;
    }
    return e;
}

/* ERR_DONE: only the batch's commit will tell. */
static err check_new(struct registry_batch *b, const struct registry_request *r,
                     unsigned i, const struct stand *stands)
{
    const struct registry_op *op = &r->ops[i];
    unsigned count;
    err e = check_above(b->view, op->key);
    if (e == OK && op->flags == REGISTRY_EPHEMERAL) /* digits: a new name */
        e = check_nothing_below(b->view, op->key);
    if (e == OK) e = count_siblings(b->view, r, i, stands, &count);
    if (e != OK) return e;
    if (count + b->creates <= REGISTRY_CHILDREN_MAX) return OK;
    return b->count > 0 ? ERR_DONE : ERR_LIMIT;
}

static err check_all(struct registry_batch *b, struct registry_request *r,
                     struct stand *stands)
{
    err e = OK;
    for (unsigned i = 0; e == OK && i < r->count; i++) {
        const struct registry_op *op = &r->ops[i];
        r->failed = i;
        e = op->flags & REGISTRY_SEQUENCE
                ? ERR_NOTFOUND
                : find(b->view, op->key, &stands[i].entry);
        stands[i].there = e == OK;
        if (e == OK || e == ERR_NOTFOUND) e = check_expected(op, &stands[i]);
    }
    for (unsigned i = 0; e == OK && i < r->count; i++) {
        r->failed = i;
        if (is_new(&r->ops[i], &stands[i])) e = check_new(b, r, i, stands);
    }
    return e;
}

static bool do_depend(const char *a, const char *b)
{
    return registry_is_below(a, b) || registry_is_below(b, a);
}

/* Does the transaction need what the batch changes? */
static bool depends(const struct registry_batch *b,
                    const struct registry_request *r)
{
    const char *key = (const char *)b->touched.data;
    const char *end = key + b->touched.used;
    for (; key < end; key += strlen(key) + 1)
        for (unsigned i = 0; i < r->count; i++)
            if (do_depend(r->ops[i].key, key)) return true;
    return false;
}

/* ---- changing ---- */

static err touch(struct registry_batch *b, const char *key)
{
    b->count++;
    return buffer_append(&b->touched, key, strlen(key) + 1);
}

static err put_entry(struct registry_batch *b,
                     const struct registry_entry *entry, bool own)
{
    struct row_key k;
    struct buffer row = {0};
    row_key_entry(entry->key, &k);
    err e = row_put_entry(&row, entry);
    if (e == OK)
        e = store_put(b->write, row_key_bytes(&k),
                      bytes_of(row.data, row.used));
    buffer_fini(&row);
    if (e != OK || !own || entry->owner == 0) return e;
    row_key_owned(entry->owner, entry->key, &k);
    return store_put(b->write, row_key_bytes(&k), bytes_of("", 0));
}

static err remove_entry(struct registry_batch *b, const char *key,
                        uint64_t owner)
{
    struct row_key k;
    row_key_entry(key, &k);
    err e = store_remove(b->write, row_key_bytes(&k));
    if (e != OK || owner == 0) return e;
    row_key_owned(owner, key, &k);
    return store_remove(b->write, row_key_bytes(&k));
}

/* There is room for the digits, see registry.c. */
static void number_key(const struct registry_op *op, uint64_t revision)
{
    char *end = (char *)(uintptr_t)op->key + strlen(op->key);
    snprintf(end, REGISTRY_SEQUENCE_DIGITS + 1, "%0*llu",
             REGISTRY_SEQUENCE_DIGITS, (unsigned long long)revision);
}

static err apply_put(struct registry_batch *b, uint64_t session,
                     const struct registry_op *op, const struct stand *stand)
{
    struct registry_entry entry = {
        .key = op->key,
        .value = op->value,
        .version = ++b->revision,
        .fence = stand->there ? stand->entry.fence : b->revision,
        .owner = stand->there ? stand->entry.owner : 0,
    };
    if (op->flags & REGISTRY_EPHEMERAL) entry.owner = session;
    if (op->flags & REGISTRY_SEQUENCE) number_key(op, b->revision);
    b->creates += !stand->there;
    err e = put_entry(b, &entry, !stand->there);
    return e == OK ? touch(b, op->key) : e;
}

static bool changes_any(const struct registry_request *r)
{
    for (unsigned i = 0; i < r->count; i++)
        if (r->ops[i].deed != REGISTRY_CHECK) return true;
    return false;
}

static err apply(struct registry_batch *b, uint64_t session,
                 struct registry_request *r, const struct stand *stands)
{
    err e = OK;
    if (b->write == NULL) b->write = store_write_new(b->store);
    if (b->write == NULL) return ERR_NOMEM;
    for (unsigned i = 0; e == OK && i < r->count; i++) {
        const struct registry_op *op = &r->ops[i];
        if (op->deed == REGISTRY_PUT) {
            e = apply_put(b, session, op, &stands[i]);
            r->results[i].version = b->revision;
        } else if (op->deed == REGISTRY_DELETE) {
            b->revision++;
            e = remove_entry(b, op->key, stands[i].entry.owner);
            if (e == OK) e = touch(b, op->key);
        }
    }
    return e;
}

/* ---- committing ---- */

void registry_batch_begin(struct registry_batch *b)
{
    b->revision = b->committed;
    b->count = b->creates = b->pending_count = 0;
    b->touched.used = 0;
    b->write = NULL;
    b->viewed = store_view(b->store, &b->view);
    if (b->viewed != OK) b->view = NULL;
}

static err put_counter(struct store_write *write, uint64_t revision)
{
    struct buffer row = {0};
    struct row_key k;
    row_key_counter(&k);
    err e = row_put_counter(&row, revision);
    if (e == OK)
        e = store_put(write, row_key_bytes(&k), bytes_of(row.data, row.used));
    buffer_fini(&row);
    return e;
}

/* Nobody else has written since. */
static err expect_counter(struct store_write *write, uint64_t revision)
{
    struct buffer row = {0};
    struct row_key k;
    row_key_counter(&k);
    err e = row_put_counter(&row, revision);
    if (e == OK)
        e = store_expect(write, row_key_bytes(&k),
                         bytes_of(row.data, row.used));
    buffer_fini(&row);
    return e;
}

static err commit(struct registry_batch *b)
{
    err e = expect_counter(b->write, b->committed);
    if (e == OK) e = put_counter(b->write, b->revision);
    if (e != OK) return e;
    e = store_commit(b->write);
    if (e == ERR_CONFLICT) return ERR_EXPIRED;
    if (e == ERR_IO) return ERR_UNKNOWN; /* the disk may have it even so */
    if (e != OK) return e;
    b->committed = b->revision;
    b->changed(b->context, &b->touched, b->revision);
    return OK;
}

err registry_batch_flush(struct registry_batch *b, err e)
{
    if (e == OK && b->write == NULL && b->viewed == OK) return OK;
    registry_batch_end(b);
    if (e == OK && b->write) e = commit(b);
    for (unsigned i = 0; i < b->pending_count; i++) {
        bool lost = e == OK && b->lost && b->lost(b->lost_context);
        b->pending[i]->outcome = lost ? ERR_UNKNOWN : e;
    }
    store_write_drop(NULL, b->write);
    registry_batch_begin(b);
    return e;
}

void registry_batch_end(struct registry_batch *b)
{
    store_unview(b->view);
    b->view = NULL;
}

/* ---- transactions and reads ---- */

err registry_batch_add(struct registry_batch *b, uint64_t session,
                       struct registry_request *r)
{
    struct stand stands[REGISTRY_OPS_MAX] = {0};
    if (b->viewed != OK) return b->viewed;
    if (b->count >= REGISTRY_BATCH_MAX || depends(b, r)) return ERR_DONE;
    err e = check_all(b, r, stands);
    if (e != OK || !changes_any(r)) return e;
    b->pending[b->pending_count++] = r;
    e = apply(b, session, r, stands);
    return e == OK ? OK : registry_batch_flush(b, e);
}

void registry_batch_read(struct registry_batch *b, struct registry_request *r)
{
    r->outcome = b->viewed;
    if (r->outcome == OK) read_now(b, r);
}

/* ---- sessions that are over ---- */

static err remove_owned(struct registry_batch *b, uint64_t session,
                        const char *key)
{
    if (b->write == NULL) b->write = store_write_new(b->store);
    if (b->write == NULL) return ERR_NOMEM;
    b->revision++;
    err e = remove_entry(b, key, session);
    return e == OK ? touch(b, key) : e;
}

/* All that begin with `from`. */
static err remove_all_owned(struct registry_batch *b,
                            const struct row_key *from)
{
    struct bytes record, value;
    char key[REGISTRY_KEY_MAX + 1];
    uint64_t session;
    if (b->viewed != OK) return b->viewed;
    err e = store_seek(b->view, row_key_bytes(from), &record, &value);
    while (e == OK && row_key_begins(record, from)) {
        e = row_key_get_owned(record, &session, key) ? OK : ERR_FORMAT;
        if (e == OK) e = remove_owned(b, session, key);
        if (e == OK) e = store_next(b->view, &record, &value);
    }
    return e == ERR_NOTFOUND ? OK : e;
}

err registry_batch_sweep(struct registry_batch *b, uint64_t session)
{
    struct row_key from;
    row_key_owned(session, "", &from);
    return registry_batch_flush(b, remove_all_owned(b, &from));
}

/* ---- opening ---- */

/* Of all zeroes: there was none. */
static err read_counter(struct registry_batch *b)
{
    struct row_key k;
    struct bytes value;
    row_key_counter(&k);
    if (b->viewed != OK) return b->viewed;
    err e = store_get(b->view, row_key_bytes(&k), &value);
    if (e == OK) return row_get_counter(value, &b->committed);
    return e == ERR_NOTFOUND ? OK : e;
}

/* Nobody is told: there is no session yet. */
static err take_over(struct registry_batch *b)
{
    struct row_key from;
    err e = read_counter(b);
    b->revision = b->committed + 1;
    row_key_owned_all(&from);
    if (e == OK) e = remove_all_owned(b, &from);
    if (e == OK && b->write == NULL) b->write = store_write_new(b->store);
    if (e == OK && b->write == NULL) e = ERR_NOMEM;
    registry_batch_end(b);
    if (e == OK) e = put_counter(b->write, b->revision);
    if (e == OK) e = store_commit(b->write);
    b->committed = b->revision;
    return e;
}

err registry_batch_open(struct registry_batch *b, char why[STORE_WHY_BYTES])
{
    registry_batch_begin(b);
    err e = take_over(b);
    if (e == ERR_FORMAT)
        snprintf(why, STORE_WHY_BYTES,
                 "the registry is damaged, or a newer engine's; use that one, "
                 "or restore a backup");
    else if (e != OK)
        snprintf(why, STORE_WHY_BYTES, "%s",
                 b->write && b->write->why[0] ? b->write->why : err_text(e));
    store_write_drop(NULL, b->write);
    b->write = NULL;
    return e;
}

void registry_batch_fini(struct registry_batch *b)
{
    buffer_fini(&b->touched);
}
