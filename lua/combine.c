#include "lua/combine.h"
#include "actors/stream/combiner.h"
#include "actors/stream/state.h"
#include "core/alloc.h"
#include "lua/value.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* ---- the sender: whose functions ---- */

/* A reader of one of the guest's streams. */
struct reducer {
    const struct input_plan *input;
    const char *component;
    struct vref function;
};

static bool reads_reduced(const struct guest *g, const struct input_plan *input)
{
    unsigned mine =
        (unsigned)(g->context->component - g->context->plan->components);
    return input->component == mine && input->reduces;
}

/* Counts the readers, and notes them where there is room. */
static unsigned find_reducers(const struct guest *g, struct reducer *out)
{
    const struct plan *plan = g->context->plan;
    unsigned count = 0;
    for (unsigned c = 0; c < plan->count; c++)
        for (unsigned i = 0; i < plan->components[c].input_count; i++) {
            const struct input_plan *input = &plan->components[c].inputs[i];
            if (!reads_reduced(g, input)) continue;
            if (out)
                out[count] = (struct reducer){
                    .input = input, .component = plan->components[c].name};
            count++;
        }
    return count;
}

static void make_reducers(lua_State *L, struct guest *g)
{
    unsigned count = find_reducers(g, NULL);
    if (count == 0) return;
    g->reducers = mem_zero(count, sizeof *g->reducers);
    if (g->reducers == NULL) {
        luaL_error(L, "not enough memory");
        return;
    }
    g->reducer_count = find_reducers(g, g->reducers);
}

/* `combine` of the component in the record; where it is true, what its
 * reduce_by reduces by. */
static void find_function(lua_State *L, struct reducer *r,
                          const struct vref *record)
{
    int top = lua_gettop(L);
    if (!script_component(L, record, r->component))
        luaL_error(L, "component '%s' is gone", r->component);
    script_field(L, -1, "body");
    if (script_field(L, -1, "combine") == LUA_TBOOLEAN) {
        lua_rawgeti(L, -2, 1);
        script_field(L, -1, "args");
        lua_rawgeti(L, -1, 3);
    }
    if (!lua_isfunction(L, -1))
        luaL_error(L, "combine of '%s' is gone", r->component);
    vref_take(L, &r->function);
    lua_settop(L, top);
}

void combine_adopt(lua_State *L, struct guest *g, const struct vref *record)
{
    if (g->reducers == NULL) make_reducers(L, g);
    for (unsigned i = 0; g->reducers && i < g->reducer_count; i++)
        find_function(L, &g->reducers[i], record);
}

void combine_fini(struct guest *g)
{
    for (unsigned i = 0; i < g->reducer_count; i++)
        vref_drop(&g->reducers[i].function);
    mem_free(g->reducers);
}

/* ---- the sender: one number of two ---- */

static struct combiner_number number_of(lua_State *L, int index)
{
    struct combiner_number n = {0};
    if (lua_isinteger(L, index)) {
        n.bits = (uint64_t)lua_tointeger(L, index);
    } else {
        lua_Number number = lua_tonumber(L, index);
        memcpy(&n.bits, &number, sizeof n.bits);
        n.is_float = true;
    }
    return n;
}

static void push_number(lua_State *L, struct combiner_number n)
{
    lua_Number number;
    memcpy(&number, &n.bits, sizeof number);
    if (n.is_float)
        lua_pushnumber(L, number);
    else
        lua_pushinteger(L, (lua_Integer)n.bits);
}

/* There is one, or the route would not combine. */
static const struct reducer *reducer_of(const struct guest *g,
                                        const struct route *route)
{
    const struct reducer *r = g->reducers;
    while (r->input != route->input)
        r++;
    return r;
}

static void check_number(lua_State *L, const struct reducer *r)
{
    if (lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L,
                   "combine of '%s' returned %s for two numbers; return a "
                   "number",
                   r->component, luaL_typename(L, -1));
}

/* The function may not emit: the row is in its hands. */
static bool reduce(lua_State *L, struct guest *g, const struct reducer *r,
                   struct port *port, struct combiner_key *k, int value)
{
    struct emitter *e = g->context->emitter;
    bool failed = e->failed;
    vref_push(L, &r->function);
    push_number(L, combiner_number(port, k));
    lua_pushvalue(L, value);
    e->failed = true;
    g->may_emit = false;
    g->combining = r->component;
    lua_call(L, 2, 1);
    if (!lua_isinteger(L, -1)) check_number(L, r);
    g->combining = NULL;
    g->may_emit = true;
    e->failed = failed;
    struct combiner_number number = number_of(L, -1);
    lua_pop(L, 1);
    return combiner_set_number(e, port, k, number);
}

