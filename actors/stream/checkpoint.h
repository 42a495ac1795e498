/* checkpoint.h - what a task gives to a checkpoint: where it stood, and what
 * has changed in its state, when all that came before the barrier was through
 * and nothing that came after. Made by its executor, gathered and written by
 * the topology's actor (checkpoint.c).
 * Source: asynchronous barrier snapshots (Carbone et al. 2015, Flink), with all
 * tasks of a process in one transaction. */
#ifndef ACTORS_STREAM_CHECKPOINT_H
#define ACTORS_STREAM_CHECKPOINT_H

#include "core/buffer.h"
#include "core/ref.h"
#include "core/store.h"

struct checkpoint_part {
    struct ref ref; /* first: messages of its pointer own a reference */
    uint32_t task;
    uint64_t mark; /* of the barrier; 0: the task has ended, it is its last */
    bool has_position;
    bool busy; /* a spout's: tuples of it were under way, and will come again */
    struct buffer position;
    struct buffer names;      /* of files that appear with it; see reveal.h */
    struct store_part *state; /* owned; NULL: nothing has changed */
    struct store_part *rows;  /* likewise: what the class has of its own */
    struct buffer backlog;    /* of a loop's head; see backlog.c */
    struct checkpoint_part *next;
};

/* NULL: out of memory. One reference, the caller's. */
struct checkpoint_part *checkpoint_part_new(uint32_t task, uint64_t mark);

#endif
