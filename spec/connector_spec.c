/* connector_spec.c - the connectors' table and the parts they are made of:
 * the splitter, kept lines, pipes, and what an error says. */
#include "actors/connectors/connector.h"
#include "actors/connectors/fault.h"
#include "actors/connectors/kept.h"
#include "actors/connectors/lines.h"
#include "actors/connectors/pipe.h"
#include "core/alloc.h"
#include "core/disk.h"
#include "core/random.h"
#include "spec/spec.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- the table ---- */

SPEC(connector, is_found_by_its_name_and_stands_in_order)
{
    const char *before = "";
    unsigned count = 0;
    for (const struct connector *c; (c = connector_at(count)); count++) {
        CHECK(strcmp(before, c->name) < 0);
        CHECK(connector_named(c->name) == c);
        before = c->name;
    }
    CHECK_EQ(count, 6);
    CHECK(connector_named("fil") == NULL);
    CHECK(connector_named("files") == NULL);
    CHECK(connector_at(1000) == NULL);
}

SPEC(connector, says_what_help_needs_and_brings_what_the_executor_calls)
{
    const struct connector *c;
    for (unsigned i = 0; (c = connector_at(i)) != NULL; i++) {
        CHECK(c->doc && c->doc[0]);
        CHECK(c->source || c->sink);
        CHECK(c->option_count <= OPTIONS_MAX);
        for (unsigned k = 0; k < c->option_count; k++) {
            CHECK(c->options[k].name && c->options[k].doc);
            CHECK((c->options[k].type == OPTION_CHOICE) ==
                  (c->options[k].choices != NULL));
        }
        /* What fails must come again, and every tuple must be taken. */
        CHECK(c->source == NULL || (c->source->next && c->source->replay));
        CHECK(c->sink == NULL || c->sink->execute);
    }
    CHECK_TEXT(connector_named("file")->field, "line");
    CHECK_TEXT(connector_named("stdin")->field, "line");
    CHECK(connector_named("list")->field == NULL);
}

static struct option_value *
option(const struct connector *c, struct option_value *values, const char *name)
{
    for (unsigned i = 0; i < c->option_count; i++)
        if (strcmp(c->options[i].name, name) == 0) return &values[i];
    return NULL;
}

SPEC(connector, file_refuses_a_sinks_options_as_a_source)
{
    const struct connector *c = connector_named("file");
    struct option_value values[OPTIONS_MAX] = {{0}};
    char why[200] = "";
    *option(c, values, "path") = (struct option_value){.set = true, .text = ""};
    CHECK(!c->check(values, true, why, sizeof why));
    CHECK_HAS(why, "path");
    option(c, values, "path")->text = "a.txt";
    CHECK(c->check(values, false, why, sizeof why));
    option(c, values, "append")->set = true;
    CHECK(c->check(values, true, why, sizeof why));
    CHECK(!c->check(values, false, why, sizeof why));
    CHECK_HAS(why, "append");
    option(c, values, "append")->set = false;
    *option(c, values, "format") =
        (struct option_value){.set = true, .text = "json"};
    CHECK(c->check(values, false, why, sizeof why));
    CHECK(c->check(values, true, why, sizeof why));
    option(c, values, "format")->text = "csv";
    CHECK(c->check(values, true, why, sizeof why));
    CHECK(c->check(values, false, why, sizeof why));
}

SPEC(connector, names_the_first_option_that_has_changed)
{
    const struct connector *c = connector_named("file");
    char path[] = "a.txt";
    struct connector_config now = {.connector = c}, next = now;
    *option(c, now.values, "path") =
        (struct option_value){.set = true, .text = path};
    *option(c, next.values, "path") =
        (struct option_value){.set = true, .text = "a.txt"};
    CHECK(connector_change(&now, &next) == NULL);
    path[0] = 'b';
    CHECK_TEXT(connector_change(&now, &next), "path");
    path[0] = 'a';
    option(c, next.values, "append")->set = true;
    CHECK_TEXT(connector_change(&now, &next), "append");
    next.connector = connector_named("null");
    CHECK_TEXT(connector_change(&now, &next), "connector");

    static const uint8_t rows[] = {1, 2, 3}, others[] = {1, 2, 4};
    now = (struct connector_config){.connector = connector_named("list")};
    now.values[0] = (struct option_value){
        .set = true, .bytes = rows, .size = 3, .rows = 3, .arity = 1};
    next = now;
    CHECK(connector_change(&now, &next) == NULL);
    next.values[0].bytes = others;
    CHECK_TEXT(connector_change(&now, &next), "rows");
    next.values[0] = now.values[0];
    next.values[0].size = 2;
    CHECK_TEXT(connector_change(&now, &next), "rows");
}

/* ---- the splitter ---- */

