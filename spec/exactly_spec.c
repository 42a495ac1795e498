/* guarantee = "exactly-once": what a file brings stands in a file once,
 * wherever tasks crash, the process is killed, the power is cut, the disk is
 * slow or refuses, calls fail and commits do. */
#include "core/sim_disk.h"
#include "spec/sim/kept.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char copying[] =
    "return topology 't' { guarantee = 'exactly-once',\n"
    "  spout 'lines' { SLOWLY and generator { rate = 4000, count = 400,\n"
    "      make = function(i) return i - 1 end } or\n"
    "    file { path = 'lines.txt' }, fields = {'line'} },\n"
    "  bolt 'same' { from = shuffle 'lines', fields = {'line', 'n'},\n"
    "    retries = 20, state = STATE, tasks = TASKS,\n"
    "    execute = function(self, line)\n"
    "      local n = STATE and self.state:add('all', 1) or 0\n"
    "      self.emit(line, n)\n"
    "      if random() < FAILING then error 'not now' end\n"
    "    end },\n"
    "  sink 'copy' { from = shuffle 'same', tasks = SINKS,\n"
    "    file { path = 'out.txt', segments = SEGMENTS, every = EVERY } },\n"
    "}\n";

/* What the sinks' files hold. */
static unsigned read_out(struct kept *k, const char *path)
{
    size_t bytes;
    unsigned lines = 0;
    const char *at =
        (const char *)sim_disk_get(sim_disk(sim_node(k->sim, 1)), path, &bytes);
    if (at == NULL) return 0;
    for (const char *end = at + bytes; at < end; lines++) {
        char line[256];
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        CHECK(stop && stop - at < 256);
        if (stop == NULL) return lines;
        memcpy(line, at, (size_t)(stop - at));
        line[stop - at] = '\0';
        k->counts[atoi(line) % KEPT_LINES]++;
        at = stop + 1;
    }
    return lines;
}

/* How a sink's i-th file is called; NULL: it has no more. */
static const char *file_name(char path[64], unsigned sinks, unsigned sink,
                             bool segments, unsigned i)
{
    char number[16] = "", task[16] = "";
    if (sinks > 1) snprintf(task, sizeof task, "%c%u", "-."[!segments], sink);
    if (segments) snprintf(number, sizeof number, "-%08u", i + 1);
    if (i > 0 && !segments) return NULL;
    if (segments)
        snprintf(path, 64, "out%s%s.txt", task, number);
    else
        snprintf(path, 64, "out.txt%s", task);
    return path;
}

/* The files' lines. Of segments a reader sees none twice, ever, and what was
 * seen once stays. */
static unsigned read_all(struct kept *k, unsigned sinks, bool segments)
{
    char path[64];
    size_t bytes;
    unsigned files = 0, before[KEPT_LINES];
    memcpy(before, k->counts, sizeof before);
    memset(k->counts, 0, sizeof k->counts);
    for (unsigned sink = 0; sink < sinks; sink++)
        for (unsigned i = 0;
             file_name(path, sinks, sink, segments, i) &&
             sim_disk_get(sim_disk(sim_node(k->sim, 1)), path, &bytes);
             i++, files++)
            read_out(k, path);
    for (int i = 0; i < KEPT_LINES; i++)
        if (k->counts[i] > 1 || k->counts[i] < before[i])
            spec_fail(__FILE__, __LINE__,
                      "line %d stands there %u times, %u before", i,
                      k->counts[i], before[i]);
    return files;
}

static void check_all_once(struct kept *k, unsigned sinks, bool segments)
{
    read_all(k, sinks, segments);
    for (int i = 0; i < KEPT_LINES; i++)
        if (k->counts[i] == 0)
            spec_fail(__FILE__, __LINE__, "line %d isn't there", i);
}

struct damage {
    uint64_t kills, crashes, cuts, refusals, failures;
    uint64_t several; /* files of a sink */
};

/* One life of the process; true: the topology has ended. */
static bool live(struct kept *k, const char *text, struct damage *d)
{
    static const char *const names[] = {"lines", "same", "copy"};
    struct stream *s = stream_start(k->sim, sim_node(k->sim, 1), text);
    for (uint64_t i = sim_random(k->sim, 4); i > 0; i--) {
        kept_steps(k, 150);
        if (stream_ended(s)) break;
        stream_kill(s, names[sim_random(k->sim, 3)], 0);
        d->crashes++;
    }
    if (sim_random(k->sim, 4) == 0)
        stream_run(s);
    else
        kept_steps(k, 250);
    bool over = stream_ended(s);
    if (over) CHECK_EQ(stream_run(s)->why, OK);
    if (over) CHECK_EQ(stream_run(s)->gave_up, 0);
    d->failures += stream_totals(s, "same").failed;
    stream_free(s);
    return over;
}

