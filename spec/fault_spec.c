/* Every allocation of a run fails in turn, once and with all that follow it:
 * the run ends, it ends well with the right answer or says that it didn't, no
 * actor is left over, and nothing leaks. */
#include "actors/connectors/format.h"
#include "core/alloc.h"
#include "core/runtime.h"
#include "lua/component.h"
#include "lua/definition.h"
#include "spec/fault.h"
#include "spec/pack.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

/* Of the sanitizer, where there is one: not 0, something has leaked. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

enum {
    LINES_MAX = 16384, /* a spout that tries at once tries often */
    TASKS_MAX = 16,
    STEPS_MAX = 200000,
    ONCE = 1,
    BURST = 50, /* how many fail in the second pass */
};

struct trial;

struct story {
    const char *name;
    const char *text;  /* the definition; VERSION stands for a number */
    int64_t reload_ns; /* when its next version comes; 0: never */
    void (*check)(struct trial *t);
    uint64_t give_up; /* tuples that fail for good by themselves */
};

struct trial {
    const struct story *story;
    struct sim *sim;
    struct sim_node *node;
    struct definition *definition, *next; /* owned */
    struct topology *topology;            /* owned */
    char *lines[LINES_MAX];               /* owned: what came out */
    unsigned count;
    bool ended;
    struct topology_end end;
    bool sent; /* the next version */
    unsigned taken, refused;
    char why[256];
    actor_id ids[TASKS_MAX]; /* of the tasks' actors that live now */
    unsigned restarts[TASKS_MAX];
    unsigned kills; /* of ackers and tasks, some steps apart */
};

/* What "/records" and "/poem" hold. */
static const char record_lines[] =
    "{\"id\":1,\"user\":{\"name\":\"n\"},\"level\":\"low\"}\n"
    "{\"id\":2,\"user\":{\"name\":\"n\"},\"level\":\"low\"}\n"
    "{\"id\":3,\"user\":{\"name\":\"n\"},\"level\":\"low\"}\n";
static const char poem[] = "the cow jumped\nthe moon\na cow a\nover the moon";

/* The classes find the trial here: there is one at a time. */
static struct trial *running;

/* ---- what isn't the engine's asking ---- */

static const struct world *inner;

static void ready(void *context, struct env *env, struct actor *actor)
{
    fault_pause();
    inner->ready(context, env, actor);
    fault_go_on();
}

static void alarm_set(void *context, struct node *node, int64_t at_ns)
{
    fault_pause();
    inner->alarm(context, node, at_ns);
    fault_go_on();
}

static void work(void *context, struct node *node, struct job *job)
{
    fault_pause();
    inner->work(context, node, job);
    fault_go_on();
}

static void trace(void *context, struct node *node, const struct msg *m)
{
    fault_pause();
    inner->trace(context, node, m);
    fault_go_on();
}

static int disk_open(void *context, const char *path, enum disk_mode mode)
{
    fault_pause();
    int file = inner->disk->open(inner->disk->context, path, mode);
    fault_go_on();
    return file;
}

static int64_t disk_read(void *context, int file, void *to, size_t bytes,
                         int64_t at)
{
    fault_pause();
    int64_t got = inner->disk->read(inner->disk->context, file, to, bytes, at);
    fault_go_on();
    return got;
}

static int64_t disk_write(void *context, int file, const void *from,
                          size_t bytes)
{
    fault_pause();
    int64_t put = inner->disk->write(inner->disk->context, file, from, bytes);
    fault_go_on();
    return put;
}

static int disk_sync(void *context, int file)
{
    fault_pause();
    int error = inner->disk->sync(inner->disk->context, file);
    fault_go_on();
    return error;
}

static int disk_close(void *context, int file)
{
    fault_pause();
    int error = inner->disk->close(inner->disk->context, file);
    fault_go_on();
    return error;
}

static int disk_look(void *context, const char *path, int file,
                     struct disk_info *out)
{
    fault_pause();
    int error = inner->disk->look(inner->disk->context, path, file, out);
    fault_go_on();
    return error;
}

static int disk_rename(void *context, const char *from, const char *to)
{
    fault_pause();
    int error = inner->disk->rename(inner->disk->context, from, to);
    fault_go_on();
    return error;
}

/* What it is called back with is the engine's own again. */
struct listing {
    void (*each)(void *arg, const char *name);
    void *arg;
};

static void listed(void *arg, const char *name)
{
    const struct listing *listing = arg;
    fault_go_on();
    listing->each(listing->arg, name);
    fault_pause();
}

