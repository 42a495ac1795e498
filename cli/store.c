/* store.c - engine store: what lies in a folder of --data, beside the process
 * that runs or without one. */
#include "actors/connectors/queue.h"
#include "actors/stream/ledger.h"
#include "actors/stream/ttl.h"
#include "actors/stream/windows.h"
#include "cli/store_queues.h"
#include "cli/store_registry.h"
#include "cli/table.h"
#include "cli/verb.h"
#include "core/alloc.h"
#include "core/json_write.h"
#include "core/registry_store.h"
#include "core/sort_key.h"
#include "core/store_lmdb.h"
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The store of the folder, to look at. */
struct shelf {
    const char *folder;
    struct store_backend backend;
    struct store *store;
    struct store_view *view;
};

static int complain(const char *folder, const char *why)
{
    verb_say("%s: %s", folder, why);
    return EXIT_FAILED;
}

static int open_shelf(struct shelf *s, const char *folder, enum store_use use)
{
    char why[STORE_WHY_BYTES];
    *s = (struct shelf){.folder = folder};
    if (store_lmdb_open(folder, use, 0, &s->backend, why) != OK)
        return complain(folder, why);
    s->store = store_new(&s->backend);
    if (s->store && store_view(s->store, &s->view) == OK) return EXIT_WELL;
    store_free(s->store);
    s->store = NULL;
    return complain(folder, "out of memory");
}

static void close_shelf(struct shelf *s)
{
    store_unview(s->view);
    store_free(s->store);
}

/* ---- keys of records, see ledger.h ---- */

/* "NAME 0 …": the name, and what is behind it. */
static bool take_name(struct bytes *key, struct bytes *name)
{
    const uint8_t *at = key->at, *zero = memchr(at, 0, key->count);
    if (zero == NULL) return false;
    *name = bytes_of(at, (size_t)(zero - at));
    *key = bytes_of(zero + 1, key->count - name->count - 1);
    return true;
}

struct record {
    char kind;
    struct bytes topology, component, key;
    unsigned index;
};

static bool take_record(struct bytes key, struct record *r)
{
    *r = (struct record){.kind = *(const char *)key.at};
    struct bytes rest = bytes_of((const uint8_t *)key.at + 1, key.count - 1);
    if (!take_name(&rest, &r->topology)) return false;
    if (r->kind == LEDGER_CHECKPOINT || r->kind == LEDGER_NAMES)
        return rest.count == 0;
    if (!take_name(&rest, &r->component) || rest.count < 4) return false;
    r->index = value_load32(rest.at);
    r->key = bytes_of((const uint8_t *)rest.at + 4, rest.count - 4);
    return r->kind == LEDGER_TASK || r->kind == LEDGER_STATE ||
           r->kind == LEDGER_BACKLOG;
}

static bool is_named(struct bytes name, const char *text)
{
    return bytes_order(name, bytes_of(text, strlen(text))) == 0;
}

/* ---- ls ---- */

struct counts {
    uint64_t records, bytes;
};

static struct counts count_state(struct shelf *s, const char *topology)
{
    struct counts n = {0};
    struct bytes key, value;
    struct record r;
    char from[LEDGER_KEY_MAX];
    int count = snprintf(from, sizeof from, "s%s", topology);
    for (err e = store_seek(s->view, bytes_of(from, (size_t)count + 1), &key,
                            &value);
         e == OK && take_record(key, &r) && r.kind == LEDGER_STATE &&
         is_named(r.topology, topology);
         e = store_next(s->view, &key, &value)) {
        n.records++;
        n.bytes += key.count + value.count;
    }
    return n;
}

static void list_topology(struct shelf *s, struct table *t, const char *name)
{
    char when[32], why[STORE_WHY_BYTES];
    struct ledger_checkpoint c;
    struct counts n = count_state(s, name);
    bool known = ledger_read_any(s->view, name, &c, why) == OK;
    time_t second = (time_t)(c.wall_ns / 1000000000);
    struct tm at;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&second, &at));
    table_cell(t, "%s", name);
    table_cell(t, "%llu", (unsigned long long)c.number);
    table_cell(t, "%s", known ? when : "?");
    table_cell(t, "%s", c.ended ? "ended" : "goes on");
    table_cell(t, "%llu", (unsigned long long)n.records);
    table_cell(t, "%llu", (unsigned long long)n.bytes);
}

/* The names are copied: counting walks the same view. */
static bool next_topology(struct shelf *s, char name[LEDGER_KEY_MAX])
{
    struct bytes key, value;
    struct record r;
    char from[LEDGER_KEY_MAX + 2];
    int count = snprintf(from, sizeof from, "c%s", name) + (name[0] ? 1 : 0);
    err e = store_seek(s->view, bytes_of(from, (size_t)count), &key, &value);
    if (e == OK && name[0] && is_named(bytes_of(key.at, key.count - 1), from))
        e = store_next(s->view, &key, &value);
    if (e != OK || !take_record(key, &r) || r.kind != LEDGER_CHECKPOINT ||
        r.topology.count >= LEDGER_KEY_MAX)
        return false;
    memcpy(name, r.topology.at, r.topology.count);
    name[r.topology.count] = '\0';
    return true;
}

