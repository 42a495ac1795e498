#include "cli/store_registry.h"
#include "cli/table.h"
#include "core/json_write.h"
#include "core/registry_store.h"
#include <string.h>

/* Calls back with each entry while that is OK. */
static err each(struct store_view *view,
                err (*entry_fn)(void *to, const struct registry_entry *entry),
                void *to)
{
    struct bytes record, value;
    struct registry_entry entry;
    char key[REGISTRY_KEY_MAX + 1];
    err e = OK;
    err at = store_seek(view, registry_store_begin(), &record, &value);
    for (; e == OK && at == OK; at = store_next(view, &record, &value)) {
        e = registry_store_entry(record, value, &entry, key);
        if (e == OK) e = entry_fn(to, &entry);
        if (e == ERR_DONE) e = OK; /* no entry */
    }
    if (e == OK && at != ERR_NOTFOUND) return at;
    return e == ERR_NOTFOUND ? OK : e; /* another's record: there are no more */
}

struct list {
    struct table *table;
    uint64_t count;
};

static err list_entry(void *to, const struct registry_entry *entry)
{
    struct list *list = to;
    list->count++;
    table_cell(list->table, "%s", entry->key);
    table_cell(list->table, "%llu", (unsigned long long)entry->version);
    if (entry->owner)
        table_cell(list->table, "%llu", (unsigned long long)entry->owner);
    else
        table_cell(list->table, "-");
    table_cell(list->table, "%zu", entry->value.count);
    return OK;
}

err store_list_registry(struct store_view *view, FILE *to)
{
    static const char *const titles[] = {"registry", "version", "session",
                                         "bytes"};
    struct list list = {.table = table_new("lrrr", titles)};
    if (list.table == NULL) return ERR_NOMEM;
    err e = each(view, list_entry, &list);
    if (e == OK && list.count > 0) putc('\n', to);
    if (e == OK && list.count > 0) e = table_print(list.table, to);
    table_free(list.table);
    return e;
}

struct lines {
    const char *key;
    struct buffer line;
    FILE *to;
    uint64_t found;
};

static bool is_wanted(const char *key, const char *wanted)
{
    size_t count = strlen(wanted);
    return strcmp(wanted, "/") == 0 ||
           (strncmp(key, wanted, count) == 0 &&
            (key[count] == '\0' || key[count] == '/'));
}

/* {"key":"a/b","version":7,"fence":5,"session":0,"value":"…"} */
static err print_entry(void *to, const struct registry_entry *entry)
{
    struct lines *lines = to;
    struct json_writer w = {.out = &lines->line};
    char numbers[128];
    if (!is_wanted(entry->key, lines->key)) return OK;
    lines->found++;
    lines->line.used = 0;
    int count = snprintf(
        numbers, sizeof numbers,
        ",\"version\":%llu,\"fence\":%llu,\"session\":%llu,\"value\":",
        (unsigned long long)entry->version, (unsigned long long)entry->fence,
        (unsigned long long)entry->owner);
    json_put(&w, "{\"key\":", 7);
    json_put_bytes(&w, entry->key, strlen(entry->key));
    json_put(&w, numbers, (size_t)count);
    json_put_bytes(&w, entry->value.at, entry->value.count);
    json_put(&w, "}\n", 2);
    if (w.failed != OK) return w.failed;
    size_t used = lines->line.used;
    return fwrite(lines->line.data, 1, used, lines->to) == used ? OK : ERR_IO;
}

err store_print_registry(struct store_view *view, const char *key, FILE *to,
                         uint64_t *found)
{
    struct lines lines = {.key = key, .to = to};
    err e = each(view, print_entry, &lines);
    buffer_fini(&lines.line);
    *found = lines.found;
    return e;
}
