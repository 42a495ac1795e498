/* value_spec.c - values: what is written is read again, what is broken is
 * refused. */
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/value.h"
#include "spec/spec.h"
#include "spec/value_sample.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Round trips ---- */

static void check_int(int64_t i, size_t bytes)
{
    uint8_t at[VALUE_SCALAR_MAX];
    struct value v;
    const uint8_t *next = NULL, *end = value_put_int(at, i);
    CHECK_EQ(end - at, bytes);
    CHECK_EQ(value_check(at, end, &next), OK);
    CHECK(next == end && value_skip(at) == end && value_get(at, &v) == end);
    CHECK_EQ(v.type, VALUE_INT);
    CHECK_EQ(v.as.integer, i);
    CHECK(value_hash(at, 7) == value_hash_int(i, 7));
}

SPEC(value, writes_integers_in_their_smallest_form)
{
    static const struct {
        int64_t i;
        size_t bytes;
    } edges[] = {
        {0, 1},           {127, 1},
        {128, 2},         {255, 2},
        {256, 3},         {32767, 3},
        {32768, 3},       {65535, 3},
        {65536, 5},       {2147483647, 5},
        {2147483648, 5},  {4294967295, 5},
        {4294967296, 9},  {INT64_MAX, 9},
        {-1, 1},          {-32, 1},
        {-33, 2},         {-127, 2},
        {-128, 2},        {-129, 3},
        {-32768, 3},      {-32769, 5},
        {-2147483648, 5}, {-2147483649, 9},
        {INT64_MIN, 9},   {9007199254740993, 9},
    };
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        check_int(edges[i].i, edges[i].bytes);
    for (unsigned bit = 0; bit < 63; bit++)
        for (int64_t near = -2; near <= 2; near++) {
            uint8_t at[VALUE_SCALAR_MAX];
            int64_t i = (INT64_C(1) << bit) + near;
            check_int(i, (size_t)(value_put_int(at, i) - at));
            check_int(-i, (size_t)(value_put_int(at, -i) - at));
        }
}

SPEC(value, reads_floats_back_bit_by_bit)
{
    static const double floats[] = {0.0,      -0.0, 1.5,    -1e300, 5e-324,
                                    HUGE_VAL, NAN,  0x1p63, 1e-7};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        uint8_t at[VALUE_SCALAR_MAX];
        struct value v;
        CHECK_EQ(value_put_float(at, floats[i]) - at, VALUE_SCALAR_MAX);
        CHECK(value_get(at, &v) == at + VALUE_SCALAR_MAX);
        CHECK_EQ(v.type, VALUE_FLOAT);
        CHECK(memcmp(&v.as.number, &floats[i], sizeof(double)) == 0);
        CHECK(value_hash(at, 7) == value_hash_float(floats[i], 7));
    }
}

SPEC(value, reads_nil_and_booleans_back)
{
    uint8_t at[3];
    struct value v;
    const uint8_t *end = value_put_nil(at);
    CHECK(value_get(at, &v) == end && v.type == VALUE_NIL);
    for (int b = 0; b < 2; b++) {
        end = value_put_bool(at, b);
        CHECK(value_get(at, &v) == end && v.type == VALUE_BOOL);
        CHECK_EQ(v.as.boolean, b);
        CHECK(value_hash(at, 7) == value_hash_bool(b, 7));
    }
}

/* Of exactly the promised room, so that a byte too far is seen. */
static void check_bytes(uint32_t count, size_t head)
{
    char *text = mem_alloc(count);
    uint8_t *at = mem_alloc(VALUE_HEAD_MAX + count);
    struct value v;
    CHECK(text != NULL && at != NULL);
    for (uint32_t i = 0; i < count; i++)
        text[i] = (char)(i * 31 + 7);
    const uint8_t *next = NULL, *end = value_put_bytes(at, text, count);
    CHECK_EQ(end - at, head + count);
    CHECK_EQ(value_check(at, end, &next), OK);
    CHECK(next == end && value_skip(at) == end && value_get(at, &v) == end);
    CHECK_EQ(v.type, VALUE_BYTES);
    CHECK_EQ(v.count, count);
    CHECK(memcmp(v.as.bytes, text, count) == 0);
    CHECK(value_hash(at, 7) == value_hash_bytes(text, count, 7));
    mem_free(text);
    mem_free(at);
}

