#include "core/disk.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(void *context, const char *path, enum disk_mode mode)
{
    static const int flags[] = {
        [DISK_READ] = O_RDONLY,
        [DISK_APPEND] = O_WRONLY | O_CREAT | O_APPEND,
        [DISK_REPLACE] = O_WRONLY | O_CREAT | O_TRUNC,
    };
    int file = open(path, flags[mode] | O_CLOEXEC, 0666);
    if (file < 0) return -errno;
    struct stat info;
    if (fstat(file, &info) == 0 && S_ISDIR(info.st_mode)) {
        close(file);
        return -EISDIR;
    }
    return file;
}

static int64_t real_read(void *context, int file, void *to, size_t bytes,
                         int64_t at)
{
    ssize_t got;
    do {
        /* Pipes and terminals have no positions: they are read in order. */
        got = pread(file, to, bytes, at);
        if (got < 0 && errno == ESPIPE) got = read(file, to, bytes);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static int64_t real_write(void *context, int file, const void *from,
                          size_t bytes)
{
    const char *at = from;
    size_t left = bytes;
    while (left > 0) {
        ssize_t put = write(file, at, left);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return left < bytes ? (int64_t)(bytes - left) : -errno;
        at += put;
        left -= (size_t)put;
    }
    return (int64_t)bytes;
}

static int real_sync(void *context, int file)
{
    return fsync(file) == 0 ? 0 : -errno;
}

static int real_truncate(void *context, int file, int64_t bytes)
{
    return ftruncate(file, bytes) == 0 ? 0 : -errno;
}

static int real_sync_names(void *context, const char *path)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash == path) slash++;
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return -errno;
    int error = fsync(file) == 0 ? 0 : errno;
    close(file);
    /* Some file systems have no such thing. */
    return error == EINVAL ? 0 : -error;
}

static int real_close(void *context, int file)
{
    return close(file) == 0 ? 0 : -errno;
}

static int real_look(void *context, const char *path, int file,
                     struct disk_info *out)
{
    struct stat info;
    if ((path ? stat(path, &info) : fstat(file, &info)) != 0) return -errno;
    *out = (struct disk_info){.device = info.st_dev,
                              .number = info.st_ino,
                              .bytes = info.st_size,
                              .named = info.st_nlink > 0};
    return 0;
}

static int real_rename(void *context, const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : -errno;
}

static int real_list(void *context, const char *folder,
                     void (*each)(void *arg, const char *name), void *arg)
{
    DIR *entries = opendir(folder);
    if (entries == NULL) return -errno;
    struct dirent *entry;
    while ((errno = 0, entry = readdir(entries)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(arg, entry->d_name);
    int error = errno;
    closedir(entries);
    return -error;
}

const struct disk disk_real = {
    .open = real_open,
    .read = real_read,
    .write = real_write,
    .sync = real_sync,
    .truncate = real_truncate,
    .sync_names = real_sync_names,
    .close = real_close,
    .look = real_look,
    .rename = real_rename,
    .list = real_list,
};
