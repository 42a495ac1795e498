# executors.sh - tasks of one executor take turns, and the door tells of them.

# two_tasks EXECUTORS: the bolt's first task goes into a loop that can't be suspended,
# beside a chain that never ends.
two_tasks() {
    cat > t.lua <<END
return topology "turns" {
  spout "many" { generator { rate = 500 }, fields = { "n" } },
  bolt "pair" {
    from = shuffle "many", tasks = 2, executors = $1, budget = "600s", fields = { "what", "n" },
    prepare = function(self, context) self.index, self.seen = context.index, 0 end,
    execute = function(self, n)
      self.seen = self.seen + 1
      if self.index == 0 and self.seen == 10 then
        print("it begins")
        table.sort({ 3, 1, 2 }, function() while true do end end)
      end
      self.emit("pair", n)
    end,
  },
  bolt "good" { from = shuffle "many", fields = { "what", "n" }, execute = function(self, n) self.emit("good", n) end },
  sink "out" { from = { shuffle "pair", shuffle "good" }, stdout {} },
}
END
    start run --threads 2 t.lua
    until_so "the call begins" said "it begins"
    lines_of good 100 # what had left before it began has come, too
}

# lines_of WHAT MORE: until so many lines more have come.
lines_of() {
    local before
    before=$(grep -c "^$1" out)
    so_many() { [ "$(grep -c "^$1" out)" -ge $((before + $2)) ]; }
    until_so "$2 lines of $1 come" so_many "$1" "$2"
}

e2e_a_call_that_is_held_up_keeps_its_executors_turn() {
    two_tasks 1
    local before
    before=$(grep -c '^pair' out)
    lines_of good 300
    equal "$(grep -c '^pair' out)" "$before" "tuples of the other task meanwhile"
    kill -KILL "$pid"
    wait "$pid" 2> killed
}

e2e_a_task_with_an_executor_of_its_own_goes_on_beside_it() {
    two_tasks 2
    lines_of pair 100
    kill -KILL "$pid"
    wait "$pid" 2> killed
}

e2e_a_task_that_sleeps_gives_up_its_executors_turn() {
    cat > t.lua <<'END'
return topology "sleepers" {
  spout "in" {
    tasks = 2, executors = 1, fields = { "index" },
    open = function(self, context) self.index = context.index end,
    next = function(self)
      self.emit(self.index)
      if self.index == 0 then sleep("1h") end
    end,
  },
  sink "out" { from = shuffle "in", stdout {} },
}
END
    start run t.lua
    until_so "it has emitted" grep -q '^0' out
    lines_of 1 300
    equal "$(grep -c '^0' out)" 1 "tuples of the task that sleeps"
    kill -KILL "$pid"
    wait "$pid" 2> killed
}

e2e_the_door_tells_of_tasks_and_executors() {
    cat > t.lua <<'END'
return topology "turns" {
  spout "in" { generator { rate = 10 }, fields = { "n" } },
  bolt "some" { from = shuffle "in", tasks = 5, executors = 3, execute = function() end },
}
END
    export XDG_RUNTIME_DIR=$PWD
    start run t.lua
    answers() { "$ENGINE" stats turns --json > stats 2> why; }
    until_so "its door answers" answers
    grep -qE '"name": ?"some".*"tasks": ?5, ?"executors": ?3' stats || fail "seen: $(tr -d '\n' < stats | cut -c1-600)"
    kill -TERM "$pid"
    finishes
    exits 0
}
