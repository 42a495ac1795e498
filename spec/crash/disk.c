/* disk.c - stands between a program and the files below a folder (LD_PRELOAD):
 *   CRASH_FOLDER=PATH   the folder; absolute
 *   CRASH_TRACE=FILE    writes down what is done to its files: see disk.h
 *   CRASH_KILL=N        kills the process before its N-th call that changes or
 *                       syncs one of them
 *   CRASH_FAIL=N:ERRNO[:MANY]   that call, and MANY - 1 behind it, fail
 *   CRASH_COUNT=FILE    writes how many such calls there were, when it ends
 * Calls are those that the engine and LMDB make: open write writev pwrite
 * ftruncate fsync fdatasync rename unlink close. */
#define _GNU_SOURCE
#include "spec/crash/disk.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 1024 };

static struct {
    char path[DISK_PATH_MAX]; /* "": it isn't ours */
    bool folder, syncs;
} files[FILES_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static int trace = -1;
static unsigned long calls, kill_at, fail_at, fail_many;
static int fail_with;

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

static void write_count(void)
{
    const char *path = getenv("CRASH_COUNT");
    char text[32];
    if (path == NULL || calls == 0) return; /* a shell around it has none */
    int file = REAL(open)(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    int bytes = snprintf(text, sizeof text, "%lu\n", calls);
    if (file < 0) return;
    if (REAL(write)(file, text, (size_t)bytes) != bytes) abort();
    REAL(close)(file);
}

__attribute__((constructor)) static void begin(void)
{
    const char *text;
    root = getenv("CRASH_FOLDER");
    if (root == NULL) return;
    if ((text = getenv("CRASH_KILL"))) kill_at = strtoul(text, NULL, 10);
    if ((text = getenv("CRASH_FAIL"))) {
        char *end;
        fail_at = strtoul(text, &end, 10);
        if (*end == ':') fail_with = (int)strtol(end + 1, &end, 10);
        fail_many = *end == ':' ? strtoul(end + 1, NULL, 10) : 1;
    }
    if ((text = getenv("CRASH_TRACE")))
        trace =
            REAL(open)(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    atexit(write_count);
}

/* Its name below the folder; false: it isn't there. */
static bool below(const char *path, char out[DISK_PATH_MAX])
{
    char whole[4096];
    if (root == NULL) return false;
    if (path[0] == '/') {
        snprintf(whole, sizeof whole, "%s", path);
    } else {
        if (getcwd(whole, sizeof whole) == NULL) return false;
        size_t at = strlen(whole);
        snprintf(whole + at, sizeof whole - at, "/%s", path);
    }
    size_t bytes = strlen(root);
    if (strncmp(whole, root, bytes) != 0) return false;
    if (whole[bytes] == '\0') {
        strcpy(out, ".");
        return true;
    }
    if (whole[bytes] != '/' || strlen(whole + bytes + 1) >= DISK_PATH_MAX)
        return false;
    strcpy(out, whole + bytes + 1);
    return true;
}

static bool ours(int file)
{
    return file >= 0 && file < FILES_MAX && files[file].path[0] != '\0';
}

/* One more call; true: it is to fail, errno says how. */
static bool meets_its_fate(void)
{
    calls++;
    if (kill_at && calls == kill_at) raise(SIGKILL);
    if (!fail_at || calls < fail_at || calls >= fail_at + fail_many)
        return false;
    errno = fail_with;
    return true;
}

static void note(enum disk_op op, const char *path, int64_t at,
                 const struct iovec *parts, int count, size_t bytes)
{
    struct disk_record r = {.op = op, .bytes = (uint32_t)bytes, .at = at};
    struct iovec all[1025];
    size_t whole = sizeof r + bytes;
    if (trace < 0) return;
    snprintf(r.path, sizeof r.path, "%s", path);
    all[0] = (struct iovec){&r, sizeof r};
    if (count) memcpy(all + 1, parts, (size_t)count * sizeof *parts);
    if (REAL(writev)(trace, all, count + 1) != (ssize_t)whole) abort();
}

/* ---- names ---- */

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    char name[DISK_PATH_MAX];
    struct stat info;
    if (!below(path, name)) return REAL(open)(path, flags, mode);
    pthread_mutex_lock(&lock);
    bool fresh = flags & O_CREAT && stat(path, &info) != 0;
    bool empties = flags & O_TRUNC && !fresh;
    int file = (fresh || empties) && meets_its_fate()
                   ? -1
                   : REAL(open)(path, flags, mode);
    if (file >= 0 && file < FILES_MAX) {
        bool folder = fstat(file, &info) == 0 && S_ISDIR(info.st_mode);
        strcpy(files[file].path, name);
        files[file].folder = folder;
        files[file].syncs = flags & O_DSYNC;
        if (fresh) note(DISK_CREATE, name, 0, NULL, 0, 0);
        if (empties) note(DISK_TRUNCATE, name, 0, NULL, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    return file;
}

int close(int file)
{
    pthread_mutex_lock(&lock);
    if (ours(file)) files[file].path[0] = '\0';
    int e = REAL(close)(file);
    pthread_mutex_unlock(&lock);
    return e;
}

int rename(const char *from, const char *to)
{
    char name[DISK_PATH_MAX], other[DISK_PATH_MAX];
    if (!below(from, name) || !below(to, other)) return REAL(rename)(from, to);
    struct iovec part = {other, strlen(other) + 1};
    pthread_mutex_lock(&lock);
    int e = meets_its_fate() ? -1 : REAL(rename)(from, to);
    if (e == 0) note(DISK_RENAME, name, 0, &part, 1, part.iov_len);
    pthread_mutex_unlock(&lock);
    return e;
}

int unlink(const char *path)
{
    char name[DISK_PATH_MAX];
    if (!below(path, name)) return REAL(unlink)(path);
    pthread_mutex_lock(&lock);
    int e = meets_its_fate() ? -1 : REAL(unlink)(path);
    if (e == 0) note(DISK_UNLINK, name, 0, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return e;
}

/* ---- bytes ---- */

static enum disk_op op_of(int file)
{
    return files[file].syncs ? DISK_WRITE_SYNC : DISK_WRITE;
}

/* Where the next write of this descriptor goes. */
static int64_t place(int file)
{
    struct stat info;
    if (fcntl(file, F_GETFL) & O_APPEND)
        return fstat(file, &info) == 0 ? info.st_size : 0;
    return lseek(file, 0, SEEK_CUR);
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    if (!ours(file)) return REAL(writev)(file, parts, count);
    pthread_mutex_lock(&lock);
    int64_t at = place(file);
    ssize_t put = meets_its_fate() ? -1 : REAL(writev)(file, parts, count);
    size_t all = 0;
    for (int i = 0; i < count; i++)
        all += parts[i].iov_len;
    if (put > 0 && (size_t)put != all) abort(); /* not on a disk with room */
    if (put > 0)
        note(op_of(file), files[file].path, at, parts, count, (size_t)put);
    pthread_mutex_unlock(&lock);
    return put;
}

ssize_t write(int file, const void *from, size_t bytes)
{
    if (!ours(file)) return REAL(write)(file, from, bytes);
    pthread_mutex_lock(&lock);
    int64_t at = place(file);
    ssize_t put = meets_its_fate() ? -1 : REAL(write)(file, from, bytes);
    struct iovec part = {(void *)(uintptr_t)from, put > 0 ? (size_t)put : 0};
    if (put > 0)
        note(op_of(file), files[file].path, at, &part, 1, part.iov_len);
    pthread_mutex_unlock(&lock);
    return put;
}

ssize_t pwrite(int file, const void *from, size_t bytes, off_t at)
{
    if (!ours(file)) return REAL(pwrite)(file, from, bytes, at);
    pthread_mutex_lock(&lock);
    ssize_t put = meets_its_fate() ? -1 : REAL(pwrite)(file, from, bytes, at);
    struct iovec part = {(void *)(uintptr_t)from, put > 0 ? (size_t)put : 0};
    if (put > 0)
        note(op_of(file), files[file].path, at, &part, 1, part.iov_len);
    pthread_mutex_unlock(&lock);
    return put;
}

int ftruncate(int file, off_t at)
{
    if (!ours(file)) return REAL(ftruncate)(file, at);
    pthread_mutex_lock(&lock);
    int e = meets_its_fate() ? -1 : REAL(ftruncate)(file, at);
    if (e == 0) note(DISK_TRUNCATE, files[file].path, at, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return e;
}

static int sync_file(int file, int (*real)(int))
{
    if (!ours(file)) return real(file);
    pthread_mutex_lock(&lock);
    int e = meets_its_fate() ? -1 : 0; /* nobody waits for a disk here */
    enum disk_op op = files[file].folder ? DISK_SYNC_NAMES : DISK_SYNC;
    if (e == 0) note(op, files[file].path, 0, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return e;
}

int fsync(int file)
{
    return sync_file(file, REAL(fsync));
}

int fdatasync(int file)
{
    return sync_file(file, REAL(fdatasync));
}
