#include "spec/sim/sim.h"
#include "core/alloc.h"
#include "spec/spec.h"

enum { STEPS_MAX = 20000000 };

/* The node that an actor lives on. */
static struct sim_node *home(struct sim *sim, actor_id id)
{
    struct sim_node *node = sim_node(sim, (uint16_t)(id >> 48));
    CHECK(node != NULL);
    return node;
}

void sim_run(struct sim *sim)
{
    uint64_t steps = 0;
    while (sim_step(sim, INT64_MAX - 1))
        if (++steps > STEPS_MAX)
            spec_fail(__FILE__, __LINE__, "not quiet after %d steps",
                      STEPS_MAX);
    CHECK(!sim_failed(sim));
}

void sim_kill_actor(struct sim *sim, actor_id who, err why)
{
    CHECK_EQ(actor_kill(sim_env(home(sim, who)), who, why), OK);
}

void sim_file_put(struct sim_node *node, const char *path, const void *bytes,
                  size_t count)
{
    CHECK_EQ(sim_disk_put(sim_disk(node), path, bytes, count), OK);
}

const uint8_t *sim_file_get(struct sim_node *node, const char *path,
                            size_t *count)
{
    return sim_disk_get(sim_disk(node), path, count);
}

/* ---- actors and probes ---- */

actor_id sim_spawn(struct sim_node *node, const struct actor_kind *kind,
                   const void *args, uint32_t args_bytes)
{
    actor_id id = 0;
    CHECK_EQ(actor_spawn(sim_env(node), kind, args, args_bytes, &id), OK);
    return id;
}

struct probe {
    actor_id id;
    struct sim_message *seen; /* owned, with their bodies */
    unsigned count, room;
};

/* Of a world: attached to it. */
struct probes {
    struct probe **list; /* owned */
    size_t count;
};

static void probes_end(void *context)
{
    struct probes *all = context;
    for (size_t i = 0; i < all->count; i++) {
        struct probe *probe = all->list[i];
        for (unsigned k = 0; k < probe->count; k++)
            mem_free(probe->seen[k].body);
        mem_free(probe->seen);
        mem_free(probe);
    }
    mem_free(all->list);
    mem_free(all);
}

static struct probe *probe_new(struct sim *sim)
{
    struct probes *all = sim_attached(sim);
    if (all == NULL) {
        all = mem_zero(1, sizeof *all);
        CHECK(all != NULL);
        sim_attach(sim, all, probes_end);
    }
    all->list = mem_resize(all->list, (all->count + 1) * sizeof *all->list);
    struct probe *probe = mem_zero(1, sizeof *probe);
    CHECK(all->list && probe);
    all->list[all->count++] = probe;
    return probe;
}

/* What a probe is told to do: the first kinds below KIND_OWN that are free. */
enum { PROBE_SEND = KIND_OWN - 2, PROBE_DO };

struct order_to_send {
    actor_id to;
    uint32_t bytes;
    uint16_t kind;
    unsigned char body[];
};

struct order_to_do {
    sim_deed *deed;
    void *context;
};

static err probe_init(struct env *env, void *self, const void *args)
{
    *(struct probe **)self = *(struct probe *const *)args;
    return OK;
}

static err remember(struct env *env, struct probe *probe, const struct msg *m)
{
    if (probe->count == probe->room) {
        unsigned room = probe->room ? probe->room * 2 : 16;
        void *seen = mem_resize(probe->seen, room * sizeof *probe->seen);
        if (seen == NULL) return ERR_NOMEM;
        probe->seen = seen;
        probe->room = room;
    }
    void *body = mem_alloc(m->bytes);
    if (body == NULL) return ERR_NOMEM;
    memcpy(body, msg_body(m), m->bytes);
    probe->seen[probe->count++] = (struct sim_message){
        .from = sim_sender(m),
        .at_ns = env_now(env),
        .body = body,
        .bytes = m->bytes,
        .kind = m->kind,
        .data = m->flags & MSG_DATA,
    };
    return OK;
}

static err probe_receive(struct env *env, void *self, const struct msg *m)
{
    if (m->kind == PROBE_SEND) {
        const struct order_to_send *order = msg_body(m);
        return actor_send(env, order->to, order->kind, order->body,
                          order->bytes);
    }
    if (m->kind == PROBE_DO) {
        const struct order_to_do *order = msg_body(m);
        return order->deed(env, order->context);
    }
    return remember(env, *(struct probe **)self, m);
}

static const struct actor_kind probe_kind = {
    .name = "probe",
    .state_bytes = sizeof(struct probe *),
    .traps_exits = true,
    .init = probe_init,
    .receive = probe_receive,
};

actor_id sim_probe(struct sim_node *node)
{
    struct probe *probe = probe_new(sim_of(node));
    probe->id = sim_spawn(node, &probe_kind, &probe, sizeof probe);
    return probe->id;
}

void sim_send(struct sim *sim, actor_id probe, actor_id to, uint16_t kind,
              const void *body, uint32_t bytes)
{
    struct env *env = sim_env(home(sim, probe));
    struct msg *m = msg_new(env, PROBE_SEND,
                            (uint32_t)sizeof(struct order_to_send) + bytes);
    CHECK(m != NULL);
    struct order_to_send *order = msg_body(m);
    *order = (struct order_to_send){.to = to, .bytes = bytes, .kind = kind};
    if (bytes > 0) memcpy(order->body, body, bytes);
    m->from = 0;
    actor_post(env, probe, m);
}

void sim_do(struct sim *sim, actor_id probe, sim_deed *deed, void *context)
{
    struct order_to_do order = {deed, context};
    CHECK_EQ(actor_send(sim_env(home(sim, probe)), probe, PROBE_DO, &order,
                        sizeof order),
             OK);
}

/* The latest: a node that was killed gives its ids again. */
static const struct probe *probe_of(struct sim *sim, actor_id id)
{
    const struct probes *all = sim_attached(sim);
    for (size_t i = all ? all->count : 0; i-- > 0;)
        if (all->list[i]->id == id) return all->list[i];
    spec_fail(__FILE__, __LINE__, "%llx is no probe", (unsigned long long)id);
}

unsigned sim_got(struct sim *sim, actor_id id, uint16_t kind)
{
    const struct probe *probe = probe_of(sim, id);
    unsigned got = 0;
    for (unsigned i = 0; i < probe->count; i++)
        got += kind == 0 || probe->seen[i].kind == kind;
    return got;
}

const struct sim_message *sim_seen(struct sim *sim, actor_id id, uint16_t kind,
                                   unsigned n)
{
    const struct probe *probe = probe_of(sim, id);
    for (unsigned i = 0; i < probe->count; i++)
        if ((kind == 0 || probe->seen[i].kind == kind) && n-- == 0)
            return &probe->seen[i];
    spec_fail(__FILE__, __LINE__, "the probe has seen no such message %u", n);
}
