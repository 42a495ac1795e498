# json_lines.sh - JSON from lines to lines: records as they came but for what is
# assigned, keys as fields, and lines that are no JSON.

# shouting SOURCE SINK: a topology that changes one field of each record.
shouting() {
    cat > t.lua <<LUA
return topology "shouting" {
  spout "in" { $1 },
  bolt "up" {
    from = shuffle "in",
    fields = { "record" },
    execute = function(self, record)
      record.level = record.level:upper()
      self.emit(record)
    end,
  },
  sink "out" { from = shuffle "up", $2 },
}
LUA
}

# records COUNT: in the file `in`, and what becomes of them in `expected`.
records() {
    seq "$1" | sed 's/.*/{"id":&, "level":"debug","ms":131.0,"msg":"caf\\u00e9 \\"&\\"", "in":{"a":[1,2.50]}}/' > in
    sed 's/"debug"/"DEBUG"/' in > expected
}

e2e_records_keep_every_byte_but_those_that_are_assigned() {
    records 20000
    shouting 'file { path = "in", format = "json" }' 'stdout { format = "json" }'
    engine run --quiet t.lua
    exits 0
    same out expected
    shouting 'stdin { format = "json" }' 'file { path = "lines", format = "json" }'
    timeout -k 5 "$PATIENCE_S" "$ENGINE" run --quiet t.lua < in > out 2> err
    code=$?
    exits 0
    same lines expected
}

e2e_several_tasks_read_each_record_once() {
    records 30000
    shouting 'file { path = "in", format = "json" }, tasks = 3' 'stdout { format = "json" }'
    engine run --quiet t.lua
    exits 0
    sort -o out out
    sort -o expected expected
    same out expected
}

e2e_keys_become_fields_by_position() {
    cat > t.lua <<'LUA'
return topology "keys" {
  spout "in" { file { path = "in", format = "json" }, fields = { "b", "a", "c" } },
  sink "out" { from = shuffle "in", stdout { format = param("format", "text") } },
}
LUA
    printf '%s\n' '{"a":1,"b":"x\ty"}' '{"b":null,"c":{"z":[1, 2.0]},"a":1.50}' \
        '{"a":1,"b":2,"a":3}' > in
    engine run --quiet t.lua
    exits 0
    prints "$(printf 'x\ty\t1\t\n\t1.5\t{"z":[1, 2.0]}\n2\t3\t')"
    engine run --quiet t.lua --set format=json
    prints '{"b":"x\ty","a":1,"c":null}
{"b":null,"a":1.5,"c":{"z":[1, 2.0]}}
{"b":2,"a":3,"c":null}'
    engine run --quiet t.lua --set format=csv
    prints 'b,a,c
x	y,1,
,1.5,"{""z"":[1, 2.0]}"
2,3,'
}

e2e_a_line_that_is_no_object_is_said_counted_and_left_out() {
    shouting 'file { path = "in", format = "json" }' 'stdout { format = "json" }'
    printf '%s\n' '{"level":"a"}' '' '{"level":}' '   ' '[1]' '{"level":"é" 1}' \
        '{"level":"b"}' > in
    printf '{"level":"c"' >> in
    engine run --quiet t.lua
    exits 1
    prints '{"level":"A"}
{"level":"B"}'
    says 'in:3: no JSON object at column 10: a value is missing; mend the line, it was left out'
    says 'in:5: no JSON object at column 1: an object begins with {'
    says 'in:6: no JSON object at column 14: a comma or } is missing'
    says 'in:8: no JSON object at column 13: the text ends in the middle of a value'
    says 'engine: 4 parts of the input were left out; the log says why'
    shouting 'file { path = "in", format = "json" }, tasks = 2' 'stdout { format = "json" }'
    engine run --quiet t.lua
    exits 1
    says 'in: the line at byte 15: no JSON object at column 10'
    says 'engine: 4 parts of the input were left out; the log says why'
}

e2e_json_is_read_from_many_files_and_packed_ones() {
    shouting 'file { path = "in/*", format = "json" }' 'stdout { format = "json" }'
    mkdir in
    printf '%s\n' '{"level":"a"}' '{"level":' '{"level":"b"}' > in/1
    printf '%s\n' '{"level":"c"}' 'no' | gzip > in/2
    printf '{"level":"d"}' | zstd -q > in/3
    engine run --quiet t.lua
    exits 1
    prints '{"level":"A"}
{"level":"B"}
{"level":"C"}
{"level":"D"}'
    says 'in/1:2: no JSON object at column 10'
    says 'in/2:2: no JSON object at column 1'
    says 'engine: 2 parts of the input were left out; the log says why'
}

e2e_a_followed_file_of_json_is_read_to_its_last_byte_by_a_drain() {
    shouting 'file { path = "in", format = "json", follow = true }' 'stdout { format = "json" }'
    printf '{"level":"a"}\n{"level":\n{"level":"b"}' > in
    engine run --quiet t.lua --for 500ms
    exits 1
    prints '{"level":"A"}
{"level":"B"}'
    says 'in:2: no JSON object at column 10'
    says 'engine: 1 part of the input was left out; the log says why'
}

e2e_a_record_that_failed_comes_again() {
    records 300
    cat > t.lua <<'LUA'
return topology "again" {
  spout "in" { SOURCE },
  bolt "up" {
    from = shuffle "in",
    fields = { "record" },
    prepare = function(self) self.seen = {} end,
    execute = function(self, record)
      record.level = "DEBUG"
      if record.id % 100 == 0 and not self.seen[record.id] then
        self.seen[record.id] = true
        error "not yet"
      end
      self.emit(record)
    end,
  },
  sink "out" { from = shuffle "up", stdout { format = "json" } },
}
LUA
    sort -o expected expected
    gzip -k in
    for source in 'file { path = "in", format = "json" }' 'stdin { format = "json" }' \
        'file { path = "in.gz", format = "json" }'; do
        sed "s/SOURCE/$source/" t.lua > s.lua
        timeout -k 5 "$PATIENCE_S" "$ENGINE" run --quiet s.lua < in > out 2> err
        code=$?
        exits 0
        sort -o out out
        same out expected
    done
}

e2e_what_json_can_not_say_of_an_assigned_value_is_counted() {
    printf '{"level":"x"}\n' > in
    shouting 'file { path = "in", format = "json" }' 'stdout { format = "json" }'
    sed -i 's/record.level:upper()/"\\xff" record.n = 0\/0/' t.lua
    engine run --quiet t.lua
    exits 0
    prints '{"level":"�","n":null}'
    says '2 times JSON could not say'
}

e2e_records_are_reduced_by_their_texts() {
    printf '{"a":1}\n{"a":2}\n{"a":1}\n' > in
    cat > t.lua <<'LUA'
return topology "t" {
  spout "s" { file { path = "in", format = "json" } },
  bolt "ones" {
    from = shuffle "s",
    fields = { "k", "n" },
    execute = function(self, record) self.emit(record, 1) end,
  },
  bolt "sums" { from = global "ones", reduce_by("k", "n", function(a, b) return a + b end) },
  sink "out" { from = global "sums", stdout { format = "json" } },
}
LUA
    engine run --quiet t.lua
    exits 0
    prints '{"k":{"a":1},"n":2}
{"k":{"a":2},"n":1}'
}
