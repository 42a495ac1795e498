/* Topologies in the simulated world: nothing is lost, whatever the order, the
 * failures, the kills and the reloads. */
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char word_count[] =
    "return topology 'count' {\n"
    "  spout 'lines' { list { {'the cow jumped'}, {'the moon'}, {'a cow a' } },"
    "    fields = {'line'} },\n"
    "  bolt 'split' { from = shuffle 'lines', fields = {'word'}, tasks = 2,\n"
    "    execute = function(self, line)\n"
    "      for w in line:gmatch '%a+' do self.emit(w) end\n"
    "    end },\n"
    "  bolt 'count' { from = fields('split', 'word'), tasks = 2,\n"
    "    fields = {'word', 'n'},\n"
    "    prepare = function(self) self.n = {} end,\n"
    "    execute = function(self, w) self.n[w] = (self.n[w] or 0) + 1 end,\n"
    "    finish = function(self)\n"
    "      for w, n in pairs(self.n) do self.emit(w, n) end\n"
    "    end },\n"
    "  sink 'out' { from = global 'count', null {} },\n"
    "}\n";

static uint64_t run_word_count(uint64_t seed, const char *text)
{
    struct sim *sim = sim_new(seed);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    if (text == word_count) {
        CHECK_EQ(stream_count(s), 5);
        CHECK_EQ(stream_has(s, "the\t2"), 1);
        CHECK_EQ(stream_has(s, "cow\t2"), 1);
        CHECK_EQ(stream_has(s, "a\t2"), 1);
        CHECK_EQ(stream_has(s, "jumped\t1"), 1);
        CHECK_EQ(stream_has(s, "moon\t1"), 1);
        CHECK_EQ(stream_totals(s, "lines").acked, 3);
    }
    uint64_t hash = sim_hash(sim);
    stream_free(s);
    sim_free(sim);
    return hash;
}

SPEC(stream, counts_words_in_every_order)
{
    FOR_SEEDS(100) run_word_count(spec_seed, word_count);
}

SPEC(stream, replays_a_seed_exactly)
{
    FOR_SEEDS(10)
    CHECK(run_word_count(spec_seed, word_count) ==
          run_word_count(spec_seed, word_count));
}

SPEC(stream, has_another_trace_when_one_send_differs)
{
    static char other[sizeof word_count];
    memcpy(other, word_count, sizeof other);
    strstr(other, "moon")[0] = ' '; /* " oon": a shorter word */
    unsigned different = 0;
    FOR_SEEDS(10)
    if (run_word_count(spec_seed, word_count) !=
        run_word_count(spec_seed, other))
        different++;
    CHECK_SEEN(different);
}

/* `n` numbers through the given bolts to "out". */
static void numbers(char *text, size_t room, const char *bolts,
                    const char *last, unsigned n)
{
    int used = snprintf(text, room,
                        "return topology 'numbers' {\n  spout 'numbers' { "
                        "retries = 'forever', fields = {'n'}, list {");
    for (unsigned i = 1; i <= n; i++)
        used += snprintf(text + used, room - (size_t)used, "{%u},", i);
    snprintf(text + used, room - (size_t)used,
             "} },\n%s\n  sink 'out' { from = global '%s', null {} },\n}\n",
             bolts, last);
}

static void check_each_once(struct stream *s, unsigned n)
{
    CHECK_EQ(stream_count(s), n);
    for (unsigned i = 1; i <= n; i++) {
        char line[16];
        snprintf(line, sizeof line, "%u", i);
        if (stream_has(s, line) != 1)
            spec_fail(__FILE__, __LINE__, "%s came %u times", line,
                      stream_has(s, line));
    }
}

