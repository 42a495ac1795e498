/* Windows that are a part of the state: those that fire, and what is in them,
 * are those of a run in which nothing ever went wrong, each once, wherever
 * tasks crash, the process is killed, calls fail and commits are refused. */
#include "core/sim_disk.h"
#include "spec/sim/kept.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 4096, WINDOWS_MAX = 2000 };

/* `at` brings numbers out of order in their time. A window says what it has,
 * and the how manieth it is by its state. */
static const char head[] =
    "local SOURCE = %s\n"
    "local GUARANTEE, STATE, FAILING = %s, %s, %s\n"
    "local function say(self, window, text)\n"
    "  local i = STATE and self.state:add('fired', 1) or 0\n"
    "  if STATE then\n"
    "    for k in pairs(self.state) do assert(k == 'fired', 'whose is ' .. k) "
    "end\n"
    "  end\n"
    "  if window.early then\n"
    "    if STATE then self.state:add('fired', -1) end\n"
    "  else\n"
    "    local from = window.start < 1e9 and window.start .. ' ' .. "
    "window.stop or ''\n" /* not when they came */
    "    self.emit(('%%s%%s #%%d'):format(from, text, i))\n"
    "  end\n"
    "  if random() < FAILING then error 'not now' end\n"
    "end\n"
    "local function show(self, window)\n"
    "  local text = ''\n"
    "  for _, t in ipairs(window.tuples) do text = text .. ' ' .. t.n end\n"
    "  say(self, window, text)\n"
    "end\n"
    "return topology 't' { guarantee = GUARANTEE,\n"
    "  spout 'lines' { SOURCE, fields = {'line'} },\n"
    "  bolt 'at' { from = shuffle 'lines', fields = {'n', 'ts', 'key'},\n"
    "    execute = function(self, line)\n"
    "      local n = tonumber(line)\n"
    "      self.emit(n, n // 40 * 100 + n %% 40 + n * 7 %% 13, n %% 3)\n"
    "    end },\n";

static const char tail[] =
    "  sink 'copy' { from = shuffle 'w', file { path = 'out.txt' } },\n"
    "}\n";

static const char *const sources[] = {
    "file { path = 'lines.txt' }",
    "generator { count = 400, rate = 4000, make = function(i) return i - 1 "
    "end }",
    "list((function() local l = {} for i = 0, 399 do l[#l + 1] = {i} end "
    "return l end)())",
};

#define BOLT(window)                                                           \
    "  bolt 'w' { from = shuffle 'at', fields = {'said'}, window = " window    \
    ",\n    RETRIES state = STATE, execute = show },\n"
#define TIMED "timestamp = 'ts', lag = '30s'"

static const char *const bolts[] = {
    BOLT("tumbling { length = '10s', " TIMED " }"),
    BOLT("sliding { length = '20s', every = '7s', " TIMED " }"),
    BOLT("sliding { length = '20s', every = '7s', allowed = '1h', " TIMED
         ", early = '3ms' }"),
    BOLT("tumbling { length = '7 tuples' }"),
    BOLT("sliding { length = '10 tuples', every = '3 tuples' }"),
    BOLT("sliding { length = '10 tuples', every = '3 tuples', " TIMED " }"),
    BOLT("sliding { length = '15s', every = '4 tuples', " TIMED " }"),
    BOLT("sliding { length = '9 tuples', every = '10s', " TIMED " }"),
    BOLT("session { gap = '4s', by = 'key', " TIMED " }"),
    BOLT("session { gap = '4s', allowed = '1h', early = '3ms', " TIMED " }"),
    "  bolt 'odd' { from = shuffle 'at', filter(function(n) return n % 2 == 1 "
    "end) },\n"
    "  bolt 'third' { from = shuffle 'at', filter(function(n) return n % 3 == "
    "0 end) },\n"
    "  bolt 'w' { from = { shuffle 'odd', shuffle 'third' }, fields = "
    "{'said'},\n"
    "    window = tumbling { length = '25s', " TIMED " }, RETRIES state = "
    "STATE,\n"
    "    cogroup('odd.key', 'third.key', function(emit, key, odd, third)\n"
    "      local list = {}\n"
    "      for _, t in ipairs(odd) do list[#list + 1] = t.n end\n"
    "      for _, t in ipairs(third) do list[#list + 1] = t.n + 1000 end\n"
    "      table.sort(list)\n"
    "      emit(key .. ' ' .. table.concat(list, ' ') .. ' #0')\n"
    "      if random() < FAILING then error 'not now' end\n"
    "    end) },\n",
    "  bolt 'odd' { from = shuffle 'at', filter(function(n) return n % 2 == 1 "
    "end) },\n"
    "  bolt 'w' { from = { shuffle 'at', shuffle 'odd' }, fields = {'a', "
    "'b'},\n"
    "    window = sliding { length = '20s', every = '15s', " TIMED " },\n"
    "    RETRIES state = STATE,\n"
    "    join('at.n', left 'odd.n', { 'at.n', 'odd.ts' }) },\n",
};
enum { BOLTS = sizeof bolts / sizeof bolts[0], OPERATORS_FROM = BOLTS - 2 };

