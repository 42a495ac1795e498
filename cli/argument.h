/* argument.h - what options and requests say in words: levels, and
 * how times are shown. */
#ifndef CLI_ARGUMENT_H
#define CLI_ARGUMENT_H

#include "core/log.h"

/* A component's level, for a time or for good. */
struct argument_level {
    char component[LOG_COMPONENT_BYTES + 1];
    enum log_level level;
    int64_t limit_ns; /* 0: none */
};

/* "split=warn", "split=DEBUG:10", "split=debug:5m": the level in any case, for
 * so long (a bare number is seconds). False: `why` says what is wrong. */
bool argument_level(const char *text, struct argument_level *out, char *why,
                    size_t why_bytes);

/* The texts a time is shown in: "1.2s", "3m05s", "2h07m", "4d03h". */
enum { ARGUMENT_TIME_BYTES = 32 };
void argument_time_text(double seconds, char text[ARGUMENT_TIME_BYTES]);

#endif