SPEC(stream, takes_back_what_a_failing_tuple_emitted)
{
    char text[4096];
    numbers(text, sizeof text,
            "bolt 'flaky' { from = shuffle 'numbers', fields = {'n'},"
            " execute = function() end },",
            "flaky", 60);
    FOR_SEEDS(100)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        check_each_once(s, 60);
        struct stream_totals t = stream_totals(s, "numbers");
        CHECK_EQ(t.acked, 60);
        CHECK_EQ(t.failed, t.replayed);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, takes_back_what_a_failing_lua_call_emitted)
{
    char text[4096];
    numbers(
        text, sizeof text,
        "bolt 'twice' { from = shuffle 'numbers', fields = {'n'}, tasks = 2,"
        " prepare = function(self) self.seen = {} end,"
        " execute = function(self, n)"
        "   self.emit(n)"
        "   if n % 3 == 0 and not self.seen[n] then"
        "     self.seen[n] = true error('not yet') end"
        " end },",
        "twice", 50);
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        check_each_once(s, 50);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, gives_up_after_its_retries_and_says_so)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'numbers' { list { {1}, {2}, {3} }, fields = {'n'},"
        "    retries = 2 },\n"
        "  bolt 'b' { from = shuffle 'numbers', fields = {'n'},\n"
        "    execute = function(self, n)\n"
        "      if n == 2 then error('never') end self.emit(n) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->gave_up, 1);
        CHECK_EQ(stream_count(s), 2);
        struct stream_totals t = stream_totals(s, "numbers");
        CHECK_EQ(t.acked, 2);
        CHECK_EQ(t.failed, 3);
        CHECK_EQ(t.replayed, 2);
        /* 100 ms, then 200 ms of backoff. */
        CHECK(sim_now(sim) >= SIM_START_NS + 300000000);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, loses_nothing_when_tasks_are_killed)
{
    char text[8192];
    numbers(text, sizeof text,
            "bolt 'a' { from = shuffle 'numbers', fields = {'n'}, tasks = 2,"
            " execute = function(self, n) self.emit(n) end },"
            "bolt 'flaky' { from = fields('a', 'n'), fields = {'n'}, tasks = 2,"
            " execute = function() end },",
            "flaky", 200);
    FOR_SEEDS(100)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        for (int i = 0; i < 12 && !stream_ended(s); i++) {
            for (uint64_t n = sim_random(sim, 60); n > 0; n--)
                sim_step(sim, INT64_MAX);
            if (!stream_ended(s))
                stream_kill(s, sim_random(sim, 2) ? "a" : "flaky",
                            (unsigned)sim_random(sim, 2));
        }
        CHECK_EQ(stream_run(s)->why, OK);
        for (unsigned i = 1; i <= 200; i++) {
            char line[16];
            snprintf(line, sizeof line, "%u", i);
            if (stream_has(s, line) == 0)
                spec_fail(__FILE__, __LINE__, "%s was lost", line);
        }
        /* Every copy beyond the first comes from a replay. */
        CHECK(stream_count(s) - 200 <= stream_totals(s, "numbers").replayed);
        CHECK_EQ(stream_totals(s, "numbers").acked, 200);
        stream_free(s);
        sim_free(sim);
    }
}

static const char version[] =
    "return topology 't' {\n"
    "  spout 'numbers' { generator { rate = 1000, count = 300 },"
    "    fields = {'n'} },\n"
    "  bolt 'mark' { from = shuffle 'numbers', fields = {'n', 'version'},"
    "    tasks = 2, prepare = function(self) self.sum = 0 end,\n"
    "    execute = function(self, n) self.sum = self.sum + 1\n"
    "      self.emit(n, VERSION) end },\n"
    "  bolt 'pass' { from = fields('mark', 'n'),"
    "    fields = {'n', 'version', 'mine'}, tasks = 2,\n"
    "    execute = function(self, n, v) self.emit(n, v, VERSION) end },\n"
    "  sink 'out' { from = global 'pass', null {} },\n"
    "}\n";

static char *with_version(unsigned n)
{
    static char text[sizeof version + 64];
    snprintf(text, sizeof text, "local VERSION = %u\n%s", n, version);
    return text;
}

