#include "core/sim_net.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/hash.h"
#include "core/random.h"
#include <stdlib.h>
#include <string.h>

enum {
    NODES_MAX = SIM_NODES_MAX,
    FAULTS_ALL = 1000,
    WAY_NS = 200000,         /* at most, of a piece that isn't slow */
    SYSTEM_BYTES = 16 << 10, /* of what was written count as sent */
};
#define NEVER INT64_MAX

/* OVER: nothing more comes or goes. */
enum state { CONNECTING, OPEN, BREAKS, OVER };

/* One end of a connection. What it has written is on its way to its peer. */
struct net_stream {
    struct net_stream *next, **at; /* in the network's list */
    struct sim_net *net;
    struct env *env;
    struct net_stream *peer;           /* NULL: none yet, or it was freed */
    const struct net_handler *handler; /* NULL: nobody hears of it */
    void *holder;
    enum state state;
    err why;             /* BREAKS: what its holder will be told */
    uint16_t node, to;   /* numbers */
    uint64_t number;     /* in the order of their making */
    char *address;       /* CONNECTING: owned */
    bool reading, owned; /* its holder owes a close() */
    bool says_end;       /* behind `out` */
    struct buffer in;    /* come, unused */
    size_t shown;        /* of it, to a came() that has not returned */
    struct buffer out;   /* written, on its way */
    int64_t next_ns;     /* when it connects, a piece or the end comes */
    int64_t idle_ns, heard_ns, went_ns; /* 0: for ever; the last time */
};

struct net_listener {
    struct net_listener *next, **at;
    struct sim_net *net;
    char *address; /* owned */
    struct env *env;
    net_accept *accept; /* NULL: its node is gone */
    void *holder;
};

struct sim_port {
    struct sim_port *next;
    struct net calls;
    struct sim_net *net;
    struct env *env;
    uint16_t number;
};

struct sim_net {
    struct rng rng;
    const int64_t *now_ns;
    struct sim_net_faults faults;
    struct net_stream *streams; /* owned; the youngest first */
    struct net_listener *listeners;
    struct sim_port *ports; /* owned: calls are made to the end */
    bool there[NODES_MAX];  /* nodes whose system runs */
    bool cut[NODES_MAX][NODES_MAX];
    uint64_t made, hash;
};

static void note(struct net_stream *s, char what, uint64_t n)
{
    uint64_t *hash = &s->net->hash;
    *hash = hash_word(*hash, (uint64_t)*s->net->now_ns);
    *hash = hash_word(*hash, (uint64_t)what << 32 | s->number);
    *hash = hash_word(*hash, n);
}

static bool happens(struct sim_net *net, unsigned of_all)
{
    return rng_below(&net->rng, FAULTS_ALL) < of_all;
}

/* When what leaves now is there. */
static int64_t arrival_ns(struct sim_net *net)
{
    /* Mostly short, sometimes long: exponents are uniform, not times. */
    uint64_t most = (uint64_t)WAY_NS >> rng_below(&net->rng, 10);
    if (happens(net, net->faults.slow) && net->faults.slow_ns > 0)
        most = (uint64_t)net->faults.slow_ns;
    return *net->now_ns + 1 + (int64_t)rng_below(&net->rng, most);
}

/* ---- streams ---- */

static struct net_stream *stream_new(struct sim_net *net, uint16_t node,
                                     uint16_t to, struct env *env)
{
    struct net_stream *s = mem_zero(1, sizeof *s);
    if (s == NULL) return NULL;
    s->net = net;
    s->env = env;
    s->node = node;
    s->to = to;
    s->number = ++net->made;
    s->owned = true;
    s->next_ns = NEVER;
    s->next = net->streams;
    s->at = &net->streams;
    if (s->next) s->next->at = &s->next;
    net->streams = s;
    return s;
}

static void stream_free(struct net_stream *s)
{
    *s->at = s->next;
    if (s->next) s->next->at = s->at;
    if (s->peer) s->peer->peer = NULL;
    buffer_fini(&s->in);
    buffer_fini(&s->out);
    mem_free(s->address);
    mem_free(s);
}

