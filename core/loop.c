#define _GNU_SOURCE /* timerfd, eventfd */
#include "core/loop.h"
#include "core/alloc.h"
#include "core/node.h"
#include <event2/event.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct watch {
    struct watch *next;
    struct loop *loop;
    struct event *event; /* owned */
    loop_readable *readable;
    void *context;
};

struct timer {
    struct timer *next;
    struct loop *loop;
    struct event *event; /* owned */
    loop_due *due;
    void *context;
};

struct loop {
    struct node *node;
    struct env *env;         /* owned; the I/O thread's */
    struct event_base *base; /* owned */
    struct watch *watches;   /* owned */
    struct timer *timers;    /* owned */
    int timer_fd;
    int stop_fd;
    bool running;
    pthread_t thread;
};

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;
    watch->readable(watch->loop->env, (int)fd, watch->context);
}

static void on_timer(struct env *env, int fd, void *context)
{
    uint64_t times;
    if (read(fd, &times, sizeof times) < 0) return; /* set anew meanwhile */
    node_alarm(env);
}

static void on_stop(struct env *env, int fd, void *context)
{
    event_base_loopbreak(context);
}

err loop_watch(struct loop *loop, int fd, loop_readable *readable,
               void *context)
{
    struct watch *watch = mem_zero(1, sizeof *watch);
    if (watch == NULL) return ERR_NOMEM;
    watch->loop = loop;
    watch->readable = readable;
    watch->context = context;
    watch->event =
        event_new(loop->base, fd, EV_READ | EV_PERSIST, on_readable, watch);
    if (watch->event == NULL || event_add(watch->event, NULL) != 0) {
        if (watch->event) event_free(watch->event);
        mem_free(watch);
        return ERR_NOMEM;
    }
    watch->next = loop->watches;
    loop->watches = watch;
    return OK;
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct timer *timer = arg;
    timer->due(timer->loop->env, timer->context);
}

err loop_timer(struct loop *loop, int64_t after_ns, bool repeat, loop_due *due,
               void *context)
{
    struct timer *timer = mem_zero(1, sizeof *timer);
    if (timer == NULL) return ERR_NOMEM;
    timer->loop = loop;
    timer->due = due;
    timer->context = context;
    timer->event =
        event_new(loop->base, -1, repeat ? EV_PERSIST : 0, on_due, timer);
    struct timeval after = {.tv_sec = (time_t)(after_ns / 1000000000),
                            .tv_usec = (long)(after_ns % 1000000000 / 1000)};
    if (timer->event == NULL || event_add(timer->event, &after) != 0) {
        if (timer->event) event_free(timer->event);
        mem_free(timer);
        return ERR_NOMEM;
    }
    timer->next = loop->timers;
    loop->timers = timer;
    return OK;
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

struct env *loop_env(struct loop *loop)
{
    return loop->env;
}

/* Are there files left for libevent's own? It ends the process when not. */
static bool files_left(int fd)
{
    enum { FILES = 8 };
    int copies[FILES], count = 0;
    while (count < FILES && (copies[count] = dup(fd)) >= 0)
        count++;
    bool enough = count == FILES;
    while (count > 0)
        close(copies[--count]);
    return enough;
}

struct loop *loop_new(struct node *node)
{
    struct loop *loop = mem_zero(1, sizeof *loop);
    if (loop == NULL) return NULL;
    loop->node = node;
    loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    loop->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->env = node_outside(node);
    if (files_left(loop->timer_fd)) loop->base = event_base_new();
    if (loop->timer_fd < 0 || loop->stop_fd < 0 || loop->env == NULL ||
        loop->base == NULL ||
        loop_watch(loop, loop->timer_fd, on_timer, NULL) != OK ||
        loop_watch(loop, loop->stop_fd, on_stop, loop->base) != OK) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

static void *serve(void *arg)
{
    struct loop *loop = arg;
    event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

err loop_start(struct loop *loop)
{
    if (pthread_create(&loop->thread, NULL, serve, loop) != 0) return ERR_LIMIT;
    loop->running = true;
    return OK;
}

void loop_stop(struct loop *loop)
{
    if (!loop->running) return;
    uint64_t one = 1;
    while (write(loop->stop_fd, &one, sizeof one) < 0)
        continue;
    pthread_join(loop->thread, NULL);
    loop->running = false;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) return;
    loop_stop(loop);
    while (loop->watches) {
        struct watch *watch = loop->watches;
        loop->watches = watch->next;
        event_free(watch->event);
        mem_free(watch);
    }
    while (loop->timers) {
        struct timer *timer = loop->timers;
        loop->timers = timer->next;
        event_free(timer->event);
        mem_free(timer);
    }
    if (loop->base) event_base_free(loop->base);
    node_outside_free(loop->env);
    if (loop->timer_fd >= 0) close(loop->timer_fd);
    if (loop->stop_fd >= 0) close(loop->stop_fd);
    mem_free(loop);
}

void loop_alarm(struct loop *loop, int64_t at_ns)
{
    if (at_ns < 1) at_ns = 1; /* 0 would disarm it */
    struct itimerspec at = {
        .it_value = {at_ns / 1000000000, at_ns % 1000000000}};
    timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}
