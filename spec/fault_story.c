#include "spec/fault_story.h"
#include "core/metric.h"
#include "core/runtime.h"
#include "core/sim_disk.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

const char record_lines[] =
    "{\"id\":1,\"user\":{\"name\":\"n\"},\"level\":\"low\"}\n"
    "{\"id\":2,\"user\":{\"name\":\"n\"},\"level\":\"low\"}\n"
    "{\"id\":3,\"user\":{\"name\":\"n\"},\"level\":\"low\"}\n";
const char poem[] = "the cow jumped\nthe moon\na cow a\nover the moon";

/* ---- what a run has to say ---- */

static uint64_t counter(const struct trial *t, const char *component,
                        size_t offset)
{
    const struct plan *plan = &t->definition->plan;
    for (unsigned i = 0; i < plan->count; i++) {
        if (strcmp(plan->components[i].name, component) != 0) continue;
        const char *ids = (const char *)topology_metrics(t->topology, i);
        metric_id id;
        memcpy(&id, ids + offset, sizeof id);
        return metric_read(node_metrics(sim_engine(t->node)), id);
    }
    return 0;
}

static uint64_t failed(const struct trial *t, const char *spout)
{
    return counter(t, spout, offsetof(struct component_metrics, failed));
}

static uint64_t messages_dropped(const struct trial *t)
{
    struct node *node = sim_engine(t->node);
    return metric_read(node_metrics(node), node->dropped);
}

static unsigned restarts(const struct trial *t, const char *component)
{
    const struct plan *plan = &t->definition->plan;
    unsigned n = 0;
    for (unsigned i = 0; i < plan->count; i++)
        if (strcmp(plan->components[i].name, component) == 0)
            for (unsigned k = 0; k < plan->components[i].tasks; k++)
                n += t->restarts[plan->components[i].first_task + k];
    return n;
}

unsigned all_restarts(const struct trial *t)
{
    unsigned n = 0;
    for (unsigned i = 0; i < TASKS_MAX; i++)
        n += t->restarts[i];
    return n;
}

/* Lines that begin so. */
static unsigned lines_of(const struct trial *t, const char *start)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->count; i++)
        if (strncmp(t->lines[i], start, strlen(start)) == 0) n++;
    return n;
}

/* The sum of the numbers behind a word. */
static unsigned sum_of(const struct trial *t, const char *word)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->count; i++) {
        size_t length = strlen(word);
        if (strncmp(t->lines[i], word, length) == 0 &&
            t->lines[i][length] == '\t')
            n += (unsigned)atoi(t->lines[i] + length + 1);
    }
    return n;
}

/* ---- the stories ---- */

static const char word_count[] =
    "return topology 'count' {\n"
    "  spout 'lines' { list { {'the cow jumped'}, {'the moon'}, {'a cow a'},\n"
    "    {'over the moon'} }, fields = {'line'} },\n"
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

/* A replay may count a word twice, a task that crashed forgets what it has
 * counted, and what finish() emits is not replayed when the sink dies: all are
 * told. */
static void check_word_count(struct trial *t)
{
    static const struct {
        const char *word;
        unsigned n;
    } want[] = {{"the", 3},  {"cow", 2}, {"jumped", 1},
                {"moon", 2}, {"a", 2},   {"over", 1}};
    bool again = failed(t, "lines") > 0 || all_restarts(t) > 0;
    bool dropped = restarts(t, "out") > 0 && messages_dropped(t) > 0;
    for (unsigned i = 0; i < 6; i++) {
        unsigned n = sum_of(t, want[i].word);
        if (restarts(t, "count") == 0 && !dropped &&
            (n < want[i].n || (n > want[i].n && !again)))
            spec_fail(__FILE__, __LINE__, "%u times '%s', not %u", n,
                      want[i].word, want[i].n);
    }
}

static const char reload[] =
    "return topology 't' {\n"
    "  spout 'numbers' { generator { rate = 1000, count = 40 },\n"
    "    fields = {'n'} },\n"
    "  bolt 'mark' { from = shuffle 'numbers', fields = {'n', 'version'},\n"
    "    tasks = 2, prepare = function(self) self.sum = 0 end,\n"
    "    on_reload = function(self) self.reloads = VERSION end,\n"
    "    execute = function(self, n) self.sum = self.sum + 1\n"
    "      self.emit(n, VERSION) end },\n"
    "  bolt 'pass' { from = fields('mark', 'n'),\n"
    "    fields = {'n', 'version', 'mine'},\n"
    "    execute = function(self, n, v) self.emit(n, v, VERSION) end },\n"
    "  sink 'out' { from = global 'pass', null {} },\n"
    "}\n";

