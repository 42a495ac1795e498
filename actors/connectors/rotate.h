/* rotate.h - a file makes room for the next of its name: path becomes path.1,
 * what that was path.2, and so on. The oldest is renamed first, so that none
 * is lost when a rename fails or the process ends between two. Blocks: for
 * jobs. */
#ifndef ACTORS_CONNECTORS_ROTATE_H
#define ACTORS_CONNECTORS_ROTATE_H

struct disk;

/* `keep` files stay beside `path`, 1 or more. 0, or errno: `path` is still
 * called so, no file is gone that would not be by the next try, and *refused
 * is the number of the file at fault, 0 of `path`. */
int rotate_files(const struct disk *disk, const char *path, unsigned keep,
                 unsigned *refused);

#endif
