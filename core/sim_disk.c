#include "core/sim_disk.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/hash.h"
#include "core/random.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { FILES_MAX = 256, HANDLES_MAX = 256, FIRST_HANDLE = 3 };

struct file {
    char *path;         /* owned; NULL: never made, lost, or deleted */
    uint64_t number;    /* no other has it */
    struct buffer seen; /* what processes read */
    struct buffer kept; /* what survives; its bytes up to `clean` are final */
    size_t clean;       /* bytes of `seen` that no sync will write again */
    bool emptied;       /* since the last sync: `kept` is from before */
    bool lasting;       /* the file itself survives */
};

struct handle {
    struct file *file; /* NULL: closed */
    enum disk_mode mode;
};

struct sim_disk {
    struct disk calls;
    struct sim_faults faults;
    struct rng rng;
    uint64_t hash;
    int64_t took_ns;
    uint64_t numbers;
    struct file files[FILES_MAX];
    struct handle handles[HANDLES_MAX];
};

static bool chance(struct sim_disk *disk, unsigned of_1000)
{
    return of_1000 > 0 && rng_below(&disk->rng, SIM_FAULTS_ALL) < of_1000;
}

/* Each operation begins here. */
static void begin(struct sim_disk *disk, char operation, int file)
{
    disk->hash =
        hash_word(disk->hash, (uint64_t)operation << 32 | (uint32_t)file);
    if (chance(disk, disk->faults.slow))
        disk->took_ns +=
            (int64_t)rng_below(&disk->rng, (uint64_t)disk->faults.slow_ns + 1);
}

static int64_t end(struct sim_disk *disk, int64_t result)
{
    disk->hash = hash_word(disk->hash, (uint64_t)result);
    return result;
}

/* ---- files ---- */

static struct file *find(const struct sim_disk *disk, const char *path)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (disk->files[i].path && strcmp(disk->files[i].path, path) == 0)
            return (struct file *)(uintptr_t)&disk->files[i];
    return NULL;
}

static void lose(struct file *file)
{
    mem_free(file->path);
    buffer_fini(&file->seen);
    buffer_fini(&file->kept);
    *file = (struct file){0};
}

static bool is_open(const struct sim_disk *disk, const struct file *file)
{
    for (int i = 0; i < HANDLES_MAX; i++)
        if (disk->handles[i].file == file) return true;
    return false;
}

/* Who has it open keeps it. */
static void unname(struct sim_disk *disk, struct file *file)
{
    mem_free(file->path);
    file->path = NULL;
    if (!is_open(disk, file)) lose(file);
}

/* A file that nobody can name goes with its last handle. */
static void let_go(struct sim_disk *disk, struct handle *handle)
{
    struct file *file = handle->file;
    handle->file = NULL;
    if (file->path == NULL && !is_open(disk, file)) lose(file);
}

/* ERR_NOMEM; ERR_LIMIT: there are FILES_MAX. */
static err make(struct sim_disk *disk, const char *path, struct file **out)
{
    for (int i = 0; i < FILES_MAX; i++) {
        struct file *file = &disk->files[i];
        if (file->path || is_open(disk, file)) continue;
        lose(file);
        file->path = mem_text(path, strlen(path));
        if (file->path == NULL) return ERR_NOMEM;
        file->number = ++disk->numbers;
        *out = file;
        return OK;
    }
    return ERR_LIMIT;
}

static err copy(struct buffer *to, const struct buffer *from)
{
    to->used = 0;
    return buffer_append(to, from->data, from->used);
}

static void empty(struct file *file)
{
    if (file->seen.used == 0 && file->clean == 0) return;
    file->seen.used = 0;
    file->clean = 0;
    file->emptied = true;
}

static uint64_t used_bytes(const struct sim_disk *disk)
{
    uint64_t used = 0;
    for (int i = 0; i < FILES_MAX; i++)
        used += disk->files[i].seen.used;
    return used;
}

/* ---- the calls ---- */

static struct handle *handle_at(struct sim_disk *disk, int number)
{
    int i = number - FIRST_HANDLE;
    if (i < 0 || i >= HANDLES_MAX || disk->handles[i].file == NULL) return NULL;
    return &disk->handles[i];
}

