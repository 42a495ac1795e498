/* A spout's unsettled roots and those that wait for their replay, against a
 * model that looks at everything. */
#include "actors/stream/pending.h"
#include "core/random.h"
#include "spec/fault.h"
#include "spec/spec.h"

enum { ROOTS_MAX = 6000, REPLAYS_MAX = 400 };

struct model {
    struct pending_entry roots[ROOTS_MAX];
    uint64_t first, next; /* sequences */
    uint64_t open;
};

static void add(struct pending *p, struct model *m, struct rng *rng)
{
    uint64_t sequence = 0, token = rng_next(rng);
    uint32_t tries = (uint32_t)rng_below(rng, 5);
    int64_t at_ns = (int64_t)rng_below(rng, 1000);
    CHECK_EQ(pending_add(p, token, tries, at_ns, &sequence), OK);
    CHECK_EQ(sequence, m->next);
    m->roots[m->next++ - m->first] = (struct pending_entry){
        .token = token, .at_ns = at_ns, .tries = tries, .open = true};
    m->open++;
}

/* The newest never was. */
static void take_back(struct pending *p, struct model *m)
{
    pending_undo(p);
    m->next--;
    m->open--;
}

static void take(struct pending *p, struct model *m, uint64_t sequence)
{
    bool known = sequence >= m->first && sequence < m->next &&
                 m->roots[sequence - m->first].open;
    const struct pending_entry *entry = pending_take(p, sequence);
    CHECK_EQ(entry != NULL, known);
    if (!known) return;
    struct pending_entry *mine = &m->roots[sequence - m->first];
    CHECK_EQ(entry->token, mine->token);
    CHECK_EQ(entry->at_ns, mine->at_ns);
    CHECK_EQ(entry->tries, mine->tries);
    mine->open = false;
    m->open--;
}

SPEC(pending, settles_each_root_once_in_any_order)
{
    static struct model m;
    FOR_SEEDS(60)
    {
        struct rng rng = {spec_seed};
        m = (struct model){.first = rng_below(&rng, 3) * 1000003};
        m.next = m.first;
        struct pending p = {.base = m.first, .next = m.first};
        unsigned lean = 30 + (unsigned)rng_below(&rng, 60);
        while (m.next - m.first < ROOTS_MAX / 2) {
            if (rng_below(&rng, 100) < lean)
                add(&p, &m, &rng);
            else if (m.open > 0 && m.roots[m.next - 1 - m.first].open &&
                     rng_below(&rng, 8) == 0)
                take_back(&p, &m);
            else /* sometimes one that never was, or was settled long ago */
                take(&p, &m,
                     m.first - 2 + rng_below(&rng, m.next - m.first + 4));
            CHECK_EQ(p.count, m.open);
        }
        for (uint64_t i = m.first; i < m.next; i++)
            take(&p, &m, i);
        CHECK_EQ(p.count, 0);
        CHECK_EQ(p.base, p.next);
        pending_fini(&p);
    }
}

SPEC(pending, goes_on_with_its_numbers_when_all_is_forgotten)
{
    struct pending p = {0};
    uint64_t sequence = 0;
    for (uint64_t i = 0; i < 10; i++)
        CHECK_EQ(pending_add(&p, i, 0, 0, &sequence), OK);
    CHECK_EQ(pending_reserve(&p), OK);
    pending_replay(&p, 7, 0, 0);
    pending_forget(&p);
    CHECK_EQ(p.count, 0);
    CHECK(pending_due(&p) == NULL);
    CHECK(pending_take(&p, 3) == NULL);
    CHECK_EQ(pending_add(&p, 1, 0, 0, &sequence), OK);
    CHECK_EQ(sequence, 10);
    pending_fini(&p);
}

SPEC(pending, keeps_its_ring_small_when_roots_settle_in_order)
{
    struct pending p = {0};
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t sequence = 0;
        CHECK_EQ(pending_add(&p, i, 0, 0, &sequence), OK);
        if (i >= 900) CHECK(pending_take(&p, i - 900));
    }
    CHECK_EQ(p.room, 1024);
    CHECK_EQ(p.count, 900);
    pending_fini(&p);
}

struct gathered {
    struct pending *pending;
    uint64_t sequences[64];
    unsigned count;
};

