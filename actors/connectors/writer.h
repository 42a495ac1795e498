/* writer.h - a sink of lines: what `file` and `stdout` have in common.
 * Tuples are formatted on the executor's thread and written by jobs, one at a
 * time. When tuples are tracked each activation's lines are written before
 * its acks leave, so nothing that was acked is lost with the task; else up to
 * WRITER_AHEAD_BYTES gather while others are written. What can't be written
 * (a full disk) is tried again until it can: nothing is dropped, the tuples
 * wait, and so does what feeds them. A file that is rotated (rotate.h) holds
 * whole tuples; when it can't be, it goes on growing. Segments (segment.h) end
 * where a checkpoint finds them large or old enough, and appear with it. */
#ifndef ACTORS_CONNECTORS_WRITER_H
#define ACTORS_CONNECTORS_WRITER_H

#include "actors/connectors/format.h"
#include "actors/stream/component.h"

enum { WRITER_AHEAD_BYTES = 256 << 10 };

struct writer_file;

/* State of a class; its functions below are the class's. */
struct writer {
    struct format format;
    struct buffer gathered;   /* lines, not given to a job yet */
    struct buffer ends;       /* where each tuple's ends in it, if it matters */
    struct writer_file *file; /* a reference; the job's while `busy` */
    bool tracked, busy, finishing;
    bool checkpoints;   /* are taken */
    bool preparing;     /* for one: what is written is synced */
    bool alone;         /* no job of an actor before writes */
    struct ref *before; /* that one's file, until it is; or NULL */
    bool rotates;
    int64_t segment_ns;       /* a segment that is as old is whole */
    int64_t segment_began_ns; /* when the open one got its first lines */
    bool unread;         /* nobody reads the output any more: it goes nowhere */
    int64_t backoff_ns;  /* 0: the last write went well */
    int64_t retry_at_ns; /* 0: at once */
    uint64_t replaced;   /* what JSON could not say */
};

/* What a writer writes, and where; its texts are borrowed while it is made. */
struct writer_plan {
    const char *path; /* NULL: stdout */
    bool append;
    const char *format;    /* its name; NULL: text */
    int64_t rotate_bytes;  /* no file becomes larger but by one tuple; 0: any */
    unsigned keep;         /* of the files before */
    int64_t segment_bytes; /* a segment (segment.h) that has as many is whole,
                            * or one that is as old; 0: one file */
    int64_t segment_ns;
};

err writer_make(struct component_context *context, struct writer *w,
                const struct writer_plan *plan);
void writer_free(struct component_context *context, void *self);
enum step writer_open(struct component_context *context, void *self);
enum step writer_execute(struct component_context *context, void *self,
                         struct input *input);
enum step writer_settle(struct component_context *context, void *self);
enum step writer_resume(struct component_context *context, void *self);
enum step writer_prepare(struct component_context *context, void *self);
err writer_snapshot(struct component_context *context, void *self,
                    uint64_t oldest, struct buffer *out);
err writer_reveal(struct component_context *context, void *self,
                  struct buffer *out);
err writer_restore(struct component_context *context, void *self,
                   struct bytes position);
enum step writer_finish(struct component_context *context, void *self);
enum step writer_job_done(struct component_context *context, void *self,
                          struct job *job);

#endif
