/* outside.c - what a command looks like to the one who started it.
 *   bench-outside first RUNS LINE COMMAND [ARGUMENT]...
 *       from the start of the process to its first line on stdout, which must
 *       be LINE; the median of RUNS runs, each of which must end with exit 0.
 *   bench-outside idle SECONDS COMMAND [ARGUMENT]...
 *       lets it run for a second, watches it for SECONDS, and ends it with
 *       SIGTERM: it must have printed a line a second and end with exit 0.
 * Prints `first RUNS cpu_ns wall_ns check` (CPU of the whole run), or `idle
 * SECONDS cpu_ns wall_ns check bytes N`: CPU for a second, in ns and of all
 * its threads, by the process's own clock; and what was resident at the end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS_MAX = 1000, LINE_BYTES = 256 };

struct child {
    pid_t pid;
    int output; /* reads its stdout */
    int64_t began_ns;
    int64_t first_ns;      /* when its first line was complete */
    char line[LINE_BYTES]; /* the first one */
    unsigned lines;
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t children_cpu_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
           ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

static bool begin(struct child *c, char **command)
{
    int ends[2];
    *c = (struct child){.pid = -1};
    if (pipe(ends) != 0) return false;
    c->began_ns = clock_ns(CLOCK_MONOTONIC);
    c->pid = fork();
    if (c->pid == 0) {
        int nothing = open("/dev/null", O_RDONLY);
        dup2(nothing, STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    close(ends[1]);
    c->output = ends[0];
    return c->pid > 0;
}

/* Reads once; false: its output has ended. */
static bool take_output(struct child *c)
{
    char bytes[4096];
    ssize_t got = read(c->output, bytes, sizeof bytes);
    if (got <= 0) return got < 0 && errno == EINTR;
    for (ssize_t i = 0; i < got; i++) {
        size_t length = strlen(c->line);
        if (bytes[i] == '\n') {
            if (c->lines++ == 0) c->first_ns = clock_ns(CLOCK_MONOTONIC);
        } else if (c->lines == 0 && length + 1 < sizeof c->line) {
            c->line[length] = bytes[i];
        }
    }
    return true;
}

/* True when it ended with exit 0. */
static bool finish(struct child *c)
{
    int status;
    while (take_output(c))
        continue;
    close(c->output);
    while (waitpid(c->pid, &status, 0) < 0)
        if (errno != EINTR) return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int measure_first(unsigned runs, const char *line, char **command)
{
    int64_t spans_ns[RUNS_MAX], cpu_ns = children_cpu_ns();
    bool right = true;
    for (unsigned i = 0; i < runs && right; i++) {
        struct child c;
        right = begin(&c, command) && finish(&c) && strcmp(c.line, line) == 0;
        spans_ns[i] = c.first_ns - c.began_ns;
    }
    cpu_ns = (children_cpu_ns() - cpu_ns) / runs;
    if (right) qsort(spans_ns, runs, sizeof spans_ns[0], by_size);
    int64_t median_ns = (spans_ns[(runs - 1) / 2] + spans_ns[runs / 2]) / 2;
    printf("first %u %lld %lld %s\n", runs, (long long)cpu_ns,
           (long long)(right ? median_ns : 0), right ? "ok" : "WRONG");
    return right ? 0 : 1;
}

static void rest(unsigned seconds)
{
    struct timespec left = {seconds, 0};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

static int64_t resident_bytes(pid_t pid)
{
    char path[64];
    long pages = 0, resident = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    fclose(file);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static int measure_idle(unsigned seconds, char **command)
{
    struct child c;
    clockid_t cpu;
    if (!begin(&c, command)) return 2;
    rest(1);
    bool right = clock_getcpuclockid(c.pid, &cpu) == 0;
    int64_t cpu_ns = clock_ns(cpu), wall_ns = clock_ns(CLOCK_MONOTONIC);
    rest(seconds);
    cpu_ns = clock_ns(cpu) - cpu_ns;
    wall_ns = clock_ns(CLOCK_MONOTONIC) - wall_ns;
    int64_t bytes = resident_bytes(c.pid);
    kill(c.pid, SIGTERM);
    right = finish(&c) && right && bytes > 0 && c.lines >= seconds &&
            c.lines <= seconds + 3;
    printf("idle %u %lld %lld %s bytes %lld\n", seconds,
           (long long)(cpu_ns / seconds), (long long)(wall_ns / seconds),
           right ? "ok" : "WRONG", (long long)bytes);
    return right ? 0 : 1;
}

int main(int argc, char **argv)
{
    unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    if (argc > 4 && count > 0 && count <= RUNS_MAX &&
        strcmp(argv[1], "first") == 0)
        return measure_first(count, argv[3], argv + 4);
    if (argc > 3 && count > 0 && strcmp(argv[1], "idle") == 0)
        return measure_idle(count, argv + 3);
    fputs("usage: bench-outside first RUNS LINE COMMAND..., or idle SECONDS "
          "COMMAND...\n",
          stderr);
    return 2;
}
