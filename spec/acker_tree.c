#include "spec/acker_tree.h"
#include "actors/stream/acker.h"
#include "actors/stream/component.h"

static err nothing_make(struct component_context *c, void *self)
{
    return OK;
}

static void nothing_free(struct component_context *c, void *self)
{
}

static enum step nothing_next(struct component_context *c, void *self)
{
    return STEP_IDLE;
}

static const struct component_class idle_class = {
    .name = "nothing",
    .state_bytes = 1,
    .make = nothing_make,
    .free = nothing_free,
    .next = nothing_next,
};

void idle_plan_init(struct idle_plan *idle)
{
    idle->stream = (struct stream_plan){.name = "default"};
    idle->component = (struct component_plan){
        .name = "spout",
        .kind = COMPONENT_SPOUT,
        .class = &idle_class,
        .streams = &idle->stream,
        .stream_count = 1,
        .tasks = TASKS,
    };
    idle->plan = (struct plan){
        .name = "desk",
        .file = "desk.lua",
        .guarantee = AT_LEAST_ONCE,
        .timeout_ns = 1000000000,
        .pending_max = 100,
        .components = &idle->component,
        .count = 1,
    };
    plan_number(&idle->plan);
}

unsigned tree_grow(struct rng *rng, struct tree *t, struct saying *out)
{
    uint64_t open[4] = {0};
    unsigned n = 0, left = (unsigned)rng_below(rng, 4);
    struct saying *init = &out[n++];
    *init = (struct saying){ACKER_INIT, t->root, 0};
    for (unsigned i = 0; i < left; i++) {
        open[i] = rng_next(rng);
        init->edges ^= open[i];
    }
    for (unsigned i = 0; i < left; i++) {
        uint64_t child = rng_below(rng, 2) ? rng_next(rng) : 0;
        out[n++] = (struct saying){ACKER_ACK, t->root, open[i] ^ child};
        if (child) out[n++] = (struct saying){ACKER_ACK, t->root, child};
    }
    t->complete = n == 1 || rng_below(rng, 4) > 0;
    if (!t->complete) n--;
    while (rng_below(rng, 5) == 0 && n < 10)
        out[n++] = (struct saying){ACKER_FAIL, t->root, 0};
    return n;
}

void sayings_shuffle(struct rng *rng, struct saying *list, unsigned n)
{
    for (unsigned i = n; i > 1; i--) {
        unsigned k = (unsigned)rng_below(rng, i);
        struct saying other = list[i - 1];
        list[i - 1] = list[k];
        list[k] = other;
    }
}
