#include "cli/data.h"
#include "actors/connectors/queue.h"
#include "actors/stream/reveal.h"
#include "core/store_lmdb.h"
#include "core/store_memory.h"
#include <stdio.h>
#include <string.h>

static int refuse(const struct run_options *o, const char *why)
{
    verb_say("--data %s: %s", o->data, why);
    return EXIT_FAILED;
}

int data_open(struct data *data, const struct run_options *o, bool durable)
{
    struct store_backend backend;
    char why[STORE_WHY_BYTES];
    if (o->data == NULL && !durable) return EXIT_WELL;
    if (o->data) {
        err e = store_lmdb_open(o->data, STORE_OWN, 0, &backend, why);
        if (e != OK) return refuse(o, why);
    } else {
        data->memory = store_memory_new();
        if (data->memory) backend = store_memory_backend(data->memory);
    }
    if (o->data || data->memory) data->store = store_new(&backend);
    if (data->store) return EXIT_WELL;
    verb_say("can't start: out of memory");
    return EXIT_FAILED;
}

void data_close(struct data *data)
{
    store_free(data->store);
    store_memory_free(data->memory);
    *data = (struct data){0};
}

int data_read(struct data *data, const struct run_options *o,
              const struct plan *plan, struct ledger_checkpoint *out)
{
    char why[STORE_WHY_BYTES];
    struct store_view *view;
    *out = (struct ledger_checkpoint){0};
    if (o->data == NULL) return EXIT_WELL;
    if (o->fresh && (ledger_forget(data->store, plan->name, why) != OK ||
                     queue_forget(data->store, plan->name, why) != OK))
        return refuse(o, why);
    err e = store_view(data->store, &view);
    if (e != OK) return refuse(o, err_text(e));
    e = ledger_read(view, plan, out, why);
    store_unview(view);
    if (e == OK) return EXIT_WELL;
    refuse(o, why);
    return e == ERR_FORMAT ? EXIT_DEFINITION : EXIT_FAILED;
}

int data_reveal(struct data *data, const struct run_options *o,
                const struct plan *plan)
{
    struct reveal *names;
    err e = reveal_read(data->store, plan, &names);
    if (e != OK) return refuse(o, err_text(e));
    if (names == NULL) return EXIT_WELL;
    reveal_run(names, &disk_real);
    if (names->error)
        verb_say("%s can't be renamed to %s: %s; make that possible and start "
                 "it again",
                 reveal_from(names), reveal_to(names), strerror(names->error));
    int code = names->error ? EXIT_FAILED : EXIT_WELL;
    ref_drop(NULL, &names->job.ref);
    return code;
}

const char *data_survives(const struct data *data)
{
    if (data->store == NULL)
        return "nothing survives a restart: what is under way is in memory "
               "only";
    if (data->memory)
        return "state is in memory only and does not survive a restart; "
               "--data FOLDER keeps it";
    return "survives a restart";
}
