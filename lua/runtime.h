/* runtime.h - what all Lua machines of a node share: the watchdog, a seat on
 * each scheduler thread, and the depot of pages. In the simulated world there
 * is none (NULL). */
#ifndef LUA_RUNTIME_H
#define LUA_RUNTIME_H

#include "core/err.h"
#include "core/scheduler.h"
#include "lua/pages.h"
#include "lua/watchdog.h"

struct lua_runtime;

/* Starts the watchdog. ERR_NOMEM, ERR_LIMIT. Owned. */
err lua_runtime_new(struct lua_runtime **out, unsigned threads);
/* After the scheduler's threads and all machines have ended. NULL is fine. */
void lua_runtime_free(struct lua_runtime *runtime);
/* For real_new(). */
struct thread_hooks lua_runtime_hooks(struct lua_runtime *runtime);
/* The seat of a scheduler thread; NULL without a runtime. */
struct watchdog_seat *lua_runtime_seat(struct lua_runtime *runtime,
                                       unsigned thread);
/* For vm_config; NULL without a runtime. */
struct pages *lua_runtime_pages(struct lua_runtime *runtime);

#endif
