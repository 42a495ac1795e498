#include "lua/script.h"
#include "actors/connectors/connector.h"
#include "core/log.h"
#include "core/value.h"
#include "lua/hint.h"
#include "lua/json.h"
#include "lua/sandbox.h"
#include "lua/tables.h"
#include "lua/units.h"
#include "lua/value.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct script *script_of(lua_State *L)
{
    return vm_host(L);
}

/* ---- words that make records ---- */

static int caller_line(lua_State *L)
{
    lua_Debug where;
    if (!lua_getstack(L, 1, &where) || !lua_getinfo(L, "l", &where)) return 0;
    return where.currentline > 0 ? where.currentline : 0;
}

/* What `spout "name"` gave is called with its table: upvalues kind, name,
 * line. */
static int take_body(lua_State *L)
{
    const char *kind = lua_tostring(L, lua_upvalueindex(1));
    const char *name = lua_tostring(L, lua_upvalueindex(2));
    if (!lua_istable(L, 1))
        return luaL_error(L,
                          "%s \"%s\" is followed by %s; write %s \"%s\" { … }",
                          kind, name, luaL_typename(L, 1), kind, name);
    lua_settop(L, 1);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setfield(L, -2, "kind");
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setfield(L, -2, "name");
    lua_pushvalue(L, lua_upvalueindex(3));
    lua_setfield(L, -2, "line");
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "body");
    return 1;
}

static int take_name(lua_State *L)
{
    const char *kind = lua_tostring(L, lua_upvalueindex(1));
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "%s has no name; write %s \"name\" { … }", kind,
                          kind);
    lua_settop(L, 1);
    int line = caller_line(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushinteger(L, line);
    lua_pushcclosure(L, take_body, 3);
    return 1;
}

static int take_grouping(lua_State *L)
{
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    int keys = lua_gettop(L) - 1;
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "%s names no component; write %s \"name\"", name,
                          name);
    bool is_custom = strcmp(name, "custom") == 0;
    if (is_custom && (keys != 1 || lua_type(L, 2) != LUA_TFUNCTION))
        return luaL_error(L,
                          "custom takes a component and a function; write "
                          "custom(\"%s\", function(values, tasks, state) … "
                          "end)",
                          lua_tostring(L, 1));
    if (keys > 0 && !is_custom && strcmp(name, "fields") != 0 &&
        strcmp(name, "partial_key") != 0)
        return luaL_error(L,
                          "%s takes no keys; write %s \"%s\" or "
                          "fields(\"%s\", …)",
                          name, name, lua_tostring(L, 1), lua_tostring(L, 1));
    int line = caller_line(L);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setfield(L, -2, "grouping");
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "from");
    lua_pushinteger(L, line);
    lua_setfield(L, -2, "line");
    if (is_custom) {
        lua_pushvalue(L, 2);
        lua_setfield(L, -2, "choose");
        keys = 0;
    }
    lua_createtable(L, keys, 0);
    for (int i = 1; i <= keys; i++) {
        lua_pushvalue(L, i + 1);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "keys");
    return 1;
}

static int take_connector(lua_State *L)
{
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    if (lua_type(L, 1) == LUA_TSTRING && strcmp(name, "queue") == 0) {
        lua_createtable(L, 0, 1);
        lua_pushvalue(L, 1);
        lua_setfield(L, -2, "name");
        lua_replace(L, 1);
    }
    if (!lua_istable(L, 1))
        return luaL_error(L, "%s is followed by %s; write %s { … }", name,
                          luaL_typename(L, 1), name);
    lua_settop(L, 1);
    int line = caller_line(L);
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setfield(L, -2, "connector");
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "options");
    lua_pushinteger(L, line);
    lua_setfield(L, -2, "line");
    return 1;
}

/* `sliding { … }` → { window = "sliding", options, line }. */
static int take_window(lua_State *L)
{
    take_connector(L);
    lua_getfield(L, -1, "connector");
    lua_setfield(L, -2, "window");
    lua_pushnil(L);
    lua_setfield(L, -2, "connector");
    return 1;
}

/* Whatever its arguments are: plan.lua knows what they should be. */
static int take_operator(lua_State *L)
{
    int count = lua_gettop(L);
    int line = caller_line(L);
    lua_createtable(L, count, 0);
    lua_insert(L, 1);
    for (int i = count; i >= 1; i--)
        lua_rawseti(L, 1, i);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setfield(L, -2, "operator");
    lua_insert(L, 1);
    lua_setfield(L, 1, "args");
    lua_pushinteger(L, count);
    lua_setfield(L, -2, "count");
    lua_pushinteger(L, line);
    lua_setfield(L, -2, "line");
    return 1;
}

