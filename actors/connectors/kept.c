#include "actors/connectors/kept.h"
#include "core/alloc.h"
#include <string.h>

enum { ROOM_FIRST = 256 };

static struct kept_line **slot(const struct kept *k, uint64_t token)
{
    return &k->ring[token & (k->room - 1)];
}

void kept_fini(struct kept *k)
{
    for (uint64_t i = k->base; i < k->next; i++)
        mem_free(*slot(k, i));
    mem_free(k->ring);
    *k = (struct kept){0};
}

static err grow(struct kept *k)
{
    struct kept more = {.room = k->room ? k->room * 2 : ROOM_FIRST};
    more.ring = mem_zero(more.room, sizeof *more.ring);
    if (more.ring == NULL) return ERR_NOMEM;
    for (uint64_t i = k->base; i < k->next; i++)
        *slot(&more, i) = *slot(k, i);
    mem_free(k->ring);
    k->ring = more.ring;
    k->room = more.room;
    return OK;
}

err kept_add(struct kept *k, const uint8_t *bytes, uint32_t count,
             uint64_t *token)
{
    if (k->next - k->base == k->room) {
        err e = grow(k);
        if (e != OK) return e;
    }
    struct kept_line *line = mem_alloc(sizeof *line + count);
    if (line == NULL) return ERR_NOMEM;
    line->count = count;
    if (count > 0) memcpy(line->bytes, bytes, count);
    *token = k->next++;
    *slot(k, *token) = line;
    return OK;
}

const struct kept_line *kept_get(const struct kept *k, uint64_t token)
{
    return token >= k->base && token < k->next ? *slot(k, token) : NULL;
}

void kept_drop(struct kept *k, uint64_t token)
{
    if (kept_get(k, token) == NULL) return;
    mem_free(*slot(k, token));
    *slot(k, token) = NULL;
    while (k->base < k->next && *slot(k, k->base) == NULL)
        k->base++;
}
