#include "cli/run_options.h"
#include "core/units.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The environment's default of --drain: an image knows when it is killed. */
#define DRAIN_VARIABLE "ENGINE_DRAIN"

enum {
    SET,
    THREADS,
    DATA,
    FRESH,
    WATCH,
    FOR,
    DRAIN,
    QUIET,
    JSON,
    LOG_FORMAT,
    LOG_LEVEL
};

const struct verb_option run_options_table[] = {
    [SET] = {"set", "NAME=VALUE", "give a param of the definition its value"},
    [THREADS] = {"threads", "N",
                 "scheduler threads of each topology (default: the cores)"},
    [DATA] = {"data", "FOLDER",
              "keep checkpoints there, and go on from the newest"},
    [FRESH] = {"fresh", NULL,
               "with --data: forget these topologies' checkpoints, begin anew"},
    [WATCH] = {"watch", NULL, "take over new code when a file is saved"},
    [FOR] = {"for", "TIME", "drain after this time"},
    [DRAIN] =
        {"drain", "TIME",
         "for what is under way when told to end (default: " DRAIN_VARIABLE
         ", or 10s)"},
    [QUIET] = {"quiet", NULL, "no start lines and no table at the end"},
    [JSON] = {"json", NULL,
              "the log in JSON, and one object instead of the table"},
    [LOG_FORMAT] = {"log-format", "FORMAT", "text or json (default: text)"},
    [LOG_LEVEL] = {"log-level", "[NAME=]LEVEL",
                   "trace debug info warn error off; of one component"},
    {NULL, NULL, NULL},
};

/* ---- those that other verbs have, too ---- */

bool sets_take(struct sets *sets, const char *value)
{
    if (sets->count == SETS_MAX) {
        verb_say("--set is given more than %d times", SETS_MAX);
        return false;
    }
    sets->list[sets->count++] = value;
    return true;
}

bool threads_take(unsigned *threads, const char *value)
{
    char *end;
    long n = strtol(value, &end, 10);
    if (end != value && *end == '\0' && n >= 1 && n <= THREADS_MAX) {
        *threads = (unsigned)n;
        return true;
    }
    verb_say("--threads is '%s'; give a number from 1 to %d", value,
             THREADS_MAX);
    return false;
}

unsigned threads_default(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores;
}

/* ---- a run's own ---- */

/* LEVEL, or NAME=LEVEL for as long as it runs. */
static bool take_level(struct run_options *o, const char *value)
{
    struct argument_level one;
    char why[256];
    bool single = strchr(value, '=') != NULL;
    bool known = single ? argument_level(value, &one, why, sizeof why) &&
                              one.limit_ns == 0
                        : log_level_named(value, &o->level) == OK;
    if (!known) {
        verb_say("--log-level is '%s'; give trace, debug, info, warn, error or "
                 "off, or NAME=LEVEL for one component",
                 value);
        return false;
    }
    if (!single) return true;
    if (o->level_count == LEVELS_MAX) {
        verb_say("--log-level NAME=LEVEL is given more than %d times",
                 LEVELS_MAX);
        return false;
    }
    o->levels[o->level_count++] = one;
    return true;
}

static bool take_time(int64_t *ns, const char *name, const char *value)
{
    if (units_duration(value, ns)) return true;
    verb_say("%s is '%s'; give a time like 10s or 500ms", name, value);
    return false;
}

static bool take_for(struct run_options *o, const char *value)
{
    if (!take_time(&o->for_ns, "--for", value)) return false;
    if (o->for_ns > 0) return true;
    verb_say("--for is '%s', and nothing would run; give a time like 10s",
             value);
    return false;
}

static bool default_drain(struct run_options *o)
{
    if (o->drain_ns >= 0) return true;
    const char *value = getenv(DRAIN_VARIABLE);
    return take_time(&o->drain_ns, DRAIN_VARIABLE,
                     value && *value ? value : "10s");
}

static bool take_format(struct run_options *o, const char *value)
{
    o->json_log = strcmp(value, "json") == 0;
    o->text_log = strcmp(value, "text") == 0;
    if (o->json_log || o->text_log) return true;
    verb_say("--log-format is '%s'; give text or json", value);
    return false;
}

static bool take_option(void *context, unsigned option, const char *value)
{
    struct run_options *o = context;
    switch (option) {
    case SET: return sets_take(&o->sets, value);
    case THREADS: return threads_take(&o->threads, value);
    case DATA: o->data = value; return true;
    case FRESH: o->fresh = true; return true;
    case WATCH: o->watch = true; return true;
    case FOR: return take_for(o, value);
    case DRAIN: return take_time(&o->drain_ns, "--drain", value);
    case QUIET: o->quiet = true; return true;
    case JSON: o->json = true; return true;
    case LOG_FORMAT: return take_format(o, value);
    case LOG_LEVEL: return take_level(o, value);
    default: return false;
    }
}

int run_options_parse(const struct verb *verb, int *argc, char **argv,
                      struct run_options *out)
{
    *out = (struct run_options){
        .threads = threads_default(), .drain_ns = -1, .level = LOG_INFO};
    int code = verb_parse(verb, argc, argv, take_option, out);
    if (code != EXIT_WELL) return code;
    if (out->json && out->text_log) {
        verb_say("--json needs --log-format json; leave --log-format out");
        return EXIT_USAGE;
    }
    if (out->fresh && out->data == NULL) {
        verb_say("--fresh is about the folder of --data; give that, too");
        return EXIT_USAGE;
    }
    if (out->data && out->data[0] == '\0') {
        verb_say("--data is empty; name a folder");
        return EXIT_USAGE;
    }
    if (out->json) out->json_log = true;
    return default_drain(out) ? EXIT_WELL : EXIT_USAGE;
}
