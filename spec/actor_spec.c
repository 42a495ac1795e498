/* actor_spec.c - order, birth, death and bounds of actors, on schedules that
 * the seed chooses; their ties are in tie_spec.c. */
#include "core/actor.h"
#include "core/edge.h"
#include "core/node.h"
#include "spec/actors.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"

enum { MAILBOX_MAX = 10000 }; /* messages; docs: the table of defaults */

/* ---- order ---- */

enum { SENDERS = 5, NUMBERS = 60 };

struct numbered {
    uint32_t sender, number;
};

struct sender_args {
    uint32_t sender;
    actor_id to;
    struct edge *edge; /* data lane; NULL: control lane only */
};

struct sender {
    struct sender_args args;
    uint32_t sent, sent_data;
};

static err sender_init(struct env *env, void *self, const void *args)
{
    struct sender *s = self;
    s->args = *(const struct sender_args *)args;
    edge_attach_producer(env, s->args.edge);
    env_again(env);
    return OK;
}

static err sender_send_data(struct env *env, struct sender *s)
{
    struct msg *m = msg_new(env, NOTE, sizeof(struct numbered));
    if (m == NULL) return ERR_NOMEM;
    *(struct numbered *)msg_body(m) =
        (struct numbered){s->args.sender, s->sent_data++};
    edge_send(env, s->args.edge, m, 10);
    return OK;
}

static err sender_receive(struct env *env, void *self, const struct msg *m)
{
    struct sender *s = self;
    if (m->kind != MSG_AGAIN) return ERR_BADMSG;
    for (uint64_t burst = env_random(env) % 7; burst > 0; burst--) {
        struct numbered n = {s->args.sender, s->sent};
        err e = OK;
        if (env_random(env) % 2 && s->sent < NUMBERS) {
            e = actor_send(env, s->args.to, NOTE, &n, sizeof n);
            s->sent++;
        } else if (s->sent_data < NUMBERS) {
            e = sender_send_data(env, s);
        }
        if (e != OK) return e;
    }
    if (s->sent == NUMBERS && s->sent_data == NUMBERS) return ERR_DONE;
    env_again(env);
    return OK;
}

static const struct actor_kind sender_kind = {
    .name = "sender",
    .state_bytes = sizeof(struct sender),
    .init = sender_init,
    .receive = sender_receive,
};

static err attach_consumer(struct env *env, void *context)
{
    edge_attach_consumer(env, context);
    return OK;
}

SPEC(actor, keeps_the_order_of_each_sender_in_each_lane)
{
    FOR_SEEDS(60)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct edge edges[SENDERS];
        actor_id probe = sim_probe(node);
        for (uint32_t i = 0; i < SENDERS; i++) {
            edge_init(&edges[i], 95);
            sim_do(sim, probe, attach_consumer, &edges[i]);
        }
        sim_run(sim);
        for (uint32_t i = 0; i < SENDERS; i++) {
            struct sender_args args = {i, probe, &edges[i]};
            sim_spawn(node, &sender_kind, &args, sizeof args);
        }
        sim_run(sim);
        uint32_t next[2][SENDERS] = {{0}, {0}};
        for (unsigned i = 0; i < sim_got(sim, probe, NOTE); i++) {
            const struct sim_message *m = sim_seen(sim, probe, NOTE, i);
            const struct numbered *n = m->body;
            CHECK_EQ(n->number, next[m->data][n->sender]);
            next[m->data][n->sender]++;
        }
        for (uint32_t i = 0; i < SENDERS; i++) {
            CHECK_EQ(next[0][i], NUMBERS);
            CHECK_EQ(next[1][i], NUMBERS);
        }
        CHECK_EQ(node_alive(sim_engine(node)), 1);
        sim_free(sim);
    }
}

struct both_lanes {
    struct edge edge;
    actor_id to;
};

static err send_data_then_control(struct env *env, void *context)
{
    struct both_lanes *both = context;
    edge_attach_producer(env, &both->edge);
    for (int i = 0; i < 5; i++) {
        struct msg *m = msg_new(env, NOTE, 0);
        if (m == NULL) return ERR_NOMEM;
        edge_send(env, &both->edge, m, 1);
    }
    return actor_send(env, both->to, GO, NULL, 0);
}

SPEC(actor, lets_control_overtake_data)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id from = sim_probe(node), to = sim_probe(node);
        struct both_lanes both = {.to = to};
        edge_init(&both.edge, 1000);
        sim_do(sim, to, attach_consumer, &both.edge);
        sim_run(sim);
        sim_do(sim, from, send_data_then_control, &both);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, to, 0), 6);
        CHECK_EQ(sim_seen(sim, to, 0, 0)->kind, GO);
        CHECK_EQ(sim_seen(sim, to, 0, 5)->data, true);
        sim_free(sim);
    }
}

