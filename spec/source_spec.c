/* source_spec.c - what the file connector reads and writes, in a simulated
 * world: many files, packed ones, CSV, a file that is followed, one that is
 * rotated; with tuples that fail, tasks that are killed and a bad disk. */
#include "core/alloc.h"
#include "spec/pack.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

enum { LINES = 400 };
#define MS 1000000ll

/* Lines of the numbers from `first` on, each of its own length. */
static void put_numbers(struct buffer *out, unsigned first, unsigned count,
                        bool end)
{
    for (unsigned i = first; i < first + count; i++) {
        char line[300];
        int bytes =
            snprintf(line, sizeof line, "%u%*s\n", i, (int)(i * 37 % 200), "");
        bool last = i + 1 == first + count;
        CHECK_EQ(buffer_append(out, line, (size_t)bytes - (last && !end)), OK);
    }
}

static void put_file(struct sim *sim, const char *path,
                     const struct buffer *bytes)
{
    sim_file_put(sim_node(sim, 1), path, bytes->data, bytes->used);
}

/* No other number came; gives how many of these didn't. */
static unsigned missing(const struct stream *s, unsigned count)
{
    bool *seen = calloc(count + 1, sizeof *seen);
    unsigned left = count;
    for (unsigned i = 0; i < stream_count(s); i++) {
        unsigned n = (unsigned)atoi(stream_line(s, i));
        CHECK(n < count);
        left -= !seen[n];
        seen[n] = true;
    }
    free(seen);
    return left;
}

static void check_numbers(const struct stream *s, unsigned count)
{
    CHECK_EQ(missing(s, count), 0);
}

static void kill_now_and_then(struct sim *sim, struct stream *s, unsigned tasks)
{
    for (int i = 0; i < 4 && !stream_ended(s); i++) {
        for (uint64_t n = sim_random(sim, 80); n > 0; n--)
            sim_step(sim, INT64_MAX);
        if (!stream_ended(s))
            stream_kill(s, "lines", (unsigned)sim_random(sim, tasks));
    }
}

/* ---- many files ---- */

static const char many[] =
    "return topology 't' { max_pending = 30,\n"
    "  spout 'lines' { file { paths = { 'logs/*', 'last' } },\n"
    "    retries = 'forever', tasks = TASKS },\n"
    "  bolt 'flaky' { from = shuffle 'lines', fields = {'line'},\n"
    "    execute = function() end },\n"
    "  sink 'out' { from = global 'flaky', null {} },\n"
    "}\n";

/* Plain and packed, with and without a last line feed, one empty. */
static unsigned put_many(struct sim *sim)
{
    static const char *const paths[] = {"logs/a", "logs/b", "logs/c", "logs/d",
                                        "last"};
    unsigned number = 0;
    for (int i = 0; i < 5; i++) {
        struct buffer text = {0}, packed = {0};
        unsigned count = (unsigned)sim_random(sim, LINES / 4);
        put_numbers(&text, number, count, sim_random(sim, 2) > 0);
        number += count;
        uint64_t kind = sim_random(sim, 3);
        if (kind == 1) pack_gzip(&packed, text.data, text.used);
        if (kind == 2) pack_zstd(&packed, text.data, text.used);
        put_file(sim, paths[i], kind == 0 ? &text : &packed);
        buffer_fini(&text);
        buffer_fini(&packed);
    }
    return number;
}

