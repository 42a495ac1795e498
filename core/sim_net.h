/* sim_net.h - a network in memory whose bytes are late, come in pieces and are
 * lost with their connection by a seed. What is written to a stream comes in
 * its order, as of TCP. Between nodes that are cut off from each other nothing
 * happens until they are joined again.
 * Part of struct sim, which tells it what time it is and when to go on. */
#ifndef CORE_SIM_NET_H
#define CORE_SIM_NET_H

#include "core/net.h"
#include <stdint.h>

enum { SIM_NODES_MAX = 16 };

/* How many of 1,000 meet with which fault; zeroes: a good network. */
struct sim_net_faults {
    unsigned refuses; /* connections: as if nobody listened */
    unsigned breaks;  /* pieces that come: their connection breaks instead */
    unsigned slow;    /* pieces and connections: up to slow_ns */
    int64_t slow_ns;
};

struct sim_net;
/* What one node is given of it. */
struct sim_port;

/* `now_ns` is borrowed. NULL: out of memory. */
struct sim_net *sim_net_new(uint64_t seed, const int64_t *now_ns);
/* With all ports, and streams that were never closed. NULL is fine. */
void sim_net_free(struct sim_net *net);
/* Copies; from the next piece on. */
void sim_net_set_faults(struct sim_net *net,
                        const struct sim_net_faults *faults);
/* Nodes of these numbers hear nothing of each other from now on, or do again.
 */
void sim_net_cut(struct sim_net *net, uint16_t a, uint16_t b, bool cut);

/* `env` goes to the callbacks; borrowed until sim_port_end(). NULL: out of
 * memory. */
struct sim_port *sim_port_new(struct sim_net *net, uint16_t number,
                              struct env *env);
const struct net *sim_port_calls(const struct sim_port *port);
/* The process is gone: nobody hears of its streams any more, though closing
 * them is still owed. The system closes them; or, if `silent`, it is gone,
 * too: the others notice when they write and it is back. */
void sim_port_end(struct sim_port *port, bool silent);

/* When something comes next; INT64_MAX: nothing does. */
int64_t sim_net_next_ns(const struct sim_net *net);
/* How many things could happen now, and the n-th of them. */
unsigned sim_net_due(const struct sim_net *net);
void sim_net_run(struct sim_net *net, unsigned n);
/* A hash of everything that was called and came. */
uint64_t sim_net_hash(const struct sim_net *net);

#endif
