/* Checkpoints: a topology goes on from the newest one, wherever it was killed,
 * and its state says at least what was put there by what isn't read again. */
#include "spec/sim/kept.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

static void count_out(struct kept *k, const struct stream *s)
{
    for (unsigned i = 0; i < stream_count(s); i++)
        k->counts[atoi(stream_line(s, i)) % KEPT_LINES]++;
}

static void check_none_lost(const struct kept *k)
{
    for (int i = 0; i < KEPT_LINES; i++)
        if (k->counts[i] == 0)
            spec_fail(__FILE__, __LINE__, "line %d was lost", i);
}

/* Runs until the topology has ended, and is killed on its way. */
static void run_to_the_end(struct kept *k, const char *text, uint64_t *kills,
                           uint64_t *resumed)
{
    for (;;) {
        struct stream *s = stream_start(k->sim, sim_node(k->sim, 1), text);
        if (sim_random(k->sim, 6) == 0)
            stream_run(s);
        else
            kept_steps(k, 250);
        count_out(k, s);
        bool over = stream_ended(s);
        if (over) CHECK_EQ(stream_run(s)->why, OK);
        *resumed += over && stream_totals(s, "lines").emitted < KEPT_LINES;
        *kills += !over;
        stream_free(s);
        if (over) return;
    }
}

static const char passing[] =
    "return topology 't' { max_pending = 40,\n"
    "  spout 'lines' { file { path = 'lines.txt' }, tasks = TASKS,\n"
    "    retries = 'forever' },\n"
    "  bolt 'same' { from = shuffle 'lines', fields = {'line'}, tasks = 2,\n"
    "    execute = function(self, line) self.emit(line) end },\n"
    "  sink 'out' { from = global 'same', null {} },\n"
    "}\n";

SPEC(checkpoint, goes_on_in_a_file_where_the_process_was_killed)
{
    uint64_t kills = 0, resumed = 0, refusals = 0;
    FOR_SEEDS(60)
    {
        struct kept k;
        char text[sizeof passing + 32];
        kept_begin(&k);
        k.fault = sim_random(k.sim, 2) ? 20 : 0;
        snprintf(text, sizeof text, "local TASKS = %u\n%s",
                 1 + (unsigned)sim_random(k.sim, 2), passing);
        kept_put_lines(&k);
        run_to_the_end(&k, text, &kills, &resumed);
        check_none_lost(&k);
        refusals += k.refusals;
        kept_end(&k);
    }
    CHECK_SEEN(kills);
    CHECK_SEEN(resumed);
    CHECK_SEEN(refusals);
}

static const char counting[] =
    "return topology 't' { max_pending = 40,\n"
    "  spout 'lines' { SOURCE, fields = {'line'}, retries = 'forever' },\n"
    "  bolt 'count' { from = fields('lines', 'line'), fields = {'n', 'sum'},\n"
    "    tasks = 2, state = 'durable',\n"
    "    execute = function(self, line) self.state:add(tonumber(line), 1) "
    "end,\n"
    "    finish = function(self)\n"
    "      for n, sum in pairs(self.state) do\n"
    "        for i = 1, sum do self.emit(n, sum) end\n"
    "      end\n"
    "    end },\n"
    "  sink 'out' { from = global 'count', null {} },\n"
    "}\n";

static const char *const sources[] = {
    "file { path = 'lines.txt' }",
    "generator { count = 400, make = function(i) return i - 1 end }",
    "list((function() local l = {} for i = 0, 399 do l[#l + 1] = {i} end "
    "return l end)())",
    "stdin {}",
};

enum { REWINDS = 3, STDIN = 3 }; /* of them so many; and one doesn't */

static void source_text(char *text, size_t bytes, uint64_t which)
{
    const char *place = strstr(counting, "SOURCE");
    snprintf(text, bytes, "%.*s%s%s", (int)(place - counting), counting,
             sources[which], place + strlen("SOURCE"));
}

SPEC(checkpoint, keeps_what_was_counted_when_the_process_was_killed)
{
    uint64_t kills = 0, resumed = 0;
    FOR_SEEDS(60)
    {
        struct kept k;
        char text[2048];
        kept_begin(&k);
        source_text(text, sizeof text, sim_random(k.sim, REWINDS));
        kept_put_lines(&k);
        run_to_the_end(&k, text, &kills, &resumed);
        check_none_lost(&k);
        kept_end(&k);
    }
    CHECK_SEEN(kills);
    CHECK_SEEN(resumed);
}

/* Any task: then all go back to the newest checkpoint; what can't be read again
 * is emitted again all the same. */
SPEC(checkpoint, goes_back_when_a_task_crashes)
{
    static const char *const names[] = {"lines", "count", "out"};
    uint64_t kills = 0, read_once = 0;
    FOR_SEEDS(80)
    {
        struct kept k;
        char text[2048];
        kept_begin(&k);
        k.fault = sim_random(k.sim, 2) ? 20 : 0;
        uint64_t source = sim_random(k.sim, REWINDS + 1);
        source_text(text, sizeof text, source);
        kept_put_lines(&k);
        if (source == STDIN) kept_use_stdin(&k);
        read_once += source == STDIN;
        struct stream *s = stream_start(k.sim, sim_node(k.sim, 1), text);
        for (int i = 0; i < 6 && !stream_ended(s); i++) {
            kept_steps(&k, 150);
            if (stream_ended(s)) break;
            stream_kill(s, names[sim_random(k.sim, 3)], 0);
            kills++;
        }
        CHECK_EQ(stream_run(s)->why, OK);
        count_out(&k, s);
        check_none_lost(&k);
        stream_free(s);
        kept_end(&k);
    }
    kept_use_stdin(NULL);
    CHECK_SEEN(kills);
    CHECK_SEEN(read_once);
}

/* Without failures nothing is counted twice: a stop is a checkpoint. */
SPEC(checkpoint, that_ends_a_stopped_run_is_where_the_next_one_begins)
{
    uint64_t stops = 0;
    FOR_SEEDS(40)
    {
        struct kept k;
        char text[2048];
        kept_begin(&k);
        source_text(text, sizeof text, sim_random(k.sim, 3));
        kept_put_lines(&k);
        bool over = false;
        while (!over) {
            struct stream *s = stream_start(k.sim, sim_node(k.sim, 1), text);
            kept_steps(&k, 250);
            if (!stream_ended(s) && sim_random(k.sim, 3))
                stream_drain(s, (int64_t)10 * 1000 * KEPT_MS);
            const struct topology_end *how = stream_run(s);
            CHECK(how->why == OK || how->why == ERR_STOPPED);
            CHECK_EQ(how->unsettled, 0);
            over = how->why == OK;
            stops += !over;
            count_out(&k, s);
            stream_free(s);
        }
        for (int i = 0; i < KEPT_LINES; i++)
            CHECK_EQ(k.counts[i], 1);
        kept_end(&k);
    }
    CHECK_SEEN(stops);
}
