#include "core/sort_key.h"
#include <math.h>

enum { KEY_BOOL = 0x10, KEY_NUMBER = 0x20, KEY_STRING = 0x30 };
#define EXACT_MAX 0x1p53 /* below, a float tells every integer */
#define SIGN      ((uint64_t)1 << 63)

/* Positive floats have the order of their bits, negative ones the other. */
static uint8_t *put_float(uint8_t *at, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    value_store64(at, bits & SIGN ? ~bits : bits ^ SIGN);
    return at + sizeof bits;
}

static uint8_t *put_int(uint8_t *at, int64_t i)
{
    double d = (double)i;
    at = put_float(at, d);
    if (fabs(d) < EXACT_MAX) return at;
    value_store64(at, (uint64_t)i ^ SIGN);
    return at + sizeof i;
}

uint8_t *sort_key_put(uint8_t *at, const struct value *v)
{
    int64_t i;
    switch (v->type) {
    case VALUE_BOOL:
        *at++ = KEY_BOOL;
        *at++ = v->as.boolean;
        return at;
    case VALUE_INT: *at++ = KEY_NUMBER; return put_int(at, v->as.integer);
    case VALUE_FLOAT:
        *at++ = KEY_NUMBER;
        if (value_float_is_int(v->as.number, &i)) return put_int(at, i);
        return put_float(at, v->as.number);
    default: return sort_key_put_bytes(at, v->as.bytes, v->count);
    }
}

static struct value get_number(const uint8_t *at, size_t count)
{
    uint64_t bits = value_load64(at);
    double d;
    int64_t i;
    if (count > sizeof bits)
        return value_of_int((int64_t)(value_load64(at + 8) ^ SIGN));
    bits = bits & SIGN ? bits ^ SIGN : ~bits;
    memcpy(&d, &bits, sizeof d);
    if (fabs(d) < EXACT_MAX && value_float_is_int(d, &i))
        return value_of_int(i);
    return value_of_float(d);
}

bool sort_key_get(struct bytes key, struct value *out)
{
    const uint8_t *at = key.at;
    if (key.count == 0) return false;
    size_t count = key.count - 1;
    switch (*at++) {
    case KEY_BOOL:
        *out = (struct value){.type = VALUE_BOOL};
        if (count == 1) out->as.boolean = *at != 0;
        return count == 1;
    case KEY_NUMBER:
        if (count != 8 && count != 16) return false;
        *out = get_number(at, count);
        return true;
    case KEY_STRING: *out = value_of_bytes(at, (uint32_t)count); return true;
    default: return false;
    }
}
