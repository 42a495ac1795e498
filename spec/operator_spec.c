/* Operators in the simulated world: what each makes of its input, what a
 * failing tuple leaves (nothing), and that counting on the sender's side is the
 * same as counting where it is done without. */
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

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

static void check_line(const struct stream *s, unsigned i, const char *line)
{
    if (i >= stream_count(s))
        spec_fail(__FILE__, __LINE__, "there are %u lines, no '%s'",
                  stream_count(s), line);
    CHECK_TEXT(stream_line(s, i), line);
}

/* The lines, in any order. */
static void check_bag(const struct stream *s, const char *const *lines)
{
    unsigned count = 0;
    for (; lines[count]; count++)
        if (stream_has(s, lines[count]) != 1)
            spec_fail(__FILE__, __LINE__, "'%s' came %u times", lines[count],
                      stream_has(s, lines[count]));
    CHECK_EQ(stream_count(s), count);
}
#define CHECK_BAG(s, ...)                                                      \
    check_bag((s), (const char *const[]){__VA_ARGS__, NULL})

/* The sum of the numbers behind a word. */
static unsigned count_of(const struct stream *s, const char *word)
{
    size_t length = strlen(word);
    unsigned n = 0;
    for (unsigned i = 0; i < stream_count(s); i++) {
        const char *line = stream_line(s, i);
        if (strncmp(line, word, length) == 0 && line[length] == '\t')
            n += (unsigned)atoi(line + length + 1);
    }
    return n;
}

/* ---- words ---- */

SPEC(operator, splits_a_text_into_runs_of_ascii_letters_in_lower_case)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", ""},
        {"  ,.", ""},
        {"The COW", "the cow"},
        {"don\\'t", "don t"},
        {"a1b2", "a b"},
        {"z[`{@A^", "z a"},
        {"na\\xc3\\xafve", "na ve"},
        {"a\\0b", "a b"},
        {"abcdefghijklmno", "abcdefghijklmno"},   /* 15 */
        {"ABCDEFGHIJKLMNOP", "abcdefghijklmnop"}, /* 16: no short string */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512], seen[256] = "";
        struct sim *sim;
        snprintf(text, sizeof text,
                 "return topology 't' {\n"
                 "  spout 's' { list {{'%s'}}, fields = {'line'} },\n"
                 "  bolt 'w' { from = shuffle 's', words 'line' },\n"
                 "  sink 'out' { from = global 'w', null {} } }",
                 cases[i].text);
        struct stream *s = begin(&sim, text);
        CHECK_EQ(stream_run(s)->why, OK);
        for (unsigned k = 0; k < stream_count(s); k++) {
            if (k > 0) strcat(seen, " ");
            strcat(seen, stream_line(s, k));
        }
        CHECK_TEXT(seen, cases[i].words);
        done(sim, s);
    }
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Every place of a word's ends in a block of 64, against a loop over bytes. */
SPEC(operator, finds_words_wherever_they_begin_and_end)
{
    enum { TEXT = 700, MOST = 400 };
    FOR_SEEDS(60)
    {
        char text[TEXT + 256], line[TEXT + 1];
        static char words[MOST][TEXT + 1];
        unsigned count = 0;
        struct sim *sim = sim_new(spec_seed);
        unsigned length = (unsigned)sim_random(sim, TEXT);
        unsigned often = 1 + (unsigned)sim_random(sim, 40);
        for (unsigned i = 0; i < length; i++)
            line[i] = sim_random(sim, often)
                          ? (char)("aB"[i % 2] + (char)sim_random(sim, 24))
                          : " .-5@[`{"[sim_random(sim, 8)];
        line[length] = '\0';
        for (unsigned i = 0, n; i < length; i += n + 1) {
            for (n = 0; is_letter(line[i + n]); n++)
                words[count][n] = (char)(line[i + n] | 0x20);
            words[count][n] = '\0';
            count += n > 0;
        }
        snprintf(
            text, sizeof text,
            "return topology 't' {\n"
            "  spout 's' { list {{7, [==[%s]==]}}, fields = {'n', 't'} },\n"
            "  bolt 'w' { from = shuffle 's', words 't' },\n"
            "  sink 'out' { from = global 'w', null {} } }",
            line);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), count);
        for (unsigned i = 0; i < count; i++)
            CHECK_TEXT(stream_line(s, i), words[i]);
        done(sim, s);
    }
}

