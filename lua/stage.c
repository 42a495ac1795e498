#include "lua/stage.h"
#include "core/alloc.h"
#include "core/nearest.h"
#include "lua/units.h"
#include "lua/value.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the machine's budget, for one thing that happens in a trial. */
enum { CALL_COST = 200, STEP_COST = 20 };
/* Rows of a trial in the keys of its ids: spout and number. */
enum { ROW_BITS = 40 };

static const char trial_type[] = "engine.trial";
static const char feeder_mark; /* its address is the value of `feeder` */

/* ---- load_topology ---- */

void loaded_free(struct loaded *list)
{
    while (list) {
        struct loaded *next = list->next;
        mem_free(list->path);
        mem_free(list->sets);
        definition_free(list->definition);
        mem_free(list);
        list = next;
    }
}

/* Pushes the path of a file beside the spec file. [-0, +1, m] */
static const char *push_path(lua_State *L, const struct bundle *bundle,
                             const char *file)
{
    const char *spec = bundle->files[0].path;
    const char *slash = strrchr(spec, '/');
    if (*file == '/' || slash == NULL) return lua_pushstring(L, file);
    lua_pushlstring(L, spec, (size_t)(slash - spec) + 1);
    lua_pushstring(L, file);
    lua_concat(L, 2);
    return lua_tostring(L, -1);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pushes the list of `name=value` of the table at `sets`, and pointers to
 * them, in order. [-0, +2, e] */
static const char **push_sets(lua_State *L, int sets, unsigned *count)
{
    lua_newtable(L);
    int list = lua_gettop(L);
    *count = 0;
    for (lua_pushnil(L); lua_next(L, sets); lua_pop(L, 1)) {
        int type = lua_type(L, -1);
        if (lua_type(L, -2) != LUA_TSTRING ||
            (type != LUA_TSTRING && type != LUA_TNUMBER &&
             type != LUA_TBOOLEAN))
            luaL_error(L, "set of load_topology is no table of params; write "
                          "set = { name = value, … }");
        lua_pushvalue(L, -2);
        lua_pushliteral(L, "=");
        vm_text(L, -3);
        lua_concat(L, 3);
        lua_rawseti(L, list, ++*count);
    }
    const char **texts =
        lua_newuserdatauv(L, (*count + 1) * sizeof(const char *), 0);
    for (unsigned i = 0; i < *count; i++) {
        lua_rawgeti(L, list, i + 1);
        texts[i] = lua_tostring(L, -1); /* the list holds it */
        lua_pop(L, 1);
    }
    qsort(texts, *count, sizeof *texts, by_text);
    return texts;
}

/* Pushes all of them as one text. [-0, +1, m] */
static const char *push_joined(lua_State *L, const char **texts, unsigned count)
{
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (unsigned i = 0; i < count; i++) {
        luaL_addstring(&b, texts[i]);
        luaL_addchar(&b, '\n');
    }
    luaL_pushresult(&b);
    return lua_tostring(L, -1);
}

static const struct loaded *find_loaded(const struct loaded *list,
                                        const char *path, const char *sets)
{
    for (; list; list = list->next)
        if (strcmp(list->path, path) == 0 && strcmp(list->sets, sets) == 0)
            return list;
    return NULL;
}

/* A definition's faults have their own places; what is about the call gets
 * that of the call. */
static int raise_fault(lua_State *L, struct stage *s, err e)
{
    const char *fault = s->fault ? s->fault : err_text(e);
    if (e != ERR_CONFIG) return luaL_error(L, "%s", fault);
    lua_pushstring(L, fault);
    return lua_error(L);
}

static const struct loaded *load(lua_State *L, const char *path,
                                 const char **texts, unsigned count,
                                 const char *sets)
{
    struct stage *s = stage_of(L);
    const struct loaded *known = find_loaded(*s->all, path, sets);
    if (known) return known;
    struct definition *d = NULL;
    mem_free(s->fault);
    s->fault = NULL;
    err e = definition_load(path, texts, count, NULL, &d, &s->fault);
    if (e != OK) raise_fault(L, s, e);
    struct loaded *new = mem_zero(1, sizeof *new);
    if (new) {
        *new = (struct loaded){.path = mem_text(path, strlen(path)),
                               .sets = mem_text(sets, strlen(sets)),
                               .definition = d};
        if (new->path &&new->sets) {
            new->next = *s->all;
            *s->all = new;
            return new;
        }
        loaded_free(new);
    } else {
        definition_free(d);
    }
    luaL_error(L, "there is no memory for the topology");
    return NULL;
}

static void check_options(lua_State *L, int options)
{
    luaL_argexpected(L, lua_isnoneornil(L, options) || lua_istable(L, options),
                     options, "table");
    if (!lua_istable(L, options)) return;
    for (lua_pushnil(L); lua_next(L, options); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING &&
            strcmp(lua_tostring(L, -2), "set") == 0 && lua_istable(L, -1))
            continue;
        luaL_error(L, "load_topology takes set = { name = value, … }, not %s",
                   vm_text(L, -2));
    }
}

