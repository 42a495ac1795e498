/* What Storm's checkpoints and Scribengin's commits are tried with, restated
 * for one transaction over all tasks: see the table of cases_spec.c. */
#include "core/sim_disk.h"
#include "spec/sim/kept.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tale {
    struct kept k;
    const char *text;
    const char *victims[4]; /* components whose tasks are killed */
    uint64_t kills, crashes;
    void (*between)(struct tale *t); /* two lives of the process; or NULL */
    bool may_fail;                   /* a life, which says why */
};

static struct sim_disk *disk_of(const struct tale *t)
{
    return sim_disk(sim_node(t->k.sim, 1));
}

/* True: the topology has ended well. */
static bool live(struct tale *t)
{
    struct sim *sim = t->k.sim;
    struct stream *s = stream_start(sim, sim_node(sim, 1), t->text);
    for (uint64_t i = sim_random(sim, 3); i > 0 && t->victims[0]; i--) {
        unsigned count = 0;
        while (count < 4 && t->victims[count])
            count++;
        kept_steps(&t->k, 300);
        if (stream_ended(s)) break;
        stream_kill(s, t->victims[sim_random(sim, count)], 0);
        t->crashes++;
    }
    if (sim_random(sim, 4) == 0 && !t->may_fail)
        stream_run(s);
    else
        kept_steps(&t->k, 400);
    bool over = stream_ended(s), well = over && stream_run(s)->why == OK;
    if (over && !t->may_fail) CHECK(well);
    stream_free(s);
    return well;
}

static void tell(struct tale *t)
{
    while (!live(t)) {
        t->kills++;
        if (t->between) t->between(t);
    }
}

/* How often each number stands at the beginning of a line of the file. */
static unsigned count_lines(struct tale *t, const char *path)
{
    size_t bytes;
    unsigned lines = 0;
    const char *at = (const char *)sim_disk_get(disk_of(t), path, &bytes);
    memset(t->k.counts, 0, sizeof t->k.counts);
    CHECK(at != NULL);
    for (const char *end = at + bytes; at < end; lines++) {
        char line[256];
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        CHECK(stop && stop - at < 256);
        memcpy(line, at, (size_t)(stop - at));
        line[stop - at] = '\0';
        t->k.counts[atoi(line) % KEPT_LINES]++;
        at = stop + 1;
    }
    return lines;
}

static void check_counts(const struct tale *t, unsigned each)
{
    for (int i = 0; i < KEPT_LINES; i++)
        if (t->k.counts[i] != each)
            spec_fail(__FILE__, __LINE__, "number %d stands there %u times", i,
                      t->k.counts[i]);
}

/* ---- barriers ---- */

/* Two spouts, and two ways from the first to the last bolt. */
static const char diamond[] =
    "return topology 't' { guarantee = 'exactly-once',\n"
    "  spout 'one' { file { path = 'lines.txt' } },\n"
    "  spout 'two' { fields = {'line'}, generator { count = 400, rate = 8000,\n"
    "    make = function(i) return i - 1 end } },\n"
    "  bolt 'first' { from = { shuffle 'one', shuffle 'two' }, tasks = 2,\n"
    "    fields = {'line'}, state = 'durable', execute = function(self, line)\n"
    "      self.state:add('all')\n"
    "      self.emit(line)\n"
    "    end },\n"
    "  bolt 'second' { from = shuffle 'one', fields = {'line'},\n"
    "    execute = function(self, line) self.emit(line) end },\n"
    "  bolt 'third' { from = { shuffle 'first', global 'second' }, tasks = 2,\n"
    "    fields = {'line'}, state = 'durable', execute = function(self, line)\n"
    "      self.emit(line)\n"
    "      self.state:add(tonumber(line))\n"
    "    end,\n"
    "    finish = function(self)\n"
    "      for k, n in pairs(self.state) do\n"
    "        for i = 1, n do self.emit(k) end\n"
    "      end\n"
    "    end },\n"
    "  sink 'copy' { from = global 'third', file { path = 'out.txt' } },\n"
    "}\n";

