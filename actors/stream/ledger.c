#include "actors/stream/ledger.h"
#include "core/alloc.h"
#include "core/value.h"
#include <stdio.h>
#include <string.h>

enum {
    CHECKPOINT_VERSION = 1,
    TASK_VERSION = 1,
    BYTES_VERSION = 1, /* of names and backlogs */
    FORGET_AT_ONCE = 10000,
};

/* ---- keys ---- */

static err add(struct ledger_key *key, const void *bytes, size_t count)
{
    if (count > sizeof key->at - key->count) return ERR_LIMIT;
    memcpy(key->at + key->count, bytes, count);
    key->count += count;
    return OK;
}

static err topology_key(char kind, const char *name, struct ledger_key *out)
{
    out->count = 0;
    add(out, &kind, 1);
    return add(out, name, strlen(name) + 1);
}

err ledger_key(enum ledger_kind kind, const struct plan *plan,
               const struct component_plan *component, unsigned index,
               struct ledger_key *out)
{
    uint8_t number[4];
    value_store32(number, index);
    err e = topology_key((char)kind, plan->name, out);
    if (e == OK) e = add(out, component->name, strlen(component->name) + 1);
    return e == OK ? add(out, number, sizeof number) : e;
}

/* ---- rows ---- */

static err put_int(struct buffer *b, int64_t n)
{
    if (buffer_reserve(b, VALUE_SCALAR_MAX) != OK) return ERR_NOMEM;
    b->used = (size_t)(value_put_int(b->data + b->used, n) - b->data);
    return OK;
}

static err put_bytes(struct buffer *b, struct bytes bytes)
{
    if (buffer_reserve(b, VALUE_HEAD_MAX + bytes.count + 16) != OK)
        return ERR_NOMEM;
    uint8_t *end =
        value_put_bytes(b->data + b->used, bytes.at, (uint32_t)bytes.count);
    b->used = (size_t)(end - b->data);
    return OK;
}

/* A row that is read: values, trusted once they were checked. */
struct row {
    const uint8_t *at, *end;
    bool bad;
};

static struct value next_value(struct row *row, enum value_type type)
{
    struct value v = {.type = VALUE_NIL};
    const uint8_t *next;
    if (!row->bad && value_check(row->at, row->end, &next) == OK) {
        value_get(row->at, &v);
        row->at = next;
    }
    if (v.type != type) row->bad = true;
    return v;
}

static int64_t next_int(struct row *row)
{
    struct value v = next_value(row, VALUE_INT);
    return row->bad ? 0 : v.as.integer;
}

static struct bytes next_bytes(struct row *row)
{
    struct value v = next_value(row, VALUE_BYTES);
    return row->bad ? bytes_of(NULL, 0) : bytes_of(v.as.bytes, v.count);
}

static struct row row_of(struct bytes bytes)
{
    return (struct row){bytes.at, (const uint8_t *)bytes.at + bytes.count,
                        false};
}

/* ---- the checkpoint ---- */

/* What goes back to a loop's head is state, too. */
static bool is_kept(const struct plan *plan, const struct component_plan *c)
{
    for (unsigned i = 0; i < c->input_count; i++)
        if (c->inputs[i].back && plan->guarantee == EXACTLY_ONCE) return true;
    return c->durable;
}

static err put_components(struct buffer *row, const struct plan *plan)
{
    err e = OK;
    for (unsigned i = 0; e == OK && i < plan->count; i++) {
        const struct component_plan *c = &plan->components[i];
        if (!is_kept(plan, c)) continue;
        e = put_bytes(row, bytes_of(c->name, strlen(c->name)));
        if (e == OK) e = put_int(row, c->tasks);
    }
    return e;
}

static err put_checkpoint(struct buffer *row, const struct plan *plan,
                          const struct ledger_checkpoint *c)
{
    err e = put_int(row, CHECKPOINT_VERSION);
    if (e == OK) e = put_int(row, (int64_t)c->number);
    if (e == OK) e = put_int(row, c->wall_ns);
    if (e == OK) e = put_int(row, c->ended);
    return e == OK ? put_components(row, plan) : e;
}

err ledger_put(struct store_write *write, const struct plan *plan,
               const struct ledger_checkpoint *checkpoint)
{
    struct ledger_key key;
    struct buffer row = {0};
    err e = topology_key(LEDGER_CHECKPOINT, plan->name, &key);
    if (e == OK) e = put_checkpoint(&row, plan, checkpoint);
    if (e == OK)
        e = store_put(write, ledger_bytes(&key), bytes_of(row.data, row.used));
    buffer_fini(&row);
    return e;
}