static void check_reload(struct trial *t)
{
    bool again = failed(t, "numbers") > 0 || all_restarts(t) > 0;
    for (unsigned i = 1; i <= 40; i++) {
        char start[16];
        snprintf(start, sizeof start, "%u\t", i);
        unsigned n = lines_of(t, start);
        if (n == 0 || (n > 1 && !again))
            spec_fail(__FILE__, __LINE__, "%u came %u times", i, n);
    }
    unsigned first = 0, second = 0;
    CHECK(sscanf(t->lines[t->count - 1], "%*u\t%u\t%u", &first, &second) == 2);
    if (t->taken && (first != 2 || second != 2))
        spec_fail(__FILE__, __LINE__,
                  "new code was taken, but the last line is %s",
                  t->lines[t->count - 1]);
    if (t->refused && !strstr(t->why, "the run") && (first != 1 || second != 1))
        spec_fail(__FILE__, __LINE__,
                  "new code was refused (%s), but the last line is %s", t->why,
                  t->lines[t->count - 1]);
}

static const char errors[] =
    "return topology 't' {\n"
    "  spout 'ids' { fields = {'n'},\n"
    "    open = function(self) self.i, self.again, self.acks = 0, {}, 0 end,\n"
    "    next = function(self)\n"
    "      local n = table.remove(self.again)\n"
    "      if n then self.emit_id(n, n) return end\n"
    "      if self.i == 18 then return false end\n"
    "      self.i = self.i + 1\n"
    "      self.emit_id(self.i, self.i)\n"
    "    end,\n"
    "    ack = function(self, id) self.acks = self.acks + 1 end,\n"
    "    fail = function(self, id, reason)\n"
    "      self.again[#self.again + 1] = id end },\n"
    "  bolt 'bad' { from = shuffle 'ids', fields = {'n', 'extra'},\n"
    "    tasks = 2, budget = '1ms',\n"
    "    prepare = function(self) self.seen = {} end,\n"
    "    execute = function(self, n)\n"
    "      local kind = self.seen[n] and 0 or n % 7\n"
    "      self.seen[n] = true\n"
    "      if kind == 1 then self.emit(n, 'x') error('not yet')\n"
    "      elseif kind == 2 then self.emit(n, print)\n"
    "      elseif kind == 3 then local t = {} t.t = t self.emit(n, t)\n"
    "      elseif kind == 4 then while true do end\n"
    "      elseif kind == 5 then error { code = n }\n"
    "      elseif kind == 6 then pcall(self.emit, n) end\n"
    "      self.emit(n, { tag = 'x', list = { 1, 2, n } })\n"
    "    end },\n"
    "  bolt 'pass' { from = fields('bad', 'n', 'extra'), fields = {'n'},\n"
    "    execute = function(self, n, extra)\n"
    "      local ok, why = pcall(self.emit, extra.list[3])\n"
    "      if not ok then error(why) end end },\n"
    "  sink 'out' { from = global 'pass', null {} },\n"
    "}\n";

static void check_errors(struct trial *t)
{
    for (unsigned i = 1; i <= 18; i++) {
        char line[16];
        unsigned n = 0;
        snprintf(line, sizeof line, "%u", i);
        for (unsigned k = 0; k < t->count; k++)
            if (strcmp(t->lines[k], line) == 0) n++;
        if (n == 0) spec_fail(__FILE__, __LINE__, "%u was lost", i);
    }
    /* A second copy has a failure or a restart to explain it. */
    CHECK(t->count - 18 <= failed(t, "ids") || all_restarts(t) > 0);
}

/* The same with a file at each end. */
static const char files[] =
    "return topology 'count' {\n"
    "  spout 'lines' { file { path = '/poem' } },\n"
    "  bolt 'split' { from = shuffle 'lines', fields = {'word'},\n"
    "    execute = function(self, line)\n"
    "      for w in line:gmatch '%a+' do self.emit(w) end\n"
    "    end },\n"
    "  sink 'save' { from = global 'split', file { path = '/words' } },\n"
    "}\n";

