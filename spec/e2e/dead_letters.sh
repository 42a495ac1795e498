# dead_letters.sh - what has failed for good goes to the stream `failed`.

# letters CODE [KEYS]: the lines of in.txt go through a bolt that does CODE.
letters() {
    cat > t.lua <<LUA
return topology "letters" {
  spout "lines" { file { path = "in.txt" }, retries = 1, ${2:-}
    streams = { failed = { "line", "reason", "component", "task" } } },
  bolt "upper" {
    from = shuffle "lines", fields = { "line" },
    execute = function(self, line)
      $1
      self.emit(line:upper())
    end,
  },
  sink "out" { from = shuffle "upper", stdout {} },
  sink "dead" { from = shuffle "lines:failed", file { path = "failed.jsonl", format = "json" } },
}
LUA
}

e2e_what_failed_for_good_is_in_a_file_with_its_reason() {
    seq -f 'line %.0f' 2000 > in.txt
    letters 'if line:find "7$" then error("no sevens: " .. line, 0) end'
    engine run t.lua
    fails_well 200
    grep -v '7$' in.txt | tr a-z A-Z > expected
    sort -t ' ' -k 2n out > sorted
    same sorted expected
    for i in $(seq 7 10 2000); do
        echo "{\"line\":\"line $i\",\"reason\":\"no sevens: line $i\",\"component\":\"upper\",\"task\":0}"
    done > expected
    sort -t ' ' -k 2n failed.jsonl > sorted
    same sorted expected
    equal "$(figure lines acked)" 1800 "acked tuples"
    equal "$(figure lines failed)" 400 "failed tuples"
}

e2e_a_poisonous_line_goes_there_and_ends_nothing() {
    printf 'a\nb\nc\n' > in.txt
    letters 'if line == "b" then error("poison", 0) end'
    sed -i 's/bolt "upper" {/bolt "upper" { on_error = "crash",/' t.lua
    engine run t.lua
    fails_well 1
    [ "$(sort -u out | tr -d '\n')" = AC ] || fail "seen: $(seen out)"
    equal "$(cat failed.jsonl)" '{"line":"b","reason":"poison","component":"upper","task":0}' "letters"
}

e2e_nothing_fails_so_the_file_is_empty() {
    echo a > in.txt
    letters ''
    engine run t.lua
    exits 0
    prints A
    [ -e failed.jsonl ] && [ ! -s failed.jsonl ] || fail "there are letters"
}

e2e_its_fields_are_checked() {
    letters ''
    sed -i 's/"reason"/"raeson"/' t.lua
    engine check t.lua
    exits 78
    says "t.lua:2: stream 'failed' of spout 'lines' has the field 'raeson'"
    says "did you mean 'reason'?"
}
