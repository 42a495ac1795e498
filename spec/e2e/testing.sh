# testing.sh - engine test: what it prints, its exit codes, what it runs.

write_shout() {
    cat > t.lua <<'LUA'
local suffix = param("suffix", "")
return topology "shout" {
  spout "in" { stdin {} },
  bolt "shout" {
    from = shuffle "in",
    tasks = 2,
    streams = { default = { "text" }, quiet = { "text" } },
    execute = function(self, text)
      if text == "boom" then error "it went boom" end
      if text == "" then self.emit_to("quiet", text) return end
      self.emit(text:upper() .. suffix)
    end,
  },
  sink "out" { from = shuffle "shout", file { path = "written" } },
  sink "said" { from = shuffle "shout", stdout {} },
}
LUA
}

e2e_passing_tests_are_told_and_counted() {
    write_shout
    cat > t_spec.lua <<'LUA'
local run = load_topology "t.lua"
test "shouts" (function()
  local out = run { ["in"] = { {"a"}, {""}, {"b"} } }
  expect(out.shout):is_bag { {"A"}, {"B"} }
  expect(out["shout:quiet"]):is { {""} }
  expect(out.out):is_bag(out.said)
end)
test "with a param" (function()
  local out = load_topology("t.lua", { set = { suffix = "!" } }) { ["in"] = { {"a"} } }
  expect(out.said):is { {"A!"} }
end)
LUA
    engine test t_spec.lua
    exits 0
    prints "$(printf 'ok      t_spec.lua: shouts\nok      t_spec.lua: with a param\n2 passed, 0 failed')"
    [ ! -e written ] || fail "a sink has written its file"
    [ ! -s err ] || fail "stderr has: $(seen err)"
}

e2e_a_failing_test_says_what_where_and_how_to_see_it_again() {
    write_shout
    cat > t_spec.lua <<'LUA'
local run = load_topology "t.lua"
test "wrong" (function()
  local out, told = run { ["in"] = { {"a"}, {"boom"} } }
  expect(told.failed["in:2"].reason):matches "boom$"
  expect(out.shout):is { {"a"} }
end)
test "right" (function() end)
LUA
    engine test t_spec.lua
    exits 1
    for text in "FAILED  t_spec.lua: wrong (seed 1)" \
        "    t_spec.lua:5: not as expected: is" \
        '      expected: { { "a" } }' '      got:      { { "A" } }' '      at [1][1]:  expected "a", got "A"' \
        "what was logged:" "t.lua:9: it went boom" "a tuple failed for good after 6 tries" \
        "  again: engine test --seed 1 t_spec.lua" "ok      t_spec.lua: right" "1 passed, 1 failed"; do
        grep -qF -- "$text" out || fail "no '$text' in: $(seen out)"
    done
}

# The first of two tuples that go to two tasks is emitted first on some seeds.
e2e_a_seed_replays_what_failed() {
    write_shout
    cat > t_spec.lua <<'LUA'
local run = load_topology "t.lua"
test "one order" (function()
  expect(run { ["in"] = { {"a"}, {"b"} } }.shout):is { {"A"}, {"B"} }
end)
LUA
    engine test --seeds 200 t_spec.lua
    exits 1
    local again seed
    again=$(sed -n 's/^  again: engine //p' out)
    seed=$(grep -oE 'seed [0-9]+' out | head -1 | tr -dc 0-9)
    equal "$again" "test --seed $seed t_spec.lua" "how to see it again"
    cp out first
    # shellcheck disable=SC2086 # a list of words
    engine $again
    exits 1
    same first out
    engine test --seed 1 --seeds "$((seed - 1 > 0 ? seed - 1 : 1))" t_spec.lua
    [ "$seed" -eq 1 ] || exits 0
}

e2e_the_command_that_replays_is_taken_as_it_stands() {
    mkdir "it's a folder"
    echo 'test "wrong" (function() expect(1):is(2) end)' > "it's a folder/t_spec.lua"
    engine test --seed 1000001 --seeds 3 "it's a folder/t_spec.lua"
    exits 1
    local again
    again=$(sed -n 's/^  again: engine //p' out)
    equal "$again" "test --seed 1000001 'it'\\''s a folder/t_spec.lua'" "how to see it again"
    cp out first
    eval "engine $again"
    exits 1
    same first out
    engine test --seed 1000000000 --seeds 2 "it's a folder/t_spec.lua"
    exits 2
    says "the last of 2 seeds from 1000000000 on is over 1000000000"
}

e2e_json_is_a_line_for_each_test() {
    write_shout
    cat > t_spec.lua <<'LUA'
test "right" (function() end)
test "wrong\n\"name\"" (function() log.warn "look here" expect(1):is(2) end)
LUA
    engine test --json t_spec.lua
    exits 1
    lua5.4 "$HERE/json.lua" < out > why || fail "$(cat why)"
    equal "$(wc -l < out)" 3 "lines"
    grep -qF '{"file":"t_spec.lua","test":"right","passed":true}' out || fail "seen: $(seen out)"
    grep -qF '"test":"wrong\n\"name\"","passed":false,"seed":1,"error":"t_spec.lua:2: not as expected: is\n' out || fail "seen: $(seen out)"
    grep -qF '"log":"look here\n","replay":"engine test --seed 1 t_spec.lua"}' out || fail "seen: $(seen out)"
    equal "$(tail -1 out)" '{"passed":1,"failed":1}' "the last line"
}