SPEC(value, reads_byte_strings_of_every_length_back)
{
    for (uint32_t count = 0; count < 32; count++)
        check_bytes(count, 1);
    for (uint32_t count = 32; count < 256; count++)
        check_bytes(count, 2);
    check_bytes(256, 3);
    check_bytes(65535, 3);
    check_bytes(65536, 5);
    uint8_t at[VALUE_HEAD_MAX];
    CHECK_EQ(value_put_bytes(at, NULL, 0) - at, 1);
}

SPEC(value, reads_container_heads_back)
{
    static const struct {
        uint32_t count;
        size_t head;
    } edges[] = {{0, 1},   {1, 1},     {15, 1},    {16, 3},        {255, 3},
                 {256, 3}, {65535, 3}, {65536, 5}, {UINT32_MAX, 5}};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        uint8_t at[VALUE_HEAD_MAX];
        struct value v;
        const uint8_t *end = value_put_array_head(at, edges[i].count);
        CHECK_EQ(end - at, edges[i].head);
        CHECK(value_get(at, &v) == end && v.type == VALUE_ARRAY);
        CHECK_EQ(v.count, edges[i].count);
        end = value_put_map_head(at, edges[i].count);
        CHECK_EQ(end - at, edges[i].head);
        CHECK(value_get(at, &v) == end && v.type == VALUE_MAP);
        CHECK_EQ(v.count, edges[i].count);
    }
}