static err hold(struct env *env, void *context)
{
    env_hold_data(env);
    return OK;
}

static err resume(struct env *env, void *context)
{
    env_resume_data(env);
    return OK;
}

SPEC(actor, takes_no_data_while_it_holds_and_counts_nestings)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id from = sim_probe(node), to = sim_probe(node);
        struct both_lanes both = {.to = to};
        edge_init(&both.edge, 1000);
        sim_do(sim, to, attach_consumer, &both.edge);
        sim_do(sim, to, hold, NULL);
        sim_do(sim, to, hold, NULL);
        sim_run(sim);
        sim_do(sim, from, send_data_then_control, &both);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, to, GO), 1);
        CHECK_EQ(sim_got(sim, to, NOTE), 0);
        sim_do(sim, to, resume, NULL);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, to, NOTE), 0);
        sim_do(sim, to, resume, NULL);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, to, NOTE), 5);
        sim_free(sim);
    }
}

static err again(struct env *env, void *context)
{
    env_again(env);
    return OK;
}

/* That an edge without credit holds it up is a story of stream_spec.c. */
SPEC(actor, comes_again_even_while_it_holds_its_data)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        actor_id probe = sim_probe(sim_node(sim, 0));
        sim_do(sim, probe, again, NULL);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, probe, MSG_AGAIN), 1);
        sim_do(sim, probe, hold, NULL);
        sim_do(sim, probe, again, NULL);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, probe, MSG_AGAIN), 2);
        sim_free(sim);
    }
}

SPEC(actor, lets_others_run_when_its_budget_is_spent)
{
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct life life = {0};
        actor_id id = live(node, &lively, &life);
        for (int i = 0; i < 1000; i++)
            CHECK_EQ(actor_send(sim_env(node), id, NOTE, NULL, 0), OK);
        sim_run(sim);
        CHECK_EQ(life.received, 1000);
        CHECK(life.most_in_one_turn <= 256);
        CHECK_EQ(life.settles, 4);
        sim_free(sim);
    }
}

/* ---- birth ---- */

SPEC(actor, gets_a_copy_of_its_arguments_and_a_zeroed_state)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        for (int i = 0; i < 10; i++) { /* slots and memory are used again */
            struct life life = {0}, *pointer = &life;
            actor_id id = sim_spawn(node, &lively, &pointer, sizeof pointer);
            pointer = NULL;
            sim_run(sim);
            CHECK_EQ(life.inits, 1);
            CHECK_EQ(life.id, id);
            CHECK(life.saw_zeroes);
            sim_kill_actor(sim, id, ERR_KILLED);
            sim_run(sim);
        }
        sim_free(sim);
    }
}

struct large {
    unsigned char bytes[MSG_BYTES_MAX - 32];
};

static err large_init(struct env *env, void *self, const void *args)
{
    const struct large *large = args;
    for (size_t i = 0; i < sizeof large->bytes; i++)
        if (large->bytes[i] != (unsigned char)(i * 7)) return ERR_FORMAT;
    return OK;
}

static err large_receive(struct env *env, void *self, const struct msg *m)
{
    return OK;
}

SPEC(actor, takes_arguments_up_to_their_limit)
{
    static const struct actor_kind kind = {
        .name = "large", .init = large_init, .receive = large_receive};
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 0);
    struct large large;
    for (size_t i = 0; i < sizeof large.bytes; i++)
        large.bytes[i] = (unsigned char)(i * 7);
    sim_spawn(node, &kind, &large, sizeof large);
    sim_run(sim);
    CHECK_EQ(node_alive(sim_engine(node)), 1);
    sim_free(sim);
}

SPEC(actor, tells_of_an_init_that_failed_and_does_not_terminate_it)
{
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node);
        struct life life = {.init_gives = ERR_CONFIG};
        struct watch watch = {.who = live(node, &lively, &life)};
        sim_do(sim, probe, monitor, &watch); /* before or after its death */
        sim_run(sim);
        CHECK_EQ(sim_got(sim, probe, MSG_DOWN), 1);
        err why = ((struct down *)sim_seen(sim, probe, MSG_DOWN, 0)->body)->why;
        CHECK(why == ERR_CONFIG || why == ERR_NOTFOUND);
        CHECK_EQ(life.inits, 1);
        CHECK_EQ(life.terminates, 0);
        CHECK_EQ(node_alive(sim_engine(node)), 1);
        sim_free(sim);
    }
}

