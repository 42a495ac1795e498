/* `combine` of reduce_by in the simulated world: adding up on the sender's side
 * is the same as adding up where it is done without, whatever fails at either
 * end. */
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

enum { LINES = 40, WORDS = 6 };

/* Line i holds the words a to f, each as often as one letter of it says. */
#define SPOUT                                                                  \
    "local LINES = {} for i = 1, 40 do LINES[i] = { i } end\n"                 \
    "local function times(i, k) return math.fmod(i * k, 7) end\n"              \
    "local NAMES = { 'a', 'b', 'c', 'd', 'e', ('f'):rep(20) }\n"               \
    "local function add(a, b) return a + b end\n"
#define LIST                                                                   \
    "  spout 'lines' { retries = 'forever', fields = {'i'}, list(LINES) },\n"
#define SPLIT                                                                  \
    "  bolt 'split' { from = shuffle 'lines', tasks = 2,\n"                    \
    "    fields = {'name', 'n'}, flat_map(function(emit, i)\n"                 \
    "      for k, name in ipairs(NAMES) do\n"                                  \
    "        for j = 1, times(i, k) do emit(name, j) end end end) },\n"
#define OUT "  sink 'out' { from = global 'sum', null {} } }"

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

/* Of the k-th name, from 1: all its numbers, and how many there are. */
static unsigned sum_of(unsigned k, unsigned *count)
{
    unsigned sum = 0;
    for (unsigned i = 1; i <= LINES; i++) {
        unsigned times = i * k % 7;
        sum += times * (times + 1) / 2;
        if (count) *count += times;
    }
    return sum;
}

static void check_sums(const struct stream *s)
{
    static const char *const names[WORDS] = {"a", "b", "c",
                                             "d", "e", "ffffffffffffffffffff"};
    char line[64];
    for (unsigned k = 1; k <= WORDS; k++) {
        snprintf(line, sizeof line, "%s\t%u", names[k - 1], sum_of(k, NULL));
        if (stream_has(s, line) != 1)
            spec_fail(__FILE__, __LINE__, "there is no '%s'", line);
    }
    CHECK_EQ(stream_count(s), WORDS);
}

static unsigned tuples_of_all(void)
{
    unsigned count = 0;
    for (unsigned k = 1; k <= WORDS; k++)
        sum_of(k, &count);
    return count;
}

/* Runs it, and expects each line to be acked and all sums to be right. */
static void run(const char *text)
{
    struct sim *sim;
    struct stream *s = begin(&sim, text);
    CHECK_EQ(stream_run(s)->why, OK);
    check_sums(s);
    CHECK_EQ(stream_totals(s, "lines").acked, LINES);
    CHECK_EQ(stream_totals(s, "sum").executed, tuples_of_all());
    done(sim, s);
}

SPEC(reduce, adds_up_the_same_on_either_side)
{
    static const char *const sums[] = {
        "from = fields('split', 'name'), tasks = 2,\n"
        "reduce_by('name', 'n', add), combine = true",
        "from = global 'split', reduce_by('name', 'n', add),\n"
        "combine = function(a, b) return a + b end",
        "from = fields('split', 'name'), reduce_by('name', 'n', add)",
        /* Hooks are told of each tuple. */
        "from = fields('split', 'name'), hooks = { ack = function() end },\n"
        "reduce_by('name', 'n', add), combine = true",
    };
    FOR_SEEDS(30)
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        char text[2048];
        snprintf(text, sizeof text,
                 SPOUT "return topology 't' {\n" LIST SPLIT
                       "  bolt 'sum' { %s },\n" OUT,
                 sums[i]);
        run(text);
    }
}

/* The reader's function is never called: each key comes once. */
SPEC(reduce, sends_one_number_a_key)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim,
            "return topology 't' {\n"
            "  spout 's' { generator { count = 1 }, fields = {'n'} },\n"
            "  bolt 'b' { from = shuffle 's', fields = {'k', 'n'},\n"
            "    flat_map(function(emit)\n"
            "      for i = 1, 4096 do emit(i % 4, i) end end) },\n"
            "  bolt 'sum' { from = fields('b', 'k'),\n"
            "    combine = function(a, b) return a + b end,\n"
            "    reduce_by('k', 'n', function() error 'a second row' end) },\n"
            "  sink 'out' { from = global 'sum', null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 4);
        CHECK_EQ(stream_has(s, "0\t2099200"), 1); /* 4 + 8 + … + 4096 */
        CHECK_EQ(stream_totals(s, "sum").executed, 4096);
        done(sim, s);
    }
}

