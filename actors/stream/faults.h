/* faults.h - what went wrong lately in a topology: calls that failed, tasks
 * that crashed, tuples that were given up. The same fault of a task again is
 * counted, so that many of one kind don't push out all others. Any thread. */
#ifndef ACTORS_STREAM_FAULTS_H
#define ACTORS_STREAM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

struct faults;

enum {
    FAULTS_KEPT = 64,
    FAULT_TEXT_BYTES = 1024, /* with the 0; a longer text is cut */
};

struct fault {
    const char *component;     /* name; borrowed from the plan */
    unsigned index;            /* of the task among the component's */
    int64_t first_ms, last_ms; /* since 1970 */
    uint64_t times;
    uint64_t kind;               /* see faults_note() */
    char text[FAULT_TEXT_BYTES]; /* message, then the traceback's lines; of a
                                  * kind the latest */
};

/* NULL: out of memory. */
struct faults *faults_new(void);
/* NULL is fine. */
void faults_free(struct faults *faults);
/* Notes one. `component` must outlive the faults; the text is copied. Two are
 * the same when they are of one kind, whatever their texts; those of kind 0
 * when their texts are alike. */
void faults_note(struct faults *faults, const char *component, unsigned index,
                 int64_t now_ms, uint64_t kind, const char *text);
/* Copies the one that happened last (0), the one before it (1) and so on.
 * False: there are no more. */
bool faults_read(struct faults *faults, unsigned back, struct fault *out);

#endif
