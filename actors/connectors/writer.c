#include "actors/connectors/writer.h"
#include "actors/connectors/fault.h"
#include "actors/connectors/pipe.h"
#include "actors/connectors/rotate.h"
#include "actors/connectors/segment.h"
#include "core/alloc.h"
#include "core/atomic.h"
#include "core/disk.h"
#include "core/job.h"
#include "core/log.h"
#include "core/node.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#define SECOND_NS      1000000000ll
#define RETRY_FIRST_NS SECOND_NS
#define RETRY_MAX_NS   (30 * SECOND_NS)

enum { STDOUT = 1, ALONE_LOOK_NS = 1000 * 1000 };

#define NO_SEGMENT INT64_MIN

/* The file and the job that writes it: it may outlive the task. */
struct writer_file {
    struct job job;
    const struct disk *disk;
    int fd;
    bool owned, append;
    bool pipe; /* written by pipe.h */
    bool open;
    bool begun; /* it was open once: what is there is ours */
    bool last;  /* close it when all is written */
    bool closed;
    bool exact;     /* nothing but a file will do */
    bool to_sync;   /* what is written is to be on the disk, too */
    bool unsynced;  /* and isn't yet */
    bool named;     /* that it is there at all is on the disk */
    bool lost;      /* syncing failed: what the disk has is not known */
    int64_t resume; /* so much of it is known by the checkpoint; -1: none is */
    _Atomic bool running; /* the job */
    struct buffer head;   /* stands once in each file, at its beginning */
    size_t head_written;
    struct buffer out;
    size_t written;     /* of `out` */
    struct buffer ends; /* of each tuple in `out`: size_t; if it is rotated */
    size_t end;         /* the first of them behind `written` */
    int error;          /* errno of the last try; 0: it went on */
    int close_error;    /* errno of closing one that was rotated */
    int rotate_error;   /* errno of the last rotation; 0: it went well */
    unsigned refused;   /* the number of the file that it failed at */
    unsigned keep;
    int64_t rotate_bytes; /* 0: never */
    int64_t bytes, limit; /* rotated: of the file; it is full */
    /* Segments: see segment.h. */
    struct segments segments;
    int64_t
        segment_bytes; /* one that has as many is whole; 0: there are none */
    bool due;          /* the one that is open is whole, however short */
    uint64_t number;   /* of the one that is written; 0: not known yet */
    uint64_t whole;    /* of the one that was closed last, to be revealed */
    char path[];
};

/* ---- the job: these functions run in the pool ---- */

static void file_free(struct env *env, struct ref *ref)
{
    struct writer_file *f = (struct writer_file *)(void *)ref;
    if (f->open && f->owned) f->disk->close(f->disk->context, f->fd);
    buffer_fini(&f->head);
    buffer_fini(&f->out);
    buffer_fini(&f->ends);
    mem_free(f);
}

/* The path of the segment that is written. 0, or errno. */
static int name_segment(struct writer_file *f)
{
    uint64_t last = 0;
    int e = f->number ? 0 : segment_last(f->disk, &f->segments, &last);
    if (e == 0 && f->number == 0) f->number = last + 1;
    return e ? e : segment_name(f->path, &f->segments, f->number, false);
}

/* A replaced file is written at its end too: a job of a task that has died
 * may still be writing, and neither may overwrite the other. */
static int open_file(struct writer_file *f)
{
    const struct disk *disk = f->disk;
    int e = f->segment_bytes ? name_segment(f) : 0;
    if (e) return -e;
    f->pipe = pipe_at(disk, f->path);
    if (f->pipe && f->exact) return -ESPIPE;
    if (f->pipe) return f->rotate_bytes ? -EINVAL : pipe_open(f->path, true);
    if (!f->append) {
        int fd = disk->open(disk->context, f->path, DISK_REPLACE);
        if (fd < 0) return fd;
        disk->close(disk->context, fd);
    }
    return disk->open(disk->context, f->path, DISK_APPEND);
}

static int64_t put(struct writer_file *f, const uint8_t *from, size_t bytes)
{
    int64_t count = f->pipe
                        ? pipe_write(f->fd, from, bytes)
                        : f->disk->write(f->disk->context, f->fd, from, bytes);
    if (count > 0) f->bytes += count;
    f->unsynced |= count > 0;
    return count;
}

/* What no checkpoint knows is cut off: it comes again. 0, or errno. Of a file
 * with less than the checkpoint knows there is ESTALE where each line counts;
 * else it goes on at its end. */
