# check.sh - what is said of a definition without running it.

write_sound() {
    cat > t.lua <<'LUA'
local tasks = param("tasks", 2, "how many count")
return topology "sound" {
  spout "in" { list { { 1 } }, fields = { "n" } },
  bolt "count" { from = fields("in", "n"), tasks = tasks, fields = { "n" }, execute = function(self, n) self.emit(n) end },
  sink "out" { from = shuffle "count", stdout {} },
}
LUA
}

e2e_check_says_in_one_line_what_it_is() {
    write_sound
    engine check t.lua
    exits 0
    prints "t.lua: topology 'sound' is sound: 1 spout, 1 bolt, 1 sink, 4 tasks, at-least-once"
    equal "$(cat err)" "" "stderr"
    engine check "$ROOT/topologies/word_count.lua"
    exits 0
}

e2e_check_runs_nothing() {
    write_sound
    sed -i 's/stdout {}/file { path = "made" }/' t.lua
    engine check t.lua
    exits 0
    [ ! -e made ] || fail "it made the sink's file"
}

e2e_check_says_all_errors_at_once() {
    cat > t.lua <<'LUA'
return topology "wrong" {
  garantee = 1,
  spout "in" { list { { 1 } }, fields = { "n" }, task = 2 },
  sink "out" { from = shuffle "inn", stdout {} },
}
LUA
    engine check t.lua
    exits 78
    prints ""
    says "t.lua:1: 'garantee' is no option of a topology; did you mean 'guarantee'?"
    says "t.lua:3: 'task' is no option of a spout; did you mean 'tasks'?"
    says "t.lua:4: "
    engine check t.lua --json
    exits 78
    lua5.4 "$HERE/json.lua" < out > why || fail "$(cat why)"
    grep -qF '{"ok":false,"file":"t.lua","errors":[{"file":"t.lua","line":1,"text":"' out || fail "seen: $(seen out)"
    equal "$(grep -o '"line":' out | wc -l)" 3 "errors"
    equal "$(cat err)" "" "stderr"
}

e2e_check_warns_of_what_will_hurt() {
    write_sound
    engine check t.lua --set tasks=1
    exits 0
    says "t.lua:4: warning: bolt 'count' reads 'in' by fields and has one task, which gets all keys; give it tasks = 2 or more"
    prints "t.lua: topology 'sound' is sound: 1 spout, 1 bolt, 1 sink, 3 tasks, at-least-once; 1 warning"
    engine check t.lua --threads 1 --set tasks=9 --json
    exits 0
    lua5.4 "$HERE/json.lua" "topology=sound" < out > why || fail "$(cat why)"
    grep -qF '"warnings":[{"file":"t.lua","line":4,"component":"count","text":"' out || fail "seen: $(seen out)"
    engine run t.lua --set tasks=1 # a run says it, too
    exits 0
    says "t.lua:4: warning: bolt 'count' reads"
    engine run t.lua --set tasks=1 --quiet
    equal "$(cat err)" "" "stderr of a quiet run"
}

e2e_check_s_command_line_is_checked() {
    write_sound
    engine check
    exits 2
    says "check takes one definition file: engine check FILE"
    engine check t.lua t.lua
    exits 2
    engine check nowhere.lua
    exits 2
    says "nowhere.lua"
    engine check nowhere.lua --json
    exits 2
    lua5.4 "$HERE/json.lua" < out > why || fail "$(cat why)"
    engine check t.lua --set taks=1
    exits 2
    says "did you mean 'tasks'?"
    engine check t.lua --thread 1
    exits 2
    says "did you mean --threads?"
}

e2e_check_takes_executors() {
    write_sound
    sed -i 's/tasks = tasks,/tasks = tasks, executors = 2,/' t.lua
    engine check t.lua --set tasks=5
    exits 0
    prints "t.lua: topology 'sound' is sound: 1 spout, 1 bolt, 1 sink, 7 tasks on 4 executors, at-least-once"
    engine run --quiet t.lua --set tasks=5
    exits 0
    prints 1
    engine check t.lua --set tasks=1
    exits 78
    says "t.lua:4: bolt 'count' has 2 executors for 1 task, and each needs one to work for; give it tasks = 2, or fewer executors"
}
