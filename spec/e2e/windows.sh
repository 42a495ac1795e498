# windows.sh - windows and joins of the binary itself, against what awk, seq and
# join make of the same input.

# count_windows LENGTH EVERY: each window on a line, of the numbers 1 to 1000.
count_windows() {
    cat > t.lua <<LUA
return topology "t" {
  spout "in" { generator { count = 1000 }, fields = { "n" } },
  bolt "w" {
    from = global "in", fields = { "all" },
    window = sliding { length = "$1 tuples", every = "$2 tuples" },
    execute = function(self, window)
      local all = {}
      for i, t in ipairs(window.tuples) do all[i] = t.n end
      self.emit(table.concat(all, " "))
    end,
  },
  sink "out" { from = global "w", stdout {} },
}
LUA
}

e2e_windows_by_count_have_what_they_should() {
    local pair length every
    for pair in "5 10" "1 1" "10 5" "100 10" "100 100" "200 100" "500 100"; do
        read -r length every <<< "$pair"
        count_windows "$length" "$every"
        engine run --quiet t.lua
        exits 0
        seq 1000 | awk -v length_="$length" -v every="$every" '
            { n[NR] = $1 }
            NR % every == 0 {
                line = ""
                for (i = NR > length_ ? NR - length_ + 1 : 1; i <= NR; i++) line = line (line == "" ? "" : " ") n[i]
                print line
            }' > expected
        same out expected
    done
}

# time_windows LENGTH EVERY: the file `times` has a time in seconds a line.
time_windows() {
    cat > t.lua <<LUA
return topology "t" {
  spout "in" { file { path = "times" } },
  bolt "parse" { from = global "in", fields = { "at" }, map(function(line) return tonumber(line) end) },
  bolt "w" {
    from = global "parse", fields = { "start", "stop", "count", "sum" },
    window = sliding { length = $1, every = $2, timestamp = "at", lag = 5 },
    execute = function(self, window)
      local sum = 0
      for _, t in ipairs(window.tuples) do sum = sum + t.at end
      self.emit(window.start, window.stop, window.count, sum)
    end,
  },
  sink "out" { from = global "w", stdout {} },
}
LUA
}

# With a gap of a year, which has no windows.
e2e_windows_by_event_time_have_what_they_should() {
    local pair length every
    awk 'BEGIN { srand(1)
                 for (i = 0; i < 5000; i++) { at += int(rand() * 3); if (i == 3000) at += 31536000
                                              print 1000000000 + at - int(rand() * 5) } }' > times
    for pair in "1 1" "5 2" "2 5" "20 5" "20 10"; do
        read -r length every <<< "$pair"
        time_windows "$length" "$every"
        engine run --quiet t.lua
        exits 0
        awk -v length_="$length" -v every="$every" '
            { first = int(($1 + every - 1) / every) * every
              for (end = first; end - length_ < $1; end += every) { n[end]++; sum[end] += $1 } }
            END { for (end in n) printf "%d\t%d\t%d\t%.0f\n", end - length_, end, n[end], sum[end] }' times |
            sort -n > expected
        same out expected
    done
}

e2e_windows_join_what_join_joins() {
    awk 'BEGIN { for (i = 1; i <= 200; i++) print i % 60 "," i }' > a.csv
    awk 'BEGIN { for (i = 1; i <= 100; i++) print i % 90 ",b" i }' > b.csv
    cat > t.lua <<'LUA'
return topology "t" {
  spout "a" { file { path = "a.csv", format = "csv", header = false }, fields = { "k", "v" } },
  spout "b" { file { path = "b.csv", format = "csv", header = false }, fields = { "k", "v" } },
  bolt "joined" {
    from = { fields("a", "k"), fields("b", "k") }, tasks = 3,
    window = tumbling { length = "1h" },
    fields = { "k", "a", "b" },
    join("a.k", left "b.k", { "a.k", "a.v", "b.v" }),
  },
  sink "out" { from = global "joined", stdout {} },
}
LUA
    engine run --quiet t.lua
    exits 0
    LC_ALL=C sort -t , -k 1,1 a.csv > a.sorted
    LC_ALL=C sort -t , -k 1,1 b.csv > b.sorted
    LC_ALL=C join -t , -a 1 -o 0,1.2,2.2 a.sorted b.sorted | tr , '\t' | LC_ALL=C sort > expected
    LC_ALL=C sort out > rows
    same rows expected
}

