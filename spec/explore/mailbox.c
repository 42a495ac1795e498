/* mailbox.c - senders push some at once, two threads take turns as the
 * receiver: each message is delivered once, in order, to one owner at a time,
 * and no push goes unheard. */
#include "core/mailbox.h"
#include "spec/explore/explore.h"

enum { SENDERS = 3, EACH_MAX = 4, WORKERS = 2, OWNER = 1 };

struct sender {
    struct story *story;
    struct msg messages[EACH_MAX];
    unsigned count;
};

struct story {
    struct mailbox box;
    struct sender senders[SENDERS];
    unsigned sending;   /* senders that haven't ended */
    unsigned scheduled; /* how often the receiver is queued: at most once */
    unsigned owners;    /* threads that run it */
    unsigned sent, delivered;
    unsigned next[2][SENDERS]; /* by lane */
};

static void send(void *context)
{
    struct sender *sender = context;
    struct story *s = sender->story;
    unsigned count;
    for (unsigned i = 0; i < sender->count; i += count) {
        struct msg *oldest = &sender->messages[i];
        count = 1 + (unsigned)explore_random(sender->count - i);
        for (unsigned k = 1; k < count; k++)
            oldest[k].next = &oldest[k - 1];
        s->sent += count;
        if (mailbox_push(&s->box, &oldest[count - 1], oldest, count))
            s->scheduled++;
        EXPLORE_CHECK(s->scheduled + s->owners <= 1);
    }
    s->sending--;
}

static void deliver(struct story *s, const struct msg *m)
{
    unsigned sender = m->bytes;
    unsigned *next = &s->next[m->flags & MSG_DATA ? 1 : 0][sender];
    EXPLORE_CHECK(m->cost_bytes == *next); /* its number in its lane */
    ++*next;
    s->delivered++;
}

/* False: the receiver is idle. */
static bool turn(struct story *s)
{
    unsigned budget = 1 + (unsigned)explore_random(4);
    for (; budget > 0; budget--) {
        if (mailbox_news(&s->box)) mailbox_take(&s->box, OWNER);
        struct msg *m = mailbox_next(&s->box, &s->box.control);
        if (m == NULL) m = mailbox_next(&s->box, &s->box.data);
        if (m == NULL) break;
        deliver(s, m);
    }
    mailbox_publish(&s->box);
    if (s->box.control.first || s->box.data.first) return true;
    s->owners--; /* from here another may run it */
    if (mailbox_idle(&s->box)) return false;
    s->owners++;
    EXPLORE_CHECK(s->owners == 1);
    return true;
}

static bool has_work(void *context)
{
    const struct story *s = context;
    return s->scheduled > 0 || (s->sending == 0 && s->owners == 0);
}

static void work(void *context)
{
    struct story *s = context;
    for (;;) {
        explore_wait(has_work, s);
        if (s->scheduled == 0) return;
        s->scheduled--;
        s->owners++;
        EXPLORE_CHECK(s->owners == 1);
        if (!turn(s)) continue;
        s->owners--;
        s->scheduled++;
    }
}

static void run(void *unused)
{
    struct story s = {.sending = 2 + (unsigned)explore_random(SENDERS - 1)};
    mailbox_init(&s.box);
    for (unsigned i = 0; i < s.sending; i++) {
        struct sender *sender = &s.senders[i];
        unsigned numbers[2] = {0};
        sender->story = &s;
        sender->count = 1 + (unsigned)explore_random(EACH_MAX);
        for (unsigned k = 0; k < sender->count; k++) {
            bool data = explore_random(2);
            sender->messages[k] = (struct msg){
                .to = OWNER,
                .bytes = i,
                .flags = data ? MSG_DATA : 0,
                .cost_bytes = numbers[data]++,
            };
        }
        explore_fiber(send, sender);
    }
    for (int i = 0; i < WORKERS; i++)
        explore_fiber(work, &s);
    explore_all();
    EXPLORE_CHECK(s.delivered == s.sent);
    EXPLORE_CHECK(mailbox_count(&s.box) == 0);
    EXPLORE_CHECK(atomic_load(&s.box.head) == MAILBOX_IDLE);
}

const struct explore_story explore_mailbox = {
    .name = "mailbox", .runs = 100000, .run = run};
