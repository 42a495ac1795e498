#include "core/json.h"
#include "core/utf8.h"
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ---- bytes, sixteen at a time ---- */

enum { BLOCK = 16 };

/* Bit i: byte i of the block is one that is looked for. */
typedef unsigned block_mask;
typedef block_mask block_find(const uint8_t *at);

#ifdef __SSE2__
static inline __m128i block_load(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline __m128i block_is(__m128i block, char byte)
{
    return _mm_cmpeq_epi8(block, _mm_set1_epi8(byte));
}

/* What may not stand in a string as it is: quote, backslash, control
 * characters; or what must be looked at more closely: no ASCII. */
static inline block_mask find_special(const uint8_t *at)
{
    __m128i block = block_load(at);
    __m128i control =
        _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    __m128i found =
        _mm_or_si128(_mm_or_si128(block_is(block, '"'), block_is(block, '\\')),
                     _mm_or_si128(control, block));
    return (block_mask)_mm_movemask_epi8(found);
}

static inline block_mask find_quote(const uint8_t *at)
{
    __m128i block = block_load(at);
    return (block_mask)_mm_movemask_epi8(
        _mm_or_si128(block_is(block, '"'), block_is(block, '\\')));
}

/* Quotes and brackets: [ and ] are { and } but for a bit. */
static inline block_mask find_nesting(const uint8_t *at)
{
    __m128i block = block_load(at);
    __m128i folded = _mm_or_si128(block, _mm_set1_epi8(0x20));
    return (block_mask)_mm_movemask_epi8(_mm_or_si128(
        block_is(block, '"'),
        _mm_or_si128(block_is(folded, '{'), block_is(folded, '}'))));
}
#else
static inline block_mask find_special(const uint8_t *at)
{
    block_mask mask = 0;
    for (unsigned i = 0; i < BLOCK; i++)
        mask |= (block_mask)(at[i] < 0x20 || at[i] > 0x7f || at[i] == '"' ||
                             at[i] == '\\')
                << i;
    return mask;
}

static inline block_mask find_quote(const uint8_t *at)
{
    block_mask mask = 0;
    for (unsigned i = 0; i < BLOCK; i++)
        mask |= (block_mask)(at[i] == '"' || at[i] == '\\') << i;
    return mask;
}

static inline block_mask find_nesting(const uint8_t *at)
{
    block_mask mask = 0;
    for (unsigned i = 0; i < BLOCK; i++)
        mask |= (block_mask)(at[i] == '"' || (at[i] | 0x20) == '{' ||
                             (at[i] | 0x20) == '}')
                << i;
    return mask;
}
#endif

/* The first byte from `at` on that `find` finds, or `end`. */
static inline const uint8_t *seek(const uint8_t *at, const uint8_t *end,
                                  block_find *find)
{
    for (; end - at >= BLOCK; at += BLOCK) {
        block_mask found = find(at);
        if (found) return at + __builtin_ctz(found);
    }
    uint8_t last[BLOCK] = {0}; /* zeroes: nobody reads behind the end */
    size_t left = (size_t)(end - at);
    if (left == 0) return end;
    if (left >= BLOCK) __builtin_unreachable(); /* gcc 12 doesn't see it */
    value_copy(last, (const char *)at, left);
    block_mask found = find(last) & ((1u << left) - 1);
    return found ? at + __builtin_ctz(found) : end;
}

static inline bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static inline bool is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10;
}

