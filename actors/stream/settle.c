/* settle.c - what becomes of the tuples that a task was given: acks, gathered
 * and sent when the activation ends, held tuples, failures, and what is lost
 * with the task's actor. */
#include "actors/stream/executor_state.h"
#include "actors/stream/letters.h"
#include "core/log.h"
#include "core/node.h"
#include <string.h>

struct msg *settle_updates(struct executor *x, uint16_t kind)
{
    struct msg *m = msg_new(x->context.env, kind, MSG_BYTES_PAGE);
    if (m) ((struct acker_updates *)msg_body(m))->count = 0;
    return m;
}

void settle_send(struct executor *x)
{
    while (x->acks_first) {
        struct msg *m = x->acks_first;
        x->acks_first = m->next;
        struct acker_updates *u = msg_body(m);
        uint32_t spout = root_task(u->list[0].root);
        actor_post(x->context.env, topology_acker(x->topology, spout), m);
    }
    x->acks_last = NULL;
}

/* Gathers one update. Those of one message go to one acker. */
static void ack(struct executor *x, uint64_t root, uint64_t edges)
{
    struct acker_updates *u = x->acks_last ? msg_body(x->acks_last) : NULL;
    if (u && (u->count == UPDATES_MAX ||
              root_task(u->list[0].root) != root_task(root)))
        u = NULL;
    if (u == NULL) {
        struct msg *m = settle_updates(x, ACKER_ACK);
        if (m == NULL) { /* the root's time will run out, and it comes again */
            x->errors++;
            return;
        }
        m->next = NULL;
        if (x->acks_last)
            x->acks_last->next = m;
        else
            x->acks_first = m;
        x->acks_last = m;
        u = msg_body(m);
    }
    u->list[u->count++] = (struct acker_update){root, edges};
}

static void root_fail(struct env *env, struct topology *topology, uint64_t root,
                      uint32_t task, bool innocent, const char *reason)
{
    struct acker_fail body = {.root = root, .task = task, .innocent = innocent};
    size_t length = strlen(reason);
    if (length >= REASON_BYTES) length = REASON_BYTES - 1;
    memcpy(body.reason, reason, length);
    uint32_t bytes =
        (uint32_t)(offsetof(struct acker_fail, reason) + length + 1);
    struct msg *m = msg_new(env, ACKER_FAIL, bytes);
    if (m == NULL) return; /* its time will run out */
    memcpy(msg_body(m), &body, bytes);
    actor_post(env, topology_acker(topology, root_task(root)), m);
}

static void ack_run(struct executor *x, const struct input *input)
{
    if (input->root == 0) return;
    if (input->root != ROOT_LIST) {
        ack(x, input->root, input->edges);
        return;
    }
    executor_settle_held(&x->context, x->roots.roots, x->roots.count);
}

static struct anchor *next_anchor(struct input *input)
{
    return batch_anchor(input->batch, input->anchor++);
}

/* Tuples of several roots: those that join an anchor, and it. Without memory
 * for the list they are processed untracked; their time will run out. */
static void take_list(struct executor *x, struct input *input,
                      struct anchor *first)
{
    struct anchor *a = first;
    err e = OK;
    x->roots.count = 0;
    for (;; a = next_anchor(input)) {
        if (e == OK) e = roots_append(&x->roots, a->root, a->edge);
        if (a->tuples > 0) break;
    }
    input->run_left = a->tuples;
    input->root = e == OK ? ROOT_LIST : 0;
    input->roots = x->emitter.roots = &x->roots;
    if (e != OK) x->errors++;
}

/* All rows are one run; when it ends, that of all anchors. */
static void run_combined(struct executor *x, struct input *input)
{
    input->run_left = input->left;
    while (input->left == 0 && input->anchor < input->batch->anchors) {
        const struct anchor *a = next_anchor(input);
        ack(x, a->root, a->edge);
    }
}