static void check_files(struct trial *t)
{
    size_t bytes;
    const char *text = (const char *)sim_file_get(t->node, "/words", &bytes);
    bool again = failed(t, "lines") > 0 || all_restarts(t) > 0;
    unsigned cows = 0, words = 0;
    for (size_t i = 0; i < bytes; i++) {
        words += text[i] == '\n';
        cows += bytes - i >= 4 && memcmp(text + i, "cow\n", 4) == 0;
    }
    /* The sink's file is begun anew by its new actor: what the one before had
     * written is gone. */
    if (restarts(t, "save") > 0) return;
    if (cows < 2 || words < 11 || (words > 11 && !again))
        spec_fail(__FILE__, __LINE__, "%u words, %u cows", words, cows);
}

/* Packed lines and records from several files, and a file that is rotated. */
static const char inputs[] =
    "return topology 'inputs' {\n"
    "  spout 'lines' { fields = {'n', 'text'}, retries = 'forever',\n"
    "    file { path = '/in/*.csv', format = 'csv' } },\n"
    "  spout 'packed' { retries = 'forever',\n"
    "    file { paths = { '/in/*.gz', '/in/a.zst', '/poem' } } },\n"
    "  sink 'out' { from = { global 'packed', global 'lines' }, null {} },\n"
    "  sink 'save' { from = global 'lines', file { path = '/log',\n"
    "    rotate = 9, format = 'csv' } },\n"
    "}\n";

static void check_inputs(struct trial *t)
{
    static const char *const lines[] = {
        "gzip 1",         "gzip 2",   "zstd 1",  "zstd 2",
        "the cow jumped", "the moon", "a cow a", "over the moon",
        "1\ta\"1",        "2\tb",     "3\tc\nd",
    };
    if (restarts(t, "out") > 0) return; /* it may have lost what it heard */
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (lines_of(t, lines[i]) == 0)
            spec_fail(__FILE__, __LINE__, "lost: %s", lines[i]);
}

/* JSON from file to file: lazy records, changed in place and beyond it, and a
 * look at what is inside. */
static const char records[] =
    "return topology 'count' {\n"
    "  spout 'lines' { file { path = '/records', format = 'json' } },\n"
    "  bolt 'up' { from = shuffle 'lines', fields = {'record'},\n"
    "    execute = function(self, r)\n"
    "      local user = r.user\n"
    "      r.level = r.level:upper()\n"
    "      r.more = { user.name, json.decode(r).id, user, ('x'):rep(99) }\n"
    "      for k, v in pairs(r) do r[k] = v end\n"
    "      r.text = json.encode { user }\n"
    "      r.user = nil\n"
    "      self.emit(r)\n"
    "    end },\n"
    "  sink 'save' { from = global 'up',\n"
    "    file { path = '/words', format = 'json' } },\n"
    "}\n";

static void check_records(struct trial *t)
{
    size_t bytes;
    const char *text = (const char *)sim_file_get(t->node, "/words", &bytes);
    bool again = failed(t, "lines") > 0 || all_restarts(t) > 0;
    unsigned right = 0, lines = 0;
    char line[400], long_text[100] = {0};
    memset(long_text, 'x', 99);
    if (restarts(t, "save") > 0) return; /* as of check_files() */
    for (size_t at = 0; at < bytes; lines++) {
        const char *end = memchr(text + at, '\n', bytes - at);
        CHECK(end != NULL);
        size_t count = (size_t)(end - text) - at;
        char id = count > 6 ? text[at + 6] : 0;
        snprintf(line, sizeof line,
                 "{\"id\":%c,\"level\":\"LOW\",\"more\":[\"n\",%c,{\"name\":"
                 "\"n\"},\"%s\"],\"text\":\"[{\\\"name\\\":\\\"n\\\"}]\"}",
                 id, id, long_text);
        right += strlen(line) == count && memcmp(line, text + at, count) == 0;
        at += count + 1;
    }
    if (right != lines || right < 3 || (right > 3 && !again))
        spec_fail(__FILE__, __LINE__, "%u lines, %u right", lines, right);
}

