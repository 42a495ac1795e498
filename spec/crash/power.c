/* power.c - makes of a trace (disk.h) the folder that a power cut may leave.
 *   crash-power TRACE                      prints how many records there are,
 *                                          and the number of each mark
 *   crash-power TRACE CUT SEED OUT [unsynced]   the first CUT of them, into OUT
 *   crash-power TRACE mark                 appends one
 * What was synced is there. Of what was written to a file since, each write is
 * there, isn't, or is in part (sectors of 512 bytes), in no order; a file may
 * be as long as it became without having the bytes. Of what was done to names
 * since the folder was synced, the first so many are there. With `unsynced`
 * syncs are taken for nothing: that must be found out. */
#include "spec/crash/disk.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 64, SECTOR = 512 };

struct bytes {
    uint8_t *at;
    size_t count, room;
};

struct change { /* a record, with its bytes */
    struct disk_record head;
    const uint8_t *bytes;
};

struct file {
    struct bytes kept;      /* what the disk surely has */
    struct change *pending; /* since the last sync */
    unsigned count, room;
};

/* A name, now and as the disk surely has it; file -1: none. */
struct name {
    char path[DISK_PATH_MAX];
    int now;
};

struct naming { /* one name becomes a file's, or nobody's */
    char path[DISK_PATH_MAX];
    int file;        /* -1: nobody's */
    unsigned change; /* several of one rename belong together */
};

static struct file files[FILES_MAX];
static struct name names[FILES_MAX], kept_names[FILES_MAX];
static struct naming namings[100000];
static unsigned file_count, name_count, kept_count, naming_count, changes;
static uint64_t seed;

static void die(const char *what)
{
    fprintf(stderr, "crash-power: %s\n", what);
    exit(2);
}

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

/* ---- names ---- */

static struct name *find(struct name *list, unsigned count, const char *path)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(list[i].path, path) == 0) return &list[i];
    return NULL;
}

static void set(struct name *list, unsigned *count, const char *path, int file)
{
    struct name *n = find(list, *count, path);
    if (n == NULL) {
        if (*count == FILES_MAX) die("too many names");
        n = &list[(*count)++];
        strcpy(n->path, path);
    }
    n->now = file;
}

static void name(const char *path, int file)
{
    if (naming_count == sizeof namings / sizeof namings[0]) die("too long");
    set(names, &name_count, path, file);
    struct naming *n = &namings[naming_count++];
    strcpy(n->path, path);
    n->file = file;
    n->change = changes;
}

static void settle_names(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        set(kept_names, &kept_count, namings[i].path, namings[i].file);
    naming_count = 0;
}

static struct file *named(const char *path)
{
    struct name *n = find(names, name_count, path);
    return n && n->now >= 0 ? &files[n->now] : NULL;
}

/* ---- bytes ---- */

static void resize(struct bytes *b, size_t count)
{
    if (count > b->room) {
        b->room = count * 2;
        b->at = realloc(b->at, b->room);
        if (b->at == NULL) die("out of memory");
    }
    if (count > b->count) memset(b->at + b->count, 0, count - b->count);
    b->count = count;
}

static void apply(struct bytes *b, const struct change *c, bool torn)
{
    size_t at = (size_t)c->head.at, end = at + c->head.bytes;
    if (c->head.op == DISK_TRUNCATE) {
        resize(b, at);
        return;
    }
    if (end > b->count) resize(b, end);
    for (size_t from = at; from < end;) {
        size_t to = (from / SECTOR + 1) * SECTOR;
        if (to > end) to = end;
        if (!torn || draw(2))
            memcpy(b->at + from, c->bytes + (from - at), to - from);
        from = to;
    }
}

static void add(struct file *f, const struct change *c)
{
    if (f->count == f->room) {
        f->room = f->room ? 2 * f->room : 16;
        f->pending = realloc(f->pending, f->room * sizeof *f->pending);
        if (f->pending == NULL) die("out of memory");
    }
    f->pending[f->count++] = *c;
}

static void settle(struct file *f)
{
    for (unsigned i = 0; i < f->count; i++)
        apply(&f->kept, &f->pending[i], false);
    f->count = 0;
}

/* ---- the trace ---- */

