/* Registries when answers are lost, disks fail and members die: what is told is
 * true all the same. In the simulated world, in a store. */
#include "cli/store_registry.h"
#include "cli/verb.h"
#include "core/alloc.h"
#include "core/random.h"
#include "core/registry_row.h"
#include "core/store_memory.h"
#include "spec/fault.h"
#include "spec/registry_world.h"
#include "spec/sim/sim.h"
#include <stdio.h>

/* Of which one in so many goes wrong; 0: none. */
struct faults {
    struct rng rng;
    unsigned broken, full, lost;
    unsigned commits;
};

static bool is_due(struct faults *f, unsigned one_in)
{
    return one_in > 0 && rng_below(&f->rng, one_in) == 0;
}

static err fail_commit(void *context)
{
    struct faults *f = context;
    f->commits++;
    if (is_due(f, f->broken)) return ERR_IO;
    return is_due(f, f->full) ? ERR_NOSPACE : OK;
}

static bool lose_answer(void *context)
{
    struct faults *f = context;
    return is_due(f, f->lost);
}

static struct registry_world *begin_with(struct faults *f)
{
    struct registry_world *w = world_begin(&registry_places[0]);
    f->rng.state = spec_seed * 31;
    store_memory_set_fault(w->own, fail_commit, f);
    registry_store_set_fault(w->rs, lose_answer, f);
    return w;
}

static void step(struct registry_world *w, uint64_t most)
{
    while (most-- > 0 && sim_step(w->sim, INT64_MAX - 1))
        continue;
}

/* ---- a log that all append to ---- */

enum { WRITERS = 3, WORDS = 12 };

struct writer {
    struct member *member;
    struct answer answer;
    bool reads;
    err before;     /* of the last attempt */
    unsigned words; /* that are in the log for sure */
    char word[8], log[256];
};

struct told {
    unsigned unknown_done, unknown_undone, full;
};

static void read_log(struct writer *wr)
{
    wr->reads = true;
    begin_get(wr->member, "log", &wr->answer);
}

static void next_word(struct writer *wr, unsigned number)
{
    wr->before = OK;
    snprintf(wr->word, sizeof wr->word, "%c%02u ", (char)('a' + number),
             wr->words);
    read_log(wr);
}

/* It was read: is the word there already? Otherwise it is put behind it. */
static void on_log(struct writer *wr, unsigned number, struct told *told)
{
    const struct answer *a = &wr->answer;
    const char *log = a->outcome == OK ? a->kept[0].value : "";
    bool there = strstr(log, wr->word) != NULL;
    CHECK(a->outcome == OK || a->outcome == ERR_NOTFOUND);
    told->unknown_done += wr->before == ERR_UNKNOWN && there;
    told->unknown_undone += wr->before == ERR_UNKNOWN && !there;
    told->full += wr->before == ERR_NOSPACE;
    if (wr->before != ERR_UNKNOWN) CHECK(!there);
    if (there) {
        wr->words++;
        if (wr->words < WORDS) next_word(wr, number);
        return;
    }
    CHECK(snprintf(wr->log, sizeof wr->log, "%s%s", log, wr->word) <
          (int)sizeof wr->log);
    uint64_t expect = a->outcome == OK ? a->kept[0].version : REGISTRY_ABSENT;
    struct registry_op op = put_op("log", wr->log, expect);
    wr->reads = false;
    begin_txn(wr->member, &op, 1, &wr->answer);
}

static void on_written(struct writer *wr, unsigned number)
{
    wr->before = wr->answer.outcome;
    CHECK(wr->before == OK || wr->before == ERR_CONFLICT ||
          wr->before == ERR_NOSPACE || wr->before == ERR_UNKNOWN ||
          wr->before == ERR_NOTFOUND);
    if (wr->before != OK) {
        read_log(wr);
        return;
    }
    wr->words++;
    if (wr->words < WORDS) next_word(wr, number);
}

static void write_log(struct registry_world *w, struct told *told)
{
    struct writer writers[WRITERS] = {0};
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].member = join(w);
        next_word(&writers[i], i);
    }
    for (unsigned done = 0; done < WRITERS;) {
        done = 0;
        step(w, 1);
        for (unsigned i = 0; i < WRITERS; i++) {
            struct writer *wr = &writers[i];
            done += wr->words == WORDS;
            if (wr->words == WORDS || !wr->answer.done) continue;
            if (wr->reads)
                on_log(wr, i, told);
            else
                on_written(wr, i);
        }
    }
    char log[256];
    snprintf(log, sizeof log, "%s",
             get(writers[0].member, "log")->kept[0].value);
    CHECK_EQ(strlen(log), WRITERS * WORDS * 4);
    for (unsigned i = 0; i < WRITERS * WORDS; i++) { /* each, and in order */
        char word[8];
        snprintf(word, sizeof word, "%c%02u ", (char)('a' + i / WORDS),
                 i % WORDS);
        const char *at = strstr(log, word);
        CHECK(at != NULL && strstr(at + 1, word) == NULL);
    }
}

