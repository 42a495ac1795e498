/* mailbox.h - many senders, one receiver, two lanes, in arrival order.
 * Senders push on a lock-free stack; the receiver takes all of it at once and
 * sorts it into its two lanes, control ahead of data. The push that finds the
 * receiver idle is the one that schedules it, exactly once.
 * The stack's head holds the newest message and, in its upper 16 bits, how
 * many there are: one compare-and-swap moves both, and a sender sees how full
 * the mailbox is without a second shared counter.
 * Source: Treiber's stack emptied by one exchange; Pony's "empty" bit. */
#ifndef CORE_MAILBOX_H
#define CORE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/atomic.h"
#include "core/msg.h"

struct lane {
    struct msg *first;
    struct msg *last; /* valid while first isn't NULL */
};

struct mailbox {
    _Atomic uint64_t head;     /* count:16 newest:48; or MAILBOX_IDLE */
    _Atomic uint32_t backlog;  /* in the lanes, or more; the receiver writes */
    uint32_t in_lanes;         /* the receiver's own count of it */
    struct lane control, data; /* the receiver's own */
};

/* "Nobody runs this and nothing is new": no message has this address. */
#define MAILBOX_IDLE ((uint64_t)1)
/* x86-64 and arm64 give user space 47 or 48 bits of address. */
#define MAILBOX_POINTER (((uint64_t)1 << 48) - 1)

static inline struct msg *mailbox_newest(uint64_t head)
{
    return (struct msg *)(uintptr_t)(head & MAILBOX_POINTER);
}

static inline void mailbox_init(struct mailbox *box)
{
    atomic_init(&box->head, MAILBOX_IDLE);
    atomic_init(&box->backlog, 0);
    box->in_lanes = 0;
    box->control.first = box->data.first = NULL;
}

/* Any thread: about how many messages wait (the count of what is new stops at
 * 65,535). */
static inline uint32_t mailbox_count(struct mailbox *box)
{
    uint64_t head = at_load(&box->head, RELAXED);
    return (uint32_t)(head >> 48) + at_load(&box->backlog, RELAXED);
}

/* Any thread: `count` messages, linked from the newest to the oldest. True: the
 * receiver was idle, the caller must schedule it. */
static inline bool mailbox_push(struct mailbox *box, struct msg *newest,
                                struct msg *oldest, uint32_t count)
{
    uint64_t old = at_load(&box->head, RELAXED), new;
    do {
        uint64_t all = (old >> 48) + count;
        if (all > UINT16_MAX) all = UINT16_MAX;
        oldest->next = old == MAILBOX_IDLE ? NULL : mailbox_newest(old);
        new = all << 48 | (uint64_t)(uintptr_t)newest;
        /* release: the message's content is seen by who takes it; acquire:
         * whoever schedules an idle receiver sees what it left behind. */
    } while (!at_cas(&box->head, &old, new, ACQ_REL));
    return old == MAILBOX_IDLE;
}

static inline void lane_append(struct lane *lane, struct msg *first,
                               struct msg *last)
{
    if (first == NULL) return;
    if (lane->first == NULL)
        lane->first = first;
    else
        lane->last->next = first;
    lane->last = last;
}

/* Receiver: the next of a lane, NULL when it is empty. */
static inline struct msg *mailbox_next(struct mailbox *box, struct lane *lane)
{
    struct msg *m = lane->first;
    if (m == NULL) return NULL;
    lane->first = m->next;
    box->in_lanes--;
    return m;
}

/* Data for `owner` waits in the data lane. What an edge still brings for a
 * former inhabitant goes with control, where nothing holds it up: the credit
 * it carries may be what the present one waits for. */
static inline bool mailbox_is_data(const struct msg *m, actor_id owner)
{
    return m->flags & MSG_DATA && m->to == owner;
}

/* The receiver's own thread, when no other thread runs receivers: straight
 * into its lane. */
static inline void mailbox_put(struct mailbox *box, struct msg *m,
                               actor_id owner)
{
    m->next = NULL;
    lane_append(mailbox_is_data(m, owner) ? &box->data : &box->control, m, m);
    at_store(&box->backlog, ++box->in_lanes, RELAXED);
}

/* Receiver: something new has come since the last take. */
static inline bool mailbox_news(struct mailbox *box)
{
    return at_load(&box->head, RELAXED) > MAILBOX_IDLE;
}

/* Receiver: move what came (mailbox_news()) into the lanes. */
static inline void mailbox_take(struct mailbox *box, actor_id owner)
{
    struct msg *m = mailbox_newest(at_swap(&box->head, 0, ACQ_REL));
    struct lane control = {NULL, NULL}, data = {NULL, NULL};
    struct msg *newer[MSG_LEAD] = {m, m, m, m};
    for (unsigned at = 0; m; at = (at + 1) % MSG_LEAD) {
        /* newest first: prepending restores the order */
        struct msg *older = m->next;
        msg_fetch_ahead(m);
        msg_lead(m, newer[at]);
        newer[at] = m;
        struct lane *lane = mailbox_is_data(m, owner) ? &data : &control;
        if (lane->first == NULL) lane->last = m;
        m->next = lane->first;
        lane->first = m;
        box->in_lanes++;
        m = older;
    }
    lane_append(&box->control, control.first, control.last);
    lane_append(&box->data, data.first, data.last);
    /* The head counts them no more: senders must not see a free mailbox. */
    at_store(&box->backlog, box->in_lanes, RELAXED);
}

/* Receiver: `owner` has moved in. Its data that came before it was born lies in
 * the control lane; nothing of it is in the data lane yet. */
static inline void mailbox_move_in(struct mailbox *box, actor_id owner)
{
    struct msg *m = box->control.first;
    box->control.first = NULL;
    while (m) {
        struct msg *next = m->next;
        m->next = NULL;
        lane_append(mailbox_is_data(m, owner) ? &box->data : &box->control, m,
                    m);
        m = next;
    }
}

/* Receiver: let senders see how much still waits in the lanes. */
static inline void mailbox_publish(struct mailbox *box)
{
    if (at_load(&box->backlog, RELAXED) != box->in_lanes)
        at_store(&box->backlog, box->in_lanes, RELAXED);
}

/* Receiver: go idle. False: something came, it stays scheduled. */
static inline bool mailbox_idle(struct mailbox *box)
{
    uint64_t none = 0;
    return at_cas(&box->head, &none, MAILBOX_IDLE, ACQ_REL);
}

#endif
