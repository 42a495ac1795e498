#include "actors/connectors/csv.h"
#include "actors/connectors/lines.h"

/* A splitter keeps its buffers from record to record, but not a monster's. */
enum { ROOM_KEPT_BYTES = 1 << 20, MARK_BYTES = 3 };

void csv_fini(struct csv *c)
{
    buffer_fini(&c->part);
    buffer_fini(&c->plain);
    buffer_fini(&c->values);
}

void csv_restart(struct csv *c)
{
    c->at = c->end = NULL;
    c->lines = 0;
    c->state = CSV_FIRST;
    c->begun = c->skip = c->marked = false;
    c->wanted = 0;
}

void csv_feed(struct csv *c, const uint8_t *bytes, size_t count)
{
    c->at = bytes;
    c->end = bytes + count;
}

/* ---- where a record ends ---- */

static enum csv_state from_start(uint8_t byte)
{
    if (byte == '"') return CSV_QUOTED;
    return byte == ',' ? CSV_START : CSV_PLAIN;
}

/* What `byte`, which doesn't end the record, makes of the state. */
static enum csv_state after(struct csv *c, uint8_t byte)
{
    switch (c->state) {
    case CSV_FIRST: return byte == 0xef ? CSV_MARK_1 : from_start(byte);
    case CSV_MARK_1:
        if (byte == 0xbb) return CSV_MARK_2;
        return byte == ',' ? CSV_START : CSV_PLAIN;
    case CSV_MARK_2:
        c->marked = byte == 0xbf;
        if (c->marked || byte == ',') return CSV_START;
        return CSV_PLAIN;
    case CSV_START: return from_start(byte);
    case CSV_QUOTED: return byte == '"' ? CSV_QUOTE : CSV_QUOTED;
    case CSV_QUOTE:
        if (byte == '"') return CSV_QUOTED;
        return byte == ',' ? CSV_START : CSV_PLAIN;
    case CSV_PLAIN:
    default: return byte == ',' ? CSV_START : CSV_PLAIN;
    }
}

/* The feed that ends the record, or NULL: it is longer than the block. */
static const uint8_t *find_end(struct csv *c)
{
    const uint8_t *at = c->at;
    if (c->state == CSV_START && !c->begun) {
        const uint8_t *feed = memchr(at, '\n', (size_t)(c->end - at));
        size_t count = (size_t)((feed ? feed : c->end) - at);
        if (feed && memchr(at, '"', count) == NULL) return feed;
    }
    for (; at < c->end; at++) {
        if (*at == '\n' && c->state != CSV_QUOTED) {
            c->state = CSV_START;
            return at;
        }
        c->state = after(c, *at);
    }
    return NULL;
}

/* ---- its values ---- */

struct cursor {
    const uint8_t *at, *end;
    const char *faulty;
};

/* Behind the opening quote. */
static struct csv_value quoted(struct csv *c, struct cursor *cursor)
{
    struct buffer *plain = &c->plain; /* it has room for all */
    struct csv_value value = {plain->data + plain->used, 0};
    bool closed = false;
    while (!closed && cursor->at < cursor->end) {
        size_t left = (size_t)(cursor->end - cursor->at);
        const uint8_t *quote = memchr(cursor->at, '"', left);
        const uint8_t *end = quote ? quote : cursor->end;
        bool twice = quote && quote + 1 < cursor->end && quote[1] == '"';
        size_t count = (size_t)(end - cursor->at) + twice;
        memcpy(plain->data + plain->used, cursor->at, count);
        plain->used += count;
        value.count += (uint32_t)count;
        closed = quote && !twice;
        cursor->at = quote ? end + 1 + twice : end;
    }
    if (!closed) {
        cursor->faulty = "a quote is never closed";
    } else if (cursor->at < cursor->end && *cursor->at != ',') {
        const uint8_t *comma =
            memchr(cursor->at, ',', (size_t)(cursor->end - cursor->at));
        cursor->faulty = "something follows a closing quote";
        cursor->at = comma ? comma : cursor->end;
    }
    return value;
}

static struct csv_value unquoted(struct cursor *cursor)
{
    size_t left = (size_t)(cursor->end - cursor->at);
    const uint8_t *comma = left ? memchr(cursor->at, ',', left) : NULL;
    const uint8_t *end = comma ? comma : cursor->end;
    struct csv_value value = {cursor->at, (uint32_t)(end - cursor->at)};
    cursor->at = end;
    return value;
}

/* False: out of memory. */
static bool keep_value(struct csv *c, const struct csv_value *value)
{
    unsigned wanted = c->wanted ? c->wanted : CSV_VALUES_MAX;
    if (c->values.used >= wanted * sizeof *value) return true;
    return buffer_append(&c->values, value, sizeof *value) == OK;
}

