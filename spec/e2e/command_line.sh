# command_line.sh - verbs, options, params, exit codes 0 and 2.

write_params() {
    cat > t.lua <<'LUA'
local text = param("text", "abc", "a text")
local number = param("number", 3)
local flag = param("flag", false)
return topology "params" {
  spout "in" { list { { text, number, flag, type(text) .. type(number) .. type(flag) } }, fields = { "s", "n", "b", "types" } },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
}

e2e_params_have_their_defaults() {
    write_params
    engine run --quiet t.lua
    exits 0
    prints "$(printf 'abc\t3\tfalse\tstringnumberboolean')"
}

e2e_set_takes_the_type_of_the_default() {
    write_params
    engine run --quiet t.lua --set text=1=2 --set number=40 --set=flag=true
    exits 0
    prints "$(printf '1=2\t40\ttrue\tstringnumberboolean')"
}

e2e_set_refuses_what_is_not_of_the_type() {
    write_params
    engine run --quiet t.lua --set number=many
    exits 2
    says "t.lua:2: --set number=many is no number"
    engine run --quiet t.lua --set flag=yes
    exits 2
    says "t.lua:3: --set flag=yes is neither true nor false"
}

e2e_a_param_without_default_is_required() {
    cat > t.lua <<'LUA'
local input = param("input", nil, "what to print")
return topology "params" {
  spout "in" { list { { input } }, fields = { "s" } },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    engine run --quiet t.lua
    exits 2
    says "t.lua:1: param 'input' has no default; give --set input="
    engine run --quiet t.lua --set input=here
    exits 0
    prints here
}

e2e_says_which_param_is_nearest() {
    write_params
    engine run t.lua --set numbr=4
    exits 2
    says "--set numbr: t.lua has no param of that name; did you mean 'number'?"
    engine run t.lua --set colour=red
    exits 2
    says "there are: flag, number, text"
}

e2e_set_without_a_name_or_value_is_explained() {
    write_params
    for wrong in number =4; do
        engine run t.lua --set "$wrong"
        exits 2
        says "--set $wrong: write --set name=value"
    done
    engine run t.lua --set
    exits 2
    says "--set needs a value"
}

e2e_says_which_option_is_nearest() {
    engine run --thread 2 t.lua
    exits 2
    says "did you mean --threads?"
    engine run -x t.lua
    exits 2
    says "run has no option -x; engine run --help lists them"
    engine run --frobnicate t.lua
    exits 2
    says "run has no option --frobnicate; engine run --help lists them"
}

e2e_says_which_verb_is_nearest() {
    engine rum t.lua
    exits 2
    says "there is no verb 'rum'; did you mean 'engine run'?"
    engine stat t.lua
    exits 2
    says "did you mean 'engine stats'?"
    engine frobnicate
    exits 2
    says "there is no verb 'frobnicate'; engine --help lists them"
}

e2e_wrong_values_of_options_say_what_is_right() {
    engine run --threads 0 t.lua
    exits 2
    says "--threads is '0'; give a number from 1 to 64"
    for many in 65 4294967297 -18446744073709551614 -1 ""; do
        engine run --threads "$many" t.lua
        exits 2
        says "--threads is '$many'; give a number from 1 to 64"
    done
    engine run --threads=two t.lua
    exits 2
    says "--threads is 'two'"
    engine run --drain fast t.lua
    exits 2
    says "--drain is 'fast'; give a time like 10s or 500ms"
    engine run --log-format xml t.lua
    exits 2
    says "--log-format is 'xml'; give text or json"
    engine run --log-level loud t.lua
    exits 2
    says "--log-level is 'loud'; give trace, debug, info, warn, error"
    engine run --log-level =warn t.lua
    exits 2
    says "--log-level is '=warn'"
    engine run --watch=yes t.lua
    exits 2
    says "--watch takes no value"
}

e2e_a_level_is_of_a_component_that_there_is() {
    write_params
    engine run t.lua --log-level ouut=warn
    exits 2
    says "--log-level ouut=…: t.lua has no component of that name; did you mean 'out'?"
    prints ""
    engine run t.lua --log-level nothing_like_it=warn --log-format json
    exits 2
    says "t.lua has no component of that name; give one of its spouts, bolts or sinks"
    lua5.4 "$HERE/json.lua" < err > why || fail "$(cat why)"
    engine run t.lua --log-level out=debug --log-level acker=debug
    exits 0
}

e2e_what_cannot_be_printed_is_said() {
    for asked in version --help "run --help"; do
        # shellcheck disable=SC2086 # a list of words
        timeout -k 5 "$PATIENCE_S" "$ENGINE" $asked > /dev/full 2> err
        code=$?
        exits 1
        says "engine: can't write to stdout: No space left on device"
    done
    timeout -k 5 "$PATIENCE_S" "$ENGINE" version 2> err >&-
    code=$?
    exits 0
}

e2e_run_takes_files() {
    engine run ""
    exits 2
    says "run takes definition files: engine run FILE"
    engine run
    exits 2
    says "run takes definition files: engine run FILE"
}

e2e_help_knows_the_verbs() {
    engine run --help
    mv out expected
    engine help run
    exits 0
    same out expected
    engine help rnu
    exits 2
    says "there is no verb 'rnu'; did you mean 'engine run'?"
    engine help run stop
    exits 2
    says "help takes one verb: engine help run"
}

e2e_without_a_verb_the_overview_comes_and_exit_code_2() {
    engine
    exits 2
    says "engine VERB"
    prints ""
}

e2e_every_verb_has_a_help_with_an_example() {
    engine help
    exits 0
    local verbs
    verbs=$(grep -oE '^  [a-z]+ {2,}' out | tr -d ' ')
    grep -q '^run$' <<< "$verbs" || fail "the overview does not name run: $(seen out)"
    for verb in $verbs; do
        engine "$verb" --help
        exits 0
        grep -q "^engine $verb" out || fail "$verb --help tells no usage: $(seen out)"
        grep -q "^Example: engine $verb" out || fail "$verb --help has no example: $(seen out)"
        equal "$(cat err)" "" "stderr of $verb --help"
    done
}

e2e_help_names_every_option_of_run() {
    engine run --help
    exits 0
    for option in set threads watch for drain quiet json log-format log-level; do
        grep -q -- "^  --$option" out || fail "run --help does not name --$option"
    done
}

e2e_store_help_has_a_line_for_each_of_its_verbs() {
    engine store --help
    exits 0
    for verb in ls get check backup compact; do
        grep -qE "^  $verb FOLDER" out || fail "store --help does not name $verb"
    done
}

e2e_the_version_is_one_line_and_json_is_json() {
    engine version
    exits 0
    grep -qE '^engine [0-9]+\.[0-9]+\.[0-9]+( [0-9a-f]{12}\+?)? \(Lua 5\.4\.[0-9]+, libevent [^ ,]+, jansson [0-9.]+, LMDB [0-9.]+, xxHash [0-9.]+\)$' out || fail "seen: $(seen out)"
    cp out once
    engine --version
    exits 0
    same out once
    engine version --json
    exits 0
    lua5.4 "$HERE/json.lua" < out > why || fail "$(cat why)"
    engine version now
    exits 2
    says "version takes no arguments"
}

e2e_quiet_says_nothing_when_all_is_well() {
    write_params
    engine run --quiet t.lua
    exits 0
    equal "$(cat err)" "" "stderr"
}

e2e_two_dashes_end_the_options() {
    write_params
    mv -- t.lua --quiet
    engine run -- --quiet
    exits 0
    says "params"
}

e2e_too_few_files_are_said_at_the_start() {
    cat > t.lua <<'LUA'
return topology "fine" {
  spout "in" { list { { 1 } }, fields = { "n" } },
  sink "out" { from = shuffle "in", stdout {} },
}
LUA
    ulimit -S -n 10
    engine run t.lua
    ulimit -S -n 1024
    exits 1
    says "engine: can't start: "
    says "ulimit -a"
    never_says "[warn]"
}
