/* byteset.h - sets of bytes, as Lua's patterns have them: classes ("%a"),
 * brackets ("[^,;]"), and how text is run over by them. */
#ifndef LUA_BYTESET_H
#define LUA_BYTESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct byteset {
    uint64_t word[4];
};

extern const struct byteset byteset_nothing, byteset_everything;

static inline bool byteset_in(const struct byteset *s, uint8_t byte)
{
    return s->word[byte >> 6] >> (byte & 63) & 1;
}

static inline void byteset_put(struct byteset *s, uint8_t byte)
{
    s->word[byte >> 6] |= 1ull << (byte & 63);
}

void byteset_join(struct byteset *s, const struct byteset *other);
void byteset_cut(struct byteset *s, const struct byteset *other);
void byteset_invert(struct byteset *s);
bool byteset_same(const struct byteset *a, const struct byteset *b);
bool byteset_apart(const struct byteset *a, const struct byteset *b);

/* What "%c" matches, in the C locale; false when that is c itself. */
bool byteset_class(uint8_t c, struct byteset *out);
/* Adds what "%c" matches. */
void byteset_put_escape(struct byteset *s, uint8_t c);
/* What "[...]" matches; p is at the '[', end at the ']' that closes it. Where a
 * range swallows a '%', the escape behind it may name the ']' itself. */
struct byteset byteset_bracket(const char *p, const char *end);

/* ---- for running over text ---- */

enum {
    SETS_PER_TABLE = 8, /* so many share a table, a bit for each */
    SET_TABLE_BYTES = 256,
    SET_RANGES_MAX = 4,
    SET_BLOCK = 64, /* bytes that set_members() looks at */
};

enum set_kind { SET_SOME, SET_ALL, SET_ONE, SET_ALL_BUT_ONE };

struct set {
    struct byteset bytes;
    const uint8_t *table;
    uint8_t bit;
    uint8_t kind;
    uint8_t byte;        /* the one of SET_ONE and SET_ALL_BUT_ONE */
    uint8_t range_count; /* 0: more than SET_RANGES_MAX, or none */
    struct {
        uint8_t low, width; /* width: how many come after low */
    } ranges[SET_RANGES_MAX];
};

/* `table` has room for `bit` of each byte, zeroed before; borrowed. */
void set_make(struct set *x, const struct byteset *bytes, uint8_t *table,
              uint8_t bit);

static inline bool set_has(const struct set *x, char c)
{
    return x->table[(uint8_t)c] & x->bit;
}

/* The first byte from s on that is not in x; end if there is none. */
static inline const char *set_run_end(const struct set *x, const char *s,
                                      const char *end)
{
    if (x->kind == SET_ALL) return end;
    if (x->kind == SET_ALL_BUT_ONE) {
        const char *at = memchr(s, x->byte, (size_t)(end - s));
        return at ? at : end;
    }
    while (s < end && set_has(x, *s))
        s++;
    return s;
}

/* The first byte from s on that is in x; end if there is none. */
static inline const char *set_first_in(const struct set *x, const char *s,
                                       const char *end)
{
    if (x->kind == SET_ALL) return s;
    if (x->kind == SET_ONE) {
        const char *at = memchr(s, x->byte, (size_t)(end - s));
        return at ? at : end;
    }
    while (s < end && !set_has(x, *s))
        s++;
    return s;
}

/* Which of the 64 bytes from s on are in x: a bit for each, the first one
 * lowest; those from `end` on are not. One pass without a branch per byte:
 * where runs are as short as words, every end that a loop meets is a branch
 * that the processor guessed wrong. */
uint64_t set_members(const struct set *x, const char *s, const char *end);

#endif
