#include "cli/verb.h"
#include "core/nearest.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct verb *const verbs[] = {
    &run_verb,   &test_verb,   &check_verb, &bench_verb,    &ps_verb,
    &stats_verb, &errors_verb, &log_verb,   &activate_verb, &deactivate_verb,
    &stop_verb,  &ask_verb,    &store_verb, &version_verb};
enum { VERBS = sizeof verbs / sizeof verbs[0] };

void verb_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("engine: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

int verb_load_code(err e)
{
    switch (e) {
    case OK: return EXIT_WELL;
    case ERR_CONFIG: return EXIT_DEFINITION;
    case ERR_NOMEM: return EXIT_FAILED;
    default: return EXIT_USAGE;
    }
}

static void print_overview(FILE *to)
{
    fputs("engine runs stream topologies written in Lua.\n\n"
          "  engine VERB [OPTION…] [ARGUMENT…]\n\n",
          to);
    for (int i = 0; i < VERBS; i++)
        fprintf(to, "  %-10s %s\n", verbs[i]->name, verbs[i]->help);
    fputs("\n  engine VERB --help tells a verb's options, with an example.\n"
          "\nTry: engine run topologies/word_count.lua\n",
          to);
}

/* "--set NAME=VALUE"; gives its length. */
static int option_text(const struct verb_option *o, char text[64])
{
    return snprintf(text, 64, "--%s%s%s", o->name, o->value ? " " : "",
                    o->value ? o->value : "");
}

static void print_help(const struct verb *verb)
{
    char left[64];
    int width = 0;
    for (const struct verb_option *o = verb->options; o->name; o++)
        if (option_text(o, left) > width) width = option_text(o, left);
    printf("engine %s%s%s%s\n  %s\n", verb->name,
           verb->options[0].name ? " [OPTION…]" : "",
           verb->arguments[0] ? " " : "", verb->arguments, verb->help);
    if (verb->more) fputs(verb->more, stdout);
    for (const struct verb_option *o = verb->options; o->name; o++) {
        option_text(o, left);
        printf("  %-*s  %s\n", width, left, o->help);
    }
    printf("\nExample: %s\n", verb->example);
}

static int find_option(const struct verb *verb, const char *name, size_t bytes)
{
    for (int i = 0; verb->options[i].name; i++)
        if (strlen(verb->options[i].name) == bytes &&
            memcmp(verb->options[i].name, name, bytes) == 0)
            return i;
    return -1;
}

/* `text` as it was typed, `name` without the dashes. */
static int unknown_option(const struct verb *verb, const char *text,
                          const char *name)
{
    struct nearest near;
    nearest_begin(&near, name);
    for (int i = 0; verb->options[i].name; i++)
        nearest_try(&near, verb->options[i].name);
    if (near.best[0])
        verb_say("%s has no option %s; did you mean --%s?", verb->name, text,
                 near.best);
    else
        verb_say("%s has no option %s; engine %s --help lists them", verb->name,
                 text, verb->name);
    return EXIT_USAGE;
}

int verb_parse(const struct verb *verb, int *argc, char **argv,
               bool (*take)(void *context, unsigned option, const char *value),
               void *context)
{
    int kept = 1;
    bool options = true;
    for (int i = 1; i < *argc; i++) {
        char *arg = argv[i];
        if (options && strcmp(arg, "--") == 0) {
            options = false;
            continue;
        }
        if (options && (!strcmp(arg, "--help") || !strcmp(arg, "-h"))) {
            print_help(verb);
            return -1;
        }
        if (!options || arg[0] != '-' || arg[1] == '\0') {
            argv[kept++] = arg;
            continue;
        }
        const char *name = arg + (arg[1] == '-' ? 2 : 1);
        size_t bytes = strcspn(name, "=");
        int option = find_option(verb, name, bytes);
        if (option < 0) {
            char text[64];
            int dashes = (int)(name - arg);
            snprintf(text, sizeof text, "%.*s", dashes + (int)bytes, arg);
            return unknown_option(verb, text, text + dashes);
        }
        const char *value = name[bytes] == '=' ? name + bytes + 1 : NULL;
        const struct verb_option *o = &verb->options[option];
        if (o->value && value == NULL) {
            if (i + 1 == *argc) {
                verb_say("--%s needs a value: --%s %s", o->name, o->name,
                         o->value);
                return EXIT_USAGE;
            }
            value = argv[++i];
        } else if (o->value == NULL && value) {
            verb_say("--%s takes no value", o->name);
            return EXIT_USAGE;
        }
        if (!take(context, (unsigned)option, value)) return EXIT_USAGE;
    }
    *argc = kept;
    return EXIT_WELL;
}

/* A program can be started without stdin, stdout or stderr (`>&-`). Then the
 * next file that is opened gets that number, and data would be read from it or
 * written into it. So a missing stdin is an empty one, and a missing stdout is
 * one that was closed: a pipe that nobody reads. */
static void fill_standard_files(void)
{
    int ends[2];
    while (fcntl(STDIN_FILENO, F_GETFD) < 0)
        if (open("/dev/null", O_RDONLY) < 0) return;
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0 && pipe(ends) == 0) {
        /* The lowest number that is free is the end for reading. */
        dup2(ends[1], STDOUT_FILENO);
        close(ends[1]);
    }
    while (fcntl(STDERR_FILENO, F_GETFD) < 0)
        if (open("/dev/null", O_WRONLY) < 0) return;
}

/* NULL: there is none, it was said. */
static const struct verb *find_verb(const char *name)
{
    struct nearest near;
    nearest_begin(&near, name);
    for (int i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
        nearest_try(&near, verbs[i]->name);
    }
    if (near.best[0])
        verb_say("there is no verb '%s'; did you mean 'engine %s'?", name,
                 near.best);
    else
        verb_say("there is no verb '%s'; engine --help lists them", name);
    return NULL;
}

/* engine help [VERB] */
static int help(int argc, char **argv)
{
    if (argc > 3) {
        verb_say("help takes one verb: engine help run");
        return EXIT_USAGE;
    }
    if (argc < 3) {
        print_overview(stdout);
        return EXIT_WELL;
    }
    const struct verb *verb = find_verb(argv[2]);
    if (verb == NULL) return EXIT_USAGE;
    print_help(verb);
    return EXIT_WELL;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (!strcmp(name, "help")) return help(argc, argv);
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        print_overview(stdout);
        return EXIT_WELL;
    }
    if (!strcmp(name, "--version")) name = "version";
    const struct verb *verb = find_verb(name);
    return verb ? verb->run(verb, argc - 1, argv + 1) : EXIT_USAGE;
}

int verb_main(int argc, char **argv)
{
    fill_standard_files();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of a write */
    int code = dispatch(argc, argv);
    /* What help and version printed. Who closed a pipe has read enough. */
    if (fflush(stdout) == 0 || errno == EPIPE) return code;
    verb_say("can't write to stdout: %s", strerror(errno));
    return EXIT_FAILED;
}
