/* fault.h - makes allocations fail: the n-th that the calling thread asks for
 * while it is armed, and those behind it until so many have failed.
 * The linker puts it before malloc, calloc, realloc and aligned_alloc, and
 * before heap_realloc(), which serves Lua from memory that mem_* gave earlier
 * (see the rule of build/…/spec). What isn't the engine's asking, a world's
 * notes for one, goes between fault_pause() and fault_go_on(). */
#ifndef SPEC_FAULT_H
#define SPEC_FAULT_H

#include <stdbool.h>
#include <stdint.h>

enum fault_kind {
    FAULT_HEAP, /* asked of the process */
    FAULT_LUA,  /* by a VM of its heap; refused until Lua has raised: it tries
                   once more after a collection */
    FAULT_KINDS,
};

/* From now on: the n-th of that kind fails, and all of both kinds behind it
 * until `failures` have. n = 0: none does. Counting begins anew. */
void fault_arm(enum fault_kind kind, uint64_t n, uint64_t failures);
/* From now on every `every`-th request of a VM is refused and granted when it
 * is made again: a full collection at these points, nothing else. */
void fault_arm_collections(uint64_t every);
void fault_disarm(void);

/* Since it was armed: how many were asked for, and failed. */
uint64_t fault_asked(enum fault_kind kind);
uint64_t fault_failed(void);

/* Neither counted nor failed between; nests. */
void fault_pause(void);
void fault_go_on(void);

#endif
