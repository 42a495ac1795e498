#include "cli/spread.h"
#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct spread spread_of(double *figures, unsigned count)
{
    unsigned known = 0;
    for (unsigned i = 0; i < count; i++)
        if (!isnan(figures[i])) figures[known++] = figures[i];
    if (known == 0) return (struct spread){.known = false};
    qsort(figures, known, sizeof *figures, compare);
    double high = figures[known / 2], low = figures[(known - 1) / 2];
    return (struct spread){
        .known = true,
        .median = low + (high - low) / 2,
        .least = figures[0],
        .most = figures[known - 1],
    };
}
