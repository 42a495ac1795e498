/* disk.h - files as they are given to a node: the real ones, or the simulated
 * world's, which fails, tears and forgets by its seed. Results are -errno when
 * negative. These block: call them from a job (job.h), never in an actor. */
#ifndef CORE_DISK_H
#define CORE_DISK_H

#include <stddef.h>
#include <stdint.h>

enum disk_mode {
    DISK_READ,    /* must exist */
    DISK_APPEND,  /* made if missing, writes go to its end */
    DISK_REPLACE, /* made, or emptied */
};

struct disk {
    int (*open)(void *context, const char *path, enum disk_mode mode);
    int64_t (*read)(void *context, int file, void *to, size_t bytes,
                    int64_t at);
    int64_t (*write)(void *context, int file, const void *from, size_t bytes);
    int (*sync)(void *context, int file);
    int (*close)(void *context, int file);
    void *context;
};

/* The machine's own. */
extern const struct disk disk_real;

#endif
