#include "lua/component.h"
#include "actors/stream/state.h"
#include "actors/stream/topology.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/node.h"
#include "lua/combine.h"
#include "lua/grouping.h"
#include "lua/guest.h"
#include "lua/held.h"
#include "lua/hooks.h"
#include "lua/json.h"
#include "lua/sandbox.h"
#include "lua/state.h"
#include "lua/value.h"
#include "lua/windowed.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define NO_MEMORY "not enough memory" /* Lua's text */

enum { STEP_NS = 50 }; /* of a budget, where instructions are counted */

/* ---- self ---- */

/* self.tuple: what the few need to know of the tuple in hand. */
static void push_tuple(lua_State *L, struct guest *g)
{
    if (!g->in_hand) {
        lua_pushnil(L);
        return;
    }
    unsigned source = g->input->source;
    const struct component_plan *from = input_component(g->context, source);
    const struct stream_plan *stream = input_stream(g->context, source);
    lua_createtable(L, 0, 5);
    lua_pushstring(L, from->name);
    lua_setfield(L, -2, "component");
    lua_pushstring(L, stream->name);
    lua_setfield(L, -2, "stream");
    lua_Integer task = (lua_Integer)g->input->batch->task;
    lua_pushinteger(L, task);
    lua_setfield(L, -2, "task");
    lua_pushinteger(L, task - (lua_Integer)from->first_task);
    lua_setfield(L, -2, "index");
    lua_createtable(L, (int)stream->arity, 0);
    for (unsigned i = 0; i < stream->arity; i++) {
        lua_pushstring(L, stream->fields[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "fields");
}

void guest_push_source(lua_State *L, const struct guest *g, unsigned source)
{
    const char *component = input_component(g->context, source)->name;
    const char *stream = input_stream(g->context, source)->name;
    if (strcmp(stream, "default") == 0)
        lua_pushstring(L, component);
    else
        lua_pushfstring(L, "%s:%s", component, stream);
}

static int self_index(lua_State *L)
{
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(key, "tuple") == 0)
        push_tuple(L, guest_of(L));
    else if (strcmp(key, "hold") == 0 || strcmp(key, "emit_from") == 0)
        return luaL_error(L,
                          "self.%s is for bolts that settle their tuples "
                          "themselves; add acking = \"manual\"",
                          key);
    else if (strcmp(key, "state") == 0)
        return luaL_error(L, "self.state is for components that keep state; "
                             "add state = \"durable\"");
    else
        lua_pushnil(L);
    return 1;
}

static int self_newindex(lua_State *L)
{
    static const char *const own[] = {"tuple", "state", NULL};
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    for (int i = 0; own[i]; i++)
        if (strcmp(own[i], key) == 0)
            return luaL_error(L, "self.%s is the engine's; use another name",
                              key);
    lua_rawset(L, 1);
    return 0;
}

static void make_self(lua_State *L, struct guest *g)
{
    lua_createtable(L, 0, 8);
    guest_add_emits(L, g);
    lua_getfield(L, -1, "emit");
    vref_take(L, &g->engine_emit);
    const struct window_plan *window = g->config->window;
    if (g->context->state && !(window && window->hides)) state_add(L, g);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, self_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, self_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    vref_take(L, &g->self);
}

/* The field of self at the top is as it was made; or it is again, and raises.
 */
static void check_field(lua_State *L, const char *name, const struct vref *made)
{
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    vref_push(L, made);
    bool same = lua_rawequal(L, -1, -2);
    lua_remove(L, -2);
    if (!same) {
        lua_setfield(L, -2, name);
        luaL_error(L,
                   "self.%s was assigned; it is the engine's, use another "
                   "name",
                   name);
    }
    lua_pop(L, 1);
}

/* self.emit is an ordinary field, so that calling it costs nothing; that it
 * is still the engine's is looked at between batches. */
static int check_self(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    vref_push(L, &g->self);
    check_field(L, "emit", &g->engine_emit);
    if (g->state_mark) check_field(L, "state", &g->state);
    return 0;
}

/* ---- bolts: a batch ---- */

static void push_execute(lua_State *L, struct guest *g)
{
    vref_push(L, &g->body);
    script_field(L, -1, "execute");
    if (lua_istable(L, -1)) {
        unsigned source = g->input->source;
        script_field(L, -1, input_component(g->context, source)->name);
        lua_remove(L, -2);
    }
    lua_remove(L, -2);
}

static void tuple_through(struct guest *g)
{
    g->in_hand = false;
    g->may_emit = true; /* a combine that failed had it taken */
    g->combining = NULL;
    if (g->touched) held_keep(g);
    input_done(g->context, g->input, g->end);
    if (g->state_mark) state_keep(g->context->state);
}

enum { GUEST = 1, EXECUTE, SELF, STRINGS }; /* the stack of each_tuple() */

static inline const uint8_t *push_field(lua_State *L, struct guest *g,
                                        const uint8_t *at)
{
    uint8_t head = *at;
    if ((head & 0xe0) != MSGPACK_FIXSTR) return value_push_long(L, at);
    recent_push(L, g->recent, STRINGS, (const char *)at + 1, head & 31);
    return at + 1 + (head & 31);
}

/* Calls execute for each tuple that is left; also its own continuation. */
static int each_tuple(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    int arity = (int)g->arity;
    if (g->in_hand) tuple_through(g); /* it had been suspended */
    const uint8_t *at;
    while ((at = input_next(g->context, g->input)) != NULL) {
        vm_next_tuple(L);
        g->in_hand = true;
        g->end = NULL;
        lua_pushvalue(L, EXECUTE);
        lua_pushvalue(L, SELF);
        for (int i = 0; i < arity; i++)
            at = push_field(L, g, at);
        g->end = at;
        lua_callk(L, arity + 1, 0, ctx, each_tuple);
        tuple_through(g);
    }
    return 0;
}

static int take_tuples(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    g->may_emit = true;
    push_execute(L, g);
    vref_push(L, &g->self);
    g->recent = recent_begin(L);
    return each_tuple(L, LUA_OK, (lua_KContext)g);
}

/* First the hook that is told of a failed tuple. It belongs to none, so it may
 * not emit. */
static int begin_tuples(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    luaL_checkstack(L, (int)g->arity + 8, "too many values");
    if (hooks_push_failure(L, g)) {
        vm_next_tuple(L);
        g->may_emit = false;
        lua_callk(L, 2, 0, (lua_KContext)g, take_tuples);
    }
    return take_tuples(L, LUA_OK, (lua_KContext)g);
}

const char *guest_reason(struct guest *g, const char *why)
{
    size_t text = strlen(NO_MEMORY);
    if (strncmp(why, NO_MEMORY, text) != 0 || (why[text] && why[text] != '\n'))
        return why;
    size_t bytes = vm_config_of(g->script.vm)->memory_bytes;
    bool small = bytes < 1 << 20;
    snprintf(g->context->error, sizeof g->context->error,
             NO_MEMORY "; the limit of a task of '%s' is %zu %s; keep less, or "
                       "give it memory = \"…MB\"",
             g->config->component, bytes >> (small ? 10 : 20),
             small ? "KB" : "MB");
    return g->context->error;
}

/* The tuple in hand failed: its output is taken back, the rest goes on. */
static void fail_tuple(struct guest *g, const char *why)
{
    const uint8_t *end = g->end;
    if (end == NULL) end = value_skip_many(g->input->at, g->arity);
    g->in_hand = false;
    g->combining = NULL;
    held_undo(g);
    why = guest_reason(g, why);
    hooks_note_failure(g, why);
    executor_fail(g->context, g->input, end, why);
}

/* The one protected call around the batch, and its continuation: after a
 * tuple's error it goes on at the next. The stack: guest, handler. */
static int guard(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    for (;;) {
        if (status != LUA_OK && status != LUA_YIELD) {
            if (!g->in_hand) return lua_error(L); /* before the first tuple */
            const char *why = lua_tostring(L, -1);
            fail_tuple(g, why ? why : "an error without a text");
        } else if (g->input->left == 0 && g->hooks.failed_at == NULL) {
            return 0;
        }
        lua_settop(L, 2);
        lua_pushcfunction(L, begin_tuples);
        lua_pushlightuserdata(L, g);
        status = lua_pcallk(L, 1, 0, 2, ctx, guard);
    }
}

static int batch_body(lua_State *L)
{
    vm_handler(L);
    return guard(L, LUA_OK, (lua_KContext)lua_touserdata(L, 1));
}

enum step guest_crash(struct guest *g)
{
    snprintf(g->context->error, sizeof g->context->error, "%s",
             vm_error(g->script.vm));
    return STEP_CRASH;
}

enum step guest_suspended(struct guest *g, enum vm_outcome outcome)
{
    if (outcome == VM_YIELDED) return STEP_YIELD;
    g->context->sleep_ns = (int64_t)vm_sleep_ns(g->script.vm);
    return STEP_SLEEP;
}

static enum step batch_outcome(struct guest *g, enum vm_outcome outcome)
{
    while (outcome == VM_DROPPED || outcome == VM_FAILED) {
        if (!g->in_hand) return guest_crash(g);
        fail_tuple(g, vm_error(g->script.vm));
        /* It had its slice and more: the rest of the batch in a later turn. */
        if (outcome == VM_DROPPED) return STEP_YIELD;
        outcome = vm_run(g->script.vm, guest_seat(g), batch_body, g);
    }
    if (outcome != VM_DONE) return guest_suspended(g, outcome);
    /* The run of the last tuple's anchor is closed by asking for the next. */
    input_next(g->context, g->input);
    g->anchored = g->may_emit = false;
    if (vm_protect(g->script.vm, check_self, g) != OK) return guest_crash(g);
    return STEP_DONE;
}

static enum step guest_execute(struct component_context *context, void *self,
                               struct input *input)
{
    struct guest *g = self;
    g->input = input;
    if (input->batch->combined) return combine_execute(g);
    if (g->windowed) return windowed_execute(g);
    g->running = RUN_BATCH;
    g->arity = input_stream(context, input->source)->arity;
    g->anchored = g->may_emit = true;
    return batch_outcome(g, vm_run(g->script.vm, guest_seat(g), batch_body, g));
}

/* ---- one function of the component ---- */

/* The numbers of each component's tasks, by its name. */
static void push_tasks(lua_State *L, const struct plan *plan)
{
    lua_createtable(L, 0, (int)plan->count);
    for (unsigned i = 0; i < plan->count; i++) {
        const struct component_plan *c = &plan->components[i];
        if (strncmp(c->name, "__", 2) == 0) continue; /* the engine's own */
        lua_createtable(L, (int)c->tasks, 0);
        for (unsigned k = 0; k < c->tasks; k++) {
            lua_pushinteger(L, (lua_Integer)c->first_task + k);
            lua_rawseti(L, -2, k + 1);
        }
        lua_setfield(L, -2, c->name);
    }
}

static void push_context(lua_State *L, struct guest *g)
{
    struct component_context *c = g->context;
    lua_createtable(L, 0, 7);
    lua_pushstring(L, c->plan->name);
    lua_setfield(L, -2, "topology");
    lua_pushstring(L, c->component->name);
    lua_setfield(L, -2, "component");
    lua_pushinteger(L, (lua_Integer)c->task);
    lua_setfield(L, -2, "task");
    lua_pushinteger(L, (lua_Integer)c->index);
    lua_setfield(L, -2, "index");
    lua_pushinteger(L, (lua_Integer)c->component->tasks);
    lua_setfield(L, -2, "tasks");
    push_tasks(L, c->plan);
    lua_setfield(L, -2, "tasks_of");
    /* config: the component's over the topology's. */
    lua_newtable(L);
    vref_push(L, &g->script.now.record);
    script_field(L, -1, "body");
    script_field(L, -1, "config");
    vref_push(L, &g->body);
    script_field(L, -1, "config");
    int merged = lua_gettop(L) - 5;
    for (int from = merged + 3; from <= merged + 5; from += 2) {
        if (!lua_istable(L, from)) continue;
        lua_pushnil(L);
        while (lua_next(L, from)) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, merged);
        }
    }
    lua_settop(L, merged);
    lua_setfield(L, -2, "config");
}

