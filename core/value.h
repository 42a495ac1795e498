/* value.h - what travels in a tuple: nil, booleans, 64-bit integers, floats,
 * byte strings, arrays and maps, encoded in MessagePack; and JSON: an array or
 * object as text, decoded by who reads it.
 * A tuple's values stand one behind another without a header: the stream's
 * schema gives their number. Encoded is their only form; a struct value is a
 * look at one of them.
 *
 * Two doors. Bytes from outside pass value_check() once; everything else
 * here trusts its bytes (checked, or written by this process) and looks at no
 * end. Nothing allocates, nothing is shared: any thread.
 *
 * Every form of MessagePack is read, the smallest is written, except that
 * floats are always float64. A string is bytes, whether it came as str or as
 * bin, and need not be UTF-8. A map's keys are booleans, numbers and byte
 * strings, never nil or NaN, as in Lua; writers put them in value_order().
 * JSON is ext type VALUE_JSON_TYPE (ext 8 to 32, no fixext): a checked text as
 * in core/json.h, without white space around it or a line feed in it. It is
 * equal to the same bytes only, not to what they say.
 * Not values: other ext types, and unsigned integers above INT64_MAX, which Lua
 * would show as negative numbers.
 * Source: the MessagePack specification (msgpack/spec.md); hashes are XXH3
 * by Yann Collet (Debian's libxxhash-dev), that of core/short.h, and
 * SplitMix64's finalizer. */
#ifndef CORE_VALUE_H
#define CORE_VALUE_H

#include "core/err.h"
#include "core/short.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    VALUE_SCALAR_MAX = 9,       /* bytes of the longest nil, bool or number */
    VALUE_HEAD_MAX = 5,         /* bytes of the longest head of the others */
    VALUE_JSON_HEAD_MAX = 6,    /* and of JSON */
    VALUE_DEPTH_MAX = 64,       /* containers within containers */
    VALUE_BYTES_MAX = 16 << 20, /* encoded, with everything inside */
    VALUE_JSON_TYPE = 'J',      /* MessagePack's number of the ext type */
};

/* In value_order()'s order, but for the two kinds of number. */
enum value_type {
    VALUE_NIL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_BYTES,
    VALUE_ARRAY,
    VALUE_MAP,
    VALUE_JSON,
};

/* A look at one encoded value: borrowed, valid as long as its bytes are. */
struct value {
    enum value_type type;
    uint32_t count; /* bytes of a string or JSON, elements of an array, pairs of
                     * a map; 0 for the others */
    union {
        bool boolean;
        int64_t integer;
        double number;
        const char *bytes; /* of a string or JSON; not terminated */
    } as;
};

/* MessagePack's first bytes. The fix forms carry their value or count within.
 */
enum {
    MSGPACK_FIXMAP = 0x80,
    MSGPACK_FIXARRAY = 0x90,
    MSGPACK_FIXSTR = 0xa0,
    MSGPACK_NIL = 0xc0,
    MSGPACK_FALSE = 0xc2,
    MSGPACK_TRUE = 0xc3,
    MSGPACK_BIN8 = 0xc4,
    MSGPACK_BIN16 = 0xc5,
    MSGPACK_BIN32 = 0xc6,
    MSGPACK_EXT8 = 0xc7,
    MSGPACK_EXT16 = 0xc8,
    MSGPACK_EXT32 = 0xc9,
    MSGPACK_FLOAT32 = 0xca,
    MSGPACK_FLOAT64 = 0xcb,
    MSGPACK_UINT8 = 0xcc,
    MSGPACK_UINT16 = 0xcd,
    MSGPACK_UINT32 = 0xce,
    MSGPACK_UINT64 = 0xcf,
    MSGPACK_INT8 = 0xd0,
    MSGPACK_INT16 = 0xd1,
    MSGPACK_INT32 = 0xd2,
    MSGPACK_INT64 = 0xd3,
    MSGPACK_STR8 = 0xd9,
    MSGPACK_STR16 = 0xda,
    MSGPACK_STR32 = 0xdb,
    MSGPACK_ARRAY16 = 0xdc,
    MSGPACK_ARRAY32 = 0xdd,
    MSGPACK_MAP16 = 0xde,
    MSGPACK_MAP32 = 0xdf,
};

