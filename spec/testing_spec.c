/* Spec files: what passes, what fails and how that reads, and that tests don't
 * meet each other. */
#define _GNU_SOURCE /* mkdtemp */
#include "core/alloc.h"
#include "lua/testing.h"
#include "spec/fault.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char topology[] =
    "return topology 'twice' {\n"
    "  spout 'in' { stdin {}, fields = { 'n' } },\n"
    "  bolt 'twice' { from = shuffle 'in', fields = { 'n' },\n"
    "    execute = function(self, n) self.emit(2 * n) end },\n"
    "  sink 'out' { from = shuffle 'twice', stdout {} },\n"
    "}\n";

/* A folder with a topology and a spec file. */
struct folder {
    char path[64], topology[96], spec[96];
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(text, 1, strlen(text), file), strlen(text));
    CHECK_EQ(fclose(file), 0);
}

static void folder_make(struct folder *f, const char *spec)
{
    strcpy(f->path, "/tmp/testing_spec_XXXXXX");
    CHECK(mkdtemp(f->path) != NULL);
    snprintf(f->topology, sizeof f->topology, "%s/t.lua", f->path);
    snprintf(f->spec, sizeof f->spec, "%s/t_spec.lua", f->path);
    write_file(f->topology, topology);
    write_file(f->spec, spec);
}

static void folder_remove(struct folder *f)
{
    unlink(f->topology);
    unlink(f->spec);
    rmdir(f->path);
}

static struct testing *open_spec(const struct folder *f)
{
    struct testing *t = NULL;
    char *errors = NULL;
    if (testing_open(f->spec, &t, &errors) != OK)
        spec_fail(__FILE__, __LINE__, "%s", errors ? errors : "no memory");
    CHECK(errors == NULL);
    return t;
}

static void result_free(struct testing_result *r)
{
    mem_free(r->error);
    mem_free(r->log);
}

/* ---- expectations ---- */

struct claim {
    const char *body;
    const char *error; /* a part of it; NULL: it passes */
};

/* Each is a test of its own. */
static void check_claims(const struct claim *claims, unsigned count)
{
    enum { ROOM = 1 << 14 };
    static char text[ROOM];
    size_t used = 0;
    for (unsigned i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, ROOM - used,
                                 "test '%u' (function() %s end)\n", i,
                                 claims[i].body);
    CHECK(used < ROOM);
    struct folder folder;
    folder_make(&folder, text);
    struct testing *t = open_spec(&folder);
    CHECK_EQ(testing_count(t), count);
    for (unsigned i = 0; i < count; i++) {
        struct testing_result r;
        CHECK_EQ(testing_run(t, i, 1, &r), OK);
        if (r.passed != (claims[i].error == NULL))
            spec_fail(__FILE__, __LINE__, "%s: %s", claims[i].body,
                      r.passed ? "passed" : r.error);
        if (!r.passed) {
            char place[128];
            CHECK_HAS(r.error, claims[i].error);
            snprintf(place, sizeof place, "%s:%u: ", folder.spec, i + 1);
            if (strncmp(r.error, place, strlen(place)) != 0)
                spec_fail(__FILE__, __LINE__, "no place: %s", r.error);
        }
        result_free(&r);
    }
    testing_close(t);
    folder_remove(&folder);
}
#define CHECK_CLAIMS(claims)                                                   \
    check_claims((claims), sizeof(claims) / sizeof *(claims))

