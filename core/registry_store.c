/* registry_store.c - a session gathers what it is asked while a job of its does
 * what was asked before: so what comes together is committed together. The jobs
 * of all sessions take turns. */
#include "core/registry_store.h"
#include "core/actor.h"
#include "core/alloc.h"
#include "core/job.h"
#include "core/node.h"
#include "core/registry_batch.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { SESSION_BITS = 20 }; /* of a session's number, behind the boot's */

struct mark {
    struct mark *next;
    uint64_t watch;
    bool moved; /* the session isn't told yet */
    char key[];
};

/* A session's part. It counts its references: the session, a job that is under
 * way. What other threads see is under the registry's lock. */
struct link {
    struct job job; /* first; see struct job */
    struct registry_store *rs;
    struct registry_session *session; /* the actor's own, as is `waiting` */
    struct registry_request *waiting, *last;
    struct registry_request *round; /* the job's, while it works */
    bool working;
    uint64_t number;
    actor_id actor;
    uint16_t kind; /* of a wake; the next one is the job's */
    /* Under the lock: */
    struct link *next;
    struct env *env;  /* owned: by which others wake the actor; NULL: closed */
    struct msg *wake; /* owned: the next message; NULL: it is under way */
    struct mark *marks;  /* owned */
    struct ended *ended; /* owned; NULL: it has ended */
    bool told_up, gone, told_gone;
};

/* A session that is over, and may still have keys. */
struct ended {
    struct ended *next;
    uint64_t number;
};

struct registry_store {
    pthread_mutex_t writer; /* whose job works */
    struct registry_batch batch;
    pthread_mutex_t lock; /* of what follows; within `writer` */
    uint64_t seen;        /* the revision that is committed */
    uint64_t boot, sessions;
    struct link *links;
    struct ended *ended; /* owned */
    bool over;           /* another one has the store */
};

/* ---- waking ---- */

/* The lock is held. */
static void wake(struct link *link)
{
    struct msg *m = link->wake;
    if (m == NULL || link->env == NULL) return;
    link->wake = NULL;
    actor_post(link->env, link->actor, m);
}

static void wake_all(struct registry_store *rs)
{
    for (struct link *l = rs->links; l; l = l->next)
        wake(l);
}

/* What the batch has changed is durable. */
static void tell(void *context, const struct buffer *touched, uint64_t revision)
{
    struct registry_store *rs = context;
    pthread_mutex_lock(&rs->lock);
    rs->seen = revision;
    for (struct link *l = rs->links; l; l = l->next) {
        bool any = false;
        for (struct mark *m = l->marks; m; m = m->next) {
            const char *key = (const char *)touched->data;
            const char *end = key + touched->used;
            for (; key < end && !m->moved; key += strlen(key) + 1)
                m->moved = registry_is_below(key, m->key);
            any |= m->moved;
        }
        if (any) wake(l);
    }
    pthread_mutex_unlock(&rs->lock);
}

/* All sessions are gone: their ephemeral keys are. */
static void lose_all(struct registry_store *rs)
{
    pthread_mutex_lock(&rs->lock);
    rs->over = true;
    for (struct link *l = rs->links; l; l = l->next)
        l->gone = true;
    wake_all(rs);
    pthread_mutex_unlock(&rs->lock);
}

static bool is_gone(struct link *link)
{
    pthread_mutex_lock(&link->rs->lock);
    bool gone = link->gone || link->env == NULL;
    pthread_mutex_unlock(&link->rs->lock);
    return gone;
}

static struct ended *first_ended(struct registry_store *rs)
{
    pthread_mutex_lock(&rs->lock);
    struct ended *ended = rs->over ? NULL : rs->ended;
    pthread_mutex_unlock(&rs->lock);
    return ended;
}

static void forget_ended(struct registry_store *rs, struct ended *ended)
{
    pthread_mutex_lock(&rs->lock);
    struct ended **at = &rs->ended;
    while (*at != ended) /* others may have come before it */
        at = &(*at)->next;
    *at = ended->next;
    pthread_mutex_unlock(&rs->lock);
    mem_free(ended);
}

/* ---- a round, in a job ---- */

static void flush(struct registry_store *rs)
{
    if (registry_batch_flush(&rs->batch, OK) == ERR_EXPIRED) lose_all(rs);
}

/* What can't be done now is tried by a later round. */
static void sweep(struct registry_store *rs)
{
    struct ended *ended;
    while ((ended = first_ended(rs)) != NULL) {
        err e = registry_batch_sweep(&rs->batch, ended->number);
        if (e == ERR_EXPIRED) lose_all(rs);
        if (e != OK) return;
        forget_ended(rs, ended);
    }
}

static void work_one(struct link *link, struct registry_request *r)
{
    struct registry_store *rs = link->rs;
    if (is_gone(link)) {
        r->outcome = ERR_EXPIRED;
        return;
    }
    if (r->what != REGISTRY_TXN) {
        flush(rs); /* it sees what was asked for before */
        registry_batch_read(&rs->batch, r);
        return;
    }
    r->outcome = registry_batch_add(&rs->batch, link->number, r);
    if (r->outcome != ERR_DONE) return;
    flush(rs);
    r->outcome = registry_batch_add(&rs->batch, link->number, r);
}

