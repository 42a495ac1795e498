/* registry_claim.c - locks and elections: who creates an ephemeral key has it.
 * Whatever happens the key is read, and what stands there decides: so it makes
 * no difference whether an answer was lost, or a change was told late. */
#include "core/alloc.h"
#include "core/registry_backend.h"
#include <string.h>

enum claim_goal {
    GOAL_ONCE, /* have it now, or not at all */
    GOAL_HAVE,
    GOAL_GIVE_BACK, /* and be freed */
};

struct registry_claim {
    struct registry_claim *next;
    struct registry_session *session;
    enum claim_goal goal;
    bool busy;      /* a request is under way, its answer goes on from there */
    bool again;     /* something has happened meanwhile */
    bool resting;   /* it failed; the next again() goes on */
    uint64_t fence; /* that it leads with; 0: it doesn't */
    uint64_t watch; /* 0: none */
    registry_locked *locked;
    const struct registry_race *race;
    void *arg;
    struct bytes value; /* behind the key */
    char key[];
};

static struct registry_claim *claim_new(struct registry_session *session,
                                        const char *key, struct bytes value)
{
    size_t room = strlen(key) + 1;
    struct registry_claim *c = mem_zero(1, sizeof *c + room + value.count);
    if (c == NULL) return NULL;
    c->session = session;
    memcpy(c->key, key, room);
    if (value.count) memcpy(c->key + room, value.at, value.count);
    c->value = bytes_of(c->key + room, value.count);
    return c;
}

static void forget(struct registry_claim *c)
{
    struct registry_claim **at = &registry_claims(c->session)->first;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    if (c->watch) registry_unwatch(c->session, c->watch);
    mem_free(c);
}

/* The holder may resign in these, or close the session. */
static void lead(struct env *env, struct registry_claim *c, uint64_t fence)
{
    if (c->goal == GOAL_ONCE) {
        registry_locked *locked = c->locked;
        void *arg = c->arg;
        forget(c);
        locked(env, arg, OK, fence);
        return;
    }
    c->fence = fence;
    c->race->on_lead(env, c->arg, fence);
}

static void lose(struct env *env, struct registry_claim *c)
{
    bool led = c->fence != 0;
    c->fence = 0;
    if (led && c->goal == GOAL_HAVE) c->race->on_lost(env, c->arg);
}

static void miss(struct env *env, struct registry_claim *c, err why)
{
    registry_locked *locked = c->locked;
    void *arg = c->arg;
    forget(c);
    locked(env, arg, why, 0);
}

static void rest(struct env *env, struct registry_claim *c)
{
    c->resting = true;
    registry_again(env, c->session);
}

/* ---- one step ---- */

static void look(struct env *env, struct registry_claim *c);
static void on_created(struct env *env, void *arg, err outcome,
                       const struct registry_result *results, unsigned count,
                       unsigned failed);
static void on_deleted(struct env *env, void *arg, err outcome,
                       const struct registry_result *results, unsigned count,
                       unsigned failed);

/* What was begun is under way, or is tried again after a rest. */
static void begun(struct env *env, struct registry_claim *c, err e)
{
    c->busy = e == OK;
    if (e == OK) return;
    if (c->goal == GOAL_ONCE)
        miss(env, c, e);
    else
        rest(env, c);
}

static void create(struct env *env, struct registry_claim *c)
{
    begun(env, c,
          registry_create(env, c->session, c->key, c->value, REGISTRY_EPHEMERAL,
                          on_created, c));
}

/* The key is as it is. `mine`: this session has made it. */
static void go_on(struct env *env, struct registry_claim *c,
                  const struct registry_entry *entry)
{
    bool mine = entry && entry->owner == registry_number(c->session);
    if (c->goal == GOAL_GIVE_BACK) {
        if (mine)
            begun(env, c,
                  registry_delete(env, c->session, c->key, entry->version,
                                  on_deleted, c));
        else
            forget(c);
        return;
    }
    if (mine && c->fence == entry->fence) return;
    lose(env, c);
    if (c->goal == GOAL_GIVE_BACK) /* by that callback */
        look(env, c);
    else if (mine)
        lead(env, c, entry->fence);
    else if (entry == NULL)
        create(env, c);
    else if (c->goal == GOAL_ONCE)
        miss(env, c, ERR_CONFLICT);
}

/* False: there is no more to do. What came after its session has gone is void,
 * however it ended. */
static bool settle(struct env *env, struct registry_claim *c, err outcome)
{
    c->busy = false;
    if (registry_is_gone(c->session)) outcome = ERR_EXPIRED;
    if (outcome == ERR_EXPIRED && c->goal == GOAL_ONCE)
        miss(env, c, outcome);
    else if (outcome == ERR_EXPIRED && c->goal == GOAL_GIVE_BACK)
        forget(c);
    else if (outcome != ERR_EXPIRED)
        return true;
    return false;
}