/* The next line's text with 0 behind it; NULL: there is none. */
static const char *next_text(struct lines *l, char *out)
{
    struct line line;
    if (lines_next(l, &line) != LINES_LINE) return NULL;
    memcpy(out, line.bytes, line.count);
    out[line.count] = '\0';
    return out;
}

static void feed_text(struct lines *l, const char *text)
{
    lines_feed(l, (const uint8_t *)text, strlen(text));
}

SPEC(lines, are_put_together_across_blocks)
{
    struct lines l = {0};
    struct line line;
    char text[64];
    feed_text(&l, "one\ntw");
    CHECK_TEXT(next_text(&l, text), "one");
    CHECK(next_text(&l, text) == NULL);
    CHECK_EQ(lines_start(&l), 4);
    feed_text(&l, "");
    CHECK(next_text(&l, text) == NULL);
    feed_text(&l, "o");
    CHECK(next_text(&l, text) == NULL);
    feed_text(&l, "\n\nlast");
    CHECK_TEXT(next_text(&l, text), "two");
    CHECK_TEXT(next_text(&l, text), "");
    CHECK(next_text(&l, text) == NULL);
    CHECK(lines_end(&l, &line));
    CHECK_EQ(line.count, 4);
    CHECK_EQ(line.offset, 9);
    CHECK(!lines_end(&l, &line));
    lines_fini(&l);
}

SPEC(lines, may_end_with_a_carriage_return_and_a_feed)
{
    struct lines l = {0};
    struct line line;
    char text[64];
    feed_text(&l, "a\r\n\r\nb\rc\r\r\nd\r");
    CHECK_TEXT(next_text(&l, text), "a");
    CHECK_TEXT(next_text(&l, text), "");
    CHECK_TEXT(next_text(&l, text), "b\rc\r");
    CHECK(next_text(&l, text) == NULL);
    feed_text(&l, "\ne\r");
    CHECK_TEXT(next_text(&l, text), "d"); /* the two came apart */
    CHECK(next_text(&l, text) == NULL);
    CHECK(lines_end(&l, &line)); /* no feed, no end: it is the line's own */
    CHECK_EQ(line.count, 2);
    lines_fini(&l);
}

SPEC(lines, of_an_empty_input_are_none)
{
    struct lines l = {0};
    struct line line;
    CHECK_EQ(lines_next(&l, &line), LINES_MORE);
    CHECK(!lines_end(&l, &line));
    feed_text(&l, "a\n");
    CHECK_EQ(lines_next(&l, &line), LINES_LINE);
    CHECK_EQ(lines_next(&l, &line), LINES_MORE);
    CHECK(!lines_end(&l, &line)); /* the feed ended the last one */
    lines_fini(&l);
}

SPEC(lines, are_left_out_up_to_the_next_one_after_a_jump)
{
    struct lines l = {0};
    char text[64];
    feed_text(&l, "abc");
    CHECK(next_text(&l, text) == NULL); /* a part, forgotten by the jump */
    lines_seek(&l, 100, true);
    feed_text(&l, "tail of a line");
    CHECK(next_text(&l, text) == NULL);
    CHECK_EQ(lines_start(&l), 114);
    feed_text(&l, "\nnext\n");
    CHECK_TEXT(next_text(&l, text), "next");
    lines_seek(&l, 200, true);
    feed_text(&l, "\nfirst\n"); /* the byte before was a feed */
    CHECK_TEXT(next_text(&l, text), "first");
    lines_seek(&l, 0, false);
    feed_text(&l, "a\n");
    CHECK_TEXT(next_text(&l, text), "a");
    lines_fini(&l);
}

/* Feeds `count` bytes of x in blocks of 1 MB. */
static enum lines_step feed_xs(struct lines *l, struct line *line,
                               const uint8_t *xs, size_t count)
{
    enum lines_step step = LINES_MORE;
    while (count > 0 && step == LINES_MORE) {
        size_t some = count < 1 << 20 ? count : 1 << 20;
        lines_feed(l, xs, some);
        step = lines_next(l, line);
        count -= some;
    }
    return step;
}

SPEC(lines, are_at_most_as_long_as_a_value)
{
    struct lines l = {0};
    struct line line = {0};
    uint8_t *xs = mem_alloc(1 << 20);
    memset(xs, 'x', 1 << 20);
    CHECK_EQ(feed_xs(&l, &line, xs, LINE_BYTES_MAX), LINES_MORE);
    feed_text(&l, "\nb\n");
    CHECK_EQ(lines_next(&l, &line), LINES_LINE);
    CHECK_EQ(line.count, LINE_BYTES_MAX);
    CHECK_EQ(lines_next(&l, &line), LINES_LINE);
    CHECK_EQ(line.count, 1);

    CHECK_EQ(feed_xs(&l, &line, xs, LINE_BYTES_MAX + 1), LINES_LONG);
    CHECK_EQ(line.offset, LINE_BYTES_MAX + 3);
    CHECK_EQ(lines_next(&l, &line), LINES_MORE); /* said once */
    feed_text(&l, "xx\nc\n");
    CHECK_EQ(lines_next(&l, &line), LINES_LINE);
    CHECK_EQ(line.count, 1);
    CHECK_EQ(line.offset, 2ll * LINE_BYTES_MAX + 7);
    mem_free(xs);
    lines_fini(&l);
}

