/* actors.c - Savina's shapes on the engine's actors, real threads, budget,
 * credit and metrics on.
 *   bench-actors ping-pong|counting|ring|fan-in|big|spawn|wake N [THREADS]
 * prints `shape messages cpu_ns wall_ns check`: nanoseconds of CPU and wall
 * time for a message (an actor for spawn, a wake-up for wake), and whether the
 * answer was right.
 * Source: Imam and Sarkar, Savina (2014). */
#define _GNU_SOURCE
#include "core/actor.h"
#include "core/alloc.h"
#include "core/edge.h"
#include "core/metric.h"
#include "core/real.h"
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { START = KIND_OWN, PING, PONG, DONE_KIND };
enum { RING = 100, PRODUCERS = 50, BIG = 64 };

struct bench {
    uint64_t n;
    sem_t done;
    uint64_t sum, messages; /* still to come */
    uint64_t expected;
    _Atomic uint64_t left;
    metric_id received;
    struct edge edges[PRODUCERS];
};

struct payload {
    uint64_t value;
    uint64_t padding[2]; /* 24 bytes, as the peers send */
};

static struct metric_cells *cells(struct env *env)
{
    return metrics_cells(node_metrics(env_node(env)), env_thread(env));
}

static uint64_t value_of(const struct msg *m)
{
    return ((struct payload *)msg_body(m))->value;
}

static err send_value(struct env *env, actor_id to, uint16_t kind,
                      uint64_t value)
{
    struct payload p = {.value = value};
    return actor_send(env, to, kind, &p, sizeof p);
}

/* ---- ping-pong and ring: pass a number on until it is 0 ---- */

struct hop_args {
    struct bench *bench;
};
struct hop {
    struct bench *bench;
    struct metric_cells *cells;
    actor_id next;
    uint64_t sum;
};

static err hop_init(struct env *env, void *self, const void *args)
{
    struct hop *hop = self;
    hop->bench = ((const struct hop_args *)args)->bench;
    return OK;
}

static err hop_receive(struct env *env, void *self, const struct msg *m)
{
    struct hop *hop = self;
    if (m->kind == START) {
        hop->next = value_of(m);
        return OK;
    }
    uint64_t left = value_of(m);
    metric_add(cells(env), hop->bench->received, 1);
    if (left > 0) return send_value(env, hop->next, PING, left - 1);
    sem_post(&hop->bench->done);
    return OK;
}

static const struct actor_kind hop_kind = {
    .name = "hop",
    .state_bytes = sizeof(struct hop),
    .init = hop_init,
    .receive = hop_receive,
};

static void ring(struct env *env, struct bench *b, unsigned actors)
{
    actor_id ids[RING];
    struct hop_args args = {b};
    for (unsigned i = 0; i < actors; i++)
        actor_spawn(env, &hop_kind, &args, sizeof args, &ids[i]);
    for (unsigned i = 0; i < actors; i++)
        send_value(env, ids[i], START, ids[(i + 1) % actors]);
    b->expected = b->n;
    send_value(env, ids[0], PING, b->n - 1);
}

/* ---- counting and fan-in: producers with credit, one that sums ---- */

static err sum_init(struct env *env, void *self, const void *args)
{
    struct hop *hop = self;
    hop->bench = ((const struct hop_args *)args)->bench;
    for (int i = 0; i < PRODUCERS; i++)
        edge_attach_consumer(env, &hop->bench->edges[i]);
    return OK;
}

static err sum_receive(struct env *env, void *self, const struct msg *m)
{
    struct hop *hop = self;
    struct bench *b = hop->bench;
    hop->sum += value_of(m);
    b->sum += value_of(m);
    metric_add(cells(env), b->received, 1);
    if (--b->messages == 0) sem_post(&b->done);
    return OK;
}

static const struct actor_kind sum_kind = {
    .name = "sum",
    .state_bytes = sizeof(struct hop),
    .init = sum_init,
    .receive = sum_receive,
};

struct producer_args {
    struct bench *bench;
    struct edge *edge;
    uint64_t n;
};
struct producer {
    struct producer_args a;
};

static err producer_init(struct env *env, void *self, const void *args)
{
    struct producer *p = self;
    p->a = *(const struct producer_args *)args;
    edge_attach_producer(env, p->a.edge);
    env_again(env);
    return OK;
}

