#include "actors/connectors/reader.h"
#include "actors/connectors/blocks.h"
#include "actors/connectors/fault.h"
#include "actors/connectors/window.h"
#include "core/alloc.h"
#include "core/disk.h"
#include "core/job.h"
#include "core/log.h"
#include "core/node.h"
#include <errno.h>
#include <stdio.h>

enum {
    LINE_COST = 64,   /* what a line costs beside its bytes */
    COST_UNIT = 1024, /* of a reduction: a turn is some 256 KB */
    CHARGE_UNITS = 8, /* reductions charged at once */
    OPEN_FILES = 16,  /* that were read, kept open for what may fail */
};

/* The job that looks for the files of patterns. */
struct listing {
    struct job job;
    const struct disk *disk;
    struct reader_plan plan;
    bool busy;
    struct paths found;
    int error;
    const char *failed; /* of the plan's paths */
};

static const struct disk *disk_of(struct component_context *context)
{
    return node_world(env_node(context->env))->disk;
}

static enum step no_memory(struct component_context *context)
{
    snprintf(context->error, sizeof context->error, "out of memory");
    return STEP_CRASH;
}

/* ---- which files ---- */

static void listing_free(struct env *env, struct ref *ref)
{
    struct listing *l = (struct listing *)(void *)ref;
    paths_fini(&l->found);
    mem_free(l);
}

/* The job. */
static void list_files(struct node *node, struct job *job)
{
    struct listing *l = (struct listing *)(void *)job;
    const char *path = l->plan.paths;
    for (unsigned i = 0; i < l->plan.count; i++) {
        l->failed = path;
        l->error = paths_add(&l->found, l->disk, path);
        if (l->error) return;
        path += strlen(path) + 1;
    }
}

static enum step list_start(struct component_context *context, struct reader *r)
{
    struct listing *l = mem_zero(1, sizeof *l);
    if (l == NULL) return no_memory(context);
    ref_init(&l->job.ref, listing_free);
    l->job.work = list_files;
    l->disk = disk_of(context);
    l->plan = r->plan;
    l->busy = true;
    r->listing = l;
    ref_take(&l->job.ref);
    executor_job(context, &l->job);
    return STEP_IDLE;
}

static bool is_mine(const struct component_context *context, const char *path)
{
    unsigned tasks = context->component->tasks;
    return tasks == 1 ||
           XXH3_64bits(path, strlen(path)) % tasks == context->index;
}

/* Nothing has changed when there is no memory. */
static bool take_paths(struct component_context *context, struct reader *r,
                       const struct paths *found)
{
    struct paths mine = {0};
    int error = 0;
    for (size_t i = 0; i < found->count && error == 0; i++)
        if (r->single || is_mine(context, found->list[i]))
            error = paths_put(&mine, found->list[i]);
    struct place *places = mem_zero(mine.count + 1, sizeof *places);
    if (error || places == NULL) {
        paths_fini(&mine);
        mem_free(places);
        return false;
    }
    r->paths = mine;
    r->places = places;
    r->listed = true;
    return true;
}

static enum step listed(struct component_context *context, struct reader *r)
{
    struct listing *l = r->listing;
    enum step step = STEP_DONE;
    if (l->error && l->error != ENOMEM) {
        char text[1024];
        bool none = l->error == ENOENT && paths_is_pattern(l->failed);
        fault_text(text, sizeof text, FAULT_READ, l->failed, l->error);
        if (none)
            snprintf(text, sizeof text,
                     "%s: no file matches; check the pattern (it is relative "
                     "to where engine was started)",
                     l->failed);
        snprintf(context->error, sizeof context->error, "%s", text);
        step = fault_stays(l->error) ? STEP_HOPELESS : STEP_CRASH;
    } else if (l->error || !take_paths(context, r, &l->found)) {
        step = no_memory(context);
    }
    ref_drop(context->env, &l->job.ref);
    r->listing = NULL;
    return step;
}

/* ---- life ---- */

static void choose_parser(struct component_context *context, struct reader *r)
{
    const struct stream_plan *stream = &context->component->streams[0];
    if (!r->plan.json) return;
    r->parser.line = parse_json;
    r->parser.fields = stream->fields;
    if (context->component->names_fields) r->parser.field_count = stream->arity;
}

