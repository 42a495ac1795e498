/* history.h - what was counted in the last 10 s, minute, 10 minutes and hour.
 * Once a second all counts are noted; some of the notes are kept. A window is
 * what was counted since the newest note that is old enough, to this moment:
 * nothing is estimated, and the time that it covers is told with it. That is
 * up to a sixtieth (of 10 s: a tenth) more than its name says. Latencies take
 * more memory and are noted at every tenth of a window.
 * 4 KB a component, and 60 to 150 KB where latencies are spread widely. */
#ifndef CLI_HISTORY_H
#define CLI_HISTORY_H

#include "cli/figures.h"

#define WINDOW_LIST(X)                                                         \
    X(WINDOW_10S, "10s")                                                       \
    X(WINDOW_1M, "1m")                                                         \
    X(WINDOW_10M, "10m")                                                       \
    X(WINDOW_1H, "1h")                                                         \
    X(WINDOW_ALL, "all")

#define X(window, name) window,
enum window { WINDOW_LIST(X) WINDOWS };
#undef X

const char *window_name(enum window window);
/* ERR_NOTFOUND: there is none of that name. */
err window_named(const char *name, enum window *out);

/* Where the counts come from; any time, on the history's thread. */
struct history_source {
    unsigned components;
    void (*figures)(void *context, unsigned component, struct figures *out);
    void (*latency)(void *context, unsigned component,
                    struct histogram_view *out);
    /* Roots that the tasks of a spout may have pending now; 0: it is none.
     * NULL: nobody knows. */
    uint64_t (*pending_limit)(void *context, unsigned component);
    void *context;
};

struct history_window {
    double seconds; /* that it covers */
    struct figures figures;
    /* -1: nothing was recorded in it (or there was no memory for the note). */
    double p50_ms, p99_ms, max_ms;
    uint64_t pending_limit; /* now */
};

struct history;

/* At the start: nothing has been counted yet. NULL: out of memory. */
struct history *history_new(const struct history_source *source,
                            int64_t now_ns);
/* NULL is fine. */
void history_free(struct history *history);
/* Once a second, or later. One thread at a time, as all below. */
void history_note(struct history *history, int64_t now_ns);
void history_window(const struct history *history, enum window window,
                    unsigned component, int64_t now_ns,
                    struct history_window *out);

#endif
