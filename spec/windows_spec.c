/* Bolts with windows, and joins over them, in the simulated world: what they
 * are given, what becomes of their tuples, and what is said of wrong ones. */
#include "core/alloc.h"
#include "lua/definition.h"
#include "spec/definition.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>

static struct stream *begin(struct sim **sim, const char *text)
{
    *sim = sim_new(spec_seed);
    return stream_start(*sim, sim_node(*sim, 1), text);
}

static void done(struct sim *sim, struct stream *s)
{
    stream_free(s);
    sim_free(sim);
}

static void run_until(struct sim *sim, int64_t ms)
{
    sim_run_until(sim, SIM_START_NS + ms * 1000000);
}

/* Lists as texts, for windows whose tuples have the field `n`. */
#define SHOW                                                                   \
    "local function show(list)\n"                                              \
    "  local out = {}\n"                                                       \
    "  for i, t in ipairs(list) do out[i] = tostring(t.n) end\n"               \
    "  return table.concat(out, ' ')\n"                                        \
    "end\n"
#define EMIT                                                                   \
    "fields = {'all', 'new', 'expired'}, execute = function(self, w)\n"        \
    "  self.emit(show(w.tuples), show(w.new), show(w.expired)) end"
#define OUT "sink 'out' { from = global 'w', null {} } }\n"

/* It runs to its end, and these lines come out in order; the last one is
 * NULL. */
static void check(const char *text, const char *const *lines)
{
    struct sim *sim;
    struct stream *s = begin(&sim, text);
    const struct topology_end *end = stream_run(s);
    CHECK_EQ(end->why, OK);
    CHECK_EQ(end->gave_up + end->unsettled, 0);
    unsigned count = 0;
    for (; lines[count]; count++) {
        if (count >= stream_count(s))
            spec_fail(__FILE__, __LINE__, "there is no '%s'", lines[count]);
        CHECK_TEXT(stream_line(s, count), lines[count]);
    }
    CHECK_EQ(stream_count(s), count);
    done(sim, s);
}

#define CHECK_LINES(text, ...)                                                 \
    check(text, (const char *const[]){__VA_ARGS__, NULL})

/* ---- what they are given ---- */

SPEC(windows, by_count_give_all_new_and_expired_tuples)
{
    CHECK_LINES(
        SHOW "return topology 't' {\n"
             "  spout 's' { generator { count = 7 }, fields = {'n'} },\n"
             "  bolt 'w' { from = global 's', window = sliding {\n"
             "    length = '5 tuples', every = '2 tuples' }, " EMIT " },\n" OUT,
        "1 2\t1 2\t", "1 2 3 4\t3 4\t", "2 3 4 5 6\t5 6\t1", "4 5 6 7\t7\t2 3");
}

/* The tuples of Storm's WindowedBoltExecutorTest, in seconds. */
#define TIMES "{603}, {605}, {607}, {618}, {626}, {636}"

SPEC(windows, by_event_time_give_what_is_older_than_the_watermark)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim, SHOW
            "return topology 't' {\n"
            "  spout 's' { open = function(self) self.i = 0 end,\n"
            "    fields = {'n'}, next = function(self)\n"
            "      local n = ({ 603, 605, 607, 618, 626, 636 })[self.i + 1]\n"
            "      self.i = self.i + 1\n"
            "      if n then self.emit_id(n, n) else sleep '10s' end\n"
            "    end },\n"
            "  bolt 'w' { from = global 's', window = sliding {\n"
            "    length = '20s', every = '10s', timestamp = 'n', lag = '5s' "
            "},\n" EMIT " },\n" OUT);
        run_until(sim, 900);
        CHECK_EQ(stream_count(s), 0);
        run_until(sim, 1500);
        CHECK_EQ(stream_count(s), 3);
        CHECK_TEXT(stream_line(s, 0), "603 605 607\t603 605 607\t");
        CHECK_TEXT(stream_line(s, 1), "603 605 607 618\t618\t");
        CHECK_TEXT(stream_line(s, 2), "618 626\t626\t603 605 607");
        stream_drain(s, 10000000000);
        CHECK_EQ(stream_run(s)->unsettled, 0);
        CHECK_EQ(stream_totals(s, "s").acked, 6);
        CHECK_EQ(stream_totals(s, "s").failed, 0);
        CHECK_EQ(stream_count(s), 5);
        done(sim, s);
    }
}

/* Who reads old tuples as fast as can be isn't held up by the clock. */
SPEC(windows, by_event_time_fire_before_a_second_is_over_where_much_comes)
{
    struct sim *sim;
    struct stream *s = begin(
        &sim,
        SHOW "return topology 't' {\n"
             "  spout 's' { fields = {'n'},\n"
             "    open = function(self) self.n = 0 end,\n"
             "    next = function(self)\n"
             "      if self.n == 4500 then sleep '1h' return end\n"
             "      self.n = self.n + 1 self.emit_id(self.n, self.n)\n"
             "    end },\n"
             "  bolt 'w' { from = global 's', fields = {'n'},\n"
             "    window = tumbling { length = '100s', timestamp = 'n' },\n"
             "    execute = function(self, w) self.emit(w.count) end },\n" OUT);
    run_until(sim, 800);
    CHECK_EQ(stream_has(s, "100"), 39); /* the 4,000th is the watermark */
    run_until(sim, 3000);
    CHECK_EQ(stream_has(s, "100"), 44);
    done(sim, s);
}

SPEC(windows, close_at_the_end_of_the_input)
{
    CHECK_LINES(
        SHOW
        "return topology 't' {\n"
        "  spout 's' { list { " TIMES " }, fields = {'n'} },\n"
        "  bolt 'w' { from = global 's', window = tumbling {\n"
        "    length = '20s', timestamp = 'n' }, " EMIT ",\n"
        "    finish = function(self) self.emit('end', '', '') end },\n" OUT,
        "603 605 607 618\t603 605 607 618\t",
        "626 636\t626 636\t603 605 607 618", "end\t\t");
    /* Also those behind others. */
    CHECK_LINES(SHOW
                "return topology 't' {\n"
                "  spout 's' { list { " TIMES " }, fields = {'n'} },\n"
                "  bolt 'first' { from = global 's', fields = {'n'},\n"
                "    window = session { gap = '5s', timestamp = 'n' },\n"
                "    execute = function(self, w) self.emit(w.count) end },\n"
                "  bolt 'w' { from = global 'first',\n"
                "    window = tumbling { length = '100 tuples' }, " EMIT
                " },\n" OUT,
                "3 1 1 1\t3 1 1 1\t");
}

