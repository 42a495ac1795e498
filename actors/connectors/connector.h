/* connector.h - how a source or sink introduces itself: its name, its options
 * as users write them, and the classes that do the work. To write a new one:
 * one file like list.c, an `extern` and a line in connector.c. The definition
 * loader checks the options against this table and fills the config; help and
 * documentation are made from it. */
#ifndef ACTORS_CONNECTORS_CONNECTOR_H
#define ACTORS_CONNECTORS_CONNECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actors/stream/component.h"

enum option_type {
    OPTION_TEXT,
    OPTION_FLAG,
    OPTION_COUNT,    /* an integer, 0 or more */
    OPTION_DURATION, /* "5s", "100ms", a bare number is seconds; in ns */
    OPTION_SIZE,     /* "64MB", a bare number is bytes; 1 or more */
    OPTION_TEXTS,    /* a list of texts, at least one */
    OPTION_CHOICE,   /* one of `choices` */
    OPTION_ROWS,     /* the table's positional entries: a list of tuples */
};

struct option {
    const char *name; /* "path"; of OPTION_ROWS: how messages call it */
    enum option_type type;
    bool required;
    const char *instead; /* of a required one: or the one of this name */
    const char *choices; /* OPTION_CHOICE: "text json csv" */
    const char *doc;     /* half a sentence, for --help and the reference */
};

struct option_value {
    bool set;
    const char *text; /* OPTION_TEXT, OPTION_CHOICE */
    bool flag;
    int64_t number; /* OPTION_COUNT, OPTION_DURATION, OPTION_SIZE */
    /* OPTION_ROWS: `rows` tuples of `arity` encoded values, one behind the
     * other. OPTION_TEXTS: `rows` texts, each ended by 0. */
    const uint8_t *bytes;
    size_t size;
    uint64_t rows;
    unsigned arity;
};

enum { OPTIONS_MAX = 12 };

/* A value of a source's option `format` by which a spout's `fields` picks from
 * each record by name. */
struct record_format {
    const char *format;
    const char *whole; /* the field that brings all of it when `fields` is left
                        * out; NULL: `fields` must be given */
};

struct connector {
    const char *name;
    const char *doc;
    const struct option *options;
    unsigned option_count;
    const struct component_class *source; /* NULL: it is no source */
    const struct component_class *sink;   /* NULL: it is no sink */
    const char *field; /* of a source that brings one; NULL: user names them */
    /* By which formats a source that brings one field brings records instead,
     * up to one without a name; NULL: none. */
    const struct record_format *records;
    /* What the table can't say. False: `why` says what to do. May be NULL. */
    bool (*check)(const struct option_value *values, bool sink, char *why,
                  size_t why_bytes);
};

/* component_plan.config of its classes; lives as long as the plan. */
struct connector_config {
    const struct connector *connector;
    struct option_value values[OPTIONS_MAX]; /* in the options' order */
};

/* NULL: there is none of that name. */
const struct connector *connector_named(const char *name);
/* The i-th of all, by name; NULL: no more. */
const struct connector *connector_at(unsigned i);

/* change() of all their classes: the first option that differs, "connector"
 * when that is another one. */
const char *connector_change(const void *now, const void *next);

/* In a class's function: the config's value of the i-th option. */
static inline const struct option_value *
connector_option(const struct component_context *context, unsigned i)
{
    const struct connector_config *config = context->component->config;
    return &config->values[i];
}

#endif