/* ---- param ---- */

/* An error of the command line, unless the file catches it. */
static int refuse_usage(lua_State *L, const char *text)
{
    struct script *s = script_of(L);
    snprintf(s->usage, sizeof s->usage, "%s", text);
    return luaL_error(L, "%s", text);
}

static void push_as(lua_State *L, const char *name, const char *text, int like)
{
    switch (lua_type(L, like)) {
    case LUA_TNUMBER:
        if (lua_stringtonumber(L, text)) return;
        refuse_usage(
            L, lua_pushfstring(L, "--set %s=%s is no number", name, text));
        return;
    case LUA_TBOOLEAN:
        if (strcmp(text, "true") && strcmp(text, "false"))
            refuse_usage(
                L, lua_pushfstring(L, "--set %s=%s is neither true nor false",
                                   name, text));
        lua_pushboolean(L, strcmp(text, "true") == 0);
        return;
    default: lua_pushstring(L, text); return;
    }
}

static int param(lua_State *L)
{
    struct script *s = script_of(L);
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 3);
    vref_push(L, &s->loading->params);
    lua_pushboolean(L, true);
    lua_setfield(L, -2, name);
    const struct bundle *bundle = s->loading->bundle;
    for (unsigned i = bundle->param_count; i-- > 0;) {
        const struct bundle_param *p = &bundle->params[i];
        if (strcmp(p->name, name) != 0) continue;
        push_as(L, name, p->text, 2);
        return 1;
    }
    if (lua_isnil(L, 2))
        return refuse_usage(
            L, lua_pushfstring(L, "param '%s' has no default; give --set %s=…",
                               name, name));
    lua_settop(L, 2);
    return 1;
}

/* ---- words for running code ---- */

static int refuse_loading(lua_State *L, const char *name)
{
    return luaL_error(L,
                      "%s() at the top level would differ between tasks; "
                      "call it inside a function",
                      name);
}

static int say(lua_State *L)
{
    struct script *s = script_of(L);
    int level = (int)lua_tointeger(L, lua_upvalueindex(1));
    size_t bytes;
    const char *text = sandbox_line(L, ' ', &bytes);
    if (s->say) s->say(s, level, text, bytes);
    return 0;
}

static int now(lua_State *L)
{
    struct script *s = script_of(L);
    if (s->loading) return refuse_loading(L, "now");
    lua_pushnumber(L, (lua_Number)s->wall_ns(s) / 1e9);
    return 1;
}

/* The upvalue is math.random, once it is needed: naming it opens math. */
static int random_number(lua_State *L)
{
    if (script_of(L)->loading) return refuse_loading(L, "random");
    int n = lua_gettop(L);
    if (lua_isnil(L, lua_upvalueindex(1))) {
        lua_pushglobaltable(L);
        lua_getfield(L, -1, "math");
        lua_getfield(L, -1, "random");
        lua_replace(L, lua_upvalueindex(1));
        lua_settop(L, n);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, n, 1);
    return 1;
}

static int sleep_for(lua_State *L)
{
    struct script *s = script_of(L);
    if (s->loading) return refuse_loading(L, "sleep");
    int64_t ns = units_duration_at(L, 1);
    if (ns < 0) return luaL_error(L, "sleep takes " UNITS_DURATION);
    if (s->may_sleep == NULL || !s->may_sleep(s))
        return luaL_error(L, "sleep in a bolt would hold up its tuples; use "
                             "tick with every, or a spout");
    return vm_sleep(L, (uint64_t)ns);
}

static bool less_key(lua_State *L, int b, int a)
{
    return lua_compare(L, b, a, LUA_OPLT);
}

/* Iterator: upvalues table, keys, place. */
static int sorted_next(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(3)) + 1;
    lua_pushinteger(L, i);
    lua_replace(L, lua_upvalueindex(3));
    if (lua_rawgeti(L, lua_upvalueindex(2), i) == LUA_TNIL) return 1;
    lua_pushvalue(L, -1);
    lua_rawget(L, lua_upvalueindex(1));
    return 2;
}

static int sorted(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_newtable(L);
    lua_Integer n = 0;
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_rawseti(L, 2, ++n);
    }
    tables_sort(L, n, less_key);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, sorted_next, 3);
    return 1;
}

/* ---- the vocabulary ---- */

static const char *const groupings[] = {
    "shuffle", "local_or_shuffle", "fields", "global", "none", "partial_key",
    "all",     "direct",           "custom", NULL,
};

