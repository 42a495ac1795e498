# control.sh - a run's door: who runs, how it goes, and what it can be told.

write_beat() { # NAME: goes on until it is told to end; "ready" is logged once
    cat > "$1.lua" <<LUA
return topology "$1" {
  spout "in" { generator { rate = 2000 }, fields = { "n" }, retries = 0 },
  bolt "work" {
    from = shuffle "in", fields = { "n" },
    execute = function(self, n)
      log.debug("worked on " .. n)
      if n == 10 then error("ten is bad") end
      if n == 100 then log.info("ready") end
      self.emit(n)
    end,
  },
  sink "out" { from = shuffle "work", null {} },
}
LUA
}


# Of the run that was started: its stderr is read anew.
run_said() { grep -qF -- "$1" err.started; }

# As start(), with an stderr of its own, that engine() doesn't write over.
start_apart() { # NAME OPTIONS…
    local name=$1
    shift
    write_beat "$name"
    "$ENGINE" run "$name.lua" "$@" > out.started 2> err.started &
    pid=$!
    STARTED+=("$pid")
    until_so "tuples flow" run_said "ready"
}

member() { # NAME < JSON: a number or a text of an object in one line
    grep -oE "\"$1\":(\"[^\"]*\"|[-0-9.e+]+)" | head -1 | cut -d: -f2- | tr -d '"'
}

is_json() { lua5.4 "$HERE/json.lua" < out > why || fail "$(cat why)"; }

id_of() { # TOPOLOGY
    "$ENGINE" ps --json | grep -F "\"topology\":\"$1\"" | member run
}

e2e_ps_lists_what_runs_and_stop_ends_it() {
    engine ps
    exits 0
    prints ""
    says "nothing runs"
    start_apart beat
    engine ps
    exits 0
    grep -qE '^[a-z2-9]{7}  beat +running ' out || fail "seen: $(seen out)"
    equal "$(wc -l < out)" 2 "lines"
    engine ps --json
    exits 0
    is_json
    equal "$(member topology < out)" beat "topology"
    equal "$(member pid < out)" "$pid" "pid"
    engine stop beat
    exits 0
    finishes
    equal "$code" 1 "exit code of a run in which a tuple failed"
    run_said "draining: asked at the door" || fail "seen: $(seen err.started)"
    engine ps
    prints ""
    equal "$(ls -A "$XDG_RUNTIME_DIR/engine")" "" "what is left of it"
}

e2e_a_run_that_hangs_is_named_where_a_name_is_not_found() {
    start_apart beat
    local id
    id=$(id_of beat)
    stop_still "$pid"
    engine stop beat
    exits 2
    says "no run that answers is 'beat'; run $id doesn't: it may hang, or be suspended"
    kill -CONT "$pid"
    engine stop beat
    exits 0
}

# The signal is delivered some time after kill has come back.
stands() { ! sed 's/.*) //' "/proc/$1/task"/*/stat | grep -qv '^T'; }

stop_still() {
    local id
    kill -STOP "$@"
    for id in "$@"; do until_so "$id stands" stands "$id"; done
}

e2e_a_run_that_dies_while_it_is_asked_is_not_listed() {
    start_apart beat
    stop_still "$pid"
    "$ENGINE" ps > out 2> err &
    local visitor=$!
    STARTED+=("$visitor")
    waits() { ls -l "/proc/$visitor/fd" 2>/dev/null | grep -q 'socket:'; }
    until_so "it asks" waits
    kill -KILL "$pid"
    wait "$visitor"
    equal $? 0 "exit code of ps"
    prints ""
    says "nothing runs"
}

e2e_stop_is_well_when_the_run_ends_before_it_is_told() {
    start_apart beat
    stop_still "$pid"
    (sleep 0.3; kill -CONT "$pid"; kill -TERM "$pid") &
    engine stop beat
    exits 0
}

e2e_runs_that_hang_are_waited_for_together() {
    local i began hung=()
    start_apart beat
    for i in one two three; do
        write_beat "$i"
        "$ENGINE" run "$i.lua" --quiet > /dev/null 2> "err.$i" &
        hung+=($!)
        STARTED+=($!)
        answers() { "$ENGINE" stats "$i" > /dev/null 2>&1; }
        until_so "it answers" answers
    done
    stop_still "${hung[@]}"
    began=$SECONDS
    engine stop beat
    exits 0
    [ $((SECONDS - began)) -lt 9 ] || fail "it took $((SECONDS - began)) s"
    engine ps
    equal "$(grep -c 'no answer' out)" 3 "runs without an answer"
}

e2e_an_ending_run_is_gone_before_its_report_is_read() {
    write_beat beat
    mkfifo report
    exec 9<> report
    "$ENGINE" run beat.lua --json --quiet --log-level off > /dev/null 2> report 9>&- &
    pid=$!
    STARTED+=("$pid")
    answers() { "$ENGINE" stats beat > /dev/null 2>&1; }
    until_so "it answers" answers
    head -c 65536 /dev/zero >&9 # nothing more can be written
    engine stop beat
    exits 0
    engine ps
    says "nothing runs"
    kill -0 "$pid" || fail "the run has not waited for who reads its report"
    kill -KILL "$pid"
}

e2e_the_run_s_id_is_told_at_the_start() {
    start_apart beat
    local id
    id=$(sed -n 's/^Run: *\([a-z2-9]*\);.*/\1/p' err.started)
    equal "$(id_of beat)" "$id" "id"
    engine stop "${id:0:3}"
    exits 0
    finishes
}

