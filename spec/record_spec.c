/* record_spec.c - JSON as scripts see it: views of a tuple's bytes, and the
 * library `json`. */
#include "lua/json.h"
#include "lua/record.h"
#include "lua/sandbox.h"
#include "lua/value.h"
#include "lua/vm.h"
#include "spec/sanitized.h"
#include "spec/spec.h"
#include <lauxlib.h>
#include <stdio.h>

struct script {
    const char *json; /* becomes `r` */
    const char *source;
    char *result; /* what the source returned, as text */
    size_t room;
    uint64_t replaced;
};

static int put_record(lua_State *L, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    struct json json;
    CHECK_EQ(json_check(at, at + strlen(text), VALUE_DEPTH_MAX, &json, NULL),
             OK);
    record_push(L, json);
    return 1;
}

/* again(v): what another task gets of it. */
static int again(lua_State *L)
{
    struct json_desk *desk = json_desk(L);
    const uint8_t *next = NULL;
    desk->values.used = 0;
    value_encode(L, 1, &desk->values);
    const uint8_t *at = desk->values.data, *end = at + desk->values.used;
    CHECK_EQ(value_check(at, end, &next), OK);
    CHECK(next == end);
    value_push(L, at);
    return 1;
}

static int body(lua_State *L)
{
    struct script *s = lua_touserdata(L, 1);
    vm_handler(L);
    lua_newtable(L);
    value_open(L);
    json_open(L);
    lua_pushcfunction(L, again);
    lua_setfield(L, -2, "again");
    put_record(L, s->json);
    lua_setfield(L, -2, "r");
    sandbox_env(L);
    sandbox_load(L, s->source, strlen(s->source), "=s");
    lua_call(L, 0, 1);
    snprintf(s->result, s->room, "%s", luaL_tolstring(L, -1, NULL));
    s->replaced = json_replaced(L);
    return 0;
}

/* Runs the source in a machine of its own; false: it failed, `result` has the
 * message. */
static bool run_in(const struct vm_config *config, struct script *s)
{
    struct vm *vm;
    CHECK_EQ(vm_new(&vm, config), OK);
    enum vm_outcome outcome = vm_run(vm, NULL, body, s);
    while (outcome == VM_YIELDED)
        outcome = vm_resume(vm, NULL);
    if (outcome != VM_DONE) snprintf(s->result, s->room, "%s", vm_error(vm));
    vm_free(vm);
    return outcome == VM_DONE;
}

/* Also in the simulated world, where scripts give the same. */
static bool run(const char *json, const char *source, char *result, size_t room)
{
    struct vm_config config = {.seed = 1, .heap_plain = PLAIN};
    struct vm_config simulated = {.seed = 1, .counting = true};
    char other[2048];
    struct script s = {json, source, result, room, 0};
    struct script t = {json, source, other, sizeof other, 0};
    bool done = run_in(&config, &s);
    CHECK(run_in(&simulated, &t) == done);
    if (done) CHECK_TEXT(other, result);
    return done;
}

static void check_gives(const char *json, const char *source,
                        const char *expected)
{
    char result[2048];
    if (!run(json, source, result, sizeof result) || strcmp(result, expected))
        spec_fail(__FILE__, __LINE__, "%s: %s gives %s, not %s", json, source,
                  result, expected);
}

static void check_fails(const char *json, const char *source, const char *why)
{
    char result[2048];
    CHECK(!run(json, source, result, sizeof result));
    CHECK_HAS(result, why);
}

static const char all[] =
    "{\"i\":7,\"f\":131.0,\"s\":\"a\\u00e9\\n\",\"t\":true,\"n\":null,"
    "\"list\":[1,\"two\",[3],null],\"in\":{\"deep\":{\"x\":1}},\"i\":8}";

