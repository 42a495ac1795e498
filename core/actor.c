/* actor.c - birth, activations, ties and death of actors. */
#include "core/actor.h"
#include "core/alloc.h"
#include "core/deadline.h"
#include "core/edge.h"
#include "core/group.h"
#include "core/log.h"
#include "core/ref.h"
#include "core/runtime.h"
#include <assert.h>
#include <string.h>

/* A mailbox holds 64 MB at most: the small messages, which only their number
 * bounds, and so many bytes of large ones. */
enum {
    MAILBOX_MESSAGES_MAX = 10000,
    LARGE_FROM_BYTES = 1024,
    JOINED_BYTES = 64,     /* of body: larger messages are pushed one by one, */
    JOINED_MAX = 32,       /* smaller ones so many at once */
    OWN_LINES_BYTES = 256, /* of state: smaller ones may share a line */
    TIES_FEW = 8,          /* not worth looking through */
    MAILBOX_LARGE_BYTES = (64 << 20) - MAILBOX_MESSAGES_MAX * LARGE_FROM_BYTES,
};

struct birth {
    actor_id id;
    const struct actor_kind *kind;
    struct actor_group *group; /* borrowed; NULL: none */
    void *state;               /* owned until be_born() takes it */
    uint64_t args[];           /* aligned for anything */
};

/* ---- slots ---- */

static struct actor *new_slot(struct node *node)
{
    uint32_t slot = node->slot_count;
    uint32_t chunk = slot >> CHUNK_BITS;
    if (chunk == CHUNKS) return NULL;
    struct actor *actors = at_load(&node->chunks[chunk], RELAXED);
    if (actors == NULL) {
        size_t bytes = sizeof *actors << CHUNK_BITS;
        actors = mem_aligned(ACTOR_BYTES, bytes);
        if (actors == NULL) return NULL;
        memset(actors, 0, bytes);
        for (uint32_t i = 0; i < 1u << CHUNK_BITS; i++)
            mailbox_init(&actors[i].box);
        at_store(&node->chunks[chunk], actors, RELEASE);
    }
    node->slot_count++;
    struct actor *actor = &actors[slot & ((1u << CHUNK_BITS) - 1)];
    actor->slot = slot;
    actor->generation = 1;
    return actor;
}

/* A vacant slot and the id that its next owner will have. */
static struct actor *slot_take(struct node *node, actor_id *id)
{
    pthread_mutex_lock(&node->slots_lock);
    struct actor *actor = node->free_first;
    if (actor) {
        uint32_t next = actor->free_next;
        node->free_first = next ? actor_at(node, next - 1) : NULL;
    } else {
        actor = new_slot(node);
    }
    if (actor)
        *id = (actor_id)node->number << 48 |
              (actor_id)actor->slot << GENERATION_BITS | actor->generation;
    pthread_mutex_unlock(&node->slots_lock);
    return actor;
}

static void slot_give(struct node *node, struct actor *actor)
{
    uint32_t mask = (1u << GENERATION_BITS) - 1;
    pthread_mutex_lock(&node->slots_lock);
    actor->generation = (actor->generation + 1) & mask;
    if (actor->generation == 0) actor->generation = 1;
    actor->free_next = 0;
    if (node->free_first)
        node->free_last->free_next = actor->slot + 1;
    else
        node->free_first = actor;
    node->free_last = actor;
    pthread_mutex_unlock(&node->slots_lock);
}

/* ---- sending ---- */

void actor_ready(struct env *env, struct actor *actor)
{
    const struct world *world = env->node->config.world;
    world->ready(world->context, env, actor);
}

/* The only thread that runs actors goes straight to the lanes: a locked
 * instruction costs as much as all the rest of a message. */
static void put_solo(struct env *env, struct actor *actor, struct msg *m)
{
    /* What came from outside may be what this message follows from: the
     * actor's birth, for one. */
    if (mailbox_news(&actor->box)) mailbox_take(&actor->box, actor->id);
    mailbox_put(&actor->box, m, actor->id);
    if (actor->queued) return;
    actor->queued = true;
    actor_ready(env, actor);
}