static int call_done(lua_State *L, int status, lua_KContext ctx)
{
    return 0;
}

/* Calls the function that g->call names, if the component has it. */
static int call_body(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    vm_next_tuple(L);
    vref_push(L, &g->body);
    if (script_field(L, -1, g->call) != LUA_TFUNCTION) return 0;
    vref_push(L, &g->self);
    int args = 1;
    if (strcmp(g->call, "prepare") == 0 || strcmp(g->call, "open") == 0) {
        push_context(L, g);
        args = 2;
    }
    lua_callk(L, args, 0, 0, call_done);
    return 0;
}

enum step guest_call_outcome(struct guest *g, enum vm_outcome outcome)
{
    if (outcome == VM_YIELDED || outcome == VM_SLEEPING)
        return guest_suspended(g, outcome);
    g->may_emit = false;
    if (outcome != VM_DONE) return guest_crash(g);
    if (g->state_mark) state_keep(g->context->state);
    return STEP_DONE;
}

enum step guest_call(struct guest *g, const char *name)
{
    g->running = RUN_CALL;
    g->combining = NULL;
    g->call = name;
    g->anchored = false;
    g->may_emit = true;
    return guest_call_outcome(
        g, vm_run(g->script.vm, guest_seat(g), call_body, g));
}

static enum step guest_open(struct component_context *context, void *self)
{
    struct guest *g = self;
    if (g->windowed) {
        enum step step = windowed_open(g);
        if (step != STEP_DONE) return step;
    }
    return guest_call(g, guest_is_spout(g) ? "open" : "prepare");
}

