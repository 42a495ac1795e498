-- Counts the words of a text.
--   engine run topologies/word_count.lua [--set input=FILE]
-- Prints one line of JSON a word: {"wor"count":63919}
local input = param("input", "build/data/kjv.txt", "text to count")

return topology "word-count" {
  guarantee = "at-least-once",

  spout "lines" { file { path = input } },

  bolt "split" {
    from = shuffle "lines",
    fields = { "word" },
    execute = function(self, line)
      for word in line:lower():gmatch "%a+" do self.emit(word) end
    end,
 }, 

  bolt "count" {
    from = fields("split", "word"),
    fields = { "word", "count" },
    tasks = 2,
    stdout { format = "json" } },
}
