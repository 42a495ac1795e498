#include "core/json_write.h"
#include "core/utf8.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FLOAT_TEXT_MAX = 32 }; /* "-1.7976931348623157e+308" has 24 */

/* ---- Numbers ---- */

static unsigned digit_count(uint64_t n)
{
    unsigned count = 1;
    for (; n >= 10000; n /= 10000)
        count += 4;
    return count + (n >= 10) + (n >= 100) + (n >= 1000);
}

/* The last `count` digits of `n`, zeroes first. */
static uint8_t *write_digits(uint8_t *at, uint64_t n, unsigned count)
{
    static const char pairs[] = "00010203040506070809"
                                "10111213141516171819"
                                "20212223242526272829"
                                "30313233343536373839"
                                "40414243444546474849"
                                "50515253545556575859"
                                "60616263646566676869"
                                "70717273747576777879"
                                "80818283848586878889"
                                "90919293949596979899";
    uint8_t *end = at + count;
    for (uint8_t *to = end; count > 0; n /= 100) {
        const char *pair = pairs + 2 * (n % 100);
        *--to = (uint8_t)pair[1];
        if (--count == 0) break;
        *--to = (uint8_t)pair[0];
        count--;
    }
    return end;
}

static uint8_t *write_int(uint8_t *at, int64_t i)
{
    uint64_t size = (uint64_t)i;
    if (i < 0) {
        *at++ = '-';
        size = 0 - size;
    }
    return write_digits(at, size, digit_count(size));
}

/* Most floats in data have few decimals. A quotient of two exact floats is
 * rounded once, as reading a decimal is: when n / 10^k gives `size`, then the
 * text "n / 10^k" reads back as it. Below 10^15 the text is also what %.15g
 * prints, as no other of 15 digits is as near. NULL: not such a float.
 * Source: W. D. Clinger, How to Read Floating Point Numbers Accurately. */
static uint8_t *write_short_float(uint8_t *at, double size)
{
    static const double tens[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    static const uint64_t whole_tens[] = {1,     10,     100,    1000,
                                          10000, 100000, 1000000};
    if (!(size == 0 || (size >= 1e-4 && size < 1e15))) return NULL;
    for (unsigned k = 0; k < sizeof tens / sizeof *tens; k++) {
        double scaled = size * tens[k];
        if (!(scaled < 999999999999999.0)) return NULL;
        uint64_t n = (uint64_t)(scaled + 0.5);
        if ((double)n / tens[k] != size) continue;
        uint64_t whole = n / whole_tens[k];
        at = write_digits(at, whole, digit_count(whole));
        *at++ = '.';
        return write_digits(at, n % whole_tens[k], k > 0 ? k : 1);
    }
    return NULL;
}

static uint8_t *write_long_float(uint8_t *at, double size)
{
    char text[FLOAT_TEXT_MAX];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, size);
        if (strtod(text, NULL) == size) break;
    }
    size_t count = strlen(text);
    memcpy(at, text, count);
    at += count;
    if (strpbrk(text, ".e") == NULL) {
        *at++ = '.';
        *at++ = '0';
    }
    return at;
}

static uint8_t *write_float(uint8_t *at, double d)
{
    if (isnan(d)) {
        memcpy(at, "nan", 3);
        return at + 3;
    }
    if (signbit(d)) *at++ = '-';
    double size = fabs(d);
    if (isinf(size)) {
        memcpy(at, "inf", 3);
        return at + 3;
    }
    uint8_t *end = write_short_float(at, size);
    return end ? end : write_long_float(at, size);
}

void json_put_scalar(struct json_writer *w, const struct value *v)
{
    uint8_t *at = json_room(w, FLOAT_TEXT_MAX);
    if (at == NULL) return;
    switch (v->type) {
    case VALUE_INT: json_wrote(w, write_int(at, v->as.integer)); return;
    case VALUE_FLOAT: json_wrote(w, write_float(at, v->as.number)); return;
    default:
        assert(v->type == VALUE_BOOL);
        if (v->as.boolean)
            json_put(w, "true", 4);
        else
            json_put(w, "false", 5);
    }
}

/* ---- JSON ---- */