static const char *const loading_words[] = {
    "topology", "spout", "bolt", "sink", "param", NULL,
};

static const char *const operators[] = {
    "map",  "filter",  "flat_map", "words", "count_by", "reduce_by", "top",
    "join", "cogroup", "inner",    "left",  "right",    "full",      NULL,
};

static const char *const windows[] = {"sliding", "tumbling", "session", NULL};

/* `null { … }`: the value that is called like a connector. */
static int call_null(lua_State *L)
{
    if (script_of(L)->loading == NULL)
        return luaL_error(L, "null { … } is a sink of a definition");
    lua_remove(L, 1);
    return take_connector(L);
}

static void add_null(lua_State *L)
{
    lua_getfield(L, -1, "null");
    lua_getmetatable(L, -1);
    lua_pushliteral(L, "null");
    lua_pushcclosure(L, call_null, 1);
    lua_setfield(L, -2, "__call");
    lua_pop(L, 2);
}

static void add_kind(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_pushcclosure(L, take_name, 1);
    lua_setfield(L, -2, name);
}

static void add_grouping(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_pushcclosure(L, take_grouping, 1);
    lua_setfield(L, -2, name);
}

static void add_connectors(lua_State *L)
{
    const struct connector *c;
    for (unsigned i = 0; (c = connector_at(i)) != NULL; i++) {
        lua_pushstring(L, c->name);
        lua_pushcclosure(L, take_connector, 1);
        lua_setfield(L, -2, c->name);
    }
    lua_pushliteral(L, "generator"); /* its make() is Lua: lua/component.c */
    lua_pushcclosure(L, take_connector, 1);
    lua_setfield(L, -2, "generator");
}

static void add_operators(lua_State *L)
{
    for (int i = 0; operators[i]; i++) {
        lua_pushstring(L, operators[i]);
        lua_pushcclosure(L, take_operator, 1);
        lua_setfield(L, -2, operators[i]);
    }
}

static void add_windows(lua_State *L)
{
    for (int i = 0; windows[i]; i++) {
        lua_pushstring(L, windows[i]);
        lua_pushcclosure(L, take_window, 1);
        lua_setfield(L, -2, windows[i]);
    }
}

static void add_log(lua_State *L)
{
    lua_createtable(L, 0, 5);
    for (int level = LOG_TRACE; level < LOG_OFF; level++) {
        lua_pushinteger(L, level);
        lua_pushcclosure(L, say, 1);
        lua_setfield(L, -2, log_level_name((enum log_level)level));
    }
    sandbox_freeze(L, "log");
    lua_setfield(L, -2, "log");
}

void script_add_words(lua_State *L)
{
    add_log(L);
    value_open(L);
    json_open(L);
    lua_pushcfunction(L, now);
    lua_setfield(L, -2, "now");
    lua_pushcfunction(L, sorted);
    lua_setfield(L, -2, "sorted");
    lua_pushnil(L);
    lua_pushcclosure(L, random_number, 1);
    lua_setfield(L, -2, "random");
}

static void add_definition_words(lua_State *L)
{
    add_kind(L, "topology");
    add_kind(L, "spout");
    add_kind(L, "bolt");
    add_kind(L, "sink");
    for (int i = 0; groupings[i]; i++)
        add_grouping(L, groupings[i]);
    lua_pushcfunction(L, param);
    lua_setfield(L, -2, "param");
    add_connectors(L);
    add_operators(L);
    add_windows(L);
    script_add_words(L); /* its null comes instead of the connector's name */
    add_null(L);
    lua_pushcfunction(L, sleep_for);
    lua_setfield(L, -2, "sleep");
}

static void forget_words(lua_State *L, int index, const char *const *words)
{
    for (; *words; words++) {
        lua_pushnil(L);
        lua_setfield(L, index, *words);
    }
}

/* Those that make records exist only while a file is loaded. */
static void close_vocabulary(lua_State *L, int index)
{
    forget_words(L, index, loading_words);
    forget_words(L, index, groupings);
    forget_words(L, index, operators);
    forget_words(L, index, windows);
    const struct connector *c;
    for (unsigned i = 0; (c = connector_at(i)) != NULL; i++) {
        if (strcmp(c->name, "null") == 0) continue; /* a value, too */
        lua_pushnil(L);
        lua_setfield(L, index, c->name);
    }
}

/* ---- modules ---- */

/* Compiles a file of the edition with a fresh environment. [-0, +1, v] */
static void compile(lua_State *L, struct edition *edition, const char *name)
{
    const struct bundle_file *file = bundle_find(edition->bundle, name);
    char chunk[512];
    snprintf(chunk, sizeof chunk, "@%s", file->path);
    vref_push(L, &edition->vocabulary);
    sandbox_env(L);
    sandbox_load(L, file->text, file->bytes, chunk);
}

