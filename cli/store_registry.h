/* store_registry.h - the registry in a store, for who looks into a folder. */
#ifndef CLI_STORE_REGISTRY_H
#define CLI_STORE_REGISTRY_H

#include <stdio.h>

#include "core/store.h"

/* A table of its keys, those above others first; nothing if there is none.
 * ERR_FORMAT: a record of it is damaged, or a newer engine's. ERR_NOMEM. */
err store_list_registry(struct store_view *view, FILE *to);
/* A line of JSON for the key and each below it, "/": for all. *found: how many.
 * Errors as above; ERR_IO. */
err store_print_registry(struct store_view *view, const char *key, FILE *to,
                         uint64_t *found);

#endif
