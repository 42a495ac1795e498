-- How long the longest pause between two tuples is while a million keys change again and again, and checkpoints take
-- them. Prints what table.lua reads.
local count = param("count", 4000000)
local KEYS = 1000000

return topology "keys" {
  spout "numbers" {
    generator { count = count, make = function(i) return i * 7919 % KEYS end },
    fields = { "key" },
  },
  bolt "count" {
    from = shuffle "numbers",
    fields = { "line" },
    state = "durable",
    budget = "60s",
    prepare = function(self) self.longest, self.began = 0, now() end,
    execute = function(self, key)
      self.state:add(key)
      local at = now()
      local last = self.last
      if last and at - last > self.longest then self.longest = at - last end
      self.last = at
    end,
    finish = function(self)
      local wall, sum = now() - self.began, 0
      for _, n in pairs(self.state) do sum = sum + n end
      self.emit(("keys %d 0 %.1f %s gap_ms %.3f"):format(count, wall / count * 1e9, sum == count and "ok" or "WRONG",
        self.longest * 1000))
    end,
  },
  sink "out" { from = shuffle "count", stdout {} },
}
