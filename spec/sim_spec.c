/* sim_spec.c - the simulated world itself: a seed replays, a difference shows,
 * and its disks do what they say. */
#include "core/alloc.h"
#include "core/deadline.h"
#include "core/job.h"
#include "core/random.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"
#include <errno.h>
#include <stdio.h>

enum { NOTE = KIND_OWN, MS = 1000000 };

/* ---- replay ---- */

/* Gossips: actors on two nodes that write to random others, set timers and
 * start jobs, until each has had its turns. */
enum { GOSSIPS = 6, TURNS = 30 };

struct gossip {
    actor_id *others; /* of its node */
    unsigned turns;
};

struct errand {
    struct job job;
    unsigned number;
};

static void errand_free(struct env *env, struct ref *ref)
{
    mem_free(ref); /* the first part of its job */
}

static void errand_work(struct node *node, struct job *job)
{
    const struct disk *disk = node_world(node)->disk;
    char line[32];
    int n = snprintf(line, sizeof line, "%u\n",
                     ((struct errand *)(void *)job)->number);
    int file = disk->open(disk->context, "errands", DISK_APPEND);
    if (file < 0) return;
    disk->write(disk->context, file, line, (size_t)n);
    disk->sync(disk->context, file);
    disk->close(disk->context, file);
}

static err gossip_init(struct env *env, void *self, const void *args)
{
    struct gossip *g = self;
    g->others = *(actor_id *const *)args;
    env_again(env);
    return OK;
}

static err gossip_receive(struct env *env, void *self, const struct msg *m)
{
    struct gossip *g = self;
    deadline_id timer;
    if (++g->turns > TURNS) return OK;
    uint64_t word = env_random(env);
    switch (word % 5) {
    case 0:
        return deadline_set(env, env_now(env) + (int64_t)(word >> 40), 1,
                            &timer);
    case 1: {
        struct errand *errand = mem_zero(1, sizeof *errand);
        if (errand == NULL) return ERR_NOMEM;
        ref_init(&errand->job.ref, errand_free);
        errand->job.work = errand_work;
        errand->number = g->turns;
        job_start(env, &errand->job, NOTE);
        return OK;
    }
    default:
        env_again(env);
        return actor_send(env, g->others[word / 8 % GOSSIPS], NOTE, &word,
                          sizeof word);
    }
}

static uint64_t word_of(void *context, const struct msg *m)
{
    if (m->flags & MSG_REF || m->bytes != 8) return 0;
    return *(uint64_t *)msg_body(m);
}

struct difference {
    unsigned extra_sends; /* one more message in the middle */
    uint32_t extra_bytes;
    uint64_t extra_word; /* its content */
    bool bodies;         /* look at contents */
};

static uint64_t gossip_hash(uint64_t seed, const struct difference *d)
{
    static const struct actor_kind kind = {
        .name = "gossip",
        .state_bytes = sizeof(struct gossip),
        .init = gossip_init,
        .receive = gossip_receive,
    };
    static const struct sim_faults faults = {.writes_short = 300,
                                             .sync_fails = 100,
                                             .slow = 500,
                                             .slow_ns = 20 * MS};
    actor_id ids[2][GOSSIPS];
    struct sim *sim = sim_new(seed);
    if (d->bodies) sim_hash_bodies(sim, word_of, NULL);
    sim_set_turn_ns(sim, 500);
    for (uint16_t n = 0; n < 2; n++) {
        struct sim_node *node = sim_node(sim, n);
        actor_id *others = ids[n];
        sim_set_faults(node, &faults);
        for (int i = 0; i < GOSSIPS; i++)
            ids[n][i] = sim_spawn(node, &kind, &others, sizeof others);
    }
    actor_id probe = sim_probe(sim_node(sim, 1));
    for (int i = 0; i < 100; i++)
        sim_step(sim, INT64_MAX);
    uint64_t words[2] = {d->extra_word, 0};
    for (unsigned i = 0; i < d->extra_sends; i++)
        actor_send(sim_env(sim_node(sim, 1)), probe, NOTE, words,
                   d->extra_bytes);
    sim_run(sim);
    uint64_t hash = sim_hash(sim);
    sim_free(sim);
    return hash;
}

