/* queue_source.c - reads a queue: all lanes that are its task's in turn, what
 * checkpoints have put there. A block stays in memory until all its records are
 * settled; where the group is goes into the next checkpoint, which also removes
 * what all groups are past. */
#include "actors/connectors/queue_ends.h"
#include "actors/stream/rows.h"
#include "core/alloc.h"
#include "core/hash.h"
#include "core/node.h"
#include "core/value.h"
#include <stdio.h>
#include <string.h>

enum {
    LOOK_NS = 10 * 1000 * 1000, /* for what has come */
    LANES_MAX = 1 << 15,        /* a token has so many bits for the lane */
    NUMBER_BITS = 48,
    TRIM_AT_ONCE = 1000, /* blocks, of a lane */
};

struct block {
    struct block *next;
    uint64_t first;
    uint32_t count, sent, settled; /* records */
    const uint8_t *at;             /* the next to be sent */
    const uint8_t *records;        /* the first */
    uint8_t data[];
};

/* A lane as its reader has it. */
struct read_lane {
    struct queue_lane name;
    struct block *first, *last; /* owned: not settled; the last is read */
    struct queue_place next;    /* behind them */
    struct queue_place stood;   /* in the newest checkpoint */
    bool known;                 /* is there */
    struct queue_writer writer; /* as it was looked at last */
};

/* ---- blocks ---- */

static void drop_block(struct read_lane *l)
{
    struct block *b = l->first;
    l->first = b->next;
    if (l->first == NULL) l->last = NULL;
    mem_free(b);
}

static err damaged(struct component_context *context,
                   const struct queue_source *q)
{
    snprintf(context->error, sizeof context->error,
             "queue '%s' is damaged, or a newer engine's; restore a backup, or "
             "use that one",
             q->queue);
    return ERR_HOPELESS;
}

static err add_block(struct read_lane *l, uint64_t first, struct bytes value)
{
    struct block *b = mem_alloc(sizeof *b + value.count);
    if (b == NULL) return ERR_NOMEM;
    *b = (struct block){.first = first};
    memcpy(b->data, value.at, value.count);
    if (queue_block_get(bytes_of(b->data, value.count), &b->count, &b->at) !=
            OK ||
        (l->next.block == first && l->next.taken > b->count)) {
        mem_free(b);
        return ERR_FORMAT;
    }
    b->records = b->at;
    if (l->next.block == first)
        while (b->sent < l->next.taken) {
            const uint8_t *values;
            unsigned arity;
            b->at = queue_record(b->at, &values, &arity);
            b->sent++;
        }
    b->settled = b->sent;
    l->next = (struct queue_place){first + b->count, 0};
    if (l->last)
        l->last->next = b;
    else
        l->first = b;
    l->last = b;
    return OK;
}

/* ERR_NOTFOUND: none has come. */
static err read_block(const struct queue_source *q, struct store_view *view,
                      struct read_lane *l)
{
    struct queue_key from, prefix;
    struct bytes key, value, rest;
    err e = queue_block_key(q->queue, &l->name, l->next.block, &from);
    if (e == OK) e = store_seek(view, queue_bytes(&from), &key, &value);
    if (e != OK) return e;
    prefix = from;
    prefix.count -= sizeof(uint64_t);
    if (!queue_key_rest(key, &prefix, &rest) || rest.count != sizeof(uint64_t))
        return ERR_NOTFOUND;
    return add_block(l, value_load64(rest.at), value);
}

/* ---- lanes ---- */

static struct read_lane *lane_named(const struct queue_source *q,
                                    const struct queue_lane *name)
{
    for (unsigned i = 0; i < q->count; i++)
        if (bytes_order(queue_lane_bytes(&q->lanes[i].name),
                        queue_lane_bytes(name)) == 0)
            return &q->lanes[i];
    return NULL;
}

static bool is_mine(const struct component_context *context,
                    const struct queue_lane *name)
{
    return hash_bytes(HASH_START, name->at, name->count) %
               context->component->tasks ==
           context->index;
}

/* Where the group is in it. */
static err find_place(const struct queue_source *q, struct store_view *view,
                      struct read_lane *l)
{
    struct queue_key key;
    struct bytes value, owner;
    err e = queue_group_key(q->queue, q->group, &l->name, &key);
    if (e == OK) e = store_get(view, queue_bytes(&key), &value);
    if (e == ERR_NOTFOUND) return OK;
    if (e == OK) e = queue_place_get(value, &l->stood, &owner);
    if (e != OK) return e;
    /* Who takes the group over says so. */
    l->known = bytes_order(owner, bytes_of(q->owner, strlen(q->owner))) == 0;
    l->next = l->stood;
    return OK;
}

