#include "actors/stream/pending.h"
#include "actors/stream/letters.h"
#include "core/alloc.h"

enum { ROOM_FIRST = 1024 };

static struct pending_entry *entry_at(const struct pending *p,
                                      uint64_t sequence)
{
    return &p->ring[sequence & (p->room - 1)];
}

void pending_fini(struct pending *p)
{
    for (uint64_t i = p->base; i < p->next; i++)
        if (entry_at(p, i)->open && entry_at(p, i)->letter)
            mem_free(pending_letter(entry_at(p, i)->token));
    for (uint32_t i = 0; i < p->replay_count; i++)
        if (p->replays[i].letter) mem_free(pending_letter(p->replays[i].token));
    mem_free(p->ring);
    mem_free(p->replays);
    *p = (struct pending){0};
}

void pending_forget(struct pending *p)
{
    uint64_t next = p->next;
    pending_fini(p);
    p->base = p->next = next;
}

static err grow(struct pending *p)
{
    uint64_t room = p->room ? p->room * 2 : ROOM_FIRST;
    struct pending_entry *ring = mem_zero(room, sizeof *ring);
    if (ring == NULL) return ERR_NOMEM;
    for (uint64_t i = p->base; i < p->next; i++)
        ring[i & (room - 1)] = *entry_at(p, i);
    mem_free(p->ring);
    p->ring = ring;
    p->room = room;
    return OK;
}

err pending_add(struct pending *p, uint64_t token, uint32_t tries,
                int64_t now_ns, uint64_t *sequence)
{
    if (p->next - p->base == p->room) {
        err e = grow(p);
        if (e != OK) return e;
    }
    *sequence = p->next++;
    *entry_at(p, *sequence) = (struct pending_entry){
        .token = token, .at_ns = now_ns, .tries = tries, .open = true};
    p->count++;
    return OK;
}

void pending_mark_letter(struct pending *p)
{
    entry_at(p, p->next - 1)->letter = true;
}

void pending_undo(struct pending *p)
{
    p->next--;
    p->count--;
    entry_at(p, p->next)->open = false;
}

static void pass_settled(struct pending *p)
{
    while (p->base < p->next && !entry_at(p, p->base)->open)
        p->base++;
}

const struct pending_entry *pending_take(struct pending *p, uint64_t sequence)
{
    if (sequence < p->base || sequence >= p->next) return NULL;
    struct pending_entry *found = entry_at(p, sequence);
    if (!found->open) return NULL;
    found->open = false;
    p->count--;
    if (sequence == p->base) pass_settled(p);
    return found;
}

static bool sooner(const struct replay *a, const struct replay *b)
{
    if (a->due_ns != b->due_ns) return a->due_ns < b->due_ns;
    return a->order < b->order;
}

err pending_reserve(struct pending *p)
{
    if (p->replay_count < p->replay_room) return OK;
    uint32_t room = p->replay_room ? p->replay_room * 2 : 16;
    struct replay *more = mem_resize(p->replays, room * sizeof *more);
    if (more == NULL) return ERR_NOMEM;
    p->replays = more;
    p->replay_room = room;
    return OK;
}

static void push(struct pending *p, struct replay new)
{
    uint32_t at = p->replay_count++;
    new.order = p->replay_orders++;
    while (at > 0 && sooner(&new, &p->replays[(at - 1) / 2])) {
        p->replays[at] = p->replays[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    p->replays[at] = new;
}

void pending_replay(struct pending *p, uint64_t token, uint32_t tries,
                    int64_t due_ns)
{
    push(p, (struct replay){.token = token, .tries = tries, .due_ns = due_ns});
}

void pending_replay_letter(struct pending *p, struct letter *letter,
                           uint32_t tries, int64_t due_ns)
{
    push(p, (struct replay){.token = pending_letter_token(letter),
                            .tries = tries,
                            .due_ns = due_ns,
                            .letter = true});
}

const struct replay *pending_due(const struct pending *p)
{
    return p->replay_count > 0 ? &p->replays[0] : NULL;
}

void pending_pop(struct pending *p)
{
    struct replay last = p->replays[--p->replay_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= p->replay_count) break;
        if (child + 1 < p->replay_count &&
            sooner(&p->replays[child + 1], &p->replays[child]))
            child++;
        if (!sooner(&p->replays[child], &last)) break;
        p->replays[at] = p->replays[child];
        at = child;
    }
    if (p->replay_count > 0) p->replays[at] = last;
}

void pending_each(struct pending *p,
                  void (*fn)(void *context, uint64_t sequence), void *context)
{
    uint64_t end = p->next;
    for (uint64_t i = p->base; i < end; i++)
        if (entry_at(p, i)->open) fn(context, i);
}

static uint64_t token_of(uint64_t token, bool letter)
{
    return letter ? pending_letter(token)->token : token;
}

uint64_t pending_oldest(const struct pending *p)
{
    uint64_t oldest = UINT64_MAX;
    for (uint64_t i = p->base; i < p->next; i++) {
        const struct pending_entry *e = entry_at(p, i);
        uint64_t token = e->open ? token_of(e->token, e->letter) : UINT64_MAX;
        if (token < oldest) oldest = token;
    }
    for (uint32_t i = 0; i < p->replay_count; i++) {
        uint64_t token = token_of(p->replays[i].token, p->replays[i].letter);
        if (token < oldest) oldest = token;
    }
    return oldest;
}
