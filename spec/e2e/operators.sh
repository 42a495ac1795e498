# operators.sh - what stands for execute: the same counts as tr, sort and uniq
# give, its errors, and what a reload takes over of it.
# write_text and count_independently are first_run.sh's.

# count_by_operators BODY FROM: a word count; BODY is what the bolt `words` does,
# FROM how `count` reads it.
count_by_operators() {
    cat > t.lua <<LUA
return topology "t" {
  spout "lines" { file { path = "text" } },
  bolt "words" { from = shuffle "lines", tasks = 2, $1 },
  bolt "count" { from = $2, count_by "word" },
  sink "out" { from = global "count", stdout {} },
}
LUA
}

e2e_operators_count_as_tr_sort_and_uniq_do() {
    write_text
    count_independently text > expected
    local split='fields = { "word" }, execute = function(self, line)
        for word in line:lower():gmatch "%a+" do self.emit(word) end end'
    for words in 'words "line"' "$split"; do
        for from in 'fields("words", "word")' 'shuffle "words"'; do
            count_by_operators "$words" "$from"
            for threads in 1 4; do
                engine run --quiet --threads "$threads" t.lua
                exits 0
                awk -F '\t' '{ print $2, $1 }' out | LC_ALL=C sort > counted
                same counted expected
            done
        done
    done
}

e2e_senders_that_combine_in_lua_add_up_to_the_same() {
    write_text
    count_independently text > expected
    for combine in true 'function(a, b) return a + b end' nil; do
        cat > t.lua <<LUA
return topology "t" {
  spout "lines" { file { path = "text" } },
  bolt "words" {
    from = shuffle "lines", fields = { "word", "n" }, tasks = 2,
    execute = function(self, line)
      for word in line:lower():gmatch "%a+" do self.emit(word, 1) end
    end,
  },
  bolt "count" {
    from = fields("words", "word"), tasks = 2, combine = $combine,
    reduce_by("word", "n", function(a, b) return a + b end),
  },
  sink "out" { from = global "count", stdout {} },
}
LUA
        for threads in 1 4; do
            engine run --quiet --threads "$threads" t.lua
            exits 0
            awk -F '\t' '{ print $2, $1 }' out | LC_ALL=C sort > counted
            same counted expected
        done
    done
}

e2e_a_reload_takes_a_combine_but_neither_adds_nor_removes_it() {
    cat > t.lua <<'LUA'
local function add(a, b) return a + b end
return topology "t" {
  spout "in" { generator { rate = 2000 }, fields = { "n" } },
  bolt "ones" { from = shuffle "in", fields = { "k", "n" }, map(function(n) return "all", 1 end) },
  bolt "sum" { from = global "ones", every = "50ms", combine = add, reduce_by("k", "n", add) },
  sink "out" { from = global "sum", file { path = "lines" } },
}
LUA
    start run --watch t.lua
    until_so "sums come" grep -qs all lines
    sed 's/combine = add, //' t.lua > new
    mv new t.lua
    until_so "it is refused" said "'combine' of 'sum' has changed"
    sed 's/"sum" {/"sum" { combine = function(a, b) return b + a end,/' t.lua > new
    mv new t.lua
    until_so "the new code runs" said "reload: the new code runs"
    kill -TERM "$pid"
    finishes
    exits 0
    equal "$(tail -1 lines)" "all	$(figure ones out)" "the last sum"
}

e2e_top_words_prints_the_most_frequent_first() {
    write_text
    engine run "$ROOT/topologies/top_words.lua" --set input=text --set n=5
    exits 0
    equal "$(figure lines acked)" 20000 "lines acked"
    equal "$(figure words out)" "$(figure count in)" "words counted"
    count_independently text | sort -k1,1nr | head -5 | cut -d ' ' -f 1 > expected
    cut -f 2 out > counts
    same counts expected
    while IFS=$'\t' read -r word count; do
        count_independently text | grep -qx "$count $word" || fail "'$word' did not come $count times"
    done < out
}

e2e_a_tuple_that_an_operator_can_not_use_fails_with_its_reason() {
    cat > t.lua <<'LUA'
return topology "t" {
  spout "in" { list { { "a b" }, { 7 }, { nil } }, fields = { "line" }, retries = 1 },
  bolt "words" { from = shuffle "in", words "line" },
  sink "out" { from = shuffle "words", stdout {} },
}
LUA
    engine run t.lua
    fails_well 2
    prints $'a\nb'
    says "words: field 'line' is an integer, not a string; emit text"
    says "words: field 'line' is nil, not a string; emit text"
}

e2e_wrong_operators_are_said_all_at_once() {
    cat > t.lua <<'LUA'
return topology "t" {
  spout "in" { stdin {} },
  bolt "a" { from = shuffle "in", words "lien" },
  bolt "b" { from = shuffle "a", count_by "word", execute = print },
  bolt "c" { from = shuffle "b", top("10", "count") },
  sink "out" { from = shuffle "c", stdout {} },
}
LUA
    engine run t.lua
    exits 78
    says "t.lua:3: words of bolt 'a' reads the field 'lien', which 'in' doesn't bring; did you mean 'line'?"
    says "t.lua:4: bolt 'b' has both count_by and execute; an operator does that itself"
    says "t.lua:5: argument 1 of top of bolt 'c' is '10'; give a whole number from 1 to 1000000: top(10, \"count\")"
}

e2e_a_reload_takes_an_operator_s_function_and_no_other_argument() {
    cat > t.lua <<'LUA'
return topology "t" {
  spout "in" { generator { rate = 1000 }, fields = { "n" } },
  bolt "tag" { from = shuffle "in", fields = { "tag" }, map(function(n) return "first" end) },
  bolt "best" { from = global "tag", top(3, "tag"), every = "50ms" },
  sink "out" { from = global "best", file { path = "lines" } },
}
LUA
    start run --watch t.lua
    until_so "tuples flow" grep -qs first lines
    sed 's/top(3/top(4/' t.lua > new
    mv new t.lua
    until_so "it is refused" said "'top' of 'best' has changed"
    sed 's/top(4/top(3/; s/first/second/' t.lua > new
    mv new t.lua
    until_so "the new function runs" grep -qs second lines
    kill -TERM "$pid"
    finishes
    exits 0
    equal "$(tail -3 lines | sort -u)" second "the top at the end"
}
