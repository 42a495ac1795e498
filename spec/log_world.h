/* log_world.h - what the specs of the log share: a clock that stands, and a
 * page to read what was written. */
#ifndef SPEC_LOG_WORLD_H
#define SPEC_LOG_WORLD_H

#include "core/alloc.h"
#include "core/log.h"
#include "spec/spec.h"

enum { PAGE_BYTES = 1 << 20, SOME_MS = 43471204 /* 12:04:31.204 */ };

/* A world with a clock of its own and a page that lines are written on. */
struct world {
    struct log *log;
    uint64_t now_ms;
    size_t used;
    unsigned lines;
    char page[PAGE_BYTES];
};

static inline uint64_t world_clock(void *context)
{
    struct world *w = context;
    return w->now_ms;
}

static inline void world_sink(void *context, enum log_level level,
                              const char *line, size_t bytes)
{
    struct world *w = context;
    CHECK(bytes > 0 && bytes <= LOG_LINE_BYTES);
    CHECK(line[bytes - 1] == '\n');
    CHECK(w->used + bytes < PAGE_BYTES);
    memcpy(w->page + w->used, line, bytes);
    w->used += bytes;
    w->page[w->used] = '\0';
    w->lines++;
}

static inline struct log_config world_config(struct world *w,
                                             enum log_format format)
{
    return (struct log_config){.format = format,
                               .level = LOG_TRACE,
                               .now_ms = world_clock,
                               .clock_context = w,
                               .sink = world_sink,
                               .sink_context = w,
                               .fd = -1};
}

static inline struct world *world_new(enum log_format format)
{
    struct world *w = mem_zero(1, sizeof *w);
    CHECK(w != NULL);
    w->now_ms = SOME_MS;
    struct log_config config = world_config(w, format);
    w->log = log_new(&config);
    CHECK(w->log != NULL);
    return w;
}

static inline void world_free(struct world *w)
{
    log_free(w->log);
    mem_free(w);
}

/* What was written since the last call. */
static inline const char *world_read(struct world *w)
{
    w->used = 0;
    w->lines = 0;
    return w->page;
}

static inline void world_clear(struct world *w)
{
    world_read(w);
    w->page[0] = '\0';
}

#endif
