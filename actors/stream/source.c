/* source.c - the spout's side of an executor: roots and what becomes of them,
 * the source's turns, and its end. */
#include "actors/stream/executor_state.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/metric.h"
#include "core/node.h"
#include <stdio.h>
#include <string.h>

enum {
    GATE_LOOK_NS = 1000 * 1000, /* a loop may be less full then */
    RETRY_FIRST_MS = 100,
    RETRY_MAX_MS = 30000,
    WINDOWS_PENDING = 16384, /* roots, at least, where there are windows */
};

/* ---- roots: emitted ---- */

bool executor_tracks(const struct component_context *context)
{
    return context->plan->guarantee == AT_LEAST_ONCE;
}

bool executor_full(const struct component_context *context)
{
    const struct executor *x = context->executor;
    /* Nor may one stuck root make the rings of pending.c and acker.c grow. */
    return x->pending.count >= x->limit.now ||
           x->pending.next - x->pending.base >= ROOTS_SPAN_MAX;
}

/* Does the class emit what will be a letter? */
static inline bool catching(const struct executor *x)
{
    return x->letters && letters_catching(x->letters);
}

static bool begin_root(struct executor *x, uint64_t token)
{
    uint64_t sequence;
    executor_unroot(&x->context);
    if (x->inits == NULL) {
        x->inits = settle_updates(x, ACKER_INIT);
        if (x->inits == NULL) return false;
    }
    if (x->holds_back &&
        undecided_reserve(&x->task->undecided,
                          undecided_count(&x->task->undecided) +
                              x->pending.count + x->pending.replay_count + 1) !=
            OK)
        return false;
    if (pending_add(&x->pending, token, x->root_tries, env_now(x->context.env),
                    &sequence) != OK)
        return false;
    x->emitter.root = root_of(x->task->number, sequence);
    return true;
}

bool executor_root(struct component_context *context, uint64_t token)
{
    struct executor *x = executor_of(context);
    return catching(x) || begin_root(x, token);
}

void executor_unroot(struct component_context *context)
{
    struct executor *x = executor_of(context);
    if (!is_spout(x) || x->emitter.root == 0) return;
    emitter_undo(&x->emitter);
    pending_undo(&x->pending);
    x->emitter.root = 0;
}

static actor_id acker_of(const struct executor *x)
{
    return topology_acker(x->topology, x->task->number);
}

static void inits_send(struct executor *x)
{
    if (x->inits == NULL) return;
    struct acker_updates *u = msg_body(x->inits);
    if (u->count == 0) return;
    actor_post(x->context.env, acker_of(x), x->inits);
    x->inits = NULL;
}

void executor_rooted(struct component_context *context)
{
    struct executor *x = executor_of(context);
    if (catching(x)) return;
    struct acker_updates *u = msg_body(x->inits);
    u->list[u->count++] =
        (struct acker_update){x->emitter.root, x->emitter.edges};
    x->emitter.root = 0;
    emitter_keep(&x->emitter);
    if (u->count == UPDATES_MAX) inits_send(x);
}

void executor_emitted(struct component_context *context)
{
    emitter_keep(context->emitter);
}

bool executor_emit(struct component_context *context, uint64_t token,
                   unsigned stream, const uint8_t *values, uint32_t bytes)
{
    bool tracked = executor_tracks(context);
    env_charge(context->env, 1);
    if (tracked && !executor_root(context, token)) return false;
    if (!emitter_put(context->emitter, stream, values, bytes)) return false;
    if (tracked)
        executor_rooted(context);
    else
        executor_emitted(context);
    return true;
}

/* ---- roots: settled ---- */

static int64_t retry_wait_ns(uint32_t tries)
{
    int64_t wait_ms = RETRY_FIRST_MS;
    while (tries-- > 0 && wait_ms < RETRY_MAX_MS)
        wait_ms *= 2;
    if (wait_ms > RETRY_MAX_MS) wait_ms = RETRY_MAX_MS;
    return wait_ms * 1000000;
}

