/* A task's state: what was put is there, whatever lies in memory, is being
 * written or is in the store only; what a failed call changed is taken back. */
#include "actors/stream/state.h"
#include "core/alloc.h"
#include "core/store_memory.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

static struct bytes text(const char *s)
{
    return bytes_of(s, strlen(s));
}

struct fixture {
    struct store_memory *memory;
    struct store *store;
    struct state *state;
    struct store_part *part; /* taken, and not written yet */
};

static void begin(struct fixture *f)
{
    f->memory = store_memory_new();
    struct store_backend backend = store_memory_backend(f->memory);
    f->store = store_new(&backend);
    f->state = state_new(f->store, text("s.t."));
    f->part = NULL;
    /* Neighbours in the store that are none of its. */
    struct store_write *w = store_write_new(f->store);
    CHECK_EQ(store_put(w, text("s.s.zz"), text("other")), OK);
    CHECK_EQ(store_put(w, text("s.u.a"), text("other")), OK);
    CHECK_EQ(store_commit(w), OK);
    store_write_drop(NULL, w);
}

static void end(struct fixture *f)
{
    if (f->part) f->part->drop(f->part);
    state_free(f->state);
    store_free(f->store);
    store_memory_free(f->memory);
}

static void freeze(struct fixture *f)
{
    if (f->part == NULL) CHECK_EQ(state_freeze(f->state, &f->part), OK);
}

static void write_frozen(struct fixture *f)
{
    if (f->part == NULL) return;
    state_rest(f->state);
    struct store_write *w = store_write_new(f->store);
    w->parts = f->part;
    CHECK_EQ(store_commit(w), OK);
    store_write_drop(NULL, w);
    f->part->drop(f->part);
    f->part = NULL;
    state_thaw(f->state);
}

static void put(struct fixture *f, const char *key, const char *value)
{
    CHECK_EQ(
        state_put(f->state, text(key), value ? text(value) : bytes_of(NULL, 0)),
        OK);
}

static const char *get(struct fixture *f, const char *key)
{
    static char out[64];
    struct bytes value;
    CHECK_EQ(state_get(f->state, text(key), &value), OK);
    snprintf(out, sizeof out, "%.*s", (int)value.count,
             value.at ? (const char *)value.at : "");
    return value.at ? out : "-";
}

/* "k k k": of a walk in steps of `most`. */
static const char *keys(struct fixture *f, const char *prefix, unsigned most)
{
    static char out[8192];
    size_t used = 0;
    struct buffer found = {0};
    char from[64] = "";
    unsigned count;
    out[0] = 0;
    for (bool first = true;; first = false) {
        found.used = 0;
        CHECK_EQ(state_keys(f->state, text(prefix), text(from), first, most,
                            &found, &count),
                 OK);
        CHECK(count <= most);
        for (size_t at = 0; at < found.used;) {
            uint32_t bytes;
            memcpy(&bytes, found.data + at, sizeof bytes);
            snprintf(from, sizeof from, "%.*s", (int)bytes,
                     (const char *)found.data + at + sizeof bytes);
            used += (size_t)snprintf(out + used, sizeof out - used, "%s%s",
                                     used ? " " : "", from);
            at += sizeof bytes + bytes;
        }
        if (count < most) break;
    }
    buffer_fini(&found);
    return out;
}

