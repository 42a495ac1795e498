/* running.h - one topology that runs in this process: its own threads, log,
 * door and counts. Several share nothing but the process (host.h), so none can
 * hold up another, and each is asked, told and stopped by its own name. */
#ifndef CLI_RUNNING_H
#define CLI_RUNNING_H

#include "actors/stream/ledger.h"
#include "cli/place.h"
#include "cli/requests.h"
#include "lua/definition.h"

struct host;
struct report;

struct running {
    struct host *host;
    bool *known; /* owned: of each --set, whether the file has such a param;
                  * NULL for a single topology, which must have all */
    struct definition *definition; /* that runs */
    struct log *log;
    struct levels *levels; /* the I/O thread's while it runs */
    struct lua_runtime *runtime;
    struct real *real;
    struct topology *topology;
    actor_id root; /* its actor; written before any thread starts */
    struct watch *watch;
    struct env *env; /* main's view */
    struct place place;
    int door_fd; /* -1: the door has it, or there is none */
    int told;    /* an eventfd: its I/O thread is to drain; -1 */
    struct door *door;
    struct history *history;             /* the I/O thread's while it runs, */
    struct control control;              /* as is what it is asked */
    struct report *report;               /* what the live line showed */
    struct ledger_checkpoint checkpoint; /* that it goes on from */
    int64_t began_ns;
    bool threads;  /* main's, as the next two: they run */
    bool finished; /* its end was said, nobody finds it any more */
    int code;      /* then; EXIT_WELL before */
    /* By the host's lock. */
    bool ended, changed;
    struct topology_end end;
};

void running_init(struct running *r, struct host *host);
/* Whatever of it there is; no thread of it may run any more. */
void running_fini(struct running *r);

/* Reads and checks the definition. EXIT_WELL, or the exit code after having
 * said why, as running_make_levels(), running_set_up(), running_start(). */
int running_load(struct running *r, const char *path);
int running_make_levels(struct running *r);
/* Where it goes on; one that had ended is finished here. */
int running_read_data(struct running *r);
/* Makes its door, says what is about to run. */
void running_prepare(struct running *r);
/* Everything but its threads; then these. */
int running_set_up(struct running *r);
int running_start(struct running *r);
/* Its threads end at once, and nothing is said of it. */
void running_abandon(struct running *r);

/* Sources end, what is under way has the options' time. Any thread. */
void running_drain(struct running *r);
/* Takes over what was saved, or says why not. Main's thread, as all below. */
void running_reload(struct running *r);
/* Its part of the live line, of REPORT_BYTES. */
void running_report(struct running *r, char *text);
/* It has ended: ends its threads and its door, says how it went, sets `code`.
 */
void running_finish(struct running *r);

/* Has it a spout of stdin? */
bool running_reads_stdin(const struct plan *plan);
/* Its topology's name; once it is loaded. */
const char *running_name(const struct running *r);

#endif