static inline const uint8_t *skip_space(const uint8_t *at, const uint8_t *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

static inline int hex_of(uint8_t byte)
{
    if (is_digit(byte)) return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Four hexadecimal digits. */
static unsigned unit_of(const uint8_t *at)
{
    unsigned unit = 0;
    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (unsigned)hex_of(at[i]);
    return unit;
}

/* ---- check ---- */

struct scanner {
    const uint8_t *at, *end;
    unsigned depth;
    uint64_t objects; /* bit 0: is the innermost container an object? */
    const char *what; /* of a fault at `at` */
};

static bool fault(struct scanner *s, const char *what)
{
    s->what = s->at == s->end ? "the text ends in the middle of a value" : what;
    return false;
}

static bool scan_unit(struct scanner *s, unsigned *unit)
{
    for (int i = 0; i < 4; i++, s->at++)
        if (s->at == s->end || hex_of(*s->at) < 0)
            return fault(s, "\\u takes four hexadecimal digits");
    *unit = unit_of(s->at - 4);
    return true;
}

/* Behind "\u". Two escapes may make one character, never half of one. */
static bool scan_character(struct scanner *s)
{
    static const char half[] = "a \\u escape is half of a surrogate pair";
    unsigned unit, second;
    const uint8_t *start = s->at;
    if (!scan_unit(s, &unit)) return false;
    if (unit < 0xd800 || unit > 0xdfff) return true;
    if (unit < 0xdc00 && s->end - s->at >= 2 && s->at[0] == '\\' &&
        s->at[1] == 'u') {
        s->at += 2;
        if (!scan_unit(s, &second)) return false;
        if (second >= 0xdc00 && second <= 0xdfff) return true;
    }
    s->at = start;
    return fault(s, half);
}

static bool scan_escape(struct scanner *s)
{
    s->at++;
    if (s->at == s->end) return fault(s, NULL);
    switch (*s->at) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': s->at++; return true;
    case 'u': s->at++; return scan_character(s);
    default: return fault(s, "there is no such escape");
    }
}

/* A string whose first quote is at `at`. */
static bool scan_string(struct scanner *s)
{
    s->at++;
    for (;;) {
        s->at = seek(s->at, s->end, find_special);
        if (s->at == s->end) return fault(s, NULL);
        if (*s->at == '"') {
            s->at++;
            return true;
        }
        if (*s->at == '\\') {
            if (!scan_escape(s)) return false;
        } else if (*s->at < 0x20) {
            return fault(s, "a string holds a control character; escape it");
        } else {
            bool valid;
            size_t bytes = utf8_part(s->at, s->end, &valid);
            if (!valid) {
                s->what = "a string is not UTF-8";
                return false;
            }
            s->at += bytes;
        }
    }
}

static bool scan_digits(struct scanner *s)
{
    if (s->at == s->end || !is_digit(*s->at))
        return fault(s, "a digit is missing");
    while (s->at < s->end && is_digit(*s->at))
        s->at++;
    return true;
}

static bool scan_number(struct scanner *s)
{
    if (*s->at == '-') s->at++;
    bool zero = s->at < s->end && *s->at == '0';
    const uint8_t *start = s->at;
    if (!scan_digits(s)) return false;
    if (zero && s->at > start + 1) {
        s->at = start;
        return fault(s, "a number begins with 0");
    }
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!scan_digits(s)) return false;
    }
    if (s->at == s->end || (*s->at | 0x20) != 'e') return true;
    s->at++;
    if (s->at < s->end && (*s->at == '+' || *s->at == '-')) s->at++;
    return scan_digits(s);
}

static bool scan_word(struct scanner *s, const char *word, size_t count)
{
    size_t left = (size_t)(s->end - s->at);
    if (left >= count && memcmp(s->at, word, count) == 0) {
        s->at += count;
        return true;
    }
    if (left < count && memcmp(s->at, word, left) == 0) s->at = s->end;
    return fault(s, "a value is missing");
}

static bool scan_scalar(struct scanner *s)
{
    if (s->at == s->end) return fault(s, NULL);
    switch (*s->at) {
    case '"': return scan_string(s);
    case 't': return scan_word(s, "true", 4);
    case 'f': return scan_word(s, "false", 5);
    case 'n': return scan_word(s, "null", 4);
    default:
        if (*s->at == '-' || is_digit(*s->at)) return scan_number(s);
        return fault(s, "a value is missing");
    }
}

/* A key and its colon. */
static bool scan_key(struct scanner *s)
{
    if (s->at == s->end || *s->at != '"')
        return fault(s, "a key in quotes is missing");
    if (!scan_string(s)) return false;
    s->at = skip_space(s->at, s->end);
    if (s->at == s->end || *s->at != ':')
        return fault(s, "a colon is missing behind a key");
    s->at++;
    return true;
}

static inline void scan_space(struct scanner *s)
{
    if (s->at < s->end && *s->at <= ' ') s->at = skip_space(s->at, s->end);
}

/* Behind a value, or at the end of an empty container: closes what ends here.
 * Where another value follows, it stands in front of that. */
