#include "lua/sandbox.h"
#include "lua/coroutine.h"
#include "lua/hint.h"
#include "lua/order.h"
#include "lua/pattern.h"
#include "lua/tables.h"
#include "lua/text.h"
#include "lua/vm.h"
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>
#include <time.h>

enum {
    SOURCE_BYTES_MAX = 1 << 20,
    COMPILE_BYTES_PER_STEP = 8, /* a mild price: it ends by itself */
    BYTES_PER_STEP = 16,        /* of a function that walks over a text */
    WORK_CHARGED = 64,          /* steps; fewer are the call's own */
};

static const struct vm_config *config_of(lua_State *L)
{
    return vm_config_of(vm_of(L));
}

/* --- errors --- */

static int xpcall_handled(lua_State *L, int status, lua_KContext ctx)
{
    lua_pushboolean(L, false);
    lua_insert(L, -2);
    return 2;
}

/* The stack: function, handler, true, then results or the error. */
static int xpcall_ended(lua_State *L, int status, lua_KContext ctx)
{
    if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 2;
    lua_pushvalue(L, 2);
    lua_insert(L, -2);
    status = lua_pcallk(L, 1, 1, 0, 0, xpcall_handled);
    return xpcall_handled(L, status, 0);
}

/* Lua's own runs the handler inside the hook that ends a call, where no hook
 * fires: a loop there would be for ever. Here it runs after the call, as
 * ordinary code; the stack of the error is gone by then. */
static int xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    int args = lua_gettop(L) - 2;
    lua_pushboolean(L, true);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    int status = lua_pcallk(L, args, LUA_MULTRET, 0, 0, xpcall_ended);
    return xpcall_ended(L, status, 0);
}

/* --- metatables --- */

/* No `__gc`: hooks are off in finalizers, so a loop there can't be ended. One
 * that is put into the metatable later has no effect. */
static int set_metatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2,
                     "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "__gc is not available here; use a variable "
                                 "declared <close>, or `finish`");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* --- loading --- */

/* What editors and shells put in front of a file, as stock Lua skips it. The
 * line's end stays: lines keep their numbers. */
static size_t front_bytes(const char *source, size_t bytes)
{
    size_t front = 0;
    if (bytes >= 3 && memcmp(source, "\xEF\xBB\xBF", 3) == 0) front = 3;
    if (front == bytes || source[front] != '#') return front;
    while (front < bytes && source[front] != '\n')
        front++;
    return front;
}

/* To an error of a table whose entries nothing separates. */
static void hint_comma(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    if (text == NULL || strstr(text, "'}' expected") == NULL ||
        strstr(text, "near <eof>") != NULL)
        return;
    lua_pushfstring(L, "%s; a comma may be missing before it", text);
    lua_remove(L, -2);
}

/* Compiles and sets the environment at index `env` (0: the globals). On an
 * error the message is pushed instead. */
static int compile(lua_State *L, const char *source, size_t bytes,
                   const char *name, int env)
{
    if (bytes > SOURCE_BYTES_MAX) {
        lua_pushfstring(L, "%s: the source is larger than 1 MB",
                        *name == '@' || *name == '=' ? name + 1 : "load");
        return LUA_ERRSYNTAX;
    }
    vm_charge(L, bytes / COMPILE_BYTES_PER_STEP);
    size_t front = *name == '@' ? front_bytes(source, bytes) : 0;
    int status = luaL_loadbufferx(L, source + front, bytes - front, name, "t");
    if (status == LUA_ERRSYNTAX) hint_comma(L);
    if (status != LUA_OK || env == 0) return status;
    lua_pushvalue(L, env);
    if (lua_setupvalue(L, -2, 1) == NULL) lua_pop(L, 1);
    return LUA_OK;
}

void sandbox_load(lua_State *L, const char *source, size_t bytes,
                  const char *name)
{
    int env = lua_gettop(L);
    if (compile(L, source, bytes, name, env) != LUA_OK) lua_error(L);
    lua_remove(L, env);
}

/* Returns the text of all the pieces that the reader, its argument, gives. */
static int gather(lua_State *L)
{
    luaL_Buffer b;
    size_t total = 0, bytes;
    luaL_buffinit(L, &b);
    for (;;) {
        lua_pushvalue(L, 1);
        lua_call(L, 0, 1);
        if (lua_isnil(L, -1)) break;
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "reader function must return a string");
        lua_tolstring(L, -1, &bytes);
        if (bytes == 0) break;
        total += bytes;
        luaL_addvalue(&b);
        vm_charge(L, 1);
        if (total > SOURCE_BYTES_MAX) {
            lua_pushnil(L);
            break;
        }
    }
    lua_pop(L, 1);
    luaL_pushresult(&b);
    return 1;
}

