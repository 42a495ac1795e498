/* paths_spec.c - the files that a pattern names, on a real disk and on the
 * simulated one, and how a file makes room for the next of its name. */
#include "actors/connectors/paths.h"
#include "actors/connectors/rotate.h"
#include "core/disk.h"
#include "core/sim_disk.h"
#include "spec/fault.h"
#include "spec/spec.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void put(struct sim_disk *disk, const char *path)
{
    CHECK_EQ(sim_disk_put(disk, path, path, strlen(path)), OK);
}

static void check_paths(const struct disk *disk, const char *pattern, int error,
                        const char *wanted)
{
    struct paths p = {0};
    char seen[1024] = "";
    CHECK_EQ(paths_add(&p, disk, pattern), error);
    for (size_t i = 0; i < p.count; i++) {
        strcat(seen, p.list[i]);
        strcat(seen, " ");
    }
    CHECK_TEXT(seen, wanted);
    paths_fini(&p);
}

SPEC(paths, are_what_a_pattern_names_in_order)
{
    struct sim_disk *sim = sim_disk_new(1);
    const struct disk *disk = sim_disk_calls(sim);
    static const char *const files[] = {
        "logs/b.txt",      "logs/a.txt", "logs/c.log",  "logs/.hidden.txt",
        "logs/x/1.txt",    "a-1.txt",    "a-2.txt",     "a-10.txt",
        "/var/one/in.csv", "b[1].txt",   "/var/two/in", "logs/y/1.txt"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        put(sim, files[i]);
    check_paths(disk, "logs/*.txt", 0, "logs/a.txt logs/b.txt ");
    check_paths(disk, "logs/*.*", 0, "logs/a.txt logs/b.txt logs/c.log ");
    check_paths(disk, "logs/.*.txt", 0, "logs/.hidden.txt ");
    check_paths(disk, "a-?.txt", 0, "a-1.txt a-2.txt ");
    check_paths(disk, "a-[!1]*", 0, "a-2.txt ");
    check_paths(disk, "a*.txt", 0, "a-1.txt a-10.txt a-2.txt ");
    check_paths(disk, "*/?/*.txt", 0, "logs/x/1.txt logs/y/1.txt ");
    check_paths(disk, "/var/*/in.csv", 0, "/var/one/in.csv ");
    check_paths(disk, "b\\[1].txt", 0, "b[1].txt ");
    check_paths(disk, "logs/*.gz", ENOENT, "");
    check_paths(disk, "nowhere/*", ENOENT, "");
    check_paths(disk, "a-1.txt", 0, "a-1.txt ");
    check_paths(disk, "a-3.txt", ENOENT, "");
    sim_disk_free(sim);
}

SPEC(paths, are_found_on_a_real_disk_too)
{
    char base[] = "/tmp/paths_spec_XXXXXX", path[100], wanted[200];
    CHECK(mkdtemp(base) != NULL);
    static const char *const names[] = {"b.txt", "a.txt", ".c.txt"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", base, names[i]);
        FILE *file = fopen(path, "w");
        CHECK(file != NULL);
        fclose(file);
    }
    snprintf(path, sizeof path, "%s/*.txt", base);
    snprintf(wanted, sizeof wanted, "%s/a.txt %s/b.txt ", base, base);
    check_paths(&disk_real, path, 0, wanted);
    snprintf(path, sizeof path, "%s/a.txt/*", base);
    check_paths(&disk_real, path, ENOENT, "");
    snprintf(path, sizeof path, "%s/z.lnk", base);
    CHECK_EQ(symlink("nowhere", path), 0);
    snprintf(wanted, sizeof wanted, "%s ", path);
    snprintf(path, sizeof path, "%s/*.lnk", base);
    check_paths(&disk_real, path, 0, wanted); /* opening it says why not */
    snprintf(path, sizeof path, "%s/z.lnk", base);
    unlink(path);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", base, names[i]);
        unlink(path);
    }
    rmdir(base);
}

SPEC(paths, are_all_or_an_error_when_memory_ends)
{
    struct sim_disk *sim = sim_disk_new(1);
    put(sim, "x/1");
    put(sim, "y/2");
    for (uint64_t n = 1; n < 12; n++) {
        struct paths p = {0};
        fault_arm(FAULT_HEAP, n, 1);
        int error = paths_add(&p, sim_disk_calls(sim), "*/*");
        bool failed = fault_failed() > 0;
        fault_disarm();
        CHECK_EQ(error, failed ? ENOMEM : 0);
        if (!failed) CHECK_EQ(p.count, 2);
        paths_fini(&p);
    }
    sim_disk_free(sim);
}

/* ---- rotation ---- */

static void check_file(struct sim_disk *disk, const char *path,
                       const char *wanted)
{
    size_t count;
    const uint8_t *seen = sim_disk_get(disk, path, &count);
    CHECK_EQ(seen != NULL, wanted != NULL);
    if (wanted == NULL) return;
    CHECK_EQ(count, strlen(wanted));
    CHECK(memcmp(seen, wanted, count) == 0);
}

SPEC(rotate, moves_each_file_one_on_and_drops_the_oldest)
{
    struct sim_disk *sim = sim_disk_new(1);
    const struct disk *disk = sim_disk_calls(sim);
    static const char *const texts[] = {"one", "two", "three"};
    unsigned refused;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sim_disk_put(sim, "log", texts[i], strlen(texts[i])), OK);
        CHECK_EQ(rotate_files(disk, "log", 2, &refused), 0);
        check_file(sim, "log", NULL);
        check_file(sim, "log.1", texts[i]);
        check_file(sim, "log.2", i > 0 ? texts[i - 1] : NULL);
        check_file(sim, "log.3", NULL);
    }
    sim_disk_free(sim);
}

SPEC(rotate, drops_no_file_more_however_often_it_fails)
{
    FOR_SEEDS(100)
    {
        struct sim_disk *sim = sim_disk_new(spec_seed);
        const struct disk *disk = sim_disk_calls(sim);
        CHECK_EQ(sim_disk_put(sim, "log", "5", 1), OK);
        CHECK_EQ(sim_disk_put(sim, "log.1", "4", 1), OK);
        CHECK_EQ(sim_disk_put(sim, "log.2", "3", 1), OK);
        CHECK_EQ(sim_disk_put(sim, "log.3", "2", 1), OK);
        struct sim_faults faults = {.rename_fails = 700};
        sim_disk_set_faults(sim, &faults);
        unsigned refused;
        int error;
        while ((error = rotate_files(disk, "log", 3, &refused)) != 0) {
            CHECK_EQ(error, EIO);
            CHECK(refused >= 1 && refused <= 3);
            check_file(sim, "log", "5");
        }
        check_file(sim, "log", NULL);
        check_file(sim, "log.1", "5");
        check_file(sim, "log.2", "4");
        check_file(sim, "log.3", "3");
        sim_disk_free(sim);
    }
}