SPEC(windows, tell_their_time_and_what_kind_of_firing_it_is)
{
    CHECK_LINES("return topology 't' {\n"
                "  spout 's' { list { {603}, {605.5} }, fields = {'n'} },\n"
                "  bolt 'w' { from = global 's', window = tumbling {\n"
                "    length = '10s', timestamp = 'n' },\n"
                "    fields = {'start', 'stop', 'count', 'early', 'late'},\n"
                "    execute = function(self, w)\n"
                "      self.emit(w.start, w.stop, w.count, w.early, w.late)\n"
                "    end },\n" OUT,
                "600\t610\t2\tfalse\tfalse");
    CHECK_LINES("return topology 't' {\n"
                "  spout 's' { list { {603}, {605.5} }, fields = {'n'} },\n"
                "  bolt 'w' { from = global 's', fields = {'start', 'stop'},\n"
                "    window = session { gap = '10s', timestamp = 'n' },\n"
                "    execute = function(self, w) self.emit(w.start, w.stop) "
                "end },\n" OUT,
                "603\t605.5");
}

/* By name, by place, with the source's name at 0. */
SPEC(windows, give_tuples_that_are_read_by_name_and_by_place)
{
    CHECK_LINES(
        "return topology 't' {\n"
        "  spout 's' { list { {1, 'x'} }, fields = {'n', 'k'} },\n"
        "  bolt 'b' { from = global 's', streams = { more = {'k', 'z'} },\n"
        "    execute = function(self, n, k) self.emit_to('more', k, { n })\n"
        "    end },\n"
        "  bolt 'w' { from = { global 's', global 'b:more' },\n"
        "    fields = {'a', 'b', 'c', 'd', 'e'},\n"
        "    window = tumbling { length = '2 tuples' },\n"
        "    execute = function(self, w)\n"
        "      local s, b = w.tuples[1], w.tuples[2]\n"
        "      if s[0] ~= 's' then s, b = b, s end\n"
        "      self.emit(s[0] .. b[0], s.n + s[1], s.k .. s[2] .. b.k,\n"
        "        b.z[1], #b == 2 and s.z == nil)\n"
        "    end },\n" OUT,
        "sb:more\t2\txxx\t1\ttrue");
}

/* What the user does with one list changes no other. */
SPEC(windows, give_lists_of_the_same_tuples_that_are_their_own)
{
    static const char *const reads[] = {
        "local all, new = w.tuples, w.new",
        "local new, all = w.new, w.tuples",
        "local all = w.tuples table.sort(all, function(a, b)\n"
        "  return a.n > b.n end) local new = w.new table.sort(all,\n"
        "  function(a, b) return a.n < b.n end)",
        "local all = w.tuples w.tuples = 5 local new = w.new",
    };
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "return topology 't' {\n"
                 "  spout 's' { generator { count = 4 }, fields = {'n'} },\n"
                 "  bolt 'w' { from = global 's', fields = {'a', 'b', 'c'},\n"
                 "    window = sliding { length = '4 tuples',\n"
                 "      every = '2 tuples' },\n"
                 "    execute = function(self, w)\n"
                 "      %s\n"
                 "      self.emit(#all, #new, all[#all] == new[2])\n"
                 "    end },\n" OUT,
                 reads[i]);
        CHECK_LINES(text, "2\t2\ttrue", "4\t2\ttrue");
    }
}

SPEC(windows, keep_nothing_readable_beyond_their_call)
{
    CHECK_LINES("return topology 't' {\n"
                "  spout 's' { generator { count = 2 }, fields = {'n'} },\n"
                "  bolt 'w' { from = global 's', fields = {'a', 'b'},\n"
                "    window = tumbling { length = '1 tuple' },\n"
                "    execute = function(self, w)\n"
                "      local old = self.old\n"
                "      self.old = w\n"
                "      if not old then local _ = w.tuples return end\n"
                "      local ok, why = pcall(function() return old.new end)\n"
                "      self.emit(old.tuples[1].n, why)\n"
                "    end },\n" OUT,
                "1\tstory.lua:9: window.new is read after the call that the "
                "window was given to; "
                "keep what you need of it in self");
}

/* ---- by the clock ---- */

SPEC(windows, by_arrival_end_at_full_multiples_of_their_slide)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s =
            begin(&sim, "return topology 't' {\n"
                        "  spout 's' { generator { rate = 10, count = 100 },\n"
                        "    fields = {'n'} },\n"
                        "  bolt 'w' { from = global 's', fields = {'n', 'm', "
                        "'stop'},\n"
                        "    window = tumbling { length = '3s' },\n"
                        "    execute = function(self, w)\n"
                        "      self.emit(w.count, #w.tuples, w.stop % 3)\n"
                        "    end },\n" OUT);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK(stream_count(s) == 4 || stream_count(s) == 5);
        unsigned sum = 0;
        for (unsigned i = 0; i < stream_count(s); i++) {
            unsigned n, m, rest;
            CHECK_EQ(sscanf(stream_line(s, i), "%u\t%u\t%u", &n, &m, &rest), 3);
            CHECK_EQ(n, m);
            CHECK_EQ(rest, 0);
            sum += n;
            if (i > 1 && i + 1 < stream_count(s)) {
                CHECK_EQ(stream_at_ns(s, i) - stream_at_ns(s, i - 1) >
                             2990000000,
                         1);
                CHECK(n >= 29 && n <= 31);
            }
        }
        CHECK_EQ(sum, 100);
        CHECK_EQ(stream_totals(s, "s").acked, 100);
        done(sim, s);
    }
}

/* A window that is ten times as long as the message timeout. */
SPEC(windows, keep_their_tuples_from_running_out_of_time)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s =
            begin(&sim, SHOW
                  "return topology 't' { timeout = '2s',\n"
                  "  spout 's' { generator { rate = 1, count = 15 },\n"
                  "    fields = {'n'} },\n"
                  "  bolt 'w' { from = global 's', window = sliding {\n"
                  "    length = '20s', every = '20s' }, " EMIT " },\n" OUT);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_totals(s, "s").acked, 15);
        CHECK_EQ(stream_totals(s, "s").failed, 0);
        done(sim, s);
    }
}

SPEC(windows, fire_early_with_what_is_there)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s =
            begin(&sim, "return topology 't' {\n"
                        "  spout 's' { generator { rate = 2, count = 6 },\n"
                        "    fields = {'n'} },\n"
                        "  bolt 'w' { from = global 's', fields = {'n', "
                        "'early'},\n"
                        "    window = tumbling { length = '6 tuples',\n"
                        "      early = '1s' },\n"
                        "    execute = function(self, w)\n"
                        "      self.emit(w.count, w.early) end },\n" OUT);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_has(s, "6\tfalse"), 1);
        CHECK(stream_count(s) >= 3 && stream_count(s) <= 4);
        CHECK(strstr(stream_line(s, 0), "true"));
        done(sim, s);
    }
}