/* ---- death ---- */

SPEC(actor, ends_once_with_the_reason_it_gave)
{
    static const err reasons[] = {ERR_DONE, ERR_CRASHED, ERR_NOMEM};
    FOR_SEEDS(30)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node);
        for (unsigned i = 0; i < 3; i++) {
            struct life life = {0};
            struct watch watch = {.who = live(node, &lively, &life)};
            sim_do(sim, probe, monitor, &watch);
            tell_end(sim, probe, watch.who, reasons[i]);
            tell_end(sim, probe, watch.who, ERR_IO); /* comes too late */
            sim_run(sim);
            CHECK_EQ(life.received, 1);
            CHECK_EQ(life.terminates, 1);
            CHECK_EQ(life.ended_with, reasons[i]);
            check_down(sim, probe, i, &watch, reasons[i]);
        }
        sim_free(sim);
    }
}

SPEC(actor, crashes_by_an_error_of_settle)
{
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 0);
    struct life life = {.settle_gives = ERR_IO};
    live(node, &lively, &life);
    sim_run(sim);
    CHECK_EQ(life.terminates, 1);
    CHECK_EQ(life.ended_with, ERR_IO);
    CHECK_EQ(node_alive(sim_engine(node)), 0);
    sim_free(sim);
}

SPEC(actor, takes_no_more_messages_once_it_was_killed)
{
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct life life = {0};
        actor_id id = live(node, &lively, &life);
        unsigned before = (unsigned)sim_random(sim, 5);
        for (unsigned i = 0; i < before; i++)
            actor_send(sim_env(node), id, NOTE, NULL, 0);
        sim_kill_actor(sim, id, ERR_STOPPED);
        for (unsigned i = 0; i < 5; i++)
            actor_send(sim_env(node), id, NOTE, NULL, 0);
        sim_run(sim);
        CHECK_EQ(life.received, before);
        CHECK_EQ(life.terminates, 1);
        CHECK_EQ(life.ended_with, ERR_STOPPED);
        sim_free(sim);
    }
}

SPEC(actor, is_not_missed_by_those_who_send_to_it_after_its_death)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node);
        struct life life = {0};
        actor_id id = live(node, &lively, &life);
        sim_send(sim, probe, id, FINISH, NULL, 0);
        sim_run(sim);
        CHECK_EQ(actor_send(sim_env(node), id, NOTE, NULL, 0), OK);
        CHECK_EQ(actor_send(sim_env(node), 0, NOTE, NULL, 0), OK);
        sim_send(sim, probe, id, NOTE, "x", 1);
        sim_kill_actor(sim, id, ERR_KILLED);
        sim_run(sim);
        CHECK_EQ(life.received, 1);
        CHECK_EQ(life.terminates, 1);
        CHECK_EQ(sim_got(sim, probe, 0), 0);
        sim_free(sim);
    }
}

SPEC(actor, that_comes_to_an_old_slot_gets_no_mail_of_the_former)
{
    enum { LIVES = 40 };
    FOR_SEEDS(40)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct life lives[LIVES] = {{0}};
        actor_id ids[LIVES];
        unsigned sent[LIVES] = {0};
        bool same_slot = false;
        actor_id probe = sim_probe(node);
        for (unsigned i = 0; i < LIVES; i++) {
            ids[i] = live(node, &lively, &lives[i]);
            for (unsigned k = 0; k < i; k++) {
                CHECK(ids[k] != ids[i]);
                same_slot |= ids[k] >> 24 == ids[i] >> 24;
            }
            /* Everybody writes to everybody who ever was. */
            for (unsigned k = 0; k <= i; k++) {
                if (sim_random(sim, 2)) {
                    actor_send(sim_env(node), ids[k], NOTE, NULL, 0);
                } else {
                    sim_send(sim, probe, ids[k], NOTE, NULL, 0);
                }
                if (k == i) sent[k]++;
            }
            if (sim_random(sim, 2)) sim_run(sim);
            tell_end(sim, probe, ids[i], ERR_DONE);
            if (sim_random(sim, 2)) sim_run(sim);
        }
        sim_run(sim);
        CHECK(same_slot);
        CHECK_EQ(node_alive(sim_engine(node)), 1);
        for (unsigned i = 0; i < LIVES; i++) {
            CHECK_EQ(lives[i].inits, 1);
            CHECK_EQ(lives[i].terminates, 1);
            CHECK(lives[i].received > sent[i]); /* ... and its FAIL */
        }
        sim_free(sim);
    }
}

