/* value_spec.c - values: what is written is read
 * again, what is broken is refused, and equality, hash and order agree. */
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/random.h"
#include "core/value.h"
#include "spec/spec.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Making values ---- */

/* An encoded value of moderate size. */
struct sample {
    uint8_t bytes[2048];
    size_t used;
};

static uint64_t chance(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return value_hash_mix(*state);
}

static uint64_t below(uint64_t *state, uint64_t bound)
{
    return chance(state) % bound;
}

static void big_endian(struct sample *s, uint64_t n, unsigned bytes)
{
    for (unsigned i = bytes; i > 0; i--)
        s->bytes[s->used++] = (uint8_t)(n >> (8 * (i - 1)));
}

/* An integer in a form chosen by chance, wider than needed or not. */
static void any_int(struct sample *s, uint64_t *state, int64_t i)
{
    unsigned width = (unsigned)below(state, 4);
    bool is_signed = i < 0 || below(state, 2);
    int64_t bound = INT64_C(1) << (width == 3 ? 62 : (8 << width) - 1);
    if (width == 3 || (i >= -bound && i < bound)) {
        s->bytes[s->used++] = (uint8_t)((is_signed ? 0xd0 : 0xcc) + width);
        big_endian(s, (uint64_t)i, 1u << width);
    } else {
        s->used = (size_t)(value_put_int(s->bytes + s->used, i) - s->bytes);
    }
}

static void any_float(struct sample *s, uint64_t *state, double d)
{
    float single = (float)d;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    if (((double)single == d || d != d) && below(state, 2)) {
        s->bytes[s->used++] = 0xca;
        big_endian(s, bits, 4);
    } else {
        s->used = (size_t)(value_put_float(s->bytes + s->used, d) - s->bytes);
    }
}

static void any_bytes(struct sample *s, uint64_t *state, const char *text)
{
    static const uint8_t heads[] = {0xc4, 0xd9, 0xc5, 0xda, 0xc6, 0xdb};
    unsigned form = (unsigned)below(state, 7);
    if (form == 6) {
        s->bytes[s->used++] = (uint8_t)(0xa0 | strlen(text));
    } else {
        s->bytes[s->used++] = heads[form];
        big_endian(s, strlen(text), 1u << form / 2);
    }
    memcpy(s->bytes + s->used, text, strlen(text));
    s->used += strlen(text);
}

/* In the form for its length, or a wider one. */
static void any_json(struct sample *s, uint64_t *state, const char *text,
                     size_t count)
{
    unsigned width = (unsigned)below(state, 3);
    s->bytes[s->used++] = (uint8_t)(0xc7 + width);
    big_endian(s, count, 1u << width);
    s->bytes[s->used++] = 'J';
    memcpy(s->bytes + s->used, text, count);
    s->used += count;
}

static const char *const jsons[] = {"{}", "[]", "[1]", "[1.0]", "{\"a\":[]}"};

static const char *const words[] = {"", "a", "b", "ab", "aa", "1"};

/* Few different ones, so that pairs of them are often equal. */
static void any_scalar(struct sample *s, uint64_t *state, bool as_key)
{
    static const double floats[] = {
        0.0,    -0.0,    1.0,   -1.0,     0.5,      9007199254740992.0,
        0x1p63, -0x1p63, 1e300, HUGE_VAL, -HUGE_VAL};
    static const int64_t ints[] = {
        0, 1, -1, 2, 9007199254740992, 9007199254740993, INT64_MAX, INT64_MIN};
    const char *json = jsons[below(state, 5)];
    switch (below(state, as_key ? 4 : 7)) {
    case 0: any_int(s, state, ints[below(state, 8)]); break;
    case 1: any_float(s, state, floats[below(state, 11)]); break;
    case 2: any_bytes(s, state, words[below(state, 6)]); break;
    case 3: s->bytes[s->used++] = (uint8_t)(0xc2 + below(state, 2)); break;
    case 4: s->bytes[s->used++] = 0xc0; break;
    case 5: any_json(s, state, json, strlen(json)); break;
    default: any_float(s, state, below(state, 2) ? NAN : -NAN);
    }
}

static bool holds_key(const uint8_t *pairs, uint32_t count, const uint8_t *key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (value_order(pairs, key) == 0) return true;
        pairs = value_skip(value_skip(pairs));
    }
    return false;
}

static void any_value(struct sample *s, uint64_t *state, unsigned depth);

