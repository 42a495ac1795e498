-- engine test topologies/join_spec.lua
local run = load_topology "join.lua"

-- Rows of build/data/airports.csv and flights-airport.csv; the sums are by hand.
local airports = { { "ABE", "PA" }, { "ABI", "TX" }, { "AMA", "TX" } }
local routes = { { "ABE", "853" }, { "ABE", "1" }, { "ABE", "805" } } -- to ATL, BHM, CLE

test "sums the flights of a state, whichever table comes first" (function()
  local out = run { airports = airports, routes = routes }
  expect(out.join):is_bag { { "PA", 853 }, { "PA", 1 }, { "PA", 805 } }
  expect(out.out):is { { "PA", 1659 } }
end)

test "keeps a route until its airport comes" (function()
  local t = run.start { airports = feeder, routes = feeder }
  t:feed("routes", 1, { "ABE", "853" })
  expect(t.out.join):is_empty()
  t:feed("airports", 1, { "ABE", "PA" })
  expect(t.out.join):is { { "PA", 853 } }
  t:feed("routes", 2, { "ABE", "805" })
  expect(t:stop().out):is { { "PA", 1658 } }
end)

test "leaves out a route from an unknown airport" (function()
  local out = run { airports = airports, routes = { { "ABE", "853" }, { "XXX", "7" } } }
  expect(out.out):is { { "PA", 853 } }
end)
