/* emit.c - from Lua's stack into batches: self.emit and its like. */
#include "actors/stream/combiner.h"
#include "core/log.h"
#include "lua/combine.h"
#include "lua/grouping.h"
#include "lua/guest.h"
#include "lua/held.h"
#include "lua/hint.h"
#include "lua/hooks.h"
#include "lua/record.h"
#include "lua/value.h"
#include <lauxlib.h>
#include <math.h>
#include <string.h>

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

__attribute__((noreturn)) static void refused(lua_State *L)
{
    luaL_error(L, "one call may emit 64 MB at most; emit less, or in several "
                  "calls");
    __builtin_unreachable();
}

/* Bytes that scalars and views take at most; 0: there is a table or worse. */
static size_t scalars_bytes(lua_State *L, int first, int count)
{
    size_t bytes = 0, length;
    struct json text;
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
        case LUA_TUSERDATA:
            if (!record_text(L, i, &text)) return 0;
            bytes += (size_t)(text.end - text.at) + VALUE_JSON_HEAD_MAX;
            break;
        default: return 0;
        }
    }
    return bytes + 1; /* a tuple without values has a length, too */
}

static uint8_t *put_scalar(lua_State *L, int index, uint8_t *at)
{
    size_t length;
    const char *bytes;
    struct json text;
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &length);
        return value_put_bytes(at, bytes, (uint32_t)length);
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return value_put_int(at, lua_tointeger(L, index));
        return value_put_float(at, lua_tonumber(L, index));
    case LUA_TBOOLEAN: return value_put_bool(at, lua_toboolean(L, index));
    case LUA_TUSERDATA:
        record_text(L, index, &text); /* scalars_bytes() has seen that it is */
        return value_put_json(at, text.at, (uint32_t)(text.end - text.at));
    default: return value_put_nil(at);
    }
}

/* Into g->scratch. */
static uint32_t encode(lua_State *L, struct guest *g, int first, int count)
{
    g->scratch.used = 0;
    for (int i = first; i < first + count; i++)
        value_encode(L, i, &g->scratch);
    return (uint32_t)g->scratch.used;
}

/* Raises where a key is none. */
static void try_keys(lua_State *L, struct guest *g, unsigned stream, int first)
{
    const struct out_stream *out = &g->context->emitter->streams[stream];
    for (unsigned i = 0; i < out->route_count; i++)
        if (grouping_has_keys(out->routes[i].input->grouping))
            hash_keys(L, g, stream, out->routes[i].input, first);
}

void guest_try_emit(lua_State *L, struct guest *g, unsigned stream, int first,
                    int count)
{
    if (scalars_bytes(L, first, count) == 0) encode(L, g, first, count);
    try_keys(L, g, stream, first);
}

/* A tuple that is being emitted: `count` values from stack slot `first`. */
struct tuple {
    unsigned stream;
    int first, count;
    uint32_t bytes; /* at most */
    bool encoded;   /* in g->scratch, since there is a table among them */
};

/* Is it no key, and will fail where it arrives? One by which tuples are grouped
 * raises here. */
static bool is_no_key(lua_State *L, const struct route *route, int index)
{
    if (route->input->grouping == GROUPING_FIELDS) return false;
    return lua_isnil(L, index) ||
           (lua_type(L, index) == LUA_TNUMBER && isnan(lua_tonumber(L, index)));
}

/* To a route that combines: false when it can't combine this tuple. */
static bool put_combined(lua_State *L, struct guest *g, const struct tuple *t,
                         struct route *route)
{
    struct emitter *e = g->context->emitter;
    unsigned place = route->input->combine_key;
    int index = t->first + (int)place;
    int value = t->first + (int)route->input->combine_value;
    luaL_checkstack(L, 4, "too many values");
    if (is_no_key(L, route, index)) return false;
    if (route->input->reduces && !combine_takes(L, index, value)) return false;
    const char *field = g->context->component->streams[t->stream].fields[place];
    g->scratch.used = t->encoded ? t->bytes : 0; /* the key is put behind it */
    uint64_t hash = hash_at(L, g, field, index);
    size_t before = g->scratch.used;
    value_encode(L, index, &g->scratch);
    size_t bytes = g->scratch.used - before;
    g->scratch.used = before;
    const uint8_t *key = g->scratch.data + before;
    struct port *port = route_port(e, route, hash);
    if (route->input->reduces
            ? !combine_put(L, g, route, port, key, (uint32_t)bytes, hash, value)
            : !combiner_add(e, port, key, (uint32_t)bytes, hash))
        refused(L);
    return true;
}

