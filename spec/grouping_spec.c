/* Which task gets a tuple. The sentences that begin with a letter and a number
 * are conformance cases: cases_spec.c has the list, and they are told in the
 * simulated world and on real threads. */
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

/* Runs a definition to its end. */
static struct stream *play(struct sim *sim, const char *text)
{
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    return s;
}

static void done(struct sim *sim, struct stream *s)
{
    stream_free(s);
    sim_free(sim);
}

/* The lines are exactly these, in whatever order; ends with NULL. */
static void check_bag(struct stream *s, const char *const *lines)
{
    unsigned count = 0;
    for (; lines[count]; count++) {
        unsigned wanted = 0;
        for (unsigned i = 0; lines[i]; i++)
            wanted += strcmp(lines[i], lines[count]) == 0;
        if (stream_has(s, lines[count]) != wanted)
            spec_fail(__FILE__, __LINE__, "\"%s\" came %u times, not %u",
                      lines[count], stream_has(s, lines[count]), wanted);
    }
    CHECK_EQ(stream_count(s), count);
}

/* The n-th line that begins so, from 0. */
static const char *nth(struct stream *s, const char *prefix, unsigned n)
{
    for (unsigned i = 0; i < stream_count(s); i++)
        if (strncmp(stream_line(s, i), prefix, strlen(prefix)) == 0 && n-- == 0)
            return stream_line(s, i);
    return NULL;
}

static void tell_counts_and_sums(struct stream *s)
{
    static const char *const all[] = {
        "nathan\t1", "nathan\t2", "bob\t1",   "joey\t1", "total\t1",
        "total\t2",  "total\t3",  "total\t4", "sum\t1",  "sum\t2",
        "sum\t3",    "sum\t4",    NULL};
    CHECK_EQ(stream_run(s)->why, OK);
    check_bag(s, all);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_TEXT(nth(s, "total", i), all[4 + i]);
        CHECK_TEXT(nth(s, "sum", i), all[8 + i]);
    }
}

SPEC(grouping, a1_counts_words_and_sums_in_order)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { list { {'nathan'}, {'bob'}, {'joey'}, {'nathan'} },\n"
        "    fields = {'word'}, tasks = 3 },\n"
        "  bolt 'count' { from = fields('s', 'word'), tasks = 4,\n"
        "    fields = {'word', 'n'},\n"
        "    prepare = function(self) self.n = {} end,\n"
        "    execute = function(self, w)\n"
        "      self.n[w] = (self.n[w] or 0) + 1 self.emit(w, self.n[w]) end "
        "},\n"
        "  bolt 'total' { from = global 's', fields = {'what', 'n'},\n"
        "    prepare = function(self) self.n = 0 end,\n"
        "    execute = function(self) self.n = self.n + 1\n"
        "      self.emit('total', self.n) end },\n"
        "  bolt 'sum' { from = global 'count', fields = {'what', 'n'},\n"
        "    prepare = function(self) self.of = {} end,\n"
        "    execute = function(self, w, n)\n"
        "      self.of[w] = n\n"
        "      local sum = 0\n"
        "      for _, n in pairs(self.of) do sum = sum + n end\n"
        "      self.emit('sum', sum) end },\n"
        "  sink 'out' { from = { global 'count', global 'total', global 'sum' "
        "}, null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_counts_and_sums);
}

static void tell_copies(struct stream *s)
{
    static const char *const all[] = {"0", "1", "2", "3", "4", "5", NULL};
    CHECK_EQ(stream_run(s)->why, OK);
    check_bag(s, all);
    CHECK_EQ(stream_totals(s, "s").acked, 1);
}

SPEC(grouping, a2_gives_all_tasks_a_copy)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { list { {'a'} }, fields = {'word'} },\n"
        "  bolt 'all' { from = all 's', tasks = 6, executors = 3,\n"
        "    fields = {'task'}, prepare = function(self, context) self.index = "
        "context.index "
        "end,\n"
        "    execute = function(self) self.emit(self.index) end },\n"
        "  sink 'out' { from = global 'all', null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_copies);
}

/* Six tasks say at their end how many they got. */
static const char shares[] =
    "return topology 't' {\n"
    "  spout 's' { generator { count = %u, make = function(i)\n"
    "      return ('x'):rep(%u) end }, fields = {'text'} },\n"
    "  bolt 'b' { from = %s, tasks = 6, fields = {'index', 'n'},\n"
    "    prepare = function(self, context)\n"
    "      self.index, self.n = context.index, 0 end,\n"
    "    execute = function(self, n)\n"
    "      %s\n"
    "      self.n = self.n + 1 end,\n"
    "    finish = function(self) self.emit(self.index, self.n) end },\n"
    "  sink 'out' { from = global 'b', null {} },\n"
    "}\n";