static int list(struct shelf *s, int argc, char **argv)
{
    static const char *const titles[] = {"topology", "checkpoint", "taken",
                                         "state",    "keys",       "bytes"};
    struct table *t = table_new("lrllrr", titles);
    char name[LEDGER_KEY_MAX] = "";
    if (t == NULL) return complain(s->folder, "out of memory");
    while (next_topology(s, name))
        list_topology(s, t, name);
    err e = table_print(t, stdout);
    table_free(t);
    if (e == OK) e = store_list_queues(s->view);
    if (e == OK) e = store_list_registry(s->view, stdout);
    return e == OK ? EXIT_WELL : complain(s->folder, err_text(e));
}

/* ---- get ---- */

/* What the engine keeps beside the user's: times, windows. */
static bool is_own(struct bytes key)
{
    return key.count > 0 && *(const uint8_t *)key.at >= STATE_OWN;
}

/* {"task":0,"key":…,"value":…}; what is gone is there until it is removed. */
static err print_state(const struct record *r, struct bytes value,
                       struct buffer *line)
{
    struct json_writer w = {.out = line};
    struct value key;
    char head[64];
    line->used = 0;
    int count = snprintf(head, sizeof head, "{\"task\":%u,\"key\":", r->index);
    json_put(&w, head, (size_t)count);
    if (!sort_key_get(r->key, &key)) return ERR_FORMAT;
    if (key.type == VALUE_BYTES)
        json_put_bytes(&w, key.as.bytes, key.count);
    else
        json_put_scalar(&w, &key);
    json_put(&w, ",\"value\":", 9);
    int64_t gone_ns;
    json_put_value(&w, ttl_value(value, &gone_ns).at);
    json_put(&w, "}\n", 2);
    if (w.failed != OK) return w.failed;
    return fwrite(line->data, 1, line->used, stdout) == line->used ? OK
                                                                   : ERR_IO;
}

static int get_registry(struct shelf *s, const char *key)
{
    uint64_t found;
    err e = store_print_registry(s->view, key, stdout, &found);
    if (e != OK) return complain(s->folder, err_text(e));
    if (found > 0) return EXIT_WELL;
    verb_say("%s: the registry has no key '%s' there, nor one below it; engine "
             "store ls %s lists the keys",
             s->folder, key, s->folder);
    return EXIT_FAILED;
}

static int get(struct shelf *s, int argc, char **argv)
{
    /* No topology is named so. */
    if (strcmp(argv[0], "/") == 0) return get_registry(s, argv[1]);
    const char *topology = argv[0], *component = argv[1];
    struct buffer line = {0};
    struct bytes key, value;
    struct record r;
    char from[LEDGER_KEY_MAX];
    uint64_t found = 0;
    int count = snprintf(from, sizeof from, "s%s", topology);
    err e = count < (int)sizeof from ? OK : ERR_LIMIT;
    err at = e == OK ? store_seek(s->view, bytes_of(from, (size_t)count + 1),
                                  &key, &value)
                     : e;
    for (; e == OK && at == OK && take_record(key, &r) &&
           r.kind == LEDGER_STATE && is_named(r.topology, topology);
         at = store_next(s->view, &key, &value)) {
        if (!is_named(r.component, component)) continue;
        found++;
        if (is_own(r.key)) continue;
        e = print_state(&r, value, &line);
    }
    buffer_fini(&line);
    if (e != OK) return complain(s->folder, err_text(e));
    if (found > 0) return EXIT_WELL;
    verb_say("%s: component '%s' of '%s' keeps nothing there; engine store ls "
             "%s lists the topologies",
             s->folder, component, topology, s->folder);
    return EXIT_FAILED;
}

/* ---- check, backup, compact ---- */

static err check_registry(struct bytes key, struct bytes value)
{
    struct registry_entry entry;
    char text[REGISTRY_KEY_MAX + 1];
    return registry_store_entry(key, value, &entry, text);
}

/* One value, or several, and nothing else. */
static bool are_values(struct bytes bytes, bool one)
{
    const uint8_t *at = bytes.at, *end = at + bytes.count;
    do {
        if (value_check(at, end, &at) != OK) return false;
    } while (at < end && !one);
    return at == end;
}

/* NULL: it is sound. State is one value, other records are several. */
static const char *record_fault(struct bytes key, struct bytes value)
{
    int64_t gone_ns;
    struct record r;
    err queue = queue_check(key, value), registry = check_registry(key, value);
    if (queue == ERR_FORMAT || registry == ERR_FORMAT)
        return "a record of a queue or of the registry is damaged, or a newer "
               "engine's; use that one, or restore a backup";
    if (is_named(key, "meta") || queue == OK || registry != ERR_NOTFOUND)
        return NULL;
    if (!take_record(key, &r))
        return "there is a record that engine does not know";
    if (r.kind == LEDGER_STATE) value = ttl_value(value, &gone_ns);
    bool own = r.kind == LEDGER_STATE && is_own(r.key);
    if (own ? windows_row_is_sound(r.key, value)
            : are_values(value, r.kind == LEDGER_STATE))
        return NULL;
    return "a record is damaged; restore a backup";
}

