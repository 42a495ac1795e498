# first_run.sh - the first result, and what a topology gives in and out.

# A text of 20,000 lines that is the same each time.
write_text() {
    lua5.4 - > text <<'LUA'
local seed = 7
local function random(n)
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed // 65536 % n + 1
end
local words = {}
for i = 1, 2000 do
  local word = {}
  for k = 1, random(9) do word[k] = string.char(96 + random(26)) end
  words[i] = table.concat(word)
end
local marks = { " ", " ", " ", ", ", "; ", " - ", "'", "  " }
for _ = 1, 20000 do
  local line = {}
  for k = 1, random(12) - 1 do
    local word = words[(random(2000) * random(2000)) // 2000 + 1] or words[1]
    if random(5) == 1 then word = word:upper() end
    line[k] = word .. marks[random(8)]
  end
  print(table.concat(line))
end
LUA
}

count_independently() { # of file $1: lines "count word", sorted
    tr -cs 'A-Za-z' '\n' < "$1" | tr 'A-Z' 'a-z' | grep . | LC_ALL=C sort | uniq -c | sed 's/^ *//' | LC_ALL=C sort
}

counts_like_uniq() { # stdout of word_count.lua against file $1
    sed -E 's/^\{"word":"([a-z]+)","count":([0-9]+)\}$/\2 \1/' out | LC_ALL=C sort > counted
    count_independently "$1" > expected
    same counted expected
}

e2e_counts_the_words_of_a_text_as_tr_sort_and_uniq_do() {
    write_text
    engine run "$ROOT/topologies/word_count.lua" --set input=text
    exits 0
    counts_like_uniq text
    equal "$(figure lines acked)" 20000 "lines acked"
}

e2e_the_readme_shows_the_topology_that_runs() {
    sed -n '/^```lua$/,/^```$/p' "$ROOT/README.md" | sed '1d;$d' > shown
    sed -e '/^--/d' "$ROOT/topologies/word_count.lua" | sed '/./,$!d' > runs
    same shown runs
}

e2e_counts_the_same_with_one_thread_and_with_four() {
    write_text
    for threads in 1 4; do
        engine run "$ROOT/topologies/word_count.lua" --set input=text --threads "$threads" --quiet
        exits 0
        counts_like_uniq text
    done
}

e2e_says_what_runs_before_it_runs_and_what_it_did_at_the_end() {
    printf 'a b a\n' > text
    engine run "$ROOT/topologies/word_count.lua" --set input=text
    exits 0
    says "word-count"
    says "at-least-once"
    says "in memory only"
    equal "$(figure split in)" 1 "lines that split read"
    equal "$(figure split out)" 3 "words that split emitted"
}

e2e_an_empty_input_gives_an_empty_result() {
    : > text
    engine run "$ROOT/topologies/word_count.lua" --set input=text --quiet
    exits 0
    prints ""
    equal "$(cat err)" "" "stderr of a quiet run"
}

# sink_of FORMAT: a topology with all kinds of values.
sink_of() {
    cat > t.lua <<LUA
return topology "values" {
  spout "in" {
    list { { 1, "one", true }, { 2.0, "a,b", false }, { -3, 'say "x"', true }, { 1e100, "tab\tbed", nil } },
    fields = { "n", "text", "flag" },
  },
  sink "out" { from = shuffle "in", stdout { format = "$1" } },
}
LUA
}

e2e_text_joins_values_by_tabs() {
    sink_of text
    engine run --quiet t.lua
    exits 0
    prints "$(printf '1\tone\ttrue\n2.0\ta,b\tfalse\n-3\tsay "x"\ttrue\n1e+100\ttab\tbed\t\n')"
}

e2e_json_is_an_object_in_the_order_of_the_fields() {
    sink_of json
    engine run --quiet t.lua
    exits 0
    prints '{"n":1,"text":"one","flag":true}
{"n":2.0,"text":"a,b","flag":false}
{"n":-3,"text":"say \"x\"","flag":true}
{"n":1e+100,"text":"tab\tbed","flag":null}'
    lua5.4 "$HERE/json.lua" < out > why || fail "$(cat why)"
}

e2e_csv_has_one_header_and_quotes_what_needs_it() {
    sink_of csv
    engine run --quiet t.lua
    exits 0
    prints 'n,text,flag
1,one,true
2.0,"a,b",false
-3,"say ""x""",true
1e+100,tab	bed,'
}

e2e_tables_travel_and_print_as_json() {
    cat > t.lua <<'LUA'
return topology "tables" {
  spout "in" { generator { count = 1, make = function(i) return { a = { 1, 2, { b = "c" } }, z = null } end }, fields = { "t" } },
  bolt "same" { from = shuffle "in", fields = { "t", "b" }, execute = function(self, t) self.emit(t, t.a[3].b) end },
  sink "out" { from = shuffle "same", stdout { format = "json" } },
}
LUA
    engine run --quiet t.lua
    exits 0
    prints '{"t":{"a":[1,2,{"b":"c"}],"z":null},"b":"c"}'
}

e2e_a_generator_makes_each_number_once() {
    cat > t.lua <<'LUA'
return topology "numbers" {
  spout "in" { generator { count = 10000 }, fields = { "n" }, tasks = 3 },
  bolt "twice" { from = shuffle "in", fields = { "n" }, tasks = 2, execute = function(self, n) self.emit(2 * n) end },
  sink "out" { from = shuffle "twice", stdout {} },
}
LUA
    engine run --quiet t.lua
    exits 0
    sort -n out > sorted
    seq 2 2 20000 | cmp -s - sorted || fail "not each even number once"
}

e2e_null_takes_everything_and_prints_nothing() {
    cat > t.lua <<'LUA'
return topology "nothing" {
  spout "in" { generator { count = 5000 }, fields = { "n" } },
  sink "out" { from = shuffle "in", null {} },
}
LUA
    engine run t.lua
    exits 0
    prints ""
    equal "$(figure out in)" 5000 "tuples that null took"
}

e2e_a_spout_in_lua_ends_when_next_returns_false() {
    cat > t.lua <<'LUA'
return topology "lua" {
  spout "in" {
    fields = { "n" },
    open = function(self, context) self.n = 0 end,
    next = function(self)
      if self.n == 3 then return false end
      self.n = self.n + 1
      self.emit_id(self.n, self.n)
    end,
    ack = function(self, id) log.info("acked " .. id) end,
  },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    engine run --quiet t.lua
    exits 0
    prints "$(seq 3)"
    for i in 1 2 3; do says "acked $i"; done
}

e2e_finish_emits_after_all_input_and_in_topological_order() {
    cat > t.lua <<'LUA'
return topology "sums" {
  spout "in" { generator { count = 1000 }, fields = { "n" } },
  bolt "part" {
    from = shuffle "in", fields = { "sum" }, tasks = 3,
    prepare = function(self) self.sum = 0 end,
    execute = function(self, n) self.sum = self.sum + n end,
    finish = function(self) self.emit(self.sum) end,
  },
  bolt "all" {
    from = global "part", fields = { "parts", "sum" },
    prepare = function(self) self.parts, self.sum = 0, 0 end,
    execute = function(self, sum) self.parts, self.sum = self.parts + 1, self.sum + sum end,
    finish = function(self) self.emit(self.parts, self.sum) end,
  },
  sink "out" { from = global "all", stdout {} },
}
LUA
    engine run --quiet t.lua
    exits 0
    prints "$(printf '3\t500500')"
}

e2e_several_streams_and_inputs_reach_the_right_functions() {
    cat > t.lua <<'LUA'
return topology "streams" {
  spout "in" { generator { count = 10 }, fields = { "n" } },
  bolt "split" {
    from = shuffle "in",
    streams = { default = { "n" }, odd = { "n", "why" } },
    execute = function(self, n)
      if n % 2 == 0 then self.emit(n) else self.emit_to("odd", n, "odd") end
    end,
  },
  bolt "even" { from = shuffle "split", fields = { "text" }, execute = function(self, n) self.emit(n .. " even") end },
  bolt "odd" { from = shuffle "split:odd", fields = { "text" }, execute = function(self, n, why) self.emit(n .. " " .. why) end },
  sink "out" { from = { shuffle "even", shuffle "odd" }, stdout {} },
}
LUA
    engine run --quiet t.lua
    exits 0
    prints_sorted "$(for i in 1 3 5 7 9; do echo "$i odd"; done; for i in 2 4 6 8 10; do echo "$i even"; done)"
}

e2e_equal_keys_meet_in_one_task() {
    cat > t.lua <<'LUA'
return topology "keys" {
  spout "in" { generator { count = 3000, make = function(i) return "k" .. i % 50 end }, fields = { "k" } },
  bolt "count" {
    from = fields("in", "k"), fields = { "k", "n" }, tasks = 4,
    prepare = function(self) self.n = {} end,
    execute = function(self, k) self.n[k] = (self.n[k] or 0) + 1 end,
    finish = function(self) for k, n in pairs(self.n) do self.emit(k, n) end end,
  },
  sink "out" { from = global "count", stdout {} },
}
LUA
    engine run --quiet t.lua
    exits 0
    prints_sorted "$(for i in $(seq 0 49); do printf 'k%s\t60\n' "$i"; done)"
}

e2e_a_slow_prepare_gets_no_tuple_before_it_is_through() {
    cat > t.lua <<'LUA'
return topology "slow" {
  spout "in" { generator { count = 30000 }, fields = { "n" } },
  bolt "slow" {
    from = shuffle "in", fields = { "n" }, tasks = 2,
    prepare = function(self)
      for i = 1, 3e7 do end
      self.ready = true
    end,
    execute = function(self, n) self.emit(self.ready and n or "not prepared") end,
  },
  sink "out" { from = shuffle "slow", stdout {} },
}
LUA
    engine run --quiet --threads 4 t.lua
    exits 0
    sort -n out > sorted
    seq 30000 | cmp -s - sorted || fail "not each number once"
}