SPEC(state, gives_what_was_put_wherever_it_lies)
{
    struct fixture f;
    begin(&f);
    CHECK_TEXT(get(&f, "a"), "-");
    put(&f, "a", "1");
    put(&f, "b", "1");
    put(&f, "d", "1");
    state_keep(f.state);
    freeze(&f);
    CHECK_TEXT(get(&f, "a"), "1");
    put(&f, "a", "2");
    put(&f, "b", NULL);
    put(&f, "c", "");
    state_keep(f.state);
    CHECK_TEXT(get(&f, "a"), "2");
    CHECK_TEXT(get(&f, "b"), "-");
    CHECK_TEXT(get(&f, "c"), "");
    CHECK_TEXT(keys(&f, "", 2), "a c d");
    write_frozen(&f); /* a=1 b=1 d=1 are in the store */
    CHECK_EQ(store_memory_count(f.memory), 5);
    CHECK_TEXT(get(&f, "a"), "2");
    CHECK_TEXT(get(&f, "b"), "-");
    CHECK_TEXT(get(&f, "d"), "1");
    CHECK_TEXT(keys(&f, "", 2), "a c d");
    freeze(&f);
    write_frozen(&f);
    CHECK_EQ(store_memory_count(f.memory), 5);
    state_free(f.state); /* another process goes on */
    f.state = state_new(f.store, text("s.t."));
    CHECK_TEXT(get(&f, "a"), "2");
    CHECK_TEXT(get(&f, "b"), "-");
    CHECK_TEXT(get(&f, "c"), "");
    CHECK_TEXT(keys(&f, "", 1), "a c d");
    freeze(&f); /* reading changes nothing */
    CHECK(f.part == NULL);
    end(&f);
}

SPEC(state, takes_back_what_a_failed_call_changed)
{
    struct fixture f;
    begin(&f);
    put(&f, "a", "long before");
    put(&f, "b", "1");
    state_keep(f.state);
    put(&f, "a", "x");
    put(&f, "a", "a value that needs more room than the one before had");
    put(&f, "b", NULL);
    put(&f, "c", "new");
    state_undo(f.state);
    CHECK_TEXT(get(&f, "a"), "long before");
    CHECK_TEXT(get(&f, "b"), "1");
    CHECK_TEXT(get(&f, "c"), "-");
    freeze(&f);
    put(&f, "a", "over the frozen");
    state_undo(f.state);
    CHECK_TEXT(get(&f, "a"), "long before");
    write_frozen(&f);
    CHECK_TEXT(get(&f, "a"), "long before");
    CHECK_TEXT(keys(&f, "", 100), "a b");
    end(&f);
}

SPEC(state, changes_a_value_where_it_lies)
{
    struct fixture f;
    begin(&f);
    struct state_value v;
    CHECK_EQ(state_change(f.state, text("n"), 9, &v), OK);
    CHECK(!v.is);
    memcpy(v.at, "one", 3);
    state_changed(f.state, &v, 3);
    state_keep(f.state);
    freeze(&f);
    CHECK_EQ(state_change(f.state, text("n"), 9, &v), OK);
    CHECK(v.is && v.count == 3 && memcmp(v.at, "one", 3) == 0);
    memcpy(v.at, "eleven", 6);
    state_changed(f.state, &v, 6);
    CHECK_TEXT(get(&f, "n"), "eleven");
    state_undo(f.state);
    CHECK_TEXT(get(&f, "n"), "one");
    end(&f);
}

/* ---- any order of them ---- */

enum { KEYS = 60 };

struct model {
    char now[KEYS][24], kept[KEYS][24]; /* "-": there is none */
};

static uint64_t draws;
static uint64_t below(uint64_t most)
{
    draws = draws * 6364136223846793005u + 1442695040888963407u;
    return (draws >> 33) % most;
}

static void name_key(char out[16], uint64_t i)
{
    snprintf(out, 16, "%c%llu", (char)('a' + i % 3), (unsigned long long)i);
}

static void check_all(struct fixture *f, const struct model *m)
{
    char name[16];
    unsigned there = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        name_key(name, i);
        CHECK_TEXT(get(f, name), m->now[i]);
        there += strcmp(m->now[i], "-") != 0 && i % 3 == 1;
    }
    const char *list = keys(f, "b", 1 + (unsigned)below(7));
    unsigned listed = *list != 0;
    for (const char *c = list; *c; c++)
        listed += *c == ' ';
    CHECK_EQ(listed, there);
}

