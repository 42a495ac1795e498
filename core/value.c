#include "core/value.h"
#include "core/json.h"

/* How many values stand directly inside `v`. */
static uint64_t inside(const struct value *v)
{
    if (v->type == VALUE_ARRAY) return v->count;
    if (v->type == VALUE_MAP) return 2 * (uint64_t)v->count;
    return 0;
}

const uint8_t *value_skip(const uint8_t *at)
{
    for (uint64_t left = 1; left > 0; left--) {
        struct value v;
        at = value_get(at, &v);
        left += inside(&v);
    }
    return at;
}

/* ---- Check ---- */

/* Bytes of what value_head() reads, by the first; 0 when it is no value. */
static const uint8_t head_bytes[256] = {
    /* fixint */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 00 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 10 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 20 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 30 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 40 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 50 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 60 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 70 */
    /* fixmap, fixarray, fixstr */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 80 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 90 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* a0 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* b0 */
    /* nil, unused, booleans, bin, ext, float, uint */
    1, 0, 1, 1, 2, 3, 5, 3, 4, 6, 5, 9, 2, 3, 5, 9, /* c0 */
    /* int, fixext, str, array, map */
    2, 3, 5, 9, 0, 0, 0, 0, 0, 2, 3, 5, 3, 5, 3, 5, /* d0 */
    /* negative fixint */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* e0 */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* f0 */
};

/* A container whose end has not been reached. */
struct level {
    uint32_t left; /* values still to come; fits, as each takes a byte */
    bool is_map;   /* an even `left` then means a key */
};

/* What a map can be keyed by. No containers: Lua would look them up by
 * identity and never find them, and telling deep keys apart could be made to
 * cost more than any reader has time for. */
static bool keys_a_map(const struct value *v)
{
    switch (v->type) {
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_BYTES: return true;
    case VALUE_FLOAT: return v->as.number == v->as.number;
    default: return false;
    }
}

/* Reads the head at `at` if it is whole and a value's. */
static err check_head(const uint8_t *at, const uint8_t *end, struct value *v)
{
    if (at == end) return ERR_TRUNCATED;
    size_t bytes = head_bytes[*at];
    if (bytes == 0) return ERR_FORMAT;
    if ((size_t)(end - at) < bytes) return ERR_TRUNCATED;
    value_head(at, v);
    if (*at == MSGPACK_UINT64 && v->as.integer < 0) return ERR_FORMAT;
    if (v->type == VALUE_JSON && at[bytes - 1] != VALUE_JSON_TYPE)
        return ERR_FORMAT;
    return OK;
}

/* A container, as its writers leave it: what is around it, and line feeds, are
 * for who prints it. `depth` is that of what it stands in. */
static err check_json(const uint8_t *at, uint32_t count, unsigned depth)
{
    struct json text;
    err e = json_check(at, at + count, VALUE_DEPTH_MAX - depth, &text, NULL);
    if (e != OK) return e;
    bool whole = text.at == at && text.end == at + count;
    if (!whole || !json_is_container(text) || memchr(at, '\n', count))
        return ERR_FORMAT;
    return OK;
}

err value_check(const uint8_t *at, const uint8_t *end, const uint8_t **next)
{
    const uint8_t *start = at;
    struct level open[VALUE_DEPTH_MAX];
    unsigned depth = 0;
    /* Announced by the counts and not yet read: at least a byte each. */
    uint64_t owed = 1;
    while (owed > 0) {
        struct value v;
        err e = check_head(at, end, &v);
        if (e != OK) return e;
        at += head_bytes[*at];
        bool bytes = v.type == VALUE_BYTES || v.type == VALUE_JSON;
        uint64_t content = bytes ? v.count : 0;
        owed += inside(&v) - 1;
        uint64_t least = content + owed;
        if ((size_t)(at - start) + least > VALUE_BYTES_MAX) return ERR_BIG;
        if ((size_t)(end - at) < least) return ERR_TRUNCATED;
        if (v.type == VALUE_JSON) {
            e = check_json(at, v.count, depth);
            if (e != OK) return e;
        }
        at += content;

        struct level *around = depth > 0 ? &open[depth - 1] : NULL;
        if (around && around->is_map && around->left % 2 == 0 &&
            !keys_a_map(&v))
            return ERR_FORMAT;
        if (around) around->left--;
        if (v.type == VALUE_ARRAY || v.type == VALUE_MAP) {
            if (depth == VALUE_DEPTH_MAX) return ERR_DEEP;
            open[depth++] = (struct level){.left = (uint32_t)inside(&v),
                                           .is_map = v.type == VALUE_MAP};
        }
        while (depth > 0 && open[depth - 1].left == 0)
            depth--;
    }
    *next = at;
    return OK;
}

