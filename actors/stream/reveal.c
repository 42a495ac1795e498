#include "actors/stream/reveal.h"
#include "actors/stream/ledger.h"
#include "core/alloc.h"
#include "core/disk.h"
#include "core/node.h"
#include <errno.h>
#include <string.h>

static void free_reveal(struct env *env, struct ref *ref)
{
    struct reveal *r = (struct reveal *)(void *)ref;
    buffer_fini(&r->names);
    mem_free(r);
}

const char *reveal_from(const struct reveal *r)
{
    return (const char *)r->names.data + r->done;
}

const char *reveal_to(const struct reveal *r)
{
    const char *from = reveal_from(r);
    return from + strlen(from) + 1;
}

/* 0, or errno. What is gone was renamed by a try before this one. */
static int reveal_one(const struct disk *disk, const char *from, const char *to)
{
    int e = -disk->rename(disk->context, from, to);
    if (e != 0 && e != ENOENT) return e;
    return -disk->sync_names(disk->context, to);
}

void reveal_run(struct reveal *r, const struct disk *disk)
{
    r->error = 0;
    while (r->error == 0 && r->done < r->names.used) {
        const char *to = reveal_to(r);
        r->error = reveal_one(disk, reveal_from(r), to);
        if (r->error == 0)
            r->done = (size_t)(to + strlen(to) + 1 - (char *)r->names.data);
    }
}

static void work(struct node *node, struct job *job)
{
    reveal_run((struct reveal *)(void *)job, node_world(node)->disk);
}

struct reveal *reveal_new(void)
{
    struct reveal *r = mem_zero(1, sizeof *r);
    if (r == NULL) return NULL;
    ref_init(&r->job.ref, free_reveal);
    r->job.work = work;
    return r;
}

err reveal_add(struct reveal *r, struct bytes names)
{
    unsigned ends = 0;
    for (size_t i = 0; i < names.count; i++)
        ends += ((const uint8_t *)names.at)[i] == 0;
    if (names.count == 0) return OK;
    if (ends % 2 || ((const uint8_t *)names.at)[names.count - 1] != 0)
        return ERR_LIMIT;
    return buffer_append(&r->names, names.at, names.count);
}

err reveal_read(struct store *store, const struct plan *plan,
                struct reveal **out)
{
    struct store_view *view;
    struct bytes names;
    *out = NULL;
    err e = store_view(store, &view);
    if (e != OK) return e;
    e = ledger_read_names(view, plan, &names);
    if (e == OK && names.count > 0) {
        *out = reveal_new();
        e = *out ? reveal_add(*out, names) : ERR_NOMEM;
    }
    store_unview(view);
    if (e != OK && *out) ref_drop(NULL, &(*out)->job.ref);
    if (e != OK) *out = NULL;
    return e;
}
