/* queue_ends.h - the two ends of a queue, as classes of queue_class.c: for
 * these only. */
#ifndef ACTORS_CONNECTORS_QUEUE_ENDS_H
#define ACTORS_CONNECTORS_QUEUE_ENDS_H

#include "actors/connectors/queue.h"

struct rows;

/* ---- queue_class.c: the options ---- */

const char *queue_name(const struct component_context *context);
/* Of a source: whose positions it goes by. Into `out` where it isn't given. */
const char *queue_group(const struct component_context *context,
                        char out[QUEUE_LANE_MAX]);
bool queue_ends(const struct component_context *context);
/* Of a task of a sink: so many records may wait; 0: any number. */
uint64_t queue_limit(const struct component_context *context);

/* ---- queue_sink.c ---- */

struct queue_sink {
    const char *queue; /* borrowed */
    struct queue_lane lane;
    struct queue_writer stood, now; /* at the newest checkpoint; and now */
    bool known;                     /* there is a row of it */
    struct buffer block;            /* open: room for a head, and records */
    uint32_t count;                 /* of its records */
    uint64_t block_first;           /* number of its first */
    struct rows *rows;              /* owned: full ones; or NULL */
    uint64_t oldest; /* record that was there at the last look; 0: none was */
    bool told;       /* that the queue is full */
};

err queue_sink_make(struct component_context *context, void *self);
void queue_sink_free(struct component_context *context, void *self);
enum step queue_sink_execute(struct component_context *context, void *self,
                             struct input *input);
enum step queue_sink_tick(struct component_context *context, void *self);
enum step queue_sink_finish(struct component_context *context, void *self);
err queue_sink_keep(struct component_context *context, void *self,
                    struct store_part **out);

/* ---- queue_source.c ---- */

struct queue_source {
    const char *queue, *group; /* borrowed; the group may be `own` */
    const char *owner;         /* the topology; borrowed */
    char own[QUEUE_LANE_MAX];
    struct read_lane *lanes; /* owned */
    unsigned count, room;
    unsigned turn;     /* the lane that is read next */
    int64_t looked_ns; /* when it was looked for lanes last; 0: never */
    bool all_ended;    /* all who write, to other tasks' lanes as well */
};

err queue_source_make(struct component_context *context, void *self);
void queue_source_free(struct component_context *context, void *self);
enum step queue_source_next(struct component_context *context, void *self);
enum step queue_source_replay(struct component_context *context, void *self,
                              uint64_t token);
void queue_source_release(struct component_context *context, void *self,
                          uint64_t token);
err queue_source_keep(struct component_context *context, void *self,
                      struct store_part **out);

#endif
