#include "lua/heap.h"
#include "core/alloc.h"
#include "core/short.h"
#include <assert.h>
#include <string.h>

enum {
    GRAIN = 16,                  /* small blocks are multiples of it */
    SMALL_BYTES = 2048,          /* the largest small block */
    SIZES = SMALL_BYTES / GRAIN, /* sizes a small request can be rounded to */
    CLASSES = 28,                /* see class_bytes */
    MIXED = CLASSES,             /* the class of a page for all of them */
    MIXED_MAX = 5,               /* such pages, before each class has its own */
    SPARES_MAX = 2,              /* empty pages kept for the next need */
};

/* 16-byte steps up to 256, then four steps per doubling: what is lost within
 * a block stays under a fifth. */
static const uint16_t class_bytes[CLASSES] = {
    16,  32,  48,  64,  80,  96,  112, 128, 144, 160,  176,  192,  208,  224,
    240, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048,
};

struct block {
    struct block *next;
};

/* The head of PAGE_BYTES; blocks of its class follow it. */
struct page {
    struct block *free; /* blocks that were given back */
    char *fresh;        /* from here on no block was ever given out */
    char *end;
    uint32_t used; /* blocks given out; not counted in a mixed one */
    uint32_t class;
    uint64_t serial;
    struct page *next, *previous; /* pages of its class that have room */
    struct page *older, *newer;   /* all pages of the heap */
    bool listed;
};

/* Stands behind the head of its first page, which is a mixed one. */
struct heap {
    struct block *loose[CLASSES]; /* blocks of mixed pages given back */
    struct page *open[CLASSES];   /* pages with room; the first is used */
    struct page *spares;
    struct page *pages;  /* all, the newest first; spares are not among them */
    struct pages *depot; /* borrowed; NULL: pages are mem_*'s */
    uint32_t spare_count;
    uint32_t mixed_count;
    char *fresh, *end; /* of the newest mixed page: never given out */
    bool plain;
    size_t limit_bytes;
    struct heap_count count;
    uint64_t fail_in, failures;
    uint64_t serials;
    uint8_t class_of[SIZES + 1]; /* by (bytes + GRAIN - 1) / GRAIN */
};

/* Blocks keep the alignment of malloc. */
enum {
    PAGE_HEAD = (sizeof(struct page) + GRAIN - 1) / GRAIN * GRAIN,
    HEAP_HEAD = (sizeof(struct heap) + GRAIN - 1) / GRAIN * GRAIN,
};

static struct page *page_of(const void *block)
{
    /* Pages are aligned to their size. */
    return (struct page *)((uintptr_t)block & ~(uintptr_t)(PAGE_BYTES - 1));
}

static void list_page(struct heap *h, struct page *p)
{
    p->next = h->open[p->class];
    p->previous = NULL;
    if (p->next) p->next->previous = p;
    h->open[p->class] = p;
    p->listed = true;
}

static void unlist_page(struct heap *h, struct page *p)
{
    if (p->previous)
        p->previous->next = p->next;
    else
        h->open[p->class] = p->next;
    if (p->next) p->next->previous = p->previous;
    p->listed = false;
}

/* May `bytes` more be held? */
static bool has_room(const struct heap *h, size_t bytes)
{
    return bytes <= h->limit_bytes &&
           h->count.held_bytes <= h->limit_bytes - bytes;
}

static void release_spares(struct heap *h)
{
    while (h->spares) {
        struct page *p = h->spares;
        h->spares = p->next;
        h->count.held_bytes -= PAGE_BYTES;
        pages_give(h->depot, p);
    }
    h->spare_count = 0;
}

/* Makes it the newest page of the heap. */
static void enter_page(struct heap *h, struct page *p, uint32_t class)
{
    *p = (struct page){
        .class = class,
        .serial = ++h->serials,
        .older = h->pages,
    };
    if (p->older) p->older->newer = p;
    h->pages = p;
}

static struct page *new_page(struct heap *h, uint32_t class, bool limited)
{
    struct page *p = h->spares;
    if (p) {
        h->spares = p->next;
        h->spare_count--;
    } else {
        if (limited && !has_room(h, PAGE_BYTES)) return NULL;
        p = pages_take(h->depot);
        if (p == NULL) return NULL;
        h->count.held_bytes += PAGE_BYTES;
    }
    enter_page(h, p, class);
    return p;
}

static bool new_class_page(struct heap *h, uint32_t class, bool limited)
{
    struct page *p = new_page(h, class, limited);
    if (p == NULL) return false;
    size_t room = PAGE_BYTES - PAGE_HEAD - SHORT_SLACK;
    p->fresh = (char *)p + PAGE_HEAD;
    p->end = p->fresh + room - room % class_bytes[class];
    list_page(h, p);
    return true;
}

