#define _POSIX_C_SOURCE 200809L
#include "spec/registry_world.h"
#include "core/alloc.h"
#include "core/real.h"
#include "core/store_lmdb.h"
#include "core/store_memory.h"
#include "spec/folder.h"
#include "spec/sim/sim.h"
#include <stdio.h>
#include <time.h>

enum { KIND_ORDER = KIND_OWN, KIND_REGISTRY = KIND_OWN + 16, WAIT_S = 60 };

/* ---- the places ---- */

static void open_store(struct registry_world *w, struct store_backend backend)
{
    char why[STORE_WHY_BYTES] = "";
    w->store = store_new(&backend);
    CHECK(w->store != NULL);
    err e = registry_store_open(w->store, &w->rs, why);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", why);
    w->registry = registry_store_calls(w->rs);
}

static void close_store(struct registry_world *w)
{
    registry_store_free(w->rs);
    store_free(w->store);
}

static bool expire_in_store(struct registry_world *w, uint64_t session)
{
    return registry_store_expire(w->rs, session);
}

static void begin_memory(struct registry_world *w)
{
    w->own = store_memory_new();
    CHECK(w->own != NULL);
}

static void end_memory(struct registry_world *w)
{
    store_memory_free(w->own);
}

static void open_memory(struct registry_world *w)
{
    open_store(w, store_memory_backend(w->own));
}

static void begin_folder(struct registry_world *w)
{
    w->own = mem_zero(1, FOLDER_BYTES);
    CHECK(w->own != NULL);
    folder_make(w->own);
}

static void end_folder(struct registry_world *w)
{
    folder_remove(w->own);
    mem_free(w->own);
}

static void open_folder(struct registry_world *w)
{
    struct store_backend backend;
    char why[STORE_WHY_BYTES] = "";
    err e = store_lmdb_open(w->own, STORE_OWN, 0, &backend, why);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", why);
    open_store(w, backend);
}

#define IN_MEMORY                                                              \
    .open = open_memory, .close = close_store, .expire = expire_in_store,      \
    .begin = begin_memory, .end = end_memory
#define IN_FOLDER                                                              \
    .open = open_folder, .close = close_store, .expire = expire_in_store,      \
    .begin = begin_folder, .end = end_folder

/* A commit to a folder waits for the disk. */
const struct registry_place registry_places[] = {
    {"memory, simulated", .simulated = true, .percent = 100, IN_MEMORY},
    {"memory, 2 threads", .threads = 2, .percent = 5, IN_MEMORY},
    {"folder, simulated", .simulated = true, .percent = 5, IN_FOLDER},
    {"folder, 1 thread", .threads = 1, IN_FOLDER},
    {"folder, 4 threads", .threads = 4, IN_FOLDER},
};
const unsigned registry_place_count =
    sizeof registry_places / sizeof registry_places[0];

/* ---- the world ---- */

static void start_nodes(struct registry_world *w)
{
    if (w->place->simulated) {
        if (w->sim == NULL) w->sim = sim_new(spec_seed);
        CHECK(w->sim != NULL);
        return;
    }
    w->real = real_new(w->place->threads, spec_seed, NULL, NULL);
    CHECK(w->real != NULL);
    CHECK_EQ(real_start(w->real), OK);
    w->outside = node_outside(real_node(w->real));
    CHECK(w->outside != NULL);
}

static void stop_nodes(struct registry_world *w)
{
    if (w->sim) {
        for (uint16_t i = 0; i < MEMBERS_MAX; i++)
            CHECK_EQ(sim_kill_node(sim_node(w->sim, i)), OK);
        return;
    }
    real_stop(w->real);
    node_outside_free(w->outside);
    real_free(w->real);
}

struct registry_world *world_begin(const struct registry_place *place)
{
    struct registry_world *w = mem_zero(1, sizeof *w);
    CHECK(w != NULL);
    w->place = place;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->news, NULL);
    place->begin(w);
    place->open(w);
    start_nodes(w);
    return w;
}

void world_end(struct registry_world *w)
{
    CHECK_TEXT(w->wrong ? w->wrong : "", "");
    stop_nodes(w);
    w->place->close(w);
    w->place->end(w);
    sim_free(w->sim);
    pthread_cond_destroy(&w->news);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

void world_crash(struct registry_world *w)
{
    stop_nodes(w);
    w->place->close(w);
    w->place->open(w);
    start_nodes(w);
}

static bool holds_now(struct registry_world *w, bool (*holds)(const void *arg),
                      const void *arg)
{
    pthread_mutex_lock(&w->lock);
    bool yes = holds(arg);
    pthread_mutex_unlock(&w->lock);
    return yes;
}

static void wait_real(struct registry_world *w, bool (*holds)(const void *arg),
                      const void *arg)
{
    struct timespec until;
    int failed = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&w->lock);
    while (!holds(arg) && failed == 0)
        failed = pthread_cond_timedwait(&w->news, &w->lock, &until);
    pthread_mutex_unlock(&w->lock);
    if (failed)
        spec_fail(__FILE__, __LINE__, "%s: nothing came", w->place->name);
}