SPEC(recovery, e5_aligns_where_ways_meet_again)
{
    struct tale t = {.text = diamond,
                     .victims = {"one", "first", "third", "copy"}};
    FOR_SEEDS(200)
    {
        kept_begin(&t.k);
        kept_put_lines(&t.k);
        t.k.fault = sim_random(t.k.sim, 3) ? 0 : 20;
        tell(&t);
        count_lines(&t, "out.txt");
        check_counts(&t, 2 * 3); /* as they came, and counted */
        kept_end(&t.k);
    }
    CHECK_SEEN(t.kills);
    CHECK_SEEN(t.crashes);
}

/* Each number goes round n % 7 + 1 times, and says at last by how many times
 * more or less the state has seen it. */
static const char rounds[] =
    "return topology 't' { guarantee = GUARANTEE,\n"
    "  spout 'lines' { file { path = 'lines.txt' } },\n"
    "  bolt 'step' { from = { fields('lines', 'line'), fields('again', 'n') "
    "},\n"
    "    tasks = 2, retries = RETRIES, state = 'durable',\n"
    "    streams = { default = {'n', 'left'}, done = {'n', 'more'},\n"
    "      last = {'text'} },\n"
    "    finish = function(self) self.emit_to('last', 'over') end,\n"
    "    execute = { lines = function(self, n)\n"
    "      self.emit(n, tonumber(n) % 7)\n"
    "      self.state:add(n)\n"
    "      if random() < 0.05 then error 'not now' end\n"
    "    end, again = function(self, n, left)\n"
    "      self.state:add(n)\n"
    "      if left > 0 then return self.emit(n, left - 1) end\n"
    "      self.emit_to('done', n, self.state[n] - tonumber(n) % 7 - 2)\n"
    "    end } },\n"
    "  bolt 'again' { from = shuffle 'step', tasks = 2, fields = {'n', "
    "'left'},\n"
    "    execute = function(self, n, left) self.emit(n, left) end },\n"
    "  sink 'copy' { from = global 'step:done', file { path = 'out.txt' } },\n"
    "  sink 'last' { from = global 'step:last', file { path = 'last.txt' } },\n"
    "}\n";

static void check_rounds(struct tale *t)
{
    size_t bytes;
    CHECK_EQ(count_lines(t, "last.txt"), 2); /* one a task */
    CHECK_EQ(count_lines(t, "out.txt"), KEPT_LINES);
    check_counts(t, 1);
    const char *at = (const char *)sim_disk_get(disk_of(t), "out.txt", &bytes);
    for (const char *end = at + bytes; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        CHECK(stop && stop - at > 2 && memcmp(stop - 2, "\t0", 2) == 0);
        at = stop + 1;
    }
}

static void check_none_missing(struct tale *t)
{
    count_lines(t, "out.txt");
    for (int i = 0; i < KEPT_LINES; i++)
        if (t->k.counts[i] == 0)
            spec_fail(__FILE__, __LINE__, "number %d is missing", i);
}

SPEC(recovery, takes_along_what_goes_round_a_loop)
{
    char text[sizeof rounds + 64];
    struct tale t = {.text = text,
                     .victims = {"lines", "step", "again", "copy"}};
    FOR_SEEDS(300)
    {
        kept_begin(&t.k);
        kept_put_lines(&t.k);
        t.k.fault = sim_random(t.k.sim, 3) ? 0 : 20;
        bool exact = sim_random(t.k.sim, 4) > 0;
        snprintf(text, sizeof text, "local GUARANTEE, RETRIES = '%s', %s\n%s",
                 exact ? "exactly-once" : "at-least-once", exact ? "20" : "nil",
                 rounds);
        tell(&t);
        if (exact)
            check_rounds(&t);
        else
            check_none_missing(&t);
        kept_end(&t.k);
    }
    CHECK_SEEN(t.kills);
    CHECK_SEEN(t.crashes);
}

/* ---- commits ---- */

static const char copy[] =
    "return topology 't' { guarantee = 'exactly-once',\n"
    "  spout 'lines' { fields = {'line'}, generator { count = 400,\n"
    "    rate = 8000, make = function(i) return i - 1 end } },\n"
    "  sink 'copy' { from = global 'lines', file { path = 'out.txt' } },\n"
    "}\n";