enum {
    SOON_TOKENS = 1 << 16, /* undecided: then a checkpoint comes soon */
    WAIT_TOKENS = 1 << 20, /* and so many stop the spouts until it is there */
};

static void let_go(struct executor *x, uint64_t token)
{
    if (x->class->release) x->class->release(&x->context, x->self, token);
}

static void release(struct executor *x, uint64_t token)
{
    struct undecided *u = &x->task->undecided;
    if (!x->holds_back) {
        let_go(x, token);
        return;
    }
    undecided_add(u, token); /* begin_root() has made room */
    if (undecided_count(u) >= SOON_TOKENS)
        executor_checkpoint_soon(&x->context,
                                 undecided_count(u) >= WAIT_TOKENS);
}

void source_decided(struct executor *x)
{
    uint64_t token;
    while (undecided_take(&x->task->undecided, &token))
        let_go(x, token);
}

/* They were settled, but all tasks have gone back behind that. */
static err emit_undecided(struct executor *x)
{
    uint64_t token;
    while (undecided_count(&x->task->undecided) > 0) {
        if (pending_reserve(&x->pending) != OK) return ERR_NOMEM;
        undecided_take_any(&x->task->undecided, &token);
        pending_replay(&x->pending, token, 0, env_now(x->context.env));
    }
    return OK;
}

/* One clock reading an activation: many roots took the same time. */
static void count_acked(struct executor *x, int64_t took_ns, uint64_t roots)
{
    if (roots == 0) return;
    x->acked += roots;
    limit_acked(&x->limit, took_ns, roots);
    struct env *env = x->context.env;
    struct metric_cells *cells =
        metrics_cells(node_metrics(env_node(env)), env_thread(env));
    metric_record_many(cells, x->metrics->latency, (uint64_t)took_ns, roots);
}

static void letter_settled(struct executor *x, struct letter *letter)
{
    release(x, letter->token);
    mem_free(letter);
}

static void root_acked(struct executor *x, uint64_t token)
{
    if (x->class->ack) {
        x->class->ack(&x->context, x->self, token);
        x->notices = x->class->notify != NULL;
    }
    release(x, token);
}

static void roots_acked(struct executor *x, const struct acker_settled *in)
{
    int64_t now_ns = env_now(x->context.env), at_ns = now_ns;
    uint64_t before = x->pending.count, roots = 0; /* emitted at at_ns */
    for (uint32_t i = 0; i < in->count; i++) {
        const struct pending_entry *entry =
            pending_take(&x->pending, in->sequences[i]);
        if (entry == NULL) continue;
        if (entry->letter) {
            letter_settled(x, pending_letter(entry->token));
            continue;
        }
        if (entry->at_ns != at_ns) {
            count_acked(x, now_ns - at_ns, roots);
            at_ns = entry->at_ns;
            roots = 0;
        }
        roots++;
        root_acked(x, entry->token);
    }
    count_acked(x, now_ns - at_ns, roots);
    limit_adapt(&x->limit, before, x->pending.count, now_ns);
}

static void say_gave_up(struct executor *x, uint32_t tries, const char *reason)
{
    char text[REASON_BYTES + 64];
    snprintf(text, sizeof text, "a tuple failed for good after %u tr%s: %.*s",
             tries + 1, tries == 0 ? "y" : "ies", (int)strcspn(reason, "\n"),
             reason);
    executor_log(&x->context, LOG_ERROR, "%s", text);
    tally_fault(x, 0, text);
}

/* It has failed for good. Its letter, if there is one, leaves with the next
 * turn, and the token is released when that is settled. */
static void give_up(struct executor *x, const struct pending_entry *entry,
                    const char *reason, struct letter *letter)
{
    x->gave_up++;
    say_gave_up(x, entry->tries, reason);
    if (letter)
        pending_replay_letter(&x->pending, letter, 0, env_now(x->context.env));
    else
        release(x, entry->token);
}

static bool may_try(const struct executor *x, const struct acker_fail *in,
                    uint32_t tries)
{
    int retries = x->context.component->retries;
    return in->innocent || retries < 0 || tries < (uint32_t)retries;
}

