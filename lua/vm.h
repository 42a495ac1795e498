/* vm.h - one guest machine: a lua_State with a memory limit, a budget per call
 * and one door through which the host runs it.
 *
 * All Lua of a VM runs in one coroutine, the executor's, entered by vm_run()
 * and, after a suspension, by vm_resume(). At most one thread is inside a VM at
 * a time; it may be another thread each time. A VM is made of nothing global.
 *
 * How a batch is run (spec/vm_guest.h has it in full):
 *
 *   body(L)             C function given to vm_run; argument 1 is ctx
 *     lua_pcallk(...)   ONE per batch, with vm_handler() as message handler;
 *                       its continuation notes the failed tuple, goes on
 *       per tuple:      vm_next_tuple(L);
 *                       push function and arguments;
 *                       lua_callk(L, nargs, 0, ctx, continuation);
 *
 * A slice's end yields out of all of this, user coroutines included, and
 * vm_resume() goes on where it was. A tuple over its budget ends the run as
 * VM_DROPPED, with the coroutine reset: the host counts the tuple in hand as
 * failed and calls vm_run() again for the rest. Where a frame can't yield
 * (comparator, gsub callback, metamethod, __close) the hook raises instead, as
 * often as it is caught: then the batch's pcallk sees an ordinary error.
 * Budget and doom are cleared by vm_next_tuple() and vm_run(). */
#ifndef LUA_VM_H
#define LUA_VM_H

#include "core/err.h"
#include "lua/heap.h"
#include "lua/watchdog.h"
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm; /* opaque */

enum vm_outcome {
    VM_DONE,     /* body returned */
    VM_FAILED,   /* body raised, or memory ran out: vm_error() */
    VM_YIELDED,  /* the slice is over: vm_resume() when it is our turn again */
    VM_SLEEPING, /* vm_sleep() was called: vm_resume() after vm_sleep_ns() */
    VM_DROPPED,  /* the tuple in hand was over its budget: vm_error() */
};

/* Zero or NULL in a field means the default. Copied by vm_new(); what the
 * pointers point to must outlive the VM. */
struct vm_config {
    size_t memory_bytes; /* hard limit of the heap; 64 MB */
    bool heap_plain;     /* every block through mem_*, for the sanitizers; not
                            when counting, which needs the heap's ranks */
    struct pages *pages; /* of the heap; NULL: each is a block of mem_* */
    uint64_t budget_ns;  /* running time of one tuple's call; 5 s */
    /* The simulated world: no watchdog; slice and budget count instructions,
     * `pairs` goes in key order, nothing shows an address: runs replay. */
    bool counting;
    uint64_t slice_steps;  /* counting: 200,000 */
    uint64_t budget_steps; /* counting: 100,000,000 */

    /* The environment given to scripts (lua/sandbox.h). */
    uint64_t seed; /* of math.random */
    void *host;    /* given to the callbacks below; vm_host() */
    void (*print)(void *host, const char *text, size_t bytes); /* NULL: lost */
    /* A slice has been over for half another where no frame can yield: the call
     * in hand may run on for its whole budget. Told once a call and slice, on
     * the thread that runs it, inside Lua. NULL: nobody minds. */
    void (*held_up)(void *host);
    int64_t (*wall_ns)(void *host); /* ns since 1970; NULL: it is 1970 */
    lua_CFunction require;          /* NULL: `require` is absent */
};

/* ERR_NOMEM: no memory, or memory_bytes is too small for the libraries.
 * Opens the libraries. Owned by the caller. Any thread. */
err vm_new(struct vm **out, const struct vm_config *config);
/* Frees everything, suspended or not; no Lua code runs. Every struct vref must
 * have been dropped (asserted). NULL is fine. */
void vm_free(struct vm *vm);

/* Runs body(L) in the VM's coroutine with `ctx` as a light userdata. `seat` is
 * the calling thread's; NULL in counting mode, or when nobody watches (then
 * neither slice nor budget ends anything). The VM must not be suspended. */
enum vm_outcome vm_run(struct vm *vm, struct watchdog_seat *seat,
                       lua_CFunction body, void *ctx);
/* Goes on after VM_YIELDED or VM_SLEEPING. */
enum vm_outcome vm_resume(struct vm *vm, struct watchdog_seat *seat);
/* Drops a suspended run: pending __close run under their own budget. */
void vm_abandon(struct vm *vm, struct watchdog_seat *seat);
bool vm_is_suspended(const struct vm *vm);