/* ---- late ones ---- */

#define LATE(options)                                                          \
    SHOW "return topology 't' {\n"                                             \
         "  spout 's' { open = function(self) self.i = 0 end,\n"               \
         "    fields = {'n', 'k'}, next = function(self)\n"                    \
         "      local n = ({ 603, 605, 607, 618, 626, 636, 600 })"             \
         "[self.i + 1]\n"                                                      \
         "      if not n then return false end\n"                              \
         "      self.i = self.i + 1\n"                                         \
         "      self.emit_id(n, n, 'k' .. n) sleep '1.1s'\n"                   \
         "    end, ack = function(self, id) log.info('acked', id) end },\n"    \
         "  bolt 'w' { from = global 's', window = sliding {\n"                \
         "    length = '20s', every = '10s', timestamp = 'n', lag = '5s'\n"    \
         "    " options " }, " EMIT " },\n"

SPEC(windows, send_what_is_late_to_a_stream_of_the_inputs_fields)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim, LATE(", late = 'late'") "  bolt 'again' { from = shuffle "
                                          "'w:late', fields = {'x'},\n"
                                          "    execute = function(self, n, k) "
                                          "self.emit(k .. n) end "
                                          "},\n"
                                          "  sink 'out' { from = { global 'w', "
                                          "global 'again' },\n"
                                          "    null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_has(s, "k600600"), 1);
        CHECK_EQ(stream_totals(s, "again").executed, 1);
        CHECK_EQ(stream_totals(s, "w").errors, 0);
        CHECK_EQ(stream_totals(s, "s").acked, 7);
        CHECK_EQ(stream_totals(s, "s").failed, 0);
        done(sim, s);
    }
}

/* It is anchored: what happens to it there is told to its spout. */
SPEC(windows, fail_a_late_tuple_with_what_becomes_of_it)
{
    struct sim *sim;
    struct stream *s = begin(
        &sim, LATE(", late = 'late'") "  bolt 'again' { from = shuffle "
                                      "'w:late', fields = {'x'},\n"
                                      "    execute = function() error('not "
                                      "this late', 0) end },\n"
                                      "  sink 'out' { from = { global 'w', "
                                      "global 'again' }, null {} } }");
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_totals(s, "s").acked, 6);
    CHECK_EQ(stream_totals(s, "s").failed, 1);
    done(sim, s);
}

SPEC(windows, count_what_is_late_and_ack_it)
{
    struct sim *sim;
    struct stream *s = begin(&sim, LATE("") OUT);
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_totals(s, "w").errors, 1);
    CHECK_EQ(stream_totals(s, "s").acked, 7);
    CHECK_EQ(stream_said(s, "600"), 0);
    done(sim, s);
}

SPEC(windows, fire_again_with_what_is_late_but_allowed)
{
    struct sim *sim;
    struct stream *s = begin(&sim, LATE(", allowed = '1h'") OUT);
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_totals(s, "w").errors, 0);
    CHECK_EQ(stream_totals(s, "s").acked, 7);
    CHECK_EQ(stream_has(s, "603 605 607 600\t\t"), 1); /* (590, 610] */
    CHECK_EQ(stream_has(s, "600\t600\t"), 1);          /* (580, 600] */
    done(sim, s);
}

SPEC(windows, fail_tuples_without_a_time)
{
    static const struct {
        const char *value, *why;
    } all[] = {{"nil", "is nil"},          {"0/0", "is NaN or too large"},
               {"'now'", "is a text"},     {"true", "is a boolean"},
               {"{}", "is a table"},       {"1e300", "is NaN or too large"},
               {"1 << 60", "is too large"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char text[1024], line[256];
        snprintf(
            text, sizeof text,
            "return topology 't' {\n"
            "  spout 's' { retries = 0, generator { count = 2,\n"
            "    make = function(i) if i == 1 then return %s end\n"
            "      return i end }, fields = {'ts'},\n"
            "    streams = nil },\n"
            "  bolt 'w' { from = global 's', fields = {'n'},\n"
            "    window = tumbling { length = '1s', timestamp = 'ts' },\n"
            "    execute = function(self, w) self.emit(w.count) end },\n" OUT,
            all[i].value);
        struct sim *sim;
        struct stream *s = begin(&sim, text);
        CHECK_EQ(stream_run(s)->gave_up, 1);
        CHECK_EQ(stream_has(s, "1"), 1);
        CHECK_EQ(stream_totals(s, "w").errors, 1);
        done(sim, s);
        snprintf(line, sizeof line,
                 "return topology 't' {\n"
                 "  spout 's' { fields = {'x'}, next = function(self)\n"
                 "      if self.i then return false end\n"
                 "      self.i = true self.emit_id(1, %s) end,\n",
                 all[i].value);
        snprintf(text, sizeof text,
                 "%s    fail = function(self, id, why)\n"
                 "      self.emit_to('why', why) end,\n"
                 "    streams = { default = {'x'}, why = {'why'} }, fields = "
                 "nil },\n"
                 "  bolt 'w' { from = global 's',\n"
                 "    window = tumbling { length = '1s', timestamp = 'x' },\n"
                 "    execute = function() end },\n"
                 "  sink 'out' { from = global 's:why', null {} } }",
                 line);
        char *fields = strstr(text, "fields = {'x'}, ");
        memset(fields, ' ', strlen("fields = {'x'},"));
        s = begin(&sim, text);
        stream_run(s);
        CHECK_EQ(stream_count(s), 1);
        CHECK_HAS(stream_line(s, 0), "field 'x', by which 'w' sorts");
        CHECK_HAS(stream_line(s, 0), all[i].why);
        done(sim, s);
    }
}

/* ---- what becomes of tuples ---- */

/* Each is acked, and not before the window has fired that it is last in. */
SPEC(windows, ack_a_tuple_when_its_last_window_has_fired)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim, SHOW "return topology 't' {\n"
                       "  spout 'feed' { generator {}, fields = {'n'} },\n"
                       "  bolt 'w' { from = global 'feed', window = sliding {\n"
                       "    length = '5 tuples', every = '2 tuples' }, " EMIT
                       " },\n" OUT);
        stream_feed(s, "feed", 5);
        run_until(sim, 5000);
        CHECK_EQ(stream_totals(s, "feed").acked, 1);
        stream_feed(s, "feed", 8);
        run_until(sim, 10000);
        CHECK_EQ(stream_has(s, "4 5 6 7 8\t7 8\t2 3"), 1);
        CHECK_EQ(stream_totals(s, "feed").acked, 5);
        done(sim, s);
    }
}

