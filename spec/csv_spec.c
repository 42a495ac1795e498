/* csv_spec.c - records of CSV, however the input is cut, and which of their
 * values are a tuple's. */
#include "actors/connectors/columns.h"
#include "actors/connectors/lines.h"
#include "core/alloc.h"
#include "core/random.h"
#include "core/value.h"
#include "spec/fault.h"
#include "spec/spec.h"
#include <stdio.h>

/* ---- records as text: values between [ and ] ---- */

struct text {
    char bytes[8192];
    size_t used;
};

static void add(struct text *t, const void *bytes, size_t count)
{
    CHECK(t->used + count < sizeof t->bytes);
    if (count) memcpy(t->bytes + t->used, bytes, count);
    t->used += count;
    t->bytes[t->used] = '\0';
}

static void add_record(struct text *t, const struct csv_record *record)
{
    char line[32];
    add(t, line, (size_t)sprintf(line, "%d:", (int)record->line));
    for (unsigned i = 0; i < record->count; i++) {
        add(t, "[", 1);
        add(t, record->values[i].bytes, record->values[i].count);
        add(t, "]", 1);
    }
    if (record->faulty) add(t, "!", 1);
    add(t, "\n", 1);
}

/* Each block is memory of its own: reading beyond it is seen. */
static void feed(struct csv *c, struct text *t, const char *bytes, size_t count)
{
    struct csv_record record;
    uint8_t *block = mem_alloc(count + 1);
    if (count) memcpy(block, bytes, count);
    csv_feed(c, block, count);
    while (csv_next(c, &record) == CSV_RECORD)
        add_record(t, &record);
    mem_free(block);
    c->at = c->end = NULL;
}

static void finish(struct csv *c, struct text *t)
{
    struct csv_record record;
    if (csv_end(c, &record) == CSV_RECORD) add_record(t, &record);
    CHECK_EQ(csv_end(c, &record), CSV_MORE);
    csv_fini(c);
}

static void check_records(const char *input, const char *wanted)
{
    for (size_t step = 1; step <= 3; step++) { /* and all at once */
        struct csv c = {0};
        struct text t = {.used = 0};
        size_t bytes = strlen(input), some = step < 3 ? step : bytes;
        add(&t, "", 0);
        for (size_t at = 0; at < bytes; at += some)
            feed(&c, &t, input + at, at + some < bytes ? some : bytes - at);
        CHECK_EQ(c.offset, bytes);
        finish(&c, &t);
        CHECK_TEXT(t.bytes, wanted);
    }
}

SPEC(csv, splits_values_at_commas_and_records_at_line_ends)
{
    check_records("", "");
    check_records("a,b\nc,d\n", "1:[a][b]\n2:[c][d]\n");
    check_records("a,b\r\nc,d\r\n", "1:[a][b]\n2:[c][d]\n");
    check_records("a,b\nc,d", "1:[a][b]\n2:[c][d]\n");
    check_records(",\n,,\n", "1:[][]\n2:[][][]\n");
    check_records("a\n\n\r\nb", "1:[a]\n2:\n3:\n4:[b]\n");
    check_records(" a , b\n", "1:[ a ][ b]\n");
}

SPEC(csv, knows_quotes)
{
    check_records("\"a,b\",c\n", "1:[a,b][c]\n");
    check_records("\"x\ny\r\nz\",1\nlast,2\n",
                  "1:[x\ny\r\nz][1]\n4:[last][2]\n");
    check_records("\"he said \"\"so\"\"\"\n", "1:[he said \"so\"]\n");
    check_records("\"\",\"\"\"\"\r\n", "1:[][\"]\n");
    check_records("\"a\"\r\n\"b\"", "1:[a]\n2:[b]\n");
    check_records("5\" disk,\"ok\"\n", "1:[5\" disk][ok]\n");
}

