# exactly.sh - guarantee = "exactly-once": each line of a file stands in another one once, whatever is killed.

# write_copy [RATE]: 20,000 numbers into copy.txt; each of 100 fails once.
write_copy() {
    cat > t.lua <<LUA
local failed = {}
return topology "copy" {
  guarantee = "exactly-once",
  spout "in" { generator { rate = ${1:-20000}, count = 20000 }, fields = { "n" } },
  bolt "same" {
    from = shuffle "in", fields = { "n" }, state = "durable",
    prepare = function(self) self.failed = {} end,
    execute = function(self, n)
      self.emit(n)
      if self.state:add("all") == 2000 then log.info("some are copied") end
      if n % 100 == 0 and not self.failed[n] then
        self.failed[n] = true
        error "not now"
      end
    end,
  },
  sink "out" { from = shuffle "same", file { path = "copy.txt" } },
}
LUA
}

longer_than() { [ "$(wc -l < "$1")" -gt "$2" ]; }

e2e_each_line_is_there_exactly_once_whatever_is_killed() {
    write_copy
    : > copy.txt
    for lines in 1 3000 6000; do
        start run --data d t.lua
        until_so "$lines are copied" longer_than copy.txt $lines
        kill -KILL "$pid"
        wait "$pid" 2> killed
        rm err
    done
    engine run --data d t.lua
    exits 0
    says "Guarantee:  exactly-once; survives a restart"
    seq 20000 | cmp - copy.txt || fail "copy.txt is not what went in"
}

e2e_a_stop_and_a_crash_double_nothing() {
    write_copy
    sed -i 's/"not now"/("not now " .. n)/; s/self.failed\[n\] = true/self.failed[n] = n ~= 15000 or self.crashed/' t.lua
    start run --data d t.lua
    until_so "some are copied" said "some are copied"
    kill -TERM "$pid"
    finishes
    exits 0
    engine run --data d t.lua
    exits 1
    says "1 tuple failed for good"
    seq 20000 | grep -vx 15000 | cmp - copy.txt || fail "copy.txt is not what went in"
}

e2e_a_file_that_was_cut_is_refused() {
    write_copy 4000
    start run --data d t.lua
    until_so "some are copied" said "some are copied"
    kill -TERM "$pid"
    finishes
    exits 0
    echo 1 > copy.txt
    engine run --data d t.lua
    exits 1
    says "copy.txt has 2 bytes, and the newest checkpoint knows of "
    says ": it was cut or replaced meanwhile; put it back, or begin anew with --fresh"
}

e2e_a_source_that_was_cut_or_replaced_is_refused() {
    cat > t.lua <<'LUA'
return topology "t" {
  guarantee = "exactly-once",
  spout "in" { file { path = "in.txt" } },
  bolt "same" {
    from = shuffle "in", fields = { "line" },
    execute = function(self, line)
      if line == "1000" then log.info "some are copied" end
      self.emit(line)
    end,
  },
  sink "out" { from = shuffle "same", file { path = "out.txt" } },
}
LUA
    seq 3000000 > in.txt
    start run --data d t.lua
    until_so "some are copied" said "some are copied"
    kill -TERM "$pid"
    finishes
    exits 0
    mv in.txt right.txt
    for way in "seq 10" "cat right.txt"; do
        $way > in.txt
        engine run --data d t.lua
        exits 1
        says "in.txt is another file than when the checkpoint was taken, or was cut; put it back, or begin anew with --fresh"
    done
    mv right.txt in.txt
    engine run --data d --for 0.5s t.lua
    exits 0
    awk '$1 != NR' out.txt > other
    [ ! -s other ] || fail "it has what it should not: $(head -1 other)"
}

