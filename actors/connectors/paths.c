#include "actors/connectors/paths.h"
#include "core/alloc.h"
#include "core/disk.h"
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void paths_fini(struct paths *p)
{
    for (size_t i = 0; i < p->count; i++)
        mem_free(p->list[i]);
    mem_free(p->list);
    *p = (struct paths){0};
}

bool paths_is_pattern(const char *path)
{
    return strpbrk(path, "*?[") != NULL;
}

int paths_put(struct paths *p, const char *path)
{
    if (p->count == p->room) {
        size_t room = p->room ? 2 * p->room : 8;
        char **list = mem_resize(p->list, room * sizeof *list);
        if (list == NULL) return ENOMEM;
        p->list = list;
        p->room = room;
    }
    char *copy = mem_text(path, strlen(path));
    if (copy == NULL) return ENOMEM;
    p->list[p->count++] = copy;
    return 0;
}

/* One folder being looked through. */
struct search {
    struct paths names; /* of entries that match */
    const char *pattern;
};

static void look_at(void *arg, const char *name)
{
    struct search *s = arg;
    if (fnmatch(s->pattern, name, FNM_PERIOD) != 0) return;
    int error = paths_put(&s->names, name);
    if (error) s->names.failed = error;
}

static int expand(struct paths *p, const struct disk *disk, const char *base,
                  const char *rest);

/* `folder` ends with a /, or is empty; "" or /… follows on the part. */
static int expand_part(struct paths *p, const struct disk *disk,
                       const char *folder, const char *part, const char *rest)
{
    struct search s = {.pattern = part};
    char base[PATH_MAX];
    int error =
        -disk->list(disk->context, folder[0] ? folder : ".", look_at, &s);
    /* What the part before it has matched need not be a folder. */
    if (error == ENOENT || error == ENOTDIR) error = 0;
    if (error == 0) error = s.names.failed;
    for (size_t i = 0; i < s.names.count && error == 0; i++) {
        int bytes =
            snprintf(base, sizeof base, "%s%s", folder, s.names.list[i]);
        error = bytes < (int)sizeof base ? expand(p, disk, base, rest)
                                         : ENAMETOOLONG;
    }
    paths_fini(&s.names);
    return error;
}

/* `base` is made of names, `rest` is what of the pattern is left. */
static int expand(struct paths *p, const struct disk *disk, const char *base,
                  const char *rest)
{
    struct disk_info info;
    char path[PATH_MAX], part[NAME_MAX + 1];
    size_t plain = strcspn(rest, "*?[");
    bool last = rest[plain] == '\0';
    while (!last && plain > 0 && rest[plain - 1] != '/')
        plain--;
    int bytes = snprintf(path, sizeof path, "%s%.*s", base, (int)plain, rest);
    if (bytes >= (int)sizeof path) return ENAMETOOLONG;
    if (last) {
        int error = -disk->look(disk->context, path, -1, &info);
        bool none = error == ENOENT || error == ENOTDIR;
        /* A match that can't be looked at is said when it is opened. */
        return none && rest[0] ? 0 : paths_put(p, path);
    }
    rest += plain;
    size_t count = strcspn(rest, "/");
    if (count >= sizeof part) return ENAMETOOLONG;
    memcpy(part, rest, count);
    part[count] = '\0';
    return expand_part(p, disk, path, part, rest + count);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int paths_add(struct paths *p, const struct disk *disk, const char *path)
{
    struct disk_info info;
    if (!paths_is_pattern(path)) {
        int error = -disk->look(disk->context, path, -1, &info);
        return error ? error : paths_put(p, path);
    }
    size_t before = p->count;
    int error = expand(p, disk, "", path);
    if (error) return error;
    if (p->count == before) return ENOENT;
    qsort(p->list + before, p->count - before, sizeof *p->list, by_bytes);
    return 0;
}
