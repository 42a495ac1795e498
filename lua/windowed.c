#include "actors/stream/state.h"
#include "core/alloc.h"
#include "core/node.h"
#include "core/value.h"
#include "lua/windowed_state.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY_DEFAULT = 64 << 20,
    TIMEOUT_PART = 4, /* of the message timeout: held tuples are touched */
    WATERMARK_TUPLES = 1000,
};
/* The watermark advances so often, and with each WATERMARK_TUPLES: who reads
 * old tuples as fast as can be isn't held up by the clock. */
static const int64_t WATERMARK_EVERY_NS = 1000000000;
/* What comes though nothing new was to come waits for more of its kind. */
static const int64_t STRAGGLERS_NS = 100000000;

static int64_t now_us(const struct guest *g)
{
    return (env_now(g->context->env) + g->windowed->clock_ns) / 1000;
}

/* ---- a window ---- */

static int fired(lua_State *L, int status, lua_KContext ctx)
{
    return 0;
}

static int call_execute(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    vm_next_tuple(L);
    vref_push(L, &g->body);
    script_field(L, -1, "execute");
    vref_push(L, &g->self);
    windowed_push(L, g);
    lua_callk(L, 2, 0, 0, fired);
    return 0;
}

/* The protected call has come back, at once or later. */
static int fire_over(lua_State *L, int status, lua_KContext ctx)
{
    struct guest *g = (struct guest *)ctx;
    if (status == LUA_OK || status == LUA_YIELD) return 0;
    const char *why = lua_tostring(L, -1);
    snprintf(g->context->error, sizeof g->context->error, "%s",
             why ? why : "an error without a text");
    g->rows_failed = true;
    return 0;
}

/* Protected here, so that the coroutine lives on: for another there may be no
 * memory. */
static int fire_body(lua_State *L)
{
    struct guest *g = lua_touserdata(L, 1);
    vm_handler(L);
    lua_pushcfunction(L, call_execute);
    lua_pushlightuserdata(L, g);
    return fire_over(L, lua_pcallk(L, 1, 0, 2, (lua_KContext)g, fire_over),
                     (lua_KContext)g);
}

static void begin_fire(struct guest *g)
{
    struct windowed *w = g->windowed;
    struct emitter *e = g->context->emitter;
    w->firing = true;
    w->root_before = e->root;
    w->roots_before = e->roots;
    e->root = w->roots.count > 0 ? ROOT_LIST : 0;
    e->roots = &w->roots;
    e->one_list = true;
    g->rows_failed = false;
    g->anchored = g->may_emit = true;
}

static void end_fire(struct guest *g)
{
    struct windowed *w = g->windowed;
    struct emitter *e = g->context->emitter;
    w->firing = false;
    vref_drop(&w->made);
    e->root = w->root_before;
    e->roots = w->roots_before;
    e->one_list = false;
    vref_drop(&w->object);
    g->anchored = g->may_emit = false;
}

/* Nobody would bring the tuples of a window that is kept again. */
static enum step retry_window(struct guest *g, const char *why)
{
    struct windowed *w = g->windowed;
    w->again = executor_retry(g->context, ++w->tries, why);
    end_fire(g);
    if (w->again) return g->context->sleep_ns ? STEP_SLEEP : STEP_YIELD;
    w->tries = 0;
    w->crashing = g->context->component->on_error == ON_ERROR_CRASH;
    if (!w->crashing) windows_fired(w->windows);
    return STEP_DONE;
}

/* What it emitted is taken back; what becomes of its tuples, on_error says. */
static enum step fail_window(struct guest *g, const char *error)
{
    struct windowed *w = g->windowed;
    char why[sizeof g->context->error];
    snprintf(why, sizeof why, "%s", guest_reason(g, error));
    if (w->plan->kept) return retry_window(g, why);
    executor_undo(g->context, why);
    end_fire(g);
    enum on_error on_error = g->context->component->on_error;
    w->crashing = on_error == ON_ERROR_CRASH;
    if (on_error == ON_ERROR_DROP) {
        windows_fired(w->windows);
        return STEP_DONE;
    }
    w->reason = mem_text(why, strlen(why));
    windows_failed(w->windows);
    mem_free(w->reason);
    w->reason = NULL;
    return STEP_DONE;
}

static enum step keep_window(struct guest *g)
{
    struct windowed *w = g->windowed;
    struct emitter *e = g->context->emitter;
    if (e->failed) {
        const char *why = e->refusal;
        return fail_window(g,
                           why ? why : "a part of what it emitted was refused");
    }
    emitter_keep(e);
    if (g->context->state) state_keep(g->context->state);
    end_fire(g);
    w->tries = 0;
    windowed_hand_out(w);
    windows_fired(w->windows);
    return STEP_DONE;
}