e2e_a_run_that_is_not_there_has_a_nearest_one() {
    engine stats beat
    exits 2
    says "there is no run 'beat'; you have none that goes on"
    start_apart beat
    engine stats bead
    exits 2
    says "there is no run 'bead'; did you mean 'beat'?"
    engine stats something-else-altogether
    exits 2
    says "there is no run 'something-else-altogether'; engine ps lists them"
    engine stop beat
}

e2e_two_of_a_name_are_told_apart_by_their_ids() {
    start_apart beat
    local first=$pid
    "$ENGINE" run beat.lua --quiet > out.second 2> err.second &
    STARTED+=("$!")
    local second=$!
    both_run() { [ "$("$ENGINE" ps --json | grep -c '"beat"')" -eq 2 ]; }
    until_so "both run" both_run
    engine stop beat
    exits 2
    says "'beat' is more than one run; give one of "
    local ids
    ids=$("$ENGINE" ps --json | member_all run)
    for id in $ids; do
        engine stop "$id"
        exits 0
    done
    pid=$first
    finishes
    pid=$second
    finishes
}

member_all() { grep -oE "\"$1\":\"[^\"]*\"" | cut -d: -f2 | tr -d '"'; }

e2e_statistics_are_those_of_the_run() {
    start_apart beat
    counted() { "$ENGINE" stats beat --json --over 10s > out 2> err && [ "$(member acked < out)" -ge 100 ]; }
    until_so "a hundred are counted" counted
    is_json
    engine stats beat
    exits 0
    grep -qE '^component +in +out +acked +failed +replayed +per second +latency p50 +p99$' out || fail "seen: $(seen out)"
    grep -qE '^in +0 +[0-9]+ +[0-9]+ +1 +0 ' out || fail "one has failed; seen: $(seen out)"
    grep -qE '^work +[0-9]+ +[0-9]+ ' out || fail "seen: $(seen out)"
    engine stats beat --json
    exits 0
    equal "$(grep -oE '"over":"[^"]*"' out | tr -d '\n')" '"over":"10s""over":"1m""over":"10m""over":"1h""over":"all"' "windows"
    engine stats beat --over 2m
    exits 2
    says "--over is '2m'; give 10s, 1m, 10m, 1h or all"
    engine stop beat
}

e2e_errors_tell_component_task_time_and_text() {
    start_apart beat
    failed_for_good() { "$ENGINE" errors beat > out 2> err && grep -q "failed for good" out; }
    until_so "it has failed for good" failed_for_good
    grep -qE '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}  work\[0\]  beat.lua:7: ten is bad$' out || fail "seen: $(seen out)"
    grep -qE '^[-0-9]+ [0-9:]+  in\[0\]  a tuple failed for good after 1 try: beat.lua:7: ten is bad$' out ||
        fail "seen: $(seen out)"
    engine errors beat --last 1 --json
    exits 0
    is_json
    equal "$(grep -o '"component"' out | wc -l)" 1 "errors"
    engine errors beat --last some
    exits 2
    says "--last is 'some'"
    engine stop beat
}

e2e_many_bad_lines_do_not_push_out_what_is_rare() {
    for n in $(seq 100); do echo '{"a":'; done > bad.jsonl
    cat > mixed.lua <<'LUA'
return topology "mixed" {
  spout "lines" { file { path = "bad.jsonl", format = "json", follow = true } },
  sink "none" { from = shuffle "lines", null {} },
  spout "in" { list { { 1 } }, fields = { "n" }, retries = 0 },
  sink "work" { from = shuffle "in", execute = function() error("IMPORTANT") end },
}
LUA
    "$ENGINE" run mixed.lua > out.started 2> err.started &
    pid=$!
    STARTED+=("$pid")
    all_read() { "$ENGINE" errors mixed 2> /dev/null | grep -qF "bad.jsonl:100: "; }
    until_so "all lines were read" all_read
    engine errors mixed
    exits 0
    grep -qF IMPORTANT out || fail "seen: $(seen out)"
    grep -qF "(100 times)" out || fail "seen: $(seen out)"
    engine stop mixed
}

e2e_a_component_s_level_is_changed_while_it_runs() {
    start_apart beat
    run_said "worked on" && fail "debug is on already"
    engine log beat work=debug
    exits 0
    until_so "it logs more" run_said "worked on"
    engine log beat work=error:10m in=warn
    exits 0
    engine ask beat '{"verb":"log"}'
    exits 0
    grep -qF '"component":"in","level":"warn"}' out || fail "seen: $(seen out)"
    grep -qF '"component":"work","level":"error","left":' out || fail "seen: $(seen out)"
    for wrong in work=warn:NaN work=CRITICAL work =warn work=debug:0; do
        engine log beat "$wrong"
        exits 2
    done
    engine log beat wrk=warn
    exits 2
    says "beat.lua has no component 'wrk'; did you mean 'work'?"
    engine log beat in=off wrk=warn
    exits 2
    engine ask beat '{"verb":"log"}'
    grep -qF '"component":"in","level":"warn"}' out || fail "the first was set: $(seen out)"
    engine log beat in=off work=trace:5m
    exits 0
    engine ask beat '{"verb":"log"}'
    grep -qF '"component":"in","level":"off"}' out || fail "seen: $(seen out)"
    grep -qF '"component":"work","level":"trace","left":' out || fail "seen: $(seen out)"
    engine log beat
    exits 2
    says "engine log ID COMPONENT=LEVEL[:TIME]"
    engine stop beat
}

e2e_a_level_for_a_while_falls_back() {
    start_apart beat
    engine log beat work=debug:1
    exits 0
    until_so "it logs more" run_said "worked on"
    fell_back() { "$ENGINE" ask beat '{"verb":"log"}' 2> err | grep -qF '"levels":[]'; }
    until_so "it has fallen back" fell_back
    engine stop beat
}

e2e_what_is_wrong_with_a_request_is_answered() {
    start_apart beat
    engine ask beat 'nonsense'
    exits 2
    is_json
    grep -qF '{"ok":false,"error":"it is no JSON' out || fail "seen: $(seen out)"
    engine ask beat '{"verb":"sttus"}'
    exits 2
    grep -qF "there is no request 'sttus'; did you mean 'status'?" out || fail "seen: $(seen out)"
    engine ask beat '{"verb":"status","what":1}'
    exits 2
    grep -qF "'what' is no argument of status" out || fail "seen: $(seen out)"
    engine ask beat '{"verb":"help"}'
    exits 0
    is_json
    engine ask beat "$(head -c 65537 /dev/zero | tr '\0' ' ')"
    exits 2
    grep -qF "the request is longer than 64 KB" out || fail "seen: $(seen out)"
    engine ask beat '{"verb":"status"}' # it still answers
    exits 0
    engine ask beat
    exits 2
    says "ask takes a run and a line of JSON"
    engine stop beat
}

start_stuck() {
    write_stuck
    "$ENGINE" run t.lua > out.started 2> err.started &
    pid=$!
    STARTED+=("$pid")
    until_so "the bolt loops" run_said "in the loop"
}

e2e_a_shorter_drain_overtakes_a_longer_one() {
    start_stuck
    engine ask stuck '{"verb":"drain","limit":"10h"}'
    exits 0
    engine ps --json
    equal "$(member state < out)" draining "state"
    engine deactivate stuck
    exits 1 # the command line is right
    says "the run is draining; it can't be deactivated"
    engine stop stuck --drain 10ms
    exits 0
    finishes
    equal "$code" 1 "exit code"
    run_said "still under way at the end of the drain" || fail "seen: $(seen err.started)"
}

e2e_stop_without_drain_ends_at_once() {
    start_stuck
    engine ask stuck '{"verb":"stop"}'
    exits 0
    finishes
    equal "$code" 1 "exit code"
    engine stop stuck --drain soon
    exits 2
    says "--drain is 'soon'; give a time like 10s or 500ms"
}

e2e_what_a_killed_run_left_is_removed() {
    start_apart beat
    kill -KILL "$pid"
    wait "$pid" 2> /dev/null
    equal "$(find "$XDG_RUNTIME_DIR/engine" -name door | wc -l)" 1 "sockets that were left"
    engine ps
    exits 0
    prints ""
    equal "$(ls -A "$XDG_RUNTIME_DIR/engine")" "" "what is left of it"
}

e2e_a_second_signal_leaves_nothing() {
    start_stuck
    kill -TERM "$pid"
    until_so "it drains" run_said "draining"
    kill -INT "$pid"
    finishes
    equal "$(ls -A "$XDG_RUNTIME_DIR/engine")" "" "what is left of it"
}

e2e_the_folder_is_nobody_else_s() {
    start_apart beat
    equal "$(stat -c %a "$XDG_RUNTIME_DIR/engine" "$XDG_RUNTIME_DIR"/engine/* | tr '\n' ' ')" "700 700 " "modes"
    engine stop beat
    finishes
    chmod 755 "$XDG_RUNTIME_DIR/engine" # others could look into it: the next base
    write_beat next
    "$ENGINE" run next.lua > out.started 2> err.started &
    STARTED+=("$!")
    runs_there() { find "$HOME/.local/state/engine/run" -name door 2>/dev/null | grep -q door; }
    until_so "its folder is in the next place" runs_there
    engine stop next
    exits 0
}

e2e_a_run_without_a_place_for_its_door_runs_all_the_same() {
    local base
    base=/tmp/engine-$(id -u)
    ln -s /nowhere-at-all "$base" 2> /dev/null || return 0 # somebody uses it
    write_beat lone
    XDG_RUNTIME_DIR=/dev/null HOME=/dev/null engine run lone.lua --for 1s
    rm "$base"
    exits 1
    says "this run has no door for engine ps, stats and stop: /dev/null/engine: Not a directory"
    says "$base: it isn't a folder of yours with mode 0700"
    says "Run:        without a door"
}

e2e_for_a_time_then_it_drains() {
    cat > t.lua <<'LUA'
return topology "endless" {
  spout "in" { generator { rate = 1000 }, fields = { "n" } },
  bolt "count" {
    from = shuffle "in", fields = { "n" },
    prepare = function(self) self.n = 0 end,
    execute = function(self, n) self.n = self.n + 1 end,
    finish = function(self) self.emit(self.n) end,
  },
  sink "out" { from = global "count", stdout {} },
}
LUA
    engine run t.lua --for 300ms
    exits 0
    says "draining: --for is over"
    equal "$(figure in acked)" "$(cat out)" "acked, and what finish counted"
    for wrong in 0 soon -1; do
        engine run t.lua "--for=$wrong"
        exits 2
        says "--for is '$wrong'"
    done
}

e2e_json_ends_with_one_object() {
    write_beat beat
    engine run beat.lua --json --for 300ms
    exits 1
    lua5.4 "$HERE/json.lua" "ended=drained" "topology=beat" "message=draining: --for is over" < err > why || fail "$(cat why)"
    tail -1 err | grep -qE '^\{"run":"[a-z2-9]{7}","topology":"beat","file":"beat.lua","ended":"drained","exit":1,"unsettled":0,"gave_up":1,"over":"all","seconds":' ||
        fail "seen: $(tail -1 err)"
    engine run beat.lua --json --for 300ms --quiet
    exits 1
    tail -1 err | grep -qE '^\{"run":' || fail "seen: $(tail -1 err)"
    for options in "--json --log-format text" "--log-format text --json"; do
        # shellcheck disable=SC2086 # a list of words
        engine run beat.lua $options --for 300ms
        exits 2
        says "--json needs --log-format json"
    done
    engine run beat.lua --json --log-format json --for 300ms --quiet
    exits 1
}

e2e_a_run_begins_with_five_aligned_lines() {
    write_beat beat
    engine run beat.lua --for 100ms --threads 3
    head -5 err > begin
    equal "$(grep -cE '^(File|Topology|Threads|Guarantee|Run): +' begin)" 5 "lines"
    equal "$(grep -cE '^[A-Z][a-z]+: +' begin | tr -d '\n')" 5 "aligned lines"
    grep -qE '^File:       beat.lua$' begin || fail "seen: $(cat begin)"
    grep -qE '^Topology:   beat \(3 components, 3 tasks, 2 edges\)$' begin || fail "seen: $(cat begin)"
    grep -qE '^Threads:    3$' begin || fail "seen: $(cat begin)"
    grep -qE '^Guarantee:  at-least-once; nothing survives a restart' begin || fail "seen: $(cat begin)"
    grep -qE '^Run:        [a-z2-9]{7}; Ctrl-C drains, twice ends at once$' begin || fail "seen: $(cat begin)"
}

e2e_bolts_and_sinks_have_a_latency_too() {
    write_beat beat
    engine run beat.lua --for 300ms
    for component in in work out; do
        grep -qE "^$component +.*[0-9] [mu]?s +[0-9.e+]+ [mu]?s$" err || fail "$component has no latency: $(seen err)"
    done
}

e2e_a_terminal_shows_one_live_line() {
    command -v script > /dev/null || return 0
    write_beat beat
    timeout -k 5 "$PATIENCE_S" script -qefc "$ENGINE run beat.lua --for 1500ms" /dev/null < /dev/null > tty 2>&1
    grep -qE $'\r\033\\[K[0-9.]+s  [0-9]+ tuples/s, acked [0-9]+, failed [0-9]+' tty || fail "no live line: $(seen tty)"
    TERM=dumb timeout -k 5 "$PATIENCE_S" script -qefc "$ENGINE run beat.lua --for 1500ms" /dev/null < /dev/null > tty 2>&1
    ! grep -q "tuples/s" tty || fail "a live line on a dumb terminal"
    engine run beat.lua --for 1500ms
    never_says "tuples/s"
}

e2e_spouts_emit_while_the_run_is_active() {
    write_beat beat
    sed -i '1s/{/{ initial = "inactive",/' beat.lua
    "$ENGINE" run beat.lua > out.started 2> err.started &
    pid=$!
    STARTED+=("$pid")
    state_is() { [ "$("$ENGINE" ps --json 2> err | member state)" = "$1" ]; }
    emitted() { "$ENGINE" stats beat --over all --json | member out; }
    until_so "it waits" state_is inactive
    grep -q "inactive until engine activate" err.started || fail "the start doesn't say it: $(seen err.started)"
    equal "$(emitted)" 0 "emitted before it was active"
    engine activate beat
    exits 0
    until_so "tuples flow" run_said "ready"
    equal "$("$ENGINE" ps --json | member state)" running "state"
    engine deactivate beat
    exits 0
    run_said "deactivated: asked at the door" || fail "seen: $(seen err.started)"
    until_so "it is inactive" state_is inactive
    stands() { local n; n=$(emitted) && sleep 0.3 && [ "$(emitted)" = "$n" ]; }
    until_so "nothing more is emitted" stands
    local before
    before=$(emitted)
    engine activate beat
    exits 0
    goes_on() { [ "$(emitted)" -gt "$before" ]; }
    until_so "it emits again" goes_on
    engine deactivate
    exits 2
    says "deactivate takes one run: engine deactivate ID"
    engine stop beat
    exits 0
}
