/* spec.c - finds, runs and counts the specs of one binary. */
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

enum { STORIES_MAX = 4096 };

uint64_t spec_seed = 1;

/* A test program may keep its list of tests in static storage. */
static struct CMUnitTest stories[STORIES_MAX];
static size_t story_count;
static spec_story *bodies[STORIES_MAX];
static struct spec_scope scopes[STORIES_MAX];
static struct spec_scope *running; /* of `scopes` */

static void run_story(void **state)
{
    spec_story **story = *state;
    spec_seed = spec_first_seed();
    running = &scopes[story - bodies];
    (*story)();
    running->ran = true;
}

void spec_register(const char *name, spec_story *story)
{
    if (story_count == STORIES_MAX) abort();
    bodies[story_count] = story;
    stories[story_count] = (struct CMUnitTest){
        .name = name,
        .test_func = run_story,
        .initial_state = &bodies[story_count],
    };
    story_count++;
}

bool spec_exists(const char *name)
{
    for (size_t i = 0; i < story_count; i++)
        if (strcmp(stories[i].name, name) == 0) return true;
    return false;
}

struct spec_scope spec_scope(const char *name)
{
    for (size_t i = 0; i < story_count; i++)
        if (strcmp(stories[i].name, name) == 0) return scopes[i];
    return (struct spec_scope){.ran = false};
}

void spec_note_threads(unsigned threads)
{
    running->threads |= (uint64_t)1 << threads;
}

void spec_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fprintf(stderr, " (ENGINE_SEED=%llu)\n", (unsigned long long)spec_seed);
    va_end(args);
    _fail(file, line);
    abort(); /* _fail() jumps out */
}

static uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

uint64_t spec_first_seed(void)
{
    return env_number("ENGINE_SEED", 1);
}

uint64_t spec_seeds(uint64_t count)
{
    count = count * env_number("ENGINE_SEEDS_FACTOR", 1) *
            env_number("ENGINE_SEEDS_PERCENT", 100) / 100;
    if (count == 0 || getenv("ENGINE_SEED")) count = 1;
    if (running->seeds < count) running->seeds = count;
    return count;
}

void spec_seen(const char *file, int line, const char *what, uint64_t count)
{
    if (running->seeds > 1 && count == 0)
        spec_fail(file, line, "no seed has shown %s", what);
}

/* What other specs have shown is told last. */
static bool is_last(const struct CMUnitTest *story)
{
    return strncmp(story->name, "cases.", 6) == 0;
}

/* Names one of its parts, which stand between commas? */
static bool is_skipped(const struct CMUnitTest *story)
{
    const char *skipped = getenv("ENGINE_SPEC_SKIP");
    char part[128];
    while (skipped && *skipped) {
        size_t bytes = strcspn(skipped, ",");
        snprintf(part, sizeof part, "%.*s", (int)bytes, skipped);
        if (bytes > 0 && strstr(story->name, part)) return true;
        skipped += bytes + (skipped[bytes] == ',');
    }
    return false;
}

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : "";
    struct CMUnitTest chosen[STORIES_MAX];
    size_t n = 0;
    for (int last = 0; last < 2; last++)
        for (size_t i = 0; i < story_count; i++)
            if (strstr(stories[i].name, wanted) && !is_skipped(&stories[i]) &&
                is_last(&stories[i]) == last)
                chosen[n++] = stories[i];
    if (n == 0) {
        fprintf(stderr, "no spec's name contains \"%s\"\n", wanted);
        return 2;
    }
    int failed = _cmocka_run_group_tests("spec", chosen, n, NULL, NULL);
    printf("%zu passed, %d failed\n", n - (size_t)failed, failed);
    return failed ? 1 : 0;
}
