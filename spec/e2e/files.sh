# files.sh - the file connector on real files: many, packed, CSV, followed as
# they grow, rotated; and what is wrong with them.

# reads OPTIONS [FIELDS]: file { OPTIONS } to stdout.
reads() {
    cat > t.lua <<LUA
return topology "reads" {
  spout "in" { file { $1 }${2:+, fields = { $2 \}} },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
}

left_out() { # N: that many parts
    exits 1
    local nouns="parts of the input were"
    [ "$1" -ne 1 ] || nouns="part of the input was"
    says "engine: $1 $nouns left out; the log says why"
}

# ---- several ----

e2e_files_of_a_pattern_are_read_in_order() {
    mkdir -p logs
    printf '3\n4' > logs/b.txt
    printf '1\n2\n' > logs/a.txt
    echo 9 > logs/c.log
    echo 9 > logs/.a.txt
    reads 'path = "logs/*.txt"'
    engine run --quiet t.lua
    exits 0
    prints $'1\n2\n3\n4'
    reads 'paths = { "logs/c.log", "logs/[ab].t?t" }'
    engine run --quiet t.lua
    exits 0
    prints $'9\n1\n2\n3\n4'
}

e2e_files_are_dealt_out_to_tasks() {
    mkdir logs
    local i
    for i in 1 2 3 4 5 6 7; do seq "$((i * 1000))" "$((i * 1000 + 999))" > "logs/$i"; done
    gzip logs/3
    reads 'path = "logs/*" }, tasks = 3, config = {'
    engine run --quiet t.lua
    exits 0
    prints_sorted "$(seq 1000 7999)"
}

e2e_failed_lines_come_again_from_their_files() {
    mkdir logs
    seq 1 500 > logs/a
    seq 501 1000 | gzip > logs/b
    seq 1001 1500 > logs/c
    seq 1501 2000 | zstd -q > logs/d
    cat > t.lua <<'LUA'
return topology "again" {
  spout "in" { file { path = "logs/*" } },
  bolt "once" {
    from = shuffle "in", fields = { "line" },
    prepare = function(self) self.seen = {} end,
    execute = function(self, line)
      if tonumber(line) % 100 == 0 and not self.seen[line] then
        self.seen[line] = true
        error "not yet"
      end
      self.emit(line)
    end,
  },
  sink "out" { from = shuffle "once", stdout {} },
}
LUA
    engine run t.lua
    exits 0
    prints_sorted "$(seq 2000)"
    equal "$(figure in replayed)" 20 "replayed"
}

e2e_a_pattern_without_a_match_ends_the_run() {
    reads 'path = "logs/*.txt"'
    engine run --quiet t.lua
    exits 1
    says "logs/*.txt: no file matches; check the pattern"
    echo 1 > a
    reads 'paths = { "a", "b" }'
    engine run --quiet t.lua
    exits 1
    says "b: No such file or directory; check the path"
    prints ""
}

e2e_a_folder_among_files_is_left_out() {
    mkdir -p logs/b
    echo 1 > logs/a
    echo 2 > logs/c
    reads 'path = "logs/*"'
    engine run --quiet t.lua
    says "logs/b: Is a directory; name a file in this folder; the file was left out"
    left_out 1
    prints $'1\n2'
}

e2e_a_file_that_may_not_be_read_is_left_out() {
    [ "$(id -u)" -ne 0 ] || return 0 # root may
    echo 1 > a
    echo 2 > b
    chmod 0 a
    reads 'paths = { "a", "b" }'
    engine run --quiet t.lua
    says "a: Permission denied; allow this user to read it; the file was left out"
    left_out 1
    prints 2
}

e2e_options_of_a_file_exclude_each_other() {
    local options said
    while IFS='|' read -r options said; do
        reads "$options"
        engine run t.lua
        exits 78
        says "t.lua:2: $said"
    done <<'CASES'
path = "a", paths = { "b" }|path and paths are both given; keep one
paths = {}|paths of file is a table; give a list of texts
paths = { "a", 7 }|paths of file holds 7; give texts
path = "a", header = false|header is an option of format = "csv"; add that
path = "a*", follow = true|follow = true is for one file; give path without * ? [ ]
paths = { "a", "b" }, follow = true|follow = true is for one file
path = "a", rotate = "1KB"|rotate is an option of file as a sink
path = "a", format = "csv"|spout 'in' has no fields
CASES
}

# ---- packed ----

e2e_packed_files_are_known_by_what_is_in_them() {
    seq 100000 > expected
    seq 30000 | gzip -9 > a.txt
    seq 30001 50000 | gzip -1 >> a.txt
    seq 50001 70000 | zstd -q > b.gz
    seq 70001 99999 | zstd -q >> b.gz
    printf 100000 > c.zst
    reads 'paths = { "a.txt", "b.gz", "c.zst" }'
    engine run --quiet t.lua
    exits 0
    same out expected
}

e2e_packed_files_that_are_cut_short_give_their_whole_lines() {
    seq 100000 > all
    gzip < all | head -c 100000 > a.gz
    zstd -q < all | head -c 60000 > b.zst
    echo last > c
    reads 'paths = { "a.gz", "b.zst", "c" }'
    engine run --quiet t.lua
    says "a.gz: the gzip data are cut short at byte 100000; what stands before was read, get the file anew"
    says "b.zst: the zstd data are cut short at byte 60000"
    left_out 2
    # Each: a beginning of the numbers, and nothing else.
    awk '$0 == "last" { print n; exit } $0 == 1 { if (n) print n; n = 0 } { if ($0 != ++n) exit 1 }' out > counts ||
        fail "a line is wrong: $(tail -3 out)"
    equal "$(wc -l < counts)" 2 "files with lines"
    [ "$(sort -n counts | head -1)" -gt 1000 ] || fail "too few lines: $(cat counts)"
    equal "$(tail -1 out)" last "the last line"
}

e2e_packed_files_that_are_damaged_are_said() {
    seq 1000 | gzip > a.gz
    printf '\0\0\0\0' | dd of=a.gz bs=1 seek=$(($(stat -c %s a.gz) - 8)) conv=notrunc 2> /dev/null
    { seq 3 | gzip; echo rubbish; } > b.gz
    reads 'paths = { "a.gz", "b.gz" }'
    engine run --quiet t.lua
    says "a.gz: the gzip data are damaged at byte"
    says "(incorrect data check)"
    says "b.gz: the gzip data are followed by something else at byte"
    left_out 2
    prints "$(seq 1000; seq 3)"
}

e2e_a_library_that_is_missing_is_said_with_its_package() {
    mkdir none
    : > none/libz.so.1
    : > none/libzstd.so.1
    seq 3 | gzip > a
    seq 3 | zstd -q > b
    seq 4 5 > c
    reads 'paths = { "a", "b", "c" }'
    LD_LIBRARY_PATH=$PWD/none timeout -k 5 "$PATIENCE_S" "$ENGINE" run --quiet t.lua > out 2> err
    code=$?
    says "a: it is compressed by gzip, and libz.so.1 can't be loaded; install Debian's package zlib1g; the file was left out"
    says "b: it is compressed by zstd, and libzstd.so.1 can't be loaded; install Debian's package libzstd1"
    left_out 2
    prints $'4\n5'
}

e2e_what_is_read_in_order_only_is_one_tasks() {
    seq 50000 > expected
    gzip -c expected > a.gz
    reads 'path = "a.gz" }, tasks = 3, config = {'
    engine run --quiet t.lua
    exits 0
    same out expected
    says "a.gz can be read in order only: one task of 3 reads it, the others have nothing to do"
    { echo n; seq 50000; } > a.csv
    cat > t.lua <<'LUA'
return topology "csv" {
  spout "in" { file { path = "a.csv", format = "csv" }, fields = { "n" }, tasks = 3 },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    engine run --quiet t.lua
    exits 0
    same out expected
    says "a.csv can be read in order only: one task of 3 reads it"
}

# ---- CSV ----

e2e_csv_brings_columns_by_their_names() {
    printf '\357\273\277id,"unit price",name\r\n1,2.50,"disk, 5"""\r\n2,,"two\r\nlines"\r\n' > a.csv
    cat > t.lua <<'LUA'
return topology "csv" {
  spout "in" { file { path = "a.csv", format = "csv" }, fields = { "name", "unit price" } },
  sink "out" { from = shuffle "in", stdout { format = "json" } },
}
LUA
    engine run --quiet t.lua
    exits 0
    prints '{"name":"disk, 5\"","unit price":"2.50"}
{"name":"two\r\nlines","unit price":""}'
}

e2e_csv_without_a_header_goes_by_position() {
    printf 'a,1\nb,2\n' > a.csv
    reads 'path = "a.csv", format = "csv", header = false' '"k", "n"'
    engine run --quiet t.lua
    exits 0
    prints $'a\t1\nb\t2'
}

e2e_csv_that_was_written_is_read_again() {
    cat > w.lua <<'LUA'
return topology "write" {
  spout "in" { list { { "a,b", 'say "so"' }, { "two\nlines", "" }, { " x ", "\r" } }, fields = { "k", "v" } },
  sink "out" { from = shuffle "in", file { path = "a.csv", format = "csv" } },
}
LUA
    engine run --quiet w.lua
    exits 0
    cp a.csv first.csv
    cat > t.lua <<'LUA'
return topology "copy" {
  spout "in" { file { path = "first.csv", format = "csv" }, fields = { "k", "v" } },
  sink "out" { from = shuffle "in", file { path = "a.csv", format = "csv" } },
}
LUA
    engine run --quiet t.lua
    exits 0
    same a.csv first.csv
}

reads_stdin() { # OPTIONS FIELDS
    cat > t.lua <<LUA
return topology "piped" {
  spout "in" { stdin { $1 }, fields = { $2 } },
  sink "out" { from = shuffle "in", stdout { format = "json" } },
}
LUA
}

e2e_csv_from_stdin_brings_columns_by_their_names() {
    reads_stdin 'format = "csv"' '"name", "unit price"'
    engine run --quiet t.lua < <(
        printf '\357\273\277id,"unit price",name\r\n1,2.50,"disk, 5"""\r\n2,,"two\r\nlines"'
    )
    exits 0
    prints '{"name":"disk, 5\"","unit price":"2.50"}
{"name":"two\r\nlines","unit price":""}'
    reads_stdin 'format = "csv", header = false' '"k", "n"'
    engine run --quiet t.lua < <(printf 'a,1\nb\nc,2\n')
    exits 1
    says "stdin:2: 1 value where 2 belong; the record was left out"
    prints '{"k":"a","n":"1"}
{"k":"c","n":"2"}'
}

# Who writes goes on: nobody waits for the end of it.
e2e_csv_from_stdin_without_a_column_ends_at_once() {
    reads_stdin 'format = "csv"' '"name", "price"'
    mkfifo pipe
    exec 8<> pipe
    printf 'name,prices\na,1\n' >&8
    engine run --quiet t.lua < pipe
    exits 1
    prints ""
    says "stdin:1: the header has no column 'price'; did you mean 'prices'?; the input was left out"
    exec 8>&-
}

e2e_csv_with_ragged_lines_goes_on() {
    printf 'k,v\na,1\nb\nc,"x\ny"\nd,4,5\n"e,5\n' > a.csv
    echo 'k,w' > b.csv
    printf 'v,k\n6,f\n' > c.csv
    reads 'path = "*.csv", format = "csv"' '"k", "v"'
    engine run --quiet t.lua
    says "a.csv:3: 1 value where 2 belong; the record was left out"
    says "a.csv:6: 3 values where 2 belong"
    says "a.csv:7: a quote is never closed"
    says "b.csv:1: the header has no column 'v'"
    left_out 4
    prints $'a\t1\nc\tx\ny\nf\t6'
}

e2e_a_flood_of_ragged_lines_is_counted_in_the_log() {
    { echo k,v; yes 1 | head -20000; echo a,b; } > a.csv
    reads 'path = "a.csv", format = "csv"' '"k", "v"'
    engine run --quiet t.lua
    left_out 20000
    prints $'a\tb'
    [ "$(wc -l < err)" -lt 20 ] || fail "the log has $(wc -l < err) lines"
}

# ---- followed ----

out_is() { [ "$(cat out)" = "$1" ]; }

e2e_a_followed_file_is_read_as_tail_does() {
    reads 'path = "log", follow = true'
    printf 'one\ntw' > log
    start run t.lua
    until_so "the first line is there" out_is one
    echo o >> log
    until_so "the second is whole" out_is $'one\ntwo'
    mv log log.1
    echo three >> log.1
    until_so "the old file is read on" out_is $'one\ntwo\nthree'
    printf 'four' >> log.1
    echo five > log
    until_so "the new one is read" out_is $'one\ntwo\nthree\nfour\nfive'
    : > log
    until_so "truncation is said" said "log was truncated; it is read from its beginning"
    echo six >> log
    until_so "it is read from its beginning" out_is $'one\ntwo\nthree\nfour\nfive\nsix'
    rm log
    until_so "deletion is said" said "log was deleted; it is waited for until there is a new one"
    printf 'seven\neight' > log
    until_so "the next one is read" out_is $'one\ntwo\nthree\nfour\nfive\nsix\nseven'
    kill -INT "$pid"
    finishes
    exits 0
    prints $'one\ntwo\nthree\nfour\nfive\nsix\nseven\neight'
    says "log was truncated" 1
    equal "$(grep -c 'was deleted' err)" 1 "said"
    equal "$(grep -c 'was truncated' err)" 1 "said"
}

e2e_a_followed_csv_has_a_header_in_each_file() {
    reads 'path = "log", follow = true, format = "csv"' '"k"'
    printf 'k,n\na,1\n"b\n' > log
    start run t.lua
    until_so "the first record is there" out_is a
    printf 'c",2\n' >> log
    until_so "the second is whole" out_is $'a\nb\nc'
    mv log log.1
    printf 'n,k\n3,d\n' > log
    until_so "the new file's columns are known" out_is $'a\nb\nc\nd'
    printf '4,e' >> log
    kill -INT "$pid"
    finishes
    exits 0
    [ "$(cat out)" = $'a\nb\nc\nd' ] || prints $'a\nb\nc\nd\ne' # as it was seen in time or not
}

e2e_a_followed_csv_with_a_wrong_header_waits_for_another() {
    reads 'path = "log", follow = true, format = "csv"' '"k"'
    printf 'num,kk\n1,a\n' > log
    start run t.lua
    until_so "the header is told" said "log:1: the header has no column 'k'; did you mean 'kk'?; the file was left out and a new one by its name is waited for"
    mv log log.1
    printf 'n,k\n1,b\n' > log
    until_so "the new one is read" out_is b
    kill -INT "$pid"
    finishes
    exits 1
    left_out 1
}

e2e_a_followed_file_that_is_not_there_is_said() {
    reads 'path = "log", follow = true'
    engine run --quiet t.lua
    exits 1
    says "log: No such file or directory; check the path"
    seq 3 | gzip > log
    engine run --quiet t.lua
    says "log: it is compressed, and such a file can't be followed; leave follow out; the file was left out"
    left_out 1
}

e2e_a_followed_file_costs_next_to_nothing() {
    reads 'path = "log", follow = true'
    echo one > log
    start run --quiet t.lua
    until_so "the line is there" out_is one
    local before after
    before=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
    sleep 1
    after=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
    [ $((after - before)) -le 10 ] || fail "$((after - before)) ticks in a second"
    kill -INT "$pid"
    finishes
    exits 0
}

# ---- a sink that rotates ----

writes() { # COUNT OPTIONS
    cat > t.lua <<LUA
return topology "writes" {
  spout "in" { generator { count = $1 }, fields = { "n" } },
  sink "out" { from = shuffle "in", file { $2 } },
}
LUA
}

e2e_a_sink_rotates_between_lines() {
    writes 3000 'path = "log", rotate = "1KB", keep = 100'
    engine run --quiet t.lua
    exits 0
    local files
    mapfile -t files < <(ls -v log.* | tac)
    [ ${#files[@]} -ge 13 ] || fail "only ${#files[@]} files"
    cat "${files[@]}" log > all
    seq 3000 > expected
    same all expected
    [ "$(stat -c %s "${files[@]}" log | sort -n | tail -1)" -le 1024 ] || fail "a file is too large"
}

e2e_each_task_of_a_sink_rotates_its_own_file() {
    writes 3000 'path = "log", rotate = "1KB", keep = 100 }, tasks = 2, config = {'
    engine run --quiet t.lua
    exits 0
    [ -s log.0.3 ] && [ -s log.1.3 ] || fail "files: $(echo log*)"
    sort -n log.* > all
    seq 3000 > expected
    same all expected
}

e2e_an_appended_file_is_rotated_by_its_whole_size() {
    seq 100 > log
    writes 1 'path = "log", rotate = 292, append = true'
    engine run --quiet t.lua
    exits 0
    equal "$(cat log)" 1 "the new file"
    seq 100 > expected
    same log.1 expected
}

e2e_a_rotated_csv_has_a_header_in_each_file_and_keeps_so_many() {
    writes 3000 'path = "log", rotate = 1000, keep = 2, format = "csv"'
    engine run --quiet t.lua
    exits 0
    equal "$(echo log*)" "log log.1 log.2" "files"
    local f
    for f in log log.1 log.2; do equal "$(head -1 $f)" n "the header of $f"; done
    equal "$(cat log.2 log.1 log | grep -v n | tail -1)" 3000 "the last"
}

e2e_a_sink_that_can_not_rotate_goes_on_writing() {
    mkdir -p log.1/full # a folder that isn't empty can't be replaced
    : > log.1/full/x
    writes 3000 'path = "log", rotate = 4000, keep = 1'
    engine run t.lua
    exits 0
    says "log.1: "
    says "; log can't be rotated and goes on growing"
    seq 3000 > expected
    same log expected
    equal "$(figure in acked)" 3000 "acked"
}

e2e_what_is_no_file_can_not_be_rotated() {
    writes 3 'path = "/dev/null", rotate = "1MB"'
    engine run t.lua
    exits 1
    says "/dev/null is a pipe or a device and can't be rotated; remove rotate"
    writes 3 'path = "log", keep = 3'
    engine run t.lua
    exits 78
    says "keep is an option of rotate; add rotate = \"64MB\""
    writes 3 'path = "log", rotate = "big"'
    engine run t.lua
    exits 78
    says "rotate of file is 'big'; give a size like \"64MB\""
    writes 3 'paths = { "a" }'
    engine run t.lua
    exits 78
    says "paths is an option of file as a source; as a sink it writes one file"
}
