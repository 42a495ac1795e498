/* guest.h - a task written in Lua, as the files that make it up share it:
 * component.c (its life, and bolts), spout.c, emit.c. Not for others. */
#ifndef LUA_GUEST_H
#define LUA_GUEST_H

#include "lua/component.h"
#include "lua/recent.h"
#include "lua/script.h"

/* Which of the component's functions runs. */
enum run {
    RUN_NONE,
    RUN_BATCH,
    RUN_ROWS,
    RUN_WINDOW,
    RUN_NEXT,
    RUN_NOTIFY,
    RUN_CALL,
};

/* A root that was settled; told when the VM is free. */
struct notice {
    uint64_t token;
    bool failed;
    char *reason; /* owned; NULL: acked, or no memory for it */
};

/* What is to be told of, beside what the component's table has: hooks.h. */
struct hooks {
    struct vref emit, ack, fail; /* of bolts; a spout's are only looked at */
    const uint8_t *failed_at;    /* fail is owed for these values; or NULL */
    char *reason;                /* owned: of that */
    bool timed;      /* some tokens in `ids` have the time of their emit */
    int64_t took_ns; /* the root whose news is told; below 0: not known */
};

struct guest {
    struct script script; /* first: it is the VM's host */
    struct component_context *context;
    const struct lua_config *config;
    struct vref body; /* the component's table, of which functions come */
    struct vref self; /* the task's table */
    struct vref ids;  /* token → id, of emit_id */
    struct vref engine_emit; /* what self.emit must be */
    struct vref state;       /* and self.state: see state.h */
    void *state_mark;        /* that one's address; NULL: it keeps none */

    enum run running;
    const char *call; /* RUN_CALL: name of the function */
    bool anchored;    /* emits belong to the tuple in hand */
    bool may_emit;
    struct input *input;
    bool in_hand;          /* a tuple was pushed and is not through */
    const uint8_t *end;    /* behind its values; NULL: not known yet */
    unsigned arity;        /* of the input's stream */
    struct recent *recent; /* strings, for the fields; the VM's */

    uint64_t emitted; /* by the next() in hand */
    bool next_called; /* its result is on the stack */
    bool ended;       /* next() returned false */
    int64_t idle_ns;
    uint64_t tokens; /* given so far */
    bool told_untracked;
    uint64_t replay_token; /* generator: make this one again; 0: none */
    int64_t began_ns;      /* generator: of its pace */

    struct notice *notices; /* owned */
    unsigned notice_count, notice_room, notice_next;
    unsigned untold; /* tokens of emit_id() without a notice so far */
    bool has_fail, has_cleanup; /* functions of the component */
    struct custom *customs;     /* owned: see grouping.h */
    unsigned custom_count;
    struct reducer *reducers; /* owned: see combine.h */
    unsigned reducer_count;
    const char *combining; /* the reader whose combine runs, or has failed in
                            * the call in hand; or NULL */
    bool rows_failed; /* RUN_ROWS, RUN_WINDOW: the context's error says why */
    struct windowed *windowed; /* owned: see windowed.h; or NULL */
    struct held *touched;  /* held tuples, by the call in hand: see held.h */
    struct root_list from; /* of the tuples that one is made of */
    struct hooks hooks;
    bool emits_from;       /* such a tuple is in hand */
    struct buffer scratch; /* a tuple with tables */
    struct buffer ttl_row; /* of self.state: scratch of ttl.h */
    unsigned ttl_puts;     /* so often */
};

static inline struct guest *guest_of(lua_State *L)
{
    return vm_host(L);
}

static inline struct watchdog_seat *guest_seat(struct guest *g)
{
    return lua_runtime_seat(g->config->runtime, env_thread(g->context->env));
}

static inline bool guest_is_spout(const struct guest *g)
{
    return g->context->component->kind == COMPONENT_SPOUT;
}

/* ---- component.c: how a run of the VM went ---- */

/* What went wrong, as a failed tuple's reason says it: `why` itself, or a text
 * that the next call overwrites. */
const char *guest_reason(struct guest *g, const char *why);
/* The task can't go on: the VM's error becomes the context's. */
enum step guest_crash(struct guest *g);
/* After VM_YIELDED and VM_SLEEPING. */
enum step guest_suspended(struct guest *g, enum vm_outcome outcome);
/* Pushes the name of an input: "component", or "component:stream".
 * [-0, +1, m] */
void guest_push_source(lua_State *L, const struct guest *g, unsigned source);
/* Calls a function of the component, if it has it. */
enum step guest_call(struct guest *g, const char *name);
/* Of a call of one function. */
enum step guest_call_outcome(struct guest *g, enum vm_outcome outcome);

/* ---- spout.c: the part of the class that spouts have ---- */

enum step guest_next(struct component_context *context, void *self);
enum step guest_next_outcome(struct guest *g, enum vm_outcome outcome);
enum step guest_replay(struct component_context *context, void *self,
                       uint64_t token);
void guest_ack(struct component_context *context, void *self, uint64_t token);
enum verdict guest_fail(struct component_context *context, void *self,
                        uint64_t token, const char *reason);
enum step guest_notify(struct component_context *context, void *self);
/* A generator's position is a number; other spouts' is what they keep. Bolts
 * have one where their windows are kept. */
err guest_snapshot(struct component_context *context, void *self,
                   uint64_t oldest, struct buffer *out);
err guest_restore(struct component_context *context, void *self,
                  struct bytes position);
/* Room for the news of one root more. False: out of memory. */
bool guest_notice_room(struct guest *g);

/* ---- emit.c ---- */

/* Sets emit and its like in the table at the top. [-0, +0, m] */
void guest_add_emits(lua_State *L, struct guest *g);
/* The values of `count` stack slots from `first`, to all routes of a stream.
 * [-0, +0, v] */
void guest_emit(lua_State *L, struct guest *g, unsigned stream, int first,
                int count);
/* Raises where an emit of `count` values can't be. [-0, +0, v] */
void guest_check_emit(lua_State *L, struct guest *g, unsigned stream, int first,
                      int count);
/* The number of the stream that is named at `index`. [-0, +0, v] */
unsigned guest_stream_at(lua_State *L, struct guest *g, int index);
/* Raises what guest_emit() would, but for a lack of room. [-0, +0, v] */
void guest_try_emit(lua_State *L, struct guest *g, unsigned stream, int first,
                    int count);

#endif
