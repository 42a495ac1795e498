#define _GNU_SOURCE /* signalfd */
#include "cli/host.h"
#include "cli/report.h"
#include "cli/running.h"
#include "core/alloc.h"
#include "core/loop.h"
#include "core/real.h"
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { ECHO_NS = 100 * 1000 * 1000, LINE_BYTES = 4096 };

/* ---- what a person is told ---- */

void host_tell(const struct host *host, enum log_level level,
               const char *format, ...)
{
    char text[LINE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (host->options.json_log)
        log_text(host->log, HOST_NAME, -1, level, 0, text, strlen(text), NULL);
    else
        fprintf(stderr, "%s%s\n", host->live ? REPORT_ERASE : "", text);
}

void host_tell_lines(const struct host *host, const char *lines)
{
    while (*lines) {
        size_t bytes = strcspn(lines, "\n");
        host_tell(host, LOG_ERROR, "%.*s", (int)bytes, lines);
        lines += bytes + (lines[bytes] == '\n');
    }
}

static uint64_t wall_ms(void *unused)
{
    return (uint64_t)(real_wall_ns(NULL) / 1000000);
}

struct log *host_log(const struct host *host, const char *topology)
{
    struct log_config config = {
        .format = host->options.json_log ? LOG_JSON : LOG_TEXT,
        .level = LOG_INFO,
        .color = isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL,
        .local_time = true,
        .erase = host->live ? REPORT_ERASE : NULL,
        .topology = topology,
        .now_ms = wall_ms,
        .fd = STDERR_FILENO,
    };
    return log_new(&config);
}

/* ---- signals ---- */

static sigset_t ending_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

void host_mind_signals(bool mind)
{
    sigset_t set = ending_signals();
    pthread_sigmask(mind ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

/* timeout(1) and the like signal a process and then its group. */
static bool is_echo(struct host *host, uint32_t signal)
{
    int64_t now_ns = real_now_ns(NULL);
    bool echo =
        signal == host->last_signal && now_ns - host->signal_ns < ECHO_NS;
    host->last_signal = signal;
    host->signal_ns = now_ns;
    return echo;
}

/* The first drains, the second ends at once. */
static void take_signal(struct host *host)
{
    if (++host->signal_count > 1) {
        for (unsigned i = 0; i < host->count; i++)
            place_remove(&host->runs[i].place);
        _exit(EXIT_FAILED);
    }
    if (!host->options.quiet)
        host_tell(host, LOG_INFO, "draining; once more to end at once");
    for (unsigned i = 0; i < host->count; i++)
        running_drain(&host->runs[i]);
}

/* On the I/O thread of any topology. */
static void on_signal(struct env *env, int fd, void *context)
{
    struct host *host = context;
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        pthread_mutex_lock(&host->lock);
        if (!is_echo(host, info.ssi_signo)) take_signal(host);
        pthread_mutex_unlock(&host->lock);
    }
}

err host_watch_signals(struct host *host, struct loop *loop)
{
    return loop_watch(loop, host->signals, on_signal, host);
}

/* Signals are read by an I/O thread, whatever thread they hit. A file at the
 * limit of its size is an error of a write. */
static int open_signals(void)
{
    sigset_t set = ending_signals();
    host_mind_signals(true);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGXFSZ, &ignore, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* ---- life ---- */

int host_open(struct host *host, unsigned count)
{
    pthread_mutex_init(&host->lock, NULL);
    pthread_cond_init(&host->wake, NULL);
    host->signals = open_signals();
    host->log = host_log(host, NULL);
    host->runs = mem_zero(count, sizeof *host->runs);
    if (host->signals >= 0 && host->log && host->runs) {
        host->count = count;
        for (unsigned i = 0; i < count; i++)
            running_init(&host->runs[i], host);
        return EXIT_WELL;
    }
    verb_say("can't start: out of memory or descriptors; ulimit -a shows what "
             "there is");
    return EXIT_FAILED;
}

void host_close(struct host *host)
{
    for (unsigned i = 0; i < host->count; i++)
        running_fini(&host->runs[i]);
    mem_free(host->runs);
    data_close(&host->data);
    log_free(host->log);
    if (host->signals >= 0) close(host->signals);
    pthread_cond_destroy(&host->wake);
    pthread_mutex_destroy(&host->lock);
}

/* ---- main's waiting ---- */

/* One line for all that go on. */
static void draw(struct host *host)
{
    char line[1024] = "", part[REPORT_BYTES];
    size_t used = 0;
    for (unsigned i = 0; i < host->count; i++) {
        struct running *r = &host->runs[i];
        if (r->finished) continue;
        running_report(r, part);
        int n = snprintf(line + used, sizeof line - used, "%s%s",
                         used > 0 ? " | " : "", part);
        if (n > 0 && (size_t)n < sizeof line - used) used += (size_t)n;
    }
    report_draw(line);
}

/* Looks after one; without the lock. True: it has ended. */
static bool serve(struct running *r, bool ended, bool changed)
{
    if (changed && !ended) running_reload(r);
    if (ended) running_finish(r);
    return ended;
}

/* Nothing happens for a second at most: then the line is drawn. The lock is
 * held. */
static void sleep_a_second(struct host *host)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    for (unsigned i = 0; i < host->count; i++) {
        const struct running *r = &host->runs[i];
        if (!r->finished && (r->ended || r->changed)) return;
    }
    pthread_cond_timedwait(&host->wake, &host->lock, &until);
}

int host_wait(struct host *host)
{
    int code = EXIT_WELL;
    unsigned left = 0;
    for (unsigned i = 0; i < host->count; i++)
        left += !host->runs[i].finished;
    while (left > 0) {
        pthread_mutex_lock(&host->lock);
        sleep_a_second(host);
        pthread_mutex_unlock(&host->lock);
        for (unsigned i = 0; i < host->count; i++) {
            struct running *r = &host->runs[i];
            if (r->finished) continue;
            pthread_mutex_lock(&host->lock);
            bool ended = r->ended, changed = r->changed;
            r->changed = false;
            pthread_mutex_unlock(&host->lock);
            if (serve(r, ended, changed)) left--;
            if (r->code > code) code = r->code;
            if (!ended) log_flush_repeats(r->log);
        }
        if (host->live && left > 0) draw(host);
    }
    return code;
}