static enum step guest_finish(struct component_context *context, void *self)
{
    struct guest *g = self;
    if (g->windowed) return windowed_finish(g);
    return guest_call(self, "finish");
}

static enum step guest_activate(struct component_context *context, void *self,
                                bool active)
{
    return guest_call(self, active ? "activate" : "deactivate");
}

static enum step guest_tick(struct component_context *context, void *self)
{
    struct guest *g = self;
    if (g->windowed) return windowed_tick(g);
    return guest_call(self, "tick");
}

static enum step guest_dry(struct component_context *context, void *self)
{
    struct guest *g = self;
    return g->windowed ? windowed_dry(g) : STEP_DONE;
}

/* ---- resume ---- */

static enum step guest_resume(struct component_context *context, void *self)
{
    struct guest *g = self;
    if (g->running == RUN_WINDOW) return windowed_resume(g);
    enum vm_outcome outcome =
        vm_is_suspended(g->script.vm)
            ? vm_resume(g->script.vm, guest_seat(g))
            : vm_run(g->script.vm, guest_seat(g), batch_body, g);
    switch (g->running) {
    case RUN_BATCH: return batch_outcome(g, outcome);
    case RUN_ROWS: return combine_outcome(g, outcome);
    case RUN_NEXT: return guest_next_outcome(g, outcome);
    default: return guest_call_outcome(g, outcome);
    }
}