static int go_back(struct writer_file *f, int fd)
{
    if (f->resume < 0 || f->pipe) return 0;
    if (f->bytes < f->resume) return f->exact ? ESTALE : 0;
    int e = f->bytes > f->resume
                ? f->disk->truncate(f->disk->context, fd, f->resume)
                : 0;
    if (e == 0) f->bytes = f->resume;
    return -e;
}

/* It has more than the header. */
static bool has_lines(const struct writer_file *f)
{
    return f->open && f->bytes > (int64_t)f->head.used;
}

/* The open segment is to be closed. */
static bool is_whole(const struct writer_file *f)
{
    return f->segment_bytes && has_lines(f) &&
           (f->due || f->bytes >= f->segment_bytes);
}

static bool is_unsynced(const struct writer_file *f)
{
    return f->owned && !f->pipe && f->open &&
           (f->unsynced || !f->named || is_whole(f));
}

/* It is on the disk; the next one is begun by what comes next. */
static void close_segment(struct writer_file *f)
{
    f->disk->close(f->disk->context, f->fd);
    f->open = f->append = f->due = false;
    f->bytes = 0;
    f->head_written = f->head.used; /* until there is one to write it into */
    f->whole = f->number++;
}

/* 0, or errno. */
static int sync_file(struct writer_file *f)
{
    const struct disk *disk = f->disk;
    if (!is_unsynced(f)) return 0;
    int e = disk->sync(disk->context, f->fd);
    if (e == 0 && !f->named) e = disk->sync_names(disk->context, f->path);
    f->lost = e != 0;
    f->named = e == 0;
    f->unsynced = e != 0;
    if (e == 0 && is_whole(f)) close_segment(f);
    return -e;
}

/* The last line of what is continued may have no end, after a power cut say:
 * what follows is a line of its own. Who may only write can't know. 0, or
 * errno. */
static int end_last_line(struct writer_file *f)
{
    const struct disk *disk = f->disk;
    uint8_t last = '\n';
    if (f->bytes == 0) return 0;
    int fd = disk->open(disk->context, f->path, DISK_READ);
    if (fd == -EACCES || fd == -EPERM) return 0;
    if (fd < 0) return -fd;
    int64_t count = disk->read(disk->context, fd, &last, 1, f->bytes - 1);
    disk->close(disk->context, fd);
    if (count >= 0 && last != '\n') count = put(f, (const uint8_t *)"\n", 1);
    return count < 0 ? (int)-count : 0;
}

/* False: error says why. */
static bool begin_file(struct writer_file *f)
{
    if (f->open) return true;
    if (f->segment_bytes && f->resume < 0 && f->written == f->out.used)
        return false; /* no segment is without lines */
    struct disk_info info = {0};
    int fd = open_file(f);
    if (fd >= 0 && !f->pipe) f->disk->look(f->disk->context, NULL, fd, &info);
    if (fd < 0) {
        f->error = -fd;
        return false;
    }
    f->fd = fd;
    f->bytes = info.bytes;
    f->error = go_back(f, fd);
    if (f->error == 0) f->error = end_last_line(f);
    if (f->error) {
        f->disk->close(f->disk->context, fd);
        return false;
    }
    f->open = f->begun = f->append = true;
    f->resume = -1;
    f->named = false;
    f->head_written = f->bytes > 0 ? f->head.used : 0;
    return true;
}

static size_t end_at(const struct writer_file *f, size_t i)
{
    size_t end;
    memcpy(&end, f->ends.data + i * sizeof end, sizeof end);
    return end;
}

/* How much of `out` still belongs into the file: whole tuples, or what is left
 * of one. 0: it is full; never with `must`. */
static size_t fitting(struct writer_file *f, bool must)
{
    size_t left = f->out.used - f->written, best = 0;
    if (f->rotate_bytes == 0) return left;
    while (left > 0 && end_at(f, f->end) <= f->written)
        f->end++;
    if (left == 0) return 0;
    bool within = f->written != (f->end > 0 ? end_at(f, f->end - 1) : 0);
    bool empty = f->bytes <= (int64_t)f->head.used;
    if (within || empty || must) best = end_at(f, f->end) - f->written;
    for (size_t i = f->end; i < f->ends.used / sizeof(size_t); i++) {
        size_t more = end_at(f, i) - f->written;
        if (f->bytes + (int64_t)more > f->limit) break;
        best = more;
    }
    return best;
}

