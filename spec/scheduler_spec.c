/* scheduler_spec.c - real threads: sums come out right on one, two and four,
 * and nobody sleeps through its work, held up as a thread may be. For the
 * thread sanitizer above all. */
#include "core/actor.h"
#include "core/deadline.h"
#include "core/edge.h"
#include "core/node.h"
#include "core/real.h"
#include "spec/spec.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

enum { GO = KIND_OWN, BALL, TUPLE, REPORT };
enum { WAIT_S = 60 };

static const unsigned thread_counts[] = {1, 2, 4};

/* A node on so many threads, and a main thread that waits for its end. */
struct stage {
    struct real *real;
    struct env *env; /* the main thread's */
    sem_t done;
    uint64_t sum;
};

static void stage_begin(struct stage *stage, unsigned threads)
{
    *stage = (struct stage){0};
    sem_init(&stage->done, 0, 0);
    stage->real = real_new(threads, spec_seed, NULL, NULL);
    CHECK(stage->real != NULL);
    CHECK_EQ(real_start(stage->real), OK);
    stage->env = node_outside(real_node(stage->real));
    CHECK(stage->env != NULL);
}

static bool wait_for(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    while (sem_timedwait(sem, &until) != 0)
        if (errno != EINTR) return false;
    return true;
}

static void stage_wait(struct stage *stage)
{
    CHECK(wait_for(&stage->done));
}

static void stage_end(struct stage *stage)
{
    node_outside_free(stage->env);
    real_stop(stage->real);
    real_free(stage->real);
    sem_destroy(&stage->done);
}

static actor_id spawn(struct stage *stage, const struct actor_kind *kind,
                      const void *args, uint32_t args_bytes)
{
    actor_id id = 0;
    CHECK_EQ(actor_spawn(stage->env, kind, args, args_bytes, &id), OK);
    return id;
}

static void tell(struct stage *stage, actor_id to, uint16_t kind,
                 const void *body, uint32_t bytes)
{
    CHECK_EQ(actor_send(stage->env, to, kind, body, bytes), OK);
}

/* ---- ping-pong ---- */

enum { HOPS = 20000 };

struct ball {
    actor_id from;
    uint64_t hops, sum;
};

static err player_init(struct env *env, void *self, const void *args)
{
    *(struct stage **)self = *(struct stage *const *)args;
    return OK;
}

static err player_receive(struct env *env, void *self, const struct msg *m)
{
    struct stage *stage = *(struct stage **)self;
    struct ball ball = *(struct ball *)msg_body(m);
    actor_id back = ball.from;
    if (ball.hops == 0) {
        stage->sum = ball.sum;
        sem_post(&stage->done);
        return OK;
    }
    ball.sum += ball.hops--;
    ball.from = env_self(env);
    return actor_send(env, back, BALL, &ball, sizeof ball);
}

static const struct actor_kind player = {
    .name = "player",
    .state_bytes = sizeof(struct stage *),
    .init = player_init,
    .receive = player_receive,
};

SPEC(scheduler, lets_two_play_ping_pong)
{
    for (int t = 0; t < 3; t++) {
        struct stage stage, *pointer = &stage;
        stage_begin(&stage, thread_counts[t]);
        actor_id a = spawn(&stage, &player, &pointer, sizeof pointer);
        actor_id b = spawn(&stage, &player, &pointer, sizeof pointer);
        struct ball ball = {.from = a, .hops = HOPS};
        tell(&stage, b, BALL, &ball, sizeof ball);
        stage_wait(&stage);
        CHECK_EQ(stage.sum, (uint64_t)HOPS * (HOPS + 1) / 2);
        stage_end(&stage);
    }
}

