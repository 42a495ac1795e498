/* watchdog_spec.c - one watchdog over several threads and VMs, and its rest. */
#include "lua/vm.h"
#include "lua/watchdog.h"
#include "spec/spec.h"
#include "spec/vm_guest.h"
#include <pthread.h>
#include <time.h>

struct racer {
    struct watchdog *watchdog;
    int dropped, emits;
};

/* Its own VM under a common watchdog, honest and endless tuples mixed. */
static void *race(void *arg)
{
    static const char *const tuples[] = {"ok", "loop", "ok", "sort", "ok"};
    struct racer *r = arg;
    struct vm_config c = real_config();
    struct guest g = {
        .source = "return function(s)\n"
                  "  local loop = function() while true do end end\n"
                  "  if s == 'loop' then coroutine.wrap(loop)() end\n"
                  "  if s == 'sort' then table.sort({3, 2, 1}, loop) end\n"
                  "  emit(1) end"};
    c.host = &g;
    if (vm_new(&g.vm, &c) != OK) return NULL;
    watchdog_sit(r->watchdog, &g.seat);
    g.sits = &g.seat;
    vm_run(g.vm, g.sits, define, &g);
    for (int i = 0; i < 3; i++) {
        run_batch(&g, tuples, 5);
        r->dropped += g.batch.failed;
        r->emits += g.batch.emits;
    }
    vref_drop(&g.batch.execute);
    vm_free(g.vm);
    watchdog_leave(&g.seat);
    return NULL;
}

SPEC(watchdog, two_threads_each_with_a_vm)
{
    struct racer racers[2] = {{0}};
    struct watchdog *w;
    pthread_t threads[2];
    CHECK_EQ(watchdog_new(&w, 2 * MS), OK);
    for (int i = 0; i < 2; i++) {
        racers[i].watchdog = w;
        CHECK_EQ(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    watchdog_free(w);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(racers[i].dropped, 6);
        CHECK_EQ(racers[i].emits, 9);
    }
}

struct relay {
    struct guest *g;
    enum vm_outcome outcome;
};

/* Resumes once, on a thread of its own. */
static void *resume_elsewhere(void *arg)
{
    struct relay *r = arg;
    struct watchdog_seat seat;
    watchdog_sit(r->g->watchdog, &seat);
    r->outcome = vm_resume(r->g->vm, &seat);
    watchdog_leave(&seat);
    return NULL;
}

SPEC(watchdog, a_vm_goes_on_on_another_thread)
{
    static const char *const one[] = {"x"};
    struct vm_config c = real_config();
    c.budget_ns = 5000 * (uint64_t)MS;
    struct guest g;
    guest_init(&g, &c,
               "return function() local n = 0\n"
               "  coroutine.wrap(function()\n"
               "    for i = 1, 1500000 do n = n + i % 7 end end)()\n"
               "  emit(n) end");
    g.batch.tuples = one;
    g.batch.count = 1;
    struct relay r = {&g, vm_run(g.vm, g.sits, batch_body, &g.batch)};
    int hops = 0;
    for (; r.outcome == VM_YIELDED; hops++) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, resume_elsewhere, &r), 0);
        pthread_join(thread, NULL);
    }
    CHECK_EQ(r.outcome, VM_DONE);
    CHECK(hops > 1);
    CHECK_EQ(g.batch.emitted[0], 4500000);
    guest_fini(&g);
}

SPEC(watchdog, wakes_after_a_long_rest)
{
    static const char *const one[] = {"bad"};
    struct vm_config c = real_config();
    struct guest g;
    guest_init(&g, &c, "return function() while true do end end");
    for (int i = 0; i < 2; i++) {
        struct timespec t = {.tv_nsec = 20 * MS};
        nanosleep(&t, NULL);
        run_batch(&g, one, 1);
        CHECK_EQ(g.batch.dropped, 1);
    }
    guest_fini(&g);
}
