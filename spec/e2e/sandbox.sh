# sandbox.sh - what guest code may not do: the tuple that tries fails, the
# engine and the other tuples go on.

# attack REASON CODE: numbers 1 to 3 go through a bolt; the second attacks.
attack() {
    cat > t.lua <<LUA
return topology "attack" {
  spout "in" { generator { count = 3 }, fields = { "n" }, retries = 0 },
  bolt "bad" {
    from = shuffle "in", fields = { "n" }, budget = "100ms", memory = "16MB",
    execute = function(self, n)
      if n == 2 then
        $2
      end
      self.emit(n)
    end,
  },
  sink "out" { from = shuffle "bad", stdout {} },
}
LUA
    engine run t.lua
    fails_well 1
    prints_sorted "$(printf '1\n3')"
    says "$1"
}

e2e_pcall_does_not_keep_a_loop_alive() {
    attack "over its budget" 'while true do pcall(function() while true do end end) end'
    attack "over its budget" 'while true do xpcall(function() while true do end end, function() while true do end end) end'
}

e2e_a_coroutine_does_not_keep_a_loop_alive() {
    attack "over its budget" 'coroutine.wrap(function() while true do end end)()'
    attack "over its budget" 'while true do coroutine.resume(coroutine.create(function() while true do end end)) end'
}

e2e_callbacks_of_the_library_do_not_keep_a_loop_alive() {
    attack "over its budget" 'table.sort({ 3, 1, 2 }, function() while true do end end)'
    attack "over its budget" '("x"):gsub(".", function() while true do end end)'
    attack "over its budget" 'local t = setmetatable({}, { __index = function() while true do end end }) local x = t.y'
    attack "over its budget" 'do local c <close> = setmetatable({}, { __close = function() while true do end end }) end'
}

e2e_loops_inside_the_library_are_bounded() {
    attack "not enough memory" '("x"):rep(1e12)'
    attack "t.lua:7" 'string.find(("a"):rep(100000), (".-"):rep(20) .. "b")'
    attack "t.lua:7" 'table.concat(setmetatable({}, { __len = function() return 1e15 end, __index = function() return "" end }))'
    attack "t.lua:7" 'table.unpack({}, 1, 1e8)'
    attack "t.lua:7" 'table.move({}, 1, 1e15, 2)'
}

e2e_a_recursion_without_end_is_ended() {
    attack "a tuple failed for good" 'local function f() return 1 + f() end f()'
    attack "a tuple failed for good" 'local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end local x = t.y'
    attack "a tuple failed for good" '("("):rep(300):find(("("):rep(300))'
}

e2e_coroutines_are_bounded() {
    attack "t.lua:7" 'local all = {} for i = 1, 1e6 do all[i] = coroutine.create(function() coroutine.yield() end) coroutine.resume(all[i]) end error("too many")'
}

e2e_finalizers_are_refused() {
    attack "__gc" 'setmetatable({}, { __gc = function() while true do end end })'
}

e2e_bytecode_is_not_loaded() {
    attack "t.lua:7" 'assert(load("\27Lua", "x", "b"))'
    attack "t.lua:7" 'assert(string.dump(function() end))'
}

e2e_the_machine_is_out_of_reach() {
    for name in 'io.open("/etc/passwd")' 'os.execute("true")' 'os.remove("t.lua")' 'os.getenv("HOME")' \
        'debug.sethook()' 'package.loadlib("x", "y")' 'dofile("t.lua")' 'loadfile("t.lua")' 'os.exit(0)'; do
        attack "t.lua:7: attempt to" "$name"
    done
}

e2e_the_library_and_globals_are_read_only() {
    attack "t.lua:7: global 'count' is assigned; declare it local" 'count = 1'
    attack "t.lua:7: string.rep is read-only" 'string.rep = nil'
    attack "t.lua:7" 'getmetatable("").__index = nil'
    attack "t.lua:7" 'rawset(string, "rep", nil)'
    attack "t.lua:7" '_G.print = nil'
}

e2e_words_of_the_definition_are_gone_while_it_runs() {
    attack "t.lua:7: attempt to call a nil value (global 'topology')" 'topology "x"'
    attack "t.lua:7: attempt to call a nil value (global 'param')" 'param("x", 1)'
}

e2e_a_module_cannot_be_loaded_while_it_runs() {
    echo 'return 1' > late.lua
    attack "t.lua:7: module 'late' is not loaded; require it at the top of a file" 'require "late"'
}

e2e_a_neighbour_goes_on_while_a_bolt_loops() {
    cat > t.lua <<'LUA'
return topology "neighbours" {
  spout "in" { generator { count = 200 }, fields = { "n" }, retries = 0 },
  bolt "bad" { from = shuffle "in", budget = "50ms", execute = function(self, n) if n % 40 == 0 then while true do end end end },
  bolt "good" { from = shuffle "in", fields = { "n" }, execute = function(self, n) self.emit(n) end },
  sink "out" { from = shuffle "good", stdout {} },
}
LUA
    engine run --threads 1 t.lua
    fails_well 5
    prints_sorted "$(seq 200)"
}
