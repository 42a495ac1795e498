#include "core/units.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES_MAX = 20 };

struct unit {
    const char *name;
    double worth;
};

static const struct unit times[] = {{"", 1e9},    {"s", 1e9},  {"ms", 1e6},
                                    {"m", 60e9},  {"us", 1e3}, {"ns", 1},
                                    {"h", 3600e9}};
static const struct unit sizes[] = {
    {"", 1}, {"B", 1}, {"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}};

static bool below(double number, double limit, int64_t *out)
{
    if (!(number >= 0 && number < limit)) return false; /* NaN is not, either */
    *out = (int64_t)number;
    return true;
}

/* In the unit that is worth 1. */
static bool measure(const char *text, const struct unit *units, size_t count,
                    double *out)
{
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || digits > NUMBER_BYTES_MAX) return false;
    char *end;
    double number = strtod(text, &end); /* it knows "1e3" and "0x10", too */
    if (end != text + digits) return false;
    const char *name = end + strspn(end, " \t");
    if (*name == '\0' && name != end) return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, units[i].name) != 0) continue;
        *out = number * units[i].worth;
        return true;
    }
    return false;
}

bool units_duration(const char *text, int64_t *ns)
{
    double number;
    return measure(text, times, sizeof times / sizeof times[0], &number) &&
           below(number, 1e18, ns);
}

bool units_seconds(double seconds, int64_t *ns)
{
    return below(seconds * 1e9, 1e18, ns);
}

bool units_size(const char *text, int64_t *bytes)
{
    double number;
    return measure(text, sizes, sizeof sizes / sizeof sizes[0], &number) &&
           units_bytes(number, bytes);
}

bool units_bytes(double number, int64_t *bytes)
{
    return below(number, 0x1p53, bytes);
}
