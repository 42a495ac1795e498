/* Every allocation of a run fails in turn, once and with all that follow it:
 * the run ends, it ends well with the right answer or says that it didn't, no
 * actor is left over, and nothing leaks. */
#include "actors/connectors/format.h"
#include "core/alloc.h"
#include "core/runtime.h"
#include "core/store_memory.h"
#include "lua/component.h"
#include "lua/definition.h"
#include "spec/fault.h"
#include "spec/fault_story.h"
#include "spec/pack.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

/* Of the sanitizer, where there is one: not 0, something has leaked. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

enum {
    CHECKPOINT_NS = 5 * 1000 * 1000, /* of stories that keep state */
    STEPS_MAX = 200000,
    ONCE = 1,
    BURST = 50, /* how many fail in the second pass */
};

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

static int disk_truncate(void *context, int file, int64_t bytes)
{
    fault_pause();
    int error = inner->disk->truncate(inner->disk->context, file, bytes);
    fault_go_on();
    return error;
}

static int disk_sync_names(void *context, const char *path)
{
    fault_pause();
    int error = inner->disk->sync_names(inner->disk->context, path);
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
    .truncate = disk_truncate,
    .sync_names = disk_sync_names,
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

static void make_store(struct trial *t)
{
    fault_pause();
    t->memory = store_memory_new();
    struct store_backend backend = store_memory_backend(t->memory);
    t->store = store_new(&backend);
    fault_go_on();
}

static void run(struct trial *t)
{
    if (plan_is_durable(&t->definition->plan)) make_store(t);
    struct topology_config config = {
        .plan = &t->definition->plan,
        .store = t->store,
        .checkpoint_ns = CHECKPOINT_NS,
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
    sim_file_put(t->node, "/poem", poem, strlen(poem));
    put_inputs(t);
    sim_file_put(t->node, "/records", record_lines, strlen(record_lines));
    guard_world(t->node);
    running = t;
}

static void trial_fini(struct trial *t)
{
    sim_kill_node(t->node);
    topology_free(t->topology);
    store_free(t->store);
    store_memory_free(t->memory);
    definition_free(t->definition);
    definition_free(t->next);
    for (unsigned i = 0; i < t->count; i++)
        mem_free(t->lines[i]);
    sim_free(t->sim);
    running = NULL;
}

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