SPEC(operator, fails_a_tuple_whose_text_is_none_and_goes_on)
{
    FOR_SEEDS(10)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim, "return topology 't' {\n"
                  "  spout 's' { retries = 0, fields = {'t'},\n"
                  "    list {{'a'}, {1}, {}, {{}}, {'b c'}} },\n"
                  "  bolt 'w' { from = shuffle 's', words 't', tasks = 2 },\n"
                  "  sink 'out' { from = global 'w', null {} } }");
        CHECK_EQ(stream_run(s)->gave_up, 3);
        CHECK_BAG(s, "a", "b", "c");
        CHECK_EQ(stream_totals(s, "s").acked, 2);
        done(sim, s);
    }
}

/* ---- count_by ---- */

#define LINES                                                                  \
    "  spout 'lines' { retries = 'forever', fields = {'line'}, list {\n"       \
    "    {'the cow jumped'}, {'the moon'}, {'a cow a'}, {'over the moon'},\n"  \
    "    {'a honorificabilitudinitatibus cow'} } },\n"

static void check_counts(const struct stream *s)
{
    CHECK_BAG(s, "the\t3", "cow\t3", "jumped\t1", "moon\t2", "a\t3", "over\t1",
              "honorificabilitudinitatibus\t1");
}

static uint64_t run_count(const char *text)
{
    struct sim *sim;
    struct stream *s = begin(&sim, text);
    CHECK_EQ(stream_run(s)->why, OK);
    check_counts(s);
    CHECK_EQ(stream_totals(s, "lines").acked, 5);
    CHECK_EQ(stream_totals(s, "words").emitted, 14);
    CHECK_EQ(stream_totals(s, "count").executed, 14);
    uint64_t hash = sim_hash(sim);
    done(sim, s);
    return hash;
}

SPEC(operator, counts_words_in_every_order_and_acks_each_line)
{
    const char *text =
        "return topology 't' {\n" LINES
        "  bolt 'words' { from = shuffle 'lines', words 'line', tasks = 2 },\n"
        "  bolt 'count' { from = fields('words', 'word'), count_by 'word',\n"
        "    tasks = 2 },\n"
        "  sink 'out' { from = global 'count', null {} } }";
    FOR_SEEDS(100)
    CHECK(run_count(text) == run_count(text));
}

SPEC(operator, counts_the_same_whoever_sends_and_however)
{
    static const char *const sides[][2] = {
        {"words 'line'", "shuffle 'words'"}, /* nobody counts first */
        {"words 'line'", "global 'words'"},
        {"words 'line'", "fields('words', 'word')"},
        {"fields = {'word'}, execute = function(self, line)"
         " for w in line:gmatch '%a+' do self.emit(w) end end",
         "fields('words', 'word')"},
        {"fields = {'n', 'word'}, execute = function(self, line)"
         " for w in line:gmatch '%a+' do self.emit(#w, w) end end",
         "fields('words', 'word')"},
        {"fields = {'x', 'word'}, execute = function(self, line)"
         " for w in line:gmatch '%a+' do self.emit({1}, w) end end",
         "global 'words'"},
        {"fields = {'word'}, flat_map(function(emit, line)"
         " for w in line:gmatch '%a+' do emit(w) end end)",
         "fields('words', 'word')"},
    };
    FOR_SEEDS(20)
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "return topology 't' {\n" LINES
                 "  bolt 'words' { from = shuffle 'lines', tasks = 2, %s },\n"
                 "  bolt 'count' { from = %s, count_by 'word' },\n"
                 "  sink 'out' { from = global 'count', null {} } }",
                 sides[i][0], sides[i][1]);
        run_count(text);
    }
}

