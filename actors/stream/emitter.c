#include "actors/stream/emitter.h"
#include "actors/stream/combiner.h"
#include "actors/stream/component.h"
#include "actors/stream/loop.h"
#include "core/alloc.h"
#include <assert.h>
#include <string.h>

enum { DETOURS_MAX = 8 }; /* tasks that are looked at for one that lags */

err emitter_init(struct emitter *e, const struct component_plan *component,
                 uint32_t task, uint64_t seed)
{
    *e = (struct emitter){.task = task,
                          .call = 1,
                          .reduces =
                              component->class && component->class->reduces,
                          .rng = {seed},
                          .stream_count = component->stream_count};
    e->streams = mem_lines(component->stream_count, sizeof *e->streams);
    if (e->streams == NULL) return ERR_NOMEM;
    for (unsigned i = 0; i < e->stream_count; i++)
        e->streams[i] =
            (struct out_stream){.arity = component->streams[i].arity,
                                .direct = component->streams[i].direct};
    return OK;
}

void emitter_fini(struct emitter *e)
{
    for (unsigned i = 0; e->streams && i < e->stream_count; i++) {
        struct out_stream *stream = &e->streams[i];
        for (unsigned k = 0; k < stream->route_count; k++) {
            struct route *route = &stream->routes[k];
            for (uint32_t p = 0; p < route->port_count; p++) {
                if (route->ports[p].marker)
                    msg_free(e->env, route->ports[p].marker);
                combiner_free(route->ports[p].combiner);
            }
            mem_free(route->ports);
        }
        mem_free(stream->routes);
    }
    mem_free(e->streams);
    e->streams = NULL;
}

/* An envelope for a marker at every port. */
static err have_markers(struct emitter *e)
{
    for (unsigned i = 0; i < e->stream_count; i++)
        for (unsigned k = 0; k < e->streams[i].route_count; k++) {
            struct route *route = &e->streams[i].routes[k];
            for (uint32_t p = 0; p < route->port_count; p++) {
                struct port *port = &route->ports[p];
                if (port->marker == NULL) port->marker = batch_new(e->env, 0);
                if (port->marker == NULL) return ERR_NOMEM;
            }
        }
    return OK;
}

/* For each edge a port, and one that combines before those that don't. NULL:
 * out of memory. */
static struct port *new_ports(unsigned schema, const struct input_plan *input,
                              bool combines, struct edge *const *edges,
                              uint32_t edge_count)
{
    size_t count = (size_t)edge_count * (1 + combines);
    struct port *ports = mem_lines(count, sizeof *ports);
    if (ports == NULL) return NULL;
    for (size_t i = 0; i < count; i++)
        ports[i] = (struct port){.edge = edges[i % edge_count],
                                 .schema = schema,
                                 .back = input->back};
    for (uint32_t i = 0; combines && i < edge_count; i++) {
        ports[i].combiner = combiner_new(edge_count, input->reduces);
        if (ports[i].combiner) continue;
        while (i-- > 0)
            combiner_free(ports[i].combiner);
        mem_free(ports);
        return NULL;
    }
    return ports;
}

err emitter_route(struct emitter *e, unsigned stream_number,
                  const struct input_plan *input, struct edge *const *edges,
                  uint32_t edge_count)
{
    assert(edge_count > 0); /* a component has a task */
    struct out_stream *stream = &e->streams[stream_number];
    struct route *routes = mem_lines(stream->route_count + 1, sizeof *routes);
    if (routes == NULL) return ERR_NOMEM;
    bool combines = input->combines && (e->reduces || !input->reduces);
    struct port *ports =
        new_ports(stream_number, input, combines, edges, edge_count);
    if (ports == NULL) {
        mem_free(routes);
        return ERR_NOMEM;
    }
    if (stream->route_count > 0)
        memcpy(routes, stream->routes, stream->route_count * sizeof *routes);
    mem_free(stream->routes);
    stream->routes = routes;
    routes[stream->route_count++] = (struct route){
        .input = input,
        .ports = ports,
        .port_count = edge_count,
        .combines = combines,
        /* Tasks of one component don't all begin with the same one. */
        .next = e->task % edge_count,
    };
    stream->back = stream->back || input->back;
    stream->simple = stream->route_count == 1 && !input->back &&
                     input->grouping < GROUPING_ALL;
    return have_markers(e);
}

