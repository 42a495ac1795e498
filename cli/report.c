#include "cli/report.h"
#include "actors/stream/promise.h"
#include "cli/argument.h"
#include "cli/statistics.h"
#include "cli/verb.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/real.h"
#include <lua.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct report {
    uint64_t emitted; /* by all components, when it was shown last */
    int64_t began_ns, at_ns;
};

/* "1 task", "2 tasks" */
static const char *ending(unsigned count)
{
    return count == 1 ? "" : "s";
}

/* ---- the start ---- */

static void log_start(const struct report_head *h, const char *guarantee,
                      struct log *json)
{
    const struct plan *plan = h->plan;
    char from[64] = "";
    if (h->checkpoint)
        snprintf(from, sizeof from, ", from checkpoint %llu",
                 (unsigned long long)h->checkpoint);
    log_write(json, NULL, -1, LOG_INFO,
              "engine %s (%s) runs %s (%s): %u component%s, %u task%s, %s, "
              "%u thread%s, run %s%s",
              ENGINE_VERSION, LUA_RELEASE, plan->name, plan->file, plan->count,
              ending(plan->count), plan->tasks, ending(plan->tasks), guarantee,
              h->threads, ending(h->threads), h->id[0] ? h->id : "without door",
              from);
}

/* Where one way from a spout to a sink gets another promise than the others. */
static void print_paths(const struct plan *plan)
{
    struct promise p;
    for (unsigned i = 0; promise_differs(plan) && promise_at(plan, i, &p); i++)
        fprintf(stderr, "            %s → %s: %s\n", p.from->name, p.to->name,
                p.why);
}

static void print_start(const struct report_head *h, const char *guarantee)
{
    const struct plan *plan = h->plan;
    unsigned edges = 0;
    char from[64] = "";
    if (h->checkpoint)
        snprintf(from, sizeof from, "; goes on from checkpoint %llu",
                 (unsigned long long)h->checkpoint);
    for (unsigned i = 0; i < plan->count; i++)
        edges += plan->components[i].input_count;
    fprintf(stderr,
            "File:       %s%s\n"
            "Topology:   %s (%u component%s, %u task%s, %u edge%s)\n"
            "Threads:    %u\n"
            "Guarantee:  %s; %s%s\n",
            plan->file, h->watching ? " (watched)" : "", plan->name,
            plan->count, ending(plan->count), plan->tasks, ending(plan->tasks),
            edges, ending(edges), h->threads, guarantee, h->survives, from);
    print_paths(plan);
    fprintf(stderr, "Run:        %s%s; Ctrl-C drains, twice ends at once\n",
            h->id[0] ? h->id : "without a door",
            plan->inactive ? " (inactive until engine activate)" : "");
}

void report_start(const struct report_head *h, struct log *json)
{
    const char *guarantee = guarantee_name(h->plan->guarantee);
    if (json)
        log_start(h, guarantee, json);
    else
        print_start(h, guarantee);
}

/* ---- the live line ---- */

bool report_is_live(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDERR_FILENO) &&
           !(terminal && strcmp(terminal, "dumb") == 0);
}

struct report *report_new(void)
{
    struct report *r = mem_zero(1, sizeof *r);
    if (r) r->began_ns = r->at_ns = real_now_ns(NULL);
    return r;
}

/* A line that wraps can't be drawn over. */
static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

void report_erase(void)
{
    fputs(REPORT_ERASE, stderr);
}

void report_draw(const char *line)
{
    fprintf(stderr, REPORT_ERASE "%.*s", terminal_columns() - 1, line);
}

void report_part(struct report *r, const struct plan *plan,
                 const struct topology *t, struct node *node, bool named,
                 char text[REPORT_BYTES])
{
    uint64_t out = 0, acked = 0, failed = 0;
    for (unsigned i = 0; i < plan->count; i++) {
        struct figures f;
        figures_read(t, i, node, &f);
        out += f.n[FIGURE_OUT];
        acked += f.n[FIGURE_ACKED];
        failed += f.n[FIGURE_FAILED];
    }
    int64_t now_ns = real_now_ns(NULL);
    double seconds = (double)(now_ns - r->at_ns) / 1e9;
    char up[ARGUMENT_TIME_BYTES];
    argument_time_text((double)(now_ns - r->began_ns) / 1e9, up);
    snprintf(text, REPORT_BYTES,
             "%.64s%s%s  %.0f tuples/s, acked %llu, failed %llu",
             named ? plan->name : "", named ? " " : "", up,
             seconds > 0 ? (double)(out - r->emitted) / seconds : 0,
             (unsigned long long)acked, (unsigned long long)failed);
    r->emitted = out;
    r->at_ns = now_ns;
}

/* ---- the end ---- */

static void log_component(struct log *json, const json_t *c)
{
    static const char *const figures[] = {"in",     "out",      "acked",
                                          "failed", "replayed", "gave_up"};
    static const char *const words[] = {
        "in", "out", "acked", "failed", "replayed", "failed for good"};
    char text[512];
    size_t used = 0;
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        used += (size_t)snprintf(
            text + used, sizeof text - used, "%s%s %" JSON_INTEGER_FORMAT,
            i ? ", " : "", words[i],
            json_integer_value(json_object_get(c, figures[i])));
    const json_t *p50 = json_object_get(c, "p50_ms");
    if (json_is_number(p50))
        used += (size_t)snprintf(
            text + used, sizeof text - used,
            ", latency p50 %.3g ms, p99 %.3g ms", json_number_value(p50),
            json_number_value(json_object_get(c, "p99_ms")));
    log_text(json, json_string_value(json_object_get(c, "name")), -1, LOG_INFO,
             0, text, used, NULL);
}

void report_end(const json_t *statistics, const char *topology,
                struct log *json)
{
    double seconds = json_number_value(json_object_get(statistics, "seconds"));
    if (json == NULL) {
        if (topology) fprintf(stderr, "%s:\n", topology);
        if (!statistics_print(statistics, stderr))
            fputs("there is no memory for the table\n", stderr);
        fprintf(stderr, "%.2f s\n", seconds);
        return;
    }
    const json_t *components = json_object_get(statistics, "components");
    for (size_t i = 0; i < json_array_size(components); i++)
        log_component(json, json_array_get(components, i));
    log_write(json, NULL, -1, LOG_INFO, "it took %.2f s", seconds);
}
