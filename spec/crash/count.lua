-- What spec/crash/run.sh kills: numbers are counted by their last three digits, in state that stays.
local rate = param("rate", 20000, "numbers a second")
local count = param("count", 100000, "numbers in all")

return topology "crash" {
  spout "numbers" { generator { rate = rate, count = count }, fields = { "n" }, retries = "forever" },
  bolt "count" {
    from = fields("numbers", "n"), fields = { "last", "count" }, tasks = 2, state = "durable",
    prepare = function(self) self.first = true end,
    execute = function(self, n)
      if self.first then log.info("the first") self.first = false end
      self.state:add(n % 1000)
    end,
    finish = function(self)
      for last, n in pairs(self.state) do self.emit(last, n) end
    end,
  },
  sink "out" { from = global "count", stdout {} },
}
