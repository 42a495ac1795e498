# data.sh - --data: what was counted is there after a stop, a kill and a crash.

# write_counter NAME: 3,000 numbers in a second, counted by their last digit.
write_counter() {
    cat > t.lua <<LUA
return topology "$1" {
  spout "in" { generator { rate = 3000, count = 3000 }, fields = { "n" } },
  bolt "count" {
    from = shuffle "in", fields = { "digit", "count" }, state = "durable",
    execute = function(self, n)
      if self.state:add("all") == 300 then log.info("some are counted") end
      self.state:add(n % 10, 1)
    end,
    finish = function(self)
      for digit, count in self.state:each() do self.emit(digit, count) end
    end,
  },
  sink "out" { from = global "count", stdout {} },
}
LUA
}

all_counted() { awk '$1 != "all" { sum += $2 } END { print sum + 0 }' out; }

e2e_a_stopped_run_goes_on_where_it_was() {
    write_counter count
    start run --data d t.lua
    until_so "some are counted" said "some are counted"
    kill -TERM "$pid"
    finishes
    exits 0
    prints ""
    says "Guarantee:  at-least-once; survives a restart"
    engine run --data d t.lua
    exits 0
    says "; goes on from checkpoint "
    equal "$(all_counted)" 3000 "numbers counted"
    [ "$(figure in out)" -lt 3000 ] || fail "it began anew"
}

e2e_the_log_in_json_names_a_checkpoint_only_where_there_is_one() {
    write_counter count
    start run --log-format json --data d t.lua
    until_so "some are counted" said "some are counted"
    kill -TERM "$pid"
    finishes
    exits 0
    grep -q 'from checkpoint' err && fail "seen: $(seen err)"
    engine run --log-format json --data d t.lua
    exits 0
    says ", from checkpoint "
}

e2e_what_was_counted_outlives_a_kill() {
    write_counter count
    for _ in 1 2; do
        start run --data d t.lua
        until_so "some are counted" said "some are counted"
        kill -KILL "$pid"
        wait "$pid" 2> killed
        rm err
        sed -i 's/== 300/== 1500/' t.lua
    done
    engine run --data d t.lua
    exits 0
    local all
    all=$(all_counted)
    # At least once: what was under way at a checkpoint may be counted again.
    if [ "$all" -lt 3000 ] || [ "$all" -gt 3100 ]; then fail "$all numbers were counted"; fi
}

e2e_a_run_that_has_ended_is_not_run_again() {
    write_counter count
    sed -i 's/rate = 3000, //' t.lua
    engine run --data d t.lua
    exits 0
    equal "$(all_counted)" 3000 "numbers counted"
    engine run --data d t.lua
    exits 0
    prints ""
    says "count has ended: checkpoint "
    engine run --data d --fresh t.lua
    exits 0
    equal "$(all_counted)" 3000 "numbers counted anew"
}

e2e_a_file_goes_on_behind_what_was_read() {
    seq 200000 > in.txt
    cat > t.lua <<'LUA'
return topology "lines" {
  max_pending = 500,
  spout "in" { file { path = "in.txt" } },
  bolt "slow" {
    from = shuffle "in", fields = { "line" }, state = "durable",
    execute = function(self, line)
      self.state:add("all")
      if line == "60000" then log.info("on the way") end
      self.emit(line)
    end,
  },
  sink "out" { from = global "slow", stdout {} },
}
LUA
    start run --data d t.lua
    until_so "it is on its way" said "on the way"
    kill -TERM "$pid"
    finishes
    exits 0
    cp out first
    engine run --data d t.lua
    exits 0
    cat first out | sort -n | uniq > both
    same both in.txt
    equal "$(cat first out | wc -l)" 200000 "lines of both runs"
}

e2e_a_folder_belongs_to_one_process() {
    write_counter count
    start run --data d t.lua
    until_so "some are counted" said "some are counted"
    "$ENGINE" run --data d t.lua > out2 2> err2
    equal $? 1 "exit code of the second"
    grep -q "engine: --data d: process $pid has it; stop that one, or name another folder" err2 ||
        fail "seen: $(cat err2)"
    kill -KILL "$pid"
    wait "$pid" 2> killed
}

e2e_a_folder_that_does_not_fit_is_refused() {
    write_counter count
    sed -i 's/rate = 3000, count = 3000/count = 10/' t.lua
    engine run --data no/where t.lua
    exits 1
    says "engine: --data no/where: the folder can't be made: No such file or directory"
    mkdir junk
    head -c 20000 /dev/zero > junk/store.mdb
    engine run --data junk t.lua
    exits 1
    says "engine: --data junk: store.mdb"
    engine run --data d t.lua
    exits 0
    sed -i 's/state = "durable",/state = "durable", tasks = 2,/' t.lua
    engine run --data d t.lua
    exits 78
    says "engine: --data d: component 'count' keeps the state of 1 tasks there and has 2 now; give it tasks = 1, or begin anew with --fresh"
    engine run --fresh t.lua
    exits 2
    says "--fresh is about the folder of --data; give that, too"
}

e2e_without_a_folder_state_is_kept_in_memory() {
    write_counter count
    sed -i 's/rate = 3000, //' t.lua
    engine run t.lua
    exits 0
    says "Guarantee:  at-least-once; state is in memory only and does not survive a restart; --data FOLDER keeps it"
    equal "$(all_counted)" 3000 "numbers counted"
}

