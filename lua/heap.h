/* heap.h - the allocator of one VM.
 *
 * Lua tells the size of what it frees, so blocks need no headers. Small blocks
 * (up to 2 KB) come from 16 KB pages of one size class each, an empty page goes
 * back, larger blocks go through mem_*. The first pages serve all sizes, so
 * that a small VM stays small; the very first holds the heap itself.
 * SHORT_SLACK bytes behind each block may be read (not written). Nothing but
 * the depot of pages is shared between heaps and nothing belongs to a thread:
 * one thread at a time.
 * Source of the idea: pages of one class found by address, as in mimalloc. */
#ifndef LUA_HEAP_H
#define LUA_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lua/pages.h"

struct heap; /* opaque */

struct heap_count {
    size_t used_bytes;    /* what Lua has asked for */
    size_t held_bytes;    /* what the heap holds of the process; limited */
    uint64_t allocations; /* blocks given out so far */
    uint64_t large_bytes; /* of those above 2 KB, and what they grew by */
};

/* `limit_bytes` bounds held_bytes. `plain`: every block is its own mem_*
 * block, so that the address sanitizer sees its end. `depot`: of its pages,
 * outlives the heap; NULL: there is none. NULL: no memory. */
struct heap *heap_new(size_t limit_bytes, bool plain, struct pages *depot);
/* From now on; what is held beyond it stays. */
void heap_set_limit(struct heap *h, size_t limit_bytes);
/* Each block must have been freed (asserted); lua_close() does. NULL is fine.
 */
void heap_free(struct heap *h);

/* A lua_Alloc; `heap` is a struct heap. Shrinking ignores the limit. */
void *heap_realloc(void *heap, void *block, size_t old_bytes, size_t new_bytes);

struct heap_count heap_counted(const struct heap *h);
/* The n-th allocation from now (1 is the next) fails, and each after it until
 * `failures` have failed. Lua collects garbage and tries once more after one
 * failure, so a failure that shows needs two. n = 0: none fails. */
void heap_fail(struct heap *h, uint64_t n, uint64_t failures);
/* A number for a small block that is the same in every run with the same
 * history of calls: addresses are not. 0: not a small block of this heap (any
 * pointer may be asked about), or the heap is plain. */
uint64_t heap_rank(const struct heap *h, const void *block);

#endif
