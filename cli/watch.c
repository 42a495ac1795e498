#define _GNU_SOURCE /* inotify_init1 */
#include "cli/watch.h"
#include "core/alloc.h"
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

enum { QUIET_MS = 50, WAIT_MAX_MS = 1000 };

struct watched {
    struct watched *next;
    int folder; /* inotify's number of it */
    char name[256];
};

struct watch {
    int fd;
    void (*changed)(void *context);
    void *context;
    pthread_mutex_t lock;  /* of the files */
    struct watched *files; /* owned */
    _Atomic unsigned events;
};

static bool is_watched(const struct watch *w, int folder, const char *name)
{
    for (const struct watched *file = w->files; file; file = file->next)
        if (file->folder == folder && strcmp(file->name, name) == 0)
            return true;
    return false;
}

static void add_file(struct watch *w, const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1,
             slash ? path : ".");
    if (slash == path) strcpy(folder, "/");
    int number = inotify_add_watch(w->fd, folder,
                                   IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE);
    if (is_watched(w, number, name)) return;
    struct watched *file = mem_zero(1, sizeof *file);
    if (file == NULL) return;
    file->folder = number;
    snprintf(file->name, sizeof file->name, "%s", name);
    file->next = w->files;
    w->files = file;
}

static void forget_files(struct watch *w)
{
    while (w->files) {
        struct watched *file = w->files;
        w->files = file->next;
        mem_free(file);
    }
}

static void add_files(struct watch *w, const struct bundle *bundle)
{
    for (unsigned i = 0; i < bundle->count; i++)
        add_file(w, bundle->files[i].path);
    for (unsigned i = 0; i < bundle->unread_count; i++)
        add_file(w, bundle->unread[i]);
}

void watch_files(struct watch *w, const struct bundle *bundle)
{
    pthread_mutex_lock(&w->lock);
    forget_files(w);
    add_files(w, bundle);
    pthread_mutex_unlock(&w->lock);
}

void watch_more(struct watch *w, const struct bundle *bundle)
{
    pthread_mutex_lock(&w->lock);
    add_files(w, bundle);
    pthread_mutex_unlock(&w->lock);
}

struct watch *watch_new(const struct bundle *bundle,
                        void (*changed)(void *context), void *context)
{
    struct watch *w = mem_zero(1, sizeof *w);
    if (w == NULL) return NULL;
    w->changed = changed;
    w->context = context;
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    pthread_mutex_init(&w->lock, NULL);
    if (w->fd < 0) {
        watch_free(w);
        return NULL;
    }
    watch_files(w, bundle);
    return w;
}

static bool is_ours(struct watch *w, const struct inotify_event *event)
{
    return event->len > 0 && is_watched(w, event->wd, event->name);
}

static void readable(struct env *env, int fd, void *context)
{
    struct watch *w = context;
    union { /* aligned as the kernel writes it */
        struct inotify_event first;
        char bytes[8192];
    } buffer;
    ssize_t got;
    bool ours = false;
    while ((got = read(fd, buffer.bytes, sizeof buffer.bytes)) > 0) {
        pthread_mutex_lock(&w->lock);
        for (ssize_t at = 0; at < got;) {
            struct inotify_event event;
            memcpy(&event, buffer.bytes + at, sizeof event);
            const struct inotify_event *whole =
                (const struct inotify_event *)(const void *)(buffer.bytes + at);
            if (is_ours(w, whole)) ours = true;
            at += (ssize_t)sizeof event + (ssize_t)event.len;
        }
        pthread_mutex_unlock(&w->lock);
    }
    if (!ours) return;
    at_add(&w->events, 1, RELAXED);
    w->changed(w->context);
}

err watch_start(struct watch *w, struct loop *loop)
{
    return loop_watch(loop, w->fd, readable, w);
}

void watch_settle(struct watch *w)
{
    for (int waited = 0; waited < WAIT_MAX_MS; waited += QUIET_MS) {
        unsigned before = at_load(&w->events, RELAXED);
        struct timespec quiet = {0, QUIET_MS * 1000000L};
        nanosleep(&quiet, NULL);
        if (at_load(&w->events, RELAXED) == before) return;
    }
}

void watch_free(struct watch *w)
{
    if (w == NULL) return;
    forget_files(w);
    if (w->fd >= 0) close(w->fd);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}
