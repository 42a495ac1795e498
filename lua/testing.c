#include "lua/testing.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/sim.h"
#include "lua/hint.h"
#include "lua/sandbox.h"
#include "lua/stage.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* lua/engine/expect.lua, put into the binary by the linker. */
extern const char _binary_expect_lua_start[], _binary_expect_lua_end[];

enum {
    MEMORY_BYTES = 256 << 20, /* of a test's machine */
    SAID_BYTES_MAX = 64 << 10,
};

struct testing {
    struct bundle *bundle;
    struct loaded *loaded; /* owned: the topologies it names */
    char **names;          /* owned, of the tests */
    unsigned count;
};

/* One loading of the spec file, and the test that it runs. */
struct play {
    struct stage stage; /* first: its script is the VM's host */
    struct testing *testing;
    unsigned test;      /* that is to run */
    char *failure;      /* owned; NULL: none so far */
    struct buffer said; /* what print and log gave */
};

static struct play *play_of(lua_State *L)
{
    return (struct play *)(void *)stage_of(L);
}

/* ---- test "name" (function() … end) ---- */

enum { TEST_NAME = 1, TEST_LINE, TEST_BODY };

/* Upvalue: the test's entry. */
static int take_body(lua_State *L)
{
    lua_rawgeti(L, lua_upvalueindex(1), TEST_NAME);
    const char *name = lua_tostring(L, -1);
    if (!lua_isfunction(L, 1))
        return luaL_error(L,
                          "test \"%s\" is followed by %s; write test \"%s\" "
                          "(function() … end)",
                          name, luaL_typename(L, 1), name);
    lua_pushvalue(L, 1);
    lua_rawseti(L, lua_upvalueindex(1), TEST_BODY);
    return 0;
}

static int take_name(lua_State *L)
{
    struct play *p = play_of(L);
    if (p->stage.script.loading == NULL)
        return luaL_error(L, "test inside a test; end the one before it first");
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "a test has no name; write test \"…\" "
                             "(function() … end)");
    lua_settop(L, 1);
    vref_push(L, &p->stage.tests);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        lua_rawgeti(L, -1, TEST_NAME);
        if (lua_rawequal(L, 1, -1))
            return luaL_error(L, "there are two tests \"%s\"; rename one",
                              lua_tostring(L, 1));
        lua_settop(L, 2);
    }
    lua_createtable(L, 3, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, TEST_NAME);
    luaL_where(L, 1);
    lua_rawseti(L, -2, TEST_LINE);
    lua_pushvalue(L, -1);
    lua_rawseti(L, 2, count + 1);
    lua_pushcclosure(L, take_body, 1);
    return 1;
}

/* ---- the words of a spec file ---- */

/* where(level): "file:line: " of who called so many levels up. */
static int where(lua_State *L)
{
    luaL_where(L, (int)luaL_checkinteger(L, 1));
    return 1;
}

/* Sets expect in the table at the top; its null is there. [-0, +0, v] */
static void add_expect(lua_State *L)
{
    int words = lua_gettop(L);
    size_t bytes = (size_t)(_binary_expect_lua_end - _binary_expect_lua_start);
    lua_pushnil(L);
    sandbox_env(L);
    sandbox_load(L, _binary_expect_lua_start, bytes, "=expect");
    lua_pushcfunction(L, hint_nearest);
    lua_pushcfunction(L, where);
    lua_getfield(L, words, "null");
    lua_call(L, 3, 1);
    lua_setfield(L, words, "expect");
}

static void add_words(lua_State *L)
{
    script_add_words(L);
    stage_add_words(L);
    add_expect(L);
    lua_pushcfunction(L, take_name);
    lua_setfield(L, -2, "test");
    lua_newtable(L);
    vref_take(L, &play_of(L)->stage.tests);
}

/* ---- the machine's host ---- */

static void say(struct script *script, int level, const char *text,
                size_t bytes)
{
    struct play *p = (struct play *)(void *)script;
    if (p->said.used + bytes + 1 > SAID_BYTES_MAX) return;
    if (buffer_reserve(&p->said, bytes + 2) != OK) return; /* said as far */
    buffer_append(&p->said, text, bytes);
    buffer_append(&p->said, "\n", 1);
}

/* The clock of the run that was begun last. */
static int64_t wall_ns(struct script *script)
{
    const struct play *p = (const struct play *)(const void *)script;
    const struct run *run = p->stage.runs;
    return run && run->trial ? trial_wall_ns(run->trial) : SIM_WALL_NS;
}

/* Loads the file into a machine of its own. play_fini() is due in any case. */
static err play_init(struct play *p, struct testing *testing, uint64_t seed)
{
    *p = (struct play){.testing = testing};
    p->stage.all = &testing->loaded;
    p->stage.seed = seed;
    p->stage.script.reads_disk = true;
    p->stage.script.add_words = add_words;
    p->stage.script.say = say;
    p->stage.script.wall_ns = wall_ns;
    struct vm_config config = {
        .memory_bytes = MEMORY_BYTES, .seed = seed, .counting = true};
    return script_load(&p->stage.script, testing->bundle, config, NULL);
}

static void play_fini(struct play *p)
{
    vref_drop(&p->stage.tests);
    script_fini(&p->stage.script);
    stage_fini(&p->stage);
    mem_free(p->failure);
    buffer_fini(&p->said);
}

/* ---- a test runs ---- */