SPEC(stream, switches_code_in_band_and_loses_nothing)
{
    FOR_SEEDS(60)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), with_version(1));
        for (unsigned v = 2; v <= 4; v++) {
            sim_advance(sim, 50000000 + (int64_t)sim_random(sim, 5000000));
            CHECK(stream_reload(s, with_version(v), NULL, 0));
        }
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 300);
        unsigned seen[5] = {0};
        for (unsigned i = 0; i < 300; i++) {
            unsigned n, first, second;
            CHECK_EQ(
                sscanf(stream_line(s, i), "%u\t%u\t%u", &n, &first, &second),
                3);
            /* The marker is between the tuples of two versions everywhere. */
            CHECK_EQ(first, second);
            seen[first]++;
        }
        for (unsigned v = 1; v <= 4; v++)
            CHECK(seen[v] > 0);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, switches_code_while_tasks_are_killed)
{
    FOR_SEEDS(60)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), with_version(1));
        sim_advance(sim, 20000000);
        for (unsigned v = 2; v <= 5; v++) {
            stream_reload_begin(s, with_version(v));
            for (uint64_t n = sim_random(sim, 40); n > 0; n--)
                sim_step(sim, INT64_MAX);
            stream_kill(s, sim_random(sim, 2) ? "mark" : "pass",
                        (unsigned)sim_random(sim, 2));
            sim_advance(sim, 30000000);
        }
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_taken(s) + stream_refused(s), 4);
        CHECK(stream_taken(s) >= 1);
        for (unsigned n = 1; n <= 300; n++) {
            char start[16];
            unsigned found = 0;
            int length = snprintf(start, sizeof start, "%u\t", n);
            for (unsigned i = 0; i < stream_count(s); i++)
                if (!strncmp(stream_line(s, i), start, (size_t)length)) found++;
            if (found == 0) spec_fail(__FILE__, __LINE__, "%u was lost", n);
        }
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, keeps_the_old_code_when_the_new_one_fails_to_load)
{
    FOR_SEEDS(10)
    {
        char broken[sizeof version + 128], why[512];
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), with_version(1));
        sim_advance(sim, 20000000);
        /* Fails in the tasks only: there now() and the like exist, too. */
        snprintf(broken, sizeof broken,
                 "local VERSION = 2\nif collectgarbage('count') > 1e9 then "
                 "error('x') end\nlocal n = #tostring(now) > 0\n%s",
                 version);
        stream_reload(s, broken, why, sizeof why);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 300);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, keeps_the_pace_of_a_generator_to_the_nanosecond)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'numbers' { generator { rate = 10, count = 20 },"
        "    fields = {'n'} },\n"
        "  sink 'out' { from = global 'numbers', null {} },\n"
        "}\n";
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 20);
        for (unsigned i = 0; i < 20; i++)
            CHECK_EQ(stream_at_ns(s, i),
                     stream_at_ns(s, 0) + (int64_t)i * 100000000);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, drains_a_source_without_end)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'numbers' { generator { rate = 100 }, fields = {'n'} },\n"
        "  bolt 'sum' { from = global 'numbers', fields = {'n'},\n"
        "    prepare = function(self) self.n = 0 end,\n"
        "    execute = function(self, n) self.n = self.n + 1 end,\n"
        "    finish = function(self) self.emit(self.n) end },\n"
        "  sink 'out' { from = global 'sum', null {} },\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        sim_advance(sim, 1000000000);
        stream_drain(s, 10000000000);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, ERR_STOPPED);
        CHECK_EQ(end->unsettled, 0);
        CHECK_EQ(stream_count(s), 1);
        CHECK_EQ(atoi(stream_line(s, 0)), stream_totals(s, "numbers").emitted);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, asks_a_lua_spout_what_to_do_with_a_failed_tuple)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'ids' { fields = {'n'},\n"
        "    open = function(self) self.i, self.again, self.acks = 0, {}, 0 "
        "end,\n"
        "    next = function(self)\n"
        "      local n = table.remove(self.again)\n"
        "      if n then self.emit_id(n, n) return end\n"
        "      if self.i == 30 then return false end\n"
        "      self.i = self.i + 1\n"
        "      self.emit_id(self.i, self.i)\n"
        "    end,\n"
        "    ack = function(self, id) self.acks = self.acks + 1 end,\n"
        "    fail = function(self, id, reason)\n"
        "      assert(reason:find 'flaky', reason)\n"
        "      self.again[#self.again + 1] = id end },\n"
        "  bolt 'flaky' { from = shuffle 'ids', fields = {'n'},"
        "    execute = function() end },\n"
        "  sink 'out' { from = global 'flaky', null {} },\n"
        "}\n";
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        check_each_once(s, 30);
        CHECK_EQ(stream_totals(s, "ids").acked, 30);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, ticks_on_time)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'numbers' { generator { rate = 10, count = 31 },"
        "    fields = {'n'} },\n"
        "  bolt 'b' { from = global 'numbers', fields = {'n'}, every = "
        "'500ms',\n"
        "    execute = function() end,\n"
        "    tick = function(self) self.emit(0) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK(stream_count(s) >= 5 && stream_count(s) <= 6);
        for (unsigned i = 1; i < stream_count(s); i++)
            CHECK_EQ(stream_at_ns(s, i) - stream_at_ns(s, i - 1), 500000000);
        stream_free(s);
        sim_free(sim);
    }
}