SPEC(record, decodes_the_field_that_is_read)
{
    check_gives(all, "return r.i", "8");
    check_gives(all, "return math.type(r.i)", "integer");
    check_gives(all, "return r.f", "131.0");
    check_gives(all, "return r.s == 'a\xc3\xa9\\n'", "true");
    check_gives(all, "return r.t", "true");
    check_gives(all, "return r.n == null and r.n ~= nil", "true");
    check_gives(all, "return r.nothing", "nil");
    check_gives(all, "return r[1]", "nil");
    check_gives(all, "return r[''] == nil and r['in'].deep.x", "1");
    check_gives(all, "return tostring(r['in'])", "{\"deep\":{\"x\":1}}");
    check_gives(all, "return type(r) .. #r", "userdata0");
    check_gives("{\"\":5}", "return r['']", "5");
    check_gives("{\"a\\\"b\":5,\"a\\\\\":6}",
                "return r['a\"b'] + r['a\\\\'] + r['a\"b']", "16");
}

SPEC(record, has_arrays)
{
    check_gives(all, "return #r.list", "4");
    check_gives(all,
                "local l = r.list return l[2] .. l[3][1] .. l[1] .. "
                "tostring(l[4]) .. tostring(l[5]) .. tostring(l[0]) .. "
                "tostring(l.x) .. tostring(l[1.5]) .. l[2.0] .. l[1]",
                "two31nullnilnilnilniltwo1");
    check_gives(all,
                "local t = {} for i, v in ipairs(r.list) do t[i] = tostring(v) "
                "end return table.concat(t, ' ')",
                "1 two [3] null");
    check_gives(all,
                "local t = {} for i, v in pairs(r.list) do t[#t + 1] = i .. "
                "tostring(v) end return table.concat(t, ' ')",
                "11 2two 3[3] 4null");
    check_gives("{\"l\":[]}", "return #r.l .. tostring(r.l[1])", "0nil");
    check_gives("[5,6]", "return table.concat(r, ',') .. #r", "5,62");
}

SPEC(record, is_walked_in_the_order_of_the_text)
{
    check_gives("{\"z\":1,\"a\":{\"q\":2},\"k\\n\":null,\"z\":3}",
                "local t = {} for k, v in pairs(r) do t[#t + 1] = k .. '=' .. "
                "tostring(v) end return table.concat(t, ' ')",
                "z=1 a={\"q\":2} k\n=null z=3");
    check_gives("{}", "for k in pairs(r) do return k end return 'none'",
                "none");
}

SPEC(record, keeps_every_byte_that_is_not_assigned)
{
    static const char text[] =
        "{ \"a\" : 1.50 , \"b\":\"\\u0041\" ,\"c\":[ 1 , 2 ] }";
    check_gives(text, "return tostring(r)", text);
    check_gives(text, "r.a = 2 return tostring(r)",
                "{ \"a\" : 2 , \"b\":\"\\u0041\" ,\"c\":[ 1 , 2 ] }");
    check_gives(text, "r.b = r.b:lower() return tostring(r)",
                "{ \"a\" : 1.50 , \"b\":\"a\" ,\"c\":[ 1 , 2 ] }");
    check_gives(text, "r.d = true return tostring(r) .. tostring(r.d)",
                "{ \"a\" : 1.50 , \"b\":\"\\u0041\" ,\"c\":[ 1 , 2 ] "
                ",\"d\":true}true");
    check_gives(text, "r.a = nil return tostring(r)",
                "{  \"b\":\"\\u0041\" ,\"c\":[ 1 , 2 ] }");
    check_gives(text, "r.b = nil return tostring(r)",
                "{ \"a\" : 1.50  ,\"c\":[ 1 , 2 ] }");
    check_gives(text, "r.c = nil return tostring(r)",
                "{ \"a\" : 1.50 , \"b\":\"\\u0041\"  }");
    check_gives(text, "r.a = nil r.b = nil r.c = nil return tostring(r)",
                "{   }");
    check_gives(text, "r.x = nil return tostring(r)", text);
    check_gives(text, "return tostring(again(r))", text);
    check_gives("{}", "r.a = 1 r.b = 'x' return tostring(r)",
                "{\"a\":1,\"b\":\"x\"}");
    check_gives("{ }", "r['\"\\n'] = 1 return tostring(r) .. r['\"\\n']",
                "{ \"\\\"\\n\":1}1");
}

