#include "lua/byteset.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

const struct byteset byteset_nothing,
    byteset_everything = {{~0ull, ~0ull, ~0ull, ~0ull}};

/* The class of a letter as in "%a", lower case: false for other characters. */
static bool class_of(uint8_t letter, struct byteset *out)
{
    struct byteset s = byteset_nothing;
    switch (letter) {
    case 'a': s.word[1] = 0x07fffffe07fffffe; break;
    case 'c': s.word[0] = 0xffffffff, s.word[1] = 1ull << 63; break;
    case 'd': s.word[0] = 0x03ff000000000000; break;
    case 'g': s.word[0] = ~1ull << 32, s.word[1] = ~0ull >> 1; break;
    case 'l': s.word[1] = 0x07fffffe00000000; break;
    case 'p':
        s.word[0] = 0xfc00fffe00000000, s.word[1] = 0x78000001f8000001;
        break;
    case 's': s.word[0] = 0x0000000100003e00; break;
    case 'u': s.word[1] = 0x0000000007fffffe; break;
    case 'w':
        s.word[0] = 0x03ff000000000000, s.word[1] = 0x07fffffe07fffffe;
        break;
    case 'x':
        s.word[0] = 0x03ff000000000000, s.word[1] = 0x0000007e0000007e;
        break;
    case 'z': s.word[0] = 1; break; /* undocumented, but there */
    default: return false;
    }
    *out = s;
    return true;
}

void byteset_join(struct byteset *s, const struct byteset *other)
{
    for (int i = 0; i < 4; i++)
        s->word[i] |= other->word[i];
}

void byteset_cut(struct byteset *s, const struct byteset *other)
{
    for (int i = 0; i < 4; i++)
        s->word[i] &= other->word[i];
}

void byteset_invert(struct byteset *s)
{
    for (int i = 0; i < 4; i++)
        s->word[i] = ~s->word[i];
}

bool byteset_same(const struct byteset *a, const struct byteset *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool byteset_apart(const struct byteset *a, const struct byteset *b)
{
    struct byteset both = *a;
    byteset_cut(&both, b);
    return byteset_same(&both, &byteset_nothing);
}

bool byteset_class(uint8_t c, struct byteset *out)
{
    bool upper = c >= 'A' && c <= 'Z';
    if (!class_of(upper ? c | 0x20 : c, out)) return false;
    if (upper) byteset_invert(out);
    return true;
}

void byteset_put_escape(struct byteset *s, uint8_t c)
{
    struct byteset class;
    if (byteset_class(c, &class))
        byteset_join(s, &class);
    else
        byteset_put(s, c);
}

struct byteset byteset_bracket(const char *p, const char *end)
{
    struct byteset s = byteset_nothing;
    bool inverted = p[1] == '^';
    for (p += inverted ? 2 : 1; p < end; p++) {
        if (*p == '%') {
            byteset_put_escape(&s, (uint8_t) * ++p);
        } else if (p[1] == '-' && p + 2 < end) {
            for (int c = (uint8_t)p[0]; c <= (uint8_t)p[2]; c++)
                byteset_put(&s, (uint8_t)c);
            p += 2;
        } else {
            byteset_put(&s, (uint8_t)*p);
        }
    }
    if (inverted) byteset_invert(&s);
    return s;
}

/* ---- for running over text ---- */

/* The only byte of the set; -1 if there are more, or none. */
static int only_byte(const struct byteset *s)
{
    int byte = -1;
    for (int i = 0; i < 4; i++) {
        uint64_t w = s->word[i];
        if (w == 0) continue;
        if (byte >= 0 || (w & (w - 1)) != 0) return -1;
        byte = i * 64 + __builtin_ctzll(w);
    }
    return byte;
}

static void classify(struct set *x)
{
    struct byteset others = x->bytes;
    byteset_invert(&others);
    int member = only_byte(&x->bytes), missing = only_byte(&others);
    x->kind = byteset_same(&others, &byteset_nothing) ? SET_ALL : SET_SOME;
    if (member >= 0) x->kind = SET_ONE;
    if (missing >= 0) x->kind = SET_ALL_BUT_ONE;
    x->byte = (uint8_t)(member >= 0 ? member : missing);
}

static void fill(const struct set *x, uint8_t *table)
{
    for (int i = 0; i < 4; i++)
        for (uint64_t w = x->bytes.word[i]; w != 0; w &= w - 1)
            table[i * 64 + __builtin_ctzll(w)] |= x->bit;
}

static void set_ranges(struct set *x)
{
    const struct byteset *s = &x->bytes;
    unsigned n = 0;
    for (unsigned low = 0, high; low < 256; low = high) {
        for (high = low; high < 256 && byteset_in(s, (uint8_t)high); high++)
            continue;
        if (high == low) {
            high++;
            continue;
        }
        if (n == SET_RANGES_MAX) return;
        x->ranges[n].low = (uint8_t)low;
        x->ranges[n++].width = (uint8_t)(high - low - 1);
    }
    x->range_count = (uint8_t)n;
}

void set_make(struct set *x, const struct byteset *bytes, uint8_t *table,
              uint8_t bit)
{
    *x = (struct set){.bytes = *bytes, .table = table, .bit = bit};
    classify(x);
    set_ranges(x);
    fill(x, table);
}

static uint64_t members_by_table(const struct set *x, const char *s,
                                 size_t count)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++)
        bits |= (uint64_t)set_has(x, s[i]) << i;
    return bits;
}

#ifdef __SSE2__
/* A byte is in a range when (byte - low) is at most its width, unsigned. */
static uint64_t members_of_16(const struct set *x, const char *s)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)s);
    __m128i any = _mm_setzero_si128();
    for (unsigned i = 0; i < x->range_count; i++) {
        __m128i low = _mm_set1_epi8((char)x->ranges[i].low);
        __m128i width = _mm_set1_epi8((char)x->ranges[i].width);
        __m128i over = _mm_sub_epi8(bytes, low);
        any =
            _mm_or_si128(any, _mm_cmpeq_epi8(_mm_min_epu8(over, width), over));
    }
    return (uint64_t)_mm_movemask_epi8(any);
}

static uint64_t members_by_range(const struct set *x, const char *s,
                                 size_t count)
{
    uint64_t bits = 0;
    size_t i = 0;
    for (; i + 16 <= count; i += 16)
        bits |= members_of_16(x, s + i) << i;
    if (i == count) return bits;
    char rest[16] = {0};
    memcpy(rest, s + i, count - i);
    uint64_t mask = (1u << (count - i)) - 1;
    return bits | (members_of_16(x, rest) & mask) << i;
}
#endif

uint64_t set_members(const struct set *x, const char *s, const char *end)
{
    size_t left = (size_t)(end - s);
    size_t count = left < SET_BLOCK ? left : SET_BLOCK;
#ifdef __SSE2__
    if (x->range_count > 0) return members_by_range(x, s, count);
#endif
    return members_by_table(x, s, count);
}
