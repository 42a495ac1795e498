/* plan.h - a checked topology as data: what is to run, before anything does.
 * Made by a loader (lua/definition.c, or a spec by hand), borrowed by the
 * topology that runs it; all of it is allocated in its arena and freed at
 * once. A task's number is its place among all tasks of the plan. */
#ifndef ACTORS_STREAM_PLAN_H
#define ACTORS_STREAM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

enum grouping {
    GROUPING_SHUFFLE,     /* round robin, past those that lag behind */
    GROUPING_LOCAL,       /* tasks of this process if any, else shuffle */
    GROUPING_FIELDS,      /* equal keys, same task */
    GROUPING_GLOBAL,      /* the first task */
    GROUPING_NONE,        /* any task: at random */
    GROUPING_PARTIAL_KEY, /* of a key's two tasks the one less used */
    /* These may choose several tasks, or none: */
    GROUPING_ALL,    /* each task */
    GROUPING_DIRECT, /* the sender names the task */
    GROUPING_CUSTOM, /* the subscriber's function does; its sender runs Lua */
};

/* Does it go by the values of fields? */
static inline bool grouping_has_keys(enum grouping grouping)
{
    return grouping == GROUPING_FIELDS || grouping == GROUPING_PARTIAL_KEY;
}

enum component_kind { COMPONENT_SPOUT, COMPONENT_BOLT, COMPONENT_SINK };

/* "spout", "bolt" or "sink". */
static inline const char *component_kind_name(enum component_kind kind)
{
    static const char *const names[] = {[COMPONENT_SPOUT] = "spout",
                                        [COMPONENT_BOLT] = "bolt",
                                        [COMPONENT_SINK] = "sink"};
    return names[kind];
}

/* What an error in execute does. */
enum on_error {
    ON_ERROR_FAIL,  /* the tuple fails */
    ON_ERROR_DROP,  /* it counts as processed */
    ON_ERROR_CRASH, /* it fails, and the task crashes */
};

enum guarantee { AT_MOST_ONCE, AT_LEAST_ONCE, EXACTLY_ONCE };

/* As a definition names it. */
static inline const char *guarantee_name(enum guarantee guarantee)
{
    static const char *const names[] = {[AT_MOST_ONCE] = "at-most-once",
                                        [AT_LEAST_ONCE] = "at-least-once",
                                        [EXACTLY_ONCE] = "exactly-once"};
    return names[guarantee];
}

enum { KEYS_MAX = 8, FIELDS_MAX = 64, COMPONENT_TASKS_MAX = 1000 };

struct input_plan {
    unsigned component; /* whose stream, by its place in the plan */
    unsigned stream;
    enum grouping grouping;
    unsigned key_count;
    unsigned keys[KEYS_MAX]; /* places of the fields */
    unsigned first_task;     /* of the reader, whose input it is */
    bool back; /* it closes a loop: gets its tuples past the credit */
    /* It only counts how often each value of one field comes, or reduces the
     * numbers that come with each: senders do so first (combiner.h). With
     * GROUPING_FIELDS by that field alone, or GROUPING_GLOBAL. */
    bool combines;
    bool reduces;           /* by a function; its sender must run Lua */
    unsigned combine_key;   /* place of that field */
    unsigned combine_value; /* reduces: of the numbers */
};

/* What a field of a spout's `failed` stream is, where it isn't the field of
 * that place of the tuple itself. */
enum failed_value {
    FAILED_REASON = FIELDS_MAX, /* the error's first line */
    FAILED_COMPONENT,           /* where it failed; nil: its time ran out */
    FAILED_TASK,                /* likewise, among the component's tasks */
};

struct stream_plan {
    const char *name; /* "default" */
    const char *const *fields;
    unsigned arity;
    bool direct; /* each emit names its task */
};

struct component_plan {
    const char *name;
    int line; /* of the file, where it is declared; 0: not known */
    enum component_kind kind;
    const struct component_class *class; /* what its executors run */
    const void *config;                  /* the class's own */
    struct stream_plan *streams;
    unsigned stream_count;
    bool names_fields; /* a source's fields are the user's choice */
    /* Of a connector: the stream that takes what failed for good, and what
     * each of its fields is: a place, or enum failed_value. 0: none does. */
    unsigned failed_stream;
    const unsigned *failed_values;
    struct input_plan *inputs;
    unsigned input_count;
    unsigned tasks;      /* 1 to COMPONENT_TASKS_MAX */
    unsigned executors;  /* that take turns for them: 0 is one each */
    unsigned first_task; /* number of its first one */
    /* Of a failed tuple: by its connector, or, where the guarantee is
     * EXACTLY_ONCE, in place by who failed it; -1: forever. */
    int retries;
    int64_t every_ns; /* tick; 0: none */
    int64_t ttl_ns;   /* of what it keeps in self.state; 0: for ever */
    enum on_error on_error;
    bool manual;       /* acking: the component may hold tuples */
    bool durable;      /* it keeps state from checkpoint to checkpoint */
    bool keeps;        /* its class gives rows to checkpoints */
    bool checkpointed; /* its config asks for them */
    /* What promise.h goes by: */
    bool rewinds;   /* spout: goes back to where a checkpoint saw it */
    bool transacts; /* sink: takes back what no checkpoint has decided */
    unsigned loop;  /* that it is in, from 1; 0: in none */
};

struct plan {
    const char *name;
    const char *file; /* it was loaded from */
    enum guarantee guarantee;
    int64_t timeout_ns;   /* of a tuple without progress */
    unsigned pending_max; /* roots of a spout task under way at once */
    bool pending_adapts;  /* that is only the most: see limit.h */
    bool inactive;        /* nothing starts before it is activated */
    struct component_plan *components;
    unsigned count;
    unsigned tasks;
    unsigned loops;
    bool windows; /* some component has: sources say when they are exhausted */
    struct arena *arena; /* owned: all of the above but the plan itself */
};

/* Memory that is freed at once. */
struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *arena);
/* Zeroes, aligned for anything. NULL: out of memory. */
void *arena_zero(struct arena *arena, size_t bytes);
/* A copy with a 0 behind it. */
char *arena_text(struct arena *arena, const char *text, size_t bytes);

/* Which of the component's executors works for the task of this index: runs of
 * neighbours, as even as can be, the longer ones first. */
unsigned plan_executor(const struct component_plan *c, unsigned index);

/* Must all its tasks go back to a checkpoint when one crashes? A component
 * keeps state or rows or asks for them, or nothing may be done twice. It needs
 * a store then. */
bool plan_is_durable(const struct plan *plan);

/* Numbers the tasks. Call it when all components are in place. */
void plan_number(struct plan *plan);

#endif
