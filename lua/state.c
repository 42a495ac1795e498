#include "lua/state.h"
#include "actors/stream/state.h"
#include "actors/stream/ttl.h"
#include "core/node.h"
#include "core/sort_key.h"
#include "lua/frozen.h"
#include "lua/value.h"
#include "lua/vm.h"
#include <lauxlib.h>
#include <math.h>
#include <string.h>

enum { KEY_ROOM = 512, WALK_KEYS = 256 };

struct key {
    size_t count;
    uint8_t at[KEY_ROOM];
};

static struct bytes key_bytes(const struct key *k)
{
    return bytes_of(k->at, k->count);
}

static int64_t ttl_of(const struct guest *g)
{
    return g->context->component->ttl_ns;
}

/* ---- keys ---- */

static void put_string(lua_State *L, struct key *k, struct guest *g,
                       const char *text, size_t count)
{
    size_t most =
        state_key_max(g->context->state) - 1 - (ttl_of(g) ? TTL_KEY : 0);
    if (count > most)
        luaL_error(L,
                   "a key of self.state has %d bytes, and %d are allowed; "
                   "keep it in the value and use a shorter one",
                   (int)count, (int)most);
    k->count = (size_t)(sort_key_put_bytes(k->at, text, count) - k->at);
}

static void put_scalar(struct key *k, struct value v)
{
    k->count = (size_t)(sort_key_put(k->at, &v) - k->at);
}

static void key_at(lua_State *L, struct guest *g, int index, struct key *k)
{
    size_t count;
    const char *text;
    k->count = 0;
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &count);
        put_string(L, k, g, text, count);
        return;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            put_scalar(k, value_of_int(lua_tointeger(L, index)));
            return;
        }
        if (isnan(lua_tonumber(L, index)))
            luaL_error(L, "NaN is no key of self.state");
        put_scalar(k, value_of_float(lua_tonumber(L, index)));
        return;
    case LUA_TBOOLEAN:
        put_scalar(k, (struct value){.type = VALUE_BOOL,
                                     .as.boolean = lua_toboolean(L, index)});
        return;
    default:
        luaL_error(L,
                   "a key of self.state is a string, a number or a boolean, "
                   "not a %s",
                   luaL_typename(L, index));
    }
}

static void push_key(lua_State *L, struct bytes key)
{
    struct value v;
    if (!sort_key_get(key, &v)) {
        lua_pushnil(L);
        return;
    }
    switch (v.type) {
    case VALUE_BOOL: lua_pushboolean(L, v.as.boolean); return;
    case VALUE_INT: lua_pushinteger(L, v.as.integer); return;
    case VALUE_FLOAT: lua_pushnumber(L, v.as.number); return;
    default: lua_pushlstring(L, v.as.bytes, v.count); return;
    }
}

/* ---- reading and writing ---- */

static struct guest *guest_at(lua_State *L)
{
    struct guest *g = guest_of(L);
    if (lua_touserdata(L, 1) != g->state_mark)
        luaL_error(L, "call it as self.state:name(…), with a colon");
    return g;
}

static int fail(lua_State *L, err e)
{
    if (e == ERR_NOMEM) return luaL_error(L, "not enough memory");
    return luaL_error(L, "self.state can't be read: %s", err_text(e));
}

/* It may be written to: by the calls whose outcome is known when they end. */
static void check_writable(lua_State *L, struct guest *g)
{
    if (!g->may_emit && g->running != RUN_ROWS)
        luaL_error(L, "self.state can't be changed here; do it in execute, "
                      "next, tick, prepare, open or finish");
}

static int64_t wall_ns(const struct guest *g)
{
    const struct world *world = node_world(env_node(g->context->env));
    return world->wall_ns(world->context);
}

/* What is gone is none. */
static err find(const struct guest *g, const struct key *k, struct bytes *value)
{
    int64_t gone_ns;
    err e = state_get(g->context->state, key_bytes(k), value);
    if (e != OK || value->at == NULL) return e;
    *value = ttl_value(*value, &gone_ns);
    if (gone_ns != INT64_MAX && ttl_of(g) && wall_ns(g) >= gone_ns)
        *value = bytes_of(NULL, 0);
    return OK;
}

static int push_value(lua_State *L, struct guest *g, const struct key *k)
{
    struct bytes value;
    err e = find(g, k, &value);
    if (e != OK) return fail(L, e);
    if (value.at)
        value_push(L, value.at);
    else
        lua_pushnil(L);
    return 1;
}