/* What a window emits is of all its tuples: they fail when it does. */
SPEC(windows, anchor_what_they_emit_to_all_their_tuples)
{
    FOR_SEEDS(20)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim,
            "return topology 't' {\n"
            "  spout 's' { generator { count = 30 }, fields = {'n'} },\n"
            "  bolt 'w' { from = global 's', fields = {'first', 'i'},\n"
            "    window = tumbling { length = '10 tuples' },\n"
            "    execute = function(self, w)\n"
            "      for i = 1, 3 do self.emit(w.tuples[1].n, i) end\n"
            "    end },\n"
            "  bolt 'bad' { from = shuffle 'w', fields = {'first', 'i'},\n"
            "    tasks = 2, prepare = function(self) self.seen = {} end,\n"
            "    execute = function(self, first, i)\n"
            "      if first == 11 and i == 2 then error('no', 0) end\n"
            "      self.emit(first, i) end },\n"
            "  sink 'out' { from = global 'bad', null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        struct stream_totals totals = stream_totals(s, "s");
        CHECK_EQ(totals.acked + totals.gave_up, 30);
        CHECK(totals.failed >= 10);
        CHECK_EQ(totals.failed % 10, 0);
        done(sim, s);
    }
}

/* A tuple of the second window is of all of the first's: 500 of them hold the
 * 1,000 roots once. What fails behind fails them all. */
SPEC(windows, hold_what_a_window_made_of_many_tuples_once)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim,
            "return topology 't' {\n"
            "  spout 's' { generator { count = 4000 }, fields = {'n'} },\n"
            "  bolt 'first' { from = global 's', fields = {'n'},\n"
            "    window = tumbling { length = '1000 tuples' },\n"
            "    execute = function(self, w)\n"
            "      for i = 1, 500 do self.emit(w.tuples[i].n) end end },\n"
            "  bolt 'second' { from = global 'first', fields = {'n'},\n"
            "    window = sliding { length = '300 tuples', every = '150 "
            "tuples' },\n"
            "    memory = '512KB', execute = function(self, w)\n"
            "      if not self.failed and w.tuples[1].n > 1000 then\n"
            "        self.failed = true error('once', 0) end\n"
            "      self.emit(w.count) end },\n"
            "  bolt 'w' { from = shuffle 'second', fields = {'n'}, tasks = 2,\n"
            "    window = tumbling { length = '4 tuples' },\n"
            "    execute = function(self, w) self.emit(w.count) end },\n" OUT);
        CHECK_EQ(stream_run(s)->why, OK);
        struct stream_totals totals = stream_totals(s, "s");
        CHECK_EQ(totals.acked, 4000);
        CHECK_EQ(totals.failed % 1000, 0);
        CHECK(totals.failed == 1000 || totals.failed == 2000);
        CHECK_EQ(stream_totals(s, "second").errors, 1);
        done(sim, s);
    }
}

/* The window's new tuples come again, so it is whole at the second try. */
SPEC(windows, that_fail_have_their_new_tuples_again)
{
    static const char *const windows[] = {
        "tumbling { length = '10 tuples' }",
        "tumbling { length = '10s', timestamp = 'n' }",
        "session { gap = '3s', timestamp = 'n' }",
        "tumbling { length = '2s' }",
    };
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
        FOR_SEEDS(10)
        {
            char text[1024];
            snprintf(text, sizeof text,
                     "return topology 't' {\n"
                     "  spout 's' { generator { count = 30 }, fields = {'n'} "
                     "},\n"
                     "  bolt 'w' { from = global 's', fields = {'n'},\n"
                     "    window = %s,\n"
                     "    execute = function(self, w)\n"
                     "      for _, t in ipairs(w.new) do self.emit(t.n) end\n"
                     "      if not self.failed then\n"
                     "        self.failed = true error('once', 0) end\n"
                     "    end },\n" OUT,
                     windows[i]);
            struct sim *sim;
            struct stream *s = begin(&sim, text);
            CHECK_EQ(stream_run(s)->why, OK);
            CHECK_EQ(stream_totals(s, "s").acked, 30);
            CHECK(stream_totals(s, "s").failed > 0);
            CHECK_EQ(stream_totals(s, "w").errors, 1);
            CHECK_EQ(stream_count(s), 30);
            for (unsigned n = 1; n <= 30; n++) {
                char line[16];
                snprintf(line, sizeof line, "%u", n);
                CHECK_EQ(stream_has(s, line), 1);
            }
            done(sim, s);
        }
}

/* One poisonous tuple doesn't fail for ever, and says so in the end. */
SPEC(windows, that_always_fail_let_their_tuples_go_after_some_tries)
{
    static const char *const windows[] = {
        "tumbling { length = '5 tuples' }",
        "tumbling { length = '5s', timestamp = 'n' }",
    };
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
        FOR_SEEDS(10)
        {
            char text[1024];
            snprintf(text, sizeof text,
                     "return topology 't' {\n"
                     "  spout 's' { generator { count = 10 }, fields = {'n'} "
                     "},\n"
                     "  bolt 'w' { from = global 's', fields = {'n'},\n"
                     "    window = %s,\n"
                     "    execute = function(self, w)\n"
                     "      for _, t in ipairs(w.new) do\n"
                     "        if t.n == 7 then error('bad', 0) end\n"
                     "        self.emit(t.n) end end },\n" OUT,
                     windows[i]);
            struct sim *sim;
            struct stream *s = begin(&sim, text);
            const struct topology_end *end = stream_run(s);
            CHECK_EQ(end->why, OK);
            CHECK(end->gave_up >= 1);
            CHECK_EQ(end->unsettled, 0);
            CHECK_EQ(stream_has(s, "7"), 0);
            CHECK_EQ(stream_totals(s, "s").acked + end->gave_up, 10);
            done(sim, s);
        }
}

SPEC(windows, that_fail_do_what_on_error_says)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim, "return topology 't' {\n"
                  "  spout 's' { generator { count = 30 }, fields = {'n'} },\n"
                  "  bolt 'w' { from = global 's', fields = {'n'},\n"
                  "    window = tumbling { length = '10 tuples' },\n"
                  "    on_error = 'drop', execute = function(self, w)\n"
                  "      self.emit(w.tuples[1].n)\n"
                  "      if w.tuples[1].n == 11 then error('bad', 0) end end "
                  "},\n" OUT);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 2);
        CHECK_EQ(stream_totals(s, "s").acked, 30);
        done(sim, s);
        s = begin(&sim,
                  "return topology 't' {\n"
                  "  spout 's' { generator { count = 30 }, fields = {'n'} },\n"
                  "  bolt 'w' { from = global 's', fields = {'n'},\n"
                  "    window = tumbling { length = '10 tuples' },\n"
                  "    on_error = 'crash', execute = function(self, w)\n"
                  "      for _, t in ipairs(w.tuples) do\n"
                  "        if t.n == 11 then error('bad', 0) end end\n"
                  "      for _, t in ipairs(w.tuples) do self.emit(t.n) end\n"
                  "    end },\n" OUT);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK(end->gave_up >= 1);
        CHECK_EQ(stream_has(s, "11"), 0);
        CHECK_EQ(stream_totals(s, "s").acked + end->gave_up, 30);
        done(sim, s);
    }
}

