#include "lua/component.h"
#include "actors/stream/topology.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/node.h"
#include "lua/recent.h"
#include "lua/script.h"
#include "lua/value.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    INPUTS_MAX = 64,
    IDLE_FIRST_NS = 1000000,
    IDLE_MAX_NS = 100000000,
    STEP_NS = 50, /* of a budget, where instructions are counted */
};

/* Which of the component's functions runs. */
enum run { RUN_NONE, RUN_BATCH, RUN_NEXT, RUN_NOTIFY, RUN_CALL };

/* A root that was settled; told when the VM is free. */
struct notice {
    uint64_t token;
    bool failed;
    char *reason; /* owned; NULL: acked, or no memory for it */
};

struct guest {
    struct script script; /* first: it is the VM's host */
    struct component_context *context;
    const struct lua_config *config;
    struct vref body; /* the component's table, of which functions come */
    struct vref self; /* the task's table */
    struct vref ids;  /* token → id, of emit_id */
    struct vref engine_emit; /* what self.emit must be */

    enum run running;
    const char *call; /* RUN_CALL: name of the function */
    bool anchored;    /* emits belong to the tuple in hand */
    bool may_emit;
    struct input *input;
    bool in_hand;          /* a tuple was pushed and is not through */
    const uint8_t *end;    /* behind its values; NULL: not known yet */
    unsigned arity;        /* of the input's stream */
    struct recent *recent; /* strings, for the fields; the VM's */

    uint64_t emitted; /* by the next() in hand */
    bool next_called; /* its result is on the stack */
    bool ended;       /* next() returned false */
    int64_t idle_ns;
    uint64_t tokens; /* given so far */
    bool told_untracked;
    uint64_t replay_token; /* generator: make this one again; 0: none */
    int64_t began_ns;      /* generator: of its pace */

    struct notice *notices; /* owned */
    unsigned notice_count, notice_room, notice_next;
    unsigned untold; /* tokens of emit_id() without a notice so far */
    bool has_fail, has_cleanup; /* functions of the component */
    struct buffer scratch;      /* a tuple with tables */
};

static struct guest *guest_of(lua_State *L)
{
    return vm_host(L);
}

static struct watchdog_seat *seat_of(struct guest *g)
{
    return lua_runtime_seat(g->config->runtime, env_thread(g->context->env));
}

/* ---- emit ---- */

static uint64_t hash_at(lua_State *L, struct guest *g, const char *field,
                        int index)
{
    size_t length;
    const char *bytes;
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &length);
        return value_hash_bytes(bytes, length, 0);
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return value_hash_int(lua_tointeger(L, index), 0);
        if (isnan(lua_tonumber(L, index)))
            luaL_error(L,
                       "field '%s' is NaN, which is no key; emit a key "
                       "that equals itself",
                       field);
        return value_hash_float(lua_tonumber(L, index), 0);
    case LUA_TBOOLEAN: return value_hash_bool(lua_toboolean(L, index), 0);
    case LUA_TNIL:
        luaL_error(L,
                   "field '%s' is nil, but tuples are grouped by it; emit "
                   "a value",
                   field);
        return 0;
    default: {
        size_t before = g->scratch.used;
        value_encode(L, index, &g->scratch);
        uint64_t hash = value_hash(g->scratch.data + before, 0);
        g->scratch.used = before;
        return hash;
    }
    }
}

static uint64_t hash_keys(lua_State *L, struct guest *g, unsigned stream,
                          const struct input_plan *input, int first)
{
    uint64_t hash = 0;
    for (unsigned i = 0; i < input->key_count; i++) {
        const char *field =
            g->context->component->streams[stream].fields[input->keys[i]];
        hash = value_hash_key(
            hash, i, hash_at(L, g, field, first + (int)input->keys[i]));
    }
    return hash;
}

static void refused(lua_State *L, struct guest *g)
{
    (void)g;
    luaL_error(L, "one call may emit 64 MB at most; emit less, or in several "
                  "calls");
}

