/* door.h - an address that answers each line with a line, on the I/O thread.
 * What the lines say is its holder's affair. A visitor may send several; they
 * are answered in order. One that sends nothing for a while, or doesn't read
 * its answers, is shown out. */
#ifndef CORE_DOOR_H
#define CORE_DOOR_H

#include <stddef.h>

#include "core/buffer.h"
#include "core/err.h"

struct door;
struct env;
struct net;

enum {
    DOOR_VISITORS = 16,          /* at a time; one more is refused */
    DOOR_LINE_BYTES = 64 * 1024, /* of a line without its line feed */
    DOOR_IDLE_MS = 30 * 1000,
};

/* Appends the answer to `line`, without a line feed at its end. The line has a
 * 0 behind it. On the I/O thread: it may not wait. */
typedef err door_answer(struct env *env, void *context, const char *line,
                        size_t bytes, struct buffer *answer);

struct door_config {
    const char *address; /* of net.h, to listen at; borrowed for the call */
    door_answer *answer;
    void *context;
    /* The last word to who comes when DOOR_VISITORS are there, and to who
     * sends a line of more than DOOR_LINE_BYTES; borrowed. */
    const char *too_many, *too_long;
    unsigned idle_ms; /* 0: DOOR_IDLE_MS */
};

/* Before the I/O thread starts. ERR_NOMEM; ERR_NOTFOUND: net can't listen at
 * the address. */
err door_open(const struct net *net, const struct door_config *config,
              struct door **out);
/* Shows all out. After the I/O thread has stopped, while the node is still
 * there. NULL is fine. */
void door_close(struct door *door);

#endif