SPEC(registry, tells_the_truth_where_answers_are_lost)
{
    struct told told = {0};
    FOR_SEEDS(100)
    {
        struct faults f = {.broken = 7, .full = 9, .lost = 5};
        struct registry_world *w = begin_with(&f);
        write_log(w, &told);
        world_end(w);
    }
    CHECK_SEEN(told.unknown_done);
    CHECK_SEEN(told.unknown_undone);
    CHECK_SEEN(told.full);
}

/* ---- locks ---- */

SPEC(registry, a_lock_is_had_by_who_is_told_so)
{
    FOR_SEEDS(100)
    {
        struct faults f = {.broken = 3, .lost = 2};
        struct registry_world *w = begin_with(&f);
        struct member *m[] = {join(w), join(w)};
        for (int i = 0; i < 2; i++) {
            uint64_t fence;
            err e = lock_key(m[i], "lock", &fence);
            CHECK_EQ(e, i == 0 ? OK : ERR_CONFLICT);
            const struct answer *a = get(m[i], "lock");
            CHECK_EQ(a->outcome, OK);
            CHECK_EQ(a->kept[0].owner, m[0]->session_number);
            if (e == OK) CHECK_EQ(a->kept[0].fence, fence);
        }
        world_end(w);
    }
}

/* ---- elections ---- */

static void replace(struct registry_world *w, struct candidate *c,
                    struct faults *f)
{
    if (rng_below(&f->rng, 2)) {
        CHECK(registry_store_expire(w->rs, c->member->session_number));
        await_gone(c->member);
        CHECK_EQ(c->fence, 0);
        leave(c->member, ERR_DONE);
    } else {
        leave(c->member, ERR_KILLED);
    }
    run_for(join(w), "leader", c);
}

static bool leads_any(const void *arg)
{
    const struct candidate *c = arg;
    return c[0].fence || c[1].fence || c[2].fence;
}

/* Fences grow, see registry_world.c; who has the key leads. */
SPEC(registry, has_one_leader_whoever_dies)
{
    FOR_SEEDS(150)
    {
        struct faults f = {.broken = 6, .full = 6, .lost = 4};
        struct registry_world *w = begin_with(&f);
        struct candidate c[3];
        for (int i = 0; i < 3; i++)
            run_for(join(w), "leader", &c[i]);
        for (int i = 0; i < 6; i++) {
            step(w, rng_below(&f.rng, 200));
            struct candidate *victim = &c[rng_below(&f.rng, 3)];
            if (rng_below(&f.rng, 3) || !victim->fence) {
                replace(w, victim, &f);
            } else {
                resign(victim);
                step(w, rng_below(&f.rng, 50));
                leave(victim->member, ERR_DONE);
                run_for(join(w), "leader", victim);
            }
        }
        f.broken = f.full = f.lost = 0;
        world_wait(w, leads_any, c);
        sim_run(w->sim);
        const struct answer *a = get(c[0].member, "leader");
        CHECK_EQ(a->outcome, OK);
        unsigned leaders = 0;
        for (int i = 0; i < 3; i++) {
            bool owns = a->kept[0].owner == c[i].member->session_number;
            CHECK_EQ(c[i].fence, owns ? a->kept[0].fence : 0);
            leaders += owns;
        }
        CHECK_EQ(leaders, 1);
        world_end(w);
    }
}

/* ---- disks ---- */

SPEC(registry, goes_on_when_a_full_disk_has_room)
{
    FOR_SEEDS(20)
    {
        struct faults f = {0};
        struct registry_world *w = begin_with(&f);
        struct member *m = join(w), *other = join(w);
        create(m, "live/m", REGISTRY_EPHEMERAL);
        struct sight sight;
        watch_key(other, "live", &sight);
        f.full = 1; /* each */
        struct registry_op op = put_op("a", "", REGISTRY_ANY);
        CHECK_EQ(txn(other, &op, 1)->outcome, ERR_NOSPACE);
        CHECK_EQ(get(other, "a")->outcome, ERR_NOTFOUND);
        leave(m, ERR_KILLED);
        sim_advance(w->sim, 3000000000);
        CHECK_TEXT(listed(other, "live"), "live/m=");
        unsigned seen = sight.count;
        CHECK(f.commits < 30); /* it has tried now and then */
        f.full = 0;
        sim_advance(w->sim, 3000000000); /* nobody asks for anything */
        CHECK_EQ(sight.count, seen + 1);
        CHECK_TEXT(listed(other, "live"), "");
        put(other, "a", "", REGISTRY_ABSENT);
        world_end(w);
    }
}

enum { TOGETHER = 200 };

