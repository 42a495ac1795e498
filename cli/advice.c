#include "cli/advice.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

enum { TASKS_PER_THREAD = 4, TICK_LEAST_NS = 1000 * 1000 };

struct adviser {
    const struct plan *plan;
    unsigned threads, count;
    void (*take)(void *context, const struct advice *advice);
    void *context;
};

__attribute__((format(printf, 3, 4))) static void
give(struct adviser *a, const struct component_plan *c, const char *format, ...)
{
    struct advice advice = {.component = c};
    va_list args;
    va_start(args, format);
    vsnprintf(advice.text, sizeof advice.text, format, args);
    va_end(args);
    a->count++;
    a->take(a->context, &advice);
}

static bool is_read(const struct plan *plan, unsigned component,
                    unsigned stream)
{
    for (unsigned i = 0; i < plan->count; i++)
        for (unsigned k = 0; k < plan->components[i].input_count; k++) {
            const struct input_plan *in = &plan->components[i].inputs[k];
            if (in->component == component && in->stream == stream) return true;
        }
    return false;
}

/* A stream without fields was not declared. */
static void advise_streams(struct adviser *a, const struct component_plan *c)
{
    unsigned number = (unsigned)(c - a->plan->components);
    for (unsigned i = 0; i < c->stream_count; i++) {
        if (c->streams[i].arity == 0 || is_read(a->plan, number, i)) continue;
        give(a, c,
             "nobody reads stream '%s' of %s '%s': what is emitted there is "
             "dropped; add from = shuffle \"%s%s%s\" to a bolt or sink, or "
             "leave the fields out",
             c->streams[i].name, component_kind_name(c->kind), c->name, c->name,
             i ? ":" : "", i ? c->streams[i].name : "");
    }
}

static void advise_inputs(struct adviser *a, const struct component_plan *c)
{
    for (unsigned i = 0; i < c->input_count; i++) {
        const struct component_plan *sender =
            &a->plan->components[c->inputs[i].component];
        const char *from = sender->name;
        if (sender->streams[c->inputs[i].stream].arity == 0)
            give(a, c,
                 "%s '%s' reads '%s', which names no fields, so it can emit "
                 "no value; add fields = { \"…\" } to '%s'",
                 component_kind_name(c->kind), c->name, from, from);
        if (grouping_has_keys(c->inputs[i].grouping) && c->tasks == 1)
            give(a, c,
                 "%s '%s' reads '%s' by fields and has one task, which gets "
                 "all keys; give it tasks = 2 or more, or write global \"%s\"",
                 component_kind_name(c->kind), c->name, from, from);
        if (c->inputs[i].grouping == GROUPING_GLOBAL && c->tasks > 1 &&
            c->input_count == 1)
            give(a, c,
                 "%s '%s' has %u tasks and reads '%s' by global: only the "
                 "first gets tuples; leave tasks out, or use another grouping",
                 component_kind_name(c->kind), c->name, c->tasks, from);
    }
}

static void advise_tasks(struct adviser *a, const struct component_plan *c)
{
    if (c->tasks > TASKS_PER_THREAD * a->threads)
        give(a, c,
             "%s '%s' has %u tasks on %u thread%s; more than %u cost memory "
             "and gain nothing",
             component_kind_name(c->kind), c->name, c->tasks, a->threads,
             a->threads == 1 ? "" : "s", TASKS_PER_THREAD * a->threads);
    if (c->every_ns > 0 && c->every_ns < TICK_LEAST_NS)
        give(a, c,
             "%s '%s' ticks every %lld us, more than 1,000 times a second; "
             "give every = \"1ms\" or more",
             component_kind_name(c->kind), c->name,
             (long long)(c->every_ns / 1000));
}

unsigned advice_give(const struct plan *plan, unsigned threads,
                     void (*take)(void *context, const struct advice *advice),
                     void *context)
{
    struct adviser a = {plan, threads, 0, take, context};
    for (unsigned i = 0; i < plan->count; i++) {
        const struct component_plan *c = &plan->components[i];
        advise_streams(&a, c);
        advise_inputs(&a, c);
        advise_tasks(&a, c);
    }
    return a.count;
}
