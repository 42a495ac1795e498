/* blocks.h - a reader's blocks: two, of which one is split while a job reads
 * the other. For reader.c. */
#ifndef ACTORS_CONNECTORS_BLOCKS_H
#define ACTORS_CONNECTORS_BLOCKS_H

#include "actors/connectors/reader.h"

/* False: out of memory; again is harmless. */
bool blocks_make(struct reader *r);
void blocks_free(struct component_context *context, struct reader *r);
/* The intake is new: its first block, unless one is being read. */
void blocks_begin(struct component_context *context, struct reader *r);
/* Nothing is being read, and nobody wants what was. */
void blocks_drop(struct reader *r);

/* The splitter has used up its block. STEP_DONE: it has the next one;
 * STEP_END: there is none, *news may say why; STEP_IDLE: not yet. */
enum step blocks_more(struct component_context *context, struct reader *r,
                      enum news *news);
/* The news were taken: it goes on. */
void blocks_go_on(struct reader *r);
/* A job of theirs is done. */
enum step blocks_done(struct component_context *context, struct reader *r,
                      struct job *job);
/* The actor before had a block being read, of which nobody tells: STEP_IDLE
 * until it is there. */
enum step blocks_await(struct component_context *context, struct reader *r);

/* Of several tasks only one reads: the first says it. */
void say_in_order(struct component_context *context, const struct reader *r);
/* The stripe from `start` on is the task's next. */
void stripe_take(struct reader *r, int64_t start);
int64_t stripe_next(const struct component_context *context,
                    const struct reader *r);

#endif