/* Two at a time are held and joined, copied, and taken apart again. */
static const char joins[] =
    "return topology 't' {\n"
    "  spout 'ids' { fields = {'n'},\n"
    "    open = function(self) self.i, self.again = 0, {} end,\n"
    "    next = function(self)\n"
    "      local n = table.remove(self.again)\n"
    "      if n then self.emit_id(n, n) return end\n"
    "      if self.i == 9 then return false end\n"
    "      self.i = self.i + 1\n"
    "      self.emit_id(self.i, self.i) end,\n"
    "    fail = function(self, id) self.again[#self.again + 1] = id end },\n"
    "  bolt 'pair' { fields = {'a', 'b'}, tasks = 2, acking = 'manual',\n"
    "    from = custom('ids', function(values, tasks)\n"
    "      return { tasks[values[1] % 2 + 1] } end), every = '10ms',\n"
    "    execute = function(self, n)\n"
    "      local first, mine = self.first, self.hold()\n"
    "      if not first then self.first = { n, mine } return end\n"
    "      self.emit_from({ first[2], mine }, first[1], n)\n"
    "      first[2]:ack() mine:ack() self.first = nil end,\n"
    "    tick = function(self)\n"
    "      local first = self.first\n"
    "      if not first then return end\n"
    "      self.emit_from({ first[2] }, first[1], first[1])\n"
    "      first[2]:ack() self.first = nil end },\n"
    "  bolt 'each' { from = all 'pair', tasks = 2, fields = {'n'},\n"
    "    prepare = function(self, context) self.index = context.index end,\n"
    "    execute = function(self, a, b)\n"
    "      self.emit(self.index == 0 and a or b) end },\n"
    "  sink 'out' { from = global 'each', null {} },\n"
    "}\n";

static void check_joins(struct trial *t)
{
    for (unsigned i = 1; i <= 9; i++) {
        char line[16];
        unsigned n = 0;
        snprintf(line, sizeof line, "%u", i);
        for (unsigned k = 0; k < t->count; k++)
            if (strcmp(t->lines[k], line) == 0) n++;
        if (n == 0) spec_fail(__FILE__, __LINE__, "%u was lost", i);
    }
}

/* The word count without a Lua function of its own, and with one before it;
 * the rest of the memory is the operators'. */
static const char native[] =
    "return topology 'count' {\n"
    "  spout 'lines' { list { {'the cow jumped'}, {'the moon'}, {'a cow "
    "a'},\n"
    "    {'over the moon'} }, fields = {'line'} },\n"
    "  bolt 'split' { from = shuffle 'lines', words 'line', tasks = 2 },\n"
    "  bolt 'count' { from = fields('split', 'word'), count_by 'word',\n"
    "    tasks = 2 },\n"
    "  bolt 'top' { from = global 'count', top(10, 'count') },\n"
    "  sink 'out' { from = global 'top', null {} },\n"
    "}\n";

static const char combined[] =
    "return topology 'count' {\n"
    "  spout 'lines' { list { {'the cow jumped'}, {'the moon'}, {'a cow "
    "a'},\n"
    "    {'over the moon'} }, fields = {'line'} },\n"
    "  bolt 'split' { from = shuffle 'lines', fields = {'word', 'n'},\n"
    "    flat_map(function(emit, line)\n"
    "      for w in line:gmatch '%a+' do emit(w, { 1 }) end end) },\n"
    "  bolt 'count' { from = fields('split', 'word'), count_by 'word' },\n"
    "  bolt 'sum' { from = global 'count',\n"
    "    reduce_by('word', 'count', function(a, b) return a + b end) },\n"
    "  sink 'out' { from = global 'sum', null {} },\n"
    "}\n";

static const char reduced[] =
    "local function add(a, b) return a + b end\n"
    "return topology 'count' {\n"
    "  spout 'lines' { list { {'the cow jumped'}, {'the moon'}, {'a cow "
    "a'},\n"
    "    {'over the moon'} }, fields = {'line'} },\n"
    "  bolt 'split' { from = shuffle 'lines', fields = {'word', 'n'},\n"
    "    flat_map(function(emit, line)\n"
    "      for w in line:gmatch '%a+' do emit(w, 1) end end) },\n"
    "  bolt 'count' { from = fields('split', 'word'), combine = true,\n"
    "    reduce_by('word', 'n', add) },\n"
    "  bolt 'sum' { from = global 'count',\n"
    "    reduce_by('word', 'n', add), combine = add },\n"
    "  sink 'out' { from = global 'sum', null {} },\n"
    "}\n";