err reader_make(struct component_context *context, struct reader *r,
                const struct reader_plan *plan)
{
    char *alone[] = {(char *)(uintptr_t)plan->paths};
    struct paths one = {.list = alone, .count = plan->count};
    r->plan = *plan;
    r->single = plan->count == 0 ||
                (plan->count == 1 && !paths_is_pattern(plan->paths));
    r->tracked = executor_tracks(context);
    r->stripe_end = INT64_MAX;
    choose_parser(context, r);
    if (!r->single) return OK;
    r->ended = context->index > 0 && (plan->csv || plan->follow);
    return take_paths(context, r, &one) ? OK : ERR_NOMEM;
}

static void splitters_free(struct reader *r)
{
    lines_fini(&r->lines);
    csv_fini(&r->csv);
}

static void close_place(struct component_context *context, struct reader *r,
                        size_t place)
{
    struct intake *in = r->places[place].intake;
    if (in) ref_drop(context->env, &in->ref);
    r->places[place].intake = NULL;
}

void reader_free(struct component_context *context, void *self)
{
    struct reader *r = self;
    blocks_free(context, r);
    splitters_free(r);
    kept_fini(&r->kept);
    buffer_fini(&r->scratch);
    for (size_t i = 0; i < r->place; i++)
        close_place(context, r, i);
    paths_fini(&r->paths);
    mem_free(r->places);
    mem_free(r->resume.path);
    if (r->listing) ref_drop(context->env, &r->listing->job.ref);
    if (r->window) ref_drop(context->env, &r->window->job.ref);
    if (r->intake) ref_drop(context->env, &r->intake->ref);
}

/* ---- from file to file ---- */

static const char *place_path(const struct reader *r, size_t place)
{
    return r->plan.count == 0 ? NULL : r->paths.list[place];
}

static struct intake *new_intake(struct component_context *context,
                                 const struct reader *r, size_t place)
{
    struct intake *in = intake_new(disk_of(context), place_path(r, place));
    if (in == NULL) return NULL;
    in->mine = !r->single || context->index == 0;
    in->follow = r->plan.follow;
    return in;
}

/* What the splitter was within is another input's. */
static void restart_splitter(struct reader *r)
{
    csv_restart(&r->csv);
    r->number = 0;
    r->columns.known = false;
    r->skipping = false;
}

/* One file for several tasks. */
static void deal(struct component_context *context, struct reader *r)
{
    bool cut = r->plan.count > 0 && !r->plan.csv && !r->plan.follow;
    int64_t first = (int64_t)context->index * READ_BYTES;
    if (cut)
        stripe_take(r, r->resume_at ? r->resume_at - r->resume_at % READ_BYTES
                                    : first);
    else
        say_in_order(context, r);
}

/* The file was being read when the checkpoint was taken: where to begin. */
static int64_t resume_place(struct reader *r)
{
    struct resume *from = &r->resume;
    r->resume_at = 0;
    if (from->path == NULL) return 0;
    r->info = r->intake->wanted = from->wanted;
    r->resume_at = from->at;
    mem_free(from->path);
    from->path = NULL;
    return from->in_order ? 0 : from->at;
}

static enum step begin_place(struct component_context *context,
                             struct reader *r)
{
    if (!blocks_make(r)) return no_memory(context);
    r->intake = new_intake(context, r, r->place);
    if (r->intake == NULL) return no_memory(context);
    r->places[r->place].eof = -1;
    r->places[r->place].base = r->base;
    restart_splitter(r);
    r->csv.offset = r->began = 0;
    lines_seek(&r->lines, resume_place(r), false);
    if (r->single && context->component->tasks > 1) deal(context, r);
    blocks_begin(context, r);
    return STEP_DONE;
}

/* The next file's tokens begin behind this one's, which stays open for a while
 * if a line of it may have to be read again. */
static void leave_place(struct component_context *context, struct reader *r)
{
    struct place *place = &r->places[r->place];
    place->info = r->info;
    place->intake = r->intake;
    r->intake = NULL;
    if (r->keeps || !r->tracked) close_place(context, r, r->place);
    if (r->place >= OPEN_FILES) close_place(context, r, r->place - OPEN_FILES);
    r->base += (r->plan.csv ? (int64_t)r->number : r->lines.offset) + 1;
    r->place++;
    blocks_drop(r);
}

