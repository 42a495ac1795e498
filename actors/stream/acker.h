/* acker.h - tells a spout when every tuple of a tree has been processed.
 * Each edge id enters its root's XOR twice, once emitted and once acked: the
 * XOR is zero when all are acked, in whatever order they arrive. Roots are
 * dense (spout task and sequence), so a root's row is found by its number.
 * Source: Apache Storm, storm-client/.../daemon/Acker.java; new are the rows
 * without hashing, and deadlines by progress. */
#ifndef ACTORS_STREAM_ACKER_H
#define ACTORS_STREAM_ACKER_H

#include "core/actor.h"

/* A root: task of the spout + 1, and its number among the task's roots. */
enum {
    ROOT_SEQUENCE_BITS = 48,  /* tasks: below 65,535, as the plan checks */
    ROOTS_SPAN_MAX = 1 << 20, /* of a spout, from its oldest unsettled one */
};
static inline uint64_t root_of(uint32_t task, uint64_t sequence)
{
    return (uint64_t)(task + 1) << ROOT_SEQUENCE_BITS | sequence;
}
static inline uint32_t root_task(uint64_t root)
{
    return (uint32_t)(root >> ROOT_SEQUENCE_BITS) - 1;
}
static inline uint64_t root_sequence(uint64_t root)
{
    return root & (((uint64_t)1 << ROOT_SEQUENCE_BITS) - 1);
}

enum acker_kind {
    ACKER_OPEN = KIND_OWN, /* struct acker_open: a spout's rows begin here */
    ACKER_INIT,            /* struct acker_updates: emitted by the spout */
    ACKER_ACK,             /* struct acker_updates: processed by a bolt */
    ACKER_FAIL,            /* struct acker_fail */
    ACKER_CHECK,           /* struct acker_check: what has expired? */
};

struct acker_open {
    uint32_t task;
    uint64_t next_sequence; /* earlier ones are settled */
};

struct acker_update {
    uint64_t root;
    uint64_t edges; /* XOR of the ids this adds */
};

struct acker_updates {
    uint32_t count;
    struct acker_update list[];
};

enum {
    REASON_BYTES = 1024,
    UPDATES_MAX = (MSG_BYTES_PAGE - (int)sizeof(struct acker_updates)) /
                  (int)sizeof(struct acker_update),
};

/* Also what the spout is told (EXECUTOR_FAILED). */
struct acker_fail {
    uint64_t root;
    uint32_t task; /* that failed it; UINT32_MAX: none did, time ran out */
    bool innocent; /* it was only there: this try doesn't count */
    char reason[REASON_BYTES]; /* text, cut to fit; only its bytes are sent */
};

/* A root fails when it has made no progress for the timeout. Its clock is
 * topology_clock_ns(), and stands still too while the spout is held up: when a
 * check comes, the spout is parked and nothing of its has moved for a quarter
 * of the timeout. Then it stands since the last move (or the parking, if that
 * is later) until something moves or a check says that there is credit. */
struct acker_check {
    uint32_t task;
    int64_t timeout_ns;
    int64_t parked_ns; /* since when, by topology_clock_ns(); 0: it isn't */
};

/* EXECUTOR_ACKED: sequences of settled roots. */
struct acker_settled {
    uint32_t count;
    uint64_t sequences[];
};

struct topology;

/* args: struct topology *, borrowed while it runs. */
extern const struct actor_kind acker_kind;

#endif