static void letter_failed(struct executor *x, const struct acker_fail *in,
                          const struct pending_entry *entry, const char *reason)
{
    struct letter *letter = pending_letter(entry->token);
    if (may_try(x, in, entry->tries)) {
        pending_replay_letter(
            &x->pending, letter, entry->tries + (in->innocent ? 0 : 1),
            env_now(x->context.env) + retry_wait_ns(entry->tries));
        return;
    }
    char text[REASON_BYTES + 64];
    snprintf(text, sizeof text, "a tuple of the stream 'failed' is lost: %.*s",
             (int)strcspn(reason, "\n"), reason);
    executor_log(&x->context, LOG_ERROR, "%s", text);
    tally_fault(x, 0, text);
    x->errors++;
    letter_settled(x, letter);
}

/* Is the tuple emitted again? The letter is for the case that it isn't. */
static void root_decide(struct executor *x, const struct acker_fail *in,
                        const struct pending_entry *entry, const char *reason,
                        struct letter *letter)
{
    enum verdict verdict = VERDICT_REPLAY;
    x->failed++;
    if (x->class->fail)
        verdict = x->class->fail(&x->context, x->self, entry->token, reason);
    if (verdict == VERDICT_MINE) {
        x->source_ended = false; /* it may have put it back */
        x->notices = true;
        release(x, entry->token);
    } else if (verdict == VERDICT_FINAL || !may_try(x, in, entry->tries)) {
        if (letter) letter->token = entry->token;
        give_up(x, entry, reason, letter);
        return;
    } else {
        pending_replay(&x->pending, entry->token,
                       entry->tries + (in->innocent ? 0 : 1),
                       env_now(x->context.env) + retry_wait_ns(entry->tries));
    }
    mem_free(letter);
}

static err root_failed(struct executor *x, const struct acker_fail *in)
{
    const char *reason = in->task == UINT32_MAX
                             ? "timeout: no progress within the message timeout"
                             : in->reason;
    /* Before anything is decided: on an error the root is still pending. */
    struct letter *letter = NULL;
    if (pending_reserve(&x->pending) != OK) return ERR_NOMEM;
    if (x->letters && !in->innocent) {
        letter = letter_new(0, in->task, reason);
        if (letter == NULL) return ERR_NOMEM;
    }
    const struct pending_entry *found =
        pending_take(&x->pending, root_sequence(in->root));
    if (found == NULL || found->letter) mem_free(letter);
    if (found == NULL) return OK;
    struct pending_entry entry = *found;
    if (in->task == UINT32_MAX) tally_fault(x, 0, reason);
    if (entry.letter)
        letter_failed(x, in, &entry, reason);
    else
        root_decide(x, in, &entry, reason, letter);
    return OK;
}
struct lost_roots {
    struct executor *x;
    const char *reason;
    err e;
};

static void lose_pending(void *context, uint64_t sequence)
{
    struct lost_roots *lost = context;
    struct acker_fail in = {.root = root_of(lost->x->task->number, sequence),
                            .innocent = true};
    snprintf(in.reason, sizeof in.reason, "%s", lost->reason);
    err e = root_failed(lost->x, &in);
    if (e != OK) lost->e = e;
}

/* All that is pending has failed; the acker's rows begin behind it. */
static err begin_anew(struct executor *x, const char *reason)
{
    struct lost_roots lost = {x, reason, OK};
    pending_each(&x->pending, lose_pending, &lost);
    struct acker_open open = {x->task->number, x->pending.next};
    err e =
        actor_send(x->context.env, acker_of(x), ACKER_OPEN, &open, sizeof open);
    return lost.e != OK ? lost.e : e;
}

err source_begin(struct executor *x)
{
    const struct plan *plan = x->context.plan;
    limit_init(&x->limit, plan->pending_adapts, plan->pending_max,
               plan->timeout_ns, env_now(x->context.env));
    if (plan->windows) limit_hold(&x->limit, WINDOWS_PENDING);
    if (x->context.component->failed_stream != 0) {
        x->letters = letters_new(&x->context);
        if (x->letters == NULL) return ERR_NOMEM;
    }
    x->holds_back = task_holds_back(x->task);
    err e = begin_anew(x, "its source crashed");
    return e == OK && x->task->back && !x->ended ? emit_undecided(x) : e;
}

