/* group.h - a turn that actors share: of a group's actors one at a time is
 * activated, its birth and its end included. Who finds the turn taken waits in
 * the group, in the order of arrival, and is scheduled when the turn is its
 * own: no thread waits for one. An activation that is held up keeps the turn;
 * an actor that waits for a message, a deadline or credit doesn't have it. */
#ifndef CORE_GROUP_H
#define CORE_GROUP_H

#include <stdbool.h>

struct actor;
struct actor_group;

/* NULL: out of memory. Free it after the threads of the node have stopped. Any
 * thread. */
struct actor_group *group_new(void);
void group_free(struct actor_group *group);

/* For the runtime only, by the thread that owns the scheduled actor. True: it
 * has the turn. False: it waits, and is no longer the caller's to touch. */
bool group_enter(struct actor_group *group, struct actor *actor);
/* The turn is over. The first that waits, which has it now and is to be
 * scheduled; NULL: nobody has it. */
struct actor *group_leave(struct actor_group *group);

#endif
