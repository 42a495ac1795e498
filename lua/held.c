#include "lua/held.h"
#include "lua/hooks.h"
#include <lauxlib.h>
#include <string.h>

/* A userdata of Lua's. */
struct held {
    struct guest *guest;
    struct held *next_touched;
    struct vref anchor;  /* itself, while it is touched */
    bool touched;        /* by the call in hand */
    bool fresh;          /* was made by it */
    bool acking;         /* was acked by it */
    const char *failing; /* was failed by it: the reason, its user value */
    bool settled;
    int64_t began_ns; /* when it was held, for hooks */
    uint32_t count;
    struct list_root roots[];
};

static const char held_type[] = "a held tuple";

static struct held *held_at(lua_State *L, int index)
{
    struct held *h = luaL_checkudata(L, index, held_type);
    if (h->settled || h->acking || h->failing)
        luaL_error(L, "this held tuple was settled before; ack or fail it "
                      "once");
    return h;
}

/* In a call that may still fail, nothing counts before it is through. The
 * handle is at `index`. [-0, +0, m] */
static void touch(lua_State *L, struct held *h, int index)
{
    struct guest *g = h->guest;
    if (h->touched) return;
    lua_pushvalue(L, index);
    vref_take(L, &h->anchor);
    h->touched = true;
    h->next_touched = g->touched;
    g->touched = h;
}

static void keep(struct held *h)
{
    for (uint32_t i = 0; i < h->count; i++) {
        h->roots[i].edges ^= h->roots[i].emitted;
        h->roots[i].emitted = 0;
    }
    h->fresh = false;
    if (!h->acking && !h->failing) return;
    h->settled = true;
    if (h->acking)
        executor_settle_held(h->guest->context, h->roots, h->count);
    else
        executor_fail_held(h->guest->context, h->roots, h->count, h->failing);
    h->acking = false;
    h->failing = NULL;
}

static void undo(struct held *h)
{
    for (uint32_t i = 0; i < h->count; i++)
        h->roots[i].emitted = 0;
    h->acking = false;
    h->failing = NULL;
    if (h->fresh) h->settled = true; /* its roots have failed */
}

static void untouch_all(struct guest *g, void (*settle)(struct held *))
{
    while (g->touched) {
        struct held *h = g->touched;
        g->touched = h->next_touched;
        h->touched = false;
        settle(h);
        vref_drop(&h->anchor);
    }
}

void held_keep(struct guest *g)
{
    untouch_all(g, keep);
}

void held_undo(struct guest *g)
{
    untouch_all(g, undo);
}

void held_fini(struct guest *g)
{
    untouch_all(g, undo);
    roots_fini(&g->from);
}

bool held_in_call(const struct guest *g)
{
    for (const struct held *h = g->touched; h; h = h->next_touched)
        if (h->fresh) return true;
    return false;
}

/* Where there is no call to fail, what was done counts at once; in an emit_from
 * when its edges are handed out. */
static void keep_if_free(struct guest *g)
{
    if (!g->anchored && !g->emits_from) held_keep(g);
}

/* ---- what Lua calls ---- */

static int hold(lua_State *L)
{
    struct guest *g = guest_of(L);
    if (!g->in_hand || !g->anchored)
        return luaL_error(L, "hold works only in execute: it holds the tuple "
                             "in hand");
    uint32_t count = input_roots(g->input);
    struct held *h =
        lua_newuserdatauv(L, sizeof *h + count * sizeof(struct list_root), 1);
    memset(h, 0, sizeof *h + count * sizeof(struct list_root));
    h->guest = g;
    h->settled = true; /* until it has roots */
    luaL_setmetatable(L, held_type);
    touch(L, h, lua_gettop(L));
    h->settled = false;
    h->fresh = true;
    h->count = count;
    if (vref_is_set(&g->hooks.ack) || vref_is_set(&g->hooks.fail))
        h->began_ns = hooks_now_ns(g);
    executor_hold(g->context, g->input, h->roots);
    return 1;
}

static int held_ack(lua_State *L)
{
    struct held *h = held_at(L, 1);
    touch(L, h, 1);
    h->acking = true;
    hooks_held(L, h->guest, 1, h->began_ns, NULL);
    keep_if_free(h->guest);
    return 0;
}

static int held_fail(lua_State *L)
{
    struct held *h = held_at(L, 1);
    const char *reason = luaL_optstring(L, 2, "failed by the component");
    touch(L, h, 1);
    lua_pushstring(L, reason);
    lua_setiuservalue(L, 1, 1); /* keeps the text */
    lua_getiuservalue(L, 1, 1);
    h->failing = lua_tostring(L, -1);
    hooks_held(L, h->guest, 1, h->began_ns, reason);
    keep_if_free(h->guest);
    return 0;
}

