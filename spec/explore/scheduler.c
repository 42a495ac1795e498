/* scheduler.c - the real scheduler's threads as fibers: no wake-up is lost
 * between parking, stealing and pushing, from inside and from outside, and
 * every thread ends. A lost one leaves all threads waiting, which fails. Also
 * when one of them is held up until another has run an actor. */
#include "core/scheduler.h"
#include "core/alloc.h"
#include "core/runtime.h"
#include "spec/explore/explore.h"

enum { BALL = KIND_OWN, FAN_OUT };
enum { ACTORS = 4, PLAYS = 3 };
enum { CROWD = 300 }; /* more than a run queue holds */

struct story {
    struct world world;
    struct node *node;
    struct env *outside, *caller; /* two threads' views from outside */
    struct scheduler *scheduler;
    unsigned threads;
    actor_id actors[CROWD];
    unsigned count; /* of them */
    unsigned expected, received;
    bool holds;  /* actors hold up their threads ... */
    bool held;   /* ... one until a certain ball has come */
    bool caught; /* it has */
};

struct ball {
    unsigned hops;
    bool wanted; /* a thread is held up until it is caught */
};

static int64_t now_ns(void *context)
{
    return 1;
}

static void ready(void *context, struct env *env, struct actor *actor)
{
    struct story *s = context;
    if (s->scheduler) scheduler_ready(s->scheduler, env, actor);
}

static void pressed(void *context, struct env *env, struct actor *actor)
{
    scheduler_pressed(env, actor);
}

static void held_up(void *context, struct env *env)
{
    scheduler_held_up(env);
}

static void alarm_at(void *context, struct node *node, int64_t at_ns)
{
}

static err player_init(struct env *env, void *self, const void *args)
{
    *(struct story **)self = *(struct story *const *)args;
    if (explore_random(2)) env_stay(env);
    return OK;
}

static void throw_ball(struct env *env, struct story *s, actor_id to,
                       unsigned hops)
{
    struct ball ball = {.hops = hops};
    s->expected++;
    EXPLORE_CHECK(actor_send(env, to, BALL, &ball, sizeof ball) == OK);
}

static bool is_caught(void *context)
{
    const struct story *s = context;
    return s->caught;
}

/* One at a time waits for another actor: that one is never waiting itself. */
static void hold_up(struct env *env, struct story *s)
{
    if (s->held || explore_random(2)) {
        env_held_up(env);
        explore_pause(explore_random(100));
        return;
    }
    actor_id to = s->actors[explore_random(s->count)];
    if (to == env_self(env)) return;
    s->held = true;
    s->caught = false;
    struct ball ball = {.wanted = true};
    if (explore_random(2)) env_held_up(env);
    s->expected++;
    struct env *by = explore_random(2) ? env : s->caller;
    EXPLORE_CHECK(actor_send(by, to, BALL, &ball, sizeof ball) == OK);
    env_held_up(env);
    explore_wait(is_caught, s);
    s->held = false;
}

/* Two balls for one, until they have no hops left. */
static err player_receive(struct env *env, void *self, const struct msg *m)
{
    struct story *s = *(struct story **)self;
    if (m->kind == FAN_OUT) {
        for (unsigned i = 0; i < s->count; i++)
            throw_ball(env, s, s->actors[i], 0);
        s->received++;
        return OK;
    }
    struct ball ball = *(struct ball *)msg_body(m);
    if (ball.wanted) s->caught = true;
    if (s->holds && explore_random(3) == 0) hold_up(env, s);
    if (ball.hops-- > 0)
        for (int i = 0; i < 2; i++)
            throw_ball(env, s, s->actors[explore_random(s->count)], ball.hops);
    s->received++;
    return OK;
}

static const struct actor_kind player_kind = {
    .name = "player",
    .state_bytes = sizeof(struct story *),
    .init = player_init,
    .receive = player_receive,
};

static bool is_done(void *context)
{
    const struct story *s = context;
    return s->received == s->expected;
}

/* All have ended and nothing is queued: the next run's scheduler knows of
 * none that this one would take with it. */
