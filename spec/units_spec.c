/* units_spec.c - times and sizes as people write them: the same ones for the
 * command line, for requests, in a definition and in a script. */
#include "cli/argument.h"
#include "core/alloc.h"
#include "core/units.h"
#include "lua/component.h"
#include "lua/definition.h"
#include "lua/units.h"
#include "spec/spec.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

struct meaning {
    const char *text;
    int64_t value; /* -1: it is none */
};

static const struct meaning times[] = {
    {"10", 10000000000},
    {"10s", 10000000000},
    {"500ms", 500000000},
    {"1.5m", 90000000000},
    {"2h", 7200000000000},
    {"250us", 250000},
    {"7ns", 7},
    {"0", 0},
    {"0s", 0},
    {".5s", 500000000},
    {"5.s", 5000000000},
    {"10 s", 10000000000},
    {"10 \t ms", 10000000},
    {"270000h", 972000000000000000},
    {"280000h", -1},
    {"", -1},
    {"s", -1},
    {".", -1},
    {".s", -1},
    {" 1", -1},
    {"1 ", -1},
    {"1s ", -1},
    {"1\ns", -1},
    {"NaN", -1},
    {"inf", -1},
    {"-1", -1},
    {"-1s", -1},
    {"+1", -1},
    {"1e3", -1},
    {"1e3s", -1},
    {"0x10", -1},
    {"0x10s", -1},
    {"1,5s", -1},
    {"1.2.3", -1},
    {"10S", -1},
    {"10sec", -1},
    {"1d", -1},
    {"1m 30s", -1},
    {"1m30s", -1},
    {"5s!", -1},
    {"5MB", -1},
    {"000000000000000000001s", -1},
};

static const struct meaning sizes[] = {
    {"65536", 65536},
    {"70000B", 70000},
    {"64KB", 65536},
    {"64 KB", 65536},
    {"1.5MB", 1572864},
    {".5GB", 536870912},
    {"8388607GB", 9007198180999168},
    {"8388608GB", -1},
    {"0x10000", -1},
    {"1e6", -1},
    {"-1MB", -1},
    {"64kB", -1},
    {"64K", -1},
    {"64MiB", -1},
    {" 64MB", -1},
    {"64MB ", -1},
    {"64s", -1},
    {"MB", -1},
    {"", -1},
};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void check(const char *by, const struct meaning *m, int64_t value)
{
    if (value != m->value)
        spec_fail(__FILE__, __LINE__, "%s: '%s' is %lld, not %lld", by, m->text,
                  (long long)value, (long long)m->value);
}

SPEC(units, are_one_number_and_one_unit)
{
    for (size_t i = 0; i < COUNT(times); i++) {
        int64_t ns = -1;
        CHECK_EQ(units_duration(times[i].text, &ns), times[i].value >= 0);
        check("a duration", &times[i], ns);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        int64_t bytes = -1;
        CHECK_EQ(units_size(sizes[i].text, &bytes), sizes[i].value >= 0);
        check("a size", &sizes[i], bytes);
    }
}

SPEC(units, of_numbers_are_seconds_and_bytes)
{
    int64_t value = 7;
    CHECK(units_seconds(0.25, &value));
    CHECK_EQ(value, 250000000);
    CHECK(units_bytes(100.9, &value));
    CHECK_EQ(value, 100);
    const double wrong[] = {-1, 1e300, (double)INFINITY, -(double)INFINITY,
                            (double)NAN};
    for (size_t i = 0; i < COUNT(wrong); i++)
        CHECK(!units_seconds(wrong[i], &value) &&
              !units_bytes(wrong[i], &value) && value == 100);
}

/* The answer of a function for Lua; -1: nil. */
static int64_t ask(lua_State *L, lua_CFunction function, const char *text,
                   size_t bytes)
{
    lua_pushcfunction(L, function);
    lua_pushlstring(L, text, bytes);
    lua_call(L, 1, 1);
    int64_t value = lua_isnil(L, -1) ? -1 : lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

SPEC(units, are_the_same_in_lua)
{
    lua_State *L = luaL_newstate();
    for (size_t i = 0; i < COUNT(times); i++) {
        const char *text = times[i].text;
        check("Lua", &times[i], ask(L, units_of_duration, text, strlen(text)));
        lua_pushstring(L, text);
        check("sleep", &times[i], units_duration_at(L, -1));
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const char *text = sizes[i].text;
        check("Lua", &sizes[i], ask(L, units_of_size, text, strlen(text)));
    }
    CHECK_EQ(ask(L, units_of_duration, "5s\0", 3), -1);
    CHECK_EQ(ask(L, units_of_size, "5MB\0x", 5), -1);
    lua_pushinteger(L, 5);
    CHECK_EQ(units_duration_at(L, -1), 5000000000);
    lua_pushboolean(L, 1);
    CHECK_EQ(units_duration_at(L, -1), -1);
    lua_close(L);
}

/* Of a topology whose timeout and whose bolt's memory are these. */
static struct definition *define(const char *timeout, const char *memory,
                                 char **errors)
{
    char text[512];
    struct definition *d = NULL;
    snprintf(text, sizeof text,
             "return topology 't' { timeout = [[%s]],\n"
             "  spout 's' { list {{1}}, fields = { 'n' } },\n"
             "  sink 'o' { from = shuffle 's', memory = [[%s]],\n"
             "    execute = function() end } }",
             timeout, memory);
    err e = definition_parse("t.lua", text, strlen(text), NULL, 0, NULL, &d,
                             errors);
    CHECK_EQ(e, d ? OK : ERR_CONFIG);
    return d;
}

SPEC(units, are_the_same_in_a_definition)
{
    for (size_t i = 0; i < COUNT(times); i++) {
        char *errors = NULL;
        struct definition *d = define(times[i].text, "8MB", &errors);
        if (times[i].value == 0) { /* it would run out at once */
            CHECK(d == NULL);
        } else {
            check("timeout", &times[i], d ? d->plan.timeout_ns : -1);
        }
        if (d == NULL)
            CHECK_HAS(errors, "; give a duration like \"5s\" or \"100ms\"");
        if (d) definition_free(d);
        mem_free(errors);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *errors = NULL;
        struct definition *d = define("1s", sizes[i].text, &errors);
        const struct lua_config *sink = d ? d->plan.components[1].config : NULL;
        check("memory", &sizes[i], d ? (int64_t)sink->memory_bytes : -1);
        if (d == NULL) CHECK_HAS(errors, "; give a size like \"64MB\"");
        if (d) definition_free(d);
        mem_free(errors);
    }
}

SPEC(units, are_the_same_for_the_level_of_a_component)
{
    for (size_t i = 0; i < COUNT(times); i++) {
        char text[64], why[256] = "";
        struct argument_level level;
        snprintf(text, sizeof text, "c=warn:%s", times[i].text);
        bool taken = argument_level(text, &level, why, sizeof why);
        CHECK_EQ(taken, times[i].value > 0);
        if (taken) check("level", &times[i], level.limit_ns);
    }
}
