/* segment.h - how the segments of a sink are called: "out/words.txt" has
 * "out/words-00000001.txt" and on, those of several tasks "out/words-0-…".
 * While it is written, and until a checkpoint has decided that it is whole, one
 * is called "out/.words-00000001.txt.part": a name that patterns pass by.
 * Numbers go on behind those that are there: no segment is ever replaced. */
#ifndef ACTORS_CONNECTORS_SEGMENT_H
#define ACTORS_CONNECTORS_SEGMENT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/disk.h"

struct segments {
    const char *path; /* borrowed */
    int task;         /* -1: there is one only */
};

/* 0, or errno: ENAMETOOLONG. */
int segment_name(char out[PATH_MAX], const struct segments *s, uint64_t number,
                 bool whole);
/* The highest number of those that are whole; 0: there are none. 0, or errno;
 * blocks. */
int segment_last(const struct disk *disk, const struct segments *s,
                 uint64_t *number);

#endif
