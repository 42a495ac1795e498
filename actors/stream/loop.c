#include "actors/stream/loop.h"
#include "actors/stream/executor.h"

void loop_leave(struct env *env, struct loop *loop, uint64_t through)
{
    uint64_t left = at_sub(&loop->pending, through, SEQ_CST) - through;
    if (left % LOOP_WAY == 0) at_store(&loop->full, false, RELAXED);
    if (left != 0) return;
    /* A tick may have emitted into it meanwhile: then it is 0 once more. */
    if (at_swap(&loop->over, true, SEQ_CST)) return;
    struct topology *t = loop->topology;
    for (unsigned i = 0; i < topology_plan(t)->tasks; i++) {
        struct task *task = topology_task(t, i);
        if (task->loop != loop) continue;
        /* A new actor looks by itself: see child_started(). */
        actor_id id = at_load(&task->id, SEQ_CST);
        if (id != 0) actor_post(env, id, &task->look);
    }
}
