/* report.h - what a run tells a person: five lines at the start, one live line
 * on a terminal, a table at the end. All to stderr; with a `json` log the same
 * figures go there, a line for the start and one for each component. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "cli/history.h"
#include "cli/json.h"

struct log;
struct node;
struct report;

struct report_head {
    const struct plan *plan;
    unsigned threads;
    bool watching;
    const char *id; /* of its door; "": there is none */
};
void report_start(const struct report_head *head, struct log *json);

/* Is stderr a terminal that a line can be drawn on over and over? */
bool report_is_live(void);
/* Erases the live line: in front of whatever else is written. */
#define REPORT_ERASE "\r\033[K"

/* Remembers what it showed last, for rates. NULL: out of memory. */
struct report *report_new(void);
/* NULL is fine. Ends the live line. */
void report_free(struct report *report);
void report_line(struct report *report, const struct plan *plan,
                 const struct topology *topology, struct node *node);

/* Of statistics.h, over all. */
void report_end(const json_t *statistics, struct log *json);

#endif
