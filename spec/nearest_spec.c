/* Which name was meant. */
#include "core/nearest.h"
#include "spec/spec.h"

static void check(const char *name, const char *const *known, const char *best)
{
    struct nearest near;
    nearest_begin(&near, name);
    for (; *known; known++)
        nearest_try(&near, *known);
    CHECK_TEXT(near.best, best);
}

SPEC(nearest, allows_a_third_of_the_letters_or_one)
{
    static const char *const known[] = {"emit", "format", "retries", NULL};
    check("emmit", known, "emit");
    check("imet", known, ""); /* two of four */
    check("fromta", known, "format");
    check("refried", known, "retries");
    check("", known, "");
}

SPEC(nearest, is_the_same_in_any_order)
{
    check("rawxet", (const char *const[]){"rawset", "rawget", NULL}, "rawget");
    check("rawxet", (const char *const[]){"rawget", "rawset", NULL}, "rawget");
}

SPEC(nearest, to_long_names_is_none)
{
    char longer[301];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    check(longer, (const char *const[]){"emit", longer, NULL}, "");
    check("emit", (const char *const[]){longer, NULL}, "");
    longer[NEAREST_BYTES] = '\0';
    check(longer, (const char *const[]){longer + 1, NULL}, longer + 1);
}
