/* window.h - lines of files that failed, and what stands around them: a part
 * of a file that is read again in a job. Most of what fails stands near what
 * failed before it. */
#ifndef ACTORS_CONNECTORS_WINDOW_H
#define ACTORS_CONNECTORS_WINDOW_H

#include "actors/connectors/intake.h"
#include "actors/connectors/lines.h"
#include "core/job.h"

struct window {
    struct job job;
    struct intake *intake; /* a reference */
    bool busy;             /* all below is the job's */
    int64_t offset;        /* it was read for the line there */
    int64_t at;            /* of its first byte */
    int error;             /* errno */
    struct buffer bytes;
};

/* NULL: out of memory. */
struct window *window_new(void);
/* Prepares the job for the line at `offset` of a file; takes a reference. */
void window_aim(struct env *env, struct window *w, struct intake *intake,
                int64_t offset);
/* Was it read for this line? */
bool window_is_for(const struct window *w, const struct intake *intake,
                   int64_t offset);
/* The line at `offset`, if it shows all of it. `eof` is where a last line
 * without an end ended; -1: there was none. */
bool window_find(const struct window *w, const struct intake *intake,
                 int64_t offset, int64_t eof, struct line *line);

#endif
