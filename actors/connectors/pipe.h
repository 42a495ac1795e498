/* pipe.h - what has no positions: pipes, terminals, devices, stdin, stdout.
 * All of these wait at most PIPE_WAIT_MS, so that a job gives its thread back
 * to others and a stop is never held up by a peer that is silent. The file
 * descriptor's mode is left alone: others may share it. For jobs. */
#ifndef ACTORS_CONNECTORS_PIPE_H
#define ACTORS_CONNECTORS_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;

enum { PIPE_WAIT_MS = 100 };

/* Is there a pipe or device at `path`? Only the machine's own disk has such.
 */
bool pipe_at(const struct disk *disk, const char *path);
/* Opens it without waiting for the other end. -errno; -ENXIO: to be written,
 * but nobody reads it. */
int pipe_open(const char *path, bool write);
/* Bytes read, 0 at the end, -EAGAIN: nothing has come in time, or -errno. */
int64_t pipe_read(int fd, void *to, size_t bytes);
/* Bytes written, maybe less; -EAGAIN: there was no room in time, or -errno.
 * Writes end with a line where they can, so that lines of several writers
 * stay whole; a regular file (a redirected stdout) takes all at once. */
int64_t pipe_write(int fd, const uint8_t *from, size_t bytes);

#endif
