/* definition_fault_spec.c - what is said of one fault in a definition file. */
#include "core/alloc.h"
#include "spec/definition.h"
#include "spec/spec.h"
#include <stdio.h>

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
     "\"at-most-once\" or \"exactly-once\""},
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
     "'state' is no option of a topology; there are: config, guarantee, "
     "hooks, initial, max_pending, timeout"},
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
     "memory, on_error, on_reload, prepare, retries, state, streams, tasks, "
     "tick, ttl, window"},
    {"guarantee = \"exactly-once\", spout \"s\" { stdin {} },",
     "spout 's' reads stdin, which can't be read again after a crash; bring it "
     "into a file or a queue first, or use guarantee = \"at-least-once\""},
    {"guarantee = \"exactly-once\", spout \"s\" { fields = {\"n\"}, next = "
     "print "
     "},",
     "spout 's' says to no checkpoint where it is, and exactly-once begins "
     "again there; give it state = \"durable\" and go by self.state, or use "
     "guarantee = \"at-least-once\""},
    {"guarantee = \"exactly-once\", bolt \"b\" { from = shuffle \"nums\", "
     "acking = \"manual\", " NOTHING " },",
     "bolt 'b' has acking = \"manual\", and with exactly-once nothing is "
     "acked; "
     "leave it out, or use guarantee = \"at-least-once\""},
    {"guarantee = \"exactly-once\", sink \"s\" { from = global \"nums\", "
     "stdout {} },",
     "sink 's' writes to stdout, from which nothing can be taken back; write "
     "to "
     "a file, or use guarantee = \"at-least-once\""},
    {"guarantee = \"exactly-once\", sink \"s\" { from = global \"nums\", "
     "execute = print },",
     "sink 's' is Lua, and what that has done can't be taken back; write to a "
     "file, read that with a topology of its own, or use guarantee = "
     "\"at-least-once\""},
    {"guarantee = \"exactly-once\", bolt \"b\" { from = shuffle \"nums\", "
     "streams = { failed = {\"m\", \"reason\"} }, execute = print },",
     "bolt 'b' has the field 'm' in its stream 'failed', which with "
     "exactly-once brings what has failed for good: name fields of its inputs, "
     "reason, component and task, or use guarantee = \"at-least-once\""},
    {"bolt \"b\" { from = shuffle \"nums\", ttl = 5, " NOTHING " },",
     "bolt 'b' has ttl, which is of what it keeps in self.state; add state = "
     "\"durable\", or leave it out"},
    {"bolt \"b\" { from = shuffle \"nums\", ttl = 0, state = "
     "\"durable\", " NOTHING " },",
     "ttl of bolt 'b' is 0; give a duration like \"5s\" or \"100ms\""},
    {"bolt \"b\" { from = shuffle \"nums\", retries = 2, " NOTHING " },",
     "retries of bolt 'b' is for guarantee \"exactly-once\"; leave it out"},
    {"guarantee = \"exactly-once\", spout \"s\" { list {{1}}, fields = "
     "{\"n\"}, "
     "retries = 2 },",
     "retries of spout 's' is for bolts and sinks with guarantee "
     "\"exactly-once\"; leave it out"},
    {"bolt \"b\" { from = shuffle \"nums\", state = true, " NOTHING " },",
     "state of bolt 'b' is true; give \"durable\""},
    {"bolt \"b\" { from = shuffle \"nums\", state = \"durable\", words \"n\" "
     "},",
     "bolt 'b' has state, but words keeps none of yours; give it to a "
     "component "
     "with functions"},
    {"spout \"s\" { list {{1}}, fields = {\"n\"}, state = \"durable\" },",
     "spout 's' has state, but list keeps none of yours; give it to a "
     "component "
     "with functions"},
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
     "memory, next, on_reload, open, retries, state, streams, tasks, tick, "
     "ttl"},
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
    {"sink \"s\" { from = shuffle \"nums\", file { path = \"p\", segments = 9, "
     "rotate = 9 } },",
     "segments go on behind those that are there; remove append and rotate"},
    {"sink \"s\" { from = shuffle \"nums\", file { path = \"p\", every = 9 } "
     "},",
     "every is an option of segments; add segments = \"64MB\""},
    {"guarantee = \"exactly-once\", sink \"s\" { from = shuffle \"nums\", "
     "file { path = \"p\", rotate = 9 } },",
     "sink 's' has rotate, and what it has renamed can't be taken back; use "
     "segments, or use guarantee = \"at-least-once\""},
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
        definition_check_errors(text, wanted);
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
    char *errors = definition_errors(
        "return topology \"t\" {\n spout \"s\" { stdout {} } }");
    CHECK_HAS(errors, "t.lua:2: stdout can't be a source; there are: file, "
                      "generator, list, queue, stdin");
    mem_free(errors);
}