/* The open file gets another name, a new one is begun. If that can't be it
 * goes on growing, and is rotated when it has grown by as much again. */
static void rotate(struct writer_file *f)
{
    f->rotate_error = rotate_files(f->disk, f->path, f->keep, &f->refused);
    f->limit = f->rotate_bytes;
    if (f->rotate_error) {
        f->limit += f->bytes;
        return;
    }
    int e = f->disk->close(f->disk->context, f->fd);
    if (e < 0) f->close_error = -e;
    f->open = false;
}

/* What is to be written next. False: nothing, or error says why. */
static bool next_piece(struct writer_file *f, struct buffer **from, size_t **at,
                       size_t *bytes)
{
    bool must = false; /* what no file has room for goes into this one */
    if (!begin_file(f)) return false;
    if (f->head_written == f->head.used && f->written < f->out.used &&
        fitting(f, false) == 0) {
        rotate(f);
        must = f->rotate_error != 0;
        if (!begin_file(f)) return false;
    }
    bool head = f->head_written < f->head.used;
    *from = head ? &f->head : &f->out;
    *at = head ? &f->head_written : &f->written;
    *bytes = head ? f->head.used - f->head_written : fitting(f, must);
    return *bytes > 0;
}

static void write_all(struct writer_file *f)
{
    struct buffer *from;
    size_t *at, bytes;
    f->error = f->close_error = f->rotate_error = 0;
    while (next_piece(f, &from, &at, &bytes)) {
        int64_t count = put(f, from->data + *at, bytes);
        if (count < 0)
            f->error = (int)-count;
        else
            *at += (size_t)count;
        if (count < (int64_t)bytes) return; /* the next job goes on */
    }
    if (f->error || f->written < f->out.used) return;
    if (f->to_sync) f->error = sync_file(f);
    if (f->error || !f->last) return;
    f->closed = true;
    if (f->owned && f->open)
        f->error = -f->disk->close(f->disk->context, f->fd);
    f->open = false;
}

static void file_work(struct node *node, struct job *job)
{
    struct writer_file *f = (struct writer_file *)(void *)job;
    write_all(f);
    at_store(&f->running, false, RELEASE);
}

/* ---- life ---- */

static struct writer_file *file_new(struct component_context *context,
                                    const char *path, bool segments)
{
    size_t room = segments ? PATH_MAX : strlen(path) + 16;
    struct writer_file *f = mem_zero(1, sizeof *f + room);
    if (f == NULL) return NULL;
    ref_init(&f->job.ref, file_free);
    f->job.work = file_work;
    f->disk = node_world(env_node(context->env))->disk;
    f->resume = -1;
    f->exact = context->plan->guarantee == EXACTLY_ONCE;
    memcpy(f->path, path, strlen(path) + 1);
    return f;
}

/* Several tasks that share one output have one header. */
static bool wants_header(const struct component_context *context, bool shared)
{
    return !shared || (context->index == 0 && context->starts == 0);
}

err writer_make(struct component_context *context, struct writer *w,
                const struct writer_plan *plan)
{
    const char *path = plan->path;
    bool segments = plan->segment_bytes > 0;
    struct writer_file *f = file_new(context, path ? path : "stdout", segments);
    if (f == NULL) return ERR_NOMEM;
    w->file = f;
    w->tracked = executor_tracks(context);
    w->rotates = plan->rotate_bytes > 0;
    w->checkpoints = executor_store(context) != NULL;
    f->owned = path != NULL;
    /* A crashed task's lines stay; if it wrote none they are from before. */
    f->append = plan->append || *context->begun;
    f->rotate_bytes = f->limit = plan->rotate_bytes;
    f->keep = plan->keep;
    f->segment_bytes = plan->segment_bytes;
    w->segment_ns = plan->segment_ns;
    w->segment_began_ns = NO_SEGMENT;
    if (segments) {
        bool one = context->component->tasks == 1;
        f->segments = (struct segments){path, one ? -1 : (int)context->index};
        f->append = false; /* what no checkpoint knows is nobody's */
    } else if (path == NULL) {
        f->fd = STDOUT;
        f->pipe = f->open = f->begun = true;
    } else if (context->component->tasks > 1) {
        sprintf(f->path + strlen(path), ".%u", context->index);
    }
    err e = plan->format ? format_named(plan->format, &w->format) : OK;
    if (e == OK && context->component->input_count > 0 &&
        wants_header(context, path == NULL)) {
        const struct stream_plan *stream = input_stream(context, 0);
        e = format_header(&w->format, stream->fields, stream->arity, &f->head);
    }
    if (e != OK) {
        ref_drop(context->env, &f->job.ref);
        return e;
    }
    if (segments) f->head_written = f->head.used;
    w->before = *context->left;
    *context->left = NULL;
    return OK;
}

