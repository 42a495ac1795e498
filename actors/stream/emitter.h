/* emitter.h - the outgoing side of a task: from values to batches.
 * Each subscriber of a stream is a route with a grouping; each of its tasks is
 * a port with an open batch. What one call emits can be taken back: a port is
 * marked when the call first touches it, and batches are sealed only between
 * calls. Used by one executor, on its thread. */
#ifndef ACTORS_STREAM_EMITTER_H
#define ACTORS_STREAM_EMITTER_H

#include <stdbool.h>

#include "actors/stream/batch.h"
#include "actors/stream/plan.h"
#include "actors/stream/roots.h"
#include "core/actor.h"
#include "core/edge.h"
#include "core/random.h"
#include "core/value.h"

struct combiner;
struct loop;

struct port {
    struct edge *edge;         /* borrowed from the topology */
    struct msg *open;          /* owned; NULL: nothing gathered */
    struct combiner *combiner; /* owned; NULL: tuples travel as they are */
    struct msg *marker;        /* owned: the next one's envelope; may be NULL */
    struct port *next_open, *next_touched;
    struct loop *loop; /* that its edge is in; NULL: in none */
    bool listed;       /* among the emitter's open ports */
    bool many;         /* the last batch was more than BATCH_ROOM_FEW */
    bool back;         /* its edge is a back edge */
    bool lags;         /* half the window was on its way at the last send */
    uint32_t schema;   /* number of its stream */
    uint64_t call;     /* in which it was touched last */
    uint32_t mark_used, mark_count, mark_anchors, mark_tuples;
    uint64_t chosen; /* tuples, of a route by partial key */
};

struct route {
    const struct input_plan *input; /* grouping and keys; borrowed */
    struct port *ports;             /* owned; twice as many if it combines */
    uint32_t port_count;
    bool combines; /* as its input wants, if the sender can */
    uint32_t next; /* shuffle: round robin */
};

struct out_stream {
    struct route *routes; /* owned */
    unsigned route_count;
    unsigned arity;
    bool direct;
    bool back;   /* it has a route by a back edge */
    bool simple; /* one route that chooses one port for each tuple */
};

struct emitter {
    struct env *env;            /* of the running activation */
    struct out_stream *streams; /* owned; by the component's stream number */
    unsigned stream_count;
    uint32_t task, epoch;
    bool reduces;             /* it can combine what is reduced by a function */
    bool barriers_come_round; /* they go by back edges, too */
    uint64_t call;            /* number of the call in hand */
    uint64_t root; /* of the tuple in hand; 0: untracked; or ROOT_LIST */
    struct root_list *roots; /* ROOT_LIST: these; borrowed */
    /* ROOT_LIST: all that the call in hand emits is of the same list, which
     * stands once in each batch. */
    bool one_list;
    uint64_t edges; /* XOR of the edge ids given to `root` in this call */
    uint64_t emitted, emitted_kept; /* all; without the call in hand */
    struct port *touched, *open_ports;
    struct port *parked; /* one that may have no credit; NULL: all have */
    struct rng rng;
    bool failed; /* out of memory, or over BATCH_MAX_BYTES, in this call */
    const char *refusal; /* failed: why, if it was a back edge; or NULL */
};

err emitter_init(struct emitter *e, const struct component_plan *component,
                 uint32_t task, uint64_t seed);
void emitter_fini(struct emitter *e);
/* Adds the subscriber `input` with one port per edge. ERR_NOMEM. */
err emitter_route(struct emitter *e, unsigned stream,
                  const struct input_plan *input, struct edge *const *edges,
                  uint32_t edge_count);

/* The route added last is between tasks of this loop. */
void emitter_in_loop(struct emitter *e, unsigned stream, struct loop *loop);

/* May a tuple be emitted into a stream with a back edge? False: the call is to
 * fail, e->refusal says why. */
bool emitter_may_go_back(struct emitter *e, const struct out_stream *stream);

/* One tuple of already encoded values to all routes of a stream. False: out of
 * memory or over the limit; the call is to be undone. */
bool emitter_put(struct emitter *e, unsigned stream, const uint8_t *values,
                 uint32_t bytes);

/* A new edge id: not 0. */
uint64_t emitter_edge(struct emitter *e);

