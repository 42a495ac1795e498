-- The words that come most often of late: counts over a window that slides on by
-- a slice at a time, and a line with the first n of them each slice.
--   while read -r line; do echo "$line"; sleep 0.001; done < build/data/kjv.txt |
--     engine run topologies/trending.lua [--set n=5] [--set slice=1s] [--set slices=5]
-- Prints a line a slice, and one at the end:
--   {"trending":["and 1481","the 1158","of 602","in 239","he 209"]}
local n = param("n", 5, "how many words to print")
local slice = param("slice", "1s", "how far the window slides at a time")
local slices = param("slices", 5, "how many slices the window is long")

local function ranking(self)
  local words = {}
  for word in pairs(self.counts) do words[#words + 1] = word end
  table.sort(words, function(a, b)
    local x, y = self.counts[a], self.counts[b]
    return x > y or x == y and a < b
  end)
  local first = array {}
  for i = 1, math.min(n, #words) do first[i] = words[i] .. " " .. self.counts[words[i]] end
  self.emit(first)
end

local function totals(self)
  for word, count in pairs(self.counts) do self.emit(word, count) end
end

return topology "trending" {
  spout "lines" { stdin {} },
  bolt "words" { from = shuffle "lines", words "line" },

  bolt "rolling" {
    from = fields("words", "word"),
    fields = { "word", "count" },
    tasks = 2,
    every = slice,
    prepare = function(self) self.counts, self.window = {}, { {} } end,
    execute = function(self, word)
      local now = self.window[#self.window]
      now[word] = (now[word] or 0) + 1
      self.counts[word] = (self.counts[word] or 0) + 1
    end,
    tick = function(self)
      totals(self)
      for word, count in pairs(self.counts) do
        if count == 0 then self.counts[word] = nil end -- told once, then forgotten
      end
      self.window[#self.window + 1] = {}
      if #self.window > slices then
        for word, count in pairs(table.remove(self.window, 1)) do
          self.counts[word] = self.counts[word] - count
        end
      end
    end,
    finish = totals,
  },

  bolt "rank" {
    from = global "rolling",
    fields = { "trending" },
    every = slice,
    prepare = function(self) self.counts = {} end,
    execute = function(self, word, count) self.counts[word] = count > 0 and count or nil end,
    tick = ranking,
    finish = ranking,
  },
  sink "out" { from = global "rank", stdout { format = "json" } },
}
