/* reload.c - new code: all tasks load it, then it goes in band, or none takes
 * it. */
#include "actors/stream/topology_state.h"
#include <string.h>

void reload_close(struct env *env, struct root *r, bool taken,
                  const char *error)
{
    struct code *code = r->loading;
    r->loading = NULL;
    root_start_clock(r->topology, env_now(env));
    code->done(code, taken, error);
    ref_drop(env, &code->ref);
}

static void clear_answers(struct root *r)
{
    r->answers = 0;
    memset(r->answered, 0, r->topology->config.plan->tasks);
}

/* The newest that tasks are made with. */
static void take_code(struct env *env, struct topology *t, struct code *code)
{
    ref_take(&code->ref);
    pthread_mutex_lock(&t->code_lock);
    struct code *old = t->code;
    t->code = code;
    pthread_mutex_unlock(&t->code_lock);
    if (old) ref_drop(env, &old->ref);
}

err reload_begin(struct env *env, struct root *r, const struct msg *m)
{
    struct code *code = *(struct code **)msg_body(m);
    if (r->over || r->ended > 0 || r->draining) {
        code->done(code, false,
                   r->over || r->draining
                       ? "the run is ending"
                       : "a task has ended with its input, and takes no more; "
                         "start engine anew");
        return OK;
    }
    if (r->loading) {
        code->done(code, false, "the change before it is still being taken");
        return OK;
    }
    code->version = r->marks += 2;
    if (!r->begun) { /* all tasks will be made with it */
        take_code(env, r->topology, code);
        code->done(code, true, NULL);
        return OK;
    }
    ref_take(&code->ref);
    r->loading = code;
    r->refused = r->switching = false;
    clear_answers(r);
    return root_tell_tasks(env, r, OWED_LOAD, false);
}

/* True: with this answer all tasks have given theirs. */
static bool all_answered(struct root *r, uint32_t task, uint64_t version)
{
    if (r->loading == NULL || version != r->loading->version ||
        r->answered[task])
        return false;
    r->answered[task] = true;
    return ++r->answers == r->topology->config.plan->tasks;
}

err reload_loaded(struct env *env, struct root *r,
                  const struct load_answer *answer)
{
    if (r->switching || r->loading == NULL ||
        answer->version != r->loading->version)
        return OK;
    if (!answer->ok && !r->refused) {
        r->refused = true;
        memcpy(r->error, answer->error, sizeof r->error);
    }
    if (!all_answered(r, answer->task, answer->version)) return OK;
    if (r->refused) {
        reload_close(env, r, false, r->error);
        return root_tell_tasks(env, r, OWED_DROP, false);
    }
    return reload_switch(env, r);
}

err reload_switch(struct env *env, struct root *r)
{
    bool loaded = r->loading && !r->switching &&
                  r->answers == r->topology->config.plan->tasks;
    if (!loaded || checkpoint_aligns(r)) return OK;
    r->switching = true;
    clear_answers(r);
    take_code(env, r->topology, r->loading);
    root_stop_clock(r->topology, env_now(env));
    return root_tell_tasks(env, r, OWED_SWITCH, true);
}

err reload_switched(struct env *env, struct root *r,
                    const struct load_answer *answer)
{
    if (r->switching && all_answered(r, answer->task, answer->version))
        reload_close(env, r, true, NULL);
    return OK;
}
