/* What has failed for good goes to the stream `failed` of its spout. */
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <string.h>

static void done(struct sim *sim, struct stream *s)
{
    stream_free(s);
    sim_free(sim);
}

/* Numbers 1 to 20; what `bad` does with each decides. */
#define NUMBERS(failed, retries)                                               \
    "  spout 'numbers' {\n"                                                    \
    "    generator { count = 20, make = function(i)\n"                         \
    "      return i, 'text ' .. i end },\n"                                    \
    "    fields = {'n', 's'}, retries = " retries ",\n"                        \
    "    streams = { failed = " failed " } },\n"
#define BAD(keys, code)                                                        \
    "  bolt 'bad' { from = shuffle 'numbers', fields = {'n'}, tasks = 2,"      \
    "    " keys " execute = function(self, n) " code " end },\n"               \
    "  sink 'good' { from = shuffle 'bad', null {} },\n"

SPEC(letters, bring_the_tuple_and_why_it_failed)
{
    const char *text = "return topology 't' {\n" NUMBERS(
        "{'reason', 's', 'component', 'task', 'n'}", "2")
        BAD("", "if n % 10 == 7 then error('no ' .. n, 0) end "
                "self.emit(n)") "  sink 'out' { from = "
                                "fields('numbers:failed', 'n'), null {} }\n"
                                "}\n";
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK_EQ(end->gave_up, 2);
        CHECK_EQ(end->unsettled, 0);
        CHECK_EQ(stream_count(s), 2);
        for (int n = 7; n <= 17; n += 10) {
            char line[2][128];
            for (int task = 0; task < 2; task++)
                snprintf(line[task], sizeof line[task],
                         "no %d\ttext %d\tbad\t%d\t%d", n, n, task, n);
            CHECK_EQ(stream_has(s, line[0]) + stream_has(s, line[1]), 1);
        }
        struct stream_totals t = stream_totals(s, "numbers");
        CHECK_EQ(t.acked, 18); /* the letters are in none of these */
        CHECK_EQ(t.failed, 6);
        CHECK_EQ(t.replayed, 4);
        CHECK_EQ(stream_latencies(s, "numbers"), 18);
        done(sim, s);
    }
}

SPEC(letters, of_a_poisonous_tuple_come_after_its_crashes)
{
    const char *text = "return topology 't' {\n" NUMBERS("{'n', 'reason'}", "3")
        BAD("on_error = 'crash',",
            "if n == 7 then error('boom', 0) end "
            "self.emit(n)") "  sink 'out' { from = global 'numbers:failed', "
                            "null {} }\n"
                            "}\n";
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK_EQ(end->gave_up, 1);
        CHECK_EQ(stream_count(s), 1);
        CHECK_EQ(stream_has(s, "7\tboom"), 1);
        CHECK_EQ(stream_totals(s, "numbers").acked, 19);
        done(sim, s);
    }
}

SPEC(letters, name_nobody_when_time_ran_out)
{
    const char *text =
        "local held = {}\n"
        "return topology 't' { timeout = '2s',\n" NUMBERS(
            "{'n', 'reason', 'component', 'task'}", "0")
            BAD("acking = 'manual',", "if n == 7 then self.kept = self.hold() "
                                      "end") "  sink 'out' { from = global "
                                             "'numbers:failed', null {} }\n"
                                             "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->gave_up, 1);
        CHECK_EQ(stream_has(s, "7\ttimeout: no progress within the message "
                               "timeout\t\t"),
                 1);
        done(sim, s);
    }
}

/* A bolt reads them and fails so often. */
#define READER(times)                                                          \
    "return topology 't' {\n" NUMBERS("{'n'}", "2") BAD(                       \
        "",                                                                    \
        "if n == 7 then error 'no' end self.emit(n)") "  bolt 'reader' { "     \
                                                      "from = shuffle "        \
                                                      "'numbers:failed', "     \
                                                      "fields = {'n'},\n"      \
                                                      "    prepare = "         \
                                                      "function(self) "        \
                                                      "self.seen = 0 end,\n"   \
                                                      "    execute = "         \
                                                      "function(self, n) "     \
                                                      "self.seen = self.seen " \
                                                      "+ 1\n"                  \
                                                      "      if self.seen "    \
                                                      "<= " times              \
                                                      " then error 'not now' " \
                                                      "end\n"                  \
                                                      "      self.emit(n) "    \
                                                      "end },\n"               \
                                                      "  sink 'out' { from = " \
                                                      "global 'reader', null " \
                                                      "{} }\n"                 \
                                                      "}\n"

SPEC(letters, are_replayed_as_any_tuple)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), READER("2"));
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->gave_up, 1);
        CHECK_EQ(stream_totals(s, "reader").executed, 3);
        CHECK_EQ(stream_count(s), 1);
        CHECK_EQ(stream_has(s, "7"), 1);
        done(sim, s);
    }
}