/* Bytes that the values take at most; 0: there is a table or worse. */
static size_t scalars_bytes(lua_State *L, int first, int count)
{
    size_t bytes = 0, length;
    for (int i = first; i < first + count; i++) {
        switch (lua_type(L, i)) {
        case LUA_TSTRING:
            lua_tolstring(L, i, &length);
            if (length > VALUE_BYTES_MAX) return 0;
            bytes += length + VALUE_HEAD_MAX;
            break;
        case LUA_TNUMBER:
        case LUA_TBOOLEAN:
        case LUA_TNIL: bytes += VALUE_SCALAR_MAX; break;
        default: return 0;
        }
    }
    return bytes + 1; /* a tuple without values has a length, too */
}

static uint8_t *put_scalar(lua_State *L, int index, uint8_t *at)
{
    size_t length;
    const char *bytes;
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &length);
        return value_put_bytes(at, bytes, (uint32_t)length);
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return value_put_int(at, lua_tointeger(L, index));
        return value_put_float(at, lua_tonumber(L, index));
    case LUA_TBOOLEAN: return value_put_bool(at, lua_toboolean(L, index));
    default: return value_put_nil(at);
    }
}

/* Tables first become bytes, then every route gets a copy. */
static void emit_encoded(lua_State *L, struct guest *g, unsigned stream,
                         int first, int count)
{
    struct emitter *e = g->context->emitter;
    g->scratch.used = 0;
    for (int i = first; i < first + count; i++)
        value_encode(L, i, &g->scratch);
    uint32_t bytes = (uint32_t)g->scratch.used;
    struct out_stream *out = &e->streams[stream];
    for (unsigned i = 0; i < out->route_count; i++) {
        struct route *route = &out->routes[i];
        uint64_t hash = 0;
        if (route->input->grouping == GROUPING_FIELDS) {
            g->scratch.used = bytes;
            hash = hash_keys(L, g, stream, route->input, first);
        }
        struct port *port = route_port(route, hash);
        uint8_t *at = port_reserve(e, port, bytes);
        if (at == NULL) refused(L, g);
        memcpy(at, g->scratch.data, bytes);
        port_commit(e, port, at + bytes);
    }
}

/* The values of `count` stack slots from `first`, to all routes of a stream. */
static void emit_values(lua_State *L, struct guest *g, unsigned stream,
                        int first, int count)
{
    struct emitter *e = g->context->emitter;
    struct out_stream *out = &e->streams[stream];
    size_t bytes = scalars_bytes(L, first, count);
    if (bytes == 0) {
        emit_encoded(L, g, stream, first, count);
    } else {
        for (unsigned i = 0; i < out->route_count; i++) {
            struct route *route = &out->routes[i];
            uint64_t hash = 0;
            if (route->input->grouping == GROUPING_FIELDS)
                hash = hash_keys(L, g, stream, route->input, first);
            struct port *port = route_port(route, hash);
            uint8_t *at = port_reserve(e, port, (uint32_t)bytes);
            if (at == NULL) refused(L, g);
            for (int k = first; k < first + count; k++)
                at = put_scalar(L, k, at);
            port_commit(e, port, at);
        }
    }
    e->emitted++;
    g->emitted++;
}

static void wrong_arity(lua_State *L, struct guest *g, unsigned stream,
                        int first, int count)
{
    const struct stream_plan *plan = &g->context->component->streams[stream];
    if (count > 0) {
        vref_push(L, &g->self);
        if (lua_rawequal(L, -1, first))
            luaL_error(L, "emit got self; write self.emit(…) with a dot");
        lua_pop(L, 1);
    }
    luaL_error(L,
               "stream '%s' has %d fields, emit got %d values; give each field "
               "one, and put parentheses around a call that returns several: "
               "emit((s:gsub(…)))",
               plan->name, (int)plan->arity, count);
}

static void check_emit(lua_State *L, struct guest *g, unsigned stream,
                       int first, int count)
{
    if (!g->may_emit)
        luaL_error(L, "emit works only while the engine calls the component");
    if (count != (int)g->context->emitter->streams[stream].arity)
        wrong_arity(L, g, stream, first, count);
    if (count > 0 && lua_type(L, first) == LUA_TTABLE) {
        vref_push(L, &g->self);
        bool is_self = lua_rawequal(L, -1, first);
        lua_pop(L, 1);
        if (is_self)
            luaL_error(L, "emit got self; write self.emit(…) with a dot");
    }
}

