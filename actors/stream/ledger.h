/* ledger.h - a topology's records in the store: how far its checkpoints are,
 * where its sources stood, and the keys under which its tasks keep state.
 *   c NAME                          the newest checkpoint, and of which tasks
 *   t NAME 0 COMPONENT 0 INDEX      where the task stood then
 *   s NAME 0 COMPONENT 0 INDEX KEY  what it kept
 *   b NAME 0 COMPONENT 0 INDEX      what was on its way back to it (backlog.c)
 *   n NAME                          files that it makes appear (reveal.h)
 * A record begins with the version of its layout; a newer one than this binary
 * knows is refused. */
#ifndef ACTORS_STREAM_LEDGER_H
#define ACTORS_STREAM_LEDGER_H

#include "actors/stream/plan.h"
#include "core/store.h"

enum { LEDGER_KEY_MAX = 200 };

enum ledger_kind {
    LEDGER_CHECKPOINT = 'c',
    LEDGER_NAMES = 'n',
    LEDGER_TASK = 't',
    LEDGER_STATE = 's',
    LEDGER_BACKLOG = 'b',
};

struct ledger_key {
    size_t count;
    uint8_t at[LEDGER_KEY_MAX];
};
static inline struct bytes ledger_bytes(const struct ledger_key *key)
{
    return bytes_of(key->at, key->count);
}

/* Of a task or of state. ERR_LIMIT: the names are too long. */
err ledger_key(enum ledger_kind kind, const struct plan *plan,
               const struct component_plan *component, unsigned index,
               struct ledger_key *out);

/* The newest checkpoint of a topology. */
struct ledger_checkpoint {
    uint64_t number; /* 0: there is none */
    int64_t wall_ns; /* when it was decided */
    bool ended;      /* all its tasks have */
};
/* ERR_FORMAT, with a sentence: it is of a newer engine, or of a plan that can't
 * go on from it. */
err ledger_read(struct store_view *view, const struct plan *plan,
                struct ledger_checkpoint *out, char why[STORE_WHY_BYTES]);
/* The same of any topology by its name, whatever its components are. */
err ledger_read_any(struct store_view *view, const char *name,
                    struct ledger_checkpoint *out, char why[STORE_WHY_BYTES]);
err ledger_put(struct store_write *write, const struct plan *plan,
               const struct ledger_checkpoint *checkpoint);

/* Where a task stood. */
struct ledger_task {
    bool ended;
    struct bytes position; /* the class's own; at NULL: there is none */
};
/* OK with all zeroes: nothing is known of it. Borrowed while the view is. */
err ledger_read_task(struct store_view *view, const struct plan *plan,
                     const struct component_plan *component, unsigned index,
                     struct ledger_task *out);
err ledger_put_task(struct store_write *write, const struct plan *plan,
                    const struct component_plan *component, unsigned index,
                    const struct ledger_task *task);

/* What was on its way back to the task; none: without bytes. What is read is
 * borrowed while the view is. */
err ledger_read_backlog(struct store_view *view, const struct plan *plan,
                        const struct component_plan *component, unsigned index,
                        struct bytes *out);
err ledger_put_backlog(struct store_write *write, const struct plan *plan,
                       const struct component_plan *component, unsigned index,
                       struct bytes backlog);

/* The old and new names of files, see reveal.h; none: without bytes. What is
 * read is borrowed while the view is. */
err ledger_read_names(struct store_view *view, const struct plan *plan,
                      struct bytes *out);
err ledger_put_names(struct store_write *write, const struct plan *plan,
                     struct bytes names);

/* Removes all records of the topology of this name. Blocks. */
err ledger_forget(struct store *store, const char *name,
                  char why[STORE_WHY_BYTES]);

#endif