/* ---- life ---- */

static void say(struct script *script, int level, const char *text,
                size_t bytes)
{
    struct guest *g = (struct guest *)(void *)script;
    if (g->context == NULL) return;
    executor_log(g->context, level, "%.*s", (int)bytes, text);
}

static bool may_sleep(struct script *script)
{
    struct guest *g = (struct guest *)(void *)script;
    return guest_is_spout(g);
}

static int64_t wall_ns(struct script *script)
{
    struct guest *g = (struct guest *)(void *)script;
    const struct world *world = node_world(env_node(g->context->env));
    return world->wall_ns(world->context);
}

struct adoption {
    struct guest *guest;
    const struct edition *edition;
    struct vref *body;
    bool has_fail, has_cleanup;
};

static bool has_function(lua_State *L, const char *name)
{
    bool found = script_field(L, -1, name) == LUA_TFUNCTION;
    lua_pop(L, 1);
    return found;
}

/* lua/engine/operators.lua and joins.lua, put into the binary by the linker. */
extern const char _binary_operators_lua_start[], _binary_operators_lua_end[];
extern const char _binary_joins_lua_start[], _binary_joins_lua_end[];

static void push_fields(lua_State *L, const struct stream_plan *stream)
{
    lua_createtable(L, (int)stream->arity, 0);
    for (unsigned i = 0; i < stream->arity; i++) {
        lua_pushstring(L, stream->fields[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

/* What joins.lua wants to know of each input, and `null`. */
static void push_inputs(lua_State *L, struct guest *g)
{
    const struct component_context *c = g->context;
    lua_createtable(L, (int)c->component->input_count, 0);
    for (unsigned i = 0; i < c->component->input_count; i++) {
        lua_createtable(L, 0, 2);
        guest_push_source(L, g, i);
        lua_setfield(L, -2, "source");
        push_fields(L, input_stream(c, i));
        lua_setfield(L, -2, "fields");
        lua_rawseti(L, -2, i + 1);
    }
    value_push_null(L);
}

static void load_chunk(lua_State *L, const char *start, const char *end,
                       const char *name)
{
    lua_pushnil(L);
    sandbox_env(L);
    sandbox_load(L, start, (size_t)(end - start), name);
}

/* The component's table is at the top and holds an operator: it becomes one
 * with functions. */
static void push_operator(lua_State *L, struct guest *g)
{
    const char *name = g->config->operator_name;
    bool joins = strcmp(name, "join") == 0 || strcmp(name, "cogroup") == 0;
    if (joins)
        load_chunk(L, _binary_joins_lua_start, _binary_joins_lua_end, "=join");
    else
        load_chunk(L, _binary_operators_lua_start, _binary_operators_lua_end,
                   "=operator");
    lua_pushstring(L, name);
    lua_rawgeti(L, -3, 1);
    script_field(L, -1, "args");
    lua_replace(L, -2);
    if (joins)
        push_inputs(L, g);
    else
        push_fields(L, input_stream(g->context, 0));
    if (!joins) lua_pushboolean(L, g->context->state != NULL);
    lua_call(L, 4, 1);
    lua_replace(L, -2);
}

/* Finds the component's table in an edition and checks the graph. */
static int find_body(lua_State *L)
{
    struct adoption *a = lua_touserdata(L, 1);
    struct guest *g = a->guest;
    vref_push(L, &a->edition->record);
    uint64_t digest = script_digest(L);
    lua_pop(L, 1);
    if (digest != a->edition->bundle->digest)
        return luaL_error(L, "the definition describes another graph in this "
                             "task than in the plan; it may not depend on "
                             "chance, time or order");
    if (!script_component(L, &a->edition->record, g->config->component) ||
        script_field(L, -1, "body") != LUA_TTABLE)
        return luaL_error(L, "component '%s' is gone", g->config->component);
    lua_pushvalue(L, -1);
    if (g->config->operator_name) push_operator(L, g);
    a->has_fail = has_function(L, "fail");
    a->has_cleanup = has_function(L, "cleanup");
    hooks_adopt(L, g, lua_gettop(L) - 1, &a->edition->record,
                a->body == &g->body);
    vref_take(L, a->body);
    if (a->body == &g->body) {
        custom_adopt(L, g, &a->edition->record);
        combine_adopt(L, g, &a->edition->record);
    }
    return 0;
}

static int make_tables(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    make_self(L, g);
    lua_newtable(L);
    vref_take(L, &g->ids);
    return 0;
}

static err adopt(struct guest *g, const struct edition *edition,
                 struct vref *body)
{
    struct adoption a = {.guest = g, .edition = edition, .body = body};
    err e = vm_protect(g->script.vm, find_body, &a);
    if (e != OK || body != &g->body) return e;
    g->has_fail = a.has_fail;
    g->has_cleanup = a.has_cleanup;
    return OK;
}

static void guest_fini(struct guest *g)
{
    windowed_fini(g);
    vref_drop(&g->body);
    vref_drop(&g->self);
    vref_drop(&g->ids);
    vref_drop(&g->engine_emit);
    vref_drop(&g->state);
    custom_fini(g);
    combine_fini(g);
    held_fini(g);
    hooks_fini(g);
    script_fini(&g->script);
    for (unsigned i = g->notice_next; i < g->notice_count; i++)
        mem_free(g->notices[i].reason);
    mem_free(g->notices);
    buffer_fini(&g->scratch);
    buffer_fini(&g->ttl_row);
}

static void held_up(void *host)
{
    struct guest *g = host;
    env_held_up(g->context->env);
}

static struct vm_config limits(const struct guest *g)
{
    const struct world *world = node_world(env_node(g->context->env));
    return (struct vm_config){
        .memory_bytes = g->config->memory_bytes,
        .budget_ns = (uint64_t)g->config->budget_ns,
        .pages = lua_runtime_pages(g->config->runtime),
        .counting = world->counting,
        .budget_steps = (uint64_t)g->config->budget_ns / STEP_NS,
        .seed = node_seed(env_node(g->context->env)) + g->context->task,
        .held_up = held_up,
    };
}

static err guest_make(struct component_context *context, void *self)
{
    struct guest *g = self;
    g->context = context;
    g->config = context->component->config;
    g->script.say = say;
    g->script.may_sleep = may_sleep;
    g->script.wall_ns = wall_ns;
    const struct code *newest = context->code;
    err e = script_load(&g->script, newest ? newest->text : g->config->bundle,
                        limits(g), guest_seat(g));
    const char *why = g->script.error;
    if (e == OK) {
        e = adopt(g, &g->script.now, &g->body);
        if (e == OK) e = vm_protect(g->script.vm, make_tables, g);
        if (e == OK) e = windowed_make(g);
        if (e != OK) why = vm_error(g->script.vm);
    }
    if (e == OK) return OK;
    snprintf(context->error, sizeof context->error, "%s", why);
    guest_fini(g);
    return e;
}

/* What the sinks say of what they write themselves. */
static int say_replaced(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    uint64_t replaced = json_replaced(L);
    if (replaced > 0)
        executor_log(g->context, LOG_WARN,
                     "%llu times JSON could not say what a value held: bytes "
                     "that are not UTF-8 became U+FFFD, NaN and infinities "
                     "null",
                     (unsigned long long)replaced);
    return 0;
}

static void guest_free(struct component_context *context, void *self)
{
    struct guest *g = self;
    if (!vm_is_suspended(g->script.vm) && g->has_cleanup) {
        g->call = "cleanup";
        g->may_emit = false;
        if (script_run(&g->script, guest_seat(g), call_body, g) != OK)
            executor_log(context, LOG_WARN, "cleanup: %s", g->script.error);
    }
    if (!vm_is_suspended(g->script.vm))
        vm_protect(g->script.vm, say_replaced, g);
    guest_fini(g);
}

/* ---- state ---- */

static void guest_undo(struct component_context *context, void *self)
{
    if (context->state) state_undo(context->state);
}

/* ---- new code ---- */

static err guest_load_code(struct component_context *context, void *self,
                           const void *code_)
{
    struct guest *g = self;
    const struct code *code = code_;
    err e = script_load_next(&g->script, code->text, guest_seat(g));
    if (e != OK) {
        snprintf(context->error, sizeof context->error, "%s", g->script.error);
        return e;
    }
    struct vref body = {0};
    e = adopt(g, &g->script.next, &body);
    vref_drop(&body);
    if (e == OK) return OK;
    snprintf(context->error, sizeof context->error, "%s",
             vm_error(g->script.vm));
    script_drop(&g->script);
    return e;
}

static enum step guest_switch_code(struct component_context *context,
                                   void *self)
{
    struct guest *g = self;
    if (g->script.next.bundle == NULL) return STEP_DONE;
    if (adopt(g, &g->script.next, &g->body) != OK) return guest_crash(g);
    script_take(&g->script);
    return guest_call(g, "on_reload");
}

static void guest_drop_code(struct component_context *context, void *self)
{
    struct guest *g = self;
    script_drop(&g->script);
}

static void code_free(struct env *env, struct ref *ref)
{
    struct code *code = (struct code *)(void *)ref;
    struct bundle *bundle = code->text;
    ref_drop(env, &bundle->ref);
    mem_free(code);
}

struct code *lua_code_new(struct bundle *bundle,
                          void (*done)(struct code *code, bool taken,
                                       const char *error))
{
    struct code *code = mem_zero(1, sizeof *code);
    if (code == NULL) return NULL;
    ref_init(&code->ref, code_free);
    ref_take(&bundle->ref);
    code->text = bundle;
    code->done = done;
    return code;
}

static bool same_arguments(const struct lua_config *a,
                           const struct lua_config *b)
{
    if (a->argument_count != b->argument_count) return false;
    for (unsigned i = 0; i < a->argument_count; i++)
        if (strcmp(a->arguments[i], b->arguments[i]) != 0) return false;
    return true;
}

/* Functions are taken over, what they are for is not. */
static const char *changed_operator(const struct lua_config *a,
                                    const struct lua_config *b)
{
    const char *was = a->operator_name, *is = b->operator_name;
    if (was == NULL && is == NULL) return NULL;
    if (was == NULL || is == NULL) return "operator";
    if (strcmp(was, is) != 0) return "operator";
    return same_arguments(a, b) ? NULL : was;
}

static bool changed_window(const struct window_plan *a,
                           const struct window_plan *b)
{
    if (a == NULL || b == NULL) return a != b;
    return strcmp(a->text, b->text) != 0;
}

static const char *guest_change(const void *now, const void *next)
{
    const struct lua_config *a = now, *b = next;
    const char *changed = changed_operator(a, b);
    if (changed) return changed;
    if (changed_window(a->window, b->window)) return "window";
    if (a->generates != b->generates) return "generator";
    if (a->rate != b->rate) return "rate";
    if (a->count != b->count) return "count";
    if (a->memory_bytes != b->memory_bytes) return "memory";
    return a->budget_ns != b->budget_ns ? "budget" : NULL;
}

const struct component_class lua_class = {
    .name = "lua",
    .state_bytes = sizeof(struct guest),
    .heavy = true,
    .reduces = true,
    .change = guest_change,
    .make = guest_make,
    .free = guest_free,
    .open = guest_open,
    .execute = guest_execute,
    .finish = guest_finish,
    .tick = guest_tick,
    .dry = guest_dry,
    .resume = guest_resume,
    .next = guest_next,
    .ack = guest_ack,
    .fail = guest_fail,
    .notify = guest_notify,
    .activate = guest_activate,
    .replay = guest_replay,
    .load_code = guest_load_code,
    .switch_code = guest_switch_code,
    .drop_code = guest_drop_code,
    .snapshot = guest_snapshot,
    .restore = guest_restore,
    .undo = guest_undo,
};
