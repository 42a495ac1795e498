-- The slice that bench-endurance and bench-reload run: word count over lines
-- that carry an id, number << 16 | try << 8, to which split adds the place of
-- each word. Lines come from a native spout, ids end in a native sink that
-- knows by them which line came how often: both take the places of the two
-- that stand here. Which line fails at which try is hashed from the seed, so
-- the program knows it, too.
local seed = param("seed", 1, "decides which line fails at which try")
local percent = param("fails", 1, "of a hundred lines fail")

local function fails(id)
  local hash = (seed << 40 ~ id >> 8) * 0x9E3779B97F4A7C15
  hash = (hash ~ hash >> 29) * 0xBF58476D1CE4E5B9
  return (hash >> 33) % 100 < percent
end

return topology "endurance" {
  guarantee = "at-least-once",

  spout "lines" {
    fields = { "id", "line" },
    retries = "forever",
    next = function() return false end,
  },

  bolt "split" {
    from = shuffle "lines",
    fields = { "word", "id" },
    tasks = 2,
    execute = function(self, id, line)
      local at = id
      for word in line:lower():gmatch "%a+" do
        self.emit(word, at)
        at = at + 1
      end
      if fails(id) then
        error(("line %d fails at try %d"):format(id >> 16, id >> 8 & 255), 0)
      end
    end,
  },

  bolt "count" {
    from = fields("split", "word"),
    fields = { "id" },
    tasks = 2,
    prepare = function(self) self.counts = {} end,
    execute = function(self, word, id)
      self.counts[word] = (self.counts[word] or 0) + 1
      self.emit(id)
    end,
    finish = function(self) -- all that was counted, as a number below 0
      local total = 0
      for _, count in pairs(self.counts) do total = total + count end
      self.emit(-1 - total)
    end,
  },

  sink "audit" { from = global "count", execute = function() end },
}