static void say_replaced(struct component_context *context, struct writer *w)
{
    if (w->replaced > 0)
        executor_log(context, LOG_WARN,
                     "%s: %llu times JSON could not say what a value held: "
                     "bytes that are not UTF-8 became U+FFFD, NaN and "
                     "infinities null",
                     w->file->path, (unsigned long long)w->replaced);
    w->replaced = 0;
}

void writer_free(struct component_context *context, void *self)
{
    struct writer *w = self;
    say_replaced(context, w);
    buffer_fini(&w->gathered);
    buffer_fini(&w->ends);
    if (w->before) *context->left = w->before;
    ref_drop(context->env, &w->file->job.ref);
}

/* ---- writing ---- */

static void swap(struct buffer *a, struct buffer *b)
{
    struct buffer c = *a;
    *a = *b;
    *b = c;
}

/* Is the segment that is written old enough? */
static bool is_due(struct component_context *context, struct writer *w)
{
    const struct writer_file *f = w->file;
    int64_t now_ns = env_now(context->env);
    if (f->segment_bytes == 0) return false;
    if (!has_lines(f) || w->segment_began_ns == NO_SEGMENT)
        w->segment_began_ns = now_ns;
    return w->preparing && now_ns - w->segment_began_ns >= w->segment_ns;
}

static void start(struct component_context *context, struct writer *w)
{
    struct writer_file *f = w->file;
    if (f->written == f->out.used) { /* else the rest goes first */
        swap(&f->out, &w->gathered);
        swap(&f->ends, &w->ends);
        w->gathered.used = w->ends.used = f->written = f->end = 0;
        f->last = w->finishing;
    }
    f->to_sync = w->gathered.used == 0 &&
                 (w->preparing || (w->finishing && w->checkpoints));
    f->due = w->finishing || is_due(context, w);
    at_store(&f->running, true, RELAXED);
    w->busy = true;
    ref_take(&f->job.ref);
    executor_job(context, &f->job);
}

static bool all_written(const struct writer *w)
{
    const struct writer_file *f = w->file;
    return w->gathered.used == 0 && f->written == f->out.used &&
           f->head_written == f->head.used &&
           !(w->preparing && is_unsynced(f)) &&
           (f->closed || !(w->finishing && f->owned));
}

/* What is written by the job of an actor before would stand behind what is cut
 * off: it comes first. */
static bool is_alone(struct component_context *context, struct writer *w)
{
    struct writer_file *before = (struct writer_file *)(void *)w->before;
    if (before && at_load(&before->running, ACQUIRE)) return false;
    if (w->alone) return true;
    if (before) ref_drop(context->env, w->before);
    w->before = NULL;
    ref_take(&w->file->job.ref);
    *context->left = &w->file->job.ref;
    return w->alone = true;
}

/* Starts what there is to do. STEP_IDLE, STEP_SLEEP: the acks wait for it. */
static enum step go_on(struct component_context *context, struct writer *w)
{
    if (!w->busy && w->unread) {
        w->gathered.used = w->file->out.used = w->file->written = 0;
        w->file->head_written = w->file->head.used;
    }
    if (!w->busy && all_written(w)) {
        if (w->finishing) say_replaced(context, w);
        w->preparing = false;
        return STEP_DONE;
    }
    context->sleep_ns = ALONE_LOOK_NS;
    if (!is_alone(context, w)) return STEP_SLEEP;
    context->sleep_ns = w->retry_at_ns - env_now(context->env);
    if (!w->busy && w->backoff_ns > 0 && context->sleep_ns > 0)
        return STEP_SLEEP;
    if (!w->busy) start(context, w);
    bool wait = w->tracked || w->finishing || w->preparing ||
                w->backoff_ns > 0 || w->gathered.used >= WRITER_AHEAD_BYTES;
    return wait ? STEP_IDLE : STEP_DONE;
}

enum step writer_open(struct component_context *context, void *self)
{
    struct writer *w = self;
    context->sleep_ns = ALONE_LOOK_NS;
    if (!is_alone(context, w)) return STEP_SLEEP;
    start(context, w);
    return STEP_DONE;
}

