#include "lua/hooks.h"
#include "core/alloc.h"
#include "core/node.h"
#include "lua/held.h"
#include "lua/sandbox.h"
#include "lua/value.h"
#include <lauxlib.h>
#include <string.h>

/* lua/engine/hooks.lua, put into the binary by the linker. */
extern const char _binary_hooks_lua_start[], _binary_hooks_lua_end[];

int64_t hooks_now_ns(const struct guest *g)
{
    const struct world *world = node_world(env_node(g->context->env));
    return world->now_ns(world->context);
}

/* ---- what hooks.lua asks ---- */

static int clock_ns(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)hooks_now_ns(guest_of(L)));
    return 1;
}

static int is_held(lua_State *L)
{
    lua_pushboolean(L, held_in_call(guest_of(L)));
    return 1;
}

static int is_refused(lua_State *L)
{
    lua_pushboolean(L, guest_of(L)->context->emitter->failed);
    return 1;
}

/* Of the root whose news is told; nil: it was emitted before there were hooks.
 */
static int took(lua_State *L)
{
    int64_t ns = guest_of(L)->hooks.took_ns;
    if (ns < 0)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (lua_Number)ns / 1e9);
    return 1;
}

/* ---- taken over ---- */

static void push_topology_hooks(lua_State *L, const struct vref *record)
{
    vref_push(L, record);
    script_field(L, -1, "body");
    script_field(L, -1, "hooks");
    lua_replace(L, -3);
    lua_pop(L, 1);
}

static void take(lua_State *L, struct vref *r)
{
    if (lua_isfunction(L, -1)) {
        vref_take(L, r);
        return;
    }
    vref_drop(r);
    lua_pop(L, 1);
}

static void drop(struct hooks *h)
{
    vref_drop(&h->emit);
    vref_drop(&h->ack);
    vref_drop(&h->fail);
}

void hooks_adopt(lua_State *L, struct guest *g, int body,
                 const struct vref *record, bool takes)
{
    static const lua_CFunction asked[] = {clock_ns, is_held, is_refused, took};
    int runs = lua_gettop(L);
    push_topology_hooks(L, record);
    script_field(L, body, "hooks");
    bool any = !lua_isnil(L, -2) || !lua_isnil(L, -1);
    if (!any || g->config->generates) {
        if (takes) drop(&g->hooks);
        lua_settop(L, runs);
        return;
    }
    lua_pushnil(L);
    sandbox_env(L);
    sandbox_load(L, _binary_hooks_lua_start,
                 (size_t)(_binary_hooks_lua_end - _binary_hooks_lua_start),
                 "=hooks");
    lua_pushvalue(L, runs);
    lua_pushboolean(L, guest_is_spout(g));
    lua_pushvalue(L, runs + 1);
    lua_pushvalue(L, runs + 2);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
        lua_pushcfunction(L, asked[i]);
    lua_call(L, 8, 4);
    if (takes) {
        take(L, &g->hooks.fail);
        take(L, &g->hooks.ack);
        take(L, &g->hooks.emit);
    } else {
        lua_pop(L, 3);
    }
    lua_replace(L, runs);
    lua_settop(L, runs);
}

void hooks_fini(struct guest *g)
{
    drop(&g->hooks);
    mem_free(g->hooks.reason);
    g->hooks.reason = NULL;
}

/* ---- told ---- */

static void set_seconds(lua_State *L, const struct guest *g, int64_t began_ns)
{
    lua_pushnumber(L, (lua_Number)(hooks_now_ns(g) - began_ns) / 1e9);
    lua_setfield(L, -2, "seconds");
}

void hooks_emit(lua_State *L, struct guest *g, unsigned stream, int id,
                lua_Integer task, int first, int count)
{
    luaL_checkstack(L, 8, "too many values");
    vref_push(L, &g->hooks.emit);
    vref_push(L, &g->self);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, g->context->component->streams[stream].name);
    lua_setfield(L, -2, "stream");
    lua_createtable(L, count, 1);
    for (int i = 0; i < count; i++) {
        lua_pushvalue(L, first + i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushinteger(L, count);
    lua_setfield(L, -2, "n");
    lua_setfield(L, -2, "values");
    if (id > 0) {
        lua_pushvalue(L, id);
        lua_setfield(L, -2, "id");
    }
    if (task >= 0) {
        lua_pushinteger(L, task);
        lua_setfield(L, -2, "task");
    }
    lua_call(L, 2, 0);
}

/* Beside the ids, under the token's negative. */
void hooks_note_token(lua_State *L, struct guest *g, uint64_t token)
{
    if (!vref_is_set(&g->hooks.ack) && !vref_is_set(&g->hooks.fail)) return;
    vref_push(L, &g->ids);
    lua_pushinteger(L, (lua_Integer)hooks_now_ns(g));
    lua_rawseti(L, -2, -(lua_Integer)token);
    lua_pop(L, 1);
    g->hooks.timed = true;
}

void hooks_take_token(lua_State *L, struct guest *g, uint64_t token)
{
    g->hooks.took_ns = -1;
    if (!g->hooks.timed) return;
    vref_push(L, &g->ids);
    if (lua_rawgeti(L, -1, -(lua_Integer)token) == LUA_TNUMBER)
        g->hooks.took_ns = hooks_now_ns(g) - (int64_t)lua_tointeger(L, -1);
    lua_pushnil(L);
    lua_rawseti(L, -3, -(lua_Integer)token);
    lua_pop(L, 2);
}

void hooks_note_failure(struct guest *g, const char *reason)
{
    if (!vref_is_set(&g->hooks.fail)) return;
    mem_free(g->hooks.reason);
    g->hooks.reason = mem_text(reason, strlen(reason));
    g->hooks.failed_at = g->input->at;
}

bool hooks_push_failure(lua_State *L, struct guest *g)
{
    const uint8_t *at = g->hooks.failed_at;
    if (at == NULL) return false;
    g->hooks.failed_at = NULL;
    vref_push(L, &g->hooks.fail);
    vref_push(L, &g->self);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, g->hooks.reason ? g->hooks.reason
                                      : "there was no memory for the reason");
    lua_setfield(L, -2, "reason");
    lua_createtable(L, (int)g->arity, 1);
    for (unsigned i = 0; i < g->arity; i++) {
        at = value_push(L, at);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushinteger(L, (lua_Integer)g->arity);
    lua_setfield(L, -2, "n");
    lua_setfield(L, -2, "values");
    return true;
}

void hooks_held(lua_State *L, struct guest *g, int index, int64_t began_ns,
                const char *reason)
{
    const struct vref *hook = reason ? &g->hooks.fail : &g->hooks.ack;
    if (!vref_is_set(hook)) return;
    luaL_checkstack(L, 6, "too many values");
    vref_push(L, hook);
    vref_push(L, &g->self);
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, index);
    lua_setfield(L, -2, "held");
    if (reason) {
        lua_pushstring(L, reason);
        lua_setfield(L, -2, "reason");
    }
    set_seconds(L, g, began_ns);
    lua_call(L, 2, 0);
}
