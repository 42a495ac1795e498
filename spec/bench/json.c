/* json.c - a field of each of N records of JSON changed, by the engine and by a
 * plain loop over jansson in one thread.
 *   bench-json jansson null|file N
 *   bench-json engine null|file N COMMAND [ARGUMENT]...
 * COMMAND is what runs the engine on json.lua; --set input=… and output=… are
 * added. Records are lines of some 145 bytes with 8 fields, written to
 * build/bench once for each N; `level` is to become upper case. Prints `json N
 * cpu_ns wall_ns check bytes B`: for a record, of the process that did it, and
 * what was resident at most. The answer is right when every line of the output
 * is the input's but for the level, byte for byte; or, where it goes nowhere,
 * when the sink was given N records. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char output[] = "build/bench/records.out";
static const char report[] = "build/bench/records.err";

/* ---- the records ---- */

static uint32_t chance(uint64_t *state, uint32_t bound)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % bound);
}

static bool write_records(const char *path, unsigned long n)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    static const char *const services[] = {"billing", "search", "gateway",
                                           "identity"};
    static const char *const texts[] = {"cache miss, falling back to origin",
                                        "request served from the edge cache",
                                        "session renewed for another hour",
                                        "upstream took longer than expected"};
    char fresh[256];
    uint64_t state = 1;
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = fopen(fresh, "w");
    if (f == NULL) return false;
    for (unsigned long i = 0; i < n; i++) {
        uint32_t latency = chance(&state, 10000);
        fprintf(f,
                "{\"id\":%lu,\"ts\":%lu,\"level\":\"%s\",\"service\":\"%s\","
                "\"user\":%u,\"latency_ms\":%u.%u,\"bytes\":%u,\"msg\":\"%s\"}"
                "\n",
                i, 1700000000 + i / 100, levels[chance(&state, 4)],
                services[chance(&state, 4)], chance(&state, 100000),
                latency / 10, latency % 10, chance(&state, 100000),
                texts[chance(&state, 4)]);
    }
    return fclose(f) == 0 && rename(fresh, path) == 0;
}

/* ---- the work of one process ---- */

static bool change(FILE *in, FILE *out)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t count;
    bool right = true;
    while (right && (count = getline(&line, &room, in)) > 0) {
        char level[64] = "";
        json_error_t error;
        json_t *record = json_loadb(line, (size_t)count, 0, &error);
        const char *now = json_string_value(json_object_get(record, "level"));
        for (size_t i = 0; now && now[i] && i + 1 < sizeof level; i++)
            level[i] = (char)toupper((unsigned char)now[i]);
        right = now &&
                json_object_set_new(record, "level", json_string(level)) == 0;
        if (out) {
            right = right &&
                    json_dumpf(record, out,
                               JSON_COMPACT | JSON_REAL_PRECISION(15)) == 0;
            putc('\n', out);
        }
        json_decref(record);
    }
    free(line);
    return right;
}

/* Says how many records there were, as the engine's table does. */
static int run_jansson(const char *input, bool to_file, unsigned long n)
{
    FILE *in = fopen(input, "r"), *out = to_file ? fopen(output, "w") : NULL;
    if (in == NULL || (to_file && out == NULL)) return 1;
    bool right = change(in, out);
    if (out) right = fclose(out) == 0 && right;
    if (right) fprintf(stderr, "\nout %lu\n", n);
    return right ? 0 : 1;
}

static int run_engine(char **command, int count, const char *input,
                      bool to_file)
{
    char **all = calloc((size_t)count + 5, sizeof *all);
    char in[256], out[256];
    if (all == NULL) return 1;
    for (int i = 0; i < count; i++)
        all[i] = command[i];
    snprintf(in, sizeof in, "input=%s", input);
    snprintf(out, sizeof out, "output=%s", output);
    all[count] = all[count + 2] = strdup("--set");
    all[count + 1] = in;
    if (to_file)
        all[count + 3] = out;
    else
        all[count + 2] = NULL;
    execvp(all[0], all);
    perror(all[0]);
    return 127;
}

/* ---- the answer ---- */

/* `"level":"debug"` of a line becomes upper case. */
static void raise_level(char *line)
{
    static const char key[] = "\"level\":\"";
    char *at = strstr(line, key);
    if (at == NULL) return;
    for (at += sizeof key - 1; *at && *at != '"'; at++)
        *at = (char)toupper((unsigned char)*at);
}

static bool output_is_right(const char *input, unsigned long n)
{
    FILE *in = fopen(input, "r"), *out = fopen(output, "r");
    char *a = NULL, *b = NULL;
    size_t room_a = 0, room_b = 0;
    unsigned long same = 0;
    while (in && out && getline(&a, &room_a, in) > 0) {
        raise_level(a);
        if (getline(&b, &room_b, out) <= 0 || strcmp(a, b) != 0) break;
        same++;
    }
    bool right = same == n && out && getline(&b, &room_b, out) < 0;
    free(a);
    free(b);
    if (in) fclose(in);
    if (out) fclose(out);
    return right;
}

/* The table's row of the sink: `out  N …`. */
static bool all_came(unsigned long n)
{
    FILE *f = fopen(report, "r");
    char line[512];
    unsigned long in = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "out %lu", &in) == 1) break;
    if (f) fclose(f);
    return in == n;
}

/* ---- measuring ---- */

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double cpu_ns(const struct rusage *u)
{
    return ((double)u->ru_utime.tv_sec + (double)u->ru_stime.tv_sec) * 1e9 +
           ((double)u->ru_utime.tv_usec + (double)u->ru_stime.tv_usec) * 1e3;
}

static int usage(void)
{
    fputs("usage: bench-json jansson null|file N\n"
          "       bench-json engine null|file N COMMAND [ARGUMENT]...\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    bool engine = argc > 4 && strcmp(argv[1], "engine") == 0;
    if (n == 0 || (!engine && strcmp(argv[1], "jansson") != 0)) return usage();
    bool to_file = strcmp(argv[2], "file") == 0;
    char input[128];
    struct stat found;
    snprintf(input, sizeof input, "build/bench/records-%lu.jsonl", n);
    mkdir("build/bench", 0777);
    if (stat(input, &found) != 0 && !write_records(input, n)) {
        perror(input);
        return 1;
    }

    double wall = now_ns();
    pid_t child = fork();
    if (child == 0) {
        int errors = open(report, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        dup2(errors, STDERR_FILENO);
        _exit(engine ? run_engine(argv + 4, argc - 4, input, to_file)
                     : run_jansson(input, to_file, n));
    }
    struct rusage used = {.ru_maxrss = 0};
    int status = 1;
    while (child > 0 && wait4(child, &status, 0, &used) < 0 && errno == EINTR)
        continue;
    wall = now_ns() - wall;
    bool right = child > 0 && status == 0 &&
                 (to_file ? output_is_right(input, n) : all_came(n));
    printf("json %lu %.1f %.1f %s bytes %.0f\n", n, cpu_ns(&used) / (double)n,
           wall / (double)n, right ? "ok" : "WRONG",
           (double)used.ru_maxrss * 1024);
    if (to_file) unlink(output);
    return right ? 0 : 1;
}
