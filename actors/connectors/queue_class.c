/* queue_class.c - the source and the sink `queue "clicks"`: a durable queue in
 * the store, the wire between topologies.
 *
 * What a topology writes to it is there when a checkpoint is, with all else
 * that the checkpoint decides, and can be read then: by any number of groups,
 * each from the oldest record on. What one task has written comes in order;
 * records of several tasks are merged. A record is removed when all groups
 * that have read of the queue are past it.
 *
 * `group = "name"` (the topology's and the spout's name if not given) says
 * whose position the spout goes by: a spout of that group goes on where the
 * group was. `ends = true`: the spout ends when all who write have ended and
 * all is read; else it waits for more.
 *
 * With `limit` so many records may wait for the group that is the farthest
 * behind; then the spouts of the topology that writes wait until some are
 * removed. What is under way then is written all the same.
 *
 * The spout names the fields; a record of another number of values is left out
 * and counted. Both ends may have several tasks: a task of the sink is read by
 * one of the spout's. */
#include "actors/connectors/connector.h"
#include "actors/connectors/queue_ends.h"
#include <stdio.h>
#include <string.h>

enum { NAME, GROUP, ENDS, LIMIT };

const char *queue_name(const struct component_context *context)
{
    return connector_option(context, NAME)->text;
}

const char *queue_group(const struct component_context *context,
                        char out[QUEUE_LANE_MAX])
{
    const char *group = connector_option(context, GROUP)->text;
    if (group) return group;
    snprintf(out, QUEUE_LANE_MAX, "%s.%s", context->plan->name,
             context->component->name);
    return out;
}

bool queue_ends(const struct component_context *context)
{
    return connector_option(context, ENDS)->flag;
}

uint64_t queue_limit(const struct component_context *context)
{
    const struct option_value *limit = connector_option(context, LIMIT);
    uint64_t records = (uint64_t)limit->number,
             tasks = context->component->tasks;
    return limit->set ? (records + tasks - 1) / tasks : 0;
}

static const struct component_class source = {
    .name = "queue",
    .state_bytes = sizeof(struct queue_source),
    .rewinds = true,
    .change = connector_change,
    .make = queue_source_make,
    .free = queue_source_free,
    .next = queue_source_next,
    .replay = queue_source_replay,
    .release = queue_source_release,
    .keep = queue_source_keep,
};

static const struct component_class sink = {
    .name = "queue",
    .state_bytes = sizeof(struct queue_sink),
    .transacts = true,
    .change = connector_change,
    .make = queue_sink_make,
    .free = queue_sink_free,
    .execute = queue_sink_execute,
    .tick = queue_sink_tick,
    .finish = queue_sink_finish,
    .keep = queue_sink_keep,
};

static const struct option options[] = {
    [NAME] = {.name = "name",
              .type = OPTION_TEXT,
              .required = true,
              .doc = "of the queue; queue \"clicks\" for short"},
    [GROUP] = {.name = "group",
               .type = OPTION_TEXT,
               .doc = "as a source: whose position it goes by; the "
                      "topology's and the spout's name if not given"},
    [ENDS] = {.name = "ends",
              .type = OPTION_FLAG,
              .doc = "as a source: end when all who write have ended and all "
                     "is read"},
    [LIMIT] = {.name = "limit",
               .type = OPTION_COUNT,
               .doc = "as a sink: records that may wait for readers; then the "
                      "spouts wait, too"},
};

static bool has_control(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < ' ') return true;
    return false;
}

static bool check(const struct option_value *values, bool as_sink, char *why,
                  size_t why_bytes)
{
    const char *fault = NULL;
    if (values[NAME].text == NULL || values[NAME].text[0] == '\0' ||
        has_control(values[NAME].text))
        fault = "name of queue is a word of letters; give one";
    else if (values[GROUP].set &&
             (values[GROUP].text[0] == '\0' || has_control(values[GROUP].text)))
        fault = "group of queue is a word of letters; give one";
    else if (as_sink && (values[GROUP].set || values[ENDS].set))
        fault = "group and ends are options of queue as a source; as a sink "
                "it only writes: remove them";
    else if (!as_sink && values[LIMIT].set)
        fault = "limit is an option of queue as a sink: give it to the "
                "topology that writes";
    else if (values[LIMIT].set && values[LIMIT].number == 0)
        fault = "limit of queue is 0, so nothing could be written; give a "
                "number of records";
    if (fault) snprintf(why, why_bytes, "%s", fault);
    return fault == NULL;
}

const struct connector connector_queue = {
    .name = "queue",
    .doc = "a durable queue between topologies",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .source = &source,
    .sink = &sink,
    .check = check,
};
