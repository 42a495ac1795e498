#include "actors/connectors/parse.h"
#include "actors/stream/plan.h"
#include "core/json.h"
#include <stdio.h>

static err refuse(struct parse_fault *fault, const uint8_t *line,
                  const uint8_t *at, const char *what)
{
    unsigned row, column;
    json_place(line, at, &row, &column);
    snprintf(fault->why, sizeof fault->why, "no JSON object at column %u: %s",
             column, what);
    return ERR_FORMAT;
}

static err put_record(struct json text, struct buffer *out)
{
    uint32_t count = (uint32_t)(text.end - text.at);
    err e = buffer_reserve(out, VALUE_JSON_HEAD_MAX + count);
    if (e != OK) return e;
    uint8_t *end = value_put_json(out->data + out->used, text.at, count);
    out->used = (size_t)(end - out->data);
    return OK;
}

static err put_nil(struct buffer *out)
{
    return buffer_append(out, &(uint8_t){MSGPACK_NIL}, 1);
}

static err put_value(struct json text, struct buffer *out)
{
    struct buffer none = {0}; /* a scalar needs no scratch */
    return json_is_container(text) ? put_record(text, out)
                                   : json_decode(text, out, &none);
}

static err put_fields(const struct parser *p, struct json object,
                      struct buffer *out)
{
    struct json rest = json_inside(object), found[FIELDS_MAX] = {{0}};
    struct json_pair pair;
    size_t began = out->used;
    while (json_next_pair(&rest, &pair))
        for (unsigned i = 0; i < p->field_count; i++)
            if (json_key_is(pair.key, p->fields[i], strlen(p->fields[i])))
                found[i] = pair.value; /* the last one counts */
    err e = OK;
    for (unsigned i = 0; e == OK && i < p->field_count; i++)
        e = found[i].at ? put_value(found[i], out) : put_nil(out);
    if (e != OK) out->used = began;
    return e;
}

static bool is_blank(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
        at++;
    return at == end;
}

err parse_json(const struct parser *p, const uint8_t *bytes, uint32_t count,
               struct buffer *out, struct parse_fault *fault)
{
    struct json text;
    struct json_fault why;
    const uint8_t *end = bytes + count;
    if (json_check(bytes, end, VALUE_DEPTH_MAX, &text, &why) != OK)
        return is_blank(bytes, end) ? OK
                                    : refuse(fault, bytes, why.at, why.what);
    if (count > VALUE_BYTES_MAX - VALUE_JSON_HEAD_MAX)
        return refuse(fault, bytes, bytes, "the line is longer than 16 MB");
    if (*text.at != '{')
        return refuse(fault, bytes, text.at, "an object begins with {");
    return p->field_count == 0 ? put_record(text, out)
                               : put_fields(p, text, out);
}
