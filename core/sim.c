#include "core/sim.h"
#include "core/alloc.h"
#include "core/edge.h"
#include "core/hash.h"
#include "core/job.h"
#include "core/random.h"
#include "core/runtime.h"

enum {
    NODES_MAX = SIM_NODES_MAX,
    THREADS_MAX = 3,        /* scheduler threads of a node */
    READY_ROOM = 4096,      /* so that few worlds see it grow */
    JOB_WAIT_NS = 10000000, /* at most, before a job begins, and after it */
};
#define NEVER INT64_MAX

struct sim_node {
    struct sim *sim;
    struct world world;
    struct node *node;     /* owned */
    struct env *outside;   /* owned */
    struct sim_disk *disk; /* owned */
    struct sim_port *port; /* the network's */
    struct env threads[THREADS_MAX];
    unsigned thread_count;
    uint16_t number;
    bool solo;
    int64_t alarm_ns; /* NEVER: none */
};

struct runnable {
    struct sim_node *node;
    struct actor *actor;
    bool called; /* from outside a solo node's thread: see actor_claim() */
};

struct pending {
    struct sim_node *node;
    struct job *job; /* owned */
    int64_t at_ns;   /* to begin; to answer once it has worked */
    bool worked;
};

struct sim {
    struct rng rng;
    int64_t now_ns;
    int64_t turn_ns;
    int solo;            /* -1: by the seed */
    struct sim_net *net; /* owned */
    struct sim_node *nodes[NODES_MAX];
    unsigned node_count;
    struct runnable *ready; /* owned array */
    size_t ready_count, ready_room;
    struct pending *jobs; /* owned array */
    size_t job_count, job_room;
    uint64_t hash, steps;
    sim_body_hash *body_hash;
    void *body_context;
    struct log *log; /* borrowed; of new nodes */
    bool failed;     /* there was no memory */
    void *attached;
    void (*end_attached)(void *context);
};

/* Room for one entry more in the owned array; false: the world has failed. */
static bool make_room(struct sim *sim, void **array, size_t count, size_t *room,
                      size_t bytes)
{
    if (count < *room) return true;
    size_t more = *room ? *room * 2 : 64;
    void *wider = mem_resize(*array, more * bytes);
    if (wider == NULL) {
        sim->failed = true;
        return false;
    }
    *array = wider;
    *room = more;
    return true;
}

static void note(struct sim *sim, char what, const struct sim_node *node)
{
    sim->hash = hash_word(sim->hash, (uint64_t)sim->now_ns);
    sim->hash = hash_word(sim->hash, (uint64_t)what << 32 | node->number);
}

static void note_word(struct sim *sim, uint64_t word)
{
    sim->hash = hash_word(sim->hash, word);
}

/* ---- what the nodes are given ---- */

static int64_t world_now(void *context)
{
    struct sim_node *node = context;
    return node->sim->now_ns;
}

static int64_t world_wall(void *context)
{
    struct sim_node *node = context;
    return sim_wall(node->sim);
}

static void world_ready(void *context, struct env *env, struct actor *actor)
{
    struct sim_node *node = context;
    struct sim *sim = node->sim;
    void *ready = sim->ready;
    if (!make_room(sim, &ready, sim->ready_count, &sim->ready_room,
                   sizeof *sim->ready))
        return;
    sim->ready = ready;
    sim->ready[sim->ready_count++] =
        (struct runnable){node, actor, node->solo && !env->solo};
}

static void world_alarm(void *context, struct node *engine, int64_t at_ns)
{
    struct sim_node *node = context;
    node->alarm_ns = at_ns;
    note(node->sim, 'a', node);
    note_word(node->sim, (uint64_t)at_ns);
}

static int64_t wait_ns(struct sim *sim)
{
    /* Mostly short, sometimes long: exponents are uniform, not times. */
    uint64_t most = (uint64_t)JOB_WAIT_NS >> rng_below(&sim->rng, 12);
    return 1 + (int64_t)rng_below(&sim->rng, most);
}

