/* reader.h - a source of lines or records: what `file` and `stdin` have in
 * common. Jobs read blocks ahead, one at a time (blocks.h), from one file
 * after another (intake.h says what kinds there are); the executor's thread
 * splits them (lines.h, csv.h) and writes each line into the batch it travels
 * in. A plain file's line has its place for a token and is read again when it
 * failed (window.h); what has no positions, and records of CSV, are kept until
 * they are settled (kept.h).
 * With several tasks a single plain file is cut into stripes of READ_BYTES,
 * dealt out in turn; a line belongs to the stripe in which it starts. So
 * nobody needs to know the size, and a file may grow meanwhile. What can't be
 * cut is the first task's. Several files are dealt out by their names, each to
 * one task: so the tasks need not see the same files.
 * Source of the rule: Hadoop's TextInputFormat; new is the dealing. */
#ifndef ACTORS_CONNECTORS_READER_H
#define ACTORS_CONNECTORS_READER_H

#include "actors/connectors/columns.h"
#include "actors/connectors/intake.h"
#include "actors/connectors/kept.h"
#include "actors/connectors/lines.h"
#include "actors/connectors/parse.h"
#include "actors/connectors/paths.h"
#include "actors/stream/component.h"

enum {
    READ_BYTES = 256 << 10,
    FOLLOW_WAIT_NS = 100 * 1000 * 1000, /* between looks for more */
};

struct block;
struct listing;
struct window;

/* What a reader reads; its texts are borrowed while the node lives. */
struct reader_plan {
    const char *paths; /* `count` texts, each ended by 0, one behind another */
    unsigned count;    /* 0: stdin */
    bool follow;
    bool json;   /* each line is an object */
    bool csv;    /* records, not lines */
    bool header; /* of CSV: the first record names the columns */
};

/* One of the files. */
struct place {
    int64_t base; /* token of its first byte */
    int64_t eof;  /* where a last line without an end ended; -1: none did */
    struct intake *intake; /* a reference; NULL: not read yet, or closed */
    struct disk_info info; /* once it was read: to know it again */
};

/* Where a checkpoint says that the reader goes on. */
struct resume {
    char *path;              /* owned; NULL: it begins */
    struct disk_info wanted; /* the file was this, and has so many bytes */
    int64_t at;    /* lines, or records of CSV, before this are left out */
    bool in_order; /* it had no positions */
    bool ended;    /* all was read */
};

/* State of a class; its functions below are the class's. It stays when the
 * task's actor crashes: nothing that was read is lost or read again. */
struct reader {
    struct lines lines;
    struct csv csv; /* instead of lines, by plan.csv */
    struct columns columns;
    struct kept kept;
    struct parser parser;  /* of the lines */
    struct buffer scratch; /* one tuple, encoded */
    struct reader_plan plan;
    struct listing *listing; /* a reference; NULL: none is under way */
    struct paths paths;      /* the task's, in order; one unnamed for stdin */
    struct place *places;    /* owned: of each path */
    size_t place;            /* which is being read */
    struct intake *intake;   /* a reference: of it; NULL: not begun */
    struct disk_info info;   /* of it, once it is open */
    struct block *blocks[2]; /* references; freed at the end */
    struct window *window;   /* a reference; NULL before a replay */
    size_t window_place;     /* what its intake is */
    int64_t base;            /* places[place].base */
    int64_t stripe_end;      /* a line that starts here or later is another's */
    int64_t look_at_ns;      /* followed: not before this; 0: at once */
    uint64_t number; /* lines, where no stripes are cut, or records, so far */
    uint64_t cost;   /* not charged yet, in 1/COST_UNIT reductions */
    bool tracked, reading, ended;
    bool single;    /* one path, and no pattern */
    bool listed;    /* paths and places are known */
    bool keeps;     /* lines of what is being read */
    bool at_end;    /* followed: the last read found no more */
    bool skipping;  /* nobody wants the rest of the file */
    bool inherited; /* what is being read is told to an actor that is gone */
    bool pipe;      /* what is being read is one */
    bool owing;     /* `line` or `record` is taken, but there was no memory */
    struct line line;
    struct csv_record record;
    struct resume resume;
    int64_t resume_at; /* of what is being read; 0: all of it is wanted */
    int64_t began;     /* followed: where the file that has the name begins */
};

/* A token of what is kept is its number there, others are places. */
#define TOKEN_KEPT ((uint64_t)1 << 63)
/* Which file the token is in. */
size_t reader_place_of(const struct reader *r, int64_t token);

err reader_make(struct component_context *context, struct reader *r,
                const struct reader_plan *plan);
void reader_free(struct component_context *context, void *self);
enum step reader_open(struct component_context *context, void *self);
enum step reader_next(struct component_context *context, void *self);
enum step reader_drain(struct component_context *context, void *self);
enum step reader_replay(struct component_context *context, void *self,
                        uint64_t token);
void reader_release(struct component_context *context, void *self,
                    uint64_t token);
enum step reader_job_done(struct component_context *context, void *self,
                          struct job *job);
/* position.c */
err reader_snapshot(struct component_context *context, void *self,
                    uint64_t oldest, struct buffer *out);
err reader_restore(struct component_context *context, void *self,
                   struct bytes position);

#endif
