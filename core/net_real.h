/* net_real.h - the machine's byte streams, by libevent, on the I/O thread of a
 * loop. */
#ifndef CORE_NET_REAL_H
#define CORE_NET_REAL_H

#include "core/net.h"

struct loop;

/* Into *net; its context is the loop, borrowed. Streams and listeners end
 * before it does. */
void net_real_init(struct net *net, struct loop *loop);

#endif