static bool is_spout(const struct guest *g)
{
    return g->context->component->kind == COMPONENT_SPOUT;
}

static void tell_untracked(struct guest *g)
{
    if (g->told_untracked || !is_spout(g) || !executor_tracks(g->context))
        return;
    g->told_untracked = true;
    executor_log(g->context, LOG_WARN,
                 "self.emit in a spout is not tracked: a tuple that fails is "
                 "lost; use self.emit_id(id, …)");
}

static void emit_untracked(lua_State *L, struct guest *g, unsigned stream,
                           int first, int count)
{
    check_emit(L, g, stream, first, count);
    if (!g->anchored && g->context->emitter->root != 0)
        executor_unroot(g->context); /* of a tracked emit that was refused */
    emit_values(L, g, stream, first, count);
    if (g->anchored) return; /* kept when its tuple is through */
    executor_emitted(g->context);
    if (!g->told_untracked) tell_untracked(g);
}

/* The case that costs most of all, in one go: a bolt emits one short string to
 * one subscriber. False: it is another case, nothing was done. */
static inline bool emit_short(lua_State *L, struct guest *g)
{
    struct emitter *e = g->context->emitter;
    struct out_stream *out = &e->streams[0];
    if (!g->anchored || out->arity != 1 || out->route_count != 1 ||
        lua_type(L, 1) != LUA_TSTRING || lua_gettop(L) != 1)
        return false;
    size_t length;
    const char *bytes = lua_tolstring(L, 1, &length);
    if (length > SHORT_MAX) return false;
    struct short_string text = short_read(bytes, length);
    struct route *route = out->routes;
    uint64_t hash = 0;
    if (route->input->grouping == GROUPING_FIELDS) hash = short_hash(text, 0);
    struct port *port = route_port(route, hash);
    uint8_t *at = port_reserve(e, port, 1 + sizeof text);
    if (at == NULL) refused(L, g);
    *at = (uint8_t)(MSGPACK_FIXSTR | length);
    short_write(at + 1, text);
    port_commit(e, port, at + 1 + length);
    e->emitted++;
    return true;
}

static int emit(lua_State *L)
{
    struct guest *g = guest_of(L);
    if (!emit_short(L, g)) emit_untracked(L, g, 0, 1, lua_gettop(L));
    return 0;
}

static unsigned stream_at(lua_State *L, struct guest *g, int index)
{
    const struct component_plan *plan = g->context->component;
    const char *name = luaL_checkstring(L, index);
    for (unsigned i = 0; i < plan->stream_count; i++)
        if (strcmp(plan->streams[i].name, name) == 0) return i;
    luaL_error(L,
               "there is no stream '%s'; declare it in streams = { %s = { … "
               "} }",
               name, name);
    return 0;
}

static int emit_to(lua_State *L)
{
    struct guest *g = guest_of(L);
    unsigned stream = stream_at(L, g, 1);
    emit_untracked(L, g, stream, 2, lua_gettop(L) - 1);
    return 0;
}

/* Room for a notice of each root that is under way and of one more: news of
 * an ack can't be refused. What was told leaves its room. */
static bool have_notice_room(struct guest *g)
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

static void emit_tracked(lua_State *L, struct guest *g, unsigned stream, int id,
                         int first, int count)
{
    check_emit(L, g, stream, first, count);
    if (!executor_tracks(g->context)) { /* at-most-once: nobody asks again */
        emit_values(L, g, stream, first, count);
        executor_emitted(g->context);
        return;
    }
    /* What can raise comes first; then the root, then the tuple. */
    uint64_t token = ++g->tokens;
    vref_push(L, &g->ids);
    lua_pushvalue(L, id);
    lua_rawseti(L, -2, (lua_Integer)token);
    lua_pop(L, 1);
    size_t bytes = scalars_bytes(L, first, count);
    if (bytes == 0) { /* shows that it can be encoded */
        g->scratch.used = 0;
        for (int i = first; i < first + count; i++)
            value_encode(L, i, &g->scratch);
    }
    if (!have_notice_room(g) || !executor_root(g->context, token))
        luaL_error(L, "there is no memory to track a tuple");
    emit_values(L, g, stream, first, count);
    executor_rooted(g->context);
    g->untold++;
}

