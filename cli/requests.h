/* requests.h - what a run can be asked, by name: one table of requests with
 * their arguments and handlers, for its door and whatever else will ask.
 * A request is a JSON object {"verb":"statistics","over":"10s"}, the answer is
 * one, too: {"ok":true,…} or {"ok":false,"error":"…"}. */
#ifndef CLI_REQUESTS_H
#define CLI_REQUESTS_H

#include "actors/stream/topology.h"
#include "cli/history.h"
#include "cli/json.h"
#include "cli/levels.h"

/* The run that is asked. All but `draining` stays as it is. */
struct control {
    const char *id;
    const struct plan *plan;
    struct topology *topology;
    const struct world *world; /* its clocks */
    struct history *history;
    struct levels *levels;
    unsigned threads;
    int64_t began_ns;
    bool watching;
    int64_t drain_ns; /* what a drain may take if nothing else is said */
    bool draining;
    /* Ends the sources; what is under way has `limit_ns`. False: out of
     * memory. */
    bool (*drain)(struct env *env, void *context, int64_t limit_ns);
    /* Spouts emit, or nothing new. False: out of memory. */
    bool (*activate)(struct env *env, void *context, bool active);
    void *context;
};

/* Appends the answer to one request. ERR_NOMEM: there is none. As door_answer
 * of core/door.h; `control` is a struct control. */
err requests_answer(struct env *env, void *control, const char *line,
                    size_t bytes, struct buffer *answer);

/* {"ok":false,"error":"…"} for who isn't even heard. */
#define REQUESTS_TOO_MANY                                                      \
    "{\"ok\":false,\"error\":\"too many ask at once; try again\"}"
#define REQUESTS_TOO_LONG                                                      \
    "{\"ok\":false,\"error\":\"the request is longer than 64 "                 \
    "KB\",\"usage\":true}"

#endif