/* Keys and values of all kinds; what is no number goes as it is. */
SPEC(reduce, takes_any_key_and_leaves_what_is_no_number_alone)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim,
            "return topology 't' {\n"
            "  spout 's' { generator { count = 3 }, fields = {'n'} },\n"
            "  bolt 'b' { from = shuffle 's', fields = {'x', 'v', 'k'},\n"
            "    flat_map(function(emit, n)\n"
            "      emit({}, 1, 7) emit({}, 0.5, 7.0) emit({}, 2, true)\n"
            "      emit({}, math.maxinteger, 'max') emit({}, 3, '7')\n"
            "      emit({}, 'text', 'mixed') emit({}, 1, 'mixed')\n"
            "      emit({}, 2, 'mixed') end) },\n"
            "  bolt 'sum' { from = fields('b', 'k'), combine = true,\n"
            "    fields = {'k', 'v'}, reduce_by('k', 'v', function(a, b)\n"
            "      if type(a) == 'string' or type(b) == 'string' then\n"
            "        return #tostring(a) + #tostring(b) > 0 and 'mixed' end\n"
            "      return a + b end) },\n"
            "  sink 'out' { from = global 'sum', null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 5);
        CHECK_EQ(stream_has(s, "7\t4.5"), 1);
        CHECK_EQ(stream_has(s, "7\t9"), 1);
        CHECK_EQ(stream_has(s, "true\t6"), 1);
        CHECK_EQ(stream_has(s, "max\t9223372036854775805"), 1);
        CHECK_EQ(stream_has(s, "mixed\tmixed"), 1);
        done(sim, s);
    }
}

SPEC(reduce, refuses_keys_that_are_none)
{
    struct sim *sim;
    struct stream *s =
        begin(&sim, "return topology 't' {\n"
                    "  spout 's' { list {{1}, {2}, {3}, {4}}, retries = 0,\n"
                    "    fields = {'n'} },\n"
                    "  bolt 'b' { from = shuffle 's', fields = {'k', 'n'},\n"
                    "    map(function(n)\n"
                    "      if n == 1 then return nil, 1 end\n"
                    "      if n == 2 then return 0/0, 1 end\n"
                    "      if n == 3 then return {1}, 1 end\n"
                    "      return 'k', 1 end) },\n"
                    "  bolt 'sum' { from = global 'b', combine = true,\n"
                    "    reduce_by('k', 'n', math.max) },\n"
                    "  sink 'out' { from = global 'sum', null {} } }");
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 1);
    CHECK_EQ(stream_has(s, "k\t1"), 1);
    CHECK_EQ(stream_totals(s, "s").failed, 3);
    done(sim, s);
}

/* Each line fails once in the sender, behind all that it emits. */
SPEC(reduce, takes_back_what_a_failing_tuple_had_added)
{
    FOR_SEEDS(60)
    {
        struct sim *sim;
        struct stream *s =
            begin(&sim, SPOUT
                  "return topology 't' {\n" LIST
                  "  bolt 'split' { from = shuffle 'lines', tasks = 2,\n"
                  "    fields = {'name', 'n'}, execute = function(self, i)\n"
                  "      for k, name in ipairs(NAMES) do\n"
                  "        for j = 1, times(i, k) do self.emit(name, j) end\n"
                  "      end\n"
                  "      self.tries = self.tries or {}\n"
                  "      if not self.tries[i] then self.tries[i] = true\n"
                  "        self.emit('new' .. i, 1) error 'once' end end },\n"
                  "  bolt 'sum' { from = fields('split', 'name'), tasks = 2,\n"
                  "    reduce_by('name', 'n', add), combine = true },\n" OUT);
        CHECK_EQ(stream_run(s)->why, OK);
        check_sums(s);
        CHECK_EQ(stream_totals(s, "lines").acked, LINES);
        CHECK_EQ(stream_totals(s, "sum").executed, tuples_of_all());
        done(sim, s);
    }
}

/* Its function fails in the midst of a batch's rows: none of them is taken, and
 * each tuple that they are of comes again. */
SPEC(reduce, takes_all_rows_of_a_batch_or_none)
{
    FOR_SEEDS(60)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim, SPOUT "local calls = 0\n"
                        "return topology 't' { max_pending = 7,\n" LIST SPLIT
                        "  bolt 'sum' { from = fields('split', 'name'),\n"
                        "    combine = add, reduce_by('name', 'n',\n"
                        "      function(a, b) calls = calls + 1\n"
                        "        if calls % 11 == 0 then error 'again' end\n"
                        "        return a + b end) },\n" OUT);
        CHECK_EQ(stream_run(s)->why, OK);
        check_sums(s);
        CHECK_EQ(stream_totals(s, "lines").acked, LINES);
        CHECK(stream_totals(s, "lines").failed > 0);
        done(sim, s);
    }
}

