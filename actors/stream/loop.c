#include "actors/stream/loop.h"
#include "actors/stream/topology.h"

void loop_leave(struct env *env, struct loop *loop, uint64_t through)
{
    uint64_t left = at_sub(&loop->pending, through, SEQ_CST) - through;
    if (left % LOOP_WAY == 0) at_store(&loop->full, false, RELAXED);
    if (left != 0 || at_swap(&loop->looking, true, SEQ_CST)) return;
    actor_post(env, topology_actor(loop->topology), &loop->look);
}

bool loop_end(struct loop *loop)
{
    at_store(&loop->looking, false, SEQ_CST);
    if (at_load(&loop->pending, SEQ_CST) != 0) return false;
    return !at_swap(&loop->over, true, SEQ_CST);
}