static bool is_deserted(void *context)
{
    const struct story *s = context;
    for (uint32_t slot = 0; slot < s->node->slot_count; slot++)
        if (at_load(&actor_at(s->node, slot)->box.head, RELAXED) !=
            MAILBOX_IDLE)
            return false;
    return node_alive(s->node) == 0;
}

static void end_play(struct story *s)
{
    explore_wait(is_done, s);
    for (unsigned i = 0; i < s->count; i++)
        actor_kill(s->outside, s->actors[i], ERR_DONE);
    explore_wait(is_deserted, s);
    scheduler_stop(s->scheduler);
}

static void play(void *context)
{
    struct story *s = context;
    EXPLORE_CHECK(scheduler_start(s->scheduler) == OK);
    for (int i = 0; i < PLAYS; i++) {
        throw_ball(s->outside, s, s->actors[explore_random(s->count)],
                   (unsigned)explore_random(3));
        if (explore_random(2)) explore_wait(is_done, s);
        /* A thread looks around for long before it parks: meet it there. */
        if (explore_random(2)) explore_pause(explore_random(4000));
    }
    end_play(s);
}

/* An actor makes more of them runnable than a run queue holds, while another
 * thread writes to the same ones. */
static void play_in_crowd(void *context)
{
    struct story *s = context;
    EXPLORE_CHECK(scheduler_start(s->scheduler) == OK);
    explore_wait(is_done, s);
    s->expected++;
    err e = actor_send(s->outside, s->actors[0], FAN_OUT, NULL, 0);
    EXPLORE_CHECK(e == OK);
    for (int i = 0; i < 20; i++)
        throw_ball(s->outside, s, s->actors[explore_random(s->count)], 0);
    end_play(s);
}

static struct story *make_with(unsigned threads)
{
    struct story *s = mem_zero(1, sizeof *s);
    EXPLORE_CHECK(s != NULL);
    s->threads = threads;
    s->world = (struct world){.now_ns = now_ns,
                              .wall_ns = now_ns,
                              .ready = ready,
                              .pressed = pressed,
                              .held_up = held_up,
                              .alarm = alarm_at,
                              .context = s};
    struct node_config config = {
        .threads = s->threads, .seed = 1, .world = &s->world};
    s->node = node_new(&config);
    EXPLORE_CHECK(s->node != NULL);
    s->outside = node_outside(s->node);
    s->caller = node_outside(s->node);
    EXPLORE_CHECK(s->outside != NULL && s->caller != NULL);
    return s;
}

static void *make(void)
{
    return make_with(1 + (unsigned)explore_random(3));
}

static void *make_held_up(void)
{
    struct story *s = make_with(1 + (unsigned)explore_random(2));
    s->holds = true;
    return s;
}

static void *make_crowd(void)
{
    return make_with(1 + (unsigned)explore_random(2));
}

static void drop(void *world)
{
    struct story *s = world;
    node_outside_free(s->outside);
    node_outside_free(s->caller);
    node_free(s->node);
    mem_free(s);
}

static void explore_play(struct story *s, explore_body *body, unsigned count)
{
    s->scheduler = scheduler_new(s->node, s->threads, NULL);
    EXPLORE_CHECK(s->scheduler != NULL);
    s->expected = s->received = 0;
    s->count = count;
    for (unsigned i = 0; i < count; i++) {
        err e =
            actor_spawn(s->outside, &player_kind, &s, sizeof s, &s->actors[i]);
        EXPLORE_CHECK(e == OK);
    }
    explore_fiber(body, s);
    explore_all();
    scheduler_free(s->scheduler);
    s->scheduler = NULL;
}

static void run(void *world)
{
    explore_play(world, play, ACTORS);
}

static void run_crowd(void *world)
{
    explore_play(world, play_in_crowd, CROWD);
}

const struct explore_story explore_scheduler = {
    .name = "scheduler", .runs = 20000, .make = make, .run = run, .drop = drop};

const struct explore_story explore_crowd = {.name = "crowd",
                                            .runs = 1000,
                                            .make = make_crowd,
                                            .run = run_crowd,
                                            .drop = drop};

const struct explore_story explore_held_up = {.name = "held up",
                                              .runs = 20000,
                                              .make = make_held_up,
                                              .run = run,
                                              .drop = drop};
