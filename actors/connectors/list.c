/* list.c - the source `list { {"a", 1}, {"b", 2} }`: tuples that stand in the
 * definition.
 *
 * The user names the fields. Several tasks deal the rows out in turn; a row
 * that fails is emitted again.
 *
 * This is the simplest connector: to write another one, begin here. A source
 * is a class (component.h) and a line in the table (connector.h):
 *   make/free  read the options, take and give back memory
 *   next       emits until the turn is over and says how it went: each tuple
 *              by executor_emit(), with a token by which replay() finds it
 *              again
 *   replay     emits one tuple once more
 *   snapshot   says where it stands, for a checkpoint; restore goes on there
 * Its state stays when the task's actor crashes: the next one goes on where it
 * was. What blocks goes into a job: see reader.c (files), writer.c (a sink). */
#include "actors/connectors/connector.h"
#include "core/alloc.h"
#include "core/value.h"

enum { ROWS }; /* places of the options */

struct list {
    const uint8_t **rows; /* owned: where each row starts, and the end */
    uint64_t count;
    uint64_t next; /* the row that this task emits next */
};

static err make(struct component_context *context, void *self)
{
    struct list *list = self;
    const struct option_value *rows = connector_option(context, ROWS);
    list->rows = mem_zero(rows->rows + 1, sizeof *list->rows);
    if (list->rows == NULL) return ERR_NOMEM;
    const uint8_t *at = rows->bytes;
    for (list->count = 0; list->count < rows->rows; list->count++) {
        list->rows[list->count] = at;
        at = value_skip_many(at, rows->arity);
    }
    list->rows[list->count] = at;
    list->next = context->index;
    return OK;
}

static void end(struct component_context *context, void *self)
{
    struct list *list = self;
    mem_free(list->rows);
}

static bool emit(struct component_context *context, const struct list *list,
                 uint64_t row)
{
    const uint8_t *at = list->rows[row];
    return executor_emit(context, row, 0, at,
                         (uint32_t)(list->rows[row + 1] - at));
}

static enum step no_memory(struct component_context *context)
{
    strcpy(context->error, "out of memory");
    return STEP_CRASH;
}

static enum step next(struct component_context *context, void *self)
{
    struct list *list = self;
    while (list->next < list->count) {
        if (executor_full(context) || env_spent(context->env))
            return STEP_AGAIN;
        if (!emit(context, list, list->next)) return no_memory(context);
        list->next += context->component->tasks;
    }
    return STEP_END;
}

static enum step replay(struct component_context *context, void *self,
                        uint64_t token)
{
    return emit(context, self, token) ? STEP_DONE : no_memory(context);
}

/* The rows before it are settled. */
static err snapshot(struct component_context *context, void *self,
                    uint64_t oldest, struct buffer *out)
{
    const struct list *list = self;
    uint8_t at[VALUE_SCALAR_MAX];
    uint64_t row = oldest < list->next ? oldest : list->next;
    return buffer_append(out, at,
                         (size_t)(value_put_int(at, (int64_t)row) - at));
}

static err restore(struct component_context *context, void *self,
                   struct bytes position)
{
    struct list *list = self;
    struct value row;
    const uint8_t *at = position.at, *end;
    if (value_check(at, at + position.count, &end) != OK) return ERR_FORMAT;
    value_get(at, &row);
    if (row.type != VALUE_INT || row.as.integer < 0) return ERR_FORMAT;
    list->next = (uint64_t)row.as.integer;
    return OK;
}

static const struct component_class source = {
    .name = "list",
    .state_bytes = sizeof(struct list),
    .stays = true,
    .rewinds = true,
    .change = connector_change,
    .make = make,
    .free = end,
    .next = next,
    .replay = replay,
    .snapshot = snapshot,
    .restore = restore,
};

static const struct option options[] = {
    [ROWS] = {.name = "rows",
              .type = OPTION_ROWS,
              .required = true,
              .doc = "the tuples, a table of values each"},
};

const struct connector connector_list = {
    .name = "list",
    .doc = "tuples that stand in the definition",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .source = &source,
};
