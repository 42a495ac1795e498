# connectors.sh - files, stdin and stdout: what is missing, full, closed or no
# text, and nothing lost in it.

# through SOURCE SINK: a topology of the two; the field is `line`.
through() {
    cat > t.lua <<LUA
return topology "through" {
  spout "in" { $1 },
  sink "out" { from = shuffle "in", $2 },
}
LUA
}

e2e_stdin_ends_with_its_last_byte() {
    through 'stdin {}' 'stdout {}'
    printf 'one\r\ntwo\n\nlast without an end' > input
    timeout -k 5 "$PATIENCE_S" "$ENGINE" run --quiet t.lua < input > out 2> err
    code=$?
    exits 0
    prints "$(printf 'one\ntwo\n\nlast without an end')"
}

e2e_stdin_may_be_a_pipe() {
    through 'stdin {}' 'stdout {}'
    seq 50000 > expected
    cat expected | timeout -k 5 "$PATIENCE_S" "$ENGINE" run --quiet t.lua > out 2> err
    code=$?
    exits 0
    same out expected
}

e2e_a_stdin_that_is_not_there_is_an_empty_one() {
    through 'stdin {}' 'stdout {}'
    timeout -k 5 "$PATIENCE_S" "$ENGINE" run --quiet t.lua <&- > out 2> err
    code=$?
    exits 0
    prints ""
}

