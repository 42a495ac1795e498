#include "actors/stream/acker.h"
#include "actors/stream/executor.h"
#include "core/alloc.h"
#include <string.h>

enum row_state { ROW_EMPTY, ROW_EARLY, ROW_OPEN, ROW_SETTLED };

struct row {
    uint64_t edges;
    int64_t touched_ns; /* last progress, by the ledger's clock */
    enum row_state state;
};

/* The rows of one spout task: a ring over its sequence numbers. Its clock
 * stands still while the topology is stalled: see acker.h. */
struct ledger {
    struct row *rows; /* owned; `room` of them, a power of two */
    uint64_t room;
    /* All before it are settled; NOT_OPENED until the spout has said where its
     * rows begin. An acker that is a new one may hear of old roots before: the
     * spout fails them when it says so. */
    uint64_t base;
    uint64_t end;    /* none from it on has been seen */
    int64_t base_ns; /* last progress of those before `base` */
    /* Of its clock, all but the timeout by topology_clock_ns(): */
    int64_t moved_ns;    /* when any row was touched last */
    int64_t stood_ns;    /* how long it has stood */
    int64_t stands_ns;   /* since when it stands; 0: it goes */
    int64_t timeout_ns;  /* of the last check */
    struct msg *settled; /* EXECUTOR_ACKED being filled; owned */
};

struct acker {
    struct topology *topology;
    struct ledger *ledgers; /* owned, by task */
    uint32_t count;
};

enum { ROOM_FIRST = 1024, ROOM_MAX = 1 << 24 };
#define NOT_OPENED UINT64_MAX
enum {
    SETTLED_MAX = (MSG_BYTES_PAGE - (int)sizeof(struct acker_settled)) / 8,
};

static struct row *row_at(struct ledger *l, uint64_t sequence)
{
    return &l->rows[sequence & (l->room - 1)];
}

static err grow(struct ledger *l, uint64_t sequence)
{
    uint64_t room = l->room ? l->room : ROOM_FIRST;
    while (sequence - l->base >= room)
        room *= 2;
    if (room > ROOM_MAX) return ERR_LIMIT;
    struct row *rows = mem_zero(room, sizeof *rows);
    if (rows == NULL) return ERR_NOMEM;
    for (uint64_t i = l->base; i < l->end; i++)
        rows[i & (room - 1)] = *row_at(l, i);
    mem_free(l->rows);
    l->rows = rows;
    l->room = room;
    return OK;
}

/* The row of an update; NULL with *e OK: it is settled, forget the update. */
static inline struct row *row_of(struct ledger *l, uint64_t root, err *e)
{
    uint64_t sequence = root_sequence(root);
    *e = OK;
    if (sequence < l->base) return NULL;
    if (sequence - l->base >= l->room) {
        *e = grow(l, sequence);
        if (*e != OK) return NULL;
    }
    if (sequence >= l->end) l->end = sequence + 1;
    struct row *row = row_at(l, sequence);
    return row->state == ROW_SETTLED ? NULL : row;
}

static void send_settled(struct env *env, struct acker *a, uint32_t task)
{
    struct ledger *l = &a->ledgers[task];
    if (l->settled == NULL) return;
    actor_post(env, topology_task_id(a->topology, task), l->settled);
    l->settled = NULL;
}

static void close_row(struct ledger *l, struct row *row)
{
    row->state = ROW_SETTLED;
    while (l->base < l->end) {
        struct row *first = row_at(l, l->base);
        if (first->state != ROW_SETTLED) return;
        if (first->touched_ns > l->base_ns) l->base_ns = first->touched_ns;
        *first = (struct row){.state = ROW_EMPTY};
        l->base++;
    }
}

static err tell_acked(struct env *env, struct acker *a, uint64_t root)
{
    uint32_t task = root_task(root);
    struct ledger *l = &a->ledgers[task];
    if (l->settled == NULL) {
        l->settled = msg_new(env, EXECUTOR_ACKED, MSG_BYTES_PAGE);
        if (l->settled == NULL) return ERR_NOMEM;
        struct acker_settled *out = msg_body(l->settled);
        out->count = 0;
    }
    struct acker_settled *out = msg_body(l->settled);
    out->sequences[out->count++] = root_sequence(root);
    if (out->count == SETTLED_MAX) send_settled(env, a, task);
    return OK;
}