static void world_work(void *context, struct node *engine, struct job *job)
{
    struct sim_node *node = context;
    struct sim *sim = node->sim;
    void *jobs = sim->jobs;
    if (!make_room(sim, &jobs, sim->job_count, &sim->job_room,
                   sizeof *sim->jobs)) {
        job_finish(node->outside, job); /* unworked; nobody will read it */
        return;
    }
    sim->jobs = jobs;
    sim->jobs[sim->job_count++] =
        (struct pending){node, job, sim->now_ns + wait_ns(sim), false};
}

actor_id sim_sender(const struct msg *m)
{
    struct edge *edge = msg_edge(m);
    return edge ? at_load(&edge->producer, RELAXED) : m->from;
}

static void world_trace(void *context, struct node *engine, const struct msg *m)
{
    struct sim_node *node = context;
    struct sim *sim = node->sim;
    note(sim, 'm', node);
    note_word(sim, m->to);
    note_word(sim, sim_sender(m));
    note_word(sim, (uint64_t)m->kind << 32 | m->bytes);
    note_word(sim, m->flags & MSG_DATA ? (uint64_t)m->cost_bytes << 1 | 1 : 0);
    if (sim->body_hash && m->bytes > 0 && m->kind >= KIND_OWN)
        note_word(sim, sim->body_hash(sim->body_context, m));
}

/* ---- nodes ---- */

static err node_begin(struct sim_node *node)
{
    struct sim *sim = node->sim;
    node->solo = sim->solo < 0 ? rng_below(&sim->rng, 2) == 0 : sim->solo > 0;
    node->thread_count =
        node->solo ? 1 : 1 + (unsigned)rng_below(&sim->rng, THREADS_MAX);
    node->alarm_ns = NEVER;
    node->world = (struct world){
        .now_ns = world_now,
        .wall_ns = world_wall,
        .ready = world_ready,
        .alarm = world_alarm,
        .work = world_work,
        .trace = world_trace,
        .disk = sim_disk_calls(node->disk),
        .context = node,
        .counting = true,
    };
    struct node_config config = {
        .number = node->number,
        .threads = node->thread_count,
        .seed = rng_next(&sim->rng),
        .world = &node->world,
        .log = sim->log,
    };
    node->node = node_new(&config);
    node->outside = node->node ? node_outside(node->node) : NULL;
    node->port = node->outside
                     ? sim_port_new(sim->net, node->number, node->outside)
                     : NULL;
    if (node->port == NULL) {
        node_outside_free(node->outside);
        node_free(node->node);
        node->outside = NULL;
        node->node = NULL;
        sim->failed = true;
        return ERR_NOMEM;
    }
    node->world.net = sim_port_calls(node->port);
    for (unsigned i = 0; i < node->thread_count; i++) {
        env_init(&node->threads[i], node->node, i);
        node->threads[i].solo = node->solo;
    }
    return OK;
}

/* Jobs that have not been answered end as jobs_free() ends them. */
static void drop_jobs(struct sim_node *node)
{
    struct sim *sim = node->sim;
    size_t left = 0;
    for (size_t i = 0; i < sim->job_count; i++)
        if (sim->jobs[i].node == node)
            job_finish(node->outside, sim->jobs[i].job);
        else
            sim->jobs[left++] = sim->jobs[i];
    sim->job_count = left;
}

static void node_end(struct sim_node *node, bool silent)
{
    struct sim *sim = node->sim;
    if (node->node == NULL) return;
    drop_jobs(node);
    sim_port_end(node->port, silent);
    node->world.net = NULL;
    for (unsigned i = 0; i < node->thread_count; i++)
        env_fini(&node->threads[i]);
    node_outside_free(node->outside);
    node_free(node->node);
    drop_jobs(node); /* an actor's last wish */
    size_t left = 0;
    for (size_t i = 0; i < sim->ready_count; i++)
        if (sim->ready[i].node != node) sim->ready[left++] = sim->ready[i];
    sim->ready_count = left;
    node->node = NULL;
    node->outside = NULL;
}

