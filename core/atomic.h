/* atomic.h - every atomic operation of the engine.
 * Two builds: the real one is C11's atomics; under ENGINE_EXPLORE each
 * operation first gives the schedule explorer (spec/explore) a chance to run
 * another thread's code, so that interleavings are chosen by a seed. Memory
 * orders are given at each call; the explorer sees sequential consistency,
 * the orders themselves are checked by the thread sanitizer. */
#ifndef CORE_ATOMIC_H
#define CORE_ATOMIC_H

#include <stdatomic.h>

#ifdef ENGINE_EXPLORE
void explore_point(void); /* spec/explore: maybe another fiber runs here */
#else
static inline void explore_point(void)
{
}
#endif

/* The line of memory at `p`, which may be any address, will be written soon:
 * it is brought here meanwhile, from another processor if need be. */
static inline void will_write(const void *p)
{
#if defined(__x86_64__)
    __asm__("prefetchw %0" : : "m"(*(const char *)p));
#else
    __builtin_prefetch(p, 1);
#endif
}

#define RELAXED memory_order_relaxed
#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release
#define ACQ_REL memory_order_acq_rel
#define SEQ_CST memory_order_seq_cst

#define at_load(p, order) (explore_point(), atomic_load_explicit((p), (order)))
#define at_store(p, v, order)                                                  \
    (explore_point(), atomic_store_explicit((p), (v), (order)))
#define at_swap(p, v, order)                                                   \
    (explore_point(), atomic_exchange_explicit((p), (v), (order)))
#define at_add(p, v, order)                                                    \
    (explore_point(), atomic_fetch_add_explicit((p), (v), (order)))
#define at_sub(p, v, order)                                                    \
    (explore_point(), atomic_fetch_sub_explicit((p), (v), (order)))
#define at_or(p, v, order)                                                     \
    (explore_point(), atomic_fetch_or_explicit((p), (v), (order)))
#define at_and(p, v, order)                                                    \
    (explore_point(), atomic_fetch_and_explicit((p), (v), (order)))
/* Strong: fails only when *p was not *expected, which it then updates. */
#define at_cas(p, expected, v, order)                                          \
    (explore_point(), atomic_compare_exchange_strong_explicit(                 \
                          (p), (expected), (v), (order), RELAXED))

#endif