/* A new key in the failing batch, and one row that never ends. */
SPEC(reduce, drops_a_row_that_never_ends)
{
    struct sim *sim;
    struct stream *s = begin(
        &sim, "return topology 't' {\n"
              "  spout 's' { list {{1}, {2}}, retries = 0, fields = {'n'} },\n"
              "  bolt 'b' { from = shuffle 's', fields = {'k', 'n'},\n"
              "    flat_map(function(emit, n)\n"
              "      emit('new' .. n, 1) emit('k', n) end) },\n"
              "  bolt 'late' { from = shuffle 'b', fields = {'k', 'n'},\n"
              "    map(function(k, n) return k, n end) },\n"
              "  bolt 'sum' { from = global 'late', budget = '10ms',\n"
              "    combine = function(a, b) return a + b end,\n"
              "    reduce_by('k', 'n', function(a, b)\n"
              "      while a + b == 3 do end return a + b end) },\n"
              "  sink 'out' { from = global 'sum', null {} } }");
    CHECK_EQ(stream_run(s)->why, OK);
    struct stream_totals t = stream_totals(s, "s");
    /* Both were combined into one batch, or the second met the first's sum. */
    CHECK_EQ(t.acked + t.failed, 2);
    CHECK_EQ(stream_count(s), t.failed ? 2 : 3);
    done(sim, s);
}

/* What the sender's own function does wrong. */
SPEC(reduce, fails_the_tuple_whose_combine_fails)
{
    static const struct {
        const char *combine, *why;
    } cases[] = {
        {"function() end", "combine of 'sum' returned nil for two numbers; "
                           "return a number"},
        {"function() return 'x' end", "combine of 'sum' returned string"},
        {"function() error('no sum', 0) end", "no sum"},
        {"function(a, b) EMIT('k', 1) return a + b end",
         "combine of 'sum' emits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int caught = 0; caught < 2; caught++) {
            char text[1024];
            struct sim *sim;
            snprintf(
                text, sizeof text,
                "local EMIT\n"
                "return topology 't' {\n"
                "  spout 's' { list {{1}, {2}, {3}}, retries = 0,\n"
                "    streams = { default = {'n'}, failed = {'n', 'reason'} } },"
                "\n  bolt 'b' { from = shuffle 's', fields = {'k', 'n'},\n"
                "    execute = function(self, n) EMIT = self.emit\n"
                "      self.emit(n, n)\n"
                "      if n == 2 then %s(self.emit, n, n) end end },\n"
                "  bolt 'sum' { from = global 'b', combine = %s,\n"
                "    reduce_by('k', 'n', function(a, b) return a + b end) },\n"
                "  sink 'out' { from = { global 'sum', shuffle 's:failed' },\n"
                "    null {} } }",
                caught ? "pcall" : "(function(f, ...) f(...) end)",
                cases[i].combine);
            struct stream *s = begin(&sim, text);
            CHECK_EQ(stream_run(s)->why, OK);
            CHECK_EQ(stream_totals(s, "s").acked, 2);
            CHECK_EQ(stream_totals(s, "s").failed, 1);
            CHECK_EQ(stream_count(s), 3);
            CHECK_EQ(stream_has(s, "1\t1"), 1);
            CHECK_EQ(stream_has(s, "3\t3"), 1);
            CHECK_EQ(stream_said(s, "2\t"), 1);
            for (unsigned k = 0; k < 3; k++)
                if (stream_line(s, k)[0] == '2')
                    CHECK_HAS(stream_line(s, k),
                              caught ? "a part of what it emitted was refused"
                                     : cases[i].why);
            done(sim, s);
        }
}

/* Where the reader's memory ends, what it has taken is there at the end. */
SPEC(reduce, keeps_what_was_taken_when_memory_is_short)
{
    static const char *const limits[] = {"128KB", "300KB", "1MB", "2MB"};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        char text[1024];
        struct sim *sim;
        snprintf(text, sizeof text,
                 "local function add(a, b) return a + b end\n"
                 "return topology 't' {\n"
                 "  spout 's' { generator { count = 9000, rate = 100000 },\n"
                 "    retries = 0, fields = {'n'} },\n"
                 "  bolt 'b' { from = shuffle 's', fields = {'k', 'n'},\n"
                 "    map(function(n) return ('z'):rep(200) .. n, 1 end) },\n"
                 "  bolt 'sum' { from = global 'b', memory = '%s',\n"
                 "    combine = add, reduce_by('k', 'n', add) },\n"
                 "  sink 'out' { from = global 'sum', null {} } }",
                 limits[i]);
        struct stream *s = begin(&sim, text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK(stream_totals(s, "s").failed > 0);
        CHECK(stream_totals(s, "s").acked > 0);
        CHECK_EQ(stream_count(s), stream_totals(s, "s").acked);
        done(sim, s);
    }
}

/* More keys than a combiner has room for. */
SPEC(reduce, goes_on_when_there_are_more_keys_than_rows)
{
    struct sim *sim;
    struct stream *s =
        begin(&sim, "return topology 't' {\n"
                    "  spout 's' { generator { count = 4 }, fields = {'n'} },\n"
                    "  bolt 'b' { from = shuffle 's', fields = {'k', 'n'},\n"
                    "    flat_map(function(emit)\n"
                    "      for i = 1, 6000 do emit(i % 3000, 1) end end) },\n"
                    "  bolt 'sum' { from = fields('b', 'k'), tasks = 2,\n"
                    "    combine = true,\n"
                    "    reduce_by('k', 'n', function(a, b) return a + b end)\n"
                    "  },\n"
                    "  sink 'out' { from = global 'sum', null {} } }");
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 3000);
    for (unsigned i = 0; i < 3000; i++)
        CHECK(strstr(stream_line(s, i), "\t8") != NULL);
    done(sim, s);
}