static void put(lua_State *L, struct guest *g, const struct tuple *t,
                struct port *port)
{
    struct emitter *e = g->context->emitter;
    uint8_t *at = port_reserve(e, port, t->bytes);
    if (at == NULL) refused(L);
    if (t->encoded) {
        memcpy(at, g->scratch.data, t->bytes);
        at += t->bytes;
    } else {
        for (int k = t->first; k < t->first + t->count; k++)
            at = put_scalar(L, k, at);
    }
    port_commit(e, port, at);
}

static uint64_t route_hash(lua_State *L, struct guest *g, const struct tuple *t,
                           const struct route *route)
{
    if (!grouping_has_keys(route->input->grouping)) return 0;
    if (t->encoded) g->scratch.used = t->bytes; /* keys are put behind it */
    return hash_keys(L, g, t->stream, route->input, t->first);
}

/* `picks`: where the choices of the custom groupings begin on the stack. */
static void put_all(lua_State *L, struct guest *g, const struct tuple *t,
                    int picks)
{
    struct emitter *e = g->context->emitter;
    struct out_stream *out = &e->streams[t->stream];
    for (unsigned i = 0; i < out->route_count; i++) {
        struct route *route = &out->routes[i];
        uint32_t port = 0;
        if (route->combines) {
            if (!put_combined(L, g, t, route))
                put(L, g, t, route_plain(e, route, 0));
            continue;
        }
        switch (route->input->grouping) {
        case GROUPING_ALL:
            while (port < route->port_count)
                put(L, g, t, &route->ports[port++]);
            break;
        case GROUPING_CUSTOM:
            for (int at = 1; custom_pick(L, picks, at, &port); at++)
                put(L, g, t, &route->ports[port]);
            picks++;
            break;
        default: put(L, g, t, route_port(e, route, route_hash(L, g, t, route)));
        }
    }
}

static struct tuple tuple_at(lua_State *L, struct guest *g, unsigned stream,
                             int first, int count)
{
    struct tuple t = {stream, first, count, 0, false};
    size_t bytes = scalars_bytes(L, first, count);
    t.encoded = bytes == 0;
    t.bytes = t.encoded ? encode(L, g, first, count) : (uint32_t)bytes;
    return t;
}

/* Into a stream with a back edge. False: it was refused where there is no
 * tuple to fail, as in tick, and is dropped. Raises where there is one. */
static bool may_go_back(lua_State *L, struct guest *g, unsigned stream)
{
    struct emitter *e = g->context->emitter;
    if (emitter_may_go_back(e, &e->streams[stream])) return true;
    if (g->anchored) luaL_error(L, "%s", e->refusal);
    executor_fault(g->context, LOSS_NONE, "%s", e->refusal);
    e->failed = false;
    e->refusal = NULL;
    return false;
}

void guest_emit(lua_State *L, struct guest *g, unsigned stream, int first,
                int count)
{
    struct emitter *e = g->context->emitter;
    struct out_stream *out = &e->streams[stream];
    int picks = lua_gettop(L) + 1;
    if (out->back && !may_go_back(L, g, stream)) return;
    /* An error that the caller catches must leave no route with the tuple. */
    if (out->route_count > 1) try_keys(L, g, stream, first);
    if (!out->simple) custom_choose(L, g, stream, first, count);
    struct tuple t = tuple_at(L, g, stream, first, count);
    put_all(L, g, &t, picks);
    lua_settop(L, picks - 1);
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
    if (plan->arity == 0)
        luaL_error(L,
                   "stream '%s' has no fields, emit got %d value%s; name them: "
                   "fields = { \"…\" }",
                   plan->name, count, count == 1 ? "" : "s");
    luaL_error(L,
               "stream '%s' has %d field%s, emit got %d value%s; give each "
               "field one, and put parentheses around a call that returns "
               "several: emit((s:gsub(…)))",
               plan->name, (int)plan->arity, plan->arity == 1 ? "" : "s", count,
               count == 1 ? "" : "s");
}

