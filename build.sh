#!/usr/bin/env bash
# build.sh - one script: dependencies, build, run, test, bench, lint, image.
# `./build.sh help` lists the verbs; without one it builds build/engine.
set -euo pipefail
cd "$(dirname "$0")"

JOBS=${JOBS:-$(nproc)}
PACKAGES_BUILD="gcc make libc6-dev liblua5.4-dev libevent-dev libxxhash-dev"
PACKAGES_DATA="bible-kjv bible-kjv-text"
PACKAGES_TEST="libcmocka-dev lua5.4 procps"
PACKAGES_LINT="clang-format clang-tidy clang cppcheck"
PACKAGES_FUZZ="clang libclang-rt-14-dev"
PACKAGES_BENCH="erlang-base mawk lua5.4"

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
OPT_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
LNK_tsan    := -fsanitize=thread
OPT_explore := -O1 -g -DENGINE_EXPLORE
LNK_explore :=
OPT_fuzz    := -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
LNK_fuzz    := -fsanitize=address,undefined,fuzzer
CFLAGS  := -std=c11 -D_POSIX_C_SOURCE=200809L $(WARN) -I. -isystem /usr/include/lua5.4 -pthread -MMD -MP $(OPT_$(FLAVOUR))
LDFLAGS := -pthread $(LNK_$(FLAVOUR))
LIBS    := -l:liblua5.4.a -levent_core -levent_pthreads -lm -ldl
ENGINE  := $(wildcard core/*.c actors/*/*.c lua/*.c cli/*.c)
SPECS   := $(filter-out spec/fuzz_%.c,$(wildcard spec/*.c)) $(wildcard spec/sim/*.c)
obj      = $(patsubst %.c,$(OUT)/obj/%.o,$(1))

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
	$(CC) $(LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc -o $@ $^ -lcmocka $(LIBS)
$(OUT)/bench-limit $(OUT)/bench-clock: $(OUT)/bench-%: $(OUT)/obj/spec/bench/%.o $(OUT)/obj/core/alloc.o
	$(CC) $(LDFLAGS) -o $@ $^
$(OUT)/bench-%: $(OUT)/obj/spec/bench/%.o $(call obj,$(ENGINE)) $(LUA)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(OUT)/fuzz-%: $(OUT)/obj/spec/fuzz/%.o $(call obj,$(ENGINE)) $(LUA)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(OUT)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<
.SECONDARY:
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
MAKE
}


build() { # the release binary: hardened, stripped, in build/engine
    need $PACKAGES_BUILD
    make_flavour release engine
    if ! [ build/engine -nt build/release/engine ]; then
        strip -o build/engine.new build/release/engine
        mv build/engine.new build/engine
    fi
}

data() { # sample data: a whole book, from Debian's bible-kjv
    [ -s build/data/kjv.txt ] && return
    need $PACKAGES_DATA
    mkdir -p build/data
    say "build.sh: writing build/data/kjv.txt"
    bible gen1:1-rev22:21 > build/data/kjv.txt.new
    mv build/data/kjv.txt.new build/data/kjv.txt
}

run() { # the first result: the book counted
    build; data
    build/engine run topologies/word_count.lua
}

verb=${1:-build}
[ $# -gt 0 ] && shift
case "$verb" in
    build) build; say "built build/engine" ;;
    data|run) "$verb" "$@" ;;
    *) say "build.sh: unknown verb '$verb'; try ./build.sh help"; exit 2 ;;
esac