struct sim_node *sim_node(struct sim *sim, uint16_t number)
{
    for (unsigned i = 0; i < sim->node_count; i++)
        if (sim->nodes[i]->number == number) return sim->nodes[i];
    if (sim->node_count == NODES_MAX || number >= NODES_MAX) return NULL;
    struct sim_node *node = mem_zero(1, sizeof *node);
    if (node == NULL) return NULL;
    node->sim = sim;
    node->number = number;
    node->disk = sim_disk_new(rng_next(&sim->rng));
    if (node->disk == NULL || node_begin(node) != OK) {
        sim_disk_free(node->disk);
        mem_free(node);
        return NULL;
    }
    sim->nodes[sim->node_count++] = node;
    return node;
}

struct sim *sim_of(struct sim_node *node)
{
    return node->sim;
}

struct node *sim_engine(struct sim_node *node)
{
    return node->node;
}

struct env *sim_env(struct sim_node *node)
{
    return node->outside;
}

struct sim_disk *sim_disk(struct sim_node *node)
{
    return node->disk;
}

bool sim_solo(const struct sim_node *node)
{
    return node->solo;
}

void sim_set_solo(struct sim *sim, bool solo)
{
    sim->solo = solo;
}

void sim_set_log(struct sim *sim, struct log *log)
{
    sim->log = log;
}

err sim_kill_node(struct sim_node *node)
{
    note(node->sim, 'k', node);
    node_end(node, false);
    sim_disk_close_all(node->disk);
    return node_begin(node);
}

err sim_power_cut(struct sim_node *node)
{
    note(node->sim, 'p', node);
    node_end(node, true);
    err e = sim_disk_power_cut(node->disk);
    if (e != OK) node->sim->failed = true;
    err begun = node_begin(node);
    return e == OK ? begun : e;
}

void sim_set_faults(struct sim_node *node, const struct sim_faults *faults)
{
    sim_disk_set_faults(node->disk, faults);
}

struct sim_net *sim_net(struct sim *sim)
{
    return sim->net;
}

/* ---- the world ---- */

struct sim *sim_new(uint64_t seed)
{
    struct sim *sim = mem_zero(1, sizeof *sim);
    if (sim == NULL) return NULL;
    sim->rng.state = seed;
    sim->now_ns = SIM_START_NS;
    sim->solo = -1;
    sim->hash = HASH_START;
    sim->ready = mem_zero(READY_ROOM, sizeof *sim->ready);
    sim->ready_room = READY_ROOM;
    sim->net = sim_net_new(~seed, &sim->now_ns); /* draws of its own */
    if (sim->ready && sim->net) return sim;
    sim_free(sim);
    return NULL;
}

void sim_free(struct sim *sim)
{
    if (sim == NULL) return;
    for (unsigned i = 0; i < sim->node_count; i++) {
        node_end(sim->nodes[i], false);
        sim_disk_free(sim->nodes[i]->disk);
        mem_free(sim->nodes[i]);
    }
    if (sim->end_attached) sim->end_attached(sim->attached);
    sim_net_free(sim->net);
    mem_free(sim->jobs);
    mem_free(sim->ready);
    mem_free(sim);
}

void sim_attach(struct sim *sim, void *context, void (*end)(void *context))
{
    sim->attached = context;
    sim->end_attached = end;
}

void *sim_attached(const struct sim *sim)
{
    return sim->attached;
}

bool sim_failed(const struct sim *sim)
{
    return sim->failed;
}

uint64_t sim_random(struct sim *sim, uint64_t below)
{
    return rng_below(&sim->rng, below);
}

int64_t sim_now(const struct sim *sim)
{
    return sim->now_ns;
}

int64_t sim_wall(const struct sim *sim)
{
    return sim->now_ns - SIM_START_NS + SIM_WALL_NS;
}

void sim_set_turn_ns(struct sim *sim, int64_t most_ns)
{
    sim->turn_ns = most_ns;
}

uint64_t sim_hash(const struct sim *sim)
{
    return hash_word(sim->hash, sim_net_hash(sim->net));
}

