/* argument_spec.c - times and levels as they are written. */
#include "cli/argument.h"
#include "spec/spec.h"

static void check_duration(const char *text, int64_t ns)
{
    int64_t got = -1;
    if (!argument_duration(text, &got) || got != ns)
        spec_fail(__FILE__, __LINE__, "'%s' is %lld ns", text, (long long)got);
}

SPEC(argument, a_duration_has_a_unit_or_is_in_seconds)
{
    check_duration("10", 10000000000);
    check_duration("10s", 10000000000);
    check_duration("500ms", 500000000);
    check_duration("1.5m", 90000000000);
    check_duration("2h", 7200000000000);
    check_duration("0", 0);
    check_duration(".5s", 500000000);
}

SPEC(argument, what_is_no_duration_is_refused_and_leaves_all_as_it_was)
{
    static const char *const wrong[] = {
        "",      "s",   "NaN",  "nan",       "inf", "-1",
        "+1",    "1e3", "0x10", "10 s",      "10S", "1.2.3",
        "10sec", " 1",  "1d",   "99999999h", "."};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t ns = 7;
        if (argument_duration(wrong[i], &ns) || ns != 7)
            spec_fail(__FILE__, __LINE__, "'%s' is taken", wrong[i]);
    }
}

static struct argument_level level_of(const char *text)
{
    struct argument_level l;
    char why[256] = "";
    if (!argument_level(text, &l, why, sizeof why))
        spec_fail(__FILE__, __LINE__, "'%s' is refused: %s", text, why);
    return l;
}

/* Storm's SetLogLevelTest: "foo=warn", "foo=DEBUG:10". */
SPEC(argument, a_level_is_for_good_or_for_a_time)
{
    struct argument_level l = level_of("com.foo.one=warn");
    CHECK_TEXT(l.component, "com.foo.one");
    CHECK_EQ(l.level, LOG_WARN);
    CHECK_EQ(l.limit_ns, 0);
    l = level_of("com.foo.two=DEBUG:10");
    CHECK_TEXT(l.component, "com.foo.two");
    CHECK_EQ(l.level, LOG_DEBUG);
    CHECK_EQ(l.limit_ns, 10000000000);
    l = level_of("split=Off:5m");
    CHECK_EQ(l.level, LOG_OFF);
    CHECK_EQ(l.limit_ns, 300000000000);
}

SPEC(argument, what_is_no_level_says_what_is_wrong)
{
    static const char *const wrong[][2] = {
        {"c=warn:NaN", "'NaN' is no time"},
        {"c=warn:", "'' is no time"},
        {"c=warn:0", "'0' is no time"},
        {"c=CRITICAL", "'CRITICAL' is no level; give trace, debug"},
        {"c=", "'' is no level"},
        {"c=warning", "'warning' is no level"},
        {"c", "give COMPONENT=LEVEL"},
        {"=warn", "give COMPONENT=LEVEL"},
        {"", "give COMPONENT=LEVEL"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct argument_level l;
        char why[256] = "";
        CHECK(!argument_level(wrong[i][0], &l, why, sizeof why));
        CHECK_HAS(why, wrong[i][1]);
    }
}

SPEC(argument, a_name_longer_than_the_log_keeps_is_cut)
{
    char text[200];
    memset(text, 'n', 100);
    strcpy(text + 100, "=info");
    CHECK_EQ(strlen(level_of(text).component), LOG_COMPONENT_BYTES);
}

SPEC(argument, a_time_is_shown_with_two_units_at_most)
{
    static const struct {
        double seconds;
        const char *text;
    } times[] = {{0, "0.0s"},      {1.23, "1.2s"},    {9.94, "9.9s"},
                 {9.96, "9s"},     {59.9, "59s"},     {60, "1m00s"},
                 {3599, "59m59s"}, {3600, "1h00m"},   {86399, "23h59m"},
                 {86400, "1d00h"}, {360000, "4d04h"}, {1e300, "0s"}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[ARGUMENT_TIME_BYTES];
        argument_time_text(times[i].seconds, text);
        CHECK_TEXT(text, times[i].text);
    }
}
