-- Watches a log that grows: says when a minute has too many errors, and when the
-- first minute with fewer is over; nothing in between, however long that lasts.
-- Lines are web_log.lua's.
--   ./build.sh data tables
--   engine run topologies/alert.lua [--set input=FILE] [--set limit=4]
-- Runs until it is stopped. Prints as it happens: FIRING	01/Jan/2001:00:40
-- and when it is over:                            RESOLVED	01/Jan/2001:00:41
local input = param("input", "build/data/access.log", "the log; it is followed, as tail -F does")
local limit = param("limit", 4, "errors in a minute that are too many")

return topology "alert" {
  spout "lines" { file { path = input, follow = true } },

  bolt "parse" {
    from = shuffle "lines",
    fields = { "minute", "is_error" },
    execute = function(self, line)
      local minute, status = line:match '%[([^ ]+):%d%d [^%]]+%] "[^"]*" (%d+) '
      if not minute then error("no line of a log: " .. line) end
      self.emit(minute, tonumber(status) >= 500)
    end,
    on_error = "drop",
  },

  bolt "rule" {
    from = global "parse",
    fields = { "state", "minute" },
    prepare = function(self) self.errors, self.firing = 0, false end,
    execute = function(self, minute, is_error)
      if minute ~= self.minute then -- the minute before is over
        if self.firing and self.errors < limit then
          self.firing = false
          self.emit("RESOLVED", self.minute)
        end
        self.minute, self.errors = minute, 0
      end
      if is_error then self.errors = self.errors + 1 end
      if self.errors >= limit and not self.firing then
        self.firing = true
        self.emit("FIRING", minute)
      end
    end,
  },
  sink "out" { from = global "rule", stdout {} },
}
