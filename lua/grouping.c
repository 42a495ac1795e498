#include "lua/grouping.h"
#include "core/alloc.h"
#include <lauxlib.h>

/* One route of a stream of the guest's. */
struct custom {
    unsigned stream;
    unsigned component, input; /* whose function it is */
    struct vref choose, tasks, state;
};

static const struct component_plan *subscriber(const struct guest *g,
                                               const struct custom *c)
{
    return &g->context->plan->components[c->component];
}

static bool reads_custom(const struct guest *g, const struct input_plan *input)
{
    unsigned mine =
        (unsigned)(g->context->component - g->context->plan->components);
    return input->component == mine && input->grouping == GROUPING_CUSTOM;
}

static unsigned count_customs(const struct guest *g)
{
    const struct plan *plan = g->context->plan;
    unsigned count = 0;
    for (unsigned c = 0; c < plan->count; c++)
        for (unsigned i = 0; i < plan->components[c].input_count; i++)
            count += reads_custom(g, &plan->components[c].inputs[i]);
    return count;
}

/* The list of the subscriber's tasks, and an empty state. */
static void make_tables(lua_State *L, struct guest *g, struct custom *c)
{
    const struct component_plan *to = subscriber(g, c);
    lua_createtable(L, (int)to->tasks, 0);
    for (unsigned i = 0; i < to->tasks; i++) {
        lua_pushinteger(L, (lua_Integer)to->first_task + i);
        lua_rawseti(L, -2, i + 1);
    }
    vref_take(L, &c->tasks);
    lua_newtable(L);
    vref_take(L, &c->state);
}

/* In the order in which executor.c adds the routes: by component and input. */
static void make_customs(lua_State *L, struct guest *g)
{
    const struct plan *plan = g->context->plan;
    unsigned count = count_customs(g);
    if (count == 0) return;
    g->customs = mem_zero(count, sizeof *g->customs);
    if (g->customs == NULL) {
        luaL_error(L, "not enough memory");
        return;
    }
    for (unsigned c = 0; c < plan->count; c++)
        for (unsigned i = 0; i < plan->components[c].input_count; i++) {
            const struct input_plan *input = &plan->components[c].inputs[i];
            if (!reads_custom(g, input)) continue;
            struct custom *custom = &g->customs[g->custom_count++];
            *custom = (struct custom){
                .stream = input->stream, .component = c, .input = i};
            make_tables(L, g, custom);
        }
}

/* From the record at `record`: its component's `from`, one grouping or a list
 * of them. */
static void find_choose(lua_State *L, struct guest *g, struct custom *c,
                        const struct vref *record)
{
    int top = lua_gettop(L);
    const struct component_plan *to = subscriber(g, c);
    if (!script_component(L, record, to->name))
        luaL_error(L, "component '%s' is gone", to->name);
    script_field(L, -1, "body");
    bool is_there = script_field(L, -1, "from") == LUA_TTABLE;
    if (is_there && script_field(L, -1, "grouping") == LUA_TNIL) {
        lua_pop(L, 1);
        lua_rawgeti(L, -1, (lua_Integer)c->input + 1);
    } else if (is_there) {
        lua_pop(L, 1);
    }
    if (script_field(L, -1, "choose") != LUA_TFUNCTION)
        luaL_error(L, "the custom grouping of '%s' is gone", to->name);
    vref_take(L, &c->choose);
    lua_settop(L, top);
}

void custom_adopt(lua_State *L, struct guest *g, const struct vref *record)
{
    if (g->customs == NULL) make_customs(L, g);
    for (unsigned i = 0; g->customs && i < g->custom_count; i++)
        find_choose(L, g, &g->customs[i], record);
}

void custom_fini(struct guest *g)
{
    for (unsigned i = 0; i < g->custom_count; i++) {
        vref_drop(&g->customs[i].choose);
        vref_drop(&g->customs[i].tasks);
        vref_drop(&g->customs[i].state);
    }
    mem_free(g->customs);
}

static void bad_choice(lua_State *L, const struct component_plan *to,
                       const char *what)
{
    luaL_error(L,
               "the custom grouping of '%s' returned %s; return a list of its "
               "tasks: { tasks[1], … }",
               to->name, what);
}

/* The function's result is on the top. */
static void check_choice(lua_State *L, const struct component_plan *to)
{
    if (!lua_istable(L, -1)) bad_choice(L, to, luaL_typename(L, -1));
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    if (count == 0) bad_choice(L, to, "no task");
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        lua_Integer port = lua_tointeger(L, -1) - (lua_Integer)to->first_task;
        if (!lua_isinteger(L, -1) || port < 0 || port >= (lua_Integer)to->tasks)
            bad_choice(L, to, "what is none of its tasks");
        lua_pop(L, 1);
    }
}

/* A table of its own, so that nobody changes it later: its ports. */
static void copy_choice(lua_State *L, const struct component_plan *to)
{
    int count = (int)lua_rawlen(L, -1);
    lua_createtable(L, count, 0);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, -2, i);
        lua_pushinteger(L, lua_tointeger(L, -1) - (lua_Integer)to->first_task);
        lua_rawseti(L, -3, i);
        lua_pop(L, 1);
    }
    lua_remove(L, -2);
}

static void choose(lua_State *L, struct guest *g, struct custom *c, int first,
                   int count)
{
    const struct component_plan *to = subscriber(g, c);
    luaL_checkstack(L, 8, "too many custom groupings");
    vref_push(L, &c->choose);
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushvalue(L, first + i);
        lua_rawseti(L, -2, i + 1);
    }
    vref_push(L, &c->tasks);
    vref_push(L, &c->state);
    lua_call(L, 3, 1);
    check_choice(L, to);
    copy_choice(L, to);
}

void custom_choose(lua_State *L, struct guest *g, unsigned stream, int first,
                   int count)
{
    for (unsigned i = 0; i < g->custom_count; i++)
        if (g->customs[i].stream == stream)
            choose(L, g, &g->customs[i], first, count);
}

bool custom_pick(lua_State *L, int index, int n, uint32_t *port)
{
    bool is_there = lua_rawgeti(L, index, n) == LUA_TNUMBER;
    if (is_there) *port = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return is_there;
}
