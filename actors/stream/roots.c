#include "actors/stream/roots.h"
#include "core/alloc.h"

enum { ROOM_FIRST = 8 };

void roots_fini(struct root_list *list)
{
    mem_free(list->roots);
    *list = (struct root_list){0};
}

err roots_add(struct root_list *list, uint64_t root, uint64_t edges)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->roots[i].root == root) {
            list->roots[i].edges ^= edges;
            return OK;
        }
    return roots_append(list, root, edges);
}

err roots_append(struct root_list *list, uint64_t root, uint64_t edges)
{
    if (list->count == list->room) {
        uint32_t room = list->room ? 2 * list->room : ROOM_FIRST;
        struct list_root *more =
            mem_resize(list->roots, room * sizeof *list->roots);
        if (more == NULL) return ERR_NOMEM;
        list->roots = more;
        list->room = room;
    }
    list->roots[list->count++] = (struct list_root){root, edges, 0};
    return OK;
}

void roots_keep(struct root_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        list->roots[i].edges ^= list->roots[i].emitted;
        list->roots[i].emitted = 0;
    }
}

void roots_undo(struct root_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        list->roots[i].emitted = 0;
}
