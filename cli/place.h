/* place.h - a run's own folder with the socket of its door, where other
 * processes of the user find it: BASE/ID/door. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

enum {
    PLACE_ID_BYTES = 8,     /* with the 0 */
    PLACE_PATH_BYTES = 108, /* all that a socket's address holds */
    PLACE_BASES = 3,
};
#define PLACE_DOOR "door"

struct place {
    char id[PLACE_ID_BYTES]; /* "": there is none */
    char folder[PLACE_PATH_BYTES];
};

/* Where runs' folders may be: $XDG_RUNTIME_DIR/engine,
 * ~/.local/state/engine/run, /tmp/engine-UID, in this order. False: the i-th
 * has no name here (a variable isn't set, or it is too long). */
bool place_base(unsigned i, char path[PLACE_PATH_BYTES]);
/* Is it a folder of this user that nobody else can look into? */
bool place_is_ours(const char *folder);

/* Makes a folder with a new id in the first base that can be used, mode 0700,
 * and a socket in it that listens; *fd is the caller's. Others see the folder
 * when the socket answers. ERR_IO: no base will do, `why` says it of each. */
err place_make(struct place *place, int *fd, char *why, size_t why_bytes);
/* Removes folder and socket; harmless when there is none. */
void place_remove(struct place *place);

#endif