SPEC(sim, replays_a_seed)
{
    FOR_SEEDS(40)
    {
        struct difference none = {.bodies = true};
        /* The blocks below move what is allocated in between. */
        uint64_t hash = gossip_hash(spec_seed, &none);
        void *blocks[20];
        for (int i = 0; i < 20; i++)
            blocks[i] = mem_alloc(100 + i * 777);
        CHECK(gossip_hash(spec_seed, &none) == hash);
        for (int i = 0; i < 20; i++)
            mem_free(blocks[i]);
        CHECK(gossip_hash(spec_seed + 1000, &none) != hash);
    }
}

SPEC(sim, shows_a_single_send_that_differs)
{
    FOR_SEEDS(20)
    {
        struct difference same = {1, 8, 5, false}, more = {2, 8, 5, false};
        struct difference longer = {1, 9, 5, false}, other = {1, 8, 6, false};
        uint64_t hash = gossip_hash(spec_seed, &same);
        CHECK(gossip_hash(spec_seed, &more) != hash);
        CHECK(gossip_hash(spec_seed, &longer) != hash);
        /* Contents count when the spec says how to read them. */
        CHECK(gossip_hash(spec_seed, &other) == hash);
        same.bodies = other.bodies = true;
        CHECK(gossip_hash(spec_seed, &other) != gossip_hash(spec_seed, &same));
    }
}

SPEC(sim, tries_both_ways_to_the_mailbox_and_many_schedules)
{
    unsigned solo = 0, others = 0;
    uint64_t seen = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct sim *sim = sim_new(seed);
        if (sim_solo(sim_node(sim, 0)))
            solo++;
        else
            others++;
        sim_free(sim);
        struct difference none = {.bodies = false};
        uint64_t hash = gossip_hash(seed, &none);
        CHECK(hash != seen);
        seen = hash;
    }
    CHECK(solo > 5 && others > 5);
    struct sim *sim = sim_new(1);
    sim_set_solo(sim, true);
    CHECK(sim_solo(sim_node(sim, 0)));
    sim_set_solo(sim, false);
    CHECK(!sim_solo(sim_node(sim, 1)));
    sim_free(sim);
}

/* ---- time ---- */

static err wake_later(struct env *env, void *context)
{
    deadline_id id;
    return deadline_set(env, env_now(env) + *(int64_t *)context, 0, &id);
}

SPEC(sim, lets_its_clock_jump_to_what_happens_next)
{
    struct sim *sim = sim_new(spec_seed);
    actor_id here = sim_probe(sim_node(sim, 0));
    actor_id there = sim_probe(sim_node(sim, 7));
    int64_t day_ns = INT64_C(86400) * 1000 * MS, week_ns = 7 * day_ns;
    sim_do(sim, here, wake_later, &week_ns);
    sim_do(sim, there, wake_later, &day_ns);
    sim_advance(sim, 2 * day_ns);
    CHECK_EQ(sim_now(sim), SIM_START_NS + 2 * day_ns);
    CHECK_EQ(sim_got(sim, there, MSG_TIMER), 1);
    CHECK_EQ(sim_got(sim, here, MSG_TIMER), 0);
    CHECK_EQ(sim_seen(sim, there, 0, 0)->at_ns, SIM_START_NS + day_ns);
    sim_run(sim);
    CHECK_EQ(sim_got(sim, here, MSG_TIMER), 1);
    CHECK_EQ(sim_now(sim), SIM_START_NS + week_ns);
    CHECK(sim_steps(sim) < 20);
    CHECK(!sim_step(sim, INT64_MAX));
    sim_free(sim);
}

SPEC(sim, ends_the_actors_of_a_node_that_is_killed_and_no_others)
{
    FOR_SEEDS(10)
    {
        struct sim *sim = sim_new(spec_seed);
        struct sim_node *node = sim_node(sim, 3);
        actor_id dead = sim_probe(node), alive = sim_probe(sim_node(sim, 4));
        int64_t later_ns = 5 * MS;
        CHECK_EQ(dead >> 48, 3);
        sim_do(sim, dead, wake_later, &later_ns);
        sim_do(sim, alive, wake_later, &later_ns);
        sim_run_until(sim, sim_now(sim) + MS);
        sim_kill_node(node);
        CHECK(sim_node(sim, 3) == node);
        CHECK_EQ(node_alive(sim_engine(node)), 0);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, dead, 0), 0);
        CHECK_EQ(sim_got(sim, alive, MSG_TIMER), 1);
        actor_id next = sim_probe(node); /* the node works */
        sim_send(sim, next, next, NOTE, "me", 3);
        sim_run(sim);
        CHECK_EQ(sim_got(sim, next, NOTE), 1);
        sim_free(sim);
    }
}

