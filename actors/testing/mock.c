#include "actors/testing/mock.h"
#include "core/alloc.h"
#include <string.h>

struct row {
    size_t at; /* of its values */
    uint32_t bytes;
    unsigned stream;
    bool acked;
    char *reason; /* owned: what failed it last; NULL: nothing, or no memory */
};

struct mock {
    struct component_class class; /* first: a task finds its mock by it */
    struct mock *self;
    struct mock_config config;
    struct buffer values; /* of all rows */
    struct row *rows;     /* owned */
    uint64_t count, room;
};

/* A task. */
struct place {
    uint64_t next; /* the row that it emits next */
};

static struct mock *mock_of(const struct component_context *context)
{
    const void *class = context->component->class;
    return ((const struct mock *)class)->self;
}

static err make(struct component_context *context, void *self)
{
    struct place *place = self;
    place->next = context->index;
    return OK;
}

static void end(struct component_context *context, void *self)
{
}

static bool emit(struct component_context *context, uint64_t number)
{
    const struct mock *mock = mock_of(context);
    const struct row *row = &mock->rows[number];
    return executor_emit(context, number, row->stream,
                         mock->values.data + row->at, row->bytes);
}

static enum step no_memory(struct component_context *context)
{
    strcpy(context->error, "out of memory");
    return STEP_CRASH;
}

static enum step next(struct component_context *context, void *self)
{
    struct place *place = self;
    const struct mock *mock = mock_of(context);
    while (place->next < mock->count) {
        if (executor_full(context) || env_spent(context->env))
            return STEP_AGAIN;
        if (!emit(context, place->next)) return no_memory(context);
        place->next += context->component->tasks;
    }
    context->sleep_ns = 0; /* EXECUTOR_WAKE will come */
    return mock->config.feeder ? STEP_IDLE : STEP_END;
}

static enum step replay(struct component_context *context, void *self,
                        uint64_t token)
{
    return emit(context, token) ? STEP_DONE : no_memory(context);
}

static void ack(struct component_context *context, void *self, uint64_t token)
{
    struct mock *mock = mock_of(context);
    if (mock->rows[token].acked) return; /* before all tasks went back */
    mock->rows[token].acked = true;
    mock->config.settled(mock->config.context, mock, token, NULL);
}

static enum verdict fail(struct component_context *context, void *self,
                         uint64_t token, const char *reason)
{
    struct mock *mock = mock_of(context);
    struct row *row = &mock->rows[token];
    mem_free(row->reason);
    row->reason = mem_text(reason, strlen(reason));
    return mock->config.feeder ? VERDICT_MINE : VERDICT_REPLAY;
}

/* What fail() left to be done: nothing, but the executor asks. */
static enum step notify(struct component_context *context, void *self)
{
    return STEP_DONE;
}

static void release(struct component_context *context, void *self,
                    uint64_t token)
{
    struct mock *mock = mock_of(context);
    const struct row *row = &mock->rows[token];
    if (row->acked) return;
    mock->config.settled(mock->config.context, mock, token,
                         row->reason ? row->reason
                                     : "there was no memory for the reason");
}

/* The rows before it are settled. */
static err snapshot(struct component_context *context, void *self,
                    uint64_t oldest, struct buffer *out)
{
    const struct place *place = self;
    uint64_t row = oldest < place->next ? oldest : place->next;
    return buffer_append(out, &row, sizeof row);
}

static err restore(struct component_context *context, void *self,
                   struct bytes position)
{
    struct place *place = self;
    memcpy(&place->next, position.at, sizeof place->next);
    return OK;
}

struct mock *mock_new(const struct mock_config *config)
{
    struct mock *mock = mem_zero(1, sizeof *mock);
    if (mock == NULL) return NULL;
    mock->class = (struct component_class){
        .name = "mock",
        .state_bytes = sizeof(struct place),
        .stays = true,
        .rewinds = true,
        .make = make,
        .free = end,
        .next = next,
        .ack = ack,
        .fail = fail,
        .notify = notify,
        .replay = replay,
        .release = release,
        .snapshot = snapshot,
        .restore = restore,
    };
    mock->self = mock;
    mock->config = *config;
    return mock;
}

void mock_free(struct mock *mock)
{
    if (mock == NULL) return;
    for (uint64_t i = 0; i < mock->count; i++)
        mem_free(mock->rows[i].reason);
    mem_free(mock->rows);
    buffer_fini(&mock->values);
    mem_free(mock);
}

const struct mock_config *mock_config_of(const struct mock *mock)
{
    return &mock->config;
}

const struct component_class *mock_class(const struct mock *mock)
{
    return &mock->class;
}

err mock_add(struct mock *mock, unsigned stream, const uint8_t *values,
             size_t bytes)
{
    if (mock->count == mock->room) {
        uint64_t room = mock->room ? 2 * mock->room : 16;
        struct row *rows = mem_resize(mock->rows, room * sizeof *rows);
        if (rows == NULL) return ERR_NOMEM;
        mock->rows = rows;
        mock->room = room;
    }
    size_t at = mock->values.used;
    if (buffer_append(&mock->values, values, bytes) != OK) return ERR_NOMEM;
    mock->rows[mock->count++] =
        (struct row){.at = at, .bytes = (uint32_t)bytes, .stream = stream};
    return OK;
}

uint64_t mock_rows(const struct mock *mock)
{
    return mock->count;
}
