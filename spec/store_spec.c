/* Stores: what was committed is there, all of it or nothing, in both backends,
 * whoever commits at the same time; a folder that is no good is refused. */
#include "core/alloc.h"
#include "core/store_lmdb.h"
#include "core/store_memory.h"
#include "spec/folder.h"
#include "spec/spec.h"
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct bytes text(const char *s)
{
    return bytes_of(s, strlen(s));
}

static struct store *in_folder(const char *folder, size_t map_bytes)
{
    struct store_backend backend;
    char why[STORE_WHY_BYTES] = "";
    err e = store_lmdb_open(folder, STORE_OWN, map_bytes, &backend, why);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s: %s", folder, why);
    return store_new(&backend);
}

static void put(struct store *store, const char *key, const char *value)
{
    struct store_write *w = store_write_new(store);
    CHECK_EQ(store_put(w, text(key), text(value)), OK);
    CHECK_EQ(store_commit(w), OK);
    store_write_drop(NULL, w);
}

/* "key=value key=value …" of all from `from` on, but for the store's own. */
static const char *all_from(struct store *store, const char *from)
{
    static char out[4096];
    struct store_view *view;
    struct bytes key, value;
    size_t used = 0;
    out[0] = 0;
    CHECK_EQ(store_view(store, &view), OK);
    for (err e = store_seek(view, text(from), &key, &value); e == OK;
         e = store_next(view, &key, &value)) {
        if (key.count == 4 && memcmp(key.at, "meta", 4) == 0) continue;
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%.*s=%.*s",
                                 used ? " " : "", (int)key.count,
                                 (const char *)key.at, (int)value.count,
                                 (const char *)value.at);
        CHECK(used < sizeof out);
    }
    store_unview(view);
    return out;
}

static void keep_in_order(struct store *store)
{
    put(store, "b", "2");
    put(store, "aa", "11");
    put(store, "a", "1");
    put(store, "c", "");
    CHECK_TEXT(all_from(store, ""), "a=1 aa=11 b=2 c=");
    CHECK_TEXT(all_from(store, "ab"), "b=2 c=");
    struct store_write *w = store_write_new(store);
    CHECK_EQ(store_remove(w, text("a")), OK);
    CHECK_EQ(store_remove(w, text("never there")), OK);
    CHECK_EQ(store_put(w, text("b"), text("two")), OK);
    CHECK_EQ(store_put(w, text("d"), text("4")), OK);
    CHECK_EQ(store_remove(w, text("d")), OK);
    CHECK_EQ(store_remove(w, text("c")), OK);
    CHECK_EQ(store_put(w, text("c"), text("3")), OK);
    CHECK_EQ(store_commit(w), OK);
    store_write_drop(NULL, w);
    CHECK_TEXT(all_from(store, ""), "aa=11 b=two c=3");
    struct store_view *view;
    struct bytes value;
    CHECK_EQ(store_view(store, &view), OK);
    CHECK_EQ(store_get(view, text("a"), &value), ERR_NOTFOUND);
    CHECK_EQ(store_get(view, text("b"), &value), OK);
    CHECK_EQ(value.count, 3);
    store_unview(view);
}

SPEC(store, keeps_records_in_the_order_of_their_keys)
{
    struct store_memory *memory = store_memory_new();
    struct store_backend backend = store_memory_backend(memory);
    struct store *store = store_new(&backend);
    keep_in_order(store);
    CHECK_EQ(store_memory_count(memory), 3);
    store_free(store);
    store_memory_free(memory);

    char folder[FOLDER_BYTES];
    folder_make(folder);
    store = in_folder(folder, 0);
    keep_in_order(store);
    store_free(store);
    store = in_folder(folder, 0); /* and another process finds them */
    CHECK_TEXT(all_from(store, ""), "aa=11 b=two c=3");
    store_free(store);
    folder_remove(folder);
}

static void refuse_what_changed(struct store *store)
{
    put(store, "k", "1");
    struct store_write *a = store_write_new(store);
    CHECK_EQ(store_expect(a, text("k"), text("1")), OK);
    CHECK_EQ(store_expect(a, text("new"), bytes_of(NULL, 0)), OK);
    CHECK_EQ(store_put(a, text("k"), text("2")), OK);
    CHECK_EQ(store_put(a, text("new"), text("")), OK);
    CHECK_EQ(store_commit(a), OK);
    CHECK_EQ(store_commit(a), ERR_CONFLICT);
    CHECK_HAS(a->why, "changed");
    store_write_drop(NULL, a);
    struct store_write *b = store_write_new(store);
    CHECK_EQ(store_put(b, text("x"), text("y")), OK);
    CHECK_EQ(store_expect(b, text("new"), bytes_of(NULL, 0)), OK);
    CHECK_EQ(store_commit(b), ERR_CONFLICT);
    store_write_drop(NULL, b);
    CHECK_TEXT(all_from(store, ""), "k=2 new=");
    struct store_write *c = store_write_new(store);
    char long_key[STORE_KEY_MAX + 1] = "";
    CHECK_EQ(store_put(c, bytes_of(long_key, sizeof long_key), text("")),
             ERR_LIMIT);
    CHECK_EQ(store_put(c, bytes_of(long_key, STORE_KEY_MAX), text("")), OK);
    CHECK_EQ(store_put(c, text(""), text("")), ERR_LIMIT);
    CHECK_EQ(store_commit(c), OK);
    store_write_drop(NULL, c);
}

