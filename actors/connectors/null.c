/* null.c - the sink `null {}`: takes every tuple and forgets it, at once. For
 * measuring what comes before, and for streams that are read for their side
 * effects only. */
#include "actors/connectors/connector.h"
#include "core/value.h"

static err make(struct component_context *context, void *self)
{
    return OK;
}

static void end(struct component_context *context, void *self)
{
}

static enum step execute(struct component_context *context, void *self,
                         struct input *input)
{
    unsigned arity = input_stream(context, input->source)->arity;
    const uint8_t *at;
    while ((at = input_next(context, input)) != NULL)
        input_done(context, input, value_skip_many(at, arity));
    return STEP_DONE;
}

static const struct component_class sink = {
    .name = "null",
    .state_bytes = 1,
    .transacts = true,
    .change = connector_change,
    .make = make,
    .free = end,
    .execute = execute,
};

const struct connector connector_null = {
    .name = "null",
    .doc = "nothing: takes every tuple and forgets it",
    .sink = &sink,
};
