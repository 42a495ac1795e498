#!/usr/bin/env bash
# build.sh - one script: dependencies, build, run, test, bench, lint, image.
# `./build.sh help` lists the verbs; without one it builds build/engine.
set -euo pipefail
cd "$(dirname "$0")"

JOBS=${JOBS:-$(nproc)}
PACKAGES_BUILD="gcc make libc6-dev liblua5.4-dev libevent-dev libxxhash-dev libjansson-dev liblmdb-dev zlib1g-dev libzstd-dev"
PACKAGES_DATA="bible-kjv bible-kjv-text"
TABLES=vega-datasets@2.11.0 # of npm's registry
TABLES_SHA256=d888f3d9f0a9799a2f6066e5dbe5ed40eb86f75b4568b493d9bdd55e9652050a
PACKAGES_TEST="libcmocka-dev lua5.4 procps gzip zstd"
PACKAGES_LINT="clang-format clang-tidy clang cppcheck shellcheck"
PACKAGES_FUZZ="clang libclang-rt-14-dev libjansson-dev"
PACKAGES_BENCH="erlang-base mawk lua5.4 libjansson-dev"

say() { printf '%s\n' "$*" >&2; }

# Install what is missing of the named Debian packages, and say so.
need() {
    local missing=() p
    for p in "$@"; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return
    local sudo=""
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { say "build.sh: these packages are missing and you are not root: ${missing[*]}"; exit 1; }
        sudo=sudo
    fi
    say "build.sh: installing ${missing[*]} (apt-get)"
    $sudo apt-get update -qq >/dev/null 2>&1 || true
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# make_flavour NAME TARGET...: compile with the flags of that flavour into
# build/NAME (the release into build/).
make_flavour() {
    local flavour=$1; shift
    make --no-print-directory -s -j "$JOBS" -f - FLAVOUR="$flavour" "$@" <<'MAKE'
CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
OUT     := build/$(FLAVOUR)
WARN    := -Wall -Wextra -Wno-unused-parameter -Wpedantic -Wshadow -Wstrict-prototypes \
           -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2 \
           -Wconversion -Wno-sign-conversion -Wimplicit-fallthrough
ifdef CI
WARN    += -Werror
endif
HARDEN  := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
HARDENL := -pie -Wl,-z,relro,-z,now,-z,noexecstack
OPT_release := -O2 -g -flto=auto $(HARDEN)
LNK_release := -O2 -flto=auto $(HARDENL)
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LNK_asan    := -fsanitize=address,undefined
OPT_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan
LNK_tsan    := -fsanitize=thread
OPT_explore := -O1 -g -DENGINE_EXPLORE
LNK_explore := -Wl,--wrap=pthread_mutex_lock,--wrap=sem_wait,--wrap=pthread_create,--wrap=pthread_join
OPT_fuzz    := -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
LNK_fuzz    := -fsanitize=address,undefined,fuzzer
CFLAGS  := -std=c11 -D_POSIX_C_SOURCE=200809L $(WARN) -I. -isystem /usr/include/lua5.4 -pthread -MMD -MP $(OPT_$(FLAVOUR))
LDFLAGS := -pthread $(LNK_$(FLAVOUR))
LIBS    := -l:liblua5.4.a -levent_core -levent_pthreads -ljansson -llmdb -lm -ldl
ENGINE  := $(wildcard core/*.c actors/*/*.c lua/*.c cli/*.c)
SPECS   := $(filter-out spec/fuzz_%.c,$(wildcard spec/*.c)) $(wildcard spec/sim/*.c)
obj      = $(patsubst %.c,$(OUT)/obj/%.o,$(1))

.PHONY: engine spec commit
engine: $(OUT)/engine
spec: $(OUT)/spec
LUA     := $(patsubst %.lua,$(OUT)/obj/%.o,$(wildcard lua/engine/*.lua))
$(OUT)/engine: $(call obj,main.c $(ENGINE)) $(LUA)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
# The Lua library as bytes in the binary: _binary_plan_lua_start.
$(OUT)/obj/lua/engine/%.o: lua/engine/%.lua
	@mkdir -p $(@D)
	cd lua/engine && ld -r -b binary -z noexecstack -o ../../$@ $*.lua
# malloc is wrapped so that specs can make the n-th allocation fail.
$(OUT)/spec: $(call obj,$(ENGINE) $(SPECS)) $(LUA)
	$(CC) $(LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=heap_realloc -o $@ $^ -lcmocka $(LIBS)
EXPLORE := $(wildcard spec/explore/*.c)
$(OUT)/explore: $(call obj,$(EXPLORE) $(wildcard core/*.c))
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(OUT)/bench-limit $(OUT)/bench-clock $(OUT)/bench-words: $(OUT)/bench-%: $(OUT)/obj/spec/bench/%.o $(OUT)/obj/core/alloc.o
	$(CC) $(LDFLAGS) -o $@ $^
$(OUT)/bench-%: $(OUT)/obj/spec/bench/%.o $(call obj,$(ENGINE)) $(LUA)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
# What stands between a run and its disk, and what makes a folder of its trace.
$(OUT)/crash-disk.so: spec/crash/disk.c spec/crash/disk.h
	$(CC) $(CFLAGS) -fPIC -shared -o $@ $< -ldl
$(OUT)/crash-power: spec/crash/power.c spec/crash/disk.h
	$(CC) $(CFLAGS) -o $@ $<
# What our JSON is measured by, and agrees with.
$(OUT)/bench-json $(OUT)/fuzz-json: LIBS += -ljansson
$(OUT)/fuzz-%: $(OUT)/obj/spec/fuzz/%.o $(call obj,$(ENGINE)) $(LUA)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
# The commit is known to one file, which is made anew when it changes.
COMMIT  := $(shell c=$$(git rev-parse --short=12 HEAD 2>/dev/null) && { git diff --quiet HEAD || c=$$c+; echo $$c; })
$(OUT)/commit: commit
	@mkdir -p $(OUT)
	@[ "$(COMMIT)" = "$$(cat $@ 2>/dev/null)" ] || echo "$(COMMIT)" > $@
$(OUT)/obj/cli/version.o: $(OUT)/commit
$(OUT)/obj/cli/version.o: CFLAGS += -DENGINE_COMMIT='"$(COMMIT)"'
$(OUT)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<
.SECONDARY:
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
MAKE
}


# ---- verbs; the comment behind each is its line in `help` ----

build() { # build build/engine: hardened, stripped (the default)
    need $PACKAGES_BUILD
    make_flavour release engine
    if ! [ build/engine -nt build/release/engine ]; then
        strip -o build/engine.new build/release/engine
        mv build/engine.new build/engine
    fi
    say "built build/engine"
}

data() { # write the sample data: a whole book; "data tables": what docs/examples.md reads
    case "${1:-book}" in
        book) book ;;
        tables) tables ;;
        *) say "build.sh: there are no data '$1'; give 'book' or 'tables'"; exit 2 ;;
    esac
}

book() {
    if [ -s build/data/kjv.txt ]; then return; fi
    need $PACKAGES_DATA
    mkdir -p build/data
    say "build.sh: writing build/data/kjv.txt"
    bible gen1:1-rev22:21 > build/data/kjv.txt.new
    mv build/data/kjv.txt.new build/data/kjv.txt
}

# Two tables about flights, and a web log that is made of a third.
tables() {
    if [ -s build/data/access.log ]; then return; fi
    command -v npm >/dev/null || need npm
    local new=build/data/tables.new archive=${TABLES/@/-}.tgz
    rm -rf $new
    mkdir -p $new
    say "build.sh: fetching $TABLES for build/data (17 MB)"
    (cd $new && npm pack --loglevel=error "$TABLES" >/dev/null) || {
        say "build.sh: npm can't fetch $TABLES; the examples of docs/examples.md need it, see what npm said above"
        return 1
    }
    echo "$TABLES_SHA256  $new/$archive" | sha256sum --check --status || {
        say "build.sh: $TABLES is not what it was: its SHA-256 is not $TABLES_SHA256; nothing of it was taken"
        return 1
    }
    tar -xzf "$new/$archive" -C $new --strip-components=2 \
        package/data/airports.csv package/data/flights-airport.csv package/data/flights-20k.json
    access_log < $new/flights-20k.json > $new/access.log
    mv $new/airports.csv $new/flights-airport.csv $new/access.log build/data/
    rm -rf $new
}

# access_log: a web log of real flights. An hour of flights is a minute of the
# log, the airport that a flight left is the path, its delay in minutes the
# request's milliseconds; one that left more than an hour late is a 503.
access_log() {
    tr '{' '\n' | sed -nE 's|^"date":"2001/0([1-3])/([0-9]+) ([0-9]+):([0-9]+)","delay":(-?[0-9]+),"distance":([0-9]+),"origin":"(\w+)","destination":"(\w+)".*|\1 \2 \3 \4 \5 \6 \7 \8|p' |
        LC_ALL=C sort | awk '
            BEGIN { before[1] = 0; before[2] = 31; before[3] = 59 }
            {
                minute = (before[$1 + 0] + $2 - 1) * 24 + $3
                printf "%s - - [%02d/Jan/2001:%02d:%02d:%02d +0000] \"GET /%s HTTP/1.1\" %d %d %d\n", $8,
                    1 + int(minute / 1440), int(minute / 60) % 24, minute % 60, $4, $7, ($5 > 60 ? 503 : 200), $6, ($5 > 0 ? $5 : 0)
            }'
}

run() { # the first result: the book counted
    build
    data
    build/engine run topologies/word_count.lua
}

PASSED=0 FAILED=0

# tell NAME COMMAND...: run it, show its failures, add its counts.
tell() {
    local name=$1 log status=0 line passed failed began=$SECONDS; shift
    mkdir -p build/test
    log=build/test/$name.log
    "$@" > "$log" 2>&1 || status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1 || true)
    passed=${line%% passed*} failed=${line#*, }; failed=${failed%% failed*}
    if [ -z "$line" ]; then passed=0 failed=1
    elif [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
    PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
    printf '%-22s %5d passed %3d failed %5d s\n' "$name" "$passed" "$failed" $((SECONDS - began))
    [ "$failed" -eq 0 ] || failures "$log"
}

# failures LOG: what failed, with what was said of it, and how the log ends.
failures() {
    echo "--- the failures of $1"
    grep -B 30 -E '^\[  FAILED  \] [a-z_0-9]+\.|^FAILED|SUMMARY: |ended without a result' "$1" | grep -vE '^\[ +OK ' | head -300 || true
    echo "--- the end of $1"
    tail -20 "$1"
}

# The thread sanitizer never forgets the frames that Lua's errors jump over, and
# keeps them with each block: a module is a process of its own, and those with
# ten thousand errors (of one thread) are more than it can take.
tsan_specs() {
    local module line passed=0 failed=0 log=build/test/tsan-module.log
    export TSAN_OPTIONS=halt_on_error=1 ENGINE_SEEDS_PERCENT=10
    for module in $(sed -nE 's/^SPEC\(([a-z_0-9]+), .*/\1/p' spec/*_spec.c | sort -u); do
        case $module in fault|loops|cases) continue ;; esac
        build/tsan/spec "$module." > "$log" 2>&1 || true
        cat "$log"
        line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1 || true)
        if [ -z "$line" ]; then
            echo "$module ended without a result"
            failed=$((failed + 1))
            continue
        fi
        passed=$((passed + ${line%% *}))
        line=${line#*, }
        failed=$((failed + ${line%% *}))
    done
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

# The benchmarks at a small size, without the peers that are not installed: none
# crashes, each gives the right answer. Their figures mean nothing here.
bench_answers() {
    local wrong rows
    lua5.4 spec/bench/table.lua --quick || true
    wrong=$(grep -c ': wrong: ' build/test/bench-answers.log || true)
    rows=$(sed -nE 's/^bench: ([0-9]+) rows.*/\1/p' build/test/bench-answers.log)
    echo "$((${rows:-0} - wrong)) passed, $wrong failed"
    [ "${rows:-0}" -gt 0 ] && [ "$wrong" -eq 0 ]
}

# Six seconds of failures, kills and reloads: nothing lost, no copy unexplained.
endurance_briefly() {
    build/release/bench-endurance 0.1 && echo "1 passed, 0 failed"
}

test_() { # build everything and run all specs, sanitizers included
    need $PACKAGES_BUILD $PACKAGES_TEST $PACKAGES_FUZZ
    data book
    data tables
    build
    local flavour
    for flavour in asan tsan; do
        say "building build/$flavour"
        make_flavour $flavour spec engine
    done
    say "building build/explore"
    make_flavour explore build/explore/explore
    tell asan env ASAN_OPTIONS=detect_leaks=1 build/asan/spec
    tell tsan tsan_specs
    tell explore build/explore/explore
    tell topologies build/engine test topologies
    tell e2e spec/e2e/run.sh build/engine
    tell e2e-asan spec/e2e/run.sh build/asan/engine
    tell e2e-tsan spec/e2e/run.sh build/tsan/engine
    build_benches
    tell bench-answers bench_answers
    tell endurance endurance_briefly
    tell crash spec/crash/run.sh build/engine 20
    make_flavour release build/release/crash-disk.so build/release/crash-power
    tell power spec/crash/power.sh build/engine build/release 40
    local target
    for target in $(fuzz_targets); do
        tell "fuzz-$target" fuzz_one "$target" "${FUZZ_SECONDS:-60}"
    done
    echo "$PASSED passed, $FAILED failed"
    [ $FAILED -eq 0 ]
}

sim() { # the simulated world at full size: sim [TIMES the suite's seeds]
    need $PACKAGES_BUILD $PACKAGES_TEST
    make_flavour asan spec
    local factor=${1:-10} status=0 began=$SECONDS module
    mkdir -p build/test
    : > build/test/sim.log
    for module in stream. checkpoint. recovery. exactly. queue. state. store. registry. windows.; do
        ENGINE_SEEDS_FACTOR=$factor build/asan/spec $module 2>&1 | tee -a build/test/sim.log | grep -vE '^\[ +(RUN|OK)' || status=1
    done
    echo "sim: $factor times the suite's seeds, $(awk '/ passed, .* failed$/ { p += $1; f += $3 } END { print p " passed, " f " failed" }' build/test/sim.log), $((SECONDS - began)) s"
    return $status
}

crash() { # kill runs that keep state, cut their power, fail their disk: crash [KILLS, 1000]
    need $PACKAGES_BUILD $PACKAGES_TEST
    build
    make_flavour release build/release/crash-disk.so build/release/crash-power
    spec/crash/run.sh build/engine "${1:-1000}" | sed '$d'
    spec/crash/power.sh build/engine build/release $((${1:-1000} * 2)) | sed '$d'
}

fuzz_targets() { local f; for f in spec/fuzz/*.c; do f=${f##*/}; echo "${f%.c}"; done; }

# What a target is told beside its time. A definition may loop until its budget
# is over: the quick ones are tried more often.
fuzz_options() { # TARGET
    if [ -f "spec/fuzz/$1.dict" ]; then echo "-dict=spec/fuzz/$1.dict"; fi
    if [ "$1" = definition ]; then printf '%s\n' -max_len=4096 -entropic_scale_per_exec_time=1; fi
}

# fuzz_one TARGET SECONDS: from its corpus, new inputs to build/fuzz.
fuzz_one() {
    local target=$1 seconds=$2 status=0 options
    (CC=clang make_flavour fuzz "build/fuzz/fuzz-$target") || return 1
    mkdir -p "build/fuzz/corpus/$target" "spec/fuzz/corpus/$target"
    mapfile -t options < <(fuzz_options "$target")
    # A text that grows by a byte frees blocks of every size: the sanitizer would keep 2 GB of them.
    ASAN_OPTIONS=quarantine_size_mb=16 "build/fuzz/fuzz-$target" "${options[@]}" -max_total_time="$seconds" -timeout=180 -rss_limit_mb=2048 \
        -artifact_prefix="build/fuzz/$target-" -print_final_stats=1 \
        "build/fuzz/corpus/$target" "spec/fuzz/corpus/$target" > "build/fuzz/$target.log" 2>&1 || status=1
    grep -E 'Assertion|runtime error|ERROR|SUMMARY|Test unit written|^Base64' "build/fuzz/$target.log" || true
    echo "fuzz $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$target.log") executions in $seconds s"
    if [ $status -eq 0 ]; then echo "1 passed, 0 failed"; else echo "0 passed, 1 failed"; fi
    return $status
}

