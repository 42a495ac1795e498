/* levels.h - what components log: as the command line said, and what was asked
 * for since, some of it for a while only. One thread at a time. */
#ifndef CLI_LEVELS_H
#define CLI_LEVELS_H

#include <stdbool.h>

#include "core/log.h"

struct levels;
struct nearest;
struct plan;

/* `plan` and `log` are borrowed. NULL: out of memory. */
struct levels *levels_new(const struct plan *plan, struct log *log,
                          enum log_level common);
/* NULL is fine. */
void levels_free(struct levels *levels);

/* Does the run have a component of that name, or is it a part of the engine
 * that logs under it? `near` has the nearest if not. */
bool levels_knows(const struct levels *levels, const char *component,
                  struct nearest *near);
/* From now on; after `limit_ns` (0: never) it falls back to what was said for
 * good before. ERR_NOTFOUND: there is no such component. ERR_NOMEM: the log
 * has none for it. */
err levels_set(struct levels *levels, const char *component,
               enum log_level level, int64_t now_ns, int64_t limit_ns);
/* Falls back where time is over. */
void levels_look(struct levels *levels, int64_t now_ns);

/* The log follows them from here on; before, and after levels_lift(), it says
 * all from info on. */
err levels_apply(struct levels *levels);
void levels_lift(struct levels *levels);

struct level_view {
    const char *component; /* borrowed */
    enum log_level level;
    int64_t left_ns; /* of its time; 0: for good */
};
/* The i-th that is not the common one. False: there are no more. */
bool levels_read(const struct levels *levels, unsigned i, int64_t now_ns,
                 struct level_view *out);
enum log_level levels_common(const struct levels *levels);

#endif
