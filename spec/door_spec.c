/* door_spec.c - a real socket on a real I/O thread: what it answers, and whom
 * it shows out. */
#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include "core/alloc.h"
#include "core/atomic.h"
#include "core/door.h"
#include "core/real.h"
#include "spec/spec.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

struct house {
    struct real *real;
    struct door *door;
    struct sockaddr_un address;
};

/* Says how long the line was, and "?" for the question mark. */
static err echo(struct env *env, void *context, const char *line, size_t bytes,
                struct buffer *answer)
{
    char text[64];
    CHECK(env != NULL && line[bytes] == '\0');
    int n = snprintf(text, sizeof text, "%zu:%.20s", bytes, line);
    if (strcmp(line, "large") != 0)
        return buffer_append(answer, text, (size_t)n);
    enum { LARGE = 1 << 20 };
    if (buffer_reserve(answer, LARGE) != OK) return ERR_NOMEM;
    memset(answer->data, 'x', LARGE);
    answer->used = LARGE;
    return OK;
}

static struct house *house_new(unsigned idle_ms)
{
    struct house *h = calloc(1, sizeof *h);
    CHECK(h != NULL);
    h->real = real_new(1, 1, NULL, NULL);
    CHECK(h->real != NULL);
    h->address.sun_family = AF_UNIX; /* an abstract one: no file is left */
    snprintf(h->address.sun_path + 1, sizeof h->address.sun_path - 1,
             "engine-door-%d-%p", (int)getpid(), (void *)h);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(bind(fd, (struct sockaddr *)&h->address, sizeof h->address) == 0);
    CHECK(listen(fd, 64) == 0);
    char address[32];
    snprintf(address, sizeof address, "fd:%d", fd);
    struct door_config config = {.address = address,
                                 .answer = echo,
                                 .too_many = "too many",
                                 .too_long = "too long",
                                 .idle_ms = idle_ms};
    CHECK_EQ(door_open(node_world(real_node(h->real))->net, &config, &h->door),
             OK);
    CHECK_EQ(real_start(h->real), OK);
    return h;
}

static void house_free(struct house *h)
{
    real_stop(h->real);
    door_close(h->door);
    real_free(h->real);
    free(h);
}

static int visit(struct house *h)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&h->address, sizeof h->address) == 0);
    return fd;
}

static void tell(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = send(fd, text, bytes, MSG_NOSIGNAL);
        if (n <= 0) return; /* shown out meanwhile */
        text += n;
        bytes -= (size_t)n;
    }
}

static char next_byte(int fd)
{
    char c;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, PATIENCE_MS), 1);
    return recv(fd, &c, 1, 0) == 1 ? c : '\0';
}

/* Its next line; "" when it has closed. */
static const char *hear(int fd)
{
    static char line[256];
    size_t n = 0;
    char c;
    while ((c = next_byte(fd)) != '\0' && c != '\n')
        if (n < sizeof line - 1) line[n++] = c;
    line[n] = '\0';
    return line;
}

SPEC(door, answers_each_line_in_order)
{
    struct house *h = house_new(0);
    int fd = visit(h);
    tell(fd, "one\n\nthr", 8);
    CHECK_TEXT(hear(fd), "3:one");
    CHECK_TEXT(hear(fd), "0:");
    tell(fd, "ee\n", 3);
    CHECK_TEXT(hear(fd), "5:three");
    close(fd);
    house_free(h);
}

SPEC(door, answers_who_has_said_all)
{
    struct house *h = house_new(0);
    int fd = visit(h);
    tell(fd, "a\nb\nnot a line", 14);
    shutdown(fd, SHUT_WR);
    CHECK_TEXT(hear(fd), "1:a");
    CHECK_TEXT(hear(fd), "1:b");
    CHECK_TEXT(hear(fd), "");
    close(fd);
    house_free(h);
}

