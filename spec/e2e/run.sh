#!/usr/bin/env bash
# run.sh ENGINE [FILTER] - end to end: drives the real binary as a user would.
#
# A theme is a file beside this one, a case a function in it: e2e_ and a
# sentence. Its other functions are there for all themes. Each case runs in a
# fresh folder and process; FILTER takes the cases whose names contain it. A
# failure prints one line; the last line of all is `N passed, N failed`. Needs
# bash, coreutils, procps and lua5.4.
# Nothing here sleeps for a fixed time or asserts one: a case waits until
# something is so, at most PATIENCE_S seconds. Builds with sanitizers are
# welcome: what they report fails the case.
set -u
export LC_ALL=C.UTF-8 TZ=UTC
unset NO_COLOR
ENGINE=$(realpath "${1:?run.sh ENGINE [FILTER]}") || exit 2
FILTER=${2:-}
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2034 # for the themes
ROOT=$(cd "$HERE/../.." && pwd)
PATIENCE_S=${PATIENCE_S:-60}
JOBS=${JOBS:-$(($(nproc) * 2))}
export ASAN_OPTIONS=exitcode=99:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=exitcode=99:halt_on_error=1:${UBSAN_OPTIONS:-}
export TSAN_OPTIONS=exitcode=99:${TSAN_OPTIONS:-}

# ---- what a case is told with; the first that is not so ends it ----

# fail WHAT: in one line, with the line of the case that asked.
fail() {
    local i=1
    while [[ ${FUNCNAME[i]:-} != e2e_* && i -lt ${#FUNCNAME[@]} ]]; do i=$((i + 1)); done
    printf 'line %s: %s' "${BASH_LINENO[i - 1]:-?}" "$1" | tr '\n' '|' > "$FAILURE"
    exit 1
}

# The end of a file; of a sanitizer's report its first line.
seen() { grep -E -m1 'Sanitizer|runtime error:' "$1" 2>/dev/null || tail -c 700 "$1"; }

# engine ARGUMENTS…: runs it to its end; leaves `out`, `err` and $code.
engine() {
    timeout -k 5 "$PATIENCE_S" "$ENGINE" "$@" > out 2> err
    code=$?
    [ $code -ne 124 ] || fail "engine $* did not end; stderr: $(seen err)"
}

# start ARGUMENTS…: the same beside the case; finishes() waits for it.
start() {
    "$ENGINE" "$@" > out 2> err &
    pid=$!
    STARTED+=("$pid")
}

is_gone() { ! kill -0 "$pid" 2>/dev/null; }

finishes() {
    until_so "the process has ended" is_gone
    wait "$pid"
    code=$?
}

# until_so SENTENCE COMMAND…: waits until the command succeeds.
until_so() {
    local what=$1 deadline=$((SECONDS + PATIENCE_S))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || fail "waited in vain: $what; stderr: $(seen err)"
        sleep 0.01
    done
}

exits() {
    [ "$code" -eq "$1" ] || fail "expected exit code $1, seen $code; stderr: $(seen err)"
}

# said TEXT [TIMES]: is it so? says() insists. Both look at stderr.
said() { [ "$(grep -cF -- "$1" err)" -ge "${2:-1}" ]; }
says() {
    said "$@" || fail "expected '$1'${2:+ $2 times}, seen on stderr: $(seen err)"
}
never_says() {
    ! grep -qF -- "$1" err || fail "unexpected '$1' on stderr: $(seen err)"
}

# prints TEXT: all of stdout. prints_sorted: its lines in any order.
prints() {
    [ "$(cat out)" = "$1" ] || fail "expected on stdout: $1; seen: $(seen out)"
}
prints_sorted() {
    [ "$(sort out)" = "$(sort <<< "$1")" ] || fail "expected on stdout, in any order: $1; seen: $(seen out)"
}

# same FILE FILE: equal bytes.
same() {
    cmp -s "$1" "$2" || fail "'$1' and '$2' differ: $(diff "$1" "$2" 2>&1 | head -5)"
}

equal() { # equal SEEN EXPECTED WHAT
    [ "$1" = "$2" ] || fail "$3: expected $2, seen $1"
}

# figure COMPONENT in|out|acked|failed|replayed: of the table at the end.
figure() {
    local column
    case $2 in in) column=2 ;; out) column=3 ;; acked) column=4 ;; failed) column=5 ;; replayed) column=6 ;; esac
    grep -E "^$1 +[0-9]+ +[0-9]+ +[-0-9]+ +[0-9]+ " err | tr -s ' ' | cut -d ' ' -f "$column"
}

# fails_well N: the run went on to its end, N tuples failed and are counted.
fails_well() {
    exits 1
    local noun=tuples
    [ "$1" -ne 1 ] || noun=tuple
    says "engine: $1 $noun failed for good"
}

# ---- running cases ----

tidy() {
    local p
    for p in "${STARTED[@]}"; do kill -KILL "$p" 2>/dev/null; done
    [ -z "$MOUNTED" ] || umount "$MOUNTED" 2>/dev/null
    return 0
}

look_for_sanitizers() {
    local report
    report=$(grep -hE -m1 'Sanitizer|runtime error:' err* 2>/dev/null | head -1)
    [ -z "$report" ] || { printf '%s' "$report" > "$FAILURE"; exit 1; }
    [ "${code:-0}" -ne 99 ] || fail "a sanitizer ended the process"
}

# run_case NUMBER THEME NAME
run_case() {
    local folder="$BASE/$1"
    mkdir -p "$folder"
    (
        cd "$folder" || exit 1
        FAILURE="$BASE/$1.failure"
        STARTED=() MOUNTED="" code=0
        : > err
        : > out
        trap tidy EXIT
        # Runs of one case see no others.
        export XDG_RUNTIME_DIR="$BASE/$1.runs" HOME="$BASE/$1.runs"
        mkdir -m 700 "$XDG_RUNTIME_DIR"
        "$3"
        look_for_sanitizers
    ) < /dev/null > "$BASE/$1.shell" 2>&1 && { rm -rf "$folder"; return; }
    [ -s "$BASE/$1.failure" ] || tr '\n' '|' < "$BASE/$1.shell" > "$BASE/$1.failure"
    printf 'FAILED %s %s: %s\n' "$2" "$3" "$(cat "$BASE/$1.failure")"
}

BASE=$(mktemp -d) || exit 2
trap 'rm -rf "$BASE"' EXIT
total=0
themes=()
for theme in "$HERE"/*.sh; do
    [ "$theme" = "$HERE/run.sh" ] && continue
    themes+=("$theme")
    # shellcheck disable=SC1090
    source "$theme"
done
twice=$(grep -ohE '^[a-zA-Z0-9_]+\(\)' "$HERE"/*.sh | sort | uniq -d | tr '\n' ' ')
[ -z "$twice" ] || { echo "run.sh: defined by two themes: $twice" >&2; exit 2; }
for theme in "${themes[@]}"; do
    for name in $(grep -oE '^e2e_[a-z0-9_]+' "$theme"); do
        [[ $name == *"$FILTER"* ]] || continue
        total=$((total + 1))
        while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
        run_case "$total" "$(basename "$theme")" "$name" &
    done
done
wait
failed=$(find "$BASE" -maxdepth 1 -name '*.failure' | wc -l)
echo "$((total - failed)) passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$total" -gt 0 ]
