/* Definition files: what is wrong is said with its place and its remedy, all
 * of it at once; what is right becomes the plan it describes. */
#include "actors/connectors/connector.h"
#include "core/alloc.h"
#include "lua/component.h"
#include "lua/definition.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

/* Parses a text that must be wrong; its errors (heap). */
static char *errors_of(const char *text)
{
    struct definition *d = NULL;
    char *errors = NULL;
    err e = definition_parse("t.lua", text, strlen(text), NULL, 0, NULL, &d,
                             &errors);
    if (e != ERR_CONFIG)
        spec_fail(__FILE__, __LINE__, "\"%s\" gives: %s", text, err_text(e));
    CHECK(d == NULL && errors != NULL);
    return errors;
}

static void check_errors(const char *text, const char *wanted)
{
    char *errors = errors_of(text);
    if (strcmp(errors, wanted) != 0)
        spec_fail(__FILE__, __LINE__, "\"%s\" gives:\n%s\nnot:\n%s", text,
                  errors, wanted);
    mem_free(errors);
}

static struct definition *right(const char *text)
{
    struct definition *d = NULL;
    char *errors = NULL;
    err e = definition_parse("t.lua", text, strlen(text), NULL, 0, NULL, &d,
                             &errors);
    if (e != OK) spec_fail(__FILE__, __LINE__, "%s", errors);
    CHECK(errors == NULL);
    return d;
}

/* ---- one fault each ---- */

/* `body` within a topology of a spout "nums" (field n) and a sink that reads
 * it, on line 4; what is said of it, without its place. */
struct fault {
    const char *body, *said;
};

#define NOTHING "execute = function() end"

static const struct fault of_topologies[] = {
    {"timeuot = 1,",
     "'timeuot' is no option of a topology; did you mean 'timeout'?"},
    {"[true] = 1,", "'true' is no option of a topology; there are: config, "
                    "guarantee, hooks, initial, max_pending, timeout"},
    {"timeout = \"5 parsecs\",",
     "timeout of the topology is '5 parsecs'; give a duration like \"5s\" or "
     "\"100ms\""},
    {"timeout = 0,", "timeout of the topology is 0; give a duration like "
                     "\"5s\" or \"100ms\""},
    {"timeout = -1,", "timeout of the topology is -1; give a duration like "
                      "\"5s\" or \"100ms\""},
    {"timeout = math.huge,",
     "timeout of the topology is inf; give a duration like \"5s\" or "
     "\"100ms\""},
    {"guarantee = \"twice\",",
     "guarantee of the topology is 'twice'; give \"at-least-once\" or "
     "\"at-most-once\""},
    {"guarantee = \"exactly-once\",",
     "guarantee \"exactly-once\" needs the store, which this version doesn't "
     "have; use \"at-least-once\""},
    {"max_pending = 0,",
     "max_pending of the topology is 0; give a whole number from 1 to "
     "1000000"},
    {"max_pending = 1 << 32,",
     "max_pending of the topology is 4294967296; give a whole number from 1 "
     "to 1000000"},
    {"max_pending = 1.5,",
     "max_pending of the topology is 1.5; give a whole number from 1 to "
     "1000000"},
    {"config = 1,", "config of the topology is 1; give a table"},
    {"state = \"durable\",",
     "'state' of a topology is not in this version; leave it out"},
    {"7,", "the topology holds something that is no spout, bolt or sink; "
           "write spout \"name\" { … }"},
    {"shuffle \"nums\",",
     "the topology holds something that is no spout, bolt or sink; write "
     "spout \"name\" { … }"},
};