static void push(struct env *env, struct actor *actor, struct msg *newest,
                 struct msg *oldest, uint32_t count)
{
    bool data =
        newest->flags & MSG_DATA; /* once pushed, it is the receiver's */
    bool idle = mailbox_push(&actor->box, newest, oldest, count);
    if (idle) actor_ready(env, actor);
    if (!data || (idle && count == 1)) return;
    const struct world *world = env->node->config.world;
    if (world->pressed) world->pressed(world->context, env, actor);
}

void env_flush(struct env *env)
{
    struct outgoing *out = &env->outgoing;
    if (out->count == 0) return;
    push(env, out->to, out->newest, out->oldest, out->count);
    out->count = 0;
}

/* What is large is worth a push of its own: its receiver may start on it while
 * the running actor goes on. */
static bool joins(const struct env *env, const struct msg *m)
{
    return env->actor != NULL && m->bytes <= JOINED_BYTES;
}

static void join(struct env *env, struct actor *actor, struct msg *m)
{
    struct outgoing *out = &env->outgoing;
    if (out->count > 0 && (out->to != actor || out->count == JOINED_MAX))
        env_flush(env);
    if (out->count == 0)
        *out = (struct outgoing){actor, NULL, m, 0, {m, m, m, m}};
    m->next = out->newest;
    out->newest = m;
    struct msg **sent = &out->trail[out->count++ % MSG_LEAD];
    msg_lead(m, *sent);
    *sent = m;
}

/* Behind all that was sent before. */
static void put_now(struct env *env, struct actor *actor, struct msg *m)
{
    if (env->solo) {
        put_solo(env, actor, m);
        return;
    }
    env_flush(env);
    msg_lead(m, m);
    push(env, actor, m, m, 1);
}

static void put(struct env *env, struct actor *actor, struct msg *m)
{
    if (!env->solo && joins(env, m))
        join(env, actor, m);
    else
        put_now(env, actor, m);
}

void actor_post(struct env *env, actor_id to, struct msg *m)
{
    m->to = to;
    put(env, actor_at(env->node, id_slot(to)), m);
}

/* Bodies are a few words; for an unknown length the compiler would take an
 * instruction that costs more than the rest of the message. */
static inline void fill(struct msg *m, const void *body, uint32_t bytes)
{
    enum { FEW = 64 };
    const char *from = body;
    char *to = msg_body(m);
    uint64_t word;
    if (bytes > FEW || bytes < sizeof word) {
        if (bytes) memcpy(to, from, bytes);
        return;
    }
    for (uint32_t at = 0; at + sizeof word < bytes; at += sizeof word) {
        memcpy(&word, from + at, sizeof word);
        memcpy(to + at, &word, sizeof word);
    }
    memcpy(&word, from + bytes - sizeof word, sizeof word);
    memcpy(to + bytes - sizeof word, &word, sizeof word);
}

/* Several senders at once may go over the bound by a message each. */
static bool has_room(const struct env *env, struct actor *actor, uint32_t bytes)
{
    uint32_t count = mailbox_count(&actor->box);
    if (env->outgoing.to == actor) count += env->outgoing.count;
    if (count >= MAILBOX_MESSAGES_MAX) return false;
    return bytes < LARGE_FROM_BYTES ||
           (uint64_t)at_load(&actor->large_bytes, RELAXED) + bytes <=
               MAILBOX_LARGE_BYTES;
}

err actor_send(struct env *env, actor_id to, uint16_t kind, const void *body,
               uint32_t bytes)
{
    if (to == 0) return OK;
    struct actor *actor = actor_at(env->node, id_slot(to));
    if (!has_room(env, actor, bytes)) return ERR_FULL;
    struct msg *m = msg_new(env, kind, bytes);
    if (m == NULL) return ERR_NOMEM;
    if (bytes >= LARGE_FROM_BYTES) {
        m->flags = MSG_LARGE;
        at_add(&actor->large_bytes, bytes, RELAXED);
    }
    m->from = env->actor ? env->actor->id : 0;
    m->to = to;
    fill(m, body, bytes);
    env->spent++;
    put(env, actor, m);
    return OK;
}

/* Behind the state of an actor that has a group. */
static size_t group_place(const struct actor_kind *kind)
{
    size_t align = sizeof(struct actor_group *);
    return (kind->state_bytes + align - 1) / align * align;
}