static int disk_list(void *context, const char *folder,
                     void (*each)(void *arg, const char *name), void *arg)
{
    struct listing listing = {each, arg};
    fault_pause();
    int error =
        inner->disk->list(inner->disk->context, folder, listed, &listing);
    fault_go_on();
    return error;
}

static const struct disk guarded_disk = {
    .open = disk_open,
    .read = disk_read,
    .write = disk_write,
    .sync = disk_sync,
    .close = disk_close,
    .look = disk_look,
    .rename = disk_rename,
    .list = disk_list,
};

/* Puts pauses around all that the node asks of its world. */
static void guard_world(struct sim_node *sim_node)
{
    static struct world guarded;
    struct node *node = sim_engine(sim_node);
    inner = node->config.world;
    guarded = *inner;
    guarded.disk = &guarded_disk;
    guarded.ready = ready;
    guarded.alarm = alarm_set;
    guarded.work = work;
    guarded.trace = trace;
    node->config.world = &guarded;
}

/* ---- the sink that remembers ---- */

static err remember_make(struct component_context *c, void *self)
{
    return OK;
}

static void remember_free(struct component_context *c, void *self)
{
}

static void remember(struct trial *t, const uint8_t *at, unsigned arity)
{
    const char *names[FIELDS_MAX];
    for (unsigned i = 0; i < arity; i++)
        names[i] = "v";
    struct format format = {.kind = FORMAT_TEXT};
    struct buffer text = {0};
    uint64_t replaced = 0;
    fault_pause();
    CHECK_EQ(format_tuple(&format, names, arity, at, &text, &replaced), OK);
    CHECK(t->count < LINES_MAX);
    t->lines[t->count++] = mem_text((char *)text.data, text.used - 1);
    buffer_fini(&text);
    fault_go_on();
}

static enum step remember_execute(struct component_context *c, void *self,
                                  struct input *input)
{
    const struct input_plan *from = &c->component->inputs[input->source];
    unsigned arity =
        c->plan->components[from->component].streams[from->stream].arity;
    const uint8_t *at;
    while ((at = input_next(c, input)) != NULL) {
        const uint8_t *end = at;
        for (unsigned i = 0; i < arity; i++)
            end = value_skip(end);
        remember(running, at, arity);
        input_done(c, input, end);
    }
    return STEP_DONE;
}

static const struct component_class remember_class = {
    .name = "remember",
    .state_bytes = 1,
    .make = remember_make,
    .free = remember_free,
    .execute = remember_execute,
};

/* ---- one run ---- */

/* NULL: refused, and it said why. */
static struct definition *load(const struct story *story, int version)
{
    char text[4096];
    struct definition *d = NULL;
    char *errors = NULL;
    snprintf(text, sizeof text, "local VERSION = %d\n%s", version, story->text);
    err e = definition_parse("story.lua", text, strlen(text), NULL, 0, NULL, &d,
                             &errors);
    if (e == OK) {
        for (unsigned i = 0; i < d->plan.count; i++)
            if (strcmp(d->plan.components[i].name, "out") == 0)
                d->plan.components[i].class = &remember_class;
        return d;
    }
    if (e != ERR_NOMEM && (errors == NULL || !strstr(errors, "memory")))
        spec_fail(__FILE__, __LINE__, "refused for no memory: %s",
                  errors ? errors : "(nothing said)");
    mem_free(errors);
    return NULL;
}

static void on_ended(void *context, const struct topology_end *end)
{
    struct trial *t = context;
    t->end = *end;
    t->ended = true;
}

static void on_reloaded(struct code *code, bool taken, const char *error)
{
    struct trial *t = running;
    t->taken += taken;
    t->refused += !taken;
    snprintf(t->why, sizeof t->why, "%s", error ? error : "");
}

static void send_next(struct trial *t)
{
    struct env *env = sim_env(t->node);
    t->sent = true;
    t->next = load(t->story, 2);
    struct code *code =
        t->next ? lua_code_new(t->next->bundle, on_reloaded) : NULL;
    struct msg *m = code ? msg_new(env, TOPOLOGY_RELOAD, sizeof code) : NULL;
    if (m) {
        memcpy(msg_body(m), &code, sizeof code);
        m->flags = MSG_REF;
        m->from = 0;
        actor_post(env, topology_actor(t->topology), m);
        return;
    }
    if (code) ref_drop(env, &code->ref);
    t->refused++;
    strcpy(t->why, "out of memory");
}

/* Whose actors are new ones since the last step? */
static void note_restarts(struct trial *t)
{
    for (unsigned i = 0; i < t->definition->plan.tasks; i++) {
        actor_id id = topology_task_id(t->topology, i);
        if (id == t->ids[i]) continue;
        if (t->ids[i] != 0) t->restarts[i]++;
        t->ids[i] = id;
    }
}