static const struct fault of_components[] = {
    {"bolt \"nums\" { from = shuffle \"nums\", " NOTHING " },",
     "there are two components called 'nums'; rename one"},
    {"bolt \"a b\" { from = shuffle \"nums\", " NOTHING " },",
     "'a b' is no name for a component; use letters, digits, _ and -, and no "
     "__ in front"},
    {"bolt \"__b\" { from = shuffle \"nums\", " NOTHING " },",
     "'__b' is no name for a component; use letters, digits, _ and -, and no "
     "__ in front"},
    {"bolt \"b\" { from = shuffle \"nums\", exceute = print, " NOTHING " },",
     "'exceute' is no option of a bolt; did you mean 'execute'?"},
    {"bolt \"b\" { from = shuffle \"nums\", qqq = 1, " NOTHING " },",
     "'qqq' is no option of a bolt; there are: acking, budget, cleanup, "
     "combine, config, every, execute, executors, fields, finish, from, hooks, "
     "memory, "
     "on_error, "
     "on_reload, prepare, streams, tasks, tick"},
    {"bolt \"b\" { from = shuffle \"nums\", acking = \"mine\", " NOTHING " },",
     "acking of bolt 'b' is 'mine'; give \"auto\" or \"manual\""},
    {"bolt \"b\" { from = shuffle \"nums\", on_error = 1, " NOTHING " },",
     "on_error of bolt 'b' is 1; give \"fail\" or \"drop\" or \"crash\""},
    {"bolt \"b\" { from = direct \"nums\", " NOTHING " },",
     "stream 'default' of spout 'nums' is not direct; declare it as default = "
     "{ direct = true, … }"},
    {"bolt \"b\" { from = partial_key \"nums\", " NOTHING " },",
     "partial_key(\"nums\") names no key; write partial_key(\"nums\", "
     "\"key\")"},
    {"bolt \"b\" { from = custom(\"nums\", function() end), " NOTHING " },",
     "custom reads spout 'nums', which runs no Lua to choose the task; put a "
     "bolt between them"},
    {"bolt \"w\" { from = shuffle \"nums\", words \"n\" }, bolt \"c\" { from = "
     "custom(\"w\", function() end), " NOTHING " },",
     "custom reads bolt 'w', which runs no Lua to choose the task; put a bolt "
     "between them"},
    {"bolt \"c\" { from = shuffle \"nums\", streams = { a = { direct = 1, "
     "\"n\" } }, " NOTHING " },",
     "direct of stream 'a' of bolt 'c' is 1; give true or false"},
    {"bolt \"b\" { from = shuffle \"nums\", executors = 0, " NOTHING " },",
     "executors of bolt 'b' is 0; give a whole number from 1 to 1000"},
    {"bolt \"b\" { from = shuffle \"nums\", executors = {}, " NOTHING " },",
     "executors of bolt 'b' is a table; give a whole number from 1 to 1000"},
    {"bolt \"b\" { from = shuffle \"nums\", tasks = 2, executors = 3, " NOTHING
     " },",
     "bolt 'b' has 3 executors for 2 tasks, and each needs one to work for; "
     "give it tasks = 3, or fewer executors"},
    {"bolt \"b\" { from = shuffle \"nums\", tasks = 0, " NOTHING " },",
     "tasks of bolt 'b' is 0; give a whole number from 1 to 1000"},
    {"bolt \"b\" { from = shuffle \"nums\", tasks = 1001, " NOTHING " },",
     "tasks of bolt 'b' is 1001; give a whole number from 1 to 1000"},
    {"bolt \"b\" { from = shuffle \"nums\", tasks = {}, " NOTHING " },",
     "tasks of bolt 'b' is a table; give a whole number from 1 to 1000"},
    {"bolt \"b\" { from = shuffle \"nums\", prepare = 1, " NOTHING " },",
     "prepare of bolt 'b' is 1; give a function"},
    {"bolt \"b\" { from = shuffle \"nums\", execute = true },",
     "execute of bolt 'b' is true; give a function, or a table of functions "
     "by source"},
    {"bolt \"b\" { from = shuffle \"nums\", memory = \"much\", " NOTHING " },",
     "memory of bolt 'b' is 'much'; give a size like \"64MB\""},
    {"bolt \"b\" { from = shuffle \"nums\", memory = \"1KB\", " NOTHING " },",
     "memory of bolt 'b' is '1KB'; give 64KB or more, which a task needs to "
     "begin"},
    {"bolt \"b\" { from = shuffle \"nums\", memory = 1e300, " NOTHING " },",
     "memory of bolt 'b' is 1e+300; give a size like \"64MB\""},
    {"bolt \"b\" { from = shuffle \"nums\", memory = "
     "\"99999999999GB\", " NOTHING " },",
     "memory of bolt 'b' is '99999999999GB'; give a size like \"64MB\""},
    {"bolt \"b\" { from = shuffle \"nums\", every = \"1s\", " NOTHING " },",
     "bolt 'b' has every but no tick; add tick = function(self) … end"},
    {"bolt \"b\" { from = shuffle \"nums\", tick = print, " NOTHING " },",
     "bolt 'b' has tick but no every; add every = \"1s\""},
    {"bolt \"b\" { from = shuffle \"nums\" },",
     "bolt 'b' has no execute; add execute = function(self, …) … end"},
    {"sink \"s\" { from = shuffle \"nums\" },",
     "sink 's' has no execute; add execute = function(self, …) … end, or a "
     "connector"},
    {"spout \"s\" { fields = { \"x\" } },",
     "spout 's' has no next; add next = function(self, …) … end, or a "
     "connector"},
    {"spout \"s\" { next = print, retries = -1 },",
     "retries of spout 's' is -1; give a whole number from 0 to 1000000, or "
     "\"forever\""},
    {"spout \"s\" { next = print, retries = 1 << 32 },",
     "retries of spout 's' is 4294967296; give a whole number from 0 to "
     "1000000, or \"forever\""},
    {"spout \"s\" { next = print, from = shuffle \"nums\" },",
     "'from' is no option of a spout; there are: ack, activate, budget, "
     "cleanup, config, deactivate, every, executors, fail, fields, hooks, "
     "memory, "
     "next, on_reload, open, retries, streams, tasks, tick"},
};

static const struct fault of_fields[] = {
    {"bolt \"b\" { from = shuffle \"nums\", fields = \"x\", " NOTHING " },",
     "fields of bolt 'b' is no list of names; give { \"word\", … }"},
    {"bolt \"b\" { from = shuffle \"nums\", fields = { 1 }, " NOTHING " },",
     "fields of bolt 'b' holds 1; give names as strings"},
    {"bolt \"b\" { from = shuffle \"nums\", fields = { \"\" }, " NOTHING " },",
     "fields of bolt 'b' holds ''; give names as strings"},
    {"bolt \"b\" { from = shuffle \"nums\", fields = { \"a\\0b\" }, " NOTHING
     " },",
     "fields of bolt 'b' holds 'a?b'; give names as strings"},
    {"bolt \"b\" { from = shuffle \"nums\", fields = { \"a\", nil, \"c\" "
     "}, " NOTHING " },",
     "fields of bolt 'b' has no entry 2; give all names"},
    {"bolt \"b\" { from = shuffle \"nums\", fields = { word = \"a\" }, " NOTHING
     " },",
     "fields of bolt 'b' has the key 'word'; give { \"word\", … }"},
    {"bolt \"b\" { from = shuffle \"nums\", fields = { \"a\", \"a\" }, " NOTHING
     " },",
     "bolt 'b' declares field 'a' twice; rename one"},
    {"sink \"s\" { from = shuffle \"nums\", fields = { \"a\" }, " NOTHING " },",
     "sink 's' has fields; a sink brings none, leave them out"},
    {"bolt \"b\" { from = shuffle \"nums\", fields = {}, streams = {}, " NOTHING
     " },",
     "bolt 'b' has both fields and streams; put the fields into "
     "streams.default"},
    {"bolt \"b\" { from = shuffle \"nums\", streams = 1, " NOTHING " },",
     "streams of bolt 'b' is no table; write streams = { default = { … } }"},
    {"bolt \"b\" { from = shuffle \"nums\", streams = { [\"a:b\"] = {} "
     "}, " NOTHING " },",
     "bolt 'b' has a stream called 'a:b'; use letters, digits, _ and -, and "
     "no __ in front"},
    {"bolt \"b\" { from = shuffle \"nums\", streams = { e = 1 }, " NOTHING
     " },",
     "stream 'e' of bolt 'b' is no list of names; give { \"word\", … }"},
};