SPEC(actor, uses_free_slots_in_turn)
{
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 0);
    struct life life = {0};
    actor_id ids[8];
    for (int i = 0; i < 8; i++)
        ids[i] = live(node, &lively, &life);
    sim_run(sim);
    for (int i = 0; i < 8; i++) { /* freed in this order ... */
        sim_kill_actor(sim, ids[i], ERR_DONE);
        sim_run(sim);
    }
    for (int i = 0; i < 8; i++) { /* ... and lived in again in the same */
        actor_id id = live(node, &lively, &life);
        CHECK_EQ(id >> 24, ids[i] >> 24);
        CHECK_EQ(id, ids[i] + 1);
    }
    sim_free(sim);
}

SPEC(actor, is_ended_with_its_node)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct life lives[3] = {{0}};
        actor_id probe = sim_probe(node);
        struct watch watch = {.who = live(node, &lively, &lives[0])};
        live(node, &lively, &lives[1]);
        sim_run(sim);
        live(node, &lively, &lives[2]); /* isn't born yet */
        sim_do(sim, probe, monitor, &watch);
        actor_send(sim_env(node), watch.who, NOTE, "mail", 4);
        sim_free(sim);
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(lives[i].terminates, 1);
            CHECK_EQ(lives[i].ended_with, ERR_KILLED);
        }
        CHECK_EQ(lives[2].inits, lives[2].terminates);
    }
}

/* ---- bounds ---- */

struct flood {
    actor_id to;
    unsigned accepted, refused;
};

static err flood(struct env *env, void *context)
{
    struct flood *f = context;
    for (int i = 0; i < MAILBOX_MAX + 500; i++) {
        err e = actor_send(env, f->to, NOTE, NULL, 0);
        CHECK(e == OK || e == ERR_FULL);
        f->accepted += e == OK;
        f->refused += e == ERR_FULL;
    }
    return OK;
}

SPEC(actor, refuses_messages_when_its_mailbox_is_at_its_bound)
{
    FOR_SEEDS(6)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node);
        struct life life = {0};
        actor_id id = live(node, &lively, &life);
        sim_run(sim);
        struct flood f = {.to = id};
        sim_do(sim, probe, flood, &f);
        sim_run(sim);
        CHECK_EQ(f.accepted, MAILBOX_MAX);
        CHECK_EQ(f.refused, 500);
        CHECK_EQ(life.received, MAILBOX_MAX);
        f = (struct flood){.to = id}; /* it has room again */
        flood(sim_env(node), &f);
        CHECK_EQ(f.accepted, MAILBOX_MAX);
        sim_run(sim);
        CHECK_EQ(life.received, 2 * MAILBOX_MAX);
        sim_free(sim);
    }
}

/* Two floods, one by a view from outside and one by an actor, share a bound.
 */
SPEC(actor, has_one_bound_for_all_senders)
{
    FOR_SEEDS(6)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        actor_id probe = sim_probe(node);
        struct life life = {0};
        actor_id id = live(node, &lively, &life);
        sim_run(sim);
        struct flood in = {.to = id}, out = {.to = id};
        sim_do(sim, probe, flood, &in);
        flood(sim_env(node), &out);
        CHECK_EQ(out.accepted, MAILBOX_MAX);
        sim_run(sim);
        CHECK_EQ(life.received, in.accepted + out.accepted);
        sim_free(sim);
    }
}

static unsigned send_megabytes(struct env *env, actor_id to)
{
    static const char megabyte[1 << 20];
    unsigned sent = 0;
    while (actor_send(env, to, NOTE, megabyte, sizeof megabyte) == OK)
        sent++;
    return sent;
}

SPEC(actor, refuses_large_messages_that_come_to_64_mb)
{
    FOR_SEEDS(2)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct env *env = sim_env(node);
        struct life life = {0};
        actor_id id = live(node, &lively, &life);
        sim_run(sim);
        unsigned sent = send_megabytes(env, id);
        CHECK(sent > 50 && sent < 64);
        struct flood f = {.to = id}; /* 10,000 small ones were left room */
        flood(env, &f);
        CHECK_EQ(f.accepted, MAILBOX_MAX - sent);
        sim_run(sim);
        CHECK_EQ(life.received, MAILBOX_MAX);
        CHECK_EQ(send_megabytes(env, id), sent); /* it has room again */
        sim_kill_actor(sim, id, ERR_KILLED);
        sim_run(sim);
        struct life next = {0}; /* whoever has its slot now */
        id = live(node, &lively, &next);
        CHECK_EQ(send_megabytes(env, id), sent);
        sim_run(sim);
        CHECK_EQ(next.received, sent);
        sim_free(sim);
    }
}