/* As if the process had written on behind its last checkpoint. */
static void write_on(struct tale *t)
{
    char line[16];
    for (unsigned i = 0; i < 1000; i++) {
        int bytes = snprintf(line, sizeof line, "%u\n", i % KEPT_LINES);
        CHECK_EQ(sim_disk_add(disk_of(t), "out.txt", line, (size_t)bytes), OK);
    }
}

SPEC(recovery, f19_cuts_off_what_no_checkpoint_knows)
{
    struct tale t = {.text = copy, .between = write_on};
    FOR_SEEDS(200)
    {
        kept_begin(&t.k);
        tell(&t);
        CHECK_EQ(count_lines(&t, "out.txt"), KEPT_LINES);
        check_counts(&t, 1);
        kept_end(&t.k);
    }
    CHECK_SEEN(t.kills);
}

/* Calls of the disk fail and it is full in between; a failed sync ends a
 * life, and the next one knows what the disk has. */
static void heal_or_hurt(struct tale *t)
{
    struct sim_faults faults = {0};
    if (sim_random(t->k.sim, 2))
        faults =
            (struct sim_faults){.write_fails = 200,
                                .sync_fails = 200,
                                .open_fails = 100,
                                .room_bytes = 1 + sim_random(t->k.sim, 9999)};
    sim_set_faults(sim_node(t->k.sim, 1), &faults);
}

SPEC(recovery, f25_loses_nothing_when_calls_of_the_disk_fail)
{
    struct tale t = {.text = copy, .between = heal_or_hurt, .may_fail = true};
    FOR_SEEDS(200)
    {
        kept_begin(&t.k);
        kept_put_lines(&t.k);
        t.k.fault = sim_random(t.k.sim, 3) ? 0 : 20;
        heal_or_hurt(&t);
        tell(&t);
        CHECK_EQ(count_lines(&t, "out.txt"), KEPT_LINES);
        check_counts(&t, 1);
        kept_end(&t.k);
    }
    CHECK_SEEN(t.kills);
}

/* ---- what always fails ---- */

static const char poisoned[] =
    "return topology 't' { guarantee = 'exactly-once',\n"
    "  spout 'lines' { file { path = 'lines.txt' } },\n"
    "  bolt 'same' { from = shuffle 'lines', retries = 2, state = 'durable',\n"
    "    streams = { default = {'line'}, failed = {'line', 'reason', 'task'} "
    "},\n"
    "    execute = function(self, line)\n"
    "      self.emit(line)\n"
    "      self.state:add(line)\n"
    "      if tonumber(line) % 20 == 7 then error 'it is poison' end\n"
    "    end },\n"
    "  sink 'copy' { from = global 'same', file { path = 'out.txt' } },\n"
    "  sink 'bad' { from = global 'same:failed', file { path = 'bad.txt' } },\n"
    "}\n";

SPEC(recovery, f26_puts_what_always_fails_aside_once)
{
    static const char end[] = "it is poison\t0\n";
    struct tale t = {.text = poisoned,
                     .victims = {"lines", "same", "copy", "bad"}};
    FOR_SEEDS(200)
    {
        unsigned sound[KEPT_LINES];
        size_t bytes;
        kept_begin(&t.k);
        kept_put_lines(&t.k);
        tell(&t);
        CHECK_EQ(count_lines(&t, "out.txt"), KEPT_LINES * 19 / 20);
        memcpy(sound, t.k.counts, sizeof sound);
        CHECK_EQ(count_lines(&t, "bad.txt"), KEPT_LINES / 20);
        for (int i = 0; i < KEPT_LINES; i++) {
            CHECK_EQ(sound[i], i % 20 != 7);
            CHECK_EQ(t.k.counts[i], i % 20 == 7);
        }
        const char *bad =
            (const char *)sim_disk_get(disk_of(&t), "bad.txt", &bytes);
        CHECK(bytes > strlen(end) &&
              memcmp(bad + bytes - strlen(end), end, strlen(end)) == 0);
        kept_end(&t.k);
    }
    CHECK_SEEN(t.kills);
    CHECK_SEEN(t.crashes);
}
