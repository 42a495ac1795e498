#include "actors/stream/plan.h"
#include "core/alloc.h"
#include <string.h>

struct block {
    struct block *next;
    max_align_t data[];
};

struct arena {
    struct block *blocks; /* owned */
};

struct arena *arena_new(void)
{
    return mem_zero(1, sizeof(struct arena));
}

void arena_free(struct arena *arena)
{
    if (arena == NULL) return;
    while (arena->blocks) {
        struct block *block = arena->blocks;
        arena->blocks = block->next;
        mem_free(block);
    }
    mem_free(arena);
}

void *arena_zero(struct arena *arena, size_t bytes)
{
    struct block *block = mem_zero(1, sizeof *block + bytes);
    if (block == NULL) return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
    return block->data;
}

char *arena_text(struct arena *arena, const char *text, size_t bytes)
{
    char *copy = arena_zero(arena, bytes + 1);
    if (copy && bytes > 0) memcpy(copy, text, bytes);
    return copy;
}

unsigned plan_executor(const struct component_plan *c, unsigned index)
{
    if (c->executors == 0) return index;
    unsigned few = c->tasks / c->executors, longer = c->tasks % c->executors;
    unsigned in_longer = longer * (few + 1);
    if (index < in_longer) return index / (few + 1);
    return longer + (index - in_longer) / few;
}

bool plan_is_durable(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->count; i++)
        if (plan->components[i].durable || plan->components[i].keeps ||
            plan->components[i].checkpointed)
            return true;
    return plan->guarantee == EXACTLY_ONCE;
}

void plan_number(struct plan *plan)
{
    plan->tasks = 0;
    for (unsigned i = 0; i < plan->count; i++) {
        struct component_plan *c = &plan->components[i];
        c->first_task = plan->tasks;
        for (unsigned k = 0; k < c->input_count; k++)
            c->inputs[k].first_task = plan->tasks;
        plan->tasks += c->tasks;
    }
}