static void tell_shares(unsigned seeds, unsigned count, unsigned bytes,
                        const char *from, const char *work, stream_tale *tale)
{
    char text[2048];
    snprintf(text, sizeof text, shares, count, bytes, from, work);
    stream_tell(text, seeds, tale);
}

/* How many each of the six got, when all have said it. */
static void read_shares(struct stream *s, long got[6])
{
    long sum = 0;
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 6);
    for (unsigned i = 0; i < 6; i++) {
        char *end;
        long index = strtol(stream_line(s, i), &end, 10);
        got[index] = strtol(end, NULL, 10);
        sum += got[index];
    }
    CHECK_EQ(sum, stream_totals(s, "s").emitted);
}

static void are_equal(struct stream *s)
{
    long got[6];
    read_shares(s, got);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(got[i], 2000);
}

SPEC(grouping, a3_shuffles_exactly_evenly)
{
    tell_shares(200, 12000, 1, "shuffle 's'", "", are_equal);
}

SPEC(grouping, a3_shuffles_to_local_tasks_exactly_evenly)
{
    tell_shares(10, 12000, 1, "local_or_shuffle 's'", "", are_equal);
}

static void are_random(struct stream *s)
{
    long got[6];
    bool differ = false;
    read_shares(s, got);
    for (int i = 0; i < 6; i++) {
        CHECK(got[i] > 700 && got[i] < 1300);
        differ |= got[i] != 1000;
    }
    CHECK(differ);
}

SPEC(grouping, none_is_any_task_at_random)
{
    tell_shares(10, 6000, 1, "none 's'", "", are_random);
}

/* The others get more, all in all: on real threads another may lag, too. */
static void first_lags(struct stream *s)
{
    long got[6], others = 0;
    read_shares(s, got);
    for (int i = 1; i < 6; i++)
        others += got[i];
    if (10 * others < 13 * 5 * got[0])
        spec_fail(__FILE__, __LINE__, "the slow one got %ld, the others %ld",
                  got[0], others);
}

SPEC(grouping, a8_shuffles_less_to_a_task_that_lags_behind)
{
    tell_shares(200, 10000, 300, "shuffle 's'",
                "if self.index == 0 then "
                "for i = 1, REAL and 300000 or 20000 do end end",
                first_lags);
}

static void tell_equal_bytes(struct stream *s)
{
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 48);
    for (unsigned i = 1; i <= 24; i++) {
        char line[16];
        snprintf(line, sizeof line, "a\t%u", i);
        CHECK_EQ(stream_has(s, line), 1);
        line[0] = 'b';
        CHECK_EQ(stream_has(s, line), 1);
    }
}

SPEC(grouping, a5_sends_equal_bytes_of_all_senders_to_one_task)
{
    static const char text[] =
        "local rows = {}\n"
        "for i = 1, 24 do rows[#rows + 1], rows[#rows + 2] =\n"
        "  { 'a' }, { 'b' } end\n"
        "rows.fields = nil\n"
        "return topology 't' {\n"
        "  spout 's' { list(rows), fields = {'word'}, tasks = 4 },\n"
        "  bolt 'count' { from = fields('s', 'word'), tasks = 6,\n"
        "    fields = {'word', 'n'},\n"
        "    prepare = function(self) self.n = {} end,\n"
        "    execute = function(self, w)\n"
        "      self.n[w] = (self.n[w] or 0) + 1 self.emit(w, self.n[w]) end "
        "},\n"
        "  sink 'out' { from = global 'count', null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_equal_bytes);
}

static void tell_two_in_turn(struct stream *s)
{
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_has(s, "50"), 2);
    CHECK_EQ(stream_has(s, "0"), 4);
}

SPEC(grouping, a7_gives_a_partial_key_two_tasks_in_turn)
{
    static const char text[] =
        "local rows = {}\n"
        "for i = 1, 100 do rows[i] = { 'key' } end\n"
        "return topology 't' {\n"
        "  spout 's' { list(rows), fields = {'word'} },\n"
        "  bolt 'b' { from = partial_key('s', 'word'), tasks = 6,\n"
        "    fields = {'n'},\n"
        "    prepare = function(self) self.n = 0 end,\n"
        "    execute = function(self) self.n = self.n + 1 end,\n"
        "    finish = function(self) self.emit(self.n) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_two_in_turn);
}

/* Its tasks are those that fields would take, and one more: other keys have
 * other pairs. */
static void tell_other_pairs(struct stream *s)
{
    CHECK_EQ(stream_run(s)->why, OK);
    /* Two tasks at most for each of the keys, and not the same for all. */
    CHECK(stream_count(s) > 20 && stream_count(s) <= 40);
    for (unsigned key = 0; key < 20; key++) {
        char start[16];
        snprintf(start, sizeof start, "key %u\t", key);
        CHECK(nth(s, start, 0) != NULL && nth(s, start, 2) == NULL);
    }
    for (char i = '0'; i < '6'; i++) {
        unsigned keys = 0;
        for (unsigned k = 0; k < stream_count(s); k++)
            keys += strchr(stream_line(s, k), '\t')[1] == i;
        CHECK(keys < 20);
    }
}