/* Turns take seconds, as if the machine had no time for them. */
SPEC(stream, makes_up_for_no_tick_that_it_was_too_late_for)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'numbers' { generator { rate = 1, count = 60 },"
        "    fields = {'n'} },\n"
        "  bolt 'b' { from = global 'numbers', fields = {'n'}, every = "
        "'100ms',\n"
        "    execute = function() end,\n"
        "    tick = function(self) self.emit(0) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        sim_set_turn_ns(sim, INT64_C(2000000000));
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK(stream_count(s) > 5 && stream_count(s) < 300);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, gives_no_tuple_to_a_bolt_that_prepares)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'numbers' { generator { count = 300 }, fields = {'n'} },\n"
        "  bolt 'slow' { from = shuffle 'numbers', fields = {'n'}, tasks = 2,\n"
        "    prepare = function(self)\n"
        "      for i = 1, 1e6 do end self.ready = true end,\n"
        "    execute = function(self, n) self.emit(self.ready and n) end },\n"
        "  sink 'out' { from = global 'slow', null {} },\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        check_each_once(s, 300);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, lets_go_what_a_sleeping_spout_has_emitted)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'numbers' { fields = {'n'},\n"
        "    open = function(self) self.n = 0 end,\n"
        "    next = function(self)\n"
        "      if self.n == 5 then return false end\n"
        "      self.n = self.n + 1 self.emit_id(self.n, self.n)\n"
        "      sleep '1s' end },\n"
        "  sink 'out' { from = global 'numbers', null {} },\n"
        "}\n";
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        sim_advance(sim, 500000000);
        CHECK_EQ(stream_count(s), 1);
        CHECK_EQ(stream_run(s)->why, OK);
        check_each_once(s, 5);
        stream_free(s);
        sim_free(sim);
    }
}

/* ---- time without progress ---- */

/* Far more than an edge's credit: the spout is parked nearly always. */
static const char stuck_numbers[] =
    "return topology 't' { timeout = '1s', max_pending = 30000,\n"
    "  spout 'numbers' { generator { count = 30000 }, fields = {'n'} },\n"
    "  bolt 'stuck' { from = shuffle 'numbers', fields = {'n'},"
    "    execute = function() end },\n"
    "  sink 'out' { from = global 'stuck', null {} },\n"
    "}\n";

SPEC(stream, fails_nothing_while_a_parked_spout_waits_for_a_stalled_bolt)
{
    static const struct stream_stuck stuck = {.stall_ns = 60000000000,
                                              .stall_batch = 3};
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), stuck_numbers);
        stream_set_stuck(s, &stuck);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK(sim_now(sim) > 60000000000);
        CHECK_EQ(stream_totals(s, "numbers").failed, 0);
        CHECK_EQ(stream_count(s), 30000);
        CHECK_EQ(stream_latencies(s, "numbers"), 30000);
        CHECK(stream_latency_ns(s, "numbers", 100) >= 60000000000);
        stream_free(s);
        sim_free(sim);
    }
}

/* When the lost tuple's root failed. */
static int64_t lost_root_failed_ns(struct sim *sim, struct stream *s)
{
    while (stream_totals(s, "numbers").failed == 0)
        if (stream_ended(s) || !sim_step(sim, INT64_MAX))
            spec_fail(__FILE__, __LINE__, "no root has failed");
    return sim_now(sim);
}

