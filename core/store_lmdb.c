#define _GNU_SOURCE /* flock */
#include "core/store_lmdb.h"
#include "core/alloc.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READERS_MAX = 1024 };
#define MAP_FIRST_BYTES ((size_t)1 << 30)

/* The first record of every store says what it is. */
static const char meta_key[] = "meta";
static const char meta_text[] = "engine-store ";

struct store_lmdb {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn; /* the one that is begun */
    int lock;     /* of the folder's file `lock`; -1: it isn't ours */
    /* The map may only move while nobody looks: views hold it for reading. */
    pthread_rwlock_t map_lock;
};

struct lmdb_view {
    struct store_view view;
    struct store_lmdb *store;
    MDB_txn *txn;
    MDB_cursor *cursor;
};

static err say(char why[STORE_WHY_BYTES], int code, const char *what)
{
    snprintf(why, STORE_WHY_BYTES, "%s: %s", what, mdb_strerror(code));
    switch (code) {
    case MDB_PANIC:
        snprintf(why, STORE_WHY_BYTES,
                 "the disk failed while store.mdb was synced, and what it has "
                 "is not known; look at the disk, and run it again: it goes on "
                 "from what is there");
        return ERR_CRASHED;
    case ENOMEM: return ERR_NOMEM;
    case ENOSPC:
    case EDQUOT: return ERR_NOSPACE;
    case ENOENT: return ERR_NOTFOUND;
    case MDB_MAP_FULL: return ERR_FULL;
    case MDB_BAD_VALSIZE:
    case MDB_READERS_FULL: return ERR_LIMIT;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
        snprintf(why, STORE_WHY_BYTES,
                 "%s: it is no store, or is damaged (%s); name another folder, "
                 "or restore a backup",
                 what, mdb_strerror(code));
        return ERR_FORMAT;
    default: return ERR_IO;
    }
}

static MDB_val val_of(struct bytes b)
{
    return (MDB_val){b.count, (void *)(uintptr_t)b.at};
}

static struct bytes bytes_of_val(MDB_val v)
{
    return bytes_of(v.mv_data ? v.mv_data : "", v.mv_size);
}

/* ---- the transaction ---- */

static err begin(void *context, char why[STORE_WHY_BYTES])
{
    struct store_lmdb *s = context;
    int code = mdb_txn_begin(s->env, NULL, 0, &s->txn);
    return code ? say(why, code, "the store can't be written to") : OK;
}

static err put(void *context, struct bytes key, struct bytes value,
               char why[STORE_WHY_BYTES])
{
    struct store_lmdb *s = context;
    MDB_val k = val_of(key), v = val_of(value);
    int code = value.at ? mdb_put(s->txn, s->dbi, &k, &v, 0)
                        : mdb_del(s->txn, s->dbi, &k, NULL);
    if (code == 0 || (value.at == NULL && code == MDB_NOTFOUND)) return OK;
    return say(why, code, "a record can't be written");
}

static err find(void *context, struct bytes key, struct bytes *value,
                char why[STORE_WHY_BYTES])
{
    struct store_lmdb *s = context;
    MDB_val k = val_of(key), v;
    int code = mdb_get(s->txn, s->dbi, &k, &v);
    *value = code ? bytes_of(NULL, 0) : bytes_of_val(v);
    if (code == 0 || code == MDB_NOTFOUND) return OK;
    return say(why, code, "a record can't be read");
}

static err commit(void *context, char why[STORE_WHY_BYTES])
{
    struct store_lmdb *s = context;
    int code = mdb_txn_commit(s->txn);
    s->txn = NULL;
    return code ? say(why, code, "the store can't be written to") : OK;
}

static void abort_all(void *context)
{
    struct store_lmdb *s = context;
    mdb_txn_abort(s->txn);
    s->txn = NULL;
}

static err grow(void *context, char why[STORE_WHY_BYTES])
{
    struct store_lmdb *s = context;
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    pthread_rwlock_wrlock(&s->map_lock);
    int code = mdb_env_set_mapsize(s->env, info.me_mapsize * 2);
    pthread_rwlock_unlock(&s->map_lock);
    return code ? say(why, code, "the store's map can't grow") : OK;
}

/* ---- views ---- */

static const struct store_backend calls;

/* Another process has made the map larger. */
static int follow_growth(struct store_lmdb *s)
{
    pthread_rwlock_unlock(&s->map_lock);
    pthread_rwlock_wrlock(&s->map_lock);
    int code = mdb_env_set_mapsize(s->env, 0);
    pthread_rwlock_unlock(&s->map_lock);
    pthread_rwlock_rdlock(&s->map_lock);
    return code;
}

