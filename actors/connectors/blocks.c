#include "actors/connectors/blocks.h"
#include "actors/connectors/fault.h"
#include "core/alloc.h"
#include "core/job.h"
#include "core/log.h"
#include <errno.h>
#include <stdio.h>

enum {
    SLACK_BYTES = 4096, /* read behind a stripe: its last line's end */
    INHERITED_WAIT_NS = 5 * 1000 * 1000, /* between looks for a block */
};

struct block {
    struct job job;
    struct intake *intake; /* a reference */
    enum { BLOCK_FREE, BLOCK_BUSY, BLOCK_READY, BLOCK_HELD } state;
    int64_t at;
    size_t wanted;
    int64_t got; /* bytes, or -errno */
    enum news news;
    uint8_t data[READ_BYTES + SLACK_BYTES + 1];
};

static void block_free(struct env *env, struct ref *ref)
{
    struct block *b = (struct block *)(void *)ref;
    if (b->intake) ref_drop(env, &b->intake->ref);
    mem_free(b);
}

/* The job. The first one opens the intake: no other runs before it is done. */
static void block_read(struct node *node, struct job *job)
{
    struct block *b = (struct block *)(void *)job;
    b->got = intake_read(b->intake, b->data, b->wanted, b->at, &b->news);
}

static struct block *block_new(void)
{
    struct block *b = mem_alloc(sizeof *b);
    if (b == NULL) return NULL;
    ref_init(&b->job.ref, block_free);
    b->job.work = block_read;
    b->intake = NULL;
    b->state = BLOCK_FREE;
    return b;
}

bool blocks_make(struct reader *r)
{
    for (int i = 0; i < 2; i++)
        if (r->blocks[i] == NULL && (r->blocks[i] = block_new()) == NULL)
            return false;
    return true;
}

void blocks_free(struct component_context *context, struct reader *r)
{
    for (int i = 0; i < 2; i++) {
        if (r->blocks[i]) ref_drop(context->env, &r->blocks[i]->job.ref);
        r->blocks[i] = NULL;
    }
}

void blocks_drop(struct reader *r)
{
    r->pipe = false;
    r->info = (struct disk_info){0};
    for (int i = 0; i < 2; i++)
        if (r->blocks[i]) r->blocks[i]->state = BLOCK_FREE;
}

/* ---- stripes ---- */

static size_t stripe_wanted(int64_t at, int64_t stripe_end)
{
    if (stripe_end == INT64_MAX || at >= stripe_end + SLACK_BYTES)
        return READ_BYTES;
    return (size_t)(stripe_end + SLACK_BYTES - at);
}

int64_t stripe_next(const struct component_context *context,
                    const struct reader *r)
{
    return r->stripe_end +
           (int64_t)(context->component->tasks - 1) * READ_BYTES;
}

/* Begins at the byte before the stripe: if that ends a line, one starts. */
void stripe_take(struct reader *r, int64_t start)
{
    r->stripe_end = start + READ_BYTES;
    lines_seek(&r->lines, start > 0 ? start - 1 : 0, start > 0);
    for (int i = 0; i < 2; i++)
        if (r->blocks[i]->state == BLOCK_HELD) r->blocks[i]->state = BLOCK_FREE;
}

void say_in_order(struct component_context *context, const struct reader *r)
{
    if (context->index > 0) return;
    executor_log(context, LOG_WARN,
                 "%s can be read in order only: one task of %u reads it, the "
                 "others have nothing to do",
                 r->intake->path, context->component->tasks);
}

/* ---- reading ahead ---- */

static void block_start(struct component_context *context, struct reader *r,
                        struct block *b, int64_t at, size_t wanted)
{
    if (b->intake != r->intake) {
        ref_take(&r->intake->ref);
        if (b->intake) ref_drop(context->env, &b->intake->ref);
        b->intake = r->intake;
    }
    b->state = BLOCK_BUSY;
    b->at = at;
    b->wanted = wanted;
    r->reading = true;
    ref_take(&b->job.ref);
    executor_job(context, &b->job);
}

/* In the input, of what the splitter wants next. */
static int64_t splitter_offset(const struct reader *r)
{
    return r->plan.csv ? r->csv.offset : r->lines.offset;
}

