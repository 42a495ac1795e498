/* net_spec.c - byte streams: the same of both worlds, and what goes wrong in
 * the simulated one. Somebody sends a text and checks that it comes back. */
#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include "core/alloc.h"
#include "core/atomic.h"
#include "core/door.h"
#include "core/net.h"
#include "core/random.h"
#include "core/real.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MS = 1000000, PATIENCE_MS = 20000, MUCH_BYTES = 1 << 20 };

/* ---- who sends back what comes ---- */

struct echo {
    const struct net *net;
    struct net_listener *listener;
    struct net_stream *stream; /* of the one that came last; NULL: closed */
    unsigned came, ends;
    uint64_t bytes;
    bool leaving;
    unsigned idle_ms;
    err why; /* it ended */
};

static void echo_leave(struct echo *echo)
{
    echo->leaving = true;
    if (echo->net->unsent(echo->stream) > 0) return;
    echo->net->close(echo->stream);
    echo->stream = NULL;
}

static size_t echo_came(struct env *env, void *holder, const char *bytes,
                        size_t count)
{
    struct echo *echo = holder;
    CHECK(env != NULL && count <= NET_UNUSED_BYTES);
    CHECK_EQ(echo->net->write(echo->stream, bytes, count), OK);
    echo->bytes += count;
    if (echo->net->unsent(echo->stream) > 0)
        echo->net->read(echo->stream, false);
    return count;
}

static void echo_sent(struct env *env, void *holder)
{
    struct echo *echo = holder;
    CHECK_EQ(echo->net->unsent(echo->stream), 0);
    if (echo->leaving)
        echo_leave(echo);
    else
        echo->net->read(echo->stream, true);
}

static void echo_ended(struct env *env, void *holder, err why)
{
    struct echo *echo = holder;
    echo->ends++;
    echo->why = why;
    if (why == ERR_DONE) {
        echo_leave(echo);
        return;
    }
    echo->net->close(echo->stream);
    echo->stream = NULL;
}

static void echo_accept(struct env *env, void *holder,
                        struct net_stream *stream)
{
    static const struct net_handler handler = {echo_came, echo_sent,
                                               echo_ended};
    struct echo *echo = holder;
    echo->came++;
    echo->stream = stream;
    echo->leaving = false;
    echo->net->hold(stream, &handler, echo, echo->idle_ms);
}

static void echo_begin(struct echo *echo, const struct net *net,
                       const char *address)
{
    echo->net = net;
    CHECK_EQ(
        net->listen(net->context, address, echo_accept, echo, &echo->listener),
        OK);
}

static void echo_end(struct echo *echo)
{
    if (echo->stream) echo->net->close(echo->stream);
    echo->net->unlisten(echo->listener);
}

/* ---- who sends and checks ---- */

struct caller {
    const struct net *net;
    struct net_stream *stream; /* NULL: closed */
    uint64_t to_send, sent, heard;
    atomic_uint ended; /* 1 + why; 0: not yet */
    bool stays;        /* when all has come back */
};

static char byte_at(uint64_t place)
{
    return (char)(place * 31 + (place >> 8) * 7);
}

static void caller_say(struct caller *c)
{
    char text[4096];
    while (c->sent < c->to_send && c->net->unsent(c->stream) == 0) {
        size_t count = sizeof text;
        if (count > c->to_send - c->sent)
            count = (size_t)(c->to_send - c->sent);
        for (size_t i = 0; i < count; i++)
            text[i] = byte_at(c->sent + i);
        CHECK_EQ(c->net->write(c->stream, text, count), OK);
        c->sent += count;
    }
}

static void caller_close(struct caller *c, err why)
{
    c->net->close(c->stream);
    c->stream = NULL;
    at_store(&c->ended, 1 + (unsigned)why, RELEASE);
}

static size_t caller_came(struct env *env, void *holder, const char *bytes,
                          size_t count)
{
    struct caller *c = holder;
    size_t used = count > 3 ? count - 3 : count; /* the rest comes again */
    for (size_t i = 0; i < used; i++)
        CHECK_EQ(bytes[i], byte_at(c->heard + i));
    c->heard += used;
    if (count > used && c->heard + 3 == c->to_send) {
        for (size_t i = used; i < count; i++)
            CHECK_EQ(bytes[i], byte_at(c->heard++));
        used = count;
    }
    caller_say(c);
    if (c->heard == c->to_send && !c->stays) caller_close(c, OK);
    return used;
}

static void caller_sent(struct env *env, void *holder)
{
    caller_say(holder);
}