static void begin_mixed(struct heap *h, struct page *p, size_t head_bytes)
{
    h->mixed_count++;
    h->fresh = (char *)p + head_bytes;
    h->end = (char *)p + PAGE_BYTES - SHORT_SLACK;
}

struct heap *heap_new(size_t limit_bytes, bool plain, struct pages *depot)
{
    struct page *p = pages_take(depot);
    if (p == NULL) return NULL;
    struct heap *h = (struct heap *)(void *)((char *)p + PAGE_HEAD);
    *h = (struct heap){
        .plain = plain,
        .limit_bytes = limit_bytes,
        .depot = depot,
        .count.held_bytes = plain ? 0 : PAGE_BYTES,
    };
    for (unsigned i = 0, class = 0; i <= SIZES; i++) {
        if (i * GRAIN > class_bytes[class]) class ++;
        h->class_of[i] = (uint8_t) class;
    }
    enter_page(h, p, MIXED);
    begin_mixed(h, p, PAGE_HEAD + HEAP_HEAD);
    return h;
}

/* A block from a page that has room. */
static void *from_page(struct heap *h, struct page *p)
{
    struct block *b = p->free;
    p->used++;
    if (b) {
        p->free = b->next;
        return b;
    }
    b = (struct block *)(void *)p->fresh;
    p->fresh += class_bytes[p->class];
    return b;
}

static bool is_full(const struct page *p)
{
    return p->free == NULL && p->fresh == p->end;
}

static size_t mixed_left_bytes(const struct heap *h)
{
    return (size_t)(h->end - h->fresh);
}

static void loosen(struct heap *h, struct block *b, uint32_t class)
{
    b->next = h->loose[class];
    h->loose[class] = b;
}

/* What is left of the newest mixed page becomes blocks given back. */
static void use_up_mixed(struct heap *h)
{
    for (uint32_t class = CLASSES; class -- > 0;)
        while (class_bytes[class] <= mixed_left_bytes(h)) {
            loosen(h, (struct block *)(void *)h->fresh, class);
            h->fresh += class_bytes[class];
        }
}

/* A small heap has a few pages for blocks of all sizes: were there one for
 * each size, most of them would be all but empty. */
static void *from_mixed(struct heap *h, uint32_t class, bool limited)
{
    if (class_bytes[class] > mixed_left_bytes(h)) {
        if (h->mixed_count == MIXED_MAX) return NULL;
        struct page *p = new_page(h, MIXED, limited);
        if (p == NULL) return NULL;
        use_up_mixed(h);
        begin_mixed(h, p, PAGE_HEAD);
    }
    void *b = h->fresh;
    h->fresh += class_bytes[class];
    return b;
}

static void *small_slowly(struct heap *h, uint32_t class, bool limited)
{
    if (h->open[class] == NULL) {
        void *b = from_mixed(h, class, limited);
        if (b) return b;
    }
    while (h->open[class] && is_full(h->open[class]))
        unlist_page(h, h->open[class]);
    if (h->open[class] == NULL && !new_class_page(h, class, limited))
        return NULL;
    return from_page(h, h->open[class]);
}

static inline void *small_new(struct heap *h, size_t bytes, bool limited)
{
    uint32_t class = h->class_of[(bytes + GRAIN - 1) / GRAIN];
    struct block *b = h->loose[class];
    if (b) {
        h->loose[class] = b->next;
        return b;
    }
    struct page *p = h->open[class];
    if (p && p->free) {
        b = p->free;
        p->free = b->next;
        p->used++;
        return b;
    }
    return small_slowly(h, class, limited);
}

/* An empty page leaves its class, so that no class can hoard memory. */
static void page_emptied(struct heap *h, struct page *p)
{
    if (h->open[p->class] == p && p->next == NULL) return; /* the last one */
    if (p->listed) unlist_page(h, p);
    if (p->newer)
        p->newer->older = p->older;
    else
        h->pages = p->older;
    if (p->older) p->older->newer = p->newer;
    if (h->spare_count < SPARES_MAX) {
        p->next = h->spares;
        h->spares = p;
        h->spare_count++;
        return;
    }
    h->count.held_bytes -= PAGE_BYTES;
    pages_give(h->depot, p);
}

static inline void small_free(struct heap *h, void *block, size_t bytes)
{
    struct block *b = block;
    struct page *p = page_of(block);
    if (p->class == MIXED) {
        loosen(h, b, h->class_of[(bytes + GRAIN - 1) / GRAIN]);
        return;
    }
    b->next = p->free;
    p->free = b;
    if (!p->listed) list_page(h, p);
    if (--p->used == 0) page_emptied(h, p);
}

static void *large_new(struct heap *h, size_t bytes, bool limited)
{
    if (limited && !has_room(h, bytes)) {
        release_spares(h);
        if (!has_room(h, bytes)) return NULL;
    }
    void *block = mem_alloc(bytes + SHORT_SLACK);
    if (block) h->count.held_bytes += bytes;
    return block;
}