/* A thread that has parked is woken for each ball; one lost wake-up hangs. */
SPEC(scheduler, wakes_threads_that_have_parked)
{
    for (int t = 0; t < 3; t++) {
        struct stage stage, *pointer = &stage;
        stage_begin(&stage, thread_counts[t]);
        actor_id ids[3];
        for (int i = 0; i < 3; i++)
            ids[i] = spawn(&stage, &player, &pointer, sizeof pointer);
        for (unsigned i = 0; i < 1000; i++) {
            struct ball ball = {.from = ids[i % 3], .hops = i % 4};
            tell(&stage, ids[(i + 1) % 3], BALL, &ball, sizeof ball);
            stage_wait(&stage);
        }
        stage_end(&stage);
    }
}

/* ---- fan-in with credit ---- */

enum { PRODUCERS = 8, EACH = 2500, COST = 100, WINDOW = 1500 };

struct fan {
    struct stage *stage;
    struct edge edges[PRODUCERS];
    uint64_t next[PRODUCERS];
    unsigned left;
};

struct producer {
    struct fan *fan;
    unsigned number;
    uint64_t sent;
};

struct tuple {
    unsigned producer;
    uint64_t number;
};

static err collector_init(struct env *env, void *self, const void *args)
{
    struct fan *fan = *(struct fan **)self = *(struct fan *const *)args;
    for (int i = 0; i < PRODUCERS; i++)
        edge_attach_consumer(env, &fan->edges[i]);
    sem_post(&fan->stage->done);
    return OK;
}

static err collector_receive(struct env *env, void *self, const struct msg *m)
{
    struct fan *fan = *(struct fan **)self;
    const struct tuple *tuple = msg_body(m);
    if (tuple->number != fan->next[tuple->producer]++) return ERR_FORMAT;
    fan->stage->sum += tuple->number;
    if (--fan->left == 0) sem_post(&fan->stage->done);
    return OK;
}

static const struct actor_kind collector = {
    .name = "collector",
    .state_bytes = sizeof(struct fan *),
    .init = collector_init,
    .receive = collector_receive,
};

static err producer_init(struct env *env, void *self, const void *args)
{
    struct producer *p = self;
    *p = *(const struct producer *)args;
    edge_attach_producer(env, &p->fan->edges[p->number]);
    env_again(env);
    return OK;
}

static err producer_receive(struct env *env, void *self, const struct msg *m)
{
    struct producer *p = self;
    for (int i = 0; i < 4 && p->sent < EACH; i++) {
        struct msg *out = msg_new(env, TUPLE, sizeof(struct tuple));
        if (out == NULL) return ERR_NOMEM;
        *(struct tuple *)msg_body(out) = (struct tuple){p->number, p->sent++};
        edge_send(env, &p->fan->edges[p->number], out, COST);
    }
    if (p->sent < EACH) env_again(env);
    return OK;
}

static const struct actor_kind producer = {
    .name = "producer",
    .state_bytes = sizeof(struct producer),
    .init = producer_init,
    .receive = producer_receive,
};

SPEC(scheduler, gathers_from_producers_that_wait_for_credit)
{
    for (int t = 0; t < 3; t++) {
        struct stage stage;
        struct fan fan = {.stage = &stage, .left = PRODUCERS * EACH};
        struct fan *pointer = &fan;
        stage_begin(&stage, thread_counts[t]);
        for (int i = 0; i < PRODUCERS; i++)
            edge_init(&fan.edges[i], WINDOW);
        spawn(&stage, &collector, &pointer, sizeof pointer);
        stage_wait(&stage); /* it is attached */
        for (unsigned i = 0; i < PRODUCERS; i++) {
            struct producer p = {.fan = &fan, .number = i};
            spawn(&stage, &producer, &p, sizeof p);
        }
        stage_wait(&stage);
        stage_end(&stage);
        CHECK_EQ(stage.sum, (uint64_t)PRODUCERS * EACH * (EACH - 1) / 2);
        for (int i = 0; i < PRODUCERS; i++)
            CHECK_EQ(fan.edges[i].left_bytes +
                         atomic_load(&fan.edges[i].returned_bytes),
                     WINDOW);
    }
}