static void take(const struct change *c, bool unsynced)
{
    const char *path = c->head.path;
    struct file *f = named(path);
    changes++;
    switch (c->head.op) {
    case DISK_CREATE:
        if (file_count == FILES_MAX) die("too many files");
        name(path, (int)file_count++);
        break;
    case DISK_WRITE:
    case DISK_TRUNCATE:
        if (f) add(f, c);
        break;
    case DISK_WRITE_SYNC:
        if (f && unsynced)
            add(f, c);
        else if (f)
            apply(&f->kept, c, false);
        break;
    case DISK_SYNC:
        if (f && !unsynced) settle(f);
        break;
    case DISK_SYNC_NAMES:
        if (!unsynced) settle_names(naming_count);
        break;
    case DISK_RENAME: {
        struct name *n = find(names, name_count, path);
        int file = n ? n->now : -1;
        name((const char *)c->bytes, file);
        name(path, -1);
        break;
    }
    case DISK_UNLINK: name(path, -1); break;
    default: break;
    }
}

static uint8_t *read_all(const char *path, size_t *bytes)
{
    FILE *in = fopen(path, "rb");
    struct stat info;
    if (in == NULL || fstat(fileno(in), &info) != 0)
        die("the trace is missing");
    uint8_t *all = malloc((size_t)info.st_size + 1);
    *bytes = all ? fread(all, 1, (size_t)info.st_size, in) : 0;
    fclose(in);
    return all;
}

static bool next(const uint8_t **at, const uint8_t *end, struct change *c)
{
    if ((size_t)(end - *at) < sizeof c->head) return false;
    memcpy(&c->head, *at, sizeof c->head);
    c->bytes = *at + sizeof c->head;
    if ((size_t)(end - c->bytes) < c->head.bytes) return false;
    *at = c->bytes + c->head.bytes;
    return true;
}

/* ---- what is left ---- */

static void lose_some(struct file *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        uint64_t luck = draw(3);
        if (luck > 0) apply(&f->kept, &f->pending[i], luck == 2);
    }
}

static void write_file(const char *folder, const char *path,
                       const struct bytes *b)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "%s/%s", folder, path);
    char *slash = strrchr(whole, '/');
    *slash = '\0';
    mkdir(whole, 0777);
    *slash = '/';
    FILE *out = fopen(whole, "wb");
    if (out == NULL ||
        fwrite(b->at ? (const void *)b->at : "", 1, b->count, out) !=
            b->count ||
        fclose(out) != 0)
        die("the folder can't be written");
}

static void write_folder(const char *folder)
{
    unsigned first = 0;
    uint64_t luck = draw(naming_count + 1);
    for (unsigned i = 0; i < naming_count; i++) /* a rename is one thing */
        if (i < luck ||
            (i > 0 && namings[i].change == namings[i - 1].change && first == i))
            first = i + 1;
    settle_names(first);
    mkdir(folder, 0777);
    for (unsigned i = 0; i < file_count; i++)
        lose_some(&files[i]);
    for (unsigned i = 0; i < kept_count; i++)
        if (kept_names[i].now >= 0)
            write_file(folder, kept_names[i].path,
                       &files[kept_names[i].now].kept);
}

static int append_mark(const char *path)
{
    struct disk_record mark = {.op = DISK_MARK};
    FILE *out = fopen(path, "ab");
    if (out == NULL || fwrite(&mark, sizeof mark, 1, out) != 1 || fclose(out))
        die("the trace can't be written");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[2], "mark") == 0) return append_mark(argv[1]);
    if (argc != 2 && argc != 5 && argc != 6) die("see power.c");
    size_t bytes;
    const uint8_t *at = read_all(argv[1], &bytes), *end = at + bytes;
    unsigned long cut = argc > 2 ? strtoul(argv[2], NULL, 10) : ~0ul, count = 0;
    struct change c;
    seed = argc > 3 ? strtoul(argv[3], NULL, 10) * 0x9e3779b97f4a7c15 + 1 : 1;
    for (; count < cut && next(&at, end, &c); count++) {
        if (argc == 2 && c.head.op == DISK_MARK) printf("mark %lu\n", count);
        if (argc > 2) take(&c, argc == 6);
    }
    if (argc == 2)
        printf("records %lu\n", count);
    else
        write_folder(argv[4]);
    return 0;
}
