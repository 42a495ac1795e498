/* position.c - where a reader of files stands, for a checkpoint: in which file,
 * which one that is, and behind how many bytes of it or, of CSV, records. */
#include "actors/connectors/blocks.h"
#include "actors/connectors/reader.h"
#include "core/alloc.h"
#include <string.h>

enum { ENDED = 1, IN_ORDER = 2 };

/* Of the file: where the next line or record of the task's can begin. */
static int64_t next_one(const struct component_context *context,
                        const struct reader *r)
{
    int64_t at = lines_start(&r->lines), stripe = r->stripe_end - READ_BYTES;
    if (r->plan.csv) return (int64_t)r->number;
    if (r->stripe_end == INT64_MAX) return at;
    if (at >= r->stripe_end) return stripe_next(context, r);
    return at > stripe ? at : stripe;
}

/* The least place that isn't settled, or the next. */
static int64_t stands_at(const struct component_context *context,
                         const struct reader *r, uint64_t oldest)
{
    int64_t at = r->base, kept = kept_oldest(&r->kept);
    if (r->intake) at += next_one(context, r);
    if (oldest < (uint64_t)at) at = (int64_t)oldest;
    return kept < at ? kept : at;
}

/* What is known of that file. */
static const struct disk_info *info_of(const struct reader *r, size_t place)
{
    if (r->intake && place == r->place) return &r->info;
    return &r->places[place].info;
}

static uint8_t *put(uint8_t *at, const struct reader *r, size_t place,
                    int64_t offset)
{
    const struct disk_info *info = info_of(r, place);
    size_t count = r->paths.count;
    const char *path = place < count ? r->paths.list[place] : "";
    bool in_order = r->keeps && r->intake && place == r->place;
    if (r->plan.follow) offset = offset > r->began ? offset - r->began : 0;
    if (r->intake && place == r->place && r->pipe) offset = 0;
    at = value_put_int(at, (r->ended && place >= count ? ENDED : 0) |
                               (in_order ? IN_ORDER : 0));
    at = value_put_int(at, (int64_t)info->device);
    at = value_put_int(at, (int64_t)info->number);
    at = value_put_int(at, offset);
    return value_put_bytes(at, path, (uint32_t)strlen(path));
}

/* Stdin has no position that would help. */
err reader_snapshot(struct component_context *context, void *self,
                    uint64_t oldest, struct buffer *out)
{
    const struct reader *r = self;
    if (r->plan.count == 0 || !r->listed) return OK;
    int64_t at = stands_at(context, r, oldest);
    size_t place =
        r->ended && at >= r->base ? r->paths.count : reader_place_of(r, at);
    size_t path = place < r->paths.count ? strlen(r->paths.list[place]) : 0;
    size_t room = 4 * VALUE_SCALAR_MAX + VALUE_HEAD_MAX + path + 16;
    if (buffer_reserve(out, room) != OK) return ERR_NOMEM;
    int64_t base = place < r->paths.count ? r->places[place].base : at;
    uint8_t *end = put(out->data + out->used, r, place, at - base);
    out->used = (size_t)(end - out->data);
    return OK;
}

static bool get(const uint8_t **at, const uint8_t *end, enum value_type type,
                struct value *out)
{
    const uint8_t *next;
    if (value_check(*at, end, &next) != OK) return false;
    value_get(*at, out);
    *at = next;
    return out->type == type;
}

/* A source of several tasks has stripes of one file or files of its own. */
err reader_restore(struct component_context *context, void *self,
                   struct bytes position)
{
    struct reader *r = self;
    struct value n[4], path;
    const uint8_t *at = position.at, *end = at + position.count;
    if (position.count == 0) return OK;
    for (int i = 0; i < 4; i++)
        if (!get(&at, end, VALUE_INT, &n[i])) return ERR_FORMAT;
    if (!get(&at, end, VALUE_BYTES, &path)) return ERR_FORMAT;
    r->resume = (struct resume){
        .wanted = {.device = (uint64_t)n[1].as.integer,
                   .number = (uint64_t)n[2].as.integer},
        .at = n[3].as.integer,
        .in_order = n[0].as.integer & IN_ORDER,
    };
    r->ended = n[0].as.integer & ENDED;
    /* Elsewhere it counts what was unpacked, or records. */
    if (!r->plan.csv && (r->plan.follow || !r->resume.in_order))
        r->resume.wanted.bytes = r->resume.at;
    if (r->ended || path.count == 0) return OK;
    r->resume.path = mem_text(path.as.bytes, path.count);
    return r->resume.path ? OK : ERR_NOMEM;
}