static void caller_ended(struct env *env, void *holder, err why)
{
    caller_close(holder, why);
}

static void call(struct caller *c, const struct net *net, const char *address,
                 uint64_t bytes, unsigned idle_ms)
{
    static const struct net_handler handler = {caller_came, caller_sent,
                                               caller_ended};
    c->net = net;
    c->to_send = bytes;
    CHECK_EQ(
        net->connect(net->context, address, &handler, c, idle_ms, &c->stream),
        OK);
    caller_say(c);
}

/* 1 + why; 0: it has not ended. */
static unsigned ended(struct caller *c)
{
    return at_load(&c->ended, ACQUIRE);
}

/* ---- both worlds ---- */

struct house {
    struct real *real;
    const struct net *net;
    struct echo echo;
    char address[80];
};

static void house_open(struct house *h, unsigned idle_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char at[32];
    *h = (struct house){.real = real_new(1, 1, NULL, NULL)};
    CHECK(h->real != NULL);
    h->net = node_world(real_node(h->real))->net;
    int n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1,
                     "engine-net-%d", (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(bind(fd, (struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                           (size_t)n)) == 0);
    CHECK(listen(fd, 64) == 0);
    snprintf(at, sizeof at, "fd:%d", fd);
    snprintf(h->address, sizeof h->address, "unix:@%.60s",
             address.sun_path + 1);
    h->echo.idle_ms = idle_ms;
    echo_begin(&h->echo, h->net, at);
}

static void house_close(struct house *h)
{
    real_stop(h->real);
    echo_end(&h->echo);
    real_free(h->real);
}

static void wait_for(struct caller *c)
{
    for (int ms = 0; ended(c) == 0; ms++) {
        CHECK(ms < PATIENCE_MS);
        poll(NULL, 0, 1);
    }
}

SPEC(net, of_the_machine_carries_bytes_in_order)
{
    struct house h;
    struct caller c = {0};
    house_open(&h, 0);
    call(&c, h.net, h.address, MUCH_BYTES, 0);
    CHECK_EQ(real_start(h.real), OK);
    wait_for(&c);
    CHECK_EQ(ended(&c), 1 + (unsigned)OK);
    CHECK_EQ(c.heard, MUCH_BYTES);
    house_close(&h);
}

SPEC(net, of_the_machine_says_why_a_stream_ended)
{
    struct house h;
    struct caller nobody = {0}, nowhere = {0}, idle = {.stays = true};
    house_open(&h, 20);
    call(&nobody, h.net, "unix:@engine-net-nobody", 10, 0);
    call(&nowhere, h.net, "carrier pigeon", 10, 0);
    call(&idle, h.net, h.address, 10, 0);
    CHECK_EQ(real_start(h.real), OK);
    wait_for(&nobody);
    wait_for(&nowhere);
    wait_for(&idle);
    CHECK_EQ(ended(&nobody), 1 + (unsigned)ERR_NOTFOUND);
    CHECK_EQ(ended(&nowhere), 1 + (unsigned)ERR_NOTFOUND);
    CHECK_EQ(ended(&idle), 1 + (unsigned)ERR_DONE); /* the echo lost patience */
    CHECK_EQ(idle.heard, 10);
    house_close(&h);
    CHECK_EQ(h.echo.why, ERR_TIMEOUT);
}

/* ---- the simulated one ---- */

struct land {
    struct sim *sim;
    struct sim_node *here, *there;
    struct echo echo;
    struct caller caller;
};

static void land_new(struct land *l, uint64_t seed,
                     const struct sim_net_faults *faults)
{
    *l = (struct land){.sim = sim_new(seed)};
    if (faults) sim_net_set_faults(sim_net(l->sim), faults);
    l->here = sim_node(l->sim, 1);
    l->there = sim_node(l->sim, 2);
    echo_begin(&l->echo, node_world(sim_engine(l->there))->net, "2:echo");
}

static void land_call(struct land *l, uint64_t bytes, unsigned idle_ms)
{
    call(&l->caller, node_world(sim_engine(l->here))->net, "2:echo", bytes,
         idle_ms);
}

static void land_free(struct land *l)
{
    if (l->caller.stream) l->caller.net->close(l->caller.stream);
    echo_end(&l->echo);
    sim_free(l->sim);
}

static const struct sim_net_faults slow = {.slow = 200, .slow_ns = 30 * MS};

SPEC(net, carries_bytes_in_order)
{
    FOR_SEEDS(200)
    {
        struct land l;
        land_new(&l, spec_seed, &slow);
        land_call(&l, 1 + spec_seed * 1777, 0);
        sim_run(l.sim);
        CHECK_EQ(ended(&l.caller), 1 + (unsigned)OK);
        CHECK_EQ(l.caller.heard, 1 + spec_seed * 1777);
        CHECK_EQ(l.echo.bytes, l.caller.heard);
        CHECK_EQ(l.echo.why, ERR_DONE);
        land_free(&l);
    }
}

static uint64_t land_hash(uint64_t seed, uint64_t bytes)
{
    struct land l;
    land_new(&l, seed, &slow);
    land_call(&l, bytes, 0);
    sim_run(l.sim);
    uint64_t hash = sim_hash(l.sim);
    land_free(&l);
    return hash;
}

SPEC(net, replays_a_seed)
{
    FOR_SEEDS(40)
    {
        uint64_t hash = land_hash(spec_seed, 5000);
        CHECK(land_hash(spec_seed, 5000) == hash);
        CHECK(land_hash(spec_seed, 5001) != hash);
        CHECK(land_hash(spec_seed + 1000, 5000) != hash);
    }
}

SPEC(net, says_that_nobody_listens)
{
    struct sim_net_faults refuses = {.refuses = SIM_FAULTS_ALL};
    struct land l;
    land_new(&l, 1, NULL);
    call(&l.caller, node_world(sim_engine(l.here))->net, "2:other", 5, 0);
    sim_run(l.sim);
    CHECK_EQ(ended(&l.caller), 1 + (unsigned)ERR_NOTFOUND);
    sim_net_set_faults(sim_net(l.sim), &refuses);
    l.caller = (struct caller){0};
    land_call(&l, 5, 0);
    sim_run(l.sim);
    CHECK_EQ(ended(&l.caller), 1 + (unsigned)ERR_NOTFOUND);
    CHECK_EQ(l.echo.came, 0);
    land_free(&l);
}

/* What came is always a beginning of what was sent (see caller_came()), and
 * both sides hear of the end. */
SPEC(net, breaks_for_both_sides)
{
    unsigned broken = 0;
    FOR_SEEDS(200)
    {
        struct sim_net_faults breaks = {
            .breaks = 30, .slow = 100, .slow_ns = MS};
        struct land l;
        land_new(&l, spec_seed, &breaks);
        land_call(&l, 200000, 0);
        sim_run(l.sim);
        CHECK(ended(&l.caller) != 0 && l.echo.stream == NULL);
        CHECK_EQ(l.echo.ends, 1);
        bool whole = ended(&l.caller) == 1 + (unsigned)OK;
        CHECK_EQ(l.caller.heard == 200000, whole);
        if (!whole) CHECK_EQ(ended(&l.caller), 1 + (unsigned)ERR_IO);
        broken += !whole;
        land_free(&l);
    }
    CHECK_SEEN(broken);
}

SPEC(net, waits_while_its_nodes_are_cut_off)
{
    FOR_SEEDS(50)
    {
        struct land l;
        land_new(&l, spec_seed, NULL);
        land_call(&l, 100000, 0);
        for (uint64_t i = 0; i < spec_seed; i++)
            sim_step(l.sim, INT64_MAX);
        sim_net_cut(sim_net(l.sim), 1, 2, true);
        bool over = ended(&l.caller) != 0;
        uint64_t there = l.echo.bytes, back = l.caller.heard;
        sim_advance(l.sim, INT64_C(3600) * 1000 * MS);
        CHECK(l.echo.bytes == there && l.caller.heard == back);
        CHECK_EQ(ended(&l.caller) != 0, over);
        sim_net_cut(sim_net(l.sim), 2, 1, false);
        sim_run(l.sim);
        CHECK_EQ(ended(&l.caller), 1 + (unsigned)OK);
        land_free(&l);
    }
}

SPEC(net, loses_patience_with_who_is_cut_off)
{
    struct land l;
    land_new(&l, 1, NULL);
    sim_net_cut(sim_net(l.sim), 1, 2, true);
    int64_t began_ns = sim_now(l.sim);
    land_call(&l, 10, 500);
    sim_run(l.sim);
    CHECK_EQ(ended(&l.caller), 1 + (unsigned)ERR_TIMEOUT);
    CHECK_EQ(sim_now(l.sim) - began_ns, 500 * MS);
    land_free(&l);
}

SPEC(net, ends_the_streams_of_a_killed_node)
{
    FOR_SEEDS(100)
    {
        struct land l;
        land_new(&l, spec_seed, &slow);
        l.caller.stays = true;
        land_call(&l, 50000, 0);
        for (uint64_t i = 0; i < spec_seed; i++)
            sim_step(l.sim, INT64_MAX);
        bool connected = l.echo.came > 0;
        CHECK_EQ(sim_kill_node(l.there), OK);
        sim_run(l.sim);
        err why = (err)(ended(&l.caller) - 1);
        CHECK_EQ(why == ERR_NOTFOUND, !connected);
        if (connected) CHECK(why == ERR_DONE || why == ERR_IO);
        land_free(&l);
    }
}

/* A machine without power says nothing. */
SPEC(net, hears_of_a_power_cut_when_it_writes)
{
    struct land l;
    land_new(&l, 3, NULL);
    l.caller.stays = true;
    land_call(&l, 10, 0);
    sim_run(l.sim);
    CHECK_EQ(l.caller.heard, 10);
    CHECK_EQ(sim_power_cut(l.there), OK);
    sim_run(l.sim);
    CHECK_EQ(ended(&l.caller), 0);
    CHECK_EQ(l.caller.net->write(l.caller.stream, "x", 1), OK);
    sim_run(l.sim);
    CHECK_EQ(ended(&l.caller), 1 + (unsigned)ERR_IO);
    land_free(&l);
}

/* ---- the door, behind such a network ---- */

/* Answers a line with its number. */
static err number_lines(struct env *env, void *context, const char *line,
                        size_t bytes, struct buffer *answer)
{
    unsigned *lines = context;
    char text[64];
    int n = snprintf(text, sizeof text, "%u %.40s", (*lines)++, line);
    return buffer_append(answer, text, (size_t)n);
}

struct guest {
    const struct net *net;
    struct net_stream *stream;
    struct buffer heard;
    unsigned lines;
    err why;
};

static size_t guest_came(struct env *env, void *holder, const char *bytes,
                         size_t count)
{
    struct guest *g = holder;
    CHECK_EQ(buffer_append(&g->heard, bytes, count), OK);
    for (size_t i = 0; i < count; i++)
        g->lines += bytes[i] == '\n';
    return count;
}

static void guest_sent(struct env *env, void *holder)
{
}

static void guest_ended(struct env *env, void *holder, err why)
{
    struct guest *g = holder;
    g->why = why;
    g->net->close(g->stream);
    g->stream = NULL;
}

/* Through breaks and delays every guest gets a beginning of the answers to its
 * lines, in order; without breaks, all of them. */
SPEC(door, answers_in_order_whatever_the_network_does)
{
    static const struct net_handler handler = {guest_came, guest_sent,
                                               guest_ended};
    enum { LINES = 20 };
    unsigned cut_short = 0;
    FOR_SEEDS(200)
    {
        struct sim_net_faults faults = {
            .breaks = spec_seed % 2 ? 40 : 0, .slow = 100, .slow_ns = 30 * MS};
        struct sim *sim = sim_new(spec_seed);
        sim_net_set_faults(sim_net(sim), &faults);
        struct guest g = {.net = node_world(sim_engine(sim_node(sim, 1)))->net};
        const struct net *net = node_world(sim_engine(sim_node(sim, 2)))->net;
        unsigned lines = 0;
        struct door *door = NULL;
        struct door_config config = {.address = "2:door",
                                     .answer = number_lines,
                                     .context = &lines,
                                     .too_many = "too many",
                                     .too_long = "too long"};
        CHECK_EQ(door_open(net, &config, &door), OK);
        CHECK_EQ(g.net->connect(g.net->context, "2:door", &handler, &g, 0,
                                &g.stream),
                 OK);
        struct buffer wanted = {0};
        for (unsigned i = 0; i < LINES; i++) {
            char text[64];
            int n = snprintf(text, sizeof text, "line %u\n", i);
            CHECK_EQ(g.net->write(g.stream, text, (size_t)n), OK);
            n = snprintf(text, sizeof text, "%u line %u\n", i, i);
            CHECK_EQ(buffer_append(&wanted, text, (size_t)n), OK);
        }
        sim_run(sim);
        CHECK(g.heard.used <= wanted.used);
        CHECK(g.heard.used == 0 ||
              memcmp(g.heard.data, wanted.data, g.heard.used) == 0);
        if (spec_seed % 2 == 0) {
            CHECK_EQ(g.lines, LINES);
            CHECK_EQ(g.why, ERR_DONE); /* it said nothing more for 30 s */
        }
        cut_short += g.heard.used < wanted.used;
        door_close(door);
        if (g.stream) g.net->close(g.stream);
        sim_free(sim);
        buffer_fini(&wanted);
        buffer_fini(&g.heard);
    }
    CHECK_SEEN(cut_short);
}
