#include "actors/stream/undecided.h"
#include "core/alloc.h"

enum { ROOM_FIRST = 256 };

struct undecided_token {
    uint64_t token, snapshots; /* before it was settled */
};

void undecided_fini(struct undecided *u)
{
    mem_free(u->ring);
    *u = (struct undecided){0};
}

static struct undecided_token *at(const struct undecided *u, uint64_t i)
{
    return &u->ring[i & (u->room - 1)];
}

err undecided_reserve(struct undecided *u, uint64_t count)
{
    struct undecided more = *u;
    if (count <= u->room) return OK;
    more.room = u->room ? u->room : ROOM_FIRST;
    while (more.room < count)
        more.room *= 2;
    more.ring = mem_zero(more.room, sizeof *more.ring);
    if (more.ring == NULL) return ERR_NOMEM;
    for (uint64_t i = u->first; i < u->next; i++)
        *at(&more, i) = *at(u, i);
    mem_free(u->ring);
    *u = more;
    return OK;
}

void undecided_add(struct undecided *u, uint64_t token)
{
    *at(u, u->next++) = (struct undecided_token){token, u->snapshots};
}

bool undecided_take_any(struct undecided *u, uint64_t *token)
{
    if (u->first == u->next) return false;
    *token = at(u, u->first++)->token;
    return true;
}

bool undecided_take(struct undecided *u, uint64_t *token)
{
    if (u->first == u->next || at(u, u->first)->snapshots == u->snapshots)
        return false;
    return undecided_take_any(u, token);
}
