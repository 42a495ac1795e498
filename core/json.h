/* json.h - JSON text (RFC 8259) where it lies: checked once, then walked.
 *
 * Two doors, as in core/value.h. Bytes from outside pass json_check(); all
 * else here trusts text that has. A string's bytes are UTF-8, its \u escapes
 * whole characters. A number without fraction and exponent that fits 64 bits
 * is an integer, any other the double nearest to it (infinite beyond the
 * largest). Where a key stands twice in an object the last one counts.
 * Nothing allocates but json_decode(), nothing is shared: any thread. */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include "core/buffer.h"
#include "core/value.h"

/* A look at one value: its bytes, without white space around. Or at what
 * stands between the quotes of a key. */
struct json {
    const uint8_t *at, *end;
};

struct json_pair {
    struct json key; /* without its quotes, escapes and all */
    struct json value;
};

/* Why bytes are no JSON: a phrase, and where. */
struct json_fault {
    const char *what; /* "a comma or } is missing" */
    const uint8_t *at;
};

/* For bytes from outside: is all of [at, end) one JSON value, maybe with white
 * space around? Then *out is that. ERR_FORMAT: no. ERR_DEEP: above `depth_max`
 * (at most VALUE_DEPTH_MAX) containers within containers. Then *fault says why,
 * if it isn't NULL. No byte outside is read. */
err json_check(const uint8_t *at, const uint8_t *end, unsigned depth_max,
               struct json *out, struct json_fault *fault);

/* Line and column of `at` in a text that begins at `begin`, from 1; a column is
 * a character. */
void json_place(const uint8_t *begin, const uint8_t *at, unsigned *line,
                unsigned *column);

/* ---- trusted ---- */

static inline bool json_is_container(struct json text)
{
    return *text.at == '{' || *text.at == '[';
}

/* Containers within containers: 0 for a scalar. */
unsigned json_depth(struct json text);

/* Walks an object or an array: begin with json_inside(), then each call gives
 * the next and moves *rest behind it, until false. */
static inline struct json json_inside(struct json container)
{
    return (struct json){container.at + 1, container.end};
}
bool json_next_pair(struct json *rest, struct json_pair *pair);
bool json_next_element(struct json *rest, struct json *element);

/* The pair of that key in an object. False: there is none. */
bool json_find(struct json object, const char *key, size_t count,
               struct json_pair *pair);
/* Does a pair's key say these bytes? */
bool json_key_is(struct json key, const char *bytes, size_t count);

/* The bytes that a key stands for, or (without its quotes) a string: written to
 * `to`, where there is room for key.end - key.at; returns their number. */
size_t json_unescape(struct json key, uint8_t *to);
static inline bool json_has_escapes(struct json key)
{
    return memchr(key.at, '\\', (size_t)(key.end - key.at)) != NULL;
}
/* What stands between a string's quotes. */
static inline struct json json_unquote(struct json string)
{
    return (struct json){string.at + 1, string.end - 1};
}

/* A number: VALUE_INT or VALUE_FLOAT. */
struct value json_number(struct json number);

/* Appends the value as core/value.h has it: maps in key order, a key once.
 * `scratch` is a buffer for the time of the call. ERR_BIG: it takes more than
 * VALUE_BYTES_MAX, keys that stand twice counted twice. ERR_NOMEM. After an
 * error nothing was appended. */
err json_decode(struct json text, struct buffer *out, struct buffer *scratch);

#endif
