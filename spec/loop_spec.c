/* Loops: tuples that go round, how that ends, and what happens when they are
 * too many. */
#include "lua/definition.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 60 };

static void done(struct sim *sim, struct stream *s)
{
    stream_limit_loops(0);
    stream_free(s);
    sim_free(sim);
}

/* How many steps each number takes to 1: a bolt that reads itself through
 * another. */
#define COLLATZ(options)                                                       \
    "return topology 't' {" options "\n"                                       \
    "  spout 's' { fields = {'n', 'at', 'steps'}, retries = 'forever',\n"      \
    "    generator { count = 60,\n"                                            \
    "      make = function(i) return i, i, 0 end } },\n"                       \
    "  bolt 'step' { from = { fields('s', 'n'), fields('again', 'n') },\n"     \
    "    tasks = 3, streams = { default = {'n', 'at', 'steps'},\n"             \
    "    done = {'n', 'steps'} },\n"                                           \
    "    execute = function(self, n, at, steps)\n"                             \
    "      if at == 1 then return self.emit_to('done', n, steps) end\n"        \
    "      self.emit(n, at % 2 == 0 and at // 2 or 3 * at + 1, steps + 1)\n"   \
    "    end },\n"                                                             \
    "  bolt 'again' { from = shuffle 'step', tasks = 2,\n"                     \
    "    map(function(n, at, steps) return n, at, steps end) },\n"             \
    "  sink 'out' { from = global 'step:done', null {} } }\n"

static const char tracked[] = COLLATZ("");
static const char untracked[] = COLLATZ(" guarantee = 'at-most-once',");

static unsigned collatz(unsigned n)
{
    unsigned steps = 0;
    for (; n != 1; steps++)
        n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return steps;
}

/* Each at least once, and nothing wrong. */
static void check_steps(struct stream *s)
{
    unsigned right = 0;
    for (unsigned n = 1; n <= NUMBERS; n++) {
        char line[40];
        snprintf(line, sizeof line, "%u\t%u", n, collatz(n));
        CHECK(stream_has(s, line) >= 1);
        right += stream_has(s, line);
    }
    CHECK_EQ(right, stream_count(s));
}

static struct stream *start(struct sim **sim, const char *text)
{
    *sim = sim_new(spec_seed);
    return stream_start(*sim, sim_node(*sim, 1), text);
}

SPEC(loops, goes_round_until_all_is_through)
{
    FOR_SEEDS(200)
    {
        struct sim *sim;
        struct stream *s = start(&sim, tracked);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), NUMBERS);
        check_steps(s);
        CHECK_EQ(stream_totals(s, "s").acked, NUMBERS);
        done(sim, s);
    }
}

/* Nothing but the loop itself knows what is on its way. */
SPEC(loops, ends_when_nothing_goes_round_though_nothing_is_tracked)
{
    FOR_SEEDS(200)
    {
        struct sim *sim;
        struct stream *s = start(&sim, untracked);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), NUMBERS);
        check_steps(s);
        done(sim, s);
    }
}

SPEC(loops, ends_though_its_tasks_are_killed)
{
    FOR_SEEDS(200)
    {
        struct sim *sim;
        struct stream *s = start(&sim, spec_seed % 4 ? tracked : untracked);
        for (unsigned i = 0; i < 6; i++) {
            for (uint64_t n = sim_random(sim, 60); n > 0; n--)
                sim_step(sim, INT64_MAX);
            if (stream_ended(s)) break;
            bool step = sim_random(sim, 2);
            stream_kill(s, step ? "step" : "again",
                        (unsigned)sim_random(sim, step ? 3 : 2));
        }
        CHECK_EQ(stream_run(s)->why, OK);
        if (spec_seed % 4) check_steps(s);
        done(sim, s);
    }
}

SPEC(loops, drains)
{
    FOR_SEEDS(100)
    {
        struct sim *sim;
        struct stream *s = start(&sim, tracked);
        for (uint64_t n = sim_random(sim, 200); n > 0; n--)
            sim_step(sim, INT64_MAX);
        stream_drain(s, 10000000000);
        const struct topology_end *end = stream_run(s);
        CHECK(end->why == ERR_STOPPED || end->why == OK);
        CHECK_EQ(end->unsettled, 0);
        CHECK_EQ(stream_totals(s, "s").acked, stream_count(s));
        done(sim, s);
    }
}

