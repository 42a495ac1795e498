/* value_sample.h - values by chance, in any legal form: for specs of value.h.
 */
#ifndef SPEC_VALUE_SAMPLE_H
#define SPEC_VALUE_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* An encoded value of moderate size. */
struct sample {
    uint8_t bytes[2048];
    size_t used;
};

/* The next number of a sequence; one below `bound`. */
uint64_t sample_chance(uint64_t *state);
uint64_t sample_below(uint64_t *state, uint64_t bound);
/* Appends a value, at most so deep. */
void sample_value(struct sample *s, uint64_t *state, unsigned depth);
/* Appends the value at `at`, its maps' pairs rotated at every level and its
 * numbers in other forms: the same value in other bytes. Gives its end. */
const uint8_t *sample_same_again(struct sample *s, uint64_t *state,
                                 const uint8_t *at);

#endif
