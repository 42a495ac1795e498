/* test.c - engine test: runs spec files, each test on several seeds, and says
 * which failed, why, and how to see it again. Results go to stdout. */
#include "actors/connectors/format.h"
#include "cli/verb.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/value.h"
#include "lua/testing.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SPEC_SUFFIX "_spec.lua"
enum {
    SEEDS_DEFAULT = 10,
    SEEDS_MAX = 1000000,
    SEED_MAX = 1000000000, /* also of the last one */
    LOG_LINES_SHOWN = 20,  /* of a failed test */
    WORD_BYTES = 4100,     /* a path in quotes */
};

struct testing_run {
    uint64_t seed; /* the first */
    uint64_t seeds;
    bool seed_given, json;
    char **files; /* owned, with the texts */
    unsigned file_count;
    unsigned passed, failed, broken;
};

/* ---- options ---- */

enum { SEED, SEEDS, JSON };

static const struct verb_option option_table[] = {
    [SEED] = {"seed", "N", "the first seed; without --seeds the only one"},
    [SEEDS] = {"seeds", "COUNT", "how many seeds each test runs on (10)"},
    [JSON] = {"json", NULL, "a line of JSON for each test"},
    {NULL, NULL, NULL},
};

static bool take_number(const char *option, const char *value, uint64_t most,
                        uint64_t *n)
{
    char *end;
    *n = strtoull(value, &end, 10);
    if (*value >= '0' && *value <= '9' && *end == '\0' && *n >= 1 && *n <= most)
        return true;
    verb_say("--%s is '%s'; give a number from 1 to %llu", option, value,
             (unsigned long long)most);
    return false;
}

static bool take_option(void *context, unsigned option, const char *value)
{
    struct testing_run *r = context;
    switch (option) {
    case SEED:
        r->seed_given = true;
        return take_number("seed", value, SEED_MAX, &r->seed);
    case SEEDS: return take_number("seeds", value, SEEDS_MAX, &r->seeds);
    default: r->json = true; return true;
    }
}

/* ---- which files ---- */

static err add_file(struct testing_run *r, const char *path)
{
    char **more = mem_resize(r->files, (r->file_count + 1) * sizeof *more);
    if (more == NULL) return ERR_NOMEM;
    r->files = more;
    char *copy = mem_text(path, strlen(path));
    if (copy == NULL) return ERR_NOMEM;
    r->files[r->file_count++] = copy;
    return OK;
}

static bool is_spec(const char *name)
{
    size_t bytes = strlen(name), suffix = strlen(SPEC_SUFFIX);
    return bytes > suffix && strcmp(name + bytes - suffix, SPEC_SUFFIX) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All that is called …_spec.lua in a folder, by name. */
static int add_folder(struct testing_run *r, const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        verb_say("%s: the folder can't be read", path);
        return EXIT_USAGE;
    }
    unsigned before = r->file_count;
    const struct dirent *entry;
    err e = OK;
    while (e == OK && (entry = readdir(folder)) != NULL) {
        if (!is_spec(entry->d_name)) continue;
        char file[4096];
        size_t bytes = strlen(path);
        snprintf(file, sizeof file, "%s%s%s", path,
                 bytes > 0 && path[bytes - 1] == '/' ? "" : "/", entry->d_name);
        e = add_file(r, file);
    }
    closedir(folder);
    if (e != OK) return EXIT_FAILED;
    unsigned found = r->file_count - before;
    if (found > 0) qsort(r->files + before, found, sizeof *r->files, by_name);
    if (found > 0) return EXIT_WELL;
    verb_say("%s: the folder has no file …" SPEC_SUFFIX, path);
    return EXIT_USAGE;
}

static int add_path(struct testing_run *r, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return add_folder(r, path);
    return add_file(r, path) == OK ? EXIT_WELL : EXIT_FAILED;
}

/* ---- telling ---- */

/* One line of JSON on stdout. */
struct fields {
    const char *names[8];
    unsigned count;
    struct buffer values;
    bool no_memory;
};