/* The tuples before the lost one move on for at most two batches more. */
static void check_time(int64_t took_ns, int64_t timeout_ns)
{
    if (took_ns < timeout_ns || took_ns > timeout_ns + 10000000)
        spec_fail(__FILE__, __LINE__, "it took %lld ns, not %lld",
                  (long long)took_ns, (long long)timeout_ns);
}

SPEC(stream, fails_a_lost_root_in_time_though_its_spout_is_parked)
{
    /* A batch every 5 ms. */
    static const struct stream_stuck stuck = {.pace_ns = 5000000,
                                              .lose_tuple = 1000};
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), stuck_numbers);
        stream_set_stuck(s, &stuck);
        int64_t failed_ns = lost_root_failed_ns(sim, s);
        check_time(failed_ns - stream_lost_ns(s), 1000000000);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_totals(s, "numbers").failed, 1);
        CHECK_EQ(stream_count(s), 30000);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, counts_no_stall_against_a_lost_root_but_all_other_time)
{
    static const struct stream_stuck stuck = {.pace_ns = 5000000,
                                              .lose_tuple = 1000,
                                              .stall_batch = 20,
                                              .stall_ns = 7000000000};
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), stuck_numbers);
        stream_set_stuck(s, &stuck);
        int64_t failed_ns = lost_root_failed_ns(sim, s);
        check_time(failed_ns - stream_lost_ns(s), 1000000000 + stuck.stall_ns);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_totals(s, "numbers").failed, 1);
        CHECK_EQ(stream_count(s), 30000);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, fails_nothing_while_the_tasks_align)
{
    /* The marker is behind some twenty slow batches on one side. */
    const char *text =
        "return topology 't' { timeout = '1s',\n"
        "  spout 'fast' { generator { rate = 100, count = 1000 },"
        "    fields = {'n'} },\n"
        "  spout 'many' { generator { count = 10000 }, fields = {'n'} },\n"
        "  bolt 'stuck' { from = shuffle 'many', fields = {'n'},\n"
        "    execute = function() end },\n"
        "  bolt 'both' { from = { shuffle 'fast', shuffle 'stuck' },\n"
        "    fields = {'n'}, execute = function(self, n) self.emit(n) end },\n"
        "  sink 'out' { from = global 'both', null {} },\n"
        "}\n";
    static const struct stream_stuck stuck = {.pace_ns = 300000000};
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        stream_set_stuck(s, &stuck);
        sim_advance(sim, 500000000);
        stream_reload_begin(s, text);
        sim_advance(sim, 2500000000);
        CHECK_EQ(stream_taken(s), 0); /* it takes longer than the timeout */
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_taken(s), 1);
        CHECK_EQ(stream_totals(s, "fast").failed, 0);
        CHECK_EQ(stream_totals(s, "fast").acked, 1000);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(stream, knows_how_long_a_root_took_from_its_emit_to_its_ack)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'numbers' { generator { rate = 10, count = 40 },"
        "    fields = {'n'} },\n"
        "  bolt 'stuck' { from = shuffle 'numbers', fields = {'n'},"
        "    execute = function() end },\n"
        "  sink 'out' { from = global 'stuck', null {} },\n"
        "}\n";
    static const struct stream_stuck stuck = {.pace_ns = 20000000};
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        stream_set_stuck(s, &stuck);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_latencies(s, "numbers"), 40);
        CHECK_EQ(stream_latency_ns(s, "numbers", 0), 20000000);
        CHECK_EQ(stream_latency_ns(s, "numbers", 100), 20000000);
        stream_free(s);
        sim_free(sim);
    }
}

/* ---- reloads at bad moments ---- */

/* The last number met the newest code everywhere. */
static void check_last(const struct stream *s, const char *line)
{
    unsigned found = 0;
    for (unsigned i = 0; i < stream_count(s); i++) {
        if (strncmp(stream_line(s, i), "300\t", 4) != 0) continue;
        CHECK_TEXT(stream_line(s, i), line);
        found++;
    }
    CHECK(found > 0);
}