SPEC(letters, that_fail_for_good_are_lost_and_become_none_again)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), READER("9"));
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK_EQ(end->gave_up, 1); /* the tuple, once */
        CHECK_EQ(end->unsettled, 0);
        CHECK_EQ(stream_totals(s, "reader").executed, 3);
        CHECK_EQ(stream_totals(s, "numbers").errors, 1);
        CHECK_EQ(stream_count(s), 0);
        done(sim, s);
    }
}

SPEC(letters, survive_the_death_of_any_task)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'numbers' { list { {1}, {2}, {3}, {4}, {5}, {6}, {7}, {8} },\n"
        "    fields = {'n'}, retries = 1, tasks = 2,\n"
        "    streams = { failed = {'n', 'reason'} } },\n"
        "  bolt 'bad' { from = shuffle 'numbers', fields = {'n'},\n"
        "    execute = function(self, n)\n"
        "      if n % 2 == 0 then error('even', 0) end self.emit(n) end },\n"
        "  sink 'good' { from = shuffle 'bad', null {} },\n"
        "  sink 'out' { from = fields('numbers:failed', 'n'), null {} }\n"
        "}\n";
    static const char *const tasks[] = {"numbers", "bad", "good", "out"};
    FOR_SEEDS(200)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        for (int i = 0; i < 4 && !stream_ended(s); i++) {
            sim_advance(sim, (int64_t)sim_random(sim, 120000000));
            uint64_t steps = sim_random(sim, 40);
            while (steps-- > 0)
                sim_step(sim, sim_now(sim) + 50000000);
            if (!stream_ended(s)) stream_kill(s, tasks[sim_random(sim, 4)], 0);
        }
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK_EQ(end->gave_up, 4);
        CHECK_EQ(end->unsettled, 0);
        for (int n = 2; n <= 8; n += 2) {
            char line[32];
            snprintf(line, sizeof line, "%d\teven", n);
            CHECK(stream_has(s, line) >= 1);
        }
        done(sim, s);
    }
}

/* make() sleeps while it makes a tuple once more: for the replay, and for the
 * letter. */
SPEC(letters, of_a_source_that_suspends_come_once)
{
    const char *text =
        "return topology 't' {\n"
        "  spout 'numbers' { fields = {'n'}, retries = 2,\n"
        "    generator { count = 3, make = function(i)\n"
        "      sleep('5ms') return i end },\n"
        "    streams = { failed = {'reason', 'n'} } },\n"
        "  bolt 'bad' { from = shuffle 'numbers', fields = {'n'},\n"
        "    execute = function(self, n)\n"
        "      if n == 2 then error('two', 0) end self.emit(n) end },\n"
        "  sink 'good' { from = shuffle 'bad', null {} },\n"
        "  sink 'out' { from = global 'numbers:failed', null {} }\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->gave_up, 1);
        CHECK_EQ(stream_totals(s, "bad").executed, 5);
        CHECK_EQ(stream_totals(s, "numbers").replayed, 2);
        CHECK_EQ(stream_count(s), 1);
        CHECK_EQ(stream_has(s, "two\t2"), 1);
        done(sim, s);
    }
}

/* Other files took the names of those that were read: what was in the tuples
 * is gone, but that they failed is known. */
SPEC(letters, have_nil_for_what_cannot_be_read_again)
{
    enum { FILES = 30 };
    const char *text =
        "return topology 't' {\n"
        "  spout 'lines' { file { path = 'f*' }, retries = 1,\n"
        "    streams = { failed = {'line', 'component', 'reason'} } },\n"
        "  bolt 'bad' { from = shuffle 'lines',\n"
        "    execute = function(self, line) error('no', 0) end },\n"
        "  sink 'out' { from = global 'lines:failed', null {} },\n"
        "}\n";
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 1);
    char path[16], line[40];
    for (int i = 0; i < FILES; i++) {
        size_t bytes = (size_t)sprintf(line, "right %02d\n", i);
        snprintf(path, sizeof path, "f%02d", i);
        sim_file_put(node, path, line, bytes);
    }
    struct stream *s = stream_start(sim, node, text);
    while (stream_totals(s, "lines").emitted < FILES)
        CHECK(sim_step(sim, INT64_MAX));
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "f%02d", i);
        sim_file_put(node, "new", "wrong 00\n", 9);
        CHECK_EQ(sim_disk_rename(sim_disk(node), "new", path), OK);
    }
    const struct topology_end *end = stream_run(s);
    CHECK_EQ(end->why, OK);
    CHECK_EQ(end->gave_up, FILES);
    CHECK_EQ(end->unsettled, 0);
    CHECK_EQ(stream_count(s), FILES);
    unsigned whole = 0, lost = 0;
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(line, sizeof line, "right %02u\tbad\tno", i);
        whole += stream_has(s, line);
        lost += strncmp(stream_line(s, i), "\tlines\tf", 8) == 0;
    }
    CHECK(whole >= 16 && lost >= 1);
    CHECK_EQ(whole + lost, FILES);
    done(sim, s);
}
