/* host.h - what belongs to a process that runs topologies, whichever they are:
 * its options, its signals, what it says, and main's waiting. */
#ifndef CLI_HOST_H
#define CLI_HOST_H

#include <pthread.h>

#include "cli/data.h"
#include "cli/run_options.h"

struct env;
struct loop;
struct running;

/* The process's own lines in a JSON log. No component can be called that, so
 * that --log-level, which is about components, doesn't silence them. */
#define HOST_NAME "__engine"

struct host {
    struct run_options options;
    bool live; /* a line is drawn on the terminal */
    struct log *log;
    struct data data;
    struct running *runs; /* owned; each a topology */
    unsigned count;
    int signals;          /* a signalfd; -1 */
    pthread_mutex_t lock; /* of all below, and of what running.h says */
    pthread_cond_t wake;  /* main's */
    unsigned signal_count;
    int64_t signal_ns; /* when the last came */
    uint32_t last_signal;
};

/* With `count` topologies, none of them loaded. From here on the signals that
 * end the process wait to be read. EXIT_WELL, or the exit code after having
 * said why. */
int host_open(struct host *host, unsigned count);
void host_close(struct host *host);

/* A log as the options want it. `topology` is borrowed; NULL: of the process.
 * NULL: out of memory. */
struct log *host_log(const struct host *host, const char *topology);
/* A line to stderr, by the log where a program reads it. Any thread. */
void host_tell(const struct host *host, enum log_level level,
               const char *format, ...) __attribute__((format(printf, 3, 4)));
/* host_tell() for each line of the text. */
void host_tell_lines(const struct host *host, const char *lines);

/* While nothing runs yet a signal just ends the process: a definition may be a
 * pipe that nobody writes. */
void host_mind_signals(bool mind);
/* Lets an I/O thread look for signals, too: whichever is up reads them, and
 * all topologies are told. Before loop_start(). */
err host_watch_signals(struct host *host, struct loop *loop);

/* Until all topologies have ended: reloads them, draws the live line and says
 * how each ended. Gives the worst exit code. */
int host_wait(struct host *host);

#endif
