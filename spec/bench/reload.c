/* reload.c - new code for a topology under full load.
 *   bench-reload N
 * hands the slice of endurance.lua, which runs as fast as it can on two
 * threads and fails nothing, N times the code it runs, and prints `reload N
 * cpu_ns wall_ns check p50_ms … lost … doubled …`: wall is the 99th percentile
 * of the time from the request, loading in all VMs included, until every task
 * runs the new code; cpu is that of the whole process in that time, the load
 * included. The answer is right when each was taken, lines flowed between
 * them, and no word was lost or came twice. */
#define _GNU_SOURCE
#include "spec/bench/slice.h"
#include <sys/resource.h>

enum { RELOADS_MAX = 10000, PAUSE_MS = 30 };

static double cpu_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec) * 1e9 +
           ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) * 1e3;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void pause_ms(long ms)
{
    struct timespec rest = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&rest, NULL);
}

/* The smallest that is not below a share of all, in hundredths. */
static int64_t percentile(const int64_t *sorted, unsigned n, unsigned share)
{
    return sorted[(n * share + 99) / 100 - 1];
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    if (n == 0 || n > RELOADS_MAX) {
        fputs("usage: bench-reload N, at most 10000\n", stderr);
        return 2;
    }
    struct slice *s = mem_zero(1, sizeof *s);
    int64_t *spans_ns = mem_zero(n, sizeof *spans_ns);
    if (s == NULL || spans_ns == NULL || !slice_start(s, 1, 0, 0)) return 1;
    pause_ms(500);
    bool right = true;
    double cpu = 0;
    for (unsigned i = 0; i < n && right; i++) {
        double before = cpu_ns();
        spans_ns[i] = slice_reload(s);
        cpu += cpu_ns() - before;
        right = spans_ns[i] >= 0;
        pause_ms(PAUSE_MS);
    }
    right = slice_end(s) && right && s->lines.next > 100 * n;
    qsort(spans_ns, n, sizeof *spans_ns, by_size);
    printf("reload %u %.0f %lld %s p50_ms %.2f p99_ms %.2f max_ms %.2f lines "
           "%llu lost %llu doubled %llu\n",
           n, cpu / n, (long long)percentile(spans_ns, n, 99),
           right ? "ok" : "WRONG", (double)percentile(spans_ns, n, 50) / 1e6,
           (double)percentile(spans_ns, n, 99) / 1e6,
           (double)spans_ns[n - 1] / 1e6, (unsigned long long)s->lines.next,
           (unsigned long long)s->audit.lost,
           (unsigned long long)(s->audit.doubled + s->audit.copies));
    slice_free(s);
    mem_free(spans_ns);
    mem_free(s);
    return right ? 0 : 1;
}