static err add_lane(struct queue_source *q, struct store_view *view,
                    const struct queue_lane *name, struct read_lane **out)
{
    if (q->count == LANES_MAX) return ERR_LIMIT;
    if (q->count == q->room) {
        unsigned room = q->room ? 2 * q->room : 4;
        struct read_lane *more = mem_resize(q->lanes, room * sizeof *more);
        if (more == NULL) return ERR_NOMEM;
        q->lanes = more;
        q->room = room;
    }
    struct read_lane *l = &q->lanes[q->count];
    *l = (struct read_lane){.name = *name};
    err e = find_place(q, view, l);
    if (e == OK) q->count++;
    *out = l;
    return e;
}

/* One who writes. */
static err take_writer(struct component_context *context,
                       struct queue_source *q, struct store_view *view,
                       struct bytes rest, struct bytes value)
{
    struct queue_lane name;
    struct queue_writer writer;
    if (!queue_lane_get(rest, &name)) return ERR_FORMAT;
    err e = queue_writer_get(value, &writer);
    q->all_ended &= writer.ended;
    if (e != OK || !is_mine(context, &name)) return e;
    struct read_lane *l = lane_named(q, &name);
    if (l == NULL) e = add_lane(q, view, &name, &l);
    if (e == OK) l->writer = writer;
    return e;
}

static err look_for_lanes(struct component_context *context,
                          struct queue_source *q, struct store_view *view)
{
    struct queue_key prefix;
    struct bytes key, value, rest;
    err e = queue_prefix(q->queue, QUEUE_WRITER, &prefix);
    if (e != OK) return e;
    bool any = false;
    q->all_ended = true;
    q->looked_ns = env_now(context->env);
    err found = store_seek(view, queue_bytes(&prefix), &key, &value);
    while (e == OK && found == OK && queue_key_rest(key, &prefix, &rest)) {
        e = take_writer(context, q, view, rest, value);
        any = true;
        found = store_next(view, &key, &value);
    }
    q->all_ended &= any;
    return e;
}

/* ---- emitting ---- */

static uint64_t token_of(const struct queue_source *q,
                         const struct read_lane *l, uint64_t number)
{
    return (uint64_t)(l - q->lanes) << NUMBER_BITS | number;
}

static struct read_lane *lane_of(const struct queue_source *q, uint64_t token,
                                 uint64_t *number)
{
    *number = token & ((UINT64_C(1) << NUMBER_BITS) - 1);
    return &q->lanes[token >> NUMBER_BITS];
}

/* False: out of memory. */
static bool emit(struct component_context *context, uint64_t token,
                 const uint8_t *values, unsigned arity, const uint8_t *end)
{
    if (arity == context->component->streams[0].arity)
        return executor_emit(context, token, 0, values,
                             (uint32_t)(end - values));
    executor_fault(context, LOSS_INPUT,
                   "a record has %u values, and fields names %u; it is left "
                   "out: give the spout the fields that are written",
                   arity, context->component->streams[0].arity);
    return true;
}

static enum step no_memory(struct component_context *context)
{
    strcpy(context->error, "out of memory");
    return STEP_CRASH;
}

static bool is_spent(const struct component_context *context)
{
    return executor_full(context) || env_spent(context->env);
}

static bool is_sent(const struct read_lane *l)
{
    return l->last == NULL || l->last->sent == l->last->count;
}

/* What was left out is settled at once. */
static bool emit_block(struct component_context *context,
                       struct queue_source *q, struct read_lane *l)
{
    struct block *b = l->last;
    unsigned fields = context->component->streams[0].arity;
    while (b->sent < b->count && !is_spent(context)) {
        const uint8_t *values;
        unsigned arity;
        const uint8_t *end = queue_record(b->at, &values, &arity);
        uint64_t token = token_of(q, l, b->first + b->sent);
        if (!emit(context, token, values, arity, end)) return false;
        b->at = end;
        b->sent++;
        b->settled += arity != fields || !executor_tracks(context);
    }
    while (l->first && l->first->settled == l->first->count)
        drop_block(l);
    return true;
}