/* An acker or a task, whatever it does: also one that has ended. */
static void kill_one(struct trial *t)
{
    unsigned ackers = topology_ackers(t->topology);
    unsigned n =
        (unsigned)sim_random(t->sim, ackers + t->definition->plan.tasks);
    actor_id id = n < ackers ? topology_acker(t->topology, n)
                             : topology_task_id(t->topology, n - ackers);
    if (id != 0) sim_kill_actor(t->sim, id, ERR_KILLED);
    t->kills--;
}

static void run(struct trial *t)
{
    struct topology_config config = {
        .plan = &t->definition->plan,
        .ackers = 1 + (unsigned)sim_random(t->sim, 2),
        .restarts = t->kills ? 1000 : 0,
        .ended = on_ended,
        .context = t,
    };
    err e = topology_start(sim_env(t->node), &config, &t->topology);
    if (e != OK) {
        CHECK(e == ERR_NOMEM || e == ERR_LIMIT);
        return;
    }
    int64_t reload_ns =
        t->story->reload_ns ? SIM_START_NS + t->story->reload_ns : INT64_MAX;
    for (unsigned steps = 0; sim_step(t->sim, INT64_MAX - 1); steps++) {
        if (steps > STEPS_MAX) spec_fail(__FILE__, __LINE__, "it never ends");
        note_restarts(t);
        if (t->kills > 0 && !t->ended && sim_random(t->sim, 15) == 0)
            kill_one(t);
        if (!t->sent && !t->ended && sim_now(t->sim) >= reload_ns) send_next(t);
    }
    if (!t->ended) spec_fail(__FILE__, __LINE__, "all is quiet, but no end");
    if (node_alive(sim_engine(t->node)) != 0)
        spec_fail(__FILE__, __LINE__, "%u actors are left over",
                  node_alive(sim_engine(t->node)));
    if (t->sent && t->taken + t->refused != 1)
        spec_fail(__FILE__, __LINE__, "the reload was answered %u times",
                  t->taken + t->refused);
}

/* What the story "inputs" reads. */
static void put_inputs(struct trial *t)
{
    struct buffer packed = {0};
    pack_gzip(&packed, "gzip 1\n", 7);
    pack_gzip(&packed, "gzip 2", 6);
    sim_file_put(t->node, "/in/a.gz", packed.data, packed.used);
    packed.used = 0;
    pack_zstd(&packed, "zstd 1\nzstd 2\n", 14);
    sim_file_put(t->node, "/in/a.zst", packed.data, packed.used);
    buffer_fini(&packed);
    static const char first[] = "text,n\n\"a\"\"1\",1\nb,2\n";
    static const char second[] = "n,text\n3,\"c\nd\"";
    sim_file_put(t->node, "/in/a.csv", first, sizeof first - 1);
    sim_file_put(t->node, "/in/b.csv", second, sizeof second - 1);
}

static void trial_init(struct trial *t, const struct story *story,
                       uint64_t seed)
{
    *t = (struct trial){.story = story, .sim = sim_new(seed)};
    t->node = sim_node(t->sim, 1);
    sim_file_put(t->node, "/poem", poem, sizeof poem - 1);
    put_inputs(t);
    sim_file_put(t->node, "/records", record_lines, sizeof record_lines - 1);
    guard_world(t->node);
    running = t;
}

static void trial_fini(struct trial *t)
{
    sim_kill_node(t->node);
    topology_free(t->topology);
    definition_free(t->definition);
    definition_free(t->next);
    for (unsigned i = 0; i < t->count; i++)
        mem_free(t->lines[i]);
    sim_free(t->sim);
    running = NULL;
}

/* ---- what a run has to say ---- */

static uint64_t counter(const struct trial *t, const char *component,
                        size_t offset)
{
    const struct plan *plan = &t->definition->plan;
    for (unsigned i = 0; i < plan->count; i++) {
        if (strcmp(plan->components[i].name, component) != 0) continue;
        const char *ids = (const char *)topology_metrics(t->topology, i);
        metric_id id;
        memcpy(&id, ids + offset, sizeof id);
        return metric_read(node_metrics(sim_engine(t->node)), id);
    }
    return 0;
}

static uint64_t failed(const struct trial *t, const char *spout)
{
    return counter(t, spout, offsetof(struct component_metrics, failed));
}

static uint64_t messages_dropped(const struct trial *t)
{
    struct node *node = sim_engine(t->node);
    return metric_read(node_metrics(node), node->dropped);
}

