#include "lua/runtime.h"
#include "core/alloc.h"

enum { SLICE_NS = 10 * 1000 * 1000 };

struct lua_runtime {
    struct watchdog *watchdog; /* owned */
    struct pages *pages;       /* owned */
    unsigned threads;          /* with the scheduler's spare one */
    struct {
        struct watchdog_seat seat;
        bool taken; /* by its thread, which lives */
    } seats[];
};

err lua_runtime_new(struct lua_runtime **out, unsigned threads)
{
    threads++;
    struct lua_runtime *r = mem_zero(1, sizeof *r + threads * sizeof *r->seats);
    if (r == NULL) return ERR_NOMEM;
    r->threads = threads;
    err e = ERR_NOMEM;
    r->pages = pages_new();
    if (r->pages) e = watchdog_new(&r->watchdog, SLICE_NS);
    if (e == OK) {
        *out = r;
        return OK;
    }
    pages_free(r->pages);
    mem_free(r);
    return e;
}

void lua_runtime_free(struct lua_runtime *r)
{
    if (r == NULL) return;
    watchdog_free(r->watchdog);
    pages_free(r->pages);
    mem_free(r);
}

static void sit(void *context, unsigned thread)
{
    struct lua_runtime *r = context;
    watchdog_sit(r->watchdog, &r->seats[thread].seat);
    r->seats[thread].taken = true;
}

static void leave(void *context, unsigned thread)
{
    struct lua_runtime *r = context;
    r->seats[thread].taken = false;
    watchdog_leave(&r->seats[thread].seat);
}

struct thread_hooks lua_runtime_hooks(struct lua_runtime *r)
{
    return (struct thread_hooks){.begin = sit, .end = leave, .context = r};
}

struct watchdog_seat *lua_runtime_seat(struct lua_runtime *r, unsigned thread)
{
    if (r == NULL || thread >= r->threads || !r->seats[thread].taken)
        return NULL;
    return &r->seats[thread].seat;
}

struct pages *lua_runtime_pages(struct lua_runtime *r)
{
    return r ? r->pages : NULL;
}
