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
    const struct input_plan *from = &context->component->inputs[input->source];
    unsigned arity =
        context->plan->components[from->component].streams[from->stream].arity;
    const uint8_t *at;
    while ((at = input_next(context, input)) != NULL) {
        for (unsigned i = 0; i < arity; i++)
            at = value_skip(at);
        input_done(context, input, at);
    }
    return STEP_DONE;
}

static const struct component_class sink = {
    .name = "null",
    .state_bytes = 1,
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
