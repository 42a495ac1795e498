#include "actors/connectors/rotate.h"
#include "core/disk.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>

static int name(char *out, const char *path, unsigned number)
{
    int bytes = number == 0 ? snprintf(out, PATH_MAX, "%s", path)
                            : snprintf(out, PATH_MAX, "%s.%u", path, number);
    return bytes < PATH_MAX ? 0 : ENAMETOOLONG;
}

/* The first number that no file has: those behind it stay. `keep` when all are
 * taken: that one goes. */
static int first_free(const struct disk *disk, const char *path, unsigned keep,
                      unsigned *number)
{
    struct disk_info info;
    char place[PATH_MAX];
    for (*number = 1; *number < keep; ++*number) {
        int e = name(place, path, *number);
        if (e == 0) e = -disk->look(disk->context, place, -1, &info);
        if (e == ENOENT) return 0;
        if (e != 0) return e;
    }
    return name(place, path, keep);
}

int rotate_files(const struct disk *disk, const char *path, unsigned keep,
                 unsigned *refused)
{
    char from[PATH_MAX], to[PATH_MAX];
    unsigned number;
    int e = first_free(disk, path, keep, &number);
    for (; e == 0 && number > 0; number -= e == 0) {
        e = name(to, path, number);
        if (e == 0) e = name(from, path, number - 1);
        if (e == 0) e = -disk->rename(disk->context, from, to);
    }
    *refused = e == ENOENT ? number - 1 : number; /* or what is to be renamed */
    return e;
}
