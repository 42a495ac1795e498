/* A topology under test: what is fed, seen, failed and killed. */
#include "actors/testing/trial.h"
#include "core/value.h"
#include "lua/definition.h"
#include "spec/spec.h"

static const char poem[] =
    "return topology 'poem' {\n"
    "  spout 'lines' { file { path = '/none' } },\n"
    "  bolt 'split' { from = shuffle 'lines', tasks = 2,\n"
    "    streams = { default = { 'word' }, empty = { 'line' } },\n"
    "    execute = function(self, line)\n"
    "      if line == '' then self.emit_to('empty', line) end\n"
    "      if line == 'bad' then error 'a bad line' end\n"
    "      for word in line:gmatch '%a+' do self.emit(word) end\n"
    "    end },\n"
    "  bolt 'count' { from = fields('split', 'word'), tasks = 2,\n"
    "    fields = { 'word', 'n' },\n"
    "    prepare = function(self) self.n = {} end,\n"
    "    execute = function(self, w) self.n[w] = (self.n[w] or 0) + 1 end,\n"
    "    finish = function(self)\n"
    "      for w, n in sorted(self.n) do self.emit(w, n) end\n"
    "    end },\n"
    "  sink 'out' { from = global 'count', stdout {} },\n"
    "}\n";
enum { LINES, SPLIT, COUNT, OUT };
enum { SECOND_NS = 1000000000 };

struct story {
    struct definition *definition;
    struct trial *trial;
    uint64_t fates; /* looked at */
};

static void story_begin(struct story *s, const char *text)
{
    char *errors = NULL;
    *s = (struct story){0};
    err e = definition_parse("poem.lua", text, strlen(text), NULL, 0, NULL,
                             &s->definition, &errors);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", errors);
    s->trial = trial_new(&s->definition->plan, spec_seed);
    CHECK(s->trial != NULL);
}

static void story_end(struct story *s)
{
    trial_free(s->trial);
    definition_free(s->definition);
}

static void feed(struct story *s, const char *line)
{
    uint8_t bytes[256];
    uint64_t row;
    uint8_t *end = value_put_bytes(bytes, line, (uint32_t)strlen(line));
    CHECK_EQ(trial_feed(s->trial, LINES, 0, bytes, (size_t)(end - bytes), &row),
             OK);
}

/* The next row that is settled. */
static const struct trial_fate *settled(struct story *s)
{
    const struct trial_fate *fate = trial_fate_at(s->trial, s->fates++);
    CHECK(fate != NULL);
    return fate;
}

static bool all_told(const struct story *s)
{
    return trial_fate_at(s->trial, s->fates) == NULL;
}

/* How many tuples have this first value. */
static unsigned seen(const struct capture *c, const char *text)
{
    unsigned found = 0;
    const uint8_t *at = c->tuples.data;
    for (uint64_t i = 0; i < c->count; i++) {
        unsigned arity = *at++;
        for (unsigned k = 0; k < arity; k++) {
            struct value v;
            value_get(at, &v);
            if (k == 0 && v.type == VALUE_BYTES && v.count == strlen(text) &&
                memcmp(v.as.bytes, text, v.count) == 0)
                found++;
            at = value_skip(at);
        }
    }
    CHECK(at == c->tuples.data + c->tuples.used);
    return found;
}

SPEC(trial, runs_what_it_is_fed_to_its_end)
{
    FOR_SEEDS(50)
    {
        struct story s;
        story_begin(&s, poem);
        CHECK_EQ(trial_mock(s.trial, LINES, false), OK);
        feed(&s, "the cow");
        feed(&s, "");
        feed(&s, "the moon");
        CHECK_EQ(trial_start(s.trial), OK);
        CHECK_EQ(trial_finish(s.trial), OK);
        CHECK(trial_ended(s.trial));
        CHECK_EQ(trial_emitted(s.trial, LINES, 0)->count, 3);
        CHECK_EQ(trial_emitted(s.trial, SPLIT, 0)->count, 4);
        CHECK_EQ(seen(trial_emitted(s.trial, SPLIT, 0), "the"), 2);
        CHECK_EQ(trial_emitted(s.trial, SPLIT, 1)->count, 1);
        CHECK_EQ(trial_emitted(s.trial, COUNT, 0)->count, 3);
        CHECK_EQ(trial_received(s.trial, OUT)->count, 3);
        CHECK_EQ(seen(trial_received(s.trial, OUT), "moon"), 1);
        for (int i = 0; i < 3; i++)
            CHECK(settled(&s)->reason == NULL);
        CHECK(all_told(&s));
        CHECK_EQ(trial_elapsed_ns(s.trial), 0); /* nothing took any time */
        story_end(&s);
    }
}

