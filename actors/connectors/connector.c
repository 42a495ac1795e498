#include "actors/connectors/connector.h"
#include <string.h>

extern const struct connector connector_file;
extern const struct connector connector_list;
extern const struct connector connector_null;
extern const struct connector connector_queue;
extern const struct connector connector_stdin;
extern const struct connector connector_stdout;

/* By name. */
static const struct connector *const all[] = {
    &connector_file,  &connector_list,  &connector_null,
    &connector_queue, &connector_stdin, &connector_stdout,
};
enum { COUNT = sizeof all / sizeof all[0] };

const struct connector *connector_at(unsigned i)
{
    return i < COUNT ? all[i] : NULL;
}

const struct connector *connector_named(const char *name)
{
    for (unsigned i = 0; i < COUNT; i++)
        if (strcmp(all[i]->name, name) == 0) return all[i];
    return NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_value(const struct option_value *a,
                       const struct option_value *b)
{
    return a->set == b->set && a->flag == b->flag && a->number == b->number &&
           a->rows == b->rows && a->arity == b->arity && a->size == b->size &&
           same_text(a->text, b->text) &&
           (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

const char *connector_change(const void *now, const void *next)
{
    const struct connector_config *a = now, *b = next;
    const struct connector *c = a->connector;
    if (c != b->connector) return "connector";
    for (unsigned i = 0; i < c->option_count; i++)
        if (!same_value(&a->values[i], &b->values[i]))
            return c->options[i].name;
    return NULL;
}
