/* format_spec.c - tuples as lines of text, JSON and CSV. */
#include "actors/connectors/format.h"
#include "core/value.h"
#include "spec/spec.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct format text = {FORMAT_TEXT}, json = {FORMAT_JSON},
                           csv = {FORMAT_CSV};
static const char *const fields[] = {"a", "b", "c", "d"};

/* Values one behind another, and the line they became. */
struct tuple {
    uint8_t bytes[1024], *end;
    unsigned count;
    struct buffer out;
    uint64_t replaced;
};

static void start(struct tuple *t)
{
    *t = (struct tuple){.count = 0};
    t->end = t->bytes;
}

static void add_bytes(struct tuple *t, const char *bytes, size_t count)
{
    t->end = value_put_bytes(t->end, bytes, (uint32_t)count);
    t->count++;
}

static void add_text(struct tuple *t, const char *word)
{
    add_bytes(t, word, strlen(word));
}

static void add_int(struct tuple *t, int64_t i)
{
    t->end = value_put_int(t->end, i);
    t->count++;
}

static void add_float(struct tuple *t, double d)
{
    t->end = value_put_float(t->end, d);
    t->count++;
}

/* One value in MessagePack. */
static void add_raw(struct tuple *t, const char *bytes, size_t count)
{
    memcpy(t->end, bytes, count);
    t->end += count;
    t->count++;
}

/* The line without its end, 0 behind it; replaces the last one. */
static const char *line(struct tuple *t, const struct format *f)
{
    t->out.used = 0;
    t->replaced = 0;
    CHECK_EQ(format_tuple(f, fields, t->count, t->bytes, &t->out, &t->replaced),
             OK);
    CHECK_EQ(t->out.data[t->out.used - 1], '\n');
    t->out.data[t->out.used - 1] = '\0';
    return (const char *)t->out.data;
}

static void finish(struct tuple *t)
{
    buffer_fini(&t->out);
}

SPEC(format, is_found_by_its_name)
{
    struct format f = {FORMAT_TEXT};
    CHECK_EQ(format_named("json", &f), OK);
    CHECK_EQ(f.kind, FORMAT_JSON);
    CHECK_EQ(format_named("csv", &f), OK);
    CHECK_EQ(f.kind, FORMAT_CSV);
    CHECK_EQ(format_named("xml", &f), ERR_NOTFOUND);
    CHECK_EQ(format_named("", &f), ERR_NOTFOUND);
    CHECK_EQ(f.kind, FORMAT_CSV);
    CHECK_EQ(format_named("text", &f), OK);
    CHECK_EQ(f.kind, FORMAT_TEXT);
}

SPEC(format, writes_a_tuple_in_all_three)
{
    struct tuple t;
    start(&t);
    add_text(&t, "cow");
    add_int(&t, -42);
    add_float(&t, 1);
    add_raw(&t, "\xc3", 1);
    CHECK_TEXT(line(&t, &text), "cow\t-42\t1.0\ttrue");
    CHECK_TEXT(line(&t, &json),
               "{\"a\":\"cow\",\"b\":-42,\"c\":1.0,\"d\":true}");
    CHECK_TEXT(line(&t, &csv), "cow,-42,1.0,true");
    finish(&t);
}

SPEC(format, writes_nil_as_nothing_but_in_json)
{
    struct tuple t;
    start(&t);
    add_raw(&t, "\xc0", 1);
    CHECK_TEXT(line(&t, &text), "");
    CHECK_TEXT(line(&t, &csv), "");
    add_raw(&t, "\xc2", 1);
    add_raw(&t, "\xc0", 1);
    CHECK_TEXT(line(&t, &text), "\tfalse\t");
    CHECK_TEXT(line(&t, &json), "{\"a\":null,\"b\":false,\"c\":null}");
    CHECK_TEXT(line(&t, &csv), ",false,");
    finish(&t);
    start(&t);
    CHECK_TEXT(line(&t, &text), "");
    CHECK_TEXT(line(&t, &json), "{}");
    CHECK_TEXT(line(&t, &csv), "");
    finish(&t);
}

