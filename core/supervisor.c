#include "core/supervisor.h"
#include "core/alloc.h"
#include "core/deadline.h"

enum { ASK_AGAIN_NS = 10 * 1000 * 1000 };

struct child {
    actor_id id; /* 0: not running */
    uint64_t ref;
    unsigned restarts;
    bool condemned;  /* by the strategy: its end is no crash of its own */
    bool told;       /* to end: those started after it have ended */
    bool done;       /* ended for good */
    struct msg *end; /* owned: the order to end it, made before it starts */
};

struct supervisor {
    struct supervisor_config config;
    struct child *children; /* owned */
    int64_t *restarts_ns;   /* owned ring: when the last ones were */
    unsigned restart_count, restart_next;
    bool ending;
    err ends_with;
    bool due; /* the backoff is over: restart when the condemned have ended */
    deadline_id timer;
    unsigned running;
};

struct supervisor_config supervisor_defaults(void)
{
    return (struct supervisor_config){
        .strategy = ONE_FOR_ONE,
        .intensity = 5,
        .period_ns = (int64_t)60 * 1000000000,
        .backoff_ns = (int64_t)100 * 1000000,
        .backoff_max_ns = (int64_t)30 * 1000000000,
    };
}

/* A second order would only tell it what it knows. */
static void end_now(struct env *env, struct child *child)
{
    if (child->end) actor_post(env, child->id, child->end);
    child->end = NULL;
}

static err start_child(struct env *env, struct supervisor *s, unsigned i)
{
    const struct child_spec *spec = &s->config.children[i];
    struct child *child = &s->children[i];
    actor_id id;
    if (child->end == NULL) child->end = actor_kill_order(env, ERR_STOPPED);
    if (child->end == NULL) return ERR_NOMEM;
    err e = actor_spawn_monitored(env, spec->group, spec->kind, spec->args,
                                  spec->args_bytes, &id, &child->ref);
    if (e != OK) return e;
    child->id = id;
    s->running++;
    child->condemned = child->told = false;
    if (s->config.started &&
        s->config.started(env, s->config.context, i, id, child->restarts) != OK)
        end_now(env, child); /* its DOWN has it started once more */
    return OK;
}

static err start_later(struct env *env, struct supervisor *s);

static err ask_again(struct env *env, struct supervisor *s)
{
    deadline_cancel(env, &s->timer);
    if (deadline_set(env, env_now(env) + ASK_AGAIN_NS, 0, &s->timer) != OK)
        env_again(env);
    return OK;
}

/* Every child that should run and doesn't, in order; not before those that
 * are condemned have all ended. */
static err start_missing(struct env *env, struct supervisor *s)
{
    for (unsigned i = 0; i < s->config.count; i++)
        if (s->children[i].id != 0 && s->children[i].condemned) return OK;
    if (s->config.may_start && s->running == 0 &&
        !s->config.may_start(env, s->config.context))
        return ask_again(env, s);
    s->due = false;
    for (unsigned i = 0; i < s->config.count; i++) {
        if (s->children[i].id != 0 || s->children[i].done) continue;
        if (start_child(env, s, i) != OK) return start_later(env, s);
    }
    return OK;
}

/* A supervisor gets to end its own children in order. */
static void end_child(struct env *env, struct supervisor *s, unsigned i)
{
    actor_id id = s->children[i].id;
    if (s->config.children[i].kind == &supervisor_kind &&
        actor_send(env, id, MSG_STOP, NULL, 0) == OK)
        return;
    end_now(env, &s->children[i]);
}

/* The condemned end one after the other, last to first. */
static void end_next(struct env *env, struct supervisor *s)
{
    for (unsigned i = s->config.count; i-- > 0;) {
        struct child *child = &s->children[i];
        if (child->id == 0 || !child->condemned) continue;
        if (!child->told) end_child(env, s, i);
        child->told = true;
        return;
    }
}

static void condemn_from(struct env *env, struct supervisor *s, unsigned first)
{
    for (unsigned i = first; i < s->config.count; i++)
        if (s->children[i].id != 0) s->children[i].condemned = true;
    end_next(env, s);
}

/* There is no time to wait for each. */
static void kill_all(struct env *env, struct supervisor *s)
{
    for (unsigned i = s->config.count; i-- > 0;)
        if (s->children[i].id != 0) end_now(env, &s->children[i]);
}

static void free_all(struct env *env, struct supervisor *s)
{
    for (unsigned i = 0; s->children && i < s->config.count; i++)
        if (s->children[i].end) msg_free(env, s->children[i].end);
    mem_free(s->children);
    mem_free(s->restarts_ns);
}

static err begin_ending(struct env *env, struct supervisor *s, err why)
{
    if (s->ending) return OK; /* a stop doesn't make an escalation good */
    s->ending = true;
    s->ends_with = why;
    deadline_cancel(env, &s->timer);
    condemn_from(env, s, 0);
    return s->running == 0 ? why : OK;
}

