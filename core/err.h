/* err.h - every failure the engine can report, each with one sentence. */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#define ERR_LIST(X)                                                            \
    X(OK, "no error")                                                          \
    X(ERR_DONE, "the actor has finished")                                      \
    X(ERR_NOMEM, "out of memory")                                              \
    X(ERR_FULL, "the mailbox is full")                                         \
    X(ERR_LIMIT, "a limit of this node is reached")                            \
    X(ERR_BADMSG, "the actor does not speak this message")                     \
    X(ERR_TRUNCATED, "the bytes end in the middle of a value")                 \
    X(ERR_FORMAT, "the bytes are not what the format allows")                  \
    X(ERR_DEEP, "the value is nested deeper than 64 levels")                   \
    X(ERR_BIG, "the value is larger than 16 MB")                               \
    X(ERR_TYPE, "a value of this type can't travel in a tuple")                \
    X(ERR_IO, "an input or output operation failed")                           \
    X(ERR_NOTFOUND, "there is no such thing")                                  \
    X(ERR_TIMEOUT, "nothing came in time")                                     \
    X(ERR_CONFLICT, "what it relied on has changed meanwhile")                 \
    X(ERR_NOSPACE, "there is no room left on the disk")                        \
    X(ERR_BUSY, "another process has it")                                      \
    X(ERR_UNKNOWN, "whether it was done is not known")                         \
    X(ERR_EXPIRED, "its session is over")                                      \
    X(ERR_STOPPED, "it was told to stop")                                      \
    X(ERR_CRASHED, "it failed while running")                                  \
    X(ERR_POISONED, "what it was given made it fail")                          \
    X(ERR_HOPELESS, "it can't work, and starting it again would not help")     \
    X(ERR_KILLED, "it was killed")                                             \
    X(ERR_CONFIG, "the definition is wrong")                                   \
    X(ERR_USAGE, "the command line is wrong")

#define X(code, text) code,
typedef enum { ERR_LIST(X) ERR_COUNT } err;
#undef X

/* A sentence for a human; never NULL, never to be freed. Any thread. */
const char *err_text(err e);

#endif
