/* loop.h - the I/O thread: libevent, for file descriptors, signals, file
 * watches and the node's next deadline. It turns what happens into messages or
 * short callbacks; it never runs an actor. */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct env;
struct event_base;
struct node;
struct loop;

/* No thread runs yet. NULL: out of memory or of file descriptors. */
struct loop *loop_new(struct node *node);
/* ERR_LIMIT: the system gives no more threads. */
err loop_start(struct loop *loop);
/* Ends the thread; idempotent. */
void loop_stop(struct loop *loop);
void loop_free(struct loop *loop);

/* Calls back on the I/O thread whenever `fd` can be read, until loop_stop().
 * The descriptor stays the caller's. Before loop_start() only. ERR_NOMEM. */
typedef void loop_readable(struct env *env, int fd, void *context);
err loop_watch(struct loop *loop, int fd, loop_readable *readable,
               void *context);

/* Calls back on the I/O thread when `after_ns` have passed, and then, if
 * `repeat`, each time they have passed again; until loop_stop(). The clock
 * stands while the machine sleeps. Before loop_start() only. ERR_NOMEM. */
typedef void loop_due(struct env *env, void *context);
err loop_timer(struct loop *loop, int64_t after_ns, bool repeat, loop_due *due,
               void *context);

/* For core/net_real.c: libevent's side of it, and the I/O thread's view of the
 * node. Borrowed until loop_free(). */
struct event_base *loop_base(struct loop *loop);
struct env *loop_env(struct loop *loop);

/* struct world's alarm: the next deadline. Any thread. */
void loop_alarm(struct loop *loop, int64_t at_ns);

#endif
