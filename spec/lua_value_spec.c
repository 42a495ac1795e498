/* Lua values into tuples and back: what comes out is what went in, in one
 * form only; what can't travel is refused and leaves nothing behind. */
#include "core/random.h"
#include "lua/value.h"
#include "spec/spec.h"
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

/* `null` and `array` are globals; `same(a, b)` compares what went in with what
 * came out: with types, so that 1 and 1.0 differ, and with marks. */
static const char prelude[] =
    "local function same(a, b)\n"
    "  if math.type(a) ~= math.type(b) or type(a) ~= type(b) then\n"
    "    return false\n"
    "  end\n"
    "  if type(a) ~= 'table' then return a == b or a ~= a and b ~= b end\n"
    "  for k, v in pairs(a) do if not same(v, b[k]) then return false end end\n"
    "  for k in pairs(b) do if a[k] == nil then return false end end\n"
    "  if next(a) == nil then\n"
    "    return (getmetatable(a) == false) == (getmetatable(b) == false)\n"
    "  end\n"
    "  return true\n"
    "end\n"
    "_G.same = same\n";

static lua_State *lua_new(void)
{
    lua_State *L = luaL_newstate();
    memset(lua_getextraspace(L), 0, LUA_EXTRASPACE); /* no VM's */
    CHECK(L != NULL);
    luaL_openlibs(L);
    lua_pushglobaltable(L);
    value_open(L);
    lua_pop(L, 1);
    CHECK_EQ(luaL_dostring(L, prelude), LUA_OK);
    return L;
}

static int encode_top(lua_State *L)
{
    value_encode(L, 1, lua_touserdata(L, 2));
    CHECK_EQ(lua_gettop(L), 2);
    return 0;
}

/* Encodes the value at the top, which stays. False: the error is above it. */
static bool encode(lua_State *L, struct buffer *out)
{
    int top = lua_gettop(L);
    lua_pushcfunction(L, encode_top);
    lua_pushvalue(L, top);
    lua_pushlightuserdata(L, out);
    return lua_pcall(L, 2, 0, 0) == LUA_OK;
}

/* Runs `return <text>` and leaves its value at the top. */
static void push(lua_State *L, const char *text)
{
    lua_pushfstring(L, "return %s", text);
    if (luaL_dostring(L, lua_tostring(L, -1)) != LUA_OK)
        spec_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
    lua_remove(L, -2);
}

/* The value at the top, there and back; pops it. */
static void check_round_trip(lua_State *L)
{
    struct buffer out = {0}, again = {0};
    const uint8_t *next = NULL;
    int top = lua_gettop(L);
    if (!encode(L, &out))
        spec_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
    CHECK_EQ(value_check(out.data, out.data + out.used, &next), OK);
    CHECK_EQ(next - out.data, out.used);
    CHECK(value_push(L, out.data) == next);
    CHECK_EQ(lua_gettop(L), top + 1);
    /* Also as bytes: there is one form of each value. */
    CHECK(encode(L, &again));
    CHECK_EQ(again.used, out.used);
    CHECK(memcmp(again.data, out.data, out.used) == 0);
    lua_getglobal(L, "same");
    lua_insert(L, top);
    lua_call(L, 2, 1);
    CHECK(lua_toboolean(L, -1));
    lua_pop(L, 1);
    buffer_fini(&out);
    buffer_fini(&again);
}

static void check_bytes(lua_State *L, const char *text, const char *bytes,
                        size_t count)
{
    struct buffer out = {0};
    push(L, text);
    CHECK(encode(L, &out));
    if (out.used != count || memcmp(out.data, bytes, count) != 0)
        spec_fail(__FILE__, __LINE__, "%s has other bytes", text);
    lua_pop(L, 1);
    buffer_fini(&out);
}

#define CHECK_BYTES(L, text, bytes)                                            \
    check_bytes((L), (text), (bytes), sizeof(bytes) - 1)

