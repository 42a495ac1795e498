/* registry.c - what is common to all backends: it checks what is asked for,
 * copies it, and calls back. */
#include "core/actor.h"
#include "core/alloc.h"
#include "core/deadline.h"
#include "core/registry_backend.h"
#include <string.h>

#define AGAIN_NS INT64_C(500000000)

struct watch {
    struct watch *next;
    uint64_t number;
    registry_seen *seen;
    void *arg;
};

struct registry_session {
    struct registry registry;
    void *link; /* the backend's */
    registry_told *told;
    void *holder;
    uint64_t number; /* 0: not told yet */
    struct watch *watches;
    uint64_t watch_numbers;
    struct registry_claims claims;
    deadline_id timer; /* 0: nobody has asked for it */
    uint16_t kind;
    bool gone;
    bool receiving;
    bool closing; /* by a callback: nothing more is heard */
    err failed;   /* of what can't be said there and then */
};

/* ---- what is right ---- */

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static err check_key(const char *key, size_t longest)
{
    unsigned depth = 1;
    size_t part = 0, count = 0;
    for (; key[count]; count++) {
        if (count == longest) return ERR_LIMIT;
        if (key[count] == '/') {
            if (part == 0) return ERR_FORMAT;
            part = 0;
            depth++;
        } else if (is_key_byte(key[count])) {
            part++;
        } else {
            return ERR_FORMAT;
        }
    }
    if (part == 0) return ERR_FORMAT;
    return depth > REGISTRY_DEPTH_MAX ? ERR_LIMIT : OK;
}

err registry_check_key(const char *key)
{
    return check_key(key, REGISTRY_KEY_MAX);
}

bool registry_is_below(const char *key, const char *above)
{
    size_t count = strlen(above);
    if (count == 0) return true;
    return strncmp(key, above, count) == 0 &&
           (key[count] == '\0' || key[count] == '/');
}

static err check_op(const struct registry_op *op)
{
    bool numbered = op->flags & REGISTRY_SEQUENCE;
    size_t digits = numbered ? REGISTRY_SEQUENCE_DIGITS : 0;
    const unsigned known = REGISTRY_EPHEMERAL | REGISTRY_SEQUENCE;
    if (op->flags & ~known) return ERR_FORMAT;
    if (op->flags &&
        (op->deed != REGISTRY_PUT || op->expect != REGISTRY_ABSENT))
        return ERR_FORMAT;
    if (op->deed == REGISTRY_DELETE && op->expect == REGISTRY_ABSENT)
        return ERR_FORMAT;
    if (op->deed != REGISTRY_PUT && op->value.count > 0) return ERR_FORMAT;
    if (op->value.count > REGISTRY_VALUE_MAX) return ERR_LIMIT;
    return check_key(op->key, REGISTRY_KEY_MAX - digits);
}

/* Two that may not be in one transaction. */
static bool do_clash(const struct registry_op *a, const struct registry_op *b)
{
    if ((a->flags | b->flags) & REGISTRY_SEQUENCE) return false;
    if (strcmp(a->key, b->key) == 0) return true;
    return (a->flags & REGISTRY_EPHEMERAL && b->deed == REGISTRY_PUT &&
            registry_is_below(b->key, a->key)) ||
           (b->flags & REGISTRY_EPHEMERAL && a->deed == REGISTRY_PUT &&
            registry_is_below(a->key, b->key));
}

static err check_ops(const struct registry_op *ops, unsigned count)
{
    if (count == 0 || count > REGISTRY_OPS_MAX) return ERR_LIMIT;
    for (unsigned i = 0; i < count; i++) {
        err e = check_op(&ops[i]);
        if (e != OK) return e;
        for (unsigned k = 0; k < i; k++)
            if (do_clash(&ops[k], &ops[i])) return ERR_FORMAT;
    }
    return OK;
}

/* ---- requests ---- */

/* Keys of sequences get room for their digits. */
static size_t key_room(const struct registry_op *op)
{
    return strlen(op->key) + REGISTRY_SEQUENCE_DIGITS + 1;
}

/* Into zeroes; returns what is behind it. */
static char *copy_op(struct registry_op *op, char *at)
{
    char *value = at + key_room(op);
    memcpy(at, op->key, strlen(op->key));
    if (op->value.count) memcpy(value, op->value.at, op->value.count);
    op->key = at;
    op->value.at = value;
    return value + op->value.count;
}

static struct registry_request *request_new(enum registry_what what,
                                            size_t bytes)
{
    struct registry_request *r = mem_zero(1, sizeof *r + bytes);
    if (r) r->what = what;
    return r;
}