void world_wait(struct registry_world *w, bool (*holds)(const void *arg),
                const void *arg)
{
    if (w->real) wait_real(w, holds, arg);
    while (!w->real && !holds_now(w, holds, arg))
        if (!sim_step(w->sim, INT64_MAX - 1))
            spec_fail(__FILE__, __LINE__, "%s: it is quiet", w->place->name);
    if (w->wrong)
        spec_fail(__FILE__, __LINE__, "%s: %s", w->place->name, w->wrong);
}

uint64_t world_highest(struct registry_world *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t highest = w->highest;
    pthread_mutex_unlock(&w->lock);
    return highest;
}

static void lock(struct member *m)
{
    struct registry_world *w = m->world;
    pthread_mutex_lock(&w->lock);
    if (m->calling) w->wrong = "it called back inside a call";
    if (m->ended) w->wrong = "it called back when the session was closed";
}

static void unlock(struct member *m)
{
    pthread_cond_broadcast(&m->world->news);
    pthread_mutex_unlock(&m->world->lock);
}

static void blame(struct member *m, const char *wrong)
{
    lock(m);
    m->world->wrong = wrong;
    unlock(m);
}

/* ---- members ---- */

struct order {
    void (*deed)(struct env *env, struct member *m, void *arg);
    void *arg;
};

static void told(struct env *env, void *holder, enum registry_state state,
                 uint64_t session);

static err open_session(struct env *env, struct member *m)
{
    m->asked = m->answered = 0;
    bool inside = m->calling;
    m->calling = true;
    err e = registry_open(env, &m->world->registry, KIND_REGISTRY, told, m,
                          &m->session);
    m->calling = inside;
    return e;
}

static void told(struct env *env, void *holder, enum registry_state state,
                 uint64_t session)
{
    struct member *m = holder;
    lock(m);
    if (m->answered > 0 && state == REGISTRY_UP)
        m->world->wrong = "it was up after an answer";
    m->up = state == REGISTRY_UP;
    m->gone = state == REGISTRY_GONE;
    m->session_number = session;
    unlock(m);
    if (!m->gone || !m->reopens) return;
    registry_close(env, m->session);
    if (open_session(env, m) != OK) blame(m, "it can't be opened again");
}

static err member_init(struct env *env, void *self, const void *args)
{
    struct member *m = *(struct member **)self = *(struct member *const *)args;
    return open_session(env, m);
}

static err member_receive(struct env *env, void *self, const struct msg *msg)
{
    struct member *m = *(struct member **)self;
    if (msg->kind == MSG_STOP) return ERR_DONE;
    if (registry_mine(m->session, msg))
        return registry_receive(env, m->session, msg);
    if (msg->kind != KIND_ORDER) return ERR_BADMSG;
    const struct order *order = msg_body(msg);
    m->calling = true;
    order->deed(env, m, order->arg);
    m->calling = false;
    return OK;
}

static void member_terminate(struct env *env, void *self, err why)
{
    struct member *m = *(struct member **)self;
    registry_close(env, m->session);
    pthread_mutex_lock(&m->world->lock);
    m->ended = true;
    unlock(m);
}

static const struct actor_kind member_kind = {
    .name = "member",
    .state_bytes = sizeof(struct member *),
    .init = member_init,
    .receive = member_receive,
    .terminate = member_terminate,
};

static struct env *env_of(struct member *m)
{
    struct registry_world *w = m->world;
    if (w->real) return w->outside;
    struct sim_node *node =
        sim_node(w->sim, (uint16_t)(m->number % MEMBERS_MAX));
    CHECK(node != NULL);
    return sim_env(node);
}

static bool is_up(const void *arg)
{
    return ((const struct member *)arg)->up;
}

static bool is_gone(const void *arg)
{
    return ((const struct member *)arg)->gone;
}

static bool has_ended(const void *arg)
{
    return ((const struct member *)arg)->ended;
}