SPEC(lua_value, scalars_come_back_as_they_were)
{
    static const char *const texts[] = {
        "nil",
        "true",
        "false",
        "0",
        "-0.0",
        "1",
        "1.0",
        "-1",
        "127",
        "128",
        "-32",
        "-33",
        "255",
        "256",
        "65535",
        "65536",
        "1 << 31",
        "1 << 32",
        "math.maxinteger",
        "math.mininteger",
        "0.1",
        "1e300",
        "-1e-300",
        "math.huge",
        "-math.huge",
        "0/0",
        "2^53",
        "''",
        "'the'",
        "'\\0\\255'",
        "('x'):rep(31)",
        "('x'):rep(32)",
        "('x'):rep(255)",
        "('x'):rep(256)",
        "('x'):rep(65535)",
        "('x'):rep(65536)",
        "null",
    };
    lua_State *L = lua_new();
    for (size_t i = 0; i + 1 < sizeof texts / sizeof texts[0]; i++) {
        push(L, texts[i]);
        check_round_trip(L);
    }
    lua_close(L);
}

SPEC(lua_value, tables_are_arrays_when_their_keys_are_1_to_n)
{
    lua_State *L = lua_new();
    CHECK_BYTES(L, "{1, 2}", "\x92\x01\x02");
    CHECK_BYTES(L, "{[2] = 2, [1] = 1}", "\x92\x01\x02");
    CHECK_BYTES(L, "array {}", "\x90");
    CHECK_BYTES(L, "array {1}", "\x91\x01");
    CHECK_BYTES(L, "{}", "\x80");
    CHECK_BYTES(L, "{null, 1, null}", "\x93\xc0\x01\xc0");
    CHECK_BYTES(L, "{a = null}", "\x81\xa1\x61\xc0");
    CHECK_BYTES(L, "{[0] = 1}", "\x81\x00\x01");
    CHECK_BYTES(L, "{1, 2, a = 3}", "\x83\x01\x01\x02\x02\xa1\x61\x03");
    CHECK_BYTES(L, "{[-1] = 1, 7}", "\x82\xff\x01\x01\x07");
    lua_close(L);
}

/* Lua's length of such a table is a border, and says nothing of the rest. */
SPEC(lua_value, a_table_with_gaps_loses_nothing)
{
    lua_State *L = lua_new();
    CHECK_BYTES(L, "{1, nil, 3}", "\x82\x01\x01\x03\x03");
    CHECK_BYTES(L,
                "(function() local t = {1, 2, nil, 4} t[7] = 7 return t end)()",
                "\x84\x01\x01\x02\x02\x04\x04\x07\x07");
    CHECK_BYTES(L, "(function() local t = array {} t.x = 1 return t end)()",
                "\x81\xa1x\x01");
    CHECK_BYTES(L, "(function() local t = array {} t[3] = 1 return t end)()",
                "\x81\x03\x01");
    lua_close(L);
}

SPEC(lua_value, maps_are_written_in_the_order_of_their_keys)
{
    lua_State *L = lua_new();
    CHECK_BYTES(L,
                "{b = 1, a = 2, [true] = 3, [false] = 4, [-1] = 5, "
                "[1.5] = 6, [''] = 7}",
                "\x87\xc2\x04\xc3\x03\xff\x05\xcb\x3f\xf8\0\0\0\0\0\0\x06"
                "\xa0\x07\xa1"
                "a\x02\xa1"
                "b\x01");
    /* The same pairs, put in in another order, in tables of other sizes. */
    FOR_SEEDS(50)
    {
        struct rng rng = {spec_seed};
        struct buffer first = {0}, other = {0};
        int n = 2 + (int)rng_below(&rng, 60);
        for (int turn = 0; turn < 2; turn++) {
            lua_createtable(L, 0, turn ? 200 : 0);
            for (int i = 0; i < n; i++) {
                int k = turn ? n - 1 - i : i;
                lua_pushfstring(L, "key %d", k * 7919 % 101);
                lua_pushinteger(L, k);
                lua_rawset(L, -3);
            }
            CHECK(encode(L, turn ? &other : &first));
            check_round_trip(L);
        }
        CHECK_EQ(first.used, other.used);
        CHECK(memcmp(first.data, other.data, first.used) == 0);
        buffer_fini(&first);
        buffer_fini(&other);
    }
    lua_close(L);
}