SPEC(store, writes_all_or_nothing_of_what_relied_on_others)
{
    struct store_memory *memory = store_memory_new();
    struct store_backend backend = store_memory_backend(memory);
    struct store *store = store_new(&backend);
    refuse_what_changed(store);
    store_free(store);
    store_memory_free(memory);
    char folder[FOLDER_BYTES];
    folder_make(folder);
    store = in_folder(folder, 0);
    refuse_what_changed(store);
    store_free(store);
    folder_remove(folder);
}

/* ---- both do the same ---- */

static uint64_t below(uint64_t *seed, uint64_t most)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 33) % most;
}

static struct bytes some_key(uint64_t *seed, char out[64])
{
    size_t count = 1 + below(seed, 6);
    for (size_t i = 0; i < count; i++)
        out[i] = (char)('a' + below(seed, 4));
    if (below(seed, 8) == 0) out[count - 1] = (char)below(seed, 256);
    return bytes_of(out, count);
}

static void random_write(uint64_t *seed, struct store_write *a,
                         struct store_write *b)
{
    char key_text[64], value_text[3000];
    for (uint64_t n = 1 + below(seed, 12); n > 0; n--) {
        struct bytes key = some_key(seed, key_text);
        size_t count = below(seed, 20) == 0 ? below(seed, sizeof value_text)
                                            : below(seed, 4);
        memset(value_text, (int)('0' + below(seed, 3)), sizeof value_text);
        struct bytes value = bytes_of(value_text, count);
        switch (below(seed, 10)) {
        case 0:
            if (below(seed, 4)) break;
            CHECK_EQ(store_expect(a, key, value), OK);
            CHECK_EQ(store_expect(b, key, value), OK);
            break;
        case 1:
            CHECK_EQ(store_expect(a, key, bytes_of(NULL, 0)), OK);
            CHECK_EQ(store_expect(b, key, bytes_of(NULL, 0)), OK);
            break;
        case 2:
        case 3:
        case 4:
            CHECK_EQ(store_remove(a, key), OK);
            CHECK_EQ(store_remove(b, key), OK);
            break;
        default:
            CHECK_EQ(store_put(a, key, value), OK);
            CHECK_EQ(store_put(b, key, value), OK);
        }
    }
}

static void compare(uint64_t *seed, struct store *a, struct store *b)
{
    struct store_view *in_a, *in_b;
    struct bytes key_a, value_a, key_b, value_b;
    char from_text[64];
    struct bytes from =
        below(seed, 3) ? some_key(seed, from_text) : bytes_of("", 0);
    CHECK_EQ(store_view(a, &in_a), OK);
    CHECK_EQ(store_view(b, &in_b), OK);
    err e = store_seek(in_a, from, &key_a, &value_a);
    CHECK_EQ(store_seek(in_b, from, &key_b, &value_b), e);
    while (e == OK) {
        if (bytes_order(key_b, text("meta")) == 0) { /* the folder's own */
            CHECK_EQ(store_next(in_b, &key_b, &value_b), OK);
        }
        CHECK_EQ(bytes_order(key_a, key_b), 0);
        CHECK_EQ(bytes_order(value_a, value_b), 0);
        CHECK_EQ(store_get(in_b, key_a, &value_b), OK);
        CHECK_EQ(bytes_order(value_a, value_b), 0);
        e = store_next(in_a, &key_a, &value_a);
        err other = store_next(in_b, &key_b, &value_b);
        if (e != OK && other == OK && bytes_order(key_b, text("meta")) == 0)
            other = store_next(in_b, &key_b, &value_b);
        CHECK_EQ(other, e);
    }
    store_unview(in_a);
    store_unview(in_b);
}

