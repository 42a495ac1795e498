-- The word count without a line of Lua: words and count_by, which senders begin.
local input = param("input", "build/data/kjv.txt", "text to count")

return topology "words-native" {
  spout "lines" { file { path = input } },
  bolt "words" { from = shuffle "lines", tasks = 2, words "line" },
  bolt "count" { from = fields("words", "word"), count_by "word" },
  sink "out" { from = global "count", stdout { format = "json" } },
}