/* ---- a storm of births and deaths ---- */

enum { CHILDREN = 3, DEPTH = 9, FAMILY = 29524 /* (3^10 - 1) / 2 */ };

struct branch {
    struct stage *stage;
    actor_id parent; /* 0: the main thread */
    unsigned depth;
    unsigned waiting;
    uint64_t sum;
};

static const struct actor_kind branch_kind;

static err branch_report(struct env *env, struct branch *b)
{
    if (b->parent == 0) {
        b->stage->sum = b->sum;
        sem_post(&b->stage->done);
        return ERR_DONE;
    }
    err e = actor_send(env, b->parent, REPORT, &b->sum, sizeof b->sum);
    return e == OK ? ERR_DONE : e;
}

static err branch_init(struct env *env, void *self, const void *args)
{
    struct branch *b = self;
    *b = *(const struct branch *)args;
    b->sum = 1;
    if (b->depth == 0) {
        env_again(env);
        return OK;
    }
    struct branch child = {
        .stage = b->stage, .parent = env_self(env), .depth = b->depth - 1};
    for (; b->waiting < CHILDREN; b->waiting++) {
        actor_id id;
        err e = actor_spawn(env, &branch_kind, &child, sizeof child, &id);
        if (e != OK) return e;
    }
    return OK;
}

static err branch_receive(struct env *env, void *self, const struct msg *m)
{
    struct branch *b = self;
    if (m->kind == REPORT) {
        b->sum += *(uint64_t *)msg_body(m);
        if (--b->waiting > 0) return OK;
    }
    return branch_report(env, b);
}

static const struct actor_kind branch_kind = {
    .name = "branch",
    .state_bytes = sizeof(struct branch),
    .init = branch_init,
    .receive = branch_receive,
};

SPEC(scheduler, survives_a_storm_of_births_and_deaths)
{
    for (int t = 0; t < 3; t++) {
        struct stage stage;
        stage_begin(&stage, thread_counts[t]);
        struct branch root = {.stage = &stage, .depth = DEPTH};
        spawn(&stage, &branch_kind, &root, sizeof root);
        stage_wait(&stage);
        CHECK_EQ(stage.sum, FAMILY);
        struct node *node = real_node(stage.real);
        for (int i = 0; i < 1000 && node_alive(node) > 0; i++)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        CHECK_EQ(node_alive(node), 0);
        stage_end(&stage);
    }
}

/* ---- timers ---- */

enum { SLEEPERS = 50, NAPS = 30 };

struct sleeper {
    struct stage *stage;
    _Atomic unsigned *left;
    unsigned naps;
};

static err nap(struct env *env, struct sleeper *s)
{
    deadline_id id, other;
    int64_t in_ns = (int64_t)(env_random(env) % 2000000);
    err e = deadline_set(env, env_now(env) + in_ns, s->naps, &id);
    if (e != OK) return e;
    /* One that is cancelled, sometimes when it is on its way. */
    e = deadline_set(env, env_now(env) + in_ns / 8, UINT64_MAX, &other);
    if (e != OK) return e;
    if (env_random(env) % 2) env_charge(env, 1000);
    deadline_cancel(env, &other);
    return OK;
}

static err sleeper_init(struct env *env, void *self, const void *args)
{
    struct sleeper *s = self;
    *s = *(const struct sleeper *)args;
    return nap(env, s);
}

static err sleeper_receive(struct env *env, void *self, const struct msg *m)
{
    struct sleeper *s = self;
    const struct timer_due *due = msg_body(m);
    if (m->kind != MSG_TIMER || due->cookie != s->naps) return ERR_BADMSG;
    if (env_now(env) < due->at_ns) return ERR_LIMIT; /* too early */
    if (++s->naps < NAPS) return nap(env, s);
    if (--*s->left == 0) sem_post(&s->stage->done);
    return ERR_DONE;
}