/* What is in a table there is not changed by changing that. */
static int push_frozen(lua_State *L, struct guest *g, const struct key *k)
{
    push_value(L, g, k);
    frozen_make(L);
    return 1;
}

static err put(struct guest *g, const struct key *k, struct bytes value)
{
    struct state *state = g->context->state;
    struct buffer *row = &g->ttl_row;
    if (ttl_of(g) == 0) return state_put(state, key_bytes(k), value);
    int64_t now_ns = wall_ns(g);
    err e = ttl_put(state, key_bytes(k), value, now_ns + ttl_of(g), row);
    if (e != OK || ++g->ttl_puts % TTL_SWEEP_EVERY != 0) return e;
    return ttl_sweep(state, now_ns, row);
}

/* The value on the top of the stack; nil removes the key. */
static int put_value(lua_State *L, struct guest *g, const struct key *k)
{
    struct bytes value = bytes_of(NULL, 0);
    check_writable(L, g);
    g->scratch.used = 0;
    if (!lua_isnil(L, -1)) {
        value_encode(L, lua_gettop(L), &g->scratch);
        value = bytes_of(g->scratch.data, g->scratch.used);
    }
    err e = put(g, k, value);
    return e == OK ? 0 : fail(L, e);
}

/* state:get(key): a copy of one's own. */
static int m_get(lua_State *L)
{
    struct guest *g = guest_at(L);
    struct key k;
    key_at(L, g, 2, &k);
    return push_value(L, g, &k);
}

static int m_set(lua_State *L)
{
    struct guest *g = guest_at(L);
    struct key k;
    key_at(L, g, 2, &k);
    lua_settop(L, 3);
    return put_value(L, g, &k);
}

static int m_delete(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushnil(L);
    return m_set(L);
}

static uint8_t *put_sum(lua_State *L, uint8_t *at)
{
    if (lua_isinteger(L, -1)) return value_put_int(at, lua_tointeger(L, -1));
    return value_put_float(at, lua_tonumber(L, -1));
}

/* The number to be added at 3, 1 if none is given. */
static void take_addend(lua_State *L)
{
    if (lua_isnoneornil(L, 3)) {
        lua_settop(L, 2);
        lua_pushinteger(L, 1);
    }
    lua_settop(L, 3);
    if (lua_type(L, 3) != LUA_TNUMBER)
        luaL_error(L, "self.state:add(key, n) adds a number, not a %s",
                   luaL_typename(L, 3));
}

/* Adds it to what is there, at 4, nil for 0; the sum is at the top then. */
static void add_to(lua_State *L)
{
    if (lua_isnil(L, 4)) {
        lua_pushinteger(L, 0);
        lua_replace(L, 4);
    }
    if (lua_type(L, 4) != LUA_TNUMBER)
        luaL_error(L,
                   "self.state:add of a key whose value is a %s; add is for "
                   "numbers",
                   luaL_typename(L, 4));
    lua_pushvalue(L, 3);
    lua_arith(L, LUA_OPADD);
}

/* Behind its time, of when the component had a ttl. */
static const uint8_t *timeless(const struct state_value *value)
{
    return value->at[0] == TTL_MARK ? value->at + TTL_HEAD : value->at;
}

/* The sum as any other value, with its time. */
static int add_in_time(lua_State *L, struct guest *g, const struct key *k)
{
    take_addend(L);
    push_value(L, g, k);
    add_to(L);
    put_value(L, g, k);
    return 1;
}

/* Integers, as most sums are: without Lua's stack. */
static bool add_integers(lua_State *L, struct state *state,
                         const struct state_value *value)
{
    struct value old = value_of_int(0);
    int64_t n = 1;
    if (!lua_isnoneornil(L, 3)) {
        if (!lua_isinteger(L, 3)) return false;
        n = lua_tointeger(L, 3);
    }
    if (value->is) value_get(timeless(value), &old);
    if (old.type != VALUE_INT) return false;
    int64_t sum = (int64_t)((uint64_t)old.as.integer + (uint64_t)n);
    state_changed(state, value,
                  (size_t)(value_put_int(value->at, sum) - value->at));
    lua_pushinteger(L, sum);
    return true;
}