SPEC(registry, commits_together_what_is_asked_together)
{
    static struct answer all[TOGETHER];
    static char keys[TOGETHER][16];
    struct faults f = {0};
    struct registry_world *w = begin_with(&f);
    struct member *m = join(w);
    memset(all, 0, sizeof all);
    f.commits = 0;
    for (unsigned i = 0; i < TOGETHER; i++) {
        snprintf(keys[i], sizeof keys[i], "k%u", i);
        struct registry_op op = create_op(keys[i], "", 0);
        begin_txn(m, &op, 1, &all[i]);
    }
    for (unsigned i = 0; i < TOGETHER; i++) {
        await(w, &all[i]);
        CHECK_EQ(all[i].outcome, OK);
    }
    CHECK(f.commits <= TOGETHER / 20);
    world_end(w);
}

/* ---- opening ---- */

SPEC(registry, is_lost_to_who_opens_it_next)
{
    struct faults f = {0};
    struct registry_world *w = begin_with(&f);
    struct member *m = join(w);
    struct registry_store *next;
    char why[STORE_WHY_BYTES];
    create(m, "live/m", REGISTRY_EPHEMERAL);
    CHECK_EQ(registry_store_open(w->store, &next, why), OK);
    struct registry_op op = put_op("a", "late", REGISTRY_ANY);
    CHECK_EQ(txn(m, &op, 1)->outcome, ERR_EXPIRED);
    await_gone(m);
    leave(m, ERR_DONE);
    struct registry_store *before = w->rs;
    w->rs = next;
    w->registry = registry_store_calls(next);
    m = join(w);
    CHECK_TEXT(listed(m, "live"), "");
    CHECK_EQ(get(m, "a")->outcome, ERR_NOTFOUND);
    registry_store_free(before);
    world_end(w);
}

static void put_record(struct store *store, const struct row_key *key,
                       const void *bytes, size_t count)
{
    struct store_write *write = store_write_new(store);
    if (bytes)
        CHECK_EQ(store_put(write, row_key_bytes(key), bytes_of(bytes, count)),
                 OK);
    else
        CHECK_EQ(store_remove(write, row_key_bytes(key)), OK);
    CHECK_EQ(store_commit(write), OK);
    store_write_drop(NULL, write);
}

SPEC(registry, refuses_records_of_another_layout)
{
    struct registry_world *w = world_begin(&registry_places[0]);
    struct registry_store *next;
    char why[STORE_WHY_BYTES];
    struct row_key key;
    struct member *m = join(w);
    create(m, "a", 0);
    row_key_entry("a", &key);
    put_record(w->store, &key, "\x02\x01\x01\x00\xa0", 5);
    CHECK_EQ(get(m, "a")->outcome, ERR_FORMAT);
    CHECK_EQ(children(m, "")->outcome, ERR_FORMAT);
    struct registry_op op = put_op("a", "", REGISTRY_ANY);
    CHECK_EQ(txn(m, &op, 1)->outcome, ERR_FORMAT);
    row_key_counter(&key);
    put_record(w->store, &key, "\x02\x01", 2);
    CHECK_EQ(registry_store_open(w->store, &next, why), ERR_FORMAT);
    CHECK_HAS(why, "the registry is damaged, or a newer engine's");
    world_end(w);
}

/* ---- engine store ---- */

static int store_verb_says(const char *what, struct registry_world *w,
                           const char *key)
{
    char words[][8] = {"store", "", "/"};
    char folder[512], at[64];
    snprintf(words[1], sizeof words[1], "%s", what);
    snprintf(folder, sizeof folder, "%s", (const char *)w->own);
    snprintf(at, sizeof at, "%s", key ? key : "");
    char *argv[] = {words[0], words[1], folder, words[2], at, NULL};
    return store_verb.run(&store_verb, key ? 5 : 3, argv);
}

static const char *printed(struct registry_world *w, const char *key)
{
    static char out[2048];
    uint64_t found;
    struct store_view *view;
    FILE *to = fmemopen(out, sizeof out, "w");
    CHECK(to != NULL);
    CHECK_EQ(store_view(w->store, &view), OK);
    err e = key ? store_print_registry(view, key, to, &found)
                : store_list_registry(view, to);
    CHECK_EQ(e, OK);
    store_unview(view);
    CHECK_EQ(fclose(to), 0);
    return out;
}

