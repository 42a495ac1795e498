/* When a root is through, and when it has failed: held tuples, roots in common,
 * timeouts, errors, activation. The sentences that begin with a letter and a
 * number are conformance cases: cases_spec.c has the list, and they are told in
 * the simulated world and on real threads. */
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

enum { S = 1000000000 };

static void done(struct sim *sim, struct stream *s)
{
    stream_free(s);
    sim_free(sim);
}

/* A spout that emits one tracked tuple at each of the seconds in `at`, and
 * says on the stream "news" what became of it. */
#define FEEDER(name, at)                                                       \
    "  spout '" name "' {\n"                                                   \
    "    streams = { default = {'n'}, news = {'what'} },\n"                    \
    "    open = function(self) self.at, self.i, self.t0 = " at                 \
    ", 1, now() end,\n"                                                        \
    "    next = function(self)\n"                                              \
    "      local due = self.at[self.i]\n"                                      \
    "      if not due then return self.i > 100 and false or nil end\n"         \
    "      if now() - self.t0 < due then return end\n"                         \
    "      self.emit_id(self.i, self.i) self.i = self.i + 1 end,\n"            \
    "    ack = function(self, id) self.emit_to('news', '" name                 \
    " acked ' .. id) end,\n"                                                   \
    "    fail = function(self, id, why)\n"                                     \
    "      self.emit_to('news', '" name " failed ' .. id .. ' ' .. why)\n"     \
    "    end },\n"

/* A spout that stream_feed() feeds. */
#define FED(name)                                                              \
    "  spout '" name "' { fields = {'n'},\n"                                   \
    "    next = function() return false end },\n"

static void run_until(struct sim *sim, double seconds)
{
    sim_run_until(sim, SIM_START_NS + (int64_t)(seconds * 1e9));
}

/* A step of C1: how far the spouts are fed, how many tuples the aggregating
 * bolt must then have had, and the acks of each spout. */
struct feed {
    unsigned fed[3], had, acks[3];
};

static void feed_spouts(struct stream *s, const struct feed *feed)
{
    stream_feed(s, "feed1", feed->fed[0]);
    stream_feed(s, "feed2", feed->fed[1]);
    stream_feed(s, "feed3", feed->fed[2]);
    STREAM_AWAIT(s, stream_totals(s, "agg").executed == feed->had);
    STREAM_AWAIT(s, stream_said(s, "feed1 acked") == feed->acks[0] &&
                        stream_said(s, "feed2 acked") == feed->acks[1] &&
                        stream_said(s, "feed3 acked") == feed->acks[2]);
    stream_rest(s); /* and no more come */
    CHECK_EQ(stream_count(s), feed->acks[0] + feed->acks[1] + feed->acks[2]);
}

static void tell_three_trees(struct stream *s)
{
    static const struct feed feeds[] = {
        {{1, 0, 0}, 2, {0, 0, 0}},  {{1, 1, 0}, 6, {1, 1, 0}},
        {{2, 1, 0}, 8, {1, 1, 0}},  {{3, 1, 0}, 10, {2, 1, 0}},
        {{3, 1, 1}, 11, {2, 1, 0}}, {{3, 2, 1}, 15, {3, 2, 1}}};
    for (unsigned i = 0; i < sizeof feeds / sizeof feeds[0]; i++)
        feed_spouts(s, &feeds[i]);
    CHECK_EQ(stream_totals(s, "feed1").failed, 0);
}

SPEC(acking, c1_joins_three_trees)
{
    static const char text[] =
        "local function branch(n) return function(self, v)\n"
        "  for i = 1, n do self.emit(v) end end end\n"
        "return topology 't' {\n" FED("feed1") FED("feed2") FED(
            "feed3") "  bolt 'b4' { from = shuffle 'feed1', fields = {'n'},\n"
                     "    execute = branch(2) },\n"
                     "  bolt 'b5' { from = shuffle 'feed2', fields = {'n'},\n"
                     "    execute = branch(4) },\n"
                     "  bolt 'b6' { from = shuffle 'feed3', fields = {'n'},\n"
                     "    execute = branch(1) },\n"
                     "  bolt 'agg' { from = { shuffle 'b4', shuffle 'b5', "
                     "shuffle 'b6' },\n"
                     "    fields = {'n'}, acking = 'manual',\n"
                     "    prepare = function(self) self.held = {} end,\n"
                     "    execute = function(self, v)\n"
                     "      self.held[#self.held + 1] = self.hold()\n"
                     "      if #self.held < 3 then return end\n"
                     "      self.emit_from(self.held, v)\n"
                     "      for _, h in ipairs(self.held) do h:ack() end\n"
                     "      self.held = {} end },\n"
                     "  bolt 'b8' { from = shuffle 'agg', fields = {'n'}, "
                     "tasks = 2,\n"
                     "    execute = branch(2) },\n"
                     "  bolt 'b9' { from = shuffle 'b8', tasks = 2,\n"
                     "    execute = function() end },\n"
                     "}\n";
    stream_tell(text, 200, tell_three_trees);
}