SPEC(source, replays_each_line_from_the_file_it_came_from)
{
    FOR_SEEDS(60)
    {
        char text[sizeof many + 32];
        struct sim *sim = sim_new(spec_seed);
        unsigned tasks = 1 + (unsigned)sim_random(sim, 3);
        unsigned count = put_many(sim);
        snprintf(text, sizeof text, "local TASKS = %u\n%s", tasks, many);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        kill_now_and_then(sim, s, tasks);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK_EQ(end->left_out, 0);
        check_numbers(s, count);
        CHECK_EQ(stream_totals(s, "lines").acked, count);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(source, reads_on_when_the_disk_fails_now_and_then)
{
    FOR_SEEDS(40)
    {
        char text[sizeof many + 32];
        struct sim *sim = sim_new(spec_seed);
        unsigned count = put_many(sim);
        snprintf(text, sizeof text, "local TASKS = 2\n%s", many);
        sim_set_faults(sim_node(sim, 1), &(struct sim_faults){
                                             .read_fails = 100,
                                             .open_fails = 100,
                                             .reads_short = 300,
                                         });
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK_EQ(end->gave_up, 0); /* though a file failed then, too */
        check_numbers(s, count);
        CHECK_EQ(stream_totals(s, "lines").acked, count);
        stream_free(s);
        sim_free(sim);
    }
}

/* Other files take the names of those that were read: the last ones are still
 * open, of the others it is said. */
SPEC(source, never_takes_another_file_for_the_one_that_was_read)
{
    enum { FILES = 30 };
    const char *text =
        "return topology 't' {\n"
        "  spout 'lines' { file { path = 'f*' } },\n"
        "  bolt 'once' { from = shuffle 'lines', fields = {'line'},\n"
        "    prepare = function(self) self.seen = {} end,\n"
        "    execute = function(self, line)\n"
        "      if not self.seen[line] then\n"
        "        self.seen[line] = true error 'not yet' end\n"
        "      self.emit(line) end },\n"
        "  sink 'out' { from = global 'once', null {} },\n"
        "}\n";
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 1);
    char path[16], line[40];
    for (int i = 0; i < FILES; i++) {
        size_t bytes = (size_t)sprintf(line, "short\nright %02d\n", i);
        snprintf(path, sizeof path, "f%02d", i);
        sim_file_put(node, path, line, bytes);
    }
    struct stream *s = stream_start(sim, node, text);
    while (stream_totals(s, "lines").emitted < FILES + FILES)
        CHECK(sim_step(sim, INT64_MAX));
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "f%02d", i);
        sim_file_put(node, "new", "short\nwrong\n", 12);
        CHECK_EQ(sim_disk_rename(sim_disk(node), "new", path), OK);
    }
    const struct topology_end *end = stream_run(s);
    CHECK_EQ(end->why, OK);
    CHECK_EQ(stream_has(s, "wrong"), 0);
    CHECK(end->gave_up > 0);
    CHECK_EQ(stream_count(s) + end->gave_up, FILES + FILES);
    for (int i = FILES - 16; i < FILES; i++) {
        snprintf(line, sizeof line, "right %02d", i);
        CHECK_EQ(stream_has(s, line), 1);
    }
    stream_free(s);
    sim_free(sim);
}

static const struct topology_end *run_files(struct sim *sim, struct stream **s,
                                            const char *source)
{
    char text[300];
    snprintf(text, sizeof text,
             "return topology 't' {\n"
             "  spout 'lines' { %s },\n"
             "  sink 'out' { from = global 'lines', null {} },\n"
             "}\n",
             source);
    *s = stream_start(sim, sim_node(sim, 1), text);
    return stream_run(*s);
}

SPEC(source, reads_the_files_of_a_pattern_in_order)
{
    struct sim *sim = sim_new(spec_seed);
    struct stream *s;
    sim_file_put(sim_node(sim, 1), "b.txt", "3\n4", 3);
    sim_file_put(sim_node(sim, 1), "a.txt", "1\n2\n", 4);
    sim_file_put(sim_node(sim, 1), "c.log", "9\n", 2);
    CHECK_EQ(run_files(sim, &s, "file { path = '*.txt' }")->why, OK);
    CHECK_EQ(stream_count(s), 4);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(stream_line(s, i)[0], '1' + (char)i);
    stream_free(s);
    CHECK_EQ(run_files(sim, &s, "file { path = '*.gz' }")->why, ERR_HOPELESS);
    stream_free(s);
    sim_free(sim);
}