enum step writer_resume(struct component_context *context, void *self)
{
    struct writer *w = self;
    return w->alone ? go_on(context, w) : writer_open(context, w);
}

enum step writer_settle(struct component_context *context, void *self)
{
    return go_on(context, self);
}

enum step writer_finish(struct component_context *context, void *self)
{
    struct writer *w = self;
    w->finishing = true; /* settle() follows */
    w->file->whole = 0;
    return STEP_DONE;
}

static enum step crash(struct component_context *context,
                       const struct writer_file *f)
{
    if (f->pipe && f->rotate_bytes) {
        snprintf(context->error, sizeof context->error,
                 "%s is a pipe or a device and can't be rotated; remove rotate",
                 f->path);
        return STEP_HOPELESS;
    }
    if (f->error == ESPIPE && f->exact) {
        snprintf(context->error, sizeof context->error,
                 "%s is a pipe or a device, from which nothing can be taken "
                 "back; write to a file, or leave out guarantee = "
                 "\"exactly-once\"",
                 f->path);
        return STEP_HOPELESS;
    }
    if (f->error == ESTALE && f->resume >= 0) {
        snprintf(context->error, sizeof context->error,
                 "%s has %lld bytes, and the newest checkpoint knows of %lld: "
                 "it was cut or replaced meanwhile; put it back, or begin "
                 "anew with --fresh",
                 f->path, (long long)f->bytes, (long long)f->resume);
        return STEP_HOPELESS;
    }
    fault_text(context->error, sizeof context->error, FAULT_WRITE, f->path,
               f->error);
    return fault_stays(f->error) ? STEP_HOPELESS : STEP_CRASH;
}

/* Says so once, then waits longer each time. */
static void put_off(struct component_context *context, struct writer *w)
{
    int64_t now_ns = env_now(context->env);
    if (w->backoff_ns == 0) {
        char text[1024];
        fault_text(text, sizeof text, FAULT_WRITE, w->file->path,
                   w->file->error);
        executor_log(context, LOG_ERROR,
                     "%s; until then nothing is lost, tried again every 1 to "
                     "30 s",
                     text);
    }
    w->backoff_ns = w->backoff_ns == 0 ? RETRY_FIRST_NS : 2 * w->backoff_ns;
    if (w->backoff_ns > RETRY_MAX_NS) w->backoff_ns = RETRY_MAX_NS;
    w->retry_at_ns = now_ns + w->backoff_ns;
}

static void went_on(struct component_context *context, struct writer *w)
{
    if (w->backoff_ns > 0)
        executor_log(context, LOG_INFO, "%s is written again", w->file->path);
    w->backoff_ns = 0;
}

/* Too late to try again: the system has let go of the file. */
static void say_unclosed(struct component_context *context,
                         const struct writer_file *f, int error)
{
    char text[1024];
    fault_text(text, sizeof text, FAULT_WRITE, f->path, error);
    executor_log(context, LOG_ERROR,
                 "%s; it was said on closing: the last lines may be missing",
                 text);
}

static void say_rotated(struct component_context *context,
                        const struct writer_file *f)
{
    char text[1024], number[16] = "", path[PATH_MAX];
    if (f->close_error) say_unclosed(context, f, f->close_error);
    if (f->rotate_error == 0) return;
    if (f->refused > 0) snprintf(number, sizeof number, ".%u", f->refused);
    snprintf(path, sizeof path, "%s%s", f->path, number);
    fault_text(text, sizeof text, FAULT_WRITE, path, f->rotate_error);
    executor_fault(context, LOSS_NONE,
                   "%s; %s can't be rotated and goes on growing, tried again "
                   "when it has grown by %lld bytes more",
                   text, f->path, (long long)f->rotate_bytes);
}

/* Nothing was written yet, but it is no mistake: it will pass. */
static bool may_wait(int error)
{
    return error == ENXIO || error == ENOSPC || error == EDQUOT;
}

enum step writer_job_done(struct component_context *context, void *self,
                          struct job *job)
{
    struct writer *w = self;
    struct writer_file *f = w->file;
    w->busy = false;
    *context->begun |= f->begun;
    say_rotated(context, f);
    if (f->error == EAGAIN && f->pipe) {
        /* It goes on waiting for a slow reader. */
    } else if (f->error == 0) {
        went_on(context, w);
    } else if (f->lost) {
        fault_text(context->error, sizeof context->error, FAULT_WRITE, f->path,
                   f->error);
        return STEP_HOPELESS;
    } else if (f->closed) {
        say_unclosed(context, f, f->error);
    } else if (!f->begun && !may_wait(f->error)) {
        return crash(context, f);
    } else if (!f->owned && f->error == EPIPE) {
        w->unread = true;
        executor_drain(context);
    } else {
        put_off(context, w);
    }
    return go_on(context, w);
}