# What is under way is drained: the window that is open closes, nothing is lost.
e2e_windows_close_when_a_run_is_stopped() {
    cat > t.lua <<'LUA'
return topology "t" {
  spout "in" { generator { rate = 1000 }, fields = { "n" } },
  bolt "w" {
    from = global "in", fields = { "n" },
    window = tumbling { length = "1h" },
    execute = function(self, window)
      for _, t in ipairs(window.tuples) do self.emit(t.n) end
    end,
    finish = function(self) log.info("closed") end,
  },
  sink "out" { from = global "w", stdout {} },
}
LUA
    start run t.lua --for 1s
    finishes
    exits 0
    says closed
    equal "$(figure in acked)" "$(wc -l < out)" "acked"
    equal "$(figure in failed)" 0 "failed"
    seq "$(wc -l < out)" > expected
    same out expected
}

# Windows of an hour over numbers that are seconds: ten of them say nothing of it.
e2e_windows_that_can_not_fill_are_told_and_close_when_stopped() {
    cat > t.lua <<'LUA'
return topology "t" {
  max_pending = 10,
  spout "in" { generator { count = 1000 }, fields = { "n" } },
  bolt "w" {
    from = global "in", fields = { "n" },
    window = tumbling { length = "1h", timestamp = "n" },
    execute = function(self, window) self.emit(window.count) end,
  },
  sink "out" { from = global "w", stdout {} },
}
LUA
    start run t.lua
    until_so "it is told" said "10 tuples are under way, as many as max_pending lets, and none of them gets through"
    kill -TERM "$pid"
    finishes
    exits 0
    echo 10 > expected
    same out expected
}

e2e_windows_are_what_hooks_are_told_of() {
    cat > t.lua <<'LUA'
return topology "t" {
  spout "in" { generator { count = 4 }, fields = { "n" } },
  bolt "w" {
    from = global "in", fields = { "n" },
    window = tumbling { length = "2 tuples" },
    hooks = {
      execute = function(self, info) log.info("execute", info.values[1].count) end,
      ack = function(self, info) log.info("ack", #info.values[1].tuples) end,
      emit = function(self, info) log.info("emit", info.values[1]) end,
    },
    execute = function(self, window) self.emit(window.count * 10) end,
  },
  sink "out" { from = global "w", stdout {} },
}
LUA
    engine run t.lua
    exits 0
    says "execute 2" 2
    says "ack 2" 2
    says "emit 20" 2
}

e2e_windows_that_are_wrong_are_refused() {
    count_windows 0 1
    engine run t.lua
    exits 78
    says 't.lua:5: length of the window of bolt '\''w'\'' is '\''0 tuples'\''; give a duration like "10s", or a number of tuples like "100 tuples"'
}

e2e_windows_refuse_a_reload_that_changes_them() {
    count_windows 5 5
    sed -i 's/count = 1000/rate = 1000/' t.lua
    start run --watch t.lua
    until_so "windows fire" test -s out
    sed -i 's/5 tuples/6 tuples/' t.lua
    until_so "it is refused" said "'window' of 'w' has changed"
    kill -TERM "$pid"
    finishes
    exits 0
}

e2e_kept_windows_are_sound_in_the_store() {
    cat > t.lua <<'LUA'
return topology "kept" { guarantee = "exactly-once",
  spout "in" { generator { rate = 1000 }, fields = { "n" } },
  bolt "w" { from = shuffle "in", fields = { "n" }, window = tumbling { length = "100000 tuples" },
    execute = function(self, window) self.emit(window.count) end },
  sink "out" { from = shuffle "w", file { path = "out.txt" } },
}
LUA
    kept() { engine store ls d && grep -q "^kept .* [1-9][0-9]* *$" out; }
    start run --data d t.lua
    until_so "there are rows" kept
    kill -TERM "$pid"
    finishes
    engine store check d
    exits 0
    grep -q sound out || fail "seen: $(seen out)"
    engine store get d kept w
    exits 0
    prints ""
}
