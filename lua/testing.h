/* testing.h - a spec file: tests of topologies in virtual time.
 * Each test runs in a machine and a world of its own, made from a seed: the
 * file is loaded anew, so tests don't meet each other's leavings, and a seed
 * replays what it did. See docs/testing.md for the words. One thread. */
#ifndef LUA_TESTING_H
#define LUA_TESTING_H

#include "core/err.h"
#include <stdbool.h>
#include <stdint.h>

struct testing;

/* Reads the file and runs it once, for the names of its tests. On an error a
 * sentence in *errors (heap, the caller's; NULL when OK). ERR_NOTFOUND,
 * ERR_IO: the file can't be read; ERR_CONFIG: it is wrong; ERR_NOMEM. Owned. */
err testing_open(const char *path, struct testing **out, char **errors);
/* NULL is fine. */
void testing_close(struct testing *testing);

unsigned testing_count(const struct testing *testing);
/* The i-th test, from 0, in the order of the file. Borrowed. */
const char *testing_name(const struct testing *testing, unsigned i);

struct testing_result {
    bool passed;
    char *error; /* heap, the caller's: why it failed; NULL: it passed */
    char *log;   /* as above: what was logged and printed; NULL: nothing */
};

/* Runs one test; that it fails is a result. ERR_NOMEM: there is none. */
err testing_run(struct testing *testing, unsigned i, uint64_t seed,
                struct testing_result *out);

#endif