/* ---- the clock ---- */

static int64_t topology_now(struct env *env, const struct acker *a)
{
    return topology_clock_ns(a->topology, env_now(env));
}

static int64_t clock_ns(const struct ledger *l, int64_t now_ns)
{
    return (l->stands_ns ? l->stands_ns : now_ns) - l->stood_ns;
}

static void go(struct ledger *l, int64_t now_ns)
{
    if (l->stands_ns) l->stood_ns += now_ns - l->stands_ns;
    l->stands_ns = 0;
}

/* What is parked and hasn't moved for so long is held up, not lost. */
static void stop_or_go(struct ledger *l, const struct acker_check *in,
                       int64_t now_ns)
{
    int64_t since_ns =
        in->parked_ns > l->moved_ns ? in->parked_ns : l->moved_ns;
    l->timeout_ns = in->timeout_ns;
    if (in->parked_ns == 0)
        go(l, now_ns);
    else if (l->stands_ns == 0 && now_ns - since_ns >= in->timeout_ns / 4)
        l->stands_ns = since_ns;
}

static err tell_expired(struct env *env, struct acker *a, uint32_t task);

/* Something of the spout's has moved: *l is its ledger, *at_ns what its clock
 * shows. */
static err move(struct env *env, struct acker *a, uint32_t task,
                struct ledger **l, int64_t *at_ns)
{
    if (task >= a->count) return ERR_BADMSG;
    int64_t now_ns = topology_now(env, a);
    *l = &a->ledgers[task];
    bool stood = (*l)->stands_ns != 0;
    (*l)->moved_ns = now_ns;
    go(*l, now_ns);
    *at_ns = clock_ns(*l, now_ns);
    return stood ? tell_expired(env, a, task) : OK;
}

/* ---- what happens to roots ---- */

static err update(struct env *env, struct acker *a,
                  const struct acker_updates *in, bool init)
{
    uint32_t task = 0;
    struct ledger *l = NULL;
    int64_t at_ns = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        const struct acker_update *u = &in->list[i];
        err e = OK;
        if (l == NULL ||
            root_task(u->root) != task) { /* nearly always the first one's */
            task = root_task(u->root);
            e = move(env, a, task, &l, &at_ns);
            if (e != OK) return e;
        }
        struct row *row = row_of(l, u->root, &e);
        if (row == NULL) {
            if (e != OK) return e;
            continue;
        }
        row->edges ^= u->edges;
        row->touched_ns = at_ns;
        if (init)
            row->state = ROW_OPEN;
        else if (row->state == ROW_EMPTY)
            row->state = ROW_EARLY;
        if (row->edges != 0 || row->state != ROW_OPEN) continue;
        e = tell_acked(env, a, u->root);
        if (e != OK) return e;
        close_row(l, row);
    }
    env_charge(env, in->count / 8);
    return OK;
}

/* Passes the verdict on to the spout; the row is settled. */
static err settle_failed(struct env *env, struct acker *a, struct row *row,
                         const struct acker_fail *in, uint32_t bytes)
{
    struct msg *m = msg_new(env, EXECUTOR_FAILED, bytes);
    if (m == NULL) return ERR_NOMEM;
    memcpy(msg_body(m), in, bytes);
    uint32_t task = root_task(in->root);
    send_settled(env, a, task); /* acks that came earlier are told earlier */
    actor_post(env, topology_task_id(a->topology, task), m);
    close_row(&a->ledgers[task], row);
    return OK;
}

static err fail(struct env *env, struct acker *a, const struct acker_fail *in,
                uint32_t bytes)
{
    struct ledger *l;
    int64_t at_ns;
    err e = move(env, a, root_task(in->root), &l, &at_ns);
    if (e != OK) return e;
    struct row *row = row_of(l, in->root, &e);
    if (row == NULL) return e;
    row->touched_ns = at_ns;
    return settle_failed(env, a, row, in, bytes);
}

/* A root's time counts from its own last progress or that of any earlier root
 * of the spout: those are before it in the queues, so it waits in a queue that
 * moves. Deadlines rise with the sequence, so the first that hasn't come ends
 * the search. Running out of time is no progress. */
