/* run_options.h - what engine run is told on its command line. */
#ifndef CLI_RUN_OPTIONS_H
#define CLI_RUN_OPTIONS_H

#include "cli/argument.h"
#include "cli/verb.h"

enum { SETS_MAX = 64, LEVELS_MAX = 16, THREADS_MAX = 64 };

struct sets {
    const char *list[SETS_MAX]; /* borrowed from argv */
    unsigned count;
};
/* --set; false: there are too many, it was said. */
bool sets_take(struct sets *sets, const char *value);
/* --threads; false: it is none, it was said. */
bool threads_take(unsigned *threads, const char *value);
/* The default: the machine's cores. */
unsigned threads_default(void);

struct run_options {
    struct sets sets;
    unsigned threads;
    int64_t drain_ns;
    int64_t for_ns;   /* 0: until the input ends */
    const char *data; /* the store's folder, of argv; NULL: none */
    bool fresh;       /* what it has of the topologies is forgotten */
    bool watch, quiet;
    bool json;     /* the end as an object */
    bool json_log; /* each line of the log */
    bool text_log; /* --log-format text was said: --json is refused */
    enum log_level level;
    struct argument_level levels[LEVELS_MAX]; /* of single components */
    unsigned level_count;
};

extern const struct verb_option run_options_table[];

/* Reads the options out of argv; as verb_parse(). */
int run_options_parse(const struct verb *verb, int *argc, char **argv,
                      struct run_options *out);

#endif