e2e_a_closed_stdout_ends_the_run_well() {
    cat > t.lua <<'LUA'
return topology "endless" {
  spout "in" { generator {}, fields = { "n" } },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    timeout -k 5 "$PATIENCE_S" "$ENGINE" run t.lua 2> err | head -1 > out
    code=${PIPESTATUS[0]}
    exits 0
    prints 1
    timeout -k 5 "$PATIENCE_S" "$ENGINE" run t.lua >&- 2> err
    code=$?
    exits 0
}

e2e_a_file_sink_replaces_and_appends() {
    through 'list { { 1 }, { 2 } }, fields = { "n" }' 'file { path = "lines" }'
    echo old > lines
    engine run --quiet t.lua
    exits 0
    equal "$(cat lines)" $'1\n2' "a replaced file"
    through 'list { { 3 } }, fields = { "n" }' 'file { path = "lines", append = true }'
    engine run --quiet t.lua
    exits 0
    equal "$(cat lines)" $'1\n2\n3' "a continued file"
}

e2e_an_appended_csv_keeps_one_header() {
    through 'list { { 1, "a" } }, fields = { "n", "s" }' 'file { path = "lines", append = true, format = "csv" }'
    for _ in 1 2 3; do
        engine run --quiet t.lua
        exits 0
    done
    equal "$(cat lines)" $'n,s\n1,a\n1,a\n1,a' "the file"
}

e2e_several_tasks_read_each_line_once_and_write_a_file_each() {
    seq 100000 > numbers
    through 'file { path = "numbers" }, tasks = 3' 'file { path = "lines" }, tasks = 2'
    engine run --quiet t.lua
    exits 0
    sort -n lines.0 lines.1 > sorted
    same sorted numbers
    [ -s lines.0 ] && [ -s lines.1 ] || fail "one of the files is empty"
}

e2e_a_missing_input_is_said_with_its_path() {
    through 'file { path = "nowhere.txt" }' 'stdout {}'
    engine run t.lua
    exits 1
    says "nowhere.txt: No such file or directory; check the path"
    prints ""
}

e2e_a_folder_as_input_is_said() {
    mkdir folder
    through 'file { path = "folder" }' 'stdout {}'
    engine run t.lua
    exits 1
    says "folder: Is a directory; name a file in this folder"
}

e2e_an_output_in_no_folder_is_said() {
    through 'list { { 1 } }, fields = { "n" }' 'file { path = "no/such/folder" }'
    engine run t.lua
    exits 1
    says "no/such/folder: No such file or directory; make its folder"
}

e2e_options_of_a_sink_are_none_of_a_source() {
    through 'file { path = "x", append = true }' 'stdout {}'
    engine run t.lua
    exits 78
    says "t.lua:2: append is an option of file as a sink"
    through 'stdout {}' 'stdout {}'
    engine run t.lua
    exits 78
    says "t.lua:2: stdout can't be a source"
    through 'file {}' 'stdin {}'
    engine run t.lua
    exits 78
    says "t.lua:2: file has no path; write file { path = … }"
    says "t.lua:3: stdin can't be a sink"
}

e2e_invalid_utf_8_becomes_u_fffd_in_json_and_is_counted() {
    through 'stdin {}' 'stdout { format = "json" }'
    printf 'well \303\244\n\377\376\n\342\202\n\355\240\200\n' > input
    timeout -k 5 "$PATIENCE_S" "$ENGINE" run --quiet t.lua < input > out 2> err
    code=$?
    exits 0
    lua5.4 "$HERE/json.lua" < out > why || fail "$(cat why)"
    local r=$'\357\277\275'
    prints "{\"line\":\"well ä\"}
{\"line\":\"$r$r\"}
{\"line\":\"$r\"}
{\"line\":\"$r$r$r\"}"
    says "stdout: 6 times JSON could not say what a value held"
}

e2e_invalid_utf_8_goes_through_text_untouched() {
    through 'stdin {}' 'stdout {}'
    printf 'a\377\376b\0c\n' > input
    timeout -k 5 "$PATIENCE_S" "$ENGINE" run --quiet t.lua < input > out 2> err
    code=$?
    exits 0
    same out input
    equal "$(cat err)" "" "stderr"
}

e2e_a_line_above_16_mb_is_left_out_and_said() {
    through 'file { path = "long" }' 'stdout {}'
    { echo before; head -c 17000000 /dev/zero | tr '\0' x; echo; echo after; } > long
    engine run t.lua
    exits 1
    prints $'before\nafter'
    says "16 MB"
    says "engine: 1 part of the input was left out; the log says why"
}

# ---- a disk without room ----

write_numbers() {
    cat > t.lua <<'LUA'
return topology "disk" {
  spout "in" { generator { count = 30000 }, fields = { "n" } },
  sink "out" { from = shuffle "in", file { path = "small/lines" } },
}
LUA
    mkdir small
}

e2e_a_full_disk_loses_nothing_once_there_is_room() {
    write_numbers
    if mount -t tmpfs -o size=64k tmpfs small 2>/dev/null; then
        MOUNTED=$PWD/small
        start run t.lua
        until_so "it says that the disk is full" said "small/lines: No space left on device; free some space"
        mount -o remount,size=4M small || fail "the disk can't be enlarged"
    else # not allowed to mount: a file that may not grow is much the same
        ulimit -S -f 64
        start run t.lua
        until_so "it says that the file is full" said "small/lines: File too large"
        prlimit --pid "$pid" --fsize=unlimited || fail "the limit can't be raised"
    fi
    finishes
    exits 0
    says "small/lines is written again"
    equal "$(figure in acked)" 30000 "acked"
    seq 30000 | cmp -s - small/lines || fail "lines were lost or doubled"
}

e2e_a_disk_that_stays_full_is_counted_at_the_end_of_the_drain() {
    write_numbers
    ulimit -f 64
    start run t.lua --drain 100ms
    until_so "it says that the file is full" said "small/lines: File too large; raise the limit of file sizes"
    kill -TERM "$pid"
    finishes
    exits 1
    says "tuples were still under way at the end of the drain"
    local left acked
    left=$(grep -oE 'engine: [0-9]+ tuples? w(as|ere) still' err | tr -dc 0-9)
    acked=$(figure in acked)
    equal "$((left + acked))" "$(($(figure in out) - $(figure in replayed)))" "acked and left"
}