static const struct fault of_inputs[] = {
    {"sink \"s\" { null {} },",
     "sink 's' reads nothing; add from = shuffle \"…\""},
    {"sink \"s\" { from = \"nums\", null {} },",
     "from of sink 's' is no grouping; write from = shuffle \"…\""},
    {"sink \"s\" { from = {}, null {} },",
     "from of sink 's' is no grouping; write from = shuffle \"…\""},
    {"sink \"s\" { from = { \"nums\" }, null {} },",
     "from of sink 's' holds 'nums'; write shuffle \"…\", fields(\"…\", "
     "\"key\") or global \"…\""},
    {"sink \"s\" { from = { shuffle \"nums\", nil, shuffle \"nums\" }, "
     "null {} },",
     "entry 2 in from of sink 's' is nil; is it spelled right?"},
    {"sink \"s\" { from = { x = shuffle \"nums\" }, null {} },",
     "from of sink 's' has the key 'x'; write from = { shuffle \"…\", … }"},
    {"sink \"s\" { from = shuffle \"nmus\", null {} },",
     "sink 's' reads 'nmus', which is no component; did you mean 'nums'?"},
    {"sink \"s\" { from = shuffle \"elsewhere\", null {} },",
     "sink 's' reads 'elsewhere', which is no component; there are: nums, "
     "out, s"},
    {"sink \"s\" { from = shuffle \"out\", null {} },",
     "sink 's' reads 'out', which is a sink; read a spout or bolt"},
    {"sink \"s\" { from = shuffle \"nums:errors\", null {} },",
     "spout 'nums' has no stream 'errors'; there are: default"},
    {"sink \"s\" { from = shuffle \"nums:defualt\", null {} },",
     "spout 'nums' has no stream 'defualt'; did you mean 'default'?"},
    {"sink \"s\" { from = fields(\"nums\"), null {} },",
     "fields(\"nums\") names no key; write fields(\"nums\", \"key\")"},
    {"sink \"s\" { from = fields(\"nums\", \"x\"), null {} },",
     "stream 'default' of spout 'nums' has no field 'x'; did you mean 'n'?"},
    {"sink \"s\" { from = fields(\"nums\", nil, \"n\"), null {} },",
     "key 1 of fields(\"nums\", …) is nil; give a field's name"},
    {"sink \"s\" { from = { grouping = \"fields\", from = \"nums\", keys = {}, "
     "line = 4 }, null {} },",
     "fields(\"nums\") names no key; write fields(\"nums\", \"key\")"},
    {"sink \"s\" { from = { grouping = true, from = \"nums\", keys = {} }, "
     "null {} },",
     "from of sink 's' holds a table; write shuffle \"…\", fields(\"…\", "
     "\"key\") or global \"…\""},
    {"bolt \"b\" { from = { shuffle \"nums\", shuffle \"c\" }, " NOTHING
     " }, bolt \"c\" { from = shuffle \"nums\", fields = { \"m\" }, " NOTHING
     " },",
     "the inputs of bolt 'b' have different fields; write execute = { nums = "
     "function(self, …) … end, … }"},
    {"bolt \"b\" { from = shuffle \"nums\", execute = {} },",
     "execute of bolt 'b' has no function for 'nums'; add nums = "
     "function(self, …) … end"},
    {"bolt \"b\" { from = shuffle \"nums\", execute = { nums = print, nmu = "
     "print } },",
     "execute of bolt 'b' has a function for 'nmu', which it doesn't read; "
     "there are: nums"},
};