/* ---- Order ---- */

static int order_ints(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int order_floats(double a, double b)
{
    if (a != a || b != b) return (a != a) - (b != b); /* NaN comes last */
    return (a > b) - (a < b);
}

/* Exact, where converting `a` to a float would round it. */
static int order_int_float(int64_t a, double b)
{
    if (b != b || b >= 0x1p63) return -1;
    if (b < -0x1p63) return 1;
    int64_t whole = (int64_t)b; /* towards zero; exact as a float again */
    if (a != whole) return a < whole ? -1 : 1;
    return order_floats((double)whole, b);
}

static int order_numbers(const struct value *a, const struct value *b)
{
    if (a->type == VALUE_INT)
        return b->type == VALUE_INT
                   ? order_ints(a->as.integer, b->as.integer)
                   : order_int_float(a->as.integer, b->as.number);
    return b->type == VALUE_INT ? -order_int_float(b->as.integer, a->as.number)
                                : order_floats(a->as.number, b->as.number);
}

static int order_bytes(const struct value *a, const struct value *b)
{
    uint32_t shared = a->count < b->count ? a->count : b->count;
    int order = shared ? memcmp(a->as.bytes, b->as.bytes, shared) : 0;
    if (order != 0) return order < 0 ? -1 : 1;
    return order_ints(a->count, b->count);
}

static int order_at(const uint8_t **a, const uint8_t **b);

/* The first `count` values behind *a and *b, by their first difference. */
static int order_run(const uint8_t **a, const uint8_t **b, uint64_t count)
{
    int order = 0;
    while (order == 0 && count-- > 0)
        order = order_at(a, b);
    return order;
}

static const uint8_t *pair_behind(const uint8_t *pair)
{
    return value_skip(value_skip(pair));
}

static bool in_key_order(const uint8_t *pair, uint32_t pairs)
{
    for (uint32_t i = 1; i < pairs; i++) {
        const uint8_t *key = pair;
        pair = pair_behind(pair);
        if (value_order(key, pair) > 0) return false;
    }
    return true;
}

/* The pair whose turn it is after `last` (NULL: the first) when `pairs` of
 * them, from `pair` on, are taken in key order. Equal keys keep the order in
 * which they stand. Values are not compared: a comparison of two maps would
 * visit them more than once at each depth, and so 2^64 times in all. */
static const uint8_t *pair_after(const uint8_t *pair, uint32_t pairs,
                                 const uint8_t *last)
{
    const uint8_t *best = NULL;
    for (; pairs > 0; pairs--, pair = pair_behind(pair)) {
        int order = last ? value_order(pair, last) : 1;
        if (order < 0 || (order == 0 && pair <= last)) continue;
        if (best == NULL || value_order(pair, best) < 0) best = pair;
    }
    return best;
}

static int order_unsorted(const uint8_t *a, const uint8_t *b, uint32_t pairs)
{
    const uint8_t *x = NULL, *y = NULL;
    for (uint32_t i = 0; i < pairs; i++) {
        x = pair_after(a, pairs, x);
        y = pair_after(b, pairs, y);
        const uint8_t *p = x, *q = y;
        int order = order_run(&p, &q, 2);
        if (order != 0) return order;
    }
    return 0;
}

static int order_maps(const uint8_t **a, const uint8_t **b, uint32_t pairs)
{
    if (in_key_order(*a, pairs) && in_key_order(*b, pairs))
        return order_run(a, b, 2 * (uint64_t)pairs);
    int order = order_unsorted(*a, *b, pairs);
    if (order != 0) return order;
    for (; pairs > 0; pairs--) {
        *a = pair_behind(*a);
        *b = pair_behind(*b);
    }
    return 0;
}

static int order_containers(const uint8_t **a, const struct value *x,
                            const uint8_t **b, const struct value *y)
{
    int by_count = order_ints(x->count, y->count);
    if (x->type == VALUE_MAP)
        return by_count ? by_count : order_maps(a, b, x->count);
    uint32_t shared = by_count < 0 ? x->count : y->count;
    int order = order_run(a, b, shared);
    return order ? order : by_count;
}

/* Integers and floats are of one rank. */
static int rank(enum value_type type)
{
    return type == VALUE_FLOAT ? VALUE_INT : (int)type;
}

/* Compares the values at *a and *b. When they are equal, both move behind. */
static int order_at(const uint8_t **a, const uint8_t **b)
{
    struct value x, y;
    *a = value_get(*a, &x);
    *b = value_get(*b, &y);
    int by_rank = order_ints(rank(x.type), rank(y.type));
    if (by_rank != 0) return by_rank;
    switch (x.type) {
    case VALUE_NIL: return 0;
    case VALUE_BOOL: return x.as.boolean - y.as.boolean;
    case VALUE_INT:
    case VALUE_FLOAT: return order_numbers(&x, &y);
    case VALUE_BYTES:
    case VALUE_JSON: return order_bytes(&x, &y);
    default: return order_containers(a, &x, b, &y);
    }
}

int value_order(const uint8_t *a, const uint8_t *b)
{
    return order_at(&a, &b);
}

/* ---- Equality and hash ---- */

bool value_equal(const uint8_t *a, const uint8_t *b)
{
    struct value x, y;
    value_get(a, &x);
    value_get(b, &y);
    if (x.count != y.count) return false; /* scalars have none */
    if (x.type == VALUE_BYTES && y.type == VALUE_BYTES)
        return memcmp(x.as.bytes, y.as.bytes, x.count) == 0;
    return value_order(a, b) == 0;
}

bool value_is_key(const uint8_t *at)
{
    struct value v;
    value_get(at, &v);
    return v.type >= VALUE_ARRAY || keys_a_map(&v);
}

static uint64_t hash_at(const uint8_t **at, uint64_t seed);

/* A start of its own for each type that has no hash of its own. */
static uint64_t hash_start(enum value_type type, uint64_t seed)
{
    return value_hash_int(type, ~seed);
}

static uint64_t hash_array(const uint8_t **at, uint32_t count, uint64_t seed)
{
    uint64_t hash = value_hash_combine(hash_start(VALUE_ARRAY, seed), count);
    for (; count > 0; count--)
        hash = value_hash_combine(hash, hash_at(at, seed));
    return hash;
}

/* The pairs' hashes are added up, so that their order does not matter. */
static uint64_t hash_map(const uint8_t **at, uint32_t pairs, uint64_t seed)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < pairs; i++) {
        uint64_t key = hash_at(at, seed);
        sum += value_hash_combine(key, hash_at(at, seed));
    }
    uint64_t hash = value_hash_combine(hash_start(VALUE_MAP, seed), pairs);
    return value_hash_combine(hash, sum);
}

/* Moves *at behind the value. */
static uint64_t hash_at(const uint8_t **at, uint64_t seed)
{
    struct value v;
    *at = value_get(*at, &v);
    switch (v.type) {
    case VALUE_BOOL: return value_hash_bool(v.as.boolean, seed);
    case VALUE_INT: return value_hash_int(v.as.integer, seed);
    case VALUE_FLOAT: return value_hash_float(v.as.number, seed);
    case VALUE_BYTES: return value_hash_bytes(v.as.bytes, v.count, seed);
    case VALUE_ARRAY: return hash_array(at, v.count, seed);
    case VALUE_MAP: return hash_map(at, v.count, seed);
    case VALUE_JSON:
        return value_hash_combine(hash_start(VALUE_JSON, seed),
                                  value_hash_bytes(v.as.bytes, v.count, seed));
    default: return hash_start(VALUE_NIL, seed);
    }
}

uint64_t value_hash(const uint8_t *at, uint64_t seed)
{
    return hash_at(&at, seed);
}