static err flood_itself(struct env *env, void *self, const struct msg *m)
{
    struct flood *f = *(struct flood **)self;
    if (m->kind != GO) return OK;
    f->to = env_self(env);
    return flood(env, f);
}

static err flooder_init(struct env *env, void *self, const void *args)
{
    *(struct flood **)self = *(struct flood *const *)args;
    return OK;
}

/* What a turn has taken in but not handled yet counts, too. */
SPEC(actor, keeps_its_bound_while_it_works_its_mail_off)
{
    static const struct actor_kind kind = {
        .name = "flooder",
        .state_bytes = sizeof(struct flood *),
        .init = flooder_init,
        .receive = flood_itself,
    };
    FOR_SEEDS(6)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct flood f = {0}, *pointer = &f;
        actor_id id = sim_spawn(node, &kind, &pointer, sizeof pointer);
        sim_run(sim);
        CHECK_EQ(actor_send(sim_env(node), id, GO, NULL, 0), OK);
        for (int i = 1; i < MAILBOX_MAX; i++)
            CHECK_EQ(actor_send(sim_env(node), id, NOTE, NULL, 0), OK);
        sim_run(sim);
        CHECK(f.accepted <= 1); /* its own GO has left the mailbox */
        sim_free(sim);
    }
}

/* ---- everything at once ---- */

/* Actors that spawn, monitor, link, kill and write to each other at random:
 * the counts must come out even, whatever the schedule. */
struct crowd {
    unsigned born, ended, downs, monitors;
    unsigned left; /* to be spawned yet */
    actor_id known[64];
    unsigned known_count;
};

struct member {
    struct crowd *crowd;
    unsigned turns;
};

static const struct actor_kind member_kind;

static actor_id known(struct env *env, const struct crowd *crowd)
{
    if (crowd->known_count == 0) return env_self(env);
    return crowd->known[env_random(env) % crowd->known_count];
}

static err member_init(struct env *env, void *self, const void *args)
{
    struct member *member = self;
    struct crowd *crowd = member->crowd = *(struct crowd *const *)args;
    if (env_random(env) % 16 == 0) return ERR_CONFIG;
    crowd->born++;
    crowd->known[crowd->known_count++ % 64] = env_self(env);
    if (crowd->known_count > 64) crowd->known_count = 64;
    env_again(env);
    return OK;
}

static err member_turn(struct env *env, struct member *member)
{
    struct crowd *crowd = member->crowd;
    actor_id other = known(env, crowd), id;
    switch (env_random(env) % 8) {
    case 0:
        if (crowd->left == 0) return OK;
        crowd->left--;
        return actor_spawn(env, &member_kind, &crowd, sizeof crowd, &id);
    case 1: crowd->monitors++; return actor_monitor(env, other, NULL);
    case 2: return actor_link(env, other);
    case 3:
        if (env_random(env) % 4) return OK;
        return actor_kill(env, other, ERR_KILLED);
    case 4: return env_random(env) % 8 ? OK : ERR_DONE;
    case 5: return env_random(env) % 16 ? OK : ERR_IO;
    default: return actor_send(env, other, NOTE, &other, sizeof other);
    }
}

static err member_receive(struct env *env, void *self, const struct msg *m)
{
    struct member *member = self;
    switch (m->kind) {
    case MSG_DOWN: member->crowd->downs++; return OK;
    case NOTE:
        CHECK_EQ(*(actor_id *)msg_body(m), env_self(env));
        CHECK_EQ(m->to, env_self(env));
        return OK;
    case MSG_AGAIN:
        if (++member->turns < 40) env_again(env);
        return member_turn(env, member);
    default: return ERR_BADMSG;
    }
}

static void member_terminate(struct env *env, void *self, err why)
{
    struct member *member = self;
    member->crowd->ended++;
}

static const struct actor_kind member_kind = {
    .name = "member",
    .state_bytes = sizeof(struct member),
    .init = member_init,
    .receive = member_receive,
    .terminate = member_terminate,
};

SPEC(actor, crowds_come_out_even_and_leave_nothing_behind)
{
    FOR_SEEDS(100)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 0);
        struct crowd crowd = {.left = 200}, *pointer = &crowd;
        for (int i = 0; i < 8; i++)
            sim_spawn(node, &member_kind, &pointer, sizeof pointer);
        sim_run(sim);
        CHECK_EQ(node_alive(sim_engine(node)), crowd.born - crowd.ended);
        CHECK(crowd.downs <= crowd.monitors);
        sim_free(sim);
        CHECK_EQ(crowd.ended, crowd.born);
    }
}