struct member *join(struct registry_world *w)
{
    CHECK(w->count < sizeof w->members / sizeof w->members[0]);
    struct member *m = &w->members[w->count];
    *m = (struct member){.world = w, .number = w->count++};
    CHECK_EQ(actor_spawn(env_of(m), &member_kind, &m, sizeof m, &m->id), OK);
    world_wait(w, is_up, m);
    return m;
}

void leave(struct member *m, err why)
{
    if (why == ERR_DONE)
        CHECK_EQ(actor_send(env_of(m), m->id, MSG_STOP, NULL, 0), OK);
    else
        CHECK_EQ(actor_kill(env_of(m), m->id, why), OK);
    world_wait(m->world, has_ended, m);
}

void await_gone(struct member *m)
{
    world_wait(m->world, is_gone, m);
}

void tell_to(struct member *m,
             void (*deed)(struct env *env, struct member *m, void *arg),
             void *arg)
{
    struct order order = {deed, arg};
    CHECK_EQ(actor_send(env_of(m), m->id, KIND_ORDER, &order, sizeof order),
             OK);
}

/* ---- requests ---- */

struct asking {
    struct answer *answer;
    const char *key;
    unsigned count;
    struct registry_op ops[REGISTRY_OPS_MAX];
};

static void ask(struct member *m, struct answer *a)
{
    struct registry_world *w = m->world;
    pthread_mutex_lock(&w->lock);
    *a = (struct answer){.member = m, .turn = m->asked++};
    a->floor = w->highest;
    pthread_mutex_unlock(&w->lock);
}

static void finish(struct env *env, struct answer *a, err outcome)
{
    struct member *m = a->member;
    struct registry_world *w = m->world;
    lock(m);
    if (a->done) w->wrong = "it was answered twice";
    if (a->turn != m->answered++) w->wrong = "it was answered out of order";
    a->outcome = outcome;
    a->done = true;
    for (unsigned i = 0; a->revision == 0 && i < a->count; i++)
        if (a->versions[i] > w->highest) w->highest = a->versions[i];
    if (a->revision > w->highest) w->highest = a->revision;
    unlock(m);
}

static void on_done(struct env *env, void *arg, err outcome,
                    const struct registry_result *results, unsigned count,
                    unsigned failed)
{
    struct answer *a = arg;
    a->failed = failed;
    a->count = count;
    for (unsigned i = 0; i < count; i++) {
        a->versions[i] = results[i].version;
        if (i < KEPT_MAX)
            snprintf(a->kept[i].key, sizeof a->kept[i].key, "%s",
                     results[i].key);
    }
    finish(env, a, outcome);
}

static void on_read(struct env *env, void *arg, err outcome,
                    const struct registry_entry *first, unsigned count,
                    uint64_t revision)
{
    struct answer *a = arg;
    a->revision = revision;
    unsigned n = 0;
    for (const struct registry_entry *e = first; e; e = e->next, n++) {
        if (n >= KEPT_MAX) continue;
        snprintf(a->kept[n].key, sizeof a->kept[n].key, "%s", e->key);
        snprintf(a->kept[n].value, sizeof a->kept[n].value, "%.*s",
                 (int)e->value.count, (const char *)e->value.at);
        a->kept[n].bytes = e->value.count;
        a->kept[n].version = e->version;
        a->kept[n].fence = e->fence;
        a->kept[n].owner = e->owner;
    }
    if (n != count) blame(a->member, "the list is of another length");
    a->count = n;
    finish(env, a, outcome);
}

/* What is refused there and then is an answer, too, of the first that comes. */
static void begun(struct member *m, struct answer *a, err e)
{
    if (e == OK) return;
    pthread_mutex_lock(&m->world->lock);
    m->asked--;
    a->outcome = e;
    a->done = true;
    unlock(m);
}

/* One op has a word of its own. */
static err ask_txn(struct env *env, struct member *m, struct asking *q)
{
    const struct registry_op *op = q->ops;
    struct registry_session *s = m->session;
    if (q->count != 1 || op->deed != REGISTRY_PUT || op->flags)
        return registry_txn(env, s, op, q->count, on_done, q->answer);
    return registry_put(env, s, op->key, op->value, op->expect, on_done,
                        q->answer);
}

static void do_txn(struct env *env, struct member *m, void *arg)
{
    struct asking *q = arg;
    ask(m, q->answer);
    begun(m, q->answer, ask_txn(env, m, q));
    mem_free(q);
}

static void do_get(struct env *env, struct member *m, void *arg)
{
    struct asking *q = arg;
    ask(m, q->answer);
    begun(m, q->answer,
          registry_get(env, m->session, q->key, true, on_read, q->answer));
    mem_free(q);
}