static uint8_t *field(struct fields *f, const char *name, size_t bytes)
{
    f->names[f->count++] = name;
    if (buffer_reserve(&f->values, bytes) == OK)
        return f->values.data + f->values.used;
    f->no_memory = true;
    return NULL;
}

static void put_text(struct fields *f, const char *name, const char *text)
{
    size_t bytes = text ? strlen(text) : 0;
    uint8_t *at = field(f, name, VALUE_HEAD_MAX + bytes);
    if (at == NULL) return;
    uint8_t *end =
        text ? value_put_bytes(at, text, (uint32_t)bytes) : value_put_nil(at);
    f->values.used += (size_t)(end - at);
}

static void put_number(struct fields *f, const char *name, uint64_t n)
{
    uint8_t *at = field(f, name, VALUE_SCALAR_MAX);
    if (at) f->values.used += (size_t)(value_put_int(at, (int64_t)n) - at);
}

static void put_flag(struct fields *f, const char *name, bool flag)
{
    uint8_t *at = field(f, name, VALUE_SCALAR_MAX);
    if (at) f->values.used += (size_t)(value_put_bool(at, flag) - at);
}

static void print_fields(struct fields *f)
{
    const struct format json = {.kind = FORMAT_JSON};
    struct buffer line = {0};
    uint64_t replaced = 0;
    if (!f->no_memory && format_tuple(&json, f->names, f->count, f->values.data,
                                      &line, &replaced) == OK)
        fwrite(line.data, 1, line.used, stdout);
    else
        verb_say("there is no memory to tell the result");
    buffer_fini(&line);
    buffer_fini(&f->values);
}

static bool is_plain(const char *file)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_./,:@%+-";
    return file[strspn(file, plain)] == '\0';
}

/* As one word of a shell. */
static void put_word(char out[WORD_BYTES], const char *file)
{
    size_t used = 0;
    if (is_plain(file)) {
        snprintf(out, WORD_BYTES, "%s", file);
        return;
    }
    out[used++] = '\'';
    for (; *file && used + 6 <= WORD_BYTES; file++) {
        const char *part = (char[]){*file, '\0'};
        if (*file == '\'') part = "'\\''";
        memcpy(out + used, part, strlen(part));
        used += strlen(part);
    }
    out[used++] = '\'';
    out[used] = '\0';
}

/* How to see a failure again; cut to fit. */
static void replay_text(char *out, size_t bytes, const char *file,
                        uint64_t seed)
{
    char word[WORD_BYTES];
    put_word(word, file);
    snprintf(out, bytes, "engine test --seed %llu %s%s",
             (unsigned long long)seed, file[0] == '-' ? "-- " : "", word);
}

static void tell_json(const char *file, const char *name, uint64_t seed,
                      const struct testing_result *result)
{
    struct fields f = {0};
    char replay[4200];
    put_text(&f, "file", file);
    put_text(&f, "test", name);
    put_flag(&f, "passed", result->passed);
    if (!result->passed) {
        replay_text(replay, sizeof replay, file, seed);
        put_number(&f, "seed", seed);
        put_text(&f, "error", result->error);
        put_text(&f, "log", result->log);
        put_text(&f, "replay", replay);
    }
    print_fields(&f);
}

/* Its lines, indented; the last ones, if they are many. */
static void print_lines(const char *text, unsigned most)
{
    unsigned lines = 0;
    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    if (*text && text[strlen(text) - 1] != '\n') lines++;
    if (lines > most) printf("    … %u lines before\n", lines - most);
    for (; *text; lines--) {
        size_t bytes = strcspn(text, "\n");
        if (lines <= most) printf("    %.*s\n", (int)bytes, text);
        text += bytes + (text[bytes] == '\n');
    }
}