static void any_map(struct sample *s, uint64_t *state, unsigned depth)
{
    size_t head = s->used++, first = s->used;
    uint32_t pairs = 0;
    for (uint64_t wanted = below(state, 4); wanted > 0; wanted--) {
        size_t key = s->used;
        any_scalar(s, state, true);
        if (holds_key(s->bytes + first, pairs, s->bytes + key)) {
            s->used = key;
        } else {
            any_value(s, state, depth - 1);
            pairs++;
        }
    }
    s->bytes[head] = (uint8_t)(0x80 | pairs);
}

static void any_value(struct sample *s, uint64_t *state, unsigned depth)
{
    uint64_t kind = depth > 0 ? below(state, 4) : 0;
    if (kind < 2) {
        any_scalar(s, state, false);
    } else if (kind == 2) {
        uint64_t count = below(state, 4);
        s->bytes[s->used++] = (uint8_t)(0x90 | count);
        for (; count > 0; count--)
            any_value(s, state, depth - 1);
    } else {
        any_map(s, state, depth);
    }
}

/* Appends the value at `at`, its maps' pairs rotated at every level and its
 * numbers in other forms: the same value in other bytes. */
static const uint8_t *same_again(struct sample *s, uint64_t *state,
                                 const uint8_t *at)
{
    struct value v;
    const uint8_t *next = value_get(at, &v);
    uint64_t turn = v.count ? below(state, v.count) : 0;
    const uint8_t *pair = next, *end;
    int64_t whole;
    char text[8] = {0};
    switch (v.type) {
    case VALUE_INT:
        if ((int64_t)(double)(v.as.integer / 2) == v.as.integer / 2 &&
            v.as.integer < 1 << 20 && v.as.integer > -(1 << 20))
            any_float(s, state, (double)v.as.integer);
        else
            any_int(s, state, v.as.integer);
        return next;
    case VALUE_FLOAT:
        if (value_float_is_int(v.as.number, &whole))
            any_int(s, state, whole);
        else
            any_float(s, state, v.as.number);
        return next;
    case VALUE_BYTES:
        memcpy(text, v.as.bytes, v.count);
        any_bytes(s, state, text);
        return next;
    case VALUE_JSON: any_json(s, state, v.as.bytes, v.count); return next;
    case VALUE_ARRAY:
        s->bytes[s->used++] = 0xdd;
        big_endian(s, v.count, 4);
        for (; v.count > 0; v.count--)
            next = same_again(s, state, next);
        return next;
    case VALUE_MAP:
        s->bytes[s->used++] = 0xde;
        big_endian(s, v.count, 2);
        for (uint64_t i = 0; i < turn; i++)
            pair = value_skip(value_skip(pair));
        end = value_skip(at);
        for (uint32_t i = 0; i < v.count; i++) {
            if (pair == end) pair = next;
            pair = same_again(s, state, pair);
            pair = same_again(s, state, pair);
        }
        return end;
    default: s->bytes[s->used++] = *at; return next;
    }
}

/* ---- A second opinion on equality: text that equal values share ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum { CANON_MAX = 4096 };

static const uint8_t *canon(const uint8_t *at, char *out);

static const uint8_t *canon_map(const uint8_t *at, uint32_t pairs, char *out)
{
    char(*texts)[CANON_MAX] = mem_zero(pairs, CANON_MAX);
    CHECK(texts != NULL);
    for (uint32_t i = 0; i < pairs; i++) {
        at = canon(at, texts[i]);
        strcat(texts[i], "=");
        at = canon(at, texts[i] + strlen(texts[i]));
    }
    qsort(texts, pairs, CANON_MAX, by_text);
    strcpy(out, "{");
    for (uint32_t i = 0; i < pairs; i++) {
        strcat(out, texts[i]);
        strcat(out, ",");
    }
    strcat(out, "}");
    mem_free(texts);
    return at;
}

static const uint8_t *canon(const uint8_t *at, char *out)
{
    struct value v;
    const uint8_t *next = value_get(at, &v);
    switch (v.type) {
    case VALUE_NIL: strcpy(out, "nil"); break;
    case VALUE_BOOL: strcpy(out, v.as.boolean ? "true" : "false"); break;
    case VALUE_INT: sprintf(out, "%lld", (long long)v.as.integer); break;
    case VALUE_FLOAT: /* all digits: an integral one prints as an integer */
        if (v.as.number == 0)
            strcpy(out, "0");
        else if (isnan(v.as.number))
            strcpy(out, "nan");
        else if (v.as.number == floor(v.as.number))
            sprintf(out, "%.0f", v.as.number);
        else
            sprintf(out, "%a", v.as.number);
        break;
    case VALUE_BYTES: sprintf(out, "'%.*s'", (int)v.count, v.as.bytes); break;
    case VALUE_ARRAY:
        strcpy(out, "[");
        for (; v.count > 0; v.count--) {
            next = canon(next, out + strlen(out));
            strcat(out, ",");
        }
        strcat(out, "]");
        break;
    case VALUE_MAP: return canon_map(next, v.count, out);
    case VALUE_JSON: sprintf(out, "json %.*s", (int)v.count, v.as.bytes); break;
    }
    return next;
}

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
        any_value(&s, &state, 4);
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
        size_t count = below(&state, 24);
        uint8_t *at = mem_alloc(count);
        CHECK(at != NULL);
        for (size_t i = 0; i < count; i++)
            at[i] = (uint8_t)chance(&state);
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