/* state:add(key, n): the sum, which is its value from now on. */
static int m_add(lua_State *L)
{
    struct guest *g = guest_at(L);
    struct state *state = g->context->state;
    struct state_value value;
    struct key k;
    key_at(L, g, 2, &k);
    check_writable(L, g);
    if (ttl_of(g)) return add_in_time(L, g, &k);
    err e = state_change(state, key_bytes(&k), VALUE_SCALAR_MAX, &value);
    if (e != OK) return fail(L, e);
    if (add_integers(L, state, &value)) return 1;
    take_addend(L);
    if (value.is)
        value_push(L, timeless(&value));
    else
        lua_pushnil(L);
    add_to(L);
    state_changed(state, &value, (size_t)(put_sum(L, value.at) - value.at));
    return 1;
}

/* The value at the top in a list of its own, so that it isn't too deep: what is
 * behind the head of that. */
static struct bytes encode_element(lua_State *L, struct guest *g)
{
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
    g->scratch.used = 0;
    value_encode(L, lua_gettop(L), &g->scratch);
    lua_pop(L, 1);
    return bytes_of(g->scratch.data + 1, g->scratch.used - 1);
}

/* Where it lies: what is in it isn't read. False: it is no list, or as large as
 * a value may be. */
static bool append(struct state *state, const struct key *k,
                   struct bytes element, err *e)
{
    struct state_value list;
    struct value head = {.type = VALUE_ARRAY};
    uint8_t new_head[VALUE_HEAD_MAX];
    *e = state_append(state, key_bytes(k), VALUE_HEAD_MAX,
                      VALUE_HEAD_MAX + element.count, &list);
    if (*e != OK) return true;
    const uint8_t *elements =
        list.is ? value_get(timeless(&list), &head) : list.at;
    size_t begin = (size_t)(elements - list.at);
    size_t count = list.is ? list.count - begin : 0;
    if (head.type != VALUE_ARRAY ||
        count + element.count + VALUE_HEAD_MAX > VALUE_BYTES_MAX)
        return false;
    const uint8_t *end = value_put_array_head(new_head, head.count + 1);
    size_t grown = (size_t)(end - new_head), all = grown + count;
    if (grown != begin) { /* all of it moves */
        *e = state_change(state, key_bytes(k), all + element.count, &list);
        if (*e != OK) return true;
        memmove(list.at + grown, list.at + begin, count);
    }
    memcpy(list.at, new_head, grown);
    memcpy(list.at + all, element.at, element.count);
    state_changed(state, &list, all + element.count);
    return true;
}

/* state:push(key, v): the list there gets one value more. */
static int m_push(lua_State *L)
{
    struct guest *g = guest_at(L);
    struct key k;
    err e;
    key_at(L, g, 2, &k);
    lua_settop(L, 3);
    luaL_argcheck(L, !lua_isnil(L, 3), 3, "a value is expected");
    check_writable(L, g);
    if (ttl_of(g) == 0 &&
        append(g->context->state, &k, encode_element(L, g), &e))
        return e == OK ? 0 : fail(L, e);
    push_value(L, g, &k);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
    } else if (!lua_istable(L, -1)) {
        return luaL_error(L,
                          "self.state:push to a key whose value is a %s; "
                          "push is for lists",
                          luaL_typename(L, -1));
    }
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return put_value(L, g, &k);
}

/* state:put(key, field, v): one field of the table there. */
static int m_put(lua_State *L)
{
    struct guest *g = guest_at(L);
    struct key k;
    key_at(L, g, 2, &k);
    lua_settop(L, 4);
    luaL_argcheck(L, !lua_isnil(L, 3), 3, "the name of a field is expected");
    push_value(L, g, &k);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
    } else if (!lua_istable(L, -1)) {
        return luaL_error(L,
                          "self.state:put into a key whose value is a %s; "
                          "put is for tables",
                          luaL_typename(L, -1));
    }
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 4);
    lua_rawset(L, -3);
    return put_value(L, g, &k);
}

/* ---- walking ---- */

/* Keys are fetched some hundreds at a time, so that no walk holds the store:
 * upvalues are the prefix, the keys fetched (uint32_t length, bytes, …), the
 * place in them, whether there are more behind them, and the last one. */
enum { PREFIX = 1, FETCHED, PLACE, MORE, LAST };

static struct bytes next_fetched(lua_State *L, size_t *place)
{
    size_t bytes;
    uint32_t count;
    const char *fetched = lua_tolstring(L, lua_upvalueindex(FETCHED), &bytes);
    *place = (size_t)lua_tointeger(L, lua_upvalueindex(PLACE));
    if (*place >= bytes) return bytes_of(NULL, 0);
    memcpy(&count, fetched + *place, sizeof count);
    *place += sizeof count + count;
    return bytes_of(fetched + *place - count, count);
}