/* The stack: chunk, name, mode, env, source. Pushes the function or the reason.
 */
static int load_source(lua_State *L, bool has_env)
{
    size_t bytes;
    bool is_text = lua_type(L, 1) == LUA_TSTRING;
    const char *source = lua_tolstring(L, 5, &bytes);
    const char *name = luaL_optstring(L, 2, is_text ? source : "=(load)");
    if (strchr(luaL_optstring(L, 3, "bt"), 't') == NULL) {
        lua_pushliteral(L, "only text chunks can be loaded here");
        return LUA_ERRSYNTAX;
    }
    return compile(L, source, bytes, name, has_env ? 4 : 0);
}

/* load(chunk, name, mode, env): text only. */
static int load_text(lua_State *L)
{
    bool has_env = !lua_isnone(L, 4);
    int status = LUA_OK;
    lua_settop(L, 4);
    if (lua_type(L, 1) == LUA_TSTRING) {
        lua_pushvalue(L, 1);
    } else {
        luaL_checktype(L, 1, LUA_TFUNCTION);
        lua_pushcfunction(L, gather);
        lua_pushvalue(L, 1);
        status = lua_pcall(L, 1, 1, 0); /* its errors are load's results */
    }
    if (status == LUA_OK) status = load_source(L, has_env);
    if (status == LUA_OK) return 1;
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
}

/* --- small ones --- */

/* Pushes the text of the value. */
static const char *text_of(lua_State *L, int index, size_t *bytes)
{
    return config_of(L)->counting ? order_text(L, index, bytes)
                                  : luaL_tolstring(L, index, bytes);
}

const char *sandbox_line(lua_State *L, char between, size_t *bytes)
{
    int n = lua_gettop(L);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1) luaL_addchar(&b, between);
        text_of(L, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    return lua_tolstring(L, -1, bytes);
}

static int print(lua_State *L)
{
    size_t bytes;
    const char *text = sandbox_line(L, '\t', &bytes);
    const struct vm_config *c = config_of(L);
    if (c->print) c->print(c->host, text, bytes);
    return 0;
}

/* How much memory the VM uses; the collector itself is the host's. When
 * counting it is no reliable figure: the hash seed moves it. */
static int collect_garbage(lua_State *L)
{
    if (strcmp(luaL_optstring(L, 1, "collect"), "count") != 0)
        return luaL_error(L, "collectgarbage can only \"count\" here");
    struct heap_count count = heap_counted(vm_heap(vm_of(L)));
    if (config_of(L)->counting)
        lua_pushnumber(L, 0);
    else
        lua_pushnumber(L, (lua_Number)count.used_bytes / 1024);
    return 1;
}

/* --- time --- */

static int64_t wall_ns(lua_State *L)
{
    const struct vm_config *c = config_of(L);
    return c->wall_ns ? c->wall_ns(c->host) : 0;
}

/* Runs Lua's own function, which is upvalue 1 and has none itself, on our
 * arguments: its errors then name them rightly. */
static int as_stock(lua_State *L)
{
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* The same, and what it loops over is charged: arguments, the bytes of a text
 * that comes first, results. So `table.unpack(t, 1, 1e6)` in a loop of Lua's
 * counts as what it does, not as a call. */
static int charged(lua_State *L)
{
    size_t work = (size_t)lua_gettop(L);
    if (lua_type(L, 1) == LUA_TSTRING)
        work += lua_rawlen(L, 1) / BYTES_PER_STEP;
    if (work >= WORK_CHARGED) vm_charge(L, work);
    int results = as_stock(L);
    if (results >= WORK_CHARGED) vm_charge(L, (size_t)results);
    return results;
}

/* select('#', …), select(n, …): as Lua's, charged. Loops call it too often for
 * charged(). */
static int select_values(lua_State *L)
{
    int count = lua_gettop(L);
    if (lua_type(L, 1) == LUA_TSTRING && *lua_tostring(L, 1) == '#') {
        lua_pushinteger(L, count - 1);
        return 1;
    }
    lua_Integer from = luaL_checkinteger(L, 1);
    if (from < 0)
        from += count;
    else if (from > count)
        from = count;
    luaL_argcheck(L, from >= 1, 1, "index out of range");
    int results = count - (int)from;
    if (results >= WORK_CHARGED) vm_charge(L, (size_t)results);
    return results;
}

/* os.time() by the given clock, os.time{...} by Lua's. */
static int os_time(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) return as_stock(L);
    lua_pushinteger(L, wall_ns(L) / 1000000000);
    return 1;
}