/* ---- naming components and streams ---- */

static int no_component(lua_State *L, const struct plan *plan, const char *name)
{
    struct nearest near;
    nearest_begin(&near, name);
    for (unsigned i = 0; i < plan->count; i++)
        nearest_try(&near, plan->components[i].name);
    if (near.best[0])
        return luaL_error(L, "%s has no component '%s'; did you mean '%s'?",
                          plan->name, name, near.best);
    return luaL_error(L, "%s has no component '%s'; see %s", plan->name, name,
                      plan->file);
}

/* The component that the text at `index` names. [-0, +0, v] */
static unsigned check_component(lua_State *L, const struct plan *plan,
                                int index)
{
    const char *name = luaL_checkstring(L, index);
    for (unsigned i = 0; i < plan->count; i++)
        if (strcmp(plan->components[i].name, name) == 0) return i;
    return (unsigned)no_component(L, plan, name);
}

/* Of "component" or "component:stream" at `index`. [-0, +0, v] */
static unsigned check_stream(lua_State *L, const struct plan *plan, int index,
                             unsigned *stream)
{
    const char *name = luaL_checkstring(L, index);
    const char *colon = strchr(name, ':');
    *stream = 0;
    if (colon == NULL) return check_component(L, plan, index);
    lua_pushlstring(L, name, (size_t)(colon - name));
    unsigned component = check_component(L, plan, -1);
    lua_pop(L, 1);
    const struct component_plan *c = &plan->components[component];
    struct nearest near;
    nearest_begin(&near, colon + 1);
    for (unsigned i = 0; i < c->stream_count; i++, ++*stream) {
        if (strcmp(c->streams[i].name, colon + 1) == 0) return component;
        nearest_try(&near, c->streams[i].name);
    }
    return (unsigned)luaL_error(
        L, "%s has no stream '%s'%s%s%s", c->name, colon + 1,
        near.best[0] ? "; did you mean '" : "", near.best,
        near.best[0] ? "'?" : "; see its definition");
}

/* ---- rows ---- */

/* Leaves the encoded values of the tuple at `index` in the stage's scratch.
 * [-0, +0, v] */
static void encode_row(lua_State *L, struct stage *s, int index,
                       const struct component_plan *c, unsigned stream)
{
    const struct stream_plan *to = &c->streams[stream];
    index = lua_absindex(L, index);
    if (!lua_istable(L, index))
        luaL_error(L, "'%s' is fed %s, which is no tuple; write { value, … }",
                   c->name, luaL_typename(L, index));
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        lua_Integer place = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
        if (place < 1)
            luaL_error(L,
                       "a tuple for '%s' has the key '%s'; its values stand "
                       "by position",
                       c->name, vm_text(L, -2));
        if (place > to->arity)
            luaL_error(L,
                       "a tuple for '%s' has %I values, but its stream '%s' "
                       "has %d fields",
                       c->name, (LUAI_UACINT)place, to->name, (int)to->arity);
    }
    s->scratch.used = 0;
    for (unsigned i = 1; i <= to->arity; i++) {
        lua_rawgeti(L, index, i);
        value_encode(L, -1, &s->scratch);
        lua_pop(L, 1);
    }
}

static uint64_t feed_row(lua_State *L, struct run *run, int index,
                         unsigned spout, unsigned stream)
{
    struct stage *s = stage_of(L);
    const struct component_plan *c = &run->plan->components[spout];
    uint64_t row = 0;
    encode_row(L, s, index, c, stream);
    if (trial_feed(run->trial, spout, stream, s->scratch.data, s->scratch.used,
                   &row) != OK)
        luaL_error(L, "there is no memory for the tuple");
    return row;
}

