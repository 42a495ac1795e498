/* disk.h - the trace that disk.c writes and power.c reads: one record behind
 * the other, each followed by `bytes` bytes. */
#ifndef SPEC_CRASH_DISK_H
#define SPEC_CRASH_DISK_H

#include <stdint.h>

enum disk_op {
    DISK_CREATE = 1, /* the name is new; bytes: none */
    DISK_WRITE,      /* at `at`; bytes: what */
    DISK_WRITE_SYNC, /* the same, through a descriptor that syncs */
    DISK_TRUNCATE,   /* to `at` */
    DISK_SYNC,       /* of the file */
    DISK_SYNC_NAMES, /* of the folder `path` */
    DISK_RENAME,     /* bytes: the new name, with its 0 */
    DISK_UNLINK,
    DISK_MARK, /* said by who records: what came before was told outside */
};

enum { DISK_PATH_MAX = 160 };

struct disk_record {
    uint32_t op; /* enum disk_op */
    uint32_t bytes;
    int64_t at;
    char path[DISK_PATH_MAX]; /* below the folder */
};

#endif