static void tell_timeout(struct stream *s)
{
    struct sim *sim = stream_sim(s);
    if (sim) run_until(sim, 11);
    stream_feed(s, "feed", 3);
    if (sim) {
        run_until(sim, 20);
        CHECK_EQ(stream_count(s), 2); /* the second hangs */
    }
    STREAM_AWAIT(s, stream_has(s, "feed acked 1") == 1 &&
                        stream_has(s, "feed acked 3") == 1);
    STREAM_AWAIT(s, stream_said(s, "feed failed 2 timeout") == 1);
    if (sim) CHECK(sim_now(sim) < SIM_START_NS + 32 * (int64_t)S);
    CHECK_EQ(stream_count(s), 3);
}

SPEC(acking, c4_fails_what_is_held_after_exactly_the_timeout)
{
    static const char text[] =
        "return topology 't' { timeout = REAL and '1s' or '10s',\n" FED(
            "feed") "  bolt 'b' { from = global 'feed', acking = 'manual',\n"
                    "    prepare = function(self) self.n, self.held = 0, {} "
                    "end,\n"
                    "    execute = function(self)\n"
                    "      self.n = self.n + 1\n"
                    "      if self.n % 2 == 0 then self.held[1] = self.hold() "
                    "end end },\n"
                    "}\n";
    stream_tell(text, 200, tell_timeout);
}

/* On real threads the ticks take longer than the timeout, too. */
static void tell_reset(struct stream *s)
{
    struct sim *sim = stream_sim(s);
    stream_feed(s, "feed", 1);
    if (sim) {
        run_until(sim, 44);
        CHECK_EQ(stream_count(s), 0);
    }
    STREAM_AWAIT(s, stream_has(s, "feed acked 1") == 1);
    if (sim) {
        CHECK(sim_now(sim) < SIM_START_NS + 47 * (int64_t)S);
        run_until(sim, 80);
    }
    CHECK_EQ(stream_count(s), 1);
}

/* Its time begins anew with each call. */
SPEC(acking, c6_keeps_a_root_open_while_its_time_is_reset)
{
    static const char text[] =
        "return topology 't' { timeout = REAL and '1s' or '10s',\n" FED(
            "feed") "  bolt 'b' { from = global 'feed', acking = 'manual',\n"
                    "    every = REAL and '30ms' or '1s',\n"
                    "    prepare = function(self) self.ticks = 0 end,\n"
                    "    execute = function(self) self.held = self.hold() "
                    "end,\n"
                    "    tick = function(self)\n"
                    "      self.ticks = self.ticks + 1\n"
                    "      if not self.held then return end\n"
                    "      if self.ticks < 40 then self.held:reset_timeout()\n"
                    "      elseif self.ticks == 45 then self.held:ack() end "
                    "end },\n"
                    "}\n";
    stream_tell(text, 200, tell_reset);
}

static void tell_unread(struct stream *s)
{
    stream_feed(s, "feed", 1);
    STREAM_AWAIT(s, stream_has(s, "feed acked 1") == 1);
    stream_rest(s);
    CHECK_EQ(stream_count(s), 1);
}

SPEC(acking, c6_acks_at_once_what_no_task_reads)
{
    stream_tell("return topology 't' {\n" FED("feed") "}\n", 200, tell_unread);
}

static void tell_untracked(struct stream *s)
{
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 2);
    CHECK_EQ(stream_has(s, "acked"), 1);
}

