# several.sh - engine run A.lua B.lua: topologies that share a process and
# nothing else.

write_topology() { # NAME PARAM COUNT: numbers 1 to PARAM; the 3rd is logged
    cat > "$1.lua" <<LUA
local n = param("$2", $3)
return topology "$1" {
  spout "in" { generator { rate = 2000, count = n }, fields = { "n" } },
  bolt "work" {
    from = shuffle "in", fields = { "text" },
    execute = function(self, n)
      if n == 3 then log.info("the third") end
      if n == 7 then log.debug("the seventh") end
      self.emit("$1-1 " .. n)
    end,
  },
  sink "out" { from = shuffle "work", file { path = "$1.txt" } },
}
LUA
}

# Their ends: a title, a table.
table_of() { sed -n "/^$1:\$/,/ s\$/p" err; }

e2e_several_topologies_run_to_the_last_one_s_end() {
    write_topology first n 2000
    write_topology second m 20
    engine run first.lua second.lua
    exits 0
    prints ""
    equal "$(wc -l < first.txt)" 2000 "lines of the first"
    equal "$(wc -l < second.txt)" 20 "lines of the second"
    equal "$(grep -c '^Topology: ' err)" 2 "heads"
    says "first/work[0]  the third"
    says "second/work[0]  the third"
    table_of first | grep -qE '^in +0 +2000 +2000 ' || fail "seen: $(seen err)"
    table_of second | grep -qE '^in +0 +20 +20 ' || fail "seen: $(seen err)"
    equal "$(grep -oE '^(first|second):$' err | head -1)" second: "whose table came first"
}

e2e_params_go_to_the_definitions_that_have_them() {
    write_topology first n 10
    write_topology second m 10
    sed -i '1i local label = param("label", "x")' second.lua
    engine run --quiet first.lua second.lua --set n=5 --set m=6
    exits 0
    equal "$(cat first.txt second.txt | wc -l)" 11 "lines"
    engine run first.lua second.lua --set lable=5
    exits 2
    says "--set lable: second.lua has no param of that name; did you mean 'label'?"
    says "--set lable: first.lua has no param of that name"
    engine run first.lua second.lua --set n=many
    exits 2
    says "--set n=many is no number"
}

e2e_what_several_can_not_share_is_said() {
    write_topology first n 10
    mkdir other
    cp first.lua other
    engine run first.lua other/first.lua
    exits 2
    says "engine: first.lua and other/first.lua both name their topology 'first'; give one of them another name"
    for name in a b; do
        echo "return topology '$name' { spout 'in' { stdin {} }, sink 'out' { from = shuffle 'in', null {} } }" > $name.lua
    done
    engine run a.lua b.lua
    exits 2
    says "engine: a.lua and b.lua both read stdin; let one of them read a file"
    engine run first.lua a.lua --log-level wrok=debug
    exits 2
    says "--log-level wrok=…: none of the files has a component of that name; did you mean 'work'?"
    [ ! -e first.txt ] || fail "it ran"
}

e2e_the_faults_of_all_definitions_are_said_and_nothing_runs() {
    write_topology first n 10
    echo 'return topology "a" { sink "out" { null {} } }' > a.lua
    echo 'return 5' > b.lua
    engine run a.lua first.lua b.lua nowhere.lua
    exits 78
    says "a.lua:1: "
    says "b.lua:1: the file returns no topology"
    says "nowhere.lua: No such file or directory"
    [ ! -e first.txt ] || fail "it ran"
}

e2e_the_exit_code_of_several_is_the_worst() {
    write_topology first n 10
    write_topology second m 10
    sed -i 's/if n == 3 .*/error("no")/; s/fields = { "n" } }/fields = { "n" }, retries = 0 }/' second.lua
    engine run --quiet second.lua first.lua
    exits 1
    says "engine: second: 10 tuples failed for good"
    engine run --json first.lua second.lua
    exits 1
    lua5.4 "$HERE/json.lua" < err > why || fail "$(cat why)"
    equal "$(grep -cE '^\{"run":.*"topology":"first".*"exit":0,' err)" 1 "objects of the first"
    equal "$(grep -cE '^\{"run":.*"topology":"second".*"exit":1,' err)" 1 "objects of the second"
    says '"topology":"first","component":"work","task":0,"message":"the third"'
}

