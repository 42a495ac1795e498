# queue.sh - queue "name": the durable wire between topologies.

write_both() {
    cat > write.lua <<'LUA'
return topology "write" {
  guarantee = "exactly-once",
  spout "in" { generator { rate = 20000, count = 20000 }, fields = { "n" } },
  sink "out" { from = shuffle "in", queue "numbers" },
}
LUA
    cat > read.lua <<'LUA'
return topology "read" {
  guarantee = "exactly-once",
  spout "in" { queue { name = "numbers", ends = true }, fields = { "n" } },
  sink "out" { from = shuffle "in", file { path = "copy.txt" } },
}
LUA
}

e2e_a_queue_loses_and_doubles_nothing_whatever_is_killed() {
    write_both
    : > copy.txt
    for lines in 1 3000 6000; do
        start run --data d write.lua read.lua
        until_so "$lines are copied" longer_than copy.txt $lines
        kill -KILL "$pid"
        wait "$pid" 2> killed
        rm err
    done
    engine run --data d write.lua read.lua
    exits 0
    seq 20000 | cmp - copy.txt || fail "copy.txt is not what went in"
    engine store ls d
    exits 0
    grep -qE '^numbers +1 +20000 +read.in +0$' out || fail "seen: $(cat out)"
    engine store check d
    exits 0
}

e2e_what_is_in_a_queue_waits_for_its_reader() {
    write_both
    engine run --data d write.lua
    exits 0
    engine store ls d
    grep -qE '^numbers +1 +20000 +- +20000$' out || fail "seen: $(cat out)"
    engine run --data d read.lua
    exits 0
    seq 20000 | cmp - copy.txt || fail "copy.txt is not what went in"
}

e2e_a_record_of_other_fields_is_left_out_and_said() {
    write_both
    sed -i 's/fields = { "n" }/fields = { "a", "b" }/' read.lua
    sed -i 's/20000/3/g' write.lua
    engine run write.lua read.lua
    exits 1
    says "a record has 1 values, and fields names 2; it is left out: give the spout the fields that are written"
    equal "$(wc -l < copy.txt)" 0 "lines"
}

e2e_options_of_a_queue_are_checked() {
    write_both
    sed -i 's/queue "numbers"/queue { name = "", ends = true }/' write.lua
    engine check write.lua
    exits 78
    says "write.lua:4: name of queue is ''; give a text"
    sed -i 's/name = ""/name = "numbers"/' write.lua
    engine check write.lua
    exits 78
    says "group and ends are options of queue as a source; as a sink it only writes: remove them"
}

e2e_a_queue_that_is_full_makes_its_spouts_wait() {
    cat > write.lua <<'LUA'
return topology "write" {
  spout "in" { generator { count = 20000 }, fields = { "n" } },
  sink "out" { from = shuffle "in", queue { name = "numbers", limit = 2000 } },
}
LUA
    cat > read.lua <<'LUA'
return topology "read" {
  guarantee = "exactly-once",
  spout "numbers" { queue { name = "numbers", ends = true }, fields = { "n" } },
  sink "out" { from = global "numbers", file { path = "out.txt" } },
}
LUA
    start run --data d write.lua
    until_so "it is full" said "queue 'numbers' is full: "
    kill -TERM "$pid"
    finishes
    exits 0
    engine run --data d write.lua read.lua
    exits 0
    seq 20000 | cmp - out.txt || fail "not what was written"
    sed -i 's/ends = true/limit = 5/' read.lua
    engine check read.lua
    exits 78
    says "limit is an option of queue as a sink: give it to the topology that writes"
    sed -i 's/spout "in".*/spout "in" { queue "numbers", fields = { "n" } },/' write.lua
    engine check write.lua
    exits 78
    says "write.lua:3: sink 'out' has a limit, and spout 'in' in line 2 reads its queue 'numbers': when it is full that would wait, too; read it in a topology of its own, or leave limit out"
}