SPEC(source, leaves_out_what_is_damaged_and_goes_on)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s;
        struct buffer packed = {0};
        pack_gzip(&packed, "one\ntwo\nthr", 11);
        pack_gzip(&packed, "ee\n", 3);
        packed.used -= 9; /* within the second member */
        put_file(sim, "a", &packed);
        sim_file_put(sim_node(sim, 1), "b", "four\n", 5);
        const struct topology_end *end =
            run_files(sim, &s, "file { paths = { 'a', 'b' } }");
        CHECK_EQ(end->why, OK);
        CHECK_EQ(end->left_out, 1);
        CHECK_EQ(stream_totals(s, "lines").errors, 1);
        CHECK_EQ(stream_has(s, "one"), 1);
        CHECK_EQ(stream_has(s, "two"), 1);
        CHECK_EQ(stream_has(s, "four"), 1);
        CHECK_EQ(stream_count(s), 3); /* no half a line */
        buffer_fini(&packed);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(source, takes_no_cut_line_of_a_file_that_shrinks)
{
    enum { COUNT = 1000000 };
    struct sim *sim = sim_new(spec_seed);
    char *text = malloc(COUNT);
    for (int i = 0; i < COUNT; i++)
        text[i] = i % 10 == 9 ? '\n' : 'x';
    sim_file_put(sim_node(sim, 1), "big", text, COUNT);
    struct stream *s =
        stream_start(sim, sim_node(sim, 1),
                     "return topology 't' { max_pending = 30,\n"
                     "  spout 'lines' { file { path = 'big' } },\n"
                     "  sink 'out' { from = global 'lines', null {} },\n"
                     "}\n");
    for (int i = 0; i < 100000 && stream_count(s) < 100; i++)
        CHECK(sim_step(sim, INT64_MAX));
    sim_file_put(sim_node(sim, 1), "big", text, 105);
    const struct topology_end *end = stream_run(s);
    CHECK_EQ(end->why, OK);
    CHECK_EQ(end->left_out, 1);
    CHECK(stream_count(s) < COUNT / 10);
    CHECK_EQ(stream_has(s, "xxxxxxxxx"), stream_count(s));
    free(text);
    stream_free(s);
    sim_free(sim);
}

SPEC(source, leaves_a_byte_order_mark_out_before_json)
{
    struct sim *sim = sim_new(spec_seed);
    struct stream *s;
    static const char text[] = "\xef\xbb\xbf{\"a\":1}\n{\"a\":2}\n";
    sim_file_put(sim_node(sim, 1), "f", text, sizeof text - 1);
    const struct topology_end *end = run_files(
        sim, &s, "file { path = 'f', format = 'json' }, fields = { 'a' }");
    CHECK_EQ(end->why, OK);
    CHECK_EQ(end->left_out, 0);
    CHECK_EQ(stream_has(s, "1"), 1);
    CHECK_EQ(stream_has(s, "2"), 1);
    stream_free(s);
    sim_free(sim);
}

/* ---- CSV ---- */

