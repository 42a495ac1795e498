# bad_input.sh - definition files that can't be run: exit code 78, or 2 where
# there is no such file, with place and remedy.

# a line that is wrong, then a topology that is not.
with_first_line() {
    printf '%s\n' "$1" > t.lua
    cat >> t.lua <<'LUA'
return topology "fine" {
  spout "in" { list { { 1 } }, fields = { "n" } },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
}

e2e_a_missing_file_is_said_with_its_path() {
    engine run nowhere/missing.lua
    exits 2
    says "nowhere/missing.lua: No such file or directory; check the path"
}

e2e_a_folder_is_no_definition() {
    mkdir folder
    engine run folder
    exits 2
    says "folder: Is a directory"
}

e2e_an_unreadable_file_is_said_with_its_path() {
    with_first_line "-- fine"
    chmod 000 t.lua
    local file=t.lua
    [ "$(id -u)" -ne 0 ] || file=/proc/self/mem # root may read any file but this
    engine run $file
    exits 2
    says "$file: "
    if [ $file = t.lua ]; then says "make it readable"; else says "check the path"; fi
}

e2e_an_empty_file_says_what_belongs_there() {
    : > empty.lua
    printf ' \n\t\n' > blank.lua
    for file in empty blank; do
        engine run $file.lua
        exits 78
        says "$file.lua: the file is empty; a definition ends with return topology"
    done
}

e2e_bytecode_is_refused() {
    lua5.4 -e 'io.write(string.dump(load "return 1"))' > code.lua
    engine run code.lua
    exits 78
    says "code.lua: the file is compiled Lua; give the source file"
}

e2e_a_file_above_1_mb_is_refused() {
    { head -c 1100000 /dev/zero | tr '\0' ' '; echo 'return 1'; } > big.lua
    engine run big.lua
    exits 78
    says "big.lua: the file is larger than 1 MB; move code to modules"
}

e2e_a_syntax_error_has_file_and_line() {
    printf 'local x = 1\nlocal y = = 2\n' > t.lua
    engine run t.lua
    exits 78
    says "t.lua:2: unexpected symbol near '='"
}

e2e_a_file_that_returns_no_topology_is_told_how_to_end() {
    echo 'local x = 1' > t.lua
    engine run t.lua
    exits 78
    says "the file returns no topology; end it with return topology \"name\" { … }"
}

e2e_bytes_that_are_no_text_are_a_syntax_error() {
    head -c 3000 /dev/urandom | tr -d '\033' > t.lua
    engine run t.lua
    exits 78
    says "t.lua:"
}

e2e_several_errors_come_at_once_each_with_its_line_and_the_nearest_name() {
    cat > t.lua <<'LUA'
return topology "wrong" {
  garantee = "at-least-once",
  spout "lines" { list { { 1 } }, fields = { "line" } },
  bolt "split" {
    from = shuffle "line", feilds = { "word" },
    execute = function(self) end,
  },
  bolt "count" { from = fields("lines", "lime"), execute = function(self) end },
  sink "out" { from = shuffle "spilt", stdout { formt = "json" } },
  sink "more" { from = shuffle "count:erors", stdout { format = "xml" } },
}
LUA
    engine run t.lua
    exits 78
    prints ""
    says "t.lua:1: 'garantee' is no option of a topology; did you mean 'guarantee'?"
    says "t.lua:4: 'feilds' is no option of a bolt; did you mean 'fields'?"
    says "t.lua:5: bolt 'split' reads 'line', which is no component; did you mean 'lines'?"
    says "t.lua:8: stream 'default' of spout 'lines' has no field 'lime'; did you mean 'line'?"
    says "t.lua:9: sink 'out' reads 'spilt', which is no component; did you mean 'split'?"
    says "t.lua:9: 'formt' is no option of stdout; did you mean 'format'?"
    says "t.lua:10: bolt 'count' has no stream 'erors'"
    says "t.lua:10: format of stdout is 'xml'; give one of text, json, csv"
    sort -t: -k2,2n -s err | cmp -s - err || fail "not in the order of the lines: $(seen err)"
}

e2e_an_unknown_global_is_told_the_nearest_name() {
    with_first_line 'local x = spuot "in" {}'
    engine run t.lua
    exits 78
    says "t.lua:1: attempt to call a nil value (global 'spuot'); did you mean 'spout'?"
}

e2e_an_unknown_connector_is_told_the_nearest_name() {
    cat > t.lua <<'LUA'
return topology "wrong" {
  spout "in" { stdni {} },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    engine run t.lua
    exits 78
    says "t.lua:2: attempt to call a nil value (global 'stdni'); did you mean 'stdin'?"
}

e2e_wrong_graphs_are_refused() {
    cat > t.lua <<'LUA'
return topology "wrong" {
  spout "in" { list { { 1 } }, fields = { "n" } },
  spout "in" { list { { 1 } }, fields = { "n" } },
  sink "out" { stdout {} },
  sink "none" { from = shuffle "out" },
  bolt "idle" { from = fields "in" },
}
LUA
    engine run t.lua
    exits 78
    says "t.lua:3: there are two components called 'in'; rename one"
    says "t.lua:4: sink 'out' reads nothing; add from = shuffle"
    says "t.lua:5: sink 'none' reads 'out', which is a sink; read a spout or bolt"
    says "t.lua:6: bolt 'idle' has no execute"
    says "t.lua:6: fields(\"in\") names no key"
}

e2e_a_topology_without_spout_is_refused() {
    echo 'return topology "none" {}' > t.lua
    engine run t.lua
    exits 78
    says "t.lua:1: the topology has no spout; add spout \"name\" { … }"
}

e2e_a_global_write_is_told_to_be_local() {
    with_first_line 'count = 1'
    engine run t.lua
    exits 78
    says "t.lua:1: global 'count' is assigned; declare it local"
}

e2e_now_random_and_sleep_are_refused_at_the_top_level() {
    for call in now random sleep; do
        with_first_line "local x = $call(1)"
        engine run t.lua
        exits 78
        says "t.lua:1: $call() at the top level would differ between tasks; call it inside a function"
    done
}

e2e_an_error_at_the_top_level_has_its_place() {
    with_first_line 'error "not today"'
    engine run t.lua
    exits 78
    says "t.lua:1: not today"
    for thrown in '{ code = 1 }' 'nil'; do
        with_first_line "error($thrown)"
        engine run t.lua
        exits 78
        says "t.lua"
    done
}

e2e_a_definition_that_loops_for_ever_is_ended() {
    for loop in 'while true do end' 'pcall(function() while true do end end)' \
        'local x = coroutine.wrap(function() while true do end end)()'; do
        with_first_line "$loop"
        engine run t.lua
        exits 78
        says "t.lua:"
        says "budget"
    done
}

e2e_a_definition_that_eats_memory_is_ended() {
    with_first_line 'local s = "x" while true do s = s .. s end'
    engine run t.lua
    exits 78
    says "t.lua: not enough memory"
}

e2e_a_definition_from_a_pipe_that_nobody_writes_can_be_interrupted() {
    mkfifo pipe.lua
    start run pipe.lua
    until_so "it waits for the pipe" grep -qs '^State:.S' "/proc/$pid/status"
    kill -TERM "$pid"
    finishes
    [ "$code" -ne 0 ] || fail "expected another exit code than 0"
}

# ---- modules ----

with_module() { # NAME TEXT
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$2" > "$1"
}

e2e_modules_are_found_beside_the_definition_and_shared_once() {
    mkdir there
    with_module there/lib/words.lua 'local M = {} function M.first(line) return line:match "%a+" end return M'
    with_module there/top.lua 'local words = require "lib.words" assert(words == require "lib.words") return words'
    cat > there/t.lua <<'LUA'
local words = require "top"
return topology "modules" {
  spout "in" { list { { "one two" }, { "three" } }, fields = { "line" } },
  bolt "first" { from = shuffle "in", fields = { "word" }, execute = function(self, line) self.emit(words.first(line)) end },
  sink "out" { from = shuffle "first", stdout {} },
}
LUA
    engine run --quiet there/t.lua
    exits 0
    prints "one
three"
}

e2e_a_missing_module_names_who_requires_it() {
    with_first_line 'local m = require "lib.missing"'
    engine run t.lua
    exits 78
    says "t.lua:1: module 'lib.missing': lib/missing.lua: No such file or directory; check the path"
}

e2e_a_broken_module_has_its_own_place() {
    with_module lib/broken.lua $'local x = 1\nreturn {'
    with_first_line 'local m = require "lib.broken"'
    engine run t.lua
    exits 78
    says "lib/broken.lua:3: "
    with_module lib/broken.lua $'local x = 1\nerror "no"'
    engine run t.lua
    exits 78
    says "lib/broken.lua:2: no"
    with_module lib/broken.lua $'local x = 1\nhidden = 1'
    engine run t.lua
    exits 78
    says "lib/broken.lua:2: global 'hidden' is assigned; declare it local"
}

e2e_modules_in_a_circle_are_told() {
    with_module a.lua 'return require "b"'
    with_module b.lua 'return require "a"'
    with_first_line 'local m = require "a"'
    engine run t.lua
    exits 78
    says "b.lua:1: module 'a' requires itself; break the circle"
}

e2e_a_module_name_is_no_path() {
    for name in ../t a/b .a a..b ''; do
        with_first_line "local m = require '$name'"
        engine run t.lua
        exits 78
        says "t.lua:1: '$name' is no module's name; use letters, digits and _, with dots for folders"
    done
}

e2e_a_mark_of_bytes_or_a_first_line_for_the_shell_is_no_lua() {
    {
        printf '\xEF\xBB\xBF#!/usr/bin/env engine\n'
        printf 'return topology "t" { spout "in" { list { { 1 } }, fields = { "n" } },\n'
        printf '  sink "out" { from = shuffle "in", stdout {} } }\n'
    } > t.lua
    engine run --quiet t.lua
    exits 0
    prints "1"
    printf '#!/usr/bin/env engine\nreturn nil +\n' > t.lua
    engine run t.lua
    exits 78
    says "t.lua:3: "
}
