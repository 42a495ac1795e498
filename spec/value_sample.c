#include "spec/value_sample.h"
#include "core/value.h"
#include <math.h>
#include <string.h>

uint64_t sample_chance(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return value_hash_mix(*state);
}

uint64_t sample_below(uint64_t *state, uint64_t bound)
{
    return sample_chance(state) % bound;
}

static void big_endian(struct sample *s, uint64_t n, unsigned bytes)
{
    for (unsigned i = bytes; i > 0; i--)
        s->bytes[s->used++] = (uint8_t)(n >> (8 * (i - 1)));
}

/* An integer in a form chosen by chance, wider than needed or not. */
static void any_int(struct sample *s, uint64_t *state, int64_t i)
{
    unsigned width = (unsigned)sample_below(state, 4);
    bool is_signed = i < 0 || sample_below(state, 2);
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
    if (((double)single == d || d != d) && sample_below(state, 2)) {
        s->bytes[s->used++] = 0xca;
        big_endian(s, bits, 4);
    } else {
        s->used = (size_t)(value_put_float(s->bytes + s->used, d) - s->bytes);
    }
}

static void any_bytes(struct sample *s, uint64_t *state, const char *text)
{
    static const uint8_t heads[] = {0xc4, 0xd9, 0xc5, 0xda, 0xc6, 0xdb};
    unsigned form = (unsigned)sample_below(state, 7);
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
    unsigned width = (unsigned)sample_below(state, 3);
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
    const char *json = jsons[sample_below(state, 5)];
    switch (sample_below(state, as_key ? 4 : 7)) {
    case 0: any_int(s, state, ints[sample_below(state, 8)]); break;
    case 1: any_float(s, state, floats[sample_below(state, 11)]); break;
    case 2: any_bytes(s, state, words[sample_below(state, 6)]); break;
    case 3:
        s->bytes[s->used++] = (uint8_t)(0xc2 + sample_below(state, 2));
        break;
    case 4: s->bytes[s->used++] = 0xc0; break;
    case 5: any_json(s, state, json, strlen(json)); break;
    default: any_float(s, state, sample_below(state, 2) ? NAN : -NAN);
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

static void any_map(struct sample *s, uint64_t *state, unsigned depth)
{
    size_t head = s->used++, first = s->used;
    uint32_t pairs = 0;
    for (uint64_t wanted = sample_below(state, 4); wanted > 0; wanted--) {
        size_t key = s->used;
        any_scalar(s, state, true);
        if (holds_key(s->bytes + first, pairs, s->bytes + key)) {
            s->used = key;
        } else {
            sample_value(s, state, depth - 1);
            pairs++;
        }
    }
    s->bytes[head] = (uint8_t)(0x80 | pairs);
}

void sample_value(struct sample *s, uint64_t *state, unsigned depth)
{
    uint64_t kind = depth > 0 ? sample_below(state, 4) : 0;
    if (kind < 2) {
        any_scalar(s, state, false);
    } else if (kind == 2) {
        uint64_t count = sample_below(state, 4);
        s->bytes[s->used++] = (uint8_t)(0x90 | count);
        for (; count > 0; count--)
            sample_value(s, state, depth - 1);
    } else {
        any_map(s, state, depth);
    }
}

const uint8_t *sample_same_again(struct sample *s, uint64_t *state,
                                 const uint8_t *at)
{
    struct value v;
    const uint8_t *next = value_get(at, &v);
    uint64_t turn = v.count ? sample_below(state, v.count) : 0;
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
            next = sample_same_again(s, state, next);
        return next;
    case VALUE_MAP:
        s->bytes[s->used++] = 0xde;
        big_endian(s, v.count, 2);
        for (uint64_t i = 0; i < turn; i++)
            pair = value_skip(value_skip(pair));
        end = value_skip(at);
        for (uint32_t i = 0; i < v.count; i++) {
            if (pair == end) pair = next;
            pair = sample_same_again(s, state, pair);
            pair = sample_same_again(s, state, pair);
        }
        return end;
    default: s->bytes[s->used++] = *at; return next;
    }
}
