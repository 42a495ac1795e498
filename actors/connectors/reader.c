#include "actors/connectors/reader.h"
#include "actors/connectors/fault.h"
#include "actors/connectors/pipe.h"
#include "core/alloc.h"
#include "core/disk.h"
#include "core/job.h"
#include "core/log.h"
#include "core/node.h"
#include <errno.h>
#include <stdio.h>

enum {
    SLACK_BYTES = 4096,   /* read behind a stripe: its last line's end */
    WINDOW_BYTES = 65536, /* read around a line that is emitted again */
    LINE_COST = 64,       /* what a line costs beside its bytes */
    COST_UNIT = 1024,     /* of a reduction: a turn is some 256 KB */
    CHARGE_UNITS = 8,     /* reductions charged at once */
    INHERITED_WAIT_NS = 5 * 1000 * 1000, /* between looks for a block */
    STDIN = 0,
};

/* Shared by the task and its jobs, which may outlive it. */
struct reader_file {
    struct ref ref;
    const struct disk *disk;
    int fd;     /* -1: not open */
    bool owned; /* close it */
    bool pipe;  /* read in order, by pipe.h; known once it is open */
    bool first; /* of the tasks: a pipe is its alone */
    char path[];
};

struct reader_block {
    struct job job;
    struct reader_file *file; /* a reference */
    enum { BLOCK_FREE, BLOCK_BUSY, BLOCK_READY, BLOCK_HELD } state;
    int64_t at;
    size_t wanted;
    int64_t got; /* bytes, or -errno */
    uint8_t data[READ_BYTES + SLACK_BYTES + 1];
};

/* Lines that failed, and what stands around them. */
struct reader_window {
    struct job job;
    struct reader_file *file; /* a reference */
    bool busy;
    uint64_t token; /* it was read for this one */
    int64_t at;
    int error; /* errno */
    struct buffer bytes;
};

/* ---- jobs: these functions run in the pool ---- */

static void file_free(struct env *env, struct ref *ref)
{
    struct reader_file *f = (struct reader_file *)(void *)ref;
    if (f->fd >= 0 && f->owned) f->disk->close(f->disk->context, f->fd);
    mem_free(f);
}

static void block_free(struct env *env, struct ref *ref)
{
    struct reader_block *b = (struct reader_block *)(void *)ref;
    ref_drop(env, &b->file->ref);
    mem_free(b);
}

static void window_free(struct env *env, struct ref *ref)
{
    struct reader_window *w = (struct reader_window *)(void *)ref;
    buffer_fini(&w->bytes);
    ref_drop(env, &w->file->ref);
    mem_free(w);
}

static int open_file(struct reader_file *f)
{
    const struct disk *disk = f->disk;
    f->pipe = pipe_at(disk, f->path);
    if (f->pipe && !f->first) return 0;
    f->fd = f->pipe ? pipe_open(f->path, false)
                    : disk->open(disk->context, f->path, DISK_READ);
    return f->fd < 0 ? f->fd : 0;
}

/* The first one opens the file: no other job runs before it is done. */
static void block_read(struct node *node, struct job *job)
{
    struct reader_block *b = (struct reader_block *)(void *)job;
    struct reader_file *f = b->file;
    b->got = f->fd < 0 ? open_file(f) : 0;
    if (b->got < 0 || (f->pipe && !f->first)) return;
    b->got = f->pipe ? pipe_read(f->fd, b->data, b->wanted)
                     : f->disk->read(f->disk->context, f->fd, b->data,
                                     b->wanted, b->at);
}