SPEC(registry, is_seen_by_who_looks_into_the_store)
{
    struct registry_world *w = world_begin(&registry_places[2]);
    CHECK_TEXT(printed(w, NULL), "");
    struct member *m = join(w);
    uint64_t version = put(m, "a/b", "say \"b\"", REGISTRY_ABSENT);
    create(m, "a", 0);
    create(m, "a/b-c", REGISTRY_EPHEMERAL);
    struct row_key other = {1, "s"}; /* another record behind them */
    put_record(w->store, &other, "\x01", 1);
    char line[512];
    snprintf(line, sizeof line,
             "{\"key\":\"a/b\",\"version\":%llu,\"fence\":%llu,"
             "\"session\":0,\"value\":\"say \\\"b\\\"\"}\n",
             (unsigned long long)version, (unsigned long long)version);
    CHECK_TEXT(printed(w, "a/b"), line);
    CHECK_HAS(printed(w, "/"), "{\"key\":\"a\",");
    snprintf(line, sizeof line, "a/b-c           4  %llu      0",
             (unsigned long long)m->session_number);
    CHECK_HAS(printed(w, NULL), line);
    CHECK_EQ(store_verb_says("ls", w, NULL), EXIT_WELL);
    CHECK_EQ(store_verb_says("get", w, "a"), EXIT_WELL);
    CHECK_EQ(store_verb_says("get", w, "b"), EXIT_FAILED);
    put_record(w->store, &other, NULL, 0);
    CHECK_EQ(store_verb_says("check", w, NULL), EXIT_WELL);
    row_key_entry("a/d", &other);
    put_record(w->store, &other, "\x01\x01", 2);
    CHECK_EQ(store_verb_says("check", w, NULL), EXIT_FAILED);
    world_end(w);
}

/* ---- memory ---- */

static void ignore_done(struct env *env, void *arg, err outcome,
                        const struct registry_result *results, unsigned count,
                        unsigned failed)
{
    if (outcome == OK) CHECK(results != NULL);
}

static void ignore_read(struct env *env, void *arg, err outcome,
                        const struct registry_entry *first, unsigned count,
                        uint64_t revision)
{
    if (outcome == OK && count) CHECK(first != NULL);
}

static void ignore_seen(struct env *env, void *arg, uint64_t watch,
                        uint64_t revision)
{
}

static void ignore_locked(struct env *env, void *arg, err outcome,
                          uint64_t fence)
{
    CHECK_EQ(outcome == OK, fence > 0);
}

static void ignore_lead(struct env *env, void *arg, uint64_t fence)
{
}

static void ignore_lost(struct env *env, void *arg)
{
}

/* What is refused there and then is left. */
static void ask_for_all(struct env *env, struct member *m, void *arg)
{
    static const struct registry_race race = {ignore_lead, ignore_lost};
    struct registry_session *s = m->session;
    struct bytes value = bytes_of("v", 1);
    struct registry_claim *claim = NULL;
    uint64_t watch;
    struct registry_op ops[] = {create_op("p/a", "1", 0),
                                create_op("p/b", "2", REGISTRY_EPHEMERAL)};
    if (registry_watch(env, s, "p", ignore_seen, NULL, &watch) != OK) watch = 0;
    registry_txn(env, s, ops, 2, ignore_done, NULL);
    registry_get(env, s, "p/a", true, ignore_read, NULL);
    registry_children(env, s, "p", true, ignore_read, NULL);
    registry_lock(env, s, "lock", value, ignore_locked, NULL);
    registry_elect(env, s, "leader", value, &race, NULL, &claim);
    if (claim) registry_resign(env, claim);
    registry_elect(env, s, "chief", value, &race, NULL, &claim);
    if (watch) registry_unwatch(s, watch);
}

/* All of it fails at its n-th allocation, and `failures` more. True: there
 * were so many. */
static bool fail_at(uint64_t n, uint64_t failures)
{
    struct registry_world *w = world_begin(&registry_places[0]);
    struct member *other = join(w), *m = join(w);
    struct sight sight;
    watch_key(other, "p", &sight);
    put(m, "q", "", REGISTRY_ABSENT);
    tell_to(m, ask_for_all, NULL);
    fault_arm(FAULT_HEAP, n, failures);
    step(w, UINT64_MAX);
    bool any = fault_failed() > 0;
    fault_disarm();
    CHECK(!sim_failed(w->sim));
    if (!other->ended) {
        unsigned count = children(other, "p")->count;
        CHECK(count == 0 || count == 2 || (count == 1 && m->ended));
        if (!m->ended) leave(m, ERR_DONE);
        sim_run(w->sim);
        CHECK_EQ(get(other, "p/b")->outcome, ERR_NOTFOUND);
        CHECK_EQ(get(other, "chief")->outcome, ERR_NOTFOUND);
        CHECK_EQ(get(other, "q")->outcome, OK);
        put(other, "q", "", REGISTRY_ANY);
    }
    world_end(w);
    return any;
}

SPEC(registry, survives_every_allocation_that_fails)
{
    uint64_t points = 0;
    while (fail_at(points + 1, 1))
        points++;
    for (uint64_t n = 1; n <= points; n++)
        fail_at(n, 20);
    printf("registry: %llu points\n", (unsigned long long)points);
    CHECK(points > 50);
}
