/* registry_world.h - members of a cluster that a story tells what to do:
 * actors, each with a session of a registry. The same in the simulated world,
 * where each is on a node of its own, and on real threads. */
#ifndef SPEC_REGISTRY_WORLD_H
#define SPEC_REGISTRY_WORLD_H

#include <pthread.h>

#include "core/actor.h"
#include "core/registry_store.h"
#include "spec/spec.h"

enum { MEMBERS_MAX = 4, KEPT_MAX = 8 };

struct sim;
struct registry_world;

/* A registry under test: a line of registry_backends. */
struct registry_place {
    const char *name;
    bool simulated;   /* virtual time; otherwise real threads */
    unsigned percent; /* of a story's seeds, one at least */
    unsigned threads;
    void (*open)(struct registry_world *w);
    /* The process that has it is gone: with all sessions, unclosed. */
    void (*close)(struct registry_world *w);
    bool (*expire)(struct registry_world *w, uint64_t session);
    void (*begin)(struct registry_world *w);
    void (*end)(struct registry_world *w);
};
extern const struct registry_place registry_places[];
extern const unsigned registry_place_count;

/* An answer, as it came. */
struct answer {
    struct member *member;
    bool done;
    unsigned turn; /* of the member's requests, which are answered in order */
    uint64_t floor;
    err outcome;
    unsigned failed, count;
    uint64_t versions[REGISTRY_OPS_MAX];
    struct {
        char key[REGISTRY_KEY_MAX + 1];
        char value[256]; /* the beginning of it */
        size_t bytes;
        uint64_t version, fence, owner;
    } kept[KEPT_MAX]; /* the first of them */
    uint64_t revision;
};

struct sight {
    struct member *member;
    uint64_t watch, revision;
    unsigned count;
};

struct candidate {
    struct member *member;
    struct registry_claim *claim;
    uint64_t fence; /* 0: it doesn't lead */
    unsigned led, lost;
};

struct member {
    struct registry_world *world;
    unsigned number;
    actor_id id;
    struct registry_session *session; /* its actor's */
    uint64_t session_number;
    bool up, gone, ended;
    bool calling; /* it is inside a call */
    bool reopens; /* when the session is gone, there and then */
    unsigned asked, answered;
};

struct registry_world {
    const struct registry_place *place;
    struct registry registry;
    struct sim *sim;
    struct real *real;
    struct env *outside; /* of `real` */
    struct store *store;
    struct registry_store *rs;
    void *own; /* the place's */
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct member members[MEMBERS_MAX * 8]; /* dead ones, too */
    unsigned count;
    uint64_t highest;  /* version or revision that was answered */
    uint64_t fences;   /* the highest that led */
    const char *wrong; /* what no thread but the story's may say */
};

struct registry_world *world_begin(const struct registry_place *place);
void world_end(struct registry_world *w);
/* All members are gone, and the registry is opened anew. */
void world_crash(struct registry_world *w);
/* Waits until it holds. */
void world_wait(struct registry_world *w, bool (*holds)(const void *arg),
                const void *arg);

/* The highest version or revision that anybody was answered. */
uint64_t world_highest(struct registry_world *w);

/* A new member, whose session is up. */
struct member *join(struct registry_world *w);
/* Its actor ends, well or killed. */
void leave(struct member *m, err why);
void await_gone(struct member *m);

/* The member's actor will call it; copies nothing. */
void tell_to(struct member *m,
             void (*deed)(struct env *env, struct member *m, void *arg),
             void *arg);
/* Begin: the answer outlives the world, as a sight and a candidate do (they are
 * static): on real threads it may come when the story has ended. */
void begin_txn(struct member *m, const struct registry_op *ops, unsigned count,
               struct answer *a);
void begin_get(struct member *m, const char *key, struct answer *a);
void begin_children(struct member *m, const char *key, struct answer *a);
void await(struct registry_world *w, const struct answer *a);

/* And wait. Borrowed until the next one. */
const struct answer *txn(struct member *m, const struct registry_op *ops,
                         unsigned count);
const struct answer *get(struct member *m, const char *key);
const struct answer *children(struct member *m, const char *key);
/* One op; checks the outcome and returns the version. */
uint64_t put(struct member *m, const char *key, const char *value,
             uint64_t expect);
uint64_t create(struct member *m, const char *key, unsigned flags);
void delete_key(struct member *m, const char *key, uint64_t expect);
/* "key=value …" of those below it. */
const char *listed(struct member *m, const char *key);
/* Waits until the member reads that list. */
void await_listed(struct member *m, const char *key, const char *list);

void watch_key(struct member *m, const char *key, struct sight *sight);
void unwatch_key(struct sight *sight);
void await_seen(struct sight *sight, uint64_t revision);

/* OK and the fence, or what lock says. */
err lock_key(struct member *m, const char *key, uint64_t *fence);
void run_for(struct member *m, const char *key, struct candidate *c);
void resign(struct candidate *c);
/* Until it leads, having come to it so many times. */
void await_lead(struct candidate *c, unsigned times);

struct registry_op put_op(const char *key, const char *value, uint64_t expect);
struct registry_op create_op(const char *key, const char *value,
                             unsigned flags);
struct registry_op delete_op(const char *key, uint64_t expect);
struct registry_op check_op(const char *key, uint64_t expect);

#endif