/* ---- Big-endian numbers. Compilers make one load or store and a swap of
 * each; of a store byte by byte gcc 12 makes twenty instructions. ---- */

enum { VALUE_SWAPS = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ };

static inline uint16_t value_load16(const uint8_t *at)
{
    uint16_t n;
    memcpy(&n, at, sizeof n);
    return VALUE_SWAPS ? __builtin_bswap16(n) : n;
}

static inline uint32_t value_load32(const uint8_t *at)
{
    uint32_t n;
    memcpy(&n, at, sizeof n);
    return VALUE_SWAPS ? __builtin_bswap32(n) : n;
}

static inline uint64_t value_load64(const uint8_t *at)
{
    uint64_t n;
    memcpy(&n, at, sizeof n);
    return VALUE_SWAPS ? __builtin_bswap64(n) : n;
}

static inline void value_store32(uint8_t *at, uint32_t n)
{
    if (VALUE_SWAPS) n = __builtin_bswap32(n);
    memcpy(at, &n, sizeof n);
}

static inline void value_store64(uint8_t *at, uint64_t n)
{
    if (VALUE_SWAPS) n = __builtin_bswap64(n);
    memcpy(at, &n, sizeof n);
}

/* ---- Writers. Each returns the new end. ----
 * There must be VALUE_SCALAR_MAX bytes of room for a scalar, VALUE_HEAD_MAX
 * for a head, VALUE_HEAD_MAX + count for a string (VALUE_JSON_HEAD_MAX + count
 * for JSON): whatever the value
 * takes in the end, bytes behind it within that room may be overwritten. That
 * is what keeps them free of branches. */

static inline uint8_t *value_put_nil(uint8_t *at)
{
    *at = MSGPACK_NIL;
    return at + 1;
}

static inline uint8_t *value_put_bool(uint8_t *at, bool b)
{
    *at = (uint8_t)(MSGPACK_FALSE + b);
    return at + 1;
}

static inline uint8_t *value_put_int(uint8_t *at, int64_t i)
{
    if (i >= -32 && i <= 127) {
        *at = (uint8_t)i;
        return at + 1;
    }
    /* Width 0 to 3 is for 1, 2, 4 and 8 bytes, as the heads follow each other.
     * A sign takes a bit of the signed forms; the unsigned ones have none. */
    bool negative = i < 0;
    uint64_t size = (uint64_t)(negative ? ~i : i) << negative;
    unsigned width =
        (size > UINT8_MAX) + (size > UINT16_MAX) + (size > UINT32_MAX);
    *at = (uint8_t)((negative ? MSGPACK_INT8 : MSGPACK_UINT8) + width);
    value_store64(at + 1, (uint64_t)i << (64 - (8u << width)));
    return at + 1 + (1u << width);
}

static inline uint8_t *value_put_float(uint8_t *at, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    *at = MSGPACK_FLOAT64;
    value_store64(at + 1, bits);
    return at + VALUE_SCALAR_MAX;
}

/* The caller writes `count` bytes behind it. */
static inline uint8_t *value_put_bytes_head(uint8_t *at, uint32_t count)
{
    if (count < 32) {
        *at = (uint8_t)(MSGPACK_FIXSTR | count);
        return at + 1;
    }
    unsigned width = (count > UINT8_MAX) + (count > UINT16_MAX);
    *at = (uint8_t)(MSGPACK_STR8 + width);
    value_store32(at + 1, count << (32 - (8u << width)));
    return at + 1 + (1u << width);
}

/* memcpy() for what is mostly a word: two loads and stores that overlap cover
 * every length of a class, in half the time of a call into the library. */
