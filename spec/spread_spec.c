#include "cli/spread.h"
#include "spec/spec.h"
#include <math.h>

SPEC(spread, is_the_middle_and_the_ends_of_what_was_measured)
{
    double odd[] = {5, 1, 9, 3, 7}, even[] = {4, 1, 3, 2}, one[] = {8};
    struct spread s = spread_of(odd, 5);
    CHECK(s.known && s.median == 5 && s.least == 1 && s.most == 9);
    s = spread_of(even, 4);
    CHECK(s.known && s.median == 2.5 && s.least == 1 && s.most == 4);
    s = spread_of(one, 1);
    CHECK(s.known && s.median == 8 && s.least == 8 && s.most == 8);
}

SPEC(spread, leaves_out_runs_that_have_no_such_figure)
{
    double some[] = {NAN, 3, NAN, 1}, none[] = {NAN, NAN};
    struct spread s = spread_of(some, 4);
    CHECK(s.known && s.median == 2 && s.least == 1 && s.most == 3);
    CHECK(!spread_of(none, 2).known);
    CHECK(!spread_of(none, 0).known);
}