static void splitter_feed(struct reader *r, const struct block *b)
{
    if (r->plan.csv)
        csv_feed(&r->csv, b->data, (size_t)b->got);
    else
        lines_feed(&r->lines, b->data, (size_t)b->got);
}

void blocks_begin(struct component_context *context, struct reader *r)
{
    int64_t at = splitter_offset(r);
    if (!r->reading)
        block_start(context, r, r->blocks[0], at,
                    stripe_wanted(at, r->stripe_end));
}

/* `held` is being split: what will be needed behind it? */
static void read_ahead(struct component_context *context, struct reader *r,
                       struct block *held)
{
    struct block *other = r->blocks[held == r->blocks[0]];
    int64_t at = held->at + held->got, end = r->stripe_end;
    if (end != INT64_MAX && at >= end + SLACK_BYTES) {
        at = stripe_next(context, r) - 1;
        end = at + 1 + READ_BYTES;
    }
    bool there = other->state == BLOCK_READY && other->at == at;
    if (r->reading || there) return;
    block_start(context, r, other, at, stripe_wanted(at, end));
}

/* A followed file has no more for now. */
static bool may_look(struct component_context *context, struct reader *r)
{
    context->sleep_ns = r->look_at_ns - env_now(context->env);
    if (r->look_at_ns != 0 && context->sleep_ns > 0) return false;
    r->look_at_ns = context->sleep_ns = 0;
    return true;
}

enum step blocks_more(struct component_context *context, struct reader *r,
                      enum news *news)
{
    int64_t at = splitter_offset(r);
    struct block *spare = r->blocks[0];
    for (int i = 0; i < 2; i++) {
        struct block *b = r->blocks[i];
        if (b->state == BLOCK_HELD) b->state = BLOCK_FREE;
        if (b->state == BLOCK_FREE) spare = b;
        if (b->state != BLOCK_READY || b->at != at) continue;
        *news = b->news;
        if (b->got == 0) return STEP_END;
        b->state = BLOCK_HELD;
        r->keeps = r->plan.csv || r->intake->in_order;
        splitter_feed(r, b);
        read_ahead(context, r, b);
        return STEP_DONE;
    }
    if (!r->reading && may_look(context, r))
        block_start(context, r, spare, at, stripe_wanted(at, r->stripe_end));
    return STEP_IDLE;
}

void blocks_go_on(struct reader *r)
{
    for (int i = 0; i < 2; i++)
        if (r->blocks[i]->state == BLOCK_READY && r->blocks[i]->got == 0)
            r->blocks[i]->state = BLOCK_FREE;
}

/* ---- what has come ---- */

static enum step crash(struct component_context *context,
                       const struct intake *in, int error)
{
    fault_text(context->error, sizeof context->error, FAULT_READ, in->path,
               error);
    return fault_stays(error) ? STEP_HOPELESS : STEP_CRASH;
}

/* Another file has the name than when the checkpoint was taken. Of one that is
 * followed that is to be expected; of others what was read may come again. */
static enum step begin_anew(struct component_context *context, struct reader *r,
                            struct block *b)
{
    if (context->plan->guarantee == EXACTLY_ONCE && !r->plan.follow) {
        snprintf(context->error, sizeof context->error,
                 "%s is another file than when the checkpoint was taken, or "
                 "was cut; put it back, or begin anew with --fresh",
                 b->intake->path);
        return STEP_HOPELESS;
    }
    executor_fault(context, LOSS_NONE,
                   "%s is another file than when the checkpoint was taken, or "
                   "was cut; it is read from its beginning",
                   b->intake->path);
    b->state = BLOCK_FREE;
    ref_drop(context->env, &r->intake->ref);
    r->intake = NULL;
    r->info = (struct disk_info){0};
    return STEP_DONE;
}

/* A file that can't be opened now or ever is said and left out; with it alone
 * a path that names nothing is the definition's mistake. */
