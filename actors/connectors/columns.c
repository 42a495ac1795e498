#include "actors/connectors/columns.h"
#include "core/nearest.h"
#include "core/value.h"
#include <stdio.h>

void columns_number(struct columns *c, const struct stream_plan *stream)
{
    c->known = true;
    c->width = c->wanted = c->count = stream->arity;
    for (unsigned i = 0; i < stream->arity; i++)
        c->places[i] = i;
}

/* Its place; header->kept: there is none. */
static unsigned find(const struct csv_record *header, const char *name)
{
    size_t bytes = strlen(name);
    unsigned i = 0;
    while (i < header->kept &&
           (header->values[i].count != bytes ||
            memcmp(header->values[i].bytes, name, bytes) != 0))
        i++;
    return i;
}

static void say_missing(const struct csv_record *header, const char *name,
                        char *why, size_t why_bytes)
{
    struct nearest near;
    nearest_begin(&near, name);
    for (unsigned i = 0; i < header->kept; i++) {
        char column[NEAREST_BYTES + 1];
        const struct csv_value *v = &header->values[i];
        if (v->count > NEAREST_BYTES) continue;
        if (v->count) memcpy(column, v->bytes, v->count);
        column[v->count] = '\0';
        nearest_try(&near, column);
    }
    if (near.best[0])
        snprintf(why, why_bytes,
                 "the header has no column '%s'; did you mean '%s'?", name,
                 near.best);
    else if (header->kept < header->count)
        snprintf(why, why_bytes,
                 "the header has no column '%s' among its first %u, and %u "
                 "are too many; give the file fewer columns",
                 name, header->kept, header->count);
    else
        snprintf(why, why_bytes,
                 "the header has no column '%s'; name one that it has, or "
                 "write header = false to take columns by position",
                 name);
}

bool columns_name(struct columns *c, const struct stream_plan *stream,
                  const struct csv_record *header, char *why, size_t why_bytes)
{
    c->wanted = 0;
    for (unsigned i = 0; i < stream->arity; i++) {
        unsigned place = find(header, stream->fields[i]);
        if (place == header->kept) {
            say_missing(header, stream->fields[i], why, why_bytes);
            return false;
        }
        c->places[i] = place;
        if (c->wanted <= place) c->wanted = place + 1;
    }
    c->known = true;
    c->width = header->count;
    c->count = stream->arity;
    return true;
}

bool columns_fit(const struct columns *c, const struct csv_record *record,
                 char *why, size_t why_bytes)
{
    /* An empty line is the one empty value of a record. */
    bool empty = record->count == 0 && c->width == 1;
    if (record->faulty)
        snprintf(why, why_bytes, "%s", record->faulty);
    else if (record->count != c->width && !empty)
        snprintf(why, why_bytes, "%u value%s where %u belong%s", record->count,
                 record->count == 1 ? "" : "s", c->width,
                 c->width == 1 ? "s" : "");
    else
        return true;
    return false;
}

err columns_encode(const struct columns *c, const struct csv_record *record,
                   struct buffer *out)
{
    static const struct csv_value none = {(const uint8_t *)"", 0};
    for (unsigned i = 0; i < c->count; i++) {
        const struct csv_value *v =
            record->count > 0 ? &record->values[c->places[i]] : &none;
        if (buffer_reserve(out, VALUE_HEAD_MAX + (size_t)v->count) != OK)
            return ERR_NOMEM;
        uint8_t *at = out->data + out->used;
        at = value_put_bytes(at, (const char *)v->bytes, v->count);
        out->used = (size_t)(at - out->data);
    }
    return OK;
}