/* A module that isn't in the bundle yet: only the loader may read it. */
static void fetch(lua_State *L, struct script *s, struct bundle *bundle,
                  const char *name)
{
    char path[512], why[700] = "";
    err e = bundle_module_path(bundle, name, path, sizeof path);
    if (e == ERR_LIMIT)
        luaL_error(L,
                   "the path of module '%s' is longer than %d bytes; use a "
                   "shorter name, or a shorter path of the definition",
                   name, (int)sizeof path - 1);
    if (e != OK)
        luaL_error(L,
                   "'%s' is no module's name; use letters, digits and _, "
                   "with dots for folders",
                   name);
    if (!s->reads_disk || s->loading == NULL)
        luaL_error(L,
                   "module '%s' is not loaded; require it at the top of a "
                   "file",
                   name);
    if (bundle_read(bundle, name, path, why, sizeof why) != OK)
        luaL_error(L, "module '%s': %s", name, why);
}

static const char mark_type[] = "engine.requiring";

/* Closes a mark: what it stands for has run. If that has failed, another
 * require may try again. */
static int close_mark(lua_State *L)
{
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, 1, 2);
    lua_pushvalue(L, 3);
    lua_rawget(L, 2);
    if (!lua_rawequal(L, -1, 1)) return 0;
    lua_pushvalue(L, 3);
    lua_pushnil(L);
    lua_rawset(L, 2);
    return 0;
}

/* Pushes what stands for a module while it runs; the stack is its name and
 * the modules, which it keeps as user values. Lua closes it, however the
 * module ends. [-0, +1, m] */
static void push_mark(lua_State *L)
{
    lua_newuserdatauv(L, 0, 2);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 2);
    if (luaL_newmetatable(L, mark_type)) {
        lua_pushcfunction(L, close_mark);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
}