SPEC(record, takes_any_value)
{
    check_gives("{\"a\":0}", "r.a = 1.0 return tostring(r)", "{\"a\":1.0}");
    check_gives("{\"a\":0}", "r.a = null return tostring(r)", "{\"a\":null}");
    check_gives("{\"a\":0}", "r.a = { 1, {b = array {}} } return tostring(r)",
                "{\"a\":[1,{\"b\":[]}]}");
    check_gives("{\"a\":[1,{}]}", "r.b = r.a r.a = 1 return tostring(r)",
                "{\"a\":1,\"b\":[1,{}]}");
    check_gives("{\"a\":0}", "r.a = r return tostring(r)", "{\"a\":{\"a\":0}}");
    check_gives("{\"a\":0}", "r.b = { r } return tostring(r)",
                "{\"a\":0,\"b\":[{\"a\":0}]}");
    check_gives("{\"a\":0}", "local t = { 1 } r.a = t t[1] = 2 return r.a[1]",
                "1");
    check_fails("{}", "r.f = print", "a function can't travel in a tuple");
}

SPEC(record, removes_all_of_a_key_and_sets_the_last)
{
    check_gives("{\"a\":1,\"b\":2,\"a\":3}", "r.a = nil return tostring(r)",
                "{\"b\":2}");
    check_gives("{\"a\":1,\"b\":2,\"a\":3}",
                "r.a = 'x' return r.a .. tostring(r)",
                "x{\"a\":1,\"b\":2,\"a\":\"x\"}");
    check_gives("{\"\\u0061\":1}", "r.a = 2 return tostring(r) .. r.a",
                "{\"\\u0061\":2}2");
}

SPEC(record, can_be_changed_while_it_is_walked)
{
    check_gives("{\"a\":1,\"b\":\"x\",\"c\":2}",
                "for k, v in pairs(r) do r[k] = tostring(v) .. ' is longer, "
                "so that its place must grow' end return #tostring(r)",
                "142");
    check_gives("{\"a\":1,\"b\":2,\"c\":3}",
                "for k in pairs(r) do r[k] = nil r[k .. k] = 0 end "
                "return tostring(r)",
                "{\"aa\":0,\"bb\":0,\"cc\":0}");
}

SPEC(record, leaves_views_of_its_parts_as_they_were)
{
    check_gives("{\"u\":{\"n\":\"old\",\"d\":{\"e\":1}},\"x\":1}",
                "local u = r.u local d = u.d r.u = 5 r.x = ('y'):rep(500) "
                "collectgarbage('count') "
                "return u.n .. d.e .. tostring(u) .. r.u",
                "old1{\"n\":\"old\",\"d\":{\"e\":1}}5");
    check_gives("{\"u\":{\"n\":1}}",
                "local u = again(r.u) u.n = 2 u.m = 3 "
                "return tostring(u) .. tostring(r)",
                "{\"n\":2,\"m\":3}{\"u\":{\"n\":1}}");
    check_gives("{\"u\":{\"n\":1}}", "return r.u == r.u and r.u ~= r", "true");
}

