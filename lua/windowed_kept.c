/* windowed_kept.c - windows that are a part of the task's state: what a
 * checkpoint has of them, and how they go on from one. */
#include "core/value.h"
#include "lua/windowed_state.h"
#include <stdio.h>
#include <string.h>

/* Behind the definition's words for them: one that says it differently can't
 * go on. */
err windowed_snapshot(struct guest *g, struct buffer *out)
{
    const struct window_plan *plan = g->windowed->plan;
    size_t bytes = strlen(plan->text);
    if (!plan->kept) return OK;
    if (buffer_reserve(out, VALUE_HEAD_MAX + bytes) != OK) return ERR_NOMEM;
    uint8_t *end =
        value_put_bytes(out->data + out->used, plan->text, (uint32_t)bytes);
    out->used = (size_t)(end - out->data);
    return windows_save(g->windowed->windows, out);
}

static err refuse(struct guest *g, const char *what)
{
    snprintf(g->context->error, sizeof g->context->error,
             "the windows of '%s' %s", g->config->component, what);
    return ERR_HOPELESS;
}

static err load(struct guest *g, struct bytes saved)
{
    const uint8_t *at = saved.at, *end = at + saved.count, *next;
    const char *text = g->windowed->plan->text;
    struct value was = {.type = VALUE_NIL};
    if (value_check(at, end, &next) == OK) value_get(at, &was);
    if (was.type != VALUE_BYTES) return ERR_FORMAT;
    if (was.count != strlen(text) || memcmp(was.as.bytes, text, was.count) != 0)
        return refuse(g, "were kept with another window, or with inputs of "
                         "other fields; give these back, or begin anew with "
                         "--fresh");
    return windows_load(g->windowed->windows,
                        bytes_of(next, (size_t)(end - next)));
}

err windowed_restore(struct guest *g, struct bytes saved)
{
    if (g->windowed == NULL || !g->windowed->plan->kept)
        return refuse(g, "are kept there, and it has none any more; give it "
                         "back its window, or begin anew with --fresh");
    err e = load(g, saved);
    switch (e) {
    case ERR_FORMAT:
        return refuse(g, "are damaged in the store, or a newer engine's; "
                         "restore a backup, or begin anew with --fresh");
    case ERR_LIMIT:
        return refuse(g, "that are kept need more memory than their task may "
                         "have; give it memory = \"…MB\"");
    default: return e;
    }
}

/* What is due meanwhile fires when all tasks can be reached. */
enum step windowed_open(struct guest *g)
{
    if (!g->windowed->plan->kept) return STEP_DONE;
    windowed_wish_clocks(g);
    return windowed_arm(g);
}