static unsigned restarts(const struct trial *t, const char *component)
{
    const struct plan *plan = &t->definition->plan;
    unsigned n = 0;
    for (unsigned i = 0; i < plan->count; i++)
        if (strcmp(plan->components[i].name, component) == 0)
            for (unsigned k = 0; k < plan->components[i].tasks; k++)
                n += t->restarts[plan->components[i].first_task + k];
    return n;
}

static unsigned all_restarts(const struct trial *t)
{
    unsigned n = 0;
    for (unsigned i = 0; i < TASKS_MAX; i++)
        n += t->restarts[i];
    return n;
}

/* Lines that begin so. */
static unsigned lines_of(const struct trial *t, const char *start)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->count; i++)
        if (strncmp(t->lines[i], start, strlen(start)) == 0) n++;
    return n;
}

/* The sum of the numbers behind a word. */
static unsigned sum_of(const struct trial *t, const char *word)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->count; i++) {
        size_t length = strlen(word);
        if (strncmp(t->lines[i], word, length) == 0 &&
            t->lines[i][length] == '\t')
            n += (unsigned)atoi(t->lines[i] + length + 1);
    }
    return n;
}

/* ---- the stories ---- */

static const char word_count[] =
    "return topology 'count' {\n"
    "  spout 'lines' { list { {'the cow jumped'}, {'the moon'}, {'a cow a'},\n"
    "    {'over the moon'} }, fields = {'line'} },\n"
    "  bolt 'split' { from = shuffle 'lines', fields = {'word'}, tasks = 2,\n"
    "    execute = function(self, line)\n"
    "      for w in line:gmatch '%a+' do self.emit(w) end\n"
    "    end },\n"
    "  bolt 'count' { from = fields('split', 'word'), tasks = 2,\n"
    "    fields = {'word', 'n'},\n"
    "    prepare = function(self) self.n = {} end,\n"
    "    execute = function(self, w) self.n[w] = (self.n[w] or 0) + 1 end,\n"
    "    finish = function(self)\n"
    "      for w, n in pairs(self.n) do self.emit(w, n) end\n"
    "    end },\n"
    "  sink 'out' { from = global 'count', null {} },\n"
    "}\n";

/* A replay may count a word twice, a task that crashed forgets what it has
 * counted, and what finish() emits is not replayed when the sink dies: all are
 * told. */
static void check_word_count(struct trial *t)
{
    static const struct {
        const char *word;
        unsigned n;
    } want[] = {{"the", 3},  {"cow", 2}, {"jumped", 1},
                {"moon", 2}, {"a", 2},   {"over", 1}};
    bool again = failed(t, "lines") > 0 || all_restarts(t) > 0;
    bool dropped = restarts(t, "out") > 0 && messages_dropped(t) > 0;
    for (unsigned i = 0; i < 6; i++) {
        unsigned n = sum_of(t, want[i].word);
        if (restarts(t, "count") == 0 && !dropped &&
            (n < want[i].n || (n > want[i].n && !again)))
            spec_fail(__FILE__, __LINE__, "%u times '%s', not %u", n,
                      want[i].word, want[i].n);
    }
}

static const char reload[] =
    "return topology 't' {\n"
    "  spout 'numbers' { generator { rate = 1000, count = 40 },\n"
    "    fields = {'n'} },\n"
    "  bolt 'mark' { from = shuffle 'numbers', fields = {'n', 'version'},\n"
    "    tasks = 2, prepare = function(self) self.sum = 0 end,\n"
    "    on_reload = function(self) self.reloads = VERSION end,\n"
    "    execute = function(self, n) self.sum = self.sum + 1\n"
    "      self.emit(n, VERSION) end },\n"
    "  bolt 'pass' { from = fields('mark', 'n'),\n"
    "    fields = {'n', 'version', 'mine'},\n"
    "    execute = function(self, n, v) self.emit(n, v, VERSION) end },\n"
    "  sink 'out' { from = global 'pass', null {} },\n"
    "}\n";

static void check_reload(struct trial *t)
{
    bool again = failed(t, "numbers") > 0 || all_restarts(t) > 0;
    for (unsigned i = 1; i <= 40; i++) {
        char start[16];
        snprintf(start, sizeof start, "%u\t", i);
        unsigned n = lines_of(t, start);
        if (n == 0 || (n > 1 && !again))
            spec_fail(__FILE__, __LINE__, "%u came %u times", i, n);
    }
    unsigned first = 0, second = 0;
    CHECK(sscanf(t->lines[t->count - 1], "%*u\t%u\t%u", &first, &second) == 2);
    if (t->taken && (first != 2 || second != 2))
        spec_fail(__FILE__, __LINE__,
                  "new code was taken, but the last line is %s",
                  t->lines[t->count - 1]);
    if (t->refused && !strstr(t->why, "the run") && (first != 1 || second != 1))
        spec_fail(__FILE__, __LINE__,
                  "new code was refused (%s), but the last line is %s", t->why,
                  t->lines[t->count - 1]);
}