/* What has no root is lost where it fails, or with a task that crashes. */
static void check_native(struct trial *t)
{
    size_t errors_at = offsetof(struct component_metrics, errors);
    if (restarts(t, "top") == 0 && counter(t, "top", errors_at) == 0 &&
        restarts(t, "sum") == 0 && counter(t, "sum", errors_at) == 0 &&
        messages_dropped(t) == 0)
        check_word_count(t);
}

/* Two lines fail for good, and come to the stream for such. */
static const char letters[] =
    "return topology 'letters' {\n"
    "  spout 'poem' { file { path = '/poem' }, retries = 1,\n"
    "    streams = { failed = {'line', 'reason', 'component'} } },\n"
    "  bolt 'bad' { from = shuffle 'poem', fields = {'line'},\n"
    "    execute = function(self, line)\n"
    "      if line:find 'moon' then error('no moon', 0) end end },\n"
    "  sink 'good' { from = shuffle 'bad', null {} },\n"
    "  sink 'out' { from = shuffle 'poem:failed', null {} },\n"
    "}\n";

static void check_letters(struct trial *t)
{
    CHECK(lines_of(t, "the moon") >= 1);
    CHECK(lines_of(t, "over the moon") >= 1);
    CHECK_EQ(lines_of(t, "the moon") + lines_of(t, "over the moon"), t->count);
}

/* Checkpoints are taken all the time; a task that crashes takes all back. */
static const char state[] =
    "local words = { 'one', 'two', 'three', 'four' }\n"
    "return topology 'state' {\n"
    "  spout 'in' { fields = {'word'}, generator { rate = 1000, count = 40,\n"
    "    make = function(i) return words[i % 4 + 1] end } },\n"
    "  bolt 'count' { from = fields('in', 'word'), state = 'durable',\n"
    "    fields = {'word', 'n'}, tasks = 2,\n"
    "    execute = function(self, word)\n"
    "      self.state:add(word)\n"
    "      self.state:push('all', word)\n"
    "    end,\n"
    "    finish = function(self)\n"
    "      for k, n in pairs(self.state) do\n"
    "        if k ~= 'all' then self.emit(k, n) end\n"
    "      end\n"
    "    end },\n"
    "  sink 'out' { from = global 'count', null {} },\n"
    "}\n";

static void check_state(struct trial *t)
{
    static const char *const words[] = {"one", "two", "three", "four"};
    for (int i = 0; i < 4; i++) {
        unsigned n = sum_of(t, words[i]);
        if (n < 10 || (n > 10 && all_restarts(t) == 0 && failed(t, "in") == 0))
            spec_fail(__FILE__, __LINE__, "%u times '%s', not 10", n, words[i]);
    }
}

/* A number goes through three kinds of windows, or is late at one of them. */
static const char windows[] =
    "return topology 'windows' {\n"
    "  spout 'numbers' { retries = 'forever', generator { count = 40 },\n"
    "    fields = {'n'} },\n"
    "  bolt 'counted' { from = shuffle 'numbers', fields = {'n'},\n"
    "    window = tumbling { length = '7 tuples' },\n"
    "    execute = function(self, window)\n"
    "      for _, t in ipairs(window.new) do self.emit(t.n) end end },\n"
    "  bolt 'timed' { from = shuffle 'counted', fields = {'n', 'k'},\n"
    "    window = sliding { length = '4s', every = '2s', timestamp = 'n',\n"
    "      lag = '1s', late = 'late', early = '10ms', allowed = '3s' },\n"
    "    execute = function(self, window)\n"
    "      for _, t in ipairs(window.new) do self.emit(t.n, t.n % 2) end\n"
    "    end },\n"
    "  bolt 'keyed' { from = shuffle 'timed:late', fields = {'n', 'k'},\n"
    "    map(function(n) return n, n % 2 end) },\n"
    "  bolt 'sessions' { from = { shuffle 'timed', shuffle 'keyed' },\n"
    "    fields = {'n'}, window = session { gap = '3s', by = 'k' },\n"
    "    execute = function(self, window)\n"
    "      for _, t in ipairs(window.tuples) do self.emit(t.n) end end },\n"
    "  bolt 'joined' { from = { global 'sessions', global 'counted' },\n"
    "    window = tumbling { length = '1h' },\n"
    "    join('sessions.n', full 'counted.n', {'sessions.n'}) },\n"
    "  sink 'out' { from = global 'joined', null {} },\n"
    "}\n";