static const struct fault of_connectors[] = {
    {"bolt \"b\" { from = shuffle \"nums\", null {} },",
     "a connector can't stand in bolt 'b'; make it a sink"},
    {"bolt \"b\" { from = shuffle \"nums\", list { {1} }, fields = { \"x\" } "
     "},",
     "a connector can't stand in bolt 'b'; make it a spout"},
    {"spout \"s\" { generator { rate = 0 }, fields = { \"x\" } },",
     "rate of generator is 0; give a whole number from 1 on"},
    {"spout \"s\" { generator { count = -1 }, fields = { \"x\" } },",
     "count of generator is -1; give a whole number from 0 on"},
    {"spout \"s\" { list {{1}} },",
     "spout 's' has no fields; add fields = { \"…\" }"},
    {"spout \"s\" { list {{1, 2}}, fields = { \"x\" } },",
     "a tuple of list has 2 values, fields names 1"},
    {"spout \"s\" { list {{1, nil, 3}}, fields = { \"x\", \"y\" } },",
     "a tuple of list has 3 values, fields names 2"},
    {"spout \"s\" { list {{1}, 5}, fields = { \"x\" } },",
     "entry 2 of list is no tuple; write { value, … }"},
    {"spout \"s\" { list {{1}, nil, {3}}, fields = { \"x\" } },",
     "entry 2 of list is nil; write { value, … }"},
    {"spout \"s\" { list {{x = 1}}, fields = { \"x\" } },",
     "entry 1 of list has the key 'x'; a tuple's values stand by position"},
    {"spout \"s\" { list {{print}}, fields = { \"x\" } },",
     "a function can't travel in a tuple; emit what it stands for"},
    {"spout \"s\" { list {{1}}, fields = { \"x\" }, next = print },",
     "spout 's' has both list and next; a connector does that itself"},
    {"spout \"s\" { stdin {}, list {{1}}, fields = { \"x\" } },",
     "spout 's' has more than one connector; keep one"},
    {"spout \"s\" { stdin { format = \"json\" }, fields = {} },",
     "fields of spout 's' is empty; name what it picks of each record, "
     "or leave it out"},
    {"spout \"s\" { stdin { format = \"xml\" } },",
     "format of stdin is 'xml'; give one of text, json, csv"},
    {"spout \"s\" { stdin { format = \"csv\" } },",
     "spout 's' has no fields; add fields = { \"…\" }"},
    {"spout \"s\" { stdin { format = \"csv\" }, fields = {} },",
     "fields of spout 's' is empty; name what it picks of each record"},
    {"spout \"s\" { stdin { format = \"json\", header = false } },",
     "header is an option of format = \"csv\"; add that"},
    {"spout \"s\" { stdin {}, fields = { \"a\", \"b\" } },",
     "stdin brings 1 field, spout 's' names 2"},
    {"spout \"s\" { file {} },", "file has no path; write file { path = … }"},
    {"spout \"s\" { file { path = 1 } },", "path of file is 1; give a text"},
    {"spout \"s\" { file { paths = \"a\" } },",
     "paths of file is 'a'; give a list of texts"},
    {"spout \"s\" { file { paths = {} } },",
     "paths of file is a table; give a list of texts"},
    {"spout \"s\" { file { paths = { \"a\", nil, \"b\" } } },",
     "entry 2 of paths of file is nil; is it spelled right?"},
    {"spout \"s\" { file { paths = { \"a\", x = \"b\" } } },",
     "paths of file has the key 'x'; give { \"…\", … }"},
    {"spout \"s\" { file { paths = { \"a\", 7 } } },",
     "paths of file holds 7; give texts"},
    {"spout \"s\" { file { path = \"p\", paths = { \"a\" } } },",
     "path and paths are both given; keep one"},
    {"spout \"s\" { file { path = \"p\", format = \"csv\" } },",
     "spout 's' has no fields; add fields = { \"…\" }"},
    {"spout \"s\" { file { path = \"p\", header = true } },",
     "header is an option of format = \"csv\"; add that"},
    {"spout \"s\" { file { path = \"p*\", follow = true } },",
     "follow = true is for one file; give path without * ? [ ]"},
    {"spout \"s\" { file { path = \"p\", rotate = \"1MB\" } },",
     "rotate is an option of file as a sink; as a source it only reads: "
     "remove it"},
    {"sink \"s\" { from = shuffle \"nums\", file { path = \"p\", rotate = 0 "
     "} },",
     "rotate of file is 0; give a size like \"64MB\""},
    {"sink \"s\" { from = shuffle \"nums\", file { path = \"p\", keep = 3 } "
     "},",
     "keep is an option of rotate; add rotate = \"64MB\""},
    {"sink \"s\" { from = shuffle \"nums\", file { path = \"p\", rotate = 9, "
     "keep = 0 } },",
     "keep is the number of files before; give 1 to 1000"},
    {"sink \"s\" { from = shuffle \"nums\", file { paths = { \"p\" } } },",
     "paths is an option of file as a source; as a sink it writes one file: "
     "remove it"},
    {"sink \"a\" { from = shuffle \"nums\", file { path = \"p\" } },"
     "sink \"b\" { from = shuffle \"nums\", file { path = \"./p\" } },",
     "sink 'b' writes 'p', which sink 'a' in line 4 writes or renames; give "
     "each a path of its own"},
    {"sink \"a\" { from = shuffle \"nums\", file { path = \"p.5\" } },"
     "sink \"b\" { from = shuffle \"nums\", file { path = \"p\", rotate = 9 } "
     "},",
     "sink 'a' writes 'p.5', which sink 'b' in line 4 writes or renames; give "
     "each a path of its own"},
    {"sink \"a\" { from = shuffle \"nums\", file { path = \"p\" }, "
     "tasks = 2 },"
     "spout \"s\" { file { paths = { \"o\", \"p.1\" } } },",
     "spout 's' reads 'p.1', which sink 'a' in line 4 writes or renames; give "
     "each a path of its own"},
    {"spout \"s\" { list {{1}}, fields = { \"x\" } },"
     "sink \"a\" { from = { shuffle \"nums\", shuffle \"s\" }, "
     "stdout { format = \"csv\" } },",
     "the inputs of sink 'a' have different fields, and "
     "format = \"csv\" has one header; give each a sink of its own"},
    {"spout \"s\" { file { path = \"p\", 7 } },",
     "file takes options by name, not a list"},
    {"sink \"s\" { from = shuffle \"nums\", stdout { format = \"xml\" } },",
     "format of stdout is 'xml'; give one of text, json, csv"},
    {"sink \"s\" { from = shuffle \"nums\", stdout { format = "
     "\"text json\" } },",
     "format of stdout is 'text json'; give one of text, json, csv"},
    {"spout \"s\" { list {{1}}, fields = { \"x\" }, streams = 1 },",
     "streams of spout 's' is no table; write streams = { failed = { … } }"},
    {"spout \"s\" { list {{1}}, fields = { \"x\" }, "
     "streams = { faild = { \"x\" } } },",
     "spout 's' has a stream called 'faild'; a connector emits to the default "
     "one and to 'failed' only, leave it out"},
    {"spout \"s\" { list {{1}}, fields = { \"x\" }, "
     "streams = { default = { \"x\" } } },",
     "spout 's' has both fields and streams.default; keep one"},
    {"spout \"s\" { list {{1}}, fields = { \"x\" }, "
     "streams = { failed = { \"x\", \"raeson\" } } },",
     "stream 'failed' of spout 's' has the field 'raeson', which is neither "
     "the tuple's nor reason, component or task; did you mean 'reason'?"},
    {"spout \"s\" { list {{1}}, fields = { \"task\" }, "
     "streams = { failed = { \"task\" } } },",
     "'task' in stream 'failed' of spout 's' is a field of the tuple, too; "
     "rename that, or leave it out"},
    {"spout \"s\" { list {{1}}, fields = { \"x\" }, "
     "streams = { failed = {} } },",
     "stream 'failed' of spout 's' has no fields; give some of the tuple's "
     "and \"reason\""},
    {"spout \"s\" { list {{1}}, fields = { \"x\" }, "
     "streams = { failed = { \"x\" } } }, guarantee = \"at-most-once\",",
     "nothing can come to stream 'failed' of spout 's': with guarantee "
     "\"at-most-once\" nobody knows what fails; leave it out"},
    {"sink \"s\" { from = shuffle \"nums\", stdout { fromat = \"csv\" } },",
     "'fromat' is no option of stdout; did you mean 'format'?"},
    {"spout \"s\" { 5, fields = { \"x\" } },",
     "the first entry of spout 's' is no connector; write file { … } or a "
     "key"},
    {"spout \"s\" { { connector = \"x\" }, fields = { \"x\" } },",
     "the first entry of spout 's' is no connector; write file { … } or a "
     "key"},
};

