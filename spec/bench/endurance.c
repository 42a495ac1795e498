/* endurance.c - the slice for many minutes, with everything that goes wrong.
 *   bench-endurance MINUTES [SEED]
 * runs endurance.lua at full speed on two threads: split fails 1 % of its
 * lines, by the seed; every second the code is loaded anew, and a task of
 * split is killed at a random moment. The first tenth of the time is without
 * kills: there the replays are exactly those that the seed asks for, and no
 * word comes twice. With kills a try that had sent some words may be done
 * again: a copy, never more of them than replays.
 * Prints one line; exit 0 when nothing was lost, each second copy is explained
 * and all counts agree. RSS is sampled each second, without the program's own
 * tables, whose size is fixed. */
#define _GNU_SOURCE
#include "core/random.h"
#include "spec/bench/slice.h"
#include <unistd.h>

struct samples {
    uint64_t *resident_bytes; /* owned, a second each */
    unsigned count, room;
};

struct tally {
    uint64_t kills, reloads, refused;
    int64_t reload_max_ns;
};

static uint64_t resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld", &pages, &resident) != 2) resident = 0;
    if (f) fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) -
           slice_tables_bytes();
}

static void sleep_until(int64_t at_ns)
{
    int64_t left_ns = at_ns - real_now_ns(NULL);
    if (left_ns <= 0) return;
    struct timespec rest = {left_ns / S_NS, left_ns % S_NS};
    nanosleep(&rest, NULL);
}

static void kill_split(struct slice *s, struct rng *rng, struct tally *t)
{
    const struct component_plan *split = slice_component(s, "split");
    uint32_t task = split->first_task + (uint32_t)rng_below(rng, split->tasks);
    if (actor_send(s->env, topology_actor(s->topology), TOPOLOGY_KILL, &task,
                   sizeof task) == OK)
        t->kills++;
}

/* The spout notes which lines were settled before the first kill. False: it
 * didn't within 30 s. */
static bool announce_kills(struct slice *s)
{
    at_store(&s->lines.disturbed, true, RELEASE);
    struct timespec rest = {0, 1000000};
    for (int i = 0; i < 30000; i++) {
        if (at_load(&s->lines.clean_below, ACQUIRE) != UINT64_MAX) return true;
        nanosleep(&rest, NULL);
    }
    fputs("lines have stopped flowing\n", stderr);
    return false;
}

static void reload(struct slice *s, struct tally *t)
{
    int64_t span_ns = slice_reload(s);
    if (span_ns < 0)
        t->refused++;
    else
        t->reloads++;
    if (span_ns > t->reload_max_ns) t->reload_max_ns = span_ns;
}

/* One second each: a kill before, in or after a reload. False: it has ended
 * by itself, which it shouldn't. */
static bool run(struct slice *s, unsigned seconds, struct rng *rng,
                struct samples *samples, struct tally *t)
{
    int64_t began_ns = real_now_ns(NULL);
    for (unsigned i = 0; i < seconds; i++) {
        int64_t at_ns = began_ns + i * S_NS;
        bool kills = i >= seconds / 10;
        if (i == seconds / 10 && !announce_kills(s)) return false;
        int64_t kill_ns = at_ns + (int64_t)rng_below(rng, (uint64_t)S_NS);
        if (kills && rng_below(rng, 4) == 0) {
            /* Just when the new code is being loaded. */
            kill_split(s, rng, t);
            kills = false;
        }
        reload(s, t);
        if (kills) {
            sleep_until(kill_ns);
            kill_split(s, rng, t);
        }
        sleep_until(at_ns + S_NS);
        samples->resident_bytes[samples->count++] = resident_bytes();
        if (sem_trywait(&s->ended) == 0) return false;
    }
    return true;
}

static void print_line(const struct slice *s, const struct samples *samples,
                       const struct tally *t, unsigned seconds, bool right)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (unsigned i = samples->count / 2; i < samples->count; i++) {
        uint64_t bytes = samples->resident_bytes[i];
        if (bytes < least) least = bytes;
        if (bytes > most) most = bytes;
    }
    const struct lines *l = &s->lines;
    printf("endurance %u s: lines %llu, words %llu, failed %llu (%llu by "
           "kills, %llu by timeout)"
           ", replayed %llu, killed %llu, reloads %llu (refused %llu, max %.0f "
           "ms), lost %llu, copies %llu, doubled unexplained %llu, rss of the "
           "last half %.2f to %.2f MB, spread %.2f %%: %s\n",
           seconds, (unsigned long long)l->next,
           (unsigned long long)s->audit.words,
           (unsigned long long)(l->failed_itself + l->failed_otherwise),
           (unsigned long long)(l->failed_otherwise - l->timeouts),
           (unsigned long long)l->timeouts, (unsigned long long)l->replayed,
           (unsigned long long)t->kills, (unsigned long long)t->reloads,
           (unsigned long long)t->refused, (double)t->reload_max_ns / 1e6,
           (unsigned long long)s->audit.lost,
           (unsigned long long)s->audit.copies,
           (unsigned long long)s->audit.doubled, (double)least / 1e6,
           (double)most / 1e6, 100 * (double)(most - least) / (double)least,
           right ? "ok" : "WRONG");
}

int main(int argc, char **argv)
{
    double minutes = argc > 1 ? strtod(argv[1], NULL) : 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    unsigned seconds = (unsigned)(minutes * 60);
    if (!(minutes > 0 && minutes < 10000) || seconds < 2) {
        fputs("usage: bench-endurance MINUTES [SEED]\n", stderr);
        return 2;
    }
    struct slice *s = mem_zero(1, sizeof *s);
    struct samples samples = {
        .resident_bytes = mem_zero(seconds, sizeof(uint64_t)),
        .room = seconds,
    };
    struct rng rng = {seed};
    struct tally tally = {0};
    if (s == NULL || samples.resident_bytes == NULL ||
        !slice_start(s, seed, 1, 200))
        return 1;
    bool right = run(s, seconds, &rng, &samples, &tally);
    right = slice_end(s) && right && tally.refused == 0;
    print_line(s, &samples, &tally, seconds, right);
    slice_free(s);
    mem_free(samples.resident_bytes);
    mem_free(s);
    return right ? 0 : 1;
}
