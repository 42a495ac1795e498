/* ttl of self.state: what wasn't written for so long is gone at that time, over
 * kills, too, and the store does not keep it. */
#include "spec/sim/kept.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <string.h>

#define MINUTE_NS (INT64_C(60000) * KEPT_MS)

/* The body of execute for 1, 2, … one every ms; ttl is 10 ms. */
static void begin(struct kept *k, char text[2048], const char *execute)
{
    kept_begin(k);
    sim_set_turn_ns(k->sim, 0);
    snprintf(
        text, 2048,
        "return topology 't' {\n"
        "  spout 'in' { generator { rate = 1000, count = 30 },\n"
        "    fields = {'n'}, retries = 0 },\n"
        "  bolt 'b' { from = global 'in', fields = {'n', 'has'},\n"
        "    state = 'durable', ttl = '10ms', execute = function(self, n)\n"
        "      local state = self.state\n%s\n"
        "    end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n",
        execute);
}

static struct stream *run(struct kept *k, const char *text)
{
    struct stream *s = stream_start(k->sim, sim_node(k->sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    return s;
}

/* What was said first of those who are gone. */
static int first_without(const struct stream *s)
{
    for (unsigned i = 0; i < stream_count(s); i++) {
        const char *tab = strchr(stream_line(s, i), '\t');
        if (tab && strcmp(tab + 1, "false") == 0) return (int)i + 1;
    }
    return 0;
}

SPEC(ttl, is_over_at_its_time)
{
    static const struct {
        const char *execute;
        int gone; /* the n that finds nothing first */
    } stories[] = {
        {"if n == 1 then state.k = { 1 } end self.emit(n, state.k ~= nil)", 11},
        {"if n == 1 then state.k = 1 end\n"
         "local has = false for k in pairs(state) do has = true end\n"
         "self.emit(n, has)",
         11},
        {"if n == 1 or n == 6 then state:push('k', n) end\n"
         "self.emit(n, state:get 'k' ~= nil)",
         16},
        {"if n == 1 then state.k = 5 end\n"
         "self.emit(n, n ~= 11 or state:add('k') == 6)", /* begins anew */
         11},
        {"if n == 1 or n == 8 then state:add('k', n) end\n"
         "if n == 12 then assert(state.k == 9) end\n"
         "self.emit(n, state.k ~= nil)",
         18},
        {"if n == 1 then state.k = 1 end\n"
         "if n == 5 then pcall(state.put, state, 'k', 'no', 1) end\n"
         "if n == 6 and not self.failed then\n"
         "  self.failed = true state.k = 2 error 'taken back'\n"
         "end\n"
         "self.emit(n, state.k ~= nil)",
         0},
        {"if n == 1 then state.k = 1 end\n"
         "if n == 5 then state:delete 'k' end\n"
         "self.emit(n, state.k ~= nil)",
         5},
    };
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        struct kept k;
        char text[2048];
        begin(&k, text, stories[i].execute);
        struct stream *s = run(&k, text);
        int gone = first_without(s);
        if (stories[i].gone && gone != stories[i].gone)
            spec_fail(__FILE__, __LINE__, "story %u: it was gone at %d, not %d",
                      (unsigned)i, gone, stories[i].gone);
        /* The sixth failed, so that the tenth of them is the eleventh. */
        if (stories[i].gone == 0) CHECK_EQ(gone, 10);
        stream_free(s);
        kept_end(&k);
    }
}

static unsigned rows_of(const struct kept *k)
{
    struct store_view *view;
    struct bytes key, value;
    unsigned count = 0;
    CHECK_EQ(store_view(k->store, &view), OK);
    err e = store_seek(view, bytes_of("s", 1), &key, &value);
    while (e == OK && *(const char *)key.at == 's') {
        count++;
        e = store_next(view, &key, &value);
    }
    store_unview(view);
    return count;
}

SPEC(ttl, keeps_the_store_small)
{
    static const char growing[] =
        "return topology 't' { guarantee = 'exactly-once',\n"
        "  spout 'in' { generator { rate = 10000, count = 20000 },\n"
        "    fields = {'n'} },\n"
        "  bolt 'b' { from = global 'in', state = 'durable', ttl = '100ms',\n"
        "    execute = function(self, n)\n"
        "      self.state[n] = n\n"
        "      self.state.same = n\n"
        "    end },\n"
        "}\n";
    struct kept k;
    kept_begin(&k);
    sim_set_turn_ns(k.sim, 0);
    stream_free(run(&k, growing));
    unsigned rows = rows_of(&k);
    CHECK(rows >= 2 * 1000); /* of the last 100 ms, and their times */
    CHECK(rows <= 2 * 1000 + 500);
    kept_end(&k);
}

/* One a second, from where a kill has left it. */
static bool has_after(struct kept *k, int minutes)
{
    static const char slow[] =
        "return topology 't' { guarantee = 'exactly-once',\n"
        "  spout 'in' { generator { rate = 1 }, fields = {'n'} },\n"
        "  bolt 'b' { from = global 'in', fields = {'has'}, state = "
        "'durable',\n"
        "    ttl = '1h', execute = function(self, n)\n"
        "      if n == 1 then self.state.k = 1 end\n"
        "      self.emit(self.state.k ~= nil)\n"
        "    end },\n"
        "  bolt 'c' { from = global 'b', state = 'durable',\n"
        "    execute = function(self, has) self.state.has = has end },\n"
        "}\n";
    struct store_view *view;
    static const char name[] = "st\0c\0\0\0\0\0";
    struct bytes key, value;
    struct stream *s = stream_start(k->sim, sim_node(k->sim, 1), slow);
    sim_run_until(k->sim, sim_now(k->sim) + minutes * MINUTE_NS);
    stream_free(s);
    CHECK_EQ(store_view(k->store, &view), OK);
    CHECK_EQ(store_seek(view, bytes_of(name, sizeof name - 1), &key, &value),
             OK);
    bool has = *(const uint8_t *)value.at == 0xc3;
    store_unview(view);
    return has;
}

SPEC(ttl, goes_on_over_a_kill)
{
    struct kept k;
    kept_begin(&k);
    sim_set_turn_ns(k.sim, 0);
    CHECK(has_after(&k, 10));
    sim_run_until(k.sim, sim_now(k.sim) + 30 * MINUTE_NS); /* nothing runs */
    CHECK(has_after(&k, 10));
    sim_run_until(k.sim, sim_now(k.sim) + 30 * MINUTE_NS);
    CHECK(!has_after(&k, 10));
    kept_end(&k);
}
