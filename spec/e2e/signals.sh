# signals.sh - how a run is told to end: SIGINT and SIGTERM drain, the second
# one ends at once.

write_endless() { # numbers are counted; finish tells how many
    cat > t.lua <<'LUA'
return topology "endless" {
  spout "in" { generator { rate = 5000 }, fields = { "n" } },
  bolt "count" {
    from = shuffle "in", fields = { "n" },
    prepare = function(self) self.n = 0 end,
    execute = function(self, n)
      self.n = self.n + 1
      if n == 100 then log.info("a hundred came") end
    end,
    finish = function(self) self.emit(self.n) end,
  },
  sink "out" { from = global "count", stdout {} },
}
LUA
}

drains_after() { # SIGNAL
    write_endless
    start run t.lua
    until_so "tuples flow" said "a hundred came"
    kill "-$1" "$pid"
    finishes
    exits 0
    says "draining; once more to end at once"
    local n
    n=$(cat out)
    [ "$n" -ge 100 ] || fail "finish told '$n'"
    equal "$(figure in out)" "$n" "what the source gave and finish counted"
    equal "$(figure in acked)" "$n" "acked"
}

e2e_sigterm_drains_and_finish_runs() {
    drains_after TERM
}

e2e_sigint_drains_and_finish_runs() {
    drains_after INT
}

e2e_a_stdin_that_stays_open_does_not_hold_the_drain_up() {
    cat > t.lua <<'LUA'
return topology "open" {
  spout "in" { stdin {} },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    mkfifo pipe
    "$ENGINE" run t.lua < pipe > out 2> err &
    pid=$!
    STARTED+=("$pid")
    exec 7> pipe
    echo hello >&7
    until_so "the first line is through" grep -q hello out
    kill -TERM "$pid"
    finishes
    exec 7>&-
    exits 0
    prints hello
    says "draining"
}

write_stuck() { # the second of three tuples never ends
    cat > t.lua <<'LUA'
return topology "stuck" {
  spout "in" { list { { 1 }, { 2 }, { 3 } }, fields = { "n" } },
  bolt "loop" {
    from = shuffle "in", fields = { "n" }, budget = "10h",
    execute = function(self, n)
      if n == 2 then log.info("in the loop") while true do end end
      self.emit(n)
    end,
  },
  sink "out" { from = shuffle "loop", stdout {} },
}
LUA
}

e2e_what_never_ends_is_counted_at_the_end_of_the_drain() {
    write_stuck
    start run t.lua --drain 200ms
    until_so "the bolt loops" said "in the loop"
    kill -TERM "$pid"
    finishes
    exits 1
    local left
    left=$(grep -oE 'engine: [0-9]+ tuples? w(as|ere) still under way at the end of the drain' err | tr -dc 0-9)
    equal "$((left + $(figure in acked)))" 3 "tuples left and acked"
    [ "$left" -ge 1 ] || fail "none is left"
}

e2e_the_environment_has_the_default_of_drain() {
    write_stuck
    export ENGINE_DRAIN=200ms
    start run t.lua
    until_so "the bolt loops" said "in the loop"
    kill -TERM "$pid"
    finishes
    exits 1
    says "still under way at the end of the drain"
    ENGINE_DRAIN=soon engine run t.lua
    exits 2
    says "ENGINE_DRAIN is 'soon'; give a time like 10s or 500ms"
    ENGINE_DRAIN=soon engine run --help # which is where to look then
    exits 0
}

e2e_a_closed_stdout_drains_as_long_as_drain_says() {
    cat > t.lua <<'LUA'
return topology "t" {
  spout "in" { generator { rate = 1000 }, fields = { "n" } },
  bolt "loop" {
    from = shuffle "in", fields = { "n" }, budget = "10h",
    execute = function(self, n) if n == 2 then while true do end end end,
  },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    local began=$SECONDS
    "$ENGINE" run t.lua --drain 100ms 2> err | head -1 > out
    [ $((SECONDS - began)) -lt 9 ] || fail "it took $((SECONDS - began)) s"
    says "still under way at the end of the drain"
}

e2e_a_second_signal_ends_at_once() {
    write_stuck
    start run t.lua --drain 10h
    until_so "the bolt loops" said "in the loop"
    kill -TERM "$pid"
    until_so "it drains" said "draining"
    kill -INT "$pid"
    finishes
    exits 1
}

e2e_a_sleeping_spout_does_not_hold_the_drain_up() {
    cat > t.lua <<'LUA'
return topology "sleepy" {
  spout "in" {
    fields = { "n" },
    next = function(self) log.info("asleep") sleep "10h" self.emit(1) end,
  },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    start run t.lua --drain 500ms
    until_so "the spout sleeps" said "asleep"
    kill -TERM "$pid"
    finishes
    exits 0
    says "draining"
}

e2e_an_idle_spout_ends_with_the_drain() {
    cat > t.lua <<'LUA'
return topology "idle" {
  spout "in" { fields = { "n" }, next = function(self) if not self.told then self.told = true log.info("idle") end end },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    start run t.lua
    until_so "the spout idles" said "idle"
    kill -TERM "$pid"
    finishes
    exits 0
    prints ""
}

e2e_failed_tuples_may_end_while_it_drains() {
    cat > t.lua <<'LUA'
return topology "late" {
  spout "in" { list { { 1 }, { 2 }, { 3 } }, fields = { "n" }, retries = "forever" },
  bolt "moody" {
    from = shuffle "in", fields = { "n" },
    prepare = function(self) self.tries = 0 end,
    execute = function(self, n)
      if n == 2 then
        self.tries = self.tries + 1
        if self.tries < 4 then error("not yet") end
      end
      self.emit(n)
    end,
  },
  sink "out" { from = shuffle "moody", stdout {} },
}
LUA
    start run t.lua
    until_so "the tuple has failed once" said "not yet"
    kill -TERM "$pid"
    finishes
    exits 0
    prints_sorted "$(seq 3)"
}

e2e_quiet_drains_without_a_word() {
    write_endless
    start run --quiet t.lua
    until_so "tuples flow" said "a hundred came"
    kill -TERM "$pid"
    finishes
    exits 0
    never_says "draining"
    [ "$(cat out)" -ge 100 ] || fail "finish told '$(cat out)'"
}

e2e_an_ended_run_with_ticks_and_idle_components_ends_by_itself() {
    cat > t.lua <<'LUA'
return topology "ticks" {
  spout "in" { generator { count = 50, rate = 500 }, fields = { "n" } },
  bolt "beat" {
    from = shuffle "in", fields = { "n" }, every = "10ms",
    prepare = function(self) self.ticks = 0 end,
    execute = function(self, n) end,
    tick = function(self) self.ticks = self.ticks + 1 end,
    finish = function(self) self.emit(self.ticks) end,
  },
  sink "out" { from = shuffle "beat", stdout {} },
}
LUA
    engine run --quiet t.lua
    exits 0
    [ "$(cat out)" -ge 1 ] || fail "seen '$(cat out)' ticks"
}
