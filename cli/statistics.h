/* statistics.h - the counts of all components over a window, as JSON and as a
 * table made from it: the end of a run, the door's answer and engine stats say
 * the same. */
#ifndef CLI_STATISTICS_H
#define CLI_STATISTICS_H

#include <stdio.h>

#include "cli/history.h"
#include "cli/json.h"

/* {"over":"10s","seconds":10.4,"components":[{"name":…,"kind":…,"tasks":…,
 * the figures by their names,"per_second":…,"p50_ms":…,"p99_ms":…,"max_ms":…,
 * "max_pending":…},…]}.
 * `per_second` is of in or out, whichever is more; the latency is a spout's
 * from emit to ack, others' of execute, null where there was none;
 * max_pending: how many roots a spout's tasks may have pending now. A new
 * reference; NULL: out of memory. */
json_t *statistics_json(const struct plan *plan, const struct history *history,
                        enum window window, int64_t now_ns);
/* False: it isn't such JSON, or there is no memory for it. */
bool statistics_print(const json_t *statistics, FILE *to);

#endif
