/* windowed_roots.c - whose tuples a window holds: each root is held once for
 * all tuples that came of it together. */
#include "core/alloc.h"
#include "lua/windowed_state.h"
#include <stdlib.h>

/* NULL: the event has a root of its own. */
static struct group *group_of(struct window_event *event)
{
    const struct list_root *root = window_roots(event);
    if (root->root != ROOT_LIST) return NULL;
    return (struct group *)(uintptr_t)root->edges;
}

static size_t group_bytes(uint32_t count)
{
    return sizeof(struct group) + count * sizeof(struct list_root);
}

static int compare_owners(const void *a, const void *b)
{
    const struct owner *x = a, *y = b;
    if (x->root != y->root) return x->root < y->root ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static err owners_reserve(struct windowed *w, size_t count)
{
    if (count <= w->owner_room) return OK;
    struct owner *more = mem_resize(w->owners, count * sizeof *more);
    if (more == NULL) return ERR_NOMEM;
    w->owners = more;
    w->owner_room = (uint32_t)count;
    return OK;
}

/* The roots of an event; none, if this pass has met them already. */
static uint32_t roots_of(struct windowed *w, struct window_event *event,
                         struct list_root **roots)
{
    *roots = window_roots(event);
    if (event->root_count == 0) return 0;
    struct group *group = group_of(event);
    if (group == NULL) return 1;
    if (group->pass == w->passes) return 0;
    group->pass = w->passes;
    *roots = group->roots;
    return group->count;
}

static size_t count_roots(struct windowed *w)
{
    size_t count = 0;
    struct list_root *roots;
    w->passes++;
    for (uint32_t i = 0; i < w->view.count; i++)
        count += roots_of(w, w->view.tuples[i], &roots);
    return count;
}

err windowed_gather(struct windowed *w)
{
    size_t count = count_roots(w);
    w->roots.count = 0;
    if (owners_reserve(w, count) != OK) return ERR_NOMEM;
    struct owner *to = w->owners;
    w->passes++;
    for (uint32_t i = 0; i < w->view.count; i++) {
        struct list_root *roots;
        uint32_t n = roots_of(w, w->view.tuples[i], &roots);
        for (uint32_t k = 0; k < n; k++)
            *to++ =
                (struct owner){roots[k].root, w->view.tuples[i]->id, &roots[k]};
    }
    if (count > 1) qsort(w->owners, count, sizeof *w->owners, compare_owners);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && w->owners[i].root == w->owners[i - 1].root) continue;
        if (roots_append(&w->roots, w->owners[i].root, 0) != OK)
            return ERR_NOMEM;
        w->owners[w->roots.count - 1] = w->owners[i];
    }
    return OK;
}

void windowed_hand_out(struct windowed *w)
{
    for (uint32_t i = 0; i < w->roots.count; i++)
        w->owners[i].held->edges ^= w->roots.roots[i].edges;
}

static void settle_roots(struct guest *g, const struct list_root *roots,
                         uint32_t count, enum window_fate fate)
{
    const char *why = g->windowed->reason;
    if (fate == WINDOW_ACK)
        executor_settle_held(g->context, roots, count);
    else
        executor_fail_held(g->context, roots, count,
                           why ? why : "the task that held it has ended");
}

static void group_free(struct windowed *w, struct group *group)
{
    w->group_bytes -= group_bytes(group->count);
    if (w->group == group) w->group = NULL;
    mem_free(group);
}

/* They fail with the first of its events, and are acked with the last. */
void windowed_settle(void *context, struct window_event *event,
                     enum window_fate fate)
{
    struct guest *g = context;
    struct group *group = group_of(event);
    if (group == NULL) {
        settle_roots(g, window_roots(event), 1, fate);
        return;
    }
    if (fate == WINDOW_FAIL && !group->failed) {
        settle_roots(g, group->roots, group->count, fate);
        group->failed = true;
    }
    if (--group->events > 0) return;
    if (!group->failed) settle_roots(g, group->roots, group->count, fate);
    group_free(g->windowed, group);
}

void windowed_touch(void *context, struct window_event *event)
{
    struct guest *g = context;
    struct list_root *roots;
    uint32_t count = roots_of(g->windowed, event, &roots);
    executor_touch_held(g->context, roots, count);
}

/* ---- what comes ---- */

err windowed_find_group(struct guest *g, struct group **out)
{
    struct windowed *w = g->windowed;
    struct input *input = g->input;
    *out = w->group;
    if (w->group && w->batch == input->batch && w->anchor == input->anchor)
        return OK;
    uint32_t count = input_roots(input);
    *out = NULL;
    if (w->group_bytes + group_bytes(count) > windowed_memory_bytes(g))
        return ERR_LIMIT;
    struct group *group = mem_zero(1, group_bytes(count));
    if (group == NULL) return ERR_NOMEM;
    group->count = count;
    w->group_bytes += group_bytes(count);
    w->batch = input->batch;
    w->anchor = input->anchor;
    *out = w->group = group;
    return OK;
}

void windowed_drop_group(struct windowed *w, struct group *group)
{
    if (group && group->events == 0) group_free(w, group);
}

void windowed_hold(struct guest *g, struct group *group,
                   struct window_event *event)
{
    if (group == NULL) {
        executor_hold(g->context, g->input, window_roots(event));
        return;
    }
    if (group->events == 0) executor_hold(g->context, g->input, group->roots);
    group->events++;
    *window_roots(event) = (struct list_root){
        .root = ROOT_LIST, .edges = (uint64_t)(uintptr_t)group};
}