SPEC(trial, refuses_a_source_that_is_not_mocked)
{
    struct story s;
    story_begin(&s, poem);
    CHECK_EQ(trial_start(s.trial), ERR_CONFIG);
    CHECK_TEXT(trial_why(s.trial),
               "spout 'lines' would read what is outside of the test (file); "
               "give its tuples: lines = { { … }, … }");
    story_end(&s);
}

SPEC(trial, emits_a_list_again_as_often_as_a_connector_does)
{
    FOR_SEEDS(20)
    {
        struct story s;
        story_begin(&s, poem);
        CHECK_EQ(trial_mock(s.trial, LINES, false), OK);
        feed(&s, "bad");
        CHECK_EQ(trial_start(s.trial), OK);
        CHECK_EQ(trial_finish(s.trial), OK);
        const struct trial_fate *fate = settled(&s);
        CHECK_HAS(fate->reason, "poem.lua:7: a bad line");
        CHECK(all_told(&s));
        CHECK_EQ(trial_emitted(s.trial, LINES, 0)->count, 6); /* and 5 more */
        /* 100, 200, 400, 800 and 1,600 ms */
        CHECK_EQ(fate->at_ns, INT64_C(3100) * 1000000);
        story_end(&s);
    }
}

SPEC(trial, leaves_to_the_test_what_becomes_of_a_feeders_failed_tuple)
{
    FOR_SEEDS(20)
    {
        struct story s;
        story_begin(&s, poem);
        CHECK_EQ(trial_mock(s.trial, LINES, true), OK);
        CHECK_EQ(trial_start(s.trial), OK);
        CHECK_EQ(trial_advance(s.trial, 5 * (int64_t)SECOND_NS), OK);
        feed(&s, "bad");
        CHECK(all_told(&s)); /* nothing happens by itself */
        CHECK_EQ(trial_settle(s.trial), OK);
        CHECK_HAS(settled(&s)->reason, "a bad line");
        feed(&s, "good");
        CHECK_EQ(trial_settle(s.trial), OK);
        const struct trial_fate *fate = settled(&s);
        CHECK(fate->reason == NULL);
        CHECK_EQ(fate->row, 1);
        CHECK_EQ(fate->at_ns, 5 * (int64_t)SECOND_NS);
        CHECK_EQ(trial_advance(s.trial, 60 * (int64_t)SECOND_NS), OK);
        CHECK_EQ(trial_emitted(s.trial, LINES, 0)->count, 2);
        CHECK(!trial_ended(s.trial));
        CHECK_EQ(trial_received(s.trial, OUT)->count, 0);
        CHECK_EQ(trial_stop(s.trial), OK);
        CHECK(trial_ended(s.trial));
        CHECK_EQ(trial_received(s.trial, OUT)->count, 1); /* of finish */
        story_end(&s);
    }
}

SPEC(trial, fails_as_many_tuples_as_it_is_told)
{
    FOR_SEEDS(20)
    {
        struct story s;
        story_begin(&s, poem);
        CHECK_EQ(trial_mock(s.trial, LINES, true), OK);
        CHECK_EQ(trial_start(s.trial), OK);
        CHECK_EQ(trial_fail_next(s.trial, SPLIT, 2, "by the story"), OK);
        for (int i = 0; i < 3; i++) {
            feed(&s, "word");
            CHECK_EQ(trial_settle(s.trial), OK);
        }
        CHECK_TEXT(settled(&s)->reason, "by the story");
        CHECK_TEXT(settled(&s)->reason, "by the story");
        CHECK(settled(&s)->reason == NULL);
        CHECK_EQ(trial_emitted(s.trial, SPLIT, 0)->count, 1);
        story_end(&s);
    }
}