/* Its markers don't come round: tuples that do meet the new code. */
SPEC(loops, takes_new_code)
{
#define ROUND(way)                                                             \
    "return topology 't' {\n"                                                  \
    "  spout 's' { fields = {'n'}, next = function(self)\n"                    \
    "    self.i = (self.i or 0) + 1 sleep '1ms'\n"                             \
    "    self.emit_id(self.i, 20) end },\n"                                    \
    "  bolt 'b' { from = { shuffle 's', shuffle 'b:again' }, tasks = 2,\n"     \
    "    streams = { default = {'way'}, again = {'n'} },\n"                    \
    "    execute = function(self, n)\n"                                        \
    "      if n == 0 then self.emit(" way ") else self.emit_to('again', n - "  \
    "1) end end },\n"                                                          \
    "  sink 'out' { from = global 'b', null {} } }\n"
    FOR_SEEDS(50)
    {
        char why[256];
        struct sim *sim;
        struct stream *s = start(&sim, ROUND("1"));
        sim_run_until(sim, sim_now(sim) + 50000000);
        CHECK(stream_reload(s, ROUND("2"), why, sizeof why));
        sim_run_until(sim, sim_now(sim) + 50000000);
        CHECK(stream_has(s, "1") > 5);
        CHECK(stream_has(s, "2") > 5);
        CHECK_TEXT(stream_line(s, stream_count(s) - 1), "2");
        CHECK_EQ(stream_totals(s, "s").failed, 0);
        done(sim, s);
    }
}

/* Each tuple becomes two, ten times over: more than may wait. What doesn't fit
 * fails with the reason, the rest goes on; nothing is parked for good. */
static const char flood[] =
    "return topology 't' {\n"
    "  spout 's' { streams = { default = {'n', 'pad'}, news = {'what'} },\n"
    "    next = function(self)\n"
    "      self.i = (self.i or 0) + 1\n"
    "      if self.i > 40 then return false end\n"
    "      self.emit_id(self.i, self.i % 4 == 0 and 10 or 2, 'x') end,\n"
    "    ack = function(self) self.emit_to('news', 'acked') end,\n"
    "    fail = function(self, id, why)\n"
    "      self.emit_to('news', why:match('the loop is full') or why) end "
    "},\n"
    "  bolt 'b' { from = { shuffle 's', shuffle 'c' }, tasks = 2,\n"
    "    fields = {'n', 'pad'},\n"
    "    execute = function(self, n, pad)\n"
    "      if n == 0 then return end\n"
    "      self.emit(n - 1, ('x'):rep(500))\n"
    "      self.emit(n - 1, ('y'):rep(500)) end },\n"
    "  bolt 'c' { from = shuffle 'b', tasks = 2, fields = {'n', 'pad'},\n"
    "    execute = function(self, n, pad) self.emit(n, pad) end },\n"
    "  sink 'out' { from = global 's:news', null {} } }\n";

SPEC(loops, that_is_full_fails_what_would_go_round)
{
    unsigned full = 0;
    FOR_SEEDS(100)
    {
        struct sim *sim;
        stream_limit_loops(100000);
        struct stream *s = start(&sim, flood);
        CHECK_EQ(stream_run(s)->why, OK);
        struct stream_totals t = stream_totals(s, "s");
        CHECK_EQ(t.acked + t.failed, 40);
        CHECK_EQ(stream_has(s, "acked"), t.acked);
        CHECK_EQ(stream_has(s, "the loop is full"), t.failed);
        full += (unsigned)t.failed;
        done(sim, s);
    }
    CHECK_SEEN(full);
}

/* A slow bolt at its head, a fast spout: the spout waits, so that nothing has
 * to fail though each tuple goes round ten times. */
SPEC(loops, gates_its_spouts_before_it_is_full)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { generator { count = 6000, make = function(i)\n"
        "    return 10, ('x'):rep(1000) end }, fields = {'n', 'pad'} },\n"
        "  bolt 'stuck' { from = { shuffle 's', shuffle 'b' },\n"
        "    fields = {'n', 'pad'}, execute = print },\n"
        "  bolt 'b' { from = shuffle 'stuck', fields = {'n', 'pad'},\n"
        "    execute = function(self, n, pad)\n"
        "      if n > 0 then self.emit(n - 1, pad) end end } }\n";
    FOR_SEEDS(3)
    {
        struct sim *sim;
        stream_limit_loops(2 << 20);
        struct stream *s = start(&sim, text);
        static const struct stream_stuck slow = {.pace_ns = 1000000};
        stream_set_stuck(s, &slow);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_totals(s, "b").executed, 6000 * 11);
        CHECK_EQ(stream_totals(s, "s").acked, 6000);
        CHECK_EQ(stream_totals(s, "s").failed, 0);
        done(sim, s);
    }
}

