#include "core/door.h"
#include "core/alloc.h"
#include "core/net.h"
#include <stdbool.h>
#include <string.h>

enum { UNREAD_BYTES = 256 * 1024 }; /* of answers; then nothing more is read */

struct visitor {
    struct visitor *next, **at;
    struct door *door;
    struct net_stream *stream; /* owned */
    bool leaving;              /* when the answers are sent */
};

struct door {
    struct door_config config;
    const struct net *net;
    struct net_listener *listener; /* owned */
    struct visitor *visitors;      /* owned */
    unsigned count;
    struct buffer line, answer; /* owned: of the one in hand */
};

static void show_out(struct visitor *v)
{
    *v->at = v->next;
    if (v->next) v->next->at = v->at;
    v->door->count--;
    v->door->net->close(v->stream);
    mem_free(v);
}

static size_t unread(const struct visitor *v)
{
    return v->door->net->unsent(v->stream);
}

/* Once the answers are sent; nothing more is read. */
static void leave(struct visitor *v)
{
    v->leaving = true;
    if (unread(v) == 0)
        show_out(v);
    else
        v->door->net->read(v->stream, false);
}

static err say(struct door *door, struct net_stream *stream, const char *text)
{
    door->answer.used = 0;
    err e = buffer_append(&door->answer, text, strlen(text));
    if (e == OK) e = buffer_append(&door->answer, "\n", 1);
    if (e != OK) return e;
    return door->net->write(stream, door->answer.data, door->answer.used);
}

static err answer(struct env *env, struct visitor *v, const char *line,
                  size_t bytes)
{
    struct door *door = v->door;
    struct buffer *copy = &door->line, *answer = &door->answer;
    copy->used = answer->used = 0;
    err e = buffer_append(copy, line, bytes);
    if (e == OK) e = buffer_append(copy, "", 1);
    if (e == OK)
        e = door->config.answer(env, door->config.context, (char *)copy->data,
                                bytes, answer);
    if (e == OK) e = buffer_append(answer, "\n", 1);
    if (e != OK) return e;
    return door->net->write(v->stream, answer->data, answer->used);
}

/* Answers the lines that have come, as long as their answers are read. */
static size_t on_came(struct env *env, void *holder, const char *bytes,
                      size_t count)
{
    struct visitor *v = holder;
    size_t used = 0;
    while (unread(v) < UNREAD_BYTES) {
        const char *line = bytes + used;
        const char *end = memchr(line, '\n', count - used);
        size_t length = end ? (size_t)(end - line) : count - used;
        if (length > DOOR_LINE_BYTES) {
            say(v->door, v->stream, v->door->config.too_long);
            leave(v);
            return count;
        }
        if (end == NULL) return used;
        used += length + 1;
        if (answer(env, v, line, length) == OK) continue;
        show_out(v);
        return count;
    }
    v->door->net->read(v->stream, false);
    return used;
}

static void on_sent(struct env *env, void *holder)
{
    struct visitor *v = holder;
    if (v->leaving)
        show_out(v);
    else
        v->door->net->read(v->stream, true);
}

static void on_ended(struct env *env, void *holder, err why)
{
    if (why == ERR_DONE)
        leave(holder);
    else
        show_out(holder);
}

static const struct net_handler handler = {on_came, on_sent, on_ended};

static void on_knock(struct env *env, void *holder, struct net_stream *stream)
{
    struct door *door = holder;
    struct visitor *v = NULL;
    if (door->count == DOOR_VISITORS)
        say(door, stream, door->config.too_many);
    else
        v = mem_zero(1, sizeof *v);
    if (v == NULL) {
        door->net->close(stream);
        return;
    }
    v->door = door;
    v->stream = stream;
    v->next = door->visitors;
    v->at = &door->visitors;
    if (v->next) v->next->at = &v->next;
    door->visitors = v;
    door->count++;
    unsigned idle_ms = door->config.idle_ms;
    door->net->hold(stream, &handler, v, idle_ms ? idle_ms : DOOR_IDLE_MS);
}

err door_open(const struct net *net, const struct door_config *config,
              struct door **out)
{
    struct door *door = mem_zero(1, sizeof *door);
    if (door == NULL) return ERR_NOMEM;
    door->config = *config;
    door->net = net;
    err e = net->listen(net->context, config->address, on_knock, door,
                        &door->listener);
    if (e == OK)
        *out = door;
    else
        mem_free(door);
    return e;
}

void door_close(struct door *door)
{
    if (door == NULL) return;
    while (door->visitors)
        show_out(door->visitors);
    door->net->unlisten(door->listener);
    buffer_fini(&door->line);
    buffer_fini(&door->answer);
    mem_free(door);
}
