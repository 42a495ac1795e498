#include "actors/stream/turns.h"
#include "core/alloc.h"

/* Of the task of this index and the one before: have they one executor? */
static bool shares(const struct component_plan *c, unsigned index)
{
    return index > 0 && index < c->tasks &&
           plan_executor(c, index) == plan_executor(c, index - 1);
}

static bool lay(const struct component_plan *c, struct actor_group **turns)
{
    for (unsigned i = 0; i < c->tasks; i++) {
        if (shares(c, i))
            turns[i] = turns[i - 1];
        else if (shares(c, i + 1) && (turns[i] = group_new()) == NULL)
            return false;
    }
    return true;
}

struct actor_group **turns_new(const struct plan *plan)
{
    struct actor_group **turns = mem_zero(plan->tasks, sizeof *turns);
    for (unsigned i = 0; turns && i < plan->count; i++) {
        const struct component_plan *c = &plan->components[i];
        if (lay(c, turns + c->first_task)) continue;
        turns_free(turns, plan);
        return NULL;
    }
    return turns;
}

void turns_free(struct actor_group **turns, const struct plan *plan)
{
    if (turns == NULL) return;
    for (unsigned i = 0; i < plan->tasks; i++)
        if (i == 0 || turns[i] != turns[i - 1]) group_free(turns[i]);
    mem_free(turns);
}