/* A tuple that multiplies itself for ever: it ends, and others get through. */
SPEC(loops, that_was_full_goes_on)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { list {{1}, {30}, {2}}, fields = {'n'}, retries = 1 },\n"
        "  bolt 'a' { from = { shuffle 's', shuffle 'b' }, tasks = 2,\n"
        "    fields = {'n'}, execute = function(self, n)\n"
        "      if n == 30 then self.emit(n) end self.emit(n) end },\n"
        "  bolt 'b' { from = shuffle 'a', tasks = 2,\n"
        "    streams = { default = {'n'}, done = {'n'} },\n"
        "    execute = function(self, n)\n"
        "      if n == 30 then self.emit(n) else self.emit_to('done', n) end\n"
        "    end },\n"
        "  sink 'out' { from = global 'b:done', null {} } }\n";
    FOR_SEEDS(30)
    {
        struct sim *sim;
        stream_limit_loops(100000);
        struct stream *s = start(&sim, text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK(stream_has(s, "1") > 0);
        CHECK(stream_has(s, "2") > 0);
        struct stream_totals t = stream_totals(s, "s");
        CHECK_EQ(t.acked, 2);
        CHECK_EQ(t.gave_up, 1);
        done(sim, s);
    }
}

/* Where there is no tuple to fail, what is refused is dropped and told. */
SPEC(loops, refuses_what_finish_emits_into_it)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { list {{1}, {2}}, fields = {'n'} },\n"
        "  bolt 'b' { from = { shuffle 's', shuffle 'b:again' },\n"
        "    streams = { default = {'n'}, again = {'n'} },\n"
        "    execute = function(self, n)\n"
        "      if n < 5 then self.emit_to('again', n + 1)\n"
        "      else self.emit(n) end end,\n"
        "    finish = function(self) self.emit(100) self.emit_to('again', 1)\n"
        "      self.emit(101) end },\n"
        "  sink 'out' { from = global 'b', null {} } }\n";
    FOR_SEEDS(20)
    {
        struct sim *sim;
        struct stream *s = start(&sim, text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 4);
        CHECK_EQ(stream_has(s, "5"), 2);
        CHECK_EQ(stream_has(s, "101"), 1);
        CHECK_EQ(stream_totals(s, "b").errors, 1);
        done(sim, s);
    }
}

/* Emitted by ticks until the end: it ends all the same. */
SPEC(loops, ends_though_ticks_emit_into_it)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { fields = {'n'}, next = function(self)\n"
        "    self.i = (self.i or 0) + 1\n"
        "    if self.i > 20 then return false end\n"
        "    sleep '1ms' self.emit_id(self.i, 3) end },\n"
        "  bolt 'a' { from = { shuffle 's', shuffle 'b' }, tasks = 2,\n"
        "    fields = {'n'}, every = '300us',\n"
        "    tick = function(self) self.emit(2) end,\n"
        "    execute = function(self, n) if n > 0 then self.emit(n - 1) end "
        "end },\n"
        "  bolt 'b' { from = shuffle 'a', tasks = 2, fields = {'n'},\n"
        "    every = '700us', tick = function(self) self.emit(1) end,\n"
        "    execute = function(self, n) self.emit(n) end },\n"
        "  sink 'out' { from = global 'b', null {} } }\n";
    FOR_SEEDS(100)
    {
        struct sim *sim;
        struct stream *s = start(&sim, text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_totals(s, "s").acked, 20);
        done(sim, s);
    }
}

/* ---- which edge it is ---- */

static struct definition *parsed(const char *text)
{
    struct definition *d = NULL;
    char *errors = NULL;
    err e = definition_parse("l.lua", text, strlen(text), NULL, 0, NULL, &d,
                             &errors);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", errors);
    return d;
}

/* Two loops, one of them with a way across; the order decides. */
SPEC(loops, is_closed_by_what_leads_back_from_the_spouts)
{
    struct definition *d = parsed(
        "local function f(self, n) end\n"
        "return topology 't' {\n"
        "  spout 's' { list {{1}}, fields = {'n'} },\n"
        "  bolt 'a' { from = { shuffle 's', shuffle 'c' }, fields = {'n'},\n"
        "    execute = f },\n"
        "  bolt 'b' { from = shuffle 'a', fields = {'n'}, execute = f },\n"
        "  bolt 'c' { from = { shuffle 'b', shuffle 'a' }, fields = {'n'},\n"
        "    execute = f },\n"
        "  bolt 'd' { from = { shuffle 'd', shuffle 'c' }, fields = {'n'},\n"
        "    execute = f },\n"
        "  bolt 'e' { from = { shuffle 'd' }, fields = {'n'}, execute = f } }");
    const struct plan *plan = &d->plan;
    const struct component_plan *c = plan->components;
    CHECK_EQ(plan->loops, 2);
    CHECK_EQ(c[0].loop, 0);
    CHECK(c[1].loop > 0 && c[1].loop == c[2].loop && c[2].loop == c[3].loop);
    CHECK(c[4].loop > 0 && c[4].loop != c[1].loop);
    CHECK_EQ(c[5].loop, 0);
    CHECK(!c[1].inputs[0].back && c[1].inputs[1].back);
    CHECK(!c[2].inputs[0].back && !c[3].inputs[0].back);
    CHECK(!c[3].inputs[1].back);
    CHECK(c[4].inputs[0].back && !c[4].inputs[1].back);
    definition_free(d);
}
