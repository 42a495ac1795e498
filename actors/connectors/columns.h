/* columns.h - which values of a CSV record are a tuple's, and in which order:
 * by the names in the header, or by position. One thread. */
#ifndef ACTORS_CONNECTORS_COLUMNS_H
#define ACTORS_CONNECTORS_COLUMNS_H

#include "actors/connectors/csv.h"
#include "actors/stream/plan.h"

/* All zeroes: not known yet. */
struct columns {
    bool known;
    unsigned width;              /* of a record */
    unsigned wanted;             /* of its values: behind these none is taken */
    unsigned count;              /* of a tuple's fields */
    unsigned places[FIELDS_MAX]; /* of them in a record */
};

/* By position: a record is as wide as the tuple. */
void columns_number(struct columns *c, const struct stream_plan *stream);
/* By name; of two columns of a name the first is taken. False: `why` says which
 * is missing and what the nearest is, half a sentence. */
bool columns_name(struct columns *c, const struct stream_plan *stream,
                  const struct csv_record *header, char *why, size_t why_bytes);
/* False: `why` says what is wrong with the record, half a sentence. */
bool columns_fit(const struct columns *c, const struct csv_record *record,
                 char *why, size_t why_bytes);
/* The tuple's values, encoded; the record fits. ERR_NOMEM. */
err columns_encode(const struct columns *c, const struct csv_record *record,
                   struct buffer *out);

#endif
