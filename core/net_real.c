#include "core/net_real.h"
#include "core/alloc.h"
#include "core/loop.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAUSE_S = 1 }; /* before the next is accepted, when files ran out */

struct net_stream {
    struct loop *loop;
    struct bufferevent *socket; /* owned, with its descriptor */
    const struct net_handler *handler;
    void *holder;
    unsigned calls; /* of the handler, that have not returned */
    bool closed;
    bool connecting;
};

struct net_listener {
    struct loop *loop;
    struct evconnlistener *listener; /* owned, with its descriptor */
    struct event *pause;             /* owned */
    net_accept *accept;
    void *holder;
};

/* ---- streams ---- */

/* False: the holder closed it, it is gone. */
static bool returned(struct net_stream *s)
{
    if (--s->calls > 0 || !s->closed) return !s->closed;
    bufferevent_free(s->socket);
    mem_free(s);
    return false;
}

static void end(struct net_stream *s, err why)
{
    if (s->closed) return;
    s->calls++;
    s->handler->ended(loop_env(s->loop), s->holder, why);
    returned(s);
}

static void show(struct net_stream *s)
{
    struct evbuffer *in = bufferevent_get_input(s->socket);
    size_t count = evbuffer_get_length(in);
    if (count == 0) return;
    const char *bytes = (const char *)evbuffer_pullup(in, -1);
    if (bytes == NULL) {
        end(s, ERR_NOMEM);
        return;
    }
    s->calls++;
    size_t used = s->handler->came(loop_env(s->loop), s->holder, bytes, count);
    if (returned(s)) evbuffer_drain(in, used);
}

static void on_read(struct bufferevent *socket, void *context)
{
    show(context);
}

static void on_sent(struct bufferevent *socket, void *context)
{
    struct net_stream *s = context;
    if (s->connecting) return; /* nothing was written yet */
    s->calls++;
    s->handler->sent(loop_env(s->loop), s->holder);
    returned(s);
}

static void on_event(struct bufferevent *socket, short what, void *context)
{
    struct net_stream *s = context;
    bool connecting = s->connecting;
    s->connecting = false;
    if (what & BEV_EVENT_CONNECTED) return;
    if (what & BEV_EVENT_TIMEOUT)
        end(s, ERR_TIMEOUT);
    else if (what & BEV_EVENT_EOF)
        end(s, ERR_DONE);
    else
        end(s, connecting ? ERR_NOTFOUND : ERR_IO);
}

static struct net_stream *stream_new(struct loop *loop, evutil_socket_t fd)
{
    struct net_stream *s = mem_zero(1, sizeof *s);
    if (s == NULL) return NULL;
    s->loop = loop;
    /* A connection that fails at once is told of later. */
    int options =
        BEV_OPT_CLOSE_ON_FREE | (fd < 0 ? BEV_OPT_DEFER_CALLBACKS : 0);
    s->socket = bufferevent_socket_new(loop_base(loop), fd, options);
    if (s->socket) return s;
    mem_free(s);
    return NULL;
}

static void hold(struct net_stream *s, const struct net_handler *handler,
                 void *holder, unsigned idle_ms)
{
    struct timeval idle = {.tv_sec = idle_ms / 1000,
                           .tv_usec = (long)(idle_ms % 1000) * 1000};
    s->handler = handler;
    s->holder = holder;
    bufferevent_setcb(s->socket, on_read, on_sent, on_event, s);
    bufferevent_setwatermark(s->socket, EV_READ, 0, NET_UNUSED_BYTES);
    if (idle_ms > 0) bufferevent_set_timeouts(s->socket, &idle, &idle);
    bufferevent_enable(s->socket, EV_READ | EV_WRITE);
}

/* The address of unix:PATH or unix:@NAME; 0: it is none. */
static socklen_t unix_address(const char *text, struct sockaddr_un *address)
{
    static const char scheme[] = "unix:";
    if (strncmp(text, scheme, sizeof scheme - 1) != 0) return 0;
    text += sizeof scheme - 1;
    size_t bytes = strlen(text);
    if (bytes == 0 || bytes >= sizeof address->sun_path) return 0;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, text, bytes);
    if (text[0] != '@') return sizeof *address;
    address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
}