/* ---- any value ---- */

static void push_any(lua_State *L, struct rng *rng, int depth);

static void push_key(lua_State *L, struct rng *rng)
{
    switch (rng_below(rng, 4)) {
    case 0: lua_pushboolean(L, (int)rng_below(rng, 2)); return;
    case 1: lua_pushinteger(L, (lua_Integer)rng_below(rng, 6) - 1); return;
    case 2: lua_pushnumber(L, (double)rng_below(rng, 100) + 0.5); return;
    default: lua_pushfstring(L, "k%d", (int)rng_below(rng, 50)); return;
    }
}

static void push_table(lua_State *L, struct rng *rng, int depth)
{
    int n = (int)rng_below(rng, depth > 3 ? 3 : 12);
    bool list = rng_below(rng, 2);
    lua_newtable(L);
    for (int i = 1; i <= n; i++) {
        if (list)
            lua_pushinteger(L, i);
        else
            push_key(L, rng);
        push_any(L, rng, depth + 1);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_getglobal(L, "null");
        }
        lua_rawset(L, -3);
    }
    if (!list || n > 0) return;
    lua_getglobal(L, "array");
    lua_insert(L, -2);
    lua_call(L, 1, 1);
}

static void push_any(lua_State *L, struct rng *rng, int depth)
{
    static const char text[] =
        "any bytes \0 \xff at all, and some more of them";
    switch (rng_below(rng, depth > 6 ? 6 : 9)) {
    case 0: lua_pushnil(L); return;
    case 1: lua_pushboolean(L, (int)rng_below(rng, 2)); return;
    case 2:
        lua_pushinteger(L, (lua_Integer)(rng_next(rng) >> rng_below(rng, 64)));
        return;
    case 3: lua_pushinteger(L, (lua_Integer)rng_next(rng)); return;
    case 4: lua_pushnumber(L, (double)(int64_t)rng_next(rng) / 1e9); return;
    case 5: lua_pushlstring(L, text, rng_below(rng, sizeof text)); return;
    default: push_table(L, rng, depth); return;
    }
}

SPEC(lua_value, any_value_comes_back_as_it_was)
{
    lua_State *L = lua_new();
    FOR_SEEDS(400)
    {
        struct rng rng = {spec_seed};
        luaL_checkstack(L, 100, NULL);
        push_any(L, &rng, 0);
        check_round_trip(L);
        CHECK_EQ(lua_gettop(L), 0);
    }
    lua_close(L);
}

/* ---- limits and refusals ---- */

static void check_refused(lua_State *L, const char *text, const char *why)
{
    struct buffer out = {0};
    CHECK_EQ(buffer_append(&out, "tuple", 5), OK);
    push(L, text);
    CHECK(!encode(L, &out));
    CHECK_HAS(lua_tostring(L, -1), why);
    CHECK_EQ(out.used, 5);
    CHECK(memcmp(out.data, "tuple", 5) == 0);
    lua_settop(L, 0);
    /* It can be used on. */
    lua_pushliteral(L, "x");
    CHECK(encode(L, &out));
    CHECK_EQ(out.used, 7);
    lua_settop(L, 0);
    buffer_fini(&out);
}

SPEC(lua_value, what_can_not_travel_is_refused_and_leaves_the_buffer_as_it_was)
{
    lua_State *L = lua_new();
    const char *function = "a function can't travel in a tuple; emit what it "
                           "stands for";
    check_refused(L, "print", function);
    check_refused(L, "{1, 2, {3, print}}", function);
    check_refused(L, "{a = {b = {c = print}}, d = 1}", function);
    check_refused(L, "coroutine.create(print)", "a thread can't travel");
    check_refused(L, "io.stdout", "a userdata can't travel");
    check_refused(L, "{[print] = 1}",
                  "a function can't be a key in a tuple; "
                  "use strings, numbers or booleans");
    check_refused(L, "{[{}] = 1}", "a table can't be a key");
    check_refused(L, "{[null] = 1}", "a userdata can't be a key");
    check_refused(L, "{1, 2, {x = {[{}] = 1}}}", "a table can't be a key");
    check_refused(L, "(function() local t = {} t[1] = t return t end)()",
                  "nested deeper than 64 tables, or contains itself");
    check_refused(L, "(function() local t = {} t.t = {a = t} return t end)()",
                  "contains itself");
    lua_close(L);
}