static inline void value_copy(uint8_t *to, const char *from, size_t count)
{
    if (count > 16) {
        memcpy(to, from, count);
    } else if (count >= 8) {
        uint64_t first, last;
        memcpy(&first, from, 8);
        memcpy(&last, from + count - 8, 8);
        memcpy(to, &first, 8);
        memcpy(to + count - 8, &last, 8);
    } else if (count >= 4) {
        uint32_t first, last;
        memcpy(&first, from, 4);
        memcpy(&last, from + count - 4, 4);
        memcpy(to, &first, 4);
        memcpy(to + count - 4, &last, 4);
    } else if (count > 0) {
        to[0] = (uint8_t)from[0];
        to[count / 2] = (uint8_t)from[count / 2];
        to[count - 1] = (uint8_t)from[count - 1];
    }
}

/* Copies `bytes`, which may be NULL when count is 0. */
static inline uint8_t *value_put_bytes(uint8_t *at, const char *bytes,
                                       uint32_t count)
{
    at = value_put_bytes_head(at, count);
    value_copy(at, bytes, count);
    return at + count;
}

/* Copies `count` bytes of JSON text, which must be as this page says. */
static inline uint8_t *value_put_json(uint8_t *at, const uint8_t *json,
                                      uint32_t count)
{
    unsigned width = (count > UINT8_MAX) + (count > UINT16_MAX);
    *at++ = (uint8_t)(MSGPACK_EXT8 + width);
    value_store32(at, count << (32 - (8u << width)));
    at += 1u << width;
    *at++ = VALUE_JSON_TYPE;
    memcpy(at, json, count);
    return at + count;
}

/* The caller writes `count` values behind it. */
static inline uint8_t *value_put_array_head(uint8_t *at, uint32_t count)
{
    if (count < 16) {
        *at = (uint8_t)(MSGPACK_FIXARRAY | count);
        return at + 1;
    }
    unsigned wide = count > UINT16_MAX;
    *at = (uint8_t)(MSGPACK_ARRAY16 + wide);
    value_store32(at + 1, count << (wide ? 0 : 16));
    return at + 1 + (2u << wide);
}

/* The caller writes key, value, key, value … behind it: `pairs` of them, the
 * keys in value_order(), none twice. */
static inline uint8_t *value_put_map_head(uint8_t *at, uint32_t pairs)
{
    if (pairs < 16) {
        *at = (uint8_t)(MSGPACK_FIXMAP | pairs);
        return at + 1;
    }
    unsigned wide = pairs > UINT16_MAX;
    *at = (uint8_t)(MSGPACK_MAP16 + wide);
    value_store32(at + 1, pairs << (wide ? 0 : 16));
    return at + 1 + (2u << wide);
}

/* ---- Readers. ---- */

static inline struct value value_of_int(int64_t i)
{
    return (struct value){.type = VALUE_INT, .as.integer = i};
}

static inline struct value value_of_float(double d)
{
    return (struct value){.type = VALUE_FLOAT, .as.number = d};
}

static inline struct value value_of_bytes(const uint8_t *bytes, uint32_t count)
{
    return (struct value){
        .type = VALUE_BYTES, .count = count, .as.bytes = (const char *)bytes};
}

static inline struct value value_of_json(const uint8_t *bytes, uint32_t count)
{
    return (struct value){
        .type = VALUE_JSON, .count = count, .as.bytes = (const char *)bytes};
}

