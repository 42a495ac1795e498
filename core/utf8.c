#include "core/utf8.h"

/* What may stand behind a lead byte (Unicode, table 3-7). */
struct sequence {
    uint8_t tail;        /* bytes behind the lead; 0: no lead byte */
    uint8_t first, last; /* bounds of the second byte; others 80 to BF */
};

static struct sequence sequence_of(uint8_t lead)
{
    if (lead < 0xc2 || lead > 0xf4) return (struct sequence){0, 0, 0};
    if (lead < 0xe0) return (struct sequence){1, 0x80, 0xbf};
    if (lead == 0xe0) return (struct sequence){2, 0xa0, 0xbf}; /* overlong */
    if (lead == 0xed) return (struct sequence){2, 0x80, 0x9f}; /* surrogates */
    if (lead < 0xf0) return (struct sequence){2, 0x80, 0xbf};
    if (lead == 0xf0) return (struct sequence){3, 0x90, 0xbf}; /* overlong */
    if (lead == 0xf4) return (struct sequence){3, 0x80, 0x8f}; /* > 10FFFF */
    return (struct sequence){3, 0x80, 0xbf};
}

size_t utf8_part(const uint8_t *at, const uint8_t *end, bool *valid)
{
    struct sequence s = sequence_of(*at);
    size_t bytes = 1;
    *valid = false;
    while (bytes <= s.tail) {
        uint8_t first = bytes == 1 ? s.first : 0x80;
        uint8_t last = bytes == 1 ? s.last : 0xbf;
        if (at + bytes == end || at[bytes] < first || at[bytes] > last)
            return bytes;
        bytes++;
    }
    *valid = s.tail > 0;
    return bytes;
}