static void check_faults(const struct fault *faults, size_t count)
{
    char text[2048], wanted[1024];
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text,
                 "return topology \"t\" {\n"
                 "spout \"nums\" { list {{1}}, fields = { \"n\" } },\n"
                 "sink \"out\" { from = shuffle \"nums\", null {} },\n"
                 "%s\n}",
                 faults[i].body);
        /* A topology's own options are told where it begins. */
        snprintf(wanted, sizeof wanted, "t.lua:%d: %s",
                 faults == of_topologies ? 1 : 4, faults[i].said);
        check_errors(text, wanted);
    }
}

#define CHECK_FAULTS(list) check_faults((list), sizeof(list) / sizeof(list)[0])

SPEC(definition, tells_what_is_wrong_with_a_topology)
{
    CHECK_FAULTS(of_topologies);
}

SPEC(definition, tells_what_is_wrong_with_a_component)
{
    CHECK_FAULTS(of_components);
}

SPEC(definition, tells_what_is_wrong_with_fields_and_streams)
{
    CHECK_FAULTS(of_fields);
}

SPEC(definition, tells_what_is_wrong_with_inputs)
{
    CHECK_FAULTS(of_inputs);
}

SPEC(definition, tells_what_is_wrong_with_connectors)
{
    CHECK_FAULTS(of_connectors);
}

SPEC(definition, tells_which_connectors_fit)
{
    char *errors =
        errors_of("return topology \"t\" {\n spout \"s\" { stdout {} } }");
    CHECK_HAS(errors, "t.lua:2: stdout can't be a source; there are: file, "
                      "generator, list, stdin");
    mem_free(errors);
}

/* ---- what is no topology ---- */

SPEC(definition, tells_when_a_file_makes_no_topology)
{
    const char *none = "t.lua:1: the file returns no topology; end it with "
                       "return topology \"name\" { … }";
    check_errors("local x = 1", none);
    check_errors("return 5", none);
    check_errors("return spout \"s\" {}", none);
    check_errors("return { kind = \"topology\" }", none);
    check_errors("return { kind = \"topology\", name = 5, body = {}, line = 1 "
                 "}",
                 none);
    check_errors("return topology \"t\"", none);
    check_errors("\n\nreturn topology \"t\" {}",
                 "t.lua:3: the topology has no spout; add spout \"name\" { … "
                 "}");
    check_errors("return topology \"a/b\" { spout \"s\" { stdin {} } }",
                 "t.lua:1: 'a/b' is no name for a topology; leave out / . : "
                 "and \\");
    check_errors("return topology \"\" { spout \"s\" { stdin {} } }",
                 "t.lua:1: '' is no name for a topology; leave out / . : and "
                 "\\");
}

SPEC(definition, tells_where_a_file_fails_while_it_runs)
{
    check_errors("\nerror(\"so it is\")", "t.lua:2: so it is");
    check_errors("error(\"so it is\", 0)", "so it is");
    check_errors("error(\"\", 0)", "t.lua: the file raised an error without a "
                                   "text; give it one");
    check_errors("local x =", "t.lua:1: unexpected symbol near <eof>");
    check_errors("x = 1", "t.lua:1: global 'x' is assigned; declare it local");
    check_errors("\nspout(5)",
                 "t.lua:2: spout has no name; write spout \"name\" { … }");
    check_errors("return topology \"t\" { bolt \"b\" (5) }",
                 "t.lua:1: bolt \"b\" is followed by number; write bolt \"b\" "
                 "{ … }");
    check_errors("shuffle(\"a\", \"k\")",
                 "t.lua:1: shuffle takes no keys; write shuffle \"a\" or "
                 "fields(\"a\", …)");
    check_errors("array(log)",
                 "t.lua:1: this table is the engine's or protected; give array "
                 "a table of your own");
    check_errors("array(string)",
                 "t.lua:1: this table is the engine's or protected; give array "
                 "a table of your own");
    check_errors("array(_ENV)",
                 "t.lua:1: this table is the engine's or protected; give array "
                 "a table of your own");
    check_errors("array(setmetatable(array(array {}), nil))",
                 "t.lua:1: cannot change a protected metatable");
    check_errors("sleep(1)", "t.lua:1: sleep() at the top level would differ "
                             "between tasks; call it inside a function");
}

SPEC(definition, ends_what_runs_for_ever_or_eats_the_memory)
{
    char *errors = errors_of("\nwhile true do end");
    CHECK_HAS(errors, "t.lua:2: the call was over its budget of");
    mem_free(errors);
    errors = errors_of("local t = { 1 } for i = 1, 40 do t = { t, t } end\n"
                       "while true do pcall(json.encode, t) end");
    CHECK_HAS(errors, "t.lua:2: the call was over its budget of");
    mem_free(errors);
    check_errors("local t = {} for i = 1, 1e9 do t[i] = (\"x\"):rep(1e5) .. i "
                 "end",
                 "t.lua: not enough memory; loading may use 64 MB");
}

/* ---- several at once ---- */