SPEC(operator, counts_untracked_tuples_as_well)
{
    FOR_SEEDS(20)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim, "return topology 't' { guarantee = 'at-most-once',\n" LINES
                  "  bolt 'words' { from = shuffle 'lines', words 'line' },\n"
                  "  bolt 'count' { from = fields('words', 'word'),\n"
                  "    count_by 'word', tasks = 2 },\n"
                  "  sink 'out' { from = global 'count', null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        check_counts(s);
        done(sim, s);
    }
}

/* One that combines beside one that doesn't: a call that fails leaves neither
 * with a part. */
SPEC(operator, combines_for_one_reader_and_not_for_another)
{
    FOR_SEEDS(30)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim,
            "local seen = {}\n"
            "return topology 't' {\n" LINES
            "  bolt 'words' { from = shuffle 'lines', fields = {'word'},\n"
            "    flat_map(function(emit, line)\n"
            "      for w in line:gmatch '%a+' do emit(w) end\n"
            "      if not seen[line] then seen[line] = true error 'x' end\n"
            "    end) },\n"
            "  bolt 'count' { from = fields('words', 'word'),\n"
            "    count_by 'word' },\n"
            "  bolt 'long' { from = shuffle 'words', fields = {'word', "
            "'count'},"
            "\n    map(function(w) return w .. '!', 1 end) },\n"
            "  sink 'out' { from = { global 'count', shuffle 'long' },\n"
            "    null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 7 + 14);
        CHECK_EQ(stream_has(s, "the\t3"), 1);
        CHECK_EQ(stream_has(s, "the!\t1"), 3);
        CHECK_EQ(stream_totals(s, "lines").acked, 5);
        CHECK_EQ(stream_totals(s, "lines").failed, 5);
        done(sim, s);
    }
}

SPEC(operator, lets_go_what_it_combines_though_its_sender_is_never_idle)
{
    struct sim *sim;
    struct stream *s =
        begin(&sim, "return topology 't' { guarantee = 'at-most-once',\n"
                    "  spout 's' { generator {}, fields = {'n'} },\n"
                    "  bolt 'b' { from = shuffle 's', fields = {'k'},\n"
                    "    map(function() return 'k' end) },\n"
                    "  bolt 'c' { from = fields('b', 'k'), count_by 'k' },\n"
                    "  sink 'out' { from = global 'c', null {} } }");
    for (int i = 0; i < 2000; i++)
        CHECK(sim_step(sim, INT64_MAX));
    uint64_t sent = stream_totals(s, "b").emitted;
    CHECK(sent > 10000);
    CHECK(stream_totals(s, "c").executed > sent / 2);
    stream_drain(s, 1000000000);
    stream_run(s);
    CHECK_EQ(stream_totals(s, "c").executed, stream_totals(s, "b").emitted);
    done(sim, s);
}

/* A marker comes behind all that was counted before it. */
SPEC(operator, counts_all_while_the_sender_s_code_is_switched)
{
    FOR_SEEDS(40)
    {
        char text[2][512];
        struct sim *sim;
        for (int i = 0; i < 2; i++)
            snprintf(text[i], sizeof text[i],
                     "return topology 't' {\n"
                     "  spout 's' { generator { rate = 1000, count = 300 },\n"
                     "    fields = {'n'} },\n"
                     "  bolt 'b' { from = shuffle 's', fields = {'k'},\n"
                     "    tasks = 2, map(function() return 'v%d' end) },\n"
                     "  bolt 'c' { from = fields('b', 'k'), count_by 'k' },\n"
                     "  sink 'out' { from = global 'c', null {} } }",
                     i);
        struct stream *s = begin(&sim, text[0]);
        sim_advance(sim, 100000000 + (int64_t)sim_random(sim, 9000000));
        CHECK(stream_reload(s, text[1], NULL, 0));
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 2);
        CHECK_EQ(count_of(s, "v0") + count_of(s, "v1"), 300);
        CHECK(count_of(s, "v0") > 50 && count_of(s, "v1") > 50);
        done(sim, s);
    }
}

/* What a failing call had counted is taken back from the sender's rows: of keys
 * that were there before it and of those that it brought. */