void emitter_in_loop(struct emitter *e, unsigned stream, struct loop *loop)
{
    struct route *route =
        &e->streams[stream].routes[e->streams[stream].route_count - 1];
    uint32_t count = route->port_count * (1 + route->combines);
    for (uint32_t p = 0; p < count; p++)
        route->ports[p].loop = loop;
}

bool emitter_may_go_back(struct emitter *e, const struct out_stream *stream)
{
    for (unsigned i = 0; i < stream->route_count; i++) {
        const struct port *port = &stream->routes[i].ports[0];
        if (!port->back) continue;
        if (loop_is_over(port->loop))
            e->refusal = "the loop has ended, and takes no more tuples on its "
                         "way back; emit into it before finish";
        else if (loop_is_full(port->loop))
            e->refusal = "the loop is full: too much waits on its way back; "
                         "let fewer tuples go round than leave it, or give "
                         "its slowest bolt more tasks";
        else
            continue;
        e->failed = true;
        return false;
    }
    return true;
}

/* ---- which port ---- */

/* Its reader is behind by half the window: a reader that has nearly nothing to
 * do takes its turn. So a slow task doesn't hold up the rest, and equal ones
 * get exactly equal shares.
 * Source: Apache Storm, LoadAwareShuffleGrouping: fewer tuples to loaded
 * tasks; its load is a guess sent once a second, ours is the edge's credit. */
struct port *route_detour(struct route *route, struct port *port)
{
    int64_t window = port->edge->window_bytes;
    port->lags = edge_used_bytes(port->edge) > window / 4;
    if (!port->lags) return port;
    for (uint32_t i = 1; i < route->port_count && i <= DETOURS_MAX; i++) {
        uint32_t next = (route->next + i) % route->port_count;
        if (edge_used_bytes(route->ports[next].edge) >= window / 8) continue;
        route->next = next;
        return &route->ports[next];
    }
    return port;
}

/* Source: "The power of both choices", Nasir et al., 2015; as in Storm. */
static struct port *less_used(struct route *route, uint64_t hash)
{
    uint64_t count = route->port_count;
    uint64_t first = ((hash >> 32) * count) >> 32;
    if (count == 1) return &route->ports[0];
    uint64_t step = 1 + (((hash & UINT32_MAX) * (count - 1)) >> 32);
    struct port *a = &route->ports[first];
    struct port *b = &route->ports[(first + step) % count];
    struct port *port = b->chosen < a->chosen ? b : a;
    port->chosen++;
    return port;
}

struct port *route_choose(struct emitter *e, struct route *route, uint64_t hash)
{
    if (route->input->grouping == GROUPING_PARTIAL_KEY)
        return less_used(route, hash);
    uint64_t any = rng_next(&e->rng) >> 32;
    return &route->ports[(any * route->port_count) >> 32];
}

/* ---- what a call emits ---- */

/* The first touch in this call: note how the port was, to come back to. */
void port_mark(struct emitter *e, struct port *port)
{
    port->call = e->call;
    port->next_touched = e->touched;
    e->touched = port;
    if (port->open == NULL) {
        port->mark_used = port->mark_count = port->mark_anchors = 0;
        return;
    }
    struct batch *b = batch_of(port->open);
    port->mark_used = b->used;
    port->mark_count = b->count;
    port->mark_anchors = b->anchors;
    port->mark_tuples =
        b->anchors ? batch_anchor(b, b->anchors - 1)->tuples : 0;
}

/* Moves an open batch to a larger one: twice as large or a whole one, but at
 * most `most`. */