static void *state_new(const struct actor_kind *kind, struct actor_group *group)
{
    size_t bytes =
        group ? group_place(kind) + sizeof group : (size_t)kind->state_bytes;
    char *state =
        bytes < OWN_LINES_BYTES ? mem_zero(1, bytes) : mem_lines(1, bytes);
    if (state && group) memcpy(state + group_place(kind), &group, sizeof group);
    return state;
}

err actor_spawn_grouped(struct env *env, struct actor_group *group,
                        const struct actor_kind *kind, const void *args,
                        uint32_t args_bytes, actor_id *id)
{
    err e = ERR_NOMEM;
    void *state = NULL;
    struct msg *m =
        msg_new(env, SYS_SPAWN, (uint32_t)sizeof(struct birth) + args_bytes);
    if (m == NULL) return ERR_NOMEM;
    state = state_new(kind, group);
    if (state == NULL) goto no_state;
    struct actor *actor = slot_take(env->node, id);
    if (actor == NULL) {
        e = ERR_LIMIT;
        goto no_slot;
    }
    struct birth *birth = msg_body(m);
    birth->id = *id;
    birth->kind = kind;
    birth->group = group;
    birth->state = state;
    if (args_bytes) memcpy(birth->args, args, args_bytes);
    m->from = env->actor ? env->actor->id : 0;
    m->to = *id;
    env->spent++;
    at_add(&env->node->alive, 1, RELAXED);
    /* At once: whoever reads the id anywhere may write to it. */
    put_now(env, actor, m);
    return OK;
no_slot:
    mem_free(state);
no_state:
    msg_free(env, m);
    return e;
}

err actor_spawn(struct env *env, const struct actor_kind *kind,
                const void *args, uint32_t args_bytes, actor_id *id)
{
    return actor_spawn_grouped(env, NULL, kind, args, args_bytes, id);
}

/* ---- ties: monitors and links ---- */

static struct tie *tie_new(struct env *env, actor_id watcher, actor_id who,
                           bool link)
{
    struct tie *tie = mem_zero(1, sizeof *tie);
    if (tie == NULL) return NULL;
    tie->msg.flags = MSG_EMBEDDED;
    tie->msg.kind = SYS_MONITOR;
    tie->watcher = watcher;
    tie->down.who = who;
    tie->link = link;
    return tie;
}

static struct tie *tie_of(struct msg *m)
{
    return (struct tie *)(void *)m; /* msg is its first member */
}

/* Its slot was given back, or somebody else lives there. Under slots_lock. */
static bool has_left(struct node *node, actor_id id)
{
    uint32_t mask = (1u << GENERATION_BITS) - 1;
    return actor_at(node, id_slot(id))->generation != (id & mask);
}

/* Ties of watchers that have left would tell nobody. */
static void ties_clear(struct node *node, struct actor *actor)
{
    uint32_t length = 0;
    pthread_mutex_lock(&node->slots_lock);
    for (struct tie **at = &actor->ties; *at;) {
        struct tie *tie = *at;
        if (has_left(node, tie->watcher)) {
            *at = tie->next;
            mem_free(tie);
        } else {
            at = &tie->next;
            length++;
        }
    }
    pthread_mutex_unlock(&node->slots_lock);
    if (actor->ties == NULL) return;
    actor->ties->length = length;
    actor->ties->full = 2 * length > TIES_FEW ? 2 * length : TIES_FEW;
}

static void tie_add(struct node *node, struct actor *actor, struct tie *tie)
{
    struct tie *first = actor->ties;
    tie->next = first;
    tie->length = first ? first->length + 1 : 1;
    tie->full = first ? first->full : TIES_FEW;
    actor->ties = tie;
    if (tie->length > tie->full) ties_clear(node, actor);
}

/* The watched one is gone: the tie goes home as the message it promised. */
static void tie_tell(struct env *env, struct tie *tie, err why)
{
    tie->down.why = why;
    tie->msg.kind = tie->link ? MSG_EXIT : MSG_DOWN;
    tie->msg.from = tie->down.who;
    actor_post(env, tie->watcher, &tie->msg);
}

static void begin_watch(struct env *env, struct tie *tie, actor_id who,
                        uint64_t *ref)
{
    tie->down.who = who;
    pthread_mutex_lock(&env->node->slots_lock);
    tie->down.ref = ++env->node->tie_refs;
    pthread_mutex_unlock(&env->node->slots_lock);
    if (ref) *ref = tie->down.ref;
    actor_post(env, who, &tie->msg);
}