struct tale {
    struct kept k;
    const char *guarantee, *state, *failing, *source, *bolt;
    char *lines[WINDOWS_MAX]; /* owned: what the sink has, in order */
    unsigned count;
    uint64_t kills, crashes, cuts, failures;
};

static void tale_text(const struct tale *t, bool faults, char *text)
{
    char bolt[TEXT_BYTES];
    const char *place = strstr(t->bolt, "RETRIES");
    bool in_place = faults && (strcmp(t->guarantee, "'exactly-once'") == 0 ||
                               strcmp(t->state, "nil") != 0);
    snprintf(bolt, sizeof bolt, "%.*s%s%s", (int)(place - t->bolt), t->bolt,
             in_place ? "retries = 30," : "", place + strlen("RETRIES"));
    int used = snprintf(text, TEXT_BYTES, head, t->source,
                        faults ? t->guarantee : "nil",
                        faults ? t->state : "nil", faults ? t->failing : "0");
    CHECK(used + strlen(bolt) + strlen(tail) < TEXT_BYTES);
    strcat(strcat(text, bolt), tail);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_lines(struct tale *t)
{
    size_t bytes;
    const char *at = (const char *)sim_disk_get(sim_disk(sim_node(t->k.sim, 1)),
                                                "out.txt", &bytes);
    CHECK(at != NULL);
    for (const char *end = at + bytes; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        CHECK(stop != NULL && t->count < WINDOWS_MAX);
        t->lines[t->count++] = strndup(at, (size_t)(stop - at));
        at = stop + 1;
    }
}

static void tale_end(struct tale *t)
{
    for (unsigned i = 0; i < t->count; i++)
        free(t->lines[i]);
    kept_end(&t->k);
}

/* One life of the process; true: the topology has ended. */
static bool live(struct tale *t)
{
    static const char *const names[] = {"lines", "at", "w", "copy"};
    char text[TEXT_BYTES];
    struct kept *k = &t->k;
    tale_text(t, true, text);
    struct stream *s = stream_start(k->sim, sim_node(k->sim, 1), text);
    for (uint64_t i = sim_random(k->sim, 4); i > 0; i--) {
        kept_steps(k, 150);
        if (stream_ended(s)) break;
        stream_kill(s, names[sim_random(k->sim, 4)], 0);
        t->crashes++;
    }
    if (sim_random(k->sim, 4) == 0)
        stream_run(s);
    else
        kept_steps(k, 400);
    bool over = stream_ended(s);
    if (over) CHECK_EQ(stream_run(s)->why, OK);
    if (over) CHECK_EQ(stream_run(s)->gave_up, 0);
    t->failures += stream_totals(s, "w").failed;
    stream_free(s);
    return over;
}

static void tell(struct tale *t)
{
    while (!live(t)) {
        t->kills++;
        if (sim_random(t->k.sim, 2) == 0) continue;
        sim_disk_power_cut(sim_disk(sim_node(t->k.sim, 1)));
        t->cuts++;
    }
    read_lines(t);
}

/* The same without state, guarantee and faults: windows in memory. */
static void tell_without_faults(struct tale *t)
{
    char text[TEXT_BYTES];
    tale_text(t, false, text);
    struct stream *s = stream_start(t->k.sim, sim_node(t->k.sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    stream_free(s);
    read_lines(t);
}

/* "… #i": by its state each is the how manieth that fired. */
static void check_numbers(struct tale *t)
{
    bool *seen = calloc(t->count + 1, sizeof *seen);
    for (unsigned i = 0; i < t->count; i++) {
        const char *mark = strrchr(t->lines[i], '#');
        CHECK(mark != NULL);
        int n = atoi(mark + 1);
        CHECK(n >= 1 && n <= (int)t->count && !seen[n]);
        seen[n] = true;
    }
    free(seen);
}

static void cut_numbers(struct tale *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        char *mark = strrchr(t->lines[i], '#');
        if (mark) *mark = '\0';
    }
    qsort(t->lines, t->count, sizeof *t->lines, by_text);
}

static void check_same(struct tale *a, struct tale *b)
{
    cut_numbers(a);
    cut_numbers(b);
    for (unsigned i = 0; i < a->count && i < b->count; i++)
        CHECK_TEXT(a->lines[i], b->lines[i]);
    CHECK_EQ(a->count, b->count);
}

static void tale_begin(struct tale *t)
{
    kept_begin(&t->k);
    kept_put_lines(&t->k);
}

SPEC(windows_kept, fire_as_if_nothing_had_ever_gone_wrong)
{
    uint64_t kills = 0, crashes = 0, cuts = 0, refusals = 0, failures = 0;
    FOR_SEEDS(240)
    {
        struct tale t = {.guarantee = "'exactly-once'"}, calm;
        tale_begin(&t);
        struct sim *sim = t.k.sim;
        uint64_t bolt = sim_random(sim, BOLTS);
        t.bolt = bolts[bolt];
        t.source = sources[sim_random(sim, 3)];
        t.state = sim_random(sim, 2) ? "'durable'" : "nil";
        t.failing = sim_random(sim, 2) ? "0.1" : "0";
        t.k.fault = sim_random(sim, 3) ? 0 : 20;
        if (sim_random(sim, 2))
            sim_set_faults(sim_node(sim, 1),
                           &(struct sim_faults){.writes_short = 200,
                                                .reads_short = 200,
                                                .slow = 300,
                                                .slow_ns = 20 * KEPT_MS});
        calm = t;
        tell(&t);
        if (strcmp(t.state, "nil") != 0 && bolt < OPERATORS_FROM)
            check_numbers(&t);
        kills += t.kills;
        crashes += t.crashes;
        cuts += t.cuts;
        failures += t.failures;
        refusals += t.k.refusals;
        kept_end(&t.k);
        tale_begin(&calm);
        tell_without_faults(&calm);
        check_same(&t, &calm);
        for (unsigned i = 0; i < t.count; i++)
            free(t.lines[i]);
        tale_end(&calm);
    }
    CHECK_SEEN(kills);
    CHECK_SEEN(crashes);
    CHECK_SEEN(cuts);
    CHECK_SEEN(refusals);
    CHECK_SEEN(failures);
}

/* 20,000 tuples of a kilobyte, and a Lua machine of 4 MB. */
static const char larger[] =
    "return topology 't' { guarantee = 'exactly-once',\n"
    "  spout 'in' { fields = {'n', 'text'}, generator { count = 20000,\n"
    "    make = function(i) return i, ('x'):rep(1000) end } },\n"
    "  bolt 'w' { from = shuffle 'in', fields = {'n', 'first', 'second'},\n"
    "    memory = '4MB', window = tumbling { length = '20000 tuples' },\n"
    "    execute = function(self, window)\n"
    "      local function sum()\n"
    "        local all = 0\n"
    "        for i, t in window:each() do\n"
    "          all = all + i * t.n + #t.text\n"
    "        end\n"
    "        return all\n"
    "      end\n"
    "      self.emit(window.count, sum(), sum())\n"
    "    end },\n"
    "  sink 'out' { from = global 'w', null {} },\n"
    "}\n";

SPEC(windows_kept, d20_hold_more_than_their_memory)
{
    struct kept k;
    char line[64];
    uint64_t sum = 0;
    for (uint64_t i = 1; i <= 20000; i++)
        sum += i * i + 1000;
    snprintf(line, sizeof line, "20000\t%llu\t%llu", (unsigned long long)sum,
             (unsigned long long)sum);
    kept_begin(&k);
    struct stream *s = stream_start(k.sim, sim_node(k.sim, 1), larger);
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_count(s), 1);
    CHECK_TEXT(stream_line(s, 0), line);
    stream_free(s);
    kept_end(&k);
}
