/* The allocator of a VM: blocks stay whole, and memory is not hoarded. */
#include "core/random.h"
#include "lua/heap.h"
#include "spec/spec.h"
#include <stdlib.h>

struct owned {
    unsigned char *block;
    size_t bytes;
};

static void check_content(const struct owned *o, size_t index)
{
    for (size_t i = 0; i < o->bytes; i += 61)
        CHECK_EQ(o->block[i], (unsigned char)(index + i));
    if (o->bytes > 0)
        CHECK_EQ(o->block[o->bytes - 1], (unsigned char)(index + o->bytes - 1));
}

static void fill(struct owned *o, size_t index)
{
    for (size_t i = 0; i < o->bytes; i++)
        o->block[i] = (unsigned char)(index + i);
}

SPEC(heap, keeps_every_block_whole)
{
    FOR_SEEDS(6)
    {
        struct heap *h = heap_new(8 << 20, spec_seed % 4 == 0, NULL);
        struct owned owned[200] = {{NULL, 0}};
        struct rng r = {spec_seed};
        size_t total = 0;
        for (int turn = 0; turn < 6000; turn++) {
            size_t i = rng_below(&r, 200);
            struct owned *o = &owned[i];
            size_t most = rng_below(&r, 8) == 0 ? 9000 : 600;
            size_t bytes = rng_below(&r, most);
            check_content(o, i);
            void *moved = heap_realloc(h, o->block, o->bytes, bytes);
            CHECK(moved != NULL || bytes == 0);
            CHECK_EQ((uintptr_t)moved % 16, 0);
            total += bytes - o->bytes;
            size_t kept = o->bytes < bytes ? o->bytes : bytes;
            *o = (struct owned){moved, kept};
            if (kept > 0) check_content(o, i);
            o->bytes = bytes;
            fill(o, i);
            CHECK_EQ(heap_counted(h).used_bytes, total);
            CHECK(heap_counted(h).held_bytes >= total);
        }
        for (size_t i = 0; i < 200; i++)
            heap_realloc(h, owned[i].block, owned[i].bytes, 0);
        heap_free(h);
    }
}

SPEC(heap, gives_memory_of_one_size_to_another)
{
    enum { LIMIT = 1 << 20, BLOCKS = 20000 };
    struct heap *h = heap_new(LIMIT, false, NULL);
    void **blocks = calloc(BLOCKS, sizeof *blocks);
    for (size_t bytes = 16; bytes <= 4096; bytes += 48) {
        size_t n = 0;
        while (n < BLOCKS &&
               (blocks[n] = heap_realloc(h, NULL, 0, bytes)) != NULL)
            n++;
        CHECK(heap_counted(h).held_bytes <= LIMIT);
        CHECK(n * bytes > LIMIT / 3 || n == BLOCKS); /* the rest is not lost */
        while (n-- > 0)
            heap_realloc(h, blocks[n], bytes, 0);
    }
    free(blocks);
    heap_free(h);
}