static void on_read(struct env *env, void *arg, err outcome,
                    const struct registry_entry *first, unsigned count,
                    uint64_t revision)
{
    struct registry_claim *c = arg;
    if (!settle(env, c, outcome)) return;
    if (outcome != OK && outcome != ERR_NOTFOUND) {
        if (c->goal == GOAL_ONCE)
            miss(env, c, outcome);
        else
            rest(env, c);
    } else if (c->again) {
        look(env, c); /* it was read before that */
    } else {
        go_on(env, c, first);
    }
}

static void look(struct env *env, struct registry_claim *c)
{
    c->again = c->busy;
    if (c->busy) return;
    c->resting = false;
    begun(env, c, registry_get(env, c->session, c->key, true, on_read, c));
}

static void on_created(struct env *env, void *arg, err outcome,
                       const struct registry_result *results, unsigned count,
                       unsigned failed)
{
    struct registry_claim *c = arg;
    if (!settle(env, c, outcome)) return;
    if (outcome == OK && c->goal != GOAL_GIVE_BACK && !c->again)
        lead(env, c, results->version); /* its first */
    else if (c->goal == GOAL_ONCE && outcome != ERR_UNKNOWN)
        miss(env, c, outcome);
    else if (outcome == OK || outcome == ERR_UNKNOWN || outcome == ERR_CONFLICT)
        look(env, c);
    else
        rest(env, c);
}

static void on_deleted(struct env *env, void *arg, err outcome,
                       const struct registry_result *results, unsigned count,
                       unsigned failed)
{
    struct registry_claim *c = arg;
    if (!settle(env, c, outcome)) return;
    if (outcome == OK || outcome == ERR_NOTFOUND)
        forget(c);
    else if (outcome == ERR_UNKNOWN || outcome == ERR_CONFLICT)
        look(env, c);
    else
        rest(env, c);
}

static void on_seen(struct env *env, void *arg, uint64_t watch,
                    uint64_t revision)
{
    look(env, arg);
}

/* ---- for the session ---- */

void registry_claims_again(struct env *env, struct registry_session *session)
{
    struct registry_claim *c = registry_claims(session)->first, *next;
    for (; c; c = next) { /* looking calls nobody back */
        next = c->next;
        if (c->resting) look(env, c);
    }
}

/* From the first each time: a callback may have changed the list. */
void registry_claims_lost(struct env *env, struct registry_session *session)
{
    struct registry_claim *c;
    do {
        c = registry_claims(session)->first;
        while (c && c->fence == 0)
            c = c->next;
        if (c) lose(env, c);
    } while (c);
}

void registry_claims_free(struct registry_claims *claims)
{
    while (claims->first) {
        struct registry_claim *c = claims->first;
        claims->first = c->next;
        mem_free(c);
    }
}

/* ---- for the holder ---- */

static bool is_claimed(struct registry_session *session, const char *key)
{
    const struct registry_claim *c = registry_claims(session)->first;
    while (c && strcmp(c->key, key) != 0)
        c = c->next;
    return c != NULL;
}

static err claim_begin(struct registry_session *session, const char *key,
                       struct bytes value, struct registry_claim **out)
{
    err e = registry_check_key(key);
    if (e != OK) return e;
    if (value.count > REGISTRY_VALUE_MAX) return ERR_LIMIT;
    if (is_claimed(session, key)) return ERR_BUSY;
    struct registry_claim *c = claim_new(session, key, value);
    if (c == NULL) return ERR_NOMEM;
    c->next = registry_claims(session)->first;
    registry_claims(session)->first = c;
    *out = c;
    return OK;
}

err registry_lock(struct env *env, struct registry_session *session,
                  const char *key, struct bytes value, registry_locked *locked,
                  void *arg)
{
    struct registry_claim *c;
    err e = claim_begin(session, key, value, &c);
    if (e != OK) return e;
    c->goal = GOAL_ONCE;
    c->locked = locked;
    c->arg = arg;
    e = registry_create(env, session, key, value, REGISTRY_EPHEMERAL,
                        on_created, c);
    c->busy = true;
    if (e != OK) forget(c);
    return e;
}

err registry_elect(struct env *env, struct registry_session *session,
                   const char *key, struct bytes value,
                   const struct registry_race *race, void *arg,
                   struct registry_claim **out)
{
    struct registry_claim *c;
    err e = claim_begin(session, key, value, &c);
    if (e != OK) return e;
    c->goal = GOAL_HAVE;
    c->race = race;
    c->arg = arg;
    e = registry_watch(env, session, key, on_seen, c, &c->watch);
    if (e != OK) {
        forget(c);
        return e;
    }
    *out = c;
    return OK;
}

void registry_resign(struct env *env, struct registry_claim *c)
{
    c->goal = GOAL_GIVE_BACK;
    look(env, c);
}