static void forget_entries(struct registry_request *r)
{
    while (r->first) {
        struct registry_entry *entry = r->first;
        r->first = (struct registry_entry *)(uintptr_t)entry->next;
        mem_free(entry);
    }
    r->last = NULL;
    r->entries = 0;
}

void registry_request_free(struct registry_request *r)
{
    if (r == NULL) return;
    forget_entries(r);
    mem_free(r);
}

err registry_request_add(struct registry_request *r,
                         const struct registry_entry *entry)
{
    size_t key = strlen(entry->key) + 1;
    struct registry_entry *copy =
        mem_alloc(sizeof *copy + key + entry->value.count);
    if (copy == NULL) return ERR_NOMEM;
    char *text = (char *)(copy + 1);
    memcpy(text, entry->key, key);
    if (entry->value.count)
        memcpy(text + key, entry->value.at, entry->value.count);
    *copy = *entry;
    copy->key = text;
    copy->value.at = text + key;
    copy->next = NULL;
    if (r->last)
        r->last->next = copy;
    else
        r->first = copy;
    r->last = copy;
    r->entries++;
    return OK;
}

err registry_txn(struct env *env, struct registry_session *s,
                 const struct registry_op *ops, unsigned count,
                 registry_done *done, void *arg)
{
    err e = check_ops(ops, count);
    if (e != OK) return e;
    size_t bytes = count * (sizeof *ops + sizeof(struct registry_result));
    for (unsigned i = 0; i < count; i++)
        bytes += key_room(&ops[i]) + ops[i].value.count;
    struct registry_request *r = request_new(REGISTRY_TXN, bytes);
    if (r == NULL) return ERR_NOMEM;
    r->ops = (struct registry_op *)(r + 1);
    r->results = (struct registry_result *)(r->ops + count);
    char *at = (char *)(r->results + count);
    for (unsigned i = 0; i < count; i++) {
        r->ops[i] = ops[i];
        at = copy_op(&r->ops[i], at);
        r->results[i].key = r->ops[i].key;
    }
    r->count = count;
    r->call.done = done;
    r->arg = arg;
    s->registry.backend->start(env, s->link, r);
    return OK;
}

static err txn_of_one(struct env *env, struct registry_session *session,
                      struct registry_op op, registry_done *done, void *arg)
{
    return registry_txn(env, session, &op, 1, done, arg);
}

err registry_put(struct env *env, struct registry_session *session,
                 const char *key, struct bytes value, uint64_t expect,
                 registry_done *done, void *arg)
{
    return txn_of_one(env, session,
                      (struct registry_op){REGISTRY_PUT, 0, key, value, expect},
                      done, arg);
}

err registry_create(struct env *env, struct registry_session *session,
                    const char *key, struct bytes value, unsigned flags,
                    registry_done *done, void *arg)
{
    return txn_of_one(
        env, session,
        (struct registry_op){REGISTRY_PUT, flags, key, value, REGISTRY_ABSENT},
        done, arg);
}

err registry_delete(struct env *env, struct registry_session *session,
                    const char *key, uint64_t expect, registry_done *done,
                    void *arg)
{
    return txn_of_one(env, session,
                      (struct registry_op){REGISTRY_DELETE, 0, key,
                                           bytes_of(NULL, 0), expect},
                      done, arg);
}

static err start_read(struct env *env, struct registry_session *s,
                      enum registry_what what, const char *key, bool values,
                      bool current, registry_read *read, void *arg)
{
    bool all = what == REGISTRY_CHILDREN && key[0] == '\0';
    err e = all ? OK : registry_check_key(key);
    if (e != OK) return e;
    size_t bytes = strlen(key) + 1;
    struct registry_request *r = request_new(what, bytes);
    if (r == NULL) return ERR_NOMEM;
    memcpy(r + 1, key, bytes);
    r->key = (const char *)(r + 1);
    r->values = values;
    r->current = current;
    r->call.read = read;
    r->arg = arg;
    s->registry.backend->start(env, s->link, r);
    return OK;
}

err registry_get(struct env *env, struct registry_session *session,
                 const char *key, bool current, registry_read *read, void *arg)
{
    return start_read(env, session, REGISTRY_GET, key, true, current, read,
                      arg);
}

err registry_children(struct env *env, struct registry_session *session,
                      const char *key, bool values, registry_read *read,
                      void *arg)
{
    return start_read(env, session, REGISTRY_CHILDREN, key, values, true, read,
                      arg);
}

/* ---- watches ---- */