static void fetch(lua_State *L, struct guest *g)
{
    size_t count, last_count;
    const char *prefix = lua_tolstring(L, lua_upvalueindex(PREFIX), &count);
    const char *last = lua_tolstring(L, lua_upvalueindex(LAST), &last_count);
    unsigned found;
    g->scratch.used = 0;
    err e = state_keys(g->context->state, bytes_of(prefix, count),
                       bytes_of(last, last_count), last_count == 0, WALK_KEYS,
                       &g->scratch, &found);
    if (e != OK) fail(L, e);
    vm_charge(L, WALK_KEYS);
    lua_pushlstring(L, g->scratch.data ? (char *)g->scratch.data : "",
                    g->scratch.used);
    lua_replace(L, lua_upvalueindex(FETCHED));
    lua_pushinteger(L, 0);
    lua_replace(L, lua_upvalueindex(PLACE));
    lua_pushboolean(L, found == WALK_KEYS);
    lua_replace(L, lua_upvalueindex(MORE));
}

static int walk_next(lua_State *L)
{
    struct guest *g = guest_of(L);
    size_t place;
    struct key k;
    for (;;) {
        struct bytes key = next_fetched(L, &place);
        if (key.at == NULL) {
            if (!lua_toboolean(L, lua_upvalueindex(MORE))) return 0;
            fetch(L, g);
            continue;
        }
        memcpy(k.at, key.at, key.count);
        k.count = key.count;
        if (k.count > 0 && k.at[0] >= STATE_OWN) return 0; /* the engine's */
        lua_pushinteger(L, (lua_Integer)place);
        lua_replace(L, lua_upvalueindex(PLACE));
        lua_pushlstring(L, (const char *)k.at, k.count);
        lua_replace(L, lua_upvalueindex(LAST));
        lua_settop(L, 0);
        push_key(L, key_bytes(&k));
        push_frozen(L, g, &k);
        if (!lua_isnil(L, -1)) return 2; /* it was removed since */
    }
}

/* for k, v in state:each([prefix]) */
static int m_each(lua_State *L)
{
    struct guest *g = guest_at(L);
    struct key prefix = {.count = 0};
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TSTRING);
        key_at(L, g, 2, &prefix);
    }
    lua_pushlstring(L, (const char *)prefix.at, prefix.count);
    lua_pushliteral(L, "");
    lua_pushinteger(L, 0);
    lua_pushboolean(L, true);
    lua_pushliteral(L, "");
    lua_pushcclosure(L, walk_next, 5);
    return 1;
}

static int state_pairs(lua_State *L)
{
    lua_settop(L, 1);
    m_each(L);
    return 1;
}

/* ---- the table ---- */

static const luaL_Reg methods[] = {
    {"get", m_get},   {"set", m_set}, {"delete", m_delete}, {"add", m_add},
    {"push", m_push}, {"put", m_put}, {"each", m_each},     {NULL, NULL},
};

/* It is asked of the methods, which Lua finds without a call of C, what they
 * haven't. */
static int methods_index(lua_State *L)
{
    struct guest *g = guest_of(L);
    struct key k;
    key_at(L, g, 2, &k);
    return push_frozen(L, g, &k);
}

/* The methods are the first upvalue. */
static int state_newindex(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_type(L, 2) == LUA_TSTRING &&
        lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return luaL_error(L,
                          "self.state.%s is a function of the engine's; write "
                          "self.state:set(\"%s\", …) for a key of that name",
                          lua_tostring(L, 2), lua_tostring(L, 2));
    return m_set(L);
}

static int state_length(lua_State *L)
{
    return luaL_error(L, "self.state has no length; count what you put there");
}

void state_add(lua_State *L, struct guest *g)
{
    g->state_mark = lua_newuserdatauv(L, 1, 0);
    lua_createtable(L, 0, 5);
    luaL_newlibtable(L, methods);
    luaL_setfuncs(L, methods, 0);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, methods_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    lua_pushcclosure(L, state_newindex, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, state_pairs);
    lua_setfield(L, -2, "__pairs");
    lua_pushcfunction(L, state_length);
    lua_setfield(L, -2, "__len");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    vref_take(L, &g->state);
    lua_setfield(L, -2, "state");
}
