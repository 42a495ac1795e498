/* version.c - engine version */
#include "cli/json.h"
#include "cli/verb.h"
#include <event2/event.h>
#include <lmdb.h>
#include <lua.h>
#include <xxhash.h>

/* build.sh says it where there is a repository. */
#ifndef ENGINE_COMMIT
#define ENGINE_COMMIT ""
#endif

#define TEXT_OF(number)  #number
#define TEXT_OF2(number) TEXT_OF(number)
#define XXHASH_RELEASE                                                         \
    TEXT_OF2(XXH_VERSION_MAJOR)                                                \
    "." TEXT_OF2(XXH_VERSION_MINOR) "." TEXT_OF2(XXH_VERSION_RELEASE)

/* "0.9.24", of the library that is loaded. */
static const char *lmdb_release(char text[32])
{
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    snprintf(text, 32, "%d.%d.%d", major, minor, patch);
    return text;
}

static bool take(void *context, unsigned option, const char *value)
{
    *(bool *)context = true;
    return true;
}

static bool print_json(void)
{
    bool known = ENGINE_COMMIT[0] != '\0';
    char lmdb[32];
    json_t *json = json_pack(
        "{s:s, s:o, s:s, s:s, s:s, s:s, s:s}", "version", ENGINE_VERSION,
        "commit", known ? json_string(ENGINE_COMMIT) : json_null(), "lua",
        &LUA_RELEASE[4], "libevent", event_get_version(), "jansson",
        jansson_version_str(), "lmdb", lmdb_release(lmdb), "xxhash",
        XXHASH_RELEASE);
    bool printed = json_line(json, stdout);
    json_decref(json);
    return printed;
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
    char lmdb[32];
    if (json) return print_json() ? EXIT_WELL : EXIT_FAILED;
    printf("engine %s%s%s (%s, libevent %s, jansson %s, LMDB %s, xxHash %s)\n",
           ENGINE_VERSION, ENGINE_COMMIT[0] ? " " : "", ENGINE_COMMIT,
           LUA_RELEASE, event_get_version(), jansson_version_str(),
           lmdb_release(lmdb), XXHASH_RELEASE);
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
