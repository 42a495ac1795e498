/* pages.h - the pages of all VMs of a node: taken by a heap, given back when it
 * ends, taken by the next.
 * A VM that is made anew every second would else leave the process's heap in
 * pieces, since aligned blocks are hard to place there. Pages are cut from
 * chunks of 128 KB; a few empty chunks are kept. Any thread. */
#ifndef LUA_PAGES_H
#define LUA_PAGES_H

#include <stddef.h>

enum { PAGE_BYTES = 16 * 1024 }; /* size and alignment of a page */

struct pages; /* opaque */

struct pages_count {
    size_t taken;  /* pages */
    size_t chunks; /* held of the process */
};

/* NULL: no memory. Owned by the caller. */
struct pages *pages_new(void);
/* Each page must have been given back (asserted). NULL is fine. */
void pages_free(struct pages *p);

/* PAGE_BYTES of undefined content. `p` may be NULL: then a page is a block of
 * mem_*. NULL: no memory. */
void *pages_take(struct pages *p);
void pages_give(struct pages *p, void *page);

struct pages_count pages_counted(struct pages *p);

#endif