SPEC(grouping, a7_gives_other_keys_other_tasks)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { generator { count = 200, make = function(i)\n"
        "      return 'key ' .. i % 20 end }, fields = {'word'} },\n"
        "  bolt 'b' { from = partial_key('s', 'word'), tasks = 6,\n"
        "    fields = {'word', 'index'},\n"
        "    prepare = function(self, context)\n"
        "      self.index, self.seen = context.index, {} end,\n"
        "    execute = function(self, w)\n"
        "      if not self.seen[w] then self.seen[w] = true\n"
        "        self.emit(w, self.index) end end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_other_pairs);
}

static void tell_each_once(struct stream *s)
{
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 24);
    CHECK_EQ(stream_has(s, "a"), 12);
    CHECK_EQ(stream_totals(s, "b").emitted, 24);
}

SPEC(grouping, a11_sends_each_tuple_once)
{
    static const char text[] =
        "local rows = {}\n"
        "for i = 1, 12 do rows[2 * i - 1], rows[2 * i] = {'a'}, {'b'} end\n"
        "return topology 't' {\n"
        "  spout 's' { list(rows), fields = {'word'}, tasks = 2 },\n"
        "  bolt 'b' { from = shuffle 's', tasks = 6, fields = {'word'},\n"
        "    execute = function(self, w) self.emit(w) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_each_once);
}

static void tell_exclaims(struct stream *s)
{
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 2000);
    CHECK_EQ(stream_has(s, "nathan!!!!!!"), 400);
    CHECK_EQ(stream_has(s, "bertels!!!!!!"), 400);
}

SPEC(grouping, a14_exclaims_twice)
{
    static const char text[] =
        "local words = { 'nathan', 'mike', 'jackson', 'golda', 'bertels' }\n"
        "local function exclaim(self, w) self.emit(w .. '!!!') end\n"
        "return topology 't' {\n"
        "  spout 's' { generator { count = 2000, make = function(i)\n"
        "      return words[i % 5 + 1] end }, fields = {'word'}, tasks = 10 "
        "},\n"
        "  bolt 'one' { from = shuffle 's', tasks = 3, fields = {'word'},\n"
        "    execute = exclaim },\n"
        "  bolt 'two' { from = shuffle 'one', tasks = 2, fields = {'word'},\n"
        "    execute = exclaim },\n"
        "  sink 'out' { from = global 'two', null {} },\n"
        "}\n";
    stream_tell(text, 200, tell_exclaims);
}

/* ---- direct ---- */

SPEC(grouping, direct_is_the_task_that_the_sender_names)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { generator { count = 60 }, fields = {'n'} },\n"
        "  bolt 'chooses' { from = shuffle 's',\n"
        "    streams = { orders = { direct = true, 'n', 'to' } },\n"
        "    prepare = function(self, context)\n"
        "      self.tasks = context.tasks_of.b end,\n"
        "    execute = function(self, n)\n"
        "      self.emit_direct(self.tasks[n % 3 + 1], 'orders', n, n % 3)\n"
        "    end },\n"
        "  bolt 'b' { from = direct 'chooses:orders', tasks = 3,\n"
        "    fields = {'n'},\n"
        "    prepare = function(self, context) self.index = context.index "
        "end,\n"
        "    execute = function(self, n, to)\n"
        "      assert(to == self.index) self.emit(n) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    FOR_SEEDS(50)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = play(sim, text);
        CHECK_EQ(stream_count(s), 60);
        CHECK_EQ(stream_totals(s, "s").failed, 0);
        CHECK_EQ(stream_totals(s, "s").acked, 60);
        done(sim, s);
    }
}

/* Each call is refused under pcall, and its sentence emitted. */
SPEC(grouping, direct_refuses_what_is_no_task_of_a_reader)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { list { {1} }, fields = {'n'} },\n"
        "  bolt 'b' { from = shuffle 's',\n"
        "    streams = { default = {'why'}, plain = {'n'},\n"
        "                orders = { direct = true, 'n' } },\n"
        "    execute = function(self, n)\n"
        "      local function try(f, ...)\n"
        "        local _, why = pcall(f, ...)\n"
        "        self.emit((why:match '^[^\\n]*')) end\n"
        "      try(self.emit_direct, 0, 'orders', n)\n"
        "      try(self.emit_direct, 99, 'orders', n)\n"
        "      try(self.emit_direct, 0, 'plain', n)\n"
        "      try(self.emit_to, 'orders', n)\n"
        "    end },\n"
        "  bolt 'reads' { from = direct 'b:orders',\n"
        "    execute = function() end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    struct sim *sim = sim_new(1);
    struct stream *s = play(sim, text);
    CHECK_EQ(stream_count(s), 4);
    CHECK(strstr(stream_line(s, 0), "task 0 reads no stream 'orders'"));
    CHECK(strstr(stream_line(s, 1), "task 99 reads no stream 'orders'"));
    CHECK(strstr(stream_line(s, 2), "stream 'plain' is not direct"));
    CHECK(strstr(stream_line(s, 3), "stream 'orders' is direct; name the"));
    done(sim, s);
}