SPEC(format, writes_containers_as_json)
{
    struct tuple t;
    start(&t);
    add_text(&t, "x");
    /* {true: [], 1: nil, 1.5: {}, "k\"": ["a", [0.5]]} */
    add_raw(&t,
            "\x84\xc3\x90\x01\xc0\xca\x3f\xc0\0\0\x80\xa2k\"\x92\xa1"
            "a\x91\xca\x3f\0\0\0",
            24);
    const char *map = "{\"true\":[],\"1\":null,\"1.5\":{},"
                      "\"k\\\"\":[\"a\",[0.5]]}";
    CHECK_HAS(line(&t, &text), "x\t{");
    CHECK_TEXT(line(&t, &text) + 2, map);
    CHECK_HAS(line(&t, &json), map);
    CHECK_TEXT(line(&t, &csv),
               "x,\"{\"\"true\"\":[],\"\"1\"\":null,\"\"1.5\"\":{},"
               "\"\"k\\\"\"\"\":[\"\"a\"\",[0.5]]}\"");
    finish(&t);
    start(&t);
    add_raw(&t, "\x90", 1);
    CHECK_TEXT(line(&t, &csv), "\"[]\"");
    finish(&t);
}

SPEC(format, appends_whole_lines)
{
    struct buffer out = {0};
    uint64_t replaced = 5;
    CHECK_EQ(format_header(&csv, fields, 2, &out), OK);
    CHECK_EQ(format_tuple(&csv, fields, 2, (const uint8_t *)"\x01\x02", &out,
                          &replaced),
             OK);
    CHECK_EQ(format_tuple(&json, fields, 1, (const uint8_t *)"\xa1\xff", &out,
                          &replaced),
             OK);
    CHECK_EQ(buffer_append(&out, "", 1), OK);
    CHECK_TEXT((const char *)out.data, "a,b\n1,2\n{\"a\":\"\xef\xbf\xbd\"}\n");
    CHECK_EQ(replaced, 6);
    buffer_fini(&out);
}

SPEC(format, has_a_header_in_csv_only)
{
    static const char *const names[] = {"plain", "a,b", "say \"x\"", ""};
    struct buffer out = {0};
    CHECK_EQ(format_header(&text, names, 4, &out), OK);
    CHECK_EQ(format_header(&json, names, 4, &out), OK);
    CHECK_EQ(out.used, 0);
    CHECK_EQ(format_header(&csv, names, 4, &out), OK);
    CHECK_EQ(buffer_append(&out, "", 1), OK);
    CHECK_TEXT((const char *)out.data, "plain,\"a,b\",\"say \"\"x\"\"\",\n");
    buffer_fini(&out);
}

/* A buffer that seems as full as one can be: no room can be had. */
SPEC(format, takes_a_line_back_when_there_is_no_memory)
{
    struct buffer full = {.used = PTRDIFF_MAX, .room = PTRDIFF_MAX};
    const struct format *all[] = {&text, &json, &csv};
    uint64_t replaced = 0;
    const uint8_t *values = (const uint8_t *)"\xa3\xff,\n\x91\xcb\x7f\xf8\0\0"
                                             "\0\0\0\0";
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(format_tuple(all[i], fields, 2, values, &full, &replaced),
                 ERR_NOMEM);
        CHECK(full.used == PTRDIFF_MAX && full.data == NULL);
    }
    CHECK_EQ(format_header(&csv, fields, 2, &full), ERR_NOMEM);
    CHECK(full.used == PTRDIFF_MAX && full.data == NULL);
    CHECK_EQ(replaced, 0);
}

/* ---- Numbers ---- */

SPEC(format, prints_integers_as_c_does)
{
    struct tuple t;
    FOR_SEEDS(2000)
    {
        uint64_t mixed = value_hash_mix(spec_seed);
        int64_t i = (int64_t)(mixed >> mixed % 64);
        if (spec_seed % 2) i = -i;
        if (spec_seed == 1) i = INT64_MIN;
        if (spec_seed == 2) i = INT64_MAX;
        if (spec_seed == 3) i = 0;
        char expected[32];
        snprintf(expected, sizeof expected, "%lld", (long long)i);
        start(&t);
        add_int(&t, i);
        CHECK_TEXT(line(&t, &text), expected);
        finish(&t);
    }
    int64_t ten = 1;
    for (int digits = 1; digits < 19; digits++, ten *= 10)
        for (int64_t i = ten - 1; i <= ten + 1; i++) {
            char expected[32];
            snprintf(expected, sizeof expected, "%lld", (long long)i);
            start(&t);
            add_int(&t, i);
            CHECK_TEXT(line(&t, &text), expected);
            finish(&t);
        }
}