/* Between two events, when no callback runs that might still use one. */
static void free_dead(struct sim_net *net)
{
    for (struct net_stream *s = net->streams, *next; s; s = next) {
        next = s->next;
        if (s->state == OVER && !s->owned) stream_free(s);
    }
}

static void over(struct net_stream *s)
{
    s->state = OVER;
    s->next_ns = NEVER;
    s->in.used = s->out.used = 0;
}

static void end(struct net_stream *s, err why)
{
    note(s, 'e', (uint64_t)why);
    over(s);
    if (s->handler) s->handler->ended(s->env, s->holder, why);
}

static void break_later(struct net_stream *s, err why)
{
    s->state = BREAKS;
    s->why = why;
    s->next_ns = arrival_ns(s->net);
}

static void go_on(struct net_stream *s)
{
    if (s->state == OPEN && s->next_ns == NEVER &&
        (s->out.used > 0 || s->says_end))
        s->next_ns = arrival_ns(s->net);
}

static size_t unsent(const struct net_stream *s)
{
    return s->out.used > SYSTEM_BYTES ? s->out.used - SYSTEM_BYTES : 0;
}

static void show(struct net_stream *s)
{
    if (s->handler == NULL || !s->reading || s->in.used == 0) return;
    s->shown = s->in.used;
    size_t used =
        s->handler->came(s->env, s->holder, (char *)s->in.data, s->in.used);
    s->shown = 0;
    if (s->handler == NULL || s->state == OVER) return; /* it closed */
    s->in.used -= used;
    memmove(s->in.data, s->in.data + used, s->in.used);
}

/* ---- what a node calls ---- */

static void hold(struct net_stream *s, const struct net_handler *handler,
                 void *holder, unsigned idle_ms)
{
    s->handler = handler;
    s->holder = holder;
    s->idle_ns = (int64_t)idle_ms * 1000000;
    s->heard_ns = s->went_ns = *s->net->now_ns;
    s->reading = true;
}

static err open_stream(void *context, const char *address,
                       const struct net_handler *handler, void *holder,
                       unsigned idle_ms, struct net_stream **out)
{
    struct sim_port *port = context;
    uint16_t to = (uint16_t)strtoul(address, NULL, 10);
    struct net_stream *s =
        stream_new(port->net, port->number, to % NODES_MAX, port->env);
    if (s) s->address = mem_text(address, strlen(address));
    if (s == NULL || s->address == NULL) {
        if (s) stream_free(s);
        return ERR_NOMEM;
    }
    note(s, 'c', s->to);
    hold(s, handler, holder, idle_ms);
    s->next_ns = arrival_ns(s->net);
    *out = s;
    return OK;
}

static err put(struct net_stream *s, const void *bytes, size_t count)
{
    note(s, 'w', hash_bytes(HASH_START, bytes, count));
    if (s->state == BREAKS || s->state == OVER) return OK;
    if (s->out.used == 0) s->went_ns = *s->net->now_ns;
    if (buffer_append(&s->out, bytes, count) != OK) return ERR_NOMEM;
    go_on(s);
    return OK;
}

static void set_read(struct net_stream *s, bool on)
{
    note(s, on ? 'r' : 'n', 0);
    s->reading = on;
    if (!on) return;
    s->heard_ns = *s->net->now_ns;
    show(s);
    if (s->peer) go_on(s->peer);
}

/* As a system does it for a process: it sends what it has taken, and the end.
 * Who leaves with something unread may break the connection instead. */
static void system_close(struct net_stream *s)
{
    s->handler = NULL;
    if (s->state == BREAKS || s->state == CONNECTING) over(s);
    if (s->state == OVER) return;
    bool unread = s->in.used > s->shown;
    s->in.used = 0;
    if (unread && happens(s->net, FAULTS_ALL / 2)) {
        if (s->peer && s->peer->state == OPEN) break_later(s->peer, ERR_IO);
        over(s);
        return;
    }
    s->out.used -= unsent(s);
    s->says_end = true;
    go_on(s);
}

