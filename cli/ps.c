/* ps.c - engine ps: this user's runs, as their doors describe them. */
#include "cli/argument.h"
#include "cli/table.h"
#include "cli/verb.h"
#include "cli/visit.h"

static bool take(void *context, unsigned option, const char *value)
{
    *(bool *)context = true;
    return true;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "?";
}

static double number_of(const json_t *json, const char *name)
{
    return json_number_value(json_object_get(json, name));
}

static void row(struct table *t, const struct visited *run)
{
    char up[ARGUMENT_TIME_BYTES];
    const json_t *s = run->status;
    table_cell(t, "%s", run->id);
    if (s == NULL) {
        table_cell(t, "-");
        table_cell(t, "no answer");
        for (int i = 0; i < 5; i++)
            table_cell(t, "-");
        return;
    }
    argument_time_text(number_of(s, "uptime"), up);
    table_cell(t, "%s", text_of(s, "topology"));
    table_cell(t, "%s", text_of(s, "state"));
    table_cell(t, "%s", up);
    table_cell(t, "%.0f", number_of(s, "threads"));
    table_cell(t, "%.0f", number_of(s, "per_second"));
    table_cell(t, "%.0f", number_of(s, "failed"));
    table_cell(t, "%.0f", number_of(s, "pid"));
}

static bool print_table(const struct visits *v)
{
    static const char *const titles[] = {"id",     "topology", "state",
                                         "up",     "threads",  "per second",
                                         "failed", "pid"};
    struct table *t = table_new("lllrrrrr", titles);
    if (t == NULL) return false;
    for (unsigned i = 0; i < v->count; i++)
        row(t, &v->list[i]);
    err e = table_print(t, stdout);
    table_free(t);
    return e == OK;
}

/* A line for each. */
static bool print_json(const struct visits *v)
{
    bool whole = true;
    for (unsigned i = 0; i < v->count; i++) {
        json_t *status = v->list[i].status;
        if (status) {
            json_object_del(status, "ok");
            whole = whole && json_line(status, stdout);
            continue;
        }
        json_t *silent =
            json_pack("{s:s, s:s}", "run", v->list[i].id, "state", "no answer");
        whole = whole && json_line(silent, stdout);
        json_decref(silent);
    }
    return whole;
}

static int run(const struct verb *verb, int argc, char **argv)
{
    bool json = false, printed = true;
    struct visits v;
    int code = verb_parse(verb, &argc, argv, take, &json);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (argc > 1) {
        verb_say("ps takes no arguments: engine ps");
        return EXIT_USAGE;
    }
    if (visits_all(&v) != OK) {
        verb_say("out of memory");
        return EXIT_FAILED;
    }
    if (json)
        printed = print_json(&v);
    else if (v.count > 0)
        printed = print_table(&v);
    else
        fputs("nothing runs\n", stderr);
    visits_free(&v);
    if (!printed) verb_say("out of memory");
    return printed ? EXIT_WELL : EXIT_FAILED;
}

static const struct verb_option options[] = {
    {"json", NULL, "an object a line, for programs"},
    {NULL, NULL, NULL},
};

const struct verb ps_verb = {
    .name = "ps",
    .arguments = "",
    .help = "list your runs on this machine",
    .example = "engine ps",
    .options = options,
    .run = run,
};