/* The text is that of a list of pairs, whatever is done to both. */
SPEC(record, is_what_a_list_of_pairs_would_be)
{
    static const char source[] =
        "math.randomseed(SEED)\n"
        "local names, texts = {}, {}\n"
        "local kept, was = {}, {}\n"
        "local function whole()\n"
        "  local all = {}\n"
        "  for i, k in ipairs(names) do\n"
        "    all[i] = json.encode(k) .. ':' .. texts[k]\n"
        "  end\n"
        "  return '{' .. table.concat(all, ',') .. '}'\n"
        "end\n"
        "local function any(depth)\n"
        "  local kind = math.random(7)\n"
        "  if kind == 1 then return math.random(-9, 9) end\n"
        "  if kind == 2 then return math.random() end\n"
        "  if kind == 3 then return ('\\n\"x'):rep(math.random(0, 40)) end\n"
        "  if kind == 4 then return math.random(2) == 1 end\n"
        "  if kind == 5 then return null end\n"
        "  if depth == 0 then return array {} end\n"
        "  if kind == 6 then return { any(depth - 1), any(depth - 1) } end\n"
        "  return { k = any(depth - 1) }\n"
        "end\n"
        "for step = 1, 150 do\n"
        "  local k = ('k\"'):rep(math.random(0, 2)) .. math.random(6)\n"
        "  if math.random(4) == 1 then\n"
        "    r[k] = nil\n"
        "    for i, name in ipairs(names) do\n"
        "      if name == k then table.remove(names, i) break end\n"
        "    end\n"
        "    texts[k] = nil\n"
        "  else\n"
        "    local v = any(3)\n"
        "    r[k] = v\n"
        "    if not texts[k] then names[#names + 1] = k end\n"
        "    texts[k] = json.encode(v)\n"
        "  end\n"
        "  local text = whole()\n"
        "  if tostring(r) ~= text then error(tostring(r) .. ' ' .. text) end\n"
        "  local i = 0\n"
        "  for name, v in pairs(r) do\n"
        "    i = i + 1\n"
        "    assert(name == names[i] and json.encode(v) == texts[name])\n"
        "    assert(json.encode(r[name]) == texts[name])\n"
        "    if type(v) == 'userdata' and v ~= null then\n"
        "      local place = math.random(20)\n"
        "      kept[place], was[place] = v, texts[name]\n"
        "    end\n"
        "  end\n"
        "  assert(i == #names and r.nothing == nil)\n"
        "  for place, v in pairs(kept) do\n"
        "    assert(tostring(v) == was[place])\n"
        "  end\n"
        "  if math.random(10) == 1 then r = again(r) end\n"
        "end\n"
        "return 'well'\n";
    FOR_SEEDS(30)
    {
        char text[sizeof source + 32], result[2048];
        snprintf(text, sizeof text, "local r, SEED = r, %llu %s",
                 (unsigned long long)spec_seed, source);
        if (!run("{}", text, result, sizeof result) || strcmp(result, "well"))
            spec_fail(__FILE__, __LINE__, "%s", result);
    }
}

/* Views, blocks and iterators die in every order. */
SPEC(record, holds_what_it_shows)
{
    check_gives(
        "{\"l\":[{\"k\":\"v\"},{\"k\":\"w\"}],\"s\":\"x\"}",
        "local kept = {}\n"
        "for i = 1, 3000 do\n"
        "  local a = again(r)\n"
        "  kept[i % 50] = a.l[1 + i % 2]\n"
        "  a.s = ('y'):rep(i % 300)\n"
        "  a.l = a.l[1]\n"
        "  kept[50 + i % 50] = a\n"
        "end\n"
        "local n = 0\n"
        "for i, v in pairs(kept) do n = n + #tostring(v.k or v.l.k) end\n"
        "return n",
        "100");
}

SPEC(record, says_why_it_can_not_be_changed)
{
    check_fails(all, "r.list[1] = 2", "an array of JSON is read-only");
    check_fails(all, "r['in'].deep = 2",
                "an object inside a record is read-only");
    check_fails(all, "r[1] = 2", "a record's keys are strings, not a number");
    check_fails(all, "r['\\xff'] = 2", "a key of a record must be UTF-8");
    check_fails(all, "return r.i.x", "attempt to index a number value");
    check_fails(all, "setmetatable(r, {})", "table expected, got JSON");
    check_fails(all, "getmetatable(r).__index = 1", "index a boolean value");
    check_fails(all, "return r < r", "attempt to compare two JSON values");
}

SPEC(record, is_bounded_in_depth_and_size)
{
    static const char nest[] = "local t = 1 for i = 1, %d do t = { t } end "
                               "r.a = t return json.decode(r) ~= nil";
    char source[200];
    snprintf(source, sizeof source, nest, VALUE_DEPTH_MAX - 1);
    check_gives("{}", source, "true");
    snprintf(source, sizeof source, nest, VALUE_DEPTH_MAX);
    check_fails("{}", source, "nested deeper than 64 levels");
    check_fails("{}",
                "local t = r for i = 1, 64 do t = { t } end return again(t)",
                "nested deeper than 64");
    check_fails("{}",
                "local s = ('x'):rep(6 << 20) "
                "for i = 1, 3 do r['k' .. i] = s end",
                "a record is larger than 16 MB");
}