SPEC(testing, expects_equal_values)
{
    static const struct claim claims[] = {
        {"expect(1):is(1)", NULL},
        {"expect(1):is(1.0)", NULL},
        {"expect(0/0):is(0/0)", NULL},
        {"expect(nil):is(nil)", NULL},
        {"expect(1).never:is(2)", NULL},
        {"expect(1).never.never:is(1)", NULL},
        {"expect { 1, { a = 'b' } }:is { 1, { a = 'b' } }", NULL},
        {"expect { 1, null }:is { 1, null }", NULL},
        {"expect { 1, nil, 3 }:is { 1, nil, 3 }", NULL},
        {"expect(1):is(2)",
         "not as expected: is\n  expected: 2\n  got:      1"},
        {"expect '1':is(1)", "expected: 1\n  got:      \"1\""},
        {"expect(1).never:is(1)", "never is\n  unwanted: 1\n  got:      1"},
        {"expect { 1, { 2, 3 } }:is { 1, { 2, 4 } }",
         "at [2][2]:  expected 4, got 3"},
        {"expect { 1 }:is { 1, 2 }", "at [2]:  expected 2, got nil"},
        {"expect { null }:is { false }", "got:      { null }"},
        {"expect { x = 1, ['a b'] = 2 }:is {}",
         "got:      { [\"a b\"] = 2, x = 1 }"},
        {"expect 'a\\nb\\0':is ''", "got:      \"a\\nb\\000\""},
        {"local t = {} t[1] = t expect(t):is { t }", "or holds itself"},
        {"expect(('x'):rep(9999)):is ''", "… (9501 bytes more)"},
    };
    CHECK_CLAIMS(claims);
}

SPEC(testing, expects_bags_without_an_order)
{
    static const struct claim claims[] = {
        {"expect { { 1 }, { 2 }, { 1 } }:is_bag { { 1 }, { 1 }, { 2 } }", NULL},
        {"expect { { 1 } }.never:is_bag { { 1 }, { 1 } }", NULL},
        {"expect {}:is_bag {}", NULL},
        {"expect { { 1.0, 'a' } }:is_bag { { 1, 'a' } }", NULL},
        {"expect { { 1 }, { 2 } }:is_bag { { 2 }, { 2 }, { 3 } }",
         "missing:  { 2 }\n  missing:  { 3 }\n  too many: { 1 }"},
        {"expect { { '1' } }:is_bag { { 1 } }",
         "missing:  { 1 }\n  too many: { \"1\" }"},
        {"expect(7):is_bag {}", "expected: a list\n  got:      7"},
        {"expect {}:is_bag(7)", "is_bag takes a list of tuples"},
        {"expect {}:is_bag { the = 2 }", "is_bag takes a list of tuples"},
        {"expect { the = 2 }:is_bag {}", "expected: a list"},
        {"local t = {} for i = 1, 30 do t[i] = { i } end expect(t):is_bag {}",
         "too many: … and 20 more"},
    };
    CHECK_CLAIMS(claims);
}

SPEC(testing, expects_parts_patterns_and_nothing)
{
    static const struct claim claims[] = {
        {"expect {}:is_empty()", NULL},
        {"expect '':is_empty()", NULL},
        {"expect { 1 }.never:is_empty()", NULL},
        {"expect { 'a', { 1 } }:has { 1 }", NULL},
        {"expect 'the cow':has 'cow'", NULL},
        {"expect { 1 }.never:has(2)", NULL},
        {"expect 'a1':matches '^%a%d$'", NULL},
        {"expect '%d':has '%d'", NULL},
        {"expect { { 1 } }:is_empty()",
         "expected: nothing in it\n  got:      { { 1 } }"},
        {"expect(nil):is_empty()", "got:      nil"},
        {"expect { 1 }:has(2)", "expected: something with 2"},
        {"expect 'cow':has(1)", "has takes a text"},
        {"expect 'cow':matches '%d'", "a text that matches \"%d\""},
        {"expect(1):matches '%d'", "got:      1"},
        {"expect 'cow':matches '['", "malformed pattern"},
    };
    CHECK_CLAIMS(claims);
}

SPEC(testing, expects_errors)
{
    static const struct claim claims[] = {
        {"expect(function() error 'one two' end):fails_with 'one'", NULL},
        {"expect(function() error {} end):fails_with()", NULL},
        {"expect(function() end).never:fails_with()", NULL},
        {"expect(function() error 'one' end).never:fails_with 'two'", NULL},
        {"expect(function() expect(1):is(2) end):fails_with 'got:      1'",
         NULL},
        {"expect(function() end):fails_with 'x'",
         "expected: an error with \"x\"\n  got:      no error"},
        {"expect(function() error('y', 0) end):fails_with 'x'",
         "got:      \"y\""},
        {"expect(1):fails_with 'x'", "fails_with calls a function"},
        {"error 'by itself'", "by itself"},
        {"local x x.y = 1", "attempt to index a nil value (local 'x')"},
        {"expect(1):iss(1)", "no matcher 'iss'; did you mean 'is'?"},
        {"expect(1).is(1)", "write expect(value):is(…), with a colon"},
        {"expect()", "expect takes one value"},
        {"coroutine.wrap(function() expect(1):is(2) end)()", "got:      1"},
        {"while true do end", "over its budget"},
        {"test 'x'", "test inside a test"},
    };
    CHECK_CLAIMS(claims);
}

