#!/usr/bin/env bash
# lint.sh [FILE…] - what a machine can see: the walls between the rooms, what
# only the real world may call, the format, static analysis (of the files
# named; without any of all). A line for each finding; ends with
# `lint: N findings`.
set -u
cd "$(dirname "$0")/.." || exit 2
ROOMS=(core actors lua cli main.c)

# What .gitignore leaves out isn't ours; a tree without git has build/ only.
files() { # ROOM…
    find "$@" -name '*.[ch]' | sort
}

includes() { # ROOM…: file:line:#include …
    grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.[ch]' "$@" /dev/null
}

# walls < includes: topologies → lua → actors → core, cli → all, never back.
# Lua and libevent have their rooms, too. A header's path starts at the root:
# there is no other way round a wall.
walls() {
    awk '
        BEGIN {
            FS = ":"
            rank["core"] = 1; rank["actors"] = 2; rank["lua"] = 3; rank["cli"] = rank["main.c"] = 4
        }
        function finding(why) { printf "wall: %s:%s: %s; %s\n", $1, $2, what, why }
        {
            what = $0
            sub(/^[^:]*:[^:]*:[ \t]*/, "", what)
            split($1, path, "/")
            room = path[1]
            split(what, part, /[<>"]/)
            name = part[2]
            split(name, path, "/")
            if (what ~ /^#[ \t]*include[ \t]*"/) {
                if (name !~ /^[a-z]+(\/[a-z_0-9]+)+\.h$/ || !(path[1] in rank))
                    finding("name a header of core, actors, lua or cli from the root")
                else if (rank[path[1]] > rank[room])
                    finding(room " knows nothing of " path[1])
                else if ($1 ~ /^actors\/stream\// && name ~ /^actors\/connectors\//)
                    finding("the stream knows connectors as a component_class")
            } else if (what !~ /^#[ \t]*include[ \t]*</) {
                finding("name the file")
            } else if (name ~ /^(lua|lauxlib|lualib|luaconf)\.h(pp)?$/ && rank[room] < 3) {
                finding("only lua/ knows Lua")
            } else if (name ~ /^event/ && $1 !~ /^(core\/(loop|net_real)|cli\/version)\.c$/) {
                finding("only core/loop.c and core/net_real.c know libevent")
            }
        }'
}

# The wall is tried before it is trusted: six ways through, three good lines.
try_walls() {
    local seen
    seen=$(walls <<'TRY' | wc -l
core/a.c:1:#include "core/log.h"
cli/run.c:2:#include "lua/vm.h"
lua/a.h:3:#include <lua.h>
core/a.c:4:#include "actors/stream/plan.h"
core/a.h:5:  # include <lua.h>
actors/stream/a.c:6:#include "../../lua/vm.h"
actors/stream/a.c:7:#include "actors/connectors/list.h"
lua/a.c:8:#include "spec/sim/sim.h"
lua/a.c:9:#include <event2/event.h>
TRY
    )
    [ "$seen" -eq 6 ] || echo "lint.sh: the walls are open: $seen of 6 found"
}

# Threads, clocks, chance and files come from the node, so that the simulated
# world can give others. Strings and comments may name them.
worlds() {
    files core actors lua | grep -vE '^(core/(real|loop|job|scheduler|disk|net_real|store_lmdb)\.c|actors/connectors/pipe\.c|lua/watchdog\.c)$' |
        while read -r file; do
            sed -E 's/"([^"\\]|\\.)*"/""/g; s@/\*.*@@; s@^ *\* .*@@' "$file" |
                grep -nE '\b(clock_gettime|gettimeofday|time|rand|random|getrandom|pthread_create|(nano|u)?sleep|f?open|openat|socket|accept4?|send|recv)\(' |
                grep -vE '(->|\.|struct [a-z_]+ \*?|static [a-z_ ]+\*?)(open|time|random|sleep|send|accept)\(' |
                sed "s@^\([0-9]*\):[[:space:]]*@world: $file:\1: only the real world may call this: @"
        done
}

lengths() { # one noun a file
    files "${ROOMS[@]}" | xargs wc -l |
        awk '$2 != "total" && $1 > 900 { printf "long: %s has %d lines; which of its nouns moves out?\n", $2, $1 }'
}

formats() {
    files "${ROOMS[@]}" spec | while read -r file; do
        clang-format --dry-run -Werror "$file" > /dev/null 2>&1 || echo "format: clang-format -i $file"
    done
}

scripts() {
    shellcheck --severity=warning --format=gcc build.sh .ci/run .ci/*.sh spec/e2e/run.sh spec/crash/run.sh
}

sources() {
    cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --suppress=missingIncludeSystem \
        --suppressions-list=.ci/cppcheck.txt --template='{file}:{line}: {message} [{id}]' -I. "${ROOMS[@]}" 2>&1 |
        grep -E '^[a-z/_]+\.[ch]:[0-9]+: '
}

# .clang-tidy says which checks.
analysis() { # FILE…
    printf '%s\n' "$@" | grep '\.c$' | xargs -P "$(nproc)" -n 1 sh -c '
        clang-tidy --quiet "$0" -- -std=c11 -D_POSIX_C_SOURCE=200809L -I. -isystem /usr/include/lua5.4 2> /dev/null' |
        grep -E '(warning|error):' | sed "s@^$PWD/@@" | sort -u
}

popular() {
    echo "headers by how many files include them:"
    includes "${ROOMS[@]}" spec | sed -nE 's/.*include *"(.*)"/\1/p' | sort | uniq -c | sort -rn | head -8
}

mkdir -p build
{
    try_walls
    includes "${ROOMS[@]}" | walls
    worlds
    lengths
    formats
    scripts
    sources
    # shellcheck disable=SC2046 # none of the names has a blank
    if [ $# -gt 0 ]; then analysis "$@"; else analysis $(files "${ROOMS[@]}"); fi
} | tee build/lint.log
popular
found=$(wc -l < build/lint.log)
echo "lint: $found findings"
[ "$found" -eq 0 ]