void source_leave(struct executor *x)
{
    if (x->inits) msg_free(x->context.env, x->inits);
    if (catching(x)) letters_let_go(x->letters, &x->context);
    letters_free(x->letters, x->context.env);
    if (!x->class->stays) pending_forget(&x->pending);
    x->task->pending = x->pending;
}

/* ---- roots: their time ---- */

/* What has expired? It answers with the next deadline. */
static err check(struct executor *x)
{
    struct msg *m =
        msg_new(x->context.env, ACKER_CHECK, sizeof(struct acker_check));
    if (m == NULL) return ERR_NOMEM;
    struct acker_check *body = msg_body(m);
    *body = (struct acker_check){.task = x->task->number,
                                 .timeout_ns = x->context.plan->timeout_ns,
                                 .parked_ns = x->parked_ns};
    x->told_parked = x->parked_ns != 0;
    inits_send(x);
    actor_post(x->context.env, acker_of(x), m);
    return OK;
}

static err arm_check(struct executor *x)
{
    if (x->pending.count == 0 || x->check_timer != 0) return OK;
    int64_t at_ns = env_now(x->context.env) + x->context.plan->timeout_ns;
    return executor_set_timer(x, &x->check_timer, at_ns, TIMER_CHECK);
}

static err checked(struct executor *x, int64_t next_ns)
{
    if (next_ns == INT64_MAX) return arm_check(x);
    return executor_set_timer(x, &x->check_timer, next_ns, TIMER_CHECK);
}

/* Credit that comes ends an activation, too: it is seen at once. */
static err note_parking(struct executor *x)
{
    bool parked = emitter_parked(&x->emitter);
    if (parked == (x->parked_ns != 0)) return OK;
    x->parked_ns =
        parked ? topology_clock_ns(x->topology, env_now(x->context.env)) : 0;
    return !parked && x->told_parked ? check(x) : OK;
}

/* What is due is emitted by the next turn, which an idle source must have. */
static err arm_replay(struct executor *x)
{
    const struct replay *first = pending_due(&x->pending);
    if (first == NULL) return OK;
    if (first->due_ns <= env_now(x->context.env)) {
        if (x->idle) executor_wake(&x->context);
        return OK;
    }
    if (x->replay_timer != 0 && x->replay_timer_ns <= first->due_ns) return OK;
    x->replay_timer_ns = first->due_ns;
    return executor_set_timer(x, &x->replay_timer, first->due_ns, TIMER_REPLAY);
}

/* A limit that is reached and lets nothing be acked is too low. One that can't
 * go up is only told of, once, where windows may wait for more. */
static err arm_stall(struct executor *x)
{
    const struct limit *l = &x->limit;
    bool stays = !l->adapts || l->now == l->most;
    if (x->pending.count < l->now || x->stall_timer != 0 ||
        (stays && (!x->context.plan->windows || x->told_full)))
        return OK;
    x->stall_progress = limit_progress(l);
    return executor_set_timer(x, &x->stall_timer,
                              env_now(x->context.env) + l->patience_ns,
                              TIMER_STALL);
}

/* Without credit more couldn't be emitted anyway. */
static void look_for_stall(struct executor *x)
{
    struct limit *l = &x->limit;
    if (x->pending.count < l->now || x->parked_ns != 0 ||
        x->stall_progress != limit_progress(l))
        return;
    if (l->adapts && l->now < l->most) {
        limit_stalled(l);
        return;
    }
    x->told_full = true;
    executor_log(&x->context, LOG_WARN,
                 "%llu tuples are under way, as many as max_pending lets, and "
                 "none of them gets through; if a window waits for more, give "
                 "a larger max_pending or shorter windows",
                 (unsigned long long)x->pending.count);
}