static int walk_all(struct shelf *s)
{
    struct bytes key, value;
    uint64_t count = 0, bytes = 0;
    err e = store_seek(s->view, bytes_of("", 0), &key, &value);
    for (; e == OK; e = store_next(s->view, &key, &value)) {
        const char *fault = record_fault(key, value);
        if (fault) return complain(s->folder, fault);
        count++;
        bytes += key.count + value.count;
    }
    if (e != ERR_NOTFOUND) return complain(s->folder, err_text(e));
    printf("%s: %llu records, %llu bytes, sound\n", s->folder,
           (unsigned long long)count, (unsigned long long)bytes);
    return EXIT_WELL;
}

/* LMDB trusts its pages: a damaged one may end the process that reads it, so
 * another one does. */
static int check(struct shelf *s, int argc, char **argv)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) return walk_all(s);
    if (child == 0) {
        int code = walk_all(s);
        fflush(stdout);
        _exit(code);
    }
    while (waitpid(child, &status, 0) < 0)
        continue;
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    return complain(s->folder, "a page is damaged; restore a backup");
}

static int backup(struct shelf *s, int argc, char **argv)
{
    char why[STORE_WHY_BYTES];
    if (store_lmdb_copy(&s->backend, argv[0], why) == OK) return EXIT_WELL;
    return complain(argv[0], why);
}

static int say_size(const struct shelf *s, const char *what)
{
    struct store_lmdb_info info;
    if (store_lmdb_info(&s->backend, &info) != OK)
        return complain(s->folder, "it can't be read");
    uint64_t pages = info.pages_free + info.pages_used + 2;
    printf("%s: %s %llu bytes, %llu pages of %llu free\n", s->folder, what,
           (unsigned long long)info.file_bytes,
           (unsigned long long)info.pages_free, (unsigned long long)pages);
    return EXIT_WELL;
}

/* A copy takes the file's place: both are whole at any time. */
static int compact(struct shelf *s, int argc, char **argv)
{
    char why[STORE_WHY_BYTES];
    int code = say_size(s, "was");
    if (code == EXIT_WELL &&
        store_lmdb_compact(&s->backend, s->folder, why) != OK)
        code = complain(s->folder, why);
    if (code != EXIT_WELL) return code;
    close_shelf(s);
    code = open_shelf(s, s->folder, STORE_LOOK);
    return code == EXIT_WELL ? say_size(s, "is") : code;
}

/* ---- the verb ---- */

static const struct {
    const char *name, *arguments;
    int count; /* of them, behind the folder */
    enum store_use use;
    int (*run)(struct shelf *s, int argc, char **argv);
} verbs[] = {
    {"ls", "", 0, STORE_LOOK, list},
    {"get", " TOPOLOGY COMPONENT", 2, STORE_LOOK, get},
    {"check", "", 0, STORE_LOOK, check},
    {"backup", " TO-FOLDER", 1, STORE_LOOK, backup},
    {"compact", "", 0, STORE_OWN, compact},
};
enum { VERBS = sizeof verbs / sizeof verbs[0] };

static bool take_none(void *context, unsigned option, const char *value)
{
    return false;
}

static int run_store(const struct verb *verb, int argc, char **argv)
{
    int code = verb_parse(verb, &argc, argv, take_none, NULL);
    if (code != EXIT_WELL) return code < 0 ? EXIT_WELL : code;
    for (int i = 0; argc > 1 && i < VERBS; i++) {
        if (strcmp(argv[1], verbs[i].name) != 0) continue;
        if (argc != 3 + verbs[i].count) {
            verb_say("it is: engine store %s FOLDER%s", verbs[i].name,
                     verbs[i].arguments);
            return EXIT_USAGE;
        }
        struct shelf shelf;
        code = open_shelf(&shelf, argv[2], verbs[i].use);
        if (code != EXIT_WELL) return code;
        code = verbs[i].run(&shelf, argc - 3, argv + 3);
        close_shelf(&shelf);
        return code;
    }
    verb_say("store takes ls, get, check, backup or compact, and a folder: "
             "engine store ls FOLDER");
    return EXIT_USAGE;
}

static const struct verb_option no_options[] = {{NULL, NULL, NULL}};

const struct verb store_verb = {
    .name = "store",
    .arguments = "ls|get|check|backup|compact FOLDER …",
    .help = "look into a folder of --data, check it, copy it",
    .example = "engine store ls data",
    .more =
        "  ls FOLDER                      its topologies: checkpoint, keys, "
        "bytes\n"
        "  get FOLDER TOPOLOGY COMPONENT  what a component keeps, a line of "
        "JSON each\n"
        "  check FOLDER                   reads all of it and says whether "
        "it is sound\n"
        "  backup FOLDER TO-FOLDER        a copy, also beside a run\n"
        "  compact FOLDER                 gives free pages back; not beside "
        "a run\n",
    .options = no_options,
    .run = run_store,
};