/* ./build.sh sim 10 makes a million changes. */
SPEC(store, does_the_same_in_memory_and_in_a_folder)
{
    uint64_t conflicts = 0;
    FOR_SEEDS(16)
    {
        uint64_t seed = spec_seed * 7919 + 1;
        struct store_memory *memory = store_memory_new();
        struct store_backend backend = store_memory_backend(memory);
        struct store *a = store_new(&backend);
        char folder[FOLDER_BYTES];
        folder_make(folder);
        struct store *b = in_folder(folder, 64 * 1024);
        for (int i = 0; i < 1000; i++) {
            struct store_write *in_a = store_write_new(a);
            struct store_write *in_b = store_write_new(b);
            random_write(&seed, in_a, in_b);
            err e = store_commit(in_a);
            CHECK_EQ(store_commit(in_b), e);
            conflicts += e == ERR_CONFLICT;
            store_write_drop(NULL, in_a);
            store_write_drop(NULL, in_b);
            if (i % 50 == 49) compare(&seed, a, b);
        }
        store_free(a);
        store_free(b);
        store_memory_free(memory);
        folder_remove(folder);
    }
    CHECK_SEEN(conflicts);
}

/* ---- many at once ---- */

enum { WRITERS = 8, WRITES = 50, MAP_BYTES = 64 * 1024 };

struct writer {
    struct store *store;
    unsigned number;
    pthread_t thread;
};

static void *write_many(void *arg)
{
    struct writer *me = arg;
    for (unsigned i = 0; i < WRITES; i++) {
        char key[32];
        snprintf(key, sizeof key, "%u-%u", me->number, i);
        char value[1000];
        memset(value, 'x', sizeof value);
        value[sizeof value - 1] = 0;
        put(me->store, key, value);
    }
    return NULL;
}

SPEC(store, commits_together_what_waits_and_grows)
{
    char folder[FOLDER_BYTES];
    folder_make(folder);
    struct store_backend backend;
    char why[STORE_WHY_BYTES];
    CHECK_EQ(store_lmdb_open(folder, STORE_OWN, MAP_BYTES, &backend, why), OK);
    struct store_lmdb_info info;
    struct store *store = store_new(&backend);
    CHECK_EQ(store_lmdb_info(&backend, &info), OK);
    uint64_t before = info.commits;
    struct writer writers[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){store, i, 0};
        CHECK_EQ(
            pthread_create(&writers[i].thread, NULL, write_many, &writers[i]),
            0);
    }
    struct store_view *view;
    for (int i = 0; i < 100; i++) { /* a reader beside them */
        struct bytes key, value;
        CHECK_EQ(store_view(store, &view), OK);
        for (err e = store_seek(view, text("0-"), &key, &value); e == OK;)
            e = store_next(view, &key, &value);
        store_unview(view);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    CHECK_EQ(store_lmdb_info(&backend, &info), OK);
    CHECK_EQ(info.records, WRITERS * WRITES + 1);
    CHECK(info.commits - before < WRITERS * WRITES);
    CHECK(info.map_bytes > MAP_BYTES);
    store_free(store);
    folder_remove(folder);
}

/* ---- faults ---- */

static err fail_once(void *context)
{
    int *left = context;
    return (*left)-- > 0 ? ERR_NOSPACE : OK;
}

SPEC(store, has_nothing_of_a_commit_that_failed)
{
    struct store_memory *memory = store_memory_new();
    struct store_backend backend = store_memory_backend(memory);
    struct store *store = store_new(&backend);
    put(store, "a", "1");
    put(store, "b", "1");
    int faults = 2; /* the group, and the write alone */
    store_memory_set_fault(memory, fail_once, &faults);
    struct store_write *w = store_write_new(store);
    CHECK_EQ(store_put(w, text("a"), text("2")), OK);
    CHECK_EQ(store_put(w, text("a"), text("3")), OK);
    CHECK_EQ(store_remove(w, text("b")), OK);
    CHECK_EQ(store_put(w, text("b"), text("4")), OK);
    CHECK_EQ(store_put(w, text("c"), text("5")), OK);
    CHECK_EQ(store_remove(w, text("c")), OK);
    CHECK_EQ(store_commit(w), ERR_NOSPACE);
    CHECK_HAS(w->why, "no room left");
    CHECK_TEXT(all_from(store, ""), "a=1 b=1");
    CHECK_EQ(store_commit(w), OK); /* there is room again */
    CHECK_TEXT(all_from(store, ""), "a=3 b=4");
    store_write_drop(NULL, w);
    store_free(store);
    store_memory_free(memory);
}

static err open_again(const char *folder, enum store_use use,
                      char why[STORE_WHY_BYTES])
{
    struct store_backend backend;
    err e = store_lmdb_open(folder, use, 0, &backend, why);
    if (e == OK) backend.close(backend.context);
    return e;
}