/* An expectation's failure says its place itself. */
static int on_failure(lua_State *L)
{
    if (luaL_getmetafield(L, 1, "__expectation") != LUA_TNIL) {
        lua_settop(L, 1);
        vm_text(L, 1);
        return 1;
    }
    lua_settop(L, 1);
    vm_handler(L);
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int body_done(lua_State *L, int status, lua_KContext ctx)
{
    struct play *p = (struct play *)ctx;
    if (status == LUA_OK || status == LUA_YIELD) return 0;
    size_t bytes;
    const char *text = lua_tolstring(L, -1, &bytes);
    p->failure = text ? mem_text(text, bytes) : NULL;
    if (p->failure == NULL) luaL_error(L, "there is no memory for the failure");
    return 0;
}

static int run_body(lua_State *L)
{
    struct play *p = lua_touserdata(L, 1);
    vref_push(L, &p->stage.tests);
    if (lua_rawgeti(L, -1, p->test + 1) != LUA_TTABLE ||
        lua_rawgeti(L, -1, TEST_NAME) != LUA_TSTRING ||
        strcmp(lua_tostring(L, -1), p->testing->names[p->test]) != 0)
        return luaL_error(L, "the file has other tests with this seed; its "
                             "top level may not depend on chance");
    lua_pop(L, 1);
    lua_pushcfunction(L, on_failure);
    lua_rawgeti(L, -2, TEST_BODY);
    int status = lua_pcallk(L, 0, 0, -2, (lua_KContext)p, body_done);
    return body_done(L, status, (lua_KContext)p);
}

/* The message without its traceback, in the heap. */
static char *without_trace(const char *text)
{
    const char *trace = strstr(text, "\nstack traceback:");
    return mem_text(text, trace ? (size_t)(trace - text) : strlen(text));
}

/* Runs of the play oldest first. */
static void gather_logs(struct buffer *log, const struct run *run)
{
    if (run == NULL) return;
    gather_logs(log, run->next);
    const char *text = run->trial ? trial_log(run->trial) : "";
    buffer_append(log, text, strlen(text));
}

/* What was said and logged; NULL: nothing, or no memory for it. */
static char *take_log(struct play *p)
{
    gather_logs(&p->said, p->stage.runs);
    return p->said.used ? mem_text((const char *)p->said.data, p->said.used)
                        : NULL;
}

err testing_run(struct testing *testing, unsigned i, uint64_t seed,
                struct testing_result *out)
{
    struct play p;
    *out = (struct testing_result){0};
    err e = play_init(&p, testing, seed);
    p.test = i;
    if (e == OK) e = script_run(&p.stage.script, NULL, run_body, &p);
    out->passed = e == OK && p.failure == NULL;
    if (!out->passed) {
        out->error =
            without_trace(p.failure ? p.failure : p.stage.script.error);
        out->log = take_log(&p);
    }
    play_fini(&p);
    return out->passed || out->error ? OK : ERR_NOMEM;
}

/* ---- the file ---- */

/* After loading: takes the names. */
static int list_tests(lua_State *L)
{
    struct play *p = lua_touserdata(L, 1);
    struct testing *t = p->testing;
    vref_push(L, &p->stage.tests);
    unsigned count = (unsigned)lua_rawlen(L, -1);
    if (count == 0)
        return luaL_error(L,
                          "%s: the file has no test; write test \"…\" "
                          "(function() … end)",
                          t->bundle->files[0].path);
    t->names = mem_zero(count, sizeof *t->names);
    for (; t->names && t->count < count; t->count++) {
        lua_rawgeti(L, 2, t->count + 1);
        lua_rawgeti(L, -1, TEST_NAME);
        size_t bytes;
        const char *name = lua_tolstring(L, -1, &bytes);
        if (lua_rawgeti(L, -2, TEST_BODY) != LUA_TFUNCTION) {
            lua_rawgeti(L, -3, TEST_LINE);
            return luaL_error(L,
                              "%stest \"%s\" has no function; write test "
                              "\"%s\" (function() … end)",
                              lua_tostring(L, -1), name, name);
        }
        t->names[t->count] = mem_text(name, bytes);
        if (t->names[t->count] == NULL) break;
        lua_settop(L, 2);
    }
    if (t->count < count) return luaL_error(L, "out of memory");
    return 0;
}

static err open_bundle(struct testing *t, const char *path, char **errors)
{
    char why[1024] = "out of memory";
    t->bundle = bundle_new();
    err e = t->bundle ? OK : ERR_NOMEM;
    if (e == OK) {
        t->bundle->needs = "is empty; write test \"…\" (function() … end)";
        e = bundle_read(t->bundle, "", path, why, sizeof why);
    }
    if (e != OK) *errors = mem_text(why, strlen(why));
    return e;
}

err testing_open(const char *path, struct testing **out, char **errors)
{
    *errors = NULL;
    struct testing *t = mem_zero(1, sizeof *t);
    if (t == NULL) return ERR_NOMEM;
    err e = open_bundle(t, path, errors);
    if (e == OK) {
        struct play p;
        e = play_init(&p, t, 1);
        if (e == OK) e = script_run(&p.stage.script, NULL, list_tests, &p);
        if (e != OK) *errors = without_trace(p.stage.script.error);
        play_fini(&p);
    }
    if (e == OK)
        *out = t;
    else
        testing_close(t);
    return e;
}

void testing_close(struct testing *t)
{
    if (t == NULL) return;
    loaded_free(t->loaded);
    for (unsigned i = 0; i < t->count; i++)
        mem_free(t->names[i]);
    mem_free(t->names);
    if (t->bundle) ref_drop(NULL, &t->bundle->ref);
    mem_free(t);
}

unsigned testing_count(const struct testing *t)
{
    return t->count;
}

const char *testing_name(const struct testing *t, unsigned i)
{
    return t->names[i];
}