/* The anchor of the run that ends, then the next run's. */
void input_run(struct component_context *context, struct input *input)
{
    struct executor *x = executor_of(context);
    if (input->batch->combined) {
        run_combined(x, input);
        return;
    }
    ack_run(x, input);
    input->root = 0;
    if (input->anchor < input->batch->anchors) {
        struct anchor *a = next_anchor(input);
        input->root = a->root;
        input->edges = a->edge;
        input->run_left = a->tuples;
        if (a->tuples == 0) take_list(x, input, a);
    } else {
        input->run_left = input->left; /* untracked; or all are through */
    }
    context->emitter->root = input->root;
}

/* ---- held tuples ---- */

static uint64_t hold(struct executor *x, uint64_t *edges)
{
    uint64_t edge = emitter_edge(&x->emitter);
    *edges ^= edge;
    return edge;
}

void executor_hold(struct component_context *context, struct input *input,
                   struct list_root *out)
{
    struct executor *x = executor_of(context);
    if (input->root == ROOT_LIST) {
        for (uint32_t i = 0; i < input->roots->count; i++) {
            struct list_root *r = &input->roots->roots[i];
            out[i] = (struct list_root){.root = r->root,
                                        .edges = hold(x, &r->edges)};
        }
    } else if (input->root != 0) {
        out[0] = (struct list_root){.root = input->root,
                                    .edges = hold(x, &input->edges)};
    }
}

void executor_settle_held(struct component_context *context,
                          const struct list_root *roots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ack(executor_of(context), roots[i].root, roots[i].edges);
}

void executor_touch_held(struct component_context *context,
                         const struct list_root *roots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ack(executor_of(context), roots[i].root, 0);
}

void executor_fail_held(struct component_context *context,
                        const struct list_root *roots, uint32_t count,
                        const char *reason)
{
    struct executor *x = executor_of(context);
    for (uint32_t i = 0; i < count; i++)
        root_fail(context->env, x->topology, roots[i].root, x->task->number,
                  false, reason);
}

/* ---- failures ---- */

/* The first line for the eye, the whole with its traceback below it. */
static void log_failure(struct executor *x, const char *reason)
{
    x->errors++;
    tally_fault(x, 0, reason);
    size_t first = strcspn(reason, "\n");
    log_text(node_log(env_node(x->context.env)), x->task->component->name,
             (int)x->task->index, LOG_WARN, 0, reason, first,
             reason[first] ? reason + first + 1 : NULL);
}

static void fail_run(struct executor *x, struct input *input,
                     const char *reason)
{
    struct list_root one = {.root = input->root};
    if (input->root == ROOT_LIST)
        executor_fail_held(&x->context, x->roots.roots, x->roots.count, reason);
    else if (input->root != 0)
        executor_fail_held(&x->context, &one, 1, reason);
    /* No ack for this run: should the news of the failure be lost, the root
     * must run out of time. */
    input->root = 0;
}

void executor_fail_batch(struct component_context *context, struct input *input,
                         const char *reason)
{
    struct executor *x = executor_of(context);
    enum on_error on_error = context->component->on_error;
    log_failure(x, reason);
    x->crashing =
        on_error == ON_ERROR_CRASH || context->plan->guarantee == EXACTLY_ONCE;
    if (on_error == ON_ERROR_DROP && !x->crashing) {
        input_batch_done(context, input);
        return;
    }
    while (input->anchor < input->batch->anchors)
        root_fail(context->env, x->topology, next_anchor(input)->root,
                  x->task->number, false, reason);
    input->left = input->run_left = 0;
}

void executor_undo(struct component_context *context, const char *reason)
{
    struct executor *x = executor_of(context);
    emitter_undo(&x->emitter);
    if (x->class->undo) x->class->undo(context, x->self);
    log_failure(x, reason);
    x->crashing = context->component->on_error == ON_ERROR_CRASH;
}

/* Who fails at once most often does so again; who waits for something outside
 * needs time. */
