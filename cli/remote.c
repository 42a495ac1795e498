/* remote.c - the verbs that tell a run something: log, stop, ask. */
#include "cli/argument.h"
#include "cli/verb.h"
#include "cli/visit.h"
#include "core/units.h"
#include <string.h>

/* Longer than its drain: the ends of its threads and its table come then. */
#define END_NS INT64_C(10000000000)

static const struct verb_option no_options[] = {{NULL, NULL, NULL}};

static bool take_nothing(void *context, unsigned option, const char *value)
{
    return false;
}

/* Asks, and forgets the answer. */
static int tell(const char *name, json_t *request)
{
    json_t *answer;
    int code = EXIT_FAILED;
    if (request)
        code = visit_run(name, request, &answer);
    else
        verb_say("out of memory");
    if (code == EXIT_WELL) json_decref(answer);
    json_decref(request);
    return code;
}

/* ---- log ---- */

static json_t *level_json(const struct argument_level *l)
{
    json_t *json = json_pack("{s:o, s:s}", "component", json_text(l->component),
                             "level", log_level_name(l->level));
    if (json && l->limit_ns > 0)
        json_object_set_new(json, "for", json_real((double)l->limit_ns / 1e9));
    return json;
}

/* One request for all of them: if one is wrong none is set. NULL: `code` is
 * the exit's, and it was said. */
static json_t *log_request(char **texts, int count, int *code)
{
    json_t *list = json_array();
    for (int i = 0; list && i < count; i++) {
        struct argument_level level;
        char why[512];
        if (!argument_level(texts[i], &level, why, sizeof why)) {
            verb_say("%s", why);
            json_decref(list);
            *code = EXIT_USAGE;
            return NULL;
        }
        if (json_array_append_new(list, level_json(&level)) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    json_t *request = json_pack("{s:s, s:o}", "verb", "log", "levels", list);
    *code = request ? EXIT_WELL : EXIT_FAILED;
    if (request == NULL) verb_say("out of memory");
    return request;
}

static int run_log(const struct verb *verb, int argc, char **argv)
{
    int code = verb_parse(verb, &argc, argv, take_nothing, NULL);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (argc < 3) {
        verb_say("log takes a run and levels: engine log ID "
                 "COMPONENT=LEVEL[:TIME]…");
        return EXIT_USAGE;
    }
    json_t *request = log_request(argv + 2, argc - 2, &code);
    return request ? tell(argv[1], request) : code;
}

const struct verb log_verb = {
    .name = "log",
    .arguments = "ID COMPONENT=LEVEL[:TIME]…",
    .help = "set what components of a run log, for a while or for good",
    .example = "engine log word-count split=debug:30s count=warn",
    .options = no_options,
    .run = run_log,
};

/* ---- activation ---- */

static int run_activation(const struct verb *verb, int argc, char **argv)
{
    int code = verb_parse(verb, &argc, argv, take_nothing, NULL);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (argc == 2) return tell(argv[1], json_pack("{s:s}", "verb", verb->name));
    verb_say("%s takes one run: engine %s ID; engine ps lists them", verb->name,
             verb->name);
    return EXIT_USAGE;
}

const struct verb activate_verb = {
    .name = "activate",
    .arguments = "ID",
    .help = "let a run's spouts emit (again)",
    .example = "engine activate word-count",
    .options = no_options,
    .run = run_activation,
};

const struct verb deactivate_verb = {
    .name = "deactivate",
    .arguments = "ID",
    .help = "let a run's spouts emit nothing new; what is under way goes on",
    .example = "engine deactivate word-count",
    .options = no_options,
    .run = run_activation,
};

/* ---- stop ---- */

struct stop {
    bool given;
    int64_t drain_ns;
};

static bool take_drain(void *context, unsigned option, const char *value)
{
    struct stop *s = context;
    s->given = units_duration(value, &s->drain_ns);
    if (!s->given)
        verb_say("--drain is '%s'; give a time like 10s or 500ms", value);
    return s->given;
}

/* What the run may take, from its answer. */
static int64_t limit_of(const json_t *answer)
{
    double seconds = json_number_value(json_object_get(answer, "limit"));
    return seconds >= 0 && seconds < 9e8 ? (int64_t)(seconds * 1e9) : 0;
}

static int stop(const char *name, const struct stop *s)
{
    char folder[PLACE_PATH_BYTES];
    json_t *answer, *request = json_pack("{s:s}", "verb", "drain");
    int code = visit_find(name, folder);
    if (request && s->given)
        json_object_set_new(request, "limit",
                            json_real((double)s->drain_ns / 1e9));
    if (code == EXIT_WELL) code = visit_tell(folder, name, request, &answer);
    json_decref(request);
    if (code == VISIT_ENDED) return EXIT_WELL; /* as it was to */
    if (code != EXIT_WELL) return code;
    int64_t limit_ns = limit_of(answer) + END_NS;
    json_decref(answer);
    if (visit_wait_gone(folder, limit_ns)) return EXIT_WELL;
    verb_say("run '%s' was told to end and hasn't", name);
    return EXIT_FAILED;
}

static int run_stop(const struct verb *verb, int argc, char **argv)
{
    struct stop s = {.given = false};
    int code = verb_parse(verb, &argc, argv, take_drain, &s);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (argc != 2) {
        verb_say("stop takes one run: engine stop ID; engine ps lists them");
        return EXIT_USAGE;
    }
    return stop(argv[1], &s);
}

static const struct verb_option stop_options[] = {
    {"drain", "TIME",
     "for what is under way (default: as the run was started; 0s: none)"},
    {NULL, NULL, NULL},
};

const struct verb stop_verb = {
    .name = "stop",
    .arguments = "ID",
    .help = "drain a run and wait until it has ended",
    .example = "engine stop word-count --drain 5s",
    .options = stop_options,
    .run = run_stop,
};

/* ---- ask ---- */

/* The line goes as it is, right or wrong: the run's answer tells. */
static int ask(const char *name, const char *line)
{
    char folder[PLACE_PATH_BYTES];
    struct buffer answer = {0};
    int code = visit_find(name, folder);
    if (code != EXIT_WELL) return code;
    if (visit_ask(folder, line, strlen(line), &answer) != OK) {
        verb_say("run '%s' doesn't answer", name);
        buffer_fini(&answer);
        return EXIT_FAILED;
    }
    json_t *json = json_loadb((const char *)answer.data, answer.used, 0, NULL);
    if (!json_is_true(json_object_get(json, "ok"))) code = visit_refused(json);
    fwrite(answer.data, 1, answer.used, stdout);
    putchar('\n');
    json_decref(json);
    buffer_fini(&answer);
    return code;
}

static int run_ask(const struct verb *verb, int argc, char **argv)
{
    int code = verb_parse(verb, &argc, argv, take_nothing, NULL);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (argc != 3 || strchr(argv[2], '\n')) {
        verb_say("ask takes a run and a line of JSON: engine ask ID "
                 "'{\"verb\":\"help\"}'");
        return EXIT_USAGE;
    }
    return ask(argv[1], argv[2]);
}

const struct verb ask_verb = {
    .name = "ask",
    .arguments = "ID JSON",
    .help = "send a request to a run's door and print its answer",
    .example = "engine ask word-count '{\"verb\":\"help\"}'",
    .options = no_options,
    .run = run_ask,
};
