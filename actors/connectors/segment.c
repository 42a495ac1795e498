#include "actors/connectors/segment.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 8 };

/* The parts of a path: bytes of the folder with its '/', and of the name up to
 * its last '.', which may not begin it. */
struct parts {
    size_t folder, stem;
};

static struct parts parts_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    size_t stem = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    return (struct parts){(size_t)(name - path), stem};
}

/* What stands between the stem and the number. */
static void put_task(char out[16], const struct segments *s)
{
    if (s->task < 0)
        snprintf(out, 16, "-");
    else
        snprintf(out, 16, "-%d-", s->task);
}

int segment_name(char out[PATH_MAX], const struct segments *s, uint64_t number,
                 bool whole)
{
    struct parts p = parts_of(s->path);
    const char *name = s->path + p.folder;
    char task[16];
    put_task(task, s);
    int bytes =
        snprintf(out, PATH_MAX, "%.*s%s%.*s%s%0*" PRIu64 "%s%s", (int)p.folder,
                 s->path, whole ? "" : ".", (int)p.stem, name, task, DIGITS,
                 number, name + p.stem, whole ? "" : ".part");
    return bytes < PATH_MAX ? 0 : ENAMETOOLONG;
}

struct search {
    const char *name, *suffix;
    size_t stem, task_bytes;
    char task[16];
    uint64_t last;
};

static void look_at(void *arg, const char *name)
{
    struct search *s = arg;
    uint64_t number = 0;
    if (strncmp(name, s->name, s->stem) != 0 ||
        strncmp(name + s->stem, s->task, s->task_bytes) != 0)
        return;
    const char *digits = name + s->stem + s->task_bytes;
    size_t count = strspn(digits, "0123456789");
    if (count < DIGITS || count > 18 || strcmp(digits + count, s->suffix) != 0)
        return;
    for (size_t i = 0; i < count; i++)
        number = 10 * number + (uint64_t)(digits[i] - '0');
    if (number > s->last) s->last = number;
}

int segment_last(const struct disk *disk, const struct segments *s,
                 uint64_t *number)
{
    struct parts p = parts_of(s->path);
    struct search search = {.name = s->path + p.folder, .stem = p.stem};
    char folder[PATH_MAX] = ".";
    search.suffix = search.name + p.stem;
    put_task(search.task, s);
    search.task_bytes = strlen(search.task);
    if (p.folder >= sizeof folder) return ENAMETOOLONG;
    if (p.folder > 0) {
        memcpy(folder, s->path, p.folder);
        folder[p.folder] = '\0';
    }
    int e = -disk->list(disk->context, folder, look_at, &search);
    *number = search.last;
    return e == ENOENT ? 0 : e; /* opening one will say so */
}
