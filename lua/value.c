#include "lua/value.h"
#include "lua/frozen.h"
#include "lua/record.h"
#include "lua/vm.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

/* Keys of the registry: their addresses. */
static const char null_key, array_key;

void value_push_null(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
}

static void push_array_mark(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
}

/* ---- out of a tuple ---- */

static const uint8_t *push_array(lua_State *L, const uint8_t *at,
                                 uint32_t count)
{
    luaL_checkstack(L, 3, "a value is nested too deep");
    lua_createtable(L, count < 1024 ? (int)count : 1024, 0);
    if (count == 0) {
        push_array_mark(L);
        lua_setmetatable(L, -2);
    }
    for (uint32_t i = 1; i <= count; i++) {
        if (*at == MSGPACK_NIL) {
            value_push_null(L);
            at++;
        } else {
            at = value_push(L, at);
        }
        lua_rawseti(L, -2, i);
    }
    return at;
}

static const uint8_t *push_map(lua_State *L, const uint8_t *at, uint32_t pairs)
{
    luaL_checkstack(L, 4, "a value is nested too deep");
    lua_createtable(L, 0, pairs < 1024 ? (int)pairs : 1024);
    for (uint32_t i = 0; i < pairs; i++) {
        at = value_push(L, at);
        if (*at == MSGPACK_NIL) {
            value_push_null(L);
            at++;
        } else {
            at = value_push(L, at);
        }
        lua_rawset(L, -3);
    }
    return at;
}

const uint8_t *value_push_long(lua_State *L, const uint8_t *at)
{
    struct value v;
    at = value_get(at, &v);
    switch (v.type) {
    case VALUE_NIL: lua_pushnil(L); return at;
    case VALUE_BOOL: lua_pushboolean(L, v.as.boolean); return at;
    case VALUE_INT: lua_pushinteger(L, v.as.integer); return at;
    case VALUE_FLOAT: lua_pushnumber(L, v.as.number); return at;
    case VALUE_BYTES: lua_pushlstring(L, v.as.bytes, v.count); return at;
    case VALUE_ARRAY: return push_array(L, at, v.count);
    case VALUE_MAP: return push_map(L, at, v.count);
    case VALUE_JSON: record_push(L, (struct json){at - v.count, at}); return at;
    }
    return at;
}

/* ---- into a tuple ---- */

enum { CHARGED_NODES = 256 }; /* each about an instruction */

struct encoder {
    struct buffer *out;
    size_t began; /* out->used before this value */
    int depth;
    uint32_t nodes; /* values within it, since they were charged */
};

static void encode(lua_State *L, struct encoder *e, int index);

static int refuse(lua_State *L, struct encoder *e, const char *why)
{
    e->out->used = e->began;
    return luaL_error(L, "%s", why);
}

static uint8_t *room(lua_State *L, struct encoder *e, size_t bytes)
{
    if (e->out->used - e->began + bytes > VALUE_BYTES_MAX)
        refuse(L, e, "a value is larger than 16 MB; emit it in parts");
    if (buffer_reserve(e->out, bytes) != OK)
        refuse(L, e, "there is no memory for a value");
    return e->out->data + e->out->used;
}

static void wrote(struct encoder *e, const uint8_t *end)
{
    e->out->used = (size_t)(end - e->out->data);
}

/* One table may stand in a value many times: a small one makes much work. */
static void charge_node(lua_State *L, struct encoder *e)
{
    if (++e->nodes < CHARGED_NODES) return;
    e->nodes = 0;
    size_t used = e->out->used;
    e->out->used = e->began; /* if it raises */
    vm_charge(L, CHARGED_NODES);
    e->out->used = used;
}

static bool is_marked(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index)) return false;
    push_array_mark(L);
    bool marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

/* 1..n without a gap and nothing else? Then *n is its length. What Lua says of
 * the length of a table with gaps is one of several truths. */
static bool is_array(lua_State *L, int index, lua_Unsigned *n)
{
    *n = lua_rawlen(L, index);
    if (*n == 0 && !is_marked(L, index)) return false;
    lua_Unsigned keys = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        if (key < 1 || (lua_Unsigned)key > *n) {
            lua_pop(L, 1);
            return false;
        }
        keys++;
    }
    return keys == *n;
}

static void encode_array(lua_State *L, struct encoder *e, int index,
                         lua_Unsigned n)
{
    if (n > VALUE_BYTES_MAX)
        refuse(L, e, "a value is larger than 16 MB; emit it in parts");
    wrote(e, value_put_array_head(room(L, e, VALUE_HEAD_MAX), (uint32_t)n));
    for (lua_Unsigned i = 1; i <= n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i);
        encode(L, e, lua_gettop(L));
        lua_pop(L, 1);
    }
}

struct pair {
    size_t at, bytes; /* in the encoder's buffer */
    const uint8_t *data;
};

static int pair_order(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    return value_order(left->data, right->data);
}

static void encode_key(lua_State *L, struct encoder *e, int index)
{
    int type = lua_type(L, index);
    if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN) {
        e->out->used = e->began;
        luaL_error(L,
                   "a %s can't be a key in a tuple; use strings, numbers or "
                   "booleans",
                   lua_typename(L, type));
    }
    encode(L, e, index);
}