/* The call was right: what it emitted stays, full batches leave. */
void emitter_keep(struct emitter *e);
/* It failed: what it emitted is taken back. */
void emitter_undo(struct emitter *e);
/* Everything gathered leaves (between calls). */
void emitter_flush(struct emitter *e);
/* But for what is being combined, which gets better with time. True: there is
 * some. */
bool emitter_flush_plain(struct emitter *e);
/* To every port of every stream, but for back edges, and behind all that was
 * emitted. Each port has an
 * envelope for one made beforehand. ERR_NOMEM: none was sent. */
err emitter_mark(struct emitter *e, enum batch_marker marker, uint64_t number);
/* Has a port used up its credit, so that the task is parked? */
bool emitter_parked(struct emitter *e);
/* Drops what was gathered; calls back with each root in it (a crash). */
void emitter_drop(struct emitter *e, void (*lost)(void *context, uint64_t root),
                  void *context);

/* ---- for writers that encode straight into a batch ---- */

/* Instead of one that lags: another that doesn't, if there is one. */
struct port *route_detour(struct route *route, struct port *port);
/* Of the groupings below that aren't decided there. */
struct port *route_choose(struct emitter *e, struct route *route,
                          uint64_t hash);
/* Picks the port of one tuple; `hash` is that of its keys, if it goes by keys.
 * For groupings that choose exactly one. */
static inline struct port *route_port(struct emitter *e, struct route *route,
                                      uint64_t hash)
{
    switch (route->input->grouping) {
    case GROUPING_FIELDS: /* the hash as a fraction: no division */
        return &route->ports[((hash >> 32) * route->port_count) >> 32];
    case GROUPING_GLOBAL: return &route->ports[0];
    case GROUPING_SHUFFLE:
    case GROUPING_LOCAL: {
        if (++route->next >= route->port_count) route->next = 0;
        struct port *port = &route->ports[route->next];
        return port->lags ? route_detour(route, port) : port;
    }
    default: return route_choose(e, route, hash);
    }
}

/* The port to a task by its number in the plan; NULL: it isn't this
 * subscriber's. */
static inline struct port *route_port_of(struct route *route, int64_t task)
{
    int64_t place = task - (int64_t)route->input->first_task;
    return place < 0 || place >= route->port_count ? NULL
                                                   : &route->ports[place];
}

/* The same for a tuple that a route which combines can't combine. */
static inline struct port *route_plain(struct emitter *e, struct route *route,
                                       uint64_t hash)
{
    return route_port(e, route, hash) + route->port_count;
}

/* Where `bytes` may be written (NULL: refused, see emitter.failed), then
 * port_commit() with the end of what was. */
uint8_t *port_reserve_slow(struct emitter *e, struct port *port,
                           uint32_t bytes);
void port_mark(struct emitter *e, struct port *port);
static inline uint8_t *port_reserve(struct emitter *e, struct port *port,
                                    uint32_t bytes)
{
    if (port->call != e->call) port_mark(e, port);
    if (port->open) {
        struct batch *b = batch_of(port->open);
        uint64_t need = (uint64_t)b->used + bytes +
                        (b->anchors + 2) * sizeof(struct anchor);
        if (need <= b->room && e->root != ROOT_LIST) return b->data + b->used;
    }
    return port_reserve_slow(e, port, bytes);
}

/* The list that all of the call is of stands at the end of its anchors. */
static inline bool port_has_list(const struct emitter *e,
                                 const struct port *port, const struct batch *b)
{
    return e->one_list && e->root == ROOT_LIST && port->call == e->call &&
           b->anchors > port->mark_anchors;
}

void port_anchor(struct emitter *e, struct batch *b);
/* The root in hand gets an edge id and, for it, the batch an anchor. */
void port_anchor_root(struct emitter *e, struct batch *b, uint32_t tuples);
static inline void port_commit(struct emitter *e, struct port *port,
                               const uint8_t *end)
{
    struct batch *b = batch_of(port->open);
    b->used = (uint32_t)(end - b->data);
    struct anchor *last = b->anchors ? batch_anchor(b, b->anchors - 1) : NULL;
    if (last &&
        ((last->root == e->root && !last->joined) || port_has_list(e, port, b)))
        last->tuples++;
    else if (last || e->root != 0)
        port_anchor(e, b);
    b->count++;
}

#endif
