# shellcheck shell=bash disable=SC2016
# Loops: tuples that go round, and a loop that fills up.

# Steps of each number up to 300 to 1, by lua5.4 on its own.
steps() {
    lua5.4 -e 'for n = 1, 300 do local at, k = n, 0
        while at ~= 1 do at, k = at % 2 == 0 and at // 2 or 3 * at + 1, k + 1 end
        print(n, k) end'
}

collatz() { # collatz OPTIONS
    cat > collatz.lua << END
return topology "collatz" { $1
  spout "numbers" { generator { count = 300, make = function(i) return i, i, 0 end },
    fields = { "n", "at", "steps" } },
  bolt "step" { from = { shuffle "numbers", fields("step:again", "n") }, tasks = 3,
    streams = { default = { "n", "steps" }, again = { "n", "at", "steps" } },
    execute = function(self, n, at, steps)
      if at == 1 then return self.emit(n, steps) end
      self.emit_to("again", n, at % 2 == 0 and at // 2 or 3 * at + 1, steps + 1)
    end },
  sink "out" { from = global "step", stdout {} },
}
END
}

e2e_a_loop_ends_with_its_results() {
    collatz ''
    engine run collatz.lua --threads 2
    exits 0
    prints_sorted "$(steps)"
    equal "$(figure numbers acked)" 300 "numbers acked"
}

e2e_a_loop_ends_though_nothing_is_tracked() {
    collatz 'guarantee = "at-most-once",'
    engine run collatz.lua --threads 4
    exits 0
    prints_sorted "$(steps)"
}

e2e_a_loop_that_fills_up_fails_and_the_rest_goes_on() {
    cat > flood.lua << 'END'
return topology "flood" {
  spout "s" { list { { 30 }, { 1 }, { 2 } }, fields = { "n" }, retries = 0 },
  bolt "b" { from = { shuffle "s", shuffle "b:again" },
    streams = { default = { "n" }, again = { "n", "pad" } },
    execute = { s = function(self, n) self.emit(n) self.emit_to("again", n, "") end,
      b = function(self, n)
        if n < 30 then return end
        for _ = 1, 2 do self.emit_to("again", n, ("x"):rep(5000)) end
      end } },
  sink "out" { from = global "b", stdout {} },
}
END
    engine run flood.lua
    fails_well 1
    says "the loop is full: too much waits on its way back"
    prints_sorted $'1\n2\n30'
}

e2e_a_loop_drains() {
    cat > endless.lua << 'END'
return topology "endless" {
  spout "s" { generator {}, fields = { "n" } },
  bolt "b" { from = { shuffle "s", shuffle "b:again" }, tasks = 2,
    streams = { default = { "n" }, again = { "n" } },
    execute = { s = function(self, n) self.emit_to("again", n) end,
      b = function(self, n) self.emit(n) end } },
  sink "out" { from = global "b", null {} },
}
END
    engine run endless.lua --for 300ms
    exits 0
    [ "$(figure s acked)" -gt 0 ] || fail "nothing was acked"
    equal "$(figure out in)" "$(figure s acked)" "received"
}
