/* report.h - what a run tells a person: five lines at the start, one live line
 * on a terminal, a table at the end. All to stderr; with a `json` log the same
 * figures go there, a line for the start and one for each component. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "actors/stream/topology.h"

struct log;
struct node;
struct report;

void report_start(const struct plan *plan, unsigned threads, bool watching,
                  struct log *json);
/* Remembers what it showed last, for rates. NULL: out of memory. */
struct report *report_new(void);
/* NULL is fine. Ends the live line. */
void report_free(struct report *report);
void report_line(struct report *report, const struct plan *plan,
                 const struct topology *topology, struct node *node);
void report_end(const struct plan *plan, const struct topology *topology,
                struct node *node, int64_t wall_ns, struct log *json);

#endif