SPEC(definition, tells_all_faults_at_once_in_the_order_of_lines)
{
    check_errors("return topology \"t\" {\n"
                 "  sink \"out\" { from = shuffle \"b\", stdout { format = "
                 "\"xml\" } },\n"
                 "  bolt \"b\" { from = shuffle \"nmus\", tasks = -1,\n"
                 "    " NOTHING ", feilds = { \"x\" } },\n"
                 "  timeout = \"x\",\n"
                 "  spout \"nums\" { list {{1}}, fields = { \"n\" } },\n"
                 "}",
                 "t.lua:1: timeout of the topology is 'x'; give a duration "
                 "like \"5s\" or \"100ms\"\n"
                 "t.lua:2: format of stdout is 'xml'; give one of text, json, "
                 "csv\n"
                 "t.lua:3: 'feilds' is no option of a bolt; did you mean "
                 "'fields'?\n"
                 "t.lua:3: bolt 'b' reads 'nmus', which is no component; did "
                 "you mean 'nums'?\n"
                 "t.lua:3: tasks of bolt 'b' is -1; give a whole number from "
                 "1 to 1000");
}

SPEC(definition, says_the_same_of_the_same_text)
{
    /* Tables are walked in an order that differs from run to run. */
    const char *text = "return topology \"t\" { spout \"s\" { stdin {}, aa = 1,"
                       " bb = 1, cc = 1, dd = 1, ee = 1, ff = 1, gg = 1 } }";
    char *first = errors_of(text);
    for (int i = 0; i < 10; i++)
        check_errors(text, first);
    mem_free(first);
}

SPEC(definition, tells_of_many_faults_the_first_and_how_many_more)
{
    check_errors("return topology \"t\" { nil, spout \"s\" { stdin {} } }",
                 "t.lua:1: entry 1 of the topology is nil; is it spelled "
                 "right?\n"
                 "t.lua:1: the topology has no spout; add spout \"name\" { … "
                 "}");
    char *errors = errors_of(
        "local t = { stdin {} } for i = 1, 300 do t[\"k\" .. i] = 1 end\n"
        "return topology \"t\" { spout \"s\" (t) }");
    unsigned lines = 1;
    for (const char *at = errors; *at; at++)
        lines += *at == '\n';
    CHECK_EQ(lines, 51);
    CHECK_HAS(errors, "t.lua: there are 250 more errors; mend these first");
    mem_free(errors);
}

SPEC(definition, shows_long_and_strange_names_on_one_short_line)
{
    char *errors =
        errors_of("return topology \"t\" { [(\"ä\\n\"):rep(1000)] = 1,\n"
                  "spout \"s\" { stdin {} } }");
    CHECK(strlen(errors) < 200);
    CHECK(strchr(errors, '\n') == NULL);
    CHECK_HAS(errors, "t.lua:1: 'ä?ä?");
    CHECK_HAS(errors, "…' is no option of a topology");
    mem_free(errors);
}

/* Tables that answer by metamethods are what they hold, and no more. */
SPEC(definition, asks_no_metamethod_for_what_a_table_holds)
{
    check_errors("local all = { __index = function(t, k) return k end,\n"
                 "  __len = function() return 3 end,\n"
                 "  __pairs = function() error(\"asked\") end }\n"
                 "return topology \"t\" {\n"
                 "  spout \"s\" (setmetatable({ list(setmetatable({{1}}, all)),"
                 "\n    fields = setmetatable({ \"x\" }, all) }, all)),\n"
                 "  sink \"o\" { from = setmetatable({ shuffle \"s\" }, all) },"
                 "\n}",
                 "t.lua:7: sink 'o' has no execute; add execute = "
                 "function(self, …) … end, or a connector");
}

/* ---- suggestions ---- */

static void check_suggestion(const char *written, const char *meant)
{
    char text[256], part[64];
    snprintf(text, sizeof text,
             "return topology \"t\" { spout \"s\" { next = print, %s = 1 } }",
             written);
    snprintf(part, sizeof part,
             meant ? "did you mean '%s'?" : "there are:", meant);
    char *errors = errors_of(text);
    CHECK_HAS(errors, part);
    mem_free(errors);
}

/* Lua keeps names in an order that is another each time. */
SPEC(definition, suggests_the_same_of_two_names_that_are_as_near)
{
    for (int i = 0; i < 20; i++) {
        char *errors = errors_of("ooooetmetatable()"); /* get…, set… */
        CHECK_HAS(errors, "did you mean 'getmetatable'?");
        mem_free(errors);
    }
}

SPEC(definition, suggests_the_nearest_name_if_one_is_near)
{
    check_suggestion("retires", "retries");
    check_suggestion("retry", NULL);
    check_suggestion("Tasks", "tasks");
    check_suggestion("taks", "tasks");
    check_suggestion("opne", "open"); /* neighbours swapped: one change */
    check_suggestion("poen", "open");
    check_suggestion("onep", NULL);
    check_suggestion("feild", NULL); /* two changes of five letters */
}

/* ---- what is right ---- */

