/* paths.h - the files that a pattern names: * ? [ ] as in a shell.
 * A pattern's files come in the order of their bytes; a name that begins with
 * a dot must be named with it, a / only matches itself, \ takes the next
 * letter as it is. A path without * ? [ is no pattern, and names one file.
 * paths_add() blocks: call it from a job. One thread. */
#ifndef ACTORS_CONNECTORS_PATHS_H
#define ACTORS_CONNECTORS_PATHS_H

#include <stdbool.h>
#include <stddef.h>

struct disk;

/* All zeroes is an empty list. Pairs with paths_fini(). */
struct paths {
    char **list; /* owned, with its texts */
    size_t count, room;
    int failed; /* errno of what paths_add() met within; 0 */
};

void paths_fini(struct paths *p);
bool paths_is_pattern(const char *path);
/* Appends a copy. 0, or ENOMEM: nothing has changed. */
int paths_put(struct paths *p, const char *path);
/* Appends what `path` names. 0, or errno: ENOENT: there is no such file, or
 * none that matches. */
int paths_add(struct paths *p, const struct disk *disk, const char *path);

#endif
