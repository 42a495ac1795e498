/* sim.h - core/sim.h for stories: what goes wrong with the world itself fails
 * the running spec; and actors that do what a story tells them. */
#ifndef SPEC_SIM_SIM_H
#define SPEC_SIM_SIM_H

#include "core/sim.h"

/* Until it is quiet: nothing to run, no deadline, no job. Fails the spec when
 * that takes more than 20 million steps. */
void sim_run(struct sim *sim);
/* As actor_kill(), from outside. */
void sim_kill_actor(struct sim *sim, actor_id who, err why);
/* See sim_disk.h: a durable file, and what a process would read. */
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
