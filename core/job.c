#include "core/job.h"
#include "core/alloc.h"
#include "core/runtime.h"
#include <string.h>

void job_start(struct env *env, struct job *job, uint16_t kind)
{
    const struct world *world = env->node->config.world;
    job->from = env->actor->id;
    job->kind = kind;
    world->work(world->context, env->node, job);
}

void job_finish(struct env *env, struct job *job)
{
    struct msg *m = msg_new(env, job->kind, sizeof job);
    if (m == NULL) { /* no memory for 64 bytes: the owner can't go on */
        actor_kill(env, job->from, ERR_NOMEM);
        ref_drop(env, &job->ref);
        return;
    }
    memcpy(msg_body(m), &job, sizeof job);
    m->flags = MSG_REF; /* ref is the job's first member */
    m->from = job->from;
    actor_post(env, job->from, m);
}

struct jobs {
    struct node *node;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *first, *last;
    bool ending;
    unsigned count;
    pthread_t threads[];
};

static struct job *take(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    while (jobs->first == NULL && !jobs->ending)
        pthread_cond_wait(&jobs->wake, &jobs->lock);
    struct job *job = jobs->ending ? NULL : jobs->first;
    if (job) jobs->first = job->next;
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

static void *serve(void *arg)
{
    struct jobs *jobs = arg;
    struct env *env = node_outside(jobs->node);
    struct job *job;
    while (env && (job = take(jobs)) != NULL) {
        job->work(jobs->node, job);
        job_finish(env, job);
    }
    if (env) node_outside_free(env);
    return NULL;
}

struct jobs *jobs_new(struct node *node, unsigned threads)
{
    struct jobs *jobs =
        mem_zero(1, sizeof *jobs + threads * sizeof *jobs->threads);
    if (jobs == NULL) return NULL;
    jobs->node = node;
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->wake, NULL);
    for (; jobs->count < threads; jobs->count++)
        if (pthread_create(&jobs->threads[jobs->count], NULL, serve, jobs)) {
            jobs_free(jobs);
            return NULL;
        }
    return jobs;
}

void jobs_push(struct jobs *jobs, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&jobs->lock);
    if (jobs->first)
        jobs->last->next = job;
    else
        jobs->first = job;
    jobs->last = job;
    pthread_cond_signal(&jobs->wake);
    pthread_mutex_unlock(&jobs->lock);
}

void jobs_free(struct jobs *jobs)
{
    if (jobs == NULL) return;
    pthread_mutex_lock(&jobs->lock);
    jobs->ending = true;
    pthread_cond_broadcast(&jobs->wake);
    pthread_mutex_unlock(&jobs->lock);
    for (unsigned i = 0; i < jobs->count; i++)
        pthread_join(jobs->threads[i], NULL);
    struct env *env = node_outside(jobs->node);
    while (jobs->first) {
        struct job *job = jobs->first;
        jobs->first = job->next;
        if (env) job_finish(env, job);
    }
    if (env) node_outside_free(env);
    pthread_cond_destroy(&jobs->wake);
    pthread_mutex_destroy(&jobs->lock);
    mem_free(jobs);
}
