#define _GNU_SOURCE /* pipe2, wait4 */
#include "cli/measure.h"
#include "cli/host.h"
#include "cli/report.h"
#include "core/alloc.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process is at one place only: so are its signals. */
static volatile sig_atomic_t stopped;
static volatile sig_atomic_t child; /* that is measured; 0: none */

/* ---- signals ---- */

static void on_signal(int signal)
{
    int saved = errno;
    stopped = 1;
    if (child > 0) kill((pid_t)child, signal);
    errno = saved;
}

void measure_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool measure_stopped(void)
{
    return stopped != 0;
}

/* While `child` and what is there differ none may come. */
static void hold_signals(sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, before);
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
static void become_run(const struct measure_plan *p, int log, pid_t parent,
                       const sigset_t *mask)
{
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
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execv("/proc/self/exe", (char *const *)(uintptr_t)words);
    fprintf(stderr, "can't start /proc/self/exe: %s\n", strerror(errno));
    _exit(EXIT_FAILED);
}

/* Its pid, and the end of its stderr to read from; -1: errno says why. */
static pid_t spawn(const struct measure_plan *p, int *log)
{
    int ends[2];
    sigset_t before;
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    fflush(NULL);
    hold_signals(&before);
    pid_t pid = fork();
    if (pid == 0) become_run(p, ends[1], parent, &before);
    int saved = errno;
    child = pid > 0 ? pid : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
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

/* The object of its end, or NULL. */
static json_t *read_log(const struct measure_plan *p, int log)
{
    json_t *end = NULL;
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;
    FILE *from = fdopen(log, "r");
    if (from == NULL) {
        close(log);
        return NULL;
    }
    while ((bytes = getline(&line, &room, from)) > 0) {
        json_t *json = json_loadb(line, (size_t)bytes, 0, NULL);
        if (json_object_get(json, "components")) {
            json_decref(end);
            end = json_incref(json);
        } else if (json) {
            pass_on(p, json);
        } else {
            fputs(line, stderr); /* it didn't come as far as its log */
        }
        json_decref(json);
    }
    free(line);
    fclose(from);
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

/* Its number may be another's as soon as wait4() has returned. */
static void reap(pid_t pid, int *status, struct rusage *used)
{
    siginfo_t info;
    sigset_t before;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 &&
           errno == EINTR)
        continue;
    hold_signals(&before);
    wait4(pid, status, 0, used);
    child = 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
}

int measure(const struct measure_plan *p, struct measurement *out)
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
    out->end = read_log(p, log);
    reap(pid, &status, &used);
    if (out->end == NULL) return say_failed(p, status);
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
