#include "actors/connectors/connector.h"
#include <string.h>

extern const struct connector connector_file;
extern const struct connector connector_list;
extern const struct connector connector_null;
extern const struct connector connector_stdin;
extern const struct connector connector_stdout;

/* By name. */
static const struct connector *const all[] = {
    &connector_file,  &connector_list,   &connector_null,
    &connector_stdin, &connector_stdout,
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