static bool scan_behind(struct scanner *s)
{
    for (; s->depth > 0; s->depth--, s->objects >>= 1) {
        bool object = s->objects & 1;
        scan_space(s);
        if (s->at < s->end && *s->at == ',') {
            s->at++;
            scan_space(s);
            return !object || scan_key(s);
        }
        if (s->at == s->end || *s->at != (object ? '}' : ']'))
            return fault(s, object ? "a comma or } is missing"
                                   : "a comma or ] is missing");
        s->at++;
    }
    return true;
}

/* Behind a bracket; *closes: so is the end of it. */
static bool scan_first(struct scanner *s, bool object, bool *closes)
{
    s->objects = s->objects << 1 | object;
    s->depth++;
    scan_space(s);
    *closes = s->at < s->end && *s->at == (object ? '}' : ']');
    return *closes || !object || scan_key(s);
}

static err scan_value(struct scanner *s, unsigned depth_max)
{
    do {
        scan_space(s);
        bool closes = true;
        if (s->at == s->end || (*s->at | 0x20) != '{') {
            if (!scan_scalar(s)) return ERR_FORMAT;
        } else if (s->depth == depth_max) {
            s->what = "it is nested deeper than 64 levels";
            return ERR_DEEP;
        } else if (!scan_first(s, *s->at++ == '{', &closes)) {
            return ERR_FORMAT;
        }
        if (closes && !scan_behind(s)) return ERR_FORMAT;
    } while (s->depth > 0);
    return OK;
}

err json_check(const uint8_t *at, const uint8_t *end, unsigned depth_max,
               struct json *out, struct json_fault *why)
{
    struct scanner s = {.at = at, .end = end};
    scan_space(&s);
    out->at = s.at;
    err e = scan_value(&s, depth_max);
    if (e == OK) {
        out->end = s.at;
        s.at = skip_space(s.at, end);
        if (s.at == end) return OK;
        s.what = "something stands behind the value";
        e = ERR_FORMAT;
    }
    if (why) *why = (struct json_fault){s.what, s.at};
    return e;
}

void json_place(const uint8_t *begin, const uint8_t *at, unsigned *line,
                unsigned *column)
{
    *line = *column = 1;
    for (; begin < at; begin++) {
        if (*begin == '\n') {
            ++*line;
            *column = 1;
        } else {
            *column += (*begin & 0xc0) != 0x80;
        }
    }
}

/* ---- walk: trusted ---- */

/* Behind the string whose first quote is at `at`. */
static inline const uint8_t *string_end(const uint8_t *at, const uint8_t *end)
{
    for (at++;; at += 2) {
        at = seek(at, end, find_quote);
        if (*at == '"') return at + 1;
    }
}

static const uint8_t *container_end(const uint8_t *at, const uint8_t *end)
{
    for (unsigned depth = 0;;) {
        at = seek(at, end, find_nesting);
        if (*at == '"') {
            at = string_end(at, end);
            continue;
        }
        depth += (*at | 0x20) == '{' ? 1u : -1u;
        at++;
        if (depth == 0) return at;
    }
}

/* Behind the value at `at`. */
static inline const uint8_t *value_end(const uint8_t *at, const uint8_t *end)
{
    if (*at == '"') return string_end(at, end);
    if ((*at | 0x20) == '{') return container_end(at, end);
    while (at<end && * at> ' ' && *at != ',' && (*at | 0x20) != '}')
        at++;
    return at;
}

/* Behind white space, in a container: it has an end. */
static inline const uint8_t *behind_space(const uint8_t *at)
{
    while (*at <= ' ')
        at++;
    return at;
}

unsigned json_depth(struct json text)
{
    unsigned depth = 0, most = 0;
    for (const uint8_t *at = text.at;;) {
        at = seek(at, text.end, find_nesting);
        if (at == text.end) return most;
        if (*at == '"') {
            at = string_end(at, text.end);
            continue;
        }
        depth += (*at | 0x20) == '{' ? 1u : -1u;
        if (depth > most) most = depth;
        at++;
    }
}

/* `at` is behind a bracket, a comma or a value: the next value or key. */
static inline const uint8_t *next_begin(const uint8_t *at)
{
    at = behind_space(at);
    return *at == ',' ? behind_space(at + 1) : at;
}

bool json_next_element(struct json *rest, struct json *element)
{
    const uint8_t *at = next_begin(rest->at);
    if (*at == ']') return false;
    element->at = at;
    element->end = rest->at = value_end(at, rest->end);
    return true;
}

