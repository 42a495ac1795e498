/* utf8.h - characters among bytes that may be none. Any thread. */
#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of the character at `at`, which is not ASCII; or, with *valid
 * false, of the longest part of one that stands there, at least a byte. */
size_t utf8_part(const uint8_t *at, const uint8_t *end, bool *valid);

#endif
