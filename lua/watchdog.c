#include "lua/watchdog.h"
#include "core/alloc.h"
#include "core/atomic.h"
#include <assert.h>
#include <signal.h>
#include <time.h>

/* The thread sanitizer's runtime is no place to be interrupted: it delays
 * signals to the next system call, which an endless loop never makes, and those
 * it doesn't delay can deadlock in its own allocator. There the VM's hook is
 * always on and asks for the order that the signal would have brought. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZES_THREADS 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(SANITIZES_THREADS)
enum { BY_SIGNAL = false };
#else
enum { BY_SIGNAL = true };
#endif

/* The one place that chooses the signal. SIGURG is ignored by default, so a
 * stray one harms nobody. */
enum { SIGNAL = SIGURG };

/* A signal is repeated at most so many slices after the one before. */
enum { GAP_SLICES = 8 };

/* After so many looks in vain, each half a slice, the watchdog sleeps until Lua
 * runs again. */
enum { VAIN_LOOKS = 2 };

struct watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    uint64_t slice_ns;
    struct watchdog_seat *seats; /* under the lock */
    bool stopping;               /* under the lock */
    _Atomic bool asleep;         /* a beginning slice must wake us */
};

/* A signal handler is given nothing but a number: the thread it runs on is all
 * it can know, so the thread's seat hangs on the thread. It is set while the
 * thread sits and written by nobody else. */
static _Thread_local struct watchdog_seat *own_seat;

/* Runs on a scheduler thread between any two of its instructions. Everything
 * here is async-signal-safe: lock-free atomics and lua_sethook(), which Lua
 * documents for this use. Plain atomics instead of at_*: no schedule explorer
 * may switch here. */
static void on_signal(int number)
{
    struct watchdog_seat *s = own_seat;
    if (s == NULL) return;
    lua_State *L = atomic_load_explicit(&s->running, RELAXED);
    if (L == NULL) return; /* outside Lua */
    if (atomic_load_explicit(&s->ordered, RELAXED) !=
        atomic_load_explicit(&s->slice, RELAXED))
        return; /* meant for a slice that has ended by itself */
    atomic_store_explicit(&s->overdue, true, RELAXED);
    lua_sethook(L, s->hook, LUA_MASKCOUNT, 1);
}

uint64_t watchdog_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* At once for a slice that has just been found over, then at growing distances:
 * arming the hook walks all frames of a coroutine, and a deep recursion would
 * do nothing else any more. */
static bool is_time_for_signal(struct watchdog *w, struct watchdog_seat *s,
                               uint64_t slice, uint64_t now)
{
    if (at_load(&s->ordered, RELAXED) != slice)
        s->gap_ns = w->slice_ns / 2;
    else if (now < s->again_ns)
        return false;
    else if (s->gap_ns < GAP_SLICES * w->slice_ns)
        s->gap_ns *= 2;
    s->again_ns = now + s->gap_ns;
    return true;
}

/* Sends the signal if the seat's slice is over. Under the lock, so the thread
 * has not left its seat. Returns whether Lua runs there. */
static bool look_at(struct watchdog *w, struct watchdog_seat *s)
{
    uint64_t slice = at_load(&s->slice, ACQUIRE);
    uint64_t since = at_load(&s->since_ns, SEQ_CST);
    if (since == 0) return false;
    uint64_t now = watchdog_now_ns();
    if (now < since || now - since < w->slice_ns) return true;
    /* A slice that began between the two loads is caught by its number. */
    if (at_load(&s->slice, ACQUIRE) != slice) return true;
    if (is_time_for_signal(w, s, slice, now)) {
        at_store(&s->ordered, slice, RELEASE);
        if (BY_SIGNAL) pthread_kill(s->thread, SIGNAL);
    }
    return true;
}

static bool look_at_all(struct watchdog *w)
{
    bool busy = false;
    for (struct watchdog_seat *s = w->seats; s; s = s->next)
        busy |= look_at(w, s);
    return busy;
}

static void pause_for(struct watchdog *w, uint64_t ns)
{
    uint64_t until = watchdog_now_ns() + ns;
    struct timespec t = {
        .tv_sec = (time_t)(until / 1000000000u),
        .tv_nsec = (long)(until % 1000000000u),
    };
    pthread_cond_timedwait(&w->wake, &w->lock, &t);
}

/* No Lua runs: sleep until a slice begins. A slice that begins while we decide
 * either is seen by the second look or sees `asleep` (both are SEQ_CST). */