SPEC(door, takes_lines_of_64_kb_and_no_longer)
{
    struct house *h = house_new(0);
    int fd = visit(h);
    char *line = malloc(DOOR_LINE_BYTES + 2);
    memset(line, 'x', DOOR_LINE_BYTES + 2);
    line[DOOR_LINE_BYTES] = '\n';
    tell(fd, line, DOOR_LINE_BYTES + 1);
    CHECK_TEXT(hear(fd), "65536:xxxxxxxxxxxxxxxxxxxx");
    line[DOOR_LINE_BYTES] = 'x';
    line[DOOR_LINE_BYTES + 1] = '\n';
    tell(fd, line, DOOR_LINE_BYTES + 2);
    CHECK_TEXT(hear(fd), "too long");
    CHECK_TEXT(hear(fd), "");
    close(fd);
    fd = visit(h); /* without an end */
    for (int i = 0; i < 20; i++)
        tell(fd, line, DOOR_LINE_BYTES);
    CHECK_TEXT(hear(fd), "too long");
    close(fd);
    free(line);
    house_free(h);
}

SPEC(door, has_room_for_16_and_refuses_one_more)
{
    struct house *h = house_new(0);
    int fds[DOOR_VISITORS];
    for (int i = 0; i < DOOR_VISITORS; i++) {
        fds[i] = visit(h);
        tell(fds[i], "x\n", 2);
        CHECK_TEXT(hear(fds[i]), "1:x");
    }
    int more = visit(h);
    CHECK_TEXT(hear(more), "too many");
    CHECK_TEXT(hear(more), "");
    close(more);
    close(fds[3]); /* there is room when the door has seen it */
    for (int tries = 0; tries < 1000; tries++) {
        fds[3] = visit(h);
        tell(fds[3], "y\n", 2);
        if (strcmp(hear(fds[3]), "1:y") == 0) break;
        close(fds[3]);
        fds[3] = -1;
        poll(NULL, 0, 5);
    }
    CHECK(fds[3] >= 0);
    for (int i = 0; i < DOOR_VISITORS; i++)
        close(fds[i]);
    house_free(h);
}

SPEC(door, shows_out_who_says_nothing)
{
    struct house *h = house_new(30);
    int fd = visit(h);
    CHECK_TEXT(hear(fd), "");
    close(fd);
    house_free(h);
}

/* It asks and asks, and reads nothing: its answers must not pile up. */
SPEC(door, waits_for_who_does_not_read)
{
    struct house *h = house_new(0);
    int fd = visit(h);
    for (int i = 0; i < 50; i++)
        tell(fd, "large\n", 6);
    poll(NULL, 0, 100);
    unsigned lines = 0;
    size_t bytes = 0;
    char some[65536];
    while (lines < 50) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        CHECK_EQ(poll(&p, 1, PATIENCE_MS), 1);
        ssize_t n = recv(fd, some, sizeof some, 0);
        CHECK(n > 0);
        bytes += (size_t)n;
        for (ssize_t i = 0; i < n; i++)
            lines += some[i] == '\n';
    }
    CHECK_EQ(bytes, 50 * ((1 << 20) + 1));
    close(fd);
    house_free(h);
}

SPEC(door, closes_on_its_visitors)
{
    struct house *h = house_new(0);
    int fd = visit(h);
    tell(fd, "a\n", 2);
    CHECK_TEXT(hear(fd), "1:a");
    house_free(h);
    CHECK_TEXT(hear(fd), "");
    close(fd);
}

static void on_due(struct env *env, void *context)
{
    CHECK(env != NULL);
    at_add((_Atomic unsigned *)context, 1, SEQ_CST);
}

SPEC(loop, a_timer_comes_once_or_again_and_again)
{
    struct real *real = real_new(1, 1, NULL, NULL);
    _Atomic unsigned once = 0, often = 0;
    CHECK_EQ(loop_timer(real_loop(real), 1000000, false, on_due, &once), OK);
    CHECK_EQ(loop_timer(real_loop(real), 2000000, true, on_due, &often), OK);
    CHECK_EQ(real_start(real), OK);
    for (int i = 0; i < PATIENCE_MS && at_load(&often, SEQ_CST) < 5; i++)
        poll(NULL, 0, 1);
    real_stop(real);
    CHECK(at_load(&often, SEQ_CST) >= 5);
    CHECK_EQ(at_load(&once, SEQ_CST), 1);
    real_free(real);
}
