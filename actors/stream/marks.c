/* marks.c - marks that travel with the tuples, new code and barriers: a task
 * acts on one when it has come by all its inputs, and passes it on. */
#include "actors/stream/executor_state.h"
#include "core/node.h"
#include <stddef.h>
#include <stdio.h>

/* ---- new code ---- */

static err load_code(struct executor *x, const struct code *code)
{
    env_flush(x->context.env); /* it runs the file's own code */
    return x->class->load_code(&x->context, x->self, code);
}

/* A new actor may have been made with the code before and not have been told
 * of this one, or not have had the memory for it: it was taken all the same. */
static err catch_up(struct executor *x, uint64_t version)
{
    if (x->class->load_code == NULL || x->loaded_version >= version) return OK;
    struct code *code = topology_code(x->topology);
    err e = load_code(x, code);
    if (e == OK) x->loaded_version = code->version;
    ref_drop(x->context.env, &code->ref);
    return e;
}

static err switch_code(struct executor *x, uint64_t version)
{
    if (catch_up(x, version) != OK)
        return executor_after(x, CALL_SWITCH, STEP_CRASH);
    if (x->class->switch_code && x->loaded_version == version)
        return executor_after(x, CALL_SWITCH,
                              x->class->switch_code(&x->context, x->self));
    return executor_after(x, CALL_SWITCH, STEP_DONE);
}

err marks_load(struct executor *x, const struct msg *m)
{
    const struct code *code = *(struct code **)msg_body(m);
    struct load_answer answer = {
        .task = x->task->number, .version = code->version, .ok = true};
    if (x->class->load_code) {
        err e = load_code(x, code);
        answer.ok = e == OK;
        if (e != OK)
            snprintf(answer.error, sizeof answer.error, "%.*s",
                     (int)sizeof answer.error - 1, x->context.error);
    }
    if (answer.ok) x->loaded_version = code->version;
    return executor_tell_topology(x, TOPOLOGY_LOADED, &answer, sizeof answer);
}

static err say_switched(struct executor *x, uint64_t version)
{
    struct load_answer answer = {.task = x->task->number, .version = version};
    return executor_tell_topology(x, TOPOLOGY_SWITCHED, &answer,
                                  offsetof(struct load_answer, error));
}

/* ---- aligning ---- */

err marks_switch(struct executor *x, uint64_t mark)
{
    x->marker = mark;
    if (!mark_is_barrier(mark)) return switch_code(x, mark);
    enum step step = STEP_DONE;
    if (x->class->prepare && topology_store(x->topology))
        step = x->class->prepare(&x->context, x->self);
    return executor_after(x, CALL_PREPARE, step);
}

err marks_prepared(struct executor *x)
{
    err e = parts_give(x, x->marker);
    return e == OK ? executor_after(x, CALL_SWITCH, STEP_DONE) : e;
}

/* The mark has come on every channel that still flows. */
err marks_align(struct executor *x)
{
    uint64_t newest = x->told;
    if (x->suspended != CALL_NONE || x->marker != 0 || x->ended) return OK;
    for (unsigned i = 0; i < x->task->input_count; i++) {
        uint64_t marker = at_load(&x->task->inputs[i]->marker, SEQ_CST);
        if (marker > newest) newest = marker;
    }
    if (newest <= x->task->passed) return OK;
    for (unsigned i = 0; i < x->task->input_count; i++) {
        struct channel *c = x->task->inputs[i];
        if (!c->back && at_load(&c->marker, ACQUIRE) < newest &&
            !at_load(&c->ended, ACQUIRE))
            return OK;
    }
    return marks_switch(x, newest);
}

err marks_pass_on(struct executor *x)
{
    err e = emitter_mark(&x->emitter, BATCH_MARK, x->marker);
    if (e != OK) return e; /* the task's next actor does it over */
    x->task->passed = x->marker;
    x->marker = 0;
    return mark_is_barrier(x->task->passed) ? OK
                                            : say_switched(x, x->task->passed);
}

/* A new actor may be told what the one before it has done; that one's word of
 * it may have been lost. */
err marks_wanted(struct executor *x, uint64_t mark)
{
    if (mark <= x->task->passed)
        return mark_is_barrier(mark) ? OK : say_switched(x, mark);
    if (is_spout(x)) {
        x->marker_wanted = mark;
        return source_put_marker(x);
    }
    if (x->task->heads && mark_is_barrier(mark)) x->told = mark;
    return OK;
}