SPEC(operator, takes_back_what_a_failing_tuple_had_counted)
{
    const char *text =
        "return topology 't' {\n" LINES
        "  bolt 'flaky' { from = shuffle 'lines', fields = {'line'},\n"
        "    execute = function() end },\n"
        "  bolt 'words' { from = shuffle 'flaky', fields = {'word'},\n"
        "    tasks = 2, prepare = function(self) self.seen = {} end,\n"
        "    execute = function(self, line)\n"
        "      for w in line:gmatch '%a+' do self.emit(w) end\n"
        "      if not self.seen[line] then\n"
        "        self.seen[line] = true\n"
        "        self.emit(line) error 'not yet' end\n"
        "    end },\n"
        "  bolt 'count' { from = fields('words', 'word'), count_by 'word' },\n"
        "  sink 'out' { from = global 'count', null {} } }";
    FOR_SEEDS(100)
    {
        struct sim *sim;
        struct stream *s = begin(&sim, text);
        CHECK_EQ(stream_run(s)->why, OK);
        check_counts(s);
        CHECK_EQ(stream_totals(s, "lines").acked, 5);
        CHECK_EQ(stream_totals(s, "count").executed, 14);
        done(sim, s);
    }
}

/* Words w0 to w19, as often as the generator makes them. */
enum { KILL_LINES = 300, KILL_WORDS = 20 };
static const char killed[] =
    "return topology 't' { max_pending = 40,\n"
    "  spout 'lines' { retries = 'forever', fields = {'line'},\n"
    "    list(LIST) },\n"
    "  bolt 'words' { from = shuffle 'lines', words 'line', tasks = 2 },\n"
    "  bolt 'count' { from = fields('words', 'word'), count_by 'word',\n"
    "    tasks = 2 },\n"
    "  sink 'out' { from = global 'count', null {} } }";

SPEC(operator, loses_no_count_when_tasks_are_killed)
{
    FOR_SEEDS(100)
    {
        char text[1024];
        snprintf(text, sizeof text,
                 "local LIST = {} for i = 0, %d do LIST[i + 1] = { 'all ' ..\n"
                 "  ('abcdefghijklmnopqrst'):sub(i %% 20 + 1, i %% 20 + 1) }\n"
                 "end\n%s",
                 KILL_LINES - 1, killed);
        struct sim *sim;
        struct stream *s = begin(&sim, text);
        for (int i = 0; i < 8 && !stream_ended(s); i++) {
            for (uint64_t n = sim_random(sim, 60); n > 0; n--)
                sim_step(sim, INT64_MAX);
            if (!stream_ended(s) && stream_count(s) == 0)
                stream_kill(s, sim_random(sim, 2) ? "words" : "count",
                            (unsigned)sim_random(sim, 2));
        }
        CHECK_EQ(stream_run(s)->why, OK);
        struct stream_totals t = stream_totals(s, "lines");
        CHECK_EQ(t.acked, KILL_LINES);
        unsigned all = count_of(s, "all");
        /* A copy beyond the first comes from a replay. */
        CHECK(all >= KILL_LINES && all - KILL_LINES <= t.replayed);
        for (char c = 'a'; c < 'a' + KILL_WORDS; c++) {
            char word[2] = {c, '\0'};
            CHECK(count_of(s, word) >= KILL_LINES / KILL_WORDS);
        }
        done(sim, s);
    }
}

#define ODD_KEYS                                                               \
    "{1}, {1.0}, {2^53}, {9007199254740992}, {0.5}, {'1'}, {true}, {{1, 2}},"  \
    "{{1.0, 2}}, {{a = 1}}, {-0.0}, {0}, {1}, {('x'):rep(100)},"               \
    "{('x'):rep(100)}, {0/0}, {}, {''}"

