/* windows_state.h - what the files that make a window up share: windows.c has
 * its tuples and clocks, windows_slide.c sliding windows, windows_session.c
 * sessions, windows_rows.c what of them lies in a state. For these only. */
#ifndef ACTORS_STREAM_WINDOWS_STATE_H
#define ACTORS_STREAM_WINDOWS_STATE_H

#include "actors/stream/windows.h"

enum {
    SEGMENT_BYTES = 65536,
    SEGMENTS_LEAST = 16, /* where little memory is allowed they are smaller */
    FAILED_MOST = 64,    /* windows that wait for what failed in them */
};
static const int64_t FAILED_US = 60000000; /* as a spout's longest two waits */

struct window_segment {
    size_t room, used; /* of data */
    uint32_t live;     /* events in it */
    uint64_t first_id;
    uint8_t data[];
};

/* A window whose function failed: what was new in it may come again. */
struct reopened {
    int64_t low_us, end_us;
    int64_t until_us; /* by the clock */
};

struct session {
    struct session *older; /* of the key; none reaches the other */
    struct session_key *key;
    struct window_event *first, *last; /* its events, in no order */
    int64_t first_us, last_us;
    uint64_t id;         /* of its first event */
    uint32_t count;      /* of events */
    uint32_t fresh;      /* that it has not fired with */
    bool hurried;        /* has fired early with all of them */
    bool fired;          /* ever */
    int64_t reopened_us; /* until then it takes again what failed; or 0 */
};

struct session_key {
    struct session_key *next; /* in its bucket */
    struct session *newest;
    uint64_t hash;
    uint32_t bytes; /* 0: there is one key for all */
    uint8_t value[];
};

struct source_clock {
    bool seen, ended;
    int64_t newest_us;
};

enum hand { HAND_NONE, HAND_NEXT, HAND_EARLY, HAND_LATE };

struct windows {
    struct windows_config config;
    size_t bytes;                   /* all that was allocated */
    struct window_segment *segment; /* owned; that is written to */
    uint64_t ids, held;
    int64_t now_us, watermark_us;
    struct source_clock *clocks; /* owned */
    bool closing, hurry;
    bool fresh;        /* something came since the last early firing */
    uint64_t unsaved;  /* of ids from here on no checkpoint has a row */
    err lost;          /* a row could not be written */
    struct buffer row; /* that is being written */

    /* Pointers to the events, by time and id. [head, sorted) is in order, what
     * is behind came since. The other arrays have the same room. */
    struct window_event **order; /* owned, with those below in one block */
    struct window_event **hand, **left, **scratch;
    uint32_t room, head, sorted, count;
    uint32_t events;     /* all that live */
    uint32_t hand_count; /* of the firing in hand */
    uint32_t left_count; /* expired since the last firing */

    enum hand in_hand;
    int64_t end_us;  /* of that */
    uint32_t lo, hi; /* its place in order */

    /* Sliding. */
    uint32_t passed;     /* count slides: place behind the last trigger */
    int64_t passed_us;   /* its time */
    bool has_end;        /* a window has fired that ended by time: */
    int64_t last_end_us; /* that */
    int64_t *again;      /* owned; ends to fire once more, in order */
    uint32_t again_count, again_room;
    struct reopened reopened[FAILED_MOST];
    unsigned reopened_count;

    /* Sessions. */
    struct session_key **buckets; /* owned */
    uint32_t bucket_count, key_count, session_count;
    struct session **due; /* owned; room for all */
    uint32_t due_room, due_count, due_next;
    bool due_early;          /* they are */
    struct session *session; /* in hand */
    int64_t alarm_us;        /* a session may be over then */
};

static inline void windows_settle(struct windows *w, struct window_event *event,
                                  enum window_fate fate)
{
    if (event->root_count == 0) return;
    w->held--;
    w->config.settle(w->config.context, event, fate);
    event->root_count = 0;
}

/* ---- windows.c ---- */

/* Memory that counts. ERR_LIMIT, ERR_NOMEM: *block is as it was. */
err windows_resize(struct windows *w, void **block, size_t now, size_t then);
/* It is settled and gone. */
void windows_drop(struct windows *w, struct window_event *event,
                  enum window_fate fate);
/* The hand is in order of arrival. */
void windows_sort_hand(struct windows *w);
/* One that was saved, with its id and time: no session has it. */
err windows_load_event(struct windows *w, const struct window_event *saved,
                       struct window_event **out);

/* ---- windows_rows.c: nothing, where there is no state ---- */

/* The rows of the tuple that comes next. An error: there are none; undo. */
err tuple_put(struct windows *w, const struct windows_tuple *t);
/* What the event's row says of it has changed. */
void tuple_note(struct windows *w, const struct window_event *event);
void tuple_drop(struct windows *w, const struct window_event *event);
/* A call of this interface is over: what it has changed stays, or is undone. */
void tuples_keep(struct windows *w);
void tuples_undo(struct windows *w);

/* ---- windows_slide.c ---- */

bool slide_reopens(const struct windows *w, int64_t at_us);
err slide_reserve(struct windows *w, struct window_event *event);
void slide_take(struct windows *w, struct window_event *event);
bool slide_next(struct windows *w, struct windows_view *view);
void slide_over(struct windows *w, bool failed);
/* One that was saved; after all of them `passed` are before the last trigger.
 */
void slide_load(struct windows *w, struct window_event *event);
void slide_loaded(struct windows *w, uint32_t passed);
/* A window to fire once more. */
err slide_again(struct windows *w, int64_t end_us);
int64_t slide_alarm_us(const struct windows *w);

/* ---- windows_session.c ---- */

bool session_reopens(const struct windows *w, const struct windows_tuple *t);
/* The session that takes a tuple, NULL: out of memory, or over the limit. */
struct session *session_find(struct windows *w, const struct windows_tuple *t,
                             err *why);
void session_take(struct windows *w, struct session *session,
                  struct window_event *event);
bool session_next(struct windows *w, struct windows_view *view);
void session_over(struct windows *w, bool failed);
/* One that was saved, with its key; after all of them. */
err session_load(struct windows *w, struct window_event *event,
                 const uint8_t *key);
void session_loaded(struct windows *w);
void session_advance(struct windows *w);
void session_hurry(struct windows *w);
void session_each(struct windows *w,
                  void (*visit)(void *context, struct window_event *event),
                  void *context);
void session_free_all(struct windows *w);

#endif