static enum step end(struct component_context *context, struct reader *r)
{
    r->ended = true;
    blocks_free(context, r);
    splitters_free(r);
    return STEP_END;
}

/* Files before it were read when the checkpoint was taken. */
static bool find_resumed(struct reader *r)
{
    size_t count = r->paths.count;
    while (r->place < count &&
           strcmp(r->paths.list[r->place], r->resume.path) != 0)
        r->place++;
    return r->place < count;
}

static enum step gone(struct component_context *context, const struct reader *r)
{
    snprintf(context->error, sizeof context->error,
             "%s was being read when the checkpoint was taken, and is no file "
             "of this source any more; bring it back, or begin anew with "
             "--fresh",
             r->resume.path);
    return STEP_HOPELESS;
}

/* STEP_DONE: something is being read, or has been. */
static enum step find_place(struct component_context *context, struct reader *r)
{
    if (r->listing) return r->listing->busy ? STEP_IDLE : listed(context, r);
    if (!r->listed) return list_start(context, r);
    size_t count = r->plan.count == 0 ? 1 : r->paths.count;
    if (r->resume.path && !find_resumed(r)) return gone(context, r);
    return r->place == count ? end(context, r) : begin_place(context, r);
}

/* The actor before has crashed. A block that it had being read still comes;
 * files are looked for and a window is read again. */
static enum step reopen(struct component_context *context, struct reader *r)
{
    r->inherited = r->reading && !r->ended;
    if (r->window && r->window->busy) {
        ref_drop(context->env, &r->window->job.ref);
        r->window = NULL;
    }
    if (r->listing) ref_drop(context->env, &r->listing->job.ref);
    r->listing = NULL;
    return STEP_DONE;
}

enum step reader_open(struct component_context *context, void *self)
{
    struct reader *r = self;
    if (context->starts > 0) reopen(context, r);
    if (r->ended || r->intake) return STEP_DONE;
    enum step step = find_place(context, r);
    return step == STEP_CRASH || step == STEP_HOPELESS ? step : STEP_DONE;
}

enum step reader_job_done(struct component_context *context, void *self,
                          struct job *job)
{
    struct reader *r = self;
    if (r->window && job == &r->window->job) {
        r->window->busy = false;
        return STEP_DONE;
    }
    if (r->listing && job == &r->listing->job) {
        r->listing->busy = false;
        return STEP_DONE;
    }
    return blocks_done(context, r, job);
}

/* ---- emitting ---- */

static bool emit_encoded(struct component_context *context,
                         const uint8_t *values, size_t bytes)
{
    return emitter_put(context->emitter, 0, values, (uint32_t)bytes);
}

static bool emit_slow(struct component_context *context, struct reader *r,
                      const uint8_t *bytes, uint32_t count)
{
    r->scratch.used = 0;
    if (buffer_reserve(&r->scratch, VALUE_HEAD_MAX + (size_t)count) != OK)
        return false;
    uint8_t *end = value_put_bytes(r->scratch.data, (const char *)bytes, count);
    return emit_encoded(context, r->scratch.data,
                        (size_t)(end - r->scratch.data));
}

/* Nearly always one subscriber reads the lines, in no order of their keys:
 * then the line goes from the block into the batch at once. */
