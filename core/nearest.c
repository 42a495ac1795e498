#include "core/nearest.h"
#include <limits.h>
#include <stdbool.h>
#include <string.h>

void nearest_begin(struct nearest *n, const char *name)
{
    n->name = name;
    n->best[0] = '\0';
    unsigned letters = (unsigned)strlen(name);
    n->least = letters < 6 ? 2 : letters / 3 + 1;
}

static unsigned least_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters must change to make b of a; two neighbours that have swapped
 * places are one change.
 * Source: Damerau and Levenshtein's distance, of the restricted kind. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][NEAREST_BYTES + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > NEAREST_BYTES || m > NEAREST_BYTES) return UINT_MAX;
    for (unsigned j = 0; j <= m; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= n; i++) {
        const unsigned *above = rows[(i - 1) % 3];
        unsigned *row = rows[i % 3];
        row[0] = i;
        for (unsigned j = 1; j <= m; j++) {
            row[j] = least_of(above[j], row[j - 1]) + 1;
            row[j] = least_of(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least_of(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

void nearest_try(struct nearest *n, const char *candidate)
{
    unsigned d = distance(n->name, candidate);
    bool as_near =
        d == n->least && n->best[0] != '\0' && strcmp(candidate, n->best) < 0;
    if (d >= n->least && !as_near) return;
    n->least = d;
    memcpy(n->best, candidate, strlen(candidate) + 1);
}
