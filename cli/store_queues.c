#include "cli/store_queues.h"
#include "actors/connectors/queue.h"
#include "cli/table.h"
#include <stdio.h>
#include <string.h>

/* Of the queue in hand. */
struct queue {
    char name[QUEUE_KEY_MAX];
    unsigned lanes;
    uint64_t written; /* records, of all lanes */
};

/* A group's rows stand together. */
struct group {
    char name[QUEUE_KEY_MAX]; /* "": none yet */
    uint64_t read;            /* records */
};

static err count_lanes(struct store_view *view, struct queue *q)
{
    struct queue_key prefix;
    struct bytes key, value, rest;
    struct queue_writer writer;
    err e = queue_prefix(q->name, QUEUE_WRITER, &prefix);
    err found =
        e == OK ? store_seek(view, queue_bytes(&prefix), &key, &value) : e;
    while (e == OK && found == OK && queue_key_rest(key, &prefix, &rest)) {
        e = queue_writer_get(value, &writer);
        q->lanes++;
        q->written += writer.next;
        found = store_next(view, &key, &value);
    }
    return e;
}

static void print_group(struct table *t, const struct queue *q,
                        const struct group *g)
{
    table_cell(t, "%s", q->name);
    table_cell(t, "%u", q->lanes);
    table_cell(t, "%llu", (unsigned long long)q->written);
    table_cell(t, "%s", g->name[0] ? g->name : "-");
    table_cell(t, "%llu", (unsigned long long)(q->written - g->read));
}

static err print_queue(struct store_view *view, struct table *t,
                       const struct queue *q)
{
    struct group g = {0};
    struct queue_key prefix;
    struct queue_place place;
    struct bytes key, value, rest, owner;
    err e = queue_prefix(q->name, QUEUE_GROUP, &prefix);
    err found =
        e == OK ? store_seek(view, queue_bytes(&prefix), &key, &value) : e;
    while (e == OK && found == OK && queue_key_rest(key, &prefix, &rest)) {
        size_t name = rest.count ? strnlen(rest.at, rest.count) : 0;
        e = name < rest.count ? queue_place_get(value, &place, &owner)
                              : ERR_FORMAT;
        if (e != OK) break;
        if (g.name[0] && strcmp(g.name, rest.at) != 0) {
            print_group(t, q, &g);
            g.read = 0;
        }
        memcpy(g.name, rest.at, name + 1);
        g.read += place.block + place.taken;
        found = store_next(view, &key, &value);
    }
    if (e == OK) print_group(t, q, &g);
    return e;
}

err store_list_queues(struct store_view *view)
{
    static const char *const titles[] = {"queue", "lanes", "written", "group",
                                         "behind"};
    struct table *t = table_new("lrrlr", titles);
    struct queue q = {0};
    struct bytes name = bytes_of("", 0);
    bool any = false;
    err e = t ? OK : ERR_NOMEM;
    while (e == OK && queue_next(view, name, &name) == OK) {
        q = (struct queue){0};
        memcpy(q.name, name.at, name.count);
        name.at = q.name;
        e = count_lanes(view, &q);
        if (e == OK) e = print_queue(view, t, &q);
        any = true;
    }
    if (e == OK && any) putchar('\n');
    if (e == OK && any) e = table_print(t, stdout);
    if (t) table_free(t);
    return e;
}