static const char errors[] =
    "return topology 't' {\n"
    "  spout 'ids' { fields = {'n'},\n"
    "    open = function(self) self.i, self.again, self.acks = 0, {}, 0 end,\n"
    "    next = function(self)\n"
    "      local n = table.remove(self.again)\n"
    "      if n then self.emit_id(n, n) return end\n"
    "      if self.i == 18 then return false end\n"
    "      self.i = self.i + 1\n"
    "      self.emit_id(self.i, self.i)\n"
    "    end,\n"
    "    ack = function(self, id) self.acks = self.acks + 1 end,\n"
    "    fail = function(self, id, reason)\n"
    "      self.again[#self.again + 1] = id end },\n"
    "  bolt 'bad' { from = shuffle 'ids', fields = {'n', 'extra'},\n"
    "    tasks = 2, budget = '1ms',\n"
    "    prepare = function(self) self.seen = {} end,\n"
    "    execute = function(self, n)\n"
    "      local kind = self.seen[n] and 0 or n % 7\n"
    "      self.seen[n] = true\n"
    "      if kind == 1 then self.emit(n, 'x') error('not yet')\n"
    "      elseif kind == 2 then self.emit(n, print)\n"
    "      elseif kind == 3 then local t = {} t.t = t self.emit(n, t)\n"
    "      elseif kind == 4 then while true do end\n"
    "      elseif kind == 5 then error { code = n }\n"
    "      elseif kind == 6 then pcall(self.emit, n) end\n"
    "      self.emit(n, { tag = 'x', list = { 1, 2, n } })\n"
    "    end },\n"
    "  bolt 'pass' { from = fields('bad', 'n', 'extra'), fields = {'n'},\n"
    "    execute = function(self, n, extra)\n"
    "      local ok, why = pcall(self.emit, extra.list[3])\n"
    "      if not ok then error(why) end end },\n"
    "  sink 'out' { from = global 'pass', null {} },\n"
    "}\n";

static void check_errors(struct trial *t)
{
    for (unsigned i = 1; i <= 18; i++) {
        char line[16];
        unsigned n = 0;
        snprintf(line, sizeof line, "%u", i);
        for (unsigned k = 0; k < t->count; k++)
            if (strcmp(t->lines[k], line) == 0) n++;
        if (n == 0) spec_fail(__FILE__, __LINE__, "%u was lost", i);
    }
    /* A second copy has a failure or a restart to explain it. */
    CHECK(t->count - 18 <= failed(t, "ids") || all_restarts(t) > 0);
}

/* The same with a file at each end. */
static const char files[] =
    "return topology 'count' {\n"
    "  spout 'lines' { file { path = '/poem' } },\n"
    "  bolt 'split' { from = shuffle 'lines', fields = {'word'},\n"
    "    execute = function(self, line)\n"
    "      for w in line:gmatch '%a+' do self.emit(w) end\n"
    "    end },\n"
    "  sink 'save' { from = global 'split', file { path = '/words' } },\n"
    "}\n";

static void check_files(struct trial *t)
{
    size_t bytes;
    const char *text = (const char *)sim_file_get(t->node, "/words", &bytes);
    bool again = failed(t, "lines") > 0 || all_restarts(t) > 0;
    unsigned cows = 0, words = 0;
    for (size_t i = 0; i < bytes; i++) {
        words += text[i] == '\n';
        cows += bytes - i >= 4 && memcmp(text + i, "cow\n", 4) == 0;
    }
    /* The sink's file is begun anew by its new actor: what the one before had
     * written is gone. */
    if (restarts(t, "save") > 0) return;
    if (cows < 2 || words < 11 || (words > 11 && !again))
        spec_fail(__FILE__, __LINE__, "%u words, %u cows", words, cows);
}

/* Packed lines and records from several files, and a file that is rotated. */
static const char inputs[] =
    "return topology 'inputs' {\n"
    "  spout 'lines' { fields = {'n', 'text'}, retries = 'forever',\n"
    "    file { path = '/in/*.csv', format = 'csv' } },\n"
    "  spout 'packed' { retries = 'forever',\n"
    "    file { paths = { '/in/*.gz', '/in/a.zst', '/poem' } } },\n"
    "  sink 'out' { from = { global 'packed', global 'lines' }, null {} },\n"
    "  sink 'save' { from = global 'lines', file { path = '/log',\n"
    "    rotate = 9, format = 'csv' } },\n"
    "}\n";