static err producer_receive(struct env *env, void *self, const struct msg *m)
{
    struct producer *p = self;
    while (p->a.n > 0 && !env_spent(env) && !p->a.edge->blocked) {
        struct msg *out = msg_new(env, PING, sizeof(struct payload));
        if (out == NULL) return ERR_NOMEM;
        struct payload *body = msg_body(out);
        body->value = p->a.n--;
        edge_send(env, p->a.edge, out, 64);
    }
    if (p->a.n > 0) env_again(env);
    return p->a.n > 0 ? OK : ERR_DONE;
}

static const struct actor_kind producer_kind = {
    .name = "producer",
    .state_bytes = sizeof(struct producer),
    .init = producer_init,
    .receive = producer_receive,
};

static void fan_in(struct env *env, struct bench *b, unsigned producers)
{
    actor_id id;
    struct hop_args sum_args = {b};
    b->messages = b->expected = b->n / producers * producers;
    for (int i = 0; i < PRODUCERS; i++)
        edge_init(&b->edges[i], EDGE_WINDOW_BYTES / 16);
    actor_spawn(env, &sum_kind, &sum_args, sizeof sum_args, &id);
    for (unsigned i = 0; i < producers; i++)
        atomic_init(&b->edges[i].consumer, id);
    for (unsigned i = 0; i < producers; i++) {
        struct producer_args args = {b, &b->edges[i], b->n / producers};
        actor_spawn(env, &producer_kind, &args, sizeof args, &id);
    }
}

/* ---- big: each pings random others and answers ---- */

struct big {
    struct bench *bench;
    actor_id others[BIG];
    uint64_t left;
    uint64_t seed;
};
struct big_start {
    actor_id ids[BIG];
    uint64_t n;
};

static err big_init(struct env *env, void *self, const void *args)
{
    struct big *big = self;
    big->bench = ((const struct hop_args *)args)->bench;
    big->seed = env_self(env);
    return OK;
}

static err big_ping(struct env *env, struct big *big)
{
    if (big->left == 0) {
        if (at_sub(&big->bench->left, 1, ACQ_REL) == 1)
            sem_post(&big->bench->done);
        return OK;
    }
    big->left--;
    big->seed = big->seed * 6364136223846793005u + 1442695040888963407u;
    return send_value(env, big->others[big->seed >> 58], PING, 1);
}

static err big_receive(struct env *env, void *self, const struct msg *m)
{
    struct big *big = self;
    if (m->kind == START) {
        const struct big_start *start = msg_body(m);
        memcpy(big->others, start->ids, sizeof big->others);
        big->left = start->n;
        return big_ping(env, big);
    }
    metric_add(cells(env), big->bench->received, 1);
    if (m->kind == PING) return send_value(env, m->from, PONG, 1);
    return big_ping(env, big);
}

static const struct actor_kind big_kind = {
    .name = "big",
    .state_bytes = sizeof(struct big),
    .init = big_init,
    .receive = big_receive,
};

static void big(struct env *env, struct bench *b)
{
    struct hop_args args = {b};
    struct big_start start = {.n = b->n / BIG / 2};
    for (int i = 0; i < BIG; i++)
        actor_spawn(env, &big_kind, &args, sizeof args, &start.ids[i]);
    atomic_init(&b->left, BIG);
    b->expected = start.n * BIG * 2;
    for (int i = 0; i < BIG; i++)
        actor_send(env, start.ids[i], START, &start, sizeof start);
}

/* ---- spawn: many actors that live on ---- */

static err idle_init(struct env *env, void *self, const void *args)
{
    struct hop *hop = self;
    hop->bench = ((const struct hop_args *)args)->bench;
    metric_add(cells(env), hop->bench->received, 1);
    if (at_sub(&hop->bench->left, 1, ACQ_REL) == 1) sem_post(&hop->bench->done);
    return OK;
}

static const struct actor_kind idle_kind = {
    .name = "idle",
    .state_bytes = sizeof(struct hop),
    .init = idle_init,
    .receive = hop_receive,
};

struct spawner {
    struct bench *bench;
    uint64_t left;
};

static err spawner_receive(struct env *env, void *self, const struct msg *m)
{
    struct spawner *s = self;
    struct hop_args args = {s->bench};
    while (s->left > 0 && !env_spent(env)) {
        actor_id id;
        err e = actor_spawn(env, &idle_kind, &args, sizeof args, &id);
        if (e != OK) return e;
        s->left--;
    }
    if (s->left > 0) env_again(env);
    return OK;
}

