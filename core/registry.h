/* registry.h - what the members of a cluster agree on: a small tree of values
 * with versions, of which some live no longer than who put them there. Never a
 * tuple, never a heartbeat.
 *
 * An actor opens a session and hands it the messages that are the session's
 * (registry_mine(), registry_receive()); there, and never inside a call, the
 * callbacks run. So a session is one actor's, and needs no lock. What it asks
 * for is done, and answered, in the order in which it asked.
 *
 * Keys are parts of [a-z0-9._-] between slashes, "workers/n1.0": at most
 * REGISTRY_KEY_MAX bytes and REGISTRY_DEPTH_MAX parts. A key needs no parent to
 * be there and may go before its children do; but an ephemeral key has no
 * children. At most REGISTRY_CHILDREN_MAX are directly below one key.
 *
 * Revisions grow with every change of the registry. A key's version is the one
 * of its last change, its fence the one of its creation: so both grow also
 * where a key goes and comes again.
 *
 * Behind it is a backend (registry_backend.h): a part of a store
 * (registry_store.h), in a folder or in the simulated world's memory. One that
 * speaks to ZooKeeper or the like supplies the same few functions, all of which
 * answer later, and passes the same suite (spec/registry_spec.c).
 * Sources: ZooKeeper (sessions, ephemeral and sequence keys, multi), etcd
 * (revisions). */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/msg.h"
#include "core/store.h"

enum {
    REGISTRY_KEY_MAX = 256, /* bytes */
    REGISTRY_DEPTH_MAX = 12,
    REGISTRY_VALUE_MAX = 64 * 1024, /* bytes */
    REGISTRY_OPS_MAX = 64,          /* of a transaction */
    REGISTRY_CHILDREN_MAX = 4096,
    REGISTRY_SEQUENCE_DIGITS = 16, /* they count as bytes of the key */
    REGISTRY_KINDS = 2,            /* of messages that a session takes */
};

struct env;
struct registry_backend;
struct registry_session;

/* Where it is; as struct net, a value to be copied. */
struct registry {
    const struct registry_backend *backend;
    void *context;
};

/* ---- sessions ---- */

enum registry_state {
    REGISTRY_UP,
    REGISTRY_SUSPECT, /* not heard of for a while; may be up again, or gone */
    REGISTRY_GONE,    /* its ephemeral keys are void: stop acting as an owner,
                         close it, open another and read anew */
};
/* `session`: its number, which its ephemeral keys have as their owner. */
typedef void registry_told(struct env *env, void *holder,
                           enum registry_state state, uint64_t session);

/* Of the running actor, which will receive messages of the kinds `kind` to
 * kind + REGISTRY_KINDS - 1, and its deadline's. UP is told later, before any
 * answer. ERR_NOMEM; ERR_LIMIT: the node has too many. Owned. */
err registry_open(struct env *env, const struct registry *registry,
                  uint16_t kind, registry_told *told, void *holder,
                  struct registry_session **out);
/* The session ends, and its ephemeral keys soon after it. Nothing is heard of
 * it any more; whether what was under way is done isn't known. In terminate(),
 * too. NULL is fine. */
void registry_close(struct env *env, struct registry_session *session);
/* Hand it to registry_receive(). */
bool registry_mine(const struct registry_session *session, const struct msg *m);
/* Runs callbacks, which may call anything of the session's, close it, too.
 * ERR_NOMEM: it can't go on; crash. */
err registry_receive(struct env *env, struct registry_session *session,
                     const struct msg *m);

/* ---- transactions ---- */

/* Of an op's `expect`, beside a version. */
#define REGISTRY_ABSENT UINT64_C(0)      /* the key isn't there */
#define REGISTRY_ANY    (~(UINT64_C(0))) /* it may be, in any version */

enum registry_deed {
    REGISTRY_PUT,    /* ANY: whether it is there or not */
    REGISTRY_DELETE, /* ANY: but it is there */
    REGISTRY_CHECK,  /* ANY: but it is there */
};
/* Of a PUT that expects ABSENT. */
enum registry_flag {
    /* It goes with the session, also when others have changed it. */
    REGISTRY_EPHEMERAL = 1,
    /* Behind the key go digits that no key had before: as text in the order of
     * creation. */
    REGISTRY_SEQUENCE = 2,
};

struct registry_op {
    enum registry_deed deed;
    unsigned flags;
    const char *key;
    struct bytes value; /* of a PUT; may be empty */
    uint64_t expect;
};

struct registry_result {
    const char *key;  /* with its digits */
    uint64_t version; /* that it has now; 0 unless it was PUT */
};