int64_t settle_wait_ns(unsigned tries)
{
    static const int64_t waits_ms[] = {0, 10, 100, 1000, 10000};
    unsigned last = sizeof waits_ms / sizeof waits_ms[0] - 1;
    return waits_ms[tries <= last ? tries - 1 : last] * 1000000;
}

static bool tried_enough(struct executor *x, unsigned tries)
{
    int retries = x->context.component->retries;
    x->failed++;
    if (retries < 0 || tries <= (unsigned)retries) {
        x->replayed++;
        return false;
    }
    x->gave_up++;
    return true;
}

bool executor_retry(struct component_context *context, unsigned tries,
                    const char *reason)
{
    struct executor *x = executor_of(context);
    executor_undo(context, reason);
    if (context->component->on_error != ON_ERROR_FAIL || tried_enough(x, tries))
        return false;
    context->sleep_ns = settle_wait_ns(tries);
    return true;
}

/* It has failed for good. False: there is no memory to say so to who reads
 * that, and it must be tried once more. */
static bool put_letter(struct executor *x, const struct input *input,
                       const uint8_t *begin, const char *reason)
{
    if (letters_put_own(&x->context, input->source, begin, reason)) {
        emitter_keep(&x->emitter);
        return true;
    }
    emitter_undo(&x->emitter);
    x->gave_up--;
    return false;
}

/* The first that was begun stays first: nothing overtakes a tuple that is tried
 * again. False: it was tried often enough. */
static bool try_again(struct executor *x, struct input *input,
                      const uint8_t *begin, const char *reason)
{
    const struct component_plan *c = x->context.component;
    if (x->context.plan->guarantee != EXACTLY_ONCE ||
        c->on_error != ON_ERROR_FAIL)
        return false;
    x->tries = x->tried == begin ? x->tries + 1 : 1;
    x->tried = begin;
    x->again = !tried_enough(x, x->tries);
    if (!x->again) x->again = !put_letter(x, input, begin, reason);
    if (!x->again) return false;
    x->again_left = input->left + 1;
    input->at = begin;
    input->left = input->run_left = 0;
    return true;
}

void executor_fail(struct component_context *context, struct input *input,
                   const uint8_t *end, const char *reason)
{
    struct executor *x = executor_of(context);
    const uint8_t *begin = input->at;
    input->at = end;
    emitter_undo(&x->emitter);
    x->emitter.root = input->root; /* it may have emitted for others */
    x->emitter.roots = &x->roots;
    roots_undo(&x->roots);
    if (x->class->undo) x->class->undo(context, x->self);
    log_failure(x, reason);
    if (try_again(x, input, begin, reason)) return;
    switch (context->component->on_error) {
    case ON_ERROR_FAIL: fail_run(x, input, reason); break;
    case ON_ERROR_DROP: break; /* it counts as processed */
    case ON_ERROR_CRASH:       /* the rest of the batch fails with the task */
        fail_run(x, input, reason);
        x->crashing = true;
        input->left = input->run_left = 0;
        break;
    }
}

/* ---- what is lost ---- */

void settle_lose_root(void *context, uint64_t root)
{
    struct executor *x = context;
    root_fail(x->context.env, x->topology, root, x->task->number, true,
              "the task crashed");
}

void settle_lose_batch(struct executor *x, struct msg *m)
{
    struct batch *b = batch_of(m);
    for (uint32_t i = 0; i < b->anchors; i++)
        if (batch_anchor(b, i)->root)
            settle_lose_root(x, batch_anchor(b, i)->root);
    msg_done(x->context.env, m);
}

void settle_lose(struct executor *x)
{
    while (x->acks_first) {
        struct msg *m = x->acks_first;
        x->acks_first = m->next;
        struct acker_updates *u = msg_body(m);
        for (uint32_t i = 0; i < u->count; i++)
            settle_lose_root(x, u->list[i].root);
        msg_free(x->context.env, m);
    }
}