static void tell_person(const char *file, const char *name, uint64_t seed,
                        const struct testing_result *result)
{
    if (result->passed) {
        printf("ok      %s: %s\n", file, name);
        return;
    }
    char replay[4200];
    replay_text(replay, sizeof replay, file, seed);
    printf("FAILED  %s: %s (seed %llu)\n", file, name,
           (unsigned long long)seed);
    print_lines(result->error, UINT32_MAX);
    if (result->log) {
        puts("  what was logged:");
        print_lines(result->log, LOG_LINES_SHOWN);
    }
    printf("  again: %s\n", replay);
}

/* ---- running ---- */

/* On all seeds, up to the first that fails. */
static err run_test(struct testing_run *r, struct testing *testing, unsigned i,
                    const char *file)
{
    struct testing_result result = {0};
    uint64_t seed = r->seed;
    err e = OK;
    for (uint64_t n = 0; n < r->seeds; n++) {
        seed = r->seed + n;
        e = testing_run(testing, i, seed, &result);
        if (e != OK || !result.passed) break;
    }
    if (e != OK) return e;
    if (result.passed)
        r->passed++;
    else
        r->failed++;
    if (r->json)
        tell_json(file, testing_name(testing, i), seed, &result);
    else
        tell_person(file, testing_name(testing, i), seed, &result);
    fflush(stdout);
    mem_free(result.error);
    mem_free(result.log);
    return OK;
}

static int run_file(struct testing_run *r, const char *file)
{
    struct testing *testing = NULL;
    char *errors = NULL;
    err e = testing_open(file, &testing, &errors);
    for (unsigned i = 0; e == OK && i < testing_count(testing); i++)
        e = run_test(r, testing, i, file);
    testing_close(testing);
    if (e == OK) return EXIT_WELL;
    fprintf(stderr, "%s\n", errors ? errors : err_text(e));
    mem_free(errors);
    if (e == ERR_NOTFOUND || e == ERR_IO) return EXIT_USAGE;
    return e == ERR_NOMEM ? EXIT_FAILED : EXIT_DEFINITION;
}

static void tell_sum(const struct testing_run *r)
{
    struct fields f = {0};
    if (!r->json) {
        printf("%u passed, %u failed\n", r->passed, r->failed);
        return;
    }
    put_number(&f, "passed", r->passed);
    put_number(&f, "failed", r->failed);
    print_fields(&f);
}

/* Every file is run; a broken one counts more than a failed test. */
static int run_files(struct testing_run *r)
{
    int worst = EXIT_WELL;
    for (unsigned i = 0; i < r->file_count; i++) {
        int code = run_file(r, r->files[i]);
        if (code > worst) worst = code;
    }
    tell_sum(r);
    if (worst != EXIT_WELL) return worst;
    return r->failed > 0 ? EXIT_FAILED : EXIT_WELL;
}

static int run_tests(const struct verb *verb, int argc, char **argv)
{
    struct testing_run r = {.seed = 1};
    int code = verb_parse(verb, &argc, argv, take_option, &r);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    if (r.seeds == 0) r.seeds = r.seed_given ? 1 : SEEDS_DEFAULT;
    if (r.seed + r.seeds - 1 > SEED_MAX) {
        verb_say("the last of %llu seeds from %llu on is over %d; give a "
                 "smaller --seed or fewer --seeds",
                 (unsigned long long)r.seeds, (unsigned long long)r.seed,
                 SEED_MAX);
        return EXIT_USAGE;
    }
    if (argc < 2) {
        verb_say("test takes spec files, or folders of them: engine test FILE");
        return EXIT_USAGE;
    }
    for (int i = 1; code == EXIT_WELL && i < argc; i++)
        code = add_path(&r, argv[i]);
    if (code == EXIT_WELL) code = run_files(&r);
    for (unsigned i = 0; i < r.file_count; i++)
        mem_free(r.files[i]);
    mem_free(r.files);
    return code;
}

const struct verb test_verb = {
    .name = "test",
    .arguments = "FILE…",
    .help = "run spec files: tests of topologies in virtual time",
    .example = "engine test topologies/word_count_spec.lua",
    .options = option_table,
    .run = run_tests,
};
