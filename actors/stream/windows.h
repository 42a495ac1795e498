/* windows.h - which tuples are looked at together: sliding, tumbling and
 * session windows, by time or by count, by when tuples come or by a time that
 * they bring. It knows neither Lua nor topologies: tuples are bytes with a
 * time, a source and roots that are held; whoever owns it runs what the windows
 * are for.
 *
 * Time windows end at multiples of their slide; one that ends at `end` has the
 * tuples of (end - length, end]. Windows without tuples are left out, however
 * far the clock jumps. A count slide is over with each n-th tuple; where tuples
 * bring their time they are counted in its order, equal times as they came.
 *
 * Event time: the watermark says that what comes is not older. It is the least,
 * over all sources, of the newest time that came less `lag`. A window is due
 * when the watermark is past its end, and only what is older than the watermark
 * is late: so nothing falls between the two.
 *
 * A tuple is settled as soon as no window can have it any more; its bytes stay
 * until it has been shown as expired. Bytes lie in segments of 64 KB in order
 * of their ids, so that old segments can be put elsewhere as a whole. Where the
 * windows are kept in a state (state.h) a tuple's values and what becomes of it
 * are rows there: only its time lies in memory, and windows that were saved are
 * made again of the rows. See windows_rows.c.
 * Source: Apache Storm, storm-client/.../windowing/WindowManager.java, for what
 * new and expired mean and for the alignment; Apache Flink's merging windows
 * for sessions. Used by one task, on its thread. */
#ifndef ACTORS_STREAM_WINDOWS_H
#define ACTORS_STREAM_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actors/stream/roots.h"
#include "core/buffer.h"
#include "core/err.h"
#include "core/store.h"

enum window_kind {
    WINDOW_SLIDING, /* tumbling: every = length */
    WINDOW_SESSION,
};

struct state;
struct windows; /* opaque */
struct window_event;

/* What becomes of a tuple's roots. */
enum window_fate { WINDOW_ACK, WINDOW_FAIL };

/* Times are in microseconds: of exactly that many digits a float can say which
 * second of this century it means. */
struct windows_config {
    enum window_kind kind;
    int64_t length_us; /* sliding: 0: by count */
    uint32_t length_count;
    int64_t every_us; /* 0: by count */
    uint32_t every_count;
    int64_t gap_us;     /* session */
    bool timed;         /* tuples bring their time */
    int64_t lag_us;     /* timed: tuples may come so late */
    int64_t allowed_us; /* timed, not by count: a late one reopens so long */
    unsigned sources;
    size_t memory_bytes; /* it takes so much at most */
    /* Where tuples are rows, under keys that begin with STATE_OWN; NULL: they
     * lie in memory only. Borrowed. Its tuples have no roots and no firing
     * fails. */
    struct state *state;
    /* The roots of an event are settled, if it has any; once for each event.
     * During windows_add(), windows_next(), windows_fired() and
     * windows_failed(), and for all that are left (WINDOW_FAIL) during
     * windows_free(). */
    void (*settle)(void *context, struct window_event *event,
                   enum window_fate fate);
    void *context;
};

enum { EVENT_NEW, EVENT_IN, EVENT_OUT }; /* of no window yet; of the last */

struct window_event {
    uint64_t id; /* in order of arrival, from 1 */
    int64_t at_us;
    struct window_segment *segment;
    struct window_event *next; /* of the session */
    uint32_t bytes;            /* of values */
    uint32_t root_count;       /* that are still held */
    uint32_t root_room;
    uint16_t source;
    uint8_t state;  /* EVENT_NEW, … */
    bool left : 1;  /* only shown as expired, then gone */
    bool early : 1; /* its session has fired early with it */
};

/* For the owner to fill: root_count of them. */
static inline struct list_root *window_roots(struct window_event *event)
{
    return (struct list_root *)(void *)(event + 1);
}

/* One firing. */
struct windows_view {
    struct window_event **tuples; /* in order of arrival */
    uint32_t count;               /* at least 1 */
    struct window_event **expired;
    uint32_t expired_count;
    int64_t start_us, stop_us; /* (start, stop]; of counts and sessions: the
                                * times of the first and the last tuple */
    bool early;                /* it isn't complete yet, and comes again */
    bool late; /* it fired before, without the tuples that are new */
};

/* NULL: out of memory. */
struct windows *windows_new(const struct windows_config *config);
/* NULL is fine. */
void windows_free(struct windows *w);

/* A tuple on its way in. */
struct windows_tuple {
    int64_t at_us; /* not timed: now; the clock may stand, not go back */
    unsigned source;
    const uint8_t *values; /* copied */
    uint32_t bytes;
    uint32_t roots;
    const uint8_t *key; /* sessions by a field: its value; or NULL */
};

/* Is it older than the watermark allows? Then it isn't to be added. */
bool windows_is_late(const struct windows *w, const struct windows_tuple *t);
/* Takes it; the owner writes its roots. ERR_NOMEM, ERR_LIMIT (memory_bytes),
 * ERR_IO (the state can't be read): nothing was added. Not while a firing is in
 * hand. */
err windows_add(struct windows *w, const struct windows_tuple *t,
                struct window_event **event);
/* A tuple's values; of a state borrowed until the next call with that. ERR_IO,
 * ERR_NOMEM: they can't be read. */
err windows_values(struct windows *w, const struct window_event *event,
                   const uint8_t **values);

/* It is `now_us`; where tuples bring no time that is the watermark, else that
 * advances as far as its sources have come. */
void windows_advance(struct windows *w, int64_t now_us);
/* No tuple of this source will come: the watermark doesn't wait for it. */
void windows_end_source(struct windows *w, unsigned source);
/* Nothing new comes: all windows are due, full or not. What comes all the same
 * is due by the next call. */
void windows_close(struct windows *w);
/* What is in the window that is open is to be seen as it is, if anything came
 * since the last time. */
void windows_hurry(struct windows *w);

/* The next firing that is due; false: none is. It is in hand, and the view is
 * valid, until windows_fired() or windows_failed(). */
bool windows_next(struct windows *w, struct windows_view *view);
/* What it is for was done. */
void windows_fired(struct windows *w);
/* It failed: what was new in it fails, and is gone. Not of a state: nobody
 * would bring it again. Where tuples bring their time the window takes them
 * again if they come within a minute, and fires once more. */
void windows_failed(struct windows *w);

/* When the clock brings the next window; INT64_MAX: none. Not timed only. */
int64_t windows_alarm_us(const struct windows *w);
/* INT64_MIN: there is none yet. */
int64_t windows_watermark_us(const struct windows *w);
uint64_t windows_held(const struct windows *w); /* events with roots */
size_t windows_bytes(const struct windows *w);
/* Calls back with each event that has roots. */
void windows_each(struct windows *w,
                  void (*visit)(void *context, struct window_event *event),
                  void *context);

/* ---- kept in a state ---- */

/* For a checkpoint, which takes the state next: appends what is no row of it.
 * No firing is in hand. An error: some row couldn't be written since the last
 * time, and what is in the state is not what is here. */
err windows_save(struct windows *w, struct buffer *out);
/* New windows become what was saved, with what the state has. ERR_FORMAT: it
 * was not saved so; ERR_NOMEM, ERR_LIMIT, ERR_IO. After an error they are of no
 * use. */
err windows_load(struct windows *w, struct bytes saved);

/* Is it a sound row of a tuple, whose key begins with STATE_OWN? True of rows
 * that aren't of tuples. */
bool windows_row_is_sound(struct bytes key, struct bytes row);

#endif
