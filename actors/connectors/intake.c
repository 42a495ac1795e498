#include "actors/connectors/intake.h"
#include "actors/connectors/inflate.h"
#include "actors/connectors/pipe.h"
#include "core/alloc.h"
#include "core/disk.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { STDIN = 0 };

static void intake_free(struct env *env, struct ref *ref)
{
    struct intake *in = (struct intake *)(void *)ref;
    inflate_free(in->inflate);
    if (in->fd >= 0 && in->owned) in->disk->close(in->disk->context, in->fd);
    mem_free(in);
}

struct intake *intake_new(const struct disk *disk, const char *path)
{
    const char *name = path ? path : "stdin";
    size_t bytes = strlen(name) + 1;
    struct intake *in = mem_zero(1, sizeof *in + bytes);
    if (in == NULL) return NULL;
    ref_init(&in->ref, intake_free);
    memcpy(in->path, name, bytes);
    in->disk = disk;
    in->mine = true;
    in->owned = path != NULL;
    in->fd = path ? -1 : STDIN;
    in->open = in->pipe = in->in_order = path == NULL;
    return in;
}

/* ---- opening ---- */

static int refuse(struct intake *in, const char *why)
{
    snprintf(in->why, sizeof in->why, "%s", why);
    return -ENOTSUP;
}

/* The file is open: is it compressed? */
static int look_inside(struct intake *in)
{
    uint8_t magic[INFLATE_MAGIC_BYTES];
    size_t count = 0;
    int64_t got;
    do { /* a read may give less than there is */
        got = in->disk->read(in->disk->context, in->fd, magic + count,
                             sizeof magic - count, (int64_t)count);
        if (got < 0) return (int)got;
        count += (size_t)got;
    } while (got > 0 && count < sizeof magic);
    enum inflate_kind kind = inflate_recognise(magic, count);
    if (kind == INFLATE_NONE) return 0;
    if (in->follow)
        return refuse(in, "it is compressed, and such a file can't be "
                          "followed; leave follow out");
    in->in_order = true;
    if (!in->mine) return 0;
    in->inflate = inflate_new(kind, in->disk, in->fd, in->why, sizeof in->why);
    if (in->inflate) return 0;
    return in->why[0] ? -ENOTSUP : -ENOMEM;
}

static int open_pipe(struct intake *in)
{
    if (in->follow)
        return refuse(in, "it is a pipe or a device, and only a file can be "
                          "followed; leave follow out");
    in->pipe = in->in_order = true;
    in->fd = in->mine ? pipe_open(in->path, false) : -1;
    return in->mine && in->fd < 0 ? in->fd : 0;
}

static bool same_file(const struct disk_info *a, const struct disk_info *b)
{
    return a->device == b->device && a->number == b->number;
}

static int open_file(struct intake *in)
{
    const struct disk *disk = in->disk;
    if (in->fd < 0) in->fd = disk->open(disk->context, in->path, DISK_READ);
    if (in->fd < 0) return in->fd;
    int e = disk->look(disk->context, NULL, in->fd, &in->info);
    if (e < 0) return e;
    bool same =
        same_file(&in->wanted, &in->info) && in->info.bytes >= in->wanted.bytes;
    if (in->wanted.number != 0 && !same) return -ESTALE;
    e = look_inside(in);
    in->in_order |= in->follow;
    return e;
}

int intake_open(struct intake *in)
{
    if (in->open) return 0;
    int e = pipe_at(in->disk, in->path) ? open_pipe(in) : open_file(in);
    in->open = e == 0;
    return e;
}

/* ---- a followed file: as tail -F ---- */

/* Another file has the name, and what reads ahead of it is through. */
static int64_t change_over(struct intake *in, enum news *news)
{
    const struct disk *disk = in->disk;
    int fd = disk->open(disk->context, in->path, DISK_READ);
    if (fd < 0) { /* it may be gone again, or open later */
        if (in->refused != -fd && fd != -ENOENT) *news = NEWS_REFUSED;
        in->refused = -fd;
        return -EAGAIN;
    }
    disk->close(disk->context, in->fd);
    in->fd = fd;
    in->at = in->refused = 0;
    in->away = false;
    *news = NEWS_ROTATED;
    return 0;
}

static int64_t read_on(struct intake *in, void *to, size_t bytes)
{
    int64_t got = in->disk->read(in->disk->context, in->fd, to, bytes, in->at);
    if (got > 0) in->at += got;
    return got;
}

/* All that is there was read: what has become of the file? Who writes it may
 * do so for a while after it was renamed, until the new one has some bytes. */
static int64_t await_more(struct intake *in, void *to, size_t bytes,
                          enum news *news)
{
    const struct disk *disk = in->disk;
    struct disk_info mine, named;
    int e = disk->look(disk->context, NULL, in->fd, &mine);
    if (e < 0) return e;
    if (mine.bytes < in->at) {
        in->at = 0;
        *news = NEWS_TRUNCATED;
        return 0;
    }
    e = disk->look(disk->context, in->path, -1, &named);
    if (e < 0) {
        if (!in->away) *news = mine.named ? NEWS_RENAMED : NEWS_DELETED;
        in->away = true;
        return -EAGAIN;
    }
    if (same_file(&mine, &named)) {
        in->away = false;
        return -EAGAIN;
    }
    int64_t got = read_on(in, to, bytes); /* written before the look */
    if (got != 0) return got;
    return named.bytes > 0 ? change_over(in, news) : -EAGAIN;
}

static int64_t follow_on(struct intake *in, void *to, size_t bytes,
                         enum news *news)
{
    int64_t got = read_on(in, to, bytes);
    return got != 0 ? got : await_more(in, to, bytes, news);
}

/* ---- reading ---- */

/* Stripes may begin behind the end, but not of what it was when opened. */
static bool has_shrunk(const struct intake *in, int64_t at)
{
    struct disk_info now;
    return in->disk->look(in->disk->context, NULL, in->fd, &now) == 0 &&
           now.bytes < at && now.bytes < in->info.bytes;
}

int64_t intake_read(struct intake *in, void *to, size_t bytes, int64_t at,
                    enum news *news)
{
    *news = NEWS_NONE;
    int e = intake_open(in);
    if (e < 0) return e;
    if (in->in_order && !in->mine) return 0;
    if (in->pipe) return pipe_read(in->fd, to, bytes);
    if (in->inflate) return inflate_read(in->inflate, to, bytes);
    if (in->follow) return follow_on(in, to, bytes, news);
    int64_t got = in->disk->read(in->disk->context, in->fd, to, bytes, at);
    if (got == 0 && has_shrunk(in, at)) *news = NEWS_SHRUNK;
    return got;
}

bool intake_damaged(const struct intake *in, char *why, size_t why_bytes)
{
    return in->inflate && inflate_damaged(in->inflate, why, why_bytes);
}