static const struct actor_kind sleeper = {
    .name = "sleeper",
    .state_bytes = sizeof(struct sleeper),
    .init = sleeper_init,
    .receive = sleeper_receive,
};

SPEC(scheduler, wakes_many_sleepers_and_none_too_early)
{
    for (int t = 0; t < 3; t++) {
        struct stage stage;
        _Atomic unsigned left = SLEEPERS;
        stage_begin(&stage, thread_counts[t]);
        struct sleeper s = {.stage = &stage, .left = &left};
        for (int i = 0; i < SLEEPERS; i++)
            spawn(&stage, &sleeper, &s, sizeof s);
        stage_wait(&stage);
        stage_end(&stage);
    }
}

/* ---- more runnable actors than a run queue holds ---- */

enum { CROWD = 1000, ROUNDS = 10, KNOCKS = 2000 };

struct crowd {
    struct stage *stage;
    actor_id members[CROWD];
    _Atomic unsigned heard;
};

static err member_init(struct env *env, void *self, const void *args)
{
    *(struct crowd **)self = *(struct crowd *const *)args;
    return OK;
}

static err member_receive(struct env *env, void *self, const struct msg *m)
{
    struct crowd *crowd = *(struct crowd **)self;
    if (++crowd->heard == CROWD * ROUNDS + KNOCKS + ROUNDS)
        sem_post(&crowd->stage->done);
    if (m->kind != GO) return OK;
    for (int i = 0; i < CROWD; i++) {
        err e = actor_send(env, crowd->members[i], BALL, NULL, 0);
        if (e != OK) return e;
    }
    return OK;
}

static const struct actor_kind member = {
    .name = "member",
    .state_bytes = sizeof(struct crowd *),
    .init = member_init,
    .receive = member_receive,
};

SPEC(scheduler, loses_none_of_a_crowd_that_is_also_called_from_outside)
{
    for (int t = 0; t < 3; t++) {
        struct stage stage;
        static struct crowd crowd;
        struct crowd *pointer = &crowd;
        crowd = (struct crowd){.stage = &stage};
        stage_begin(&stage, thread_counts[t]);
        for (int i = 0; i < CROWD; i++)
            crowd.members[i] = spawn(&stage, &member, &pointer, sizeof pointer);
        for (unsigned i = 0; i < KNOCKS; i++) {
            if (i % (KNOCKS / ROUNDS) == 0)
                tell(&stage, crowd.members[i % CROWD], GO, NULL, 0);
            tell(&stage, crowd.members[i * 7 % CROWD], BALL, NULL, 0);
        }
        stage_wait(&stage);
        stage_end(&stage);
    }
}

/* ---- threads that are held up ---- */

enum { BLOCKERS_MAX = 4, BLOCKS = 50, PAIRS = 8, CALM = 200000 };

/* Blockers wait in the midst of a turn until the helper has heard of all. */
struct siege {
    struct stage *stage;
    unsigned threads, blockers;
    actor_id helper;
    sem_t relief;
    unsigned waiting;      /* the helper's */
    bool gave_up;          /* nobody came to help */
    _Atomic unsigned calm; /* turns since the spare thread ran one */
};

static err blocker_init(struct env *env, void *self, const void *args)
{
    *(struct siege **)self = *(struct siege *const *)args;
    return OK;
}

static err blocker_receive(struct env *env, void *self, const struct msg *m)
{
    struct siege *siege = *(struct siege **)self;
    err e = actor_send(env, siege->helper, BALL, NULL, 0);
    if (e != OK) return e;
    env_held_up(env);
    if (!wait_for(&siege->relief)) siege->gave_up = true;
    sem_post(&siege->stage->done);
    return OK;
}

static const struct actor_kind blocker = {
    .name = "blocker",
    .state_bytes = sizeof(struct siege *),
    .init = blocker_init,
    .receive = blocker_receive,
};

