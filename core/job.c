#include "core/job.h"
#include "core/alloc.h"
#include "core/runtime.h"

void job_start(struct env *env, struct job *job, uint16_t kind)
{
    const struct world *world = env->node->config.world;
    job->from = env->actor->id;
    job->kind = kind;
    job->answer.job = job;
    job->answer.msg = (struct msg){
        .from = job->from,
        .bytes = sizeof job,
        .kind = kind,
        .flags = MSG_EMBEDDED | MSG_REF, /* ref is the job's first member */
    };
    world->work(world->context, env->node, job);
}

void job_finish(struct env *env, struct job *job)
{
    actor_post(env, job->from, &job->answer.msg);
}

struct job_thread {
    struct jobs *jobs;
    struct env *env; /* owned */
    pthread_t thread;
};

struct jobs {
    struct node *node;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *first, *last;
    bool ending;
    unsigned count; /* threads that run */
    struct job_thread threads[];
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
    struct job_thread *t = arg;
    struct job *job;
    while ((job = take(t->jobs)) != NULL) {
        job->work(t->jobs->node, job);
        job_finish(t->env, job);
    }
    return NULL;
}

/* The views are made here, where it can still be said that there is none. */
struct jobs *jobs_new(struct node *node, unsigned threads)
{
    struct jobs *jobs =
        mem_zero(1, sizeof *jobs + threads * sizeof *jobs->threads);
    if (jobs == NULL) return NULL;
    jobs->node = node;
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->wake, NULL);
    for (; jobs->count < threads; jobs->count++) {
        struct job_thread *t = &jobs->threads[jobs->count];
        t->jobs = jobs;
        t->env = node_outside(node);
        if (t->env && pthread_create(&t->thread, NULL, serve, t) == 0) continue;
        node_outside_free(t->env);
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
        pthread_join(jobs->threads[i].thread, NULL);
    while (jobs->first) { /* pushed, so there was a thread */
        struct job *job = jobs->first;
        jobs->first = job->next;
        job_finish(jobs->threads[0].env, job);
    }
    for (unsigned i = 0; i < jobs->count; i++)
        node_outside_free(jobs->threads[i].env);
    pthread_cond_destroy(&jobs->wake);
    pthread_mutex_destroy(&jobs->lock);
    mem_free(jobs);
}