static void work(struct node *node, struct job *job)
{
    struct link *link = (struct link *)(void *)job;
    struct registry_store *rs = link->rs;
    pthread_mutex_lock(&rs->writer);
    registry_batch_begin(&rs->batch);
    sweep(rs);
    for (struct registry_request *r = link->round; r; r = r->next)
        work_one(link, r);
    flush(rs);
    registry_batch_end(&rs->batch);
    pthread_mutex_unlock(&rs->writer);
}

/* ---- a session, on its actor ---- */

static void free_requests(struct registry_request *r)
{
    while (r) {
        struct registry_request *next = r->next;
        registry_request_free(r);
        r = next;
    }
}

static void free_link(struct env *env, struct ref *ref)
{
    struct link *link = (struct link *)(void *)ref;
    free_requests(link->round);
    free_requests(link->waiting);
    while (link->marks) {
        struct mark *m = link->marks;
        link->marks = m->next;
        mem_free(m);
    }
    mem_free(link->ended);
    mem_free(link);
}

static struct msg *new_wake(struct env *env, struct link *link)
{
    struct msg *m = msg_new(env, link->kind, sizeof link);
    if (m == NULL) return NULL;
    memcpy(msg_body(m), &link, sizeof link);
    m->from = 0;
    return m;
}

/* ERR_LIMIT: there are too many. */
static err join(struct registry_store *rs, struct link *link)
{
    pthread_mutex_lock(&rs->lock);
    bool full = rs->sessions >> SESSION_BITS != 0;
    if (!full) {
        link->number = link->ended->number =
            rs->boot << SESSION_BITS | rs->sessions++;
        link->gone = rs->over;
        link->next = rs->links;
        rs->links = link;
        wake(link);
    }
    pthread_mutex_unlock(&rs->lock);
    return full ? ERR_LIMIT : OK;
}

static err open_link(void *context, struct env *env,
                     struct registry_session *session, uint16_t kind,
                     void **out)
{
    struct link *link = mem_zero(1, sizeof *link);
    if (link == NULL) return ERR_NOMEM;
    ref_init(&link->job.ref, free_link);
    link->job.work = work;
    link->rs = context;
    link->session = session;
    link->kind = kind;
    link->actor = env_self(env);
    link->ended = mem_zero(1, sizeof *link->ended);
    link->wake = new_wake(env, link);
    link->env = node_outside(env_node(env));
    err e = link->ended && link->wake ? OK : ERR_NOMEM;
    if (e == OK) e = link->env ? join(link->rs, link) : ERR_LIMIT;
    if (e == OK) {
        *out = link;
        return OK;
    }
    node_outside_free(link->env);
    if (link->wake) msg_free(env, link->wake);
    ref_drop(env, &link->job.ref);
    return e;
}

/* The lock is held. Who still has a session sweeps after it. */
static void end_session(struct link *link)
{
    struct registry_store *rs = link->rs;
    if (link->ended) {
        link->ended->next = rs->ended;
        rs->ended = link->ended;
        link->ended = NULL;
    }
    wake_all(rs);
}

static void close_link(struct env *env, void *of)
{
    struct link *link = of;
    struct registry_store *rs = link->rs;
    pthread_mutex_lock(&rs->lock);
    struct link **at = &rs->links;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    end_session(link);
    struct env *outside = link->env;
    link->env = NULL;
    pthread_mutex_unlock(&rs->lock);
    node_outside_free(outside);
    if (link->wake) msg_free(env, link->wake);
    ref_drop(env, &link->job.ref);
}

static void start_round(struct env *env, struct link *link)
{
    if (link->working) return;
    link->working = true;
    link->round = link->waiting;
    link->waiting = link->last = NULL;
    ref_take(&link->job.ref);
    job_start(env, &link->job, link->kind + 1);
}

static void start_request(struct env *env, void *of, struct registry_request *r)
{
    struct link *link = of;
    r->next = NULL;
    if (link->waiting)
        link->last->next = r;
    else
        link->waiting = r;
    link->last = r;
    start_round(env, link);
}

static err watch(struct env *env, void *of, uint64_t number, const char *key)
{
    struct link *link = of;
    struct mark *m = mem_zero(1, sizeof *m + strlen(key) + 1);
    if (m == NULL) return ERR_NOMEM;
    m->watch = number;
    m->moved = true;
    memcpy(m->key, key, strlen(key));
    pthread_mutex_lock(&link->rs->lock);
    m->next = link->marks;
    link->marks = m;
    wake(link);
    pthread_mutex_unlock(&link->rs->lock);
    return OK;
}

static void unwatch(void *of, uint64_t number)
{
    struct link *link = of;
    pthread_mutex_lock(&link->rs->lock);
    struct mark **at = &link->marks;
    while ((*at)->watch != number)
        at = &(*at)->next;
    struct mark *m = *at;
    *at = m->next;
    pthread_mutex_unlock(&link->rs->lock);
    mem_free(m);
}

