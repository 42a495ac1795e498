# reload.sh - engine run --watch: new code is taken over between two tuples;
# self stays, nothing is lost or doubled, and what can't be taken is refused.

# Numbers without end go through a bolt that tags and counts them.
write_watched() {
    cat > t.lua <<'LUA'
local tags = require "tags"
return topology "watched" {
  spout "in" { generator { rate = 3000 }, fields = { "n" } },
  bolt "tag" {
    from = shuffle "in", fields = { "n", "tag", "seen" },
    prepare = function(self) self.seen = 0 end,
    execute = function(self, n)
      self.seen = self.seen + 1
      self.emit(n, "code-1 " .. tags.name, self.seen)
    end,
  },
  sink "out" { from = shuffle "tag", file { path = "lines" } },
}
LUA
    echo 'return { name = "tags-1" }' > tags.lua
}

watch() {
    write_watched
    start run --watch t.lua "$@"
    until_so "tuples flow" flows "code-1 tags-1"
}

flows() { grep -qs -- "$1" lines; }

# reloads TIMES TAG: so often in all, and lines with TAG come.
reloads() {
    until_so "the new code runs" said "reload: the new code runs" "$1"
    until_so "'$2' is in the output" flows "$2"
}

# Ends the run: exit 0, and each number is there once, in order, with what the
# bolt had counted in self.
ends_whole() {
    kill -TERM "$pid"
    finishes
    exits 0
    cut -f 1,3 lines > seen
    local n
    n=$(wc -l < lines)
    seq "$n" | paste - <(seq "$n") > expected
    same seen expected
    equal "$(figure in acked)" "$n" "acked"
    equal "$(figure in replayed)" 0 "replayed"
}

e2e_a_saved_definition_is_taken_over_and_self_stays() {
    watch
    sed 's/code-1/code-2/' t.lua > new
    cat new > t.lua
    reloads 1 "code-2 tags-1"
    ends_whole
}

e2e_a_definition_saved_by_rename_is_taken_over() {
    watch
    sed 's/code-1/code-2/' t.lua > new
    mv new t.lua
    reloads 1 "code-2 tags-1"
    sed 's/code-2/code-3/' t.lua > new
    mv new t.lua
    reloads 2 "code-3 tags-1"
    ends_whole
}

e2e_a_required_module_is_watched_too() {
    watch
    echo 'return { name = "tags-2" }' > tags.lua
    reloads 1 "code-1 tags-2"
    echo 'return { name = "tags-3" }' > new
    mv new tags.lua
    reloads 2 "code-1 tags-3"
    ends_whole
}

e2e_a_module_that_comes_new_is_watched_from_then_on() {
    watch
    echo 'return { name = "more-1" }' > more.lua
    sed 's/require "tags"/require "more"/' t.lua > new
    mv new t.lua
    reloads 1 "code-1 more-1"
    echo 'return { name = "more-2" }' > more.lua
    reloads 2 "code-1 more-2"
    ends_whole
}

e2e_a_new_module_is_watched_though_the_reload_was_refused() {
    watch
    echo 'return {' > more.lua
    sed 's/require "tags"/require "more"/' t.lua > new
    mv new t.lua
    until_so "the error is shown" said "reload refused: more.lua:2: "
    echo 'return { name = "more-1" }' > more.lua
    reloads 1 "code-1 more-1"
    sed 's/require "more"/require "late"/' t.lua > new
    mv new t.lua
    until_so "the missing module is shown" said "reload refused: t.lua:1: module 'late': late.lua: No such file"
    echo 'return { name = "late-1" }' > late.lua
    reloads 2 "code-1 late-1"
    ends_whole
}

e2e_five_reloads_lose_and_double_nothing() {
    watch
    for i in 1 2 3 4 5; do
        sed "s/code-$i/code-$((i + 1))/" t.lua > new
        mv new t.lua
        reloads "$i" "code-$((i + 1)) tags-1"
    done
    ends_whole
}

e2e_a_broken_file_keeps_the_old_code_until_it_is_mended() {
    watch
    cp t.lua good
    printf 'local x =\nreturn {\n' > t.lua
    until_so "the error is shown" said "reload refused: t.lua:2: unexpected symbol near 'return'"
    says "the old code goes on"
    sed 's/code-1/code-2/' good > t.lua
    reloads 1 "code-2 tags-1"
    ends_whole
}

