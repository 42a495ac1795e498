/* lua/meta/engine.lua tells editors what definitions may use: each name that
 * the engine knows stands in it. */
#define _GNU_SOURCE /* realpath */
#include "actors/connectors/connector.h"
#include "core/alloc.h"
#include "core/log.h"
#include "lua/definition.h"
#include "lua/script.h"
#include "lua/testing.h"
#include "spec/spec.h"
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *text_of(const char *path)
{
    enum { ROOM = 1 << 16 };
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    char *text = mem_zero(1, ROOM);
    CHECK(fread(text, 1, ROOM - 1, file) > 0);
    fclose(file);
    return text;
}

static char *meta_text(void)
{
    return text_of("lua/meta/engine.lua");
}

/* before, name and after stand in a row. */
static void check_has(const char *text, const char *before, const char *name,
                      const char *after)
{
    char wanted[128];
    snprintf(wanted, sizeof wanted, "%s%s%s", before, name, after);
    if (strstr(text, wanted) == NULL)
        spec_fail(__FILE__, __LINE__, "no \"%s\" in lua/meta", wanted);
}

/* ---- globals ---- */

struct words {
    struct script script; /* first: the VM's host */
    lua_State *stock;
    const char *text;
    int count;
};

/* Called while the file is being loaded, when all its words are there. */
static void look_through(struct script *script, int level, const char *said,
                         size_t bytes)
{
    struct words *w = (struct words *)(void *)script;
    lua_State *L = vm_main(script->vm);
    CHECK(lua_checkstack(L, 4));
    vref_push(L, &script->loading->vocabulary);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *name = lua_tostring(L, -2);
        bool is_luas = lua_getglobal(w->stock, name) != LUA_TNIL;
        lua_pop(w->stock, 1);
        if (is_luas) continue;
        bool is_table = lua_type(L, -1) != LUA_TFUNCTION;
        if (is_table)
            check_has(w->text, "\n", name, " = {}");
        else
            check_has(w->text, "\nfunction ", name, "(");
        w->count++;
    }
    lua_pop(L, 1);
}

static int64_t wall_ns(struct script *script)
{
    return 0;
}

SPEC(meta, has_every_word_that_the_engine_adds_to_lua)
{
    static const char source[] = "print 'all words are here' return 1";
    char *text = meta_text(), why[64];
    struct words w = {.stock = luaL_newstate(), .text = text};
    luaL_openlibs(w.stock);
    w.script.say = look_through;
    w.script.wall_ns = wall_ns;
    struct bundle *bundle = bundle_new();
    CHECK_EQ(bundle_add(bundle, "", "m.lua", source, sizeof source - 1, why,
                        sizeof why),
             OK);
    struct vm_config config = {.seed = 1};
    CHECK_EQ(script_load(&w.script, bundle, config, NULL), OK);
    CHECK(w.count > 15);
    script_fini(&w.script);
    ref_drop(NULL, &bundle->ref);
    lua_close(w.stock);
    mem_free(text);
}

SPEC(meta, has_every_level_of_the_log)
{
    char *text = meta_text();
    for (int level = LOG_TRACE; level < LOG_OFF; level++)
        check_has(text, "\n---@field ", log_level_name((enum log_level)level),
                  " fun(...: any)");
    mem_free(text);
}

/* ---- options ---- */

/* The class's part of the text, and of its base. */
static char *class_text(const char *text, const char *class)
{
    char head[64];
    snprintf(head, sizeof head, "\n---@class engine.%s", class);
    const char *begin = strstr(text, head);
    if (begin == NULL) spec_fail(__FILE__, __LINE__, "no class %s", class);
    const char *end = strstr(begin, "\n\n");
    return mem_text(begin, (size_t)(end - begin));
}

/* What the checker lists when it finds a key that it doesn't know. */
static void check_options(const char *text, const char *class,
                          const char *definition)
{
    struct definition *d = NULL;
    char *errors = NULL;
    CHECK_EQ(definition_parse("m.lua", definition, strlen(definition), NULL, 0,
                              NULL, &d, &errors),
             ERR_CONFIG);
    char *own = class_text(text, class);
    char *base = strstr(own, ": engine.Component")
                     ? class_text(text, "Component")
                     : mem_text("", 0);
    char *list = strstr(errors, "there are: ");
    CHECK(list != NULL);
    list += strlen("there are: ");
    list[strcspn(list, "\n")] = '\0';
    char *rest = NULL;
    int count = 0;
    for (char *name = strtok_r(list, ", ", &rest); name;
         name = strtok_r(NULL, ", ", &rest), count++) {
        char field[64], optional[64];
        snprintf(field, sizeof field, "\n---@field %s ", name);
        snprintf(optional, sizeof optional, "\n---@field %s? ", name);
        if (!strstr(own, field) && !strstr(own, optional) &&
            !strstr(base, optional))
            spec_fail(__FILE__, __LINE__, "class %s has no %s", class, name);
    }
    CHECK(count >= 4);
    mem_free(own);
    mem_free(base);
    mem_free(errors);
}

