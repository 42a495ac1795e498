/* The depot of pages: what is given back is used again, and what nobody needs
 * goes back to the process. */
#include "core/random.h"
#include "lua/heap.h"
#include "lua/pages.h"
#include "spec/spec.h"
#include <pthread.h>
#include <stdlib.h>

enum { MOST = 200, PER_CHUNK = 7, KEPT = 8 };

static void mark(void *page, uint64_t with)
{
    uint64_t *words = page;
    words[0] = words[PAGE_BYTES / sizeof *words - 1] = with;
}

static bool is_marked(const void *page, uint64_t with)
{
    const uint64_t *words = page;
    return words[0] == with && words[PAGE_BYTES / sizeof *words - 1] == with;
}

SPEC(pages, each_is_aligned_and_belongs_to_one_taker)
{
    FOR_SEEDS(20)
    {
        struct pages *p = pages_new();
        struct rng r = {spec_seed};
        void *mine[MOST];
        uint64_t n = 0;
        for (int turn = 0; turn < 2000; turn++) {
            if (n < MOST && (n == 0 || rng_below(&r, 2))) {
                mine[n] = pages_take(p);
                CHECK(mine[n] != NULL);
                CHECK_EQ((uintptr_t)mine[n] % PAGE_BYTES, 0);
                mark(mine[n], (uintptr_t)mine[n]);
                n++;
            } else {
                uint64_t i = rng_below(&r, n);
                CHECK(is_marked(mine[i], (uintptr_t)mine[i]));
                pages_give(p, mine[i]);
                mine[i] = mine[--n];
            }
            CHECK_EQ(pages_counted(p).taken, n);
        }
        while (n > 0) {
            CHECK(is_marked(mine[n - 1], (uintptr_t)mine[n - 1]));
            pages_give(p, mine[--n]);
        }
        CHECK(pages_counted(p).chunks <= KEPT);
        pages_free(p);
    }
}

SPEC(pages, what_comes_back_is_given_out_before_more_is_held)
{
    struct pages *p = pages_new();
    void *mine[MOST];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < MOST; i++)
            mine[i] = pages_take(p);
        CHECK_EQ(pages_counted(p).chunks, (MOST + PER_CHUNK - 1) / PER_CHUNK);
        for (int i = 0; i < MOST; i++)
            pages_give(p, mine[(i * 7 + round) % MOST]);
        CHECK_EQ(pages_counted(p).taken, 0);
        CHECK_EQ(pages_counted(p).chunks, KEPT);
    }
    pages_free(p);
}

SPEC(pages, without_a_depot_each_is_a_block_of_its_own)
{
    void *page = pages_take(NULL);
    CHECK(page != NULL);
    CHECK_EQ((uintptr_t)page % PAGE_BYTES, 0);
    mark(page, 1);
    pages_give(NULL, page);
    pages_free(NULL);
}

static void *churn(void *depot)
{
    for (uint64_t round = 0; round < 300; round++) {
        struct heap *h = heap_new(8 << 20, false, depot);
        void *blocks[400];
        for (size_t i = 0; i < 400; i++) {
            blocks[i] = heap_realloc(h, NULL, 0, 16 + i * 3);
            memset(blocks[i], (int)i, 16 + i * 3);
        }
        for (size_t i = 0; i < 400; i++) {
            CHECK_EQ(((unsigned char *)blocks[i])[15 + i * 3], i & 255);
            heap_realloc(h, blocks[i], 16 + i * 3, 0);
        }
        heap_free(h);
    }
    return NULL;
}

SPEC(pages, heaps_of_two_threads_share_a_depot)
{
    struct pages *p = pages_new();
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, churn, p), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(pages_counted(p).taken, 0);
    pages_free(p);
}

SPEC(heap, a_small_one_holds_little_more_than_it_uses)
{
    struct pages *p = pages_new();
    struct heap *h = heap_new(8 << 20, false, p);
    void *blocks[300];
    size_t used = 0;
    for (size_t i = 0; i < 300; i++) { /* of all sizes */
        size_t bytes = 16 + i * 37 % 250;
        blocks[i] = heap_realloc(h, NULL, 0, bytes);
        used += bytes;
    }
    CHECK_EQ(heap_counted(h).used_bytes, used);
    CHECK(heap_counted(h).held_bytes < used + 2 * PAGE_BYTES);
    CHECK_EQ(pages_counted(p).taken * PAGE_BYTES, heap_counted(h).held_bytes);
    for (size_t i = 0; i < 300; i++)
        heap_realloc(h, blocks[i], 16 + i * 37 % 250, 0);
    heap_free(h);
    pages_free(p);
}
