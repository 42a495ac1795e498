#include "lua/record.h"
#include "lua/json.h"
#include "lua/value.h"
#include "lua/vm.h"
#include <lauxlib.h>

enum {
    BYTES_PER_STEP = 16, /* read or copied in the time of a step */
    CHARGE_BYTES = 4096, /* a call that reads less costs what any call does */
    ROOM_BYTES = 48,     /* of a copy, for a value that becomes longer */
    TEXT_BYTES_MAX = VALUE_BYTES_MAX - VALUE_JSON_HEAD_MAX,
};

static const uint32_t UNKNOWN = UINT32_MAX;

/* User value 1: what holds the bytes, if that isn't this view: a block, or the
 * view that it is a part of. */
struct record {
    const void *mark; /* &record_mark: it is one */
    uint8_t *at;      /* the bytes */
    uint32_t count;   /* of them */
    uint32_t room;    /* from `at` on, for changes; 0: read-only */
    bool shared;      /* others look at the bytes: they may not change */
    uint32_t hint;    /* offset of the key (its quote) or element found last */
    uint32_t key_count; /* bytes of that key, which has no escapes; else 0 */
    uint32_t index;     /* number of that element; 0: none yet */
    uint32_t length;    /* elements of the array; UNKNOWN */
    uint8_t own[];
};

/* Its address: of a view, and of the registry's metatable. */
static const char record_mark;

static struct record *record_at(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA) return NULL;
    struct record *r = lua_touserdata(L, index);
    bool is_one = lua_rawlen(L, index) >= sizeof *r && r->mark == &record_mark;
    return is_one ? r : NULL;
}

/* Argument 1 of a metamethod. */
static struct record *self(lua_State *L)
{
    struct record *r = record_at(L, 1);
    if (r == NULL) luaL_typeerror(L, 1, "JSON");
    return r;
}

static struct json text_of(const struct record *r)
{
    return (struct json){r->at, r->at + r->count};
}

static bool is_array(const struct record *r)
{
    return *r->at == '[';
}

bool record_text(lua_State *L, int index, struct json *text)
{
    const struct record *r = record_at(L, index);
    if (r) *text = text_of(r);
    return r != NULL;
}

static void charge(lua_State *L, size_t bytes)
{
    if (bytes > CHARGE_BYTES) vm_charge(L, bytes / BYTES_PER_STEP);
}

/* ---- from the text ---- */

static void push_metatable(lua_State *L);

static struct record *new_record(lua_State *L, size_t own_bytes)
{
    struct record *r = lua_newuserdatauv(L, sizeof *r + own_bytes, 1);
    *r = (struct record){.mark = &record_mark, .length = UNKNOWN};
    push_metatable(L);
    lua_setmetatable(L, -2);
    return r;
}

void record_push(lua_State *L, struct json text)
{
    size_t count = (size_t)(text.end - text.at);
    charge(L, count);
    struct record *r = new_record(L, count + ROOM_BYTES);
    memcpy(r->own, text.at, count);
    r->at = r->own;
    r->count = (uint32_t)count;
    r->room = *text.at == '{' ? r->count + ROOM_BYTES : 0;
}

/* Pushes what keeps the bytes of the view at `index` alive. */
static void push_owner(lua_State *L, int index)
{
    if (lua_getiuservalue(L, index, 1) != LUA_TNIL) return;
    lua_pop(L, 1);
    lua_pushvalue(L, index);
}

static void push_string(lua_State *L, struct json raw)
{
    size_t count = (size_t)(raw.end - raw.at);
    if (!json_has_escapes(raw)) {
        lua_pushlstring(L, (const char *)raw.at, count);
        return;
    }
    luaL_Buffer b;
    char *to = luaL_buffinitsize(L, &b, count);
    luaL_pushresultsize(&b, json_unescape(raw, (uint8_t *)to));
}

/* `owner`: index of what holds the bytes. */
static void push_value(lua_State *L, struct json value, int owner)
{
    struct value number;
    switch (*value.at) {
    case '"': push_string(L, json_unquote(value)); return;
    case '{':
    case '[': {
        struct record *r = new_record(L, 0);
        r->at = (uint8_t *)(uintptr_t)value.at; /* read-only: room is 0 */
        r->count = (uint32_t)(value.end - value.at);
        lua_pushvalue(L, owner);
        lua_setiuservalue(L, -2, 1);
        return;
    }
    case 't':
    case 'f': lua_pushboolean(L, *value.at == 't'); return;
    case 'n': value_push_null(L); return;
    default: break;
    }
    number = json_number(value);
    if (number.type == VALUE_INT)
        lua_pushinteger(L, number.as.integer);
    else
        lua_pushnumber(L, number.as.number);
}

/* A part of the view at index 1. */
static void push_part(lua_State *L, struct record *r, struct json value)
{
    if (!json_is_container(value)) {
        push_value(L, value, 0);
        return;
    }
    push_owner(L, 1);
    push_value(L, value, lua_gettop(L));
    r->shared = true;
}