fuzz() { # all fuzzers: fuzz [SECONDS each, 1800]
    need $PACKAGES_BUILD $PACKAGES_FUZZ
    local target logs=()
    for target in $(fuzz_targets); do
        tell "fuzz-$target" fuzz_one "$target" "${1:-1800}"
        logs+=("build/test/fuzz-$target.log")
    done
    grep -h '^fuzz ' "${logs[@]}" || true
    awk -v findings=$FAILED '
        /^fuzz .* executions in / { fuzzers++; executions += $3; seconds += $6 }
        END { printf "fuzz: %d fuzzers, %d executions, %d findings, %d s\n", fuzzers, executions, findings, seconds }
    ' "${logs[@]}"
    [ $FAILED -eq 0 ]
}

build_benches() {
    local f
    say "building the benchmarks"
    for f in spec/bench/*.c; do
        f=${f##*/}
        make_flavour release "build/release/bench-${f%.c}"
    done
}

bench() { # the benchmarks beside their peers: bench [--quick] [--only TEXT]
    need $PACKAGES_BUILD $PACKAGES_BENCH
    build
    data
    build_benches
    lua5.4 spec/bench/table.lua "$@"
}

lint() { # walls between the rooms, format, static analysis: lint [FILE to analyse]
    need $PACKAGES_BUILD $PACKAGES_TEST $PACKAGES_LINT
    .ci/lint.sh "$@"
}

