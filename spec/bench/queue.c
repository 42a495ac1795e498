/* queue.c - records of 100 bytes through a store that syncs, written and read.
 *   bench-queue bare N              LMDB itself: puts, 1,000 a commit, then
 * gets bench-queue engine N COMMAND…   the command runs queue_write.lua and
 *                                   queue_read.lua beside each other
 * Prints `NAME N cpu_ns wall_ns check`, for one record; engine's cost is that
 * of its whole process. */
#include <errno.h>
#include <lmdb.h>
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

enum { RECORD_BYTES = 100, A_COMMIT = 1000 };

static const char folder[] = "build/bench/queue";

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double cpu_ns(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return ((double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec) * 1e9 +
           ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) * 1e3;
}

static void print(const char *name, unsigned long n, double cpu, double wall,
                  bool right)
{
    printf("%s %lu %.1f %.1f %s\n", name, n, cpu / (double)n, wall / (double)n,
           right ? "ok" : "WRONG");
}

/* ---- LMDB itself ---- */

static void fill(char record[RECORD_BYTES + 1], unsigned long i)
{
    memset(record, 'x', RECORD_BYTES);
    int digits = snprintf(record, RECORD_BYTES, "%010lu", i);
    record[digits] = 'x';
}

static int put_all(MDB_env *env, MDB_dbi dbi, unsigned long n)
{
    char record[RECORD_BYTES + 1];
    int e = 0;
    for (unsigned long i = 0; e == 0 && i < n; i += A_COMMIT) {
        MDB_txn *txn;
        e = mdb_txn_begin(env, NULL, 0, &txn);
        for (unsigned long k = i; e == 0 && k < i + A_COMMIT && k < n; k++) {
            uint64_t number = __builtin_bswap64(k);
            MDB_val key = {sizeof number, &number};
            MDB_val value = {RECORD_BYTES, record};
            fill(record, k + 1);
            e = mdb_put(txn, dbi, &key, &value, 0);
        }
        if (e == 0) e = mdb_txn_commit(txn);
    }
    return e;
}

static int get_all(MDB_env *env, MDB_dbi dbi, unsigned long n)
{
    MDB_txn *txn;
    int e = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    for (unsigned long i = 0; e == 0 && i < n; i++) {
        uint64_t number = __builtin_bswap64(i);
        MDB_val key = {sizeof number, &number}, value;
        e = mdb_get(txn, dbi, &key, &value);
        if (e == 0 && strtoul(value.mv_data, NULL, 10) != i + 1) e = -1;
    }
    mdb_txn_abort(txn);
    return e;
}

static int bare(unsigned long n)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    double cpu = cpu_ns(RUSAGE_SELF), wall = now_ns();
    int e = mdb_env_create(&env);
    if (e == 0) e = mdb_env_set_mapsize(env, n * 400 + (64u << 20));
    if (e == 0) e = mdb_env_open(env, folder, 0, 0644);
    if (e == 0) e = mdb_txn_begin(env, NULL, 0, &txn);
    if (e == 0) e = mdb_dbi_open(txn, NULL, 0, &dbi);
    if (e == 0) e = mdb_txn_commit(txn);
    if (e == 0) e = put_all(env, dbi, n);
    if (e == 0) e = get_all(env, dbi, n);
    print("bare", n, cpu_ns(RUSAGE_SELF) - cpu, now_ns() - wall, e == 0);
    return e != 0;
}

/* ---- the engine ---- */

static void run(char **command, int count, const char *n)
{
    char set[64];
    char **all = calloc((size_t)count + 9, sizeof *all);
    if (all == NULL) _exit(1);
    memcpy(all, command, (size_t)count * sizeof *all);
    char *more[] = {strdup("--quiet"),
                    strdup("--set"),
                    set,
                    strdup("--data"),
                    strdup(folder),
                    strdup("spec/bench/queue_write.lua"),
                    strdup("spec/bench/queue_read.lua")};
    snprintf(set, sizeof set, "count=%s", n);
    memcpy(all + count, more, sizeof more);
    execvp(all[0], all);
    perror(all[0]);
    _exit(127);
}

static bool all_came(unsigned long n)
{
    char line[64] = "", right[64];
    FILE *out = fopen("build/bench/queue.out", "r");
    if (out == NULL) return false;
    if (fgets(line, sizeof line, out) == NULL) line[0] = '\0';
    fclose(out);
    snprintf(right, sizeof right, "%lu\ttrue\n", n);
    return strcmp(line, right) == 0;
}

static int engine(unsigned long n, char **command, int count, const char *text)
{
    int status = 1;
    double wall = now_ns();
    pid_t child = fork();
    if (child == 0) run(command, count, text);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    bool right = status == 0 && all_came(n);
    print("engine", n, cpu_ns(RUSAGE_CHILDREN), now_ns() - wall, right);
    return !right;
}

/* Both begin with an empty folder. */
static void empty(void)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "store.mdb",
                                        "store.mdb-lock", "lock"};
    char path[256];
    mkdir("build/bench", 0777);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    mkdir(folder, 0777);
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    bool is_bare = argc == 3 && strcmp(argv[1], "bare") == 0;
    if (n == 0 || (!is_bare && (argc < 4 || strcmp(argv[1], "engine") != 0))) {
        fputs("usage: bench-queue bare N | engine N COMMAND...\n", stderr);
        return 2;
    }
    empty();
    return is_bare ? bare(n) : engine(n, argv + 3, argc - 3, argv[2]);
}