SPEC(source, replays_records_of_csv)
{
    const char *text =
        "return topology 't' { max_pending = 20,\n"
        "  spout 'lines' { fields = { 'n', 'text' }, retries = 'forever',\n"
        "    file { path = '*.csv', format = 'csv' } },\n"
        "  bolt 'flaky' { from = shuffle 'lines', fields = {'n', 'text'},\n"
        "    execute = function() end },\n"
        "  sink 'out' { from = global 'flaky', null {} },\n"
        "}\n";
    FOR_SEEDS(60)
    {
        struct sim *sim = sim_new(spec_seed);
        char csv[20000] = "id,text,n\n";
        size_t used = strlen(csv);
        unsigned ragged = 0;
        for (unsigned i = 0; i < 200; i++) {
            if (sim_random(sim, 50) == 0 && ++ragged)
                used += (size_t)sprintf(csv + used, "ragged,%u\r\n", i);
            used += (size_t)sprintf(csv + used, "x,\"a \"\"%u\"\",\nb\",%u\r\n",
                                    i, i);
        }
        sim_file_put(sim_node(sim, 1), "a.csv", csv, used);
        sim_file_put(sim_node(sim, 1), "b.csv", "n,text\n200,last", 15);
        sim_set_faults(sim_node(sim, 1),
                       &(struct sim_faults){.reads_short = 500});
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        kill_now_and_then(sim, s, 1);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, OK);
        CHECK_EQ(end->left_out, ragged);
        CHECK_EQ(stream_totals(s, "lines").errors, ragged);
        check_numbers(s, 201);
        CHECK(stream_has(s, "7\ta \"7\",\nb") > 0);
        CHECK(stream_has(s, "200\tlast") > 0);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(source, leaves_out_a_file_whose_header_lacks_a_column)
{
    struct sim *sim = sim_new(spec_seed);
    struct stream *s;
    sim_file_put(sim_node(sim, 1), "a.csv", "m\n1\n2\n", 6);
    sim_file_put(sim_node(sim, 1), "b.csv", "n,m\n3,0\n", 8);
    const struct topology_end *end = run_files(
        sim, &s, "file { path = '*.csv', format = 'csv' }, fields = { 'n' }");
    CHECK_EQ(end->why, OK);
    CHECK_EQ(end->left_out, 1);
    CHECK_EQ(stream_count(s), 1);
    CHECK_EQ(stream_has(s, "3"), 1);
    stream_free(s);
    CHECK_EQ(run_files(sim, &s,
                       "file { path = 'b.csv', format = 'csv', header = "
                       "false }, fields = { 'a', 'b' }")
                 ->left_out,
             0);
    CHECK_EQ(stream_has(s, "n\tm"), 1);
    CHECK_EQ(stream_has(s, "3\t0"), 1);
    stream_free(s);
    sim_free(sim);
}

/* ---- following ---- */

static const char follower[] =
    "return topology 't' { max_pending = 50,\n"
    "  spout 'lines' { retries = 'forever',\n"
    "    file { path = 'log', follow = true } },\n"
    "  bolt 'flaky' { from = shuffle 'lines', fields = {'line'},\n"
    "    execute = function() end },\n"
    "  sink 'out' { from = global 'flaky', null {} },\n"
    "}\n";

/* Another process that writes numbers, a line in two halves now and then. */
struct writing {
    struct sim_disk *disk;
    unsigned next;
    bool half; /* the line `next` is begun */
};

static void write_some(struct sim *sim, struct writing *w, const char *path)
{
    char line[20];
    for (uint64_t n = sim_random(sim, 6); n > 0; n--) {
        size_t bytes = (size_t)sprintf(line, "%06u\n", w->next);
        size_t from = w->half ? 3 : 0;
        w->half = !w->half && sim_random(sim, 4) == 0;
        size_t to = w->half ? 3 : bytes;
        CHECK_EQ(sim_disk_add(w->disk, path, line + from, to - from), OK);
        w->next += !w->half;
    }
}

static void write_line(struct writing *w, const char *path)
{
    char line[20];
    size_t bytes = (size_t)sprintf(line, "%06u\n", w->next++);
    size_t from = w->half ? 3 : 0;
    CHECK_EQ(sim_disk_add(w->disk, path, line + from, bytes - from), OK);
    w->half = false;
}

static void end_half(struct writing *w, const char *path)
{
    char line[20];
    if (!w->half) return;
    sprintf(line, "%06u", w->next++);
    CHECK_EQ(sim_disk_add(w->disk, path, line + 3, 3),
             OK); /* and no line feed */
    w->half = false;
}

SPEC(source, follows_a_file_through_rotation_and_truncation)
{
    FOR_SEEDS(60)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 1);
        struct writing w = {.disk = sim_disk(node)};
        CHECK_EQ(sim_disk_add(w.disk, "log", "", 0), OK);
        bool kills = sim_random(sim, 2) > 0;
        struct stream *s = stream_start(sim, node, follower);
        for (int i = 0; i < 30; i++) {
            write_some(sim, &w, "log");
            sim_advance(sim, (int64_t)sim_random(sim, 300) * MS);
            if (kills && sim_random(sim, 8) == 0) stream_kill(s, "lines", 0);
            uint64_t event = sim_random(sim, 8);
            /* Files that come and go between two looks are never seen, nor
             * empty ones. */
            if (event < 3) {
                write_line(&w, "log");
                sim_advance(sim, 5000 * MS);
            }
            if (event == 0) { /* the writer goes on in the old one a while */
                CHECK_EQ(sim_disk_rename(w.disk, "log", "log.1"), OK);
                sim_advance(sim, (int64_t)sim_random(sim, 300) * MS);
                write_some(sim, &w, "log.1");
                end_half(&w, "log.1");
                CHECK_EQ(sim_disk_add(w.disk, "log", "", 0), OK);
            } else if (event == 1) {
                end_half(&w, "log");
                sim_advance(sim, 5000 * MS); /* all of it is read */
                sim_file_put(node, "log", "", 0);
                sim_advance(sim, 5000 * MS); /* and that it is shorter */
            } else if (event == 2) {
                end_half(&w, "log");
                CHECK_EQ(sim_disk_remove(w.disk, "log"), OK);
                sim_advance(sim, (int64_t)sim_random(sim, 300) * MS);
                CHECK_EQ(sim_disk_add(w.disk, "log", "", 0), OK);
            }
        }
        bool half = w.half;
        sim_advance(sim, 5000 * MS);
        CHECK(!stream_ended(s));
        stream_drain(s, 100000 * MS);
        const struct topology_end *end = stream_run(s);
        CHECK_EQ(end->why, ERR_STOPPED);
        CHECK_EQ(end->unsettled, 0);
        CHECK_EQ(end->left_out, 0);
        if (half) { /* at drain it is a line as it stands */
            char line[20];
            sprintf(line, "%03u", w.next / 1000);
            CHECK(stream_has(s, line) >= 1);
        } else {
            check_numbers(s, w.next);
        }
        CHECK_EQ(stream_totals(s, "lines").acked, w.next + half);
        stream_free(s);
        sim_free(sim);
    }
}

