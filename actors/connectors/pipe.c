#include "actors/connectors/pipe.h"
#include "core/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe that can be written takes a page without blocking, no more for sure.
 */
enum { PIECE_BYTES = 4096, WRITE_BYTES = 256 << 10 };

bool pipe_at(const struct disk *disk, const char *path)
{
    struct stat info;
    if (disk != &disk_real || stat(path, &info) != 0) return false;
    return S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode) ||
           S_ISSOCK(info.st_mode);
}

int pipe_open(const char *path, bool write)
{
    int flags = (write ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY;
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* 0: ready (or broken: the call that follows says how); else -errno. */
static int await(int fd, short events, int wait_ms)
{
    struct pollfd one = {.fd = fd, .events = events};
    int n = poll(&one, 1, wait_ms);
    if (n > 0) return 0;
    return n == 0 || errno == EINTR ? -EAGAIN : -errno;
}

int64_t pipe_read(int fd, void *to, size_t bytes)
{
    int e = await(fd, POLLIN, PIPE_WAIT_MS);
    if (e < 0) return e;
    ssize_t got = read(fd, to, bytes);
    if (got >= 0) return got;
    return errno == EINTR ? -EAGAIN : -errno;
}

/* As many whole lines as fit, else a piece of one. */
static size_t piece(const uint8_t *from, size_t bytes)
{
    if (bytes <= PIECE_BYTES) return bytes;
    size_t count = PIECE_BYTES;
    while (count > 0 && from[count - 1] != '\n')
        count--;
    return count > 0 ? count : PIECE_BYTES;
}

int64_t pipe_write(int fd, const uint8_t *from, size_t bytes)
{
    struct stat info;
    bool file = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    size_t done = 0;
    int e = 0;
    while (done < bytes && done < WRITE_BYTES && e == 0) {
        e = await(fd, POLLOUT, done == 0 ? PIPE_WAIT_MS : 0);
        if (e < 0) break;
        size_t left = bytes - done;
        ssize_t put =
            write(fd, from + done, file ? left : piece(from + done, left));
        if (put > 0)
            done += (size_t)put;
        else
            e = put == 0 || errno == EINTR ? -EAGAIN : -errno;
    }
    return done > 0 || bytes == 0 ? (int64_t)done : e;
}