static void show_limit(struct executor *x)
{
    if (x->limit_shown == x->limit.now || !executor_tracks(&x->context)) return;
    x->limit_shown = x->limit.now;
    metric_set(node_metrics(env_node(x->context.env)), x->task->limit,
               (double)x->limit.now);
}

err source_settle(struct executor *x)
{
    show_limit(x);
    inits_send(x);
    at_store(&x->task->unsettled, x->pending.count + x->pending.replay_count,
             RELAXED);
    err e = note_parking(x);
    if (e == OK) e = arm_replay(x);
    if (e == OK) e = arm_stall(x);
    return e == OK ? arm_check(x) : e;
}

/* ---- the source's turn ---- */

static bool can_emit(struct executor *x)
{
    return x->suspended == CALL_NONE && x->opened && x->going && !x->ended;
}

static enum step replay_due(struct executor *x, bool *any)
{
    const struct replay *first = pending_due(&x->pending);
    *any = first && first->due_ns <= env_now(x->context.env);
    if (!*any) return STEP_DONE;
    uint64_t token = first->token;
    x->replaying = true;
    x->root_tries = first->tries;
    if (first->letter) {
        token = pending_letter(token)->token;
        letters_catch(x->letters, &x->context);
    }
    return x->class->replay(&x->context, x->self, token);
}

/* It can't be had any more. Where letters are written, a letter says so much:
 * its turn comes in place of the replay. */
static err replay_lost(struct executor *x, const struct replay *first)
{
    struct pending_entry entry = {.token = first->token, .tries = first->tries};
    struct letter *letter = NULL;
    if (x->letters) {
        letter = letter_new(entry.token, x->task->number, x->context.error);
        if (letter == NULL) return ERR_NOMEM;
    }
    pending_pop(&x->pending); /* which leaves room for the letter */
    give_up(x, &entry, x->context.error, letter);
    return OK;
}

/* What the class has emitted leaves as a letter; nothing, if it hasn't. */
static err letter_leave(struct executor *x, const struct replay *first,
                        enum step step)
{
    struct letter *letter = pending_letter(first->token);
    if (step == STEP_END)
        executor_log(&x->context, LOG_WARN,
                     "%s; the stream 'failed' has nil in its place",
                     x->context.error);
    if (!begin_root(x, first->token)) return ERR_NOMEM;
    if (!letters_put(x->letters, &x->context, x->topology, letter)) {
        executor_unroot(&x->context);
        return ERR_NOMEM;
    }
    pending_mark_letter(&x->pending);
    executor_rooted(&x->context);
    pending_pop(&x->pending);
    return OK;
}

/* A replay that waits for more, too, is over: it begins anew. */
static void replay_over(struct executor *x)
{
    x->replaying = false;
    if (catching(x)) letters_let_go(x->letters, &x->context);
}

err source_after_replay(struct executor *x, enum step step)
{
    env_again(x->context.env);
    if (!x->replaying) return OK; /* it was a drain */
    replay_over(x);
    const struct replay *first = pending_due(&x->pending);
    err e = OK;
    if (first->letter) {
        e = letter_leave(x, first, step);
    } else if (step == STEP_END) {
        e = replay_lost(x, first);
    } else {
        pending_pop(&x->pending);
        x->replayed++;
    }
    x->root_tries = 0;
    return e;
}

static err end_if_over(struct executor *x)
{
    if (!x->source_ended && !x->closing) return OK;
    if (x->pending.replay_count > 0) return OK;
    if (x->pending.count == 0) return x->ended ? OK : executor_end(x);
    bool waits = x->context.plan->windows && !x->task->dry && x->opened;
    return waits ? executor_dry(x) : OK;
}

err source_put_marker(struct executor *x)
{
    if (x->marker_wanted == 0 || x->suspended != CALL_NONE) return OK;
    uint64_t version = x->marker_wanted;
    x->marker_wanted = 0;
    return version > x->task->passed ? marks_switch(x, version) : OK;
}

/* No next() follows any more: what waited for more to come goes now. */
static bool may_drain(struct executor *x)
{
    return x->closing && !x->drained && !x->source_ended && x->class->drain &&
           !executor_full(&x->context);
}