bool combine_takes(lua_State *L, int key, int value)
{
    int type = lua_type(L, key);
    return lua_type(L, value) == LUA_TNUMBER &&
           (type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN);
}

bool combine_put(lua_State *L, struct guest *g, const struct route *route,
                 struct port *port, const uint8_t *key, uint32_t bytes,
                 uint64_t hash, int value)
{
    struct combiner_key *k;
    if (!combiner_add_number(g->context->emitter, port, key, bytes, hash,
                             number_of(L, value), &k))
        return false;
    return k == NULL || reduce(L, g, reducer_of(g, route), port, k, value);
}

/* As combine_put(), without a step between. */
bool combine_put_short(lua_State *L, struct guest *g, const struct route *route,
                       struct port *port, struct short_string key,
                       uint64_t hash, int value)
{
    struct emitter *e = g->context->emitter;
    struct combiner *c = port->combiner;
    uint32_t slot;
    if (!combiner_has_root(e, c) && !combiner_begin(e, port)) return false;
    struct combiner_key *k = combiner_find_short(c, key, hash, &slot);
    if (k) return reduce(L, g, reducer_of(g, route), port, k, value);
    struct combiner_number first = number_of(L, value);
    return combiner_add_row(e, port, key, slot, &first);
}

/* ---- the reader ---- */

enum { GUEST = 1, ROW, SELF }; /* the stack of each_row() */

static void call_method(lua_State *L, struct guest *g, const char *name)
{
    vref_push(L, &g->body);
    script_field(L, -1, name);
    vref_push(L, &g->self);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}

/* Also its own continuation. */
static int each_row(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    struct input *input = g->input;
    while (input->left > 0) {
        vm_next_tuple(L);
        lua_pushvalue(L, ROW);
        lua_pushvalue(L, SELF);
        input->at = value_push(L, value_push(L, input->at));
        input->left--;
        lua_callk(L, 3, 0, ctx, each_row);
    }
    call_method(L, g, "end_rows");
    return 0;
}

static int take_rows(lua_State *L)
{
    struct guest *g = lua_touserdata(L, GUEST);
    call_method(L, g, "begin_rows");
    vref_push(L, &g->body);
    script_field(L, -1, "row");
    lua_replace(L, ROW);
    vref_push(L, &g->self);
    return each_row(L, LUA_OK, (lua_KContext)g);
}

static int undo_rows(lua_State *L)
{
    call_method(L, lua_touserdata(L, 1), "undo_rows");
    return 0;
}

/* The protected call around the batch has come back, at once or later. */
static int rows_over(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    g->rows_failed = status != LUA_OK && status != LUA_YIELD;
    if (!g->rows_failed) return 0;
    const char *why = lua_tostring(L, -1);
    snprintf(g->context->error, sizeof g->context->error, "%s",
             why ? why : "an error without a text");
    return 0;
}

/* Protected here, so that the coroutine lives on: for another there may be no
 * memory. */
static int rows_body(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    vm_handler(L);
    lua_pushcfunction(L, take_rows);
    lua_pushlightuserdata(L, g);
    return rows_over(L, lua_pcallk(L, 1, 0, 2, (lua_KContext)g, rows_over),
                     (lua_KContext)g);
}

static enum step fail_rows(struct guest *g, const char *error)
{
    char why[sizeof g->context->error];
    snprintf(why, sizeof why, "%s", guest_reason(g, error));
    if (vm_protect_spare(g->script.vm, undo_rows, g) != OK)
        return guest_crash(g);
    if (g->context->state) state_undo(g->context->state);
    executor_fail_batch(g->context, g->input, why);
    return STEP_DONE;
}

enum step combine_execute(struct guest *g)
{
    g->running = RUN_ROWS;
    g->anchored = g->may_emit = false;
    return combine_outcome(g,
                           vm_run(g->script.vm, guest_seat(g), rows_body, g));
}

enum step combine_outcome(struct guest *g, enum vm_outcome outcome)
{
    if (outcome == VM_YIELDED || outcome == VM_SLEEPING)
        return guest_suspended(g, outcome);
    if (outcome != VM_DONE) return fail_rows(g, vm_error(g->script.vm));
    if (g->rows_failed) return fail_rows(g, g->context->error);
    if (g->context->state) state_keep(g->context->state);
    input_batch_done(g->context, g->input);
    return STEP_DONE;
}