static inline bool emit(struct component_context *context, struct reader *r,
                        const uint8_t *bytes, uint32_t count)
{
    struct emitter *e = context->emitter;
    struct out_stream *stream = &e->streams[0];
    if (!stream->simple ||
        grouping_has_keys(stream->routes[0].input->grouping) ||
        stream->routes[0].combines)
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

/* The same for an encoded tuple. */
static bool emit_root_encoded(struct component_context *context, uint64_t token,
                              const uint8_t *values, size_t bytes)
{
    if (!executor_root(context, token) || !emit_encoded(context, values, bytes))
        return false;
    executor_rooted(context);
    return true;
}

static inline void charge(struct component_context *context, struct reader *r,
                          size_t bytes)
{
    r->cost += LINE_COST + bytes;
    if (r->cost < (size_t)CHARGE_UNITS * COST_UNIT) return;
    env_charge(context->env, (uint32_t)(r->cost / COST_UNIT));
    r->cost %= COST_UNIT;
}

static bool keep(struct reader *r, const uint8_t *bytes, size_t count,
                 uint64_t *token)
{
    int64_t place = (int64_t)*token;
    if (kept_add(&r->kept, bytes, (uint32_t)count, place, token) != OK)
        return false;
    *token |= TOKEN_KEPT;
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
    uint64_t token = (uint64_t)(line->offset + r->base);
    if (r->keeps && !keep(r, line->bytes, line->count, &token)) return false;
    if (emit_root(context, r, token, line->bytes, line->count)) return true;
    reader_release(context, r, token);
    return false;
}

/* The tuple is in `scratch`; its line begins at `offset`. A record of CSV is
 * always kept. */
static bool emit_record(struct component_context *context, struct reader *r,
                        int64_t offset)
{
    const struct buffer *tuple = &r->scratch;
    if (!r->tracked) {
        bool ok = emit_encoded(context, tuple->data, tuple->used);
        executor_emitted(context);
        return ok;
    }
    uint64_t token = (uint64_t)(offset + r->base);
    if ((r->plan.csv || r->keeps) && !keep(r, tuple->data, tuple->used, &token))
        return false;
    if (emit_root_encoded(context, token, tuple->data, tuple->used))
        return true;
    reader_release(context, r, token);
    return false;
}

/* ---- lines and records ---- */

static void say_no_tuple(struct component_context *context, struct reader *r,
                         const struct line *line,
                         const struct parse_fault *fault)
{
    const char *path = r->intake->path;
    if (r->stripe_end == INT64_MAX)
        executor_fault(context, LOSS_INPUT,
                       "%s:%llu: %s; mend the line, it was left out", path,
                       (unsigned long long)r->number, fault->why);
    else
        executor_fault(context, LOSS_INPUT,
                       "%s: the line at byte %lld: %s; mend it, it was left "
                       "out",
                       path, (long long)line->offset, fault->why);
}

/* Of the byte order mark that a file may begin with. */
static uint32_t mark_bytes(const struct reader *r, const struct line *line)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    bool first = line->offset == 0 || (r->keeps && r->number == 1);
    bool marked = first && line->count >= sizeof mark &&
                  memcmp(line->bytes, mark, sizeof mark) == 0;
    return marked ? sizeof mark : 0;
}

/* Into `scratch`. OK with nothing there: the line holds no tuple. */
static err parse(struct reader *r, const struct line *line,
                 struct parse_fault *fault)
{
    uint32_t mark = mark_bytes(r, line);
    r->scratch.used = 0;
    return r->parser.line(&r->parser, line->bytes + mark, line->count - mark,
                          &r->scratch, fault);
}

/* False: out of memory. */
static bool emit_parsed(struct component_context *context, struct reader *r,
                        const struct line *line)
{
    struct parse_fault fault;
    err e = parse(r, line, &fault);
    if (e == ERR_FORMAT) say_no_tuple(context, r, line, &fault);
    if (e != OK || r->scratch.used == 0) return e != ERR_NOMEM;
    return emit_record(context, r, line->offset);
}

/* The line is out of the splitter: if it can't be emitted, the task's next
 * actor does it. */
static enum step take_line(struct component_context *context, struct reader *r,
                           const struct line *line)
{
    /* What is parsed is looked at twice. */
    charge(context, r, (size_t)line->count << (r->parser.line != NULL));
    r->owing = r->parser.line ? !emit_parsed(context, r, line)
                              : !emit_line(context, r, line);
    if (!r->owing) return STEP_DONE;
    r->line = *line;
    return no_memory(context);
}

static void say_long(struct component_context *context, struct reader *r,
                     const struct line *line)
{
    executor_fault(context, LOSS_INPUT,
                   "%s: the line at byte %lld is longer than 16 MB and was "
                   "left out",
                   r->intake->path, (long long)line->offset);
}

static const struct stream_plan *stream_of(const struct component_context *c)
{
    return &c->component->streams[0];
}

