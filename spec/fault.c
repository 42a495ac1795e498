#include "spec/fault.h"
#include "lua/heap.h"
#include <stddef.h>

/* A request that a VM makes again looks the same. */
struct request {
    const void *heap, *block;
    size_t old_bytes, new_bytes;
};

struct window {
    bool armed, open;
    unsigned pauses;
    enum fault_kind kind;
    uint64_t at, failures;
    uint64_t every; /* collections: above 0 */
    uint64_t asked[FAULT_KINDS], failed;
    struct request refused; /* of a VM, the last */
};

/* Each thread has its own: the wrappers are called without a context. */
static _Thread_local struct window window;

/* Below this many allocations a lua_State isn't whole, and doesn't ask twice.
 */
enum { WHOLE = 100 };

void fault_arm(enum fault_kind kind, uint64_t n, uint64_t failures)
{
    window = (struct window){
        .armed = true, .kind = kind, .at = n, .failures = failures};
}

void fault_arm_collections(uint64_t every)
{
    window = (struct window){.armed = true, .every = every};
}

void fault_disarm(void)
{
    window.armed = false;
}

uint64_t fault_asked(enum fault_kind kind)
{
    return window.asked[kind];
}

uint64_t fault_failed(void)
{
    return window.failed;
}

void fault_pause(void)
{
    window.pauses++;
}

void fault_go_on(void)
{
    window.pauses--;
}

static bool counts(void)
{
    return window.armed && window.pauses == 0;
}

static bool fails(enum fault_kind kind)
{
    struct window *w = &window;
    if (!counts()) return false;
    if (++w->asked[kind] == w->at && kind == w->kind) w->open = true;
    if (!w->open || w->failed == w->failures) return false;
    w->failed++;
    return true;
}

/* ---- what the linker calls instead ---- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__real_heap_realloc(void *heap, void *block, size_t old_bytes,
                          size_t new_bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void *__wrap_heap_realloc(void *heap, void *block, size_t old_bytes,
                          size_t new_bytes);

void *__wrap_malloc(size_t bytes)
{
    return fails(FAULT_HEAP) ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails(FAULT_HEAP) ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *block, size_t bytes)
{
    return fails(FAULT_HEAP) ? NULL : __real_realloc(block, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    return fails(FAULT_HEAP) ? NULL : __real_aligned_alloc(align, bytes);
}

static bool is_same(const struct request *a, const struct request *b)
{
    return a->heap == b->heap && a->block == b->block &&
           a->old_bytes == b->old_bytes && a->new_bytes == b->new_bytes;
}

static bool lua_fails(const struct request *r)
{
    struct window *w = &window;
    bool again = w->refused.heap != NULL && is_same(&w->refused, r);
    w->refused.heap = NULL;
    bool fail;
    if (w->every > 0) {
        fail = !again && heap_counted(r->heap).allocations > WHOLE &&
               ++w->asked[FAULT_LUA] % w->every == 0;
        w->failed += fail;
        if (fail) w->refused = *r;
        return fail;
    }
    if (again) return true;
    fail = fails(FAULT_LUA);
    if (fail) w->refused = *r;
    return fail;
}

void *__wrap_heap_realloc(void *heap, void *block, size_t old_bytes,
                          size_t new_bytes)
{
    struct request r = {heap, block, block ? old_bytes : 0, new_bytes};
    bool grows = new_bytes > r.old_bytes;
    if (grows && counts() && lua_fails(&r)) return NULL;
    return __real_heap_realloc(heap, block, old_bytes, new_bytes);
}