SPEC(meta, has_every_option_that_the_checker_knows)
{
    char *text = meta_text();
    check_options(text, "Topology", "return topology 't' { qqqqqq = 1 }");
    check_options(text, "Spout",
                  "return topology 't' { spout 's' { qqqqqq = 1 } }");
    check_options(text, "Bolt",
                  "return topology 't' { bolt 'b' { qqqqqq = 1 } }");
    check_options(text, "Sink",
                  "return topology 't' { sink 's' { qqqqqq = 1 } }");
    mem_free(text);
}

SPEC(meta, has_every_option_of_the_connectors)
{
    char *text = meta_text();
    const struct connector *c;
    for (unsigned i = 0; (c = connector_at(i)) != NULL; i++)
        for (unsigned k = 0; k < c->option_count; k++) {
            const struct option *o = &c->options[k];
            if (o->type == OPTION_ROWS) continue; /* they have no name */
            bool needed = o->required && o->instead == NULL;
            check_has(text, "\n---@field ", o->name, needed ? " " : "? ");
        }
    mem_free(text);
}

/* ---- spec files ---- */

/* Each name between quotes in a list, `there are: never, is, …`. */
static void check_list(const char *text, const char *before, char *list,
                       const char *after)
{
    char *rest = NULL;
    int count = 0;
    for (char *name = strtok_r(list, ", ", &rest); name;
         name = strtok_r(NULL, ", ", &rest), count++)
        check_has(text, before, name, after);
    CHECK(count >= 5);
}

/* What the engine lists when it finds a name that it doesn't know. */
static char *listed(const char *path, const char *body, const char *before)
{
    char source[4400];
    snprintf(source, sizeof source, "test 't' (function() %s end)\n", body);
    FILE *file = fopen(path, "wb");
    CHECK(file && fputs(source, file) >= 0 && fclose(file) == 0);
    struct testing *t = NULL;
    char *errors = NULL;
    CHECK_EQ(testing_open(path, &t, &errors), OK);
    struct testing_result r;
    CHECK_EQ(testing_run(t, 0, 1, &r), OK);
    testing_close(t);
    CHECK_HAS(r.error, before);
    char *list = strstr(r.error, before) + strlen(before);
    list = mem_text(list, strcspn(list, "\n"));
    mem_free(r.error);
    mem_free(r.log);
    return list;
}

SPEC(meta, has_every_word_of_a_spec_file)
{
    char *text = text_of("lua/meta/testing.lua");
    char path[] = "/tmp/meta_spec_XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    close(file);
    static const char *const functions[] = {"test", "load_topology", "expect"};
    for (int i = 0; i < 3; i++)
        check_has(text, "\nfunction ", functions[i], "(");
    check_has(text, "\n", "feeder", " = {}");
    char *matchers = listed(path, "expect(1):qqqqqq()", "there are: never, ");
    check_list(text, "\nfunction Expectation:", matchers, "(");
    check_has(text, "\n---@field ", "never", " engine.Expectation");
    mem_free(matchers);
    char body[4200], *topology = realpath("topologies/word_count.lua", NULL);
    CHECK(topology != NULL);
    snprintf(body, sizeof body,
             "local t = load_topology '%s'.start { lines = feeder } "
             "return t.qqqqqq",
             topology);
    free(topology);
    char *methods = listed(path, body, "the methods ");
    check_list(text, "\nfunction Run:", methods, "(");
    static const char *const fields[] = {"acked", "failed", "out"};
    for (int i = 0; i < 3; i++)
        check_has(text, "\n---@field ", fields[i], " ");
    mem_free(methods);
    mem_free(text);
    unlink(path);
}

static void check_lua(const char *path)
{
    lua_State *L = luaL_newstate();
    if (luaL_loadfile(L, path) != LUA_OK)
        spec_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
    lua_close(L);
}

SPEC(meta, is_lua)
{
    check_lua("lua/meta/engine.lua");
    check_lua("lua/meta/testing.lua");
}