static const struct component_plan *component_named(const struct plan *plan,
                                                    struct bytes name)
{
    for (unsigned i = 0; i < plan->count; i++)
        if (bytes_order(bytes_of(plan->components[i].name,
                                 strlen(plan->components[i].name)),
                        name) == 0)
            return &plan->components[i];
    return NULL;
}

/* State belongs to a task: none may be gone, and none new. */
static err check_component(struct row *row, const struct plan *plan,
                           char why[STORE_WHY_BYTES])
{
    struct bytes name = next_bytes(row);
    int64_t tasks = next_int(row);
    if (row->bad) return OK;
    const struct component_plan *c = component_named(plan, name);
    if (c == NULL || !is_kept(plan, c))
        snprintf(why, STORE_WHY_BYTES,
                 "component '%.*s' keeps state there, and %s; give it back, or "
                 "begin anew with --fresh",
                 (int)name.count, (const char *)name.at,
                 c ? "has no state = \"durable\", or way back to it, any more"
                   : "is gone");
    else if (c->tasks != tasks)
        snprintf(why, STORE_WHY_BYTES,
                 "component '%s' keeps the state of %lld tasks there and has "
                 "%u now; give it tasks = %lld, or begin anew with --fresh",
                 c->name, (long long)tasks, c->tasks, (long long)tasks);
    else
        return OK;
    return ERR_FORMAT;
}

static err damaged(const char *name, char why[STORE_WHY_BYTES])
{
    snprintf(why, STORE_WHY_BYTES,
             "the record of the checkpoints of '%s' is damaged; restore a "
             "backup, or begin anew with --fresh",
             name);
    return ERR_FORMAT;
}

/* Its components are left in the row. */
static err read_checkpoint(struct row *row, const char *name,
                           struct ledger_checkpoint *out,
                           char why[STORE_WHY_BYTES])
{
    int64_t version = next_int(row);
    if (!row->bad && version > CHECKPOINT_VERSION) {
        snprintf(why, STORE_WHY_BYTES,
                 "the checkpoints of '%s' are a newer engine's; use that one, "
                 "or begin anew with --fresh",
                 name);
        return ERR_FORMAT;
    }
    out->number = (uint64_t)next_int(row);
    out->wall_ns = next_int(row);
    out->ended = next_int(row) != 0;
    return row->bad ? damaged(name, why) : OK;
}

/* ERR_NOTFOUND: there is none. */
static err find_checkpoint(struct store_view *view, const char *name,
                           struct row *row, struct ledger_checkpoint *out,
                           char why[STORE_WHY_BYTES])
{
    struct ledger_key key;
    struct bytes bytes;
    *out = (struct ledger_checkpoint){0};
    err e = topology_key(LEDGER_CHECKPOINT, name, &key);
    if (e == OK) e = store_get(view, ledger_bytes(&key), &bytes);
    if (e != OK) {
        snprintf(why, STORE_WHY_BYTES, "%s", err_text(e));
        return e;
    }
    *row = row_of(bytes);
    return read_checkpoint(row, name, out, why);
}

err ledger_read_any(struct store_view *view, const char *name,
                    struct ledger_checkpoint *out, char why[STORE_WHY_BYTES])
{
    struct row row;
    return find_checkpoint(view, name, &row, out, why);
}

err ledger_read(struct store_view *view, const struct plan *plan,
                struct ledger_checkpoint *out, char why[STORE_WHY_BYTES])
{
    struct row row;
    err e = find_checkpoint(view, plan->name, &row, out, why);
    if (e == ERR_NOTFOUND) return OK;
    while (e == OK && !row.bad && row.at < row.end)
        e = check_component(&row, plan, why);
    return e == OK && row.bad ? damaged(plan->name, why) : e;
}

/* ---- tasks ---- */

err ledger_put_task(struct store_write *write, const struct plan *plan,
                    const struct component_plan *component, unsigned index,
                    const struct ledger_task *task)
{
    struct ledger_key key;
    struct buffer row = {0};
    err e = ledger_key(LEDGER_TASK, plan, component, index, &key);
    if (e == OK) e = put_int(&row, TASK_VERSION);
    if (e == OK) e = put_int(&row, task->ended);
    if (e == OK && task->position.at) e = put_bytes(&row, task->position);
    if (e == OK)
        e = store_put(write, ledger_bytes(&key), bytes_of(row.data, row.used));
    buffer_fini(&row);
    return e;
}