/* What a window held when its task died comes again. */
SPEC(windows, lose_nothing_when_their_task_dies)
{
    static const char *const windows[] = {
        "tumbling { length = '7 tuples' }",
        "sliding { length = '2s', every = '1s' }",
        "session { gap = '500ms' }",
        "sliding { length = '4s', every = '2s', timestamp = 'n', lag = '1s' }",
    };
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
        FOR_SEEDS(20)
        {
            char text[1024];
            snprintf(
                text, sizeof text,
                "return topology 't' {\n"
                "  spout 's' { retries = 'forever',\n"
                "    generator { rate = 20, count = 100 },\n"
                "    fields = {'n'} },\n"
                "  bolt 'w' { from = global 's', fields = {'n'},\n"
                "    window = %s,\n"
                "    execute = function(self, w)\n"
                "      for _, t in ipairs(w.tuples) do self.emit(t.n) end\n"
                "    end },\n" OUT,
                windows[i]);
            struct sim *sim;
            struct stream *s = begin(&sim, text);
            run_until(sim, 1500);
            stream_kill(s, "w", 0);
            run_until(sim, 3500);
            stream_kill(s, "w", 0);
            CHECK_EQ(stream_run(s)->why, OK);
            CHECK_EQ(stream_totals(s, "s").acked, 100);
            for (unsigned n = 1; n <= 100; n++) {
                char line[16];
                snprintf(line, sizeof line, "%u", n);
                CHECK(stream_has(s, line) >= 1);
            }
            done(sim, s);
        }
}

/* Also on real threads: three kinds of windows, one behind the other. */
static void tell_three_windows(struct stream *s)
{
    stream_feed(s, "feed", 500);
    STREAM_AWAIT(s, stream_said(s, "feed acked ") == 500);
    for (unsigned n = 1; n <= 500; n++) {
        char line[32];
        snprintf(line, sizeof line, "n\t%u", n);
        CHECK_EQ(stream_has(s, line), 1);
    }
    CHECK_EQ(stream_said(s, "feed failed"), 0);
}

SPEC(windows, one_behind_the_other_lose_nothing)
{
    static const char text[] =
        "local function each(self, w)\n"
        "  for _, t in ipairs(w.new) do self.emit('n', t.n) end end\n"
        "return topology 't' {\n"
        "  spout 'feed' { generator {}, fields = {'n'} },\n"
        "  bolt 'a' { from = shuffle 'feed', fields = {'s', 'n'}, tasks = 2,\n"
        "    window = tumbling { length = '10 tuples' }, execute = each },\n"
        "  bolt 'b' { from = shuffle 'a', fields = {'s', 'n'}, tasks = 2,\n"
        "    window = session { gap = '20ms' }, execute = each },\n"
        "  bolt 'c' { from = shuffle 'b', fields = {'s', 'n'}, tasks = 3,\n"
        "    window = sliding { length = '40ms', every = '20ms' },\n"
        "    execute = each },\n"
        "  sink 'out' { from = global 'c', null {} } }\n";
    stream_tell(text, 50, tell_three_windows);
}

/* More than an adaptive limit lets be under way at first, and than it ever
 * does without windows. */
SPEC(windows, get_as_many_tuples_as_they_wait_for)
{
    struct sim *sim;
    struct stream *s =
        begin(&sim, "return topology 't' {\n"
                    "  spout 's' { generator { count = 40000 },\n"
                    "    fields = {'n'} },\n"
                    "  bolt 'w' { from = global 's', fields = {'n'},\n"
                    "    window = tumbling { length = '20000 tuples' },\n"
                    "    execute = function(self, w) self.emit(w.count) end "
                    "},\n" OUT);
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK(stream_limit(s, "s") >= 20000);
    CHECK_EQ(stream_has(s, "20000"), 2);
    CHECK_EQ(stream_totals(s, "s").failed, 0);
    done(sim, s);
}

SPEC(windows, fail_what_their_task_has_no_memory_for)
{
    struct sim *sim;
    struct stream *s = begin(
        &sim,
        "return topology 't' {\n"
        "  spout 's' { retries = 0, generator { count = 50,\n"
        "    make = function(i) return ('x'):rep(20000) end },\n"
        "    fields = {'n'} },\n"
        "  bolt 'w' { from = global 's', fields = {'n'},\n"
        "    window = tumbling { length = '1h' }, memory = '512KB',\n"
        "    execute = function(self, w) self.emit(w.count) end },\n" OUT);
    const struct topology_end *end = stream_run(s);
    CHECK(end->gave_up > 0 && end->gave_up < 50);
    char line[16];
    snprintf(line, sizeof line, "%u", 50 - (unsigned)end->gave_up);
    CHECK_EQ(stream_has(s, line), 1);
    done(sim, s);
}

SPEC(windows, work_without_tracking)
{
    CHECK_LINES(SHOW
                "return topology 't' { guarantee = 'at-most-once',\n"
                "  spout 's' { generator { count = 5 }, fields = {'n'} },\n"
                "  bolt 'w' { from = global 's', window = tumbling {\n"
                "    length = '3 tuples' }, " EMIT " },\n" OUT,
                "1 2 3\t1 2 3\t", "4 5\t4 5\t1 2 3");
}

/* ---- new code ---- */

#define RELOAD(n, window)                                                      \
    "return topology 't' {\n"                                                  \
    "  spout 's' { generator { rate = 10, count = 20 }, fields = {'n'} },\n"   \
    "  bolt 'w' { from = global 's', fields = {'v', 'n'},\n"                   \
    "    window = tumbling { " window " },\n"                                  \
    "    execute = function(self, w) self.emit(" n ", w.count) end },\n" OUT

SPEC(windows, stay_when_new_code_comes)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        char why[256];
        struct stream *s = begin(&sim, RELOAD("1", "length = '15 tuples'"));
        run_until(sim, 1000);
        CHECK(stream_reload(s, RELOAD("2", "length = '15 tuples'"), why,
                            sizeof why));
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_has(s, "2\t15"), 1);
        CHECK_EQ(stream_has(s, "2\t5"), 1);
        done(sim, s);
    }
}