/* ---- reading ---- */

/* The pair of a key, by the hint if it is the one found last. */
static bool find(lua_State *L, struct record *r, const char *key, size_t count,
                 struct json_pair *pair)
{
    struct json text = text_of(r);
    if (count > 0 && r->key_count == count &&
        memcmp(r->at + r->hint + 1, key, count) == 0) {
        struct json rest = {r->at + r->hint, text.end};
        return json_next_pair(&rest, pair);
    }
    charge(L, r->count);
    if (!json_find(text, key, count, pair)) return false;
    r->hint = (uint32_t)(pair->key.at - 1 - r->at);
    r->key_count = json_has_escapes(pair->key) ? 0 : (uint32_t)count;
    return true;
}

/* Element `i`, going on from the one found last. */
static bool element_at(lua_State *L, struct record *r, lua_Integer i,
                       struct json *element)
{
    if (i < 1 || i > (lua_Integer)r->length) return false;
    struct json rest = json_inside(text_of(r));
    lua_Integer at = 0;
    if (r->index > 0 && i >= r->index) {
        rest.at = r->at + r->hint;
        at = r->index - 1;
    }
    const uint8_t *from = rest.at;
    while (at < i && json_next_element(&rest, element))
        at++;
    if (at < i) {
        r->length = (uint32_t)at;
    } else {
        r->index = (uint32_t)i;
        r->hint = (uint32_t)(element->at - r->at);
    }
    charge(L, (size_t)(rest.at - from));
    return at == i;
}

static int record_index(lua_State *L)
{
    struct record *r = self(L);
    struct json_pair pair = {.value.at = NULL};
    bool found = false;
    if (is_array(r)) {
        int integral = 0;
        lua_Integer i = 0;
        if (lua_type(L, 2) == LUA_TNUMBER) i = lua_tointegerx(L, 2, &integral);
        found = integral && element_at(L, r, i, &pair.value);
    } else if (lua_type(L, 2) == LUA_TSTRING) {
        size_t count;
        const char *key = lua_tolstring(L, 2, &count);
        found = find(L, r, key, count, &pair);
    }
    if (found)
        push_part(L, r, pair.value);
    else
        lua_pushnil(L);
    return 1;
}

/* As of a table with keys that are strings: 0 of an object. */
static int record_len(lua_State *L)
{
    struct record *r = self(L);
    struct json element;
    lua_Integer length = 0;
    if (is_array(r)) {
        if (r->length == UNKNOWN) element_at(L, r, UNKNOWN - 1, &element);
        length = r->length;
    }
    lua_pushinteger(L, length);
    return 1;
}

static int record_tostring(lua_State *L)
{
    struct record *r = self(L);
    charge(L, r->count);
    lua_pushlstring(L, (const char *)r->at, r->count);
    return 1;
}

static int record_eq(lua_State *L)
{
    struct record *a = record_at(L, 1), *b = record_at(L, 2);
    bool same = a && b && a->count == b->count;
    if (same) charge(L, a->count);
    lua_pushboolean(L, same && memcmp(a->at, b->at, a->count) == 0);
    return 1;
}

/* ---- pairs ---- */

/* Upvalues of the iterators. */
enum { OWNER = 1, AT, END, COUNT };

static struct json rest_of(lua_State *L)
{
    return (struct json){lua_touserdata(L, lua_upvalueindex(AT)),
                         lua_touserdata(L, lua_upvalueindex(END))};
}

static void keep_rest(lua_State *L, struct json rest)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)rest.at);
    lua_replace(L, lua_upvalueindex(AT));
}

static int next_pair(lua_State *L)
{
    struct json rest = rest_of(L);
    struct json_pair pair;
    const uint8_t *from = rest.at;
    if (!json_next_pair(&rest, &pair)) {
        lua_pushnil(L);
        return 1;
    }
    charge(L, (size_t)(rest.at - from));
    keep_rest(L, rest);
    push_string(L, pair.key);
    push_value(L, pair.value, lua_upvalueindex(OWNER));
    return 2;
}

static int next_element(lua_State *L)
{
    struct json rest = rest_of(L), element;
    const uint8_t *from = rest.at;
    if (!json_next_element(&rest, &element)) {
        lua_pushnil(L);
        return 1;
    }
    charge(L, (size_t)(rest.at - from));
    keep_rest(L, rest);
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(COUNT)) + 1;
    lua_pushinteger(L, i);
    lua_pushvalue(L, -1);
    lua_replace(L, lua_upvalueindex(COUNT));
    push_value(L, element, lua_upvalueindex(OWNER));
    return 2;
}