SPEC(operator, counts_equal_keys_of_any_kind_as_one_and_fails_what_is_none)
{
    static const char *const from[] = {"fields('s', 'k')", "global 's'",
                                       "shuffle 's'"};
    char line[128];
    memset(line, 'x', 100);
    strcpy(line + 100, "\t2");
    FOR_SEEDS(10)
    for (int i = 0; i < 3; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "return topology 't' {\n"
                 "  spout 's' { retries = 0, fields = {'k'},\n"
                 "    list {" ODD_KEYS "} },\n"
                 "  bolt 'c' { from = %s, count_by 'k' },\n"
                 "  sink 'out' { from = global 'c', null {} } }",
                 from[i]);
        struct sim *sim;
        struct stream *s = begin(&sim, text);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->gave_up, 2);
        CHECK_EQ(stream_totals(s, "s").acked, 16);
        CHECK_EQ(stream_count(s), 10);
        CHECK_EQ(stream_has(s, "1\t3") + stream_has(s, "1\t1"), 2);
        CHECK_EQ(stream_has(s, "9007199254740992.0\t2"), 1);
        CHECK_EQ(stream_has(s, "0.5\t1"), 1);
        CHECK_EQ(stream_has(s, "true\t1"), 1);
        CHECK_EQ(stream_has(s, "[1,2]\t2"), 1);
        CHECK_EQ(stream_has(s, "{\"a\":1}\t1"), 1);
        CHECK_EQ(stream_has(s, "-0.0\t2"), 1);
        CHECK_EQ(stream_has(s, line), 1);
        CHECK_EQ(stream_has(s, "\t1"), 1);
        done(sim, s);
    }
}

/* A Lua bolt is told where it emits, or its tuple fails at the counter. */
SPEC(operator, fails_a_lua_tuple_whose_key_is_none)
{
    static const char *const from[] = {"fields('b', 'k')", "global 'b'"};
    FOR_SEEDS(10)
    for (int i = 0; i < 2; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "return topology 't' {\n"
                 "  spout 's' { retries = 0, fields = {'k'},\n"
                 "    list {{1}, {2}, {3}, {4}} },\n"
                 "  bolt 'b' { from = shuffle 's', fields = {'x', 'k'},\n"
                 "    execute = function(self, n)\n"
                 "      self.emit(0, 'good')\n"
                 "      if n == 2 then self.emit(0, nil) end\n"
                 "      if n == 3 then self.emit({}, 0/0) end end },\n"
                 "  bolt 'c' { from = %s, count_by 'k' },\n"
                 "  sink 'out' { from = global 'c', null {} } }",
                 from[i]);
        struct sim *sim;
        struct stream *s = begin(&sim, text);
        CHECK_EQ(stream_run(s)->gave_up, 2);
        CHECK_EQ(stream_totals(s, "s").acked, 2);
        CHECK_EQ(stream_count(s), 1);
        check_line(s, 0, i == 0 ? "good\t2" : "good\t4");
        done(sim, s);
    }
}

SPEC(operator, emits_what_it_has_at_every_tick_and_at_the_end)
{
    FOR_SEEDS(20)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim, "return topology 't' {\n"
                  "  spout 's' { generator { rate = 10, count = 31,\n"
                  "    make = function() return 'x' end }, fields = {'k'} },\n"
                  "  bolt 'c' { from = fields('s', 'k'), count_by 'k',\n"
                  "    every = '500ms' },\n"
                  "  sink 'out' { from = global 'c', null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        unsigned count = stream_count(s), before = 0;
        CHECK(count >= 6 && count <= 8);
        for (unsigned i = 0; i < count; i++) {
            unsigned n = 0;
            CHECK_EQ(sscanf(stream_line(s, i), "x\t%u", &n), 1);
            CHECK(n >= before && n <= before + 6);
            before = n;
            if (i > 0 && i + 1 < count)
                CHECK_EQ(stream_at_ns(s, i) - stream_at_ns(s, i - 1),
                         500000000);
        }
        CHECK_EQ(before, 31);
        done(sim, s);
    }
}