static err expire(struct env *env, struct acker *a, uint32_t task,
                  int64_t *left_ns)
{
    struct ledger *l = &a->ledgers[task];
    int64_t progress_ns = l->base_ns,
            now_ns = clock_ns(l, topology_now(env, a));
    *left_ns = INT64_MAX;
    for (uint64_t i = l->base; i < l->end; i++) {
        struct row *row = row_at(l, i);
        if (row->touched_ns > progress_ns) progress_ns = row->touched_ns;
        if (row->state != ROW_OPEN) continue;
        *left_ns = progress_ns + l->timeout_ns - now_ns;
        if (*left_ns > 0) return OK;
        struct acker_fail out = {.root = root_of(task, i), .task = UINT32_MAX};
        uint32_t bytes = (uint32_t)offsetof(struct acker_fail, reason);
        err e = settle_failed(env, a, row, &out, bytes);
        if (e != OK) return e;
        *left_ns = INT64_MAX;
        /* Settled rows that come next may have gone with it: what is left of
         * those before the base is their latest progress. */
        if (l->base_ns > progress_ns) progress_ns = l->base_ns;
    }
    return OK;
}

/* And when to ask again; while the clock stands nobody knows. */
static err tell_expired(struct env *env, struct acker *a, uint32_t task)
{
    struct ledger *l = &a->ledgers[task];
    int64_t left_ns;
    err e = expire(env, a, task, &left_ns);
    if (e != OK) return e;
    if (l->stands_ns || topology_aligns(a->topology))
        left_ns = l->timeout_ns / 16;
    int64_t next_ns = left_ns == INT64_MAX ? INT64_MAX : env_now(env) + left_ns;
    struct msg *m = msg_new(env, EXECUTOR_CHECKED, sizeof next_ns);
    if (m == NULL) return ERR_NOMEM;
    memcpy(msg_body(m), &next_ns, sizeof next_ns);
    send_settled(env, a, task);
    actor_post(env, topology_task_id(a->topology, task), m);
    return OK;
}

static err check(struct env *env, struct acker *a, const struct acker_check *in)
{
    if (in->task >= a->count) return ERR_BADMSG;
    stop_or_go(&a->ledgers[in->task], in, topology_now(env, a));
    return tell_expired(env, a, in->task);
}

static err open_ledger(struct acker *a, const struct acker_open *in)
{
    if (in->task >= a->count) return ERR_BADMSG;
    struct ledger *l = &a->ledgers[in->task];
    mem_free(l->rows);
    *l = (struct ledger){.base = in->next_sequence,
                         .end = in->next_sequence,
                         .settled = l->settled};
    return OK;
}

static err acker_init(struct env *env, void *self, const void *args)
{
    struct acker *a = self;
    memcpy(&a->topology, args, sizeof a->topology);
    a->count = topology_plan(a->topology)->tasks;
    a->ledgers = mem_zero(a->count, sizeof *a->ledgers);
    if (a->ledgers == NULL) return ERR_NOMEM;
    for (uint32_t task = 0; task < a->count; task++)
        a->ledgers[task].base = NOT_OPENED;
    return OK;
}

static err acker_receive(struct env *env, void *self, const struct msg *m)
{
    struct acker *a = self;
    switch (m->kind) {
    case ACKER_OPEN: return open_ledger(a, msg_body(m));
    case ACKER_INIT: return update(env, a, msg_body(m), true);
    case ACKER_ACK: return update(env, a, msg_body(m), false);
    case ACKER_FAIL: return fail(env, a, msg_body(m), m->bytes);
    case ACKER_CHECK: return check(env, a, msg_body(m));
    case MSG_STOP: return ERR_DONE;
    default: return ERR_BADMSG;
    }
}

static err acker_settle(struct env *env, void *self)
{
    struct acker *a = self;
    for (uint32_t task = 0; task < a->count; task++)
        send_settled(env, a, task);
    return OK;
}

static void acker_terminate(struct env *env, void *self, err why)
{
    struct acker *a = self;
    for (uint32_t task = 0; task < a->count; task++) {
        if (a->ledgers[task].settled) msg_free(env, a->ledgers[task].settled);
        mem_free(a->ledgers[task].rows);
    }
    mem_free(a->ledgers);
}

const struct actor_kind acker_kind = {
    .name = "acker",
    .state_bytes = sizeof(struct acker),
    .init = acker_init,
    .receive = acker_receive,
    .settle = acker_settle,
    .terminate = acker_terminate,
};