static void do_children(struct env *env, struct member *m, void *arg)
{
    struct asking *q = arg;
    ask(m, q->answer);
    begun(m, q->answer,
          registry_children(env, m->session, q->key, true, on_read, q->answer));
    mem_free(q);
}

static struct asking *asking(struct answer *a, const char *key)
{
    struct asking *q = mem_zero(1, sizeof *q);
    CHECK(q != NULL);
    a->done = false;
    q->answer = a;
    q->key = key;
    return q;
}

void begin_txn(struct member *m, const struct registry_op *ops, unsigned count,
               struct answer *a)
{
    struct asking *q = asking(a, NULL);
    q->count = count;
    memcpy(q->ops, ops,
           (count < REGISTRY_OPS_MAX ? count : REGISTRY_OPS_MAX) * sizeof *ops);
    tell_to(m, do_txn, q);
}

void begin_get(struct member *m, const char *key, struct answer *a)
{
    tell_to(m, do_get, asking(a, key));
}

void begin_children(struct member *m, const char *key, struct answer *a)
{
    tell_to(m, do_children, asking(a, key));
}

static bool is_done(const void *arg)
{
    return ((const struct answer *)arg)->done;
}

void await(struct registry_world *w, const struct answer *a)
{
    world_wait(w, is_done, a);
}

static struct answer the_answer;

static const struct answer *wait_for(struct member *m)
{
    world_wait(m->world, is_done, &the_answer);
    return &the_answer;
}

const struct answer *txn(struct member *m, const struct registry_op *ops,
                         unsigned count)
{
    begin_txn(m, ops, count, &the_answer);
    return wait_for(m);
}

const struct answer *get(struct member *m, const char *key)
{
    begin_get(m, key, &the_answer);
    return wait_for(m);
}

const struct answer *children(struct member *m, const char *key)
{
    begin_children(m, key, &the_answer);
    return wait_for(m);
}

struct registry_op put_op(const char *key, const char *value, uint64_t expect)
{
    return (struct registry_op){REGISTRY_PUT, 0, key,
                                bytes_of(value, strlen(value)), expect};
}

struct registry_op create_op(const char *key, const char *value, unsigned flags)
{
    struct registry_op op = put_op(key, value, REGISTRY_ABSENT);
    op.flags = flags;
    return op;
}

struct registry_op delete_op(const char *key, uint64_t expect)
{
    return (struct registry_op){REGISTRY_DELETE, 0, key, bytes_of(NULL, 0),
                                expect};
}

struct registry_op check_op(const char *key, uint64_t expect)
{
    return (struct registry_op){REGISTRY_CHECK, 0, key, bytes_of(NULL, 0),
                                expect};
}

uint64_t put(struct member *m, const char *key, const char *value,
             uint64_t expect)
{
    struct registry_op op = put_op(key, value, expect);
    const struct answer *a = txn(m, &op, 1);
    CHECK_EQ(a->outcome, OK);
    CHECK_EQ(a->count, 1);
    return a->versions[0];
}

uint64_t create(struct member *m, const char *key, unsigned flags)
{
    struct registry_op op = create_op(key, "", flags);
    const struct answer *a = txn(m, &op, 1);
    CHECK_EQ(a->outcome, OK);
    return a->versions[0];
}

void delete_key(struct member *m, const char *key, uint64_t expect)
{
    struct registry_op op = delete_op(key, expect);
    CHECK_EQ(txn(m, &op, 1)->outcome, OK);
}

const char *listed(struct member *m, const char *key)
{
    static char out[KEPT_MAX * 300];
    size_t used = 0;
    const struct answer *a = children(m, key);
    CHECK_EQ(a->outcome, OK);
    CHECK(a->count <= KEPT_MAX);
    out[0] = '\0';
    for (unsigned i = 0; i < a->count; i++)
        used +=
            (size_t)snprintf(out + used, sizeof out - used, "%s%s=%s",
                             i ? " " : "", a->kept[i].key, a->kept[i].value);
    return out;
}

void await_listed(struct member *m, const char *key, const char *list)
{
    for (int i = 0; i < 100000 && strcmp(listed(m, key), list) != 0; i++)
        continue;
    CHECK_TEXT(listed(m, key), list);
}

/* ---- watches ---- */

static void on_seen(struct env *env, void *arg, uint64_t watch,
                    uint64_t revision)
{
    struct sight *s = arg;
    lock(s->member);
    if (revision < s->revision) s->member->world->wrong = "it went back";
    s->revision = revision;
    s->count++;
    unlock(s->member);
}