static void choose(struct kept *k, char *text, size_t bytes, unsigned sinks,
                   bool segments)
{
    uint64_t tasks = 1 + sim_random(k->sim, 2);
    bool old = sim_random(k->sim, 2);
    snprintf(text, bytes,
             "local STATE, FAILING, TASKS, SINKS = %s, %s, %u, %u\n"
             "local SEGMENTS, EVERY, SLOWLY = %s, %s, %s\n%s",
             sim_random(k->sim, 2) ? "'durable'" : "nil",
             sim_random(k->sim, 2) ? "0.1" : "0", (unsigned)tasks, sinks,
             !segments ? "nil"
             : old     ? "100000"
                       : "300",
             segments && old ? "'8ms'" : "nil",
             segments && sim_random(k->sim, 2) ? "true" : "false", copying);
    k->fault = sim_random(k->sim, 3) ? 0 : 20;
    if (sim_random(k->sim, 2))
        sim_set_faults(
            sim_node(k->sim, 1),
            &(struct sim_faults){
                .writes_short = 200,
                .reads_short = 200,
                .slow = 300,
                .rename_fails = 200,
                .slow_ns =
                    (int64_t)(sim_random(k->sim, 2) ? 20 : 3000) * KEPT_MS});
}

static void copy_all(bool segments, struct damage *d)
{
    struct kept k;
    char text[2048];
    kept_begin(&k);
    kept_put_lines(&k);
    unsigned sinks = 1 + (unsigned)sim_random(k.sim, 2);
    choose(&k, text, sizeof text, sinks, segments);
    while (!live(&k, text, d)) {
        if (segments) read_all(&k, sinks, true);
        d->kills++;
        if (sim_random(k.sim, 2) == 0) continue;
        sim_disk_power_cut(sim_disk(sim_node(k.sim, 1)));
        d->cuts++;
    }
    d->several += read_all(&k, sinks, segments) > sinks;
    check_all_once(&k, sinks, segments);
    d->refusals += k.refusals;
    kept_end(&k);
}

SPEC(exactly, brings_each_line_of_a_file_into_a_file_once)
{
    struct damage d = {0};
    FOR_SEEDS(400) copy_all(false, &d);
    CHECK_SEEN(d.kills);
    CHECK_SEEN(d.crashes);
    CHECK_SEEN(d.cuts);
    CHECK_SEEN(d.refusals);
    CHECK_SEEN(d.failures);
}

SPEC(exactly, lets_readers_see_whole_segments_only)
{
    struct damage d = {0};
    FOR_SEEDS(300) copy_all(true, &d);
    CHECK_SEEN(d.kills);
    CHECK_SEEN(d.cuts);
    CHECK_SEEN(d.several);
}

/* ---- operators that gather ---- */

static const char gathering[] =
    "return topology 't' { guarantee = 'exactly-once',\n"
    "  spout 'lines' { file { path = 'lines.txt' } },\n"
    "  bolt 'same' { from = shuffle 'lines', fields = {'digit', 'n'},\n"
    "    retries = 20, execute = function(self, line)\n"
    "      local n = tonumber(line)\n"
    "      self.emit(n % 10, n)\n"
    "      if random() < 0.05 then error 'not now' end\n"
    "    end },\n"
    "  bolt 'gather' { from = global 'same', OPERATOR },\n"
    "  sink 'copy' { from = global 'gather', file { path = 'out.txt' } },\n"
    "}\n";

/* What it comes to. In what order digits come first is the file's. */
static const struct {
    const char *operator, * out;
} gathered[] = {
    {"count_by 'digit'", "0\t40\n1\t40\n2\t40\n3\t40\n4\t40\n5\t40\n6\t40\n"
                         "7\t40\n8\t40\n9\t40\n"},
    {"reduce_by('digit', 'n', function(a, b) return a + b end)",
     "0\t7800\n1\t7840\n2\t7880\n3\t7920\n4\t7960\n5\t8000\n6\t8040\n7\t8080\n"
     "8\t8120\n9\t8160\n"},
    {"combine = true, reduce_by('digit', 'n', function(a, b) return a + b end)",
     "0\t7800\n1\t7840\n2\t7880\n3\t7920\n4\t7960\n5\t8000\n6\t8040\n7\t8080\n"
     "8\t8120\n9\t8160\n"},
    {"top(3, 'digit')", "9\t9\n9\t19\n9\t29\n"},
    {"top(3, 'n')", "9\t399\n8\t398\n7\t397\n"},
};

