#include "core/alloc.h"
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *mem_alloc(size_t bytes)
{
    return malloc(bytes ? bytes : 1);
}

void *mem_zero(size_t count, size_t bytes)
{
    return calloc(count ? count : 1, bytes ? bytes : 1);
}

void *mem_lines(size_t count, size_t bytes)
{
    size_t whole;
    if (__builtin_mul_overflow(count, bytes, &whole) ||
        __builtin_add_overflow(whole, CACHE_LINE_BYTES - 1, &whole))
        return NULL;
    whole -= whole % CACHE_LINE_BYTES;
    void *block =
        mem_aligned(CACHE_LINE_BYTES, whole ? whole : CACHE_LINE_BYTES);
    if (block) memset(block, 0, whole);
    return block;
}

void *mem_resize(void *block, size_t bytes)
{
    return realloc(block, bytes ? bytes : 1);
}

void *mem_aligned(size_t align, size_t bytes)
{
    return aligned_alloc(align, bytes);
}

char *mem_text(const char *text, size_t bytes)
{
    char *copy = mem_alloc(bytes + 1);
    if (copy == NULL) return NULL;
    if (bytes > 0) memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

void mem_free(void *block)
{
    free(block);
}

void mem_share(void)
{
    enum { KEPT_BYTES = 16 << 20 }; /* at the top, for the next need */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}
