-- engine test topologies/trending_spec.lua
local run = load_topology("trending.lua", { set = { n = "2", slice = "1s", slices = "2" } })

-- Verses of build/data/kjv.txt; counted with: tr -cs A-Za-z '\n' | tr A-Z a-z | sort | uniq -c
local first = "In the beginning God created the heaven and the earth."
local second = "And God said, Let there be light: and there was light."

local function latest(t)
  local lines = t.out.rank
  return lines[#lines][1]
end

test "ranks by the count, equal ones by the letters" (function()
  local out = run { lines = { { first }, { second } } }
  expect(out.rank[#out.rank][1]):is { "and 3", "the 3" }
end)

test "forgets what is older than the window" (function()
  local t = run.start { lines = feeder }
  t:feed("lines", 1, { first })
  t:advance "1500ms"
  t:advance "1s" -- what a tick of rolling sends is ranked at the next of rank at the latest
  expect(latest(t)):is { "the 3", "and 1" }
  t:feed("lines", 2, { second })
  t:advance "2s"
  expect(latest(t)):is { "and 2", "light 2" }
  t:advance "5s"
  expect(latest(t)):is_empty()
  t:stop()
end)