/* The first behind `last` that has moved; 0: none has. */
static uint64_t next_moved(struct link *link, uint64_t last, uint64_t *revision)
{
    struct mark *found = NULL;
    pthread_mutex_lock(&link->rs->lock);
    for (struct mark *m = link->marks; m; m = m->next)
        if (m->moved && m->watch > last &&
            (found == NULL || m->watch < found->watch))
            found = m;
    if (found) found->moved = false;
    *revision = link->rs->seen;
    uint64_t number = found ? found->watch : 0;
    pthread_mutex_unlock(&link->rs->lock);
    return number;
}

static void tell_moves(struct env *env, struct link *link)
{
    uint64_t revision, number = 0;
    while ((number = next_moved(link, number, &revision)) != 0)
        registry_moved(env, link->session, number, revision);
}

static void tell_state(struct env *env, struct link *link)
{
    pthread_mutex_lock(&link->rs->lock);
    bool up = !link->told_up, gone = link->gone && !link->told_gone;
    link->told_up = true;
    link->told_gone = link->gone;
    pthread_mutex_unlock(&link->rs->lock);
    if (up) registry_state(env, link->session, REGISTRY_UP, link->number);
    if (gone) registry_state(env, link->session, REGISTRY_GONE, link->number);
}

static void answer_round(struct env *env, struct link *link)
{
    struct registry_request *r = link->round;
    link->round = NULL;
    while (r) {
        struct registry_request *next = r->next;
        registry_answer(env, link->session, r);
        r = next;
    }
    link->working = false; /* what was asked meanwhile is one round */
}

/* Before looking what there is: what comes later wakes anew. */
static err renew_wake(struct env *env, struct link *link)
{
    struct msg *m = new_wake(env, link);
    if (m == NULL) return ERR_NOMEM;
    pthread_mutex_lock(&link->rs->lock);
    struct msg *spare = link->wake ? m : NULL; /* an earlier session's came */
    if (spare == NULL) link->wake = m;
    pthread_mutex_unlock(&link->rs->lock);
    if (spare) msg_free(env, spare);
    return OK;
}

static err receive(struct env *env, void *of, const struct msg *m)
{
    struct link *link = of, *whose = *(struct link **)msg_body(m);
    bool answered = m->kind != link->kind;
    if (whose != link) return OK; /* an earlier session's of this actor */
    if (!answered && renew_wake(env, link) != OK) return ERR_NOMEM;
    tell_state(env, link);
    if (answered) answer_round(env, link);
    tell_moves(env, link);
    if (link->waiting) start_round(env, link);
    if (first_ended(link->rs) == NULL) return OK;
    if (answered)
        registry_again(env, link->session); /* it couldn't be swept */
    else
        start_round(env, link);
    return OK;
}

static void again(struct env *env, void *of)
{
    struct link *link = of;
    if (first_ended(link->rs)) start_round(env, link);
}

static const struct registry_backend calls = {
    .open = open_link,
    .close = close_link,
    .start = start_request,
    .watch = watch,
    .unwatch = unwatch,
    .receive = receive,
    .again = again,
};

struct registry registry_store_calls(struct registry_store *rs)
{
    return (struct registry){&calls, rs};
}

/* ---- opening ---- */

err registry_store_open(struct store *store, struct registry_store **out,
                        char why[STORE_WHY_BYTES])
{
    struct registry_store *rs = mem_zero(1, sizeof *rs);
    if (rs == NULL) {
        snprintf(why, STORE_WHY_BYTES, "%s", err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    rs->batch =
        (struct registry_batch){.store = store, .changed = tell, .context = rs};
    pthread_mutex_init(&rs->writer, NULL);
    pthread_mutex_init(&rs->lock, NULL);
    err e = registry_batch_open(&rs->batch, why);
    if (e != OK) {
        registry_store_free(rs);
        return e;
    }
    rs->boot = rs->seen = rs->batch.committed;
    *out = rs;
    return OK;
}

void registry_store_free(struct registry_store *rs)
{
    if (rs == NULL) return;
    while (rs->ended) { /* their keys go with the next boot */
        struct ended *ended = rs->ended;
        rs->ended = ended->next;
        mem_free(ended);
    }
    registry_batch_fini(&rs->batch);
    pthread_mutex_destroy(&rs->writer);
    pthread_mutex_destroy(&rs->lock);
    mem_free(rs);
}

bool registry_store_expire(struct registry_store *rs, uint64_t session)
{
    pthread_mutex_lock(&rs->lock);
    struct link *link = rs->links;
    while (link && link->number != session)
        link = link->next;
    if (link) {
        link->gone = true;
        end_session(link);
    }
    pthread_mutex_unlock(&rs->lock);
    return link != NULL;
}

void registry_store_set_fault(struct registry_store *rs,
                              bool (*lost)(void *context), void *context)
{
    rs->batch.lost = lost;
    rs->batch.lost_context = context;
}
