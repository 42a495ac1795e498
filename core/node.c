#include "core/node.h"
#include "core/alloc.h"
#include "core/deadline.h"
#include "core/log.h"
#include "core/runtime.h"

static err counter(struct node *node, const char *name, metric_id *id)
{
    return metric_register(node->metrics, METRIC_COUNTER, name, "", id);
}

/* Threads are numbered: the scheduler's, its spare one, the outside views. */
static unsigned first_outside(const struct node *node)
{
    return node->config.threads + 1;
}

struct node *node_new(const struct node_config *config)
{
    struct node *node = mem_zero(1, sizeof *node);
    if (node == NULL) return NULL;
    node->config = *config;
    node->number = config->number;
    pthread_mutex_init(&node->slots_lock, NULL);
    node->depot = msg_depot_new();
    node->deadlines = deadlines_new();
    node->metrics = metrics_new(first_outside(node) + OUTSIDE_THREADS);
    if (node->depot == NULL || node->deadlines == NULL ||
        node->metrics == NULL ||
        counter(node, "engine_actors_spawned_total", &node->spawned) != OK ||
        counter(node, "engine_actors_crashed_total", &node->crashed) != OK ||
        counter(node, "engine_messages_dropped_total", &node->dropped) != OK) {
        node_free(node);
        return NULL;
    }
    return node;
}

void node_free(struct node *node)
{
    if (node == NULL) return;
    if (node->slot_count > 0) {
        struct env env;
        env_init(&env, node, 0);
        for (uint32_t slot = 0; slot < node->slot_count; slot++)
            actor_reap(&env, actor_at(node, slot));
        /* A second round: their ends told each other by message. */
        for (uint32_t slot = 0; slot < node->slot_count; slot++)
            actor_reap(&env, actor_at(node, slot));
        env_fini(&env);
    }
    for (uint32_t i = 0; i < CHUNKS && node->chunks[i]; i++)
        mem_free(node->chunks[i]);
    deadlines_free(node->deadlines);
    metrics_free(node->metrics);
    msg_depot_free(node->depot);
    pthread_mutex_destroy(&node->slots_lock);
    mem_free(node);
}

struct log *node_log(struct node *node)
{
    return node->config.log;
}

struct metrics *node_metrics(struct node *node)
{
    return node->metrics;
}

const struct world *node_world(struct node *node)
{
    return node->config.world;
}

uint32_t node_alive(struct node *node)
{
    return at_load(&node->alive, ACQUIRE);
}

uint64_t node_seed(struct node *node)
{
    return node->config.seed;
}

void node_alarm(struct env *env)
{
    const struct world *world = env->node->config.world;
    deadlines_due(env, world->now_ns(world->context));
}

/* ---- views ---- */

void env_init(struct env *env, struct node *node, unsigned thread)
{
    /* The generator's steps are of one size: its threads start anywhere, or
     * one would draw what the other has drawn. */
    struct rng start = {node->config.seed + thread};
    *env = (struct env){
        .node = node,
        .thread = thread,
        .rng = {rng_next(&start)},
        .cells = metrics_cells(node->metrics, thread),
    };
}

void env_fini(struct env *env)
{
    msg_pool_fini(&env->pool);
}

struct env *node_outside(struct node *node)
{
    struct env *env = mem_alloc(sizeof *env);
    if (env == NULL) return NULL;
    uint32_t taken = at_load(&node->outside, RELAXED);
    unsigned place;
    do {
        place = (unsigned)__builtin_ctz(~taken);
        if (place >= OUTSIDE_THREADS) {
            mem_free(env);
            return NULL;
        }
    } while (!at_cas(&node->outside, &taken, taken | 1u << place, ACQ_REL));
    env_init(env, node, first_outside(node) + place);
    return env;
}

void node_outside_free(struct env *env)
{
    if (env == NULL) return;
    unsigned place = env->thread - first_outside(env->node);
    at_and(&env->node->outside, ~(1u << place), ACQ_REL);
    env_fini(env);
    mem_free(env);
}

actor_id env_self(const struct env *env)
{
    return env->actor->id;
}

int64_t env_now(struct env *env)
{
    if (env->now_ns == 0) {
        const struct world *world = env->node->config.world;
        env->now_ns = world->now_ns(world->context);
    }
    return env->now_ns;
}

uint64_t env_random(struct env *env)
{
    return rng_next(&env->rng);
}

struct node *env_node(const struct env *env)
{
    return env->node;
}

unsigned env_thread(const struct env *env)
{
    return env->thread;
}

void env_charge(struct env *env, uint32_t reductions)
{
    env->spent += reductions;
}

bool env_spent(const struct env *env)
{
    return env->spent >= BUDGET;
}

void env_again(struct env *env)
{
    env->actor->again = true;
}

void env_held_up(struct env *env)
{
    const struct world *world = env->node->config.world;
    if (world->held_up) world->held_up(world->context, env);
}

void env_stay(struct env *env)
{
    env->actor->stays = true;
}

void env_hold_data(struct env *env)
{
    env->actor->holds++;
}

void env_resume_data(struct env *env)
{
    env->actor->holds--;
}

void msg_keep(struct env *env)
{
    env->hand = NULL;
}