/* More keys than a sender has room for, in more turns than one. */
SPEC(operator, counts_more_keys_than_a_sender_has_room_for)
{
    FOR_SEEDS(3)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim,
            "return topology 't' {\n"
            "  spout 's' { generator { count = 5 }, fields = {'n'} },\n"
            "  bolt 'b' { from = shuffle 's', fields = {'k'},\n"
            "    execute = function(self, n)\n"
            "      for i = 1, 5000 do self.emit(i) self.emit('k' .. i) end\n"
            "      for i = 1, 5000 do self.emit(i) end\n"
            "    end },\n"
            "  bolt 'c' { from = fields('b', 'k'), count_by 'k', tasks = 3 },\n"
            "  sink 'out' { from = global 'c', null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 10000);
        for (unsigned i = 0; i < 10000; i++) {
            const char *tab = strchr(stream_line(s, i), '\t');
            CHECK(tab != NULL);
            CHECK_TEXT(tab, stream_line(s, i)[0] == 'k' ? "\t5" : "\t10");
        }
        CHECK_EQ(stream_totals(s, "c").executed, 75000);
        done(sim, s);
    }
}

SPEC(operator, fails_what_would_be_more_than_its_memory)
{
    static const char *const from[] = {"fields('s', 'k')", "shuffle 's'"};
    for (int i = 0; i < 2; i++) {
        char text[512];
        snprintf(
            text, sizeof text,
            "return topology 't' {\n"
            "  spout 's' { generator { count = 3000, make = function(i)\n"
            "    return i < 2900 and ('k'):rep(100) .. i or 'same' end },\n"
            "    retries = 0, fields = {'k'} },\n"
            "  bolt 'c' { from = %s, count_by 'k', memory = '128KB' },\n"
            "  sink 'out' { from = global 'c', null {} } }",
            from[i]);
        struct sim *sim;
        struct stream *s = begin(&sim, text);
        const struct topology_end *end = stream_run(s);
        CHECK(end->gave_up > 1000);
        CHECK(stream_count(s) > 100 && stream_count(s) < 1100);
        CHECK_EQ(stream_totals(s, "s").acked + end->gave_up, 3000);
        unsigned counted = 0;
        for (unsigned k = 0; k < stream_count(s); k++)
            counted += (unsigned)atoi(strchr(stream_line(s, k), '\t') + 1);
        CHECK_EQ(counted, stream_totals(s, "s").acked);
        done(sim, s);
    }
}

/* Whoever counts first: on_error is the counting bolt's. */
SPEC(operator, drops_what_would_be_more_than_its_memory_where_it_may)
{
    static const char *const from[] = {"fields('s', 'k')", "shuffle 's'"};
    for (int i = 0; i < 2; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "return topology 't' {\n"
                 "  spout 's' { generator { count = 3000, make = function(i)\n"
                 "    return ('k'):rep(100) .. i end }, retries = 0,\n"
                 "    fields = {'k'} },\n"
                 "  bolt 'c' { from = %s, count_by 'k', memory = '128KB',\n"
                 "    on_error = 'drop' },\n"
                 "  sink 'out' { from = global 'c', null {} } }",
                 from[i]);
        struct sim *sim;
        struct stream *s = begin(&sim, text);
        CHECK_EQ(stream_run(s)->gave_up, 0);
        CHECK_EQ(stream_totals(s, "s").acked, 3000);
        CHECK(stream_totals(s, "c").errors > 0);
        CHECK(stream_count(s) > 100 && stream_count(s) < 1100);
        done(sim, s);
    }
}

/* ---- top ---- */

SPEC(operator, keeps_the_largest_and_of_equal_ones_the_first)
{
    FOR_SEEDS(20)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim, "return topology 't' {\n"
                  "  spout 's' { fields = {'k', 'n'}, list { {'a', 3},\n"
                  "    {'b', 9}, {'c', 1}, {'d', 9.0}, {'e', 3}, {'f', 4.5},\n"
                  "    {'g', 3}, {'h', -1} } },\n"
                  "  bolt 't' { from = global 's', top(4, 'n') },\n"
                  "  sink 'out' { from = global 't', null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 4);
        check_line(s, 0, "b\t9");
        check_line(s, 1, "d\t9.0");
        check_line(s, 2, "f\t4.5");
        check_line(s, 3, "a\t3");
        done(sim, s);
    }
}

static int descending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

