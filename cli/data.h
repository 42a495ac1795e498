/* data.h - the store of a process that runs topologies: a folder (--data), or
 * memory where a component keeps state and no folder is given. */
#ifndef CLI_DATA_H
#define CLI_DATA_H

#include "actors/stream/ledger.h"
#include "cli/run_options.h"

struct store_memory;

struct data {
    struct store *store;         /* owned; NULL: the run needs none */
    struct store_memory *memory; /* owned; NULL: it is a folder */
};

/* Opens it; `durable`: some component keeps state. EXIT_WELL, or the exit code
 * after having said why. */
int data_open(struct data *data, const struct run_options *options,
              bool durable);
void data_close(struct data *data);
/* How far the topology is there; with --fresh it is not. EXIT_WELL, or the exit
 * code after having said why it can't go on from it. */
int data_read(struct data *data, const struct run_options *options,
              const struct plan *plan, struct ledger_checkpoint *out);
/* Files that the last checkpoint of a topology that has ended makes appear do,
 * if a kill came between. EXIT_WELL, or the exit code after having said why
 * they can't. Blocks. */
int data_reveal(struct data *data, const struct run_options *options,
                const struct plan *plan);
/* What survives, for a person; borrowed. */
const char *data_survives(const struct data *data);

#endif
