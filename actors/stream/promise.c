#include "actors/stream/promise.h"
#include "actors/stream/component.h"
#include "actors/stream/letters.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- what can't be kept ---- */

struct faults {
    const struct plan *plan;
    struct buffer *out;
    err e;
};

static void fault(struct faults *f, const struct component_plan *c,
                  const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fault(struct faults *f, const struct component_plan *c,
                  const char *format, ...)
{
    char what[512], line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    int bytes = snprintf(line, sizeof line,
                         "%.300s:%d: %s '%.60s' %s, or use guarantee = "
                         "\"at-least-once\"\n",
                         f->plan->file, c->line, component_kind_name(c->kind),
                         c->name, what);
    if (f->e == OK) f->e = buffer_append(f->out, line, (size_t)bytes);
}

static bool runs_lua(const struct component_plan *c)
{
    return strcmp(c->class->name, "lua") == 0;
}

static void check_spout(struct faults *f, const struct component_plan *c)
{
    if (!c->rewinds && runs_lua(c))
        fault(f, c,
              "says to no checkpoint where it is, and exactly-once begins "
              "again there; give it state = \"durable\" and go by self.state");
    else if (!c->rewinds)
        fault(f, c,
              "reads %s, which can't be read again after a crash; bring it "
              "into a file or a queue first",
              c->class->name);
    if (c->failed_stream != 0)
        fault(f, c,
              "has a stream 'failed', and with exactly-once it is not told "
              "what fails: bolts try again themselves; give the stream to "
              "them");
}

static bool is_of_inputs(const struct plan *plan,
                         const struct component_plan *c, const char *field)
{
    for (unsigned i = 0; i < c->input_count; i++) {
        const struct input_plan *in = &c->inputs[i];
        const struct stream_plan *from =
            &plan->components[in->component].streams[in->stream];
        for (unsigned k = 0; k < from->arity; k++)
            if (strcmp(field, from->fields[k]) == 0) return true;
    }
    return false;
}

static bool is_of_letters(const char *field)
{
    return strcmp(field, "reason") == 0 || strcmp(field, "component") == 0 ||
           strcmp(field, "task") == 0;
}

static void check_letters(struct faults *f, const struct component_plan *c)
{
    int stream = letters_stream(f->plan, c);
    if (stream < 0) return;
    const struct stream_plan *s = &c->streams[stream];
    for (unsigned i = 0; i < s->arity; i++)
        if (!is_of_inputs(f->plan, c, s->fields[i]) &&
            !is_of_letters(s->fields[i]))
            fault(f, c,
                  "has the field '%.60s' in its stream 'failed', which with "
                  "exactly-once brings what has failed for good: name fields "
                  "of its inputs, reason, component and task",
                  s->fields[i]);
}

static void check_bolt(struct faults *f, const struct component_plan *c)
{
    check_letters(f, c);
    if (c->manual)
        fault(f, c,
              "has acking = \"manual\", and with exactly-once nothing is "
              "acked; leave it out");
}

static void check_sink(struct faults *f, const struct component_plan *c)
{
    const char *option =
        c->class->untransacted ? c->class->untransacted(c->config) : NULL;
    if (option)
        fault(f, c,
              "has %s, and what it has renamed can't be taken back; use "
              "segments",
              option);
    if (c->transacts) return;
    fault(f, c,
          runs_lua(c) ? "is Lua, and what that has done can't be taken back; "
                        "write to a file, read that with a topology of its own"
                      : "writes to %s, from which nothing can be taken back; "
                        "write to a file",
          c->class->name);
}

err promise_check(const struct plan *plan, struct buffer *faults)
{
    static void (*const checks[])(struct faults *,
                                  const struct component_plan *) = {
        [COMPONENT_SPOUT] = check_spout,
        [COMPONENT_BOLT] = check_bolt,
        [COMPONENT_SINK] = check_sink,
    };
    struct faults f = {plan, faults, OK};
    if (plan->guarantee != EXACTLY_ONCE) return OK;
    for (unsigned i = 0; i < plan->count; i++)
        checks[plan->components[i].kind](&f, &plan->components[i]);
    return f.e;
}

/* ---- what is ---- */

static bool reads(const struct component_plan *c, unsigned from)
{
    for (unsigned i = 0; i < c->input_count; i++)
        if (c->inputs[i].component == from) return true;
    return false;
}

/* Does what `from` emits come to `to`, at once or by others? `seen` has a bit
 * for each component that was asked. */
static bool reaches(const struct plan *plan, unsigned from, unsigned to,
                    uint8_t *seen)
{
    if (from == to) return true;
    seen[from] = 1;
    for (unsigned i = 0; i < plan->count; i++)
        if (!seen[i] && reads(&plan->components[i], from) &&
            reaches(plan, i, to, seen))
            return true;
    return false;
}

static const char *reason(const struct plan *plan, const struct promise *p)
{
    switch (plan->guarantee) {
    case AT_MOST_ONCE: return "nothing is tracked";
    case EXACTLY_ONCE: return "a checkpoint has all of it or nothing";
    case AT_LEAST_ONCE: break;
    }
    if (!p->from->rewinds)
        return "what fails is emitted again; after a crash of the process it "
               "can't be";
    return "what fails is emitted again";
}

bool promise_at(const struct plan *plan, unsigned i, struct promise *out)
{
    uint8_t seen[4096];
    if (plan->count > sizeof seen) return false;
    for (unsigned from = 0; from < plan->count; from++)
        for (unsigned to = 0; to < plan->count; to++) {
            out->from = &plan->components[from];
            out->to = &plan->components[to];
            if (out->from->kind != COMPONENT_SPOUT ||
                out->to->kind != COMPONENT_SINK)
                continue;
            memset(seen, 0, plan->count);
            if (!reaches(plan, from, to, seen) || i-- > 0) continue;
            out->guarantee = plan->guarantee;
            out->why = reason(plan, out);
            return true;
        }
    return false;
}

bool promise_differs(const struct plan *plan)
{
    struct promise first, p;
    if (!promise_at(plan, 0, &first)) return false;
    for (unsigned i = 1; promise_at(plan, i, &p); i++)
        if (p.why != first.why) return true;
    return false;
}
