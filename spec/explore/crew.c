#include "spec/explore/crew.h"
#include "core/alloc.h"

static int64_t now_ns(void *context)
{
    return 1;
}

static bool is_ready(const struct crew *crew, const struct actor *actor)
{
    for (unsigned i = 0; i < crew->ready_count; i++)
        if (crew->ready[i].actor == actor && !crew->ready[i].called)
            return true;
    return false;
}

static void ready(void *context, struct env *env, struct actor *actor)
{
    struct crew *crew = context;
    EXPLORE_CHECK(crew->ready_count < CREW_READY_MAX);
    bool outside = env->thread > crew->thread_count; /* and the spare one */
    bool called = crew->solo && outside;
    EXPLORE_CHECK(called || !is_ready(crew, actor));
    crew->ready[crew->ready_count].actor = actor;
    crew->ready[crew->ready_count].called = called;
    crew->ready_count++;
}

static void alarm_at(void *context, struct node *node, int64_t at_ns)
{
}

struct crew *crew_new(unsigned threads)
{
    struct crew *crew = mem_zero(1, sizeof *crew);
    EXPLORE_CHECK(crew != NULL);
    crew->thread_count = threads;
    crew->solo = threads == 1;
    crew->world = (struct world){.now_ns = now_ns,
                                 .wall_ns = now_ns,
                                 .ready = ready,
                                 .alarm = alarm_at,
                                 .context = crew};
    struct node_config config = {
        .threads = threads, .seed = 1, .world = &crew->world};
    crew->node = node_new(&config);
    EXPLORE_CHECK(crew->node != NULL);
    for (unsigned i = 0; i < CREW_THREADS; i++)
        env_init(&crew->threads[i], crew->node, i);
    crew->threads[0].solo = crew->solo;
    for (unsigned i = 0; i < CREW_OUTSIDERS; i++) {
        crew->outside[i] = node_outside(crew->node);
        EXPLORE_CHECK(crew->outside[i] != NULL);
    }
    return crew;
}

void crew_free(struct crew *crew)
{
    for (unsigned i = 0; i < CREW_THREADS; i++)
        env_fini(&crew->threads[i]);
    for (unsigned i = 0; i < CREW_OUTSIDERS; i++)
        node_outside_free(crew->outside[i]);
    node_free(crew->node);
    mem_free(crew);
}

static void turn(struct crew *crew, struct env *env)
{
    unsigned pick = (unsigned)explore_random(crew->ready_count);
    struct actor *actor = crew->ready[pick].actor;
    bool called = crew->ready[pick].called;
    crew->ready[pick] = crew->ready[--crew->ready_count];
    if (called && !(env->solo ? actor_claim(actor) : actor_called(actor)))
        return;
    EXPLORE_CHECK(!is_ready(crew, actor));
    crew->active++;
    bool more = actor_turn(env, actor);
    crew->active--;
    if (more) ready(crew, env, actor);
}

bool crew_is_quiet(const struct crew *crew)
{
    return crew->ready_count == 0 && crew->active == 0;
}

static bool has_work_or_an_end(void *context)
{
    const struct crew *crew = context;
    return crew->ready_count > 0 || (crew->outsiders == 0 && crew->active == 0);
}

static void work(void *context)
{
    struct env *env = context;
    struct crew *crew = env->node->config.world->context;
    for (;;) {
        explore_wait(has_work_or_an_end, crew);
        if (crew->ready_count == 0) return;
        turn(crew, env);
    }
}

void crew_share(struct crew *crew, struct env *env)
{
    if (!env->solo) return;
    actors_share(env);
    explore_fiber(work, &crew->threads[1]);
}

void crew_explore(struct crew *crew)
{
    crew->threads[0].solo = crew->solo;
    for (unsigned i = 0; i < crew->thread_count; i++)
        explore_fiber(work, &crew->threads[i]);
}

void crew_left(struct crew *crew)
{
    crew->outsiders--;
}

void crew_settle(struct crew *crew)
{
    while (crew->ready_count > 0)
        turn(crew, &crew->threads[0]);
}
