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
    const char *id;       /* of its door; "": there is none */
    const char *survives; /* a restart, say */
    uint64_t checkpoint;  /* that it goes on from; 0: it begins */
};
void report_start(const struct report_head *head, struct log *json);

/* Is stderr a terminal that a line can be drawn on over and over? */
bool report_is_live(void);
/* Erases the live line: in front of whatever else is written. */
#define REPORT_ERASE "\r\033[K"
void report_erase(void);
/* Draws it, as much of it as fits. */
void report_draw(const char *line);

enum { REPORT_BYTES = 256 };
/* Remembers what was shown of a topology last, for rates. mem_free(). NULL: out
 * of memory. */
struct report *report_new(void);
/* How it goes, for the live line, with its name if that must be told. */
void report_part(struct report *report, const struct plan *plan,
                 const struct topology *topology, struct node *node, bool named,
                 char text[REPORT_BYTES]);

/* Of statistics.h, over all. `topology` is its name where that must be told,
 * else NULL. */
void report_end(const json_t *statistics, const char *topology,
                struct log *json);

#endif