/* Pushes `depth` tables one within the other. */
static void push_nest(lua_State *L, int depth, bool map)
{
    lua_newtable(L);
    while (--depth > 0) {
        lua_newtable(L);
        lua_insert(L, -2);
        if (map)
            lua_setfield(L, -2, "k");
        else
            lua_rawseti(L, -2, 1);
    }
}

SPEC(lua_value, tables_may_be_64_deep)
{
    lua_State *L = lua_new();
    struct buffer out = {0};
    for (int map = 0; map < 2; map++) {
        push_nest(L, 64, map);
        check_round_trip(L);
        push_nest(L, 65, map);
        CHECK(!encode(L, &out));
        CHECK_EQ(out.used, 0);
        lua_settop(L, 0);
    }
    /* Beside each other they may be many. */
    push(L, "(function() local t = {} for i = 1, 1000 do t[i] = {{}} end "
            "return t end)()");
    check_round_trip(L);
    buffer_fini(&out);
    lua_close(L);
}

SPEC(lua_value, a_value_may_have_16_megabytes)
{
    lua_State *L = lua_new();
    const char *big = "larger than 16 MB; emit it in parts";
    push(L, "('x'):rep((16 << 20) - 5)");
    check_round_trip(L);
    check_refused(L, "('x'):rep((16 << 20) - 4)", big);
    check_refused(L, "{('x'):rep(9 << 20), ('x'):rep(9 << 20)}", big);
    check_refused(L, "{a = ('x'):rep(9 << 20), b = {('x'):rep(9 << 20)}}", big);
    check_refused(L, "('x'):rep(100 << 20)", big);
    lua_close(L);
}

SPEC(lua_value, null_is_one_value_and_says_its_name)
{
    lua_State *L = lua_new();
    struct buffer out = {0};
    push(L, "null");
    CHECK(encode(L, &out));
    CHECK_EQ(out.used, 1);
    CHECK_EQ(out.data[0], MSGPACK_NIL);
    value_push(L, out.data);
    CHECK(lua_isnil(L, -1)); /* nil where Lua can hold one */
    lua_settop(L, 0);
    out.used = 0;
    push(L, "{null, x = null}");
    CHECK(encode(L, &out));
    lua_settop(L, 0);
    value_push(L, out.data);
    lua_setglobal(L, "t");
    push(L, "t[1] == null and t.x == null and tostring(null) == 'null' and "
            "getmetatable(null) == false");
    CHECK(lua_toboolean(L, -1));
    buffer_fini(&out);
    lua_close(L);
}

static int push_top(lua_State *L)
{
    value_push(L, lua_touserdata(L, 1));
    return 1;
}

/* What other programs write: wider forms, floats of 4 bytes, bin. */
SPEC(lua_value, every_form_of_messagepack_is_read)
{
    static const struct {
        const char *bytes, *same;
    } forms[] = {
        {"\xcc\x07", "7"},
        {"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", "-1"},
        {"\xca\x3f\xc0\x00\x00", "1.5"},
        {"\xc4\x03the", "'the'"},
        {"\xdb\x00\x00\x00\x03the", "'the'"},
        {"\xdd\x00\x00\x00\x02\x01\x02", "{1, 2}"},
        {"\xdf\x00\x00\x00\x01\xa1x\xc3", "{x = true}"},
        {"\xdc\x00\x00", "array {}"},
    };
    lua_State *L = lua_new();
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        union {
            const char *borrowed;
            void *given;
        } bytes = {forms[i].bytes};
        lua_getglobal(L, "same");
        lua_pushcfunction(L, push_top);
        lua_pushlightuserdata(L, bytes.given);
        lua_call(L, 1, 1);
        push(L, forms[i].same);
        lua_call(L, 2, 1);
        CHECK(lua_toboolean(L, -1));
        lua_settop(L, 0);
    }
    lua_close(L);
}