static err activate(struct executor *x)
{
    x->active = !x->active;
    if (x->class->activate == NULL) return OK;
    return executor_after(x, CALL_ACTIVATE,
                          x->class->activate(&x->context, x->self, x->active));
}

/* What is in a loop goes first. */
static err wait_at_gate(struct executor *x)
{
    err e = may_drain(x) ? OK : end_if_over(x);
    if (e != OK || x->ended) return e;
    x->idle = true;
    return executor_set_timer(
        x, &x->idle_timer, env_now(x->context.env) + GATE_LOOK_NS, TIMER_IDLE);
}

err source_pump(struct executor *x)
{
    struct env *env = x->context.env;
    if (!can_emit(x)) return OK;
    while (!env_spent(env) && x->suspended == CALL_NONE) {
        if (x->notices) {
            x->notices = false;
            err e = executor_after(x, CALL_NOTIFY,
                                   x->class->notify(&x->context, x->self));
            if (e != OK) return e;
            continue;
        }
        if (x->active != topology_is_active(x->topology)) {
            err e = activate(x);
            if (e != OK) return e;
            continue;
        }
        /* While it isn't, what failed waits; a drain settles it all the same.
         */
        if (!x->active && !x->closing) return end_if_over(x);
        if (topology_is_gated(x->topology)) return wait_at_gate(x);
        bool any;
        enum step step = replay_due(x, &any);
        if (any) {
            if (step == STEP_IDLE) { /* job_done() will wake us */
                replay_over(x);
                x->root_tries = 0;
                return OK;
            }
            err e = executor_after(x, CALL_REPLAY, step);
            if (e != OK) return e;
            continue;
        }
        if (may_drain(x)) {
            x->drained = true;
            err e = executor_after(x, CALL_REPLAY,
                                   x->class->drain(&x->context, x->self));
            if (e != OK) return e;
            continue;
        }
        if (x->source_ended || x->closing || executor_full(&x->context))
            return end_if_over(x);
        err e =
            executor_after(x, CALL_NEXT, x->class->next(&x->context, x->self));
        if (e != OK || x->idle) return e;
    }
    if (x->suspended == CALL_NONE) env_again(env);
    return OK;
}

err source_after_next(struct executor *x, enum step step)
{
    struct env *env = x->context.env;
    x->idle = step == STEP_IDLE || step == STEP_END;
    if (step == STEP_END) {
        x->source_ended = true;
        return end_if_over(x);
    }
    if (step != STEP_IDLE)
        env_again(env);
    else if (x->context.sleep_ns > 0)
        return executor_set_timer(
            x, &x->idle_timer, env_now(env) + x->context.sleep_ns, TIMER_IDLE);
    return OK;
}

void executor_wake(struct component_context *context)
{
    struct executor *x = executor_of(context);
    x->idle = false;
    env_again(context->env);
}

/* ---- messages ---- */

err source_receive(struct executor *x, const struct msg *m)
{
    if (m->kind == EXECUTOR_CHECKED) return checked(x, *(int64_t *)msg_body(m));
    executor_wake(&x->context); /* there may be room, notices, or the end */
    switch (m->kind) {
    case EXECUTOR_ACKED: roots_acked(x, msg_body(m)); return OK;
    case EXECUTOR_FAILED: return root_failed(x, msg_body(m));
    case EXECUTOR_ACKER: return begin_anew(x, "the acker crashed");
    case EXECUTOR_CLOSE: x->closing = true; return OK;
    case EXECUTOR_ACTIVE:
    case EXECUTOR_WAKE: return OK;
    default: return ERR_BADMSG;
    }
}

err source_timer(struct executor *x, enum timer timer)
{
    switch (timer) {
    case TIMER_IDLE: x->idle_timer = 0; break;
    case TIMER_REPLAY: x->replay_timer = 0; break;
    case TIMER_STALL:
        x->stall_timer = 0;
        look_for_stall(x);
        break;
    case TIMER_CHECK: x->check_timer = 0; return check(x);
    default: return ERR_BADMSG;
    }
    executor_wake(&x->context);
    return OK;
}