static void check_inputs(struct trial *t)
{
    static const char *const lines[] = {
        "gzip 1",         "gzip 2",   "zstd 1",  "zstd 2",
        "the cow jumped", "the moon", "a cow a", "over the moon",
        "1\ta\"1",        "2\tb",     "3\tc\nd",
    };
    if (restarts(t, "out") > 0) return; /* it may have lost what it heard */
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (lines_of(t, lines[i]) == 0)
            spec_fail(__FILE__, __LINE__, "lost: %s", lines[i]);
}

/* JSON from file to file: lazy records, changed in place and beyond it, and a
 * look at what is inside. */
static const char records[] =
    "return topology 'count' {\n"
    "  spout 'lines' { file { path = '/records', format = 'json' } },\n"
    "  bolt 'up' { from = shuffle 'lines', fields = {'record'},\n"
    "    execute = function(self, r)\n"
    "      local user = r.user\n"
    "      r.level = r.level:upper()\n"
    "      r.more = { user.name, json.decode(r).id, user, ('x'):rep(99) }\n"
    "      for k, v in pairs(r) do r[k] = v end\n"
    "      r.text = json.encode { user }\n"
    "      r.user = nil\n"
    "      self.emit(r)\n"
    "    end },\n"
    "  sink 'save' { from = global 'up',\n"
    "    file { path = '/words', format = 'json' } },\n"
    "}\n";

static void check_records(struct trial *t)
{
    size_t bytes;
    const char *text = (const char *)sim_file_get(t->node, "/words", &bytes);
    bool again = failed(t, "lines") > 0 || all_restarts(t) > 0;
    unsigned right = 0, lines = 0;
    char line[400], long_text[100] = {0};
    memset(long_text, 'x', 99);
    if (restarts(t, "save") > 0) return; /* as of check_files() */
    for (size_t at = 0; at < bytes; lines++) {
        const char *end = memchr(text + at, '\n', bytes - at);
        CHECK(end != NULL);
        size_t count = (size_t)(end - text) - at;
        char id = count > 6 ? text[at + 6] : 0;
        snprintf(line, sizeof line,
                 "{\"id\":%c,\"level\":\"LOW\",\"more\":[\"n\",%c,{\"name\":"
                 "\"n\"},\"%s\"],\"text\":\"[{\\\"name\\\":\\\"n\\\"}]\"}",
                 id, id, long_text);
        right += strlen(line) == count && memcmp(line, text + at, count) == 0;
        at += count + 1;
    }
    if (right != lines || right < 3 || (right > 3 && !again))
        spec_fail(__FILE__, __LINE__, "%u lines, %u right", lines, right);
}

/* Two at a time are held and joined, copied, and taken apart again. */
static const char joins[] =
    "return topology 't' {\n"
    "  spout 'ids' { fields = {'n'},\n"
    "    open = function(self) self.i, self.again = 0, {} end,\n"
    "    next = function(self)\n"
    "      local n = table.remove(self.again)\n"
    "      if n then self.emit_id(n, n) return end\n"
    "      if self.i == 9 then return false end\n"
    "      self.i = self.i + 1\n"
    "      self.emit_id(self.i, self.i) end,\n"
    "    fail = function(self, id) self.again[#self.again + 1] = id end },\n"
    "  bolt 'pair' { fields = {'a', 'b'}, tasks = 2, acking = 'manual',\n"
    "    from = custom('ids', function(values, tasks)\n"
    "      return { tasks[values[1] % 2 + 1] } end), every = '10ms',\n"
    "    execute = function(self, n)\n"
    "      local first, mine = self.first, self.hold()\n"
    "      if not first then self.first = { n, mine } return end\n"
    "      self.emit_from({ first[2], mine }, first[1], n)\n"
    "      first[2]:ack() mine:ack() self.first = nil end,\n"
    "    tick = function(self)\n"
    "      local first = self.first\n"
    "      if not first then return end\n"
    "      self.emit_from({ first[2] }, first[1], first[1])\n"
    "      first[2]:ack() self.first = nil end },\n"
    "  bolt 'each' { from = all 'pair', tasks = 2, fields = {'n'},\n"
    "    prepare = function(self, context) self.index = context.index end,\n"
    "    execute = function(self, a, b)\n"
    "      self.emit(self.index == 0 and a or b) end },\n"
    "  sink 'out' { from = global 'each', null {} },\n"
    "}\n";

static void check_joins(struct trial *t)
{
    for (unsigned i = 1; i <= 9; i++) {
        char line[16];
        unsigned n = 0;
        snprintf(line, sizeof line, "%u", i);
        for (unsigned k = 0; k < t->count; k++)
            if (strcmp(t->lines[k], line) == 0) n++;
        if (n == 0) spec_fail(__FILE__, __LINE__, "%u was lost", i);
    }
}

