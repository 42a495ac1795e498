-- The shape of Storm's ThroughputVsLatency: sentences at a fixed rate, split and
-- counted in Lua. The counts go on by the stream "total" at the end.
-- Source of the shape: Apache Storm, examples/storm-loadgen.
local sentences = {
  "the cow jumped over the moon",
  "an apple a day keeps the doctor away",
  "four score and seven years ago",
  "snow white and the seven dwarfs",
  "i am at two with nature",
}

return topology "steady" {
  guarantee = "at-least-once",

  spout "sentences" {
    generator {
      rate = param("rate", 85000, "sentences a second"),
      count = param("count", 850000, "of them"),
      make = function(i) return sentences[(i - 1) % #sentences + 1] end,
    },
    fields = { "sentence" },
  },

  bolt "split" {
    from = shuffle "sentences",
    fields = { "word" },
    execute = function(self, sentence)
      local emit = self.emit
      for word in sentence:gmatch "%S+" do emit(word) end
    end,
  },

  bolt "count" {
    from = fields("split", "word"),
    streams = { default = { "word", "n" }, total = { "word", "n" } },
    prepare = function(self) self.counts = {} end,
    execute = function(self, word)
      local n = (self.counts[word] or 0) + 1
      self.counts[word] = n
      self.emit(word, n)
    end,
    finish = function(self)
      for word, n in pairs(self.counts) do self.emit_to("total", word, n) end
    end,
  },

  sink "audit" { from = global "count:total", execute = function() end },
}