/* What the header promises, said in the slow way. */
static void print_float(double d, char *out, size_t bytes)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, bytes, "%.*g", digits, d);
        if (strtod(out, NULL) == d) break;
    }
    if (strpbrk(out, ".e") == NULL) strcat(out, ".0");
}

static void check_float(double d)
{
    struct tuple t;
    char expected[40];
    print_float(d, expected, sizeof expected - 2);
    start(&t);
    add_float(&t, d);
    CHECK_TEXT(line(&t, &text), expected);
    CHECK(strtod((const char *)t.out.data, NULL) == d);
    CHECK_TEXT(line(&t, &csv), expected);
    CHECK_HAS(line(&t, &json), expected);
    CHECK_EQ(t.replaced, 0);
    finish(&t);
}

SPEC(format, prints_floats_shortest_and_exact)
{
    static const double floats[] = {
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1,
        0.3,
        0.1 + 0.2,
        1e15,
        1e16,
        1e14,
        999999999999998.0,
        999999999999999.0,
        999999999999999.9,
        99999999999999.95,
        1e-4,
        9.9999e-5,
        0.00012345,
        1e22,
        1e23,
        1e300,
        DBL_MAX,
        DBL_MIN,
        5e-324,
        1.0 / 3,
        123456.789,
        1e-7,
        0x1p53,
        0x1p63,
        -2.5,
        1234567.1234567,
        0.000001,
    };
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        check_float(floats[i]);
    FOR_SEEDS(1000)
    {
        uint64_t mixed = value_hash_mix(spec_seed);
        int64_t whole = (int64_t)(mixed >> mixed % 64);
        double d;
        memcpy(&d, &mixed, sizeof d);
        if (isfinite(d)) check_float(d);
        check_float((double)whole / pow(10, (double)(spec_seed % 9)));
        check_float(-(double)whole * 0.01);
        check_float((double)(mixed % 100000000) / 1000);
    }
}

SPEC(format, shows_what_it_prints_of_well_known_floats)
{
    struct tuple t;
    start(&t);
    add_float(&t, -0.0);
    add_float(&t, 0.1 + 0.2);
    add_float(&t, 1e300);
    add_float(&t, 19.99);
    CHECK_TEXT(line(&t, &text), "-0.0\t0.30000000000000004\t1e+300\t19.99");
    finish(&t);
}

SPEC(format, counts_floats_json_has_no_word_for)
{
    struct tuple t;
    start(&t);
    add_float(&t, NAN);
    add_float(&t, -HUGE_VAL);
    add_float(&t, HUGE_VAL);
    add_raw(&t, "\x92\xca\x7f\xc0\0\0\x81\xca\x7f\x80\0\0\x01", 13);
    CHECK_TEXT(line(&t, &json),
               "{\"a\":null,\"b\":null,\"c\":null,\"d\":[null,{\"inf\":1}]}");
    CHECK_EQ(t.replaced, 4);
    CHECK_TEXT(line(&t, &text), "nan\t-inf\tinf\t[null,{\"inf\":1}]");
    CHECK_EQ(t.replaced, 1);
    finish(&t);
    start(&t);
    add_float(&t, -NAN);
    CHECK_TEXT(line(&t, &csv), "nan");
    finish(&t);
}

/* ---- Strings ---- */

