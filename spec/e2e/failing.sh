# failing.sh - tuples that fail: reason and traceback are said, the others go
# on, and what failed is counted. Exit code 1.

# bolt_with CODE [KEYS]: numbers 1 to 3 go through a bolt that does CODE with
# n == 2, then emits n. KEYS are more of the bolt's keys.
bolt_with() {
    cat > t.lua <<LUA
return topology "failing" {
  spout "in" { generator { count = 3 }, fields = { "n" }, retries = 0 },
  bolt "bad" {
    from = shuffle "in", fields = { "n" }, ${2:-}
    execute = function(self, n)
      if n == 2 then
        $1
      end
      self.emit(n)
    end,
  },
  sink "out" { from = fields("bad", "n"), stdout {} },
}
LUA
}

# one_fails REASON CODE [KEYS]: the second tuple does, the others don't.
one_fails() {
    bolt_with "$2" "${3:-}"
    engine run t.lua
    fails_well 1
    prints_sorted "$(printf '1\n3')"
    says "$1"
    says "a tuple failed for good after 1 try"
    equal "$(figure in acked)" 2 "acked tuples"
}

traced() {
    says "stack traceback:"
    says "t.lua:7: in function <t.lua:5>"
}

e2e_an_error_has_its_place_and_traceback() {
    one_fails "t.lua:7: two is bad" 'error("two is bad")'
    traced
    one_fails "t.lua:7: attempt to index a nil value (field 'x')" 'local y = self.x.y'
    traced
}

e2e_a_misspelt_name_is_said_with_the_right_one() {
    one_fails "t.lua:7: attempt to call a nil value (field 'emmit'); did you mean 'emit'?" "self.emmit(n)"
    one_fails "(field 'fomat'); did you mean 'format'?" "string.fomat('%d', n)"
    one_fails "(method 'uper'); did you mean 'upper'?" "local up = ('x'):uper()"
    one_fails "(global 'strng'); did you mean 'string'?" "strng.rep('x', n)"
    one_fails "(global 'lines'); nothing is called that here" "lines(n)"
}

e2e_an_error_table_fails_its_tuple() {
    one_fails "a tuple failed for good" 'error({ code = 2 })'
    traced
}

e2e_an_error_table_that_has_a_text_shows_it() {
    one_fails "code 2" 'error(setmetatable({}, { __tostring = function() return "code 2" end }))'
    one_fails "a tuple failed for good" 'error(setmetatable({}, { __tostring = function() error "worse" end }))'
}

e2e_a_thrown_nil_fails_its_tuple() {
    one_fails "a tuple failed for good" 'error(nil)'
    traced
}

e2e_a_loop_without_end_is_over_its_budget() {
    one_fails "t.lua:7: the call was over its budget of 0.1 s" 'local i = 0 while true do i = i + 1 end' 'budget = "100ms",'
    traced
}

e2e_a_pattern_that_takes_for_ever_is_over_its_steps() {
    one_fails "pattern takes more than 1000000 steps" \
        'string.match(("a"):rep(30), ("a?"):rep(30) .. ("a"):rep(30))'
    traced
}

e2e_eating_memory_fails_the_tuple_and_says_the_limit() {
    one_fails "not enough memory" 'local s = "x" while true do s = s .. s end' 'memory = "8MB",'
    says "8 MB"
    one_fails "not enough memory" 'local t = {} for i = 1, 1e9 do t[i] = { i } end' 'memory = "8MB",'
}

e2e_what_was_hoarded_in_self_fails_only_what_wants_more() {
    cat > t.lua <<'LUA'
return topology "hoard" {
  spout "in" { generator { count = 100 }, fields = { "n" }, retries = 0 },
  bolt "hoard" {
    from = shuffle "in", fields = { "n" }, memory = "8MB",
    prepare = function(self) self.all = {} end,
    execute = function(self, n)
      if n % 10 == 0 then self.all[n] = ("x"):rep(3000000) .. n end
      self.emit(n)
    end,
  },
  sink "out" { from = shuffle "hoard", stdout {} },
}
LUA
    engine run t.lua
    exits 1
    says "not enough memory"
    seq 100 | grep -v '0$' > expected
    grep -v '0$' out | sort -n > others
    same others expected
    equal "$(($(figure in acked) + $(grep -oE 'engine: [0-9]+ tuples? failed' err | tr -dc 0-9)))" 100 "acked and failed"
}

e2e_values_that_cannot_travel_are_told() {
    one_fails "t.lua:7: a function can't travel in a tuple; emit what it stands for" 'self.emit(print)'
    traced
    one_fails "t.lua:7: a thread can't travel in a tuple" 'self.emit(coroutine.create(print))'
    one_fails "t.lua:7: a function can't travel in a tuple" 'self.emit({ a = { b = print } })'
}

