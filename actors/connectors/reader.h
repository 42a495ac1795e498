/* reader.h - a source of lines: what `file` and `stdin` have in common.
 * Jobs read blocks ahead, one at a time; the executor's thread splits them and
 * writes each line into the batch it travels in. A file's line has its offset
 * for a token and is read again when it failed; what has no positions keeps
 * its lines until they are settled.
 * With several tasks a file is cut into stripes of READ_BYTES, dealt out in
 * turn; a line belongs to the stripe in which it starts. So nobody needs to
 * know the size, and a file may grow meanwhile. A pipe is the first task's.
 * Source of the rule: Hadoop's TextInputFormat; new is the dealing. */
#ifndef ACTORS_CONNECTORS_READER_H
#define ACTORS_CONNECTORS_READER_H

#include "actors/connectors/kept.h"
#include "actors/connectors/lines.h"
#include "actors/connectors/parse.h"
#include "actors/stream/component.h"

enum { READ_BYTES = 256 << 10 };

struct reader_file;
struct reader_block;
struct reader_window;

/* State of a class; its functions below are the class's. It stays when the
 * task's actor crashes: nothing that was read is lost or read again. */
struct reader {
    struct lines lines;
    struct kept kept;               /* of a pipe's lines */
    struct parser parser;           /* of the lines */
    struct buffer scratch;          /* one tuple, encoded */
    struct reader_file *file;       /* a reference */
    struct reader_block *blocks[2]; /* references; freed at the end */
    struct reader_window *window;   /* a reference; NULL before a replay */
    int64_t stripe_end; /* a line that starts here or later is another's */
    uint64_t number;    /* of lines so far, where one task sees them all */
    int64_t eof;        /* where the end was seen; -1: not yet */
    uint64_t cost;      /* not charged yet, in 1/COST_UNIT reductions */
    bool tracked, reading, ended;
    bool inherited; /* what is being read is told to an actor that is gone */
    bool owing;     /* `line` is taken, but there was no memory to emit it */
    struct line line;
};

/* `path` is borrowed while the task lives; NULL: stdin. `format` is "text",
 * "json" or NULL, which is text. */
err reader_make(struct component_context *context, struct reader *r,
                const char *path, const char *format);
void reader_free(struct component_context *context, void *self);
enum step reader_open(struct component_context *context, void *self);
enum step reader_next(struct component_context *context, void *self);
enum step reader_replay(struct component_context *context, void *self,
                        uint64_t token);
void reader_release(struct component_context *context, void *self,
                    uint64_t token);
enum step reader_job_done(struct component_context *context, void *self,
                          struct job *job);

#endif
