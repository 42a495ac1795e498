#include "lua/json.h"
#include "core/json.h"
#include "core/json_write.h"
#include "lua/record.h"
#include "lua/sandbox.h"
#include "lua/value.h"
#include "lua/vm.h"
#include <lauxlib.h>

enum {
    BYTES_PER_STEP = 16,   /* of text, read or written */
    KEPT_BYTES = 64 << 10, /* of a buffer between calls */
};

/* Of the registry: its address. */
static const char desk_key;

static int desk_free(lua_State *L)
{
    struct json_desk *desk = lua_touserdata(L, 1);
    buffer_fini(&desk->text);
    buffer_fini(&desk->values);
    buffer_fini(&desk->scratch);
    return 0;
}

static struct json_desk *known_desk(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &desk_key);
    struct json_desk *desk = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return desk;
}

uint64_t json_replaced(lua_State *L)
{
    const struct json_desk *desk = known_desk(L);
    return desk ? desk->replaced : 0;
}

struct json_desk *json_desk(lua_State *L)
{
    struct json_desk *desk = known_desk(L);
    if (desk) return desk;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, desk_free);
    lua_setfield(L, -2, "__gc");
    desk = lua_newuserdatauv(L, sizeof *desk, 0);
    *desk = (struct json_desk){.replaced = 0};
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &desk_key);
    return desk;
}

static void trim(struct buffer *b)
{
    if (b->room > KEPT_BYTES) buffer_fini(b);
}

static void write_bytes(lua_State *L, struct json_writer *w, int index)
{
    size_t count;
    const char *bytes = lua_tolstring(L, index, &count);
    if (count > VALUE_BYTES_MAX)
        luaL_error(L, "a value is larger than 16 MB; write it in parts");
    json_put_bytes(w, bytes, count);
}

void json_write(lua_State *L, struct json_desk *desk, int index)
{
    struct json_writer w = {.out = &desk->text};
    size_t began = desk->text.used;
    if (lua_type(L, index) == LUA_TSTRING) {
        write_bytes(L, &w, index);
    } else {
        trim(&desk->values);
        desk->values.used = 0;
        value_encode(L, index, &desk->values);
        json_put_value(&w, desk->values.data);
    }
    size_t written = desk->text.used - began;
    if (w.failed != OK || written > VALUE_BYTES_MAX) {
        buffer_fini(&desk->text);
        luaL_error(L, w.failed != OK ? "there is no memory for JSON"
                                     : "JSON is larger than 16 MB; write it in "
                                       "parts");
    }
    desk->replaced += w.replaced;
    vm_charge(L, written / BYTES_PER_STEP);
}

static int encode(lua_State *L)
{
    luaL_checkany(L, 1);
    struct json_desk *desk = json_desk(L);
    trim(&desk->text);
    desk->text.used = 0;
    json_write(L, desk, 1);
    lua_pushlstring(L, (const char *)desk->text.data, desk->text.used);
    return 1;
}

static int refuse(lua_State *L, struct json whole, const struct json_fault *why)
{
    unsigned line, column;
    json_place(whole.at, why->at, &line, &column);
    lua_pushnil(L);
    if (line == 1)
        lua_pushfstring(L, "no JSON: %s at column %d", why->what, (int)column);
    else
        lua_pushfstring(L, "no JSON: %s in line %d, column %d", why->what,
                        (int)line, (int)column);
    return 2;
}

static int refuse_big(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "the value is larger than 16 MB; decode its parts");
    return 2;
}

static int decode(lua_State *L)
{
    struct json whole, text;
    struct json_fault why;
    if (record_text(L, 1, &whole)) {
        text = whole;
    } else {
        size_t count;
        luaL_checktype(L, 1, LUA_TSTRING);
        whole.at = (const uint8_t *)lua_tolstring(L, 1, &count);
        whole.end = whole.at + count;
        if (count > VALUE_BYTES_MAX) return refuse_big(L);
        vm_charge(L, count / BYTES_PER_STEP);
        if (json_check(whole.at, whole.end, VALUE_DEPTH_MAX, &text, &why) != OK)
            return refuse(L, whole, &why);
    }
    struct json_desk *desk = json_desk(L);
    trim(&desk->values);
    trim(&desk->scratch);
    desk->values.used = 0;
    vm_charge(L, (size_t)(text.end - text.at) / BYTES_PER_STEP);
    err e = json_decode(text, &desk->values, &desk->scratch);
    if (e == ERR_BIG) return refuse_big(L);
    if (e != OK) return luaL_error(L, "there is no memory for JSON");
    if (*desk->values.data == MSGPACK_NIL)
        value_push_null(L);
    else
        value_push(L, desk->values.data);
    return 1;
}

void json_open(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, encode);
    lua_setfield(L, -2, "encode");
    lua_pushcfunction(L, decode);
    lua_setfield(L, -2, "decode");
    sandbox_freeze(L, "json");
    lua_setfield(L, -2, "json");
}
