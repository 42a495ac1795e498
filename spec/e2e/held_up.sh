# held_up.sh - a call that can't be suspended, since a C function of the library
# waits for it, doesn't take its neighbours' thread away from them.

# hold_up CALL BUDGET: beside a chain that never ends, a bolt goes into CALL once.
hold_up() {
    cat > t.lua <<LUA
return topology "neighbours" {
  spout "one" { generator { count = 1 }, fields = { "n" }, retries = 0 },
  bolt "bad" {
    from = shuffle "one", budget = "$2",
    execute = function(self, n)
      local seen = false
      local function loop()
        if not seen then print("it begins") end
        seen = true
        while true do end
      end
      $1
    end,
  },
  spout "many" { generator { rate = 200 }, fields = { "n" } },
  bolt "good" { from = shuffle "many", fields = { "n" }, execute = function(self, n) self.emit(n) end },
  sink "out" { from = shuffle "good", stdout {} },
}
LUA
}

lines_are_more_than() { [ "$(wc -l < out)" -gt "$1" ]; }

# goes_on CALL: hundreds of tuples come while the call is at work.
goes_on() {
    hold_up "$1" 600s
    start run --threads 1 t.lua
    until_so "the call begins" said "it begins"
    until_so "tuples of the neighbours come" lines_are_more_than $(($(wc -l < out) + 300))
    never_says "over its budget"
    kill -KILL "$pid"
    wait "$pid" 2> killed
}

e2e_a_neighbour_goes_on_beside_a_comparator_that_loops() {
    goes_on 'table.sort({ 3, 1, 2 }, loop)'
}

e2e_a_neighbour_goes_on_beside_a_callback_of_gsub_that_loops() {
    goes_on '("x"):gsub(".", loop)'
}

e2e_a_neighbour_goes_on_beside_a_long_loop_of_the_library() {
    goes_on 'print("it begins") table.move({}, 1, 1 << 60, 2)'
}

# Each call ends at its budget, but there are enough of them for a minute.
e2e_a_neighbour_goes_on_beside_many_calls_that_end_at_their_budget() {
    hold_up 'table.move({}, 1, 1 << 60, 2)' 200ms
    sed -i 's/count = 1 /count = 300 /' t.lua
    start run --threads 1 t.lua
    until_so "a call has ended" said "over its budget"
    until_so "tuples of the neighbours come" lines_are_more_than $(($(wc -l < out) + 300))
    said "over its budget" 300 && fail "the calls had all ended before"
    kill -KILL "$pid"
    wait "$pid" 2> killed
}

# Both tasks hold up a thread at times, one of one and two of two.
e2e_a_run_ends_well_after_its_threads_were_held_up() {
    cat > t.lua <<'LUA'
return topology "sieges" {
  spout "in" { generator { count = 40 }, fields = { "n" }, retries = 0 },
  bolt "bad" {
    from = shuffle "in", tasks = 2, budget = "200ms", fields = { "n" },
    execute = function(self, n)
      if n % 10 == 0 then table.sort({ 3, 1, 2 }, function() while true do end end) end
      self.emit(n)
    end,
  },
  spout "more" { generator { count = 20000 }, fields = { "n" } },
  sink "out" { from = { shuffle "bad", shuffle "more" }, stdout {} },
}
LUA
    for threads in 1 2; do
        engine run --threads $threads t.lua
        fails_well 4
        says "over its budget"
        prints_sorted "$(seq 20000; seq 40 | grep -v '0$')"
    done
}
