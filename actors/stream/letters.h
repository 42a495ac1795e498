/* letters.h - tuples that have failed for good, on their way to a stream
 * `failed`: dead letters. Where nothing is tracked (EXACTLY_ONCE) the bolt that
 * failed one emits it itself, in its call's place; else its spout does, if that
 * is a connector's.
 * The class emits such a tuple once more, as in any replay(), into an emitter
 * that only catches it; what it caught leaves by the stream `failed`, with the
 * reason, under a root of its own. So a letter is replayed as any tuple is when
 * it fails; but it never becomes one again, and is in no count of roots. Used
 * by one executor, on its thread. */
#ifndef ACTORS_STREAM_LETTERS_H
#define ACTORS_STREAM_LETTERS_H

#include "actors/stream/component.h"

struct acker_fail;
struct topology;

/* In one block, as pending.h wants it. */
struct letter {
    uint64_t token; /* the source's own; released when the letter is settled */
    uint32_t task;  /* where it failed; UINT32_MAX: its time ran out */
    uint32_t reason_bytes;
    char reason[];
};

/* The first line of the reason is copied. NULL: out of memory. Owned: one
 * mem_free(). */
struct letter *letter_new(uint64_t token, uint32_t task, const char *reason);

/* Of a bolt that has failed a tuple for good itself (see EXACTLY_ONCE): the
 * number of its stream `failed`; -1: it has none. */
int letters_stream(const struct plan *plan, const struct component_plan *c);
/* Emits the tuple, whose values came by the input `source`, by that stream, if
 * there is one: its fields are the input's of their names, nil where that has
 * none, and why and where it failed. False: out of memory or over the limit,
 * and the call is to be undone. */
bool letters_put_own(struct component_context *context, unsigned source,
                     const uint8_t *values, const char *reason);

struct letters;

/* Of a component that has a stream for them. NULL: out of memory. Owned. */
struct letters *letters_new(struct component_context *context);
/* NULL is fine. */
void letters_free(struct letters *letters, struct env *env);
/* From now on what the class emits is caught: the context's emitter is
 * replaced. */
void letters_catch(struct letters *letters, struct component_context *context);
/* Is it so? */
bool letters_catching(const struct letters *letters);
/* The end of that; what was caught is kept until the next time. */
void letters_let_go(struct letters *letters, struct component_context *context);
/* Emits what was caught, nil in place of what couldn't be had, under the root
 * in hand. False: out of memory or over the limit; the call is to be undone. */
bool letters_put(struct letters *letters, struct component_context *context,
                 struct topology *topology, const struct letter *letter);

#endif
