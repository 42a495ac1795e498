/* channels.c - tasks and the ways between them, and what becomes of a batch
 * whose reader has died. */
#include "actors/stream/acker.h"
#include "actors/stream/batch.h"
#include "actors/stream/executor.h"
#include "actors/stream/topology_state.h"
#include <stdio.h>
#include <string.h>

/* A marker was noted that nobody read: whoever is the task now looks at it.
 * One that isn't known yet will be told to go, and looks then. */
static void tell_to_look(struct env *env, struct channel *c, struct msg *m)
{
    m->kind = EXECUTOR_LOOK;
    m->flags &= (uint8_t)~MSG_DATA;
    m->bytes = 0;
    m->from = 0;
    actor_post(env, at_load(&c->topology->tasks[c->to].id, SEQ_CST), m);
}

/* What a dead task didn't read: its roots fail, markers are noted; not where
 * all have gone back meanwhile. */
static bool discard(struct env *env, struct edge *edge, struct msg *m)
{
    struct channel *c = edge->context;
    struct topology *t = c->topology;
    struct batch *b = batch_of(m);
    bool stale = b->epoch != topology_epoch(t);
    if (b->marker != BATCH_DATA) {
        if (stale) return false;
        if (b->marker == BATCH_MARK)
            at_store(&c->marker, b->number, SEQ_CST);
        else if (b->marker == BATCH_DRY)
            at_store(&c->dry, true, SEQ_CST);
        else if (channel_end(c))
            loop_leave(env, c->into, LOOP_WAY);
        tell_to_look(env, c, m);
        return true;
    }
    struct acker_fail fail = {.task = c->to, .innocent = true};
    int length =
        snprintf(fail.reason, sizeof fail.reason,
                 "task %u of %s ended before it was read",
                 t->tasks[c->to].index, t->tasks[c->to].component->name);
    uint32_t bytes =
        (uint32_t)offsetof(struct acker_fail, reason) + (uint32_t)length + 1;
    for (uint32_t i = 0; i < b->anchors && !stale; i++) {
        fail.root = batch_anchor(b, i)->root;
        if (fail.root == 0) continue;
        actor_id acker = topology_acker(t, root_task(fail.root));
        struct msg *out = msg_new(env, ACKER_FAIL, bytes);
        if (out == NULL) continue; /* its time will run out */
        memcpy(msg_body(out), &fail, bytes);
        actor_post(env, acker, out);
    }
    if (c->back) loop_took(c->loop, batch_memory_bytes(b));
    if (c->loop) loop_leave(env, c->loop, LOOP_BATCH);
    return false;
}

unsigned channels_count(const struct plan *plan)
{
    unsigned count = 0;
    for (unsigned c = 0; c < plan->count; c++) {
        const struct component_plan *to = &plan->components[c];
        for (unsigned i = 0; i < to->input_count; i++)
            count +=
                to->tasks * plan->components[to->inputs[i].component].tasks;
    }
    return count;
}

/* At most 64 MB may wait for a task, whatever the number of its inputs. */
static int64_t window_bytes(unsigned inputs)
{
    int64_t window = ((int64_t)64 << 20) / (inputs ? inputs : 1);
    return window < EDGE_WINDOW_BYTES ? window : EDGE_WINDOW_BYTES;
}

static struct loop *loop_of(struct topology *t, const struct component_plan *c)
{
    return c->loop ? &t->loops[c->loop - 1] : NULL;
}

static void place_in_loop(struct channel *channel, struct loop *from,
                          struct loop *to, bool back)
{
    channel->back = back;
    if (to && from == to) channel->loop = to;
    if (to == NULL || from == to) return;
    channel->into = to;
    to->pending += LOOP_WAY;
}

static void lay_loops(struct topology *t)
{
    for (unsigned i = 0; i < t->config.plan->loops; i++) {
        t->loops[i].topology = t;
        t->loops[i].look =
            (struct msg){.kind = TOPOLOGY_LOOP, .flags = MSG_EMBEDDED};
        t->loops[i].most_bytes =
            t->config.loop_bytes ? t->config.loop_bytes : LOOP_BYTES_MAX;
    }
}

void channels_lay(struct topology *t)
{
    const struct plan *plan = t->config.plan;
    lay_loops(t);
    unsigned next = 0;
    for (unsigned c = 0; c < plan->count; c++) {
        const struct component_plan *to = &plan->components[c];
        for (unsigned k = 0; k < to->tasks; k++) {
            struct task *task = &t->tasks[to->first_task + k];
            *task = (struct task){.topology = t,
                                  .component = to,
                                  .number = to->first_task + k,
                                  .index = k,
                                  .loop = loop_of(t, to),
                                  .inputs = &t->input_lists[next]};
            for (unsigned i = 0; i < to->input_count; i++) {
                const struct component_plan *from =
                    &plan->components[to->inputs[i].component];
                for (unsigned f = 0; f < from->tasks; f++) {
                    struct channel *channel = &t->channels[next];
                    channel->topology = t;
                    channel->from = from->first_task + f;
                    channel->to = task->number;
                    channel->input = i;
                    place_in_loop(channel, loop_of(t, from), task->loop,
                                  to->inputs[i].back);
                    task->heads |=
                        to->inputs[i].back && plan->guarantee == EXACTLY_ONCE;
                    t->input_lists[next++] = channel;
                    task->input_count++;
                }
            }
            for (unsigned i = 0; i < task->input_count; i++) {
                struct edge *edge = &task->inputs[i]->edge;
                edge_init(edge, window_bytes(task->input_count));
                edge->discard = discard;
                edge->context = task->inputs[i];
            }
        }
    }
}
