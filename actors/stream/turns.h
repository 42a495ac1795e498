/* turns.h - the tasks of one executor take turns: a group (core/group.h) for
 * each executor that works for several. */
#ifndef ACTORS_STREAM_TURNS_H
#define ACTORS_STREAM_TURNS_H

#include "actors/stream/plan.h"
#include "core/group.h"

/* By task of the plan, the group it is in; NULL: it has an executor to itself.
 * NULL: out of memory. Owned. */
struct actor_group **turns_new(const struct plan *plan);
void turns_free(struct actor_group **turns, const struct plan *plan);

#endif