/* Each task of count keeps its own words: what one counts is lost with it. */
SPEC(trial, kills_a_task_and_another_goes_on)
{
    unsigned lost = 0, failed = 0;
    FOR_SEEDS(50)
    {
        struct story s;
        story_begin(&s, poem);
        CHECK_EQ(trial_mock(s.trial, LINES, true), OK);
        CHECK_EQ(trial_start(s.trial), OK);
        feed(&s, "before");
        CHECK_EQ(trial_settle(s.trial), OK);
        feed(&s, "meanwhile");
        CHECK_EQ(trial_crash(s.trial, COUNT, 0), OK);
        CHECK_EQ(trial_crash(s.trial, COUNT, 1), OK);
        CHECK_EQ(trial_advance(s.trial, SECOND_NS), OK);
        feed(&s, "after");
        CHECK_EQ(trial_stop(s.trial), OK);
        CHECK(settled(&s)->reason == NULL);
        failed += settled(&s)->reason != NULL;
        CHECK(settled(&s)->reason == NULL);
        const struct capture *out = trial_received(s.trial, OUT);
        CHECK_EQ(seen(out, "before"), 0);
        CHECK_EQ(seen(out, "after"), 1);
        lost += !seen(out, "meanwhile");
        story_end(&s);
    }
    /* The seeds differ in what they kill it in. */
    if (spec_seeds(50) > 1) CHECK(failed > 0 && lost > failed);
}

SPEC(trial, of_a_seed_is_the_same_each_time)
{
    FOR_SEEDS(20)
    {
        uint64_t steps[2];
        struct buffer words[2] = {{0}, {0}};
        for (int i = 0; i < 2; i++) {
            struct story s;
            story_begin(&s, poem);
            CHECK_EQ(trial_mock(s.trial, LINES, false), OK);
            feed(&s, "one two three four");
            feed(&s, "bad");
            feed(&s, "five six seven");
            CHECK_EQ(trial_start(s.trial), OK);
            CHECK_EQ(trial_finish(s.trial), OK);
            steps[i] = trial_steps(s.trial);
            const struct capture *c = trial_emitted(s.trial, SPLIT, 0);
            CHECK_EQ(buffer_append(&words[i], c->tuples.data, c->tuples.used),
                     OK);
            story_end(&s);
        }
        CHECK_EQ(steps[0], steps[1]);
        CHECK_EQ(words[0].used, words[1].used);
        CHECK_EQ(memcmp(words[0].data, words[1].data, words[0].used), 0);
        buffer_fini(&words[0]);
        buffer_fini(&words[1]);
    }
}

/* A spout of Lua and a generator run as they are, for ever if they like. */
SPEC(trial, ends_what_does_not_end_with_a_sentence)
{
    static const char endless[] =
        "return topology 'endless' {\n"
        "  spout 'in' { fields = { 'n' }, next = function(self)\n"
        "    sleep '1h' end },\n"
        "  bolt 'out' { from = shuffle 'in', fields = { 'n' },\n"
        "    execute = function(self, n) end },\n"
        "}\n";
    static const char flood[] =
        "return topology 'flood' {\n"
        "  spout 'in' { generator { make = function(i)\n"
        "    return ('x'):rep(100000) end }, fields = { 'n' } },\n"
        "  bolt 'out' { from = shuffle 'in', fields = { 'n' },\n"
        "    execute = function(self, n) end },\n"
        "}\n";
    struct story s;
    story_begin(&s, endless);
    CHECK_EQ(trial_start(s.trial), OK);
    CHECK_EQ(trial_finish(s.trial), ERR_CRASHED);
    CHECK_HAS(trial_why(s.trial), "within 24 hours of virtual time");
    CHECK_EQ(trial_advance(s.trial, 1), ERR_CRASHED);
    story_end(&s);
    story_begin(&s, flood);
    CHECK_EQ(trial_start(s.trial), OK);
    CHECK_EQ(trial_finish(s.trial), ERR_CRASHED);
    CHECK_HAS(trial_why(s.trial), "more than 64 MB");
    story_end(&s);
}

SPEC(trial, tells_why_the_run_has_ended_early)
{
    static const char broken[] =
        "return topology 'broken' {\n"
        "  spout 'in' { list { { 1 } }, fields = { 'n' } },\n"
        "  bolt 'out' { from = shuffle 'in', fields = { 'n' },\n"
        "    prepare = function(self) error 'no table' end,\n"
        "    execute = function(self, n) end },\n"
        "}\n";
    struct story s;
    story_begin(&s, broken);
    CHECK_EQ(trial_start(s.trial), OK);
    CHECK_EQ(trial_finish(s.trial), ERR_CRASHED);
    CHECK_HAS(trial_why(s.trial), "a component kept crashing: error");
    CHECK_HAS(trial_why(s.trial), "poem.lua:4: no table");
    CHECK_HAS(trial_log(s.trial), "poem.lua:4: no table");
    story_end(&s);
}

