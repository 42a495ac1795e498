#include "cli/report.h"
#include "cli/verb.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/node.h"
#include "core/real.h"
#include <lua.h>
#include <stdio.h>

/* "1 task", "2 tasks" */
static const char *ending(unsigned count)
{
    return count == 1 ? "" : "s";
}

struct report {
    uint64_t emitted; /* by all components, when it was shown last */
    int64_t at_ns;
    bool shown;
};

struct sums {
    uint64_t in, out, acked, failed, replayed, gave_up;
};

static struct sums sums_of(const struct topology *t, unsigned component,
                           struct node *node)
{
    const struct component_metrics *ids = topology_metrics(t, component);
    struct metrics *m = node_metrics(node);
    return (struct sums){
        .in = metric_read(m, ids->executed),
        .out = metric_read(m, ids->emitted),
        .acked = metric_read(m, ids->acked),
        .failed = metric_read(m, ids->failed),
        .replayed = metric_read(m, ids->replayed),
        .gave_up = metric_read(m, ids->gave_up),
    };
}

void report_start(const struct plan *plan, unsigned threads, bool watching,
                  struct log *json)
{
    static const char *const guarantees[] = {"at-most-once", "at-least-once"};
    if (json) {
        log_write(json, NULL, -1, LOG_INFO,
                  "engine %s (%s) runs %s (%s): %u component%s, %u task%s, %s, "
                  "%u thread%s",
                  ENGINE_VERSION, LUA_RELEASE, plan->name, plan->file,
                  plan->count, ending(plan->count), plan->tasks,
                  ending(plan->tasks), guarantees[plan->guarantee], threads,
                  ending(threads));
        return;
    }
    unsigned edges = 0;
    for (unsigned i = 0; i < plan->count; i++)
        edges += plan->components[i].input_count;
    fprintf(stderr, "%-11s %s (%s)\n", "engine", ENGINE_VERSION, LUA_RELEASE);
    fprintf(stderr, "%-11s %s (%s: %u component%s, %u task%s, %u edge%s)\n",
            "Topology:", plan->name, plan->file, plan->count,
            ending(plan->count), plan->tasks, ending(plan->tasks), edges,
            ending(edges));
    fprintf(stderr, "%-11s %s; what is under way is in memory only\n",
            "Guarantee:", guarantees[plan->guarantee]);
    fprintf(stderr, "%-11s %u\n", "Threads:", threads);
    fprintf(stderr, "%-11s Ctrl-C drains, twice ends at once\n",
            watching ? "Watching:" : "Stop:");
}

struct report *report_new(void)
{
    struct report *r = mem_zero(1, sizeof *r);
    if (r) r->at_ns = real_now_ns(NULL);
    return r;
}

void report_free(struct report *r)
{
    if (r && r->shown) fputs("\r\033[K", stderr);
    mem_free(r);
}

void report_line(struct report *r, const struct plan *plan,
                 const struct topology *t, struct node *node)
{
    struct sums all = {0};
    for (unsigned i = 0; i < plan->count; i++) {
        struct sums s = sums_of(t, i, node);
        all.out += s.out;
        all.acked += s.acked;
        all.failed += s.failed;
    }
    int64_t now_ns = real_now_ns(NULL);
    double seconds = (double)(now_ns - r->at_ns) / 1e9;
    if (seconds <= 0) return;
    fprintf(stderr, "\r\033[K%.0f tuples/s, acked %llu, failed %llu",
            (double)(all.out - r->emitted) / seconds,
            (unsigned long long)all.acked, (unsigned long long)all.failed);
    r->emitted = all.out;
    r->at_ns = now_ns;
    r->shown = true;
}

static void log_sums(struct log *json, const char *component, struct sums s)
{
    char text[256];
    int bytes =
        snprintf(text, sizeof text,
                 "in %llu, out %llu, acked %llu, failed %llu, "
                 "replayed %llu, failed for good %llu",
                 (unsigned long long)s.in, (unsigned long long)s.out,
                 (unsigned long long)s.acked, (unsigned long long)s.failed,
                 (unsigned long long)s.replayed, (unsigned long long)s.gave_up);
    log_text(json, component, -1, LOG_INFO, 0, text, (size_t)bytes, NULL);
}

static void print_sums(const char *component, struct sums s, double seconds)
{
    uint64_t most = s.in > s.out ? s.in : s.out;
    fprintf(stderr, "%-16s %12llu %12llu %12llu %10llu %10llu %12.0f\n",
            component, (unsigned long long)s.in, (unsigned long long)s.out,
            (unsigned long long)s.acked, (unsigned long long)s.failed,
            (unsigned long long)s.replayed,
            (double)most / (seconds > 0 ? seconds : 1));
}

/* From a root's emit to its ack. */
static void report_latency(const struct plan *plan, const struct topology *t,
                           unsigned component, struct node *node,
                           struct log *json)
{
    if (plan->components[component].kind != COMPONENT_SPOUT) return;
    metric_id id = topology_metrics(t, component)->latency;
    struct metrics *m = node_metrics(node);
    if (metric_read(m, id) == 0) return;
    const char *name = plan->components[component].name;
    double p50_ms = (double)metric_percentile(m, id, 50) / 1e6;
    double p99_ms = (double)metric_percentile(m, id, 99) / 1e6;
    if (json)
        log_write(json, name, -1, LOG_INFO,
                  "complete latency p50 %.3g ms, p99 %.3g ms", p50_ms, p99_ms);
    else
        fprintf(stderr, "%s: complete latency p50 %.3g ms, p99 %.3g ms\n", name,
                p50_ms, p99_ms);
}

void report_end(const struct plan *plan, const struct topology *t,
                struct node *node, int64_t wall_ns, struct log *json)
{
    double seconds = (double)wall_ns / 1e9;
    if (json == NULL)
        fprintf(stderr, "%-16s %12s %12s %12s %10s %10s %12s\n", "component",
                "in", "out", "acked", "failed", "replayed", "per second");
    for (unsigned i = 0; i < plan->count; i++) {
        struct sums s = sums_of(t, i, node);
        if (json)
            log_sums(json, plan->components[i].name, s);
        else
            print_sums(plan->components[i].name, s, seconds);
    }
    for (unsigned i = 0; i < plan->count; i++)
        report_latency(plan, t, i, node, json);
    if (json)
        log_write(json, NULL, -1, LOG_INFO, "it took %.2f s", seconds);
    else
        fprintf(stderr, "%.2f s\n", seconds);
}
