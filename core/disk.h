/* disk.h - files as they are given to a node: the real ones, or the simulated
 * world's, which fails, tears and forgets by its seed. Results are -errno when
 * negative. These block: call them from a job (job.h), never in an actor. */
#ifndef CORE_DISK_H
#define CORE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_mode {
    DISK_READ,    /* must exist */
    DISK_APPEND,  /* made if missing, writes go to its end */
    DISK_REPLACE, /* made, or emptied */
};

/* A file, whatever it is called now. */
struct disk_info {
    uint64_t device, number; /* both equal: the same file */
    int64_t bytes;
    bool named; /* it has a name left: it wasn't deleted */
};

struct disk {
    int (*open)(void *context, const char *path, enum disk_mode mode);
    int64_t (*read)(void *context, int file, void *to, size_t bytes,
                    int64_t at);
    int64_t (*write)(void *context, int file, const void *from, size_t bytes);
    int (*sync)(void *context, int file);
    int (*close)(void *context, int file);
    /* Cuts off what stands behind so many bytes; of one open for writing. */
    int (*truncate)(void *context, int file, int64_t bytes);
    /* The names in the folder of `path` survive a power cut as they are. */
    int (*sync_names)(void *context, const char *path);
    /* Of what is called `path`; NULL: of the open `file`. */
    int (*look)(void *context, const char *path, int file,
                struct disk_info *out);
    /* What was called `to` is gone. */
    int (*rename)(void *context, const char *from, const char *to);
    /* Calls back with the name of each entry of a folder, in no order, but for
     * . and .. */
    int (*list)(void *context, const char *folder,
                void (*each)(void *arg, const char *name), void *arg);
    void *context;
};

/* The machine's own. */
extern const struct disk disk_real;

#endif