SPEC(source, looks_for_more_within_100_ms)
{
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 1);
    struct stream *s;
    CHECK_EQ(sim_disk_add(sim_disk(node), "log", "1\n", 2), OK);
    s = stream_start(sim, node,
                     "return topology 't' {\n"
                     "  spout 'lines' { file { path = 'log', follow = true } },"
                     "  sink 'out' { from = global 'lines', null {} },\n"
                     "}\n");
    sim_advance(sim, 1000 * MS);
    CHECK_EQ(stream_count(s), 1);
    for (unsigned i = 2; i < 10; i++) {
        CHECK_EQ(sim_disk_add(sim_disk(node), "log", "x\n", 2), OK);
        sim_advance(sim, 101 * MS);
        CHECK_EQ(stream_count(s), i);
    }
    stream_drain(s, 1000 * MS);
    CHECK_EQ(stream_run(s)->why, ERR_STOPPED);
    stream_free(s);
    sim_free(sim);
}

SPEC(source, has_the_first_line_of_a_new_file_after_one_that_was_left_out)
{
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 1);
    size_t count = (16 << 20) + 9;
    char *text = malloc(count); /* and no line feed */
    memset(text, 'x', count);
    sim_file_put(node, "log", text, count);
    free(text);
    struct stream *s = stream_start(sim, node, follower);
    sim_advance(sim, 5000 * MS);
    CHECK_EQ(sim_disk_rename(sim_disk(node), "log", "log.1"), OK);
    CHECK_EQ(sim_disk_add(sim_disk(node), "log", "1\n2\n", 4), OK);
    sim_advance(sim, 5000 * MS);
    stream_drain(s, 100000 * MS);
    CHECK_EQ(stream_run(s)->left_out, 1);
    CHECK(stream_has(s, "1") >= 1);
    CHECK(stream_has(s, "2") >= 1);
    stream_free(s);
    sim_free(sim);
}

