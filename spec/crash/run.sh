#!/usr/bin/env bash
# run.sh ENGINE [KILLS [SEED]] - kills runs that keep state with signal 9, at moments of the seed's choice, starts them
# again each time, lets the last one end, and looks at what is there. Half of the kills go to a run that promises
# at-least-once (lost must be 0; what was under way at a checkpoint may be counted twice), half to one that promises
# exactly-once, by way of a queue, into a file and into segments (both must be 0). A line of figures for each, the last line says how
# many were as they should be. Needs bash, coreutils, awk, lua5.4.
set -u
export LC_ALL=C
ENGINE=$(realpath "${1:?run.sh ENGINE [KILLS [SEED]]}") || exit 2
KILLS=$((${2:-1000} / 2))
RANDOM=${3:-1}
HERE=$(cd "$(dirname "$0")" && pwd)
FOLDER=$(mktemp -d) || exit 1
trap 'rm -rf "$FOLDER"' EXIT
cd "$FOLDER" || exit 1

now_us() { echo "${EPOCHREALTIME/./}"; }

run() { # its log is in `err`: tells of the first number
    exec "$ENGINE" run --quiet --data data --set count="$NUMBERS" "$@" "${FILES[@]}" > out 2> err
}

# Waits for the first number, at most 10 s; false: the run has ended before.
await_first() {
    local began
    began=$(now_us)
    until grep -q "the first" err; do
        kill -0 "$pid" 2> /dev/null || return 1
        [ $(($(now_us) - began)) -lt 10000000 ] || return 1
        sleep 0.001
    done
}

# Runs FILES until they have ended, and kills them on their way; $code is the last one's exit code.
campaign() {
    local kill
    rm -rf data restarts
    for ((kill = 1; kill <= KILLS; kill++)); do
        : > err
        began=$(now_us)
        run &
        pid=$!
        # One in ten is killed before it has begun.
        if [ $((RANDOM % 10)) -gt 0 ]; then
            await_first && echo $(($(now_us) - began)) >> restarts
            sleep "$(printf '%d.%03d' $((RANDOM % 2)) $((RANDOM % 1000)))" # checkpoints begin after a second
        else
            sleep "0.00$((RANDOM % 10))"
        fi
        kill -KILL "$pid" 2> /dev/null
        wait "$pid" 2> /dev/null
    done
    run --set rate=1000000 &
    wait $!
    code=$?
    [ $code -eq 0 ] || tail -3 err
    sort -n restarts > sorted
}

at() { sed -n "$((($(wc -l < sorted) * $1 + 99) / 100))p" sorted | awk '{ printf "%.1f", $1 / 1000 }'; }

# report NAME: reads "numbers lost twice".
report() {
    local counted lost twice
    read -r counted lost twice
    echo "crash: $1: kills $KILLS, counted $counted, lost $lost, twice $twice, restart p50 $(at 50) ms, p99 $(at 99) ms"
    [ "$lost" = 0 ] && [ "$code" = 0 ] && [ "$twice" -le "$2" ]
}

right=0
NUMBERS=$((KILLS * 50000)) # more than a run can count before it is killed
FILES=("$HERE/count.lua")
campaign
awk -v each=$((NUMBERS / 1000)) '
    { n[$1] += $2 }
    END {
        for (i = 0; i < 1000; i++) {
            if (n[i] < each) lost += each - n[i]
            if (n[i] > each) again += n[i] - each
        }
        print each * 1000, lost + 0, again + 0
    }' out > counts
report "at-least-once" "$NUMBERS" < counts && right=$((right + 1))

NUMBERS=$((KILLS * 20000))
FILES=("$HERE/copy.lua" "$HERE/copy_out.lua")
campaign
cat part-*.txt > parts
awk -v all="$NUMBERS" '
    FNR == 1 && NR > 1 { lost += all - last; last = 0 }
    { if ($1 <= last) again++; else { lost += $1 - last - 1; last = $1 } }
    END { print FNR, lost + all - last, again + 0 }' copy.txt parts > counts
report "exactly-once" 0 < counts && right=$((right + 1))
echo "$right passed, $((2 - right)) failed"
[ $right -eq 2 ]
