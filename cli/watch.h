/* watch.h - tells when one of a definition's files is saved, also by rename.
 * Folders are watched, not files: an editor that writes a new file and renames
 * it over the old one changes the folder. */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "core/loop.h"
#include "lua/bundle.h"

struct watch;

/* `changed` runs on the I/O thread. NULL: out of memory or of watches. */
struct watch *watch_new(const struct bundle *bundle,
                        void (*changed)(void *context), void *context);
/* Before loop_start(). */
err watch_start(struct watch *watch, struct loop *loop);
/* A newer bundle may have other files. */
void watch_files(struct watch *watch, const struct bundle *bundle);
/* Its files besides those that are watched, also those it couldn't read: one
 * that was refused may be mended in any of them. */
void watch_more(struct watch *watch, const struct bundle *bundle);
/* Waits until the files have been quiet for a moment: editors save in steps.
 */
void watch_settle(struct watch *watch);
void watch_free(struct watch *watch);

#endif
