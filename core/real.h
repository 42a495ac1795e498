/* real.h - the real world: threads, the machine's clock, disk and sockets. */
#ifndef CORE_REAL_H
#define CORE_REAL_H

#include "core/loop.h"
#include "core/node.h"
#include "core/scheduler.h"

struct real;

/* A node on `threads` scheduler threads with an I/O thread and a pool for
 * blocking work. `log` is borrowed, `hooks` copied; both may be NULL. NULL:
 * out of memory or descriptors. */
struct real *real_new(unsigned threads, uint64_t seed, struct log *log,
                      const struct thread_hooks *hooks);
/* ERR_LIMIT: the system gives no more threads. */
err real_start(struct real *real);
/* Ends all threads; actors are ended by real_free(). */
void real_stop(struct real *real);
void real_free(struct real *real);
struct node *real_node(struct real *real);
struct loop *real_loop(struct real *real);

/* The machine's clocks. Any thread. */
int64_t real_now_ns(void *unused);
int64_t real_wall_ns(void *unused);

#endif
