/* watchdog.h - ends the slice of Lua code that runs too long on a thread.
 *
 * Lua runs without any hook: a hook slows every instruction. Each scheduler
 * thread has a seat in which it publishes what Lua it runs; one watchdog
 * thread per node looks at the seats, and when a slice is over it sends that
 * thread a signal. The handler arms a count hook on the running coroutine, and
 * the hook (lua/vm.c) yields, raises or lets it go on. A signal may come too
 * early, too late or between two coroutines: the slice's number is checked, and
 * the watchdog repeats it until the slice has ended.
 * Source of the idea: lua.c arms a hook in its handler of SIGINT. */
#ifndef LUA_WATCHDOG_H
#define LUA_WATCHDOG_H

#include "core/err.h"
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct watchdog; /* opaque; owned by the node */

/* What one thread runs. The caller's struct; fields are the watchdog's and
 * the VM's own. Written by its thread, read by the watchdog and the handler. */
struct watchdog_seat {
    _Atomic(lua_State *) running; /* the coroutine in hand; NULL outside Lua */
    _Atomic uint64_t slice;       /* number of the slice, never reused */
    _Atomic uint64_t since_ns;    /* when it began; 0 outside Lua */
    _Atomic uint64_t ordered;     /* the slice that shall end (watchdog) */
    _Atomic bool overdue;         /* a signal for this slice has landed */
    lua_Hook hook;                /* what the handler arms */
    uint64_t again_ns; /* when the signal is repeated, and the distance to */
    uint64_t gap_ns;   /* the one after: the watchdog's, under its lock */
    pthread_t thread;
    struct watchdog *watchdog;  /* NULL: nobody watches this seat */
    struct watchdog_seat *next; /* list of the watchdog, under its lock */
};

/* Starts the thread and installs the handler of the (process-wide) signal.
 * A slice is signalled between slice_ns and 1.5 slice_ns after it began, then
 * again after half a slice, after a whole one, two, four, and every eight.
 * ERR_NOMEM; ERR_LIMIT: the system gives no further thread. */
err watchdog_new(struct watchdog **out, uint64_t slice_ns);
/* All seats must have been left. Joins the thread. NULL is fine. */
void watchdog_free(struct watchdog *w);

/* The calling thread takes the seat, and leaves it before it ends. The seat
 * must live until it is left. A thread has at most one. */
void watchdog_sit(struct watchdog *w, struct watchdog_seat *seat);
void watchdog_leave(struct watchdog_seat *seat);

/* The calling thread, which owns the seat, begins a slice that runs `L`, runs
 * another coroutine, ends the slice. `begin` wakes a sleeping watchdog and
 * returns now in ns; it does not read the clock on an unwatched seat (0). */
uint64_t watchdog_begin(struct watchdog_seat *seat, lua_State *L,
                        lua_Hook hook);
void watchdog_switch(struct watchdog_seat *seat, lua_State *L);
void watchdog_end(struct watchdog_seat *seat);

/* The seat's slice has been signalled as over. Its own thread. */
bool watchdog_is_over(struct watchdog_seat *seat);
/* A signal has landed since the last question. Its own thread; cheap. */
bool watchdog_landed(struct watchdog_seat *seat);
/* False where signals can't be used (the thread sanitizer's build): there the
 * VM must look by itself every now and then. Any thread. */
bool watchdog_interrupts(void);
/* CLOCK_MONOTONIC. Any thread. */
uint64_t watchdog_now_ns(void);

#endif