static int emit_id(lua_State *L)
{
    struct guest *g = guest_of(L);
    luaL_checkany(L, 1);
    emit_tracked(L, g, 0, 1, 2, lua_gettop(L) - 1);
    return 0;
}

static int emit_id_to(lua_State *L)
{
    struct guest *g = guest_of(L);
    unsigned stream = stream_at(L, g, 1);
    luaL_checkany(L, 2);
    emit_tracked(L, g, stream, 2, 3, lua_gettop(L) - 2);
    return 0;
}

/* ---- self ---- */

/* self.tuple: what the few need to know of the tuple in hand. */
static void push_tuple(lua_State *L, struct guest *g)
{
    if (!g->in_hand) {
        lua_pushnil(L);
        return;
    }
    const struct plan *plan = g->context->plan;
    const struct input_plan *input =
        &g->context->component->inputs[g->input->source];
    const struct component_plan *from = &plan->components[input->component];
    const struct stream_plan *stream = &from->streams[input->stream];
    lua_createtable(L, 0, 4);
    lua_pushstring(L, from->name);
    lua_setfield(L, -2, "component");
    lua_pushstring(L, stream->name);
    lua_setfield(L, -2, "stream");
    lua_pushinteger(L, (lua_Integer)g->input->batch->task - from->first_task);
    lua_setfield(L, -2, "task");
    lua_createtable(L, (int)stream->arity, 0);
    for (unsigned i = 0; i < stream->arity; i++) {
        lua_pushstring(L, stream->fields[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "fields");
}

static int self_index(lua_State *L)
{
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(key, "tuple") == 0)
        push_tuple(L, guest_of(L));
    else
        lua_pushnil(L);
    return 1;
}

static int self_newindex(lua_State *L)
{
    static const char *const own[] = {"tuple", "state", "hold", NULL};
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    for (int i = 0; own[i]; i++)
        if (strcmp(own[i], key) == 0)
            return luaL_error(L, "self.%s is the engine's; use another name",
                              key);
    lua_rawset(L, 1);
    return 0;
}

static void add_method(lua_State *L, const char *name, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
}

static void make_self(lua_State *L, struct guest *g)
{
    lua_createtable(L, 0, 8);
    add_method(L, "emit", emit);
    lua_getfield(L, -1, "emit");
    vref_take(L, &g->engine_emit);
    add_method(L, "emit_to", emit_to);
    if (is_spout(g)) {
        add_method(L, "emit_id", emit_id);
        add_method(L, "emit_id_to", emit_id_to);
    }
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, self_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, self_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    vref_take(L, &g->self);
}

/* self.emit is an ordinary field, so that calling it costs nothing; that it
 * is still the engine's is looked at between batches. */
static int check_self(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    vref_push(L, &g->self);
    lua_pushliteral(L, "emit");
    lua_rawget(L, -2);
    vref_push(L, &g->engine_emit);
    if (lua_rawequal(L, -1, -2)) return 0;
    lua_setfield(L, -3, "emit");
    return luaL_error(L, "self.emit was assigned; it is the engine's, use "
                         "another name");
}

/* ---- bolts: a batch ---- */

static void push_execute(lua_State *L, struct guest *g)
{
    const struct component_plan *plan = g->context->component;
    vref_push(L, &g->body);
    lua_getfield(L, -1, "execute");
    if (lua_istable(L, -1)) {
        const struct input_plan *input = &plan->inputs[g->input->source];
        lua_getfield(L, -1,
                     g->context->plan->components[input->component].name);
        lua_remove(L, -2);
    }
    lua_remove(L, -2);
}

static void tuple_through(struct guest *g)
{
    g->in_hand = false;
    input_done(g->context, g->input, g->end);
}

enum { GUEST = 1, EXECUTE, SELF, STRINGS }; /* the stack of each_tuple() */

static inline const uint8_t *push_field(lua_State *L, struct guest *g,
                                        const uint8_t *at)
{
    uint8_t head = *at;
    if ((head & 0xe0) != MSGPACK_FIXSTR) return value_push_long(L, at);
    recent_push(L, g->recent, STRINGS, (const char *)at + 1, head & 31);
    return at + 1 + (head & 31);
}

/* Calls execute for each tuple that is left; also its own continuation. */
static int each_tuple(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    int arity = (int)g->arity;
    if (g->in_hand) tuple_through(g); /* it had been suspended */
    const uint8_t *at;
    while ((at = input_next(g->context, g->input)) != NULL) {
        vm_next_tuple(L);
        g->in_hand = true;
        g->end = NULL;
        lua_pushvalue(L, EXECUTE);
        lua_pushvalue(L, SELF);
        for (int i = 0; i < arity; i++)
            at = push_field(L, g, at);
        g->end = at;
        lua_callk(L, arity + 1, 0, ctx, each_tuple);
        tuple_through(g);
    }
    return 0;
}

static int begin_tuples(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    luaL_checkstack(L, (int)g->arity + 8, "too many values");
    push_execute(L, g);
    vref_push(L, &g->self);
    g->recent = recent_begin(L);
    return each_tuple(L, LUA_OK, (lua_KContext)g);
}

/* The tuple in hand failed: its output is taken back, the rest goes on. */
static void fail_tuple(struct guest *g, const char *why)
{
    const uint8_t *end = g->end;
    if (end == NULL) {
        end = g->input->at;
        for (unsigned i = 0; i < g->arity; i++)
            end = value_skip(end);
    }
    g->in_hand = false;
    char text[256];
    if (strcmp(why, "not enough memory") == 0) {
        size_t bytes = vm_config_of(g->script.vm)->memory_bytes;
        snprintf(text, sizeof text,
                 "not enough memory; the limit of a task of '%s' is %zu MB; "
                 "keep less, or give it memory = \"…MB\"",
                 g->config->component, bytes >> 20);
        why = text;
    }
    executor_fail(g->context, g->input, end, why);
}

/* The one protected call around the batch, and its continuation: after a
 * tuple's error it goes on at the next. The stack: guest, handler. */
static int guard(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    for (;;) {
        if (status != LUA_OK && status != LUA_YIELD) {
            if (!g->in_hand) return lua_error(L); /* before the first tuple */
            const char *why = lua_tostring(L, -1);
            fail_tuple(g, why ? why : "an error without a text");
        } else if (g->input->left == 0) {
            return 0;
        }
        lua_settop(L, 2);
        lua_pushcfunction(L, begin_tuples);
        lua_pushlightuserdata(L, g);
        status = lua_pcallk(L, 1, 0, 2, ctx, guard);
    }
}

static int batch_body(lua_State *L)
{
    vm_handler(L);
    return guard(L, LUA_OK, (lua_KContext)lua_touserdata(L, 1));
}

static enum step crash(struct guest *g)
{
    snprintf(g->context->error, sizeof g->context->error, "%s",
             vm_error(g->script.vm));
    return STEP_CRASH;
}

static enum step suspended(struct guest *g, enum vm_outcome outcome)
{
    if (outcome == VM_YIELDED) return STEP_YIELD;
    g->context->sleep_ns = (int64_t)vm_sleep_ns(g->script.vm);
    return STEP_SLEEP;
}

static enum step batch_outcome(struct guest *g, enum vm_outcome outcome)
{
    while (outcome == VM_DROPPED || outcome == VM_FAILED) {
        if (!g->in_hand) return crash(g);
        fail_tuple(g, vm_error(g->script.vm));
        outcome = vm_run(g->script.vm, seat_of(g), batch_body, g);
    }
    if (outcome != VM_DONE) return suspended(g, outcome);
    /* The run of the last tuple's anchor is closed by asking for the next. */
    input_next(g->context, g->input);
    g->anchored = g->may_emit = false;
    if (vm_protect(g->script.vm, check_self, g) != OK) return crash(g);
    return STEP_DONE;
}

static enum step guest_execute(struct component_context *context, void *self,
                               struct input *input)
{
    struct guest *g = self;
    const struct input_plan *plan = &context->component->inputs[input->source];
    g->running = RUN_BATCH;
    g->input = input;
    g->arity =
        context->plan->components[plan->component].streams[plan->stream].arity;
    g->anchored = g->may_emit = true;
    return batch_outcome(g, vm_run(g->script.vm, seat_of(g), batch_body, g));
}

/* ---- one function of the component ---- */

static void push_context(lua_State *L, struct guest *g)
{
    struct component_context *c = g->context;
    lua_createtable(L, 0, 6);
    lua_pushstring(L, c->plan->name);
    lua_setfield(L, -2, "topology");
    lua_pushstring(L, c->component->name);
    lua_setfield(L, -2, "component");
    lua_pushinteger(L, (lua_Integer)c->task);
    lua_setfield(L, -2, "task");
    lua_pushinteger(L, (lua_Integer)c->index);
    lua_setfield(L, -2, "index");
    lua_pushinteger(L, (lua_Integer)c->component->tasks);
    lua_setfield(L, -2, "tasks");
    /* config: the component's over the topology's. */
    lua_newtable(L);
    vref_push(L, &g->script.now.record);
    lua_getfield(L, -1, "body");
    lua_getfield(L, -1, "config");
    vref_push(L, &g->body);
    lua_getfield(L, -1, "config");
    int merged = lua_gettop(L) - 5;
    for (int from = merged + 3; from <= merged + 5; from += 2) {
        if (!lua_istable(L, from)) continue;
        lua_pushnil(L);
        while (lua_next(L, from)) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, merged);
        }
    }
    lua_settop(L, merged);
    lua_setfield(L, -2, "config");
}