void sim_hash_bodies(struct sim *sim, sim_body_hash *hash, void *context)
{
    sim->body_hash = hash;
    sim->body_context = context;
}

uint64_t sim_steps(const struct sim *sim)
{
    return sim->steps;
}

/* ---- what happens ---- */

static void run_turn(struct sim *sim, size_t place)
{
    struct runnable r = sim->ready[place];
    sim->ready[place] = sim->ready[--sim->ready_count];
    if (r.called && !actor_claim(r.actor)) return;
    uint64_t thread = rng_below(&sim->rng, r.node->thread_count);
    struct env *env = &r.node->threads[thread];
    bool more = actor_turn(env, r.actor);
    if (more) world_ready(r.node, env, r.actor);
    if (sim->turn_ns > 0)
        sim->now_ns +=
            (int64_t)rng_below(&sim->rng, (uint64_t)sim->turn_ns + 1);
}

static void run_alarm(struct sim *sim, struct sim_node *node)
{
    note(sim, 'd', node);
    node->alarm_ns = NEVER;
    node_alarm(node->outside);
}

static void run_job(struct sim *sim, size_t place)
{
    struct pending p = sim->jobs[place];
    note(sim, p.worked ? 'f' : 's', p.node);
    note_word(sim, p.job->from);
    note_word(sim, p.job->kind);
    if (p.worked) {
        sim->jobs[place] = sim->jobs[--sim->job_count];
        job_finish(p.node->outside, p.job);
        return;
    }
    p.job->work(p.node->node, p.job);
    note_word(sim, sim_disk_hash(p.node->disk));
    int64_t took_ns = sim_disk_took_ns(p.node->disk) + wait_ns(sim);
    sim->jobs[place].worked = true;
    sim->jobs[place].at_ns = sim->now_ns + took_ns;
}

static int64_t next_event_ns(const struct sim *sim)
{
    int64_t next_ns = sim_net_next_ns(sim->net);
    for (unsigned i = 0; i < sim->node_count; i++)
        if (sim->nodes[i]->alarm_ns < next_ns)
            next_ns = sim->nodes[i]->alarm_ns;
    for (size_t i = 0; i < sim->job_count; i++)
        if (sim->jobs[i].at_ns < next_ns) next_ns = sim->jobs[i].at_ns;
    return next_ns;
}

/* The n-th event whose time has come; counts them all when n is SIZE_MAX. */
static size_t run_event(struct sim *sim, size_t n)
{
    size_t count = 0;
    for (unsigned i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i]->alarm_ns > sim->now_ns) continue;
        if (count++ != n) continue;
        run_alarm(sim, sim->nodes[i]);
        return count;
    }
    for (size_t i = 0; i < sim->job_count; i++) {
        if (sim->jobs[i].at_ns > sim->now_ns) continue;
        if (count++ != n) continue;
        run_job(sim, i);
        return count;
    }
    if (n != SIZE_MAX && n >= count)
        sim_net_run(sim->net, (unsigned)(n - count));
    return count + sim_net_due(sim->net);
}

bool sim_step(struct sim *sim, int64_t until_ns)
{
    if (sim->failed) return false;
    if (sim->ready_count == 0) {
        int64_t next_ns = next_event_ns(sim);
        if (next_ns == NEVER || next_ns > until_ns) return false;
        if (next_ns > sim->now_ns) sim->now_ns = next_ns;
    } else if (sim->now_ns > until_ns) {
        return false;
    }
    sim->steps++;
    size_t events = run_event(sim, SIZE_MAX);
    size_t pick = rng_below(&sim->rng, sim->ready_count + events);
    if (pick < sim->ready_count)
        run_turn(sim, pick);
    else
        run_event(sim, pick - sim->ready_count);
    return true;
}

void sim_run_until(struct sim *sim, int64_t at_ns)
{
    while (sim_step(sim, at_ns))
        continue;
    if (sim->now_ns < at_ns) sim->now_ns = at_ns;
}

void sim_advance(struct sim *sim, int64_t by_ns)
{
    sim_run_until(sim, sim->now_ns + by_ns);
}
