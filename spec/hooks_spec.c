/* Hooks: what they are told, in which order, and what an error in one does. */
#include "core/alloc.h"
#include "lua/definition.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <string.h>

static void done(struct sim *sim, struct stream *s)
{
    stream_free(s);
    sim_free(sim);
}

/* A bolt that counts by hooks and emits its counts; it acks while it has acked
 * as many as it has failed. (Storm's figures but for its quirk that an ack is
 * counted as an emit.) */
static void tell_c10(struct stream *s)
{
    static const char *const lines[] = {"0\t0\t0\t0", "1\t1\t0\t1",
                                        "2\t1\t1\t2", "3\t2\t1\t3"};
    stream_run(s);
    CHECK_EQ(stream_count(s), 4);
    for (unsigned i = 0; i < 4; i++)
        CHECK_TEXT(stream_line(s, i), lines[i]);
}

SPEC(hooks, c10_count_what_a_bolt_does)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { list {{1}, {2}, {3}, {4}}, fields = {'n'}, retries = 0 "
        "},\n"
        "  bolt 'b' { from = global 's', fields = {'e', 'a', 'f', 'x'},\n"
        "    acking = 'manual',\n"
        "    prepare = function(self) self.e, self.a, self.f, self.x = 0, 0, "
        "0, 0 end,\n"
        "    hooks = {\n"
        "      emit = function(self, info) self.e = self.e + 1 end,\n"
        "      ack = function(self, info) self.a = self.a + 1 end,\n"
        "      fail = function(self, info) self.f = self.f + 1 end,\n"
        "      execute = function(self, info) self.x = self.x + 1 end },\n"
        "    execute = function(self, n)\n"
        "      local h = self.hold()\n"
        "      self.emit(self.e, self.a, self.f, self.x)\n"
        "      if self.a == self.f then h:ack() else h:fail('odd') end\n"
        "    end },\n"
        "  sink 'out' { from = global 'b', null {} } }\n";
    stream_tell(text, 200, tell_c10);
}

/* Each note is what a hook was told; `finish` emits them. */
#define NOTES                                                                  \
    "local function note(what) return function(self, info)\n"                  \
    "  self.notes = self.notes or {}\n"                                        \
    "  local t, v = { what }, info.values\n"                                   \
    "  for i = 1, v and v.n or 0 do t[#t + 1] = tostring(v[i]) end\n"          \
    "  t[#t + 1] = info.stream\n"                                              \
    "  t[#t + 1] = info.id and 'id' .. info.id\n"                              \
    "  t[#t + 1] = info.reason and info.reason:match('oops %d')\n"             \
    "  assert(what ~= 'ack' or info.seconds >= 0)\n"                           \
    "  self.notes[#self.notes + 1] = table.concat(t, ' ') end end\n"           \
    "local function tell(self)\n"                                              \
    "  for _, n in ipairs(self.notes or {}) do self.emit_to('notes', n) end\n" \
    "end\n"

SPEC(hooks, are_told_values_streams_and_reasons)
{
    static const char text[] =
        NOTES "return topology 't' {\n"
              "  spout 's' { list {{1, 'a'}, {2, nil}, {3, 'c'}},\n"
              "    fields = {'n', 't'}, retries = 0 },\n"
              "  bolt 'b' { from = global 's',\n"
              "    streams = { default = {'n'}, notes = {'what'} },\n"
              "    hooks = { execute = note 'execute', ack = note 'ack',\n"
              "      fail = note 'fail', emit = function(self, info)\n"
              "        if info.stream == 'default' then note 'emit'(self, "
              "info) end end },\n"
              "    execute = function(self, n, t)\n"
              "      self.emit(n * 10)\n"
              "      if n == 2 then error('oops 2') end end,\n"
              "    finish = tell },\n"
              "  sink 'x' { from = global 'b', null {} },\n"
              "  sink 'out' { from = global 'b:notes', null {} } }\n";
    static const char *const lines[] = {"emit 10 default",   "execute 1 a",
                                        "ack 1 a",           "emit 20 default",
                                        "fail 2 nil oops 2", "emit 30 default",
                                        "execute 3 c",       "ack 3 c"};
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        stream_run(s);
        CHECK_EQ(stream_count(s), 8);
        for (unsigned i = 0; i < 8; i++)
            CHECK_TEXT(stream_line(s, i), lines[i]);
        CHECK_EQ(stream_totals(s, "b").emitted, 2 + 8);
        done(sim, s);
    }
}