/* ---- Equality, hash, order ---- */

SPEC(value, keeps_one_number_one_key)
{
    static const struct {
        int64_t i;
        double d;
        int order;
    } pairs[] = {
        {0, 0.0, 0},
        {0, -0.0, 0},
        {1, 1.0, 0},
        {-1, -1.0, 0},
        {1, 1.5, -1},
        {-1, -1.5, 1},
        {0, 5e-324, -1},
        {0, -5e-324, 1},
        {9007199254740992, 9007199254740992.0, 0},
        {9007199254740993, 9007199254740992.0, 1},
        {9007199254740991, 9007199254740992.0, -1},
        {-9007199254740993, -9007199254740992.0, -1},
        {INT64_MAX, 0x1p63, -1},
        {INT64_MAX, 9223372036854774784.0, 1},
        {INT64_MIN, -0x1p63, 0},
        {INT64_MIN, -0x1.0000000000001p63, 1},
        {INT64_MAX, 1e300, -1},
        {INT64_MIN, -1e300, 1},
        {INT64_MAX, HUGE_VAL, -1},
        {INT64_MIN, -HUGE_VAL, 1},
        {INT64_MAX, NAN, -1},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        uint8_t a[VALUE_SCALAR_MAX], b[VALUE_SCALAR_MAX];
        value_put_int(a, pairs[i].i);
        value_put_float(b, pairs[i].d);
        CHECK_EQ(value_order(a, b), pairs[i].order);
        CHECK_EQ(value_order(b, a), -pairs[i].order);
        CHECK_EQ(value_equal(a, b), pairs[i].order == 0);
        CHECK_EQ(value_hash(a, 1) == value_hash(b, 1), pairs[i].order == 0);
    }
}

SPEC(value, has_no_nil_and_no_nan_key)
{
    CHECK(!value_is_key((const uint8_t *)"\xc0"));
    CHECK(!value_is_key((const uint8_t *)"\xca\x7f\xc0\0\0"));
    CHECK(!value_is_key((const uint8_t *)"\xcb\xff\xf8\0\0\0\0\0\0"));
    CHECK(value_is_key((const uint8_t *)"\xcb\x7f\xf0\0\0\0\0\0\0"));
    CHECK(value_is_key((const uint8_t *)"\xc2"));
    CHECK(value_is_key((const uint8_t *)"\x00"));
    CHECK(value_is_key((const uint8_t *)"\xa0"));
    CHECK(value_is_key((const uint8_t *)"\x91\xc0"));
    CHECK(value_is_key((const uint8_t *)"\x80"));
}

SPEC(value, sorts_every_type_into_one_order)
{
    static const char *const rising[] = {
        "\xc0",                                 /* nil */
        "\xc2",                                 /* false */
        "\xc3",                                 /* true */
        "\xcb\xff\xf0\0\0\0\0\0\0",             /* -inf */
        "\xd3\x80\0\0\0\0\0\0\0",               /* -2^63 */
        "\xff",                                 /* -1 */
        "\xca\xbf\0\0\0",                       /* -0.5 */
        "\x00",                                 /* 0 */
        "\xca\x3f\0\0\0",                       /* 0.5 */
        "\x01",                                 /* 1 */
        "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", /* 2^63 - 1 */
        "\xcb\x43\xe0\0\0\0\0\0\0",             /* 2^63 */
        "\xcb\x7f\xf0\0\0\0\0\0\0",             /* inf */
        "\xcb\x7f\xf8\0\0\0\0\0\0",             /* NaN */
        "\xa0",                                 /* "" */
        "\xa1"
        "a",
        "\xa2"
        "aa",
        "\xa1"
        "b",
        "\xa1\xff",
        "\x90",     /* [] */
        "\x91\xc0", /* [nil] */
        "\x92\xc0\xc0",
        "\x91\x01",
        "\x92\x01\x00",
        "\x91\x02",
        "\x80",         /* {} */
        "\x81\x01\x05", /* {1: 5} */
        "\x81\x01\x06",
        "\x81\x02\x01",
        "\x82\x01\x01\x02\x01",
        "\x82\x03\x07\x01\x02", /* {1: 2, 3: 7} */
        "\x82\x01\x02\x03\x08",
    };
    const int count = sizeof rising / sizeof *rising;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            const uint8_t *a = (const uint8_t *)rising[i];
            const uint8_t *b = (const uint8_t *)rising[j];
            CHECK_EQ(value_order(a, b), (i > j) - (i < j));
            CHECK_EQ(value_equal(a, b), i == j);
        }
}