static inline bool next_pair(struct json *rest, struct json_pair *pair)
{
    const uint8_t *end = rest->end, *at = next_begin(rest->at);
    if (*at == '}') return false;
    pair->key.at = at + 1;
    at = string_end(at, end);
    pair->key.end = at - 1;
    at = behind_space(at);
    at = behind_space(at + 1); /* the colon */
    pair->value.at = at;
    pair->value.end = rest->at = value_end(at, end);
    return true;
}

bool json_next_pair(struct json *rest, struct json_pair *pair)
{
    return next_pair(rest, pair);
}

/* ---- strings: trusted ---- */

static uint8_t *put_character(uint8_t *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (uint8_t)c;
    } else if (c < 0x800) {
        *to++ = (uint8_t)(0xc0 | c >> 6);
        *to++ = (uint8_t)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (uint8_t)(0xe0 | c >> 12);
        *to++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *to++ = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        *to++ = (uint8_t)(0xf0 | c >> 18);
        *to++ = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        *to++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *to++ = (uint8_t)(0x80 | (c & 0x3f));
    }
    return to;
}

/* The escape at *at, which moves behind it: at most 4 bytes. */
static uint8_t *put_escape(uint8_t *to, const uint8_t **at)
{
    uint8_t letter = (*at)[1];
    *at += 2;
    switch (letter) {
    case 'b': *to++ = '\b'; return to;
    case 'f': *to++ = '\f'; return to;
    case 'n': *to++ = '\n'; return to;
    case 'r': *to++ = '\r'; return to;
    case 't': *to++ = '\t'; return to;
    case 'u': break;
    default: *to++ = letter; return to;
    }
    unsigned c = unit_of(*at);
    *at += 4;
    if (c >= 0xd800 && c <= 0xdbff) {
        c = 0x10000 + ((c - 0xd800) << 10) + (unit_of(*at + 2) - 0xdc00);
        *at += 6;
    }
    return put_character(to, c);
}

size_t json_unescape(struct json key, uint8_t *to)
{
    uint8_t *start = to;
    while (key.at < key.end) {
        size_t left = (size_t)(key.end - key.at);
        const uint8_t *escape = memchr(key.at, '\\', left);
        size_t plain = escape ? (size_t)(escape - key.at) : left;
        memcpy(to, key.at, plain);
        to += plain;
        key.at += plain;
        if (escape) to = put_escape(to, &key.at);
    }
    return (size_t)(to - start);
}

static bool escaped_is(struct json key, const char *bytes, size_t count)
{
    const char *end = bytes + count;
    while (key.at < key.end) {
        uint8_t character[4], *behind = character;
        if (*key.at == '\\')
            behind = put_escape(behind, &key.at);
        else
            *behind++ = *key.at++;
        size_t taken = (size_t)(behind - character);
        if ((size_t)(end - bytes) < taken ||
            memcmp(bytes, character, taken) != 0)
            return false;
        bytes += taken;
    }
    return bytes == end;
}

/* An escape is never shorter than what it stands for: a key of as many bytes
 * has none, if it is the same. */
static inline bool key_is(struct json key, const char *bytes, size_t count)
{
    size_t raw = (size_t)(key.end - key.at);
    if (raw == count && memcmp(key.at, bytes, count) == 0)
        return !json_has_escapes(key);
    return raw > count && json_has_escapes(key) &&
           escaped_is(key, bytes, count);
}

bool json_key_is(struct json key, const char *bytes, size_t count)
{
    return key_is(key, bytes, count);
}

bool json_find(struct json object, const char *key, size_t count,
               struct json_pair *found)
{
    struct json rest = json_inside(object);
    struct json_pair pair;
    bool any = false;
    while (next_pair(&rest, &pair)) {
        if (!key_is(pair.key, key, count)) continue;
        *found = pair;
        any = true;
    }
    return any;
}

/* ---- numbers: trusted ---- */

_Static_assert(FLT_EVAL_METHOD == 0, "a product of doubles is rounded once");

enum {
    /* Digits that decide: halfway between two doubles lies a decimal of no
     * more. Of those behind only counts whether one isn't zero. */
    DIGITS_MAX = 780,
    EXPONENT_MAX = 100 * 1000 * 1000, /* above all that a text has digits for */
};