/* ---- the disk ---- */

struct drive {
    struct sim *sim;
    struct sim_node *node;
    const struct disk *disk;
};

static struct drive drive_new(uint64_t seed)
{
    struct drive d = {.sim = sim_new(seed)};
    d.node = sim_node(d.sim, 0);
    d.disk = sim_disk_calls(sim_disk(d.node));
    return d;
}

static int drive_open(const struct drive *d, const char *path,
                      enum disk_mode mode)
{
    return d->disk->open(d->disk->context, path, mode);
}

static int64_t drive_write(const struct drive *d, int file, const void *bytes,
                           size_t count)
{
    return d->disk->write(d->disk->context, file, bytes, count);
}

static int64_t drive_read(const struct drive *d, int file, void *to,
                          size_t bytes, int64_t at)
{
    return d->disk->read(d->disk->context, file, to, bytes, at);
}

static int drive_sync(const struct drive *d, int file)
{
    return d->disk->sync(d->disk->context, file);
}

static int drive_close(const struct drive *d, int file)
{
    return d->disk->close(d->disk->context, file);
}

static void check_content(const struct drive *d, const char *path,
                          const char *text)
{
    size_t count = 0;
    const uint8_t *bytes = sim_file_get(d->node, path, &count);
    CHECK(bytes != NULL);
    CHECK_EQ(count, strlen(text));
    CHECK(memcmp(bytes, text, count) == 0);
}

SPEC(sim, disk_keeps_files_as_a_real_one_does)
{
    struct drive d = drive_new(spec_seed);
    char text[16];
    CHECK_EQ(drive_open(&d, "a", DISK_READ), -ENOENT);
    int out = drive_open(&d, "a", DISK_APPEND);
    CHECK(out > 2);
    CHECK_EQ(drive_write(&d, out, "one ", 4), 4);
    CHECK_EQ(drive_write(&d, out, "two", 3), 3);
    CHECK_EQ(drive_read(&d, out, text, 1, 0), -EBADF);
    int in = drive_open(&d, "a", DISK_READ);
    CHECK_EQ(drive_read(&d, in, text, sizeof text, 0), 7);
    CHECK(memcmp(text, "one two", 7) == 0);
    CHECK_EQ(drive_read(&d, in, text, 2, 5), 2);
    CHECK(memcmp(text, "wo", 2) == 0);
    CHECK_EQ(drive_read(&d, in, text, 2, 7), 0);
    CHECK_EQ(drive_read(&d, in, text, 2, -1), -EINVAL);
    CHECK_EQ(drive_write(&d, in, "x", 1), -EBADF);
    CHECK_EQ(drive_sync(&d, out), 0);
    CHECK_EQ(drive_close(&d, out), 0);
    CHECK_EQ(drive_close(&d, out), -EBADF);
    CHECK_EQ(drive_sync(&d, out), -EBADF);
    int anew = drive_open(&d, "a", DISK_REPLACE);
    check_content(&d, "a", "");
    CHECK_EQ(drive_write(&d, anew, "three", 5), 5);
    CHECK_EQ(drive_read(&d, in, text, sizeof text, 0), 5);
    sim_file_put(d.node, "b", "given", 5);
    check_content(&d, "b", "given");
    size_t count;
    CHECK(sim_file_get(d.node, "c", &count) == NULL);
    sim_free(d.sim);
}

SPEC(sim, disk_refuses_what_does_not_fit)
{
    FOR_SEEDS(10)
    {
        struct drive d = drive_new(spec_seed);
        struct sim_faults faults = {.room_bytes = 10};
        sim_set_faults(d.node, &faults);
        int a = drive_open(&d, "a", DISK_APPEND);
        int b = drive_open(&d, "b", DISK_APPEND);
        CHECK_EQ(drive_write(&d, a, "1234567", 7), 7);
        CHECK_EQ(drive_write(&d, b, "12345", 5), 3); /* what is left */
        CHECK_EQ(drive_write(&d, b, "45", 2), -ENOSPC);
        CHECK_EQ(drive_write(&d, b, "", 0), 0);
        check_content(&d, "b", "123");
        drive_open(&d, "a", DISK_REPLACE); /* makes room */
        CHECK_EQ(drive_write(&d, b, "45", 2), 2);
        sim_free(d.sim);
    }
}

