/* words.c - the operator `words "line"`: for each run of ASCII letters in a
 * text one tuple, lower-cased. Other bytes, of UTF-8 letters too, are no
 * letters. */
#include "actors/operators/operator.h"
#include "actors/stream/combiner.h"
#include "core/buffer.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct words {
    struct buffer scratch; /* a word that is no short string */
};

enum { BLOCK = 64, LOWER = 0x20 };

static err make(struct component_context *context, void *self)
{
    return OK;
}

static void end(struct component_context *context, void *self)
{
    struct words *w = self;
    buffer_fini(&w->scratch);
}

/* ---- where letters are ---- */

/* Which of the next `count` bytes (at most BLOCK) are letters: a bit for each,
 * the first one lowest. Reads up to SHORT_SLACK bytes behind them. */
static inline uint64_t letters(const uint8_t *s, size_t count)
{
    uint64_t bits = 0;
#ifdef __SSE2__
    const __m128i lower = _mm_set1_epi8(LOWER), a = _mm_set1_epi8('a');
    const __m128i last = _mm_set1_epi8(25);
    for (size_t i = 0; i < count; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
        __m128i over = _mm_sub_epi8(_mm_or_si128(bytes, lower), a);
        __m128i in = _mm_cmpeq_epi8(_mm_min_epu8(over, last), over);
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(in) << i;
    }
#else
    for (size_t i = 0; i < count; i++)
        bits |= (uint64_t)((uint8_t)((s[i] | LOWER) - 'a') < 26) << i;
#endif
    return count < BLOCK ? bits & (((uint64_t)1 << count) - 1) : bits;
}

/* ---- a word ---- */

/* In lower case. */
static inline struct short_string lowered(const uint8_t *s, size_t count)
{
    const uint64_t bits = 0x4040404040404040u; /* of letters, and no zero */
    struct short_string word = short_read((const char *)s, count);
    word.low |= (word.low & bits) >> 1;
    word.high |= (word.high & bits) >> 1;
    return word;
}

static inline bool put_to(struct emitter *e, struct port *port,
                          struct short_string word)
{
    uint8_t *at = port_reserve(e, port, 1 + sizeof word);
    if (at == NULL) return false;
    uint32_t length = (uint32_t)(word.high >> 56);
    *at = (uint8_t)(MSGPACK_FIXSTR | length);
    short_write(at + 1, word);
    port_commit(e, port, at + 1 + length);
    return true;
}

static bool put_to_all(struct emitter *e, struct route *route,
                       struct short_string word)
{
    for (uint32_t i = 0; i < route->port_count; i++)
        if (!put_to(e, &route->ports[i], word)) return false;
    return true;
}

static inline bool put_short(struct emitter *e, struct short_string word)
{
    struct out_stream *stream = &e->streams[0];
    uint64_t hash = short_hash(word, 0);
    for (unsigned i = 0; i < stream->route_count; i++) {
        if (stream->routes[i].input->grouping == GROUPING_ALL) {
            if (!put_to_all(e, &stream->routes[i], word)) return false;
            continue;
        }
        struct port *port = route_port(e, &stream->routes[i], hash);
        if (port->combiner) {
            if (!combiner_add_short(e, port, word, hash)) return false;
            continue;
        }
        if (!put_to(e, port, word)) return false;
    }
    e->emitted++;
    return true;
}

static bool put_long(struct emitter *e, struct words *w, const uint8_t *s,
                     size_t count)
{
    w->scratch.used = 0;
    if (buffer_reserve(&w->scratch, VALUE_HEAD_MAX + count) != OK) {
        e->failed = true;
        return false;
    }
    uint8_t *at = value_put_bytes_head(w->scratch.data, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        at[i] = s[i] | LOWER;
    at += count;
    return emitter_put(e, 0, w->scratch.data, (uint32_t)(at - w->scratch.data));
}

static inline bool put(struct emitter *e, struct words *w, const uint8_t *s,
                       size_t count)
{
    return count <= SHORT_MAX ? put_short(e, lowered(s, count))
                              : put_long(e, w, s, count);
}

/* ---- a text ---- */

/* False: refused. A bit of `edges` says: here a word begins or, if one is in
 * hand, has ended. */
static bool split(struct emitter *e, struct words *w, const uint8_t *s,
                  size_t count)
{
    size_t begin = 0;
    bool inside = false; /* a word, which may go on in the next block */
    for (size_t at = 0; at < count; at += BLOCK) {
        size_t part = count - at < BLOCK ? count - at : BLOCK;
        uint64_t bits = letters(s + at, part);
        uint64_t edges = bits ^ (bits << 1 | inside);
        for (; edges != 0; edges &= edges - 1, inside = !inside) {
            size_t edge = at + (size_t)__builtin_ctzll(edges);
            if (!inside)
                begin = edge;
            else if (!put(e, w, s + begin, edge - begin))
                return false;
        }
    }
    return !inside || put(e, w, s + begin, count - begin);
}

static enum step execute(struct component_context *context, void *self,
                         struct input *input)
{
    const struct operator_config *config = operator_config(context);
    unsigned place = config->places[input->source];
    unsigned arity = input_stream(context, input->source)->arity;
    const uint8_t *at;
    while ((at = input_next(context, input)) != NULL) {
        struct value text;
        const uint8_t *field = value_skip_many(at, place);
        const uint8_t *behind = value_get(field, &text);
        if (text.type != VALUE_BYTES) {
            operator_fail_value(context, input, field,
                                value_skip_many(at, arity),
                                "not a string; emit text");
            continue;
        }
        split(context->emitter, self, (const uint8_t *)text.as.bytes,
              text.count);
        input_done(context, input, value_skip_many(behind, arity - place - 1));
    }
    return STEP_DONE;
}

static const struct component_class class = {
    .name = "words",
    .state_bytes = sizeof(struct words),
    .change = operator_change,
    .make = make,
    .free = end,
    .execute = execute,
};

const struct operator_kind operator_words = {.name = "words", .class = &class};