static err helper_receive(struct env *env, void *self, const struct msg *m)
{
    struct siege *siege = *(struct siege **)self;
    if (++siege->waiting < siege->blockers) return OK;
    siege->waiting = 0;
    for (unsigned i = 0; i < siege->blockers; i++)
        sem_post(&siege->relief);
    return OK;
}

static const struct actor_kind helper = {
    .name = "helper",
    .state_bytes = sizeof(struct siege *),
    .init = blocker_init,
    .receive = helper_receive,
};

static void siege_begin(struct siege *siege, struct stage *stage,
                        unsigned threads, unsigned blockers,
                        actor_id ids[BLOCKERS_MAX])
{
    *siege = (struct siege){
        .stage = stage, .threads = threads, .blockers = blockers};
    sem_init(&siege->relief, 0, 0);
    stage_begin(stage, threads);
    siege->helper = spawn(stage, &helper, &siege, sizeof siege);
    for (unsigned i = 0; i < blockers; i++)
        ids[i] = spawn(stage, &blocker, &siege, sizeof siege);
}

static void siege_end(struct siege *siege)
{
    stage_end(siege->stage);
    sem_destroy(&siege->relief);
    CHECK(!siege->gave_up);
}

/* As many actors as there are threads hold them up, all at once. */
SPEC(scheduler, goes_on_while_all_its_threads_are_held_up)
{
    for (int t = 0; t < 3; t++) {
        struct stage stage;
        struct siege siege;
        actor_id ids[BLOCKERS_MAX];
        unsigned blockers = thread_counts[t];
        siege_begin(&siege, &stage, thread_counts[t], blockers, ids);
        for (int block = 0; block < BLOCKS; block++) {
            for (unsigned i = 0; i < blockers; i++)
                tell(&stage, ids[i], GO, NULL, 0);
            for (unsigned i = 0; i < blockers; i++)
                stage_wait(&stage);
        }
        siege_end(&siege);
    }
}

/* Two that keep throwing a ball until the calm has lasted. */
static err fellow_receive(struct env *env, void *self, const struct msg *m)
{
    struct siege *siege = *(struct siege **)self;
    unsigned calm = atomic_fetch_add(&siege->calm, 1);
    if (env_thread(env) >= siege->threads) atomic_store(&siege->calm, 0);
    if (calm == CALM) sem_post(&siege->stage->done);
    actor_id back = m->from ? m->from : *(actor_id *)msg_body(m);
    return calm < CALM ? actor_send(env, back, BALL, NULL, 0) : OK;
}

static const struct actor_kind fellow = {
    .name = "fellow",
    .state_bytes = sizeof(struct siege *),
    .init = blocker_init,
    .receive = fellow_receive,
};

/* Balls fly all the time; so a spare thread that went on would take some. */
SPEC(scheduler, runs_on_as_many_threads_as_asked_when_none_is_held_up)
{
    for (int t = 0; t < 3; t++) {
        struct stage stage;
        struct siege siege, *pointer = &siege;
        actor_id ids[BLOCKERS_MAX];
        siege_begin(&siege, &stage, thread_counts[t], 1, ids);
        for (int i = 0; i < BLOCKS; i++) {
            tell(&stage, ids[0], GO, NULL, 0);
            stage_wait(&stage);
        }
        for (int i = 0; i < PAIRS; i++) {
            actor_id a = spawn(&stage, &fellow, &pointer, sizeof pointer);
            actor_id b = spawn(&stage, &fellow, &pointer, sizeof pointer);
            tell(&stage, a, BALL, &b, sizeof b);
        }
        stage_wait(&stage);
        siege_end(&siege);
    }
}

static void *relieve_later(void *arg)
{
    struct siege *siege = arg;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    sem_post(&siege->relief);
    return NULL;
}