static void say_no_header(struct component_context *context,
                          const struct reader *r,
                          const struct csv_record *record, const char *why)
{
    const char *what = "the file was left out";
    if (r->plan.count == 0) what = "the input was left out";
    if (r->plan.follow)
        what = "the file was left out and a new one by its name is waited for";
    executor_fault(context, LOSS_INPUT, "%s:%lld: %s; %s", r->intake->path,
                   (long long)record->line, why, what);
}

/* False: the record was the header, or the file can't be read without it. */
static bool know_columns(struct component_context *context, struct reader *r,
                         const struct csv_record *record)
{
    char why[300];
    if (r->columns.known) return true;
    if (!r->plan.header) {
        columns_number(&r->columns, stream_of(context));
    } else if (record->faulty) {
        snprintf(why, sizeof why, "%s", record->faulty);
        r->skipping = true;
    } else {
        r->skipping = !columns_name(&r->columns, stream_of(context), record,
                                    why, sizeof why);
    }
    if (r->skipping) say_no_header(context, r, record, why);
    r->csv.wanted = r->columns.wanted;
    return !r->plan.header;
}

static enum step take_record(struct component_context *context,
                             struct reader *r, const struct csv_record *record)
{
    char why[300];
    charge(context, r, 0);
    if (!know_columns(context, r, record)) return STEP_DONE;
    int64_t place = (int64_t)r->number - 1;
    if (place < r->resume_at) return STEP_DONE;
    if (record->count == 0 && r->columns.width > 1) return STEP_DONE;
    if (!columns_fit(&r->columns, record, why, sizeof why)) {
        executor_fault(context, LOSS_INPUT,
                       "%s:%lld: %s; the record was left out", r->intake->path,
                       (long long)record->line, why);
        return STEP_DONE;
    }
    r->scratch.used = 0;
    r->owing = columns_encode(&r->columns, record, &r->scratch) != OK ||
               !emit_record(context, r, place);
    r->cost += r->scratch.used;
    if (!r->owing) return STEP_DONE;
    r->record = *record;
    return no_memory(context);
}

/* What the last block left of a line, which has no end. */
static enum step take_rest(struct component_context *context, struct reader *r)
{
    struct line line;
    struct csv_record record;
    if (r->plan.csv) {
        enum csv_step found = csv_end(&r->csv, &record);
        if (found == CSV_NOMEM) return no_memory(context);
        r->number += found == CSV_RECORD;
        return found == CSV_RECORD ? take_record(context, r, &record)
                                   : STEP_DONE;
    }
    if (!lines_end(&r->lines, &line)) return STEP_DONE;
    r->places[r->place].eof = r->lines.offset;
    r->number++;
    return line.offset < r->resume_at ? STEP_DONE
                                      : take_line(context, r, &line);
}

/* Another file from here on, by the name of the one before. */
static void take_news(struct component_context *context, struct reader *r,
                      enum news news)
{
    if (news == NEWS_TRUNCATED)
        executor_log(context, LOG_WARN,
                     "%s was truncated; it is read from its beginning",
                     r->intake->path);
    else
        executor_log(context, LOG_INFO,
                     "%s is a new file now; the one before was read to its "
                     "end",
                     r->intake->path);
    restart_splitter(r);
    r->resume_at = 0;
    r->began = r->lines.offset;
    lines_seek(&r->lines, r->lines.offset, false);
    blocks_go_on(r);
}

/* The blocks have ended. */
static enum step file_end(struct component_context *context, struct reader *r,
                          enum news news)
{
    char why[300];
    bool damaged = intake_damaged(r->intake, why, sizeof why);
    bool shrunk = news == NEWS_SHRUNK;
    enum step step = damaged || shrunk ? STEP_DONE : take_rest(context, r);
    if (step != STEP_DONE) return step;
    if (news != NEWS_NONE && !shrunk) {
        take_news(context, r, news);
        return STEP_DONE;
    }
    if (damaged)
        executor_fault(context, LOSS_INPUT,
                       "%s: %s; what stands before was read, get the file anew",
                       r->intake->path, why);
    if (shrunk)
        executor_fault(
            context, LOSS_INPUT,
            "%s: it became shorter while it was read, what stood "
            "behind byte %lld was left out; write to a new file and "
            "rename it",
            r->intake->path,
            (long long)(r->plan.csv ? r->csv.offset : lines_start(&r->lines)));
    leave_place(context, r);
    return STEP_DONE;
}

