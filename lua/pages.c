#include "lua/pages.h"
#include "core/alloc.h"
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    CHUNK_BYTES = 128 * 1024, /* size and alignment of a chunk */
    EMPTY_MAX = 8,            /* empty chunks kept for the next need */
};

struct free_page {
    struct free_page *next;
};

/* The first page of CHUNK_BYTES; the others are given out. */
struct chunk {
    struct free_page *free; /* pages that were given back */
    char *fresh;            /* from here on no page was ever given out */
    unsigned used;
    struct chunk *next, *previous; /* in the list it is in */
};

struct pages {
    pthread_mutex_t lock;
    struct chunk *open;  /* those with pages in use and with room */
    struct chunk *empty; /* those without pages in use */
    unsigned empty_count;
    struct pages_count count;
};

struct pages *pages_new(void)
{
    struct pages *p = mem_zero(1, sizeof *p);
    if (p) pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void list(struct chunk **head, struct chunk *c)
{
    c->next = *head;
    c->previous = NULL;
    if (c->next) c->next->previous = c;
    *head = c;
}

static void unlist(struct chunk **head, struct chunk *c)
{
    if (c->previous)
        c->previous->next = c->next;
    else
        *head = c->next;
    if (c->next) c->next->previous = c->previous;
}

static char *end_of(struct chunk *c)
{
    return (char *)c + CHUNK_BYTES;
}

static bool is_full(struct chunk *c)
{
    return c->free == NULL && c->fresh == end_of(c);
}

/* An empty chunk, kept or new, is open now. */
static struct chunk *open_chunk(struct pages *p)
{
    struct chunk *c = p->empty;
    if (c) {
        unlist(&p->empty, c);
        p->empty_count--;
    } else {
        c = mem_aligned(CHUNK_BYTES, CHUNK_BYTES);
        if (c == NULL) return NULL;
        *c = (struct chunk){.fresh = (char *)c + PAGE_BYTES};
        p->count.chunks++;
    }
    list(&p->open, c);
    return c;
}

static void *page_from(struct pages *p, struct chunk *c)
{
    void *page = c->free;
    if (page) {
        c->free = c->free->next;
    } else {
        page = c->fresh;
        c->fresh += PAGE_BYTES;
    }
    c->used++;
    p->count.taken++;
    if (is_full(c)) unlist(&p->open, c);
    return page;
}

void *pages_take(struct pages *p)
{
    if (p == NULL) return mem_aligned(PAGE_BYTES, PAGE_BYTES);
    pthread_mutex_lock(&p->lock);
    struct chunk *c = p->open ? p->open : open_chunk(p);
    void *page = c ? page_from(p, c) : NULL;
    pthread_mutex_unlock(&p->lock);
    return page;
}

static void release(struct pages *p, struct chunk *c)
{
    p->count.chunks--;
    mem_free(c);
}

/* Its last page has come back. */
static void chunk_emptied(struct pages *p, struct chunk *c)
{
    unlist(&p->open, c);
    if (p->empty_count == EMPTY_MAX) {
        release(p, c);
        return;
    }
    list(&p->empty, c);
    p->empty_count++;
}

void pages_give(struct pages *p, void *page)
{
    if (p == NULL) {
        mem_free(page);
        return;
    }
    /* Chunks are aligned to their size. */
    struct chunk *c =
        (struct chunk *)((uintptr_t)page & ~(uintptr_t)(CHUNK_BYTES - 1));
    struct free_page *f = page;
    pthread_mutex_lock(&p->lock);
    if (is_full(c)) list(&p->open, c);
    f->next = c->free;
    c->free = f;
    p->count.taken--;
    if (--c->used == 0) chunk_emptied(p, c);
    pthread_mutex_unlock(&p->lock);
}

struct pages_count pages_counted(struct pages *p)
{
    pthread_mutex_lock(&p->lock);
    struct pages_count count = p->count;
    pthread_mutex_unlock(&p->lock);
    return count;
}

void pages_free(struct pages *p)
{
    if (p == NULL) return;
    assert(p->count.taken == 0);
    while (p->empty) {
        struct chunk *c = p->empty;
        p->empty = c->next;
        release(p, c);
    }
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}