err actor_monitor(struct env *env, actor_id who, uint64_t *ref)
{
    struct tie *tie = tie_new(env, env->actor->id, who, false);
    if (tie == NULL) return ERR_NOMEM;
    begin_watch(env, tie, who, ref);
    return OK;
}

err actor_spawn_monitored(struct env *env, struct actor_group *group,
                          const struct actor_kind *kind, const void *args,
                          uint32_t args_bytes, actor_id *id, uint64_t *ref)
{
    struct tie *tie = tie_new(env, env->actor->id, 0, false);
    if (tie == NULL) return ERR_NOMEM;
    err e = actor_spawn_grouped(env, group, kind, args, args_bytes, id);
    if (e != OK) {
        mem_free(tie);
        return e;
    }
    begin_watch(env, tie, *id, ref);
    env_flush(env); /* it may run already, and end */
    return OK;
}

void actor_demonitor(struct env *env, actor_id who, uint64_t ref)
{
    struct msg *m = msg_new(env, SYS_DEMONITOR, sizeof ref);
    if (m == NULL) return; /* the DOWN will come: compare refs */
    memcpy(msg_body(m), &ref, sizeof ref);
    m->from = env->actor->id;
    actor_post(env, who, m);
}

err actor_link(struct env *env, actor_id other)
{
    actor_id me = env->actor->id;
    struct tie *mine = tie_new(env, other, me, true);
    struct tie *theirs = tie_new(env, me, other, true);
    if (mine == NULL || theirs == NULL) {
        mem_free(mine);
        mem_free(theirs);
        return ERR_NOMEM;
    }
    tie_add(env->node, env->actor, mine);
    actor_post(env, other, &theirs->msg);
    return OK;
}

struct msg *actor_kill_order(struct env *env, err why)
{
    struct msg *m = msg_new(env, SYS_KILL, sizeof why);
    if (m == NULL) return NULL;
    memcpy(msg_body(m), &why, sizeof why);
    m->from = env->actor ? env->actor->id : 0;
    return m;
}

err actor_kill(struct env *env, actor_id who, err why)
{
    struct msg *m = actor_kill_order(env, why);
    if (m == NULL) return ERR_NOMEM;
    actor_post(env, who, m);
    return OK;
}

static void tie_drop(struct actor *actor, uint64_t ref)
{
    for (struct tie **at = &actor->ties; *at; at = &(*at)->next)
        if ((*at)->down.ref == ref) {
            struct tie *tie = *at;
            *at = tie->next;
            mem_free(tie);
            return;
        }
}

/* ---- the end ---- */

static void post_notice(struct env *env, struct edge *edge)
{
    actor_id producer = at_load(&edge->producer, SEQ_CST);
    if (producer) actor_post(env, producer, &edge->notice);
}

/* A message that nobody will receive: give back what it holds. */
static void discard(struct env *env, struct msg *m)
{
    struct node *node = env->node;
    switch (m->kind) {
    case SYS_MONITOR: tie_tell(env, tie_of(m), ERR_NOTFOUND); return;
    case SYS_SPAWN: mem_free(((struct birth *)msg_body(m))->state); break;
    case MSG_DOWN:
    case MSG_EXIT: mem_free(tie_of(m)); return;
    case MSG_TIMER: deadline_arrived(node->deadlines, m, NULL); return;
    case SYS_CREDIT: {
        struct edge *of = container_of(m, struct edge, notice);
        if (edge_notice_lost(of, m->to)) post_notice(env, of);
        return;
    }
    default: break;
    }
    struct edge *edge = msg_edge(m);
    if (edge) {
        metric_add(env->cells, node->dropped, 1);
        uint32_t cost_bytes = m->cost_bytes;
        if (edge->discard && edge->discard(env, edge, m)) m = NULL;
        if (edge_refund(edge, cost_bytes)) post_notice(env, edge);
    }
    if (m) msg_free(env, m);
}

static void return_credit(struct env *env, struct actor *actor)
{
    while (actor->owing) {
        struct edge *edge = actor->owing;
        actor->owing = edge->next_owing;
        edge->owing = false;
        if (edge_return(edge)) post_notice(env, edge);
    }
}

