#include "actors/testing/tap.h"
#include "core/alloc.h"
#include "core/value.h"

struct tap {
    struct component_class class; /* first: a task finds its tap by it */
    struct tap *self;
    struct tap_config config;
    uint64_t fail_next;
    char *reason; /* owned */
};

/* What is left of the batch. */
static void remember(const struct tap *tap, struct capture *const *captures,
                     const struct input *input, unsigned arity)
{
    struct capture *capture = captures ? captures[input->source] : NULL;
    if (capture == NULL) return;
    const uint8_t *at = input->at;
    for (uint32_t left = input->left; left > 0; left--) {
        const uint8_t *end = value_skip_many(at, arity);
        capture_add(capture, tap->config.limit, arity, at, (size_t)(end - at));
        at = end;
    }
}

static enum step execute(struct component_context *context, void *self,
                         struct input *input)
{
    const void *class = context->component->class;
    struct tap *tap = ((const struct tap *)class)->self;
    unsigned arity = input_stream(context, input->source)->arity;
    remember(tap, tap->config.arrived, input, arity);
    if (tap->fail_next > 0 && input->batch->combined) {
        uint64_t tuples = batch_tuples(input->batch);
        tap->fail_next -= tuples < tap->fail_next ? tuples : tap->fail_next;
        executor_fail_batch(context, input, tap->reason);
        return STEP_DONE;
    }
    while (tap->fail_next > 0 && input->left > 0) {
        const uint8_t *at = input_next(context, input);
        tap->fail_next--;
        executor_fail(context, input, value_skip_many(at, arity), tap->reason);
    }
    if (input->left == 0) return STEP_DONE;
    remember(tap, tap->config.taken, input, arity);
    return tap->config.inner->execute(context, self, input);
}

struct tap *tap_new(const struct tap_config *config)
{
    struct tap *tap = mem_zero(1, sizeof *tap);
    if (tap == NULL) {
        mem_free(config->arrived);
        mem_free(config->taken);
        return NULL;
    }
    tap->class = *config->inner;
    tap->class.execute = execute;
    tap->self = tap;
    tap->config = *config;
    return tap;
}

void tap_free(struct tap *tap)
{
    if (tap == NULL) return;
    mem_free(tap->config.arrived);
    mem_free(tap->config.taken);
    mem_free(tap->reason);
    mem_free(tap);
}

const struct component_class *tap_class(const struct tap *tap)
{
    return &tap->class;
}

err tap_fail_next(struct tap *tap, uint64_t count, const char *reason)
{
    char *copy = mem_text(reason, strlen(reason));
    if (copy == NULL) return ERR_NOMEM;
    mem_free(tap->reason);
    tap->reason = copy;
    tap->fail_next = count;
    return OK;
}
