#include "core/door.h"
#include "core/alloc.h"
#include "core/loop.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    UNREAD_BYTES = 256 * 1024, /* of answers; then nothing more is read */
    PAUSE_S = 1, /* before the next is let in, when files ran out */
};

struct visitor {
    struct visitor *next, **at;
    struct door *door;
    struct bufferevent *stream; /* owned, with its socket */
    bool leaving;               /* when the answers are written */
};

struct door {
    struct door_config config;
    struct loop *loop;
    struct evconnlistener *listener; /* owned, with its socket */
    struct event *pause;             /* owned */
    struct visitor *visitors;        /* owned */
    unsigned count;
    struct buffer answer; /* owned: of the line in hand */
};

static void show_out(struct visitor *v)
{
    *v->at = v->next;
    if (v->next) v->next->at = v->at;
    v->door->count--;
    bufferevent_free(v->stream);
    mem_free(v);
}

/* Nothing more is read; what is written still goes out. */
static void leave(struct visitor *v)
{
    v->leaving = true;
    bufferevent_disable(v->stream, EV_READ);
}

static bool say(struct visitor *v, const void *line, size_t bytes)
{
    struct evbuffer *out = bufferevent_get_output(v->stream);
    return evbuffer_add(out, line, bytes) == 0 &&
           evbuffer_add(out, "\n", 1) == 0;
}

static bool answer(struct visitor *v, const char *line, size_t bytes)
{
    struct door *door = v->door;
    door->answer.used = 0;
    err e = door->config.answer(loop_env(door->loop), door->config.context,
                                line, bytes, &door->answer);
    return e == OK && say(v, door->answer.data, door->answer.used);
}

/* Answers the lines that have come. False: there is no memory for it. */
static bool serve(struct visitor *v)
{
    struct evbuffer *in = bufferevent_get_input(v->stream);
    struct evbuffer *out = bufferevent_get_output(v->stream);
    const char *too_long = v->door->config.too_long;
    while (!v->leaving && evbuffer_get_length(out) < UNREAD_BYTES) {
        size_t bytes;
        char *line = evbuffer_readln(in, &bytes, EVBUFFER_EOL_LF);
        if (line == NULL && evbuffer_get_length(in) <= DOOR_LINE_BYTES)
            return true;
        bool fits = line && bytes <= DOOR_LINE_BYTES;
        bool said =
            fits ? answer(v, line, bytes) : say(v, too_long, strlen(too_long));
        free(line); /* libevent's malloc() */
        if (!said) return false;
        if (!fits) leave(v);
    }
    if (!v->leaving) bufferevent_disable(v->stream, EV_READ);
    return true;
}

static void on_read(struct bufferevent *stream, void *context)
{
    if (!serve(context)) show_out(context);
}

/* All answers are written. */
static void on_written(struct bufferevent *stream, void *context)
{
    struct visitor *v = context;
    if (v->leaving) {
        show_out(v);
        return;
    }
    bufferevent_enable(stream, EV_READ);
    on_read(stream, v);
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
    struct visitor *v = context;
    bool asked_all = what & BEV_EVENT_EOF;
    if (asked_all && evbuffer_get_length(bufferevent_get_output(stream)) > 0)
        leave(v);
    else
        show_out(v);
}

static struct visitor *let_in(struct door *door, evutil_socket_t fd)
{
    struct visitor *v = mem_zero(1, sizeof *v);
    if (v == NULL) return NULL;
    v->stream = bufferevent_socket_new(loop_base(door->loop), fd,
                                       BEV_OPT_CLOSE_ON_FREE);
    if (v->stream == NULL) {
        mem_free(v);
        return NULL;
    }
    v->door = door;
    v->next = door->visitors;
    v->at = &door->visitors;
    if (v->next) v->next->at = &v->next;
    door->visitors = v;
    door->count++;
    return v;
}

static void on_knock(struct evconnlistener *listener, evutil_socket_t fd,
                     struct sockaddr *address, int bytes, void *context)
{
    struct door *door = context;
    const char *too_many = door->config.too_many;
    bool full = door->count == DOOR_VISITORS;
    struct visitor *v = full ? NULL : let_in(door, fd);
    if (v == NULL) {
        if (full && send(fd, too_many, strlen(too_many), MSG_NOSIGNAL) > 0)
            send(fd, "\n", 1, MSG_NOSIGNAL);
        close(fd);
        return;
    }
    unsigned idle_ms = door->config.idle_ms;
    if (idle_ms == 0) idle_ms = DOOR_IDLE_MS;
    struct timeval idle = {.tv_sec = idle_ms / 1000,
                           .tv_usec = (long)(idle_ms % 1000) * 1000};
    bufferevent_setcb(v->stream, on_read, on_written, on_event, v);
    bufferevent_setwatermark(v->stream, EV_READ, 0, DOOR_LINE_BYTES + 1);
    bufferevent_set_timeouts(v->stream, &idle, &idle);
    bufferevent_enable(v->stream, EV_READ | EV_WRITE);
}

/* No file is left for one more: trying at once again would do nothing else. */
static void on_trouble(struct evconnlistener *listener, void *context)
{
    struct door *door = context;
    struct timeval pause = {.tv_sec = PAUSE_S};
    evconnlistener_disable(listener);
    event_add(door->pause, &pause);
}

static void on_pause_over(evutil_socket_t fd, short what, void *context)
{
    struct door *door = context;
    evconnlistener_enable(door->listener);
}

err door_open(struct loop *loop, const struct door_config *config,
              struct door **out)
{
    struct door *door = mem_zero(1, sizeof *door);
    if (door) {
        door->config = *config;
        door->loop = loop;
        door->pause = evtimer_new(loop_base(loop), on_pause_over, door);
    }
    if (door && door->pause)
        door->listener = evconnlistener_new(
            loop_base(loop), on_knock, door,
            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, config->fd);
    if (door == NULL || door->listener == NULL) {
        close(config->fd);
        door_close(door);
        return ERR_NOMEM;
    }
    evconnlistener_set_error_cb(door->listener, on_trouble);
    *out = door;
    return OK;
}

void door_close(struct door *door)
{
    if (door == NULL) return;
    while (door->visitors)
        show_out(door->visitors);
    if (door->listener) evconnlistener_free(door->listener);
    if (door->pause) event_free(door->pause);
    buffer_fini(&door->answer);
    mem_free(door);
}