static void check_values(lua_State *L, struct guest *g, unsigned stream,
                         int first, int count)
{
    if (g->combining)
        luaL_error(L,
                   "combine of '%s' emits, or has failed in this call, which "
                   "can emit nothing more then; let its error through",
                   g->combining);
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

static void refuse_direct(lua_State *L, struct guest *g, unsigned stream)
{
    const struct stream_plan *plan = &g->context->component->streams[stream];
    if (plan->direct)
        luaL_error(L,
                   "stream '%s' is direct; name the task: self.emit_direct("
                   "task, \"%s\", …)",
                   plan->name, plan->name);
}

void guest_check_emit(lua_State *L, struct guest *g, unsigned stream, int first,
                      int count)
{
    check_values(L, g, stream, first, count);
    refuse_direct(L, g, stream);
}

static void tell_untracked(struct guest *g)
{
    if (g->told_untracked || !guest_is_spout(g) || !executor_tracks(g->context))
        return;
    g->told_untracked = true;
    executor_log(g->context, LOG_WARN,
                 "self.emit in a spout is not tracked: a tuple that fails is "
                 "lost; use self.emit_id(id, …)");
}

static void before_untracked(struct guest *g)
{
    if (!g->anchored && g->context->emitter->root != 0)
        executor_unroot(g->context); /* of a tracked emit that was refused */
}

static void after_untracked(struct guest *g)
{
    if (g->anchored) return; /* kept when its tuple is through */
    executor_emitted(g->context);
    if (!g->told_untracked) tell_untracked(g);
}

static void emit_untracked(lua_State *L, struct guest *g, unsigned stream,
                           int first, int count)
{
    guest_check_emit(L, g, stream, first, count);
    if (vref_is_set(&g->hooks.emit))
        hooks_emit(L, g, stream, 0, -1, first, count);
    before_untracked(g);
    guest_emit(L, g, stream, first, count);
    after_untracked(g);
}

/* Next to it: one short string and a number, to one subscriber that reduces. */
static bool emit_short_number(lua_State *L, struct guest *g)
{
    struct emitter *e = g->context->emitter;
    struct route *route = e->streams[0].routes;
    if (e->streams[0].arity != 2 || !route->combines ||
        !route->input->reduces || lua_gettop(L) != 2)
        return false;
    int key = 1 + (int)route->input->combine_key;
    int value = 1 + (int)route->input->combine_value;
    if (lua_type(L, key) != LUA_TSTRING || lua_type(L, value) != LUA_TNUMBER)
        return false;
    size_t length;
    const char *bytes = lua_tolstring(L, key, &length);
    if (length > SHORT_MAX) return false;
    struct short_string text = short_read(bytes, length);
    uint64_t hash = short_hash(text, 0);
    struct port *port = route_port(e, route, hash);
    if (!combine_put_short(L, g, route, port, text, hash, value)) refused(L);
    e->emitted++;
    return true;
}

/* The case that costs most of all, in one go: a bolt emits one short string to
 * one subscriber. False: it is another case, nothing was done. */
static inline bool emit_short(lua_State *L, struct guest *g)
{
    struct emitter *e = g->context->emitter;
    struct out_stream *out = &e->streams[0];
    if (!g->anchored || !g->may_emit || !out->simple ||
        vref_is_set(&g->hooks.emit))
        return false;
    if (out->arity != 1) return emit_short_number(L, g);
    if (lua_type(L, 1) != LUA_TSTRING || lua_gettop(L) != 1) return false;
    size_t length;
    const char *bytes = lua_tolstring(L, 1, &length);
    if (length > SHORT_MAX) return false;
    struct short_string text = short_read(bytes, length);
    struct route *route = out->routes;
    uint64_t hash = 0;
    if (grouping_has_keys(route->input->grouping) || route->combines)
        hash = short_hash(text, 0);
    struct port *port = route_port(e, route, hash);
    if (port->combiner) {
        if (!combiner_add_short(e, port, text, hash)) refused(L);
        e->emitted++;
        return true;
    }
    uint8_t *at = port_reserve(e, port, 1 + sizeof text);
    if (at == NULL) refused(L);
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

unsigned guest_stream_at(lua_State *L, struct guest *g, int index)
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
    unsigned stream = guest_stream_at(L, g, 1);
    emit_untracked(L, g, stream, 2, lua_gettop(L) - 1);
    return 0;
}

/* To the subscribers that have the task: there is one, or it raises. */
static void put_direct(lua_State *L, struct guest *g, const struct tuple *t,
                       lua_Integer task)
{
    struct emitter *e = g->context->emitter;
    struct out_stream *out = &e->streams[t->stream];
    bool found = false;
    if (out->back && !may_go_back(L, g, t->stream)) return;
    for (unsigned i = 0; i < out->route_count; i++) {
        struct port *port = route_port_of(&out->routes[i], task);
        if (port == NULL) continue;
        put(L, g, t, port);
        found = true;
    }
    if (!found)
        luaL_error(L,
                   "task %d reads no stream '%s' of this component; take one "
                   "of context.tasks_of",
                   (int)task, g->context->component->streams[t->stream].name);
}

static int emit_direct(lua_State *L)
{
    struct guest *g = guest_of(L);
    lua_Integer task = luaL_checkinteger(L, 1);
    unsigned stream = guest_stream_at(L, g, 2);
    int count = lua_gettop(L) - 2;
    check_values(L, g, stream, 3, count);
    if (!g->context->component->streams[stream].direct)
        luaL_error(L,
                   "stream '%s' is not direct; declare it as %s = { direct = "
                   "true, … }",
                   lua_tostring(L, 2), lua_tostring(L, 2));
    if (vref_is_set(&g->hooks.emit))
        hooks_emit(L, g, stream, 0, task, 3, count);
    before_untracked(g);
    struct tuple t = tuple_at(L, g, stream, 3, count);
    put_direct(L, g, &t, task);
    g->context->emitter->emitted++;
    g->emitted++;
    after_untracked(g);
    return 0;
}

/* At most once: the spout may forget it, as soon as it has left. */
static void ack_at_once(lua_State *L, struct guest *g, int id)
{
    g->hooks.took_ns = 0;
    vref_push(L, &g->body);
    if (script_field(L, -1, "ack") == LUA_TFUNCTION) {
        vref_push(L, &g->self);
        lua_pushvalue(L, id);
        lua_call(L, 2, 0);
        lua_pop(L, 1);
    } else {
        lua_pop(L, 2);
    }
}

static void emit_tracked(lua_State *L, struct guest *g, unsigned stream, int id,
                         int first, int count)
{
    guest_check_emit(L, g, stream, first, count);
    if (vref_is_set(&g->hooks.emit))
        hooks_emit(L, g, stream, id, -1, first, count);
    if (!executor_tracks(g->context)) {
        guest_emit(L, g, stream, first, count);
        executor_emitted(g->context);
        ack_at_once(L, g, id);
        return;
    }
    /* What can raise comes first; then the root, then the tuple. One that is
     * refused even so leaves its token to the next, whose id takes its place.
     */
    guest_try_emit(L, g, stream, first, count);
    uint64_t token = g->tokens + 1;
    vref_push(L, &g->ids);
    lua_pushvalue(L, id);
    lua_rawseti(L, -2, (lua_Integer)token);
    lua_pop(L, 1);
    hooks_note_token(L, g, token);
    if (!guest_notice_room(g) || !executor_root(g->context, token))
        luaL_error(L, "there is no memory to track a tuple");
    guest_emit(L, g, stream, first, count);
    executor_rooted(g->context);
    g->tokens = token;
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
    unsigned stream = guest_stream_at(L, g, 1);
    luaL_checkany(L, 2);
    emit_tracked(L, g, stream, 2, 3, lua_gettop(L) - 2);
    return 0;
}

static void add_method(lua_State *L, const char *name, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
}

void guest_add_emits(lua_State *L, struct guest *g)
{
    add_method(L, "emit", emit);
    add_method(L, "emit_to", emit_to);
    add_method(L, "emit_direct", emit_direct);
    if (guest_is_spout(g)) {
        add_method(L, "emit_id", emit_id);
        add_method(L, "emit_id_to", emit_id_to);
    }
    if (g->context->component->manual) held_add_methods(L);
    hint_names(L, "self");
}
