/* Registries: what registry.h promises, a story each, told of every place of
 * registry_world.c: another backend needs a line there. */
#include "core/alloc.h"
#include "core/random.h"
#include "core/store_memory.h"
#include "spec/registry_world.h"
#include "spec/sim/sim.h"
#include <stdio.h>

/* On all places, each on its share of the seeds. */
static void tell_of_all(void (*story)(struct registry_world *w), uint64_t seeds)
{
    for (unsigned i = 0; i < registry_place_count; i++) {
        const struct registry_place *place = &registry_places[i];
        uint64_t share = seeds * place->percent / 100;
        FOR_SEEDS(share > 0 ? share : 1)
        {
            struct registry_world *w = world_begin(place);
            story(w);
            world_end(w);
        }
        if (place->threads) spec_note_threads(place->threads);
    }
}

#define STORY(sentence, seeds)                                                 \
    static void sentence(struct registry_world *w);                            \
    SPEC(registry, sentence)                                                   \
    {                                                                          \
        tell_of_all(sentence, seeds);                                          \
    }                                                                          \
    static void sentence(struct registry_world *w)

/* ---- transactions ---- */

STORY(does_all_of_a_transaction_or_nothing, 20)
{
    struct member *m = join(w);
    struct registry_op ops[REGISTRY_OPS_MAX];
    char keys[REGISTRY_OPS_MAX][16];
    for (unsigned i = 0; i < REGISTRY_OPS_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "k%02u", i);
        ops[i] = create_op(keys[i], "v", 0);
    }
    ops[40] = check_op("never", REGISTRY_ANY);
    const struct answer *a = txn(m, ops, REGISTRY_OPS_MAX);
    CHECK_EQ(a->outcome, ERR_NOTFOUND);
    CHECK_EQ(a->failed, 40);
    CHECK_EQ(children(m, "")->count, 0);
    ops[40] = check_op("never", REGISTRY_ABSENT);
    a = txn(m, ops, REGISTRY_OPS_MAX);
    CHECK_EQ(a->outcome, OK);
    CHECK_EQ(a->count, REGISTRY_OPS_MAX);
    CHECK_EQ(a->versions[40], 0);
    CHECK(a->versions[0] > 0 && a->versions[63] > a->versions[0]);
    CHECK_EQ(children(m, "")->count, REGISTRY_OPS_MAX - 1);
    struct registry_op more[] = {delete_op("k00", REGISTRY_ANY),
                                 put_op("k01", "w", REGISTRY_ANY),
                                 create_op("k02", "w", 0)};
    a = txn(m, more, 3);
    CHECK_EQ(a->outcome, ERR_CONFLICT);
    CHECK_EQ(a->failed, 2);
    CHECK_TEXT(get(m, "k01")->kept[0].value, "v");
    CHECK_EQ(txn(m, more, 2)->outcome, OK);
    CHECK_EQ(get(m, "k00")->outcome, ERR_NOTFOUND);
    CHECK_TEXT(get(m, "k01")->kept[0].value, "w");
}

static err try_one(struct member *m, struct registry_op op)
{
    return txn(m, &op, 1)->outcome;
}

STORY(gives_each_key_a_version_to_be_expected, 20)
{
    struct member *m = join(w), *other = join(w);
    uint64_t first = put(m, "a", "1", REGISTRY_ABSENT);
    CHECK_EQ(try_one(other, put_op("a", "2", REGISTRY_ABSENT)), ERR_CONFLICT);
    uint64_t second = put(other, "a", "2", first);
    CHECK(second > first);
    CHECK_EQ(try_one(m, put_op("a", "3", first)), ERR_CONFLICT);
    CHECK_EQ(try_one(m, check_op("a", first)), ERR_CONFLICT);
    CHECK_EQ(try_one(m, check_op("a", second)), OK);
    CHECK_EQ(try_one(m, delete_op("a", first)), ERR_CONFLICT);
    CHECK_EQ(get(m, "a")->kept[0].version, second);
    CHECK_EQ(get(m, "a")->kept[0].fence, first);
    uint64_t third = put(m, "a", "3", REGISTRY_ANY);
    CHECK(third > second);
    delete_key(other, "a", third);
    CHECK_EQ(try_one(m, put_op("a", "4", third)), ERR_NOTFOUND);
    CHECK_EQ(try_one(m, delete_op("a", REGISTRY_ANY)), ERR_NOTFOUND);
    uint64_t again = put(m, "a", "4", REGISTRY_ANY);
    CHECK(again > third);
    CHECK_EQ(get(other, "a")->kept[0].fence, again);
    CHECK_EQ(try_one(m, check_op("a", REGISTRY_ABSENT)), ERR_CONFLICT);
}

