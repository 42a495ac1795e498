/* limit.c - the floor under the actor benchmarks: what a run queue in bare C
 * costs on this machine when it keeps no promise (one thread, no bound, no
 * address, no supervision).
 *   bench-limit SHAPE MESSAGES
 * prints `shape messages cpu_ns wall_ns check`, the times for one message (one
 * actor for spawn, then `bytes N` for one actor too); exit 1 when the answer is
 * wrong. The shapes are Savina's; `check` is the sum of all payloads received:
 *   ping-pong  two actors; the k-th message carries k, k = 1..MESSAGES
 *   counting   a producer sends 1..MESSAGES to a counter
 *   ring       100 actors hand one token round; its k-th hop carries k
 *   fan-in     50 producers send 1..MESSAGES/50 each to one sink
 *   big        64 actors send pings 1..MESSAGES/128 each to actors chosen at
 *              random, the next one when the pong with the same number is back
 *   spawn      MESSAGES actors are made (this is timed), then the k-th gets k
 * What only keeps a program going (start, credit) is not counted as a message.
 * Source: Imam, Sarkar, "Savina - An Actor Benchmark Suite", 2014. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/alloc.h"

enum {
    RING_ACTORS = 100,
    PRODUCERS = 50,
    BIG_ACTORS = 64,
    TURN = 256,      /* messages received and sent before others have a go */
    CREDIT = 64,     /* messages in flight per producer of the fan-in */
    POOL_CHUNK = 256 /* messages allocated together */
};

enum kind { START, NUMBER, PING, PONG, MORE };

struct message {
    struct message *next;
    uint64_t payload;
    uint32_t from;
    uint16_t kind;
};

struct world;
struct actor;
typedef void receive_function(struct world *world, struct actor *self,
                              const struct message *message);

struct actor {
    struct message *first, *last; /* owned: the mailbox */
    receive_function *receive;
    uint32_t id;
    bool queued;
    uint64_t received, sum; /* of the messages that count */
    uint64_t sent, to_send;
    uint64_t random;
};

struct chunk {
    struct chunk *next;
    struct message messages[POOL_CHUNK];
};

struct world {
    struct actor **actors; /* owned, and each of them */
    uint32_t actor_count;
    struct actor **ring; /* owned: the run queue, an actor is in it once */
    uint32_t ring_mask, head, tail;
    int budget;           /* what is left of the turn; sends count too, else
                             a producer fills the cache 256 times over */
    struct message *free; /* borrowed from the chunks */
    struct chunk *chunks; /* owned */
};

struct shape {
    const char *name;
    void (*setup)(struct world *world, uint64_t messages);
    uint32_t actors; /* 0: as many as messages */
    uint32_t grain;  /* what divides the number of messages */
};

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "bench-limit: %s\n", why);
    exit(1);
}