/* OK: all is done and durable, there is a result for each op. Otherwise nothing
 * is, but for ERR_UNKNOWN: whether it was done isn't known; read, and never do
 * it again blindly. ERR_CONFLICT: it isn't there, or in another version, or is
 * there, against what op `failed` expects; or that is a PUT below an ephemeral
 * key, or of one above others. ERR_NOTFOUND: op `failed` needs a key that isn't
 * there. ERR_LIMIT: `failed` would be a child too many. ERR_EXPIRED: the
 * session is gone. ERR_NOSPACE, ERR_NOMEM; ERR_FORMAT: what is there is
 * damaged. Borrowed during the call. */
typedef void registry_done(struct env *env, void *arg, err outcome,
                           const struct registry_result *results,
                           unsigned count, unsigned failed);

/* Copies. `done` may be NULL. These are wrong, and nothing is begun: ERR_FORMAT
 * (a key, a flag, a version for what must be absent, one key twice or below an
 * ephemeral one that is made with it), ERR_LIMIT (too long, deep, large, many,
 * or none at all). ERR_NOMEM. */
err registry_txn(struct env *env, struct registry_session *session,
                 const struct registry_op *ops, unsigned count,
                 registry_done *done, void *arg);
/* A transaction of one op. */
err registry_put(struct env *env, struct registry_session *session,
                 const char *key, struct bytes value, uint64_t expect,
                 registry_done *done, void *arg);
err registry_create(struct env *env, struct registry_session *session,
                    const char *key, struct bytes value, unsigned flags,
                    registry_done *done, void *arg);
err registry_delete(struct env *env, struct registry_session *session,
                    const char *key, uint64_t expect, registry_done *done,
                    void *arg);

/* ---- reading ---- */

struct registry_entry {
    const char *key;
    struct bytes value;
    uint64_t version, fence;
    uint64_t owner; /* the session that it goes with; 0: none */
    const struct registry_entry *next;
};

/* `first`: a list, in the order of the keys; borrowed during the call.
 * `revision`: of the registry, as it was read. ERR_NOTFOUND (of a get),
 * ERR_EXPIRED, ERR_NOMEM, ERR_IO; ERR_FORMAT: it is damaged. */
typedef void registry_read(struct env *env, void *arg, err outcome,
                           const struct registry_entry *first, unsigned count,
                           uint64_t revision);
/* `current`: as it is now; false: it may be a little old, where that is
 * quicker, but not older than what this session has seen. ERR_FORMAT, ERR_LIMIT
 * (the key), ERR_NOMEM. */
err registry_get(struct env *env, struct registry_session *session,
                 const char *key, bool current, registry_read *read, void *arg);
/* Those directly below it, "": the uppermost; without `values` these are
 * empty. */
err registry_children(struct env *env, struct registry_session *session,
                      const char *key, bool values, registry_read *read,
                      void *arg);

/* ---- watching ---- */

/* Of the key and all below it, "": of all: something may have changed up to
 * this revision. Called soon after it is asked for, and at least once after the
 * last change; several changes may be told as one, so read. */
typedef void registry_seen(struct env *env, void *arg, uint64_t watch,
                           uint64_t revision);
/* *watch: above 0. Errors as of registry_get(). */
err registry_watch(struct env *env, struct registry_session *session,
                   const char *key, registry_seen *seen, void *arg,
                   uint64_t *watch);
void registry_unwatch(struct registry_session *session, uint64_t watch);

/* ---- locks and elections ---- */

/* OK: the ephemeral key is this session's, and nobody who had it before had so
 * high a fence. While nobody has put to it, the fence is also its version: a
 * transaction that CHECKs it is refused when the lock has gone. ERR_CONFLICT:
 * it is there. Others: as of a transaction, but never ERR_UNKNOWN. */
typedef void registry_locked(struct env *env, void *arg, err outcome,
                             uint64_t fence);
/* Tries once. To give it back, delete it with its fence. Errors as of
 * registry_txn(); ERR_BUSY: this session is at it already. */
err registry_lock(struct env *env, struct registry_session *session,
                  const char *key, struct bytes value, registry_locked *locked,
                  void *arg);

struct registry_claim;
struct registry_race {
    void (*on_lead)(struct env *env, void *arg, uint64_t fence);
    /* Somebody has taken the key away, or the session is gone. In the first
     * case it goes on trying. */
    void (*on_lost)(struct env *env, void *arg);
};
/* Tries until it has the key, and again when it has lost it. Errors as above;
 * the claim goes with the session. The race is borrowed as long. */
err registry_elect(struct env *env, struct registry_session *session,
                   const char *key, struct bytes value,
                   const struct registry_race *race, void *arg,
                   struct registry_claim **out);
/* Gives it back, or tries no more; nothing is heard of it, and it is freed. */
void registry_resign(struct env *env, struct registry_claim *claim);

#endif
