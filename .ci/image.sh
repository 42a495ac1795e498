# shellcheck shell=bash
# image.sh - builds the Dockerfile's image and proves it: the first result is
# counted right, it runs as its own user, SIGTERM and SIGINT as process 1
# drain, and a drain that has to give up does so before docker kills. Sourced by build.sh, whose need and say it uses, in the project's
# root. With a docker daemon docker does it all. Without one, as root: buildah
# on a base that mmdebstrap makes of the Debian mirror apt is set up with.
# Everything is in build/image: base.tar is kept for the runs of a week,
# engine.tar is the image (docker load -i build/image/engine.tar).

IMAGE_DIR=build/image
IMAGE_BASE=debian:bookworm-slim # the Dockerfile's
IMAGE_VERSION=$(sed -n 's/^#define ENGINE_VERSION "\(.*\)"$/\1/p' cli/verb.h)
IMAGE_REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)
IMAGE_NAME=engine:$IMAGE_VERSION
IMAGE_UID=10001
IMAGE_BOOK=build/data/kjv.txt # in the image, as the topologies name it
IMAGE_WAIT_S=10 # for a thing to happen; docker stop grants a drain no more

image_fail() { say "image: $*"; exit 1; }

image_clean() {
    [ -z "$image_process" ] || kill -9 "$image_process"
    [ -z "$image_container" ] || docker rm --force "$image_container" >/dev/null
}

# await COMMAND...: until it succeeds; fails after IMAGE_WAIT_S.
await() {
    local i
    for ((i = 0; i < IMAGE_WAIT_S * 10; i++)); do
        "$@" && return
        sleep 0.1
    done
    return 1
}

# ---- what is run in the image, and what must come of it ----

# Runs for ever, so that a signal has something to end.
image_forever() {
    cat <<'LUA'
return topology "forever" {
  spout "numbers" {
    generator { rate = 5000, make = function(i) return i end },
    fields = { "n" },
  },
  sink "out" { from = global "numbers", stdout {} },
}
LUA
}

# Never done with its second tuple.
image_stuck() {
    cat <<'LUA'
return topology "stuck" {
  spout "numbers" { list { { 1 }, { 2 } }, fields = { "n" } },
  bolt "loop" { from = shuffle "numbers", budget = "10h", execute = function(self, n) while n == 2 do end end },
  sink "out" { from = global "numbers", stdout {} },
}
LUA
}

# The book's words, counted by other means than engine's.
image_expected() { # FILE
    LC_ALL=C tr -cs '[:alpha:]' '\n' < "$1" | LC_ALL=C tr '[:upper:]' '[:lower:]' | grep . | sort | uniq -c |
        awk '{ printf "{\"word\":\"%s\",\"count\":%d}\n", $2, $1 }' | sort
}

image_check_count() { # RESULT BOOK
    [ -s "$2" ] || image_fail "the book is empty"
    image_expected "$2" > "$IMAGE_DIR/expected"
    sort "$1" | cmp - "$IMAGE_DIR/expected" ||
        image_fail "the first result is wrong: compare $1 and $IMAGE_DIR/expected"
    say "image: the first result is right: $(wc -l < "$1") words, among them"
    sort -t: -k3 -nr "$1" | head -n 3 || true
}

# A drain loses nothing: the numbers are whole from 1 to the last.
image_check_drain() { # SIGNAL STATUS NUMBERS
    [ "$2" -eq 0 ] || image_fail "SIG$1 gave exit $2 instead of 0; see $IMAGE_DIR/forever.err"
    local n
    n=$(wc -l < "$3")
    [ "$n" -gt 0 ] || image_fail "nothing came out before SIG$1"
    sort -n "$3" | cmp -s - <(seq "$n") || image_fail "SIG$1 lost numbers or doubled some: see $3"
    say "image: SIG$1 drained: exit 0, the numbers 1 to $n came out once each"
}

# What is under way at the drain's end is counted, not killed with the rest.
image_check_stuck() { # STATUS STDERR
    [ "$1" -eq 1 ] || image_fail "a drain that ran out gave exit $1 instead of 1; see $2"
    grep -q 'still under way at the end of the drain' "$2" || image_fail "a drain that ran out wasn't said; see $2"
    say "image: a drain that ran out ended by itself: exit 1, before docker kills"
}

# ---- docker ----

