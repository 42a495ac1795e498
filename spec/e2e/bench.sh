# bench.sh - engine bench: runs that are measured, and what is said of them.

write_bench() { # COUNT: that many tuples, each printed
    cat > t.lua <<LUA
local n = param("n", $1)
return topology "measured" {
  spout "in" { generator { count = n }, fields = { "n" } },
  bolt "work" { from = shuffle "in", fields = { "n" }, execute = function(self, n) self.emit(n) end },
  sink "out" { from = shuffle "work", stdout {} },
}
LUA
}

# field SPOUT COLUMN: of the table's row that has it.
field() { grep -E "(^| )$1 " out | head -1 | awk "{ print \$$2 }"; }

e2e_bench_measures_runs_and_prints_only_the_table() {
    write_bench 5000
    engine bench t.lua --runs 3
    exits 0
    equal "$(wc -l < out)" 3 "lines"
    equal "$(field measured 1)" measured "topology"
    equal "$(field measured 3)" in "spout"
    equal "$(field measured 4)" 5000 "tuples"
    [[ $(field measured 5) =~ ^[0-9]{4,}$ ]] || fail "tuples a second: $(seen out)"
    [[ $(field measured 6) =~ ^[0-9]+\.\.[0-9]+$ ]] || fail "least..most: $(seen out)"
    equal "$(tail -1 out)" "medians of 3 runs each" "last line"
    equal "$(cat err)" "" "stderr"
}

# least median most of a figure; sorted, and more than nothing.
check_figure() {
    lua5.4 - "$1" <<'LUA' || fail "$1: $(seen out)"
local text = io.open("out"):read("a")
local median, least, most = text:match('"' .. arg[1] ..
    '":{"median":([-%d.e+]+),"least":([-%d.e+]+),"most":([-%d.e+]+)}')
median, least, most = tonumber(median), tonumber(least), tonumber(most)
os.exit(median and least > 0 and least <= median and median <= most)
LUA
}

e2e_bench_says_the_same_in_json() {
    write_bench 5000
    engine bench t.lua --runs 3 --json --threads 1,2
    exits 0
    lua5.4 "$HERE/json.lua" < out > why || fail "$(cat why)"
    equal "$(grep -oE '"threads":[0-9]+,"runs":[0-9]+,"complete":true' out | tr '\n' ' ')" \
        '"threads":1,"runs":3,"complete":true "threads":2,"runs":3,"complete":true ' "cases"
    local figure
    for figure in tuples per_second acked_per_second p50_ms p99_ms max_ms seconds cpu_s cpu_us_per_tuple rss_bytes; do
        check_figure "$figure"
    done
}

e2e_bench_compares_definitions() {
    write_bench 100
    sed 's/"measured"/"other"/' t.lua > u.lua
    engine bench t.lua u.lua --runs 1 --set n=70
    exits 0
    equal "$(field measured 4) $(field other 4)" "70 70" "tuples"
    sed -i 's/param("n", 100)/param("m", 90)/' u.lua
    engine bench t.lua u.lua --runs 1 --set n=50
    exits 0
    equal "$(field measured 4) $(field other 4)" "50 90" "tuples"
    engine bench t.lua u.lua --set o=1
    exits 2
    says "--set o=1: none of the files has a param of that name"
}

e2e_bench_drains_what_does_not_end() {
    write_bench 100000000
    engine bench t.lua --for 200ms
    exits 0
    equal "$(tail -1 out)" "medians of 3 runs each" "last line"
    engine bench t.lua --for 200ms --runs 1 --warm-up 0 --json
    grep -qF '"complete":false' out || fail "$(seen out)"
}

e2e_bench_keeps_output_apart_from_the_table() {
    write_bench 5
    engine bench t.lua --runs 2 --warm-up 0 --keep-output
    exits 0
    prints $'1\n2\n3\n4\n5\n1\n2\n3\n4\n5'
    says "medians of 2 runs each"
}

e2e_bench_reads_stdin_anew_for_each_run() {
    seq 300 > numbers
    echo 'return topology "t" { spout "in" { stdin {} }, sink "out" { from = shuffle "in", null {} } }' > t.lua
    timeout -k 5 "$PATIENCE_S" "$ENGINE" bench t.lua --runs 3 --json < numbers > out 2> err
    code=$?
    exits 0
    grep -qF '"tuples":{"median":300.0,"least":300.0,"most":300.0}' out || fail "$(seen out)"
    timeout -k 5 "$PATIENCE_S" "$ENGINE" bench t.lua < <(cat numbers) > out 2> err
    code=$?
    exits 2
    says "t.lua reads stdin, and each run would need all of it; give it a file: engine bench t.lua < FILE"
}

e2e_bench_tells_of_what_failed() {
    cat > t.lua <<'LUA'
return topology "failing" {
  spout "in" { generator { count = 20 }, fields = { "n" }, retries = 0 },
  bolt "work" { from = shuffle "in", execute = function(self, n) if n == 3 then error("three") end end },
}
LUA
    engine bench t.lua --runs 2
    exits 1
    equal "$(field failing 4)" 20 "tuples"
    equal "$(grep -cF 't.lua:3: three' err)" 2 "what components said, in the first run only"
    says "engine: 1 tuple failed for good" 3
    says "runs ended with exit code 1; the lines above say why"
}

e2e_bench_refuses_what_it_can_not_measure() {
    echo 'return 5' > five.lua
    write_bench 5
    local arguments text
    while IFS='|' read -r arguments text; do
        # shellcheck disable=SC2086 # a list of words
        engine bench $arguments
        [ "$code" -eq 2 ] || [ "$code" -eq 78 ] || fail "$arguments: exit code $code"
        says "$text"
        prints ""
    done <<'CASES'
|bench takes definition files: engine bench FILE
nowhere.lua|nowhere.lua: No such file or directory; check the path
.|.: Is a directory; check the path
five.lua|five.lua:1: the file returns no topology
t.lua --set m=1|--set m: t.lua has no param of that name; did you mean 'n'?
t.lua --threads 1,x|--threads is 'x'; give a number from 1 to 64
t.lua --threads 1,|--threads is ''; give a number from 1 to 64
t.lua --runs 0|--runs is '0'; give a number from 1 to 1000
t.lua --warm-up x|--warm-up is 'x'; give a number from 0 to 1000
t.lua --for 0|--for is '0'; give a time like 10s or 500ms
t.lua --rnus 1|bench has no option --rnus; did you mean --runs?
/dev/null|/dev/null: bench reads it anew for each run; give a regular file
CASES
    equal "$("$ENGINE" bench five.lua > /dev/null 2>&1; echo $?)" 78 "exit code"
}

e2e_bench_ends_with_a_signal() {
    write_bench 100000000
    start bench t.lua --warm-up 0 --for 100s
    until_so "a run goes on" runs_measured
    kill -INT "$pid"
    finishes
    exits 1
    says "ended by a signal, nothing was measured"
    ! runs_measured || fail "the run goes on"
}
runs_measured() { "$ENGINE" ps --json 2> /dev/null | grep -qF '"topology":"measured"'; }