/* ---- the file ---- */

static void check_refused(const char *spec, const char *error)
{
    struct folder folder;
    struct testing *t = NULL;
    char *errors = NULL;
    folder_make(&folder, spec);
    CHECK_EQ(testing_open(folder.spec, &t, &errors), ERR_CONFIG);
    CHECK_HAS(errors, error);
    CHECK_HAS(errors, folder.path);
    CHECK(strstr(errors, "traceback") == NULL);
    mem_free(errors);
    folder_remove(&folder);
}

SPEC(testing, refuses_a_file_that_is_wrong)
{
    check_refused("", "is empty; write test");
    check_refused("local a = 1", "has no test");
    check_refused("test 'a'", ":1: test \"a\" has no function");
    check_refused("test 'a' (1)", ":1: test \"a\" is followed by number");
    check_refused("test (function() end)", ":1: a test has no name");
    check_refused("local f = function() end test 'a' (f) test 'a' (f)",
                  ":1: there are two tests \"a\"");
    check_refused("x = 1", ":1: global 'x' is assigned");
    check_refused("test 'a' (function( end)", ":1: ");
    check_refused("load_topology 'no.lua'", "no.lua: No such file");
    check_refused("load_topology('t.lua', { sets = {} })",
                  "load_topology takes set");
    check_refused("load_topology('t.lua', { set = { x = 1 } })",
                  "t.lua has no param of that name");
    check_refused("load_topology 't.lua' {}", "runs inside a test");
    check_refused("load_topology 't_spec.lua'", "'load_topology'");
}

SPEC(testing, keeps_tests_apart)
{
    static const char spec[] =
        "local seen = 0\n"
        "test 'first' (function() seen = seen + 1 expect(seen):is(1) end)\n"
        "test 'second' (function() seen = seen + 1 expect(seen):is(1) end)\n"
        "test 'chance' (function() print(random(1000000)) error '' end)\n";
    struct folder folder;
    folder_make(&folder, spec);
    struct testing *t = open_spec(&folder);
    CHECK_TEXT(testing_name(t, 1), "second");
    char *drawn[3];
    for (uint64_t i = 0; i < 3; i++) {
        struct testing_result r;
        for (unsigned k = 0; k < 2; k++) {
            CHECK_EQ(testing_run(t, k, i, &r), OK);
            CHECK(r.passed && r.error == NULL && r.log == NULL);
        }
        CHECK_EQ(testing_run(t, 2, i / 2, &r), OK); /* seeds 0, 0, 1 */
        drawn[i] = r.log;
        r.log = NULL;
        result_free(&r);
    }
    CHECK_TEXT(drawn[0], drawn[1]);
    CHECK(strcmp(drawn[0], drawn[2]) != 0);
    for (int i = 0; i < 3; i++)
        mem_free(drawn[i]);
    testing_close(t);
    folder_remove(&folder);
}

