/* registry_backend.h - what a registry's backend supplies, and what it calls.
 * All of it runs on the session's actor; what a backend does elsewhere (in a
 * job, on the I/O thread) comes back to it by a message of the session's
 * kinds. */
#ifndef CORE_REGISTRY_BACKEND_H
#define CORE_REGISTRY_BACKEND_H

#include "core/registry.h"

enum registry_what { REGISTRY_TXN, REGISTRY_GET, REGISTRY_CHILDREN };

/* Something to do, that was checked; and its answer. */
struct registry_request {
    struct registry_request *next; /* the backend's */
    enum registry_what what;
    /* A transaction's; with strings and values all in one block. */
    unsigned count;
    struct registry_op *ops;
    struct registry_result *results;
    /* A read's. */
    const char *key;
    bool current, values;
    /* The answer. */
    err outcome;
    unsigned failed;
    uint64_t revision;
    unsigned entries;
    struct registry_entry *first, *last; /* owned; see below */
    /* The session's. */
    union {
        registry_done *done;
        registry_read *read;
    } call;
    void *arg;
};

struct registry_backend {
    /* *link: its part of the session, owned. registry_state() is owed. */
    err (*open)(void *context, struct env *env,
                struct registry_session *session, uint16_t kind, void **link);
    /* The session is over: its ephemeral keys go, without its help. */
    void (*close)(struct env *env, void *link);
    /* Takes the request over. It owes registry_answer() in receive(), in the
     * order of the starts; but after close() registry_request_free(). */
    void (*start)(struct env *env, void *link,
                  struct registry_request *request);
    /* registry_moved() is owed: at once, and after each change. ERR_NOMEM. */
    err (*watch)(struct env *env, void *link, uint64_t watch, const char *key);
    void (*unwatch)(void *link, uint64_t watch);
    /* A message of the session's kinds. ERR_NOMEM: it can't go on. */
    err (*receive)(struct env *env, void *link, const struct msg *m);
    /* A while after registry_again(). */
    void (*again)(struct env *env, void *link);
};

/* In receive(): run the holder's callbacks. */
void registry_answer(struct env *env, struct registry_session *session,
                     struct registry_request *request);
void registry_moved(struct env *env, struct registry_session *session,
                    uint64_t watch, uint64_t revision);
void registry_state(struct env *env, struct registry_session *session,
                    enum registry_state state, uint64_t number);
/* In receive(), start() or again(): asks for again(). */
void registry_again(struct env *env, struct registry_session *session);

/* Any thread. */
void registry_request_free(struct registry_request *request);
/* Copies the entry to the end of the answer. ERR_NOMEM. */
err registry_request_add(struct registry_request *request,
                         const struct registry_entry *entry);
/* Is `key` the key `above` or below it? "" is above all. */
bool registry_is_below(const char *key, const char *above);

/* ---- between registry.c and registry_claim.c ---- */

struct registry_claims {
    struct registry_claim *first; /* owned */
};
struct registry_claims *registry_claims(struct registry_session *session);
uint64_t registry_number(const struct registry_session *session);
bool registry_is_gone(const struct registry_session *session);
/* All of them: the session is gone; a while has passed; it is closed. */
void registry_claims_lost(struct env *env, struct registry_session *session);
void registry_claims_again(struct env *env, struct registry_session *session);
void registry_claims_free(struct registry_claims *claims);
err registry_check_key(const char *key);

#endif
