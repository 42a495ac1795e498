/* stats.c - engine stats and engine errors: what a run has counted, and what
 * went wrong in it. */
#include "cli/history.h"
#include "cli/statistics.h"
#include "cli/verb.h"
#include "cli/visit.h"
#include <stdlib.h>
#include <time.h>

struct options {
    bool json;
    const char *over; /* NULL: all */
    long last;        /* -1: all */
};

/* Prints what the run answers; by `print` or as JSON. */
static int ask_and_print(const char *name, json_t *request, bool json,
                         bool (*print)(const json_t *answer))
{
    json_t *answer;
    int code = EXIT_FAILED;
    if (request)
        code = visit_run(name, request, &answer);
    else
        verb_say("out of memory");
    json_decref(request);
    if (code != EXIT_WELL) return code;
    json_object_del(answer, "ok");
    bool printed = json ? json_line(answer, stdout) : print(answer);
    json_decref(answer);
    if (printed) return EXIT_WELL;
    verb_say("run '%s' gave an answer that can't be printed", name);
    return EXIT_FAILED;
}

/* ---- stats ---- */

static bool take_stats(void *context, unsigned option, const char *value)
{
    struct options *o = context;
    enum window window;
    if (option == 1) {
        o->json = true;
        return true;
    }
    o->over = value;
    if (window_named(value, &window) == OK) return true;
    verb_say("--over is '%s'; give 10s, 1m, 10m, 1h or all", value);
    return false;
}

static bool print_statistics(const json_t *answer)
{
    const json_t *window =
        json_array_get(json_object_get(answer, "windows"), 0);
    if (!statistics_print(window, stdout)) return false;
    printf("%.2f s\n", json_number_value(json_object_get(window, "seconds")));
    return true;
}

static int run_stats(const struct verb *verb, int argc, char **argv)
{
    struct options o = {.over = NULL};
    int code = verb_parse(verb, &argc, argv, take_stats, &o);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (argc != 2) {
        verb_say("stats takes one run: engine stats ID; engine ps lists them");
        return EXIT_USAGE;
    }
    const char *over = o.over ? o.over : o.json ? NULL : "all";
    json_t *request = json_pack("{s:s}", "verb", "statistics");
    if (request && over)
        json_object_set_new(request, "over", json_string(over));
    return ask_and_print(argv[1], request, o.json, print_statistics);
}

static const struct verb_option stats_options[] = {
    {"over", "WINDOW", "10s, 1m, 10m, 1h or all (default: all)"},
    {"json", NULL, "one object, for programs; without --over of each window"},
    {NULL, NULL, NULL},
};

const struct verb stats_verb = {
    .name = "stats",
    .arguments = "ID",
    .help = "print a run's counts, rates and latencies",
    .example = "engine stats word-count --over 1m",
    .options = stats_options,
    .run = run_stats,
};

/* ---- errors ---- */

static bool take_errors(void *context, unsigned option, const char *value)
{
    struct options *o = context;
    char *end;
    if (option == 1) {
        o->json = true;
        return true;
    }
    o->last = strtol(value, &end, 10);
    if (*value >= '0' && *value <= '9' && *end == '\0') return true;
    verb_say("--last is '%s'; give a number from 0 on", value);
    return false;
}

static bool is_control(char c)
{
    return c != '\t' && ((unsigned char)c < 0x20 || c == 0x7f);
}

/* As a log's line: the text's own lines stand indented below the first. */
static void print_error(const json_t *error)
{
    json_int_t last_ms = json_integer_value(json_object_get(error, "last"));
    json_int_t times = json_integer_value(json_object_get(error, "times"));
    const char *component =
        json_string_value(json_object_get(error, "component"));
    const char *text = json_string_value(json_object_get(error, "text"));
    time_t seconds = (time_t)(last_ms / 1000);
    struct tm tm;
    char when[32] = "?";
    if (localtime_r(&seconds, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    printf("%s  %s[%" JSON_INTEGER_FORMAT "]  ", when,
           component ? component : "?",
           json_integer_value(json_object_get(error, "task")));
    for (; text && *text; text++) {
        if (*text == '\n')
            fputs("\n    ", stdout);
        else
            putchar(is_control(*text) ? '?' : *text);
    }
    if (times > 1) printf("  (%" JSON_INTEGER_FORMAT " times)", times);
    putchar('\n');
}

static bool print_errors(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "errors");
    for (size_t i = 0; i < json_array_size(list); i++)
        print_error(json_array_get(list, i));
    if (json_array_size(list) == 0) fputs("nothing went wrong\n", stderr);
    return json_is_array(list);
}

static int run_errors(const struct verb *verb, int argc, char **argv)
{
    struct options o = {.last = -1};
    int code = verb_parse(verb, &argc, argv, take_errors, &o);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (argc != 2) {
        verb_say(
            "errors takes one run: engine errors ID; engine ps lists them");
        return EXIT_USAGE;
    }
    json_t *request = json_pack("{s:s}", "verb", "errors");
    if (request && o.last >= 0)
        json_object_set_new(request, "last", json_integer(o.last));
    return ask_and_print(argv[1], request, o.json, print_errors);
}

static const struct verb_option errors_options[] = {
    {"last", "N", "the newest N only"},
    {"json", NULL, "one object, for programs"},
    {NULL, NULL, NULL},
};

const struct verb errors_verb = {
    .name = "errors",
    .arguments = "ID",
    .help = "print what went wrong lately in a run, the newest first",
    .example = "engine errors word-count --last 5",
    .options = errors_options,
    .run = run_errors,
};