SPEC(format, escapes_every_character_json_can_not_hold)
{
    static const char *const short_form[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f",
        ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\"};
    for (unsigned c = 0; c < 128; c++) {
        struct tuple t;
        char around[] = {'<', (char)c, '>'}, expected[32], written[16];
        const char *known =
            c < sizeof short_form / sizeof *short_form ? short_form[c] : NULL;
        if (known)
            snprintf(written, sizeof written, "%s", known);
        else if (c < 32)
            snprintf(written, sizeof written, "\\u%04x", c);
        else
            snprintf(written, sizeof written, "%c", (int)c);
        snprintf(expected, sizeof expected, "{\"a\":\"<%s>\"}", written);
        start(&t);
        add_bytes(&t, around, 3);
        CHECK_TEXT(line(&t, &json), expected);
        CHECK_EQ(t.replaced, 0);
        finish(&t);
    }
}

SPEC(format, escapes_the_names_of_fields)
{
    static const char *const names[] = {"a\"b\n\x01"};
    struct buffer out = {0};
    uint64_t replaced = 0;
    CHECK_EQ(
        format_tuple(&json, names, 1, (const uint8_t *)"\x01", &out, &replaced),
        OK);
    CHECK_EQ(buffer_append(&out, "", 1), OK);
    CHECK_TEXT((const char *)out.data, "{\"a\\\"b\\n\\u0001\":1}\n");
    buffer_fini(&out);
}

#define BAD "\xef\xbf\xbd"

SPEC(format, replaces_each_maximal_ill_formed_part)
{
    static const struct {
        const char *in, *out;
        unsigned replaced;
    } cases[] = {
        {"plain", "plain", 0},
        {"caf\xc3\xa9", "caf\xc3\xa9", 0},
        {"\xe2\x82\xac", "\xe2\x82\xac", 0},
        {"\xf0\x9f\x90\x84!", "\xf0\x9f\x90\x84!", 0},
        /* The bounds of every row of well-formed sequences. */
        {"\xc2\x80\xdf\xbf", "\xc2\x80\xdf\xbf", 0},
        {"\xe0\xa0\x80\xe0\xbf\xbf", "\xe0\xa0\x80\xe0\xbf\xbf", 0},
        {"\xed\x80\x80\xed\x9f\xbf", "\xed\x80\x80\xed\x9f\xbf", 0},
        {"\xee\x80\x80\xef\xbf\xbf", "\xee\x80\x80\xef\xbf\xbf", 0},
        {"\xf0\x90\x80\x80\xf3\xbf\xbf\xbf", "\xf0\x90\x80\x80\xf3\xbf\xbf\xbf",
         0},
        {"\xf4\x80\x80\x80\xf4\x8f\xbf\xbf", "\xf4\x80\x80\x80\xf4\x8f\xbf\xbf",
         0},
        /* Alone. */
        {"\x80", BAD, 1},
        {"a\xbf"
         "b",
         "a" BAD "b", 1},
        {"\xff\xfe", BAD BAD, 2},
        {"\xf5\x80\x80\x80", BAD BAD BAD BAD, 4},
        {"\xc3", BAD, 1},
        {"\xc3\"", BAD "\\\"", 1},
        /* Cut short: one for all that could still have become a character. */
        {"\xe2\x82", BAD, 1},
        {"\xf0\x9f\x90", BAD, 1},
        {"\xf0\x9f\x90"
         "A",
         BAD "A", 1},
        {"\xe2\x82\xe2\x82\xac", BAD "\xe2\x82\xac", 1},
        /* Overlong, surrogates, above U+10FFFF: the second byte is wrong. */
        {"\xc0\xaf", BAD BAD, 2},
        {"\xc1\xbf", BAD BAD, 2},
        {"\xe0\x80\xaf", BAD BAD BAD, 3},
        {"\xe0\x9f\xbf", BAD BAD BAD, 3},
        {"\xed\xa0\x80", BAD BAD BAD, 3},
        {"\xed\xbf\xbf", BAD BAD BAD, 3},
        {"\xf0\x8f\xbf\xbf", BAD BAD BAD BAD, 4},
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD, 4},
        /* Unicode 15, tables 3-8 to 3-11. */
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82"
         "A",
         BAD BAD BAD BAD BAD BAD BAD BAD "A", 8},
        {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf"
         "A",
         BAD BAD BAD BAD BAD BAD BAD BAD "A", 8},
        {"\xf4\x91\x92\x93\xff"
         "A\x80\xbf"
         "B",
         BAD BAD BAD BAD BAD "A" BAD BAD "B", 7},
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"
         "A",
         BAD BAD BAD BAD "A", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tuple t;
        char expected[128];
        snprintf(expected, sizeof expected, "{\"a\":\"%s\"}", cases[i].out);
        start(&t);
        add_text(&t, cases[i].in);
        CHECK_TEXT(line(&t, &json), expected);
        CHECK_EQ(t.replaced, cases[i].replaced);
        CHECK_TEXT(line(&t, &text), cases[i].in);
        CHECK_EQ(t.replaced, 0);
        finish(&t);
    }
}