/* Reads on until the line's end is in the window, or the file's. */
static void window_read(struct node *node, struct job *job)
{
    struct reader_window *w = (struct reader_window *)(void *)job;
    const struct disk *disk = w->file->disk;
    size_t start = (size_t)((int64_t)w->token - w->at);
    w->bytes.used = 0;
    w->error = 0;
    for (size_t more = WINDOW_BYTES; w->bytes.used <= start + LINE_BYTES_MAX;
         more = w->bytes.used) {
        if (buffer_reserve(&w->bytes, more) != OK) {
            w->error = ENOMEM;
            return;
        }
        uint8_t *to = w->bytes.data + w->bytes.used;
        int64_t got = disk->read(disk->context, w->file->fd, to, more,
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

/* ---- life ---- */

static void choose_parser(struct component_context *context, struct reader *r,
                          const char *format)
{
    const struct stream_plan *stream = &context->component->streams[0];
    if (format == NULL || strcmp(format, "json") != 0) return;
    r->parser.line = parse_json;
    r->parser.fields = stream->fields;
    if (context->component->names_fields) r->parser.field_count = stream->arity;
}

err reader_make(struct component_context *context, struct reader *r,
                const char *path, const char *format)
{
    const char *name = path ? path : "stdin";
    size_t bytes = strlen(name) + 1;
    struct reader_file *f = mem_zero(1, sizeof *f + bytes);
    if (f == NULL) return ERR_NOMEM;
    ref_init(&f->ref, file_free);
    memcpy(f->path, name, bytes);
    f->disk = node_world(env_node(context->env))->disk;
    f->owned = path != NULL;
    f->pipe = path == NULL;
    f->first = context->index == 0;
    f->fd = path ? -1 : STDIN;
    r->file = f;
    r->eof = -1;
    r->tracked = executor_tracks(context);
    r->stripe_end = INT64_MAX;
    choose_parser(context, r, format);
    return OK;
}

/* What reading needs, not replaying. */
static void blocks_free(struct component_context *context, struct reader *r)
{
    for (int i = 0; i < 2; i++) {
        if (r->blocks[i]) ref_drop(context->env, &r->blocks[i]->job.ref);
        r->blocks[i] = NULL;
    }
    lines_fini(&r->lines);
}

void reader_free(struct component_context *context, void *self)
{
    struct reader *r = self;
    blocks_free(context, r);
    kept_fini(&r->kept);
    buffer_fini(&r->scratch);
    if (r->window) ref_drop(context->env, &r->window->job.ref);
    ref_drop(context->env, &r->file->ref);
}

static struct reader_block *block_new(struct reader *r)
{
    struct reader_block *b = mem_alloc(sizeof *b);
    if (b == NULL) return NULL;
    ref_init(&b->job.ref, block_free);
    b->job.work = block_read;
    b->file = r->file;
    ref_take(&r->file->ref);
    b->state = BLOCK_FREE;
    return b;
}

static enum step crash(struct component_context *context, const char *why)
{
    snprintf(context->error, sizeof context->error, "%s", why);
    return STEP_CRASH;
}

static enum step no_memory(struct component_context *context)
{
    return crash(context, "out of memory");
}

static enum step failed(struct component_context *context, struct reader *r,
                        int error)
{
    fault_text(context->error, sizeof context->error, FAULT_READ, r->file->path,
               error);
    return fault_stays(error) ? STEP_HOPELESS : STEP_CRASH;
}

/* ---- blocks ---- */

static size_t stripe_wanted(int64_t at, int64_t stripe_end)
{
    if (stripe_end == INT64_MAX || at >= stripe_end + SLACK_BYTES)
        return READ_BYTES;
    return (size_t)(stripe_end + SLACK_BYTES - at);
}

static int64_t stripe_next(const struct component_context *context,
                           const struct reader *r)
{
    return r->stripe_end +
           (int64_t)(context->component->tasks - 1) * READ_BYTES;
}

static void block_start(struct component_context *context, struct reader *r,
                        struct reader_block *b, int64_t at, size_t wanted)
{
    b->state = BLOCK_BUSY;
    b->at = at;
    b->wanted = wanted;
    r->reading = true;
    ref_take(&b->job.ref);
    executor_job(context, &b->job);
}

/* Begins at the byte before the stripe: if that ends a line, one starts. */
static void stripe_take(struct reader *r, int64_t start)
{
    r->stripe_end = start + READ_BYTES;
    lines_seek(&r->lines, start > 0 ? start - 1 : 0, start > 0);
    for (int i = 0; i < 2; i++)
        if (r->blocks[i]->state == BLOCK_HELD) r->blocks[i]->state = BLOCK_FREE;
}

/* The actor before has crashed. A block that it had being read still comes; a
 * window is read again. */
static enum step reopen(struct component_context *context, struct reader *r)
{
    r->inherited = r->reading && !r->ended;
    if (r->window && r->window->busy) {
        ref_drop(context->env, &r->window->job.ref);
        r->window = NULL;
    }
    return STEP_DONE;
}

enum step reader_open(struct component_context *context, void *self)
{
    struct reader *r = self;
    if (r->ended || r->blocks[1]) return reopen(context, r);
    for (int i = 0; i < 2; i++)
        if (r->blocks[i] == NULL && (r->blocks[i] = block_new(r)) == NULL)
            return no_memory(context);
    if (context->component->tasks > 1)
        stripe_take(r, (int64_t)context->index * READ_BYTES);
    block_start(context, r, r->blocks[0], r->lines.offset,
                stripe_wanted(r->lines.offset, r->stripe_end));
    return STEP_DONE;
}

/* `held` is being split: what will be needed behind it? */
static void read_ahead(struct component_context *context, struct reader *r,
                       struct reader_block *held)
{
    struct reader_block *other = r->blocks[held == r->blocks[0]];
    int64_t at = held->at + held->got, end = r->stripe_end;
    if (end != INT64_MAX && at >= end + SLACK_BYTES) {
        at = stripe_next(context, r) - 1;
        end = at + 1 + READ_BYTES;
    }
    bool there = other->state == BLOCK_READY && other->at == at;
    if (r->reading || there) return;
    block_start(context, r, other, at, stripe_wanted(at, end));
}

/* The splitter has used up its block. STEP_DONE: it has the next one. */
static enum step more(struct component_context *context, struct reader *r)
{
    int64_t at = r->lines.offset;
    struct reader_block *spare = r->blocks[0];
    for (int i = 0; i < 2; i++) {
        struct reader_block *b = r->blocks[i];
        if (b->state == BLOCK_HELD) b->state = BLOCK_FREE;
        if (b->state == BLOCK_FREE) spare = b;
        if (b->state != BLOCK_READY || b->at != at) continue;
        if (b->got == 0) return STEP_END;
        b->state = BLOCK_HELD;
        lines_feed(&r->lines, b->data, (size_t)b->got);
        read_ahead(context, r, b);
        return STEP_DONE;
    }
    if (!r->reading)
        block_start(context, r, spare, at, stripe_wanted(at, r->stripe_end));
    return STEP_IDLE;
}

/* The first job has found a pipe: it isn't dealt out. */
static void undeal(struct component_context *context, struct reader *r)
{
    r->stripe_end = INT64_MAX;
    if (context->index > 0) return;
    executor_log(context, LOG_WARN,
                 "%s can be read in order only: one task of %u reads it, the "
                 "others have nothing to do",
                 r->file->path, context->component->tasks);
}

enum step reader_job_done(struct component_context *context, void *self,
                          struct job *job)
{
    struct reader *r = self;
    if (r->window && job == &r->window->job) {
        r->window->busy = false;
        return STEP_DONE;
    }
    struct reader_block *b = (struct reader_block *)(void *)job;
    r->reading = false;
    b->state = BLOCK_READY;
    if (r->file->pipe && r->stripe_end != INT64_MAX) undeal(context, r);
    if (b->got >= 0) return STEP_DONE;
    b->state = BLOCK_FREE; /* a silent pipe is asked again by next() */
    return b->got == -EAGAIN && r->file->pipe
               ? STEP_DONE
               : failed(context, r, (int)-b->got);
}

/* Nobody tells of an inherited block: STEP_IDLE until it is there. Its job is
 * over when the answer, which nobody took, has dropped its reference. */
static enum step await_block(struct component_context *context,
                             struct reader *r)
{
    for (int i = 0; i < 2; i++) {
        struct reader_block *b = r->blocks[i];
        if (b->state != BLOCK_BUSY) continue;
        if (at_load(&b->job.ref.count, ACQUIRE) > 1) {
            context->sleep_ns = INHERITED_WAIT_NS;
            return STEP_IDLE;
        }
        r->inherited = false;
        return reader_job_done(context, r, &b->job);
    }
    r->inherited = false;
    return STEP_DONE;
}

/* ---- lines ---- */

static bool emit_slow(struct component_context *context, struct reader *r,
                      const uint8_t *bytes, uint32_t count)
{
    r->scratch.used = 0;
    if (buffer_reserve(&r->scratch, VALUE_HEAD_MAX + (size_t)count) != OK)
        return false;
    uint8_t *end = value_put_bytes(r->scratch.data, (const char *)bytes, count);
    return emitter_put(context->emitter, 0, r->scratch.data,
                       (uint32_t)(end - r->scratch.data));
}

/* What parse() has made of the line, or the line itself. Nearly always one
 * subscriber reads the lines, in no order of their keys: then the line goes
 * from the block into the batch at once. */
static inline bool emit(struct component_context *context, struct reader *r,
                        const uint8_t *bytes, uint32_t count)
{
    struct emitter *e = context->emitter;
    struct out_stream *stream = &e->streams[0];
    if (r->parser.line)
        return emitter_put(e, 0, r->scratch.data, (uint32_t)r->scratch.used);
    if (!stream->simple ||
        grouping_has_keys(stream->routes[0].input->grouping) ||
        stream->routes[0].input->combines)
        return emit_slow(context, r, bytes, count);
    struct port *port = route_port(e, &stream->routes[0], 0);
    uint8_t *at = port_reserve(e, port, VALUE_HEAD_MAX + count);
    if (at == NULL) return false;
    port_commit(e, port, value_put_bytes(at, (const char *)bytes, count));
    e->emitted++;
    return true;
}

static bool emit_root(struct component_context *context, struct reader *r,
                      uint64_t token, const uint8_t *bytes, uint32_t count)
{
    if (!executor_root(context, token) || !emit(context, r, bytes, count))
        return false;
    executor_rooted(context);
    return true;
}

static bool emit_line(struct component_context *context, struct reader *r,
                      const struct line *line)
{
    if (!r->tracked) {
        bool ok = emit(context, r, line->bytes, line->count);
        executor_emitted(context);
        return ok;
    }
    uint64_t token = (uint64_t)line->offset;
    if (r->file->pipe &&
        kept_add(&r->kept, line->bytes, line->count, &token) != OK)
        return false;
    if (emit_root(context, r, token, line->bytes, line->count)) return true;
    kept_drop(&r->kept, token);
    return false;
}

/* What is parsed is looked at twice. */
static inline void charge(struct component_context *context, struct reader *r,
                          const struct line *line)
{
    r->cost += LINE_COST + line->count;
    if (r->parser.line) r->cost += line->count;
    if (r->cost < (size_t)CHARGE_UNITS * COST_UNIT) return;
    env_charge(context->env, (uint32_t)(r->cost / COST_UNIT));
    r->cost %= COST_UNIT;
}

static void say_no_tuple(struct component_context *context, struct reader *r,
                         const struct line *line,
                         const struct parse_fault *fault)
{
    executor_rejected(context);
    if (context->component->tasks == 1 || r->file->pipe)
        executor_log(context, LOG_ERROR,
                     "%s:%llu: %s; mend the line, it was left out",
                     r->file->path, (unsigned long long)r->number, fault->why);
    else
        executor_log(context, LOG_ERROR,
                     "%s: the line at byte %lld: %s; mend it, it was left out",
                     r->file->path, (long long)line->offset, fault->why);
}

/* Into `scratch`, if the format is one that is parsed. OK with nothing there:
 * the line holds no tuple. */
static err parse(struct reader *r, const uint8_t *bytes, uint32_t count,
                 struct parse_fault *fault)
{
    if (r->parser.line == NULL) return OK;
    r->scratch.used = 0;
    return r->parser.line(&r->parser, bytes, count, &r->scratch, fault);
}

/* The line is out of the splitter: if it can't be emitted, the task's next
 * actor does it. */
static enum step take_line(struct component_context *context, struct reader *r,
                           const struct line *line)
{
    struct parse_fault fault;
    charge(context, r, line);
    err e = parse(r, line->bytes, line->count, &fault);
    if (e == ERR_FORMAT) say_no_tuple(context, r, line, &fault);
    bool none = r->parser.line && r->scratch.used == 0;
    r->owing = e == ERR_NOMEM || (!none && !emit_line(context, r, line));
    if (!r->owing) return STEP_DONE;
    r->line = *line;
    return no_memory(context);
}

static void say_long(struct component_context *context, struct reader *r,
                     const struct line *line)
{
    executor_log(context, LOG_ERROR,
                 "%s: the line at byte %lld is longer than 16 MB and was left "
                 "out",
                 r->file->path, (long long)line->offset);
}

static enum step reader_end(struct component_context *context, struct reader *r)
{
    struct line line;
    bool one_more = lines_end(&r->lines, &line);
    r->ended = true;
    if (one_more) r->eof = r->lines.offset;
    r->number += one_more;
    enum step step = one_more ? take_line(context, r, &line) : STEP_DONE;
    if (step != STEP_DONE) return step;
    blocks_free(context, r);
    return STEP_END;
}

/* What the actor before left half done. */
static enum step resume_reading(struct component_context *context,
                                struct reader *r)
{
    enum step step = r->inherited ? await_block(context, r) : STEP_DONE;
    return step == STEP_DONE && r->owing ? take_line(context, r, &r->line)
                                         : step;
}

enum step reader_next(struct component_context *context, void *self)
{
    struct reader *r = self;
    struct line line;
    context->sleep_ns = 0; /* STEP_IDLE waits for a job */
    enum step step = resume_reading(context, r);
    if (step != STEP_DONE) return step;
    if (r->ended) return STEP_END;
    while (!executor_full(context) && !env_spent(context->env)) {
        enum lines_step found = lines_next(&r->lines, &line);
        if (found == LINES_NOMEM) return no_memory(context);
        r->number += found == LINES_LINE || found == LINES_LONG;
        int64_t start =
            found == LINES_MORE ? lines_start(&r->lines) : line.offset;
        if (start >= r->stripe_end) { /* the next one is another's */
            stripe_take(r, stripe_next(context, r));
        } else if (found == LINES_LINE) {
            step = take_line(context, r, &line);
            if (step != STEP_DONE) return step;
        } else if (found == LINES_LONG) {
            say_long(context, r, &line);
        } else {
            step = more(context, r);
            if (step == STEP_END) return reader_end(context, r);
            if (step != STEP_DONE) return step;
        }
    }
    return STEP_AGAIN;
}

/* ---- once more ---- */

/* The line at `token`, if the window shows all of it. */
static bool window_find(const struct reader *r, uint64_t token,
                        struct line *line)
{
    const struct reader_window *w = r->window;
    if (w == NULL || w->busy) return false;
    const uint8_t *data = w->bytes.data, *end = data + w->bytes.used;
    int64_t start = (int64_t)token - w->at;
    if (start < (token > 0) || start >= (int64_t)w->bytes.used) return false;
    const uint8_t *at = data + start;
    if (token > 0 && at[-1] != '\n') return false; /* the file has changed */
    const uint8_t *feed = memchr(at, '\n', (size_t)(end - at));
    int64_t whole = w->at + (int64_t)w->bytes.used;
    if (feed == NULL && whole != r->eof) return false;
    uint32_t count = feed ? lines_length(at, feed) : (uint32_t)(end - at);
    *line = (struct line){at, count, (int64_t)token};
    return count <= LINE_BYTES_MAX;
}

static enum step window_start(struct component_context *context,
                              struct reader *r, uint64_t token)
{
    struct reader_window *w = r->window;
    if (w == NULL) {
        w = mem_zero(1, sizeof *w);
        if (w == NULL) return no_memory(context);
        ref_init(&w->job.ref, window_free);
        w->job.work = window_read;
        w->file = r->file;
        ref_take(&r->file->ref);
        r->window = w;
    }
    w->busy = true;
    w->token = token;
    w->at = token > 0 ? (int64_t)token - 1 : 0;
    ref_take(&w->job.ref);
    executor_job(context, &w->job);
    return STEP_IDLE;
}

static enum step lost(struct component_context *context, struct reader *r,
                      uint64_t token)
{
    int error = r->window ? r->window->error : 0;
    if (error) {
        failed(context, r, error);
        return STEP_END;
    }
    snprintf(context->error, sizeof context->error,
             "%s: the line at byte %llu failed and can't be read again: the "
             "file was changed while it was read; write to a new file and "
             "rename it",
             r->file->path, (unsigned long long)token);
    return STEP_END;
}

enum step reader_replay(struct component_context *context, void *self,
                        uint64_t token)
{
    struct reader *r = self;
    struct line line = {0};
    if (r->file->pipe) {
        const struct kept_line *kept = kept_get(&r->kept, token);
        if (kept == NULL) return lost(context, r, token);
        line = (struct line){kept->bytes, kept->count, 0};
    } else if (!window_find(r, token, &line)) {
        if (r->window && r->window->busy) return STEP_IDLE;
        if (r->window && r->window->token == token)
            return lost(context, r, token);
        return window_start(context, r, token);
    }
    env_charge(context->env, 1);
    struct parse_fault fault;
    err e = parse(r, line.bytes, line.count, &fault);
    bool changed = e == ERR_FORMAT || (r->parser.line && r->scratch.used == 0);
    if (changed) return lost(context, r, token);
    return e == OK && emit_root(context, r, token, line.bytes, line.count)
               ? STEP_DONE
               : no_memory(context);
}

void reader_release(struct component_context *context, void *self,
                    uint64_t token)
{
    struct reader *r = self;
    kept_drop(&r->kept, token);
}