static struct msg *grown(struct emitter *e, struct msg *old, uint64_t room,
                         uint64_t most)
{
    struct batch *from = batch_of(old);
    uint64_t twice = 2ull * from->room;
    if (twice < BATCH_ROOM) twice = BATCH_ROOM;
    if (twice > most) twice = most;
    if (room < twice) room = twice;
    struct msg *m = batch_new(e->env, (uint32_t)room);
    if (m == NULL) return NULL;
    struct batch *to = batch_of(m);
    uint32_t whole = to->room;
    *to = *from;
    to->room = whole;
    memcpy(to->data, from->data, from->used);
    size_t anchors = from->anchors * sizeof(struct anchor);
    memcpy(to->data + whole - anchors, from->data + from->room - anchors,
           anchors);
    msg_free(e->env, old);
    return m;
}

/* Room that the call in hand has not taken in other ports than this. */
static uint64_t room_left(const struct emitter *e, const struct port *port)
{
    uint64_t taken = 0;
    for (const struct port *p = e->touched; p; p = p->next_touched)
        if (p != port && p->open) taken += batch_of(p->open)->room;
    return taken < BATCH_MAX_BYTES ? BATCH_MAX_BYTES - taken : 0;
}

/* A trickle takes a page at a time; where much flows, the next batch will be
 * like the last. */
static uint32_t first_room(const struct port *port, uint32_t need)
{
    if (need > BATCH_ROOM) return need;
    return port->many || need > BATCH_ROOM_FEW ? BATCH_ROOM : BATCH_ROOM_FEW;
}

uint8_t *port_reserve_slow(struct emitter *e, struct port *port, uint32_t bytes)
{
    struct msg *m = port->open;
    uint64_t anchors = 1 + (e->root == ROOT_LIST ? e->roots->count : 1);
    if (m && port_has_list(e, port, batch_of(m))) anchors = 1;
    if (m) anchors += batch_of(m)->anchors;
    uint64_t need = bytes + anchors * sizeof(struct anchor);
    if (m) need += batch_of(m)->used;
    if (m && need <= batch_of(m)->room)
        return batch_of(m)->data + batch_of(m)->used;
    uint64_t most = BATCH_ROOM; /* every port may have that */
    if (need > most) most = room_left(e, port);
    if (need > most) {
        e->failed = true;
        return NULL;
    }
    if (m == NULL)
        m = batch_new(e->env, first_room(port, (uint32_t)need));
    else
        m = grown(e, m, need, most);
    if (m == NULL) {
        e->failed = true;
        return NULL;
    }
    port->open = m;
    if (!port->listed) {
        port->listed = true;
        port->next_open = e->open_ports;
        e->open_ports = port;
    }
    return batch_of(m)->data + batch_of(m)->used;
}

uint64_t emitter_edge(struct emitter *e)
{
    uint64_t edge;
    do
        edge = rng_next(&e->rng);
    while (edge == 0);
    return edge;
}

/* One of each root: the last has the tuple, the others join it. */
static void anchor_list(struct emitter *e, struct batch *b, uint32_t tuples)
{
    struct root_list *list = e->roots;
    for (uint32_t i = 0; i < list->count; i++) {
        uint64_t edge = emitter_edge(e);
        list->roots[i].emitted ^= edge;
        *batch_anchor(b, b->anchors++) =
            (struct anchor){.root = list->roots[i].root,
                            .edge = edge,
                            .tuples = i + 1 == list->count ? tuples : 0,
                            .joined = list->count > 1};
    }
}

/* The tuple at hand has another root than the one before: a new anchor. */
void port_anchor(struct emitter *e, struct batch *b)
{
    if (b->anchors == 0 && b->count > 0) /* untracked ones came first */
        *batch_anchor(b, b->anchors++) = (struct anchor){.tuples = b->count};
    port_anchor_root(e, b, 1);
}

void port_anchor_root(struct emitter *e, struct batch *b, uint32_t tuples)
{
    if (e->root == ROOT_LIST) {
        anchor_list(e, b, tuples);
        return;
    }
    uint64_t edge = e->root != 0 ? emitter_edge(e) : 0;
    e->edges ^= edge;
    *batch_anchor(b, b->anchors++) =
        (struct anchor){.root = e->root, .edge = edge, .tuples = tuples};
}