e2e_a_task_that_crashes_goes_back_to_the_checkpoint() {
    cat > t.lua <<'LUA'
return topology "crash" {
  spout "in" { generator { rate = 2000, count = 4000 }, fields = { "n" } },
  bolt "count" {
    from = shuffle "in", fields = { "count" }, state = "durable", every = "600ms",
    tick = function(self)
      self.state.ticks = "seen"
      if not self.seen_before then self.seen_before = true else error("on purpose") end
    end,
    execute = function(self) self.state:add("all") end,
    finish = function(self) self.emit(self.state.all) end,
  },
  sink "out" { from = global "count", stdout {} },
}
LUA
    engine run t.lua
    exits 0
    says "on purpose"
    local all
    all=$(cat out)
    if [ "$all" -lt 4000 ] || [ "$all" -gt 4100 ]; then fail "$all were counted"; fi
}

e2e_state_is_tested_as_any_bolt() {
    write_counter count
    cat > t_spec.lua <<'LUA'
local run = load_topology "t.lua"
test "counts digits" (function()
  local out = run { ["in"] = { {1}, {11}, {2} } }
  expect(out.count):is_bag { {1, 2}, {2, 1}, {"all", 3} }
end)
LUA
    engine test t_spec.lua
    exits 0
}

# what_is_said: of a file that became shorter while nothing ran.
what_is_said() {
    seq 1000 > in.txt
    start run --data d t.lua
    until_so "the last is there" grep -qx 1000 out.txt
    kill -TERM "$pid"
    finishes
    exits 0
    seq 500 > in.txt
    start run --data d t.lua
    until_so "it is said" said "in.txt is another file than when the checkpoint was taken, or was cut; it is read from its beginning"
    kill -TERM "$pid"
    finishes
}

e2e_a_followed_file_that_was_cut_meanwhile_is_said() {
    cat > t.lua <<'LUA'
return topology "cut" {
  spout "in" { file { path = "in.txt", follow = true } },
  sink "out" { from = shuffle "in", file { path = "out.txt" } },
}
LUA
    what_is_said
}

e2e_what_was_not_written_for_so_long_is_gone() {
    cat > t.lua <<'LUA'
return topology "gone" {
  spout "in" { generator { rate = 1000, count = 1000 }, fields = { "n" } },
  bolt "keep" { from = shuffle "in", fields = { "n" }, state = "durable", ttl = "100ms",
    execute = function(self, n) self.state[n] = n end,
    finish = function(self)
      local count = 0
      for k in pairs(self.state) do count = count + 1 end
      self.emit(count)
    end },
  sink "out" { from = shuffle "keep", stdout {} },
}
LUA
    engine run --data d t.lua
    exits 0
    [ "$(seen out)" -lt 1000 ] || fail "all are there: $(seen out)"
    engine store check d
    exits 0
    grep -q "sound" out || fail "seen: $(seen out)"
    engine store get d gone keep
    exits 0
    grep -qF '{"task":0,"key":1000,"value":1000}' out || fail "the newest is not there"
}

# fill_pipe FROM TO: the lines between, and nothing more for a while.
fill_pipe() { (seq "$1" "$2"; exec sleep 30) > pipe & }

e2e_what_comes_by_a_pipe_is_new_each_time() {
    mkfifo pipe
    cat > t.lua <<'LUA'
return topology "t" {
  spout "in" { file { path = "pipe" } },
  bolt "tell" {
    from = shuffle "in", fields = { "n" },
    execute = function(self, n)
      if n == "100" or n == "150" then log.info("there is " .. n) end
      self.emit(n)
    end,
  },
  sink "out" { from = shuffle "tell", file { path = "out.txt", append = true } },
}
LUA
    local filler
    for part in "1 100" "101 150"; do
        # shellcheck disable=SC2086 # two words
        fill_pipe $part
        filler=$!
        start run --data d t.lua
        until_so "the last one is there" said "there is ${part#* }"
        kill -TERM "$pid"
        finishes
        exits 0
        kill "$filler" 2> killed
    done
    seq 150 | cmp - out.txt || fail "not what was written: $(wc -l < out.txt) lines"
}

e2e_lines_of_stdin_are_counted_whatever_crashes() {
    cat > t.lua <<'LUA'
return topology "t" {
  spout "in" { stdin {} },
  bolt "count" {
    from = shuffle "in", fields = { "line", "count" }, state = "durable", every = "150ms",
    prepare = function(self)
      self.goes_on, self.began = self.state[1] ~= nil, now()
    end,
    execute = function(self, line) self.state:add(tonumber(line), 1) end,
    tick = function(self)
      if not self.goes_on and now() - self.began > 1.5 then error "it crashes" end
    end,
    finish = function(self)
      for line, count in self.state:each() do self.emit(line, count) end
    end,
  },
  sink "out" { from = global "count", stdout {} },
}
LUA
    for i in $(seq 300); do echo "$i"; [ $((i % 10)) -ne 0 ] || sleep 0.1; done |
        timeout "$PATIENCE_S" "$ENGINE" run t.lua > out 2> err
    grep -q "it crashes" err || fail "nothing crashed"
    equal "$(wc -l < out)" 300 "lines counted"
}
