# pending.sh - how much a spout has under way: what is given, and what it finds.

endless() { # endless KEYS
    cat > t.lua <<LUA
return topology "endless" { $1
  spout "in" { generator {}, fields = { "n" } },
  sink "out" { from = shuffle "in", null {} },
}
LUA
}

# shows NUMBER|PATTERN: as the spout's max_pending, a sink has none.
shows() {
    grep -qE "\"name\": ?\"in\".*\"max_pending\": ?$1[^0-9].*\"name\": ?\"out\".*\"max_pending\": ?null" err ||
        fail "no max_pending of $1: $(seen err)"
}

e2e_max_pending_that_is_given_is_kept() {
    endless "max_pending = 777,"
    engine run t.lua --json --for 200ms
    exits 0
    shows 777
}

e2e_max_pending_that_is_not_given_is_found() {
    endless ""
    engine run t.lua --json --for 200ms
    exits 0
    shows '([0-9]{3,5})' # it was 16
}

e2e_max_pending_of_what_nobody_tracks_is_none() {
    endless 'guarantee = "at-most-once",'
    engine run t.lua --json --for 200ms
    exits 0
    shows null
}