static uint64_t key_hash(const struct input_plan *input, const uint8_t *values)
{
    uint64_t hash = 0;
    for (unsigned i = 0; i < input->key_count; i++) {
        const uint8_t *at = value_skip_many(values, input->keys[i]);
        hash = value_hash_key(hash, i, value_hash(at, 0));
    }
    return hash;
}

static bool put_plain(struct emitter *e, struct port *port,
                      const uint8_t *values, uint32_t bytes)
{
    uint8_t *at = port_reserve(e, port, bytes);
    if (at == NULL) return false;
    memcpy(at, values, bytes);
    port_commit(e, port, at + bytes);
    return true;
}

static bool put_combined(struct emitter *e, struct route *route,
                         const uint8_t *values, uint32_t bytes)
{
    const uint8_t *key = value_skip_many(values, route->input->combine_key);
    uint64_t hash = value_hash(key, 0);
    if (!value_is_key(key))
        return put_plain(e, route_plain(e, route, hash), values, bytes);
    return combiner_add(e, route_port(e, route, hash), key,
                        (uint32_t)(value_skip(key) - key), hash);
}

static bool put_all(struct emitter *e, struct route *route,
                    const uint8_t *values, uint32_t bytes)
{
    for (uint32_t p = 0; p < route->port_count; p++)
        if (!put_plain(e, &route->ports[p], values, bytes)) return false;
    return true;
}

static bool put(struct emitter *e, struct route *route, const uint8_t *values,
                uint32_t bytes)
{
    if (route->combines && !route->input->reduces)
        return put_combined(e, route, values, bytes);
    if (route->input->grouping == GROUPING_ALL)
        return put_all(e, route, values, bytes);
    uint64_t hash = grouping_has_keys(route->input->grouping)
                        ? key_hash(route->input, values)
                        : 0;
    struct port *port = route->combines ? route_plain(e, route, hash)
                                        : route_port(e, route, hash);
    return put_plain(e, port, values, bytes);
}

bool emitter_put(struct emitter *e, unsigned stream_number,
                 const uint8_t *values, uint32_t bytes)
{
    struct out_stream *stream = &e->streams[stream_number];
    if (stream->back && !emitter_may_go_back(e, stream)) return false;
    for (unsigned i = 0; i < stream->route_count; i++) {
        if (!put(e, &stream->routes[i], values, bytes)) return false;
    }
    e->emitted++;
    return true;
}

static void port_send(struct emitter *e, struct port *port)
{
    struct batch *b = batch_of(port->open);
    if (port->combiner) combiner_seal(port->combiner, b);
    b->task = e->task;
    b->epoch = e->epoch;
    b->schema = port->schema;
    b->number = port->edge->sent;
    uint32_t cost_bytes = batch_cost_bytes(b);
    port->many = cost_bytes > BATCH_ROOM_FEW;
    if (port->loop)
        loop_enter(port->loop, port->back ? batch_memory_bytes(b) : 0);
    /* What goes back never parks its sender: it would wait for itself. */
    if (port->back) cost_bytes = 0;
    edge_send(e->env, port->edge, port->open, cost_bytes);
    port->lags = edge_used_bytes(port->edge) > port->edge->window_bytes / 2;
    if (port->edge->blocked) e->parked = port;
    port->open = NULL; /* stays listed until the flush */
}

static struct port *find_parked(const struct emitter *e)
{
    for (unsigned i = 0; i < e->stream_count; i++)
        for (unsigned k = 0; k < e->streams[i].route_count; k++) {
            struct route *route = &e->streams[i].routes[k];
            for (uint32_t p = 0; p < route->port_count; p++)
                if (route->ports[p].edge->blocked) return &route->ports[p];
        }
    return NULL;
}

bool emitter_parked(struct emitter *e)
{
    if (e->parked && !e->parked->edge->blocked) e->parked = find_parked(e);
    return e->parked != NULL;
}