e2e_segments_appear_when_they_are_whole() {
    write_copy
    sed -i 's/path = "copy.txt"/path = "copy.txt", segments = "1KB"/' t.lua
    for parts in 1 2; do
        start run --data d t.lua
        until_so "there is part $parts" test -s "copy-0000000$parts.txt"
        kill -KILL "$pid"
        wait "$pid" 2> killed
        cat copy-*.txt | awk '$1 != NR' > other
        [ ! -s other ] || fail "a segment has what it should not: $(head -1 other)"
        cp "copy-0000000$parts.txt" seen
    done
    engine run --data d t.lua
    exits 0
    cmp seen copy-00000002.txt || fail "a segment was changed"
    cat copy-*.txt > all
    seq 20000 | cmp - all || fail "the segments are not what went in"
    ls -A > there
    grep -q part there && fail "a part is left: $(cat there)"
    last=$(ls copy-* | tail -1)
    engine run --data d --fresh t.lua
    exits 0
    cat $(ls copy-* | sed "1,/$last/d") > all
    seq 20000 | cmp - all || fail "they do not go on behind $last"
}

e2e_a_loop_goes_on_where_it_was() {
    cat > t.lua <<'LUA'
return topology "round" {
  guarantee = "exactly-once",
  spout "in" { generator { count = 3 }, fields = { "n" } },
  bolt "step" {
    from = { shuffle "in", shuffle "again" }, state = "durable",
    streams = { default = { "n", "left" }, done = { "n", "rounds" } },
    execute = {
      ["in"] = function(self, n) self.emit(n, ROUNDS) end,
      again = function(self, n, left)
        self.state:add(n)
        if left > 1 then self.emit(n, left - 1) else self.emit_to("done", n, self.state[n]) end
      end,
    },
  },
  bolt "again" {
    from = shuffle "step", fields = { "n", "left" },
    map(function(n, left) return n, left end),
  },
  sink "out" { from = global "step:done", file { path = "out.txt" } },
}
LUA
    local rounds=100000 seen=""
    sed -i "s/ROUNDS/$rounds/" t.lua
    while [ -z "$seen" ]; do
        start run --data d t.lua
        sleep 0.7
        kill -KILL "$pid" 2> killed
        wait "$pid" 2> killed
        "$ENGINE" store check d > checked || fail "seen: $(seen checked)"
        seen=$("$ENGINE" store get d round step)
    done
    engine run --data d t.lua
    [ $code -eq 0 ] || says "round has ended"
    printf '1\t%d\n2\t%d\n3\t%d\n' $rounds $rounds $rounds > expected
    sort out.txt | cmp - expected || fail "seen: $(seen out.txt)"
}

e2e_a_pipe_takes_nothing_back() {
    write_copy
    sed -i 's/copy.txt/pipe/' t.lua
    mkfifo pipe
    cat pipe > /dev/null &
    engine run t.lua
    exits 1
    says "pipe is a pipe or a device, from which nothing can be taken back; write to a file, or leave out guarantee = \"exactly-once\""
}

e2e_a_pipe_is_not_read_again() {
    mkfifo pipe
    cat > t.lua <<'LUA'
return topology "t" {
  guarantee = "exactly-once",
  spout "in" { file { path = "pipe" } },
  sink "out" { from = shuffle "in", file { path = "out.txt" } },
}
LUA
    seq 100 > pipe &
    engine run t.lua
    exits 1
    says "pipe is a pipe or a device, which can't be read again after a crash; bring it into a file or a queue first, or use guarantee = \"at-least-once\""
}

e2e_what_cannot_be_exact_is_refused() {
    write_copy
    sed -i 's/generator {.*}, fields/stdin {}, fields/; s/file { path = "copy.txt" }/stdout {}/' t.lua
    engine run t.lua
    exits 78
    says "t.lua:4: spout 'in' reads stdin, which can't be read again after a crash; bring it into a file or a queue first, or use guarantee = \"at-least-once\""
    says "t.lua:17: sink 'out' writes to stdout, from which nothing can be taken back; write to a file, or use guarantee = \"at-least-once\""
}

e2e_ways_of_different_promise_are_told_apart() {
    cat > t.lua <<'LUA'
return topology "two" {
  spout "piped" { stdin {} },
  spout "kept" { list { { 1 } }, fields = { "line" } },
  sink "out" { from = { shuffle "piped", shuffle "kept" }, null {} },
}
LUA
    engine check t.lua
    exits 0
    prints "t.lua: topology 'two' is sound: 2 spouts, 0 bolts, 1 sink, 3 tasks, at-least-once
  piped → out: at-least-once, what fails is emitted again; after a crash of the process it can't be
  kept → out: at-least-once, what fails is emitted again"
}