/* Goes round once; *any: something was there. */
static err read_lanes(struct component_context *context, struct queue_source *q,
                      struct store_view *view, bool *any)
{
    for (unsigned i = 0; i < q->count && !is_spent(context); i++) {
        struct read_lane *l = &q->lanes[q->turn++ % q->count];
        err e = is_sent(l) ? read_block(q, view, l) : OK;
        if (e == ERR_NOTFOUND) continue;
        if (e != OK) return e;
        *any = true;
        if (!emit_block(context, q, l)) return ERR_NOMEM;
    }
    return OK;
}

static bool is_over(const struct component_context *context,
                    const struct queue_source *q)
{
    if (!queue_ends(context) || !q->all_ended) return false;
    for (unsigned i = 0; i < q->count; i++)
        if (!is_sent(&q->lanes[i]) ||
            q->lanes[i].next.block < q->lanes[i].writer.next)
            return false;
    return true;
}

static err read_some(struct component_context *context, struct queue_source *q,
                     bool *any)
{
    struct store_view *view;
    err e = store_view(executor_store(context), &view);
    if (e != OK) return e;
    bool look =
        q->looked_ns == 0 || env_now(context->env) - q->looked_ns >= LOOK_NS;
    if (look) e = look_for_lanes(context, q, view);
    do {
        *any = false;
        if (e == OK) e = read_lanes(context, q, view, any);
    } while (e == OK && *any && !is_spent(context));
    store_unview(view);
    return e;
}

enum step queue_source_next(struct component_context *context, void *self)
{
    struct queue_source *q = self;
    bool any = false;
    err e = read_some(context, q, &any);
    if (e == ERR_FORMAT) e = damaged(context, q);
    if (e == ERR_HOPELESS) return STEP_HOPELESS;
    if (e == ERR_NOMEM) return no_memory(context);
    if (e != OK) {
        snprintf(context->error, sizeof context->error,
                 "queue '%s' can't be read: %s", q->queue, err_text(e));
        return STEP_CRASH;
    }
    if (any || is_spent(context)) return STEP_AGAIN;
    if (is_over(context, q)) return STEP_END;
    context->sleep_ns = LOOK_NS;
    return STEP_IDLE;
}

/* ---- settled, and not ---- */

static struct block *block_with(const struct read_lane *l, uint64_t number)
{
    struct block *b = l->first;
    while (b && number >= b->first + b->count)
        b = b->next;
    return b;
}

void queue_source_release(struct component_context *context, void *self,
                          uint64_t token)
{
    struct queue_source *q = self;
    uint64_t number;
    struct read_lane *l = lane_of(q, token, &number);
    struct block *b = block_with(l, number);
    if (b) b->settled++;
    while (l->first && l->first->settled == l->first->count)
        drop_block(l);
}

enum step queue_source_replay(struct component_context *context, void *self,
                              uint64_t token)
{
    struct queue_source *q = self;
    uint64_t number;
    const struct read_lane *l = lane_of(q, token, &number);
    const struct block *b = block_with(l, number);
    const uint8_t *at = b->records, *values, *end;
    unsigned arity;
    for (uint64_t i = b->first; i < number; i++)
        at = queue_record(at, &values, &arity);
    end = queue_record(at, &values, &arity);
    return emit(context, token, values, arity, end) ? STEP_DONE
                                                    : no_memory(context);
}

/* ---- checkpoints ---- */

/* Of a block that isn't settled as a whole all may come again; where nothing is
 * tracked, or all is settled, nothing does. */
static struct queue_place stands_at(const struct read_lane *l)
{
    const struct block *b = l->first;
    if (b == NULL) return l->next;
    return (struct queue_place){b->first, b->settled == b->sent ? b->sent : 0};
}

static bool same_place(struct queue_place a, struct queue_place b)
{
    return a.block == b.block && a.taken == b.taken;
}

static err put_place(struct rows *rows, const struct queue_source *q,
                     struct read_lane *l)
{
    struct queue_place place = stands_at(l);
    struct queue_key key;
    uint8_t row[QUEUE_PLACE_MAX];
    if (l->known && same_place(place, l->stood)) return OK;
    err e = queue_group_key(q->queue, q->group, &l->name, &key);
    if (e == OK)
        e = rows_put(rows, queue_bytes(&key),
                     bytes_of(row, queue_place_put(&place, q->owner, row)));
    if (e != OK) return e;
    l->stood = place;
    l->known = true;
    return OK;
}

