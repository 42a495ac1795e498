#include "core/registry_row.h"
#include "core/registry_store.h"
#include "core/value.h"
#include <string.h>

enum { KIND = 'r', DEPTH_OWNED = 255, LAYOUT = 1, SESSION_BYTES = 8 };

/* ---- keys ---- */

static void add(struct row_key *k, const void *bytes, size_t count)
{
    memcpy(k->at + k->count, bytes, count);
    k->count += count;
}

static void start(struct row_key *k, unsigned depth)
{
    k->at[0] = KIND;
    k->at[1] = (uint8_t)depth;
    k->count = 2;
}

static unsigned depth_of(const char *key)
{
    unsigned depth = 1;
    while ((key = strchr(key, '/')) != NULL) {
        depth++;
        key++;
    }
    return depth;
}

void row_key_counter(struct row_key *k)
{
    start(k, 0);
}

void row_key_entry(const char *key, struct row_key *k)
{
    start(k, depth_of(key));
    add(k, key, strlen(key));
}

void row_key_children(const char *key, struct row_key *k)
{
    if (key[0] == '\0') {
        start(k, 1);
        return;
    }
    start(k, depth_of(key) + 1);
    add(k, key, strlen(key));
    add(k, "/", 1);
}

bool row_key_deeper(struct row_key *k)
{
    return ++k->at[1] <= REGISTRY_DEPTH_MAX;
}

void row_key_owned(uint64_t session, const char *key, struct row_key *k)
{
    uint8_t number[SESSION_BYTES];
    value_store64(number, session);
    start(k, DEPTH_OWNED);
    add(k, number, sizeof number);
    add(k, key, strlen(key));
}

void row_key_owned_all(struct row_key *k)
{
    start(k, DEPTH_OWNED);
}

bool row_key_begins(struct bytes record, const struct row_key *prefix)
{
    return record.count >= prefix->count &&
           memcmp(record.at, prefix->at, prefix->count) == 0;
}

/* The text behind `head` bytes of the record. */
static bool get_text(struct bytes record, size_t head,
                     char key[REGISTRY_KEY_MAX + 1])
{
    if (record.count <= head || record.count - head > REGISTRY_KEY_MAX)
        return false;
    memcpy(key, (const char *)record.at + head, record.count - head);
    key[record.count - head] = '\0';
    return true;
}

bool row_key_get_owned(struct bytes record, uint64_t *session,
                       char key[REGISTRY_KEY_MAX + 1])
{
    if (!get_text(record, 2 + SESSION_BYTES, key)) return false;
    *session = value_load64((const uint8_t *)record.at + 2);
    return true;
}

/* ---- rows ---- */

static err put_int(struct buffer *b, uint64_t n)
{
    if (buffer_reserve(b, VALUE_SCALAR_MAX) != OK) return ERR_NOMEM;
    b->used = (size_t)(value_put_int(b->data + b->used, (int64_t)n) - b->data);
    return OK;
}

static err put_bytes(struct buffer *b, struct bytes bytes)
{
    if (buffer_reserve(b, VALUE_HEAD_MAX + bytes.count + 16) != OK)
        return ERR_NOMEM;
    uint8_t *end = value_put_bytes(b->data + b->used, bytes.at ? bytes.at : "",
                                   (uint32_t)bytes.count);
    b->used = (size_t)(end - b->data);
    return OK;
}

err row_put_counter(struct buffer *row, uint64_t revision)
{
    err e = put_int(row, LAYOUT);
    return e == OK ? put_int(row, revision) : e;
}

err row_put_entry(struct buffer *row, const struct registry_entry *entry)
{
    err e = put_int(row, LAYOUT);
    if (e == OK) e = put_int(row, entry->version);
    if (e == OK) e = put_int(row, entry->fence);
    if (e == OK) e = put_int(row, entry->owner);
    return e == OK ? put_bytes(row, entry->value) : e;
}

/* What is left to read; at NULL: it was bad. */
static struct value next(struct bytes *row, enum value_type type)
{
    struct value v = {.type = VALUE_NIL};
    const uint8_t *behind, *at = row->at;
    if (at && value_check(at, at + row->count, &behind) == OK) {
        value_get(at, &v);
        row->count -= (size_t)(behind - at);
        row->at = behind;
    }
    if (v.type != type) row->at = NULL;
    return v;
}

static uint64_t next_int(struct bytes *row)
{
    struct value v = next(row, VALUE_INT);
    return row->at ? (uint64_t)v.as.integer : 0;
}

err row_get_counter(struct bytes row, uint64_t *revision)
{
    if (next_int(&row) != LAYOUT) return ERR_FORMAT;
    *revision = next_int(&row);
    return row.at && row.count == 0 ? OK : ERR_FORMAT;
}

err row_get_entry(struct bytes row, struct registry_entry *entry)
{
    if (next_int(&row) != LAYOUT) return ERR_FORMAT;
    entry->version = next_int(&row);
    entry->fence = next_int(&row);
    entry->owner = next_int(&row);
    struct value v = next(&row, VALUE_BYTES);
    if (row.at == NULL || row.count != 0) return ERR_FORMAT;
    entry->value = bytes_of(v.as.bytes, v.count);
    return OK;
}

/* ---- for who looks at a store ---- */

static err check_owned(struct bytes record, struct bytes value,
                       char key[REGISTRY_KEY_MAX + 1])
{
    uint64_t session;
    bool sound = row_key_get_owned(record, &session, key) && value.count == 0;
    return sound ? ERR_DONE : ERR_FORMAT;
}

err registry_store_entry(struct bytes record, struct bytes value,
                         struct registry_entry *entry,
                         char key[REGISTRY_KEY_MAX + 1])
{
    const uint8_t *at = record.at;
    uint64_t revision;
    if (record.count < 2 || at[0] != KIND) return ERR_NOTFOUND;
    if (at[1] == 0)
        return row_get_counter(value, &revision) == OK ? ERR_DONE : ERR_FORMAT;
    if (at[1] == DEPTH_OWNED) return check_owned(record, value, key);
    if (!get_text(record, 2, key) || depth_of(key) != at[1]) return ERR_FORMAT;
    *entry = (struct registry_entry){.key = key};
    return row_get_entry(value, entry);
}

struct bytes registry_store_begin(void)
{
    static const char kind = KIND;
    return bytes_of(&kind, 1);
}
