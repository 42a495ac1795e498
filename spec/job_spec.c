/* job_spec.c - blocking work is done elsewhere, answered once, and freed
 * whoever is still there to hear of it. */
#include "core/actor.h"
#include "core/alloc.h"
#include "core/disk.h"
#include "core/job.h"
#include "core/node.h"
#include "core/real.h"
#include "spec/sim/sim.h"
#include "spec/spec.h"
#include <errno.h>
#include <semaphore.h>
#include <time.h>

enum { ANSWER = KIND_OWN, JOBS = 50 };

/* What the jobs of a story come to; several threads may count. */
struct tally {
    _Atomic unsigned worked, freed, answered;
    sem_t done;
    unsigned expected; /* answers, then `done` is posted */
    bool keep;         /* the owner takes a reference */
    struct sum *kept;
};

struct sum {
    struct job job;
    struct tally *tally;
    uint64_t upto, result;
};

static void sum_free(struct env *env, struct ref *ref)
{
    struct sum *sum = (struct sum *)(void *)ref; /* the job is its first part */
    sum->tally->freed++;
    mem_free(sum);
}

static void sum_work(struct node *node, struct job *job)
{
    struct sum *sum = (struct sum *)(void *)job;
    for (uint64_t i = 1; i <= sum->upto; i++)
        sum->result += i;
    sum->tally->worked++;
}

static struct sum *sum_new(struct tally *tally, uint64_t upto)
{
    struct sum *sum = mem_zero(1, sizeof *sum);
    CHECK(sum != NULL);
    ref_init(&sum->job.ref, sum_free);
    sum->job.work = sum_work;
    sum->tally = tally;
    sum->upto = upto;
    return sum;
}

/* ---- an actor that has sums done ---- */

static err owner_init(struct env *env, void *self, const void *args)
{
    struct tally *tally = *(struct tally **)self = *(struct tally *const *)args;
    for (unsigned i = 0; i < tally->expected; i++)
        job_start(env, &sum_new(tally, i * 10)->job, ANSWER);
    return OK;
}

static err owner_receive(struct env *env, void *self, const struct msg *m)
{
    struct tally *tally = *(struct tally **)self;
    CHECK_EQ(m->kind, ANSWER);
    CHECK_EQ(m->bytes, sizeof(struct job *));
    CHECK_EQ(m->from, env_self(env));
    struct sum *sum = *(struct sum **)msg_body(m);
    CHECK(sum->tally == tally);
    CHECK_EQ(sum->result, sum->upto * (sum->upto + 1) / 2);
    if (tally->keep) {
        ref_take(&sum->job.ref);
        tally->kept = sum;
    }
    if (++tally->answered == tally->expected) sem_post(&tally->done);
    return OK;
}

static const struct actor_kind owner_kind = {
    .name = "owner",
    .state_bytes = sizeof(struct tally *),
    .init = owner_init,
    .receive = owner_receive,
};

static actor_id start(struct sim_node *node, struct tally *tally)
{
    return sim_spawn(node, &owner_kind, &tally, sizeof tally);
}

SPEC(job, is_worked_answered_and_freed_once)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct tally tally = {.expected = JOBS};
        sem_init(&tally.done, 0, 0);
        start(sim_node(sim, 0), &tally);
        sim_run(sim);
        CHECK_EQ(tally.worked, JOBS);
        CHECK_EQ(tally.answered, JOBS);
        CHECK_EQ(tally.freed, JOBS);
        CHECK(sim_now(sim) > SIM_START_NS); /* it took its time */
        sim_free(sim);
        sem_destroy(&tally.done);
    }
}

SPEC(job, lives_on_while_somebody_holds_it)
{
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 0);
    struct tally tally = {.expected = 1, .keep = true};
    sem_init(&tally.done, 0, 0);
    start(node, &tally);
    sim_run(sim);
    CHECK_EQ(tally.answered, 1);
    CHECK_EQ(tally.freed, 0);
    ref_drop(sim_env(node), &tally.kept->job.ref);
    CHECK_EQ(tally.freed, 1);
    sim_free(sim);
    sem_destroy(&tally.done);
}

SPEC(job, of_an_actor_that_died_is_freed_unheard)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct tally tally = {.expected = JOBS};
        sem_init(&tally.done, 0, 0);
        actor_id owner = start(sim_node(sim, 0), &tally);
        for (uint64_t i = sim_random(sim, 60); i > 0; i--)
            sim_step(sim, sim_now(sim) + 100000000);
        sim_kill_actor(sim, owner, ERR_CRASHED);
        sim_run(sim);
        /* Killed before it was born it has started none. */
        CHECK(tally.worked == JOBS || tally.worked == 0);
        CHECK_EQ(tally.freed, tally.worked);
        CHECK(tally.answered <= tally.worked);
        sim_free(sim);
        sem_destroy(&tally.done);
    }
}

