/* spout.c - spouts written in Lua: next(), what generators make, and the news
 * of acks and fails. */
#include "actors/stream/state.h"
#include "core/alloc.h"
#include "core/node.h"
#include "lua/hooks.h"
#include "lua/windowed.h"
#include <lauxlib.h>
#include <string.h>

enum {
    IDLE_FIRST_NS = 1000000,
    IDLE_MAX_NS = 100000000,
    /* A generator at a rate sleeps no shorter: waking two threads for a tuple
     * costs more than the tuple. What was due meanwhile comes at once. */
    RATE_REST_NS = 400000,
};

/* ---- next(), and what generators make ---- */

/* next() has come back: what did it say? The result is on the top. */
static void next_through(lua_State *L, struct guest *g)
{
    g->next_called = false;
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) g->ended = true;
    lua_pop(L, 1);
}

/* The stack: guest, next, self. */
static int each_next(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    struct env *env;
    if (g->next_called) { /* it had been suspended: others wait, too */
        next_through(L, g);
        return 0;
    }
    for (;;) {
        env = g->context->env; /* it may have changed while suspended */
        if (g->ended || g->emitted == 0 || env_spent(env) ||
            executor_full(g->context))
            return 0;
        vm_next_tuple(L);
        env_charge(env, 1);
        g->emitted = 0;
        g->next_called = true;
        lua_pushvalue(L, 2);
        lua_pushvalue(L, 3);
        lua_callk(L, 1, 1, ctx, each_next);
        next_through(L, g);
    }
}

static int next_body(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    vref_push(L, &g->body);
    script_field(L, -1, "next");
    lua_replace(L, 2);
    vref_push(L, &g->self);
    g->emitted = 1; /* so that it is called at least once */
    return each_next(L, LUA_OK, (lua_KContext)g);
}

/* make(i) has come back with the values of tuple i on the stack above slot 2.
 */
static void made(lua_State *L, struct guest *g, uint64_t i)
{
    int count = lua_gettop(L) - 2;
    struct component_context *c = g->context;
    if (count != (int)c->emitter->streams[0].arity)
        luaL_error(L, "make(%d) returned %d values, but there are %d fields",
                   (int)i, count, (int)c->emitter->streams[0].arity);
    guest_try_emit(L, g, 0, 3, count);
    bool tracked = executor_tracks(c);
    if (tracked && !executor_root(c, i))
        luaL_error(L, "there is no memory to track a tuple");
    guest_emit(L, g, 0, 3, count);
    if (tracked)
        executor_rooted(c);
    else
        executor_emitted(c);
    lua_settop(L, 2);
}

static uint64_t own_number(const struct guest *g, uint64_t n)
{
    const struct component_context *c = g->context;
    return 1 + c->index + (n - 1) * c->component->tasks;
}

/* What so many of its tuples take at its rate. */
static int64_t pace_ns(const struct guest *g, uint64_t tuples)
{
    if (g->config->rate == 0) return 0;
    uint64_t all = tuples * g->context->component->tasks;
    return (int64_t)((double)all * 1e9 / (double)g->config->rate);
}

/* The next tuple may not come before this. */
static int64_t due_ns(const struct guest *g)
{
    if (g->config->rate == 0) return 0;
    uint64_t i = own_number(g, g->tokens + 1) - 1;
    return g->began_ns + (int64_t)((double)i * 1e9 / (double)g->config->rate);
}

static bool all_made(const struct guest *g)
{
    return g->config->count >= 0 &&
           own_number(g, g->tokens + 1) > (uint64_t)g->config->count;
}

/* The stack: guest, make (or nil). */
static int each_made(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    bool again = g->replay_token != 0;
    if (g->next_called) {
        g->next_called = false;
        made(L, g, again ? g->replay_token : own_number(g, g->tokens));
        return 0;
    }
    for (;;) {
        struct env *env = g->context->env;
        if (!again && (all_made(g) || env_spent(env) ||
                       executor_full(g->context) || due_ns(g) > env_now(env)))
            return 0;
        vm_next_tuple(L);
        env_charge(env, 1);
        uint64_t i = again ? g->replay_token : own_number(g, ++g->tokens);
        if (lua_isnil(L, 2)) {
            lua_pushinteger(L, (lua_Integer)i);
        } else {
            g->next_called = true;
            lua_pushvalue(L, 2);
            lua_pushinteger(L, (lua_Integer)i);
            lua_callk(L, 1, LUA_MULTRET, ctx, each_made);
            g->next_called = false;
        }
        made(L, g, i);
        if (again) return 0;
    }
}

static int make_body(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    vref_push(L, &g->body);
    lua_rawgeti(L, -1, 1);
    script_field(L, -1, "options");
    script_field(L, -1, "make");
    lua_replace(L, 2);
    lua_settop(L, 2);
    return each_made(L, LUA_OK, (lua_KContext)g);
}

static enum step made_outcome(struct guest *g)
{
    struct component_context *c = g->context;
    if (g->replay_token) {
        g->replay_token = 0;
        return STEP_DONE;
    }
    if (all_made(g)) return STEP_END;
    int64_t wait_ns = due_ns(g) - env_now(c->env);
    c->sleep_ns = wait_ns > RATE_REST_NS ? wait_ns : RATE_REST_NS;
    return wait_ns > 0 ? STEP_IDLE : STEP_AGAIN;
}