static err view(void *context, struct store_view **out)
{
    struct lmdb_view *v = mem_zero(1, sizeof *v);
    if (v == NULL) return ERR_NOMEM;
    v->view.backend = &calls;
    v->store = context;
    pthread_rwlock_rdlock(&v->store->map_lock);
    int code = mdb_txn_begin(v->store->env, NULL, MDB_RDONLY, &v->txn);
    if (code == MDB_MAP_RESIZED && follow_growth(v->store) == 0)
        code = mdb_txn_begin(v->store->env, NULL, MDB_RDONLY, &v->txn);
    if (code == 0) {
        *out = &v->view;
        return OK;
    }
    pthread_rwlock_unlock(&v->store->map_lock);
    mem_free(v);
    char why[STORE_WHY_BYTES];
    return say(why, code, "");
}

static void unview(struct store_view *view)
{
    struct lmdb_view *v = (struct lmdb_view *)view;
    if (v->cursor) mdb_cursor_close(v->cursor);
    mdb_txn_abort(v->txn);
    pthread_rwlock_unlock(&v->store->map_lock);
    mem_free(v);
}

static err found_or_not(int code)
{
    if (code == 0) return OK;
    if (code == MDB_NOTFOUND) return ERR_NOTFOUND;
    return code == ENOMEM ? ERR_NOMEM : ERR_IO;
}

static err view_find(struct store_view *view, struct bytes key,
                     struct bytes *value)
{
    struct lmdb_view *v = (struct lmdb_view *)view;
    MDB_val k = val_of(key), found;
    int code = mdb_get(v->txn, v->store->dbi, &k, &found);
    if (code == 0) *value = bytes_of_val(found);
    return found_or_not(code);
}

static err move(struct lmdb_view *v, struct bytes key, MDB_cursor_op op,
                struct bytes *found, struct bytes *value)
{
    MDB_val k = val_of(key), data;
    int code = mdb_cursor_get(v->cursor, &k, &data, op);
    if (code == 0) {
        *found = bytes_of_val(k);
        *value = bytes_of_val(data);
    }
    return found_or_not(code);
}

static err view_seek(struct store_view *view, struct bytes key,
                     struct bytes *found, struct bytes *value)
{
    struct lmdb_view *v = (struct lmdb_view *)view;
    if (v->cursor == NULL &&
        mdb_cursor_open(v->txn, v->store->dbi, &v->cursor) != 0) {
        v->cursor = NULL;
        return ERR_NOMEM;
    }
    return move(v, key, key.count ? MDB_SET_RANGE : MDB_FIRST, found, value);
}

static err view_next(struct store_view *view, struct bytes *found,
                     struct bytes *value)
{
    struct lmdb_view *v = (struct lmdb_view *)view;
    if (v->cursor == NULL) return ERR_NOTFOUND;
    return move(v, bytes_of(NULL, 0), MDB_NEXT, found, value);
}

/* ---- opening ---- */

static void close_store(void *context)
{
    struct store_lmdb *s = context;
    if (s->env) mdb_env_close(s->env);
    if (s->lock >= 0) close(s->lock);
    pthread_rwlock_destroy(&s->map_lock);
    mem_free(s);
}

static const struct store_backend calls = {
    .begin = begin,
    .put = put,
    .find = find,
    .commit = commit,
    .abort = abort_all,
    .grow = grow,
    .view = view,
    .unview = unview,
    .view_find = view_find,
    .view_seek = view_seek,
    .view_next = view_next,
    .close = close_store,
};

static err path_in(const char *folder, const char *name, char path[PATH_MAX],
                   char why[STORE_WHY_BYTES])
{
    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) return OK;
    snprintf(why, STORE_WHY_BYTES, "the folder's name is too long");
    return ERR_LIMIT;
}

/* What was made in the folder stays there after a power cut. */
static void sync_folder(const char *folder)
{
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return;
    fsync(file);
    close(file);
}

static err say_errno(char why[STORE_WHY_BYTES], const char *what)
{
    return say(why, errno, what);
}

/* Its writer is this process from here on. */
static err own(struct store_lmdb *s, const char *folder,
               char why[STORE_WHY_BYTES])
{
    char path[PATH_MAX];
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return say_errno(why, "the folder can't be made");
    err e = path_in(folder, "lock", path, why);
    if (e != OK) return e;
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock < 0 && errno == ENOTDIR) {
        snprintf(why, STORE_WHY_BYTES, "it is a file; name a folder");
        return ERR_IO;
    }
    if (s->lock < 0)
        return say_errno(why, "the folder's file `lock` can't be opened");
    char pid[32] = "";
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
        ssize_t got = read(s->lock, pid, sizeof pid - 1);
        pid[got > 0 ? got : 0] = 0;
        pid[strcspn(pid, "\n")] = 0;
        snprintf(why, STORE_WHY_BYTES,
                 "process %s has it; stop that one, or name another folder",
                 pid[0] ? pid : "of another engine");
        return ERR_BUSY;
    }
    int length = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(s->lock, 0) != 0 ||
        pwrite(s->lock, pid, (size_t)length, 0) != length)
        return say_errno(why, "the folder's file `lock` can't be written");
    return OK;
}