static void check_windows(struct trial *t)
{
    if (restarts(t, "out") > 0) return; /* it may have lost what it heard */
    for (unsigned i = 1; i <= 40; i++) {
        char line[16];
        unsigned n = 0;
        snprintf(line, sizeof line, "%u", i);
        for (unsigned k = 0; k < t->count; k++)
            if (strcmp(t->lines[k], line) == 0) n++;
        if (n == 0) spec_fail(__FILE__, __LINE__, "%u was lost", i);
    }
}

/* Round a loop, through a queue into a file and segments, and counted, each
 * once. */
static const char exactly[] =
    "local words = { 'one', 'two', 'three', 'four' }\n"
    "return topology 'exactly' { guarantee = 'exactly-once',\n"
    "  spout 'in' { fields = {'word'}, generator { rate = 1000, count = 40,\n"
    "    make = function(i) return words[i % 4 + 1] end } },\n"
    "  bolt 'turn' { from = { shuffle 'in', shuffle 'again' },\n"
    "    streams = { default = {'word', 'left'}, done = {'word'} },\n"
    "    execute = { ['in'] = function(self, word) self.emit(word, 2) end,\n"
    "      again = function(self, word, left)\n"
    "        if left > 1 then return self.emit(word, left - 1) end\n"
    "        self.emit_to('done', word) end } },\n"
    "  bolt 'again' { from = shuffle 'turn', fields = {'word', 'left'},\n"
    "    map(function(word, left) return word, left end) },\n"
    "  sink 'queue' { from = shuffle 'turn:done', queue 'words' },\n"
    "  spout 'read' { fields = {'word'},\n"
    "    queue { name = 'words', ends = true } },\n"
    "  bolt 'count' { from = global 'read', count_by 'word' },\n"
    "  bolt 'best' { from = global 'count', top(9, 'count') },\n"
    "  bolt 'sum' { from = global 'best', fields = {'word', 'count'},\n"
    "    reduce_by('word', 'count', function(a, b) return a + b end) },\n"
    "  sink 'copy' { from = global 'read', file { path = '/copy' } },\n"
    "  sink 'parts' { from = global 'read',\n"
    "    file { path = 'parts', segments = 10 } },\n"
    "  sink 'out' { from = global 'sum', null {} },\n"
    "}\n";

static size_t bytes_of_parts(struct sim_disk *disk)
{
    char path[32];
    size_t sum = 0, bytes = 0;
    for (unsigned i = 1;; i++, sum += bytes) {
        snprintf(path, sizeof path, "parts-%08u", i);
        if (sim_disk_get(disk, path, &bytes) == NULL) return sum;
    }
}

/* What is told at the end may be told again by the next actor. */
static void check_exactly(struct trial *t)
{
    size_t bytes, all = 10 * strlen("one\ntwo\nthree\nfour\n");
    struct sim_disk *disk = sim_disk(t->node);
    const uint8_t *copy = sim_disk_get(disk, "/copy", &bytes);
    for (unsigned i = 0; i < t->count; i++)
        if (strstr(t->lines[i], "\t10") == NULL)
            spec_fail(__FILE__, __LINE__, "'%s' is not 10", t->lines[i]);
    CHECK(t->count >= 4);
    CHECK(copy != NULL);
    if (copy) CHECK_EQ(bytes, all);
    CHECK_EQ(bytes_of_parts(disk), all);
}

const struct story stories[STORIES] = {
    {"word count", word_count, 0, check_word_count, 0},
    {"reload", reload, 10000000, check_reload, 0},
    {"errors", errors, 0, check_errors, 0},
    {"files", files, 0, check_files, 0},
    {"inputs", inputs, 0, check_inputs, 0},
    {"records", records, 0, check_records, 0},
    {"joins", joins, 0, check_joins, 0},
    {"operators", native, 0, check_native, 0},
    {"combined", combined, 0, check_native, 0},
    {"reduced", reduced, 0, check_native, 0},
    {"letters", letters, 0, check_letters, 2},
    {"state", state, 0, check_state, 0},
    {"windows", windows, 0, check_windows, 0},
    {"exactly", exactly, 0, check_exactly, 0},
};
