/* executor.h - the actor that runs one task of a component. */
#ifndef ACTORS_STREAM_EXECUTOR_H
#define ACTORS_STREAM_EXECUTOR_H

#include "actors/stream/component.h"
#include "actors/stream/topology.h"

enum executor_kind {
    EXECUTOR_BATCH = KIND_OWN, /* data lane: struct batch */
    EXECUTOR_JOB,              /* struct job *: done */
    EXECUTOR_ACKED,            /* acker: struct acker_settled */
    EXECUTOR_FAILED,           /* acker or a dead consumer: struct acker_fail */
    EXECUTOR_CHECKED, /* acker: int64_t, the next deadline; INT64_MAX none */
    EXECUTOR_ACKER,   /* topology: the acker was started anew */
    EXECUTOR_GO,      /* topology: every task can be reached, emit */
    EXECUTOR_CLOSE,   /* topology: sources end now (drain) */
    EXECUTOR_ACTIVE,  /* topology: look at topology_is_active() */
    EXECUTOR_LOAD,    /* topology: struct reload_code *: load it, answer */
    EXECUTOR_SWITCH,  /* topology to spouts: uint64_t mark, put it in the
                       * streams; also of a checkpoint, which loops' heads are
                       * told of, too */
    EXECUTOR_DECIDED, /* topology: the checkpoint is in the store */
    EXECUTOR_DROP,    /* topology: forget the loaded code */
    EXECUTOR_LOOK,    /* topology: a marker may have come unseen, or the task's
                       * loop is over */
    EXECUTOR_WAKE,    /* outside: something came for an idle source */
};

/* args: struct task * */
extern const struct actor_kind executor_kind;

#endif
