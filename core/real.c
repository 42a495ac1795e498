#define _GNU_SOURCE /* CLOCK_BOOTTIME */
#include "core/real.h"
#include "core/alloc.h"
#include "core/disk.h"
#include "core/job.h"
#include "core/net_real.h"
#include <time.h>

enum { JOB_THREADS = 2 };

struct real {
    struct world world;
    struct net net;
    struct node *node;
    struct scheduler *scheduler;
    struct loop *loop;
    struct jobs *jobs;
};

static int64_t clock_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t real_now_ns(void *unused)
{
    return clock_ns(CLOCK_BOOTTIME); /* goes on while the machine sleeps */
}

int64_t real_wall_ns(void *unused)
{
    return clock_ns(CLOCK_REALTIME);
}

static void ready(void *context, struct env *env, struct actor *actor)
{
    struct real *real = context;
    scheduler_ready(real->scheduler, env, actor);
}

static void pressed(void *context, struct env *env, struct actor *actor)
{
    scheduler_pressed(env, actor);
}

static void held_up(void *context, struct env *env)
{
    scheduler_held_up(env);
}

static void alarm_at(void *context, struct node *node, int64_t at_ns)
{
    struct real *real = context;
    loop_alarm(real->loop, at_ns);
}

static void start_work(void *context, struct node *node, struct job *job)
{
    struct real *real = context;
    jobs_push(real->jobs, job);
}

struct real *real_new(unsigned threads, uint64_t seed, struct log *log,
                      const struct thread_hooks *hooks)
{
    mem_share();
    struct real *real = mem_zero(1, sizeof *real);
    if (real == NULL) return NULL;
    real->world = (struct world){
        .now_ns = real_now_ns,
        .wall_ns = real_wall_ns,
        .ready = ready,
        .pressed = pressed,
        .held_up = held_up,
        .alarm = alarm_at,
        .work = start_work,
        .disk = &disk_real,
        .net = &real->net,
        .context = real,
    };
    struct node_config config = {
        .threads = threads, .seed = seed, .world = &real->world, .log = log};
    real->node = node_new(&config);
    if (real->node) {
        real->scheduler = scheduler_new(real->node, threads, hooks);
        real->loop = loop_new(real->node);
        net_real_init(&real->net, real->loop);
    }
    if (real->scheduler == NULL || real->loop == NULL) {
        real_free(real);
        return NULL;
    }
    return real;
}

err real_start(struct real *real)
{
    real->jobs = jobs_new(real->node, JOB_THREADS);
    if (real->jobs == NULL) return ERR_LIMIT;
    err e = loop_start(real->loop);
    if (e == OK) e = scheduler_start(real->scheduler);
    if (e != OK) loop_stop(real->loop);
    return e;
}

void real_stop(struct real *real)
{
    loop_stop(real->loop);
    scheduler_stop(real->scheduler);
    jobs_free(real->jobs); /* answers still need the mailboxes */
    real->jobs = NULL;
}

void real_free(struct real *real)
{
    if (real == NULL) return;
    jobs_free(real->jobs);
    loop_free(real->loop); /* its view is given back to the node */
    node_free(real->node); /* ends actors, which may still be scheduled */
    scheduler_free(real->scheduler);
    mem_free(real);
}

struct node *real_node(struct real *real)
{
    return real->node;
}

struct loop *real_loop(struct real *real)
{
    return real->loop;
}
