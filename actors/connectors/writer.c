#include "actors/connectors/writer.h"
#include "actors/connectors/fault.h"
#include "actors/connectors/pipe.h"
#include "core/alloc.h"
#include "core/disk.h"
#include "core/job.h"
#include "core/log.h"
#include "core/node.h"
#include <errno.h>
#include <stdio.h>

#define SECOND_NS      1000000000ll
#define RETRY_FIRST_NS SECOND_NS
#define RETRY_MAX_NS   (30 * SECOND_NS)

enum { STDOUT = 1 };

/* The file and the job that writes it: it may outlive the task. */
struct writer_file {
    struct job job;
    const struct disk *disk;
    int fd;
    bool owned, append;
    bool pipe; /* written by pipe.h */
    bool open;
    bool headed; /* `out` begins with what stands once in a file */
    bool last;   /* close it when all is written */
    bool closed;
    struct buffer out;
    size_t written; /* of `out` */
    int error;      /* errno of the last try; 0: it went on */
    char path[];
};

/* ---- the job: these functions run in the pool ---- */

static void file_free(struct env *env, struct ref *ref)
{
    struct writer_file *f = (struct writer_file *)(void *)ref;
    if (f->open && f->owned && !f->closed)
        f->disk->close(f->disk->context, f->fd);
    buffer_fini(&f->out);
    mem_free(f);
}

/* Has the file something in it? */
static bool has_bytes(const struct disk *disk, const char *path)
{
    char byte;
    int fd = disk->open(disk->context, path, DISK_READ);
    if (fd < 0) return false;
    int64_t got = disk->read(disk->context, fd, &byte, 1, 0);
    disk->close(disk->context, fd);
    return got > 0;
}

/* A replaced file is written at its end too: a job of a task that has died
 * may still be writing, and neither may overwrite the other. */
static int open_file(struct writer_file *f)
{
    const struct disk *disk = f->disk;
    f->pipe = pipe_at(disk, f->path);
    if (f->pipe) return pipe_open(f->path, true);
    if (!f->append) {
        int fd = disk->open(disk->context, f->path, DISK_REPLACE);
        if (fd < 0) return fd;
        disk->close(disk->context, fd);
    } else if (f->headed && has_bytes(disk, f->path)) {
        f->out.used = 0;
    }
    return disk->open(disk->context, f->path, DISK_APPEND);
}

static int64_t write_some(struct writer_file *f)
{
    const uint8_t *from = f->out.data + f->written;
    size_t left = f->out.used - f->written;
    if (left == 0) return 0;
    return f->pipe ? pipe_write(f->fd, from, left)
                   : f->disk->write(f->disk->context, f->fd, from, left);
}

static void file_work(struct node *node, struct job *job)
{
    struct writer_file *f = (struct writer_file *)(void *)job;
    f->error = 0;
    if (!f->open) {
        int fd = open_file(f);
        if (fd < 0) {
            f->error = -fd;
            return;
        }
        f->fd = fd;
        f->open = true;
    }
    int64_t put = write_some(f);
    if (put < 0)
        f->error = (int)-put;
    else
        f->written += (size_t)put;
    if (!f->last || f->written < f->out.used) return;
    f->closed = true;
    if (f->owned) f->error = -f->disk->close(f->disk->context, f->fd);
}

/* ---- life ---- */

static const struct stream_plan *stream_of(const struct component_context *c,
                                           unsigned source)
{
    const struct input_plan *from = &c->component->inputs[source];
    return &c->plan->components[from->component].streams[from->stream];
}

static struct writer_file *file_new(struct component_context *context,
                                    const char *path)
{
    size_t room = strlen(path) + 16;
    struct writer_file *f = mem_zero(1, sizeof *f + room);
    if (f == NULL) return NULL;
    ref_init(&f->job.ref, file_free);
    f->job.work = file_work;
    f->disk = node_world(env_node(context->env))->disk;
    memcpy(f->path, path, strlen(path) + 1);
    return f;
}

/* Several tasks that share one output have one header. */
static bool wants_header(const struct component_context *context, bool shared)
{
    return !shared || (context->index == 0 && context->starts == 0);
}