static int new_handle(struct sim_disk *disk, struct file *file,
                      enum disk_mode mode)
{
    for (int i = 0; i < HANDLES_MAX; i++)
        if (disk->handles[i].file == NULL) {
            disk->handles[i] = (struct handle){file, mode};
            return i + FIRST_HANDLE;
        }
    return -EMFILE;
}

static int disk_open(void *context, const char *path, enum disk_mode mode)
{
    struct sim_disk *disk = context;
    begin(disk, 'o', (int)mode);
    if (chance(disk, disk->faults.open_fails)) return (int)end(disk, -EIO);
    struct file *file = find(disk, path);
    if (file == NULL && mode == DISK_READ) return (int)end(disk, -ENOENT);
    uint64_t room = disk->faults.room_bytes;
    if (file == NULL && room > 0 && used_bytes(disk) >= room)
        return (int)end(disk, -ENOSPC);
    err e = file ? OK : make(disk, path, &file);
    if (e != OK) return (int)end(disk, e == ERR_LIMIT ? -ENFILE : -ENOMEM);
    int number = new_handle(disk, file, mode);
    if (number >= 0 && mode == DISK_REPLACE) empty(file);
    return (int)end(disk, number);
}

static int64_t disk_read(void *context, int number, void *to, size_t bytes,
                         int64_t at)
{
    struct sim_disk *disk = context;
    begin(disk, 'r', number);
    struct handle *handle = handle_at(disk, number);
    if (handle == NULL || handle->mode != DISK_READ) return end(disk, -EBADF);
    if (at < 0) return end(disk, -EINVAL);
    if (chance(disk, disk->faults.read_fails)) return end(disk, -EIO);
    const struct buffer *seen = &handle->file->seen;
    if ((uint64_t)at >= seen->used) return end(disk, 0);
    size_t count = seen->used - (size_t)at;
    if (count > bytes) count = bytes;
    if (count > 1 && chance(disk, disk->faults.reads_short))
        count = 1 + rng_below(&disk->rng, count - 1);
    if (count > 0) memcpy(to, seen->data + at, count);
    return end(disk, (int64_t)count);
}

static int64_t disk_write(void *context, int number, const void *from,
                          size_t bytes)
{
    struct sim_disk *disk = context;
    begin(disk, 'w', number);
    struct handle *handle = handle_at(disk, number);
    if (handle == NULL || handle->mode == DISK_READ) return end(disk, -EBADF);
    if (chance(disk, disk->faults.write_fails)) return end(disk, -EIO);
    size_t count = bytes;
    if (disk->faults.room_bytes > 0) {
        uint64_t used = used_bytes(disk), room = disk->faults.room_bytes;
        uint64_t left = used < room ? room - used : 0;
        if (left == 0 && count > 0) return end(disk, -ENOSPC);
        if (count > left) count = left;
    }
    if (count > 1 && chance(disk, disk->faults.writes_short))
        count = 1 + rng_below(&disk->rng, count - 1);
    if (buffer_append(&handle->file->seen, from, count) != OK)
        return end(disk, -ENOMEM);
    return end(disk, (int64_t)count);
}

/* Brings `kept` to where `seen` is; a failing disk keeps some sectors only.
 * ERR_NOMEM: nothing has changed. */
static err keep(struct sim_disk *disk, struct file *file, bool whole)
{
    /* All that is written below, however much of it is there already. */
    if (buffer_reserve(&file->kept, file->seen.used) != OK) return ERR_NOMEM;
    if (file->emptied) file->kept.used = 0;
    file->emptied = false;
    file->lasting = true;
    file->kept.used = file->clean;
    size_t at = file->clean;
    while (at < file->seen.used) {
        size_t sector_end = (at / SIM_SECTOR_BYTES + 1) * SIM_SECTOR_BYTES;
        if (sector_end > file->seen.used) sector_end = file->seen.used;
        size_t count = sector_end - at;
        if (whole || rng_below(&disk->rng, 2))
            memcpy(file->kept.data + at, file->seen.data + at, count);
        else
            memset(file->kept.data + at, 0, count);
        file->kept.used = at = sector_end;
    }
    file->clean = file->seen.used;
    return OK;
}