static err spawner_init(struct env *env, void *self, const void *args)
{
    struct spawner *s = self;
    s->bench = ((const struct hop_args *)args)->bench;
    s->left = s->bench->n;
    env_again(env);
    return OK;
}

static const struct actor_kind spawner_kind = {
    .name = "spawner",
    .state_bytes = sizeof(struct spawner),
    .init = spawner_init,
    .receive = spawner_receive,
};

/* ---- wake: the first message to an idle thread ---- */

static err wake_receive(struct env *env, void *self, const struct msg *m)
{
    struct hop *hop = self;
    metric_add(cells(env), hop->bench->received, 1);
    hop->bench->sum += (uint64_t)real_now_ns(NULL) - value_of(m);
    sem_post(&hop->bench->done);
    return OK;
}

static const struct actor_kind wake_kind = {
    .name = "wake",
    .state_bytes = sizeof(struct hop),
    .init = hop_init,
    .receive = wake_receive,
};

static double wake(struct env *env, struct bench *b)
{
    actor_id id;
    struct hop_args args = {b};
    actor_spawn(env, &wake_kind, &args, sizeof args, &id);
    for (uint64_t i = 0; i < b->n; i++) {
        struct timespec rest = {0, 1000000}; /* long enough to park */
        nanosleep(&rest, NULL);
        send_value(env, id, PING, (uint64_t)real_now_ns(NULL));
        while (sem_wait(&b->done) != 0)
            continue;
    }
    b->expected = b->n;
    return (double)b->sum / (double)b->n;
}

static double cpu_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec) * 1e9 +
           ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) * 1e3;
}

static double resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld", &pages, &resident) != 2) resident = 0;
    if (f) fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: bench-actors SHAPE N [THREADS]\n", stderr);
        return 2;
    }
    const char *shape = argv[1];
    unsigned threads = argc > 3 ? (unsigned)atoi(argv[3]) : 1;
    struct bench b = {.n = strtoull(argv[2], NULL, 10)};
    sem_init(&b.done, 0, 0);
    uint64_t expected = 0;
    struct real *real = real_new(threads, 1, NULL, NULL);
    if (real == NULL || real_start(real) != OK) return 1;
    struct node *node = real_node(real);
    metric_register(node_metrics(node), METRIC_COUNTER, "bench_received_total",
                    "", &b.received);
    struct env *env = node_outside(node);
    double bytes0 = resident_bytes(), cpu0 = cpu_ns();
    int64_t wall0 = real_now_ns(NULL);

    bool is_wake = strcmp(shape, "wake") == 0;
    double wake_ns = 0;
    if (strcmp(shape, "ping-pong") == 0)
        ring(env, &b, 2);
    else if (strcmp(shape, "ring") == 0)
        ring(env, &b, RING);
    else if (strcmp(shape, "counting") == 0)
        fan_in(env, &b, 1);
    else if (strcmp(shape, "fan-in") == 0)
        fan_in(env, &b, PRODUCERS);
    else if (strcmp(shape, "big") == 0)
        big(env, &b);
    else if (strcmp(shape, "spawn") == 0) {
        struct hop_args args = {&b};
        actor_id id;
        atomic_init(&b.left, b.n);
        b.expected = b.n;
        actor_spawn(env, &spawner_kind, &args, sizeof args, &id);
    } else if (is_wake)
        wake_ns = wake(env, &b);
    else
        return 2;
    expected = b.expected;
    if (!is_wake)
        while (sem_wait(&b.done) != 0)
            continue;

    double wall = (double)(real_now_ns(NULL) - wall0), cpu = cpu_ns() - cpu0;
    double bytes = resident_bytes() - bytes0;
    real_stop(real);
    uint64_t received = 0;
    received = metric_read(node_metrics(node), b.received);
    bool right = received == expected;
    if (strcmp(shape, "counting") == 0)
        right = right && b.sum == expected * (expected + 1) / 2;
    double n = (double)expected;
    if (is_wake) wall = wake_ns * n;
    printf("%s %llu %.1f %.1f %s", shape, (unsigned long long)expected, cpu / n,
           wall / n, right ? "ok" : "WRONG");
    if (strcmp(shape, "spawn") == 0) printf(" bytes %.0f", bytes / n);
    putchar('\n');
    node_outside_free(env);
    real_free(real);
    return right ? 0 : 1;
}