/* LMDB takes a file at its word and reads pages that aren't there. */
static err check_length(struct store_lmdb *s, const char *path,
                        char why[STORE_WHY_BYTES])
{
    MDB_envinfo info;
    MDB_stat stat_;
    struct stat file;
    mdb_env_info(s->env, &info);
    mdb_env_stat(s->env, &stat_);
    if (stat(path, &file) != 0) return say_errno(why, "store.mdb");
    uint64_t needed = ((uint64_t)info.me_last_pgno + 1) * stat_.ms_psize;
    if ((uint64_t)file.st_size >= needed || info.me_last_txnid == 0) return OK;
    snprintf(why, STORE_WHY_BYTES,
             "store.mdb was cut: it has %llu bytes and needs %llu; restore a "
             "backup of it",
             (unsigned long long)file.st_size, (unsigned long long)needed);
    return ERR_TRUNCATED;
}

static err read_meta(MDB_txn *txn, MDB_dbi dbi, char why[STORE_WHY_BYTES])
{
    MDB_val key = {sizeof meta_key - 1, (void *)(uintptr_t)meta_key}, text;
    int code = mdb_get(txn, dbi, &key, &text);
    if (code == MDB_NOTFOUND) return ERR_NOTFOUND;
    if (code) return say(why, code, "store.mdb");
    size_t head = sizeof meta_text - 1;
    char number[16] = "";
    if (text.mv_size <= head || memcmp(text.mv_data, meta_text, head) != 0) {
        snprintf(why, STORE_WHY_BYTES, "store.mdb is no store of engine's");
        return ERR_FORMAT;
    }
    snprintf(number, sizeof number, "%.*s", (int)(text.mv_size - head),
             (const char *)text.mv_data + head);
    char mine[16];
    snprintf(mine, sizeof mine, "%d", STORE_FORMAT);
    if (strcmp(number, mine) == 0) return OK;
    snprintf(why, STORE_WHY_BYTES,
             "store.mdb is of format %s and this engine writes format %s; use "
             "the engine that made it, or another folder",
             number, mine);
    return ERR_FORMAT;
}

static err write_meta(MDB_txn *txn, MDB_dbi dbi, char why[STORE_WHY_BYTES])
{
    char text[64];
    int length = snprintf(text, sizeof text, "%s%d", meta_text, STORE_FORMAT);
    MDB_val key = {sizeof meta_key - 1, (void *)(uintptr_t)meta_key};
    MDB_val value = {(size_t)length, text};
    int code = mdb_put(txn, dbi, &key, &value, 0);
    return code ? say(why, code, "store.mdb") : OK;
}

/* Is it a store, of this version? A new one becomes one. */
static err check_meta(struct store_lmdb *s, enum store_use use,
                      char why[STORE_WHY_BYTES])
{
    MDB_txn *txn;
    int code =
        mdb_txn_begin(s->env, NULL, use == STORE_LOOK ? MDB_RDONLY : 0, &txn);
    if (code) return say(why, code, "store.mdb");
    code = mdb_dbi_open(txn, NULL, 0, &s->dbi);
    err e = code ? say(why, code, "store.mdb") : read_meta(txn, s->dbi, why);
    if (e == ERR_NOTFOUND) {
        MDB_stat stat_;
        mdb_stat(txn, s->dbi, &stat_);
        snprintf(why, STORE_WHY_BYTES, "store.mdb is no store of engine's");
        e = stat_.ms_entries || use == STORE_LOOK
                ? ERR_FORMAT
                : write_meta(txn, s->dbi, why);
    }
    if (e != OK || use == STORE_LOOK) {
        mdb_txn_abort(txn);
        return e;
    }
    code = mdb_txn_commit(txn);
    return code ? say(why, code, "store.mdb") : OK;
}

static size_t first_map(const char *path, size_t bytes)
{
    struct stat file;
    if (bytes == 0) bytes = MAP_FIRST_BYTES;
    if (stat(path, &file) != 0) return bytes;
    while (bytes < (size_t)file.st_size)
        bytes *= 2;
    return bytes;
}

static err open_env(struct store_lmdb *s, const char *path, enum store_use use,
                    size_t map_bytes, char why[STORE_WHY_BYTES])
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NOMEMINIT | MDB_NORDAHEAD;
    int code = mdb_env_create(&s->env);
    if (code == 0) code = mdb_env_set_maxreaders(s->env, READERS_MAX);
    if (code == 0)
        code = mdb_env_set_mapsize(s->env, first_map(path, map_bytes));
    if (code == 0) code = mdb_env_open(s->env, path, flags, 0666);
    if (code) return say(why, code, "store.mdb");
    err e = check_length(s, path, why);
    return e == OK ? check_meta(s, use, why) : e;
}