image_docker() {
    say "image: building $IMAGE_NAME with docker"
    docker build --build-arg "VERSION=$IMAGE_VERSION" --build-arg "REVISION=$IMAGE_REVISION" \
        -t "$IMAGE_NAME" . >&2
    docker run --rm "$IMAGE_NAME" > "$IMAGE_DIR/first"
    docker run --rm --entrypoint cat "$IMAGE_NAME" "$IMAGE_BOOK" > "$IMAGE_DIR/book.txt"
    image_check_count "$IMAGE_DIR/first" "$IMAGE_DIR/book.txt"
    image_uid=$(docker run --rm --entrypoint id "$IMAGE_NAME" -u)
    local signal
    for signal in TERM INT; do
        image_docker_signal forever "$signal"
        image_check_drain "$signal" "$image_status" "$IMAGE_DIR/forever.out"
    done
    image_docker_signal stuck TERM
    image_check_stuck "$image_status" "$IMAGE_DIR/stuck.err"
    image_mb=$(($(docker image inspect -f '{{.Size}}' "$IMAGE_NAME") / 1000000))
}

# Runs a topology of ours and sends it the signal; leaves $image_status.
image_docker_signal() { # TOPOLOGY SIGNAL
    image_container=$(docker create "$IMAGE_NAME" run "/tmp/$1.lua")
    docker cp "$IMAGE_DIR/$1.lua" "$image_container:/tmp/$1.lua" >/dev/null
    docker start "$image_container" >/dev/null
    await image_docker_speaks || image_fail "nothing came out of the running image"
    docker kill --signal "$2" "$image_container" >/dev/null
    image_status=$(timeout "$IMAGE_WAIT_S" docker wait "$image_container") ||
        image_fail "SIG$2 didn't end $1.lua in $IMAGE_WAIT_S s"
    docker logs "$image_container" > "$IMAGE_DIR/$1.out" 2> "$IMAGE_DIR/$1.err"
    docker rm "$image_container" >/dev/null
    image_container=''
}

image_docker_speaks() { [ "$(docker logs "$image_container" 2>/dev/null | wc -c)" -gt 0 ]; }

# ---- buildah ----

# The Debian mirrors that apt is set up with, as lines of a bookworm
# sources.list, whatever release this machine has.
image_sources() {
    # shellcheck disable=SC2016 # apt's own $(NAME)
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
        sort -u | awk '
            $1 == "Debian" { for (i = 0; i < 2; i++) print "deb", $2, "bookworm" (i ? "-updates" : ""), "main" }
            $1 == "Debian-Security" { print "deb", $2, "bookworm-security", "main" }'
}

# Like the official slim image: the required packages and apt, no documentation.
image_base() {
    if [ -n "$(find "$IMAGE_DIR/base.tar" -mtime -7 2>/dev/null)" ]; then
        say "image: the base is an earlier run's: $IMAGE_DIR/base.tar"
        return
    fi
    need mmdebstrap debian-archive-keyring
    local sources
    sources=$(image_sources)
    [ -n "$sources" ] || image_fail "apt knows no Debian mirror; run apt-get update, or use docker"
    say "image: making the base with mmdebstrap"
    mmdebstrap --quiet --variant=minbase --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
        bookworm "$IMAGE_DIR/base.new.tar" - <<< "$sources" > "$IMAGE_DIR/mmdebstrap.log" 2>&1 ||
        image_fail "mmdebstrap failed; see $IMAGE_DIR/mmdebstrap.log"
    mv "$IMAGE_DIR/base.new.tar" "$IMAGE_DIR/base.tar"
}

# Containers of ours alone, not the user's.
image_buildah() {
    buildah --root "$PWD/$IMAGE_DIR/storage" --runroot "$PWD/$IMAGE_DIR/runroot" --storage-driver vfs "$@"
}

# A name without a host means what is here under localhost/; nothing is pulled.
image_import_base() {
    local container
    container=$(image_buildah from scratch)
    image_buildah add -q "$container" "$IMAGE_DIR/base.tar" / >/dev/null
    image_buildah commit -q --rm "$container" "localhost/$IMAGE_BASE" >/dev/null
}

image_by_buildah() {
    [ "$(id -u)" -eq 0 ] || image_fail "there is no docker daemon, and buildah's chroot needs root: sudo ./build.sh image"
    need buildah util-linux
    image_base
    rm -rf --one-file-system "$IMAGE_DIR/storage" "$IMAGE_DIR/runroot"
    image_import_base
    say "image: building $IMAGE_NAME with buildah"
    image_buildah bud --isolation chroot --pull-never --build-arg "VERSION=$IMAGE_VERSION" \
        --build-arg "REVISION=$IMAGE_REVISION" -t "$IMAGE_NAME" . >&2
    image_prove_buildah
}

