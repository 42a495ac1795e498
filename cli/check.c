/* check.c - engine check: reads a definition as engine run would, and says all
 * that is wrong with it, or what it is and what will hurt. */
#include "actors/stream/promise.h"
#include "cli/advice.h"
#include "cli/json.h"
#include "cli/run_options.h"
#include "core/alloc.h"
#include "lua/definition.h"
#include <stdlib.h>
#include <string.h>

struct check {
    struct sets sets;
    unsigned threads;
    bool json;
    const char *path;
    json_t *errors, *warnings; /* owned; with --json */
};

enum { SET, THREADS, JSON };

static const struct verb_option option_table[] = {
    [SET] = {"set", "NAME=VALUE", "give a param of the definition its value"},
    [THREADS] = {"threads", "N", "that it will run on (default: the cores)"},
    [JSON] = {"json", NULL, "one object, for programs"},
    {NULL, NULL, NULL},
};

static bool take_option(void *context, unsigned option, const char *value)
{
    struct check *c = context;
    switch (option) {
    case SET: return sets_take(&c->sets, value);
    case THREADS: return threads_take(&c->threads, value);
    case JSON: c->json = true; return true;
    default: return false;
    }
}

/* "t.lua:3: what is wrong" */
static json_t *error_json(const char *line)
{
    const char *at = line, *end = NULL;
    long number = 0;
    while ((at = strchr(at, ':')) != NULL) {
        char *behind;
        number = strtol(++at, &behind, 10);
        if (behind > at && behind[0] == ':' && behind[1] == ' ') {
            end = at - 1;
            at = behind + 2;
            break;
        }
    }
    if (end == NULL) return json_pack("{s:o}", "text", json_text(line));
    char *file = mem_text(line, (size_t)(end - line));
    json_t *json = file ? json_pack("{s:o, s:i, s:o}", "file", json_text(file),
                                    "line", (int)number, "text", json_text(at))
                        : NULL;
    mem_free(file);
    return json;
}

/* Each stands in a line. */
static void say_errors(struct check *c, char *errors)
{
    char *rest;
    for (char *line = strtok_r(errors, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        if (c->json)
            json_array_append_new(c->errors, error_json(line));
        else
            fprintf(stderr, "%s\n", line);
    }
}

static void say_advice(void *context, const struct advice *advice)
{
    struct check *c = context;
    int line = advice->component->line;
    if (!c->json) {
        fprintf(stderr, "%s:%d: warning: %s\n", c->path, line, advice->text);
        return;
    }
    json_array_append_new(
        c->warnings,
        json_pack("{s:o, s:i, s:o, s:o}", "file", json_text(c->path), "line",
                  line, "component", json_text(advice->component->name), "text",
                  json_text(advice->text)));
}

static void say_well(const struct plan *plan, unsigned warnings)
{
    unsigned kinds[COMPONENT_SINK + 1] = {0}, executors = 0;
    for (unsigned i = 0; i < plan->count; i++) {
        kinds[plan->components[i].kind]++;
        executors += plan->components[i].executors;
    }
    char on[40] = "";
    if (executors < plan->tasks)
        snprintf(on, sizeof on, " on %u executor%s", executors,
                 executors == 1 ? "" : "s");
    printf("%s: topology '%s' is sound: %u spout%s, %u bolt%s, %u sink%s, %u "
           "task%s%s, %s",
           plan->file, plan->name, kinds[COMPONENT_SPOUT],
           kinds[COMPONENT_SPOUT] == 1 ? "" : "s", kinds[COMPONENT_BOLT],
           kinds[COMPONENT_BOLT] == 1 ? "" : "s", kinds[COMPONENT_SINK],
           kinds[COMPONENT_SINK] == 1 ? "" : "s", plan->tasks,
           plan->tasks == 1 ? "" : "s", on, guarantee_name(plan->guarantee));
    if (warnings)
        printf("; %u warning%s\n", warnings, warnings == 1 ? "" : "s");
    else
        putchar('\n');
    struct promise p;
    for (unsigned i = 0; promise_differs(plan) && promise_at(plan, i, &p); i++)
        printf("  %s → %s: %s, %s\n", p.from->name, p.to->name,
               guarantee_name(p.guarantee), p.why);
}

/* NULL: out of memory. */
static json_t *paths_json(const struct plan *plan)
{
    json_t *list = json_array();
    struct promise p;
    for (unsigned i = 0; list && promise_at(plan, i, &p); i++) {
        json_t *one =
            json_pack("{s:o, s:o, s:s, s:s}", "from", json_text(p.from->name),
                      "to", json_text(p.to->name), "guarantee",
                      guarantee_name(p.guarantee), "why", p.why);
        if (json_array_append_new(list, one) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

/* Takes the lists. `plan` is NULL where there are errors. */
static bool print_json(struct check *c, const struct plan *plan)
{
    json_t *json = json_pack("{s:b, s:o, s:o, s:o}", "ok", plan != NULL, "file",
                             json_text(c->path), "errors", c->errors,
                             "warnings", c->warnings);
    c->errors = c->warnings = NULL;
    if (json && plan) {
        json_t *more = json_pack("{s:o, s:i, s:i, s:s, s:o}", "topology",
                                 json_text(plan->name), "components",
                                 (int)plan->count, "tasks", (int)plan->tasks,
                                 "guarantee", guarantee_name(plan->guarantee),
                                 "paths", paths_json(plan));
        json_object_update(json, more);
        json_decref(more);
    }
    bool printed = json_line(json, stdout);
    json_decref(json);
    return printed;
}

static int check_file(struct check *c)
{
    struct definition *d = NULL;
    char *errors = NULL, *text;
    err e = definition_load(c->path, c->sets.list, c->sets.count, NULL, &d,
                            &errors);
    text = errors;
    if (e != OK && errors) say_errors(c, errors);
    if (e != OK && errors == NULL) verb_say("%s", err_text(e));
    unsigned warnings =
        e == OK ? advice_give(&d->plan, c->threads, say_advice, c) : 0;
    if (c->json && !print_json(c, e == OK ? &d->plan : NULL)) e = ERR_NOMEM;
    if (!c->json && e == OK) say_well(&d->plan, warnings);
    mem_free(text);
    definition_free(d);
    return verb_load_code(e);
}

static int run(const struct verb *verb, int argc, char **argv)
{
    struct check c = {.threads = threads_default()};
    int code = verb_parse(verb, &argc, argv, take_option, &c);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (argc != 2 || argv[1][0] == '\0') {
        verb_say("check takes one definition file: engine check FILE");
        return EXIT_USAGE;
    }
    c.path = argv[1];
    c.errors = json_array();
    c.warnings = json_array();
    code = check_file(&c);
    json_decref(c.errors);
    json_decref(c.warnings);
    return code;
}

const struct verb check_verb = {
    .name = "check",
    .arguments = "FILE",
    .help = "say all that is wrong with a definition, or what it is",
    .example = "engine check topologies/word_count.lua",
    .options = option_table,
    .run = run,
};
