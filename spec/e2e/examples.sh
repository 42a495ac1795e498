# examples.sh - the examples on the real data that `./build.sh data` and
# `./build.sh data tables` write, against what awk, tr and sort make of them.

DATA=$ROOT/build/data

# has_data FILE…: without them the case fails and says why.
has_data() {
    local file
    for file in "$@"; do
        [ -s "$DATA/$file" ] || fail "build/data/$file is not there; run ./build.sh data and ./build.sh data tables"
    done
}

e2e_example_web_log_finds_what_awk_finds() {
    has_data access.log
    engine run --quiet "$ROOT/topologies/web_log.lua" --set input="$DATA/access.log"
    exits 0
    awk '$9 >= 500 { n[substr($4, 2, 17)]++ } END { for (m in n) print "errors\t" m "\t" n[m] }' "$DATA/access.log" | sort > expected
    grep ^errors out | sort > errors
    same errors expected
    awk '{ n[$7]++; ms[$7] += $NF } END { for (p in n) if (n[p] >= 50) printf "slow\t%s\t%.2f\n", p, ms[p] / n[p] }' "$DATA/access.log" |
        sort -k3,3nr | head -5 > expected
    grep ^slow out > slow
    same slow expected
}

e2e_example_busy_counts_what_awk_counts() {
    has_data access.log
    engine run --quiet "$ROOT/topologies/busy.lua" --set input="$DATA/access.log" --set n=1000
    exits 0
    awk -F '[][/: ]+' '
        { at = ($4 - 1) * 86400 + $7 * 3600 + $8 * 60 + $9 # of January
          for (end = int((at + 599) / 600) * 600; end < at + 3600; end += 600) n[end - 3600]++ }
        END { for (t in n) if (t >= 0)
                  printf "2001-01-%02d %02d:%02d\t%d\n", t / 86400 + 1, t % 86400 / 3600, t % 3600 / 60, n[t] }' "$DATA/access.log" |
        sort > expected
    grep ^2001 out | cut -f 1,2 | sort > hours
    same hours expected
}

e2e_example_join_sums_what_awk_sums() {
    has_data airports.csv flights-airport.csv
    engine run --quiet "$ROOT/topologies/join.lua" --set airports="$DATA/airports.csv" --set routes="$DATA/flights-airport.csv"
    exits 0
    never_says "which no table knows"
    # A name in quotes may have a comma: it is not looked at.
    sed -E 's/"([^"]|"")*"/name/' "$DATA/airports.csv" | awk -F , '
        NR == FNR { state[$1] = $4; next }
        FNR > 1 { sum[state[$1]] += $3 }
        END { for (s in sum) print s "\t" sum[s] }' - "$DATA/flights-airport.csv" | sort -k2,2nr | head -5 > expected
    same out expected
}

# With a slice that never ends the last line is the whole text.
e2e_example_trending_ranks_as_sort_and_uniq_do() {
    has_data kjv.txt
    head -5000 "$DATA/kjv.txt" > text
    engine run --quiet "$ROOT/topologies/trending.lua" --set slice=1h < text
    exits 0
    tr -cs A-Za-z '\n' < text | tr A-Z a-z | grep . | sort | uniq -c | sort -k1,1nr -k2,2 | head -5 |
        awk '{ printf "%s\"%s %s\"", (NR > 1 ? "," : "{\"trending\":["), $2, $1 } END { print "]}" }' > expected
    same out expected
}

e2e_example_alert_follows_the_log_as_it_grows() {
    has_data access.log
    awk -v limit=4 '
        { minute = substr($4, 2, 17) }
        minute != last { if (firing && n < limit) { firing = 0; print "RESOLVED\t" last } last = minute; n = 0 }
        $9 >= 500 { n++ }
        n >= limit && !firing { firing = 1; print "FIRING\t" minute }' "$DATA/access.log" > expected
    head -500 "$DATA/access.log" > log
    start run --quiet "$ROOT/topologies/alert.lua" --set input=log
    until_so "the first alert is there" grep -qxF "$(head -1 expected)" out
    tail -n +501 "$DATA/access.log" >> log
    until_so "the last is there" grep -qxF "$(tail -1 expected)" out
    kill -TERM "$pid"
    finishes
    exits 0
    same out expected
}