static bool is_small(const struct heap *h, size_t bytes)
{
    return bytes <= SMALL_BYTES && !h->plain;
}

static void *block_new(struct heap *h, size_t bytes, bool limited)
{
    return is_small(h, bytes) ? small_new(h, bytes, limited)
                              : large_new(h, bytes, limited);
}

static void block_free(struct heap *h, void *block, size_t bytes)
{
    if (is_small(h, bytes)) {
        small_free(h, block, bytes);
    } else {
        h->count.held_bytes -= bytes;
        mem_free(block);
    }
}

static void *large_resize(struct heap *h, void *block, size_t old_bytes,
                          size_t new_bytes)
{
    size_t more = new_bytes > old_bytes ? new_bytes - old_bytes : 0;
    if (more > 0 && !has_room(h, more)) {
        release_spares(h);
        if (!has_room(h, more)) return NULL;
    }
    void *moved = mem_resize(block, new_bytes + SHORT_SLACK);
    if (moved) h->count.held_bytes += new_bytes - old_bytes;
    return moved;
}

/* Does a block given out for the one size serve the other as it is? */
static bool same_class(const struct heap *h, size_t a, size_t b)
{
    return is_small(h, a) && is_small(h, b) &&
           h->class_of[(a + GRAIN - 1) / GRAIN] ==
               h->class_of[(b + GRAIN - 1) / GRAIN];
}

static void *block_resize(struct heap *h, void *block, size_t old_bytes,
                          size_t new_bytes)
{
    if (same_class(h, old_bytes, new_bytes)) return block;
    if (!is_small(h, old_bytes) && !is_small(h, new_bytes))
        return large_resize(h, block, old_bytes, new_bytes);
    bool shrinks = new_bytes <= old_bytes;
    void *moved = block_new(h, new_bytes, !shrinks);
    if (moved == NULL) {
        /* Lua expects shrinking to succeed; a small block is found again by
         * its page, so it may stay where it is. */
        return shrinks && is_small(h, old_bytes) ? block : NULL;
    }
    memcpy(moved, block, shrinks ? new_bytes : old_bytes);
    block_free(h, block, old_bytes);
    return moved;
}

static bool is_failing(struct heap *h)
{
    if (h->fail_in == 0) return false;
    if (h->fail_in > 1) {
        h->fail_in--;
        return false;
    }
    if (h->failures > 0 && --h->failures == 0) h->fail_in = 0;
    return true;
}

void *heap_realloc(void *heap, void *block, size_t old_bytes, size_t new_bytes)
{
    struct heap *h = heap;
    if (block == NULL) {
        if (new_bytes == 0) return NULL; /* old_bytes is a kind of object */
        if (h->fail_in && is_failing(h)) return NULL;
        void *fresh = block_new(h, new_bytes, true);
        if (fresh == NULL) return NULL;
        h->count.allocations++;
        h->count.used_bytes += new_bytes;
        if (new_bytes > SMALL_BYTES) h->count.large_bytes += new_bytes;
        return fresh;
    }
    if (new_bytes == 0) {
        h->count.used_bytes -= old_bytes;
        block_free(h, block, old_bytes);
        return NULL;
    }
    if (new_bytes > old_bytes && h->fail_in && is_failing(h)) return NULL;
    void *moved = block_resize(h, block, old_bytes, new_bytes);
    if (moved == NULL) return NULL;
    h->count.allocations += new_bytes > old_bytes;
    if (new_bytes > old_bytes && new_bytes > SMALL_BYTES)
        h->count.large_bytes += new_bytes;
    h->count.used_bytes += new_bytes - old_bytes;
    return moved;
}

struct heap_count heap_counted(const struct heap *h)
{
    return h->count;
}

void heap_fail(struct heap *h, uint64_t n, uint64_t failures)
{
    h->fail_in = n;
    h->failures = failures;
}

uint64_t heap_rank(const struct heap *h, const void *block)
{
    if (h->plain) return 0;
    /* A stranger's page may not even be mapped: look among ours. */
    const struct page *p = h->pages;
    while (p && p != page_of(block))
        p = p->older;
    if (p == NULL) return 0;
    return p->serial * PAGE_BYTES + (uint64_t)((uintptr_t)block - (uintptr_t)p);
}

void heap_set_limit(struct heap *h, size_t limit_bytes)
{
    h->limit_bytes = limit_bytes;
}

void heap_free(struct heap *h)
{
    if (h == NULL) return;
    assert(h->count.used_bytes == 0);
    release_spares(h);
    struct pages *depot = h->depot;
    struct page *p = h->pages;
    while (p) { /* the oldest, which comes last, holds the heap itself */
        struct page *older = p->older;
        pages_give(depot, p);
        p = older;
    }
}