/* Nothing is tracked: the spout is told in the emit itself. */
SPEC(acking, c7_tells_an_ack_at_once_where_nothing_is_tracked)
{
    static const char text[] =
        "return topology 't' { guarantee = 'at-most-once',\n"
        "  spout 's' { fields = {'what'},\n"
        "    open = function(self) self.acked = {} end,\n"
        "    ack = function(self, id) self.acked[id] = true end,\n"
        "    next = function(self)\n"
        "      self.emit_id('a', 'first')\n"
        "      self.emit(self.acked.a and 'acked' or 'not acked')\n"
        "      return false end },\n"
        "  sink 'out' { from = global 's', null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_untracked);
}

static void tell_six_pending(struct stream *s)
{
    STREAM_AWAIT(s, stream_count(s) == 6); /* the limit is looked at per call */
    stream_rest(s);
    CHECK_EQ(stream_count(s), 6);
}

/* Each next() emits three while the bolt lets nothing go. */
SPEC(acking, c8_asks_for_no_more_while_as_many_are_pending_as_may_be)
{
    static const char text[] =
        "return topology 't' { max_pending = 5,\n"
        "  spout 's' { fields = {'n'},\n"
        "    open = function(self) self.n = 0 end,\n"
        "    next = function(self)\n"
        "      for i = 1, 3 do self.n = self.n + 1\n"
        "        self.emit_id(self.n, self.n) end end },\n"
        "  bolt 'b' { from = global 's', acking = 'manual', fields = {'n'},\n"
        "    prepare = function(self) self.held = {} end,\n"
        "    execute = function(self, n)\n"
        "      self.held[#self.held + 1] = self.hold() self.emit(n) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_six_pending);
}

static void tell_ticks(struct stream *s)
{
    struct sim *sim = stream_sim(s);
    stream_feed(s, "feed", 1);
    STREAM_AWAIT(s, stream_has(s, "feed acked 1") == 1);
    for (unsigned i = 0; i < 4; i++) {
        if (sim) {
            run_until(sim, 30 * i + 5);
            CHECK_EQ(stream_has(s, "tick"), i);
        }
        STREAM_AWAIT(s, stream_has(s, "tick") >= i);
    }
    CHECK_EQ(stream_has(s, "tuple"), 1);
    unsigned others = 0, count = stream_count(s); /* more ticks may come */
    for (unsigned i = 0; i < count; i++)
        others += strcmp(stream_line(s, i), "tick") != 0;
    CHECK_EQ(others, 2);
}

SPEC(acking, c9_ticks_and_nothing_else_comes)
{
    static const char text[] = "return topology 't' {\n" FED(
        "feed") "  bolt 'b' { from = global 'feed', fields = {'what'},\n"
                "    every = REAL and '20ms' or '30s',\n"
                "    execute = function(self) self.emit 'tuple' end,\n"
                "    tick = function(self) self.emit 'tick' end },\n"
                "  sink 'out' { from = global 'b', null {} },\n"
                "}\n";
    stream_tell(text, 200, tell_ticks);
}

static void tell_activation(struct stream *s)
{
    stream_rest(s);
    CHECK_EQ(stream_count(s), 0);
    CHECK_EQ(stream_totals(s, "s").emitted, 0);
    stream_activate(s, true);
    STREAM_AWAIT(s, stream_count(s) == 3);
    stream_rest(s);
    CHECK_EQ(stream_count(s), 3);
    CHECK_EQ(stream_has(s, "activated"), 1);
    CHECK_EQ(stream_has(s, "acked"), 1);
    CHECK_EQ(stream_said(s, "opened at"), 1);
}

SPEC(acking, c11_starts_nothing_before_it_is_active)
{
    static const char text[] =
        "return topology 't' { initial = 'inactive',\n"
        "  spout 's' { fields = {'what'},\n"
        "    open = function(self) self.i = 0 end,\n"
        "    activate = function(self) self.emit 'activated' end,\n"
        "    next = function(self)\n"
        "      self.i = self.i + 1\n"
        "      if self.i > 1 then return end\n"
        "      self.emit_id(1, 'opened at ' .. now()) end,\n"
        "    ack = function(self) self.emit 'acked' end },\n"
        "  bolt 'b' { from = global 's', fields = {'what'},\n"
        "    prepare = function(self) self.prepared = true end,\n"
        "    execute = function(self, what)\n"
        "      assert(self.prepared) self.emit(what) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_activation);
}

