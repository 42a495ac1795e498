/* net.h - byte streams as they are given to a node: the machine's own, or the
 * simulated world's, which come late and in pieces, break and are cut by its
 * seed.
 * An address is text. Of the machine it is unix:PATH (unix:@NAME for an
 * abstract one) to connect to, and to listen at fd:NUMBER, a socket that
 * listens already and is the net's from there on; in the simulated world
 * NODE:NAME, "2:door", for both.
 * All of it happens on the node's I/O thread; before that starts and after it
 * has stopped, on the thread that does so. Nothing blocks. */
#ifndef CORE_NET_H
#define CORE_NET_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

struct env;
struct net_stream;
struct net_listener;

/* What comes and is not used waits; no more than this of it. */
enum { NET_UNUSED_BYTES = 128 * 1024 };

/* By these the holder of a stream hears of it. Each of them may write to it and
 * close it. */
struct net_handler {
    /* Returns how many of the bytes it has used; the others are shown again
     * with what comes behind them. Borrowed. */
    size_t (*came)(struct env *env, void *holder, const char *bytes,
                   size_t count);
    /* What waited to be sent is sent. */
    void (*sent)(struct env *env, void *holder);
    /* ERR_DONE: the other side has said all, and may still listen. Otherwise
     * nothing more comes or goes. ERR_NOTFOUND: nobody listens there.
     * ERR_TIMEOUT: nothing came, or what was written did not go, for idle_ms.
     * ERR_IO: it broke. ERR_NOMEM. close() is still owed. */
    void (*ended)(struct env *env, void *holder, err why);
};

/* Somebody has come: hold() the stream or close() it. Owned. */
typedef void net_accept(struct env *env, void *holder,
                        struct net_stream *stream);

struct net {
    /* ERR_NOMEM; ERR_NOTFOUND: one can't listen there. */
    err (*listen)(void *context, const char *address, net_accept *accept,
                  void *holder, struct net_listener **out);
    /* Streams that were accepted stay. */
    void (*unlisten)(struct net_listener *listener);
    /* What is written before it is connected waits. ERR_NOMEM; anything else
     * comes by ended(). Owned. */
    err (*connect)(void *context, const char *address,
                   const struct net_handler *handler, void *holder,
                   unsigned idle_ms, struct net_stream **out);
    /* Of an accepted stream; both are borrowed. idle_ms: 0 for ever. */
    void (*hold)(struct net_stream *stream, const struct net_handler *handler,
                 void *holder, unsigned idle_ms);
    /* Copies. ERR_NOMEM: nothing of it goes. To a stream that has ended it is
     * OK and lost. */
    err (*write)(struct net_stream *stream, const void *bytes, size_t count);
    /* Bytes written that wait here. */
    size_t (*unsent)(const struct net_stream *stream);
    /* False: came() isn't called until true is. What has waited is shown at
     * once then. Not in came(). */
    void (*read)(struct net_stream *stream, bool on);
    /* It goes; what is not sent is lost. Nothing is heard of it any more. */
    void (*close)(struct net_stream *stream);
    void *context;
};

#endif