/* value_head()'s part for all heads but the fix forms of scalars. */
static inline const uint8_t *value_long_head(const uint8_t *at, struct value *v)
{
    uint8_t head = *at++;
    uint32_t bits32;
    uint64_t bits64;
    float single;
    double number;
    switch (head) {
    case MSGPACK_NIL: *v = (struct value){.type = VALUE_NIL}; return at;
    case MSGPACK_FALSE:
    case MSGPACK_TRUE:
        *v = (struct value){.type = VALUE_BOOL, .as.boolean = head & 1};
        return at;
    case MSGPACK_UINT8: *v = value_of_int(*at); return at + 1;
    case MSGPACK_UINT16: *v = value_of_int(value_load16(at)); return at + 2;
    case MSGPACK_UINT32: *v = value_of_int(value_load32(at)); return at + 4;
    case MSGPACK_INT8: *v = value_of_int((int8_t)*at); return at + 1;
    case MSGPACK_INT16:
        *v = value_of_int((int16_t)value_load16(at));
        return at + 2;
    case MSGPACK_INT32:
        *v = value_of_int((int32_t)value_load32(at));
        return at + 4;
    case MSGPACK_UINT64:
    case MSGPACK_INT64:
        *v = value_of_int((int64_t)value_load64(at));
        return at + 8;
    case MSGPACK_FLOAT32:
        bits32 = value_load32(at);
        memcpy(&single, &bits32, sizeof single);
        *v = value_of_float(single);
        return at + 4;
    case MSGPACK_FLOAT64:
        bits64 = value_load64(at);
        memcpy(&number, &bits64, sizeof number);
        *v = value_of_float(number);
        return at + 8;
    case MSGPACK_STR8:
    case MSGPACK_BIN8: *v = value_of_bytes(at + 1, *at); return at + 1;
    case MSGPACK_STR16:
    case MSGPACK_BIN16:
        *v = value_of_bytes(at + 2, value_load16(at));
        return at + 2;
    case MSGPACK_STR32:
    case MSGPACK_BIN32:
        *v = value_of_bytes(at + 4, value_load32(at));
        return at + 4;
    case MSGPACK_EXT8: *v = value_of_json(at + 2, *at); return at + 2;
    case MSGPACK_EXT16:
        *v = value_of_json(at + 3, value_load16(at));
        return at + 3;
    case MSGPACK_EXT32:
        *v = value_of_json(at + 5, value_load32(at));
        return at + 5;
    case MSGPACK_ARRAY16:
        *v = (struct value){.type = VALUE_ARRAY, .count = value_load16(at)};
        return at + 2;
    case MSGPACK_ARRAY32:
        *v = (struct value){.type = VALUE_ARRAY, .count = value_load32(at)};
        return at + 4;
    case MSGPACK_MAP16:
        *v = (struct value){.type = VALUE_MAP, .count = value_load16(at)};
        return at + 2;
    case MSGPACK_MAP32:
        *v = (struct value){.type = VALUE_MAP, .count = value_load32(at)};
        return at + 4;
    default: /* fixmap and fixarray: the other heads are no values */
        *v = (struct value){.type = head < MSGPACK_FIXARRAY ? VALUE_MAP
                                                            : VALUE_ARRAY,
                            .count = head & 15};
        return at;
    }
}

/* Reads a whole scalar, or what stands before the bytes of a string or JSON,
 * the elements of an array, the pairs of a map. Returns the byte behind that.
 */
static inline const uint8_t *value_head(const uint8_t *at, struct value *v)
{
    uint8_t head = *at;
    if ((int8_t)head >= -32) { /* 0x00 to 0x7f, 0xe0 to 0xff */
        *v = value_of_int((int8_t)head);
        return at + 1;
    }
    if ((head & 0xe0) == MSGPACK_FIXSTR) {
        *v = value_of_bytes(at + 1, head & 31);
        return at + 1;
    }
    return value_long_head(at, v);
}

/* Trusted. Reads the value at `at` and returns the byte behind it; behind a
 * container's head only, where its first element or key stands. */
static inline const uint8_t *value_get(const uint8_t *at, struct value *v)
{
    at = value_head(at, v);
    return v->type == VALUE_BYTES || v->type == VALUE_JSON ? at + v->count : at;
}

/* Trusted. The byte behind the whole value, with all that is inside it. */
const uint8_t *value_skip(const uint8_t *at);
/* Trusted. The byte behind `count` values: the value at that place of a tuple,
 * or its end. */
static inline const uint8_t *value_skip_many(const uint8_t *at, unsigned count)
{
    while (count-- > 0)
        at = value_skip(at);
    return at;
}