SPEC(source, waits_for_a_followed_file_that_was_deleted)
{
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 1);
    CHECK_EQ(sim_disk_add(sim_disk(node), "log", "0\n", 2), OK);
    struct stream *s = stream_start(sim, node, follower);
    sim_advance(sim, 1000 * MS);
    for (unsigned i = 1; i < 4; i++) {
        CHECK_EQ(sim_disk_remove(sim_disk(node), "log"), OK);
        sim_advance(sim, 1000 * MS);
        CHECK_EQ(stream_totals(s, "lines").errors, i); /* said once */
        CHECK_EQ(sim_disk_add(sim_disk(node), "log", "1\n", 2), OK);
        sim_advance(sim, 1000 * MS);
    }
    stream_drain(s, 100000 * MS);
    CHECK_EQ(stream_run(s)->left_out, 0);
    CHECK_EQ(stream_count(s), 4);
    stream_free(s);
    sim_free(sim);
}

/* By a new file of its name, and by the same one, written anew. */
SPEC(source, waits_for_a_followed_file_with_another_header)
{
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 1);
    struct sim_disk *disk = sim_disk(node);
    CHECK_EQ(sim_disk_add(disk, "log", "m,n\n1,2\n\"3", 10), OK);
    struct stream *s =
        stream_start(sim, node,
                     "return topology 't' {\n"
                     "  spout 'lines' { file { path = 'log', follow = true, "
                     "format = 'csv' }, fields = {'k'} },"
                     "  sink 'out' { from = global 'lines', null {} },\n"
                     "}\n");
    sim_advance(sim, 1000 * MS);
    CHECK_EQ(stream_totals(s, "lines").errors, 1);
    CHECK_EQ(sim_disk_add(disk, "log", "\nk\n3\n", 5), OK);
    sim_advance(sim, 1000 * MS);
    CHECK_EQ(sim_disk_rename(disk, "log", "log.1"), OK);
    CHECK_EQ(sim_disk_add(disk, "log", "l,k\n4,5\n", 8), OK);
    sim_advance(sim, 1000 * MS);
    CHECK_EQ(stream_count(s), 1);
    CHECK_EQ(stream_has(s, "5"), 1);
    CHECK_EQ(sim_disk_remove(disk, "log"), OK);
    CHECK_EQ(sim_disk_add(disk, "log", "\"k\"s\n", 5), OK);
    sim_advance(sim, 1000 * MS);
    CHECK_EQ(stream_totals(s, "lines").errors, 2);
    sim_file_put(node, "log", "k\n", 2);
    sim_advance(sim, 1000 * MS);
    CHECK_EQ(sim_disk_add(disk, "log", "6\n", 2), OK);
    sim_advance(sim, 1000 * MS);
    CHECK(!stream_ended(s));
    stream_drain(s, 100000 * MS);
    const struct topology_end *end = stream_run(s);
    CHECK_EQ(end->why, ERR_STOPPED);
    CHECK_EQ(end->left_out, 2);
    CHECK_EQ(stream_count(s), 2);
    CHECK_EQ(stream_has(s, "6"), 1);
    stream_free(s);
    sim_free(sim);
}

SPEC(source, that_is_followed_can_not_be_packed)
{
    struct sim *sim = sim_new(spec_seed);
    struct stream *s;
    struct buffer packed = {0};
    pack_gzip(&packed, "one\n", 4);
    put_file(sim, "log", &packed);
    const struct topology_end *end =
        run_files(sim, &s, "file { path = 'log', follow = true }");
    CHECK_EQ(end->why, OK);
    CHECK_EQ(end->left_out, 1);
    CHECK_EQ(stream_count(s), 0);
    buffer_fini(&packed);
    stream_free(s);
    sim_free(sim);
}

/* ---- a sink that rotates ---- */

static const char rotating[] =
    "return topology 't' { guarantee = G,\n"
    "  spout 'n' { generator { count = 500, rate = 5000 }, fields = {'n'} },\n"
    "  sink 'save' { from = global 'n', file { path = 'log',\n"
    "    rotate = R, keep = 40, format = F } },\n"
    "}\n";

