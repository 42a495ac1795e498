#include "lua/programs.h"
#include <string.h>

enum { KEEP_EVERY = 8 };

/* By content, not by address: what is kept, and so what is allocated, is the
 * same in each run of a simulated world. */
static unsigned row_of(const char *pattern, size_t bytes)
{
    uint8_t first = (uint8_t)pattern[0];
    uint8_t middle = (uint8_t)pattern[bytes / 2];
    uint8_t last = (uint8_t)pattern[bytes > 0 ? bytes - 1 : 0];
    uint32_t mixed = ((uint32_t)bytes * 31 + first) * 31 + middle;
    return ((mixed * 31 + last) * 0x9e3779b9u) >> 27; /* PROGRAMS_ROWS is 2^5 */
}

/* FNV-1a. */
static uint32_t hash_of(const char *pattern, size_t bytes)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)pattern[i]) * 16777619u;
    return hash;
}

static bool holds(const struct cached *e, const char *pattern, bool anchors)
{
    return e->pattern == pattern && e->anchors == anchors;
}

/* Takes the program at the top for the pattern at index 2. [-0, +0, -] */
static void keep(lua_State *L, struct programs *cache, const char *pattern,
                 size_t bytes, bool anchors, const struct program *program)
{
    unsigned row = row_of(pattern, bytes);
    unsigned n = row * PROGRAMS_WAYS + cache->victim[row];
    cache->victim[row] = (uint8_t)((cache->victim[row] + 1) % PROGRAMS_WAYS);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, PROGRAMS, (int)n * 2 + 1);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, PROGRAMS, (int)n * 2 + 2);
    cache->entries[n] = (struct cached){pattern, anchors, program};
}

/* The number of the pattern's entry, or -1. */
static inline int probe(const struct programs *cache, const char *pattern,
                        size_t bytes, bool anchors)
{
    int n = (int)row_of(pattern, bytes) * PROGRAMS_WAYS;
    if (holds(&cache->entries[n], pattern, anchors)) return n;
    if (holds(&cache->entries[n + 1], pattern, anchors)) return n + 1;
    return -1;
}

/* A pattern too large to be kept costs its length each time; it is charged when
 * the matching begins. */
static void charge_large(struct programs *cache, const struct program *program,
                         size_t bytes)
{
    if (program->bytes > PROGRAM_KEPT_BYTES) cache->fuel -= (int64_t)bytes;
}

/* [-0, +1, m] */
static const struct program *compile_kept(lua_State *L, struct programs *cache,
                                          const char *pattern, size_t bytes,
                                          bool anchors)
{
    const struct program *program =
        program_compile(L, pattern, bytes, anchors && *pattern == '^', NULL);
    charge_large(cache, program, bytes);
    if (program->bytes <= PROGRAM_KEPT_BYTES)
        keep(L, cache, pattern, bytes, anchors, program);
    return program;
}

const struct program *programs_at_2(lua_State *L, struct programs *cache,
                                    const char *pattern, size_t bytes)
{
    int n = probe(cache, pattern, bytes, true);
    if (n >= 0) return cache->entries[n].program;
    uint32_t hash = hash_of(pattern, bytes);
    uint32_t *seen = &cache->seen[row_of(pattern, bytes)];
    if (*seen == hash || ++cache->misses % KEEP_EVERY == 0)
        return compile_kept(L, cache, pattern, bytes, true);
    *seen = hash;
    const struct program *program =
        program_compile(L, pattern, bytes, *pattern == '^', cache->scratch);
    charge_large(cache, program, bytes);
    return program;
}

const struct program *programs_push(lua_State *L, struct programs *cache,
                                    const char *pattern, size_t bytes,
                                    bool anchors)
{
    int n = probe(cache, pattern, bytes, anchors);
    if (n < 0) return compile_kept(L, cache, pattern, bytes, anchors);
    lua_getiuservalue(L, PROGRAMS, n * 2 + 2);
    return cache->entries[n].program;
}

struct programs *programs_new(lua_State *L)
{
    struct programs *cache =
        lua_newuserdatauv(L, sizeof *cache, 2 * PROGRAMS_ROWS * PROGRAMS_WAYS);
    *cache = (struct programs){.fuel = 0};
    return cache;
}
