# store.sh - engine store: what lies in a folder of --data.

# fill: the folder d keeps how often each of 4 letters came, and a list.
fill() {
    cat > t.lua <<'LUA'
return topology "letters" {
  spout "in" { list { { "b" }, { "a" }, { "b" } }, fields = { "letter" } },
  sink "count" {
    from = global "in", state = "durable",
    execute = function(self, letter)
      self.state:add(letter, 1)
      self.state[2.5] = { letter, true }
    end,
  },
}
LUA
    engine run --quiet --data d t.lua
    exits 0
}

e2e_store_lists_topologies_and_what_they_keep() {
    fill
    engine store ls d
    exits 0
    grep -qE '^letters +1 +[0-9-]+ [0-9:]+ +ended +3 +[0-9]+$' out || fail "seen: $(cat out)"
    engine store get d letters count
    exits 0
    prints '{"task":0,"key":2.5,"value":["b",true]}
{"task":0,"key":"a","value":1}
{"task":0,"key":"b","value":2}'
    engine store get d letters nobody
    exits 1
    says "engine: d: component 'nobody' of 'letters' keeps nothing there; engine store ls d lists the topologies"
}

e2e_store_has_all_that_a_run_kept_that_ended() {
    cat > t.lua <<'LUA'
return topology "numbers" {
  spout "in" { generator { count = 20000 }, fields = { "n" } },
  sink "keep" {
    from = shuffle "in", tasks = 2, state = "durable",
    execute = function(self, n) self.state[n] = 1 end,
  },
}
LUA
    engine run --quiet --data d t.lua
    exits 0
    engine store get d numbers keep
    equal "$(wc -l < out)" 20000 "records of the store"
}

e2e_store_checks_copies_and_compacts() {
    fill
    engine store check d
    exits 0
    grep -qE '^d: [0-9]+ records, [0-9]+ bytes, sound$' out || fail "seen: $(cat out)"
    engine store backup d copy
    exits 0
    engine store get copy letters count
    equal "$(wc -l < out)" 3 "records of the copy"
    engine store backup d copy
    exits 1
    says "engine: copy: store.mdb can't be made: File exists"
    engine store compact d
    exits 0
    engine store check d
    exits 0
    engine run --data d t.lua
    exits 0
    says "letters has ended: checkpoint 1"
}

e2e_store_is_looked_at_beside_a_run() {
    cat > t.lua <<'LUA'
return topology "letters" {
  spout "in" { generator { rate = 1000 }, fields = { "n" } },
  sink "count" { from = global "in", state = "durable",
    execute = function(self, n) self.state:add("n", 1) end },
}
LUA
    start run --data d t.lua
    kept() { "$ENGINE" store get d letters count > kept.out 2> kept.err; }
    until_so "the first checkpoint is there" kept
    engine store compact d
    exits 1
    says "process $pid has it"
    kill -KILL "$pid"
    wait "$pid" 2> killed
}

e2e_store_says_what_is_no_store() {
    engine store ls nowhere
    exits 1
    says "engine: nowhere: there is no store (store.mdb): No such file or directory"
    engine store
    exits 2
    says "store takes ls, get, check, backup or compact, and a folder: engine store ls FOLDER"
    engine store get d
    exits 2
    says "it is: engine store get FOLDER TOPOLOGY COMPONENT"
}
