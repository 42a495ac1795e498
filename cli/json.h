/* json.h - a little more than jansson has. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/buffer.h"

/* A string of any bytes: what is no UTF-8 becomes U+FFFD. NULL: out of memory.
 * A new reference. */
json_t *json_text(const char *text);
/* Its text, compact, behind what the buffer has. ERR_NOMEM. */
err json_append(const json_t *json, struct buffer *out);
/* A line of it. False: it isn't written. */
bool json_line(const json_t *json, FILE *to);

#endif