/* The word count without a Lua function of its own, and with one before it;
 * the rest of the memory is the operators'. */
static const char native[] =
    "return topology 'count' {\n"
    "  spout 'lines' { list { {'the cow jumped'}, {'the moon'}, {'a cow "
    "a'},\n"
    "    {'over the moon'} }, fields = {'line'} },\n"
    "  bolt 'split' { from = shuffle 'lines', words 'line', tasks = 2 },\n"
    "  bolt 'count' { from = fields('split', 'word'), count_by 'word',\n"
    "    tasks = 2 },\n"
    "  bolt 'top' { from = global 'count', top(10, 'count') },\n"
    "  sink 'out' { from = global 'top', null {} },\n"
    "}\n";

static const char combined[] =
    "return topology 'count' {\n"
    "  spout 'lines' { list { {'the cow jumped'}, {'the moon'}, {'a cow "
    "a'},\n"
    "    {'over the moon'} }, fields = {'line'} },\n"
    "  bolt 'split' { from = shuffle 'lines', fields = {'word', 'n'},\n"
    "    flat_map(function(emit, line)\n"
    "      for w in line:gmatch '%a+' do emit(w, { 1 }) end end) },\n"
    "  bolt 'count' { from = fields('split', 'word'), count_by 'word' },\n"
    "  bolt 'sum' { from = global 'count',\n"
    "    reduce_by('word', 'count', function(a, b) return a + b end) },\n"
    "  sink 'out' { from = global 'sum', null {} },\n"
    "}\n";

/* What has no root is lost where it fails, or with a task that crashes. */
static void check_native(struct trial *t)
{
    size_t errors_at = offsetof(struct component_metrics, errors);
    if (restarts(t, "top") == 0 && counter(t, "top", errors_at) == 0 &&
        restarts(t, "sum") == 0 && counter(t, "sum", errors_at) == 0 &&
        messages_dropped(t) == 0)
        check_word_count(t);
}

/* Two lines fail for good, and come to the stream for such. */
static const char letters[] =
    "return topology 'letters' {\n"
    "  spout 'poem' { file { path = '/poem' }, retries = 1,\n"
    "    streams = { failed = {'line', 'reason', 'component'} } },\n"
    "  bolt 'bad' { from = shuffle 'poem', fields = {'line'},\n"
    "    execute = function(self, line)\n"
    "      if line:find 'moon' then error('no moon', 0) end end },\n"
    "  sink 'good' { from = shuffle 'bad', null {} },\n"
    "  sink 'out' { from = shuffle 'poem:failed', null {} },\n"
    "}\n";

static void check_letters(struct trial *t)
{
    CHECK(lines_of(t, "the moon") >= 1);
    CHECK(lines_of(t, "over the moon") >= 1);
    CHECK_EQ(lines_of(t, "the moon") + lines_of(t, "over the moon"), t->count);
}

static const struct story stories[] = {
    {"word count", word_count, 0, check_word_count, 0},
    {"reload", reload, 10000000, check_reload, 0},
    {"errors", errors, 0, check_errors, 0},
    {"files", files, 0, check_files, 0},
    {"inputs", inputs, 0, check_inputs, 0},
    {"records", records, 0, check_records, 0},
    {"joins", joins, 0, check_joins, 0},
    {"operators", native, 0, check_native, 0},
    {"combined", combined, 0, check_native, 0},
    {"letters", letters, 0, check_letters, 2},
};
enum { STORIES = sizeof stories / sizeof stories[0] };

/* ---- point after point ---- */

struct point {
    const struct story *story;
    enum fault_kind kind;
    uint64_t n, failures;
};

/* How they ended, for the curious. */
struct tally {
    unsigned points, well, told, refused;
};

static const char *const kinds[FAULT_KINDS] = {"heap", "lua"};

static void check_trial(struct trial *t, const struct point *p)
{
    if (t->definition == NULL || t->topology == NULL) return;
    if (t->end.why == OK) {
        if (t->end.gave_up == t->story->give_up) t->story->check(t);
        return;
    }
    CHECK(t->end.why == ERR_CRASHED || t->end.why == ERR_NOMEM);
    /* One failure is what restarts and replays are there for. */
    if (p->failures == ONCE && t->ids[0] != 0)
        spec_fail(__FILE__, __LINE__, "one failure ended it: %s",
                  err_text(t->end.why));
}

