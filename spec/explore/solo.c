/* solo.c - one scheduler thread, which goes straight to the lanes, and two
 * from outside, which push: no message to the living is lost, each comes once
 * and in order, and nobody sleeps over one; slots change hands meanwhile. Also
 * when it ceases to be the only one at any moment, and when most of those who
 * live share a turn: then one of them runs at a time, is born or ends. */
#include "core/group.h"
#include "spec/explore/crew.h"

enum { NUMBER = KIND_OWN, HOP };
enum { LIVES = 10, SENDERS = CREW_OUTSIDERS + CREW_THREADS, STEPS_MAX = 5 };

/* What happens to one actor. Whoever sends to it counts. */
struct life {
    struct story *story;
    actor_id id;
    unsigned sent[SENDERS];     /* by sender: outsiders, then the crew */
    unsigned received[SENDERS]; /* messages are numbered by sender */
    unsigned births, deaths;
    bool killed;
    bool inside;
    bool grouped;
};

struct story {
    struct crew *crew;
    struct life lives[LIVES];
    unsigned count;
    bool shares;               /* sometimes a second thread joins in */
    struct actor_group *group; /* NULL: everybody is alone */
    bool taken;                /* one of the group is inside */
};

struct outsider {
    struct story *story;
    unsigned number;
};

struct number {
    unsigned sender, number;
};

/* Nobody else of the group may be inside; others may now try. */
static void enter(struct life *life)
{
    if (!life->grouped) return;
    EXPLORE_CHECK(!life->story->taken);
    life->story->taken = true;
    explore_point();
}

static void leave(struct life *life)
{
    if (life->grouped) life->story->taken = false;
}

static err life_init(struct env *env, void *self, const void *args)
{
    struct life *life = *(struct life **)self = *(struct life *const *)args;
    enter(life);
    EXPLORE_CHECK(life->births++ == 0);
    leave(life);
    return OK;
}

static void say(struct env *env, struct life *to, unsigned sender)
{
    /* Before the send: who is scheduled by it may be done before it returns. */
    struct number n = {sender, to->sent[sender]++};
    err e = actor_send(env, to->id, NUMBER, &n, sizeof n);
    EXPLORE_CHECK(e == OK);
}

static err life_receive(struct env *env, void *self, const struct msg *m)
{
    struct life *life = *(struct life **)self;
    struct story *s = life->story;
    EXPLORE_CHECK(!life->inside && life->deaths == 0);
    life->inside = true;
    enter(life);
    if (m->kind == HOP) {
        unsigned sender = CREW_OUTSIDERS + env->thread;
        say(env, &s->lives[explore_random(s->count)], sender);
        if (s->shares) crew_share(s->crew, env);
        say(env, &s->lives[explore_random(s->count)], sender);
    } else {
        const struct number *n = msg_body(m);
        EXPLORE_CHECK(n->number == life->received[n->sender]);
        life->received[n->sender]++;
    }
    explore_point();
    leave(life);
    life->inside = false;
    return OK;
}

static void life_terminate(struct env *env, void *self, err why)
{
    struct life *life = *(struct life **)self;
    enter(life);
    EXPLORE_CHECK(life->deaths++ == 0);
    leave(life);
}

static const struct actor_kind life_kind = {
    .name = "life",
    .state_bytes = sizeof(struct life *),
    .init = life_init,
    .receive = life_receive,
    .terminate = life_terminate,
};

static void begin_life(struct story *s, struct env *env)
{
    if (s->count == LIVES) return;
    struct life *life = &s->lives[s->count];
    life->story = s;
    life->grouped = s->group != NULL && explore_random(4) > 0;
    err e = actor_spawn_grouped(env, life->grouped ? s->group : NULL,
                                &life_kind, &life, sizeof life, &life->id);
    EXPLORE_CHECK(e == OK);
    /* Another outsider may have begun one meanwhile: keep the ids apart. */
    s->count++;
}

static void disturb(void *context)
{
    struct outsider *o = context;
    struct story *s = o->story;
    struct env *env = s->crew->outside[o->number];
    for (uint64_t i = 1 + explore_random(STEPS_MAX); i > 0; i--) {
        struct life *life = &s->lives[explore_random(s->count)];
        switch (explore_random(8)) {
        case 0:
            life->killed = true;
            actor_kill(env, life->id, ERR_KILLED);
            break;
        case 1:
            /* One place for new lives, so only one outsider makes them. */
            if (o->number == 0) begin_life(s, env);
            break;
        case 2:
        case 3: actor_send(env, life->id, HOP, NULL, 0); break;
        default: say(env, life, o->number); break;
        }
    }
    crew_left(s->crew);
}

static void *make(void)
{
    return crew_new(1);
}

static void drop(void *world)
{
    crew_free(world);
}

static void check_and_end(struct story *s)
{
    struct env *env = s->crew->outside[0];
    for (unsigned i = 0; i < s->count; i++) /* everybody still hears */
        say(env, &s->lives[i], 0);
    crew_settle(s->crew);
    for (unsigned i = 0; i < s->count; i++) {
        struct life *life = &s->lives[i];
        EXPLORE_CHECK(life->births == 1);
        EXPLORE_CHECK(life->deaths == life->killed);
        for (unsigned k = 0; k < SENDERS && !life->killed; k++)
            EXPLORE_CHECK(life->received[k] == life->sent[k]);
        actor_kill(env, life->id, ERR_DONE);
    }
    crew_settle(s->crew);
    EXPLORE_CHECK(node_alive(s->crew->node) == 0);
}

static void run_story(struct crew *crew, bool shares, struct actor_group *group)
{
    struct story s = {.crew = crew, .shares = shares, .group = group};
    struct outsider outsiders[CREW_OUTSIDERS];
    begin_life(&s, crew->outside[0]);
    begin_life(&s, crew->outside[1]);
    if (explore_random(2)) crew_settle(crew);
    crew_explore(crew);
    crew->outsiders = CREW_OUTSIDERS;
    for (unsigned i = 0; i < CREW_OUTSIDERS; i++) {
        outsiders[i] = (struct outsider){&s, i};
        explore_fiber(disturb, &outsiders[i]);
    }
    explore_all();
    check_and_end(&s);
}

static void run(void *world)
{
    run_story(world, false, NULL);
}

static void run_sharing(void *world)
{
    run_story(world, true, NULL);
}

static void *make_two(void)
{
    return crew_new(2);
}

static void run_grouped(void *world, bool shares)
{
    struct actor_group *group = group_new();
    EXPLORE_CHECK(group != NULL);
    run_story(world, shares, group);
    group_free(group);
}

static void run_group(void *world)
{
    run_grouped(world, false);
}

static void run_group_sharing(void *world)
{
    run_grouped(world, true);
}

const struct explore_story explore_solo = {
    .name = "solo", .runs = 60000, .make = make, .run = run, .drop = drop};

const struct explore_story explore_sharing = {.name = "sharing",
                                              .runs = 60000,
                                              .make = make,
                                              .run = run_sharing,
                                              .drop = drop};

const struct explore_story explore_group = {.name = "group",
                                            .runs = 60000,
                                            .make = make_two,
                                            .run = run_group,
                                            .drop = drop};

const struct explore_story explore_group_sharing = {.name = "group sharing",
                                                    .runs = 60000,
                                                    .make = make,
                                                    .run = run_group_sharing,
                                                    .drop = drop};
