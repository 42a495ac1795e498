/* clock.c - what a command cost, seen from outside.
 *   bench-clock [-t SECONDS] [-o FILE] [-e FILE] COMMAND [ARGUMENT]...
 * runs the command, its output in the -o file, its errors in the -e file, and
 * prints `status wall_ns user_ns sys_ns resident_kb`: the CPU time of the
 * command and of the children it waited for, and the largest of their resident
 * sets. The status is as in a shell: 128 + n after signal n, 124 when the time
 * was up and the command's process group was killed, 127 when the command can't
 * be started. Linux scales user and system time so that their sum is exact. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIME_UP = 124, CANT_START = 127, SIGNALLED = 128 };

struct options {
    long limit_s;       /* 0: as long as it takes */
    const char *output; /* NULL: inherited */
    const char *errors; /* NULL: inherited */
};

static int64_t wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t span_ns(const struct timeval *t)
{
    return ((int64_t)t->tv_sec * 1000000 + t->tv_usec) * 1000;
}

static int send_to_file(int descriptor, const char *path)
{
    if (path == NULL) return 0;
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0 || dup2(file, descriptor) < 0) {
        perror(path);
        return -1;
    }
    return close(file);
}

static _Noreturn void become(char **command, const struct options *options,
                             const sigset_t *mask)
{
    setpgid(0, 0); /* whatever it starts can be killed with it */
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (send_to_file(STDOUT_FILENO, options->output) == 0 &&
        send_to_file(STDERR_FILENO, options->errors) == 0) {
        execvp(command[0], command);
        perror(command[0]);
    }
    _exit(CANT_START);
}

/* The next of `wanted` to arrive, or 0 when the limit has passed. */
static int await(const sigset_t *wanted, const struct options *options,
                 int64_t start_ns)
{
    for (;;) {
        int64_t left_ns =
            options->limit_s * INT64_C(1000000000) - (wall_ns() - start_ns);
        if (options->limit_s > 0 && left_ns <= 0) return 0;
        struct timespec left = {.tv_sec = left_ns / 1000000000,
                                .tv_nsec = left_ns % 1000000000};
        int seen =
            sigtimedwait(wanted, NULL, options->limit_s > 0 ? &left : NULL);
        if (seen > 0) return seen;
    }
}

static int measure(char **command, const struct options *options)
{
    sigset_t wanted, before;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    sigprocmask(SIG_BLOCK, &wanted, &before);
    int64_t start_ns = wall_ns();
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        return 1;
    }
    if (child == 0) become(command, options, &before);
    setpgid(child, child); /* both sides do it: either may be first */
    int seen = await(&wanted, options, start_ns);
    if (seen != SIGCHLD) kill(-child, SIGKILL);
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    int64_t end_ns = wall_ns();
    if (seen == SIGINT || seen == SIGTERM) return SIGNALLED + seen;
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    int code = seen != SIGCHLD       ? TIME_UP
               : WIFSIGNALED(status) ? SIGNALLED + WTERMSIG(status)
                                     : WEXITSTATUS(status);
    printf("%d %lld %lld %lld %ld\n", code, (long long)(end_ns - start_ns),
           (long long)span_ns(&used.ru_utime),
           (long long)span_ns(&used.ru_stime), used.ru_maxrss);
    return 0;
}

static int usage(void)
{
    fputs("usage: bench-clock [-t SECONDS] [-o FILE] [-e FILE] "
          "COMMAND [ARGUMENT]...\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int option;
    /* The + ends the options at COMMAND, whose own are not ours. */
    while ((option = getopt(argc, argv, "+t:o:e:")) != -1) {
        switch (option) {
        case 't': options.limit_s = strtol(optarg, NULL, 10); break;
        case 'o': options.output = optarg; break;
        case 'e': options.errors = optarg; break;
        default: return usage();
        }
    }
    if (optind == argc || options.limit_s < 0) return usage();
    return measure(argv + optind, &options);
}