/* After VM_FAILED and VM_DROPPED: message and traceback, 0-terminated; borrowed
 * until the next run, resume or abandon. */
const char *vm_error(const struct vm *vm);
/* After VM_SLEEPING. */
uint64_t vm_sleep_ns(const struct vm *vm);

/* --- for C functions that Lua calls, on any coroutine of the VM --- */

struct vm *vm_of(lua_State *L);
void *vm_host(lua_State *L);
const struct vm_config *vm_config_of(const struct vm *vm);
struct heap *vm_heap(struct vm *vm);
/* The main lua_State: for host code outside a run (registry, refs). Calls that
 * may raise need a run, or vm_protect(). */
lua_State *vm_main(struct vm *vm);

/* A new call begins: its budget starts, doom of the one before is cleared.
 * [-0, +0, -] Cheap: no clock is read. */
void vm_next_tuple(lua_State *L);

/* Charges a C loop's work to the budget: call it every some hundred steps.
 * One step is about one VM instruction (5 ns). Real world: asks whether a
 * signal has landed, and only then looks at the clock. Counting: adds steps.
 * Raises when the call is over its budget. In a lua_State that is no VM's and
 * whose extra space is zeroed it does nothing. [-0, +0, v] */
void vm_charge(lua_State *L, size_t steps);

/* `return vm_sleep(L, ns)`: suspends the whole VM, through user coroutines; the
 * Lua function returns nothing. Raises where it can't yield. [-0, +0, v] */
int vm_sleep(lua_State *L, uint64_t ns);
/* Everything from L up to the host can be suspended here. */
bool vm_can_yield(lua_State *L);

/* Pushes the message handler for lua_pcallk: makes text of the error value
 * (a table's __tostring is called protected) and appends a traceback without
 * the engine's frames. [-0, +1, -] */
void vm_handler(lua_State *L);
/* Makes the value at `index` text, whatever it is; never raises but for
 * memory. [-0, +1, m] */
const char *vm_text(lua_State *L, int index);

/* Calls fn(L) with ctx as light userdata on the main state, protected, outside
 * any run: for setup and teardown (taking refs, compiling). No slice or budget
 * holds there, so fn must not call user code. ERR_CRASHED or ERR_NOMEM:
 * vm_error(). */
err vm_protect(struct vm *vm, lua_CFunction fn, void *ctx);
/* The same with memory beyond the VM's limit: for what may not fail because a
 * script has used up its own. */
err vm_protect_spare(struct vm *vm, lua_CFunction fn, void *ctx);

/* Between runs: from now on `pairs` and `next` go in the order of the keys
 * (lua/order.h), or in Lua's. When counting they always go in order. */
void vm_set_ordered(struct vm *vm, bool ordered);

/* --- counters, between runs --- */
uint64_t vm_steps(const struct vm *vm); /* counting: instructions so far */

/* --- for lua/sandbox.c, lua/order.c, lua/ref.c and lua/coroutine.c --- */

/* When the VM was made, by the clock that scripts see. */
int64_t *vm_born_ns(lua_State *L);
/* Do `pairs` and `next` go in the order of the keys? */
bool vm_is_ordered(lua_State *L);
/* Refs taken (1) and dropped (-1). */
void vm_count_refs(lua_State *L, int change);
/* How many user coroutines live, at most: kept by lua/coroutine.c. */
int *vm_coroutines(lua_State *L);

/* lua_resume(co, L, nargs, nres) under the watchdog: publishes co as running,
 * keeps the doom sticky. When the engine suspends the VM inside co, the return
 * is LUA_YIELD with *engine set: the caller must `return vm_pass(...)`. */
int vm_enter(lua_State *L, lua_State *co, int nargs, int *nres, bool *engine);
/* Passes the engine's suspension up: yields L, and k goes on; k resumes co by
 * vm_enter() with no arguments. Raises if L can't yield (then co is lost). */
int vm_pass(lua_State *L, lua_State *co, lua_KContext ctx, lua_KFunction k);
/* lua_resetthread(co) with hooks that raise instead of yielding; raises when
 * nested too deep (5.4.4 would overflow the C stack). Returns its status; on
 * an error the message is on top of co. */
int vm_close_coroutine(lua_State *L, lua_State *co);
/* co died over budget, inside a hook: it can't be resumed or closed. */
bool vm_is_condemned(lua_State *co);
/* The executor's coroutine or the main state: not the user's to touch. */
bool vm_is_own(lua_State *co);

#endif