SPEC(record, counts_against_the_memory_of_its_machine)
{
    char result[2048];
    struct vm_config config = {.seed = 1, .memory_bytes = 4 << 20};
    struct script s = {"{\"a\":1}",
                       "r.a = ('x'):rep(1 << 20) local t = {} "
                       "for i = 1, 100 do t[i] = again(r) end",
                       result, sizeof result, 0};
    CHECK(!run_in(&config, &s));
    CHECK_HAS(result, "not enough memory");
}

SPEC(record, counts_what_its_loops_do_against_the_budget)
{
    static const char *const sources[] = {
        "r.a = ('x'):rep(1 << 20) while true do local x = r.b end",
        "r.a = ('x'):rep(1 << 20) while true do r.b = 1 end",
        "r.a = ('x'):rep(1 << 20) while true do local x = json.decode(r) end",
        "local s = ('x'):rep(1 << 20) while true do local x = json.encode(s) "
        "end",
        "local s = '[' .. ('1,'):rep(1 << 19) .. '1]' r.l = json.decode(s) "
        "while true do local x = r.l[1 << 19] end",
    };
    char result[2048];
    struct vm_config config = {
        .seed = 1, .counting = true, .budget_steps = 30 << 20};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct script s = {"{\"b\":0}", sources[i], result, sizeof result, 0};
        CHECK(!run_in(&config, &s));
        CHECK_HAS(result, "budget");
    }
}

/* ---- the library ---- */

SPEC(record, library_encodes_what_travels)
{
    check_gives("{}", "return json.encode(nil)", "null");
    check_gives("{}", "return json.encode(1.0)", "1.0");
    check_gives("{}", "return json.encode('a\\n\"')", "\"a\\n\\\"\"");
    check_gives("{}", "return json.encode { 1, null, { b = 1, a = {} } }",
                "[1,null,{\"a\":{},\"b\":1}]");
    check_gives("{\"a\" : 1}", "return json.encode(r)", "{\"a\" : 1}");
    check_gives("{\"a\" : 1}", "return json.encode { r }", "[{\"a\" : 1}]");
    check_fails("{}", "json.encode(print)", "a function can't travel");
    check_fails("{}", "json.encode()", "bad argument #1");
    check_fails("{}", "json.x = 1", "json.x is read-only");
}

SPEC(record, library_decodes_or_says_why_not)
{
    check_gives("{}",
                "local t = json.decode '{\"a\":[1,null,2.0],\"b\":[]}' "
                "return type(t) .. #t.a .. tostring(t.a[2]) .. t.a[3] .. "
                "json.encode(t)",
                "table3null2.0{\"a\":[1,null,2.0],\"b\":[]}");
    check_gives("{}", "return json.decode 'null' == null", "true");
    check_gives("{}", "return json.decode ' -7 '", "-7");
    check_gives("{}", "return select(2, json.decode '[1,')",
                "no JSON: the text ends in the middle of a value at column 4");
    check_gives("{}", "return select(2, json.decode '{\\n \"\xc3\xa9\" 1}')",
                "no JSON: a colon is missing behind a key in line 2, column 6");
    check_gives("{}", "return json.decode '1 2'", "nil");
    check_gives("{\"a\":{\"b\":1}}",
                "local t = json.decode(r.a) t.b = 2 return t.b .. r.a.b", "21");
    check_fails("{}", "json.decode(1)", "string expected, got number");
}

SPEC(record, library_counts_what_json_can_not_say)
{
    char result[100];
    struct vm_config config = {.seed = 1, .heap_plain = PLAIN};
    struct script s = {"{}",
                       "r.a = 'x\\xff\\xfe' r.b = 0/0 "
                       "return tostring(r) .. json.encode { 1/0 }",
                       result, sizeof result, 0};
    CHECK(run_in(&config, &s));
    CHECK_TEXT(result,
               "{\"a\":\"x\xef\xbf\xbd\xef\xbf\xbd\",\"b\":null}[null]");
    CHECK_EQ(s.replaced, 4);
}