static void end(struct env *env, struct actor *actor, err why)
{
    struct node *node = env->node;
    if (actor->dead) return;
    if (why != ERR_DONE) {
        metric_add(env->cells, node->crashed, 1);
        log_write(node->config.log, actor->kind->name, -1, LOG_DEBUG,
                  "actor ends: %s", err_text(why));
    }
    if (actor->self && actor->kind->terminate)
        actor->kind->terminate(env, actor->self, why);
    mem_free(actor->self);
    actor->self = NULL;
    return_credit(env, actor);
    struct tie *tie = actor->ties;
    actor->ties = NULL;
    while (tie) {
        struct tie *next = tie->next;
        tie_tell(env, tie, why);
        tie = next;
    }
    actor->id = 0;
    actor->dead = actor->vacant = true;
    actor->stays = false;
    actor->grouped = false;
    actor->again = false;
    actor->holds = actor->parks = 0;
    at_sub(&node->alive, 1, RELAXED);
}

/* ---- one activation ---- */

/* The next message of the control lane is `m` again. */
static void put_back(struct actor *actor, struct msg *m)
{
    struct lane *lane = &actor->box.control;
    m->next = lane->first;
    if (lane->first == NULL) lane->last = m;
    lane->first = m;
    actor->box.in_lanes++;
}

/* Whoever is born in a group needs its turn, which only an activation that
 * knows of the group has: the next one. */
__attribute__((cold, noinline)) static bool
wait_for_turn(struct env *env, struct actor *actor, struct msg *m)
{
    const struct birth *birth = msg_body(m);
    if (birth->group == NULL || env->group == birth->group) return false;
    put_back(actor, m);
    actor->grouped = true;
    env->spent = BUDGET; /* this one is over */
    return true;
}

/* Of a grouped one. Before its birth, that is the next message. */
static struct actor_group *group_of(const struct actor *actor)
{
    if (actor->id == 0)
        return ((const struct birth *)msg_body(actor->box.control.first))
            ->group;
    struct actor_group *group;
    const char *state = actor->self;
    memcpy(&group, state + group_place(actor->kind), sizeof group);
    return group;
}

static void be_born(struct env *env, struct actor *actor, const struct msg *m)
{
    const struct birth *birth = msg_body(m);
    actor->id = birth->id;
    mailbox_move_in(&actor->box, birth->id);
    actor->kind = birth->kind;
    actor->dead = actor->vacant = false;
    metric_add(env->cells, env->node->spawned, 1);
    actor->self = birth->state;
    if (birth->kind->init == NULL) return;
    err e = birth->kind->init(env, actor->self, birth->args);
    if (e == OK) return;
    mem_free(actor->self);
    actor->self = NULL; /* init() undid its work: no terminate() */
    end(env, actor, e);
}

static void receive(struct env *env, struct actor *actor, const struct msg *m)
{
    err e = actor->kind->receive(env, actor->self, m);
    if (e != OK) end(env, actor, e);
}

/* A message whose own memory is gone (a timer's, a tie's), from the stack. */
static void receive_copy(struct env *env, struct actor *actor, uint16_t kind,
                         actor_id from, const void *body, uint32_t bytes)
{
    struct {
        struct msg msg;
        uint64_t body[4];
    } copy = {{.to = actor->id,
               .from = from,
               .bytes = bytes,
               .kind = kind,
               .flags = MSG_EMBEDDED},
              {0}};
    assert(bytes <= sizeof copy.body);
    memcpy(copy.body, body, bytes);
    receive(env, actor, &copy.msg);
}