static int call_done(lua_State *L, int status, lua_KContext ctx)
{
    return 0;
}

/* Calls the function that g->call names, if the component has it. */
static int call_body(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    vm_next_tuple(L);
    vref_push(L, &g->body);
    if (lua_getfield(L, -1, g->call) != LUA_TFUNCTION) return 0;
    vref_push(L, &g->self);
    int args = 1;
    if (strcmp(g->call, "prepare") == 0 || strcmp(g->call, "open") == 0) {
        push_context(L, g);
        args = 2;
    }
    lua_callk(L, args, 0, 0, call_done);
    return 0;
}

static enum step call_outcome(struct guest *g, enum vm_outcome outcome)
{
    if (outcome == VM_YIELDED || outcome == VM_SLEEPING)
        return suspended(g, outcome);
    g->may_emit = false;
    return outcome == VM_DONE ? STEP_DONE : crash(g);
}

static enum step call(struct guest *g, const char *name)
{
    g->running = RUN_CALL;
    g->call = name;
    g->anchored = false;
    g->may_emit = true;
    return call_outcome(g, vm_run(g->script.vm, seat_of(g), call_body, g));
}

static enum step guest_open(struct component_context *context, void *self)
{
    return call(self, is_spout(self) ? "open" : "prepare");
}

static enum step guest_finish(struct component_context *context, void *self)
{
    return call(self, "finish");
}