enum step guest_next_outcome(struct guest *g, enum vm_outcome outcome)
{
    if (outcome == VM_YIELDED || outcome == VM_SLEEPING)
        return guest_suspended(g, outcome);
    g->may_emit = false;
    if (outcome != VM_DONE) return guest_crash(g);
    if (g->state_mark) state_keep(g->context->state);
    if (g->config->generates) return made_outcome(g);
    if (g->ended) {
        g->ended = false;
        return STEP_END;
    }
    if (g->emitted > 0) {
        g->idle_ns = 0;
        return STEP_AGAIN;
    }
    g->idle_ns = g->idle_ns ? 2 * g->idle_ns : IDLE_FIRST_NS;
    if (g->idle_ns > IDLE_MAX_NS) g->idle_ns = IDLE_MAX_NS;
    g->context->sleep_ns = g->idle_ns;
    return STEP_IDLE;
}

static enum step run_next(struct guest *g)
{
    g->running = RUN_NEXT;
    g->anchored = g->next_called = false;
    g->may_emit = true;
    return guest_next_outcome(
        g, vm_run(g->script.vm, guest_seat(g),
                  g->config->generates ? make_body : next_body, g));
}

enum step guest_next(struct component_context *context, void *self)
{
    struct guest *g = self;
    if (g->config->generates && g->began_ns == 0)
        g->began_ns = env_now(context->env) - pace_ns(g, g->tokens);
    return run_next(g);
}

enum step guest_replay(struct component_context *context, void *self,
                       uint64_t token)
{
    struct guest *g = self;
    g->replay_token = token;
    return run_next(g);
}

/* ---- acks and fails, told when the VM is free ---- */

/* Room for a notice of each root that is under way and of one more: news of
 * an ack can't be refused. What was told leaves its room. */
bool guest_notice_room(struct guest *g)
{
    if (g->notice_count + g->untold < g->notice_room) return true;
    unsigned left = g->notice_count - g->notice_next;
    if (left > 0)
        memmove(g->notices, g->notices + g->notice_next,
                left * sizeof *g->notices);
    g->notice_next = 0;
    g->notice_count = left;
    if (2 * (left + g->untold) < g->notice_room) return true;
    unsigned room = g->notice_room ? 2 * g->notice_room : 64;
    struct notice *more = mem_resize(g->notices, room * sizeof *more);
    if (more == NULL) return false;
    g->notices = more;
    g->notice_room = room;
    return true;
}

/* There is room for the notice: see guest_notice_room(). */
static void add_notice(struct guest *g, uint64_t token, const char *reason)
{
    struct notice notice = {.token = token, .failed = reason != NULL};
    if (reason) notice.reason = mem_text(reason, strlen(reason));
    g->notices[g->notice_count++] = notice;
    g->untold--;
}

void guest_ack(struct component_context *context, void *self, uint64_t token)
{
    struct guest *g = self;
    if (!g->config->generates) add_notice(g, token, NULL);
}

enum verdict guest_fail(struct component_context *context, void *self,
                        uint64_t token, const char *reason)
{
    struct guest *g = self;
    if (g->config->generates) return VERDICT_REPLAY;
    add_notice(g, token, reason);
    return g->has_fail ? VERDICT_MINE : VERDICT_FINAL;
}

/* The stack: guest. Each notice calls ack(self, id) or fail(self, id, why). */
static int each_notice(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    while (g->notice_next < g->notice_count) {
        struct notice *n = &g->notices[g->notice_next];
        lua_settop(L, 1);
        vm_next_tuple(L);
        hooks_take_token(L, g, n->token);
        vref_push(L, &g->body);
        bool wanted =
            script_field(L, -1, n->failed ? "fail" : "ack") == LUA_TFUNCTION;
        vref_push(L, &g->self);
        vref_push(L, &g->ids);
        lua_rawgeti(L, -1, (lua_Integer)n->token);
        lua_pushnil(L);
        lua_rawseti(L, -3, (lua_Integer)n->token);
        lua_remove(L, -2);
        if (n->failed)
            lua_pushstring(L, n->reason ? n->reason
                                        : "there was no memory for the reason");
        int args = n->failed ? 3 : 2;
        g->notice_next++;
        mem_free(n->reason);
        n->reason = NULL;
        if (wanted) lua_callk(L, args, 0, ctx, each_notice);
    }
    return 0;
}

static int notify_body(lua_State *L)
{
    return each_notice(L, LUA_OK, (lua_KContext)lua_touserdata(L, 1));
}

enum step guest_notify(struct component_context *context, void *self)
{
    struct guest *g = self;
    g->running = RUN_NOTIFY;
    g->anchored = false;
    g->may_emit = true;
    return guest_call_outcome(
        g, vm_run(g->script.vm, guest_seat(g), notify_body, g));
}

/* ---- checkpoints ---- */

/* Tuples before this one are settled. */
err guest_snapshot(struct component_context *context, void *self,
                   uint64_t oldest, struct buffer *out)
{
    struct guest *g = self;
    uint8_t at[VALUE_SCALAR_MAX];
    if (g->windowed) return windowed_snapshot(g, out);
    if (!g->config->generates) return OK;
    uint64_t next = own_number(g, g->tokens + 1);
    uint8_t *end = value_put_int(at, (int64_t)(oldest < next ? oldest : next));
    return buffer_append(out, at, (size_t)(end - at));
}

/* The task's first tuple has the number index + 1. */
err guest_restore(struct component_context *context, void *self,
                  struct bytes position)
{
    struct guest *g = self;
    const uint8_t *at = position.at, *next;
    struct value v;
    if (!guest_is_spout(g)) return windowed_restore(g, position);
    if (!g->config->generates || position.count == 0) return OK;
    if (value_check(at, at + position.count, &next) != OK) return ERR_FORMAT;
    value_get(at, &v);
    if (v.type != VALUE_INT || v.as.integer < 1) return ERR_FORMAT;
    g->tokens = ((uint64_t)v.as.integer - 1 - context->index) /
                context->component->tasks;
    return OK;
}