e2e_a_folder_is_all_its_spec_files() {
    write_shout
    mkdir many empty
    for name in b a; do echo "test '$name' (function() end)" > many/${name}_spec.lua; done
    echo "this is no Lua" > many/other.lua
    engine test many
    exits 0
    prints "$(printf 'ok      many/a_spec.lua: a\nok      many/b_spec.lua: b\n2 passed, 0 failed')"
    engine test many/ many/a_spec.lua
    exits 0
    grep -qF "3 passed, 0 failed" out || fail "seen: $(seen out)"
    engine test empty
    exits 2
    says "engine: empty: the folder has no file …_spec.lua"
}

e2e_a_broken_spec_file_is_78_and_the_others_run() {
    echo 'test "fine" (function() end)' > fine_spec.lua
    echo 'test "bad" (function( end)' > bad_spec.lua
    engine test bad_spec.lua fine_spec.lua
    exits 78
    says "bad_spec.lua:1: "
    never_says "traceback"
    prints "$(printf 'ok      fine_spec.lua: fine\n1 passed, 0 failed')"
    echo 'return topology "x" { spout "a" { list {} } }' > t.lua
    echo 'local run = load_topology "t.lua"' > bad_spec.lua
    engine test bad_spec.lua
    exits 78
    says "t.lua:1: spout 'a' has no fields"
    : > bad_spec.lua
    engine test bad_spec.lua
    exits 78
    says "bad_spec.lua: the file is empty; write test"
}

e2e_wrong_usage_is_2() {
    engine test
    exits 2
    says "test takes spec files, or folders of them"
    engine test none_spec.lua
    exits 2
    says "none_spec.lua: No such file or directory"
    for wrong in "--seed 0" "--seed many" "--seeds -1" "--seeds 1x"; do
        # shellcheck disable=SC2086 # a list of words
        engine test $wrong t_spec.lua
        exits 2
        says "give a number from 1 to"
    done
    engine test --sed 1 t_spec.lua
    exits 2
    says "did you mean --seed?"
    engine test --help
    exits 0
    grep -qF "Example: engine test topologies/word_count_spec.lua" out || fail "seen: $(seen out)"
}

e2e_what_does_not_end_fails_with_a_sentence() {
    cat > t.lua <<'LUA'
return topology "loops" {
  spout "in" { fields = { "n" }, next = function(self) sleep "1h" end },
  bolt "loop" { from = shuffle "in", fields = { "n" }, execute = function(self, n) while true do end end },
}
LUA
    cat > t_spec.lua <<'LUA'
local run = load_topology "t.lua"
test "loops itself" (function() while true do end end)
test "never ends" (function() run {} end)
test "its bolt loops" (function()
  local t = run.start { ["in"] = feeder }
  t:feed("in", 1, { 1 })
  expect(t.failed[1].reason):has "over its budget"
end)
test "waits for ever" (function()
  local t = run.start { ["in"] = feeder }
  while true do t:advance "1m" end
end)
LUA
    engine test --seeds 1 t_spec.lua
    exits 1
    grep -qF "t_spec.lua:2: the call was over its budget of 100000000 instructions" out || fail "seen: $(seen out)"
    grep -qF "t_spec.lua:3: the run has not ended within 24 hours of virtual time" out || fail "seen: $(seen out)"
    grep -qF "ok      t_spec.lua: its bolt loops" out || fail "seen: $(seen out)"
    grep -qF "t_spec.lua:11: the call was over its budget" out || fail "seen: $(seen out)"
    grep -qF "1 passed, 3 failed" out || fail "seen: $(seen out)"
}

e2e_what_a_test_feeds_goes_back_with_the_state() {
    cat > t.lua <<'LUA'
return topology "t" {
  spout "lines" { stdin {} },
  bolt "count" {
    from = fields("lines", "line"), fields = { "line", "n" }, state = "durable",
    execute = function(self, line)
      if line == "bad" then error("it is bad", 0) end
      self.emit(line, self.state:add(line, 1))
    end,
  },
  sink "out" { from = global "count", null {} },
}
LUA
    cat > t_spec.lua <<'LUA'
local run = load_topology "t.lua"
test "rows before the checkpoint don't come again" (function()
  local t = run.start { lines = { {"a"}, {"b"}, {"a"} } }
  t:advance "2s"
  t:crash("count", 0)
  expect(t:stop().count):is_bag { {"a", 1}, {"a", 2}, {"b", 1} }
end)
test "a feeder is told at once, and once" (function()
  local t = run.start { lines = feeder }
  t:feed("lines", "good", { "a" })
  t:feed("lines", "bad", { "bad" })
  expect(t.acked):is { "good" }
  expect(t.failed.bad.reason):is "it is bad"
  t:crash("count", 0)
  t:advance "2s"
  expect(t.acked):is { "good" }
  t:feed("lines", "more", { "a" })
  expect(t.out.count):is { {"a", 1}, {"a", 1}, {"a", 2} }
end)
LUA
    engine test t_spec.lua
    exits 0
}

e2e_specs_share_modules() {
    echo 'return { double = function(list) local all = {} for i, v in ipairs(list) do all[2 * i - 1], all[2 * i] = v, v end return all end }' > helpers.lua
    cat > t_spec.lua <<'LUA'
local helpers = require "helpers"
test "doubles" (function() expect(helpers.double { 1, 2 }):is { 1, 1, 2, 2 } end)
LUA
    engine test t_spec.lua
    exits 0
}

e2e_the_specs_of_the_examples_pass() {
    engine test "$ROOT/topologies"
    exits 0
}

e2e_the_examples_of_the_page_run() {
    cp "$ROOT/topologies/word_count.lua" .
    awk '/^```lua$/ { n++; on = 1; next } /^```$/ { on = 0 } on { print > ("page" n "_spec.lua") }' "$ROOT/docs/testing.md"
    [ -e page2_spec.lua ] || fail "the page has lost an example"
    engine test .
    exits 0
}