static void tell_config(struct stream *s)
{
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_has(s, "123\t2\t987"), 1);
}

SPEC(acking, c12_merges_the_components_config_over_the_topologys)
{
    static const char text[] =
        "return topology 't' { config = { fake = 1, other = 2 },\n"
        "  spout 's' { list { {1} }, fields = {'n'} },\n"
        "  bolt 'b' { from = global 's', fields = {'a', 'b', 'c'},\n"
        "    config = { fake = 123, own = 987 },\n"
        "    prepare = function(self, context) self.config = context.config "
        "end,\n"
        "    execute = function(self)\n"
        "      local c = self.config self.emit(c.fake, c.other, c.own) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    stream_tell(text, 1, tell_config);
}

SPEC(acking, a_spout_that_is_not_active_emits_nothing_new)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { generator { rate = 10 }, fields = {'n'} },\n"
        "  sink 'out' { from = global 's', null {} },\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        run_until(sim, 2);
        stream_activate(s, false);
        run_until(sim, 3);
        unsigned before = stream_count(s);
        CHECK(before >= 20 && before < 25);
        stream_kill(s, "s", 0); /* nor does its next actor */
        run_until(sim, 10);
        CHECK_EQ(stream_count(s), before);
        stream_activate(s, true);
        run_until(sim, 12);
        CHECK(stream_count(s) > before);
        stream_activate(s, false);
        stream_drain(s, 10 * (int64_t)S);
        CHECK_EQ(stream_run(s)->why, ERR_STOPPED);
        done(sim, s);
    }
}

SPEC(acking, a_topology_that_never_was_active_is_drained_at_once)
{
    static const char text[] = "return topology 't' { initial = 'inactive',\n"
                               "  spout 's' { list { {1} }, fields = {'n'} },\n"
                               "  sink 'out' { from = global 's', null {} },\n"
                               "}\n";
    struct sim *sim = sim_new(1);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    run_until(sim, 1);
    CHECK(stream_reload(s, text, NULL, 0)); /* for those to come */
    stream_drain(s, S);
    CHECK_EQ(stream_run(s)->why, ERR_STOPPED);
    CHECK_EQ(stream_count(s), 0);
    done(sim, s);
}

static void tell_order(struct stream *s)
{
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 2000);
    for (unsigned i = 0; i < 2000; i++)
        CHECK_EQ(atoi(stream_line(s, i)), i + 1);
}

/* Many times what an edge's window holds goes to a bolt that is slower. */
SPEC(acking, c14_loses_and_reorders_nothing_behind_a_full_edge)
{
    static const char text[] =
        "return topology 't' { guarantee = 'at-most-once',\n"
        "  spout 's' { generator { count = 2000, make = function(i)\n"
        "      return i, ('x'):rep(1000) end }, fields = {'n', 'x'} },\n"
        "  bolt 'b' { from = global 's', fields = {'n'},\n"
        "    execute = function(self, n)\n"
        "      for i = 1, n % 100 == 0 and 20000 or 0 do end\n"
        "      self.emit(n) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_order);
}

/* ---- held tuples ---- */

/* Numbers come in pairs to a bolt that joins each two; it dies now and then,
 * its calls fail now and then. */