/* os.date(format, time): without a time that of the given clock. */
static int os_date(lua_State *L)
{
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_pushinteger(L, wall_ns(L) / 1000000000);
    }
    return as_stock(L);
}

/* os.clock(): seconds since the VM was made. */
static int os_clock(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)(wall_ns(L) - *vm_born_ns(L)) / 1e9);
    return 1;
}

/* randomseed(): with numbers as Lua's (the upvalue); without, the host's seed
 * again, where Lua would take the time and an address. */
static int random_seed(lua_State *L)
{
    if (lua_isnone(L, 1)) {
        lua_pushinteger(L, (lua_Integer)config_of(L)->seed);
        lua_pushinteger(L, 0);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* --- read-only fronts ---
 * A front is an empty table whose metatable has the real one as its __index,
 * and its name at 1. The front of a library that nobody has used yet has
 * open_lazily() there instead. */

static int open_lazily(lua_State *L);

static int refuse_write(lua_State *L)
{
    lua_getmetatable(L, 1);
    lua_rawgeti(L, -1, 1);
    const char *name = lua_tostring(L, -1);
    return luaL_error(L, "%s.%s is read-only", name, vm_text(L, 2));
}

/* Upvalue: the real table, which the script must not get hold of. */
static int front_next(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_next(L, lua_upvalueindex(1))) return 2;
    lua_pushnil(L);
    return 1;
}

static int front_pairs(lua_State *L)
{
    luaL_getmetafield(L, 1, "__index");
    if (!lua_istable(L, -1)) {
        lua_getfield(L, 1, ""); /* opens it */
        lua_pop(L, 2);
        luaL_getmetafield(L, 1, "__index");
    }
    if (vm_is_ordered(L)) return order_pairs(L, -1, 1);
    lua_pushcclosure(L, front_next, 1);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* Sets the metatable at the top on an empty table and leaves that. */
static void make_front(lua_State *L)
{
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
}

/* Pops the __index. */
void sandbox_freeze(lua_State *L, const char *name)
{
    lua_createtable(L, 1, 4);
    lua_pushstring(L, name);
    lua_rawseti(L, -2, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_write);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, front_pairs);
    lua_setfield(L, -2, "__pairs");
    make_front(L);
}

static int refuse_global(lua_State *L)
{
    return luaL_error(L, "global '%s' is assigned; declare it local",
                      vm_text(L, 2));
}

static const char base_key = 0; /* its address: where the base table is */

/* Copies into the table at -2 what it lacks of the table at -1. [-1, +0, m] */
static void complete(lua_State *L)
{
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -2);
        if (lua_rawget(L, -5) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, -5);
        } else {
            lua_pop(L, 2);
        }
    }
    lua_pop(L, 1);
}

void sandbox_env(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &base_key);
    if (!lua_istable(L, -2)) {
        lua_remove(L, -2);
    } else { /* one table behind the front: one step of __index */
        complete(L);
    }
    lua_createtable(L, 0, 3);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_global);
    lua_setfield(L, -2, "__newindex");
    make_front(L);
}

/* --- opening --- */

/* Wraps field `name` of the table at the top: fn gets the old value as its
 * upvalue. */
static void wrap_field(lua_State *L, const char *name, lua_CFunction fn)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, fn, 1);
    lua_setfield(L, -2, name);
}

/* These of the table at the top charge what they do. */
static void charge_fields(lua_State *L, const char *const *names)
{
    for (; *names; names++)
        wrap_field(L, *names, charged);
}

static void set_nil(lua_State *L, const char *const *names)
{
    for (; *names; names++) {
        lua_pushnil(L);
        lua_setfield(L, -2, *names);
    }
}