static struct definition *right(const char *text)
{
    struct definition *d = NULL;
    char *errors = NULL;
    err e = definition_parse("t.lua", text, strlen(text), NULL, 0, NULL, &d,
                             &errors);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", errors);
    return d;
}

static void check_change(const char *now_text, const char *next_text,
                         const char *wanted)
{
    struct definition *now = right(now_text), *next = right(next_text);
    char why[256] = "";
    CHECK_EQ(definition_same_graph(now, next, why, sizeof why), false);
    CHECK_TEXT(why, wanted);
    definition_free(now);
    definition_free(next);
}

#define JOIN(step)                                                             \
    "return topology 't' {\n"                                                  \
    "  spout 'a' { list { {1} }, fields = {'n'} },\n"                          \
    "  spout 'b' { list { {1} }, fields = {'n'} },\n"                          \
    "  bolt 'w' { from = { global 'a', global 'b' },\n"                        \
    "    window = tumbling { length = '1s' },\n"                               \
    "    join('a.n', " step ", {'a.n'}) },\n" OUT

SPEC(windows, refuse_a_reload_that_changes_them)
{
    check_change(RELOAD("1", "length = '15 tuples'"),
                 RELOAD("1", "length = '16 tuples'"),
                 "'window' of 'w' has changed");
    check_change(RELOAD("1", "length = '15 tuples'"),
                 RELOAD("1", "length = '15 tuples', early = '1s'"),
                 "'window' of 'w' has changed");
    check_change(JOIN("inner 'b.n'"), JOIN("left 'b.n'"),
                 "'join' of 'w' has changed");
}

/* ---- joins: Storm's TestJoinBolt ---- */

#define TABLES                                                                 \
    "return topology 't' {\n"                                                  \
    "  spout 'users' { fields = {'userId', 'name', 'city'}, list {\n"          \
    "    {1,'roshan','san jose'}, {2,'harsha','santa clara'},\n"               \
    "    {3,'siva','dublin'}, {4,'hugo','san mateo'},\n"                       \
    "    {5,'suresh','sunnyvale'}, {6,'guru','palo alto'},\n"                  \
    "    {7,'arun','bengaluru'}, {8,'satish','mumbai'},\n"                     \
    "    {9,'mani','bengaluru'}, {10,'priyank','seattle'} } },\n"              \
    "  spout 'orders' { fields = {'orderId','userId','itemId','price'},\n"     \
    "   list { {11,2,21,7}, {12,2,22,3}, {13,3,23,4}, {14,4,24,5},\n"          \
    "    {15,5,25,2}, {16,6,26,7}, {17,6,27,4}, {18,7,28,2},\n"                \
    "    {19,8,29,9} } },\n"                                                   \
    "  spout 'stores' { fields = {'storeId', 'storeName', 'city'}, list {\n"   \
    "    {1,'store1','san jose'}, {2,'store2','santa clara'},\n"               \
    "    {3,'store3','dublin'}, {4,'store4','san mateo'},\n"                   \
    "    {5,'store5','bengaluru'} } },\n"                                      \
    "  spout 'cities' { fields = {'cityId', 'cityName', 'country'}, list {\n"  \
    "    {1,'san jose','US'}, {2,'santa clara','US'}, {3,'dublin','US'},\n"    \
    "    {4,'san mateo','US'}, {5,'sunnyvale','US'}, {6,'palo alto','US'},\n"  \
    "    {7,'bengaluru','India'}, {8,'mumbai','India'},\n"                     \
    "    {9,'chennai','India'} } },\n"                                         \
    "  sink 'rest' { from = { global 'users', global 'orders',\n"              \
    "    global 'stores', global 'cities' }, null {} },\n"

/* How many rows a join has; `inputs` are those it reads. */
static struct stream *join(struct sim **sim, const char *inputs,
                           const char *arguments)
{
    char text[4096];
    snprintf(text, sizeof text,
             TABLES "  bolt 'w' { from = { %s },\n"
                    "    window = tumbling { length = '1h' },\n"
                    "    join(%s) },\n" OUT,
             inputs, arguments);
    struct stream *s = begin(sim, text);
    CHECK_EQ(stream_run(s)->why, OK);
    return s;
}

static void check_rows(const char *inputs, const char *arguments, unsigned rows)
{
    struct sim *sim;
    struct stream *s = join(&sim, inputs, arguments);
    CHECK_EQ(stream_count(s), rows);
    done(sim, s);
}

SPEC(windows, join_rows_with_equal_keys)
{
    static const char *const rows[] = {
        "2\tharsha\t7", "2\tharsha\t3", "3\tsiva\t4",
        "4\thugo\t5",   "5\tsuresh\t2", "6\tguru\t7",
        "6\tguru\t4",   "7\tarun\t2",   "8\tsatish\t9",
    };
    struct sim *sim;
    struct stream *s = join(&sim, "global 'users', global 'orders'",
                            "'users.userId', inner 'orders.userId',\n"
                            "{ 'users.userId', 'users.name', 'orders.price' }");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_EQ(stream_has(s, rows[i]), 1);
    CHECK_EQ(stream_count(s), 9);
    done(sim, s);
    s = join(&sim, "global 'users', global 'orders'",
             "'users.userId', left 'orders.userId',\n"
             "{ 'users.userId', 'users.name', 'orders.price' }");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_EQ(stream_has(s, rows[i]), 1);
    CHECK_EQ(stream_has(s, "1\troshan\t"), 1);
    CHECK_EQ(stream_has(s, "9\tmani\t"), 1);
    CHECK_EQ(stream_has(s, "10\tpriyank\t"), 1);
    CHECK_EQ(stream_count(s), 12);
    done(sim, s);
}

SPEC(windows, join_any_number_of_inputs)
{
    const char *three = "global 'users', global 'stores', global 'cities'";
    check_rows("global 'users', global 'stores'",
               "'users.city', inner 'stores.city', { 'users.userId',\n"
               "'users.name', 'stores.storeId', 'stores.storeName',\n"
               "'stores.city' }",
               6);
    check_rows(three,
               "'users.city', inner 'stores.city', inner 'cities.cityName',\n"
               "{ 'users.name', 'cities.country' }",
               6);
    check_rows(three,
               "'users.city', left 'stores.city', left 'cities.cityName',\n"
               "{ 'users.name', 'cities.country' }",
               10);
    check_rows(three,
               "'users.city', inner 'stores.city',\n"
               "left('cities.cityName', 'stores.city'),\n"
               "{ 'users.name', 'cities.country' }",
               6);
    /* A left join keeps each row. (Storm drops those without a store here.) */
    struct sim *sim;
    struct stream *s = join(&sim, three,
                            "'users.city', left 'stores.city',\n"
                            "left('cities.cityName', 'stores.city'),\n"
                            "{ 'users.name', 'cities.country' }");
    CHECK_EQ(stream_count(s), 10);
    CHECK_EQ(stream_has(s, "suresh\t"), 1);
    CHECK_EQ(stream_has(s, "siva\tUS"), 1);
    done(sim, s);
}