static void gather_log(struct sim *sim, struct buffer *out, bool csv,
                       unsigned *files)
{
    for (int i = 40; i >= 0; i--) {
        char path[16];
        size_t count;
        snprintf(path, sizeof path, i > 0 ? "log.%d" : "log", i);
        const uint8_t *bytes = sim_file_get(sim_node(sim, 1), path, &count);
        if (bytes == NULL || count == 0) continue;
        ++*files;
        CHECK_EQ(bytes[count - 1], '\n');
        if (csv) CHECK(count >= 2 && memcmp(bytes, "n\n", 2) == 0);
        size_t head = csv ? 2 : 0;
        CHECK_EQ(buffer_append(out, bytes + head, count - head), OK);
    }
}

static void check_log(struct sim *sim, bool csv, unsigned files_min)
{
    struct buffer text = {0};
    unsigned files = 0, next = 1;
    gather_log(sim, &text, csv, &files);
    CHECK_EQ(buffer_append(&text, "", 1), OK);
    for (const char *at = (const char *)text.data; *at; next++) {
        char *end;
        CHECK_EQ(strtoul(at, &end, 10), next); /* none lost, none twice */
        CHECK_EQ(*end, '\n');
        at = end + 1;
    }
    CHECK_EQ(next, 501);
    CHECK(files >= files_min);
    buffer_fini(&text);
}

static void rotate_with(uint64_t seed, unsigned bytes,
                        const struct sim_faults *faults, unsigned files_min)
{
    char text[sizeof rotating + 100];
    struct sim *sim = sim_new(seed);
    bool csv = sim_random(sim, 2) > 0, tracked = sim_random(sim, 2) > 0;
    snprintf(text, sizeof text, "local G, F, R = '%s', '%s', %u\n%s",
             tracked ? "at-least-once" : "at-most-once", csv ? "csv" : "text",
             bytes, rotating);
    struct stream *s = stream_start(sim, sim_node(sim, 1), text);
    size_t count; /* once it is open, what fails is tried again */
    while (sim_file_get(sim_node(sim, 1), "log", &count) == NULL)
        CHECK(sim_step(sim, INT64_MAX));
    sim_set_faults(sim_node(sim, 1), faults);
    CHECK_EQ(stream_run(s)->why, OK);
    check_log(sim, csv, files_min);
    stream_free(s);
    sim_free(sim);
}

SPEC(sink, rotates_between_tuples)
{
    FOR_SEEDS(20)
    rotate_with(spec_seed, 300, &(struct sim_faults){.writes_short = 300}, 7);
}

SPEC(sink, loses_and_doubles_nothing_when_it_can_not_rotate)
{
    FOR_SEEDS(40)
    {
        struct sim_faults faults = {.rename_fails = 300,
                                    .open_fails = 200,
                                    .write_fails = 100,
                                    .writes_short = 300};
        rotate_with(spec_seed, 300, &faults, 1);
        faults = (struct sim_faults){.rename_fails = SIM_FAULTS_ALL};
        rotate_with(spec_seed, 300, &faults, 1);
    }
}

SPEC(sink, writes_what_no_file_has_room_for_when_it_can_not_rotate)
{
    FOR_SEEDS(20)
    {
        struct sim_faults faults = {.rename_fails = SIM_FAULTS_ALL,
                                    .writes_short = 300};
        rotate_with(spec_seed, 2, &faults, 1);
        faults = (struct sim_faults){.rename_fails = 500, .write_fails = 100};
        rotate_with(spec_seed, 100, &faults, 1);
    }
}

SPEC(sink, waits_for_room_though_it_rotates)
{
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        char text[sizeof rotating + 100];
        snprintf(text, sizeof text, "local G, F, R = '%s', 'text', 300\n%s",
                 "at-least-once", rotating);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        sim_set_faults(sim_node(sim, 1),
                       &(struct sim_faults){.room_bytes = 700});
        sim_advance(sim, 5000 * MS);
        CHECK(!stream_ended(s));
        sim_set_faults(sim_node(sim, 1), &(struct sim_faults){0});
        CHECK_EQ(stream_run(s)->why, OK);
        check_log(sim, false, 5);
        stream_free(s);
        sim_free(sim);
    }
}