SPEC(stream, takes_new_code_before_all_tasks_have_started)
{
    unsigned early = 0;
    FOR_SEEDS(200)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), with_version(1));
        for (uint64_t n = sim_random(sim, 40); n > 0; n--)
            sim_step(sim, sim_now(sim));
        early += stream_totals(s, "numbers").emitted == 0;
        stream_reload_begin(s, with_version(2));
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_taken(s), 1);
        CHECK_EQ(stream_count(s), 300);
        check_last(s, "300\t2\t2");
        stream_free(s);
        sim_free(sim);
    }
    CHECK_SEEN(early);
}

SPEC(stream, runs_the_new_code_in_a_task_that_was_killed_while_it_came)
{
    FOR_SEEDS(200)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), with_version(1));
        sim_advance(sim, 20000000);
        bool spout = false;
        stream_reload_begin(s, with_version(2));
        for (uint64_t kills = 1 + sim_random(sim, 3); kills > 0; kills--) {
            for (uint64_t n = sim_random(sim, 30); n > 0; n--)
                sim_step(sim, INT64_MAX);
            if (sim_random(sim, 8) == 0) {
                stream_kill(s, "numbers", 0);
                spout = true;
            } else {
                stream_kill(s, sim_random(sim, 2) ? "mark" : "pass",
                            (unsigned)sim_random(sim, 2));
            }
        }
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_taken(s) + stream_refused(s), 1);
        /* A generator that is killed begins at 1 again, so 300 comes late. */
        if (!spout || stream_taken(s))
            check_last(s, stream_taken(s) ? "300\t2\t2" : "300\t1\t1");
        stream_free(s);
        sim_free(sim);
    }
}

/* Nobody reads: what a tick emits has to fit in its edge's credit, too. */
SPEC(stream, leaves_out_ticks_while_a_reader_has_no_room)
{
    static const char text[] =
        "local rows = {} for i = 1, 200 do rows[i] = {'key ' .. i} end\n"
        "return topology 't' {\n"
        "  spout 'keys' { list(rows), fields = {'k'} },\n"
        "  bolt 'count' { from = shuffle 'keys', count_by 'k',\n"
        "    every = '1ms' },\n"
        "  bolt 'long' { from = shuffle 'keys', fields = {'k'}, every = "
        "'10s',\n"
        "    execute = function() end,\n"
        "    tick = function(self) while true do self.emit('again') end end "
        "},\n"
        "  bolt 'stuck' { from = shuffle 'count', fields = {'k', 'n'},\n"
        "    execute = function() end },\n"
        "  bolt 'stuck-too' { from = shuffle 'long', fields = {'k'},\n"
        "    execute = function() end },\n"
        "}\n";
    static const struct stream_stuck stuck = {.pace_ns = INT64_C(1) << 60};
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        stream_set_stuck(s, &stuck);
        sim_advance(sim, INT64_C(5000000000));
        uint64_t emitted = stream_totals(s, "count").emitted;
        sim_advance(sim, INT64_C(4000000000));
        CHECK(emitted > 0 && stream_totals(s, "count").emitted == emitted);
        sim_advance(sim, INT64_C(9000000000));
        uint64_t steps = sim_steps(sim);
        sim_advance(sim, INT64_C(1000000000));
        CHECK(sim_steps(sim) < steps + 10000); /* long's call waits, too */
        stream_free(s);
        sim_free(sim);
    }
}

/* No tuple comes before it is due, none late by more than the generator rests;
 * the turns are those rests, not one a tuple. */
SPEC(stream, a_generator_keeps_a_high_rate_in_few_turns)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { generator { rate = 100000, count = 10000 },\n"
        "    fields = {'n'} },\n"
        "  sink 'out' { from = global 's', null {} },\n"
        "}\n";
    FOR_SEEDS(5)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 10000);
        unsigned turns = 0;
        for (unsigned i = 0; i < 10000; i++) {
            int64_t late_ns =
                stream_at_ns(s, i) - stream_at_ns(s, 0) - 10000 * (int64_t)i;
            CHECK(late_ns >= 0 && late_ns < 1000000);
            turns += i > 0 && stream_at_ns(s, i) != stream_at_ns(s, i - 1);
        }
        CHECK(turns > 50 && turns <= 500);
        stream_free(s);
        sim_free(sim);
    }
}
