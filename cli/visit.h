/* visit.h - speaks with the doors of this user's runs. */
#ifndef CLI_VISIT_H
#define CLI_VISIT_H

#include "cli/json.h"
#include "cli/place.h"

enum {
    VISIT_WAIT_MS = 5000, /* for an answer */
    VISIT_ENDED = -1,     /* nobody listens there (any more); nothing is said */
};

/* A run whose door answers, or doesn't in time. */
struct visited {
    char id[PLACE_ID_BYTES];
    char folder[PLACE_PATH_BYTES];
    json_t *status; /* owned; NULL: it doesn't answer */
    int fd;         /* visits_all()'s, while it waits; else -1 */
};

struct visits {
    struct visited *list; /* owned; by topology, then id */
    unsigned count;
};

/* All runs there are, asked at once: those that don't answer take VISIT_WAIT_MS
 * all together; what dead ones have left is removed. ERR_NOMEM. */
err visits_all(struct visits *out);
void visits_free(struct visits *visits);
/* "" when it doesn't answer. Borrowed. */
const char *visited_topology(const struct visited *run);

/* Sends a line to the door in the folder and waits for the line it answers,
 * which is put behind what `answer` has. ERR_NOTFOUND: nobody listens there
 * (any more). ERR_IO: no answer came in time; ERR_NOMEM. */
err visit_ask(const char *folder, const char *line, size_t bytes,
              struct buffer *answer);

/* The run meant by an id, the beginning of only one, or its topology's name.
 * Its folder is copied. EXIT_WELL, or the exit code after having said why. */
int visit_find(const char *name, char folder[PLACE_PATH_BYTES]);
/* The exit code for an answer that isn't ok: is the request wrong, or can the
 * run not do it? */
int visit_refused(const json_t *answer);
/* Asks the one in the folder; *answer is a new reference, ok is true in it.
 * EXIT_WELL, VISIT_ENDED, or the exit code after having said why, with `name`.
 */
int visit_tell(const char *folder, const char *name, const json_t *request,
               json_t **answer);
/* visit_find(), then visit_tell(); one that has ended is said. */
int visit_run(const char *name, const json_t *request, json_t **answer);
/* Waits until nobody listens in the folder. False: not within the time. */
bool visit_wait_gone(const char *folder, int64_t limit_ns);

#endif