SPEC(job, that_a_node_leaves_behind_is_freed)
{
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct tally tally = {.expected = JOBS};
        sem_init(&tally.done, 0, 0);
        start(sim_node(sim, 0), &tally);
        sim_run_until(sim, SIM_START_NS + (int64_t)sim_random(sim, 3000000));
        sim_free(sim);
        CHECK_EQ(tally.freed, JOBS);
        sem_destroy(&tally.done);
    }
}

/* ---- reading a file ---- */

struct reading {
    struct job job;
    char text[64];
    int64_t bytes;
    unsigned *freed;
};

static void reading_free(struct env *env, struct ref *ref)
{
    struct reading *r = (struct reading *)(void *)ref;
    ++*r->freed;
    mem_free(r);
}

static void read_file(struct node *node, struct job *job)
{
    struct reading *r = (struct reading *)(void *)job;
    const struct disk *disk = node_world(node)->disk;
    int file = disk->open(disk->context, "/data/poem", DISK_READ);
    if (file < 0) {
        r->bytes = file;
        return;
    }
    r->bytes = disk->read(disk->context, file, r->text, sizeof r->text, 0);
    disk->close(disk->context, file);
}

static err start_reading(struct env *env, void *context)
{
    job_start(env, &((struct reading *)context)->job, ANSWER);
    return OK;
}

SPEC(job, reads_the_disk_of_its_world)
{
    struct sim *sim = sim_new(spec_seed);
    struct sim_node *node = sim_node(sim, 0);
    actor_id probe = sim_probe(node);
    unsigned freed = 0;
    sim_file_put(node, "/data/poem", "so much depends", 15);
    struct reading *r = mem_zero(1, sizeof *r);
    CHECK(r != NULL);
    ref_init(&r->job.ref, reading_free);
    ref_take(&r->job.ref);
    r->job.work = read_file;
    r->freed = &freed;
    sim_do(sim, probe, start_reading, r);
    sim_run(sim);
    CHECK_EQ(sim_got(sim, probe, ANSWER), 1);
    CHECK_EQ(r->bytes, 15);
    CHECK(memcmp(r->text, "so much depends", 15) == 0);
    ref_drop(sim_env(node), &r->job.ref);
    CHECK_EQ(freed, 1);
    sim_free(sim);
}

/* ---- real threads ---- */

static void wait_for(sem_t *done)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    int failed;
    while ((failed = sem_timedwait(done, &until)) != 0 && errno == EINTR)
        continue;
    CHECK_EQ(failed, 0);
}

SPEC(job, runs_on_threads_of_its_own)
{
    struct tally tally = {.expected = 500};
    struct tally *pointer = &tally;
    sem_init(&tally.done, 0, 0);
    struct real *real = real_new(2, spec_seed, NULL, NULL);
    CHECK(real != NULL);
    CHECK_EQ(real_start(real), OK);
    struct env *env = node_outside(real_node(real));
    actor_id id;
    CHECK_EQ(actor_spawn(env, &owner_kind, &pointer, sizeof pointer, &id), OK);
    wait_for(&tally.done);
    node_outside_free(env);
    real_stop(real);
    real_free(real);
    CHECK_EQ(tally.worked, 500);
    CHECK_EQ(tally.freed, 500);
    sem_destroy(&tally.done);
}

SPEC(job, that_was_not_begun_when_the_threads_end_is_freed)
{
    struct tally tally = {.expected = 500};
    struct tally *pointer = &tally;
    sem_init(&tally.done, 0, 0);
    struct real *real = real_new(1, spec_seed, NULL, NULL);
    CHECK(real != NULL);
    CHECK_EQ(real_start(real), OK);
    struct env *env = node_outside(real_node(real));
    actor_id id;
    CHECK_EQ(actor_spawn(env, &owner_kind, &pointer, sizeof pointer, &id), OK);
    while (tally.worked == 0)
        continue; /* its init() is under way */
    node_outside_free(env);
    real_stop(real);
    real_free(real);
    CHECK_EQ(tally.freed, 500);
    sem_destroy(&tally.done);
}

SPEC(job, threads_are_refused_when_the_node_has_no_views_left)
{
    struct sim *sim = sim_new(spec_seed);
    struct node *node = sim_engine(sim_node(sim, 0));
    struct env *views[8];
    unsigned count = 0;
    while ((views[count] = node_outside(node)) != NULL)
        count++;
    node_outside_free(views[--count]);
    CHECK(jobs_new(node, 2) == NULL); /* one, and then none */
    struct jobs *jobs = jobs_new(node, 1);
    CHECK(jobs != NULL);
    jobs_free(jobs);
    while (count > 0)
        node_outside_free(views[--count]);
    sim_free(sim);
}
