-- The word count with its lines split in Lua and counted by count_by, which the
-- splitting tasks begin.
local input = param("input", "build/data/kjv.txt", "text to count")

return topology "words-split" {
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
  bolt "count" { from = fields("split", "word"), count_by "word" },
  sink "out" { from = global "count", stdout { format = "json" } },
}
