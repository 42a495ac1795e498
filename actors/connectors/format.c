#include "actors/connectors/format.h"
#include "core/json_write.h"

/* ---- Text and CSV ---- */

static const uint8_t *text_value(struct json_writer *w, const uint8_t *at)
{
    struct value v;
    const uint8_t *next = value_get(at, &v);
    switch (v.type) {
    case VALUE_NIL: return next;
    case VALUE_BYTES: json_put(w, v.as.bytes, v.count); return next;
    case VALUE_ARRAY:
    case VALUE_MAP:
    case VALUE_JSON: return json_put_value(w, at);
    default: json_put_scalar(w, &v); return next;
    }
}

/* Puts what was written from `start` on into quotes and doubles those within,
 * from the end backwards, so that it needs no second place. */
static void csv_quote(struct json_writer *w, size_t start)
{
    if (w->failed != OK) return;
    size_t count = w->out->used - start, quotes = 0;
    for (size_t i = 0; i < count; i++)
        quotes += w->out->data[start + i] == '"';
    uint8_t *from = json_room(w, quotes + 2);
    if (from == NULL) return;
    uint8_t *to = from + quotes + 2;
    json_wrote(w, to);
    *--to = '"';
    for (; count > 0; count--) {
        *--to = *--from;
        if (*from == '"') *--to = '"';
    }
    *--to = '"';
}

static bool csv_is_plain(const char *bytes, size_t count)
{
    static const bool special[256] = {
        [','] = true, ['"'] = true, ['\r'] = true, ['\n'] = true};
    for (size_t i = 0; i < count; i++)
        if (special[(uint8_t)bytes[i]]) return false;
    return true;
}

static void csv_bytes(struct json_writer *w, const char *bytes, size_t count)
{
    size_t start = w->out->used;
    json_put(w, bytes, count);
    if (!csv_is_plain(bytes, count)) csv_quote(w, start);
}

static const uint8_t *csv_value(struct json_writer *w, const uint8_t *at)
{
    struct value v;
    const uint8_t *next = value_get(at, &v);
    if (v.type == VALUE_BYTES) {
        csv_bytes(w, v.as.bytes, v.count);
        return next;
    }
    if (v.type < VALUE_ARRAY) return text_value(w, at);
    size_t start = w->out->used;
    next = json_put_value(w, at);
    csv_quote(w, start);
    return next;
}

/* ---- Lines ---- */

static void text_tuple(struct json_writer *w, unsigned field_count,
                       const uint8_t *at)
{
    for (unsigned i = 0; i < field_count; i++) {
        if (i > 0) json_put_byte(w, '\t');
        at = text_value(w, at);
    }
}

static void csv_tuple(struct json_writer *w, unsigned field_count,
                      const uint8_t *at)
{
    for (unsigned i = 0; i < field_count; i++) {
        if (i > 0) json_put_byte(w, ',');
        at = csv_value(w, at);
    }
}

/* Is the tuple one object of JSON? Then that is the line, as it came. */
static bool is_record(unsigned field_count, const uint8_t *at)
{
    struct value v;
    if (field_count != 1) return false;
    value_head(at, &v);
    return v.type == VALUE_JSON && v.as.bytes[0] == '{';
}

static void json_tuple(struct json_writer *w, const char *const *fields,
                       unsigned field_count, const uint8_t *at)
{
    if (is_record(field_count, at)) {
        json_put_value(w, at);
        return;
    }
    json_put_byte(w, '{');
    for (unsigned i = 0; i < field_count; i++) {
        if (i > 0) json_put_byte(w, ',');
        json_put_bytes(w, fields[i], strlen(fields[i]));
        json_put_byte(w, ':');
        at = json_put_value(w, at);
    }
    json_put_byte(w, '}');
}

/* Ends the line that began at `start`, or takes it back. */
static err end_line(struct json_writer *w, size_t start)
{
    json_put_byte(w, '\n');
    if (w->failed != OK) w->out->used = start;
    return w->failed;
}

err format_named(const char *name, struct format *f)
{
    static const char *const names[] = {
        [FORMAT_TEXT] = "text", [FORMAT_JSON] = "json", [FORMAT_CSV] = "csv"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        f->kind = (enum format_kind)i;
        return OK;
    }
    return ERR_NOTFOUND;
}

err format_header(const struct format *f, const char *const *fields,
                  unsigned field_count, struct buffer *out)
{
    if (f->kind != FORMAT_CSV) return OK;
    struct json_writer w = {.out = out};
    size_t start = out->used;
    for (unsigned i = 0; i < field_count; i++) {
        if (i > 0) json_put_byte(&w, ',');
        csv_bytes(&w, fields[i], strlen(fields[i]));
    }
    return end_line(&w, start);
}

err format_tuple(const struct format *f, const char *const *fields,
                 unsigned field_count, const uint8_t *values,
                 struct buffer *out, uint64_t *replaced)
{
    struct json_writer w = {.out = out};
    size_t start = out->used;
    switch (f->kind) {
    case FORMAT_TEXT: text_tuple(&w, field_count, values); break;
    case FORMAT_JSON: json_tuple(&w, fields, field_count, values); break;
    case FORMAT_CSV: csv_tuple(&w, field_count, values); break;
    }
    err e = end_line(&w, start);
    if (e == OK) *replaced += w.replaced;
    return e;
}
