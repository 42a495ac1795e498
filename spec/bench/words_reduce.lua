-- The word count with its lines split and its words added up in Lua; the
-- splitting tasks begin to add them up, by the same function.
local input = param("input", "build/data/kjv.txt", "text to count")

return topology "words-reduce" {
  spout "lines" { file { path = input } },
  bolt "split" {
    from = shuffle "lines",
    fields = { "word", "count" },
    tasks = 2,
    execute = function(self, line)
      local emit = self.emit
      for word in line:lower():gmatch "%a+" do emit(word, 1) end
    end,
  },
  bolt "count" {
    from = fields("split", "word"),
    reduce_by("word", "count", function(a, b) return a + b end),
    combine = true,
  },
  sink "out" { from = global "count", stdout { format = "json" } },
}