SPEC(lines, that_are_too_long_are_found_inside_a_block_too)
{
    struct lines l = {0};
    struct line line = {0};
    size_t count = LINE_BYTES_MAX + 1;
    uint8_t *block = mem_alloc(count + 3);
    memset(block, 'x', count);
    memcpy(block + count, "\ny\n", 3);
    lines_feed(&l, block, count + 3);
    CHECK_EQ(lines_next(&l, &line), LINES_LONG);
    CHECK_EQ(line.offset, 0);
    CHECK_EQ(lines_next(&l, &line), LINES_LINE);
    CHECK_EQ(line.bytes[0], 'y');
    CHECK_EQ(line.offset, count + 1);
    mem_free(block);
    lines_fini(&l);
}

enum { TEXT_BYTES = 600 };

/* The line at `at` by definition; returns where the next one starts. */
static size_t line_at(const uint8_t *text, size_t bytes, size_t at,
                      size_t *count)
{
    size_t end = at;
    while (end < bytes && text[end] != '\n')
        end++;
    *count = end - at;
    if (end == bytes) return end;
    if (*count > 0 && text[end - 1] == '\r') --*count;
    return end + 1;
}

static void check_line(const uint8_t *text, size_t bytes, size_t *at,
                       const struct line *line)
{
    size_t count, next = line_at(text, bytes, *at, &count);
    CHECK(*at < bytes);
    CHECK_EQ(line->offset, *at);
    CHECK_EQ(line->count, count);
    CHECK(memcmp(line->bytes, text + *at, count) == 0);
    *at = next;
}

SPEC(lines, are_the_same_however_the_input_is_cut)
{
    FOR_SEEDS(500)
    {
        struct rng rng = {spec_seed};
        uint8_t text[TEXT_BYTES];
        size_t bytes = rng_below(&rng, TEXT_BYTES + 1), at = 0, fed = 0;
        uint64_t rare = 1 + rng_below(&rng, 60);
        for (size_t i = 0; i < bytes; i++)
            text[i] =
                "xy\r\n"[rng_below(&rng, rare) < 2 ? 2 + rng_below(&rng, 2)
                                                   : rng_below(&rng, 2)];
        struct lines l = {0};
        struct line line;
        uint64_t most = 1 + rng_below(&rng, 200);
        while (fed < bytes) {
            /* A block of its own: reading beyond it is seen. */
            size_t some = rng_below(&rng, most + 1);
            if (some > bytes - fed) some = bytes - fed;
            uint8_t *block = mem_alloc(some);
            memcpy(block, text + fed, some);
            fed += some;
            lines_feed(&l, block, some);
            while (lines_next(&l, &line) == LINES_LINE)
                check_line(text, bytes, &at, &line);
            mem_free(block);
            CHECK_EQ(lines_start(&l), at);
        }
        if (lines_end(&l, &line)) check_line(text, bytes, &at, &line);
        CHECK_EQ(at, bytes);
        lines_fini(&l);
    }
}

/* ---- kept lines ---- */

SPEC(kept, lines_are_there_until_they_are_dropped)
{
    enum { MOST = 3000 };
    static const char letters[] = "abcdefghijklmnop";
    FOR_SEEDS(50)
    {
        struct rng rng = {spec_seed};
        struct kept k = {0};
        bool there[MOST] = {false};
        uint64_t next = 0, tokens[MOST], drops = rng_below(&rng, 4);
        while (next < MOST) {
            uint32_t count = (uint32_t)(next % sizeof letters);
            CHECK_EQ(
                kept_add(&k, (const uint8_t *)letters, count, 0, &tokens[next]),
                OK);
            there[next++] = true;
            for (uint64_t i = 0; i < drops; i++) {
                uint64_t back = rng_below(&rng, 300);
                uint64_t which = back < next ? next - 1 - back : 0;
                kept_drop(&k, tokens[which]);
                there[which] = false;
            }
        }
        for (uint64_t i = 0; i < MOST; i++) {
            const struct kept_line *line = kept_get(&k, tokens[i]);
            CHECK_EQ(line != NULL, there[i]);
            if (line == NULL) continue;
            CHECK_EQ(line->count, i % sizeof letters);
            CHECK(memcmp(line->bytes, letters, line->count) == 0);
        }
        CHECK(kept_get(&k, UINT32_MAX) == NULL);
        kept_drop(&k, UINT32_MAX);
        kept_fini(&k);
    }
}