/* The exponent behind "e". */
static int64_t exponent_at(const uint8_t *at, const uint8_t *end)
{
    bool negative = *at == '-';
    int64_t exponent = 0;
    for (at += *at == '-' || *at == '+'; at < end; at++)
        if (exponent < EXPONENT_MAX) exponent = 10 * exponent + (*at - '0');
    return negative ? -exponent : exponent;
}

/* Of a number's text without its sign: as digits * 10^exponent. */
struct decimal {
    uint64_t digits; /* the first 19 that count */
    int64_t exponent;
    bool exact;    /* there are no more that count */
    bool integral; /* neither fraction nor exponent */
};

static inline struct decimal decimal_of(const uint8_t *at, const uint8_t *end)
{
    struct decimal d = {.exact = true, .integral = true};
    unsigned count = 0;
    for (; at < end; at++) {
        if (is_digit(*at)) {
            if (count < 19) {
                d.digits = 10 * d.digits + (*at - '0');
                count += d.digits > 0;
                d.exponent -= !d.integral;
            } else {
                d.exact = d.exact && *at == '0';
                d.exponent += d.integral;
            }
            continue;
        }
        d.integral = false;
        if (*at == '.') continue;
        d.exponent += exponent_at(at + 1, end);
        break;
    }
    return d;
}

/* The same by strtod(), for what a product or quotient of two exact doubles
 * doesn't give: all digits without the point, and the exponent. */
static double read_long_float(const uint8_t *at, const uint8_t *end)
{
    char text[DIGITS_MAX + 32], *to = text;
    int64_t exponent = 0;
    bool fraction = false, more = false;
    for (; at < end; at++) {
        if (*at == '.') {
            fraction = true;
        } else if (!is_digit(*at)) {
            exponent += exponent_at(at + 1, end);
            break;
        } else if (to < text + DIGITS_MAX) {
            if (*at != '0' || to > text) *to++ = (char)*at;
            exponent -= fraction;
        } else {
            more = more || *at != '0';
            exponent += !fraction;
        }
    }
    if (to == text) return 0;
    if (more) {
        *to++ = '1';
        exponent--;
    }
    snprintf(to, 24, "e%lld", (long long)exponent);
    return strtod(text, NULL);
}