SPEC(value, hashes_alike_exactly_what_is_equal)
{
    int equal = 0;
    FOR_SEEDS(2000)
    {
        struct sample a = {.used = 0}, b = {.used = 0};
        char text_a[CANON_MAX], text_b[CANON_MAX];
        uint64_t state = spec_seed;
        unsigned depth = (unsigned)below(&state, 3);
        any_value(&a, &state, depth);
        any_value(&b, &state, depth);
        canon(a.bytes, text_a);
        canon(b.bytes, text_b);
        bool same = strcmp(text_a, text_b) == 0;
        equal += same;
        CHECK_EQ(value_equal(a.bytes, b.bytes), same);
        CHECK_EQ(value_equal(b.bytes, a.bytes), same);
        CHECK_EQ(value_order(a.bytes, b.bytes) == 0, same);
        CHECK_EQ(value_hash(a.bytes, 5) == value_hash(b.bytes, 5), same);
    }
    if (spec_seeds(2) > 1) CHECK(equal > 50); /* else it shows nothing */
}

SPEC(value, is_the_same_in_other_bytes)
{
    FOR_SEEDS(500)
    {
        struct sample a = {.used = 0}, b = {.used = 0};
        uint64_t state = spec_seed;
        const uint8_t *next = NULL;
        any_value(&a, &state, 4);
        CHECK(same_again(&b, &state, a.bytes) == a.bytes + a.used);
        CHECK_EQ(value_check(b.bytes, b.bytes + b.used, &next), OK);
        CHECK(next == b.bytes + b.used);
        CHECK(value_equal(a.bytes, b.bytes));
        CHECK_EQ(value_order(a.bytes, b.bytes), 0);
        for (uint64_t seed = 0; seed < 3; seed++)
            CHECK(value_hash(a.bytes, seed) == value_hash(b.bytes, seed));
    }
}

SPEC(value, has_a_total_order)
{
    FOR_SEEDS(2000)
    {
        struct sample s[3] = {{.used = 0}, {.used = 0}, {.used = 0}};
        uint64_t state = spec_seed;
        unsigned depth = (unsigned)below(&state, 3);
        for (int i = 0; i < 3; i++)
            any_value(&s[i], &state, depth);
        int ab = value_order(s[0].bytes, s[1].bytes);
        int bc = value_order(s[1].bytes, s[2].bytes);
        int ac = value_order(s[0].bytes, s[2].bytes);
        CHECK_EQ(value_order(s[1].bytes, s[0].bytes), -ab);
        CHECK_EQ(value_order(s[2].bytes, s[1].bytes), -bc);
        CHECK_EQ(value_order(s[2].bytes, s[0].bytes), -ac);
        if (ab <= 0 && bc <= 0) CHECK_EQ(ac, ab < 0 || bc < 0 ? -1 : 0);
        if (ab >= 0 && bc >= 0) CHECK_EQ(ac, ab > 0 || bc > 0 ? 1 : 0);
    }
}

/* {i: 0, …} for i of 0 to pairs - 1, from the first or from the last on. */
static uint8_t *many_pairs(uint32_t pairs, bool falling)
{
    uint8_t *map = mem_alloc(pairs * 10u + 16), *at = map;
    CHECK(map != NULL);
    at = value_put_map_head(at, pairs);
    for (uint32_t i = 0; i < pairs; i++) {
        at = value_put_int(at, falling ? pairs - 1 - i : i);
        at = value_put_int(at, 0);
    }
    return map;
}

SPEC(value, compares_maps_in_any_order_of_their_pairs)
{
    uint8_t *rising = many_pairs(300, false), *falling = many_pairs(300, true);
    CHECK(value_equal(rising, falling));
    CHECK(value_equal(falling, falling));
    CHECK_EQ(value_order(rising, falling), 0);
    CHECK(value_hash(rising, 1) == value_hash(falling, 1));
    mem_free(rising);
    mem_free(falling);
}

