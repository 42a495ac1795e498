#include "actors/connectors/window.h"
#include "core/alloc.h"
#include "core/disk.h"
#include <errno.h>

enum { WINDOW_BYTES = 65536 }; /* read around a line that is emitted again */

static void window_free(struct env *env, struct ref *ref)
{
    struct window *w = (struct window *)(void *)ref;
    buffer_fini(&w->bytes);
    if (w->intake) ref_drop(env, &w->intake->ref);
    mem_free(w);
}

/* Reads on until the line's end is in the window, or the file's. */
static void read_around(struct node *node, struct job *job)
{
    struct window *w = (struct window *)(void *)job;
    const struct disk *disk = w->intake->disk;
    size_t start = (size_t)(w->offset - w->at);
    w->bytes.used = 0;
    w->error = -intake_open(w->intake);
    for (size_t more = WINDOW_BYTES;
         w->error == 0 && w->bytes.used <= start + LINE_BYTES_MAX;
         more = w->bytes.used) {
        if (buffer_reserve(&w->bytes, more) != OK) {
            w->error = ENOMEM;
            return;
        }
        uint8_t *to = w->bytes.data + w->bytes.used;
        int64_t got = disk->read(disk->context, w->intake->fd, to, more,
                                 w->at + (int64_t)w->bytes.used);
        if (got < 0) w->error = (int)-got;
        if (got <= 0) return;
        w->bytes.used += (size_t)got;
        /* Not the feed of the line before, which stands at 0. */
        size_t from = (size_t)(to - w->bytes.data);
        if (from < start) from = start;
        if (w->bytes.used > from &&
            memchr(w->bytes.data + from, '\n', w->bytes.used - from))
            return;
    }
}

struct window *window_new(void)
{
    struct window *w = mem_zero(1, sizeof *w);
    if (w == NULL) return NULL;
    ref_init(&w->job.ref, window_free);
    w->job.work = read_around;
    return w;
}

void window_aim(struct env *env, struct window *w, struct intake *intake,
                int64_t offset)
{
    ref_take(&intake->ref);
    if (w->intake) ref_drop(env, &w->intake->ref);
    w->intake = intake;
    w->busy = true;
    w->offset = offset;
    w->at = offset > 0 ? offset - 1 : 0;
}

bool window_is_for(const struct window *w, const struct intake *intake,
                   int64_t offset)
{
    return w->intake == intake && w->offset == offset;
}

bool window_find(const struct window *w, const struct intake *intake,
                 int64_t offset, int64_t eof, struct line *line)
{
    if (w == NULL || w->busy || w->intake != intake) return false;
    const uint8_t *data = w->bytes.data, *end = data + w->bytes.used;
    int64_t start = offset - w->at;
    if (start < (offset > 0) || start >= (int64_t)w->bytes.used) return false;
    const uint8_t *at = data + start;
    if (offset > 0 && at[-1] != '\n') return false; /* the file has changed */
    const uint8_t *feed = memchr(at, '\n', (size_t)(end - at));
    int64_t whole = w->at + (int64_t)w->bytes.used;
    if (feed == NULL && whole != eof) return false;
    uint32_t count = feed ? lines_length(at, feed) : (uint32_t)(end - at);
    *line = (struct line){at, count, offset};
    return count <= LINE_BYTES_MAX;
}