static enum step fire_outcome(struct guest *g, enum vm_outcome outcome)
{
    switch (outcome) {
    case VM_YIELDED:
    case VM_SLEEPING: return guest_suspended(g, outcome);
    case VM_DONE:
        return g->rows_failed ? fail_window(g, g->context->error)
                              : keep_window(g);
    case VM_DROPPED: { /* it had its slice and more: what follows, later */
        enum step step = fail_window(g, vm_error(g->script.vm));
        return step == STEP_DONE && !g->windowed->crashing ? STEP_YIELD : step;
    }
    default: return fail_window(g, vm_error(g->script.vm));
    }
}

static enum step fire(struct guest *g)
{
    struct windowed *w = g->windowed;
    env_charge(g->context->env, w->view.count);
    err e = windowed_gather(w);
    w->again = false;
    begin_fire(g);
    if (e != OK) return fail_window(g, err_text(e));
    return fire_outcome(g, vm_run(g->script.vm, guest_seat(g), fire_body, g));
}

/* ---- a tuple ---- */

/* The tuple in hand, from its values on. */
struct arrival {
    const uint8_t *at, *end;
    struct windows_tuple tuple;
};

static void fail_arrival(struct guest *g, const struct arrival *a,
                         const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fail_arrival(struct guest *g, const struct arrival *a,
                         const char *format, ...)
{
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    executor_fail(g->context, g->input, a->end, why);
}

static const char *type_name(const uint8_t *at)
{
    static const char *const names[] = {
        [VALUE_NIL] = "nil",      [VALUE_BOOL] = "a boolean",
        [VALUE_INT] = "a number", [VALUE_FLOAT] = "NaN or too large",
        [VALUE_BYTES] = "a text", [VALUE_ARRAY] = "a table",
        [VALUE_MAP] = "a table",  [VALUE_JSON] = "a record",
    };
    struct value v;
    value_get(at, &v);
    return v.type == VALUE_INT ? "too large" : names[v.type];
}

/* Its time in microseconds; false: it is none. 30,000 years are enough. */
static bool read_time(const uint8_t *at, int64_t *at_us)
{
    static const int64_t most_s = 1000000000000;
    struct value v;
    value_get(at, &v);
    if (v.type == VALUE_INT) {
        if (v.as.integer < -most_s || v.as.integer > most_s) return false;
        *at_us = v.as.integer * 1000000;
        return true;
    }
    if (v.type != VALUE_FLOAT ||
        !(fabs(v.as.number) <= (double)most_s)) /* NaN, too */
        return false;
    *at_us = llround(v.as.number * 1e6);
    return true;
}

static bool find_time(struct guest *g, struct arrival *a)
{
    const struct window_plan *plan = g->windowed->plan;
    a->tuple.at_us = now_us(g);
    if (plan->timestamp == NULL) return true;
    const uint8_t *at =
        value_skip_many(a->at, plan->timestamps[g->input->source]);
    if (read_time(at, &a->tuple.at_us)) return true;
    fail_arrival(g, a,
                 "field '%s', by which '%s' sorts into windows, is %s; emit a "
                 "number of seconds",
                 plan->timestamp, g->config->component, type_name(at));
    return false;
}

static bool find_key(struct guest *g, struct arrival *a)
{
    const struct window_plan *plan = g->windowed->plan;
    if (plan->by == NULL) return true;
    a->tuple.key = value_skip_many(a->at, plan->bys[g->input->source]);
    if (value_is_key(a->tuple.key)) return true;
    fail_arrival(g, a,
                 "field '%s', by which '%s' keeps sessions, is %s; emit a key",
                 plan->by, g->config->component,
                 *a->tuple.key == MSGPACK_NIL ? "nil" : "NaN");
    return false;
}

static void take_late(struct guest *g, struct arrival *a)
{
    struct windowed *w = g->windowed;
    const struct window_plan *plan = w->plan;
    if (plan->late_stream) {
        if (!emitter_put(g->context->emitter, plan->late_stream, a->at,
                         (uint32_t)(a->end - a->at)))
            g->context->emitter->failed = true;
    } else {
        executor_fault(g->context, LOSS_NONE,
                       "a tuple came %.3f s later than lag%s lets it: it is "
                       "in no window",
                       (double)(windows_watermark_us(w->windows) -
                                plan->windows.allowed_us - a->tuple.at_us) /
                           1e6,
                       plan->windows.allowed_us ? " and allowed" : "");
    }
    input_done(g->context, g->input, a->end);
}

size_t windowed_memory_bytes(const struct guest *g)
{
    return g->config->memory_bytes ? g->config->memory_bytes
                                   : (size_t)MEMORY_DEFAULT;
}

static void refuse(struct guest *g, const struct arrival *a, err why)
{
    if (why == ERR_NOMEM) {
        fail_arrival(g, a, "%s", err_text(why));
        return;
    }
    fail_arrival(g, a,
                 "the windows of '%s' hold all that their task may keep, %zu "
                 "KB; give it memory = \"…MB\", more tasks, or shorter windows",
                 g->config->component, windowed_memory_bytes(g) >> 10);
}

static void advance(struct guest *g)
{
    struct windowed *w = g->windowed;
    windows_advance(w->windows, now_us(g));
    w->taken = 0;
    w->look = true;
}

static void take_tuple(struct guest *g, const uint8_t *at)
{
    struct windowed *w = g->windowed;
    struct arrival a = {.at = at, .end = value_skip_many(at, g->arity)};
    a.tuple.source = g->input->source;
    a.tuple.values = at;
    a.tuple.bytes = (uint32_t)(a.end - at);
    bool holds = g->input->root != 0 && !w->plan->kept;
    a.tuple.roots = holds; /* or a group of them */
    if (!find_time(g, &a) || !find_key(g, &a)) return;
    if (windows_is_late(w->windows, &a.tuple)) {
        take_late(g, &a);
        return;
    }
    struct window_event *event;
    struct group *group = NULL;
    err e = OK;
    if (holds && g->input->root == ROOT_LIST)
        e = windowed_find_group(g, &group);
    if (e == OK) e = windows_add(w->windows, &a.tuple, &event);
    if (e != OK) {
        windowed_drop_group(w, group);
        refuse(g, &a, e);
        return;
    }
    if (holds) windowed_hold(g, group, event);
    input_done(g->context, g->input, a.end);
    if (!w->plan->windows.timed)
        w->look = w->plan->windows.every_count > 0;
    else if (++w->taken == WATERMARK_TUPLES)
        advance(g);
}

/* ---- clocks ---- */

static bool all_dry(struct guest *g)
{
    for (unsigned i = 0; i < g->context->component->input_count; i++)
        if (!executor_input_is_dry(g->context, i)) return false;
    return true;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void wish(int64_t *at_ns, int64_t wanted_ns)
{
    if (*at_ns == INT64_MAX) *at_ns = wanted_ns;
}

enum step windowed_arm(struct guest *g)
{
    struct windowed *w = g->windowed;
    int64_t end_us = windows_alarm_us(w->windows), at_ns;
    w->end_at_ns =
        end_us == INT64_MAX ? INT64_MAX : end_us * 1000 - w->clock_ns;
    if (windows_held(w->windows) > 0)
        wish(&w->touch_at_ns, env_now(g->context->env) +
                                  g->context->plan->timeout_ns / TIMEOUT_PART);
    at_ns = least(least(w->watermark_at_ns, w->early_at_ns),
                  least(least(w->touch_at_ns, w->dry_at_ns), w->end_at_ns));
    if (at_ns == w->armed_ns) return STEP_DONE;
    if (executor_tick_at(g->context, at_ns) != OK) {
        snprintf(g->context->error, sizeof g->context->error, "%s",
                 err_text(ERR_NOMEM));
        w->armed_ns = INT64_MAX;
        return STEP_CRASH;
    }
    w->armed_ns = at_ns;
    return STEP_DONE;
}

void windowed_wish_clocks(struct guest *g)
{
    struct windowed *w = g->windowed;
    int64_t now_ns = env_now(g->context->env);
    if (w->plan->windows.timed)
        wish(&w->watermark_at_ns, now_ns + WATERMARK_EVERY_NS);
    if (w->plan->early_ns) wish(&w->early_at_ns, now_ns + w->plan->early_ns);
}

/* A batch has brought something. */
static enum step batch_through(struct guest *g)
{
    struct windowed *w = g->windowed;
    windowed_wish_clocks(g);
    if (w->dry_at_ns == INT64_MAX && all_dry(g))
        w->dry_at_ns = env_now(g->context->env) + STRAGGLERS_NS;
    return windowed_arm(g);
}

static bool is_due(int64_t *at_ns, int64_t now_ns)
{
    if (*at_ns > now_ns) return false;
    *at_ns = INT64_MAX;
    return true;
}

/* What can be seen by the clock; the windows that are due by it come next. */
static void look_at_clock(struct guest *g)
{
    struct windowed *w = g->windowed;
    int64_t now_ns = env_now(g->context->env);
    bool timed = w->plan->windows.timed;
    w->armed_ns = INT64_MAX;
    if (is_due(&w->touch_at_ns, now_ns)) {
        w->passes++;
        windows_each(w->windows, windowed_touch, g);
    }
    if (!timed || is_due(&w->watermark_at_ns, now_ns)) {
        for (unsigned i = 0; i < g->context->component->input_count; i++)
            if (executor_input_is_dry(g->context, i))
                windows_end_source(w->windows, i);
        advance(g);
    }
    if (is_due(&w->dry_at_ns, now_ns)) windows_close(w->windows);
}

/* ---- the parts of the class ---- */

/* Behind what the clock made due. */
static bool hurry(struct guest *g)
{
    struct windowed *w = g->windowed;
    if (!is_due(&w->early_at_ns, env_now(g->context->env))) return false;
    windows_hurry(w->windows);
    return windows_next(w->windows, &w->view);
}

static bool next_window(struct guest *g)
{
    struct windowed *w = g->windowed;
    if (!w->look) return false;
    if (windows_next(w->windows, &w->view)) return true;
    if (w->then == THEN_TICK && hurry(g)) return true;
    w->look = false;
    return false;
}

static enum step finish_function(struct guest *g)
{
    g->running = RUN_CALL;
    return guest_call(g, "finish");
}

/* Fires what is due, then takes tuples, until neither is left. */
static enum step go_on(struct guest *g)
{
    struct windowed *w = g->windowed;
    for (;;) {
        while (next_window(g)) {
            enum step step = fire(g);
            if (step != STEP_DONE || w->crashing) return step;
            if (env_spent(g->context->env) ||
                emitter_parked(g->context->emitter))
                return STEP_YIELD;
        }
        const uint8_t *at =
            w->then == THEN_BATCH ? input_next(g->context, g->input) : NULL;
        if (at == NULL) break;
        take_tuple(g, at);
    }
    if (w->then == THEN_FINISH) return finish_function(g);
    return w->then == THEN_BATCH ? batch_through(g) : windowed_arm(g);
}

static enum step begin(struct guest *g, enum then then)
{
    g->running = RUN_WINDOW;
    g->combining = NULL;
    g->windowed->then = then;
    g->windowed->look = then != THEN_BATCH;
    g->anchored = g->may_emit = false;
    return go_on(g);
}

enum step windowed_resume(struct guest *g)
{
    struct windowed *w = g->windowed;
    enum step step = STEP_DONE;
    if (w->firing)
        step = fire_outcome(g, vm_resume(g->script.vm, guest_seat(g)));
    else if (w->again)
        step = fire(g);
    return step != STEP_DONE || w->crashing ? step : go_on(g);
}

enum step windowed_execute(struct guest *g)
{
    g->arity = input_stream(g->context, g->input->source)->arity;
    g->windowed->group = NULL; /* it was of another batch */
    return begin(g, THEN_BATCH);
}

enum step windowed_tick(struct guest *g)
{
    look_at_clock(g);
    return begin(g, THEN_TICK);
}

enum step windowed_dry(struct guest *g)
{
    windows_close(g->windowed->windows);
    return begin(g, THEN_DRY);
}

enum step windowed_finish(struct guest *g)
{
    windows_close(g->windowed->windows);
    return begin(g, THEN_FINISH);
}

/* ---- life ---- */

err windowed_make(struct guest *g)
{
    const struct window_plan *plan = g->config->window;
    if (plan == NULL) return OK;
    const struct world *world = node_world(env_node(g->context->env));
    struct windowed *w = mem_zero(1, sizeof *w);
    if (w == NULL) return ERR_NOMEM;
    g->windowed = w;
    w->plan = plan;
    w->clock_ns = world->wall_ns(world->context) - env_now(g->context->env);
    w->watermark_at_ns = w->early_at_ns = w->touch_at_ns = w->dry_at_ns =
        w->armed_ns = INT64_MAX;
    struct windows_config config = plan->windows;
    config.memory_bytes = windowed_memory_bytes(g);
    if (plan->kept) config.state = g->context->state;
    config.settle = windowed_settle;
    config.context = g;
    w->windows = windows_new(&config);
    if (w->windows == NULL) return ERR_NOMEM;
    return vm_protect(g->script.vm, windowed_make_metas, g);
}

void windowed_fini(struct guest *g)
{
    struct windowed *w = g->windowed;
    if (w == NULL) return;
    if (w->firing) end_fire(g);
    windows_free(w->windows);
    vref_drop(&w->object);
    vref_drop(&w->made);
    vref_drop(&w->metas);
    vref_drop(&w->meta);
    roots_fini(&w->roots);
    mem_free(w->owners);
    mem_free(w->reason);
    mem_free(w);
    g->windowed = NULL;
}