/* Which groups read a queue, and where those are that have a row of a lane. */
struct others {
    char name[QUEUE_KEY_MAX]; /* of the last one */
    unsigned count, here;
    uint64_t least; /* block that one of them needs */
};

/* A row of another group: "GROUP 0 LANE". */
static err take_other(struct others *o, const struct queue_source *q,
                      const struct read_lane *l, struct bytes rest,
                      struct bytes value)
{
    struct queue_place place;
    struct bytes owner;
    const uint8_t *end = memchr(rest.at, 0, rest.count);
    if (end == NULL || queue_place_get(value, &place, &owner) != OK)
        return ERR_FORMAT;
    size_t bytes = (size_t)(end - (const uint8_t *)rest.at) + 1;
    if (strcmp(rest.at, q->group) == 0) return OK;
    o->count += strcmp(o->name, rest.at) != 0;
    memcpy(o->name, rest.at, bytes);
    if (bytes_order(bytes_of(end + 1, rest.count - bytes),
                    queue_lane_bytes(&l->name)) != 0)
        return OK;
    o->here++;
    if (place.block < o->least) o->least = place.block;
    return OK;
}

/* The block before which no group needs any; 0: one has yet to read the lane.
 * Where this group is says the checkpoint itself, where others are the newest
 * of theirs. */
static err least_block(const struct queue_source *q, struct store_view *view,
                       const struct read_lane *l, uint64_t *least)
{
    struct others o = {.least = l->stood.block};
    struct queue_key prefix;
    struct bytes key, value, rest;
    err e = queue_prefix(q->queue, QUEUE_GROUP, &prefix);
    err found =
        e == OK ? store_seek(view, queue_bytes(&prefix), &key, &value) : e;
    while (e == OK && found == OK && queue_key_rest(key, &prefix, &rest)) {
        e = take_other(&o, q, l, rest, value);
        found = store_next(view, &key, &value);
    }
    *least = o.here == o.count ? o.least : 0;
    return e;
}

static err trim(const struct queue_source *q, struct store_view *view,
                const struct read_lane *l, struct rows *rows)
{
    struct queue_key from;
    struct bytes key, value, rest;
    uint64_t least;
    err e = least_block(q, view, l, &least);
    if (e != OK || least == 0) return e;
    e = queue_block_key(q->queue, &l->name, 0, &from);
    if (e == OK) e = store_seek(view, queue_bytes(&from), &key, &value);
    from.count -= sizeof(uint64_t);
    for (unsigned i = 0;
         e == OK && i < TRIM_AT_ONCE && queue_key_rest(key, &from, &rest) &&
         value_load64(rest.at) < least;
         i++) {
        e = rows_remove(rows, key);
        if (e == OK) e = store_next(view, &key, &value);
    }
    return e == ERR_NOTFOUND ? OK : e;
}

static err put_all(struct component_context *context, struct queue_source *q,
                   struct rows *rows)
{
    struct store_view *view;
    err e = store_view(executor_store(context), &view);
    if (e != OK) return e;
    for (unsigned i = 0; e == OK && i < q->count; i++) {
        e = put_place(rows, q, &q->lanes[i]);
        if (e == OK) e = trim(q, view, &q->lanes[i], rows);
    }
    store_unview(view);
    return e;
}

err queue_source_keep(struct component_context *context, void *self,
                      struct store_part **out)
{
    struct rows *rows = rows_new();
    if (rows == NULL) return ERR_NOMEM;
    err e = put_all(context, self, rows);
    if (e != OK || rows->changes.used == 0) {
        rows_free(rows);
        return e;
    }
    *out = &rows->part;
    return OK;
}

/* ---- life ---- */

err queue_source_make(struct component_context *context, void *self)
{
    struct queue_source *q = self;
    struct queue_key key;
    struct queue_lane longest = {.count = QUEUE_LANE_MAX};
    q->queue = queue_name(context);
    q->group = queue_group(context, q->own);
    q->owner = context->plan->name;
    if (queue_group_key(q->queue, q->group, &longest, &key) == OK) return OK;
    strcpy(context->error, "the names of the queue and the group are too long "
                           "together; shorten them");
    return ERR_HOPELESS;
}

void queue_source_free(struct component_context *context, void *self)
{
    struct queue_source *q = self;
    for (unsigned i = 0; i < q->count; i++)
        while (q->lanes[i].first)
            drop_block(&q->lanes[i]);
    mem_free(q->lanes);
}