/* The iterator shows what the view shows now: it may be changed meanwhile. */
static int record_pairs(lua_State *L)
{
    struct record *r = self(L);
    struct json rest = json_inside(text_of(r));
    push_owner(L, 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)rest.at);
    lua_pushlightuserdata(L, (void *)(uintptr_t)rest.end);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, is_array(r) ? next_element : next_pair, COUNT);
    r->shared = true;
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* ---- changing ---- */

/* Puts `count` bytes in the place of [from, to) of the view at index 1. */
static void splice(lua_State *L, struct record *r, struct json place,
                   const uint8_t *bytes, size_t count)
{
    size_t from = (size_t)(place.at - r->at), to = (size_t)(place.end - r->at);
    size_t behind = r->count - to, whole = from + count + behind;
    if (whole > TEXT_BYTES_MAX)
        luaL_error(L, "a record is larger than 16 MB; leave something out");
    charge(L, whole);
    if (r->shared || whole > r->room) {
        size_t room = whole + whole / 4 + ROOM_BYTES;
        uint8_t *block = lua_newuserdatauv(L, room, 0);
        memcpy(block, r->at, from);
        memcpy(block + from + count, r->at + to, behind);
        lua_setiuservalue(L, 1, 1);
        r->at = block;
        r->room = (uint32_t)room;
        r->shared = false;
    } else {
        memmove(r->at + from + count, r->at + to, behind);
    }
    if (count > 0) memcpy(r->at + from, bytes, count);
    r->count = (uint32_t)whole;
}

/* A pair, the comma before it (of the first one: behind it), and what white
 * space is between. */
static struct json with_comma(struct json text, struct json_pair pair)
{
    const uint8_t *at = pair.key.at - 1, *end = pair.value.end;
    while (at[-1] <= ' ')
        at--;
    if (at[-1] == ',') return (struct json){at - 1, end};
    at = end;
    while (*at <= ' ')
        at++;
    return (struct json){pair.key.at - 1, *at == ',' ? at + 1 : end};
}

/* All pairs of that key: reading would find the one before. */
static void drop(lua_State *L, struct record *r, const char *key, size_t count)
{
    struct json_pair pair;
    while (find(L, r, key, count, &pair)) {
        splice(L, r, with_comma(text_of(r), pair), NULL, 0);
        r->key_count = 0;
    }
}

/* Appends the key, which stands at index 2, and a colon. */
static void write_key(lua_State *L, struct json_desk *desk)
{
    uint64_t replaced = desk->replaced;
    json_write(L, desk, 2);
    if (desk->replaced != replaced)
        luaL_error(L, "a key of a record must be UTF-8");
    if (buffer_append(&desk->text, ":", 1) != OK)
        luaL_error(L, "there is no memory for JSON");
}

static void check_depth(lua_State *L, const uint8_t *at, const uint8_t *end)
{
    struct json value = {at, end};
    if (!json_is_container(value)) return;
    charge(L, (size_t)(end - at));
    if (json_depth(value) >= VALUE_DEPTH_MAX)
        luaL_error(L, "a record is nested deeper than 64 levels; flatten it");
}

static void set(lua_State *L, struct record *r, const char *key, size_t count)
{
    struct json_desk *desk = json_desk(L);
    struct json_pair pair;
    desk->text.used = 0;
    bool there = find(L, r, key, count, &pair);
    bool first =
        !there && !json_next_pair(&(struct json){r->at + 1, r->at + r->count},
                                  &(struct json_pair){.key.at = NULL});
    if (!there) {
        if (!first && buffer_append(&desk->text, ",", 1) != OK)
            luaL_error(L, "there is no memory for JSON");
        write_key(L, desk);
    }
    size_t value = desk->text.used;
    json_write(L, desk, 3);
    const uint8_t *text = desk->text.data;
    check_depth(L, text + value, text + desk->text.used);
    struct json place = pair.value;
    if (!there) place.at = place.end = r->at + r->count - 1;
    splice(L, r, place, text, desk->text.used);
}

static int record_newindex(lua_State *L)
{
    struct record *r = self(L);
    if (is_array(r))
        return luaL_error(L, "an array of JSON is read-only; json.decode(it) "
                             "gives a table to change");
    if (r->room == 0)
        return luaL_error(L, "an object inside a record is read-only; assign a "
                             "table in its place, json.decode(it) gives one");
    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "a record's keys are strings, not a %s",
                          luaL_typename(L, 2));
    size_t count;
    const char *key = lua_tolstring(L, 2, &count);
    if (lua_isnil(L, 3))
        drop(L, r, key, count);
    else
        set(L, r, key, count);
    return 0;
}

static void push_metatable(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"__index", record_index},
        {"__newindex", record_newindex},
        {"__len", record_len},
        {"__pairs", record_pairs},
        {"__tostring", record_tostring},
        {"__eq", record_eq},
        {NULL, NULL},
    };
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &record_mark) != LUA_TNIL) return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 8);
    luaL_setfuncs(L, methods, 0);
    lua_pushliteral(L, "JSON");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &record_mark);
}