/* Its first byte changes, and one more comes. */
static void append(struct fixture *f, const char *name, char now[24])
{
    struct state_value v;
    size_t count = strlen(now);
    CHECK_EQ(state_append(f->state, text(name), 1, 1, &v), OK);
    CHECK(v.is && v.count == count);
    v.at[0] = (uint8_t)(now[0] = (char)('0' + below(10)));
    v.at[count] = (uint8_t)(now[count] = 'x');
    now[count + 1] = '\0';
    state_changed(f->state, &v, count + 1);
}

static void change_one(struct fixture *f, struct model *m)
{
    char name[16];
    uint64_t i = below(KEYS);
    name_key(name, i);
    if (strcmp(m->now[i], "-") != 0 && strlen(m->now[i]) < 22 &&
        below(3) == 0) {
        append(f, name, m->now[i]);
        return;
    }
    if (below(4) == 0) {
        put(f, name, NULL);
        strcpy(m->now[i], "-");
        return;
    }
    snprintf(m->now[i], sizeof m->now[i], "%0*llu", 1 + (int)below(20),
             (unsigned long long)below(1000));
    put(f, name, m->now[i]);
}

SPEC(state, is_what_a_plain_map_is)
{
    FOR_SEEDS(30)
    {
        draws = spec_seed * 9973 + 7;
        struct fixture f;
        struct model m;
        begin(&f);
        for (unsigned i = 0; i < KEYS; i++) {
            strcpy(m.now[i], "-");
            strcpy(m.kept[i], "-");
        }
        for (int step = 0; step < 3000; step++) {
            switch (below(24)) {
            case 0: /* the call fails */
                state_undo(f.state);
                memcpy(m.now, m.kept, sizeof m.now);
                break;
            case 1:
                state_keep(f.state);
                memcpy(m.kept, m.now, sizeof m.now);
                freeze(&f);
                break;
            case 2: write_frozen(&f); break;
            case 3: state_rest(f.state); break;
            case 4:
                if (below(10) || f.part) break;
                state_keep(f.state); /* the process is started anew */
                memcpy(m.kept, m.now, sizeof m.now);
                freeze(&f);
                write_frozen(&f);
                state_free(f.state);
                f.state = state_new(f.store, text("s.t."));
                break;
            case 5:
            case 6:
            case 7:
                state_keep(f.state);
                memcpy(m.kept, m.now, sizeof m.now);
                break;
            default: change_one(&f, &m);
            }
            if (step % 20 == 0) check_all(&f, &m);
        }
        check_all(&f, &m);
        state_undo(f.state);
        memcpy(m.now, m.kept, sizeof m.now);
        check_all(&f, &m);
        end(&f);
    }
}

SPEC(state, gives_a_hundred_thousand_keys_back)
{
    struct fixture f;
    begin(&f);
    char name[32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100000; i++) {
            snprintf(name, sizeof name, "key %d", i);
            put(&f, name, name + round);
            state_keep(f.state);
        }
        CHECK(state_changed_bytes(f.state) > 100000 * 8);
        freeze(&f);
        CHECK_EQ(state_changed_bytes(f.state), 0);
        write_frozen(&f);
    }
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "key %d", i);
        CHECK_TEXT(get(&f, name), name + 1);
    }
    end(&f);
}

static err count_put(void *to, struct bytes key, struct bytes value)
{
    ++*(unsigned *)to;
    return OK;
}

SPEC(state, leaves_a_part_whole_that_is_still_written)
{
    enum { MANY = 10000 };
    struct fixture f;
    begin(&f);
    for (int i = 0; i < MANY; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        put(&f, key, "here");
    }
    freeze(&f);
    state_keep(f.state);
    state_thaw(f.state);
    unsigned count = 0;
    CHECK_EQ(f.part->each(f.part, count_put, &count), OK);
    CHECK_EQ(count, MANY);
    end(&f);
}
