/* intake.h - what a source's blocks are read from: a file, a pipe, a
 * compressed file, one that is followed as it grows, or stdin. Only a file
 * has positions and can be read by several tasks; the others are read in
 * order, by one. What it is, is known once it is open.
 * Shared by a task and its jobs, which may outlive it. Functions that block
 * say so: one job at a time calls them. */
#ifndef ACTORS_CONNECTORS_INTAKE_H
#define ACTORS_CONNECTORS_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/disk.h"
#include "core/ref.h"

struct inflate;

/* What has befallen a file that is followed, or not. The first two end what was
 * read so far.
 */
enum news {
    NEWS_NONE,
    NEWS_ROTATED,   /* another file has its name; that one is read from here */
    NEWS_TRUNCATED, /* it is shorter than what was read; again from its start */
    NEWS_DELETED,   /* nothing has its name, nor has it another */
    NEWS_RENAMED,   /* nothing has its name */
    NEWS_REFUSED,   /* another file has its name and can't be opened */
    NEWS_SHRUNK,    /* not followed: it ends before what was there */
};

struct intake {
    struct ref ref;
    const struct disk *disk;
    int fd;      /* -1: not open */
    bool owned;  /* close it */
    bool follow; /* wanted */
    bool mine;   /* read in order it is this task's to read */
    bool open;
    bool in_order;           /* what it is: it has no positions */
    bool pipe;               /* of these: read by pipe.h */
    bool away;               /* followed, and nothing has its name: said once */
    int refused;             /* errno of NEWS_REFUSED */
    int64_t at;              /* followed: of the next read */
    struct inflate *inflate; /* owned; NULL: not compressed */
    struct disk_info info;   /* once it is open, if it is a file */
    struct disk_info wanted; /* it must be this file, and not be shorter; all
                              * zeroes: any */
    char why[200]; /* it can't be opened, if that isn't the system's word */
    char path[];
};

/* `path` is copied; NULL: stdin. NULL: out of memory. */
struct intake *intake_new(const struct disk *disk, const char *path);

/* Opens it. 0, or -errno; -ENOTSUP: `why` tells; -ESTALE: it isn't the one that
 * was wanted. Again is harmless. Blocks. */
int intake_open(struct intake *in);

/* Bytes from `at`, which counts only where there are positions; 0: the end, or
 * *news; -EAGAIN: nothing now, maybe *news; -errno. Blocks. */
int64_t intake_read(struct intake *in, void *to, size_t bytes, int64_t at,
                    enum news *news);

/* The data ended because they are damaged: see inflate_damaged(). */
bool intake_damaged(const struct intake *in, char *why, size_t why_bytes);

#endif
