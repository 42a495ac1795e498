/* json_spec.c - JSON text: what is taken and what is refused where, what the
 * walk finds, what values come out, and what is written. */
#include "core/alloc.h"
#include "core/json.h"
#include "core/json_write.h"
#include "core/random.h"
#include "spec/spec.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* In a block of its own size: a byte too far is seen. */
static err check(const char *text, size_t count, struct json_fault *why,
                 size_t *at)
{
    uint8_t *bytes = mem_alloc(count + !count);
    struct json out = {NULL, NULL};
    CHECK(bytes != NULL);
    memcpy(bytes, text, count);
    err e = json_check(bytes, bytes + count, VALUE_DEPTH_MAX, &out, why);
    if (e == OK)
        CHECK(out.at >= bytes && out.end > out.at && out.end <= bytes + count);
    else
        *at = (size_t)(why->at - bytes);
    mem_free(bytes);
    return e;
}

static void check_good(const char *text, size_t count)
{
    struct json_fault why;
    size_t at;
    if (check(text, count, &why, &at) != OK)
        spec_fail(__FILE__, __LINE__, "%s is refused at %zu: %s", text, at,
                  why.what);
}

static void check_bad(const char *text, size_t count, size_t at,
                      const char *what)
{
    struct json_fault why;
    size_t seen = 0;
    if (check(text, count, &why, &seen) != ERR_FORMAT)
        spec_fail(__FILE__, __LINE__, "%s is taken", text);
    if (seen != at)
        spec_fail(__FILE__, __LINE__, "%s is refused at %zu, not %zu", text,
                  seen, at);
    CHECK_HAS(why.what, what);
}

struct text {
    const char *bytes;
    size_t count;
};
#define TEXT(literal)                                                          \
    {                                                                          \
        (literal), sizeof(literal) - 1                                         \
    }