# A command in the container, as the image's user.
image_run() { # CONTAINER -- COMMAND...
    image_buildah run --isolation chroot "$@"
}

# What `docker run IMAGE` would run.
image_command() { # CONTAINER
    image_buildah inspect --format \
        '{{range .OCIv1.Config.Entrypoint}}{{.}} {{end}}{{range .OCIv1.Config.Cmd}}{{.}} {{end}}' "$1"
}

# Its environment, a word a variable.
image_environment() { # CONTAINER
    image_buildah inspect --format '{{range .OCIv1.Config.Env}}{{.}} {{end}}' "$1"
}

# Runs engine as process 1 of a new PID namespace in the image's files, as
# buildah's chroot doesn't, and sends it the signal; leaves $image_status.
image_signal() { # CONTAINER ROOT TOPOLOGY SIGNAL
    local inner out="$IMAGE_DIR/$3.out" err="$IMAGE_DIR/$3.err"
    rm -f "$out"
    # shellcheck disable=SC2046 # a list of words
    unshare --pid --mount --fork --kill-child chroot --userspec="$IMAGE_UID:$IMAGE_UID" "$2" \
        /usr/bin/env -i $(image_environment "$1") /usr/local/bin/engine run "/tmp/$3.lua" > "$out" 2> "$err" &
    image_process=$!
    await test -s "$out" || image_fail "nothing came out of the running image; see $err"
    inner=$(tr -d ' ' < "/proc/$image_process/task/$image_process/children")
    [ "$(awk '$1 == "NSpid:" { print $NF }' "/proc/$inner/status")" = 1 ] || image_fail "engine isn't process 1"
    kill -s "$4" "$inner"
    await image_gone "$inner" || image_fail "SIG$4 didn't end $3.lua in $IMAGE_WAIT_S s"
    image_status=0
    wait "$image_process" || image_status=$?
    image_process=''
}

image_gone() { ! [ -d "/proc/$1" ]; }

image_prove_buildah() {
    local container root signal
    container=$(image_buildah from --pull-never "$IMAGE_NAME")
    root=$(image_buildah mount "$container")
    # shellcheck disable=SC2046 # a list of words
    image_run "$container" -- $(image_command "$container") > "$IMAGE_DIR/first"
    cp "$root/opt/engine/$IMAGE_BOOK" "$IMAGE_DIR/book.txt"
    image_check_count "$IMAGE_DIR/first" "$IMAGE_DIR/book.txt"
    image_uid=$(image_run "$container" -- id -u)
    cp "$IMAGE_DIR/forever.lua" "$IMAGE_DIR/stuck.lua" "$root/tmp/"
    for signal in TERM INT; do
        image_signal "$container" "$root" forever "$signal"
        image_check_drain "$signal" "$image_status" "$IMAGE_DIR/forever.out"
    done
    image_signal "$container" "$root" stuck TERM
    image_check_stuck "$image_status" "$IMAGE_DIR/stuck.err"
    rm -f "$IMAGE_DIR/engine.tar"
    image_buildah push -q "$IMAGE_NAME" "docker-archive:$IMAGE_DIR/engine.tar:$IMAGE_NAME"
    image_mb=$(($(stat -c %s "$IMAGE_DIR/engine.tar") / 1000000))
    rm -rf --one-file-system "$IMAGE_DIR/storage" "$IMAGE_DIR/runroot"
    say "image: docker load -i $IMAGE_DIR/engine.tar takes it to where docker is"
}

mkdir -p "$IMAGE_DIR"
image_forever > "$IMAGE_DIR/forever.lua"
image_stuck > "$IMAGE_DIR/stuck.lua"
image_uid='' image_mb='' image_status='' # what the proof found
image_process='' image_container='' # under way
trap image_clean EXIT
if docker info >/dev/null 2>&1; then
    image_docker
else
    image_by_buildah
fi
[ "$image_uid" = "$IMAGE_UID" ] || image_fail "it ran as uid '$image_uid' instead of $IMAGE_UID"
printf 'image: built, %d MB, ran as uid %d, SIGTERM drained, ok\n' "$image_mb" "$image_uid"