/* The last tuple of a batch, and one that was over its budget. */
SPEC(hooks, are_told_of_a_failure_at_the_end_of_a_batch)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { list {{1}}, fields = {'n'}, retries = 0 },\n"
        "  bolt 'b' { from = global 's', fields = {'what'}, budget = '20ms',\n"
        "    hooks = { fail = function(self, info) self.why = info.reason end "
        "},\n"
        "    execute = function(self, n) while true do end end,\n"
        "    finish = function(self) self.emit(self.why:match 'budget') end "
        "},\n"
        "  sink 'out' { from = global 'b', null {} } }\n";
    struct sim *sim = sim_new(1);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    stream_run(s);
    CHECK_EQ(stream_has(s, "budget"), 1);
    done(sim, s);
}

SPEC(hooks, are_told_what_became_of_a_spouts_tuples)
{
    static const char text[] =
        NOTES "return topology 't' {\n"
              "  hooks = { ack = note 'topology', fail = note 'topology' },\n"
              "  spout 's' { streams = { default = {'n'}, notes = {'what'} },\n"
              "    hooks = { ack = note 'ack', fail = note 'fail' },\n"
              "    next = function(self)\n"
              "      self.n = (self.n or 0) + 1\n"
              "      if self.n <= 2 then return self.emit_id(self.n, self.n) "
              "end\n"
              "      if #(self.notes or {}) < 4 then return end\n"
              "      tell(self) self.notes = {}\n"
              "      if self.told then return false end self.told = true end "
              "},\n"
              "  bolt 'b' { from = global 's', execute = function(self, n)\n"
              "    if n == 2 then error('oops 2') end end },\n"
              "  sink 'out' { from = global 's:notes', null {} } }\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        sim_run_until(sim, SIM_START_NS + 5000000000);
        CHECK_EQ(stream_count(s), 4);
        CHECK_EQ(stream_has(s, "topology id1"), 1);
        CHECK_EQ(stream_has(s, "ack id1"), 1);
        CHECK_EQ(stream_has(s, "topology id2 oops 2"), 1);
        CHECK_EQ(stream_has(s, "fail id2 oops 2"), 1);
        /* A fail hook is no fail(): the tuple has failed for good. */
        CHECK_EQ(stream_totals(s, "s").gave_up, 1);
        for (unsigned i = 0; i < 4; i += 2) /* the topology's come first */
            CHECK(strncmp(stream_line(s, i), "topology", 8) == 0);
        done(sim, s);
    }
}

/* As one in what it hooks: the tuple fails, its emits are taken back. */
SPEC(hooks, that_fail_fail_what_they_hook)
{
    static const char *const names[] = {"emit", "execute", "ack"};
    for (unsigned i = 0; i < 3; i++) {
        char text[600];
        snprintf(text, sizeof text,
                 "return topology 't' {\n"
                 "  spout 's' { list {{1}, {2}, {3}}, fields = {'n'}, retries "
                 "= 0 },\n"
                 "  bolt 'b' { from = global 's', fields = {'n'},\n"
                 "    hooks = { %s = function(self, info)\n"
                 "      if info.values[1] == 2 then error('no') end end },\n"
                 "    execute = function(self, n) self.emit(n) end },\n"
                 "  sink 'out' { from = global 'b', null {} } }\n",
                 names[i]);
        struct sim *sim = sim_new(i + 1);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        stream_run(s);
        CHECK_EQ(stream_count(s), 2);
        CHECK_EQ(stream_has(s, "2"), 0);
        CHECK_EQ(stream_totals(s, "s").acked, 2);
        CHECK_EQ(stream_totals(s, "s").gave_up, 1);
        done(sim, s);
    }
}

SPEC(hooks, of_emits_may_not_emit)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { list {{1}}, fields = {'n'}, retries = 0 },\n"
        "  bolt 'b' { from = global 's', fields = {'n'},\n"
        "    hooks = { emit = function(self, info) self.emit(1) end },\n"
        "    execute = function(self, n) self.emit(n) end },\n"
        "  sink 'out' { from = global 'b', null {} } }\n";
    struct sim *sim = sim_new(1);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    stream_run(s);
    CHECK_EQ(stream_count(s), 0);
    CHECK_EQ(stream_totals(s, "s").gave_up, 1);
    done(sim, s);
}

/* Operators with functions have them, native ones and connectors are left
 * alone by those of the topology. */
