/* log_fd_spec.c - a log on a file descriptor: lines stay whole whatever the
 * other end or other threads do, and those that don't fit are counted. */
#include "core/atomic.h"
#include "core/log.h"
#include "core/random.h"
#include "spec/log_world.h"
#include "spec/spec.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- file descriptors ---- */

static struct log *log_to_fd(struct world *w, int fd)
{
    struct log_config config = world_config(w, LOG_TEXT);
    config.sink = NULL;
    config.fd = fd;
    struct log *log = log_new(&config);
    CHECK(log != NULL);
    return log;
}

/* A line with that many x in it, which says so, and its number at both ends. */
static void log_numbered(struct log *log, unsigned number, int bytes)
{
    char text[LOG_LINE_BYTES], fill[LOG_LINE_BYTES];
    memset(fill, 'x', sizeof fill);
    int n = snprintf(text, sizeof text, "%u %d %.*s %u", number, bytes, bytes,
                     fill, number);
    log_text(log, "a", 1, LOG_INFO, number + 1, text, (size_t)n, NULL);
}

static void check_numbered(const char *line)
{
    unsigned first, last;
    int bytes, begin = 0, end = 0;
    int got = sscanf(line, "12:04:31.204 info  a[1]  %u %d %n%*[x]%n %u",
                     &first, &bytes, &begin, &end, &last);
    CHECK_EQ(got, 3);
    CHECK_EQ(first, last);
    CHECK_EQ(end - begin, bytes);
}

/* How many lines there are; one that is not whole fails. */
static unsigned count_numbered(char *page)
{
    unsigned lines = 0;
    for (char *at = page; *at != '\0'; lines++) {
        char *end = strchr(at, '\n');
        CHECK(end != NULL);
        *end = '\0';
        check_numbered(at);
        at = end + 1;
    }
    return lines;
}

static void read_some(struct world *w, int fd, size_t most)
{
    CHECK(w->used + most < PAGE_BYTES);
    ssize_t n = read(fd, w->page + w->used, most);
    if (n > 0) w->used += (size_t)n;
    w->page[w->used] = '\0';
}

SPEC(log, a_full_pipe_drops_whole_lines_and_counts_them)
{
    FOR_SEEDS(30)
    {
        struct rng chance = {spec_seed};
        struct world *w = world_new(LOG_TEXT);
        int ends[2];
        CHECK_EQ(pipe(ends), 0);
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
        struct log *log = log_to_fd(w, ends[1]);
        unsigned calls = 50 + (unsigned)rng_below(&chance, 60);
        for (unsigned i = 0; i < calls; i++) {
            log_numbered(log, i, 1 + (int)rng_below(&chance, 7000));
            if (rng_below(&chance, 8) == 0)
                read_some(w, ends[0], 1 + rng_below(&chance, 30000));
        }
        uint64_t dropped = log_dropped(log);
        read_some(w, ends[0], 1 << 17); /* room for the end of the last line */
        log_free(log);
        read_some(w, ends[0], 1 << 17);
        CHECK_EQ(count_numbered(w->page) + dropped, calls);
        close(ends[0]);
        close(ends[1]);
        world_free(w);
    }
}

SPEC(log, a_closed_place_to_write_to_is_counted_and_harms_nobody)
{
    struct world *w = world_new(LOG_TEXT);
    struct log *closed = log_to_fd(w, -1);
    log_write(closed, "a", 1, LOG_INFO, "x");
    log_write(closed, "a", 1, LOG_INFO, "y");
    CHECK_EQ(log_dropped(closed), 2);
    log_free(closed);

    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    sigaction(SIGPIPE, &ignore, &old);
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    struct log *broken = log_to_fd(w, ends[1]);
    close(ends[0]);
    errno = 0;
    log_write(broken, "a", 1, LOG_INFO, "x");
    CHECK_EQ(errno, 0);
    CHECK_EQ(log_dropped(broken), 1);
    log_free(broken);
    close(ends[1]);
    sigaction(SIGPIPE, &old, NULL);
    world_free(w);
}

/* ---- threads ---- */

enum { WRITERS = 4, LINES_EACH = 150 };

struct writer {
    struct log *log;
    unsigned number;
    atomic_bool done;
    pthread_t thread;
};

static void *write_lines(void *context)
{
    struct writer *me = context;
    for (unsigned i = 0; i < LINES_EACH; i++) {
        log_numbered(me->log, me->number * LINES_EACH + i,
                     (int)(1 + (i * 37) % 900));
        log_write(me->log, "quiet", 1, LOG_DEBUG, "often");
        log_set_level(me->log, i % 2 ? "quiet" : "a", LOG_INFO);
    }
    at_store(&me->done, true, RELEASE);
    return NULL;
}

static void start_writers(struct writer *writers, unsigned n, struct log *log)
{
    for (unsigned i = 0; i < n; i++) {
        writers[i].log = log;
        writers[i].number = i;
        at_store(&writers[i].done, false, RELAXED);
        CHECK_EQ(
            pthread_create(&writers[i].thread, NULL, write_lines, &writers[i]),
            0);
    }
}

SPEC(log, lines_of_several_threads_stay_whole)
{
    struct world *w = world_new(LOG_TEXT);
    struct writer writers[WRITERS];
    char name[] = "/tmp/log_fd_spec_XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    unlink(name);
    struct log *log = log_to_fd(w, fd);
    log_set_level(log, NULL, LOG_INFO);
    start_writers(writers, WRITERS, log);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    CHECK_EQ(log_dropped(log), 0);
    log_free(log);
    lseek(fd, 0, SEEK_SET);
    read_some(w, fd, PAGE_BYTES - 1);
    CHECK_EQ(count_numbered(w->page), WRITERS * LINES_EACH);
    close(fd);
    world_free(w);
}

static void on_signal(int number)
{
    (void)number;
}

SPEC(log, a_writer_that_is_interrupted_loses_nothing)
{
    struct world *w = world_new(LOG_TEXT);
    struct sigaction wake = {.sa_handler = on_signal}, old; /* no SA_RESTART */
    struct writer writer;
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    sigaction(SIGUSR1, &wake, &old);
    struct log *log = log_to_fd(w, ends[1]);
    log_set_level(log, NULL, LOG_INFO);
    start_writers(&writer, 1, log);
    while (!at_load(&writer.done, ACQUIRE)) {
        pthread_kill(writer.thread, SIGUSR1);
        nanosleep(&(struct timespec){.tv_nsec = 200 * 1000}, NULL);
        read_some(w, ends[0], 700);
    }
    pthread_join(writer.thread, NULL);
    CHECK_EQ(log_dropped(log), 0);
    log_free(log);
    close(ends[1]);
    for (size_t before = 1; before != w->used;) {
        before = w->used;
        read_some(w, ends[0], 1 << 16);
    }
    CHECK_EQ(count_numbered(w->page), LINES_EACH);
    close(ends[0]);
    sigaction(SIGUSR1, &old, NULL);
    world_free(w);
}