/* ---- a sink that is begun anew ---- */

static struct stream *start_saving(struct sim *sim, const char *options)
{
    char text[300];
    snprintf(text, sizeof text,
             "return topology 't' {\n"
             "  spout 'n' { generator { count = 500, rate = 5000 },\n"
             "    fields = {'n'} },\n"
             "  sink 'save' { from = global 'n', file { path = 'log'%s } },\n"
             "}\n",
             options);
    return stream_start(sim, sim_node(sim, 1), text);
}

/* How many lines begin with this number. */
static unsigned saved(struct sim *sim, const char *number)
{
    size_t count;
    const uint8_t *bytes = sim_file_get(sim_node(sim, 1), "log", &count);
    char *text = calloc(1, count + 1), *left = NULL;
    unsigned found = 0;
    memcpy(text, bytes, count);
    for (char *line = strtok_r(text, "\n", &left); line;
         line = strtok_r(NULL, "\n", &left))
        found += strcmp(line, number) == 0;
    free(text);
    return found;
}

SPEC(sink, replaces_the_file_though_it_could_not_be_opened_at_first)
{
    struct sim *sim = sim_new(spec_seed);
    sim_file_put(sim_node(sim, 1), "log", "old\n", 4);
    sim_set_faults(sim_node(sim, 1),
                   &(struct sim_faults){.open_fails = SIM_FAULTS_ALL});
    struct stream *s = start_saving(sim, "");
    sim_advance(sim, 10 * MS); /* its actor crashes and waits */
    sim_set_faults(sim_node(sim, 1), &(struct sim_faults){0});
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(saved(sim, "old"), 0);
    CHECK_EQ(saved(sim, "1"), 1);
    CHECK_EQ(saved(sim, "500"), 1);
    stream_free(s);
    sim_free(sim);
}

SPEC(sink, that_appends_begins_with_a_line_of_its_own)
{
    struct sim *sim = sim_new(spec_seed);
    sim_file_put(sim_node(sim, 1), "log", "ended\ntorn", 10);
    for (int i = 1; i <= 2; i++) {
        struct stream *s = start_saving(sim, ", append = true");
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(saved(sim, "torn"), 1);
        CHECK_EQ(saved(sim, "1"), i);
        stream_free(s);
    }
    size_t count; /* and no empty line: 1 to 500 are 1892 bytes */
    sim_file_get(sim_node(sim, 1), "log", &count);
    CHECK_EQ(count, 11 + 2 * 1892);
    sim_free(sim);
}

SPEC(sink, waits_for_room_to_make_its_file)
{
    struct sim *sim = sim_new(spec_seed);
    sim_file_put(sim_node(sim, 1), "other", "full", 4);
    sim_set_faults(sim_node(sim, 1), &(struct sim_faults){.room_bytes = 4});
    struct stream *s = start_saving(sim, "");
    sim_advance(sim, 5000 * MS);
    CHECK(!stream_ended(s));
    sim_set_faults(sim_node(sim, 1), &(struct sim_faults){0});
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(stream_totals(s, "save").errors, 0);
    CHECK_EQ(saved(sim, "500"), 1);
    stream_free(s);
    sim_free(sim);
}

SPEC(sink, keeps_what_a_killed_task_has_written)
{
    struct sim *sim = sim_new(spec_seed);
    struct stream *s = start_saving(sim, "");
    sim_advance(sim, 50 * MS);
    CHECK(saved(sim, "1") == 1 && saved(sim, "500") == 0);
    stream_kill(s, "save", 0);
    CHECK_EQ(stream_run(s)->why, OK);
    CHECK_EQ(saved(sim, "1"), 1);
    CHECK(saved(sim, "500") >= 1);
    stream_free(s);
    sim_free(sim);
}
