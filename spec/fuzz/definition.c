/* definition.c - any text as a definition file. It never crashes or hangs, it
 * says what is wrong, and the same text gives the same plan.
 * Build and run: ./build.sh fuzz */
#define _GNU_SOURCE /* memmem */
#include "lua/definition.h"
#include "core/alloc.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    assert(text != NULL && text[0] != '\0');
}

static void check_streams(const struct component_plan *c)
{
    assert(c->stream_count > 0 && !strcmp(c->streams[0].name, "default"));
    for (unsigned i = 0; i < c->stream_count; i++) {
        check_text(c->streams[i].name);
        assert(c->streams[i].arity <= FIELDS_MAX);
        for (unsigned k = 0; k < c->streams[i].arity; k++)
            check_text(c->streams[i].fields[k]);
    }
}

static void check_inputs(const struct plan *plan,
                         const struct component_plan *c)
{
    assert((c->kind == COMPONENT_SPOUT) == (c->input_count == 0));
    for (unsigned i = 0; i < c->input_count; i++) {
        const struct input_plan *input = &c->inputs[i];
        assert(input->component < plan->count);
        const struct component_plan *from = &plan->components[input->component];
        assert(from != c && input->stream < from->stream_count);
        assert(input->grouping <= GROUPING_CUSTOM);
        assert(grouping_has_keys(input->grouping) == (input->key_count > 0));
        assert(input->key_count <= KEYS_MAX);
        for (unsigned k = 0; k < input->key_count; k++)
            assert(input->keys[k] < from->streams[input->stream].arity);
    }
}

/* What those who run a plan rely on. */
static void check_plan(const struct plan *plan)
{
    unsigned tasks = 0;
    check_text(plan->name);
    check_text(plan->file);
    assert(plan->count > 0 && plan->timeout_ns > 0 && plan->pending_max > 0);
    for (unsigned i = 0; i < plan->count; i++) {
        const struct component_plan *c = &plan->components[i];
        check_text(c->name);
        assert(c->class != NULL && c->config != NULL);
        assert(c->tasks > 0 && c->first_task == tasks);
        assert(c->retries >= -1 && c->every_ns >= 0);
        check_streams(c);
        check_inputs(plan, c);
        tasks += c->tasks;
    }
    assert(plan->tasks == tasks);
}

/* Nobody should read the checker's own errors: `plan:12: attempt to …`; but
 * what a definition raises may read so. */
static void check_errors(const char *errors, const uint8_t *data, size_t size)
{
    check_text(errors);
    assert(strncmp(errors, "plan:", 5) != 0 ||
           memmem(data, size, "plan", 4) != NULL);
    assert(strstr(errors, "\n\n") == NULL);
}

static struct definition *parse(const uint8_t *data, size_t size, char **errors)
{
    struct definition *d = NULL;
    err e = definition_parse("fuzz.lua", (const char *)data, size, NULL, 0,
                             NULL, &d, errors);
    assert((e == OK) == (d != NULL) && (e == OK) == (*errors == NULL));
    if (d)
        check_plan(&d->plan);
    else
        check_errors(*errors, data, size);
    return d;
}

/* It ran into a limit of the loader: the second time would last as long. */
static bool ran_out(const char *errors)
{
    return errors && (strstr(errors, "over its budget") != NULL ||
                      strstr(errors, "not enough memory") != NULL);
}

static void check_again(const uint8_t *data, size_t size,
                        const struct definition *d, const char *errors)
{
    char *errors_again = NULL, why[256] = "";
    struct definition *again = parse(data, size, &errors_again);
    assert((d == NULL) == (again == NULL));
    if (d) {
        assert(d->bundle->digest == again->bundle->digest);
        assert(definition_same_graph(d, again, why, sizeof why));
    } else {
        assert(strcmp(errors, errors_again) == 0);
    }
    mem_free(errors_again);
    definition_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *errors = NULL;
    struct definition *d = parse(data, size, &errors);
    if (!ran_out(errors)) check_again(data, size, d, errors);
    mem_free(errors);
    definition_free(d);
    return 0;
}