SPEC(value, reads_every_legal_form)
{
    static const struct {
        const char *bytes;
        size_t count;
        int64_t integer;
    } forms[] = {
        {"\x05", 1, 5},
        {"\xcc\x05", 2, 5},
        {"\xcd\x00\x05", 3, 5},
        {"\xce\x00\x00\x00\x05", 5, 5},
        {"\xcf\x00\x00\x00\x00\x00\x00\x00\x05", 9, 5},
        {"\xd0\x05", 2, 5},
        {"\xd1\x00\x05", 3, 5},
        {"\xd2\x00\x00\x00\x05", 5, 5},
        {"\xd3\x00\x00\x00\x00\x00\x00\x00\x05", 9, 5},
        {"\xff", 1, -1},
        {"\xd0\xff", 2, -1},
        {"\xd1\xff\xff", 3, -1},
        {"\xd2\xff\xff\xff\xff", 5, -1},
        {"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", 9, -1},
        {"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9, INT64_MAX},
        {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, INT64_MIN},
        {"\xca\x40\xa0\x00\x00", 5, 5}, /* 5.0 */
        {"\xcb\x40\x14\x00\x00\x00\x00\x00\x00", 9, 5},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const uint8_t *at = (const uint8_t *)forms[i].bytes, *next = NULL;
        uint8_t small[VALUE_SCALAR_MAX];
        value_put_int(small, forms[i].integer);
        CHECK_EQ(value_check(at, at + forms[i].count, &next), OK);
        CHECK(next == at + forms[i].count);
        CHECK(value_equal(at, small));
        CHECK(value_hash(at, 3) == value_hash(small, 3));
    }
}

/* ---- What is refused ---- */

static err check_text(const char *bytes, size_t count)
{
    const uint8_t *at = (const uint8_t *)bytes, *next = NULL;
    err e = value_check(at, at + count, &next);
    CHECK((e == OK) == (next != NULL));
    return e;
}

SPEC(value, refuses_what_is_no_value)
{
    static const uint8_t heads[] = {0xc1, 0xc7, 0xc8, 0xc9, 0xd4,
                                    0xd5, 0xd6, 0xd7, 0xd8};
    for (size_t i = 0; i < sizeof heads; i++) {
        char bytes[20] = {(char)heads[i]};
        CHECK_EQ(check_text(bytes, sizeof bytes), ERR_FORMAT);
        char within[20] = {(char)0x92, 1, (char)heads[i]};
        CHECK_EQ(check_text(within, sizeof within), ERR_FORMAT);
    }
    CHECK_EQ(check_text("\xcf\x80\0\0\0\0\0\0\0", 9), ERR_FORMAT);
    CHECK_EQ(check_text("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9), ERR_FORMAT);
}

static void check_json(const char *text, unsigned around, err expected)
{
    uint8_t bytes[512], *to = bytes;
    const uint8_t *next = NULL;
    struct value v;
    size_t count = strlen(text);
    for (unsigned i = 0; i < around; i++)
        to = value_put_array_head(to, 1);
    uint8_t *at = to;
    to = value_put_json(to, (const uint8_t *)text, (uint32_t)count);
    CHECK_EQ(value_check(bytes, to, &next), expected);
    if (expected != OK) return;
    CHECK(next == to && value_skip(bytes) == to && value_get(at, &v) == to);
    CHECK_EQ(v.type, VALUE_JSON);
    CHECK_EQ(v.count, count);
    CHECK(memcmp(v.as.bytes, text, count) == 0);
    CHECK_EQ(value_check(bytes, to - 1, &next), ERR_TRUNCATED);
}

SPEC(value, carries_json_that_is_a_container_without_space_around)
{
    char deep[2 * VALUE_DEPTH_MAX + 1] = {0};
    memset(deep, '[', VALUE_DEPTH_MAX);
    memset(deep + VALUE_DEPTH_MAX, ']', VALUE_DEPTH_MAX);
    check_json("{}", 0, OK);
    check_json("[1, {\"a\" : \"\xc3\xa9\"}]", 0, OK);
    check_json(deep, 0, OK);
    check_json(deep, 1, ERR_DEEP);
    check_json(deep + 1, 1, ERR_FORMAT); /* a ] too many */
    check_json("[[]]", VALUE_DEPTH_MAX - 2, OK);
    check_json("[[]]", VALUE_DEPTH_MAX - 1, ERR_DEEP);
    check_json("", 0, ERR_FORMAT);
    check_json("1", 0, ERR_FORMAT);
    check_json("\"a\"", 0, ERR_FORMAT);
    check_json("null", 0, ERR_FORMAT);
    check_json(" {}", 0, ERR_FORMAT);
    check_json("{} ", 0, ERR_FORMAT);
    check_json("[1,\n2]", 0, ERR_FORMAT);
    check_json("{]", 0, ERR_FORMAT);
    check_json("[\"\xc3\"]", 0, ERR_FORMAT);
    CHECK_EQ(check_text("\xc7\x02J{}", 5), OK);
    CHECK_EQ(check_text("\xc7\x02K{}", 5), ERR_FORMAT);
    CHECK_EQ(check_text("\x81\xc7\x02J{}\x01", 7), ERR_FORMAT); /* a key */
}

SPEC(value, tells_json_apart_by_its_bytes)
{
    uint8_t a[32], b[32];
    value_put_json(a, (const uint8_t *)"{\"a\":1}", 7);
    value_put_json(b, (const uint8_t *)"{\"a\":1}", 7);
    CHECK(value_equal(a, b) && value_hash(a, 3) == value_hash(b, 3));
    CHECK(value_is_key(a));
    value_put_json(b, (const uint8_t *)"{\"a\": 1}", 8);
    CHECK(!value_equal(a, b) && value_order(a, b) > 0);
    value_put_bytes(b, "{\"a\":1}", 7);
    CHECK(!value_equal(a, b) && value_order(a, b) > 0);
    CHECK(value_hash(a, 3) != value_hash(b, 3));
}

SPEC(value, refuses_keys_no_table_can_have)
{
    CHECK_EQ(check_text("\x81\xc0\x01", 3), ERR_FORMAT);             /* nil */
    CHECK_EQ(check_text("\x81\xca\x7f\xc0\0\0\x01", 7), ERR_FORMAT); /* NaN */
    CHECK_EQ(check_text("\x81\x90\x01", 3), ERR_FORMAT);             /* [] */
    CHECK_EQ(check_text("\x81\x80\x01", 3), ERR_FORMAT);             /* {} */
    CHECK_EQ(check_text("\x82\x01\x90\x90\x01", 5), ERR_FORMAT); /* second */
    CHECK_EQ(check_text("\x82\x01\x90\x02\xc0", 5), OK);         /* as values */
    CHECK_EQ(check_text("\x83\xc2\x01\xa1z\x02\xca\0\0\0\0\xc0", 12), OK);
    CHECK_EQ(check_text("\x82\x01\x91\x81\x02\x03\x90\x04", 8), ERR_FORMAT);
}

SPEC(value, sees_where_every_prefix_is_cut_off)
{
    FOR_SEEDS(300)
    {
        struct sample s = {.used = 0};
        uint64_t state = spec_seed;
        const uint8_t *next = NULL;
        sample_value(&s, &state, 4);
        CHECK_EQ(value_check(s.bytes, s.bytes + sizeof s.bytes, &next), OK);
        CHECK_EQ(next - s.bytes, s.used);
        CHECK(value_skip(s.bytes) == next);
        uint8_t *cut =
            mem_alloc(s.used); /* of its size: no byte is read more */
        CHECK(cut != NULL);
        memcpy(cut, s.bytes, s.used);
        for (size_t n = 0; n < s.used; n++) {
            uint8_t *at = cut + s.used - n;
            memcpy(at, s.bytes, n);
            next = NULL;
            CHECK_EQ(value_check(at, at + n, &next), ERR_TRUNCATED);
            CHECK(next == NULL);
        }
        mem_free(cut);
    }
}

SPEC(value, survives_any_bytes)
{
    FOR_SEEDS(2000)
    {
        uint64_t state = spec_seed;
        size_t count = sample_below(&state, 24);
        uint8_t *at = mem_alloc(count);
        CHECK(at != NULL);
        for (size_t i = 0; i < count; i++)
            at[i] = (uint8_t)sample_chance(&state);
        const uint8_t *next = NULL;
        if (value_check(at, at + count, &next) == OK) {
            CHECK(value_skip(at) == next);
            CHECK(value_equal(at, at));
        }
        mem_free(at);
    }
}

/* `depth` containers within each other, the innermost empty. */
static err check_nested(uint8_t head, unsigned depth)
{
    uint8_t bytes[4 * VALUE_DEPTH_MAX];
    size_t used = 0;
    for (unsigned i = 1; i < depth; i++) {
        bytes[used++] = head;
        if (head >= 0x80 && head < 0x90) bytes[used++] = 1; /* a key */
    }
    bytes[used++] = head & 0xf0;
    const uint8_t *next = NULL;
    err e = value_check(bytes, bytes + used, &next);
    if (e == OK) {
        CHECK(value_skip(bytes) == next && next == bytes + used);
        CHECK(value_equal(bytes, bytes));
        value_hash(bytes, 1);
    }
    return e;
}

SPEC(value, may_be_64_deep_and_no_deeper)
{
    CHECK_EQ(check_nested(0x91, 64), OK);
    CHECK_EQ(check_nested(0x91, 65), ERR_DEEP);
    CHECK_EQ(check_nested(0x81, 64), OK);
    CHECK_EQ(check_nested(0x81, 65), ERR_DEEP);
    uint8_t wide[300]; /* depth is not breadth */
    memset(wide, 0x90, sizeof wide);
    value_put_array_head(wide, sizeof wide - 3);
    wide[3] = 0x90;
    wide[4] = 0x90;
    CHECK_EQ(check_text((const char *)wide, sizeof wide), OK);
}

SPEC(value, may_be_16_MB_and_no_bigger)
{
    uint8_t *at = mem_zero(1, VALUE_BYTES_MAX + 8);
    const uint8_t *end, *next;
    CHECK(at != NULL);
    end = at + VALUE_BYTES_MAX + 8;

    value_put_bytes_head(at, VALUE_BYTES_MAX - 5);
    CHECK_EQ(value_check(at, end, &next), OK);
    CHECK_EQ(next - at, VALUE_BYTES_MAX);
    value_put_bytes_head(at, VALUE_BYTES_MAX - 4);
    CHECK_EQ(value_check(at, end, &next), ERR_BIG);

    value_put_array_head(at, VALUE_BYTES_MAX - 5); /* of small zeroes */
    CHECK_EQ(value_check(at, end, &next), OK);
    CHECK_EQ(next - at, VALUE_BYTES_MAX);
    value_put_int(at + VALUE_BYTES_MAX - 1, 200); /* the last takes two */
    CHECK_EQ(value_check(at, end, &next), ERR_BIG);
    value_put_array_head(at, VALUE_BYTES_MAX - 4);
    CHECK_EQ(value_check(at, end, &next), ERR_BIG);
    mem_free(at);
}

SPEC(value, believes_no_count)
{
    static const uint8_t heads[] = {0xc6, 0xdb, 0xdd, 0xdf};
    for (size_t i = 0; i < sizeof heads; i++) {
        char bytes[] = {(char)heads[i], (char)0xff, (char)0xff,
                        (char)0xff,     (char)0xff, 0};
        CHECK_EQ(check_text(bytes, sizeof bytes), ERR_BIG);
        bytes[1] = 0;
        bytes[2] = 0x10;
        CHECK_EQ(check_text(bytes, sizeof bytes), ERR_TRUNCATED);
    }
    /* Each count alone would fit into what is left, both of them don't. */
    char nested[20] = {(char)0x99, (char)0x9f};
    CHECK_EQ(check_text(nested, sizeof nested), ERR_TRUNCATED);
}