static void shut(struct net_stream *s)
{
    note(s, 'x', 0);
    s->owned = false;
    system_close(s);
}

static err listen_at(void *context, const char *address, net_accept *accept,
                     void *holder, struct net_listener **out)
{
    struct sim_port *port = context;
    if (strtoul(address, NULL, 10) != port->number) return ERR_NOTFOUND;
    struct net_listener *l = mem_zero(1, sizeof *l);
    if (l) l->address = mem_text(address, strlen(address));
    if (l == NULL || l->address == NULL) {
        mem_free(l);
        return ERR_NOMEM;
    }
    l->net = port->net;
    l->env = port->env;
    l->accept = accept;
    l->holder = holder;
    l->next = l->net->listeners;
    l->at = &l->net->listeners;
    if (l->next) l->next->at = &l->next;
    l->net->listeners = l;
    *out = l;
    return OK;
}

static void unlisten(struct net_listener *l)
{
    *l->at = l->next;
    if (l->next) l->next->at = l->at;
    mem_free(l->address);
    mem_free(l);
}

/* ---- what happens ---- */

static void connect_now(struct net_stream *s)
{
    struct net_listener *l = s->net->listeners;
    while (l && (l->accept == NULL || strcmp(l->address, s->address) != 0))
        l = l->next;
    if (l == NULL || happens(s->net, s->net->faults.refuses)) {
        end(s, ERR_NOTFOUND);
        return;
    }
    struct net_stream *peer = stream_new(s->net, s->to, s->node, l->env);
    if (peer == NULL) {
        end(s, ERR_NOMEM);
        return;
    }
    note(s, 'o', peer->number);
    s->state = peer->state = OPEN;
    s->peer = peer;
    peer->peer = s;
    go_on(s);
    l->accept(l->env, l->holder, peer);
}

/* Some of what s has written, or its end. */
static void come(struct net_stream *s)
{
    struct net_stream *peer = s->peer;
    if (peer == NULL || peer->state == OVER || peer->says_end) {
        end(s, ERR_IO); /* nobody is there any more */
        return;
    }
    if (!peer->reading || peer->in.used >= NET_UNUSED_BYTES) return;
    if (happens(s->net, s->net->faults.breaks)) {
        break_later(peer, ERR_IO);
        end(s, ERR_IO);
        return;
    }
    peer->heard_ns = s->went_ns = *s->net->now_ns;
    if (s->out.used == 0) {
        note(s, 'd', 0);
        s->state = OVER;
        if (peer->handler)
            peer->handler->ended(peer->env, peer->holder, ERR_DONE);
        return;
    }
    size_t most = s->out.used, room = NET_UNUSED_BYTES - peer->in.used;
    if (rng_below(&s->net->rng, 2)) most = 1 + rng_below(&s->net->rng, most);
    if (most > room) most = room;
    note(s, 'b', most);
    if (buffer_append(&peer->in, s->out.data, most) != OK) {
        end(peer, ERR_NOMEM);
        end(s, ERR_IO);
        return;
    }
    bool waited = unsent(s) > 0;
    s->out.used -= most;
    memmove(s->out.data, s->out.data + most, s->out.used);
    go_on(s);
    show(peer);
    if (waited && unsent(s) == 0 && s->handler)
        s->handler->sent(s->env, s->holder);
}

static int64_t idle_at_ns(const struct net_stream *s)
{
    if (s->handler == NULL || s->idle_ns == 0 || s->state > OPEN) return NEVER;
    int64_t since_ns = NEVER;
    if (s->reading) since_ns = s->heard_ns;
    if (s->out.used > 0 && s->went_ns < since_ns) since_ns = s->went_ns;
    return since_ns == NEVER ? NEVER : since_ns + s->idle_ns;
}

/* Across a cut, or to a node that isn't back, nothing goes. */
static int64_t goes_at_ns(const struct net_stream *s)
{
    const struct sim_net *net = s->net;
    if (s->state == BREAKS) return s->next_ns;
    if (net->cut[s->node][s->to] || !net->there[s->to]) return NEVER;
    return s->next_ns;
}

