/* job.h - blocking work outside the schedulers' threads, answered by message.
 * The simulated world runs the same job at a virtual time of its choice. */
#ifndef CORE_JOB_H
#define CORE_JOB_H

#include "core/err.h"
#include "core/msg.h"
#include "core/ref.h"

struct node;

/* Embed it first in a heap block that holds the work's in- and output. */
struct job {
    struct ref ref; /* its free() releases the whole block */
    /* Runs on a thread of the pool; may block; sends nothing. */
    void (*work)(struct node *node, struct job *job);
    actor_id from; /* who is answered */
    uint16_t kind; /* of the answer; its body is struct job * */
    struct job *next;
    struct {
        struct msg msg; /* embedded: there is no job without an answer */
        struct job *job;
    } answer;
};

/* Starts job->work; when it is done the running actor receives `kind` with a
 * body of one `struct job *`, borrowed until it returns unless it takes a
 * reference. The runtime owns one reference from here. If the actor is dead
 * by then the block is freed all the same. */
void job_start(struct env *env, struct job *job, uint16_t kind);

/* ---- for worlds ---- */

/* The work is done: answer. `env` is the calling thread's. */
void job_finish(struct env *env, struct job *job);

/* A small pool of threads for the real world. NULL: the node or the system
 * gives no more memory, views or threads. */
struct jobs;
struct jobs *jobs_new(struct node *node, unsigned threads);
/* Ends the threads after the jobs they have begun; others are answered as if
 * done, unworked. */
void jobs_free(struct jobs *jobs);
void jobs_push(struct jobs *jobs, struct job *job);

#endif