SPEC(acking, held_tuples_lose_nothing_whatever_fails)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { fields = {'n'},\n"
        "    open = function(self) self.i, self.again = 0, {} end,\n"
        "    next = function(self)\n"
        "      local n = table.remove(self.again)\n"
        "      if n then self.emit_id(n, n) return end\n"
        "      if self.i == 40 then return false end\n"
        "      self.i = self.i + 1 self.emit_id(self.i, self.i) end,\n"
        "    fail = function(self, id) self.again[#self.again + 1] = id end "
        "},\n"
        "  bolt 'pair' { from = fields('s', 'n'), acking = 'manual',\n"
        "    fields = {'a', 'b'}, tasks = 2, every = '100ms',\n"
        "    prepare = function(self) self.calls = 0 end,\n"
        "    execute = function(self, n)\n"
        "      self.calls = self.calls + 1\n"
        "      local calls, first = self.calls, self.first\n"
        "      if not first then\n"
        "        self.first = { n, self.hold() }\n"
        "        return end\n"
        "      local mine = self.hold()\n"
        "      self.emit_from({ first[2], mine }, first[1], n)\n"
        "      if calls % 7 == 0 then first[2]:ack() error 'not now' end\n"
        "      self.emit_from({ mine, first[2], mine }, first[1], n)\n"
        "      first[2]:ack() mine:ack()\n"
        "      self.first = nil end,\n"
        "    tick = function(self)\n"
        "      local first = self.first\n"
        "      self.first, self.ticks = nil, (self.ticks or 0) + 1\n"
        "      if self.ticks < 4 then for i = 1, 5000 do local t = {i} end\n"
        "      elseif first then\n"
        "        self.emit_from({ first[2] }, first[1], first[1])\n"
        "        first[2]:ack() end end },\n"
        "  bolt 'split' { from = shuffle 'pair', fields = {'n'},\n"
        "    execute = function(self, a, b) self.emit(a) self.emit(b) end },\n"
        "  bolt 'flaky' { from = shuffle 'split', fields = {'n'},\n"
        "    execute = function() end },\n"
        "  sink 'out' { from = global 'flaky', null {} },\n"
        "}\n";
    FOR_SEEDS(100)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        for (unsigned i = 0; i < 3 && !stream_ended(s); i++) {
            sim_advance(sim, (int64_t)sim_random(sim, 50) * 1000000);
            if (!stream_ended(s))
                stream_kill(s, "pair", (unsigned)sim_random(sim, 2));
        }
        CHECK_EQ(stream_run(s)->why, OK);
        for (unsigned i = 1; i <= 40; i++) {
            char line[16];
            snprintf(line, sizeof line, "%u", i);
            if (stream_has(s, line) == 0)
                spec_fail(__FILE__, __LINE__, "%s is lost", line);
        }
        CHECK_EQ(stream_totals(s, "s").acked, 40);
        done(sim, s);
    }
}

/* What a bolt lets go of fails at once, not when its time is over. */
SPEC(acking, a_held_tuple_that_is_let_go_of_fails)
{
    static const char text[] = "return topology 't' { timeout = '1h',\n" FEEDER(
        "s", "{1}") "  bolt 'b' { from = global 's', acking = 'manual', every "
                    "= '1s',\n"
                    "    execute = function(self) self.hold() end,\n"
                    "    tick = function(self)\n"
                    "      for i = 1, 20000 do local t = {i} end end },\n"
                    "  sink 'out' { from = global 's:news', null {} },\n"
                    "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        run_until(sim, 10);
        CHECK_EQ(stream_said(s, "s failed 1 a held tuple was let go of"), 1);
        done(sim, s);
    }
}

SPEC(acking, a_held_tuple_is_settled_once)
{
    static const char text[] = "return topology 't' {\n" FEEDER(
        "s",
        "{1, 2}") "  bolt 'b' { from = global 's', acking = 'manual', fields = "
                  "{'what'},\n"
                  "    execute = function(self, n)\n"
                  "      local h = self.hold()\n"
                  "      if n == 1 then h:ack() else h:fail 'as I like' end\n"
                  "      local ok, why = pcall(h.ack, h)\n"
                  "      self.emit(ok and 'twice' or why:match '^[^\\n]*')\n"
                  "      ok, why = pcall(self.emit_from, { h }, 'from it')\n"
                  "      self.emit(ok and 'twice' or why:match '^[^\\n]*')\n"
                  "      assert(not pcall(self.emit_from, {}, 'from none'))\n"
                  "    end },\n"
                  "  sink 'out' { from = { global 'b', global 's:news' }, null "
                  "{} },\n"
                  "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        run_until(sim, 5);
        CHECK_EQ(stream_said(s, "twice"), 0);
        CHECK_EQ(stream_said(s, "story.lua:"), 0);
        CHECK_EQ(stream_said(s, "s acked 1"), 1);
        CHECK_EQ(stream_said(s, "s failed 2 as I like"), 1);
        CHECK_EQ(stream_count(s), 6);
        done(sim, s);
    }
}

