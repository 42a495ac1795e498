#define _GNU_SOURCE /* pipe2, wait4 */
#include "cli/measure.h"
#include "cli/host.h"
#include "cli/report.h"
#include "core/buffer.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- signals ---- */

static sigset_t ending_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

int measure_signals(void)
{
    sigset_t set = ending_signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* The first drains the run, the second ends it. */
static void pass_signals(int signals, pid_t run, bool *stopped)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        kill(run, (int)info.ssi_signo);
        *stopped = true;
    }
}

/* ---- the process ---- */

enum { WORDS_MAX = 16 + 2 * SETS_MAX };

static void put_words(const struct measure_plan *p, char threads[16],
                      const char *words[WORDS_MAX])
{
    unsigned n = 0;
    snprintf(threads, 16, "%u", p->threads);
    const char *const head[] = {"engine",      "run",   "--quiet",   "--json",
                                "--log-level", "warn",  "--threads", threads,
                                "--for",       p->limit};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        words[n++] = head[i];
    for (unsigned i = 0; i < p->sets->count; i++) {
        words[n++] = "--set";
        words[n++] = p->sets->list[i];
    }
    words[n++] = "--";
    words[n++] = p->path;
    words[n] = NULL;
}

/* In the child; it has a group of its own, so that Ctrl-C reaches it once. */
static void become_run(const struct measure_plan *p, int log, pid_t parent)
{
    sigset_t set = ending_signals();
    const char *words[WORDS_MAX];
    char threads[16];
    put_words(p, threads, words);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(EXIT_FAILED);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0) _exit(EXIT_FAILED);
    if (p->stdin_again)
        lseek(STDIN_FILENO, 0, SEEK_SET);
    else
        dup2(nothing, STDIN_FILENO);
    if (!p->keep_output) dup2(nothing, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    execv("/proc/self/exe", (char *const *)(uintptr_t)words);
    fprintf(stderr, "can't start /proc/self/exe: %s\n", strerror(errno));
    _exit(EXIT_FAILED);
}

/* Its pid, and the end of its stderr to read from; -1: errno says why. */
static pid_t spawn(const struct measure_plan *p, int *log)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) become_run(p, ends[1], parent);
    int saved = errno;
    close(ends[1]);
    if (pid < 0) close(ends[0]);
    errno = saved;
    *log = ends[0];
    return pid;
}

/* ---- what it says ---- */

static void pass_on(const struct measure_plan *p, const json_t *line)
{
    const char *level = json_string_value(json_object_get(line, "level"));
    const char *text = json_string_value(json_object_get(line, "message"));
    const char *name = json_string_value(json_object_get(line, "component"));
    bool own = name == NULL || strcmp(name, HOST_NAME) == 0;
    bool error = level && strcmp(level, "error") == 0;
    if (text == NULL || !(p->whole_log || (own && error))) return;
    fprintf(stderr, "%s%s%s%s\n", report_is_live() ? REPORT_ERASE : "",
            own ? "" : name, own ? "" : ": ", text);
}

static void take_line(const struct measure_plan *p, const char *line,
                      size_t bytes, json_t **end)
{
    json_t *json = json_loadb(line, bytes, 0, NULL);
    if (json_object_get(json, "components")) {
        json_decref(*end);
        *end = json_incref(json);
    } else if (json) {
        pass_on(p, json);
    } else { /* it didn't come as far as its log */
        fprintf(stderr, "%.*s\n", (int)bytes, line);
    }
    json_decref(json);
}

/* Takes the lines that are whole out of the buffer. */
static void take_lines(const struct measure_plan *p, struct buffer *text,
                       json_t **end)
{
    size_t from = 0;
    uint8_t *feed;
    while (text->used > from &&
           (feed = memchr(text->data + from, '\n', text->used - from))) {
        size_t bytes = (size_t)(feed - text->data) - from;
        take_line(p, (const char *)text->data + from, bytes, end);
        from += bytes + 1;
    }
    if (from == 0) return;
    memmove(text->data, text->data + from, text->used - from);
    text->used -= from;
}

/* False: the log has ended, or there is no memory for it. */
static bool read_more(int log, struct buffer *text)
{
    enum { SOME = 64 * 1024 };
    if (buffer_reserve(text, SOME) != OK) return false;
    ssize_t n = read(log, text->data + text->used, SOME);
    if (n > 0) text->used += (size_t)n;
    return n > 0 || (n < 0 && errno == EINTR);
}

/* The object of its end, or NULL. */
static json_t *read_log(const struct measure_plan *p, int log, pid_t run,
                        bool *stopped)
{
    json_t *end = NULL;
    struct buffer text = {0};
    bool open = true;
    while (open) {
        struct pollfd fds[] = {{.fd = log, .events = POLLIN},
                               {.fd = p->signals, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0) continue;
        if (fds[1].revents) pass_signals(p->signals, run, stopped);
        if (fds[0].revents) open = read_more(log, &text);
        take_lines(p, &text, &end);
    }
    buffer_fini(&text);
    close(log);
    return end;
}

static double seconds_of(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static int say_failed(const struct measure_plan *p, int status)
{
    if (WIFSIGNALED(status))
        verb_say("%s: the run was killed by signal %d (%s); nothing was "
                 "measured",
                 p->path, WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        verb_say("%s: the run ended with exit code %d; nothing was measured",
                 p->path, WEXITSTATUS(status));
    bool told = WIFEXITED(status) && WEXITSTATUS(status) != EXIT_WELL;
    return told ? WEXITSTATUS(status) : EXIT_FAILED;
}

int measure(const struct measure_plan *p, struct measurement *out,
            bool *stopped)
{
    struct rusage used;
    int log, status = 0;
    *out = (struct measurement){0};
    pid_t pid = spawn(p, &log);
    if (pid < 0) {
        verb_say("can't start a run: %s; ulimit -a shows what there is",
                 strerror(errno));
        return EXIT_FAILED;
    }
    out->end = read_log(p, log, pid, stopped);
    while (wait4(pid, &status, 0, &used) < 0 && errno == EINTR)
        continue;
    if (out->end == NULL) return *stopped ? EXIT_FAILED : say_failed(p, status);
    const char *ended = json_string_value(json_object_get(out->end, "ended"));
    out->complete = ended && strcmp(ended, "by itself") == 0;
    out->code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
    out->cpu_s = seconds_of(&used.ru_utime) + seconds_of(&used.ru_stime);
    out->rss = (double)used.ru_maxrss * 1024;
    return EXIT_WELL;
}

void measurement_fini(struct measurement *m)
{
    json_decref(m->end);
    *m = (struct measurement){0};
}