static enum step guest_tick(struct component_context *context, void *self)
{
    return call(self, "tick");
}

/* ---- spouts: next, and what generators make ---- */

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
    lua_getfield(L, -1, "next");
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
    size_t bytes = scalars_bytes(L, 3, count);
    if (bytes == 0) {
        g->scratch.used = 0;
        for (int k = 3; k < 3 + count; k++)
            value_encode(L, k, &g->scratch);
    }
    bool tracked = executor_tracks(c);
    if (tracked && !executor_root(c, i))
        luaL_error(L, "there is no memory to track a tuple");
    emit_values(L, g, 0, 3, count);
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

/* The next tuple may not come before this. */
static int64_t due_ns(const struct guest *g)
{
    if (g->config->rate == 0) return 0;
    uint64_t i = own_number(g, g->tokens + 1) - 1;
    return g->began_ns + (int64_t)((double)i * 1e9 / (double)g->config->rate);
}

static bool all_made(const struct guest *g)
{
    return g->config->count > 0 &&
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
    lua_getfield(L, -1, "options");
    lua_getfield(L, -1, "make");
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
    c->sleep_ns = wait_ns;
    return wait_ns > 0 ? STEP_IDLE : STEP_AGAIN;
}

static enum step next_outcome(struct guest *g, enum vm_outcome outcome)
{
    if (outcome == VM_YIELDED || outcome == VM_SLEEPING)
        return suspended(g, outcome);
    g->may_emit = false;
    if (outcome != VM_DONE) return crash(g);
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
    return next_outcome(g, vm_run(g->script.vm, seat_of(g),
                                  g->config->generates ? make_body : next_body,
                                  g));
}

