#include "lua/definition.h"
#include "actors/connectors/connector.h"
#include "actors/operators/operator.h"
#include "actors/stream/promise.h"
#include "core/alloc.h"
#include "core/real.h"
#include "core/value.h"
#include "lua/component.h"
#include "lua/hint.h"
#include "lua/runtime.h"
#include "lua/sandbox.h"
#include "lua/script.h"
#include "lua/units.h"
#include "lua/value.h"
#include "lua/windowed.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* lua/engine/plan.lua, put into the binary by the linker. */
extern const char _binary_plan_lua_start[], _binary_plan_lua_end[];
extern const char _binary_connectors_lua_start[], _binary_connectors_lua_end[];
extern const char _binary_windows_lua_start[], _binary_windows_lua_end[];
extern const char _binary_joins_lua_start[], _binary_joins_lua_end[];

/* Roots of a spout task, if none is given: what windows hold is among them. */
enum { PENDING_MOST = 16384, PENDING_MOST_WINDOWS = 1000000 };

struct loader {
    struct script script; /* first: the VM's host */
    struct definition *definition;
    struct arena *arena;
    struct lua_runtime *runtime;
    const char *path;
    struct buffer rows; /* scratch of OPTION_ROWS */
    char *errors;       /* owned; what the check found */
    int line;           /* of the component that is being taken; or 0 */
    bool usage;
    bool *known;           /* of each --set; NULL: all must be */
    struct bundle **tried; /* NULL: nobody wants it */
};

/* ---- connectors as the checker sees them ---- */

static void set_text(lua_State *L, const char *key, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

static void push_option(lua_State *L, const char *name, const char *type,
                        bool required, const char *choices)
{
    lua_createtable(L, 0, 4);
    set_text(L, "name", name);
    set_text(L, "type", type);
    lua_pushboolean(L, required);
    lua_setfield(L, -2, "required");
    if (choices) set_text(L, "choices", choices);
}

static void push_generator(lua_State *L)
{
    lua_createtable(L, 0, 3);
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "source");
    lua_createtable(L, 3, 0);
    push_option(L, "rate", "count", false, NULL);
    lua_pushinteger(L, 1);
    lua_setfield(L, -2, "least");
    lua_rawseti(L, -2, 1);
    push_option(L, "count", "count", false, NULL);
    lua_rawseti(L, -2, 2);
    push_option(L, "make", "function", false, NULL);
    lua_rawseti(L, -2, 3);
    lua_setfield(L, -2, "options");
}

/* From each format to the field that brings the whole, or false. */
static void push_records(lua_State *L, const struct record_format *r)
{
    lua_newtable(L);
    for (; r && r->format; r++) {
        if (r->whole)
            lua_pushstring(L, r->whole);
        else
            lua_pushboolean(L, false);
        lua_setfield(L, -2, r->format);
    }
}

static void push_connectors(lua_State *L)
{
    static const char *const types[] = {
        [OPTION_TEXT] = "text",     [OPTION_FLAG] = "flag",
        [OPTION_COUNT] = "count",   [OPTION_DURATION] = "duration",
        [OPTION_CHOICE] = "choice", [OPTION_ROWS] = "rows",
        [OPTION_SIZE] = "size",     [OPTION_TEXTS] = "texts",
    };
    const struct connector *c;
    lua_newtable(L);
    for (unsigned i = 0; (c = connector_at(i)) != NULL; i++) {
        lua_createtable(L, 0, 4);
        lua_pushboolean(L, c->source != NULL);
        lua_setfield(L, -2, "source");
        lua_pushboolean(L, c->sink != NULL);
        lua_setfield(L, -2, "sink");
        if (c->field) set_text(L, "field", c->field);
        push_records(L, c->records);
        lua_setfield(L, -2, "records");
        lua_createtable(L, (int)c->option_count, 0);
        for (unsigned k = 0; k < c->option_count; k++) {
            const struct option *o = &c->options[k];
            push_option(L, o->name, types[o->type], o->required, o->choices);
            if (o->instead) set_text(L, "instead", o->instead);
            lua_rawseti(L, -2, k + 1);
        }
        lua_setfield(L, -2, "options");
        lua_setfield(L, -2, c->name);
    }
    push_generator(L);
    lua_setfield(L, -2, "generator");
}

