#include "spec/sim/kept.h"
#include "core/sim_disk.h"
#include "spec/sim/stream.h"
#include "spec/spec.h"
#include <stdio.h>
#include <unistd.h>

static err maybe_fail(void *context)
{
    struct kept *k = context;
    if (sim_random(k->sim, 100) >= k->fault) return OK;
    k->refusals++;
    return ERR_NOSPACE;
}

void kept_begin(struct kept *k)
{
    *k = (struct kept){.memory = store_memory_new(), .sim = sim_new(spec_seed)};
    struct store_backend backend = store_memory_backend(k->memory);
    k->store = store_new(&backend);
    store_memory_set_fault(k->memory, maybe_fail, k);
    stream_use_store(k->store, 5 * KEPT_MS);
    sim_set_turn_ns(k->sim, KEPT_MS);
}

void kept_end(struct kept *k)
{
    stream_use_store(NULL, 0);
    sim_free(k->sim);
    store_free(k->store);
    store_memory_free(k->memory);
}

void kept_put_lines(struct kept *k)
{
    static char lines[KEPT_LINES * 120];
    size_t used = 0;
    for (int i = 0; i < KEPT_LINES; i++) {
        int width = 4 + (int)sim_random(k->sim, 100);
        used += (size_t)snprintf(lines + used, sizeof lines - used, "%0*d\n",
                                 width, i);
    }
    sim_file_put(sim_node(k->sim, 1), "lines.txt", lines, used);
}

void kept_use_stdin(struct kept *k)
{
    static int own = -1;
    if (own < 0) own = dup(STDIN_FILENO);
    if (k == NULL) {
        CHECK(dup2(own, STDIN_FILENO) >= 0);
        return;
    }
    size_t bytes;
    const uint8_t *lines =
        sim_disk_get(sim_disk(sim_node(k->sim, 1)), "lines.txt", &bytes);
    FILE *file = tmpfile();
    CHECK(file && fwrite(lines, 1, bytes, file) == bytes);
    rewind(file);
    CHECK(dup2(fileno(file), STDIN_FILENO) >= 0);
    fclose(file);
}

void kept_steps(struct kept *k, uint64_t most)
{
    for (uint64_t n = sim_random(k->sim, most); n > 0; n--)
        sim_step(k->sim, INT64_MAX);
}
