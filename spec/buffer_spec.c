/* Buffers: they grow, and keep their bytes. */
#include "core/alloc.h"
#include "core/buffer.h"
#include "spec/spec.h"

SPEC(buffer, grows_by_doubling_and_keeps_its_bytes)
{
    struct buffer b;
    buffer_init(&b);
    int moves = 0;
    for (int i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)(i % 251);
        size_t room = b.room;
        CHECK_EQ(buffer_append(&b, &byte, 1), OK);
        moves += b.room != room;
    }
    CHECK_EQ(b.used, 100000);
    CHECK(moves < 15);
    for (int i = 0; i < 100000; i++)
        CHECK_EQ(b.data[i], i % 251);
    buffer_fini(&b);
    buffer_fini(&b);
    CHECK(b.data == NULL);
}

SPEC(buffer, reserves_what_is_asked_for_at_once)
{
    struct buffer b = {0};
    CHECK_EQ(buffer_append(&b, NULL, 0), OK);
    CHECK(b.data == NULL);
    CHECK_EQ(buffer_reserve(&b, 5000), OK);
    CHECK(b.room >= 5000);
    CHECK_EQ(b.used, 0);
    memset(b.data, 1, 5000);
    b.used = 5000;
    CHECK_EQ(buffer_reserve(&b, 1), OK);
    CHECK(b.room >= 10000);
    CHECK_EQ(b.data[4999], 1);
    buffer_fini(&b);
}

SPEC(buffer, refuses_more_than_there_can_be)
{
    struct buffer b = {0};
    CHECK_EQ(buffer_append(&b, "abc", 3), OK);
    size_t room = b.room;
    CHECK_EQ(buffer_reserve(&b, SIZE_MAX), ERR_NOMEM);
    CHECK_EQ(buffer_reserve(&b, SIZE_MAX - 2), ERR_NOMEM);
    CHECK_EQ(b.room, room);
    CHECK_EQ(b.used, 3);
    CHECK(memcmp(b.data, "abc", 3) == 0);
    buffer_fini(&b);
}