/* A power cut may leave half of what LMDB begins a file with: it gets its name
 * when it is whole. */
static err make_store(const char *folder, const char *path,
                      char why[STORE_WHY_BYTES])
{
    struct store_lmdb fresh = {0};
    char new[PATH_MAX], readers[PATH_MAX];
    err e = path_in(folder, "store.new", new, why);
    if (e == OK) e = path_in(folder, "store.new-lock", readers, why);
    if (e != OK) return e;
    unlink(new);
    e = open_env(&fresh, new, STORE_OWN, 0, why);
    if (fresh.env) mdb_env_close(fresh.env);
    if (e == OK && rename(new, path) != 0)
        e = say_errno(why, "store.mdb can't be made");
    unlink(readers);
    if (e == OK) sync_folder(folder);
    return e;
}

static err open_store(struct store_lmdb *s, const char *folder,
                      enum store_use use, size_t map_bytes,
                      char why[STORE_WHY_BYTES])
{
    char path[PATH_MAX];
    struct stat file;
    err e = path_in(folder, "store.mdb", path, why);
    bool missing = e == OK && stat(path, &file) != 0;
    if (missing && use == STORE_LOOK)
        return say_errno(why, "there is no store (store.mdb)");
    if (missing) e = make_store(folder, path, why);
    return e == OK ? open_env(s, path, use, map_bytes, why) : e;
}

err store_lmdb_open(const char *folder, enum store_use use, size_t map_bytes,
                    struct store_backend *out, char why[STORE_WHY_BYTES])
{
    struct store_lmdb *s = mem_zero(1, sizeof *s);
    if (s == NULL) return say(why, ENOMEM, "store.mdb");
    s->lock = -1;
    pthread_rwlock_init(&s->map_lock, NULL);
    err e = use == STORE_OWN ? own(s, folder, why) : OK;
    if (e == OK) e = open_store(s, folder, use, map_bytes, why);
    if (e != OK) {
        close_store(s);
        return e;
    }
    *out = calls;
    out->context = s;
    return OK;
}

/* ---- for who looks after it ---- */

err store_lmdb_info(const struct store_backend *backend,
                    struct store_lmdb_info *out)
{
    struct store_lmdb *s = backend->context;
    MDB_envinfo info;
    MDB_stat all;
    MDB_txn *txn;
    int code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (code) return found_or_not(code);
    mdb_env_info(s->env, &info);
    mdb_stat(txn, s->dbi, &all);
    *out = (struct store_lmdb_info){
        .records = all.ms_entries,
        .page_bytes = all.ms_psize,
        .pages_used =
            all.ms_branch_pages + all.ms_leaf_pages + all.ms_overflow_pages,
        .map_bytes = info.me_mapsize,
        .commits = info.me_last_txnid,
    };
    uint64_t pages = (uint64_t)info.me_last_pgno + 1, meta = 2;
    if (pages > out->pages_used + meta)
        out->pages_free = pages - out->pages_used - meta;
    mdb_txn_abort(txn);
    int file;
    struct stat is;
    if (mdb_env_get_fd(s->env, &file) == 0 && fstat(file, &is) == 0)
        out->file_bytes = (uint64_t)is.st_size;
    return OK;
}

static err copy_to(struct store_lmdb *s, const char *path,
                   char why[STORE_WHY_BYTES])
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0) return say_errno(why, "store.mdb can't be made");
    int code = mdb_env_copyfd2(s->env, file, MDB_CP_COMPACT);
    if (code == 0 && fsync(file) != 0) code = errno;
    close(file);
    if (code) {
        unlink(path);
        return say(why, code, "the copy failed");
    }
    return OK;
}

err store_lmdb_copy(const struct store_backend *backend, const char *folder,
                    char why[STORE_WHY_BYTES])
{
    char path[PATH_MAX];
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return say_errno(why, "the folder can't be made");
    err e = path_in(folder, "store.mdb", path, why);
    if (e == OK) e = copy_to(backend->context, path, why);
    if (e == OK) sync_folder(folder);
    return e;
}

err store_lmdb_compact(const struct store_backend *backend, const char *folder,
                       char why[STORE_WHY_BYTES])
{
    char path[PATH_MAX], copy[PATH_MAX];
    err e = path_in(folder, "store.mdb", path, why);
    if (e == OK) e = path_in(folder, "store.mdb.copy", copy, why);
    if (e != OK) return e;
    unlink(copy); /* of one that was killed */
    e = copy_to(backend->context, copy, why);
    if (e == OK && rename(copy, path) != 0)
        e = say_errno(why, "the copy can't take the file's place");
    if (e == OK) sync_folder(folder);
    return e;
}
