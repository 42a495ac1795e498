/* fault.h - what a failed file operation means to a user: which file, what
 * the system says, what to do. No state: any thread. */
#ifndef ACTORS_CONNECTORS_FAULT_H
#define ACTORS_CONNECTORS_FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum fault_kind { FAULT_READ, FAULT_WRITE };

/* "data.txt: No such file or directory; check the path, …", cut to fit. */
void fault_text(char *out, size_t bytes, enum fault_kind kind, const char *path,
                int error);
/* Trying again won't help: there is no such file, or it is not ours. */
bool fault_stays(int error);

#endif
