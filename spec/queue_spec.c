/* The durable queue: what one topology writes another reads, once where both
 * promise that, whatever is killed; groups read it by themselves, and what all
 * have read is gone. */
#include "actors/connectors/queue.h"
#include "core/sim_disk.h"
#include "spec/sim/kept.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char writing[] =
    "return topology 'writer' { guarantee = GUARANTEE,\n"
    "  spout 'lines' { file { path = 'lines.txt' } },\n"
    "  sink 'queue' { from = shuffle 'lines', tasks = TASKS, queue 'q' },\n"
    "}\n";

static const char reading[] =
    "return topology 'reader' { guarantee = GUARANTEE,\n"
    "  spout 'records' { fields = {'line'}, tasks = TASKS,\n"
    "    queue { name = 'q', ends = true } },\n"
    "  sink 'copy' { from = global 'records', file { path = 'copy.txt' } },\n"
    "}\n";

static void text_of(struct kept *k, const char *text, bool exact, char *out,
                    size_t bytes)
{
    snprintf(out, bytes, "local GUARANTEE, TASKS = '%s', %u\n%s",
             exact ? "exactly-once" : "at-least-once",
             1 + (unsigned)sim_random(k->sim, 3), text);
}

static void count_copies(struct kept *k)
{
    size_t bytes;
    const char *at = (const char *)sim_disk_get(sim_disk(sim_node(k->sim, 1)),
                                                "copy.txt", &bytes);
    CHECK(at != NULL);
    for (const char *end = at + bytes; at && at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        CHECK(stop != NULL);
        if (stop == NULL) return;
        k->counts[atoi(at) % KEPT_LINES]++;
        at = stop + 1;
    }
}

/* How many rows of the kind the queue has. */
static unsigned rows_of(struct kept *k, enum queue_kind kind)
{
    struct store_view *view;
    struct queue_key prefix;
    struct bytes key, value, rest;
    unsigned count = 0;
    CHECK_EQ(queue_prefix("q", kind, &prefix), OK);
    CHECK_EQ(store_view(k->store, &view), OK);
    err e = store_seek(view, queue_bytes(&prefix), &key, &value);
    for (; e == OK && queue_key_rest(key, &prefix, &rest); count++)
        e = store_next(view, &key, &value);
    store_unview(view);
    return count;
}

struct both {
    struct stream *writer, *reader;
};

static bool over(const struct both *b)
{
    return stream_ended(b->writer) && stream_ended(b->reader);
}

/* One life of the process, with both in it; some task may crash. */
static bool live(struct kept *k, const char *writer, const char *reader,
                 uint64_t *crashes)
{
    struct sim_node *node = sim_node(k->sim, 1);
    struct both b = {stream_start(k->sim, node, writer),
                     stream_start(k->sim, node, reader)};
    for (int i = 0; i < 3; i++) {
        kept_steps(k, 100);
        if (over(&b) || sim_random(k->sim, 2)) break;
        if (!stream_ended(b.writer) && sim_random(k->sim, 2))
            stream_kill(b.writer, sim_random(k->sim, 2) ? "lines" : "queue", 0);
        else if (!stream_ended(b.reader))
            stream_kill(b.reader, sim_random(k->sim, 2) ? "records" : "copy",
                        0);
        ++*crashes;
    }
    if (sim_random(k->sim, 5) == 0)
        while (!over(&b) && sim_step(k->sim, INT64_MAX))
            continue;
    bool done = over(&b);
    if (done) CHECK_EQ(stream_run(b.writer)->why, OK);
    if (done) CHECK_EQ(stream_run(b.reader)->why, OK);
    stream_free(b.writer);
    stream_free(b.reader);
    return done;
}

static void read_all(bool exact)
{
    uint64_t kills = 0, crashes = 0, refusals = 0;
    FOR_SEEDS(200)
    {
        struct kept k;
        char writer[1024], reader[1024];
        kept_begin(&k);
        kept_put_lines(&k);
        k.fault = sim_random(k.sim, 2) ? 20 : 0;
        text_of(&k, writing, exact, writer, sizeof writer);
        text_of(&k, reading, exact, reader, sizeof reader);
        while (!live(&k, writer, reader, &crashes))
            kills++;
        count_copies(&k);
        for (int i = 0; i < KEPT_LINES; i++)
            if (exact ? k.counts[i] != 1 : k.counts[i] < 1)
                spec_fail(__FILE__, __LINE__, "line %d came %u times", i,
                          k.counts[i]);
        CHECK_EQ(rows_of(&k, QUEUE_BLOCK), 0);
        refusals += k.refusals;
        kept_end(&k);
    }
    CHECK_SEEN(kills);
    CHECK_SEEN(crashes);
    CHECK_SEEN(refusals);
}