static void sleep_idle(struct watchdog *w)
{
    at_store(&w->asleep, true, SEQ_CST);
    while (!w->stopping && at_load(&w->asleep, SEQ_CST) && !look_at_all(w))
        pthread_cond_wait(&w->wake, &w->lock);
    at_store(&w->asleep, false, SEQ_CST);
}

static void *watch(void *arg)
{
    struct watchdog *w = arg;
    int idle_looks = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        idle_looks = look_at_all(w) ? 0 : idle_looks + 1;
        if (idle_looks >= VAIN_LOOKS) {
            sleep_idle(w);
            idle_looks = 0;
        } else {
            pause_for(w, w->slice_ns / 2);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void install_handler(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&a.sa_mask);
    sigaction(SIGNAL, &a, NULL);
}

/* The thread with every signal blocked: they are the node's to take. */
static int start_thread(struct watchdog *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&w->thread, NULL, watch, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

err watchdog_new(struct watchdog **out, uint64_t slice_ns)
{
    struct watchdog *w = mem_zero(1, sizeof *w);
    if (w == NULL) return ERR_NOMEM;
    w->slice_ns = slice_ns;
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) goto no_attributes;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&w->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed) goto no_attributes;
    if (pthread_mutex_init(&w->lock, NULL) != 0) goto no_lock;
    install_handler();
    if (start_thread(w) != 0) goto no_thread;
    *out = w;
    return OK;
no_thread:
    pthread_mutex_destroy(&w->lock);
no_lock:
    pthread_cond_destroy(&w->wake);
no_attributes:
    mem_free(w);
    return ERR_LIMIT;
}

void watchdog_free(struct watchdog *w)
{
    if (w == NULL) return;
    pthread_mutex_lock(&w->lock);
    assert(w->seats == NULL);
    w->stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    mem_free(w);
}

void watchdog_sit(struct watchdog *w, struct watchdog_seat *seat)
{
    assert(own_seat == NULL);
    *seat = (struct watchdog_seat){.thread = pthread_self(), .watchdog = w};
    own_seat = seat;
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &mine, NULL);
    pthread_mutex_lock(&w->lock);
    seat->next = w->seats;
    w->seats = seat;
    pthread_mutex_unlock(&w->lock);
}

void watchdog_leave(struct watchdog_seat *seat)
{
    struct watchdog *w = seat->watchdog;
    assert(own_seat == seat);
    pthread_mutex_lock(&w->lock);
    struct watchdog_seat **at = &w->seats;
    while (*at != seat)
        at = &(*at)->next;
    *at = seat->next;
    pthread_mutex_unlock(&w->lock);
    own_seat = NULL;
}

static void wake(struct watchdog *w)
{
    pthread_mutex_lock(&w->lock);
    at_store(&w->asleep, false, SEQ_CST);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

uint64_t watchdog_begin(struct watchdog_seat *seat, lua_State *L, lua_Hook hook)
{
    if (seat->watchdog == NULL) return 0;
    uint64_t now = watchdog_now_ns();
    seat->hook = hook;
    /* Only this thread writes the slice; numbers begin at 1 because ordered
     * begins at 0. */
    uint64_t slice = at_load(&seat->slice, RELAXED) + 1;
    at_store(&seat->slice, slice, RELEASE);
    at_store(&seat->overdue, false, RELAXED);
    at_store(&seat->running, L, RELEASE);
    at_store(&seat->since_ns, now, SEQ_CST);
    if (at_load(&seat->watchdog->asleep, SEQ_CST)) wake(seat->watchdog);
    return now;
}

void watchdog_switch(struct watchdog_seat *seat, lua_State *L)
{
    at_store(&seat->running, L, RELEASE);
}

void watchdog_end(struct watchdog_seat *seat)
{
    at_store(&seat->running, NULL, RELEASE);
    at_store(&seat->since_ns, 0, RELEASE);
}

bool watchdog_is_over(struct watchdog_seat *seat)
{
    return seat->watchdog != NULL &&
           at_load(&seat->ordered, RELAXED) == at_load(&seat->slice, RELAXED);
}

bool watchdog_interrupts(void)
{
    return BY_SIGNAL;
}

bool watchdog_landed(struct watchdog_seat *seat)
{
    if (!BY_SIGNAL) return watchdog_is_over(seat);
    if (!at_load(&seat->overdue, RELAXED)) return false;
    at_store(&seat->overdue, false, RELAXED);
    return true;
}