static bool is_full(const struct port *port)
{
    const struct batch *b = batch_of(port->open);
    if (port->combiner) return batch_cost_bytes(b) >= COMBINER_SEAL_BYTES;
    return batch_cost_bytes(b) >= BATCH_SEAL_BYTES ||
           b->count >= BATCH_SEAL_TUPLES;
}

void emitter_keep(struct emitter *e)
{
    for (struct port *port = e->touched; port; port = port->next_touched) {
        if (port->open == NULL) continue; /* refused before its first byte */
        if (is_full(port)) port_send(e, port);
    }
    if (e->root == ROOT_LIST) roots_keep(e->roots);
    e->emitted_kept = e->emitted;
    e->touched = NULL;
    e->edges = 0;
    e->failed = false; /* what was refused, the caller has done without */
    e->refusal = NULL;
    e->call++;
}

void emitter_undo(struct emitter *e)
{
    for (struct port *port = e->touched; port; port = port->next_touched) {
        if (port->open == NULL) continue; /* refused before its first byte */
        struct batch *b = batch_of(port->open);
        if (port->combiner) combiner_undo(port->combiner, e, port);
        b->used = port->mark_used;
        b->count = port->mark_count;
        b->anchors = port->mark_anchors;
        if (b->anchors)
            batch_anchor(b, b->anchors - 1)->tuples = port->mark_tuples;
    }
    if (e->root == ROOT_LIST) roots_undo(e->roots);
    e->emitted = e->emitted_kept;
    e->touched = NULL;
    e->edges = 0;
    e->failed = false;
    e->refusal = NULL;
    e->call++;
}

/* With `combined` those ports as well. */
static void flush(struct emitter *e, bool combined)
{
    struct port *left = NULL;
    while (e->open_ports) {
        struct port *port = e->open_ports;
        e->open_ports = port->next_open;
        if (port->combiner && port->open && !combined) {
            port->next_open = left;
            left = port;
            continue;
        }
        port->listed = false;
        if (port->open == NULL) continue;
        if (batch_of(port->open)->count > 0) {
            port_send(e, port);
        } else {
            msg_free(e->env, port->open);
            port->open = NULL;
        }
    }
    e->open_ports = left;
}

void emitter_flush(struct emitter *e)
{
    flush(e, true);
}

bool emitter_flush_plain(struct emitter *e)
{
    flush(e, false);
    return e->open_ports != NULL;
}

/* The only mark that who is told of it first waits for. */
static bool comes_round(const struct emitter *e, enum batch_marker marker,
                        uint64_t number)
{
    return e->barriers_come_round && marker == BATCH_MARK &&
           mark_is_barrier(number);
}

err emitter_mark(struct emitter *e, enum batch_marker marker, uint64_t number)
{
    if (have_markers(e) != OK) return ERR_NOMEM;
    emitter_flush(e);
    for (unsigned i = 0; i < e->stream_count; i++)
        for (unsigned k = 0; k < e->streams[i].route_count; k++) {
            struct route *route = &e->streams[i].routes[k];
            for (uint32_t p = 0; p < route->port_count; p++) {
                struct port *port = &route->ports[p];
                if (port->back && !comes_round(e, marker, number)) continue;
                struct batch *b = batch_of(port->marker);
                b->task = e->task;
                b->epoch = e->epoch;
                b->marker = marker;
                b->number = number;
                edge_send(e->env, port->edge, port->marker, 0);
                port->marker = NULL;
            }
        }
    have_markers(e); /* the next call asks again */
    return OK;
}

void emitter_drop(struct emitter *e, void (*lost)(void *context, uint64_t root),
                  void *context)
{
    while (e->open_ports) {
        struct port *port = e->open_ports;
        e->open_ports = port->next_open;
        port->listed = false;
        if (port->open == NULL) continue;
        struct batch *b = batch_of(port->open);
        for (uint32_t i = 0; i < b->anchors; i++)
            if (batch_anchor(b, i)->root)
                lost(context, batch_anchor(b, i)->root);
        msg_free(e->env, port->open);
        port->open = NULL;
    }
}
