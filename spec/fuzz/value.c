/* value.c - any bytes at value_check()'s door, and everything behind it that
 * trusts what came through: skip, hash, equality, order, the writers and the
 * formats must agree on it. Build: ./build.sh fuzz value */
#include "core/value.h"
#include "actors/connectors/format.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes the value at *at again, smallest, as the writers do; moves both. */
static void write_again(const uint8_t **at, uint8_t **to)
{
    struct value v;
    *at = value_get(*at, &v);
    uint64_t inside = 0;
    switch (v.type) {
    case VALUE_NIL: *to = value_put_nil(*to); return;
    case VALUE_BOOL: *to = value_put_bool(*to, v.as.boolean); return;
    case VALUE_INT: *to = value_put_int(*to, v.as.integer); return;
    case VALUE_FLOAT: *to = value_put_float(*to, v.as.number); return;
    case VALUE_BYTES: *to = value_put_bytes(*to, v.as.bytes, v.count); return;
    case VALUE_JSON:
        *to = value_put_json(*to, (const uint8_t *)v.as.bytes, v.count);
        return;
    case VALUE_ARRAY:
        *to = value_put_array_head(*to, v.count);
        inside = v.count;
        break;
    case VALUE_MAP:
        *to = value_put_map_head(*to, v.count);
        inside = 2 * (uint64_t)v.count;
        break;
    }
    while (inside-- > 0)
        write_again(at, to);
}

/* What is written is the same value, in at most as many bytes but for floats
 * that were single. */
static void check_written_again(const uint8_t *value, size_t bytes)
{
    uint8_t *copy = mem_alloc(2 * bytes + VALUE_SCALAR_MAX), *to = copy;
    const uint8_t *at = value, *next = NULL;
    if (copy == NULL) return;
    write_again(&at, &to);
    assert(at == value + bytes && (size_t)(to - copy) <= 2 * bytes);
    assert(value_check(copy, to, &next) == OK && next == to);
    assert(value_equal(value, copy) && value_order(value, copy) == 0);
    assert(value_hash(value, 1) == value_hash(copy, 1));
    assert(value_is_key(value) == value_is_key(copy));
    mem_free(copy);
}

static void check_pair(const uint8_t *a, const uint8_t *b)
{
    int order = value_order(a, b);
    assert(value_order(b, a) == -order);
    assert(value_equal(a, b) == (order == 0));
    assert(value_equal(b, a) == (order == 0));
    if (order == 0) assert(value_hash(a, 1) == value_hash(b, 1));
}

static void check_formats(const uint8_t *values, unsigned count)
{
    static const char *const fields[] = {"first", "second \"\n"};
    struct buffer out = {0}, again = {0};
    uint64_t replaced = 0, bad_utf8 = 0;
    for (int kind = FORMAT_TEXT; kind <= FORMAT_CSV; kind++) {
        struct format f = {(enum format_kind)kind};
        assert(format_header(&f, fields, count, &out) == OK);
        assert(format_tuple(&f, fields, count, values, &out, &replaced) == OK);
        assert(out.data[out.used - 1] == '\n');
    }
    /* JSON is one line (a text that came as JSON keeps its tabs), and UTF-8:
     * printing it again replaces nothing. */
    struct format json = {FORMAT_JSON};
    out.used = 0;
    assert(format_tuple(&json, fields, count, values, &out, &replaced) == OK);
    for (size_t i = 0; i + 1 < out.used; i++)
        assert(out.data[i] != '\n');
    assert(buffer_reserve(&again, VALUE_HEAD_MAX + out.used) == OK);
    value_put_bytes(again.data, (const char *)out.data, (uint32_t)out.used);
    out.used = 0;
    assert(format_tuple(&json, fields, 1, again.data, &out, &bad_utf8) == OK);
    assert(bad_utf8 == 0);
    buffer_fini(&out);
    buffer_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size, *second = NULL, *behind = NULL;
    if (value_check(data, end, &second) != OK) return 0;
    size_t bytes = (size_t)(second - data);
    assert(bytes > 0 && second <= end);
    assert(value_skip(data) == second);
    /* Its last byte makes it whole. */
    assert(value_check(data, second - 1, &behind) == ERR_TRUNCATED);
    check_pair(data, data);
    check_written_again(data, bytes);
    bool two = value_check(second, end, &behind) == OK;
    if (two) check_pair(data, second);
    check_formats(data, two ? 2 : 1);
    return 0;
}