SPEC(kept, lines_take_no_more_room_than_what_is_not_settled)
{
    struct kept k = {0};
    uint64_t first, tokens[100] = {0};
    CHECK_EQ(kept_add(&k, (const uint8_t *)"y", 1, 7, &first), OK);
    for (int i = 0; i < 100000; i++) {
        if (i >= 100) kept_drop(&k, tokens[i % 100]);
        CHECK_EQ(kept_add(&k, (const uint8_t *)"x", 1, 9, &tokens[i % 100]),
                 OK);
    }
    CHECK(k.room <= 256);
    CHECK_EQ(kept_get(&k, first)->bytes[0], 'y'); /* which stays for ever */
    kept_fini(&k);
}

/* ---- pipes ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

SPEC(pipe, that_is_silent_holds_a_reader_for_a_moment_only)
{
    int ends[2];
    char bytes[8];
    CHECK_EQ(pipe(ends), 0);
    int64_t start_ms = now_ms();
    CHECK_EQ(pipe_read(ends[0], bytes, sizeof bytes), -EAGAIN);
    CHECK(now_ms() - start_ms >= PIPE_WAIT_MS - 5);
    CHECK_EQ(write(ends[1], "ab", 2), 2);
    CHECK_EQ(pipe_read(ends[0], bytes, sizeof bytes), 2);
    close(ends[1]);
    CHECK_EQ(pipe_read(ends[0], bytes, sizeof bytes), 0);
    close(ends[0]);
}

SPEC(pipe, that_is_full_takes_whole_lines_and_holds_nobody_for_long)
{
    enum { LINE = 1000, BYTES = 300 * LINE };
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    uint8_t *text = mem_alloc(BYTES);
    memset(text, 'x', BYTES);
    for (int i = LINE - 1; i < BYTES; i += LINE)
        text[i] = '\n';
    int64_t put = pipe_write(ends[1], text, BYTES);
    CHECK(put > 0 && put < BYTES); /* it holds 64 KB */
    CHECK_EQ(put % LINE, 0);
    CHECK_EQ(pipe_write(ends[1], text, BYTES), -EAGAIN);
    uint8_t *seen = mem_alloc(BYTES);
    CHECK_EQ(pipe_read(ends[0], seen, BYTES), put);
    CHECK(memcmp(text, seen, (size_t)put) == 0);
    mem_free(seen);
    mem_free(text);
    close(ends[0]);
    close(ends[1]);
}

SPEC(pipe, without_a_reader_says_so)
{
    int ends[2];
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGPIPE, &ignore, &before);
    CHECK_EQ(pipe(ends), 0);
    close(ends[0]);
    CHECK_EQ(pipe_write(ends[1], (const uint8_t *)"a\n", 2), -EPIPE);
    close(ends[1]);
    sigaction(SIGPIPE, &before, NULL);

    char path[] = "/tmp/connector_spec_XXXXXX";
    CHECK(mkdtemp(path) != NULL);
    char fifo[64];
    snprintf(fifo, sizeof fifo, "%s/fifo", path);
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    CHECK_EQ(pipe_open(fifo, true), -ENXIO); /* and did not wait for one */
    int reader = pipe_open(fifo, false);
    CHECK(reader >= 0);
    int writer = pipe_open(fifo, true);
    CHECK(writer >= 0);
    CHECK_EQ(pipe_write(writer, (const uint8_t *)"a\n", 2), 2);
    close(writer);
    close(reader);
    unlink(fifo);
    rmdir(path);
}

SPEC(pipe, is_told_from_a_file)
{
    CHECK(pipe_at(&disk_real, "/dev/null"));
    CHECK(!pipe_at(&disk_real, "/"));
    CHECK(!pipe_at(&disk_real, "/no/such/file"));
    struct disk simulated = disk_real;
    CHECK(!pipe_at(&simulated, "/dev/null")); /* another disk has none */
}

/* ---- errors ---- */

SPEC(fault, says_which_file_what_happened_and_what_to_do)
{
    char text[200];
    fault_text(text, sizeof text, FAULT_READ, "data.txt", ENOENT);
    CHECK_HAS(text, "data.txt: No such file or directory; check the path");
    fault_text(text, sizeof text, FAULT_WRITE, "out/x", ENOENT);
    CHECK_HAS(text, "make its folder");
    fault_text(text, sizeof text, FAULT_WRITE, "x", ENOSPC);
    CHECK_HAS(text, "free some space");
    fault_text(text, sizeof text, FAULT_READ, "x", 9999);
    CHECK_HAS(text, "9999");
    char small[12];
    fault_text(small, sizeof small, FAULT_READ, "data.txt", ENOENT);
    CHECK_TEXT(small, "data.txt: N");
}