/* Storm's JoinProcessorTest. */
SPEC(windows, join_from_left_right_and_both)
{
    static const struct {
        const char *how;
        unsigned count;
        const char *rows[6];
    } all[] = {
        {"inner", 2, {"2\t4\t2\t8", "5\t25\t5\t125"}},
        {"left", 3, {"2\t4\t2\t8", "5\t25\t5\t125", "7\t49\t\t"}},
        {"right", 4, {"\t\t1\t1", "2\t4\t2\t8", "5\t25\t5\t125", "\t\t6\t216"}},
        {"full",
         5,
         {"\t\t1\t1", "2\t4\t2\t8", "5\t25\t5\t125", "\t\t6\t216",
          "7\t49\t\t"}},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "return topology 't' {\n"
                 "  spout 'l' { list { {2,4}, {5,25}, {7,49} },\n"
                 "    fields = {'k', 'v'} },\n"
                 "  spout 'r' { list { {1,1}, {2,8}, {5,125}, {6,216} },\n"
                 "    fields = {'k', 'v'} },\n"
                 "  bolt 'w' { from = { fields('l', 'k'), fields('r', 'k') },\n"
                 "    tasks = 3, window = tumbling { length = '1h' },\n"
                 "    fields = {'lk', 'lv', 'rk', 'rv'}, join('l.k',\n"
                 "      %s 'r.k', {'l.k', 'l.v', 'r.k', 'r.v'}) },\n" OUT,
                 all[i].how);
        struct sim *sim;
        struct stream *s = begin(&sim, text);
        CHECK_EQ(stream_run(s)->why, OK);
        for (unsigned k = 0; k < all[i].count; k++)
            if (stream_has(s, all[i].rows[k]) != 1)
                spec_fail(__FILE__, __LINE__, "%s: no '%s'", all[i].how,
                          all[i].rows[k]);
        CHECK_EQ(stream_count(s), all[i].count);
        done(sim, s);
    }
}

SPEC(windows, join_by_what_is_inside_a_field)
{
    CHECK_LINES(
        "return topology 't' {\n"
        "  spout 'u' { generator { count = 3, make = function(i)\n"
        "    return { outer = { userId = i } } end }, fields = {'user'} },\n"
        "  spout 'o' { list { {2, 'two'}, {2.0, 'too'}, {0/0, 'x'} },\n"
        "    fields = {'id', 'what'} },\n"
        "  bolt 'w' { from = { global 'u', global 'o' },\n"
        "    window = tumbling { length = '1h' },\n"
        "    join('u.user.outer.userId', inner 'o.id',\n"
        "      { 'u.user.outer.userId', 'o.what' }) },\n" OUT,
        "2\ttwo", "2\ttoo");
}

SPEC(windows, group_the_tuples_of_each_key)
{
    CHECK_LINES(
        "local function show(list) local out = {}\n"
        "  for i, t in ipairs(list) do out[i] = t.v end\n"
        "  return table.concat(out, ' ') end\n"
        "return topology 't' {\n"
        "  spout 'l' { list { {'a',1}, {'b',2}, {'a',3}, {nil,4} },\n"
        "    fields = {'k', 'v'} },\n"
        "  bolt 'r' { from = global 'l', fields = {'k', 'v'},\n"
        "    map(function(k, v) return v > 2 and 'c' or k, v * 10 end) },\n"
        "  bolt 'g' { from = { global 'l', global 'r' },\n"
        "    window = tumbling { length = '1h' }, fields = {'k', 'l', 'r'},\n"
        "    cogroup('l.k', 'r.k', function(emit, k, l, r)\n"
        "      emit(k, show(l), show(r)) end) },\n"
        "  bolt 'w' { from = global 'g', top(9, 'k'),\n"
        "    fields = {'k', 'l', 'r'} },\n" OUT,
        "c\t\t30 40", "b\t2\t20", "a\t1 3\t10");
}

SPEC(windows, count_what_is_in_them)
{
    CHECK_LINES(
        "return topology 't' {\n"
        "  spout 's' { generator { count = 3 }, fields = {'n'} },\n"
        "  bolt 'w' { from = global 's', fields = {'n'},\n"
        "    window = tumbling { length = '3 tuples' },\n"
        "    execute = function(self, w) self.emit(w.count) end },\n" OUT,
        "3");
}

/* ---- what is wrong ---- */

#define WRONG(body)                                                            \
    "return topology 't' {\n"                                                  \
    "  spout 's' { list { {1, 2} }, fields = {'ts', 'k'} },\n"                 \
    "  bolt 'w' { from = shuffle 's', fields = {'n'},\n" body "\n"             \
    "    execute = function() end },\n"                                        \
    "  sink 'out' { from = global 'w', null {} } }\n"
#define SPAN                                                                   \
    "; give a duration like \"10s\", or a number of tuples like \"100 "        \
    "tuples\""
#define ERROR(body, text) definition_check_errors(WRONG(body), "t.lua:4: " text)