SPEC(acking, only_a_manual_bolt_may_hold)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { list { {1} }, fields = {'n'} },\n"
        "  bolt 'b' { from = global 's', fields = {'what'},\n"
        "    execute = function(self)\n"
        "      local ok, why = pcall(function() self.hold() end)\n"
        "      self.emit(why:match '^[^\\n]*') end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    struct sim *sim = sim_new(1);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 1);
    CHECK(strstr(stream_line(s, 0), "add acking = \"manual\"") != NULL);
    done(sim, s);
}

/* ---- errors ---- */

static const char on_error[] =
    "return topology 't' {\n"
    "  spout 's' { list { {1}, {2}, {3}, {4} }, fields = {'n'} },\n"
    "  bolt 'b' { from = global 's', fields = {'n'}, on_error = '%s',\n"
    "    prepare = function(self) self.seen = {} end,\n"
    "    execute = function(self, n)\n"
    "      self.emit(n)\n"
    "      if n == 2 then error 'two' end end },\n"
    "  sink 'out' { from = global 'b', null {} },\n"
    "}\n";

SPEC(acking, an_error_may_drop_its_tuple)
{
    char text[1024];
    snprintf(text, sizeof text, on_error, "drop");
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 3);
        CHECK_EQ(stream_has(s, "2"), 0);
        CHECK_EQ(stream_totals(s, "s").acked, 4);
        CHECK_EQ(stream_totals(s, "s").failed, 0);
        done(sim, s);
    }
}

/* The tuple fails for good after its retries; the task was made anew for each.
 */
SPEC(acking, an_error_may_crash_its_task)
{
    char text[1024];
    snprintf(text, sizeof text, on_error, "crash");
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK(stream_has(s, "1") >= 1 && stream_has(s, "4") >= 1);
        CHECK_EQ(stream_has(s, "2"), 0);
        CHECK_EQ(stream_totals(s, "s").gave_up, 1);
        CHECK_EQ(stream_totals(s, "s").acked, 3);
        done(sim, s);
    }
}

/* A bolt that makes a tuple of one held one; `choose` is the body of the
 * grouping between, which sees the handles as `handles`. */
static void check_from_through(const char *choose)
{
    char text[2048];
    snprintf(text, sizeof text,
             "local handles, emit_from = {}\n"
             "return topology 't' {\n"
             "  spout 's' { list { {1}, {2} }, fields = {'n'} },\n"
             "  bolt 'b' { from = shuffle 's', fields = {'n'},\n"
             "    acking = 'manual', execute = function(self, n)\n"
             "      local h = self.hold()\n"
             "      handles[1], emit_from = h, self.emit_from\n"
             "      self.emit_from(handles, n)\n"
             "      h:ack() end },\n"
             "  sink 'out' { from = custom('b', function(v, tasks)\n"
             "      %s\n"
             "      return { tasks[1] } end), null {} } }\n",
             choose);
    struct sim *sim = sim_new(spec_seed);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 2);
    CHECK_EQ(stream_totals(s, "s").failed, 0);
    CHECK_EQ(stream_totals(s, "s").acked, 2);
    done(sim, s);
}

SPEC(acking, a_grouping_changes_nothing_of_the_held_tuples_that_are_emitted)
{
    check_from_through("handles[1] = 42");
    check_from_through("handles[1] = nil");
    check_from_through("local ok, why = pcall(emit_from, handles, 1)\n"
                       "assert(not ok and why:find 'while another runs')");
}

SPEC(acking, a_held_tuple_that_a_failing_call_fails_is_not_failed)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { list { {1}, {2} }, fields = {'n'}, retries = 0 },\n"
        "  sink 'b' { from = shuffle 's', acking = 'manual',\n"
        "    execute = function(self, n)\n"
        "      if n == 1 then self.first = self.hold() return end\n"
        "      self.first:fail 'told in a call that fails'\n"
        "      assert(not pcall(self.first.ack, self.first))\n"
        "      error 'the call fails' end,\n"
        "    finish = function(self) end,\n"
        "    tick = function(self) if self.first then self.first:ack() end\n"
        "      self.first = nil end, every = '1s' } }\n";
    struct sim *sim = sim_new(spec_seed);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_totals(s, "s").acked, 1);
    CHECK_EQ(stream_totals(s, "s").failed, 1);
    done(sim, s);
}
