/* sim.h - a world made from a seed: many nodes in one thread, a clock that
 * jumps, disks that fail.
 * The nodes run the engine's own files; simulated is only what they are given
 * (struct world). Among everything that could happen now, a turn of a runnable
 * actor, a deadline, a job, the seed chooses; when nothing can, the clock
 * jumps to the next event. The seed also decides whether a node has one
 * scheduler thread, which takes the shorter way to mailboxes, or several. Two
 * runs of a seed do the same: compare sim_hash().
 * A failure of the world itself (no memory) fails the running spec. */
#ifndef SPEC_SIM_SIM_H
#define SPEC_SIM_SIM_H

#include "core/actor.h"
#include "core/node.h"
#include "spec/sim/disk.h"

struct sim;
struct sim_node;

/* It is virtual time SIM_START_NS, and quiet. */
enum { SIM_START_NS = 1000000000 };
struct sim *sim_new(uint64_t seed);
/* Ends all nodes. */
void sim_free(struct sim *sim);
/* The node of that number, made when it is new. */
struct sim_node *sim_node(struct sim *sim, uint16_t number);
/* Its parts, borrowed until the node is ended. The view is one from outside
 * (node_outside()); the running actors have their own. */
struct node *sim_engine(struct sim_node *node);
struct env *sim_env(struct sim_node *node);
struct sim_disk *sim_disk(struct sim_node *node);
/* One scheduler thread runs all its actors (see struct env's solo). */
bool sim_solo(const struct sim_node *node);
/* For the nodes made from now on: true or false instead of the seed's choice.
 */
void sim_set_solo(struct sim *sim, bool solo);
/* A draw from the seed, for the story's own choices. */
uint64_t sim_random(struct sim *sim, uint64_t below);

/* ---- time ---- */

int64_t sim_now(const struct sim *sim);
/* Turns take up to this long; 0, the default: none at all, so that deadlines
 * and jobs come at their exact times. */
void sim_set_turn_ns(struct sim *sim, int64_t most_ns);
/* One thing happens. False: nothing can before until_ns. */
bool sim_step(struct sim *sim, int64_t until_ns);
/* Until it is quiet: nothing to run, no deadline, no job. Fails the spec when
 * that takes more than 20 million steps. */
void sim_run(struct sim *sim);
/* All that happens up to at_ns, which it then is. */
void sim_run_until(struct sim *sim, int64_t at_ns);
void sim_advance(struct sim *sim, int64_t by_ns);

/* ---- the trace ---- */

/* Of every delivery (time, node, to, from, kind, bytes, lane, cost), alarm
 * (told and come), job (started and finished) and disk operation. Bodies are
 * left out, since they may hold pointers, which differ between two runs ... */
uint64_t sim_hash(const struct sim *sim);
/* ... but for what this returns of a message with a body. */
typedef uint64_t sim_body_hash(void *context, const struct msg *m);
void sim_hash_bodies(struct sim *sim, sim_body_hash *hash, void *context);
/* Things that have happened. */
uint64_t sim_steps(const struct sim *sim);

/* ---- faults ---- */

/* Descriptors, actors, timers and jobs of the node are gone (its actors
 * terminate, for the memory's sake, with nobody to send to); the node of that
 * number is a new one on the same disk. */
void sim_kill_node(struct sim_node *node);
/* The same, and the disk forgets what was not synced: see disk.h. */
void sim_power_cut(struct sim_node *node);
/* As actor_kill(), from outside. */
void sim_kill_actor(struct sim *sim, actor_id who, err why);

/* Disk faults of a node from now on. */
void sim_set_faults(struct sim_node *node, const struct sim_faults *faults);
/* See disk.h: a durable file, and what a process would read. */
void sim_file_put(struct sim_node *node, const char *path, const void *bytes,
                  size_t count);
const uint8_t *sim_file_get(struct sim_node *node, const char *path,
                            size_t *count);

/* ---- actors and probes ---- */

/* actor_spawn() from outside; a failure fails the spec. */
actor_id sim_spawn(struct sim_node *node, const struct actor_kind *kind,
                   const void *args, uint32_t args_bytes);

/* An actor that does what it is told and remembers what it received. It traps
 * exits. What it remembers outlives it. */
actor_id sim_probe(struct sim_node *node);
/* The probe will send this; copies. Two orders to one probe are carried out in
 * order. */
void sim_send(struct sim *sim, actor_id probe, actor_id to, uint16_t kind,
              const void *body, uint32_t bytes);
/* The probe will call this in an activation of its own; an error ends it.
 * `context` is borrowed until then. */
typedef err sim_deed(struct env *env, void *context);
void sim_do(struct sim *sim, actor_id probe, sim_deed *deed, void *context);

struct sim_message {
    actor_id from;
    int64_t at_ns;
    void *body; /* owned by the sim: a copy */
    uint32_t bytes;
    uint16_t kind;
    bool data; /* came by an edge */
};
/* How many messages of that kind the probe has received; 0: of any. */
unsigned sim_got(struct sim *sim, actor_id probe, uint16_t kind);
/* The n-th message of that kind (0: of any), from 0, borrowed until it
 * receives the next. Fails the spec when there is none. */
const struct sim_message *sim_seen(struct sim *sim, actor_id probe,
                                   uint16_t kind, unsigned n);

#endif