static err open_stream(void *context, const char *text,
                       const struct net_handler *handler, void *holder,
                       unsigned idle_ms, struct net_stream **out)
{
    struct sockaddr_un address;
    socklen_t bytes = unix_address(text, &address);
    struct net_stream *s = stream_new(context, -1);
    if (s == NULL) return ERR_NOMEM;
    hold(s, handler, holder, idle_ms);
    s->connecting = true;
    *out = s;
    if (bytes == 0 ||
        bufferevent_socket_connect(s->socket, (struct sockaddr *)&address,
                                   (int)bytes) < 0)
        bufferevent_trigger_event(s->socket, BEV_EVENT_ERROR, 0);
    return OK;
}

/* What the system takes at once needs no second look at the socket. */
static err put(struct net_stream *s, const void *bytes, size_t count)
{
    struct evbuffer *out = bufferevent_get_output(s->socket);
    if (evbuffer_get_length(out) == 0 && !s->connecting) {
        ssize_t n = send(bufferevent_getfd(s->socket), bytes, count,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return OK; /* it ended */
        if (n > 0) {
            bytes = (const char *)bytes + n;
            count -= (size_t)n;
        }
    }
    if (count == 0) return OK;
    return evbuffer_add(out, bytes, count) == 0 ? OK : ERR_NOMEM;
}

static size_t unsent(const struct net_stream *s)
{
    return evbuffer_get_length(bufferevent_get_output(s->socket));
}

static void set_read(struct net_stream *s, bool on)
{
    if (!on) {
        bufferevent_disable(s->socket, EV_READ);
        return;
    }
    bufferevent_enable(s->socket, EV_READ);
    show(s);
}

static void shut(struct net_stream *s)
{
    s->closed = true;
    s->calls++;
    returned(s);
}

/* ---- listeners ---- */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd,
                      struct sockaddr *address, int bytes, void *context)
{
    struct net_listener *l = context;
    struct net_stream *s = stream_new(l->loop, fd);
    if (s)
        l->accept(loop_env(l->loop), l->holder, s);
    else
        close(fd);
}

/* No file is left for one more: trying at once again would do nothing else. */
static void on_trouble(struct evconnlistener *listener, void *context)
{
    struct net_listener *l = context;
    struct timeval pause = {.tv_sec = PAUSE_S};
    evconnlistener_disable(listener);
    event_add(l->pause, &pause);
}

static void on_pause_over(evutil_socket_t fd, short what, void *context)
{
    struct net_listener *l = context;
    evconnlistener_enable(l->listener);
}

static void unlisten(struct net_listener *l)
{
    if (l->listener) evconnlistener_free(l->listener);
    if (l->pause) event_free(l->pause);
    mem_free(l);
}

static err listen_at(void *context, const char *address, net_accept *accept,
                     void *holder, struct net_listener **out)
{
    static const char scheme[] = "fd:";
    if (strncmp(address, scheme, sizeof scheme - 1) != 0) return ERR_NOTFOUND;
    int fd = atoi(address + sizeof scheme - 1);
    struct net_listener *l = mem_zero(1, sizeof *l);
    if (l) {
        l->loop = context;
        l->accept = accept;
        l->holder = holder;
        l->pause = evtimer_new(loop_base(context), on_pause_over, l);
    }
    if (l && l->pause)
        l->listener = evconnlistener_new(
            loop_base(context), on_accept, l,
            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (l == NULL || l->listener == NULL) {
        close(fd);
        if (l) unlisten(l);
        return ERR_NOMEM;
    }
    evconnlistener_set_error_cb(l->listener, on_trouble);
    *out = l;
    return OK;
}

void net_real_init(struct net *net, struct loop *loop)
{
    *net = (struct net){
        .listen = listen_at,
        .unlisten = unlisten,
        .connect = open_stream,
        .hold = hold,
        .write = put,
        .unsent = unsent,
        .read = set_read,
        .close = shut,
        .context = loop,
    };
}
