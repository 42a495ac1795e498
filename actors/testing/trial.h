/* trial.h - a topology under test: a plan that runs in a world made from a
 * seed, fed by hand, watched at every stream.
 * Executors, ackers, emitters and Lua are a real run's. What differs: spouts
 * that are mocked emit what they are fed; connectors that are sinks take their
 * tuples and write nothing; what components emit and sinks receive is
 * remembered; and time is virtual. One thread.
 * What fails says why: trial_why(). */
#ifndef ACTORS_TESTING_TRIAL_H
#define ACTORS_TESTING_TRIAL_H

#include "actors/stream/plan.h"
#include "actors/testing/capture.h"

struct trial;

/* The plan is borrowed until trial_free(). NULL: out of memory. Owned. */
struct trial *trial_new(const struct plan *plan, uint64_t seed);
/* Whatever it is doing. NULL is fine. */
void trial_free(struct trial *trial);

/* Components are named by their place in the plan, rows of a mocked spout by
 * their number, from 0. */

/* Before trial_start(): the spout emits what it is fed. A feeder waits for
 * more, else it ends when all is settled; see mock.h. ERR_NOMEM. */
err trial_mock(struct trial *trial, unsigned spout, bool feeder);
bool trial_is_mocked(const struct trial *trial, unsigned spout);
bool trial_is_feeder(const struct trial *trial, unsigned spout);
/* Copies the encoded values of a row for a mocked spout; once it has started,
 * of a feeder. ERR_NOMEM. */
err trial_feed(struct trial *trial, unsigned spout, unsigned stream,
               const uint8_t *values, size_t bytes, uint64_t *row);

/* Starts the tasks; nothing happens yet. ERR_CONFIG: a spout that would read
 * what is outside is not mocked; ERR_NOMEM, ERR_LIMIT. */
err trial_start(struct trial *trial);

/* Each lets things happen. ERR_CRASHED: it can't go on: components kept
 * crashing, a bound is reached, there is no memory. */

/* All that can happen without time passing. */
err trial_settle(struct trial *trial);
err trial_advance(struct trial *trial, int64_t by_ns);
/* Until all sources have ended and all is through; within a virtual day. */
err trial_finish(struct trial *trial);
/* The same after telling the sources to end, as a signal does to a run. */
err trial_stop(struct trial *trial);

/* Spouts emit from now on, or nothing new. One that begins inactive starts
 * with it. ERR_FULL, ERR_NOMEM: it wasn't told. */
err trial_set_active(struct trial *trial, bool active);

bool trial_ended(const struct trial *trial);
/* Why it can't go on, in a sentence. Borrowed. */
const char *trial_why(const struct trial *trial);
/* Since 1970, by the virtual clock; it began at 0 by the other. */
int64_t trial_wall_ns(const struct trial *trial);
int64_t trial_elapsed_ns(const struct trial *trial);
/* Things that have happened so far: what it has cost. */
uint64_t trial_steps(const struct trial *trial);

/* The next `count` tuples that reach a bolt or sink fail with this reason
 * (copied). ERR_NOMEM. */
err trial_fail_next(struct trial *trial, unsigned component, uint64_t count,
                    const char *reason);
/* Kills the actor of a task, from 0, among what else happens then. ERR_FULL,
 * ERR_NOMEM: it wasn't told. */
err trial_crash(struct trial *trial, unsigned component, unsigned task);

/* What was emitted on a stream, received by a sink, so far. Borrowed until
 * something happens. */
const struct capture *trial_emitted(const struct trial *trial,
                                    unsigned component, unsigned stream);
const struct capture *trial_received(const struct trial *trial, unsigned sink);

/* Rows that are settled for good, in the order in which they were. */
struct trial_fate {
    unsigned spout;
    uint64_t row;
    int64_t at_ns; /* trial_elapsed_ns() */
    char *reason;  /* owned by the trial; NULL: acked */
};
/* The i-th, from 0; NULL: there are no more. Borrowed until something
 * happens. */
const struct trial_fate *trial_fate_at(const struct trial *trial, uint64_t i);

/* What the components logged, cut at 64 KB. Borrowed. */
const char *trial_log(const struct trial *trial);

#endif