start_both() { # OPTIONS…
    write_topology first n 100000000
    write_topology second m 100000000
    "$ENGINE" run first.lua second.lua "$@" > out.started 2> err.started &
    pid=$!
    STARTED+=("$pid")
    until_so "both run" both_said "the third"
}
both_said() { run_said "first/work[0]  $1" && run_said "second/work[0]  $1"; }

e2e_each_of_several_is_asked_and_stopped_by_its_name() {
    start_both --log-level in=warn
    engine ps
    equal "$(grep -cE " (first|second) +running .* $pid\$" out)" 2 "runs of the process"
    engine stats second
    exits 0
    engine deactivate second
    exits 0
    engine ps
    grep -qE ' second +inactive ' out || fail "seen: $(seen out)"
    grep -qE ' first +running ' out || fail "seen: $(seen out)"
    engine stop first
    exits 0
    run_said "first: draining: asked at the door" || fail "seen: $(seen err.started)"
    engine ps
    equal "$(tail -n +2 out | wc -l)" 1 "runs that are left"
    engine stop first
    exits 2
    says "there is no run 'first'"
    kill -0 "$pid" || fail "the other has ended, too"
    engine stop second
    finishes
    equal "$code" 0 "exit code"
    equal "$(ls -A "$XDG_RUNTIME_DIR/engine")" "" "what is left of them"
}

# Both have a component "work".
e2e_a_level_is_of_one_topology_of_several() {
    write_topology first n 1000000
    write_topology second m 1000000
    sed -i 's/if n == 7 then log.debug("the seventh")/if n % 100 == 0 then log.debug("a hundred")/' first.lua second.lua
    "$ENGINE" run first.lua second.lua > out.started 2> err.started &
    pid=$!
    STARTED+=("$pid")
    until_so "both run" both_said "the third"
    engine log second work=debug
    exits 0
    until_so "it is logged" run_said "second/work[0]  a hundred"
    ! run_said "first/work[0]  a hundred" || fail "the other's level has changed"
    kill -TERM "$pid"
    finishes
}

e2e_a_signal_drains_all_of_several_and_the_second_ends_them() {
    start_both
    kill -INT "$pid"
    finishes
    equal "$code" 0 "exit code"
    run_said "draining; once more to end at once" || fail "seen: $(seen err.started)"
    equal "$(grep -cE '^(first|second):$' err.started)" 2 "tables"
    write_topology slow n 100000000
    sed -i 's/if n == 3 .*/if n == 3 then log.info("the third") end while n > 3 do end/' slow.lua
    "$ENGINE" run slow.lua first.lua > out.started 2> err.started &
    pid=$!
    STARTED+=("$pid")
    until_so "it hangs" run_said "slow/work[0]  the third"
    kill -INT "$pid"
    until_so "it drains" run_said "draining; once more"
    sleep 0.2 # not an echo of the first
    kill -INT "$pid"
    finishes
    equal "$code" 1 "exit code"
    equal "$(ls -A "$XDG_RUNTIME_DIR/engine")" "" "what is left of them"
}

e2e_each_of_several_is_watched() {
    start_both --watch
    sed -i 's/second-1/second-2/' second.lua
    until_so "the new code runs" run_said "second: reload: the new code runs"
    until_so "it is in the output" grep -qs second-2 second.txt
    sed -i 's/first-1/first-2/' first.lua
    until_so "the new code runs" run_said "first: reload: the new code runs"
    until_so "it is in the output" grep -qs first-2 first.txt
    kill -TERM "$pid"
    finishes
    equal "$code" 0 "exit code"
}

e2e_for_drains_each_of_several() {
    write_topology first n 100000000
    write_topology second m 10
    engine run --for 300ms first.lua second.lua
    exits 0
    says "first: draining: --for is over"
    never_says "second: draining"
}
