#!/usr/bin/env bash
# power.sh ENGINE TOOLS [CUTS [SEED]] - what a power cut, a kill or a failing call in the middle of a commit leaves. Once
# a run is recorded in which numbers go through a queue, are counted in state and end in a file and in segments, exactly once; then,
# CUTS times, what a disk may have at a moment of it is built, and the runs go on from there: no store may be damaged,
# the file must have each number once, and what the runs had told to be over must be there without them. Then the same
# runs are killed before each of their calls that change the disk, and each of these calls fails, once and for a while.
# TOOLS is the folder of crash-disk.so and crash-power. A line of figures for each; the last line says how many were as
# they should be. Needs bash, coreutils.
set -u
export LC_ALL=C
ENGINE=$(realpath "${1:?power.sh ENGINE TOOLS [CUTS [SEED]]}") || exit 2
TOOLS=$(realpath "${2:?power.sh ENGINE TOOLS [CUTS [SEED]]}") || exit 2
CUTS=${3:-2000}
RANDOM=${4:-1}
HERE=$(cd "$(dirname "$0")" && pwd)
FOLDER=$(mktemp -d) || exit 1
trap 'rm -rf "$FOLDER"' EXIT
cd "$FOLDER" || exit 1
COUNT=3000 PATIENCE=20
seq "$COUNT" > right.txt

# In the folder f: the store, and the file.
one() {
    local sets=()
    [ "$1" != copy ] || sets=(--set "count=$COUNT" --set "rate=$RATE")
    (cd f && timeout "$PATIENCE" "$ENGINE" run --quiet --data data "${sets[@]}" "$HERE/$1.lua" >> ../out 2>> ../err)
}
is_right() { cmp -s right.txt f/copy.txt && cat f/part-*.txt 2> /dev/null | cmp -s right.txt -; }
both() { one copy && one copy_out; }
shim() { env LD_PRELOAD="$TOOLS/crash-disk.so" CRASH_FOLDER="$FOLDER/f" "$@"; }
RATE=1000 # several checkpoints, at an interval of 100 ms to 1 s

say_fault() { # WHAT
    faults=$((faults + 1))
    [ $faults -gt 3 ] || { echo "power: $1"; tail -2 err; }
}

fresh() {
    rm -rf f out err
    mkdir f
    : > err
}

# ---- power cuts ----

record() {
    fresh
    rm -f trace
    export CRASH_TRACE="$FOLDER/trace"
    shim bash -c "$(declare -f one); ENGINE='$ENGINE' HERE='$HERE' COUNT=$COUNT RATE=$RATE PATIENCE=$PATIENCE; one copy" || exit 1
    "$TOOLS/crash-power" trace mark
    shim bash -c "$(declare -f one); ENGINE='$ENGINE' HERE='$HERE' COUNT=$COUNT RATE=$RATE PATIENCE=$PATIENCE; one copy_out" || exit 1
    "$TOOLS/crash-power" trace mark
    unset CRASH_TRACE
    is_right || { echo "power: the recorded run is wrong"; exit 1; }
    read -r -a marks <<< "$("$TOOLS/crash-power" trace | awk '/mark/ { print $2 } /records/ { print $2 }' | tr '\n' ' ')"
}

# after CUT: is what was told to be over there?
is_kept() {
    if [ "$1" -gt "${marks[1]}" ]; then is_right && return; fi
    if [ "$1" -gt "${marks[0]}" ]; then one copy_out; else both; fi
    is_right
}

# cut_some N [unsynced]: $corrupt, $lost
cut_some() {
    local i cut
    corrupt=0 lost=0
    for ((i = 0; i < $1; i++)); do
        cut=$(((RANDOM * 32768 + RANDOM) % (marks[2] + 1)))
        [ $((RANDOM % 4)) -gt 0 ] || cut=$((marks[RANDOM % 2] + 1)) # right behind what was told
        fresh
        "$TOOLS/crash-power" trace $cut $((RANDOM + 1)) f ${2:+"$2"} || exit 1
        if [ -e f/data/store.mdb ] && ! timeout "$PATIENCE" "$ENGINE" store check f/data >> out 2>> err; then
            corrupt=$((corrupt + 1))
            [ -n "${2:-}" ] || say_fault "the store of cut $cut is damaged"
        elif ! is_kept $cut; then
            lost=$((lost + 1))
            [ -n "${2:-}" ] || say_fault "cut $cut lost or doubled something"
        fi
    done
}

# ---- kills and failing calls ----

calls() { # how many there are in a run of both
    fresh
    CRASH_COUNT="$FOLDER/count" shim bash -c "$(declare -f one); ENGINE='$ENGINE' HERE='$HERE' COUNT=$COUNT RATE=1000000 PATIENCE=$PATIENCE; one $1" || exit 1
    cat count
}

# struck TOPOLOGY NAME=VALUE: a run of it in which that befalls; then both go on without.
struck() {
    export "${2?}"
    shim bash -c "$(declare -f one); ENGINE='$ENGINE' HERE='$HERE' COUNT=$COUNT RATE=1000000 PATIENCE=$PATIENCE; one $1; exit \$?" 2> /dev/null
    local code=$?
    unset "${2%%=*}"
    return $code
}

strike_each() { # NAME VALUES… with N for the number
    local name=$1 topology n total value
    shift
    struck_calls=0
    for topology in copy copy_out; do
        total=$(calls $topology)
        for ((n = 1; n <= total; n += STEP)); do
            for value in "$@"; do
                fresh
                [ $topology = copy ] || one copy || say_fault "copy alone"
                struck $topology "$name=${value/N/$n}"
                code=$?
                struck_calls=$((struck_calls + 1))
                # 137: killed as asked; 1: it said why. Else something crashed.
                case $name:$code in
                    *:0 | CRASH_FAIL:1 | CRASH_KILL:137) ;;
                    *) say_fault "$topology, $name=${value/N/$n}: exit code $code" ;;
                esac
                both
                is_right || say_fault "$topology, $name=${value/N/$n}: lost or doubled something"
            done
        done
    done
}

right=0 faults=0
record
RATE=1000000
cut_some "$CUTS"
echo "power: cuts $CUTS of ${marks[2]} calls, corrupt $corrupt, lost or doubled $lost"
[ $corrupt -eq 0 ] && [ $lost -eq 0 ] && right=$((right + 1))
PATIENCE=2
cut_some 8 unsynced # this must be seen
PATIENCE=20
echo "power: 8 cuts where syncs count for nothing: found out $((corrupt + lost))"
[ $((corrupt + lost)) -gt 0 ] && right=$((right + 1))
STEP=$((CUTS < 1000 ? 7 : 1))
TIMES=$((CUTS < 1000 ? 1 : 20))
faults=0
mapfile -t each < <(yes N | head -n $TIMES)
strike_each CRASH_KILL "${each[@]}"
echo "power: killed before each of $((struck_calls / TIMES)) calls, $TIMES times, wrong $faults"
[ $faults -eq 0 ] && right=$((right + 1))
faults=0
strike_each CRASH_FAIL N:5 N:28 N:28:5
echo "power: failed $struck_calls calls, EIO, ENOSPC, and ENOSPC for a while, wrong $faults"
[ $faults -eq 0 ] && right=$((right + 1))
echo "$right passed, $((4 - right)) failed"
[ $right -eq 4 ]