SPEC(sim, disk_has_the_room_of_a_deleted_file_when_nobody_has_it_open)
{
    struct sim_disk *sim = sim_disk_new(1);
    const struct disk *disk = sim_disk_calls(sim);
    sim_disk_set_faults(sim, &(struct sim_faults){.room_bytes = 4});
    for (int i = 0; i < 4; i++) {
        int fd = disk->open(disk->context, "a", DISK_APPEND);
        CHECK_EQ(disk->write(disk->context, fd, "1234", 4), 4);
        CHECK_EQ(sim_disk_remove(sim, "a"), OK);
        CHECK_EQ(disk->open(disk->context, "b", DISK_APPEND), -ENOSPC);
        if (i % 2)
            sim_disk_close_all(sim);
        else
            CHECK_EQ(disk->close(disk->context, fd), 0);
    }
    sim_disk_free(sim);
}

SPEC(sim, disk_fails_as_often_as_it_is_told)
{
    struct drive d = drive_new(spec_seed);
    sim_file_put(d.node, "a", "0123456789", 10);
    int in = drive_open(&d, "a", DISK_READ);
    int out = drive_open(&d, "b", DISK_APPEND);
    struct sim_faults always = {.open_fails = SIM_FAULTS_ALL,
                                .read_fails = SIM_FAULTS_ALL,
                                .write_fails = SIM_FAULTS_ALL,
                                .sync_fails = SIM_FAULTS_ALL};
    char text[10];
    sim_set_faults(d.node, &always);
    CHECK_EQ(drive_open(&d, "a", DISK_READ), -EIO);
    CHECK_EQ(drive_read(&d, in, text, 10, 0), -EIO);
    CHECK_EQ(drive_write(&d, out, "x", 1), -EIO);
    CHECK_EQ(drive_sync(&d, out), -EIO);
    check_content(&d, "b", "");

    struct sim_faults partly = {.reads_short = SIM_FAULTS_ALL,
                                .writes_short = SIM_FAULTS_ALL};
    sim_set_faults(d.node, &partly);
    for (int i = 0; i < 50; i++) {
        int64_t got = drive_read(&d, in, text, 10, 0);
        CHECK(got >= 1 && got < 10);
        CHECK(memcmp(text, "0123456789", (size_t)got) == 0);
        CHECK_EQ(drive_read(&d, in, text, 1, 3), 1);
        int64_t put = drive_write(&d, out, "0123456789", 10);
        CHECK(put >= 1 && put < 10);
    }

    struct sim_faults often = {.read_fails = 300};
    unsigned failed = 0;
    sim_set_faults(d.node, &often);
    for (int i = 0; i < 1000; i++)
        failed += drive_read(&d, in, text, 10, 0) == -EIO;
    CHECK(failed > 230 && failed < 370);
    sim_free(d.sim);
}

SPEC(sim, slow_disk_delays_the_answers_of_jobs)
{
    int64_t took_ns[2];
    for (int slow = 0; slow < 2; slow++) {
        struct drive d = drive_new(spec_seed);
        struct sim_faults faults = {.slow = slow ? SIM_FAULTS_ALL : 0,
                                    .slow_ns = 900 * (int64_t)MS};
        sim_set_faults(d.node, &faults);
        int file = drive_open(&d, "a", DISK_APPEND);
        for (int i = 0; i < 100; i++)
            drive_write(&d, file, "x", 1);
        took_ns[slow] = sim_disk_took_ns(sim_disk(d.node));
        CHECK_EQ(sim_disk_took_ns(sim_disk(d.node)), 0);
        sim_free(d.sim);
    }
    CHECK_EQ(took_ns[0], 0);
    CHECK(took_ns[1] > 20000 * (int64_t)MS && took_ns[1] < 80000 * (int64_t)MS);
}

/* ---- power cuts ---- */

enum { SYNCED = 700, WRITTEN = 3000 };

static unsigned char letter(size_t at)
{
    return (unsigned char)('a' + at % 23); /* never 0 */
}