static double read_float(const struct decimal *d, const uint8_t *at,
                         const uint8_t *end)
{
    static const double tens[] = {
        1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    bool exact = d->exact && d->digits <= 1ull << DBL_MANT_DIG;
    if (exact && d->exponent >= -22 && d->exponent <= 22)
        return d->exponent < 0 ? (double)d->digits / tens[-d->exponent]
                               : (double)d->digits * tens[d->exponent];
    return read_long_float(at, end);
}

/* Source of the quick way: W. D. Clinger, How to Read Floating Point Numbers
 * Accurately. */
struct value json_number(struct json number)
{
    const uint8_t *at = number.at;
    bool negative = *at == '-';
    at += negative;
    struct decimal d = decimal_of(at, number.end);
    bool fits = d.exact && d.exponent == 0 &&
                d.digits <= (uint64_t)INT64_MAX + negative;
    if (d.integral && fits)
        return value_of_int(negative ? (int64_t)(0 - d.digits)
                                     : (int64_t)d.digits);
    double size = read_float(&d, at, number.end);
    return value_of_float(negative ? -size : size);
}

/* ---- decode: trusted ---- */

struct decoder {
    struct buffer *out, *scratch;
    size_t began; /* out->used before */
    err failed;   /* sticky */
};

static void decode(struct decoder *d, struct json text);

/* NULL when failed. */
static uint8_t *decoder_room(struct decoder *d, size_t bytes)
{
    if (d->out->used - d->began > VALUE_BYTES_MAX) d->failed = ERR_BIG;
    if (d->failed == OK) d->failed = buffer_reserve(d->out, bytes);
    return d->failed == OK ? d->out->data + d->out->used : NULL;
}

static void decoded(struct decoder *d, const uint8_t *end)
{
    d->out->used = (size_t)(end - d->out->data);
}

static void decode_string(struct decoder *d, struct json raw)
{
    size_t most = (size_t)(raw.end - raw.at);
    uint8_t *at = decoder_room(d, VALUE_HEAD_MAX + most);
    if (at == NULL) return;
    if (!json_has_escapes(raw)) {
        decoded(d, value_put_bytes(at, (const char *)raw.at, (uint32_t)most));
        return;
    }
    size_t count = json_unescape(raw, at + VALUE_HEAD_MAX);
    uint8_t *bytes = value_put_bytes_head(at, (uint32_t)count);
    memmove(bytes, at + VALUE_HEAD_MAX, count);
    decoded(d, bytes + count);
}

static void decode_array(struct decoder *d, struct json array)
{
    struct json rest = json_inside(array), element;
    uint32_t count = 0;
    while (json_next_element(&rest, &element))
        count++;
    uint8_t *at = decoder_room(d, VALUE_HEAD_MAX);
    if (at == NULL) return;
    decoded(d, value_put_array_head(at, count));
    for (rest = json_inside(array);
         d->failed == OK && json_next_element(&rest, &element);)
        decode(d, element);
}

/* A pair that was written to `out`: its place there, which moves until all
 * are written. */
union decoded_pair {
    size_t offset;
    const uint8_t *at;
};

/* Equal keys in the order in which they stand. */
static int order_pairs(const void *a, const void *b)
{
    const union decoded_pair *x = a, *y = b;
    int order = value_order(x->at, y->at);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* Writes the pairs once more, behind themselves, as a map is written: head,
 * keys in order, of equal ones the last. Then moves that to `began`. */
static void sort_pairs(struct decoder *d, size_t began,
                       union decoded_pair *pairs, size_t count)
{
    size_t bytes = d->out->used - began;
    uint8_t *head = decoder_room(d, bytes + VALUE_HEAD_MAX);
    if (head == NULL) return;
    for (size_t i = 0; i < count; i++)
        pairs[i].at = d->out->data + pairs[i].offset;
    if (count > 1) qsort(pairs, count, sizeof *pairs, order_pairs);
    uint8_t *to = head + VALUE_HEAD_MAX;
    uint32_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *key = pairs[i].at;
        if (i + 1 < count && value_equal(key, pairs[i + 1].at)) continue;
        size_t pair_bytes = (size_t)(value_skip(value_skip(key)) - key);
        memcpy(to, key, pair_bytes);
        to += pair_bytes;
        kept++;
    }
    uint8_t *end = value_put_map_head(d->out->data + began, kept);
    size_t sorted = (size_t)(to - head) - VALUE_HEAD_MAX;
    memmove(end, head + VALUE_HEAD_MAX, sorted);
    decoded(d, end + sorted);
}

static void decode_object(struct decoder *d, struct json object)
{
    struct json rest = json_inside(object);
    struct json_pair pair;
    size_t began = d->out->used, first = d->scratch->used, count = 0;
    if (decoder_room(d, VALUE_HEAD_MAX) == NULL) return;
    d->out->used += VALUE_HEAD_MAX; /* the head's place */
    for (; json_next_pair(&rest, &pair); count++) {
        union decoded_pair p = {.offset = d->out->used};
        decode_string(d, pair.key);
        decode(d, pair.value);
        if (d->failed == OK)
            d->failed = buffer_append(d->scratch, &p, sizeof p);
        if (d->failed != OK) return;
    }
    union decoded_pair *pairs = NULL;
    if (count > 0) pairs = (void *)(d->scratch->data + first);
    sort_pairs(d, began, pairs, count);
    d->scratch->used = first;
}

static void decode(struct decoder *d, struct json text)
{
    if (*text.at == '{') {
        decode_object(d, text);
        return;
    }
    if (*text.at == '[') {
        decode_array(d, text);
        return;
    }
    if (*text.at == '"') {
        decode_string(d, json_unquote(text));
        return;
    }
    uint8_t *at = decoder_room(d, VALUE_SCALAR_MAX);
    if (at == NULL) return;
    struct value v;
    switch (*text.at) {
    case 'n': decoded(d, value_put_nil(at)); return;
    case 't':
    case 'f': decoded(d, value_put_bool(at, *text.at == 't')); return;
    default: v = json_number(text);
    }
    decoded(d, v.type == VALUE_INT ? value_put_int(at, v.as.integer)
                                   : value_put_float(at, v.as.number));
}

err json_decode(struct json text, struct buffer *out, struct buffer *scratch)
{
    struct decoder d = {.out = out, .scratch = scratch, .began = out->used};
    scratch->used = 0;
    decode(&d, text);
    if (d.failed == OK && out->used - d.began > VALUE_BYTES_MAX)
        d.failed = ERR_BIG;
    if (d.failed != OK) out->used = d.began;
    return d.failed;
}