SPEC(scheduler, ends_while_a_thread_is_held_up)
{
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < 20; i++) {
            struct stage stage;
            struct siege siege;
            actor_id ids[BLOCKERS_MAX];
            pthread_t reliever;
            siege_begin(&siege, &stage, thread_counts[t], 1, ids);
            siege.blockers = 2; /* the helper waits in vain */
            tell(&stage, ids[0], GO, NULL, 0);
            CHECK_EQ(pthread_create(&reliever, NULL, relieve_later, &siege), 0);
            stage_end(&stage);
            pthread_join(reliever, NULL);
            sem_destroy(&siege.relief);
            CHECK(!siege.gave_up);
        }
}

/* ---- those that stay ---- */

struct visit {
    actor_id keeper;
    pthread_t home;
    bool at_home;
    _Atomic bool keeper_in, caller_in, heard;
    struct stage *stage;
};

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static bool until(_Atomic bool *flag)
{
    for (int ms = 0; ms < WAIT_S * 1000 && !*flag; ms++)
        pause_ms(1);
    return *flag;
}

static err visitor_init(struct env *env, void *self, const void *args)
{
    *(struct visit **)self = *(struct visit *const *)args;
    return OK;
}

static err keeper_receive(struct env *env, void *self, const struct msg *m)
{
    struct visit *v = *(struct visit **)self;
    if (m->kind == GO) {
        env_stay(env);
        v->home = pthread_self();
        v->keeper_in = true;
        until(&v->caller_in);
        return OK;
    }
    v->at_home = pthread_equal(v->home, pthread_self());
    v->heard = true;
    return OK;
}

/* Goes on with its turn until the keeper has heard it: on this thread it never
 * would. */
static err caller_receive(struct env *env, void *self, const struct msg *m)
{
    struct visit *v = *(struct visit **)self;
    v->caller_in = true;
    if (!until(&v->keeper_in)) return ERR_LIMIT;
    pause_ms(10); /* the keeper rests */
    err e = actor_send(env, v->keeper, BALL, NULL, 0);
    env_flush(env);
    until(&v->heard);
    sem_post(&v->stage->done);
    return e;
}

static const struct actor_kind keeper = {
    .name = "keeper",
    .state_bytes = sizeof(struct visit *),
    .init = visitor_init,
    .receive = keeper_receive,
};

static const struct actor_kind caller = {
    .name = "caller",
    .state_bytes = sizeof(struct visit *),
    .init = visitor_init,
    .receive = caller_receive,
};

SPEC(scheduler, wakes_those_that_stay_where_they_ran)
{
    struct stage stage;
    stage_begin(&stage, 2);
    struct visit visit = {.stage = &stage}, *pointer = &visit;
    visit.keeper = spawn(&stage, &keeper, &pointer, sizeof pointer);
    actor_id calls = spawn(&stage, &caller, &pointer, sizeof pointer);
    tell(&stage, visit.keeper, GO, NULL, 0);
    tell(&stage, calls, GO, NULL, 0);
    stage_wait(&stage);
    CHECK(visit.heard && visit.at_home);
    stage_end(&stage);
}

/* Tasks that draw their edges' ids from one sequence would cancel out each
 * other's in the acker. */
SPEC(scheduler, gives_each_thread_draws_of_its_own)
{
    enum { THREADS = 4, DRAWS = 200 };
    uint64_t drawn[THREADS][DRAWS];
    struct env *envs[THREADS];
    struct real *real = real_new(1, 7, NULL, NULL);
    for (int i = 0; i < THREADS; i++) {
        envs[i] = node_outside(real_node(real));
        for (int k = 0; k < DRAWS; k++)
            drawn[i][k] = env_random(envs[i]);
    }
    for (int i = 0; i < THREADS * DRAWS; i++)
        for (int k = 0; k < i; k++)
            CHECK(drawn[i / DRAWS][i % DRAWS] != drawn[k / DRAWS][k % DRAWS]);
    for (int i = 0; i < THREADS; i++)
        node_outside_free(envs[i]);
    real_free(real);
}