err registry_watch(struct env *env, struct registry_session *s, const char *key,
                   registry_seen *seen, void *arg, uint64_t *watch)
{
    err e = key[0] ? registry_check_key(key) : OK;
    if (e != OK) return e;
    struct watch *w = mem_zero(1, sizeof *w);
    if (w == NULL) return ERR_NOMEM;
    *w = (struct watch){s->watches, s->watch_numbers + 1, seen, arg};
    e = s->registry.backend->watch(env, s->link, w->number, key);
    if (e != OK) {
        mem_free(w);
        return e;
    }
    s->watches = w;
    *watch = ++s->watch_numbers;
    return OK;
}

static struct watch **find_watch(struct registry_session *s, uint64_t number)
{
    struct watch **at = &s->watches;
    while (*at && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

void registry_unwatch(struct registry_session *s, uint64_t number)
{
    struct watch **at = find_watch(s, number), *w = *at;
    if (w == NULL) return;
    s->registry.backend->unwatch(s->link, number);
    *at = w->next;
    mem_free(w);
}

/* ---- sessions ---- */

err registry_open(struct env *env, const struct registry *registry,
                  uint16_t kind, registry_told *told, void *holder,
                  struct registry_session **out)
{
    struct registry_session *s = mem_zero(1, sizeof *s);
    if (s == NULL) return ERR_NOMEM;
    s->registry = *registry;
    s->kind = kind;
    s->told = told;
    s->holder = holder;
    err e = registry->backend->open(registry->context, env, s, kind, &s->link);
    if (e != OK) {
        mem_free(s);
        return e;
    }
    *out = s;
    return OK;
}

void registry_close(struct env *env, struct registry_session *s)
{
    if (s == NULL) return;
    s->closing = true;
    if (s->receiving) return;
    if (s->timer) deadline_cancel(env, &s->timer);
    s->registry.backend->close(env, s->link);
    registry_claims_free(&s->claims);
    while (s->watches) {
        struct watch *w = s->watches;
        s->watches = w->next;
        mem_free(w);
    }
    mem_free(s);
}

static bool is_its_timer(const struct registry_session *s, const struct msg *m)
{
    const struct timer_due *due = msg_body(m);
    return m->kind == MSG_TIMER && s->timer && due->id == s->timer;
}

bool registry_mine(const struct registry_session *s, const struct msg *m)
{
    return (m->kind >= s->kind && m->kind < s->kind + REGISTRY_KINDS) ||
           is_its_timer(s, m);
}

err registry_receive(struct env *env, struct registry_session *s,
                     const struct msg *m)
{
    s->receiving = true;
    if (is_its_timer(s, m)) {
        s->timer = 0;
        s->registry.backend->again(env, s->link);
        registry_claims_again(env, s);
    } else {
        err e = s->registry.backend->receive(env, s->link, m);
        if (e != OK) s->failed = e;
    }
    s->receiving = false;
    err e = s->failed;
    if (s->closing) registry_close(env, s);
    return e;
}

/* ---- for the backends ---- */

void registry_answer(struct env *env, struct registry_session *s,
                     struct registry_request *r)
{
    bool well = r->outcome == OK;
    if (!s->closing && r->what == REGISTRY_TXN && r->call.done)
        r->call.done(env, r->arg, r->outcome, well ? r->results : NULL,
                     well ? r->count : 0, r->failed);
    if (!s->closing && r->what != REGISTRY_TXN)
        r->call.read(env, r->arg, r->outcome, well ? r->first : NULL,
                     well ? r->entries : 0, r->revision);
    registry_request_free(r);
}

void registry_moved(struct env *env, struct registry_session *s, uint64_t watch,
                    uint64_t revision)
{
    struct watch *w = *find_watch(s, watch);
    if (w && !s->closing) w->seen(env, w->arg, watch, revision);
}

void registry_state(struct env *env, struct registry_session *s,
                    enum registry_state state, uint64_t number)
{
    if (s->closing || s->gone) return;
    s->number = number;
    s->gone = state == REGISTRY_GONE;
    if (s->gone) registry_claims_lost(env, s);
    if (!s->closing) s->told(env, s->holder, state, number);
}

void registry_again(struct env *env, struct registry_session *s)
{
    if (s->timer) return;
    err e = deadline_set(env, env_now(env) + AGAIN_NS, 0, &s->timer);
    if (e != OK) s->failed = e;
}

struct registry_claims *registry_claims(struct registry_session *s)
{
    return &s->claims;
}

uint64_t registry_number(const struct registry_session *s)
{
    return s->number;
}

bool registry_is_gone(const struct registry_session *s)
{
    return s->gone;
}