/* ---- checkpoints ---- */

enum step writer_prepare(struct component_context *context, void *self)
{
    struct writer *w = self;
    struct writer_file *f = w->file;
    w->preparing = true;
    f->whole = 0; /* of a job that doesn't sync it is none of its business */
    if (!w->busy) f->due = is_due(context, w);
    return go_on(context, w);
}

/* How long the file is; of what can't be cut off again there is nothing. */
err writer_snapshot(struct component_context *context, void *self,
                    uint64_t oldest, struct buffer *out)
{
    const struct writer *w = self;
    const struct writer_file *f = w->file;
    uint8_t at[2 * VALUE_SCALAR_MAX];
    if (!f->begun || !f->owned || f->pipe || w->rotates) return OK;
    uint8_t *end = value_put_int(at, f->bytes);
    if (f->segment_bytes) end = value_put_int(end, (int64_t)f->number);
    return buffer_append(out, at, (size_t)(end - at));
}

err writer_reveal(struct component_context *context, void *self,
                  struct buffer *out)
{
    const struct writer_file *f = ((struct writer *)self)->file;
    char from[PATH_MAX], to[PATH_MAX];
    if (f->whole == 0) return OK;
    if (segment_name(from, &f->segments, f->whole, false) != 0 ||
        segment_name(to, &f->segments, f->whole, true) != 0)
        return ERR_LIMIT;
    size_t used = out->used;
    err e = buffer_append(out, from, strlen(from) + 1);
    if (e == OK) e = buffer_append(out, to, strlen(to) + 1);
    if (e != OK) out->used = used;
    return e;
}

/* One of the numbers that say where it stood. */
static bool take_number(const uint8_t **at, const uint8_t *end, int64_t *number)
{
    struct value v;
    const uint8_t *next;
    if (value_check(*at, end, &next) != OK) return false;
    value_get(*at, &v);
    *at = next;
    *number = v.as.integer;
    return v.type == VALUE_INT && v.as.integer >= 0;
}

err writer_restore(struct component_context *context, void *self,
                   struct bytes position)
{
    struct writer_file *f = ((struct writer *)self)->file;
    const uint8_t *at = position.at, *end = at + position.count;
    int64_t number = 0;
    if (!take_number(&at, end, &f->resume)) return ERR_FORMAT;
    if ((at < end) != (f->segment_bytes > 0)) {
        snprintf(context->error, sizeof context->error,
                 f->segment_bytes
                     ? "the newest checkpoint knows %s as one file; leave out "
                       "segments, or begin anew with --fresh"
                     : "the newest checkpoint knows segments of %s; give it "
                       "segments again, or begin anew with --fresh",
                 f->path);
        return ERR_FORMAT;
    }
    if (at < end && !take_number(&at, end, &number)) return ERR_FORMAT;
    f->number = (uint64_t)number;
    if (f->segment_bytes && f->resume == 0) f->resume = -1; /* it had none */
    f->append = f->segment_bytes == 0 || f->resume > 0;
    return OK;
}

/* ---- lines ---- */

/* False: out of memory, nothing was gathered. */
static bool gather(struct writer *w, const struct stream_plan *stream,
                   const uint8_t *values)
{
    size_t before = w->gathered.used;
    if (format_tuple(&w->format, stream->fields, stream->arity, values,
                     &w->gathered, &w->replaced) != OK)
        return false;
    if (!w->rotates) return true;
    if (buffer_append(&w->ends, &w->gathered.used, sizeof(size_t)) == OK)
        return true;
    w->gathered.used = before;
    return false;
}

enum step writer_execute(struct component_context *context, void *self,
                         struct input *input)
{
    struct writer *w = self;
    const struct stream_plan *stream = input_stream(context, input->source);
    const uint8_t *at;
    while ((at = input_next(context, input)) != NULL) {
        const uint8_t *end = value_skip_many(at, stream->arity);
        if (gather(w, stream, at))
            input_done(context, input, end);
        else
            executor_fail(context, input, end,
                          "out of memory: no room for this tuple's line");
    }
    return STEP_DONE;
}
