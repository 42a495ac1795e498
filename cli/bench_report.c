#include "cli/bench.h"
#include "cli/spread.h"
#include "cli/table.h"
#include <math.h>
#include <string.h>

/* ---- figures ---- */

/* Of a whole run, or of one of its components. NaN: it has none. */
typedef double figure(const struct measurement *m, const json_t *component);

static double member(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double seconds(const struct measurement *m, const json_t *c)
{
    (void)c;
    return member(m->end, "seconds");
}

static double a_second(const struct measurement *m, double tuples)
{
    double s = seconds(m, NULL);
    return s > 0 ? tuples / s : NAN;
}

static double tuples(const struct measurement *m, const json_t *c)
{
    (void)m;
    return member(c, "out");
}

static double tuples_a_second(const struct measurement *m, const json_t *c)
{
    return a_second(m, member(c, "out"));
}

static double acked_a_second(const struct measurement *m, const json_t *c)
{
    return a_second(m, member(c, "acked"));
}

static double p50(const struct measurement *m, const json_t *c)
{
    (void)m;
    return member(c, "p50_ms");
}

static double p99(const struct measurement *m, const json_t *c)
{
    (void)m;
    return member(c, "p99_ms");
}

static double most(const struct measurement *m, const json_t *c)
{
    (void)m;
    return member(c, "max_ms");
}

static double cpu(const struct measurement *m, const json_t *c)
{
    (void)c;
    return m->cpu_s;
}

static double rss(const struct measurement *m, const json_t *c)
{
    (void)c;
    return m->rss;
}

static bool is_spout(const json_t *component)
{
    const char *kind = json_string_value(json_object_get(component, "kind"));
    return kind && strcmp(kind, "spout") == 0;
}

/* By what all its spouts emitted. */
static double cpu_a_tuple_us(const struct measurement *m, const json_t *c)
{
    const json_t *all = json_object_get(m->end, "components");
    double emitted = 0;
    (void)c;
    for (size_t i = 0; i < json_array_size(all); i++)
        if (is_spout(json_array_get(all, i)))
            emitted += member(json_array_get(all, i), "out");
    return emitted > 0 ? m->cpu_s * 1e6 / emitted : NAN;
}

/* Over the runs of the case; `at` is the component's place. */
static struct spread spread(const struct bench_case *c, size_t at, figure *of)
{
    double list[BENCH_RUNS_MAX];
    for (unsigned i = 0; i < c->count; i++) {
        const struct measurement *m = &c->list[i];
        list[i] =
            of(m, json_array_get(json_object_get(m->end, "components"), at));
    }
    return spread_of(list, c->count);
}

/* ---- the table ---- */

static void number_cell(struct table *t, struct spread s, int digits)
{
    if (s.known)
        table_cell(t, "%.*f", digits, s.median);
    else
        table_cell(t, "-");
}

/* Large ones without a point, small ones with three digits. */
static void rate_cells(struct table *t, struct spread s)
{
    number_cell(t, s, s.median < 100 ? 1 : 0);
    if (s.known)
        table_cell(t, s.most < 100 ? "%.1f..%.1f" : "%.0f..%.0f", s.least,
                   s.most);
    else
        table_cell(t, "-");
}

static void latency_cell(struct table *t, struct spread s)
{
    double ms = s.median;
    if (!s.known)
        table_cell(t, "-");
    else if (ms >= 1000)
        table_cell(t, "%.3g s", ms / 1000);
    else if (ms >= 1)
        table_cell(t, "%.3g ms", ms);
    else
        table_cell(t, "%.3g us", ms * 1000);
}

/* What is the whole run's stands in the row of its first spout. */
static void run_cells(struct table *t, const struct bench_case *c, bool first)
{
    for (int i = 0; !first && i < 3; i++)
        table_cell(t, " ");
    if (!first) return;
    struct spread bytes = spread(c, 0, rss);
    number_cell(t, spread(c, 0, cpu), 2);
    number_cell(t, spread(c, 0, cpu_a_tuple_us), 2);
    table_cell(t, "%.1f MB", bytes.median / 1e6);
}

static void print_case(struct table *t, const struct bench_case *c)
{
    const json_t *end = c->list[0].end;
    const json_t *all = json_object_get(end, "components");
    const char *topology = json_string_value(json_object_get(end, "topology"));
    bool first = true;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *spout = json_array_get(all, i);
        const char *name = json_string_value(json_object_get(spout, "name"));
        if (!is_spout(spout)) continue;
        table_cell(t, "%s", first && topology ? topology : " ");
        if (first)
            table_cell(t, "%u", c->threads);
        else
            table_cell(t, " ");
        table_cell(t, "%s", name ? name : "?");
        number_cell(t, spread(c, i, tuples), 0);
        rate_cells(t, spread(c, i, tuples_a_second));
        number_cell(t, spread(c, i, acked_a_second), 0);
        latency_cell(t, spread(c, i, p50));
        latency_cell(t, spread(c, i, p99));
        latency_cell(t, spread(c, i, most));
        run_cells(t, c, first);
        first = false;
    }
}

