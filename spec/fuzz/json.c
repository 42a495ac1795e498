/* json.c - any bytes at json_check()'s door and at jansson's: both take the
 * same texts and read the same values. Then all that trusts a checked text:
 * the walk, the search, the depth, the writer. Where they differ on purpose:
 * we stop at 64 levels, jansson at an infinite number and at \u0000 in a key,
 * and it overlooks a zero byte.
 * Build: ./build.sh fuzz json */
#include "core/json.h"
#include "core/alloc.h"
#include "core/json_write.h"
#include <assert.h>
#include <jansson.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t bits_of(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

/* Jansson's value of the same text; `as_real`: it read integers as such. */
static void check_same(const uint8_t **at, const json_t *theirs, bool as_real);

static void check_scalar(const struct value *v, const json_t *theirs,
                         bool as_real)
{
    switch (v->type) {
    case VALUE_NIL: assert(json_is_null(theirs)); return;
    case VALUE_BOOL:
        assert(json_is_boolean(theirs));
        assert(json_is_true(theirs) == v->as.boolean);
        return;
    case VALUE_BYTES:
        assert(json_is_string(theirs));
        assert(json_string_length(theirs) == v->count);
        assert(memcmp(json_string_value(theirs), v->as.bytes, v->count) == 0);
        return;
    case VALUE_INT:
        if (as_real)
            assert(json_real_value(theirs) == (double)v->as.integer);
        else
            assert(json_is_integer(theirs) &&
                   json_integer_value(theirs) == v->as.integer);
        return;
    default:
        assert(v->type == VALUE_FLOAT && json_is_real(theirs));
        assert(bits_of(json_real_value(theirs)) == bits_of(v->as.number));
    }
}

static void check_same(const uint8_t **at, const json_t *theirs, bool as_real)
{
    struct value v, key;
    *at = value_get(*at, &v);
    if (v.type == VALUE_ARRAY) {
        assert(json_is_array(theirs) && json_array_size(theirs) == v.count);
        for (uint32_t i = 0; i < v.count; i++)
            check_same(at, json_array_get(theirs, i), as_real);
    } else if (v.type == VALUE_MAP) {
        assert(json_is_object(theirs) && json_object_size(theirs) == v.count);
        for (uint32_t i = 0; i < v.count; i++) {
            *at = value_get(*at, &key);
            check_same(at, json_object_getn(theirs, key.as.bytes, key.count),
                       as_real);
        }
    } else {
        check_scalar(&v, theirs, as_real);
    }
}

static void decode(struct json text, struct buffer *out)
{
    struct buffer scratch = {0};
    const uint8_t *next = NULL;
    size_t began = out->used;
    assert(json_decode(text, out, &scratch) == OK);
    const uint8_t *value = out->data + began, *end = out->data + out->used;
    assert(value_check(value, end, &next) == OK && next == end);
    buffer_fini(&scratch);
}

/* The map's value of each key is what a search finds. */
static void check_find(struct json object, const uint8_t *map)
{
    struct value v, key;
    const uint8_t *at = value_get(map, &v);
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < v.count; i++) {
        struct json_pair pair;
        struct buffer one = {0};
        at = value_get(at, &key);
        assert(json_find(object, key.as.bytes, key.count, &pair));
        assert(json_key_is(pair.key, key.as.bytes, key.count));
        decode(pair.value, &one);
        assert(value_equal(one.data, at));
        buffer_fini(&one);
        at = value_skip(at);
    }
    struct json rest = json_inside(object);
    struct json_pair pair;
    while (json_next_pair(&rest, &pair))
        pairs++;
    assert(pairs >= v.count && *(rest.end - 1) == '}');
}

/* What is written is the same value again, and JSON; both ways. */
static void check_written(struct json text, const uint8_t *value)
{
    struct buffer out = {0}, again = {0};
    struct json_writer w = {.out = &out};
    struct json written;
    json_put_value(&w, value);
    assert(w.failed == OK);
    assert(json_check(out.data, out.data + out.used, VALUE_DEPTH_MAX, &written,
                      NULL) == OK);
    assert(written.at == out.data && written.end == out.data + out.used);
    assert(json_depth(written) <= json_depth(text)); /* a key twice: one goes */
    decode(written, &again);
    /* An infinity became null. */
    assert(w.replaced > 0 || value_equal(again.data, value));
    buffer_fini(&out);
    buffer_fini(&again);
}

/* As a value of a tuple. */
static void check_carried(struct json text)
{
    uint32_t count = (uint32_t)(text.end - text.at);
    uint8_t *bytes = mem_alloc(VALUE_JSON_HEAD_MAX + count);
    const uint8_t *next = NULL;
    struct value v;
    assert(bytes);
    uint8_t *end = value_put_json(bytes, text.at, count);
    bool fits = json_is_container(text) && !memchr(text.at, '\n', count);
    assert((value_check(bytes, end, &next) == OK) == fits);
    assert(value_get(bytes, &v) == end && value_skip(bytes) == end);
    assert(v.type == VALUE_JSON && v.count == count);
    mem_free(bytes);
}

static void check_trusted(struct json text, const json_t *theirs, bool as_real)
{
    struct buffer out = {0};
    decode(text, &out);
    const uint8_t *at = out.data;
    if (theirs) check_same(&at, theirs, as_real);
    if (*text.at == '{') check_find(text, out.data);
    unsigned depth = json_depth(text);
    struct json again;
    assert(json_check(text.at, text.end, depth, &again, NULL) == OK);
    if (depth > 0)
        assert(json_check(text.at, text.end, depth - 1, &again, NULL) ==
               ERR_DEEP);
    check_written(text, out.data);
    check_carried(text);
    buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json text;
    struct json_fault why = {NULL, NULL};
    const uint8_t *end = data + size;
    err e = json_check(data, end, VALUE_DEPTH_MAX, &text, &why);
    if (e != OK) assert(why.what && why.at >= data && why.at <= end);
    if (e == ERR_DEEP) return 0;
    if (size > 0 && memchr(data, 0, size)) {
        assert(e == ERR_FORMAT); /* jansson overlooks one behind a number */
        return 0;
    }

    size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t error;
    json_t *theirs = json_loadb((const char *)data, size, flags, &error);
    bool as_real =
        !theirs && json_error_code(&error) == json_error_numeric_overflow;
    if (as_real)
        theirs = json_loadb((const char *)data, size,
                            flags | JSON_DECODE_INT_AS_REAL, &error);
    enum json_error_code code =
        theirs ? json_error_unknown : json_error_code(&error);
    bool on_purpose = code == json_error_numeric_overflow ||
                      code == json_error_null_byte_in_key;
    assert(on_purpose || (e == OK) == (theirs != NULL));
    if (e == OK) check_trusted(text, theirs, as_real);
    json_decref(theirs);
    return 0;
}
