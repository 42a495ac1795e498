/* A definition loaded into a VM: its modules, and that each VM gets the same
 * graph of it. */
#include "core/alloc.h"
#include "lua/definition.h"
#include "lua/script.h"
#include "spec/spec.h"
#include <lauxlib.h>
#include <stdio.h>

/* A text and its modules, loaded as a task does it. */
struct story {
    struct script script; /* first: the VM's host */
    struct bundle *bundle;
    char printed[2048];
    err loaded;
};

static int64_t wall_ns(struct script *script)
{
    return 0;
}

static void keep(struct script *script, int level, const char *text,
                 size_t bytes)
{
    struct story *s = (struct story *)(void *)script;
    size_t used = strlen(s->printed);
    snprintf(s->printed + used, sizeof s->printed - used, "%.*s\n", (int)bytes,
             text);
}

static void add(struct story *s, const char *module, const char *text)
{
    char why[256], path[64];
    snprintf(path, sizeof path, "%s.lua", *module ? module : "main");
    CHECK_EQ(bundle_add(s->bundle, module, path, text, strlen(text), why,
                        sizeof why),
             OK);
}

static void story_init(struct story *s, const char *text)
{
    *s = (struct story){.bundle = bundle_new()};
    s->script.wall_ns = wall_ns;
    s->script.say = keep;
    add(s, "", text);
}

static void load(struct story *s, bool counting)
{
    struct vm_config config = {.counting = counting, .seed = 1};
    s->loaded = script_load(&s->script, s->bundle, config, NULL);
}

static void story_fini(struct story *s)
{
    script_fini(&s->script);
    ref_drop(NULL, &s->bundle->ref);
}

/* ---- modules ---- */

SPEC(script, a_module_that_failed_may_be_required_again)
{
    for (int counting = 0; counting < 2; counting++) {
        struct story s;
        story_init(&s, "for try = 1, 2 do\n"
                       "  for _, name in ipairs { 'fails', 'outer', 'syntax' } "
                       "do\n"
                       "    print(select(2, pcall(require, name)))\n"
                       "  end\n"
                       "end\n"
                       "return 1");
        add(&s, "fails", "error('no luck')");
        add(&s, "outer", "return require 'fails'");
        add(&s, "syntax", "return return");
        load(&s, counting);
        CHECK_EQ(s.loaded, OK);
        static const char once[] = "fails.lua:1: no luck\n"
                                   "fails.lua:1: no luck\n"
                                   "syntax.lua:1: unexpected symbol near "
                                   "'return'\n";
        char twice[2 * sizeof once];
        snprintf(twice, sizeof twice, "%s%s", once, once);
        CHECK_TEXT(s.printed, twice);
        story_fini(&s);
    }
}

SPEC(script, a_module_that_failed_may_succeed_later)
{
    struct story s;
    story_init(&s, "local count = require 'count'\n"
                   "print((pcall(require, 'second')))\n"
                   "print(require 'second', require 'second', count.n)\n"
                   "return 1");
    add(&s, "count", "return { n = 0 }");
    add(&s, "second",
        "local count = require 'count'\n"
        "count.n = count.n + 1\n"
        "if count.n == 1 then error 'not yet' end\n"
        "return 'here'");
    load(&s, false);
    CHECK_EQ(s.loaded, OK);
    CHECK_TEXT(s.printed, "false\nhere\there\t2\n");
    story_fini(&s);
}

SPEC(script, a_circle_of_modules_is_named_each_time)
{
    struct story s;
    story_init(&s, "for try = 1, 2 do\n"
                   "  print(select(2, pcall(require, 'a')))\n"
                   "end\n"
                   "require 'a'");
    add(&s, "a", "return require 'b'");
    add(&s, "b", "return require 'a'");
    load(&s, false);
    CHECK_EQ(s.loaded, ERR_CONFIG);
    static const char said[] =
        "b.lua:1: module 'a' requires itself; break the circle";
    char twice[2 * sizeof said + 2];
    snprintf(twice, sizeof twice, "%s\n%s\n", said, said);
    CHECK_TEXT(s.printed, twice);
    CHECK_HAS(s.script.error, said);
    CHECK_HAS(s.script.error, "a.lua:1:"); /* the way there */
    story_fini(&s);
}

/* ---- the graph ---- */

