/* sim_disk.h - a disk in memory that fails, tears and forgets by a seed.
 * Each file has what processes see and what would survive a power cut; only a
 * sync brings the second up to the first. A sync that failed counts as done
 * for the system, as on Linux: later ones don't repeat it, and each of its
 * sectors is on the disk or isn't.
 * One thread. */
#ifndef CORE_SIM_DISK_H
#define CORE_SIM_DISK_H

#include "core/disk.h"
#include "core/err.h"
#include <stdint.h>

enum { SIM_SECTOR_BYTES = 512, SIM_FAULTS_ALL = 1000 };

/* How many of 1,000 operations meet with which fault; zeroes: a good disk. */
struct sim_faults {
    unsigned open_fails; /* -EIO, as the next four */
    unsigned read_fails;
    unsigned write_fails; /* nothing of it was written */
    unsigned sync_fails;
    unsigned rename_fails; /* nothing was renamed */
    unsigned reads_short;  /* some bytes, at least one */
    unsigned writes_short; /* as above */
    unsigned slow;         /* up to slow_ns each */
    int64_t slow_ns;
    uint64_t room_bytes; /* of all files; then -ENOSPC, to make
                          * one, too. 0: endless */
};

struct sim_disk;

/* NULL: out of memory. Operations that find none fail with -ENOMEM. */
struct sim_disk *sim_disk_new(uint64_t seed);
/* NULL is fine. */
void sim_disk_free(struct sim_disk *disk);
/* For struct world; borrowed. */
const struct disk *sim_disk_calls(const struct sim_disk *disk);
/* Copies them; from the next operation on. */
void sim_disk_set_faults(struct sim_disk *disk,
                         const struct sim_faults *faults);

/* Makes or replaces a file, safe from power cuts; copies. No fault hits it.
 * ERR_NOMEM; ERR_LIMIT: there are 256 files. */
err sim_disk_put(struct sim_disk *disk, const char *path, const void *bytes,
                 size_t count);
/* What a process would read; NULL: no such file. Borrowed until the file is
 * written. */
const uint8_t *sim_disk_get(const struct sim_disk *disk, const char *path,
                            size_t *count);

/* As rename(2) and unlink(2) of another process; no fault hits them. Who has
 * the file open keeps it. ERR_NOTFOUND; ERR_NOMEM. */
err sim_disk_rename(struct sim_disk *disk, const char *from, const char *to);
err sim_disk_remove(struct sim_disk *disk, const char *path);
/* Appends, as another process does; makes a missing file. ERR_NOMEM;
 * ERR_LIMIT. */
err sim_disk_add(struct sim_disk *disk, const char *path, const void *bytes,
                 size_t count);

/* The process that had files open is gone: its descriptors are, too. */
void sim_disk_close_all(struct sim_disk *disk);
/* All descriptors are gone. What was not synced is there, or in part, with
 * zeroes for lost sectors, or not: a file never synced may be missing, one
 * that was emptied may have its old content. ERR_NOMEM: some file is as it
 * was. */
err sim_disk_power_cut(struct sim_disk *disk);

/* How long the operations since the last call have taken. */
int64_t sim_disk_took_ns(struct sim_disk *disk);
/* A hash of every operation so far and its result. */
uint64_t sim_disk_hash(const struct sim_disk *disk);

#endif
