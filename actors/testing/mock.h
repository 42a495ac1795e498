/* mock.h - a spout that emits what a test gives it. Its tasks deal the rows out
 * in turn, as `list` does.
 * A list ends when all its rows are settled, and those that fail are emitted
 * again as a connector's are. A feeder waits for more, and what failed has
 * failed: the test decides. One thread: it runs in simulated worlds. */
#ifndef ACTORS_TESTING_MOCK_H
#define ACTORS_TESTING_MOCK_H

#include "actors/stream/component.h"

struct mock;

/* A row is settled for good; `reason` is NULL when it was acked, else what
 * failed it last (borrowed). Rows are numbered from 0. */
typedef void mock_settled(void *context, struct mock *mock, uint64_t row,
                          const char *reason);

struct mock_config {
    unsigned component; /* by its place in the plan */
    bool feeder;
    mock_settled *settled;
    void *context;
};

/* NULL: out of memory. Owned. */
struct mock *mock_new(const struct mock_config *config);
void mock_free(struct mock *mock);
const struct mock_config *mock_config_of(const struct mock *mock);
/* For component_plan.class; any config will do. Borrowed. */
const struct component_class *mock_class(const struct mock *mock);

/* One row more, for a stream: copies its encoded values. ERR_NOMEM. */
err mock_add(struct mock *mock, unsigned stream, const uint8_t *values,
             size_t bytes);
uint64_t mock_rows(const struct mock *mock);

#endif