SPEC(store, is_one_process_at_a_time)
{
    char folder[FOLDER_BYTES], why[STORE_WHY_BYTES];
    folder_make(folder);
    struct store *store = in_folder(folder, 0);
    CHECK_EQ(open_again(folder, STORE_OWN, why), ERR_BUSY);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld has it", (long)getpid());
    CHECK_HAS(why, pid);
    store_free(store);
    CHECK_EQ(open_again(folder, STORE_OWN, why), OK);
    folder_remove(folder);
}

static void write_file(const char *folder, const char *bytes, size_t count)
{
    char path[FOLDER_BYTES + 32];
    snprintf(path, sizeof path, "%s/store.mdb", folder);
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    CHECK_EQ(fwrite(bytes, 1, count, f), count);
    CHECK_EQ(fclose(f), 0);
}

SPEC(store, refuses_a_file_that_is_none)
{
    char folder[FOLDER_BYTES], why[STORE_WHY_BYTES], junk[20000];
    folder_make(folder);
    CHECK_EQ(open_again(folder, STORE_LOOK, why), ERR_NOTFOUND);
    memset(junk, 'x', sizeof junk);
    write_file(folder, junk, sizeof junk);
    CHECK_EQ(open_again(folder, STORE_OWN, why), ERR_FORMAT);
    CHECK_HAS(why, "store.mdb");
    folder_remove(folder);
}

SPEC(store, refuses_a_file_that_was_cut)
{
    char folder[FOLDER_BYTES], why[STORE_WHY_BYTES], path[FOLDER_BYTES + 32];
    folder_make(folder);
    struct store *store = in_folder(folder, 0);
    for (int i = 0; i < 50; i++) {
        char key[16], value[2000];
        snprintf(key, sizeof key, "k%d", i);
        memset(value, 'v', sizeof value);
        value[sizeof value - 1] = 0;
        put(store, key, value);
    }
    store_free(store);
    snprintf(path, sizeof path, "%s/store.mdb", folder);
    CHECK_EQ(truncate(path, 40000), 0);
    CHECK_EQ(open_again(folder, STORE_OWN, why), ERR_TRUNCATED);
    CHECK_HAS(why, "was cut: it has 40000 bytes and needs");
    CHECK_EQ(open_again(folder, STORE_LOOK, why), ERR_TRUNCATED);
    folder_remove(folder);
}

/* As another program, or engine of another time, would have left it. */
static void put_meta(const char *folder, const char *key, const char *value)
{
    char path[FOLDER_BYTES + 32];
    snprintf(path, sizeof path, "%s/store.mdb", folder);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = {strlen(key), (void *)(uintptr_t)key};
    MDB_val v = {strlen(value), (void *)(uintptr_t)value};
    CHECK_EQ(mdb_env_create(&env), 0);
    CHECK_EQ(mdb_env_open(env, path, MDB_NOSUBDIR, 0666), 0);
    CHECK_EQ(mdb_txn_begin(env, NULL, 0, &txn), 0);
    CHECK_EQ(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    CHECK_EQ(mdb_put(txn, dbi, &k, &v, 0), 0);
    CHECK_EQ(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

SPEC(store, refuses_a_store_of_another_version_or_program)
{
    char folder[FOLDER_BYTES], why[STORE_WHY_BYTES];
    folder_make(folder);
    put_meta(folder, "someone", "else's");
    CHECK_EQ(open_again(folder, STORE_OWN, why), ERR_FORMAT);
    CHECK_TEXT(why, "store.mdb is no store of engine's");
    put_meta(folder, "meta", "engine-store 99");
    CHECK_EQ(open_again(folder, STORE_OWN, why), ERR_FORMAT);
    CHECK_HAS(why, "is of format 99 and this engine writes format 1");
    folder_remove(folder);
}

SPEC(store, is_copied_while_it_is_used)
{
    char folder[FOLDER_BYTES], copy[FOLDER_BYTES], why[STORE_WHY_BYTES];
    folder_make(folder);
    folder_make(copy);
    struct store_backend backend;
    CHECK_EQ(store_lmdb_open(folder, STORE_OWN, 0, &backend, why), OK);
    struct store *store = store_new(&backend);
    put(store, "a", "1");
    CHECK_EQ(store_lmdb_copy(&backend, copy, why), OK);
    put(store, "a", "2");
    CHECK_EQ(store_lmdb_copy(&backend, copy, why), ERR_IO);
    CHECK_HAS(why, "store.mdb can't be made");
    store_free(store);
    store = in_folder(copy, 0);
    CHECK_TEXT(all_from(store, ""), "a=1");
    store_free(store);
    folder_remove(folder);
    folder_remove(copy);
}
