/* units.h - what people write for times and sizes: "5s", "100ms", "64MB".
 * A text is a number (digits, at most one point among them), blanks or none,
 * and a unit. There is no sign, no exponent and nothing around it. This is
 * what definitions, scripts, options and requests take, all of them. */
#ifndef CORE_UNITS_H
#define CORE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* ns, us, ms, s, m or h; without a unit it is seconds. False: it is none of
 * these, or more than 31 years; *ns is as it was. */
bool units_duration(const char *text, int64_t *ns);
/* The same for a number of seconds. */
bool units_seconds(double seconds, int64_t *ns);

/* B, KB, MB or GB, of 1024; without a unit it is bytes. False: it is none of
 * these, or 2^53 bytes and more; *bytes is as it was. */
bool units_size(const char *text, int64_t *bytes);
/* The same for a number of bytes; what is behind the point is cut. */
bool units_bytes(double number, int64_t *bytes);

#endif