struct looking {
    struct sight *sight;
    const char *key;
};

static void do_watch(struct env *env, struct member *m, void *arg)
{
    struct looking *l = arg;
    err e = registry_watch(env, m->session, l->key, on_seen, l->sight,
                           &l->sight->watch);
    if (e != OK) blame(m, "it can't be watched");
    mem_free(l);
}

static void do_unwatch(struct env *env, struct member *m, void *arg)
{
    struct sight *s = arg;
    registry_unwatch(m->session, s->watch);
}

static bool is_seen(const void *arg)
{
    return ((const struct sight *)arg)->count > 0;
}

void watch_key(struct member *m, const char *key, struct sight *sight)
{
    struct looking *l = mem_alloc(sizeof *l);
    CHECK(l != NULL);
    *sight = (struct sight){.member = m};
    *l = (struct looking){sight, key};
    tell_to(m, do_watch, l);
    world_wait(m->world, is_seen, sight);
}

void unwatch_key(struct sight *sight)
{
    tell_to(sight->member, do_unwatch, sight);
}

struct wish {
    const struct sight *sight;
    uint64_t revision;
};

static bool is_fulfilled(const void *arg)
{
    const struct wish *w = arg;
    return w->sight->revision >= w->revision;
}

void await_seen(struct sight *sight, uint64_t revision)
{
    struct wish wish = {sight, revision};
    world_wait(sight->member->world, is_fulfilled, &wish);
}

/* ---- locks ---- */

struct locking {
    struct member *member;
    const char *key;
    bool done;
    err outcome;
    uint64_t fence;
};

static void on_locked(struct env *env, void *arg, err outcome, uint64_t fence)
{
    struct locking *l = arg;
    lock(l->member);
    l->outcome = outcome;
    l->fence = fence;
    l->done = true;
    unlock(l->member);
}

static void do_lock(struct env *env, struct member *m, void *arg)
{
    struct locking *l = arg;
    err e =
        registry_lock(env, m->session, l->key, bytes_of("", 0), on_locked, l);
    if (e != OK) blame(m, "it can't be locked");
}

static bool is_locked(const void *arg)
{
    return ((const struct locking *)arg)->done;
}

err lock_key(struct member *m, const char *key, uint64_t *fence)
{
    struct locking l = {.member = m, .key = key};
    tell_to(m, do_lock, &l);
    world_wait(m->world, is_locked, &l);
    *fence = l.fence;
    return l.outcome;
}

static void on_lead(struct env *env, void *arg, uint64_t fence)
{
    struct candidate *c = arg;
    struct registry_world *w = c->member->world;
    lock(c->member);
    if (c->fence) w->wrong = "it leads already";
    if (fence <= w->fences) w->wrong = "the fence hasn't grown";
    w->fences = fence;
    c->fence = fence;
    c->led++;
    unlock(c->member);
}

static void on_lost(struct env *env, void *arg)
{
    struct candidate *c = arg;
    lock(c->member);
    if (c->fence == 0) c->member->world->wrong = "it hadn't led";
    c->fence = 0;
    c->lost++;
    unlock(c->member);
}

static const struct registry_race race = {on_lead, on_lost};

struct running {
    struct candidate *candidate;
    const char *key;
};

static void do_run(struct env *env, struct member *m, void *arg)
{
    struct running *r = arg;
    err e = registry_elect(env, m->session, r->key, bytes_of("", 0), &race,
                           r->candidate, &r->candidate->claim);
    if (e != OK) blame(m, "it can't be elected");
    mem_free(r);
}

static void do_resign(struct env *env, struct member *m, void *arg)
{
    struct candidate *c = arg;
    registry_resign(env, c->claim);
    pthread_mutex_lock(&m->world->lock);
    c->fence = 0;
    unlock(m);
}

void run_for(struct member *m, const char *key, struct candidate *c)
{
    struct running *r = mem_alloc(sizeof *r);
    CHECK(r != NULL);
    *r = (struct running){c, key};
    *c = (struct candidate){.member = m};
    tell_to(m, do_run, r);
}

void resign(struct candidate *c)
{
    tell_to(c->member, do_resign, c);
}

struct leading {
    const struct candidate *candidate;
    unsigned times;
};

static bool does_lead(const void *arg)
{
    const struct leading *l = arg;
    return l->candidate->fence != 0 && l->candidate->led >= l->times;
}

void await_lead(struct candidate *c, unsigned times)
{
    world_wait(c->member->world, does_lead, &(struct leading){c, times});
}