SPEC(csv, marks_what_quotes_can_not_be)
{
    check_records("\"a\"b,c\nd,e\n", "1:[a][c]!\n2:[d][e]\n");
    check_records("ok\n\"open,1\n2\n", "1:[ok]\n2:[open,1\n2\n]!\n");
    check_records("\"", "1:[]!\n");
}

SPEC(csv, leaves_a_byte_order_mark_out)
{
    check_records("\xef\xbb\xbf\"n,m\",b\n1,2\n", "1:[n,m][b]\n2:[1][2]\n");
    check_records("\xef\xbb\xbf", "1:\n");
    check_records("\xef\xbb,x\n", "1:[\xef\xbb][x]\n");
    check_records("a\n\xef\xbb\xbf,b\n", "1:[a]\n2:[\xef\xbb\xbf][b]\n");
}

SPEC(csv, begins_anew_with_another_input)
{
    struct csv c = {0};
    struct text t = {.used = 0};
    feed(&c, &t, "a\n\"half", 7);
    csv_restart(&c);
    feed(&c, &t, "\xef\xbb\xbfx,y\n", 7);
    finish(&c, &t);
    CHECK_TEXT(t.bytes, "1:[a]\n1:[x][y]\n");
}

/* What is written is what is read, wherever the blocks end. */
SPEC(csv, reads_what_was_written_however_it_is_cut)
{
    FOR_SEEDS(500)
    {
        struct rng rng = {spec_seed};
        struct text input = {.used = 0}, wanted = {.used = 0},
                    seen = {.used = 0};
        unsigned records = 1 + (unsigned)rng_below(&rng, 8), line = 1;
        for (unsigned r = 0; r < records; r++) {
            char number[16];
            unsigned begun = line, width = 2 + (unsigned)rng_below(&rng, 4);
            add(&wanted, number, (size_t)sprintf(number, "%u:", begun));
            for (unsigned v = 0; v < width; v++) {
                bool quotes = rng_below(&rng, 2) > 0;
                add(&input, ",", v > 0);
                add(&input, "\"", quotes);
                add(&wanted, "[", 1);
                for (uint64_t n = rng_below(&rng, 6); n > 0; n--) {
                    char letter = quotes ? "xy,\n\r\""[rng_below(&rng, 6)]
                                         : "xyz "[rng_below(&rng, 4)];
                    line += letter == '\n';
                    add(&input, &letter, 1);
                    add(&input, "\"", letter == '"');
                    add(&wanted, &letter, 1);
                }
                add(&input, "\"", quotes);
                add(&wanted, "]", 1);
            }
            add(&wanted, "\n", 1);
            line++;
            bool last = r + 1 == records && rng_below(&rng, 2);
            add(&input, "\r", !last && rng_below(&rng, 2));
            add(&input, "\n", !last);
        }
        struct csv c = {0};
        uint64_t most = 1 + rng_below(&rng, 40);
        add(&seen, "", 0);
        for (size_t at = 0; at < input.used;) {
            size_t some = rng_below(&rng, most + 1);
            if (some > input.used - at) some = input.used - at;
            feed(&c, &seen, input.bytes + at, some);
            at += some;
        }
        finish(&c, &seen);
        CHECK_TEXT(seen.bytes, wanted.bytes);
    }
}

SPEC(csv, leaves_out_a_record_above_16_mb)
{
    struct csv c = {0};
    struct csv_record record;
    size_t count = 1 << 20;
    uint8_t *xs = mem_alloc(count);
    memset(xs, 'x', count);
    csv_feed(&c, (const uint8_t *)"a\n\"b\n", 5);
    CHECK_EQ(csv_next(&c, &record), CSV_RECORD);
    CHECK_EQ(csv_next(&c, &record), CSV_MORE);
    unsigned told = 0;
    for (int i = 0; i < 20; i++) {
        csv_feed(&c, xs, count);
        enum csv_step step;
        while ((step = csv_next(&c, &record)) != CSV_MORE) {
            CHECK_EQ(step, CSV_LONG);
            CHECK_EQ(record.line, 2);
            told++;
        }
    }
    CHECK_EQ(told, 1);
    csv_feed(&c, (const uint8_t *)"\n\",z\nnext,1\n", 12);
    CHECK_EQ(csv_next(&c, &record), CSV_RECORD);
    CHECK_EQ(record.count, 2);
    CHECK_EQ(record.line, 5); /* a | "b | …x | ",z | next */
    mem_free(xs);
    csv_fini(&c);
}

