#include "actors/connectors/format.h"
#include "core/value.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    INT_TEXT_MAX = 20,   /* "-9223372036854775808" */
    FLOAT_TEXT_MAX = 32, /* "-1.7976931348623157e+308" has 24 */
};

/* A line being written. */
struct line {
    struct buffer *out;
    uint64_t replaced;
    err failed; /* sticky: from then on nothing is written */
};

/* `bytes` (not 0) of room at the end for the caller to write; NULL when
 * failed. */
static inline uint8_t *room(struct line *l, size_t bytes)
{
    if (l->failed == OK) l->failed = buffer_reserve(l->out, bytes);
    return l->failed == OK ? l->out->data + l->out->used : NULL;
}

/* `end` is behind what was written to the last room(). */
static inline void wrote(struct line *l, const uint8_t *end)
{
    l->out->used = (size_t)(end - l->out->data);
}

static inline void put(struct line *l, const void *bytes, size_t count)
{
    if (count == 0) return;
    uint8_t *at = room(l, count);
    if (at == NULL) return;
    value_copy(at, bytes, count);
    wrote(l, at + count);
}

static inline void put_byte(struct line *l, uint8_t byte)
{
    uint8_t *at = room(l, 1);
    if (at == NULL) return;
    *at = byte;
    wrote(l, at + 1);
}

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

