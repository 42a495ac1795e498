/* stream.h - topologies in the simulated world, or on real threads: a
 * definition's text runs on a node, and what reached a sink is looked at
 * afterwards.
 * Every sink called "out" is replaced by one that remembers its tuples; a spout
 * called "feed…" by one that emits 1, 2, … when stream_feed() says so. In the
 * simulated world also a bolt called "flaky…" by a native identity that fails
 * some by the seed, one called "stuck…" by one that does what struct
 * stream_stuck says. */
#ifndef SPEC_SIM_STREAM_H
#define SPEC_SIM_STREAM_H

#include "actors/stream/topology.h"
#include "core/store.h"
#include "spec/sim/sim.h"

struct stream;

/* ---- one tale in all worlds ---- */

/* Tells it in the simulated world, with so many seeds, then on 1, 2 and 4 real
 * threads. In the text REAL says whether they are real. */
typedef void stream_tale(struct stream *stream);
void stream_tell(const char *text, unsigned seeds, stream_tale *tale);
/* NULL: its threads are real, and no time may be told from it. */
struct sim *stream_sim(const struct stream *stream);
/* The condition comes true, however long it takes; else the spec fails. */
#define STREAM_AWAIT(stream, condition)                                        \
    for (unsigned waits_ = 0; !(condition); waits_++)                          \
    stream_wait((stream), waits_, __FILE__, __LINE__, #condition)
void stream_wait(struct stream *stream, unsigned waits, const char *file,
                 int line, const char *condition);
/* Time for what must not happen: 1 s of the simulated world, or 20 ms. */
void stream_rest(struct stream *stream);
/* The spout "feed…" emits that many tuples in all, tracked. What becomes of
 * them are lines as of "out": `feed1 acked 3`, `feed1 failed 4 REASON`. */
void stream_feed(struct stream *stream, const char *spout, unsigned total);

/* Of bolts called "turns…", identities of one field: how many tasks of one
 * executor ran at the same time at most. */
unsigned stream_most_in_turn(struct stream *stream);

/* ---- a run ---- */

/* Loads the text and starts it; a faulty one fails the spec. */
struct stream *stream_start(struct sim *sim, struct sim_node *node,
                            const char *text);
/* Of the streams started next: where their checkpoints go, and the time between
 * two of them; NULL: there are none. Borrowed until they are freed. */
void stream_use_store(struct store *store, int64_t checkpoint_ns);
/* Of the streams started next: what may wait on a loop's way back; 0: as a
 * run's may. */
void stream_limit_loops(int64_t bytes);
/* Ends the node's actors (sim_kill_node) and frees it all. */
void stream_free(struct stream *stream);

/* Of the bolts called "stuck…": they sleep before each batch, longer before
 * one of them, and forget a tuple: it isn't passed on, acked or failed. */
struct stream_stuck {
    int64_t pace_ns, stall_ns;
    unsigned stall_batch, lose_tuple; /* counted from 1; 0: none */
};
void stream_set_stuck(struct stream *stream, const struct stream_stuck *stuck);
/* When it was forgotten; 0: not yet. */
int64_t stream_lost_ns(const struct stream *stream);

/* Runs until the topology has ended by itself (or was drained). */
const struct topology_end *stream_run(struct stream *stream);
bool stream_ended(const struct stream *stream);
void stream_drain(struct stream *stream, int64_t limit_ns);
/* Kills a task's actor: 0 is the component's first. */
void stream_kill(struct stream *stream, const char *component, unsigned index);
/* Its spouts may emit from now on, or may not. */
void stream_activate(struct stream *stream, bool active);
/* New text into the running topology. True: all tasks have taken it. Runs the
 * world until that is known. */
bool stream_reload(struct stream *stream, const char *text, char *why,
                   size_t why_bytes);
/* The same without waiting; see stream_reloads(). */
void stream_reload_begin(struct stream *stream, const char *text);
/* How many reloads were taken, and refused. */
unsigned stream_taken(const struct stream *stream);
unsigned stream_refused(const struct stream *stream);

/* What "out" received, each as one line of JSON values: `"the",2`. */
unsigned stream_count(const struct stream *stream);
const char *stream_line(const struct stream *stream, unsigned i);
/* How many lines begin so. */
unsigned stream_said(const struct stream *stream, const char *prefix);
int64_t stream_at_ns(const struct stream *stream, unsigned i);
/* How many of the lines are this. */
unsigned stream_has(const struct stream *stream, const char *line);

/* Totals of a component. */
struct stream_totals {
    uint64_t executed, emitted, acked, failed, replayed, gave_up, errors;
};
struct stream_totals stream_totals(const struct stream *stream,
                                   const char *component);
/* Of a spout's roots that were acked. */
uint64_t stream_latency_ns(const struct stream *stream, const char *spout,
                           double percent);
/* How many roots its tasks may have pending. */
uint64_t stream_limit(const struct stream *stream, const char *spout);
uint64_t stream_latencies(const struct stream *stream, const char *spout);

#endif
