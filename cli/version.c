/* version.c - engine version */
#include "cli/verb.h"
#include <event2/event.h>
#include <lua.h>
#include <stdio.h>

static bool take(void *context, unsigned option, const char *value)
{
    *(bool *)context = true;
    return true;
}

static int run(const struct verb *verb, int argc, char **argv)
{
    bool json = false;
    int code = verb_parse(verb, &argc, argv, take, &json);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (argc > 1) {
        verb_say("version takes no arguments: engine version");
        return EXIT_USAGE;
    }
    if (json)
        printf("{\"version\":\"%s\",\"lua\":\"%s\",\"libevent\":\"%s\"}\n",
               ENGINE_VERSION, &LUA_RELEASE[4], event_get_version());
    else
        printf("engine %s (%s, libevent %s)\n", ENGINE_VERSION, LUA_RELEASE,
               event_get_version());
    return EXIT_WELL;
}

static const struct verb_option options[] = {
    {"json", NULL, "for programs"},
    {NULL, NULL, NULL},
};

const struct verb version_verb = {
    .name = "version",
    .arguments = "",
    .help = "print the version of engine and its libraries",
    .example = "engine version --json",
    .options = options,
    .run = run,
};