/* Its holder closes it now, which the other side hears. */
static void time_out(struct net_stream *s)
{
    note(s, 't', 0);
    s->idle_ns = 0;
    s->reading = false;
    s->handler->ended(s->env, s->holder, ERR_TIMEOUT);
}

static void run(struct net_stream *s)
{
    s->next_ns = NEVER;
    switch (s->state) {
    case CONNECTING: connect_now(s); break;
    case OPEN: come(s); break;
    case BREAKS: end(s, s->why); break;
    case OVER: break;
    }
}

int64_t sim_net_next_ns(const struct sim_net *net)
{
    int64_t next_ns = NEVER;
    for (const struct net_stream *s = net->streams; s; s = s->next) {
        int64_t goes_ns = goes_at_ns(s), idle_ns = idle_at_ns(s);
        if (goes_ns < next_ns) next_ns = goes_ns;
        if (idle_ns < next_ns) next_ns = idle_ns;
    }
    return next_ns;
}

unsigned sim_net_due(const struct sim_net *net)
{
    unsigned due = 0;
    for (const struct net_stream *s = net->streams; s; s = s->next)
        due +=
            (goes_at_ns(s) <= *net->now_ns) + (idle_at_ns(s) <= *net->now_ns);
    return due;
}

void sim_net_run(struct sim_net *net, unsigned n)
{
    for (struct net_stream *s = net->streams; s; s = s->next) {
        if (goes_at_ns(s) <= *net->now_ns && n-- == 0) {
            run(s);
            break;
        }
        if (idle_at_ns(s) <= *net->now_ns && n-- == 0) {
            time_out(s);
            break;
        }
    }
    free_dead(net);
}

uint64_t sim_net_hash(const struct sim_net *net)
{
    return net->hash;
}

/* ---- the network and its ports ---- */

struct sim_net *sim_net_new(uint64_t seed, const int64_t *now_ns)
{
    struct sim_net *net = mem_zero(1, sizeof *net);
    if (net == NULL) return NULL;
    net->rng.state = seed;
    net->now_ns = now_ns;
    net->hash = HASH_START;
    return net;
}

void sim_net_free(struct sim_net *net)
{
    if (net == NULL) return;
    while (net->streams)
        stream_free(net->streams);
    while (net->ports) {
        struct sim_port *port = net->ports;
        net->ports = port->next;
        mem_free(port);
    }
    mem_free(net);
}

void sim_net_set_faults(struct sim_net *net,
                        const struct sim_net_faults *faults)
{
    net->faults = *faults;
}

void sim_net_cut(struct sim_net *net, uint16_t a, uint16_t b, bool cut)
{
    net->cut[a][b] = net->cut[b][a] = cut;
}

struct sim_port *sim_port_new(struct sim_net *net, uint16_t number,
                              struct env *env)
{
    struct sim_port *port = mem_zero(1, sizeof *port);
    if (port == NULL) return NULL;
    port->calls = (struct net){
        .listen = listen_at,
        .unlisten = unlisten,
        .connect = open_stream,
        .hold = hold,
        .write = put,
        .unsent = unsent,
        .read = set_read,
        .close = shut,
        .context = port,
    };
    port->net = net;
    port->env = env;
    port->number = number;
    port->next = net->ports;
    net->ports = port;
    net->there[number] = true;
    return port;
}

const struct net *sim_port_calls(const struct sim_port *port)
{
    return &port->calls;
}

void sim_port_end(struct sim_port *port, bool silent)
{
    struct sim_net *net = port->net;
    net->there[port->number] = false;
    for (struct net_listener *l = net->listeners; l; l = l->next)
        if (l->env == port->env) {
            l->accept = NULL;
            l->env = NULL;
        }
    for (struct net_stream *s = net->streams; s; s = s->next) {
        if (s->env != port->env) continue;
        s->handler = NULL;
        s->env = NULL;
        if (silent)
            over(s);
        else
            system_close(s);
    }
}