SPEC(json, takes_every_form_of_the_grammar)
{
    static const struct text good[] = {
        TEXT("null"),
        TEXT("true"),
        TEXT("false"),
        TEXT("0"),
        TEXT("-0"),
        TEXT("-1"),
        TEXT("10"),
        TEXT("0.0"),
        TEXT("-0.5e+10"),
        TEXT("1E5"),
        TEXT("1e-5"),
        TEXT("0e0"),
        TEXT("123456789012345678901234567890"),
        TEXT("1e999"),
        TEXT("\"\""),
        TEXT("\"a\""),
        TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        TEXT("\"\\u0000\\uABCD\\uabcd\\u00e9\""),
        TEXT("\"\\ud83d\\ude00\""),
        TEXT("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""),
        TEXT("\"\x7f\""),
        TEXT("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""),
        TEXT("\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\""),
        TEXT("[]"),
        TEXT("{}"),
        TEXT("[1]"),
        TEXT("[1,2]"),
        TEXT("[[],{},[{}]]"),
        TEXT("{\"a\":1}"),
        TEXT("{\"\":\"\"}"),
        TEXT("{\"a\":1,\"a\":2}"),
        TEXT("{\"a\":{\"b\":[1,{\"c\":null}]}}"),
        TEXT(" \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } } \n"),
        TEXT("\"fifteen bytes..\""),
        TEXT("\"sixteen bytes...\""),
        TEXT("\"a string that is much longer than a block of sixteen\""),
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        check_good(good[i].bytes, good[i].count);
}

SPEC(json, says_what_is_wrong_and_where)
{
    static const char ends[] = "the text ends";
    static const char none[] = "a value is missing";
    static const char comma[] = "a comma or } is missing";
    static const char comma_in_array[] = "a comma or ] is missing";
    static const char key[] = "a key in quotes is missing";
    static const char digit[] = "a digit is missing";
    static const char utf8[] = "not UTF-8";
    static const char half[] = "half of a surrogate pair";
    static const char four[] = "four hexadecimal digits";
    static const struct {
        struct text text;
        size_t at;
        const char *what;
    } bad[] = {
        {TEXT(""), 0, ends},
        {TEXT("  "), 2, ends},
        {TEXT("nul"), 3, ends},
        {TEXT("nulL"), 0, none},
        {TEXT("nullx"), 4, "something stands behind"},
        {TEXT("True"), 0, none},
        {TEXT("tru "), 0, none},
        {TEXT("falsy"), 0, none},
        {TEXT("NaN"), 0, none},
        {TEXT("Infinity"), 0, none},
        {TEXT("'a'"), 0, none},
        {TEXT("\xef\xbb\xbf{}"), 0, none},
        {TEXT("// c\n1"), 0, none},
        {TEXT("1 2"), 2, "something stands behind"},
        {TEXT("{} {}"), 3, "something stands behind"},
        {TEXT("\0"), 0, none},
        {TEXT("1\0"), 1, "something stands behind"},
        {TEXT("[1\0]"), 2, comma_in_array},
        {TEXT("\f1"), 0, none},
        {TEXT("\xc2\xa0"), 0, none},
        /* numbers */
        {TEXT("-"), 1, ends},
        {TEXT("+1"), 0, none},
        {TEXT(".5"), 0, none},
        {TEXT("01"), 0, "begins with 0"},
        {TEXT("-01"), 1, "begins with 0"},
        {TEXT("00"), 0, "begins with 0"},
        {TEXT("1."), 2, ends},
        {TEXT("[1.]"), 3, digit},
        {TEXT("1.e5"), 2, digit},
        {TEXT("1e"), 2, ends},
        {TEXT("1e+"), 3, ends},
        {TEXT("[1e+]"), 4, digit},
        {TEXT("1ee5"), 2, digit},
        {TEXT("-a"), 1, digit},
        {TEXT("0x10"), 1, "something stands behind"},
        {TEXT("1_0"), 1, "something stands behind"},
        {TEXT("--1"), 1, digit},
        /* strings */
        {TEXT("\""), 1, ends},
        {TEXT("\"a"), 2, ends},
        {TEXT("\"a\\\""), 4, ends},
        {TEXT("\"\\"), 2, ends},
        {TEXT("\"\\a\""), 2, "no such escape"},
        {TEXT("\"\\'\""), 2, "no such escape"},
        {TEXT("\"\\U0041\""), 2, "no such escape"},
        {TEXT("\"\\u\""), 3, four},
        {TEXT("\"\\u12\""), 5, four},
        {TEXT("\"\\u12"), 5, ends},
        {TEXT("\"\\u12g4\""), 5, four},
        {TEXT("\"\\ud800\""), 3, half},
        {TEXT("\"\\udc00\""), 3, half},
        {TEXT("\"\\ud800a\""), 3, half},
        {TEXT("\"\\ud800\\n\""), 3, half},
        {TEXT("\"\\ud800\\ud800\""), 3, half},
        {TEXT("\"\\ud800\\u0041\""), 3, half},
        {TEXT("\"\\ud800\\u00\""), 11, four},
        {TEXT("\"\\udbff\\ue000\""), 3, half},
        {TEXT("\"a\tb\""), 2, "control character"},
        {TEXT("\"a\nb\""), 2, "control character"},
        {TEXT("\"a\0b\""), 2, "control character"},
        {TEXT("\"a string longer than a block\x1f\""), 29, "control"},
        {TEXT("\"\x80\""), 1, utf8},
        {TEXT("\"\xff\""), 1, utf8},
        {TEXT("\"\xc0\x80\""), 1, utf8},
        {TEXT("\"\xc3\""), 1, utf8},
        {TEXT("\"\xc3"), 1, utf8},
        {TEXT("\"\xe2\x82\""), 1, utf8},
        {TEXT("\"\xed\xa0\x80\""), 1, utf8},
        {TEXT("\"\xf0\x80\x80\x80\""), 1, utf8},
        {TEXT("\"\xf4\x90\x80\x80\""), 1, utf8},
        {TEXT("\"0123456789abcde\xe2\x28\""), 16, utf8},
        /* arrays */
        {TEXT("["), 1, ends},
        {TEXT("[1"), 2, ends},
        {TEXT("[1,"), 3, ends},
        {TEXT("[1,]"), 3, none},
        {TEXT("[,1]"), 1, none},
        {TEXT("[1 2]"), 3, comma_in_array},
        {TEXT("[1}"), 2, comma_in_array},
        {TEXT("]"), 0, none},
        {TEXT("[]]"), 2, "something stands behind"},
        {TEXT("[\"a\":1]"), 4, comma_in_array},
        /* objects */
        {TEXT("{"), 1, ends},
        {TEXT("}"), 0, none},
        {TEXT("{\"a\""), 4, ends},
        {TEXT("{\"a\":"), 5, ends},
        {TEXT("{\"a\":1"), 6, ends},
        {TEXT("{\"a\":1,"), 7, ends},
        {TEXT("{\"a\":1,}"), 7, key},
        {TEXT("{,\"a\":1}"), 1, key},
        {TEXT("{a:1}"), 1, key},
        {TEXT("{1:1}"), 1, key},
        {TEXT("{\"a\" 1}"), 5, "a colon is missing"},
        {TEXT("{\"a\"}"), 4, "a colon is missing"},
        {TEXT("{\"a\"::1}"), 5, none},
        {TEXT("{\"a\":}"), 5, none},
        {TEXT("{\"a\":1 \"b\":2}"), 7, comma},
        {TEXT("{\"a\":1]"), 6, comma},
        {TEXT("{\"a\":1;\"b\":2}"), 6, comma},
        {TEXT("{\"a\\\":1}"), 8, ends},
        {TEXT("[{\"a\":[1,2}]"), 10, comma_in_array},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_bad(bad[i].text.bytes, bad[i].text.count, bad[i].at, bad[i].what);
}

SPEC(json, takes_no_text_that_is_cut_off)
{
    static const char text[] =
        "{\"a\":[1.5e3,true,null,\"\\u00e9\\ud83d\\ude00 "
        "and \xe2\x82\xac\",{}],\"b\" : \"x\"}";
    check_good(text, sizeof text - 1);
    struct json_fault why;
    size_t at;
    for (size_t count = 0; count < sizeof text - 1; count++)
        CHECK_EQ(check(text, count, &why, &at), ERR_FORMAT);
}

SPEC(json, finds_a_bad_byte_wherever_it_stands_in_a_block)
{
    char text[80];
    struct json_fault why;
    size_t at;
    for (size_t count = 1; count < 70; count++)
        for (size_t bad = 1; bad <= count; bad++) {
            memset(text, 'x', sizeof text);
            text[0] = text[count + 1] = '"';
            check_good(text, count + 2);
            text[bad] = '\n';
            CHECK_EQ(check(text, count + 2, &why, &at), ERR_FORMAT);
            CHECK_EQ(at, bad);
            text[bad] = (char)0xff;
            CHECK_EQ(check(text, count + 2, &why, &at), ERR_FORMAT);
            CHECK_EQ(at, bad);
        }
}

SPEC(json, is_at_most_so_deep)
{
    char text[4 * VALUE_DEPTH_MAX] = {0};
    struct json_fault why;
    struct json out;
    size_t at;
    for (unsigned depth = 1; depth <= VALUE_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        err e = check(text, 2 * depth, &why, &at);
        CHECK_EQ(e, depth <= VALUE_DEPTH_MAX ? OK : ERR_DEEP);
        const uint8_t *bytes = (const uint8_t *)text;
        CHECK_EQ(json_check(bytes, bytes + 2 * depth, depth - 1, &out, &why),
                 ERR_DEEP);
        CHECK_EQ(why.at - bytes, depth - 1);
        CHECK_EQ(json_depth((struct json){bytes, bytes + 2 * depth}), depth);
    }
    static const char scalar[] = "\"[[[{\"";
    const uint8_t *bytes = (const uint8_t *)scalar;
    CHECK_EQ(json_check(bytes, bytes + 6, 0, &out, &why), OK);
    CHECK_EQ(json_depth(out), 0);
}

SPEC(json, has_a_place_in_lines_and_characters)
{
    const uint8_t *text = (const uint8_t *)"a\n\xc3\xa9\xe2\x82\xac b\n";
    unsigned line, column;
    json_place(text, text, &line, &column);
    CHECK(line == 1 && column == 1);
    json_place(text, text + 2, &line, &column);
    CHECK(line == 2 && column == 1);
    json_place(text, text + 8, &line, &column);
    CHECK(line == 2 && column == 4);
}

/* ---- values ---- */

/* Checked: a faulty one fails the spec. */
static struct json json_of(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    struct json out;
    struct json_fault why;
    if (json_check(at, at + strlen(text), VALUE_DEPTH_MAX, &out, &why) != OK)
        spec_fail(__FILE__, __LINE__, "%s: %s", text, why.what);
    return out;
}

static void check_int(const char *text, int64_t expected)
{
    struct value v = json_number(json_of(text));
    if (v.type != VALUE_INT || v.as.integer != expected)
        spec_fail(__FILE__, __LINE__, "%s is not %lld", text,
                  (long long)expected);
}

static void check_float(const char *text, double expected)
{
    struct value v = json_number(json_of(text));
    if (v.type != VALUE_FLOAT || v.as.number != expected ||
        signbit(v.as.number) != signbit(expected))
        spec_fail(__FILE__, __LINE__, "%s is not %.17g", text, expected);
}

SPEC(json, reads_integers_that_fit_64_bits)
{
    check_int("0", 0);
    check_int("-0", 0);
    check_int("-1", -1);
    check_int("1700000000", 1700000000);
    check_int("9007199254740993", 9007199254740993);
    check_int("9223372036854775807", INT64_MAX);
    check_int("-9223372036854775808", INT64_MIN);
    check_float("9223372036854775808", 9223372036854775808.0);
    check_float("-9223372036854775809", -9223372036854775808.0);
    check_float("10000000000000000000", 1e19);
    check_float("18446744073709551616", 18446744073709551616.0);
    check_float("1.0", 1);
    check_float("1e0", 1);
    check_float("-0.0", -0.0);
    check_float("-0e5", -0.0);
}

SPEC(json, reads_floats_as_the_nearest_double)
{
    static const char *const texts[] = {
        "0.1",
        "781.8",
        "131.0",
        "1e22",
        "1e23",
        "-1e-22",
        "1e-23",
        "9007199254740993.0",
        "9007199254740992.9999999999999999",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1e-400",
        "1e400",
        "-1e99999999999999999999",
        "1e-99999999999999999999",
        "0e99999999999999999999",
        "0.000000000000000000000000000000000001e36",
        "123456789012345678901234567890e-10",
        "100000000000000000000000000000000000000",
        "8.98846567431158e307",
        "6.631236846766476e-316",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_float(texts[i], strtod(texts[i], NULL));
}

/* Halfway between two doubles only the last digit decides. */
SPEC(json, reads_numbers_of_any_length)
{
    static const char half[] = "9007199254740993";
    size_t count = 5000;
    char *text = mem_alloc(count + 16);
    CHECK(text != NULL);
    memset(text, '0', count);
    memcpy(text, half, strlen(half));
    text[strlen(half)] = '.';
    text[count] = '\0';
    check_float(text, 9007199254740992.0); /* to even */
    text[count - 1] = '1';
    check_float(text, 9007199254740994.0);
    text[count - 1] = '0';
    strcpy(text + count, "e-16");
    check_float(text, strtod(text, NULL));
    memset(text, '7', count);
    strcpy(text + count, "e-4990");
    check_float(text, strtod(text, NULL));
    memset(text, '0', count);
    text[1] = '.';
    strcpy(text + count, "7e4999");
    check_float(text, 7);
    mem_free(text);
}

SPEC(json, reads_floats_as_c_does)
{
    char text[64];
    FOR_SEEDS(20000)
    {
        struct rng rng = {spec_seed};
        uint64_t bits = rng_next(&rng);
        double d;
        memcpy(&d, &bits, sizeof d);
        if (!isfinite(d)) continue;
        int digits = (int)rng_below(&rng, 25);
        snprintf(text, sizeof text, "%.*e", digits, d);
        check_float(text, strtod(text, NULL));
        d = (double)(int64_t)rng_next(&rng) /
            (double)(1 << rng_below(&rng, 30));
        snprintf(text, sizeof text, "%.*f", 1 + digits, d);
        check_float(text, strtod(text, NULL));
    }
}

static void check_decodes(const char *text, const void *bytes, size_t count)
{
    struct buffer out = {0}, scratch = {0};
    CHECK_EQ(buffer_append(&out, "x", 1), OK);
    CHECK_EQ(json_decode(json_of(text), &out, &scratch), OK);
    if (out.used != count + 1 || memcmp(out.data + 1, bytes, count) != 0)
        spec_fail(__FILE__, __LINE__, "%s has other bytes", text);
    buffer_fini(&out);
    buffer_fini(&scratch);
}
#define CHECK_DECODES(text, bytes)                                             \
    check_decodes((text), (bytes), sizeof(bytes) - 1)

SPEC(json, becomes_values)
{
    CHECK_DECODES("null", "\xc0");
    CHECK_DECODES("true", "\xc3");
    CHECK_DECODES(" false ", "\xc2");
    CHECK_DECODES("7", "\x07");
    CHECK_DECODES("0.5", "\xcb\x3f\xe0\0\0\0\0\0\0");
    CHECK_DECODES("\"\"", "\xa0");
    CHECK_DECODES("\"a\\u0000\\n\\/\"", "\xa4"
                                        "a\0\n/");
    CHECK_DECODES("\"\\u00e9\\u20AC\\ud83d\\ude00\"",
                  "\xa9\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    CHECK_DECODES("[]", "\x90");
    CHECK_DECODES("{}", "\x80");
    CHECK_DECODES("[1,[2],{}]", "\x93\x01\x91\x02\x80");
}

SPEC(json, becomes_maps_in_key_order_and_the_last_of_a_key_counts)
{
    CHECK_DECODES("{\"b\":1,\"a\":2}", "\x82\xa1"
                                       "a\x02\xa1"
                                       "b\x01");
    CHECK_DECODES("{\"a\":1,\"b\":2,\"a\":3}", "\x82\xa1"
                                               "a\x03\xa1"
                                               "b\x02");
    CHECK_DECODES("{\"a\":1,\"\\u0061\":{\"z\":1,\"y\":[]}}", "\x81\xa1"
                                                              "a\x82\xa1"
                                                              "y\x90\xa1"
                                                              "z\x01");
}

SPEC(json, becomes_nothing_when_there_is_no_room)
{
    size_t count = (9 << 20) + 1; /* "1.5," has four bytes, a float nine */
    char *text = mem_alloc(count + 1);
    struct buffer out = {0}, scratch = {0};
    CHECK(text != NULL);
    text[0] = '[';
    for (size_t i = 1; i < count; i += 4)
        memcpy(text + i, "1.5,", 4);
    text[count - 1] = ']';
    text[count] = '\0';
    CHECK_EQ(json_decode(json_of(text), &out, &scratch), ERR_BIG);
    CHECK_EQ(out.used, 0);
    mem_free(text);
    buffer_fini(&out);
    buffer_fini(&scratch);
}

/* ---- walk ---- */

static bool is(struct json text, const char *expected)
{
    size_t count = strlen(expected);
    return (size_t)(text.end - text.at) == count &&
           memcmp(text.at, expected, count) == 0;
}

SPEC(json, is_walked_in_the_order_of_the_text)
{
    struct json rest =
        json_inside(json_of(" { \"a\" : 1 , \"b\\\"\\\\\":[ 1, {\"}\":\"]\"} ] "
                            ",\"\":\"x\\\"\" } "));
    struct json_pair pair;
    CHECK(json_next_pair(&rest, &pair) && is(pair.key, "a"));
    CHECK(is(pair.value, "1"));
    CHECK(json_next_pair(&rest, &pair) && is(pair.key, "b\\\"\\\\"));
    CHECK(is(pair.value, "[ 1, {\"}\":\"]\"} ]"));
    struct json inner = json_inside(pair.value), element;
    CHECK(json_next_element(&inner, &element) && is(element, "1"));
    CHECK(json_next_element(&inner, &element) && is(element, "{\"}\":\"]\"}"));
    CHECK(!json_next_element(&inner, &element));
    CHECK(!json_next_element(&inner, &element));
    CHECK(json_next_pair(&rest, &pair) && is(pair.key, ""));
    CHECK(is(pair.value, "\"x\\\"\""));
    CHECK(!json_next_pair(&rest, &pair));
    rest = json_inside(json_of("{ }"));
    CHECK(!json_next_pair(&rest, &pair));
    rest = json_inside(json_of("[ \n]"));
    CHECK(!json_next_element(&rest, &element));
}

SPEC(json, finds_the_last_of_a_key)
{
    struct json object =
        json_of("{\"a\":1,\"level\":\"x\",\"a\":2,\"k\\n\":3,"
                "\"in\":{\"b\":4},\"\\u0061b\":5,\"a\\\\\":6}");
    struct json_pair pair;
    CHECK(json_find(object, "a", 1, &pair) && is(pair.value, "2"));
    CHECK(json_find(object, "level", 5, &pair) && is(pair.value, "\"x\""));
    CHECK(json_find(object, "k\n", 2, &pair) && is(pair.value, "3"));
    CHECK(json_find(object, "ab", 2, &pair) && is(pair.value, "5"));
    CHECK(json_find(object, "a\\", 2, &pair) && is(pair.value, "6"));
    CHECK(!json_find(object, "k\\n", 3, &pair));
    CHECK(!json_find(object, "a\\\\", 3, &pair));
    CHECK(!json_find(object, "b", 1, &pair));
    CHECK(!json_find(object, "", 0, &pair));
    CHECK(!json_find(object, "levels", 6, &pair));
    CHECK(!json_find(object, "\\u0061b", 7, &pair));
}

/* A key and a value at every place of a block of sixteen. */
SPEC(json, finds_keys_of_every_length)
{
    char key[70], text[300];
    struct json_pair pair;
    memset(key, 'k', sizeof key);
    for (int count = 0; count < 60; count++) {
        snprintf(text, sizeof text,
                 "{\"%.*s\":\"%.*s\",\"z\":[\"%.*s\",7],\"last\":true}", count,
                 key, count, key, count, key);
        struct json object = json_of(text);
        CHECK(json_find(object, key, (size_t)count, &pair));
        CHECK_EQ(pair.value.end - pair.value.at, count + 2);
        CHECK(json_find(object, "last", 4, &pair) && is(pair.value, "true"));
        CHECK(!json_find(object, key, (size_t)count + 1, &pair));
    }
}

/* ---- writing ---- */

static const char *written(const char *text, struct buffer *out)
{
    struct buffer values = {0}, scratch = {0};
    CHECK_EQ(json_decode(json_of(text), &values, &scratch), OK);
    out->used = 0;
    struct json_writer w = {.out = out};
    CHECK(json_put_value(&w, values.data) == values.data + values.used);
    json_put_byte(&w, 0);
    CHECK_EQ(w.failed, OK);
    buffer_fini(&values);
    buffer_fini(&scratch);
    return (const char *)out->data;
}

SPEC(json, is_written_as_it_was_read)
{
    static const char *const texts[] = {
        "null",
        "[true,false,null]",
        "-9223372036854775808",
        "131.0",
        "0.1",
        "1e+100",
        "{\"a\":[],\"b\":{},\"c\":\"\\\"\\\\\\n\\u0001\xc3\xa9\"}",
    };
    struct buffer out = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        CHECK_TEXT(written(texts[i], &out), texts[i]);
    CHECK_TEXT(written("{\"b\" : 1e2, \"a\":\"\\u00e9\\/\"}", &out),
               "{\"a\":\"\xc3\xa9/\",\"b\":100.0}");
    buffer_fini(&out);
}