/* For bytes from outside: does one whole value begin at `at`, within the
 * limits and this page's rules? Then *next is the byte behind it. A count is
 * compared with the bytes that are left before anything relies on it.
 * ERR_TRUNCATED: so far it is a value, but `end` comes in the middle; more
 * bytes may complete it. ERR_BIG: it is, or will be, above VALUE_BYTES_MAX.
 * ERR_DEEP: above VALUE_DEPTH_MAX. ERR_FORMAT: another ext type, an unused
 * byte, an integer above INT64_MAX, a map's key that can't be one, or JSON that
 * is none or no container. After an
 * error *next is untouched. */
err value_check(const uint8_t *at, const uint8_t *end, const uint8_t **next);

/* ---- Equality, hash, order: trusted, and in agreement. ----
 * A number is its mathematical value: 1 = 1.0, -0.0 = 0, and 2^53 + 1 is not
 * the float 2^53. NaN equals NaN, nil equals nil; a grouping asks
 * value_is_key() first. Strings are equal by their bytes, arrays element by
 * element, maps whatever the order of their pairs; keys that occur twice in
 * one map are told apart by which comes first. */

/* False for nil and NaN, which are no key to group by. */
bool value_is_key(const uint8_t *at);

/* Linear; a map not in key order costs its pairs times its bytes. */
bool value_equal(const uint8_t *a, const uint8_t *b);

/* Negative, 0 or positive as `a` comes before, with or after `b`: nil, then
 * false, true, numbers by value, NaN, byte strings (by memcmp, a prefix
 * first), arrays (by their first difference, a prefix first), maps (fewer
 * pairs first, then by their pairs in key order), JSON (as strings). Total; 0
 * means equal. Costs as value_equal(). */
int value_order(const uint8_t *a, const uint8_t *b);

/* Equal values have equal hashes under one seed, in every process and
 * release: state is placed by them. Linear. */
uint64_t value_hash(const uint8_t *at, uint64_t seed);

/* SplitMix64's finalizer (Stafford's variant 13). */
static inline uint64_t value_hash_mix(uint64_t n)
{
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9u;
    n = (n ^ n >> 27) * 0x94d049bb133111ebu;
    return n ^ n >> 31;
}

/* Folds the hash of the next part into that of the parts before it; the order
 * of the parts counts. */
static inline uint64_t value_hash_combine(uint64_t before, uint64_t part)
{
    return value_hash_mix(before * 0x9e3779b97f4a7c15u + part);
}

/* The same for the keys that a tuple is grouped by, `i` of them so far: the
 * hash of one key alone is its own. */
static inline uint64_t value_hash_key(uint64_t before, unsigned i, uint64_t key)
{
    return i == 0 ? key : value_hash_combine(before, key);
}

/* What value_hash() gives for the encoded scalar, for senders who have it at
 * hand and want it not encoded. */
static inline uint64_t value_hash_int(int64_t i, uint64_t seed)
{
    return value_hash_mix((uint64_t)i + (seed + 1) * 0x9e3779b97f4a7c15u);
}

static inline uint64_t value_hash_bool(bool b, uint64_t seed)
{
    return value_hash_combine(value_hash_int(VALUE_BOOL, ~seed), b);
}

static inline uint64_t value_hash_bytes(const char *bytes, size_t count,
                                        uint64_t seed)
{
    if (count <= SHORT_MAX) return short_hash(short_copy(bytes, count), seed);
    return XXH3_64bits_withSeed(bytes, count, seed);
}

/* True when `d` is an integer of 64 bits, which is then *i. */
static inline bool value_float_is_int(double d, int64_t *i)
{
    if (!(d >= -0x1p63 && d < 0x1p63)) return false;
    *i = (int64_t)d;
    return (double)*i == d;
}

static inline uint64_t value_hash_float(double d, uint64_t seed)
{
    int64_t i;
    if (value_float_is_int(d, &i)) return value_hash_int(i, seed);
    uint64_t bits = 0;
    if (d == d) memcpy(&bits, &d, sizeof bits); /* every NaN is one */
    return value_hash_combine(value_hash_int(VALUE_FLOAT, ~seed), bits);
}

#endif
