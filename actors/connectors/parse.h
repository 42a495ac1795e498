/* parse.h - from a line of an input to the values of a tuple, by its format:
 * one function and one file a format. */
#ifndef ACTORS_CONNECTORS_PARSE_H
#define ACTORS_CONNECTORS_PARSE_H

#include "core/buffer.h"
#include "core/err.h"
#include <stdint.h>

struct parser;

/* Why a line is no tuple: what is wrong, where in the line. */
struct parse_fault {
    char why[160];
};

/* Appends the values of one line to `out`; nothing, if it holds no tuple.
 * ERR_FORMAT: *fault says why not. ERR_NOMEM. After an error `out` is as it
 * was. */
typedef err parse_line(const struct parser *p, const uint8_t *bytes,
                       uint32_t count, struct buffer *out,
                       struct parse_fault *fault);

struct parser {
    parse_line *line;          /* NULL: the line itself is the value */
    const char *const *fields; /* that the user names; borrowed */
    unsigned field_count;      /* 0: he names none */
};

/* An object of JSON. Without fields it is one value, JSON bytes; with fields
 * those keys, nil where one is missing, objects and arrays as JSON bytes. A
 * line of white space holds no tuple. */
parse_line parse_json;

#endif