static size_t room_of(const struct csv *c)
{
    return c->part.room + c->plain.room + c->values.room;
}

/* Its bytes, doubled as they came, and no more than a bounded table; none of
 * it is kept for the records behind it. */
SPEC(csv, needs_little_memory_for_many_values)
{
    for (unsigned wanted = 0; wanted < 3; wanted++) {
        struct csv c = {.wanted = wanted};
        struct csv_record record;
        size_t count = 8 << 20;
        uint8_t *commas = mem_alloc(count);
        memset(commas, ',', count);
        commas[count / 2] = '"';
        commas[count / 2 + 1] = '"';
        for (int i = 0; i < 2; i++) {
            csv_feed(&c, commas, i == 0 ? count : count - 99);
            CHECK_EQ(csv_next(&c, &record), CSV_MORE);
        }
        csv_feed(&c, (const uint8_t *)"\na,b,c\n\"d\",\"e\"\n", 15);
        CHECK_EQ(csv_next(&c, &record), CSV_RECORD);
        CHECK_EQ(record.count, 2 * count - 99 - 4 + 1);
        CHECK_EQ(record.kept, wanted ? wanted : CSV_VALUES_MAX);
        CHECK_EQ(record.values[record.kept - 1].count, 0);
        CHECK(room_of(&c) <= 49 << 20);
        CHECK_EQ(csv_next(&c, &record), CSV_RECORD);
        CHECK_EQ(record.count, 3);
        CHECK_EQ(record.kept, wanted ? wanted : 3);
        CHECK(room_of(&c) <= 2 << 20);
        CHECK_EQ(csv_next(&c, &record), CSV_RECORD);
        CHECK_EQ(record.count, 2);
        CHECK(room_of(&c) <= 2 << 20);
        mem_free(commas);
        csv_fini(&c);
    }
}

SPEC(csv, loses_nothing_when_memory_ends)
{
    static const char input[] = "a,\"b\"\"c\"\n\"long\nvalue\",d\nlast,e";
    for (uint64_t n = 1; n < 20; n++) {
        struct csv c = {0};
        struct csv_record record;
        struct text t = {.used = 0};
        unsigned failures = 0;
        fault_arm(FAULT_HEAP, n, 1);
        for (size_t at = 0; at < sizeof input - 1;) {
            size_t some = at + 7 < sizeof input - 1 ? 7 : sizeof input - 1 - at;
            csv_feed(&c, (const uint8_t *)input + at, some);
            enum csv_step step;
            while ((step = csv_next(&c, &record)) != CSV_MORE) {
                failures += step == CSV_NOMEM;
                if (step == CSV_RECORD) add_record(&t, &record);
            }
            at += some;
        }
        enum csv_step step = csv_end(&c, &record);
        if (step == CSV_NOMEM) step = csv_end(&c, &record);
        CHECK_EQ(step, CSV_RECORD);
        add_record(&t, &record);
        fault_disarm();
        CHECK(failures <= 1);
        CHECK_TEXT(t.bytes, "1:[a][b\"c]\n2:[long\nvalue][d]\n4:[last][e]\n");
        csv_fini(&c);
    }
}

/* ---- columns ---- */

static const char *const fields[] = {"price", "name"};
static const struct stream_plan stream = {
    .name = "default", .fields = fields, .arity = 2};

