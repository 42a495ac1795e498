/* sim.h - a world made from a seed: many nodes in one thread, a clock that
 * jumps, disks and a network that fail. What `engine test` and the specs run
 * in. The nodes run the engine's own files; simulated is only what they are
 * given (struct world). Among everything that could happen now, a turn of a
 * runnable actor, a deadline, a job, bytes, the seed chooses; when nothing can,
 * the clock jumps to the next event. The seed also decides whether a node has
 * one scheduler thread, which takes the shorter way to mailboxes, or several.
 * Two runs of a seed do the same: compare sim_hash(). When there is no memory
 * for the world's own notes it stands still for good: see sim_failed(). One
 * thread. */
#ifndef CORE_SIM_H
#define CORE_SIM_H

#include "core/actor.h"
#include "core/node.h"
#include "core/sim_disk.h"
#include "core/sim_net.h"

struct sim;
struct sim_node;

/* It is virtual time SIM_START_NS, and quiet. NULL: out of memory. Owned. */
enum { SIM_START_NS = 1000000000 };
struct sim *sim_new(uint64_t seed);
/* Ends all nodes. NULL is fine. */
void sim_free(struct sim *sim);
/* The node of that number, below SIM_NODES_MAX, made when it is new. NULL: out
 * of memory. */
struct sim_node *sim_node(struct sim *sim, uint16_t number);
/* Its parts, borrowed until the node is ended. The view is one from outside
 * (node_outside()); the running actors have their own. */
struct sim *sim_of(struct sim_node *node);
struct node *sim_engine(struct sim_node *node);
struct env *sim_env(struct sim_node *node);
struct sim_disk *sim_disk(struct sim_node *node);
/* One scheduler thread runs all its actors (see struct env's solo). */
bool sim_solo(const struct sim_node *node);
/* For the nodes made from now on: true or false instead of the seed's choice.
 */
void sim_set_solo(struct sim *sim, bool solo);
/* For the nodes made from now on; borrowed until they have ended. */
void sim_set_log(struct sim *sim, struct log *log);
/* A draw from the seed, for the story's own choices. */
uint64_t sim_random(struct sim *sim, uint64_t below);
/* There was no memory: nothing happens here any more. */
bool sim_failed(const struct sim *sim);
/* What somebody keeps beside the world: `end` is called with it when the world
 * is freed, after its nodes. At most one. */
void sim_attach(struct sim *sim, void *context, void (*end)(void *context));
void *sim_attached(const struct sim *sim);

/* ---- time ---- */

int64_t sim_now(const struct sim *sim);
/* The same as ns since 1970, from SIM_WALL_NS on: November 2023. */
#define SIM_WALL_NS (INT64_C(1700000001) * 1000000000)
int64_t sim_wall(const struct sim *sim);
/* Turns take up to this long; 0, the default: none at all, so that deadlines
 * and jobs come at their exact times. */
void sim_set_turn_ns(struct sim *sim, int64_t most_ns);
/* One thing happens. False: nothing can before until_ns. */
bool sim_step(struct sim *sim, int64_t until_ns);
/* All that happens up to at_ns, which it then is. */
void sim_run_until(struct sim *sim, int64_t at_ns);
void sim_advance(struct sim *sim, int64_t by_ns);

/* ---- the trace ---- */

/* Of every delivery (time, node, to, from, kind, bytes, lane, cost), alarm
 * (told and come), job (started and finished), disk operation and byte stream.
 * Bodies are left out, since they may hold pointers, which differ between two
 * runs ... */
uint64_t sim_hash(const struct sim *sim);
/* ... but for what this returns of a message with a body. */
typedef uint64_t sim_body_hash(void *context, const struct msg *m);
void sim_hash_bodies(struct sim *sim, sim_body_hash *hash, void *context);
/* Things that have happened. */
uint64_t sim_steps(const struct sim *sim);
/* Who sent it: of a data message the producer. */
actor_id sim_sender(const struct msg *m);

/* ---- faults ---- */

/* Descriptors, actors, timers and jobs of the node are gone (its actors
 * terminate, for the memory's sake, with nobody to send to); the node of that
 * number is a new one on the same disk. ERR_NOMEM: there is none, the world
 * has failed. */
err sim_kill_node(struct sim_node *node);
/* The same, and the disk forgets what was not synced: see sim_disk.h. */
err sim_power_cut(struct sim_node *node);
/* Disk faults of a node from now on. */
void sim_set_faults(struct sim_node *node, const struct sim_faults *faults);
/* Of all nodes: for its faults and cuts. Borrowed. */
struct sim_net *sim_net(struct sim *sim);

#endif