SPEC(trial, sees_what_is_sent_to_a_task_by_its_number)
{
    static const char dealt[] =
        "return topology 'dealt' {\n"
        "  spout 'lines' { stdin {} },\n"
        "  bolt 'deal' { from = shuffle 'lines',\n"
        "    streams = { cards = { 'line', 'task', direct = true } },\n"
        "    prepare = function(self, context)\n"
        "      self.n, self.to = 0, context.tasks_of.take\n"
        "      local all = 0\n"
        "      for _ in pairs(context.tasks_of) do all = all + 1 end\n"
        "      assert(all == 3, all)\n"
        "    end,\n"
        "    execute = function(self, line)\n"
        "      self.n = self.n % 3 + 1\n"
        "      self.emit_direct(self.to[self.n], 'cards', line, self.n)\n"
        "    end },\n"
        "  sink 'take' { from = direct 'deal:cards', tasks = 3, null {} },\n"
        "}\n";
    enum { DEAL = 1, TAKE };
    FOR_SEEDS(20)
    {
        struct story s;
        story_begin(&s, dealt);
        CHECK_EQ(trial_mock(s.trial, LINES, true), OK);
        CHECK_EQ(trial_start(s.trial), OK);
        CHECK_EQ(trial_fail_next(s.trial, TAKE, 1, "by the story"), OK);
        for (int i = 0; i < 5; i++)
            feed(&s, "card");
        CHECK_EQ(trial_stop(s.trial), OK);
        CHECK_EQ(seen(trial_emitted(s.trial, DEAL, 1), "card"), 5);
        CHECK_EQ(seen(trial_received(s.trial, TAKE), "card"), 4);
        story_end(&s);
    }
}

SPEC(trial, waits_until_it_is_activated)
{
    static const char inactive[] =
        "return topology 'inactive' { initial = 'inactive',\n"
        "  spout 'lines' { stdin {} },\n"
        "  sink 'out' { from = shuffle 'lines', null {} },\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct story s;
        story_begin(&s, inactive);
        CHECK_EQ(trial_mock(s.trial, LINES, true), OK);
        CHECK_EQ(trial_start(s.trial), OK);
        feed(&s, "one");
        CHECK_EQ(trial_advance(s.trial, 60 * (int64_t)SECOND_NS), OK);
        CHECK(all_told(&s));
        CHECK_EQ(trial_set_active(s.trial, true), OK);
        CHECK_EQ(trial_settle(s.trial), OK);
        CHECK_EQ(settled(&s)->at_ns, 60 * (int64_t)SECOND_NS);
        CHECK_EQ(trial_set_active(s.trial, false), OK);
        CHECK_EQ(trial_settle(s.trial), OK);
        feed(&s, "two");
        CHECK_EQ(trial_advance(s.trial, SECOND_NS), OK);
        CHECK(all_told(&s));
        CHECK_EQ(trial_set_active(s.trial, true), OK);
        CHECK_EQ(trial_stop(s.trial), OK);
        CHECK(settled(&s)->reason == NULL);
        story_end(&s);
    }
}

/* A tuple that is held fails when its time is over, not before. */
SPEC(trial, has_the_exact_time)
{
    static const char held[] =
        "return topology 'held' {\n"
        "  spout 'lines' { stdin {} },\n"
        "  bolt 'hold' { from = shuffle 'lines', acking = 'manual',\n"
        "    fields = { 'line' },\n"
        "    execute = function(self) self.last = self.hold() end },\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct story s;
        story_begin(&s, held);
        CHECK_EQ(trial_mock(s.trial, LINES, true), OK);
        CHECK_EQ(trial_start(s.trial), OK);
        CHECK_EQ(trial_advance(s.trial, SECOND_NS / 4), OK);
        feed(&s, "slow");
        CHECK_EQ(trial_advance(s.trial, 30 * (int64_t)SECOND_NS - 1), OK);
        CHECK(all_told(&s));
        CHECK_EQ(trial_advance(s.trial, 1), OK);
        CHECK_HAS(settled(&s)->reason, "timeout");
        story_end(&s);
    }
}