/* False: the run had no n-th allocation of that kind. */
static bool try_point(const struct point *p, struct tally *tally)
{
    static struct trial t; /* large */
    if (getenv("ENGINE_FAULT_SAY"))
        fprintf(stderr, "%s %s %llu %llu\n", p->story->name, kinds[p->kind],
                (unsigned long long)p->n, (unsigned long long)p->failures);
    trial_init(&t, p->story, spec_seed);
    fault_arm(p->kind, p->n, p->failures);
    t.definition = load(p->story, 1);
    if (t.definition) run(&t);
    fault_disarm();
    bool reached = fault_failed() > 0;
    check_trial(&t, p);
    if (t.definition == NULL || t.topology == NULL)
        tally->refused++;
    else if (t.end.why == OK)
        tally->well++;
    else
        tally->told++;
    tally->points += reached;
    trial_fini(&t);
    return reached;
}

static void check_leaks(const char *of)
{
    if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check())
        spec_fail(__FILE__, __LINE__, "%s leaks", of);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static struct tally try_story(const struct story *story)
{
    /* Of the VMs' requests, which are many and alike, some; each seed
     * begins with another. */
    uint64_t percent = number("ENGINE_SEEDS_PERCENT", 100);
    uint64_t step = percent > 0 && percent < 100 ? 100 / percent : 1;
    uint64_t every = number("ENGINE_FAULT_EVERY", 61 * step);
    struct tally tally = {0};
    for (int pass = 0; pass < 2; pass++) {
        struct point p = {story, FAULT_HEAP, 1, pass ? BURST : ONCE};
        for (; try_point(&p, &tally); p.n += step)
            continue;
        p.kind = FAULT_LUA;
        p.n = 1 + (spec_seed - 1) % every;
        for (; try_point(&p, &tally); p.n += every)
            continue;
    }
    check_leaks(story->name);
    return tally;
}

/* ENGINE_FAULT_POINT="reload lua 117 50": that point alone. */
static bool try_named_point(void)
{
    const char *text = getenv("ENGINE_FAULT_POINT");
    char kind[16] = "";
    unsigned long long n = 0, failures = 0;
    if (text == NULL) return false;
    struct tally tally = {0};
    for (unsigned i = 0; i < STORIES; i++) {
        size_t length = strlen(stories[i].name);
        if (strncmp(text, stories[i].name, length) != 0) continue;
        CHECK(sscanf(text + length, "%15s %llu %llu", kind, &n, &failures) ==
              3);
        struct point p = {&stories[i],
                          strcmp(kind, "lua") ? FAULT_HEAP : FAULT_LUA, n,
                          failures};
        printf("%s\n", try_point(&p, &tally) ? "reached" : "not reached");
    }
    return true;
}

SPEC(fault, leaves_nothing_half_done_wherever_memory_ends)
{
    struct tally tallies[STORIES];
    if (try_named_point()) return;
    for (unsigned i = 0; i < STORIES; i++)
        tallies[i] = try_story(&stories[i]);
    printf("fault:");
    for (unsigned i = 0; i < STORIES; i++)
        printf("%s %s %u%s", i ? "," : "", stories[i].name, tallies[i].points,
               i ? "" : " points");
    printf("\n");
    for (unsigned i = 0; i < STORIES; i++)
        printf("fault: %s ended well %u times, said that it failed %u, was "
               "refused %u\n",
               stories[i].name, tallies[i].well, tallies[i].told,
               tallies[i].refused);
}

SPEC(fault, is_none_when_lua_must_collect_garbage_first)
{
    FOR_SEEDS(3)
    for (unsigned i = 0; i < STORIES; i++) {
        static struct trial t;
        trial_init(&t, &stories[i], spec_seed);
        fault_arm_collections(5);
        t.definition = load(&stories[i], 1);
        CHECK(t.definition != NULL);
        run(&t);
        fault_disarm();
        CHECK(fault_failed() > 100);
        CHECK_EQ(t.end.why, OK);
        CHECK_EQ(all_restarts(&t), 0);
        stories[i].check(&t);
        trial_fini(&t);
    }
}

SPEC(fault, of_any_actor_at_any_time_loses_nothing)
{
    FOR_SEEDS(100)
    for (unsigned i = 0; i < STORIES; i++) {
        static struct trial t;
        trial_init(&t, &stories[i], spec_seed);
        t.definition = load(&stories[i], 1);
        CHECK(t.definition != NULL);
        t.kills = 1 + (unsigned)sim_random(t.sim, 6);
        sim_set_turn_ns(t.sim, 50000); /* backoffs end while others work */
        run(&t);
        CHECK_EQ(t.end.why, OK);
        if (t.end.gave_up == stories[i].give_up) stories[i].check(&t);
        trial_fini(&t);
    }
}