SPEC(exactly, gathers_each_tuple_once)
{
    struct damage d = {0};
    FOR_SEEDS(300)
    {
        struct kept k;
        char text[2048];
        size_t bytes;
        kept_begin(&k);
        kept_put_lines(&k);
        uint64_t which =
            sim_random(k.sim, sizeof gathered / sizeof gathered[0]);
        k.fault = sim_random(k.sim, 3) ? 0 : 20;
        const char *place = strstr(gathering, "OPERATOR");
        snprintf(text, sizeof text, "%.*s%s%s", (int)(place - gathering),
                 gathering, gathered[which].operator,
                 place + strlen("OPERATOR"));
        while (!live(&k, text, &d))
            d.kills++;
        const void *out =
            sim_disk_get(sim_disk(sim_node(k.sim, 1)), "out.txt", &bytes);
        CHECK(out != NULL);
        CHECK_EQ(bytes, strlen(gathered[which].out));
        if (out && bytes == strlen(gathered[which].out))
            CHECK(memcmp(out, gathered[which].out, bytes) == 0);
        kept_end(&k);
    }
    CHECK_SEEN(d.kills);
    CHECK_SEEN(d.crashes);
}

static const char failing[] =
    "return topology 't' { guarantee = 'exactly-once',\n"
    "  spout 'numbers' { fields = {'n'},\n"
    "    generator { count = 20, make = function(i) return i end } },\n"
    "  bolt 'odd' { from = shuffle 'numbers', fields = {'n'},\n"
    "    prepare = function(self) self.tries = {} end,\n"
    "    execute = function(self, n)\n"
    "      self.emit(n)\n"
    "      self.tries[n] = (self.tries[n] or 0) + 1\n"
    "      if n == 7 or n % 3 == 0 and self.tries[n] == 1 then error 'no' end\n"
    "    end },\n"
    "  sink 'out' { from = shuffle 'odd', null {} },\n"
    "}\n";

/* 3, 6, 9, 12, 15 and 18 fail once, 7 four times, and then it is given up. */
static void in_order(struct stream *s)
{
    CHECK_EQ(stream_run(s)->gave_up, 1);
    CHECK_EQ(stream_count(s), 19);
    for (unsigned i = 0; i < stream_count(s); i++)
        CHECK_EQ(atoi(stream_line(s, i)), (int)(i < 6 ? i + 1 : i + 2));
    struct stream_totals all = stream_totals(s, "odd");
    CHECK_EQ(all.failed, 10);
    CHECK_EQ(all.replayed, 9);
}

SPEC(exactly, tries_what_failed_again_before_any_other)
{
    struct kept k;
    kept_begin(&k);
    struct stream *s = stream_start(k.sim, sim_node(k.sim, 1), failing);
    in_order(s);
    stream_free(s);
    kept_end(&k);
}

/* ---- a file that isn't as it was ---- */

static void run_some(struct kept *k, const char *text, unsigned lines)
{
    struct stream *s = stream_start(k->sim, sim_node(k->sim, 1), text);
    while (!stream_ended(s) && stream_totals(s, "copy").executed < lines)
        sim_step(k->sim, INT64_MAX);
    sim_advance(k->sim, 50 * KEPT_MS);
    stream_free(s);
}

SPEC(exactly, refuses_a_file_that_was_cut_meanwhile)
{
    static const char text[] =
        "return topology 't' { guarantee = 'exactly-once',\n"
        "  spout 'n' { fields = {'n'}, generator { rate = 1000,\n"
        "    make = function(i) return i end } },\n"
        "  sink 'copy' { from = shuffle 'n', file { path = 'out.txt' } } }\n";
    struct kept k;
    kept_begin(&k);
    run_some(&k, text, 100);
    sim_file_put(sim_node(k.sim, 1), "out.txt", "1\n", 2);
    struct stream *s = stream_start(k.sim, sim_node(k.sim, 1), text);
    CHECK_EQ(stream_run(s)->why, ERR_HOPELESS);
    stream_free(s);
    kept_end(&k);
}