/* The sender's task goes on with the new function from the marker on. */
SPEC(reduce, combines_by_the_new_code_from_the_marker_on)
{
    FOR_SEEDS(40)
    {
        char text[2][768];
        struct sim *sim;
        for (int i = 0; i < 2; i++)
            snprintf(
                text[i], sizeof text[i],
                "return topology 't' {\n"
                "  spout 's' { generator { rate = 1000, count = 300 },\n"
                "    fields = {'n'} },\n"
                "  bolt 'b' { from = shuffle 's', fields = {'k', 'n'},\n"
                "    flat_map(function(emit)\n"
                "      for i = 1, 4 do emit('k', %d) end end) },\n"
                "  bolt 'c' { from = fields('b', 'k'),\n"
                "    combine = function(a, b)\n"
                "      if a %% %d ~= 0 then error 'another code' end\n"
                "      return a + b end,\n"
                "    reduce_by('k', 'n', function(a, b) return a + b end)\n"
                "  },\n"
                "  sink 'out' { from = global 'c', null {} } }",
                i == 0 ? 1000 : 1, i == 0 ? 1000 : 1);
        struct stream *s = begin(&sim, text[0]);
        sim_advance(sim, 100000000 + (int64_t)sim_random(sim, 9000000));
        CHECK(stream_reload(s, text[1], NULL, 0));
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 1);
        unsigned sum = (unsigned)atoi(stream_line(s, 0) + 2);
        CHECK_EQ(sum / 4000 + sum % 4000 / 4, 300);
        CHECK_EQ(stream_totals(s, "s").failed, 0);
        done(sim, s);
    }
}

SPEC(reduce, loses_nothing_when_tasks_are_killed)
{
    FOR_SEEDS(60)
    {
        struct sim *sim;
        struct stream *s =
            begin(&sim, SPOUT
                  "return topology 't' { max_pending = 5,\n" LIST SPLIT
                  "  bolt 'sum' { from = fields('split', 'name'),\n"
                  "    reduce_by('name', 'n', add), combine = true },\n" OUT);
        for (int i = 0; i < 8 && !stream_ended(s); i++) {
            for (uint64_t n = sim_random(sim, 60); n > 0; n--)
                sim_step(sim, INT64_MAX);
            if (!stream_ended(s) && stream_count(s) == 0)
                stream_kill(s, "split", (unsigned)sim_random(sim, 2));
        }
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_totals(s, "lines").acked, LINES);
        CHECK_EQ(stream_count(s), WORDS);
        for (unsigned i = 0; i < WORDS; i++) {
            const char *line = stream_line(s, i);
            unsigned k = (unsigned)(line[0] - 'a') + 1;
            CHECK((unsigned)atoi(strchr(line, '\t') + 1) >= sum_of(k, NULL));
        }
        done(sim, s);
    }
}