static int disk_sync(void *context, int number)
{
    struct sim_disk *disk = context;
    begin(disk, 's', number);
    struct handle *handle = handle_at(disk, number);
    if (handle == NULL) return (int)end(disk, -EBADF);
    bool whole = !chance(disk, disk->faults.sync_fails);
    if (keep(disk, handle->file, whole) != OK) return (int)end(disk, -ENOMEM);
    return (int)end(disk, whole ? 0 : -EIO);
}

/* A power cut undoes it, unless a sync comes between. */
static int disk_truncate(void *context, int number, int64_t bytes)
{
    struct sim_disk *disk = context;
    begin(disk, 't', number);
    struct handle *handle = handle_at(disk, number);
    if (handle == NULL || handle->mode == DISK_READ)
        return (int)end(disk, -EBADF);
    struct file *file = handle->file;
    if (chance(disk, disk->faults.write_fails)) return (int)end(disk, -EIO);
    if (bytes < 0 || (uint64_t)bytes > file->seen.used)
        return (int)end(disk, -EINVAL);
    file->seen.used = (size_t)bytes;
    if (file->clean > file->seen.used) file->clean = file->seen.used;
    return (int)end(disk, 0);
}

/* Here a name survives with the file that has it. */
static int disk_sync_names(void *context, const char *path)
{
    struct sim_disk *disk = context;
    begin(disk, 'n', 0);
    return (int)end(disk, chance(disk, disk->faults.sync_fails) ? -EIO : 0);
}

static int disk_close(void *context, int number)
{
    struct sim_disk *disk = context;
    begin(disk, 'c', number);
    struct handle *handle = handle_at(disk, number);
    if (handle == NULL) return (int)end(disk, -EBADF);
    let_go(disk, handle);
    return (int)end(disk, 0);
}

static int disk_look(void *context, const char *path, int number,
                     struct disk_info *out)
{
    struct sim_disk *disk = context;
    begin(disk, 'l', path ? 0 : number);
    const struct handle *handle = path ? NULL : handle_at(disk, number);
    const struct file *file = path     ? find(disk, path)
                              : handle ? handle->file
                                       : NULL;
    if (file == NULL) return (int)end(disk, path ? -ENOENT : -EBADF);
    *out = (struct disk_info){.number = file->number,
                              .bytes = (int64_t)file->seen.used,
                              .named = file->path != NULL};
    return (int)end(disk, 0);
}

static int rename_file(struct sim_disk *disk, const char *from, const char *to)
{
    struct file *file = find(disk, from), *old = find(disk, to);
    if (file == NULL) return -ENOENT;
    if (old == file) return 0;
    char *path = mem_text(to, strlen(to));
    if (path == NULL) return -ENOMEM;
    if (old) unname(disk, old);
    mem_free(file->path);
    file->path = path;
    return 0;
}

static int disk_rename(void *context, const char *from, const char *to)
{
    struct sim_disk *disk = context;
    begin(disk, 'm', 0);
    if (chance(disk, disk->faults.rename_fails)) return (int)end(disk, -EIO);
    return (int)end(disk, rename_file(disk, from, to));
}

/* The name of file i in the folder whose path has `bytes`; false: none. */
static bool entry(const struct sim_disk *disk, int i, const char *folder,
                  size_t bytes, char name[256])
{
    const char *path = disk->files[i].path;
    if (path == NULL || strncmp(path, folder, bytes) != 0) return false;
    if (bytes > 0 && path[bytes] != '/') return false;
    const char *rest = path + bytes + (bytes > 0);
    snprintf(name, 256, "%.*s", (int)strcspn(rest, "/"), rest);
    return true;
}

/* Folders are only in the names of files: of each, one tells. */
static int disk_list(void *context, const char *folder,
                     void (*each)(void *arg, const char *name), void *arg)
{
    struct sim_disk *disk = context;
    char name[256], other[256];
    size_t bytes = strlen(folder);
    int found = 0;
    begin(disk, 'd', 0);
    if (bytes > 0 && folder[bytes - 1] == '/') bytes--;
    if (strcmp(folder, ".") == 0) bytes = 0;
    for (int i = 0; i < FILES_MAX; i++) {
        if (!entry(disk, i, folder, bytes, name)) continue;
        int k = 0;
        while (k < i && !(entry(disk, k, folder, bytes, other) &&
                          strcmp(name, other) == 0))
            k++;
        if (k == i) each(arg, name);
        found++;
    }
    return (int)end(disk, found > 0 ? 0 : -ENOENT);
}