bool bench_print(const struct bench_case *cases, unsigned count, FILE *to)
{
    static const char *const titles[] = {
        "topology",    "threads",      "spout",       "tuples", "tuples/s",
        "least..most", "acked/s",      "latency p50", "p99",    "max",
        "CPU s",       "CPU us/tuple", "most memory",
    };
    struct table *t = table_new("lrlrrrrrrrrrr", titles);
    if (t == NULL) return false;
    for (unsigned i = 0; i < count; i++)
        if (cases[i].count > 0) print_case(t, &cases[i]);
    err e = table_print(t, to);
    table_free(t);
    return e == OK;
}

/* ---- JSON ---- */

static json_t *spread_json(struct spread s)
{
    if (!s.known) return json_null();
    return json_pack("{s:f, s:f, s:f}", "median", s.median, "least", s.least,
                     "most", s.most);
}

static json_t *spout_json(const struct bench_case *c, size_t at,
                          const json_t *spout)
{
    const char *name = json_string_value(json_object_get(spout, "name"));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                     json_text(name ? name : "?"), "tuples",
                     spread_json(spread(c, at, tuples)), "per_second",
                     spread_json(spread(c, at, tuples_a_second)),
                     "acked_per_second",
                     spread_json(spread(c, at, acked_a_second)), "p50_ms",
                     spread_json(spread(c, at, p50)), "p99_ms",
                     spread_json(spread(c, at, p99)), "max_ms",
                     spread_json(spread(c, at, most)));
}

static json_t *case_json(const struct bench_case *c)
{
    const json_t *end = c->list[0].end;
    const json_t *all = json_object_get(end, "components");
    const char *topology = json_string_value(json_object_get(end, "topology"));
    json_t *spouts = json_array();
    for (size_t i = 0; spouts && i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        if (!is_spout(one)) continue;
        if (json_array_append_new(spouts, spout_json(c, i, one)) == 0) continue;
        json_decref(spouts);
        spouts = NULL;
    }
    if (spouts == NULL) return NULL;
    return json_pack("{s:o, s:o, s:i, s:i, s:b, s:o, s:o, s:o, s:o, s:o}",
                     "file", json_text(c->path), "topology",
                     json_text(topology ? topology : "?"), "threads",
                     (int)c->threads, "runs", (int)c->count, "complete",
                     c->list[0].complete, "spouts", spouts, "seconds",
                     spread_json(spread(c, 0, seconds)), "cpu_s",
                     spread_json(spread(c, 0, cpu)), "cpu_us_per_tuple",
                     spread_json(spread(c, 0, cpu_a_tuple_us)), "rss_bytes",
                     spread_json(spread(c, 0, rss)));
}

bool bench_print_json(const struct bench_case *cases, unsigned count, FILE *to)
{
    json_t *list = json_array(), *json = NULL;
    bool whole = list != NULL;
    for (unsigned i = 0; whole && i < count; i++)
        if (cases[i].count > 0)
            whole = json_array_append_new(list, case_json(&cases[i])) == 0;
    if (whole)
        json = json_pack("{s:o}", "cases", list);
    else
        json_decref(list);
    bool written = json_line(json, to);
    json_decref(json);
    return written;
}
