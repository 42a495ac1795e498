/* csv.h - a splitter: from blocks of bytes to records of CSV (RFC 4180).
 * A value in quotes may hold commas, line breaks and quotes, each of these
 * doubled. Records end with "\n" or "\r\n", the last one needs no end. A UTF-8
 * byte order mark at the beginning is left out, an empty line has no values.
 * A quote inside a value without quotes is a letter like others.
 * Looks into the block where that can be, else into buffers. One thread. */
#ifndef ACTORS_CONNECTORS_CSV_H
#define ACTORS_CONNECTORS_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

/* Where in a record the splitter stands. */
enum csv_state {
    CSV_FIRST,  /* at the beginning of the input */
    CSV_MARK_1, /* in what may be a byte order mark */
    CSV_MARK_2,
    CSV_START,  /* of a value */
    CSV_PLAIN,  /* in one without quotes, or behind its closing one */
    CSV_QUOTED, /* in one with quotes */
    CSV_QUOTE,  /* behind a quote there: its end, or half of two */
};

/* All zeroes is one at the beginning. Pairs with csv_fini(). */
struct csv {
    const uint8_t *at, *end; /* borrowed: what is left of the block */
    int64_t offset;          /* of `at` in the input */
    int64_t lines;           /* begun before the record that comes next */
    enum csv_state state;
    bool begun, skip;     /* a record of which a part came; nobody wants it */
    bool marked;          /* its first bytes are a byte order mark */
    struct buffer part;   /* owned: it, without its end */
    struct buffer plain;  /* owned: values whose quotes were halved */
    struct buffer values; /* owned: struct csv_value */
    unsigned wanted;      /* values kept of a record; 0: CSV_VALUES_MAX */
};

/* Of a record of which nobody has said yet what is wanted: the header. */
enum { CSV_VALUES_MAX = 1 << 16 };

struct csv_value {
    const uint8_t *bytes;
    uint32_t count;
};

/* Borrowed from the block or the splitter: valid until its next call. */
struct csv_record {
    const struct csv_value *values; /* the first `kept` */
    unsigned kept;
    unsigned count;     /* of all; 0: an empty line */
    int64_t line;       /* where it begins; the first is 1 */
    const char *faulty; /* what is wrong with it, half a sentence; or NULL */
};

enum csv_step {
    CSV_RECORD, /* here it is */
    CSV_MORE,   /* the block is used up: csv_feed() or csv_end() */
    CSV_LONG,   /* one above 16 MB, from record->line on, is left out */
    CSV_NOMEM,  /* nothing has changed */
};

void csv_fini(struct csv *c);
/* What follows is another input, from its beginning: `wanted` is 0. */
void csv_restart(struct csv *c);
/* The next bytes of the input; the block before is used up. */
void csv_feed(struct csv *c, const uint8_t *bytes, size_t count);
/* Nobody wants the rest of the block, nor the record that is begun. */
void csv_drop(struct csv *c);
enum csv_step csv_next(struct csv *c, struct csv_record *record);
/* The input has ended (after CSV_MORE): CSV_RECORD when there is one more,
 * which had no end; CSV_MORE: none. */
enum csv_step csv_end(struct csv *c, struct csv_record *record);

#endif