e2e_a_cycle_and_65_levels_are_too_deep() {
    one_fails "a value is nested deeper than 64 tables, or contains itself" 'local t = {} t.t = t self.emit(t)'
    one_fails "a value is nested deeper than 64 tables, or contains itself" \
        'local t = {} for i = 1, 64 do t = { t } end self.emit(t)'
}

e2e_64_levels_travel() {
    bolt_with 'local t = {} for i = 2, 64 do t = { t } end self.emit(t)'
    engine run --quiet t.lua
    exits 0
    equal "$(wc -l < out)" 4 "lines"
}

e2e_a_string_of_100_mb_is_too_big() {
    one_fails "t.lua:7: a value is larger than 16 MB; emit it in parts" 'self.emit(("x"):rep(100000000))' 'memory = "256MB",'
    one_fails "larger than 16 MB" 'self.emit({ ("x"):rep(17000000) })' 'memory = "256MB",'
}

e2e_one_call_may_hold_64_mb() {
    one_fails "one call may emit 64 MB at most; emit less, or in several" \
        'local s = ("x"):rep(1000000) for i = 1, 100 do self.emit(s .. i) end' 'memory = "256MB",'
}

e2e_a_wrong_number_of_values_is_not_padded_or_cut() {
    one_fails "stream 'default' has 1 field, emit got 0 values" 'self.emit()'
    one_fails "stream 'default' has 1 field, emit got 2 values" 'self.emit(("aa"):gsub("a", "b"))'
    says "emit((s:gsub(…)))"
    traced
}

e2e_values_for_a_stream_without_fields_are_told() {
    cat > t.lua <<'LUA'
return topology "failing" {
  spout "in" { list { { 1 } }, fields = { "n" }, retries = 0 },
  bolt "bad" { from = shuffle "in", execute = function(self, n) self.emit(n) end },
}
LUA
    engine run t.lua
    fails_well 1
    says "t.lua:3: stream 'default' has no fields, emit got 1 value; name them: fields = { \"…\" }"
}

e2e_emit_with_a_colon_is_told() {
    one_fails "t.lua:7: emit got self; write self.emit(…) with a dot" 'self:emit(1)'
    one_fails "t.lua:7: emit got self; write self.emit(…) with a dot" 'self:emit()'
}

e2e_nil_and_nan_are_no_keys() {
    one_fails "t.lua:7: field 'n' is nil, but tuples are grouped by it" 'self.emit(nil)'
    one_fails "t.lua:7: field 'n' is NaN" 'self.emit(0/0)'
}

e2e_what_a_failing_tuple_had_emitted_is_taken_back() {
    one_fails "two is bad" 'self.emit(21) self.emit(22) error "two is bad"'
}

e2e_sleep_in_a_bolt_is_an_error() {
    one_fails "t.lua:7: sleep in a bolt would hold up its tuples" 'sleep(1)'
}

e2e_the_names_of_the_engine_in_self_are_read_only() {
    one_fails "t.lua:7: self.tuple is the engine's; use another name" 'self.tuple = 1'
}

e2e_an_unknown_stream_is_told() {
    one_fails "t.lua:7: there is no stream 'errors'" 'self.emit_to("errors", 1)'
}

e2e_many_failures_are_all_counted() {
    cat > t.lua <<'LUA'
return topology "many" {
  spout "in" { generator { count = 3000 }, fields = { "n" }, retries = 0 },
  bolt "bad" {
    from = shuffle "in", fields = { "n" }, tasks = 2,
    execute = function(self, n)
      if n % 3 == 0 then error("every third is bad") end
      self.emit(n)
    end,
  },
  sink "out" { from = shuffle "bad", stdout {} },
}
LUA
    engine run t.lua
    fails_well 1000
    says "every third is bad"
    [ "$(grep -c 'every third is bad' err)" -lt 100 ] || fail "repeated lines are not gathered"
    says "more like this"
    seq 3000 | grep -vxFf <(seq 3 3 3000) > expected
    sort -n out > sorted
    same sorted expected
}

# ---- retries ----

# tries NEEDED RETRIES: each tuple fails until its NEEDED-th try.
tries() {
    cat > t.lua <<LUA
return topology "retries" {
  spout "in" { $3, retries = $2 },
  bolt "moody" {
    from = shuffle "in", fields = { "n" },
    prepare = function(self) self.tries = {} end,
    execute = function(self, n)
      self.tries[n] = (self.tries[n] or 0) + 1
      if self.tries[n] < $1 then error("not yet") end
      self.emit(n)
    end,
  },
  sink "out" { from = shuffle "moody", stdout {} },
}
LUA
}