static bool split(struct csv *c, struct cursor *cursor, bool quotes,
                  struct csv_record *record)
{
    c->values.used = c->plain.used = 0;
    size_t bytes = (size_t)(cursor->end - cursor->at);
    if (quotes && buffer_reserve(&c->plain, bytes) != OK) return false;
    record->count = 0;
    for (bool more = bytes > 0; more; record->count++) {
        struct csv_value value;
        if (cursor->at < cursor->end && *cursor->at == '"') {
            cursor->at++;
            value = quoted(c, cursor);
        } else {
            value = unquoted(cursor);
        }
        if (!keep_value(c, &value)) return false;
        more = cursor->at < cursor->end; /* a comma: one more follows it */
        cursor->at += more;
    }
    record->values = (const struct csv_value *)(const void *)c->values.data;
    record->kept = (unsigned)(c->values.used / sizeof *record->values);
    record->faulty = cursor->faulty;
    return true;
}

static int64_t feeds_in(const uint8_t *at, const uint8_t *end)
{
    int64_t count = 0;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        count++;
        at++;
    }
    return count;
}

/* The record's bytes, without its feed. */
static enum csv_step make(struct csv *c, const uint8_t *bytes, size_t count,
                          struct csv_record *record)
{
    struct cursor cursor = {.at = bytes, .end = bytes + count};
    bool quotes = count > 0 && memchr(bytes, '"', count) != NULL;
    if (c->marked) cursor.at += MARK_BYTES;
    if (cursor.end > cursor.at && cursor.end[-1] == '\r') cursor.end--;
    if (!split(c, &cursor, quotes, record)) return CSV_NOMEM;
    record->line = c->lines + 1;
    c->lines += 1 + (quotes ? feeds_in(bytes, bytes + count) : 0);
    c->marked = c->begun = false;
    return CSV_RECORD;
}

/* ---- from block to block ---- */

static void advance(struct csv *c, const uint8_t *to)
{
    c->offset += to - c->at;
    c->at = to;
}

static enum csv_step skip_on(struct csv *c, const uint8_t *feed,
                             struct csv_record *record)
{
    const uint8_t *end = feed ? feed + 1 : c->end;
    c->lines += feeds_in(c->at, end);
    advance(c, end);
    if (feed == NULL) return CSV_MORE;
    c->skip = c->begun = c->marked = false;
    return csv_next(c, record);
}

/* Into `part`, from where the record was. CSV_RECORD: it is whole. */
static enum csv_step gather(struct csv *c, const uint8_t *feed,
                            struct csv_record *record)
{
    size_t count = (size_t)((feed ? feed : c->end) - c->at);
    if (!c->begun) c->part.used = 0;
    if (buffer_append(&c->part, c->at, count) != OK) return CSV_NOMEM;
    c->begun = true;
    advance(c, feed ? feed : c->end);
    if (feed == NULL) return CSV_MORE;
    enum csv_step step = make(c, c->part.data, c->part.used, record);
    if (step == CSV_RECORD) advance(c, feed + 1);
    return step;
}

static enum csv_step too_long(struct csv *c, struct csv_record *record)
{
    record->line = c->lines + 1;
    c->lines +=
        c->begun ? feeds_in(c->part.data, c->part.data + c->part.used) : 0;
    c->begun = c->skip = true;
    return CSV_LONG;
}

void csv_drop(struct csv *c)
{
    advance(c, c->end);
    c->begun = c->skip = false;
}

/* The record before is not looked at any more. */
static void shrink(struct buffer *b)
{
    if (b->room > ROOM_KEPT_BYTES) buffer_fini(b);
}

enum csv_step csv_next(struct csv *c, struct csv_record *record)
{
    if (!c->begun) shrink(&c->part);
    shrink(&c->plain);
    if (c->at == c->end) return CSV_MORE;
    enum csv_state state = c->state;
    bool marked = c->marked;
    const uint8_t *feed = find_end(c), *from = c->at;
    if (c->skip) return skip_on(c, feed, record);
    size_t count = (size_t)((feed ? feed : c->end) - from);
    enum csv_step step;
    if ((c->begun ? c->part.used : 0) + count > LINE_BYTES_MAX)
        step = too_long(c, record);
    else if (feed == NULL || c->begun)
        step = gather(c, feed, record);
    else
        step = make(c, from, count, record);
    if (step == CSV_RECORD && c->at == from) advance(c, feed + 1);
    if (step == CSV_LONG || (step == CSV_NOMEM && c->at == from)) {
        c->state = state; /* these bytes are looked at again */
        c->marked = marked;
    }
    return step;
}

enum csv_step csv_end(struct csv *c, struct csv_record *record)
{
    if (!c->begun || c->skip) return CSV_MORE;
    enum csv_step step = make(c, c->part.data, c->part.used, record);
    if (step == CSV_RECORD) c->state = CSV_START;
    return step;
}
