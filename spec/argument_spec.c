/* argument_spec.c - levels as they are written, and times as they
 * are shown. */
#include "cli/argument.h"
#include "spec/spec.h"

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
        {"c", "'c' names no component; give COMPONENT=LEVEL"},
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
