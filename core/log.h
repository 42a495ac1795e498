/* log.h - lines for a person or for a machine, from any thread.
 * A line is formatted into one buffer under one mutex and leaves by one
 * write(2) or one call of a sink, so lines never mix and none costs an
 * allocation. The log reads no clock, no environment and no terminal by
 * itself: time, colour and the place it writes to are given to it.
 * Text: `12:04:31.204 warn  split[1]  message`; JSON: one object a line. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "core/atomic.h"
#include "core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LEVELS(X)                                                          \
    X(LOG_TRACE, "trace")                                                      \
    X(LOG_DEBUG, "debug")                                                      \
    X(LOG_INFO, "info")                                                        \
    X(LOG_WARN, "warn")                                                        \
    X(LOG_ERROR, "error")                                                      \
    X(LOG_OFF, "off") /* a threshold only: nothing is logged at it */

#define X(level, name) level,
enum log_level { LOG_LEVELS(X) };
#undef X

enum log_format { LOG_TEXT, LOG_JSON };

enum {
    LOG_LINE_BYTES = 8192,     /* with detail and newline; the rest is cut */
    LOG_COMPONENT_BYTES = 64,  /* of a component's name that are shown */
    LOG_REPEATS = 5,           /* lines of one place shown in a window */
    LOG_WINDOW_MS = 10 * 1000, /* its length */
    LOG_PLACES = 256,          /* places watched for repeats at a time */
    LOG_COMPONENTS = 256       /* components with a level of their own */
};

struct log;

/* The wall clock: milliseconds since 1970, UTC. */
typedef uint64_t log_clock(void *context);
/* One line, newline included; borrowed until the sink returns. */
typedef void log_sink(void *context, enum log_level level, const char *line,
                      size_t bytes);

/* Clock and sink run under the log's mutex: they must not use the log. */
struct log_config {
    enum log_format format;
    enum log_level level; /* of components without one of their own */
    bool color;           /* LOG_TEXT: the caller looked at NO_COLOR, isatty */
    bool local_time;      /* LOG_TEXT: in the zone of TZ; false: in UTC */
    const char *topology; /* whose log it is: stands before each component,
                           * as "name/", in JSON as a member of its own;
                           * borrowed; NULL: nothing */
    const char *erase;    /* LOG_TEXT: stands in front of each line, to erase
                           * what is drawn there; borrowed; NULL: nothing */
    log_clock *now_ms;
    void *clock_context; /* borrowed until log_free() */
    log_sink *sink;      /* NULL: lines are written to fd */
    void *sink_context;  /* borrowed until log_free() */
    int fd;              /* borrowed; the process ignores SIGPIPE */
};

/* NULL: no memory. Owned by the caller: one log_free(). */
struct log *log_new(const struct log_config *config);
/* Says what was suppressed, waits at most 100 ms for a full pipe to take the
 * rest of a half-written line, frees. No other thread may still use it. NULL
 * is fine. */
void log_free(struct log *log);

/* Lines of `component` below `level` are not logged from now on; NULL sets the
 * level of all that have none of their own. The name is copied. ERR_LIMIT:
 * LOG_COMPONENTS have one already; ERR_NOMEM. Any thread. */
err log_set_level(struct log *log, const char *component, enum log_level level);
/* `component` follows the common level again. Any thread. */
void log_clear_level(struct log *log, const char *component);
const char *log_level_name(enum log_level level);
/* ERR_NOTFOUND: no level is called that, and *level is untouched. */
err log_level_named(const char *name, enum log_level *level);

/* Two thresholds answer for nearly all calls; see log_on(). */
struct log_gate {
    atomic_int lowest;  /* no component logs below it */
    atomic_int highest; /* every component logs from here on */
};
/* log_on() for a level between the two. Any thread, no lock. */
bool log_on_component(struct log *log, const char *component,
                      enum log_level level);

/* Would a line be logged? Ask before costly arguments: two loads as long as
 * no component has a level of its own. NULL is a log that is off. */
static inline bool log_on(struct log *log, const char *component,
                          enum log_level level)
{
    struct log_gate *gate = (struct log_gate *)(void *)log; /* its first part */
    if (gate == NULL) return false;
    if ((int)level < at_load(&gate->lowest, RELAXED)) return false;
    if ((int)level >= at_load(&gate->highest, RELAXED)) return true;
    return log_on_component(log, component, level);
}

/* Logs a line from `component` (NULL: none) and its task (-1: none), if it is
 * on. The same component, level and `format` pointer more than LOG_REPEATS
 * times in a window is counted instead; when the window has ended one line
 * says `message … (412 more like this in 10 s)`. Control characters are made
 * visible, a line feed starts an indented line, invalid UTF-8 becomes U+FFFD.
 * What can't be written is dropped and counted; a line is written whole or
 * not at all. Never fails, keeps errno, allocates nothing. Any thread. Blocks
 * as long as write(2) on a blocking fd does.
 * Source of the window and its counts: Vector's rate-limited internal logs. */
void log_write(struct log *log, const char *component, int task,
               enum log_level level, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The same with a text of several lines (a traceback), indented below the
 * line, or JSON's "detail". Borrowed for the call; NULL: none. */
void log_write_detail(struct log *log, const char *component, int task,
                      enum log_level level, const char *detail,
                      const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* The same for a text that was not written in C, where one "%s" would make all
 * messages one place: `site` names the place, 0 takes the text for it. */
void log_text(struct log *log, const char *component, int task,
              enum log_level level, uint64_t site, const char *text,
              size_t bytes, const char *detail);

/* Says what was suppressed in the windows that have ended; for a timer. */
void log_flush_repeats(struct log *log);
/* Lines lost because the fd was full or closed. Any thread. */
uint64_t log_dropped(struct log *log);

/* Length of the first character of bytes[0..n), n > 0. *valid: it is one of
 * UTF-8; else it is what one U+FFFD replaces (Unicode's maximal subpart). */
size_t log_utf8_step(const char *bytes, size_t n, bool *valid);

#endif
