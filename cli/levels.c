#include "cli/levels.h"
#include "actors/stream/plan.h"
#include "core/alloc.h"
#include "core/nearest.h"
#include <string.h>

/* They log, too. */
static const char *const parts[] = {"acker", "executor", "supervisor",
                                    "topology"};
enum { PARTS = sizeof parts / sizeof parts[0] };

struct entry {
    const char *component; /* borrowed from the plan */
    bool has_own, has_limit;
    enum log_level own; /* said for good */
    enum log_level now; /* with a limit */
    int64_t until_ns;
};

struct levels {
    struct log *log;
    enum log_level common;
    bool applied;
    unsigned count;
    struct entry entries[]; /* all components, then the parts */
};

struct levels *levels_new(const struct plan *plan, struct log *log,
                          enum log_level common)
{
    unsigned count = plan->count + PARTS;
    struct levels *l = mem_zero(1, sizeof *l + count * sizeof(struct entry));
    if (l == NULL) return NULL;
    l->log = log;
    l->common = common;
    l->count = count;
    for (unsigned i = 0; i < count; i++)
        l->entries[i].component =
            i < plan->count ? plan->components[i].name : parts[i - plan->count];
    return l;
}

void levels_free(struct levels *l)
{
    mem_free(l);
}

/* Names longer than a log keeps are one when they begin alike. */
static struct entry *find(struct levels *l, const char *component)
{
    for (unsigned i = 0; i < l->count; i++)
        if (strncmp(l->entries[i].component, component,
                    LOG_COMPONENT_BYTES - 1) == 0)
            return &l->entries[i];
    return NULL;
}

bool levels_knows(const struct levels *l, const char *component,
                  struct nearest *near)
{
    nearest_begin(near, component);
    for (unsigned i = 0; i < l->count; i++) {
        const char *name = l->entries[i].component;
        if (strncmp(name, component, LOG_COMPONENT_BYTES - 1) == 0) return true;
        nearest_try(near, name);
    }
    return false;
}

static err apply(struct levels *l, const struct entry *e)
{
    if (!l->applied) return OK;
    if (e->has_limit) return log_set_level(l->log, e->component, e->now);
    if (e->has_own) return log_set_level(l->log, e->component, e->own);
    log_clear_level(l->log, e->component);
    return OK;
}

err levels_set(struct levels *l, const char *component, enum log_level level,
               int64_t now_ns, int64_t limit_ns)
{
    struct entry *e = find(l, component);
    if (e == NULL) return ERR_NOTFOUND;
    struct entry before = *e;
    e->has_limit = limit_ns > 0;
    if (e->has_limit) {
        e->now = level;
        e->until_ns = now_ns + limit_ns;
    } else {
        e->has_own = true;
        e->own = level;
    }
    if (apply(l, e) == OK) return OK;
    *e = before;
    return ERR_NOMEM;
}

void levels_look(struct levels *l, int64_t now_ns)
{
    for (unsigned i = 0; i < l->count; i++) {
        struct entry *e = &l->entries[i];
        if (!e->has_limit || now_ns < e->until_ns) continue;
        e->has_limit = false;
        apply(l, e); /* it has a place in the log already */
    }
}

err levels_apply(struct levels *l)
{
    l->applied = true;
    err e = log_set_level(l->log, NULL, l->common);
    for (unsigned i = 0; e == OK && i < l->count; i++)
        if (l->entries[i].has_own || l->entries[i].has_limit)
            e = apply(l, &l->entries[i]);
    return e;
}

void levels_lift(struct levels *l)
{
    l->applied = false;
    log_set_level(l->log, NULL, LOG_INFO);
    for (unsigned i = 0; i < l->count; i++)
        if (l->entries[i].has_own || l->entries[i].has_limit)
            log_clear_level(l->log, l->entries[i].component);
}

bool levels_read(const struct levels *l, unsigned i, int64_t now_ns,
                 struct level_view *out)
{
    for (unsigned k = 0; k < l->count; k++) {
        const struct entry *e = &l->entries[k];
        if (!e->has_own && !e->has_limit) continue;
        if (i-- > 0) continue;
        *out = (struct level_view){.component = e->component,
                                   .level = e->has_limit ? e->now : e->own,
                                   .left_ns =
                                       e->has_limit ? e->until_ns - now_ns : 0};
        return true;
    }
    return false;
}

enum log_level levels_common(const struct levels *l)
{
    return l->common;
}