/* A boolean or a number, as all formats write it. */
static void put_scalar(struct line *l, const struct value *v)
{
    uint8_t *at = room(l, FLOAT_TEXT_MAX);
    if (at == NULL) return;
    switch (v->type) {
    case VALUE_INT: wrote(l, write_int(at, v->as.integer)); return;
    case VALUE_FLOAT: wrote(l, write_float(at, v->as.number)); return;
    default:
        assert(v->type == VALUE_BOOL);
        if (v->as.boolean)
            put(l, "true", 4);
        else
            put(l, "false", 5);
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

static void json_escape(struct line *l, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t *at = room(l, 6);
    if (at == NULL) return;
    *at++ = '\\';
    *at++ = (uint8_t)escapes[byte];
    if (escapes[byte] == 'u') {
        *at++ = '0';
        *at++ = '0';
        *at++ = (uint8_t)hex[byte >> 4];
        *at++ = (uint8_t)hex[byte & 15];
    }
    wrote(l, at);
}

/* What may stand behind a lead byte (Unicode, table 3-7). */
struct sequence {
    uint8_t tail;        /* bytes behind the lead; 0: no lead byte */
    uint8_t first, last; /* bounds of the second byte; others 80 to BF */
};

static struct sequence sequence_of(uint8_t lead)
{
    if (lead < 0xc2 || lead > 0xf4) return (struct sequence){0, 0, 0};
    if (lead < 0xe0) return (struct sequence){1, 0x80, 0xbf};
    if (lead == 0xe0) return (struct sequence){2, 0xa0, 0xbf}; /* overlong */
    if (lead == 0xed) return (struct sequence){2, 0x80, 0x9f}; /* surrogates */
    if (lead < 0xf0) return (struct sequence){2, 0x80, 0xbf};
    if (lead == 0xf0) return (struct sequence){3, 0x90, 0xbf}; /* overlong */
    if (lead == 0xf4) return (struct sequence){3, 0x80, 0x8f}; /* > 10FFFF */
    return (struct sequence){3, 0x80, 0xbf};
}

/* The bytes of the character at `at`, which is not ASCII; or, with *valid
 * false, of the longest part of one that stands there, at least a byte. */
static size_t utf8_part(const uint8_t *at, const uint8_t *end, bool *valid)
{
    struct sequence s = sequence_of(*at);
    size_t bytes = 1;
    *valid = false;
    while (bytes <= s.tail) {
        uint8_t first = bytes == 1 ? s.first : 0x80;
        uint8_t last = bytes == 1 ? s.last : 0xbf;
        if (at + bytes == end || at[bytes] < first || at[bytes] > last)
            return bytes;
        bytes++;
    }
    *valid = s.tail > 0;
    return bytes;
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
static const uint8_t *json_change(struct line *l, const uint8_t *at,
                                  const uint8_t *end)
{
    if (*at < 0x80) {
        json_escape(l, *at);
        return at + 1;
    }
    bool valid;
    put(l, "\xef\xbf\xbd", 3);
    l->replaced++;
    return at + utf8_part(at, end, &valid);
}

static void json_bytes(struct line *l, const char *bytes, size_t count)
{
    const uint8_t *at = (const uint8_t *)bytes, *end = at + count;
    const uint8_t *plain_end = json_plain(at, end);
    uint8_t *to = room(l, count + 2); /* mostly all of it, in one go */
    if (to == NULL) return;
    *to++ = '"';
    for (;;) {
        size_t plain = (size_t)(plain_end - at);
        value_copy(to, (const char *)at, plain);
        wrote(l, to + plain);
        if (plain_end == end) break;
        at = json_change(l, plain_end, end);
        plain_end = json_plain(at, end);
        to = room(l, (size_t)(plain_end - at) + 1);
        if (to == NULL) return;
    }
    put_byte(l, '"');
}

static const uint8_t *json_value(struct line *l, const uint8_t *at);

static const uint8_t *json_array(struct line *l, const uint8_t *at,
                                 uint32_t count)
{
    put_byte(l, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) put_byte(l, ',');
        at = json_value(l, at);
    }
    put_byte(l, ']');
    return at;
}

static const uint8_t *json_key(struct line *l, const uint8_t *at)
{
    struct value v;
    at = value_get(at, &v);
    if (v.type == VALUE_BYTES) {
        json_bytes(l, v.as.bytes, v.count);
        return at;
    }
    put_byte(l, '"');
    put_scalar(l, &v);
    put_byte(l, '"');
    return at;
}

static const uint8_t *json_map(struct line *l, const uint8_t *at,
                               uint32_t pairs)
{
    put_byte(l, '{');
    for (uint32_t i = 0; i < pairs; i++) {
        if (i > 0) put_byte(l, ',');
        at = json_key(l, at);
        put_byte(l, ':');
        at = json_value(l, at);
    }
    put_byte(l, '}');
    return at;
}

/* As JSON; like its like below, it returns the byte behind the value. */
static const uint8_t *json_value(struct line *l, const uint8_t *at)
{
    struct value v;
    at = value_get(at, &v);
    switch (v.type) {
    case VALUE_BYTES: json_bytes(l, v.as.bytes, v.count); return at;
    case VALUE_ARRAY: return json_array(l, at, v.count);
    case VALUE_MAP: return json_map(l, at, v.count);
    case VALUE_NIL: put(l, "null", 4); return at;
    case VALUE_FLOAT:
        if (!isfinite(v.as.number)) {
            put(l, "null", 4);
            l->replaced++;
            return at;
        }
        break;
    default: break;
    }
    put_scalar(l, &v);
    return at;
}

/* ---- Text and CSV ---- */

static const uint8_t *text_value(struct line *l, const uint8_t *at)
{
    struct value v;
    const uint8_t *next = value_get(at, &v);
    switch (v.type) {
    case VALUE_NIL: return next;
    case VALUE_BYTES: put(l, v.as.bytes, v.count); return next;
    case VALUE_ARRAY:
    case VALUE_MAP: return json_value(l, at);
    default: put_scalar(l, &v); return next;
    }
}

/* Puts what was written from `start` on into quotes and doubles those within,
 * from the end backwards, so that it needs no second place. */
static void csv_quote(struct line *l, size_t start)
{
    if (l->failed != OK) return;
    size_t count = l->out->used - start, quotes = 0;
    for (size_t i = 0; i < count; i++)
        quotes += l->out->data[start + i] == '"';
    uint8_t *from = room(l, quotes + 2);
    if (from == NULL) return;
    uint8_t *to = from + quotes + 2;
    wrote(l, to);
    *--to = '"';
    for (; count > 0; count--) {
        *--to = *--from;
        if (*from == '"') *--to = '"';
    }
    *--to = '"';
}

static bool csv_is_plain(const char *bytes, size_t count)
{
    static const bool special[256] = {
        [','] = true, ['"'] = true, ['\r'] = true, ['\n'] = true};
    for (size_t i = 0; i < count; i++)
        if (special[(uint8_t)bytes[i]]) return false;
    return true;
}

static void csv_bytes(struct line *l, const char *bytes, size_t count)
{
    size_t start = l->out->used;
    put(l, bytes, count);
    if (!csv_is_plain(bytes, count)) csv_quote(l, start);
}

static const uint8_t *csv_value(struct line *l, const uint8_t *at)
{
    struct value v;
    const uint8_t *next = value_get(at, &v);
    if (v.type == VALUE_BYTES) {
        csv_bytes(l, v.as.bytes, v.count);
        return next;
    }
    if (v.type < VALUE_ARRAY) return text_value(l, at);
    size_t start = l->out->used;
    next = json_value(l, at);
    csv_quote(l, start);
    return next;
}

/* ---- Lines ---- */

static void text_tuple(struct line *l, unsigned field_count, const uint8_t *at)
{
    for (unsigned i = 0; i < field_count; i++) {
        if (i > 0) put_byte(l, '\t');
        at = text_value(l, at);
    }
}

static void csv_tuple(struct line *l, unsigned field_count, const uint8_t *at)
{
    for (unsigned i = 0; i < field_count; i++) {
        if (i > 0) put_byte(l, ',');
        at = csv_value(l, at);
    }
}

static void json_tuple(struct line *l, const char *const *fields,
                       unsigned field_count, const uint8_t *at)
{
    put_byte(l, '{');
    for (unsigned i = 0; i < field_count; i++) {
        if (i > 0) put_byte(l, ',');
        json_bytes(l, fields[i], strlen(fields[i]));
        put_byte(l, ':');
        at = json_value(l, at);
    }
    put_byte(l, '}');
}

/* Ends the line that began at `start`, or takes it back. */
static err end_line(struct line *l, size_t start)
{
    put_byte(l, '\n');
    if (l->failed != OK) l->out->used = start;
    return l->failed;
}

err format_named(const char *name, struct format *f)
{
    static const char *const names[] = {
        [FORMAT_TEXT] = "text", [FORMAT_JSON] = "json", [FORMAT_CSV] = "csv"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        f->kind = (enum format_kind)i;
        return OK;
    }
    return ERR_NOTFOUND;
}

err format_header(const struct format *f, const char *const *fields,
                  unsigned field_count, struct buffer *out)
{
    if (f->kind != FORMAT_CSV) return OK;
    struct line l = {.out = out};
    size_t start = out->used;
    for (unsigned i = 0; i < field_count; i++) {
        if (i > 0) put_byte(&l, ',');
        csv_bytes(&l, fields[i], strlen(fields[i]));
    }
    return end_line(&l, start);
}

err format_tuple(const struct format *f, const char *const *fields,
                 unsigned field_count, const uint8_t *values,
                 struct buffer *out, uint64_t *replaced)
{
    struct line l = {.out = out};
    size_t start = out->used;
    switch (f->kind) {
    case FORMAT_TEXT: text_tuple(&l, field_count, values); break;
    case FORMAT_JSON: json_tuple(&l, fields, field_count, values); break;
    case FORMAT_CSV: csv_tuple(&l, field_count, values); break;
    }
    err e = end_line(&l, start);
    if (e == OK) *replaced += l.replaced;
    return e;
}