/* ---- custom ---- */

SPEC(grouping, custom_is_what_the_readers_function_says)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { generator { count = 90 }, fields = {'n'} },\n"
        "  bolt 'b' { tasks = 4, fields = {'index', 'n'},\n"
        "    from = custom('s', function(values, tasks, state)\n"
        "      state.calls = (state.calls or 0) + 1\n"
        "      assert(#tasks == 4)\n"
        "      if values[1] % 9 == 0 then return tasks end\n"
        "      return { tasks[state.calls % 2 + 1] } end),\n"
        "    prepare = function(self, context) self.index = context.index "
        "end,\n"
        "    execute = function(self, n) self.emit(self.index, n) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = play(sim, text);
        CHECK_EQ(stream_count(s), 80 + 4 * 10);
        CHECK_EQ(stream_has(s, "0\t1"), 0);
        CHECK_EQ(stream_has(s, "1\t1"), 1);
        CHECK_EQ(stream_has(s, "0\t2"), 1);
        CHECK_EQ(stream_has(s, "3\t9"), 1);
        CHECK_EQ(stream_totals(s, "s").acked, 90);
        done(sim, s);
    }
}

/* A choice that is none fails the tuple that is emitted, and nothing else. */
SPEC(grouping, custom_refuses_what_is_no_choice)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { generator { count = 7 }, fields = {'n'}, },\n"
        "  bolt 'emits' { from = shuffle 's', fields = {'n'},\n"
        "    streams = nil,\n"
        "    execute = function(self, n)\n"
        "      local ok, why = pcall(self.emit, n)\n"
        "      if not ok then self.emit('why: ' .. why:match '^[^\\n]*') end\n"
        "    end },\n"
        "  bolt 'b' { tasks = 2, fields = {'n'},\n"
        "    from = custom('emits', function(values, tasks)\n"
        "      local n = values[1]\n"
        "      if n == 1 then return nil end\n"
        "      if n == 2 then return {} end\n"
        "      if n == 3 then return { 99 } end\n"
        "      if n == 4 then return { 'one' } end\n"
        "      if n == 5 then error 'no idea' end\n"
        "      return { tasks[1] } end),\n"
        "    execute = function(self, n) self.emit(n) end },\n"
        "  sink 'out' { from = { global 'b' }, null {} },\n"
        "}\n";
    static const char *const parts[] = {
        "of 'b' returned nil; return a list", "returned no task",
        "returned what is none of its tasks", "returned what is none of its",
        "no idea"};
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = play(sim, text);
        CHECK_EQ(stream_count(s), 7);
        CHECK_EQ(stream_has(s, "6") + stream_has(s, "7"), 2);
        for (int i = 0; i < 5; i++) {
            bool found = false;
            for (unsigned k = 0; k < stream_count(s); k++)
                found |= strstr(stream_line(s, k), parts[i]) != NULL;
            if (!found)
                spec_fail(__FILE__, __LINE__, "nobody said %s", parts[i]);
        }
        CHECK_EQ(stream_totals(s, "s").failed, 0);
        done(sim, s);
    }
}

SPEC(grouping, custom_takes_new_code)
{
    static const char text[] =
        "return topology 't' {\n"
        "  spout 's' { generator { rate = 10, count = 40 }, fields = {'n'} },\n"
        "  bolt 'b' { tasks = 2, fields = {'index'},\n"
        "    from = custom('s', function(values, tasks)\n"
        "      return { tasks[%d] } end),\n"
        "    prepare = function(self, context) self.index = context.index "
        "end,\n"
        "    execute = function(self, n) self.emit(self.index) end },\n"
        "  sink 'out' { from = global 'b', null {} },\n"
        "}\n";
    char one[1024], two[1024];
    snprintf(one, sizeof one, text, 1);
    snprintf(two, sizeof two, text, 2);
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), one);
        sim_advance(sim, 1000000000);
        CHECK(stream_reload(s, two, NULL, 0));
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 40);
        CHECK(stream_has(s, "0") >= 9 && stream_has(s, "0") <= 12);
        CHECK_EQ(stream_has(s, "0") + stream_has(s, "1"), 40);
        done(sim, s);
    }
}