/* ---- what was seen, as tables ---- */

static void push_tuples(lua_State *L, const struct capture *c)
{
    const uint8_t *at = c->tuples.data;
    lua_createtable(L, c->count < INT32_MAX ? (int)c->count : 0, 0);
    for (uint64_t i = 1; i <= c->count; i++) {
        int arity = *at++;
        lua_createtable(L, arity, 0);
        for (int k = 1; k <= arity; k++) {
            at = value_push(L, at);
            lua_rawseti(L, -2, k);
        }
        lua_rawseti(L, -2, (lua_Integer)i);
    }
}

/* __index of what `out` is: upvalue 1 is the plan. */
static int no_such_output(lua_State *L)
{
    unsigned stream;
    check_stream(L, lua_touserdata(L, lua_upvalueindex(1)), 2, &stream);
    lua_pushnil(L); /* the default stream by its name, say */
    return 1;
}

static void set_output(lua_State *L, const struct run *run, unsigned component)
{
    const struct component_plan *c = &run->plan->components[component];
    if (c->kind == COMPONENT_SINK) {
        push_tuples(L, trial_received(run->trial, component));
        lua_setfield(L, -2, c->name);
        return;
    }
    for (unsigned i = 0; i < c->stream_count; i++) {
        lua_pushfstring(L, "%s:%s", c->name, c->streams[i].name);
        push_tuples(L, trial_emitted(run->trial, component, i));
        if (i == 0) { /* it is called default, or just by the component */
            lua_pushvalue(L, -1);
            lua_setfield(L, -4, c->name);
        }
        lua_rawset(L, -3);
    }
}