err writer_make(struct component_context *context, struct writer *w,
                const char *path, bool append, const char *format)
{
    struct writer_file *f = file_new(context, path ? path : "stdout");
    if (f == NULL) return ERR_NOMEM;
    w->file = f;
    w->tracked = executor_tracks(context);
    f->owned = path != NULL;
    /* A crashed task's lines stay. */
    f->append = append || context->starts > 0;
    if (path == NULL) {
        f->fd = STDOUT;
        f->pipe = f->open = true;
    } else if (context->component->tasks > 1) {
        sprintf(f->path + strlen(path), ".%u", context->index);
    }
    err e = format ? format_named(format, &w->format) : OK;
    if (e == OK && context->component->input_count > 0 &&
        wants_header(context, path == NULL)) {
        const struct stream_plan *stream = stream_of(context, 0);
        e = format_header(&w->format, stream->fields, stream->arity, &f->out);
        f->headed = f->out.used > 0;
    }
    if (e != OK) ref_drop(context->env, &f->job.ref);
    return e;
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
    ref_drop(context->env, &w->file->job.ref);
}

/* ---- writing ---- */

static void start(struct component_context *context, struct writer *w)
{
    struct writer_file *f = w->file;
    if (f->written == f->out.used) { /* else the rest goes first */
        struct buffer empty = f->out;
        f->out = w->gathered;
        w->gathered = empty;
        w->gathered.used = f->written = 0;
        f->last = w->finishing;
    }
    w->busy = true;
    ref_take(&f->job.ref);
    executor_job(context, &f->job);
}

static bool all_written(const struct writer *w)
{
    const struct writer_file *f = w->file;
    return w->gathered.used == 0 && f->written == f->out.used &&
           (f->closed || !(w->finishing && f->owned));
}

/* Starts what there is to do. STEP_IDLE, STEP_SLEEP: the acks wait for it. */
static enum step go_on(struct component_context *context, struct writer *w)
{
    if (!w->busy && w->unread)
        w->gathered.used = w->file->out.used = w->file->written = 0;
    if (!w->busy && all_written(w)) {
        if (w->finishing) say_replaced(context, w);
        return STEP_DONE;
    }
    context->sleep_ns = w->retry_at_ns - env_now(context->env);
    if (!w->busy && w->backoff_ns > 0 && context->sleep_ns > 0)
        return STEP_SLEEP;
    if (!w->busy) start(context, w);
    bool wait = w->tracked || w->finishing || w->backoff_ns > 0 ||
                w->gathered.used >= WRITER_AHEAD_BYTES;
    return wait ? STEP_IDLE : STEP_DONE;
}

enum step writer_open(struct component_context *context, void *self)
{
    start(context, self);
    return STEP_DONE;
}

enum step writer_settle(struct component_context *context, void *self)
{
    return go_on(context, self);
}

enum step writer_finish(struct component_context *context, void *self)
{
    struct writer *w = self;
    w->finishing = true; /* settle() follows */
    return STEP_DONE;
}

static enum step crash(struct component_context *context,
                       const struct writer_file *f)
{
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
                         const struct writer_file *f)
{
    char text[1024];
    fault_text(text, sizeof text, FAULT_WRITE, f->path, f->error);
    executor_log(context, LOG_ERROR,
                 "%s; it was said on closing: the last lines may be missing",
                 text);
}

enum step writer_job_done(struct component_context *context, void *self,
                          struct job *job)
{
    struct writer *w = self;
    struct writer_file *f = w->file;
    w->busy = false;
    if (f->error == EAGAIN && f->pipe) {
        /* It goes on waiting for a slow reader. */
    } else if (f->error == 0) {
        went_on(context, w);
    } else if (f->closed) {
        say_unclosed(context, f);
    } else if (!f->open && f->error != ENXIO) {
        return crash(context, f);
    } else if (!f->owned && f->error == EPIPE) {
        w->unread = true;
        executor_drain(context);
    } else {
        put_off(context, w);
    }
    return go_on(context, w);
}

/* ---- lines ---- */

static const uint8_t *behind(const uint8_t *at, unsigned arity)
{
    for (unsigned i = 0; i < arity; i++)
        at = value_skip(at);
    return at;
}

enum step writer_execute(struct component_context *context, void *self,
                         struct input *input)
{
    struct writer *w = self;
    const struct stream_plan *stream = stream_of(context, input->source);
    const uint8_t *at;
    while ((at = input_next(context, input)) != NULL) {
        const uint8_t *end = behind(at, stream->arity);
        if (format_tuple(&w->format, stream->fields, stream->arity, at,
                         &w->gathered, &w->replaced) == OK)
            input_done(context, input, end);
        else
            executor_fail(context, input, end,
                          "out of memory: no room for this tuple's line");
    }
    return STEP_DONE;
}
