/* windowed_view.c - what execute is given: the window's object, and its tuples
 * as tables. */
#include "lua/value.h"
#include "lua/windowed_state.h"
#include <lauxlib.h>
#include <string.h>

enum {
    CHARGE_EVERY = 256, /* values between two looks at the budget */
    STEPS_A_VALUE = 10,
};

/* t.field, t[0]; upvalues: field → place, the input's name. */
static int tuple_index(lua_State *L)
{
    if (lua_isinteger(L, 2) && lua_tointeger(L, 2) == 0) {
        lua_pushvalue(L, lua_upvalueindex(2));
        return 1;
    }
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (lua_isnil(L, -1)) return 1;
    lua_rawget(L, 1);
    return 1;
}

static void push_tuple_meta(lua_State *L, struct guest *g, unsigned source)
{
    const struct stream_plan *stream = input_stream(g->context, source);
    lua_createtable(L, 0, 2);
    lua_createtable(L, 0, (int)stream->arity);
    for (unsigned i = 0; i < stream->arity; i++) {
        lua_pushinteger(L, (lua_Integer)i + 1);
        lua_setfield(L, -2, stream->fields[i]);
    }
    guest_push_source(L, g, source);
    lua_pushcclosure(L, tuple_index, 2);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
}

/* The metatable list is at `metas`. */
static void push_event(lua_State *L, struct guest *g, int metas,
                       struct window_event *event, size_t *values)
{
    unsigned arity = input_stream(g->context, event->source)->arity;
    const uint8_t *at;
    err e = windows_values(g->windowed->windows, event, &at);
    if (e != OK)
        luaL_error(L, "the window's tuples can't be read: %s", err_text(e));
    lua_createtable(L, (int)arity, 0);
    for (unsigned i = 1; i <= arity; i++) {
        at = value_push(L, at);
        lua_rawseti(L, -2, i);
    }
    lua_rawgeti(L, metas, (lua_Integer)event->source + 1);
    lua_setmetatable(L, -2);
    *values += arity + 1;
    if (*values < CHARGE_EVERY) return;
    vm_charge(L, *values * STEPS_A_VALUE);
    *values = 0;
}

static void push_expired(lua_State *L, struct guest *g,
                         const struct windows_view *view)
{
    size_t values = 0;
    vref_push(L, &g->windowed->metas);
    int metas = lua_gettop(L);
    lua_createtable(L, (int)(view->expired_count & INT32_MAX), 0);
    for (uint32_t i = 0; i < view->expired_count; i++) {
        push_event(L, g, metas, view->expired[i], &values);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_remove(L, metas);
}

/* By place in the view; none was made, if it isn't there. The lists are the
 * user's, who may sort them. */
static void push_made(lua_State *L, struct windowed *w)
{
    if (!vref_is_set(&w->made)) {
        lua_createtable(L, (int)(w->view.count & INT32_MAX), 0);
        vref_take(L, &w->made);
    }
    vref_push(L, &w->made);
}

/* A tuple that is in two lists is one table. */
static void push_tuples(lua_State *L, struct guest *g,
                        const struct windows_view *view, bool only_new)
{
    size_t values = 0;
    vref_push(L, &g->windowed->metas);
    int metas = lua_gettop(L), made = metas + 1;
    push_made(L, g->windowed);
    lua_createtable(L, only_new ? 0 : (int)(view->count & INT32_MAX), 0);
    lua_Integer n = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        if (only_new && view->tuples[i]->state != EVENT_NEW) continue;
        if (lua_rawgeti(L, made, (lua_Integer)i + 1) == LUA_TNIL) {
            lua_pop(L, 1);
            push_event(L, g, metas, view->tuples[i], &values);
            lua_pushvalue(L, -1);
            lua_rawseti(L, made, (lua_Integer)i + 1);
        }
        lua_rawseti(L, -2, ++n);
    }
    lua_replace(L, metas);
    lua_settop(L, metas);
}

/* It is the one whose call runs; raises. */
static void check_firing(lua_State *L, const struct windowed *w, int window,
                         const char *key)
{
    lua_pushvalue(L, window);
    vref_push(L, &w->object);
    if (!w->firing || !lua_rawequal(L, -1, -2))
        luaL_error(L,
                   "window.%s is read after the call that the window was given "
                   "to; keep what you need of it in self",
                   key);
    lua_pop(L, 2);
}

/* Upvalues: the window, and how many tuples were given. */
static int each_next(lua_State *L)
{
    struct guest *g = guest_of(L);
    struct windowed *w = g->windowed;
    size_t values = 0;
    check_firing(L, w, lua_upvalueindex(1), "each");
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));
    if (i >= (lua_Integer)w->view.count) return 0;
    lua_pushinteger(L, i + 1);
    lua_replace(L, lua_upvalueindex(2));
    lua_pushinteger(L, i + 1);
    vref_push(L, &w->metas);
    push_event(L, g, lua_gettop(L), w->view.tuples[i], &values);
    lua_remove(L, -2);
    vm_charge(L, values * STEPS_A_VALUE);
    return 2;
}

/* for i, t in window:each(): one after another, without a list of them. */
static int window_each(lua_State *L)
{
    check_firing(L, guest_of(L)->windowed, 1, "each");
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, each_next, 2);
    return 1;
}

/* window.tuples, .new and .expired are made when they are first asked for. */
static int window_index(lua_State *L)
{
    struct guest *g = guest_of(L);
    struct windowed *w = g->windowed;
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    bool tuples = strcmp(key, "tuples") == 0, fresh = strcmp(key, "new") == 0;
    if (!tuples && !fresh && strcmp(key, "expired") != 0) {
        if (strcmp(key, "each") == 0)
            lua_pushcfunction(L, window_each);
        else
            lua_pushnil(L);
        return 1;
    }
    check_firing(L, w, 1, key);
    lua_settop(L, 2);
    if (tuples || fresh)
        push_tuples(L, g, &w->view, fresh);
    else
        push_expired(L, g, &w->view);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

int windowed_make_metas(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    unsigned count = g->context->component->input_count;
    lua_createtable(L, (int)count, 0);
    for (unsigned i = 0; i < count; i++) {
        push_tuple_meta(L, g, i);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    vref_take(L, &g->windowed->metas);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, window_index);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    vref_take(L, &g->windowed->meta);
    return 0;
}

/* Seconds; an integer where it is one. */
static void set_time(lua_State *L, const char *key, int64_t at_us)
{
    if (at_us % 1000000 == 0)
        lua_pushinteger(L, at_us / 1000000);
    else
        lua_pushnumber(L, (lua_Number)at_us / 1e6);
    lua_setfield(L, -2, key);
}

void windowed_push(lua_State *L, struct guest *g)
{
    struct windowed *w = g->windowed;
    lua_createtable(L, 0, 8);
    set_time(L, "start", w->view.start_us);
    set_time(L, "stop", w->view.stop_us);
    lua_pushinteger(L, w->view.count);
    lua_setfield(L, -2, "count");
    lua_pushboolean(L, w->view.early);
    lua_setfield(L, -2, "early");
    lua_pushboolean(L, w->view.late);
    lua_setfield(L, -2, "late");
    vref_push(L, &w->meta);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    vref_take(L, &w->object);
}
