/* format.h - a tuple as one line of text: plain text, JSON or CSV.
 * What sinks print and files hold. Lines end with "\n" in all three.
 *
 * text  the values joined by tabs, byte strings raw, nil as nothing
 * json  one object with the fields in their order, without spaces; a tuple of
 *       one value that is an object in JSON bytes: those
 * csv   RFC 4180 but for its line ends: a value with a comma, a quote, CR or
 *       LF stands in quotes, nil is nothing
 *
 * JSON is as core/json_write.h writes it. Arrays and maps are JSON in all
 * three, in CSV always in quotes; JSON bytes are copied through. Floats read
 * "nan", "inf" and "-inf" where they are not in JSON.
 *
 * No state, no locale but "C": any thread. */
#ifndef ACTORS_CONNECTORS_FORMAT_H
#define ACTORS_CONNECTORS_FORMAT_H

#include "core/buffer.h"
#include "core/err.h"
#include <stdint.h>

enum format_kind { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

struct format {
    enum format_kind kind;
};

/* The format a user calls `name`: "text", "json" or "csv". ERR_NOTFOUND: there
 * is none of that name, and *f is untouched. */
err format_named(const char *name, struct format *f);

/* Appends to `out` what stands once before all lines: CSV's names of the
 * fields; nothing for the others. ERR_NOMEM: nothing was appended. */
err format_header(const struct format *f, const char *const *fields,
                  unsigned field_count, struct buffer *out);

/* Appends the tuple of `field_count` values at `values` (trusted, see
 * core/value.h) as one line. `fields` are their names, ended by 0; only JSON
 * reads them. Adds to *replaced what JSON could not say. ERR_NOMEM: nothing
 * was appended or counted. */
err format_tuple(const struct format *f, const char *const *fields,
                 unsigned field_count, const uint8_t *values,
                 struct buffer *out, uint64_t *replaced);

#endif
