#include "actors/connectors/lines.h"

/* A splitter keeps its buffer from line to line, but not a monster's. */
enum { PART_KEPT_BYTES = 1 << 20 };

void lines_fini(struct lines *l)
{
    buffer_fini(&l->part);
}

void lines_seek(struct lines *l, int64_t offset, bool skip)
{
    l->at = l->end = NULL;
    l->offset = offset;
    l->state = skip ? LINES_SKIP : LINES_FRESH;
}

static void advance(struct lines *l, const uint8_t *to)
{
    l->offset += to - l->at;
    l->at = to;
}

static void part_begin(struct lines *l)
{
    if (l->part.room > PART_KEPT_BYTES) buffer_fini(&l->part);
    l->part.used = 0;
    l->start = l->offset;
}

static enum lines_step part_add(struct lines *l, struct line *line,
                                const uint8_t *feed)
{
    const uint8_t *end = feed ? feed : l->end;
    size_t count = (size_t)(end - l->at);
    size_t before = l->state == LINES_PART ? l->part.used : 0;
    if (before + count > LINE_BYTES_MAX) {
        line->offset = lines_start(l);
        l->state = LINES_SKIP;
        return LINES_LONG;
    }
    if (l->state == LINES_FRESH) part_begin(l);
    if (buffer_append(&l->part, l->at, count) != OK) return LINES_NOMEM;
    l->state = LINES_PART;
    advance(l, feed ? feed + 1 : end);
    if (feed == NULL) return LINES_MORE;
    l->state = LINES_FRESH;
    const uint8_t *bytes = l->part.data;
    uint32_t whole = (uint32_t)l->part.used;
    if (whole > 0 && bytes[whole - 1] == '\r') whole--;
    *line = (struct line){bytes, whole, l->start};
    return LINES_LINE;
}

enum lines_step lines_next_slow(struct lines *l, struct line *line)
{
    if (l->at == l->end) return LINES_MORE;
    const uint8_t *feed = memchr(l->at, '\n', (size_t)(l->end - l->at));
    if (l->state != LINES_SKIP) return part_add(l, line, feed);
    advance(l, feed ? feed + 1 : l->end);
    if (feed == NULL) return LINES_MORE;
    l->state = LINES_FRESH;
    return lines_next(l, line);
}

bool lines_end(struct lines *l, struct line *line)
{
    if (l->state != LINES_PART) return false;
    l->state = LINES_FRESH;
    *line = (struct line){l->part.data, (uint32_t)l->part.used, l->start};
    return true;
}
