/* windowed.h - a bolt with `window = …`: its tuples are kept as bytes
 * (actors/stream/windows.h), and each window that is due is one call of
 * execute(self, window). A tuple is held from when it comes until the last
 * window that has it has fired; what that call emits is anchored to all tuples
 * of its window. */
#ifndef LUA_WINDOWED_H
#define LUA_WINDOWED_H

#include "actors/stream/windows.h"
#include "lua/guest.h"

/* What a definition says of it. Owned by the plan's arena. */
struct window_plan {
    const char *text;              /* all of it: two that differ, differ here */
    struct windows_config windows; /* without memory, settle and context */
    int64_t early_ns;              /* 0: windows don't fire early */
    const char *timestamp;         /* name of a field; NULL: none */
    const char *by;                /* likewise: sessions are of its values */
    const unsigned *timestamps;    /* place in the tuples of each input */
    const unsigned *bys;
    unsigned late_stream; /* 0: a late tuple is counted and acked */
    bool kept;            /* its tuples are rows of the task's state */
    bool hides;           /* which the script has no self.state for */
};

/* guest->windowed, for a component that has windows. ERR_NOMEM. Needs the VM.
 */
err windowed_make(struct guest *g);
/* What is held fails. Harmless where there is none. */
void windowed_fini(struct guest *g);

/* The parts of the class. */
enum step windowed_open(struct guest *g);
enum step windowed_execute(struct guest *g);
enum step windowed_tick(struct guest *g);
enum step windowed_dry(struct guest *g);
/* All windows, then the function `finish`. */
enum step windowed_finish(struct guest *g);
/* Goes on after STEP_YIELD. */
enum step windowed_resume(struct guest *g);
/* Windows that are kept: for a checkpoint, and of one. ERR_HOPELESS: the
 * context's error says what is wrong. */
err windowed_snapshot(struct guest *g, struct buffer *out);
err windowed_restore(struct guest *g, struct bytes saved);

#endif