static int keep_digest(lua_State *L)
{
    struct story *s = vm_host(L);
    uint64_t *digest = lua_touserdata(L, 1);
    vref_push(L, &s->script.now.record);
    *digest = script_digest(L);
    return 0;
}

/* The names come from keys whose order in a table Lua's hash seed decides: it
 * differs from VM to VM. */
static const char by_pairs[] =
    "local words = {}\n"
    "for n = 1, 20 do words['word' .. n] = 'w' .. n end\n"
    "local body = {\n"
    "  spout 'lines' { list { { 'a' } }, fields = { 'line' } },\n"
    "}\n"
    "local function add(name, from)\n"
    "  body[#body + 1] = bolt(name) { from = shuffle(from),\n"
    "    fields = { 'line' }, execute = function() end }\n"
    "end\n"
    "%s"
    "body[#body + 1] = sink 'out' { from = shuffle(body[#body].name),\n"
    "  null {} }\n"
    "return topology 't' (body)\n";

static const char *const walks[] = {
    "for _, name in pairs(words) do add(name, 'lines') end\n",
    "local name, text = next(words)\n"
    "while name do add(text, 'lines') name, text = next(words, name) end\n",
    "for name in pairs(string) do add(name, 'lines') end\n",
    "local each = load 'for k, v in pairs(...) do coroutine.yield(v) end'\n"
    "for name in coroutine.wrap(function() each(words) end) do\n"
    "  add(name, 'lines') end\n",
    "local pairs = pairs\n"
    "for at, name in pairs { 'a', 'b', x = 'c', [1.5] = 'd', [true] = 'e' } do"
    "\n  add(name, 'lines') end\n",
};

SPEC(script, a_graph_described_by_pairs_is_the_same_in_every_vm)
{
    for (size_t w = 0; w < sizeof walks / sizeof *walks; w++) {
        char text[2048], *errors = NULL;
        snprintf(text, sizeof text, by_pairs, walks[w]);
        struct definition *d = NULL;
        err e = definition_parse("main.lua", text, strlen(text), NULL, 0, NULL,
                                 &d, &errors);
        if (e != OK) spec_fail(__FILE__, __LINE__, "%s", errors);
        for (int vm = 0; vm < 8; vm++) {
            struct story s;
            uint64_t digest = 0;
            story_init(&s, text);
            load(&s, vm % 4 == 3);
            if (s.loaded != OK)
                spec_fail(__FILE__, __LINE__, "%s", s.script.error);
            CHECK_EQ(script_run(&s.script, NULL, keep_digest, &digest), OK);
            CHECK_EQ(digest, d->bundle->digest);
            story_fini(&s);
        }
        definition_free(d);
    }
}

static int call_record(lua_State *L)
{
    struct story *s = vm_host(L);
    vref_push(L, &s->script.now.record);
    lua_call(L, 0, 0);
    return 0;
}

SPEC(script, running_code_walks_as_stock_lua_does)
{
    struct story s;
    /* What the file has kept of the names is the same as they are later. */
    story_init(&s, "local kept_pairs, kept_next = pairs, next\n"
                   "assert(pairs({}) ~= next)\n"
                   "return function()\n"
                   "  local f, t, k = pairs { 1 }\n"
                   "  assert(f == next and k == nil and kept_next == next)\n"
                   "  assert(kept_pairs == pairs and next(t) == 1)\n"
                   "  print(pcall(next, {}, 'x'))\n"
                   "  print(pcall(pairs(nil)))\n"
                   "  print(pcall(pairs))\n"
                   "end");
    load(&s, false);
    if (s.loaded != OK) spec_fail(__FILE__, __LINE__, "%s", s.script.error);
    CHECK_EQ(script_run(&s.script, NULL, call_record, NULL), OK);
    CHECK_TEXT(s.printed,
               "false\tinvalid key to 'next'\n"
               "false\tbad argument #1 to 'next' (table expected, got nil)\n"
               "false\tbad argument #1 to 'pairs' (value expected)\n");
    story_fini(&s);
}

SPEC(script, a_module_with_too_long_a_path_is_told_so)
{
    struct story s;
    story_init(&s, "local ok, why = pcall(require, ('a'):rep(600))\n"
                   "assert(why:find 'is longer than 511 bytes', why)\n"
                   "return 1");
    load(&s, false);
    CHECK_EQ(s.loaded, OK);
    story_fini(&s);
}