/* As an executor does it whose acker died: the root is taken at once. */
static void gather(void *context, uint64_t sequence)
{
    struct gathered *g = context;
    g->sequences[g->count++] = sequence;
    CHECK(pending_take(g->pending, sequence));
}

SPEC(pending, names_every_open_root_in_order_and_may_forget_it_meanwhile)
{
    struct pending p = {0};
    uint64_t sequence = 0;
    for (uint64_t i = 0; i < 10; i++)
        CHECK_EQ(pending_add(&p, i, 0, 0, &sequence), OK);
    CHECK(pending_take(&p, 0));
    CHECK(pending_take(&p, 4));
    CHECK(pending_take(&p, 9));
    struct gathered g = {.pending = &p};
    pending_each(&p, gather, &g);
    static const uint64_t open[] = {1, 2, 3, 5, 6, 7, 8};
    CHECK_EQ(g.count, 7);
    for (unsigned i = 0; i < 7; i++)
        CHECK_EQ(g.sequences[i], open[i]);
    CHECK_EQ(p.count, 0);
    CHECK_EQ(p.base, 10);
    pending_fini(&p);
}

/* The earliest; among equals the one that failed first. */
static unsigned due_first(const struct replay *list, unsigned count)
{
    unsigned first = 0;
    for (unsigned i = 1; i < count; i++)
        if (list[i].due_ns < list[first].due_ns) first = i;
    return first;
}

SPEC(pending, replays_what_is_due_first_and_equals_in_order_of_failure)
{
    FOR_SEEDS(100)
    {
        struct rng rng = {spec_seed};
        struct pending p = {0};
        struct replay model[REPLAYS_MAX];
        unsigned count = 0;
        CHECK(pending_due(&p) == NULL);
        for (unsigned step = 0; step < 4 * REPLAYS_MAX; step++) {
            bool more = step < 2 * REPLAYS_MAX ? rng_below(&rng, 3) > 0
                                               : rng_below(&rng, 3) == 0;
            if (more && count < REPLAYS_MAX) {
                struct replay new = {.token = rng_next(&rng),
                                     .tries = step,
                                     .due_ns = (int64_t)rng_below(&rng, 20)};
                CHECK_EQ(pending_reserve(&p), OK);
                pending_replay(&p, new.token, new.tries, new.due_ns);
                model[count++] = new;
            } else if (count > 0) {
                unsigned first = due_first(model, count);
                const struct replay *due = pending_due(&p);
                CHECK(due != NULL);
                CHECK_EQ(due->due_ns, model[first].due_ns);
                CHECK_EQ(due->tries, model[first].tries);
                CHECK_EQ(due->token, model[first].token);
                pending_pop(&p);
                count--;
                memmove(&model[first], &model[first + 1],
                        (count - first) * sizeof *model);
            }
            CHECK_EQ(p.replay_count, count);
        }
        pending_fini(&p);
    }
}

SPEC(pending, is_as_it_was_when_memory_runs_out)
{
    struct pending p = {0};
    uint64_t sequence = 0;
    for (uint64_t i = 0; i < 1024; i++)
        CHECK_EQ(pending_add(&p, i, 0, 0, &sequence), OK);
    for (int i = 0; i < 16; i++) {
        CHECK_EQ(pending_reserve(&p), OK);
        pending_replay(&p, 7, 0, i);
    }
    fault_arm(FAULT_HEAP, 1, 2); /* both rooms are full */
    err added = pending_add(&p, 1024, 0, 0, &sequence);
    err reserved = pending_reserve(&p);
    fault_disarm();
    CHECK_EQ(added, ERR_NOMEM);
    CHECK_EQ(reserved, ERR_NOMEM);
    CHECK_EQ(p.count, 1024);
    CHECK_EQ(p.next, 1024);
    CHECK_EQ(p.replay_count, 16);
    CHECK_EQ(pending_add(&p, 1024, 0, 0, &sequence), OK);
    CHECK_EQ(sequence, 1024);
    for (uint64_t i = 0; i <= 1024; i++) {
        const struct pending_entry *entry = pending_take(&p, i);
        CHECK(entry != NULL);
        CHECK_EQ(entry->token, i);
    }
    pending_fini(&p);
}