static enum step not_opened(struct component_context *context, struct reader *r,
                            struct block *b, int error)
{
    const struct intake *in = b->intake;
    char text[1024];
    bool missing = error == ENOENT || error == ENOTDIR;
    if (error == ESTALE) return begin_anew(context, r, b);
    if (error == ENOTSUP)
        snprintf(text, sizeof text, "%s: %s", in->path, in->why);
    else if (fault_stays(error) && !(missing && r->single))
        fault_text(text, sizeof text, FAULT_READ, in->path, error);
    else
        return crash(context, in, error);
    if (in->mine)
        executor_fault(context, LOSS_INPUT, "%s; the file was left out", text);
    b->got = 0;
    return STEP_DONE;
}

static void say_absent(struct component_context *context,
                       const struct intake *in, enum news news)
{
    char text[1024];
    switch (news) {
    case NEWS_DELETED:
        executor_fault(context, LOSS_NONE,
                       "%s was deleted; it is waited for until there is a new "
                       "one",
                       in->path);
        break;
    case NEWS_RENAMED:
        executor_log(context, LOG_INFO,
                     "%s was renamed; it is read on until there is a new one",
                     in->path);
        break;
    case NEWS_REFUSED:
        fault_text(text, sizeof text, FAULT_READ, in->path, in->refused);
        executor_fault(context, LOSS_NONE, "%s; it is tried again", text);
        break;
    default: break;
    }
}

/* Nothing has come: a silent pipe is asked again by next(), a followed file
 * after a while. */
static enum step nothing_yet(struct component_context *context,
                             struct reader *r, struct block *b)
{
    b->state = BLOCK_FREE;
    if (!b->intake->follow) return STEP_DONE;
    say_absent(context, b->intake, b->news);
    r->look_at_ns = env_now(context->env) + FOLLOW_WAIT_NS;
    r->at_end = true;
    return STEP_DONE;
}

/* It is open. What goes back to a checkpoint would read on in a pipe. */
static enum step heed_kind(struct component_context *context, struct reader *r)
{
    const struct intake *in = r->intake;
    if (in == NULL || !in->open) return STEP_DONE;
    r->info = in->info; /* a job may be opening it whenever else it is asked */
    if (r->pipe || !in->pipe || !in->owned) return STEP_DONE;
    r->pipe = true;
    if (context->plan->guarantee == EXACTLY_ONCE) {
        snprintf(context->error, sizeof context->error,
                 "%s is a pipe or a device, which can't be read again after a "
                 "crash; bring it into a file or a queue first, or use "
                 "guarantee = \"at-least-once\"",
                 in->path);
        return STEP_HOPELESS;
    }
    if (plan_is_durable(context->plan) && in->mine)
        executor_log(context, LOG_WARN,
                     "%s is a pipe or a device: when a task crashes, what was "
                     "read since the last checkpoint is lost to what is kept; "
                     "stdin {} keeps it",
                     in->path);
    return STEP_DONE;
}

enum step blocks_done(struct component_context *context, struct reader *r,
                      struct job *job)
{
    struct block *b = (struct block *)(void *)job;
    const struct intake *in = b->intake;
    r->reading = r->at_end = false;
    b->state = BLOCK_READY;
    if (in->in_order && r->stripe_end != INT64_MAX) {
        r->stripe_end = INT64_MAX; /* what can't be cut isn't dealt out */
        say_in_order(context, r);
    }
    if (heed_kind(context, r) != STEP_DONE) return STEP_HOPELESS;
    if (b->got >= 0) return STEP_DONE;
    if (!in->open) {
        enum step step = not_opened(context, r, b, (int)-b->got);
        if (step != STEP_DONE) b->state = BLOCK_FREE;
        return step;
    }
    if (b->got == -EAGAIN && in->in_order) return nothing_yet(context, r, b);
    b->state = BLOCK_FREE;
    return crash(context, in, (int)-b->got);
}

/* Its job is over when the answer, which nobody took, has dropped its
 * reference. */
enum step blocks_await(struct component_context *context, struct reader *r)
{
    for (int i = 0; i < 2; i++) {
        struct block *b = r->blocks[i];
        if (b == NULL || b->state != BLOCK_BUSY) continue;
        if (at_load(&b->job.ref.count, ACQUIRE) > 1) {
            context->sleep_ns = INHERITED_WAIT_NS;
            return STEP_IDLE;
        }
        r->inherited = false;
        return blocks_done(context, r, &b->job);
    }
    r->inherited = false;
    return STEP_DONE;
}