static enum step more(struct component_context *context, struct reader *r)
{
    enum news news;
    enum step step = blocks_more(context, r, &news);
    return step == STEP_END ? file_end(context, r, news) : step;
}

/* What the actor before left half done. */
static enum step take_owed(struct component_context *context, struct reader *r)
{
    if (!r->owing) return STEP_DONE;
    return r->plan.csv ? take_record(context, r, &r->record)
                       : take_line(context, r, &r->line);
}

static enum step resume_reading(struct component_context *context,
                                struct reader *r)
{
    enum step step = r->inherited ? blocks_await(context, r) : STEP_DONE;
    return step == STEP_DONE ? take_owed(context, r) : step;
}

static bool may_go_on(struct component_context *context, const struct reader *r)
{
    return r->intake && !executor_full(context) && !env_spent(context->env);
}

static enum step next_lines(struct component_context *context, struct reader *r)
{
    enum step step = STEP_DONE;
    struct line line;
    while (step == STEP_DONE && may_go_on(context, r)) {
        enum lines_step found = lines_next(&r->lines, &line);
        if (found == LINES_NOMEM) return no_memory(context);
        r->number += found == LINES_LINE || found == LINES_LONG;
        int64_t start =
            found == LINES_MORE ? lines_start(&r->lines) : line.offset;
        if (start >= r->stripe_end) /* the next one is another's */
            stripe_take(r, stripe_next(context, r));
        else if (found != LINES_MORE && start < r->resume_at)
            charge(context, r, line.count);
        else if (found == LINES_LINE)
            step = take_line(context, r, &line);
        else if (found == LINES_LONG)
            say_long(context, r, &line);
        else
            step = more(context, r);
    }
    return step;
}

/* When the block under way is there. */
static enum step skip_place(struct component_context *context, struct reader *r)
{
    if (r->reading) return STEP_IDLE;
    leave_place(context, r);
    return STEP_DONE;
}

static enum step next_records(struct component_context *context,
                              struct reader *r)
{
    enum step step = STEP_DONE;
    struct csv_record record;
    if (r->intake && r->skipping && !r->plan.follow)
        return skip_place(context, r);
    while (step == STEP_DONE && may_go_on(context, r)) {
        if (r->skipping) csv_drop(&r->csv);
        enum csv_step found = csv_next(&r->csv, &record);
        r->number += found == CSV_RECORD || found == CSV_LONG;
        switch (found) {
        case CSV_RECORD: step = take_record(context, r, &record); break;
        case CSV_MORE: step = more(context, r); break;
        case CSV_NOMEM: return no_memory(context);
        case CSV_LONG:
            executor_fault(context, LOSS_INPUT,
                           "%s:%lld: the record that begins here is longer "
                           "than 16 MB and was left out",
                           r->intake->path, (long long)record.line);
            break;
        }
    }
    return step;
}

enum step reader_next(struct component_context *context, void *self)
{
    struct reader *r = self;
    context->sleep_ns = 0; /* STEP_IDLE waits for a job */
    if (r->ended) return STEP_END;
    enum step step = resume_reading(context, r);
    if (step != STEP_DONE) return step;
    if (r->intake == NULL) step = find_place(context, r);
    if (step != STEP_DONE) return step;
    step = r->plan.csv ? next_records(context, r) : next_lines(context, r);
    return step == STEP_DONE ? STEP_AGAIN : step;
}

/* A followed file's last line may have no end yet; who drains has it all. */
enum step reader_drain(struct component_context *context, void *self)
{
    struct reader *r = self;
    bool split =
        r->plan.csv ? r->csv.at == r->csv.end : r->lines.at == r->lines.end;
    enum step step = take_owed(context, r);
    bool rest = r->plan.follow && r->at_end && split && !r->skipping;
    return step == STEP_DONE && rest ? take_rest(context, r) : step;
}

/* ---- once more ---- */