/* What the runtime itself has to say. True: m was consumed. */
static bool system_message(struct env *env, struct actor *actor, struct msg *m)
{
    switch (m->kind) {
    case SYS_SPAWN:
        if (wait_for_turn(env, actor, m)) return true;
        be_born(env, actor, m);
        break;
    case SYS_MONITOR: tie_add(env->node, actor, tie_of(m)); return true;
    case SYS_DEMONITOR: tie_drop(actor, *(uint64_t *)msg_body(m)); break;
    case SYS_KILL: end(env, actor, *(err *)msg_body(m)); break;
    case SYS_CREDIT: {
        struct edge *edge = container_of(m, struct edge, notice);
        if (edge_credit(edge)) {
            actor->holds--;
            actor->parks--;
        }
        return true;
    }
    case MSG_TIMER: {
        struct timer_due due;
        if (!deadline_arrived(env->node->deadlines, m, &due)) return true;
        /* Its time has come, even if the activation looked before that. */
        if (env->now_ns != 0 && env->now_ns < due.at_ns)
            env->now_ns = due.at_ns;
        receive_copy(env, actor, MSG_TIMER, actor->id, &due, sizeof due);
        return true;
    }
    case MSG_DOWN:
    case MSG_EXIT: {
        struct down down = tie_of(m)->down;
        uint16_t kind = m->kind;
        mem_free(tie_of(m));
        if (kind == MSG_DOWN || actor->kind->traps_exits)
            receive_copy(env, actor, kind, down.who, &down, sizeof down);
        else if (down.why != ERR_DONE)
            end(env, actor, down.why);
        return true;
    }
    default: return false;
    }
    msg_free(env, m);
    return true;
}

/* Nobody's id is 0, which is also what an empty slot has. */
static bool is_for(const struct msg *m, const struct actor *actor)
{
    return m->to == actor->id && actor->id != 0;
}

static void deliver_control(struct env *env, struct actor *actor, struct msg *m)
{
    if (!is_for(m, actor) && m->kind != SYS_SPAWN) {
        discard(env, m);
        return;
    }
    if (m->kind < KIND_OWN && system_message(env, actor, m)) return;
    receive(env, actor, m);
    msg_free(env, m);
}

void msg_done(struct env *env, struct msg *m)
{
    struct edge *edge = m->by;
    bool enough = edge_owe(edge, m->cost_bytes);
    if (!edge->owing) {
        edge->owing = true;
        edge->next_owing = env->actor->owing;
        env->actor->owing = edge;
    }
    if (enough && edge_return(edge)) post_notice(env, edge);
    msg_free(env, m);
}

static void deliver_data(struct env *env, struct actor *actor, struct msg *m)
{
    if (!is_for(m, actor)) {
        discard(env, m);
        return;
    }
    env->hand = m;
    receive(env, actor, m);
    if (env->hand == NULL) return; /* kept */
    env->hand = NULL;
    if (actor->dead)
        discard(env, m);
    else
        msg_done(env, m);
}

static void deliver_again(struct env *env, struct actor *actor)
{
    struct msg m = {.to = actor->id,
                    .from = actor->id,
                    .kind = MSG_AGAIN,
                    .flags = MSG_EMBEDDED};
    actor->again = false;
    receive(env, actor, &m);
}

/* Several threads run actors: the message comes from another's cache. */
static struct msg *next_in(struct env *env, struct mailbox *box,
                           struct lane *lane)
{
    struct msg *m = mailbox_next(box, lane);
    if (m && !env->solo) msg_fetch_ahead(m);
    return m;
}

/* The next of the control lane, where all large ones of actor_send() are. */
static struct msg *next_control(struct actor *actor)
{
    struct msg *m = mailbox_next(&actor->box, &actor->box.control);
    if (m && m->flags & MSG_LARGE) {
        m->flags &= (uint8_t)~MSG_LARGE;
        at_sub(&actor->large_bytes, m->bytes, RELAXED);
    }
    return m;
}

/* One message, if there is one that may be taken. */
static bool step(struct env *env, struct actor *actor)
{
    const struct world *world = env->node->config.world;
    struct msg *m = next_control(actor);
    if (m) {
        if (world->trace) world->trace(world->context, env->node, m);
        if (m->flags &
            MSG_DATA) /* for a former inhabitant: see mailbox_is_data() */
            deliver_data(env, actor, m);
        else
            deliver_control(env, actor, m);
        return true;
    }
    m = actor->holds > 0 ? NULL : next_in(env, &actor->box, &actor->box.data);
    if (m) {
        if (world->trace) world->trace(world->context, env->node, m);
        deliver_data(env, actor, m);
        return true;
    }
    if (!actor->again || actor->parks > 0) return false;
    deliver_again(env, actor);
    return true;
}

static void drain_dead(struct env *env, struct actor *actor)
{
    struct msg *m;
    while ((m = next_control(actor)) != NULL) {
        if (m->kind == SYS_SPAWN) { /* a new one moves in: not ours to drop */
            put_back(actor, m);
            return;
        }
        discard(env, m);
    }
    while ((m = mailbox_next(&actor->box, &actor->box.data)) != NULL)
        discard(env, m);
}