static void *must(void *memory)
{
    if (memory == NULL) die("no memory");
    return memory;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long all, resident;
    if (file == NULL || fscanf(file, "%lu %lu", &all, &resident) != 2)
        die("can't read /proc/self/statm");
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void pool_grow(struct world *world)
{
    struct chunk *chunk = must(mem_zero(1, sizeof *chunk));
    chunk->next = world->chunks;
    world->chunks = chunk;
    for (int i = 0; i < POOL_CHUNK; i++) {
        chunk->messages[i].next = world->free;
        world->free = &chunk->messages[i];
    }
}

static inline struct message *pool_take(struct world *world)
{
    if (world->free == NULL) pool_grow(world);
    struct message *message = world->free;
    world->free = message->next;
    return message;
}

static inline void pool_give(struct world *world, struct message *message)
{
    message->next = world->free;
    world->free = message;
}

static inline void queue_push(struct world *world, struct actor *actor)
{
    actor->queued = true;
    world->ring[world->tail++ & world->ring_mask] = actor;
}

static inline void send(struct world *world, uint32_t from, struct actor *to,
                        enum kind kind, uint64_t payload)
{
    struct message *message = pool_take(world);
    world->budget--;
    message->next = NULL;
    message->payload = payload;
    message->from = from;
    message->kind = (uint16_t)kind;
    if (to->first == NULL)
        to->first = message;
    else
        to->last->next = message;
    to->last = message;
    if (!to->queued) queue_push(world, to);
}

static void turn(struct world *world, struct actor *actor)
{
    world->budget = TURN;
    while (world->budget-- > 0 && actor->first != NULL) {
        struct message *message = actor->first;
        actor->first = message->next;
        actor->receive(world, actor, message);
        pool_give(world, message);
    }
    actor->queued = false;
    if (actor->first != NULL) queue_push(world, actor);
}

static void run(struct world *world)
{
    while (world->head != world->tail)
        turn(world, world->ring[world->head++ & world->ring_mask]);
}

static inline void count(struct actor *self, const struct message *message)
{
    self->received++;
    self->sum += message->payload;
}

/* ping-pong and ring: hand the number on, one higher, to the next actor. */
static void hop_receive(struct world *world, struct actor *self,
                        const struct message *message)
{
    count(self, message);
    if (message->payload == self->to_send) return;
    uint32_t next = self->id + 1 == world->actor_count ? 0 : self->id + 1;
    send(world, self->id, world->actors[next], NUMBER, message->payload + 1);
}

static void hop_setup(struct world *world, uint64_t messages)
{
    for (uint32_t i = 0; i < world->actor_count; i++) {
        world->actors[i]->receive = hop_receive;
        world->actors[i]->to_send = messages;
    }
    send(world, 0, world->actors[0], NUMBER, 1);
}

static void count_receive(struct world *world, struct actor *self,
                          const struct message *message)
{
    count(self, message);
}

static void produce(struct world *world, struct actor *self, uint64_t most)
{
    uint64_t left = self->to_send - self->sent;
    for (uint64_t n = most < left ? most : left; n > 0; n--)
        send(world, self->id, world->actors[0], NUMBER, ++self->sent);
}

/* counting: a turn's worth of numbers, then whoever waits, then the next. */
static void producer_receive(struct world *world, struct actor *self,
                             const struct message *message)
{
    produce(world, self, TURN);
    if (self->sent < self->to_send) send(world, self->id, self, MORE, 0);
}

static void counting_setup(struct world *world, uint64_t messages)
{
    world->actors[0]->receive = count_receive;
    world->actors[1]->receive = producer_receive;
    world->actors[1]->to_send = messages;
    send(world, 1, world->actors[1], START, 0);
}

/* fan-in: half of a producer's credit goes back when it has been used up. */
static void sink_receive(struct world *world, struct actor *self,
                         const struct message *message)
{
    count(self, message);
    if (message->payload % (CREDIT / 2) == 0)
        send(world, self->id, world->actors[message->from], MORE, CREDIT / 2);
}

static void credited_receive(struct world *world, struct actor *self,
                             const struct message *message)
{
    produce(world, self, message->payload);
}

static void fanin_setup(struct world *world, uint64_t messages)
{
    world->actors[0]->receive = sink_receive;
    for (uint32_t i = 1; i <= PRODUCERS; i++) {
        world->actors[i]->receive = credited_receive;
        world->actors[i]->to_send = messages / PRODUCERS;
        send(world, i, world->actors[i], START, CREDIT);
    }
}

static void big_ping(struct world *world, struct actor *self)
{
    if (self->sent == self->to_send) return;
    self->random = (self->random * 69069 + 1) & UINT32_MAX;
    uint64_t other = (self->random >> 16) % BIG_ACTORS;
    send(world, self->id, world->actors[other], PING, ++self->sent);
}

static void big_receive(struct world *world, struct actor *self,
                        const struct message *message)
{
    switch (message->kind) {
    case PING:
        count(self, message);
        send(world, self->id, world->actors[message->from], PONG,
             message->payload);
        break;
    case PONG:
        count(self, message);
        big_ping(world, self);
        break;
    default: big_ping(world, self); break;
    }
}

static void big_setup(struct world *world, uint64_t messages)
{
    for (uint32_t i = 0; i < BIG_ACTORS; i++) {
        world->actors[i]->receive = big_receive;
        world->actors[i]->to_send = messages / 2 / BIG_ACTORS;
        world->actors[i]->random = i;
        send(world, i, world->actors[i], START, 0);
    }
}

static void spawn_setup(struct world *world, uint64_t messages)
{
    for (uint32_t i = 0; i < world->actor_count; i++)
        send(world, i, world->actors[i], NUMBER, i + 1);
}

/* What the payloads received must add up to. */
static uint64_t expected(const struct shape *shape, uint64_t messages)
{
    uint64_t runs = 1; /* how often 1..n is received */
    if (shape->setup == fanin_setup) runs = PRODUCERS;
    if (shape->setup == big_setup) runs = (uint64_t)2 * BIG_ACTORS;
    uint64_t n = messages / runs;
    return runs * (n * (n + 1) / 2);
}

static void world_spawn(struct world *world, uint32_t actors)
{
    for (uint32_t i = 0; i < actors; i++) {
        struct actor *actor = must(mem_zero(1, sizeof *actor));
        actor->receive = count_receive;
        actor->id = i;
        world->actors[i] = actor;
    }
    world->actor_count = actors;
}

static void world_init(struct world *world, uint32_t actors)
{
    uint32_t slots = 1;
    while (slots < actors)
        slots *= 2;
    *world = (struct world){.ring_mask = slots - 1};
    world->ring = must(mem_zero(slots, sizeof(struct actor *)));
    world->actors = must(mem_zero(actors, sizeof(struct actor *)));
}

static void world_fini(struct world *world)
{
    for (uint32_t i = 0; i < world->actor_count; i++)
        mem_free(world->actors[i]);
    while (world->chunks != NULL) {
        struct chunk *chunk = world->chunks;
        world->chunks = chunk->next;
        mem_free(chunk);
    }
    mem_free(world->actors);
    mem_free(world->ring);
}

static bool right(const struct world *world, uint64_t messages, uint64_t sum,
                  uint64_t *check)
{
    uint64_t received = 0;
    for (uint32_t i = 0; i < world->actor_count; i++) {
        received += world->actors[i]->received;
        *check += world->actors[i]->sum;
    }
    return received == messages && *check == sum;
}

static int measure(const struct shape *shape, uint64_t messages)
{
    bool spawning = shape->actors == 0;
    uint32_t actors = spawning ? (uint32_t)messages : shape->actors;
    struct world world;
    world_init(&world, actors);
    uint64_t bytes = resident_bytes();
    uint64_t wall = clock_ns(CLOCK_MONOTONIC);
    uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    world_spawn(&world, actors);
    if (!spawning) {
        shape->setup(&world, messages);
        run(&world);
    }
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = clock_ns(CLOCK_MONOTONIC) - wall;
    bytes = resident_bytes() - bytes;
    if (spawning) {
        shape->setup(&world, messages);
        run(&world);
    }
    uint64_t check = 0;
    bool good = right(&world, messages, expected(shape, messages), &check);
    world_fini(&world);
    double n = (double)messages;
    printf("%s %" PRIu64 " %.2f %.2f %" PRIu64, shape->name, messages,
           (double)cpu / n, (double)wall / n, check);
    if (spawning) printf(" bytes %.0f", (double)bytes / n);
    putchar('\n');
    return good ? 0 : 1;
}

static const struct shape SHAPES[] = {
    {"ping-pong", hop_setup, 2, 2},
    {"counting", counting_setup, 2, 1},
    {"ring", hop_setup, RING_ACTORS, 1},
    {"fan-in", fanin_setup, PRODUCERS + 1, PRODUCERS},
    {"big", big_setup, BIG_ACTORS, 2 * BIG_ACTORS},
    {"spawn", spawn_setup, 0, 1},
};

int main(int argc, char **argv)
{
    const struct shape *shape = NULL;
    uint64_t messages = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    for (size_t i = 0; argc == 3 && i < sizeof SHAPES / sizeof *SHAPES; i++)
        if (strcmp(SHAPES[i].name, argv[1]) == 0) shape = &SHAPES[i];
    if (shape == NULL || messages == 0 || messages > UINT32_MAX ||
        messages % shape->grain != 0) {
        fputs("usage: bench-limit ping-pong|counting|ring|fan-in|big|spawn "
              "MESSAGES\n(ping-pong in pairs, fan-in in 50s, big in 128s)\n",
              stderr);
        return 2;
    }
    return measure(shape, messages);
}