static struct csv_record record_of(struct csv_value *values, unsigned count,
                                   const char *const *texts)
{
    for (unsigned i = 0; i < count; i++)
        values[i] = (struct csv_value){(const uint8_t *)texts[i],
                                       (uint32_t)strlen(texts[i])};
    return (struct csv_record){values, count, count, 1, NULL};
}

static void check_encoded(const struct columns *columns,
                          const struct csv_record *record, const char *first,
                          const char *second)
{
    struct buffer out = {0};
    uint8_t wanted[64];
    CHECK_EQ(columns_encode(columns, record, &out), OK);
    uint8_t *end = value_put_bytes(wanted, first, (uint32_t)strlen(first));
    end = value_put_bytes(end, second, (uint32_t)strlen(second));
    CHECK_EQ(out.used, end - wanted);
    CHECK(memcmp(out.data, wanted, out.used) == 0);
    buffer_fini(&out);
}

SPEC(columns, are_picked_by_the_names_in_the_header)
{
    struct columns columns = {0};
    struct csv_value values[4];
    char why[200] = "";
    const char *const header[] = {"id", "name", "price", "name"};
    const char *const row[] = {"7", "disk", "5\"", "other"};
    struct csv_record record = record_of(values, 4, header);
    CHECK(columns_name(&columns, &stream, &record, why, sizeof why));
    record = record_of(values, 4, row);
    CHECK(columns_fit(&columns, &record, why, sizeof why));
    check_encoded(&columns, &record, "5\"", "disk");
    record.count = 3;
    CHECK(!columns_fit(&columns, &record, why, sizeof why));
    CHECK_TEXT(why, "3 values where 4 belong");
    record.count = 1;
    CHECK(!columns_fit(&columns, &record, why, sizeof why));
    CHECK_TEXT(why, "1 value where 4 belong");
    record.count = 4;
    record.faulty = "a quote is never closed";
    CHECK(!columns_fit(&columns, &record, why, sizeof why));
    CHECK_TEXT(why, "a quote is never closed");
}

SPEC(columns, that_are_missing_are_told_with_the_nearest_name)
{
    struct columns columns = {0};
    struct csv_value values[2];
    char why[200] = "";
    const char *const near[] = {"prices", "name"};
    const char *const far[] = {"a", "name"};
    struct csv_record record = record_of(values, 2, near);
    CHECK(!columns_name(&columns, &stream, &record, why, sizeof why));
    CHECK_TEXT(why, "the header has no column 'price'; did you mean 'prices'?");
    record = record_of(values, 2, far);
    CHECK(!columns_name(&columns, &stream, &record, why, sizeof why));
    CHECK_HAS(why, "the header has no column 'price'; name one that it has");
    CHECK(!columns.known);
}

SPEC(columns, behind_the_first_65536_are_told_to_be_too_many)
{
    struct columns columns = {0};
    struct csv_value values[3];
    char why[200] = "";
    const char *const header[] = {"name", "a", "price"};
    struct csv_record record = record_of(values, 3, header);
    record.kept = 2;
    CHECK(!columns_name(&columns, &stream, &record, why, sizeof why));
    CHECK_TEXT(why, "the header has no column 'price' among its first 2, and 3 "
                    "are too many; give the file fewer columns");
    record.kept = 3;
    record.count = 9;
    CHECK(columns_name(&columns, &stream, &record, why, sizeof why));
    CHECK_EQ(columns.wanted, 3);
    CHECK_EQ(columns.width, 9);
}

SPEC(columns, without_a_header_are_counted)
{
    struct columns columns = {0};
    struct csv_value values[3];
    char why[200] = "";
    const char *const row[] = {"1", "x", "y"};
    columns_number(&columns, &stream);
    struct csv_record record = record_of(values, 2, row);
    CHECK(columns_fit(&columns, &record, why, sizeof why));
    check_encoded(&columns, &record, "1", "x");
    record = record_of(values, 3, row);
    CHECK(!columns_fit(&columns, &record, why, sizeof why));
    CHECK_TEXT(why, "3 values where 2 belong");
}
