# shellcheck shell=bash disable=SC2016
# Hooks: what a run's components are told.

e2e_hooks_of_a_topology_see_all_components() {
    cat > hooks.lua << 'END'
return topology "hooks" {
  hooks = { ack = function(self, info) self.acks = (self.acks or 0) + 1 end },
  spout "s" { list { { 1 }, { 2 }, { 3 } }, fields = { "n" } },
  bolt "b" { from = shuffle "s", fields = { "n" },
    execute = function(self, n) if n ~= 2 then self.emit(n) end end,
    finish = function(self) self.emit(self.acks * 100) end },
  sink "out" { from = shuffle "b", stdout {} },
}
END
    engine run hooks.lua
    exits 0
    prints_sorted $'1\n3\n300'
}

e2e_a_hook_with_an_unknown_name_is_told() {
    cat > hooks.lua << 'END'
return topology "hooks" {
  spout "s" { list { { 1 } }, fields = { "n" } },
  sink "out" { from = shuffle "s", execute = print, hooks = { acks = print } },
}
END
    engine check hooks.lua
    exits 78
    says "hooks.lua:3: 'acks' is no hook of sink 'out'; did you mean 'ack'?"
}
