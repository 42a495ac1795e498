-- topologies/word_count.lua with counts that stay: in self.state, written by checkpoints.
local input = param("input", "build/data/kjv.txt", "text to count")

return topology "words-kept" {
  spout "lines" { file { path = input } },
  bolt "split" {
    from = shuffle "lines",
    fields = { "word" },
    tasks = 2,
    execute = function(self, line)
      local emit = self.emit
      for word in line:lower():gmatch "%a+" do emit(word) end
    end,
  },
  bolt "count" {
    from = fields("split", "word"),
    fields = { "word", "count" },
    tasks = 2,
    state = "durable",
    execute = function(self, word) self.state:add(word) end,
    finish = function(self)
      for word, count in pairs(self.state) do self.emit(word, count) end
    end,
  },
  sink "out" { from = global "count", stdout { format = "json" } },
}