err ledger_read_task(struct store_view *view, const struct plan *plan,
                     const struct component_plan *component, unsigned index,
                     struct ledger_task *out)
{
    struct ledger_key key;
    struct bytes bytes;
    *out = (struct ledger_task){0};
    err e = ledger_key(LEDGER_TASK, plan, component, index, &key);
    if (e == OK) e = store_get(view, ledger_bytes(&key), &bytes);
    if (e != OK) return e == ERR_NOTFOUND ? OK : e;
    struct row row = row_of(bytes);
    if (next_int(&row) > TASK_VERSION) return ERR_FORMAT;
    out->ended = next_int(&row) != 0;
    if (!row.bad && row.at < row.end) out->position = next_bytes(&row);
    return row.bad ? ERR_FORMAT : OK;
}

/* ---- names and backlogs ---- */

static err put_or_remove(struct store_write *write,
                         const struct ledger_key *key, struct bytes bytes)
{
    struct buffer row = {0};
    if (bytes.count == 0) return store_remove(write, ledger_bytes(key));
    err e = put_int(&row, BYTES_VERSION);
    if (e == OK) e = put_bytes(&row, bytes);
    if (e == OK)
        e = store_put(write, ledger_bytes(key), bytes_of(row.data, row.used));
    buffer_fini(&row);
    return e;
}

static err read_bytes(struct store_view *view, const struct ledger_key *key,
                      struct bytes *out)
{
    struct bytes bytes;
    *out = bytes_of(NULL, 0);
    err e = store_get(view, ledger_bytes(key), &bytes);
    if (e != OK) return e == ERR_NOTFOUND ? OK : e;
    struct row row = row_of(bytes);
    if (next_int(&row) > BYTES_VERSION) return ERR_FORMAT;
    *out = next_bytes(&row);
    return row.bad ? ERR_FORMAT : OK;
}

err ledger_put_names(struct store_write *write, const struct plan *plan,
                     struct bytes names)
{
    struct ledger_key key;
    err e = topology_key(LEDGER_NAMES, plan->name, &key);
    return e == OK ? put_or_remove(write, &key, names) : e;
}

err ledger_read_names(struct store_view *view, const struct plan *plan,
                      struct bytes *out)
{
    struct ledger_key key;
    err e = topology_key(LEDGER_NAMES, plan->name, &key);
    return e == OK ? read_bytes(view, &key, out) : e;
}

err ledger_put_backlog(struct store_write *write, const struct plan *plan,
                       const struct component_plan *component, unsigned index,
                       struct bytes backlog)
{
    struct ledger_key key;
    err e = ledger_key(LEDGER_BACKLOG, plan, component, index, &key);
    return e == OK ? put_or_remove(write, &key, backlog) : e;
}

err ledger_read_backlog(struct store_view *view, const struct plan *plan,
                        const struct component_plan *component, unsigned index,
                        struct bytes *out)
{
    struct ledger_key key;
    err e = ledger_key(LEDGER_BACKLOG, plan, component, index, &key);
    return e == OK ? read_bytes(view, &key, out) : e;
}

/* ---- --fresh ---- */

/* Some of the records that begin with the key; *more: there may be others. */
static err forget_some(struct store *store, const struct ledger_key *begin,
                       bool *more, char why[STORE_WHY_BYTES])
{
    struct store_view *view;
    struct bytes key, value, prefix = ledger_bytes(begin);
    struct store_write *write = store_write_new(store);
    if (write == NULL) return ERR_NOMEM;
    unsigned count = 0;
    err e = store_view(store, &view);
    if (e == OK) {
        err found = store_seek(view, prefix, &key, &value);
        while (e == OK && found == OK && count < FORGET_AT_ONCE &&
               key.count >= prefix.count &&
               memcmp(key.at, prefix.at, prefix.count) == 0) {
            e = store_remove(write, key);
            count++;
            found = store_next(view, &key, &value);
        }
        store_unview(view);
    }
    *more = count == FORGET_AT_ONCE;
    if (e == OK) e = store_commit(write);
    if (e != OK)
        snprintf(why, STORE_WHY_BYTES, "%s",
                 write->why[0] ? write->why : err_text(e));
    store_write_drop(NULL, write);
    return e;
}

err ledger_forget(struct store *store, const char *name,
                  char why[STORE_WHY_BYTES])
{
    static const char kinds[] = {LEDGER_CHECKPOINT, LEDGER_NAMES, LEDGER_TASK,
                                 LEDGER_STATE, LEDGER_BACKLOG};
    struct ledger_key key;
    for (size_t i = 0; i < sizeof kinds; i++) {
        bool more = true;
        err e = topology_key(kinds[i], name, &key);
        while (e == OK && more)
            e = forget_some(store, &key, &more, why);
        if (e != OK) return e;
    }
    return OK;
}