static enum step guest_next(struct component_context *context, void *self)
{
    struct guest *g = self;
    if (g->config->generates && g->began_ns == 0)
        g->began_ns = env_now(context->env);
    return run_next(g);
}

static enum step guest_replay(struct component_context *context, void *self,
                              uint64_t token)
{
    struct guest *g = self;
    g->replay_token = token;
    return run_next(g);
}

/* ---- spouts: acks and fails, told when the VM is free ---- */

/* There is room for the notice: see have_notice_room(). */
static void add_notice(struct guest *g, uint64_t token, const char *reason)
{
    struct notice notice = {.token = token, .failed = reason != NULL};
    if (reason) notice.reason = mem_text(reason, strlen(reason));
    g->notices[g->notice_count++] = notice;
    g->untold--;
}

static void guest_ack(struct component_context *context, void *self,
                      uint64_t token)
{
    struct guest *g = self;
    if (!g->config->generates) add_notice(g, token, NULL);
}

static enum verdict guest_fail(struct component_context *context, void *self,
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
        vref_push(L, &g->body);
        bool wanted =
            lua_getfield(L, -1, n->failed ? "fail" : "ack") == LUA_TFUNCTION;
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

static enum step guest_notify(struct component_context *context, void *self)
{
    struct guest *g = self;
    g->running = RUN_NOTIFY;
    g->anchored = false;
    g->may_emit = true;
    return call_outcome(g, vm_run(g->script.vm, seat_of(g), notify_body, g));
}

/* ---- resume ---- */

static enum step guest_resume(struct component_context *context, void *self)
{
    struct guest *g = self;
    enum vm_outcome outcome = vm_resume(g->script.vm, seat_of(g));
    switch (g->running) {
    case RUN_BATCH: return batch_outcome(g, outcome);
    case RUN_NEXT: return next_outcome(g, outcome);
    default: return call_outcome(g, outcome);
    }
}

/* ---- life ---- */

static void say(struct script *script, int level, const char *text,
                size_t bytes)
{
    struct guest *g = (struct guest *)(void *)script;
    if (g->context == NULL) return;
    executor_log(g->context, level, "%.*s", (int)bytes, text);
}

static bool may_sleep(struct script *script)
{
    struct guest *g = (struct guest *)(void *)script;
    return is_spout(g);
}

static int64_t wall_ns(struct script *script)
{
    struct guest *g = (struct guest *)(void *)script;
    const struct world *world = node_world(env_node(g->context->env));
    return world->wall_ns(world->context);
}

struct adoption {
    struct guest *guest;
    const struct edition *edition;
    struct vref *body;
    bool has_fail, has_cleanup;
};

static bool has_function(lua_State *L, const char *name)
{
    bool found = lua_getfield(L, -1, name) == LUA_TFUNCTION;
    lua_pop(L, 1);
    return found;
}

/* Finds the component's table in an edition and checks the graph. */
static int find_body(lua_State *L)
{
    struct adoption *a = lua_touserdata(L, 1);
    struct guest *g = a->guest;
    vref_push(L, &a->edition->record);
    uint64_t digest = script_digest(L);
    lua_pop(L, 1);
    if (digest != a->edition->bundle->digest)
        return luaL_error(L, "the definition describes another graph in this "
                             "task than in the plan; it may not depend on "
                             "chance, time or order");
    if (!script_component(L, &a->edition->record, g->config->component))
        return luaL_error(L, "component '%s' is gone", g->config->component);
    lua_getfield(L, -1, "body");
    a->has_fail = has_function(L, "fail");
    a->has_cleanup = has_function(L, "cleanup");
    vref_take(L, a->body);
    return 0;
}

static int make_tables(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    make_self(L, g);
    lua_newtable(L);
    vref_take(L, &g->ids);
    return 0;
}

static err adopt(struct guest *g, const struct edition *edition,
                 struct vref *body)
{
    struct adoption a = {.guest = g, .edition = edition, .body = body};
    err e = vm_protect(g->script.vm, find_body, &a);
    if (e != OK || body != &g->body) return e;
    g->has_fail = a.has_fail;
    g->has_cleanup = a.has_cleanup;
    return OK;
}

static void guest_fini(struct guest *g)
{
    vref_drop(&g->body);
    vref_drop(&g->self);
    vref_drop(&g->ids);
    vref_drop(&g->engine_emit);
    script_fini(&g->script);
    for (unsigned i = g->notice_next; i < g->notice_count; i++)
        mem_free(g->notices[i].reason);
    mem_free(g->notices);
    buffer_fini(&g->scratch);
}

static struct vm_config limits(const struct guest *g)
{
    const struct world *world = node_world(env_node(g->context->env));
    return (struct vm_config){
        .memory_bytes = g->config->memory_bytes,
        .budget_ns = (uint64_t)g->config->budget_ns,
        .counting = world->counting,
        .budget_steps = (uint64_t)g->config->budget_ns / STEP_NS,
        .seed = node_seed(env_node(g->context->env)) + g->context->task,
    };
}

static err guest_make(struct component_context *context, void *self)
{
    struct guest *g = self;
    g->context = context;
    g->config = context->component->config;
    g->script.say = say;
    g->script.may_sleep = may_sleep;
    g->script.wall_ns = wall_ns;
    const struct code *newest = context->code;
    err e = script_load(&g->script, newest ? newest->text : g->config->bundle,
                        limits(g), seat_of(g));
    const char *why = g->script.error;
    if (e == OK) {
        e = adopt(g, &g->script.now, &g->body);
        if (e == OK) e = vm_protect(g->script.vm, make_tables, g);
        if (e != OK) why = vm_error(g->script.vm);
    }
    if (e == OK) return OK;
    snprintf(context->error, sizeof context->error, "%s", why);
    guest_fini(g);
    return e;
}

static void guest_free(struct component_context *context, void *self)
{
    struct guest *g = self;
    if (!vm_is_suspended(g->script.vm) && g->has_cleanup) {
        g->call = "cleanup";
        g->may_emit = false;
        if (script_run(&g->script, seat_of(g), call_body, g) != OK)
            executor_log(context, LOG_WARN, "cleanup: %s", g->script.error);
    }
    guest_fini(g);
}

/* ---- new code ---- */

static err guest_load_code(struct component_context *context, void *self,
                           const void *code_)
{
    struct guest *g = self;
    const struct code *code = code_;
    err e = script_load_next(&g->script, code->text, seat_of(g));
    if (e != OK) {
        snprintf(context->error, sizeof context->error, "%s", g->script.error);
        return e;
    }
    struct vref body = {0};
    e = adopt(g, &g->script.next, &body);
    vref_drop(&body);
    if (e == OK) return OK;
    snprintf(context->error, sizeof context->error, "%s",
             vm_error(g->script.vm));
    script_drop(&g->script);
    return e;
}

static enum step guest_switch_code(struct component_context *context,
                                   void *self)
{
    struct guest *g = self;
    if (g->script.next.bundle == NULL) return STEP_DONE;
    if (adopt(g, &g->script.next, &g->body) != OK) return crash(g);
    script_take(&g->script);
    return call(g, "on_reload");
}

static void guest_drop_code(struct component_context *context, void *self)
{
    struct guest *g = self;
    script_drop(&g->script);
}

static void code_free(struct env *env, struct ref *ref)
{
    struct code *code = (struct code *)(void *)ref;
    struct bundle *bundle = code->text;
    ref_drop(env, &bundle->ref);
    mem_free(code);
}

struct code *lua_code_new(struct bundle *bundle,
                          void (*done)(struct code *code, bool taken,
                                       const char *error))
{
    struct code *code = mem_zero(1, sizeof *code);
    if (code == NULL) return NULL;
    ref_init(&code->ref, code_free);
    ref_take(&bundle->ref);
    code->text = bundle;
    code->done = done;
    return code;
}

const struct component_class lua_class = {
    .name = "lua",
    .state_bytes = sizeof(struct guest),
    .make = guest_make,
    .free = guest_free,
    .open = guest_open,
    .execute = guest_execute,
    .finish = guest_finish,
    .tick = guest_tick,
    .resume = guest_resume,
    .next = guest_next,
    .ack = guest_ack,
    .fail = guest_fail,
    .notify = guest_notify,
    .replay = guest_replay,
    .load_code = guest_load_code,
    .switch_code = guest_switch_code,
    .drop_code = guest_drop_code,
};