SPEC(windows, that_are_wrong_are_told)
{
    ERROR("window = sliding { length = -1, every = 10 },",
          "length of the window of bolt 'w' is -1" SPAN);
    ERROR("window = sliding { length = 10, every = -1 },",
          "every of the window of bolt 'w' is -1" SPAN);
    ERROR("window = sliding { length = 0, every = 10 },",
          "length of the window of bolt 'w' is 0" SPAN);
    ERROR("window = sliding { length = '10 tuples', every = '0 tuples' },",
          "every of the window of bolt 'w' is '0 tuples'" SPAN);
    ERROR("window = tumbling { length = '-1 tuples' },",
          "length of the window of bolt 'w' is '-1 tuples'" SPAN);
    ERROR("window = session { gap = '3 tuples' },",
          "gap of the window of bolt 'w' is '3 tuples'; give a duration like "
          "\"5s\" or \"100ms\"");
    ERROR("window = sliding { every = '1s' },",
          "the window of bolt 'w' has no length; write sliding { length = "
          "\"20s\", every = \"10s\" }");
    ERROR("window = tumbling { length = 1, evry = 1 },",
          "'evry' is no option of tumbling in bolt 'w'; there are: allowed, "
          "early, lag, late, length, timestamp");
    ERROR("window = sliding { length = 1, evry = 1 },",
          "'evry' is no option of sliding in bolt 'w'; did you mean 'every'?");
    ERROR("window = tumbling { length = 1, late = 'l' },",
          "the window of bolt 'w' has late, which is for tuples that bring "
          "their time; add timestamp = \"…\", a field in seconds");
    ERROR("window = tumbling { length = 1, timestamp = 'tss' },",
          "timestamp of the window of bolt 'w' is the field 'tss', which 's' "
          "doesn't bring; did you mean 'ts'?");
    ERROR("window = session { gap = 1, by = 'kk' },",
          "by of the window of bolt 'w' is the field 'kk', which 's' doesn't "
          "bring; did you mean 'k'?");
    ERROR("window = tumbling { length = '2 tuples', timestamp = 'ts', allowed "
          "= 1 },",
          "the window of bolt 'w' has allowed, but one that ends by count "
          "doesn't open again; leave it out");
    ERROR("window = sliding { length = '1h', every = '100ms' },",
          "the window of bolt 'w' is 36000 times as long as its every, and "
          "each tuple would be in so many; give every a larger one");
    ERROR("window = sliding { length = '2 tuples', early = 1 },",
          "the window of bolt 'w' has early, but it fires with each tuple "
          "anyway; leave it out");
    definition_check_errors(
        WRONG("window = tumbling { length = 1, timestamp = 'ts', late = "
              "'default' },"),
        "t.lua:3: late of the window of bolt 'w' is 'default', which is a "
        "stream of its own already; name another");
    definition_check_errors(
        WRONG("window = tumbling { length = 1, timestamp = 'ts', late = "
              "'a b' },"),
        "t.lua:3: late of the window of bolt 'w' is 'a b'; use letters, "
        "digits, _ and -, and no __ in front");
    definition_check_errors(
        WRONG("window = 5,"),
        "t.lua:3: window of bolt 'w' is 5; write window = sliding { length = "
        "\"20s\", every = \"10s\" }");
    definition_check_errors(
        WRONG("window = tumbling { length = 1 }, acking = 'manual',"),
        "t.lua:3: bolt 'w' has both window and acking = \"manual\"; a window "
        "holds its tuples itself, leave acking out");
    definition_check_errors(
        WRONG("window = tumbling { length = 1 }, every = 1, tick = print,"),
        "t.lua:3: bolt 'w' has both window and every; windows fire by their "
        "own clock, put a bolt with every behind it\n"
        "t.lua:3: bolt 'w' has both window and tick; windows fire by their "
        "own clock, put a bolt with tick behind it");
    definition_check_errors(
        "return topology 't' { max_pending = 10,\n"
        "  spout 's' { list { {1} }, fields = {'n'}, tasks = 2 },\n"
        "  bolt 'w' { from = shuffle 's', fields = {'n'},\n"
        "    window = tumbling { length = '21 tuples' },\n"
        "    execute = function() end },\n"
        "  sink 'out' { from = global 'w', null {} } }\n",
        "t.lua:4: the window of bolt 'w' waits for 21 tuples, but max_pending "
        "lets only 20 be under way, so it would never fill; give max_pending "
        "= 21 or more, or leave it out");
}

#define JOINED(tasks, from, join)                                              \
    "return topology 't' {\n"                                                  \
    "  spout 'a' { list { {1, 2} }, fields = {'id', 'x'} },\n"                 \
    "  spout 'b' { list { {1, 2} }, fields = {'id', 'y'} },\n"                 \
    "  bolt 'w' { from = { " from " }, tasks = " tasks ",\n"                   \
    "    window = tumbling { length = '1s' },\n"                               \
    "    " join " },\n" OUT
#define BOTH "global 'a', global 'b'"

SPEC(windows, whose_joins_are_wrong_are_told)
{
    definition_check_errors(
        JOINED("1", BOTH, "join('a.id', inner 'b.idd', {'a.x'})"),
        "t.lua:6: join of bolt 'w': 'b' brings no field 'idd'; there are: id, "
        "y");
    definition_check_errors(
        JOINED("1", BOTH, "join('a.id', inner 'c.id', {'a.x'})"),
        "t.lua:6: join of bolt 'w': 'c' is none of its inputs; there are: a, "
        "b");
    definition_check_errors(
        JOINED("1", BOTH, "cogroup('a.id', function() end), fields = {'x'}"),
        "t.lua:6: cogroup of bolt 'w' leaves out its input 'b'; name the field "
        "it is joined by");
    definition_check_errors(
        JOINED("1", BOTH, "join('a.id', inner 'b.id')"),
        "t.lua:6: the list of fields at the end of join of bolt 'w' is not "
        "what it should be; write join(\"users.id\", inner \"orders.user_id\", "
        "{ \"users.name\", \"orders.price\" })");
    definition_check_errors(
        JOINED("1", BOTH, "join('a.id', inner 'b.id', {'a.id', 'b.id'})"),
        "t.lua:6: join of bolt 'w' would bring two fields called 'id'; name "
        "all by fields = { \"…\" }");
    definition_check_errors(
        JOINED("2", "fields('a', 'id'), shuffle 'b'",
               "join('a.id', inner 'b.id', {'a.x'})"),
        "t.lua:6: join of bolt 'w' has 2 tasks, but 'b' doesn't send tuples of "
        "one key to the same one; read it by fields(\"b\", \"…\") with the "
        "field it is joined by, or give it one task");
    definition_check_errors(
        JOINED("2", "fields('a', 'id'), all 'b'",
               "join('a.id', full 'b.id', {'a.x'})"),
        "t.lua:6: join of bolt 'w' has 2 tasks that each get all of 'b', and "
        "each would bring what no row matches; read it by fields(\"b\", "
        "\"…\"), or give it one task");
    definition_check_errors(
        JOINED("1", BOTH, "cogroup('a.id', 'b.id', function() end)"),
        "t.lua:4: bolt 'w' has no fields; add fields = { \"…\" } for what "
        "cogroup's function emits");
    definition_check_errors(
        "return topology 't' {\n"
        "  spout 'a' { list { {1} }, fields = {'id'} },\n"
        "  bolt 'w' { from = global 'a', fields = {'x'},\n"
        "    cogroup('a.id', function() end) },\n" OUT,
        "t.lua:4: cogroup of bolt 'w' needs a window, whose tuples it joins; "
        "add window = tumbling { length = \"10s\" }");
    definition_check_errors(
        "return topology 't' {\n"
        "  spout 'a' { list { {1} }, fields = {'id'} },\n"
        "  bolt 'w' { from = global 'a', window = tumbling { length = 1 },\n"
        "    count_by 'id' },\n" OUT,
        "t.lua:3: bolt 'w' has both window and count_by; windows are for "
        "execute, join and cogroup: put count_by into a bolt of its own");
}
