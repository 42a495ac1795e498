/* hooks.h - functions of the definition that are told what a task does: each
 * emit, execute, ack and fail. Those around `execute`, and around a spout's
 * `ack` and `fail`, are put there by lua/engine/hooks.lua; a component without
 * hooks runs as it is written. Each gets (self, info). */
#ifndef LUA_HOOKS_H
#define LUA_HOOKS_H

#include "lua/guest.h"

/* The component's table at the top, whose definition is at `body`, becomes the
 * one that runs; where neither it nor the record's topology has hooks, it
 * stays. With `take` the guest's hooks are these from now on. [-1, +1, v] */
void hooks_adopt(lua_State *L, struct guest *g, int body,
                 const struct vref *record, bool take);
/* Those of the guest are dropped. */
void hooks_fini(struct guest *g);

/* `count` values from slot `first` are about to be emitted. `id`: slot of the
 * spout's id, or 0; `task`: of a direct stream, or -1. Only where hooks.emit
 * is set. [-0, +0, v] */
void hooks_emit(lua_State *L, struct guest *g, unsigned stream, int id,
                lua_Integer task, int first, int count);

/* A root is about to be tracked under a token; the news of it has come. */
void hooks_note_token(lua_State *L, struct guest *g, uint64_t token);
void hooks_take_token(lua_State *L, struct guest *g, uint64_t token);

/* A bolt's tuple in hand fails for this reason (copied), before the executor
 * knows: the hook `fail` is owed. */
void hooks_note_failure(struct guest *g, const char *reason);
/* Pushes it with its arguments, two values, and owes nothing any more. False:
 * none was owed, nothing is pushed. [-0, +(0|3), v] */
bool hooks_push_failure(lua_State *L, struct guest *g);

/* The held tuple at `index` is acked (reason: NULL) or failed. `began_ns`: of
 * hooks_now_ns() when it was held. [-0, +0, v] */
void hooks_held(lua_State *L, struct guest *g, int index, int64_t began_ns,
                const char *reason);
int64_t hooks_now_ns(const struct guest *g);

#endif