static const char running[] =
    "local run = load_topology 't.lua'\n"
    "test 'whole' (function()\n"
    "  local out, told = run { ['in'] = { { 1 }, { 2 } } }\n"
    "  expect(out.twice):is_bag { { 2 }, { 4 } }\n"
    "  expect(out.out):is_bag(out['twice:default'])\n"
    "  expect(told.acked):is_bag { 'in:1', 'in:2' }\n"
    "  expect(told.failed):is_empty()\n"
    "end)\n"
    "test 'fed' (function()\n"
    "  local t = run.start { ['in'] = feeder }\n"
    "  t:fail_next('out', 1, 'full')\n"
    "  t:feed('in', 'a', { 1 })\n"
    "  expect(t.failed.a.reason):is 'full'\n"
    "  t:feed('in', 'a', { 1 })\n"
    "  expect(t.failed):is_empty()\n"
    "  expect(t.acked.a):is(true)\n"
    "  t:advance '1.5s'\n"
    "  t:feed('in', 7, { 'x' })\n"
    "  expect(t.failed[7].reason):matches 'attempt to'\n"
    "  expect(t.failed[7].at):is(1.5)\n"
    "  expect(t.out.twice):is { { 2 }, { 2 } }\n"
    "  t:crash 'twice'\n"
    "  expect(t:stop().out):is { { 2 } }\n"
    "end)\n"
    "test 'misused' (function()\n"
    "  local t = run.start { ['in'] = feeder }\n"
    "  local function fails(what, f) expect(f):fails_with(what) end\n"
    "  fails('mean \\'twice\\'', function() return t.out.twic end)\n"
    "  fails('no stream \\'x\\'', function() return t.out['in:x'] end)\n"
    "  fails('mean \\'acked\\'', function() return t.aked end)\n"
    "  fails('is no feeder', function() t:feed('twice', 1, { 1 }) end)\n"
    "  fails('has 2 values', function() t:feed('in', 1, { 1, 2 }) end)\n"
    "  fails('by position', function() t:feed('in', 1, { n = 1 }) end)\n"
    "  fails('with an id', function() t:feed('in', nil, { 1 }) end)\n"
    "  fails('a spout', function() t:fail_next 'in' end)\n"
    "  fails('no task 1', function() t:crash('out', 1) end)\n"
    "  fails('a duration', function() t:advance 'soon' end)\n"
    "  fails('(stdin)', function() run() end)\n"
    "  fails('run.start', function() run { ['in'] = feeder } end)\n"
    "  fails('is a sink', function() run { out = {} } end)\n"
    "  fails('no component', function() run { zzzzzz = {} } end)\n"
    "  fails('by spout', function() run { { 1 } } end)\n"
    "  fails('no tuple', function() run { ['in'] = { 1 } } end)\n"
    "  fails('is fed number', function() run { ['in'] = 1 } end)\n"
    "  t:stop()\n"
    "  fails('has ended', function() t:feed('in', 1, { 1 }) end)\n"
    "end)\n";
enum { RUNNING_TESTS = 3 };

SPEC(testing, runs_topologies)
{
    struct folder folder;
    folder_make(&folder, running);
    struct testing *t = open_spec(&folder);
    FOR_SEEDS(20)
    for (unsigned i = 0; i < RUNNING_TESTS; i++) {
        struct testing_result r;
        CHECK_EQ(testing_run(t, i, spec_seed, &r), OK);
        if (!r.passed) spec_fail(__FILE__, __LINE__, "%s", r.error);
        result_free(&r);
    }
    testing_close(t);
    folder_remove(&folder);
}

/* True: there was an n-th allocation to fail. */
static bool try_without_memory(const struct folder *f, enum fault_kind kind,
                               uint64_t n)
{
    struct testing *t = NULL;
    char *errors = NULL;
    fault_arm(kind, n, 1);
    err e = testing_open(f->spec, &t, &errors);
    for (unsigned i = 0; e == OK && i < 2; i++) {
        struct testing_result r;
        if (testing_run(t, i, 1, &r) == OK) {
            CHECK(r.passed == (r.error == NULL));
            result_free(&r);
        }
    }
    testing_close(t);
    fault_disarm();
    mem_free(errors);
    return fault_failed() > 0;
}

SPEC(fault, leaves_nothing_of_a_spec_file_half_done)
{
    struct folder folder;
    folder_make(&folder, running);
    uint64_t points = 0;
    for (uint64_t n = 1; try_without_memory(&folder, FAULT_HEAP, n); n++)
        points++;
    for (uint64_t n = 1; try_without_memory(&folder, FAULT_LUA, n); n += 211)
        points++;
    CHECK(points > 500);
    folder_remove(&folder);
}