SPEC(operator, keeps_the_same_as_sorting_all)
{
    enum { NUMBERS = 200 };
    FOR_SEEDS(60)
    {
        char text[8192];
        int64_t numbers[NUMBERS];
        struct sim *sim = sim_new(spec_seed);
        unsigned count = (unsigned)sim_random(sim, NUMBERS);
        unsigned most = 1 + (unsigned)sim_random(sim, 50);
        int used = snprintf(text, sizeof text,
                            "return topology 't' {\n"
                            "  spout 's' { fields = {'n'}, list {");
        for (unsigned i = 0; i < count; i++) {
            /* Its place below the value: equal values are told apart. */
            numbers[i] = (int64_t)sim_random(sim, 30) * 1000 + NUMBERS - i;
            used += snprintf(text + used, sizeof text - (size_t)used, "{%lld},",
                             (long long)numbers[i]);
        }
        snprintf(text + used, sizeof text - (size_t)used,
                 "} },\n  bolt 'm' { from = global 's', fields = {'n', 'v'},\n"
                 "    map(function(n) return n, n // 1000 end) },\n"
                 "  bolt 't' { from = global 'm', top(%u, 'v') },\n"
                 "  sink 'out' { from = global 't', null {} } }",
                 most);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        qsort(numbers, count, sizeof numbers[0], descending);
        CHECK_EQ(stream_count(s), count < most ? count : most);
        for (unsigned i = 0; i < stream_count(s); i++)
            CHECK_EQ(atoi(stream_line(s, i)), numbers[i]);
        done(sim, s);
    }
}

SPEC(operator, shows_the_present_top_at_every_tick_and_survives_its_task)
{
    FOR_SEEDS(30)
    {
        struct sim *sim;
        struct stream *s =
            begin(&sim, "return topology 't' {\n"
                        "  spout 's' { generator { rate = 10, count = 25 },\n"
                        "    retries = 'forever', fields = {'n'} },\n"
                        "  bolt 't' { from = global 's', top(2, 'n'),\n"
                        "    every = '1s' },\n"
                        "  sink 'out' { from = global 't', null {} } }");
        sim_advance(sim, 1550000000);
        CHECK_EQ(stream_count(s), 2);
        CHECK_EQ(atoi(stream_line(s, 0)), atoi(stream_line(s, 1)) + 1);
        stream_kill(s, "t", 0);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK(stream_count(s) >= 4);
        check_line(s, stream_count(s) - 2, "25");
        check_line(s, stream_count(s) - 1, "24");
        done(sim, s);
    }
}

SPEC(operator, fails_what_has_no_rank)
{
    struct sim *sim;
    struct stream *s =
        begin(&sim, "return topology 't' {\n"
                    "  spout 's' { fields = {'n'}, retries = 0,\n"
                    "    list { {1}, {}, {0/0}, {2} } },\n"
                    "  bolt 't' { from = global 's', top(9, 'n') },\n"
                    "  sink 'out' { from = global 't', null {} } }");
    CHECK_EQ(stream_run(s)->gave_up, 2);
    CHECK_EQ(stream_count(s), 2);
    check_line(s, 0, "2");
    check_line(s, 1, "1");
    done(sim, s);
}

/* ---- those with a function ---- */

SPEC(operator, maps_filters_and_flattens)
{
    FOR_SEEDS(20)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim,
            "return topology 't' {\n"
            "  spout 's' { list { {1, 'a'}, {2, 'b'}, {3, 'c'} },\n"
            "    fields = {'n', 'k'} },\n"
            "  bolt 'odd' { from = shuffle 's', tasks = 2,\n"
            "    filter(function(n) return n % 2 == 1 end) },\n"
            "  bolt 'twice' { from = shuffle 'odd',\n"
            "    map(function(n, k) return 2 * n, k end) },\n"
            "  bolt 'each' { from = shuffle 'twice', fields = {'x'},\n"
            "    flat_map(function(emit, n, k)\n"
            "      for i = 1, n do emit(k .. i) end end) },\n"
            "  bolt 'named' { from = shuffle 'each', fields = {'a', 'b'},\n"
            "    map(function(x) return x, #x end) },\n"
            "  sink 'out' { from = global 'named', null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_BAG(s, "a1\t2", "a2\t2", "c1\t2", "c2\t2", "c3\t2", "c4\t2",
                  "c5\t2", "c6\t2");
        CHECK_EQ(stream_totals(s, "s").acked, 3);
        done(sim, s);
    }
}