SPEC(value, compares_sorted_maps_in_linear_time) /* else this takes minutes */
{
    uint8_t *a = many_pairs(200000, false), *b = many_pairs(200000, false);
    CHECK(value_equal(a, b));
    *(value_skip(a) - a + b - 1) = 1; /* the last value */
    CHECK_EQ(value_order(a, b), -1);
    mem_free(a);
    mem_free(b);
}

/* {2: {2: … leaf, 1: 0}, 1: 0}: out of order at all of its 64 levels. */
static size_t unsorted_chain(uint8_t *at, uint8_t leaf)
{
    size_t used = 0;
    for (unsigned i = 0; i < VALUE_DEPTH_MAX; i++) {
        at[used++] = 0x82;
        at[used++] = 2;
    }
    at[used++] = leaf;
    for (unsigned i = 0; i < VALUE_DEPTH_MAX; i++) {
        at[used++] = 1;
        at[used++] = 0;
    }
    return used;
}

SPEC(value, compares_deep_unsorted_maps_before_the_sun_burns_out)
{
    uint8_t a[300], b[300];
    const uint8_t *next;
    size_t used = unsorted_chain(a, 7);
    CHECK_EQ(value_check(a, a + used, &next), OK);
    unsorted_chain(b, 8);
    CHECK_EQ(value_order(a, b), -1); /* 2^64 steps, were values seen twice */
    CHECK(!value_equal(a, b));
    unsorted_chain(b, 7);
    CHECK(value_equal(a, b));
}

SPEC(value, tells_keys_that_occur_twice_apart_by_their_place)
{
    const uint8_t *a = (const uint8_t *)"\x82\x01\x02\x01\x03";
    const uint8_t *b = (const uint8_t *)"\x82\x01\x03\x01\x02";
    CHECK(value_equal(a, a));
    CHECK(!value_equal(a, b));
    CHECK_EQ(value_order(a, b), -value_order(b, a));
    /* {2: 0, 1: 2, 1: 3}, {1: 2, 2: 0, 1: 3} and {1: 3, 2: 0, 1: 2} */
    const uint8_t *c = (const uint8_t *)"\x83\x02\x00\x01\x02\x01\x03";
    const uint8_t *d = (const uint8_t *)"\x83\x01\x02\x02\x00\x01\x03";
    const uint8_t *e = (const uint8_t *)"\x83\x01\x03\x02\x00\x01\x02";
    CHECK(value_equal(c, c));
    CHECK(value_equal(c, d));
    CHECK(value_hash(c, 1) == value_hash(d, 1));
    CHECK(!value_equal(d, e));
}

SPEC(value, spreads_hashes_over_all_bits)
{
    enum { COUNT = 4096, CELLS = 256 };
    int low[CELLS] = {0}, high[CELLS] = {0};
    for (int i = 0; i < COUNT; i++) {
        uint64_t hash = value_hash_int(i, 0);
        low[hash % CELLS]++;
        high[hash >> 56]++;
    }
    for (int i = 0; i < CELLS; i++) { /* 16 each, give or take 5 sigma */
        CHECK(low[i] > 0 && low[i] < 37);
        CHECK(high[i] > 0 && high[i] < 37);
    }
    uint64_t one = value_hash_int(1, 0), two = value_hash_int(2, 0);
    CHECK(value_hash_combine(one, two) != value_hash_combine(two, one));
    CHECK(value_hash_int(1, 0) != value_hash_int(1, 1));
    CHECK(value_hash_bytes("a", 1, 0) != value_hash_bytes("a", 1, 1));
}

/* State on disk is placed by these: a change moves everybody's keys. The first
 * two are SplitMix64's first numbers of seeds 0 and 1, the fifth is XXH3's. */
SPEC(value, never_changes_its_hashes)
{
    const char *map =
        "\x82\xa1k\x92\xc0\xc3\x01\x02"; /* {k: [nil, true], 1: 2} */
    CHECK(value_hash_int(0, 0) == 0xe220a8397b1dcdafu);
    CHECK(value_hash_int(1, 0) == 0x910a2dec89025cc1u);
    CHECK(value_hash_bytes("", 0, 0) == 0xca813bf4c7abf0a9u);
    CHECK(value_hash_bytes("moon", 4, 0) == 0x2c1447c17d23a9b4u);
    CHECK(value_hash_bytes("a longer string!", 16, 0) == 0x6016a6382b485209u);
    CHECK(value_hash_float(0.5, 0) == 0xc5c795e0de79f6c1u);
    CHECK(value_hash((const uint8_t *)map, 0) == 0x4666c20364fbfc05u);
}
