/* Short strings as two words: what they keep, and when two are equal. */
#include "core/random.h"
#include "core/short.h"
#include "spec/spec.h"

SPEC(short, two_are_equal_when_their_bytes_are)
{
    char a[64], b[64];
    struct rng r = {spec_seed};
    FOR_SEEDS(20000)
    {
        size_t n = rng_below(&r, SHORT_MAX + 1), m = rng_below(&r, 4) ? n : 7;
        for (size_t i = 0; i < sizeof a; i++) { /* what is behind counts not */
            a[i] = (char)rng_below(&r, i < n ? 2 : 256);
            b[i] = i < n && rng_below(&r, 20) ? a[i] : (char)rng_below(&r, 256);
        }
        struct short_string x = short_read(a, n), y = short_read(b, m);
        struct short_string z = short_copy(a, n);
        bool same = n == m && memcmp(a, b, n) == 0;
        CHECK_EQ(x.low == y.low && x.high == y.high, same);
        CHECK(x.low == z.low && x.high == z.high);
        CHECK_EQ(short_hash(x, 3) == short_hash(y, 3), same);
        uint8_t out[16];
        short_write(out, x);
        CHECK(memcmp(out, a, n) == 0);
    }
}