/* ---- the whole ---- */

struct sim_disk *sim_disk_new(uint64_t seed)
{
    struct sim_disk *disk = mem_zero(1, sizeof *disk);
    if (disk == NULL) return NULL;
    disk->rng.state = seed;
    disk->hash = HASH_START;
    disk->calls = (struct disk){
        .open = disk_open,
        .read = disk_read,
        .write = disk_write,
        .sync = disk_sync,
        .truncate = disk_truncate,
        .sync_names = disk_sync_names,
        .close = disk_close,
        .look = disk_look,
        .rename = disk_rename,
        .list = disk_list,
        .context = disk,
    };
    return disk;
}

void sim_disk_free(struct sim_disk *disk)
{
    if (disk == NULL) return;
    for (int i = 0; i < FILES_MAX; i++)
        lose(&disk->files[i]);
    mem_free(disk);
}

const struct disk *sim_disk_calls(const struct sim_disk *disk)
{
    return &disk->calls;
}

void sim_disk_set_faults(struct sim_disk *disk, const struct sim_faults *faults)
{
    disk->faults = *faults;
}

err sim_disk_put(struct sim_disk *disk, const char *path, const void *bytes,
                 size_t count)
{
    struct file *file = find(disk, path);
    err e = file ? OK : make(disk, path, &file);
    if (e != OK) return e;
    file->seen.used = 0;
    file->clean = 0;
    e = buffer_append(&file->seen, bytes, count);
    return e == OK ? keep(disk, file, true) : e;
}

const uint8_t *sim_disk_get(const struct sim_disk *disk, const char *path,
                            size_t *count)
{
    const struct file *file = find(disk, path);
    if (file == NULL) return NULL;
    *count = file->seen.used;
    return file->seen.data ? file->seen.data : (const uint8_t *)"";
}

err sim_disk_rename(struct sim_disk *disk, const char *from, const char *to)
{
    int error = rename_file(disk, from, to);
    if (error == 0) return OK;
    return error == -ENOMEM ? ERR_NOMEM : ERR_NOTFOUND;
}

err sim_disk_remove(struct sim_disk *disk, const char *path)
{
    struct file *file = find(disk, path);
    if (file == NULL) return ERR_NOTFOUND;
    unname(disk, file);
    return OK;
}

err sim_disk_add(struct sim_disk *disk, const char *path, const void *bytes,
                 size_t count)
{
    struct file *file = find(disk, path);
    err e = file ? OK : make(disk, path, &file);
    if (e == OK) e = buffer_append(&file->seen, bytes, count);
    return e == OK ? keep(disk, file, true) : e;
}

void sim_disk_close_all(struct sim_disk *disk)
{
    for (int i = 0; i < HANDLES_MAX; i++)
        if (disk->handles[i].file) let_go(disk, &disk->handles[i]);
}

/* What the disk wrote of its own accord before the lights went out. */
static err cut(struct sim_disk *disk, struct file *file)
{
    err e = OK;
    bool dirty = file->emptied || file->clean < file->seen.used;
    if (!file->lasting && rng_below(&disk->rng, 2)) {
        lose(file);
        return OK;
    }
    /* The emptying and the new content are one or the other's. */
    if (dirty && !(file->emptied && rng_below(&disk->rng, 2))) {
        size_t more = file->seen.used - file->clean;
        file->seen.used = file->clean + (size_t)rng_below(&disk->rng, more + 1);
        e = keep(disk, file, false);
    }
    if (e == OK) e = copy(&file->seen, &file->kept);
    file->clean = file->seen.used;
    file->emptied = false;
    file->lasting = true;
    return e;
}

err sim_disk_power_cut(struct sim_disk *disk)
{
    err worst = OK;
    sim_disk_close_all(disk);
    for (int i = 0; i < FILES_MAX; i++) {
        if (disk->files[i].path == NULL) continue;
        err e = cut(disk, &disk->files[i]);
        if (e != OK) worst = e;
    }
    return worst;
}

int64_t sim_disk_took_ns(struct sim_disk *disk)
{
    int64_t took_ns = disk->took_ns;
    disk->took_ns = 0;
    return took_ns;
}

uint64_t sim_disk_hash(const struct sim_disk *disk)
{
    return disk->hash;
}