SPEC(format, counts_replacements_wherever_they_are)
{
    struct tuple t;
    start(&t);
    add_raw(&t,
            "\x81\xa1\xff\x91\xa2\xfe"
            "a",
            7); /* key and element */
    CHECK_TEXT(line(&t, &json), "{\"a\":{\"" BAD "\":[\"" BAD "a\"]}}");
    CHECK_EQ(t.replaced, 2);
    line(&t, &csv);
    CHECK_EQ(t.replaced, 2);
    finish(&t);
}

SPEC(format, quotes_in_csv_only_what_needs_it)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {" a b\t", " a b\t"},
        {"a,b", "\"a,b\""},
        {",", "\",\""},
        {"\"", "\"\"\"\""},
        {"\"\"", "\"\"\"\"\"\""},
        {"say \"moo\"", "\"say \"\"moo\"\"\""},
        {"two\nlines", "\"two\nlines\""},
        {"cr\r", "\"cr\r\""},
        {"it's; fine\\", "it's; fine\\"},
        {"\xff\xfe", "\xff\xfe"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tuple t;
        char expected[128];
        snprintf(expected, sizeof expected, "%s,%s", cases[i].out,
                 cases[i].out);
        start(&t);
        add_text(&t, cases[i].in);
        add_text(&t, cases[i].in);
        CHECK_TEXT(line(&t, &csv), expected);
        finish(&t);
    }
}

SPEC(format, leaves_zero_bytes_in_text)
{
    struct tuple t;
    start(&t);
    add_bytes(&t, "a\0b", 3);
    line(&t, &text);
    CHECK(memcmp(t.out.data, "a\0b", 4) == 0);
    CHECK_TEXT(line(&t, &json), "{\"a\":\"a\\u0000b\"}");
    finish(&t);
}

/* A reader of JSON strings and CSV fields gets back what was written. */
static size_t read_json(const char *at, char *out)
{
    size_t used = 0;
    for (at++; *at != '"'; at++) {
        unsigned code = (unsigned char)*at;
        if (*at == '\\') {
            at++;
            const char *known = strchr("b\bt\tn\nf\fr\r", *at);
            code = known ? (unsigned)known[1] : (unsigned)*at;
            if (*at == 'u') {
                CHECK_EQ(sscanf(at + 1, "%4x", &code), 1);
                at += 4;
            }
        }
        out[used++] = (char)code;
    }
    CHECK_TEXT(at, "\"}");
    return used;
}

static size_t read_csv(const char *at, const char *end, char *out)
{
    size_t used = 0;
    bool quoted = *at == '"';
    if (quoted) CHECK_EQ(*--end, '"');
    for (at += quoted; at < end; at++) {
        if (quoted && *at == '"') CHECK_EQ(*++at, '"');
        out[used++] = *at;
    }
    return used;
}

SPEC(format, can_be_read_back)
{
    static const char *const pieces[] = {
        "\"", "\\", "\n", ",", "a", "\r", "\x01", "\xc3\xa9", "word", "\b"};
    FOR_SEEDS(500)
    {
        struct tuple t;
        char in[128] = "", out[256];
        uint64_t mixed = spec_seed;
        for (unsigned i = 0; i < spec_seed % 20; i++) {
            mixed = value_hash_mix(mixed + 1);
            strcat(in, pieces[mixed % 10]);
        }
        start(&t);
        add_text(&t, in);
        line(&t, &json);
        size_t used = read_json((const char *)t.out.data + 5, out);
        CHECK_EQ(used, strlen(in));
        CHECK(memcmp(in, out, used) == 0);
        line(&t, &csv);
        const char *got = (const char *)t.out.data;
        used = read_csv(got, got + t.out.used - 1, out);
        CHECK_EQ(used, strlen(in));
        CHECK(memcmp(in, out, used) == 0);
        finish(&t);
    }
}