static int held_touch(lua_State *L)
{
    struct held *h = held_at(L, 1);
    executor_touch_held(h->guest->context, h->roots, h->count);
    return 0;
}

static int held_gc(lua_State *L)
{
    struct held *h = luaL_checkudata(L, 1, held_type);
    if (h->settled) return 0;
    h->settled = true;
    executor_fail_held(h->guest->context, h->roots, h->count,
                       "a held tuple was let go of: it was neither acked nor "
                       "failed");
    return 0;
}

/* ---- tuples made of held ones ---- */

/* The roots of the list of handles at 1. Pushes a copy of it that Lua code
 * can't reach: a custom grouping runs before hand_out(). [-0, +1, v] */
static void gather(lua_State *L, struct guest *g)
{
    g->from.count = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
    if (n == 0)
        luaL_error(L, "emit_from got no held tuples; write emit_from({ handle, "
                      "… }, value, …)");
    lua_createtable(L, n < 1024 ? (int)n : 1024, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        struct held *h = held_at(L, -1);
        for (uint32_t r = 0; r < h->count; r++)
            if (roots_add(&g->from, h->roots[r].root, 0) != OK)
                luaL_error(L, "not enough memory");
        touch(L, h, lua_gettop(L));
        lua_rawseti(L, -2, i);
    }
}

/* Each root's new edges belong to the first handle that has it. The handles are
 * those of gather(), at 1. */
static void hand_out(lua_State *L, struct guest *g)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        struct held *h = lua_touserdata(L, -1);
        lua_pop(L, 1);
        for (uint32_t r = 0; r < h->count; r++)
            for (uint32_t k = 0; k < g->from.count; k++) {
                if (g->from.roots[k].root != h->roots[r].root) continue;
                h->roots[r].emitted ^= g->from.roots[k].emitted;
                g->from.roots[k].emitted = 0;
            }
    }
}

/* Emits the values from 2 on; upvalue: the stream. */
static int emit_list(lua_State *L)
{
    struct guest *g = guest_of(L);
    unsigned stream = (unsigned)lua_tointeger(L, lua_upvalueindex(1));
    guest_emit(L, g, stream, 2, lua_gettop(L) - 1);
    return 0;
}

/* The stack: handles, values. Whatever is raised, what the executor emits next
 * belongs to its own tuple again. */
static int emit_anchored(lua_State *L, struct guest *g, unsigned stream)
{
    struct emitter *e = g->context->emitter;
    guest_check_emit(L, g, stream, 2, lua_gettop(L) - 1);
    if (g->emits_from)
        luaL_error(L, "emit_from can't be called while another runs; a custom "
                      "grouping only chooses tasks");
    if (vref_is_set(&g->hooks.emit))
        hooks_emit(L, g, stream, 0, -1, 2, lua_gettop(L) - 1);
    gather(L, g);
    lua_insert(L, 1); /* stays */
    lua_pushinteger(L, (lua_Integer)stream);
    lua_pushcclosure(L, emit_list, 1);
    lua_insert(L, 2);
    uint64_t root = e->root;
    struct root_list *roots = e->roots;
    e->root = g->from.count > 0 ? ROOT_LIST : 0;
    e->roots = &g->from;
    g->emits_from = true;
    int status = lua_pcall(L, lua_gettop(L) - 2, 0, 0);
    g->emits_from = false;
    e->root = root;
    e->roots = roots;
    hand_out(L, g);
    if (status != LUA_OK) return lua_error(L);
    if (!g->anchored) executor_emitted(g->context);
    keep_if_free(g);
    return 0;
}

static int emit_from(lua_State *L)
{
    return emit_anchored(L, guest_of(L), 0);
}

static int emit_from_to(lua_State *L)
{
    struct guest *g = guest_of(L);
    unsigned stream = guest_stream_at(L, g, 2);
    lua_remove(L, 2);
    return emit_anchored(L, g, stream);
}

void held_add_methods(lua_State *L)
{
    static const luaL_Reg of_self[] = {{"hold", hold},
                                       {"emit_from", emit_from},
                                       {"emit_from_to", emit_from_to},
                                       {NULL, NULL}};
    static const luaL_Reg of_handle[] = {{"ack", held_ack},
                                         {"fail", held_fail},
                                         {"reset_timeout", held_touch},
                                         {NULL, NULL}};
    luaL_setfuncs(L, of_self, 0);
    if (luaL_newmetatable(L, held_type)) {
        lua_newtable(L);
        luaL_setfuncs(L, of_handle, 0);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, held_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
    }
    lua_pop(L, 1);
}
