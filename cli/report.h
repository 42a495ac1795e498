/* report.h - what a run tells a person: five lines at the start, one live line
 * on a terminal, a table at the end. All to stderr. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "actors/stream/topology.h"

struct node;
struct report;

void report_start(const struct plan *plan, unsigned threads, bool watching);
/* Remembers what it showed last, for rates. NULL: out of memory. */
struct report *report_new(void);
/* NULL is fine. Ends the live line. */
void report_free(struct report *report);
void report_line(struct report *report, const struct plan *plan,
                 const struct topology *topology, struct node *node);
void report_end(const struct plan *plan, const struct topology *topology,
                struct node *node, int64_t wall_ns);

#endif