SPEC(hooks, of_a_topology_go_for_all_components_with_functions)
{
    static const char text[] =
        "return topology 't' {\n"
        "  hooks = { execute = function(self, info)\n"
        "    self.seen = (self.seen or 0) + info.values[1] end },\n"
        "  spout 's' { list {{1}, {2}, {3}}, fields = {'n'} },\n"
        "  bolt 'double' { from = global 's',\n"
        "    map(function(n) return 2 * n end) },\n"
        "  bolt 'count' { from = global 'double', count_by 'n' },\n"
        "  bolt 'b' { from = global 'double', fields = {'seen'},\n"
        "    execute = { double = function(self, n) end },\n"
        "    finish = function(self) self.emit(self.seen) end },\n"
        "  sink 'x' { from = global 'count', null {} },\n"
        "  sink 'out' { from = global 'b', null {} } }\n";
    struct sim *sim = sim_new(1);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    stream_run(s);
    CHECK_EQ(stream_count(s), 1);
    CHECK_TEXT(stream_line(s, 0), "12");
    done(sim, s);
}

/* New code brings, changes and takes them away, for all tasks at once. */
SPEC(hooks, are_taken_over_by_a_reload)
{
#define COUNTS(hooks)                                                          \
    "return topology 't' {\n"                                                  \
    "  spout 's' { fields = {'n'}, next = function(self)\n"                    \
    "    self.n = (self.n or 0) + 1 sleep '10ms'\n"                            \
    "    self.emit_id(self.n, self.n) end },\n"                                \
    "  bolt 'b' { from = global 's', fields = {'n', 'x'}, " hooks "\n"         \
    "    execute = function(self, n) self.emit(n, self.x or 0) end },\n"       \
    "  sink 'out' { from = global 'b', null {} } }\n"
    FOR_SEEDS(10)
    {
        char why[256];
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), COUNTS(""));
        sim_run_until(sim, SIM_START_NS + 100000000);
        CHECK(stream_reload(
            s, COUNTS("hooks = { execute = function(self) self.x = 1 end },"),
            why, sizeof why));
        sim_run_until(sim, sim_now(sim) + 100000000);
        unsigned with = stream_count(s);
        CHECK(with > 10);
        const char *last = stream_line(s, with - 1);
        CHECK_TEXT(strchr(last, '\t'), "\t1");
        CHECK(stream_reload(s,
                            COUNTS("on_reload = function(self) self.x = 5 "
                                   "end,"),
                            why, sizeof why));
        sim_run_until(sim, sim_now(sim) + 100000000);
        CHECK(stream_count(s) > with + 5);
        last = stream_line(s, stream_count(s) - 1);
        CHECK_TEXT(strchr(last, '\t'), "\t5");
        done(sim, s);
    }
}

/* ---- the definition ---- */

static void refuses(const char *body, const char *expected)
{
    char text[700];
    snprintf(text, sizeof text,
             "return topology 't' {\n spout 's' { list {{1}}, fields = {'n'} "
             "},\n%s }\n",
             body);
    struct definition *d = NULL;
    char *errors = NULL;
    CHECK_EQ(definition_parse("h.lua", text, strlen(text), NULL, 0, NULL, &d,
                              &errors),
             ERR_CONFIG);
    CHECK_HAS(errors, expected);
    mem_free(errors);
}

SPEC(hooks, are_checked_before_anything_starts)
{
    refuses("sink 'o' { from = shuffle 's', execute = print, hooks = { exceute "
            "= print } }",
            "'exceute' is no hook of sink 'o'; did you mean 'execute'?");
    refuses("sink 'o' { from = shuffle 's', execute = print, hooks = { emit = "
            "print } }",
            "'emit' is no hook of sink 'o'; there are: ack, execute, fail");
    refuses("sink 'o' { from = shuffle 's', execute = print, hooks = { ack = 5 "
            "} }",
            "hook 'ack' of sink 'o' is 5; give a function");
    refuses("sink 'o' { from = shuffle 's', execute = print, hooks = print }",
            "hooks of sink 'o' is a function; give functions by name");
    refuses("sink 'o' { from = shuffle 's', null {}, hooks = { ack = print } }",
            "sink 'o' has hooks, but null runs without Lua and calls none");
    refuses(
        "bolt 'c' { from = shuffle 's', count_by 'n', hooks = { ack = print "
        "} }, sink 'o' { from = shuffle 'c', null {} }",
        "bolt 'c' has hooks, but count_by runs without Lua");
    refuses("sink 'o' { from = shuffle 's', null {} }, hooks = { ack = print }",
            "the topology has hooks, but none of its components has functions");
}
