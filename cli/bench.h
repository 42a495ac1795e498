/* bench.h - what engine bench has measured, as a table and as JSON. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <stdio.h>

#include "cli/measure.h"

enum { BENCH_RUNS_MAX = 1000 };

/* A definition on so many threads. */
struct bench_case {
    const char *path; /* borrowed */
    struct sets sets; /* those that it has params for */
    unsigned threads;
    bool reads_stdin;
    unsigned runs;            /* that are wanted */
    struct measurement *list; /* owned */
    unsigned count;           /* that are there */
};

/* A row for each spout of a case. False: out of memory. */
bool bench_print(const struct bench_case *cases, unsigned count, FILE *to);
/* {"cases":[…]} in a line. False: it isn't written. */
bool bench_print_json(const struct bench_case *cases, unsigned count, FILE *to);

#endif
