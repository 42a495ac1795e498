/* json_write.h - values as JSON, and the numbers of all text formats.
 * Without spaces and line feeds; a map's keys become strings, JSON bytes
 * (VALUE_JSON) stay as they are. Floats keep their ".0" and are as short as
 * reads back the same: the first of %.15g, %.16g, %.17g that does.
 *
 * JSON can't say everything: each maximal ill-formed part of a string that is
 * not UTF-8 becomes U+FFFD (Unicode 15, 3.9, "U+FFFD Substitution of Maximal
 * Subparts"), NaN and the infinities become null, and each is counted.
 * No state, no locale but "C": any thread. */
#ifndef CORE_JSON_WRITE_H
#define CORE_JSON_WRITE_H

#include "core/buffer.h"
#include "core/value.h"

/* Text being written. All zeroes but `out`: nothing is written yet. */
struct json_writer {
    struct buffer *out; /* borrowed; grows at its end */
    uint64_t replaced;  /* what JSON could not say */
    err failed;         /* ERR_NOMEM, sticky: from then on nothing is written */
};

/* `bytes` (not 0) of room at the end for the caller to write; NULL when
 * failed. */
static inline uint8_t *json_room(struct json_writer *w, size_t bytes)
{
    if (w->failed == OK) w->failed = buffer_reserve(w->out, bytes);
    return w->failed == OK ? w->out->data + w->out->used : NULL;
}

/* `end` is behind what was written to the last json_room(). */
static inline void json_wrote(struct json_writer *w, const uint8_t *end)
{
    w->out->used = (size_t)(end - w->out->data);
}

/* Bytes as they are. */
static inline void json_put(struct json_writer *w, const void *bytes,
                            size_t count)
{
    if (count == 0) return;
    uint8_t *at = json_room(w, count);
    if (at == NULL) return;
    value_copy(at, bytes, count);
    json_wrote(w, at + count);
}

static inline void json_put_byte(struct json_writer *w, uint8_t byte)
{
    uint8_t *at = json_room(w, 1);
    if (at == NULL) return;
    *at = byte;
    json_wrote(w, at + 1);
}

/* A boolean or a number. NaN and the infinities read "nan", "inf", "-inf",
 * which is for formats that are not JSON. */
void json_put_scalar(struct json_writer *w, const struct value *v);

/* A string in quotes. */
void json_put_bytes(struct json_writer *w, const char *bytes, size_t count);

/* The value at `at` (trusted); returns the byte behind it. */
const uint8_t *json_put_value(struct json_writer *w, const uint8_t *at);

#endif