e2e_a_broken_module_keeps_the_old_code_until_it_is_mended() {
    watch
    printf 'local x = 1\nreturn {\n' > tags.lua
    until_so "the error is shown" said "reload refused: tags.lua:3: "
    echo 'error "not today"' > tags.lua
    until_so "the error is shown" said "reload refused: tags.lua:1: not today"
    rm tags.lua
    sed 's/code-1/code-2/' t.lua > new
    mv new t.lua
    until_so "the missing module is shown" said "reload refused: t.lua:1: module 'tags': tags.lua: No such file"
    echo 'return { name = "tags-2" }' > tags.lua
    reloads 1 "code-2 tags-2"
    ends_whole
}

e2e_a_file_with_unknown_options_is_refused_with_all_errors() {
    watch
    cp t.lua good
    sed 's/from = shuffle "in"/from = shuffle "im", feilds = {}/' good > t.lua
    until_so "the error is shown" said "reload refused: t.lua:"
    until_so "the name is shown" said "'im', which is no component; did you mean 'in'?"
    until_so "the option is shown" said "'feilds' is no option of a bolt; did you mean 'fields'?"
    sed 's/code-1/code-2/' good > t.lua
    reloads 1 "code-2 tags-1"
    ends_whole
}

e2e_a_file_that_loops_for_ever_is_refused() {
    watch
    cp t.lua good
    echo 'while true do end' > t.lua
    until_so "the loop is refused" said "reload refused: t.lua:1: the call was over its budget"
    cat good > t.lua
    reloads 1 "code-1 tags-1"
    ends_whole
}

e2e_a_changed_graph_is_refused_with_a_sentence() {
    watch
    cp t.lua good
    sed 's/file { path = "lines" } },/&\n  sink "more" { from = shuffle "tag", null {} },/' good > t.lua
    until_so "it is refused" said "reload refused: t.lua: the topology has other components now; start engine anew for that"
    sed 's/prepare =/tasks = 2, prepare =/' good > t.lua
    until_so "it is refused" said "reload refused: t.lua: the streams, inputs or tasks of 'tag' have changed; start engine anew for that"
    sed 's/code-1/code-2/' good > t.lua
    reloads 1 "code-2 tags-1"
    ends_whole
}

e2e_an_error_in_new_code_fails_its_tuples_and_the_next_code_mends_it() {
    watch
    cp t.lua good
    sed 's/self.emit(n, "code-1/error("half done") &/' good > t.lua
    until_so "tuples fail" said "half done"
    sed 's/code-1/code-2/' good > t.lua
    until_so "the mended code runs" flows "code-2 tags-1"
    until_so "what had failed comes again" all_there
    kill -TERM "$pid"
    finishes
    cut -f 1 lines | sort -n > seen
    seq "$(wc -l < lines)" > expected
    same seen expected
    exits 0
}

# Each number up to that of the newest line is there.
all_there() {
    local n
    n=$(cut -f 1 lines | sort -n | tail -1)
    [ "$(cut -f 1 lines | head -n -1 | sort -nu | wc -l)" -ge $((n - 1)) ]
}

e2e_on_reload_is_called_with_the_old_self() {
    watch
    sed 's/execute = /on_reload = function(self) log.info("had seen " .. (self.seen > 0 and "some" or "none")) end, &/' t.lua > new
    mv new t.lua
    until_so "on_reload has run" said "had seen some"
    ends_whole
}

e2e_spouts_take_new_code_too() {
    cat > t.lua <<'LUA'
return topology "spout" {
  spout "in" {
    fields = { "n", "tag" },
    open = function(self) self.n = 0 end,
    next = function(self)
      self.n = self.n + 1
      self.emit_id(self.n, self.n, "code-1")
      sleep "1ms"
    end,
  },
  sink "out" { from = shuffle "in", file { path = "lines" } },
}
LUA
    start run --watch t.lua
    until_so "tuples flow" flows "code-1"
    sed 's/code-1/code-2/' t.lua > new
    mv new t.lua
    reloads 1 "code-2"
    kill -TERM "$pid"
    finishes
    exits 0
    cut -f 1 lines > seen
    seq "$(wc -l < lines)" > expected
    same seen expected
}

e2e_without_watch_a_saved_file_changes_nothing() {
    write_watched
    sed -i 's/generator { rate = 3000 }/generator { rate = 3000, count = 1500 }/' t.lua
    start run t.lua
    until_so "tuples flow" flows "code-1"
    sed -i 's/code-1/code-2/' t.lua
    finishes
    exits 0
    never_says "reload"
    equal "$(grep -c code-2 lines)" 0 "lines of the new code"
}

e2e_the_reload_of_a_definition_in_another_folder_is_seen() {
    mkdir -p deep/er
    write_watched
    mv t.lua tags.lua deep/er
    start run --watch deep/er/t.lua
    until_so "tuples flow" flows "code-1 tags-1"
    echo 'return { name = "tags-2" }' > deep/er/tags.lua
    reloads 1 "code-1 tags-2"
    ends_whole
}
