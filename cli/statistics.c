#include "cli/statistics.h"
#include "cli/table.h"
#include <string.h>

static json_t *milliseconds(double ms)
{
    return ms < 0 ? json_null() : json_real(ms);
}

static json_t *component_json(const struct component_plan *c,
                              const struct history_window *w)
{
    json_t *json = json_pack("{s:o, s:s, s:i, s:i}", "name", json_text(c->name),
                             "kind", component_kind_name(c->kind), "tasks",
                             (int)c->tasks, "executors", (int)c->executors);
    if (json == NULL) return NULL;
    bool whole = true;
    for (int i = 0; i < FIGURES; i++)
        if (json_object_set_new(json, figure_name((enum figure)i),
                                json_integer((json_int_t)w->figures.n[i])))
            whole = false;
    uint64_t in = w->figures.n[FIGURE_IN], out = w->figures.n[FIGURE_OUT];
    double rate =
        w->seconds > 0 ? (double)(in > out ? in : out) / w->seconds : 0;
    if (json_object_set_new(json, "per_second", json_real(rate)) ||
        json_object_set_new(json, "p50_ms", milliseconds(w->p50_ms)) ||
        json_object_set_new(json, "p99_ms", milliseconds(w->p99_ms)) ||
        json_object_set_new(json, "max_ms", milliseconds(w->max_ms)) ||
        json_object_set_new(json, "max_pending",
                            w->pending_limit
                                ? json_integer((json_int_t)w->pending_limit)
                                : json_null()))
        whole = false;
    if (whole) return json;
    json_decref(json);
    return NULL;
}

json_t *statistics_json(const struct plan *plan, const struct history *history,
                        enum window window, int64_t now_ns)
{
    json_t *components = json_array();
    double seconds = 0;
    bool whole = components != NULL;
    for (unsigned i = 0; whole && i < plan->count; i++) {
        struct history_window w;
        history_window(history, window, i, now_ns, &w);
        seconds = w.seconds;
        whole = json_array_append_new(
                    components, component_json(&plan->components[i], &w)) == 0;
    }
    if (!whole) {
        json_decref(components);
        return NULL;
    }
    return json_pack("{s:s, s:f, s:o}", "over", window_name(window), "seconds",
                     seconds, "components", components);
}

/* ---- the table ---- */

static void latency_cell(struct table *t, const json_t *ms)
{
    double n = json_number_value(ms);
    if (!json_is_number(ms))
        table_cell(t, "-");
    else if (n >= 1000)
        table_cell(t, "%.3g s", n / 1000);
    else if (n >= 1)
        table_cell(t, "%.3g ms", n);
    else
        table_cell(t, "%.3g us", n * 1000);
}

static void count_cell(struct table *t, const json_t *c, const char *name)
{
    table_cell(t, "%" JSON_INTEGER_FORMAT,
               json_integer_value(json_object_get(c, name)));
}

/* Only a spout's tuples are acked, fail and are replayed; what fails in others
 * is a call. */
static void component_row(struct table *t, const json_t *c)
{
    const char *name = json_string_value(json_object_get(c, "name"));
    const char *kind = json_string_value(json_object_get(c, "kind"));
    bool spout = kind && strcmp(kind, "spout") == 0;
    table_cell(t, "%s", name ? name : "?");
    count_cell(t, c, "in");
    count_cell(t, c, "out");
    if (spout)
        count_cell(t, c, "acked");
    else
        table_cell(t, "-");
    count_cell(t, c, spout ? "failed" : "errors");
    if (spout)
        count_cell(t, c, "replayed");
    else
        table_cell(t, "-");
    table_cell(t, "%.0f", json_number_value(json_object_get(c, "per_second")));
    latency_cell(t, json_object_get(c, "p50_ms"));
    latency_cell(t, json_object_get(c, "p99_ms"));
}

bool statistics_print(const json_t *statistics, FILE *to)
{
    static const char *const titles[] = {
        "component", "in",         "out",         "acked", "failed",
        "replayed",  "per second", "latency p50", "p99"};
    const json_t *components = json_object_get(statistics, "components");
    if (!json_is_array(components)) return false;
    struct table *t = table_new("lrrrrrrrr", titles);
    if (t == NULL) return false;
    for (size_t i = 0; i < json_array_size(components); i++)
        component_row(t, json_array_get(components, i));
    err e = table_print(t, to);
    table_free(t);
    return e == OK;
}