/* [-0, +1, m] */
static void push_out(lua_State *L, const struct run *run)
{
    lua_newtable(L);
    for (unsigned i = 0; i < run->plan->count; i++)
        set_output(L, run, i);
    lua_createtable(L, 0, 1);
    union { /* lua_touserdata()'s reader looks only */
        const struct plan *plan;
        void *any;
    } u = {run->plan};
    lua_pushlightuserdata(L, u.any);
    lua_pushcclosure(L, no_such_output, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

static lua_Integer row_key(unsigned spout, uint64_t row)
{
    uint64_t key = (uint64_t)spout << ROW_BITS | row;
    return (lua_Integer)key;
}

/* The id that a row was fed with; `ids` is the table of those. A row of a list
 * is called by its place: "lines:2". [-0, +1, m] */
static void push_id(lua_State *L, const struct run *run, int ids,
                    const struct trial_fate *fate)
{
    if (lua_rawgeti(L, ids, row_key(fate->spout, fate->row)) != LUA_TNIL)
        return;
    lua_pop(L, 1);
    LUAI_UACINT place = (LUAI_UACINT)fate->row + 1;
    lua_pushfstring(L, "%s:%I", run->plan->components[fate->spout].name, place);
}

/* A list of ids that is also their set, where they are no numbers. */
static void push_acked(lua_State *L, const struct run *run, int ids)
{
    lua_Integer count = 0;
    const struct trial_fate *fate;
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_newtable(L); /* list, metatable, set */
    for (uint64_t i = 0; (fate = trial_fate_at(run->trial, i)); i++) {
        if (fate->reason) continue;
        push_id(L, run, ids, fate);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -5, ++count);
        lua_pushboolean(L, true);
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

static void push_failure(lua_State *L, const struct trial_fate *fate)
{
    const char *trace = strstr(fate->reason, "\nstack traceback:");
    lua_createtable(L, 0, 3);
    if (trace) {
        lua_pushlstring(L, fate->reason, (size_t)(trace - fate->reason));
        lua_setfield(L, -2, "reason");
        lua_pushstring(L, trace + 1);
        lua_setfield(L, -2, "traceback");
    } else {
        lua_pushstring(L, fate->reason);
        lua_setfield(L, -2, "reason");
    }
    lua_pushnumber(L, (lua_Number)fate->at_ns / 1e9);
    lua_setfield(L, -2, "at");
}

/* By id, what failed and was not acked later. */
static void push_failed(lua_State *L, const struct run *run, int ids)
{
    const struct trial_fate *fate;
    lua_newtable(L);
    for (uint64_t i = 0; (fate = trial_fate_at(run->trial, i)); i++) {
        push_id(L, run, ids, fate);
        if (fate->reason)
            push_failure(L, fate);
        else
            lua_pushnil(L);
        lua_rawset(L, -3);
    }
}

/* ---- a trial that runs ---- */

struct handle {
    struct run *run;
};

static struct run *check_run(lua_State *L)
{
    const struct handle *h = luaL_checkudata(L, 1, trial_type);
    return h->run;
}

/* What was asked for has been done, or can't be. */
static void went(lua_State *L, const struct run *run, err e, uint64_t before)
{
    if (e != OK) luaL_error(L, "%s", trial_why(run->trial));
    uint64_t steps = trial_steps(run->trial) - before;
    vm_charge(L, CALL_COST + steps * STEP_COST);
}

static void settle(lua_State *L, const struct run *run)
{
    uint64_t before = trial_steps(run->trial);
    went(L, run, trial_settle(run->trial), before);
}

static int feed(lua_State *L)
{
    struct run *run = check_run(L);
    unsigned stream, spout = check_stream(L, run->plan, 2, &stream);
    const struct component_plan *c = &run->plan->components[spout];
    luaL_checktype(L, 4, LUA_TTABLE);
    luaL_argcheck(L, !lua_isnil(L, 3), 3, "a tuple is fed with an id");
    if (!trial_is_feeder(run->trial, spout))
        return luaL_error(L,
                          "'%s' is no feeder; start it with run.start { %s = "
                          "feeder }",
                          c->name, c->name);
    if (trial_ended(run->trial))
        return luaL_error(L, "the run has ended; feed it before");
    uint64_t row = feed_row(L, run, 4, spout, stream);
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, row_key(spout, row));
    return 0;
}

static int advance(lua_State *L)
{
    const struct run *run = check_run(L);
    int64_t by_ns = units_duration_at(L, 2);
    if (by_ns < 0) return luaL_error(L, "advance takes " UNITS_DURATION);
    uint64_t before = trial_steps(run->trial);
    went(L, run, trial_advance(run->trial, by_ns), before);
    return 0;
}

static int fail_next(lua_State *L)
{
    struct run *run = check_run(L);
    unsigned component = check_component(L, run->plan, 2);
    const struct component_plan *c = &run->plan->components[component];
    lua_Integer count = luaL_optinteger(L, 3, 1);
    const char *reason = luaL_optstring(L, 4, "injected by the test");
    if (c->kind == COMPONENT_SPOUT)
        return luaL_error(L,
                          "'%s' is a spout, which no tuple reaches; name a "
                          "bolt or sink",
                          c->name);
    luaL_argcheck(L, count >= 0, 3, "a number of tuples");
    settle(L, run); /* what was fed before is not meant */
    if (trial_fail_next(run->trial, component, (uint64_t)count, reason) != OK)
        return luaL_error(L, "there is no memory for the reason");
    return 0;
}

static int crash(lua_State *L)
{
    struct run *run = check_run(L);
    unsigned component = check_component(L, run->plan, 2);
    const struct component_plan *c = &run->plan->components[component];
    lua_Integer task = luaL_optinteger(L, 3, 0);
    if (task < 0 || task >= (lua_Integer)c->tasks)
        return luaL_error(L,
                          "'%s' has no task %I; they are counted from 0, as "
                          "context.index, and there are %d",
                          c->name, (LUAI_UACINT)task, (int)c->tasks);
    if (trial_crash(run->trial, component, (unsigned)task) != OK)
        return luaL_error(L, "there is no memory to crash '%s'", c->name);
    return 0;
}

static void set_active(lua_State *L, const struct run *run, bool active)
{
    if (trial_set_active(run->trial, active) != OK)
        luaL_error(L, "there is no memory to tell the topology");
}

static int activate(lua_State *L)
{
    set_active(L, check_run(L), true);
    return 0;
}

static int deactivate(lua_State *L)
{
    set_active(L, check_run(L), false);
    return 0;
}

static int stop(lua_State *L)
{
    const struct run *run = check_run(L);
    uint64_t before = trial_steps(run->trial);
    went(L, run, trial_stop(run->trial), before);
    push_out(L, run);
    return 1;
}

static const luaL_Reg methods[] = {
    {"feed", feed},   {"advance", advance},   {"fail_next", fail_next},
    {"crash", crash}, {"activate", activate}, {"deactivate", deactivate},
    {"stop", stop},   {NULL, NULL},
};

static int no_field(lua_State *L, const char *key)
{
    static const char *const fields[] = {"acked", "failed", "out", NULL};
    struct nearest near;
    nearest_begin(&near, key);
    for (int i = 0; fields[i]; i++)
        nearest_try(&near, fields[i]);
    for (int i = 0; methods[i].name; i++)
        nearest_try(&near, methods[i].name);
    if (near.best[0])
        return luaL_error(L, "a run has no '%s'; did you mean '%s'?", key,
                          near.best);
    return luaL_error(L,
                      "a run has no '%s'; it has acked, failed, out, and the "
                      "methods feed, advance, fail_next, crash, activate, "
                      "deactivate, stop",
                      key);
}

/* What is looked at has settled first. */
static int trial_index(lua_State *L)
{
    const struct run *run = check_run(L);
    const char *key = luaL_checkstring(L, 2);
    lua_CFunction method = NULL;
    for (int i = 0; methods[i].name; i++)
        if (strcmp(methods[i].name, key) == 0) method = methods[i].func;
    if (method) {
        lua_pushcfunction(L, method);
        return 1;
    }
    lua_getiuservalue(L, 1, 1);
    int ids = lua_gettop(L);
    if (strcmp(key, "acked") == 0) {
        settle(L, run);
        push_acked(L, run, ids);
    } else if (strcmp(key, "failed") == 0) {
        settle(L, run);
        push_failed(L, run, ids);
    } else if (strcmp(key, "out") == 0) {
        settle(L, run);
        push_out(L, run);
    } else {
        return no_field(L, key);
    }
    return 1;
}

static void push_handle(lua_State *L, struct run *run)
{
    struct handle *h = lua_newuserdatauv(L, sizeof *h, 1);
    h->run = run;
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    if (luaL_newmetatable(L, trial_type)) {
        lua_pushcfunction(L, trial_index);
        lua_setfield(L, -2, "__index");
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
}

/* ---- run and run.start ---- */

/* The stage owns it from here, whatever becomes of the call. */
static struct run *add_run(lua_State *L, const struct plan *plan)
{
    struct stage *s = stage_of(L);
    if (s->script.loading)
        luaL_error(L, "a topology runs inside a test; write test \"…\" "
                      "(function() … end)");
    struct run *run = mem_zero(1, sizeof *run);
    if (run) {
        run->next = s->runs;
        run->plan = plan;
        run->trial = trial_new(plan, s->seed * 1000 + s->run_count++);
        s->runs = run;
    }
    if (run == NULL || run->trial == NULL)
        luaL_error(L, "there is no memory for another run");
    return run;
}

/* All keys of the table at `feeds` are streams of spouts. */
static void check_feeds(lua_State *L, const struct plan *plan, int feeds)
{
    for (lua_pushnil(L); lua_next(L, feeds); lua_pop(L, 1)) {
        unsigned stream;
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "a run is fed by spout; write run { spout = { { "
                          "value, … }, … } }");
        const struct component_plan *c =
            &plan->components[check_stream(L, plan, -2, &stream)];
        if (c->kind != COMPONENT_SPOUT)
            luaL_error(L, "'%s' is a %s; only spouts can be fed", c->name,
                       component_kind_name(c->kind));
    }
}

/* The list of rows at the top, or the mark of a feeder. [-0, +0, v] */
static void take_feed(lua_State *L, struct run *run, unsigned spout,
                      unsigned stream)
{
    const struct component_plan *c = &run->plan->components[spout];
    bool feeder = lua_touserdata(L, -1) == &feeder_mark;
    if (!feeder && !lua_istable(L, -1))
        luaL_error(L, "'%s' is fed %s; write %s = { { value, … }, … }", c->name,
                   luaL_typename(L, -1), c->name);
    if (!trial_is_mocked(run->trial, spout) &&
        trial_mock(run->trial, spout, feeder) != OK)
        luaL_error(L, "there is no memory for the tuples of '%s'", c->name);
    if (feeder != trial_is_feeder(run->trial, spout))
        luaL_error(L, "'%s' is fed by a feeder and by a list; choose one",
                   c->name);
    if (feeder) return;
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        feed_row(L, run, -1, spout, stream);
        lua_pop(L, 1);
    }
}

/* Starts what the table at `feeds` says. */
static struct run *begin(lua_State *L, int feeds)
{
    const struct loaded *loaded = lua_touserdata(L, lua_upvalueindex(1));
    const struct plan *plan = &loaded->definition->plan;
    if (lua_isnoneornil(L, feeds)) {
        lua_settop(L, feeds - 1);
        lua_newtable(L);
    }
    luaL_checktype(L, feeds, LUA_TTABLE);
    check_feeds(L, plan, feeds);
    struct run *run = add_run(L, plan);
    for (unsigned i = 0; i < plan->count; i++) {
        const struct component_plan *c = &plan->components[i];
        if (c->kind != COMPONENT_SPOUT) continue;
        for (unsigned k = 0; k < c->stream_count; k++) {
            lua_pushstring(L, c->name);
            if (lua_rawget(L, feeds) == LUA_TNIL || k > 0) {
                lua_pop(L, 1);
                lua_pushfstring(L, "%s:%s", c->name, c->streams[k].name);
                lua_rawget(L, feeds);
            }
            if (!lua_isnil(L, -1)) take_feed(L, run, i, k);
            lua_pop(L, 1);
        }
    }
    if (trial_start(run->trial) != OK)
        luaL_error(L, "%s", trial_why(run->trial));
    return run;
}

static bool has_feeder(lua_State *L, int feeds)
{
    for (lua_pushnil(L); lua_next(L, feeds); lua_pop(L, 1))
        if (lua_touserdata(L, -1) == &feeder_mark) return true;
    return false;
}

/* run { … }: the stack is run itself and the table. */
static int run_whole(lua_State *L)
{
    if (lua_istable(L, 2) && has_feeder(L, 2))
        return luaL_error(L, "a feeder never ends; write run.start { … }, or "
                             "give all tuples");
    struct run *run = begin(L, 2);
    if (run->plan->inactive) set_active(L, run, true);
    uint64_t before = trial_steps(run->trial);
    went(L, run, trial_finish(run->trial), before);
    push_out(L, run);
    push_handle(L, run);
    return 2;
}

static int run_start(lua_State *L)
{
    push_handle(L, begin(L, 1));
    return 1;
}

/* load_topology(file, { set = { … } }) */
static int load_topology(lua_State *L)
{
    const char *file = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    check_options(L, 2);
    if (lua_istable(L, 2))
        lua_getfield(L, 2, "set");
    else
        lua_pushnil(L);
    if (lua_isnil(L, 3)) {
        lua_newtable(L);
        lua_replace(L, 3);
    }
    struct stage *s = stage_of(L);
    const struct edition *edition =
        s->script.loading ? s->script.loading : &s->script.now;
    const char *path = push_path(L, edition->bundle, file);
    unsigned count;
    const char **texts = push_sets(L, 3, &count);
    const char *sets = push_joined(L, texts, count);
    union { /* the readers look only */
        const struct loaded *loaded;
        void *any;
    } u = {load(L, path, texts, count, sets)};
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, u.any);
    lua_pushcclosure(L, run_start, 1);
    lua_setfield(L, -2, "start");
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, u.any);
    lua_pushcclosure(L, run_whole, 1);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);
    return 1;
}

void stage_add_words(lua_State *L)
{
    union { /* nothing is written there */
        const char *mark;
        void *any;
    } u = {&feeder_mark};
    lua_pushcfunction(L, load_topology);
    lua_setfield(L, -2, "load_topology");
    lua_pushlightuserdata(L, u.any);
    lua_setfield(L, -2, "feeder");
}

void stage_fini(struct stage *s)
{
    while (s->runs) {
        struct run *run = s->runs;
        s->runs = run->next;
        trial_free(run->trial);
        mem_free(run);
    }
    buffer_fini(&s->scratch);
    mem_free(s->fault);
    s->fault = NULL;
}