/* The letter behind the backslash; 'u' takes four digits; 0: none needed. */
static const char escapes[256] = {
    'u',         'u',           'u', 'u', 'u', 'u', 'u', 'u', /* 00 */
    'b',         't',           'n', 'u', 'f', 'r', 'u', 'u', /* 08 */
    'u',         'u',           'u', 'u', 'u', 'u', 'u', 'u', /* 10 */
    'u',         'u',           'u', 'u', 'u', 'u', 'u', 'u', /* 18 */
    ['"'] = '"', ['\\'] = '\\',
};

static void json_escape(struct json_writer *w, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t *at = json_room(w, 6);
    if (at == NULL) return;
    *at++ = '\\';
    *at++ = (uint8_t)escapes[byte];
    if (escapes[byte] == 'u') {
        *at++ = '0';
        *at++ = '0';
        *at++ = (uint8_t)hex[byte >> 4];
        *at++ = (uint8_t)hex[byte & 15];
    }
    json_wrote(w, at);
}

/* The end of what may stand in JSON as it is, from `at` on. */
static const uint8_t *json_plain(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        if (*at < 0x80) {
            if (escapes[*at]) break;
            at++;
            continue;
        }
        bool valid;
        size_t bytes = utf8_part(at, end, &valid);
        if (!valid) break;
        at += bytes;
    }
    return at;
}

/* One character that can't stay: escaped if it is ASCII, else ill-formed. */
static const uint8_t *json_change(struct json_writer *w, const uint8_t *at,
                                  const uint8_t *end)
{
    if (*at < 0x80) {
        json_escape(w, *at);
        return at + 1;
    }
    bool valid;
    json_put(w, "\xef\xbf\xbd", 3);
    w->replaced++;
    return at + utf8_part(at, end, &valid);
}

void json_put_bytes(struct json_writer *w, const char *bytes, size_t count)
{
    const uint8_t *at = (const uint8_t *)bytes, *end = at + count;
    const uint8_t *plain_end = json_plain(at, end);
    uint8_t *to = json_room(w, count + 2); /* mostly all of it, in one go */
    if (to == NULL) return;
    *to++ = '"';
    for (;;) {
        size_t plain = (size_t)(plain_end - at);
        value_copy(to, (const char *)at, plain);
        json_wrote(w, to + plain);
        if (plain_end == end) break;
        at = json_change(w, plain_end, end);
        plain_end = json_plain(at, end);
        to = json_room(w, (size_t)(plain_end - at) + 1);
        if (to == NULL) return;
    }
    json_put_byte(w, '"');
}

static const uint8_t *json_array(struct json_writer *w, const uint8_t *at,
                                 uint32_t count)
{
    json_put_byte(w, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) json_put_byte(w, ',');
        at = json_put_value(w, at);
    }
    json_put_byte(w, ']');
    return at;
}

static const uint8_t *json_key(struct json_writer *w, const uint8_t *at)
{
    struct value v;
    at = value_get(at, &v);
    if (v.type == VALUE_BYTES) {
        json_put_bytes(w, v.as.bytes, v.count);
        return at;
    }
    json_put_byte(w, '"');
    json_put_scalar(w, &v);
    json_put_byte(w, '"');
    return at;
}

static const uint8_t *json_map(struct json_writer *w, const uint8_t *at,
                               uint32_t pairs)
{
    json_put_byte(w, '{');
    for (uint32_t i = 0; i < pairs; i++) {
        if (i > 0) json_put_byte(w, ',');
        at = json_key(w, at);
        json_put_byte(w, ':');
        at = json_put_value(w, at);
    }
    json_put_byte(w, '}');
    return at;
}

const uint8_t *json_put_value(struct json_writer *w, const uint8_t *at)
{
    struct value v;
    at = value_get(at, &v);
    switch (v.type) {
    case VALUE_BYTES: json_put_bytes(w, v.as.bytes, v.count); return at;
    case VALUE_ARRAY: return json_array(w, at, v.count);
    case VALUE_MAP: return json_map(w, at, v.count);
    case VALUE_JSON: json_put(w, v.as.bytes, v.count); return at;
    case VALUE_NIL: json_put(w, "null", 4); return at;
    case VALUE_FLOAT:
        if (!isfinite(v.as.number)) {
            json_put(w, "null", 4);
            w->replaced++;
            return at;
        }
        break;
    default: break;
    }
    json_put_scalar(w, &v);
    return at;
}