SPEC(definition, becomes_the_plan_it_describes)
{
    struct definition *d = right(
        "return topology \"words\" {\n"
        "  guarantee = \"at-most-once\", timeout = \"1.5s\", max_pending = 7,\n"
        "  sink \"out\" { from = { global \"count:late\", shuffle \"lines\" "
        "},\n"
        "    null {}, tasks = 3 },\n"
        "  bolt \"count\" { from = fields(\"lines\", \"b\", \"a\"),\n"
        "    streams = { late = { \"z\" }, default = { \"x\", \"y\" } },\n"
        "    execute = function() end, tick = function() end,\n"
        "    every = \"100ms\", tasks = 2, memory = \"8MB\", budget = 2 },\n"
        "  spout \"lines\" { list {{ 1, \"two\" }, { 3 }},\n"
        "    fields = { \"a\", \"b\" }, retries = \"forever\" },\n"
        "}");
    const struct plan *p = &d->plan;
    CHECK_TEXT(p->name, "words");
    CHECK_TEXT(p->file, "t.lua");
    CHECK_EQ(p->guarantee, AT_MOST_ONCE);
    CHECK_EQ(p->timeout_ns, 1500000000);
    CHECK_EQ(p->pending_max, 7);
    CHECK_EQ(p->count, 3);
    CHECK_EQ(p->tasks, 6);

    const struct component_plan *out = &p->components[0];
    CHECK_TEXT(out->name, "out");
    CHECK_EQ(out->kind, COMPONENT_SINK);
    CHECK(out->class == connector_named("null")->sink);
    CHECK_EQ(out->first_task, 0);
    CHECK_EQ(out->tasks, 3);
    CHECK_EQ(out->retries, 5);
    CHECK_EQ(out->input_count, 2);
    CHECK_EQ(out->inputs[0].component, 1);
    CHECK_EQ(out->inputs[0].stream, 1);
    CHECK_EQ(out->inputs[0].grouping, GROUPING_GLOBAL);
    CHECK_EQ(out->inputs[1].component, 2);
    CHECK_EQ(out->inputs[1].grouping, GROUPING_SHUFFLE);

    const struct component_plan *count = &p->components[1];
    CHECK_EQ(count->kind, COMPONENT_BOLT);
    CHECK(count->class == &lua_class);
    CHECK_EQ(count->first_task, 3);
    CHECK_EQ(count->every_ns, 100000000);
    CHECK_EQ(count->stream_count, 2);
    CHECK_TEXT(count->streams[0].name, "default"); /* always the first */
    CHECK_EQ(count->streams[0].arity, 2);
    CHECK_TEXT(count->streams[0].fields[1], "y");
    CHECK_TEXT(count->streams[1].name, "late");
    CHECK_EQ(count->inputs[0].grouping, GROUPING_FIELDS);
    CHECK_EQ(count->inputs[0].key_count, 2);
    CHECK_EQ(count->inputs[0].keys[0], 1);
    CHECK_EQ(count->inputs[0].keys[1], 0);
    const struct lua_config *guest = count->config;
    CHECK_EQ(guest->memory_bytes, 8 << 20);
    CHECK_EQ(guest->budget_ns, 2000000000);

    const struct component_plan *lines = &p->components[2];
    CHECK_EQ(lines->kind, COMPONENT_SPOUT);
    CHECK_EQ(lines->retries, -1);
    CHECK_EQ(lines->first_task, 5);
    const struct connector_config *config = lines->config;
    const struct option_value *rows = NULL;
    for (unsigned i = 0; i < config->connector->option_count; i++)
        if (config->connector->options[i].type == OPTION_ROWS)
            rows = &config->values[i];
    CHECK(rows != NULL);
    CHECK_EQ(rows->rows, 2);
    CHECK_EQ(rows->arity, 2);
    CHECK_EQ(rows->size, 7);
    CHECK(memcmp(rows->bytes, "\x01\xa3two\x03\xc0", 7) == 0);
    definition_free(d);
}

/* self.emit(…) must find a stream to say that it has other fields. */
SPEC(definition, gives_everyone_a_default_stream_that_nobody_reads_unasked)
{
    struct definition *d =
        right("return topology \"t\" { spout \"s\" { next = print,\n"
              "  streams = { errors = { \"why\" } } },\n"
              "sink \"o\" { from = shuffle \"s:errors\", null {} } }");
    const struct component_plan *s = &d->plan.components[0];
    CHECK_EQ(s->stream_count, 2);
    CHECK_TEXT(s->streams[0].name, "default");
    CHECK_EQ(s->streams[0].arity, 0);
    CHECK_EQ(d->plan.components[1].inputs[0].stream, 1);
    CHECK_TEXT(d->plan.components[1].streams[0].name, "default");
    definition_free(d);
    check_errors("return topology \"t\" { spout \"s\" { next = print,\n"
                 "  streams = { errors = { \"why\" } } },\n"
                 "sink \"o\" { from = shuffle \"s\", null {} } }",
                 "t.lua:3: spout 's' has no stream 'default'; there are: "
                 "errors");
}

/* ---- parameters ---- */

static err with_sets(const char *text, const char *const *sets, unsigned count,
                     char **errors, struct definition **d)
{
    *d = NULL;
    return definition_parse("t.lua", text, strlen(text), sets, count, NULL, d,
                            errors);
}

#define REST                                                                   \
    " spout \"s\" { stdin {} }, sink \"o\" { from = shuffle \"s\", "           \
    "null {} } }"