/* ---- Lua's plan into ours ---- */

static void *take(lua_State *L, struct loader *l, size_t bytes)
{
    void *block = arena_zero(l->arena, bytes);
    if (block == NULL) luaL_error(L, "out of memory");
    return block;
}

static const char *text_field(lua_State *L, struct loader *l, const char *key)
{
    size_t bytes;
    lua_getfield(L, -1, key);
    const char *text = lua_tolstring(L, -1, &bytes);
    char *copy = text ? arena_text(l->arena, text, bytes) : NULL;
    if (text && copy == NULL) luaL_error(L, "out of memory");
    lua_pop(L, 1);
    return copy;
}

static bool flag_field(lua_State *L, const char *key)
{
    lua_getfield(L, -1, key);
    bool flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

static int64_t number_field(lua_State *L, const char *key)
{
    lua_getfield(L, -1, key);
    int64_t n = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return n;
}

/* The list at the top of the stack. */
static const char *const *take_names(lua_State *L, struct loader *l,
                                     unsigned *count)
{
    *count = (unsigned)lua_rawlen(L, -1);
    const char **names = take(L, l, (*count + 1) * sizeof *names);
    for (unsigned i = 0; i < *count; i++) {
        size_t bytes;
        lua_rawgeti(L, -1, i + 1);
        const char *name = lua_tolstring(L, -1, &bytes);
        names[i] = arena_text(l->arena, name, bytes);
        if (names[i] == NULL) luaL_error(L, "out of memory");
        lua_pop(L, 1);
    }
    return names;
}

static void take_streams(lua_State *L, struct loader *l,
                         struct component_plan *c)
{
    lua_getfield(L, -1, "streams");
    c->stream_count = (unsigned)lua_rawlen(L, -1);
    c->streams = take(L, l, (c->stream_count + 1) * sizeof *c->streams);
    for (unsigned i = 0; i < c->stream_count; i++) {
        lua_rawgeti(L, -1, i + 1);
        c->streams[i].name = text_field(L, l, "name");
        lua_getfield(L, -1, "direct");
        c->streams[i].direct = lua_toboolean(L, -1);
        lua_pop(L, 1);
        lua_getfield(L, -1, "fields");
        c->streams[i].fields = take_names(L, l, &c->streams[i].arity);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

static void take_inputs(lua_State *L, struct loader *l,
                        struct component_plan *c)
{
    static const char *const groupings[] = {
        [GROUPING_SHUFFLE] = "shuffle", [GROUPING_LOCAL] = "local_or_shuffle",
        [GROUPING_FIELDS] = "fields",   [GROUPING_GLOBAL] = "global",
        [GROUPING_NONE] = "none",       [GROUPING_PARTIAL_KEY] = "partial_key",
        [GROUPING_ALL] = "all",         [GROUPING_DIRECT] = "direct",
        [GROUPING_CUSTOM] = "custom",
    };
    lua_getfield(L, -1, "inputs");
    c->input_count = (unsigned)lua_rawlen(L, -1);
    c->inputs = take(L, l, (c->input_count + 1) * sizeof *c->inputs);
    for (unsigned i = 0; i < c->input_count; i++) {
        struct input_plan *input = &c->inputs[i];
        lua_rawgeti(L, -1, i + 1);
        input->component = (unsigned)number_field(L, "component");
        input->stream = (unsigned)number_field(L, "stream");
        const char *grouping = text_field(L, l, "grouping");
        for (int g = GROUPING_SHUFFLE; g <= GROUPING_CUSTOM; g++)
            if (strcmp(grouping, groupings[g]) == 0)
                input->grouping = (enum grouping)g;
        lua_getfield(L, -1, "keys");
        input->key_count = (unsigned)lua_rawlen(L, -1);
        for (unsigned k = 0; k < input->key_count; k++) {
            lua_rawgeti(L, -1, k + 1);
            input->keys[k] = (unsigned)lua_tointeger(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
        input->combines = flag_field(L, "combines");
        input->back = flag_field(L, "back");
        input->combine_key = (unsigned)number_field(L, "combine_key");
        input->reduces = flag_field(L, "reduces");
        input->combine_value = (unsigned)number_field(L, "combine_value");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* What the fields of a spout's stream `failed` are. */
static void take_failed(lua_State *L, struct loader *l,
                        struct component_plan *c)
{
    c->failed_stream = (unsigned)number_field(L, "failed_stream");
    if (c->failed_stream == 0) return;
    lua_getfield(L, -1, "failed_values");
    unsigned count = c->streams[c->failed_stream].arity;
    unsigned *values = take(L, l, count * sizeof *values);
    for (unsigned i = 0; i < count; i++) {
        lua_rawgeti(L, -1, i + 1);
        values[i] = (unsigned)lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    c->failed_values = values;
}

/* What the checker says for enum failed_value. */
static void push_failed_values(lua_State *L)
{
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, FAILED_REASON);
    lua_setfield(L, -2, "reason");
    lua_pushinteger(L, FAILED_COMPONENT);
    lua_setfield(L, -2, "component");
    lua_pushinteger(L, FAILED_TASK);
    lua_setfield(L, -2, "task");
}

/* The list of tuples at the top of the stack, each of `arity` values. */
static void take_rows(lua_State *L, struct loader *l, unsigned arity,
                      struct option_value *out)
{
    l->rows.used = 0;
    out->rows = lua_rawlen(L, -1);
    out->arity = arity;
    for (uint64_t row = 1; row <= out->rows; row++) {
        lua_rawgeti(L, -1, (lua_Integer)row);
        for (unsigned i = 1; i <= arity; i++) {
            lua_rawgeti(L, -1, i);
            value_encode(L, -1, &l->rows);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    out->set = true;
    out->size = l->rows.used;
    uint8_t *bytes = take(L, l, out->size + 1);
    if (out->size) memcpy(bytes, l->rows.data, out->size);
    out->bytes = bytes;
}

/* The list of texts at the top of the stack. */
static void take_texts(lua_State *L, struct loader *l, struct option_value *out)
{
    size_t bytes;
    l->rows.used = 0;
    out->rows = lua_rawlen(L, -1);
    for (uint64_t i = 1; i <= out->rows; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        const char *text = lua_tolstring(L, -1, &bytes);
        if (buffer_append(&l->rows, text, bytes + 1) != OK)
            luaL_error(L, "out of memory");
        lua_pop(L, 1);
    }
    out->size = l->rows.used;
    uint8_t *copy = take(L, l, out->size + 1);
    if (out->size) memcpy(copy, l->rows.data, out->size);
    out->bytes = copy;
}

/* The component's table is at the top; its options are in its field. */
static void take_options(lua_State *L, struct loader *l,
                         struct component_plan *c,
                         const struct connector *connector)
{
    struct connector_config *config = take(L, l, sizeof *config);
    config->connector = connector;
    lua_getfield(L, -1, "options");
    for (unsigned i = 0; i < connector->option_count; i++) {
        const struct option *o = &connector->options[i];
        struct option_value *value = &config->values[i];
        if (o->type == OPTION_ROWS) {
            take_rows(L, l, c->streams[0].arity, value);
            continue;
        }
        if (lua_getfield(L, -1, o->name) != LUA_TNIL) {
            size_t bytes;
            value->set = true;
            value->flag = lua_toboolean(L, -1);
            if (lua_isinteger(L, -1)) value->number = lua_tointeger(L, -1);
            if (o->type == OPTION_TEXTS) {
                take_texts(L, l, value);
            } else if (lua_type(L, -1) == LUA_TSTRING) {
                const char *text = lua_tolstring(L, -1, &bytes);
                value->text = arena_text(l->arena, text, bytes);
                if (value->text == NULL) luaL_error(L, "out of memory");
            }
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    c->config = config;
    c->class = c->kind == COMPONENT_SPOUT ? connector->source : connector->sink;
    char why[256];
    if (connector->check &&
        !connector->check(config->values, c->kind == COMPONENT_SINK, why,
                          sizeof why))
        luaL_error(L, "%s", why);
}

/* One place for each input. */
static const unsigned *take_places(lua_State *L, struct loader *l,
                                   const char *key, unsigned count)
{
    unsigned *places = take(L, l, (count + 1) * sizeof *places);
    lua_getfield(L, -1, key);
    for (unsigned i = 0; i < count; i++) {
        lua_rawgeti(L, -1, i + 1);
        places[i] = (unsigned)lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return places;
}

static void take_operator(lua_State *L, struct loader *l,
                          struct component_plan *c,
                          const struct operator_kind *kind)
{
    struct operator_config *config = take(L, l, sizeof *config);
    config->kind = kind;
    config->count = number_field(L, "count");
    config->memory_bytes = (size_t)number_field(L, "memory");
    unsigned count;
    lua_getfield(L, -1, "arguments");
    config->field = take_names(L, l, &count)[0];
    lua_pop(L, 1);
    /* One argument: one for each input. */
    config->places = take_places(L, l, "places", c->input_count);
    c->config = config;
    c->class = kind->class;
}

/* Of an operator with a Lua function. */
static void take_arguments(lua_State *L, struct loader *l,
                           struct lua_config *config)
{
    config->operator_name = text_field(L, l, "operator");
    if (config->operator_name == NULL) return;
    lua_getfield(L, -1, "arguments");
    config->arguments = take_names(L, l, &config->argument_count);
    lua_pop(L, 1);
}

/* `window` of the component's table at the top. */
static void take_window(lua_State *L, struct loader *l,
                        const struct component_plan *c,
                        struct lua_config *config)
{
    if (lua_getfield(L, -1, "window") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    struct window_plan *plan = take(L, l, sizeof *plan);
    plan->text = text_field(L, l, "text");
    plan->timestamp = text_field(L, l, "timestamp");
    plan->by = text_field(L, l, "by");
    plan->timestamps = take_places(L, l, "timestamp_places", c->input_count);
    plan->bys = take_places(L, l, "by_places", c->input_count);
    plan->late_stream = (unsigned)number_field(L, "late_stream");
    plan->early_ns = number_field(L, "early_us") * 1000;
    plan->kept = flag_field(L, "kept");
    plan->hides = flag_field(L, "hides");
    const char *kind = text_field(L, l, "kind");
    plan->windows = (struct windows_config){
        .kind = strcmp(kind, "session") == 0 ? WINDOW_SESSION : WINDOW_SLIDING,
        .length_us = number_field(L, "length_us"),
        .length_count = (uint32_t)number_field(L, "length_count"),
        .every_us = number_field(L, "every_us"),
        .every_count = (uint32_t)number_field(L, "every_count"),
        .gap_us = number_field(L, "gap_us"),
        .timed = plan->timestamp != NULL,
        .lag_us = number_field(L, "lag_us"),
        .allowed_us = number_field(L, "allowed_us"),
        .sources = c->input_count,
    };
    lua_pop(L, 1);
    config->window = plan;
    l->definition->plan.windows = true;
}

static void take_guest(lua_State *L, struct loader *l, struct component_plan *c,
                       bool generates)
{
    struct lua_config *config = take(L, l, sizeof *config);
    config->bundle = l->definition->bundle;
    config->component = c->name;
    config->runtime = l->runtime;
    config->memory_bytes = (size_t)number_field(L, "memory");
    config->budget_ns = number_field(L, "budget_ns");
    config->generates = generates;
    take_arguments(L, l, config);
    take_window(L, l, c, config);
    if (generates) {
        lua_getfield(L, -1, "options");
        config->rate = number_field(L, "rate");
        bool ends = lua_getfield(L, -1, "count") != LUA_TNIL;
        lua_pop(L, 1);
        config->count = ends ? number_field(L, "count") : -1;
        lua_pop(L, 1);
    }
    c->config = config;
    c->class = &lua_class;
}

/* The place of a text in a list that ends with NULL; 0: it isn't there. */
static int choice_field(lua_State *L, const char *key, const char *const *list)
{
    lua_getfield(L, -1, key);
    const char *text = lua_tostring(L, -1);
    int place = 0;
    for (int i = 0; text && list[i]; i++)
        if (strcmp(list[i], text) == 0) place = i;
    lua_pop(L, 1);
    return place;
}

static const char *const on_errors[] = {
    [ON_ERROR_FAIL] = "fail",
    [ON_ERROR_DROP] = "drop",
    [ON_ERROR_CRASH] = "crash",
    NULL,
};

static void take_component(lua_State *L, struct loader *l,
                           struct component_plan *c)
{
    const char *kind = text_field(L, l, "kind");
    l->line = (int)number_field(L, "line");
    c->line = l->line;
    c->name = text_field(L, l, "name");
    c->kind = strcmp(kind, "spout") == 0  ? COMPONENT_SPOUT
              : strcmp(kind, "bolt") == 0 ? COMPONENT_BOLT
                                          : COMPONENT_SINK;
    c->tasks = (unsigned)number_field(L, "tasks");
    c->executors = (unsigned)number_field(L, "executors");
    c->retries = (int)number_field(L, "retries");
    c->loop = (unsigned)number_field(L, "loop");
    c->every_ns = number_field(L, "every_ns");
    c->ttl_ns = number_field(L, "ttl_ns");
    c->on_error = (enum on_error)choice_field(L, "on_error", on_errors);
    lua_getfield(L, -1, "manual");
    c->manual = lua_toboolean(L, -1);
    lua_getfield(L, -2, "durable");
    c->durable = lua_toboolean(L, -1);
    lua_pop(L, 2);
    take_streams(L, l, c);
    take_failed(L, l, c);
    lua_getfield(L, -1, "names_fields");
    c->names_fields = lua_toboolean(L, -1);
    lua_pop(L, 1);
    take_inputs(L, l, c);
    const char *name = text_field(L, l, "connector");
    const struct connector *connector = name ? connector_named(name) : NULL;
    const char *operator_name = text_field(L, l, "operator");
    const struct operator_kind *native =
        operator_name ? operator_named(operator_name) : NULL;
    if (connector)
        take_options(L, l, c, connector);
    else if (native)
        take_operator(L, l, c, native);
    else
        take_guest(L, l, c, name != NULL);
    c->rewinds = connector ? c->class->rewinds : c->durable || name;
    c->transacts = c->class->transacts;
    c->keeps = c->class->keep && (connector || c->durable);
    c->checkpointed =
        c->class->checkpointed && c->class->checkpointed(c->config);
}

/* Lua's plan is at the top of the stack. */
static void take_plan(lua_State *L, struct loader *l)
{
    struct plan *plan = &l->definition->plan;
    plan->name = text_field(L, l, "name");
    plan->file = arena_text(l->arena, l->path, strlen(l->path));
    if (plan->file == NULL) luaL_error(L, "out of memory");
    plan->timeout_ns = number_field(L, "timeout_ns");
    plan->pending_max = (unsigned)number_field(L, "max_pending");
    plan->pending_adapts = plan->pending_max == 0;
    plan->loops = (unsigned)number_field(L, "loops");
    lua_getfield(L, -1, "inactive");
    plan->inactive = lua_toboolean(L, -1);
    lua_pop(L, 1);
    const char *guarantee = text_field(L, l, "guarantee");
    for (int g = AT_MOST_ONCE; g <= EXACTLY_ONCE; g++)
        if (strcmp(guarantee, guarantee_name((enum guarantee)g)) == 0)
            plan->guarantee = (enum guarantee)g;
    lua_getfield(L, -1, "components");
    plan->count = (unsigned)lua_rawlen(L, -1);
    plan->components = take(L, l, plan->count * sizeof *plan->components);
    for (unsigned i = 0; i < plan->count; i++) {
        lua_rawgeti(L, -1, i + 1);
        take_component(L, l, &plan->components[i]);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    l->line = 0;
    if (plan->pending_adapts)
        plan->pending_max = plan->windows ? PENDING_MOST_WINDOWS : PENDING_MOST;
    plan_number(plan);
}

/* Joins the list of lines at the top of the stack. */
static void keep_errors(lua_State *L, struct loader *l)
{
    luaL_Buffer b;
    int list = lua_gettop(L);
    lua_Integer n = (lua_Integer)lua_rawlen(L, list);
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        luaL_addvalue(&b);
        if (i < n) luaL_addchar(&b, '\n');
    }
    luaL_pushresult(&b);
    size_t bytes;
    const char *text = lua_tolstring(L, -1, &bytes);
    l->errors = mem_text(text, bytes);
    if (l->errors == NULL) luaL_error(L, "out of memory");
    lua_pop(L, 1);
}

static void check_sets(lua_State *L, struct loader *l)
{
    const struct bundle *b = l->definition->bundle;
    for (unsigned i = 0; i < b->param_count; i++) {
        vref_push(L, &l->script.now.params);
        lua_getfield(L, -1, b->params[i].name);
        bool known = lua_toboolean(L, -1);
        lua_pop(L, 2);
        if (l->known) l->known[i] |= known;
        if (known || l->known) continue;
        /* plan.lua knows how to look for the nearest name. */
        lua_rawgeti(L, 2, 2);
        lua_pushstring(L, b->params[i].name);
        vref_push(L, &l->script.now.params);
        lua_call(L, 2, 1);
        const char *hint = lua_tostring(L, -1);
        l->usage = true;
        luaL_error(L, "--set %s: %s has no param of that name; %s",
                   b->params[i].name, l->path, hint);
    }
}

/* [-0, +1, v] */
static void push_chunk(lua_State *L, const char *start, const char *end,
                       const char *name)
{
    lua_pushnil(L);
    sandbox_env(L);
    sandbox_load(L, start, (size_t)(end - start), name);
}

/* Pushes { check, suggest }. [-0, +1, v] */
static void push_checker(lua_State *L)
{
    push_chunk(L, _binary_plan_lua_start, _binary_plan_lua_end, "=plan");
    lua_pushcfunction(L, hint_nearest);
    lua_pushcfunction(L, units_of_duration);
    lua_pushcfunction(L, units_of_size);
    push_chunk(L, _binary_connectors_lua_start, _binary_connectors_lua_end,
               "=connectors");
    push_failed_values(L);
    push_chunk(L, _binary_windows_lua_start, _binary_windows_lua_end,
               "=windows");
    push_chunk(L, _binary_joins_lua_start, _binary_joins_lua_end, "=joins");
    lua_call(L, 0, 1); /* how it reads a path */
    lua_call(L, 7, 1);
}

static int make_plan(lua_State *L)
{
    struct loader *l = lua_touserdata(L, 1);
    push_checker(L); /* at 2 */
    check_sets(L, l);
    lua_rawgeti(L, 2, 1);
    vref_push(L, &l->script.now.record);
    push_connectors(L);
    lua_pushstring(L, l->path);
    lua_call(L, 3, 2);
    if (lua_isnil(L, -2)) {
        keep_errors(L, l);
        return 0;
    }
    lua_pop(L, 1);
    take_plan(L, l);
    vref_push(L, &l->script.now.record);
    l->definition->bundle->digest = script_digest(L);
    return 0;
}

static int64_t wall_ns(struct script *script)
{
    return real_wall_ns(NULL);
}

/* What went wrong while the file ran: its first line is for people, the
 * traceback only says that a loader called it. Where Lua gave no place or no
 * text, they are added. */
static char *first_line(const struct loader *l)
{
    static const char no_memory[] = "not enough memory";
    const char *text = l->script.error;
    char placeless[512]; /* before "(error object is a table value)" */
    snprintf(placeless, sizeof placeless, "%.400s: ", l->path);
    int bytes = (int)strcspn(text, "\n");
    char line[sizeof l->script.error + 512];
    if (bytes == 0)
        snprintf(line, sizeof line,
                 "%.400s: the file raised an error without a text; give it one",
                 l->path);
    else if (strncmp(text, no_memory, sizeof no_memory - 1) == 0)
        snprintf(line, sizeof line,
                 "%.400s: not enough memory; loading may use 64 MB", l->path);
    else if (l->line != 0)
        snprintf(line, sizeof line, "%.400s:%d: %.*s", l->path, l->line, bytes,
                 text);
    else
        snprintf(line, sizeof line, "%s%.*s", text[0] == '(' ? placeless : "",
                 bytes, text);
    return mem_text(line, strlen(line));
}

/* Can its guarantee be kept? */
static err check_promise(struct loader *l)
{
    struct buffer faults = {0};
    err e = promise_check(&l->definition->plan, &faults);
    if (e == OK && faults.used > 0) {
        l->errors = mem_text((char *)faults.data, faults.used - 1);
        if (l->errors == NULL) e = ERR_NOMEM;
    }
    buffer_fini(&faults);
    return e;
}

/* From text, or what stands at the loader's path. */
static err load(struct loader *l, const char *text, size_t bytes,
                const char *const *sets, unsigned set_count,
                struct definition **out, char **errors)
{
    char why[1024] = "out of memory";
    *errors = NULL;
    struct definition *d = mem_zero(1, sizeof *d);
    l->definition = d;
    l->script.reads_disk = true;
    l->script.wall_ns = wall_ns;
    err e = ERR_NOMEM;
    if (d) {
        d->bundle = bundle_new();
        d->plan.arena = l->arena = arena_new();
    }
    if (d && d->bundle && l->arena) e = OK;
    for (unsigned i = 0; e == OK && i < set_count; i++) {
        e = bundle_set(d->bundle, sets[i]);
        if (e == ERR_USAGE)
            snprintf(why, sizeof why, "--set %s: write --set name=value",
                     sets[i]);
    }
    if (e == OK && text)
        e = bundle_add(d->bundle, "", l->path, text, bytes, why, sizeof why);
    else if (e == OK)
        e = bundle_read(d->bundle, "", l->path, why, sizeof why);
    if (e == OK) {
        /* Nobody watches a loader: what it runs is bounded by counting. */
        struct vm_config config = {
            .seed = 1,
            .counting = true,
            .pages = lua_runtime_pages(l->runtime),
        };
        e = script_load(&l->script, d->bundle, config, NULL);
        if (e == OK) e = script_run(&l->script, NULL, make_plan, l);
        if (e == ERR_CONFIG && l->usage) e = ERR_USAGE;
        if (e == OK && l->errors == NULL) e = check_promise(l);
        if (e == OK && l->errors) e = ERR_CONFIG;
        if (e != OK && l->errors == NULL) l->errors = first_line(l);
        script_fini(&l->script);
    }
    buffer_fini(&l->rows);
    if (l->tried) {
        *l->tried = d ? d->bundle : NULL;
        if (*l->tried) ref_take(&d->bundle->ref);
    }
    if (e == OK) {
        *out = d;
        return OK;
    }
    *errors = l->errors ? l->errors : mem_text(why, strlen(why));
    definition_free(d);
    return *errors ? e : ERR_NOMEM;
}

err definition_load(const char *path, const char *const *sets,
                    unsigned set_count, struct lua_runtime *runtime,
                    struct definition **out, char **errors)
{
    struct loader l = {.path = path, .runtime = runtime};
    return load(&l, NULL, 0, sets, set_count, out, errors);
}

err definition_load_some(const char *path, const char *const *sets,
                         unsigned set_count, bool *known,
                         struct lua_runtime *runtime, struct definition **out,
                         struct bundle **tried, char **errors)
{
    struct loader l = {
        .path = path, .runtime = runtime, .known = known, .tried = tried};
    return load(&l, NULL, 0, sets, set_count, out, errors);
}

err definition_parse(const char *path, const char *text, size_t bytes,
                     const char *const *sets, unsigned set_count,
                     struct lua_runtime *runtime, struct definition **out,
                     char **errors)
{
    struct loader l = {.path = path, .runtime = runtime};
    return load(&l, text, bytes, sets, set_count, out, errors);
}

void definition_free(struct definition *d)
{
    if (d == NULL) return;
    arena_free(d->plan.arena);
    if (d->bundle) ref_drop(NULL, &d->bundle->ref);
    mem_free(d);
}

/* ---- comparing ---- */

static bool same_component(const struct component_plan *a,
                           const struct component_plan *b)
{
    if (strcmp(a->name, b->name) || a->kind != b->kind ||
        a->class != b->class || a->tasks != b->tasks ||
        a->stream_count != b->stream_count ||
        a->names_fields != b->names_fields ||
        a->input_count != b->input_count || a->every_ns != b->every_ns ||
        a->ttl_ns != b->ttl_ns)
        return false;
    for (unsigned i = 0; i < a->stream_count; i++) {
        const struct stream_plan *s = &a->streams[i], *t = &b->streams[i];
        if (strcmp(s->name, t->name) || s->arity != t->arity ||
            s->direct != t->direct)
            return false;
        for (unsigned k = 0; k < s->arity; k++)
            if (strcmp(s->fields[k], t->fields[k])) return false;
    }
    for (unsigned i = 0; i < a->input_count; i++) {
        const struct input_plan *s = &a->inputs[i], *t = &b->inputs[i];
        if (s->component != t->component || s->stream != t->stream ||
            s->grouping != t->grouping || s->key_count != t->key_count ||
            memcmp(s->keys, t->keys, s->key_count * sizeof *s->keys))
            return false;
    }
    return true;
}

/* What its running tasks would not take over; NULL: nothing. */
static const char *changed_option(const struct component_plan *a,
                                  const struct component_plan *b)
{
    for (unsigned i = 0; i < a->input_count; i++)
        if (a->inputs[i].reduces != b->inputs[i].reduces) return "combine";
    if (a->executors != b->executors) return "executors";
    if (a->retries != b->retries) return "retries";
    if (a->on_error != b->on_error) return "on_error";
    if (a->manual != b->manual) return "acking";
    if (a->durable != b->durable) return "state";
    return a->class->change ? a->class->change(a->config, b->config) : NULL;
}

static const char *changed_setting(const struct plan *a, const struct plan *b)
{
    if (a->guarantee != b->guarantee) return "guarantee";
    if (a->timeout_ns != b->timeout_ns) return "timeout";
    return a->pending_max != b->pending_max ||
                   a->pending_adapts != b->pending_adapts
               ? "max_pending"
               : NULL;
}

bool definition_same_graph(const struct definition *now,
                           const struct definition *next, char *why,
                           size_t why_bytes)
{
    const struct plan *a = &now->plan, *b = &next->plan;
    if (strcmp(a->name, b->name) || a->count != b->count) {
        snprintf(why, why_bytes, "the topology has other components now");
        return false;
    }
    for (unsigned i = 0; i < a->count; i++)
        if (!same_component(&a->components[i], &b->components[i])) {
            snprintf(why, why_bytes,
                     "the streams, inputs or tasks of '%s' have changed",
                     a->components[i].name);
            return false;
        }
    const char *what = changed_setting(a, b);
    if (what) {
        snprintf(why, why_bytes, "'%s' of the topology has changed", what);
        return false;
    }
    for (unsigned i = 0; i < a->count; i++) {
        what = changed_option(&a->components[i], &b->components[i]);
        if (what == NULL) continue;
        snprintf(why, why_bytes, "'%s' of '%s' has changed", what,
                 a->components[i].name);
        return false;
    }
    return true;
}
