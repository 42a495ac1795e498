/* alloc.h - the one door to the heap for everything outside Lua's VMs.
 * Each returns NULL when there is no memory; the caller says what that means:
 * core/ returns ERR_NOMEM, above it one actor crashes and is restarted. Any
 * thread. The specs fail each allocation in turn behind this door. */
#ifndef CORE_ALLOC_H
#define CORE_ALLOC_H

#include <stddef.h>

/* `bytes` of undefined content. Owned by the caller: exactly one mem_free(). */
void *mem_alloc(size_t bytes);
/* count * bytes of zeroes; NULL too when the product overflows. */
void *mem_zero(size_t count, size_t bytes);
enum { CACHE_LINE_BYTES = 64 };
/* As mem_zero(), in lines of the cache that nothing else lies in: for what one
 * thread writes all the time, beside what others do. */
void *mem_lines(size_t count, size_t bytes);
/* Like realloc(): on NULL the old block is untouched and still owned. */
void *mem_resize(void *block, size_t bytes);
/* `align` is a power of two and divides `bytes`. */
void *mem_aligned(size_t align, size_t bytes);
/* A copy of the first `bytes` of `text` with a 0 behind it. */
char *mem_text(const char *text, size_t bytes);
/* NULL is fine. */
void mem_free(void *block);

/* For the whole process, before its threads start: what one thread frees,
 * another finds. Else every thread has an arena with holes of its own, and
 * memory grows for as long as machines are made anew. */
void mem_share(void);

#endif