size_t reader_place_of(const struct reader *r, int64_t token)
{
    size_t low = 0, high = r->intake ? r->place + 1 : r->place;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (r->places[middle].base <= token)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The intake by which that file is read again; borrowed. */
static struct intake *intake_again(struct component_context *context,
                                   struct reader *r, size_t place)
{
    if (r->window->intake && r->window_place == place) return r->window->intake;
    if (r->intake && r->place == place) return r->intake;
    return r->places[place].intake;
}

static enum step window_start(struct component_context *context,
                              struct reader *r, size_t place, int64_t offset)
{
    struct intake *in = intake_again(context, r, place);
    struct intake *fresh = in ? NULL : new_intake(context, r, place);
    if (in == NULL && fresh == NULL) return no_memory(context);
    if (fresh) fresh->wanted = r->places[place].info;
    window_aim(context->env, r->window, in ? in : fresh, offset);
    if (fresh) ref_drop(context->env, &fresh->ref);
    r->window_place = place;
    ref_take(&r->window->job.ref);
    executor_job(context, &r->window->job);
    return STEP_IDLE;
}

static enum step lost(struct component_context *context, const char *path,
                      int64_t offset, int error)
{
    if (error && error != ESTALE)
        fault_text(context->error, sizeof context->error, FAULT_READ, path,
                   error);
    else
        snprintf(context->error, sizeof context->error,
                 "%s: the line at byte %lld failed and can't be read again: "
                 "the file was changed while it was read; write to a new file "
                 "and rename it",
                 path, (long long)offset);
    return STEP_END;
}

static enum step replay_kept(struct component_context *context,
                             struct reader *r, uint64_t token)
{
    const struct kept_line *kept = kept_get(&r->kept, token & ~TOKEN_KEPT);
    if (kept == NULL) { /* it was released: nobody waits for it */
        snprintf(context->error, sizeof context->error,
                 "a line that was kept is gone");
        return STEP_END;
    }
    env_charge(context->env, 1);
    bool ok = r->plan.csv || r->parser.line
                  ? emit_root_encoded(context, token, kept->bytes, kept->count)
                  : emit_root(context, r, token, kept->bytes, kept->count);
    return ok ? STEP_DONE : no_memory(context);
}

static bool may_heal(int error)
{
    return error != 0 && error != ESTALE && error != ENOTSUP &&
           !fault_stays(error);
}

/* What may be read at another time crashes the task: the next one replays it.
 */
static enum step not_again(struct component_context *context, struct reader *r,
                           const struct intake *in, int64_t offset)
{
    int error = r->window->error;
    enum step step = lost(context, in->path, offset, error);
    if (!may_heal(error)) return step;
    ref_drop(context->env, &r->window->job.ref);
    r->window = NULL;
    return STEP_CRASH;
}

/* It was a tuple when it was read first. */
static enum step replay_parsed(struct component_context *context,
                               struct reader *r, uint64_t token,
                               const struct intake *in, const struct line *line)
{
    struct parse_fault fault;
    err e = parse(r, line, &fault);
    if (e == ERR_FORMAT || (e == OK && r->scratch.used == 0))
        return lost(context, in->path, line->offset, 0);
    const struct buffer *tuple = &r->scratch;
    return e == OK &&
                   emit_root_encoded(context, token, tuple->data, tuple->used)
               ? STEP_DONE
               : no_memory(context);
}

enum step reader_replay(struct component_context *context, void *self,
                        uint64_t token)
{
    struct reader *r = self;
    struct line line;
    if (token & TOKEN_KEPT) return replay_kept(context, r, token);
    if (r->window == NULL && (r->window = window_new()) == NULL)
        return no_memory(context);
    if (r->window->busy) return STEP_IDLE;
    size_t place = reader_place_of(r, (int64_t)token);
    int64_t offset = (int64_t)token - r->places[place].base;
    const struct intake *in = intake_again(context, r, place);
    if (!in || !window_find(r->window, in, offset, r->places[place].eof, &line))
        return in && window_is_for(r->window, in, offset)
                   ? not_again(context, r, in, offset)
                   : window_start(context, r, place, offset);
    env_charge(context->env, 1);
    if (r->parser.line) return replay_parsed(context, r, token, in, &line);
    return emit_root(context, r, token, line.bytes, line.count)
               ? STEP_DONE
               : no_memory(context);
}

void reader_release(struct component_context *context, void *self,
                    uint64_t token)
{
    struct reader *r = self;
    if (token & TOKEN_KEPT) kept_drop(&r->kept, token & ~TOKEN_KEPT);
}