/* Notes a restart; returns how many the period holds now, with this one. */
static unsigned note_restart(struct env *env, struct supervisor *s)
{
    unsigned room = s->config.intensity + 1;
    s->restarts_ns[s->restart_next++ % room] = env_now(env);
    if (s->restart_count < room) s->restart_count++;
    unsigned recent = 0;
    for (unsigned i = 0; i < s->restart_count; i++)
        if (env_now(env) - s->restarts_ns[i] < s->config.period_ns) recent++;
    return recent;
}

static int64_t backoff_ns(struct env *env, struct supervisor *s,
                          unsigned recent)
{
    if (recent <= 1) return 0;
    int64_t wait = s->config.backoff_ns;
    for (unsigned i = 2; i < recent && wait < s->config.backoff_max_ns; i++)
        wait *= 2;
    if (wait > s->config.backoff_max_ns) wait = s->config.backoff_max_ns;
    /* Up to a quarter sooner, so that many don't restart in step. */
    return wait - (int64_t)(env_random(env) % (uint64_t)(wait / 4 + 1));
}

/* After the backoff; at once when there is no memory for a timer. */
static err start_after(struct env *env, struct supervisor *s, unsigned recent)
{
    deadline_cancel(env, &s->timer);
    s->due = false;
    int64_t at_ns = env_now(env) + backoff_ns(env, s, recent);
    if (deadline_set(env, at_ns, 0, &s->timer) == OK) return OK;
    s->due = true;
    return start_missing(env, s);
}

/* What can't be started counts as having crashed. */
static err start_later(struct env *env, struct supervisor *s)
{
    unsigned recent = note_restart(env, s);
    if (recent > s->config.intensity) return begin_ending(env, s, ERR_CRASHED);
    return start_after(env, s, recent);
}

static err child_crashed(struct env *env, struct supervisor *s, unsigned i,
                         err why)
{
    s->children[i].restarts++;
    /* Whoever gave it that counts how often. */
    unsigned recent = why == ERR_POISONED ? 1 : note_restart(env, s);
    if (why == ERR_HOPELESS) return begin_ending(env, s, why);
    if (recent > s->config.intensity) return begin_ending(env, s, ERR_CRASHED);
    if (s->config.strategy == ONE_FOR_ALL) condemn_from(env, s, 0);
    if (s->config.strategy == REST_FOR_ONE) condemn_from(env, s, i + 1);
    return start_after(env, s, recent);
}

static err child_down(struct env *env, struct supervisor *s,
                      const struct down *down)
{
    for (unsigned i = 0; i < s->config.count; i++) {
        struct child *child = &s->children[i];
        if (child->ref != down->ref || child->id == 0) continue;
        bool condemned = child->condemned;
        child->id = 0;
        child->condemned = child->told = false;
        s->running--;
        end_next(env, s);
        if (s->ending) return s->running == 0 ? s->ends_with : OK;
        enum child_restart restart = s->config.children[i].restart;
        if (condemned) {
            child->done = restart == CHILD_TEMPORARY;
            return s->due ? start_missing(env, s) : OK;
        }
        child->done = restart == CHILD_TEMPORARY ||
                      (restart == CHILD_TRANSIENT && down->why == ERR_DONE);
        if (!child->done) return child_crashed(env, s, i, down->why);
        for (unsigned k = 0; k < s->config.count; k++)
            if (!s->children[k].done) return OK;
        return ERR_DONE;
    }
    return OK;
}

static err supervisor_init(struct env *env, void *self, const void *args)
{
    struct supervisor *s = self;
    s->config = *(const struct supervisor_config *)args;
    s->children = mem_zero(s->config.count, sizeof *s->children);
    s->restarts_ns = mem_zero(s->config.intensity + 1, sizeof(int64_t));
    err e = s->children && s->restarts_ns ? start_missing(env, s) : ERR_NOMEM;
    if (e != OK) {
        if (s->children) kill_all(env, s);
        deadline_cancel(env, &s->timer);
        free_all(env, s);
    }
    return e;
}

static err supervisor_receive(struct env *env, void *self, const struct msg *m)
{
    struct supervisor *s = self;
    switch (m->kind) {
    case MSG_DOWN: return child_down(env, s, msg_body(m));
    case MSG_AGAIN:
    case MSG_TIMER: s->due = true; return start_missing(env, s);
    case MSG_STOP: return begin_ending(env, s, ERR_DONE);
    default: return ERR_BADMSG;
    }
}

static void supervisor_terminate(struct env *env, void *self, err why)
{
    struct supervisor *s = self;
    kill_all(env, s);
    deadline_cancel(env, &s->timer);
    free_all(env, s);
}

const struct actor_kind supervisor_kind = {
    .name = "supervisor",
    .state_bytes = sizeof(struct supervisor),
    .traps_exits = true,
    .init = supervisor_init,
    .receive = supervisor_receive,
    .terminate = supervisor_terminate,
};
