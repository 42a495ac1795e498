#include "actors/connectors/kept.h"
#include "core/alloc.h"
#include <string.h>

enum { ROOM_FIRST = 256 };
#define NONE UINT32_MAX
#define GENERATION_MASK                                                        \
    0x7fffffffu /* a token leaves its last bit to others                       \
                 */

struct kept_slot {
    struct kept_line *line; /* owned; NULL: it is free */
    uint32_t generation;    /* tells a token from those before in this slot */
    uint32_t next_free;
};

/* NULL: the token's line is gone. */
static struct kept_slot *slot(const struct kept *k, uint64_t token)
{
    uint32_t i = (uint32_t)token;
    if (i >= k->room) return NULL;
    struct kept_slot *s = &k->slots[i];
    return s->line && s->generation == token >> 32 ? s : NULL;
}

void kept_fini(struct kept *k)
{
    for (uint32_t i = 0; i < k->room; i++)
        mem_free(k->slots[i].line);
    mem_free(k->slots);
    *k = (struct kept){0};
}

static err grow(struct kept *k)
{
    uint32_t room = k->room ? k->room * 2 : ROOM_FIRST;
    if (room < k->room) return ERR_NOMEM;
    struct kept_slot *slots = mem_resize(k->slots, room * sizeof *slots);
    if (slots == NULL) return ERR_NOMEM;
    for (uint32_t i = k->room; i < room; i++)
        slots[i] = (struct kept_slot){.next_free = i + 1 < room ? i + 1 : NONE};
    k->slots = slots;
    k->first_free = k->room;
    k->room = room;
    return OK;
}

err kept_add(struct kept *k, const uint8_t *bytes, uint32_t count,
             int64_t place, uint64_t *token)
{
    if (k->room == 0 || k->first_free == NONE) {
        err e = grow(k);
        if (e != OK) return e;
    }
    struct kept_line *line = mem_alloc(sizeof *line + count);
    if (line == NULL) return ERR_NOMEM;
    line->count = count;
    line->place = place;
    if (count > 0) memcpy(line->bytes, bytes, count);
    uint32_t i = k->first_free;
    struct kept_slot *s = &k->slots[i];
    k->first_free = s->next_free;
    s->line = line;
    *token = (uint64_t)s->generation << 32 | i;
    return OK;
}

const struct kept_line *kept_get(const struct kept *k, uint64_t token)
{
    const struct kept_slot *s = slot(k, token);
    return s ? s->line : NULL;
}

int64_t kept_oldest(const struct kept *k)
{
    int64_t oldest = INT64_MAX;
    for (uint32_t i = 0; i < k->room; i++) {
        const struct kept_line *line = k->slots[i].line;
        if (line && line->place < oldest) oldest = line->place;
    }
    return oldest;
}

void kept_drop(struct kept *k, uint64_t token)
{
    struct kept_slot *s = slot(k, token);
    if (s == NULL) return;
    mem_free(s->line);
    s->line = NULL;
    s->generation = (s->generation + 1) & GENERATION_MASK;
    s->next_free = k->first_free;
    k->first_free = (uint32_t)token;
}
