/* measure.h - one engine run in a process of its own, measured: what it counted
 * itself, and what the system says it used. */
#ifndef CLI_MEASURE_H
#define CLI_MEASURE_H

#include "cli/json.h"
#include "cli/run_options.h"

struct measure_plan {
    const char *path;        /* of the definition */
    const struct sets *sets; /* borrowed */
    unsigned threads;
    const char *limit; /* --for's value */
    int signals;       /* of measure_signals() */
    bool keep_output;  /* stdout is the run's, too; else it goes nowhere */
    bool stdin_again;  /* stdin is read, from its beginning */
    bool whole_log;    /* warnings and errors of components are passed on, too;
                        * the run's own errors always are */
};

struct measurement {
    json_t *end;   /* owned: engine run --json's object */
    double cpu_s;  /* of all threads, from its start to its end */
    double rss;    /* the most bytes of memory it had at a time */
    bool complete; /* its input has ended; else --for was over */
    int code;      /* of the process */
};

/* SIGINT and SIGTERM end the run that is measured, not this process, from here
 * on. A signalfd, the caller's; -1: errno says why. */
int measure_signals(void);

/* Runs it to its end. EXIT_WELL: *out is there, out->code may be EXIT_FAILED.
 * Else the exit code, after having said why. A signal that comes meanwhile is
 * passed on to the run, and *stopped set. */
int measure(const struct measure_plan *plan, struct measurement *out,
            bool *stopped);
void measurement_fini(struct measurement *m);

#endif