image() { # build the container image from Dockerfile and try it
    . .ci/image.sh
}

install() { # install build/engine to ${PREFIX:-/usr/local}/bin
    build
    local prefix=${PREFIX:-/usr/local}
    command install -D -m 755 build/engine "${DESTDIR:-}$prefix/bin/engine"
    local f
    for f in topologies/*.lua; do
        command install -D -m 644 "$f" "${DESTDIR:-}$prefix/share/engine/$f"
    done
    for f in lua/meta/*.lua; do
        command install -D -m 644 "$f" "${DESTDIR:-}$prefix/share/engine/meta/${f##*/}"
    done
    say "installed ${DESTDIR:-}$prefix/bin/engine"
}

help() { # this list
    sed -nE 's/^(test|[a-z]+)_?\(\) \{ # (.*)/\1\t\2/p' build.sh | while IFS=$'\t' read -r verb text; do
        printf '  ./build.sh %-8s %s\n' "$verb" "$text"
    done
}

verb=${1:-build}
[ $# -gt 0 ] && shift
case "$verb" in
    test) test_ "$@" ;;
    build|data|run|sim|crash|fuzz|bench|lint|image|install|help) "$verb" "$@" ;;
    *) say "build.sh: there is no verb '$verb'; these there are:"; help >&2; exit 2 ;;
esac
