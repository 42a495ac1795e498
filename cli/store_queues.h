/* store_queues.h - the queues of a folder, for engine store ls. */
#ifndef CLI_STORE_QUEUES_H
#define CLI_STORE_QUEUES_H

#include "core/store.h"

/* Prints a table of them and their groups; nothing where there are none.
 * ERR_NOMEM, ERR_FORMAT: a row is damaged. */
err store_list_queues(struct store_view *view);

#endif
