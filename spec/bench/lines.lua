-- The shape of Storm's FileReadWordCountTopo: lines of a file that is kept in
-- memory, split at white space, each word counted and emitted with its count,
-- acked. The spout is replaced by a native one of bench-lines, the audit by one
-- that knows what must come.
-- Source of the shape: Apache Storm, examples/storm-perf.
return topology "lines" {
  guarantee = "at-least-once",

  spout "lines" { fields = { "line" }, next = function() return false end },

  bolt "split" {
    from = local_or_shuffle "lines",
    fields = { "word" },
    tasks = 2,
    execute = function(self, line)
      local emit = self.emit
      for word in line:gmatch "%S+" do emit(word) end
    end,
  },

  bolt "count" {
    from = fields("split", "word"),
    streams = { default = { "word", "n" }, total = { "word", "n" } },
    tasks = 2,
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
