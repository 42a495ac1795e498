#!/usr/bin/env bash
# lint.sh - what a machine can see: the walls between the rooms, what only the
# real world may call, the format, static analysis. Prints what it found; ends
# with `lint: N findings`.
set -u
cd "$(dirname "$0")/.."
found=0
report() { echo "$*"; found=$((found + 1)); }

# topologies → lua → actors → core, cli → all, never back.
wall() { # ROOM FORBIDDEN...
    local room=$1 other line; shift
    for other in "$@"; do
        while IFS= read -r line; do report "wall: $line"; done < <(grep -rnE "^#include \"$other/" "$room" --include='*.[ch]')
    done
}
wall core actors lua cli spec
wall actors lua cli spec
wall lua cli spec
wall cli spec
# lua/runtime.h and watchdog.h know threads; nothing else below cli/ may start
# one, read a clock, or open a file by itself.
while IFS= read -r line; do report "only the real world may call this: $line"; done < <(
    grep -nE '\b(clock_gettime|gettimeofday|time\(NULL\)|rand\(|random\(\)|getrandom|pthread_create|nanosleep|usleep|sleep\()' \
        core/*.c actors/*/*.c lua/*.c |
        grep -vE '^(core/(real|loop|job|scheduler)\.c|lua/watchdog\.c):')
# One noun a file.
while read -r lines file; do
    [ "$file" = total ] || [ "$lines" -le 900 ] || echo "long: $file has $lines lines"
done < <(wc -l core/*.[ch] actors/*/*.[ch] lua/*.[ch] cli/*.[ch])

while IFS= read -r file; do
    clang-format --dry-run -Werror "$file" > /dev/null 2>&1 || report "format: clang-format -i $file"
done < <(git ls-files '*.c' '*.h')

FLAGS="-std=c11 -D_POSIX_C_SOURCE=200809L -I. -isystem /usr/include/lua5.4"
cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --suppress=missingIncludeSystem \
    -I. core actors lua cli main.c 2> build/cppcheck.log
while IFS= read -r line; do report "$line"; done < <(grep -E '^[a-z/_]+\.[ch]:[0-9]+' build/cppcheck.log)
if [ "${1:-}" = --deep ]; then
    while IFS= read -r line; do report "$line"; done < <(
        git ls-files 'core/*.c' 'actors/*.c' 'lua/*.c' 'cli/*.c' | xargs -P "$(nproc)" -n 4 clang-tidy --quiet \
            --checks='-*,clang-analyzer-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions,-bugprone-assignment-in-if-condition,-bugprone-reserved-identifier,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling' \
            -- $FLAGS 2> /dev/null | grep -E 'warning:' | sort -u)
fi

echo "headers by how many files include them:"
git ls-files '*.h' | while read -r h; do
    printf '%4d %s\n' "$(git grep -l "#include \"$h\"" -- '*.c' '*.h' | wc -l)" "$h"
done | sort -rn | head -12
echo "lint: $found findings"
[ $found -eq 0 ]
