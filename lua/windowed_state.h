/* windowed_state.h - a bolt's windows as the files that make them up share
 * them: windowed.c takes tuples, asks for windows and calls execute,
 * windowed_view.c has what that is given, windowed_roots.c whose tuples are
 * held, windowed_kept.c what of it is in checkpoints. For these only. */
#ifndef LUA_WINDOWED_STATE_H
#define LUA_WINDOWED_STATE_H

#include "lua/windowed.h"

/* What is done with when no window is due any more. */
enum then { THEN_BATCH, THEN_TICK, THEN_DRY, THEN_FINISH };

/* The roots of tuples that came in one run of a batch, which are of several
 * roots each: those of a window before. They are held once for all of these. An
 * event has it in place of a root, as ROOT_LIST with its address for edges. */
struct group {
    uint32_t events; /* that aren't settled */
    bool failed;
    uint64_t pass; /* of the last walk that has met it */
    uint32_t count;
    struct list_root roots[];
};

/* A root of the window in hand, and where what is emitted for it is noted. */
struct owner {
    uint64_t root;
    uint64_t id; /* of its event */
    struct list_root *held;
};

struct windowed {
    const struct window_plan *plan;
    struct windows *windows; /* owned */
    enum then then;
    bool look;      /* a window may be due */
    unsigned taken; /* tuples since the watermark advanced */
    bool firing;    /* `view` is in hand */
    bool crashing;  /* on_error says that the task ends */
    bool again;     /* `view` is still in hand: execute is to be tried again */
    unsigned tries; /* that have failed, of the window in hand */
    struct windows_view view;
    struct vref object; /* what execute was given: valid while it is called */
    struct vref made;   /* tables of its tuples; see windowed_view.c */
    struct vref metas;  /* of tuples, by the number of their input */
    struct vref meta;   /* of windows */

    struct root_list roots; /* of the window in hand */
    struct owner *owners;   /* owned; one for each of roots */
    uint32_t owner_room;
    uint64_t root_before; /* of the emitter, outside the window */
    struct root_list *roots_before;

    struct group *group;       /* of the run that tuples come of; or NULL */
    const struct batch *batch; /* that has the run */
    uint32_t anchor;           /* and its place there */
    size_t group_bytes;        /* of all groups */
    uint64_t passes;           /* over events, so far */

    char *reason;     /* owned: of what fails in the windows; or NULL */
    int64_t clock_ns; /* added to env_now(): since 1970, without jumps */

    /* When what is to be done, by env_now(); INT64_MAX: not. */
    int64_t watermark_at_ns, early_at_ns, touch_at_ns, dry_at_ns, end_at_ns;
    int64_t armed_ns; /* the least, as the executor knows it */
};

/* How much its tuples may take: of the windows, and of what holds them. */
size_t windowed_memory_bytes(const struct guest *g);

/* Tells the executor when there is something to do again. */
enum step windowed_arm(struct guest *g);
/* Where tuples bring their time: when its watermark advances; and when it fires
 * early. */
void windowed_wish_clocks(struct guest *g);

/* ---- windowed_view.c ---- */

/* lua_CFunction of vm_protect(): metatables. [-0, +0, v] */
int windowed_make_metas(lua_State *L);
/* The object for the view in hand, which becomes w->object. [-0, +1, m] */
void windowed_push(lua_State *L, struct guest *g);

/* ---- windowed_roots.c ---- */

/* The roots of the view in hand, each once, into w->roots. ERR_NOMEM. */
err windowed_gather(struct windowed *w);
/* What was emitted for a root is acked with the first tuple that has it. */
void windowed_hand_out(struct windowed *w);
/* Of windows_config and windows_each(): `context` is the guest. */
void windowed_settle(void *context, struct window_event *event,
                     enum window_fate fate);
void windowed_touch(void *context, struct window_event *event);
/* For a tuple of several roots: the group of the run in hand, or a new one,
 * which has no events yet. ERR_LIMIT, ERR_NOMEM. */
err windowed_find_group(struct guest *g, struct group **out);
/* It came to nothing. NULL is fine. */
void windowed_drop_group(struct windowed *w, struct group *group);
/* The tuple in hand is held: by a root of its own, or by its group (or NULL).
 */
void windowed_hold(struct guest *g, struct group *group,
                   struct window_event *event);

#endif
