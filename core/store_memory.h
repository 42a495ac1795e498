/* store_memory.h - a store's backend in memory: of runs without a folder, and
 * of the simulated world, where it outlives the nodes and fails by the seed. */
#ifndef CORE_STORE_MEMORY_H
#define CORE_STORE_MEMORY_H

#include "core/store.h"

struct store_memory;

/* NULL: out of memory. Owned. */
struct store_memory *store_memory_new(void);
/* No store may use it any more. NULL is fine. */
void store_memory_free(struct store_memory *memory);
/* For store_new(); several stores one after the other see the same records.
 * Closing it does not free them. */
struct store_backend store_memory_backend(struct store_memory *memory);
/* Asked before each commit: anything but OK is its outcome, and nothing of it
 * is there. NULL: none fails. */
void store_memory_set_fault(struct store_memory *memory,
                            err (*fault)(void *context), void *context);
/* How many records there are. */
size_t store_memory_count(const struct store_memory *memory);

#endif
