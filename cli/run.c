/* run.c - engine run: topologies in this process, until their input ends or
 * they are told to end. Data goes to stdout, everything for people to stderr.
 */
#include "cli/host.h"
#include "cli/report.h"
#include "cli/running.h"
#include "core/alloc.h"
#include "core/nearest.h"
#include <string.h>

/* ---- the definitions ---- */

/* All of them: what is wrong with each is said at once. */
static int load_all(struct host *host, char **paths)
{
    int code = EXIT_WELL;
    for (unsigned i = 0; i < host->count; i++) {
        int one = running_load(&host->runs[i], paths[i]);
        if (one > code) code = one;
    }
    return code;
}

/* A door, a log and a table have nothing else to tell them apart by. */
static bool check_names(const struct host *host)
{
    for (unsigned i = 0; i < host->count; i++)
        for (unsigned k = 0; k < i; k++) {
            const struct plan *a = &host->runs[k].definition->plan;
            const struct plan *b = &host->runs[i].definition->plan;
            if (strcmp(a->name, b->name) != 0) continue;
            host_tell(host, LOG_ERROR,
                      "engine: %s and %s both name their topology '%s'; give "
                      "one of them another name",
                      a->file, b->file, a->name);
            return false;
        }
    return true;
}

/* Each line would go to whichever asks first. */
static bool check_stdin(const struct host *host)
{
    const struct plan *reader = NULL;
    for (unsigned i = 0; i < host->count; i++) {
        const struct plan *plan = &host->runs[i].definition->plan;
        if (!running_reads_stdin(plan)) continue;
        if (reader) {
            host_tell(host, LOG_ERROR,
                      "engine: %s and %s both read stdin; let one of them read "
                      "a file, or start engine once for each",
                      reader->file, plan->file);
            return false;
        }
        reader = plan;
    }
    return true;
}

/* One that none of the definitions knows: each says what it has. */
static void tell_unknown(const struct host *host, const char *const *set)
{
    for (unsigned i = 0; i < host->count; i++) {
        struct definition *d = NULL;
        char *errors = NULL;
        const struct running *r = &host->runs[i];
        err e = definition_load(r->definition->plan.file, set, 1, r->runtime,
                                &d, &errors);
        if (e != OK) host_tell_lines(host, errors ? errors : err_text(e));
        mem_free(errors);
        definition_free(d);
    }
}

static bool check_sets(const struct host *host)
{
    const struct sets *sets = &host->options.sets;
    bool sound = true;
    for (unsigned k = 0; host->count > 1 && k < sets->count; k++) {
        bool known = false;
        for (unsigned i = 0; i < host->count; i++)
            known |= host->runs[i].known[k];
        if (known) continue;
        tell_unknown(host, &sets->list[k]);
        sound = false;
    }
    return sound;
}

/* ---- --log-level NAME=… ---- */

/* The names are known when the definitions are: to those that have it. */
static bool take_level(const struct host *host, const struct argument_level *l)
{
    char best[NEAREST_BYTES + 1] = "";
    bool taken = false;
    for (unsigned i = 0; i < host->count; i++) {
        struct levels *levels = host->runs[i].levels;
        struct nearest near;
        if (levels_knows(levels, l->component, &near)) {
            levels_set(levels, l->component, l->level, 0, 0);
            taken = true;
        } else if (best[0] == '\0') {
            snprintf(best, sizeof best, "%s", near.best);
        }
    }
    if (taken) return true;
    bool one = host->count == 1;
    host_tell(host, LOG_ERROR,
              "engine: --log-level %s=…: %s has %scomponent of that "
              "name%s%s%s",
              l->component,
              one ? host->runs[0].definition->plan.file : "none of the files",
              one ? "no " : "a ", best[0] ? "; did you mean '" : "", best,
              best[0] ? "'?" : "; give one of its spouts, bolts or sinks");
    return false;
}

static int take_levels(struct host *host)
{
    const struct run_options *o = &host->options;
    for (unsigned i = 0; i < host->count; i++) {
        int code = running_make_levels(&host->runs[i]);
        if (code != EXIT_WELL) return code;
    }
    for (unsigned i = 0; i < o->level_count; i++)
        if (!take_level(host, &o->levels[i])) return EXIT_USAGE;
    return EXIT_WELL;
}

/* ---- the run ---- */

static int open_data(struct host *host)
{
    bool durable = false;
    for (unsigned i = 0; i < host->count; i++)
        durable |= plan_is_durable(&host->runs[i].definition->plan);
    int code = data_open(&host->data, &host->options, durable);
    for (unsigned i = 0; code == EXIT_WELL && i < host->count; i++)
        code = running_read_data(&host->runs[i]);
    return code;
}

static int start_all(struct host *host)
{
    int code = EXIT_WELL;
    for (unsigned i = 0; i < host->count; i++)
        if (!host->runs[i].finished) running_prepare(&host->runs[i]);
    for (unsigned i = 0; code == EXIT_WELL && i < host->count; i++)
        if (!host->runs[i].finished) code = running_set_up(&host->runs[i]);
    for (unsigned i = 0; code == EXIT_WELL && i < host->count; i++)
        if (!host->runs[i].finished) code = running_start(&host->runs[i]);
    for (unsigned i = 0; code != EXIT_WELL && i < host->count; i++)
        running_abandon(&host->runs[i]);
    return code;
}

static int run_files(struct host *host, char **paths)
{
    int code = load_all(host, paths);
    if (code != EXIT_WELL) return code;
    if (!check_sets(host) || !check_names(host) || !check_stdin(host))
        return EXIT_USAGE;
    code = take_levels(host);
    if (code == EXIT_WELL) code = open_data(host);
    if (code == EXIT_WELL) code = start_all(host);
    return code == EXIT_WELL ? host_wait(host) : code;
}

static int run_run(const struct verb *verb, int argc, char **argv)
{
    struct host host = {.signals = -1};
    int code = run_options_parse(verb, &argc, argv, &host.options);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    bool empty = argc < 2;
    for (int i = 1; i < argc; i++)
        empty |= argv[i][0] == '\0';
    if (empty) {
        verb_say("run takes definition files: engine run FILE");
        return EXIT_USAGE;
    }
    host.live =
        !host.options.quiet && !host.options.json_log && report_is_live();
    code = host_open(&host, (unsigned)argc - 1);
    if (code == EXIT_WELL) code = run_files(&host, argv + 1);
    host_close(&host);
    return code;
}

const struct verb run_verb = {
    .name = "run",
    .arguments = "FILE…",
    .help = "run a topology, or several, until their input ends, or Ctrl-C",
    .example = "engine run topologies/word_count.lua --set input=book.txt",
    .options = run_options_table,
    .run = run_run,
};