e2e_a_list_replays_what_failed_until_it_succeeds() {
    tries 3 2 'list { { 1 }, { 2 }, { 3 } }, fields = { "n" }'
    engine run t.lua
    exits 0
    prints_sorted "$(seq 3)"
    says "not yet"
    equal "$(figure in replayed)" 6 "replayed"
    equal "$(figure in acked)" 3 "acked"
}

e2e_a_generator_a_file_and_stdin_replay_too() {
    seq 3 > numbers
    for source in 'generator { count = 3 }, fields = { "n" }' 'file { path = "numbers" }' 'stdin {}'; do
        tries 3 2 "$source"
        timeout -k 5 "$PATIENCE_S" "$ENGINE" run t.lua < numbers > out 2> err
        code=$?
        exits 0
        prints_sorted "$(seq 3)"
        equal "$(figure in replayed)" 6 "replayed"
    done
}

e2e_after_its_retries_a_tuple_has_failed_for_good() {
    tries 4 2 'list { { 1 }, { 2 } }, fields = { "n" }'
    engine run t.lua
    fails_well 2
    prints ""
    says "a tuple failed for good after 3 tries: t.lua:8: not yet" 2
}

e2e_forever_is_as_often_as_it_takes() {
    tries 4 '"forever"' 'list { { 1 } }, fields = { "n" }'
    engine run t.lua
    exits 0
    prints 1
}

e2e_a_lua_spout_hears_of_its_failures_with_the_reason() {
    cat > t.lua <<'LUA'
return topology "mine" {
  spout "in" {
    fields = { "n" },
    open = function(self) self.left = { 1, 2, 3 } self.settled = 0 end,
    next = function(self)
      local n = table.remove(self.left)
      if n then self.emit_id("id" .. n, n) return end
      if self.settled == 3 then return false end
    end,
    ack = function(self, id) self.settled = self.settled + 1 end,
    fail = function(self, id, reason)
      log.info("heard of " .. id .. ": " .. reason:match("[^\n]*"))
      self.left[#self.left + 1] = 4
    end,
  },
  bolt "bad" {
    from = shuffle "in", fields = { "n" },
    execute = function(self, n)
      if n == 2 then error("two is bad") end
      self.emit(n)
    end,
  },
  sink "out" { from = shuffle "bad", stdout {} },
}
LUA
    engine run t.lua
    prints_sorted "$(printf '1\n3\n4')"
    says "heard of id2: t.lua:19: two is bad"
}

e2e_at_most_once_drops_what_fails_and_says_so() {
    bolt_with 'error("two is bad")'
    sed -i 's/return topology "failing" {/&\n  guarantee = "at-most-once",/' t.lua
    engine run t.lua
    prints_sorted "$(printf '1\n3')"
    says "two is bad"
    says "at-most-once"
}

# ---- crashes ----

# crashing KIND FUNCTION: that function raises each time.
crashing() {
    cat > t.lua <<LUA
return topology "crash" {
  spout "in" { list { { 1 }, { 2 } }, fields = { "n" } },
  bolt "bad" {
    from = shuffle "in", fields = { "n" }, $1 = function(self) error("never $1") end,
    execute = function(self, n) self.emit(n) end,
  },
  sink "out" { from = shuffle "bad", stdout {} },
}
LUA
    engine run t.lua
    exits 1
    says "t.lua:4: never $1"
    says "engine: a component kept crashing; the run has ended"
}

e2e_a_component_that_cannot_be_prepared_ends_the_run() {
    crashing prepare
}

e2e_a_finish_that_raises_ends_the_run() {
    crashing finish
}

e2e_a_crashed_run_counts_what_it_leaves() {
    crashing prepare
    says "engine: 2 tuples were still under way at the end"
}

e2e_a_spout_that_raises_is_started_again_and_then_ends_the_run() {
    cat > t.lua <<'LUA'
return topology "crash" {
  spout "in" { fields = { "n" }, next = function(self) error("never next") end },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    engine run t.lua
    exits 1
    says "t.lua:2: never next" 2
    says "engine: a component kept crashing; the run has ended"
}

e2e_a_make_that_returns_too_much_is_told() {
    cat > t.lua <<'LUA'
return topology "make" {
  spout "in" { generator { count = 3, make = function(i) return i, i end }, fields = { "n" } },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    engine run t.lua
    exits 1
    says "make(1) returned 2 values, but there are 1 fields"
}
