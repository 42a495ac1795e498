-- Counts the words of a text.
--   engine run topologies/word_count.lua [--set input=FILE]
-- Prints one line of JSON a word: {"word":"the","count":63919}
local input = param("input", "build/data/kjv.txt", "text to count")

return topology "word-count" {
  guarantee = "at-least-once",

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
    prepare = function(self) self.counts = {} end,
    execute = function(self, word)
      local counts = self.counts
      counts[word] = (counts[word] or 0) + 1
    end,
    finish = function(self) -- the input has ended
      for word, count in pairs(self.counts) do self.emit(word, count) end
    end,
  },

  sink "out" { from = global "count", stdout { format = "json" } },
}
