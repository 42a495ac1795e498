/* tally.c - what a task counts: its tuples, how long execute takes, and what
 * went wrong. */
#include "actors/stream/executor_state.h"
#include "actors/stream/faults.h"
#include "core/log.h"
#include "core/metric.h"
#include "core/node.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    TIMED_TUPLES = 64, /* a batch of so many is always timed, */
    TIMED_EVERY = 16,  /* of smaller ones each 16th, for all of them */
};

void tally_fault(struct executor *x, uint64_t kind, const char *text)
{
    const struct world *world = node_world(env_node(x->context.env));
    faults_note(topology_faults(x->topology), x->task->component->name,
                x->task->index, world->wall_ns(world->context) / 1000000, kind,
                text);
}

static int64_t clock_ns(const struct executor *x)
{
    const struct world *world = node_world(env_node(x->context.env));
    return world->now_ns(world->context);
}

/* A tuple's part of its batch's time is what execute takes: two looks at the
 * clock a batch, and where batches are small not even those. */
void tally_begin(struct executor *x, uint32_t tuples)
{
    bool small = tuples < TIMED_TUPLES;
    x->weight = small ? TIMED_EVERY : 1;
    if (small && x->small++ % TIMED_EVERY != 0) x->weight = 0;
    if (x->weight) x->began_ns = clock_ns(x);
}

void tally_end(struct executor *x, uint32_t tuples)
{
    if (x->weight == 0 || tuples == 0) return;
    const struct env *env = x->context.env;
    struct metric_cells *cells =
        metrics_cells(node_metrics(env_node(env)), env_thread(env));
    uint64_t took_ns = (uint64_t)(clock_ns(x) - x->began_ns);
    metric_record_many(cells, x->metrics->latency, took_ns / tuples,
                       (uint64_t)tuples * x->weight);
}

void tally_count(struct executor *x)
{
    const struct component_metrics *ids = x->metrics;
    const struct env *env = x->context.env;
    struct metric_cells *cells =
        metrics_cells(node_metrics(env_node(env)), env_thread(env));
    struct {
        metric_id id;
        uint64_t *n;
    } all[] = {
        {ids->executed, &x->executed}, {ids->acked, &x->acked},
        {ids->failed, &x->failed},     {ids->replayed, &x->replayed},
        {ids->gave_up, &x->gave_up},   {ids->errors, &x->errors},
        {ids->left_out, &x->left_out}, {ids->emitted, &x->emitter.emitted}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (*all[i].n == 0) continue;
        metric_add(cells, all[i].id, *all[i].n);
        *all[i].n = 0;
    }
    x->emitter.emitted_kept = 0;
}

/* ---- what went wrong ---- */

void executor_log(struct component_context *context, int level,
                  const char *format, ...)
{
    struct executor *x = executor_of(context);
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_text(node_log(env_node(x->context.env)), context->component->name,
             (int)context->index, (enum log_level)level, 0, text, strlen(text),
             NULL);
}

/* Each of a kind is one place of the log, so that a flood is counted. */
void executor_fault(struct component_context *context, enum loss loss,
                    const char *format, ...)
{
    struct executor *x = executor_of(context);
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    x->errors++;
    if (loss == LOSS_INPUT) x->left_out++;
    tally_fault(x, (uint64_t)(uintptr_t)format, text);
    log_text(node_log(env_node(x->context.env)), context->component->name,
             (int)context->index, LOG_ERROR, (uint64_t)(uintptr_t)format, text,
             strlen(text), NULL);
}