SPEC(definition, takes_parameters_from_the_command_line)
{
    static const char text[] =
        "local n = param(\"pending\", 5) param(\"label\", \"x\")\n"
        "local quick = param(\"quick\", false)\n"
        "return topology \"t\" { max_pending = n, timeout = quick and 1 or "
        "9, " REST;
    static const struct {
        const char *set;
        err e;
        const char *said;
    } cases[] = {
        {"pending=12", OK, NULL},
        {"quick=true", OK, NULL},
        {"label=", OK, NULL},
        {"pending=many", ERR_USAGE, "--set pending=many is no number"},
        {"quick=yes", ERR_USAGE, "--set quick=yes is neither true nor false"},
        {"lable=x", ERR_USAGE,
         "--set lable: t.lua has no param of that name; did you mean "
         "'label'?"},
        {"nothing", ERR_USAGE, "--set nothing: write --set name=value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct definition *d;
        char *errors = NULL;
        err e = with_sets(text, &cases[i].set, 1, &errors, &d);
        CHECK_EQ(e, cases[i].e);
        if (cases[i].said) CHECK_HAS(errors, cases[i].said);
        if (i == 0) CHECK_EQ(d->plan.pending_max, 12);
        if (i == 1) CHECK_EQ(d->plan.timeout_ns, 1000000000);
        mem_free(errors);
        definition_free(d);
    }
    struct definition *d;
    char *errors = NULL;
    CHECK_EQ(with_sets("param(\"input\") return topology \"t\" {" REST, NULL, 0,
                       &errors, &d),
             ERR_USAGE);
    CHECK_HAS(errors, "param 'input' has no default; give --set input=…");
    mem_free(errors);
    /* What the file has caught is not why it fails. */
    CHECK_EQ(with_sets("pcall(param, \"input\") error \"boom\"", NULL, 0,
                       &errors, &d),
             ERR_CONFIG);
    CHECK_HAS(errors, "t.lua:1: boom");
    mem_free(errors);
}

/* ---- the digest ---- */

static uint64_t digest_of(const char *text)
{
    struct definition *d = right(text);
    uint64_t digest = d->bundle->digest;
    definition_free(d);
    return digest;
}

SPEC(definition, has_a_digest_that_tells_graphs_apart_and_nothing_else)
{
    const char *text = "return topology \"t\" { spout \"s\" { stdin {} }, "
                       "sink \"o\" { from = shuffle \"s\", null {} } }";
    uint64_t digest = digest_of(text);
    CHECK(digest != 0);
    for (int i = 0; i < 5; i++)
        CHECK(digest_of(text) == digest);
    /* Code, comments and lines are not the graph's. */
    CHECK(digest_of("-- it\nlocal x = 5\nreturn topology \"t\" {\n"
                    "spout \"s\" { stdin {} },\n"
                    "sink \"o\" { from = shuffle \"s\", execute = print } }") ==
          digest);
    static const char *const others[] = {
        "return topology \"u\" { spout \"s\" { stdin {} }, sink \"o\" { from "
        "= shuffle \"s\", null {} } }",
        "return topology \"t\" { spout \"z\" { stdin {} }, sink \"o\" { from "
        "= shuffle \"z\", null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, sink \"o\" { from "
        "= global \"s\", null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, bolt \"o\" { from "
        "= shuffle \"s\", execute = print } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, sink \"o\" { from "
        "= shuffle \"s\", null {} }, sink \"p\" { from = shuffle \"s\", null "
        "{} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, sink \"o\" { from "
        "= { shuffle \"s\", shuffle \"s\" }, null {} } }",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CHECK(digest_of(others[i]) != digest);
}

SPEC(definition, can_be_taken_over_when_its_graph_is_the_same)
{
    const char *text = "return topology \"t\" { spout \"s\" { stdin {} }, "
                       "sink \"o\" { from = shuffle \"s\", null {} } }";
    static const char *const others[] = {
        "return topology \"t\" { spout \"s\" { stdin {}, tasks = 2 }, sink "
        "\"o\" { from = shuffle \"s\", null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {}, fields = { \"l\" } "
        "}, sink \"o\" { from = shuffle \"s\", null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, sink \"o\" { from "
        "= fields(\"s\", \"line\"), null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, sink \"p\" { from "
        "= shuffle \"s\", null {} } }",
        "return topology \"t\" { spout \"s\" { stdin {} }, bolt \"o\" { from "
        "= shuffle \"s\", execute = print } }",
    };
    struct definition *now = right(text), *next = right(text);
    char why[256] = "";
    CHECK(definition_same_graph(now, next, why, sizeof why));
    definition_free(next);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct definition *again = right(others[i]);
        next = right(others[i]);
        CHECK(!definition_same_graph(now, next, why, sizeof why));
        CHECK(strlen(why) > 0);
        CHECK(definition_same_graph(again, next, why, sizeof why));
        definition_free(again);
        definition_free(next);
    }
    definition_free(now);
}

/* More would not fit beside a root's sequence (acker.h). */
SPEC(definition, refuses_more_tasks_than_roots_can_name)
{
    char *errors = errors_of(
        "local t = { spout 's' { stdin {} } }\n"
        "for i = 1, 66 do t[#t + 1] = sink('o' .. i) { from = shuffle 's',\n"
        "  tasks = 1000, execute = print } end\n"
        "return topology 't'(t)\n");
    CHECK_TEXT(errors, "t.lua:4: the topology has 66001 tasks in all; give it "
                       "65000 at most");
    mem_free(errors);
}

static struct definition *with_option(const char *option)
{
    char text[512];
    snprintf(text, sizeof text,
             "return topology 't' { spout 's' { stdin {} },\n"
             "bolt 'b' { from = shuffle 's', execute = function() end,\n"
             "streams = { s = {'x'} }, %s } }",
             option);
    return right(text);
}

SPEC(definition, names_what_running_tasks_do_not_take_over)
{
    static const char *const changes[][2] = {
        {"on_error = 'drop'", "'on_error' of 'b' has changed"},
        {"acking = 'manual'", "'acking' of 'b' has changed"},
        {"tasks = 4, executors = 2",
         "the streams, inputs or tasks of 'b' have changed"},
        {"budget = '2s'", "'budget' of 'b' has changed"},
        {"streams = { s = { direct = true, 'x' } }",
         "the streams, inputs or tasks of 'b' have changed"},
    };
    char why[256] = "";
    struct definition *now = with_option("");
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct definition *next = with_option(changes[i][0]);
        CHECK(!definition_same_graph(now, next, why, sizeof why));
        CHECK_TEXT(why, changes[i][1]);
        definition_free(next);
    }
    definition_free(now);
}

SPEC(definition, spreads_tasks_over_executors)
{
    static const struct {
        const char *option;
        unsigned tasks, executors;
    } cases[] = {
        {"", 1, 1},
        {"tasks = 5", 5, 5},
        {"executors = 3", 3, 3},
        {"tasks = 5, executors = 3", 5, 3},
        {"tasks = 1000, executors = 7", 1000, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct definition *d = with_option(cases[i].option);
        CHECK_EQ(d->plan.components[1].tasks, cases[i].tasks);
        CHECK_EQ(d->plan.components[1].executors, cases[i].executors);
        definition_free(d);
    }
    char why[256] = "";
    struct definition *now = with_option("tasks = 4, executors = 2");
    struct definition *next = with_option("tasks = 4");
    CHECK(!definition_same_graph(now, next, why, sizeof why));
    CHECK_TEXT(why, "'executors' of 'b' has changed");
    definition_free(next);
    definition_free(now);
}

/* Each step copies the whole text: instructions alone would last for hours. */
SPEC(definition, that_lets_a_text_grow_is_stopped)
{
    char *errors = errors_of("local s = ''\n"
                             "for i = 1, 1e9 do s = s .. ('x'):rep(100) end\n");
    CHECK_HAS(errors, "t.lua:2: the call was over its budget of");
    mem_free(errors);
}