static err try_key(struct member *m, const char *key)
{
    return try_one(m, put_op(key, "", REGISTRY_ANY));
}

STORY(refuses_what_is_no_key, 2)
{
    struct member *m = join(w);
    char key[REGISTRY_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    key[REGISTRY_KEY_MAX] = '\0';
    CHECK_EQ(try_key(m, key), OK);
    CHECK_TEXT(get(m, key)->kept[0].key, key);
    key[REGISTRY_KEY_MAX] = 'k';
    key[REGISTRY_KEY_MAX + 1] = '\0';
    CHECK_EQ(try_key(m, key), ERR_LIMIT);
    CHECK_EQ(get(m, key)->outcome, ERR_LIMIT);
    CHECK_EQ(try_key(m, "a/b/c/d/e/f/g/h/i/j/k/l"), OK);
    CHECK_EQ(try_key(m, "a/b/c/d/e/f/g/h/i/j/k/l/m"), ERR_LIMIT);
    CHECK_EQ(try_key(m, "az09._-/.._"), OK);
    static const char *const none[] = {"",  "/",   "/a",       "a/",  "a//b",
                                       "A", "a b", "\xc3\xa4", "a:b", "a\nb"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        CHECK_EQ(try_key(m, none[i]), ERR_FORMAT);
        CHECK_EQ(get(m, none[i])->outcome, ERR_FORMAT);
    }
}

STORY(refuses_what_is_too_large_or_contradicts_itself, 2)
{
    struct member *m = join(w);
    static char value[REGISTRY_VALUE_MAX + 1];
    memset(value, 'v', sizeof value);
    struct registry_op op = put_op("k", "", REGISTRY_ANY);
    op.value = bytes_of(value, REGISTRY_VALUE_MAX);
    CHECK_EQ(try_one(m, op), OK);
    CHECK_EQ(get(m, "k")->kept[0].bytes, REGISTRY_VALUE_MAX);
    op.value.count++;
    CHECK_EQ(try_one(m, op), ERR_LIMIT);
    CHECK_EQ(txn(m, &op, 0)->outcome, ERR_LIMIT);
    struct registry_op many[REGISTRY_OPS_MAX] = {put_op("a", "", 0)};
    CHECK_EQ(txn(m, many, REGISTRY_OPS_MAX + 1)->outcome, ERR_LIMIT);
    struct registry_op twice[] = {put_op("a", "", REGISTRY_ANY),
                                  check_op("a", REGISTRY_ABSENT)};
    CHECK_EQ(txn(m, twice, 2)->outcome, ERR_FORMAT);
    struct registry_op below[] = {create_op("e", "", REGISTRY_EPHEMERAL),
                                  create_op("e/f", "", 0)};
    CHECK_EQ(txn(m, below, 2)->outcome, ERR_FORMAT);
    CHECK_EQ(try_one(m, create_op("e", "", 4)), ERR_FORMAT);
    CHECK_EQ(try_one(m, delete_op("e", REGISTRY_ABSENT)), ERR_FORMAT);
    op = put_op("e", "", REGISTRY_ANY);
    op.flags = REGISTRY_EPHEMERAL;
    CHECK_EQ(try_one(m, op), ERR_FORMAT);
    CHECK_EQ(children(m, "")->count, 1);
}

/* ---- order ---- */

enum { MANY = 200 };

static bool all_done(const void *arg)
{
    const struct answer *all = arg;
    for (unsigned i = 0; i < MANY; i++)
        if (!all[i].done) return false;
    return true;
}

/* That none is inside the call and all are in order is seen by the members. */
STORY(answers_in_the_order_of_the_asking, 20)
{
    static struct answer all[MANY];
    static char keys[MANY][16];
    struct rng rng = {spec_seed};
    struct member *m = join(w);
    unsigned puts = 0, known[MANY];
    memset(all, 0, sizeof all);
    for (unsigned i = 0; i < MANY; i++) {
        known[i] = puts;
        snprintf(keys[i], sizeof keys[i], "n/%03u", puts);
        struct registry_op op = create_op(keys[i], "", 0);
        switch (rng_below(&rng, 4)) {
        case 0: begin_children(m, "n", &all[i]); break;
        case 1: begin_get(m, puts ? keys[0] : "none", &all[i]); break;
        default: begin_txn(m, &op, 1, &all[i]); known[i] = ++puts;
        }
    }
    world_wait(w, all_done, all);
    uint64_t last = 0;
    for (unsigned i = 0; i < MANY; i++) {
        bool reads = all[i].revision > 0;
        uint64_t now = reads ? all[i].revision : all[i].versions[0];
        CHECK(all[i].outcome == OK || all[i].outcome == ERR_NOTFOUND);
        CHECK(reads ? now >= last : now > last);
        if (reads && all[i].count != 1) CHECK_EQ(all[i].count, known[i]);
        last = now;
    }
    CHECK_EQ(children(m, "n")->count, puts);
}

/* ---- children ---- */

STORY(lists_what_is_directly_below_with_values, 20)
{
    struct member *m = join(w), *other = join(w);
    static const char *const keys[] = {"a",   "a-b", "a.b",   "a/b",  "a/b/c",
                                       "a/a", "a0",  "a/b/d", "aa/b", "b/x/y"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        put(m, keys[i], keys[i], REGISTRY_ABSENT);
    CHECK_TEXT(listed(other, "a"), "a/a=a/a a/b=a/b");
    CHECK_TEXT(listed(other, ""), "a=a a-b=a-b a.b=a.b a0=a0");
    CHECK_TEXT(listed(other, "a/b"), "a/b/c=a/b/c a/b/d=a/b/d");
    CHECK_TEXT(listed(other, "b"), "");
    CHECK_TEXT(listed(other, "b/x"), "b/x/y=b/x/y");
    delete_key(m, "a/b", REGISTRY_ANY); /* its children stay */
    CHECK_TEXT(listed(other, "a"), "a/a=a/a");
    CHECK_TEXT(listed(other, "a/b"), "a/b/c=a/b/c a/b/d=a/b/d");
    const struct answer *a = children(m, "a");
    CHECK_EQ(a->kept[0].version, a->kept[0].fence);
    CHECK_EQ(a->kept[0].owner, 0);
}

STORY(holds_so_many_children_and_no_more, 1)
{
    struct member *m = join(w);
    struct registry_op ops[REGISTRY_OPS_MAX];
    char keys[REGISTRY_OPS_MAX][24];
    for (unsigned n = 0; n < REGISTRY_CHILDREN_MAX; n += REGISTRY_OPS_MAX) {
        for (unsigned i = 0; i < REGISTRY_OPS_MAX; i++) {
            snprintf(keys[i], sizeof keys[i], "p/%u", n + i);
            ops[i] = create_op(keys[i], "", 0);
        }
        CHECK_EQ(txn(m, ops, REGISTRY_OPS_MAX)->outcome, OK);
    }
    CHECK_EQ(children(m, "p")->count, REGISTRY_CHILDREN_MAX);
    struct registry_op more[] = {check_op("p/1", REGISTRY_ANY),
                                 create_op("p/one-more", "", 0)};
    const struct answer *a = txn(m, more, 2);
    CHECK_EQ(a->outcome, ERR_LIMIT);
    CHECK_EQ(a->failed, 1);
    put(m, "p/1", "changed", REGISTRY_ANY);
    create(m, "p/1/below", 0);
    more[0] = delete_op("p/2", REGISTRY_ANY); /* makes room */
    CHECK_EQ(txn(m, more, 2)->outcome, OK);
    CHECK_EQ(children(m, "p")->count, REGISTRY_CHILDREN_MAX);
}

/* ---- watches ---- */

STORY(tells_of_a_key_and_what_is_below, 50)
{
    struct member *m = join(w), *other = join(w);
    static struct sight a, b, all;
    watch_key(m, "a", &a); /* told at once */
    watch_key(m, "b", &b);
    watch_key(m, "", &all);
    CHECK_EQ(b.count, 1);
    uint64_t version = put(other, "a/b/c", "", REGISTRY_ABSENT);
    await_seen(&a, version);
    await_seen(&all, version);
    put(other, "ab", "", REGISTRY_ABSENT); /* neither is it a's */
    version = put(other, "b", "", REGISTRY_ABSENT);
    await_seen(&b, version);
    CHECK_EQ(a.count, 2);
    CHECK_EQ(b.count, 2);
    delete_key(other, "a/b/c", REGISTRY_ANY);
    await_seen(&a, version + 1);
    unwatch_key(&a);
    get(m, "a"); /* it is done */
    unsigned before = a.count;
    put(other, "a", "", REGISTRY_ABSENT);
    await_seen(&all, put(other, "b", "", REGISTRY_ANY));
    CHECK_EQ(a.count, before);
}

/* Two others change keys, and it is told of some of it meanwhile. */
STORY(tells_at_least_of_the_last_change, 200)
{
    static const char *const keys[] = {"t/a", "t/b/c", "u"};
    static struct answer answers[40];
    struct rng rng = {spec_seed};
    struct member *m = join(w), *others[] = {join(w), join(w)};
    static struct sight sight;
    uint64_t last = 0;
    memset(answers, 0, sizeof answers);
    watch_key(m, "t", &sight);
    unsigned count = 1 + (unsigned)rng_below(&rng, 40);
    for (unsigned i = 0; i < count; i++) {
        struct registry_op op =
            put_op(keys[rng_below(&rng, 3)], "", REGISTRY_ANY);
        begin_txn(others[rng_below(&rng, 2)], &op, 1, &answers[i]);
        for (uint64_t n = rng_below(&rng, 20); w->sim && n > 0; n--)
            sim_step(w->sim, INT64_MAX - 1);
    }
    for (unsigned i = 0; i < count; i++) {
        await(w, &answers[i]);
        CHECK_EQ(answers[i].outcome, OK);
        if (answers[i].kept[0].key[0] == 't' && answers[i].versions[0] > last)
            last = answers[i].versions[0];
    }
    await_seen(&sight, last);
    CHECK(sight.count <= count + 1);
}

/* ---- sessions ---- */

STORY(ephemeral_keys_go_with_their_session, 50)
{
    struct rng rng = {spec_seed};
    struct member *m = join(w), *other = join(w);
    create(m, "live/m", REGISTRY_EPHEMERAL);
    create(other, "live/other", REGISTRY_EPHEMERAL);
    create(m, "kept", 0);
    CHECK_EQ(get(other, "live/m")->kept[0].owner, m->session_number);
    CHECK(m->session_number != other->session_number);
    uint64_t version = put(other, "live/m", "by another", REGISTRY_ANY);
    const struct answer *a = get(m, "live/m");
    CHECK_EQ(a->kept[0].owner, m->session_number);
    CHECK(a->kept[0].fence < version);
    static struct sight sight;
    watch_key(other, "live/m", &sight);
    leave(m, rng_below(&rng, 2) ? ERR_DONE : ERR_KILLED);
    await_seen(&sight, version + 1); /* who asks for nothing hears of it */
    CHECK_TEXT(listed(other, "live"), "live/other=");
    CHECK_EQ(get(other, "kept")->outcome, OK);
    delete_key(other, "live/other", REGISTRY_ANY);
    create(other, "live/other", 0);
    create(other, "live/last", REGISTRY_EPHEMERAL);
    leave(other, ERR_DONE); /* nobody is there to see it */
    CHECK_TEXT(listed(join(w), "live"), "live/other=");
}

STORY(an_ephemeral_key_has_no_children, 10)
{
    struct member *m = join(w);
    create(m, "e", REGISTRY_EPHEMERAL);
    CHECK_EQ(try_one(m, create_op("e/f", "", 0)), ERR_CONFLICT);
    CHECK_EQ(try_one(m, create_op("e/f/g", "", 0)), ERR_CONFLICT);
    create(m, "p/q/r", 0);
    CHECK_EQ(try_one(m, create_op("p", "", REGISTRY_EPHEMERAL)), ERR_CONFLICT);
    CHECK_EQ(try_one(m, create_op("p/q", "", REGISTRY_EPHEMERAL)),
             ERR_CONFLICT);
    create(m, "p/qq", REGISTRY_EPHEMERAL);
    create(m, "e0/f", 0);
}

STORY(a_session_that_is_gone_has_nothing_any_more, 50)
{
    struct member *m = join(w), *other = join(w);
    static struct candidate c;
    uint64_t fence;
    create(m, "live/m", REGISTRY_EPHEMERAL);
    CHECK_EQ(lock_key(m, "locks/l", &fence), OK);
    run_for(m, "leader", &c);
    await_lead(&c, 1);
    CHECK(w->place->expire(w, m->session_number));
    await_gone(m);
    CHECK_EQ(c.lost, 1);
    CHECK_EQ(c.fence, 0);
    await_listed(other, "live", "");
    CHECK_EQ(get(other, "leader")->outcome, ERR_NOTFOUND);
    CHECK_EQ(try_one(m, put_op("a", "", REGISTRY_ANY)), ERR_EXPIRED);
    CHECK_EQ(get(m, "a")->outcome, ERR_EXPIRED);
    CHECK_EQ(children(m, "live")->outcome, ERR_EXPIRED);
    CHECK_EQ(lock_key(m, "locks/l", &fence), ERR_EXPIRED);
    resign(&c);
    CHECK_EQ(get(other, "a")->outcome, ERR_NOTFOUND);
    CHECK(!other->gone);
    leave(m, ERR_DONE);
    struct member *again = join(w);
    create(again, "live/m", REGISTRY_EPHEMERAL);
    CHECK_TEXT(listed(other, "live"), "live/m=");
}

static void do_reopen(struct env *env, struct member *m, void *arg)
{
    m->reopens = true;
}

static bool is_another(const void *arg)
{
    const struct sight *s = arg; /* revision: the session's number before */
    return s->member->up && s->member->session_number != s->revision;
}

/* By the very callback that tells it. */
STORY(a_session_that_is_gone_is_opened_anew, 50)
{
    struct rng rng = {spec_seed};
    struct member *m = join(w), *other = join(w);
    struct sight before = {.member = m, .revision = m->session_number};
    static struct answer lost[3];
    memset(lost, 0, sizeof lost);
    tell_to(m, do_reopen, NULL);
    create(m, "live/m", REGISTRY_EPHEMERAL);
    begin_get(m, "kept", &lost[0]); /* these may be answered no more */
    begin_children(m, "", &lost[1]);
    for (uint64_t n = rng_below(&rng, 10); w->sim && n > 0; n--)
        sim_step(w->sim, INT64_MAX - 1);
    CHECK(w->place->expire(w, before.revision));
    world_wait(w, is_another, &before);
    create(m, "live/again", REGISTRY_EPHEMERAL);
    await_listed(other, "live", "live/again=");
    CHECK_EQ(get(m, "live/again")->kept[0].owner, m->session_number);
}

STORY(a_crash_voids_ephemeral_keys, 30)
{
    struct member *m = join(w), *other = join(w);
    create(m, "live/m", REGISTRY_EPHEMERAL);
    create(other, "live/other", REGISTRY_EPHEMERAL);
    uint64_t version = put(m, "kept", "here", REGISTRY_ABSENT);
    uint64_t session = other->session_number, fence, next;
    CHECK_EQ(lock_key(m, "lock", &fence), OK);
    world_crash(w);
    m = join(w);
    CHECK_TEXT(listed(m, ""), "kept=here");
    CHECK_TEXT(listed(m, "live"), "");
    CHECK_EQ(get(m, "kept")->kept[0].version, version);
    CHECK(m->session_number > session);
    create(m, "live/m", REGISTRY_EPHEMERAL);
    CHECK_EQ(lock_key(m, "lock", &next), OK);
    CHECK(next > fence);
    world_crash(w);
    CHECK_TEXT(listed(join(w), ""), "kept=here");
}

/* ---- sequences ---- */

STORY(numbers_keys_in_the_order_of_creation, 20)
{
    struct member *m = join(w), *other = join(w);
    struct registry_op op = create_op("q/n_", "", REGISTRY_SEQUENCE);
    struct registry_op two[] = {op, op};
    char last[REGISTRY_KEY_MAX + 1] = "q/n_";
    for (int i = 0; i < 6; i++) {
        two[0].flags |= i % 2 ? REGISTRY_EPHEMERAL : 0;
        const struct answer *a = txn(i % 3 ? m : other, two, 2);
        CHECK_EQ(a->outcome, OK);
        CHECK(strcmp(a->kept[0].key, last) > 0);
        CHECK(strcmp(a->kept[1].key, a->kept[0].key) > 0);
        CHECK_EQ(strlen(a->kept[1].key), 4 + REGISTRY_SEQUENCE_DIGITS);
        snprintf(last, sizeof last, "%s", a->kept[1].key);
        CHECK_EQ(get(m, last)->outcome, OK);
        if (i == 3) delete_key(m, last, REGISTRY_ANY); /* never used again */
    }
    char key[REGISTRY_KEY_MAX + 1];
    memset(key, 'k', sizeof key);
    key[REGISTRY_KEY_MAX - REGISTRY_SEQUENCE_DIGITS] = '\0';
    op.key = key;
    CHECK_EQ(txn(m, &op, 1)->outcome, OK);
    key[REGISTRY_KEY_MAX - REGISTRY_SEQUENCE_DIGITS] = 'k';
    key[REGISTRY_KEY_MAX - REGISTRY_SEQUENCE_DIGITS + 1] = '\0';
    CHECK_EQ(txn(m, &op, 1)->outcome, ERR_LIMIT);
}

/* ---- locks and elections ---- */

STORY(a_lock_has_a_fence_that_grows_with_each_owner, 50)
{
    struct member *m = join(w), *other = join(w);
    uint64_t first, second, none;
    CHECK_EQ(lock_key(m, "locks/l", &first), OK);
    CHECK_EQ(lock_key(other, "locks/l", &none), ERR_CONFLICT);
    struct registry_op fenced[] = {check_op("locks/l", first),
                                   put_op("x", "m's", REGISTRY_ANY)};
    CHECK_EQ(txn(m, fenced, 2)->outcome, OK);
    delete_key(m, "locks/l", first);
    CHECK_EQ(lock_key(other, "locks/l", &second), OK);
    CHECK(second > first);
    const struct answer *a = txn(m, fenced, 2); /* it comes too late */
    CHECK_EQ(a->outcome, ERR_CONFLICT);
    CHECK_EQ(a->failed, 0);
}

STORY(two_contenders_elect_one_leader, 200)
{
    struct rng rng = {spec_seed};
    struct member *m[2] = {join(w), join(w)}, *judge = join(w);
    static struct candidate c[2];
    run_for(m[0], "leader", &c[0]);
    run_for(m[1], "leader", &c[1]);
    static struct sight sight;
    watch_key(judge, "leader", &sight);
    const struct answer *a;
    while ((a = get(judge, "leader"))->outcome == ERR_NOTFOUND)
        await_seen(&sight, sight.revision);
    uint64_t fence = a->kept[0].fence;
    int first = a->kept[0].owner == m[1]->session_number;
    await_lead(&c[first], 1);
    CHECK_EQ(c[first].fence, fence);
    CHECK_EQ(c[1 - first].led, 0);
    switch (rng_below(&rng, 3)) { /* its session ends, or it resigns */
    case 0: leave(m[first], ERR_DONE); break;
    case 1: leave(m[first], ERR_KILLED); break;
    default: resign(&c[first]);
    }
    await_lead(&c[1 - first], 1);
    CHECK(c[1 - first].fence > fence);
    CHECK_EQ(c[first].led, 1);
    CHECK_EQ(c[first].lost, 0); /* it knows */
    /* Somebody takes it away: it is lost, and then won anew. */
    fence = c[1 - first].fence;
    delete_key(judge, "leader", REGISTRY_ANY);
    await_lead(&c[1 - first], 2);
    CHECK_EQ(c[1 - first].lost, 1);
    CHECK(c[1 - first].fence > fence);
}

/* Whatever of its election is under way. */
STORY(who_is_gone_does_not_come_to_lead, 200)
{
    struct rng rng = {spec_seed};
    struct member *m = join(w);
    static struct candidate c;
    run_for(m, "leader", &c);
    for (uint64_t n = rng_below(&rng, 25); w->sim && n > 0; n--)
        sim_step(w->sim, INT64_MAX - 1);
    CHECK(w->place->expire(w, m->session_number));
    await_gone(m);
    CHECK_EQ(get(m, "leader")->outcome, ERR_EXPIRED);
    CHECK_EQ(c.fence, 0);
    CHECK_EQ(c.led, c.lost);
}

/* ---- it is one registry ---- */

enum { KEYS = 5, STEPS = 150, REVISIONS = 1000, WIDEST = 4 };

static const char *const tree[KEYS] = {"a", "a/b", "a/b/c", "a/d", "e"};

/* What was asked, and what came. */
struct deed {
    struct registry_op ops[WIDEST];
    unsigned count;
    int read; /* the key; -1: it is a transaction */
    char value[16];
    struct answer answer;
};

/* The plain model: all keys after each revision. */
struct model {
    struct {
        bool there;
        uint64_t version, fence;
        char value[16];
    } at[REVISIONS][KEYS];
    bool ends[REVISIONS]; /* a transaction has ended with it */
    uint64_t from, upto;
};

static unsigned place_of(const char *key)
{
    unsigned k = 0;
    while (strcmp(tree[k], key) != 0)
        k++;
    return k;
}

/* Each transaction puts something first: its version tells when it was. */
static void draw_op(struct rng *rng, struct deed *d, uint64_t version)
{
    static const uint64_t none = REGISTRY_ABSENT, any = REGISTRY_ANY;
    const char *key = tree[rng_below(rng, KEYS)];
    uint64_t expect[] = {none, any, any, version};
    uint64_t expected = expect[rng_below(rng, 4)];
    struct registry_op op = put_op(key, d->value, expected);
    uint64_t what = d->count ? rng_below(rng, 6) : 2;
    if (what == 0) op = check_op(key, expected);
    if (what == 1 && expected != none) op = delete_op(key, expected);
    for (unsigned i = 0; i < d->count; i++)
        if (strcmp(d->ops[i].key, key) == 0) return;
    d->ops[d->count++] = op;
}

static void begin_deed(struct rng *rng, struct member *m, struct deed *d,
                       unsigned number)
{
    static const unsigned some = 3;
    snprintf(d->value, sizeof d->value, "%u", number);
    d->read = rng_below(rng, some) == 0 ? (int)rng_below(rng, KEYS) : -1;
    if (d->read >= 0) {
        begin_get(m, tree[d->read], &d->answer);
        return;
    }
    uint64_t version = world_highest(m->world) - rng_below(rng, 5);
    do
        draw_op(rng, d, version);
    while (d->count < WIDEST && rng_below(rng, 2));
    begin_txn(m, d->ops, d->count, &d->answer);
}

static bool does_hold(const struct model *model, uint64_t revision,
                      const struct registry_op *op)
{
    unsigned k = place_of(op->key);
    bool there = model->at[revision][k].there;
    if (op->expect == REGISTRY_ABSENT) return !there;
    if (op->expect == REGISTRY_ANY) return there || op->deed == REGISTRY_PUT;
    return there && model->at[revision][k].version == op->expect;
}

/* The revision that the transaction's last change made; 0: it made none. */
static uint64_t last_of(const struct deed *d, unsigned *changes)
{
    *changes = 0;
    uint64_t last = 0;
    if (d->read >= 0 || d->answer.outcome != OK) return 0;
    for (unsigned i = 0; i < d->count; i++) {
        *changes += d->ops[i].deed != REGISTRY_CHECK;
        if (d->ops[i].deed == REGISTRY_PUT)
            last = d->answer.versions[i];
        else if (d->ops[i].deed == REGISTRY_DELETE && last)
            last++;
    }
    return last;
}

static void replay(struct model *model, const struct deed *d, uint64_t before)
{
    uint64_t now = before;
    for (unsigned i = 0; i < d->count; i++)
        CHECK(does_hold(model, before, &d->ops[i]));
    for (unsigned i = 0; i < d->count; i++) {
        const struct registry_op *op = &d->ops[i];
        unsigned k = place_of(op->key);
        if (op->deed == REGISTRY_CHECK) continue;
        memcpy(model->at[now + 1], model->at[now], sizeof model->at[now]);
        now++;
        bool was = model->at[now][k].there;
        model->at[now][k].there = op->deed == REGISTRY_PUT;
        if (op->deed == REGISTRY_DELETE) continue;
        CHECK_EQ(d->answer.versions[i], now);
        model->at[now][k].version = now;
        if (!was) model->at[now][k].fence = now;
        memcpy(model->at[now][k].value, d->value, sizeof d->value);
    }
    CHECK(now > d->answer.floor); /* not before what was known then */
    model->ends[now] = true;
    model->upto = now;
}

static void check_read(const struct model *model, const struct deed *d)
{
    const struct answer *a = &d->answer;
    CHECK(a->revision >= a->floor && model->ends[a->revision]);
    bool there = model->at[a->revision][d->read].there;
    CHECK_EQ(a->outcome, there ? OK : ERR_NOTFOUND);
    if (!there) return;
    CHECK_TEXT(a->kept[0].value, model->at[a->revision][d->read].value);
    CHECK_EQ(a->kept[0].version, model->at[a->revision][d->read].version);
    CHECK_EQ(a->kept[0].fence, model->at[a->revision][d->read].fence);
}

/* There was a time when the op that is told didn't hold, and those before it
 * did. */
static void check_refusal(const struct model *model, const struct deed *d)
{
    bool found = false;
    for (uint64_t r = d->answer.floor; r <= model->upto && !found; r++) {
        found = r >= model->from && model->ends[r] &&
                !does_hold(model, r, &d->ops[d->answer.failed]);
        for (unsigned i = 0; i < d->answer.failed; i++)
            found = found && does_hold(model, r, &d->ops[i]);
    }
    CHECK(found);
}

/* The next to replay. */
static const struct deed *next_deed(const struct deed *deeds,
                                    const struct model *model)
{
    unsigned changes;
    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t last = last_of(&deeds[i], &changes);
        if (last && last - changes == model->upto) return &deeds[i];
    }
    return NULL;
}

STORY(is_one_registry_to_all_sessions, 200)
{
    static struct deed deeds[STEPS];
    static struct model model;
    struct rng rng = {spec_seed};
    struct member *m[] = {join(w), join(w), join(w)};
    memset(deeds, 0, sizeof deeds);
    memset(&model, 0, sizeof model);
    model.from = model.upto = get(m[0], "e")->revision;
    model.ends[model.from] = true;
    for (unsigned i = 0; i < STEPS; i++) {
        begin_deed(&rng, m[rng_below(&rng, 3)], &deeds[i], i);
        for (uint64_t n = rng_below(&rng, 12); w->sim && n > 0; n--)
            sim_step(w->sim, INT64_MAX - 1);
    }
    for (unsigned i = 0; i < STEPS; i++)
        await(w, &deeds[i].answer);
    uint64_t end = get(m[1], "e")->revision;
    for (const struct deed *d; (d = next_deed(deeds, &model)) != NULL;)
        replay(&model, d, model.upto);
    CHECK_EQ(model.upto, end); /* nothing is missing */
    for (unsigned i = 0; i < STEPS; i++) {
        if (deeds[i].read >= 0)
            check_read(&model, &deeds[i]);
        else if (deeds[i].answer.outcome != OK)
            check_refusal(&model, &deeds[i]);
    }
}
