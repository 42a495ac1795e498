#include "core/group.h"
#include "core/alloc.h"
#include "core/runtime.h"

struct actor_group {
    pthread_mutex_t lock;
    bool taken;          /* somebody has the turn, or is given it: */
    struct actor *given; /* to this one, which hasn't entered; NULL: none */
    struct actor *first, *last; /* that wait: no run queue holds them, so they
                                   are linked by its link */
};

struct actor_group *group_new(void)
{
    struct actor_group *group = mem_zero(1, sizeof *group);
    if (group) pthread_mutex_init(&group->lock, NULL);
    return group;
}

void group_free(struct actor_group *group)
{
    if (group == NULL) return;
    pthread_mutex_destroy(&group->lock);
    mem_free(group);
}

static void append(struct actor_group *group, struct actor *actor)
{
    actor->run_next = NULL;
    if (group->first)
        group->last->run_next = actor;
    else
        group->first = actor;
    group->last = actor;
}

/* Who has the turn isn't known by its address: it may have gone idle and be
 * scheduled again before the activation leaves. */
bool group_enter(struct actor_group *group, struct actor *actor)
{
    pthread_mutex_lock(&group->lock);
    bool mine = !group->taken || group->given == actor;
    if (mine) {
        group->taken = true;
        group->given = NULL;
    } else {
        append(group, actor);
    }
    pthread_mutex_unlock(&group->lock);
    return mine;
}

struct actor *group_leave(struct actor_group *group)
{
    pthread_mutex_lock(&group->lock);
    struct actor *next = group->first;
    if (next) group->first = next->run_next;
    group->given = next;
    group->taken = next != NULL;
    pthread_mutex_unlock(&group->lock);
    return next;
}