static int require(lua_State *L)
{
    struct script *s = script_of(L);
    struct edition *edition = s->loading ? s->loading : &s->now;
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    vref_push(L, &edition->modules);
    if (lua_getfield(L, 2, name) != LUA_TNIL) {
        if (luaL_testudata(L, -1, mark_type))
            return luaL_error(
                L, "module '%s' requires itself; break the circle", name);
        return 1;
    }
    /* "" is the definition itself: fetch() refuses the name. */
    if (*name == '\0' || bundle_find(edition->bundle, name) == NULL)
        fetch(L, s, edition->bundle, name);
    push_mark(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    lua_toclose(L, -1);
    compile(L, edition, name);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, true);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

/* ---- loading ---- */

static int load_file(lua_State *L)
{
    struct script *s = lua_touserdata(L, 1);
    struct edition *edition = s->loading;
    lua_createtable(L, 0, 32);
    if (s->add_words)
        s->add_words(L);
    else
        add_definition_words(L);
    hint_globals(L);
    vref_take(L, &edition->vocabulary);
    lua_newtable(L);
    vref_take(L, &edition->modules);
    lua_newtable(L);
    vref_take(L, &edition->params);
    compile(L, edition, "");
    lua_call(L, 0, 1);
    vref_take(L, &edition->record);
    vref_push(L, &edition->vocabulary);
    close_vocabulary(L, lua_gettop(L));
    return 0;
}

err script_run(struct script *s, struct watchdog_seat *seat, lua_CFunction body,
               void *ctx)
{
    s->usage[0] = '\0';
    enum vm_outcome outcome = vm_run(s->vm, seat, body, ctx);
    while (outcome == VM_YIELDED)
        outcome = vm_resume(s->vm, seat);
    if (outcome == VM_DONE) return OK;
    snprintf(s->error, sizeof s->error, "%s",
             outcome == VM_SLEEPING ? "sleep() can't be called here"
                                    : vm_error(s->vm));
    if (outcome == VM_SLEEPING) vm_abandon(s->vm, seat);
    bool is_usage = s->usage[0] && strstr(vm_error(s->vm), s->usage);
    return is_usage ? ERR_USAGE : ERR_CONFIG;
}

static void print_line(void *host, const char *text, size_t bytes)
{
    struct script *s = host;
    if (s->say) s->say(s, LOG_INFO, text, bytes);
}

static int64_t clock_ns(void *host)
{
    struct script *s = host;
    return s->wall_ns(s);
}

static void edition_fini(struct edition *edition)
{
    vref_drop(&edition->record);
    vref_drop(&edition->modules);
    vref_drop(&edition->params);
    vref_drop(&edition->vocabulary);
    if (edition->bundle) ref_drop(NULL, &edition->bundle->ref);
    edition->bundle = NULL;
}

static err load_edition(struct script *s, struct edition *edition,
                        struct bundle *bundle, struct watchdog_seat *seat)
{
    ref_take(&bundle->ref);
    edition->bundle = bundle;
    s->loading = edition;
    /* The graph that a loop over pairs describes is the same in each VM. */
    vm_set_ordered(s->vm, true);
    err e = script_run(s, seat, load_file, s);
    vm_set_ordered(s->vm, false);
    s->loading = NULL;
    return e;
}

err script_load(struct script *s, struct bundle *bundle,
                struct vm_config config, struct watchdog_seat *seat)
{
    config.host = s;
    config.print = print_line;
    config.wall_ns = clock_ns;
    config.require = require;
    err e = vm_new(&s->vm, &config);
    if (e != OK) {
        snprintf(s->error, sizeof s->error,
                 "no memory for a Lua machine; raise its memory");
        return e;
    }
    return load_edition(s, &s->now, bundle, seat);
}

err script_load_next(struct script *s, struct bundle *bundle,
                     struct watchdog_seat *seat)
{
    script_drop(s);
    err e = load_edition(s, &s->next, bundle, seat);
    if (e != OK) script_drop(s);
    return e;
}

void script_take(struct script *s)
{
    edition_fini(&s->now);
    s->now = s->next;
    s->next = (struct edition){0};
}

void script_drop(struct script *s)
{
    edition_fini(&s->next);
}

void script_fini(struct script *s)
{
    edition_fini(&s->next);
    edition_fini(&s->now);
    vm_free(s->vm);
    s->vm = NULL;
}

/* ---- records ---- */

int script_field(lua_State *L, int index, const char *name)
{
    if (!lua_istable(L, index)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    index = lua_absindex(L, index);
    lua_pushstring(L, name);
    return lua_rawget(L, index);
}

bool script_component(lua_State *L, const struct vref *record, const char *name)
{
    int top = lua_gettop(L);
    vref_push(L, record);
    if (script_field(L, -1, "body") == LUA_TTABLE) {
        int body = lua_gettop(L);
        lua_Integer n = (lua_Integer)lua_rawlen(L, body);
        for (lua_Integer i = 1; i <= n; i++) {
            if (lua_rawgeti(L, body, i) == LUA_TTABLE &&
                script_field(L, -1, "name") == LUA_TSTRING &&
                strcmp(lua_tostring(L, -1), name) == 0) {
                lua_pop(L, 1);
                lua_replace(L, top + 1);
                lua_settop(L, top + 1);
                return true;
            }
            lua_settop(L, body);
        }
    }
    lua_settop(L, top);
    return false;
}

static uint64_t fold(uint64_t digest, const char *text)
{
    return value_hash_combine(digest, value_hash_bytes(text, strlen(text), 0));
}

static uint64_t fold_field(lua_State *L, const char *name, uint64_t digest)
{
    script_field(L, -1, name);
    if (lua_type(L, -1) == LUA_TSTRING)
        digest = fold(digest, lua_tostring(L, -1));
    lua_pop(L, 1);
    return digest;
}

/* A grouping, or a list of them. */
static uint64_t fold_from(lua_State *L, uint64_t digest)
{
    if (!lua_istable(L, -1)) return digest;
    digest = fold_field(L, "grouping", digest);
    digest = fold_field(L, "from", digest);
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_istable(L, -1)) {
            digest = fold_field(L, "grouping", digest);
            digest = fold_field(L, "from", digest);
        }
        lua_pop(L, 1);
    }
    return digest;
}

uint64_t script_digest(lua_State *L)
{
    int top = lua_gettop(L);
    uint64_t digest = 1;
    if (lua_istable(L, top)) {
        digest = fold_field(L, "name", digest);
        if (script_field(L, top, "body") == LUA_TTABLE) {
            int body = lua_gettop(L);
            lua_Integer n = (lua_Integer)lua_rawlen(L, body);
            for (lua_Integer i = 1; i <= n; i++) {
                if (lua_rawgeti(L, body, i) == LUA_TTABLE) {
                    digest = fold_field(L, "kind", digest);
                    digest = fold_field(L, "name", digest);
                    if (script_field(L, -1, "body") == LUA_TTABLE) {
                        script_field(L, -1, "from");
                        digest = fold_from(L, digest);
                        lua_pop(L, 1);
                    }
                }
                lua_settop(L, body);
            }
        }
    }
    lua_settop(L, top);
    return digest;
}