SPEC(sim, power_cut_keeps_what_was_synced_and_may_tear_the_rest)
{
    unsigned whole = 0, none = 0, torn = 0;
    FOR_SEEDS(200)
    {
        struct drive d = drive_new(spec_seed);
        unsigned char bytes[WRITTEN];
        for (size_t i = 0; i < WRITTEN; i++)
            bytes[i] = letter(i);
        int file = drive_open(&d, "log", DISK_APPEND);
        drive_write(&d, file, bytes, SYNCED);
        CHECK_EQ(drive_sync(&d, file), 0);
        drive_write(&d, file, bytes + SYNCED, WRITTEN - SYNCED);
        sim_power_cut(d.node);
        CHECK_EQ(drive_write(&d, file, "x", 1), -EBADF); /* its file is gone */
        size_t count = 0;
        const uint8_t *left = sim_file_get(d.node, "log", &count);
        CHECK(left != NULL);
        CHECK(count >= SYNCED && count <= WRITTEN);
        bool holes = false;
        for (size_t i = 0; i < count; i++) {
            CHECK(left[i] == letter(i) || (left[i] == 0 && i >= SYNCED));
            holes |= left[i] == 0;
            /* A sector is there as a whole or not at all. */
            if (i > SYNCED && i % SIM_SECTOR_BYTES != 0)
                CHECK_EQ(left[i] == 0, left[i - 1] == 0);
        }
        whole += count > WRITTEN - 300 && !holes;
        none += count < SYNCED + 300;
        torn += holes;
        /* What is left is what lasts. */
        sim_power_cut(d.node);
        size_t again = 0;
        sim_file_get(d.node, "log", &again);
        CHECK_EQ(again, count);
        sim_free(d.sim);
    }
    if (spec_seeds(200) >= 200) CHECK(whole > 0 && none > 5 && torn > 20);
}

SPEC(sim, power_cut_may_undo_a_file_or_its_replacement)
{
    unsigned lost = 0, old = 0, anew = 0;
    FOR_SEEDS(60)
    {
        struct drive d = drive_new(spec_seed);
        sim_file_put(d.node, "config", "old", 3);
        int config = drive_open(&d, "config", DISK_REPLACE);
        drive_write(&d, config, "NEWER", 5);
        int fresh = drive_open(&d, "fresh", DISK_APPEND);
        drive_write(&d, fresh, "f", 1);
        int synced = drive_open(&d, "synced", DISK_REPLACE);
        drive_write(&d, synced, "s", 1);
        CHECK_EQ(drive_sync(&d, synced), 0);
        sim_power_cut(d.node);
        check_content(&d, "synced", "s");
        size_t count = 0;
        lost += sim_file_get(d.node, "fresh", &count) == NULL;
        const uint8_t *left = sim_file_get(d.node, "config", &count);
        CHECK(left != NULL);
        if (count == 3 && memcmp(left, "old", 3) == 0) old++;
        if (count == 5 && memcmp(left, "NEWER", 5) == 0) anew++;
        sim_free(d.sim);
    }
    if (spec_seeds(60) >= 60) CHECK(lost > 5 && old > 5 && anew > 0);
}

SPEC(sim, process_that_is_killed_loses_nothing_it_wrote)
{
    FOR_SEEDS(10)
    {
        struct drive d = drive_new(spec_seed);
        int file = drive_open(&d, "log", DISK_APPEND);
        drive_write(&d, file, "unsynced", 8);
        sim_kill_node(d.node);
        check_content(&d, "log", "unsynced");
        CHECK_EQ(drive_close(&d, file), -EBADF);
        sim_free(d.sim);
    }
}

SPEC(sim, sync_that_failed_is_not_made_good_by_the_next)
{
    unsigned lost = 0, runs = 0;
    FOR_SEEDS(40)
    {
        struct drive d = drive_new(spec_seed);
        struct sim_faults failing = {.sync_fails = SIM_FAULTS_ALL}, none = {0};
        int file = drive_open(&d, "log", DISK_APPEND);
        drive_write(&d, file, "important", 9);
        sim_set_faults(d.node, &failing);
        CHECK_EQ(drive_sync(&d, file), -EIO);
        sim_set_faults(d.node, &none);
        CHECK_EQ(drive_sync(&d, file), 0);
        check_content(&d, "log", "important"); /* as processes see it */
        sim_power_cut(d.node);
        size_t count = 0;
        const uint8_t *left = sim_file_get(d.node, "log", &count);
        CHECK(left != NULL && count == 9);
        lost += memcmp(left, "important", 9) != 0;
        runs++;
        sim_free(d.sim);
    }
    if (runs >= 40) CHECK(lost > runs / 8 && lost < runs - runs / 8);
}
