/* value_order_spec.c - equality, hash and order of values agree, whatever bytes
 * they are in. */
#include "core/alloc.h"
#include "core/random.h"
#include "core/value.h"
#include "spec/spec.h"
#include "spec/value_sample.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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
        unsigned depth = (unsigned)sample_below(&state, 3);
        sample_value(&a, &state, depth);
        sample_value(&b, &state, depth);
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
        sample_value(&a, &state, 4);
        CHECK(sample_same_again(&b, &state, a.bytes) == a.bytes + a.used);
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
        unsigned depth = (unsigned)sample_below(&state, 3);
        for (int i = 0; i < 3; i++)
            sample_value(&s[i], &state, depth);
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
