#include "actors/stream/rows.h"
#include "core/alloc.h"
#include <string.h>

/* Before each key and its value; of what is removed `value` is REMOVED. */
struct head {
    uint32_t key, value;
};
#define REMOVED UINT32_MAX

static err each(struct store_part *part, store_put_fn *put, void *to)
{
    const struct rows *r = (const struct rows *)part;
    struct head h;
    for (size_t at = 0; at < r->changes.used;) {
        const uint8_t *key = r->changes.data + at + sizeof h;
        memcpy(&h, r->changes.data + at, sizeof h);
        bool gone = h.value == REMOVED;
        struct bytes value = {gone ? NULL : key + h.key, gone ? 0 : h.value};
        err e = put(to, bytes_of(key, h.key), value);
        if (e != OK) return e;
        at += sizeof h + h.key + value.count;
    }
    return OK;
}

static void drop(struct store_part *part)
{
    rows_free((struct rows *)part);
}

struct rows *rows_new(void)
{
    struct rows *r = mem_zero(1, sizeof *r);
    if (r) r->part = (struct store_part){.each = each, .drop = drop};
    return r;
}

void rows_free(struct rows *r)
{
    if (r == NULL) return;
    buffer_fini(&r->changes);
    mem_free(r);
}

static err add(struct rows *r, struct bytes key, struct bytes value,
               uint32_t bytes)
{
    struct head h = {(uint32_t)key.count, bytes};
    size_t before = r->changes.used;
    err e = buffer_append(&r->changes, &h, sizeof h);
    if (e == OK) e = buffer_append(&r->changes, key.at, key.count);
    if (e == OK) e = buffer_append(&r->changes, value.at, value.count);
    if (e != OK) r->changes.used = before;
    return e;
}

err rows_put(struct rows *r, struct bytes key, struct bytes value)
{
    return add(r, key, value, (uint32_t)value.count);
}

err rows_remove(struct rows *r, struct bytes key)
{
    return add(r, key, bytes_of("", 0), REMOVED);
}