static bool has_more(const struct actor *actor)
{
    return actor->box.control.first != NULL ||
           (actor->holds == 0 && actor->box.data.first != NULL) ||
           (actor->parks == 0 && actor->again);
}

/* Only what an outside thread scheduled has a mark to take back. */
static bool solo_rest(struct actor *actor)
{
    actor->queued = false;
    if (actor->token && !mailbox_idle(&actor->box)) {
        actor->queued = true;
        return false;
    }
    actor->token = false;
    return true;
}

/* Left to the push that has scheduled it beside us, if there is one: it stays
 * marked as scheduled. */
static bool shared_rest(struct actor *actor)
{
    return !actor_called(actor) || mailbox_idle(&actor->box);
}

void actors_share(struct env *env)
{
    struct node *node = env->node;
    pthread_mutex_lock(&node->slots_lock);
    uint32_t count = node->slot_count;
    pthread_mutex_unlock(&node->slots_lock);
    for (uint32_t slot = 0; slot < count; slot++) {
        struct actor *actor = actor_at(node, slot);
        bool marked = actor->token || !actor->queued;
        actor->token = actor->queued = false;
        if (marked) continue;
        /* Only our own queue knows that it is scheduled: mark its mailbox. If
         * a push from outside has done that, it schedules it once more. */
        uint64_t idle = MAILBOX_IDLE;
        if (!at_cas(&actor->box.head, &idle, 0, ACQ_REL))
            at_store(&actor->twice, true, RELEASE);
    }
    env->solo = false;
}

/* Nothing is left to do: go idle. False: something came meanwhile. Once it is
 * idle another thread may run the slot, and once a vacant one is given back
 * somebody may move in: nothing of it is touched after that. */
static bool rest(struct env *env, struct actor *actor)
{
    bool vacant = actor->vacant;
    actor->vacant = false;
    bool idle = env->solo ? solo_rest(actor) : shared_rest(actor);
    if (!idle)
        actor->vacant = vacant;
    else if (vacant)
        slot_give(env->node, actor);
    return idle;
}

/* False: it waits for it, and stays scheduled. */
__attribute__((noinline)) static bool take_turn(struct env *env,
                                                struct actor *actor)
{
    struct actor_group *group = group_of(actor);
    if (!group_enter(group, actor)) return false;
    env->group = group;
    return true;
}

/* Once it is idle, nothing of the actor is touched. */
__attribute__((noinline)) static void pass_turn(struct env *env)
{
    struct actor *next = group_leave(env->group);
    env->group = NULL;
    if (next) actor_ready(env, next);
}

bool actor_turn(struct env *env, struct actor *actor)
{
    if (actor->grouped && !take_turn(env, actor)) return false;
    env->actor = actor;
    env->spent = 0;
    env->now_ns = 0;
    do {
        if (mailbox_news(&actor->box)) mailbox_take(&actor->box, actor->id);
        if (!step(env, actor)) break;
        env_flush(env);
        env->spent++;
    } while (env->spent < BUDGET);

    if (actor->self && actor->kind->settle) {
        err e = actor->kind->settle(env, actor->self);
        if (e != OK) end(env, actor, e);
    }
    if (actor->owing) return_credit(env, actor);
    if (actor->id == 0) drain_dead(env, actor);
    env_flush(env);
    mailbox_publish(&actor->box);
    env->actor = NULL;
    bool more = has_more(actor) || !rest(env, actor);
    if (env->group) pass_turn(env);
    return more;
}

void actor_reap(struct env *env, struct actor *actor)
{
    env->actor = actor;
    env->spent = 0;
    do {
        if (mailbox_news(&actor->box)) mailbox_take(&actor->box, actor->id);
        if (actor->id != 0) end(env, actor, ERR_KILLED);
        struct msg *m;
        while ((m = next_control(actor)) != NULL) {
            if (m->kind == SYS_SPAWN) at_sub(&env->node->alive, 1, RELAXED);
            discard(env, m);
        }
        while ((m = mailbox_next(&actor->box, &actor->box.data)) != NULL)
            discard(env, m);
        env_flush(env);
    } while (mailbox_news(&actor->box));
    env->actor = NULL;
}
