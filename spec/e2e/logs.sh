# logs.sh - what is said on stderr, and how.

write_noisy() {
    cat > t.lua <<'LUA'
return topology "noisy" {
  spout "in" { list { { 1 }, { 2 }, { 3 } }, fields = { "n" }, retries = 1 },
  bolt "bad" {
    from = shuffle "in", fields = { "n" },
    execute = function(self, n)
      log.debug("debugged " .. n)
      print("printed", n, true)
      log.warn('quotes " and \\ and \1 and \xff')
      if n == 2 then error("two is bad\nin two lines") end
      self.emit(n)
    end,
  },
  sink "out" { from = shuffle "bad", null {} },
}
LUA
}

e2e_a_line_of_the_log_has_time_level_component_and_task() {
    write_noisy
    engine run t.lua
    fails_well 1
    grep -qE '^[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} warn  bad\[0\]  t.lua:9: two is bad' err || fail "seen: $(seen err)"
    grep -qE '^[0-9:.]{12} info  bad\[0\]  printed.+1.+true$' err || fail "print is not in the log: $(seen err)"
}

e2e_each_line_of_a_json_log_is_an_object() {
    write_noisy
    engine run t.lua --log-format json --log-level debug
    exits 1
    lua5.4 "$HERE/json.lua" "message=debugged 1" "component=bad" "level=warn" \
        "message=engine: 1 tuple failed for good" < err > why || fail "$(cat why)"
}

e2e_errors_of_a_definition_are_json_too() {
    echo 'return topology "none" { garantee = 1 }' > t.lua
    engine run t.lua --log-format json
    exits 78
    lua5.4 "$HERE/json.lua" "level=error" "message=t.lua:1: 'garantee' is no option of a topology; did you mean 'guarantee'?" \
        < err > why || fail "$(cat why)"
}

e2e_draining_and_reloads_are_json_too() {
    cat > t.lua <<'LUA'
return topology "watched" {
  spout "in" { generator { rate = 1000 }, fields = { "n" } },
  sink "out" { from = shuffle "in", file { path = "lines" } },
}
LUA
    start run --watch --log-format json t.lua
    until_so "tuples flow" test -s lines
    echo '-- saved' >> t.lua
    until_so "the new code runs" said "reload: the new code runs"
    echo 'return {' >> t.lua
    until_so "it is refused" said "reload refused: t.lua:"
    kill -TERM "$pid"
    finishes
    exits 0
    lua5.4 "$HERE/json.lua" "message=reload: the new code runs" "message=draining; once more to end at once" \
        < err > why || fail "$(cat why)"
}

e2e_draining_is_said_when_the_log_is_off() {
    cat > t.lua <<'LUA'
return topology "silent" {
  spout "in" { generator { rate = 1000 }, fields = { "n" } },
  sink "out" { from = shuffle "in", file { path = "lines" } },
}
LUA
    start run --log-format json --log-level off t.lua
    until_so "tuples flow" test -s lines
    kill -TERM "$pid"
    finishes
    exits 0
    says "draining; once more to end at once"
}

e2e_levels_are_obeyed() {
    write_noisy
    engine run --quiet t.lua --log-level error
    fails_well 1
    never_says "printed"
    never_says " warn "
    says " error in[0]  a tuple failed for good after 2 tries: t.lua:9: two is bad"
    engine run --quiet t.lua --log-level debug
    says " debug bad[0]  debugged 1"
    engine run --quiet t.lua --log-level off
    equal "$(grep -c . err)" 1 "lines when the log is off"
}

e2e_the_report_of_a_run_is_no_matter_of_levels() {
    write_noisy
    engine run t.lua --log-format json --log-level off --log-level bad=off --log-level out=error
    exits 1
    never_says "two is bad"
    lua5.4 "$HERE/json.lua" "message=engine: 1 tuple failed for good" "component=bad" "component=out" \
        < err > why || fail "$(cat why)"
    said "engine 0." || fail "the start is not told: $(seen err)"
    said "it took" || fail "the end is not told: $(seen err)"
    echo 'return topology "none" { garantee = 1 }' > wrong.lua
    engine run wrong.lua --log-format json --log-level off
    exits 78
    says "'garantee' is no option of a topology"
}

e2e_one_is_told_as_one() {
    write_noisy
    engine run t.lua --threads 1
    fails_well 1
    cat > t.lua <<'LUA'
return topology "one" {
  spout "in" { list { { 1 } }, fields = { "n" } },
  sink "out" { from = shuffle "in", null {} },
}
LUA
    engine run t.lua --threads 1
    exits 0
    says "2 components, 2 tasks, 1 edge)"
}

e2e_without_a_terminal_there_is_no_colour() {
    write_noisy
    engine run t.lua
    never_says $'\033'
}

# What a terminal shows; `script` makes one. Without it there is nothing to see.
on_terminal() {
    timeout -k 5 "$PATIENCE_S" script -qefc "$*" /dev/null < /dev/null > tty 2>&1
}

e2e_a_terminal_has_colour_unless_no_color_is_set() {
    command -v script > /dev/null || return 0
    write_noisy
    on_terminal "$ENGINE run t.lua"
    grep -q $'\033\[[0-9;]*m' tty || fail "no colour on a terminal: $(seen tty)"
    grep -q "two is bad" tty || fail "no error on the terminal"
    NO_COLOR=1 on_terminal "$ENGINE run t.lua"
    grep -q "two is bad" tty || fail "no error on the terminal"
    ! grep -q $'\033\[[0-9;]*m' tty || fail "colour despite NO_COLOR"
    cp tty err
}

e2e_control_characters_are_made_visible() {
    write_noisy
    engine run t.lua
    ! grep -q $'\001' err || fail "a control character went to the terminal"
    says 'quotes " and \ and '
}

e2e_a_closed_stderr_does_not_end_the_run() {
    write_noisy
    sed -i 's/null {}/stdout {}/' t.lua
    timeout -k 5 "$PATIENCE_S" "$ENGINE" run t.lua > out 2>&-
    code=$?
    exits 1
    prints_sorted "$(printf '1\n3')"
}

e2e_log_shows_any_value_as_print_does() {
    cat > t.lua <<'LUA'
return topology "t" {
  spout "s" { list { { 1 } }, fields = { "n" } },
  bolt "b" { from = shuffle "s", execute = function(self, n) log.info(nil, true, n, 1.5, "x") end },
}
LUA
    engine run t.lua
    exits 0
    grep -qE 'info  b\[0\]  nil true 1 1\.5 x$' err || fail "seen: $(seen err)"
}
