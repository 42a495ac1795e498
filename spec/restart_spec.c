/* restart_spec.c - sources whose task is killed: the one that is started anew
 * goes on where it was, in a file, in a list, in what came by stdin. */
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINES = 3000, LINE_BYTES = 200, SOME_LINES = 300 };

static size_t put_lines(char *to, unsigned count, unsigned bytes)
{
    size_t used = 0;
    for (unsigned i = 0; i < count; i++)
        used += (size_t)sprintf(to + used, "%0*u\n", (int)bytes - 1, i);
    return used;
}

/* Kills the tasks of "lines" now and then, and looks at what has come: all of
 * it, and what came twice was not settled when a task was killed. */
static void check_kills(struct sim *sim, struct stream *s, unsigned count,
                        unsigned tasks)
{
    static unsigned seen[LINES];
    for (int i = 0; i < 5 && !stream_ended(s); i++) {
        for (uint64_t n = sim_random(sim, 80); n > 0; n--)
            sim_step(sim, INT64_MAX);
        if (!stream_ended(s))
            stream_kill(s, "lines", (unsigned)sim_random(sim, tasks));
    }
    CHECK_EQ(stream_run(s)->why, OK);
    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < stream_count(s); i++) {
        unsigned n = (unsigned)atoi(stream_line(s, i));
        CHECK(n < count);
        seen[n]++;
    }
    for (unsigned i = 0; i < count; i++)
        if (seen[i] == 0) spec_fail(__FILE__, __LINE__, "%u was lost", i);
    struct stream_totals t = stream_totals(s, "lines");
    CHECK_EQ(t.acked, count);
    CHECK_EQ(t.emitted, count + t.replayed);
}

static const char file_lines[] =
    "return topology 't' {\n"
    "  spout 'lines' { file { path = 'lines.txt' }, retries = 'forever',\n"
    "    tasks = TASKS },\n"
    "  sink 'out' { from = global 'lines', null {} },\n"
    "}\n";

SPEC(stream, goes_on_in_a_file_where_the_killed_task_was)
{
    static char lines[LINES * LINE_BYTES + 1];
    size_t bytes = put_lines(lines, LINES, LINE_BYTES);
    FOR_SEEDS(40)
    {
        char text[sizeof file_lines + 32];
        struct sim *sim = sim_new(spec_seed);
        unsigned tasks = 1 + (unsigned)sim_random(sim, 2);
        snprintf(text, sizeof text, "local TASKS = %u\n%s", tasks, file_lines);
        sim_file_put(sim_node(sim, 1), "lines.txt", lines, bytes);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        check_kills(sim, s, LINES, tasks);
        stream_free(s);
        sim_free(sim);
    }
}

static void kill_a_list(uint64_t seed)
{
    char text[8192];
    int used = snprintf(text, sizeof text,
                        "return topology 't' { max_pending = 20,\n"
                        "  spout 'lines' { fields = {'n'}, tasks = 2,\n"
                        "    retries = 'forever', list {");
    for (int i = 0; i < SOME_LINES; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "{%d},", i);
    snprintf(text + used, sizeof text - (size_t)used,
             "} },\n  sink 'out' { from = global 'lines', null {} },\n}\n");
    struct sim *sim = sim_new(seed);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    check_kills(sim, s, SOME_LINES, 2);
    stream_free(s);
    sim_free(sim);
}

SPEC(stream, goes_on_in_a_list_where_the_killed_task_was)
{
    FOR_SEEDS(100) kill_a_list(spec_seed);
}

/* The timer of the replays before them comes when those are settled, and the
 * source then says that it has ended: nothing else would wake it. */
SPEC(stream, replays_what_comes_due_after_the_last_wake)
{
    for (spec_seed = 600; spec_seed < 620; spec_seed++)
        kill_a_list(spec_seed);
}

/* What a pipe brings after `head`, while tasks are killed. */
static void check_stdin(const char *text, const char *head)
{
    static char lines[SOME_LINES * LINE_BYTES + 1];
    size_t bytes = put_lines(lines, SOME_LINES, LINE_BYTES);
    int before = dup(STDIN_FILENO);
    CHECK(before >= 0);
    FOR_SEEDS(40)
    {
        int ends[2];
        CHECK_EQ(pipe(ends), 0);
        CHECK_EQ(write(ends[1], head, strlen(head)), strlen(head));
        CHECK_EQ(write(ends[1], lines, bytes), bytes); /* it takes 64 KB */
        close(ends[1]);
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        check_kills(sim, s, SOME_LINES, 1);
        stream_free(s);
        sim_free(sim);
    }
    dup2(before, STDIN_FILENO);
    close(before);
}

SPEC(stream, loses_nothing_of_stdin_when_the_task_is_killed)
{
    check_stdin("return topology 't' { max_pending = 20,\n"
                "  spout 'lines' { stdin {}, retries = 'forever' },\n"
                "  sink 'out' { from = global 'lines', null {} },\n"
                "}\n",
                "");
}

SPEC(stream, loses_nothing_of_csv_from_stdin_when_the_task_is_killed)
{
    check_stdin("return topology 't' { max_pending = 20,\n"
                "  spout 'lines' { stdin { format = 'csv' },\n"
                "    fields = { 'line' }, retries = 'forever' },\n"
                "  sink 'out' { from = global 'lines', null {} },\n"
                "}\n",
                "line\n");
}
