-- The words that a text has most often, without a line of Lua that runs.
--   engine run topologies/top_words.lua [--set input=FILE] [--set n=10]
-- Prints a line each, the most frequent first: the	63919
local input = param("input", "build/data/kjv.txt", "text to count")
local n = param("n", 10, "how many words to print")

return topology "top-words" {
  spout "lines" { file { path = input } },
  bolt "words" { from = shuffle "lines", tasks = 2, words "line" },
  bolt "count" { from = fields("words", "word"), tasks = 2, count_by "word" },
  bolt "top" { from = global "count", top(n, "count") },
  sink "out" { from = global "top", stdout {} },
}
