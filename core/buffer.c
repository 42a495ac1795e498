#include "core/buffer.h"
#include "core/alloc.h"

enum { ROOM_MIN_BYTES = 64 };

err buffer_grow(struct buffer *b, size_t more_bytes)
{
    if (more_bytes > (size_t)PTRDIFF_MAX - b->used) return ERR_NOMEM;
    size_t room = b->used + more_bytes;
    if (room < ROOM_MIN_BYTES) room = ROOM_MIN_BYTES;
    if (room / 2 < b->room) room = b->room * 2;
    uint8_t *data = mem_resize(b->data, room);
    if (data == NULL) return ERR_NOMEM;
    b->data = data;
    b->room = room;
    return OK;
}

void buffer_fini(struct buffer *b)
{
    mem_free(b->data);
    buffer_init(b);
}
