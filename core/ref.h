/* ref.h - a counted owner: buffers that several actors hold at once.
 * Embed it first in a struct; the last ref_drop() calls `free`. Any thread. */
#ifndef CORE_REF_H
#define CORE_REF_H

#include <stdint.h>

#include "core/atomic.h"

struct env;

struct ref {
    _Atomic uint32_t count;
    /* Called once, by the thread that dropped the last reference. */
    void (*free)(struct env *env, struct ref *ref);
};

static inline void ref_init(struct ref *ref,
                            void (*release)(struct env *, struct ref *))
{
    atomic_init(&ref->count, 1);
    ref->free = release;
}

static inline void ref_take(struct ref *ref)
{
    at_add(&ref->count, 1, RELAXED);
}

static inline void ref_drop(struct env *env, struct ref *ref)
{
    /* A sole owner needs no locked instruction: nobody can take one now. */
    if (at_load(&ref->count, ACQUIRE) == 1 ||
        at_sub(&ref->count, 1, ACQ_REL) == 1)
        ref->free(env, ref);
}

#endif