/* Pairs in any order first, then a sorted copy over them. */
static void encode_map(lua_State *L, struct encoder *e, int index)
{
    uint32_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        count++;
    }
    wrote(e, value_put_map_head(room(L, e, VALUE_HEAD_MAX), count));
    if (count == 0) return;
    size_t began = e->out->used;
    /* Lua owns both: whatever raises below, nothing leaks. */
    struct pair *pairs = lua_newuserdatauv(L, count * sizeof *pairs, 0);
    uint32_t i = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        pairs[i].at = e->out->used;
        encode_key(L, e, lua_gettop(L) - 1);
        encode(L, e, lua_gettop(L));
        pairs[i].bytes = e->out->used - pairs[i].at;
        i++;
        lua_pop(L, 1);
    }
    size_t bytes = e->out->used - began;
    uint8_t *copy = lua_newuserdatauv(L, bytes, 0);
    memcpy(copy, e->out->data + began, bytes);
    for (i = 0; i < count; i++)
        pairs[i].data = copy + (pairs[i].at - began);
    qsort(pairs, count, sizeof *pairs, pair_order);
    uint8_t *to = e->out->data + began;
    for (i = 0; i < count; i++) {
        memcpy(to, pairs[i].data, pairs[i].bytes);
        to += pairs[i].bytes;
    }
    lua_pop(L, 2);
}

static void encode_table(lua_State *L, struct encoder *e, int index)
{
    lua_Unsigned n;
    if (++e->depth > VALUE_DEPTH_MAX)
        refuse(L, e,
               "a value is nested deeper than 64 tables, or contains itself; "
               "flatten it, or leave the reference out");
    if (!lua_checkstack(L, 10)) refuse(L, e, "there is no memory for a value");
    if (is_array(L, index, &n))
        encode_array(L, e, index, n);
    else
        encode_map(L, e, index);
    e->depth--;
}

static void encode_record(lua_State *L, struct encoder *e, struct json text)
{
    size_t count = (size_t)(text.end - text.at);
    if (e->depth > 0 && e->depth + json_depth(text) > VALUE_DEPTH_MAX)
        refuse(L, e, "a value is nested deeper than 64 tables; flatten it");
    wrote(e, value_put_json(room(L, e, count + VALUE_JSON_HEAD_MAX), text.at,
                            (uint32_t)count));
}

static void encode(lua_State *L, struct encoder *e, int index)
{
    size_t length;
    const char *bytes;
    struct json text;
    charge_node(L, e);
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        wrote(e, value_put_nil(room(L, e, VALUE_SCALAR_MAX)));
        return;
    case LUA_TBOOLEAN:
        wrote(e, value_put_bool(room(L, e, VALUE_SCALAR_MAX),
                                lua_toboolean(L, index)));
        return;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            wrote(e, value_put_int(room(L, e, VALUE_SCALAR_MAX),
                                   lua_tointeger(L, index)));
        else
            wrote(e, value_put_float(room(L, e, VALUE_SCALAR_MAX),
                                     lua_tonumber(L, index)));
        return;
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &length);
        if (length > VALUE_BYTES_MAX)
            refuse(L, e, "a value is larger than 16 MB; emit it in parts");
        wrote(e, value_put_bytes(room(L, e, length + VALUE_HEAD_MAX), bytes,
                                 (uint32_t)length));
        return;
    case LUA_TTABLE:
        if (!frozen_real(L, index)) {
            encode_table(L, e, index);
            return;
        }
        encode_table(L, e, lua_gettop(L));
        lua_pop(L, 1);
        return;
    default:
        if (record_text(L, index, &text)) {
            encode_record(L, e, text);
            return;
        }
        value_push_null(L);
        if (lua_rawequal(L, -1, index)) {
            lua_pop(L, 1);
            wrote(e, value_put_nil(room(L, e, VALUE_SCALAR_MAX)));
            return;
        }
        e->out->used = e->began;
        luaL_error(L, "a %s can't travel in a tuple; emit what it stands for",
                   luaL_typename(L, index));
    }
}

void value_encode(lua_State *L, int index, struct buffer *out)
{
    struct encoder e = {.out = out, .began = out->used};
    encode(L, &e, lua_absindex(L, index));
}

/* ---- names ---- */

static int make_array(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1) && !is_marked(L, 1)) {
        lua_pushliteral(L, "__metatable");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "this table is the engine's or protected; "
                                 "give array a table of your own");
    }
    lua_settop(L, 1);
    push_array_mark(L);
    lua_setmetatable(L, 1);
    return 1;
}

static int null_text(lua_State *L)
{
    lua_pushliteral(L, "null");
    return 1;
}

void value_open(lua_State *L)
{
    lua_newuserdatauv(L, 0, 0); /* null: equal to itself alone */
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, null_text);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
    lua_setfield(L, -2, "null");

    lua_createtable(L, 0, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
    lua_pushcfunction(L, make_array);
    lua_setfield(L, -2, "array");
}