SPEC(queue, brings_each_record_once_whatever_is_killed)
{
    read_all(true);
}

SPEC(queue, loses_none_where_they_may_come_again)
{
    read_all(false);
}

/* ---- groups ---- */

static const char grouped[] =
    "return topology 'reader%d' {\n"
    "  spout 'records' { fields = {'line'},\n"
    "    queue { name = 'q', ends = true, group = 'g%d' } },\n"
    "  sink 'out' { from = global 'records', null {} },\n"
    "}\n";

static unsigned read_as(struct kept *k, int topology, int group)
{
    char text[512];
    snprintf(text, sizeof text, grouped, topology, group);
    struct stream *s = stream_start(k->sim, sim_node(k->sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    unsigned count = stream_count(s);
    for (unsigned i = 0; i < count; i++)
        CHECK_EQ(atoi(stream_line(s, i)), (int)i);
    stream_free(s);
    return count;
}

static void write_all(struct kept *k)
{
    char text[1024];
    snprintf(text, sizeof text,
             "local GUARANTEE, TASKS = 'at-least-once', 1\n%s", writing);
    kept_put_lines(k);
    struct stream *s = stream_start(k->sim, sim_node(k->sim, 1), text);
    CHECK_EQ(stream_run(s)->why, OK);
    stream_free(s);
}

SPEC(queue, is_read_by_each_group_by_itself)
{
    struct kept k;
    char why[STORE_WHY_BYTES];
    kept_begin(&k);
    write_all(&k);
    CHECK_EQ(rows_of(&k, QUEUE_WRITER), 1);
    unsigned blocks = rows_of(&k, QUEUE_BLOCK);
    CHECK(blocks > 0);
    /* Groups that have begun keep what they have to read. */
    CHECK_EQ(read_as(&k, 1, 1), KEPT_LINES);
    CHECK_EQ(rows_of(&k, QUEUE_BLOCK), 0);
    CHECK_EQ(rows_of(&k, QUEUE_GROUP), 1);
    /* Another topology goes on where the group is. */
    CHECK_EQ(read_as(&k, 2, 1), 0);
    CHECK_EQ(queue_forget(k.store, "reader1", why), OK);
    CHECK_EQ(rows_of(&k, QUEUE_GROUP), 1);
    CHECK_EQ(queue_forget(k.store, "reader2", why), OK);
    kept_end(&k);
}

/* ---- a queue that is full ---- */

static const char limited[] =
    "return topology 'writer' { guarantee = 'exactly-once',\n"
    "  spout 'lines' { fields = {'line'}, generator { rate = 2000,\n"
    "    count = 400, make = function(i) return i - 1 end } },\n"
    "  sink 'queue' { from = shuffle 'lines', tasks = TASKS,\n"
    "    queue { name = 'q', limit = 60 } },\n"
    "}\n";

/* Who writes waits for who reads, whoever is killed. */
SPEC(queue, that_is_full_makes_its_spouts_wait)
{
    uint64_t crashes = 0;
    FOR_SEEDS(100)
    {
        struct kept k;
        char text[1024];
        kept_begin(&k);
        snprintf(text, sizeof text, "local TASKS = %u\n%s",
                 1 + (unsigned)sim_random(k.sim, 3), limited);
        struct sim_node *node = sim_node(k.sim, 1);
        struct both b = {stream_start(k.sim, node, text), NULL};
        for (uint64_t n = sim_random(k.sim, 3); n > 0; n--, crashes++) {
            kept_steps(&k, 300);
            stream_kill(b.writer, sim_random(k.sim, 2) ? "lines" : "queue", 0);
        }
        sim_advance(k.sim, 20000 * (int64_t)KEPT_MS);
        CHECK(!stream_ended(b.writer));
        text_of(&k, reading, true, text, sizeof text);
        b.reader = stream_start(k.sim, node, text);
        while (!over(&b) && sim_step(k.sim, INT64_MAX))
            continue;
        CHECK_EQ(stream_run(b.writer)->why, OK);
        stream_free(b.writer);
        stream_free(b.reader);
        count_copies(&k);
        for (int i = 0; i < KEPT_LINES; i++)
            CHECK_EQ(k.counts[i], 1);
        kept_end(&k);
    }
    CHECK_SEEN(crashes);
}