static void change_base(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"select", select_values},
        {"xpcall", xpcall},
        {"print", print},
        {"setmetatable", set_metatable},
        {"load", load_text},
        {"collectgarbage", collect_garbage},
        {NULL, NULL},
    };
    static const char *const absent[] = {
        "dofile", "loadfile", "rawget", "rawset", "warn", "_G", NULL,
    };
    luaL_setfuncs(L, functions, 0);
    order_open(L);
    set_nil(L, absent);
    if (config_of(L)->require == NULL) return;
    lua_pushcfunction(L, config_of(L)->require);
    lua_setfield(L, -2, "require");
}

static void change_math(lua_State *L)
{
    static const char *const many[] = {"max", "min", NULL};
    charge_fields(L, many);
    wrap_field(L, "randomseed", random_seed);
    lua_getfield(L, -1, "randomseed");
    lua_call(L, 0, 0);
}

/* Replaces the full os library at the top by what scripts may have of it. */
static void change_os(lua_State *L)
{
    static const char *const kept[] = {"time", "date", "difftime"};
    lua_createtable(L, 0, 4);
    for (int i = 0; i < 3; i++) {
        lua_getfield(L, -2, kept[i]);
        lua_setfield(L, -2, kept[i]);
    }
    lua_remove(L, -2);
    wrap_field(L, "time", os_time);
    wrap_field(L, "date", os_date);
    lua_pushcfunction(L, os_clock);
    lua_setfield(L, -2, "clock");
}

/* The metatable of strings: hidden. Its __index stays the real table, so that
 * s:rep() costs nothing more. */
static void hide_string_metatable(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

static void change_string(lua_State *L)
{
    static const char *const absent[] = {"dump", NULL};
    static const char *const many[] = {"char", "reverse", NULL};
    text_open(L);
    pattern_open(L);
    charge_fields(L, many);
    set_nil(L, absent);
    hide_string_metatable(L);
}

static void change_table(lua_State *L)
{
    static const char *const many[] = {"pack", "unpack", NULL};
    tables_open(L);
    charge_fields(L, many);
}

static void change_utf8(lua_State *L)
{
    static const char *const many[] = {"char", "codepoint", "len", "offset",
                                       NULL};
    charge_fields(L, many);
}

static int open_coroutine(lua_State *L)
{
    coroutine_open(L);
    return 1;
}

static const struct library {
    const char *name;
    lua_CFunction open;
    void (*change)(lua_State *L); /* its table, at the top; or NULL */
} libraries[] = {
    {"string", luaopen_string, change_string},
    {"table", luaopen_table, change_table},
    {"math", luaopen_math, change_math},
    {"utf8", luaopen_utf8, change_utf8},
    {"coroutine", open_coroutine, NULL},
    {"os", luaopen_os, change_os},
};
enum { LIBRARIES = sizeof libraries / sizeof *libraries };

/* Pushes the real table of a library. */
static void open_library(lua_State *L, const struct library *lib)
{
    lua_pushcfunction(L, lib->open);
    lua_call(L, 0, 1);
    if (lib->change) lib->change(L);
    hint_names(L, lib->name);
}

/* The __index of a front until the first use: makes the real table the
 * __index, and answers. */
static int open_lazily(lua_State *L)
{
    lua_getmetatable(L, 1);
    lua_rawgeti(L, -1, 1);
    const char *name = lua_tostring(L, -1);
    const struct library *lib = libraries;
    while (strcmp(lib->name, name) != 0)
        lib++;
    open_library(L, lib);
    lua_pushvalue(L, -1);
    lua_setfield(L, 3, "__index");
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    return 1;
}

/* Most machines use two or three of the libraries. Strings have their methods
 * without anybody naming theirs. */
static void add_library(lua_State *L, const struct library *lib)
{
    if (lib->open == luaopen_string) {
        open_library(L, lib);
        if (config_of(L)->counting)
            order_open_text(L, lua_gettop(L) - 1, lua_gettop(L));
    } else {
        lua_pushcfunction(L, open_lazily);
    }
    sandbox_freeze(L, lib->name);
    lua_setfield(L, -2, lib->name);
}

void sandbox_base(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &base_key);
}

void sandbox_open(lua_State *L)
{
    *vm_born_ns(L) = wall_ns(L);
    lua_pushcfunction(L, luaopen_base);
    lua_call(L, 0, 1);
    change_base(L);
    hint_names(L, "_G");
    for (int i = 0; i < LIBRARIES; i++)
        add_library(L, &libraries[i]);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &base_key);
    lua_pushnil(L);
    sandbox_env(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}
