#include "spec/pack.h"
#include "spec/spec.h"

enum { BLOCK_MAX = 60000 };

static void put(struct buffer *out, const void *bytes, size_t count)
{
    CHECK_EQ(buffer_append(out, bytes, count), OK);
}

static void put_little(struct buffer *out, uint32_t n, unsigned bytes)
{
    for (; bytes > 0; bytes--, n >>= 8) {
        uint8_t byte = (uint8_t)n;
        put(out, &byte, 1);
    }
}

static uint32_t crc32_of(const uint8_t *at, size_t count)
{
    uint32_t crc = UINT32_MAX;
    for (; count > 0; count--) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static size_t block_of(size_t left)
{
    return left < BLOCK_MAX ? left : BLOCK_MAX;
}

void pack_gzip(struct buffer *out, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    put(out, head, sizeof head);
    size_t left = count;
    do {
        size_t some = block_of(left);
        put_little(out, some == left, 1);
        put_little(out, (uint32_t)some, 2);
        put_little(out, ~(uint32_t)some, 2);
        put(out, at, some);
        at += some;
        left -= some;
    } while (left > 0);
    put_little(out, crc32_of(bytes, count), 4);
    put_little(out, (uint32_t)count, 4);
}

void pack_zstd(struct buffer *out, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    static const uint8_t head[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 0x58};
    put(out, head, sizeof head);
    size_t left = count;
    do {
        size_t some = block_of(left);
        put_little(out, (uint32_t)some << 3 | (some == left), 3);
        put(out, at, some);
        at += some;
        left -= some;
    } while (left > 0);
}
