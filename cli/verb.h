/* verb.h - `engine VERB …`: one table that dispatch and help are made from. */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

#define ENGINE_VERSION "0.1.0"

/* The exit codes of every verb. */
enum exit_code {
    EXIT_WELL = 0,
    EXIT_FAILED = 1,      /* while running */
    EXIT_USAGE = 2,       /* the command line is wrong */
    EXIT_DEFINITION = 78, /* the definition is wrong (EX_CONFIG) */
};

struct verb_option {
    const char *name;  /* "threads" */
    const char *value; /* "N"; NULL: a flag */
    const char *help;
};

struct verb {
    const char *name;
    const char *arguments; /* "FILE" */
    const char *help;      /* one line */
    const char *example;
    const char *more;                  /* lines above the options, NULL: none */
    const struct verb_option *options; /* the last one's name is NULL */
    /* argv[0] is the verb. Options come by verb_parse(). */
    int (*run)(const struct verb *verb, int argc, char **argv);
};

/* Calls `take` for each option in argv (its place in verb->options, its value
 * or NULL), in order; then *argc and argv hold what is left. `--` ends the
 * options. EXIT_WELL, or EXIT_USAGE after having said what is wrong, also
 * when `take` returns false. -1: --help was printed. */
int verb_parse(const struct verb *verb, int *argc, char **argv,
               bool (*take)(void *context, unsigned option, const char *value),
               void *context);

/* The exit code after a definition that couldn't be loaded. */
int verb_load_code(err e);

/* "engine: …" to stderr. */
void verb_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

int verb_main(int argc, char **argv);

extern const struct verb run_verb, test_verb, check_verb, bench_verb, ps_verb,
    stats_verb, errors_verb, log_verb, activate_verb, deactivate_verb,
    stop_verb, ask_verb, store_verb, version_verb;

#endif