SPEC(operator, replays_what_its_function_failed)
{
    FOR_SEEDS(30)
    {
        struct sim *sim;
        struct stream *s = begin(
            &sim,
            "local seen = {}\n"
            "return topology 't' {\n"
            "  spout 's' { generator { count = 40 }, fields = {'n'} },\n"
            "  bolt 'f' { from = shuffle 's', flat_map(function(emit, n)\n"
            "    emit(n)\n"
            "    if n % 5 == 0 and not seen[n] then\n"
            "      seen[n] = true error 'not yet' end end) },\n"
            "  sink 'out' { from = global 'f', null {} } }");
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 40);
        CHECK_EQ(stream_totals(s, "s").replayed, 8);
        done(sim, s);
    }
}

SPEC(operator, reduces_the_values_of_each_key)
{
    const char *text =
        "local seen = {}\n"
        "return topology 't' {\n"
        "  spout 's' { fields = {'x', 'v', 'k'}, list { {0, 1, 'a'},\n"
        "    {0, 5, 'b'}, {0, 2, 'a'}, {0, 3, 'a'}, {0, 7, 1}, {0, 1, 1.0},\n"
        "    {0, 6, 'b'} } },\n"
        "  bolt 'r' { from = fields('s', 'k'), tasks = 2,\n"
        "    reduce_by('k', 'v', function(sum, v)\n"
        "      if v == 3 and not seen[v] then seen[v] = true error '3' end\n"
        "      return sum + v end) },\n"
        "  sink 'out' { from = global 'r', null {} } }";
    FOR_SEEDS(50)
    {
        struct sim *sim;
        struct stream *s = begin(&sim, text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_BAG(s, "a\t6", "b\t11", "1\t8");
        CHECK_EQ(stream_totals(s, "s").replayed, 1);
        done(sim, s);
    }
}

SPEC(operator, fails_a_key_by_which_nothing_can_be_reduced)
{
    struct sim *sim;
    struct stream *s =
        begin(&sim, "return topology 't' {\n"
                    "  spout 's' { fields = {'k', 'v'}, retries = 0, list {\n"
                    "    {'a', 1}, {nil, 1}, {0/0, 1}, {{1}, 1} } },\n"
                    "  bolt 'r' { from = global 's', every = '1s',\n"
                    "    reduce_by('k', 'v', function(a, b) return a + b end)"
                    " },\n"
                    "  sink 'out' { from = global 'r', null {} } }");
    CHECK_EQ(stream_run(s)->gave_up, 3);
    CHECK_EQ(stream_count(s), 1);
    check_line(s, 0, "a\t1");
    done(sim, s);
}

SPEC(operator, takes_new_functions_over_and_keeps_what_it_has_reduced)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { generator { rate = 100, count = 100,\n"
        "    make = function() return 'k', 1 end }, fields = {'k', 'v'} },\n"
        "  bolt 'r' { from = fields('s', 'k'),\n"
        "    reduce_by('k', 'v', function(sum, v) return sum + FACTOR * v end)"
        " },\n"
        "  sink 'out' { from = global 'r', null {} } }";
    FOR_SEEDS(20)
    {
        char versions[2][sizeof text + 64];
        struct sim *sim;
        for (int i = 0; i < 2; i++)
            snprintf(versions[i], sizeof versions[i], "local FACTOR = %s\n%s",
                     i ? "1000" : "1", text);
        struct stream *s = begin(&sim, versions[0]);
        sim_advance(sim, 505000000);
        CHECK(stream_reload(s, versions[1], NULL, 0));
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 1);
        unsigned sum = (unsigned)atoi(stream_line(s, 0) + 2);
        CHECK_EQ(sum % 1000 + sum / 1000, 100);
        CHECK(sum % 1000 > 30 && sum / 1000 > 30);
        done(sim, s);
    }
}
