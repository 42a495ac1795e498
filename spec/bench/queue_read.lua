-- The reading half of queue.lua.
local count = param("count", 1000000)

return topology "queue-read" {
  guarantee = "exactly-once",
  spout "records" { queue { name = "bench", ends = true }, fields = { "record" } },
  bolt "check" {
    from = shuffle "records",
    fields = { "records", "right" },
    prepare = function(self) self.records, self.right = 0, true end,
    execute = function(self, record)
      self.records = self.records + 1
      if #record ~= 100 or tonumber(record:sub(1, 10)) ~= self.records then self.right = false end
    end,
    finish = function(self) self.emit(self.records, self.right and self.records == count) end,
  },
  sink "out" { from = shuffle "check", file { path = "build/bench/queue.out" } },
}
